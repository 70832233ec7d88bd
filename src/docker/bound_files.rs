//! Files that a container finds when it starts. Whoever desires a container names them among its
//! environment, as `file:` and an absolute path, so that they are stored and encrypted with it.

use std::io::Cursor;

use tar::{Builder, EntryType, Header};

use super::Upload;

/// Precedes the path of a file among the names of variables: no variable has such a name.
pub const FILE: &str = "file:";

/// Takes the files out of an environment, as an upload for the container, if there are any.
pub fn take(environment: &mut Vec<(String, String)>) -> std::io::Result<Option<Upload>> {
    let mut tar = Builder::new(Vec::new());
    let mut folders: Vec<String> = Vec::new();
    let mut kept = Vec::with_capacity(environment.len());
    for (name, content) in std::mem::take(environment) {
        let Some(path) = name
            .strip_prefix(FILE)
            .and_then(|path| path.strip_prefix('/'))
        else {
            kept.push((name, content));
            continue;
        };
        for (at, _) in path.match_indices('/') {
            let folder = format!("{}/", &path[..at]);
            // What every image has keeps its owner and mode.
            if at > 3 && !folders.contains(&folder) {
                let mut header = header(EntryType::Directory, 0o755, 0);
                tar.append_data(&mut header, &folder, std::io::empty())?;
                folders.push(folder);
            }
        }
        let mut header = header(EntryType::Regular, 0o644, content.len() as u64);
        tar.append_data(&mut header, path, content.as_bytes())?;
        folders.push(path.to_owned());
    }
    *environment = kept;
    if folders.is_empty() {
        return Ok(None);
    }
    let bytes = tar.into_inner()?;
    Ok(Some(Upload {
        folder: "/".to_owned(),
        tar: Box::pin(Cursor::new(bytes)),
    }))
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    // Not zero: some tools treat 1970 as a missing time.
    header.set_mtime(1_000_000_000);
    header
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn files_leave_the_environment() {
        let entry = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut environment = vec![
            entry("A", "b"),
            entry("file:/etc/cf-service-bindings/db/uri", "x://y"),
            entry("file:/etc/cf-service-bindings/db/type", "sql"),
        ];
        let upload = take(&mut environment).expect("a tar").expect("files");
        assert_eq!(environment, [entry("A", "b")]);
        let mut bytes = Vec::new();
        let mut tar = upload.tar;
        tar.read_to_end(&mut bytes).await.expect("bytes");
        let mut archive = tar::Archive::new(bytes.as_slice());
        let entries = archive.entries().expect("entries").map(|entry| {
            let entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            (path, entry.header().mode().expect("a mode"))
        });
        assert_eq!(
            entries.collect::<Vec<_>>(),
            [
                ("etc/cf-service-bindings/".to_owned(), 0o755),
                ("etc/cf-service-bindings/db/".to_owned(), 0o755),
                ("etc/cf-service-bindings/db/uri".to_owned(), 0o644),
                ("etc/cf-service-bindings/db/type".to_owned(), 0o644),
            ]
        );
        assert!(take(&mut environment).expect("no tar").is_none());
    }
}
