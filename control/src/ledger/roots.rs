//! Which recording each session has, by the ledger: each line is read once, newest first, as far back as somebody
//! asked, and proven by the one after it.
//!
//! The table of sessions says the same and is under no chain. Knows no files.

use std::collections::BTreeMap;

use policies::SessionId;
use tokio::sync::Mutex;

use super::chain::{self, Digest, Stored, Walk};
use super::retreat::Retreat;
use super::{Event, Happening, tail};
use crate::store::{Store, StoreError};

/// How many lines are read at once.
const PAGE: u32 = 1_000;

/// What the ledger says of the recording of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It was sealed with this root.
    Sealed(Digest),
    /// It has none: the session goes on, or is over and its recording was not sealed so far.
    Unsealed,
    /// It knows no such session.
    Unheard,
    /// It is not what was written, and what it says of the session cannot be told from what was put there.
    Unproven {
        /// The line that is wrong, or the one after it.
        seq: u64,
    },
}

/// What was read so far.
#[derive(Debug, Default)]
pub(crate) struct Roots(Mutex<Option<Read>>);

/// The lines between two places, as far as they tell of sessions.
#[derive(Debug)]
struct Read {
    roots: BTreeMap<SessionId, Option<Digest>>,
    newest: (u64, Digest),
    /// The next line to be read, and the digest that it has to have; 0 where all were.
    next: (u64, Digest),
}

impl Roots {
    /// What the ledger says of this session. `signed` is a line that the authority signed, if there is one: whoever
    /// writes the chain anew is found by it.
    pub(crate) async fn of(
        &self,
        store: &impl Store,
        session: SessionId,
        signed: Option<(u64, Digest)>,
    ) -> Result<Recorded, StoreError> {
        if let Some(signed) = signed
            && !stands(store, signed).await?
        {
            return Ok(Recorded::Unproven { seq: signed.0 });
        }
        let mut went_on = false;
        loop {
            // For a page at a time: whoever asks about an old session would else have all others wait until the
            // whole ledger is read. The lock is handed on in turn.
            let mut held = self.0.lock().await;
            let read = match &mut *held {
                Some(read) => read,
                nothing => {
                    let end = tail::end(store).await?;
                    nothing.insert(Read::since(end))
                }
            };
            if !went_on && let Some(seq) = read.go_on(store).await? {
                return Ok(Recorded::Unproven { seq });
            }
            went_on = true;
            if let Some(recorded) = read.look_back(store, session).await? {
                return Ok(recorded);
            }
        }
    }
}

/// Whether this line is there with this digest.
async fn stands(store: &impl Store, (seq, digest): (u64, Digest)) -> Result<bool, StoreError> {
    if seq == 0 {
        return Ok(true);
    }
    let lines = store.lines(seq.saturating_sub(1), 1).await?;
    let mut there = lines.iter();
    Ok(there.any(|line| (line.seq, line.digest) == (seq, digest)))
}

impl Read {
    fn since(end: (u64, Digest)) -> Self {
        Self {
            roots: BTreeMap::new(),
            newest: end,
            next: end,
        }
    }

    /// Reads what was written since, and says at which line it does not follow, if it does not.
    async fn go_on(&mut self, store: &impl Store) -> Result<Option<u64>, StoreError> {
        if !stands(store, self.newest).await? {
            return Ok(Some(self.newest.0));
        }
        loop {
            let (last, head) = self.newest;
            let lines = store.lines(last, PAGE).await?;
            if lines.is_empty() {
                return Ok(None);
            }
            match chain::verify(last, head, &lines) {
                Walk::Whole { last, head } => self.newest = (last, head),
                Walk::Broken { seq } => return Ok(Some(seq)),
            }
            self.roots.extend(lines.iter().filter_map(told));
        }
    }

    /// What is known of the session, where its last line was read. Else one more page is, towards the beginning.
    async fn look_back(
        &mut self,
        store: &impl Store,
        session: SessionId,
    ) -> Result<Option<Recorded>, StoreError> {
        if let Some(known) = self.known(session) {
            return Ok(Some(known));
        }
        let mut retreat = Retreat::from(store, self.next);
        let page = retreat.page().await?;
        for (session, root) in page.iter().filter_map(told) {
            self.roots.entry(session).or_insert(root);
        }
        self.next = retreat.next();
        let broken = Recorded::Unproven { seq: self.next.0 };
        let known = self.known(session);
        Ok(known.or_else(|| retreat.is_broken().then_some(broken)))
    }

    fn known(&self, session: SessionId) -> Option<Recorded> {
        match self.roots.get(&session) {
            Some(Some(root)) => Some(Recorded::Sealed(*root)),
            Some(None) => Some(Recorded::Unsealed),
            None => (self.next.0 == 0).then_some(Recorded::Unheard),
        }
    }
}

