//! What a registry's index says about the content of a file: a download that differs is not kept.
//!
//! Only copies of indexes are looked at. A client that downloads a file by its URL alone, as from a
//! lock file, has its digest there and checks it itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};

use base64::Engine as _;
use serde::Deserialize;
use sha1::Sha1;
use sha2::Sha512;

use super::Packages;
use super::names;
use super::source::Source;
use super::store::Key;
use super::target::{Kind, Target, pypi_page};
use crate::blobs::Sealed;

/// The longest index that is searched.
const LONGEST: u64 = 128 << 20;
const CHUNK: usize = 128 * 1024;

/// What a file must be, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    Sha1(String),
    Sha256(String),
    Sha512(String),
}

impl Expected {
    fn sha256(text: &str) -> Option<Self> {
        is_hex(text, 64).then(|| Self::Sha256(text.to_ascii_lowercase()))
    }

    /// An entry of npm: `integrity` or, for old packages, only `shasum`.
    fn of_npm(dist: &NpmDist) -> Option<Self> {
        let encoded = dist
            .integrity
            .iter()
            .flat_map(|text| text.split_whitespace());
        let decoded = encoded
            .filter_map(|text| text.strip_prefix("sha512-"))
            .find_map(|text| base64::engine::general_purpose::STANDARD.decode(text).ok());
        match (decoded, &dist.shasum) {
            (Some(bytes), _) if bytes.len() == 64 => Some(Self::Sha512(hex::encode(bytes))),
            (_, Some(sum)) if is_hex(sum, 40) => Some(Self::Sha1(sum.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// The digest of what came, if it is another one: both as people read them.
    pub(super) fn differs(&self, sealed: &Sealed) -> io::Result<Option<(String, String)>> {
        let (name, expected, found) = match self {
            Self::Sha256(hex) => ("sha256", hex, sealed.blob().digest.hex().to_owned()),
            Self::Sha512(hex) => ("sha512", hex, hash::<Sha512>(sealed.open()?)?),
            Self::Sha1(hex) => ("sha1", hex, hash::<Sha1>(sealed.open()?)?),
        };
        let differs = *expected != found;
        Ok(differs.then(|| (format!("{name}:{expected}"), format!("{name}:{found}"))))
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit())
}

fn hash<H: sha2::Digest>(mut file: File) -> io::Result<String> {
    let mut hasher = H::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            count => hasher.update(&chunk[..count]),
        }
    }
}

#[derive(Deserialize)]
struct NpmDocument {
    #[serde(default)]
    versions: BTreeMap<String, NpmVersion>,
}

#[derive(Deserialize)]
struct NpmVersion {
    dist: Option<NpmDist>,
}

#[derive(Deserialize)]
struct NpmDist {
    tarball: String,
    integrity: Option<String>,
    shasum: Option<String>,
}

#[derive(Deserialize)]
struct PypiPage {
    #[serde(default)]
    files: Vec<PypiFile>,
}

#[derive(Deserialize)]
struct PypiFile {
    filename: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// The index that has a file's digest, in its forms.
fn index(target: &Target) -> Option<(String, &'static [&'static str])> {
    let file = target.path.rsplit('/').next()?;
    match target.source {
        Source::Pypi => {
            let (project, _) = names::pypi_file(file)?;
            Some((pypi_page(&project), &["html", "json"]))
        }
        Source::Npm => {
            let (name, _) = target.path.split_once("/-/")?;
            Some((name.to_owned(), &["abbreviated", "full"]))
        }
        Source::Rubygems => {
            let (name, _) = names::gem(file.strip_suffix(".gem")?)?;
            Some((format!("info/{name}"), &[""]))
        }
        Source::Go | Source::Maven | Source::Composer | Source::Debian => None,
    }
}

/// The digest of a file in an index.
fn search(
    source: Source,
    variant: &str,
    file: &str,
    reader: impl Read,
) -> io::Result<Option<Expected>> {
    let reader = BufReader::new(reader.take(LONGEST));
    match (source, variant) {
        (Source::Npm, _) => {
            let document: NpmDocument = serde_json::from_reader(reader)?;
            let ending = format!("/-/{file}");
            let mut dists = document
                .versions
                .values()
                .filter_map(|one| one.dist.as_ref());
            let dist = dists.find(|dist| dist.tarball.ends_with(&ending));
            Ok(dist.and_then(Expected::of_npm))
        }
        (Source::Pypi, "json") => {
            let page: PypiPage = serde_json::from_reader(reader)?;
            let mut files = page.files.iter().filter(|one| one.filename == file);
            Ok(files.find_map(|one| Expected::sha256(one.hashes.get("sha256")?)))
        }
        (Source::Pypi, _) => Ok(behind(reader, &format!("/{file}#sha256="))?),
        (Source::Rubygems, _) => {
            let (_, version) = names::gem(file.trim_end_matches(".gem")).unwrap_or_default();
            of_gem(reader, version)
        }
        _ => Ok(None),
    }
}

/// The SHA-256 behind a text.
fn behind(mut reader: impl Read, text: &str) -> io::Result<Option<Expected>> {
    let mut page = String::new();
    reader.read_to_string(&mut page)?;
    let found = page.find(text);
    Ok(found.and_then(|at| Expected::sha256(page.get(at + text.len()..)?.get(..64)?)))
}

/// A line such as `3.1.8 a:>= 0,b:= 1|checksum:…,ruby:>= 2.4`.
fn of_gem(mut reader: impl Read, version: &str) -> io::Result<Option<Expected>> {
    let mut lines = String::new();
    reader.read_to_string(&mut lines)?;
    let line = lines.lines().rev().find_map(|line| {
        let (own, rest) = line.split_once(' ')?;
        (own == version).then_some(rest)
    });
    let sum = line.and_then(|line| {
        let (_, notes) = line.split_once('|')?;
        let mut notes = notes.split(',');
        notes.find_map(|note| note.strip_prefix("checksum:"))
    });
    Ok(sum.and_then(Expected::sha256))
}

impl Packages {
    /// What a file must be, as far as a copy of its index says.
    pub(super) async fn expected(&self, target: &Target) -> Option<Expected> {
        if target.kind != Kind::File {
            return None;
        }
        if let (Source::Debian, Some((_, sum))) =
            (target.source, target.path.split_once("/by-hash/SHA256/"))
        {
            return Expected::sha256(sum);
        }
        let (path, variants) = index(target)?;
        let file = target.path.rsplit('/').next()?.to_owned();
        for variant in variants {
            let key = Key {
                source: target.source,
                path: path.clone(),
                variant,
            };
            let Ok(Some((_, index))) = self.open(&key).await else {
                continue;
            };
            let (source, file) = (target.source, file.clone());
            let work = move |reader| search(source, variant, &file, reader);
            match self.blobs().consume(index, work).await {
                Ok(Ok(Some(expected))) => return Some(expected),
                Ok(Ok(None)) => {}
                Ok(Err(error)) => tracing::debug!(path, %error, "an index cannot be searched"),
                Err(error) => tracing::warn!(path, %error, "an index cannot be read"),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(source: Source, variant: &str, file: &str, index: &str) -> Option<Expected> {
        search(source, variant, file, index.as_bytes()).expect("an index")
    }

    #[test]
    fn indexes_say_what_files_are() {
        let sum = "ab".repeat(32);
        let html = format!("<a href=\"https://f/p/x-1.whl#sha256={sum}\">x-1.whl</a>");
        let json = format!(
            "{{\"files\":[{{\"filename\":\"x-1.whl\",\"hashes\":{{\"sha256\":\"{sum}\"}}}}]}}"
        );
        let expected = Some(Expected::Sha256(sum.clone()));
        assert_eq!(find(Source::Pypi, "html", "x-1.whl", &html), expected);
        assert_eq!(find(Source::Pypi, "json", "x-1.whl", &json), expected);
        assert_eq!(find(Source::Pypi, "html", "y-1.whl", &html), None);
        let info = format!(
            "---\n1.0 |checksum:{}\n1.0-java a:>= 0|checksum:{sum},ruby:>= 2\n",
            "0".repeat(64)
        );
        assert_eq!(
            find(Source::Rubygems, "", "x-1.0-java.gem", &info),
            expected
        );
        assert_eq!(find(Source::Rubygems, "", "x-1.1.gem", &info), None);
        let bytes = base64::engine::general_purpose::STANDARD.encode([7; 64]);
        let npm = format!(
            "{{\"versions\":{{\"1.0.0\":{{\"dist\":{{\"tarball\":\"https://r/x/-/x-1.0.0.tgz\",\
             \"shasum\":\"{}\",\"integrity\":\"sha512-{bytes}\"}}}},\"0.1.0\":{{\"dist\":\
             {{\"tarball\":\"https://r/x/-/x-0.1.0.tgz\",\"shasum\":\"{}\"}}}}}}}}",
            "1".repeat(40),
            "2".repeat(40)
        );
        let found = find(Source::Npm, "full", "x-1.0.0.tgz", &npm);
        assert_eq!(found, Some(Expected::Sha512("07".repeat(64))));
        let found = find(Source::Npm, "full", "x-0.1.0.tgz", &npm);
        assert_eq!(found, Some(Expected::Sha1("2".repeat(40))));
    }
}
