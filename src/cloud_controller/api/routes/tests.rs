//! Routes and destinations over a real database.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::presenter;
use crate::base::guid::{AppGuid, SpaceGuid, UserGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::{Authority, Caller};
use crate::cloud_controller::actions::routes::{NewRoute, RouteContext};
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::model::audit_events::{Actor, Cause, Recorder};
use crate::cloud_controller::model::destinations::{NewDestination, Protocol};
use crate::cloud_controller::model::routes::Route;
use crate::cloud_controller::payload::route_options::OptionsChange;
use crate::cloud_controller::permits::MaySupport;
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::{Urls, with_included};
use crate::cloud_controller::{actions, model, payload};
use crate::db::{Db, WriteTx};

const SET_UP: &str = r#"
    insert into organization_quotas (guid, name, total_routes, created_at, updated_at) values ('q', 'test', 5, 0, 0);
    insert into organizations (guid, name, quota_guid, created_at, updated_at) values
        ('o', 'org', 'q', 0, 0), ('p', 'other', 'q', 0, 0);
    insert into spaces (guid, name, organization_guid, created_at, updated_at) values
        ('s', 'dev', 'o', 0, 0), ('t', 'test', 'o', 1, 1);
    insert into domains (guid, name, organization_guid, internal, created_at, updated_at) values
        ('d', 'cf.localhost', null, 0, 0, 0), ('i', 'apps.internal', null, 1, 1, 1),
        ('mine', 'example.com', 'o', 0, 2, 2), ('theirs', 'example.org', 'p', 0, 3, 3);
    insert into apps (guid, name, space_guid, lifecycle_type, current_droplet_guid, created_at, updated_at) values
        ('a', 'shop', 's', 'buildpack', null, 0, 0), ('b', 'image', 's', 'docker', 'w', 0, 0),
        ('c', 'far', 't', 'buildpack', null, 0, 0);
    insert into droplets (guid, app_guid, state, lifecycle_type, execution_metadata, created_at, updated_at) values
        ('w', 'b', 'STAGED', 'docker', '{"ports":[{"Port":3000,"Protocol":"tcp"}]}', 0, 0);
    insert into roles (guid, type, user_guid, organization_guid, space_guid, created_at, updated_at) values
        ('r1', 'space_developer', 'dev', 'o', 's', 0, 0), ('r2', 'organization_auditor', 'auditor', 'o', null, 0, 0),
        ('r3', 'organization_user', 'member', 'o', null, 0, 0), ('r4', 'space_developer', 'tester', 'o', 't', 0, 0);
"#;

struct World {
    db: Db,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let world = Self { db, _dir: dir };
        world.write(|tx| Ok(tx.sql().execute_batch(SET_UP)?)).await;
        world
    }

    /// Does something in a transaction that has to work.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> T {
        self.db.write(work).await.expect("transaction")
    }

    /// The text of a refusal.
    async fn refusal<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> String {
        match self.db.write(work).await {
            Ok(_) => panic!("was not refused"),
            Err(error) => Error::detail(&error).to_owned(),
        }
    }
}

fn recorder() -> Recorder {
    Recorder {
        actor: Actor {
            guid: "u".to_owned(),
            kind: "user",
            name: "admin".to_owned(),
        },
        now: Timestamp::from_micros(1_000_000),
        guids: GuidSource::random(),
    }
}

fn may(space: &str) -> MaySupport {
    MaySupport::of_platform(recorder(), &SpaceGuid::from(space))
}

fn caller(name: &str) -> Caller {
    Caller {
        guid: UserGuid::from(name),
        name: name.to_owned(),
        email: String::new(),
        is_client: false,
        authority: if name == "admin" {
            Authority::Admin
        } else {
            Authority::Roles
        },
    }
}

const CONTEXT: RouteContext<'_> = RouteContext {
    system_domain: "cf.localhost",
    cause: Cause::Request,
};

/// Makes a route: space, domain, host, path.
fn make(tx: &WriteTx<'_>, place: [&str; 4]) -> Result<Route> {
    let [space, domain, host, path] = place;
    let space = model::spaces::find(tx, &space.into())?.expect("space");
    let domain = model::domains::find(tx, &domain.into())?.expect("domain");
    actions::routes::create(
        tx,
        &may(space.guid.as_str()),
        NewRoute::at(&space, &domain, host, path),
        CONTEXT,
    )
}

fn web(app: &str) -> NewDestination {
    NewDestination::web(AppGuid::from(app), None)
}

