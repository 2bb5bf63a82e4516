//! Why a client's connection is not served any longer.

use policies::words::offence;

/// Why the client's connection ends.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The client or its connection broke off.
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    /// The client sends more than its windows allow.
    #[error("the client ignores its windows")]
    Overrun,
    /// The client asks more of one channel, or for more channels, than any program needs.
    #[error("the client asks too much")]
    Flood,
}

impl DoorError {
    /// What the client did that its connection is ended for. None where it went by itself, or its connection broke off.
    pub fn offence(&self) -> Option<&'static str> {
        use russh::Error as Russh;
        match self {
            Self::Overrun => Some(offence::CLIENT_OVERRUN),
            Self::Flood => Some(offence::CLIENT_FLOOD),
            Self::Ssh(Russh::IO(_) | Russh::Disconnect | Russh::HUP | Russh::SendError) => None,
            Self::Ssh(Russh::SshEncoding(_) | Russh::Utf8(_)) => Some(offence::CLIENT_UNREADABLE),
            Self::Ssh(Russh::Pending) => Some(offence::CLIENT_PENDING),
            Self::Ssh(Russh::Join(_)) => Some(offence::CLIENT_LOST),
            Self::Ssh(_) => Some(offence::CLIENT_RULES),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn who_goes_or_whose_connection_breaks_off_has_done_nothing() {
        let went = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
        let went = went.map(|kind| russh::Error::IO(kind.into()));
        let left = [russh::Error::Disconnect, russh::Error::HUP];
        for failed in went.into_iter().chain(left) {
            assert_eq!(DoorError::from(failed).offence(), None);
        }
        for failed in [russh::Error::Pending, russh::Error::Inconsistent] {
            assert!(DoorError::from(failed).offence().is_some());
        }
    }
}
