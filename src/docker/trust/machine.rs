//! The certificate authorities that the owner of this machine added to it.

use std::path::Path;

/// A certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Name of its file, which ends in `.crt`.
    pub name: String,
    /// Its certificate.
    pub pem: Vec<u8>,
}

/// What the names of files with a platform's own authority begin with: `cflite trust install` writes
/// them into the same folder.
pub const PLATFORM_PREFIX: &str = "cflite-local-authority-";

/// The authorities in a folder, in the order of their names, without those of platforms; none if there
/// is no such folder.
pub fn authorities(folder: &Path) -> Vec<Authority> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let read = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?.to_owned();
        let wanted = path.extension().is_some_and(|kind| kind == "crt")
            && !name.starts_with(PLATFORM_PREFIX);
        let pem = wanted.then(|| std::fs::read(&path).ok())??;
        Some(Authority { name, pem })
    });
    let mut all: Vec<Authority> = read.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_taken_from_the_machine_in_the_order_of_names() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "b.crt",
            "a.crt",
            "b.pem",
            "c",
            "cflite-local-authority-1.crt",
        ] {
            std::fs::write(folder.path().join(name), name).expect("a file");
        }
        let names: Vec<String> = { authorities(folder.path()).into_iter() }
            .map(|authority| String::from_utf8(authority.pem).expect("text"))
            .collect();
        assert_eq!(names, ["a.crt", "b.crt"]);
        assert!(authorities(&folder.path().join("missing")).is_empty());
    }
}
