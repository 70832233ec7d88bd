//! What an instance of a plan is.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::hook::Hook;
use super::parameter::Parameter;
use super::size::Size;

/// Everything about the container of an instance. Texts of `entry`, `environment`, `files`,
/// `credentials.template` and hooks are templates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of a recipe; empty when users choose the image.
    #[serde(default)]
    pub image: String,
    /// Users choose the image, within these rules.
    #[serde(default)]
    pub own_image: Option<OwnImageRules>,
    /// The image that was chosen for an instance.
    #[serde(skip)]
    pub own: Option<OwnImage>,
    /// Semantic version of what runs; `maintenance_info` of the plan.
    pub version: String,
    /// Bash script that ends with an `exec` of the server; runs as root at each start. Only images
    /// that users choose have none.
    #[serde(default)]
    pub entry: String,
    /// Variables of the container.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Variables of commands of hooks.
    #[serde(default)]
    pub hook_environment: BTreeMap<String, String>,
    /// Files that are written before each start, by absolute path; only root reads them.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Ports by name; `main` is that of the service.
    #[serde(default)]
    pub ports: BTreeMap<String, Port>,
    /// Random texts, made once; `admin` is the password of the administrator, which users may change.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretText>,
    /// What users may choose.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// Users of the service.
    pub credentials: Credentials,
    /// Where data are; nothing is kept without it.
    #[serde(default)]
    pub storage: Option<Storage>,
    /// When the service can be used.
    pub health: Health,
    /// How it is asked to do things.
    #[serde(default)]
    pub signals: Signals,
    /// How data are saved and brought back.
    #[serde(default)]
    pub backup: Option<Backup>,
    /// The address of a page about the instance for a browser on this machine.
    #[serde(default)]
    pub dashboard: Option<String>,
    /// What it may use.
    pub limits: Limits,
}

/// What users may choose; part of a catalog, which is the owner's.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnImageRules {
    /// Patterns of images without their tags; `*` stands for any text.
    pub allow: Vec<String>,
    /// The largest memory limit.
    pub most_memory: Size,
    /// The largest volume.
    pub most_storage: Size,
    /// Instances in one space.
    pub most_per_space: i64,
}

/// The image of an instance and how it is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnImage {
    /// `name:tag` or `name@sha256:…`.
    pub reference: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Replaces its command unless empty.
    pub command: Vec<String>,
    /// Replaces its user.
    pub user: Option<String>,
}

/// A TCP port.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// In the container.
    pub port: u16,
}

/// A random text of letters and digits.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretText {
    /// Its length.
    pub length: usize,
}

/// How users of the service come and go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// Once, after the first start.
    #[serde(default)]
    pub init: Vec<Hook>,
    /// Makes a user.
    #[serde(default)]
    pub bind: Vec<Hook>,
    /// Removes a user and ends its connections.
    #[serde(default)]
    pub unbind: Vec<Hook>,
    /// What the app gets, by key.
    pub template: BTreeMap<String, String>,
}

/// A volume.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    /// Folder in the container.
    pub path: String,
    /// How much may be in it.
    pub size: Size,
}

/// Readiness.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Succeeds when the service works.
    pub ready: Hook,
    /// How long a start may take.
    #[serde(default = "sixty")]
    pub start_seconds: u64,
    /// How often a running one is asked.
    #[serde(default = "ten")]
    pub every_seconds: u64,
}

fn sixty() -> u64 {
    60
}

fn ten() -> u64 {
    10
}

/// Signals.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signals {
    /// Before it is stopped.
    #[serde(default)]
    pub drain: Vec<Hook>,
    /// Stops it.
    #[serde(default)]
    pub stop: Stop,
    /// Makes it read its files again.
    #[serde(default)]
    pub reload: Option<Reload>,
}

/// How it stops.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// Signal.
    pub signal: String,
    /// Seconds until it is killed.
    pub grace_seconds: u64,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            signal: "SIGTERM".to_owned(),
            grace_seconds: 30,
        }
    }
}

/// How it reloads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// Signal.
    pub signal: String,
}

/// Dumps.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// Its output is the dump.
    pub dump: Hook,
    /// Replaces all data by those of a dump: the last hook does, those before it only check.
    pub load: Vec<Hook>,
    /// After a load whose last hook failed the data before are loaded again. Without it, a load that
    /// fails leaves them as they were.
    #[serde(default)]
    pub undo: bool,
    /// Of the file.
    pub extension: String,
}

/// Limits of the container.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory without swap.
    pub memory: Size,
    /// Cores.
    #[serde(default = "half")]
    pub cpus: f64,
    /// How a service that runs is told of another memory limit; without it, one whose texts depend on
    /// the limit gets a new container.
    #[serde(default)]
    pub live: Vec<Hook>,
    /// Processes and threads.
    #[serde(default = "five_hundred")]
    pub pids: i64,
}

fn half() -> f64 {
    0.5
}

fn five_hundred() -> i64 {
    512
}

impl Limits {
    /// CPU time in thousandths of a core.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the check of the catalog bounds it"
    )]
    pub fn cpu_limit(&self) -> u32 {
        (self.cpus * 1000.0) as u32
    }
}
