//! Images that are not for everyone.

use tokio::runtime::Handle;

use super::*;

fn private(bench: &Bench, access: Access) -> Image {
    let image = Image::oci(PLATFORM, &["base", "secret"]);
    bench.upstream.add("me/app:1", &image);
    bench.upstream.access(access);
    image
}

const BEARER: Access = Access::Bearer {
    realm: None,
    public: false,
};

#[tokio::test]
async fn an_image_that_needs_a_password_is_copied_and_not_cached() {
    for access in [Access::Basic, BEARER] {
        let bench = bench().await;
        let image = private(&bench, access);
        let copied = bench.copy(&with_password("me/app:1", USER.1)).await;
        assert_eq!(&copied.expect("a copy").digest, image.digest());
        let own = bench.found(REPOSITORY, "latest").await;
        assert_eq!(own.as_ref(), Some(image.digest()));
        assert_eq!(bench.caches().await, Vec::<String>::new());
        let error = bench.failure(&request("me/app:1")).await;
        assert!(
            matches!(error, UpstreamError::Unauthorized { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_token_is_given_to_the_registry_as_it_is() {
    let bench = bench().await;
    let image = private(&bench, BEARER);
    let with_token = |token: &str| MirrorRequest {
        credentials: Some(Credentials::Token(Secret::new(token.to_owned()))),
        ..request("me/app:1")
    };
    let refused = bench.failure(&with_token("wr0ng")).await.to_string();
    assert!(refused.contains("refuses these credentials"), "{refused}");
    let copied = bench.copy(&with_token("for-me")).await.expect("a copy");
    assert_eq!(&copied.digest, image.digest());
    assert!(bench.upstream.asked("/token").is_empty());
    assert_eq!(bench.caches().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_public_image_is_copied_with_a_token_for_nobody() {
    let bench = bench().await;
    private(
        &bench,
        Access::Bearer {
            realm: None,
            public: true,
        },
    );
    bench.copied("me/app:1").await;
    assert_eq!(bench.caches().await, ["cache/docker.io/me/app"]);
    let tokens = bench.upstream.asked("/token");
    assert_eq!(tokens.len(), 1, "one token for the whole image: {tokens:?}");
    let scope = "service=upstream&scope=repository%3Ame%2Fapp%3Apull";
    assert!(tokens[0].line.contains(scope), "{}", tokens[0].line);
    assert_eq!(tokens[0].header("authorization"), None);
}

#[tokio::test]
async fn a_wrong_password_and_none_are_told_apart() {
    for access in [Access::Basic, BEARER] {
        let bench = bench().await;
        private(&bench, access);
        let wrong = bench.failure(&with_password("me/app:1", "wr0ng")).await;
        assert_eq!(
            wrong.to_string(),
            "not authorized to pull docker.io/me/app:1: the registry refuses these credentials"
        );
        let none = bench.failure(&request("me/app:1")).await.to_string();
        assert!(none.contains("needs credentials"), "{none}");
        assert!(none.contains("CF_DOCKER_PASSWORD"), "{none}");
    }
}

#[tokio::test]
async fn without_a_password_the_owners_copy_from_before_is_used() {
    let mut bench = bench().await;
    let image = private(&bench, BEARER);
    let first = bench.copy(&with_password("me/app:1", USER.1)).await;
    bench.texts();
    let again = MirrorRequest {
        previous: Some(first.expect("a copy").digest),
        repository: Some("droplets/two".to_owned()),
        ..request("me/app:1")
    };
    let copied = bench.copy(&again).await.expect("a copy");
    assert_eq!(&copied.digest, image.digest());
    let texts = bench.texts();
    let warning = texts.iter().find(|text| text.starts_with("Warning: "));
    let warning = warning.expect("a warning");
    assert!(warning.contains("not authorized"), "{warning}");
    assert!(warning.contains("from before"), "{warning}");
    let own = bench.found("droplets/two", "latest").await;
    assert_eq!(own.as_ref(), Some(image.digest()));
    assert_eq!(bench.caches().await, Vec::<String>::new());
    let wrong = MirrorRequest {
        previous: Some(image.digest().clone()),
        ..with_password("me/app:1", "wr0ng")
    };
    let error = bench.failure(&wrong).await;
    assert!(
        matches!(error, UpstreamError::Unauthorized { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_service_of_another_host_gets_no_password() {
    for realm in [
        "https://tokens.example.com/token",
        "http://127.0.0.1:9/token",
    ] {
        let bench = bench().await;
        private(
            &bench,
            Access::Bearer {
                realm: Some(realm),
                public: false,
            },
        );
        let error = bench.failure(&with_password("me/app:1", USER.1)).await;
        let host = realm.split(['/', ':']).nth(3).expect("a host");
        assert!(
            matches!(&error, UpstreamError::Refused { host: refused, .. } if refused == host),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_redirect_to_another_port_carries_no_password() {
    let bench = bench().await;
    let image = private(&bench, Access::Basic);
    let storage = Upstream::start().await;
    storage.add_parts(&image);
    bench.upstream.fail(
        "/blobs/",
        u32::MAX,
        Fault::Elsewhere(format!("http://127.0.0.1:{}", storage.port)),
    );
    let copied = bench.copy(&with_password("me/app:1", USER.1)).await;
    assert_eq!(&copied.expect("a copy").digest, image.digest());
    let asked = storage.asked("/blobs/");
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|one| one.header("authorization").is_none()),
        "{asked:?}"
    );
}

#[tokio::test]
async fn the_digest_of_a_private_manifest_opens_it_for_nobody() {
    let bench = bench().await;
    let secret = private(&bench, Access::Basic);
    let copied = bench.copy(&with_password("me/app:1", USER.1)).await;
    copied.expect("a copy");
    // Someone else's index names it, in a repository that does not have it.
    bench.upstream.access(Access::Open);
    let manifest = format!("/bait/manifests/{}", secret.digest());
    bench.upstream.tag("library/bait:1", &index(&[&secret]));
    bench.upstream.fail(&manifest, u32::MAX, Fault::Status(404));
    let error = bench.failure(&request("bait:1")).await;
    assert!(matches!(error, UpstreamError::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_download_of_someone_else_neither_delays_nor_fails_ones_own() {
    let bench = bench().await;
    let image = Image::oci(PLATFORM, &["shared"]);
    bench.upstream.add("other/app:1", &image);
    bench.upstream.add("me/app:1", &image);
    let theirs = get_blob("other/app", &image.layers[0]);
    bench.upstream.fail(&theirs, u32::MAX, Fault::Late(403));
    let (registry, progress) = (bench.fixture.registry.clone(), bench.progress.clone());
    let other = Handle::current().spawn(async move {
        let request = with_password("other/app:1", "x");
        registry.mirror(&request, &progress).await.map(|_| ())
    });
    bench.upstream.until_asked(&theirs).await;
    let copied = bench.copied("me/app:1").await;
    assert_eq!(&copied.digest, image.digest());
    bench.upstream.release();
    let failed = tokio::time::timeout(PATIENCE, other).await;
    let failed = failed.expect("an end in time").expect("no panic");
    assert!(
        matches!(failed, Err(UpstreamError::Unauthorized { .. })),
        "{failed:?}"
    );
}

#[tokio::test]
async fn names_of_this_machine_are_refused_unless_they_are_configured() {
    let bench = bench().await;
    let port = bench.upstream.port;
    for host in [
        "127.0.0.1:9".to_owned(),
        "169.254.169.254".to_owned(),
        format!("127.0.0.1:{port}"),
        "localhost:9".to_owned(),
        format!("localhost:{port}"),
    ] {
        let text = bench
            .failure(&request(&format!("{host}/a:1")))
            .await
            .to_string();
        assert!(text.contains("is refused: "), "{host}: {text}");
    }
    assert_eq!(bench.upstream.asked("").len(), 0);
}
