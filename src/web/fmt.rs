//! Numbers and names as people read them.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Bytes with one decimal, in powers of 1024: `12.3 MiB`.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// Megabytes as the cf CLI writes them: `512M`, `2G`.
pub(super) fn megabytes(megabytes: u64) -> String {
    if megabytes >= 1024 && megabytes.is_multiple_of(1024) {
        format!("{}G", megabytes / 1024)
    } else {
        format!("{megabytes}M")
    }
}

/// Seconds as the largest two units: `2 d 3 h`.
pub(super) fn seconds(seconds: u64) -> String {
    let parts = [
        (seconds / 86400, "d"),
        (seconds % 86400 / 3600, "h"),
        (seconds % 3600 / 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts[first..]
        .iter()
        .take(2)
        .filter(|(count, _)| *count > 0);
    let shown: Vec<String> = shown
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if shown.is_empty() {
        "0 s".to_owned()
    } else {
        shown.join(" ")
    }
}

/// A time of the API, without its `T` and `Z`.
pub(super) fn time(iso: &str) -> String {
    iso.replace('T', " ").replace('Z', " UTC")
}

/// A text as a word of a shell command.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// JSON with a line for each field.
pub(super) fn json(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// A text as part of a query.
pub(super) fn query(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A text as one value of a filter: the API takes a comma for the end of a value unless it is
/// encoded twice.
pub(super) fn value(text: &str) -> String {
    query(&text.replace('%', "%25").replace(',', "%2C"))
}

/// A text as a segment of a path.
pub(super) fn segment(text: &str) -> String {
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
    // What would be a step in a path is none.
    if matches!(text, "." | "..") {
        return text.replace('.', "%2E");
    }
    utf8_percent_encode(text, ESCAPED).to_string()
}

/// Whether a text is the address of a page of the web, which a link may lead to.
pub(super) fn is_web(text: &str) -> bool {
    let parsed = url::Url::parse(text);
    parsed.is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// `1 app`, `2 apps`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_the_web_only() {
        assert!(is_web("https://x.example/a"));
        for bad in [
            "javascript:alert(1)",
            "data:text/html,x",
            " javascript:x",
            "/x",
            "",
        ] {
            assert!(!is_web(bad), "{bad}");
        }
        assert_eq!(count(1, "app"), "1 app");
        assert_eq!(count(0, "app"), "0 apps");
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1024 * 1024 - 1), "1.0 MiB");
        assert_eq!(megabytes(512), "512M");
        assert_eq!(megabytes(2048), "2G");
        assert_eq!(megabytes(1500), "1500M");
        assert_eq!(seconds(0), "0 s");
        assert_eq!(seconds(61), "1 min 1 s");
        assert_eq!(seconds(86400 * 2), "2 d");
        assert_eq!(seconds(90000), "1 d 1 h");
    }

    #[test]
    fn segments_are_one_step_of_a_path() {
        assert_eq!(segment("16c7a70f-6890"), "16c7a70f-6890");
        assert_eq!(segment("a/../b?c"), "a%2F..%2Fb%3Fc");
        assert_eq!(segment(".."), "%2E%2E");
    }

    #[test]
    fn words_are_safe_in_a_shell() {
        assert_eq!(word("shop-1"), "shop-1");
        assert_eq!(word("a b"), "'a b'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word(""), "''");
        assert_eq!(word("$(x)"), "'$(x)'");
    }
}
