//! One client: proves itself, then opens channels.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, Session as Connection};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::forward::Forward;
use super::session::{SFTP, Session};
use super::shared::Shared;
use super::{Place, Refusal, Visitor};
use crate::base::Secret;

/// The longest user name and code.
const LONGEST: usize = 1024;

/// What a connection is while it lasts.
pub(super) struct Client {
    shared: Arc<Shared>,
    from: SocketAddr,
    place: Option<Place>,
    /// Told when it proved itself.
    admitted: watch::Sender<bool>,
    channels: Arc<Semaphore>,
    /// Sessions that began; a channel has one.
    begun: HashSet<ChannelId>,
}

impl Client {
    pub(super) fn new(
        shared: Arc<Shared>,
        from: SocketAddr,
        admitted: watch::Sender<bool>,
    ) -> Self {
        let channels = Arc::new(Semaphore::new(shared.settings.channels));
        Self {
            shared,
            from,
            place: None,
            admitted,
            channels,
            begun: HashSet::new(),
        }
    }

    async fn admit(&mut self, user: &str, password: &str) -> Result<Place, Refusal> {
        if user.len() > LONGEST || password.len() > LONGEST {
            return Err(Refusal("the user or the code is too long".to_owned()));
        }
        let visitor = Visitor {
            user: user.to_owned(),
            code: Secret::new(password.to_owned()),
            from: self.from,
        };
        self.shared.authorizer.admit(visitor).await
    }

    /// The right to one more channel, and where it leads.
    fn channel(&self) -> Option<(Place, OwnedSemaphorePermit)> {
        let permit = self.channels.clone().try_acquire_owned().ok()?;
        Some((self.place.clone()?, permit))
    }

    /// Answers a request that begins a session; one channel has one.
    fn begin(
        &mut self,
        channel: ChannelId,
        connection: &mut Connection,
    ) -> Result<(), russh::Error> {
        if self.begun.insert(channel) {
            connection.channel_success(channel)
        } else {
            connection.channel_failure(channel)
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            self.shared.observer.ended(place, self.from);
        }
    }
}

fn only_passwords() -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(MethodSet::from(&[MethodKind::Password][..])),
        partial_success: false,
    }
}

impl Handler for Client {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(only_passwords())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        match self.admit(user, password).await {
            Ok(place) => {
                self.shared.observer.began(&place, self.from);
                self.place = Some(place);
                self.admitted.send_replace(true);
                Ok(Auth::Accept)
            }
            Err(Refusal(reason)) => {
                let user: String = user.chars().take(100).collect();
                tracing::warn!(from = %self.from, user, reason, "refused an SSH session");
                Ok(only_passwords())
            }
        }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        let Some((place, permit)) = self.channel() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let session = Session {
            engine: self.shared.engine.clone(),
            container: place.container_id,
            handle: connection.handle(),
        };
        reply.accept().await;
        self.shared.supervisor.once(async move {
            session.serve(channel).await;
            drop(permit);
        });
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host_to_connect: &str,
        port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        let Some((place, permit)) = self.channel() else {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        };
        let port = u16::try_from(port_to_connect).ok().filter(|port| *port > 0);
        let host = host_to_connect;
        // A name that begins with a dash would be an option.
        let is_host = !host.is_empty() && host.len() <= 255 && !host.starts_with('-');
        let Some(port) = port.filter(|_| is_host && !host.contains('\0')) else {
            reply.reject(ChannelOpenFailure::ConnectFailed).await;
            return Ok(());
        };
        let forward = Forward {
            engine: self.shared.engine.clone(),
            container: place.container_id,
            host: host.to_owned(),
            port,
        };
        self.shared.supervisor.once(async move {
            forward.serve(channel, reply).await;
            drop(permit);
        });
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _term: &str,
        _columns: u32,
        _rows: u32,
        _width: u32,
        _height: u32,
        _modes: &[(Pty, u32)],
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        connection.channel_success(channel)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        _name: &str,
        _value: &str,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        connection.channel_success(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        self.begin(channel, connection)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        self.begin(channel, connection)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        if name == SFTP {
            self.begin(channel, connection)
        } else {
            connection.channel_failure(channel)
        }
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _protocol: &str,
        _cookie: &str,
        _screen: u32,
        connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        connection.channel_failure(channel)
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _connection: &mut Connection,
    ) -> Result<(), Self::Error> {
        self.begun.remove(&channel);
        Ok(())
    }
}
