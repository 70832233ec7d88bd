//! Whom a repository of the image registry belongs to, by its name.

use crate::base::guid::SpaceGuid;
use crate::cloud_controller::error::Result;
use crate::db::ReadTx;
use crate::registry::RepositoryName;

/// First parts of names that the platform keeps for itself.
const RESERVED: &[&str] = &["cache", "stacks"];
/// First part of the names of other registries' repositories.
const PROXY: &str = "proxy";

/// The owner of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The platform: droplets, stacks, copies of images.
    Platform,
    /// Another registry, where everybody may read it.
    Elsewhere,
    /// `organization/space/…`
    Space(SpaceGuid),
    /// `user/…`, by the user's name as it is written in repositories.
    User(String),
}

/// The owner of a repository. The names of an organization and one of its spaces come before that
/// of a user.
pub(crate) fn owner(tx: &ReadTx<'_>, repository: &RepositoryName) -> Result<Owner> {
    let mut parts = repository.as_str().split('/');
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
        return Ok(Owner::Platform);
    };
    if first == PROXY {
        return Ok(Owner::Elsewhere);
    }
    if RESERVED.contains(&first) {
        return Ok(Owner::Platform);
    }
    let found = match parts.next() {
        Some(_) => space(tx, first, second)?,
        None => None,
    };
    Ok(match found {
        Some(space) => Owner::Space(space),
        None => Owner::User(first.to_owned()),
    })
}

fn space(tx: &ReadTx<'_>, organization: &str, space: &str) -> Result<Option<SpaceGuid>> {
    let mut statement = tx.sql().prepare_cached(
        "select s.guid, o.name, s.name from spaces s join organizations o on o.guid = s.organization_guid \
         order by s.created_at, s.guid",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let names: (String, String) = (row.get(1)?, row.get(2)?);
        if component(&names.0) == organization && component(&names.1) == space {
            return Ok(Some(row.get(0)?));
        }
    }
    Ok(None)
}

/// A name as a part of a repository's: lower case, with `-` for everything that is not allowed
/// there.
pub(crate) fn component(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.to_lowercase().chars() {
        if letter.is_ascii_lowercase() || letter.is_ascii_digit() {
            text.push(letter);
        } else if !text.is_empty() && !text.ends_with('-') {
            text.push('-');
        }
    }
    text.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_repositories() {
        for (name, expected) in [
            ("dev", "dev"),
            ("My Org", "my-org"),
            ("a__b--c", "a-b-c"),
            ("-x-", "x"),
            ("eve@example.com", "eve-example-com"),
            ("Ünï", "n"),
        ] {
            assert_eq!(component(name), expected, "{name}");
            let whole = format!("{expected}/x");
            assert!(RepositoryName::parse(&whole).is_some(), "{whole}");
        }
    }
}
