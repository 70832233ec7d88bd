//! The tab of requests: what the router answered lately, from the timers in the log store, joined
//! to the lines of the log by the id of the request.

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use axum::routing::get;

use super::{AppHead, TABS};
use crate::logs::{Envelope, Kinds, Message, Query};
use crate::web::Console;
use crate::web::frame::Frame;
use crate::web::logs::Asked;
use crate::web::logs::scope::Scope;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{fmt, when};

/// Requests of a page.
const SHOWN: usize = 200;
/// Timers that a filter looks at.
const LOOKED_AT: usize = 10_000;

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/apps/{guid}/requests", get(requests))
}

/// What the address asks for.
#[derive(Debug, Default)]
struct Wanted {
    /// `2`, `3`, `4`, `5`, `none` or empty.
    status: String,
    path: String,
    /// Only requests that took at least so many milliseconds.
    slow: String,
}

impl Wanted {
    fn parse(query: &str) -> Self {
        let mut wanted = Self::default();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let value: String = value.chars().take(1000).collect();
            match &*key {
                "status" => wanted.status = value,
                "path" => wanted.path = value,
                "slow" => wanted.slow = value,
                _ => {}
            }
        }
        wanted
    }

    fn admits(&self, one: &Request) -> bool {
        let of_status = match self.status.as_str() {
            "" => true,
            "none" => one.status.is_empty(),
            class => one.status.starts_with(class),
        };
        let is_slow = self
            .slow
            .trim()
            .parse::<f64>()
            .map_or(true, |least| one.millis >= least);
        of_status && is_slow && one.path.contains(&self.path)
    }
}

/// A request and its answer.
#[derive(Debug)]
struct Request {
    at: String,
    method: String,
    path: String,
    /// Empty when the client went away before an answer.
    status: String,
    /// `bad` or `warn` for answers that are none of those wished for.
    tone: &'static str,
    millis: f64,
    took: String,
    instance: String,
    size: String,
    id: String,
    client: String,
    agent: String,
    curl: String,
    /// The query of the lines that name the request.
    lines: String,
    /// The query of the lines around it.
    around: String,
}

impl Request {
    /// The status, in words when there is none.
    fn answer(&self) -> &str {
        match self.status.as_str() {
            "" => "no answer",
            status => status,
        }
    }

    fn of(timer: &Envelope) -> Option<Self> {
        let Message::Timer { start, stop, .. } = &timer.message else {
            return None;
        };
        let tag = |name: &str| timer.tags.get(name).cloned().unwrap_or_default();
        let uri = tag("uri");
        let path = uri
            .splitn(4, '/')
            .nth(3)
            .map_or_else(|| "/".to_owned(), |path| format!("/{path}"));
        let status = tag("status_code");
        let tone = match status.as_bytes() {
            [b'5', ..] | [] => "bad",
            [b'4', ..] => "warn",
            _ => "good",
        };
        #[expect(clippy::cast_precision_loss, reason = "milliseconds on a screen")]
        let millis = stop.saturating_sub(*start) as f64 / 1e6;
        let id = tag("request_id");
        let asked = |q: &str, at: &str| {
            let asked = Asked {
                q: q.to_owned(),
                at: at.to_owned(),
                ..Asked::default()
            };
            asked.query()
        };
        let method = tag("method");
        Some(Self {
            at: when::iso(*start),
            curl: curl(&method, &uri),
            path,
            status,
            tone,
            took: format!("{millis:.1} ms"),
            millis,
            instance: timer.instance_id.to_string(),
            size: tag("content_length")
                .parse()
                .map(fmt::bytes)
                .unwrap_or_default(),
            client: tag("remote_address"),
            agent: tag("user_agent"),
            lines: if id.is_empty() {
                String::new()
            } else {
                asked(&id, "")
            },
            around: asked("", &start.to_string()),
            id,
            method,
        })
    }
}

