//! Members and their roles, and what each role may do.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};

use crate::web::api::Failure;
use crate::web::api::models::Role;
use crate::web::fmt;
use crate::web::guard::Change;
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

/// A role, and what it is for.
pub(in crate::web) struct Kind {
    /// As the API has it.
    pub(in crate::web) name: &'static str,
    /// As the cf CLI has it.
    pub(in crate::web) word: &'static str,
    /// For people.
    pub(in crate::web) label: &'static str,
    /// What it may do.
    pub(in crate::web) may: &'static str,
}

/// Roles in an organization.
pub(in crate::web) const ORGANIZATION_ROLES: &[Kind] = &[
    Kind {
        name: "organization_manager",
        word: "OrgManager",
        label: "Org Manager",
        may: "Creates, renames and deletes spaces and private domains, gives roles in the org and its spaces, and sees everything in them.",
    },
    Kind {
        name: "organization_auditor",
        word: "OrgAuditor",
        label: "Org Auditor",
        may: "Sees the org, its members, domains and quota, and nothing inside its spaces.",
    },
    Kind {
        name: "organization_billing_manager",
        word: "BillingManager",
        label: "Billing Manager",
        may: "Sees the org, its quota and its usage.",
    },
    Kind {
        name: "organization_user",
        word: "OrgUser",
        label: "Org User",
        may: "Is a member, which roles in spaces need; sees the org and its domains.",
    },
];

/// Roles in a space.
pub(in crate::web) const SPACE_ROLES: &[Kind] = &[
    Kind {
        name: "space_developer",
        word: "SpaceDeveloper",
        label: "Space Developer",
        may: "Pushes, changes and deletes apps, routes and services, reads their environment and secrets, and opens SSH.",
    },
    Kind {
        name: "space_manager",
        word: "SpaceManager",
        label: "Space Manager",
        may: "Renames the space, gives roles in it and switches its features; sees everything but secrets, changes no apps.",
    },
    Kind {
        name: "space_supporter",
        word: "SpaceSupporter",
        label: "Space Supporter",
        may: "Restarts, scales and maps routes of apps, and sees their logs; creates nothing and sees no secrets.",
    },
    Kind {
        name: "space_auditor",
        word: "SpaceAuditor",
        label: "Space Auditor",
        may: "Sees apps, services, routes and logs of the space; changes nothing and sees no secrets.",
    },
];

/// A user and its roles in one place.
pub(in crate::web) struct Member {
    pub(in crate::web) guid: String,
    pub(in crate::web) name: String,
    /// For each role of the place the guid of it, or nothing.
    pub(in crate::web) roles: Vec<Option<String>>,
}

/// The members of a place: `filter` is `organization_guids=…` or `space_guids=…`.
pub(in crate::web) async fn members(
    visitor: &Visitor,
    filter: &str,
    kinds: &[Kind],
) -> Result<Vec<Member>, Refused> {
    let path = format!("/v3/roles?{filter}&include=user");
    let found = visitor.api.all::<Role>(&path, 2).await?;
    let mut members: BTreeMap<&str, Member> = BTreeMap::new();
    for role in &found.resources {
        let Some(at) = kinds.iter().position(|kind| kind.name == role.kind) else {
            continue;
        };
        let guid = role.relationships.user.guid();
        let member = members.entry(guid).or_insert_with(|| {
            let mut users = found.included.users.iter();
            let user = users.find(|user| user.guid == guid);
            Member {
                guid: guid.to_owned(),
                name: user.map_or(guid, |user| user.label()).to_owned(),
                roles: vec![None; kinds.len()],
            }
        });
        member.roles[at] = Some(role.guid.clone());
    }
    let mut members: Vec<Member> = members.into_values().collect();
    members.sort_by_key(|member| member.name.to_lowercase());
    Ok(members)
}

/// Who gets a role: the user of the guid or name in the form.
fn who(change: &Change) -> Result<(Value, String), Refused> {
    if let Some(guid) = change.fields.text("user") {
        let name = change.fields.text("user_name").unwrap_or(guid);
        return Ok((json!({ "guid": guid }), name.to_owned()));
    }
    let name = change.fields.required("username", "User name")?;
    Ok((json!({ "username": name }), name.to_owned()))
}

fn kind<'a>(kinds: &'a [Kind], change: &Change) -> Result<&'a Kind, Refused> {
    let wanted = change.fields.required("role", "Role")?;
    let mut all = kinds.iter();
    all.find(|kind| kind.name == wanted)
        .ok_or_else(|| Refused::field("role", "There is no such role here"))
}

/// Gives a role in an organization; returns the user's name and the role.
pub(super) async fn give_in_organization<'a>(
    change: &Change,
    organization: &str,
    kinds: &'a [Kind],
) -> Result<(String, &'a Kind), Refused> {
    let kind = kind(kinds, change)?;
    let (user, name) = who(change)?;
    let body = json!({ "type": kind.name, "relationships": {
        "user": { "data": user },
        "organization": { "data": { "guid": organization } },
    } });
    change.visitor.api.post("/v3/roles", body).await?;
    Ok((name, kind))
}

/// Gives a role in a space, and makes the user a member of its organization first when it is none.
pub(super) async fn give_in_space<'a>(
    change: &Change,
    (space, organization): (&str, &str),
    kinds: &'a [Kind],
) -> Result<(String, &'a Kind), Refused> {
    let kind = kind(kinds, change)?;
    let (user, name) = who(change)?;
    let api = &change.visitor.api;
    let body = json!({ "type": kind.name, "relationships": {
        "user": { "data": user.clone() },
        "space": { "data": { "guid": space } },
    } });
    match api.post("/v3/roles", body.clone()).await {
        Ok(_) => {}
        Err(Failure::Api { status, errors }) if is_no_member(status, &errors[..]) => {
            let member = json!({ "type": "organization_user", "relationships": {
                "user": { "data": user },
                "organization": { "data": { "guid": organization } },
            } });
            api.post("/v3/roles", member).await?;
            api.post("/v3/roles", body).await?;
        }
        Err(failure) => return Err(failure.into()),
    }
    Ok((name, kind))
}

fn is_no_member(status: StatusCode, errors: &[crate::web::api::ApiFault]) -> bool {
    let of_space = "if they do not have a role in that space's organization";
    status == StatusCode::UNPROCESSABLE_ENTITY
        && errors.iter().any(|error| error.detail.contains(of_space))
}

/// Takes a role of this place away; returns the role.
pub(super) async fn take<'a>(
    change: &Change,
    place: &str,
    role: &str,
    kinds: &'a [Kind],
) -> Result<&'a Kind, Refused> {
    let api = &change.visitor.api;
    let path = format!("/v3/roles/{}", fmt::segment(role));
    let role: Role = api.get(&path).await?;
    let of = &role.relationships;
    let here = of.space.guid() == place || of.organization.guid() == place;
    let kind = kinds.iter().find(|kind| kind.name == role.kind);
    let kind = kind.filter(|_| here).ok_or_else(Refused::not_found)?;
    let reply = api.delete(&path).await?;
    // A role is taken away at once or soon; the page shows the members as they are.
    let _progress = api.finish(&reply).await?;
    Ok(kind)
}
