//! Why something was not done over a connection of our own.

use control::roles::RoleFault;
use policies::Login;
use policies::words::elevation::Unfit;
use policies::words::entrance;

use crate::postgres::wire;
use crate::session::protocol::ConnectError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// We did not get in, or the connection broke.
    #[error("reach the server as `{admin}`")]
    Connect {
        /// As whom.
        admin: Login,
        /// What went wrong.
        source: ConnectError,
    },
    /// Its hosts answer as standbys only, or not at all.
    #[error("none of its hosts is a primary just now ({standbys} answer as standbys)")]
    NoPrimary {
        /// How many answer.
        standbys: usize,
    },
    /// Behind the address is another server than the session's, or it cannot be told.
    #[error("another server answers than the one that the session was at")]
    Elsewhere,
    /// It took too long.
    #[error("the server does not answer in time")]
    Slow,
    /// There is more of what was asked for than is looked at.
    #[error("the server has more of them than are looked at")]
    Many,
    /// The server refused a query.
    #[error("the server says: {}: {message}{}", state(.sqlstate), advice(.sqlstate))]
    Said {
        /// The SQLSTATE.
        sqlstate: Vec<u8>,
        /// What it said.
        message: String,
    },
    /// The connection ended in the middle of it.
    #[error("the connection to the server broke off")]
    Broken,
    /// It answered what makes no sense.
    #[error("the server's answer makes no sense")]
    Nonsense,
    /// The role's own server processes did not end.
    #[error("{left} of its server processes do not end")]
    Alive {
        /// How many.
        left: usize,
    },
    /// An existing role is not elevated, or a group not lent.
    #[error("{}", .0.sentence())]
    Unfit(Unfit),
    /// It has no rights any more, and cannot be dropped.
    #[error("it can do nothing any more, and is dropped once nothing names it; now these do: {by}")]
    Held {
        /// What names it, and whose that is.
        by: String,
    },
    /// What was found there could not be written down, so the role is kept.
    #[error("write down what it leaves behind")]
    Unkept(#[source] RoleFault),
    /// It is still there though the server says it was dropped.
    #[error("the role is still there")]
    StillThere,
}

/// How a server that has no sessions says that it lets nobody in (`src/backend/tcop/backend_startup.c`).
const EMPTY: [&str; 3] = ["starting up", "recovery mode", "accepting connections"];

/// What a refusal begins with that is not about settings: an alert of TLS, and classes of SQLSTATE.
const NOT_OF_SETTINGS: [&str; 6] = ["TLS", "28", "3D", "53", "57", "58"];

/// Whether a host is not there, or lets nobody in yet (`cannot_connect_now`: it starts, recovers or
/// ends; `src/backend/utils/errcodes.txt`).
pub(crate) fn is_absent(refused: &ConnectError) -> bool {
    if let ConnectError::Refused(said) = refused {
        return said.starts_with("57P03");
    }
    matches!(refused, ConnectError::Unreachable(_) | ConnectError::Io(_))
}

impl AdminError {
    /// What an `ErrorResponse` says.
    pub(super) fn said(body: &[u8]) -> Self {
        match wire::complaint(b'E', body) {
            Ok(said) => Self::Said {
                sqlstate: said.sqlstate.to_vec(),
                message: String::from_utf8_lossy(said.message).into_owned(),
            },
            Err(_cut_short) => Self::Nonsense,
        }
    }

    /// Whether there is no host, or one at which there are no sessions: it was not reached, or lets nobody in for
    /// another reason than that it is being shut down, when those that are there may go on for as long as they like.
    pub(in crate::postgres) fn is_of_no_host(&self) -> bool {
        let Self::Connect { source, .. } = self else {
            return false;
        };
        if let ConnectError::Refused(said) = source {
            return said.starts_with("57P03") && EMPTY.iter().any(|why| said.contains(why));
        }
        is_absent(source)
    }

