//! Relationships as shown: `{"data": {"guid": "x"}}`.

use serde::Serialize;
use serde_json::{Value, json};

use super::Urls;

/// `{"data": {"guid": "x"}}`.
#[derive(Serialize)]
pub(crate) struct ToOne<'a> {
    data: Guid<'a>,
}

#[derive(Serialize)]
struct Guid<'a> {
    guid: Option<&'a str>,
}

impl<'a> ToOne<'a> {
    /// To this guid, or to `null`.
    pub(crate) fn to(guid: Option<&'a str>) -> Self {
        Self {
            data: Guid { guid },
        }
    }
}

/// `[{"guid": "x"}, …]`.
pub(crate) fn guid_data<G: Serialize>(guids: &[G]) -> Value {
    guids.iter().map(|guid| json!({ "guid": guid })).collect()
}

/// The response with a relationship to several resources, without a link to these.
pub(crate) fn related<G: Serialize>(guids: &[G], urls: &Urls, path: &str) -> Value {
    json!({ "data": guid_data(guids), "links": { "self": urls.link(path) } })
}

/// Where a relationship to one resource is, and where resources of its kind are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paths<'a> {
    pub relationship: &'a str,
    pub resources: &'a str,
}

/// The response with a relationship to one resource.
pub(crate) fn related_one<G: std::fmt::Display>(
    guid: Option<&G>,
    urls: &Urls,
    paths: Paths<'_>,
) -> Value {
    let mut links = json!({ "self": urls.link(paths.relationship) });
    if let Some(guid) = guid {
        links["related"] = urls.link(&format!("{}/{guid}", paths.resources));
    }
    let data = guid.map(|guid| json!({ "guid": guid.to_string() }));
    json!({ "data": data, "links": links })
}
