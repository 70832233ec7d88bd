//! A static folder becomes a droplet, and the droplet an answering container: real Docker, real
//! buildpack, real registry.
//!
//! The first run on a machine builds the images of the stack, which takes minutes and a network.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cflite::base::{GuidSource, Megabytes, Secret, Supervisor, SystemClock};
use cflite::blobs::{Blobs, Digest};
use cflite::db::{Db, DbError, ReadTx, WriteTx};
use cflite::docker::{ContainerSpec, Engine, LABEL_OWNER, Labels};
use cflite::logs::Logs;
use cflite::packages::Packages;
use cflite::registry::{Registry, Settings as RegistrySettings};
use cflite::staging::images::{self, Images};
use cflite::staging::{
    BuildpackChoice, BuildpackSource, Builds, Lifecycle, PackageStaging, PendingBuilds, Settings,
    Staged, Staging, StagingFailure, StagingParts, StagingRequest, droplet_repository,
    staging_network,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::bench::daemon;
use crate::cnb::zip_of;

type Answer = Result<Staged, StagingFailure>;

/// One build and its end.
struct OneBuild {
    request: Mutex<Option<PackageStaging>>,
    answer: watch::Sender<Option<Answer>>,
}

impl OneBuild {
    fn answer(&self, answer: Answer) {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.answer.send_replace(Some(answer));
    }
}

impl Builds for OneBuild {
    fn pending(&self, _tx: &ReadTx<'_>) -> Result<PendingBuilds, DbError> {
        let request = self.request.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(PendingBuilds {
            requests: request
                .iter()
                .cloned()
                .map(StagingRequest::Package)
                .collect(),
            unreadable: Vec::new(),
        })
    }

    fn staged(&self, _tx: &WriteTx<'_>, staged: &Staged) -> Result<bool, DbError> {
        self.answer(Ok(staged.clone()));
        Ok(true)
    }

    fn failed(&self, _tx: &WriteTx<'_>, failure: &StagingFailure) -> Result<(), DbError> {
        self.answer(Err(failure.clone()));
        Ok(())
    }
}

struct Platform {
    _folder: tempfile::TempDir,
    id: String,
    db: Db,
    blobs: Blobs,
    engine: Arc<dyn Engine>,
    registry: Registry,
    logs: Logs,
    images: Images,
    supervisor: Supervisor,
}

impl Platform {
    async fn start(engine: Arc<dyn Engine>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::open(&folder.path().join("db")).expect("a database");
        let clock = Arc::new(SystemClock);
        let blobs = Blobs::open(&folder.path().join("blobs"), db.clone(), clock.clone());
        let blobs = blobs.expect("a store");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let settings = RegistrySettings {
            port: listener.local_addr().expect("an address").port(),
            token: Secret::new("token".to_owned()),
            anonymous_pull: false,
            names: Vec::new(),
            upstreams: std::collections::BTreeMap::new(),
            upstream: cflite::registry::upstream::Settings::default(),
            cache_limit: cflite::base::Live::new(u64::MAX),
        };
        let registry = Registry::new(blobs.clone(), db.clone(), clock.clone(), settings);
        let supervisor = Supervisor::new();
        let (serving, token) = (registry.clone(), supervisor.token());
        supervisor.once(async move {
            serving
                .serve(listener, token)
                .await
                .expect("the registry serves");
        });
        let logs = Logs::open(db.clone(), clock).await.expect("logs");
        logs.start(&supervisor);
        let id = GuidSource::random().next();
        Self {
            _folder: folder,
            db,
            blobs,
            images: Images::new(
                engine.clone(),
                registry.clone(),
                images::Settings {
                    platform_id: &id,
                    offline: false,
                    authorities: Vec::new(),
                    held: images::HELD.into(),
                },
            ),
            id,
            engine,
            registry,
            logs,
            supervisor,
        }
    }

    /// Stages to the end; tells how long it took.
    async fn stage(&self, request: PackageStaging) -> (Answer, Duration) {
        let builds = Arc::new(OneBuild {
            request: Mutex::new(Some(request)),
            answer: watch::Sender::new(None),
        });
        let mut answer = builds.answer.subscribe();
        let supervisor = Supervisor::new();
        let begin = tokio::time::Instant::now();
        Staging::new(StagingParts {
            db: self.db.clone(),
            blobs: self.blobs.clone(),
            engine: self.engine.clone(),
            registry: self.registry.clone(),
            packages: Packages::new(
                self.blobs.clone(),
                self.db.clone(),
                Arc::new(SystemClock),
                cflite::packages::Settings::new(0),
            ),
            logs: self.logs.clone(),
            builds,
            images: self.images.clone(),
            settings: Settings::new(&self.id, [127, 0, 0, 1].into()),
        })
        .start(&supervisor);
        let found = answer
            .wait_for(Option::is_some)
            .await
            .expect("an answer")
            .clone();
        let took = begin.elapsed();
        assert!(supervisor.shut_down(Duration::from_secs(20)).await);
        (found.expect("an answer"), took)
    }

    fn labels(&self) -> Labels {
        [(LABEL_OWNER.to_owned(), self.id.clone())].into()
    }
}

fn site() -> Vec<u8> {
    zip_of(&[("Staticfile", ""), ("index.html", "<h1>hello</h1>")])
}

fn request(package: Digest, build: &str) -> PackageStaging {
    let choices = ["ruby", "nodejs", "python", "staticfile", "binary"];
    PackageStaging {
        build_guid: build.into(),
        app_guid: "app".into(),
        droplet_guid: format!("droplet-{build}").into(),
        package,
        lifecycle: Lifecycle::Buildpack,
        buildpacks: choices
            .map(|folder| BuildpackChoice {
                name: format!("{folder}_buildpack"),
                source: BuildpackSource::BuiltIn(folder.into()),
            })
            .to_vec(),
        skip_detect: false,
        stack: "cflinuxfs4".into(),
        environment: vec![("VCAP_SERVICES".into(), "{}".into())],
        memory: Megabytes(1024),
        disk: Megabytes(4096),
        log_rate_limit: -1,
        cache: None,
        timeout: Duration::from_secs(300),
    }
}

/// The body of `GET /`, asked until somebody listens.
async fn ask(address: std::net::SocketAddr) -> String {
    for _ in 0..200 {
        let asked = async {
            let mut stream = TcpStream::connect(address).await?;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
                .await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        if let Ok(answer) = asked.await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody listens on {address}");
}

async fn journey(platform: &Platform) {
    let package = platform.blobs.put_bytes(site()).await.expect("stored");
    let silent = tokio::sync::mpsc::unbounded_channel().0;
    let stack = platform
        .images
        .ready("cflinuxfs4", &silent)
        .await
        .expect("the stack");

    let build = GuidSource::random();
    let (answer, first) = platform
        .stage(request(package.digest.clone(), &build.next()))
        .await;
    let staged = answer.expect("a droplet");
    assert_eq!(staged.process_types["web"], "$HOME/boot.sh");
    assert_eq!(staged.buildpacks[0].name, "staticfile_buildpack");
    let left = platform
        .engine
        .list(&platform.labels())
        .await
        .expect("listed");
    assert!(left.is_empty(), "{left:?}");

    let mut again = request(package.digest, &build.next());
    again.cache = staged.cache.as_ref().map(|cache| cache.digest.clone());
    let (answer, second) = platform.stage(again).await;
    answer.expect("a droplet with the cache of the first");
    tell_times(first, second);
    assert!(
        first.min(second) < Duration::from_secs(30),
        "{first:?} {second:?}"
    );

    let repository = droplet_repository(&staged.droplet_guid);
    let image = platform
        .registry
        .reference(&repository, &staged.image_digest);
    let auth = Some(platform.registry.auth());
    let silent = tokio::sync::mpsc::unbounded_channel().0;
    platform
        .engine
        .pull(&image, auth, silent)
        .await
        .expect("pulled");
    let answer = serve(platform, &image).await;
    assert!(answer.contains("<h1>hello</h1>"), "{answer}");
    let base = platform
        .registry
        .reference("cflite/cflinuxfs4", &stack.base);
    for image in [image, base] {
        platform.engine.remove_image(&image).await.expect("removed");
    }
}

/// What a release's notes say of speed is read here.
#[expect(
    clippy::print_stderr,
    reason = "a measurement for whoever runs the test"
)]
fn tell_times(first: Duration, second: Duration) {
    eprintln!("staged a static site in {first:?}, with its cache in {second:?}");
}

/// Starts the droplet and asks it for its page.
async fn serve(platform: &Platform, image: &str) -> String {
    let environment = [
        ("PORT", "8080"),
        ("HOME", "/home/vcap"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ];
    let spec = ContainerSpec {
        name: format!("cflite-staging-test-{}", platform.id),
        image: image.to_owned(),
        command: ["/tmp/lifecycle/launcher", "app", "", ""]
            .map(str::to_owned)
            .to_vec(),
        environment: environment
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .to_vec(),
        labels: platform.labels(),
        memory: Some(Megabytes(128)),
        ports: vec![8080],
        ..ContainerSpec::default()
    };
    let id = platform.engine.create(&spec).await.expect("created");
    let lifecycle = cflite::docker::Upload {
        folder: "/".into(),
        tar: Box::pin(std::io::Cursor::new(cflite::staging::lifecycle_files())),
    };
    platform
        .engine
        .upload(&id, lifecycle)
        .await
        .expect("uploaded");
    platform.engine.start(&id).await.expect("started");
    let running = platform
        .engine
        .inspect(&id)
        .await
        .expect("inspected")
        .expect("there");
    let answer = ask(running.address(8080).expect("an address")).await;
    platform.engine.remove(&id).await.expect("removed");
    answer
}

#[tokio::test]
async fn a_static_folder_is_staged_and_answers() {
    use futures_util::FutureExt;
    let Some(engine) = daemon().await else { return };
    let platform = Platform::start(Arc::new(engine)).await;
    let result = std::panic::AssertUnwindSafe(journey(&platform))
        .catch_unwind()
        .await;
    for left in platform
        .engine
        .list(&platform.labels())
        .await
        .unwrap_or_default()
    {
        drop(platform.engine.remove(&left.id).await);
    }
    drop(images::unmark(&*platform.engine, &platform.id).await);
    let network = staging_network(&platform.id, false);
    drop(platform.engine.remove_network(&network.name).await);
    assert!(platform.supervisor.shut_down(Duration::from_secs(20)).await);
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}
