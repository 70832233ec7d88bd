//! One-time codes, token introspection, and signing out.

use std::net::{IpAddr, Ipv4Addr};

use http::header;
use serde_json::json;

use crate::base::Secret;
use crate::uaa::TokenError;
use crate::uaa::testing::{ADMIN_PASSWORD, Answer, Call, World, payload};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const SSH: &str = "/oauth/authorize?response_type=code&client_id=ssh-proxy";

async fn authorize(world: &World, path: &str, token: &str) -> Answer {
    Call::new("GET", path).bearer(token).send(&world.uaa).await
}

fn code_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 302, "{answer:?}");
    let location = answer.headers[header::LOCATION].to_str().unwrap();
    let location = url::Url::parse(location).unwrap();
    assert_eq!(location.host_str(), Some("uaa.cf.localhost"));
    let code = location
        .query_pairs()
        .find(|(name, _)| name == "code")
        .unwrap()
        .1
        .into_owned();
    assert!(code.len() >= 32);
    code
}

async fn redeem(world: &World, code: &str, more: &[(&str, &str)]) -> Answer {
    let secret = world.uaa.client_secret("ssh-proxy").await.unwrap().unwrap();
    let form = [
        &[("grant_type", "authorization_code"), ("code", code)],
        more,
    ]
    .concat();
    let call = Call::new("POST", "/oauth/token").basic("ssh-proxy", secret.expose());
    call.form(&form).send(&world.uaa).await
}

#[tokio::test]
async fn an_ssh_code_counts_once_and_within_five_minutes() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    let token = world.token("bob", "secret").await;
    let code = code_of(&authorize(&world, SSH, &token).await);
    let answer = redeem(&world, &code, &[]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.get("refresh_token").is_none());
    let claims = payload(answer.text("access_token"));
    assert_eq!(claims["user_name"], "bob");
    assert_eq!(claims["client_id"], "ssh-proxy");
    assert_eq!(claims["grant_type"], "authorization_code");
    redeem(&world, &code, &[])
        .await
        .refused(400, "invalid_grant");
    let token = world.token("bob", "secret").await;
    let late = code_of(&authorize(&world, SSH, &token).await);
    world.advance(300);
    redeem(&world, &late, &[])
        .await
        .refused(400, "invalid_grant");
    redeem(&world, "nonsense", &[])
        .await
        .refused(400, "invalid_grant");
}

#[tokio::test]
async fn the_ssh_server_redeems_codes_without_http() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let code = Secret::new(code_of(&authorize(&world, SSH, &token).await));
    let claims = world
        .uaa
        .redeem_ssh_code(&code, LOOPBACK)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(claims.user_name.as_deref(), Some("admin"));
    assert!(claims.has_scope("cloud_controller.admin"));
    assert!(
        world
            .uaa
            .redeem_ssh_code(&code, LOOPBACK)
            .await
            .unwrap()
            .is_none()
    );
}

const REFUSED: [(&str, u16, &str); 8] = [
    (
        "/oauth/authorize?response_type=code",
        400,
        "invalid_request",
    ),
    (
        "/oauth/authorize?client_id=ssh-proxy",
        400,
        "invalid_request",
    ),
    (
        "/oauth/authorize?response_type=token&client_id=ssh-proxy",
        400,
        "unsupported_response_type",
    ),
    (
        "/oauth/authorize?response_type=code&client_id=nobody",
        401,
        "invalid_client",
    ),
    (
        "/oauth/authorize?response_type=code&client_id=cf",
        401,
        "invalid_client",
    ),
    (
        "/oauth/authorize?response_type=code&client_id=ssh-proxy&redirect_uri=http://evil.example",
        400,
        "invalid_request",
    ),
    (
        "/oauth/authorize?response_type=code&client_id=ssh-proxy&code_challenge=x",
        400,
        "invalid_request",
    ),
    (
        "/oauth/authorize?response_type=code&client_id=ssh-proxy&scope=uaa.admin",
        400,
        "invalid_scope",
    ),
];

