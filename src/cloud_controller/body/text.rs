//! Characters that texts of a request may not contain.
//!
//! - NUL, anywhere: a process gets its command, arguments and environment as NUL-terminated texts,
//!   so a text with a NUL never reaches an app whole. CC's database refuses most of them with an
//!   error of its own; here they are refused first.
//! - Control characters, in names that appear in labels, image references and log lines.
//!
//! Commands, environment values, annotations and descriptions may have several lines.

use serde_json::Value;

use super::Invalid;
use crate::cloud_controller::error::{Error, Result};

/// Refuses a JSON document with a NUL in any text or name.
pub(crate) fn refuse_nul(json: &[u8], document: &Value) -> Result<()> {
    // JSON can contain a NUL only as this escape, and hardly any body has it.
    let escaped = json.windows(6).any(|six| six == b"\\u0000");
    let Some(place) = escaped.then(|| place_of_nul(document)).flatten() else {
        return Ok(());
    };
    Err(Error::unprocessable(format!(
        "{place} must not contain null characters"
    )))
}

/// Where a text or name with a NUL is: `var.A`.
pub(crate) fn place_of_nul(value: &Value) -> Option<String> {
    place(value, &|c| c == '\0')
}

/// Whether any text or name contains a control character.
pub(crate) fn has_control(value: &Value) -> bool {
    place(value, &char::is_control).is_some()
}

fn place(value: &Value, bad: &impl Fn(char) -> bool) -> Option<String> {
    match value {
        Value::String(text) => text.contains(bad).then(String::new),
        Value::Array(values) => values.iter().find_map(|value| place(value, bad)),
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let shown = name.replace(char::is_control, "\u{fffd}");
            if name.contains(bad) {
                return Some(shown);
            }
            place(value, bad).map(|below| match below.as_str() {
                "" => shown,
                below => format!("{shown}.{below}"),
            })
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

impl Invalid {
    /// Refuses a name that contains a control character.
    pub(crate) fn check_control(&mut self, field: &str, text: &str) {
        if text.contains(char::is_control) {
            self.field(field, "must not contain control characters");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_nul_is_found_wherever_it_is() {
        for (document, expected) in [
            (json!({ "command": "a\0" }), "command"),
            (json!({ "var": { "A": "x", "B": "\0" } }), "var.B"),
            (json!({ "var": { "A\0": "x" } }), "var.A\u{fffd}"),
            (
                json!({ "lifecycle": { "data": { "buildpacks": ["a", "b\0"] } } }),
                "lifecycle.data.buildpacks",
            ),
        ] {
            let text = document.to_string();
            let refusal = refuse_nul(text.as_bytes(), &document).expect_err(&text);
            assert_eq!(
                refusal.detail(),
                format!("{expected} must not contain null characters")
            );
        }
        for fine in [
            json!({ "command": "a\nb\t" }),
            json!({ "command": "\\u0000" }),
        ] {
            assert!(
                refuse_nul(fine.to_string().as_bytes(), &fine).is_ok(),
                "{fine}"
            );
        }
    }
}
