//! The text of a log line as HTML. Apps write whatever they like: what is no colour, link or
//! printable letter is dropped, and everything else is escaped.

/// The most open styles of a line; a line that changes colour for each letter stays readable.
const MOST_SPANS: usize = 400;
/// Bytes of a line after which it opens no more styles: a long link would be in each.
const MOST_BYTES: usize = 64_000;

/// What SGR sequences switched on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own in ECMA-48"
)]
struct Style {
    /// 0 = none, 1 to 6 = red, green, yellow, blue, magenta, cyan, 7 = gray.
    ink: u8,
    paper: u8,
    bold: bool,
    dim: bool,
    italic: bool,
    underlined: bool,
    inverse: bool,
    struck: bool,
}

/// A piece of a line.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Text(&'a str),
    /// The parameters of `ESC [ … m`.
    Sgr(&'a str),
    /// The target of a hyperlink, empty at its end.
    Link(&'a str),
    Dropped,
}

/// Appends a text with its colours as classes.
pub(super) fn html(out: &mut String, text: &str) {
    let (mut style, mut open, mut link) = (Style::default(), Style::default(), "");
    let (mut open_link, mut spans) = ("", 0);
    let (mut rest, start) = (text, out.len());
    while !rest.is_empty() {
        let (piece, behind) = piece(rest);
        rest = behind;
        match piece {
            Piece::Sgr(parameters) => style.apply(parameters),
            Piece::Link(target) => link = target,
            Piece::Dropped => {}
            Piece::Text(text) => {
                let may_open = spans < MOST_SPANS && out.len() - start < MOST_BYTES;
                if (style, link) != (open, open_link) && may_open {
                    close(out, open, open_link);
                    begin(out, style, link);
                    (open, open_link) = (style, link);
                    spans += 1;
                }
                escape(out, text);
            }
        }
    }
    close(out, open, open_link);
}

/// The text without what is no text.
pub(in crate::web) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = piece(rest);
        if let Piece::Text(text) = piece {
            out.push_str(text);
        }
        rest = behind;
    }
    out
}

/// Appends a text that means nothing in HTML, neither between tags nor in an attribute.
pub(super) fn escape(out: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // These would reorder what a reader sees.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            letter if letter.is_control() && letter != '\t' => {}
            letter => out.push(letter),
        }
    }
}

fn begin(out: &mut String, style: Style, link: &str) {
    if !link.is_empty() {
        out.push_str("<a rel=\"noopener noreferrer nofollow\" target=\"_blank\" href=\"");
        escape(out, link);
        out.push_str("\">");
    }
    if style == Style::default() {
        return;
    }
    let (mut ink, mut paper) = (style.ink, style.paper);
    if style.inverse {
        (ink, paper) = (paper, if ink == 0 { 7 } else { ink });
    }
    let mut classes = Vec::new();
    if ink > 0 {
        classes.push(format!("f{ink}"));
    }
    if paper > 0 {
        classes.push(format!("g{paper}"));
    }
    for (is_on, class) in [
        (style.bold, "fb"),
        (style.dim, "fd"),
        (style.italic, "fi"),
        (style.underlined, "fu"),
        (style.struck, "fs"),
    ] {
        if is_on {
            classes.push(class.to_owned());
        }
    }
    out.push_str("<span class=\"");
    out.push_str(&classes.join(" "));
    out.push_str("\">");
}

fn close(out: &mut String, style: Style, link: &str) {
    if style != Style::default() {
        out.push_str("</span>");
    }
    if !link.is_empty() {
        out.push_str("</a>");
    }
}

