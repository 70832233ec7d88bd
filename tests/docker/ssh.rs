//! The SSH server in front of containers of the real daemon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cflite::base::Supervisor;
use cflite::docker::{Behaviour, ExecSpec};
use cflite::ssh::{Authorizer, HostKey, Observer, Parts, Place, Refusal, Settings, Ssh, Visitor};
use futures_util::StreamExt;
use russh::client::{self, AuthResult, Handle};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg, Sig};
use russh_sftp::client::SftpSession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bench::{Bench, soon};

/// Lets everybody into one container.
struct Open(String);

#[async_trait]
impl Authorizer for Open {
    async fn admit(&self, _: Visitor) -> Result<Place, Refusal> {
        Ok(Place {
            app_guid: "app".into(),
            process_guid: "process".into(),
            index: 0,
            container_id: self.0.clone(),
        })
    }
}

impl Observer for Open {
    fn began(&self, _: &Place, _: SocketAddr) {}
    fn ended(&self, _: &Place, _: SocketAddr) {}
}

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A session into a container that runs `script`, and the supervisor of its server.
async fn enter(bench: &Bench, script: &str) -> (Handle<Trusting>, Supervisor, String) {
    let id = bench.started("ssh", script, Behaviour::runs()).await;
    let dir = tempfile::tempdir().expect("temporary folder");
    let open = Arc::new(Open(id.clone()));
    let supervisor = Supervisor::new();
    let parts = Parts {
        engine: bench.engine.clone(),
        authorizer: open.clone(),
        observer: open,
        host_key: HostKey::open(&dir.path().join("key")).expect("a key"),
        settings: Settings::default(),
    };
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.set_nonblocking(true).expect("an option");
    let address = socket.local_addr().expect("an address");
    Ssh::new(parts, &supervisor).start(vec![socket]);
    let session = client::connect(Arc::default(), address, Trusting).await;
    let mut session = session.expect("connected");
    let entered = session.authenticate_password("anybody", "any").await;
    assert!(matches!(entered, Ok(AuthResult::Success)), "{entered:?}");
    (session, supervisor, id)
}

/// A channel that runs a command.
async fn run(session: &Handle<Trusting>, command: &str) -> Channel<client::Msg> {
    let channel = session.channel_open_session().await.expect("a channel");
    channel.exec(true, command).await.expect("sent");
    channel
}

/// What a command wrote and how it ended.
async fn end(channel: &mut Channel<client::Msg>) -> (String, Option<u32>, Option<Sig>) {
    let (mut said, mut status, mut signal) = (Vec::new(), None, None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => said.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            ChannelMsg::ExitSignal { signal_name, .. } => signal = Some(signal_name),
            _ => {}
        }
    }
    (String::from_utf8_lossy(&said).into_owned(), status, signal)
}

