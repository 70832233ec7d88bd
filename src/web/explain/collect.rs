//! Reads the facts through the API, as the user who asks: what the user may not see is no fact.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::facts::{CrashFacts, Facts, InstanceFacts, Line, ProcessFacts, QuotaFacts};
use super::{Explanation, explain};
use crate::base::Timestamp;
use crate::web::api::models::{App, Event, Named, Process, Stats};
use crate::web::api::{Api, Failure, List};
use crate::web::fmt;

/// Lines that are looked at.
const LINES: usize = 200;
/// Crashes that are looked at.
const CRASHES: usize = 20;
/// Events after which instances start anew.
const STARTS: &str =
    "audit.app.start,audit.app.restart,audit.app.deployment.create,audit.app.droplet.mapped";

/// Explains an app; [`Failure`] when the user may not see it.
pub(in crate::web) async fn explanation(
    api: &Api,
    guid: &str,
    now: Timestamp,
) -> Result<Explanation, Failure> {
    let guid = fmt::segment(guid);
    let app: App = api.get(&format!("/v3/apps/{guid}")).await?;
    Ok(explain(&facts(api, &app, now).await?))
}

#[derive(Deserialize)]
struct Build {
    state: String,
    created_at: String,
    #[serde(default)]
    error: Option<String>,
}

#[derive(Deserialize)]
struct Package {
    state: String,
    data: Value,
}

#[derive(Deserialize)]
struct Droplet {
    created_at: String,
}

#[derive(Deserialize)]
struct Binding {
    relationships: OfBinding,
}

#[derive(Deserialize)]
struct OfBinding {
    service_instance: crate::web::api::models::ToOne,
}

async fn facts(api: &Api, app: &App, now: Timestamp) -> Result<Facts, Failure> {
    let guid = &app.guid;
    let newest = "order_by=-created_at&per_page=1";
    let paths = [
        format!("/v3/apps/{guid}/processes?per_page=100"),
        format!("/v3/builds?app_guids={guid}&{newest}"),
        format!("/v3/packages?app_guids={guid}&{newest}"),
        format!("/v3/apps/{guid}/droplets/current"),
        format!(
            "/v3/audit_events?target_guids={guid}&types=app.crash&order_by=-created_at&per_page={CRASHES}"
        ),
        format!(
            "/v3/service_credential_bindings?app_guids={guid}&include=service_instance&per_page=50"
        ),
        format!("/v3/apps/{guid}/routes?per_page=1"),
        format!("/v3/audit_events?target_guids={guid}&types={STARTS}&{newest}"),
    ];
    let (processes, builds, packages, droplet, crashes, bindings, routes, starts) = tokio::try_join!(
        api.list::<Process>(&paths[0]),
        api.list::<Build>(&paths[1]),
        api.list::<Package>(&paths[2]),
        api.find::<Droplet>(&paths[3]),
        api.list::<Event>(&paths[4]),
        api.list::<Binding>(&paths[5]),
        api.list::<Named>(&paths[6]),
        api.list::<Event>(&paths[7]),
    )?;
    let (known, instances) = running(api, processes.resources).await?;
    let made = droplet.as_ref().map(|droplet| droplet.created_at.as_str());
    let failed = { builds.resources.first() }
        .filter(|build| build.state == "FAILED" && Some(build.created_at.as_str()) >= made);
    let is_started = app.state == "STARTED";
    Ok(Facts {
        word: fmt::word(&app.name),
        is_started,
        has_droplet: droplet.is_some(),
        failed_build: failed.and_then(|build| build.error.clone()),
        failed_package: failed_package(packages.resources.first()),
        services: bound(&bindings),
        routes: routes.pagination.total_results,
        started: starts.resources.first().map(|event| age(event, now)),
        crashes: crashes
            .resources
            .iter()
            .map(|event| crash(event, now))
            .collect(),
        processes: known.iter().map(process).collect(),
        instances,
        quotas: if is_started {
            Vec::new()
        } else {
            quotas(api, app).await?
        },
        lines: lines(api, guid).await?,
    })
}

/// Processes with their commands, and what their instances do.
async fn running(
    api: &Api,
    processes: Vec<Process>,
) -> Result<(Vec<Process>, Vec<InstanceFacts>), Failure> {
    let (mut known, mut instances) = (Vec::new(), Vec::new());
    for process in processes {
        let path = format!("/v3/processes/{}/stats", process.guid);
        let stats: Option<Stats> = api.find(&path).await?;
        let shown = stats.map(|stats| stats.resources).unwrap_or_default();
        instances.extend(shown.into_iter().map(|one| InstanceFacts {
            kind: process.kind.clone(),
            index: one.index,
            state: one.state,
            details: one.details.unwrap_or_default(),
        }));
        // Commands are hidden in lists.
        let path = format!("/v3/processes/{}", process.guid);
        let whole: Option<Process> = api.find(&path).await?;
        known.push(whole.unwrap_or(process));
    }
    Ok((known, instances))
}

