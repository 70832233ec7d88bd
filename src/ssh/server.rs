//! Accepts connections and ends them: when they take too long to prove themselves, last too long,
//! or the platform stops.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::server::{Config, Handle, run_stream};
use russh::{Disconnect, MethodKind, MethodSet, SshId};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::connection::Client;
use super::shared::Shared;
use crate::base::Supervisor;

/// Wrong codes of one connection.
const ATTEMPTS: usize = 3;
/// The pause after a connection could not be accepted, for want of files.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a client may take to hear that it is disconnected.
const FAREWELL: Duration = Duration::from_secs(2);
/// Messages of a channel, each of at most 32 KiB, that wait for it.
const WAITING: usize = 16;
/// A client that says nothing while no questions can be asked, before it proved itself.
const SILENCE: Duration = Duration::from_secs(300);

/// Listens, and serves each connection.
pub(super) struct Server {
    shared: Arc<Shared>,
    config: Arc<Config>,
    connections: Arc<Semaphore>,
}

impl Server {
    pub(super) fn new(parts: Parts, supervisor: Supervisor) -> Self {
        let settings = &parts.settings;
        let config = Config {
            server_id: SshId::Standard("SSH-2.0-cflite".into()),
            methods: MethodSet::from(&[MethodKind::Password][..]),
            auth_rejection_time: Duration::from_millis(300),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![parts.host_key.private()],
            channel_buffer_size: WAITING,
            max_auth_attempts: ATTEMPTS,
            inactivity_timeout: Some(SILENCE),
            keepalive_interval: Some(settings.keepalive),
            keepalive_max: settings.unanswered,
            nodelay: true,
            ..Config::default()
        };
        Self {
            connections: Arc::new(Semaphore::new(settings.connections)),
            config: Arc::new(config),
            shared: Arc::new(Shared {
                engine: parts.engine,
                authorizer: parts.authorizer,
                observer: parts.observer,
                settings: parts.settings,
                supervisor,
            }),
        }
    }

    pub(super) fn listen(self: Arc<Self>, name: &str, socket: std::net::TcpListener) {
        let supervisor = self.shared.supervisor.clone();
        supervisor.worker(name, move |token| {
            let (server, socket) = (self.clone(), socket.try_clone());
            async move {
                let listener = TcpListener::from_std(socket?)?;
                server.accept(listener, token).await;
                Ok::<_, std::io::Error>(())
            }
        });
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, token: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = token.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, from) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an SSH connection");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let Ok(permit) = self.connections.clone().try_acquire_owned() else {
                let limit = self.shared.settings.connections;
                tracing::warn!(%from, limit, "refused an SSH connection: there are too many");
                continue;
            };
            let (server, token) = (self.clone(), token.clone());
            self.shared
                .supervisor
                .once(server.serve(stream, from, (token, permit)));
        }
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        from: SocketAddr,
        (token, permit): (CancellationToken, OwnedSemaphorePermit),
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, %from, "cannot set an option of an SSH connection");
        }
        let (admitted, admission) = watch::channel(false);
        let client = Client::new(self.shared.clone(), from, admitted);
        let began = run_stream(self.config.clone(), stream, client);
        let mut session = tokio::select! {
            () = token.cancelled() => return,
            began = timeout(self.shared.settings.log_in, began) => match began {
                Ok(Ok(session)) => session,
                Ok(Err(error)) => {
                    tracing::debug!(%error, %from, "an SSH connection did not begin");
                    return;
                }
                Err(_) => return,
            },
        };
        let handle = session.handle();
        let reason = tokio::select! {
            ended = &mut session => {
                if let Err(error) = ended {
                    tracing::debug!(%error, %from, "an SSH connection broke");
                }
                drop(permit);
                return;
            }
            () = token.cancelled() => "the platform stops; your session ends with it",
            () = self.too_slow(admission) => "no valid code came in time",
            () = sleep(self.shared.settings.lifetime) => "this connection lasted as long as one may",
        };
        disconnect(&handle, reason).await;
        if timeout(FAREWELL, session).await.is_err() {
            tracing::debug!(%from, "an SSH client did not leave when it was disconnected");
        }
    }

    /// Ends when a client did not prove itself in time.
    async fn too_slow(&self, mut admission: watch::Receiver<bool>) {
        let admitted = async { admission.wait_for(|admitted| *admitted).await.is_ok() };
        if timeout(self.shared.settings.log_in, admitted).await == Ok(true) {
            std::future::pending::<()>().await;
        }
    }
}

async fn disconnect(handle: &Handle, reason: &str) {
    let told = handle.disconnect(Disconnect::ByApplication, reason.to_owned(), String::new());
    // The client may be gone.
    drop(timeout(FAREWELL, told).await);
}
