//! A Docker daemon of the test's own, so that it may be killed: with its own bridge, folders and
//! socket, holding the stack images of the default daemon.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Daemons of this process so far.
static COUNT: AtomicU8 = AtomicU8::new(0);

/// Ends with the test, and everything in it.
pub(crate) struct Daemon {
    folder: PathBuf,
    host: String,
    bridge: String,
    /// Further options of `dockerd`.
    options: Vec<String>,
    child: Option<Child>,
}

fn quietly(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A process that is gone already is fine.
fn signal(pid: Pid, signal: Signal) {
    let sent = kill(pid, signal);
    assert!(
        matches!(sent, Ok(()) | Err(Errno::ESRCH)),
        "process {pid}: {sent:?}"
    );
}

/// Zombies do not count.
fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

impl Daemon {
    /// `None` where none can be started: without root, or without `dockerd` and `ip`.
    pub(crate) fn start() -> Option<Self> {
        let daemon = Self::start_with(&[])?;
        daemon.take_stack_images();
        Some(daemon)
    }

    /// The same with further options and no images.
    pub(crate) fn start_with(options: &[&str]) -> Option<Self> {
        let root = nix::unistd::Uid::effective().is_root();
        if !root || !quietly("dockerd", &["--version"]) || !quietly("ip", &["-V"]) {
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let bridge = format!("cflite-test{number}");
        let address = format!("10.213.{}.1/24", 77 + number);
        quietly("ip", &["link", "del", &bridge]);
        let bridged = quietly("ip", &["link", "add", "name", &bridge, "type", "bridge"])
            && quietly("ip", &["addr", "add", &address, "dev", &bridge])
            && quietly("ip", &["link", "set", "dev", &bridge, "up"]);
        if !bridged {
            return None;
        }
        // Not in /tmp: overlay file systems may stand on a disk only.
        let process = std::process::id();
        let folder = PathBuf::from(format!("/var/lib/cflite-test-{process}-{number}"));
        std::fs::create_dir_all(&folder).expect("folder of the daemon");
        let host = format!("unix://{}/docker.sock", folder.display());
        let mut daemon = Self {
            folder,
            host,
            bridge,
            options: options.iter().map(|&option| option.to_owned()).collect(),
            child: None,
        };
        daemon.boot();
        Some(daemon)
    }

    /// `unix://…`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Starts the daemon on the data that is there.
    pub(crate) fn boot(&mut self) {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let log = std::fs::File::create(self.folder.join("log")).expect("log file");
        let child = Command::new("dockerd")
            .args(["--host", &self.host, "--bridge", &self.bridge])
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("pid")])
            // The machine's own rules stay as they are: nothing here has to reach the network.
            .args(["--iptables=false", "--ip-masq=false"])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log file"))
            .stderr(log)
            .spawn()
            .expect("dockerd starts");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !quietly("docker", &["--host", &self.host, "info"]) {
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(
                Instant::now() < deadline,
                "the daemon does not answer:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// SIGKILL. The next daemon finds containers that nobody looked after and ends them.
    pub(crate) fn kill(&mut self) {
        let containerd = self.folder.join("exec/containerd/containerd.pid");
        let pid = std::fs::read_to_string(&containerd).expect("pid of containerd");
        self.end(Signal::SIGKILL);
        // It dies with the daemon, but a zombie nobody waits for would count as a living one.
        let deadline = Instant::now() + Duration::from_secs(10);
        while is_alive(pid.trim()) {
            assert!(Instant::now() < deadline, "containerd outlives its daemon");
            std::thread::sleep(Duration::from_millis(10));
        }
        std::fs::remove_file(containerd).expect("pid file of containerd");
    }

    /// SIGTERM, as a service manager stops it: the daemon ends its containers itself.
    pub(crate) fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    fn end(&mut self, how: Signal) {
        if let Some(mut child) = self.child.take() {
            signal(Pid::from_raw(child.id().cast_signed()), how);
            // Until it is waited for, its number would still look alive to the next one.
            child.wait().expect("wait");
        }
    }

    fn containers(&self) -> Vec<String> {
        let out = Command::new("docker")
            .args(["--host", &self.host, "ps", "--quiet"])
            .output();
        let text = out
            .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
            .unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn take_stack_images(&self) {
        let mut names = Vec::new();
        let out = Command::new("docker")
            .args([
                "images",
                "--format",
                "{{.Repository}}:{{.Tag}}",
                "cflite/cflinuxfs4",
            ])
            .output()
            .expect("docker runs");
        for name in String::from_utf8_lossy(&out.stdout).lines() {
            if !name.ends_with("-dev") {
                names.push(name.to_owned());
            }
        }
        assert!(!names.is_empty(), "no stack images: cflite images build");
        let mut save = Command::new("docker")
            .arg("save")
            .args(&names)
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker save starts");
        let images = save.stdout.take().expect("piped");
        let loaded = Command::new("docker")
            .args(["--host", &self.host, "load", "--quiet"])
            .stdin(images)
            .stdout(Stdio::null())
            .status()
            .expect("docker load runs");
        assert!(save.wait().expect("docker save").success() && loaded.success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        for id in self.containers() {
            quietly("docker", &["--host", &self.host, "rm", "--force", &id]);
        }
        self.end(Signal::SIGTERM);
        // The daemon mounts its data folder over itself, and keeps the network of the machine open.
        for mounted in ["data", "exec/netns/default"] {
            quietly(
                "umount",
                &[&self.folder.join(mounted).display().to_string()],
            );
        }
        quietly("ip", &["link", "del", &self.bridge]);
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
