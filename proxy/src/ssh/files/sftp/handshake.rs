//! The greeting, and its answer: which version is spoken, and so what a packet means, only the answer says.

use super::packet::{self, Request, Unclear};

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Handshake {
    #[default]
    Nothing,
    Sent,
    Answered,
}

impl Handshake {
    /// Takes a request of the client, and says whether it is the greeting, with this version. Nothing else is taken
    /// before the target has answered that.
    pub(super) fn asks(&mut self, version: u32, request: &Request<'_>) -> Result<bool, Unclear> {
        match (request, *self) {
            (Request::Init, Self::Nothing) if version >= packet::VERSION => {
                *self = Self::Sent;
                Ok(true)
            }
            (Request::Init, Self::Nothing) => Err(Unclear::Version(version)),
            (Request::Init, _) | (_, Self::Nothing | Self::Sent) => Err(Unclear::Turn),
            (_, Self::Answered) => Ok(false),
        }
    }

    /// Takes the target's answer.
    pub(super) fn is_answered(&mut self) -> Result<(), Unclear> {
        if std::mem::replace(self, Self::Answered) == Self::Sent {
            Ok(())
        } else {
            Err(Unclear::Turn)
        }
    }
}
