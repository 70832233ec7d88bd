//! Sizes whose type is their unit.

use serde::{Deserialize, Serialize};

/// Mebibytes, the unit of Cloud Controller's memory and disk limits (it calls them MB).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Megabytes(pub i64);

impl Megabytes {
    /// The same size in bytes.
    pub const fn to_bytes(self) -> Bytes {
        Bytes(self.0.saturating_mul(1024 * 1024))
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub i64);

impl Bytes {
    /// As `cf` and Cloud Foundry's log lines write sizes: `512B`, `1.5K`, `12.3M`, `2G`.
    pub fn to_short(self) -> String {
        const UNITS: [(&str, i64); 4] = [
            ("T", 1 << 40),
            ("G", 1 << 30),
            ("M", 1 << 20),
            ("K", 1 << 10),
        ];
        for (unit, size) in UNITS {
            if self.0 >= size {
                let tenths = self.0.saturating_mul(10) / size;
                return if tenths % 10 == 0 {
                    format!("{}{unit}", tenths / 10)
                } else {
                    format!("{}.{}{unit}", tenths / 10, tenths % 10)
                };
            }
        }
        format!("{}B", self.0)
    }

    /// Reads a whole number of bytes with one of these units or none: `512B`, `500M`, `20G`, `1TB`.
    pub fn parse_short(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_uppercase();
        let text = text.strip_suffix('B').unwrap_or(&text);
        let (digits, shift) = match text.as_bytes().last()? {
            b'K' => (&text[..text.len() - 1], 10),
            b'M' => (&text[..text.len() - 1], 20),
            b'G' => (&text[..text.len() - 1], 30),
            b'T' => (&text[..text.len() - 1], 40),
            _ => (text, 0),
        };
        let digits = Some(digits).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        let number: i64 = digits.parse().ok()?;
        number.checked_mul(1 << shift).map(Self)
    }
}

macro_rules! sql_integer {
    ($($name:ident),+) => {$(
        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.0.into())
            }
        }
        impl rusqlite::types::FromSql for $name {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                value.as_i64().map(Self)
            }
        }
    )+};
}
sql_integer!(Megabytes, Bytes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("512B", 512),
            ("2k", 2048),
            ("500M", 500 << 20),
            ("20gb", 20 << 30),
            (" 1T ", 1 << 40),
        ] {
            assert_eq!(Bytes::parse_short(text), Some(Bytes(bytes)), "{text}");
        }
        for text in ["", "G", "-1G", "1.5G", "1P", "9999999999T", "1 G"] {
            assert_eq!(Bytes::parse_short(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_formatted_like_cloud_foundrys() {
        let cases = [
            (0, "0B"),
            (512, "512B"),
            (1536, "1.5K"),
            (12_897_485, "12.3M"),
            (2 << 30, "2G"),
        ];
        for (bytes, text) in cases {
            assert_eq!(Bytes(bytes).to_short(), text);
        }
    }
}
