//! Rules of the source tree that no compiler checks: imports, the length of files, and what belongs
//! in which file.

mod drawing;
mod imports;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules and their layers; a module may import modules of lower layers, and of its own layer
/// those that [`SIDEWAYS`] names.
const LAYERS: &[(&str, u32)] = &[
    ("base", 0),
    ("db", 1),
    ("docker", 1),
    ("blobs", 1),
    ("net", 1),
    ("pki", 1),
    ("alerts", 2),
    ("logs", 2),
    ("packages", 2),
    ("data_services", 2),
    ("marketplace", 2),
    ("network", 2),
    ("registry", 2),
    ("scheduler", 3),
    ("router", 3),
    ("snapshots", 3),
    ("ssh", 3),
    ("staging", 3),
    ("telemetry", 3),
    ("uaa", 4),
    ("cloud_controller", 5),
    ("config", 6),
    ("web", 6),
    ("platform", 7),
    ("cli", 8),
    ("testing", 8),
];

/// Allowed imports between modules of one layer.
const SIDEWAYS: &[(&str, &str)] = &[("blobs", "db")];

/// Engines must not know who uses them, whatever their layer says.
const NEVER: &[(&str, &str)] = &[
    ("scheduler", "registry"),
    ("scheduler", "logs"),
    ("router", "logs"),
    ("ssh", "logs"),
    ("ssh", "registry"),
    ("router", "registry"),
    ("uaa", "logs"),
    ("uaa", "registry"),
    ("uaa", "scheduler"),
    ("uaa", "router"),
    ("uaa", "staging"),
];

/// The layers of the Cloud Controller, lowest first; a layer imports only lower ones.
const CC_LAYERS: &[&str] = &[
    "error", "on_board", "state", "body", "metadata", "query", "access", "model", "permits",
    "payload", "actions", "flows", "v3", "engines", "api",
];

const LONGEST_FILE: usize = 500;

#[derive(Clone)]
struct Source {
    path: PathBuf,
    text: String,
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("readable folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let text = fs::read_to_string(&path).expect("UTF-8");
                let path = path.strip_prefix(root).expect("below the root").to_owned();
                found.push(Source { path, text });
            }
        }
    }
    found
}

fn is_test(path: &Path) -> bool {
    path.components()
        .any(|part| part.as_os_str() == "tests" || part.as_os_str() == "testing")
        || path
            .file_stem()
            .is_some_and(|stem| stem.to_string_lossy().contains("test"))
}

