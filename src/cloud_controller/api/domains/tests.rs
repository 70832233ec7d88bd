//! Domains over a real database.

use serde_json::{Value, json};

use crate::base::guid::{OrganizationGuid, UserGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::{Authority, Caller};
use crate::cloud_controller::actions::domains::Reach;
use crate::cloud_controller::api::domains::presenter::present_from;
use crate::cloud_controller::body::Body;
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model::audit_events::{Actor, Recorder};
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::permits::{MayCreateDomain, MayManage};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::Urls;
use crate::cloud_controller::{actions, flows, model, payload};
use crate::db::{Db, WriteTx};

const SET_UP: &str = "
    insert into organization_quotas (guid, name, total_domains, created_at, updated_at) values ('q', 'test', 3, 0, 0);
    insert into organizations (guid, name, quota_guid, suspended, created_at, updated_at) values
        ('o', 'org', 'q', 0, 0, 0), ('p', 'other', 'q', 0, 1, 1), ('z', 'asleep', 'q', 1, 2, 2);
    insert into spaces (guid, name, organization_guid, created_at, updated_at) values
        ('s', 'dev', 'o', 0, 0), ('t', 'dev', 'p', 0, 0);
    insert into roles (guid, type, user_guid, organization_guid, space_guid, created_at, updated_at) values
        ('1', 'organization_manager', 'manager', 'o', null, 0, 0), ('2', 'space_developer', 'dev', 'o', 's', 0, 0),
        ('3', 'organization_user', 'member', 'o', null, 0, 0), ('4', 'organization_auditor', 'guest', 'p', null, 0, 0);";

async fn world() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    write(&db, |tx| {
        tx.sql().execute_batch(SET_UP)?;
        for (name, reach) in [
            ("cf.localhost", Reach::Public),
            ("apps.internal", Reach::Internal),
        ] {
            for _ in 0..2 {
                actions::domains::ensure_shared(tx, name, reach, now(), &GuidSource::random())?;
            }
        }
        Ok(())
    })
    .await;
    (dir, db)
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_000_000)
}

async fn write<T: Send + 'static>(
    db: &Db,
    work: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
) -> T {
    db.write(work).await.expect("transaction")
}

