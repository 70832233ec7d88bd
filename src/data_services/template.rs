//! Templates of catalogs: Jinja, with the variables of one instance or binding.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// Characters of RFC 3986 that never need an escape.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

static JINJA: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut jinja = Environment::empty();
    jinja.set_undefined_behavior(UndefinedBehavior::Strict);
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        jinja.set_syntax(syntax);
    }
    jinja.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    jinja.add_filter("url", |text: String| {
        utf8_percent_encode(&text, UNRESERVED).to_string()
    });
    jinja.add_filter("sqlstr", |text: String| {
        format!("'{}'", text.replace('\'', "''"))
    });
    jinja.add_filter("sqlid", |text: String| {
        format!("\"{}\"", text.replace('"', "\"\""))
    });
    jinja.add_filter("shell", |text: String| {
        format!("'{}'", text.replace('\'', "'\\''"))
    });
    jinja.add_filter("json", |value: minijinja::Value| {
        serde_json::to_string(&value).unwrap_or_default()
    });
    jinja.add_filter("join", minijinja::filters::join);
    jinja.add_filter("length", minijinja::filters::length);
    jinja.add_filter("default", minijinja::filters::default);
    jinja.add_filter("int", minijinja::filters::int);
    jinja.add_filter("max", minijinja::filters::max);
    jinja.add_filter("min", minijinja::filters::min);
    jinja
});

/// Why a template cannot be parsed.
pub(super) fn check(text: &str) -> Result<(), String> {
    let parsed = JINJA.template_from_str(text);
    parsed
        .map(|_| ())
        .map_err(|error| format!("{error:#} in the template {text:?}"))
}

/// A template's text; errors name what is not defined, and never a value.
pub(super) fn render(text: &str, variables: &Map<String, Value>) -> Result<String, String> {
    if !text.contains('{') {
        return Ok(text.to_owned());
    }
    let rendered = JINJA.render_str(text, Serde(variables));
    rendered.map_err(|error| format!("the template {text:?} does not fit: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rendered(text: &str) -> Result<String, String> {
        let variables = json!({
            "bind": { "user": "o'brien", "pass": "a/b c" }, "mem_mb": 256, "port": { "main": 5432 },
            "bindings": [{ "user": "u1" }, { "user": "u2" }],
        });
        render(text, variables.as_object().expect("an object"))
    }

    #[test]
    fn values_are_quoted_for_where_they_stand() {
        for (template, expected) in [
            ("{{ bind.user | sqlstr }}", "'o''brien'"),
            ("{{ bind.user | sqlid }}", "\"o'brien\""),
            ("{{ bind.user | shell }}", r"'o'\''brien'"),
            ("{{ bind.pass | url }}", "a%2Fb%20c"),
            ("{{ bind.pass | json }}", "\"a/b c\""),
            ("{{ mem_mb // 4 }}MB", "64MB"),
            ("{{ port.main }}", "5432"),
            ("{% for b in bindings %}{{ b.user }};{% endfor %}", "u1;u2;"),
            ("no template\n", "no template\n"),
        ] {
            assert_eq!(rendered(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        assert!(rendered("{{ secret.admin }}").is_err());
        assert!(check("{{ open").is_err());
    }
}
