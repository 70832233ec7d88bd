//! Logging in, refreshing and what ends a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header;
use serde_json::json;

use crate::uaa::TokenError;
use crate::uaa::testing::{ADMIN_PASSWORD, Call, World, payload};

#[tokio::test]
async fn a_log_in_answers_what_the_cli_reads() {
    let world = World::new().await;
    let answer = world.log_in("Admin", ADMIN_PASSWORD).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text("token_type"), "bearer");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(answer.body["expires_in"], 599);
    let token = answer.text("access_token");
    let head: serde_json::Value = {
        let part = token.split('.').next().unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let keys = Call::new("GET", "/token_keys").send(&world.uaa).await;
    assert_eq!(head["alg"], "RS256");
    assert_eq!(head["kid"], keys.body["keys"][0]["kid"]);
    let claims = payload(token);
    assert_eq!(claims["user_name"], "admin");
    assert_eq!(claims["origin"], "uaa");
    assert_eq!(claims["sub"], claims["user_id"]);
    for name in ["client_id", "cid", "azp"] {
        assert_eq!(claims[name], "cf");
    }
    assert_eq!(claims["zid"], "uaa");
    assert_eq!(claims["iss"], "http://uaa.cf.localhost:8080/oauth/token");
    assert_eq!(claims["iat"], 1_700_000_000);
    assert_eq!(claims["auth_time"], 1_700_000_000);
    assert_eq!(claims["exp"], 1_700_000_600);
    assert_eq!(claims["grant_type"], "password");
    assert_eq!(claims["revocable"], true);
    assert_eq!(claims["jti"], answer.body["jti"]);
    let scopes = claims["scope"].as_array().unwrap();
    assert!(scopes.contains(&json!("cloud_controller.admin")));
    assert!(!scopes.contains(&json!("cloud_controller.global_auditor")));
    assert!(
        claims["aud"]
            .as_array()
            .unwrap()
            .contains(&json!("cloud_controller"))
    );
    let verified = world.uaa.verify(&format!("bearer {token}")).unwrap();
    assert_eq!(verified.user.unwrap().as_str(), claims["user_id"]);
}

#[tokio::test]
async fn users_without_groups_get_the_scopes_of_every_user() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let token = world.token("BOB", "secret").await;
    let claims = world.uaa.verify(&token).unwrap();
    assert!(claims.has_scope("cloud_controller.write"));
    assert!(!claims.has_any_scope(&["cloud_controller.admin", "scim.read", "uaa.admin"]));
}

/// A client, the form it sends, and the status and error of the response.
type RefusedForm = (
    &'static str,
    &'static [(&'static str, &'static str)],
    u16,
    &'static str,
);

const REFUSED: &[RefusedForm] = &[
    ("cf", &[], 400, "invalid_request"),
    (
        "cf",
        &[("grant_type", "magic")],
        400,
        "unsupported_grant_type",
    ),
    (
        "cf",
        &[("grant_type", "client_credentials")],
        401,
        "invalid_client",
    ),
    (
        "cf",
        &[("grant_type", "password"), ("username", "bob")],
        400,
        "invalid_request",
    ),
    (
        "cf",
        &[("grant_type", "password"), ("password", "x")],
        400,
        "invalid_request",
    ),
    (
        "cf",
        &[("grant_type", "refresh_token")],
        400,
        "invalid_request",
    ),
    ("nobody", &[("grant_type", "password")], 401, "unauthorized"),
    (
        "doppler",
        &[("grant_type", "client_credentials")],
        401,
        "unauthorized",
    ),
    (
        "cf",
        &[
            ("grant_type", "password"),
            ("username", "bob"),
            ("password", "secret"),
            ("scope", "root"),
        ],
        400,
        "invalid_scope",
    ),
    (
        "cf",
        &[
            ("grant_type", "password"),
            ("username", "bob"),
            ("password", "secret"),
            ("scope", "cloud_controller.admin"),
        ],
        400,
        "invalid_scope",
    ),
    (
        "cf",
        &[
            ("grant_type", "password"),
            ("username", "bob"),
            ("password", "secret"),
            ("passcode", "1"),
        ],
        401,
        "unauthorized",
    ),
];

