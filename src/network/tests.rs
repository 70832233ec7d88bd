//! The table of one scene, and the worker against a daemon in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::time::timeout;

use super::ruleset::Scene;
use super::*;
use crate::base::{Supervisor, SystemClock};
use crate::db::{Db, DbError, ReadTx};
use crate::docker::{
    AddressRange, DockerError, Engine, FakeEngine, LABEL_OWNER, Labels, NetworkAddresses,
    NetworkSpec,
};

fn addresses(bridge: &str, third: u8) -> NetworkAddresses {
    NetworkAddresses {
        bridge: bridge.to_owned(),
        assignable: AddressRange {
            first: Ipv4Addr::new(172, 18, third, 128),
            last: Ipv4Addr::new(172, 18, third + 1, 254),
        },
        gateway: Ipv4Addr::new(172, 18, third, 1),
    }
}

fn policy(source: &str, destination: &str, protocol: PolicyProtocol, ports: (u16, u16)) -> Policy {
    Policy {
        source: source.to_owned(),
        destination: destination.to_owned(),
        protocol,
        ports: PortRange {
            first: ports.0,
            last: ports.1,
        },
    }
}

fn wanted() -> Wanted {
    let rules = json!([
        { "protocol": "tcp", "destination": "10.0.0.1,10.0.0.0/24", "ports": "80,443" },
        { "protocol": "udp", "destination": "0.0.0.0/0", "ports": "53" },
        { "protocol": "icmp", "destination": "10.0.0.1-10.0.0.9", "type": 8, "code": -1 },
        { "protocol": "all", "destination": "10.9.9.9", "log": true },
    ]);
    let texts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Wanted {
        groups: [
            ("g1".to_owned(), Rule::parse_all(&rules)),
            ("g2".to_owned(), Vec::new()),
        ]
        .into(),
        everywhere: SpaceGroups {
            running: texts(&["g1"]),
            staging: texts(&["g1"]),
        },
        spaces: [(
            "s1".to_owned(),
            SpaceGroups {
                running: texts(&["g2"]),
                staging: Vec::new(),
            },
        )]
        .into(),
        apps: [("a1", "s1"), ("a2", "s2")]
            .map(|(app, space)| (app.to_owned(), space.to_owned()))
            .into(),
        builds: [("b1".to_owned(), "s1".to_owned())].into(),
        policies: vec![
            policy("a1", "a2", PolicyProtocol::Tcp, (8080, 8080)),
            policy("a1", "a2", PolicyProtocol::Udp, (9000, 9100)),
            policy("a2", "gone", PolicyProtocol::Tcp, (80, 80)),
        ],
    }
}

fn scene(enforcement: Enforcement) -> String {
    let (apps, builds) = (addresses("br-apps", 0), addresses("br-builds", 2));
    let instances: BTreeMap<Ipv4Addr, String> =
        [(128, "a1"), (129, "a2"), (130, "a2"), (131, "gone")]
            .map(|(last, app)| (Ipv4Addr::new(172, 18, 0, last), app.to_owned()))
            .into();
    let services = [Ipv4Addr::new(172, 18, 0, 200)].into();
    let building = [(Ipv4Addr::new(172, 18, 2, 2), "b1".to_owned())].into();
    let wanted = wanted();
    Scene {
        table: "cflite-0f0f",
        apps: &apps,
        builds: Some(&builds),
        instances: &instances,
        services: &services,
        building: &building,
        wanted: &wanted,
        always: &[SocketAddrV4::new(Ipv4Addr::new(10, 1, 1, 1), 3128)],
        names: Some(8053),
        enforcement,
    }
    .text()
}

#[test]
fn a_table_enforces_policies_and_groups() {
    insta::assert_snapshot!(scene(Enforcement::Strict));
}

#[test]
fn an_open_network_has_its_name_server_and_no_limits() {
    let text = scene(Enforcement::Open);
    assert!(text.contains("redirect to :8053"), "{text}");
    assert!(!text.contains("forward"), "{text}");
}

struct Given(Wanted);

impl Source for Given {
    fn load(&self, _: &ReadTx<'_>, _: &BTreeSet<String>) -> Result<Wanted, DbError> {
        Ok(self.0.clone())
    }
}

