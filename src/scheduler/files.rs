//! Reads the files of a running instance, as the user that the app runs as.
//!
//! The container's own shell and `stat` look: the daemon's archive of a folder would hold all that
//! is below it. An image without a shell cannot be looked into, which [`FileError::NoShell`] says.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::Scheduler;
use crate::base::guid::AppGuid;
use crate::docker::{DockerError, EngineStream, ExecSpec, LogStream};

/// Bytes of a listing that are read.
const LONGEST_LISTING: usize = 1024 * 1024;
/// How long a listing, or the first bytes of a file, may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long after the end of its output a command may still run for the daemon.
const SETTLES: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(20);
/// What the daemon writes in place of a command that cannot be started.
const NOT_STARTED: &[u8] = b"OCI runtime exec failed";

const DENIED: i64 = 71;
const IS_FILE: i64 = 72;
const MISSING: i64 = 73;
const IS_FOLDER: i64 = 74;

/// Ends with what a path is, if it is not a folder that can be read; `$2` is the longest listing.
const LIST: &str = r#"command -v stat >/dev/null && command -v head >/dev/null || exit 127
[ -d "$1" ] || { [ -e "$1" ] && exit 72; exit 73; }
cd "$1" 2>/dev/null && [ -r . ] || exit 71
stat -c '%f %s %Y %U %n' ./* ./.[!.]* ./..?* 2>/dev/null | head -c "$2""#;

/// Writes a file, at most `$2` bytes.
const READ: &str = r#"command -v head >/dev/null || exit 127
[ -d "$1" ] && exit 74
[ -f "$1" ] || exit 73
[ -r "$1" ] || exit 71
exec head -c "$2" "$1""#;

/// Why files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// No such instance runs.
    #[error("the instance does not run")]
    NotRunning,
    /// The image has no `sh`, `stat` or `head`.
    #[error("the image of the app has no shell to look with")]
    NoShell,
    /// The app's own user may not read it.
    #[error("the user that the app runs as may not read this")]
    Denied,
    /// Nothing is there, or it is neither a file nor a folder.
    #[error("there is no such file or folder")]
    Missing,
    /// A file was taken for a folder.
    #[error("this is a file")]
    IsFile,
    /// A folder was taken for a file.
    #[error("this is a folder")]
    IsFolder,
    /// The container did not answer in time.
    #[error("the instance did not answer within {} s", PATIENCE.as_secs())]
    TooSlow,
    /// The daemon.
    #[error(transparent)]
    Docker(#[from] DockerError),
}

/// What an entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A socket, pipe or device.
    Other,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// Permission bits.
    pub mode: u32,
    /// The name of its owner, or the number of one without a name.
    pub owner: String,
}

/// The entries of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Folders first, then by name.
    pub entries: Vec<FileEntry>,
    /// There are more.
    pub is_cut: bool,
}

/// An instance of an app.
#[derive(Clone, Copy, Debug)]
pub struct InstanceOf<'a> {
    /// App.
    pub app: &'a AppGuid,
    /// Type of the process.
    pub process: &'a str,
    /// Index.
    pub index: u32,
}

impl Scheduler {
    /// The entries of a folder. `path` is absolute.
    pub async fn list_files(&self, of: InstanceOf<'_>, path: &str) -> Result<Listing, FileError> {
        let deadline = Instant::now() + PATIENCE;
        let look = self.look(of, LIST, path, LONGEST_LISTING as u64);
        let (exec, mut output) = look.await?;
        let mut listing = Vec::new();
        while let Some(read) = timeout_at(deadline, output.next())
            .await
            .map_err(|_| FileError::TooSlow)?
        {
            if let (LogStream::Out, data) = read? {
                listing.extend_from_slice(&data);
            }
            if listing.len() > 2 * LONGEST_LISTING {
                break;
            }
        }
        self.check(&exec).await?;
        Ok(parse(&listing, listing.len() >= LONGEST_LISTING))
    }

    /// The bytes of a file, at most `limit`. `path` is absolute. A file that could not be read to its
    /// end ends with an error.
    pub async fn read_file(
        &self,
        of: InstanceOf<'_>,
        path: &str,
        limit: u64,
    ) -> Result<impl Stream<Item = Result<Bytes, FileError>> + Send + use<>, FileError> {
        let (exec, output) = self.look(of, READ, path, limit).await?;
        let mut output = Box::pin(output.filter_map(|read| async {
            match read {
                Ok((LogStream::Out, data)) => (!data.is_empty()).then_some(Ok(data)),
                Ok((LogStream::Err, _)) => None,
                Err(error) => Some(Err(FileError::from(error))),
            }
        }));
        let first = tokio::time::timeout(PATIENCE, output.next()).await;
        let first = first.map_err(|_| FileError::TooSlow)?;
        match &first {
            // An empty file, or a reason.
            None => self.check(&exec).await?,
            Some(Ok(text)) if text.starts_with(NOT_STARTED) => {
                // A file may begin so, too.
                if let Err(FileError::NoShell) = self.check(&exec).await {
                    return Err(FileError::NoShell);
                }
            }
            Some(_) => {}
        }
        let scheduler = self.clone();
        let end = stream::once(async move { scheduler.check(&exec).await });
        let end = end.filter_map(|end| async { end.err().map(Err) });
        Ok(stream::iter(first).chain(output).chain(end))
    }

    /// Begins a script; returns its id and its output. Its input is empty.
    async fn look(
        &self,
        of: InstanceOf<'_>,
        script: &str,
        path: &str,
        limit: u64,
    ) -> Result<(String, EngineStream<(LogStream, Bytes)>), FileError> {
        let running = self.0.running();
        let mut running = running.values();
        let found = running.find(|one| {
            one.process.app_guid == *of.app
                && one.process.process_type == of.process
                && one.record.slot.index == of.index
        });
        let container = found.ok_or(FileError::NotRunning)?.container_id.clone();
        let limit = limit.to_string();
        let spec = ExecSpec {
            command: ["sh", "-c", script, "sh", path, &limit]
                .map(str::to_owned)
                .to_vec(),
            ..ExecSpec::default()
        };
        match self.0.engine.exec(&container, &spec).await {
            Err(DockerError::NotFound(_) | DockerError::Conflict(_)) => Err(FileError::NotRunning),
            other => other
                .map(|begun| (begun.id, begun.streams.output))
                .map_err(FileError::Docker),
        }
    }

    /// What the end of a command says whose output ended.
    async fn check(&self, exec: &str) -> Result<(), FileError> {
        let deadline = Instant::now() + SETTLES;
        let status = loop {
            match self.0.engine.exec_status(exec).await {
                Err(DockerError::Conflict(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(PAUSE).await;
                }
                // It ended with its container.
                Err(DockerError::NotFound(_)) => return Err(FileError::NotRunning),
                status => break status?,
            }
        };
        match status {
            0 => Ok(()),
            DENIED => Err(FileError::Denied),
            IS_FILE => Err(FileError::IsFile),
            MISSING => Err(FileError::Missing),
            IS_FOLDER => Err(FileError::IsFolder),
            126 | 127 => Err(FileError::NoShell),
            status => Err(FileError::Docker(DockerError::Failed(format!(
                "a command that reads files ended with status {status}"
            )))),
        }
    }
}

/// Reads what `stat` wrote. A line that does not begin as one of its lines goes on with the name of
/// the one before: names hold any byte but `/` and NUL.
fn parse(text: &[u8], is_cut: bool) -> Listing {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split('\n').collect::<Vec<_>>();
    // What is cut may be half an entry.
    if is_cut || lines.last() == Some(&"") {
        lines.pop();
    }
    let mut entries: Vec<FileEntry> = Vec::new();
    for line in lines {
        match entry(line) {
            Some(entry) => entries.push(entry),
            None => {
                if let Some(last) = entries.last_mut() {
                    last.name.push('\n');
                    last.name.push_str(line);
                }
            }
        }
    }
    entries.sort_by(|a, b| {
        let order = |one: &FileEntry| one.kind != FileKind::Folder;
        (order(a), &a.name).cmp(&(order(b), &b.name))
    });
    Listing { entries, is_cut }
}

/// `81a4 120 1700000000 vcap ./index.html`: mode in hex, size, time, owner, name.
fn entry(line: &str) -> Option<FileEntry> {
    let mut parts = line.splitn(5, ' ');
    let mode = u32::from_str_radix(parts.next()?, 16).ok()?;
    let size = parts.next()?.parse().ok()?;
    let modified = parts.next()?.parse().ok()?;
    let owner = parts.next()?.to_owned();
    let name = parts.next()?.strip_prefix("./")?.to_owned();
    let kind = match mode & 0o170_000 {
        0o040_000 => FileKind::Folder,
        0o100_000 => FileKind::File,
        0o120_000 => FileKind::Link,
        _ => FileKind::Other,
    };
    Some(FileEntry {
        name,
        kind,
        size,
        modified,
        mode: mode & 0o7777,
        owner,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_has_folders_first_and_names_of_any_bytes() {
        let text = b"81a4 120 1700000000 vcap ./index.html\n41ed 4096 1700000001 root ./css\n\
a1ff 7 1700000002 vcap ./link\n81a4 0 1700000003 1000 ./two\nlines and  blanks\n";
        let listing = parse(text, false);
        let names: Vec<_> = listing
            .entries
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(
            names,
            ["css", "index.html", "link", "two\nlines and  blanks"]
        );
        let file = &listing.entries[1];
        assert_eq!((file.kind, file.size), (FileKind::File, 120));
        assert_eq!((file.mode, file.owner.as_str()), (0o644, "vcap"));
        assert_eq!(listing.entries[2].kind, FileKind::Link);
        assert!(!listing.is_cut);
    }

    #[test]
    fn half_an_entry_is_left_out() {
        let listing = parse(b"41ed 1 1 root ./a\n81a4 1 1 root ./half-of-a-na", true);
        assert_eq!(listing.entries.len(), 1);
        assert!(listing.is_cut);
        assert_eq!(parse(b"", false), Listing::default());
    }
}
