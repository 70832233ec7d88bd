//! The rules one by one, then all of them against a slow, simple matcher.

use proptest::prelude::*;

use super::super::testing::{endpoint, route};
use super::*;
use crate::base::Timestamp;

/// The table's routes, each with one endpoint whose port is its position, or none.
fn table_of(routes: &[(&str, &str, bool)]) -> Table {
    Table::build(
        routes
            .iter()
            .zip(1..)
            .map(|((host, path, filled), port)| {
                let endpoints = if *filled {
                    vec![endpoint(port)]
                } else {
                    vec![]
                };
                route(host, path, endpoints)
            })
            .collect(),
    )
}

fn answer(table: &Table, host: &str, path: &str) -> String {
    match table.find(host, path) {
        None => "404".to_owned(),
        Some(pool) => pool.endpoints.first().map_or_else(
            || "503".to_owned(),
            |state| state.endpoint.address.port().to_string(),
        ),
    }
}

#[test]
fn hosts_and_paths_match_as_on_a_real_router() {
    let table = table_of(&[
        ("app.example", "", true),          // 1
        ("app.example", "/ctx", true),      // 2
        ("app.example", "/ctx/v1", true),   // 3
        ("app.example", "/empty", false),   // 4
        ("only.example", "/deep/er", true), // 5
        ("*.example", "", true),            // 6
        ("*.wild.example", "/w", true),     // 7
        ("none.example", "", false),        // 8
        ("hollow.test", "/a", false),       // 9
        ("hollow.test", "/a/b", false),     // 10
        ("Mixed.Test", "/Path/", true),     // 11
    ]);
    let cases = [
        ("app.example", "/", "1"),
        ("APP.example:8080", "/?x=/ctx", "1"),
        ("app.example", "/ctx", "2"),
        ("app.example", "/ctx/", "2"),
        ("app.example", "/CTX/other?q=1", "2"),
        ("app.example", "/ctx/v1x", "2"),
        ("app.example", "/ctx/v1/deep", "3"),
        ("app.example", "/ctx%2Fv1", "1"),
        ("app.example", "/ctxx", "1"),
        ("app.example", "/empty/x", "1"),
        ("only.example", "/deep/er/still", "5"),
        ("only.example", "/deep", "6"),
        ("a.b.example", "/", "6"),
        ("a.wild.example", "/w", "7"),
        ("a.b.c.wild.example", "/w/x", "7"),
        ("a.wild.example", "/other", "6"),
        ("none.example", "/", "503"),
        ("hollow.test", "/a/b/c", "503"),
        ("hollow.test", "/", "404"),
        ("mixed.test", "/path", "11"),
        ("unknown", "/", "404"),
        ("example", "/", "404"),
        ("", "/", "404"),
    ];
    for (host, path, expected) in cases {
        assert_eq!(answer(&table, host, path), expected, "{host}{path}");
    }
}

#[test]
fn routes_with_one_name_share_a_pool_and_an_endpoint_counts_once() {
    let table = Table::build(vec![
        route("a.test", "", vec![endpoint(1), endpoint(2)]),
        route("A.test", "/", vec![endpoint(2), endpoint(3)]),
    ]);
    assert_eq!(table.find("a.test", "/").unwrap().endpoints.len(), 3);
    assert_eq!(table.endpoint_count(), 3);
}

#[test]
fn marks_and_turns_survive_a_swap_but_not_a_new_instance() {
    let now = Timestamp::from_micros(0);
    let build = |instance: &str| {
        let mut second = endpoint(2);
        second.instance_guid = instance.into();
        Table::build(vec![route("a.test", "", vec![endpoint(1), second])])
    };
    let old = build("first");
    let pool = old.find("a.test", "/").unwrap();
    pool.next_turn();
    pool.endpoints
        .iter()
        .for_each(|state| state.mark_failed(now));
    let kept = pool.endpoints[0].clone();
    let gone = pool.endpoints[1].clone();

    let new = build("second").adopt(&old);
    let pool = new.find("a.test", "/").unwrap();
    assert!(pool.endpoints[0].is_failed(now));
    assert!(!pool.endpoints[1].is_failed(now));
    assert_eq!(pool.next_turn(), 1);
    assert!(new.contains(kept.number));
    assert!(!new.contains(gone.number));
}

/// The same rules as a linear search.
fn slow_answer(routes: &[(String, String, bool)], host: &str, path: &str) -> String {
    let host = host.to_lowercase();
    let path = path.to_lowercase();
    let path = path.strip_suffix('/').unwrap_or(&path);
    let mut names = vec![host.clone()];
    let labels: Vec<&str> = host.split('.').collect();
    names.extend((1..labels.len()).map(|from| format!("*.{}", labels[from..].join("."))));
    for name in names {
        let mut best: Option<(usize, u16)> = None;
        let mut known = false;
        for ((route_host, route_path, filled), port) in routes.iter().zip(1u16..) {
            let whole = path == route_path || path.starts_with(&format!("{route_path}/"));
            if *route_host != name || !whole {
                continue;
            }
            known = true;
            if *filled && best.is_none_or(|(length, _)| route_path.len() > length) {
                best = Some((route_path.len(), port));
            }
        }
        if let Some((_, port)) = best {
            return port.to_string();
        }
        if known {
            return "503".to_owned();
        }
    }
    "404".to_owned()
}

fn hosts() -> impl Strategy<Value = String> {
    proptest::collection::vec("[abAB]", 1..4).prop_map(|labels| labels.join("."))
}

fn paths() -> impl Strategy<Value = String> {
    proptest::collection::vec("[xyXY]{1,2}", 0..4)
        .prop_map(|parts| parts.iter().flat_map(|part| ["/", part]).collect())
}

proptest! {
    #[test]
    fn the_table_agrees_with_the_slow_matcher(
        routes in proptest::collection::vec((hosts(), any::<bool>(), paths(), any::<bool>()), 0..12),
        requests in proptest::collection::vec((hosts(), paths(), any::<bool>()), 1..12),
    ) {
        let mut seen = HashSet::new();
        let routes: Vec<(String, String, bool)> = routes
            .into_iter()
            .map(|(host, wild, path, filled)| {
                let host = if wild { format!("*.{host}") } else { host };
                (host.to_lowercase(), path.to_lowercase(), filled)
            })
            .filter(|(host, path, _)| seen.insert((host.clone(), path.clone())))
            .collect();
        let borrowed: Vec<(&str, &str, bool)> = routes
            .iter()
            .map(|(host, path, filled)| (host.as_str(), path.as_str(), *filled))
            .collect();
        let table = table_of(&borrowed);
        for (host, path, slash) in requests {
            let path = if slash { format!("{path}/") } else { path };
            prop_assert_eq!(
                answer(&table, &host, &path),
                slow_answer(&routes, &host, &path),
                "{}{}", host, path
            );
        }
    }
}
