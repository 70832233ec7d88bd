//! Giving and taking roles, each inside the caller's transaction.

use serde_json::{Value, json};

use crate::base::guid::{OrganizationGuid, SpaceGuid, UserGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::organizations::Organization;
use crate::cloud_controller::model::roles::Role;
use crate::cloud_controller::model::spaces::Space;
use crate::cloud_controller::payload::roles::{CreateRole, Who};
use crate::cloud_controller::permits::{MayCreateOrganization, MayGiveRoles};
use crate::cloud_controller::{actions, model};
use crate::db::WriteTx;
use crate::db::is_unique_violation;
use crate::uaa;

const NO_MEMBER: &str = "Users cannot be assigned roles in a space if they do not have a role in that space's organization.";

/// Gives a role in a space.
pub(crate) fn create_in_space(
    tx: &WriteTx<'_>,
    may: &MayGiveRoles,
    caller: &Caller,
    wanted: &CreateRole,
    space: &Space,
) -> Result<Role> {
    let user = match &wanted.who {
        Who::Guid(guid) => guid.clone(),
        Who::Name { name, origin } => {
            by_name(tx, caller, name, origin.as_deref(), || NO_MEMBER.to_owned())?
        }
    };
    let organization = &space.organization_guid;
    let seen = model::users::find_visible(tx, caller, &user)?;
    if seen.is_none() || !model::roles::is_member(tx, &user, organization)? {
        return Err(Error::unprocessable(NO_MEMBER));
    }
    let role = new(
        may,
        &wanted.kind,
        user,
        organization,
        Some(space.guid.clone()),
    );
    may.covers(&role)?;
    let place = format!("in space '{}'", space.name);
    insert(tx, may, &role, &wanted.request, &place)?;
    Ok(role)
}

/// Gives a role of an organization itself.
pub(crate) fn create_in_organization(
    tx: &WriteTx<'_>,
    may: &MayGiveRoles,
    caller: &Caller,
    wanted: &CreateRole,
    organization: &Organization,
) -> Result<Role> {
    let user = match &wanted.who {
        Who::Guid(guid) => guid.clone(),
        Who::Name { name, origin } => {
            let origin = origin.as_deref();
            by_name(tx, caller, name, origin, || match origin {
                Some(origin) => {
                    format!("No user exists with the username '{name}' and origin '{origin}'.")
                }
                None => format!("No user exists with the username '{name}'."),
            })?
        }
    };
    let role = new(may, &wanted.kind, user, &organization.guid, None);
    may.covers(&role)?;
    let place = format!("in organization '{}'", organization.name);
    insert(tx, may, &role, &wanted.request, &place)?;
    Ok(role)
}

/// Makes whoever created an organization its manager (and a member).
pub(crate) fn make_manager(
    tx: &WriteTx<'_>,
    may: &MayCreateOrganization,
    user: &UserGuid,
    organization: &OrganizationGuid,
) -> Result<()> {
    for kind in ["organization_user", "organization_manager"] {
        let role = new(may, kind, user.clone(), organization, None);
        let request = json!({ "type": kind });
        insert(tx, may, &role, &request, "in the organization")?;
    }
    Ok(())
}

/// Takes a role.
pub(crate) fn delete(tx: &WriteTx<'_>, may: &MayGiveRoles, role: &Role) -> Result<()> {
    may.covers(role)?;
    if role.kind == "organization_user"
        && model::roles::has_space_role(tx, &role.user_guid, &role.organization_guid)?
    {
        return Err(Error::unprocessable(
            "Cannot delete organization_user role while user has roles in spaces in that organization.",
        ));
    }
    model::roles::delete(tx, &role.guid)?;
    let name = name_of(tx, &role.user_guid)?;
    record(tx, may, Deed::Take, role, name.as_deref())
}

/// The user's name; clients and users of other platforms have none.
fn name_of(tx: &WriteTx<'_>, user: &UserGuid) -> Result<Option<String>> {
    Ok(uaa::find_user(tx, user)?.map(|user| user.user_name))
}

fn new(
    recorder: &Recorder,
    kind: &str,
    user: UserGuid,
    organization: &OrganizationGuid,
    space: Option<SpaceGuid>,
) -> Role {
    Role {
        guid: recorder.guids.next(),
        kind: kind.to_owned(),
        user_guid: user,
        organization_guid: organization.clone(),
        space_guid: space,
        created_at: recorder.now,
        updated_at: recorder.now,
    }
}

fn insert(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    role: &Role,
    request: &Value,
    place: &str,
) -> Result<()> {
    let name = name_of(tx, &role.user_guid)?;
    match model::roles::insert(tx, role) {
        Ok(_) => {
            model::users::ensure(tx, &role.user_guid, recorder.now)?;
            record(tx, recorder, Deed::Give(request), role, name.as_deref())
        }
        Err(error) if is_unique_violation(&error) => Err(Error::unprocessable(format!(
            "User '{}' already has '{}' role {place}.",
            name.as_deref().unwrap_or(role.user_guid.as_str()),
            role.kind
        ))),
        Err(error) => Err(error.into()),
    }
}

/// The user of this name, who must exist in one origin only unless one is given.
fn by_name(
    tx: &WriteTx<'_>,
    caller: &Caller,
    name: &str,
    origin: Option<&str>,
    unknown: impl FnOnce() -> String,
) -> Result<UserGuid> {
    actions::feature_flags::require(tx, caller, "set_roles_by_username")?;
    let found = uaa::find_users_by_name(tx, name, origin)?;
    match found.as_slice() {
        [user] => Ok(user.guid.clone()),
        [] => Err(Error::unprocessable(unknown())),
        several => {
            let mut origins: Vec<&str> = several.iter().map(|user| user.origin.as_str()).collect();
            origins.sort_unstable();
            Err(Error::unprocessable(format!(
                "Ambiguous user. User with username '{name}' exists in the following origins: {}. \
                 Specify an origin to disambiguate.",
                origins.join(", ")
            )))
        }
    }
}

/// What is done with a role.
enum Deed<'a> {
    /// With the request.
    Give(&'a Value),
    Take,
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    deed: Deed<'_>,
    role: &Role,
    name: Option<&str>,
) -> Result<()> {
    let target = Target {
        guid: role.user_guid.as_str(),
        kind: "user",
        name: name.unwrap_or_default(),
    };
    let place = Place {
        space: role.space_guid.as_ref(),
        organization: Some(&role.organization_guid),
    };
    let (verb, request) = match deed {
        Deed::Give(request) => ("add", request.clone()),
        Deed::Take => ("remove", json!({})),
    };
    let kind = format!("audit.user.{}_{verb}", role.kind);
    recorder.record(tx, &kind, &target, place, &json!({ "request": request }))
}