#[tokio::test(flavor = "multi_thread")]
async fn much_goes_in_and_comes_out_at_the_same_time() {
    const MUCH: usize = 20_000_000;
    let Some(bench) = Bench::real().await else {
        return;
    };
    bench
        .run(async |bench| {
            let (session, _supervisor, _) = enter(&bench, "exec sleep 1000").await;
            let channel = run(&session, "cat").await;
            let mut stream = channel.into_stream();
            let (mut read, mut write) = tokio::io::split(&mut stream);
            let sent = async {
                write.write_all(&vec![7; MUCH]).await.expect("sent");
                write.shutdown().await.expect("closed");
            };
            let mut back = Vec::new();
            let all = async { tokio::join!(sent, read.read_to_end(&mut back)).1 };
            soon(all).await.expect("read");
            assert_eq!(back.len(), MUCH);
            assert!(back.iter().all(|byte| *byte == 7));
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_commands_and_what_clients_leave_behind_ends() {
    const COUNT: &str =
        "for p in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$p; echo; done | grep -c 'sleep 471[1]'";
    let Some(bench) = Bench::real().await else {
        return;
    };
    bench
        .run(async |bench| {
            let (session, _supervisor, id) = enter(&bench, "exec sleep 1000").await;
            let mut signalled = run(&session, "echo on; exec sleep 4711").await;
            while !matches!(signalled.wait().await, Some(ChannelMsg::Data { .. })) {}
            signalled.signal(Sig::INT).await.expect("sent");
            let (_, status, signal) = soon(end(&mut signalled)).await;
            assert!(status.is_none(), "{status:?}");
            assert!(matches!(signal, Some(Sig::INT)), "{signal:?}");
            // A channel keeps its connection.
            drop(signalled);

            let mut left = run(&session, "echo on; sleep 4711; true").await;
            while !matches!(left.wait().await, Some(ChannelMsg::Data { .. })) {}
            drop(left);
            drop(session);
            let count = async || {
                let spec = ExecSpec {
                    command: ["sh", "-c", COUNT].map(str::to_owned).to_vec(),
                    ..ExecSpec::default()
                };
                let mut counted = bench.engine.exec(&id, &spec).await.expect("started");
                let mut said = String::new();
                while let Some(part) = counted.streams.output.next().await {
                    said.push_str(&String::from_utf8_lossy(&part.expect("output").1));
                }
                said.trim().to_owned()
            };
            let mut counted = count().await;
            for _ in 0..50 {
                if counted == "0" {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                counted = count().await;
            }
            assert_eq!(counted, "0");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_has_its_size_and_ends_with_its_input() {
    let Some(bench) = Bench::real().await else {
        return;
    };
    bench
        .run(async |bench| {
            let (session, _supervisor, _) = enter(&bench, "exec sleep 1000").await;
            let mut channel = session.channel_open_session().await.expect("a channel");
            let pty = channel.request_pty(true, "vt100", 100, 40, 0, 0, &[]);
            pty.await.expect("sent");
            channel.request_shell(true).await.expect("sent");
            let first = b"stty size; echo $TERM; printf '\\001\\n'\n";
            channel.data(&first[..]).await.expect("sent");
            let mut said = String::new();
            while !said.contains('\u{1}') {
                if let Some(ChannelMsg::Data { data }) = soon(channel.wait()).await {
                    said.push_str(&String::from_utf8_lossy(&data));
                }
            }
            assert!(said.contains("40 100\r\n"), "{said:?}");
            assert!(said.contains("vt100\r\n"), "{said:?}");
            channel.window_change(120, 50, 0, 0).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(300)).await;
            channel.data(&b"stty size\n"[..]).await.expect("sent");
            channel.eof().await.expect("sent");
            let (said, status, _) = soon(end(&mut channel)).await;
            assert!(said.contains("50 120\r\n"), "{said:?}");
            assert_eq!(status, Some(0), "{said:?}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_are_forwarded_from_inside_the_container() {
    const SERVER: &str = "while :; do echo 'from inside' | nc -l -N 127.0.0.1 7000; done";
    let Some(bench) = Bench::real().await else {
        return;
    };
    bench
        .run(async |bench| {
            let (session, _supervisor, _) = enter(&bench, SERVER).await;
            let open = |port| session.channel_open_direct_tcpip("localhost", port, "127.0.0.1", 1);
            let mut opened = open(7000).await;
            for _ in 0..50 {
                if opened.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                opened = open(7000).await;
            }
            let mut stream = opened.expect("opened").into_stream();
            let mut said = [0; 12];
            soon(stream.read_exact(&mut said)).await.expect("read");
            assert_eq!(&said, b"from inside\n");
            // The forwarded connection ends when the client ends its side.
            stream.shutdown().await.expect("closed");
            let mut rest = Vec::new();
            soon(stream.read_to_end(&mut rest)).await.expect("ended");
            assert_eq!(rest, b"");
            assert!(open(7001).await.is_err(), "nobody listens there");
        })
        .await;
}

/// Runs a script in a container as root.
async fn as_root(bench: &Bench, id: &str, script: &str) {
    let spec = ExecSpec {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        user: Some("0:0".to_owned()),
        ..ExecSpec::default()
    };
    let mut asked = bench.engine.exec(id, &spec).await.expect("started");
    while asked.streams.output.next().await.is_some() {}
    let status = bench.engine.exec_status(&asked.id).await;
    assert_eq!(status.expect("ended"), 0, "{script}");
}

/// What OpenSSH's clients do with files.
async fn moves_files(session: &Handle<Trusting>) {
    let channel = session.channel_open_session().await.expect("a channel");
    channel.request_subsystem(true, "sftp").await.expect("sent");
    let files = SftpSession::new(channel.into_stream()).await;
    let files = files.expect("SFTP");
    let folder = files.canonicalize("/tmp").await.expect("a path") + "/a folder";
    files.create_dir(&folder).await.expect("made");
    let content: Vec<u8> = (0..3_000_000_u32)
        .map(|number| number.to_le_bytes()[0])
        .collect();
    let path = format!("{folder}/-one\ntwo");
    let mut file = files.create(&path).await.expect("made");
    file.write_all(&content).await.expect("written");
    file.shutdown().await.expect("closed");
    drop(file);
    let found = files.metadata(&path).await.expect("attributes");
    assert_eq!(found.size, Some(3_000_000));
    assert_eq!(files.read(&path).await.expect("read"), content);
    let moved = format!("{folder}/moved");
    files.rename(&path, &moved).await.expect("moved");
    files.symlink("moved", format!("{folder}/link")).await.ok();
    let listed = files.read_dir(&folder).await.expect("listed");
    let names: Vec<String> = listed.map(|entry| entry.file_name()).collect();
    assert!(names.contains(&"moved".to_owned()), "{names:?}");
    assert!(!names.contains(&"-one\ntwo".to_owned()), "{names:?}");
    assert!(files.read("/nothing").await.is_err());
    assert!(files.read("/tmp").await.is_err(), "a folder");
    let mut missing = files
        .metadata("/nothing")
        .await
        .expect_err("nothing")
        .to_string();
    missing.make_ascii_lowercase();
    assert!(missing.contains("no such file"), "{missing}");
    files.remove_file(&moved).await.expect("removed");
    assert!(files.remove_dir("/nothing").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_move_with_and_without_the_server_of_the_image() {
    for is_there in [true, false] {
        let Some(bench) = Bench::real().await else {
            return;
        };
        bench
            .run(async |bench| {
                let (session, _supervisor, id) = enter(&bench, "exec sleep 1000").await;
                if !is_there {
                    as_root(&bench, &id, "rm /usr/lib/openssh/sftp-server").await;
                }
                soon(moves_files(&session)).await;
            })
            .await;
    }
}
