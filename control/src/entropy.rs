//! The one file that asks the system for randomness.
//!
//! Everything else is handed bytes. It does not make keys: rcgen and the crypto provider draw their
//! own randomness for those.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};

/// The system could not give random bytes. Nothing that needs an unguessable name may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("draw random bytes from the system")]
pub struct EntropyError;

/// Draws `N` random bytes from the system.
///
/// # Errors
///
/// [`EntropyError`] when the system refuses, which it does not do on a running Linux.
pub fn bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_unspecified| EntropyError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<16>().unwrap(), bytes::<16>().unwrap());
    }
}
