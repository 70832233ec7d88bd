//! `cflite exec`: stages a folder and runs a command in what came out, without making an app.
//!
//! No platform is needed, only Docker and the stack images. The exit status is the command's.

mod container;
mod source;
mod terminal;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::app_folder::AppFolder;
use super::{Session, block_on, show};
use crate::base::{Clock, Megabytes, SystemClock};
use crate::blobs::Digest;
use crate::cloud_controller::flows::seed::STACK;
use crate::config::Config;
use crate::docker::trust::{self, Trust};
use crate::docker::{Engine, LogFrame};
use crate::platform;
use crate::staging::{self, Lifecycle, LocalStaging, PackageStaging, images};
use container::Run;
use source::{Buildpacks, Manifest, parse_memory, parse_variable};

/// As for builds on the platform: at least this much.
const STAGING_MEMORY: Megabytes = Megabytes(1024);
const STAGING_DISK: Megabytes = Megabytes(4096);
const STAGING_TIMEOUT: Duration = Duration::from_secs(900);
/// Build caches that nobody used for so long are removed.
const CACHE_AGE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Who owns the volume of authorities: it stays for later commands, and no leftover of a killed one is it.
const OWNER_TRUST: &str = "exec";
/// 128 + SIGINT, as shells report it.
const INTERRUPTED: u8 = 130;

/// What to run.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The folder's manifest.yml counts: buildpacks, env, memory. Output of the buildpacks goes to standard error.
One word after -- is a script for bash; several are a command and its arguments; none is a shell.")]
pub(super) struct Arguments {
    /// Folder of the app
    #[arg(long, default_value = ".", value_name = "DIR")]
    app_dir: PathBuf,
    /// Buildpack to use: a built-in one, a URL, a folder or a zip; may be repeated
    #[arg(long, short = 'b', value_name = "NAME")]
    buildpack: Vec<String>,
    /// Variable of the app's environment; may be repeated
    #[arg(long, short = 'e', value_name = "NAME=VALUE", value_parser = parse_variable)]
    env: Vec<(String, String)>,
    /// Memory limit of the command, such as 512M
    #[arg(long, short = 'm', value_name = "SIZE")]
    memory: Option<String>,
    /// Show the buildpacks' output only if the staging fails
    #[arg(long, short)]
    quiet: bool,
    /// Command and arguments
    #[arg(last = true)]
    command: Vec<String>,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = session.options.resolve()?;
    let folder = AppFolder::open(&arguments.app_dir)?;
    let engine = platform::connect_docker(&config);
    block_on(async {
        container::remove_leftovers(&*engine).await?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            code = execute(&config, &*engine, &folder, arguments) => Ok(ExitCode::from(code?)),
            _ = interrupt.recv() => stopped(&*engine).await,
            _ = terminate.recv() => stopped(&*engine).await,
        }
    })
}

async fn stopped(engine: &dyn Engine) -> anyhow::Result<ExitCode> {
    container::stop_own(engine).await?;
    Ok(ExitCode::from(INTERRUPTED))
}

async fn execute(
    config: &Config,
    engine: &dyn Engine,
    folder: &AppFolder,
    arguments: &Arguments,
) -> anyhow::Result<u8> {
    let stack = stack_images(config, engine).await?;
    let app = App::of(folder, arguments)?;
    let trust = Trust::new(OWNER_TRUST, trust::authorities(&config.ca_certificates));
    let staged = app.stage(config, engine, &stack.build, &trust);
    let droplet = staged.await?;
    trust.ensure(engine, &stack.run).await?;
    let run = Run {
        trust: &trust,
        image: &stack.run,
        name: &app.name,
        script: script(&arguments.command),
        memory: app.memory,
        environment: app.environment,
        network: config.offline.then(|| "none".to_owned()),
    };
    container::run(engine, run, droplet).await
}

/// A folder with all that its manifest and the command line say.
struct App<'a> {
    folder: &'a AppFolder,
    name: String,
    buildpacks: Buildpacks,
    environment: Vec<(String, String)>,
    memory: Megabytes,
    quiet: bool,
}

