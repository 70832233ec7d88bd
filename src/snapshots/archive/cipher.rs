//! Encryption of a backup with a passphrase.
//!
//! The file begins with [`MAGIC`], a salt of 16 bytes and a nonce of 19 bytes. The key is Argon2id of the
//! passphrase and the salt, with 64 MiB, 3 passes and 1 lane. Then follow chunks of 64 KiB, each encrypted
//! with XChaCha20-Poly1305 in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): chunks that
//! were changed, reordered, or cut off at the end do not decrypt.

use std::io::{self, Read, Write};

use aead_stream::{DecryptorBE32, EncryptorBE32};
use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::KeyInit;
use chacha20poly1305::{Key, XChaCha20Poly1305};

use crate::base::Secret;

/// What an encrypted backup begins with.
pub(super) const MAGIC: &[u8] = b"cflite-backup-encrypted-1\n";
const SALT: usize = 16;
const NONCE: usize = 19;
const CHUNK: usize = 64 * 1024;
/// Of the authentication of a chunk.
const TAG: usize = 16;

fn cipher(passphrase: &Secret<String>, salt: &[u8]) -> io::Result<XChaCha20Poly1305> {
    let params = Params::new(64 * 1024, 3, 1, Some(32)).map_err(io::Error::other)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.expose().as_bytes(), salt, &mut key)
        .map_err(io::Error::other)?;
    Ok(XChaCha20Poly1305::new(&Key::from(key)))
}

/// Encrypts what is written to it; [`Encrypting::finish`] writes the last chunk.
pub(super) struct Encrypting<W: Write> {
    out: W,
    stream: EncryptorBE32<XChaCha20Poly1305>,
    chunk: Vec<u8>,
}

impl<W: Write> Encrypting<W> {
    pub(super) fn begin(mut out: W, passphrase: &Secret<String>) -> io::Result<Self> {
        let (salt, nonce): ([u8; SALT], [u8; NONCE]) = (rand::random(), rand::random());
        out.write_all(MAGIC)?;
        out.write_all(&salt)?;
        out.write_all(&nonce)?;
        let stream = EncryptorBE32::from_aead(cipher(passphrase, &salt)?, &nonce.into());
        Ok(Self {
            out,
            stream,
            chunk: Vec::with_capacity(CHUNK),
        })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        let last = self.stream.encrypt_last(&self.chunk[..]);
        self.out.write_all(&last.map_err(|_| failed())?)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Encrypting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // The last chunk is written by `finish`, so that a full one is held until more follows.
        if self.chunk.len() == CHUNK {
            let full = self.stream.encrypt_next(&self.chunk[..]);
            self.out.write_all(&full.map_err(|_| failed())?)?;
            self.chunk.clear();
        }
        let fits = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn failed() -> io::Error {
    io::Error::other("the backup is too large to be encrypted")
}

/// Decrypts what it reads from a backup whose [`MAGIC`] was read.
pub(super) struct Decrypting<R: Read> {
    source: R,
    stream: Option<DecryptorBE32<XChaCha20Poly1305>>,
    /// What was read of the next chunk.
    sealed: Vec<u8>,
    plain: Vec<u8>,
    used: usize,
}

impl<R: Read> Decrypting<R> {
    pub(super) fn begin(mut source: R, passphrase: &Secret<String>) -> io::Result<Self> {
        let (mut salt, mut nonce) = ([0; SALT], [0; NONCE]);
        source.read_exact(&mut salt)?;
        source.read_exact(&mut nonce)?;
        let stream = DecryptorBE32::from_aead(cipher(passphrase, &salt)?, &nonce.into());
        Ok(Self {
            source,
            stream: Some(stream),
            sealed: Vec::new(),
            plain: Vec::new(),
            used: 0,
        })
    }

    /// The next chunk is the last one when nothing follows it.
    fn next(&mut self) -> io::Result<()> {
        let wanted = CHUNK + TAG + 1 - self.sealed.len();
        let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
        (&mut self.source)
            .take(limit)
            .read_to_end(&mut self.sealed)?;
        let wrong = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "it cannot be decrypted: the passphrase is wrong, or the file was changed or cut off",
            )
        };
        self.used = 0;
        if self.sealed.len() > CHUNK + TAG {
            let rest = self.sealed.split_off(CHUNK + TAG);
            let stream = self.stream.as_mut().ok_or_else(wrong)?;
            self.plain = stream.decrypt_next(&self.sealed[..]).map_err(|_| wrong())?;
            self.sealed = rest;
        } else {
            let stream = self.stream.take().ok_or_else(wrong)?;
            self.plain = stream.decrypt_last(&self.sealed[..]).map_err(|_| wrong())?;
            self.sealed.clear();
        }
        Ok(())
    }
}

impl<R: Read> Read for Decrypting<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.used == self.plain.len() {
            if self.stream.is_none() {
                return Ok(0);
            }
            self.next()?;
        }
        let count = into.len().min(self.plain.len() - self.used);
        into[..count].copy_from_slice(&self.plain[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut out = Encrypting::begin(Vec::new(), &secret("right")).expect("begun");
        out.write_all(plain).expect("written");
        out.finish().expect("finished")
    }

    fn opened(sealed: &[u8], passphrase: &str) -> io::Result<Vec<u8>> {
        let rest = sealed.strip_prefix(MAGIC).expect("the magic");
        let mut plain = Vec::new();
        Decrypting::begin(rest, &secret(passphrase))?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn what_was_encrypted_is_decrypted_whatever_its_size() {
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..=250_u8).cycle().take(size).collect();
            let sealed = sealed(&plain);
            assert!(
                opened(&sealed, "right").expect("decrypted") == plain,
                "{size}"
            );
            opened(&sealed, "wrong").expect_err("another passphrase");
        }
    }

    #[test]
    fn every_change_is_found() {
        let sealed = sealed(&vec![7; 2 * CHUNK + 100]);
        let begin = MAGIC.len() + SALT + NONCE;
        for at in [
            MAGIC.len(),
            MAGIC.len() + SALT,
            begin,
            begin + CHUNK,
            sealed.len() - 1,
        ] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            opened(&changed, "right").expect_err("changed");
        }
        let one = CHUNK + TAG;
        for end in [
            begin,
            begin + 10,
            begin + one,
            begin + 2 * one,
            sealed.len() - 1,
        ] {
            opened(&sealed[..end], "right").expect_err("cut off");
        }
        let mut swapped = sealed[..begin].to_vec();
        swapped.extend_from_slice(&sealed[begin + one..begin + 2 * one]);
        swapped.extend_from_slice(&sealed[begin..begin + one]);
        swapped.extend_from_slice(&sealed[begin + 2 * one..]);
        opened(&swapped, "right").expect_err("reordered");
    }
}