#[tokio::test]
async fn codes_need_a_user_and_a_client_that_may_use_them() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let get = |path: &'static str| {
        let token = token.clone();
        let world = &world;
        async move { authorize(world, path, &token).await }
    };
    Call::new("GET", SSH)
        .send(&world.uaa)
        .await
        .refused(401, "unauthorized");
    let empty = Call::new("GET", SSH)
        .header(header::AUTHORIZATION, "")
        .send(&world.uaa)
        .await;
    empty.refused(401, "unauthorized");
    for (path, status, error) in REFUSED {
        get(path).await.refused(status, error);
    }
}

#[tokio::test]
async fn a_code_with_a_challenge_takes_its_verifier() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let path = format!(
        "{SSH}&state=a%26b&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
         &code_challenge_method=S256"
    );
    let verifier = (
        "code_verifier",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    );
    let answer = authorize(&world, &path, &token).await;
    assert!(
        answer.headers[header::LOCATION]
            .to_str()
            .unwrap()
            .ends_with("&state=a%26b")
    );
    assert_eq!(
        redeem(&world, &code_of(&answer), &[verifier]).await.status,
        200
    );
    let code = code_of(&authorize(&world, &path, &token).await);
    redeem(&world, &code, &[])
        .await
        .refused(400, "invalid_grant");
    redeem(&world, &code, &[verifier])
        .await
        .refused(400, "invalid_grant");
    let code = Secret::new(code_of(&authorize(&world, &path, &token).await));
    assert!(
        world
            .uaa
            .redeem_ssh_code(&code, LOOPBACK)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn codes_end_with_the_users_password() {
    let world = World::new().await;
    let bob = world.user("bob", "secret").await;
    let token = world.token("bob", "secret").await;
    let code = code_of(&authorize(&world, SSH, &token).await);
    let body = json!({"password": "new"});
    let path = format!("/Users/{}/password", bob.guid);
    let admin = world.admin_token().await;
    let changed = Call::new("PUT", &path)
        .bearer(&admin)
        .json(&body)
        .send(&world.uaa)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    redeem(&world, &code, &[])
        .await
        .refused(400, "invalid_grant");
}

#[tokio::test]
async fn resource_clients_introspect_tokens() {
    let world = World::new().await;
    let secret = world.doppler_secret().await;
    let token = world.admin_token().await;
    let ask = |path: &'static str, token: String| {
        let call = Call::new("POST", path)
            .basic("doppler", &secret)
            .form(&[("token", &token)]);
        call.send(&world.uaa)
    };
    let checked = ask("/check_token", token.clone()).await;
    assert_eq!(checked.body, payload(&token));
    for (scopes, status) in [("openid,uaa.user", 200), ("openid,acme.read", 400)] {
        let form = [("token", token.as_str()), ("scopes", scopes)];
        let call = Call::new("POST", "/check_token").basic("doppler", &secret);
        assert_eq!(call.form(&form).send(&world.uaa).await.status, status);
    }
    let seen = ask("/introspect", token.clone()).await;
    assert_eq!(seen.body["active"], true);
    assert_eq!(seen.body["user_name"], "admin");
    ask("/check_token", "a.b.c".to_owned())
        .await
        .refused(400, "invalid_token");
    assert_eq!(
        ask("/introspect", "a.b.c".to_owned()).await.body,
        json!({"active": false})
    );
    world.advance(600);
    ask("/check_token", token.clone())
        .await
        .refused(400, "invalid_token");
    assert_eq!(
        ask("/introspect", token).await.body,
        json!({"active": false})
    );
    ask("/check_token", String::new())
        .await
        .refused(400, "invalid_request");
}

#[tokio::test]
async fn others_cannot_introspect_tokens() {
    let world = World::new().await;
    let token = world.admin_token().await;
    for path in ["/check_token", "/introspect"] {
        let form = |call: Call| call.form(&[("token", &token)]).send(&world.uaa);
        form(Call::new("POST", path))
            .await
            .refused(401, "unauthorized");
        form(Call::new("POST", path).basic("doppler", "wrong"))
            .await
            .refused(401, "unauthorized");
        form(Call::new("POST", path).basic("cf", ""))
            .await
            .refused(403, "access_denied");
    }
    let bearer = Call::new("POST", "/introspect")
        .bearer(&token)
        .form(&[("token", &token)]);
    bearer
        .send(&world.uaa)
        .await
        .refused(403, "insufficient_scope");
}