impl<'a> App<'a> {
    fn of(folder: &'a AppFolder, arguments: &Arguments) -> anyhow::Result<Self> {
        let manifest = Manifest::of(folder)?;
        let given = if arguments.buildpack.is_empty() {
            &manifest.buildpacks
        } else {
            &arguments.buildpack
        };
        let memory = match &arguments.memory {
            Some(text) => parse_memory(text)?,
            None => manifest.memory.unwrap_or(STAGING_MEMORY),
        };
        let mut environment = manifest.environment;
        environment.retain(|(name, _)| !arguments.env.iter().any(|(own, _)| own == name));
        environment.extend(arguments.env.iter().cloned());
        let of_folder = folder
            .root()
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            folder,
            name: manifest
                .name
                .or(of_folder)
                .unwrap_or_else(|| "app".to_owned()),
            buildpacks: Buildpacks::of(given)?,
            environment,
            memory,
            quiet: arguments.quiet,
        })
    }

    /// Stages it; returns the droplet.
    async fn stage(
        &self,
        config: &Config,
        engine: &dyn Engine,
        image: &str,
        trust: &Trust,
    ) -> anyhow::Result<File> {
        let mut zip = tempfile::NamedTempFile::new()?;
        self.folder
            .write_zip(&self.folder.files()?, zip.as_file_mut())?;
        let host = std::net::Ipv4Addr::LOCALHOST.into();
        let mut settings = staging::Settings::new(container::OWNER, host);
        settings.offline = config.offline;
        settings.trust = trust.clone();
        let request = self.request(Digest::of_file(zip.path())?);
        let archives = self.buildpacks.archives.iter();
        let staging = LocalStaging {
            engine,
            settings: &settings,
            request: &request,
            image,
            app: zip.path().to_owned(),
            cache: cache_of(&config.data_dir, self.folder.root())?,
            archives: archives.map(|zip| zip.path().to_owned()).collect(),
        };
        let mut log = BuildOutput::new(self.quiet);
        let staged = staging.stage(&mut |frame| log.show(&frame)).await;
        if staged.is_err() {
            log.show_held();
        }
        Ok(staged?)
    }

    fn request(&self, package: Digest) -> PackageStaging {
        // Containers of killed commands are found by it.
        let id = format!("exec-{}", std::process::id());
        PackageStaging {
            build_guid: id.as_str().into(),
            app_guid: id.as_str().into(),
            droplet_guid: id.as_str().into(),
            package,
            lifecycle: Lifecycle::Buildpack,
            buildpacks: self.buildpacks.choices.clone(),
            skip_detect: self.buildpacks.skip_detect,
            stack: STACK.to_owned(),
            environment: self.environment.clone(),
            memory: Megabytes(self.memory.0.max(STAGING_MEMORY.0)),
            disk: STAGING_DISK,
            log_rate_limit: -1,
            cache: None,
            timeout: STAGING_TIMEOUT,
        }
    }
}

struct Stack {
    run: String,
    build: String,
}

/// The stack images; builds them if they are missing.
async fn stack_images(config: &Config, engine: &dyn Engine) -> anyhow::Result<Stack> {
    let find = |listed: &[images::Listed], role: &str| {
        let mut current = listed
            .iter()
            .filter(|image| image.current && image.role == role);
        current.next().map(|image| image.reference.clone())
    };
    let listed = images::list(engine).await?;
    if let (Some(run), Some(build)) = (find(&listed, "run"), find(&listed, "build")) {
        return Ok(Stack { run, build });
    }
    let step = show::Step::begin("stack images");
    match super::images::build(engine, config, &step).await {
        Ok(()) => step.done(""),
        Err(error) => {
            step.failed("");
            return Err(error.into());
        }
    }
    let listed = images::list(engine).await?;
    let missing = "the stack images were not built";
    Ok(Stack {
        run: find(&listed, "run").context(missing)?,
        build: find(&listed, "build").context(missing)?,
    })
}

/// The build cache of a folder; removes old ones.
fn cache_of(data_dir: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let all = data_dir.join("exec");
    let own = all.join(&Digest::of(folder.as_os_str().as_encoded_bytes()).hex()[..16]);
    fs::create_dir_all(&own).with_context(|| format!("cannot create {}", own.display()))?;
    let now = Duration::from_micros(u64::try_from(SystemClock.now().as_micros())?);
    let old = SystemTime::UNIX_EPOCH + now.saturating_sub(CACHE_AGE);
    for entry in fs::read_dir(&all)?.flatten() {
        let cache = entry.path().join("cache.tar");
        let modified = fs::metadata(&cache).and_then(|meta| meta.modified());
        if entry.path() != own && modified.is_ok_and(|modified| modified < old) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    Ok(own.join("cache.tar"))
}

/// The script that the launcher runs.
fn script(command: &[String]) -> String {
    match command {
        [] => "exec bash".to_owned(),
        [script] => script.clone(),
        words => {
            let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
            format!("exec {}", quoted.join(" "))
        }
    }
}

fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The output of buildpacks, shown or held back.
struct BuildOutput {
    held: Option<Vec<u8>>,
}

impl BuildOutput {
    /// The most that is held back.
    const LARGEST: usize = 1 << 20;

    fn new(quiet: bool) -> Self {
        Self {
            held: quiet.then(Vec::new),
        }
    }

    fn show(&mut self, frame: &LogFrame) {
        match &mut self.held {
            None => write_error(&frame.data),
            Some(held) => {
                held.extend_from_slice(&frame.data);
                let excess = held.len().saturating_sub(Self::LARGEST);
                held.drain(..excess);
            }
        }
    }

    fn show_held(&self) {
        if let Some(held) = &self.held {
            write_error(held);
        }
    }
}

fn write_error(bytes: &[u8]) {
    std::io::stderr().lock().write_all(bytes).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_and_one_word_is_a_script() {
        let words = |all: &[&str]| {
            all.iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(script(&[]), "exec bash");
        assert_eq!(
            script(&words(&["npm test && echo $HOME"])),
            "npm test && echo $HOME"
        );
        assert_eq!(
            script(&words(&["echo", "it's", "a b"])),
            "exec 'echo' 'it'\\''s' 'a b'"
        );
    }
}
