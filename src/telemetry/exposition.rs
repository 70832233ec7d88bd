//! The text format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

use super::{Family, Kind};

/// The format's media type.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The families as text; those without samples are left out.
pub fn render(families: &[Family]) -> String {
    let mut text = String::new();
    for family in families.iter().filter(|family| !family.samples.is_empty()) {
        let name = family.name;
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a string cannot fail.
        let _written = writeln!(text, "# HELP {name} {}", escaped(family.help, false));
        let _written = writeln!(text, "# TYPE {name} {kind}");
        for sample in &family.samples {
            text.push_str(name);
            for (number, (label, value)) in sample.labels.iter().enumerate() {
                let before = if number == 0 { '{' } else { ',' };
                let _written = write!(text, "{before}{label}=\"{}\"", escaped(value, true));
            }
            if !sample.labels.is_empty() {
                text.push('}');
            }
            let _written = writeln!(text, " {}", number(sample.value));
        }
    }
    text
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        value.to_string()
    }
}

fn escaped(text: &str, quotes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quotes => escaped.push_str("\\\""),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A reader of the format for tests: every line is checked, and each sample is its name, its labels
/// and its value.
#[cfg(any(test, feature = "testing"))]
pub mod reader {
    use std::collections::{BTreeMap, BTreeSet};

    /// One line with a value.
    #[derive(Debug, Clone, PartialEq)]
    pub struct Line {
        /// Name of the metric.
        pub name: String,
        /// Labels.
        pub labels: BTreeMap<String, String>,
        /// Value.
        pub value: f64,
    }

    /// The samples of a text, or its first fault.
    pub fn read(text: &str) -> Result<Vec<Line>, String> {
        let mut found: Vec<Line> = Vec::new();
        let (mut types, mut seen) = (BTreeMap::new(), BTreeSet::new());
        if !text.is_empty() && !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').ok_or(line)?;
                if types.insert(name.to_owned(), kind.to_owned()).is_some() {
                    return Err(format!("two types: {line}"));
                }
            } else if !line.starts_with("# HELP ") {
                let sample = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
                if !types.contains_key(&sample.name) {
                    return Err(format!("no type before: {line}"));
                }
                let counts = types
                    .get(&sample.name)
                    .is_some_and(|kind| kind == "counter");
                if counts != sample.name.ends_with("_total") {
                    return Err(format!("a counter ends with _total: {line}"));
                }
                if !seen.insert((sample.name.clone(), sample.labels.clone())) {
                    return Err(format!("twice: {line}"));
                }
                found.push(sample);
            }
        }
        Ok(found)
    }

    fn sample(line: &str) -> Option<Line> {
        let end = line.find(['{', ' '])?;
        let (name, mut rest) = line.split_at(end);
        let mut labels = BTreeMap::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = inside;
            loop {
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = quoted(after)?;
                if !is_name(label) || labels.insert(label.to_owned(), value).is_some() {
                    return None;
                }
                match after.strip_prefix(',') {
                    Some(next) => rest = next,
                    None => {
                        rest = after.strip_prefix('}')?;
                        break;
                    }
                }
            }
        }
        let value = match rest.strip_prefix(' ')? {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            number => number.parse().ok()?,
        };
        let name = name.to_owned();
        is_name(&name).then_some(Line {
            name,
            labels,
            value,
        })
    }

    fn is_name(text: &str) -> bool {
        let is_letter = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
        text.starts_with(is_letter)
            && text
                .chars()
                .all(|letter| is_letter(letter) || letter.is_ascii_digit())
    }

    /// The text before a quote, and what is after it.
    fn quoted(text: &str) -> Option<(String, &str)> {
        let mut value = String::new();
        let mut letters = text.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return Some((value, &text[at + 1..])),
                '\\' => value.push(match letters.next()?.1 {
                    'n' => '\n',
                    other @ ('"' | '\\') => other,
                    _ => return None,
                }),
                other => value.push(other),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn families_are_written_as_prometheus_reads_them() {
        let mut requests = Family::counter("requests_total", "Requests\nby class \\ app.");
        requests.push(
            vec![
                ("class", "2xx".to_owned()),
                ("app", "a\"b\\c\nd".to_owned()),
            ],
            5.0,
        );
        let families = [
            requests,
            Family::gauge("up", "Whether it is up.").with(1.0),
            Family::gauge("none", "Left out."),
            Family::gauge("odd", "Odd.").with(f64::NEG_INFINITY),
        ];
        assert_eq!(
            render(&families),
            "# HELP requests_total Requests\\nby class \\\\ app.\n\
             # TYPE requests_total counter\n\
             requests_total{class=\"2xx\",app=\"a\\\"b\\\\c\\nd\"} 5\n\
             # HELP up Whether it is up.\n# TYPE up gauge\nup 1\n\
             # HELP odd Odd.\n# TYPE odd gauge\nodd -Inf\n"
        );
    }

    #[test]
    fn faults_are_found() {
        for text in [
            "up 1\n",
            "# TYPE up gauge\nup 1",
            "# TYPE up gauge\nup one\n",
            "# TYPE up gauge\nup 1\nup 1\n",
            "# TYPE up counter\nup 1\n",
            "# TYPE up gauge\nup{a=\"b\" 1\n",
            "# TYPE up gauge\nup{a=\"\\x\"} 1\n",
        ] {
            assert!(reader::read(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        /// Any value of a label is read as it was written.
        #[test]
        fn labels_of_any_text_are_read_back(texts in prop::collection::btree_set(".*", 0..5)) {
            let mut family = Family::gauge("g", "Any.");
            for text in &texts {
                family.push(vec![("label", text.clone())], 1.5);
            }
            let read = reader::read(&render(&[family])).map_err(TestCaseError::fail)?;
            let found: Vec<&String> = read.iter().map(|line| &line.labels["label"]).collect();
            prop_assert_eq!(found, texts.iter().collect::<Vec<_>>());
        }
    }
}
