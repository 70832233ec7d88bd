//! Whether an app could run on another platform, and what would differ: a pure comparison.

use serde_json::{Value, json};

use super::offers::{Offers, Room};
use super::parcel::{Bits, Parcel};

/// One thing that an app needs, and what the other platform has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: String,
    pub(super) verdict: Verdict,
    pub(super) here: String,
    pub(super) there: String,
    pub(super) advice: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Same,
    /// It runs, but not in the same way.
    Differs,
    /// It cannot run without it.
    Missing,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Same => "ok",
            Self::Differs => "differs",
            Self::Missing => "missing",
        }
    }
}

impl Finding {
    pub(super) fn as_json(&self) -> Value {
        json!({
            "what": self.what,
            "verdict": self.verdict.word(),
            "needed": self.here,
            "found": self.there,
            "advice": self.advice,
        })
    }

    fn new(what: &str, verdict: Verdict, (here, there): (&str, &str), advice: &str) -> Self {
        let is_fine = verdict == Verdict::Same;
        Self {
            what: what.to_owned(),
            verdict,
            here: here.to_owned(),
            there: there.to_owned(),
            advice: if is_fine {
                String::new()
            } else {
                advice.to_owned()
            },
        }
    }
}

/// Whether something is there.
fn present(what: &str, name: &str, is_there: bool, advice: &str) -> Finding {
    if is_there {
        Finding::new(what, Verdict::Same, (name, name), "")
    } else {
        Finding::new(what, Verdict::Missing, (name, "nothing"), advice)
    }
}

/// Everything that an app needs.
pub(super) fn assess(parcel: &Parcel, offers: &Offers) -> Vec<Finding> {
    let mut findings = vec![of_bits(parcel)];
    findings.extend(of_lifecycle(parcel, offers));
    findings.extend(of_stack(parcel, offers));
    findings.extend(of_buildpacks(parcel, offers));
    findings.extend(of_services(parcel, offers));
    findings.extend(of_routes(parcel, offers));
    findings.extend(of_room(parcel, offers.room.as_ref()));
    findings
}

fn of_bits(parcel: &Parcel) -> Finding {
    let what = "droplet";
    match &parcel.bits {
        Bits::Nothing => Finding::new(
            what,
            Verdict::Missing,
            ("a staged droplet", "nothing"),
            "push the app here first",
        ),
        Bits::Droplet { .. } if parcel.lifecycle == "cnb" => Finding::new(
            what,
            Verdict::Missing,
            ("cnb", "no upload of such droplets"),
            "push its files there: cf push --lifecycle cnb",
        ),
        Bits::Droplet { .. } => Finding::new(what, Verdict::Same, ("its bits", "an upload"), ""),
        Bits::Image(image) if is_of_this_machine(image) => Finding::new(
            what,
            Verdict::Missing,
            (image, "it cannot pull from this machine"),
            "push the image to a registry that it reaches, and the app with it",
        ),
        Bits::Image(image) => Finding::new(what, Verdict::Same, (image, "pulled at staging"), ""),
    }
}

/// Whether an image is in a registry that only this machine has.
fn is_of_this_machine(image: &str) -> bool {
    let host = image.split('/').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default();
    image.contains('/')
        && (host == "localhost" || host.ends_with(".localhost") || host.starts_with("127."))
}

fn of_lifecycle(parcel: &Parcel, offers: &Offers) -> Option<Finding> {
    let flag = match parcel.lifecycle.as_str() {
        "docker" => "diego_docker",
        "cnb" => "diego_cnb",
        _ => return None,
    };
    let advice = format!("an administrator there runs cf enable-feature-flag {flag}");
    let is = offers.flags.get(flag).copied();
    let there = match is {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown to it",
    };
    let verdict = if is == Some(true) {
        Verdict::Same
    } else {
        Verdict::Missing
    };
    Some(Finding::new(
        &format!("feature flag {flag}"),
        verdict,
        ("on", there),
        &advice,
    ))
}

fn of_stack(parcel: &Parcel, offers: &Offers) -> Option<Finding> {
    let stack = parcel
        .text("stack")
        .filter(|_| parcel.lifecycle != "docker")?;
    let has = offers.stacks.iter().any(|name| name == stack);
    let advice = format!(
        "it has {}: push the files again for one of them",
        offers.stacks.join(", ")
    );
    Some(present("stack", stack, has, &advice))
}

