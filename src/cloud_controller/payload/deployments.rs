//! Bodies and queries of deployments.

use serde_json::{Map, Value, json};

use crate::base::guid::{AppGuid, DropletGuid, RevisionGuid};
use crate::cloud_controller::body::{Body, Fields, Invalid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::processes::Scaling;
use crate::cloud_controller::payload::processes::scaling;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules =
    ListRules::new(&["app_guids", "states", "status_reasons", "status_values"]);

/// A validated `POST /v3/deployments`.
#[derive(Debug, Clone)]
pub(crate) struct CreateDeployment {
    pub app: Option<AppGuid>,
    pub source: Source,
    /// `rolling` or `canary`.
    pub strategy: String,
    /// For the web process.
    pub scaling: Scaling,
    /// The options as shown.
    pub options: Map<String, Value>,
    pub metadata: MetadataChange,
    /// The request, for the audit event.
    pub request: Value,
}

/// The droplet or revision to deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The app's current droplet.
    Current,
    Droplet(DropletGuid),
    Revision(RevisionGuid),
}

/// `POST /v3/deployments`.
pub(crate) fn create(mut body: Body) -> Result<CreateDeployment> {
    let request = body.as_given();
    let Body { fields, invalid } = &mut body;
    let guid_of = |value: Option<Value>| Some(value?.get("guid")?.as_str()?.to_owned());
    let strategy = match fields.take("strategy") {
        None => "rolling".to_owned(),
        Some(Value::String(text)) if matches!(text.as_str(), "rolling" | "canary") => text,
        Some(other) => {
            let text = other
                .as_str()
                .map_or_else(|| other.to_string(), str::to_owned);
            invalid.add(format!(
                "Strategy '{text}' is not a supported deployment strategy"
            ));
            text
        }
    };
    let (droplet, revision) = (fields.take("droplet"), fields.take("revision"));
    if droplet.is_some() && revision.is_some() {
        invalid.add("Droplet Cannot set both fields 'droplet' and 'revision'");
    }
    let source = match (guid_of(droplet), guid_of(revision)) {
        (_, Some(revision)) => Source::Revision(revision.into()),
        (Some(droplet), None) => Source::Droplet(droplet.into()),
        (None, None) => Source::Current,
    };
    // Lenient as CC is: an invalid guid is treated as an unknown app.
    let relationships = fields.take("relationships");
    let app = relationships.and_then(|all| {
        let guid = all.pointer("/app/data/guid")?.as_str()?;
        Some(AppGuid::from(guid))
    });
    let (scaling, options) = options(fields.take("options"), &strategy, invalid);
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateDeployment {
        app,
        source,
        strategy,
        scaling,
        options,
        metadata,
        request,
    })
}

/// `PATCH /v3/deployments/:guid`: only metadata can change.
pub(crate) fn update(mut body: Body) -> Result<MetadataChange> {
    let metadata = body.metadata();
    body.finish()?;
    Ok(metadata)
}

/// Keys of `options`.
const OPTIONS: &[&str] = &[
    "canary",
    "max_in_flight",
    "web_instances",
    "memory_in_mb",
    "disk_in_mb",
    "log_rate_limit_in_bytes_per_second",
];

fn refuse_others(given: &Map<String, Value>, known: &[&str], name: &str, invalid: &mut Invalid) {
    let others: Vec<&str> = given
        .keys()
        .map(String::as_str)
        .filter(|key| !known.contains(key))
        .collect();
    if !others.is_empty() {
        invalid.add(format!(
            "{name} has unsupported key(s): {}",
            others.join(", ")
        ));
    }
}

fn options(
    given: Option<Value>,
    strategy: &str,
    invalid: &mut Invalid,
) -> (Scaling, Map<String, Value>) {
    let mut shown = Map::from_iter([("max_in_flight".to_owned(), json!(1))]);
    let given = match given {
        None => return (Scaling::default(), shown),
        Some(Value::Object(given)) => given,
        Some(_) => {
            invalid.add("Options must be an object");
            return (Scaling::default(), shown);
        }
    };
    refuse_others(&given, OPTIONS, "Options", invalid);
    let mut fields = Fields::new(given);
    let scaling = scaling(&mut fields, "web_instances", invalid);
    for (name, number) in [
        ("web_instances", scaling.instances),
        ("memory_in_mb", scaling.memory),
        ("disk_in_mb", scaling.disk),
        ("log_rate_limit_in_bytes_per_second", scaling.log_rate_limit),
    ] {
        if let Some(number) = number {
            shown.insert(name.to_owned(), json!(number));
        }
    }
    if let Some(value) = fields.take("max_in_flight") {
        match value.as_i64().filter(|n| *n > 0) {
            Some(n) => {
                shown.insert("max_in_flight".to_owned(), json!(n));
            }
            None => invalid.add("Max in flight must be an integer greater than 0"),
        }
    }
    if let Some(value) = fields.take("canary") {
        canary(&value, strategy, invalid);
        if let Some(steps) = value.get("steps").filter(|steps| !steps.is_null()) {
            shown.insert("canary".to_owned(), json!({ "steps": steps }));
        }
    }
    (scaling, shown)
}

