//! What runs in a container: words and variables of its commands.
//!
//! Each script first writes its process id on a line that begins with a mark, which `process` reads
//! and takes away: it is how a command gets signals.

use crate::docker::{ExecSpec, TerminalSize};

/// Begins the line with the process id.
pub(super) const MARK: u8 = 0x1e;

/// The shell that runs the scripts.
const SHELL: &str = "/bin/sh";

/// A shell for the user, or `$3` in it; `$1` and `$2` are the size of its terminal, if it has one. The
/// daemon sets that size, too, but not before the shell begins.
const SESSION: &str = r#"printf '\036%s\n' "$$"
[ -z "$1" ] || stty rows "$1" cols "$2" 2>/dev/null
shift 2
for SHELL in /bin/bash /usr/local/bin/bash /bin/sh; do [ -x "$SHELL" ] && break; done
export SHELL
[ -n "${USER-}" ] || { USER=$(id -un 2>/dev/null) && export USER; }
[ "$#" -gt 0 ] || exec "$SHELL"
exec "$SHELL" -c "$1""#;

/// The server for files that comes with OpenSSH, where distributions put it; `$1` is `run` or `find`.
const FILES: &str = r#"printf '\036%s\n' "$$"
for server in /usr/lib/openssh /usr/libexec/openssh /usr/lib/ssh /usr/libexec; do
  [ -x "$server/sftp-server" ] || continue
  [ "$1" = run ] && exec "$server/sftp-server"
  exit 0
done
exit 1"#;

/// Connects to `$1` port `$2`. Tells on standard error when it is connected, as `nc -v` does.
const FORWARD: &str = r#"printf '\036%s\n' "$$"
if nc -h 2>&1 | grep -q -e -N; then exec nc -v -N "$1" "$2"; fi
[ -x /bin/bash ] || exit 127
exec /bin/bash -c 'exec 3<>"/dev/tcp/$1/$2" || exit 1
echo "succeeded!" >&2
cat <&3 &
cat >&3
wait' bash "$1" "$2""#;

/// Sends signal `$1` to process `$2` and all of its group.
const SIGNAL: &str = r#"kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" "$2""#;

/// The longest command.
const LONGEST_COMMAND: usize = 100_000;
/// The most variables of a client, and bytes of them.
const MOST_VARIABLES: usize = 64;
const LONGEST_VARIABLES: usize = 32 * 1024;

/// What a client asked of a session before it began.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    environment: Vec<(String, String)>,
    pub(super) terminal: Option<TerminalSize>,
}

impl Asked {
    /// Adds a variable; too many, and what is none, are left out.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let mut bytes = name.bytes();
        let begins =
            { bytes.next() }.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let is_name = begins && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let size = |(name, value): &(String, String)| name.len() + value.len();
        let used: usize = self.environment.iter().map(size).sum();
        let fits = self.environment.len() < MOST_VARIABLES
            && used + name.len() + value.len() <= LONGEST_VARIABLES;
        if is_name && fits && !value.contains('\0') {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Gives it a terminal. Sizes of nothing and of more than there can be are made ones that are.
    pub(super) fn terminal(&mut self, kind: Option<&str>, columns: u32, rows: u32) {
        if let Some(kind) = kind.filter(|kind| !kind.is_empty()) {
            self.set("TERM", kind);
        }
        let bounded = |number: u32, usual: u16| match u16::try_from(number) {
            Ok(0) => usual,
            Ok(number) => number,
            Err(_) => u16::MAX,
        };
        self.terminal = Some(TerminalSize {
            rows: bounded(rows, 24),
            columns: bounded(columns, 80),
        });
    }

    /// The session itself: a command, or a shell for the user.
    pub(super) fn session(self, command: Option<&[u8]>) -> Result<ExecSpec, String> {
        let command = command.map(checked).transpose()?;
        let (rows, columns) = match self.terminal {
            Some(size) => (size.rows.to_string(), size.columns.to_string()),
            None => (String::new(), String::new()),
        };
        let arguments = [&*rows, &*columns].into_iter().chain(command);
        let arguments: Vec<&str> = arguments.collect();
        Ok(ExecSpec {
            environment: self.environment,
            terminal: self.terminal,
            ..script(SESSION, &arguments)
        })
    }
}

/// The image's own server for SFTP.
pub(super) fn sftp_server() -> ExecSpec {
    script(FILES, &["run"])
}

/// Ends with 0 when the image has a server for SFTP.
pub(super) fn find_sftp_server() -> ExecSpec {
    script(FILES, &["find"])
}

fn checked(command: &[u8]) -> Result<&str, String> {
    if command.len() > LONGEST_COMMAND {
        return Err(format!(
            "the command has {} bytes; at most {LONGEST_COMMAND} can be sent",
            command.len()
        ));
    }
    match std::str::from_utf8(command) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("the command is not UTF-8 text".to_owned()),
    }
}

/// A connection to a port as the container reaches it.
pub(super) fn forward(host: &str, port: u16) -> ExecSpec {
    script(FORWARD, &[host, &port.to_string()])
}

/// Sends a signal to a process of the container and its group.
pub(super) fn signal(name: &str, process: u32) -> ExecSpec {
    script(SIGNAL, &[name, &process.to_string()])
}

/// A script and its arguments.
pub(super) fn script(script: &str, arguments: &[&str]) -> ExecSpec {
    let words = [SHELL, "-c", script, "sh"];
    let words = words.iter().chain(arguments);
    ExecSpec {
        command: words.map(|word| (*word).to_owned()).collect(),
        ..ExecSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_clients_have_names_and_bounds() {
        let mut asked = Asked::default();
        for (name, value) in [
            ("LANG", "de"),
            ("_x1", ""),
            ("1x", "a"),
            ("", "a"),
            ("A B", "a"),
            ("A", "a\0b"),
        ] {
            asked.set(name, value);
        }
        let kept = asked.clone().session(None).unwrap().environment;
        let names: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["LANG", "_x1"]);
        asked.set("BIG", &"x".repeat(LONGEST_VARIABLES));
        for number in 0..2 * MOST_VARIABLES {
            asked.set(&format!("V{number}"), "x");
        }
        let kept = asked.session(None).unwrap().environment;
        assert_eq!(kept.len(), MOST_VARIABLES);
        assert!(!kept.iter().any(|(name, _)| name == "BIG"));
    }

    #[test]
    fn terminals_have_a_size_that_exists() {
        let mut asked = Asked::default();
        asked.terminal(Some("xterm"), 0, 1_000_000);
        let spec = asked.session(None).unwrap();
        let size = spec.terminal.unwrap();
        assert_eq!((size.columns, size.rows), (80, u16::MAX));
        assert_eq!(spec.environment, [("TERM".to_owned(), "xterm".to_owned())]);
    }

    #[test]
    fn a_command_is_one_word_of_text() {
        let spec = Asked::default()
            .session(Some(b"echo $PORT; exit 3"))
            .unwrap();
        assert_eq!(spec.command.last().unwrap(), "echo $PORT; exit 3");
        assert_eq!(spec.command.len(), 7);
        for (bad, why) in [
            (b"\xff".to_vec(), "UTF-8"),
            (b"a\0b".to_vec(), "UTF-8"),
            (vec![b'a'; LONGEST_COMMAND + 1], "at most 100000"),
        ] {
            let refused = Asked::default().session(Some(&bad)).map(|_| ());
            let error = refused.unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
