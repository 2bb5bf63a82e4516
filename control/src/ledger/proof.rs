//! The proof that ledger and log are what was written: the chain follows line by line, and every entry of
//! the log is the one whose digest the ledger has.
//!
//! Reads both from the beginning and holds a page of each. Whoever rewrites the chain to its end is only
//! found by a head that was kept elsewhere: each start and stop logs one.

use super::chain::{self, GENESIS, Stored, Walk, sha256_hex};
use super::{Event, Happening};
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
    /// The log has an entry that the ledger has not.
    #[error("entry {revision} was put into the log beside the ledger")]
    Unheard {
        /// Which.
        revision: Revision,
    },
}

impl Proof {
    /// Reads all of it.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn of(store: &impl Store) -> Result<Self, StoreError> {
        let mut log = Log::new(store);
        let (mut last, mut head, mut broken) = (0, GENESIS, None);
        let mut fault = None;
        loop {
            let lines = store.lines(last, PAGE).await?;
            let Some(end) = lines.last().map(|line| (line.seq, line.digest)) else {
                break;
            };
            if let Walk::Broken { seq } = chain::verify(last, head, &lines) {
                broken = broken.or(Some(seq));
            }
            for (revision, sha256) in lines.iter().filter_map(appended) {
                if fault.is_none() {
                    fault = log.compare(revision, &sha256).await?;
                }
            }
            (last, head) = end;
        }
        if fault.is_none() {
            fault = log
                .next()
                .await?
                .map(|(revision, _body)| LogFault::Unheard { revision });
        }
        Ok(Self {
            chain: broken.map_or(Walk::Whole { last, head }, |seq| Walk::Broken { seq }),
            log: fault,
        })
    }
}

/// What a line says of the log, if it is about that.
fn appended(line: &Stored) -> Option<(Revision, String)> {
    if !line.body.contains("\"log_appended\"") {
        return None;
    }
    match serde_json::from_str::<Event>(&line.body).ok()?.happening {
        Happening::LogAppended { revision, sha256 } => Some((revision, sha256)),
        _other => None,
    }
}

/// The log as it lies there, entry by entry.
struct Log<'a, S> {
    store: &'a S,
    seen: Revision,
    page: std::vec::IntoIter<(Revision, String)>,
}

impl<'a, S: Store> Log<'a, S> {
    fn new(store: &'a S) -> Self {
        Self {
            store,
            seen: Revision::EMPTY,
            page: Vec::new().into_iter(),
        }
    }

    async fn next(&mut self) -> Result<Option<(Revision, String)>, StoreError> {
        let mut entry = self.page.next();
        if entry.is_none() {
            self.page = self.store.bodies(self.seen, PAGE).await?.into_iter();
            entry = self.page.next();
        }
        if let Some((revision, _body)) = &entry {
            self.seen = *revision;
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