#[tokio::test]
async fn userinfo_describes_the_caller() {
    let world = World::new().await;
    let token = world.admin_token().await;
    let answer = Call::new("GET", "/userinfo")
        .bearer(&token)
        .send(&world.uaa)
        .await;
    assert_eq!(answer.text("user_name"), "admin");
    assert_eq!(answer.body["sub"], payload(&token)["sub"]);
    Call::new("GET", "/userinfo")
        .send(&world.uaa)
        .await
        .refused(401, "unauthorized");
}

#[tokio::test]
async fn signing_out_ends_both_tokens_for_good() {
    let world = World::new().await;
    let answer = world.log_in("admin", ADMIN_PASSWORD).await;
    let (access, refresh) = (answer.text("access_token"), answer.text("refresh_token"));
    // As the CLI does: each token revokes itself.
    for token in [refresh, access] {
        let path = format!(
            "/oauth/token/revoke/{}",
            payload(token)["jti"].as_str().unwrap()
        );
        let done = Call::new("DELETE", &path)
            .bearer(token)
            .send(&world.uaa)
            .await;
        assert_eq!(done.status, 200, "{done:?}");
        Call::new("DELETE", &path)
            .bearer(token)
            .send(&world.uaa)
            .await
            .refused(401, "invalid_token");
    }
    world.refresh(refresh).await.refused(401, "invalid_token");
    assert_eq!(world.uaa.verify(access), Err(TokenError::Revoked));
    assert_eq!(
        world.restarted().await.verify(access),
        Err(TokenError::Revoked)
    );
    assert_eq!(world.log_in("admin", ADMIN_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn only_ones_own_tokens_can_be_revoked_unless_one_is_an_administrator() {
    let world = World::new().await;
    world.user("bob", "secret").await;
    world.user("eve", "secret").await;
    let bob = world.log_in("bob", "secret").await;
    let eve = world.log_in("eve", "secret").await;
    let id = payload(bob.text("refresh_token"))["jti"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/oauth/token/revoke/{id}");
    for token in ["access_token", "refresh_token"] {
        let refused = Call::new("DELETE", &path)
            .bearer(eve.text(token))
            .send(&world.uaa)
            .await;
        refused.refused(403, "insufficient_scope");
    }
    let unknown = Call::new("DELETE", "/oauth/token/revoke/x").bearer(eve.text("access_token"));
    unknown.send(&world.uaa).await.refused(404, "not_found");
    assert_eq!(world.refresh(bob.text("refresh_token")).await.status, 200);
    let admin = world.admin_token().await;
    assert_eq!(
        Call::new("DELETE", &path)
            .bearer(&admin)
            .send(&world.uaa)
            .await
            .status,
        200
    );
    world
        .refresh(bob.text("refresh_token"))
        .await
        .refused(401, "invalid_token");
}

#[tokio::test]
async fn log_in_prompts_and_clients_are_shown() {
    let world = World::new().await;
    let login = Call::new("GET", "/login")
        .header(header::AUTHORIZATION, "")
        .send(&world.uaa)
        .await;
    assert_eq!(login.status, 200);
    for prompt in login.body["prompts"].as_object().unwrap().values() {
        assert_eq!(prompt.as_array().unwrap().len(), 2);
    }
    assert_eq!(login.body["links"]["login"], "http://uaa.cf.localhost:8080");
    let admin = world.admin_token().await;
    let get = |id: &str, token: &str| {
        Call::new("GET", &format!("/oauth/clients/{id}"))
            .bearer(token)
            .send(&world.uaa)
    };
    let client = get("ssh-proxy", &admin).await;
    assert_eq!(client.text("client_id"), "ssh-proxy");
    let secret = world.uaa.client_secret("ssh-proxy").await.unwrap().unwrap();
    assert!(!client.body.to_string().contains(secret.expose()));
    get("nobody", &admin).await.refused(404, "not_found");
    world.user("bob", "secret").await;
    let bob = world.token("bob", "secret").await;
    get("cf", &bob).await.refused(403, "insufficient_scope");
}
