//! Keeps the route table current: it is rebuilt when the database or the routable instances change,
//! and swapped atomically, with the ports of TCP routes. Requests to apps wait for the first table that has the instances of the
//! process before this one.

use tokio_util::sync::CancellationToken;

use crate::cloud_controller::engines;
use crate::cloud_controller::error::Error;
use crate::db::Db;
use crate::router::{Router, Table, TcpRouter};
use crate::scheduler::Scheduler;

/// Runs until cancelled.
pub(super) async fn keep_table(
    db: Db,
    scheduler: Scheduler,
    (router, tcp): (Router, TcpRouter),
    token: CancellationToken,
) -> Result<(), Error> {
    let mut changes = db.changes();
    let mut routable = scheduler.routable();
    let mut observed = scheduler.observed();
    loop {
        changes.mark_unchanged();
        // Read before the instances: it is set after them.
        let is_complete = *observed.borrow_and_update();
        let instances = routable.borrow_and_update().clone();
        let routes = db
            .read(move |tx| engines::router::routes(tx, &instances))
            .await?;
        router.swap(Table::build(routes.http));
        tcp.set(routes.tcp);
        if is_complete {
            router.open();
        }
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            changed = changes.changed() => if changed.is_err() { return Ok(()) },
            changed = observed.changed() => if changed.is_err() { return Ok(()) },
            changed = routable.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}