/// Of which session a line tells, and which root it has.
fn told(line: &Stored) -> Option<(SessionId, Option<Digest>)> {
    let telling = ["session_opened", "session_closed", "recording_recovered"];
    if !telling.iter().any(|word| line.body.contains(word)) {
        return None;
    }
    let event = serde_json::from_str::<Event>(&line.body).ok()?;
    if let Happening::RecordingRecovered { session, root } = event.happening {
        return Some((session, chain::unhex(&root)));
    }
    if let Happening::SessionClosed { session, end } = event.happening {
        return Some((session, end.recording.root().and_then(chain::unhex)));
    }
    if let Happening::SessionOpened { session } = event.happening {
        return Some((session.id, None));
    }
    None
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ledger::RecordingState;
    use crate::ledger::tests::{end, session};
    use crate::store::MemoryStore;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    async fn write(store: &MemoryStore, happening: Happening) {
        let at = at(9);
        let receipt = store.submit(vec![Event { at, happening }]).await;
        receipt.unwrap().durably().await.unwrap();
    }

    async fn opened(store: &MemoryStore, second: i64) -> SessionId {
        let session = session(at(second));
        let id = session.id;
        let session = Box::new(session);
        write(store, Happening::SessionOpened { session }).await;
        id
    }

    async fn closed(store: &MemoryStore, session: SessionId, recording: RecordingState) {
        let recorded = crate::ledger::SessionEnd {
            recording,
            ..end(at(9))
        };
        let end = Box::new(recorded);
        write(store, Happening::SessionClosed { session, end }).await;
    }

    fn sealed(byte: u8) -> RecordingState {
        let root = chain::hex(&[byte; 32]);
        RecordingState::Sealed { root }
    }

    #[tokio::test]
    async fn the_newest_line_about_a_session_says_which_recording_it_has() {
        let (store, roots) = (MemoryStore::default(), Roots::default());
        let ids = [
            opened(&store, 1).await,
            opened(&store, 2).await,
            opened(&store, 3).await,
        ];
        let of = |session| roots.of(&store, session, None);
        let never = session(at(4)).id;
        assert_eq!(of(ids[0]).await.unwrap(), Recorded::Unsealed);
        assert_eq!(of(never).await.unwrap(), Recorded::Unheard);
        closed(&store, ids[0], sealed(1)).await;
        closed(&store, ids[1], RecordingState::Failed).await;
        assert_eq!(of(ids[0]).await.unwrap(), Recorded::Sealed([1; 32]));
        assert_eq!(of(ids[1]).await.unwrap(), Recorded::Unsealed);
        let (session, root) = (ids[1], chain::hex(&[2; 32]));
        write(&store, Happening::RecordingRecovered { session, root }).await;
        assert_eq!(of(ids[1]).await.unwrap(), Recorded::Sealed([2; 32]));
        // Somebody who reads it from its end finds the same.
        let roots = Roots::default();
        let of = |session| roots.of(&store, session, None);
        assert_eq!(of(ids[2]).await.unwrap(), Recorded::Unsealed);
        assert_eq!(of(ids[1]).await.unwrap(), Recorded::Sealed([2; 32]));
        assert_eq!(of(ids[0]).await.unwrap(), Recorded::Sealed([1; 32]));
        assert_eq!(of(never).await.unwrap(), Recorded::Unheard);
        let signed = Some((3, [7; 32]));
        let forged = roots.of(&store, ids[0], signed).await.unwrap();
        assert_eq!(forged, Recorded::Unproven { seq: 3 });
    }

    #[tokio::test]
    async fn whoever_asks_about_an_old_session_holds_up_nobody() {
        let (store, roots) = (MemoryStore::default(), Roots::default());
        let old = opened(&store, 1).await;
        let events = (0..5_000).map(|number: usize| Event {
            at: at(9),
            happening: Happening::Started {
                version: number.to_string(),
                newest_at: None,
            },
        });
        let receipt = store.submit(events.collect()).await;
        receipt.unwrap().durably().await.unwrap();
        let young = opened(&store, 2).await;
        // Both wait, the one for the disk and the other for the first.
        store.hang(true);
        let order = std::sync::Mutex::new(Vec::new());
        let ask = async |session| {
            let found = roots.of(&store, session, None).await;
            assert_eq!(found.unwrap(), Recorded::Unsealed);
            order.lock().unwrap().push(session);
        };
        let release = async {
            tokio::task::yield_now().await;
            store.hang(false);
        };
        tokio::join!(ask(old), ask(young), release);
        assert_eq!(*order.lock().unwrap(), [young, old]);
    }
}
