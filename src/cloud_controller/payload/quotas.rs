//! The limits of organization quotas and space quotas in bodies.

use serde_json::Value;

use crate::cloud_controller::body::{Body, Fields, Invalid, MAX_DB_INT, Whole};
use crate::cloud_controller::model::quotas::QuotaLimits;

const LONGEST_NAME: usize = 250;

/// One limit of a quota: its name, the largest value, and its field.
type Limit = (&'static str, i64, fn(&mut QuotaLimits) -> &mut Option<i64>);

const APPS: &[Limit] = &[
    ("total_memory_in_mb", MAX_DB_INT, |l| {
        &mut l.total_memory_in_mb
    }),
    ("per_process_memory_in_mb", MAX_DB_INT, |l| {
        &mut l.per_process_memory_in_mb
    }),
    ("total_instances", MAX_DB_INT, |l| &mut l.total_instances),
    ("per_app_tasks", MAX_DB_INT, |l| &mut l.per_app_tasks),
    ("log_rate_limit_in_bytes_per_second", i64::MAX, |l| {
        &mut l.log_rate_limit_in_bytes_per_second
    }),
];
const SERVICES: &[Limit] = &[
    ("total_service_instances", MAX_DB_INT, |l| {
        &mut l.total_service_instances
    }),
    ("total_service_keys", MAX_DB_INT, |l| {
        &mut l.total_service_keys
    }),
];
const ROUTES: &[Limit] = &[
    ("total_routes", MAX_DB_INT, |l| &mut l.total_routes),
    ("total_reserved_ports", MAX_DB_INT, |l| {
        &mut l.total_reserved_ports
    }),
];

/// Changed limits; absent ones stay, null = unlimited.
#[derive(Debug, Default)]
pub(crate) struct LimitsChange {
    limits: Vec<(&'static Limit, Option<i64>)>,
    paid_services_allowed: Option<bool>,
}

impl LimitsChange {
    /// Applies the change to `limits`.
    pub(crate) fn apply(&self, limits: &mut QuotaLimits) {
        for ((_, _, place), value) in &self.limits {
            *place(limits) = *value;
        }
        if let Some(allowed) = self.paid_services_allowed {
            limits.paid_services_allowed = allowed;
        }
    }

    /// Whether a log rate limit is set.
    pub(crate) fn limits_logs(&self) -> bool {
        self.limits
            .iter()
            .any(|((name, ..), value)| name.starts_with("log_rate_limit") && value.is_some())
    }
}

/// Takes `name` out and validates it.
pub(crate) fn name(body: &mut Body) -> Option<String> {
    let name = body.limited_string("name", LONGEST_NAME);
    if name.as_deref() == Some("") {
        body.invalid
            .field("name", "is too short (minimum is 1 character)");
    }
    name
}

/// Takes `apps`, `services` and `routes` out.
pub(crate) fn limits(body: &mut Body) -> LimitsChange {
    let mut change = LimitsChange::default();
    for (group, wanted) in [("apps", APPS), ("services", SERVICES), ("routes", ROUTES)] {
        let Some(mut fields) = group_of(body, group) else {
            continue;
        };
        let mut invalid = Invalid::default();
        let mut named = Vec::new();
        for limit in wanted {
            let rule = Whole::at_least(0).up_to(limit.1);
            if let Some(value) = fields.nullable_whole(limit.0, rule, &mut invalid) {
                named.push((limit, value));
            }
        }
        if group == "services"
            && let Some(allowed) = fields.boolean("paid_services_allowed", &mut invalid)
        {
            change.paid_services_allowed = Some(allowed);
        }
        change.limits.extend(named);
        finish_group(body, group, &fields, invalid);
    }
    change
}

/// Takes `domains` out: `Some(None)` = unlimited.
pub(crate) fn total_domains(body: &mut Body) -> Option<Option<i64>> {
    let mut fields = group_of(body, "domains")?;
    let mut invalid = Invalid::default();
    let total = fields.nullable_whole("total_domains", Whole::at_least(0), &mut invalid);
    finish_group(body, "domains", &fields, invalid);
    total
}

fn group_of(body: &mut Body, group: &str) -> Option<Fields> {
    match body.fields.nullable(group)? {
        Value::Object(fields) => Some(Fields::new(fields)),
        _ => {
            body.invalid.field(group, "must be an object");
            None
        }
    }
}

fn finish_group(body: &mut Body, group: &str, fields: &Fields, invalid: Invalid) {
    let mut all = Invalid::default();
    fields.refuse_unknown(&mut all, "");
    for fault in all.into_texts().into_iter().chain(invalid.into_texts()) {
        body.invalid.field(group, &fault);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn named_limits_change_and_null_means_unlimited() {
        let mut body = open(json!({
            "apps": { "total_memory_in_mb": 512, "per_app_tasks": null },
            "services": { "paid_services_allowed": false },
        }));
        let change = limits(&mut body);
        assert!(body.finish().is_ok());
        let mut quota = QuotaLimits {
            per_app_tasks: Some(5),
            total_routes: Some(8),
            ..QuotaLimits::default()
        };
        change.apply(&mut quota);
        assert_eq!(quota.total_memory_in_mb, Some(512));
        assert_eq!((quota.per_app_tasks, quota.total_routes), (None, Some(8)));
        assert!(!quota.paid_services_allowed);
        assert!(!change.limits_logs());
    }

    #[test]
    fn every_fault_is_named_with_its_group() {
        let mut body = open(json!({
            "name": "",
            "apps": { "total_memory_in_mb": -1, "total_instances": 1.5, "x": 1 },
            "services": "none",
            "routes": { "total_routes": "many", "total_reserved_ports": 4_294_967_296_u64 },
            "domains": { "total_domains": "a" },
        }));
        name(&mut body);
        limits(&mut body);
        total_domains(&mut body);
        assert_eq!(
            body.invalid.into_texts(),
            [
                "Name is too short (minimum is 1 character)",
                "Apps Unknown field(s): 'x'",
                "Apps Total memory in mb must be greater than or equal to 0",
                "Apps Total instances must be an integer",
                "Services must be an object",
                "Routes Total routes is not a number",
                "Routes Total reserved ports must be less than or equal to 2147483647",
                "Domains Total domains is not a number",
            ]
        );
    }
}
