//! SCIM filters: `userName eq "bob" and (origin eq "uaa" or active eq true)`.
//!
//! Attributes and operators may be written in any case. Text compares without case, as in UAA.

use crate::uaa::error::{UaaError, UaaResult};

const LONGEST: usize = 4096;
const DEEPEST: usize = 8;

/// What a filter can ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Id,
    UserName,
    Origin,
    ExternalId,
    Email,
    GivenName,
    FamilyName,
    Active,
    Verified,
}

impl Attribute {
    /// The one called `name`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let known = [
            ("id", Self::Id),
            ("userName", Self::UserName),
            ("origin", Self::Origin),
            ("externalId", Self::ExternalId),
            ("email", Self::Email),
            ("emails", Self::Email),
            ("emails.value", Self::Email),
            ("givenName", Self::GivenName),
            ("name.givenName", Self::GivenName),
            ("familyName", Self::FamilyName),
            ("name.familyName", Self::FamilyName),
            ("active", Self::Active),
            ("verified", Self::Verified),
        ];
        let mut known = known.into_iter();
        known
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, attribute)| attribute)
    }

    /// Whether it is true or false, not text.
    pub(crate) fn is_flag(self) -> bool {
        matches!(self, Self::Active | Self::Verified)
    }
}

/// How an attribute is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equals(String),
    Contains(String),
    StartsWith(String),
    Is(bool),
    Present,
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    One(Attribute, Test),
}

/// Reads a filter.
pub(crate) fn parse(text: &str) -> UaaResult<Filter> {
    let refused = |reason: &str| {
        let shown: String = text.chars().take(200).collect();
        UaaError::bad_scim(format!("Invalid filter expression: [{shown}]: {reason}"))
    };
    if text.len() > LONGEST {
        return Err(refused("it is too long"));
    }
    let mut parser = Parser {
        words: words(text).map_err(|reason| refused(&reason))?,
        next: 0,
        depth: 0,
    };
    let filter = parser.any().map_err(|reason| refused(&reason))?;
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
    next: usize,
    depth: usize,
}

impl Parser {
    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.take_plain("or") {
            parts.push(self.all()?);
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
                let attribute = Attribute::parse(&name);
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
        match (operator.as_str(), attribute.is_flag(), value) {
            ("eq", true, Word::Plain(flag) | Word::Quoted(flag)) => match flag.as_str() {
                "true" => Ok(Test::Is(true)),
                "false" => Ok(Test::Is(false)),
                _ => Err(format!("{flag} is neither true nor false")),
            },
            ("eq", false, Word::Quoted(text)) => Ok(Test::Equals(text)),
            ("co", false, Word::Quoted(text)) => Ok(Test::Contains(text)),
            ("sw", false, Word::Quoted(text)) => Ok(Test::StartsWith(text)),
            ("eq" | "co" | "sw", false, _) => {
                Err("a value must stand in quotation marks".to_owned())
            }
            _ => Err(format!(
                "{operator} cannot be used here; known are eq, co, sw and pr"
            )),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn equals(attribute: Attribute, text: &str) -> Filter {
        Filter::One(attribute, Test::Equals(text.to_owned()))
    }

    #[test]
    fn what_the_cli_sends_is_understood() {
        assert_eq!(
            parse("userName eq \"bob\"").unwrap(),
            equals(Attribute::UserName, "bob")
        );
        assert_eq!(
            parse("USERNAME EQ \"Bob B\" AND origin eq \"uaa\"").unwrap(),
            Filter::All(vec![
                equals(Attribute::UserName, "Bob B"),
                equals(Attribute::Origin, "uaa"),
            ])
        );
    }

    #[test]
    fn and_binds_closer_than_or_unless_parentheses_say_otherwise() {
        let [a, b, c] = ["a", "b", "c"].map(|id| equals(Attribute::Id, id));
        assert_eq!(
            parse("id eq \"a\" or id eq \"b\" and id eq \"c\"").unwrap(),
            Filter::Any(vec![a.clone(), Filter::All(vec![b.clone(), c.clone()])])
        );
        assert_eq!(
            parse("(id eq \"a\" or id eq \"b\") and id eq \"c\"").unwrap(),
            Filter::All(vec![Filter::Any(vec![a, b]), c])
        );
    }

    #[test]
    fn values_may_hold_escaped_quotation_marks() {
        let filter = parse(r#"externalId sw "a\"b\\(c) and""#).unwrap();
        let text = "a\"b\\(c) and".to_owned();
        assert_eq!(
            filter,
            Filter::One(Attribute::ExternalId, Test::StartsWith(text))
        );
        let flag = parse("active eq false").unwrap();
        assert_eq!(flag, Filter::One(Attribute::Active, Test::Is(false)));
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
