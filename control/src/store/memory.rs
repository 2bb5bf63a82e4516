//! The store in memory: for tests, above all under virtual time, where a database's threads would
//! make tokio believe that nothing is going on.
//!
//! Forgets everything. Can be told to fail, as a store does whose disk is gone, and to hang, as one
//! does whose disk says nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policies::SessionId;
use tokio::sync::{Notify, watch};

use super::{AppendError, Receipt, Store, StoreError, garbled};
use crate::change::{Draft, Entry, Revision};
use crate::ledger::chain::{GENESIS, Stored, link};
use crate::ledger::{Event, Happening, RecordingState, Session, SessionFilter};

/// A store in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    book: Mutex<Book>,
    grown: Notify,
    silent: AtomicBool,
    hung: watch::Sender<bool>,
    /// Whether intents to sign are held up, and how many are.
    signing: watch::Sender<(bool, u32)>,
}

#[derive(Debug, Default)]
struct Book {
    log: Vec<Entry>,
    ledger: Vec<Stored>,
    sessions: BTreeMap<SessionId, Session>,
}

impl MemoryStore {
    /// Makes every call fail from here on, or work again.
    pub fn fail(&self, silent: bool) {
        self.shared.silent.store(silent, Ordering::SeqCst);
    }

    /// Makes every call wait from here on, or go on.
    pub fn hang(&self, hung: bool) {
        self.shared.hung.send_replace(hung);
    }

    /// Makes every intent to sign a certificate wait from here on, and nothing else; or go on.
    pub fn hold_signing(&self, held: bool) {
        self.shared.signing.send_modify(|signing| signing.0 = held);
    }

    /// Returns when an intent to sign is held up.
    pub async fn is_signing(&self) {
        let mut signing = self.shared.signing.subscribe();
        drop(signing.wait_for(|(_held, waiting)| *waiting > 0).await);
    }

    /// Returns when these may be written down.
    async fn signs(&self, events: &[Event]) {
        let is_intent =
            |event: &Event| matches!(event.happening, Happening::CertificateIntended { .. });
        if !events.iter().any(is_intent) {
            return;
        }
        let mut signing = self.shared.signing.subscribe();
        let count = |signing: &mut (bool, u32)| signing.1 = signing.1.saturating_add(1);
        self.shared.signing.send_modify(count);
        drop(signing.wait_for(|(held, _waiting)| !held).await);
    }

    /// Returns when the store does not hang.
    async fn turn(&self) {
        let mut hung = self.shared.hung.subscribe();
        // The sender is ours: it cannot be gone.
        drop(hung.wait_for(|hung| !hung).await);
    }

    fn book(&self) -> Result<MutexGuard<'_, Book>, StoreError> {
        if self.shared.silent.load(Ordering::SeqCst) {
            Err(StoreError::Silent)
        } else {
            Ok(self
                .shared
                .book
                .lock()
                .unwrap_or_else(PoisonError::into_inner))
        }
    }
}

impl Book {
    fn head(&self) -> Revision {
        self.log
            .last()
            .map_or(Revision::EMPTY, |entry| entry.revision)
    }

