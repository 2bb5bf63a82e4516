//! Sessions, live and past, and the audit log.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use policies::{PrincipalName, SessionId, TargetName};
use serde::Deserialize;

use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Named, Unread};
use crate::api::problem::Refused;
use crate::api::wire::{AuditList, AuditView, Ended, Ending, List, RawLine, SessionView};
use crate::broker::Found;
use crate::ledger::sought::Sought;
use crate::ledger::{Session, SessionFilter, chain};
use crate::{Broker, BrokerError, Caller};

pub(crate) fn view(session: Session) -> SessionView {
    SessionView {
        schema: "tidegate.session/1".into(),
        session,
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    live: Option<bool>,
    principal: Option<PrincipalName>,
    target: Option<TargetName>,
    before: Option<SessionId>,
    #[serde(default)]
    limit: u32,
}

impl Filter {
    /// The same by the name that the target has.
    pub(crate) fn named(self, broker: &Broker) -> Self {
        Self {
            target: self.target.map(|target| broker.called(&target)),
            ..self
        }
    }
}

impl From<Filter> for SessionFilter {
    fn from(filter: Filter) -> Self {
        let Filter {
            live,
            principal,
            target,
            before,
            limit,
        } = filter;
        Self {
            live,
            principal,
            target,
            grant: None,
            prefix: None,
            unsealed: false,
            before,
            limit,
        }
    }
}

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(filter): Asked<Filter>,
) -> Result<Json<List<SessionView>>, Refused> {
    let broker = &house.parts.broker;
    let filter = filter.named(broker);
    let found = broker.sessions(&caller, &filter.into()).await?;
    Ok(Json(List::of(found.into_iter().map(view).collect())))
}

/// An id, the beginning of one, or `last`: the newest that the caller may see. That they see none is in the
/// ledger.
pub(crate) async fn find(
    broker: &Broker,
    caller: &Caller,
    (text, deed): (&str, &str),
) -> Result<SessionId, BrokerError> {
    let found = called(broker, caller, text).await;
    broker.audited(caller, (deed, text), found).await
}

async fn called(broker: &Broker, caller: &Caller, text: &str) -> Result<SessionId, BrokerError> {
    if text != "last" {
        return broker.find_session(caller, text).await;
    }
    let newest = SessionFilter {
        limit: 1,
        ..SessionFilter::default()
    };
    let found = broker.sessions(caller, &newest).await?;
    let first = found.first().map(|session| session.id);
    first.ok_or_else(|| BrokerError::NotFound {
        what: "last".to_owned(),
    })
}

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
) -> Result<Json<SessionView>, Refused> {
    let broker = &house.parts.broker;
    let id = find(broker, &caller, (&id, "show session")).await?;
    Ok(Json(view(broker.show_session(&caller, id).await?)))
}

pub(crate) async fn kill(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
    body: Unread,
) -> Result<Json<Ended>, Refused> {
    let broker = &house.parts.broker;
    let deed = ("kill session", id.as_str());
    let live = broker.find_live(&caller, &id).await;
    let id = broker.audited(&caller, deed, live).await?;
    let ending: Ending = body.read().await?;
    broker.kill_session(&caller, id, ending.reason).await?;
    Ok(Json(Ended::of(id.to_string(), vec![id])))
}

#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
}

/// Which lines of the audit log are wanted: some of them, or the last that fit.
#[derive(Debug, Deserialize)]
pub(crate) struct Lines {
    #[serde(default)]
    after: u64,
    limit: Option<u32>,
    /// The last lines instead, so many.
    last: Option<u32>,
    /// Of those before this line.
    before: Option<u64>,
    event: Option<String>,
    user: Option<String>,
    target: Option<String>,
    since: Option<Timestamp>,
}

/// How many lines of the audit log are sent at once, at most and when nothing is said.
const LINES_MAX: u32 = 1000;

/// What whoever wants the audit log wants, in the audit log.
const READ: (&str, &str) = ("read audit", "");

pub(crate) async fn audit_raw(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(Page { after, limit }): Asked<Page>,
) -> Result<Json<List<RawLine>>, Refused> {
    let limit = limit.unwrap_or(LINES_MAX).min(LINES_MAX);
    let broker = &house.parts.broker;
    let lines = broker.audit_lines(&caller, after, limit).await;
    let lines = broker.audited(&caller, READ, lines).await?;
    let raw = |line: chain::Stored| RawLine {
        seq: line.seq,
        digest: chain::hex(&line.digest),
        body: line.body,
    };
    Ok(Json(List::of(lines.into_iter().map(raw).collect())))
}

pub(crate) async fn audit(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(wanted): Asked<Lines>,
) -> Result<Json<AuditList>, Refused> {
    let limit = wanted.last.or(wanted.limit);
    let limit = limit.unwrap_or(LINES_MAX).min(LINES_MAX);
    let sought = Sought {
        event: wanted.event,
        user: wanted.user,
        target: wanted.target,
        since: wanted.since,
    };
    let broker = &house.parts.broker;
    let whole = |lines| Found {
        lines,
        looked_from: None,
    };
    let found = if sought.is_everything() && wanted.before.is_none() {
        let lines = match wanted.last {
            Some(_) => broker.audit_last(&caller, limit).await,
            None => broker.audit(&caller, wanted.after, limit).await,
        };
        lines.map(whole)
    } else {
        let sought = (&sought, wanted.before);
        broker.audit_sought(&caller, sought, limit).await
    };
    let found = broker.audited(&caller, READ, found).await?;
    let view = |line| AuditView {
        schema: "tidegate.audit/1".into(),
        line,
    };
    Ok(Json(AuditList {
        schema: "tidegate.list/1".into(),
        items: found.lines.into_iter().map(view).collect(),
        looked_from: found.looked_from,
    }))
}
