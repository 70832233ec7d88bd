//! Bindings of a service instance to apps, and its keys.

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use serde_json::{Value, json};

use super::head::Head;
use super::{marketplace, schema};
use crate::web::Console;
use crate::web::api::models::Named;
use crate::web::api::services::Binding;
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::Refused;

pub(super) fn routes() -> Router<Console> {
    let below = |name: &str| format!("/console/services/{{guid}}/{name}");
    Router::new()
        .route(&below("bind"), post(bind))
        .route(&below("keys"), post(create_key))
        .route(&below("bindings/{binding}/reveal"), post(reveal))
        .route(&below("bindings/{binding}/delete"), post(delete))
}

/// The parameters of a binding, by the plan's schema.
fn parameters(head: &Head, change: &Change) -> Result<Option<Value>, Refused> {
    let known = head.offer.as_ref();
    let known = known.map(|(_, plan)| &plan.schemas.service_binding.create.parameters);
    let parameters = schema::parameters(known.unwrap_or(&Value::Null), &change.fields)?;
    Ok(parameters.map(Value::Object))
}

async fn bind(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let app = change.fields.required("app", "App")?;
    let api = &change.visitor.api;
    let app: Named = api.get(&format!("/v3/apps/{}", fmt::segment(app))).await?;
    let mut command = format!("cf bind-service {} {}", fmt::word(&app.name), head.word());
    let mut body = json!({
        "type": "app",
        "relationships": {
            "service_instance": { "data": { "guid": head.instance.guid } },
            "app": { "data": { "guid": app.guid } },
        },
    });
    if let Some(name) = change.fields.text("binding") {
        body["name"] = name.into();
        command = format!("{command} --binding-name {}", fmt::word(name));
    }
    if let Some(parameters) = parameters(&head, &change)? {
        command.push_str(&marketplace::options(Some(&parameters), &[]));
        body["parameters"] = parameters;
    }
    let reply = api.post("/v3/service_credential_bindings", body).await?;
    let progress = api.finish(&reply).await?;
    let text = progress.told(
        &format!(
            "{} is bound; restart or restage it to use the service",
            app.name
        ),
        &format!("{} is being bound; the broker is at work", app.name),
    );
    Ok(change.done(text, head.page()).command(command))
}

async fn create_key(Path(guid): Path<String>, change: Change) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let name = change.fields.required("name", "Name")?;
    let mut command = format!("cf create-service-key {} {}", head.word(), fmt::word(name));
    let mut body = json!({
        "type": "key",
        "name": name,
        "relationships": { "service_instance": { "data": { "guid": head.instance.guid } } },
    });
    if let Some(parameters) = parameters(&head, &change)? {
        command.push_str(&marketplace::options(Some(&parameters), &[]));
        body["parameters"] = parameters;
    }
    let api = &change.visitor.api;
    let reply = api.post("/v3/service_credential_bindings", body).await?;
    let progress = api.finish(&reply).await?;
    Ok(change
        .done(
            progress.told(
                &format!("The key {name} is there"),
                &format!("The key {name} is being made; the broker is at work"),
            ),
            head.page(),
        )
        .command(command))
}

/// A binding of this instance.
async fn binding(change: &Change, head: &Head, guid: &str) -> Result<Binding, Refused> {
    let path = format!("/v3/service_credential_bindings/{}", fmt::segment(guid));
    let binding: Binding = change.visitor.api.get(&path).await?;
    if binding.relationships.service_instance.guid() == head.instance.guid {
        Ok(binding)
    } else {
        Err(Refused::not_found())
    }
}

/// Shows its credentials.
async fn reveal(
    Path((guid, of)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let binding = binding(&change, &head, &of).await?;
    let path = format!("/v3/service_credential_bindings/{}/details", binding.guid);
    let found: Value = change.visitor.api.get(&path).await?;
    Ok(change
        .done("The credentials", head.page())
        .reveal(format!("{found:#}")))
}

async fn delete(
    Path((guid, of)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let head = Head::load(&change.visitor, &guid).await?;
    let binding = binding(&change, &head, &of).await?;
    let api = &change.visitor.api;
    let path = format!("/v3/service_credential_bindings/{}", binding.guid);
    let (done, goes_on, command) = if binding.kind == "app" {
        let app = binding.relationships.app.guid();
        let app: Named = api.get(&format!("/v3/apps/{app}")).await?;
        (
            format!("{} is unbound", app.name),
            format!("{} is being unbound; the broker is at work", app.name),
            format!("cf unbind-service {} {}", fmt::word(&app.name), head.word()),
        )
    } else {
        let name = binding.name.unwrap_or_default();
        (
            format!("The key {name} is deleted"),
            format!("The key {name} is being deleted; the broker is at work"),
            format!(
                "cf delete-service-key {} {} -f",
                head.word(),
                fmt::word(&name)
            ),
        )
    };
    let reply = api.delete(&path).await?;
    let progress = api.finish(&reply).await?;
    let text = progress.told(&done, &goes_on);
    Ok(change.done(text, head.page()).command(command))
}
