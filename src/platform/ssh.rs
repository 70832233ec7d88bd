//! The SSH server of a platform: its key, and who decides about its visitors.

use std::sync::Arc;

use anyhow::Context;

use super::parts::{Parts, Sockets};
use super::running::Running;
use crate::base::Supervisor;
use crate::cloud_controller::engines::SshAccess;
use crate::cloud_controller::on_board::SshDoor;
use crate::cloud_controller::state::CloudController;
use crate::ssh::{self, HostKey, Ssh};
use crate::uaa::SSH_CLIENT;

/// Name of the file with the host key in the data dir.
const HOST_KEY: &str = "ssh-host-key";

fn host_key(parts: &Parts) -> anyhow::Result<Option<HostKey>> {
    let config = &parts.config;
    if config.ssh_port.is_none() {
        return Ok(None);
    }
    Ok(Some(HostKey::open(&config.data_dir.join(HOST_KEY))?))
}

/// The host key, and what the API tells of the server; both `None` when nobody gets in by SSH.
pub(super) fn open(
    parts: &Parts,
    running: &Running,
) -> anyhow::Result<(Option<HostKey>, Option<SshDoor>)> {
    let key = host_key(parts)?;
    let door = door(running, key.as_ref());
    Ok((key, door))
}

fn door(running: &Running, key: Option<&HostKey>) -> Option<SshDoor> {
    Some(SshDoor {
        port: running.ssh_port?,
        host_key_fingerprint: key?.fingerprint(),
        oauth_client: SSH_CLIENT,
    })
}

/// Starts it, if it is on.
pub(super) fn start(
    supervisor: &Supervisor,
    parts: &Parts,
    cc: &CloudController,
    key: Option<HostKey>,
    sockets: &mut Sockets,
) -> anyhow::Result<()> {
    let Some(host_key) = key else { return Ok(()) };
    let access = Arc::new(SshAccess(cc.clone()));
    let ssh = Ssh::new(
        ssh::Parts {
            engine: parts.engine.clone(),
            authorizer: access.clone(),
            observer: access,
            host_key,
            settings: ssh::Settings::default(),
        },
        supervisor,
    );
    let sockets = std::mem::take(&mut sockets.ssh);
    for socket in &sockets {
        socket.set_nonblocking(true).context("SSH port")?;
    }
    ssh.start(sockets);
    Ok(())
}
