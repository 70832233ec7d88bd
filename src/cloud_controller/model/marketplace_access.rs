//! Who sees which offerings and plans, as conditions of their lists.
//!
//! A plan is seen by everybody when it is public, by the members of organizations it is visible in,
//! and by the members of the space of its broker (CC `base_service_list_fetcher.rb`).

use rusqlite::types::Value;

use crate::cloud_controller::access::Caller;
use crate::cloud_controller::query::{ListQuery, OneOf, Select};

/// Which plans a caller sees, as SQL about the plan `p` and the broker `b`.
struct Condition {
    sql: String,
    values: Vec<Value>,
}

/// Limits a select over the aliases `p` and `b` to what the caller sees and the query's
/// `organization_guids` and `space_guids` select; `None` = nobody is signed in.
pub(crate) fn limit_plans(select: &mut Select, caller: Option<&Caller>, query: &ListQuery) {
    if let Some(Condition { sql, values }) = condition(caller, query) {
        select.and(&sql, values);
    }
}

/// The same for a select over the offering `o` and its broker `b`.
pub(crate) fn limit_offerings(select: &mut Select, caller: Option<&Caller>, query: &ListQuery) {
    if let Some(Condition { sql, values }) = condition(caller, query) {
        let any = format!(
            "exists (select 1 from service_plans p where p.offering_guid = o.guid and ({sql}))"
        );
        select.and(&any, values);
    }
}

fn condition(caller: Option<&Caller>, query: &ListQuery) -> Option<Condition> {
    let Some(caller) = caller else {
        return Some(Condition {
            sql: "p.public = 1".to_owned(),
            values: Vec::new(),
        });
    };
    let organizations = query.values("organization_guids");
    let spaces = query.values("space_guids");
    if caller.sees_all() && organizations.is_none() && spaces.is_none() {
        return None;
    }
    let mut sql = "p.public = 1 or exists (select 1 from service_plan_visibilities v \
                   where v.plan_guid = p.guid"
        .to_owned();
    let mut values = Vec::new();
    let user = || Value::Text(caller.guid.to_string());
    if !caller.sees_all() {
        sql +=
            " and v.organization_guid in (select organization_guid from roles where user_guid = ?)";
        values.push(user());
    }
    if let Some(guids) = &organizations {
        let one = OneOf::texts(guids);
        sql += &[" and v.organization_guid ", one.sql()].concat();
        values.push(one.value());
    }
    if let Some(guids) = &spaces {
        let one = OneOf::texts(guids);
        sql += " and v.organization_guid in (select organization_guid from spaces where guid ";
        sql += one.sql();
        sql += ")";
        values.push(one.value());
    }
    sql += ") or (b.space_guid is not null";
    if !caller.sees_all() {
        sql += " and b.space_guid in (select space_guid from roles where user_guid = ?)";
        values.push(user());
    }
    if let Some(guids) = &organizations {
        let one = OneOf::texts(guids);
        sql += " and b.space_guid in (select guid from spaces where organization_guid ";
        sql += one.sql();
        sql += ")";
        values.push(one.value());
    }
    if let Some(guids) = &spaces {
        let one = OneOf::texts(guids);
        sql += &[" and b.space_guid ", one.sql()].concat();
        values.push(one.value());
    }
    sql += ")";
    Some(Condition { sql, values })
}
