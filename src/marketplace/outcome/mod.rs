//! What an answer means, and whether something may be left behind at the broker.
//!
//! Pure: [`outcome`] maps every reply to every request. The texts are Cloud Controller's
//! (`lib/services/service_brokers/v2`), the broker's own words in them.
//!
//! Decisions, where the API's text and Cloud Controller differ about removing what may be left behind:
//! - As Cloud Controller: also after 410, or 422 with an unknown error, to a request that creates; after
//!   a failed deletion it is the user who deletes again.
//! - As the API: an answer that broke off may have done its work, as one that did not come.
//! - A redirect is not followed; whether its target did anything is unknown.

mod texts;

use std::time::Duration;

use serde_json::{Map, Value};

use super::client::Reply;
use super::request::{Aim, Declared, Request};
use super::volume_mounts;
use texts::{described, status_text};

/// Longest name of an operation.
const LONGEST_OPERATION: usize = 10_000;
/// Longest URL of a drain.
const LONGEST_DRAIN: usize = 10_000;
/// Longest JSON of volume mounts.
const LONGEST_MOUNTS: usize = 65_535;

const MISTAKEN_DRAIN: &str = "The service is attempting to stream logs from your application, but is not registered \
    as a logging service. Please contact the service provider.";
const NOT_RETRIEVABLE: &str =
    "The broker responded asynchronously but does not support fetching binding data";

/// What a broker said when it did what was asked, or began to.
#[derive(Clone, Default, PartialEq)]
pub struct Answer {
    /// The whole body.
    pub body: Map<String, Value>,
}

/// Leaves the body out: it may hold credentials.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Answer")
    }
}

impl Answer {
    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name)?.as_str()
    }

    /// An object.
    pub fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.body.get(name)?.as_object()
    }
}

/// Which kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// No answer in time.
    TimedOut,
    /// Nobody answers there.
    Unreachable,
    /// An answer that the API does not know.
    BadResponse,
    /// A body that the API does not know.
    Malformed,
    /// 4xx.
    Rejected,
    /// 401.
    Authentication,
    /// 409.
    Conflict,
    /// 422: only possible asynchronously.
    AsyncRequired,
    /// 422: something else is going on.
    Concurrency,
    /// 422: the catalog has changed.
    MaintenanceInfoConflict,
    /// 422: keys are refused.
    AppRequired,
    /// 202 to a bind whose result could not be fetched.
    NotRetrievable,
}

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which kind.
    pub kind: FaultKind,
    /// For the user.
    pub text: String,
    /// Whether the broker may have made something nobody knows of, which has to be deleted.
    pub mitigate: bool,
    /// Status and its name, if there was an answer.
    pub status: Option<(u16, &'static str)>,
}

/// What a reply means.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is done.
    Done(Answer),
    /// It was begun.
    Accepted(Answer),
    /// It goes on, as the broker said or as nothing else is known.
    InProgress {
        /// How far it is.
        description: Option<String>,
        /// When to ask again.
        retry_after: Option<Duration>,
    },
    /// The broker says that the operation failed.
    OperationFailed {
        /// Why.
        description: Option<String>,
    },
    /// It was not done.
    Failed(Fault),
}

/// Which request, as far as its answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Catalog,
    Provision,
    Update,
    Deprovision,
    Bind(Declared),
    Unbind,
    LastOperation(Aim),
    FetchInstance,
    FetchBinding(Declared),
}

impl Call {
    fn of(request: &Request) -> Self {
        match request {
            Request::Catalog => Self::Catalog,
            Request::Provision { .. } => Self::Provision,
            Request::Update { .. } => Self::Update,
            Request::Deprovision { .. } => Self::Deprovision,
            Request::Bind { declared, .. } => Self::Bind(*declared),
            Request::Unbind { .. } => Self::Unbind,
            Request::LastOperation { aim, .. } => Self::LastOperation(*aim),
            Request::FetchInstance { .. } => Self::FetchInstance,
            Request::FetchBinding { declared, .. } => Self::FetchBinding(*declared),
        }
    }

    /// Whether the broker makes something that would be left behind.
    fn creates(self) -> bool {
        matches!(self, Self::Provision | Self::Bind(_))
    }

    fn deletes(self) -> bool {
        matches!(self, Self::Deprovision | Self::Unbind)
    }

    /// Whether bodies of good answers may hold credentials.
    fn is_secret(self) -> bool {
        matches!(self, Self::Bind(_) | Self::FetchBinding(_))
    }
}

/// What a reply to a request means.
pub fn outcome(request: &Request, reply: &Reply) -> Outcome {
    let call = Call::of(request);
    match reply {
        Reply::Answered {
            status,
            body,
            retry_after,
        } => {
            let answered = Answered {
                call,
                status: *status,
                body: body.as_deref(),
                retry_after: *retry_after,
            };
            match call {
                Call::LastOperation(aim) => answered.operation(aim),
                _ => answered.outcome(),
            }
        }
        Reply::TimedOut | Reply::Unreachable | Reply::Offline(_) | Reply::BrokeOff => {
            unanswered(call, reply)
        }
    }
}

