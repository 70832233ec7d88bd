//! Bodies and queries of packages.

use serde_json::Value;

use crate::base::guid::{AppGuid, PackageGuid};
use crate::cloud_controller::body;
use crate::cloud_controller::body::{Body, Invalid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::query::{ListQuery, ListRules};

pub(crate) const LIST: ListRules = ListRules::new(&[
    "states",
    "types",
    "app_guids",
    "space_guids",
    "organization_guids",
]);
pub(crate) const LIST_OF_APP: ListRules = ListRules::new(&["states", "types"]);

/// The type of a new package.
#[derive(Debug)]
pub(crate) enum NewKind {
    Bits,
    Docker {
        image: String,
        username: Option<String>,
        password: Option<String>,
    },
}

/// `POST /v3/packages`.
#[derive(Debug)]
pub(crate) struct CreatePackage {
    pub app: AppGuid,
    pub kind: NewKind,
    pub metadata: MetadataChange,
    /// The request without the password, for the audit event.
    pub request: Value,
}

pub(crate) fn create(mut body: Body) -> Result<CreatePackage> {
    let mut request = body.as_given();
    if let Some(data) = request.get_mut("data").and_then(Value::as_object_mut) {
        data.insert("password".to_owned(), Value::from("***"));
    }
    let kind = body.string("type").unwrap_or_default();
    let mut data = body.fields.object("data", &mut body.invalid);
    let kind = match kind.as_str() {
        "bits" => {
            if let Some(data) = &data
                && !data.left_over().is_empty()
            {
                body.invalid
                    .field("data", "must be empty if provided for bits packages");
            }
            NewKind::Bits
        }
        "docker" => docker(data.as_mut(), &mut body.invalid),
        _ => {
            body.invalid.field("type", "must be one of 'bits, docker'");
            NewKind::Bits
        }
    };
    let [app] = body.relationships(["app"]);
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreatePackage {
        app: app.flatten().unwrap_or_default().into(),
        kind,
        metadata,
        request,
    })
}

fn docker(data: Option<&mut body::Fields>, invalid: &mut Invalid) -> NewKind {
    let mut image = None;
    let (mut username, mut password) = (None, None);
    if let Some(data) = data {
        image = data
            .string("image", invalid)
            .filter(|image| !image.is_empty());
        username = data.string("username", invalid);
        password = data.string("password", invalid);
        for (name, text) in [("image", &image), ("username", &username)] {
            invalid.check_control(name, text.as_deref().unwrap_or_default());
        }
        data.refuse_unknown(invalid, "Data ");
    }
    if image.is_none() {
        invalid.field("data", "Image required");
    }
    NewKind::Docker {
        image: image.unwrap_or_default(),
        username,
        password,
    }
}

/// `POST /v3/packages?source_guid=…`.
pub(crate) fn copy(query: Option<&str>, mut body: Body) -> Result<(PackageGuid, AppGuid)> {
    let query = ListQuery::parse_single(query, &[], &["source_guid"])?;
    let [app] = body.relationships(["app"]);
    body.finish()?;
    let source = query.raw("source_guid").unwrap_or_default();
    Ok((source.into(), app.flatten().unwrap_or_default().into()))
}

/// `PATCH /v3/packages/:guid`.
#[derive(Debug)]
pub(crate) struct PackageChange {
    pub username: Option<String>,
    pub password: Option<String>,
    pub metadata: MetadataChange,
}

impl PackageChange {
    /// Whether it contains credentials for a Docker registry.
    pub(crate) fn has_credentials(&self) -> bool {
        self.username.is_some() || self.password.is_some()
    }
}

pub(crate) fn update(mut body: Body) -> Result<PackageChange> {
    let username = body.string("username");
    let password = body.string("password");
    let text = username.as_deref().unwrap_or_default();
    body.invalid.check_control("username", text);
    let metadata = body.metadata();
    body.finish()?;
    Ok(PackageChange {
        username,
        password,
        metadata,
    })
}
