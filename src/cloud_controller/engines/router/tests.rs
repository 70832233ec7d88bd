//! From rows and running instances to the router's table, with a real database.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::*;
use crate::cloud_controller::error::Error;
use crate::db::Db;
use crate::router::Table;
use crate::scheduler::InstanceAddress;

const SET_UP: &str = r#"
    insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'test', 0, 0);
    insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'org', 'q', 0, 0);
    insert into spaces (guid, name, organization_guid, created_at, updated_at) values ('s', 'dev', 'o', 0, 0);
    insert into domains (guid, name, internal, created_at, updated_at) values
        ('d', 'cf.localhost', 0, 0, 0), ('i', 'apps.internal', 1, 0, 0);
    insert into domains (guid, name, router_group_guid, created_at, updated_at) values
        ('t', 'tcp.cf.localhost', 'g', 0, 0);
    insert into apps (guid, name, space_guid, lifecycle_type, current_droplet_guid, created_at, updated_at) values
        ('shop', 'shop', 's', 'buildpack', null, 0, 0), ('image', 'image', 's', 'docker', 'w', 0, 0);
    insert into droplets (guid, app_guid, state, lifecycle_type, execution_metadata, created_at, updated_at) values
        ('w', 'image', 'STAGED', 'docker', '{"ports":[{"Port":3000,"Protocol":"tcp"}]}', 0, 0);
    insert into processes (guid, app_guid, type, instances, memory_in_mb, disk_in_mb, health_check_type, version,
        created_at, updated_at) values
        ('shop-web', 'shop', 'web', 2, 64, 64, 'port', 'v', 0, 0),
        ('shop-api', 'shop', 'api', 1, 64, 64, 'port', 'v', 0, 0),
        ('image-web', 'image', 'web', 1, 64, 64, 'port', 'v', 0, 0);
    insert into desired_processes (process_guid, app_guid, process_type, version, droplet_guid, image_digest,
        specification, environment) values
        ('shop-web', 'shop', 'web', 'v', 'w', '', '{}', x''), ('shop-api', 'shop', 'api', 'v', 'w', '', '{}', x''),
        ('image-web', 'image', 'web', 'v', 'w', '', '{}', x'');
    insert into routes (guid, space_guid, domain_guid, host, path, options, created_at, updated_at) values
        ('r1', 's', 'd', 'shop', '', '{"loadbalancing":"least-connection"}', 0, 0),
        ('r2', 's', 'd', 'shop', '/api', '{}', 0, 0),
        ('r3', 's', 'd', 'image', '', '{}', 0, 0),
        ('r4', 's', 'i', 'shop', '', '{}', 0, 0),
        ('r5', 's', 'd', 'nowhere', '', '{}', 0, 0);
    insert into routes (guid, space_guid, domain_guid, port, created_at, updated_at) values
        ('p1', 's', 't', 61001, 0, 0), ('p2', 's', 't', 61002, 0, 0), ('p3', 's', 't', 61003, 0, 0);
    insert into destinations (guid, route_guid, app_guid, process_type, port, protocol, created_at, updated_at) values
        ('t1', 'r1', 'shop', 'web', 8080, 'http1', 0, 0),
        ('t2', 'r2', 'shop', 'api', 9000, 'http2', 0, 0),
        ('t3', 'r3', 'image', 'web', 0, 'http1', 0, 0),
        ('t4', 'r4', 'shop', 'web', 8080, 'http1', 0, 0),
        ('t5', 'p1', 'shop', 'web', 8080, 'tcp', 0, 0),
        ('t6', 'p1', 'image', 'web', 0, 'tcp', 0, 0),
        ('t7', 'p2', 'shop', 'api', 9000, 'tcp', 0, 0);
"#;

