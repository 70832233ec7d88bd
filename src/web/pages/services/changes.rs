//! What one does to a service instance.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use serde_json::{Value, json};

use super::head::Head;
use super::{marketplace, schema};
use crate::web::Console;
use crate::web::api::jobs::Progress;
use crate::web::api::services::Plan;
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::Refused;

pub(super) fn routes() -> Router<Console> {
    let below = |name: &str| format!("/console/services/{{guid}}/{name}");
    Router::new()
        .route(&below("update"), post(update))
        .route(&below("provided"), post(update_provided))
        .route(&below("upgrade"), post(upgrade))
        .route(&below("share"), post(share))
        .route(&below("unshare/{space}"), post(unshare))
        .route(&below("reveal"), post(reveal))
        .route(&below("delete"), post(delete))
        .route(&below("purge"), post(purge))
}

fn path(guid: &str) -> String {
    format!("/v3/service_instances/{}", fmt::segment(guid))
}

/// Name, tags, plan and parameters of a managed instance.
async fn update(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let api = &change.visitor.api;
    let fields = &change.fields;
    let mut body = json!({});
    let mut options = String::new();
    let name = fields.required("name", "Name")?;
    let mut commands = Vec::new();
    if name != head.instance.name {
        body["name"] = name.into();
        commands.push(format!(
            "cf rename-service {} {}",
            head.word(),
            fmt::word(name)
        ));
    }
    let tags = marketplace::tags(fields.get("tags"));
    if tags != head.instance.tags {
        body["tags"] = json!(tags);
        options = format!("{options} -t {}", fmt::word(&tags.join(",")));
    }
    let current = head.offer.as_ref().map(|(_, plan)| plan);
    let mut of_plan = current.cloned();
    let wanted = fields.text("plan");
    if let Some(wanted) = wanted.filter(|wanted| current.is_some_and(|plan| plan.guid != *wanted)) {
        let plan: Plan = api
            .get(&format!("/v3/service_plans/{}", fmt::segment(wanted)))
            .await?;
        body["relationships"] = json!({ "service_plan": { "data": { "guid": plan.guid } } });
        options = format!("{options} -p {}", fmt::word(&plan.name));
        of_plan = Some(plan);
    }
    let known = of_plan.map(|plan| plan.schemas.service_instance.update.parameters);
    let parameters = schema::parameters(&known.unwrap_or_default(), fields)?;
    if let Some(parameters) = parameters.map(Value::Object) {
        options = format!("{options}{}", marketplace::options(Some(&parameters), &[]));
        body["parameters"] = parameters;
    }
    if body == json!({}) {
        return Err(Refused::field("name", "Nothing differs from what there is"));
    }
    api.patch(&path(&guid), body).await?;
    if !options.is_empty() {
        commands.push(format!("cf update-service {}{options}", head.word()));
    }
    Ok(change
        .done("The service is being changed", head.page())
        .command(commands.join(" && ")))
}

async fn update_provided(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let (mut body, options) = marketplace::provided(&change)?;
    let name = change.fields.required("name", "Name")?;
    if name != head.instance.name {
        body["name"] = name.into();
    }
    change.visitor.api.patch(&path(&guid), body).await?;
    let command = format!("cf update-user-provided-service {}{options}", head.word());
    Ok(change
        .done(
            "The service is changed; restage or restart its apps",
            head.page(),
        )
        .command(command))
}

/// To the version of its plan.
async fn upgrade(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let version = head.offer.as_ref();
    let version = version.and_then(|(_, plan)| plan.maintenance_info.version.clone());
    let Some(version) = version else {
        let text = "The plan of this service has no version to upgrade to";
        return Err(Refused::field("version", text));
    };
    let body = json!({ "maintenance_info": { "version": version } });
    change.visitor.api.patch(&path(&guid), body).await?;
    Ok(change
        .done("The service is being upgraded", head.page())
        .command(format!("cf upgrade-service {}", head.word())))
}

async fn share(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let space = change.fields.required("space", "Space")?;
    let path = format!("{}/relationships/shared_spaces", path(&guid));
    let body = json!({ "data": [{ "guid": space }] });
    change.visitor.api.post(&path, body).await?;
    Ok(change
        .done("The service is shared", head.page())
        .command(format!("cf share-service {} -s SPACE -o ORG", head.word())))
}

async fn unshare(
    Path((guid, space)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let space = fmt::segment(&space);
    let path = format!("{}/relationships/shared_spaces/{space}", path(&guid));
    change.visitor.api.delete(&path).await?;
    Ok(change
        .done(
            "The service is no longer shared with the space",
            head.page(),
        )
        .command(format!(
            "cf unshare-service {} -s SPACE -o ORG",
            head.word()
        )))
}

/// Shows parameters or, of user-provided instances, credentials.
async fn reveal(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let what = if head.instance.kind == "managed" {
        "parameters"
    } else {
        "credentials"
    };
    let path = format!("{}/{what}", path(&guid));
    let found: Value = change.visitor.api.get(&path).await?;
    Ok(change
        .done(format!("The {what}"), head.page())
        .reveal(format!("{found:#}")))
}

async fn delete(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let name = &head.instance.name;
    change.fields.typed(name, "the service")?;
    let api = &change.visitor.api;
    let reply = api.delete(&path(&guid)).await?;
    let progress = api.finish(&reply).await?;
    let command = format!("cf delete-service {} -f", head.word());
    let (text, next) = match progress {
        Progress::Done => (format!("{name} is deleted"), "/console/services".to_owned()),
        Progress::GoesOn => (format!("{name} is being deleted"), head.page()),
    };
    Ok(change.done(text, next).command(command))
}

/// Forgets an instance whose broker is gone.
async fn purge(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let name = &head.instance.name;
    change
        .fields
        .typed(name, "the service without its broker")?;
    let path = format!("{}?purge=true", path(&guid));
    change.visitor.api.delete(&path).await?;
    Ok(change
        .done(format!("{name} is forgotten"), "/console/services")
        .command(format!("cf purge-service-instance {} -f", head.word())))
}