/// The request for a shell; its headers and body are not kept.
fn curl(method: &str, uri: &str) -> String {
    let method = match method {
        "GET" => String::new(),
        "HEAD" => " --head".to_owned(),
        other => format!(" -X {}", fmt::word(other)),
    };
    format!("curl -i{method} {}", fmt::word(uri))
}

#[derive(Template)]
#[template(path = "console/app/requests.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    wanted: Wanted,
    /// The one time selector of logs, metrics and requests.
    times: Asked,
    fault: String,
    requests: Vec<Request>,
    /// Requests that the filter hides.
    hidden: usize,
}

async fn requests(
    visitor: Visitor,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "requests").await?;
    Scope::of_one(&visitor, &head.app.guid).await?;
    let query = query.unwrap_or_default();
    let (wanted, times) = (Wanted::parse(&query), Asked::parse(&query));
    let now = visitor.console.parts().clock.now();
    let mut fault = String::new();
    let (since, until) = match times.range(now) {
        Ok(range) => (range.since, range.until),
        Err(refused) => {
            (_, fault) = refused.at_field().unwrap_or_default();
            (i64::MIN, i64::MAX)
        }
    };
    let timers = Query {
        start: since,
        end: until,
        limit: LOOKED_AT,
        descending: true,
        kinds: Kinds::TIMER,
        ..Query::default()
    };
    let timers = visitor
        .console
        .parts()
        .logs
        .read(&head.app.guid, timers)
        .await?;
    let mut requests = Vec::new();
    let mut hidden = 0;
    for request in timers.iter().filter_map(Request::of) {
        if !wanted.admits(&request) {
            hidden += 1;
        } else if requests.len() < SHOWN {
            requests.push(request);
        }
    }
    show::page(&Page {
        frame: Frame::new(&visitor, "apps").refreshed(5),
        head,
        wanted,
        times,
        fault,
        requests,
        hidden,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::logs::Tags;

    fn request(tags: &[(&str, &str)], millis: i64) -> Request {
        let tags = tags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let timer = Envelope {
            timestamp: 1,
            source_id: "app".into(),
            instance_id: "1".into(),
            tags: Arc::new(tags.collect::<Tags>()),
            message: Message::Timer {
                name: "http".to_owned(),
                start: 1_700_000_000_000_000_000,
                stop: 1_700_000_000_000_000_000 + millis * 1_000_000,
            },
        };
        Request::of(&timer).expect("a request")
    }

    #[test]
    fn a_timer_becomes_a_request_that_can_be_made_again() {
        let shown = request(
            &[
                ("method", "POST"),
                ("uri", "http://shop.cf.localhost:8080/a/b?c=$(d)"),
                ("status_code", "404"),
                ("content_length", "2048"),
                ("request_id", "r-1"),
            ],
            12,
        );
        assert_eq!(shown.path, "/a/b?c=$(d)");
        assert_eq!(
            (shown.tone, shown.took.as_str(), shown.size.as_str()),
            ("warn", "12.0 ms", "2.0 KiB")
        );
        assert_eq!(
            shown.curl,
            "curl -i -X POST 'http://shop.cf.localhost:8080/a/b?c=$(d)'"
        );
        assert_eq!(
            (shown.lines.as_str(), shown.around.as_str()),
            ("q=r-1", "at=1700000000000000000")
        );
        let gone = request(&[("method", "GET"), ("uri", "http://x")], 1);
        assert_eq!(
            (gone.path.as_str(), gone.tone, gone.lines.as_str()),
            ("/", "bad", "")
        );
    }

    #[test]
    fn an_address_narrows_the_requests() {
        let shown = request(&[("uri", "http://x/health"), ("status_code", "503")], 20);
        for (query, expected) in [
            ("", true),
            ("status=5", true),
            ("status=2", false),
            ("status=none", false),
            ("path=health", true),
            ("path=/api", false),
            ("slow=20", true),
            ("slow=20.5", false),
            ("slow=x", true),
        ] {
            assert_eq!(Wanted::parse(query).admits(&shown), expected, "{query}");
        }
    }
}
