//! Filters: `userName eq "bob" and (origin eq "uaa" or active eq true)`.
//!
//! Attributes and operators may be written in any case. Text compares without case, as in UAA.
//! Length, depth and number of comparisons are limited; `id eq "a" or id eq "b" or …` counts as
//! one.

use crate::base::Timestamp;
use crate::uaa::error::{UaaError, UaaResult};

const LONGEST: usize = 4096;
const DEEPEST: usize = 8;
/// Comparisons of one filter at most.
const MOST: usize = 32;

/// The type of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// True or false.
    Flag,
    /// Microseconds since 1970; written as RFC 3339.
    Time,
}

/// An attribute that filters can name, and its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) column: &'static str,
    pub(crate) kind: Kind,
}

impl Attribute {
    pub(crate) const fn text(column: &'static str) -> Self {
        Self {
            column,
            kind: Kind::Text,
        }
    }

    pub(crate) const fn flag(column: &'static str) -> Self {
        Self {
            column,
            kind: Kind::Flag,
        }
    }

    pub(crate) const fn time(column: &'static str) -> Self {
        Self {
            column,
            kind: Kind::Time,
        }
    }
}

/// The attributes of one kind of resource by the names clients use.
pub(crate) type Attributes = &'static [(&'static str, Attribute)];

/// The attribute called `name`.
pub(crate) fn find(attributes: Attributes, name: &str) -> Option<Attribute> {
    let mut known = attributes.iter();
    known
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, attribute)| *attribute)
}

/// A comparison with an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equals(String),
    /// Equals one of these.
    OneOf(Vec<String>),
    Contains(String),
    StartsWith(String),
    Is(bool),
    /// Equal to, before or after a time.
    Time(Comparison, Timestamp),
    Present,
}

/// How two times are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    One(Attribute, Test),
}

impl Filter {
    /// The number of comparisons.
    pub(crate) fn tests(&self) -> usize {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::tests).sum(),
            Self::One(..) => 1,
        }
    }
}

/// Parses a filter over these attributes.
pub(crate) fn parse(text: &str, attributes: Attributes) -> UaaResult<Filter> {
    let refused = |reason: &str| {
        let shown: String = text.chars().take(200).collect();
        UaaError::bad_scim(format!("Invalid filter expression: [{shown}]: {reason}"))
    };
    if text.len() > LONGEST {
        return Err(refused("it is too long"));
    }
    let mut parser = Parser {
        words: words(text).map_err(|reason| refused(&reason))?,
        attributes,
        next: 0,
        depth: 0,
    };
    let filter = parser.any().map_err(|reason| refused(&reason))?;
    if filter.tests() > MOST {
        return Err(refused(&format!("more than {MOST} comparisons")));
    }
    match parser.words.get(parser.next) {
        None => Ok(filter),
        Some(word) => Err(refused(&format!("unexpected {word}"))),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Plain(String),
    Quoted(String),
    Open,
    Close,
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(word) => write!(f, "{word}"),
            Self::Quoted(text) => write!(f, "\"{text}\""),
            Self::Open => f.write_str("("),
            Self::Close => f.write_str(")"),
        }
    }
}

fn words(text: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '(' => words.push(Word::Open),
            ')' => words.push(Word::Close),
            '"' => words.push(Word::Quoted(quoted(&mut characters)?)),
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                let ends = |c: &char| c.is_whitespace() || ['(', ')', '"'].contains(c);
                while let Some(c) = characters.next_if(|c| !ends(c)) {
                    word.push(c);
                }
                words.push(Word::Plain(word));
            }
        }
    }
    Ok(words)
}

fn quoted(characters: &mut impl Iterator<Item = char>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match characters.next() {
            Some('"') => return Ok(text),
            Some('\\') => match characters.next() {
                Some(c @ ('"' | '\\' | '/')) => text.push(c),
                _ => return Err("a backslash may stand before \" \\ and / only".to_owned()),
            },
            Some(c) => text.push(c),
            None => return Err("a quotation mark is missing".to_owned()),
        }
    }
}

