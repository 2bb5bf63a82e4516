//! Policies out of the texts that are in the log.

use policies::words::broker::Invalid;
use policies::{Document, PolicySet};

use super::State;
use crate::change::{PolicyText, PolicyTexts};
use crate::zone::zone;

impl State {
    /// Before a whole log is read, with all policies that there ever were in it.
    pub(crate) fn beginning() -> Self {
        Self {
            postponed: true,
            ..Self::default()
        }
    }

    /// Reads the policies that are in force at the end of the log.
    pub(crate) fn read_through(&mut self) {
        self.postponed = false;
        self.read_policies();
    }

    /// Reads the policies out of their texts.
    pub(super) fn read_policies(&mut self) {
        // They were accepted once: where they cannot be read, another version of this program wrote them.
        let read = self.texts.as_deref().map(load).transpose();
        (self.policies, self.unreadable) = match read {
            Ok(policies) => (policies, None),
            Err(refused) => (None, Some(refused)),
        };
    }
}

/// Parses and validates policies.
///
/// # Errors
///
/// Every mistake in them.
pub(crate) fn load(texts: &PolicyTexts) -> Result<PolicySet, Invalid> {
    let zone = zone(&texts.zone).ok_or_else(|| Invalid::Zone {
        name: texts.zone.clone(),
    })?;
    let document = |text: &PolicyText| Document::new(text.name.clone(), text.text.clone());
    let documents: Vec<_> = texts.documents.iter().map(document).collect();
    let quorums = texts.quorums.as_ref().map(document);
    PolicySet::load(&documents, quorums.as_ref(), zone).map_err(|mistakes| Invalid::Policies {
        mistakes: mistakes.iter().map(ToString::to_string).collect(),
    })
}

/// In which time zone the policies in force read hours and weekdays: UTC where there are none.
pub(crate) fn zone_of(state: &State) -> String {
    let texts = state.texts.as_ref();
    texts.map_or_else(|| "UTC".to_owned(), |texts| texts.zone.clone())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::change::{Change, Draft, Entry};

    /// These policies, as the next entry of the log.
    fn applied(state: &mut State, text: &str) {
        let document = PolicyText {
            name: "some.cedar".to_owned(),
            text: text.to_owned(),
        };
        let texts = PolicyTexts {
            documents: vec![document],
            quorums: None,
            zone: "UTC".to_owned(),
        };
        let draft = Draft {
            at: Timestamp::UNIX_EPOCH,
            by: None,
            source: None,
            changes: vec![Change::PoliciesApplied { texts }],
        };
        let revision = state.revision.next();
        state.apply(&Entry { revision, draft });
    }

    #[test]
    fn of_a_log_only_the_last_policies_are_read() {
        let good = "@id(\"all\") permit (principal, action, resource);";
        for (last, is_good) in [(good, true), ("no policies", false)] {
            let mut state = State::beginning();
            for text in [good, "none of ours", last] {
                applied(&mut state, text);
                let read = (state.policies.is_some(), state.unreadable.is_some());
                assert_eq!(read, (false, false));
            }
            state.read_through();
            let read = (state.policies.is_some(), state.unreadable.is_some());
            assert_eq!(read, (is_good, !is_good));
            // From there on each at once.
            applied(&mut state, good);
            assert!(state.policies.is_some());
        }
    }
}
