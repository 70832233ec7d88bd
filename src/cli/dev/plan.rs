//! What a change of an app's files needs, by the buildpack that staged it. Pure.

use super::super::app_folder::{AppFolder, Changes, Files};
use crate::base::yaml;

/// Files that decide what a buildpack installs or how it starts the app.
const STAGED: &[&str] = &[
    ".nvmrc",
    ".profile",
    ".python-version",
    ".ruby-version",
    "Gemfile",
    "Gemfile.lock",
    "Pipfile",
    "Pipfile.lock",
    "Procfile",
    "Staticfile",
    "Staticfile.auth",
    "buildpack.yml",
    "composer.json",
    "composer.lock",
    "environment.yml",
    "go.mod",
    "go.sum",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "package.json",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pyproject.toml",
    "requirements.txt",
    "runtime.txt",
    "setup.py",
    "uv.lock",
    "yarn.lock",
];
/// Beginnings of the paths of such files.
const STAGED_BELOW: &[&str] = &[
    ".bp-config/",
    ".profile.d/",
    "bin/pre_compile",
    "bin/post_compile",
];

/// What happens with a change, from little to much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Files are copied; the app reads them by itself.
    Copy,
    /// Files are copied, and the process is started again.
    Restart,
    /// The folder is staged again.
    Stage,
}

impl Action {
    /// In past tense, for the list of saves.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Copy => "copied",
            Self::Restart => "restarted",
            Self::Stage => "staged",
        }
    }
}

/// How an app is developed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// The name of the final buildpack.
    pub(super) buildpack: String,
    /// What an ordinary change needs.
    ordinary: Action,
    /// Where the buildpack puts the app's files, below `/home/vcap`.
    layout: Layout,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Layout {
    /// In the app's folder.
    App,
    /// What visitors may see is in `public`: only what is below `root`, if there is one.
    Public {
        root: Option<String>,
        dot_files: bool,
    },
    /// The visible files are in the folder that the web server shows, but for those below `kept`.
    Web { folder: String, kept: [String; 2] },
}

impl Plan {
    /// For an app that `buildpack` staged from this folder.
    pub(super) fn new(buildpack: &str, folder: &AppFolder, files: &Files) -> Self {
        let buildpack = buildpack.trim_end_matches("_buildpack").to_owned();
        let (ordinary, layout) = match buildpack.as_str() {
            "staticfile" => (Action::Copy, public(folder)),
            "php" => (Action::Copy, web(folder, files)),
            "go" | "java" => (Action::Stage, Layout::App),
            "nodejs" if builds(folder) => (Action::Stage, Layout::App),
            _ => (Action::Restart, Layout::App),
        };
        Self {
            buildpack,
            ordinary,
            layout,
        }
    }

    /// What these changes need.
    pub(super) fn action(&self, changes: &Changes) -> Action {
        let all = changes.changed.iter().chain(&changes.deleted);
        all.map(|path| self.action_of(path))
            .max()
            .unwrap_or(Action::Copy)
    }

    fn action_of(&self, path: &str) -> Action {
        let name = path.rsplit('/').next().unwrap_or(path);
        let staged = STAGED.contains(&name)
            || STAGED_BELOW.iter().any(|folder| path.starts_with(folder))
            || (self.buildpack == "staticfile"
                && self.place(path).is_none()
                && !path.starts_with('.'));
        if staged { Action::Stage } else { self.ordinary }
    }

    /// Where a file of the folder is in the container, below `/home/vcap`; `None` when the app has
    /// no use for it.
    pub(super) fn place(&self, path: &str) -> Option<String> {
        match &self.layout {
            Layout::App => Some(format!("app/{path}")),
            Layout::Public { root, dot_files } => {
                let shown = match root {
                    Some(root) => path.strip_prefix(root.as_str())?.strip_prefix('/')?,
                    None => path,
                };
                let settings = root.is_none()
                    && (shown.starts_with("Staticfile")
                        || shown == "mime.types"
                        || shown == "nginx"
                        || shown.starts_with("nginx/"));
                let hidden = !dot_files && shown.starts_with('.');
                (!settings && !hidden).then(|| format!("app/public/{shown}"))
            }
            Layout::Web { folder, kept } => {
                let top = path.split('/').next().unwrap_or(path);
                let stays = top.starts_with('.') || kept.iter().any(|kept| kept == top);
                Some(if stays {
                    format!("app/{path}")
                } else {
                    format!("app/{folder}/{path}")
                })
            }
        }
    }
}

/// `root` and `host_dot_files` of the `Staticfile`.
fn public(folder: &AppFolder) -> Layout {
    let text = folder.text("Staticfile").unwrap_or_default();
    let settings = yaml::read(&text).ok();
    let value = |key: &str| Some(settings.as_ref()?.get(key)?.clone().into_text());
    let root = value("root").map(|root| root.trim_start_matches("./").trim_matches('/').to_owned());
    Layout::Public {
        root: root.filter(|root| !root.is_empty() && root != "."),
        dot_files: value("host_dot_files")
            .is_some_and(|value| matches!(value.as_str(), "enabled" | "true")),
    }
}

