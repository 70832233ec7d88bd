//! The file of `cflite seed`, checked as far as that needs no platform.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use super::super::deploy::plan::{self as services, Wanted};
use super::super::fields::Fields;
use super::quota::{self, Quota};
use crate::base::Secret;
use crate::base::yaml::{self, Node};

/// All that is wanted, in the order of the file.
#[derive(Debug, Default)]
pub(in crate::cli) struct File {
    pub(in crate::cli) flags: Vec<(String, bool)>,
    pub(in crate::cli) quotas: Vec<Quota>,
    pub(in crate::cli) users: Vec<User>,
    pub(in crate::cli) orgs: Vec<Org>,
}

/// An account; its password counts only when it is made.
#[derive(Debug)]
pub(in crate::cli) struct User {
    pub(in crate::cli) name: String,
    pub(in crate::cli) email: Option<String>,
    pub(in crate::cli) password: Option<Secret<String>>,
    pub(in crate::cli) line: usize,
}

/// A role of the v3 API and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Role {
    pub(in crate::cli) kind: &'static str,
    pub(in crate::cli) user: String,
    pub(in crate::cli) line: usize,
}

/// An organization.
#[derive(Debug)]
pub(in crate::cli) struct Org {
    pub(in crate::cli) name: String,
    pub(in crate::cli) quota: Option<String>,
    pub(in crate::cli) roles: Vec<Role>,
    pub(in crate::cli) space_quotas: Vec<Quota>,
    pub(in crate::cli) spaces: Vec<Space>,
    pub(in crate::cli) line: usize,
}

/// A space.
#[derive(Debug)]
pub(in crate::cli) struct Space {
    pub(in crate::cli) name: String,
    pub(in crate::cli) quota: Option<String>,
    pub(in crate::cli) roles: Vec<Role>,
    pub(in crate::cli) managed: Vec<Wanted>,
    pub(in crate::cli) provided: Vec<Provided>,
    pub(in crate::cli) apps: Vec<App>,
    pub(in crate::cli) line: usize,
}

/// A user-provided service.
#[derive(Debug)]
pub(in crate::cli) struct Provided {
    pub(in crate::cli) name: String,
    pub(in crate::cli) credentials: Option<Map<String, Value>>,
    /// `tags`, `syslog_drain_url` and `route_service_url`, where the file has them.
    pub(in crate::cli) settings: Map<String, Value>,
}

/// An app: where its bits are, and the rest of its manifest.
#[derive(Debug)]
pub(in crate::cli) struct App {
    pub(in crate::cli) name: String,
    pub(in crate::cli) source: Source,
    pub(in crate::cli) manifest: Map<String, Value>,
}

/// What an app is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Source {
    /// A folder, or an archive such as a jar.
    Path(PathBuf),
    /// A Docker image, and the user who pulls it.
    Image(String, Option<String>),
}

const ORG_ROLES: [(&str, &str); 4] = [
    ("users", "organization_user"),
    ("managers", "organization_manager"),
    ("auditors", "organization_auditor"),
    ("billing_managers", "organization_billing_manager"),
];
const SPACE_ROLES: [(&str, &str); 4] = [
    ("developers", "space_developer"),
    ("managers", "space_manager"),
    ("auditors", "space_auditor"),
    ("supporters", "space_supporter"),
];

/// The keys of an app in a manifest that say what the platform keeps; `random-route` would make
/// another route each time.
const MANIFEST: &[&str] = &[
    "buildpack",
    "buildpacks",
    "command",
    "default-route",
    "disk_quota",
    "docker",
    "env",
    "features",
    "health-check-http-endpoint",
    "health-check-interval",
    "health-check-invocation-timeout",
    "health-check-type",
    "instances",
    "lifecycle",
    "log-rate-limit-per-second",
    "memory",
    "metadata",
    "no-route",
    "processes",
    "readiness-health-check-http-endpoint",
    "readiness-health-check-interval",
    "readiness-health-check-invocation-timeout",
    "readiness-health-check-type",
    "routes",
    "services",
    "sidecars",
    "stack",
    "timeout",
];

/// Reads a file; `folder` is where its relative paths begin.
pub(in crate::cli) fn read(text: &str, folder: &Path) -> anyhow::Result<File> {
    let mut all = Fields::of(yaml::read(text)?, "the file")?;
    let flags = flags(&mut all)?;
    let quotas = each(all.list("quotas")?, quota::read_for_org)?;
    let users = each(all.list("users")?, user)?;
    let orgs = each(all.list("orgs")?, |node| org(node, folder))?;
    all.finish()?;
    let file = File {
        flags,
        quotas,
        users,
        orgs,
    };
    unique("quota", file.quotas.iter().map(|one| (&one.name, one.line)))?;
    unique("user", file.users.iter().map(|one| (&one.name, one.line)))?;
    unique("org", file.orgs.iter().map(|one| (&one.name, one.line)))?;
    Ok(file)
}

