//! The output files of a build: droplet, cache and result, or the cause of its failure. The daemon
//! sends each as a tar with one file.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::result::{self, Summary};
use super::{BuildpackChoice, PackageStaging};
use crate::blobs::{Blob, BlobError, Blobs};
use crate::docker::{ByteReader, DockerError, Engine};

/// The maximum size of a build cache.
pub(super) const MAX_CACHE: u64 = 2 << 30;
/// The maximum number of bytes read of a failure cause.
const MAX_CAUSE_BYTES: u64 = 4096;
/// The maximum number of characters shown of it.
const MAX_CAUSE_CHARS: usize = 1000;
const BLOCK: usize = 512;

/// Why an output cannot be used.
#[derive(Debug)]
pub(super) enum OutputError {
    /// The daemon failed.
    Docker(DockerError),
    /// The build did not write it.
    Missing(&'static str),
    /// It is larger than allowed.
    TooLarge(u64),
    /// Anything else.
    Broken(String),
}

impl From<DockerError> for OutputError {
    fn from(error: DockerError) -> Self {
        Self::Docker(error)
    }
}

fn broken(why: impl std::fmt::Display) -> OutputError {
    OutputError::Broken(why.to_string())
}

/// The droplet's layer.
pub(super) async fn droplet(
    engine: &dyn Engine,
    blobs: &Blobs,
    id: &str,
    request: &PackageStaging,
) -> Result<Blob, OutputError> {
    let limit = u64::try_from(request.disk.to_bytes().0).unwrap_or(0);
    store(engine, blobs, id, "/tmp/droplet.tar", limit).await
}

/// The build cache; `None` if it is too large or missing.
pub(super) async fn cache(
    engine: &dyn Engine,
    blobs: &Blobs,
    id: &str,
) -> Result<Option<Blob>, OutputError> {
    match store(engine, blobs, id, "/tmp/output-cache.tar", MAX_CACHE).await {
        Ok(blob) => Ok(Some(blob)),
        Err(OutputError::TooLarge(_) | OutputError::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The builder's summary of the droplet.
pub(super) async fn summary(
    engine: &dyn Engine,
    id: &str,
    choices: &[BuildpackChoice],
) -> Result<Summary, OutputError> {
    let (size, mut file) = single_file(download(engine, id, "/tmp/result.json").await?).await?;
    if size > result::MAX_SIZE {
        return Err(OutputError::TooLarge(size));
    }
    let mut json = Vec::new();
    file.read_to_end(&mut json).await.map_err(broken)?;
    result::read(&json, choices).map_err(broken)
}

/// Why the build failed, as given by the builder; `None` if it gave no cause.
pub(super) async fn cause(engine: &dyn Engine, id: &str) -> Option<String> {
    let read = async {
        let (_, file) = single_file(download(engine, id, "/tmp/failure").await?).await?;
        let mut text = Vec::new();
        let mut start = file.take(MAX_CAUSE_BYTES);
        start.read_to_end(&mut text).await.map_err(broken)?;
        Ok::<_, OutputError>(text)
    };
    match read.await {
        Ok(text) => last_line(&String::from_utf8_lossy(&text)),
        Err(error) => {
            tracing::debug!(?error, "reading the failure cause failed");
            None
        }
    }
}

/// The last line, sanitized: the CLI parses error messages as a template, in which `{{` opens an
/// action.
fn last_line(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut last_line: String = line.chars().map(printable).take(MAX_CAUSE_CHARS).collect();
    if line.chars().nth(MAX_CAUSE_CHARS).is_some() {
        last_line.push('…');
    }
    while last_line.contains("{{") {
        last_line = last_line.replace("{{", "{ {");
    }
    Some(last_line)
}

async fn download(
    engine: &dyn Engine,
    id: &str,
    path: &'static str,
) -> Result<ByteReader, OutputError> {
    match engine.download(id, path).await {
        Err(DockerError::NotFound(_)) => Err(OutputError::Missing(path)),
        other => Ok(other?),
    }
}

/// Copies one file of a container to a local one.
pub(super) async fn copy(
    engine: &dyn Engine,
    id: &str,
    path: &'static str,
    limit: u64,
    to: &mut std::fs::File,
) -> Result<(), OutputError> {
    let (size, mut file) = single_file(download(engine, id, path).await?).await?;
    if size > limit {
        return Err(OutputError::TooLarge(size));
    }
    let mut to = tokio::fs::File::from_std(to.try_clone().map_err(broken)?);
    let copied = tokio::io::copy(&mut file, &mut to).await.map_err(broken)?;
    to.flush().await.map_err(broken)?;
    if copied == size {
        Ok(())
    } else {
        Err(DockerError::Unreachable(format!("{path} is truncated")).into())
    }
}

async fn store(
    engine: &dyn Engine,
    blobs: &Blobs,
    id: &str,
    path: &'static str,
    limit: u64,
) -> Result<Blob, OutputError> {
    let (size, file) = single_file(download(engine, id, path).await?).await?;
    if size > limit {
        return Err(OutputError::TooLarge(size));
    }
    let blob = match blobs.put(file, Some(limit)).await {
        Ok(blob) => blob,
        // The connection to the daemon broke: retryable.
        Err(BlobError::Source(error)) => {
            return Err(DockerError::Unreachable(format!("{path}: {error}")).into());
        }
        Err(error) => return Err(broken(error)),
    };
    if blob.size == size {
        Ok(blob)
    } else {
        Err(DockerError::Unreachable(format!("{path} is truncated")).into())
    }
}

/// Size and bytes of the one file in a tar.
async fn single_file(
    mut tar: ByteReader,
) -> Result<(u64, impl AsyncRead + Send + Unpin), OutputError> {
    loop {
        let mut block = [0_u8; BLOCK];
        tar.read_exact(&mut block).await.map_err(broken)?;
        let header = tar::Header::from_byte_slice(&block);
        let size = header.entry_size().map_err(broken)?;
        let kind = header.entry_type();
        if kind.is_file() {
            return Ok((size, tar.take(size)));
        }
        // Extended headers may come first; their content is ignored.
        let extended = kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions()
            || kind.is_gnu_longname();
        if !extended || size > result::MAX_SIZE {
            return Err(broken("an output of the build is not a file"));
        }
        let padded = size.next_multiple_of(BLOCK as u64);
        let mut rest = (&mut tar).take(padded);
        tokio::io::copy(&mut rest, &mut tokio::io::sink())
            .await
            .map_err(broken)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(fill: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> ByteReader {
        let mut builder = tar::Builder::new(Vec::new());
        fill(&mut builder);
        Box::pin(std::io::Cursor::new(builder.into_inner().expect("a tar")))
    }

    fn header(kind: tar::EntryType, size: u64) -> tar::Header {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header
    }

    #[tokio::test]
    async fn the_file_is_found_behind_extended_headers() {
        let tar = archive(|builder| {
            builder
                .append_pax_extensions([("mtime", &b"1700000000.123"[..])])
                .expect("extensions");
            let mut header = header(tar::EntryType::Regular, 5);
            builder
                .append_data(&mut header, "droplet.tar", &b"hello"[..])
                .expect("a file");
        });
        let (size, mut file) = single_file(tar).await.expect("a file");
        let mut text = String::new();
        file.read_to_string(&mut text).await.expect("text");
        assert_eq!((size, text.as_str()), (5, "hello"));
    }

    #[test]
    fn a_cause_is_one_bounded_line_without_templates() {
        let long = "x".repeat(2000);
        let cut = format!("{}…", "x".repeat(1000));
        for (text, expected) in [
            ("", None),
            (" \n\n", None),
            ("first\nlast\n", Some("last")),
            ("a\u{1b}[31m{{{b}}", Some("a [31m{ { {b}}")),
            (&long, Some(cut.as_str())),
        ] {
            assert_eq!(last_line(text).as_deref(), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn folders_links_and_cut_streams_are_refused() {
        for kind in [tar::EntryType::Directory, tar::EntryType::Symlink] {
            let tar = archive(|builder| {
                let mut header = header(kind, 0);
                if kind == tar::EntryType::Symlink {
                    builder
                        .append_link(&mut header, "droplet.tar", "/etc/passwd")
                        .expect("a link");
                } else {
                    builder
                        .append_data(&mut header, "droplet.tar", &b""[..])
                        .expect("a folder");
                }
            });
            assert!(single_file(tar).await.is_err(), "{kind:?}");
        }
        let cut: ByteReader = Box::pin(std::io::Cursor::new(vec![0_u8; 100]));
        assert!(single_file(cut).await.is_err());
    }
}
