//! Asking other people for a grant, as a state machine: pending, then approved, denied, withdrawn
//! or lapsed, and never anything after that.

use std::net::IpAddr;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hex;
use crate::{
    Approval, Grant, GrantId, HeldStatement, Login, PrincipalName, Reason, RequestId, TargetName,
};

/// Someone asks for a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its name.
    pub id: RequestId,
    /// Who asks.
    pub principal: PrincipalName,
    /// For which target.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// For how long, from the moment it is granted.
    pub duration: SignedDuration,
    /// Why.
    pub reason: Reason,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// From where, as far as it is known. The log has it beside the change, so it does not stand in this too.
    #[serde(skip)]
    pub source: Option<IpAddr>,
    /// When nobody needs to answer any more.
    pub lapses_at: Timestamp,
    /// The approvals so far.
    pub approvals: Vec<Approval>,
    /// Where it stands.
    pub state: RequestState,
    /// The one statement that a second person is asked for. Such a request never becomes a grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Box<HeldStatement>>,
}

/// Where a request stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RequestState {
    /// Someone has to answer.
    Pending,
    /// It became this grant; a statement may be run once under it.
    Approved {
        /// The grant.
        grant: GrantId,
    },
    /// Someone said no.
    Denied {
        /// Who.
        by: PrincipalName,
        /// Why.
        note: Reason,
    },
    /// Whoever asked took it back.
    Withdrawn,
    /// Nobody answered in time.
    Lapsed,
}

/// What someone asks for, before it is a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filing {
    /// What the request will be called.
    pub id: RequestId,
    /// Who asks.
    pub principal: PrincipalName,
    /// For which target.
    pub target: TargetName,
    /// As whom.
    pub login: Login,
    /// For how long, from the moment it is granted.
    pub duration: SignedDuration,
    /// Why.
    pub reason: Reason,
}

/// Why a request cannot take this step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nothing shorter than a second or longer than [`Request::DURATION_MAX`] can be asked for.
    #[error("request {} of access", crate::duration::print(*asked))]
    Duration {
        /// What was asked for.
        asked: SignedDuration,
    },
    /// It is no longer open.
    #[error("request `{id}` is closed")]
    Closed {
        /// The request.
        id: RequestId,
        /// Where it stands.
        state: RequestState,
    },
    /// It is one's own.
    #[error("approve one's own request `{id}`")]
    Own {
        /// The request.
        id: RequestId,
    },
    /// They have approved it before, for no longer.
    #[error("approve request `{id}` twice")]
    Twice {
        /// The request.
        id: RequestId,
    },
    /// What they were shown is not what it says.
    #[error("approve request `{id}` as something else than it is")]
    Changed {
        /// The request.
        id: RequestId,
    },
    /// It asks for one statement, and for no grant.
    #[error("make a grant of the statement `{id}`")]
    Statement {
        /// The request.
        id: RequestId,
    },
    /// It asks for one statement, and whoever says yes has not said to which text.
    #[error("approve the statement `{id}` unseen")]
    Unseen {
        /// The request.
        id: RequestId,
    },
    /// What they would give is more than was asked.
    #[error("approve request `{id}` for longer than {}", crate::duration::print(*asked))]
    Longer {
        /// The request.
        id: RequestId,
        /// For how long it asks.
        asked: SignedDuration,
    },
    /// It asks for one statement, which is run once and has no length to give less of.
    #[error("approve the statement `{id}` for a time")]
    Timeless {
        /// The request.
        id: RequestId,
    },
    /// By the policies in force it could not be filed any more.
    #[error("approve request `{id}`, which may not be asked for any more")]
    Unaskable {
        /// The request.
        id: RequestId,
    },
    /// Only whoever filed it may take it back.
    #[error("withdraw somebody else's request `{id}`")]
    NotOwn {
        /// The request.
        id: RequestId,
    },
    /// It is not yet time for it to lapse.
    #[error("let request `{id}` lapse before its time")]
    Early {
        /// The request.
        id: RequestId,
    },
}

impl Request {
    /// The longest access that can be asked for; policies allow less.
    pub const DURATION_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

    /// How long a request waits for an answer.
    pub const PATIENCE: SignedDuration = SignedDuration::from_hours(24);

    /// Files a request. Whether it may be filed is [`may_request`](crate::may_request)'s to say.
    pub fn file(filing: Filing, now: Timestamp) -> Result<Self, RequestError> {
        let Filing {
            id,
            principal,
            target,
            login,
            duration,
            reason,
        } = filing;
        if duration < SignedDuration::from_secs(1) || duration > Self::DURATION_MAX {
            return Err(RequestError::Duration { asked: duration });
        }
        Ok(Self {
            id,
            principal,
            target,
            login,
            duration,
            reason,
            filed_at: now,
            source: None,
            lapses_at: now.saturating_add(Self::PATIENCE).unwrap_or(now),
            approvals: Vec::new(),
            state: RequestState::Pending,
            statement: None,
        })
    }