fn unanswered(call: Call, reply: &Reply) -> Outcome {
    if matches!(call, Call::LastOperation(_)) {
        return keep_polling(None);
    }
    let (kind, text, mitigate) = match reply {
        Reply::TimedOut => (
            FaultKind::TimedOut,
            "The request to the service broker timed out".to_owned(),
            call.creates(),
        ),
        Reply::BrokeOff => (
            FaultKind::BadResponse,
            "The service broker's response broke off".to_owned(),
            call.creates(),
        ),
        Reply::Offline(host) => (
            FaultKind::Unreachable,
            format!(
                "The service broker could not be reached: cflite works offline, and {host} is not on this machine"
            ),
            false,
        ),
        Reply::Unreachable | Reply::Answered { .. } => (
            FaultKind::Unreachable,
            "The service broker could not be reached".to_owned(),
            false,
        ),
    };
    Outcome::Failed(Fault {
        kind,
        text,
        mitigate,
        status: None,
    })
}

fn keep_polling(retry_after: Option<Duration>) -> Outcome {
    Outcome::InProgress {
        description: None,
        retry_after,
    }
}

#[derive(Clone, Copy)]
struct Answered<'a> {
    call: Call,
    status: u16,
    body: Option<&'a [u8]>,
    retry_after: Option<Duration>,
}

