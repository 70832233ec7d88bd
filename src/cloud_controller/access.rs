//! The caller and its permissions: the one place for roles.
//!
//! Reading: resources the caller may not see are 404, lists are filtered by the SQL of [`Caller`].
//! Writing: the `may_*` methods return 403; [`v3::Context`] checks whether a token may write at
//! all. Tables: CC `lib/cloud_controller/permissions.rb`.
//!
//! [`v3::Context`]: crate::cloud_controller::v3::Context

use rusqlite::{OptionalExtension, params};

use crate::base::guid::{OrganizationGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::error::{Error, Kind};
use crate::cloud_controller::query::{Column, Select};
use crate::db::ReadTx;

/// The permissions of a token's scopes, independent of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// `cloud_controller.admin`.
    Admin,
    /// `cloud_controller.admin_read_only`.
    AdminReadOnly,
    /// `cloud_controller.global_auditor`: like read-only admin, but without secrets.
    GlobalAuditor,
    /// Roles decide.
    Roles,
}

/// The authenticated caller.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// User guid, or the client's id.
    pub guid: UserGuid,
    /// User name, or the client's id.
    pub name: String,
    /// For builds' `created_by`.
    pub email: String,
    /// `user` or `client`: the actor type of audit events.
    pub is_client: bool,
    /// The permissions of the scopes.
    pub authority: Authority,
}

/// Roles that see a space (besides the managers of its organization).
const SPACE_READERS: &str =
    "'space_developer', 'space_manager', 'space_auditor', 'space_supporter'";

impl Caller {
    /// `cloud_controller.admin`.
    pub(crate) fn is_admin(&self) -> bool {
        self.authority == Authority::Admin
    }

    /// Sees everything: admin, read-only admin, global auditor.
    pub(crate) fn sees_all(&self) -> bool {
        !matches!(self.authority, Authority::Roles)
    }

    /// Sees secrets everywhere: admin and read-only admin.
    pub(crate) fn sees_all_secrets(&self) -> bool {
        matches!(self.authority, Authority::Admin | Authority::AdminReadOnly)
    }