/// The file without its inline test module and comments.
fn code(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let starts_tests = |at: usize| {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        lines[at] == "#[cfg(test)]" && next.contains("mod ") && next.ends_with('{')
    };
    let end = (0..lines.len()).find(|at| starts_tests(*at));
    let product = lines[..end.unwrap_or(lines.len())].iter().copied();
    let kept = product.filter(|line| !line.trim_start().starts_with("//"));
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn modules_import_lower_layers_only() {
    let layers: BTreeMap<&str, u32> = LAYERS.iter().copied().collect();
    let mut faults = Vec::new();
    for import in imports::imports(&sources("src")) {
        // `lib.rs` and `main.rs` are in no module.
        let ([module, ..], true) = (import.from.as_slice(), import.file.matches('/').count() > 1)
        else {
            continue;
        };
        let own = layers.get(module.as_str());
        let own = *own.unwrap_or_else(|| panic!("module {module} has no layer"));
        let Some(name) = import.to.first().filter(|name| *name != module) else {
            continue;
        };
        let Some(other) = layers.get(name.as_str()) else {
            continue;
        };
        let sideways = SIDEWAYS.contains(&(module.as_str(), name.as_str()));
        let never = NEVER.contains(&(module.as_str(), name.as_str()));
        if never || (*other >= own && !sideways) {
            faults.push(format!("{}: {module} imports {name}", import.file));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn layers_of_the_cloud_controller_import_lower_ones_only() {
    let layer = |path: &[String]| {
        let [module, name, ..] = path else {
            return None;
        };
        let at = CC_LAYERS.iter().position(|layer| layer == name)?;
        (module == "cloud_controller").then_some(at)
    };
    let mut faults = Vec::new();
    for import in imports::imports(&sources("src")) {
        let own = layer(&import.from);
        if own.is_none() && import.from.len() > 1 && import.from[0] == "cloud_controller" {
            faults.push(format!("{}: in no layer", import.file));
        }
        if let (Some(own), Some(other)) = (own, layer(&import.to))
            && other > own
        {
            let (own, other) = (CC_LAYERS[own], CC_LAYERS[other]);
            faults.push(format!("{}: {own} imports {other}", import.file));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let all = imports::siblings(&sources("src"));
    let circles = all.iter().filter_map(|(module, siblings)| {
        let circle = imports::circle(siblings)?;
        Some(format!("in {}: {}", module.join("::"), circle.join(", ")))
    });
    let circles: Vec<String> = circles.collect();
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn the_drawing_of_the_modules_agrees_with_the_code() {
    let modules: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let drawing = drawing::draw(&imports::imports(&sources("src")), &modules);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).expect("the page");
    assert!(page.contains(&drawing), "ARCHITECTURE.md lacks:\n{drawing}");
}

#[test]
fn files_stay_small() {
    let mut long = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE {
            long.push(format!("{}: {lines} lines", source.path.display()));
        }
    }
    assert!(
        long.is_empty(),
        "longer than {LONGEST_FILE}:\n{}",
        long.join("\n")
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<String> = sources("src")
        .iter()
        .filter(|source| !source.text.starts_with("//!") && !source.text.starts_with("#![doc"))
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "no module docs:\n{}", silent.join("\n"));
}

#[test]
fn sql_stands_in_stores() {
    const WORDS: &[&str] = &[
        "\"select ",
        "\"insert ",
        "\"replace ",
        "\"with ",
        "\"delete from ",
        "\"update ",
    ];
    let mut faults = Vec::new();
    for source in sources("src") {
        let path = source.path.to_string_lossy().into_owned();
        let allowed = path.ends_with("store.rs")
            || path.contains("/store/")
            || path.starts_with("src/db/")
            || path.starts_with("src/cloud_controller/model/")
            || path.starts_with("src/cloud_controller/query/")
            || matches!(
                path.strip_prefix("src/cloud_controller/"),
                Some("access.rs" | "metadata.rs")
            )
            || is_test(&source.path);
        if !allowed {
            let code = code(&source.text);
            faults.extend(
                WORDS
                    .iter()
                    .filter(|word| code.contains(*word))
                    .map(|word| format!("{path}: {word}")),
            );
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn stores_are_private_to_their_modules() {
    let open: Vec<String> = sources("src")
        .iter()
        .filter(|source| {
            code(&source.text).contains(") mod store;")
                || code(&source.text).contains("pub mod store;")
        })
        .map(|source| source.path.display().to_string())
        .collect();
    assert!(open.is_empty(), "re-export verbs:\n{}", open.join("\n"));
}

#[test]
fn private_files_are_written_in_one_place() {
    const WAYS: &[&str] = &[
        "fs::write(",
        "File::create",
        "OpenOptions::new(",
        "fs::rename(",
        "DirBuilder",
    ];
    let mut faults = Vec::new();
    for source in sources("src") {
        let path = source.path.to_string_lossy().into_owned();
        // Blobs are hashed while they are written, and named by what they hold.
        let allowed = path == "src/base/private_file.rs"
            || path == "src/base/public_file.rs"
            || path.starts_with("src/blobs/")
            || is_test(&source.path);
        if !allowed {
            let code = code(&source.text);
            let found = WAYS.iter().filter(|way| code.contains(*way));
            faults.extend(found.map(|way| format!("{path}: {way}; use base::private_file")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("unimplemented", "!"),
        concat!("for ", "now"),
    ];
    let mut faults = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        for word in words {
            if source.text.contains(word) {
                faults.push(format!("{}: {word}", source.path.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_dependency_is_used() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("a manifest");
    let behind = |start: &str| manifest.split(start).nth(1).expect("a section").to_owned();
    let sections = [
        behind("\n[dependencies]\n"),
        behind("\n[dev-dependencies]\n"),
    ];
    let all = [sources("src"), sources("tests"), sources("packaging")].concat();
    let mut unused = Vec::new();
    for section in &sections {
        let lines = section.lines().take_while(|line| !line.starts_with('['));
        for name in lines.filter_map(|line| Some(line.split_once(" = ")?.0)) {
            let path = format!("{}::", name.replace('-', "_"));
            if !all.iter().any(|source| source.text.contains(&path)) {
                unused.push(name);
            }
        }
    }
    assert!(unused.is_empty(), "{}", unused.join("\n"));
}

#[test]
fn bollard_rcgen_and_askama_stay_with_their_owners() {
    let mut faults = Vec::new();
    for source in sources("src") {
        let path = source.path.to_string_lossy().into_owned();
        for (name, owners) in [
            ("bollard::", &["src/docker/"][..]),
            ("rcgen::", &["src/pki/"]),
            (
                "askama::",
                &["src/cli/workshop/", "src/uaa/pages/", "src/web/"],
            ),
        ] {
            let owned = owners.iter().any(|owner| path.starts_with(owner));
            if code(&source.text).contains(name) && !owned {
                faults.push(format!("{path}: {name}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
