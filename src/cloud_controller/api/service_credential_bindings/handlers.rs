//! Requests on service credential bindings.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::presenter;
use crate::base::guid::CredentialBindingGuid;
use crate::cloud_controller::actions::service_bindings::{Bound, NewBinding};
use crate::cloud_controller::api::service_instances::fetched_parameters;
use crate::cloud_controller::engines::fetch_binding;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::audit_events::Cause;
use crate::cloud_controller::model::last_operations::OperationType;
use crate::cloud_controller::model::service_credential_bindings::CredentialBinding;
use crate::cloud_controller::model::service_instances::ServiceInstance;
use crate::cloud_controller::payload::service_bindings::{
    CREDENTIAL_INCLUDES, CREDENTIALS, CreateBinding,
};
use crate::cloud_controller::payload::service_fields::check_one_of;
use crate::cloud_controller::query::{ListQuery, ListRules};
use crate::cloud_controller::v3::{ApiResult, Context, JsonBody, ListBody, with_included};
use crate::cloud_controller::{actions, model, payload, v3};
use crate::db::{ReadTx, Vault, WriteTx};

const RULES: ListRules = CREDENTIALS.default_order(&["created_at"]);

pub(super) async fn list(ctx: Context, RawQuery(query): RawQuery) -> ApiResult<Json<ListBody>> {
    let query = ListQuery::parse(query.as_deref(), &RULES)?;
    check_one_of(&query, "type", "Type", &["app", "key"])?;
    ctx.read(move |tx, ctx| {
        let found = model::service_credential_bindings::list_visible(tx, &ctx.caller, &query)?;
        let included = presenter::included(tx, &query, &found.rows, &ctx.urls)?;
        let shown = presenter::present_all(tx, &found.rows, &ctx.urls)?;
        let path = "/v3/service_credential_bindings";
        let body = found.present_values(&query, &ctx.urls, path, shown)?;
        Ok(Json(body.including(included)))
    })
    .await
}

pub(super) async fn show(
    ctx: Context,
    Path(guid): Path<CredentialBindingGuid>,
    RawQuery(query): RawQuery,
) -> ApiResult<Json<Value>> {
    let query = ListQuery::parse_single(query.as_deref(), CREDENTIAL_INCLUDES, &[])?;
    ctx.read(move |tx, ctx| {
        let binding = model::service_credential_bindings::get_visible(tx, &ctx.caller, &guid)?;
        let one = std::slice::from_ref(&binding);
        let included = presenter::included(tx, &query, one, &ctx.urls)?;
        let shown = presenter::present_from(tx, &binding, &ctx.urls)?;
        Ok(Json(with_included(shown, included)))
    })
    .await
}

pub(super) async fn create(ctx: Context, JsonBody(body): JsonBody) -> ApiResult<Response> {
    let wanted = payload::service_bindings::create(body)?;
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let instance = model::service_instances::find_visible(tx, &ctx.caller, &wanted.instance)?;
        let instance = instance.ok_or_else(|| {
            Error::unprocessable(format!(
                "The service instance could not be found: '{}'",
                wanted.instance
            ))
        })?;
        if !instance.is_managed() && wanted.has_parameters {
            return Err(Error::unprocessable(
                "Binding parameters are not supported for user-provided service instances",
            ));
        }
        match bind(tx, ctx, &vault, &instance, wanted)? {
            Bound::Done(binding) => {
                let shown = presenter::present_from(tx, &binding, &ctx.urls)?;
                Ok((StatusCode::CREATED, Json(shown)).into_response())
            }
            Bound::Started(Some(job)) => Ok(v3::jobs::accepted(&job, &ctx.urls)),
            Bound::Started(None) => Err(Error::internal("a binding without a job")),
        }
    })
    .await
}

fn bind(
    tx: &WriteTx<'_>,
    ctx: &Context,
    vault: &Vault,
    instance: &ServiceInstance,
    wanted: CreateBinding,
) -> Result<Bound> {
    let app = wanted.app;
    let new = NewBinding {
        instance,
        name: wanted.name,
        strategy: wanted.strategy,
        parameters: wanted.parameters,
        metadata: wanted.metadata,
        request: wanted.request,
        cause: Cause::Request,
        parent: None,
    };
    let Some(guid) = app else {
        let may = ctx.may_write(tx, &instance.space_guid)?;
        return actions::service_bindings::create_key(tx, &may, vault, new);
    };
    let app = model::apps::find_visible(tx, &ctx.caller, &guid)?;
    let app =
        app.ok_or_else(|| Error::unprocessable(format!("The app could not be found: '{guid}'")))?;
    let may = ctx.may_support(tx, &app.space_guid)?;
    actions::service_bindings::bind_app(tx, &may, vault, &app, new)
}

