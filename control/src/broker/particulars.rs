//! What of a target changes while it stays what grants are for: where it is, by what it is known, as whom it is
//! entered, its labels.
//!
//! Whether it is there is for whoever asks; here is only whether it can be so, and what ends by it.

use std::collections::BTreeSet;
use std::sync::Arc;

use policies::words::broker::{Conflict, Invalid};
use policies::words::target::TargetFault;
use policies::{Login, Office, Particulars, SessionId, Target, TargetName, Terms};

use super::grants::orphans;
use super::policy::Before;
use super::targets::{known, reachable, sound};
use super::{Broker, BrokerError, Caller};
use crate::change::{Change, Sealed};

/// The target as it is to be, if it is still what whoever changes it has seen, and can be so.
///
/// What is kept for one is sealed for what it was, so it has to be there once more (`is_kept`) where that changes.
pub(crate) fn becoming(
    before: &Target,
    (was, becomes): (&Particulars, &Particulars),
    is_kept: bool,
) -> Result<Target, BrokerError> {
    if before.particulars() != *was {
        let conflict = Conflict::TargetChanged(before.name.clone());
        return Err(BrokerError::Conflict(conflict));
    }
    let refused = |fault| BrokerError::Invalid(Invalid::Target(fault));
    let after = before.with(becomes.clone());
    let after = after.ok_or_else(|| refused(TargetFault::Hosts))?;
    sound(&after)?;
    let is_bound_otherwise = was.place != becomes.place || was.logins != becomes.logins;
    let entry = before.entry();
    if is_bound_otherwise && !is_kept && entry.is_standing() {
        let name = before.name.clone();
        return Err(refused(TargetFault::KeptForAnother { name, entry }));
    }
    Ok(after)
}

impl Broker {
    /// Describes a target otherwise, and returns the sessions that ended by it. The others go on where they are; new
    /// ones go to where it is by then.
    ///
    /// Grants and open requests for a login that is gone end with it. So do all where nothing ties the new place to the
    /// old one: approvers said yes to a machine, and nobody can tell that this is it.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is none; [`BrokerError::Conflict`] when it is not what it `was`.
    pub async fn change_target(
        &self,
        caller: &Caller,
        name: &TargetName,
        (was, becomes): (&Particulars, &Particulars),
        kept: Option<(Sealed, Option<String>)>,
    ) -> Result<Vec<SessionId>, BrokerError> {
        let live = Before::of(&self.inner.book);
        let changed = self.change(caller, ("change target", name.as_str()), |view| {
            view.office(Office::ManageTargets)?;
            let before = known(view, name)?;
            let after = becoming(before, (was, becomes), kept.is_some())?;
            reachable(view, &after)?;
            let is_another = !becomes.place.is_tied_to(&was.place);
            let ends = |login: &Login| is_another || !after.logins.contains(login);
            let mut bound = self.inner.book.of_target(name);
            bound.retain(|(_session, terms)| {
                if terms.target.name == *name {
                    ends(&terms.login)
                } else {
                    leads_through(terms, &after)
                }
            });
            let mut changes = Vec::new();
            if was != becomes {
                changes.push(Change::TargetChanged {
                    was: was.clone(),
                    target: after.clone(),
                });
            }
            if let Some((sealed, fingerprint)) = kept.clone() {
                changes.push(Change::SecretKept {
                    target: name.clone(),
                    sealed,
                    fingerprint,
                });
            }
            let uptime = self.inner.clock.uptime();
            changes.extend(orphans(view, uptime, |_who, target, login| {
                target == name && ends(login)
            }));
            Ok((changes, view.names(&bound)))
        });
        let mut ended: BTreeSet<SessionId> = changed.await?.into_iter().collect();
        // Policies read labels and where it is.
        ended.extend(
            self.end_unwanted(live, |terms| terms.target.name == *name)
                .await,
        );
        Ok(ended.into_iter().collect())
    }
}

/// Whether a session comes through this target as somebody who is not there any more.
fn leads_through(terms: &Arc<Terms>, front: &Target) -> bool {
    let mut way = terms.via.iter();
    way.any(|hop| hop.target.name == front.name && !front.logins.contains(&hop.login))
}
