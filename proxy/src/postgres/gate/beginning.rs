//! What a client would begin with, asked about as if it came later.

use std::time::Duration;

use policies::words::postgres::Complaint;
use policies::words::{Shown as _, Words};

use super::{Bench, Gate, Passage, Standing};
use crate::postgres::wire::{message, put_text};

/// The only message of a session, to a server that waits for one.
const ALONE: Standing = Standing {
    begun: 0,
    is_idle: true,
    in_batch: false,
    is_parsed: false,
    next: 0,
};

impl Gate {
    /// Asks whether a session may begin with a setting, of which `statement` is what it is judged as; it is judged, and
    /// counted, as a client's own. Says what the client is told where not: nobody can be waited for at a beginning.
    pub(crate) async fn begins_with(
        &mut self,
        (name, statement): (&str, &str),
        bench: &impl Bench,
    ) -> Result<(), Words> {
        let mut asked = Vec::new();
        message(&mut asked, b'Q', |body| {
            put_text(body, statement.as_bytes());
        });
        let why = loop {
            match self.admit(&asked, ALONE, bench, Duration::ZERO) {
                Passage::All => return Ok(()),
                Passage::Enough(_place) => self.next_turn().await,
                Passage::Refused { refusal, .. } => break Some(refusal.words.what),
                // A question that is whole and alone comes to nothing but the first.
                Passage::Held { .. } | Passage::Until { .. } | Passage::Unsettled(_) => break None,
            }
        };
        let name = name.to_owned();
        Err(Complaint::Setting { name, why }.words())
    }
}