pub(super) async fn update(
    ctx: Context,
    Path(guid): Path<CredentialBindingGuid>,
    JsonBody(body): JsonBody,
) -> ApiResult<Json<Value>> {
    let change = payload::service_offerings::metadata(body);
    ctx.write(move |tx, ctx| {
        let binding = model::service_credential_bindings::get_visible(tx, &ctx.caller, &guid)?;
        let may = ctx.may_write(tx, &binding.space_guid)?;
        let (metadata, request) = change?;
        let changed = actions::service_bindings::update(tx, &may, &binding, &metadata, &request)?;
        presenter::present_from(tx, &changed, &ctx.urls).map(Json)
    })
    .await
}

/// The instance of a binding.
fn instance_of(tx: &ReadTx<'_>, binding: &CredentialBinding) -> Result<ServiceInstance> {
    let instance = model::service_instances::find(tx, &binding.instance_guid)?;
    instance.ok_or_else(|| Error::internal("a binding without its instance"))
}

pub(super) async fn delete(
    ctx: Context,
    Path(guid): Path<CredentialBindingGuid>,
) -> ApiResult<Response> {
    ctx.write(move |tx, ctx| {
        let binding = model::service_credential_bindings::get_visible(tx, &ctx.caller, &guid)?;
        let by = if binding.app_guid.is_some() {
            ctx.may_support(tx, &binding.space_guid)?
        } else {
            ctx.may_write(tx, &binding.space_guid)?.into()
        };
        let instance = instance_of(tx, &binding)?;
        actions::service_bindings::refuse_blocked(tx, &binding, &instance)?;
        if !instance.is_managed() {
            actions::service_bindings::delete(tx, &by, &binding)?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let both = (&binding, &instance);
        let job = actions::service_bindings::start_delete(tx, &by, both, None)?;
        let job = job.ok_or_else(|| Error::internal("a deletion without a job"))?;
        Ok(v3::jobs::accepted(&job, &ctx.urls))
    })
    .await
}

/// 404 for a binding that is not there yet, or not any more.
fn refuse_unfinished(binding: &CredentialBinding) -> Result<()> {
    let Some(last) = binding
        .last_operation
        .as_ref()
        .filter(|_| !binding.create_succeeded())
    else {
        return Ok(());
    };
    let what = if binding.app_guid.is_some() {
        "binding"
    } else {
        "key"
    };
    let operation = match last.kind {
        OperationType::Create => "Creation",
        OperationType::Update | OperationType::Delete => "Deletion",
    };
    Err(Error::resource_not_found(format!(
        "{operation} of service {what} {}",
        last.state.as_str()
    )))
}

pub(super) async fn details(
    ctx: Context,
    Path(guid): Path<CredentialBindingGuid>,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    ctx.write(move |tx, ctx| {
        let binding = model::service_credential_bindings::get_visible(tx, &ctx.caller, &guid)?;
        let not_found = || Error::not_found("Service credential binding");
        let may = ctx.may_read_secrets(tx, &binding.space_guid);
        let may = may.map_err(|error| error.told_as(not_found))?;
        refuse_unfinished(&binding)?;
        let mut request = json!({ "service_instance_guid": binding.instance_guid });
        if let Some(app) = &binding.app_guid {
            request["app_guid"] = json!(app);
        }
        let data = json!({ "request": request });
        actions::service_events::of_binding(tx, &may, "show", &binding, &data)?;
        let secrets = model::service_credential_bindings::secrets(tx, &vault, &guid)?;
        Ok(Json(presenter::details(&binding, secrets)))
    })
    .await
}

pub(super) async fn parameters(
    ctx: Context,
    Path(guid): Path<CredentialBindingGuid>,
) -> ApiResult<Json<Value>> {
    let vault = ctx.cc.vault().clone();
    let asked = ctx
        .read(move |tx, ctx| {
            let binding = model::service_credential_bindings::get_visible(tx, &ctx.caller, &guid)?;
            refuse_unfinished(&binding)?;
            let instance = instance_of(tx, &binding)?;
            let asked = fetch_binding(tx, &vault, &instance, guid.as_str())?;
            asked.ok_or_else(|| {
                Error::new(
                    Kind::ServiceFetchBindingParametersNotSupported,
                    "This service does not support fetching service binding parameters.",
                )
            })
        })
        .await?;
    fetched_parameters(&ctx, &asked).await.map(Json)
}
