//! `sessions watch`: every session as it begins and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use control::api::wire::SessionView;
use jiff::{SignedDuration, Timestamp};
use policies::SessionId;

use super::{PAST, Times, Whose, ending, listed, one};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::printer::{Format, harmless};
use crate::cli::when;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// What ended longer ago than this is not news to somebody who begins to watch.
const RECENT: SignedDuration = SignedDuration::from_secs(60);

/// Prints what is live, and then every beginning and end, as long as it is let.
pub(super) async fn watch(context: &Context, whose: &Whose) -> Outcome {
    let mut seen = Seen::default();
    loop {
        let found = look(context, whose, &seen).await?;
        for view in seen.news(&found, context.now()) {
            line(context, view)?;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// By their ids, which are in the order of their beginnings.
type Found = BTreeMap<SessionId, SessionView>;

/// All that are live, the newest, among which are those that begin and end between two looks, and those that were live at the
/// last look.
async fn look(context: &Context, whose: &Whose, seen: &Seen) -> Result<Found, Failure> {
    let (live, _none) = listed(context, whose, Times::Live, None).await?;
    let (newest, _older) = listed(context, whose, Times::Any, Some(PAST)).await?;
    let all = live.items.into_iter().chain(newest.items);
    let mut found: Found = all.map(|view| (view.session.id, view)).collect();
    let ended: Vec<SessionId> = seen.missing(&found).collect();
    for id in ended {
        match one(context, &id.to_string()).await {
            Ok(view) => drop(found.insert(id, view)),
            // Whoever may not see it any more does not see its end either.
            Err(failure) if failure.exit == Exit::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}

/// What was there at the last look.
#[derive(Debug, Default)]
struct Seen {
    live: BTreeSet<SessionId>,
    over: BTreeSet<SessionId>,
}

impl Seen {
    /// Those that were live and are not among what was found.
    fn missing<'a>(&'a self, found: &'a Found) -> impl Iterator<Item = SessionId> + 'a {
        let live = self.live.iter().copied();
        live.filter(|id| !found.contains_key(id))
    }

    /// What began or ended since the last look, oldest first. That is forgotten then which is not found any more: it is over, and
    /// older than whatever will be found.
    fn news<'a>(&mut self, found: &'a Found, now: Timestamp) -> Vec<&'a SessionView> {
        let is_news = |view: &&SessionView| {
            let id = view.session.id;
            if view.session.is_live() {
                return !self.live.contains(&id);
            }
            let is_recent = now.duration_since(last_change(view)) < RECENT;
            self.live.contains(&id) || (is_recent && !self.over.contains(&id))
        };
        let news = found.values().filter(is_news).collect();
        let those = |live: bool| {
            let those = found
                .values()
                .filter(move |view| view.session.is_live() == live);
            those.map(|view| view.session.id).collect()
        };
        (self.live, self.over) = (those(true), those(false));
        news
    }
}

fn last_change(view: &SessionView) -> Timestamp {
    let end = view.session.end.as_ref();
    end.map_or(view.session.opened_at, |end| end.at)
}

fn line(context: &Context, view: &SessionView) -> Outcome {
    if matches!(context.printer.format, Format::Json | Format::Jsonl) {
        return context.printer.record(view);
    }
    let session = &view.session;
    let at = when::instant(last_change(view), context.now());
    let (id, who, login, target) = (
        session.id,
        &session.principal,
        &session.login,
        &session.target,
    );
    let end = ending(session.end.as_ref().map(|end| &end.cause));
    let text = harmless::line(&format!("{at}  {id}  {who}  {login}@{target}  {end}"));
    context.printer.text(&format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use control::ledger::{Cause, Counters, RecordingState, Session, SessionEnd, Timeline};
    use policies::{Credential, GrantId, Protocol};

    use super::*;

    /// The second at which the session of this number begins.
    fn second(number: u8) -> Timestamp {
        Timestamp::from_second(number.into()).unwrap()
    }

    /// A session, live or over since a second.
    fn session(number: u8, ended: Option<u8>) -> SessionView {
        let end = ended.map(|at| SessionEnd {
            at: second(at),
            cause: Cause::Complete,
            timeline: Timeline::default(),
            counters: Counters::default(),
            recording: RecordingState::Absent,
        });
        let opened_at = second(number);
        let session = Session {
            id: SessionId::new(opened_at, [number; 10]),
            grant: GrantId::new(opened_at, [1; 10]),
            principal: "alice".parse().unwrap(),
            credential: Credential::Key {
                fingerprint: "SHA256:abc".to_owned(),
            },
            source: "192.0.2.7".parse().unwrap(),
            target: "web1".parse().unwrap(),
            login: "deploy".parse().unwrap(),
            protocol: Protocol::Ssh,
            opened_at,
            until: second(255),
            end,
        };
        let schema = "tidegate.session/1".to_owned();
        SessionView { schema, session }
    }

    fn found(all: &[(u8, Option<u8>)]) -> Found {
        let views = all.iter().map(|(number, ended)| session(*number, *ended));
        views.map(|view| (view.session.id, view)).collect()
    }

    /// What is printed: of which sessions, and whether they are live.
    fn printed(seen: &mut Seen, all: &[(u8, Option<u8>)], now: u8) -> Vec<(u8, bool)> {
        let found = found(all);
        let news = seen.news(&found, second(now));
        let number = |view: &SessionView| {
            let since = view.session.opened_at.as_second();
            (u8::try_from(since).unwrap(), view.session.is_live())
        };
        news.into_iter().map(number).collect()
    }

    #[test]
    fn each_beginning_and_end_is_printed_once() {
        let mut seen = Seen::default();
        let first = [(1, Some(2)), (3, None), (100, Some(101)), (110, None)];
        let news = printed(&mut seen, &first, 120);
        // What was over a minute ago is no news.
        assert_eq!(news, [(3, true), (100, false), (110, true)]);
        assert_eq!(printed(&mut seen, &first, 121), []);
        let then = [(3, Some(122)), (110, None), (121, Some(122)), (122, None)];
        let news = printed(&mut seen, &then, 123);
        assert_eq!(news, [(3, false), (121, false), (122, true)]);
        assert_eq!(printed(&mut seen, &then, 124), []);
    }

    #[test]
    fn the_end_of_an_old_session_is_looked_for() {
        let mut seen = Seen::default();
        printed(&mut seen, &[(1, None), (2, None)], 3);
        let later = found(&[(2, None), (200, Some(201))]);
        let old = session(1, None).session.id;
        assert_eq!(seen.missing(&later).collect::<Vec<_>>(), [old]);
        // However long the next look was in coming.
        let news = printed(&mut seen, &[(1, Some(10)), (2, None)], 250);
        assert_eq!(news, [(1, false)]);
        // It is forgotten with its end: what is kept does not grow.
        printed(&mut seen, &[(2, None)], 251);
        assert_eq!((seen.live.len(), seen.over.len()), (1, 0));
    }
}
