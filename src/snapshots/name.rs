//! Names of snapshots.

use std::fmt;

use super::Error;
use crate::base::Timestamp;

const LONGEST: usize = 63;

/// A name that is the name of a folder, too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Validates `text`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
        let begins = text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric());
        if begins && text.len() <= LONGEST && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::Name(text.to_owned()))
        }
    }

    /// `2026-11-30T05.42.15Z`, for those that get no name.
    pub fn of_time(now: Timestamp) -> Self {
        Self(now.to_string().replace(':', "."))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_name_of_a_folder() {
        for good in ["a", "2026-11-30T05.42.15Z", "before_lunch", &"x".repeat(63)] {
            Name::parse(good).expect(good);
        }
        for bad in [
            "",
            ".",
            "..",
            ".hidden",
            "-x",
            "a/b",
            "a b",
            "ä",
            &"x".repeat(64),
        ] {
            let error = Name::parse(bad).expect_err(bad);
            assert!(error.to_string().contains("is not the name"), "{error}");
        }
        let of_time = Name::of_time(Timestamp::from_micros(0));
        Name::parse(of_time.as_str()).expect("valid");
    }
}
