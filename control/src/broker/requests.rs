//! Asking for a grant, and answering.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use policies::words::broker::{Conflict, Invalid};
use policies::words::request::NOT_YOURS_TO_ANSWER;
use policies::{
    Activation, Approval, Denial, Filing, Grant, GrantId, Login, Part, PrincipalName, Reason,
    Request, RequestError, RequestId, RequestState, TargetName, Void, activates, agreed,
    may_request, opening, void,
};
use tokio::time::timeout_at;

use super::desk::draw;
use super::listing::newest;
use super::quota::may_ask;
use super::view::View;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;
use crate::state::State;

/// What someone asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Petition {
    /// Which target.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// For how long, from the moment it is granted.
    pub duration: SignedDuration,
    /// Why.
    pub reason: Reason,
}

/// A request, and the grant that it became, if it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    /// What was asked, and where it stands.
    pub request: Arc<Request>,
    /// What it became.
    pub grant: Option<Arc<Grant>>,
    /// Whether the caller may answer it.
    pub answerable: bool,
    /// What it would open beyond the name of what is asked for, while it waits, in words.
    pub opens: Vec<String>,
    /// Whose approval does not count as things are, while it waits, and why.
    pub void: Vec<(PrincipalName, Void)>,
}

/// Which requests to list: newest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Only those that wait for an answer.
    pub open: bool,
    /// Only those that the caller filed.
    pub mine: bool,
    /// Only those that are older than this one.
    pub before: Option<RequestId>,
}

impl Broker {
    /// Files a request. It becomes a grant at once if a policy says so.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] for a target that does not exist and for one that the caller may
    /// not ask for; [`BrokerError::Conflict`] when they have asked for the same.
    pub async fn request(
        &self,
        caller: &Caller,
        petition: Petition,
    ) -> Result<Asking, BrokerError> {
        let (request, grant) = (draw()?, draw()?);
        let object = petition.target.to_string();
        let id = self
            .change(caller, ("request", &object), |view| {
                self.healthy()?;
                let id = RequestId::new(view.now, request);
                let filed = self.file(view, id, &petition)?;
                let mut changes = vec![Change::RequestFiled {
                    request: filed.clone(),
                }];
                changes.extend(activation(view, &filed, GrantId::new(view.now, grant))?);
                Ok((changes, id))
            })
            .await?;
        self.show_request(caller, id)
    }

    fn file(
        &self,
        view: &View<'_>,
        id: RequestId,
        petition: &Petition,
    ) -> Result<Request, BrokerError> {
        let Petition {
            target,
            login,
            duration,
            reason,
        } = petition.clone();
        let filing = Filing {
            id,
            principal: view.caller.principal.clone(),
            target: view.state.called(&target).clone(),
            login,
            duration,
            reason,
        };
        let mut filed = Request::file(filing, view.now).map_err(refused)?;
        let lapses_at = view.now.saturating_add(self.inner.settings.request_limit);
        filed.lapses_at = lapses_at.unwrap_or(filed.lapses_at);
        let State { facts, .. } = view.state;
        may_request(
            view.state.policies()?,
            facts,
            &filed,
            view.caller.source,
            view.now,
        )?;
        let same = |open: &&Arc<Request>| {
            open.is_open(view.now)
                && open.statement.is_none()
                && open.principal == filed.principal
                && open.target == filed.target
                && open.login == filed.login
        };
        may_ask(view.state, &filed.principal, view.now)?;
        match facts.requests.values().find(same) {
            Some(open) => Err(BrokerError::Conflict(Conflict::AskedBefore {
                request: open.id,
            })),
            None => Ok(filed),
        }
    }

    /// Says yes to all of it. `shown` is the digest of what the caller was shown, if they were.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Denied`] for one's own request; [`BrokerError::Conflict`] when it is closed,
    /// is not what was shown, or the caller has said yes before.
    pub async fn approve(
        &self,
        caller: &Caller,
        id: RequestId,
        note: Option<Reason>,
        shown: Option<&str>,
    ) -> Result<Asking, BrokerError> {
        self.approve_for(caller, id, (note, shown), None).await
    }