    fn record(&mut self, event: &Event) -> Result<(), StoreError> {
        let body = serde_json::to_string(event).map_err(garbled("an event"))?;
        let before = self
            .ledger
            .last()
            .map_or((0, GENESIS), |line| (line.seq, line.digest));
        let seq = before.0.saturating_add(1);
        self.ledger.push(Stored {
            seq,
            digest: link(&before.1, seq, body.as_bytes()),
            body,
        });
        if let Happening::SessionOpened { session } = &event.happening {
            self.sessions.insert(session.id, (**session).clone());
        }
        if let Happening::SessionClosed { session, end } = &event.happening
            && let Some(row) = self.sessions.get_mut(session)
        {
            row.end = Some((**end).clone());
        }
        if let Happening::RecordingRecovered { session, root } = &event.happening
            && let Some(end) = self
                .sessions
                .get_mut(session)
                .and_then(|row| row.end.as_mut())
        {
            let root = Some(root.clone());
            end.recording = RecordingState::CutShort { root };
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    async fn append(&self, after: Revision, draft: Draft) -> Result<Revision, AppendError> {
        self.turn().await;
        let mut book = self.book().map_err(AppendError::Store)?;
        let head = book.head();
        if head != after {
            return Err(AppendError::Conflict { head });
        }
        let revision = head.next();
        let body = serde_json::to_string(&draft).map_err(garbled("a change"));
        let body = body.map_err(AppendError::Store)?;
        let event = Event::log_appended(draft.at, revision, &body);
        book.record(&event).map_err(AppendError::Store)?;
        book.log.push(Entry { revision, draft });
        drop(book);
        self.shared.grown.notify_one();
        Ok(revision)
    }

    async fn read(&self, seen: Revision, limit: u32) -> Result<Vec<Entry>, StoreError> {
        self.turn().await;
        let book = self.book()?;
        let after = book.log.iter().filter(|entry| entry.revision > seen);
        Ok(after
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect())
    }

    async fn bodies(
        &self,
        seen: Revision,
        limit: u32,
    ) -> Result<Vec<(Revision, String)>, StoreError> {
        let entries = self.read(seen, limit).await?;
        let text = |entry: &Entry| {
            let body = serde_json::to_string(&entry.draft).map_err(garbled("a change"))?;
            Ok((entry.revision, body))
        };
        entries.iter().map(text).collect()
    }

    async fn wait(&self) {
        self.shared.grown.notified().await;
    }

    fn head(&self) -> Revision {
        // Known without asking a disk, as with a database.
        let book = self.shared.book.lock();
        book.unwrap_or_else(PoisonError::into_inner).head()
    }

    async fn probe(&self) -> Result<Revision, StoreError> {
        self.turn().await;
        self.book().map(|book| book.head())
    }

    async fn submit(&self, events: Vec<Event>) -> Result<Receipt, StoreError> {
        self.turn().await;
        self.signs(&events).await;
        let mut book = self.book()?;
        events.iter().try_for_each(|event| book.record(event))?;
        Ok(Receipt::durable())
    }

    async fn queue(&self, events: Vec<Event>) -> Result<(), StoreError> {
        self.submit(events).await.map(drop)
    }

    fn is_failing(&self) -> bool {
        self.shared.silent.load(Ordering::SeqCst)
    }

    fn parked(&self) -> u64 {
        0
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        self.turn().await;
        Ok(self.book()?.sessions.get(&id).cloned())
    }

    async fn sessions(&self, filter: &SessionFilter) -> Result<Vec<Session>, StoreError> {
        self.turn().await;
        let book = self.book()?;
        let fits = book
            .sessions
            .values()
            .rev()
            .filter(|session| filter.fits(session));
        let limit = filter.page();
        Ok(fits
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect())
    }

    async fn session_ids(&self, filter: &SessionFilter) -> Result<Vec<SessionId>, StoreError> {
        let found = self.sessions(filter).await?;
        Ok(found.iter().map(|session| session.id).collect())
    }

    async fn filed(&self, ids: &[SessionId]) -> Result<Vec<Session>, StoreError> {
        self.turn().await;
        let book = self.book()?;
        let found = ids.iter().filter_map(|id| book.sessions.get(id));
        Ok(found.cloned().collect())
    }

    async fn last_line(&self) -> Result<Option<Stored>, StoreError> {
        self.turn().await;
        Ok(self.book()?.ledger.last().cloned())
    }

    async fn lines(&self, seen: u64, limit: u32) -> Result<Vec<Stored>, StoreError> {
        self.turn().await;
        let book = self.book()?;
        let after = book.ledger.iter().filter(|line| line.seq > seen);
        Ok(after
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect())
    }
}
