//! Marks at the start of a sidecar's lines: `\x1e`, the sidecar's number and a zero byte, which
//! `images/lifecycle/sidecars` writes.

/// First byte of a mark.
const MARK: u8 = 0x1e;
/// Most digits of a mark's number.
const DIGITS: usize = 4;

/// The mark at the start of a sidecar's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The sidecar.
    pub(super) number: usize,
    /// Bytes of the mark.
    pub(super) length: usize,
}

impl Mark {
    /// The mark of a line, if it has one.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        let rest = line.strip_prefix(&[MARK])?;
        let digits = rest
            .iter()
            .take(DIGITS + 1)
            .position(|byte| *byte == 0)
            .filter(|digits| *digits > 0)?;
        let number = std::str::from_utf8(&rest[..digits]).ok()?;
        Some(Self {
            number: number.parse().ok()?,
            length: digits + 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number and length.
    type Expected = Option<(usize, usize)>;

    #[test]
    fn marks_are_short_numbers_between_control_bytes() {
        let table: [(&[u8], Expected); 8] = [
            (b"\x1e0\0text", Some((0, 3))),
            (b"\x1e12\0", Some((12, 4))),
            (b"text", None),
            (b"", None),
            (b"\x1e\0text", None),
            (b"\x1e0text", None),
            (b"\x1e-1\0text", None),
            (b"\x1e12345\0text", None),
        ];
        for (line, expected) in table {
            let mark = Mark::of(line).map(|mark| (mark.number, mark.length));
            assert_eq!(mark, expected, "{line:?}");
        }
    }
}
