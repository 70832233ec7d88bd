//! Sizes with units, as in manifests: `64M`, `1GB`, `512 K`.

/// The fault of a size; the texts follow the field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SizeFault {
    Unit,
    NotANumber,
}

impl SizeFault {
    /// In CC's words.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unit => "must use a supported unit: B, K, KB, M, MB, G, GB, T, or TB",
            Self::NotANumber => "is not a number",
        }
    }
}

/// Bytes.
pub(crate) fn bytes(text: &str) -> Result<i64, SizeFault> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(SizeFault::NotANumber);
    }
    let shift = match unit.trim().to_ascii_uppercase().as_str() {
        "B" => 0,
        "K" | "KB" => 10,
        "M" | "MB" => 20,
        "G" | "GB" => 30,
        "T" | "TB" => 40,
        _ => return Err(SizeFault::Unit),
    };
    let number: f64 = number.parse().map_err(|_| SizeFault::NotANumber)?;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "sizes people write"
    )]
    let bytes = (number * (1_i64 << shift) as f64) as i64;
    Ok(bytes)
}

/// Megabytes.
pub(crate) fn megabytes(text: &str) -> Result<i64, SizeFault> {
    bytes(text).map(|bytes| bytes >> 20)
}

/// `1048576` → `1M`: the largest unit without a remainder.
pub(crate) fn written(bytes: i64) -> String {
    for (unit, shift) in [("T", 40), ("G", 30), ("M", 20), ("K", 10)] {
        if bytes != 0 && bytes % (1_i64 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        let cases = [
            ("64M", Ok(64 << 20)),
            ("1GB", Ok(1 << 30)),
            ("1.5g", Ok(3 << 29)),
            (" 512 K ", Ok(512 << 10)),
            ("7B", Ok(7)),
            ("64", Err(SizeFault::Unit)),
            ("64X", Err(SizeFault::Unit)),
            ("viel", Err(SizeFault::NotANumber)),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected, "{text}");
        }
        assert_eq!(written(1 << 20), "1M");
        assert_eq!(written(1536), "1536B");
        assert_eq!(written(0), "0B");
    }
}
