//! The tab of files: what is in a running instance, read-only, as the user that the app runs as.
//!
//! For those who may get into the instance by SSH: files hold the same secrets.

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;

use super::{AppHead, TABS};
use crate::base::guid::AppGuid;
use crate::scheduler::{FileEntry, FileError, FileKind, InstanceOf};
use crate::web::api::models::Ssh;
use crate::web::frame::Frame;
use crate::web::show::{self, Refused};
use crate::web::visitor::Visitor;
use crate::web::{Console, fmt, when};

/// Where apps of buildpacks are.
const HOME: &str = "/home/vcap/app";
/// Entries that a page shows.
const MOST: usize = 2000;
/// Bytes of a file that a page shows.
const PREVIEW: u64 = 256 * 1024;
/// Bytes of the longest path.
const LONGEST_PATH: usize = 4096;

pub(super) fn routes() -> Router<Console> {
    Router::new()
        .route("/console/apps/{guid}/files", get(show))
        .route("/console/apps/{guid}/files/download", get(download))
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    process: String,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    path: String,
}

/// A part of the path, and the address of what it leads to.
struct Crumb {
    name: String,
    link: String,
}

/// A row of a folder.
struct Row {
    name: String,
    /// Empty for what is neither a folder nor a file.
    link: String,
    download: String,
    kind: &'static str,
    size: String,
    modified: String,
    mode: String,
    owner: String,
}

/// What a path leads to.
enum Content {
    Folder {
        rows: Vec<Row>,
        /// There are more.
        is_cut: bool,
    },
    Text {
        text: String,
        /// The file goes on.
        is_cut: bool,
    },
    /// A file that is no text.
    Binary,
    /// Why there is nothing to show.
    Nothing(String),
}

#[derive(Template)]
#[template(path = "console/app/files.html")]
struct Page {
    frame: Frame,
    head: AppHead,
    place: Place,
    crumbs: Vec<Crumb>,
    content: Content,
}

impl Page {
    /// The command that lists the same.
    fn command(&self) -> String {
        let Place {
            process,
            index,
            path,
            ..
        } = &self.place;
        let of = match (process.as_str(), index) {
            ("web", 0) => String::new(),
            _ => format!(" --process {} -i {index}", fmt::word(process)),
        };
        let list = fmt::word(&format!("ls -la {}", fmt::word(path)));
        format!("cf ssh {}{of} -c {list}", self.head.word())
    }
}

/// A path in an instance.
struct Place {
    /// The page of the tab.
    tab: String,
    process: String,
    index: u32,
    path: String,
}

impl Place {
    /// Refuses what is no absolute path.
    fn read(head: &AppHead, asked: Asked) -> Result<Self, Refused> {
        let path = if asked.path.is_empty() {
            default_path(head).to_owned()
        } else {
            asked.path
        };
        if !path.starts_with('/') || path.contains('\0') || path.len() > LONGEST_PATH {
            let text = "Path must begin with / and have at most 4096 bytes";
            return Err(Refused::field("path", text));
        }
        Ok(Self {
            tab: head.path("files"),
            process: Some(asked.process)
                .filter(|process| !process.is_empty())
                .unwrap_or_else(|| "web".to_owned()),
            index: asked.index,
            path,
        })
    }

    fn instance<'a>(&'a self, app: &'a AppGuid) -> InstanceOf<'a> {
        InstanceOf {
            app,
            process: &self.process,
            index: self.index,
        }
    }

    fn query(&self, path: &str) -> String {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("process", &self.process)
            .append_pair("index", &self.index.to_string())
            .append_pair("path", path)
            .finish()
    }

    fn link(&self, path: &str) -> String {
        format!("{}?{}", self.tab, self.query(path))
    }

    fn download(&self, path: &str) -> String {
        format!("{}/download?{}", self.tab, self.query(path))
    }

