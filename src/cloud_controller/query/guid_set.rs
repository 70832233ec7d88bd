//! A set of many guids. Most of them are stored as numbers, since comparing thousands of texts
//! takes most of a list's time.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use uuid::Uuid;

/// Guids of resources.
#[derive(Debug, Default)]
pub(crate) struct GuidSet {
    /// Guids are random: no strong hash is needed.
    numbers: HashSet<u128, RandomState>,
    /// Guids of users may have any form.
    others: HashSet<String>,
}

impl GuidSet {
    /// Adds a guid.
    pub(crate) fn insert(&mut self, guid: &str) {
        match number(guid) {
            Some(number) => self.numbers.insert(number),
            None => self.others.insert(guid.to_owned()),
        };
    }

    /// The number of guids.
    pub(crate) fn len(&self) -> i64 {
        i64::try_from(self.numbers.len() + self.others.len()).unwrap_or(i64::MAX)
    }

    /// Whether this exact text is in the set.
    pub(crate) fn contains(&self, guid: &str) -> bool {
        match number(guid) {
            Some(number) => self.numbers.contains(&number),
            None => self.others.contains(guid),
        }
    }
}

/// The number of a guid in its usual form; other forms of the same number are other texts.
fn number(guid: &str) -> Option<u128> {
    let usual = guid.len() == 36 && !guid.bytes().any(|byte| byte.is_ascii_uppercase());
    let uuid = Uuid::try_parse_ascii(guid.as_bytes()).ok()?;
    usual.then(|| uuid.as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_guids_are_found_by_their_exact_text() {
        const GUID: &str = "0f6b5c1e-7a43-4c8e-9b1d-2a3c4d5e6f70";
        let added = [GUID, "admin", "", "0F6B5C1E-0000-4C8E-9B1D-2A3C4D5E6F70"];
        let mut set = GuidSet::default();
        for guid in added {
            assert!(!set.contains(guid), "{guid}");
            set.insert(guid);
            assert!(set.contains(guid), "{guid}");
        }
        let simple = GUID.replace('-', "");
        let braced = format!("{{{GUID}}}");
        for absent in [&*GUID.to_uppercase(), &*simple, &*braced, "Admin"] {
            assert!(!set.contains(absent), "{absent}");
        }
    }
}
