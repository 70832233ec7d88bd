//! The tab of measurements: memory, processors, requests and response times, with what happened to
//! the app marked in them. They are read from the log store, where instances and router put them.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, RawQuery};
use axum::response::Response;
use axum::routing::get;

use super::{AppHead, TABS};
use crate::base::Timestamp;
use crate::logs::{Envelope, Kinds, Logs, Message, Query};
use crate::web::Console;
use crate::web::api::models::Event;
use crate::web::chart::{self, Chart, Curve, Mark, STEPS};
use crate::web::frame::Frame;
use crate::web::logs::Asked;
use crate::web::logs::scope::Scope;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{fmt, when};

/// What is shown when nothing is asked for.
const DEFAULT: &str = "1h";
/// Envelopes read at once, and in all.
const PAGE: usize = 5000;
const MOST: usize = 100_000;
const EVENTS: usize = 100;
/// Ranges that are offered.
const RANGES: &[(&str, &str)] = &[
    ("10m", "10 minutes"),
    ("1h", "1 hour"),
    ("6h", "6 hours"),
    ("1d", "1 day"),
];

pub(super) fn routes() -> Router<Console> {
    Router::new().route("/console/apps/{guid}/metrics", get(metrics))
}

#[derive(Template)]
#[template(path = "console/app/metrics.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    charts: Vec<Chart>,
    marks: Vec<Mark>,
    since: String,
    until: String,
    fault: String,
    ranges: &'static [(&'static str, &'static str)],
    /// The ends of the scale of time.
    ends: (String, String),
    is_cut: bool,
}

impl Page {
    /// Another tab at the same times.
    fn same_times(&self, tab: &str) -> String {
        let asked = Asked {
            since: self.since.clone(),
            until: self.until.clone(),
            ..Asked::default()
        };
        format!("{}?{}", self.head.path(tab), asked.query())
    }
}

async fn metrics(
    visitor: Visitor,
    Path(guid): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let head = AppHead::load(&visitor, &guid, "metrics").await?;
    Scope::of_one(&visitor, &head.app.guid).await?;
    let mut asked = Asked::parse(&query.unwrap_or_default());
    if asked.since.is_empty() {
        DEFAULT.clone_into(&mut asked.since);
    }
    let now = visitor.console.parts().clock.now();
    let (range, fault) = match times(&asked, now) {
        Ok(range) => (range, String::new()),
        Err(refused) => {
            let (_, text) = refused.at_field().unwrap_or_default();
            (times(&default(), now)?, text)
        }
    };
    let logs = &visitor.console.parts().logs;
    let (gauges, cut_gauges) = read(logs, &head.app.guid, Kinds::GAUGE, range).await?;
    let (timers, cut_timers) = read(logs, &head.app.guid, Kinds::TIMER, range).await?;
    let path = format!(
        "/v3/audit_events?target_guids={}&order_by=-created_at&per_page={EVENTS}",
        head.app.guid
    );
    let events = visitor.api.list::<Event>(&path).await?.resources;
    let mut charts = of_instances(&gauges, range);
    charts.extend(of_requests(&timers, range));
    let is_live = asked.until.is_empty();
    let frame = Frame::new(&visitor, "apps");
    show::page(&Page {
        frame: if is_live { frame.refreshed(15) } else { frame },
        head,
        charts,
        marks: events
            .iter()
            .filter_map(|event| mark(event, range))
            .collect(),
        since: asked.since,
        until: asked.until,
        fault,
        ranges: RANGES,
        ends: (minute(range.0), minute(range.1)),
        is_cut: cut_gauges || cut_timers,
    })
}

/// `2026-01-02 03:04 UTC`.
fn minute(nanos: i64) -> String {
    let iso = when::iso(nanos);
    let minute = iso.get(..16).unwrap_or(&iso).replace('T', " ");
    format!("{minute} UTC")
}

fn default() -> Asked {
    Asked {
        since: DEFAULT.to_owned(),
        ..Asked::default()
    }
}

