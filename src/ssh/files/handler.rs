//! The requests of SFTP.

use std::collections::HashMap;
use std::sync::Arc;

use russh_sftp::protocol::{
    Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode,
};
use russh_sftp::server::{Handler, StatusReply};

use super::open::{Open, Reader, Writer};
use super::tools::{self, Tools, failure, path};
use crate::docker::Engine;

/// The most that a client has open.
const MOST_OPEN: usize = 64;
/// Entries of a folder in one answer.
const AT_ONCE: usize = 100;
/// The permission bits that a file may get.
const MODE: u32 = 0o7777;
/// What new files and folders do not allow to others, as usual.
const UMASK: u32 = 0o022;

/// The files of a container, for one client.
pub(super) struct Files {
    tools: Tools,
    open: HashMap<String, Open>,
    opened: u64,
}

impl Files {
    pub(super) fn new(engine: &Arc<dyn Engine>, container: &str) -> Self {
        Self {
            tools: Tools {
                engine: engine.clone(),
                container: container.to_owned(),
            },
            open: HashMap::new(),
            opened: 0,
        }
    }

    fn add(&mut self, id: u32, open: Open) -> Result<Handle, StatusReply> {
        if self.open.len() >= MOST_OPEN {
            return Err(failure("too many files are open"));
        }
        self.opened += 1;
        let handle = self.opened.to_string();
        self.open.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    fn path_of(&self, handle: &str) -> Result<String, StatusReply> {
        match self.open.get(handle) {
            Some(Open::Reading(reader)) => Ok(reader.path().to_owned()),
            Some(Open::Writing(writer)) => Ok(writer.path().to_owned()),
            _ => Err(failure("no file is open under this name")),
        }
    }
}

/// Runs a script that says nothing.
async fn run(tools: &Tools, id: u32, text: &str, given: &[&str]) -> Result<Status, StatusReply> {
    tools.ask(text, given).await?;
    Ok(done(id))
}

async fn set(
    tools: &Tools,
    id: u32,
    path: &str,
    wanted: &FileAttributes,
) -> Result<Status, StatusReply> {
    let text = |number: Option<String>| number.unwrap_or_default();
    let mode = text(wanted.permissions.map(|mode| format!("{:o}", mode & MODE)));
    let size = text(wanted.size.map(|size| size.to_string()));
    let owner = wanted.uid.zip(wanted.gid);
    let owner = text(owner.map(|(user, group)| format!("{user}:{group}")));
    let time = text(wanted.mtime.map(|time| time.to_string()));
    let given = [path, &mode, &size, &owner, &time];
    run(tools, id, tools::SET, &given).await
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "Ok".to_owned(),
        language_tag: "en-US".to_owned(),
    }
}

fn named(id: u32, text: &str) -> Name {
    let text = text.strip_suffix('\n').unwrap_or(text);
    Name {
        id,
        files: vec![File::dummy(text)],
    }
}

/// The mode of something new, in octal.
fn new_mode(attributes: &FileAttributes) -> String {
    let mode = attributes.permissions;
    mode.map_or_else(String::new, |mode| format!("{:o}", mode & 0o777 & !UMASK))
}

impl Handler for Files {
    type Error = StatusReply;

    fn unimplemented(&self) -> Self::Error {
        StatusCode::OpUnsupported.into()
    }