fn each<T>(nodes: Vec<Node>, read: impl Fn(Node) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
    nodes.into_iter().map(read).collect()
}

/// Names are compared as Cloud Foundry does it, without case.
fn unique<'a>(what: &str, names: impl Iterator<Item = (&'a String, usize)>) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for (name, line) in names {
        if !seen.insert(name.to_lowercase()) {
            bail!("line {line}: the {what} {name} is there twice");
        }
    }
    Ok(())
}

fn flags(all: &mut Fields) -> anyhow::Result<Vec<(String, bool)>> {
    let Some(node) = all.take("feature_flags") else {
        return Ok(Vec::new());
    };
    let line = node.line;
    let yaml::Value::Map(pairs) = node.value else {
        bail!("line {line}: feature_flags has to be a map");
    };
    let flags = pairs.into_iter().map(|(key, value)| match value.value {
        yaml::Value::Bool(on) => Ok((key.into_text(), on)),
        _ => bail!(
            "line {}: the feature flag {} has to be true or false",
            value.line,
            key.into_text()
        ),
    });
    flags.collect()
}

fn user(node: Node) -> anyhow::Result<User> {
    let mut all = Fields::of(node, "a user")?;
    let line = all.line();
    let name = all.required("name")?;
    let email = all.text("email")?;
    let password = all.text("password")?;
    let variable = all.text("password_env")?;
    all.finish()?;
    let password = match (password, variable) {
        (Some(_), Some(_)) => {
            bail!("line {line}: the user {name} has both password and password_env")
        }
        (Some(password), None) => Some(Secret::new(password)),
        (None, Some(variable)) => {
            let value = std::env::var(&variable)
                .ok()
                .filter(|value| !value.is_empty());
            let value = value.with_context(|| {
                format!(
                    "line {line}: the variable {variable} with the password of {name} is not set"
                )
            })?;
            Some(Secret::new(value))
        }
        (None, None) => None,
    };
    Ok(User {
        name,
        email,
        password,
        line,
    })
}

fn org(node: Node, folder: &Path) -> anyhow::Result<Org> {
    let mut all = Fields::of(node, "an org")?;
    let line = all.line();
    let org = Org {
        name: all.required("name")?,
        quota: all.text("quota")?,
        roles: roles(&mut all, &ORG_ROLES)?,
        space_quotas: each(all.list("space_quotas")?, quota::read_for_space)?,
        spaces: each(all.list("spaces")?, |node| space(node, folder))?,
        line,
    };
    all.finish()?;
    let quotas = org.space_quotas.iter();
    unique("space quota", quotas.map(|one| (&one.name, one.line)))?;
    unique("space", org.spaces.iter().map(|one| (&one.name, one.line)))?;
    Ok(org)
}

fn roles(all: &mut Fields, kinds: &[(&'static str, &'static str)]) -> anyhow::Result<Vec<Role>> {
    let mut roles: Vec<Role> = Vec::new();
    for (key, kind) in kinds {
        for (user, line) in all.texts(key)? {
            let again = |one: &Role| one.kind == *kind && one.user.eq_ignore_ascii_case(&user);
            if roles.iter().any(again) {
                bail!("line {line}: {user} is there twice among {key}");
            }
            roles.push(Role { kind, user, line });
        }
    }
    Ok(roles)
}

fn space(node: Node, folder: &Path) -> anyhow::Result<Space> {
    let mut all = Fields::of(node, "a space")?;
    let line = all.line();
    let name = all.required("name")?;
    let quota = all.text("quota")?;
    let roles = roles(&mut all, &SPACE_ROLES)?;
    let (mut managed, mut provided, mut names) = (Vec::new(), Vec::new(), Vec::new());
    for node in all.list("services")? {
        let line = node.line;
        let is_provided = ["credentials", "syslog_drain_url", "route_service_url"]
            .iter()
            .any(|key| node.get(key).is_some());
        let is_managed = node.get("offering").is_some() || node.get("image").is_some();
        if is_provided && !is_managed {
            let one = user_provided(node)?;
            names.push((one.name.clone(), line));
            provided.push(one);
        } else {
            let one = services::wanted_of(node.into_json());
            let one = one.with_context(|| format!("line {line}"))?;
            names.push((one.name.clone(), line));
            managed.push(one);
        }
    }
    unique("service", names.iter().map(|(name, line)| (name, *line)))?;
    let mut apps = Vec::new();
    for node in all.list("apps")? {
        apps.push((node.line, app(node, folder)?));
    }
    unique("app", apps.iter().map(|(line, app)| (&app.name, *line)))?;
    all.finish()?;
    Ok(Space {
        name,
        quota,
        roles,
        managed: services::in_order(managed).with_context(|| format!("line {line}"))?,
        provided,
        apps: apps.into_iter().map(|(_, app)| app).collect(),
        line,
    })
}