fn listed(tx: &WriteTx<'_>, who: &str, query: &str) -> Result<Vec<String>> {
    let query = ListQuery::parse(Some(query), &payload::routes::LIST)?;
    let found = model::routes::list_visible(tx, &caller(who), &query, None)?;
    assert_eq!(found.total, i64::try_from(found.rows.len()).expect("few"));
    let urls: BTreeSet<String> = found.rows.iter().map(Route::url).collect();
    Ok(urls.into_iter().collect())
}

#[tokio::test]
async fn a_place_is_given_once() {
    let world = World::new().await;
    world.write(|tx| make(tx, ["s", "d", "shop", ""])).await;
    world.write(|tx| make(tx, ["s", "d", "shop", "/v1"])).await;
    world.write(|tx| make(tx, ["s", "mine", "", ""])).await;
    let other_space = "Routes of host 'shop' and domain 'cf.localhost' belong to another space, and all their paths \
                       must stay in it.";
    let cases = [
        (
            ["s", "d", "SHOP", ""],
            "Route already exists with host 'SHOP' for domain 'cf.localhost'.",
        ),
        (
            ["t", "d", "shop", "/v1"],
            "Route already exists with host 'shop' and path '/v1' for domain 'cf.localhost'.",
        ),
        (
            ["s", "mine", "", ""],
            "Route already exists for domain 'example.com'.",
        ),
        (["t", "d", "shop", "/v2"], other_space),
        (
            ["s", "theirs", "x", ""],
            "Invalid domain. Domain 'example.org' is not available in organization 'org'.",
        ),
        (
            ["s", "d", "api", ""],
            "Route conflicts with a reserved system route.",
        ),
    ];
    for (place, text) in cases {
        assert_eq!(world.refusal(move |tx| make(tx, place)).await, text);
    }
    // Paths of a private domain may be given to other spaces.
    world.write(|tx| make(tx, ["t", "mine", "", "/t"])).await;
}

#[tokio::test]
async fn quotas_limit_routes() {
    let world = World::new().await;
    for host in ["a", "b", "c", "e", "f"] {
        world.write(move |tx| make(tx, ["s", "d", host, ""])).await;
    }
    assert_eq!(
        world.refusal(|tx| make(tx, ["t", "d", "g", ""])).await,
        "Routes quota exceeded for organization 'org'."
    );
    world
        .write(|tx| {
            Ok(tx.sql().execute_batch(
                "update organization_quotas set total_routes = null;
                 insert into space_quotas (guid, name, organization_guid, total_routes, created_at, updated_at)
                     values ('z', 'small', 'o', 5, 0, 0);
                 update spaces set quota_guid = 'z' where guid = 's';",
            )?)
        })
        .await;
    assert_eq!(
        world.refusal(|tx| make(tx, ["s", "d", "g", ""])).await,
        "Routes quota exceeded for space 'dev'."
    );
    world.write(|tx| make(tx, ["t", "d", "g", ""])).await;
}

#[tokio::test]
async fn an_empty_filter_value_asks_for_emptiness() {
    let world = World::new().await;
    for place in [
        ["s", "d", "shop", ""],
        ["s", "d", "shop", "/v1"],
        ["s", "mine", "", ""],
        ["t", "mine", "far", ""],
    ] {
        world.write(move |tx| make(tx, place)).await;
    }
    let cases: [(&str, &[&str]); 11] = [
        ("hosts=&paths=&domain_guids=mine", &["example.com"]),
        ("hosts=shop&paths=", &["shop.cf.localhost"]),
        ("hosts=SHOP&paths=/v1&ports=", &["shop.cf.localhost/v1"]),
        ("hosts=", &["example.com"]),
        ("ports=8080", &[]),
        ("ports=x", &[]),
        ("space_guids=t", &["far.example.com"]),
        ("organization_guids=p", &[]),
        ("app_guids=a", &[]),
        ("service_instance_guids=x", &[]),
        ("label_selector=env", &[]),
    ];
    for (query, urls) in cases {
        let found = world.write(move |tx| listed(tx, "admin", query)).await;
        assert_eq!(found, urls, "{query}");
    }
}

#[tokio::test]
async fn routes_are_seen_by_those_of_the_space_and_auditors() {
    let world = World::new().await;
    let route = world.write(|tx| make(tx, ["s", "d", "shop", ""])).await;
    for (who, sees) in [
        ("admin", true),
        ("dev", true),
        ("auditor", true),
        ("member", false),
        ("tester", false),
    ] {
        let guid = route.guid.clone();
        let (one, all) = world
            .write(move |tx| {
                let one = model::routes::find_visible(tx, &caller(who), &guid)?.is_some();
                Ok((one, listed(tx, who, "")?.len()))
            })
            .await;
        assert_eq!((one, all), (sees, usize::from(sees)), "{who}");
    }
    world
        .write(move |tx| model::routes::share(tx, &route.guid, &SpaceGuid::from("t")))
        .await;
    let shared = world
        .write(|tx| listed(tx, "tester", "space_guids=t"))
        .await;
    assert_eq!(shared, ["shop.cf.localhost"]);
}

