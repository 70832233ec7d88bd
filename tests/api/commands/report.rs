//! `docs/compatibility.md`, written from what the commands came to.

use std::fmt::Write as _;
use std::path::Path;

use super::endpoints::Endpoint;

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Works,
    Refused(String),
    Later(String),
    Local(String),
    /// A request is not served, and nobody said who brings it.
    Missing,
    Fails(String),
}

/// A command.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
}

const INTRODUCTION: &str = "# Compatibility

Written by `make compatibility` from a test run; a test fails when this page and the platform differ.

Each command of the cf CLI v8 was played against the platform: the requests the CLI makes, in their
order, with the fields it reads out of the answers (`tests/api/commands`). **works** means that all of
them were answered as expected. *Real CLI* means that the test suite also runs the command with a real
cf CLI against a real Docker daemon (`tests/cf/run.sh`). A command of the last kind, *no request*, asks
nothing of a platform.
";

/// The whole page.
pub(crate) fn page(groups: &[(String, Vec<Row>)], endpoints: &[Endpoint]) -> String {
    let mut page = INTRODUCTION.to_owned();
    summary(&mut page, groups, endpoints);
    let script = real_cli();
    lifecycles(&mut page, &script);
    page.push_str("\n## Commands\n");
    for (title, rows) in groups {
        let _ = write!(
            page,
            "\n### {title}\n\n| command | | real CLI |\n|---|---|---|\n"
        );
        for row in rows {
            let real = row.name.split(", ").any(|name| runs(&script, name));
            let mark = if real { "yes" } else { "" };
            let state = state(&row.outcome);
            let _ = writeln!(page, "| `{}` | {state} | {mark} |", row.name);
        }
    }
    page.push_str(
        "\n## Endpoints of the v3 API\n\nEvery endpoint the API's documentation names and the CLI asks \
         for. **played** means that a command above was answered by it.\n\n| endpoint | | asked by the CLI |\n\
         |---|---|---|\n",
    );
    for endpoint in endpoints {
        let state = match (endpoint.served, endpoint.played) {
            (true, true) => "**played**",
            (true, false) => "served",
            (false, _) => "not yet",
        };
        let cli = if endpoint.cli { "yes" } else { "" };
        let _ = writeln!(
            page,
            "| `{} {}` | {state} | {cli} |",
            endpoint.method, endpoint.path
        );
    }
    page
}

/// What an app may be made of, and the text of `tests/cf` that pushes one.
const LIFECYCLES: &[(&str, &str, &str)] = &[
    (
        "buildpack",
        "files, with Cloud Foundry's buildpacks",
        "push static -p samples/static",
    ),
    (
        "docker",
        "an image: `--docker-image`, or from a manifest",
        "--docker-image \"$image\"",
    ),
    (
        "cnb",
        "files, with Cloud Native Buildpacks that are images or uploaded",
        "-b \"docker://$tool\"",
    ),
];

fn lifecycles(page: &mut String, script: &str) {
    page.push_str(
        "\n## Lifecycles\n\n| lifecycle | what is pushed | | real CLI |\n|---|---|---|---|\n",
    );
    for (name, what, pushes) in LIFECYCLES {
        let state = if script.contains(pushes) {
            "**works** | yes"
        } else {
            "not yet |"
        };
        let _ = writeln!(page, "| `{name}` | {what} | {state} |");
    }
}

fn summary(page: &mut String, groups: &[(String, Vec<Row>)], endpoints: &[Endpoint]) {
    let count = |wanted: fn(&Outcome) -> bool| {
        let rows = groups.iter().flat_map(|(_, rows)| rows);
        rows.filter(|row| wanted(&row.outcome)).count()
    };
    let served = endpoints.iter().filter(|endpoint| endpoint.served);
    let _ = write!(
        page,
        "\n| commands | |\n|---|---|\n| work | {} |\n| need no platform | {} |\n\
         | are refused by name | {} |\n| come later | {} |\n\n\
         {} of {} v3 endpoints are served, {} of the {} the CLI asks for.\n",
        count(|outcome| matches!(outcome, Outcome::Works)),
        count(|outcome| matches!(outcome, Outcome::Local(_))),
        count(|outcome| matches!(outcome, Outcome::Refused(_))),
        count(|outcome| matches!(outcome, Outcome::Later(_) | Outcome::Missing)),
        served.clone().count(),
        endpoints.len(),
        served.filter(|endpoint| endpoint.cli).count(),
        endpoints.iter().filter(|endpoint| endpoint.cli).count(),
    );
}

fn state(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Works => "**works**".to_owned(),
        Outcome::Refused(text) => format!("refused: {text}"),
        Outcome::Later(area) => format!("comes with {area}"),
        Outcome::Local(why) => format!("no request: {why}"),
        Outcome::Missing => "not yet".to_owned(),
        Outcome::Fails(_) => "fails".to_owned(),
    }
}

/// The scripts that drive the real CLI.
fn real_cli() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cf");
    let read = |name| std::fs::read_to_string(folder.join(name)).expect("tests/cf");
    ["run.sh", "admin.sh", "network.sh", "services.sh", "tcp.sh"]
        .map(read)
        .concat()
}

/// Whether the script runs a command: `"$cf" name`.
fn runs(script: &str, name: &str) -> bool {
    let call = format!("\"$cf\" {name}");
    script.match_indices(&call).any(|(at, _)| {
        let next = script[at + call.len()..].chars().next();
        next.is_none_or(char::is_whitespace)
    })
}

/// The committed page must be the one that was written; with `UPDATE` it becomes it.
pub(crate) fn compare(page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("docs");
        std::fs::write(&path, page).expect("docs/compatibility.md");
        return;
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let differing: Vec<String> = page
        .lines()
        .filter(|line| !committed.lines().any(|other| other == *line))
        .map(|line| format!("  now: {line}"))
        .collect();
    assert!(
        committed == page,
        "docs/compatibility.md is not what this run gives; `make compatibility` renews it\n{}",
        differing.join("\n")
    );
}
