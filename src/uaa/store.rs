//! Access to users for other parts of the platform, inside their own transactions.

use rusqlite::types::Value;
use rusqlite::{Row, named_params};

pub use super::clients::store::find_client;
pub use super::groups::store::{add_member, groups_of};
pub use super::users::store::{find_user, find_users_by_name};

use super::accounts;
use super::users::store::{select_users, user};
use super::users::validate_origin;
use super::{NewUser, UaaError, User};
use crate::base::Timestamp;
use crate::base::guid::UserGuid;
use crate::db::{DbError, ReadTx, WriteTx};

/// Which users to list; `None` does not restrict, an empty list matches nobody.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Only these.
    pub guids: Option<Vec<UserGuid>>,
    /// Only users with these names, ignoring case.
    pub user_names: Option<Vec<String>>,
    /// Only users whose name contains one of these, ignoring case.
    pub partial_user_names: Option<Vec<String>>,
    /// Only users of these origins.
    pub origins: Option<Vec<String>>,
}

/// Order of a list; the guid breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserOrder {
    /// Oldest first.
    #[default]
    CreatedAt,
    /// Newest first.
    CreatedAtDescending,
    /// Least recently updated first.
    UpdatedAt,
    /// Most recently updated first.
    UpdatedAtDescending,
}

/// One page of a list.
#[derive(Clone, Copy, Debug)]
pub struct UserPage {
    /// Rows to skip.
    pub offset: u32,
    /// Rows to return at most.
    pub limit: u32,
}

/// Creates a user of another origin, who cannot log in here.
pub fn create_shadow_user(
    tx: &WriteTx<'_>,
    guid: UserGuid,
    (user_name, origin): (&str, &str),
    now: Timestamp,
) -> Result<User, UaaError> {
    let new = NewUser {
        origin: origin.to_owned(),
        verified: false,
        ..NewUser::named(user_name)
    };
    validate_origin(origin)?;
    accounts::create(tx, guid, new, None, now)
}

macro_rules! filtered {
    () => {
        "where (:guids is null or guid in (select value from json_each(:guids)))
    and (:names is null or user_name in (select value from json_each(:names)))
    and (:origins is null or origin in (select value from json_each(:origins)))
    and (:partials is null or exists (select 1 from json_each(:partials) as part
        where instr(lower(user_name), lower(part.value)) > 0))"
    };
}

macro_rules! listed {
    ($order:literal) => {
        concat!(
            select_users!(""),
            filtered!(),
            " order by ",
            $order,
            " limit :limit offset :offset"
        )
    };
}

const COUNT: &str = concat!("select count(*) from users ", filtered!());
const BY_CREATION: &str = listed!("created_at, guid");
const BY_CREATION_DESCENDING: &str = listed!("created_at desc, guid desc");
const BY_UPDATE: &str = listed!("updated_at, guid");
const BY_UPDATE_DESCENDING: &str = listed!("updated_at desc, guid desc");

/// One page of the users that match the filter, and the total count.
pub fn list_users(
    tx: &ReadTx<'_>,
    filter: &UserFilter,
    order: UserOrder,
    page: UserPage,
) -> Result<(Vec<User>, u64), DbError> {
    let guids: Option<Vec<&str>> = filter
        .guids
        .as_ref()
        .map(|guids| guids.iter().map(UserGuid::as_str).collect());
    let guids = guids.map_or(Value::Null, |guids| json(&guids));
    let [names, partials, origins] = [
        &filter.user_names,
        &filter.partial_user_names,
        &filter.origins,
    ]
    .map(|list| list.as_ref().map_or(Value::Null, json));
    let count: i64 = tx.sql().prepare_cached(COUNT)?.query_row(
        named_params! {
            ":guids": guids, ":names": names, ":partials": partials, ":origins": origins,
        },
        |row: &Row<'_>| row.get(0),
    )?;
    let mut statement = tx.sql().prepare_cached(match order {
        UserOrder::CreatedAt => BY_CREATION,
        UserOrder::CreatedAtDescending => BY_CREATION_DESCENDING,
        UserOrder::UpdatedAt => BY_UPDATE,
        UserOrder::UpdatedAtDescending => BY_UPDATE_DESCENDING,
    })?;
    let rows = statement.query_map(
        named_params! {
            ":guids": guids, ":names": names, ":partials": partials, ":origins": origins,
            ":limit": page.limit, ":offset": page.offset,
        },
        user,
    )?;
    let users = rows.collect::<Result<_, _>>()?;
    Ok((users, count.unsigned_abs()))
}

fn json<T: serde::Serialize>(list: &T) -> Value {
    Value::Text(serde_json::json!(list).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uaa::testing::World;

    #[tokio::test]
    async fn lists_follow_an_index_instead_of_sorting() {
        let world = World::new().await;
        for sql in [
            BY_CREATION,
            BY_CREATION_DESCENDING,
            BY_UPDATE,
            BY_UPDATE_DESCENDING,
        ] {
            let plan = world.uaa.db().read(move |tx| {
                let mut statement = tx.sql().prepare(&format!("explain query plan {sql}"))?;
                let rows = statement.raw_query();
                let rows = rows.mapped(|row| row.get::<_, String>("detail"));
                Ok::<_, DbError>(rows.collect::<Result<Vec<_>, _>>()?)
            });
            let plan = plan.await.unwrap();
            assert!(
                plan.iter()
                    .any(|step| step.contains("USING INDEX users_by_")),
                "{plan:?}"
            );
            assert!(
                !plan
                    .iter()
                    .any(|step| step.contains("TEMP B-TREE FOR ORDER BY"))
            );
        }
    }
}