    async fn open(
        &mut self,
        id: u32,
        filename: String,
        pflags: OpenFlags,
        attrs: FileAttributes,
    ) -> Result<Handle, Self::Error> {
        let path = path(&filename);
        if !pflags.contains(OpenFlags::WRITE) {
            self.tools.ask(tools::CHECK_READ, &[&path]).await?;
            return self.add(id, Open::Reading(Reader::new(path)));
        }
        let creates = if !pflags.contains(OpenFlags::CREATE) {
            "keep"
        } else if pflags.contains(OpenFlags::EXCLUDE) {
            "new"
        } else {
            "create"
        };
        let truncates = if pflags.contains(OpenFlags::TRUNCATE) {
            "truncate"
        } else {
            "keep"
        };
        let mode = new_mode(&attrs);
        let given = [path.as_str(), creates, truncates, &mode];
        self.tools.ask(tools::CHECK_WRITE, &given).await?;
        let appends = pflags.contains(OpenFlags::APPEND);
        self.add(id, Open::Writing(Writer::new(path, appends)))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, Self::Error> {
        match self.open.remove(&handle) {
            None => Err(failure("no file is open under this name")),
            Some(Open::Writing(mut writer)) => {
                writer.finish().await?;
                Ok(done(id))
            }
            Some(_) => Ok(done(id)),
        }
    }

    async fn read(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        len: u32,
    ) -> Result<Data, Self::Error> {
        let Some(Open::Reading(reader)) = self.open.get_mut(&handle) else {
            return Err(failure("the file is not open for reading"));
        };
        let data = reader.read(&self.tools, offset, len).await?;
        Ok(Data {
            id,
            data: data.to_vec(),
        })
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Result<Status, Self::Error> {
        let Some(Open::Writing(writer)) = self.open.get_mut(&handle) else {
            return Err(failure("the file is not open for writing"));
        };
        writer.write(&self.tools, offset, &data).await?;
        Ok(done(id))
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        let path = tools::path(&path);
        let attrs = self.tools.attributes(tools::LSTAT, &path).await?;
        Ok(Attrs { id, attrs })
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, Self::Error> {
        let path = tools::path(&path);
        let attrs = self.tools.attributes(tools::STAT, &path).await?;
        Ok(Attrs { id, attrs })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Result<Attrs, Self::Error> {
        let path = self.path_of(&handle)?;
        let attrs = self.tools.attributes(tools::STAT, &path).await?;
        Ok(Attrs { id, attrs })
    }

    async fn setstat(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        set(&self.tools, id, &tools::path(&path), &attrs).await
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        let path = self.path_of(&handle)?;
        // What was written counts before a time or a size does.
        if let Some(Open::Writing(writer)) = self.open.get_mut(&handle) {
            writer.finish().await?;
        }
        set(&self.tools, id, &path, &attrs).await
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, Self::Error> {
        let listed = self.tools.list(&tools::path(&path)).await?;
        self.add(id, Open::Folder(listed))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, Self::Error> {
        let Some(Open::Folder(entries)) = self.open.get_mut(&handle) else {
            return Err(failure("no folder is open under this name"));
        };
        if entries.is_empty() {
            return Err(StatusCode::Eof.into());
        }
        let files = entries.drain(..entries.len().min(AT_ONCE)).collect();
        Ok(Name { id, files })
    }

    async fn remove(&mut self, id: u32, filename: String) -> Result<Status, Self::Error> {
        run(&self.tools, id, tools::REMOVE, &[&path(&filename)]).await
    }

    async fn mkdir(
        &mut self,
        id: u32,
        path: String,
        attrs: FileAttributes,
    ) -> Result<Status, Self::Error> {
        let (path, mode) = (tools::path(&path), new_mode(&attrs));
        run(&self.tools, id, tools::MAKE_FOLDER, &[&path, &mode]).await
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Result<Status, Self::Error> {
        run(
            &self.tools,
            id,
            tools::REMOVE_FOLDER,
            &[&tools::path(&path)],
        )
        .await
    }

    async fn realpath(&mut self, id: u32, path: String) -> Result<Name, Self::Error> {
        let said = self
            .tools
            .ask(tools::REAL_PATH, &[&tools::path(&path)])
            .await?;
        Ok(named(id, &said))
    }

    async fn rename(
        &mut self,
        id: u32,
        oldpath: String,
        newpath: String,
    ) -> Result<Status, Self::Error> {
        let (from, to) = (path(&oldpath), path(&newpath));
        run(&self.tools, id, tools::RENAME, &[&from, &to]).await
    }

    async fn readlink(&mut self, id: u32, path: String) -> Result<Name, Self::Error> {
        let said = self
            .tools
            .ask(tools::READ_LINK, &[&tools::path(&path)])
            .await?;
        Ok(named(id, &said))
    }

    /// OpenSSH sends what the link leads to first.
    async fn symlink(
        &mut self,
        id: u32,
        linkpath: String,
        targetpath: String,
    ) -> Result<Status, Self::Error> {
        let (to, link) = (path(&linkpath), path(&targetpath));
        run(&self.tools, id, tools::LINK, &[&to, &link]).await
    }
}
