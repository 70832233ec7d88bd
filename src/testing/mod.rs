//! For tests: a whole platform in this process with a temporary data dir and Docker in memory, and
//! an HTTP client for it.

mod client;
mod snapshot;
mod stack;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};

pub use client::{Answer, TestClient};

use crate::base::{Clock, GuidSource, SystemClock};
use crate::config::Options;
use crate::data_services::ensure_credentials;
use crate::db::{DbError, Vault};
use crate::docker::{Engine, FakeEngine};
use crate::net::inherited::Inherited;
use crate::platform::{self, DataDirLock, Parts, Platform, prepare_data_dir};
use crate::scheduler::fake::FakeProbe;
use crate::snapshots::Name;

/// The admin's password of every [`TestApp`].
const PASSWORD: &str = "only-for-tests";

/// A running platform.
pub struct TestApp {
    platform: Platform,
    engine: Arc<FakeEngine>,
    data_services: bool,
    // Removed last.
    data_dir: tempfile::TempDir,
}

impl TestApp {
    /// Starts one on free ports.
    pub async fn start() -> anyhow::Result<Self> {
        let data_dir = tempfile::tempdir()?;
        copy(first_boot().await?, data_dir.path())?;
        Self::start_on(data_dir, Options::default()).await
    }

    /// Starts one on files that are there.
    pub async fn start_on(data_dir: tempfile::TempDir, options: Options) -> anyhow::Result<Self> {
        let engine = Arc::new(FakeEngine::new(Arc::new(SystemClock)));
        let platform = start(data_dir.path(), engine.clone(), options).await?;
        Ok(Self {
            platform,
            engine,
            data_dir,
            data_services: false,
        })
    }

    /// The same with data services.
    pub async fn with_data_services() -> anyhow::Result<Self> {
        let mut app = Self::with_stack().await?;
        app.data_services = true;
        app.restart().await
    }

    /// Starts one whose Docker has the stack's base image and a builder that creates a droplet of
    /// any app, so that apps can be staged and started.
    pub async fn with_stack() -> anyhow::Result<Self> {
        let app = Self::start().await?;
        stack::prepare(&app.engine);
        Ok(app)
    }

    /// Stops the platform and starts another one on the same data and containers.
    pub async fn restart(self) -> anyhow::Result<Self> {
        let options = Options {
            data_services: Some(self.data_services),
            ..Options::default()
        };
        self.restart_with(options).await
    }

    /// The same with options.
    pub async fn restart_with(self, options: Options) -> anyhow::Result<Self> {
        let (app, ()) = self.restart_after(options, async |_, _| Ok(())).await?;
        Ok(app)
    }

    /// Works on the data dir and with Docker while no platform runs there.
    async fn restart_after<T>(
        self,
        options: Options,
        work: impl AsyncFnOnce(&std::path::Path, &Arc<FakeEngine>) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Self, T)> {
        let Self {
            platform,
            engine,
            data_dir,
            data_services,
        } = self;
        platform.shut_down(Duration::from_secs(5)).await;
        drop(platform);
        let done = work(data_dir.path(), &engine).await?;
        let platform = start(data_dir.path(), engine.clone(), options).await?;
        let app = Self {
            platform,
            engine,
            data_services,
            data_dir,
        };
        Ok((app, done))
    }

    /// Stops the platform, puts it back to a snapshot and starts it again.
    pub async fn rewind(self, name: &str) -> anyhow::Result<Self> {
        let (app, done) = self.try_rewind(name).await?;
        done?;
        Ok(app)
    }

    /// The same, also when it cannot be put back: it is started all the same.
    pub async fn try_rewind(self, name: &str) -> anyhow::Result<(Self, anyhow::Result<()>)> {
        let options = Options {
            data_services: Some(self.data_services),
            ..Options::default()
        };
        let name = Name::parse(name)?;
        let put_back = async |data_dir: &std::path::Path, engine: &Arc<FakeEngine>| {
            let config = Options {
                data_dir: Some(data_dir.to_owned()),
                ..Options::default()
            };
            let stored = platform::snapshots::of_stopped(&config.resolve()?, engine.clone())?;
            let put_back = stored.put_back(&name, &|_| ()).await;
            engine.heal();
            Ok(put_back.map(drop).map_err(Into::into))
        };
        self.restart_after(options, put_back).await
    }

    /// Where the broker of data services answers, and the credentials for it.
    pub async fn broker(&self) -> anyhow::Result<(String, String, String)> {
        let data_dir = self.data_dir.path();
        let database = data_dir.join("cflite.db");
        let vault = Vault::open(&data_dir.join("secret-key"), &database)?;
        let known = self
            .platform
            .db()
            .write(move |tx| ensure_credentials(tx, &vault))
            .await?;
        let credentials = known.credentials;
        Ok((
            format!("{}/cflite/broker", self.url()),
            credentials.username,
            credentials.password.expose().clone(),
        ))
    }

