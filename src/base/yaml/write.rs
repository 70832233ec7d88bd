//! JSON as YAML that every version of YAML reads back the same.

use serde_json::Value;

use super::scalar;

/// The text of a document, one map entry or list item a line.
pub fn write(value: &Value) -> String {
    let mut text = "---".to_owned();
    nested(value, 0, false, &mut text);
    text.push('\n');
    text
}

/// Writes a value behind `key:` or `---`, or, when `listed`, behind the `-` of a list's item.
fn nested(value: &Value, indent: usize, listed: bool, text: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                start(indent, listed && index == 0, text);
                text.push('-');
                nested(item, indent + 2, true, text);
            }
        }
        Value::Object(fields) if !fields.is_empty() => {
            for (index, (key, item)) in fields.iter().enumerate() {
                start(indent, listed && index == 0, text);
                text.push_str(&word(key));
                text.push(':');
                // As Ruby and Go write it: lists stand below their key without a further indent.
                let deeper = if item.is_array() { indent } else { indent + 2 };
                nested(item, deeper, false, text);
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

fn start(indent: usize, same_line: bool, text: &mut String) {
    if same_line {
        text.push(' ');
    } else {
        text.push('\n');
        text.extend(std::iter::repeat_n(' ', indent));
    }
}

/// A text as it stands when nobody could take it for anything else, else in quotes. What JSON
/// escapes in double quotes, YAML escapes in the same way.
fn word(text: &str) -> String {
    // No number and no date of any version of YAML has such a letter: `64M` is a text.
    let telling = |c: char| "ghjklmpqrsuvw".contains(c.to_ascii_lowercase());
    let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_'))
        || text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(telling);
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '-' | '.' | ' ');
    let plain = first
        && text.chars().all(inside)
        && !text.ends_with(' ')
        // YAML 1.1 proper, which the cf CLI reads, has two words more for yes and no.
        && !["y", "n"].iter().any(|letter| text.eq_ignore_ascii_case(letter))
        && matches!(scalar::plain(text), super::Value::Text(_));
    if plain {
        return text.to_owned();
    }
    // Breaks and marks that only YAML knows, beside those of JSON.
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
    fn texts_come_back_as_they_were() {
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
