//! `cflite logs`: the logs of apps and services, and without a name the platform's own.

mod platform;
mod time;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::bail;
use serde::Deserialize;

use super::registry_client::Client;
use super::{Session, block_on, show};
use crate::base::{Clock, SystemClock, Timestamp};

/// The long help.
pub(super) const LONG: &str = "\
Show or search the logs of apps and services, or show the platform's own log

An app is named by its name, by SPACE/APP, by ORGANIZATION/SPACE/APP or by its guid; a name that several apps have means \
all of them. Without an app, --service or --all this shows what cflite itself logged.

cflite logs web api --since 10m --grep 'timeout|refused' --source APP,RTR";

/// Lines shown when nothing narrows the search.
const DEFAULT_APP_LINES: usize = 100;
/// Lines shown of the platform's own log.
const DEFAULT_PLATFORM_LINES: usize = 50;

/// What to show.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Apps
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    /// Data services, by the names of their instances
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// The logs of all apps and services
    #[arg(long)]
    all: bool,
    /// Only lines that match a regular expression
    #[arg(long, value_name = "RE")]
    grep: Option<String>,
    /// Only lines that do not match a regular expression
    #[arg(long, value_name = "RE")]
    not: Option<String>,
    /// Only lines from these sources, such as APP, APP/PROC/WEB, RTR, STG, API or CELL
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    source: Vec<String>,
    /// Only lines from this time on: 90s, 10m, 2h, 1d or 2026-01-02T03:04:05Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only lines before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Last lines to show [default: 100, or all with --since, --until, --grep or --not; of the
    /// platform's own log 50]
    #[arg(long, short = 'n')]
    lines: Option<usize>,
    /// Keep showing new lines until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

/// A line as the platform sends it.
#[derive(Deserialize)]
struct Line {
    timestamp: String,
    name: String,
    source_type: String,
    instance_id: String,
    stream: String,
    text: String,
}

pub(super) fn run(session: Session, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let searches = arguments.all || !arguments.apps.is_empty() || !arguments.service.is_empty();
    if !searches {
        if arguments.narrows() || !arguments.source.is_empty() {
            bail!("name an app, or use --service NAME or --all");
        }
        let lines = arguments.lines.unwrap_or(DEFAULT_PLATFORM_LINES);
        return platform::show(session, lines, arguments.follow);
    }
    let query = arguments.query(SystemClock.now())?;
    let client = Client::of_running(&session.options.resolve()?, "logs")?;
    let as_json = session.json;
    let style = Style {
        colours: std::io::stdout().is_terminal(),
        names: arguments.all || arguments.apps.len() + arguments.service.len() > 1,
        zone: jiff::tz::TimeZone::system(),
    };
    let print = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        if as_json {
            show::line(text.trim_end());
        } else {
            show::line(&style.line(&serde_json::from_str(&text)?));
        }
        Ok(())
    };
    block_on(client.lines(&format!("?{query}"), print))?;
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    /// Whether it is a search for certain lines.
    fn narrows(&self) -> bool {
        let conditions = [&self.grep, &self.not, &self.since, &self.until];
        conditions.into_iter().any(Option::is_some)
    }

    /// The query for the platform.
    fn query(&self, now: Timestamp) -> anyhow::Result<String> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let named = self.apps.iter().map(|app| ("app", app));
        let named = named.chain(self.service.iter().map(|service| ("service", service)));
        query.extend_pairs(named);
        for (flag, name) in [(self.all, "all"), (self.follow, "follow")] {
            if flag {
                query.append_key_only(name);
            }
        }
        for (name, value) in [("grep", &self.grep), ("not", &self.not)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        if !self.source.is_empty() {
            query.append_pair("source", &self.source.join(","));
        }
        for (name, value) in [("since", &self.since), ("until", &self.until)] {
            if let Some(value) = value {
                let nanos = time::parse(value, now)?.as_nanos();
                query.append_pair(name, &nanos.to_string());
            }
        }
        let default = (!self.narrows()).then_some(DEFAULT_APP_LINES);
        if let Some(lines) = self.lines.or(default) {
            query.append_pair("last", &lines.to_string());
        }
        Ok(query.finish())
    }
}

/// How lines are shown.
struct Style {
    colours: bool,
    /// Whether to name the app or service.
    names: bool,
    zone: jiff::tz::TimeZone,
}

