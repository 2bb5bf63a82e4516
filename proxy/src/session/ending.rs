//! How a session ended, before it is worded and written down.

use std::io;

use control::ledger::Cause;
use policies::words::reach::Summary;
use policies::words::session::{InFront, Missed, RefusedBy, Sqlstate, Unreachable};
use policies::words::{self, Shown, Words};
use policies::{Entry, Protocol, SeverReason, Terms};
use recorder::{AppendError, End};
use tracing::{debug, error, warn};

use super::chain;
use super::dial::DialError;
use super::protocol::{Closed, ConnectError};

/// How much of a reason is kept in a recording, in characters.
const WHY_MAX: usize = 4_000;

/// How a session ended.
#[derive(Debug)]
pub enum Ending {
    /// By us.
    Severed(SeverReason),
    /// Before it began: the target could not be had.
    Failed(ConnectError),
    /// By a peer.
    Closed(Closed),
    /// By nobody: the task that ran it is gone.
    Dropped,
}

impl From<Result<Closed, ConnectError>> for Ending {
    fn from(done: Result<Closed, ConnectError>) -> Self {
        match done {
            Ok(Closed::Recorder(refused)) | Err(ConnectError::Recorder(refused)) => {
                warn!(reason = %chain(&refused), "recording.failed");
                Self::Severed(unrecorded(&refused))
            }
            Ok(closed) => {
                debug!(?closed, "session.closed");
                Self::Closed(closed)
            }
            Err(refused @ ConnectError::Setting(_)) => {
                debug!(reason = %refused, "client.began_otherwise");
                Self::Failed(refused)
            }
            Err(refused) => {
                let reason = chain(&refused);
                if refused.is_impostor() {
                    error!(reason, "target.impostor");
                } else {
                    warn!(reason, "target.failed");
                }
                Self::Failed(refused)
            }
        }
    }
}

/// Why a session ends whose recording takes no more.
pub(crate) fn unrecorded(refused: &AppendError) -> SeverReason {
    match refused {
        AppendError::Grown => SeverReason::RecordingGrown,
        AppendError::NoSpace
        | AppendError::Write(_)
        | AppendError::Large { .. }
        | AppendError::Frame(_)
        | AppendError::Sealed
        | AppendError::Torn => SeverReason::RecorderFailed,
    }
}

impl Ending {
    /// What the client is to be told, if anything.
    pub fn farewell(&self, terms: &Terms) -> Option<Words> {
        match self {
            Self::Severed(reason) => Some(
                words::Ending {
                    reason,
                    target: &terms.target.name,
                    login: &terms.login,
                }
                .words(),
            ),
            Self::Failed(refused) => missed(refused, terms),
            Self::Closed(_) | Self::Dropped => None,
        }
    }

    /// What the recording says.
    pub fn as_end(&self, terms: &Terms) -> End {
        match self {
            Self::Severed(reason) => severed(reason),
            Self::Failed(refused) => {
                let words = missed(refused, terms).unwrap_or_else(words::session::abandoned);
                End::Failed {
                    code: words.code.to_owned(),
                    why: brief(words.what),
                }
            }
            Self::Closed(Closed::Violation(what)) => End::Failed {
                code: words::session::VIOLATION.to_owned(),
                why: (*what).to_owned(),
            },
            Self::Closed(Closed::Broken(words)) => End::Failed {
                code: words.code.to_owned(),
                why: brief(words.what.clone()),
            },
            Self::Dropped => {
                let words = words::session::dropped();
                End::Failed {
                    code: words.code.to_owned(),
                    why: words.what,
                }
            }
            Self::Closed(_) => End::Complete,
        }
    }

    /// What the ledger says.
    pub fn as_cause(&self, terms: &Terms) -> Cause {
        match (self, self.as_end(terms)) {
            (Self::Severed(reason), _) => Cause::Severed {
                reason: reason.clone(),
            },
            (_, End::Failed { code, why }) => Cause::Failed { code, what: why },
            (_, End::Complete | End::Severed { .. } | End::CutShort) => Cause::Complete,
        }
    }

