//! `debian:pool/main/h/hello/hello_2.10-3_amd64.deb`.

use super::Prefetch;
use crate::packages::failure::Failure;

impl Prefetch<'_> {
    pub(super) async fn debian(&mut self, path: &str) -> Result<String, Failure> {
        self.take(path, None).await?;
        Ok(path.to_owned())
    }
}
