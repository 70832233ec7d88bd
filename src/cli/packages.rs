//! `cflite packages list`, `gc` and `prefetch`.

use std::process::ExitCode;

use serde::Deserialize;
use serde_json::{Value, json};

use super::registry_client::Client;
use super::{Session, block_on, show};
use crate::base::Timestamp;
use crate::packages::Evicted;

/// The long help of `prefetch`.
const LONG_PREFETCH: &str = "\
Fetch packages now, so that builds find them without a network

A package is named by its registry: pypi:flask, pypi:flask==3.1.0, npm:express@5, go:rsc.io/quote@v1.5.2, \
maven:GROUP:ARTIFACT:VERSION[:CLASSIFIER][@TYPE], rubygems:rack, composer:VENDOR/NAME or debian:PATH. This fetches the \
index of the package and the files of that or its newest version that a build on Linux with x86-64 would take, but not \
the packages that it depends on: staging an app once with a network keeps all that it needs.";

/// What to do with the package cache.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Arguments {
    /// Show the packages that are here: what builds and prefetch got from the public registries
    List,
    /// Remove packages beyond the limit of the cache, those first that nobody used for the longest
    /// time
    Gc {
        /// Show what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Fetch packages now, so that builds find them without a network
    #[command(long_about = LONG_PREFETCH)]
    Prefetch {
        /// The packages, such as pypi:flask or npm:express@5
        #[arg(required = true, value_name = "REGISTRY:NAME")]
        packages: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Holdings {
    packages: Vec<Package>,
    cache_bytes: u64,
    cache_limit: u64,
}

#[derive(Deserialize)]
struct Package {
    registry: String,
    name: String,
    path: String,
    variant: String,
    size: u64,
    used_at: Timestamp,
}

pub(super) fn run(session: Session, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let as_json = session.json;
    let client = Client::of_running(&session.options.resolve()?, "packages")?;
    match arguments {
        Arguments::List => list(&client, as_json),
        Arguments::Gc { dry_run } => client.collect(*dry_run, as_json, |copy: &Evicted| {
            let size = show::bytes(copy.size);
            format!("{}/{} ({size})", copy.registry, copy.path)
        }),
        Arguments::Prefetch { packages } => Ok(prefetch(&client, packages, as_json)),
    }
}

fn list(client: &Client, as_json: bool) -> anyhow::Result<ExitCode> {
    let found = client.list()?;
    if as_json {
        show::json(&found);
        return Ok(ExitCode::SUCCESS);
    }
    let holdings: Holdings = serde_json::from_value(found)?;
    if holdings.cache_limit == 0 {
        show::note("The package cache is switched off: the option package-cache is 0.");
        return Ok(ExitCode::SUCCESS);
    }
    if holdings.packages.is_empty() {
        show::note("The package cache is empty.");
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = holdings.packages.iter().map(row).collect();
    show::table(
        &["registry", "name", "version", "file", "size", "used"],
        &rows,
    );
    show::line("");
    show::line(&format!(
        "Packages: {} of at most {}",
        show::bytes(holdings.cache_bytes),
        show::bytes(holdings.cache_limit)
    ));
    Ok(ExitCode::SUCCESS)
}

fn row(package: &Package) -> Vec<String> {
    let (name, version) = name_and_version(&package.registry, &package.name);
    let file = package.path.rsplit('/').next().unwrap_or(&package.path);
    vec![
        package.registry.clone(),
        name.to_owned(),
        version.to_owned(),
        match package.variant.as_str() {
            "" => file.to_owned(),
            variant => format!("{file} ({variant} index)"),
        },
        show::bytes(package.size),
        package.used_at.to_string(),
    ]
}

/// Name and version as a registry writes them; an index has no version.
fn name_and_version<'a>(registry: &str, name: &'a str) -> (&'a str, &'a str) {
    let split = match registry {
        "pypi" => name.split_once("=="),
        "maven" => {
            let second = name.match_indices(':').nth(1);
            second.map(|(at, _)| (&name[..at], &name[at + 1..]))
        }
        "debian" => None,
        // The first @ may begin a scope.
        _ => name
            .rsplit_once('@')
            .filter(|(before, _)| !before.is_empty()),
    };
    split.unwrap_or((name, ""))
}

fn prefetch(client: &Client, packages: &[String], as_json: bool) -> ExitCode {
    let one = |name: &String| {
        let body = json!({ "name": name });
        let fetch = |step: &show::Step| {
            block_on(client.long("/prefetch", &body, |text| step.progress(text)))
        };
        show::each(name, fetch, |done| {
            let files = done["files"].as_array().map_or(0, Vec::len);
            let size = show::bytes(done["size"].as_u64().unwrap_or(0));
            let name = done["name"].as_str().unwrap_or(name);
            let files = if files == 1 {
                "1 file".to_owned()
            } else {
                format!("{files} files")
            };
            format!("{name}, {files}, {size}")
        })
    };
    let fetched: Vec<Result<Value, String>> = packages.iter().map(one).collect();
    show::fetched("name", packages, fetched, as_json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_a_column_of_their_own() {
        for (registry, name, expected) in [
            ("pypi", "flask==3.1.0", ("flask", "3.1.0")),
            ("npm", "@types/node@20.1.0", ("@types/node", "20.1.0")),
            ("npm", "@types/node", ("@types/node", "")),
            ("maven", "a.b:c:1.0", ("a.b:c", "1.0")),
            ("maven", "a.b:c", ("a.b:c", "")),
            ("debian", "pool/a/b@c.deb", ("pool/a/b@c.deb", "")),
        ] {
            assert_eq!(name_and_version(registry, name), expected, "{name}");
        }
    }
}