    /// The same for at most so long, where that is less than was asked. Of all yeses that count the shortest holds.
    ///
    /// # Errors
    ///
    /// As [`Broker::approve`]; [`BrokerError::Conflict`] where it is more than was asked, too.
    pub async fn approve_for(
        &self,
        caller: &Caller,
        id: RequestId,
        (note, shown): (Option<Reason>, Option<&str>),
        at_most: Option<SignedDuration>,
    ) -> Result<Asking, BrokerError> {
        let grant = draw()?;
        let object = id.to_string();
        let approving = self.change(caller, ("approve", &object), |view| {
            self.healthy()?;
            let request = answerable(view, id)?;
            if request.statement.is_some() && shown.is_none() {
                return Err(refused(RequestError::Unseen { id }));
            }
            let approval = Approval {
                by: caller.principal.clone(),
                at: view.now,
                note: note.clone(),
                digest: shown.map_or_else(|| request.digest(), str::to_owned),
                source: Some(caller.source),
                at_most: at_most.filter(|given| *given != request.duration),
            };
            let becomes = GrantId::new(view.now, grant);
            match request.approve(approval.clone()) {
                Ok(approved) => {
                    still_askable(view, request)?;
                    let mut changes = vec![Change::RequestApproved { id, approval }];
                    changes.extend(activation(view, &approved, becomes)?);
                    Ok((changes, ()))
                }
                // What kept their yes from being enough may be over since: a lock, or a rule. It says what it said then.
                Err(again @ RequestError::Twice { .. }) => {
                    still_askable(view, request)?;
                    let change = activation(view, request, becomes)?;
                    change.map_or(Err(refused(again)), |change| Ok((vec![change], ())))
                }
                Err(error) => Err(refused(error)),
            }
        });
        self.naming_others(caller, id, approving.await).await?;
        self.show_request(caller, id)
    }

    /// Says no.
    ///
    /// # Errors
    ///
    /// As [`Broker::approve`].
    pub async fn deny(
        &self,
        caller: &Caller,
        id: RequestId,
        note: Reason,
    ) -> Result<Asking, BrokerError> {
        let object = id.to_string();
        let denying = self.change(caller, ("deny", &object), |view| {
            let request = answerable(view, id)?;
            let by = &caller.principal;
            request
                .deny(by.clone(), note.clone(), view.now)
                .map_err(refused)?;
            Ok((
                vec![Change::RequestDenied {
                    id,
                    by: by.clone(),
                    note: note.clone(),
                }],
                (),
            ))
        });
        self.naming_others(caller, id, denying.await).await?;
        self.show_request(caller, id)
    }

    /// Takes one's own request back.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Conflict`] when it is closed or somebody else's.
    pub async fn withdraw(&self, caller: &Caller, id: RequestId) -> Result<Asking, BrokerError> {
        self.change(caller, ("withdraw", &id.to_string()), |view| {
            let request = visible(view, id)?;
            request
                .withdraw(&caller.principal, view.now)
                .map_err(refused)?;
            Ok((vec![Change::RequestWithdrawn { id }], ()))
        })
        .await?;
        self.show_request(caller, id)
    }

    /// Returns when the request is not pending any more, or after `limit`. The policies are asked once, whether
    /// the caller may see it: most changes are about something else, and many may wait.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when the caller may not see it.
    pub async fn until_answered(
        &self,
        caller: &Caller,
        id: RequestId,
        limit: Duration,
    ) -> Result<(), BrokerError> {
        let mut state = self.inner.state.clone();
        let clock = &self.inner.clock;
        let ends_at = clock.instant();
        let ends_at = ends_at.checked_add(limit).unwrap_or(ends_at);
        let lapses_at = {
            let current = self.state();
            visible(&self.view(&current, caller), id)?.lapses_at
        };
        loop {
            let waits = {
                let current = state.borrow_and_update();
                let request = current.facts.requests.get(&id);
                request.is_some_and(|request| request.is_open(clock.now()))
            };
            if !waits || clock.instant() >= ends_at {
                return Ok(());
            }
            let until = ends_at.min(clock.instant_of(lapses_at));
            match timeout_at(until, state.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_gone)) => return Err(BrokerError::Unavailable { part: Part::Store }),
            }
        }
    }

    /// One request.
    ///
    /// # Errors
    ///
    /// [`BrokerError::NotFound`] when there is none that the caller may see.
    pub fn show_request(&self, caller: &Caller, id: RequestId) -> Result<Asking, BrokerError> {
        let state = self.state();
        let view = self.view(&state, caller);
        visible(&view, id).map(|request| asking(&view, request))
    }

    /// The requests that the caller may see, newest first: the first thousand.
    pub async fn requests(&self, caller: &Caller, filter: RequestFilter) -> Vec<Asking> {
        let state = self.state();
        let view = self.view(&state, caller);
        let fits = |request: &Request| {
            (!filter.open || request.is_open(view.now))
                && (!filter.mine || request.principal == caller.principal)
                && view.sees_request(request)
        };
        newest(&state.facts.requests, filter.before, |request| {
            fits(request).then(|| asking(&view, request))
        })
        .await
    }
}

