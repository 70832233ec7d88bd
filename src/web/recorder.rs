//! Remembers the last API calls of the cf CLI and the changes that the console made, to show what a
//! push does: methods, paths, statuses and times, no bodies and no tokens.
//!
//! Bounded by [`MOST`] calls, oldest first out. In memory only: it explains, nothing depends on it.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, Method, header};

use crate::base::{Clock, Timestamp};
use crate::uaa::Uaa;

/// Calls that are remembered.
const MOST: usize = 4000;
/// Bytes of a path that are remembered.
const LONGEST_PATH: usize = 400;

/// A call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) at: Timestamp,
    pub(super) micros: u64,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) status: u16,
    /// The guid of the user.
    pub(super) user: String,
    /// Tells sessions apart; means nothing after a restart.
    session: u64,
}

/// The calls of this process; cheap to clone.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    uaa: Uaa,
    hasher: RandomState,
    calls: Calls,
}

impl Recorder {
    /// An empty one, for users of this UAA.
    pub fn new(clock: Arc<dyn Clock>, uaa: Uaa) -> Self {
        Self(Arc::new(Inner {
            clock,
            uaa,
            hasher: RandomState::new(),
            calls: Calls::default(),
        }))
    }

    /// Remembers a request that passes, if it is one to remember.
    pub async fn record(State(recorder): State<Self>, request: Request, next: Next) -> Response {
        let Some(user) = recorder.caller(request.method(), request.headers()) else {
            return next.run(request).await;
        };
        let authorization = request.headers().get(header::AUTHORIZATION);
        let session = recorder
            .0
            .hasher
            .hash_one(authorization.map(http::HeaderValue::as_bytes));
        let method = request.method().clone();
        let path = request
            .uri()
            .path_and_query()
            .map_or("", |path| path.as_str());
        // Paths are ASCII.
        let path = path.get(..LONGEST_PATH).unwrap_or(path).to_owned();
        let (at, begin) = (recorder.0.clock.now(), std::time::Instant::now());
        let response = next.run(request).await;
        let status = response.status().as_u16();
        recorder.0.calls.add(Call {
            at,
            micros: u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX),
            method,
            path,
            status,
            user,
            session,
        });
        response
    }

    /// The user of a call to remember: all of the cf CLI's, and the changes of the console. Whoever
    /// has no valid token leaves nothing here.
    fn caller(&self, method: &Method, headers: &HeaderMap) -> Option<String> {
        let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
        let remembered = agent.starts_with("cf/")
            || agent.starts_with("cf ")
            || agent == super::api::AGENT && *method != Method::GET;
        if !remembered {
            return None;
        }
        let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let claims = self.0.uaa.verify(authorization).ok()?;
        Some(claims.user?.to_string())
    }

    /// The calls around one whose path has one of `guids`, of the same session and without a pause
    /// of more than `pause` seconds: a command of the CLI.
    pub(super) fn around(&self, guids: &[&str], pause: i64) -> Vec<Call> {
        self.0.calls.around(guids, pause)
    }
}

/// The last calls.
#[derive(Default)]
struct Calls(Mutex<VecDeque<Call>>);

impl Calls {
    fn add(&self, call: Call) {
        let mut calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == MOST {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    fn around(&self, guids: &[&str], pause: i64) -> Vec<Call> {
        let calls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = |call: &Call| guids.iter().any(|guid| call.path.contains(guid));
        let Some(anchor) = calls.iter().position(names) else {
            return Vec::new();
        };
        let session = calls[anchor].session;
        let near = |earlier: &Call, later: &Call| {
            let ended = earlier.at.as_micros() + i64::try_from(earlier.micros).unwrap_or(0);
            later.at.as_micros() - ended <= pause * 1_000_000
        };
        let mut found: VecDeque<Call> = VecDeque::from([calls[anchor].clone()]);
        for call in calls
            .range(..anchor)
            .rev()
            .filter(|call| call.session == session)
        {
            if !near(call, &found[0]) {
                break;
            }
            found.push_front(call.clone());
        }
        for call in calls
            .range(anchor + 1..)
            .filter(|call| call.session == session)
        {
            if !found.back().is_some_and(|last| near(last, call)) {
                break;
            }
            found.push_back(call.clone());
        }
        found.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(calls: &Calls, second: i64, path: &str, session: u64) {
        calls.add(Call {
            at: Timestamp::from_micros(second * 1_000_000),
            micros: 1000,
            method: Method::GET,
            path: path.to_owned(),
            status: 200,
            user: "u".to_owned(),
            session,
        });
    }

    #[test]
    fn a_command_is_what_one_session_does_without_a_pause() {
        let calls = Calls::default();
        call(&calls, 0, "/v3/apps", 1);
        call(&calls, 100, "/v3/spaces", 1);
        call(&calls, 101, "/v3/apps?other", 2);
        call(&calls, 102, "/v3/packages/one/upload", 1);
        call(&calls, 105, "/v3/builds/two", 1);
        call(&calls, 200, "/v3/apps", 1);
        let found = calls.around(&["one"], 10);
        let paths: Vec<&str> = found.iter().map(|call| call.path.as_str()).collect();
        assert_eq!(
            paths,
            ["/v3/spaces", "/v3/packages/one/upload", "/v3/builds/two"]
        );
        assert!(calls.around(&["unknown"], 10).is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let calls = Calls::default();
        for second in 0..MOST + 10 {
            call(&calls, i64::try_from(second).expect("small"), "/v3/apps", 1);
        }
        assert_eq!(calls.around(&["/v3/apps"], 10).len(), MOST);
    }
}