/// From when to when, in nanoseconds.
fn times(asked: &Asked, now: Timestamp) -> Result<(i64, i64), Refused> {
    let range = asked.range(now)?;
    let until = range.until.min(now.as_nanos());
    if range.since >= until {
        return Err(Refused::field("since", "The time range is empty"));
    }
    Ok((range.since, until))
}

/// Envelopes of a kind, the newest ones when there are too many.
pub(super) async fn read(
    logs: &Logs,
    app: &str,
    kinds: Kinds,
    (since, until): (i64, i64),
) -> Result<(Vec<Envelope>, bool), Refused> {
    let mut all = Vec::new();
    let mut end = until;
    loop {
        let query = Query {
            start: since,
            end,
            limit: PAGE,
            descending: true,
            kinds,
            ..Query::default()
        };
        let mut page = logs.read(app, query).await?;
        let is_last = page.len() < PAGE;
        end = page.last().map_or(since, |oldest| oldest.timestamp);
        all.append(&mut page);
        if is_last || all.len() >= MOST {
            return Ok((all, !is_last));
        }
    }
}

/// The sum over instances of the newest measurement in each step.
fn summed(gauges: &[Envelope], name: &str, range: (i64, i64)) -> Vec<Option<f64>> {
    let mut newest: HashMap<(usize, Arc<str>, Option<&String>), f64> = HashMap::new();
    for envelope in gauges {
        let Message::Gauge(metrics) = &envelope.message else {
            continue;
        };
        if let (Some(step), Some(gauge)) =
            (chart::step(envelope.timestamp, range), metrics.get(name))
        {
            let process = envelope.tags.get("process_id");
            // The newest comes first.
            newest
                .entry((step, envelope.instance_id.clone(), process))
                .or_insert(gauge.value);
        }
    }
    let mut sums = vec![None; STEPS];
    for ((step, _, _), value) in newest {
        let sum: &mut Option<f64> = &mut sums[step];
        *sum = Some(sum.unwrap_or(0.0) + value);
    }
    sums
}

fn of_instances(gauges: &[Envelope], range: (i64, i64)) -> Vec<Chart> {
    let curve = |name, class, metric| Curve {
        name,
        class,
        values: summed(gauges, metric, range),
    };
    vec![
        Chart::new(
            "Memory",
            vec![
                curve("used", "c1", "memory"),
                curve("limit", "c4", "memory_quota"),
            ],
            0.0,
            bytes,
        ),
        Chart::new("CPU", vec![curve("used", "c1", "cpu")], 0.0, |percent| {
            format!("{percent:.1} %")
        }),
    ]
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole bytes are shown"
)]
fn bytes(value: f64) -> String {
    fmt::bytes(value.max(0.0) as u64)
}

#[expect(clippy::cast_precision_loss, reason = "measurements on a screen")]
fn of_requests(timers: &[Envelope], range: (i64, i64)) -> Vec<Chart> {
    let seconds = (range.1 - range.0) as f64 / 1e9 / STEPS as f64;
    let mut counts = [vec![0_u32; STEPS], vec![0; STEPS], vec![0; STEPS]];
    let mut durations: Vec<Vec<f64>> = vec![Vec::new(); STEPS];
    for envelope in timers {
        let Message::Timer { start, stop, .. } = &envelope.message else {
            continue;
        };
        let Some(step) = chart::step(envelope.timestamp, range) else {
            continue;
        };
        let class = match envelope.tags.get("status_code").map(String::as_bytes) {
            Some([b'5', ..]) | None => 2,
            Some([b'4', ..]) => 1,
            Some(_) => 0,
        };
        counts[class][step] += 1;
        durations[step].push(stop.saturating_sub(*start) as f64 / 1e6);
    }
    let any = !timers.is_empty();
    let rate = |class: usize| -> Vec<Option<f64>> {
        let counts = counts[class].iter();
        counts
            .map(|count| any.then_some(f64::from(*count) / seconds))
            .collect()
    };
    for step in &mut durations {
        step.sort_by(f64::total_cmp);
    }
    let part = |part: usize| -> Vec<Option<f64>> {
        let steps = durations.iter();
        steps
            .map(|step| step.get(step.len() * part / 100).copied())
            .collect()
    };
    let curve = |name, class, values| Curve {
        name,
        class,
        values,
    };
    vec![
        Chart::new(
            "Requests",
            vec![
                curve("fine", "c2", rate(0)),
                curve("4xx", "c3", rate(1)),
                curve("5xx", "c5", rate(2)),
            ],
            0.0,
            |rate| format!("{rate:.2}/s"),
        ),
        Chart::new(
            "Response times",
            vec![
                curve("median", "c1", part(50)),
                curve("95 %", "c3", part(95)),
            ],
            0.0,
            |millis| format!("{millis:.1} ms"),
        ),
    ]
}