/// Whether a request could be filed as it was, by the policies and facts of now: what nobody may ask for any more is
/// granted to nobody who asked before. Of what is locked nothing becomes a grant anyway.
fn still_askable(view: &View<'_>, request: &Request) -> Result<(), BrokerError> {
    let facts = &view.state.facts;
    let is_locked = facts.lock_on_principal(&request.principal).is_some()
        || facts.lock_on_target(&request.target).is_some();
    if is_locked || request.statement.is_some() {
        return Ok(());
    }
    let source = request.source.unwrap_or(view.caller.source);
    let asked = may_request(
        view.state.policies()?,
        facts,
        request,
        source,
        request.filed_at,
    );
    asked.map_err(|denied| {
        // That a policy cannot be evaluated is the operator's to mend, and no answer to the request.
        if let Denial::Unavailable { .. } = denied {
            return denied.into();
        }
        refused(RequestError::Unaskable { id: request.id })
    })
}

/// The changes by which a request becomes a grant, if the policies say that it does.
fn activation(
    view: &View<'_>,
    request: &Request,
    id: GrantId,
) -> Result<Option<Change>, BrokerError> {
    let policies = view.state.policies()?;
    let mut facts = view.state.facts.clone();
    facts.requests.insert(request.id, Arc::new(request.clone()));
    match activates(policies, &facts, request, view.caller.source, view.now) {
        Activation::Now { policies: named } => {
            let agreed = agreed(policies, &facts, request);
            let (_approved, grant) = request.grant(id, agreed, view.now).map_err(refused)?;
            let policies = named;
            Ok(Some(Change::GrantMade { grant, policies }))
        }
        Activation::Waits => Ok(None),
    }
}

fn visible<'v>(view: &'v View<'_>, id: RequestId) -> Result<&'v Arc<Request>, BrokerError> {
    let request = view
        .state
        .facts
        .requests
        .get(&id)
        .filter(|request| view.sees_request(request));
    request.ok_or_else(|| BrokerError::NotFound {
        what: id.to_string(),
    })
}

/// A request that the caller may answer.
fn answerable<'v>(view: &'v View<'_>, id: RequestId) -> Result<&'v Arc<Request>, BrokerError> {
    let request = view.state.facts.requests.get(&id);
    let request = request.ok_or_else(|| BrokerError::NotFound {
        what: id.to_string(),
    })?;
    match view.may_answer(request) {
        Ok(()) => Ok(request),
        // Whoever may see it is told why they may not answer it.
        Err(Denial::NotFound { .. }) if view.sees_request(request) => {
            Err(BrokerError::Denied(Denial::NotAllowed {
                policy: String::new(),
                reason: NOT_YOURS_TO_ANSWER.to_owned(),
            }))
        }
        Err(denial) => Err(denial.into()),
    }
}

fn asking(view: &View<'_>, request: &Arc<Request>) -> Asking {
    let open = request.is_open(view.now);
    let answerable = open && view.may_answer(request).is_ok();
    let grant = match &request.state {
        RequestState::Approved { grant } => view.state.facts.grants.get(grant).cloned(),
        RequestState::Pending
        | RequestState::Denied { .. }
        | RequestState::Withdrawn
        | RequestState::Lapsed => None,
    };
    let request = match (open, &request.state) {
        (false, RequestState::Pending) => Arc::new(lapsed(request, view.now)),
        _ => Arc::clone(request),
    };
    let opens = if open {
        opens(view, &request)
    } else {
        Vec::new()
    };
    let void = match view.state.policies() {
        Ok(policies) if open => void(policies, &view.state.facts, &request),
        _closed => Vec::new(),
    };
    Asking {
        request,
        grant,
        answerable,
        opens,
        void,
    }
}

/// What a request for a grant would open. Where its owner will come from is not known: what the policies
/// make of an address is made of the looker's.
fn opens(view: &View<'_>, request: &Request) -> Vec<String> {
    let Ok(policies) = view.state.policies() else {
        return Vec::new();
    };
    if request.statement.is_some() {
        return Vec::new();
    }
    let whence = (view.caller.source, view.now);
    opening(policies, &view.state.facts, request, whence).sentences(&request.login)
}

/// Nobody writes down that a request lapsed: time says so.
fn lapsed(request: &Request, now: Timestamp) -> Request {
    request.lapse(now).unwrap_or_else(|_open| request.clone())
}

fn refused(error: RequestError) -> BrokerError {
    if matches!(error, RequestError::Duration { .. }) {
        return BrokerError::Invalid(Invalid::Request(error));
    }
    BrokerError::Conflict(Conflict::Request(error))
}
