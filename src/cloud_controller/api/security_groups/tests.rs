//! Security groups over a real database.

use crate::cloud_controller::error::Result;
use serde_json::json;

use super::presenter;
use crate::base::guid::{SecurityGroupGuid, SpaceGuid, UserGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::access::{Authority, Caller};
use crate::cloud_controller::model::security_groups::{Lifecycle, Switches};
use crate::cloud_controller::query::ListQuery;
use crate::cloud_controller::v3::Urls;
use crate::cloud_controller::{actions, model, payload};
use crate::db::Db;

const SET_UP: &str = "
    insert into organization_quotas (guid, name, created_at, updated_at) values ('q', 'test', 0, 0);
    insert into organizations (guid, name, quota_guid, created_at, updated_at) values ('o', 'org', 'q', 0, 0);
    insert into spaces (guid, name, organization_guid, created_at, updated_at) values
        ('s', 'dev', 'o', 0, 0), ('t', 'test', 'o', 0, 0);
    insert into roles (guid, type, user_guid, organization_guid, space_guid, created_at, updated_at) values
        ('1', 'space_developer', 'dev', 'o', 's', 0, 0);
    insert into security_groups (guid, name, created_at, updated_at) values ('g', 'of-s', 0, 0), ('h', 'of-t', 0, 0);
    insert into security_group_spaces (security_group_guid, space_guid, lifecycle) values
        ('g', 's', 'running'), ('h', 't', 'running');";

fn developer() -> Caller {
    Caller {
        guid: UserGuid::from("dev"),
        name: "dev".to_owned(),
        email: String::new(),
        is_client: false,
        authority: Authority::Roles,
    }
}

#[tokio::test]
async fn groups_for_all_and_those_of_visible_spaces_are_seen() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let db = Db::open(&dir.path().join("cflite.db")).expect("database");
    let dev = developer();
    let done: Result<()> = db
        .write(move |tx| {
            tx.sql().execute_batch(SET_UP)?;
            for _ in 0..2 {
                actions::security_groups::ensure_defaults(
                    tx,
                    Timestamp::from_micros(1),
                    &GuidSource::random(),
                )?;
            }
            let switches = |running, staging| Switches { running, staging };
            let names = |query: &str, switches| -> Result<Vec<String>> {
                let query = ListQuery::parse(Some(query), &payload::security_groups::LIST)?;
                let found = model::security_groups::list_visible(tx, &dev, &query, switches)?;
                Ok(found.rows.into_iter().map(|group| group.name).collect())
            };
            let mut all = names("", Switches::default())?;
            all.sort();
            assert_eq!(all, ["dns", "of-s", "public_networks"]);
            let both = switches(Some(true), Some(true));
            assert_eq!(names("names=dns", both)?, ["dns"]);
            assert_eq!(names("", switches(Some(false), None))?, ["of-s"]);
            assert_eq!(
                names("running_space_guids=s", Switches::default())?,
                ["of-s"]
            );
            assert!(names("staging_space_guids=s", Switches::default())?.is_empty());
            let query = ListQuery::parse(None, &payload::security_groups::LIST_OF_SPACE)?;
            let space = SpaceGuid::from("s");
            let running =
                model::security_groups::list_of_space(tx, &space, Lifecycle::Running, &query)?;
            let staging =
                model::security_groups::list_of_space(tx, &space, Lifecycle::Staging, &query)?;
            assert_eq!((running.total, staging.total), (3, 2));
            let guid = SecurityGroupGuid::from("g");
            let groups = [model::security_groups::get_visible(tx, &dev, &guid)?];
            let bound = model::security_groups::bound(tx, &dev, &groups)?;
            let urls = Urls::new("http://localhost");
            let body = presenter::present(&groups[0], &bound, &urls)?;
            assert_eq!(
                body["relationships"]["running_spaces"]["data"],
                json!([{ "guid": "s" }])
            );
            assert_eq!(
                body["globally_enabled"],
                json!({ "running": false, "staging": false })
            );
            let hidden =
                model::security_groups::get_visible(tx, &dev, &SecurityGroupGuid::from("h"));
            assert_eq!(
                hidden.err().map(|e| e.detail().to_owned()).as_deref(),
                Some("Security group not found")
            );
            Ok(())
        })
        .await;
    done.expect("transaction");
}