fn recorder() -> Recorder {
    Recorder {
        actor: Actor {
            guid: "u".to_owned(),
            kind: "user",
            name: "admin".to_owned(),
        },
        now: now(),
        guids: GuidSource::random(),
    }
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

/// Makes a domain of an organization, or a shared one.
fn make(tx: &WriteTx<'_>, name: &str, owner: Option<&str>) -> Result<Domain> {
    let mut body = json!({ "name": name });
    if let Some(owner) = owner {
        body["relationships"] = json!({ "organization": { "data": { "guid": owner } } });
    }
    let Value::Object(map) = body else {
        panic!("an object");
    };
    let wanted = payload::domains::create(Body::new(map))?;
    let owner = wanted.organization.as_ref();
    let may = MayCreateDomain::check(tx, &caller("admin"), recorder(), owner)?;
    actions::domains::create(tx, &may, &[], wanted, "cf.localhost")
}

#[tokio::test]
async fn a_name_takes_nothing_from_others() {
    let (_dir, db) = world().await;
    write(&db, |tx| {
        make(tx, "example.com", Some("o"))?;
        make(tx, "deep.example.net", Some("o"))?;
        // Below an own domain, and below a shared one.
        make(tx, "sub.example.com", Some("o"))?;
        tx.sql().execute_batch(
            "insert into routes (guid, space_guid, domain_guid, host, created_at, updated_at) \
             select 'r', 's', guid, 'shop', 0, 0 from domains where name = 'cf.localhost'",
        )?;
        Ok(())
    })
    .await;
    let cases = [
        (
            "Example.com",
            Some("p"),
            "The domain name \"Example.com\" is already in use",
        ),
        (
            "x.example.com",
            Some("p"),
            "The domain name \"x.example.com\" cannot be created because \"example.com\" is already reserved by another \
             domain",
        ),
        (
            "x.example.com",
            None,
            "The domain name \"x.example.com\" cannot be created because \"example.com\" is already reserved by another \
             domain",
        ),
        (
            "example.net",
            Some("p"),
            "The domain name \"example.net\" cannot be created because \"deep.example.net\" is already reserved by \
             another domain",
        ),
        (
            "a.shop.cf.localhost",
            Some("p"),
            "The domain name \"a.shop.cf.localhost\" cannot be created because \"shop.cf.localhost\" is already \
             reserved by a route",
        ),
        (
            "uaa.cf.localhost",
            Some("p"),
            "The domain name \"uaa.cf.localhost\" cannot be created because \"uaa.cf.localhost\" is already reserved by \
             the system",
        ),
        (
            "fourth.example.edu",
            Some("o"),
            "The number of private domains exceeds the quota for organization \"org\"",
        ),
    ];
    for (name, owner, text) in cases {
        let refused = db.write(move |tx| make(tx, name, owner)).await;
        assert_eq!(refused.expect_err(name).detail(), text);
    }
}

#[tokio::test]
async fn private_domains_are_seen_by_owners_and_guests_with_a_say() {
    let (_dir, db) = world().await;
    let domain = write(&db, |tx| make(tx, "example.com", Some("o"))).await;
    let guid = domain.guid.clone();
    let seen = move |tx: &WriteTx<'_>, who: &str| {
        let query = ListQuery::parse(None, &payload::domains::LIST)?;
        let one = model::domains::find_visible(tx, &caller(who), &guid)?.is_some();
        let all = model::domains::list_visible(tx, &caller(who), &query)?
            .rows
            .len();
        let organization = OrganizationGuid::from("o");
        let of_organization =
            model::domains::list_of_organization(tx, &caller(who), &organization, &query)?;
        assert_eq!(one, all == 3, "{who}");
        Ok::<_, Error>((one, of_organization.rows.len()))
    };
    let before = seen.clone();
    write(&db, move |tx| {
        for who in ["admin", "manager", "dev"] {
            assert_eq!(before(tx, who)?, (true, 3), "{who}");
        }
        assert_eq!(before(tx, "member")?, (false, 2));
        assert_eq!(before(tx, "guest")?, (false, 2));
        Ok(())
    })
    .await;
    write(&db, move |tx| {
        let other = OrganizationGuid::from("p");
        assert!(!model::domains::usable_by(tx, &domain, &other)?);
        model::domains::share(tx, &domain.guid, &other)?;
        assert!(model::domains::usable_by(tx, &domain, &other)?);
        assert!(model::domains::is_shared_with_any(tx, &domain.guid)?);
        assert!(seen(tx, "guest")?.0);
        let body = present_from(
            tx,
            &caller("admin"),
            &domain,
            &Urls::new("http://localhost"),
        )?;
        let relationships = json!({
            "organization": { "data": { "guid": "o" } },
            "shared_organizations": { "data": [{ "guid": "p" }] },
        });
        assert_eq!(body["relationships"], relationships);
        assert_eq!(body["supported_protocols"], json!(["http"]));
        model::domains::unshare(tx, &domain.guid, &other)?;
        assert!(!model::domains::is_shared_with(tx, &domain.guid, &other)?);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn guests_have_to_be_managed_by_who_shares() {
    let (_dir, db) = world().await;
    let cases = [
        (
            "admin",
            "x",
            "Organization with guid 'x' does not exist, or you do not have access to it.",
        ),
        (
            "manager",
            "p",
            "Organization with guid 'p' either does not exist, or you do not have access to it.",
        ),
        (
            "guest",
            "p",
            "You do not have sufficient permissions for organization 'other' to share domain.",
        ),
        (
            "admin",
            "o",
            "Domain cannot be shared with owning organization.",
        ),
    ];
    for (who, guest, text) in cases {
        let refused = db
            .write(move |tx| {
                let (caller, owner) = (caller(who), "o".into());
                let guests = [guest.into()];
                actions::domains::guests(tx, &caller, &recorder(), &guests, Some(&owner)).map(drop)
            })
            .await;
        assert_eq!(refused.expect_err(text).detail(), text);
    }
}

#[tokio::test]
async fn the_default_domain_is_the_first_the_router_serves() {
    let (_dir, db) = world().await;
    write(&db, |tx| {
        make(tx, "example.com", Some("o"))?;
        let organization = OrganizationGuid::from("o");
        let default = model::domains::default_of(tx, &organization)?.map(|d| d.name);
        assert_eq!(default.as_deref(), Some("cf.localhost"));
        tx.sql()
            .execute_batch("delete from domains where name = 'cf.localhost'")?;
        let default = model::domains::default_of(tx, &organization)?.map(|d| d.name);
        assert_eq!(default.as_deref(), Some("example.com"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_organizations_domains_go_with_their_routes() {
    let (_dir, db) = world().await;
    write(&db, |tx| {
        let domain = make(tx, "example.com", Some("o"))?;
        let sql = "insert into routes (guid, space_guid, domain_guid, host, created_at, updated_at) \
                   values ('r', 's', ?1, 'shop', 0, 0)";
        tx.sql().execute(sql, [&domain.guid])?;
        let organization = OrganizationGuid::from("o");
        let may = MayManage::check(tx, &caller("admin"), recorder(), &organization)?;
        flows::deletion::private_domains_of(tx, &may, &organization)?;
        assert!(model::domains::find(tx, &domain.guid)?.is_none());
        assert!(model::domains::find_by_name(tx, "cf.localhost")?.is_some());
        Ok(())
    })
    .await;
}