struct Image(Option<&'static str>);

#[async_trait]
impl HelperImage for Image {
    async fn reference(&self) -> Result<Option<String>, DockerError> {
        Ok(self.0.map(str::to_owned))
    }
}

struct Bench {
    engine: FakeEngine,
    firewall: Firewall,
    supervisor: Supervisor,
    /// What `nft` read.
    tables: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

fn network(name: &str) -> NetworkSpec {
    NetworkSpec {
        name: name.to_owned(),
        labels: Labels::from([(LABEL_OWNER.to_owned(), "0f0f".to_owned())]),
        internal: false,
    }
}

impl Bench {
    fn start(image: Option<&'static str>, status: i64) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let db = Db::open(&dir.path().join("cflite.db")).expect("a database");
        let engine = FakeEngine::new(Arc::new(SystemClock));
        engine.add_image("run");
        let tables = Arc::new(Mutex::new(Vec::new()));
        let read = tables.clone();
        engine.program("nft", move |text| {
            read.lock().expect("a lock").push(text.to_owned());
            (status, "1\n".to_owned())
        });
        let firewall = Firewall::new(Parts {
            db,
            engine: Arc::new(engine.clone()),
            source: Arc::new(Given(wanted())),
            image: Arc::new(Image(image)),
            apps: network("apps"),
            builds: network("builds"),
            settings: Settings {
                platform_id: "0f0f".to_owned(),
                enforcement: Enforcement::Strict,
                services: "service",
                always: Vec::new(),
                names: None,
            },
        });
        let supervisor = Supervisor::new();
        firewall.start(&supervisor);
        Self {
            engine,
            firewall,
            supervisor,
            tables,
            _dir: dir,
        }
    }

    async fn admit(&self, last: u8, app: &str) {
        let admitted = self.firewall.admit(Ipv4Addr::new(127, 78, 1, last), app);
        let soon = timeout(Duration::from_secs(5), admitted);
        soon.await.expect("admitted in time");
    }

    fn last_table(&self) -> String {
        let tables = self.tables.lock().expect("a lock");
        tables.last().cloned().unwrap_or_default()
    }

    async fn end(self) {
        self.supervisor.shut_down(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_container_starts_when_its_rules_are_there() {
    let bench = Bench::start(Some("run"), 0);
    assert_eq!(bench.firewall.status(), Status::Idle);
    bench.admit(7, "a1").await;
    assert!(bench.last_table().contains("127.78.1.7 : goto app-a1"));
    bench.admit(8, "a2").await;
    let table = bench.last_table();
    assert!(table.contains("127.78.1.8 : goto app-a2"), "{table}");
    assert!(
        table.contains("ip daddr { 127.78.1.8 } tcp dport { 8080 } accept"),
        "{table}"
    );
    let active = Status::Active {
        between_containers: true,
    };
    assert_eq!(bench.firewall.status(), active);
    bench.firewall.admit_build().await;
    assert!(bench.last_table().contains("chain from-builds"));

    let engine = bench.engine.clone();
    let owned = Labels::from([(LABEL_OWNER.to_owned(), "0f0f".to_owned())]);
    assert_eq!(
        engine.list(&owned).await.expect("a list").len(),
        1,
        "one helper"
    );
    bench.supervisor.shut_down(Duration::from_secs(5)).await;
    remove(&engine, "0f0f").await.expect("removed");
    assert_eq!(
        bench.last_table(),
        "table ip cflite-0f0f { }\ndelete table ip cflite-0f0f\n"
    );
    assert!(engine.list(&owned).await.expect("a list").is_empty());
}

#[tokio::test]
async fn without_rules_a_container_starts_and_the_reason_is_known() {
    let bench = Bench::start(None, 0);
    bench.admit(7, "a1").await;
    let why = "the stack's image is not on the Docker daemon yet".to_owned();
    assert_eq!(bench.firewall.status(), Status::Inactive(why));
    bench.end().await;

    let bench = Bench::start(Some("run"), 1);
    bench.admit(7, "a1").await;
    let why = "nft: exit status 1: 1".to_owned();
    assert_eq!(bench.firewall.status(), Status::Inactive(why));
    bench.end().await;
}

#[tokio::test]
async fn a_firewall_that_is_off_lets_everybody_start() {
    let firewall = Firewall::off();
    firewall.admit(Ipv4Addr::LOCALHOST, "a1").await;
    firewall.admit_build().await;
    assert_eq!(firewall.status(), Status::Idle);
}
