//! Finding things by the beginning of their ids.
//!
//! Only among what the caller may see, so that a prefix tells nobody that something exists.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use policies::words::broker::Invalid;
use policies::{Grant, GrantId, Part, Request, RequestId, SessionId};
use tokio::time::timeout;

use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::ledger::SessionFilter;

/// How much of an id has to be given after its prefix.
const PREFIX_MIN: usize = 6;

/// How many ids are asked about at the most: each is a question to the policies, and nobody else of the API has a
/// turn meanwhile. Six characters of an id stand for a quarter of an hour.
const ASKED_MAX: usize = 64;

/// How long whoever wants a session ended waits for the ledger to say which one is meant.
const LEDGER_WAIT: Duration = Duration::from_secs(1);

/// How long an id is, its prefix included.
const ID_LENGTH: usize = 30;

impl Broker {
    /// The request that begins like this, among those that the caller may see.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`], or [`BrokerError::Invalid`] when it is too short or fits several.
    pub fn find_request(&self, caller: &Caller, text: &str) -> Result<RequestId, BrokerError> {
        let wanted = checked(RequestId::PREFIX, text)?;
        let state = self.state();
        let view = self.view(&state, caller);
        let among = beginning(&state.facts.requests, &wanted);
        let own = |one: &Arc<Request>| view.is_own(&one.principal, one.filed_at);
        let sees = |one: &Arc<Request>| view.sees_request(one);
        let found = seen((text, &view), among, (own, sees))?;
        only(text, found.into_iter())
    }

    /// The grant that begins like this, among those that the caller may see.
    ///
    /// # Errors
    ///
    /// As [`Broker::find_request`].
    pub fn find_grant(&self, caller: &Caller, text: &str) -> Result<GrantId, BrokerError> {
        let wanted = checked(GrantId::PREFIX, text)?;
        let state = self.state();
        let view = self.view(&state, caller);
        let among = beginning(&state.facts.grants, &wanted);
        let own = |one: &Arc<Grant>| view.is_own(&one.principal, one.starts_at);
        let sees = |one: &Arc<Grant>| view.sees_grant(one);
        let found = seen((text, &view), among, (own, sees))?;
        only(text, found.into_iter())
    }

    /// The session that begins like this, among those that the caller may see.
    ///
    /// # Errors
    ///
    /// As [`Broker::find_request`].
    pub async fn find_session(
        &self,
        caller: &Caller,
        text: &str,
    ) -> Result<SessionId, BrokerError> {
        let prefix = checked(SessionId::PREFIX, text)?;
        let filter = SessionFilter {
            prefix: Some(prefix),
            ..SessionFilter::default()
        };
        let seen = self.sessions(caller, &filter).await?;
        only(text, seen.iter().map(|session| session.id))
    }

    /// The session that is to be ended: of a whole id it is known from memory, as a cut waits for no disk. The beginning
    /// of one is looked for in the ledger, where the session meant may be one that is over; only where that does not
    /// answer, or does not hold it yet, among the live ones that the caller may end. `last` is the newest of those.
    ///
    /// # Errors
    ///
    /// As [`Broker::find_request`].
    pub async fn find_live(&self, caller: &Caller, text: &str) -> Result<SessionId, BrokerError> {
        if text == "last" {
            let newest = self.live_of(caller).into_iter().max();
            return newest.ok_or_else(|| BrokerError::NotFound {
                what: text.to_owned(),
            });
        }
        let prefix = checked(SessionId::PREFIX, text)?;
        if let Ok(id) = prefix.parse::<SessionId>()
            && self.owner_of_live(caller, id).is_some()
        {
            return Ok(id);
        }
        let unanswered = match timeout(LEDGER_WAIT, self.find_session(caller, text)).await {
            Ok(Ok(id)) => return Ok(id),
            Ok(Err(refused)) => refused,
            Err(_elapsed) => BrokerError::Unavailable { part: Part::Store },
        };
        let may_live = matches!(
            unanswered,
            BrokerError::Unavailable { part: Part::Store } | BrokerError::NotFound { .. }
        );
        if !may_live {
            return Err(unanswered);
        }
        let mut theirs = self.live_of(caller);
        theirs.retain(|id| id.to_string().starts_with(&prefix));
        if theirs.is_empty() {
            return Err(unanswered);
        }
        only(text, theirs.into_iter())
    }

    /// The live sessions that the caller may end.
    fn live_of(&self, caller: &Caller) -> Vec<SessionId> {
        let live = self.inner.book.all().into_iter();
        live.map(|(id, _terms)| id)
            .filter(|id| self.owner_of_live(caller, *id).is_some())
            .collect()
    }
}

fn checked(prefix: &str, text: &str) -> Result<String, BrokerError> {
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix(prefix) {
        Some(rest) if rest.len() < PREFIX_MIN => Err(BrokerError::Invalid(Invalid::PrefixShort {
            text: text.to_owned(),
        })),
        Some(rest) if rest.len() <= 26 && rest.chars().all(|c| c.is_ascii_alphanumeric()) => {
            Ok(lower)
        }
        _ => Err(BrokerError::NotFound {
            what: text.chars().take(64).collect(),
        }),
    }
}

/// Those whose ids begin like this. Ids sort as their texts do, so that no others are looked at: whether
/// the caller may see one is a question to the policies.
fn beginning<'m, I: Ord + Display + FromStr, T>(
    all: &'m BTreeMap<I, T>,
    wanted: &'m str,
) -> impl Iterator<Item = (&'m I, &'m T)> {
    // The first id that could begin so; none where what was typed is the beginning of no id.
    let first = format!("{wanted:0<ID_LENGTH$}").parse::<I>().ok();
    let from = first.into_iter().flat_map(|first| all.range(first..));
    from.take_while(move |(id, _thing)| id.to_string().starts_with(wanted))
}

/// Those of them that the caller may see. Where they are more than are asked about, that is told to whoever sees what is
/// everybody's, or one of them that is theirs or the first: to others it would tell that there are so many.
fn seen<'m, I: Copy + 'm, T: 'm>(
    (text, view): (&str, &View<'_>),
    among: impl Iterator<Item = (&'m I, &'m T)>,
    (is_own, sees): (impl Fn(&T) -> bool, impl Fn(&T) -> bool),
) -> Result<Vec<I>, BrokerError> {
    let among: Vec<(&I, &T)> = among.collect();
    if among.len() <= ASKED_MAX {
        let theirs = among.into_iter().filter(|(_id, thing)| sees(thing));
        return Ok(theirs.map(|(id, _thing)| *id).collect());
    }
    let sees_one = view.sees_all()
        || among.iter().any(|(_id, thing)| is_own(thing))
        || among.first().is_some_and(|(_id, thing)| sees(thing));
    let text = text.to_owned();
    if sees_one {
        return Err(BrokerError::Invalid(Invalid::PrefixCommon { text }));
    }
    Err(BrokerError::NotFound { what: text })
}

fn only<I>(text: &str, ids: impl Iterator<Item = I>) -> Result<I, BrokerError> {
    let mut fitting: Vec<I> = ids.collect();
    match (fitting.pop(), fitting.len()) {
        (None, _none) => Err(BrokerError::NotFound {
            what: text.to_owned(),
        }),
        (Some(one), 0) => Ok(one),
        (Some(_one), others) => Err(BrokerError::Invalid(Invalid::PrefixAmbiguous {
            text: text.to_owned(),
            matches: others.saturating_add(1),
        })),
    }
}
