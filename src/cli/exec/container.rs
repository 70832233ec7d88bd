//! The container that a command runs in: the droplet on the run image, with the environment of a
//! task.

use std::fs::File;
use std::io::{Seek, Write};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::terminal;
use crate::base::Megabytes;
use crate::docker::trust::Trust;
use crate::docker::{
    Attached, ByteWriter, ContainerSpec, DockerError, Engine, Input, LABEL_KIND, LABEL_OWNER,
    Labels, LogStream, Upload,
};
use crate::scheduler::{of_stack, with_limits};
use crate::staging::lifecycle_files;

/// [`LABEL_OWNER`] of all containers of this command.
pub(super) const OWNER: &str = "cflite-exec";
/// Label: the process that made a container.
const LABEL_PROCESS: &str = "cflite.exec.process";
/// How long a command may take to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);
/// Open files, as `VCAP_APPLICATION` tells them.
const OPEN_FILES: i64 = 16_384;

/// What runs.
pub(super) struct Run<'a> {
    pub(super) image: &'a str,
    pub(super) name: &'a str,
    /// A script for bash.
    pub(super) script: String,
    pub(super) memory: Megabytes,
    pub(super) environment: Vec<(String, String)>,
    pub(super) network: Option<String>,
    /// The authorities of this machine.
    pub(super) trust: &'a Trust,
}

/// Runs a command in a droplet; returns its exit status.
pub(super) async fn run(
    engine: &dyn Engine,
    run: Run<'_>,
    mut droplet: File,
) -> anyhow::Result<u8> {
    let with_terminal = terminal::is_there();
    let spec = spec(
        run,
        if with_terminal {
            Input::Terminal
        } else {
            Input::Piped
        },
    );
    let name = spec.name.clone();
    let id = engine.create(&spec).await?;
    let ran = async {
        droplet.rewind()?;
        let tars: [crate::docker::ByteReader; 2] = [
            Box::pin(tokio::fs::File::from_std(droplet)),
            Box::pin(std::io::Cursor::new(lifecycle_files())),
        ];
        for tar in tars {
            let folder = "/".to_owned();
            engine.upload(&id, Upload { folder, tar }).await?;
        }
        follow(engine, &id, with_terminal).await
    };
    let code = ran.await;
    engine.remove(&name).await?;
    code
}

