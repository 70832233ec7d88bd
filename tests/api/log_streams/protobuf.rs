//! A decoder of protobuf messages by field numbers, independent of the one under test.

/// The fields of a message in their order.
#[derive(Debug, Clone)]
pub(super) struct Fields(Vec<(u64, Field)>);

#[derive(Debug, Clone)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

impl Fields {
    /// The fields of encoded bytes; `None` when they are no message.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes)?;
            let field = match key & 7 {
                0 => Field::Number(varint(&mut bytes)?),
                1 => {
                    let (number, rest) = bytes.split_first_chunk::<8>()?;
                    bytes = rest;
                    Field::Number(u64::from_le_bytes(*number))
                }
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    let (content, rest) = bytes.split_at_checked(length)?;
                    bytes = rest;
                    Field::Bytes(content.to_vec())
                }
                _ => return None,
            };
            fields.push((key >> 3, field));
        }
        Some(Self(fields))
    }

    pub(super) fn number(&self, wanted: u64) -> Option<u64> {
        self.0.iter().find_map(|(number, field)| match field {
            Field::Number(value) if *number == wanted => Some(*value),
            _ => None,
        })
    }

    pub(super) fn bytes(&self, wanted: u64) -> Option<&[u8]> {
        self.all_bytes(wanted).next()
    }

    pub(super) fn message(&self, wanted: u64) -> Option<Self> {
        Self::decode(self.bytes(wanted)?)
    }

    /// A value of the map of tags.
    pub(super) fn tag(&self, name: &str) -> Option<String> {
        self.all_bytes(17).find_map(|entry| {
            let entry = Self::decode(entry)?;
            let value = (entry.bytes(1)? == name.as_bytes()).then(|| entry.bytes(2))?;
            Some(String::from_utf8_lossy(value?).into_owned())
        })
    }

    fn all_bytes(&self, wanted: u64) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter_map(move |(number, field)| match field {
                Field::Bytes(content) if *number == wanted => Some(&content[..]),
                _ => None,
            })
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The messages of a multipart body.
pub(super) fn parts(body: &[u8], boundary: &str) -> Vec<Fields> {
    let begin = format!("--{boundary}\r\n\r\n").into_bytes();
    let end = format!("\r\n--{boundary}").into_bytes();
    let find = |within: &[u8], what: &[u8]| within.windows(what.len()).position(|w| w == what);
    let mut rest = body;
    let mut parts = Vec::new();
    while let Some(at) = find(rest, &begin) {
        rest = &rest[at + begin.len()..];
        let length = find(rest, &end).expect("an end");
        parts.push(Fields::decode(&rest[..length]).expect("a message"));
        rest = &rest[length + 2..];
    }
    parts
}
