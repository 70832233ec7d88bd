//! SQL of `roles`.

use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use crate::base::Timestamp;
use crate::base::guid::{OrganizationGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::query::Columns;
use crate::cloud_controller::query::{ListQuery, Listed, Select, list};
use crate::db::{ReadTx, WriteTx};

/// Roles of organizations.
pub(crate) const ORGANIZATION_ROLES: &[&str] = &[
    "organization_auditor",
    "organization_manager",
    "organization_billing_manager",
    "organization_user",
];

/// Roles of spaces.
pub(crate) const SPACE_ROLES: &[&str] = &[
    "space_auditor",
    "space_manager",
    "space_developer",
    "space_supporter",
];

const COLUMNS: &str =
    "r.guid, r.type, r.user_guid, r.organization_guid, r.space_guid, r.created_at, r.updated_at";

/// A stored role. A space role also has its space's organization.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub guid: String,
    pub kind: String,
    pub user_guid: UserGuid,
    pub organization_guid: OrganizationGuid,
    pub space_guid: Option<SpaceGuid>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

fn visible(caller: &Caller) -> Select {
    let mut select = Select::from("roles r");
    if !caller.sees_all() {
        // Organization roles are visible to members of the organization, space roles to those who
        // see the space.
        let mut spaces = Select::from("spaces s");
        caller.limit_to_visible_spaces(&mut spaces, "s.guid");
        let values = spaces.values().iter().cloned();
        let sql = format!(
            "r.space_guid in ({}) or (r.space_guid is null and r.organization_guid in \
             (select organization_guid from roles where user_guid = ?))",
            spaces.sql("s.guid", "")
        );
        let own: rusqlite::types::Value = caller.guid.to_string().into();
        select.and(&sql, values.chain([own]).collect::<Vec<_>>());
    }
    select
}

/// A role the caller sees.
pub(crate) fn find_visible(tx: &ReadTx<'_>, caller: &Caller, guid: &str) -> Result<Option<Role>> {
    let mut select = visible(caller);
    select.and("r.guid = ?", [guid.to_owned()]);
    let mut statement = tx.sql().prepare_cached(&select.sql(COLUMNS, ""))?;
    Ok(statement
        .query_row(params_from_iter(select.values()), role)
        .optional()?)
}

/// A page of those the caller sees.
pub(crate) fn list_visible(
    tx: &ReadTx<'_>,
    caller: &Caller,
    query: &ListQuery,
) -> Result<Listed<Role>> {
    let mut select = visible(caller);
    query.filter_common(&mut select, "r", None)?;
    query.filter(&mut select, "types", "r.type");
    query.filter(&mut select, "user_guids", "r.user_guid");
    query.filter(&mut select, "space_guids", "r.space_guid");
    if let Some(guids) = query.values("organization_guids") {
        // A space role does not belong to its organization here.
        select.and::<String>("r.space_guid is null", []);
        select.and_in("r.organization_guid", &guids);
    }
    list(
        tx,
        &select,
        Columns {
            alias: "r",
            names: COLUMNS,
        },
        query,
        role,
    )
}

/// Inserts a role; the unique index decides races, as a plain error.
pub(crate) fn insert(tx: &WriteTx<'_>, role: &Role) -> rusqlite::Result<usize> {
    tx.sql()
        .prepare_cached(
            "insert into roles (guid, type, user_guid, organization_guid, space_guid, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        )?
        .execute(params![
            role.guid,
            role.kind,
            role.user_guid,
            role.organization_guid,
            role.space_guid,
            role.created_at
        ])
}

/// Whether the user is a member of the organization.
pub(crate) fn is_member(
    tx: &ReadTx<'_>,
    user: &UserGuid,
    organization: &OrganizationGuid,
) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from roles where user_guid = ?1 and organization_guid = ?2 and space_guid is null \
         and type = 'organization_user'",
    )?;
    Ok(statement.exists(params![user, organization])?)
}

/// Whether the user has a role in a space of the organization.
pub(crate) fn has_space_role(
    tx: &ReadTx<'_>,
    user: &UserGuid,
    organization: &OrganizationGuid,
) -> Result<bool> {
    let mut statement = tx.sql().prepare_cached(
        "select 1 from roles where user_guid = ?1 and organization_guid = ?2 and space_guid is not null",
    )?;
    Ok(statement.exists(params![user, organization])?)
}

/// Deletes one role.
pub(crate) fn delete(tx: &WriteTx<'_>, guid: &str) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from roles where guid = ?1")?
        .execute([guid])?;
    Ok(())
}

/// Deletes all roles of an organization and its spaces.
pub(crate) fn delete_of_organization(
    tx: &WriteTx<'_>,
    organization: &OrganizationGuid,
) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from roles where organization_guid = ?1")?
        .execute([organization])?;
    Ok(())
}

/// Deletes all roles of a user.
pub(crate) fn delete_of_user(tx: &WriteTx<'_>, user: &UserGuid) -> Result<()> {
    tx.sql()
        .prepare_cached("delete from roles where user_guid = ?1")?
        .execute([user])?;
    Ok(())
}

fn role(row: &Row<'_>) -> rusqlite::Result<Role> {
    Ok(Role {
        guid: row.get(0)?,
        kind: row.get(1)?,
        user_guid: row.get(2)?,
        organization_guid: row.get(3)?,
        space_guid: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}