/// The PHP buildpack moves the files of an app without a web folder into one.
fn web(folder: &AppFolder, files: &Files) -> Layout {
    let options = folder.text(".bp-config/options.json").unwrap_or_default();
    let options: serde_json::Value = serde_json::from_str(&options).unwrap_or_default();
    let web = options["WEBDIR"].as_str().unwrap_or("htdocs");
    let served = options["WEB_SERVER"].as_str() != Some("none");
    if served && !files.contains_key(web) {
        let top = |path: &str| path.split('/').next().unwrap_or(path).to_owned();
        let lib = options["LIBDIR"].as_str().unwrap_or("lib");
        Layout::Web {
            folder: web.to_owned(),
            kept: [top(web), top(lib)],
        }
    } else {
        Layout::App
    }
}

/// Whether the Node.js buildpack runs scripts that make files out of others.
fn builds(folder: &AppFolder) -> bool {
    let package = folder.text("package.json").unwrap_or_default();
    let package: serde_json::Value = serde_json::from_str(&package).unwrap_or_default();
    let scripts = &package["scripts"];
    ["heroku-prebuild", "heroku-postbuild"]
        .iter()
        .any(|name| scripts[name].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(buildpack: &str, files: &[(&str, &str)]) -> Plan {
        let dir = tempfile::tempdir().expect("temporary folder");
        for (path, content) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("created");
            std::fs::write(path, content).expect("written");
        }
        let folder = AppFolder::open(dir.path()).expect("opened");
        let files = folder.files().expect("listed");
        Plan::new(buildpack, &folder, &files)
    }

    fn action(plan: &Plan, paths: &[&str]) -> Action {
        plan.action(&Changes {
            changed: paths.iter().map(|path| (*path).to_owned()).collect(),
            deleted: Vec::new(),
        })
    }

    #[test]
    fn a_language_decides_what_a_change_needs() {
        let rows = [
            ("staticfile_buildpack", "index.html", Action::Copy),
            ("staticfile", "Staticfile", Action::Stage),
            ("staticfile", "nginx/conf/includes/x.conf", Action::Stage),
            ("php", "index.php", Action::Copy),
            ("php", ".bp-config/options.json", Action::Stage),
            ("python", "app.py", Action::Restart),
            ("python", "requirements.txt", Action::Stage),
            ("ruby", "config.ru", Action::Restart),
            ("nodejs", "server.js", Action::Restart),
            ("nodejs", "web/package.json", Action::Stage),
            ("go", "main.go", Action::Stage),
            ("java", "BOOT-INF/classes/A.class", Action::Stage),
            ("somebody's", "x", Action::Restart),
        ];
        for (buildpack, path, expected) in rows {
            assert_eq!(
                action(&plan(buildpack, &[]), &[path]),
                expected,
                "{buildpack} {path}"
            );
        }
        let built = plan(
            "nodejs",
            &[("package.json", r#"{"scripts":{"heroku-postbuild":"tsc"}}"#)],
        );
        assert_eq!(action(&built, &["src/a.ts"]), Action::Stage);
        assert_eq!(
            action(&plan("nodejs", &[]), &["a.js", "Procfile"]),
            Action::Stage
        );
    }

    #[test]
    fn files_go_where_the_buildpack_put_them() {
        let place = |plan: &Plan, path: &str| plan.place(path);
        let python = plan("python", &[]);
        assert_eq!(place(&python, "a/b.py").as_deref(), Some("app/a/b.py"));
        let bare = plan("staticfile", &[("index.html", "")]);
        assert_eq!(place(&bare, "a.html").as_deref(), Some("app/public/a.html"));
        assert_eq!(place(&bare, "Staticfile"), None);
        assert_eq!(place(&bare, ".hidden"), None);
        let rooted = plan(
            "staticfile",
            &[("Staticfile", "root: ./site\nhost_dot_files: true\n")],
        );
        assert_eq!(place(&rooted, "site/.x").as_deref(), Some("app/public/.x"));
        assert_eq!(place(&rooted, "README"), None);
        let moved = plan("php", &[("index.php", "")]);
        assert_eq!(
            place(&moved, "index.php").as_deref(),
            Some("app/htdocs/index.php")
        );
        assert_eq!(place(&moved, "lib/a.php").as_deref(), Some("app/lib/a.php"));
        let kept = plan("php", &[("htdocs/index.php", "")]);
        assert_eq!(
            place(&kept, "htdocs/index.php").as_deref(),
            Some("app/htdocs/index.php")
        );
    }
}
