//! Styles and scripts, under names that hold their hash, so that browsers keep them for ever.

use std::io::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::base::secrets::hash;

struct Asset {
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    hash: String,
    packed: Bytes,
}

const FILES: &[(&str, &str, &[&str])] = &[
    (
        "console.css",
        "text/css; charset=utf-8",
        &[include_str!("../../web/assets/console.css")],
    ),
    (
        "console.js",
        "text/javascript; charset=utf-8",
        &[
            include_str!("../../web/vendor/idiomorph.min.js"),
            include_str!("../../web/assets/console.js"),
        ],
    ),
    (
        "console-push.js",
        "text/javascript; charset=utf-8",
        &[include_str!("../../web/assets/console-push.js")],
    ),
    (
        "console-logs.css",
        "text/css; charset=utf-8",
        &[include_str!("../../web/assets/console-logs.css")],
    ),
    (
        "console-logs.js",
        "text/javascript; charset=utf-8",
        &[include_str!("../../web/assets/console-logs.js")],
    ),
    (
        "icon.svg",
        "image/svg+xml",
        &[include_str!("../../web/assets/icon.svg")],
    ),
];

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| FILES.iter().map(asset).collect());

fn asset((name, kind, parts): &(&'static str, &'static str, &[&'static str])) -> Asset {
    let plain: &'static [u8] = match parts {
        [one] => one.as_bytes(),
        // Once per process.
        several => Box::leak(several.join("\n").into_bytes().into_boxed_slice()),
    };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let packed = encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .unwrap_or_default();
    let mut hash = hash(&String::from_utf8_lossy(plain));
    hash.truncate(16);
    Asset {
        name,
        kind,
        plain,
        hash,
        packed: packed.into(),
    }
}

/// The path of an asset, with its hash.
pub(super) fn path(name: &str) -> String {
    let found = ASSETS.iter().find(|asset| asset.name == name);
    let hash = found.map_or("none", |asset| asset.hash.as_str());
    format!("/console/assets/{hash}/{name}")
}

/// `GET /favicon.ico`: browsers ask for it wherever no page names an icon.
pub(super) async fn icon() -> Response {
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, path("icon.svg"))],
    )
        .into_response()
}

/// `GET /console/assets/:hash/:name`.
pub(super) async fn serve(
    Path((hash, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let found = ASSETS
        .iter()
        .find(|asset| asset.name == name && asset.hash == hash);
    let Some(asset) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let accepted = headers.get(header::ACCEPT_ENCODING);
    let packed = accepted
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("gzip"));
    let mut response = if packed {
        let encoding = [(header::CONTENT_ENCODING, "gzip")];
        (encoding, asset.packed.clone()).into_response()
    } else {
        asset.plain.into_response()
    };
    let fixed = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::VARY, "accept-encoding"),
    ];
    for (name, value) in fixed {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vendored_files_are_what_was_published() {
        let readme = include_str!("../../web/README.md");
        let rows = readme.lines().filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(|cell| cell.trim()).collect();
            let file = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
            let hash = cells.get(4)?.strip_prefix('`')?.strip_suffix('`')?;
            (hash.len() == 64).then_some((file, hash))
        });
        let rows: Vec<(&str, &str)> = rows.collect();
        let idiomorph = include_str!("../../web/vendor/idiomorph.min.js");
        assert_eq!(rows, [("idiomorph.min.js", hash(idiomorph).as_str())]);
    }

    #[test]
    fn scripts_and_styles_stay_small() {
        let weight = |kind: &str| -> usize {
            let of_kind = ASSETS.iter().filter(|asset| asset.name.ends_with(kind));
            of_kind.map(|asset| asset.packed.len()).sum()
        };
        // All of them, although no page loads all.
        assert!(weight(".js") <= 50_000, "{}", weight(".js"));
        assert!(weight(".css") <= 12_000, "{}", weight(".css"));
    }
}