fn spec(run: Run<'_>, input: Input) -> ContainerSpec {
    let process = std::process::id();
    let labels = [
        (LABEL_OWNER, OWNER.to_owned()),
        (LABEL_KIND, "exec".to_owned()),
        (LABEL_PROCESS, process.to_string()),
    ];
    let memory = format!("{}m", run.memory.0);
    let application = json!({
        "application_name": run.name, "name": run.name, "application_uris": [], "uris": [],
        "limits": { "mem": run.memory.0, "fds": OPEN_FILES },
    });
    let mut environment = of_stack(true, run.trust);
    environment.extend(
        [
            ("PORT", "8080"),
            ("CF_INSTANCE_INDEX", "0"),
            ("INSTANCE_INDEX", "0"),
            ("CF_INSTANCE_PORTS", "[]"),
            ("MEMORY_LIMIT", &memory),
            ("VCAP_APPLICATION", &application.to_string()),
            ("VCAP_SERVICES", "{}"),
            ("CFLITE_EXEC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    if input == Input::Terminal {
        let terminal = std::env::var("TERM").unwrap_or_else(|_| "xterm".to_owned());
        environment.push(("TERM".to_owned(), terminal));
    }
    environment.retain(|(name, _)| !run.environment.iter().any(|(own, _)| own == name));
    environment.extend(run.environment);
    ContainerSpec {
        name: format!("cflite-exec-{process}"),
        image: run.image.to_owned(),
        entrypoint: Some(Vec::new()),
        command: ["/tmp/lifecycle/launcher", "app", &run.script, ""]
            .map(str::to_owned)
            .into(),
        environment,
        user: Some("2000:2000".to_owned()),
        working_dir: Some("/home/vcap".to_owned()),
        labels: labels.map(|(name, value)| (name.to_owned(), value)).into(),
        network: run.network,
        volumes: run.trust.mount().into_iter().collect(),
        input,
        ..with_limits(run.memory, GRACE)
    }
}

/// Passes input and output on until the command ends.
async fn follow(engine: &dyn Engine, id: &str, with_terminal: bool) -> anyhow::Result<u8> {
    let attached = engine.attach(id).await?;
    engine.start(id).await?;
    let raw = if with_terminal {
        terminal::RawMode::begin()
    } else {
        None
    };
    let mut resized = signal(SignalKind::window_change())?;
    if with_terminal && let Some((rows, columns)) = terminal::size() {
        engine.resize(id, rows, columns).await?;
    }
    let mut passing = std::pin::pin!(pass_on(attached, terminal::input()));
    loop {
        tokio::select! {
            passed = &mut passing => break passed?,
            _ = resized.recv() => if let Some((rows, columns)) = terminal::size() {
                engine.resize(id, rows, columns).await?;
            },
        }
    }
    drop(raw);
    let code = engine.wait(id).await?;
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Output is passed on also while the command does not read its input: it may wait for that.
async fn pass_on(attached: Attached, typed: mpsc::Receiver<Vec<u8>>) -> anyhow::Result<()> {
    let Attached {
        mut input,
        mut output,
    } = attached;
    let mut feeding = std::pin::pin!(feed(&mut input, typed));
    let mut fed = false;
    loop {
        tokio::select! {
            chunk = output.next() => match chunk {
                Some(chunk) => print(&chunk?)?,
                None => return Ok(()),
            },
            () = &mut feeding, if !fed => fed = true,
        }
    }
}

/// A command may end, or close its input, before it read all.
async fn feed(input: &mut ByteWriter, mut typed: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = typed.recv().await {
        if input.write_all(&bytes).await.is_err() || input.flush().await.is_err() {
            return;
        }
    }
    input.shutdown().await.ok();
}

fn print((stream, bytes): &(LogStream, bytes::Bytes)) -> std::io::Result<()> {
    match stream {
        LogStream::Out => {
            let mut out = std::io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        LogStream::Err => std::io::stderr().lock().write_all(bytes),
    }
}

/// Stops the containers of this process, for Ctrl-C.
pub(super) async fn stop_own(engine: &dyn Engine) -> Result<(), DockerError> {
    let own = std::process::id();
    for container in engine.list(&owned()).await? {
        if process_of(&container.labels) == Some(own)
            || container.name.contains(&format!("-exec-{own}-"))
        {
            engine.stop(&container.id, GRACE).await?;
            engine.remove(&container.id).await?;
        }
    }
    Ok(())
}

/// Removes the containers of processes that were killed.
pub(super) async fn remove_leftovers(engine: &dyn Engine) -> Result<(), DockerError> {
    for container in engine.list(&owned()).await? {
        let process = process_of(&container.labels).or_else(|| process_of_build(&container.name));
        let alive = process.is_some_and(|id| std::path::Path::new(&format!("/proc/{id}")).exists());
        if !alive {
            engine.remove(&container.id).await?;
        }
    }
    Ok(())
}

fn owned() -> Labels {
    [(LABEL_OWNER.to_owned(), OWNER.to_owned())].into()
}

fn process_of(labels: &Labels) -> Option<u32> {
    labels.get(LABEL_PROCESS)?.parse().ok()
}

/// Of a staging container: `cflite-staging-exec-PROCESS-1`.
fn process_of_build(name: &str) -> Option<u32> {
    let rest = name.strip_prefix("cflite-staging-exec-")?;
    rest.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn input_is_passed_on_although_the_command_writes_before_it_reads_on() {
        let (input, mut read) = tokio::io::duplex(16);
        let (write, written) = mpsc::channel(1);
        let command = async move {
            let mut chunk = [0; 16];
            while read.read(&mut chunk).await.is_ok_and(|count| count > 0) {
                let line = Ok((LogStream::Out, bytes::Bytes::new()));
                write.send(line).await.expect("a reader");
            }
        };
        let output = stream::unfold(written, |mut written| async {
            Some((written.recv().await?, written))
        });
        let attached = Attached {
            input: Box::pin(input),
            output: Box::pin(output),
        };
        let (typing, typed) = mpsc::channel(1);
        typing.send(vec![b'x'; 4096]).await.expect("a reader");
        drop(typing);
        let all = async { tokio::join!(pass_on(attached, typed), command) };
        let (passed, ()) = tokio::time::timeout(Duration::from_secs(10), all)
            .await
            .expect("an end");
        passed.expect("no fault");
    }

    #[test]
    fn a_staging_container_tells_its_process() {
        assert_eq!(process_of_build("cflite-staging-exec-77-1"), Some(77));
        assert_eq!(process_of_build("cflite-staging-0a-1"), None);
    }

    #[test]
    fn own_variables_replace_those_of_the_platform() {
        let run = Run {
            image: "run",
            name: "web",
            script: "true".to_owned(),
            memory: Megabytes(64),
            environment: vec![("PORT".to_owned(), "1".to_owned())],
            network: None,
            trust: &Trust::default(),
        };
        let spec = spec(run, Input::Piped);
        let ports: Vec<_> = spec
            .environment
            .iter()
            .filter(|(name, _)| name == "PORT")
            .collect();
        assert_eq!(ports, [&("PORT".to_owned(), "1".to_owned())]);
        assert!(
            spec.environment
                .contains(&("MEMORY_LIMIT".to_owned(), "64m".to_owned()))
        );
    }
}
