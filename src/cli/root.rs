//! Commands that have to be repeated as root.

use crate::config::Config;

/// This program with `words`, as root and for the same platform.
pub(super) fn as_root(words: &str, config: &Config) -> String {
    let program = std::env::current_exe();
    let program = program.map_or_else(|_| "cflite".into(), |path| path.display().to_string());
    let data_dir = config.data_dir.display().to_string();
    let (program, data_dir) = (quoted(&program), quoted(&data_dir));
    format!("sudo {program} {words} --data-dir {data_dir}")
}

/// A word of a command of the shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("/usr/bin/cflite"), "/usr/bin/cflite");
        assert_eq!(quoted("/home/a b/it's"), r"'/home/a b/it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