fn canary(given: &Value, strategy: &str, invalid: &mut Invalid) {
    const WEIGHT: &str =
        "Options canary steps instance weight must be an Integer between 1-100 (inclusive)";
    let Some(given) = given.as_object() else {
        invalid.add("Options canary must be an object");
        return;
    };
    if strategy != "canary" {
        invalid.add("Options canary are only valid for Canary deployments");
        return;
    }
    let steps = match given.get("steps") {
        None | Some(Value::Null) => return,
        Some(Value::Array(steps)) if steps.iter().all(Value::is_object) => steps,
        Some(_) => {
            invalid.add("Options canary steps must be an array of objects");
            return;
        }
    };
    for step in steps.iter().filter_map(Value::as_object) {
        refuse_others(step, &["instance_weight"], "Options canary steps", invalid);
    }
    if steps
        .iter()
        .any(|step| step.get("instance_weight").is_none())
    {
        invalid.add("Options canary steps missing key: \"instance_weight\"");
    }
    let weights: Option<Vec<i64>> = steps
        .iter()
        .map(|step| step["instance_weight"].as_i64())
        .collect();
    let Some(weights) = weights else {
        invalid.add(WEIGHT);
        return;
    };
    if weights.iter().any(|weight| !(1..=100).contains(weight)) {
        invalid.add(WEIGHT);
    }
    if !weights.is_sorted() {
        invalid.add("Options canary steps instance weight must be sorted in ascending order");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    fn canary_with(steps: Value) -> Value {
        json!({ "strategy": "canary", "options": { "canary": { "steps": steps } } })
    }

    #[test]
    fn faults_are_reported_in_ccs_words() {
        let weight =
            "Options canary steps instance weight must be an Integer between 1-100 (inclusive)";
        let cases = [
            (
                json!({ "strategy": "potato" }),
                "Strategy 'potato' is not a supported deployment strategy",
            ),
            (
                json!({ "droplet": { "guid": "d" }, "revision": { "guid": "r" } }),
                "Droplet Cannot set both fields 'droplet' and 'revision'",
            ),
            (json!({ "options": "x" }), "Options must be an object"),
            (
                json!({ "options": { "a": 1, "b": 2 } }),
                "Options has unsupported key(s): a, b",
            ),
            (
                json!({ "options": { "max_in_flight": 0 } }),
                "Max in flight must be an integer greater than 0",
            ),
            (
                json!({ "options": { "web_instances": -1 } }),
                "Web instances must be greater than or equal to 0",
            ),
            (
                json!({ "options": { "memory_in_mb": 0 } }),
                "Memory in mb must be greater than 0",
            ),
            (
                json!({ "options": { "canary": {} } }),
                "Options canary are only valid for Canary deployments",
            ),
            (
                json!({ "strategy": "canary", "options": { "canary": 1 } }),
                "Options canary must be an object",
            ),
            (
                canary_with(json!([1])),
                "Options canary steps must be an array of objects",
            ),
            (canary_with(json!([{ "instance_weight": 101 }])), weight),
            (canary_with(json!([{ "instance_weight": "x" }])), weight),
            (
                canary_with(json!([{ "instance_weight": 50 }, { "instance_weight": 20 }])),
                "Options canary steps instance weight must be sorted in ascending order",
            ),
            (json!({ "nonsense": 1 }), "Unknown field(s): 'nonsense'"),
        ];
        for (body, text) in cases {
            assert_eq!(create(open(body)).expect_err(text).detail(), text);
        }
    }

    #[test]
    fn options_are_shown_as_applied() {
        let none = create(open(json!({}))).expect("valid");
        assert_eq!(Value::Object(none.options), json!({ "max_in_flight": 1 }));
        assert_eq!(
            (none.strategy.as_str(), none.source),
            ("rolling", Source::Current)
        );
        let body = json!({
            "strategy": "canary",
            "droplet": { "guid": "d" },
            "options": { "max_in_flight": 3, "canary": { "steps": [{ "instance_weight": 20 }] } },
        });
        let some = create(open(body)).expect("valid");
        assert_eq!(
            Value::Object(some.options),
            json!({ "max_in_flight": 3, "canary": { "steps": [{ "instance_weight": 20 }] } })
        );
        assert_eq!(some.source, Source::Droplet("d".into()));
    }
}
