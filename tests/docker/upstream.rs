//! Another registry: Debian's `docker-registry` on a port of its own, which wants a password.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const USER: &str = "me";
pub(crate) const PASSWORD: &str = "s3cret-of-the-upstream";

/// The only program in the images: they have no shell.
const PROGRAM: &str = "/usr/bin/busybox";

/// Ends with the test.
pub(crate) struct Upstream {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
    /// Names in the local daemon.
    names: Vec<String>,
}

fn succeed(command: &mut Command) -> String {
    let out = command.output().expect("it runs");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let mut upstream = Self::of("auth: {htpasswd: {realm: upstream, path: htpasswd}}\n");
        upstream.boot();
        upstream.login(&upstream.address(), USER, PASSWORD);
        upstream
    }

    /// One that everybody may read.
    pub(crate) fn start_public() -> Self {
        let mut upstream = Self::of("");
        upstream.boot();
        upstream
    }

    /// With these lines at the end of its configuration.
    fn of(access: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = |name: &str| folder.path().join(name);
        let line = succeed(Command::new("htpasswd").args(["-Bbn", USER, PASSWORD]));
        std::fs::write(path("htpasswd"), line).expect("written");
        // Free now; nothing else in this machine's tests asks for ports by number.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let config = format!(
            "version: 0.1\nlog: {{level: warn}}\n\
             storage: {{filesystem: {{rootdirectory: {data}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"127.0.0.1:{port}\"}}\n{access}",
            data = path("data").display(),
        );
        std::fs::write(path("config.yml"), config).expect("written");
        Self {
            folder,
            port,
            child: None,
            names: Vec::new(),
        }
    }

    /// `127.0.0.1:5001`
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts the process on the data that is there.
    pub(crate) fn boot(&mut self) {
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg("config.yml")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry starts");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(self.address()).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
    }

    /// Builds an image whose page is `page`, and pushes it as `name` (`me/web:1`).
    pub(crate) fn push(&mut self, name: &str, page: &str) {
        let full = format!("{}/{name}", self.address());
        self.build(&full, page);
        self.push_built(&full).expect("pushed");
    }

    /// Pushes an image that was built; then only its registry has it. Else what docker says.
    pub(crate) fn push_built(&mut self, name: &str) -> Result<(), String> {
        let pushed = self.docker().args(["push", "--quiet", name]).output();
        let pushed = pushed.expect("docker runs");
        if !pushed.status.success() {
            return Err(String::from_utf8_lossy(&pushed.stderr).into_owned());
        }
        succeed(self.docker().args(["rmi", name]));
        self.names.retain(|known| known != name);
        Ok(())
    }

    /// Builds an image in the local daemon.
    pub(crate) fn build(&mut self, name: &str, page: &str) {
        let context = tempfile::tempdir_in(self.folder.path()).expect("temporary folder");
        context_of(context.path(), page);
        self.build_from(name, context.path());
    }

    /// Builds an image from a folder with a recipe.
    pub(crate) fn build_from(&mut self, name: &str, context: &Path) {
        let mut build = self.docker();
        build.args([
            "build",
            "--quiet",
            // Another test may just remove a step that the cache has.
            "--no-cache",
            "--label",
            "cflite.test=1",
            "--tag",
            name,
        ]);
        succeed(build.arg(context));
        self.names.push(name.to_owned());
    }

    /// Keeps the password for a registry.
    pub(crate) fn login(&self, address: &str, user: &str, password: &str) {
        let mut login = self.docker();
        login.args(["login", "--username", user, "--password", password]);
        succeed(login.arg(address));
    }

    /// The command with a configuration of its own, where it keeps the password.
    pub(crate) fn docker(&self) -> Command {
        let mut command = Command::new("docker");
        command.env("DOCKER_CONFIG", self.folder.path().join("docker"));
        // The legacy builder needs no plug-in.
        command.env("DOCKER_BUILDKIT", "0");
        command
    }
}

fn context_of(folder: &Path, page: &str) {
    std::fs::copy(PROGRAM, folder.join("busybox")).expect("busybox-static is installed");
    std::fs::write(folder.join("index.html"), page).expect("written");
    let recipe = "FROM scratch\nCOPY busybox /busybox\nCOPY index.html /www/index.html\n\
                  ENV PAGES=/www\nEXPOSE 8080\nUSER 1000\nENTRYPOINT [\"/busybox\"]\n\
                  CMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/www\"]\n";
    std::fs::write(folder.join("Dockerfile"), recipe).expect("written");
}

impl Drop for Upstream {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        for name in &self.names {
            drop(self.docker().args(["rmi", name]).output());
        }
    }
}
