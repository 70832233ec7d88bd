//! Converts the parser's events to nodes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::{MAX_BYTES, MAX_DEPTH, MAX_NODES, Node, Value, scalar};

const CORE: &str = "tag:yaml.org,2002:";

/// Why a text is not valid YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}")]
pub struct YamlError {
    what: String,
    /// Line, from 1.
    pub line: usize,
}

impl YamlError {
    fn new(what: impl Into<String>, line: usize) -> Self {
        let what = what.into();
        Self { what, line }
    }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        Self::new(error.info(), error.marker().line())
    }
}

/// The first document of a text; null when there is none.
pub fn read(text: &str) -> Result<Node, YamlError> {
    let mut composer = Composer {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        bytes: 0,
    };
    loop {
        match composer.next()? {
            (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
            (Event::StreamEnd, line) => {
                let value = Value::Null;
                return Ok(Node { value, line });
            }
            (event, line) => return composer.node(event, line, 0),
        }
    }
}

/// A node with its size, which every alias adds.
struct Anchored {
    node: Node,
    nodes: usize,
    bytes: usize,
    depth: usize,
}

struct Composer<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    bytes: usize,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize), YamlError> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.start.line())),
            Some(Err(error)) => Err(error.into()),
            None => Ok((Event::StreamEnd, 1)),
        }
    }

    fn count(&mut self, nodes: usize, bytes: usize, line: usize) -> Result<(), YamlError> {
        self.nodes += nodes;
        self.bytes += bytes;
        if self.nodes > MAX_NODES || self.bytes > MAX_BYTES {
            return Err(YamlError::new("the document is too large", line));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(YamlError::new("the document is nested too deeply", line));
        }
        let before = (self.nodes, self.bytes);
        self.count(1, 0, line)?;
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id, line, depth),
            Event::Scalar(text, style, anchor, tag) => {
                self.count(0, text.len(), line)?;
                let value = scalar(&text, style, tag.as_deref(), line)?;
                (value, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                reject_class_tags(tag.as_deref(), line)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                reject_class_tags(tag.as_deref(), line)?;
                (self.map(depth)?, anchor)
            }
            _ => return Err(YamlError::new("the document ends too early", line)),
        };
        let node = Node { value, line };
        if anchor > 0 {
            let anchored = Anchored {
                nodes: self.nodes - before.0,
                bytes: self.bytes - before.1,
                depth: height(&node),
                node: node.clone(),
            };
            // The copy uses memory too.
            self.count(anchored.nodes, anchored.bytes, line)?;
            self.anchors.insert(anchor, anchored);
        }
        Ok(node)
    }

    fn alias(&mut self, id: usize, line: usize, depth: usize) -> Result<Node, YamlError> {
        let Some(found) = self.anchors.get(&id) else {
            let text = "an alias names a part that is not complete";
            return Err(YamlError::new(text, line));
        };
        if depth + found.depth > MAX_DEPTH {
            return Err(YamlError::new("the document is nested too deeply", line));
        }
        let (nodes, bytes) = (found.nodes, found.bytes);
        self.count(nodes, bytes, line)?;
        let found = &self.anchors[&id];
        Ok(found.node.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(nodes)),
                (event, line) => nodes.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut own = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, line) = self.next()?;
            let merges = match &event {
                Event::MappingEnd => break,
                Event::Scalar(text, ScalarStyle::Plain, _, tag) => text == "<<" && tag.is_none(),
                _ => false,
            };
            let key = self.node(event, line, depth + 1)?;
            let (event, line) = self.next()?;
            let value = self.node(event, line, depth + 1)?;
            match merges.then(|| merge_pairs(&value)).flatten() {
                Some(pairs) => merged.extend(pairs),
                None => own.push((key, value)),
            }
        }
        Ok(Value::Map(unique_keys(own, merged)))
    }
}

/// The pairs that a value of `<<` merges, in order of precedence; `None` when it is neither a map
/// nor a list of maps.
fn merge_pairs(value: &Node) -> Option<Vec<(Node, Node)>> {
    match &value.value {
        Value::Map(pairs) => Some(pairs.clone()),
        Value::List(nodes) => {
            let maps = nodes.iter().map(|node| match &node.value {
                Value::Map(pairs) => Some(pairs.clone()),
                _ => None,
            });
            Some(maps.collect::<Option<Vec<_>>>()?.concat())
        }
        _ => None,
    }
}

/// Removes duplicate keys: of own keys the last one counts, of merged ones the first that is not an
/// own one.
fn unique_keys(own: Vec<(Node, Node)>, merged: Vec<(Node, Node)>) -> Vec<(Node, Node)> {
    let name = |key: &Node| format!("{:?}", key.value);
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut pairs: Vec<(Node, Node)> = Vec::with_capacity(own.len());
    for (key, value) in own {
        match places.entry(name(&key)) {
            Entry::Occupied(place) => pairs[*place.get()] = (key, value),
            Entry::Vacant(free) => {
                free.insert(pairs.len());
                pairs.push((key, value));
            }
        }
    }
    for (key, value) in merged {
        if let Entry::Vacant(free) = places.entry(name(&key)) {
            free.insert(pairs.len());
            pairs.push((key, value));
        }
    }
    pairs
}