impl Answered<'_> {
    /// Of everything but polls.
    fn outcome(self) -> Outcome {
        match (self.status, self.call) {
            (200, _) | (201, Call::Provision | Call::Bind(_)) => self.good(Outcome::Done),
            (
                202,
                Call::Provision | Call::Update | Call::Deprovision | Call::Bind(_) | Call::Unbind,
            ) => self.accepted(),
            (410, call) if call.deletes() => Outcome::Done(Answer::default()),
            (401, _) => self.fault(
                FaultKind::Authentication,
                "Authentication with the service broker failed. Double-check that the username and password \
                 are correct."
                    .to_owned(),
                false,
            ),
            (408, _) => self.fault(
                FaultKind::TimedOut,
                "The request to the service broker timed out".to_owned(),
                false,
            ),
            (409, call) if call.creates() => {
                let text = self.own_words().unwrap_or("Resource conflict".to_owned());
                self.fault(FaultKind::Conflict, text, false)
            }
            (422, _) => self.unprocessable(),
            (409 | 410, _) => self.bad(),
            (400..=499, _) => self.fault(FaultKind::Rejected, self.rejection(), false),
            _ => self.bad(),
        }
    }

    /// Of polls: everything but a clear answer means that it goes on.
    fn operation(self, aim: Aim) -> Outcome {
        let body = self.object();
        let description = body.as_ref().and_then(described);
        match self.status {
            410 if aim == Aim::Delete => Outcome::Done(Answer::default()),
            400 => Outcome::OperationFailed {
                description: Some(description.unwrap_or_else(|| "Bad request".to_owned())),
            },
            200 => match body.as_ref().and_then(|body| body.get("state")?.as_str()) {
                Some("succeeded") => Outcome::Done(Answer {
                    body: body.unwrap_or_default(),
                }),
                Some("failed") => Outcome::OperationFailed { description },
                Some("in progress") => Outcome::InProgress {
                    description,
                    retry_after: self.retry_after,
                },
                _ => keep_polling(self.retry_after),
            },
            _ => keep_polling(self.retry_after),
        }
    }

    fn object(self) -> Option<Map<String, Value>> {
        match serde_json::from_slice(self.body?).ok()? {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    fn good(self, what: impl FnOnce(Answer) -> Outcome) -> Outcome {
        let Some(body) = self.object() else {
            let shown = if self.call.is_secret() {
                "[PRIVATE DATA HIDDEN]".to_owned()
            } else {
                self.shown_body()
            };
            return self.malformed(&format!(
                "expected valid JSON object in body, broker returned '{shown}'"
            ));
        };
        match self.body_fault(&body) {
            Some(BodyFault::Malformed(text)) => self.malformed(&text),
            Some(BodyFault::Illegal(text)) => self.fault(FaultKind::Malformed, text, true),
            None => what(Answer { body }),
        }
    }

    fn accepted(self) -> Outcome {
        match self.good(Outcome::Accepted) {
            Outcome::Accepted(_) if matches!(self.call, Call::Bind(declared) if !declared.retrievable) =>
            {
                // What was begun there could never be used here.
                self.fault(FaultKind::NotRetrievable, NOT_RETRIEVABLE.to_owned(), true)
            }
            other => other,
        }
    }

    fn unprocessable(self) -> Outcome {
        let body = self.object();
        let code = body.as_ref().and_then(|body| body.get("error")?.as_str());
        let own = || self.own_words();
        let (kind, text) = match (code, self.call) {
            (Some("AsyncRequired"), _) => (
                FaultKind::AsyncRequired,
                "This service plan requires client support for asynchronous service operations."
                    .to_owned(),
            ),
            (Some("ConcurrencyError"), call) if call != Call::Update => (
                FaultKind::Concurrency,
                "The service broker could not perform this operation in parallel with other running operations"
                    .to_owned(),
            ),
            (Some("MaintenanceInfoConflict"), Call::Provision | Call::Update) => (
                FaultKind::MaintenanceInfoConflict,
                own().unwrap_or_else(|| {
                    "The service broker did not provide a reason for this conflict, please ensure the catalog is \
                     up to date and you are providing a version supported by this service plan"
                        .to_owned()
                }),
            ),
            (Some("RequiresApp"), Call::Bind(_)) => (
                FaultKind::AppRequired,
                "This service supports generation of credentials through binding an application only."
                    .to_owned(),
            ),
            (code, Call::Update) => {
                let busy = code == Some("ConcurrencyError");
                let kind = if busy { FaultKind::Concurrency } else { FaultKind::Rejected };
                (kind, self.rejection())
            }
            _ => return self.bad(),
        };
        self.fault(kind, text, false)
    }

    /// What is told of a refusal.
    fn rejection(self) -> String {
        self.own_words().unwrap_or_else(|| {
            format!(
                "The service broker rejected the request. Status Code: {}, Body: {}",
                status_text(self.status),
                self.shown_body()
            )
        })
    }

    /// An answer the API does not know.
    fn bad(self) -> Outcome {
        // A 201 to a deletion or a change describes what it is not.
        let own = if self.status == 201 {
            None
        } else {
            self.own_words()
        };
        let text = own.unwrap_or_else(|| {
            format!(
                "The service broker returned an invalid response. Status Code: {}, Body: {}",
                status_text(self.status),
                self.shown_body()
            )
        });
        self.fault(FaultKind::BadResponse, text, self.call.creates())
    }

    fn malformed(self, text: &str) -> Outcome {
        let mitigate = self.call.creates() && self.status != 200;
        let text = format!("The service broker returned an invalid response: {text}");
        self.fault(FaultKind::Malformed, text, mitigate)
    }

    fn fault(self, kind: FaultKind, text: String, mitigate: bool) -> Outcome {
        Outcome::Failed(Fault {
            kind,
            text: texts::cut(text),
            mitigate: mitigate && self.call.creates(),
            status: Some((self.status, texts::reason(self.status))),
        })
    }

    /// `Service broker error: …`.
    fn own_words(self) -> Option<String> {
        let text = described(&self.object()?)?;
        Some(format!("Service broker error: {text}"))
    }

    fn shown_body(self) -> String {
        let Some(body) = self.body else {
            return "[too large]".to_owned();
        };
        if self.call.is_secret() && self.status < 300 {
            return "[PRIVATE DATA HIDDEN]".to_owned();
        }
        String::from_utf8_lossy(body).into_owned()
    }

    /// What is wrong with the fields of a good answer.
    fn body_fault(self, body: &Map<String, Value>) -> Option<BodyFault> {
        let malformed = |text: Option<String>| text.map(BodyFault::Malformed);
        match self.call {
            Call::Provision | Call::Update => malformed(texts::of_instance(body)),
            Call::FetchInstance => malformed(texts::of_fetched_instance(body)),
            Call::Deprovision | Call::Unbind | Call::Bind(_) if self.status == 202 => {
                malformed(texts::operation_fault(body, LONGEST_OPERATION))
            }
            Call::Bind(declared) | Call::FetchBinding(declared) => binding_fault(body, declared),
            Call::Catalog | Call::LastOperation(_) | Call::Deprovision | Call::Unbind => None,
        }
    }
}

enum BodyFault {
    /// Of the wrong shape.
    Malformed(String),
    /// Well-formed, but not allowed: the whole text.
    Illegal(String),
}

fn binding_fault(body: &Map<String, Value>, declared: Declared) -> Option<BodyFault> {
    let of = |name: &str| body.get(name).unwrap_or(&Value::Null);
    let credentials = of("credentials");
    if !credentials.is_null() && !credentials.is_object() {
        return Some(BodyFault::Malformed(
            "The service broker response contained a credentials field that was not a JSON object."
                .to_owned(),
        ));
    }
    match of("syslog_drain_url") {
        Value::Null => {}
        Value::String(url) if url.is_empty() => {}
        Value::String(url) if declared.syslog_drain && url.chars().count() <= LONGEST_DRAIN => {}
        Value::String(_) if declared.syslog_drain => {
            return Some(BodyFault::Illegal(
                "The service broker returned an invalid response: syslog_drain_url is too long"
                    .to_owned(),
            ));
        }
        _ => return Some(BodyFault::Illegal(MISTAKEN_DRAIN.to_owned())),
    }
    if let Some(text) = texts::route_service_fault(of("route_service_url")) {
        return Some(BodyFault::Malformed(text));
    }
    let mounts = of("volume_mounts");
    let fault = volume_mounts::fault(mounts, declared.volume_mount);
    let fault = fault.or_else(|| {
        (mounts.to_string().len() > LONGEST_MOUNTS).then(|| "volume_mounts is too long".to_owned())
    });
    fault.map(|text| {
        BodyFault::Illegal(format!(
            "The service broker returned an invalid response: {text}"
        ))
    })
}

#[cfg(test)]
mod tests;
