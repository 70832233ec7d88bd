//! Requests: their bodies and queries, checked.

use axum::extract::Request;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::problem::Problem;
use crate::data_services::catalog::{Catalog, Offering, Plan};

/// The largest body.
const LARGEST: usize = 1 << 20;

/// Whether the platform can poll.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Async {
    #[serde(default)]
    pub(super) accepts_incomplete: bool,
}

/// Ids in a query.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Ids {
    service_id: Option<String>,
    plan_id: Option<String>,
    #[serde(default)]
    pub(super) accepts_incomplete: bool,
}

impl Ids {
    /// Requests to delete name what they delete.
    pub(super) fn check(&self) -> Result<(), Problem> {
        for (name, id) in [("service_id", &self.service_id), ("plan_id", &self.plan_id)] {
            if id.as_deref().is_none_or(str::is_empty) {
                return Err(Problem::invalid(format!("{name} is missing in the query")));
            }
        }
        Ok(())
    }
}

/// A body.
pub(super) struct Body(Map<String, Value>);

impl Body {
    pub(super) async fn read(request: Request) -> Result<Self, Problem> {
        let body = Limited::new(request.into_body(), LARGEST).collect().await;
        let body =
            body.map_err(|_| Problem::invalid("the body is larger than 1 MiB or broke off"))?;
        match serde_json::from_slice(&body.to_bytes()) {
            Ok(Value::Object(body)) => Ok(Self(body)),
            _ => Err(Problem::invalid("the body has to be a JSON object")),
        }
    }

    /// A text that has to be there.
    pub(super) fn text(&self, name: &str) -> Result<&str, Problem> {
        match self.0.get(name).and_then(Value::as_str) {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(Problem::invalid(format!(
                "{name} has to be a text that is not empty"
            ))),
        }
    }

    /// A text that may be missing.
    pub(super) fn optional_text(&self, name: &str) -> Result<Option<&str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.text(name).map(Some),
        }
    }

    /// The parameters; `None` = none were given.
    pub(super) fn parameters(&self) -> Result<Option<Map<String, Value>>, Problem> {
        match self.0.get("parameters") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(parameters)) => Ok(Some(parameters.clone())),
            Some(_) => Err(Problem::invalid("parameters has to be an object")),
        }
    }

    /// The name that users gave to the instance.
    pub(super) fn instance_name(&self) -> Option<&str> {
        self.0.get("context")?.get("instance_name")?.as_str()
    }

    /// The app that a binding is for.
    pub(super) fn app(&self) -> Option<&str> {
        let bound = self
            .0
            .get("bind_resource")
            .and_then(|resource| resource.get("app_guid"));
        bound
            .or_else(|| self.0.get("app_guid"))
            .and_then(Value::as_str)
    }

    /// The offering and plan it is about.
    pub(super) fn plan<'a>(
        &self,
        catalog: &'a Catalog,
    ) -> Result<(&'a Offering, &'a Plan), Problem> {
        plan(catalog, self.text("service_id")?, self.text("plan_id")?)
    }

    /// A version of the plan that the catalog does not have any more means that it is to be read again.
    pub(super) fn check_version(&self, plan: &Plan) -> Result<(), Problem> {
        let given = match self.0.get("maintenance_info") {
            None | Some(Value::Null) => return Ok(()),
            Some(info) => info.get("version").and_then(Value::as_str),
        };
        if given == Some(plan.spec.version.as_str()) {
            return Ok(());
        }
        Err(Problem::coded(
            "MaintenanceInfoConflict",
            format!(
                "the version of the plan is {}; read the catalog again",
                plan.spec.version
            ),
        ))
    }

    /// Whether a version was asked for.
    pub(super) fn names_version(&self) -> bool {
        self.0
            .get("maintenance_info")
            .is_some_and(|info| !info.is_null())
    }
}

/// An offering's plan by their ids.
pub(super) fn plan<'a>(
    catalog: &'a Catalog,
    service: &str,
    plan: &str,
) -> Result<(&'a Offering, &'a Plan), Problem> {
    if catalog.offering(service).is_none() {
        return Err(Problem::invalid(format!(
            "the catalog has no service with the id {service}"
        )));
    }
    let found = catalog.plan(service, plan);
    found.ok_or_else(|| Problem::invalid(format!("the service has no plan with the id {plan}")))
}