/// The first piece of a text and what follows.
fn piece(text: &str) -> (Piece<'_>, &str) {
    let is_special = |letter: char| letter.is_control() && letter != '\t';
    match text.find(is_special) {
        Some(0) => {}
        Some(at) => return (Piece::Text(&text[..at]), &text[at..]),
        None => return (Piece::Text(text), ""),
    }
    let first = text.chars().next().map_or(0, char::len_utf8);
    let Some(sequence) = text.strip_prefix('\u{1b}') else {
        return (Piece::Dropped, &text[first..]);
    };
    if let Some(csi) = sequence.strip_prefix('[') {
        return control_sequence(csi);
    }
    if let Some(osc) = sequence.strip_prefix(']') {
        return command(osc);
    }
    // `ESC` and one letter.
    let letter = sequence.chars().next().filter(char::is_ascii);
    let is_short = letter.is_some_and(|letter| letter.is_ascii_graphic());
    (Piece::Dropped, &sequence[usize::from(is_short)..])
}

/// Behind `ESC [`: parameters and a final byte.
fn control_sequence(text: &str) -> (Piece<'_>, &str) {
    let end = text.find(|letter: char| !matches!(letter, '\u{20}'..='\u{3f}'));
    match end {
        Some(end) if text[end..].starts_with('m') => (Piece::Sgr(&text[..end]), &text[end + 1..]),
        Some(end) if text[end..].starts_with(|letter| matches!(letter, '\u{40}'..='\u{7e}')) => {
            (Piece::Dropped, &text[end + 1..])
        }
        Some(end) => (Piece::Dropped, &text[end..]),
        None => (Piece::Dropped, ""),
    }
}

/// Behind `ESC ]`: a command up to BEL or `ESC \`. Only links of the web are kept.
fn command(text: &str) -> (Piece<'_>, &str) {
    let bell = text.find('\u{7}').map(|at| (at, 1));
    let string_end = text.find("\u{1b}\\").map(|at| (at, 2));
    let end = match (bell, string_end) {
        (Some(bell), Some(other)) => Some(bell.min(other)),
        (one, other) => one.or(other),
    };
    let Some((end, length)) = end else {
        // Without its end it is not a command; what it would hide is shown.
        return (Piece::Dropped, text);
    };
    let behind = &text[end + length..];
    let Some(link) = text[..end].strip_prefix("8;") else {
        return (Piece::Dropped, behind);
    };
    let target = link.split_once(';').map_or("", |(_, target)| target);
    let lower = target.get(..8).unwrap_or(target).to_ascii_lowercase();
    let is_web = lower.starts_with("http://") || lower.starts_with("https://");
    (Piece::Link(if is_web { target } else { "" }), behind)
}

impl Style {
    fn apply(&mut self, parameters: &str) {
        let mut numbers = parameters
            .split([';', ':'])
            .map(|number| number.parse::<u16>().unwrap_or(0));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                3 => self.italic = true,
                4 => self.underlined = true,
                7 => self.inverse = true,
                9 => self.struck = true,
                22 => (self.bold, self.dim) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                27 => self.inverse = false,
                29 => self.struck = false,
                30..=37 => self.ink = hue(number - 30),
                90..=97 => self.ink = hue(number - 90),
                40..=47 => self.paper = hue(number - 40),
                100..=107 => self.paper = hue(number - 100),
                38 => self.ink = extended(&mut numbers),
                48 => self.paper = extended(&mut numbers),
                39 => self.ink = 0,
                49 => self.paper = 0,
                _ => {}
            }
        }
    }
}

/// The eight colours: black and white are those of the page, so that both themes stay readable.
fn hue(number: u16) -> u8 {
    match number {
        1..=6 => u8::try_from(number).unwrap_or(0),
        _ => 0,
    }
}

/// `5;n` of 256 colours or `2;r;g;b`, as the nearest of ours.
fn extended(numbers: &mut impl Iterator<Item = u16>) -> u8 {
    match numbers.next() {
        Some(5) => match numbers.next() {
            Some(number @ 0..=15) => hue(number % 8),
            Some(number @ 16..=231) => {
                let cube = number - 16;
                nearest(cube / 36, cube / 6 % 6, cube % 6)
            }
            Some(232..=255) => 7,
            _ => 0,
        },
        Some(2) => {
            let mut part = || numbers.next().unwrap_or(0);
            let (red, green, blue) = (part(), part(), part());
            nearest(red / 43, green / 43, blue / 43)
        }
        _ => 0,
    }
}

