//! The faults of a catalog: of the whole, of an offering, of a plan, of its schemas.

/// Faults, and those of parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    own: Vec<String>,
    parts: Vec<(String, Faults)>,
}

impl Faults {
    /// Adds a fault.
    pub fn add(&mut self, fault: String) {
        self.own.push(fault);
    }

    /// Adds the faults of a part.
    pub fn nest(&mut self, title: String, faults: Faults) {
        self.parts.push((title, faults));
    }

    /// How many there are here, without those of parts.
    pub(super) fn count(&self) -> usize {
        self.own.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.parts.iter().all(|(_, part)| part.is_empty())
    }

    fn write(&self, text: &mut String, depth: usize) {
        for fault in &self.own {
            text.push_str(&"  ".repeat(depth));
            text.push_str(fault);
            text.push('\n');
        }
        for (title, part) in self.parts.iter().filter(|(_, part)| !part.is_empty()) {
            text.push_str(&"  ".repeat(depth));
            text.push_str(title);
            text.push('\n');
            part.write(text, depth + 1);
        }
    }
}

/// One a line, those of parts indented below their title.
impl std::fmt::Display for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = "\n".to_owned();
        self.write(&mut text, 0);
        f.write_str(&text)
    }
}
