//! What the lines of an app say about its end.

use super::facts::Line;

/// A reason that a line gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    DiskFull,
    /// A module or library that is not there.
    MissingModule(String),
    /// A program that is not there.
    MissingCommand(String),
    /// A variable that is not set.
    MissingVariable(String),
    /// A server on this machine that does not answer, such as a database.
    NoServer(String),
    PortInUse,
    /// It listens on this port, 0 when it does not say which, perhaps inside the container only.
    Listens {
        port: u16,
        loopback: bool,
    },
    Denied,
}

/// The reason that the newest line with one gives, and that line.
pub(super) fn said<'a>(
    lines: impl DoubleEndedIterator<Item = &'a Line>,
    wanted: impl Fn(&Said) -> bool,
) -> Option<(Said, &'a str)> {
    let own = lines.filter(|line| line.is_own());
    let mut found = own
        .rev()
        .filter_map(|line| Some((reason(&line.text)?, line.text.as_str())));
    found.find(|(said, _)| wanted(said))
}

/// Phrases with which a module's name follows.
const MODULES: [&str; 6] = [
    "ModuleNotFoundError: No module named ",
    "ImportError: No module named ",
    "Cannot find module ",
    "Cannot find package ",
    "cannot load such file -- ",
    "java.lang.ClassNotFoundException: ",
];

fn reason(text: &str) -> Option<Said> {
    let has = |part: &str| text.contains(part);
    let any_case = text.to_ascii_lowercase();
    if has("No space left on device") || has("ENOSPC") || any_case.contains("disk quota exceeded") {
        return Some(Said::DiskFull);
    }
    if let Some(module) = MODULES.iter().find_map(|phrase| behind(text, phrase)) {
        return Some(Said::MissingModule(module));
    }
    if let Some(command) = missing_command(text) {
        return Some(Said::MissingCommand(command));
    }
    if any_case.contains("address already in use") || has("EADDRINUSE") {
        return Some(Said::PortInUse);
    }
    if let Some(variable) = missing_variable(text) {
        return Some(Said::MissingVariable(variable));
    }
    if let Some(server) = no_server(text, &any_case) {
        return Some(Said::NoServer(server));
    }
    if any_case.contains("permission denied") || has("EACCES") {
        return Some(Said::Denied);
    }
    listens(text, &any_case)
}

/// The word, without quotes, behind a phrase.
fn behind(text: &str, phrase: &str) -> Option<String> {
    let (_, rest) = text.split_once(phrase)?;
    let rest = rest.trim_start_matches(['\'', '"', '`']);
    let end = rest
        .find(['\'', '"', '`', ' ', ',', ';'])
        .unwrap_or(rest.len());
    let word: String = rest[..end].chars().take(100).collect();
    (!word.is_empty()).then_some(word)
}

/// `bash: line 1: serve: command not found`, `exec: serve: not found`.
fn missing_command(text: &str) -> Option<String> {
    let front = text
        .strip_suffix(": command not found")
        .or_else(|| text.strip_suffix(": not found"))
        .or_else(|| {
            text.strip_suffix(": No such file or directory")
                .filter(|front| front.contains("exec"))
        })?;
    let command = front.rsplit(": ").next()?.trim();
    (!command.is_empty() && command.len() < 200).then(|| command.to_owned())
}

