//! Giving and taking roles, each inside the caller's transaction.

use serde_json::{Value, json};

use super::payload::{CreateRole, Scope, Who};
use super::store::{self, Role};
use crate::base::guid::{OrganizationGuid, UserGuid};
use crate::cloud_controller::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::v3::{ApiError, ApiResult, Caller, is_unique_violation};
use crate::cloud_controller::{feature_flags, organizations, spaces, users};
use crate::db::WriteTx;
use crate::uaa;

const NO_MEMBER: &str = "Users cannot be assigned roles in a space if they do not have a role in that space's organization.";

/// Gives a role.
pub(super) fn create(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    caller: &Caller,
    wanted: &CreateRole,
) -> ApiResult<Role> {
    match &wanted.scope {
        Scope::Space(guid) => {
            let space = spaces::store::find_visible(tx, caller, guid)?.ok_or_else(|| {
                ApiError::unprocessable(
                    "Invalid space. Ensure that the space exists and you have access to it.",
                )
            })?;
            caller.may_manage_space(tx, guid)?;
            let (user, name) = resolve(tx, caller, &wanted.who, true)?;
            if !store::is_member(tx, &user, &space.organization_guid)? {
                return Err(ApiError::unprocessable(NO_MEMBER));
            }
            let role = new(
                recorder,
                &wanted.kind,
                user,
                &space.organization_guid,
                Some(guid.clone()),
            );
            let place = format!("in space '{}'", space.name);
            insert(tx, recorder, &role, &name, &place)?;
            Ok(role)
        }
        Scope::Organization(guid) => {
            let organization = organizations::store::find_visible(tx, caller, guid)?.ok_or_else(|| {
                ApiError::unprocessable(
                    "Invalid organization. Ensure that the organization exists and you have access to it.",
                )
            })?;
            caller.may_manage_organization(tx, guid)?;
            let (user, name) = resolve(tx, caller, &wanted.who, false)?;
            let role = new(recorder, &wanted.kind, user, guid, None);
            let place = format!("in organization '{}'", organization.name);
            insert(tx, recorder, &role, &name, &place)?;
            Ok(role)
        }
    }
}

/// Makes a user the manager (and a member) of an organization.
pub(crate) fn make_manager(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    user: &UserGuid,
    organization: &OrganizationGuid,
) -> ApiResult<()> {
    for kind in ["organization_user", "organization_manager"] {
        let role = new(recorder, kind, user.clone(), organization, None);
        insert(
            tx,
            recorder,
            &role,
            &recorder.actor.name,
            "in the organization",
        )?;
    }
    Ok(())
}

/// Takes a role.
pub(super) fn delete(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    caller: &Caller,
    role: &Role,
) -> ApiResult<()> {
    match &role.space_guid {
        Some(space) => caller.may_manage_space(tx, space)?,
        None => {
            caller.may_manage_organization(tx, &role.organization_guid)?;
            if role.kind == "organization_user"
                && store::has_space_role(tx, &role.user_guid, &role.organization_guid)?
            {
                return Err(ApiError::unprocessable(
                    "Cannot delete organization_user role while user has roles in spaces in that organization.",
                ));
            }
        }
    }
    store::delete(tx, &role.guid)?;
    let name =
        uaa::store::find_user(tx, &role.user_guid)?.map_or_else(String::new, |user| user.user_name);
    record(tx, recorder, "remove", role, &name)
}

fn new(
    recorder: &Recorder,
    kind: &str,
    user: UserGuid,
    organization: &OrganizationGuid,
    space: Option<crate::base::guid::SpaceGuid>,
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
    name: &str,
    place: &str,
) -> ApiResult<()> {
    match store::insert(tx, role) {
        Ok(_) => {
            users::store::ensure(tx, &role.user_guid, recorder.now)?;
            record(tx, recorder, "add", role, name)
        }
        Err(error) if is_unique_violation(&error) => Err(ApiError::unprocessable(format!(
            "User '{name}' already has '{}' role {place}.",
            role.kind
        ))),
        Err(error) => Err(error.into()),
    }
}

/// The user's guid and shown name.
fn resolve(
    tx: &WriteTx<'_>,
    caller: &Caller,
    who: &Who,
    for_space: bool,
) -> ApiResult<(UserGuid, String)> {
    let (name, origin) = match who {
        Who::Guid(guid) => {
            let name = uaa::store::find_user(tx, guid)?
                .map_or_else(|| guid.to_string(), |user| user.user_name);
            return Ok((guid.clone(), name));
        }
        Who::Name { name, origin } => (name, origin.as_deref()),
    };
    feature_flags::require(tx, caller, "set_roles_by_username")?;
    let found = uaa::store::find_users_by_name(tx, name, origin)?;
    match found.as_slice() {
        [user] => Ok((user.guid.clone(), user.user_name.clone())),
        [] if for_space => Err(ApiError::unprocessable(NO_MEMBER)),
        [] => Err(ApiError::unprocessable(match origin {
            Some(origin) => {
                format!("No user exists with the username '{name}' and origin '{origin}'.")
            }
            None => format!("No user exists with the username '{name}'."),
        })),
        several => {
            let mut origins: Vec<&str> = several.iter().map(|user| user.origin.as_str()).collect();
            origins.sort_unstable();
            Err(ApiError::unprocessable(format!(
                "Ambiguous user. User with username '{name}' exists in the following origins: {}. \
                 Specify an origin to disambiguate.",
                origins.join(", ")
            )))
        }
    }
}

fn record(
    tx: &WriteTx<'_>,
    recorder: &Recorder,
    verb: &str,
    role: &Role,
    name: &str,
) -> ApiResult<()> {
    let short = role.kind.replace("organization_", "");
    let kind = match role.space_guid {
        Some(_) => format!("audit.user.{}_{verb}", role.kind),
        None => format!("audit.user.organization_{short}_{verb}"),
    };
    let target = Target {
        guid: role.user_guid.as_str(),
        kind: "user",
        name,
    };
    let place = Place {
        space: role.space_guid.as_ref(),
        organization: Some(&role.organization_guid),
    };
    let data: Value = json!({ "request": { "type": role.kind } });
    recorder.record(tx, &kind, &target, place, &data)
}
