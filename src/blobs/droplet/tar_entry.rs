//! Reads and writes tar entries with their exact names.
//!
//! Long names are handled here and not by the tar crate, which reads names of any length into
//! memory and drops a leading `./` from the names it writes.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use tar::{Archive, Builder, EntryType, Header};

/// The maximum length of a name or link target.
const MAX_NAME: u64 = 4096;
/// The maximum size of an extended header.
const MAX_HEADER: u64 = 1024 * 1024;
/// The size of the name field in a header.
const NAME_FIELD: usize = 100;

/// The metadata of an entry.
pub(super) struct Meta {
    pub(super) path: Vec<u8>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) kind: EntryType,
    pub(super) size: u64,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) mtime: u64,
}

/// Calls `visit` for every entry with its content.
pub(super) fn visit<E: From<io::Error>>(
    source: impl Read,
    mut visit: impl FnMut(Meta, &mut dyn Read) -> Result<(), E>,
) -> Result<(), E> {
    let mut archive = Archive::new(source);
    let (mut long_path, mut long_link) = (None, None);
    for entry in archive.entries()?.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_gnu_longname() {
            long_path = Some(name(&mut entry)?);
        } else if kind.is_gnu_longlink() {
            long_link = Some(name(&mut entry)?);
        } else if kind.is_pax_local_extensions() {
            let extended = bounded(&mut entry, MAX_HEADER)?;
            for extension in tar::PaxExtensions::new(&extended) {
                let extension = extension?;
                let value = || Some(extension.value_bytes().to_vec());
                match extension.key_bytes() {
                    b"path" => long_path = value(),
                    b"linkpath" => long_link = value(),
                    b"size" => return Err(broken("an entry is too large").into()),
                    _ => {}
                }
            }
        } else if !kind.is_pax_global_extensions() {
            let header = entry.header();
            let link = long_link
                .take()
                .or_else(|| header.link_name_bytes().map(Cow::into_owned));
            let path = long_path.take();
            let meta = Meta {
                path: path.unwrap_or_else(|| header.path_bytes().into_owned()),
                link: link.filter(|_| kind.is_symlink() || kind.is_hard_link()),
                kind,
                size: header.entry_size()?,
                mode: header.mode()?,
                uid: header.uid().unwrap_or(0),
                gid: header.gid().unwrap_or(0),
                mtime: header.mtime().unwrap_or(0),
            };
            visit(meta, &mut entry)?;
        }
    }
    Ok(())
}

/// Writes an entry with its content.
pub(super) fn write<W: Write>(
    tar: &mut Builder<W>,
    meta: &Meta,
    content: &mut dyn Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(meta.kind);
    header.set_mode(meta.mode);
    header.set_uid(meta.uid);
    header.set_gid(meta.gid);
    header.set_mtime(meta.mtime);
    let size = if meta.kind.is_file() { meta.size } else { 0 };
    header.set_size(size);
    write_long_name(tar, EntryType::GNULongName, &meta.path)?;
    fill(&mut header.as_old_mut().name, &meta.path);
    if let Some(link) = &meta.link {
        write_long_name(tar, EntryType::GNULongLink, link)?;
        fill(&mut header.as_old_mut().linkname, link);
    }
    header.set_cksum();
    tar.append(&header, content.take(size))
}

fn write_long_name<W: Write>(tar: &mut Builder<W>, kind: EntryType, name: &[u8]) -> io::Result<()> {
    if name.len() <= NAME_FIELD {
        return Ok(());
    }
    let mut header = Header::new_gnu();
    fill(&mut header.as_old_mut().name, b"././@LongLink");
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    tar.append(&header, name.chain(&[0_u8][..]))
}

fn fill(field: &mut [u8; NAME_FIELD], name: &[u8]) {
    let count = name.len().min(NAME_FIELD);
    field[..count].copy_from_slice(&name[..count]);
}

fn name(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut name = bounded(entry, MAX_NAME + 1)?;
    if name.last() == Some(&0) {
        name.pop();
    }
    Ok(name)
}

fn bounded(entry: &mut impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(broken("a name or header is too long"));
    }
    Ok(bytes)
}

fn broken(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