    /// The word for it in the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Severed(_) => "severed",
            Self::Failed(_) | Self::Closed(Closed::Broken(_) | Closed::Violation(_)) => "failed",
            Self::Closed(_) => "complete",
            Self::Dropped => "dropped",
        }
    }
}

/// The end that a recording has of this.
fn severed(reason: &SeverReason) -> End {
    let words = reason.words();
    End::Severed {
        code: words.code.to_owned(),
        why: brief(words.what),
    }
}

/// As much of a reason as is kept. Whoever wrote the policies says why in as many words as they like, and an end that is
/// too long could be read by nobody.
fn brief(mut why: String) -> String {
    if let Some((end, _next)) = why.char_indices().nth(WHY_MAX) {
        why.truncate(end);
        why.push('…');
    }
    why
}

/// What of it whoever has the session is told, reads in its recording, and finds in the list of sessions: no
/// address, which only those who manage targets see. All of it is in the server's own log.
fn missed(refused: &ConnectError, terms: &Terms) -> Option<Words> {
    if let ConnectError::Setting(words) = refused {
        return Some(words.clone());
    }
    let (why, target) = (unreachable(refused, terms)?, &terms.target.name);
    Some(Missed { why, target }.words())
}

/// As much of it as the client may know.
fn unreachable(refused: &ConnectError, terms: &Terms) -> Option<Unreachable> {
    match refused {
        ConnectError::Unreachable(DialError::Unresolved { .. }) => Some(Unreachable::Unresolved),
        ConnectError::Unreachable(DialError::Unreached { tried, .. }) => {
            Some(Unreachable::Down(Summary::of(tried)))
        }
        ConnectError::Io(broke) => Some(parted(broke)),
        ConnectError::Hop { source, .. } => behind(source).map(Unreachable::Behind),
        ConnectError::Impostor(_) | ConnectError::Unproven(_) => Some(Unreachable::Impostor),
        ConnectError::Handshake(fault) => Some(Unreachable::Handshake(*fault)),
        ConnectError::NoAlgorithm { .. } => Some(Unreachable::NoAlgorithm),
        ConnectError::Refused(said) if is_busy(said) => Some(Unreachable::Busy),
        ConnectError::Refused(said) if terms.protocol == Protocol::Postgres => {
            Some(refused_by(said, terms.target.entry()))
        }
        ConnectError::Refused(_) if !terms.target.entry().is_certificate() => {
            Some(Unreachable::Outworn(terms.target.entry()))
        }
        ConnectError::Refused(_) => Some(Unreachable::Refused),
        ConnectError::Violation(_) | ConnectError::Onward { .. } => Some(Unreachable::Nonsense),
        ConnectError::Unreadable => Some(Unreachable::Unreadable),
        ConnectError::Unsuited { wanted, .. } => Some(Unreachable::Unsuited(*wanted)),
        ConnectError::Issue(_) => Some(Unreachable::NoCertificate),
        ConnectError::Role(_) => Some(Unreachable::NoRole),
        ConnectError::Direct => Some(Unreachable::OnlyThrough),
        ConnectError::Misused(_) => Some(Unreachable::NotSsh),
        ConnectError::ClientGone | ConnectError::Recorder(_) | ConnectError::Setting(_) => None,
    }
}

/// How a connection went that had been made.
fn parted(broke: &io::Error) -> Unreachable {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    let kind = broke.kind();
    if kind == TimedOut {
        return Unreachable::Silent;
    }
    if [
        UnexpectedEof,
        ConnectionReset,
        ConnectionAborted,
        BrokenPipe,
    ]
    .contains(&kind)
    {
        return Unreachable::Broken;
    }
    Unreachable::Lost
}

/// What a database refuses that is entered so, by what it says. Of all that has an SQLSTATE one is about a kept password.
fn refused_by(said: &str, entry: Entry) -> Unreachable {
    let by = match Sqlstate::of(said) {
        _any if entry.is_certificate() => RefusedBy::of(said),
        Some(state) if !state.is_wrong_password() => RefusedBy::Otherwise(state),
        Some(_) | None => return Unreachable::Outworn(entry),
    };
    Unreachable::RefusedAt(by)
}