/// A droplet runs without the buildpack that made it; only the next staging needs it.
fn of_buildpacks(parcel: &Parcel, offers: &Offers) -> Vec<Finding> {
    if parcel.lifecycle != "buildpack" {
        return Vec::new();
    }
    let names = parcel.list("buildpacks");
    let named = names.iter().filter(|name| !name.contains("://"));
    named
        .map(|name| {
            let has = offers.buildpacks.iter().any(|other| other == name);
            let verdict = if has { Verdict::Same } else { Verdict::Differs };
            let there = if has { name } else { "nothing" };
            let advice =
                "the droplet runs without it; a later cf push there needs another buildpack";
            Finding::new("buildpack", verdict, (name, there), advice)
        })
        .collect()
}

fn of_services(parcel: &Parcel, offers: &Offers) -> Vec<Finding> {
    let mut findings = Vec::new();
    for service in &parcel.services {
        let what = format!("service {}", service.name);
        let (kind, offered) = match &service.of {
            None => ("user-provided".to_owned(), true),
            Some((offering, plan)) => {
                let offered = offers.plans.contains(&(offering.clone(), plan.clone()));
                (format!("{offering} {plan}"), offered)
            }
        };
        let named = { offers.services.as_ref() }.map(|names| names.contains(&service.name));
        let (verdict, there, advice) = match (named, offered) {
            (Some(true), _) => (Verdict::Same, "an instance of that name", String::new()),
            (_, false) => (
                Verdict::Missing,
                "no such offering or plan",
                format!("make a service {} of another offering there", service.name),
            ),
            (Some(false), true) => (
                Verdict::Missing,
                "no instance of that name",
                match &service.of {
                    Some((offering, plan)) => {
                        format!("cf create-service {offering} {plan} {}", service.name)
                    }
                    None => format!("cf create-user-provided-service {} -p …", service.name),
                },
            ),
            (None, true) => (Verdict::Same, "offered", String::new()),
        };
        findings.push(Finding::new(&what, verdict, (&kind, there), &advice));
    }
    findings
}

/// Routes and the ones that stand for them there.
fn of_routes(parcel: &Parcel, offers: &Offers) -> Vec<Finding> {
    let mut findings = Vec::new();
    for route in parcel.routes() {
        let what = "route";
        findings.push(match offers.domains.mapped(route) {
            Some(same) if same == route => Finding::new(what, Verdict::Same, (route, &same), ""),
            Some(other) => Finding::new(
                what,
                Verdict::Differs,
                (route, &other),
                "the domain is another one; --to-domain chooses it",
            ),
            None => Finding::new(
                what,
                Verdict::Missing,
                (route, "no domain for it"),
                "name a domain there with --to-domain",
            ),
        });
    }
    for route in &offers.taken {
        let advice =
            "an app of another space has it: choose another --to-domain, or another host here";
        let there = "taken";
        findings.push(Finding::new(
            "route",
            Verdict::Missing,
            (route, there),
            advice,
        ));
    }
    findings
}

