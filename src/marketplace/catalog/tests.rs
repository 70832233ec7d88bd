//! Every rule of catalogs: one bad catalog each.

use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    json!({ "services": [{
        "id": "s1", "name": "db", "description": "a database", "bindable": true,
        "plans": [{ "id": "p1", "name": "small", "description": "a small one" }],
    }] })
}

fn faults_of(catalog: &Value) -> String {
    let map = catalog.as_object().cloned().unwrap_or_default();
    match read(&map) {
        Ok(_) => String::new(),
        Err(faults) => faults.to_string(),
    }
}

#[test]
fn a_catalog_without_faults() {
    let mut catalog = good();
    let service = &mut catalog["services"][0];
    service["tags"] = json!(["sql"]);
    service["requires"] = json!(["syslog_drain", "volume_mount", "route_forwarding"]);
    service["metadata"] = json!({ "shareable": true, "x": 1 });
    service["plans"][0] = json!({
        "id": "p1", "name": "small", "description": "d", "free": false, "bindable": null,
        "maximum_polling_duration": 60, "maintenance_info": { "version": "1.2.3", "description": "x" },
        "schemas": {
            "service_instance": { "create": { "parameters": {
                "$schema": "http://json-schema.org/draft-04/schema#", "type": "object",
                "properties": { "a": { "type": ["string", "null"], "enum": ["x"] }, "b": { "$ref": "#/definitions/c" } },
                "definitions": { "c": { "anyOf": [{ "minLength": 1 }] } }, "additionalProperties": false,
                "required": ["a"],
            } } },
            "service_binding": {},
        },
    });
    let services = read(catalog.as_object().expect("an object")).expect("no faults");
    let plan = &services[0].plans[0];
    assert!(services[0].bindable && !services[0].plan_updateable && !plan.free);
    assert_eq!(
        (plan.bindable, plan.maximum_polling_duration),
        (None, Some(60))
    );
    assert!(plan.create_instance_schema.is_some() && plan.update_instance_schema.is_none());
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_rule_has_its_words() {
    type Break = fn(&mut Value);
    let table: [(Break, &str); 34] = [
        (
            |c| c["services"] = json!([]),
            "Service broker must provide at least one service",
        ),
        (
            |c| *c = json!({}),
            "Service broker must provide at least one service",
        ),
        (
            |c| c["services"] = json!("x"),
            "Service broker must provide at least one service",
        ),
        (
            |c| c["services"][0]["id"] = json!(7),
            "Service id must be a string, but has value 7",
        ),
        (
            |c| c["services"][0]["id"] = json!(" "),
            "Service id is required",
        ),
        (
            |c| c["services"][0]["name"] = Value::Null,
            "Service name is required",
        ),
        (
            |c| c["services"][0]["description"] = json!(""),
            "Service description is required",
        ),
        (
            |c| c["services"][0]["description"] = json!("x".repeat(10_001)),
            "Service description may not have more than 10000 characters",
        ),
        (
            |c| c["services"][0]["bindable"] = Value::Null,
            "Service \"bindable\" field is required",
        ),
        (
            |c| c["services"][0]["plan_updateable"] = json!("yes"),
            "Service \"plan_updateable\" field must be a boolean, but has value \"yes\"",
        ),
        (
            |c| c["services"][0]["instances_retrievable"] = json!(1),
            "Service \"instances_retrievable\" field must be a boolean, but has value 1",
        ),
        (
            |c| c["services"][0]["tags"] = json!(["a", 1]),
            "Service tags must be an array of strings, but has value [\"a\", 1]",
        ),
        (
            |c| c["services"][0]["tags"] = json!(["x".repeat(2049)]),
            "Tags for the service db must be 2048 characters or less.",
        ),
        (
            |c| c["services"][0]["requires"] = json!(["fame"]),
            "Service \"requires\" field contains unsupported value \"fame\"",
        ),
        (
            |c| c["services"][0]["metadata"] = json!("x"),
            "Service metadata must be a hash, but has value \"x\"",
        ),
        (
            |c| c["services"][0]["metadata"] = json!({ "shareable": "x" }),
            "Service metadata shareable must be a boolean, but has value \"x\"",
        ),
        (
            |c| c["services"][0]["dashboard_client"] = json!({ "id": "a", "secret": "b" }),
            "Service dashboard client redirect_uri is required",
        ),
        (
            |c| c["services"][0]["dashboard_client"] = json!([]),
            "Service dashboard client attributes must be a hash, but has value []",
        ),
        (
            |c| c["services"][0]["plans"] = json!([]),
            "At least one plan is required",
        ),
        (
            |c| c["services"][0]["plans"] = json!(["x"]),
            "Service plans list must be an array of hashes, but has value [\"x\"]",
        ),
        (
            |c| c["services"][0]["plans"][0]["id"] = Value::Null,
            "Plan id is required",
        ),
        (
            |c| c["services"][0]["plans"][0]["name"] = json!({}),
            "Plan name must be a string, but has value {}",
        ),
        (
            |c| c["services"][0]["plans"][0]["free"] = json!("no"),
            "Plan free must be a boolean, but has value \"no\"",
        ),
        (
            |c| c["services"][0]["plans"][0]["maximum_polling_duration"] = json!("1h"),
            "Maximum polling duration must be an integer, but has value \"1h\"",
        ),
        (
            |c| c["services"][0]["plans"][0]["maintenance_info"] = json!({ "version": "1" }),
            "Maintenance info version must be a Semantic Version, but has value \"1\"",
        ),
        (
            |c| {
                c["services"][0]["plans"][0]["maintenance_info"] =
                    json!({ "version": "1.0.0", "x": 1 });
            },
            "Maintenance info contains invalid key(s): x",
        ),
        (
            |c| {
                c["services"][0]["plans"][0]["maintenance_info"] =
                    json!({ "version": "1.0.0", "description": "x".repeat(2000) });
            },
            "Maintenance info must serialize to 2000 characters or fewer in JSON, but serializes to 2036 characters",
        ),
        (
            |c| c["services"][0]["plans"][0]["schemas"] = json!(7),
            "Plan schemas must be a hash, but has value 7",
        ),
        (
            |c| {
                c["services"][0]["plans"][0]["schemas"] =
                    json!({ "service_instance": { "create": { "parameters": {} } } });
            },
            "Schema service_instance.create.parameters is not valid. Schema must have $schema key but was not present",
        ),
        (
            |c| {
                c["services"][0]["plans"][0]["schemas"] = json!({ "service_binding": { "create": { "parameters": {
                "$schema": "http://json-schema.org/draft-04/schema#", "properties": true } } } });
            },
            "Schema service_binding.create.parameters is not valid. Must conform to JSON Schema Draft 04 \
             (experimental support for later versions): The property '#/properties' of type boolean did not match \
             the following type: object",
        ),
        (
            |c| {
                c["services"][0]["plans"][0]["schemas"] = json!({ "service_instance": { "update": { "parameters": {
                "$schema": "http://example.com/schema" } } } });
            },
            "Custom meta schemas are not supported.",
        ),
        (
            |c| {
                c["services"][0]["plans"][0]["schemas"] = json!({ "service_instance": { "update": { "parameters": {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "properties": { "a": { "$ref": "http://example.com/x" } } } } } });
            },
            "No external references are allowed: Read of URI at http://example.com/x refused",
        ),
        (
            |c| {
                let plan = c["services"][0]["plans"][0].clone();
                c["services"][0]["plans"] = json!([plan, plan]);
            },
            "Plan names must be unique within a service. Service db already has a plan named small",
        ),
        (
            |c| {
                let mut other = c["services"][0].clone();
                other["name"] = json!("other");
                let first = c["services"][0].clone();
                c["services"] = json!([first, other]);
            },
            "Plan ids must be unique. Unable to register plan with id 'p1' (plan name 'small', service name 'other') \
             because it uses the same id as another plan in the catalog (plan name 'small', service name 'db')",
        ),
    ];
    for (spoil, expected) in table {
        let mut catalog = good();
        spoil(&mut catalog);
        let told = faults_of(&catalog);
        assert!(told.contains(expected), "{expected}\n---\n{told}");
    }
}

#[test]
fn all_faults_are_told_at_once_below_what_they_concern() {
    let mut catalog = good();
    catalog["services"][0]["bindable"] = Value::Null;
    catalog["services"][0]["plans"][0]["description"] = Value::Null;
    let second =
        json!({ "id": "s1", "name": "db", "description": "x", "bindable": true, "plans": [] });
    let first = catalog["services"][0].clone();
    catalog["services"] = json!([first, second]);
    assert_eq!(
        faults_of(&catalog),
        "\nService ids must be unique\nService names must be unique within a broker\nService db\n  \
         Service \"bindable\" field is required\n  Plan small\n    Plan description is required\nService db\n  \
         At least one plan is required\n"
    );
}
