//! Why instances of a started app do not run.

use super::Explanation;
use super::facts::{CrashFacts, Facts, InstanceFacts, ProcessFacts};
use super::lines::{self, Said};

/// A crash is news for so many seconds after it, while all instances run.
const NEWS: u64 = 600;
/// After so many seconds a crash is not why an instance starts: the longest wait after a crash, 16
/// minutes, and some for the start behind it.
const AGAIN: u64 = 20 * 60;

/// The cause, or that all is well.
pub(super) fn explain(facts: &Facts) -> Explanation {
    let broken = broken(facts);
    let crash = facts.crashes.first();
    if let Some(crash) = crash.filter(|crash| is_news(facts, broken, crash)) {
        let kind = process_of(crash, broken);
        let found = crashed(facts, &facts.process(&kind), crash);
        return match broken {
            Some(_) => found,
            None => found.evidence("All instances run again."),
        };
    }
    match broken {
        None => well(facts),
        Some(one) if one.state == "CRASHED" && !one.details.is_empty() => {
            let crash = CrashFacts {
                description: one.details.clone(),
                index: u64::from(one.index),
                ..CrashFacts::default()
            };
            crashed(facts, &facts.process(&one.kind), &crash)
        }
        Some(one) if !one.details.is_empty() => not_created(facts, one),
        Some(one) => Explanation::fine("starting", format!("Instance {} starts", one.index))
            .advice("The health check has not passed yet."),
    }
}

/// The instance that has trouble: one that crashed before one that starts.
fn broken(facts: &Facts) -> Option<&InstanceFacts> {
    let find = |is: fn(&InstanceFacts) -> bool| facts.instances.iter().find(|one| is(one));
    find(|one| one.state == "CRASHED").or_else(|| find(|one| one.state != "RUNNING"))
}

/// Whether the newest crash says why the app is as it is. What crashed before the app was last
/// started says nothing about this start, except for an instance that is still crashed.
fn is_news(facts: &Facts, broken: Option<&InstanceFacts>, crash: &CrashFacts) -> bool {
    let is_of_this_start = facts.started.is_none_or(|started| crash.age <= started);
    match broken {
        Some(one) if one.state == "CRASHED" => true,
        Some(_) => is_of_this_start && crash.age < AGAIN,
        None => is_of_this_start && crash.age < NEWS,
    }
}

/// The process in `APP/PROC/WEB: …`, or that of the instance that is down.
fn process_of(crash: &CrashFacts, broken: Option<&InstanceFacts>) -> String {
    let named = crash.description.strip_prefix("APP/PROC/");
    let named = named.and_then(|rest| rest.split(':').next());
    match (named, broken) {
        (Some(kind), _) => kind.to_ascii_lowercase(),
        (None, Some(instance)) => instance.kind.clone(),
        (None, None) => "web".to_owned(),
    }
}

fn well(facts: &Facts) -> Explanation {
    let wanted: u64 = facts.processes.iter().map(|one| one.instances).sum();
    if wanted == 0 {
        return Explanation::new("no-instances", "No instance is wanted")
            .advice("The app is started, but all its processes are scaled to 0.")
            .manifest("instances: 1")
            .command(format!("cf scale {} -i 1", facts.word));
    }
    let web = facts.process("web");
    if facts.routes == 0 && web.kind == "web" && web.check != "process" {
        return Explanation::fine("no-route", "It runs, but no route leads to it")
            .advice("Map a route, so that it has an address.")
            .manifest("random-route: true")
            .command(format!(
                "cf map-route {} DOMAIN --hostname NAME",
                facts.word
            ));
    }
    Explanation::fine("healthy", "All instances run")
}

fn crashed(facts: &Facts, process: &ProcessFacts, crash: &CrashFacts) -> Explanation {
    let text = crash.description.as_str();
    let found = if text.contains("(out of memory)") {
        out_of_memory(facts, process)
    } else if text.contains("failed to create container") {
        return not_created(
            facts,
            &InstanceFacts {
                details: text.to_owned(),
                ..InstanceFacts::default()
            },
        );
    } else if text.contains("Instance never healthy") {
        never_healthy(facts, process, text)
    } else if text.contains("Instance became unhealthy") {
        became_unhealthy(facts, process, text)
    } else {
        exited(facts, process, text)
    };
    let when = if crash.at.is_empty() {
        String::new()
    } else {
        format!(" at {}", crash.at)
    };
    let count = facts.crashes.len();
    let found = found.evidence(format!("Instance {}{when}: {text}", crash.index));
    if count > 1 {
        found.evidence(format!("{count} crashes in the last events."))
    } else {
        found
    }
}

