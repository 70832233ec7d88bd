//! Takes secrets out of texts: those that are known, and what looks like one. The parts of a bundle are
//! written without secrets in the first place; this is for what slipped into a log or an error.

use regex::Regex;

/// What stands for a secret.
const MASK: &str = "[redacted]";
/// Shorter texts are in other words, too.
const SHORTEST: usize = 6;

/// What looks like a secret, and what is there instead; the group `keep` stays. JSON stays JSON.
const PATTERNS: [(&str, &str); 7] = [
    // A token, wherever it is.
    (
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.?[A-Za-z0-9_-]*",
        "[redacted]",
    ),
    (
        r"(?i)(?P<keep>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}",
        "${keep}[redacted]",
    ),
    // The password of a URL.
    (
        r"(?P<keep>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+@",
        "${keep}[redacted]@",
    ),
    (
        r#"(?i)(?P<keep>"[a-z0-9_-]*(?:password|passwd|secret|token|credential|api[_-]?key|private[_-]?key)[a-z0-9_-]*"\s*:\s*)"(?:[^"\\]|\\.)*""#,
        "${keep}\"[redacted]\"",
    ),
    (
        r#"(?i)(?P<keep>\b[a-z0-9_-]*(?:password|passwd|secret|token|credential|api[_-]?key|private[_-]?key)[a-z0-9_-]*=)(?:"[^"]*"|'[^']*'|[^\s,;&}"']+)"#,
        "${keep}[redacted]",
    ),
    (
        r#"(?i)(?P<keep>\b(?:password|passwd|secret):\s*)[^\s,;&}"'{\[]+"#,
        "${keep}[redacted]",
    ),
    (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----",
        "[redacted]",
    ),
];

/// Takes secrets out.
pub(super) struct Redactor {
    known: Vec<String>,
    patterns: Vec<(Regex, &'static str)>,
}

impl Redactor {
    /// One that knows these secrets.
    pub(super) fn new(known: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let known = known.into_iter().map(|secret| secret.trim().to_owned());
        let mut known: Vec<String> = known.filter(|secret| secret.len() >= SHORTEST).collect();
        // One may be a part of another.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let patterns = PATTERNS
            .iter()
            .map(|(pattern, instead)| Ok((Regex::new(pattern)?, *instead)));
        Ok(Self {
            known,
            patterns: patterns.collect::<Result<_, regex::Error>>()?,
        })
    }

    /// The text without secrets.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.known {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), MASK);
            }
        }
        for (pattern, instead) in &self.patterns {
            text = pattern.replace_all(&text, *instead).into_owned();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_and_the_rest_stays() {
        let known = ["known-secret", "known-secret-and-more", "abc"].map(str::to_owned);
        let redactor = Redactor::new(known).expect("valid");
        for (text, expected) in [
            ("a known-secret here", "a [redacted] here"),
            ("known-secret-and-more", "[redacted]"),
            ("abc stays: it is too short", "abc stays: it is too short"),
            (
                "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln ends",
                "token [redacted] ends",
            ),
            (
                "Authorization: Bearer abcdefghijk",
                "Authorization: Bearer [redacted]",
            ),
            (
                "postgres://user:pa55word@10.0.0.1:5432/db",
                "postgres://user:[redacted]@10.0.0.1:5432/db",
            ),
            (
                "{\"client_secret\": \"x y\", \"name\": \"z\"}",
                "{\"client_secret\": \"[redacted]\", \"name\": \"z\"}",
            ),
            (
                "{\"access_tokens\": 5, \"admin-password-file\": {\"value\": null}}",
                "{\"access_tokens\": 5, \"admin-password-file\": {\"value\": null}}",
            ),
            ("DB_PASSWORD=hunter2 next", "DB_PASSWORD=[redacted] next"),
            (
                "a\n-----BEGIN RSA PRIVATE KEY-----\nxx\n-----END RSA PRIVATE KEY-----\nb",
                "a\n[redacted]\nb",
            ),
            (
                "2026-11-30T05:00:00Z INFO http://api.cf.localhost:8080 ready",
                "2026-11-30T05:00:00Z INFO http://api.cf.localhost:8080 ready",
            ),
        ] {
            assert_eq!(redactor.redact(text), expected);
        }
    }
}
