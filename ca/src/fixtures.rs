//! What the tests of this crate share: dice that always fall alike, and a journal in memory.

use std::convert::Infallible;
use std::sync::Mutex;

use crate::rand_core::{TryCryptoRng, TryRng};
use crate::{Intent, Journal, JournalError, Outcome, Serial};

/// Numbers that are the same in every run (SplitMix64). For tests alone.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u64()?.to_le_bytes()[0];
        }
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

/// Remembers what it is told.
#[derive(Debug, Default)]
pub(crate) struct Notebook {
    pub(crate) intents: Mutex<Vec<Intent>>,
    pub(crate) outcomes: Mutex<Vec<(Serial, Outcome)>>,
    /// Whether `intend` and `conclude` fail.
    pub(crate) broken: (bool, bool),
}

impl Journal for Notebook {
    async fn intend(&self, intent: &Intent) -> Result<(), JournalError> {
        if self.broken.0 {
            return Err(JournalError::new("the disk is full"));
        }
        self.intents.lock().unwrap().push(intent.clone());
        Ok(())
    }

    async fn conclude(&self, serial: &Serial, outcome: &Outcome) -> Result<(), JournalError> {
        if self.broken.1 {
            return Err(JournalError::new("the disk is full"));
        }
        self.outcomes
            .lock()
            .unwrap()
            .push((*serial, outcome.clone()));
        Ok(())
    }
}
