//! Certificate files: a few lines of metadata, then PEM. Readable only by their owner.

use std::io::ErrorKind;
use std::path::Path;

use super::PkiError;
use super::issue::Issued;
use crate::base::{Timestamp, private_file};

/// Creates the folder when it is missing.
pub(super) fn prepare_directory(path: &Path) -> Result<(), PkiError> {
    private_file::create_folder(path).map_err(|source| failed(path, source))
}

/// The certificate in `path`; `None` when there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Issued>, PkiError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed(path, source)),
    };
    parse(&text)
        .map(Some)
        .ok_or_else(|| PkiError::Damaged(path.to_owned()))
}

/// Replaces `path` atomically.
pub(super) fn write(path: &Path, issued: &Issued) -> Result<(), PkiError> {
    let content = render(issued);
    private_file::replace(path, content.as_bytes()).map_err(|source| failed(path, source))
}

fn failed(path: &Path, source: std::io::Error) -> PkiError {
    PkiError::File {
        path: path.to_owned(),
        source,
    }
}

fn render(issued: &Issued) -> String {
    format!(
        "names: {}\nrenew-at: {}\nissuer: {}\n\n{}",
        issued.names.join(" "),
        issued.renew_at,
        issued.issuer,
        issued.pem
    )
}

fn parse(text: &str) -> Option<Issued> {
    let (head, pem) = text.split_once("\n\n")?;
    let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
    if !pem.contains("-----BEGIN PRIVATE KEY-----") || !pem.contains("-----END CERTIFICATE-----") {
        return None;
    }
    Some(Issued {
        names: field("names: ")?
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        renew_at: Timestamp::parse(field("renew-at: ")?)?,
        issuer: field("issuer: ")?.to_owned(),
        pem: pem.to_owned(),
    })
}
