//! Comparing versions, well enough to find the newest one.

use std::cmp::Ordering;

/// The newest release of all, or the newest one before a release if there is none.
pub(super) fn newest<'a>(
    versions: impl Iterator<Item = &'a str>,
    is_early: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    versions.max_by(|a, b| {
        let early = |text: &str| !is_early(text);
        early(a).cmp(&early(b)).then_with(|| compare(a, b))
    })
}

/// Whether a version comes before a release, as npm, Ruby and PHP write it.
pub(super) fn is_early(version: &str) -> bool {
    let core = version.trim_start_matches('v');
    let core = core.split('+').next().unwrap_or(core);
    core.contains('-') || core.contains(|c: char| c.is_ascii_alphabetic())
}

/// The same for Python, where `1.0.post1` comes after it.
pub(super) fn is_early_python(version: &str) -> bool {
    let core = version.split('+').next().unwrap_or(version);
    is_early(&core.replace(".post", "."))
}

/// Whether `version` is `wanted`, or begins with its numbers: `5` and `^5` mean 5.1.0, too.
pub(super) fn matches(version: &str, wanted: &str) -> bool {
    let wanted = wanted.trim_start_matches(['^', '~', 'v', '=']);
    let wanted = wanted.trim_end_matches(".x").trim_end_matches(".*");
    let rest = version.trim_start_matches('v').strip_prefix(wanted);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a), parts(b));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => {
                let zero = Part::Number(0);
                let order = a.unwrap_or(zero).cmp(&b.unwrap_or(zero));
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
    }
}

/// Letters come before numbers: 1.0rc1 before 1.0.1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'a> {
    Letters(&'a str),
    Number(u64),
}

fn parts(version: &str) -> impl Iterator<Item = Part<'_>> {
    let core = version.trim_start_matches('v');
    let core = core.split('+').next().unwrap_or(core);
    core.split(['.', '-', '_']).flat_map(|part| {
        let digit = |c: char| c.is_ascii_digit();
        let middle = part.find(|c| !digit(c)).unwrap_or(part.len());
        let (number, letters) = part.split_at(middle);
        let number = number.parse().ok().map(Part::Number);
        let letters = Some(letters).filter(|text| !text.is_empty());
        number.into_iter().chain(letters.map(Part::Letters))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_wins() {
        let newest = |versions: &[&'static str]| newest(versions.iter().copied(), is_early);
        assert_eq!(newest(&["1.9.0", "1.10.0", "1.2"]), Some("1.10.0"));
        assert_eq!(newest(&["1.0.0", "2.0.0-rc.1"]), Some("1.0.0"));
        assert_eq!(
            newest(&["2.0.0-alpha.1", "2.0.0-alpha.2"]),
            Some("2.0.0-alpha.2")
        );
        assert_eq!(newest(&[]), None);
        assert!(!is_early_python("1.0.post1") && is_early_python("1.0rc1"));
    }

    #[test]
    fn a_part_of_a_version_matches_all_that_begin_with_it() {
        for (version, wanted, same) in [
            ("5.1.0", "5", true),
            ("5.1.0", "^5", true),
            ("5.1.0", "5.1.x", true),
            ("5.1.0", "5.1.0", true),
            ("51.0.0", "5", false),
            ("4.1.0", "5", false),
        ] {
            assert_eq!(matches(version, wanted), same, "{version} {wanted}");
        }
    }
}
