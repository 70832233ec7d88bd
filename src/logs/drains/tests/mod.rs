//! Drains to receivers of every kind.

mod receivers;
mod restart;

use std::sync::Mutex;

use super::*;
use crate::base::clock::ManualClock;
use crate::base::{Supervisor, Timestamp};
use crate::db::{Db, DbError};
use crate::logs::{Limits, Message, Query};
use crate::pki::testing::Authority;
use target::Target;

use receivers::{Received, TcpReceiver, WebReceiver};

const SOON: Duration = Duration::from_secs(30);

/// Drains that a test sets.
#[derive(Clone, Default)]
struct Wanted(Arc<Mutex<Vec<Drain>>>);

#[async_trait]
impl DrainSource for Wanted {
    async fn wanted(&self) -> Result<Vec<Drain>, String> {
        Ok(self.0.lock().expect("the drains").clone())
    }
}

struct World {
    dir: tempfile::TempDir,
    supervisor: Supervisor,
    db: Db,
    logs: Logs,
    wanted: Wanted,
}

impl World {
    async fn start(authority: &str) -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let world = Self::without_drains(dir, Wanted::default(), Limits::default()).await;
        world.start_drains(authority);
        world
    }

    async fn without_drains(dir: tempfile::TempDir, wanted: Wanted, limits: Limits) -> Self {
        let db = Db::open(&dir.path().join("cflite.db")).expect("database");
        let clock = ManualClock::new(Timestamp::from_micros(1_700_000_000_000_000));
        let logs = Logs::open_with(db.clone(), Arc::new(clock), limits).await;
        let logs = logs.expect("logs");
        let supervisor = Supervisor::new();
        logs.start(&supervisor);
        Self {
            dir,
            supervisor,
            db,
            logs,
            wanted,
        }
    }

    fn start_drains(&self, authority: &str) {
        let settings = Settings {
            secret: Secret::new("the secret".to_owned()),
            authority: Secret::new(authority.to_owned()),
            offline: false,
            blocked: vec!["127.0.0.8/31".parse().expect("a network")],
        };
        let wanted = Arc::new(self.wanted.clone());
        Drains::new(self.logs.clone(), wanted, settings).start(&self.supervisor);
    }

    /// The next run over the same data, without drains at first.
    async fn restart(self) -> Self {
        assert!(self.supervisor.shut_down(SOON).await);
        let Self { dir, wanted, .. } = self;
        Self::without_drains(dir, wanted, Limits::default()).await
    }

    /// Ends all drains and starts these, as changes in the database would.
    async fn want(&self, drains: Vec<Drain>) {
        self.set(Vec::new()).await;
        self.set(drains).await;
    }

    /// Starts the drains only now, with these.
    async fn want_later(&self, drains: Vec<Drain>) {
        self.start_drains("");
        self.set(drains).await;
    }

    async fn set(&self, drains: Vec<Drain>) {
        let usable = drains.iter().filter(|one| Target::parse(&one.url).is_ok());
        let count = usable.count();
        *self.wanted.0.lock().expect("the drains") = drains;
        self.db
            .write(|_| Ok::<_, DbError>(()))
            .await
            .expect("a commit");
        let running = async {
            while self.logs.hub().len() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(SOON, running)
            .await
            .expect("the drains run");
    }

    fn line(&self, source_id: &str, text: &str) {
        self.logs.emit(Line {
            source_id,
            source_type: "APP/PROC/WEB",
            instance_id: "0",
            stream: LogStream::Out,
            text,
        });
    }

    async fn lines(&self, numbers: std::ops::Range<usize>) {
        for number in numbers {
            self.line("app", &format!("line {number}"));
            if number % 5000 == 4999 {
                self.logs.flush().await;
            }
        }
        self.logs.flush().await;
    }

    /// Waits for a line of the log system in the app's log.
    async fn told(&self, part: &str) -> String {
        let told = async {
            loop {
                let query = Query {
                    descending: true,
                    limit: 1000,
                    ..Query::default()
                };
                let found = self.logs.read("app", query).await.expect("readable");
                let mut texts = found.iter().filter_map(|envelope| match &envelope.message {
                    Message::Log { payload, .. } if envelope.tags["source_type"] == "LGR" => {
                        Some(String::from_utf8_lossy(payload).into_owned())
                    }
                    _ => None,
                });
                if let Some(text) = texts.find(|text| text.contains(part)) {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let told = tokio::time::timeout(SOON, told).await;
        told.unwrap_or_else(|_| panic!("never told: {part}"))
    }
}

fn drain(url: &str) -> Drain {
    Drain {
        source_id: Some("app".into()),
        url: url.to_owned(),
        tls: Tls::default(),
        hostname: "acme.dev.web".to_owned(),
    }
}

/// The numbers of the lines that came.
async fn numbers(received: &mut Received, count: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let message = received.next().await;
        if let Some((_, number)) = message.trim_end().rsplit_once("] line ") {
            numbers.push(number.parse().expect("a number"));
        }
    }
    numbers
}

#[tokio::test]
async fn lines_of_the_app_arrive_over_tcp_whole_and_in_order() {
    let world = World::start("").await;
    let (address, mut received) = TcpReceiver::start(None).await;
    world
        .want(vec![drain(&format!("syslog://{address}?drain-type=logs"))])
        .await;
    world.line("other", "line 77");
    world.lines(0..2000).await;
    let first = received.next().await;
    assert!(
        first.starts_with(
            "<14>1 2023-11-14T22:13:20+00:00 acme.dev.web app [APP/PROC/WEB/0] - [tags@47450 "
        ),
        "{first}"
    );
    assert!(first.ends_with("] line 0\n"), "{first}");
    assert!(numbers(&mut received, 1999).await.into_iter().eq(1..2000));
    world.want(Vec::new()).await;
    world.lines(2000..2001).await;
    assert!(received.is_quiet().await);
}

#[tokio::test]
async fn a_receiver_that_was_down_gets_everything_that_the_queue_holds() {
    let world = World::start("").await;
    let address = receivers::free_address().await;
    world
        .want(vec![drain(&format!(
            "syslog://u:hunter2@{address}/?p=hunter2"
        ))])
        .await;
    world.lines(0..9000).await;
    let told = world.told("Failed to connect").await;
    assert!(
        told.starts_with(&format!("Failed to connect to syslog://{address}: ")),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
    let mut received = TcpReceiver::start_at(address, None).await;
    assert!(numbers(&mut received, 9000).await.into_iter().eq(0..9000));
}

#[tokio::test]
async fn what_a_full_queue_lost_is_told_in_the_app_s_log() {
    let world = World::start("").await;
    let address = receivers::free_address().await;
    world
        .want(vec![drain(&format!("syslog://{address}"))])
        .await;
    world.lines(0..1).await;
    world.told("Failed to connect").await;
    world.lines(1..14_000).await;
    let told = world
        .told(" messages lost for application app in user provided syslog drain")
        .await;
    assert!(
        told.ends_with(&format!(" with url syslog://{address}")),
        "{told}"
    );
    let mut received = TcpReceiver::start_at(address, None).await;
    let last = async {
        let mut last = 0;
        let mut count = 0;
        while last < 13_999 {
            last = numbers(&mut received, 1).await[0];
            count += 1;
        }
        count
    };
    let count = tokio::time::timeout(SOON, last)
        .await
        .expect("the last line");
    assert!((9_900..=10_100).contains(&count), "{count}");
}

#[tokio::test]
async fn tls_needs_a_known_authority_and_shows_the_certificate_of_the_binding() {
    let authority = Authority::new();
    let (address, mut received) = TcpReceiver::start(Some(authority.server(true).into())).await;
    let url = format!("syslog-tls://localhost:{}", address.port());
    let world = World::start("").await;
    world.want(vec![drain(&url)]).await;
    world.line("app", "line 1");
    let told = world
        .told("Failed to connect to syslog-tls://localhost")
        .await;
    assert!(told.contains("certificate"), "{told}");
    let (certificate, key) = authority.client();
    let known = Drain {
        tls: Tls {
            certificate,
            key,
            authority: authority.pem(),
        },
        ..drain(&url)
    };
    let broken = |tls: Tls| vec![Drain { tls, ..drain(&url) }];
    let mut bad = known.tls.clone();
    bad.key = "no key".to_owned();
    world.want(broken(bad)).await;
    world.line("app", "line 2");
    world
        .told("failed to load certificate for syslog-tls://localhost")
        .await;
    let mut bad = known.tls.clone();
    bad.authority = "no authority".to_owned();
    world.want(broken(bad)).await;
    world.line("app", "line 3");
    world
        .told("failed to load root CA for syslog-tls://localhost")
        .await;
    world.want(vec![known]).await;
    world.lines(4..6).await;
    let came = numbers(&mut received, 2).await;
    assert_eq!(came, [4, 5]);
}

/// A request of a drain, with its mark and the credentials of the URL.
fn is_marked(head: &str, mark: &str) {
    assert!(head.starts_with("POST /in?x=1 HTTP/1.1"), "{head}");
    let head = head.to_ascii_lowercase();
    for part in [
        mark,
        "content-type: text/plain",
        "authorization: Basic dXNlcjpwYXNz",
    ] {
        assert!(head.contains(&part.to_ascii_lowercase()), "{part}");
    }
}

#[tokio::test]
async fn https_drains_get_requests_until_they_accept_them() {
    let authority = Authority::new();
    let world = World::start(&authority.pem()).await;
    let mut single = WebReceiver::start(authority.server(false).into()).await;
    let mut batch = WebReceiver::start(authority.server(false).into()).await;
    let url = |scheme: &str, receiver: &WebReceiver| {
        format!(
            "{scheme}://user:pass@localhost:{}/in?x=1",
            receiver.address.port()
        )
    };
    let secret = Secret::new("the secret".to_owned());
    let mark = format!(
        "x-cflite-log-drain: {}",
        mark::of_host(&secret, "localhost")
    );
    single.refuse(2);
    world
        .want(vec![
            drain(&url("https", &single)),
            drain(&url("https-batch", &batch)),
        ])
        .await;
    world.lines(0..3).await;
    let mut bodies = Vec::new();
    for _ in 0..5 {
        let request = single.next().await;
        is_marked(&request.head, &mark);
        bodies.push(request.body);
    }
    assert!(
        bodies[0] == bodies[1] && bodies[1] == bodies[2],
        "tried again"
    );
    assert!(bodies[4].ends_with("] line 2\n"), "{bodies:?}");
    let told = world.told("answered with status 503").await;
    assert!(
        !told.contains("pass") && told.contains("https://localhost"),
        "{told}"
    );
    let all = batch.next().await;
    assert!(
        all.body
            .lines()
            .filter(|line| line.contains("] line "))
            .count()
            >= 3
    );
}

#[tokio::test]
async fn a_batch_is_sent_as_soon_as_there_is_enough() {
    let authority = Authority::new();
    let world = World::start(&authority.pem()).await;
    let mut batch = WebReceiver::start(authority.server(false).into()).await;
    let port = batch.address.port();
    let url = format!("https-batch://localhost:{port}/?disable-metadata=true");
    world.want(vec![drain(&url)]).await;
    world.lines(0..9000).await;
    let (mut numbers, mut most) = (Vec::new(), 0);
    while numbers.len() < 9000 {
        let body = batch.next().await.body;
        let before = numbers.len();
        let lines = body
            .lines()
            .filter_map(|line| line.rsplit_once("] - - line "));
        numbers.extend(lines.map(|(_, number)| number.parse::<usize>().expect("a number")));
        most = most.max(numbers.len() - before);
    }
    assert!(numbers.into_iter().eq(0..9000));
    assert!(most > 1100, "{most}");
}

#[tokio::test]
async fn unusable_urls_are_explained_without_their_secrets() {
    let world = World::start("").await;
    let bad = |url: &str| drain(&format!("{url}?hunter2"));
    world
        .want(vec![
            bad("ftp://user:hunter2@h/p"),
            bad("syslog:///p"),
            bad("no url"),
            bad("syslog://127.0.0.9:1"),
            bad("syslog://host.invalid:1"),
        ])
        .await;
    world.line("app", "line 1");
    for expected in [
        "Invalid Scheme ftp for syslog drain url ftp://h/p",
        "No hostname found in syslog drain url syslog:///p",
        "Cannot parse syslog drain URL.",
        "Resolved ip address for syslog drain with url syslog://127.0.0.9:1 is blacklisted",
        "Cannot resolve ip address for syslog drain with url syslog://host.invalid:1",
    ] {
        assert_eq!(world.told(expected).await, expected);
    }
}

#[tokio::test]
async fn one_drain_for_all_apps_gets_what_it_selects() {
    let world = World::start("").await;
    let (address, mut received) = TcpReceiver::start(None).await;
    let all = Drain {
        source_id: None,
        ..drain(&format!(
            "syslog://{address}?drain-data=metrics&disable-metadata=true"
        ))
    };
    world.want(vec![all]).await;
    world.line("app", "line 1");
    let metrics = [("cpu", "percentage", 0.5)];
    world.logs.emitter("other", "3").gauges(metrics);
    let message = received.next().await;
    assert_eq!(
        message,
        "<14>1 2023-11-14T22:13:20+00:00 acme.dev.web other [3] - \
         [gauge@47450 name=\"cpu\" value=\"0.5\" unit=\"percentage\"] \n"
    );
}

#[test]
fn an_app_has_five_drains_at_most_and_each_once() {
    let of = |app: Option<&str>, url: &str| Drain {
        source_id: app.map(Into::into),
        ..drain(url)
    };
    let mut wanted: Vec<Drain> = (0..7)
        .rev()
        .map(|n| of(Some("a"), &format!("syslog://{n}")))
        .collect();
    wanted.push(Drain {
        hostname: "other".to_owned(),
        ..of(Some("a"), "syslog://1")
    });
    wanted.push(of(Some("b"), "syslog://9"));
    wanted.extend((0..7).map(|n| of(None, &format!("syslog://{n}"))));
    let kept = first_of_each_app(wanted);
    let urls = |app: Option<&str>| -> Vec<String> {
        let of_app = kept.iter().filter(|one| one.source_id.as_deref() == app);
        of_app.map(|one| one.url.clone()).collect()
    };
    let numbers =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("syslog://{n}")).collect() };
    assert_eq!(urls(Some("a")), numbers(5));
    assert_eq!(urls(Some("b")), ["syslog://9"]);
    assert_eq!(urls(None), numbers(7));
}