fn instance(process: &str, app: &str, index: u32, ports: &[u16]) -> RoutableInstance {
    let at = |port: u16| SocketAddr::from(([10, 0, 0, u8::try_from(index).unwrap_or(0)], port));
    RoutableInstance {
        instance_guid: format!("{process}-{index}").into(),
        process_guid: process.into(),
        app_guid: app.into(),
        index,
        address: InstanceAddress {
            ip: None,
            ports: ports
                .iter()
                .map(|port| (*port, at(*port)))
                .collect::<BTreeMap<_, _>>(),
        },
    }
}

async fn routes(running: Vec<RoutableInstance>) -> Vec<Route> {
    routes_after("", running).await
}

async fn routes_after(change: &'static str, running: Vec<RoutableInstance>) -> Vec<Route> {
    all_after(change, running).await.http
}

async fn all_after(change: &'static str, running: Vec<RoutableInstance>) -> Routes {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let rows = format!("{SET_UP}{change}");
    db.write(move |tx| Ok::<_, Error>(tx.sql().execute_batch(&rows)?))
        .await
        .expect("rows");
    let read = db.read(move |tx| super::routes(tx, &running)).await;
    read.expect("table")
}

fn shown(routes: &[Route]) -> Vec<(String, Vec<String>)> {
    let place = |route: &Route| format!("{}{}", route.host, route.path);
    let answers = |route: &Route| {
        let each = route.endpoints.iter();
        each.map(|e| format!("{}:{}", e.instance_guid, e.address.port()))
            .collect()
    };
    routes
        .iter()
        .map(|route| (place(route), answers(route)))
        .collect()
}

#[tokio::test]
async fn routes_lead_to_the_instances_of_their_process_and_port() {
    let found = routes(vec![
        instance("shop-web", "shop", 0, &[8080]),
        instance("shop-web", "shop", 1, &[8080]),
        instance("shop-api", "shop", 0, &[8080, 9000]),
        instance("image-web", "image", 0, &[80, 3000]),
        instance("gone", "gone", 0, &[8080]),
    ])
    .await;
    let expected = [
        (
            "shop.cf.localhost",
            vec!["shop-web-0:8080", "shop-web-1:8080"],
        ),
        ("shop.cf.localhost/api", vec!["shop-api-0:9000"]),
        ("image.cf.localhost", vec!["image-web-0:3000"]),
    ];
    let expected = expected.map(|(place, answers)| {
        let answers = answers.into_iter().map(str::to_owned).collect();
        (place.to_owned(), answers)
    });
    assert_eq!(shown(&found), expected);
    assert_eq!(
        found[0].options.load_balancing,
        LoadBalancing::LeastConnection
    );
    assert_eq!(found[1].endpoints[0].protocol, Protocol::Http2);
}

#[tokio::test]
async fn a_route_of_a_stopped_app_is_unknown_like_an_unmapped_one() {
    let table = Table::build(routes(Vec::new()).await);
    for host in [
        "shop.cf.localhost",
        "nowhere.cf.localhost",
        "shop.apps.internal",
    ] {
        assert!(table.find(host, "/").is_none(), "{host}");
    }
}

#[tokio::test]
async fn a_port_the_instance_does_not_have_yet_gets_no_traffic() {
    let found = routes(vec![instance("shop-api", "shop", 0, &[8080])]).await;
    assert!(found.is_empty());
}

#[tokio::test]
async fn an_unreadable_row_affects_only_its_own_route() {
    let running = || {
        vec![
            instance("shop-web", "shop", 0, &[8080]),
            instance("image-web", "image", 0, &[3000]),
        ]
    };
    for damage in [
        "update routes set host = cast(x'ff' as text) where guid = 'r3';",
        "update destinations set port = 70000 where guid = 't3';",
        "update desired_processes set process_type = cast(x'ff' as text) where process_guid = 'image-web';",
    ] {
        let found = shown(&routes_after(damage, running()).await);
        let expected = (
            "shop.cf.localhost".to_owned(),
            vec!["shop-web-0:8080".to_owned()],
        );
        assert_eq!(found, [expected], "{damage}");
    }
}

