//! Goes on with a push after its package was stored: stages it, makes the droplet the current one,
//! starts the app.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::package::Package;
use crate::base::Secret;
use crate::net::RequestBase;
use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::api::{Api, Failure, List};
use crate::web::visitor::Visitor;

/// Pushes on their way at once.
const MOST: usize = 64;
/// Refusals that are remembered.
const MOST_REFUSED: usize = 200;
/// The longest push: a bit more than the platform's limit for staging.
const PATIENCE: Duration = Duration::from_secs(1200);
const PAUSE: Duration = Duration::from_millis(300);

/// The pushes that this process drives.
#[derive(Clone, Default)]
pub(in crate::web) struct Pushes(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    /// By the guids of their packages.
    driven: HashSet<String>,
    /// What the API refused last of pushes, which is in no row.
    refused: VecDeque<(String, String)>,
}

/// Why a push ended early.
enum Stop {
    /// A package or a build failed, which its row tells.
    InRows,
    Refused(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

/// Takes a push off the list when its end comes, whatever that is.
struct Driven {
    pushes: Pushes,
    package: String,
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.pushes.known().driven.remove(&self.package);
    }
}

/// Who pushes: the session, as a push takes longer than an access token is valid.
struct Pusher {
    console: Console,
    base: RequestBase,
    secret: Secret<String>,
}

impl Pusher {
    async fn api(&self) -> Result<Api, Failure> {
        let session = self.console.session(&self.base, self.secret.clone()).await;
        match session {
            Ok(Some(session)) => Ok(Api::new(
                self.console.clone(),
                self.base.clone(),
                &session.access,
            )),
            Ok(None) => Err(Failure::Internal("the session of a push ended".to_owned())),
            Err(error) => Err(Failure::Internal(error.to_string())),
        }
    }
}

impl Pushes {
    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process drives the push of a package.
    pub(super) fn drives(&self, package: &str) -> bool {
        self.known().driven.contains(package)
    }

    /// Why the API refused a step of a push.
    pub(super) fn refusal(&self, package: &str) -> Option<String> {
        let known = self.known();
        let mut refused = known.refused.iter();
        let found = refused.find(|(of, _)| of == package)?;
        Some(found.1.clone())
    }

    fn refuse(&self, package: &str, failure: &Failure) {
        let text = match failure {
            Failure::Api { .. } => failure.to_string(),
            Failure::Internal(cause) => {
                tracing::error!(cause, "the console cannot go on with a push");
                "The platform could not go on. Its log (cflite logs) has the reason.".to_owned()
            }
        };
        let mut known = self.known();
        known.refused.retain(|(of, _)| of != package);
        if known.refused.len() == MOST_REFUSED {
            known.refused.pop_front();
        }
        known.refused.push_back((package.to_owned(), text));
    }

    /// Drives a push to its end; false when too many are on their way. One that is driven goes on.
    pub(super) fn begin(&self, visitor: &Visitor, app: &str, package: &str) -> bool {
        {
            let mut known = self.known();
            if known.driven.contains(package) {
                return true;
            }
            if known.driven.len() >= MOST {
                return false;
            }
            known.refused.retain(|(of, _)| of != package);
            known.driven.insert(package.to_owned());
        }
        let driven = Driven {
            pushes: self.clone(),
            package: package.to_owned(),
        };
        let pusher = Pusher {
            console: visitor.console.clone(),
            base: visitor.base().clone(),
            secret: visitor.session.secret.clone(),
        };
        let app = app.to_owned();
        let supervisor = &visitor.console.parts().supervisor;
        let token = supervisor.token();
        supervisor.once(async move {
            let work = push(&pusher, &app, &driven.package);
            let ended = tokio::select! {
                // The page of the push offers to continue it.
                () = token.cancelled() => return,
                ended = tokio::time::timeout(PATIENCE, work) => ended,
            };
            match ended {
                Ok(Ok(()) | Err(Stop::InRows)) => {}
                Ok(Err(Stop::Refused(failure))) => driven.pushes.refuse(&driven.package, &failure),
                Err(_) => tracing::warn!(app = %app, "a push of the console took too long"),
            }
        });
        true
    }
}

#[derive(Deserialize)]
struct Build {
    guid: String,
    state: String,
    droplet: Option<Named>,
}

async fn push(pusher: &Pusher, app: &str, package: &str) -> Result<(), Stop> {
    let path = format!("/v3/packages/{package}");
    loop {
        let package: Package = pusher.api().await?.get(&path).await?;
        match package.state.as_str() {
            "READY" => break,
            "FAILED" | "EXPIRED" => return Err(Stop::InRows),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
    let droplet = staged(pusher, package).await?;
    let api = pusher.api().await?;
    let path = format!("/v3/apps/{app}/relationships/current_droplet");
    api.patch(&path, json!({ "data": { "guid": droplet } }))
        .await?;
    let restart = format!("/v3/apps/{app}/actions/restart");
    api.post(&restart, json!({})).await?;
    Ok(())
}

/// The droplet of a package: that of the build that there is, or of a new one.
async fn staged(pusher: &Pusher, package: &str) -> Result<String, Stop> {
    let api = pusher.api().await?;
    let path = format!("/v3/builds?package_guids={package}&order_by=-created_at&per_page=1");
    let builds: List<Build> = api.list(&path).await?;
    let known = builds
        .resources
        .into_iter()
        .find(|build| build.state != "FAILED");
    let build = match known {
        Some(build) => build.guid,
        None => {
            let body = json!({ "package": { "guid": package } });
            api.post("/v3/builds", body).await?.guid()?
        }
    };
    let path = format!("/v3/builds/{build}");
    loop {
        let build: Build = pusher.api().await?.get(&path).await?;
        match (build.state.as_str(), build.droplet) {
            ("STAGED", Some(droplet)) => return Ok(droplet.guid),
            ("FAILED", _) => return Err(Stop::InRows),
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}
