//! Where the parts of the platform are, as one caller can reach them.

use serde_json::{Value, json};

use crate::cloud_controller::on_board::Part;
use crate::cloud_controller::state::CloudController;

use crate::net::RequestBase;

/// The addresses as one caller can reach them.
pub(super) struct Links<'a> {
    cc: &'a CloudController,
    base: Option<&'a RequestBase>,
}

impl<'a> Links<'a> {
    pub(super) fn new(cc: &'a CloudController, base: Option<&'a RequestBase>) -> Self {
        Self { cc, base }
    }

    /// The address the caller asked.
    pub(super) fn own(&self) -> String {
        self.base.map_or_else(
            || self.cc.settings().default_base.clone(),
            RequestBase::origin,
        )
    }

    /// Another name of the platform.
    pub(super) fn named(&self, name: &str) -> String {
        let settings = self.cc.settings();
        self.base.map_or_else(
            || settings.default_base.clone(),
            |base| base.origin_of(name, &settings.system_domain),
        )
    }

    /// The host of another name of the platform, without a port.
    fn host(&self, name: &str) -> String {
        let named = url::Url::parse(&self.named(name)).ok();
        let host = named.as_ref().and_then(url::Url::host_str);
        host.map_or_else(
            || format!("{name}.{}", self.cc.settings().system_domain),
            str::to_owned,
        )
    }

    fn has(&self, part: Part) -> bool {
        self.cc.settings().on_board.parts.contains(&part)
    }

    pub(super) fn firehose(&self) -> Option<String> {
        self.has(Part::Firehose)
            .then(|| self.named("doppler").replacen("http", "ws", 1))
    }

    pub(super) fn log_stream(&self) -> Option<String> {
        self.has(Part::LogStream).then(|| self.named("log-stream"))
    }

    pub(super) fn routing(&self) -> Option<String> {
        self.has(Part::Routing)
            .then(|| format!("{}/routing", self.own()))
    }

    pub(super) fn network_policies(&self) -> Option<String> {
        self.has(Part::NetworkPolicies)
            .then(|| format!("{}/networking/v1/external", self.own()))
    }

    /// As Cloud Controller presents it.
    pub(super) fn ssh(&self) -> Value {
        let Some(door) = &self.cc.settings().on_board.ssh else {
            return Value::Null;
        };
        json!({
            "href": format!("{}:{}", self.host("ssh"), door.port),
            "meta": {
                "host_key_fingerprint": door.host_key_fingerprint,
                "oauth_client": door.oauth_client,
            },
        })
    }
}

/// A link; null when there is nothing to link to.
pub(super) fn link(href: Option<String>) -> Value {
    href.map_or(Value::Null, |href| json!({ "href": href }))
}
