//! The real binary on the real daemon, with a data dir and ports of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A platform in a process of its own; its containers and data go when it is dropped.
pub(crate) struct Platform {
    data_dir: tempfile::TempDir,
    child: Option<Child>,
    docker_host: Option<String>,
    /// Further options of `up`.
    options: Vec<String>,
}

/// The binary under test: the release build when the test run names one.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("CFLITE_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_cflite").into(), PathBuf::from)
}

impl Platform {
    /// Starts one on the default daemon.
    pub(crate) fn start() -> Self {
        Self::start_on(None)
    }

    /// Starts one with further options.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        Self::start_as(None, options)
    }

    /// Starts one on another daemon.
    pub(crate) fn start_on(docker_host: Option<&str>) -> Self {
        Self::start_as(docker_host, &[])
    }

    /// Starts one on another daemon, with further options.
    pub(crate) fn start_as(docker_host: Option<&str>, options: &[&str]) -> Self {
        let mut platform = Self::stopped(options);
        platform.docker_host = docker_host.map(str::to_owned);
        platform.boot();
        platform
    }

    /// An empty data dir, on which nothing was started yet.
    pub(crate) fn stopped(options: &[&str]) -> Self {
        Self {
            data_dir: tempfile::tempdir().expect("temporary folder"),
            child: None,
            docker_host: None,
            options: options.iter().map(|&option| option.to_owned()).collect(),
        }
    }

    /// Starts the process on the data that is there.
    pub(crate) fn boot(&mut self) {
        let log = std::fs::File::create(self.data_dir.path().join("test.log")).expect("log file");
        let child = self
            .command(&["up", "--foreground"])
            .args([
                "--http-port",
                "0",
                "--https-port",
                "0",
                "--registry-port",
                "0",
            ])
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        let pid = child.id();
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.running().is_none_or(|running| running["pid"] != pid) {
            assert!(Instant::now() < deadline, "not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Takes effect with the next boot.
    pub(crate) fn add_option(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// Its id, as Docker's labels have it.
    pub(crate) fn id(&self) -> String {
        let path = self.data_dir.path().join("platform-id");
        let id = std::fs::read_to_string(path).expect("platform id");
        id.trim().to_owned()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
    }

    /// Runs a command of the command line and gives its standard output.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let out = self.limited(arguments).output().expect("the binary runs");
        let errors = String::from_utf8_lossy(&out.stderr);
        assert!(
            out.status.success(),
            "{arguments:?}: {errors}\n{}",
            self.log()
        );
        String::from_utf8(out.stdout).expect("UTF-8")
    }

    /// Runs a command that fails, and gives its standard error.
    pub(crate) fn fail(&self, arguments: &[&str]) -> String {
        let out = self.limited(arguments).output().expect("the binary runs");
        assert!(!out.status.success(), "{arguments:?} succeeds");
        String::from_utf8_lossy(&out.stderr).into_owned()
    }

    /// Pushes the sample app under this name and gives its host.
    pub(crate) fn push_sample(&self, name: &str) -> String {
        let document: Value =
            serde_json::from_str(&self.run(&["demo", "--name", name, "--json"])).expect("JSON");
        let url = document["url"].as_str().expect("URL");
        let host = url.trim_start_matches("http://");
        host.split(':').next().expect("host").to_owned()
    }

    /// Status of `GET /` for an app's host.
    pub(crate) fn status_of(&self, host: &str) -> u16 {
        let url = format!("http://127.0.0.1:{}/", self.port());
        let out = Command::new("curl")
            .args([
                "-s",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code}",
                "--max-time",
                "5",
                "-H",
            ])
            .arg(format!("Host: {host}"))
            .arg(url)
            .output()
            .expect("curl runs");
        String::from_utf8_lossy(&out.stdout)
            .trim()
            .parse()
            .unwrap_or(0)
    }

    /// Waits until an app answers 200.
    pub(crate) fn wait_for(&self, host: &str, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.status_of(host);
            if status == 200 {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{host} answers {status}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Ids of the running containers of instances.
    pub(crate) fn instances(&self) -> Vec<String> {
        let mut command = Command::new("docker");
        if let Some(host) = &self.docker_host {
            command.args(["--host", host]);
        }
        let out = command
            .args([
                "ps",
                "--quiet",
                "--filter",
                &format!("label=cflite.platform={}", self.id()),
            ])
            .args(["--filter", "label=cflite.kind=instance"])
            .output()
            .expect("docker runs");
        let mut ids: Vec<String> = String::from_utf8_lossy(&out.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        ids.sort();
        ids
    }

    /// HTTPS port.
    pub(crate) fn https_port(&self) -> u64 {
        let running = self.running().expect("running");
        running["https_port"].as_u64().expect("a port")
    }

    /// HTTP port.
    pub(crate) fn port(&self) -> u64 {
        self.running().expect("running")["http_port"]
            .as_u64()
            .expect("port")
    }

    /// Where clients reach its image registry.
    pub(crate) fn registry(&self) -> String {
        let running = self.running().expect("running");
        format!("localhost:{}", running["registry_port"])
    }

    /// The port of its mirror of Docker Hub.
    pub(crate) fn mirror_port(&self) -> u64 {
        let running = self.running().expect("running");
        running["registry_mirror_port"].as_u64().expect("port")
    }

    /// Of the running process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Where the API answers.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The admin's password.
    pub(crate) fn password(&self) -> String {
        let document: Value =
            serde_json::from_str(&self.run(&["credentials", "--json"])).expect("JSON");
        document["password"].as_str().expect("password").to_owned()
    }

    /// Where it keeps everything.
    pub(crate) fn data_dir(&self) -> &Path {
        self.data_dir.path()
    }

    /// What the process logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir.path().join("test.log")).unwrap_or_default()
    }

    fn running(&self) -> Option<Value> {
        serde_json::from_slice(&std::fs::read(self.data_dir.path().join("running.json")).ok()?).ok()
    }

    /// A command that is ended after ten minutes.
    fn limited(&self, arguments: &[&str]) -> Command {
        let command = self.command(arguments);
        let mut limited = Command::new("timeout");
        limited
            .args(["--kill-after=10", "600"])
            .arg(command.get_program());
        limited.args(command.get_args());
        limited
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .arg("--data-dir")
            .arg(self.data_dir.path());
        if let Some(host) = &self.docker_host {
            command.args(["--docker-host", host]);
        }
        command
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        drop(self.command(&["reset", "--yes", "--keep-images"]).output());
    }
}
