//! Policies out of the texts that are in the log.

use policies::words::broker::Invalid;
use policies::{Document, PolicySet};

use super::State;
use crate::change::{PolicyText, PolicyTexts};
use crate::zone::zone;

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
