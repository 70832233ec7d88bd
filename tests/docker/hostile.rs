//! Hostile clients: lists with long filters, and callers that hang up. What
//! the process holds afterwards is what it held before.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cflite::testing::TestClient;
use serde_json::json;

use crate::platform::Platform;

/// Requests unless `HOSTILE_REQUESTS` says otherwise, as `make soak` does.
const REQUESTS: usize = 600;
const CALLERS: usize = 8;
/// One request of so many is not waited for.
const HANG_UP: usize = 3;
const APPS: usize = 40;
/// For idle threads to end and for freed memory to go back.
const SETTLING: Duration = Duration::from_secs(90);
const LIMIT: Duration = Duration::from_secs(60);
const MEGABYTE: u64 = 1 << 20;
/// The database and its log for the writer and four readers, and the index that all share.
const HANDLES: usize = 5 * 2 + 1;

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Holdings {
    resident: u64,
    database_handles: usize,
    threads: usize,
}

impl Holdings {
    fn of(pid: u32) -> Self {
        let process = std::path::PathBuf::from(format!("/proc/{pid}"));
        let list = |folder: &str| std::fs::read_dir(process.join(folder)).expect("a process");
        let handles = list("fd").flatten();
        let targets = handles.filter_map(|handle| std::fs::read_link(handle.path()).ok());
        let status = std::fs::read_to_string(process.join("status")).expect("status");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB"));
        Self {
            resident: kilobytes.expect("VmRSS").parse::<u64>().expect("number") << 10,
            database_handles: targets
                .filter(|target| target.to_string_lossy().contains("/cflite.db"))
                .count(),
            threads: list("task").count(),
        }
    }

    fn is_as(&self, before: &Self) -> bool {
        self.resident <= before.resident + 10 * MEGABYTE
            && self.database_handles <= before.database_handles
            && self.threads <= before.threads
    }
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        // Constants of Knuth's MMIX.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn list(&mut self, most: u64, kind: &str) -> String {
        let mut list = String::new();
        for number in 0..=self.below(most) {
            let comma = if number == 0 { "" } else { "," };
            let value = self.below(1 << 30);
            write!(list, "{comma}{kind}-{value:030x}").expect("text");
        }
        list
    }

    fn path(&mut self) -> String {
        match self.below(8) {
            0 => format!("/v3/apps?names={}", self.list(1500, "name")),
            1 => format!("/v3/apps?guids={}&order_by=-name", self.list(1500, "guid")),
            2 => format!(
                "/v3/apps?label_selector=tier%20in%20({})",
                self.list(500, "tier")
            ),
            3 => format!("/v3/apps?label_selector=!{}", self.list(1, "key")),
            4 => "/v3/apps?per_page=5000&include=space.organization".to_owned(),
            5 => format!("/v3/routes?hosts={}", self.list(1000, "host")),
            6 => format!("/v3/processes?app_guids={}", self.list(1000, "guid")),
            _ => format!("/v3/audit_events?target_guids={}", self.list(1000, "guid")),
        }
    }
}

struct Caller {
    port: u64,
    token: String,
    numbers: Numbers,
}

impl Caller {
    /// Sends so many requests; gives how often each status came.
    fn run(mut self, count: usize) -> BTreeMap<String, usize> {
        let mut answers = BTreeMap::new();
        for number in 0..count {
            let mut connection = self.send();
            if number % HANG_UP > 0 {
                let mut answer = Vec::new();
                connection.read_to_end(&mut answer).expect("an answer");
                let status = String::from_utf8_lossy(&answer[9..12]).into_owned();
                *answers.entry(status).or_default() += 1;
            }
        }
        answers
    }

    fn send(&mut self) -> TcpStream {
        let mut connection =
            TcpStream::connect(format!("127.0.0.1:{}", self.port)).expect("a connection");
        connection.set_read_timeout(Some(LIMIT)).expect("a limit");
        let (path, token, port) = (self.numbers.path(), &self.token, self.port);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: bearer {token}\r\n\
             Connection: close\r\n\r\n"
        );
        connection.write_all(request.as_bytes()).expect("sent");
        connection
    }
}

/// Lists by several callers at once.
fn list(port: u64, token: &str, count: usize) -> BTreeMap<String, usize> {
    let callers: Vec<_> = (0..CALLERS)
        .map(|number| {
            let caller = Caller {
                port,
                token: token.to_owned(),
                numbers: Numbers(number as u64),
            };
            std::thread::spawn(move || caller.run(count.div_ceil(CALLERS)))
        })
        .collect();
    let mut answers = BTreeMap::new();
    for caller in callers {
        for (status, count) in caller.join().expect("a caller") {
            *answers.entry(status).or_default() += count;
        }
    }
    answers
}

/// Waits until what is held passes a check; gives what is held then, or at the end of the wait.
async fn settled(pid: u32, is_good: impl Fn(&Holdings) -> bool) -> Holdings {
    let deadline = Instant::now() + SETTLING;
    loop {
        let held = Holdings::of(pid);
        if is_good(&held) || Instant::now() > deadline {
            return held;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_lists_leave_memory_handles_and_threads_as_they_were() {
    if crate::bench::daemon().await.is_none() {
        return;
    }
    let platform = Platform::start();
    let token = crate::survival::admin_token(&platform).await;
    let admin = TestClient::anonymous(&platform.url()).with_token(&token);
    let make = async |path: &str, body: serde_json::Value| {
        let made = admin.post(path, &body).await.expect("an answer");
        assert_eq!(made.status, 201, "{made:?}");
        made.text("/guid").to_owned()
    };
    let organization = make("/v3/organizations", json!({ "name": "o" })).await;
    let owner = json!({ "organization": { "data": { "guid": organization } } });
    let space = json!({ "name": "s", "relationships": owner });
    let space = make("/v3/spaces", space).await;
    for number in 0..APPS {
        let owner = json!({ "space": { "data": { "guid": space } } });
        let app = json!({ "name": format!("app-{number}"), "relationships": owner });
        make("/v3/apps", app).await;
    }
    let (port, pid) = (platform.port(), platform.pid());
    let call = |count| {
        let token = token.clone();
        tokio::task::spawn_blocking(move || list(port, &token, count))
    };
    let requests = std::env::var("HOSTILE_REQUESTS").ok();
    let requests = requests.map_or(REQUESTS, |count| count.parse().expect("a number"));

    // The first ones open connections and fill caches.
    let deadline = Instant::now() + LIMIT;
    loop {
        call(160).await.expect("callers");
        let opened = Holdings::of(pid).database_handles;
        if opened >= HANDLES {
            break;
        }
        assert!(Instant::now() < deadline, "{opened} database handles");
    }
    // Idle threads end after five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = Holdings::of(pid);
    let answers = call(requests).await.expect("callers");
    let after = settled(pid, |held| held.is_as(&before)).await;
    assert!(
        after.is_as(&before),
        "{before:?} became {after:?} after {answers:?}"
    );
    assert!(after.database_handles <= HANDLES, "{after:?}");
    let failed = answers.keys().filter(|status| status.starts_with('5'));
    assert_eq!(failed.count(), 0, "{answers:?}\n{}", platform.log());
}
