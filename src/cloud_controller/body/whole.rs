//! Whole numbers in requests, as ActiveModel's `numericality: { only_integer: true }` reads them.
//!
//! A number may be written as text: `"256"`, `"-1"`, `"+5"` are valid, and the number is stored and
//! shown. Anything else is refused: what is no number at all (`"12a"`, `""`, `true`, `"0x10"`) "is
//! not a number"; another number (`1.5`, `1.0`, `"1.5"`, `" 12"`, `"1e3"`, `"1_000"`) "must be an
//! integer". Rules: `activemodel/lib/active_model/validations/numericality.rb`; fields and limits:
//! CC's `app/messages/*.rb`.
//!
//! - `process_scale` (also the `options` of deployments), `process_update`: instances, memory, disk,
//!   log rate, timeouts and intervals of checks; up to [`MAX_DB_INT`], log rates up to 2⁶³-1.
//! - `task_create`, `sidecar_create`, `sidecar_update`, `build_create`: memory, disk, log rate.
//! - `quotas_apps`, `quotas_services`, `quotas_routes`, `organization_quotas_update`: every limit.
//! - `buildpack_create`, `buildpack_update`: position. `route_create`: port.
//! - `manifest_process_scale`, `manifest_process_update`: instances, timeouts, intervals.
//!
//! Decisions: fields that CC checks with `is_a?(Integer)` accept no text. They are `max_in_flight`
//! and `instance_weight` of deployments, `weight` and `port` of destinations, `size_in_bytes` of
//! resources, `type` and `code` of ICMP rules. They are not read here.

use serde_json::Value;

use super::{Fields, Invalid};

/// Largest number of CC's integer columns.
pub(crate) const MAX_DB_INT: i64 = i32::MAX as i64;

/// The range of a whole number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole {
    low: Low,
    high: i64,
}

/// The lower limit; the two differ only in their error text.
#[derive(Debug, Clone, Copy)]
enum Low {
    Above(i64),
    AtLeast(i64),
}

impl Whole {
    /// `greater_than`.
    pub(crate) const fn above(limit: i64) -> Self {
        Self {
            low: Low::Above(limit),
            high: i64::MAX,
        }
    }

    /// `greater_than_or_equal_to`.
    pub(crate) const fn at_least(limit: i64) -> Self {
        Self {
            low: Low::AtLeast(limit),
            high: i64::MAX,
        }
    }

    /// `less_than_or_equal_to`.
    pub(crate) const fn up_to(mut self, limit: i64) -> Self {
        self.high = limit;
        self
    }

    /// The number, or its fault, worded to follow the field's name.
    pub(crate) fn read(self, value: &Value) -> Result<i64, String> {
        let number = number(value)?;
        match self.low {
            Low::Above(limit) if number <= i128::from(limit) => {
                Err(format!("must be greater than {limit}"))
            }
            Low::AtLeast(limit) if number < i128::from(limit) => {
                Err(format!("must be greater than or equal to {limit}"))
            }
            Low::Above(_) | Low::AtLeast(_) => i64::try_from(number)
                .ok()
                .filter(|number| *number <= self.high)
                .ok_or_else(|| format!("must be less than or equal to {}", self.high)),
        }
    }
}

impl Fields {
    /// Takes a whole number out; `Some(None)` = it was null in the request. `shown` is its name in
    /// texts.
    pub(crate) fn whole_called(
        &mut self,
        name: &str,
        shown: &str,
        rule: Whole,
        invalid: &mut Invalid,
    ) -> Option<Option<i64>> {
        match self.nullable(name)? {
            Value::Null => Some(None),
            value => match rule.read(&value) {
                Ok(number) => Some(Some(number)),
                Err(fault) => {
                    invalid.field(shown, &fault);
                    None
                }
            },
        }
    }

