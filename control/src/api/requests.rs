//! Asking for a grant, and answering.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use jiff::SignedDuration;
use policies::words::api::ApiRefusal;
use policies::{HeldStatement, Login, Reason, RequestId, RequestState};
use serde::Deserialize;

use crate::api::Shared;
use crate::api::caller::Known;
use crate::api::extract::{Asked, Body, Named, Unread};
use crate::api::problem::Refused;
use crate::api::share::Slot;
use crate::api::wire::{
    Answer, List, RequestOrder, RequestView, Shortened, Standing, VoidApproval,
};
use crate::broker::{Asking, Petition, RequestFilter};
use crate::{Broker, BrokerError, Caller};

/// The longest that one question waits for an answer, in seconds. Under the limit of an answer.
const WAIT_MAX: u64 = 30;

pub(crate) fn view(broker: &Broker, asking: &Asking) -> RequestView {
    let request = &asking.request;
    let (state, denied_by, note) = match &request.state {
        RequestState::Pending => (Standing::Pending, None, None),
        RequestState::Approved { .. } => (Standing::Approved, None, None),
        RequestState::Denied { by, note } => (Standing::Denied, Some(by), Some(note)),
        RequestState::Withdrawn => (Standing::Withdrawn, None, None),
        RequestState::Lapsed => (Standing::Lapsed, None, None),
    };
    RequestView {
        schema: "tidegate.request/1".into(),
        id: request.id,
        principal: request.principal.clone(),
        target: request.target.clone(),
        protocol: broker
            .target(&request.target)
            .map(|target| target.protocol()),
        login: request.login.clone(),
        duration_seconds: request.duration.as_secs(),
        reason: request.reason.clone(),
        filed_at: request.filed_at,
        lapses_at: request.lapses_at,
        state,
        approved_by: request
            .approvals
            .iter()
            .map(|approval| approval.by.clone())
            .collect(),
        shortened: request
            .approvals
            .iter()
            .filter_map(|approval| {
                let given = approval.at_most?;
                Some(Shortened {
                    by: approval.by.clone(),
                    seconds: given.as_secs(),
                })
            })
            .collect(),
        void: asking
            .void
            .iter()
            .map(|(by, why)| VoidApproval {
                by: by.clone(),
                why: why.sentence().to_owned(),
            })
            .collect(),
        denied_by: denied_by.cloned(),
        note: note.cloned(),
        answerable: asking.answerable,
        opens: asking.opens.clone(),
        grant: asking.grant.as_ref().map(|grant| grant.id),
        until: asking.grant.as_ref().map(|grant| grant.expires_at),
        digest: request.digest(),
        statement: request.statement.as_deref().cloned(),
    }
}

/// One of many: of a statement only the beginning.
fn row(broker: &Broker, asking: &Asking) -> RequestView {
    let view = view(broker, asking);
    RequestView {
        statement: view.statement.as_ref().map(HeldStatement::brief),
        ..view
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Filter {
    #[serde(default)]
    open: bool,
    #[serde(default)]
    mine: bool,
    before: Option<RequestId>,
}

pub(crate) async fn list(
    State(house): State<Shared>,
    Known(caller): Known,
    Asked(Filter { open, mine, before }): Asked<Filter>,
) -> Json<List<RequestView>> {
    let broker = &house.parts.broker;
    let found = broker.requests(&caller, RequestFilter { open, mine, before });
    let found = found.await;
    Json(List::of(
        found.iter().map(|asking| row(broker, asking)).collect(),
    ))
}

pub(crate) async fn file(
    State(house): State<Shared>,
    Known(caller): Known,
    Body(order): Body<RequestOrder>,
) -> Result<Json<RequestView>, Refused> {
    let broker = &house.parts.broker;
    let seconds = i64::try_from(order.duration_seconds).unwrap_or(i64::MAX);
    let petition = Petition {
        login: login(broker, &caller, &order)?,
        target: order.target,
        duration: SignedDuration::from_secs(seconds),
        reason: order.reason,
    };
    let asking = broker.request(&caller, petition).await?;
    Ok(Json(view(broker, &asking)))
}

/// The login that was named, or the only one that the caller sees. For a target that they do not
/// see, some login: the broker's answer is the one for what is not there.
fn login(broker: &Broker, caller: &Caller, order: &RequestOrder) -> Result<Login, Refused> {
    if let Some(login) = &order.login {
        return Ok(login.clone());
    }
    let seen = broker.seen_target(caller, &order.target);
    let logins: Vec<Login> = seen
        .map(|seen| seen.access.keys().cloned().collect())
        .unwrap_or_default();
    match logins.as_slice() {
        [only] => Ok(only.clone()),
        [] => Login::parse("root").map_err(|_never| ApiRefusal::Unavailable.into()),
        several => Err(ApiRefusal::LoginNeeded {
            target: order.target.to_string(),
            logins: several.iter().map(ToString::to_string).collect(),
        }
        .into()),
    }
}

/// The request that is called so, as far as the caller may see it. That they see none is in the ledger: they
/// may have tried another's.
async fn find(
    broker: &Broker,
    caller: &Caller,
    (text, deed): (&str, &str),
) -> Result<RequestId, BrokerError> {
    let found = broker.find_request(caller, text);
    broker.audited(caller, (deed, text), found).await
}

#[derive(Debug, Deserialize)]
pub(crate) struct Wait {
    wait: Option<u64>,
}

pub(crate) async fn show(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
    Asked(Wait { wait }): Asked<Wait>,
    slot: Slot,
) -> Result<Json<RequestView>, Refused> {
    let broker = &house.parts.broker;
    let id = find(broker, &caller, (&id, "show request")).await?;
    if let Some(seconds) = wait.filter(|seconds| *seconds > 0) {
        let limit = Duration::from_secs(seconds.min(WAIT_MAX));
        let answered = broker.until_answered(&caller, id, limit);
        if let Some(answered) = slot.beside(limit, answered).await? {
            answered?;
        }
    }
    let asking = broker.show_request(&caller, id)?;
    Ok(Json(view(broker, &asking)))
}

pub(crate) async fn approve(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
    body: Unread,
) -> Result<Json<RequestView>, Refused> {
    let broker = &house.parts.broker;
    let id = find(broker, &caller, (&id, "approve")).await?;
    let answer: Answer = body.read().await?;
    let seconds = |seconds| SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let at_most = answer.at_most_seconds.map(seconds);
    let said = (answer.note, answer.digest.as_deref());
    let asking = broker.approve_for(&caller, id, said, at_most).await?;
    Ok(Json(view(broker, &asking)))
}

pub(crate) async fn deny(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
    body: Unread,
) -> Result<Json<RequestView>, Refused> {
    let broker = &house.parts.broker;
    let id = find(broker, &caller, (&id, "deny")).await?;
    let answer: Answer = body.read().await?;
    let note: Reason = answer.note.ok_or_else(|| ApiRefusal::Body {
        why: policies::words::api::NO_NOTE.to_owned(),
    })?;
    let asking = broker.deny(&caller, id, note).await?;
    Ok(Json(view(broker, &asking)))
}

pub(crate) async fn withdraw(
    State(house): State<Shared>,
    Known(caller): Known,
    Named(id): Named<String>,
) -> Result<Json<RequestView>, Refused> {
    let broker = &house.parts.broker;
    let id = find(broker, &caller, (&id, "withdraw")).await?;
    let asking = broker.withdraw(&caller, id).await?;
    Ok(Json(view(broker, &asking)))
}
