//! A service broker on loopback for scripts: below `/NUMBER` it offers one thing of its own and does
//! at once what it is asked.

use std::net::TcpListener;
use std::sync::OnceLock;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;

/// What it offers below `/NUMBER`.
fn catalog(number: &str) -> Response {
    let plan = |name: &str| {
        json!({
            "id": format!("{name}-{number}"), "name": name, "description": name,
            "maintenance_info": { "version": "2.0.0" },
        })
    };
    Json(json!({ "services": [{
        "id": format!("offering-{number}-id"), "name": format!("offering-{number}"),
        "description": "what there is", "bindable": true, "plan_updateable": true,
        "instances_retrievable": true, "bindings_retrievable": true,
        "metadata": { "shareable": true },
        "plans": [plan("small"), plan("large")],
    }] }))
    .into_response()
}

async fn answer(request: Request) -> Response {
    let (method, path) = (request.method().as_str(), request.uri().path());
    let number = path.split('/').nth(1).unwrap_or_default();
    if path.ends_with("/v2/catalog") {
        return catalog(number);
    }
    let binding = path.contains("/service_bindings/");
    match (method, binding) {
        ("PUT", true) => {
            let made = json!({ "credentials": { "a": "b" } });
            (StatusCode::CREATED, Json(made)).into_response()
        }
        ("PUT", false) => (StatusCode::CREATED, Json(json!({}))).into_response(),
        ("GET", _) => Json(json!({ "parameters": { "a": 1 } })).into_response(),
        _ => Json(json!({})).into_response(),
    }
}

/// Where it listens: one for all scripts of a program.
pub(crate) fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                let served = axum::serve(listener, Router::new().fallback(answer)).await;
                served.expect("requests");
            });
        });
        url
    })
}