struct Parser {
    words: Vec<Word>,
    attributes: Attributes,
    next: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.take_plain("or") {
            add_alternative(&mut parts, self.all()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Filter::Any(parts)
        })
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.one()?];
        while self.take_plain("and") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Filter::All(parts)
        })
    }

    fn one(&mut self) -> Result<Filter, String> {
        match self.take() {
            Some(Word::Open) => self.nested(),
            Some(Word::Plain(name)) => {
                let attribute = find(self.attributes, &name);
                let attribute = attribute.ok_or_else(|| format!("unknown attribute {name}"))?;
                Ok(Filter::One(attribute, self.test(attribute)?))
            }
            Some(word) => Err(format!("unexpected {word}")),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn nested(&mut self) -> Result<Filter, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("too many parentheses".to_owned());
        }
        let filter = self.any()?;
        self.depth -= 1;
        match self.take() {
            Some(Word::Close) => Ok(filter),
            _ => Err("a closing parenthesis is missing".to_owned()),
        }
    }

    fn test(&mut self, attribute: Attribute) -> Result<Test, String> {
        let Some(Word::Plain(operator)) = self.take() else {
            return Err("an operator is missing".to_owned());
        };
        let operator = operator.to_ascii_lowercase();
        if operator == "pr" {
            return Ok(Test::Present);
        }
        let value = self.take().ok_or_else(|| "a value is missing".to_owned())?;
        compare(&operator, attribute.kind, value)
    }

    fn take(&mut self) -> Option<Word> {
        let word = self.words.get(self.next).cloned();
        self.next += usize::from(word.is_some());
        word
    }

    fn take_plain(&mut self, wanted: &str) -> bool {
        let found = matches!(self.words.get(self.next),
            Some(Word::Plain(word)) if word.eq_ignore_ascii_case(wanted));
        self.next += usize::from(found);
        found
    }
}

/// Adds `part` to alternatives; another value of the same attribute joins its list of values.
fn add_alternative(parts: &mut Vec<Filter>, part: Filter) {
    let Filter::One(attribute, Test::Equals(text)) = part else {
        parts.push(part);
        return;
    };
    for known in parts.iter_mut() {
        match known {
            Filter::One(of, Test::OneOf(texts)) if *of == attribute => {
                texts.push(text);
                return;
            }
            Filter::One(of, test @ Test::Equals(_)) if *of == attribute => {
                let Test::Equals(first) = std::mem::replace(test, Test::OneOf(Vec::new())) else {
                    continue;
                };
                *test = Test::OneOf(vec![first, text]);
                return;
            }
            Filter::All(_) | Filter::Any(_) | Filter::One(..) => {}
        }
    }
    parts.push(Filter::One(attribute, Test::Equals(text)));
}