    /// 403 unless admin.
    pub(crate) fn must_be_admin(&self) -> Result<(), Error> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(Error::forbidden())
        }
    }

    /// Limits a select to rows whose `column` is a space the caller sees.
    pub(crate) fn limit_to_visible_spaces<'a>(
        &self,
        select: &mut Select,
        column: impl Into<Column<'a>>,
    ) {
        if let Some((spaces, values)) = self.visible_spaces() {
            select.and_column(column, &format!("in ({spaces})"), values);
        }
    }

    /// The statement that selects the guids of the spaces the caller sees, and its values; `None` =
    /// the caller sees all.
    pub(crate) fn visible_spaces(&self) -> Option<(String, [String; 2])> {
        if self.sees_all() {
            return None;
        }
        let spaces = format!(
            "select space_guid from roles where user_guid = ? and type in ({SPACE_READERS}) \
             union select s.guid from spaces s join roles r on r.organization_guid = s.organization_guid \
             where r.user_guid = ? and r.type = 'organization_manager'"
        );
        let own = self.guid.to_string();
        Some((spaces, [own.clone(), own]))
    }

    /// Whether the caller sees the service brokers of a space: its developers and supporters.
    pub(crate) fn sees_services_of_space(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<bool, Error> {
        let roles = ["space_developer", "space_supporter"];
        Ok(self.sees_all() || self.has_space_role(tx, space, &roles)?)
    }

    /// Limits a select to rows whose `column` is an organization the caller sees.
    pub(crate) fn limit_to_visible_organizations(&self, select: &mut Select, column: &str) {
        if !self.sees_all() {
            let among = "in (select organization_guid from roles where user_guid = ?)";
            select.and_column(column, among, [self.guid.to_string()]);
        }
    }

    /// Whether the caller sees this space.
    pub(crate) fn sees_space(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<bool, Error> {
        Ok(self.sees_all()
            || self.has_space_role(
                tx,
                space,
                &[
                    "space_developer",
                    "space_manager",
                    "space_auditor",
                    "space_supporter",
                ],
            )?
            || self.manages_organization_of(tx, space)?)
    }

    /// Whether the caller sees this organization.
    pub(crate) fn sees_organization(
        &self,
        tx: &ReadTx<'_>,
        organization: &OrganizationGuid,
    ) -> Result<bool, Error> {
        if self.sees_all() {
            return Ok(true);
        }
        let mut statement = tx.sql().prepare_cached(
            "select 1 from roles where user_guid = ?1 and organization_guid = ?2",
        )?;
        Ok(statement.exists(params![self.guid, organization])?)
    }

    /// Push, scale, set environment: admin and space developer.
    pub(crate) fn may_write_space(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<(), Error> {
        self.may_in_space(tx, space, &["space_developer"])
    }

    /// Restart, scale within limits, map routes: also space supporters.
    pub(crate) fn may_support_space(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<(), Error> {
        self.may_in_space(tx, space, &["space_developer", "space_supporter"])
    }

    /// Rename a space, give space roles: admin, its managers and its organization's.
    pub(crate) fn may_manage_space(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<(), Error> {
        if self.manages_organization_of(tx, space)? {
            return self.not_suspended_space(tx, space);
        }
        self.may_in_space(tx, space, &["space_manager"])
    }

    /// Change an organization: admin and its managers.
    pub(crate) fn may_manage_organization(
        &self,
        tx: &ReadTx<'_>,
        organization: &OrganizationGuid,
    ) -> Result<(), Error> {
        if self.is_admin() {
            return Ok(());
        }
        if !self.has_organization_role(tx, organization, "organization_manager")? {
            return Err(Error::forbidden());
        }
        let suspended: Option<bool> = tx
            .sql()
            .prepare_cached("select suspended from organizations where guid = ?1")?
            .query_row([organization], |row| row.get(0))
            .optional()?;
        refuse_suspended(suspended)
    }

    /// Read environment variables and other secrets of a space.
    pub(crate) fn may_read_secrets(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<(), Error> {
        if self.sees_all_secrets() || self.has_space_role(tx, space, &["space_developer"])? {
            Ok(())
        } else {
            Err(Error::forbidden())
        }
    }

    /// Whether the caller sees secrets of a space: developers, admin, read-only admin.
    pub(crate) fn sees_secrets(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<bool, Error> {
        Ok(self.sees_all_secrets() || self.has_space_role(tx, space, &["space_developer"])?)
    }

    /// Read apps' environment variables set by users: also space supporters.
    pub(crate) fn may_read_environment(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<(), Error> {
        let roles = ["space_developer", "space_supporter"];
        if self.sees_all_secrets() || self.has_space_role(tx, space, &roles)? {
            Ok(())
        } else {
            Err(Error::forbidden())
        }
    }

    /// Download droplets: everybody who sees the space except its supporters.
    pub(crate) fn may_download_droplets(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
    ) -> Result<(), Error> {
        let roles = ["space_developer", "space_manager", "space_auditor"];
        if self.sees_all()
            || self.has_space_role(tx, space, &roles)?
            || self.manages_organization_of(tx, space)?
        {
            Ok(())
        } else {
            Err(Error::forbidden())
        }
    }

    /// Whether the caller has this role in the organization.
    pub(crate) fn has_organization_role(
        &self,
        tx: &ReadTx<'_>,
        organization: &OrganizationGuid,
        role: &str,
    ) -> Result<bool, Error> {
        let mut statement = tx.sql().prepare_cached(
            "select 1 from roles where user_guid = ?1 and organization_guid = ?2 and type = ?3",
        )?;
        Ok(statement.exists(params![self.guid, organization, role])?)
    }

    fn may_in_space(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
        roles: &[&str],
    ) -> Result<(), Error> {
        if self.is_admin() {
            return Ok(());
        }
        if !self.has_space_role(tx, space, roles)? {
            return Err(Error::forbidden());
        }
        self.not_suspended_space(tx, space)
    }

    /// A suspended organization locks out everybody except admins; a suspended space everybody
    /// except admins and the managers of its organization.
    fn not_suspended_space(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<(), Error> {
        if self.is_admin() {
            return Ok(());
        }
        let suspended: Option<(bool, bool)> = tx
            .sql()
            .prepare_cached(
                "select o.suspended, s.suspended from organizations o join spaces s on s.organization_guid = o.guid \
                 where s.guid = ?1",
            )?
            .query_row([space], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        refuse_suspended(suspended.map(|(organization, _)| organization))?;
        if suspended.is_some_and(|(_, space)| space) && !self.manages_organization_of(tx, space)? {
            return Err(Error::new(Kind::SpaceSuspended, "The space is suspended"));
        }
        Ok(())
    }

    fn has_space_role(
        &self,
        tx: &ReadTx<'_>,
        space: &SpaceGuid,
        roles: &[&str],
    ) -> Result<bool, Error> {
        let mut statement = tx.sql().prepare_cached(
            "select 1 from roles where user_guid = ?1 and space_guid = ?2 and type = ?3",
        )?;
        for role in roles {
            if statement.exists(params![self.guid, space, role])? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn manages_organization_of(&self, tx: &ReadTx<'_>, space: &SpaceGuid) -> Result<bool, Error> {
        let mut statement = tx.sql().prepare_cached(
            "select 1 from roles r join spaces s on s.organization_guid = r.organization_guid \
             where s.guid = ?1 and r.user_guid = ?2 and r.type = 'organization_manager'",
        )?;
        Ok(statement.exists(params![space, self.guid])?)
    }
}

fn refuse_suspended(suspended: Option<bool>) -> Result<(), Error> {
    if suspended == Some(true) {
        return Err(Error::new(
            Kind::OrgSuspended,
            "The organization is suspended",
        ));
    }
    Ok(())
}
