//! The embedded files for containers: lifecycle scripts and built-in buildpacks.

use std::io::{self, Write};

use bytes::Bytes;
use include_dir::{Dir, include_dir};
use tar::{Builder, EntryType, Header};

static LIFECYCLE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/images/lifecycle");
static BUILDPACKS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/images/buildpacks");

/// Files shared by the built-in buildpacks; not a buildpack.
const COMMON: &str = "common";
/// The user that apps run as.
pub(super) const VCAP: u64 = 2000;

/// A built-in buildpack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuiltInBuildpack {
    /// Its folder, `staticfile`; its platform name has the suffix `_buildpack`.
    pub folder: String,
    /// Its version.
    pub version: String,
}

/// All built-in buildpacks, by folder.
pub fn built_in_buildpacks() -> Vec<BuiltInBuildpack> {
    let mut found: Vec<BuiltInBuildpack> = BUILDPACKS
        .dirs()
        .filter_map(|dir| {
            let folder = dir.path().to_str()?.to_owned();
            let version = BUILDPACKS.get_file(format!("{folder}/VERSION"))?;
            let version = version.contents_utf8()?.trim().to_owned();
            Some(BuiltInBuildpack { folder, version })
        })
        .collect();
    found.sort_by(|a, b| a.folder.cmp(&b.folder));
    found
}

/// The scripts that start apps, as a tar for `/`: `tmp/lifecycle/launcher` and so on.
pub fn lifecycle_files() -> Bytes {
    let mut tar = Builder::new(Vec::new());
    // Writing to memory cannot fail.
    drop(add_lifecycle(&mut tar, "tmp/"));
    tar.into_inner().unwrap_or_default().into()
}

pub(super) fn add_lifecycle(tar: &mut Builder<impl Write>, prefix: &str) -> io::Result<()> {
    add_folder(tar, &format!("{prefix}lifecycle"))?;
    add_files(tar, &LIFECYCLE, &format!("{prefix}lifecycle/"), |path| {
        // Libraries have an extension.
        std::path::Path::new(path).extension().is_none()
    })
}

pub(super) fn has_buildpack(folder: &str) -> bool {
    folder != COMMON && BUILDPACKS.get_dir(folder).is_some()
}

/// Adds the given built-in buildpacks and their shared files below `buildpacks/`.
pub(super) fn add_buildpacks(tar: &mut Builder<impl Write>, folders: &[String]) -> io::Result<()> {
    let wanted = folders.iter().map(String::as_str).chain([COMMON]);
    for folder in wanted.filter(|_| !folders.is_empty()) {
        if let Some(dir) = BUILDPACKS.get_dir(folder) {
            add_folder(tar, &format!("buildpacks/{folder}"))?;
            add_files(tar, dir, "buildpacks/", |path| path.contains("/bin/"))?;
        }
    }
    Ok(())
}

fn add_files(
    tar: &mut Builder<impl Write>,
    dir: &Dir<'_>,
    prefix: &str,
    executable: impl Fn(&str) -> bool + Copy,
) -> io::Result<()> {
    for file in dir.files() {
        let path = format!("{prefix}{}", file.path().display());
        let mode = if executable(&path) { 0o755 } else { 0o644 };
        let mut header = header(EntryType::Regular, mode, file.contents().len() as u64);
        tar.append_data(&mut header, path, file.contents())?;
    }
    for inner in dir.dirs() {
        add_folder(tar, &format!("{prefix}{}", inner.path().display()))?;
        add_files(tar, inner, prefix, executable)?;
    }
    Ok(())
}

pub(super) fn add_folder(tar: &mut Builder<impl Write>, path: &str) -> io::Result<()> {
    let mut header = header(EntryType::Directory, 0o755, 0);
    tar.append_data(&mut header, format!("{path}/"), io::empty())
}

/// A header of an entry owned by vcap.
pub(super) fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(VCAP);
    header.set_gid(VCAP);
    // Not zero: some tools treat 1970 as a missing time.
    header.set_mtime(1_000_000_000);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modes(tar: &[u8]) -> std::collections::BTreeMap<String, u32> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().expect("entries");
        entries
            .map(|entry| {
                let entry = entry.expect("an entry");
                let path = entry.path().expect("a path").display().to_string();
                assert_eq!(entry.header().uid().expect("an owner"), VCAP);
                (path, entry.header().mode().expect("a mode"))
            })
            .collect()
    }

    #[test]
    fn scripts_are_executable_and_libraries_are_not() {
        let modes = modes(&lifecycle_files());
        assert_eq!(modes["tmp/lifecycle/builder"], 0o755);
        assert_eq!(modes["tmp/lifecycle/launcher"], 0o755);
        assert_eq!(modes["tmp/lifecycle/cnb-launcher"], 0o755);
        assert_eq!(modes["tmp/lifecycle/common.sh"], 0o644);
        assert_eq!(modes["tmp/lifecycle/cnb/__main__.py"], 0o644);
    }

    #[test]
    fn a_buildpack_includes_the_shared_files() {
        let mut tar = Builder::new(Vec::new());
        add_buildpacks(&mut tar, &["staticfile".to_owned()]).expect("a tar");
        let modes = modes(&tar.into_inner().expect("a tar"));
        assert_eq!(modes["buildpacks/staticfile/bin/detect"], 0o755);
        assert_eq!(modes["buildpacks/common/lib.sh"], 0o644);
        assert!(!modes.keys().any(|path| path.contains("ruby")));
    }

    #[test]
    fn built_in_buildpacks_have_versions() {
        let all = built_in_buildpacks();
        assert!(all.iter().any(|b| b.folder == "staticfile"), "{all:?}");
        assert!(
            all.iter()
                .all(|b| !b.version.is_empty() && has_buildpack(&b.folder))
        );
        assert!(!has_buildpack(COMMON) && !has_buildpack("cobol"));
    }

    #[test]
    fn sidecars_have_marks_and_end_with_their_process() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("temporary folder");
        let launcher = dir.path().join("launcher");
        std::fs::write(&launcher, "#!/usr/bin/env bash\nexec bash -c \"$2\"\n").expect("written");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&launcher, mode).expect("executable");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/images/lifecycle/sidecars");
        let output = std::process::Command::new(script)
            .arg(&launcher)
            .args(["echo main; until [[ -e ready && -e armed ]]; do sleep 0.01; done; exit 3"])
            .args([
                "printf 'a\\xff'; echo; echo $MEMORY_LIMIT >&2; touch ready; exec sleep 60",
                "16m",
            ])
            .args([
                "trap 'echo end; kill $!; exit' TERM; sleep 60 & touch armed; wait",
                "32m",
            ])
            .current_dir(dir.path())
            .output()
            .expect("run");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let mut lines: Vec<&[u8]> = output.stdout.split(|byte| *byte == b'\n').collect();
        lines.sort_unstable();
        let expected: [&[u8]; 4] = [b"", b"\x1e0\0a\xff", b"\x1e1\0end", b"main"];
        assert_eq!(lines, expected, "{output:?}");
        assert_eq!(output.stderr, b"\x1e0\x0016m\n", "{output:?}");
    }
}
