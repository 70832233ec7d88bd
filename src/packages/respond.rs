//! HTTP for package managers.

use std::io;
use std::ops::Range;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use futures_util::TryStreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, SeekFrom};
use tokio_util::io::ReaderStream;

use super::failure::Failure;
use super::rewrite::Rewrite;
use super::source::{Server, Source, with_slash};
use super::store::{Head, Held};
use super::target::{Fixed, Kind, Target};
use super::{Copied, Packages};
use crate::blobs::Growing;
use crate::net::range::Part;

/// How much of a file is read at once.
const CHUNK: usize = 128 * 1024;
/// A file that is not larger is sent when it was checked as a whole.
const SMALL: u64 = 256 * 1024;

/// The routes of the listener.
pub(super) fn router(packages: &Packages) -> Router {
    Router::new().fallback(answer).with_state(packages.clone())
}

async fn answer(State(packages): State<Packages>, request: Request) -> Response {
    let (request, _) = request.into_parts();
    let exchange = Exchange {
        packages: &packages,
        request: &request,
    };
    match exchange.respond().await {
        Ok(response) => response,
        Err(failure) => exchange.failed(&failure),
    }
}

/// One request.
struct Exchange<'a> {
    packages: &'a Packages,
    request: &'a Parts,
}

impl Exchange<'_> {
    fn header(&self, name: HeaderName) -> Option<&str> {
        self.request.headers.get(name)?.to_str().ok()
    }

    async fn respond(&self) -> Result<Response, Failure> {
        if !matches!(self.request.method, Method::GET | Method::HEAD) {
            return Err(Failure::ReadOnly);
        }
        let (path, accept) = (self.request.uri.path(), self.header(header::ACCEPT));
        let other = |source| self.packages.upstreams().other(source).is_some();
        let target = Target::parse(path, accept, other)?;
        match target.fixed {
            Some(Fixed::ComposerRoot) => return Ok(composer_root()),
            Some(Fixed::GoSums) => return Ok(StatusCode::OK.into_response()),
            None => {}
        }
        let rewrite = self.rewrite(&target)?;
        match self.packages.get(&target).await? {
            Copied::Stored { held, file, stale } => {
                let mut response = self.stored(&target, held, file, rewrite).await?;
                if let Some(failure) = stale {
                    tracing::debug!(package = target.package, %failure, "serving an old copy");
                    let stale = HeaderValue::from_static("110 cflite \"Response is Stale\"");
                    response.headers_mut().insert(header::WARNING, stale);
                }
                Ok(response)
            }
            Copied::Growing {
                head,
                length,
                growing,
            } => self.growing(&target, &head, length, growing).await,
        }
    }

    /// Links to the servers of a registry become links to the cache. npm and Composer take only
    /// whole URLs.
    fn rewrite(&self, target: &Target) -> Result<Rewrite, Failure> {
        if target.kind == Kind::File {
            return Ok(Rewrite::default());
        }
        let upstreams = self.packages.upstreams();
        let folder = match target.source {
            Source::Pypi => "/pypi/".to_owned(),
            Source::Npm | Source::Composer => format!("{}/{}/", self.origin()?, target.source),
            Source::Go | Source::Maven | Source::Rubygems | Source::Debian => {
                return Ok(Rewrite::default());
            }
        };
        let other = upstreams.other(target.source).is_some();
        let (server, folder) = match target.source {
            Source::Pypi if !other => (Server::PypiFiles, format!("{folder}files/")),
            Source::Composer if !other => (Server::GitHub, format!("{folder}dist/api.github.com/")),
            _ => (Server::Main, folder),
        };
        let base = upstreams.base(target.source, server);
        let escaped = |text: &str| text.replace('/', "\\/");
        let mut pairs = vec![(escaped(&base), escaped(&folder))];
        if let (Source::Pypi, Some(url)) = (target.source, upstreams.other(target.source)) {
            // Some mirrors write links without their host.
            let path = with_slash(url.path());
            let links = ["href=\"", "\"url\":\"", "\"url\": \""];
            pairs.extend(links.map(|link| (format!("{link}{path}"), format!("{link}{folder}"))));
        }
        pairs.push((base, folder));
        Ok(Rewrite::new(pairs))
    }

    /// Where the client reaches the cache.
    fn origin(&self) -> Result<String, Failure> {
        let host = self.header(header::HOST);
        let host = host.filter(|host| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
            !host.is_empty() && host.len() < 256 && host.bytes().all(plain)
        });
        let host = host.ok_or_else(|| Failure::NoSuchPath("the Host header is missing".into()))?;
        Ok(format!("http://{host}"))
    }

    async fn stored(
        &self,
        target: &Target,
        held: Held,
        file: File,
        rewrite: Rewrite,
    ) -> Result<Response, Failure> {
        let mut head = held.head.clone();
        if !rewrite.is_empty() {
            head.etag = Some(format!("W/\"{}\"", &held.blob.digest.hex()[..32]));
        }
        let mut headers = headers(target, &head);
        if self.has(&head) {
            return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
        }
        if !rewrite.is_empty() {
            let body = if self.request.method == Method::GET {
                let bytes = ReaderStream::with_capacity(file, CHUNK);
                Body::from_stream(rewrite.apply(bytes))
            } else {
                Body::empty()
            };
            return Ok((headers, body).into_response());
        }
        let size = held.blob.size;
        let part = match self.range(&head) {
            Some(range) => Part::of(range, size),
            None => Part::Whole,
        };
        let (status, range) = match part {
            Part::Whole => (StatusCode::OK, 0..size),
            Part::Bytes { first, last } => (StatusCode::PARTIAL_CONTENT, first..last + 1),
            Part::Unsatisfiable => {
                set(
                    &mut headers,
                    header::CONTENT_RANGE,
                    &format!("bytes */{size}"),
                );
                return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
            }
        };
        if let Part::Bytes { first, last } = part {
            let range = format!("bytes {first}-{last}/{size}");
            set(&mut headers, header::CONTENT_RANGE, &range);
        }
        set(&mut headers, header::ACCEPT_RANGES, "bytes");
        if let Ok(digest) = hex::decode(held.blob.digest.hex()) {
            // Bundler compares it with what it has after a range.
            let digest = base64::engine::general_purpose::STANDARD.encode(digest);
            let name = HeaderName::from_static("repr-digest");
            set(&mut headers, name, &format!("sha-256=:{digest}:"));
        }
        let length = (range.end - range.start).to_string();
        set(&mut headers, header::CONTENT_LENGTH, &length);
        let body = if self.request.method == Method::GET {
            part_of(file, range).await?
        } else {
            Body::empty()
        };
        Ok((status, headers, body).into_response())
    }

    /// The range that a client wants, if it means this content.
    fn range(&self, head: &Head) -> Option<&str> {
        if self.request.method != Method::GET {
            return None;
        }
        let meant = match self.header(header::IF_RANGE) {
            None => true,
            Some(validator) => {
                let same = |known: &Option<String>| known.as_deref() == Some(validator);
                same(&head.etag) || same(&head.last_modified)
            }
        };
        self.header(header::RANGE).filter(|_| meant)
    }

    /// Whether the client has this content already.
    fn has(&self, head: &Head) -> bool {
        let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        match (self.header(header::IF_NONE_MATCH), &head.etag) {
            (Some(tags), Some(own)) => tags.split(',').any(|tag| plain(tag) == plain(own)),
            (Some(_), None) => false,
            (None, _) => {
                let since = self.header(header::IF_MODIFIED_SINCE);
                since.is_some() && since == head.last_modified.as_deref()
            }
        }
    }

    /// A file while it arrives.
    async fn growing(
        &self,
        target: &Target,
        head: &Head,
        length: Option<u64>,
        growing: Growing<Failure>,
    ) -> Result<Response, Failure> {
        growing.reaches(SMALL).await;
        let mut headers = headers(target, head);
        let length = match growing.outcome() {
            Some(outcome) => Some(outcome?.size),
            None => length,
        };
        if let Some(length) = length {
            set(&mut headers, header::CONTENT_LENGTH, &length.to_string());
        }
        if self.request.method != Method::GET {
            return Ok((headers, Body::empty()).into_response());
        }
        let bytes = growing.bytes(0..u64::MAX).map_err(io::Error::other);
        Ok((headers, Body::from_stream(bytes)).into_response())
    }

    /// The first line of the answer is the error, as the scripts of buildpacks read it; npm shows
    /// only what is in a document of its own.
    fn failed(&self, failure: &Failure) -> Response {
        if matches!(failure, Failure::Storage(_)) {
            tracing::error!(path = self.request.uri.path(), %failure, "cannot serve a package");
        }
        let is_npm = self.request.uri.path().starts_with("/npm/");
        let accept = self.header(header::ACCEPT).unwrap_or_default();
        let json = is_npm && accept.contains("json");
        let (kind, body) = if json {
            let document = serde_json::json!({ "error": failure.to_string() });
            ("application/json", document.to_string())
        } else {
            ("text/plain; charset=utf-8", format!("{failure}\n"))
        };
        let mut response = (failure.status(), body).into_response();
        set(response.headers_mut(), header::CONTENT_TYPE, kind);
        response
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn headers(target: &Target, head: &Head) -> HeaderMap {
    let mut headers = HeaderMap::new();
    set(&mut headers, header::CONTENT_TYPE, &head.content_type);
    if let Some(etag) = &head.etag {
        set(&mut headers, header::ETAG, etag);
    }
    if let Some(modified) = &head.last_modified {
        set(&mut headers, header::LAST_MODIFIED, modified);
    }
    if target.forms.is_some() {
        set(&mut headers, header::VARY, "accept");
    }
    let age = match target.kind {
        Kind::File => "max-age=31536000, immutable",
        Kind::Document => "no-cache",
    };
    set(&mut headers, header::CACHE_CONTROL, age);
    headers
}

async fn part_of(mut file: File, range: Range<u64>) -> Result<Body, Failure> {
    if range.start > 0 {
        let sought = file.seek(SeekFrom::Start(range.start)).await;
        sought.map_err(|error| Failure::Storage(error.to_string()))?;
    }
    let bytes = file.take(range.end - range.start);
    Ok(Body::from_stream(ReaderStream::with_capacity(bytes, CHUNK)))
}

/// A Composer repository with the packages of Packagist, without its search and its counters.
fn composer_root() -> Response {
    let root = serde_json::json!({
        "packages": {},
        "metadata-url": "/composer/p2/%package%.json",
    });
    axum::Json(root).into_response()
}
