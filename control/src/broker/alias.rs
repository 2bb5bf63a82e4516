//! What targets are called besides: a short name that people type in the place of the long one.
//!
//! An alias gives nobody anything: it is replaced by the target's name before a question is decided, and
//! whoever may not go there hears of the name that they typed.

use policies::words::taken::{another_name, target_called};
use policies::{Office, TargetName};

use super::principals::exists;
use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;
use crate::state::State;

/// What a target is called besides its name.
pub(super) fn aliases(state: &State, target: &TargetName) -> Vec<TargetName> {
    let own = state.aliases.iter().filter(|(_alias, of)| *of == target);
    own.map(|(alias, _target)| alias.clone()).collect()
}

/// A name leads to one target.
pub(super) fn untaken(view: &View<'_>, name: &TargetName) -> Result<(), BrokerError> {
    if view.state.facts.targets.contains_key(name) {
        return Err(exists(&target_called(name)));
    }
    match view.state.aliases.get(name) {
        Some(target) => Err(exists(&another_name(name, target))),
        None => Ok(()),
    }
}

impl Broker {
    /// Calls a target by another name as well.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] without such a target, [`BrokerError::Conflict`] when something is
    /// called so.
    pub async fn give_alias(
        &self,
        caller: &Caller,
        target: &TargetName,
        alias: &TargetName,
    ) -> Result<(), BrokerError> {
        self.change(caller, ("give alias", target.as_str()), |view| {
            view.office(Office::ManageTargets)?;
            if !view.state.facts.targets.contains_key(target) {
                return Err(unknown(target));
            }
            untaken(view, alias)?;
            let (alias, target) = (alias.clone(), target.clone());
            Ok((vec![Change::AliasGiven { alias, target }], ()))
        })
        .await
    }

    /// Does not call a target so any more. Who is in stays.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when it is not called so.
    pub async fn take_alias(
        &self,
        caller: &Caller,
        target: &TargetName,
        alias: &TargetName,
    ) -> Result<(), BrokerError> {
        self.change(caller, ("take alias", target.as_str()), |view| {
            view.office(Office::ManageTargets)?;
            if view.state.aliases.get(alias) != Some(target) {
                return Err(unknown(alias));
            }
            let alias = alias.clone();
            Ok((vec![Change::AliasTaken { alias }], ()))
        })
        .await
    }
}

fn unknown(name: &TargetName) -> BrokerError {
    BrokerError::NotFound {
        what: name.to_string(),
    }
}
