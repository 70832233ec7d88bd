//! A platform in memory around the worker.

use std::sync::{Arc, Mutex, PoisonError};

use crate::base::{GuidSource, Live, Secret, Supervisor, SystemClock};
use crate::blobs::Blobs;
use crate::db::Db;
use crate::docker::{Engine, FakeEngine};
use crate::logs::{Logs, Query};
use crate::packages::{self, Packages};
use crate::registry::Registry;
use crate::staging::images::{self, Images, LABEL_RECIPE};
use crate::staging::*;

/// The rows of builds, in memory.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) pending: Mutex<Vec<PackageStaging>>,
    pub(super) staged: Mutex<Vec<Staged>>,
    pub(super) failed: Mutex<Vec<StagingFailure>>,
    /// Errors of the next reads.
    pub(super) faults: Mutex<Vec<DbError>>,
    pub(super) unreadable: Mutex<Vec<(BuildGuid, String)>>,
    /// Successes are rejected as too late.
    pub(super) unwanted: Mutex<bool>,
    /// Number of reads so far.
    pub(super) reads: Mutex<u32>,
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rows {
    pub(super) fn finish(&self, guid: &BuildGuid) {
        locked(&self.pending).retain(|request| request.build_guid != *guid);
        locked(&self.unreadable).retain(|(build, _)| build != guid);
    }
}

impl Builds for Rows {
    fn pending(&self, _tx: &ReadTx<'_>) -> Result<PendingBuilds, DbError> {
        *locked(&self.reads) += 1;
        if let Some(fault) = locked(&self.faults).pop() {
            return Err(fault);
        }
        Ok(PendingBuilds {
            requests: locked(&self.pending)
                .iter()
                .cloned()
                .map(StagingRequest::Package)
                .collect(),
            unreadable: locked(&self.unreadable).clone(),
        })
    }

    fn staged(&self, _tx: &WriteTx<'_>, staged: &Staged) -> Result<bool, DbError> {
        let wanted = !*locked(&self.unwanted);
        self.finish(&staged.build_guid);
        if wanted {
            locked(&self.staged).push(staged.clone());
        }
        Ok(wanted)
    }

    fn failed(&self, _tx: &WriteTx<'_>, failure: &StagingFailure) -> Result<(), DbError> {
        self.finish(&failure.build_guid);
        locked(&self.failed).push(failure.clone());
        Ok(())
    }
}

pub(super) struct Bench {
    _folder: tempfile::TempDir,
    pub(super) db: Db,
    pub(super) blobs: Blobs,
    pub(super) engine: FakeEngine,
    pub(super) registry: Registry,
    pub(super) logs: Logs,
    pub(super) rows: Arc<Rows>,
    pub(super) images: Images,
    pub(super) supervisor: Supervisor,
}