fn of_room(parcel: &Parcel, room: Option<&Room>) -> Vec<Finding> {
    let Some(room) = room else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut limit = |what: &str, needs: i64, left: Option<i64>, advice: &str| {
        let there = left.map_or_else(|| "unlimited".to_owned(), |left| format!("{left} MB"));
        let verdict = if left.is_some_and(|left| needs > left) {
            Verdict::Missing
        } else {
            Verdict::Same
        };
        findings.push(Finding::new(
            what,
            verdict,
            (&format!("{needs} MB"), &there),
            advice,
        ));
    };
    let largest = parcel.processes.iter().map(|(_, memory)| *memory).max();
    limit(
        "memory in the quota",
        parcel.memory(),
        room.memory,
        "scale the app down, or ask for a larger quota",
    );
    limit(
        "memory of an instance",
        largest.unwrap_or(0),
        room.per_process,
        "give its processes less memory, or ask for a larger quota",
    );
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::parcel::Service;
    use super::super::routes::Domains;
    use super::*;

    fn parcel(lifecycle: &str, bits: Bits, manifest: &Value) -> Parcel {
        Parcel {
            name: "web".to_owned(),
            lifecycle: lifecycle.to_owned(),
            manifest: manifest.as_object().cloned().expect("a map"),
            bits,
            services: Vec::new(),
            is_started: true,
            processes: vec![(2, 256)],
        }
    }

    fn droplet() -> Bits {
        Bits::Droplet {
            guid: "g".to_owned(),
            process_types: BTreeMap::new(),
        }
    }

    fn offers() -> Offers {
        Offers {
            flags: BTreeMap::from([("diego_docker".to_owned(), false)]),
            stacks: vec!["cflinuxfs4".to_owned()],
            buildpacks: vec!["ruby_buildpack".to_owned()],
            plans: BTreeSet::from([("postgresql".to_owned(), "small".to_owned())]),
            services: Some(BTreeSet::from(["db".to_owned()])),
            domains: Domains {
                there: vec!["apps.example.com".to_owned(), "apps.internal".to_owned()],
                here: vec!["cf.localhost".to_owned()],
                usual: Some("apps.example.com".to_owned()),
                chosen: None,
            },
            taken: Vec::new(),
            room: Some(Room {
                memory: Some(500),
                per_process: None,
            }),
        }
    }

    fn verdicts(findings: &[Finding]) -> Vec<String> {
        let shown = findings.iter().filter(|one| one.verdict != Verdict::Same);
        shown
            .map(|one| {
                format!(
                    "{} {}: {} / {}",
                    one.verdict.word(),
                    one.what,
                    one.here,
                    one.there
                )
            })
            .collect()
    }

    #[test]
    fn what_an_app_with_buildpacks_needs_is_compared() {
        let manifest = json!({
            "stack": "cflinuxfs4",
            "buildpacks": ["ruby_buildpack", "own_buildpack", "https://example.com/bp"],
            "routes": [{ "route": "web.cf.localhost/x" }, { "route": "web.apps.internal" }],
        });
        let mut parcel = parcel("buildpack", droplet(), &manifest);
        let service = |name: &str, of: Option<(&str, &str)>| Service {
            guid: name.to_owned(),
            name: name.to_owned(),
            of: of.map(|(offering, plan)| (offering.to_owned(), plan.to_owned())),
        };
        parcel.services = vec![
            service("db", Some(("postgresql", "small"))),
            service("other", Some(("postgresql", "small"))),
            service("queue", Some(("rabbitmq", "small"))),
            service("mail", None),
        ];
        assert_eq!(
            verdicts(&assess(&parcel, &offers())),
            [
                "differs buildpack: own_buildpack / nothing",
                "missing service other: postgresql small / no instance of that name",
                "missing service queue: rabbitmq small / no such offering or plan",
                "missing service mail: user-provided / no instance of that name",
                "differs route: web.cf.localhost/x / web.apps.example.com/x",
                "missing memory in the quota: 512 MB / 500 MB",
            ]
        );
        // Without a space only what is offered counts.
        let anywhere = Offers {
            services: None,
            room: None,
            ..offers()
        };
        assert_eq!(verdicts(&assess(&parcel, &anywhere)).len(), 3);
    }

    #[test]
    fn what_cannot_be_carried_is_said() {
        for (lifecycle, bits, expected) in [
            (
                "docker",
                Bits::Image("localhost:5000/a".to_owned()),
                &[
                    "missing droplet: localhost:5000/a / it cannot pull from this machine",
                    "missing feature flag diego_docker: on / off",
                ][..],
            ),
            (
                "docker",
                Bits::Image("nginx:1".to_owned()),
                &["missing feature flag diego_docker: on / off"],
            ),
            (
                "cnb",
                droplet(),
                &[
                    "missing droplet: cnb / no upload of such droplets",
                    "missing feature flag diego_cnb: on / unknown to it",
                ],
            ),
            (
                "buildpack",
                Bits::Nothing,
                &["missing droplet: a staged droplet / nothing"],
            ),
        ] {
            let mut offers = offers();
            offers.room = None;
            let parcel = parcel(lifecycle, bits, &json!({}));
            assert_eq!(verdicts(&assess(&parcel, &offers)), expected);
        }
    }
}
