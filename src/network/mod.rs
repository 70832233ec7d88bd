//! Who may talk to whom: security groups and network policies, enforced for the containers of instances,
//! tasks and builds.
//!
//! - What is allowed comes from rows ([`Source`]); who has which address from the daemon, and from those who
//!   are about to start a container ([`Firewall::admit`]), so that its rules are there before it runs.
//! - Both become one table of nftables (`ruleset`, pure), which replaces the one before it as a whole. It has
//!   its own name and matches the platform's own bridges alone: other containers and programs on the machine
//!   are never affected, and nothing but this table is ever changed.
//! - A small container with the machine's network (`helper`) runs `nft`, so that cflite needs no rights besides
//!   the Docker socket. It comes from the stack's image.
//! - The table only restricts: what it lets pass still has to pass the rules of Docker and of the machine.
//! - Rules stay when cflite ends, as the containers do; [`remove`] takes them away.
//!
//! Where the machine cannot enforce them, [`Status`] says so and containers run without.
//!
//! How apps, the platform and this machine find each other is [`dns`].

mod addresses;
pub mod dns;
mod firewall;
mod helper;
mod inner;
mod ruleset;
mod security;
mod settings;
#[cfg(test)]
mod tests;
mod wanted;
mod worker;

pub use firewall::Firewall;
pub use helper::remove;
pub use security::{PortRange, Rule, RuleProtocol};
pub use settings::{Enforcement, HelperImage, Parts, Settings, Status};
pub use wanted::{Policy, PolicyProtocol, Source, SpaceGroups, Wanted};
