//! The language of the command files: what a line says, and how files become scripts.
//!
//! A file holds sections, `## name`. In a section a line is one of
//!
//! ```text
//! given NAME                 plays a section of given.txt: what must be there beforehand
//! use NAME                   plays a section of lookups.txt: a look-up many commands share
//! as admin | nobody          whose token the next requests carry
//! [until] METHOD PATH [BODY] -> STATUS CHECK…
//! later: AREA                the command is not served yet, and AREA will bring it
//! refuses: TEXT              the command is refused by name; the requests show how
//! local: TEXT                the CLI asks nobody
//! # …                        a comment; a line that starts with blanks continues the one before
//! ```
//!
//! PATH without a leading slash is below `/v3/`. BODY is JSON, `yaml` and JSON, `form` and a query
//! string (a request for a token), or `file` and a kind of file (a multipart upload).
//! `$name` stands for a captured value. A CHECK is a dotted path into the answer, which must be
//! there, and may go on with `=VALUE`, `~PART`, `:TYPE`, `#LENGTH` or `=>NAME` (captures it); `!PATH`
//! must be absent; `job` follows the `Location` to a job that must complete, `location=>NAME`
//! captures the header. `until` repeats the request until the checks hold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One line that does something.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The next requests carry this user's token.
    As(String),
    /// A request.
    Request(Box<Request>),
}

/// A request and what its answer must be.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The line, for messages.
    pub(crate) line: String,
    pub(crate) until: bool,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Body,
    pub(crate) status: u16,
    pub(crate) checks: Vec<String>,
    /// Whether the command makes it, and not its preparation.
    pub(crate) counted: bool,
}

/// What a request carries.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    None,
    Json(String),
    Yaml(String),
    Form(String),
    File(String),
}

/// What is said about a command besides its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    Works,
    Later(String),
    Refuses(String),
    Local(String),
}

/// One section.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) names: Vec<String>,
    pub(crate) claim: Claim,
    pub(crate) steps: Vec<Step>,
}

/// Groups of commands in the order of `cf help -a`, with their scripts, from the numbered files of a
/// folder.
pub(crate) fn groups(folder: &Path) -> Vec<(String, Vec<Script>)> {
    let shared = shared();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of the commands")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            name.ends_with(".txt") && name.as_bytes()[0].is_ascii_digit()
        })
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).expect("UTF-8");
            let title = text.lines().next().expect("a title");
            let title = title.trim_start_matches("# ").to_owned();
            (title, scripts(&text, &shared))
        })
        .collect()
}

/// The sections of `given.txt` by name.
pub(crate) fn given() -> BTreeMap<String, Vec<Step>> {
    let given = |(name, steps): (String, Vec<Step>)| {
        name.strip_prefix("given ")
            .map(|name| (name.to_owned(), steps))
    };
    shared().into_iter().filter_map(given).collect()
}

type Shared = BTreeMap<String, Vec<Step>>;

/// The sections that others play: those of `lookups.txt` count as the command's own requests.
fn shared() -> Shared {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/play");
    let mut shared = Shared::new();
    for (file, counted) in [("given.txt", false), ("lookups.txt", true)] {
        let text = std::fs::read_to_string(folder.join(file)).expect("UTF-8");
        for (name, lines) in sections(&text) {
            let mut steps = steps(&lines, &shared).1;
            for step in &mut steps {
                if let Step::Request(request) = step {
                    request.counted = counted;
                }
            }
            let word = if counted { "use" } else { "given" };
            shared.insert(format!("{word} {name}"), steps);
        }
    }
    shared
}

fn scripts(text: &str, shared: &Shared) -> Vec<Script> {
    sections(text)
        .into_iter()
        .map(|(name, lines)| {
            let (claim, steps) = steps(&lines, shared);
            let names = name.split(", ").map(str::to_owned).collect();
            Script {
                names,
                claim,
                steps,
            }
        })
        .collect()
}

/// Name and joined lines of each section.
fn sections(text: &str) -> Vec<(String, Vec<String>)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("## ") {
            found.push((name.to_owned(), Vec::new()));
        } else if !line.trim().is_empty() && !line.starts_with('#') {
            let (_, lines) = found.last_mut().expect("a section before the first line");
            match lines.last_mut() {
                Some(before) if line.starts_with(' ') => {
                    before.push(' ');
                    before.push_str(line.trim());
                }
                _ => lines.push(line.trim_end().to_owned()),
            }
        }
    }
    found
}

fn steps(lines: &[String], shared: &Shared) -> (Claim, Vec<Step>) {
    let mut claim = Claim::Works;
    let mut steps = Vec::new();
    for line in lines {
        if let Some(text) = line.strip_prefix("later: ") {
            claim = Claim::Later(text.to_owned());
        } else if let Some(text) = line.strip_prefix("refuses: ") {
            claim = Claim::Refuses(text.to_owned());
        } else if let Some(text) = line.strip_prefix("local: ") {
            claim = Claim::Local(text.to_owned());
        } else if let Some(user) = line.strip_prefix("as ") {
            steps.push(Step::As(user.to_owned()));
        } else if line.starts_with("given ") || line.starts_with("use ") {
            let played = shared
                .get(line)
                .unwrap_or_else(|| panic!("no section for: {line}"));
            steps.extend(played.iter().cloned());
        } else {
            steps.push(Step::Request(Box::new(request(line))));
        }
    }
    (claim, steps)
}

fn request(line: &str) -> Request {
    let (asked, answered) = line
        .rsplit_once(" -> ")
        .unwrap_or_else(|| panic!("no ' -> ' in: {line}"));
    let (until, asked) = match asked.strip_prefix("until ") {
        Some(rest) => (true, rest),
        None => (false, asked),
    };
    let mut words = asked.splitn(3, ' ');
    let method = words.next().expect("a method").to_owned();
    let path = words.next().unwrap_or_else(|| panic!("no path in: {line}"));
    let path = match path.chars().next() {
        Some('/' | '$') => path.to_owned(),
        _ => format!("/v3/{path}"),
    };
    let mut answered = split(answered).into_iter();
    let status = answered.next().and_then(|word| word.parse().ok());
    Request {
        line: line.to_owned(),
        until,
        method,
        path,
        body: body(words.next()),
        status: status.unwrap_or_else(|| panic!("no status in: {line}")),
        checks: answered.collect(),
        counted: true,
    }
}

fn body(text: Option<&str>) -> Body {
    let Some(text) = text else {
        return Body::None;
    };
    match text.split_once(' ') {
        Some(("yaml", rest)) => Body::Yaml(rest.to_owned()),
        Some(("form", rest)) => Body::Form(rest.to_owned()),
        Some(("file", rest)) => Body::File(rest.to_owned()),
        _ => Body::Json(text.to_owned()),
    }
}

/// Words; blanks in quotes or brackets do not split.
fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let (mut depth, mut quoted) = (0, false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '{' | '[' if !quoted => depth += 1,
            '}' | ']' if !quoted => depth -= 1,
            ' ' if !quoted && depth == 0 => {
                words.push(String::new());
                continue;
            }
            _ => {}
        }
        words.last_mut().expect("one at least").push(c);
    }
    words.retain(|word| !word.is_empty());
    words
}
