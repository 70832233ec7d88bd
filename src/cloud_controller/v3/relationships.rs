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

/// The response with a relationship to one resource at `path`, which is found at `related` + guid.
pub(crate) fn related_one<G: std::fmt::Display>(
    guid: Option<&G>,
    urls: &Urls,
    (path, related): (&str, &str),
) -> Value {
    let mut links = json!({ "self": urls.link(path) });
    if let Some(guid) = guid {
        links["related"] = urls.link(&format!("{related}/{guid}"));
    }
    let data = guid.map(|guid| json!({ "guid": guid.to_string() }));
    json!({ "data": data, "links": links })
}
