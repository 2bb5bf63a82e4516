//! Who may answer a request, told to whoever may not and may know.

use policies::words::request::{NOT_YOURS_TO_ANSWER, who_may};
use policies::{Denial, Office, PrincipalName, Request, RequestId, may_approve};
use tokio::task::spawn_blocking;

use super::view::View;
use super::{Broker, BrokerError, Caller};

impl Broker {
    /// The same no, with who may answer where no rule says that the caller may not: others may. Found out once, for an
    /// answer that is given in any case, and on a thread that may take its time: each person is a question to the
    /// policies.
    pub(super) async fn naming_others<T>(
        &self,
        caller: &Caller,
        id: RequestId,
        answer: Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        let Err(BrokerError::Denied(Denial::NotAllowed { policy, reason })) = answer else {
            return answer;
        };
        if !policy.is_empty() || reason == NOT_YOURS_TO_ANSWER {
            return Err(Denial::NotAllowed { policy, reason }.into());
        }
        let (broker, caller) = (self.clone(), caller.clone());
        let looking = spawn_blocking(move || {
            let state = broker.state();
            let request = state.facts.requests.get(&id)?;
            who_may_answer(&broker.view(&state, &caller), request)
        });
        let others = looking.await.ok().flatten();
        let reason = others.map_or_else(|| reason.clone(), |who| format!("{reason} {who}"));
        Err(Denial::NotAllowed { policy, reason }.into())
    }
}

/// How many people are named who may answer.
const NAMED: usize = 4;

/// How many are asked about, for each is a question to the policies.
const ASKED_ABOUT: usize = 50;

/// Who may answer this request, from where the caller comes, in words. For nobody but who may see the people and
/// what everybody has answered.
fn who_may_answer(view: &View<'_>, request: &Request) -> Option<String> {
    view.office(Office::ViewSessions).ok()?;
    let (facts, policies) = (&view.state.facts, view.state.policies().ok()?);
    let source = view.caller.source;
    let may = |name: &&PrincipalName| {
        let has_said = request.approvals.iter().any(|one| one.by == **name);
        !has_said && may_approve(policies, facts, name, request, source, view.now).is_ok()
    };
    let asked_about = facts.principals.keys().take(ASKED_ABOUT);
    let found: Vec<&str> = asked_about
        .filter(may)
        .take(NAMED + 1)
        .map(PrincipalName::as_str)
        .collect();
    let more = found.len() > NAMED || facts.principals.len() > ASKED_ABOUT;
    let some = found.get(..NAMED).unwrap_or(&found);
    who_may(some, more)
}