impl Bench {
    pub(super) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let clock = Arc::new(SystemClock);
        let blobs = Blobs::open(&folder.path().join("blobs"), db.clone(), clock.clone());
        let blobs = blobs.expect("a store");
        let settings = crate::registry::Settings {
            port: 5000,
            token: Secret::new("token".to_owned()),
            anonymous_pull: false,
            names: Vec::new(),
            upstreams: BTreeMap::new(),
            upstream: crate::registry::upstream::Settings::default(),
            cache_limit: Live::new(u64::MAX),
        };
        let registry = Registry::new(blobs.clone(), db.clone(), clock.clone(), settings);
        let engine = FakeEngine::new(clock.clone());
        let images = Images::new(
            Arc::new(engine.clone()),
            registry.clone(),
            images::Settings {
                platform_id: "here",
                offline: false,
                authorities: Vec::new(),
                held: folder.path().join("stack"),
            },
        );
        let logs = Logs::open(db.clone(), clock).await.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        let bench = Self {
            _folder: folder,
            db,
            blobs,
            engine,
            registry,
            logs,
            rows: Arc::default(),
            images,
            supervisor,
        };
        bench.build_stack().await;
        bench
    }

    /// Builds the stack as its first use does.
    pub(super) async fn build_stack(&self) {
        self.engine.offer("debian:bookworm-slim");
        let silent = tokio::sync::mpsc::unbounded_channel().0;
        let machine = images::Machine {
            offline: false,
            authorities: &[],
        };
        images::build_all(&self.engine, machine, &silent)
            .await
            .expect("built");
        let run = images::list(&self.engine).await.expect("listed");
        let run = run
            .iter()
            .find(|listed| listed.role == "run")
            .expect("a run image");
        let (repository, tag) = run.reference.split_once(':').expect("a tag");
        let saved = self.engine.save(&run.reference).await.expect("saved");
        let digest = self.registry.import_saved(repository, tag, saved).await;
        let digest = digest.expect("imported");
        self.engine
            .offer(&self.registry.reference(repository, &digest));
        let image = self
            .engine
            .image(&run.reference)
            .await
            .expect("asked")
            .expect("there");
        assert!(image.labels.contains_key(LABEL_RECIPE));
    }

    pub(super) fn staging(&self) -> Staging {
        let mut settings = Settings::new("platform-1", [10, 0, 0, 1].into());
        settings.concurrency = 2;
        Staging::new(StagingParts {
            db: self.db.clone(),
            blobs: self.blobs.clone(),
            engine: Arc::new(self.engine.clone()),
            registry: self.registry.clone(),
            packages: Packages::new(
                self.blobs.clone(),
                self.db.clone(),
                Arc::new(SystemClock),
                packages::Settings::new(1 << 30),
            ),
            logs: self.logs.clone(),
            builds: self.rows.clone(),
            images: self.images.clone(),
            settings,
        })
    }

    pub(super) async fn request(&self, guid: &str) -> PackageStaging {
        let package = self.blobs.put_bytes("a zip").await.expect("stored");
        PackageStaging {
            build_guid: guid.into(),
            app_guid: "app-1".into(),
            droplet_guid: DropletGuid::generate(&GuidSource::random()),
            package: package.digest,
            lifecycle: Lifecycle::Buildpack,
            buildpacks: vec![BuildpackChoice {
                name: "staticfile_buildpack".into(),
                source: BuildpackSource::BuiltIn("staticfile".into()),
            }],
            skip_detect: false,
            stack: "cflinuxfs4".into(),
            environment: vec![
                ("SECRET".into(), "hush".into()),
                ("LANG".into(), "C".into()),
            ],
            memory: Megabytes(1024),
            disk: Megabytes(1024),
            log_rate_limit: -1,
            cache: None,
            timeout: Duration::from_secs(900),
        }
    }

    /// Stages one request to its end.
    pub(super) async fn stage(&self, request: PackageStaging) {
        locked(&self.rows.pending).push(request);
        self.staging().start(&self.supervisor);
        self.settled().await;
    }

    /// Returns when no build is pending and no container is left.
    pub(super) async fn settled(&self) {
        let settled = async {
            while !locked(&self.rows.pending).is_empty()
                || !self.engine.container_names().is_empty()
            {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), settled)
            .await
            .expect("an end");
    }

    pub(super) fn failure(&self) -> String {
        let failed = locked(&self.rows.failed);
        assert_eq!(failed.len(), 1, "{:?}", locked(&self.rows.staged));
        format!("{} - {}", failed[0].error_id, failed[0].message)
    }

    pub(super) async fn lines(&self) -> Vec<String> {
        // Shut down first, so that all lines are written.
        assert!(self.supervisor.shut_down(Duration::from_secs(5)).await);
        self.lines_of("app-1").await
    }

    /// The log of an app; all its lines are written.
    pub(super) async fn lines_of(&self, app: &str) -> Vec<String> {
        let query = Query {
            limit: 1000,
            ..Query::default()
        };
        let read = self.logs.read(app, query).await.expect("lines");
        let mut lines = Vec::new();
        for envelope in read {
            if let crate::logs::Message::Log { payload, .. } = &envelope.message {
                lines.push(String::from_utf8_lossy(payload).into_owned());
            }
        }
        lines
    }
}
