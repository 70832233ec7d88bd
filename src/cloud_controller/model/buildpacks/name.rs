//! Buildpacks named by URL.

/// Whether a buildpack is named by URL.
pub(crate) fn is_url(name: &str) -> bool {
    name.contains("://") || (name.starts_with("git@") && name.contains(':'))
}

/// A buildpack's name or URL without the user info of the URL.
pub(crate) fn without_credentials(name: &str) -> String {
    match url::Url::parse(name) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            let hidden = url.set_username("***").is_ok() && url.set_password(Some("***")).is_ok();
            if hidden {
                url.to_string()
            } else {
                "***".to_owned()
            }
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_urls_are_hidden() {
        let cases = [
            ("python_buildpack", "python_buildpack"),
            ("https://example.com/b.zip", "https://example.com/b.zip"),
            (
                "https://me:geheim@example.com/b.git#v1",
                "https://***:***@example.com/b.git#v1",
            ),
        ];
        for (name, shown) in cases {
            assert_eq!(without_credentials(name), shown);
        }
    }

    #[test]
    fn urls_are_distinguished_from_names() {
        for name in ["https://x/y", "git@example.com:a/b.git", "ssh://x/y"] {
            assert!(is_url(name), "{name}");
        }
        assert!(!is_url("python_buildpack"));
    }
}
