//! One serving thread: accepts, takes over connections, checks for idle ones, drains.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, LocalSet};

use super::connection::{self, Client};
use super::pace::Pace;
use super::state::Connection;
use super::{Accepted, Limits, Serve, ServeError, Shared};

/// Pause after a failed accept, as when file descriptors run out.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// How often draining checks for remaining connections.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// The connections of one thread.
pub(super) struct Thread {
    pub(super) pace: Rc<Pace>,
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
}

impl Thread {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            pace: Rc::new(Pace::new(limits)),
            connections: RefCell::default(),
            next: Cell::new(0),
        }
    }

    /// Counts a tick and checks every connection.
    pub(super) fn pass(&self) {
        self.pace.pass();
        self.each_connection(|connection| connection.check(&self.pace));
    }

    pub(super) fn enter(&self, connection: &Rc<Connection>) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.connections
            .borrow_mut()
            .insert(number, connection.clone());
        number
    }

    fn each_connection(&self, visit: impl Fn(&Connection)) {
        let all: Vec<Rc<Connection>> = self.connections.borrow().values().cloned().collect();
        for connection in &all {
            visit(connection);
        }
    }
}

pub(super) fn run<S: Serve>(
    shared: Arc<Shared<S>>,
    index: usize,
    inbox: mpsc::Receiver<Accepted>,
) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, serve(shared, index, inbox))
}

async fn serve<S: Serve>(
    shared: Arc<Shared<S>>,
    index: usize,
    mut inbox: mpsc::Receiver<Accepted>,
) -> Result<(), ServeError> {
    let acceptor = Rc::new(Acceptor {
        thread: Rc::new(Thread::new(shared.server.limits.clone())),
        serve: Rc::new(shared.server.serve.local()),
        stop: shared.stop.clone(),
        shared,
        index,
    });
    // None of these may end: without one of them the thread serves only part of its work.
    let mut upkeep = JoinSet::new();
    for listener in 0..acceptor.shared.server.listeners.len() {
        let socket = acceptor.shared.server.listeners[listener]
            .socket
            .try_clone()?;
        let socket = TcpListener::from_std(socket)?;
        upkeep.spawn_local(accept(acceptor.clone(), socket, listener));
    }
    upkeep.spawn_local(count_ticks(acceptor.thread.clone()));
    loop {
        tokio::select! {
            () = acceptor.stop.cancelled() => break,
            Some(ended) = upkeep.join_next() => return Err(ServeError::ended(ended)),
            accepted = inbox.recv() => match accepted {
                Some(accepted) => acceptor.take_over(accepted),
                None => break,
            },
        }
    }
    upkeep.abort_all();
    inbox.close();
    drain(&acceptor.thread).await;
    Ok(())
}

struct Acceptor<S: Serve> {
    thread: Rc<Thread>,
    serve: Rc<S::Local>,
    stop: tokio_util::sync::CancellationToken,
    shared: Arc<Shared<S>>,
    index: usize,
}

impl<S: Serve> Acceptor<S> {
    /// Serves the connection on this thread or on one that has fewer.
    fn place(&self, socket: TcpStream, address: SocketAddr, listener: usize) {
        let shared = &self.shared;
        let target = shared.least_loaded(self.index);
        if target == self.index {
            return self.start(socket, address, listener);
        }
        let Ok(socket) = socket.into_std() else {
            return tracing::warn!("cannot move a connection to another thread");
        };
        let accepted = Accepted {
            socket,
            address,
            listener,
        };
        if let Err(refused) = shared.inboxes[target].try_send(accepted) {
            self.take_over(refused.into_inner());
        }
    }

    fn take_over(&self, accepted: Accepted) {
        match TcpStream::from_std(accepted.socket) {
            Ok(socket) => self.start(socket, accepted.address, accepted.listener),
            Err(error) => tracing::warn!(error = %error, "cannot take over a connection"),
        }
    }

    fn start(&self, socket: TcpStream, address: SocketAddr, listener: usize) {
        let thread = self.thread.clone();
        let pace = thread.pace.clone();
        let connection = Rc::new(Connection::new(pace.ticks()));
        let number = thread.enter(&connection);
        self.shared.loads[self.index].fetch_add(1, Ordering::Relaxed);
        let guard = ConnectionGuard {
            shared: self.shared.clone(),
            thread,
            index: self.index,
            number,
        };
        let listener = &self.shared.server.listeners[listener];
        let client = Client {
            socket,
            peer: listener.peer(address),
            tls: listener.tls.clone(),
        };
        let serve = self.serve.clone();
        tokio::task::spawn_local(async move {
            let _guard = guard;
            connection::serve(pace, connection, serve, client).await;
        });
    }
}

/// Removes a connection from the counts when it ends.
struct ConnectionGuard<S> {
    shared: Arc<Shared<S>>,
    thread: Rc<Thread>,
    index: usize,
    number: u64,
}

impl<S> Drop for ConnectionGuard<S> {
    fn drop(&mut self) {
        self.shared.loads[self.index].fetch_sub(1, Ordering::Relaxed);
        self.thread.connections.borrow_mut().remove(&self.number);
    }
}

async fn accept<S: Serve>(acceptor: Rc<Acceptor<S>>, socket: TcpListener, listener: usize) {
    loop {
        match socket.accept().await {
            Ok((socket, address)) => {
                // Without it small responses wait for the client's acknowledgement; a failure only
                // delays them.
                if let Err(error) = socket.set_nodelay(true) {
                    tracing::debug!(error = %error, "cannot set TCP_NODELAY");
                }
                acceptor.place(socket, address, listener);
                // Lets other threads accept, and serves what was accepted.
                tokio::task::yield_now().await;
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot accept a connection");
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

async fn count_ticks(thread: Rc<Thread>) {
    let mut interval = tokio::time::interval(thread.pace.limits.tick);
    loop {
        interval.tick().await;
        thread.pass();
    }
}

async fn drain(thread: &Thread) {
    thread.pace.drain();
    thread.each_connection(Connection::wake);
    let empty = async {
        while !thread.connections.borrow().is_empty() {
            tokio::time::sleep(DRAIN_POLL).await;
        }
    };
    if tokio::time::timeout(thread.pace.limits.drain, empty)
        .await
        .is_err()
    {
        let left = thread.connections.borrow().len();
        tracing::warn!(connections = left, "exchanges aborted at shutdown");
    }
}
