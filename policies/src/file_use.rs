//! What a session may do with files, as things stand at one instant: put together once for many questions, because
//! one packet of a client may touch thousands of files.
//!
//! Remembers no file, and does not notice when facts or policies change.

use std::sync::Arc;

use crate::conduct::{beside_terms, file_needs};
use crate::file::FileRules;
use crate::{Denial, FileDeed, PolicySet, Scrutiny, Terms, Usage};

/// What a session may do with files.
#[derive(Debug)]
pub enum FileUse {
    /// Any: no file is asked about.
    Free,
    /// Each is asked about.
    Bound(FileQuestions),
    /// None, for this reason.
    Refused(Denial),
}

/// What is the same for every question about a file.
#[derive(Debug)]
pub struct FileQuestions(Arc<Usage>);

impl FileUse {
    /// That of a session whose grant is used like this, where somebody has to ask. Where that cannot be told, each
    /// file is refused with the reason.
    pub fn of(policies: &PolicySet, usage: impl FnOnce() -> Result<Arc<Usage>, Denial>) -> Self {
        if *policies.file_rules() == FileRules::Absent {
            return Self::Free;
        }
        match usage() {
            Ok(usage) if usage.binds_files() => Self::Bound(FileQuestions(usage)),
            Ok(_free) => Self::Free,
            Err(denial) => Self::Refused(denial),
        }
    }

    /// Whether the files that are touched have to be followed and asked about, each with [`Self::may`].
    pub fn scrutiny(&self) -> Scrutiny {
        match self {
            Self::Free => Scrutiny::Unread,
            Self::Bound(_) | Self::Refused(_) => Scrutiny::Each,
        }
    }

    /// Whether this file may be touched.
    ///
    /// # Errors
    /// A [`Denial`] that may be shown to whoever is in the session.
    pub fn may(&self, terms: &Terms, file: &FileDeed) -> Result<(), Denial> {
        let FileQuestions(usage) = match self {
            Self::Free => return Ok(()),
            Self::Bound(questions) => questions,
            Self::Refused(denial) => return Err(denial.clone()),
        };
        let has = |needed| terms.capabilities.contains(needed);
        if !file_needs(file.access).iter().any(has) {
            return Err(beside_terms(usage.allow_file(file)));
        }
        usage.allow_file(file)
    }

    /// How many questions [`Self::may`] puts to the policies about this file, at most. A tree is one for each path that
    /// they write out below it, and a name below a home that nobody knows one or two for each that they write out.
    pub fn questions(&self, file: &FileDeed) -> usize {
        let Self::Bound(FileQuestions(usage)) = self else {
            return 0;
        };
        let rules = usage.policies.file_rules();
        let samples = rules.samples(&file.path, file.extent).len();
        let others = rules.other_names(&file.path, file.extent).len();
        samples.saturating_add(others)
    }

    /// Whether this no is about this very name: a policy forbids it, and one writes it out. What is below it may be open
    /// all the same, but the name itself is meant.
    pub fn is_about(&self, path: &str, denial: &Denial) -> bool {
        let is_forbidden = matches!(denial, Denial::Forbidden { policy, .. } if !policy.is_empty());
        match self {
            Self::Bound(FileQuestions(usage)) => {
                is_forbidden && usage.policies.file_rules().names(path)
            }
            Self::Free | Self::Refused(_) => false,
        }
    }
}
