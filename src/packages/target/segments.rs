//! The parts of a request's path, checked: nothing leads out of a registry's folder.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// The longest path.
const LONGEST: usize = 1024;
/// What stays as it is in a path.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The decoded parts of a path such as `/pypi/simple/flask/`, and whether it ends with a slash.
pub(super) fn split(path: &str) -> Result<(Vec<String>, bool), &'static str> {
    if path.len() > LONGEST {
        return Err("the path is too long");
    }
    let path = path.strip_prefix('/').ok_or("the path is not absolute")?;
    let (path, folder) = match path.strip_suffix('/') {
        Some(path) => (path, true),
        None => (path, false),
    };
    let mut parts = Vec::new();
    for part in path.split('/') {
        let decoded = percent_decode_str(part).decode_utf8();
        let decoded = decoded.map_err(|_| "the path is not UTF-8")?;
        if matches!(&*decoded, "" | "." | "..") {
            return Err("the path has an empty part, or one that leads elsewhere");
        }
        // npm writes the slash of a scoped name like this.
        let mut names: Vec<&str> = decoded.split('/').collect();
        let scoped = names.len() == 2 && decoded.starts_with('@') && names[1] != "..";
        if names.len() > 1 && !scoped {
            return Err("a part of the path has a slash");
        }
        let strange = |c: char| c.is_control() || c == '\\';
        if decoded.contains(strange) || names.iter().any(|name| matches!(*name, "" | ".")) {
            return Err("the path has characters that no package has");
        }
        parts.extend(names.drain(..).map(str::to_owned));
    }
    Ok((parts, folder))
}

/// The parts as a path without a slash at its start.
pub(super) fn join<S: AsRef<str>>(parts: &[S]) -> String {
    let encoded = parts
        .iter()
        .map(|part| utf8_percent_encode(part.as_ref(), KEPT).to_string());
    encoded.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for bad in [
            "",
            "pypi/simple",
            "/pypi/../x",
            "/pypi/./x",
            "/pypi//x",
            "/pypi/%2e%2e/x",
            "/pypi/%2E./x",
            "/pypi/a%2f..%2fb",
            "/pypi/a%2fb",
            "/npm/@a%2f..",
            "/npm/@a%2f",
            "/npm/@a%2fb%2fc",
            "/pypi/a%5cb",
            "/pypi/a%00b",
            "/pypi/a%0d%0ab",
            "/pypi/%ff",
        ] {
            assert!(split(bad).is_err(), "{bad}");
        }
        assert!(split(&format!("/{}", "x".repeat(LONGEST))).is_err());
    }

    #[test]
    fn paths_are_written_in_one_way() {
        for (path, canonical, folder) in [
            ("/npm/@scope%2fname", "npm/@scope/name", false),
            ("/npm/@scope/name", "npm/@scope/name", false),
            ("/pypi/simple/flask/", "pypi/simple/flask", true),
            (
                "/go/rsc.io/quote/@v/v1.5.2.zip",
                "go/rsc.io/quote/@v/v1.5.2.zip",
                false,
            ),
            (
                "/debian/pool/a%2Bb_1%3a2~x.deb",
                "debian/pool/a+b_1:2~x.deb",
                false,
            ),
            ("/npm/a%20b%3F%23", "npm/a%20b%3F%23", false),
        ] {
            let (parts, is_folder) = split(path).expect(path);
            assert_eq!(
                (join(&parts).as_str(), is_folder),
                (canonical, folder),
                "{path}"
            );
        }
    }
}
