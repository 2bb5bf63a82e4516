//! Asking for a second person for one statement that a session holds.
//!
//! The question is a request like others, in the same lists and answered by the same commands. Whoever
//! holds the statement listens; when they listen no more (the session is over, the client gave up)
//! the request is closed. A yes is in the log before it is heard, and is good for that one statement.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use policies::words::broker::Conflict;
use policies::{
    Denial, HeldStatement, Part, PrincipalName, Reason, Request, RequestId, RequestState,
    SqlStatement, Terms, is_seconded,
};
use tokio::sync::mpsc;
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::desk::draw;
use super::quota::KEPT_MAX;
use super::{Broker, BrokerError, Caller};
use crate::change::Change;
use crate::ledger::{Happening, Holding};
use crate::state::State;

/// How many statements of one principal may wait at once.
const WAITING_MAX: usize = 20;

/// How many one principal may have held in an hour. Each stays in the log for ever.
const HOURLY_MAX: usize = 120;

/// What whoever holds a statement hears: that it is asked, then the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Others can see it now.
    Asked {
        /// What they answer.
        request: RequestId,
        /// When it is given up.
        lapses_at: Timestamp,
    },
    /// It may run, once.
    Seconded {
        /// Who said yes.
        by: Vec<PrincipalName>,
    },
    /// Somebody said no.
    Denied {
        /// Who.
        by: PrincipalName,
        /// Why.
        note: Reason,
    },
    /// Whoever runs it took it back.
    Withdrawn,
    /// Nobody answered in time.
    Lapsed,
    /// It could not be asked.
    Unasked {
        /// Why not.
        why: BrokerError,
    },
}

/// What is asked, by whom.
struct Question {
    terms: Terms,
    held: HeldStatement,
    statements: Vec<SqlStatement>,
}

impl Broker {
    /// Asks for a second person for the statements of one text. Dropping what this returns takes the
    /// question back.
    pub fn second(
        &self,
        terms: &Terms,
        held: HeldStatement,
        statements: Vec<SqlStatement>,
    ) -> mpsc::Receiver<Heard> {
        // One for the question, one for the answer: sending never waits.
        let (told, heard) = mpsc::channel(2);
        let question = Question {
            terms: terms.clone(),
            held,
            statements,
        };
        let broker = self.clone();
        // It ends with the one who listens, at the latest when the request lapses.
        tokio::spawn(async move {
            let answer = broker.asked(&question, &told).await;
            if let Some(answer) = answer {
                drop(told.send(answer).await);
            }
        });
        heard
    }

    /// Whether others could let this statement through that policy does not let through by itself.
    pub fn can_be_seconded(&self, terms: &Terms, statement: &SqlStatement) -> bool {
        let state = self.state();
        self.usage(&state, terms)
            .is_ok_and(|usage| usage.can_be_seconded(statement))
    }

    /// Asks, and waits. Nothing where nobody listens any more.
    async fn asked(&self, question: &Question, told: &mpsc::Sender<Heard>) -> Option<Heard> {
        let filed = match self.file_statement(question).await {
            Ok(filed) => filed,
            Err(why) => return Some(Heard::Unasked { why }),
        };
        let id = filed.id;
        info!(request = %id, session = %question.held.session, "statement.held");
        self.note(question, id, Holding::Held, None).await;
        let asked = Heard::Asked {
            request: id,
            lapses_at: filed.lapses_at,
        };
        if told.send(asked).await.is_err() {
            self.give_up(question, id).await;
            return None;
        }
        let answer = tokio::select! {
            biased;
            () = told.closed() => None,
            answer = self.answer(question, id) => Some(answer),
        };
        let Some(answer) = answer else {
            self.give_up(question, id).await;
            return None;
        };
        let (how, by) = match &answer {
            Heard::Seconded { by } => (Holding::Approved, by.first()),
            Heard::Denied { by, .. } => (Holding::Denied, Some(by)),
            Heard::Withdrawn => (Holding::Withdrawn, Some(&question.terms.principal)),
            Heard::Lapsed => (Holding::Lapsed, None),
            Heard::Asked { .. } | Heard::Unasked { .. } => (Holding::Failed, None),
        };
        self.note(question, id, how, by).await;
        Some(answer)
    }

    /// Returns once the request is not open any more.
    async fn answer(&self, question: &Question, id: RequestId) -> Heard {
        let mut state = self.inner.state.clone();
        loop {
            let current = state.borrow_and_update().clone();
            let now = self.inner.clock.now();
            let Some(request) = current.facts.requests.get(&id) else {
                return Heard::Lapsed;
            };
            match &request.state {
                RequestState::Approved { .. } => {
                    return Heard::Seconded {
                        by: behind(&current, request),
                    };
                }
                RequestState::Denied { by, note } => {
                    return Heard::Denied {
                        by: by.clone(),
                        note: note.clone(),
                    };
                }
                RequestState::Withdrawn => return Heard::Withdrawn,
                RequestState::Pending if request.is_open(now) => {}
                RequestState::Pending | RequestState::Lapsed => return Heard::Lapsed,
            }
            if enough(&current, question, request, now).is_ok() {
                match self.let_through(question, id).await {
                    Ok(()) => continue,
                    Err(BrokerError::Denied(_) | BrokerError::Conflict(_)) => {}
                    Err(why) => return Heard::Unasked { why },
                }
            }
            // The wall may step: what has lapsed is looked at each second at least.
            let second = Duration::from_secs(1);
            let soon = self.inner.clock.instant();
            let soon = soon.checked_add(second).unwrap_or(soon);
            let until = self.inner.clock.instant_of(request.lapses_at).min(soon);
            if let Ok(Err(_gone)) = timeout_at(until, state.changed()).await {
                let why = BrokerError::Unavailable { part: Part::Store };
                return Heard::Unasked { why };
            }
        }
    }

