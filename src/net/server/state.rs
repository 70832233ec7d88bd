//! The state of a connection outside its own task: whether its client sends, is idle or does not
//! read its response.
//!
//! The thread checks every connection once a tick ([`Connection::check`]) and wakes those that
//! have to do something. A client does not read its response when its socket takes no byte for
//! [`Limits::write`], or when its HTTP/2 stream requests no data in that time. The first closes the
//! connection, the second resets only the stream.
//!
//! [`Limits::write`]: super::Limits::write

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use http_body::{Body, Frame, SizeHint};
use tokio::task::AbortHandle;

use super::activity::Activity;
use super::pace::Pace;

/// The state of a connection outside its own task.
pub(super) struct Connection {
    activity: Arc<Activity>,
    waker: RefCell<Option<Waker>>,
    exchanges: Cell<u32>,
    /// When the last exchange ended or a request's head began.
    since: Cell<u32>,
    /// When the client last read something, or nothing was pending.
    taken: Cell<u32>,
    receiving_head: Cell<bool>,
    multiplexed: Cell<bool>,
    parked: Cell<bool>,
    order: Cell<Order>,
    /// The exchanges of an HTTP/2 connection.
    streams: RefCell<Vec<Rc<Stream>>>,
    /// Tunnels (`CONNECT` over HTTP/2).
    tunnels: RefCell<Vec<AbortHandle>>,
}

/// What a connection must do when it is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Nothing,
    Park,
    Close,
}

/// One exchange of an HTTP/2 connection, which has its own task.
#[derive(Default)]
struct Stream {
    /// When the last chunk of the body was handed over, until the next is requested.
    handed: Cell<Option<u32>>,
    task: RefCell<Option<AbortHandle>>,
}

impl Connection {
    pub(super) fn new(ticks: u32) -> Self {
        Self {
            activity: Arc::default(),
            waker: RefCell::default(),
            exchanges: Cell::new(0),
            since: Cell::new(ticks),
            taken: Cell::new(ticks),
            receiving_head: Cell::new(false),
            multiplexed: Cell::new(false),
            parked: Cell::new(false),
            order: Cell::new(Order::Nothing),
            streams: RefCell::default(),
            tunnels: RefCell::default(),
        }
    }

    pub(super) fn activity(&self) -> Arc<Activity> {
        self.activity.clone()
    }

    /// Marks that the connection carries several exchanges at once.
    pub(super) fn set_multiplexed(&self) {
        self.multiplexed.set(true);
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.multiplexed.get()
    }

    /// Sets whether the connection keeps only its socket.
    pub(super) fn set_parked(&self, parked: bool) {
        self.parked.set(parked);
    }

    #[cfg(test)]
    pub(super) fn is_parked(&self) -> bool {
        self.parked.get()
    }

    /// Registers a started task: that of the newest stream, or that of a tunnel.
    pub(super) fn task_started(&self, task: AbortHandle) {
        let streams = self.streams.borrow();
        match streams.last().map(|stream| stream.task.borrow_mut()) {
            Some(mut own) if own.is_none() => *own = Some(task),
            _ => self.tunnels.borrow_mut().push(task),
        }
    }

    /// Whether an exchange or a tunnel is in progress.
    fn is_busy(&self) -> bool {
        let mut tunnels = self.tunnels.borrow_mut();
        tunnels.retain(|tunnel| !tunnel.is_finished());
        self.exchanges.get() > 0 || !tunnels.is_empty()
    }

    /// What the connection must do now; called by its task.
    pub(super) fn take_order(&self, cx: &Context<'_>) -> Order {
        self.store_waker(cx);
        self.order.replace(Order::Nothing)
    }

    /// Wakes the connection's task.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Checks for idle time and for a client that does not read; called once a tick.
    pub(super) fn check(&self, pace: &Pace) {
        if self.is_stuck(pace) {
            tracing::debug!("client does not read its response; closing its connection");
            return self.set_order(Order::Close);
        }
        if self.is_busy() {
            self.since.set(pace.ticks());
            return self.end_stuck_streams(pace);
        }
        let receiving_head = self.activity.read.load(Ordering::Relaxed) && !self.multiplexed.get();
        if receiving_head && !self.receiving_head.replace(receiving_head) {
            self.since.set(pace.ticks());
        }
        let silent = pace.ticks().wrapping_sub(self.since.get());
        let limits = &pace.limits;
        let limit = if receiving_head {
            limits.header_read
        } else {
            limits.idle
        };
        let may_park = !(receiving_head || self.multiplexed.get() || self.parked.get());
        if silent > pace.ticks_of(limit) {
            self.set_order(Order::Close);
        } else if may_park
            && silent > pace.ticks_of(limits.park)
            && !self.activity.blocked.load(Ordering::Relaxed)
        {
            self.set_order(Order::Park);
        }
    }

    fn set_order(&self, order: Order) {
        self.order.set(order);
        self.wake();
    }

