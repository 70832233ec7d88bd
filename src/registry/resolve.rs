//! Which manifest a reference to an image stands for: its registry is asked, and when that cannot
//! answer, a copy from before is used if there is one.

use std::time::Duration;

use bytes::Bytes;

use crate::blobs::Digest;

use super::name::{Reference, RepositoryName};
use super::upstream::{Credentials, Found, ImageReference, Session, UpstreamError};
use super::{Registry, RegistryError, store};

/// How long a registry may take to say whether a tag still stands for the copy that is here.
const REVALIDATION: Duration = Duration::from_secs(5);

/// Which image somebody wants.
pub(super) struct Wanted<'a> {
    pub(super) image: &'a ImageReference,
    pub(super) credentials: Option<&'a Credentials>,
    /// The newest copy of it that the same owner has.
    pub(super) previous: Option<&'a Digest>,
}

/// The manifest or index that a reference stands for.
pub(super) struct Resolved {
    pub(super) found: Found,
    /// Asks the image's registry for what is missing; `None` when it is not to be asked.
    pub(super) session: Option<Session>,
    /// The repository of this registry that it is in, if its registry is this one.
    pub(super) own: Option<RepositoryName>,
    /// Why a copy from before is used.
    pub(super) stale: Option<UpstreamError>,
}

impl Registry {
    /// Asks the image's registry, or takes the copy from before when that is allowed.
    pub(super) async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, UpstreamError> {
        let (image, target) = (wanted.image, wanted.image.target());
        if self.is_own(image) {
            return self.resolve_own(image, &target).await;
        }
        let cached = match image.cache_repository() {
            Some(cache) => self.local(&cache, &target).await?,
            None => None,
        };
        let session = self.upstreams().session(image, wanted.credentials.cloned());
        let cached = match (&target, cached) {
            // What a digest stands for never changes.
            (Reference::Digest(_), Some(found)) => {
                return Ok(Resolved {
                    found,
                    session: session.ok(),
                    own: None,
                    stale: None,
                });
            }
            (_, cached) => cached,
        };
        let asked = match session {
            Ok(session) => {
                let found = ask(&session, &target, cached.as_ref()).await;
                found.map(|found| (found, session))
            }
            Err(error) => Err(error),
        };
        match asked {
            Ok((found, session)) => Ok(Resolved {
                found,
                session: Some(session),
                own: None,
                stale: None,
            }),
            Err(error) => self.stale(wanted, cached, error).await,
        }
    }

    /// The copy from before.
    async fn stale(
        &self,
        wanted: &Wanted<'_>,
        cached: Option<Found>,
        error: UpstreamError,
    ) -> Result<Resolved, UpstreamError> {
        let denied = matches!(
            error,
            UpstreamError::Unauthorized {
                with_credentials: false,
                ..
            }
        );
        let previous = match wanted.previous {
            Some(digest) if denied || error.allows_stale() => self.any(digest).await?,
            _ => None,
        };
        let cached = cached.filter(|_| error.allows_stale());
        // The owner's own copy comes first: it may be one that needs credentials.
        match previous.or(cached) {
            Some(found) => Ok(Resolved {
                found,
                session: None,
                own: None,
                stale: Some(error),
            }),
            None => Err(error),
        }
    }

    /// An image that was pushed to this registry.
    async fn resolve_own(
        &self,
        image: &ImageReference,
        target: &Reference,
    ) -> Result<Resolved, UpstreamError> {
        let missing = || UpstreamError::NotFound {
            image: image.to_string(),
        };
        let own = RepositoryName::parse(image.repository()).ok_or_else(missing)?;
        let own = self.meant_by(&own).await?;
        let found = self.local(&own, target).await?.ok_or_else(missing)?;
        Ok(Resolved {
            found,
            session: None,
            own: Some(own),
            stale: None,
        })
    }

    /// A manifest in a repository of this registry.
    pub(super) async fn local(
        &self,
        repository: &RepositoryName,
        target: &Reference,
    ) -> Result<Option<Found>, UpstreamError> {
        let (name, target) = (repository.clone(), target.clone());
        let read = move |tx: &crate::db::ReadTx<'_>| store::find(tx, name.as_str(), &target);
        let found = self.db().read(read).await.map_err(RegistryError::from)?;
        self.with_bytes(found).await
    }

    /// A manifest in any repository of this registry.
    async fn any(&self, digest: &Digest) -> Result<Option<Found>, UpstreamError> {
        let wanted = digest.clone();
        let read = move |tx: &crate::db::ReadTx<'_>| store::find_by_digest(tx, &wanted);
        let found = self.db().read(read).await.map_err(RegistryError::from)?;
        self.with_bytes(found).await
    }

    async fn with_bytes(
        &self,
        found: Option<store::StoredManifest>,
    ) -> Result<Option<Found>, UpstreamError> {
        let Some(found) = found else { return Ok(None) };
        let bytes = self.document(&found.blob.digest).await?;
        Ok(Some(Found {
            digest: found.blob.digest,
            media_type: found.media_type,
            bytes: Bytes::from(bytes),
        }))
    }
}

/// The manifest from the image's registry; not sent again when it is known. Who has a copy does not
/// wait long to hear that it is still the right one.
async fn ask(
    session: &Session,
    target: &Reference,
    cached: Option<&Found>,
) -> Result<Found, UpstreamError> {
    let Some(cached) = cached else {
        return session.manifest(target).await;
    };
    let asked = tokio::time::timeout(REVALIDATION, session.head(target)).await;
    let now = asked.unwrap_or_else(|_| {
        let seconds = REVALIDATION.as_secs();
        Err(session.no_answer(&format!("no answer within {seconds} s")))
    });
    if now? == Some(cached.digest.clone()) {
        return Ok(cached.clone());
    }
    session.manifest(target).await
}