    /// The same where texts use the field's name.
    pub(crate) fn nullable_whole(
        &mut self,
        name: &str,
        rule: Whole,
        invalid: &mut Invalid,
    ) -> Option<Option<i64>> {
        self.whole_called(name, name, rule, invalid)
    }

    /// The same where null counts as absent.
    pub(crate) fn whole(&mut self, name: &str, rule: Whole, invalid: &mut Invalid) -> Option<i64> {
        self.nullable_whole(name, rule, invalid).flatten()
    }
}

fn number(value: &Value) -> Result<i128, String> {
    const NOT_A_NUMBER: &str = "is not a number";
    const NOT_AN_INTEGER: &str = "must be an integer";
    match value {
        Value::Number(number) => {
            let number = number.as_i64().map(i128::from);
            let number = number.or_else(|| value.as_u64().map(i128::from));
            number.ok_or_else(|| NOT_AN_INTEGER.to_owned())
        }
        Value::String(text) => {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            if is_digits(digits) {
                // A number that does not fit is beyond every limit.
                let far = if text.starts_with('-') {
                    i128::MIN
                } else {
                    i128::MAX
                };
                Ok(text.parse().unwrap_or(far))
            } else if is_decimal(text) {
                Err(NOT_AN_INTEGER.to_owned())
            } else {
                Err(NOT_A_NUMBER.to_owned())
            }
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(NOT_A_NUMBER.to_owned())
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether Ruby's `Float(text)` accepts it.
fn is_decimal(text: &str) -> bool {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, part) = match mantissa.split_once('.') {
        Some((whole, part)) => (whole, Some(part)),
        None => (mantissa, None),
    };
    // Single underscores may stand between digits.
    let grouped = |text: &str| text.split('_').all(is_digits);
    (grouped(whole) || (whole.is_empty() && part.is_some()))
        && part.is_none_or(grouped)
        && exponent.is_none_or(|text| grouped(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_be_text() {
        let rule = Whole::at_least(-1).up_to(MAX_DB_INT);
        for (value, number) in [
            (json!(256), 256),
            (json!("256"), 256),
            (json!("0256"), 256),
            (json!("+5"), 5),
            (json!("-1"), -1),
            (json!("2147483647"), MAX_DB_INT),
        ] {
            assert_eq!(rule.read(&value), Ok(number), "{value}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_refused_in_ccs_words() {
        let rule = Whole::above(0).up_to(MAX_DB_INT);
        let most = "must be less than or equal to 2147483647";
        for (value, fault) in [
            (json!("1.5"), "must be an integer"),
            (json!(1.5), "must be an integer"),
            (json!(1.0), "must be an integer"),
            (json!(" 12"), "must be an integer"),
            (json!("12\n"), "must be an integer"),
            (json!("1e3"), "must be an integer"),
            (json!("1_000"), "must be an integer"),
            (json!(".5"), "must be an integer"),
            (json!("12a"), "is not a number"),
            (json!("1__0"), "is not a number"),
            (json!("0x10"), "is not a number"),
            (json!("e3"), "is not a number"),
            (json!("."), "is not a number"),
            (json!("+"), "is not a number"),
            (json!("٣"), "is not a number"),
            (json!(""), "is not a number"),
            (json!(" "), "is not a number"),
            (json!(true), "is not a number"),
            (json!([5]), "is not a number"),
            (json!({ "a": 5 }), "is not a number"),
            (json!("0"), "must be greater than 0"),
            (json!(-1), "must be greater than 0"),
            (
                json!("-99999999999999999999999999999999999999999999"),
                "must be greater than 0",
            ),
            (json!("2147483648"), most),
            (json!(u64::MAX), most),
            (json!("99999999999999999999999999999999999999999999"), most),
        ] {
            assert_eq!(rule.read(&value), Err(fault.to_owned()), "{value}");
        }
        let big = Whole::at_least(-1).read(&json!("9223372036854775808"));
        assert_eq!(
            big,
            Err("must be less than or equal to 9223372036854775807".to_owned())
        );
    }
}
