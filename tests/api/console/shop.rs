//! A platform with one app, and what its pages answered.

use cflite::testing::{TestApp, TestClient, app_in_space, organization_and_space};
use serde_json::{Value, json};

use super::browser::{Browser, Page};

/// A platform with an app `shop` in a space of the organization `acme`.
pub(super) struct Shop {
    pub(super) app: TestApp,
    pub(super) admin: TestClient,
    pub(super) organization: String,
    pub(super) space: String,
    pub(super) guid: String,
}

impl Shop {
    pub(super) async fn open() -> anyhow::Result<Self> {
        Self::on(TestApp::start().await?).await
    }

    pub(super) async fn on(app: TestApp) -> anyhow::Result<Self> {
        let admin = app.admin().await?;
        let (organization, space) = organization_and_space(&admin, "acme").await?;
        let guid = app_in_space(&admin, &space, "shop").await?;
        Ok(Self {
            app,
            admin,
            organization,
            space,
            guid,
        })
    }

    /// A user with a role in the space, signed in.
    pub(super) async fn browser(&self, role: &str) -> anyhow::Result<Browser> {
        let place = (self.organization.as_str(), self.space.as_str());
        self.app.member((role, role), place).await?;
        Ok(Browser::sign_in(&self.app, role).await)
    }

    pub(super) fn page(&self, tab: &str) -> String {
        format!("/console/apps/{}/{tab}", self.guid)
    }

    pub(super) fn api(&self, path: &str) -> String {
        format!("/v3/apps/{}{path}", self.guid)
    }

    pub(super) async fn variables(&self) -> anyhow::Result<Value> {
        let shown = self.admin.get(&self.api("/environment_variables")).await?;
        Ok(shown.body["var"].clone())
    }

    /// The number of audit events of a type about the app.
    pub(super) async fn events(&self, kind: &str) -> anyhow::Result<Value> {
        let path = format!(
            "/v3/audit_events?target_guids={}&types={kind}&per_page=1",
            self.guid
        );
        let found = self.admin.get(&path).await?;
        Ok(found.body["pagination"]["total_results"].clone())
    }

    pub(super) async fn with_variables(&self, variables: Value) -> anyhow::Result<()> {
        let path = self.api("/environment_variables");
        let set = self
            .admin
            .patch(&path, &json!({ "var": variables }))
            .await?;
        anyhow::ensure!(set.status == 200, "{set:?}");
        Ok(())
    }
}

/// What a change told a script.
pub(super) fn done(page: &Page) -> Value {
    assert_eq!(page.status, 200, "{page:?}");
    page.json()
}

/// Status and first error of a refused change.
pub(super) fn refusal(page: &Page) -> (u16, String) {
    let detail = page.json()["errors"][0]["detail"].clone();
    (page.status, detail.as_str().unwrap_or_default().to_owned())
}
