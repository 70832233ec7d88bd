//! The lists of tags and of referrers, in pages.

use axum::response::Response;
use http::{HeaderName, HeaderValue, header};
use serde_json::{Value, json};

use crate::db::DbError;
use crate::registry::RegistryError;
use crate::registry::digest::AnyDigest;
use crate::registry::manifest::OCI_INDEX;
use crate::registry::name::{Reference, RepositoryName, Tag};
use crate::registry::refusal::Refusal;
use crate::registry::store::{self, ReferrersOf};

use super::{Exchange, json_response};

/// Tags on a page, if the client wants more.
const MAX_TAGS: u32 = 10_000;

impl Exchange<'_> {
    /// The tags of a repository, which the client knows as `name`.
    pub(super) async fn tags(
        &self,
        repository: &RepositoryName,
        name: &RepositoryName,
    ) -> Result<Response, Refusal> {
        let limit = self.parameter("n").and_then(|n| n.parse().ok());
        let limit = limit.unwrap_or(MAX_TAGS).min(MAX_TAGS);
        let last = self.parameter("last").unwrap_or_default();
        let repository = repository.to_string();
        let read = move |tx: &crate::db::ReadTx<'_>| {
            if !store::exists(tx, &repository)? {
                return Ok::<_, DbError>(None);
            }
            // One more than requested shows whether there is a next page.
            store::tags(tx, &repository, &last, limit + 1).map(Some)
        };
        let found = self.registry.db().read(read).await?;
        let mut tags = found.ok_or_else(|| Refusal::unknown_name(name.as_str()))?;
        let more = tags.len() > limit as usize;
        tags.truncate(limit as usize);
        let body = json!({ "name": name.as_str(), "tags": tags });
        let mut response = json_response("application/json", &body);
        if let Some(last) = tags.last().filter(|_| more) {
            let next = format!("/v2/{name}/tags/list?n={limit}&last={last}");
            add_next(&mut response, &next);
        }
        Ok(response)
    }

    /// The manifests that refer to this one, as an index: those that are stored, and those that
    /// clients listed under a tag while the registry had no such list.
    pub(super) async fn referrers(
        &self,
        repository: &RepositoryName,
        name: &RepositoryName,
        subject: &AnyDigest,
    ) -> Result<Response, Refusal> {
        let kind = self.parameter("artifactType");
        let last = self.parameter("last").unwrap_or_default();
        let wanted = ReferrersOf {
            repository: repository.to_string(),
            subject: subject.clone(),
            artifact_type: kind.clone(),
            last: last.clone(),
        };
        let read = move |tx: &crate::db::ReadTx<'_>| store::referrers(tx, &wanted);
        let page = self.registry.db().read(read).await?;
        let mut manifests = page.manifests;
        if last.is_empty() {
            let listed = self.listed_under_a_tag(repository, subject).await?;
            let known: Vec<_> = manifests.iter().map(|m| m["digest"].clone()).collect();
            let matches = |found: &Value| {
                let is_kind = kind
                    .as_ref()
                    .is_none_or(|kind| found["artifactType"] == **kind);
                is_kind && !known.contains(&found["digest"])
            };
            manifests.extend(listed.into_iter().filter(matches));
        }
        let body = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests });
        let mut response = json_response(OCI_INDEX, &body);
        if kind.is_some() {
            let applied = HeaderName::from_static("oci-filters-applied");
            let value = HeaderValue::from_static("artifactType");
            response.headers_mut().insert(applied, value);
        }
        if let Some(last) = page.next {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("last", &last);
            if let Some(kind) = &kind {
                query.append_pair("artifactType", kind);
            }
            let next = format!("/v2/{name}/referrers/{subject}?{}", query.finish());
            add_next(&mut response, &next);
        }
        Ok(response)
    }

    /// The index that clients keep under the tag `sha256-<digits>`.
    async fn listed_under_a_tag(
        &self,
        name: &RepositoryName,
        subject: &AnyDigest,
    ) -> Result<Vec<Value>, Refusal> {
        let Some(tag) = fallback_tag(subject) else {
            return Ok(Vec::new());
        };
        let (repository, tag) = (name.to_string(), Reference::Tag(tag));
        let read = move |tx: &crate::db::ReadTx<'_>| store::find(tx, &repository, &tag);
        let found = self.registry.db().read(read).await?;
        let Some(found) = found.filter(|found| found.media_type == OCI_INDEX) else {
            return Ok(Vec::new());
        };
        let bytes = self.registry.document(&found.blob.digest).await?;
        let mut index: Value = serde_json::from_slice(&bytes)
            .map_err(|error| RegistryError::unreadable(&found.blob.digest, &error))?;
        match index["manifests"].take() {
            Value::Array(listed) => Ok(listed),
            _ => Ok(Vec::new()),
        }
    }
}

/// Algorithm and digits, cut where a tag ends.
fn fallback_tag(subject: &AnyDigest) -> Option<Tag> {
    let (algorithm, digits) = subject.as_str().split_once(':')?;
    Tag::parse(&format!("{algorithm}-{}", digits.get(..64)?))
}

fn add_next(response: &mut Response, path: &str) {
    if let Ok(link) = HeaderValue::try_from(format!("<{path}>; rel=\"next\"")) {
        response.headers_mut().insert(header::LINK, link);
    }
}