#[tokio::test]
async fn errors_of_token_requests_reveal_no_secrets() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    for (client, form, status, error) in REFUSED {
        let call = Call::new("POST", "/oauth/token")
            .basic(client, "")
            .form(form);
        call.send(&world.uaa).await.refused(*status, error);
    }
    let unknown = world.log_in("nobody", "secret").await;
    let wrong = world.log_in("bob", "wrong").await;
    unknown.refused(401, "unauthorized");
    assert_eq!(unknown.body, wrong.body);
    assert_eq!(wrong.text("error_description"), "Bad credentials");
    let challenge = wrong.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.starts_with("Basic realm=\"UAA/client\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn bodies_that_are_no_form_are_refused() {
    let world = World::new().await;
    let twice = Call::new("POST", "/oauth/token").basic("cf", "");
    let twice = twice.form(&[("grant_type", "password"), ("grant_type", "password")]);
    twice.send(&world.uaa).await.refused(400, "invalid_request");
    let json = Call::new("POST", "/oauth/token")
        .basic("cf", "")
        .json(&json!({}));
    json.send(&world.uaa)
        .await
        .refused(415, "unsupported_media_type");
    let huge = "x".repeat(300 * 1024);
    let huge = Call::new("POST", "/oauth/token")
        .basic("cf", "")
        .form(&[("username", &huge)]);
    huge.send(&world.uaa)
        .await
        .refused(413, "payload_too_large");
    let get = Call::new("GET", "/oauth/token").send(&world.uaa).await;
    get.refused(405, "method_not_allowed");
    assert_eq!(get.headers[header::ALLOW], "POST");
}

#[tokio::test]
async fn a_login_hint_chooses_the_origin() {
    let world = World::new().await;
    let form = [
        ("grant_type", "password"),
        ("username", "admin"),
        ("password", ADMIN_PASSWORD),
    ];
    let hinted = |hint: &str| {
        let path = format!("/oauth/token?login_hint={hint}");
        Call::new("POST", &path).basic("cf", "").form(&form)
    };
    let here = hinted("%7B%22origin%22%3A%22uaa%22%7D")
        .send(&world.uaa)
        .await;
    assert_eq!(here.status, 200, "{here:?}");
    let elsewhere = hinted("%7B%22origin%22%3A%22ldap%22%7D")
        .send(&world.uaa)
        .await;
    elsewhere.refused(400, "invalid_request");
}

#[tokio::test]
async fn a_refresh_keeps_the_refresh_token_and_issues_a_new_access_token() {
    let world = World::new().await;
    let first = world.log_in("admin", ADMIN_PASSWORD).await;
    let token = first.text("refresh_token").to_owned();
    world.advance(599);
    assert!(world.uaa.verify(first.text("access_token")).is_ok());
    world.advance(1);
    assert_eq!(
        world.uaa.verify(first.text("access_token")),
        Err(TokenError::Expired)
    );
    for _ in 0..2 {
        let again = world.refresh(&token).await;
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(again.text("refresh_token"), token);
        assert_eq!(again.text("token_type"), "bearer");
        let claims = world.uaa.verify(again.text("access_token")).unwrap();
        assert_eq!(claims.issued_at, 1_700_000_600);
        assert_eq!(claims.authenticated_at, Some(1_700_000_000));
        assert_eq!(claims.grant_type, "password");
        assert_ne!(again.text("jti"), first.text("jti"));
    }
}

#[tokio::test]
async fn a_refresh_may_narrow_scopes_but_not_widen_them() {
    let world = World::new().await;
    let form = [
        ("grant_type", "password"),
        ("username", "admin"),
        ("password", ADMIN_PASSWORD),
        ("scope", "openid scim.read"),
    ];
    let first = Call::new("POST", "/oauth/token")
        .basic("cf", "")
        .form(&form)
        .send(&world.uaa)
        .await;
    assert_eq!(first.text("scope"), "openid scim.read");
    let refresh = |scope| {
        let token = first.text("refresh_token");
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("scope", scope),
        ];
        Call::new("POST", "/oauth/token")
            .basic("cf", "")
            .form(&form)
            .send(&world.uaa)
    };
    assert_eq!(refresh("openid").await.text("scope"), "openid");
    refresh("openid scim.write")
        .await
        .refused(400, "invalid_scope");
}

#[tokio::test]
async fn refresh_tokens_expire_and_belong_to_their_client() {
    let world = World::new().await;
    let first = world.log_in("admin", ADMIN_PASSWORD).await;
    let token = first.text("refresh_token");
    let secret = world
        .uaa
        .client_secret("cflite-console")
        .await
        .unwrap()
        .unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let call = Call::new("POST", "/oauth/token").basic("cflite-console", secret.expose());
    call.form(&form)
        .send(&world.uaa)
        .await
        .refused(400, "invalid_grant");
    world
        .refresh(first.text("access_token"))
        .await
        .refused(401, "invalid_token");
    world
        .refresh("nonsense")
        .await
        .refused(401, "invalid_token");
    world.advance(30 * 24 * 3600 - 1);
    assert_eq!(world.refresh(token).await.status, 200);
    world.advance(1);
    world.refresh(token).await.refused(401, "invalid_token");
}

#[tokio::test]
async fn a_refresh_token_is_not_an_access_token_and_neither_is_an_identity() {
    let world = World::new().await;
    let answer = world.log_in("admin", ADMIN_PASSWORD).await;
    for name in ["refresh_token", "id_token"] {
        assert_eq!(
            world.uaa.verify(answer.text(name)),
            Err(TokenError::Unknown),
            "{name}"
        );
    }
}

