//! Signing in with a browser: for a passcode, and for web clients.

use http::header;
use serde_json::{Value, json};

use crate::uaa::testing::{Answer, Call, World, payload};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A browser: requests pages and keeps cookies.
#[derive(Default)]
struct Browser {
    cookies: Vec<(String, String)>,
}

impl Browser {
    async fn send(&mut self, world: &World, call: Call) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let call = call.header(header::ACCEPT, "text/html,application/xhtml+xml");
        let call = call.header(header::COOKIE, &cookies.join("; "));
        let answer = call.send(&world.uaa).await;
        for line in answer.headers.get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            assert!(line.contains("; HttpOnly; SameSite=Lax"), "{line}");
            let (name, rest) = line.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    async fn get(&mut self, world: &World, path: &str) -> Answer {
        self.send(world, Call::new("GET", path)).await
    }

    async fn post(&mut self, world: &World, path: &str, form: &[(&str, &str)]) -> Answer {
        self.send(world, Call::new("POST", path).form(form)).await
    }

    /// Fills in the log-in form at `path`.
    async fn sign_in(&mut self, world: &World, path: &str, password: &str) -> Answer {
        let page = self.get(world, path).await;
        assert_eq!(page.status, 200, "{page:?}");
        let form = [
            ("X-Uaa-Csrf", field(&page, "X-Uaa-Csrf")),
            ("form_redirect_uri", field(&page, "form_redirect_uri")),
            ("username", "bob".to_owned()),
            ("password", password.to_owned()),
        ];
        let form: Vec<(&str, &str)> = form.iter().map(|(k, v)| (*k, v.as_str())).collect();
        self.post(world, "/login.do", &form).await
    }
}

/// The value of a form's hidden field.
fn field(page: &Answer, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.page.split_once(&start).unwrap();
    let value = rest.split('"').next().unwrap();
    value.replace("&#38;", "&")
}

async fn world() -> World {
    let world = World::new().await;
    world.user("bob", "secret").await;
    world
}

