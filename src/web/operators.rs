//! What only operators may ask of the platform: the registry's contents, data services and their
//! backups, alerts, health. Pages ask it in process.
//!
//! These routes know no users. A page that asks them checks first that its visitor administers the
//! platform ([`Visitor::operator`]), or sees and may change what it asks about.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use super::show::Refused;
use super::visitor::Visitor;
use crate::base::Secret;

/// The largest answer that a page reads.
const LARGEST: usize = 16 * 1024 * 1024;

/// The routes for operators, as `cflite` asks them on the registry's port.
#[derive(Clone)]
pub struct Operators {
    /// The routes below `/cflite`, with their own checks.
    pub routes: axum::Router,
    /// The value of `Authorization` that they take.
    pub authorization: Secret<String>,
}

#[derive(Deserialize)]
struct Faults {
    errors: Vec<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    message: String,
}

impl Operators {
    async fn send(&self, method: Method, path: &str) -> Result<Response, Refused> {
        match self.ask(method, path).await? {
            Ok(answer) => Ok(answer),
            Err(refused) => Err(refused),
        }
    }

    /// The answer, or why it was refused.
    async fn ask(&self, method: Method, path: &str) -> Result<Result<Response, Refused>, Refused> {
        let fault = |error: &dyn std::fmt::Display| Refused::internal(&format!("{path}: {error}"));
        let authorization = HeaderValue::from_str(self.authorization.expose());
        let authorization = authorization.map_err(|error| fault(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, authorization)
            .body(Body::empty())
            .map_err(|error| fault(&error))?;
        let answer = self.routes.clone().oneshot(request).await;
        let answer = answer.unwrap_or_else(|never| match never {});
        if answer.status().is_success() {
            return Ok(Ok(answer));
        }
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), LARGEST).await;
        let body = body.map_err(|error| fault(&error))?;
        match serde_json::from_slice::<Faults>(&body) {
            Ok(faults) if is_explained(status) => {
                let texts: Vec<String> = faults.errors.into_iter().map(|one| one.message).collect();
                let title = match status {
                    StatusCode::NOT_FOUND => "Not found",
                    StatusCode::SERVICE_UNAVAILABLE => "Not available",
                    _ => "Not accepted",
                };
                Ok(Err(Refused::of(status, title, &texts.join("; "))))
            }
            _ => Err(fault(&format!("the platform answered {status}"))),
        }
    }
}

/// Whether the text of an answer is for people; what is wrong in the platform itself is in its log.
fn is_explained(status: StatusCode) -> bool {
    let is_ours = status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE;
    !is_ours && status != StatusCode::UNAUTHORIZED
}

impl Visitor {
    /// Asks as an operator; only for administrators.
    pub(super) async fn operator<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refused> {
        if !self.is_admin() {
            return Err(Refused::not_found());
        }
        self.entitled(path).await
    }

    /// The same for what the page has found the visitor to be entitled to.
    pub(super) async fn entitled<T: DeserializeOwned>(&self, path: &str) -> Result<T, Refused> {
        let operators = &self.console.parts().operators;
        read(operators.send(Method::GET, path).await?, path).await
    }

    /// The same; `None` when there is no such thing.
    pub(super) async fn entitled_to_find<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, Refused> {
        let operators = &self.console.parts().operators;
        match operators.ask(Method::GET, path).await? {
            Ok(answer) => read(answer, path).await.map(Some),
            Err(refused) if refused.status() == StatusCode::NOT_FOUND => Ok(None),
            Err(refused) => Err(refused),
        }
    }

    /// Has something done that the page has found the visitor to be entitled to.
    pub(super) async fn entitled_to(&self, method: Method, path: &str) -> Result<(), Refused> {
        let operators = &self.console.parts().operators;
        operators.send(method, path).await?;
        Ok(())
    }

    /// A file of which the page has found the visitor to be entitled to.
    pub(super) async fn entitled_file(&self, path: &str) -> Result<Response, Refused> {
        self.console.parts().operators.send(Method::GET, path).await
    }
}

/// The document of an answer.
async fn read<T: DeserializeOwned>(answer: Response, path: &str) -> Result<T, Refused> {
    let body = axum::body::to_bytes(answer.into_body(), LARGEST).await;
    let body = body.map_err(|error| Refused::internal(&format!("{path}: {error}")))?;
    let mut reader = serde_json::Deserializer::from_slice(&body);
    let read = serde_path_to_error::deserialize(&mut reader);
    read.map_err(|error| Refused::internal(&format!("{path} is not as expected: {error}")))
}
