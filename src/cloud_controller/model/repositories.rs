//! Whom a repository of the image registry belongs to: the first who pushed to it. Its name says who
//! may do that.

use rusqlite::OptionalExtension;

use crate::base::guid::{AppGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::model::apps::{self, App};
use crate::db::{ReadTx, WriteTx};
use crate::registry::RepositoryName;

/// First parts of names that the platform keeps for itself.
const RESERVED: &[&str] = &["cache", "cflite"];
/// First part of the names of other registries' repositories.
const PROXY: &str = "proxy";

/// The owner of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// The platform: droplets, stacks, copies of images.
    Platform,
    /// Another registry, where everybody may read it.
    Elsewhere,
    /// Who pushed to it first, or who may do so.
    Space(SpaceGuid),
    /// The same for a user.
    User(UserGuid),
    /// Nobody pushed to it, and this name says which user may; no space has it.
    Nobody(String),
}

/// The owner of a repository, and whether that is on record.
pub(crate) fn owner(tx: &ReadTx<'_>, repository: &RepositoryName) -> Result<(Owner, bool)> {
    let mut parts = repository.as_str().split('/');
    let (Some(first), Some(second)) = (parts.next(), parts.next()) else {
        return Ok((Owner::Platform, true));
    };
    if first == PROXY {
        return Ok((Owner::Elsewhere, true));
    }
    if RESERVED.contains(&first) {
        return Ok((Owner::Platform, true));
    }
    if let Some(owner) = recorded(tx, repository)? {
        return Ok((owner, true));
    }
    let found = match parts.next() {
        Some(_) => space(tx, first, second)?,
        None => None,
    };
    let owner = found.map_or_else(|| Owner::Nobody(first.to_owned()), Owner::Space);
    Ok((owner, false))
}

fn recorded(tx: &ReadTx<'_>, repository: &RepositoryName) -> Result<Option<Owner>> {
    let mut statement = tx.sql().prepare_cached(
        "select space_guid, user_guid from repository_owners where repository = ?1",
    )?;
    let found = statement.query_row([repository.as_str()], |row| {
        let (space, user): (Option<SpaceGuid>, Option<UserGuid>) = (row.get(0)?, row.get(1)?);
        Ok(space.map(Owner::Space).or(user.map(Owner::User)))
    });
    Ok(found.optional()?.flatten())
}

/// Records the owner of a repository, unless there is one.
pub(crate) fn record(tx: &WriteTx<'_>, repository: &RepositoryName, owner: &Owner) -> Result<()> {
    let (space, user) = match owner {
        Owner::Space(space) => (Some(space), None),
        Owner::User(user) => (None, Some(user)),
        Owner::Platform | Owner::Elsewhere | Owner::Nobody(_) => return Ok(()),
    };
    let mut statement = tx.sql().prepare_cached(
        "insert into repository_owners (repository, space_guid, user_guid) values (?1, ?2, ?3) \
         on conflict do nothing",
    )?;
    statement.execute(rusqlite::params![repository.as_str(), space, user])?;
    Ok(())
}

/// The user of this very name, if there is one.
pub(crate) fn user_named(tx: &ReadTx<'_>, name: &str) -> Result<Option<UserGuid>> {
    let mut statement = tx
        .sql()
        .prepare_cached("select guid from users where user_name = ?1 and origin = 'uaa'")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// Repositories whose owner is gone.
pub(crate) fn abandoned(tx: &ReadTx<'_>) -> Result<Vec<String>> {
    let mut statement = tx.sql().prepare_cached(
        "select o.repository from repository_owners o where not case \
             when o.space_guid is not null then exists (select 1 from spaces s where s.guid = o.space_guid) \
             else exists (select 1 from users u where u.guid = o.user_guid) end",
    )?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets the owner of a repository.
pub(crate) fn forget(tx: &WriteTx<'_>, repository: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from repository_owners where repository = ?1")?
        .execute([repository])?;
    Ok(())
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

/// The app of `organization/space/app`, if the repository is that space's.
pub(crate) fn app(tx: &ReadTx<'_>, repository: &RepositoryName) -> Result<Option<App>> {
    let (Owner::Space(space), Some((_, name))) = (
        owner(tx, repository)?.0,
        repository.as_str().rsplit_once('/'),
    ) else {
        return Ok(None);
    };
    let mut statement = tx.sql().prepare_cached(
        "select guid, name from apps where space_guid = ?1 order by created_at, guid",
    )?;
    let mut rows = statement.query([&space])?;
    while let Some(row) = rows.next()? {
        let (guid, own): (AppGuid, String) = (row.get(0)?, row.get(1)?);
        if component(&own) == name {
            return apps::find(tx, &guid);
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