    /// The path of an entry of this folder.
    fn below(&self, name: &str) -> String {
        format!("{}/{name}", self.path.trim_end_matches('/'))
    }

    fn crumbs(&self) -> Vec<Crumb> {
        let mut crumbs = vec![Crumb {
            name: "/".to_owned(),
            link: self.link("/"),
        }];
        let mut path = String::new();
        for name in self.path.split('/').filter(|name| !name.is_empty()) {
            path = format!("{path}/{name}");
            crumbs.push(Crumb {
                name: name.to_owned(),
                link: self.link(&path),
            });
        }
        crumbs
    }

    fn row(&self, entry: FileEntry) -> Row {
        let path = self.below(&entry.name);
        let (kind, leads) = match entry.kind {
            FileKind::Folder => ("folder", true),
            FileKind::File => ("file", true),
            FileKind::Link => ("link", true),
            FileKind::Other => ("other", false),
        };
        let is_file = entry.kind == FileKind::File;
        Row {
            link: if leads {
                self.link(&path)
            } else {
                String::new()
            },
            download: if is_file {
                self.download(&path)
            } else {
                String::new()
            },
            kind,
            size: if is_file {
                fmt::bytes(entry.size)
            } else {
                String::new()
            },
            modified: when::iso(entry.modified.saturating_mul(1_000_000_000)),
            mode: format!("{:04o}", entry.mode),
            owner: entry.owner,
            name: entry.name,
        }
    }
}

/// An app of a buildpack has its files in one place; an image has them anywhere.
fn default_path(head: &AppHead) -> &'static str {
    match head.app.lifecycle.kind.as_str() {
        "docker" => "/",
        _ => HOME,
    }
}

/// The head of an app whose files the visitor may read.
async fn open(visitor: &Visitor, guid: &str) -> Result<(AppHead, Result<(), String>), Refused> {
    let head = AppHead::load(visitor, guid, "files").await?;
    if !head.may.develop {
        let text = "Files of instances are for those with the role Space Developer.";
        return Ok((head, Err(text.to_owned())));
    }
    let path = format!("/v3/apps/{}/ssh_enabled", head.app.guid);
    let ssh: Ssh = visitor.api.get(&path).await?;
    let allowed = if ssh.enabled {
        Ok(())
    } else {
        let why = ssh.reason;
        Err(format!("Files can be read where SSH is allowed: {why}."))
    };
    Ok((head, allowed))
}

async fn show(
    visitor: Visitor,
    Path(guid): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    let (head, allowed) = open(&visitor, &guid).await?;
    let place = Place::read(&head, asked)?;
    let content = match allowed {
        Ok(()) => content(&visitor, &head, &place).await?,
        Err(text) => Content::Nothing(text),
    };
    show::page(&Page {
        frame: Frame::new(&visitor, "apps"),
        crumbs: place.crumbs(),
        head,
        place,
        content,
    })
}

async fn content(visitor: &Visitor, head: &AppHead, place: &Place) -> Result<Content, Refused> {
    let app = AppGuid::from(head.app.guid.as_str());
    let of = place.instance(&app);
    let scheduler = &visitor.console.parts().scheduler;
    match scheduler.list_files(of, &place.path).await {
        Ok(listing) => {
            let is_cut = listing.is_cut || listing.entries.len() > MOST;
            let rows = listing.entries.into_iter().take(MOST);
            let rows = rows.map(|entry| place.row(entry)).collect();
            Ok(Content::Folder { rows, is_cut })
        }
        Err(FileError::IsFile) => {
            let read = scheduler.read_file(of, &place.path, PREVIEW + 1).await;
            let mut read = match read {
                Ok(read) => Box::pin(read),
                Err(error) => return nothing(error),
            };
            let mut bytes = Vec::new();
            while let Some(part) = read.next().await {
                bytes.extend_from_slice(&part.map_err(broken)?);
            }
            Ok(text(bytes))
        }
        Err(error) => nothing(error),
    }
}

