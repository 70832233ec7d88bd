//! Bodies and queries of routes.

use serde_json::Value;

use crate::base::guid::{DomainGuid, SpaceGuid};
use crate::cloud_controller::body::{Body, Whole};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::payload::route_options::OptionsChange;
use crate::cloud_controller::query::{ListQuery, ListRules};

const LONGEST_HOST: usize = 63;

/// Values of `include`.
pub(crate) const INCLUDES: &[&str] = &["domain", "space", "space.organization"];

pub(crate) const LIST: ListRules = ListRules::new(&[
    "hosts",
    "space_guids",
    "organization_guids",
    "domain_guids",
    "paths",
    "app_guids",
    "ports",
    "service_instance_guids",
])
.includes(INCLUDES);

/// The port of a new route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestedPort {
    /// Nobody says one: a TCP route gets any that is free.
    Any,
    /// 0 = explicitly none.
    Exactly(u16),
}

/// `POST /v3/routes`.
#[derive(Debug)]
pub(crate) struct CreateRoute {
    pub space: SpaceGuid,
    pub domain: DomainGuid,
    pub host: String,
    pub path: String,
    pub port: RequestedPort,
    pub options: OptionsChange,
    pub metadata: MetadataChange,
    pub request: Value,
}

pub(crate) fn create(mut body: Body) -> Result<CreateRoute> {
    let request = body.as_given();
    let host = host(&mut body);
    let path = path(&mut body);
    let port = port(&mut body);
    let [space, domain] = body.relationships(["space", "domain"]);
    let options = OptionsChange::take(&mut body);
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateRoute {
        space: space.flatten().unwrap_or_default().into(),
        domain: domain.flatten().unwrap_or_default().into(),
        host,
        path,
        port,
        options,
        metadata,
        request,
    })
}

/// `PATCH /v3/routes/:guid`.
pub(crate) fn update(mut body: Body) -> Result<(OptionsChange, MetadataChange)> {
    let options = OptionsChange::take(&mut body);
    let metadata = body.metadata();
    body.finish()?;
    Ok((options, metadata))
}

fn host(body: &mut Body) -> String {
    let host = body.limited_string("host", 63).unwrap_or_default();
    let fits = host.chars().count() > 63 || host.is_empty() || is_host(&host);
    if !fits {
        body.invalid.field(
            "host",
            "must be either \"*\" or contain only alphanumeric characters, \"_\", or \"-\"",
        );
    }
    host
}

fn path(body: &mut Body) -> String {
    let path = body.limited_string("path", 128).unwrap_or_default();
    let faults = [
        (
            !path.is_empty() && !path.starts_with('/'),
            "must begin with /",
        ),
        (path.contains('?'), "cannot contain ?"),
        (path == "/", "cannot be exactly /"),
    ];
    for (_, fault) in faults.iter().filter(|(found, _)| *found) {
        body.invalid.field("path", fault);
    }
    path
}

fn port(body: &mut Body) -> RequestedPort {
    let rule = Whole::at_least(0).up_to(u16::MAX.into());
    let given = body.fields.nullable_whole("port", rule, &mut body.invalid);
    given.map_or(RequestedPort::Any, |port| {
        let port = port.and_then(|port| u16::try_from(port).ok());
        RequestedPort::Exactly(port.unwrap_or_default())
    })
}

/// `PATCH /v3/routes/:guid/relationships/space`.
pub(crate) fn transfer(mut body: Body) -> Result<SpaceGuid> {
    let data = body.fields.take("data");
    let guid = match &data {
        None => {
            body.invalid.field("data", "can't be blank");
            None
        }
        Some(Value::Object(data)) => {
            if data.len() != 1 {
                body.invalid.field("data", "can only accept one key");
            }
            if !data.contains_key("guid") {
                body.invalid.field("data", "can only accept key 'guid'");
            }
            match data.get("guid") {
                Some(Value::String(guid)) if guid.is_empty() => {
                    body.invalid.field("data", "guid can't be blank");
                    None
                }
                Some(Value::String(guid)) => Some(guid.clone()),
                None | Some(Value::Null) => None,
                Some(other) => {
                    body.invalid
                        .field("data", &format!("{other} must be a string"));
                    None
                }
            }
        }
        Some(_) => {
            body.invalid.field("data", "must be an object");
            None
        }
    };
    body.finish()?;
    Ok(guid.unwrap_or_default().into())
}

