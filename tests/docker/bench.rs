//! One engine to run the contract on, and the removal of all that was made.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cflite::base::{Clock, GuidSource, Timestamp};
use cflite::docker::{
    Behaviour, BollardEngine, ContainerSpec, DEFAULT_HOST, Engine, FakeEngine, LABEL_OWNER, Labels,
    trust,
};
use cflite::staging::images;
use futures_util::FutureExt;
use tokio::sync::OnceCell;

/// What the engine in memory has.
const IMAGE: &str = "cflite/cflinuxfs4:run-test";

pub(crate) struct Bench {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) image: String,
    fake: Option<FakeEngine>,
    run: String,
}

/// A clock that runs with Tokio's, so that a paused one moves it too.
struct TokioClock(tokio::time::Instant);

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(self.0.elapsed())
    }
}

/// The daemon for tests, or `None` when tests may go without and there is none.
pub(crate) async fn daemon() -> Option<BollardEngine> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| DEFAULT_HOST.to_owned());
    let engine = BollardEngine::new(&host);
    match engine.info().await {
        Ok(_) => Some(engine),
        Err(error) if std::env::var_os("CFLITE_TEST_WITHOUT_DOCKER").is_some() => {
            skip(&error.to_string());
            None
        }
        Err(error) => panic!("{error}; set CFLITE_TEST_WITHOUT_DOCKER to go without a daemon"),
    }
}

/// An image with a shell: the one `CFLITE_TEST_IMAGE` names, else the stack's run image, which is
/// built where it is missing. One test does so and the others wait.
pub(crate) async fn test_image(engine: &dyn Engine) -> String {
    static FOUND: OnceCell<String> = OnceCell::const_new();
    let find = || async {
        if let Ok(named) = std::env::var("CFLITE_TEST_IMAGE") {
            return named;
        }
        let silent = tokio::sync::mpsc::unbounded_channel().0;
        let own = trust::authorities(Path::new("/usr/local/share/ca-certificates"));
        let machine = images::Machine {
            offline: false,
            authorities: &own,
        };
        images::build_all(engine, machine, &silent)
            .await
            .expect("the images of the stack");
        let listed = images::list(engine).await.expect("images");
        let run = listed
            .into_iter()
            .find(|image| image.current && image.role == "run");
        run.expect("the run image").reference
    };
    FOUND.get_or_init(find).await.clone()
}

/// Says in one line why a test did not run.
#[expect(clippy::print_stderr, reason = "the reader of a test run has to know")]
pub(crate) fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

impl Bench {
    pub(crate) fn fake() -> Self {
        let fake = FakeEngine::new(Arc::new(TokioClock(tokio::time::Instant::now())));
        fake.add_image(IMAGE);
        Self {
            engine: Arc::new(fake.clone()),
            image: IMAGE.to_owned(),
            fake: Some(fake),
            run: "fake".to_owned(),
        }
    }

    pub(crate) async fn real() -> Option<Self> {
        let engine = daemon().await?;
        Some(Self {
            image: test_image(&engine).await,
            engine: Arc::new(engine),
            fake: None,
            run: GuidSource::random().next(),
        })
    }

    /// Runs a test and removes what it made, whatever came of it.
    pub(crate) async fn run<F: Future<Output = ()>>(self, test: impl FnOnce(Arc<Self>) -> F) {
        let bench = Arc::new(self);
        let result = AssertUnwindSafe(test(bench.clone())).catch_unwind().await;
        bench.clean_up().await;
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }

    async fn clean_up(&self) {
        for container in self.engine.list(&self.labels()).await.unwrap_or_default() {
            drop(self.engine.remove(&container.id).await);
        }
        for image in self.engine.images(&self.labels()).await.unwrap_or_default() {
            for tag in image.tags {
                drop(self.engine.remove_image(&tag).await);
            }
        }
        drop(self.engine.remove_network(&self.name("net")).await);
        let volumes = self.engine.volume_names(&self.name("")).await;
        for volume in volumes.unwrap_or_default() {
            drop(self.engine.remove_volume(&volume).await);
        }
    }

    /// What all that this test makes is labelled with.
    pub(crate) fn labels(&self) -> Labels {
        BTreeMap::from([
            (LABEL_OWNER.to_owned(), format!("contract-{}", self.run)),
            ("cflite.test".to_owned(), "contract".to_owned()),
        ])
    }

    pub(crate) fn name(&self, what: &str) -> String {
        format!("cflite-contract-{}-{what}", self.run)
    }

    /// A container that runs a shell script; on the engine in memory it behaves as told instead.
    pub(crate) fn shell(&self, what: &str, script: &str, behaviour: Behaviour) -> ContainerSpec {
        if let Some(fake) = &self.fake {
            fake.script(script, behaviour);
        }
        ContainerSpec {
            name: self.name(what),
            image: self.image.clone(),
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            labels: self.labels(),
            ..ContainerSpec::default()
        }
    }

    /// What a command answers on the engine in memory, from its input.
    pub(crate) fn program(
        &self,
        part: &str,
        program: impl Fn(&str) -> (i64, String) + Send + Sync + 'static,
    ) {
        if let Some(fake) = &self.fake {
            fake.program(part, program);
        }
    }

    /// Makes and starts one.
    pub(crate) async fn started(&self, what: &str, script: &str, behaviour: Behaviour) -> String {
        let spec = self.shell(what, script, behaviour);
        let id = self.engine.create(&spec).await.expect("created");
        self.engine.start(&id).await.expect("started");
        id
    }
}

/// Ends a test that hangs.
pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .expect("an answer within a minute")
}