/// Crashes, and what changed what runs.
fn mark(event: &Event, range: (i64, i64)) -> Option<Mark> {
    let kind = event.kind.as_str();
    let (class, word) = match kind {
        "app.crash" => ("bad", "crash"),
        "audit.app.deployment.create" => ("good", "deployment"),
        "audit.app.start" => ("good", "start"),
        "audit.app.stop" => ("warn", "stop"),
        "audit.app.restart" => ("good", "restart"),
        "audit.app.droplet.mapped" => ("good", "new droplet"),
        "audit.app.process.scale" => ("warn", "scale"),
        _ => return None,
    };
    let at = Timestamp::parse(&event.created_at)?.as_nanos();
    let reason = event.data["exit_description"].as_str().unwrap_or_default();
    Some(Mark {
        x: chart::place(at, range)?,
        class,
        text: format!("{word} {reason}").trim_end().to_owned(),
        at: event.created_at.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::{GaugeValue, Tags};

    fn envelope(at: i64, instance: &str, message: Message, status: &str) -> Envelope {
        let tags = [("status_code".to_owned(), status.to_owned())];
        Envelope {
            timestamp: at,
            source_id: "app".into(),
            instance_id: instance.into(),
            tags: Arc::new(Tags::from(tags)),
            message,
        }
    }

    #[test]
    fn instances_are_added_and_the_newest_measurement_counts() {
        let gauge = |at, instance, value| {
            let unit = "bytes".to_owned();
            let metric = ("memory".to_owned(), GaugeValue { unit, value });
            envelope(at, instance, Message::Gauge([metric].into()), "")
        };
        // The newest first.
        let all = [
            gauge(15, "0", 5.0),
            gauge(12, "0", 3.0),
            gauge(11, "1", 2.0),
            gauge(999, "1", 1.0),
        ];
        let sums = summed(&all, "memory", (0, 120 * 20));
        assert_eq!(sums[0], Some(7.0));
        assert_eq!(sums[49], Some(1.0));
        assert_eq!(sums.iter().flatten().count(), 2);
    }

    #[test]
    fn requests_are_counted_by_class_and_timed() {
        let timer = |status: &str, millis: i64| {
            let message = Message::Timer {
                name: "http".to_owned(),
                start: 0,
                stop: millis * 1_000_000,
            };
            envelope(1, "0", message, status)
        };
        let all = [
            timer("200", 10),
            timer("200", 20),
            timer("404", 30),
            timer("500", 400),
        ];
        let second = 1_000_000_000;
        let charts = of_requests(&all, (0, 120 * second));
        let now = |chart: usize, curve: usize| charts[chart].curves[curve].now.as_str();
        assert_eq!(charts[0].top, "2.00/s");
        // Of the last step: nobody asked.
        assert_eq!((now(0, 0), now(0, 2)), ("0.00/s", "0.00/s"));
        assert_eq!((now(1, 0), now(1, 1)), ("30.0 ms", "400.0 ms"));
    }
}
