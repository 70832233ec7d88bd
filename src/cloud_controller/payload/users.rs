//! Bodies and queries of users.

use crate::base::guid::UserGuid;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::{ListQuery, ListRules};

const LIST: ListRules = ListRules::new(&["usernames", "partial_usernames", "origins"]);

/// The query of a list.
pub(crate) fn list(query: Option<&str>) -> Result<ListQuery> {
    let query = ListQuery::parse(query, &LIST)?;
    let given = |name: &str| query.raw(name).is_some();
    let (named, partly) = (given("usernames"), given("partial_usernames"));
    if given("origins") && !named && !partly {
        return Err(Error::bad_query(
            "Origins filter cannot be provided without usernames or partial_usernames filter.",
        ));
    }
    if named && partly {
        return Err(Error::bad_query(
            "Usernames filter cannot be provided with both usernames and partial_usernames filter.",
        ));
    }
    Ok(query)
}

/// The user that `POST /v3/users` adds.
#[derive(Debug, Clone)]
pub(crate) enum Whom {
    /// A user or client that UAA knows, or will know.
    Guid(UserGuid),
    /// A user of another origin, created when UAA does not know it.
    Name { name: String, origin: String },
}

/// `POST /v3/users`.
pub(crate) fn create(mut body: Body) -> Result<(Whom, MetadataChange)> {
    let guid = body.string("guid");
    let (name, origin) = (body.string("username"), body.string("origin"));
    let sound = body.invalid.is_empty();
    let whom = match (guid, name, origin) {
        (Some(guid), name, origin) => {
            if !(1..=200).contains(&guid.chars().count()) {
                body.invalid
                    .field("guid", "must be between 1 and 200 characters");
            }
            for (field, given) in [("username", name.is_some()), ("origin", origin.is_some())] {
                if given {
                    body.invalid.field(field, "cannot be provided with 'guid'");
                }
            }
            Some(Whom::Guid(guid.into()))
        }
        (None, Some(name), Some(origin)) => {
            if origin == "uaa" {
                body.invalid
                    .field("origin", "cannot be 'uaa' when creating a user by username");
            }
            Some(Whom::Name { name, origin })
        }
        (None, Some(_), None) if sound => {
            body.invalid
                .field("username", "can only be provided together with 'origin'");
            None
        }
        (None, None, Some(origin)) if sound => {
            body.invalid
                .field("origin", "can only be provided together with 'username'");
            if origin == "uaa" {
                body.invalid
                    .field("origin", "cannot be 'uaa' when creating a user by username");
            }
            None
        }
        (None, None, None) if sound => {
            body.invalid
                .field("guid", "or 'username' and 'origin' must be provided");
            None
        }
        _ => None,
    };
    let metadata = body.metadata();
    body.finish()?;
    Ok((whom.unwrap_or(Whom::Guid(UserGuid::default())), metadata))
}

/// `PATCH /v3/users/:guid`.
pub(crate) fn update(mut body: Body) -> Result<MetadataChange> {
    let metadata = body.metadata();
    body.finish()?;
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refusal(value: Value) -> String {
        let Value::Object(map) = value else {
            panic!("no object")
        };
        let refused = create(Body::new(map)).expect_err("refused");
        refused.detail().to_owned()
    }

    #[test]
    fn a_user_is_named_by_guid_or_by_name_and_origin() {
        let cases = [
            (
                json!({}),
                "Guid or 'username' and 'origin' must be provided",
            ),
            (json!({ "guid": 7 }), "Guid must be a string"),
            (
                json!({ "guid": "" }),
                "Guid must be between 1 and 200 characters",
            ),
            (
                json!({ "guid": "g", "username": "u", "origin": "ldap" }),
                "Username cannot be provided with 'guid', Origin cannot be provided with 'guid'",
            ),
            (
                json!({ "username": "u" }),
                "Username can only be provided together with 'origin'",
            ),
            (
                json!({ "origin": "ldap" }),
                "Origin can only be provided together with 'username'",
            ),
            (
                json!({ "username": "u", "origin": "uaa" }),
                "Origin cannot be 'uaa' when creating a user by username",
            ),
        ];
        for (body, text) in cases {
            assert_eq!(refusal(body.clone()), text, "{body}");
        }
    }

    #[test]
    fn filters_that_contradict_each_other_are_refused() {
        for query in ["origins=uaa", "usernames=a&partial_usernames=b"] {
            assert!(list(Some(query)).is_err(), "{query}");
        }
        for query in ["usernames=a&origins=uaa", "partial_usernames=a&origins=b"] {
            assert!(list(Some(query)).is_ok(), "{query}");
        }
    }
}