    /// Makes the platform one that commands of this machine find, as long as the result lives.
    pub fn found_by_commands(&self) -> anyhow::Result<DataDirLock> {
        let lock = DataDirLock::take(self.data_dir.path())?;
        self.platform.running().write(self.data_dir.path())?;
        lock.context("another process holds the lock")
    }

    /// The file with the admin's password.
    pub fn password_file(&self) -> std::path::PathBuf {
        self.data_dir.path().join("password")
    }

    /// The platform's files.
    pub fn data_dir(&self) -> &std::path::Path {
        self.data_dir.path()
    }

    /// Docker in memory.
    pub fn engine(&self) -> &FakeEngine {
        &self.engine
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        self.platform.running().local_url()
    }

    /// The port for HTTPS.
    pub fn https_port(&self) -> u16 {
        self.platform.running().https_port
    }

    /// `http://127.0.0.1:PORT` of its image registry.
    pub fn registry_url(&self) -> String {
        let running = self.platform.running();
        format!("http://127.0.0.1:{}", running.registry_port)
    }

    /// Where it takes SSH connections; `None` when it takes none.
    pub fn ssh_address(&self) -> Option<(std::net::IpAddr, u16)> {
        let running = self.platform.running();
        running.ssh_port.map(|port| (running.bind, port))
    }

    /// Where its DNS server answers this machine.
    pub fn dns_address(&self) -> Option<std::net::SocketAddr> {
        let running = self.platform.running();
        let port = running.dns_port?;
        Some((running.bind, port).into())
    }

    /// A client without a token.
    pub fn anonymous(&self) -> TestClient {
        TestClient::new(self.url(), None)
    }

    /// A client signed in as admin.
    pub async fn admin(&self) -> anyhow::Result<TestClient> {
        self.sign_in("admin", PASSWORD).await
    }

    /// Creates a user without roles and signs in.
    pub async fn user(&self, name: &str) -> anyhow::Result<TestClient> {
        let body = json!({
            "userName": name,
            "password": PASSWORD,
            "emails": [{ "value": name, "primary": true }],
        });
        let made = self.admin().await?.post("/Users", &body).await?;
        anyhow::ensure!(made.status == 201, "cannot create user {name}: {made:?}");
        let guid = made.text("/id").to_owned();
        let entered = self
            .admin()
            .await?
            .post("/v3/users", &json!({ "guid": guid }))
            .await?;
        anyhow::ensure!(
            entered.status == 201,
            "cannot register user {name}: {entered:?}"
        );
        self.sign_in(name, PASSWORD).await
    }

    /// A hash of every table's rows, without tables that workers write in the background.
    pub async fn snapshot(&self) -> anyhow::Result<std::collections::BTreeMap<String, u64>> {
        Ok(snapshot::take(self.platform.db()).await?)
    }

    /// The texts of all statements that database connections cached.
    pub fn statement_texts(&self) -> std::collections::BTreeSet<String> {
        self.platform.db().statement_texts()
    }

    /// Writes rows that no request creates.
    pub async fn sql(&self, statements: &'static str) -> anyhow::Result<()> {
        self.platform
            .db()
            .write(move |tx| -> Result<(), DbError> { Ok(tx.sql().execute_batch(statements)?) })
            .await?;
        Ok(())
    }

    /// The number that a query returns.
    pub async fn count(&self, query: &'static str) -> anyhow::Result<i64> {
        let read = self.platform.db().read(move |tx| -> Result<i64, DbError> {
            Ok(tx.sql().query_row(query, [], |row| row.get(0))?)
        });
        Ok(read.await?)
    }

    /// Creates a user in one of UAA's groups, such as `cloud_controller.global_auditor`, and signs
    /// in with its scope.
    pub async fn in_group(&self, name: &str, group: &str) -> anyhow::Result<TestClient> {
        self.user(name).await?;
        let admin = self.admin().await?;
        let guid = |kind: &str, attribute: &str, value: &str| {
            let filter = format!("{attribute}+eq+%22{value}%22");
            let (path, admin) = (format!("/{kind}?filter={filter}"), admin.clone());
            async move {
                let found = admin.get(&path).await?;
                anyhow::Ok(found.text("/resources/0/id").to_owned())
            }
        };
        let user = guid("Users", "userName", name).await?;
        let path = format!(
            "/Groups/{}/members",
            guid("Groups", "displayName", group).await?
        );
        let body = json!({ "value": user, "type": "USER", "origin": "uaa" });
        let added = admin.post(&path, &body).await?;
        anyhow::ensure!(added.status == 201, "cannot add to {group}: {added:?}");
        self.sign_in(name, PASSWORD).await
    }

