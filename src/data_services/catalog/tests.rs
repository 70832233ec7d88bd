//! Catalogs, valid and not.

use super::*;

const SMALL: &str = r#"
version: 1
images:
  one: {packages: [redis-server]}
offerings:
- name: cache
  id: o1
  description: A cache.
  tags: [redis]
  spec:
    image: one
    version: 1.2.3
    entry: exec redis-server --maxmemory {{ mem_mb }}mb
    ports: {main: {port: 6379}}
    parameters:
      policy: {schema: {type: string, enum: [none, lru]}, default: none}
    credentials: {template: {uri: "redis://{{ host }}:{{ port.main }}"}}
    health: {ready: {exec: [redis-cli, PING], expect: PONG}}
    limits: {memory: 256m}
  plans:
  - {name: small, id: p1, description: Small.}
  - {name: large, id: p2, description: Large., free: false, spec: {limits: {memory: 1g}}}
"#;

fn fault(change: (&str, &str)) -> String {
    assert!(SMALL.contains(change.0), "{}", change.0);
    let text = SMALL.replacen(change.0, change.1, 1);
    Catalog::read(&text).expect_err(change.1).to_string()
}

#[test]
fn a_plan_is_merged_over_its_offering() {
    let catalog = Catalog::read(SMALL).expect("valid");
    let (_, small) = catalog.plan("o1", "p1").expect("small");
    let (_, large) = catalog.plan("o1", "p2").expect("large");
    assert_eq!(small.spec.limits.memory.megabytes(), 256);
    assert_eq!(large.spec.limits.memory.megabytes(), 1024);
    assert_eq!(large.spec.limits.pids, 512, "what a plan leaves out stays");
    assert_eq!((small.free, large.free), (true, false));
    assert!(catalog.plan("o1", "p3").is_none());
}

#[test]
fn a_fault_is_told_with_its_line() {
    for (from, to, expected) in [
        ("ports:", "port:", "line 14: port: unknown field `port`"),
        (
            "image: one",
            "image: two",
            "line 6: offering cache: plan small: there is no image two",
        ),
        (
            "version: 1.2.3",
            "version: '7.0'",
            "line 6: offering cache: plan small: 7.0 is not a semantic version",
        ),
        ("memory: 256m", "memory: 256", "line 19: limits.memory"),
        (
            "expect: PONG",
            "signal: SIGHUP",
            "line 18: health.ready: a hook is one of exec",
        ),
        (
            "id: p2",
            "id: p1",
            "line 6: offering cache: plan large: the id p1 is used twice",
        ),
        (
            "{{ mem_mb }}",
            "{{ mem_mb",
            "line 6: offering cache: plan small: syntax error",
        ),
        (
            "default: none",
            "default: some",
            "line 6: offering cache: plan small: the default of parameter policy has to be one of \"none\", \"lru\"",
        ),
        (
            "name: cache",
            "name: Cache",
            "line 6: offering Cache: a name has only",
        ),
        (
            "version: 1\n",
            "version: 2\n",
            "line 2: version has to be 1",
        ),
    ] {
        let found = fault((from, to));
        assert!(
            found.starts_with(expected),
            "{found:?} instead of {expected:?}"
        );
    }
}

#[test]
fn parameters_are_checked() {
    let catalog = Catalog::read(SMALL).expect("valid");
    let (_, plan) = catalog.plan("o1", "p1").expect("small");
    let check = |value: Value| {
        let parameters = value.as_object().cloned().expect("an object");
        plan.spec.parameter_fault(&parameters)
    };
    assert_eq!(
        check(json!({ "policy": "lru", "memory": "1g", "restart": true })),
        None
    );
    for (parameters, expected) in [
        (
            json!({ "policy": "all" }),
            "parameter policy has to be one of \"none\", \"lru\"",
        ),
        (
            json!({ "memory": 5 }),
            "parameter memory has to be of type string",
        ),
        (
            json!({ "memory": "much" }),
            "parameter memory has to be a size like 512m or 2g",
        ),
        (
            json!({ "restart": "yes" }),
            "parameter restart has to be of type boolean",
        ),
        (
            json!({ "storage": "1g" }),
            "parameter storage is not known; there are policy, memory, restart, recreate, depends_on",
        ),
    ] {
        assert_eq!(check(parameters).as_deref(), Some(expected));
    }
}

#[test]
fn the_built_in_catalog_is_valid() {
    let catalog = Catalog::read(BUILT_IN).expect("valid");
    assert!(!catalog.offerings.is_empty());
}
