//! Documents with several forms: which one a client wants.

/// The forms of PyPI's pages, the best one first among equals.
pub(super) const PYPI: [Form; 2] = [
    Form {
        variant: "html",
        types: &["application/vnd.pypi.simple.v1+html", "text/html"],
    },
    Form {
        variant: "json",
        types: &["application/vnd.pypi.simple.v1+json"],
    },
];

/// The forms of npm's documents.
pub(super) const NPM: [Form; 2] = [
    Form {
        variant: "full",
        types: &["application/json"],
    },
    Form {
        variant: "abbreviated",
        types: &["application/vnd.npm.install-v1+json"],
    },
];

/// A form of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    /// The name under which it is kept.
    pub(super) variant: &'static str,
    /// Its media types; the first one is what the registry is asked for.
    pub(super) types: &'static [&'static str],
}

/// How much a client wants a form, in thousandths.
fn wish(accept: &str, form: &Form) -> u32 {
    let wishes = accept.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next()?;
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        let quality: f32 = quality.and_then(|text| text.parse().ok()).unwrap_or(1.0);
        let own = form.types.iter().any(|own| own.eq_ignore_ascii_case(name));
        let any = matches!(name, "*/*" | "application/*" | "text/*");
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and 1000"
        )]
        let thousandths = (quality.clamp(0.0, 1.0) * 1000.0) as u32;
        // A form that is named wins over one that is not.
        match (own, any) {
            (true, _) => Some(thousandths * 2),
            (false, true) => Some(thousandths),
            _ => None,
        }
    });
    wishes.max().unwrap_or(0)
}

/// The form that a client wants most; the first one for a client that says nothing.
pub(super) fn choose(accept: Option<&str>, forms: &[Form; 2]) -> Form {
    let accept = accept.unwrap_or("*/*");
    let [first, second] = *forms;
    if wish(accept, &second) > wish(accept, &first) {
        second
    } else {
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_the_form_that_they_want_most() {
        let pip = "application/vnd.pypi.simple.v1+json, \
                   application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";
        let npm = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*";
        for (forms, accept, variant) in [
            (&PYPI, Some(pip), "json"),
            (&PYPI, Some("text/html"), "html"),
            (&PYPI, Some("*/*"), "html"),
            (&PYPI, None, "html"),
            (&NPM, Some(npm), "abbreviated"),
            (&NPM, Some("application/json"), "full"),
            (&NPM, Some("*/*"), "full"),
        ] {
            assert_eq!(choose(accept, forms).variant, variant, "{accept:?}");
        }
    }
}
