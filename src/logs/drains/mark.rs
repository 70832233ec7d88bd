//! The value of [`MARK`](super::MARK): another one for each host, since receivers learn it. What one
//! of them learns is of no use for requests to other hosts.

use sha2::{Digest, Sha256};

use crate::base::Secret;

/// The value for requests to a host; its case does not matter.
pub(super) fn of_host(secret: &Secret<String>, host: &str) -> String {
    let host = host.to_ascii_lowercase();
    // Twice: who knows a digest can compute those of some longer texts.
    let inner = keyed(secret, &host);
    keyed(secret, &inner)
}

fn keyed(secret: &Secret<String>, text: &str) -> String {
    let secret = secret.expose();
    hex::encode(Sha256::digest(format!("{secret}/{text}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_and_secret_has_a_mark_of_its_own() {
        let mark = |secret: &str, host: &str| of_host(&Secret::new(secret.to_owned()), host);
        let one = mark("a", "drain.example.com");
        assert_eq!(one.len(), 64);
        assert_eq!(one, mark("a", "Drain.Example.com"));
        assert_ne!(one, mark("a", "other.example.com"));
        assert_ne!(one, mark("b", "drain.example.com"));
    }
}
