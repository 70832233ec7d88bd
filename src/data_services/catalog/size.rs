//! Sizes as catalogs and parameters write them: `256m`, `1g`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::base::{Bytes, Megabytes};

/// A whole number of megabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub Megabytes);

impl Size {
    /// `256m` or `1g`.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Bytes::parse_short(text)?;
        let megabytes = bytes.0 >> 20;
        (megabytes > 0 && Megabytes(megabytes).to_bytes() == bytes)
            .then_some(Self(Megabytes(megabytes)))
    }

    /// Megabytes.
    pub fn megabytes(self) -> i64 {
        self.0.0
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is not a size like 256m or 1g")))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}m", self.megabytes()))
    }
}
