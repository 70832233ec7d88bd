//! `POST /v3/resource_matches`: which of an app's files are stored here already, so that a push may
//! leave them out. A file is known by SHA-1 and size; its mode is the client's and is echoed.

use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};

use super::v3::{ApiError, ApiResult, Body, Context, JsonBody};
use super::{CloudController, feature_flags};
use crate::blobs::resources::{FileKey, Sha1, match_resources};

/// Most files a request may ask for.
const MOST: usize = 5000;

/// `/v3/resource_matches`.
pub(crate) fn routes() -> Router<CloudController> {
    Router::new().route("/v3/resource_matches", post(create))
}

/// One file as clients name it.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// SHA-1 and size.
    pub key: FileKey,
    /// Where it goes in the package.
    pub path: Option<String>,
    /// Permission bits.
    pub mode: Option<String>,
}

impl Resource {
    fn present(&self) -> Value {
        let mut shown = json!({
            "checksum": { "value": self.key.sha1.as_str() },
            "size_in_bytes": self.key.size,
        });
        if let Some(path) = &self.path {
            shown["path"] = json!(path);
        }
        if let Some(mode) = &self.mode {
            shown["mode"] = json!(mode);
        }
        shown
    }
}

async fn create(ctx: Context, JsonBody(body): JsonBody) -> ApiResult<(StatusCode, Json<Value>)> {
    let Context { cc, caller, .. } = ctx;
    cc.db()
        .read(move |tx| {
            feature_flags::require(tx, &caller, "app_bits_upload")?;
            let resources = payload(body)?;
            // Switched off means that nothing matches, not an error; for admins, too.
            let on = feature_flags::enabled(tx, "resource_matching")?;
            let keys: Vec<FileKey> = resources
                .iter()
                .map(|resource| resource.key.clone())
                .collect();
            let stored = if on {
                match_resources(tx, &keys)?
            } else {
                Vec::new()
            };
            let matched: Vec<Value> = resources
                .iter()
                .zip(stored)
                .filter(|(_, stored)| stored.is_some())
                .map(|(resource, _)| resource.present())
                .collect();
            Ok::<_, ApiError>((StatusCode::CREATED, Json(json!({ "resources": matched }))))
        })
        .await
}

fn payload(mut body: Body) -> ApiResult<Vec<Resource>> {
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
