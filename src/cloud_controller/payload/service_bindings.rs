//! Bodies and queries about bindings to apps and routes, and about keys.

use serde_json::{Map, Value};

use crate::base::guid::{AppGuid, RouteGuid, ServiceInstanceGuid};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::payload::service_instances::parameters;
use crate::cloud_controller::query::ListRules;

pub(crate) const CREDENTIAL_INCLUDES: &[&str] = &["app", "service_instance"];

pub(crate) const CREDENTIALS: ListRules = ListRules::new(&[
    "names",
    "service_instance_guids",
    "service_instance_names",
    "service_plan_names",
    "service_plan_guids",
    "service_offering_names",
    "service_offering_guids",
    "app_guids",
    "app_names",
])
.order_by(&["name"])
.includes(CREDENTIAL_INCLUDES)
.extras(&["type"]);

pub(crate) const ROUTE_INCLUDES: &[&str] = &["route", "service_instance"];

pub(crate) const ROUTES: ListRules = ListRules::new(&[
    "service_instance_guids",
    "service_instance_names",
    "route_guids",
])
.includes(ROUTE_INCLUDES);

/// Whether an app may be bound to an instance again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Strategy {
    #[default]
    Single,
    Multiple,
}

/// `POST /v3/service_credential_bindings`.
#[derive(Debug)]
pub(crate) struct CreateBinding {
    pub name: Option<String>,
    pub instance: ServiceInstanceGuid,
    /// `None` = a key.
    pub app: Option<AppGuid>,
    pub strategy: Strategy,
    /// Whether there are parameters at all, even null.
    pub has_parameters: bool,
    pub parameters: Option<Map<String, Value>>,
    pub metadata: MetadataChange,
    pub request: Value,
}

pub(crate) fn create(mut body: Body) -> Result<CreateBinding> {
    let request = body.as_given();
    let has_parameters = request.get("parameters").is_some();
    let kind = body.fields.take("type");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    if !matches!(kind, "app" | "key") {
        body.invalid.field("type", "must be 'app' or 'key'");
        // What else there may be depends on it.
        std::mem::take(&mut body.invalid).refuse()?;
    }
    let is_key = kind == "key";
    let strategy = body.fields.take("strategy");
    let strategy = match strategy
        .as_ref()
        .map(|value| value.as_str().unwrap_or_default())
    {
        None | Some("single") => Strategy::Single,
        Some("multiple") => Strategy::Multiple,
        Some(_) if is_key => Strategy::Single,
        Some(_) => {
            body.invalid
                .field("strategy", "must be 'single' or 'multiple'");
            Strategy::Single
        }
    };
    let name = if is_key {
        body.required_string("name")
    } else {
        body.string("name")
    };
    if let Some(name) = &name {
        binding_name(&mut body, name, is_key);
    }
    let (instance, app) = if is_key {
        let [instance] = body.relationships(["service_instance"]);
        (instance, None)
    } else {
        let [instance, app] = body.relationships(["service_instance", "app"]);
        (instance, Some(app.flatten().unwrap_or_default().into()))
    };
    let parameters = parameters(&mut body);
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateBinding {
        name,
        instance: instance.flatten().unwrap_or_default().into(),
        app,
        strategy,
        has_parameters,
        parameters,
        metadata,
        request,
    })
}

fn binding_name(body: &mut Body, name: &str, is_key: bool) {
    if is_key {
        body.check_name("name", name);
        return;
    }
    if name.chars().count() > 255 {
        body.invalid.add(
            "The binding name is invalid. App binding names must be less than 256 characters.",
        );
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.chars().all(plain) {
        body.invalid.add(
            "The binding name is invalid. Valid characters are alphanumeric, underscore, and dash.",
        );
    }
}

/// `POST /v3/service_route_bindings`.
#[derive(Debug)]
pub(crate) struct CreateRouteBinding {
    pub instance: ServiceInstanceGuid,
    pub route: RouteGuid,
    pub has_parameters: bool,
    pub parameters: Option<Map<String, Value>>,
    pub metadata: MetadataChange,
    pub request: Value,
}

pub(crate) fn create_of_route(mut body: Body) -> Result<CreateRouteBinding> {
    let request = body.as_given();
    let [instance, route] = body.relationships(["service_instance", "route"]);
    let parameters = parameters(&mut body);
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateRouteBinding {
        instance: instance.flatten().unwrap_or_default().into(),
        route: route.flatten().unwrap_or_default().into(),
        has_parameters: request.get("parameters").is_some(),
        parameters,
        metadata,
        request,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn faults_of_a_new_binding() {
        let both = json!({ "service_instance": { "data": { "guid": "i" } }, "app": { "data": { "guid": "a" } } });
        let cases = [
            (json!({ "type": "x" }), "Type must be 'app' or 'key'"),
            (
                json!({ "type": "app", "relationships": both, "strategy": "x" }),
                "Strategy must be 'single' or 'multiple'",
            ),
            (
                json!({ "type": "app", "relationships": both, "name": "a b" }),
                "The binding name is invalid. Valid characters are alphanumeric, underscore, and dash.",
            ),
            (
                json!({ "type": "app", "relationships": both, "parameters": 7 }),
                "Parameters must be an object",
            ),
            (
                json!({ "type": "key", "relationships": { "service_instance": { "data": { "guid": "i" } } } }),
                "Name can't be blank",
            ),
            (
                json!({ "type": "key", "name": "k", "relationships": both }),
                "Relationships Unknown field(s): 'app'",
            ),
        ];
        for (body, fault) in cases {
            assert_eq!(create(open(body)).expect_err(fault).detail(), fault);
        }
    }
}
