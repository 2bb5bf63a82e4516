//! The one file that asks the system for randomness.
//!
//! Everything else is handed bytes or a generator. It does not make keys: rcgen and the crypto
//! provider draw their own randomness for those.

use std::convert::Infallible;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use ca::rand_core::{TryCryptoRng, TryRng};

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

/// A generator for those who want one: each draw asks the system.
pub fn rng() -> SystemRng {
    SystemRng {
        system: SystemRandom::new(),
    }
}

/// The system's randomness as a generator.
#[derive(Debug)]
pub struct SystemRng {
    system: SystemRandom,
}

impl TryRng for SystemRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    #[expect(
        clippy::expect_used,
        reason = "getrandom(2) cannot fail once the system has booted; without randomness a key \
                  could be guessed, so nothing may go on"
    )]
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.system
            .fill(dst)
            .expect("the system gives random bytes");
        Ok(())
    }
}

impl TryCryptoRng for SystemRng {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<16>().unwrap(), bytes::<16>().unwrap());
        let mut rng = rng();
        assert_ne!(rng.try_next_u64().unwrap(), rng.try_next_u64().unwrap());
    }
}
