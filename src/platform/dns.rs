//! The DNS server of a platform: where it listens, and its names, which follow rows and instances.

use std::net::IpAddr;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::parts::{CoreServices, Parts};
use crate::base::{Live, Supervisor};
use crate::cloud_controller::engines;
use crate::cloud_controller::error::Error;
use crate::db::Db;
use crate::net::ports::PortChoice;
use crate::network::dns::{Names, Place, Responder, Settings, Sockets, follow};
use crate::scheduler::Scheduler;

/// Starts it on the platform's address and, while the containers' network is there, on its gateway.
pub(super) fn start(
    supervisor: &Supervisor,
    parts: &Parts,
    core: &CoreServices,
    scheduler: &Scheduler,
    sockets: &Sockets,
) -> anyhow::Result<()> {
    let domain = parts.config.domain.clone();
    let names = Live::new(Names::new(&domain));
    let (at, gateway) = (sockets.address(), core.network.gateway());
    let settings = Settings::new(
        (at.ip(), at.port()),
        core.resolvers.clone(),
        gateway.clone(),
    );
    let responder = Responder::new(names.clone(), settings);
    let keeper = Keeper {
        domain,
        db: core.db.clone(),
        scheduler: scheduler.clone(),
        names,
    };
    supervisor.worker("names", move |token| keeper.clone().run(token));
    let (network, engine) = (core.network.clone(), parts.engine.clone());
    supervisor.worker("gateway of the network", move |token| {
        network.clone().keep_gateway(engine.clone(), token)
    });
    let sockets = sockets.try_clone().context("DNS port")?;
    let own = responder.clone();
    supervisor.worker("DNS", move |token| {
        let (responder, sockets) = (own.clone(), sockets.try_clone());
        async move { responder.serve(sockets?, Place::Bind, token).await }
    });
    if at.ip().is_unspecified() {
        return Ok(());
    }
    supervisor.worker("DNS for containers", move |token| {
        let (responder, gateway) = (responder.clone(), gateway.clone());
        async move {
            let bind = |ip: IpAddr| Sockets::bind(ip, PortChoice::Exactly(at.port()));
            let serve = |sockets, token| {
                let responder = responder.clone();
                async move { responder.serve(sockets, Place::Gateway, token).await }
            };
            follow("DNS", gateway, at.ip(), bind, serve, token).await
        }
    });
    Ok(())
}

/// Keeps the names current, as [`super::routing`] does the route table.
#[derive(Clone)]
struct Keeper {
    domain: String,
    db: Db,
    scheduler: Scheduler,
    names: Live<Names>,
}

impl Keeper {
    async fn run(self, token: CancellationToken) -> Result<(), Error> {
        let mut changes = self.db.changes();
        let mut routable = self.scheduler.routable();
        loop {
            changes.mark_unchanged();
            let instances = routable.borrow_and_update().clone();
            let domain = self.domain.clone();
            let names = self
                .db
                .read(move |tx| engines::names::names(tx, &domain, &instances))
                .await?;
            if *self.names.get() != names {
                self.names.set(names);
            }
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                changed = changes.changed() => if changed.is_err() { return Ok(()) },
                changed = routable.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }
}
