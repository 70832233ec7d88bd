//! Failures and their causes.

use super::facts::{CrashFacts, InstanceFacts, Line, ProcessFacts, QuotaFacts};
use super::*;

fn app() -> Facts {
    Facts {
        word: "shop".to_owned(),
        is_started: true,
        has_droplet: true,
        processes: vec![ProcessFacts {
            kind: "web".to_owned(),
            instances: 1,
            memory: 128,
            disk: 512,
            command: "node server.js".to_owned(),
            check: "port".to_owned(),
            endpoint: "/health".to_owned(),
            timeout: 60,
        }],
        instances: vec![instance("RUNNING", "")],
        routes: 1,
        ..Facts::default()
    }
}

fn instance(state: &str, details: &str) -> InstanceFacts {
    InstanceFacts {
        kind: "web".to_owned(),
        index: 0,
        state: state.to_owned(),
        details: details.to_owned(),
    }
}

fn line(source_type: &str, text: &str) -> Line {
    Line {
        source_type: source_type.to_owned(),
        text: text.to_owned(),
    }
}

fn crashed(description: &str, own: &[&str]) -> Facts {
    Facts {
        instances: vec![instance("CRASHED", description)],
        crashes: vec![CrashFacts {
            at: "12:00".to_owned(),
            age: 5,
            index: 0,
            description: description.to_owned(),
        }],
        lines: own.iter().map(|text| line("APP/PROC/WEB", text)).collect(),
        ..app()
    }
}

fn failed(error: &str) -> Facts {
    Facts {
        has_droplet: false,
        is_started: false,
        failed_build: Some(error.to_owned()),
        lines: vec![line("STG", "Step 1"), line("APP/PROC/WEB", "old")],
        ..app()
    }
}

const REFUSED: &str = "Instance never healthy after 1m0s: failed to make TCP connection to 10.1.0.2:8080: connection refused";
const SLOW: &str = "Instance never healthy after 1m0s: failed to make TCP connection to 10.1.0.2:8080: timed out after 1s";
const EXIT: &str = "APP/PROC/WEB: Exited with status 1";

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn each_failure_has_its_cause_and_the_line_to_change() {
    let http = |status: u16| {
        format!(
            "Instance never healthy after 1m0s: failed to make HTTP request to '/health' on port 8080: received status code {status} in 3ms"
        )
    };
    let (missing, failing) = (http(404), http(500));
    let quota = Facts {
        is_started: false,
        quotas: vec![QuotaFacts {
            name: "small".to_owned(),
            limit: 256,
            left: 100,
        }],
        ..app()
    };
    let down = Facts {
        instances: vec![instance("DOWN", "cannot pull image: manifest unknown")],
        ..app()
    };
    let cases: Vec<(Facts, &str, &str)> = vec![
        (
            crashed(REFUSED, &["Listening on port 3000"]),
            "wrong-port",
            "",
        ),
        (
            crashed(REFUSED, &["Running on http://127.0.0.1:8080"]),
            "loopback",
            "",
        ),
        (
            crashed(REFUSED, &["Hello"]),
            "never-listened",
            "health-check-type: process",
        ),
        (
            crashed("APP/PROC/WEB: Exited with status 137 (out of memory)", &[]),
            "out-of-memory",
            "memory: 256M",
        ),
        (
            crashed("Codependent step exited", &["done"]),
            "exited",
            "command: node server.js",
        ),
        (crashed(EXIT, &["Error: boom"]), "failed", ""),
        (
            crashed("APP/PROC/WEB: Exited with status 127", &[]),
            "start-command",
            "command: null",
        ),
        (
            crashed(EXIT, &["bash: line 1: serve: command not found"]),
            "start-command",
            "command: null",
        ),
        (crashed(SLOW, &["Loading"]), "slow-start", "timeout: 120"),
        (crashed(REFUSED, &[]), "slow-start", "timeout: 120"),
        (
            crashed(&missing, &[]),
            "endpoint-missing",
            "health-check-http-endpoint: /",
        ),
        (crashed(&failing, &[]), "endpoint-fails", ""),
        (
            crashed(EXIT, &["Error: Cannot find module 'express'"]),
            "missing-module",
            "",
        ),
        (
            crashed(EXIT, &["connect ECONNREFUSED 127.0.0.1:5432"]),
            "missing-service",
            "services:",
        ),
        (
            crashed(EXIT, &["KeyError: 'VCAP_SERVICES'"]),
            "missing-service",
            "services:",
        ),
        (
            crashed(EXIT, &["KeyError: 'API_KEY'"]),
            "missing-variable",
            "env:",
        ),
        (
            crashed(EXIT, &["write: No space left on device"]),
            "disk-full",
            "disk_quota: 1024M",
        ),
        (
            crashed(EXIT, &["listen EADDRINUSE: address already in use"]),
            "port-in-use",
            "",
        ),
        (
            crashed("APP/PROC/WEB: Exited with status 139", &[]),
            "crashed-natively",
            "",
        ),
        (
            crashed("APP/PROC/WEB: Exited with status 137", &[]),
            "killed",
            "",
        ),
        (
            crashed(
                "Instance became unhealthy: Liveness check unsuccessful: x",
                &[],
            ),
            "unhealthy",
            "health-check-invocation-timeout: 5",
        ),
        (
            crashed("failed to create container: no such image", &[]),
            "image-missing",
            "",
        ),
        (down, "image-missing", ""),
        (
            failed("NoAppDetectedError - An app was not successfully detected"),
            "not-detected",
            "buildpacks:",
        ),
        (
            failed("StagingError - Staging error: the image of the stack cflinuxfs4 is not built"),
            "stack-missing",
            "",
        ),
        (
            failed("StagingError - out of memory (limit 64M)"),
            "staging-memory",
            "memory: 1024M",
        ),
        (
            failed("StagingError - out of disk: 1G used of 512M"),
            "staging-disk",
            "disk_quota: 1024M",
        ),
        (
            failed("StagingError - exceeded 15m0s timeout"),
            "staging-timeout",
            "",
        ),
        (
            failed("BuildpackCompileFailed - App staging failed"),
            "compile-failed",
            "",
        ),
        (quota, "quota", "memory: 64M"),
    ];
    for (facts, cause, manifest) in cases {
        let found = explain(&facts);
        assert_eq!(found.cause, cause, "{facts:?}");
        assert!(
            found.wrong && !found.title.is_empty() && !found.advice.is_empty(),
            "{found:?}"
        );
        assert!(!found.evidence.is_empty(), "{found:?}");
        let has = found.manifest.iter().any(|line| line == manifest);
        assert!(has || manifest.is_empty(), "{manifest}: {found:?}");
    }
}

