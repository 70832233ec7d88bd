//! Pushing from the browser: a folder, a zip, a Docker image or a sample.
//!
//! The page sends what is pushed; the platform applies a manifest, stores the package, and goes on
//! by itself: it stages the package, makes the droplet the current one and starts the app
//! ([`run`]). What was done is in rows, so the page of a push can be closed and opened again, and a
//! push that the platform's end interrupted is continued from there ([`progress`]).

mod package;
mod progress;
mod run;
mod upload;
mod zip;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::app::AppHead;
use super::apps::{Choice, spaces};
use crate::web::Console;
use crate::web::api::jobs::Progress;
use crate::web::api::models::{Named, Space};
use crate::web::api::{Api, Body};
use crate::web::fmt;
use crate::web::form::Fields;
use crate::web::frame::Frame;
use crate::web::guard::Change;
use crate::web::outcome::Outcome;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;

pub(in crate::web) use run::Pushes;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/push", get(form))
        .route(
            "/console/push/files",
            post(upload::files).layer(DefaultBodyLimit::disable()),
        )
        .route("/console/push/image", post(image))
        .route("/console/push/sample", post(sample))
        .route("/console/apps/{guid}/pushes/{package}", get(progress::page))
        .route(
            "/console/apps/{guid}/pushes/{package}/continue",
            post(go_on),
        )
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    space: String,
    #[serde(default)]
    app: String,
}

#[derive(Template)]
#[template(path = "console/push/form.html")]
struct Page {
    frame: Frame,
    spaces: Vec<Choice>,
    space: String,
    app: String,
    buildpacks: Vec<String>,
}

async fn form(visitor: Visitor, Query(asked): Query<Asked>) -> Result<Response, Refused> {
    let buildpacks = visitor
        .api
        .all::<Named>("/v3/buildpacks?order_by=position", 1);
    let (spaces, buildpacks) = tokio::try_join!(spaces(&visitor), buildpacks)?;
    let mut buildpacks: Vec<String> = buildpacks
        .resources
        .into_iter()
        .map(|one| one.name)
        .collect();
    buildpacks.dedup();
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        spaces,
        space: asked.space,
        app: asked.app,
        buildpacks,
    })
}

/// An app as a manifest names it.
pub(super) struct Wanted {
    space: String,
    name: String,
    manifest: Value,
    /// The command that pushes the same.
    command: String,
}

impl Wanted {
    /// Reads the common fields of the forms.
    fn read(fields: &Fields, image: Option<&str>) -> Result<Self, Refused> {
        let space = fields.required("space", "Space")?.to_owned();
        let name = fields.required("name", "Name")?.to_owned();
        let mut app = Map::from_iter([("name".to_owned(), json!(name))]);
        let mut command = format!("cf push {}", fmt::word(&name));
        if let Some(image) = image {
            app.insert("docker".to_owned(), json!({ "image": image }));
            command = format!("{command} --docker-image {}", fmt::word(image));
        }
        if let Some(memory) = fields.number("memory", "Memory")? {
            app.insert("memory".to_owned(), json!(format!("{memory}M")));
            command = format!("{command} -m {memory}M");
        }
        if let Some(instances) = fields.number("instances", "Instances")? {
            app.insert("instances".to_owned(), json!(instances));
            command = format!("{command} -i {instances}");
        }
        if let Some(buildpack) = fields.text("buildpack") {
            app.insert("buildpacks".to_owned(), json!([buildpack]));
            command = format!("{command} -b {}", fmt::word(buildpack));
        }
        if let Some(start) = fields.text("command") {
            app.insert("command".to_owned(), json!(start));
            command = format!("{command} -c {}", fmt::word(start));
        }
        let (key, flag) = match fields.get("route").unwrap_or("default") {
            "random" => ("random-route", " --random-route"),
            "none" => ("no-route", " --no-route"),
            _ => ("default-route", ""),
        };
        app.insert(key.to_owned(), json!(true));
        Ok(Self {
            space,
            name,
            manifest: json!({ "applications": [app] }),
            command: format!("{command}{flag}"),
        })
    }

    /// Refuses what the API would refuse after the files have come.
    async fn check(&self, visitor: &Visitor) -> Result<(), Refused> {
        let path = format!("/v3/spaces/{}", fmt::segment(&self.space));
        let space: Option<Space> = visitor.api.find(&path).await?;
        let space = space.ok_or_else(|| Refused::field("space", "Space does not exist"))?;
        let organization = space.relationships.organization.guid();
        if visitor.in_space(&space.guid, organization).await?.develop {
            return Ok(());
        }
        let text = "Pushing needs the role Space Developer in this space.";
        Err(Refused::of(StatusCode::FORBIDDEN, "Not allowed", text))
    }

