//! Checks of single fields, in Cloud Controller's words.

use serde_json::{Map, Value};

use super::Faults;

const LONGEST_DESCRIPTION: usize = 10_000;

/// Whether a field has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
}

/// Reads the fields of one object; `shown` names a field in faults.
pub(super) struct Fields<'a> {
    pub given: &'a Map<String, Value>,
    pub faults: &'a mut Faults,
}

/// As Ruby shows a value.
pub(super) fn inspect(value: &Value) -> String {
    match value {
        Value::Null => "nil".to_owned(),
        Value::Array(all) => {
            let all: Vec<String> = all.iter().map(inspect).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Object(all) => {
            let pairs: Vec<String> = all
                .iter()
                .map(|(key, value)| format!("{key:?} => {}", inspect(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

impl Fields<'_> {
    /// The value of a field; null counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.given.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&mut self, shown: &str, kind: &str, value: &Value) {
        let text = format!("{shown} must be {kind}, but has value {}", inspect(value));
        self.faults.add(text);
    }

    /// A text.
    pub(super) fn string(&mut self, name: &str, shown: &str, presence: Presence) -> Option<String> {
        match self.get(name).cloned() {
            Some(Value::String(text)) => {
                if presence == Presence::Required && text.trim().is_empty() {
                    self.faults.add(format!("{shown} is required"));
                }
                Some(text)
            }
            Some(other) => {
                self.wrong(shown, "a string", &other);
                None
            }
            None => {
                if presence == Presence::Required {
                    self.faults.add(format!("{shown} is required"));
                }
                None
            }
        }
    }

    /// A text of limited length.
    pub(super) fn description(&mut self, shown: &str) -> Option<String> {
        let text = self.string("description", shown, Presence::Required)?;
        if text.chars().count() > LONGEST_DESCRIPTION {
            self.faults.add(format!(
                "{shown} may not have more than {LONGEST_DESCRIPTION} characters"
            ));
        }
        Some(text)
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, name: &str, shown: &str, presence: Presence) -> Option<bool> {
        match self.get(name).cloned() {
            Some(Value::Bool(value)) => Some(value),
            Some(other) => {
                self.wrong(shown, "a boolean", &other);
                None
            }
            None => {
                if presence == Presence::Required {
                    self.faults.add(format!("{shown} is required"));
                }
                None
            }
        }
    }

    /// A whole number.
    pub(super) fn integer(&mut self, name: &str, shown: &str) -> Option<i64> {
        let value = self.get(name)?.clone();
        let number = value.as_i64();
        if number.is_none() {
            self.wrong(shown, "an integer", &value);
        }
        number
    }

    /// An object.
    pub(super) fn object(&mut self, name: &str, shown: &str) -> Option<Map<String, Value>> {
        match self.get(name)?.clone() {
            Value::Object(map) => Some(map),
            other => {
                self.wrong(shown, "a hash", &other);
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn strings(&mut self, name: &str, shown: &str) -> Vec<String> {
        let Some(value) = self.given.get(name).cloned() else {
            return Vec::new();
        };
        let texts = value.as_array().and_then(|all| {
            let texts = all.iter().map(|one| one.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<String>>>()
        });
        texts.unwrap_or_else(|| {
            self.wrong(shown, "an array of strings", &value);
            Vec::new()
        })
    }

    /// A semantic version.
    pub(super) fn version(&mut self, name: &str, shown: &str) {
        let text = self.string(name, shown, Presence::Required);
        if !text.as_deref().is_some_and(is_semantic_version) {
            let value = self.given.get(name).cloned().unwrap_or_default();
            self.wrong(shown, "a Semantic Version", &value);
        }
    }
}

/// Whether a text is a version as <https://semver.org> has it.
pub fn is_semantic_version(text: &str) -> bool {
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, pre) = match text.split_once('-') {
        Some((core, pre)) => (core, Some(pre)),
        None => (text, None),
    };
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    };
    let plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let identifier = |part: &str| {
        plain(part) && (number(part) || part.bytes().any(|byte| !byte.is_ascii_digit()))
    };
    let numbers: Vec<&str> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|part| number(part))
        && pre.is_none_or(|pre| pre.split('.').all(identifier))
        && build.is_none_or(|build| build.split('.').all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semantic_versions() {
        for good in [
            "1.2.3",
            "0.0.0",
            "1.0.0-alpha.1",
            "1.0.0-0.3.7",
            "1.0.0+001",
            "1.0.0-x-y+z.7",
        ] {
            assert!(is_semantic_version(good), "{good}");
        }
        for bad in [
            "", "1", "1.2", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+", "v1.2.3", "1.2.3.4", "a.b.c",
        ] {
            assert!(!is_semantic_version(bad), "{bad}");
        }
    }
}