#[test]
fn what_is_not_wrong_is_not_called_so() {
    let stopped = Facts {
        is_started: false,
        ..app()
    };
    let empty = Facts {
        has_droplet: false,
        ..stopped.clone()
    };
    let starting = Facts {
        instances: vec![instance("STARTING", "")],
        ..app()
    };
    let hidden = Facts { routes: 0, ..app() };
    let long_ago = Facts {
        instances: vec![instance("RUNNING", "")],
        crashes: vec![CrashFacts {
            age: 3600,
            ..crashed(EXIT, &[]).crashes[0].clone()
        }],
        ..app()
    };
    for (facts, cause) in [
        (app(), "healthy"),
        (stopped, "stopped"),
        (empty, "nothing-pushed"),
        (starting, "starting"),
        (hidden, "no-route"),
        (long_ago, "healthy"),
    ] {
        let found = explain(&facts);
        assert_eq!((found.cause, found.wrong), (cause, false), "{facts:?}");
    }
    let none = Facts {
        processes: vec![ProcessFacts {
            instances: 0,
            ..app().processes[0].clone()
        }],
        instances: Vec::new(),
        ..app()
    };
    assert_eq!(explain(&none).cause, "no-instances");
}

#[test]
fn an_old_crash_explains_no_new_start() {
    let facts = |instance: InstanceFacts, age: u64, started: Option<u64>| Facts {
        instances: vec![instance],
        crashes: vec![CrashFacts {
            age,
            ..crashed(EXIT, &[]).crashes[0].clone()
        }],
        started,
        ..app()
    };
    let starting = || instance("STARTING", "");
    let down = || instance("DOWN", "cannot be created: the daemon is gone");
    for (facts, cause) in [
        // Crashed, and was started again since.
        (facts(starting(), 300, Some(5)), "starting"),
        (facts(down(), 300, Some(5)), "not-created"),
        (facts(instance("RUNNING", ""), 300, Some(5)), "healthy"),
        // Long ago, in this run.
        (facts(starting(), 86_400, Some(90_000)), "starting"),
        (facts(down(), 86_400, None), "not-created"),
        // It crashes again and again: this is why it starts.
        (facts(starting(), 960, Some(3600)), "failed"),
        (facts(starting(), 5, Some(5)), "failed"),
        (facts(down(), 5, None), "failed"),
        // It is down by this crash, however long ago.
        (facts(instance("CRASHED", EXIT), 86_400, Some(5)), "failed"),
    ] {
        assert_eq!(explain(&facts).cause, cause, "{facts:?}");
    }
    let mixed = Facts {
        instances: vec![starting(), instance("CRASHED", EXIT)],
        ..facts(starting(), 86_400, Some(90_000))
    };
    assert_eq!(explain(&mixed).cause, "failed");
}

#[test]
fn the_last_lines_are_those_that_matter() {
    let lines: Vec<String> = (0..30).map(|n| format!("line {n}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let found = explain(&crashed(EXIT, &lines));
    assert_eq!(found.last_lines.len(), 20);
    assert_eq!(found.last_lines[19], "line 29");
    assert_eq!(
        explain(&failed("BuildpackCompileFailed")).last_lines,
        ["Step 1"]
    );
    assert!(explain(&app()).last_lines.is_empty());
}