    async fn file_statement(&self, question: &Question) -> Result<Request, BrokerError> {
        let drawn = draw()?;
        let Question { terms, held, .. } = question;
        let caller = caller_of(terms);
        let object = terms.target.name.to_string();
        let reason = match self.reason_of(terms.grant) {
            Some(reason) => reason,
            None => Reason::parse(policies::words::broker::NO_REASON)
                .map_err(|_never| BrokerError::Unavailable { part: Part::Store })?,
        };
        self.change(&caller, ("hold", &object), |view| {
            self.healthy()?;
            if waiting(view.state, &terms.principal, view.now) {
                return Err(BrokerError::Conflict(Conflict::HoldsMany));
            }
            let id = RequestId::new(view.now, drawn);
            let request = Request::hold(id, terms, held.clone(), reason.clone(), view.now);
            let filed = Change::RequestFiled {
                request: request.clone(),
            };
            Ok((vec![filed], request))
        })
        .await
    }

    /// Writes down that the statement may run.
    async fn let_through(&self, question: &Question, id: RequestId) -> Result<(), BrokerError> {
        let caller = caller_of(&question.terms);
        self.change(&caller, ("run", &id.to_string()), |view| {
            self.healthy()?;
            let request = view.state.facts.requests.get(&id);
            let request = request
                .filter(|request| request.is_open(view.now))
                .ok_or(BrokerError::Conflict(Conflict::Busy))?;
            enough(view.state, question, request, view.now)?;
            Ok((vec![Change::StatementSeconded { id }], ()))
        })
        .await
    }

    /// Closes a request that nobody waits for any more.
    async fn give_up(&self, question: &Question, id: RequestId) {
        let caller = caller_of(&question.terms);
        let closed = self
            .change(&caller, ("withdraw", &id.to_string()), |view| {
                let open = view.state.facts.requests.get(&id);
                let open = open.is_some_and(|request| request.is_open(view.now));
                let changes = open.then_some(Change::RequestWithdrawn { id });
                Ok((changes.into_iter().collect(), ()))
            })
            .await;
        if let Err(refused) = closed {
            // It lapses by itself, and nobody could run it.
            warn!(request = %id, reason = %refused, "statement.unclosed");
        }
        self.note(question, id, Holding::GivenUp, None).await;
    }

    /// Closes what sessions of a server that is gone were waiting for.
    pub(super) async fn close_held(&self) {
        let closed = self.append(None, |end| {
            let held = end.state.facts.requests.values();
            let open = held.filter(|one| one.statement.is_some() && one.is_open(end.now));
            let changes = open.map(|request| Change::RequestWithdrawn { id: request.id });
            Ok((changes.collect(), ()))
        });
        if let Err(refused) = closed.await {
            warn!(reason = %refused, "statements.unclosed");
        }
    }

    async fn note(
        &self,
        question: &Question,
        request: RequestId,
        how: Holding,
        by: Option<&PrincipalName>,
    ) {
        let held = &question.held;
        self.write(Happening::StatementHeld {
            session: held.session,
            grant: held.grant,
            request,
            principal: question.terms.principal.clone(),
            policy: held.policy.clone(),
            sha256: held.digest.clone(),
            how,
            by: by.cloned(),
        })
        .await;
    }
}

/// Whoever runs the statement, from where they run it.
fn caller_of(terms: &Terms) -> Caller {
    Caller {
        principal: terms.principal.clone(),
        source: terms.source,
    }
}

/// Whether the approvals of the request are enough to run the statement, as things are.
fn enough(
    state: &State,
    question: &Question,
    request: &Arc<Request>,
    now: Timestamp,
) -> Result<(), Denial> {
    if request.approvals.is_empty() {
        // Whatever policies say meanwhile, nobody has seen it.
        return Err(Denial::NotAllowed {
            policy: String::new(),
            reason: String::new(),
        });
    }
    let now = state.instant_for(&question.terms, now);
    is_seconded(
        state.policies()?,
        &state.facts,
        &question.terms,
        (&question.statements, request),
        now,
    )
}

/// Who is behind a statement that may run: those whose yes counts.
fn behind(state: &State, request: &Request) -> Vec<PrincipalName> {
    let counted = state.policies();
    let counted = counted.map(|set| policies::counted(set, &state.facts, request));
    // By the newest policies it may be nobody any more, and it was let through all the same.
    let by = counted.ok().filter(|counted| !counted.is_empty());
    by.unwrap_or_else(|| request.approvals.iter().map(|one| one.by.clone()).collect())
}

/// Whether this principal has as many statements held as they may.
fn waiting(state: &State, who: &PrincipalName, now: Timestamp) -> bool {
    let hour_ago = now
        .checked_sub(SignedDuration::from_hours(1))
        .unwrap_or(now);
    let theirs = || {
        let all = state.facts.requests.values();
        all.filter(|request| request.statement.is_some() && request.principal == *who)
    };
    theirs().count() >= KEPT_MAX
        || theirs().filter(|request| request.is_open(now)).count() >= WAITING_MAX
        || theirs()
            .filter(|request| request.filed_at > hour_ago)
            .count()
            >= HOURLY_MAX
}
