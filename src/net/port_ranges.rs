//! Ports as the routing API of Cloud Foundry writes them: `1024-1199,1234`.

use std::fmt;

/// The lowest port of a range: those below need a privilege.
const LOWEST: u16 = 1024;

/// Ranges of ports that do not overlap, as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRanges {
    text: String,
    /// First and last port of each, in the order of the text.
    ranges: Vec<(u16, u16)>,
}

/// Why a text has no ranges of ports; in the words of the routing API.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortRangesError {
    /// Not a number, or below 1024.
    #[error("port must be between 1024 and 65535")]
    Port,
    /// `-2000`.
    #[error("range ({0}) requires a starting port")]
    NoStart(String),
    /// `1000-`.
    #[error("range ({0}) requires an ending port")]
    NoEnd(String),
    /// `2000-1999`.
    #[error("range ({0}) must be in ascending numeric order")]
    Descending(String),
    /// `1-2-3`.
    #[error("range ({0}) has too many '-' separators")]
    Separators(String),
    /// Two have a port in common.
    #[error("Overlapping values: {0} and {1}")]
    Overlapping(String, String),
}

impl PortRanges {
    /// Reads ranges and single ports, separated by commas.
    pub fn parse(text: &str) -> Result<Self, PortRangesError> {
        let ranges: Vec<(u16, u16)> = text.split(',').map(range).collect::<Result<_, _>>()?;
        for (at, one) in ranges.iter().enumerate() {
            let other = ranges[at + 1..]
                .iter()
                .find(|other| one.0 <= other.1 && other.0 <= one.1);
            if let Some(other) = other {
                return Err(PortRangesError::Overlapping(shown(*one), shown(*other)));
            }
        }
        Ok(Self {
            text: text.to_owned(),
            ranges,
        })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        { self.ranges.iter() }.any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// All ports.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.ranges.iter().flat_map(|(first, last)| *first..=*last)
    }
}

impl fmt::Display for PortRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn range(text: &str) -> Result<(u16, u16), PortRangesError> {
    let whole = || text.to_owned();
    let number = |part: &str| {
        let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        // What is too large is beyond every port.
        plain.then(|| part.parse().unwrap_or(u64::MAX))
    };
    let (first, last) = match text.split('-').collect::<Vec<_>>()[..] {
        [port] => {
            let port = number(port).ok_or(PortRangesError::Port)?;
            (port, port)
        }
        [first, last] => {
            let first = number(first).ok_or_else(|| PortRangesError::NoStart(whole()))?;
            let last = number(last).ok_or_else(|| PortRangesError::NoEnd(whole()))?;
            (first, last)
        }
        _ => return Err(PortRangesError::Separators(whole())),
    };
    if first > last {
        return Err(PortRangesError::Descending(whole()));
    }
    let port = |number: u64| u16::try_from(number).ok().filter(|port| *port >= LOWEST);
    port(first).zip(port(last)).ok_or(PortRangesError::Port)
}

fn shown((first, last): (u16, u16)) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("[{first}-{last}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_ports_are_read() {
        let ports = PortRanges::parse("61001-61003,1024,65535").expect("valid");
        let all: Vec<u16> = ports.iter().collect();
        assert_eq!(all, [61001, 61002, 61003, 1024, 65535]);
        assert!(ports.contains(61002) && ports.contains(1024));
        assert!(!ports.contains(61004) && !ports.contains(1025));
        assert_eq!(ports.as_str(), "61001-61003,1024,65535");
    }

    #[test]
    fn faults_are_named_as_the_routing_api_names_them() {
        let cases = [
            ("", "port must be between 1024 and 65535"),
            ("1023", "port must be between 1024 and 65535"),
            ("1024-65536", "port must be between 1024 and 65535"),
            (
                "99999999999999999999",
                "port must be between 1024 and 65535",
            ),
            ("2000, 2001", "port must be between 1024 and 65535"),
            ("+2000", "port must be between 1024 and 65535"),
            ("-2000", "range (-2000) requires a starting port"),
            ("2000-", "range (2000-) requires an ending port"),
            ("2000-x", "range (2000-x) requires an ending port"),
            (
                "2001-2000",
                "range (2001-2000) must be in ascending numeric order",
            ),
            ("1-2-3", "range (1-2-3) has too many '-' separators"),
            ("2000-2010,2010", "Overlapping values: [2000-2010] and 2010"),
            (
                "3000,2000-2010,2005-2020",
                "Overlapping values: [2000-2010] and [2005-2020]",
            ),
        ];
        for (text, fault) in cases {
            let error = PortRanges::parse(text).expect_err(text);
            assert_eq!(error.to_string(), fault, "{text}");
        }
    }
}
