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
