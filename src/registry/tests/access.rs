//! Who may do what.

use async_trait::async_trait;

use super::service::Service;
use super::*;

/// Ann may pull from `a` and push to `b`; a bearer may do everything; the rest is unknown.
struct Rules;

#[async_trait]
impl Access for Rules {
    async fn authorize(
        &self,
        credentials: &Credentials,
        repository: Option<&RepositoryName>,
        action: Action,
    ) -> Result<(), Denied> {
        match credentials {
            Credentials::Bearer(token) if token.expose() == "t0ken" => Ok(()),
            Credentials::Bearer(_) => Err(Denied::Failed("no database".to_owned())),
            Credentials::Basic { user, password } if user == "ann" && password.expose() == "pw" => {
                let name = repository.map(RepositoryName::as_str);
                match (name, action) {
                    (None, _) | (Some("a"), Action::Pull) | (Some("b"), Action::Push) => Ok(()),
                    _ => Err(Denied::Forbidden("ann may not do this".to_owned())),
                }
            }
            _ => Err(Denied::Unauthorized("log in".to_owned())),
        }
    }

    async fn operate(&self, _: &Credentials) -> Result<(), Denied> {
        Err(Denied::Forbidden("nobody operates it".to_owned()))
    }
}

async fn service() -> Service {
    let mut f = fixture();
    f.registry = f.registry.with_access(Arc::new(Rules), Arc::new(NoApps));
    Service::of(f).await
}

#[tokio::test]
async fn others_than_the_platform_are_asked_of_the_access() {
    let s = service().await;
    let digest = s.push("a", b"blob").await;
    let blob = format!("/v2/a/blobs/{digest}");
    for (method, path, status) in [
        ("GET", "/v2/", 200),
        ("GET", &*blob, 200),
        ("DELETE", &blob, 403),
        ("POST", "/v2/a/blobs/uploads/", 403),
        ("POST", "/v2/b/blobs/uploads/", 202),
        ("GET", "/v2/b/tags/list", 403),
        ("PUT", "/v2/a/manifests/x", 403),
        ("DELETE", "/v2/b/manifests/x", 403),
    ] {
        let ann = s.request(method, path).basic_auth("ann", Some("pw"));
        let mut headers = ann.build().expect("request");
        // In place of the platform's.
        let value = headers
            .headers()
            .get_all("authorization")
            .iter()
            .next_back();
        let value = value.expect("credentials").clone();
        headers.headers_mut().insert("authorization", value);
        let answer = crate::net::http_client::plain()
            .build()
            .expect("client")
            .execute(headers)
            .await
            .expect("answer");
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
    }
}

async fn anonymous(s: &Service, method: &str, path: &str, value: &str) -> (u16, Value, bool) {
    let url = format!("http://{}{path}", s.address);
    let method = reqwest::Method::from_bytes(method.as_bytes()).expect("method");
    let request = crate::net::http_client::plain()
        .build()
        .expect("client")
        .request(method, url);
    let answer = request.header("authorization", value).send().await;
    let answer = answer.expect("answer");
    let challenge = answer.headers().get("www-authenticate");
    let challenged = challenge.is_some_and(|value| value == "Basic realm=\"cflite\"");
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("body");
    (
        status,
        serde_json::from_slice(&body).expect("json"),
        challenged,
    )
}

#[tokio::test]
async fn refusals_say_why() {
    let s = service().await;
    let ann = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("ann:pw")
    );
    let cases = [
        ("Basic !", 401, "UNAUTHORIZED", "log in"),
        (&*ann, 403, "DENIED", "ann may not do this"),
        (
            "Bearer other",
            500,
            "UNKNOWN",
            "the registry failed; its log has the cause",
        ),
    ];
    for (value, status, code, text) in cases {
        let (found, body, challenged) = anonymous(&s, "GET", "/v2/b/tags/list", value).await;
        assert_eq!(found, status);
        assert_eq!(body["errors"][0]["code"], code);
        assert_eq!(body["errors"][0]["message"], text);
        assert_eq!(challenged, status == 401);
    }
    let (status, _, _) = anonymous(&s, "GET", "/v2/", "Bearer t0ken").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_mount_needs_the_right_to_read_the_source() {
    let s = service().await;
    let readable = s.push("a", b"readable").await;
    let secret = s.push("secret", b"secret").await;
    let ann = format!(
        "Basic {}",
        base64::engine::general_purpose::STANDARD.encode("ann:pw")
    );
    for (query, status) in [
        (format!("mount={readable}&from=a"), 201),
        (format!("mount={readable}"), 201),
        (format!("mount={secret}&from=secret"), 202),
        (format!("mount={secret}"), 202),
    ] {
        let url = format!("http://{}/v2/b/blobs/uploads/?{query}", s.address);
        let request = crate::net::http_client::plain()
            .build()
            .expect("client")
            .post(url);
        let answer = request.header("authorization", &ann).send().await;
        assert_eq!(answer.expect("answer").status().as_u16(), status, "{query}");
    }
}

#[tokio::test]
async fn without_an_access_only_the_platform_has_any() {
    let s = Service::start().await;
    let (status, body, challenged) = anonymous(&s, "GET", "/v2/", "Bearer t0ken").await;
    assert_eq!((status, challenged), (401, true));
    let text = "log in as cflite with the registry's token";
    assert_eq!(body["errors"][0]["message"], text);
}
