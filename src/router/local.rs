//! The router's state on one serving thread: connections and the line buffer.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::{Clock, Timestamp};

use super::Router;
use super::access_log::{LineWriter, Record};
use super::endpoint::EndpointState;
use super::finished::Finished;
use super::pool::{Connections, spawn_sweeper};
use super::table::Pool;

/// The router on one thread.
pub(crate) struct LocalRouter {
    pub(crate) router: Router,
    pub(crate) connections: Rc<Connections>,
    clock: Arc<dyn Clock>,
    lines: RefCell<LineWriter>,
}

impl LocalRouter {
    /// Called on the thread, inside its runtime.
    pub(crate) fn new(router: Router, clock: Arc<dyn Clock>) -> Self {
        let connections = Rc::new(Connections::new(router.settings().clone()));
        let tables = router.clone();
        spawn_sweeper(&connections, move || tables.table());
        Self {
            router,
            connections,
            clock,
            lines: RefCell::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Writes the line of a finished exchange, if it belongs to an app.
    pub(crate) fn write_line(
        &self,
        record: &Record,
        pool: Option<&Pool>,
        state: Option<&EndpointState>,
    ) {
        if record.is_unlogged {
            return;
        }
        let endpoint = state.map(|state| &state.endpoint);
        let app_guid = match (endpoint, pool) {
            (Some(endpoint), _) => &endpoint.app_guid,
            (None, Some(pool)) => &pool.app_guid,
            (None, None) => return,
        };
        let mut lines = self.lines.borrow_mut();
        let line = lines.format(record, Some(app_guid), state);
        self.router.access_log().finished(&Finished {
            app_guid,
            endpoint,
            line,
            record,
        });
    }
}