fn user_provided(node: Node) -> anyhow::Result<Provided> {
    let mut all = Fields::of(node, "a user-provided service")?;
    Ok(Provided {
        name: all.required("name")?,
        credentials: all.map("credentials")?,
        settings: all.rest(&["tags", "syslog_drain_url", "route_service_url"])?,
    })
}

/// One app of a file.
pub(in crate::cli) fn app(node: Node, folder: &Path) -> anyhow::Result<App> {
    let mut all = Fields::of(node, "an app")?;
    let line = all.line();
    let name = all.required("name")?;
    let path = all.text("path")?;
    let manifest = all.rest(MANIFEST)?;
    let image = manifest
        .get("docker")
        .and_then(|docker| docker["image"].as_str());
    let source = match (path, image) {
        (Some(path), None) => {
            let path = folder.join(path);
            if !path.exists() {
                bail!(
                    "line {line}: there is no {} for the app {name}",
                    path.display()
                );
            }
            Source::Path(path)
        }
        (None, Some(image)) => {
            let user = manifest["docker"]["username"].as_str();
            Source::Image(image.to_owned(), user.map(str::to_owned))
        }
        _ => bail!("line {line}: the app {name} needs either path or docker: {{image: …}}"),
    };
    Ok(App {
        name,
        source,
        manifest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_read() {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(folder.path().join("web")).expect("created");
        let text = "\
feature_flags: {diego_docker: true}
quotas:
- {name: small, memory: 2G, routes: 10}
users:
- {name: ada, password: secret}
orgs:
- name: acme
  quota: small
  managers: [ada]
  space_quotas: [{name: tight, instances: 4}]
  spaces:
  - name: dev
    quota: tight
    developers: [ada]
    services:
    - {name: page, image: a/page:1, depends_on: [db]}
    - {name: db, offering: postgresql, memory: 512m}
    - {name: mail, credentials: {uri: 'smtp://x'}, tags: [mail]}
    apps:
    - {name: web, path: web, memory: 64M, services: [db], env: {A: 1}}
    - {name: image, docker: {image: 'a/b:1'}}
";
        let file = read(text, folder.path()).expect("valid");
        let space = &file.orgs[0].spaces[0];
        let managed: Vec<&str> = space.managed.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(managed, ["db", "page"], "after what it depends on");
        assert_eq!(space.provided[0].settings["tags"][0], "mail");
        assert_eq!(
            space.apps[0].source,
            Source::Path(folder.path().join("web"))
        );
        assert_eq!(
            Value::Object(space.apps[0].manifest.clone()),
            serde_json::json!({ "memory": "64M", "services": ["db"], "env": { "A": 1 } })
        );
        assert_eq!(
            space.apps[1].source,
            Source::Image("a/b:1".to_owned(), None)
        );
        assert_eq!(file.orgs[0].roles[0].kind, "organization_manager");
    }

    #[test]
    fn faults_name_their_line() {
        for (text, fault) in [
            (
                "org: []",
                "line 1: unknown key \"org\" of the file; did you mean \"orgs\"?",
            ),
            (
                "orgs:\n- {name: a}\n- {name: A}",
                "line 3: the org A is there twice",
            ),
            (
                "feature_flags: {x: 1}",
                "line 1: the feature flag x has to be true or false",
            ),
            (
                "users:\n- {name: a, password: b, password_env: C}",
                "line 2: the user a has both password and password_env",
            ),
            (
                "users:\n- {name: a, password_env: CFLITE_NOBODY_SETS_THIS}",
                "line 2: the variable CFLITE_NOBODY_SETS_THIS with the password of a is not set",
            ),
            (
                "orgs:\n- name: a\n  spaces:\n  - name: b\n    apps:\n    - {name: c}",
                "line 6: the app c needs either path or docker: {image: …}",
            ),
            (
                "orgs:\n- name: a\n  spaces:\n  - name: b\n    apps:\n    - {name: c, path: no-such-folder}",
                "line 6: there is no ./no-such-folder for the app c",
            ),
            (
                "orgs:\n- name: a\n  spaces:\n  - name: b\n    apps:\n    - {name: c, docker: {image: d}, memroy: 1G}",
                "line 6: unknown key \"memroy\" of an app; did you mean \"memory\"?",
            ),
            (
                "orgs:\n- name: a\n  spaces:\n  - name: b\n    services:\n    - {name: c}",
                "line 6: service c: it needs an offering or an image",
            ),
            (
                "orgs:\n- name: a\n  managers: [b, B]",
                "line 3: B is there twice among managers",
            ),
            (
                "quotas:\n- {name: a, memory: lots}",
                "line 2: memory of a quota has to be a size such as 512M or 2G, or unlimited",
            ),
        ] {
            let error = format!("{:#}", read(text, Path::new(".")).expect_err("refused"));
            assert_eq!(error, fault);
        }
    }
}
