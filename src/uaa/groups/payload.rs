//! Bodies of requests on groups, validated.

use serde::Deserialize;

use super::{Group, validate_name};
use crate::base::guid::UserGuid;
use crate::uaa::error::{UaaError, UaaResult};
use crate::uaa::search::filter::{Attribute, Attributes};

/// The attributes of groups that filters and `sortBy` may name.
pub(crate) const ATTRIBUTES: Attributes = &[
    ("id", Attribute::text("guid")),
    ("displayName", Attribute::text("name")),
    ("description", Attribute::text("description")),
    ("meta.created", Attribute::time("created_at")),
    ("meta.lastModified", Attribute::time("updated_at")),
];

/// A group as a client sends it. Read-only attributes (`id`, `zoneId`, …) are ignored, so that a
/// response can be sent back.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GroupBody {
    display_name: Option<String>,
    description: Option<String>,
    members: Option<Vec<MemberBody>>,
    meta: Option<Meta>,
}

#[derive(Debug, Deserialize)]
struct Meta {
    /// Attributes that a `PATCH` removes.
    #[serde(default)]
    attributes: Vec<String>,
}

/// A member as a client sends it.
#[derive(Debug, Deserialize)]
pub(crate) struct MemberBody {
    value: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    operation: Option<String>,
}

/// A change to the members of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberChange {
    Add(UserGuid),
    Remove(UserGuid),
    RemoveAll,
}

impl MemberBody {
    /// The user to add.
    pub(crate) fn into_user(self) -> UaaResult<UserGuid> {
        if let Some(kind) = self.kind
            && !kind.eq_ignore_ascii_case("user")
        {
            let text = format!("Members of type {kind} are not supported: groups hold users only.");
            return Err(UaaError::invalid_scim(text));
        }
        Ok(UserGuid::from(self.value))
    }

    fn into_change(self) -> UaaResult<MemberChange> {
        match self.operation.as_deref() {
            None => Ok(MemberChange::Add(self.into_user()?)),
            Some(delete) if delete.eq_ignore_ascii_case("delete") => {
                Ok(MemberChange::Remove(self.into_user()?))
            }
            Some(other) => Err(UaaError::invalid_scim(format!(
                "The operation {other} is unknown; a member can be added or be taken out by delete."
            ))),
        }
    }
}

fn users(members: Option<Vec<MemberBody>>) -> UaaResult<Vec<UserGuid>> {
    let members = members.unwrap_or_default().into_iter();
    members.map(MemberBody::into_user).collect()
}

impl GroupBody {
    /// Name, description and members of a new group.
    pub(crate) fn into_new(self) -> UaaResult<(String, Option<String>, Vec<UserGuid>)> {
        let name = self.display_name.unwrap_or_default();
        validate_name(&name)?;
        Ok((name, self.description, users(self.members)?))
    }

    /// `group` and its members replaced with this body (`PUT`).
    pub(crate) fn replace(self, group: &Group) -> UaaResult<(Group, Vec<MemberChange>)> {
        let (name, description, members) = self.into_new()?;
        let mut changes = vec![MemberChange::RemoveAll];
        changes.extend(members.into_iter().map(MemberChange::Add));
        let group = Group {
            name,
            description,
            ..group.clone()
        };
        Ok((group, changes))
    }

    /// `group` with the changes of this body (`PATCH`).
    pub(crate) fn patch(self, group: &Group) -> UaaResult<(Group, Vec<MemberChange>)> {
        let mut group = group.clone();
        let mut changes = Vec::new();
        for attribute in self.meta.into_iter().flat_map(|meta| meta.attributes) {
            match attribute.to_ascii_lowercase().as_str() {
                "description" => group.description = None,
                "members" => changes.push(MemberChange::RemoveAll),
                _ => {
                    let text = format!("The attribute {attribute} cannot be removed.");
                    return Err(UaaError::invalid_scim(text));
                }
            }
        }
        if let Some(name) = self.display_name {
            validate_name(&name)?;
            group.name = name;
        }
        group.description = self.description.or(group.description);
        for member in self.members.unwrap_or_default() {
            changes.push(member.into_change()?);
        }
        Ok((group, changes))
    }
}
