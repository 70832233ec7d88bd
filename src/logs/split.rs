//! Splits output into lines at newlines and carriage returns; drops empty lines, and splits lines
//! longer than Cloud Foundry's maximum between characters.

use bytes::Bytes;

/// The maximum payload of one envelope in bytes.
pub const LONGEST_LINE: usize = 61_440;

/// The lines of `text`, in order, sharing its memory.
pub(super) fn lines(mut text: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        loop {
            if text.is_empty() {
                return None;
            }
            let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            let (line, rest) = match end {
                Some(end) if end <= LONGEST_LINE => (end, end + 1),
                _ => {
                    let end = cut(&text);
                    (end, end)
                }
            };
            let line = text.slice(..line);
            text = text.slice(rest..);
            if !line.is_empty() {
                return Some(line);
            }
        }
    })
}

/// Where to split `text` so that the front has at most [`LONGEST_LINE`] bytes.
pub(super) fn cut(text: &[u8]) -> usize {
    if text.len() <= LONGEST_LINE {
        return text.len();
    }
    // A UTF-8 character has at most three continuation bytes.
    (LONGEST_LINE - 3..=LONGEST_LINE)
        .rev()
        .find(|at| text[*at] & 0b1100_0000 != 0b1000_0000)
        .unwrap_or(LONGEST_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &[u8]) -> Vec<Bytes> {
        lines(Bytes::copy_from_slice(text)).collect()
    }

    #[test]
    fn lines_end_at_newlines_and_returns_and_are_never_empty() {
        let cases: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("\r\n\n", &[]),
            ("a", &["a"]),
            ("a\nb\n", &["a", "b"]),
            ("10%\r20%\r\n", &["10%", "20%"]),
            ("\n x \n", &[" x "]),
        ];
        for (text, expected) in cases {
            assert_eq!(split(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let ascii = "x".repeat(LONGEST_LINE * 2 + 1);
        let sizes: Vec<usize> = split(ascii.as_bytes()).iter().map(Bytes::len).collect();
        assert_eq!(sizes, [LONGEST_LINE, LONGEST_LINE, 1]);

        let text = format!("{}€uro", "x".repeat(LONGEST_LINE - 1));
        let pieces = split(text.as_bytes());
        assert_eq!(pieces[0].len(), LONGEST_LINE - 1);
        assert_eq!(pieces[1], "€uro");

        let binary = vec![0x80; LONGEST_LINE + 1];
        let sizes: Vec<usize> = split(&binary).iter().map(Bytes::len).collect();
        assert_eq!(sizes, [LONGEST_LINE, 1]);
    }

    #[test]
    fn a_line_of_exactly_the_limit_stays_whole() {
        let text = format!("{}\n", "x".repeat(LONGEST_LINE));
        assert_eq!(split(text.as_bytes()).len(), 1);
    }
}
