//! Bodies and queries of droplets.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::guid::{AppGuid, DropletGuid};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::{ListQuery, ListRules};

pub(crate) const LIST: ListRules =
    ListRules::new(&["app_guids", "organization_guids", "space_guids", "states"]);
pub(crate) const LIST_OF_PACKAGE: ListRules = LIST;
const LIST_OF_APP: ListRules = ListRules::new(&["states"]).extras(&["current"]);

/// `GET /v3/apps/:guid/droplets`.
pub(crate) fn list_of_app(query: Option<&str>) -> Result<ListQuery> {
    let query = ListQuery::parse(query, &LIST_OF_APP)?;
    if query.raw("current").is_some_and(|value| value != "true") {
        return Err(Error::bad_query("Current only accepts the value 'true'"));
    }
    Ok(query)
}

/// `POST /v3/droplets`.
#[derive(Debug)]
pub(crate) struct CreateDroplet {
    pub app: AppGuid,
    pub process_types: BTreeMap<String, String>,
}

pub(crate) fn create(mut body: Body) -> Result<CreateDroplet> {
    let process_types = process_types(&mut body);
    let [app] = body.relationships(["app"]);
    body.finish()?;
    Ok(CreateDroplet {
        app: app.flatten().unwrap_or_default().into(),
        process_types,
    })
}

/// Without process types there is a web process with the droplet's own command.
fn process_types(body: &mut Body) -> BTreeMap<String, String> {
    let map = match body.fields.take("process_types") {
        None | Some(Value::Null) => return BTreeMap::from([("web".to_owned(), String::new())]),
        Some(Value::Object(map)) => map,
        Some(_) => {
            body.invalid.field("process_types", "must be an object");
            return BTreeMap::new();
        }
    };
    if map.keys().any(String::is_empty) {
        body.invalid.field("process_types", "key must not be empty");
    }
    if !map.values().all(Value::is_string) {
        body.invalid
            .field("process_types", "value must be a string");
    }
    map.into_iter()
        .filter_map(|(kind, command)| Some((kind, command.as_str()?.to_owned())))
        .collect()
}

/// A copy that is asked for.
#[derive(Debug)]
pub(crate) struct CopyDroplet {
    pub source: DropletGuid,
    /// The app that gets it.
    pub app: AppGuid,
}

/// `POST /v3/droplets?source_guid=…`.
pub(crate) fn copy(source: &str, mut body: Body) -> Result<CopyDroplet> {
    let [app] = body.relationships(["app"]);
    body.finish()?;
    Ok(CopyDroplet {
        source: source.into(),
        app: app.flatten().unwrap_or_default().into(),
    })
}

/// `PATCH /v3/droplets/:guid`.
#[derive(Debug)]
pub(crate) struct DropletChange {
    /// A Docker image's reference; `Some` when it is in the request.
    pub image: Option<Option<String>>,
    pub metadata: MetadataChange,
}

pub(crate) fn update(mut body: Body) -> Result<DropletChange> {
    let mentioned = body.as_given().get("image").is_some();
    let image = body.string("image");
    let metadata = body.metadata();
    body.finish()?;
    Ok(DropletChange {
        image: mentioned.then_some(image),
        metadata,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn process_types_map_text_to_text() {
        let app = json!({ "app": { "data": { "guid": "a" } } });
        let cases = [
            (json!(["web"]), Some("Process types must be an object")),
            (
                json!({ "": "run" }),
                Some("Process types key must not be empty"),
            ),
            (
                json!({ "web": 1 }),
                Some("Process types value must be a string"),
            ),
            (json!({ "web": "run", "worker": "" }), None),
            (json!({}), None),
            (Value::Null, None),
        ];
        for (types, fault) in cases {
            let body = json!({ "relationships": app, "process_types": types.clone() });
            let Value::Object(map) = body else {
                panic!("an object")
            };
            let result = create(Body::new(map));
            let found = result.as_ref().err().map(Error::detail);
            assert_eq!(found, fault);
            if let Ok(wanted) = result {
                let count = types.as_object().map_or(1, Map::len);
                assert_eq!(wanted.process_types.len(), count);
            }
        }
    }
}