/// `KeyError: 'X'`, `X is not set`, `missing environment variable X`.
fn missing_variable(text: &str) -> Option<String> {
    let is_name = |word: &str| {
        word.len() > 2
            && word
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
            && word.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let named = |word: Option<String>| word.filter(|word| is_name(word));
    if let Some(name) =
        named(behind(text, "KeyError: ")).or_else(|| named(behind(text, "key not found: ")))
    {
        return Some(name);
    }
    let lower = text.to_ascii_lowercase();
    let complains = [
        "is not set",
        "not defined",
        "is required",
        "is missing",
        "must be set",
    ];
    let is_complaint = complains.iter().any(|phrase| lower.contains(phrase))
        || lower.contains("missing") && lower.contains("environment variable");
    if !is_complaint {
        return None;
    }
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let mut names = words.filter(|word| is_name(word) && word.contains('_'));
    names.next().map(str::to_owned)
}

/// Ports of servers that people expect beside their app.
const SERVERS: [(&str, &str); 7] = [
    (":5432", "PostgreSQL"),
    (":3306", "MySQL"),
    (":6379", "Redis"),
    (":27017", "MongoDB"),
    (":5672", "RabbitMQ"),
    (":9092", "Kafka"),
    (":9200", "Elasticsearch"),
];

fn no_server(text: &str, any_case: &str) -> Option<String> {
    let refused = any_case.contains("connection refused") || text.contains("ECONNREFUSED");
    if !refused {
        return None;
    }
    let port = text.replace("port ", ":");
    let known = SERVERS.iter().find(|(suffix, _)| port.contains(suffix));
    known.map(|(_, name)| (*name).to_owned())
}

/// What a server says when it begins to listen.
fn listens(text: &str, any_case: &str) -> Option<Said> {
    const PHRASES: [&str; 8] = [
        "listening",
        "running on",
        "running at",
        "serving",
        "started on",
        "starting on",
        "server on",
        "bound to",
    ];
    if !PHRASES.iter().any(|phrase| any_case.contains(phrase)) {
        return None;
    }
    let loopback = ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|name| any_case.contains(name));
    let port = port(text);
    (loopback || port.is_some()).then_some(Said::Listens {
        port: port.unwrap_or(0),
        loopback,
    })
}

/// The number behind `port` or `:`.
fn port(text: &str) -> Option<u16> {
    let lower = text.to_ascii_lowercase();
    let starts = lower
        .match_indices("port")
        .map(|(at, found)| at + found.len());
    let colons = lower.match_indices(':').map(|(at, _)| at + 1);
    starts.chain(colons).find_map(|at| {
        let rest = lower[at..].trim_start_matches(['=', ':', ' ', '(', 's']);
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok().filter(|port| *port >= 80)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_give_reasons() {
        let module = |name: &str| Some(Said::MissingModule(name.to_owned()));
        let command = |name: &str| Some(Said::MissingCommand(name.to_owned()));
        let variable = |name: &str| Some(Said::MissingVariable(name.to_owned()));
        let listens = |port, loopback| Some(Said::Listens { port, loopback });
        for (text, expected) in [
            (
                "ModuleNotFoundError: No module named 'flask'",
                module("flask"),
            ),
            ("Error: Cannot find module 'express'", module("express")),
            (
                "in `require': cannot load such file -- sinatra (LoadError)",
                module("sinatra"),
            ),
            ("bash: line 1: serve: command not found", command("serve")),
            ("/bin/sh: 1: exec: gunicorn: not found", command("gunicorn")),
            ("404: page not found here", None),
            (
                "OSError: [Errno 28] No space left on device",
                Some(Said::DiskFull),
            ),
            (
                "Error: listen EADDRINUSE: address already in use :::8080",
                Some(Said::PortInUse),
            ),
            ("KeyError: 'DATABASE_URL'", variable("DATABASE_URL")),
            ("KeyError: 'name'", None),
            ("Error: API_KEY is not set", variable("API_KEY")),
            (
                "connect ECONNREFUSED 127.0.0.1:5432",
                Some(Said::NoServer("PostgreSQL".to_owned())),
            ),
            ("connection refused", None),
            (" * Running on http://127.0.0.1:5000", listens(5000, true)),
            ("Listening on port 3000", listens(3000, false)),
            (
                "Server listening at http://0.0.0.0:8080",
                listens(8080, false),
            ),
            (
                "PermissionError: [Errno 13] Permission denied",
                Some(Said::Denied),
            ),
            ("hello", None),
        ] {
            assert_eq!(reason(text), expected, "{text}");
        }
    }
}
