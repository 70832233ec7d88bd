//! Maps of a YAML file, read key by key: faults name the line, and a key that nobody asked for is an
//! error with a suggestion.

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use crate::base::yaml::{self, Node};

/// The keys of one map that were not read yet.
pub(super) struct Fields {
    /// What the map describes, such as `a space`.
    what: String,
    line: usize,
    pairs: Vec<(String, usize, Node)>,
    asked: Vec<&'static str>,
}

impl Fields {
    /// The keys of a map.
    pub(super) fn of(node: Node, what: &str) -> anyhow::Result<Self> {
        let line = node.line;
        let yaml::Value::Map(map) = node.value else {
            bail!("line {line}: {what} has to be a map");
        };
        let pairs = map.into_iter().map(|(key, value)| {
            let line = key.line;
            (key.into_text(), line, value)
        });
        Ok(Self {
            what: what.to_owned(),
            line,
            pairs: pairs.collect(),
            asked: Vec::new(),
        })
    }

    /// The line the map starts at.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The value of a key; null counts as absent.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        let at = self.pairs.iter().position(|(name, ..)| name == key)?;
        let (.., value) = self.pairs.remove(at);
        (value.value != yaml::Value::Null).then_some(value)
    }

    /// A text that is not empty. Numbers and words such as `on` have to be quoted.
    pub(super) fn text(&mut self, key: &'static str) -> anyhow::Result<Option<String>> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        let line = node.line;
        match node.value {
            yaml::Value::Text(text) if !text.is_empty() => Ok(Some(text)),
            _ => bail!("line {line}: {key} of {} has to be a text", self.what),
        }
    }

    /// A text that has to be there.
    pub(super) fn required(&mut self, key: &'static str) -> anyhow::Result<String> {
        let (line, what) = (self.line, self.what.clone());
        self.text(key)?
            .with_context(|| format!("line {line}: {what} has no {key}"))
    }

    /// The entries of a list; none when there is no list.
    pub(super) fn list(&mut self, key: &'static str) -> anyhow::Result<Vec<Node>> {
        let Some(node) = self.take(key) else {
            return Ok(Vec::new());
        };
        let line = node.line;
        match node.value {
            yaml::Value::List(all) => Ok(all),
            _ => bail!("line {line}: {key} of {} has to be a list", self.what),
        }
    }

    /// The texts of a list, each with its line.
    pub(super) fn texts(&mut self, key: &'static str) -> anyhow::Result<Vec<(String, usize)>> {
        let all = self.list(key)?.into_iter().map(|node| {
            let line = node.line;
            match node.value {
                yaml::Value::Text(text) if !text.is_empty() => Ok((text, line)),
                _ => bail!(
                    "line {line}: {key} of {} has to be a list of texts",
                    self.what
                ),
            }
        });
        all.collect()
    }

    /// A map of any content.
    pub(super) fn map(&mut self, key: &'static str) -> anyhow::Result<Option<Map<String, Value>>> {
        let Some(node) = self.take(key) else {
            return Ok(None);
        };
        let line = node.line;
        match node.into_json() {
            Value::Object(map) => Ok(Some(map)),
            _ => bail!("line {line}: {key} of {} has to be a map", self.what),
        }
    }

    /// Refuses keys that nobody asked for.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.known(&[])
    }

    /// What is left, which may only have these keys.
    pub(super) fn rest(
        mut self,
        known: &'static [&'static str],
    ) -> anyhow::Result<Map<String, Value>> {
        let left = std::mem::take(&mut self.pairs);
        let (good, bad): (Vec<_>, Vec<_>) =
            { left.into_iter() }.partition(|(key, ..)| known.contains(&key.as_str()));
        self.pairs = bad;
        self.known(known)?;
        let good = good.into_iter();
        Ok(good
            .map(|(key, _, value)| (key, value.into_json()))
            .collect())
    }

    fn known(mut self, more: &'static [&'static str]) -> anyhow::Result<()> {
        let Some((key, line, _)) = self.pairs.first() else {
            return Ok(());
        };
        self.asked.extend(more);
        let near = nearest(key, &self.asked);
        let hint = near.map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        bail!("line {line}: unknown key \"{key}\" of {}{hint}", self.what)
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |known: &&str| strsim::jaro_winkler(known, name);
    let best = { known.iter().copied() }.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) > 0.6).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> anyhow::Result<Fields> {
        Fields::of(yaml::read(text)?, "an org")
    }

    #[test]
    fn faults_name_the_line_and_what_was_probably_meant() {
        let read = |text: &str| -> anyhow::Result<()> {
            let mut fields = fields(text)?;
            fields.required("name")?;
            fields.list("spaces")?;
            fields.texts("managers")?;
            fields.finish()
        };
        read("name: a\nspaces:\nmanagers: [x]").expect("valid");
        for (text, fault) in [
            ("- a", "line 1: an org has to be a map"),
            ("spaces: []", "line 1: an org has no name"),
            ("name: 1", "line 1: name of an org has to be a text"),
            (
                "name: a\n\nspaces: b",
                "line 3: spaces of an org has to be a list",
            ),
            (
                "name: a\nmanagers:\n- x\n- [y]",
                "line 4: managers of an org has to be a list of texts",
            ),
            (
                "name: a\nspcaes: []",
                "line 2: unknown key \"spcaes\" of an org; did you mean \"spaces\"?",
            ),
            ("name: a\nzzz: 1", "line 2: unknown key \"zzz\" of an org"),
        ] {
            let error = read(text).expect_err("refused").to_string();
            assert_eq!(error, fault);
        }
    }
}