fn compare(operator: &str, kind: Kind, value: Word) -> Result<Test, String> {
    match (operator, kind, value) {
        ("eq", Kind::Flag, Word::Plain(flag) | Word::Quoted(flag)) => match flag.as_str() {
            "true" => Ok(Test::Is(true)),
            "false" => Ok(Test::Is(false)),
            _ => Err(format!("{flag} is neither true nor false")),
        },
        ("eq", Kind::Text, Word::Quoted(text)) => Ok(Test::Equals(text)),
        ("co", Kind::Text, Word::Quoted(text)) => Ok(Test::Contains(text)),
        ("sw", Kind::Text, Word::Quoted(text)) => Ok(Test::StartsWith(text)),
        ("eq" | "co" | "sw", Kind::Text, _) => {
            Err("a value must stand in quotation marks".to_owned())
        }
        (_, Kind::Time, Word::Quoted(text)) => {
            let comparison = match operator {
                "eq" => Comparison::Equal,
                "gt" => Comparison::Greater,
                "ge" => Comparison::GreaterOrEqual,
                "lt" => Comparison::Less,
                "le" => Comparison::LessOrEqual,
                _ => return Err(format!("{operator} cannot be used with times")),
            };
            let time = Timestamp::parse(&text);
            let time = time.ok_or_else(|| format!("{text} is not a time"))?;
            Ok(Test::Time(comparison, time))
        }
        _ => Err(format!(
            "{operator} cannot be used here; known are eq, co, sw and pr, for times also gt, ge, lt and le"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Attribute = Attribute::text("guid");
    const USER_NAME: Attribute = Attribute::text("user_name");
    const ORIGIN: Attribute = Attribute::text("origin");
    const EXTERNAL_ID: Attribute = Attribute::text("external_id");
    const ACTIVE: Attribute = Attribute::flag("active");
    const CREATED: Attribute = Attribute::time("created_at");

    const KNOWN: Attributes = &[
        ("id", ID),
        ("userName", USER_NAME),
        ("origin", ORIGIN),
        ("externalId", EXTERNAL_ID),
        ("active", ACTIVE),
        ("meta.created", CREATED),
    ];

    fn parse(text: &str) -> UaaResult<Filter> {
        super::parse(text, KNOWN)
    }

    fn equals(attribute: Attribute, text: &str) -> Filter {
        Filter::One(attribute, Test::Equals(text.to_owned()))
    }

    #[test]
    fn what_the_cli_sends_is_understood() {
        assert_eq!(
            parse("userName eq \"bob\"").unwrap(),
            equals(USER_NAME, "bob")
        );
        assert_eq!(
            parse("USERNAME EQ \"Bob B\" AND origin eq \"uaa\"").unwrap(),
            Filter::All(vec![equals(USER_NAME, "Bob B"), equals(ORIGIN, "uaa"),])
        );
    }

    #[test]
    fn and_binds_closer_than_or_unless_parentheses_say_otherwise() {
        let (a, b, c) = (equals(ID, "a"), equals(ORIGIN, "b"), equals(ID, "c"));
        assert_eq!(
            parse("id eq \"a\" or origin eq \"b\" and id eq \"c\"").unwrap(),
            Filter::Any(vec![a.clone(), Filter::All(vec![b.clone(), c.clone()])])
        );
        assert_eq!(
            parse("(id eq \"a\" or origin eq \"b\") and id eq \"c\"").unwrap(),
            Filter::All(vec![Filter::Any(vec![a, b]), c])
        );
    }

    #[test]
    fn alternatives_of_one_attribute_are_one_comparison() {
        let ids: Vec<String> = (0..200).map(|n| format!("id eq \"{n}\"")).collect();
        let texts = (0..200).map(|n| n.to_string()).collect();
        assert_eq!(
            parse(&ids.join(" or ")).unwrap(),
            Filter::One(ID, Test::OneOf(texts))
        );
        let mixed = parse("id eq \"a\" or origin eq \"uaa\" or id eq \"b\"").unwrap();
        let both = Test::OneOf(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(
            mixed,
            Filter::Any(vec![Filter::One(ID, both), equals(ORIGIN, "uaa")])
        );
    }

    #[test]
    fn comparisons_are_bounded() {
        let some = vec!["id co \"x\""; MOST].join(" or ");
        assert_eq!(parse(&some).unwrap().tests(), MOST);
        let many = vec!["id co \"x\""; MOST + 1].join(" and ");
        assert!(parse(&many).is_err());
    }

    #[test]
    fn values_may_hold_escaped_quotation_marks() {
        let filter = parse(r#"externalId sw "a\"b\\(c) and""#).unwrap();
        let text = "a\"b\\(c) and".to_owned();
        assert_eq!(filter, Filter::One(EXTERNAL_ID, Test::StartsWith(text)));
        let flag = parse("active eq false").unwrap();
        assert_eq!(flag, Filter::One(ACTIVE, Test::Is(false)));
    }

    #[test]
    fn times_are_compared() {
        let filter = parse("meta.created ge \"2026-01-02T03:04:05Z\"").unwrap();
        let time = Timestamp::parse("2026-01-02T03:04:05Z").unwrap();
        let test = Test::Time(Comparison::GreaterOrEqual, time);
        assert_eq!(filter, Filter::One(CREATED, test));
        for text in ["meta.created gt \"soon\"", "meta.created co \"2026\""] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = format!("{}id pr{}", "(".repeat(99), ")".repeat(99));
        let long = format!("userName eq \"{}\"", "x".repeat(LONGEST));
        let broken = [
            "",
            "   ",
            "userName",
            "userName eq",
            "userName eq bob",
            "userName eq \"bob",
            "userName eq \"bob\" and",
            "userName eq \"bob\" origin eq \"uaa\"",
            "password eq \"x\"",
            "userName gt \"a\"",
            "active eq \"maybe\"",
            "active co \"t\"",
            "(id pr",
            "id pr)",
            ")",
            "\"id\" pr",
            "id eq \"\\n\"",
            "userName eq \"a\"; drop table users",
            &deep,
            &long,
        ];
        for text in broken {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
