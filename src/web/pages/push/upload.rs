//! Receiving a folder or a zip, and handing it to the API.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{Multipart, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;

use super::zip::{PackError, Part, pack};
use super::{Wanted, begin, create_package, path};
use crate::web::Console;
use crate::web::api::{Api, Body};
use crate::web::form::Fields;
use crate::web::guard::{self, Change, TOKEN_HEADER};
use crate::web::show::Refused;
use crate::web::visitor::Visitor;

/// The largest folder or zip.
const LARGEST: u64 = 1024 * 1024 * 1024;
/// The largest sum of all text fields and their names.
const LARGEST_TEXT: usize = 256 * 1024;
const BOUNDARY: &str = "cflite-console-bits";

/// `POST /console/push/files`: first the fields, then the files. A file is named by its path in the
/// folder; a single `zip` is taken as it is.
pub(super) async fn files(
    State(console): State<Console>,
    visitor: Visitor,
    headers: HeaderMap,
    mut form: Multipart,
) -> Result<Response, Refused> {
    let token = headers.get(TOKEN_HEADER);
    let token = token.and_then(|value| value.to_str().ok()).unwrap_or("");
    guard::check_token(&visitor, token)?;
    let (mut fields, mut room) = (Vec::new(), LARGEST_TEXT);
    let first = loop {
        let field = form.next_field().await.map_err(broken)?;
        let field = field.ok_or_else(|| Refused::field("files", "Files can't be blank"))?;
        let name = field.name().unwrap_or_default().to_owned();
        if name == "files" || name == "zip" {
            break field;
        }
        room = room.checked_sub(name.len()).ok_or_else(too_large)?;
        fields.push((name, text(field, &mut room).await?));
    };
    let fields = Fields::from(fields);
    let wanted = Wanted::read(&fields, None)?;
    wanted.check(&visitor).await?;
    let spool = &console.parts().spool;
    let file = if first.name() == Some("zip") {
        store(first, spool).await?
    } else {
        let folder = Folder::begin(first, spool.clone()).await?;
        folder.finish(&mut form).await?
    };
    let change = Change { visitor, fields };
    let api = &change.visitor.api;
    let app = wanted.apply(api).await?;
    let package = create_package(api, &app, None).await?;
    send(api, &package, file).await?;
    begin(&change.visitor, &app, &package);
    let outcome = change
        .done(format!("{} is staged", wanted.name), path(&app, &package))
        .command(wanted.command);
    Ok(outcome.into_response())
}

/// A text field, as long as there is room.
async fn text(mut field: Field<'_>, room: &mut usize) -> Result<String, Refused> {
    let mut text = Vec::new();
    while let Some(data) = field.chunk().await.map_err(broken)? {
        *room = room.checked_sub(data.len()).ok_or_else(too_large)?;
        text.extend_from_slice(&data);
    }
    String::from_utf8(text).map_err(|_| Refused::field("name", "The form is not UTF-8"))
}

/// A zip as it is; the API checks what is in it.
async fn store(mut field: Field<'_>, spool: &Path) -> Result<File, Refused> {
    let failed = |error: std::io::Error| Refused::internal(&error.to_string());
    let mut file = tempfile::tempfile_in(spool).map_err(failed)?;
    let mut size = 0;
    while let Some(data) = field.chunk().await.map_err(broken)? {
        size += data.len() as u64;
        if size > LARGEST {
            return Err(too_large());
        }
        file = write(file, data).await.map_err(failed)?;
    }
    file.rewind().map_err(failed)?;
    Ok(file)
}

async fn write(mut file: File, data: Bytes) -> std::io::Result<File> {
    let written = tokio::task::spawn_blocking(move || {
        file.write_all(&data)?;
        Ok(file)
    });
    written.await.map_err(std::io::Error::other)?
}

/// The files of a folder, packed while they arrive.
struct Folder {
    sender: mpsc::Sender<Part>,
    packed: JoinHandle<Result<File, PackError>>,
    size: u64,
    /// Whether the packer still takes more; its own error tells why not.
    goes_on: bool,
}

impl Folder {
    async fn begin(first: Field<'_>, spool: PathBuf) -> Result<Self, Refused> {
        let (sender, packed) = pack(spool);
        let mut folder = Self {
            sender,
            packed,
            size: 0,
            goes_on: true,
        };
        folder.add(first).await?;
        Ok(folder)
    }

    async fn finish(mut self, form: &mut Multipart) -> Result<File, Refused> {
        while self.goes_on {
            let next = form.next_field().await.map_err(broken)?;
            let Some(next) = next.filter(|field| field.name() == Some("files")) else {
                break;
            };
            self.add(next).await?;
        }
        drop(self.sender);
        let packed = self.packed.await;
        let packed = packed.map_err(|error| Refused::internal(&error.to_string()))?;
        packed.map_err(|error| Refused::field("files", &error.to_string()))
    }

    async fn add(&mut self, mut field: Field<'_>) -> Result<(), Refused> {
        let name = field.file_name().unwrap_or_default().to_owned();
        self.goes_on = self.sender.send(Part::File(name)).await.is_ok();
        while self.goes_on
            && let Some(data) = field.chunk().await.map_err(broken)?
        {
            self.size += data.len() as u64;
            if self.size > LARGEST {
                return Err(too_large());
            }
            self.goes_on = self.sender.send(Part::Data(data)).await.is_ok();
        }
        Ok(())
    }
}

/// Uploads a zip to a package.
pub(super) async fn send(api: &Api, package: &str, zip: File) -> Result<(), Refused> {
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"bits\"; filename=\"package.zip\"\r\n\
content-type: application/zip\r\n\r\n"
    );
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let once = |text: String| {
        futures_util::stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(text)) })
    };
    let file = ReaderStream::with_capacity(tokio::fs::File::from_std(zip), 64 * 1024);
    let stream = once(head).chain(file).chain(once(tail));
    let kind = HeaderValue::from_static("multipart/form-data; boundary=cflite-console-bits");
    let body = Body::Stream(kind, axum::body::Body::from_stream(stream));
    let path = format!("/v3/packages/{package}/upload");
    api.change(Method::POST, &path, body).await?;
    Ok(())
}

fn broken(error: MultipartError) -> Refused {
    Refused::of(StatusCode::BAD_REQUEST, "Not received", &error.body_text())
}

fn too_large() -> Refused {
    Refused::of(
        StatusCode::PAYLOAD_TOO_LARGE,
        "Too large",
        "A push from the browser has at most 1 GB. Use cf push for more.",
    )
}
