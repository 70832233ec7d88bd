//! Pushing and deleting manifests.

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use http::{HeaderName, StatusCode, header};
use http_body_util::BodyDataStream;

use crate::blobs::{Digest, Sha512Digest};
use crate::registry::digest::AnyDigest;
use crate::registry::manifest::own_type;
use crate::registry::name::{Reference, RepositoryName, Tag};
use crate::registry::refusal::Refusal;
use crate::registry::store::{self, PartsOf};
use crate::registry::{MAX_DOCUMENT, RegistryError};

use super::{DIGEST_HEADER, Exchange, empty};

/// Tags that a push by digest may set.
const MAX_TAGS: usize = 16;

impl Exchange<'_> {
    pub(super) async fn put_manifest(
        &self,
        name: &RepositoryName,
        reference: Reference,
        body: &mut Body,
    ) -> Result<Response, Refusal> {
        let (tags, wanted) = match reference {
            Reference::Tag(tag) => (vec![tag], None),
            Reference::Digest(digest) => (self.wanted_tags()?, Some(digest)),
        };
        let bytes = self.document(body).await?;
        if let Some(wanted) = &wanted {
            check_digest(&bytes, wanted)?;
        }
        let media_type = match self.header(&header::CONTENT_TYPE) {
            Some(media_type) => media_type.to_owned(),
            None => own_type(&bytes)?,
        };
        let given = (&*media_type, bytes);
        let stored = self
            .registry
            .store_manifest(name, &tags, given, PartsOf::Repository);
        let stored = stored.await?;
        let digest = wanted.unwrap_or(AnyDigest::Sha256(stored.digest));
        let location = format!("/v2/{name}/manifests/{digest}");
        let subject = stored.subject.map(|subject| subject.to_string());
        let mut headers = vec![
            (header::LOCATION, location.as_str()),
            (DIGEST_HEADER, digest.as_str()),
        ];
        if let Some(subject) = &subject {
            headers.push((HeaderName::from_static("oci-subject"), subject));
        }
        let listed = tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(", ");
        if !listed.is_empty() {
            headers.push((HeaderName::from_static("oci-tag"), &listed));
        }
        Ok(empty(StatusCode::CREATED, &headers))
    }

    /// `?tag=` of a push by digest.
    fn wanted_tags(&self) -> Result<Vec<Tag>, Refusal> {
        let tags = self.parameters("tag").take(MAX_TAGS + 1);
        let tags: Vec<String> = tags.collect();
        if tags.len() > MAX_TAGS {
            return Err(Refusal::too_many_tags(MAX_TAGS));
        }
        let parse = |tag: &String| Tag::parse(tag).ok_or_else(|| Refusal::invalid_tag(tag));
        tags.iter().map(parse).collect()
    }

    /// The body, in memory.
    async fn document(&self, body: &mut Body) -> Result<Bytes, Refusal> {
        let limit = usize::try_from(MAX_DOCUMENT).unwrap_or(usize::MAX);
        let declared = self.header(&header::CONTENT_LENGTH);
        let declared = declared.and_then(|text| text.parse().ok()).unwrap_or(0);
        if declared > limit {
            return Err(Refusal::manifest_too_large(MAX_DOCUMENT));
        }
        let mut bytes = BytesMut::with_capacity(declared);
        let mut pieces = BodyDataStream::new(body);
        while let Some(piece) = pieces.next().await {
            let piece =
                piece.map_err(|error| RegistryError::Broken(std::io::Error::other(error)))?;
            if bytes.len() + piece.len() > limit {
                return Err(Refusal::manifest_too_large(MAX_DOCUMENT));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    /// A tag: only the tag. A digest: the manifest with all its tags.
    pub(super) async fn delete_manifest(
        &self,
        name: &RepositoryName,
        reference: Reference,
    ) -> Result<Response, Refusal> {
        let (repository, wanted) = (name.to_string(), reference.clone());
        let now = self.registry.now();
        let deleted = self.registry.db().write(move |tx| match &wanted {
            Reference::Tag(tag) => store::delete_tag(tx, &repository, tag, now),
            Reference::Digest(digest) => store::delete_manifest(tx, &repository, digest),
        });
        if deleted.await.map_err(RegistryError::from)? {
            Ok(empty(StatusCode::ACCEPTED, &[]))
        } else {
            Err(Refusal::unknown_manifest(&reference.to_string()))
        }
    }
}

fn check_digest(bytes: &[u8], wanted: &AnyDigest) -> Result<(), Refusal> {
    let found = match wanted {
        AnyDigest::Sha256(_) => AnyDigest::Sha256(Digest::of(bytes)),
        AnyDigest::Sha512(_) => AnyDigest::Sha512(Sha512Digest::of(bytes)),
    };
    if found == *wanted {
        Ok(())
    } else {
        Err(RegistryError::WrongDigest {
            wanted: wanted.clone(),
            found,
        }
        .into())
    }
}
