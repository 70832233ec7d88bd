//! What clients request before they log in: `/login`, `/info` and OpenID Connect discovery.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::Uaa;
use super::caller::Base;
use super::clients::GrantType;

/// The UAA release whose behaviour this implements; the CLI refuses `auth --origin` below 4.26.
const COMPATIBLE_VERSION: &str = "77.30.0";

/// `GET /login`: the prompts for a log-in. Needs no token; the CLI sends an empty header.
pub(crate) async fn login(Base(base): Base) -> Json<Value> {
    Json(json!({
        "app": { "version": COMPATIBLE_VERSION },
        "links": { "uaa": base, "login": base },
        "zone_name": "uaa",
        "entityID": "cflite",
        "idpDefinitions": {},
        "commit_id": env!("CARGO_PKG_VERSION"),
        "prompts": {
            "username": ["text", "Email"],
            "password": ["password", "Password"],
            "passcode": [
                "password",
                format!("Temporary Authentication Code ( Get one at {base}/passcode )"),
            ],
        },
    }))
}

/// `GET /.well-known/openid-configuration`.
pub(crate) async fn discovery(State(uaa): State<Uaa>, Base(base): Base) -> Json<Value> {
    let at = |path: &str| format!("{base}{path}");
    Json(json!({
        "issuer": uaa.issuer(&base),
        "authorization_endpoint": at("/oauth/authorize"),
        "token_endpoint": at("/oauth/token"),
        "userinfo_endpoint": at("/userinfo"),
        "introspection_endpoint": at("/introspect"),
        "jwks_uri": at("/token_keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "grant_types_supported": GrantType::ALL.map(GrantType::as_str),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query"],
        "scopes_supported": ["openid", "profile", "user_attributes", "roles"],
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": false,
        "claims_supported": [
            "sub", "user_name", "origin", "iss", "auth_time", "aud", "azp", "exp", "iat",
            "email", "email_verified", "given_name", "family_name",
        ],
    }))
}
