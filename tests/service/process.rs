//! The binary as a service manager starts it: with a socket for notifications, sockets to serve on,
//! and its log in a file. It has no Docker daemon.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The longest wait for anything; reached only when a test fails.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// A data dir with what a service manager has, for one process after the other.
pub(crate) struct Service {
    folder: tempfile::TempDir,
    notifications: UnixDatagram,
    /// Variables of the next process.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// Sockets that the next process gets, by name.
    pub(crate) sockets: Vec<(&'static str, TcpListener)>,
}

/// A process of the service; killed when it is dropped.
pub(crate) struct Process(Child);

impl Service {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let notifications = UnixDatagram::bind(folder.path().join("notify")).expect("bound");
        notifications.set_read_timeout(Some(LONG)).expect("set");
        Self {
            folder,
            notifications,
            environment: Vec::new(),
            sockets: Vec::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts `cflite up --foreground`.
    pub(crate) fn start(&self) -> Process {
        let log = File::create(self.path("log")).expect("log file");
        let stream = log.metadata().expect("metadata");
        let (fds, names): (Vec<i32>, Vec<&str>) = { self.sockets.iter() }
            .map(|(name, socket)| (inheritable(socket), *name))
            .unzip();
        // The descriptors are 3 and up, and the variables name the process that may use them.
        let moved: Vec<String> = { fds.iter().enumerate() }
            .map(|(index, fd)| format!("{}<&{fd} {fd}<&-", index + 3))
            .collect();
        let script = format!(
            "export LISTEN_PID=$$; exec {}; exec \"$0\" \"$@\"",
            moved.join(" ")
        );
        let mut command = Command::new("bash");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_cflite")])
            .args(["up", "--foreground", "--registry-port", "0"])
            .args(["--docker-host", "unix:///nonexistent/docker.sock"])
            .arg("--data-dir")
            .arg(self.path("data"))
            .env("NOTIFY_SOCKET", self.path("notify"))
            .env("CFLITE_HTTP_PORT", "0")
            .env("CFLITE_HTTPS_PORT", "0")
            .env("CFLITE_DATA_SERVICES", "false")
            .env(
                "JOURNAL_STREAM",
                format!("{}:{}", stream.dev(), stream.ino()),
            )
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        if !fds.is_empty() {
            command
                .env("LISTEN_FDS", fds.len().to_string())
                .env("LISTEN_FDNAMES", names.join(":"));
        }
        let child = command.spawn().expect("bash runs");
        for fd in fds {
            nix::unistd::close(fd).expect("closed");
        }
        Process(child)
    }

    /// The next message to the service manager, one line for each state.
    pub(crate) fn message(&self) -> String {
        let mut buffer = [0; 4096];
        let read = self.notifications.recv(&mut buffer);
        let length = read.unwrap_or_else(|error| panic!("no message: {error}\n{}", self.log()));
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Messages up to the one that has this line.
    pub(crate) fn messages_until(&self, line: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let message = self.message();
            let found = message.lines().any(|one| one == line);
            all.push(message);
            if found {
                return all;
            }
        }
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Where the API answers, by `running.json`.
    pub(crate) fn address(&self) -> SocketAddr {
        let text = std::fs::read(self.path("data/running.json")).expect("it runs");
        let running: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let port = running["http_port"].as_u64().expect("a port");
        SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")))
    }
}

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a process id");
        kill(Pid::from_raw(pid), signal).expect("signalled");
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        self.0.wait().expect("ended")
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().expect("state").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            self.0.kill().expect("killed");
            self.end();
        }
    }
}

/// A copy of a socket that programs inherit, out of the way of low numbers.
fn inheritable(socket: &TcpListener) -> i32 {
    let copy = fcntl(socket, FcntlArg::F_DUPFD(100)).expect("copied");
    assert_ne!(copy, socket.as_raw_fd());
    copy
}

/// A connection on which a request was sent; the answer closes it.
pub(crate) fn send(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect_timeout(&address, LONG).expect("connected");
    stream.set_read_timeout(Some(LONG)).expect("set");
    stream.write_all(request.as_bytes()).expect("sent");
    stream
}

/// A request for a path.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
}

/// The whole answer.
pub(crate) fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Writes a file of the service.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}
