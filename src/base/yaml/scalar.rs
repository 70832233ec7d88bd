//! Resolves the type of a scalar. Pure.
//!
//! The rules are those of Ruby's YAML in the mode Cloud Controller uses (no classes, strict
//! integers). Where Ruby rejects a word because it would be a date, a time or a symbol, the word
//! stays text here: an app's environment is text anyway.

use super::Value;

/// A word that is neither quoted nor tagged.
pub(super) fn plain(word: &str) -> Value {
    if word.is_empty() || word == "~" || word.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    let any = |names: [&str; 3]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if any(["yes", "true", "on"]) {
        return Value::Bool(true);
    }
    if any(["no", "false", "off"]) {
        return Value::Bool(false);
    }
    infinite(word)
        .or_else(|| base_60(word))
        .or_else(|| float(word).map(number))
        .or_else(|| integer(word))
        .unwrap_or_else(|| Value::Text(word.to_owned()))
}

/// A word tagged as a number with a fraction.
pub(super) fn tagged_float(word: &str) -> Value {
    match plain(word) {
        #[expect(clippy::cast_precision_loss, reason = "requested by the tag")]
        Value::Integer(whole) => Value::Float(whole as f64),
        other => other,
    }
}

/// JSON has no infinite numbers: they become Ruby's words for them.
fn number(number: f64) -> Value {
    if number.is_nan() {
        Value::Text("NaN".to_owned())
    } else if number.is_infinite() {
        let sign = if number < 0.0 { "-" } else { "" };
        Value::Text(format!("{sign}Infinity"))
    } else {
        Value::Float(number)
    }
}

fn infinite(word: &str) -> Option<Value> {
    let is = |name: &str| word.eq_ignore_ascii_case(name);
    let value = if is(".inf") || is("+.inf") {
        f64::INFINITY
    } else if is("-.inf") {
        f64::NEG_INFINITY
    } else if is(".nan") {
        f64::NAN
    } else {
        return None;
    };
    Some(number(value))
}

fn without_sign(word: &str) -> (&str, bool) {
    match word.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (word.strip_prefix('+').unwrap_or(word), false),
    }
}

fn is_decimal(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        && word.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// `1:30` and `1:30:00`, as Ruby computes them: the first part is always hours.
fn base_60(word: &str) -> Option<Value> {
    let (rest, negative) = without_sign(word);
    let (whole, fraction) = match rest.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (rest, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    if fraction.is_some_and(|fraction| !digits(fraction)) {
        return None;
    }
    let parts: Vec<&str> = whole.split(':').collect();
    let sixty = |part: &&str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    if !(2..=3).contains(&parts.len()) || !is_decimal(parts[0]) || !parts[1..].iter().all(sixty) {
        return None;
    }
    let first: i64 = parts[0].replace('_', "").parse().ok()?;
    let mut sum = if negative { -first } else { first }.checked_mul(3600)?;
    for (part, unit) in parts[1..].iter().zip([60, 1]) {
        sum = sum.checked_add(part.parse::<i64>().ok()? * unit)?;
    }
    let Some(fraction) = fraction else {
        return Some(Value::Integer(sum));
    };
    let unit = if parts.len() == 2 { 60.0 } else { 1.0 };
    let fraction: f64 = format!("0.{}0", fraction.replace('_', "")).parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a time of day")]
    Some(number(sum as f64 + fraction * unit))
}

/// Requires a point, and a sign in the exponent: `1e3` is text.
fn float(word: &str) -> Option<f64> {
    let (rest, _) = without_sign(word);
    let (whole, rest) = rest.split_once('.')?;
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let grouped = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_digit())
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'_' | b','))
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let signed = |text: &str| {
        text.strip_prefix(['+', '-'])
            .is_some_and(|text| !text.is_empty() && digits(text))
    };
    let written = (whole.is_empty() || grouped(whole))
        && digits(fraction)
        && exponent.is_none_or(signed)
        && !(whole.is_empty() && fraction.is_empty());
    if !written {
        return None;
    }
    word.replace([',', '_'], "").parse().ok()
}

fn integer(word: &str) -> Option<Value> {
    let (rest, negative) = without_sign(word);
    let (digits, radix) = if let Some(digits) = rest.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = rest.strip_prefix("0x") {
        (digits, 16)
    } else if rest.len() > 1 && rest.starts_with('0') {
        (&rest[1..], 8)
    } else if is_decimal(rest) {
        (rest, 10)
    } else {
        return None;
    };
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    match i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        Ok(number) => Some(Value::Integer(number)),
        // Too large for a JSON integer.
        Err(_) if radix == 10 => Some(Value::Text(format!("{sign}{digits}"))),
        Err(_) => Some(Value::Text(word.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(word: &str) -> Value {
        Value::Text(word.to_owned())
    }

    #[test]
    fn words_are_resolved_as_in_cloud_controller() {
        let cases = [
            ("", Value::Null),
            ("~", Value::Null),
            ("NULL", Value::Null),
            ("yes", Value::Bool(true)),
            ("On", Value::Bool(true)),
            ("tRue", Value::Bool(true)),
            ("no", Value::Bool(false)),
            ("OFF", Value::Bool(false)),
            ("y", text("y")),
            ("N", text("N")),
            ("yess", text("yess")),
            ("0", Value::Integer(0)),
            ("-12", Value::Integer(-12)),
            ("+1_000", Value::Integer(1000)),
            ("1,000", text("1,000")),
            ("0123", Value::Integer(83)),
            ("-0123", Value::Integer(-83)),
            ("0_7", Value::Integer(7)),
            ("08", text("08")),
            ("0o17", text("0o17")),
            ("0b101", Value::Integer(5)),
            ("0x1F", Value::Integer(31)),
            ("0x", text("0x")),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("-9223372036854775808", Value::Integer(i64::MIN)),
            ("1_0000000000000000000000", text("10000000000000000000000")),
            ("1.5", Value::Float(1.5)),
            ("-.5", Value::Float(-0.5)),
            ("1.", Value::Float(1.0)),
            ("1,000.5", Value::Float(1000.5)),
            ("1.5e+3", Value::Float(1500.0)),
            ("1.5e3", text("1.5e3")),
            ("1e3", text("1e3")),
            (".", text(".")),
            ("1.2.3", text("1.2.3")),
            (".inf", text("Infinity")),
            ("-.INF", text("-Infinity")),
            (".NaN", text("NaN")),
            ("1:30", Value::Integer(5400)),
            ("12:30:45", Value::Integer(45045)),
            ("-1:30", Value::Integer(-1800)),
            ("1:30.5", Value::Float(5430.0)),
            ("1:60", text("1:60")),
            ("1:2:3:4", text("1:2:3:4")),
            ("2020-01-01", text("2020-01-01")),
            (
                "2001-12-14t21:59:43.10-05:00",
                text("2001-12-14t21:59:43.10-05:00"),
            ),
            (":symbol", text(":symbol")),
            ("<<", text("<<")),
            ("-", text("-")),
            ("64M", text("64M")),
        ];
        for (word, expected) in cases {
            assert_eq!(plain(word), expected, "{word:?}");
        }
    }

    #[test]
    fn the_float_tag_converts_a_whole_number() {
        assert_eq!(tagged_float("1"), Value::Float(1.0));
        assert_eq!(tagged_float("x"), text("x"));
    }
}
