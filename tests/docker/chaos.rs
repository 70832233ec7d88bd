//! Chaos (`make soak`): instances, cflite and the Docker daemon are killed again and again, under load
//! and through rolling deployments. In the end everything that should run does, what was acknowledged is
//! there, and nothing is left behind.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::daemon::Daemon;
use crate::data_services::{self, Service};
use crate::platform::Platform;

const APPS: [&str; 3] = ["one", "two", "three"];
/// How long everything may take to be as it should in the end.
const CALM: Duration = Duration::from_secs(180);

/// Numbers that a seed repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % count
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What clients see all the time, and what a service acknowledged.
#[derive(Default)]
struct Seen {
    ends: AtomicBool,
    port: AtomicU16,
    answers: Mutex<BTreeMap<String, u64>>,
    written: AtomicU64,
}

impl Seen {
    fn count(&self, answer: String) {
        let mut answers = self.answers.lock().expect("lock");
        *answers.entry(answer).or_default() += 1;
    }

    fn has_ended(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }
}

/// The status of `GET /`, or what went wrong.
fn ask(port: u16, host: &str) -> String {
    let limit = Duration::from_secs(5);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let asked = || -> std::io::Result<String> {
        let mut socket = TcpStream::connect_timeout(&address, limit)?;
        socket.set_read_timeout(Some(limit))?;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        socket.write_all(request.as_bytes())?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer)?;
        Ok(answer)
    };
    match asked() {
        Ok(answer) if answer.is_empty() => "closed without an answer".to_owned(),
        Ok(answer) => answer.chars().skip(9).take(3).collect(),
        Err(error) => error.kind().to_string(),
    }
}

fn load(seen: &Arc<Seen>, hosts: Vec<String>) -> std::thread::JoinHandle<()> {
    let seen = seen.clone();
    std::thread::spawn(move || {
        for host in hosts.iter().cycle() {
            if seen.has_ended() {
                return;
            }
            seen.count(ask(seen.port.load(Ordering::Relaxed), host));
            std::thread::sleep(Duration::from_millis(20));
        }
    })
}

