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
    use proptest::prelude::*;

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

    /// Bytes of which some are long lines of characters that must not be cut.
    fn outputs() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..40),
            2 => Just(b"\n".to_vec()),
            1 => Just(b"\r\n".to_vec()),
            1 => (LONGEST_LINE - 4..LONGEST_LINE + 5).prop_map(|length| vec![b'x'; length]),
            1 => (1_usize..4, "[\u{e4}\u{20ac}\u{1f600}]")
                .prop_map(|(offset, character)| {
                    let mut line = "x".repeat(offset);
                    line.push_str(&character.repeat(LONGEST_LINE / 2));
                    line.into_bytes()
                }),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Whatever is written: only the ends of lines are missing, no line is empty or too long, and
        /// text stays text.
        #[test]
        fn any_output_is_split_into_lines(output in outputs()) {
            let lines = split(&output);
            let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
            let wanted: Vec<u8> = output.iter().copied().filter(|byte| !is_end(byte)).collect();
            prop_assert!(lines.concat() == wanted);
            for line in &lines {
                prop_assert!(!line.is_empty() && line.len() <= LONGEST_LINE);
                prop_assert!(!line.iter().any(is_end));
            }
            if std::str::from_utf8(&output).is_ok() {
                prop_assert!(lines.iter().all(|line| std::str::from_utf8(line).is_ok()));
            }
            // A line is cut only when it is too long.
            let long = output.split(is_end).filter(|line| line.len() > LONGEST_LINE).count();
            let pieces = output.split(is_end).filter(|line| !line.is_empty()).count();
            prop_assert!(lines.len() >= pieces + long);
            prop_assert!(long > 0 || lines.len() == pieces);
        }
    }
}
