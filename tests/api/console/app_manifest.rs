//! The tab with an app's manifest.

use serde_json::json;

use super::browser::Browser;
use super::shop::done;
use crate::tasks::runnable;

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_is_masked_edited_compared_and_applied() -> anyhow::Result<()> {
    let (app, admin, guid, space) = runnable().await;
    let at = |path: &str| format!("/console/apps/{guid}/{path}");
    let variables = format!("/v3/apps/{guid}/environment_variables");
    let var = json!({ "var": { "KEY": "s3cret" } });
    admin.patch(&variables, &var).await?;
    let mut browser = Browser::sign_in(&app, "admin").await;
    let page = browser.get(&at("manifest")).await;
    assert!(page.text.contains("KEY"), "{}", page.text);
    assert!(!page.text.contains("s3cret"));
    let loaded = done(&browser.post(&at("manifest/load"), &[]).await);
    let text = loaded["reveal"].as_str().unwrap_or_default().to_owned();
    let written = admin.download(&format!("/v3/apps/{guid}/manifest")).await?;
    assert_eq!(text.as_bytes(), written, "as the API writes it");

    let same = [("manifest", text.as_str())];
    let same = done(&browser.post(&at("manifest/diff"), &same).await);
    assert_eq!(same["reveal"], "Applying it would change nothing.");
    let edited = text.replace("s3cret", "other");
    let form = [("manifest", edited.as_str())];
    let diff = done(&browser.post(&at("manifest/diff"), &form).await);
    assert_eq!(diff["reveal"], "~ env/KEY: s3cret → other");
    let shown = admin.get(&variables).await?;
    assert_eq!(shown.body["var"]["KEY"], "s3cret", "a diff changes nothing");
    done(&browser.post(&at("manifest/apply"), &form).await);
    let shown = admin.get(&variables).await?;
    assert_eq!(shown.body["var"]["KEY"], "other");

    for bad in ["", "applications: [", "applications:\n- name: else\n"] {
        let refused = browser
            .post(&at("manifest/apply"), &[("manifest", bad)])
            .await;
        assert_eq!(refused.status, 422, "{bad}: {refused:?}");
        assert_eq!(refused.json()["errors"][0]["field"], "manifest", "{bad}");
    }
    let organization = admin.get(&format!("/v3/spaces/{space}")).await?;
    let organization = organization.text("/relationships/organization/data/guid");
    app.member(("auditor", "space_auditor"), (organization, &space))
        .await?;
    let mut auditor = Browser::sign_in(&app, "auditor").await;
    let seen = auditor.get(&at("manifest")).await;
    assert_eq!(seen.status, 200);
    assert!(!seen.text.contains("KEY"), "{}", seen.text);
    assert_eq!(auditor.post(&at("manifest/load"), &[]).await.status, 403);
    assert_eq!(auditor.post(&at("manifest/apply"), &form).await.status, 403);
    Ok(())
}
