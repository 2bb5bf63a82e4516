//! Why a client's connection is not served any longer.

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
            Self::Overrun => Some("the client sent more than its windows allow"),
            Self::Flood => Some("the client asked for more than any program needs"),
            Self::Ssh(Russh::IO(_) | Russh::Disconnect | Russh::HUP | Russh::SendError) => None,
            Self::Ssh(Russh::SshEncoding(_) | Russh::Utf8(_)) => {
                Some("the client sent what cannot be read, such as text that is not UTF-8")
            }
            Self::Ssh(Russh::Pending) => Some("the client sent too much while keys were exchanged"),
            Self::Ssh(Russh::Join(_)) => Some("the client's connection could not be carried on"),
            Self::Ssh(_) => Some("the client did not keep to the protocol"),
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
