//! The `Range` header of reads, one range of bytes, and the `Content-Range` header of uploads.
//!
//! Multiple ranges, other units and invalid ranges are ignored, as HTTP allows: the response is the
//! whole blob.

/// Which bytes to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of them, status 200.
    Whole,
    /// From `first` to `last`, both inclusive, status 206.
    Bytes {
        /// The first byte.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// None: status 416.
    Unsatisfiable,
}

impl Part {
    /// Parses a header for a blob of `size` bytes.
    pub fn of(header: &str, size: u64) -> Self {
        let Some(("bytes", range)) = header.trim().split_once('=') else {
            return Self::Whole;
        };
        let Some((first, last)) = range.trim().split_once('-') else {
            return Self::Whole;
        };
        let (Ok(first), Ok(last)) = (number(first), number(last)) else {
            return Self::Whole;
        };
        match (first, last) {
            (None, None) => Self::Whole,
            (None, Some(0)) => Self::Unsatisfiable,
            (None, Some(count)) => Self::between(size.saturating_sub(count), u64::MAX, size),
            (Some(first), None) => Self::between(first, u64::MAX, size),
            (Some(first), Some(last)) => Self::between(first, last, size),
        }
    }

    fn between(first: u64, last: u64, size: u64) -> Self {
        if first >= size || last < first {
            return Self::Unsatisfiable;
        }
        let last = last.min(size - 1);
        Self::Bytes { first, last }
    }
}

/// The place of a piece in an upload, from `Content-Range`: `first-last`, both inclusive. Some
/// clients add the unit and the size as HTTP has them: `bytes first-last/*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// Its bytes.
    pub length: u64,
}

/// Why a piece is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeFault {
    /// It does not begin where the upload ends.
    OutOfOrder,
    /// The header is no range.
    Invalid,
}

impl ContentRange {
    /// Parses a header for an upload that has `size` bytes.
    pub fn parse(header: &str, size: u64) -> Result<Self, RangeFault> {
        let text = header.trim();
        let text = text.strip_prefix("bytes").map_or(text, str::trim_start);
        let text = text.strip_prefix('=').unwrap_or(text);
        let text = text.split_once('/').map_or(text, |(range, _)| range);
        let (first, last) = text.split_once('-').ok_or(RangeFault::Invalid)?;
        let parse = |text: &str| text.trim().parse::<u64>().map_err(|_| RangeFault::Invalid);
        let (first, last) = (parse(first)?, parse(last)?);
        if first != size {
            return Err(RangeFault::OutOfOrder);
        }
        let length = last.checked_sub(first).and_then(|n| n.checked_add(1));
        let length = length.filter(|length| *length < u64::MAX);
        Ok(Self {
            length: length.ok_or(RangeFault::Invalid)?,
        })
    }
}

/// `None` for no digits; numbers beyond 64 bits are capped.
fn number(text: &str) -> Result<Option<u64>, ()> {
    match text {
        "" => Ok(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Part::{Unsatisfiable, Whole};
    use super::*;

    fn bytes(first: u64, last: u64) -> Part {
        Part::Bytes { first, last }
    }

    #[test]
    fn ranges_are_clamped_rejected_or_ignored() {
        let cases = [
            ("bytes=500-1499", 3000, bytes(500, 1499)),
            ("bytes=500-", 3000, bytes(500, 2999)),
            ("bytes=-500", 3000, bytes(2500, 2999)),
            ("bytes=2000-5000", 3000, bytes(2000, 2999)),
            ("bytes=-5000", 3000, bytes(0, 2999)),
            ("bytes=0-0", 1, bytes(0, 0)),
            ("bytes=0-99999999999999999999999", 9, bytes(0, 8)),
            ("bytes=500-0", 3000, Unsatisfiable),
            ("bytes=5000-10000", 3000, Unsatisfiable),
            ("bytes=3000-", 3000, Unsatisfiable),
            ("bytes=-0", 3000, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-1", 0, Unsatisfiable),
            ("bytes=0-1,4-5", 3000, Whole),
            ("lines=0-1", 3000, Whole),
            ("bytes=-", 3000, Whole),
            ("bytes=a-b", 3000, Whole),
            ("bytes", 3000, Whole),
            ("", 3000, Whole),
        ];
        for (header, size, part) in cases {
            assert_eq!(Part::of(header, size), part, "{header} of {size}");
        }
    }

    #[test]
    fn a_piece_must_begin_where_the_upload_ends() {
        for (header, size, expected) in [
            ("0-1023", 0, Ok(1024)),
            ("5-5", 5, Ok(1)),
            ("bytes 5-9/*", 5, Ok(5)),
            ("bytes=5-9", 5, Ok(5)),
            ("6-9", 5, Err(RangeFault::OutOfOrder)),
            ("0-4", 5, Err(RangeFault::OutOfOrder)),
            ("5-4", 5, Err(RangeFault::Invalid)),
            ("0-18446744073709551615", 0, Err(RangeFault::Invalid)),
            ("-5", 0, Err(RangeFault::Invalid)),
            ("5-", 5, Err(RangeFault::Invalid)),
            ("x", 0, Err(RangeFault::Invalid)),
            ("", 0, Err(RangeFault::Invalid)),
        ] {
            let found = ContentRange::parse(header, size).map(|range| range.length);
            assert_eq!(found, expected, "{header}");
        }
    }
}
