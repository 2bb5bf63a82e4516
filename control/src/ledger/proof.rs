//! The proof that ledger and log are what was written: the chain follows line by line, and every entry of
//! the log is the one whose digest the ledger has.
//!
//! Reads both from a position that was proven before, or from the beginning, and holds a page of each. Whoever rewrites the chain to its end is only
//! found by a head that was kept elsewhere: each start and stop logs one.

use policies::SessionId;

use super::chain::{self, Digest, Stored, Walk, sha256_hex};
use super::position::{Position, cover};
use super::{Event, Happening, listed};
use crate::change::Revision;
use crate::store::{Store, StoreError};

/// How many lines are read at once.
const PAGE: u32 = 1_000;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Whether the chain holds, and to where.
    pub chain: Walk,
    /// Where log and ledger differ first, if they do.
    pub log: Option<LogFault>,
    /// The first session that the list of them has otherwise than the ledger, or not at all.
    pub session: Option<Misfiled>,
    /// Where both end, if nothing is wrong with either.
    pub end: Option<Position>,
}

/// A session that the list of them has otherwise than it began, or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfiled {
    /// Which.
    pub session: SessionId,
    /// The line of the ledger with which it began.
    pub seq: u64,
}

/// How the log differs from what the ledger says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogFault {
    /// An entry is another one.
    #[error("entry {revision} of the log is not the one that was written")]
    Changed {
        /// Which.
        revision: Revision,
    },
    /// The ledger has an entry that the log has not.
    #[error("entry {revision} of the log is gone")]
    Gone {
        /// Which.
        revision: Revision,
    },
    /// It is not the log that the authority signed, though ledger and log agree.
    #[error("the log up to entry {revision} is not the one that was signed")]
    Rewritten {
        /// The last entry that was signed.
        revision: Revision,
    },
    /// The log has an entry that the ledger has not.
    #[error("entry {revision} was put into the log beside the ledger")]
    Unheard {
        /// Which.
        revision: Revision,
    },
}

impl Proof {
    /// Reads all of it, where nobody writes.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn of(store: &impl Store) -> Result<Self, StoreError> {
        Self::since(store, Position::START).await
    }

    /// Reads what comes after `from`, where nobody writes.
    pub(crate) async fn since(store: &impl Store, from: Position) -> Result<Self, StoreError> {
        let mut course = Course::new(store, from);
        while course.page(u64::MAX).await? {}
        course.end().await
    }
}

/// A proof that is under way.
#[derive(Debug)]
pub(crate) struct Course<'a, S> {
    store: &'a S,
    log: Log<'a, S>,
    last: u64,
    head: Digest,
    broken: Option<u64>,
    fault: Option<LogFault>,
    session: Option<Misfiled>,
    /// Whether the list of sessions is looked at as well.
    looks_at_list: bool,
}

impl<'a, S: Store> Course<'a, S> {
    /// Begins after `from`.
    pub(crate) fn new(store: &'a S, from: Position) -> Self {
        Self {
            store,
            log: Log::new(store, &from),
            last: from.seq,
            head: from.digest,
            broken: None,
            fault: None,
            session: None,
            looks_at_list: true,
        }
    }

    /// The same of log and ledger alone: for lines that were just written, with a query for each session less.
    pub(crate) fn without_list(self) -> Self {
        Self {
            looks_at_list: false,
            ..self
        }
    }

    /// Reads on, up to line `until`. Whether there may be more.
    pub(crate) async fn page(&mut self, until: u64) -> Result<bool, StoreError> {
        let mut lines = self.store.lines(self.last, PAGE).await?;
        lines.retain(|line| line.seq <= until);
        let Some(end) = lines.last().map(|line| (line.seq, line.digest)) else {
            return Ok(false);
        };
        if let Walk::Broken { seq } = chain::verify(self.last, self.head, &lines) {
            self.broken = self.broken.or(Some(seq));
        }
        for (revision, sha256) in lines.iter().filter_map(appended) {
            if self.fault.is_none() {
                self.fault = self.log.compare(revision, &sha256).await?;
            }
        }
        if self.looks_at_list && self.session.is_none() {
            self.session = listed::altered(self.store, &lines).await?;
        }
        (self.last, self.head) = end;
        Ok(true)
    }

    /// What was found up to here, where the ledger may go on.
    pub(crate) fn so_far(self) -> Proof {
        let holds = self.broken.is_none() && self.fault.is_none();
        let end = Position {
            seq: self.last,
            digest: self.head,
            revision: self.log.seen,
            log: self.log.digest,
        };
        let (last, head) = (self.last, self.head);
        let whole = Walk::Whole { last, head };
        Proof {
            chain: self.broken.map_or(whole, |seq| Walk::Broken { seq }),
            log: self.fault,
            session: self.session,
            end: holds.then_some(end),
        }
    }

    /// What was found, where the ledger ends: the log has to end with it.
    async fn end(mut self) -> Result<Proof, StoreError> {
        if self.fault.is_none() {
            let more = self.log.next().await?;
            self.fault = more.map(|(revision, _body)| LogFault::Unheard { revision });
        }
        Ok(self.so_far())
    }
}

/// What a line says of the log, if it is about that.
fn appended(line: &Stored) -> Option<(Revision, String)> {
    if !line.body.contains("\"log_appended\"") {
        return None;
    }
    let event = serde_json::from_str::<Event>(&line.body).ok()?;
    if let Happening::LogAppended { revision, sha256 } = event.happening {
        return Some((revision, sha256));
    }
    None
}

/// The log as it lies there, entry by entry.
#[derive(Debug)]
pub(super) struct Log<'a, S> {
    store: &'a S,
    pub(super) seen: Revision,
    /// The digest over all that were seen.
    pub(super) digest: Digest,
    page: std::vec::IntoIter<(Revision, String)>,
}

impl<'a, S: Store> Log<'a, S> {
    pub(super) fn new(store: &'a S, after: &Position) -> Self {
        Self {
            store,
            seen: after.revision,
            digest: after.log,
            page: Vec::new().into_iter(),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<(Revision, String)>, StoreError> {
        let mut entry = self.page.next();
        if entry.is_none() {
            self.page = self.store.bodies(self.seen, PAGE).await?.into_iter();
            entry = self.page.next();
        }
        if let Some((revision, body)) = &entry {
            self.seen = *revision;
            self.digest = cover(&self.digest, *revision, body.as_bytes());
        }
        Ok(entry)
    }

    async fn compare(
        &mut self,
        revision: Revision,
        sha256: &str,
    ) -> Result<Option<LogFault>, StoreError> {
        let fault = match self.next().await? {
            None => Some(LogFault::Gone { revision }),
            Some((found, _body)) if found > revision => Some(LogFault::Gone { revision }),
            Some((found, _body)) if found < revision => Some(LogFault::Unheard { revision: found }),
            Some((_same, body)) if sha256_hex(body.as_bytes()) != sha256 => {
                Some(LogFault::Changed { revision })
            }
            Some(_same) => None,
        };
        Ok(fault)
    }
}
