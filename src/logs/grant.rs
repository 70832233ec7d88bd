//! What the caller of a stream may read. A stream outlives its request, so it asks again: a token
//! expires or is revoked, and roles are taken away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::access::{LogAccess, Readable};

/// How often a stream checks whether its caller may still read.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(10);

/// A caller and the sources that it reads.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) access: Arc<dyn LogAccess>,
    /// The `Authorization` header.
    pub(super) authorization: Option<String>,
    /// `None` = all.
    pub(super) sources: Option<BTreeSet<Arc<str>>>,
}

/// The `Authorization` header as a bearer's; some clients send the token alone.
pub(super) fn bearer(value: &str) -> Option<String> {
    match value.trim() {
        "" => None,
        token if token.contains(' ') => Some(token.to_owned()),
        token => Some(format!("bearer {token}")),
    }
}

impl Grant {
    /// Whether the caller may read all of them now.
    pub(super) async fn holds(&self) -> bool {
        let authorization = self.authorization.as_deref();
        let Some(sources) = &self.sources else {
            return self.access.reads_firehose(authorization).await;
        };
        if sources.len() > 1 {
            // One look at the token for all of them.
            match self.access.all_readable(authorization).await {
                Readable::Nothing => return false,
                Readable::Only(readable) => {
                    return sources.iter().all(|source| readable.contains(&**source));
                }
                Readable::Everything => {
                    if self.access.reads_firehose(authorization).await {
                        return true;
                    }
                    // The token's scopes are no longer its bearer's, or not those of the firehose.
                }
            }
        }
        for source_id in sources {
            if !self.access.readable(authorization, source_id).await {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;

    /// By its roles, the caller may read `mine` alone.
    struct Access {
        by_token: Readable,
        firehose: bool,
        asked: AtomicUsize,
    }

    impl Access {
        fn ask(&self) {
            self.asked.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[async_trait]
    impl LogAccess for Access {
        async fn readable(&self, _: Option<&str>, source_id: &str) -> bool {
            self.ask();
            source_id == "mine"
        }

        async fn named(&self, _: Option<&str>, _: &str) -> Vec<String> {
            Vec::new()
        }

        async fn all_readable(&self, _: Option<&str>) -> Readable {
            self.ask();
            self.by_token.clone()
        }

        async fn reads_firehose(&self, _: Option<&str>) -> bool {
            self.ask();
            self.firehose
        }
    }

    #[tokio::test]
    async fn the_token_is_looked_at_once_and_scopes_that_were_taken_away_do_not_count() {
        let only = |sources: &[&str]| {
            let sources = sources.iter().map(|source| (*source).to_owned());
            Readable::Only(sources.collect())
        };
        for (by_token, firehose, sources, expected) in [
            (only(&["mine"]), false, vec!["mine"], (true, 1)),
            (only(&["a", "mine"]), false, vec!["a", "mine"], (true, 1)),
            (only(&["mine"]), false, vec!["a", "mine"], (false, 1)),
            (Readable::Nothing, false, vec!["a", "mine"], (false, 1)),
            (Readable::Everything, true, vec!["a", "mine"], (true, 2)),
            (Readable::Everything, false, vec!["a", "mine"], (false, 3)),
        ] {
            let access = Arc::new(Access {
                by_token,
                firehose,
                asked: AtomicUsize::new(0),
            });
            let grant = Grant {
                access: access.clone(),
                authorization: None,
                sources: Some(sources.iter().map(|source| (*source).into()).collect()),
            };
            let holds = grant.holds().await;
            assert_eq!((holds, access.asked.load(Ordering::Relaxed)), expected);
        }
    }
}