#[tokio::test]
async fn tampered_tokens_are_refused() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let parts: Vec<&str> = token.split('.').collect();
    let mut claims = payload(&token);
    claims["scope"] = json!(["uaa.admin", "everything"]);
    let forged = URL_SAFE_NO_PAD.encode(claims.to_string());
    let none = URL_SAFE_NO_PAD.encode("{\"alg\":\"none\",\"typ\":\"JWT\"}");
    let unknown_key = URL_SAFE_NO_PAD.encode("{\"alg\":\"RS256\",\"kid\":\"other\"}");
    let kid = Call::new("GET", "/token_key")
        .send(&world.uaa)
        .await
        .text("kid")
        .to_owned();
    let symmetric = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": kid}).to_string());
    let other = world.token("admin", ADMIN_PASSWORD).await;
    let other_signature = other.split('.').nth(2).unwrap().to_owned();
    let broken = [
        String::new(),
        "...".to_owned(),
        "a.b.c".to_owned(),
        format!("{}.{forged}.{}", parts[0], parts[2]),
        format!("{none}.{forged}."),
        format!("{none}.{}.", parts[1]),
        format!("{unknown_key}.{}.{}", parts[1], parts[2]),
        format!("{symmetric}.{}.{}", parts[1], parts[2]),
        format!("{}.{}.{other_signature}", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        "x".repeat(1 << 20),
    ];
    for token in broken {
        let shown: String = token.chars().take(60).collect();
        assert_eq!(
            world.uaa.verify(&token),
            Err(TokenError::Unknown),
            "{shown}"
        );
    }
    let answer = Call::new("GET", "/userinfo")
        .bearer("a.b.c")
        .send(&world.uaa)
        .await;
    answer.refused(401, "invalid_token");
    let challenge = answer.headers[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.starts_with("Bearer realm=\"oauth\", error=\"invalid_token\""),
        "{challenge}"
    );
}

#[tokio::test]
async fn a_client_gets_a_long_lived_token_of_its_own() {
    let world = World::new().await;
    let secret = world.doppler_secret().await;
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", "doppler"),
        ("client_secret", &secret),
    ];
    let answer = Call::new("POST", "/oauth/token")
        .form(&fields)
        .send(&world.uaa)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["expires_in"], 12 * 3600 - 1);
    assert!(answer.body.get("refresh_token").is_none());
    let claims = payload(answer.text("access_token"));
    assert_eq!(claims["client_id"], "doppler");
    assert_eq!(claims["sub"], "doppler");
    assert!(
        claims.get("user_name").is_none(),
        "the CLI takes it for a user otherwise"
    );
    assert_eq!(claims["authorities"], claims["scope"]);
    world.advance(12 * 3600 - 1);
    let verified = world.uaa.verify(answer.text("access_token")).unwrap();
    assert_eq!(verified.user, None);
    assert!(verified.has_scope("doppler.firehose"));
    let wider = [&fields[..], &[("scope", "uaa.admin")]].concat();
    let wider = Call::new("POST", "/oauth/token")
        .form(&wider)
        .send(&world.uaa)
        .await;
    wider.refused(400, "invalid_scope");
}

#[tokio::test]
async fn keys_and_secrets_outlive_a_restart() {
    let world = World::new().await;
    let answer = world.log_in("admin", ADMIN_PASSWORD).await;
    let again = world.restarted().await;
    assert!(again.verify(answer.text("access_token")).is_ok());
    let secret = again.client_secret("doppler").await.unwrap().unwrap();
    assert_eq!(*secret.expose(), world.doppler_secret().await);
}

#[tokio::test]
async fn the_first_start_creates_a_key_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let open = || async {
        let path = directory.path().join("cflite.db");
        let vault = crate::db::Vault::open(&directory.path().join("key"), &path).unwrap();
        let parts = crate::uaa::Parts {
            db: crate::db::Db::open(&path).unwrap(),
            vault,
            clock: std::sync::Arc::new(crate::base::SystemClock),
            guids: crate::base::GuidSource::random(),
            issuer: Some("https://uaa.example.com".to_owned()),
        };
        crate::uaa::Uaa::open(parts).await.unwrap()
    };
    let first = Call::new("GET", "/token_key").send(&open().await).await;
    assert!(
        first
            .text("value")
            .starts_with("-----BEGIN PUBLIC KEY-----")
    );
    let uaa = open().await;
    assert_eq!(
        Call::new("GET", "/token_key").send(&uaa).await.body,
        first.body
    );
    let discovery = Call::new("GET", "/.well-known/openid-configuration")
        .send(&uaa)
        .await;
    assert_eq!(
        discovery.text("issuer"),
        "https://uaa.example.com/oauth/token"
    );
    assert_eq!(
        discovery.text("jwks_uri"),
        "http://uaa.cf.localhost:8080/token_keys"
    );
}