#[tokio::test]
async fn mapping_adds_once_and_replacing_keeps_what_stays() {
    let world = World::new().await;
    let route = world.write(|tx| make(tx, ["s", "d", "shop", ""])).await;
    let keys = world
        .write({
            let route = route.clone();
            move |tx| {
                let map = |wanted: &[NewDestination]| {
                    actions::destinations::map(tx, &may("s"), &route, wanted, Cause::Manifest)
                };
                map(&[web("a"), web("b")])?;
                map(&[web("a")])?;
                let mut worker = web("a");
                worker.port = Some(9000);
                worker.protocol = Some(Protocol::Http2);
                actions::destinations::replace(
                    tx,
                    &may("s"),
                    &route,
                    &[web("b"), worker],
                    Cause::Request,
                )?;
                let all = model::destinations::of_route(tx, &route.guid)?;
                let mut keys: Vec<_> = all
                    .into_iter()
                    .map(|d| {
                        (
                            d.key.app_guid.to_string(),
                            d.key.port,
                            d.shown_port,
                            d.protocol,
                        )
                    })
                    .collect();
                keys.sort_by(|x, y| x.0.cmp(&y.0));
                Ok(keys)
            }
        })
        .await;
    let expected = [
        ("a".to_owned(), 9000, 9000, Protocol::Http2),
        ("b".to_owned(), 0, 3000, Protocol::Http1),
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn the_spaces_of_route_and_app_decide_who_maps_and_unmaps() {
    let world = World::new().await;
    let made = world.write(|tx| make(tx, ["s", "d", "shop", ""])).await;
    let guid = made.guid.clone();
    world
        .write(move |tx| model::routes::share(tx, &guid, &"t".into()))
        .await;
    // Maps an app with a proof for a space, and unmaps all its destinations.
    let done = async |space: &'static str, app: &'static str| {
        let route = made.clone();
        let work = move |tx: &WriteTx<'_>| {
            actions::destinations::map(tx, &may(space), &route, &[web(app)], Cause::Request)?;
            for found in model::destinations::of_route(tx, &route.guid)? {
                actions::destinations::unmap(tx, &may(space), &route, &found, Cause::Request)?;
            }
            Ok(())
        };
        world
            .db
            .write(work)
            .await
            .map_err(|error: Error| error.kind())
    };
    assert_eq!(done("s", "a").await, Ok(()));
    assert_eq!(done("s", "c").await, Ok(()));
    assert_eq!(done("t", "c").await, Ok(()));
    assert_eq!(done("t", "b").await, Err(Kind::ServerError));
}

#[tokio::test]
async fn what_cannot_be_a_destination_is_refused() {
    let world = World::new().await;
    let route = world
        .write(|tx| {
            let route = make(tx, ["s", "d", "shop", ""])?;
            actions::destinations::map(tx, &may("s"), &route, &[web("b")], Cause::Request)?;
            Ok(route)
        })
        .await;
    let cases = [
        (
            web("c"),
            "Routes destinations must be in either the route's space or the route's shared spaces",
        ),
        (web("x"), "App(s) with guid(s) \"x\" do not exist."),
        (
            NewDestination::web("b".into(), Some(Protocol::Tcp)),
            "Cannot add destination with protocol: tcp. Destination already exists for route: shop.cf.localhost, app: b, \
             process: web, and protocol: http1.",
        ),
        (
            NewDestination::web("a".into(), Some(Protocol::Tcp)),
            "Cannot use 'tcp' protocol for http routes; valid options are: [http1, http2].",
        ),
    ];
    for (wanted, text) in cases {
        let route = route.clone();
        let refusal = world
            .refusal(move |tx| {
                actions::destinations::map(tx, &may("s"), &route, &[wanted], Cause::Request)
            })
            .await;
        assert_eq!(refusal, text);
    }
}

#[tokio::test]
async fn what_is_done_is_recorded_and_goes_with_the_route() {
    let world = World::new().await;
    let events = world
        .write(|tx| {
            let route = make(tx, ["s", "d", "shop", ""])?;
            actions::destinations::map(tx, &may("s"), &route, &[web("a")], Cause::Manifest)?;
            make(tx, ["s", "d", "idle", ""])?;
            actions::routes::delete_unmapped(tx, &may("s"), &SpaceGuid::from("s"))?;
            assert_eq!(listed(tx, "admin", "")?, ["shop.cf.localhost"]);
            actions::routes::delete_in_space(tx, &may("s"), &SpaceGuid::from("s"))?;
            assert!(listed(tx, "admin", "")?.is_empty());
            let mut statement = tx
                .sql()
                .prepare("select type, target_type, data from audit_events order by id")?;
            let rows = statement.query_map([], |row| {
                let data: String = row.get(2)?;
                let data: Value = serde_json::from_str(&data).unwrap_or_default();
                let by_manifest = data.get("manifest_triggered") == Some(&json!(true));
                Ok((
                    row.get::<_, String>(0)?,
                    row.get::<_, String>(1)?,
                    by_manifest,
                ))
            })?;
            Ok(rows.collect::<rusqlite::Result<Vec<_>>>()?)
        })
        .await;
    let expected = [
        ("audit.route.create", "route", false),
        ("audit.app.map-route", "app", true),
        ("audit.route.create", "route", false),
        ("audit.route.delete-request", "route", false),
        ("audit.app.unmap-route", "app", false),
        ("audit.route.delete-request", "route", false),
    ];
    let expected =
        expected.map(|(kind, target, manifest)| (kind.to_owned(), target.to_owned(), manifest));
    assert_eq!(events, expected);
}

#[tokio::test]
async fn a_manifest_finds_the_route_that_is_there() {
    let world = World::new().await;
    let find = |who: &'static str, space: &'static str, host: &'static str, options: Value| {
        move |tx: &WriteTx<'_>| {
            let space = model::spaces::find(tx, &space.into())?.expect("space");
            let domain = model::domains::find(tx, &"d".into())?.expect("domain");
            let mut new = NewRoute::at(&space, &domain, host, "");
            new.options = OptionsChange::of(options.as_object().cloned().unwrap_or_else(Map::new));
            actions::routes::find_or_create(
                tx,
                &may(space.guid.as_str()),
                &caller(who),
                new,
                CONTEXT,
            )
        }
    };
    let made = world.write(find("dev", "s", "shop", json!({}))).await;
    let again = json!({ "loadbalancing": "least-connection" });
    let found = world.write(find("dev", "s", "shop", again)).await;
    assert_eq!(found.guid, made.guid);
    assert_eq!(
        found.options.get("loadbalancing"),
        Some(&json!("least-connection"))
    );
    assert_eq!(
        world.refusal(find("tester", "t", "shop", json!({}))).await,
        "Routes cannot be mapped to destinations in different spaces"
    );
    assert_eq!(
        world.refusal(find("dev", "s", "*", json!({}))).await,
        "You are not authorized to perform the requested action"
    );
    // A space the route is shared with may change its options, too.
    let guid = made.guid.clone();
    world
        .write(move |tx| model::routes::share(tx, &guid, &"t".into()))
        .await;
    let shared = json!({ "loadbalancing": "round-robin" });
    let found = world.write(find("tester", "t", "shop", shared)).await;
    assert_eq!(
        found.options.get("loadbalancing"),
        Some(&json!("round-robin"))
    );
}

