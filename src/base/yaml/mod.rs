//! YAML as Cloud Controller reads it: YAML 1.1 with Ruby's rules for words and numbers, so that
//! `on` is true, `0123` is 83 and `1:30` is 5400.
//!
//! Keys may be any node, and every node knows its line, for error messages. A document has at most
//! [`MAX_NODES`] nodes and [`MAX_BYTES`] bytes of text; aliases count as often as they are used.
//!
//! Decisions: a parser's events, not serde: serde has no lines, only text keys, and cannot
//! distinguish `yes` from `"yes"`. Cloud Controller rejects aliases; here they remain allowed for
//! compatibility with earlier versions, and clients that expand them (the cf CLI) send none.

mod compose;
mod scalar;
mod write;

use serde_json::Map;

pub use compose::{YamlError, read};
pub use write::write;

/// Most nodes of a document, aliases expanded.
pub const MAX_NODES: usize = 50_000;
/// Most bytes of all its scalars, aliases expanded.
pub const MAX_BYTES: usize = 8 << 20;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;

/// A node of a document.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its value.
    pub value: Value,
    /// The line it starts at, from 1.
    pub line: usize,
}

/// The value of a node.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// A whole number that 64 bits hold.
    Integer(i64),
    /// Any other number but infinite ones.
    Float(f64),
    /// Text, and numbers that JSON cannot represent.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the document; every key once.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// The value of a map's text key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(pairs) = &self.value else {
            return None;
        };
        let found = pairs.iter().find(|(name, _)| name.is_text(key));
        found.map(|(_, value)| value)
    }

    /// An entry of a list.
    pub fn item(&self, index: usize) -> Option<&Self> {
        match &self.value {
            Value::List(nodes) => nodes.get(index),
            _ => None,
        }
    }

    /// The text of a text node.
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    fn is_text(&self, text: &str) -> bool {
        self.as_text() == Some(text)
    }

    /// The node as JSON. Keys are converted to text; of equal keys the last one counts.
    pub fn into_json(self) -> serde_json::Value {
        match self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(yes) => yes.into(),
            Value::Integer(number) => number.into(),
            Value::Float(number) => number.into(),
            Value::Text(text) => text.into(),
            Value::List(nodes) => nodes.into_iter().map(Self::into_json).collect(),
            Value::Map(pairs) => {
                let pairs = pairs.into_iter();
                let pairs = pairs.map(|(key, value)| (key.into_text(), value.into_json()));
                serde_json::Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// The node as text: `true`, `83`, empty for null, JSON for lists and maps.
    pub fn into_text(self) -> String {
        match self.into_json() {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => String::new(),
            other => other.to_string(),
        }
    }
}