impl Style {
    fn line(&self, line: &Line) -> String {
        let time = line.timestamp.parse().unwrap_or_default();
        let time = jiff::Timestamp::from_nanosecond(time).unwrap_or_default();
        let time = time.to_zoned(self.zone.clone());
        let time = time.strftime("%Y-%m-%dT%H:%M:%S%.2f%z");
        let name = if self.names {
            self.coloured(&line.name, colour_of(&line.name)) + " "
        } else {
            String::new()
        };
        let source = format!("[{}/{}]", line.source_type, line.instance_id);
        let source = self.coloured(&source, "1");
        let (stream, mut text) = (&line.stream, printable(&line.text));
        if stream == "ERR" {
            text = self.coloured(&text, "31");
        }
        format!("{time} {name}{source} {stream} {text}")
    }

    fn coloured(&self, text: &str, colour: &str) -> String {
        if self.colours {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The same colour for the same name.
fn colour_of(name: &str) -> &'static str {
    const COLOURS: [&str; 6] = ["32", "33", "34", "35", "36", "96"];
    let sum = name
        .bytes()
        .fold(0_usize, |sum, byte| sum * 31 % 65_521 + usize::from(byte));
    COLOURS[sum % COLOURS.len()]
}

/// Apps colour their lines, but must not move the cursor or set the title of a terminal.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|letter: char| letter.is_control() && letter != '\t') {
        let (before, after) = rest.split_at(at);
        shown.push_str(before);
        let colour = colour_sequence(after);
        shown.push_str(&after[..colour]);
        let control = after.chars().next().map_or(0, char::len_utf8);
        rest = &after[colour.max(control)..];
    }
    shown.push_str(rest);
    shown
}

/// The length of the sequence `ESC [ … m` at the start of a text; 0 without one.
fn colour_sequence(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else {
        return 0;
    };
    let end = parameters.find(|letter: char| !letter.is_ascii_digit() && letter != ';');
    end.filter(|end| parameters[*end..].starts_with('m'))
        .map_or(0, |end| end + 3)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(text: &str) -> Arguments {
        let words = std::iter::once("logs").chain(text.split_whitespace());
        Cli::try_parse_from(words).expect(text).arguments
    }

    #[test]
    fn a_search_becomes_a_query() {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        for (text, query) in [
            ("web", "app=web&last=100"),
            ("web dev/api -f", "app=web&app=dev%2Fapi&follow&last=100"),
            ("--all --grep a|b", "all&grep=a%7Cb"),
            ("--service db --not x -n 5", "service=db&not=x&last=5"),
            (
                "web --source RTR,APP --since 10s",
                "app=web&source=RTR%2CAPP&since=1699999990000000000",
            ),
            (
                "web --until 2023-11-14T22:13:20Z",
                "app=web&until=1700000000000000000",
            ),
        ] {
            assert_eq!(arguments(text).query(now).expect(text), query, "{text}");
        }
        assert!(arguments("web --since soon").query(now).is_err());
    }

    #[test]
    fn lines_are_shown_as_the_cf_cli_does_and_cannot_move_the_cursor() {
        let line = Line {
            timestamp: "1700000000129000000".to_owned(),
            name: "web".to_owned(),
            source_type: "APP/PROC/WEB".to_owned(),
            instance_id: "0".to_owned(),
            stream: "ERR".to_owned(),
            text: "\u{1b}[31mred\u{1b}[0m\u{1b}[2Jcl\u{7}ear\u{1b}]0;title".to_owned(),
        };
        let mut style = Style {
            colours: false,
            names: false,
            zone: jiff::tz::TimeZone::UTC,
        };
        let shown = "\u{1b}[31mred\u{1b}[0m[2Jclear]0;title";
        let expected = format!("2023-11-14T22:13:20.12+0000 [APP/PROC/WEB/0] ERR {shown}");
        assert_eq!(style.line(&line), expected);
        style.names = true;
        assert!(style.line(&line).contains("+0000 web [APP"));
        style.colours = true;
        assert!(
            style
                .line(&line)
                .contains(" \u{1b}[1m[APP/PROC/WEB/0]\u{1b}[0m ERR \u{1b}[31m")
        );
    }
}
