//! `VCAP_APPLICATION`: what an app learns about itself.

use serde_json::{Map, Value, json};

use crate::cloud_controller::flows::desired::NewTask;
use crate::cloud_controller::model::apps::App;
use crate::cloud_controller::model::processes::{DEFAULT_DISK, FILE_DESCRIPTORS, Process};
use crate::cloud_controller::model::spaces::Space;

/// What all forms of it share.
pub(crate) struct Facts<'a> {
    pub cf_api: &'a str,
    pub app: &'a App,
    pub space: &'a Space,
    /// Without scheme.
    pub uris: &'a [String],
}

impl Facts<'_> {
    fn common(&self) -> Map<String, Value> {
        let Self {
            cf_api,
            app,
            space,
            uris,
        } = self;
        let mut all = Map::new();
        let mut add = |name: &str, value: Value| all.insert(name.to_owned(), value);
        add("cf_api", json!(cf_api));
        add("limits", json!({ "fds": FILE_DESCRIPTORS }));
        add("application_name", json!(app.name));
        add("application_uris", json!(uris));
        add("name", json!(app.name));
        add("space_name", json!(space.name));
        add("space_id", json!(space.guid));
        add("organization_id", json!(space.organization_guid));
        add("organization_name", json!(space.organization_name));
        add("uris", json!(uris));
        all
    }

    /// As `cf env` shows it.
    pub(crate) fn of_app(&self) -> Value {
        let mut all = self.common();
        all.insert("users".to_owned(), Value::Null);
        all.insert("application_id".to_owned(), json!(self.app.guid));
        Value::Object(all)
    }

    /// As tasks find it; the disk is the platform's default, as on Cloud Controller.
    pub(crate) fn of_task(&self, task: &NewTask<'_>, version: &str) -> Value {
        let mut all = self.common();
        let mut add = |name: &str, value: Value| all.insert(name.to_owned(), value);
        add(
            "limits",
            json!({ "fds": FILE_DESCRIPTORS, "mem": task.memory, "disk": DEFAULT_DISK }),
        );
        add("users", Value::Null);
        add("application_id", json!(self.app.guid));
        add("version", json!(version));
        add("application_version", json!(version));
        Value::Object(all)
    }

    /// As instances of a process find it; `memory` is the process's own, without its sidecars'.
    pub(crate) fn of_process(&self, process: &Process, memory: i64) -> Value {
        let mut all = self.common();
        let mut add = |name: &str, value: Value| all.insert(name.to_owned(), value);
        add(
            "limits",
            json!({ "fds": FILE_DESCRIPTORS, "mem": memory, "disk": process.disk }),
        );
        add("process_id", json!(process.guid));
        add("process_type", json!(process.kind));
        add("application_id", json!(process.app_guid));
        add("version", json!(process.version));
        add("application_version", json!(process.version));
        Value::Object(all)
    }
}
