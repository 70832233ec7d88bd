//! Validation of file names in untrusted archives.

const MAX_PATH: usize = 4096;

/// The relative path `name` without `.` parts and repeated or trailing slashes. `None` if it is
/// empty, absolute, leaves its folder or is not a valid file name.
pub(super) fn safe_path(name: &str) -> Option<String> {
    if name.starts_with('/') || name.contains('\0') || name.len() > MAX_PATH {
        return None;
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// The parent folders of a path, outermost first.
pub(super) fn folders(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_paths_that_stay_inside_pass() {
        for (name, expected) in [
            ("a", Some("a")),
            ("./a//b/", Some("a/b")),
            ("...", Some("...")),
            ("a..b/c", Some("a..b/c")),
            ("..", None),
            ("../a", None),
            ("a/../../b", None),
            ("a/..", None),
            ("/a", None),
            ("", None),
            (".", None),
            ("./", None),
            ("a\0b", None),
        ] {
            assert_eq!(safe_path(name).as_deref(), expected, "{name:?}");
        }
        assert_eq!(safe_path(&"a".repeat(MAX_PATH + 1)), None);
        assert_eq!(folders("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
    }
}
