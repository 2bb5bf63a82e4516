//! What was put together lately to ask the policies about a grant: a session asks several things when it begins,
//! and each statement and command after that.
//!
//! Good for as long as facts and policies stay the same, and for a quarter of a second at most, because policies may
//! look at the time: whoever asks may remember an answer for the rest of a second. Whether the grant holds is not
//! remembered.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use policies::{GrantId, Terms, Usage};
use tokio::time::Instant;

use crate::change::Revision;

/// How long it is good for where nothing but the time has changed.
const AGE_MAX: Duration = Duration::from_millis(250);

/// How many are kept. Beyond that those are forgotten that are too old, or else all.
const KEPT_MAX: usize = 512;

/// What was put together lately, for each grant and address that it is used from.
#[derive(Debug, Default)]
pub(crate) struct Lately(DashMap<(GrantId, IpAddr), Known>);

#[derive(Debug)]
struct Known {
    revision: Revision,
    at: Instant,
    usage: Arc<Usage>,
}

impl Known {
    fn is_good(&self, at: Instant) -> bool {
        at.saturating_duration_since(self.at) < AGE_MAX
    }
}

impl Lately {
    /// What was put together at this revision a moment ago.
    pub(crate) fn get(&self, terms: &Terms, revision: Revision, at: Instant) -> Option<Arc<Usage>> {
        let known = self.0.get(&(terms.grant, terms.source))?;
        (known.revision == revision && known.is_good(at)).then(|| Arc::clone(&known.usage))
    }

    /// Remembers it.
    pub(crate) fn put(
        &self,
        terms: &Terms,
        (revision, at): (Revision, Instant),
        usage: &Arc<Usage>,
    ) {
        if self.0.len() >= KEPT_MAX {
            self.0.retain(|_of, known| known.is_good(at));
            if self.0.len() >= KEPT_MAX {
                self.0.clear();
            }
        }
        let usage = Arc::clone(usage);
        let known = Known {
            revision,
            at,
            usage,
        };
        self.0.insert((terms.grant, terms.source), known);
    }
}