/// Whether a database server refuses everybody for now (`src/backend/utils/errcodes.txt`): it lacks room or connections
/// (class 53), or is starting or being stopped (57P01 to 57P03). Who is refused for what they showed hears of class 28.
fn is_busy(said: &str) -> bool {
    ["53", "57P0"].iter().any(|class| said.starts_with(class))
}

/// The same, where it was a target in front of it.
fn behind(refused: &ConnectError) -> Option<InFront> {
    match refused {
        ConnectError::Unreachable(_) | ConnectError::Io(_) => Some(InFront::Down),
        ConnectError::Onward { .. } => Some(InFront::Onward),
        ConnectError::Impostor(_) | ConnectError::Unproven(_) => Some(InFront::Impostor),
        ConnectError::Refused(_) => Some(InFront::Refused),
        ConnectError::Violation(_)
        | ConnectError::Handshake(_)
        | ConnectError::NoAlgorithm { .. }
        | ConnectError::Unreadable
        | ConnectError::Unsuited { .. }
        | ConnectError::Issue(_)
        | ConnectError::Role(_)
        | ConnectError::Direct
        | ConnectError::Misused(_)
        | ConnectError::Hop { .. } => Some(InFront::Broken),
        ConnectError::ClientGone | ConnectError::Recorder(_) | ConnectError::Setting(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_says_nothing_is_told_from_one_that_is_gone() {
        let of = |kind: io::ErrorKind| parted(&kind.into());
        assert_eq!(of(io::ErrorKind::TimedOut), Unreachable::Silent);
        assert_eq!(of(io::ErrorKind::ConnectionReset), Unreachable::Broken);
        assert_eq!(of(io::ErrorKind::HostUnreachable), Unreachable::Lost);
    }

    #[test]
    fn what_is_about_something_else_is_not_put_down_to_certificate_or_password() {
        let by = |by| Unreachable::RefusedAt(by);
        let otherwise = |said| by(RefusedBy::Otherwise(Sqlstate::of(said).unwrap()));
        let (no_database, no_line) = (
            "3D000: database \"hr\" does not exist",
            "28000: no pg_hba.conf entry for host",
        );
        let certificate = |said| refused_by(said, Entry::Certificate);
        assert_eq!(certificate(no_database), otherwise(no_database));
        assert_eq!(certificate(no_line), by(RefusedBy::Lines));
        assert_eq!(
            certificate("TLS alert CertificateExpired"),
            by(RefusedBy::Clock)
        );
        assert_eq!(certificate("TLS alert UnknownCA"), by(RefusedBy::Authority));
        let password = |said| refused_by(said, Entry::Password);
        assert_eq!(password(no_database), otherwise(no_database));
        assert_eq!(password(no_line), otherwise(no_line));
        for worn in [
            "28P01: password authentication failed for user \"app\"",
            "it did not prove that it knows the password",
        ] {
            assert_eq!(password(worn), Unreachable::Outworn(Entry::Password));
        }
    }

    #[test]
    fn a_reason_of_any_length_is_an_end_that_can_be_read() {
        for (letter, kept) in [("x", WHY_MAX), ("é", WHY_MAX)] {
            let reason = letter.repeat(70_000);
            let End::Severed { code, why } = severed(&SeverReason::PolicyChanged { reason }) else {
                panic!("it was severed");
            };
            assert_eq!((code.as_str(), why.chars().count()), ("TG207", kept + 1));
        }
        let short = severed(&SeverReason::Locked);
        let words = SeverReason::Locked.words();
        let (code, why) = (words.code.to_owned(), words.what);
        assert_eq!(short, End::Severed { code, why });
    }

    #[test]
    fn a_server_that_is_full_is_not_said_to_refuse_the_certificate() {
        for busy in [
            "53300: sorry, too many clients already",
            "53200: out of memory",
            "57P03: the database system is starting up",
        ] {
            assert!(is_busy(busy), "{busy}");
        }
        for refused in [
            "28000: certificate authentication failed",
            "3D000: database \"53\" does not exist",
            "TLS alert UnknownCA",
            "it does not accept what tidegate showed",
        ] {
            assert!(!is_busy(refused), "{refused}");
        }
    }
}
