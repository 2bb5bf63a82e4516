//! What an auditor reads of the ledger, and of the log beside it: who changed what.

use std::collections::BTreeMap;

use jiff::Timestamp;
use policies::Office;
use policies::words::evidence;

use super::{Broker, BrokerError, Caller};
use crate::change::{Appended, Draft, Revision};
use crate::ledger::sought::Sought;
use crate::ledger::{Event, Happening, Line, chain};
use crate::store::Store;

/// How many lines of the ledger are handed out at once.
const LINES_MAX: u32 = 1_000;

/// How many lines are looked through for one question.
const LOOKED_MAX: u64 = 20_000;

/// How many entries of the log are held at once: each may carry all policies.
const ENTRIES_AT_ONCE: u32 = 50;

/// What was found in the ledger.
#[derive(Debug)]
pub struct Found {
    /// The lines, oldest first.
    pub lines: Vec<Line>,
    /// The first line that was looked at, where there may be more before it.
    pub looked_from: Option<u64>,
}

impl Broker {
    /// The last lines, of those before line `before`, that are looked for, so many at most. Looks at so many lines that it
    /// is soon done.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not see other people's sessions.
    pub async fn audit_sought(
        &self,
        caller: &Caller,
        (sought, before): (&Sought, Option<u64>),
        count: u32,
    ) -> Result<Found, BrokerError> {
        let state = self.state();
        self.view(&state, caller).office(Office::ViewSessions)?;
        let count = usize::try_from(count.clamp(1, LINES_MAX)).unwrap_or(usize::MAX);
        let last = self.inner.store.last_line().await;
        let last = last.map_err(|error| BrokerError::store(&error))?;
        let end = last.map_or(1, |line| line.seq.saturating_add(1));
        let end = before.map_or(end, |before| before.clamp(1, end));
        let (mut lines, mut from) = (Vec::new(), end);
        let floor = end.saturating_sub(LOOKED_MAX).max(1);
        let mut is_beyond = false;
        while from > floor && lines.len() < count && !is_beyond {
            let seen = from.saturating_sub(1).saturating_sub(LINES_MAX.into());
            let limit = from.saturating_sub(1).saturating_sub(seen);
            let limit = u32::try_from(limit).unwrap_or(LINES_MAX);
            let page = self.audit(caller, seen, limit).await?;
            // A clock that was set back has later lines before earlier ones: where more than a page is, it is said how
            // far was looked.
            is_beyond = !page.iter().any(|line| sought.reaches(line));
            for line in page.into_iter().rev() {
                if lines.len() == count {
                    break;
                }
                from = line.seq;
                if sought.fits(&line) {
                    lines.push(line);
                }
            }
            if lines.len() < count {
                from = seen.saturating_add(1);
            }
        }
        lines.reverse();
        let looked_from = (from > 1).then_some(from);
        Ok(Found { lines, looked_from })
    }

    /// The last lines of the ledger, oldest first.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not see other people's sessions.
    pub async fn audit_last(&self, caller: &Caller, count: u32) -> Result<Vec<Line>, BrokerError> {
        let end = self.inner.store.last_line().await;
        let end = end.map_err(|error| BrokerError::store(&error))?;
        let last = end.map_or(0, |line| line.seq);
        self.audit(caller, last.saturating_sub(u64::from(count)), count)
            .await
    }

    /// Lines of the ledger after `seen`, oldest first; those by which the log grew with what was
    /// appended.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not see other people's sessions.
    pub async fn audit(
        &self,
        caller: &Caller,
        seen: u64,
        limit: u32,
    ) -> Result<Vec<Line>, BrokerError> {
        let stored = self.audit_lines(caller, seen, limit).await?;
        let readable = stored.iter().find_map(|one| parsed(&one.body));
        let mut before = readable.map_or(Timestamp::UNIX_EPOCH, |event| event.at);
        let line = |stored: &chain::Stored| {
            let event = read(&stored.body, before);
            before = event.at;
            Line {
                seq: stored.seq,
                event,
                digest: chain::hex(&stored.digest),
                appended: None,
            }
        };
        let mut lines: Vec<Line> = stored.iter().map(line).collect();
        self.tell_appended(&mut lines).await?;
        Ok(lines)
    }

    /// Puts beside each line by which the log grew what was appended. Of the log so much is held at once as is read.
    async fn tell_appended(&self, lines: &mut [Line]) -> Result<(), BrokerError> {
        let mut grown = BTreeMap::new();
        for line in lines {
            if let Some((to, _sha256)) = grown_to(line) {
                grown.entry(to).or_insert(line);
            }
        }
        let ends = (grown.first_key_value(), grown.last_key_value());
        let (Some((first, _first)), Some((last, _last))) = ends else {
            return Ok(());
        };
        let (first, last) = (*first, *last);
        let mut seen = Revision(first.0.saturating_sub(1));
        while seen < last {
            let entries = self.inner.store.bodies(seen, ENTRIES_AT_ONCE).await;
            let entries = entries.map_err(|error| BrokerError::store(&error))?;
            let Some((end, _body)) = entries.last() else {
                break;
            };
            seen = *end;
            for (revision, body) in entries {
                if let Some(line) = grown.get_mut(&revision) {
                    line.appended =
                        grown_to(line).and_then(|(_to, sha256)| appended(&body, sha256));
                }
            }
        }
        Ok(())
    }

    /// Lines of the ledger after `seen` as they were written, oldest first: whoever gets them can
    /// recompute the chain.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for who may not see other people's sessions.
    pub async fn audit_lines(
        &self,
        caller: &Caller,
        seen: u64,
        limit: u32,
    ) -> Result<Vec<chain::Stored>, BrokerError> {
        let state = self.state();
        self.view(&state, caller).office(Office::ViewSessions)?;
        let limit = limit.clamp(1, LINES_MAX);
        let stored = self.inner.store.lines(seen, limit).await;
        stored.map_err(|error| BrokerError::store(&error))
    }
}

fn parsed(body: &str) -> Option<Event> {
    serde_json::from_str(body).ok()
}

/// What a line says. Where somebody or a disk changed it, or a newer version wrote it, that stands in its place, at the
/// time of the line before (of the first that can be read, where there is none): whoever looks for who changed it has to
/// see the lines around it.
fn read(body: &str, before: Timestamp) -> Event {
    parsed(body).unwrap_or_else(|| Event {
        at: before,
        happening: Happening::EvidenceDiffered {
            what: evidence::UNREADABLE_LINE.to_owned(),
        },
    })
}

/// The revision that the log grew to by this line, and the digest of what it grew by.
fn grown_to(line: &Line) -> Option<(Revision, &str)> {
    if let Happening::LogAppended { revision, sha256 } = &line.event.happening {
        Some((*revision, sha256))
    } else {
        None
    }
}

/// What was appended, if that is what was written: an entry that somebody changed since is told as that, and as
/// nobody's.
fn appended(body: &str, sha256: &str) -> Option<Appended> {
    if chain::sha256_hex(body.as_bytes()) == sha256 {
        let draft = serde_json::from_str::<Draft>(body).ok()?;
        return Some(Appended::from(draft));
    }
    Some(Appended {
        by: None,
        source: None,
        changes: vec![serde_json::json!({ "change": "altered" })],
    })
}
