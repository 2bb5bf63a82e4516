//! Which key exchange each server took last, so that the first try is the right one.
//!
//! A PostgreSQL takes P-256 alone unless told otherwise (`ssl_ecdh_curve`, before 18), which is not what
//! we try first; each connection would begin with a retry (RFC 8446, section 4.1.4). Deliberately keeps
//! no session: a resumed one would skip the check of the server's certificate.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// How many servers are remembered; then all are forgotten. A wrong hint costs the retry.
const SERVERS_MAX: usize = 1024;

/// What was taken, by the server's name.
#[derive(Debug, Default)]
pub(super) struct Hints(Mutex<HashMap<ServerName<'static>, NamedGroup>>);

impl Hints {
    fn known(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, NamedGroup>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Hints {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        let mut known = self.known();
        if known.len() >= SERVERS_MAX && !known.contains_key(&server) {
            known.clear();
        }
        known.insert(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.known().get(&server.to_owned()).copied()
    }

    fn set_tls12_session(&self, _server: ServerName<'static>, _value: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _server: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _server: ServerName<'static>, _value: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(number: usize) -> ServerName<'static> {
        ServerName::try_from(format!("db{number}")).unwrap()
    }

    #[test]
    fn the_last_answer_is_kept_and_servers_without_end_are_not() {
        let hints = Hints::default();
        assert_eq!(hints.kx_hint(&server(0)), None);
        for group in [NamedGroup::X25519, NamedGroup::secp256r1] {
            hints.set_kx_hint(server(0), group);
            assert_eq!(hints.kx_hint(&server(0)), Some(group));
        }
        for number in 0..3 * SERVERS_MAX {
            hints.set_kx_hint(server(number), NamedGroup::X25519);
            assert!(hints.known().len() <= SERVERS_MAX);
        }
    }
}
