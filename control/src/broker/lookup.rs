//! Finding things by the beginning of their ids.
//!
//! Only among what the caller may see, so that a prefix tells nobody that something exists.

use std::fmt::Display;
use std::str::FromStr;

use policies::words::broker::Invalid;
use policies::{GrantId, RequestId, SessionId};

use super::{Broker, BrokerError, Caller};
use crate::ledger::SessionFilter;

/// How much of an id has to be given after its prefix.
const PREFIX_MIN: usize = 6;

impl Broker {
    /// The request that begins like this, among those that the caller may see.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`], or [`BrokerError::Invalid`] when it is too short or fits several.
    pub fn find_request(&self, caller: &Caller, text: &str) -> Result<RequestId, BrokerError> {
        let state = self.state();
        let view = self.view(&state, caller);
        let seen = state
            .facts
            .requests
            .values()
            .filter(|request| view.sees_request(request));
        find(RequestId::PREFIX, text, seen.map(|request| request.id))
    }

    /// The grant that begins like this, among those that the caller may see.
    ///
    /// # Errors
    ///
    /// As [`Broker::find_request`].
    pub fn find_grant(&self, caller: &Caller, text: &str) -> Result<GrantId, BrokerError> {
        let state = self.state();
        let view = self.view(&state, caller);
        let seen = state
            .facts
            .grants
            .values()
            .filter(|grant| view.sees_grant(grant));
        find(GrantId::PREFIX, text, seen.map(|grant| grant.id))
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
        find(
            SessionId::PREFIX,
            text,
            seen.iter().map(|session| session.id),
        )
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

fn find<I: Display + FromStr + Copy>(
    prefix: &str,
    text: &str,
    ids: impl Iterator<Item = I>,
) -> Result<I, BrokerError> {
    let wanted = checked(prefix, text)?;
    let fitting: Vec<I> = ids
        .filter(|id| id.to_string().starts_with(&wanted))
        .collect();
    match fitting.as_slice() {
        [] => Err(BrokerError::NotFound {
            what: text.to_owned(),
        }),
        [one] => Ok(*one),
        many => Err(BrokerError::Invalid(Invalid::PrefixAmbiguous {
            text: text.to_owned(),
            matches: many.len(),
        })),
    }
}
