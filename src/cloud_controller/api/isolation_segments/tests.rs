//! Isolation segments over a real database.

use crate::cloud_controller::error::Result;
use serde_json::json;

use super::presenter;
use crate::base::Timestamp;
use crate::base::guid::{IsolationSegmentGuid, UserGuid};
use crate::cloud_controller::access::{Authority, Caller};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::Urls;
use crate::cloud_controller::{actions, model, payload};
use crate::db::Db;

const SET_UP: &str = "
    insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'test', 0, 0);
    insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'org', 'q', 0, 0);
    insert into isolation_segments (guid, name, created_at, updated_at) values ('i', 'fast', 0, 0);
    insert into isolation_segment_organizations (isolation_segment_guid, organization_guid) values ('i', 'o');
    insert into spaces (guid, name, organization_guid, isolation_segment_guid, created_at, updated_at) values
        ('s', 'dev', 'o', 'i', 0, 0);
    insert into roles (guid, type, user_guid, organization_guid, created_at, updated_at) values
        ('1', 'organization_manager', 'manager', 'o', 0, 0);";

fn caller(name: &str, authority: Authority) -> Caller {
    Caller {
        guid: UserGuid::from(name),
        name: name.to_owned(),
        email: String::new(),
        is_client: false,
        authority,
    }
}

#[tokio::test]
async fn segments_are_seen_by_organizations_that_may_use_them() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let done: Result<()> = db
        .write(|tx| {
            tx.sql().execute_batch(SET_UP)?;
            for _ in 0..2 {
                actions::isolation_segments::ensure_shared(tx, Timestamp::from_micros(1))?;
            }
            let names = |who: &Caller, query: &str| -> Result<Vec<String>> {
                let query = ListQuery::parse(Some(query), &payload::isolation_segments::LIST)?;
                let found = model::isolation_segments::list_visible(tx, who, &query)?;
                Ok(found.rows.into_iter().map(|segment| segment.name).collect())
            };
            let guid = IsolationSegmentGuid::from("i");
            let admin = caller("admin", Authority::Admin);
            let manager = caller("manager", Authority::Roles);
            let stranger = caller("stranger", Authority::Roles);
            assert_eq!(names(&admin, "order_by=name")?, ["fast", "shared"]);
            assert_eq!(names(&admin, "organization_guids=o")?, ["fast"]);
            assert_eq!(names(&manager, "")?, ["fast"]);
            assert!(names(&stranger, "")?.is_empty());
            assert_eq!(
                model::isolation_segments::organizations(tx, &manager, &guid)?,
                ["o"]
            );
            assert_eq!(
                model::isolation_segments::spaces(tx, &manager, &guid)?,
                ["s"]
            );
            let query = ListQuery::parse(
                Some("names=org"),
                &payload::isolation_segments::LIST_ORGANIZATIONS,
            )?;
            assert_eq!(
                model::isolation_segments::list_organizations(tx, &manager, &guid, &query)?.rows,
                ["o"]
            );
            let segment = model::isolation_segments::get_visible(tx, &manager, &guid)?;
            let body = presenter::present_from(tx, &segment, &Urls::new("http://localhost"))?;
            assert_eq!(body["metadata"], json!({ "labels": {}, "annotations": {} }));
            Ok(())
        })
        .await;
    done.expect("transaction");
}
