//! Names of packages and versions, as their registries write them.

/// The name of a Python project as PyPI has it: lower case, with single hyphens.
pub(super) fn pypi(name: &str) -> String {
    let mut normal = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if matches!(c, '_' | '.') { '-' } else { c };
        if c != '-' || !normal.ends_with('-') {
            normal.extend(c.to_lowercase());
        }
    }
    normal
}

/// `flask==3.1.0` for a file of PyPI such as `flask-3.1.0-py3-none-any.whl`.
pub(super) fn of_pypi_file(file: &str) -> Option<String> {
    let (name, version) = pypi_file(file)?;
    Some(format!("{name}=={version}"))
}

/// The project and version of a file of PyPI.
pub(super) fn pypi_file(file: &str) -> Option<(String, &str)> {
    let file = file.strip_suffix(".metadata").unwrap_or(file);
    let (name, version) = match file.strip_suffix(".whl") {
        Some(wheel) => {
            let mut parts = wheel.split('-');
            (parts.next()?, parts.next()?)
        }
        None => {
            let endings = [
                ".tar.gz", ".zip", ".tar.bz2", ".tgz", ".tar.xz", ".egg", ".exe",
            ];
            let stem = endings
                .iter()
                .find_map(|ending| file.strip_suffix(ending))?;
            // Names of old archives have hyphens, too; versions begin with a digit.
            let mut ends = stem.match_indices('-').map(|(at, _)| at);
            let digit = |at: &usize| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit());
            let at = ends.find(digit)?;
            (&stem[..at], &stem[at + 1..])
        }
    };
    Some((pypi(name), version))
}

/// A module path or version of Go, where the cache's paths have `!x` for `X`.
pub(super) fn go_unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut upper = false;
    for c in text.chars() {
        if c == '!' && !upper {
            upper = true;
        } else if upper {
            plain.extend(c.to_uppercase());
            upper = false;
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The other way round.
pub(super) fn go_escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_uppercase() {
            escaped.push('!');
        }
        escaped.push(c.to_ascii_lowercase());
    }
    escaped
}

/// Whether a text is a whole version, `v1.2.3` and what may follow, and no branch.
pub(super) fn is_go_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('v') else {
        return false;
    };
    let core = rest.split(['-', '+']).next().unwrap_or(rest);
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number)
}

/// `rack@3.1.8` for a gem's file name without its ending; a platform stays with the version.
pub(super) fn of_gem(stem: &str) -> Option<String> {
    let (name, version) = gem(stem)?;
    Some(format!("{name}@{version}"))
}

/// The name and the version of a gem.
pub(super) fn gem(stem: &str) -> Option<(&str, &str)> {
    let mut ends = stem.match_indices('-').map(|(at, _)| at);
    let digit = |at: &usize| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit());
    let at = ends.find(digit).filter(|at| *at > 0)?;
    Some((&stem[..at], &stem[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_their_package() {
        for (file, package) in [
            ("flask-3.1.0-py3-none-any.whl", Some("flask==3.1.0")),
            (
                "flask-3.1.0-py3-none-any.whl.metadata",
                Some("flask==3.1.0"),
            ),
            ("Zope_Interface-7.2.tar.gz", Some("zope-interface==7.2")),
            (
                "python-dateutil-2.8.2.tar.gz",
                Some("python-dateutil==2.8.2"),
            ),
            ("index.html", None),
            ("-", None),
        ] {
            assert_eq!(of_pypi_file(file).as_deref(), package, "{file}");
        }
        assert_eq!(of_gem("rack-3.1.8").as_deref(), Some("rack@3.1.8"));
        let native = of_gem("ruby-vips-2.0-x86_64-linux");
        assert_eq!(native.as_deref(), Some("ruby-vips@2.0-x86_64-linux"));
        assert_eq!(of_gem("rack"), None);
    }

    #[test]
    fn names_have_one_way_of_writing() {
        assert_eq!(pypi("Zope.Interface__x"), "zope-interface-x");
        assert_eq!(go_unescaped("github.com/!azure/x"), "github.com/Azure/x");
        assert_eq!(go_escaped("github.com/Azure/x"), "github.com/!azure/x");
    }

    #[test]
    fn only_whole_versions_of_go_never_change() {
        for (text, whole) in [
            ("v1.2.3", true),
            ("v0.0.0-20200101000000-abcdefabcdef", true),
            ("v2.0.0+incompatible", true),
            ("v0.0.1-go1.25.1.linux-amd64", true),
            ("v1.2", false),
            ("v1", false),
            ("master", false),
            ("v1.2.x", false),
            ("", false),
        ] {
            assert_eq!(is_go_version(text), whole, "{text}");
        }
    }
}