fn out_of_memory(facts: &Facts, process: &ProcessFacts) -> Explanation {
    let more = process.memory.max(64) * 2;
    Explanation::new(
        "out-of-memory",
        format!("It needs more than its {} MB of memory", process.memory),
    )
    .advice("The kernel ended it at its limit. Give it more, or make it use less.")
    .manifest(format!("memory: {more}M"))
    .command(format!("cf scale {} -m {more}M", facts.word))
}

/// It ran, but did not answer the health check in time.
fn never_healthy(facts: &Facts, process: &ProcessFacts, text: &str) -> Explanation {
    if let Some(found) = answered(process, text) {
        return found;
    }
    let listens = |said: &Said| matches!(said, Said::Listens { .. });
    if text.contains("timed out") || text.contains("Timeout") {
        return slow(facts, process);
    }
    match lines::said(facts.lines.iter(), listens) {
        Some((Said::Listens { port, loopback }, line)) => {
            let expected = expected_port(text);
            if port != 0 && port != expected {
                return Explanation::new(
                    "wrong-port",
                    format!("It listens on port {port}, not on port {expected}"),
                )
                .advice("Listen on the port that the variable PORT names.")
                .evidence(format!("Its log: {line}"));
            }
            if loopback {
                return Explanation::new("loopback", "It listens on 127.0.0.1 only")
                    .advice("Listen on 0.0.0.0, so that the router reaches it from outside its container.")
                    .evidence(format!("Its log: {line}"));
            }
            slow(facts, process)
        }
        _ if facts.lines.iter().any(super::facts::Line::is_own) => Explanation::new(
            "never-listened",
            format!("It did not listen on port {} within {} seconds", expected_port(text), process.timeout),
        )
        .advice(
            "Listen on 0.0.0.0 and the port that the variable PORT names. If it needs longer, raise the timeout; \
             if it has no port at all, check the process only.",
        )
        .manifest(format!("timeout: {}", process.timeout.max(60) * 2))
        .manifest("health-check-type: process"),
        _ => slow(facts, process),
    }
}

fn slow(facts: &Facts, process: &ProcessFacts) -> Explanation {
    let more = process.timeout.max(60) * 2;
    Explanation::new(
        "slow-start",
        format!("It was not ready within {} seconds", process.timeout),
    )
    .advice("Give it more time, or make it listen before its long work begins.")
    .manifest(format!("timeout: {more}"))
    .command(format!("cf push {} -t {more}", facts.word))
}

/// The health endpoint answered with a status.
fn answered(process: &ProcessFacts, text: &str) -> Option<Explanation> {
    let (_, rest) = text.split_once("received status code ")?;
    let status: u16 = rest.split(' ').next()?.parse().ok()?;
    let endpoint = &process.endpoint;
    let found = if status >= 500 {
        Explanation::new(
            "endpoint-fails",
            format!("Its health endpoint {endpoint} answers {status}"),
        )
        .advice("The app answers, but fails there; its lines below say why.")
    } else {
        Explanation::new(
            "endpoint-missing",
            format!("Its health endpoint {endpoint} answers {status}, not 200"),
        )
        .advice("Name an endpoint that exists and needs no sign-in.")
        .manifest("health-check-http-endpoint: /")
    };
    Some(found)
}

fn became_unhealthy(facts: &Facts, process: &ProcessFacts, text: &str) -> Explanation {
    if let Some(found) = answered(process, text) {
        return found;
    }
    Explanation::new(
        "unhealthy",
        "It ran, and then stopped answering its health check",
    )
    .advice("It may be overloaded or stuck; look at its CPU and its last lines.")
    .manifest("health-check-invocation-timeout: 5")
    .command(format!("cf app {}", facts.word))
}

