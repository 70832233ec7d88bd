//! Scripts about files, and what their ends and their output say.

use std::sync::Arc;

use russh_sftp::protocol::{File, FileAttributes, StatusCode};
use russh_sftp::server::StatusReply;

use crate::docker::{Engine, ExecSpec};
use crate::ssh::command::script;
use crate::ssh::process::{End, ask};

const DENIED: u32 = 71;
const MISSING: u32 = 73;
const IS_FOLDER: u32 = 74;
const EXISTS: u32 = 75;

/// How `stat` writes attributes: mode, size, times, owner, group.
const FORMAT: &str = "%f %s %X %Y %u %g";

/// One request of a client to the container: a script and its arguments.
pub(super) struct Tools {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) container: String,
}

/// What begins every script: its process id, and what is missing in an image.
macro_rules! script {
    ($($tool:literal)* ; $text:literal) => {
        concat!("printf '\\036%s\\n' \"$$\"\n",
            $("command -v ", $tool, " >/dev/null || { echo ", $tool, "; exit 127; }\n",)*
            $text)
    };
}

pub(super) const LSTAT: &str = script!("stat"; r#"[ -e "$1" ] || [ -h "$1" ] || exit 73
exec stat -c "$2" "$1""#);
pub(super) const STAT: &str = script!("stat"; r#"[ -e "$1" ] || exit 73
exec stat -L -c "$2" "$1""#);
pub(super) const LIST: &str = script!("stat"; r#"[ -d "$1" ] || exit 73
cd "$1" 2>/dev/null && [ -r . ] || exit 71
stat -c "$2 %n" . .. ./* ./.[!.]* ./..?* 2>/dev/null
exit 0"#);
pub(super) const REAL_PATH: &str = script!(; r#"if cd "$1" 2>/dev/null; then exec pwd -P; fi
case "$1" in */*) cd "${1%/*}/" 2>/dev/null || exit 73 ;; esac
here=$(pwd -P)
printf '%s/%s\n' "${here%/}" "${1##*/}""#);
pub(super) const CHECK_READ: &str = script!("cat" "tail"; r#"[ -d "$1" ] && exit 74
[ -e "$1" ] || exit 73
[ -r "$1" ] || exit 71"#);
pub(super) const READ: &str = script!(; r#"[ "$2" -gt 0 ] || exec cat "$1"
exec tail -c "+$(($2 + 1))" "$1""#);
/// `$2` is `create`, `new` or `keep`; `$3` is `truncate` or `keep`; `$4` is the mode of a new file.
pub(super) const CHECK_WRITE: &str = script!("cat"; r#"[ -d "$1" ] && exit 74
if [ -e "$1" ] || [ -h "$1" ]; then [ "$2" != new ] || exit 75; is_new=
else [ "$2" != keep ] || exit 73; [ -d "$(dirname "$1")" ] || exit 73; is_new=1; fi
if [ "$3" = truncate ]; then (: >"$1") 2>/dev/null || exit 71
else (: >>"$1") 2>/dev/null || exit 71; fi
[ -z "$is_new" ] || [ -z "$4" ] || chmod "$4" "$1""#);
/// From the beginning of the file, or at its end when that is where `$2` is.
pub(super) const WRITE: &str = script!(; r#"if [ "$2" -eq 0 ]; then exec 1<>"$1"; exec cat; fi
[ "$(stat -L -c %s "$1")" -eq "$2" ] || { echo "only the end of a file can be continued" >&2; exit 1; }
exec cat >>"$1""#);
pub(super) const REMOVE: &str = script!("rm"; r#"[ -e "$1" ] || [ -h "$1" ] || exit 73
[ -d "$1" ] && [ ! -h "$1" ] && exit 74
exec rm -f "$1""#);
pub(super) const MAKE_FOLDER: &str = script!("mkdir"; r#"[ -e "$1" ] && exit 75
exec mkdir ${2:+-m "$2"} "$1""#);
pub(super) const REMOVE_FOLDER: &str = script!("rmdir"; r#"[ -d "$1" ] || exit 73
exec rmdir "$1""#);
pub(super) const RENAME: &str = script!("mv"; r#"[ -e "$1" ] || [ -h "$1" ] || exit 73
[ -e "$2" ] || [ -h "$2" ] && exit 75
exec mv "$1" "$2""#);
pub(super) const LINK: &str = script!("ln"; r#"[ -e "$2" ] || [ -h "$2" ] && exit 75
exec ln -s "$1" "$2""#);
pub(super) const READ_LINK: &str = script!("readlink"; r#"[ -h "$1" ] || exit 73
exec readlink "$1""#);
/// Mode, size, owner and group, time; each may be empty.
pub(super) const SET: &str = script!(; r#"[ -e "$1" ] || exit 73
[ -z "$2" ] || chmod "$2" "$1" || exit 1
[ -z "$3" ] || truncate -s "$3" "$1" || exit 1
[ -z "$4" ] || chown "$4" "$1" || exit 1
[ -z "$5" ] || touch -m -d "@$5" "$1""#);

impl Tools {
    /// Runs a script to its end; what it wrote.
    pub(super) async fn ask(&self, text: &str, arguments: &[&str]) -> Result<String, StatusReply> {
        let spec = Self::spec(text, arguments)?;
        let asked = ask(&self.engine, &self.container, &spec).await;
        let (end, said) = asked.map_err(|error| failure(&error.to_string()))?;
        check(end, &said)?;
        Ok(said)
    }

    /// A command for a script.
    pub(super) fn spec(text: &str, arguments: &[&str]) -> Result<ExecSpec, StatusReply> {
        if arguments.iter().any(|argument| argument.contains('\0')) {
            return Err(failure("a name cannot hold a NUL"));
        }
        Ok(script(text, arguments))
    }

    /// The attributes of a path.
    pub(super) async fn attributes(
        &self,
        text: &str,
        path: &str,
    ) -> Result<FileAttributes, StatusReply> {
        let said = self.ask(text, &[path, FORMAT]).await?;
        let parsed = attributes(said.trim_end());
        Ok(parsed.ok_or_else(|| failure("stat said something else"))?.0)
    }

    /// The entries of a folder.
    pub(super) async fn list(&self, path: &str) -> Result<Vec<File>, StatusReply> {
        Ok(entries(&self.ask(LIST, &[path, FORMAT]).await?))
    }
}

/// A path that no tool takes for an option; a relative one begins where sessions do.
pub(super) fn path(text: &str) -> String {
    match text {
        "" => ".".to_owned(),
        text if text.starts_with('-') => format!("./{text}"),
        text => text.to_owned(),
    }
}

pub(super) fn failure(text: &str) -> StatusReply {
    StatusCode::Failure.with_message(text)
}

/// What the end of a script says.
pub(super) fn check(end: End, said: &str) -> Result<(), StatusReply> {
    match end {
        End::Status(0) => Ok(()),
        End::Status(DENIED) => Err(StatusCode::PermissionDenied.into()),
        End::Status(MISSING) => Err(StatusCode::NoSuchFile.into()),
        End::Status(IS_FOLDER) => Err(failure("this is a folder")),
        End::Status(EXISTS) => Err(failure("there is one already")),
        End::Status(127) => Err(failure(&format!(
            "the image of the app has no {}",
            said.trim()
        ))),
        End::NoShell => Err(failure("the image of the app has no /bin/sh")),
        End::Gone => Err(failure("the instance does not run any more")),
        End::Status(_)
            if ["ermission denied", "not permitted"]
                .iter()
                .any(|text| said.contains(text)) =>
        {
            Err(StatusCode::PermissionDenied.with_message(said.trim()))
        }
        End::Status(_) => Err(failure(said.trim())),
    }
}

/// `81a4 120 1700000000 1700000000 2000 2000` and what follows.
fn attributes(line: &str) -> Option<(FileAttributes, Option<&str>)> {
    let mut parts = line.splitn(7, ' ');
    let mode = u32::from_str_radix(parts.next()?, 16).ok()?;
    let size = parts.next()?.parse().ok()?;
    let mut number = || parts.next()?.parse().ok();
    let attributes = FileAttributes {
        size: Some(size),
        permissions: Some(mode),
        atime: Some(number()?),
        mtime: Some(number()?),
        uid: Some(number()?),
        gid: Some(number()?),
        ..FileAttributes::empty()
    };
    Some((attributes, parts.next()))
}

/// Reads what `stat` wrote of a folder. A line that does not begin as one of its lines goes on with
/// the name of the one before.
fn entries(text: &str) -> Vec<File> {
    let mut found: Vec<(String, FileAttributes)> = Vec::new();
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        match attributes(line) {
            Some((attributes, Some(name))) => {
                let name = name.strip_prefix("./").unwrap_or(name);
                found.push((name.to_owned(), attributes));
            }
            _ => {
                if let Some((last, _)) = found.last_mut() {
                    last.push('\n');
                    last.push_str(line);
                }
            }
        }
    }
    let files = found.into_iter();
    files
        .map(|(name, attributes)| File::new(name, attributes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_names_of_any_kind() {
        let text =
            "41ed 4096 1 2 0 0 .\n81a4 12 1 2 2000 2000 ./a b\n81a4 0 1 2 1 1 ./two\nlines\n";
        let files = entries(text);
        let names: Vec<_> = files.iter().map(|file| file.filename.as_str()).collect();
        assert_eq!(names, [".", "a b", "two\nlines"]);
        assert_eq!(files[1].attrs.size, Some(12));
        assert_eq!(files[1].attrs.uid, Some(2000));
        assert!(files[0].attrs.is_dir());
        assert!(entries("").is_empty());
    }

    #[test]
    fn the_end_of_a_script_is_a_status_of_the_protocol() {
        let code = |end, said: &str| check(end, said).map_err(|reply| reply.status_code);
        assert_eq!(code(End::Status(0), ""), Ok(()));
        assert_eq!(code(End::Status(73), ""), Err(StatusCode::NoSuchFile));
        assert_eq!(code(End::Status(71), ""), Err(StatusCode::PermissionDenied));
        let said = "rm: cannot remove 'x': Permission denied\n";
        assert_eq!(
            code(End::Status(1), said),
            Err(StatusCode::PermissionDenied)
        );
        assert_eq!(code(End::Status(1), "no"), Err(StatusCode::Failure));
        let missing = check(End::Status(127), "stat\n").unwrap_err();
        let text = missing.error_message.unwrap();
        assert_eq!(text, "the image of the app has no stat");
    }

    #[test]
    fn no_path_is_an_option() {
        for (given, taken) in [("", "."), ("-rf", "./-rf"), ("a", "a"), ("/a", "/a")] {
            assert_eq!(path(given), taken);
        }
    }
}