/// The names of bound services.
fn bound(bindings: &List<Binding>) -> Vec<String> {
    let names = &bindings.included.service_instances;
    let name = |binding: &Binding| {
        let guid = binding.relationships.service_instance.guid();
        let found = names.iter().find(|one| one.guid == guid);
        found.map(|one| one.name.clone())
    };
    bindings.resources.iter().filter_map(name).collect()
}

fn failed_package(package: Option<&Package>) -> Option<String> {
    let package = package.filter(|package| package.state == "FAILED")?;
    let error = package.data["error"].as_str();
    Some(error.unwrap_or("The upload failed.").to_owned())
}

fn process(process: &Process) -> ProcessFacts {
    let check = &process.health_check;
    ProcessFacts {
        kind: process.kind.clone(),
        instances: u64::from(process.instances),
        memory: process.memory_in_mb,
        disk: process.disk_in_mb,
        command: process.command.clone().unwrap_or_default(),
        check: check.kind.clone(),
        endpoint: check.data.endpoint.clone().unwrap_or_default(),
        timeout: check.data.timeout.unwrap_or(60),
    }
}

/// Seconds since an event.
fn age(event: &Event, now: Timestamp) -> u64 {
    Timestamp::parse(&event.created_at).map_or(0, |at| now.since(at).as_secs())
}

fn crash(event: &Event, now: Timestamp) -> CrashFacts {
    CrashFacts {
        at: fmt::time(&event.created_at),
        age: age(event, now),
        index: event.data["index"].as_u64().unwrap_or(0),
        description: event.data["exit_description"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
    }
}

#[derive(Deserialize)]
struct Usage {
    usage_summary: Summary,
}

#[derive(Deserialize)]
struct Summary {
    memory_in_mb: u64,
}

#[derive(Deserialize)]
struct Quota {
    name: String,
    apps: QuotaApps,
}

#[derive(Deserialize)]
struct QuotaApps {
    total_memory_in_mb: Option<u64>,
}

/// The quotas of organization and space, with what is left of their memory.
async fn quotas(api: &Api, app: &App) -> Result<Vec<QuotaFacts>, Failure> {
    let space = app.relationships.space.guid();
    let Some(place) = api.find::<Value>(&format!("/v3/spaces/{space}")).await? else {
        return Ok(Vec::new());
    };
    let guid = |of: &Value, name: &str| {
        let guid = of["relationships"][name]["data"]["guid"].as_str();
        guid.map(str::to_owned)
    };
    let mut found = Vec::new();
    if let Some(organization) = guid(&place, "organization") {
        let path = format!("/v3/organizations/{organization}");
        let owner: Option<Value> = api.find(&path).await?;
        let quota = owner.as_ref().and_then(|owner| guid(owner, "quota"));
        let quota = quota.map(|quota| format!("/v3/organization_quotas/{quota}"));
        found.extend(left(api, quota, &path).await?);
    }
    let quota = guid(&place, "quota").map(|quota| format!("/v3/space_quotas/{quota}"));
    found.extend(left(api, quota, &format!("/v3/spaces/{space}")).await?);
    Ok(found)
}

async fn left(
    api: &Api,
    quota: Option<String>,
    owner: &str,
) -> Result<Option<QuotaFacts>, Failure> {
    let Some(quota) = quota else { return Ok(None) };
    let Some(quota) = api.find::<Quota>(&quota).await? else {
        return Ok(None);
    };
    let usage: Option<Usage> = api.find(&format!("{owner}/usage_summary")).await?;
    let (Some(limit), Some(usage)) = (quota.apps.total_memory_in_mb, usage) else {
        return Ok(None);
    };
    Ok(Some(QuotaFacts {
        name: quota.name,
        limit,
        left: limit.saturating_sub(usage.usage_summary.memory_in_mb),
    }))
}

/// The last lines; none for who may not read them.
async fn lines(api: &Api, guid: &str) -> Result<Vec<Line>, Failure> {
    let path = format!("/api/v1/read/{guid}?descending=true&limit={LINES}&envelope_types=LOG");
    // Log Cache has no errors in the format of the v3 API: no answer means no lines.
    let Ok(reply) = api.raw(&path).await else {
        return Ok(Vec::new());
    };
    let body: Value = reply.json()?;
    let batch = body["envelopes"]["batch"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let mut lines: Vec<Line> = batch.iter().map(line).collect();
    lines.reverse();
    Ok(lines)
}

fn line(envelope: &Value) -> Line {
    let payload = envelope["log"]["payload"].as_str().unwrap_or_default();
    let payload = STANDARD.decode(payload).unwrap_or_default();
    let text = crate::web::logs::plain(&String::from_utf8_lossy(&payload));
    Line {
        source_type: envelope["tags"]["source_type"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        text: text.chars().take(1000).collect(),
    }
}
