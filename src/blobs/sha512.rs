//! The second name of a blob that clients may use: the SHA-512 of its bytes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest as _, Sha512};

use super::InvalidDigest;

const PREFIX: &str = "sha512:";
const CHUNK: usize = 128 * 1024;

/// `sha512:` and 128 lower-case hexadecimal digits; always valid.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha512Digest(String);

impl Sha512Digest {
    /// Validates `text`.
    pub fn parse(text: &str) -> Result<Self, InvalidDigest> {
        let hex = text.strip_prefix(PREFIX).ok_or(InvalidDigest)?;
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if hex.len() != 128 || !hex.bytes().all(is_hex) {
            return Err(InvalidDigest);
        }
        Ok(Self(text.to_owned()))
    }

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::finish(Sha512::new_with_prefix(bytes))
    }

    /// The digest of everything in a file.
    pub(super) fn of_file(file: &mut File) -> io::Result<Self> {
        let mut hasher = Sha512::new();
        let mut chunk = vec![0; CHUNK];
        loop {
            match file.read(&mut chunk)? {
                0 => return Ok(Self::finish(hasher)),
                count => hasher.update(&chunk[..count]),
            }
        }
    }

    fn finish(hasher: Sha512) -> Self {
        Self(format!("{PREFIX}{}", hex::encode(hasher.finalize())))
    }

    /// With the prefix `sha512:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sha512Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sha512Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lower_case_sha512_digests_pass() {
        let good = Sha512Digest::of(b"");
        assert!(good.as_str().starts_with("sha512:cf83e1357eefb8bd"));
        assert_eq!(Sha512Digest::parse(good.as_str()), Ok(good.clone()));
        let text = good.as_str();
        for bad in [
            "",
            "sha512:",
            "sha512:baddigeststring",
            &text.to_uppercase(),
            &text[..text.len() - 1],
            &text.replace("sha512", "sha256"),
        ] {
            assert_eq!(Sha512Digest::parse(bad), Err(InvalidDigest), "{bad}");
        }
    }
}