    /// Whether somebody still has to answer: pending, and `now` before `lapses_at`.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.state == RequestState::Pending && now < self.lapses_at
    }

    /// SHA-256 of what an approver is shown, in lower-case hexadecimal: the request, who, where, as
    /// whom, for how long and why.
    ///
    /// One line each; none of the parts can hold a line break, so no two requests look alike.
    pub fn digest(&self) -> String {
        let mut shown = format!(
            "tidegate.request/1\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.id,
            self.principal,
            self.target,
            self.login,
            self.duration.as_nanos(),
            self.reason,
        );
        if let Some(held) = &self.statement {
            let bound = format!(
                "statement\n{}\n{}\n{}\n",
                held.session, held.grant, held.digest
            );
            shown.push_str(&bound);
            if let Some(database) = &held.database {
                shown.extend(["database\n", database.as_str(), "\n"]);
            }
        }
        hex(digest::digest(&digest::SHA256, shown.as_bytes()).as_ref())
    }

    /// The same with one more approval; still pending, because
    /// [`activates`](crate::activates) says when it is enough.
    pub fn approve(&self, approval: Approval) -> Result<Self, RequestError> {
        let id = self.id;
        self.open(approval.at)?;
        if approval.by == self.principal {
            return Err(RequestError::Own { id });
        }
        if approval.digest != self.digest() {
            return Err(RequestError::Changed { id });
        }
        if let Some(given) = approval.at_most {
            self.may_give(given)?;
        }
        let mut earlier = self.approvals.iter();
        let earlier = earlier.find(|earlier| earlier.by == approval.by);
        let given = self.given_by(&approval);
        if earlier.is_some_and(|earlier| given >= self.given_by(earlier)) {
            return Err(RequestError::Twice { id });
        }
        let mut approved = self.clone();
        approved.take(approval);
        Ok(approved)
    }

    /// Puts an approval down, in the place of an earlier one by the same person.
    pub fn take(&mut self, approval: Approval) {
        self.approvals.retain(|earlier| earlier.by != approval.by);
        self.approvals.push(approval);
    }

    /// Whether somebody may give this much of it.
    fn may_give(&self, given: SignedDuration) -> Result<(), RequestError> {
        let (id, asked) = (self.id, self.duration);
        if self.statement.is_some() {
            return Err(RequestError::Timeless { id });
        }
        if given < SignedDuration::from_secs(1) {
            return Err(RequestError::Duration { asked: given });
        }
        if given > asked {
            return Err(RequestError::Longer { id, asked });
        }
        Ok(())
    }

    /// For how long this approval agrees to it.
    pub fn given_by(&self, approval: &Approval) -> SignedDuration {
        let given = approval.at_most.unwrap_or(self.duration);
        given.min(self.duration)
    }

    /// The request as approved, and the grant that it became: for as long as all who approved `agreed` to, never for
    /// longer than was asked.
    pub fn grant(
        &self,
        id: GrantId,
        agreed: SignedDuration,
        now: Timestamp,
    ) -> Result<(Self, Grant), RequestError> {
        self.open(now)?;
        if self.statement.is_some() {
            return Err(RequestError::Statement { id: self.id });
        }
        let length = agreed.min(self.duration);
        let expires_at = now
            .checked_add(length)
            .map_err(|_beyond| RequestError::Duration { asked: length })?;
        let grant = Grant {
            id,
            request: self.id,
            principal: self.principal.clone(),
            target: self.target.clone(),
            login: self.login.clone(),
            starts_at: now,
            expires_at,
            ended: None,
        };
        Ok((self.moved(RequestState::Approved { grant: id }), grant))
    }

    /// The same, denied. Whether `by` may is [`may_approve`](crate::may_approve)'s to say.
    pub fn deny(
        &self,
        by: PrincipalName,
        note: Reason,
        now: Timestamp,
    ) -> Result<Self, RequestError> {
        self.open(now)?;
        if by == self.principal {
            return Err(RequestError::Own { id: self.id });
        }
        Ok(self.moved(RequestState::Denied { by, note }))
    }

    /// The same, taken back by whoever filed it.
    pub fn withdraw(&self, by: &PrincipalName, now: Timestamp) -> Result<Self, RequestError> {
        if *by != self.principal {
            return Err(RequestError::NotOwn { id: self.id });
        }
        self.open(now)?;
        Ok(self.moved(RequestState::Withdrawn))
    }

    /// The same, given up because nobody answered in time.
    pub fn lapse(&self, now: Timestamp) -> Result<Self, RequestError> {
        if self.is_open(now) {
            return Err(RequestError::Early { id: self.id });
        }
        if self.state != RequestState::Pending {
            return Err(RequestError::Closed {
                id: self.id,
                state: self.state.clone(),
            });
        }
        Ok(self.moved(RequestState::Lapsed))
    }

    fn open(&self, now: Timestamp) -> Result<(), RequestError> {
        if self.is_open(now) {
            return Ok(());
        }
        let waited_in_vain = self.state == RequestState::Pending;
        let state = if waited_in_vain {
            RequestState::Lapsed
        } else {
            self.state.clone()
        };
        Err(RequestError::Closed { id: self.id, state })
    }

    fn moved(&self, state: RequestState) -> Self {
        Self {
            state,
            ..self.clone()
        }
    }
}
