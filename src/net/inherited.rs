//! Listening sockets that this process got from its parent, as systemd passes them to a service
//! (`sd_listen_fds(3)`).
//!
//! Who holds the sockets keeps them open while the service restarts: connections wait instead of
//! being refused, and the service binds no port itself, so it needs no privilege for ports below
//! 1024. Sockets are told apart by their names (`FileDescriptorName=`); several may have one name,
//! such as one for IPv4 and one for IPv6.
//!
//! A socket that nobody would accept from is an error: its clients would wait for ever.

use std::collections::BTreeMap;
use std::net::TcpListener;

use listenfd::ListenFd;
use nix::sys::socket::{getsockopt, sockopt};

/// Sockets by their names.
#[derive(Debug, Default)]
pub struct Inherited(BTreeMap<String, Vec<TcpListener>>);

/// Why passed sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// There are more or fewer names than sockets.
    #[error("{sockets} sockets were passed with {names} names (LISTEN_FDNAMES)")]
    Names {
        /// Number of sockets.
        sockets: usize,
        /// Number of names.
        names: usize,
    },
    /// Nobody accepts from a socket of this name.
    #[error(
        "a socket with the name \"{name}\" was passed; known names are {known}: set FileDescriptorName="
    )]
    Unknown {
        /// Its name.
        name: String,
        /// Names that are known.
        known: String,
    },
    /// It is no TCP socket that listens.
    #[error("the socket \"{name}\" is not a listening TCP socket: {reason}")]
    Unfit {
        /// Its name.
        name: String,
        /// What it is instead.
        reason: String,
    },
}

impl Inherited {
    /// Takes the sockets that were passed to this process, if any; `known` are the names that are
    /// used.
    ///
    /// Changes the environment, so that programs that this one starts take no sockets: to be called
    /// before other threads run.
    pub fn take(known: &[&str]) -> Result<Self, InheritError> {
        // Names without sockets for this process are another process's.
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        if passed.len() == 0 {
            return Ok(Self::default());
        }
        let names = names_of(&names, passed.len(), known)?;
        let mut found = Self::default();
        for (index, name) in names.into_iter().enumerate() {
            let unfit = |reason: String| InheritError::Unfit {
                name: name.clone(),
                reason,
            };
            let socket = { passed.take_tcp_listener(index) }
                .map_err(|error| unfit(error.to_string()))?
                .ok_or_else(|| unfit("it was taken already".to_owned()))?;
            let listens = getsockopt(&socket, sockopt::AcceptConn);
            if !listens.map_err(|error| unfit(error.to_string()))? {
                return Err(unfit("it does not listen".to_owned()));
            }
            found.0.entry(name).or_default().push(socket);
        }
        Ok(found)
    }

    /// Removes the sockets of this name; none when none was passed.
    pub fn remove(&mut self, name: &str) -> Vec<TcpListener> {
        self.0.remove(name).unwrap_or_default()
    }
}

/// The name of each of `sockets` sockets in `LISTEN_FDNAMES`.
fn names_of(names: &str, sockets: usize, known: &[&str]) -> Result<Vec<String>, InheritError> {
    let names: Vec<String> = names.split(':').map(str::to_owned).collect();
    if names.len() != sockets {
        return Err(InheritError::Names {
            sockets,
            names: names.len(),
        });
    }
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(InheritError::Unknown {
            name: name.clone(),
            known: known.join(", "),
        }),
        None => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_has_a_known_name() {
        let names = |text: &str, sockets| {
            let names = names_of(text, sockets, &["http", "https"]);
            names.map_err(|error| error.to_string())
        };
        assert_eq!(names("http", 1).expect("named"), ["http"]);
        let all = ["http", "https", "http"];
        assert_eq!(names("http:https:http", 3).expect("named"), all);
        let error = names("http", 2).expect_err("one name is missing");
        assert!(error.contains("2 sockets"), "{error}");
        for unknown in ["", "cflite-http.socket", "HTTP"] {
            let error = names(unknown, 1).expect_err("unknown");
            assert!(error.contains("http, https"), "{error}");
        }
    }
}