/// `POST /v3/routes/:guid/relationships/shared_spaces`.
pub(crate) fn share(mut body: Body) -> Result<Vec<SpaceGuid>> {
    let mut guids = Vec::new();
    match body.fields.take("data") {
        None => body.invalid.field("data", "can't be blank"),
        Some(Value::Array(entries)) => {
            for (index, entry) in entries.iter().enumerate() {
                match entry.get("guid").and_then(Value::as_str) {
                    Some(guid) => guids.push(SpaceGuid::from(guid)),
                    None => body.invalid.add(format!(
                        "Invalid data type: Data[{index}] guid should be a string."
                    )),
                }
            }
        }
        Some(_) => body.invalid.field("data", "must be an array"),
    }
    body.finish()?;
    Ok(guids)
}

/// `DELETE /v3/spaces/:guid/routes?unmapped=true`: only unmapped routes can be deleted together.
pub(crate) fn delete_unmapped(query: Option<&str>) -> Result<()> {
    let query = ListQuery::parse_single(query, &[], &["unmapped"]);
    let query = query.map_err(Error::as_unprocessable)?;
    let mut body = Body::default();
    match query.raw("unmapped") {
        Some("true") => {}
        Some("false") => body.invalid.add(
            "Mass delete not supported for mapped routes. Use 'unmapped=true' parameter to delete all unmapped routes.",
        ),
        given => {
            if given.is_none_or(str::is_empty) {
                body.invalid.field("unmapped", "can't be blank");
            }
            if given.is_none() {
                body.invalid.add(
                    "Mass delete not supported for routes. Use 'unmapped=true' parameter to delete all unmapped routes.",
                );
            }
            body.invalid.field("unmapped", "must be a boolean");
        }
    }
    body.finish()
}

/// `*`, or letters, digits, `-` and `_`.
pub(crate) fn is_host(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    host == "*" || (!host.is_empty() && host.len() <= LONGEST_HOST && host.chars().all(plain))
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
    fn faults_of_a_new_route() {
        let long = "a".repeat(64);
        let cases = [
            (
                json!({ "host": "a.b" }),
                "Host must be either \"*\" or contain only alphanumeric characters, \"_\", or \"-\"",
            ),
            (
                json!({ "host": long }),
                "Host is too long (maximum is 63 characters)",
            ),
            (json!({ "host": 7 }), "Host must be a string"),
            (json!({ "path": "a" }), "Path must begin with /"),
            (json!({ "path": "/" }), "Path cannot be exactly /"),
            (json!({ "path": "/a?b" }), "Path cannot contain ?"),
            (
                json!({ "port": 65536 }),
                "Port must be less than or equal to 65535",
            ),
            (
                json!({ "port": -1 }),
                "Port must be greater than or equal to 0",
            ),
            (json!({ "port": "x" }), "Port is not a number"),
            (
                json!({ "options": 1 }),
                "Options 'options' is not a valid object",
            ),
            (json!({ "hots": "a" }), "Unknown field(s): 'hots'"),
        ];
        for (fields, fault) in cases {
            let mut body = fields.clone();
            body["relationships"] = json!({
                "space": { "data": { "guid": "s" } },
                "domain": { "data": { "guid": "d" } },
            });
            let refusal = create(open(body)).expect_err(fault);
            assert_eq!(refusal.detail(), fault, "{fields}");
        }
    }

    #[test]
    fn deleting_all_routes_takes_unmapped() {
        assert!(delete_unmapped(Some("unmapped=true")).is_ok());
        for query in [
            None,
            Some("unmapped="),
            Some("unmapped=x"),
            Some("unmapped=false"),
        ] {
            assert!(delete_unmapped(query).is_err(), "{query:?}");
        }
    }

    #[test]
    fn a_transfer_names_one_space() {
        assert_eq!(
            transfer(open(json!({ "data": { "guid": "s" } }))).expect("valid"),
            "s".into()
        );
        let cases = [
            (json!({}), "Data can't be blank"),
            (json!({ "data": "s" }), "Data must be an object"),
            (
                json!({ "data": { "guid": "s", "x": 1 } }),
                "Data can only accept one key",
            ),
            (
                json!({ "data": { "guid": "" } }),
                "Data guid can't be blank",
            ),
        ];
        for (body, fault) in cases {
            assert_eq!(transfer(open(body)).expect_err(fault).detail(), fault);
        }
    }
}