/// The port of the probe: `… on port 8080`, `10.0.0.2:8080:`.
fn expected_port(text: &str) -> u16 {
    let behind = |at: usize| {
        let digits: String = text[at..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    };
    let named = text
        .match_indices("port ")
        .filter_map(|(at, found)| behind(at + found.len()));
    let colon = text.match_indices(':').filter_map(|(at, _)| behind(at + 1));
    named.chain(colon).next().unwrap_or(8080)
}

/// The status in `Exited with status 1`.
fn status(text: &str) -> i64 {
    let behind = text.split("Exited with status ").nth(1).unwrap_or_default();
    let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn exited(facts: &Facts, process: &ProcessFacts, text: &str) -> Explanation {
    let status = status(text);
    let is_reason = |said: &Said| !matches!(said, Said::Listens { .. });
    if let Some((said, line)) = lines::said(facts.lines.iter(), is_reason)
        && status != 0
    {
        return by_line(facts, process, &said).evidence(format!("Its log: {line}"));
    }
    match status {
        0 => Explanation::new("exited", "It ended by itself, without an error")
            .advice(
                "A server must keep running; a job that ends is a task. Check that the start command does not \
                 start it in the background.",
            )
            .manifest(command_line(process))
            .command(format!("cf run-task {} --command COMMAND", facts.word)),
        126 | 127 => Explanation::new("start-command", "Its start command cannot be run")
            .advice("Name a program that is in the droplet, or leave the command to the buildpack.")
            .manifest("command: null"),
        137 => Explanation::new("killed", "It was killed")
            .advice("Something sent it SIGKILL, such as a lack of memory on this machine.")
            .command("cflite doctor"),
        139 => Explanation::new("crashed-natively", "It crashed with a segmentation fault")
            .advice("A native library is at fault; look for one that was built for another stack."),
        143 => Explanation::new("terminated", "It was asked to end")
            .advice("It got SIGTERM, from itself or from a command in its container."),
        status => Explanation::new("failed", format!("It ended with status {status}"))
            .advice("Its last lines say why."),
    }
}

fn command_line(process: &ProcessFacts) -> String {
    match process.command.as_str() {
        "" => "command: COMMAND THAT KEEPS RUNNING".to_owned(),
        command => format!("command: {command}"),
    }
}

fn by_line(facts: &Facts, process: &ProcessFacts, said: &Said) -> Explanation {
    match said {
        Said::DiskFull => {
            let more = process.disk.max(256) * 2;
            Explanation::new("disk-full", format!("It needs more than its {} MB of disk", process.disk))
                .advice("Give it more disk, or keep files elsewhere.")
                .manifest(format!("disk_quota: {more}M"))
                .command(format!("cf scale {} -k {more}M", facts.word))
        }
        Said::MissingModule(name) => {
            Explanation::new("missing-module", format!("The module {name} is not in the droplet"))
                .advice("Add it to the dependencies (requirements.txt, package.json, Gemfile, …) and push again.")
                .command(format!("cf push {}", facts.word))
        }
        Said::MissingCommand(name) => {
            Explanation::new("start-command", format!("Its start command needs {name}, which is not there"))
                .advice("Name a program that is in the droplet, or leave the command to the buildpack.")
                .manifest("command: null")
        }
        Said::MissingVariable(name) => missing_variable(facts, name),
        Said::NoServer(name) => missing_service(
            facts,
            format!("It looks for {name} at an address where none is"),
        ),
        Said::PortInUse => Explanation::new("port-in-use", "Its port is in use already")
            .advice("It starts two servers, or a process and a sidecar on one port.")
            .evidence(format!("Start command: {}", process.command)),
        Said::Denied => Explanation::new("denied", "It may not do what it tries")
            .advice("Apps run as the user vcap: they write below /home/vcap and /tmp, and listen on ports from 1024."),
        // Asked for others only.
        Said::Listens { .. } => Explanation::new("failed", "It ended with an error"),
    }
}

fn missing_variable(facts: &Facts, name: &str) -> Explanation {
    if matches!(name, "VCAP_SERVICES" | "DATABASE_URL") {
        return missing_service(facts, format!("It needs a service: {name} is not set"));
    }
    Explanation::new(
        "missing-variable",
        format!("The variable {name} is not set"),
    )
    .advice("Set it and restart the app.")
    .manifest("env:")
    .manifest(format!("  {name}: VALUE"))
    .command(format!("cf set-env {} {name} VALUE", facts.word))
}

fn missing_service(facts: &Facts, title: String) -> Explanation {
    let found = Explanation::new("missing-service", title)
        .manifest("services:")
        .manifest("- NAME OF THE SERVICE INSTANCE")
        .command(format!("cf bind-service {} SERVICE_INSTANCE", facts.word));
    if facts.services.is_empty() {
        found
            .advice("Bind a service instance and take the address from VCAP_SERVICES, not from a fixed host.")
            .evidence("No service is bound to the app.")
    } else {
        found
            .advice("Take the address from VCAP_SERVICES, not from a fixed host.")
            .evidence(format!("Bound are: {}.", facts.services.join(", ")))
    }
}

/// The container could not be made.
fn not_created(facts: &Facts, instance: &InstanceFacts) -> Explanation {
    let text = instance.details.as_str();
    let lower = text.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    let found = if has("no space left") {
        Explanation::new("disk-full", "The disk of this machine is full")
            .advice("Free some space; instances start by themselves then.")
            .command("cflite doctor")
    } else if has("no such image") || has("manifest unknown") || has("not found") || has("pull") {
        Explanation::new("image-missing", "The image that it runs from is not there")
            .advice("Build or load the stack image, or stage the app again.")
            .command("cflite images list")
            .command(format!("cf restage {}", facts.word))
    } else {
        Explanation::new("not-created", "Docker could not make its container")
            .advice("It is tried again by itself. The check of this machine says more.")
            .command("cflite doctor")
    };
    found.evidence(text.to_owned())
}
