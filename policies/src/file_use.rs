//! What a session may do with files, as things stand at one instant: put together once for many questions, because
//! one packet of a client may touch thousands of files.
//!
//! Remembers no file, and does not notice when facts or policies change.

use jiff::Timestamp;

use crate::decide::{file_needs, not_in_terms, usage};
use crate::file::FileRules;
use crate::usage::{POLICIES_FAILED, Usage};
use crate::{Denial, Facts, FileDeed, PolicySet, Scrutiny, Terms};

/// What a session may do with files.
#[derive(Debug)]
pub struct FileUse {
    scrutiny: Scrutiny,
    usage: Result<Usage, Denial>,
}

impl FileUse {
    /// That of a session on these terms, as things stand at this instant. Where that cannot be told, each file is
    /// refused with the reason.
    pub fn of(policies: &PolicySet, facts: &Facts, terms: &Terms, now: Timestamp) -> Self {
        if *policies.file_rules() == FileRules::Absent {
            return Self::free();
        }
        let usage = match usage(policies, facts, terms, now) {
            Ok(usage) => usage,
            Err(denial) => return Self::refused(denial),
        };
        let scrutiny = if usage.binds_files() {
            Scrutiny::Each
        } else {
            Scrutiny::Unread
        };
        Self {
            scrutiny,
            usage: Ok(usage),
        }
    }

    /// That of a session in which no file is asked about.
    pub fn free() -> Self {
        Self {
            scrutiny: Scrutiny::Unread,
            usage: Err(POLICIES_FAILED),
        }
    }

    /// That of a session in which every file is refused with this reason.
    pub fn refused(denial: Denial) -> Self {
        Self {
            scrutiny: Scrutiny::Each,
            usage: Err(denial),
        }
    }

    /// Whether the files that are touched have to be followed and asked about, each with [`Self::may`].
    pub fn scrutiny(&self) -> Scrutiny {
        self.scrutiny
    }

    /// Whether this file may be touched, where each is asked about: what [`may`](crate::may) says of it.
    ///
    /// # Errors
    /// A [`Denial`] that may be shown to whoever is in the session.
    pub fn may(&self, terms: &Terms, file: &FileDeed) -> Result<(), Denial> {
        let usage = self.usage.as_ref().map_err(Clone::clone)?;
        let has = |needed| terms.capabilities.contains(needed);
        if !file_needs(file.access).iter().any(has) {
            return Err(not_in_terms());
        }
        usage.allow_file(file)
    }
}