/// A text without NUL is shown; cut between two characters.
fn text(mut bytes: Vec<u8>) -> Content {
    let most = usize::try_from(PREVIEW).unwrap_or(usize::MAX);
    let is_cut = bytes.len() > most;
    bytes.truncate(most);
    if bytes.contains(&0) {
        return Content::Binary;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Content::Text { text, is_cut },
        Err(error) if is_cut && error.utf8_error().error_len().is_none() => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
            Content::Text { text, is_cut }
        }
        Err(_) => Content::Binary,
    }
}

/// What a page says instead of files; a fault of the daemon is one of ours.
fn nothing(error: FileError) -> Result<Content, Refused> {
    match error {
        FileError::Docker(_) => Err(broken(error)),
        FileError::NotRunning => Ok(Content::Nothing(
            "This instance does not run. Its files are there while it runs.".to_owned(),
        )),
        other => {
            let text = other.to_string();
            let (first, rest) = text.split_at(1);
            Ok(Content::Nothing(format!("{}{rest}.", first.to_uppercase())))
        }
    }
}

fn broken(error: FileError) -> Refused {
    Refused::internal(&format!("cannot read files of an instance: {error}"))
}

async fn download(
    visitor: Visitor,
    Path(guid): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refused> {
    let (head, allowed) = open(&visitor, &guid).await?;
    allowed.map_err(|text| Refused::of(StatusCode::FORBIDDEN, "Not allowed", &text))?;
    let place = Place::read(&head, asked)?;
    let app = AppGuid::from(head.app.guid.as_str());
    let scheduler = &visitor.console.parts().scheduler;
    let limit = u64::try_from(i64::MAX).unwrap_or(u64::MAX);
    let read = scheduler.read_file(place.instance(&app), &place.path, limit);
    let file = read.await.map_err(|error| match error {
        FileError::Docker(_) => broken(error),
        FileError::Denied => Refused::of(StatusCode::FORBIDDEN, "Not allowed", &error.to_string()),
        _ => Refused::of(StatusCode::NOT_FOUND, "Not found", &error.to_string()),
    })?;
    tracing::info!(
        user = visitor.user_name(), app = %app, process = place.process, index = place.index,
        path = place.path, "a file of an instance is read"
    );
    // An error breaks the answer off: nobody must take it for complete.
    let body = file.inspect(|part| {
        if let Err(error) = part {
            tracing::warn!(%error, "a file of an instance could not be read to its end");
        }
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ),
        (header::CONTENT_DISPOSITION, disposition(&place.path)?),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// The name of a file as RFC 6266 has it.
fn disposition(path: &str) -> Result<HeaderValue, Refused> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let ascii: String = name.chars().map(plain).collect();
    let text = format!(
        "attachment; filename=\"{ascii}\"; filename*=UTF-8''{}",
        fmt::segment(name)
    );
    HeaderValue::from_str(&text).map_err(|error| Refused::internal(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_others_are_not_shown() {
        let most = usize::try_from(PREVIEW).expect("small");
        let mut long = vec![b'a'; most - 1];
        long.extend("ä…".as_bytes());
        match text(long) {
            Content::Text { text, is_cut } => assert!(is_cut && text.len() == most - 1),
            _ => panic!("a text"),
        }
        assert!(matches!(text(b"a\0b".to_vec()), Content::Binary));
        assert!(matches!(text(b"\xff\xfe".to_vec()), Content::Binary));
        assert!(matches!(
            text(Vec::new()),
            Content::Text { is_cut: false, .. }
        ));
    }

    #[test]
    fn the_name_of_a_download_is_plain_and_exact() {
        let name = disposition("/a/b \"c\"\r\nä.txt").expect("a header");
        assert_eq!(
            name.to_str().expect("ASCII"),
            "attachment; filename=\"b__c____.txt\"; filename*=UTF-8''b%20%22c%22%0D%0A%C3%A4.txt"
        );
    }
}