#[tokio::test]
async fn a_route_as_clients_see_it() {
    let world = World::new().await;
    let (body, guid) = world
        .write(|tx| {
            let route = make(tx, ["s", "d", "shop", "/v1"])?;
            actions::destinations::map(tx, &may("s"), &route, &[web("b")], Cause::Request)?;
            let urls = Urls::new("http://localhost");
            let query = ListQuery::parse_single(
                Some("include=domain,space.organization"),
                payload::routes::INCLUDES,
                &[],
            )?;
            let body = presenter::present_from(tx, &route, &urls)?;
            let guid = route.guid.clone();
            let admin = caller("admin");
            let included = presenter::included(tx, &admin, &urls, &query, &[route])?;
            let body = with_included(body, included);
            Ok((body, guid))
        })
        .await;
    assert_eq!(body["guid"], json!(guid));
    assert_eq!(body["url"], "shop.cf.localhost/v1");
    assert_eq!(body["port"], Value::Null);
    assert_eq!(body["options"], json!({}));
    assert_eq!(body["destinations"][0]["port"], 3000);
    assert_eq!(body["destinations"][0]["app"]["process"]["type"], "web");
    assert_eq!(body["included"]["domains"][0]["name"], "cf.localhost");
    assert_eq!(body["included"]["organizations"][0]["name"], "org");
    assert!(body["included"].get("spaces").is_none());
}