fn height(node: &Node) -> usize {
    let deepest = match &node.value {
        Value::List(nodes) => nodes.iter().map(height).max(),
        Value::Map(pairs) => pairs
            .iter()
            .map(|(key, value)| height(key).max(height(value)))
            .max(),
        _ => return 0,
    };
    deepest.unwrap_or(0) + 1
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    line: usize,
) -> Result<Value, YamlError> {
    reject_class_tags(tag, line)?;
    if style != ScalarStyle::Plain {
        return Ok(Value::Text(text.to_owned()));
    }
    let core = tag.filter(|tag| tag.handle == CORE);
    let core = core.map(|tag| tag.suffix.as_str());
    let own = tag.filter(|tag| tag.handle == "!");
    let own = own.map(|tag| tag.suffix.as_str());
    Ok(match core.or(own) {
        Some("str") => Value::Text(text.to_owned()),
        Some("float") => scalar::tagged_float(text),
        Some("binary") => {
            let packed: String = text.split_whitespace().collect();
            let bytes = STANDARD.decode(packed).ok();
            match bytes.and_then(|bytes| String::from_utf8(bytes).ok()) {
                Some(text) => Value::Text(text),
                None => return Err(YamlError::new("binary data that is no UTF-8 text", line)),
            }
        }
        _ => scalar::plain(text),
    })
}

/// Rejects tags that would create objects of a program, instead of ignoring them.
fn reject_class_tags(tag: Option<&Tag>, line: usize) -> Result<(), YamlError> {
    let Some(tag) = tag else { return Ok(()) };
    let name = format!("{}{}", tag.handle, tag.suffix);
    let classes = [
        "!ruby/",
        "!python/",
        "tag:yaml.org,2002:python/",
        "tag:ruby.yaml.org,",
    ];
    if classes.iter().any(|class| name.starts_with(class)) {
        return Err(YamlError::new(
            format!("the tag {name} is not allowed"),
            line,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn json(text: &str) -> Json {
        match read(text) {
            Ok(node) => node.into_json(),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    #[test]
    fn documents_are_read_as_cloud_controller_reads_them() {
        let cases = [
            ("", json!(null)),
            ("# nothing\n", json!(null)),
            ("just text", json!("just text")),
            (
                "a: yes\nb: \"yes\"\nc: 'on'",
                json!({"a": true, "b": "yes", "c": "on"}),
            ),
            (
                "a: 0123\nb: 1:30\nc: 2020-01-01",
                json!({"a": 83, "b": 5400, "c": "2020-01-01"}),
            ),
            (
                "a: !!str yes\nb: !!float 1\nc: !!binary aGk=",
                json!({"a": "yes", "b": 1.0, "c": "hi"}),
            ),
            ("a: !mine yes", json!({"a": true})),
            ("a: |\n  yes\n", json!({"a": "yes\n"})),
            (
                "[x, 1, {y: z}, {true: z}]",
                json!(["x", 1, {"y": "z"}, {"true": "z"}]),
            ),
            (
                "1: a\n~: b\n? [x]\n: c",
                json!({"1": "a", "": "b", "[\"x\"]": "c"}),
            ),
            ("a: 1\na: 2\nb: 3", json!({"a": 2, "b": 3})),
            ("a: &x {b: 1}\nc: *x", json!({"a": {"b": 1}, "c": {"b": 1}})),
            (
                "a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3",
                json!({"a": {"b": 1, "c": 2}, "d": {"b": 3, "c": 2}}),
            ),
            (
                "<<: [{a: 1, b: 1}, {b: 2, c: 2}]",
                json!({"a": 1, "b": 1, "c": 2}),
            ),
            ("<<: text\n\"<<\": {a: 1}", json!({"<<": {"a": 1}})),
            ("a: 1\n---\nb: 2", json!({"a": 1})),
            ("--- {a: 1}\n...\n", json!({"a": 1})),
            ("\u{feff}a: Ω\r\nb: 2\r\n", json!({"a": "Ω", "b": 2})),
        ];
        for (text, expected) in cases {
            assert_eq!(json(text), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_name_the_line() {
        let cases = [
            ("a: 1\nb: [", 3),
            ("a: 1\nb: *nobody", 2),
            ("a: &x [*x]", 1),
            ("a: 1\n\n  b: 2", 3),
            ("a: 1\nb: !ruby/object:Object {}", 2),
            ("a: !ruby/sym x", 1),
            ("a: 1\nb: !!binary \"%\"\nc: !!binary /w==", 3),
        ];
        for (text, line) in cases {
            let error = read(text).expect_err(text);
            assert_eq!(error.line, line, "{text:?}: {error}");
        }
    }

    #[test]
    fn aliases_are_bounded() {
        let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, of) in [
            ("b", "a"),
            ("c", "b"),
            ("d", "c"),
            ("e", "d"),
            ("f", "e"),
            ("g", "f"),
        ] {
            let many = vec![format!("*{of}"); 10].join(",");
            laughs = format!("{laughs}{name}: &{name} [{many}]\n");
        }
        let long = format!(
            "a: &a {}\nb: [{}]",
            "x".repeat(100_000),
            vec!["*a"; 1000].join(",")
        );
        let deep = "[".repeat(100) + &"]".repeat(100);
        let mut deeper = "a0: &a0 []\n".to_owned();
        for n in 1..100 {
            deeper = format!("{deeper}a{n}: &a{n} [*a{}]\n", n - 1);
        }
        for text in [laughs, long, deep, deeper] {
            let error = read(&text).expect_err("refused").to_string();
            assert!(
                error.contains("too large") || error.contains("too deeply"),
                "{error}"
            );
        }
    }
}
