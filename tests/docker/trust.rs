//! The certificate authorities of the machine: containers of a stack trust them, its images do not.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair};

use crate::bench::test_image;
use crate::platform::{Platform, binary};
use cflite::docker::{BollardEngine, DEFAULT_HOST};

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Succeeds where OpenSSL trusts the authority on standard input, and the one file names it too.
const TRUSTED: &str = r#"cat > /tmp/own.crt && openssl verify /tmp/own.crt &&
    grep -qF "$(sed -n 2p /tmp/own.crt)" "$NODE_EXTRA_CA_CERTS""#;

/// A folder with an authority, and its certificate.
fn machine() -> (tempfile::TempDir, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "Authority of this machine");
    let key = KeyPair::generate().expect("a key");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let folder = tempfile::tempdir().expect("temporary folder");
    std::fs::write(folder.path().join("own.crt"), &pem).expect("written");
    (folder, pem)
}

fn docker(arguments: &[&str], input: &str) -> Output {
    fed(Command::new("docker").args(arguments), input)
}

fn fed(command: &mut Command, input: &str) -> Output {
    use std::io::Write;
    use std::process::Stdio;
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("standard input");
    stdin.write_all(input.as_bytes()).expect("written");
    drop(stdin);
    child.wait_with_output().expect("ended")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_trusts_the_authorities_of_the_machine_and_the_image_does_not_hold_them() {
    let image = test_image(&BollardEngine::new(DEFAULT_HOST)).await;
    let (folder, pem) = machine();
    let option = folder.path().display().to_string();
    let mut platform = Platform::start_with(&["--ca-certificates", &option]);
    let host = platform.push_sample("trusting");
    platform.wait_for(&host, Duration::from_secs(60));
    let instance = platform.instances().remove(0);
    let inside = docker(&["exec", "-i", &instance, "bash", "-c", TRUSTED], &pem);
    assert!(inside.status.success(), "{}", text(&inside.stderr));
    // Nobody but the machine's owner adds authorities.
    let written = docker(&["exec", &instance, "touch", "/etc/ssl/certs/x"], "");
    assert!(text(&written.stderr).contains("Read-only file system"));

    let held = docker(
        &["run", "--rm", "--network", "none", &image, "cat", BUNDLE],
        "",
    );
    let line = pem.lines().nth(1).expect("a line");
    assert!(!text(&held.stdout).contains(line));
    assert!(
        text(&held.stdout).contains("BEGIN CERTIFICATE"),
        "those of Debian"
    );
    let own = [
        "run",
        "--rm",
        "--network",
        "none",
        &image,
        "find",
        "/usr/local/share/ca-certificates",
        "-type",
        "f",
    ];
    assert_eq!(
        text(&docker(&own, "").stdout),
        "",
        "nor those of the machine that built it"
    );

    // Its volume goes with the platform; a machine without own authorities needs none.
    let named = format!("name=cflite-{}-trust-", platform.id());
    let volumes = || text(&docker(&["volume", "ls", "-q", "--filter", &named], "").stdout);
    assert_eq!(volumes().lines().count(), 1);
    platform.kill();
    platform.run(&["reset", "--yes", "--keep-images"]);
    assert_eq!(volumes(), "");
}

#[test]
fn builds_and_commands_without_a_platform_trust_them_too() {
    let (folder, pem) = machine();
    let (app, data) = (tempfile::tempdir(), tempfile::tempdir());
    let (app, data) = (app.expect("a folder"), data.expect("a folder"));
    let buildpack = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(buildpack.path().join("bin")).expect("a folder");
    let compile = format!("#!/bin/bash\n({TRUSTED}) < $1/own.crt && echo the build trusts it\n");
    for (name, script) in [
        ("detect", "#!/bin/bash\n"),
        ("compile", &compile),
        ("release", "#!/bin/bash\necho '{}'\n"),
    ] {
        write_program(&buildpack.path().join("bin").join(name), script);
    }
    std::fs::write(app.path().join("own.crt"), &pem).expect("written");
    let mut command = Command::new(binary());
    command.args(["exec", "--data-dir"]).arg(data.path());
    command.arg("--app-dir").arg(app.path());
    command.arg("--ca-certificates").arg(folder.path());
    command
        .arg("-b")
        .arg(buildpack.path())
        .args(["--", TRUSTED]);
    let ran = fed(&mut command, &pem);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(
        text(&ran.stderr).contains("the build trusts it"),
        "{}",
        text(&ran.stderr)
    );
    let volumes = docker(
        &["volume", "ls", "-q", "--filter", "name=cflite-exec-trust-"],
        "",
    );
    for volume in text(&volumes.stdout).lines() {
        // Other commands may use theirs.
        docker(&["volume", "rm", volume], "");
    }
}

fn write_program(path: &Path, script: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, script).expect("written");
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).expect("executable");
}