    /// Whether another host may be the right one: this one is not there, or lets nobody in yet.
    pub(crate) fn may_be_elsewhere(&self) -> bool {
        let Self::Connect { source, .. } = self else {
            return matches!(self, Self::Slow);
        };
        is_absent(source)
    }

    /// Whether the settings that we named at the login may be why it came to nothing: a pooler refuses those that it
    /// does not know, each in its own words. Not where it is about who we are, which database, or how the server is.
    pub(super) fn may_be_of_what_is_said(&self) -> bool {
        let Self::Connect { source, .. } = self else {
            return false;
        };
        if let ConnectError::Refused(said) = source {
            return !NOT_OF_SETTINGS.iter().any(|begin| said.starts_with(begin));
        }
        matches!(source, ConnectError::Violation(_))
    }

    /// Whether the server may let us into another database though it does not into this one: it was there,
    /// and said no or more than anybody listens to, or was slow or broke off once we had reached it.
    pub(in crate::postgres) fn is_of_one_database(&self) -> bool {
        match self {
            Self::Connect { source, .. } => {
                matches!(
                    source,
                    ConnectError::Refused(_) | ConnectError::Violation(_)
                ) && !is_absent(source)
            }
            Self::Said { .. } | Self::Broken | Self::Nonsense | Self::Slow => true,
            Self::NoPrimary { .. }
            | Self::Elsewhere
            | Self::Many
            | Self::Alive { .. }
            | Self::Unfit(_)
            | Self::Held { .. }
            | Self::Unkept(_)
            | Self::StillThere => false,
        }
    }
}

fn state(sqlstate: &[u8]) -> String {
    String::from_utf8_lossy(sqlstate).into_owned()
}

/// What is to be done about it where what the server says does not tell (`out_of_memory`, which its locks are also
/// called; `src/backend/utils/errcodes.txt`).
fn advice(sqlstate: &[u8]) -> &'static str {
    match sqlstate {
        b"53200" => entrance::MORE_LOCKS,
        _other => "",
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn what_was_said_at_the_login_is_left_out_where_that_may_be_why_it_failed() {
        let of_settings = |said: &str| {
            let admin = Login::parse("tidegate_admin").unwrap();
            let source = ConnectError::Refused(said.to_owned());
            AdminError::Connect { admin, source }.may_be_of_what_is_said()
        };
        for said in [
            "08P01: unsupported startup parameter: jit",
            "42704: unrecognized configuration parameter \"jit\"",
            "0A000: Feature not supported",
        ] {
            assert!(of_settings(said), "{said}");
        }
        for said in [
            "TLS alert CertificateRequired",
            "28000: no pg_hba.conf entry",
            "53300: sorry, too many clients already",
            "58P01: could not access file",
        ] {
            assert!(!of_settings(said), "{said}");
        }
        assert!(!AdminError::Slow.may_be_of_what_is_said());
    }

    #[test]
    fn only_a_host_that_is_not_there_is_passed_over() {
        let refused = |said: &str| AdminError::Connect {
            admin: Login::parse("tidegate_admin").unwrap(),
            source: ConnectError::Refused(said.to_owned()),
        };
        let passed_over = |said: &str| refused(said).is_of_no_host();
        for empty in [
            "starting up",
            "in recovery mode",
            "not yet accepting connections",
            "not accepting connections",
        ] {
            assert!(passed_over(&format!(
                "57P03: the database system is {empty}"
            )));
        }
        assert!(!passed_over("57P03: the database system is shutting down"));
        assert!(!passed_over("57P03: das Datenbanksystem startet"));
        assert!(!passed_over("53300: sorry, too many clients already"));
        assert!(!AdminError::Slow.is_of_no_host());
        let broken = AdminError::Connect {
            admin: Login::parse("tidegate_admin").unwrap(),
            source: ConnectError::Io(io::ErrorKind::ConnectionReset.into()),
        };
        assert!(broken.is_of_no_host());
    }
}
