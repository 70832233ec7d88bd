//! Repositories of other registries, read through this one. They are only read: lists show what has
//! been copied.

use axum::body::Body;
use axum::response::Response;
use futures_util::{Stream, TryStreamExt};
use http::{HeaderValue, Method, header};
use std::io;
use std::ops::Range;

use bytes::Bytes;

use crate::blobs::Digest;
use crate::net::range::Part;
use crate::registry::digest::AnyDigest;
use crate::registry::downloads::Growing;
use crate::registry::name::Reference;
use crate::registry::proxy::{CopiedBlob, Proxied};
use crate::registry::refusal::Refusal;
use crate::registry::target::Target;
use crate::registry::upstream::ImageReference;

use super::Exchange;
use super::read::{name_digest, part_response};

impl Exchange<'_> {
    pub(super) async fn pull_through(
        &self,
        upstream: &Proxied,
        target: &Target,
    ) -> Result<Response, Refusal> {
        if !matches!(self.head.method, Method::GET | Method::HEAD) {
            return Err(Refusal::unsupported("GET, HEAD"));
        }
        match target {
            Target::Manifest(name, reference) => {
                let image = upstream.image(reference);
                let image = image.ok_or_else(|| Refusal::unknown_name(name.as_str()))?;
                self.proxied_manifest(&image).await
            }
            Target::Blob(name, AnyDigest::Sha256(digest)) => {
                let image = upstream.image(&Reference::Digest(digest.clone().into()));
                let image = image.ok_or_else(|| Refusal::unknown_name(name.as_str()))?;
                self.proxied_blob(&image, digest).await
            }
            Target::Blob(..) => Err(Refusal::unknown_blob()),
            Target::Tags(name) | Target::Referrers(name, _) => {
                let latest = Reference::Tag(crate::registry::name::Tag::latest());
                let image = upstream.image(&latest);
                let cache = image.and_then(|image| image.cache_repository());
                let cache = cache.ok_or_else(|| Refusal::unknown_name(name.as_str()))?;
                match target {
                    Target::Referrers(_, digest) => self.referrers(&cache, name, digest).await,
                    _ => self.tags(&cache, name).await,
                }
            }
            Target::Base | Target::Uploads(_) | Target::Upload(..) => {
                Err(Refusal::unsupported("GET, HEAD"))
            }
        }
    }

    async fn proxied_manifest(&self, image: &ImageReference) -> Result<Response, Refusal> {
        let copied = self.registry.copy_manifest(image).await?;
        let reference = Reference::Digest(copied.digest.into());
        let mut response = self.manifest(&copied.cache, reference).await?;
        if let Some(error) = copied.stale {
            tracing::warn!(%image, %error, "serving the copy of an image from before");
            let stale = HeaderValue::from_static("110 cflite \"Response is Stale\"");
            response.headers_mut().insert(header::WARNING, stale);
        }
        Ok(response)
    }

    async fn proxied_blob(
        &self,
        image: &ImageReference,
        digest: &Digest,
    ) -> Result<Response, Refusal> {
        let wanted = self.head.method == Method::GET;
        let copied = self.registry.copy_blob(image, digest, wanted).await?;
        let (blob, source) = match copied {
            CopiedBlob::Stored(cache) => return self.blob(&cache, digest.clone().into()).await,
            CopiedBlob::Known(blob) => (blob, None),
            CopiedBlob::Growing(blob, growing) => (blob, Some(growing)),
        };
        let part = match self.header(&header::RANGE) {
            Some(range) if wanted => Part::of(range, blob.size),
            _ => Part::Whole,
        };
        let mut response = part_response(&blob, part, |range| match source {
            Some(growing) => Body::from_stream(grow(growing, range, digest.clone())),
            None => Body::empty(),
        })?;
        name_digest(&mut response, &digest.clone().into());
        Ok(response)
    }
}

/// The bytes of a part of a blob while they arrive.
fn grow(
    growing: Growing,
    range: Range<u64>,
    digest: Digest,
) -> impl Stream<Item = io::Result<Bytes>> {
    growing.bytes(range).map_err(move |error| {
        // The client sees the connection end.
        tracing::warn!(blob = %digest, %error, "a download for a client failed");
        io::Error::other(error)
    })
}