/// By which of the parts, from 0 to 5, are strong.
fn nearest(red: u16, green: u16, blue: u16) -> u8 {
    let most = red.max(green).max(blue);
    let least = red.min(green).min(blue);
    if most - least < 2 {
        return 7;
    }
    let strong = |part: u16| u8::from(part * 2 > most + least);
    match (strong(red), strong(green), strong(blue)) {
        (1, 0, 0) => 1,
        (0, 1, 0) => 2,
        (1, 1, 0) => 3,
        (0, 0, 1) => 4,
        (1, 0, 1) => 5,
        (0, 1, 1) => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(text: &str) -> String {
        let mut out = String::new();
        html(&mut out, text);
        out
    }

    #[test]
    fn colours_become_classes() {
        for (text, expected) in [
            ("plain", "plain"),
            (
                "\u{1b}[31mred\u{1b}[0m x",
                "<span class=\"f1\">red</span> x",
            ),
            ("\u{1b}[1;92mok", "<span class=\"f2 fb\">ok</span>"),
            ("\u{1b}[7mx", "<span class=\"g7\">x</span>"),
            ("\u{1b}[38;5;196mx", "<span class=\"f1\">x</span>"),
            ("\u{1b}[38;2;10;200;30mx", "<span class=\"f2\">x</span>"),
            ("\u{1b}[30mx", "x"),
            ("a\u{1b}[2Jb\u{1b}[10;10Hc", "abc"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]0;never ends", "0;never ends"),
            ("a\rb\u{8}c\0", "abc"),
            ("\u{1b}", ""),
            ("\u{1b}[", ""),
            ("\u{1b}[31", ""),
            ("\u{1b}cx", "x"),
            ("\u{1b}é", "é"),
            ("\u{1b}[\u{1b}[31mx", "<span class=\"f1\">x</span>"),
            ("a\u{202e}b", "a\u{fffd}b"),
        ] {
            assert_eq!(rendered(text), expected, "{text:?}");
        }
    }

    #[test]
    fn markup_is_text_and_links_lead_to_the_web_only() {
        let script = "<script>alert('\"&')</script>";
        assert_eq!(
            rendered(script),
            "&lt;script&gt;alert(&#39;&quot;&amp;&#39;)&lt;/script&gt;"
        );
        let link = |target: &str| rendered(&format!("\u{1b}]8;;{target}\u{1b}\\a\u{1b}]8;;\u{7}b"));
        assert_eq!(
            link("https://x/\"><img>"),
            "<a rel=\"noopener noreferrer nofollow\" target=\"_blank\" \
             href=\"https://x/&quot;&gt;&lt;img&gt;\">a</a>b"
        );
        for target in [
            "javascript:alert(1)",
            "JAVASCRIPT:x",
            "data:text/html,x",
            "//x",
            "é",
            "",
        ] {
            assert_eq!(link(target), "ab", "{target}");
        }
    }

    proptest! {
        #[test]
        fn any_text_stays_text(text in "([a-z<>&\"']|\u{1b}\\[[0-9;]{0,6}m?|\u{1b}\\]8;;[a-z:/<\"]{0,8}(\u{7}|\u{1b}\\\\)?|\\PC|[\0-\u{1f}]){0,40}") {
            let html = rendered(&text);
            // Only tags of ours, and each is closed.
            let mut rest = html.as_str();
            let mut open = Vec::new();
            while let Some((_, tag)) = rest.split_once('<') {
                let (tag, behind) = tag.split_once('>').expect("a whole tag");
                rest = behind;
                match tag.strip_prefix('/') {
                    Some(name) => prop_assert_eq!(open.pop(), Some(name.to_owned())),
                    None => {
                        let name = tag.split(' ').next().unwrap_or_default();
                        prop_assert!(name == "span" || name == "a", "{}", tag);
                        open.push(name.to_owned());
                    }
                }
            }
            prop_assert!(open.is_empty());
            prop_assert!(!html.contains(|letter: char| letter.is_control() && letter != '\t'));
            prop_assert!(!plain(&text).contains(|letter: char| letter.is_control() && letter != '\t'));
        }
    }
}