    /// Whether a write has been pending for too long.
    fn is_stuck(&self, pace: &Pace) -> bool {
        let now = pace.ticks();
        let waits = self.activity.blocked.load(Ordering::Relaxed);
        if !waits || self.activity.wrote.swap(false, Ordering::Relaxed) {
            self.taken.set(now);
            return false;
        }
        now.wrapping_sub(self.taken.get()) > pace.ticks_of(pace.limits.write)
    }

    fn end_stuck_streams(&self, pace: &Pace) {
        let now = pace.ticks();
        let limit = pace.ticks_of(pace.limits.write);
        for stream in self.streams.borrow().iter() {
            let stuck = stream
                .handed
                .get()
                .is_some_and(|handed| now.wrapping_sub(handed) > limit);
            if stuck && let Some(task) = &*stream.task.borrow() {
                tracing::debug!("client does not read its response; resetting the stream");
                task.abort();
            }
        }
    }

    fn store_waker(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker
            .as_ref()
            .is_some_and(|known| known.will_wake(cx.waker()))
        {
            *waker = Some(cx.waker().clone());
        }
    }
}

/// Counts an exchange from its request to the end of its response.
pub(super) struct Exchange {
    connection: Rc<Connection>,
    pace: Rc<Pace>,
    stream: Option<Rc<Stream>>,
}

impl Exchange {
    /// The final response comes next.
    pub(super) fn before_final(&self) {
        self.connection.activity.before_final();
    }

    pub(super) fn begin(connection: Rc<Connection>, pace: Rc<Pace>) -> Self {
        connection.exchanges.set(connection.exchanges.get() + 1);
        let stream = connection.multiplexed.get().then(Rc::<Stream>::default);
        if let Some(stream) = &stream {
            connection.streams.borrow_mut().push(stream.clone());
        }
        Self {
            connection,
            pace,
            stream,
        }
    }

    /// Records that a chunk of the body was handed over, or that none is ready.
    fn handed(&self, chunk: bool) {
        if let Some(stream) = &self.stream {
            stream.handed.set(chunk.then(|| self.pace.ticks()));
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.exchanges.set(connection.exchanges.get() - 1);
        connection.since.set(self.pace.ticks());
        connection.receiving_head.set(false);
        connection.activity.read.store(false, Ordering::Relaxed);
        if let Some(stream) = &self.stream {
            let mut streams = connection.streams.borrow_mut();
            streams.retain(|other| !Rc::ptr_eq(other, stream));
        }
    }
}

/// A response's body that ends its exchange when it is dropped.
pub(super) struct Counted<B> {
    body: B,
    exchange: Exchange,
}

impl<B> Counted<B> {
    pub(super) fn new(body: B, exchange: Exchange) -> Self {
        Self { body, exchange }
    }
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.exchange.handed(polled.is_ready());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;

    fn order_after(pace: &Pace, connection: &Connection, ticks: u32) -> Order {
        for _ in 0..ticks {
            pace.pass();
            connection.check(pace);
        }
        connection.take_order(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_client_that_reads_slowly_keeps_its_connection() {
        let pace = Rc::new(Pace::new(Limits::default()));
        let connection = Rc::new(Connection::new(0));
        let _exchange = Exchange::begin(connection.clone(), pace.clone());
        let limit = pace.ticks_of(pace.limits.write);
        connection.activity.blocked.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            assert!(order_after(&pace, &connection, limit) == Order::Nothing);
            connection.activity.wrote.store(true, Ordering::Relaxed);
        }
        assert!(order_after(&pace, &connection, 1) == Order::Nothing);
        assert!(order_after(&pace, &connection, limit + 1) == Order::Close);
    }

    #[test]
    fn a_parked_connection_is_not_woken_until_its_idle_limit() {
        let pace = Rc::new(Pace::new(Limits::default()));
        let connection = Connection::new(0);
        let park = pace.ticks_of(pace.limits.park);
        assert!(order_after(&pace, &connection, park) == Order::Nothing);
        assert!(order_after(&pace, &connection, 1) == Order::Park);
        connection.set_parked(true);
        let rest = pace.ticks_of(pace.limits.idle) - park - 1;
        assert!(order_after(&pace, &connection, rest) == Order::Nothing);
        assert!(order_after(&pace, &connection, 1) == Order::Close);
    }

    #[tokio::test]
    async fn an_http2_connection_with_a_tunnel_is_not_idle() {
        let tasks = tokio::task::LocalSet::new();
        let pace = Rc::new(Pace::new(Limits::default()));
        let connection = Rc::new(Connection::new(0));
        connection.set_multiplexed();
        let exchange = Exchange::begin(connection.clone(), pace.clone());
        let stream = tasks.spawn_local(async {});
        connection.task_started(stream.abort_handle());
        let tunnel = tasks.spawn_local(std::future::pending::<()>());
        connection.task_started(tunnel.abort_handle());
        drop(exchange);
        let idle = pace.ticks_of(pace.limits.idle);
        assert!(order_after(&pace, &connection, 3 * idle) == Order::Nothing);
        tunnel.abort();
        tasks.await;
        assert!(order_after(&pace, &connection, idle) == Order::Nothing);
        assert!(order_after(&pace, &connection, 1) == Order::Close);
    }
}
