//! Writes JSON as YAML that parsers of every YAML version read back unchanged.

use serde_json::Value;

use super::scalar;

/// The text of a document, one map entry or list item per line.
pub fn write(value: &Value) -> String {
    let mut text = "---".to_owned();
    nested(value, 0, Behind::Name, &mut text);
    text.push('\n');
    text
}

/// What a value stands behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    /// `key:` or `---`.
    Name,
    /// The `-` of a list item, whose line the first entry of the value shares.
    Dash,
}

/// Writes a value behind what is written already.
fn nested(value: &Value, indent: usize, behind: Behind, text: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                start(indent, behind, index, text);
                text.push('-');
                nested(item, indent + 2, Behind::Dash, text);
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            for (index, (key, item)) in fields.iter().enumerate() {
                start(indent, behind, index, text);
                text.push_str(&word(key));
                text.push(':');
                // As Ruby and Go write it: lists are not indented below their key.
                let deeper = if item.is_array() { indent } else { indent + 2 };
                nested(item, deeper, Behind::Name, text);
            }
        }
        Value::String(content) => {
            text.push(' ');
            text.push_str(&word(content));
        }
        other => {
            text.push(' ');
            text.push_str(&other.to_string());
        }
    }
}

/// Starts the entry with this index of a list or map.
fn start(indent: usize, behind: Behind, index: usize, text: &mut String) {
    if behind == Behind::Dash && index == 0 {
        text.push(' ');
    } else {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
    }
}

/// A text, quoted unless it is unambiguous. YAML escapes in double quotes what JSON escapes, in the
/// same way.
fn word(text: &str) -> String {
    // No number and no date of any YAML version has such a letter: `64M` is text.
    let only_in_text = |c: char| "ghjklmpqrsuvw".contains(c.to_ascii_lowercase());
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'))
        || text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(only_in_text);
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | ' ');
    let plain = first
        && text.chars().all(inside)
        && !text.ends_with(' ')
        // Full YAML 1.1, which the cf CLI reads, has two more words for yes and no.
        && !["y", "n"].iter().any(|letter| text.eq_ignore_ascii_case(letter))
        && matches!(scalar::plain(text), super::Value::Text(_));
    if plain {
        return text.to_owned();
    }
    // Line breaks and marks that are special only in YAML.
    let special = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if !text.contains(special) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::new();
    for letter in Value::from(text).to_string().chars() {
        if special(letter) {
            quoted.push_str("\\u");
            for shift in [12, 8, 4, 0] {
                let digit = (u32::from(letter) >> shift) & 0xf;
                quoted.extend(char::from_digit(digit, 16));
            }
        } else {
            quoted.push(letter);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::yaml::read;

    #[test]
    fn lists_and_maps_nest() {
        let value = json!({ "applications": [
            { "name": "a", "env": { "Y": "yes", "B": "two words", "memory": "64M", "n": 1.5, "empty": {} }, "buildpacks": [],
              "routes": [{ "route": "a.b:80/c" }, {}], "lists": [[1, [true]], null] },
        ] });
        let expected = "---\napplications:\n- name: a\n  env:\n    'Y': 'yes'\n    B: two words\n    memory: 64M\n    'n': 1.5\n    \
            empty: {}\n  buildpacks: []\n  routes:\n  - route: 'a.b:80/c'\n  - {}\n  lists:\n  - - 1\n    - - true\n  - null\n";
        assert_eq!(write(&value), expected);
        assert_eq!(read(expected).expect("YAML").into_json(), value);
    }

    #[test]
    fn texts_survive_a_round_trip() {
        let texts = [
            "",
            " ",
            "a",
            "a ",
            " a",
            "yes",
            "Y",
            "no",
            "null",
            "~",
            "0123",
            "1:30",
            "1e3",
            "2020-01-01",
            "- a",
            "a: b",
            "a #b",
            "#",
            "&a",
            "*a",
            "!x",
            "%",
            "@",
            "`",
            "|",
            ">",
            "'",
            "\"",
            "\\",
            "a\nb\n",
            "\t",
            "\u{7f}",
            "\u{1}",
            "Ω",
            "\u{feff}",
            "\u{2028}",
            "{a}",
            "[a]",
            "<<",
            "=",
            ".",
            "-",
            "?",
            "---",
            "...",
            "😀",
        ];
        for text in texts {
            let value = json!({ text: text, "list": [text] });
            assert_eq!(
                read(&write(&value)).expect("YAML").into_json(),
                value,
                "{text:?}"
            );
        }
    }
}