fn writes(seen: &Arc<Seen>, key: Value) -> std::thread::JoinHandle<()> {
    let seen = seen.clone();
    std::thread::spawn(move || {
        let mut number = 0;
        while !seen.has_ended() {
            number += 1;
            let written = data_services::ask_redis(&key, &format!("SET v {number}"));
            if written.is_ok_and(|said| said == "+OK") {
                seen.written.store(number, Ordering::Relaxed);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    })
}

/// The platform, and what is done to it.
struct Chaos {
    daemon: Daemon,
    platform: Platform,
    client: Client,
    random: Random,
    seen: Arc<Seen>,
    done: BTreeMap<&'static str, u64>,
}

impl Chaos {
    async fn act(&mut self) {
        let what = match self.random.below(20) {
            0..8 => self.kill_instance(),
            8..12 => self.kill_platform().await,
            12 => self.kill_daemon(),
            13..17 => self.roll().await,
            _ => self.scale().await,
        };
        *self.done.entry(what).or_default() += 1;
        let pause = 500 + self.random.below(4_000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn kill_instance(&mut self) -> &'static str {
        let running = self.platform.instances();
        if running.is_empty() {
            return "no instance to kill";
        }
        let at = usize::try_from(self.random.below(running.len() as u64)).expect("few");
        self.docker(&["kill", &running[at]]);
        "instance killed"
    }

    async fn kill_platform(&mut self) -> &'static str {
        self.platform.kill();
        self.platform.boot();
        self.begin().await;
        "cflite killed"
    }

    fn kill_daemon(&mut self) -> &'static str {
        self.daemon.kill();
        self.daemon.boot();
        "Docker daemon killed"
    }

    async fn roll(&mut self) -> &'static str {
        let app = self.some_app().await;
        let body = json!({ "relationships": { "app": { "data": { "guid": app } } } });
        match self.client.admin.post("/v3/deployments", &body).await {
            Ok(answer) if answer.status == 201 => "rolling deployment",
            other => panic!("{other:?}"),
        }
    }

    async fn scale(&mut self) -> &'static str {
        let app = self.some_app().await;
        let path = format!("/v3/apps/{app}/processes/web/actions/scale");
        let body = json!({ "instances": 1 + self.random.below(3) });
        match self.client.admin.post(&path, &body).await {
            Ok(answer) if answer.status == 202 => "scaled",
            // A process is not scaled during its deployment.
            Ok(answer) if answer.status == 422 => "scaling refused",
            other => panic!("{other:?}"),
        }
    }

    async fn some_app(&mut self) -> String {
        let at = usize::try_from(self.random.below(APPS.len() as u64)).expect("few");
        self.client.guid(APPS[at]).await
    }

    /// After each start of the platform.
    async fn begin(&mut self) {
        let space = self.client.space.clone();
        self.client = Client::in_space(&self.platform, space).await;
        let port = u16::try_from(self.platform.port()).expect("a port");
        self.seen.port.store(port, Ordering::Relaxed);
    }

    /// Instances that should run, and those that do, by app.
    async fn instances(&self) -> Vec<(u64, usize)> {
        let mut all = Vec::new();
        for name in APPS {
            let app = self.client.guid(name).await;
            let path = format!("/v3/apps/{app}/processes/web");
            let process = self.client.admin.get(&path).await.expect("a process");
            let stats = self.client.admin.get(&format!("{path}/stats")).await;
            let stats = stats.expect("stats");
            let each = stats.body["resources"].as_array().expect("a list");
            let running = each.iter().filter(|one| one["state"] == "RUNNING");
            let wanted = process.body["instances"].as_u64().expect("a number");
            all.push((wanted, running.count()));
        }
        all
    }

    async fn until_calm(&self) {
        let active = "/v3/deployments?status_values=ACTIVE";
        let deadline = Instant::now() + CALM;
        loop {
            let deployments = self.client.admin.get(active).await.expect("deployments");
            let deployments = &deployments.body["pagination"]["total_results"];
            let instances = self.instances().await;
            let all: u64 = instances.iter().map(|(wanted, _)| wanted).sum();
            let containers = self.platform.instances().len() as u64;
            let run = { instances.iter() }.all(|(wanted, running)| *wanted == *running as u64);
            if *deployments == 0 && run && containers == all {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{deployments} deployments, instances {instances:?}, {containers} containers\n{}",
                self.platform.log()
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let host = ["--host", self.daemon.host()];
        let out = Command::new("docker").args(host).args(arguments).output();
        let out = out.expect("docker runs");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Containers, networks and volumes of the platform.
    fn left_over(&self, id: &str) -> Vec<String> {
        let owned = format!("label=cflite.platform={id}");
        let lists: [&[&str]; 3] = [
            &["ps", "--all", "--quiet", "--filter", &owned],
            &["network", "ls", "--quiet", "--filter", &owned],
            &["volume", "ls", "--quiet", "--filter", &owned],
        ];
        let found = lists.map(|list| self.docker(list));
        found.into_iter().filter(|list| !list.is_empty()).collect()
    }

    /// Ends the platform, of which nothing may be left.
    fn end(&self) {
        let id = self.platform.id();
        let image = self.docker(&["images", "--quiet", "cflite/cflinuxfs4"]);
        let image = image
            .lines()
            .next()
            .expect("an image of the stack")
            .to_owned();
        let table = format!("cflite-{id}");
        // So that a look that finds nothing later means something.
        assert_eq!(
            self.left_over(&id).len(),
            3,
            "containers, networks, volumes"
        );
        assert!(crate::network::tables(&image).contains(&table), "{table}");
        self.platform.run(&["down", "--stop-apps"]);
        assert!(self.platform.instances().is_empty());
        self.platform.run(&["reset", "--yes", "--keep-images"]);
        assert_eq!(self.left_over(&id), Vec::<String>::new());
        let tables = crate::network::tables(&image);
        assert!(!tables.contains(&table), "{tables}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it takes ten minutes: make soak"]
async fn nothing_is_lost_while_everything_is_killed() {
    let Some(daemon) = Daemon::start() else {
        return crate::bench::skip("a daemon of the test's own needs root, dockerd and ip");
    };
    let seconds = variable("SOAK_SECONDS").unwrap_or(600);
    let any = || RandomState::new().build_hasher().finish() >> 32;
    let seed = variable("SOAK_SEED").unwrap_or_else(any);
    println!("{seconds} seconds, SOAK_SEED={seed}");
    data_services::copy_redis(daemon.host()).await;
    let platform = Platform::start_on(Some(daemon.host()));
    let hosts: Vec<String> = APPS.iter().map(|name| platform.push_sample(name)).collect();
    let client = Client::of(&platform).await;
    let service = Service::create(&platform, &client, ("redis", "data"), json!({})).await;
    let (_, key) = service.key("key").await;
    let mut chaos = Chaos {
        daemon,
        client: Client::in_space(&platform, client.space.clone()).await,
        platform,
        random: Random(seed),
        seen: Arc::default(),
        done: BTreeMap::new(),
    };
    chaos.begin().await;
    let mut threads = vec![writes(&chaos.seen, key.clone())];
    threads.extend((0..2).map(|_| load(&chaos.seen, hosts.clone())));

    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        chaos.act().await;
    }
    chaos.until_calm().await;
    for host in &hosts {
        chaos.platform.wait_for(host, CALM);
    }
    chaos.seen.ends.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("a thread ends");
    }
    let written = chaos.seen.written.load(Ordering::Relaxed);
    let read = data_services::ask_redis(&key, "GET v").expect("read");
    let read: u64 = read.parse().expect("a number");
    let answers = chaos.seen.answers.lock().expect("lock").clone();
    println!("done: {:?}", chaos.done);
    println!("answers: {answers:?}");
    println!("writes: {written} acknowledged last, {read} read");
    assert!(
        written > 0 && read >= written,
        "an acknowledged write is lost"
    );
    assert!(answers.contains_key("200"), "{answers:?}");

    chaos.end();
}
