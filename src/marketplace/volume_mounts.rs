//! What is wrong with the volume mounts of a binding, in Cloud Controller's words.

use serde_json::Value;

const NOT_DECLARED: &str = "The service is attempting to supply volume mounts from your application, but is not \
    registered as a volume mount service. Please contact the service provider.";

/// The first fault.
pub(super) fn fault(mounts: &Value, declared: bool) -> Option<String> {
    if mounts.is_null() {
        return None;
    }
    if !declared {
        return Some(NOT_DECLARED.to_owned());
    }
    let mounts = mounts.as_array();
    let Some(mounts) = mounts.filter(|all| all.iter().all(Value::is_object)) else {
        return Some(
            "expected \"volume_mounts\" key to contain an array of JSON objects in body".to_owned(),
        );
    };
    mounts.iter().find_map(of_mount)
}

fn of_mount(mount: &Value) -> Option<String> {
    let filled = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    for key in ["device_type", "device", "mode", "container_dir", "driver"] {
        let value = mount.get(key);
        let there = value.is_some_and(|value| key == "device" || filled(value));
        if !there {
            return Some(format!("missing required field '{key}'"));
        }
    }
    let device = &mount["device"];
    if !device.is_object() {
        return Some(format!(
            "required field 'device' must be an object but is {}",
            kind(device)
        ));
    }
    if !filled(&device["volume_id"]) {
        return Some("required field 'device.volume_id' must be a non-empty string".to_owned());
    }
    let config = &device["mount_config"];
    (!config.is_null() && !config.is_object())
        .then(|| "field 'device.mount_config' must be an object if it is defined".to_owned())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "NilClass",
        Value::Bool(true) => "TrueClass",
        Value::Bool(false) => "FalseClass",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "Array",
        Value::Object(_) => "Hash",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Case = (Value, bool, Option<&'static str>);

    #[test]
    fn faults_are_named() {
        let mount = |change: fn(&mut Value)| {
            let mut mount = json!({
                "driver": "nfs", "container_dir": "/data", "mode": "rw", "device_type": "shared",
                "device": { "volume_id": "v", "mount_config": { "uid": 7 } },
            });
            change(&mut mount);
            json!([mount])
        };
        let table: [Case; 9] = [
            (Value::Null, false, None),
            (mount(|_| {}), true, None),
            (
                mount(|m| m["device"]["mount_config"] = Value::Null),
                true,
                None,
            ),
            (mount(|_| {}), false, Some(NOT_DECLARED)),
            (
                json!(["x"]),
                true,
                Some("expected \"volume_mounts\" key to contain an array of JSON objects in body"),
            ),
            (
                mount(|m| m["mode"] = json!("")),
                true,
                Some("missing required field 'mode'"),
            ),
            (
                mount(|m| m["device"] = json!(7)),
                true,
                Some("required field 'device' must be an object but is Integer"),
            ),
            (
                mount(|m| m["device"]["volume_id"] = json!("")),
                true,
                Some("required field 'device.volume_id' must be a non-empty string"),
            ),
            (
                mount(|m| m["device"]["mount_config"] = json!("x")),
                true,
                Some("field 'device.mount_config' must be an object if it is defined"),
            ),
        ];
        for (mounts, declared, expected) in table {
            assert_eq!(fault(&mounts, declared).as_deref(), expected, "{mounts}");
        }
    }
}