async fn client(world: &World, more: Value) {
    let mut body = json!({
        "client_id": "shop",
        "client_secret": "shop-secret",
        "name": "The <shop>",
        "authorized_grant_types": ["authorization_code", "refresh_token"],
        "scope": ["openid", "cloud_controller.read"],
        "redirect_uri": ["https://shop.example/back"],
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    let call = Call::new("POST", "/oauth/clients").bearer(&world.admin_token().await);
    let made = call.json(&body).send(&world.uaa).await;
    assert_eq!(made.status, 201, "{made:?}");
}

fn authorize(more: &str) -> String {
    format!(
        "/oauth/authorize?response_type=code&client_id=shop&state=a%20b&code_challenge={CHALLENGE}\
         &code_challenge_method=S256&redirect_uri=https://shop.example/back{more}"
    )
}

async fn redeem(world: &World, code: &str, more: &[(&str, &str)]) -> Answer {
    let form = [
        &[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", "https://shop.example/back"),
        ],
        more,
    ]
    .concat();
    Call::new("POST", "/oauth/token")
        .form(&form)
        .send(&world.uaa)
        .await
}

#[tokio::test]
async fn a_passcode_from_the_browser_logs_the_cli_in_once() {
    let world = world().await;
    let prompts = Call::new("GET", "/login").header(header::ACCEPT, "application/json");
    let prompts = prompts.send(&world.uaa).await;
    assert_eq!(
        prompts.body["prompts"]["passcode"],
        json!([
            "password",
            "Temporary Authentication Code ( Get one at http://uaa.cf.localhost:8080/passcode )"
        ])
    );
    let mut browser = Browser::default();
    let asked = browser.get(&world, "/passcode").await;
    let form = asked.location().to_owned();
    let signed_in = browser.sign_in(&world, &form, "secret").await;
    assert_eq!(signed_in.location(), "/passcode");
    let page = browser.get(&world, "/passcode").await;
    let (_, rest) = page.page.split_once("id=\"passcode\">").unwrap();
    let code = rest.split('<').next().unwrap();
    let form = [("grant_type", "password"), ("passcode", code)];
    let log_in = || {
        Call::new("POST", "/oauth/token")
            .basic("cf", "")
            .form(&form)
    };
    let answer = log_in().send(&world.uaa).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(payload(answer.text("access_token"))["user_name"], "bob");
    assert!(answer.body["refresh_token"].is_string());
    log_in().send(&world.uaa).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn passcodes_expire_and_end_with_the_password() {
    let world = world().await;
    let token = world.token("bob", "secret").await;
    let refused = Call::new("GET", "/passcode").bearer(&token);
    refused.send(&world.uaa).await.refused(401, "unauthorized");
    let mut browser = Browser::default();
    browser.sign_in(&world, "/login", "secret").await;
    let cookies: Vec<String> = browser
        .cookies
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let cookies = cookies.join("; ");
    let passcode = async || {
        let call = Call::new("GET", "/passcode").header(header::COOKIE, &cookies);
        let answer = call.send(&world.uaa).await;
        answer.body.as_str().unwrap().to_owned()
    };
    let log_in = async |code: &str| {
        let form = [("grant_type", "password"), ("passcode", code)];
        let call = Call::new("POST", "/oauth/token").basic("cf", "");
        call.form(&form).send(&world.uaa).await
    };
    assert_eq!(log_in(&passcode().await).await.status, 200);
    let (late, ended) = (passcode().await, passcode().await);
    let path = format!(
        "/Users/{}/password",
        payload(&token)["user_id"].as_str().unwrap()
    );
    let body = json!({ "oldPassword": "secret", "password": "other" });
    let changed = Call::new("PUT", &path).bearer(&token).json(&body);
    assert_eq!(changed.send(&world.uaa).await.status, 200);
    log_in(&ended).await.refused(401, "unauthorized");
    world.advance(300);
    log_in(&late).await.refused(401, "unauthorized");
    log_in("nonsense").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_wrong_password_leads_back_to_the_form() {
    let world = world().await;
    let mut browser = Browser::default();
    let refused = browser
        .sign_in(&world, "/login?form_redirect_uri=%2Fpasscode", "wrong")
        .await;
    assert_eq!(refused.parameter("error").as_deref(), Some("login_failure"));
    let form = refused.location().to_owned();
    let page = browser.get(&world, &form).await;
    assert!(page.page.contains("role=\"alert\""));
    assert!(page.page.contains("value=\"bob\""));
    let passed = browser.sign_in(&world, &form, "secret").await;
    assert_eq!(passed.location(), "/passcode");
}

#[tokio::test]
async fn a_form_without_csrf_token_signs_nobody_in() {
    let world = world().await;
    let mut browser = Browser::default();
    browser.get(&world, "/login").await;
    for token in ["", "forged"] {
        let form = [
            ("username", "bob"),
            ("password", "secret"),
            ("X-Uaa-Csrf", token),
        ];
        let refused = browser.post(&world, "/login.do", &form).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        assert!(refused.headers.get(header::SET_COOKIE).is_none());
    }
    let page = browser.get(&world, "/login").await;
    assert!(!page.page.contains("You are signed in"));
}

#[tokio::test]
async fn nobody_is_sent_to_another_site_after_signing_in() {
    let world = world().await;
    for next in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example"] {
        let mut browser = Browser::default();
        let path = format!("/login?form_redirect_uri={next}");
        let signed_in = browser.sign_in(&world, &path, "secret").await;
        assert_eq!(signed_in.location(), "/login");
    }
    let mut browser = Browser::default();
    let out = browser
        .get(&world, "/logout.do?redirect=https://evil.example")
        .await;
    assert_eq!(out.location(), "/login?success=logout");
}

#[tokio::test]
async fn pages_load_nothing_from_other_hosts_and_cannot_be_framed() {
    let world = world().await;
    let page = Browser::default()
        .get(&world, "/login?username=%22%3E%3Cscript%3E")
        .await;
    let policy = page.headers[header::CONTENT_SECURITY_POLICY]
        .to_str()
        .unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"));
    assert!(policy.ends_with("frame-ancestors 'none'"));
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
    assert!(!page.page.contains("<script"));
    assert!(!page.page.contains("//"), "no other host: {}", page.page);
}

#[tokio::test]
async fn signing_out_ends_the_session() {
    let world = world().await;
    let mut browser = Browser::default();
    browser.sign_in(&world, "/login", "secret").await;
    let stolen = Browser {
        cookies: browser.cookies.clone(),
    };
    assert!(browser.get(&world, "/login").await.page.contains("bob"));
    browser.get(&world, "/logout.do").await;
    for mut browser in [browser, stolen] {
        let asked = browser.get(&world, "/passcode").await;
        assert!(asked.location().starts_with("/login?"));
    }
}

#[tokio::test]
async fn sessions_end_on_expiry_and_with_the_password() {
    let world = world().await;
    let mut browser = Browser::default();
    browser.sign_in(&world, "/login", "secret").await;
    world.advance(12 * 3600);
    assert!(browser.get(&world, "/passcode").await.status == 302);
    browser.sign_in(&world, "/login", "secret").await;
    let token = world.token("bob", "secret").await;
    let path = format!(
        "/Users/{}/password",
        payload(&token)["user_id"].as_str().unwrap()
    );
    let body = json!({ "oldPassword": "secret", "password": "other" });
    let changed = Call::new("PUT", &path).bearer(&token).json(&body);
    assert_eq!(changed.send(&world.uaa).await.status, 200);
    assert!(browser.get(&world, "/passcode").await.status == 302);
}

#[tokio::test]
async fn a_web_client_gets_tokens_after_the_user_agreed() {
    let world = world().await;
    client(&world, json!({})).await;
    let mut browser = Browser::default();
    let form = browser.get(&world, &authorize("&nonce=n")).await;
    let form = form.location().to_owned();
    let signed_in = browser.sign_in(&world, &form, "secret").await;
    let next = signed_in.location().to_owned();
    assert_eq!(next, authorize("&nonce=n"));
    let asked = browser.get(&world, &next).await;
    assert_eq!(asked.status, 200, "{asked:?}");
    assert!(asked.page.contains("The &#60;shop&#62;"), "{}", asked.page);
    assert!(asked.page.contains("<code>cloud_controller.read</code>"));
    let request = field(&asked, "request");
    let form = [
        ("request", request.as_str()),
        ("user_oauth_approval", "true"),
    ];
    let forged = browser.post(&world, "/oauth/authorize", &form).await;
    assert_eq!(forged.status, 403);
    let csrf = field(&asked, "X-Uaa-Csrf");
    let form = [&form[..], &[("X-Uaa-Csrf", csrf.as_str())]].concat();
    let agreed = browser.post(&world, "/oauth/authorize", &form).await;
    assert!(agreed.location().starts_with("https://shop.example/back?"));
    assert_eq!(agreed.parameter("state").as_deref(), Some("a b"));
    let secret = [("client_id", "shop"), ("client_secret", "shop-secret")];
    let code = agreed.parameter("code").unwrap();
    redeem(&world, &code, &secret)
        .await
        .refused(400, "invalid_grant");
    // The consent is stored: the next request does not ask.
    let again = browser
        .get(&world, &authorize("&prompt=none&nonce=n"))
        .await;
    let code = again.parameter("code").unwrap();
    let proof = [&secret[..], &[("code_verifier", VERIFIER)]].concat();
    let answer = redeem(&world, &code, &proof).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(payload(answer.text("id_token"))["nonce"], "n");
    assert_eq!(answer.body["scope"], "cloud_controller.read openid");
}

#[tokio::test]
async fn a_user_may_refuse_consent() {
    let world = world().await;
    client(&world, json!({})).await;
    let mut browser = Browser::default();
    browser.sign_in(&world, "/login", "secret").await;
    let asked = browser.get(&world, &authorize("")).await;
    let (request, csrf) = (field(&asked, "request"), field(&asked, "X-Uaa-Csrf"));
    let form = [
        ("request", request.as_str()),
        ("X-Uaa-Csrf", csrf.as_str()),
        ("user_oauth_approval", "false"),
    ];
    let denied = browser.post(&world, "/oauth/authorize", &form).await;
    assert_eq!(denied.parameter("error").as_deref(), Some("access_denied"));
    assert_eq!(denied.parameter("state").as_deref(), Some("a b"));
    assert_eq!(denied.parameter("code"), None);
}

#[tokio::test]
async fn errors_go_to_the_client_but_never_to_unregistered_addresses() {
    let world = world().await;
    client(&world, json!({ "autoapprove": true })).await;
    let mut browser = Browser::default();
    let quiet = browser.get(&world, &authorize("&prompt=none")).await;
    assert_eq!(quiet.parameter("error").as_deref(), Some("login_required"));
    browser.sign_in(&world, "/login", "secret").await;
    for (query, error) in [
        ("&scope=uaa.admin", "invalid_scope"),
        ("&scope=openid%20cloud_controller.write", "invalid_scope"),
    ] {
        let answer = browser.get(&world, &authorize(query)).await;
        assert_eq!(answer.parameter("error").as_deref(), Some(error), "{query}");
    }
    let plain = authorize("").replace("S256", "plain");
    let answer = browser.get(&world, &plain).await;
    assert_eq!(
        answer.parameter("error").as_deref(),
        Some("invalid_request")
    );
    for (path, status) in [
        (authorize("/other"), 400),
        (authorize("").replace("https://shop", "https://evil"), 400),
        (authorize("").replace("=shop", "=nobody"), 401),
    ] {
        let shown = browser.get(&world, &path).await;
        assert_eq!(shown.status, status, "{path}");
        assert!(shown.page.starts_with("<!doctype html>"));
        assert!(shown.headers.get(header::LOCATION).is_none());
    }
}

#[tokio::test]
async fn a_public_client_authenticates_with_its_challenge() {
    let world = world().await;
    let public = json!({ "client_secret": "", "allowpublic": true, "autoapprove": true });
    client(&world, public).await;
    let mut browser = Browser::default();
    browser.sign_in(&world, "/login", "secret").await;
    let bare = "/oauth/authorize?response_type=code&client_id=shop";
    let answer = browser.get(&world, bare).await;
    assert_eq!(
        answer.parameter("error").as_deref(),
        Some("invalid_request")
    );
    let code = browser.get(&world, &authorize("")).await;
    let code = code.parameter("code").unwrap();
    let proof = [("client_id", "shop"), ("code_verifier", VERIFIER)];
    assert_eq!(redeem(&world, &code, &proof).await.status, 200);
}

#[tokio::test]
async fn the_console_gets_codes_at_the_platforms_own_addresses() {
    let world = world().await;
    let mut browser = Browser::default();
    browser.sign_in(&world, "/login", "secret").await;
    let ask = |address: &str| {
        format!(
            "/oauth/authorize?response_type=code&client_id=cflite-console&redirect_uri={address}"
        )
    };
    for own in [
        "http://console.cf.localhost:8080/callback",
        "http://uaa.cf.localhost:8080/console/callback",
    ] {
        let sent = browser.get(&world, &ask(own)).await;
        assert!(sent.location().starts_with(own), "{sent:?}");
        assert!(sent.parameter("code").is_some());
    }
    for foreign in ["http://shop.cf.localhost:8080/callback", "platform:console"] {
        assert_eq!(browser.get(&world, &ask(foreign)).await.status, 400);
    }
}