    /// Applies the manifest and returns the app's guid.
    async fn apply(&self, api: &Api) -> Result<String, Refused> {
        let path = format!(
            "/v3/spaces/{}/actions/apply_manifest",
            fmt::segment(&self.space)
        );
        // JSON is YAML, and needs no quoting of ours.
        let body = Body::Yaml(self.manifest.to_string());
        let reply = api.change(http::Method::POST, &path, body).await?;
        if api.finish(&reply).await? == Progress::GoesOn {
            let text = "The platform is busy: the manifest is still being applied. Push again in a moment.";
            return Err(Refused::of(
                StatusCode::SERVICE_UNAVAILABLE,
                "Try again",
                text,
            ));
        }
        let path = format!(
            "/v3/apps?names={}&space_guids={}",
            fmt::value(&self.name),
            fmt::value(&self.space)
        );
        let found = api.list::<Named>(&path).await?.resources;
        let app = found.into_iter().find(|app| app.name == self.name);
        app.map(|app| app.guid)
            .ok_or_else(|| Refused::internal("an app that a manifest made does not exist"))
    }
}

/// Creates a package, of files unless an image is given.
async fn create_package(api: &Api, app: &str, image: Option<&str>) -> Result<String, Refused> {
    let mut body = json!({
        "type": "bits",
        "relationships": { "app": { "data": { "guid": app } } },
    });
    if let Some(image) = image {
        body["type"] = json!("docker");
        body["data"] = json!({ "image": image });
    }
    Ok(api.post("/v3/packages", body).await?.guid()?)
}

/// `POST /console/push/image`.
async fn image(change: Change) -> Result<Outcome, Refused> {
    let image = change.fields.required("image", "Image")?.to_owned();
    let wanted = Wanted::read(&change.fields, Some(&image))?;
    let api = &change.visitor.api;
    let app = wanted.apply(api).await?;
    let package = create_package(api, &app, Some(&image)).await?;
    begin(&change.visitor, &app, &package);
    Ok(change
        .done(format!("{} is staged", wanted.name), path(&app, &package))
        .command(wanted.command))
}

/// `POST /console/push/sample`: the static page that `cflite up` pushes, too.
async fn sample(change: Change) -> Result<Outcome, Refused> {
    let wanted = Wanted::read(&change.fields, None)?;
    let zip = zip::sample(&change.visitor.console.parts().spool)
        .map_err(|error| Refused::internal(&error.to_string()))?;
    let api = &change.visitor.api;
    let app = wanted.apply(api).await?;
    let package = create_package(api, &app, None).await?;
    upload::send(api, &package, zip).await?;
    begin(&change.visitor, &app, &package);
    Ok(change
        .done(format!("{} is staged", wanted.name), path(&app, &package))
        .command(wanted.command))
}

/// `POST …/continue`: goes on with a push that nobody drives any more.
async fn go_on(
    Path((app, package)): Path<(String, String)>,
    change: Change,
) -> Result<Outcome, Refused> {
    let head = AppHead::load(&change.visitor, &app, "push").await?;
    if !head.may.develop {
        let text = "Pushing needs the role Space Developer in this space.";
        return Err(Refused::of(StatusCode::FORBIDDEN, "Not allowed", text));
    }
    let path = format!("/v3/packages/{}", fmt::segment(&package));
    let package: package::Package = change.visitor.api.get(&path).await?;
    let app = &head.app.guid;
    if package.app() != app {
        return Err(Refused::not_found());
    }
    if !package.has_come() {
        let text = "The files of this push did not arrive. Push them again.";
        return Err(Refused::of(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Not accepted",
            text,
        ));
    }
    if !begin(&change.visitor, app, &package.guid) {
        let text = "Too many pushes are on their way. Continue when one has ended.";
        return Err(Refused::of(
            StatusCode::SERVICE_UNAVAILABLE,
            "Try again",
            text,
        ));
    }
    Ok(change.done("The push goes on", self::path(app, &package.guid)))
}

/// Drives a push. False when too many are on their way: what was pushed is stored, and its page
/// offers to continue.
fn begin(visitor: &Visitor, app: &str, package: &str) -> bool {
    visitor.console.pushes().begin(visitor, app, package)
}

/// The page of a push.
fn path(app: &str, package: &str) -> String {
    format!("/console/apps/{app}/pushes/{package}")
}
