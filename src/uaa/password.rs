//! Passwords: argon2id on blocking threads, a few at a time because each hash takes 19 MiB and much
//! CPU time; sources take turns.

use super::error::{UaaError, UaaResult};
use super::throttle::Source;
use super::throttle::turns::Turns;
use crate::base::Secret;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

const AT_ONCE: usize = 2;

/// Longer ones are refused before any work is done.
const LONGEST: usize = 255;

/// Matches no password; checked for users who have none, so that the check takes as long as for
/// others.
const DUMMY_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5bm9ibw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A hash as stored, in PHC form.
#[derive(Clone)]
pub(crate) struct Hashed(String);

impl Hashed {
    /// From the database.
    pub(crate) fn stored(text: String) -> Self {
        Self(text)
    }

    /// For the database.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks the rules for a new password.
pub(crate) fn validate(password: &Secret<String>) -> UaaResult<()> {
    if password.expose().is_empty() {
        return Err(UaaError::invalid_password(
            "Password must be at least 1 characters in length.",
        ));
    }
    if password.expose().len() > LONGEST {
        let text = format!("Password must be no more than {LONGEST} characters in length.");
        return Err(UaaError::invalid_password(text));
    }
    Ok(())
}

/// Hashes and checks passwords.
pub(crate) struct PasswordHasher {
    turns: Turns,
}

impl PasswordHasher {
    pub(crate) fn new() -> Self {
        Self {
            turns: Turns::new(AT_ONCE),
        }
    }

    /// A salted hash of a valid password.
    pub(crate) async fn hash(&self, source: Source, password: Secret<String>) -> UaaResult<Hashed> {
        validate(&password)?;
        self.blocking(source, move || {
            let hash: PasswordHash =
                Argon2::default().hash_password(password.expose().as_bytes())?;
            Ok(Hashed(hash.to_string()))
        })
        .await
    }

    /// Whether `password` is the one that was hashed.
    pub(crate) async fn matches(
        &self,
        source: Source,
        password: Secret<String>,
        stored: Option<Hashed>,
    ) -> UaaResult<bool> {
        if password.expose().len() > LONGEST {
            return Ok(false);
        }
        self.blocking(source, move || {
            let stored = stored.as_ref().map_or(DUMMY_HASH, Hashed::as_str);
            let hash = PasswordHash::new(stored)?;
            match Argon2::default().verify_password(password.expose().as_bytes(), &hash) {
                Ok(()) => Ok(true),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        source: Source,
        work: impl FnOnce() -> Result<T, argon2::password_hash::Error> + Send + 'static,
    ) -> UaaResult<T> {
        let failed = |cause: &dyn std::fmt::Display| UaaError::internal("hash a password", cause);
        let turn = self.turns.take(source).await;
        let turn = turn.map_err(|_| UaaError::too_many_attempts())?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            // The work continues when its request is dropped: the turn lasts as long as the work.
            drop(turn);
            result
        });
        let result = done.await.map_err(|error| failed(&error))?;
        result.map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Source = Source::PLATFORM;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let hasher = PasswordHasher::new();
        let hash = hasher.hash(HERE, secret("right")).await.unwrap();
        assert!(hash.as_str().starts_with("$argon2id$"));
        assert!(
            hasher
                .matches(HERE, secret("right"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .matches(HERE, secret("Right"), Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(!hasher.matches(HERE, secret(""), Some(hash)).await.unwrap());
        assert!(!hasher.matches(HERE, secret(""), None).await.unwrap());
    }

    #[tokio::test]
    async fn empty_and_too_long_passwords_are_refused() {
        let hasher = PasswordHasher::new();
        assert!(hasher.hash(HERE, secret("")).await.is_err());
        assert!(
            hasher
                .hash(HERE, secret(&"x".repeat(LONGEST + 1)))
                .await
                .is_err()
        );
        let endless = secret(&"x".repeat(1 << 20));
        assert!(!hasher.matches(HERE, endless, None).await.unwrap());
    }
}
