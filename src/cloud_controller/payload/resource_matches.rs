//! Files identified by SHA-1 and size.

use serde_json::Value;

use crate::blobs::resources::{FileKey, Sha1};
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::Result;

/// Most files in one request.
const MOST: usize = 5000;

/// One file of a request.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// SHA-1 and size.
    pub key: FileKey,
    /// Path in the package.
    pub path: Option<String>,
    /// Permission bits.
    pub mode: Option<String>,
}

pub(crate) fn read(mut body: Body) -> Result<Vec<Resource>> {
    let resources = body.fields.take("resources");
    let Some(Value::Array(values)) = resources else {
        body.invalid.field("resources", "must be an array");
        body.finish()?;
        return Ok(Vec::new());
    };
    if values.is_empty() {
        body.invalid
            .field("resources", "must have at least 1 resource");
    } else if values.len() > MOST {
        body.invalid
            .field("resources", "array can have at most 5000 resources");
    }
    let parsed = parse(&values);
    if let Err(fault) = &parsed {
        body.invalid.field(
            "resources",
            &format!("array contains at least one resource with {fault}"),
        );
    }
    body.finish()?;
    Ok(parsed.unwrap_or_default())
}

/// Reads a list of resources, as in matches and in the `resources` field of uploads.
pub(crate) fn parse(values: &[Value]) -> Result<Vec<Resource>, &'static str> {
    values.iter().map(one).collect()
}

fn one(value: &Value) -> Result<Resource, &'static str> {
    let checksum = value
        .get("checksum")
        .and_then(Value::as_object)
        .ok_or("a non-object checksum")?;
    let sha1 = checksum
        .get("value")
        .and_then(Value::as_str)
        .ok_or("a non-string checksum value")?;
    let sha1 = Sha1::parse(sha1).ok_or("a non-SHA1 checksum value")?;
    let size = value
        .get("size_in_bytes")
        .and_then(Value::as_i64)
        .ok_or("a non-integer size_in_bytes")?;
    let size = u64::try_from(size).map_err(|_| "a negative size_in_bytes")?;
    let mode = match value.get("mode") {
        None | Some(Value::Null) => None,
        Some(Value::String(mode))
            if !mode.is_empty() && mode.bytes().all(|b| matches!(b, b'0'..=b'7')) =>
        {
            Some(mode.clone())
        }
        Some(Value::String(_)) => return Err("an incorrect mode"),
        Some(_) => return Err("a non-string mode"),
    };
    let path = value.get("path").and_then(Value::as_str).map(str::to_owned);
    Ok(Resource {
        key: FileKey { sha1, size },
        path,
        mode,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn faults_are_named() {
        let sha = "a".repeat(40);
        let cases = [
            (json!({ "checksum": 1 }), "a non-object checksum"),
            (json!({ "checksum": {} }), "a non-string checksum value"),
            (
                json!({ "checksum": { "value": "x" } }),
                "a non-SHA1 checksum value",
            ),
            (
                json!({ "checksum": { "value": sha }, "size_in_bytes": "1" }),
                "a non-integer size_in_bytes",
            ),
            (
                json!({ "checksum": { "value": sha }, "size_in_bytes": -1 }),
                "a negative size_in_bytes",
            ),
            (
                json!({ "checksum": { "value": sha }, "size_in_bytes": 1, "mode": "9" }),
                "an incorrect mode",
            ),
            (
                json!({ "checksum": { "value": sha }, "size_in_bytes": 1, "mode": 7 }),
                "a non-string mode",
            ),
        ];
        for (value, fault) in cases {
            assert_eq!(one(&value).expect_err(fault), fault);
        }
        let good = one(&json!({ "checksum": { "value": sha }, "size_in_bytes": 1, "mode": "755" }))
            .expect("valid");
        assert_eq!(good.mode.as_deref(), Some("755"));
    }
}