    /// Creates a user with one role and signs in; a role in a space includes membership of the
    /// organization.
    pub async fn member(
        &self,
        (name, role): (&str, &str),
        (organization, space): (&str, &str),
    ) -> anyhow::Result<TestClient> {
        let client = self.user(name).await?;
        let admin = self.admin().await?;
        let mut roles = vec![("organization_user", "organization", organization)];
        if role.starts_with("space_") {
            roles.push((role, "space", space));
        } else {
            roles = vec![(role, "organization", organization)];
        }
        for (role, scope, guid) in roles {
            let mut relationships = related(scope, guid);
            relationships["user"] = json!({ "data": { "username": name } });
            let body = json!({ "type": role, "relationships": relationships });
            let given = admin.post("/v3/roles", &body).await?;
            anyhow::ensure!(given.status == 201, "cannot assign {role}: {given:?}");
        }
        Ok(client)
    }

    /// Creates a staged droplet with these process types and makes it the app's current one.
    pub async fn droplet(
        &self,
        client: &TestClient,
        app: &str,
        types: Value,
    ) -> anyhow::Result<String> {
        let (guid, owner) = (GuidSource::random().next(), app.to_owned());
        let row = (
            guid.clone(),
            owner,
            types.to_string(),
            format!("sha256:{}", "a".repeat(64)),
        );
        self.platform
            .db()
            .write(move |tx| -> Result<(), DbError> {
                tx.sql().execute(
                    "insert into droplets (guid, app_guid, state, lifecycle_type, process_types, image_digest, \
                     created_at, updated_at) values (?1, ?2, 'STAGED', 'buildpack', ?3, ?4, 0, 0)",
                    row,
                )?;
                Ok(())
            })
            .await?;
        let path = format!("/v3/apps/{app}/relationships/current_droplet");
        let assigned = client
            .patch(&path, &json!({ "data": { "guid": guid } }))
            .await?;
        anyhow::ensure!(assigned.status == 200, "cannot assign: {assigned:?}");
        Ok(guid)
    }

    async fn sign_in(&self, name: &str, password: &str) -> anyhow::Result<TestClient> {
        let client = self.anonymous();
        let token = client.access_token(name, password).await?;
        Ok(client.with_token(&token))
    }
}

/// A data dir after the first boot. Generating keys takes seconds in an unoptimised build, so all
/// tests of a process share one.
async fn first_boot() -> anyhow::Result<&'static std::path::Path> {
    static BOOTED: tokio::sync::OnceCell<tempfile::TempDir> = tokio::sync::OnceCell::const_new();
    let booted = BOOTED.get_or_try_init(|| async {
        let data_dir = tempfile::tempdir()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let platform = start(
            data_dir.path(),
            Arc::new(FakeEngine::new(clock)),
            Options::default(),
        )
        .await?;
        platform.shut_down(Duration::from_secs(5)).await;
        anyhow::Ok(data_dir)
    });
    Ok(booted.await?.path())
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

async fn start(
    data_dir: &std::path::Path,
    engine: Arc<FakeEngine>,
    options: Options,
) -> anyhow::Result<Platform> {
    prepare_data_dir(data_dir)?;
    let password = data_dir.join("password");
    std::fs::write(&password, PASSWORD)?;
    let options = Options {
        data_dir: Some(data_dir.to_owned()),
        http_port: Some(0),
        https_port: Some(0),
        ssh_port: Some(0),
        dns_port: Some(0),
        registry_port: Some(0),
        admin_password_file: Some(password),
        data_services: options.data_services.or(Some(false)),
        // The daemon in memory has little.
        memory_capacity: options.memory_capacity.or(Some("10000%".to_owned())),
        ca_certificates: options
            .ca_certificates
            .or(Some(data_dir.join("authorities"))),
        ..options
    };
    let engine: Arc<dyn Engine> = engine;
    Platform::start(Parts {
        config: options.resolve()?,
        engine,
        clock: Arc::new(SystemClock),
        guids: GuidSource::random(),
        probe: Arc::new(FakeProbe::default()),
        threads: 1,
        inherited: Inherited::default(),
    })
    .await
}

/// An organization and a space in it.
pub async fn organization_and_space(
    client: &TestClient,
    name: &str,
) -> anyhow::Result<(String, String)> {
    let organization = client
        .post("/v3/organizations", &json!({ "name": name }))
        .await?;
    let organization = organization.text("/guid").to_owned();
    let body = json!({ "name": "dev", "relationships": related("organization", &organization) });
    let space = client.post("/v3/spaces", &body).await?;
    Ok((organization, space.text("/guid").to_owned()))
}

/// An app in a space.
pub async fn app_in_space(client: &TestClient, space: &str, name: &str) -> anyhow::Result<String> {
    let body = json!({ "name": name, "relationships": related("space", space) });
    let made = client.post("/v3/apps", &body).await?;
    anyhow::ensure!(made.status == 201, "cannot create app {name}: {made:?}");
    Ok(made.text("/guid").to_owned())
}

/// `{"name": {"data": {"guid": …}}}`.
pub fn related(name: &str, guid: &str) -> Value {
    json!({ name: { "data": { "guid": guid } } })
}
