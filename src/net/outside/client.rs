//! Clients for servers on other machines.

use std::sync::{Arc, OnceLock};

use reqwest::{Client, ClientBuilder, redirect};
use url::Url;

use super::Patience;
use super::address::{GuardedResolver, Reach};
use crate::net::http_client;

const REDIRECTS: usize = 5;

/// Clients are made when they are first needed: reading the certificates of this machine's store
/// takes time and memory.
pub fn first_use(
    held: &OnceLock<Client>,
    build: impl FnOnce() -> reqwest::Result<Client>,
) -> Result<Client, String> {
    if let Some(client) = held.get() {
        return Ok(client.clone());
    }
    let client = build().map_err(|error| root_cause(&error))?;
    Ok(held.get_or_init(|| client).clone())
}

fn builder(patience: Patience) -> ClientBuilder {
    http_client::builder()
        .connect_timeout(patience.connect)
        .read_timeout(patience.idle)
        .user_agent(concat!("cflite/", env!("CARGO_PKG_VERSION")))
}

/// A client for hosts that others name: they and the redirects must be within reach.
pub fn guarded(patience: Patience, reach: Reach) -> reqwest::Result<Client> {
    let resolver = GuardedResolver {
        reach,
        exempt: None,
    };
    builder(patience)
        .dns_resolver(Arc::new(resolver))
        .redirect(redirects(reach, Exempt::Forbidden))
        .build()
}

/// The configuration may name addresses that are forbidden else, and such a place may redirect to
/// others.
pub fn trusted(patience: Patience, reach: Reach) -> reqwest::Result<Client> {
    let redirects = redirects(reach, Exempt::Forbidden);
    builder(patience).redirect(redirects).build()
}

/// A client for one server that is known by name, wherever it is; redirects lead to the same server
/// or stay within reach.
pub fn named(patience: Patience, reach: Reach, server: &Url) -> reqwest::Result<Client> {
    let resolver = GuardedResolver {
        reach,
        exempt: server.host_str().map(str::to_owned),
    };
    builder(patience)
        .dns_resolver(Arc::new(resolver))
        .redirect(redirects(reach, Exempt::Own))
        .build()
}

/// Which redirects may lead anywhere.
#[derive(Clone, Copy)]
enum Exempt {
    /// Those of a server that is itself out of reach: the configuration names it.
    Forbidden,
    /// Those to the same server.
    Own,
}

/// A redirect leads nowhere that must not be asked.
fn redirects(reach: Reach, exempt: Exempt) -> redirect::Policy {
    redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECTS {
            return attempt.error("too many redirects");
        }
        let is_exempt = attempt
            .previous()
            .first()
            .is_some_and(|first| match exempt {
                Exempt::Forbidden => reach.forbids_url(first).is_some(),
                Exempt::Own => first.origin() == attempt.url().origin(),
            });
        match reach.forbids_url(attempt.url()).filter(|_| !is_exempt) {
            Some(why) => attempt.error(format!("a redirect is refused: {why}")),
            None => attempt.follow(),
        }
    })
}

/// The innermost cause: those around it only say that a request failed, and repeat the URL.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
