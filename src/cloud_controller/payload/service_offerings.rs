//! Queries about service offerings and plans, and who sees a plan.

use serde_json::Value;

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::payload::service_fields::FieldRule;
use crate::cloud_controller::query::{ListQuery, ListRules};

pub(crate) const OFFERINGS: ListRules = ListRules::new(&[
    "broker_catalog_ids",
    "service_broker_guids",
    "service_broker_names",
    "names",
    "space_guids",
    "organization_guids",
])
.order_by(&["name"])
.extras(&["available", "fields[service_broker]"]);

pub(crate) const OFFERING_FIELDS: &[FieldRule] = &[FieldRule::new(
    "service_broker",
    "service_brokers",
    &["guid", "name"],
)];

pub(crate) const PLANS: ListRules = ListRules::new(&[
    "broker_catalog_ids",
    "names",
    "organization_guids",
    "service_broker_guids",
    "service_broker_names",
    "service_instance_guids",
    "service_offering_guids",
    "service_offering_names",
    "space_guids",
])
.order_by(&["name"])
.includes(PLAN_INCLUDES)
.extras(&["available", "fields[service_offering.service_broker]"]);

pub(crate) const PLAN_INCLUDES: &[&str] = &["space.organization", "service_offering"];

pub(crate) const PLAN_FIELDS: &[FieldRule] = &[FieldRule::new(
    "service_offering.service_broker",
    "service_brokers",
    &["guid", "name"],
)];

/// A change of labels and annotations.
pub(crate) fn metadata(mut body: Body) -> Result<(MetadataChange, Value)> {
    let request = body.as_given();
    let metadata = body.metadata();
    body.finish()?;
    Ok((metadata, request))
}

/// Whether `purge=true` was asked.
pub(crate) fn purge(query: Option<&str>) -> Result<bool> {
    let query = ListQuery::parse_single(query, &[], &["purge"])?;
    match query.raw("purge") {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Error::bad_query(
            "Purge only accepts values 'true' or 'false'",
        )),
    }
}

/// Who is to see a plan.
#[derive(Debug)]
pub(crate) struct Visibility {
    /// Everybody; else only administrators and these.
    pub public: bool,
    /// `None` = nobody else.
    pub organizations: Option<Vec<OrganizationGuid>>,
    pub request: Value,
}

/// `POST` and `PATCH /v3/service_plans/:guid/visibility`; faults are 400.
pub(crate) fn visibility(mut body: Body) -> Result<Visibility> {
    let request = body.as_given();
    let kind = body.fields.take("type");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    if !matches!(kind, "public" | "admin" | "organization") {
        let fault = "must be one of 'public', 'admin', 'organization'";
        body.invalid.field("type", fault);
    }
    let given = body.fields.take("organizations");
    let organizations = if kind == "organization" {
        organizations(&mut body, given)
    } else {
        if given.is_some() {
            body.invalid.field("organizations", "must be blank");
        }
        None
    };
    let public = kind == "public";
    body.finish()
        .map_err(|error| Error::bad_request(error.detail()))?;
    Ok(Visibility {
        public,
        organizations,
        request,
    })
}

fn organizations(body: &mut Body, given: Option<Value>) -> Option<Vec<OrganizationGuid>> {
    let all = match given {
        Some(Value::Array(all)) => all,
        None => {
            body.invalid.field("organizations", "must be an array");
            body.invalid.field("organizations", "can't be blank");
            return None;
        }
        Some(_) => {
            body.invalid.field("organizations", "must be an array");
            return None;
        }
    };
    if all.is_empty() {
        body.invalid.field("organizations", "can't be blank");
    }
    let guids = all.iter().map(|one| {
        let map = one.as_object().filter(|map| map.len() == 1)?;
        map.get("guid")?.as_str().map(OrganizationGuid::from)
    });
    let guids: Option<Vec<OrganizationGuid>> = guids.collect();
    if guids.is_none() {
        body.invalid.field(
            "organizations",
            "organizations list must be structured like this: \"organizations\": [{ \"guid\": \"valid-guid\" }]",
        );
    }
    guids
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cloud_controller::error::Kind;

    fn open(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn faults_of_a_visibility_are_bad_requests() {
        let cases = [
            (
                json!({}),
                "Type must be one of 'public', 'admin', 'organization'",
            ),
            (
                json!({ "type": "space" }),
                "Type must be one of 'public', 'admin', 'organization'",
            ),
            (
                json!({ "type": "organization", "organizations": [] }),
                "Organizations can't be blank",
            ),
            (
                json!({ "type": "organization", "organizations": "x" }),
                "Organizations must be an array",
            ),
            (
                json!({ "type": "public", "organizations": [{ "guid": "x" }] }),
                "Organizations must be blank",
            ),
        ];
        for (body, fault) in cases {
            let refusal = visibility(open(body)).expect_err(fault);
            assert_eq!(refusal.kind(), Kind::BadRequest);
            assert_eq!(refusal.detail(), format!("Bad request: {fault}"));
        }
        let body = json!({ "type": "organization", "organizations": [{ "guid": "o" }] });
        let wanted = visibility(open(body)).expect("valid");
        assert_eq!(wanted.organizations, Some(vec!["o".into()]));
    }
}