const SERVICES: &str = "
    insert into service_instances (guid, name, space_guid, type, created_at, updated_at) values
        ('log', 'log', 's', 'user-provided', 0, 0), ('bad', 'bad', 's', 'user-provided', 0, 0);
    insert into service_route_bindings (guid, route_guid, service_instance_guid, route_service_url, created_at,
        updated_at) values
        ('b1', 'r1', 'log', 'https://log.example/in', 0, 0), ('b3', 'r3', 'bad', 'ftp://log.example', 0, 0);";

#[tokio::test]
async fn a_route_has_its_service_and_none_is_passed_by() {
    let running = vec![
        instance("shop-web", "shop", 0, &[8080]),
        instance("shop-api", "shop", 0, &[9000]),
        instance("image-web", "image", 0, &[3000]),
    ];
    let found = routes_after(SERVICES, running).await;
    let services: Vec<_> = found
        .iter()
        .map(|route| {
            (
                format!("{}{}", route.host, route.path),
                route.service.as_deref(),
            )
        })
        .collect();
    let service = RouteService::parse("https://log.example/in");
    let expected = [
        ("shop.cf.localhost".to_owned(), service.as_ref()),
        ("shop.cf.localhost/api".to_owned(), None),
    ];
    assert_eq!(services, expected);
}

#[test]
fn options_say_how_requests_are_spread() {
    let hash = |balance| {
        LoadBalancing::Hash(Hashing {
            header: http::HeaderName::from_static("x-user"),
            balance,
        })
    };
    let cases = [
        ("{}", LoadBalancing::RoundRobin),
        ("nonsense", LoadBalancing::RoundRobin),
        (
            r#"{"loadbalancing":"round-robin"}"#,
            LoadBalancing::RoundRobin,
        ),
        (
            r#"{"loadbalancing":"least-connection"}"#,
            LoadBalancing::LeastConnection,
        ),
        (
            r#"{"loadbalancing":"hash","hash_header":"X-User"}"#,
            hash(0),
        ),
        (
            r#"{"loadbalancing":"hash","hash_header":"X-User","hash_balance":"1.3"}"#,
            hash(13),
        ),
        (
            r#"{"loadbalancing":"hash","hash_header":"no header"}"#,
            LoadBalancing::RoundRobin,
        ),
    ];
    for (json, expected) in cases {
        assert_eq!(options(json).load_balancing, expected, "{json}");
    }
}

fn ports(routes: &Routes) -> Vec<(u16, Vec<String>)> {
    let shown = |route: &TcpRoute| {
        let each = route.endpoints.iter();
        let answers = each.map(|e| format!("{}:{}", e.instance_guid, e.address.port()));
        (route.port, answers.collect())
    };
    routes.tcp.iter().map(shown).collect()
}

#[tokio::test]
async fn a_port_leads_to_the_instances_of_all_its_apps_and_needs_one() {
    let running = || {
        vec![
            instance("shop-web", "shop", 0, &[8080]),
            instance("shop-web", "shop", 1, &[8080]),
            instance("shop-api", "shop", 0, &[8080]),
            instance("image-web", "image", 0, &[3000]),
        ]
    };
    let found = ports(&all_after("", running()).await);
    let all = ["shop-web-0:8080", "shop-web-1:8080", "image-web-0:3000"];
    assert_eq!(found, [(61001, all.map(str::to_owned).to_vec())]);
    let mut restarted = running();
    restarted.push(instance("shop-api", "shop", 1, &[9000]));
    let found = ports(&all_after("", restarted).await);
    assert_eq!(found[1], (61002, vec!["shop-api-1:9000".to_owned()]));
    assert_eq!(found.len(), 2);
    let damage = "update routes set port = 70000 where guid = 'p1';";
    let found = all_after(damage, running()).await;
    assert!(found.tcp.is_empty() && found.http.len() == 2, "{found:?}");
}
