//! Makes a platform of a backup, in a data dir that has none.

use super::archive::{Contents, Source};
use super::create::{begin, describe, finish};
use super::places::Places;
use super::{Error, Name, Snapshots};
use crate::db::{self, DbError, WriteTx};

/// The snapshot that the backup becomes.
const NAME: &str = "restored";

impl Snapshots {
    /// Unpacks a backup into this data dir, and makes the platform what it holds. `adapt` may change the
    /// rows before anybody reads them; it gets the domain of the platform that was backed up. What was cut
    /// off is begun again. The caller has the lock on the data dir, and has marked it as unfinished.
    pub async fn restore(
        &self,
        source: &Source<'_>,
        data_dir: &std::path::Path,
        adapt: impl FnOnce(&WriteTx<'_>, &str) -> Result<(), DbError>,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Contents, Error> {
        let places = Places::of(data_dir);
        let name = Name::parse(NAME)?;
        begin(&places)?;
        if places.snapshot(&name).0.exists() {
            self.remove(&name)?;
        }
        let contents = source.restore(data_dir)?;
        let mut manifest = contents.manifest.clone();
        let database = places.unfinished().database();
        db::edit(&database, |tx| adapt(tx, &manifest.domain))?;
        manifest.database = describe(&database)?;
        finish(&places, &places.snapshot(&name), &manifest)?;
        self.put_back(&name, progress).await?;
        self.remove(&name)?;
        Ok(contents)
    }
}
