//! `cflite exec` on the real daemon: a folder is staged, and a command runs in it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::platform::binary;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (path, content) in files {
        std::fs::write(dir.path().join(path), content).expect("written");
    }
    dir
}

/// Runs it in a data dir of its own, with this input; leaves no container.
fn exec(data: &Path, folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary())
        .args(["exec", "--data-dir"])
        .arg(data)
        .arg("--app-dir")
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut stdin = child.stdin.take().expect("standard input");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    let process = child.id();
    let out = child.wait_with_output().expect("ended");
    assert_eq!(containers(process), "");
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The containers of a process, running or not.
fn containers(process: u32) -> String {
    let out = Command::new("docker")
        .args([
            "ps",
            "--all",
            "--quiet",
            "--filter",
            &format!("name=-exec-{process}"),
        ])
        .output();
    text(&out.expect("docker runs").stdout)
}

#[test]
fn a_command_runs_in_the_staged_folder() {
    let data = tempfile::tempdir().expect("temporary folder");
    let app = folder(&[
        ("requirements.txt", ""),
        (
            "tool.py",
            "import sys; print(len(sys.stdin.read())); sys.exit(3)",
        ),
        (
            "manifest.yml",
            "applications:\n- name: mine\n  memory: 200M\n  env: {FROM_MANIFEST: yes, BOTH: a}\n",
        ),
    ]);
    let ran = exec(
        data.path(),
        app.path(),
        &["--", "python", "tool.py"],
        "12345",
    );
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran.stderr));
    assert_eq!(text(&ran.stdout), "5\n");
    assert!(
        text(&ran.stderr).contains("-----> Python Buildpack version"),
        "{}",
        text(&ran.stderr)
    );

    // The environment of the app, a script, and quiet buildpacks.
    let script = "echo $PWD $HOME $MEMORY_LIMIT $FROM_MANIFEST $BOTH; echo $VCAP_APPLICATION; echo problem >&2";
    let ran = exec(
        data.path(),
        app.path(),
        &["--quiet", "-e", "BOTH=b", "--", script],
        "",
    );
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let out = text(&ran.stdout);
    assert!(
        out.contains("/home/vcap/app /home/vcap/app 200m true b\n"),
        "{out}"
    );
    assert!(out.contains(r#""application_name":"mine""#), "{out}");
    assert_eq!(text(&ran.stderr), "problem\n");
}

#[test]
fn a_folder_that_does_not_stage_says_why() {
    let data = tempfile::tempdir().expect("temporary folder");
    let app = folder(&[("README", "")]);
    let ran = exec(data.path(), app.path(), &["--quiet", "--", "true"], "");
    assert_eq!(ran.status.code(), Some(1));
    let error = text(&ran.stderr);
    assert!(
        error.contains("NoAppDetectedError - An app was not successfully detected"),
        "{error}"
    );
    let ran = exec(data.path(), app.path(), &["-b", "pyhton", "--", "true"], "");
    let error = text(&ran.stderr);
    assert!(
        error.contains(
            "pyhton is no buildpack: give a URL, a folder, a zip, or one of staticfile_buildpack"
        ),
        "{error}"
    );
}

#[test]
fn a_buildpack_may_be_a_folder() {
    let data = tempfile::tempdir().expect("temporary folder");
    let app = folder(&[("x", "")]);
    let buildpack =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("images/tests/fixtures/buildpacks/legacy");
    let buildpack = buildpack.display().to_string();
    let ran = exec(
        data.path(),
        app.path(),
        &["-b", &buildpack, "--", "ls /home/vcap/app"],
        "",
    );
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert!(text(&ran.stdout).contains('x'), "{}", text(&ran.stdout));
}

#[test]
fn an_interrupted_command_leaves_nothing() {
    let data = tempfile::tempdir().expect("temporary folder");
    let app = folder(&[("requirements.txt", "")]);
    let mut child = Command::new(binary())
        .args(["exec", "--quiet", "--data-dir"])
        .arg(data.path())
        .arg("--app-dir")
        .arg(app.path())
        .args(["--", "echo started; exec sleep 600"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let out = child.stdout.take().expect("standard output");
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(out));
    assert!(lines.any(|line| line.is_ok_and(|line| line == "started")));
    let id = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a process"));
    nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).expect("signalled");
    assert_eq!(child.wait().expect("ended").code(), Some(130));
    assert_eq!(containers(child.id()), "");
}
