//! Every sentence for a no, an ending and a refused step, in one list.

mod world;

use std::time::Duration;

use jiff::SignedDuration;
use policies::words::broker::Conflict;
use policies::words::budget::Spending;
use policies::words::files::FileSaying;
use policies::words::forward::{Deaf, ForwardSaying};
use policies::words::postgres::Complaint;
use policies::words::recordings;
use policies::words::seconding::{self, Seconding};
use policies::words::ssh::SshSaying;
use policies::words::{Ending, Shown, Soon, Stops};
use policies::{
    Denial, FileAccess, GrantOver, Limit, Measure, Part, Request, RequestError, RequestState,
    SeverReason,
};
use world::*;

fn denials() -> Vec<Denial> {
    let (target, as_whom) = (target_name("web1"), login("deploy"));
    let mut all = vec![
        Denial::NoGrant {
            target: target.clone(),
            login: as_whom.clone(),
        },
        Denial::Pending {
            target: target.clone(),
            login: as_whom.clone(),
            request: request_id(1),
        },
        Denial::NotYet {
            target,
            login: as_whom,
            starts_at: noon(),
        },
        Denial::Forbidden {
            policy: "no-root".to_owned(),
            reason: "Nobody logs in as root on a Friday.".to_owned(),
        },
        Denial::Forbidden {
            policy: String::new(),
            reason: "No policy allows it.".to_owned(),
        },
        Denial::NotAllowed {
            policy: "four-eyes".to_owned(),
            reason: "You cannot approve your own request.".to_owned(),
        },
        Denial::NotAllowed {
            policy: String::new(),
            reason: "You may not manage targets.".to_owned(),
        },
        Denial::TooLong {
            target: target_name("web1"),
            login: login("deploy"),
            longest: SignedDuration::from_hours(8),
        },
        Denial::NotFound {
            what: "web9".to_owned(),
        },
    ];
    let parts = [
        Part::Store,
        Part::Recorder,
        Part::Authority,
        Part::Policies,
        Part::Clock,
        Part::Server,
        Part::Way,
    ];
    all.push(Denial::Crowded { limit: 2_000 });
    all.push(Denial::Filled {
        target: target_name("orders"),
        limit: 64,
    });
    all.extend(parts.map(|part| Denial::Unavailable { part }));
    all
}

fn endings() -> Vec<SeverReason> {
    vec![
        SeverReason::Revoked {
            by: name("carol"),
            reason: reason("INC-4711"),
        },
        SeverReason::Killed {
            by: name("bob"),
            reason: reason("looks odd"),
        },
        SeverReason::Locked,
        SeverReason::Expired { at: noon() },
        SeverReason::PrincipalRemoved,
        SeverReason::TargetRemoved,
        SeverReason::PolicyChanged {
            reason: "Nobody logs in as root on a Friday.".to_owned(),
        },
        SeverReason::PolicyChanged {
            reason: String::new(),
        },
        SeverReason::Blind,
        SeverReason::RecorderFailed,
        SeverReason::Idle {
            limit: SignedDuration::from_mins(90),
        },
        SeverReason::Stopping,
        SeverReason::KeyRemoved,
        SeverReason::RecordingGrown,
    ]
}

fn refused_steps() -> Vec<RequestError> {
    let id = request_id(1);
    let closed = [
        RequestState::Approved { grant: grant_id(2) },
        RequestState::Denied {
            by: name("bob"),
            note: reason("not today"),
        },
        RequestState::Withdrawn,
        RequestState::Lapsed,
    ];
    let mut all = vec![
        RequestError::Duration {
            asked: SignedDuration::from_hours(24 * 31),
        },
        RequestError::Own { id },
        RequestError::Twice { id },
        RequestError::Changed { id },
        RequestError::NotOwn { id },
        RequestError::Early { id },
        RequestError::Longer {
            id,
            asked: SignedDuration::from_mins(15),
        },
        RequestError::Timeless { id },
    ];
    all.extend(closed.map(|state| RequestError::Closed { id, state }));
    all
}

#[test]
fn every_sentence_for_a_no_an_ending_and_a_refused_step() {
    let (target, login) = (target_name("orders"), login("app_ro"));
    let mut said = Vec::new();
    let mut say = |shown: &dyn Shown| said.push(shown.words().to_string());
    for denial in &denials() {
        say(denial);
    }
    for reason in &endings() {
        say(&Ending {
            reason,
            target: &target,
            login: &login,
        });
        say(reason);
    }
    for (seconds, nanos) in [(300, 0), (199, 1), (59, 999_000_000), (60, 0), (0, 1)] {
        say(&Soon {
            left: Duration::new(seconds, nanos),
            target: &target,
            login: &login,
        });
    }
    for seconds in [600, 60] {
        let left = Duration::from_secs(seconds);
        say(&Stops { left });
    }
    for refused in &refused_steps() {
        say(refused);
    }
    say(&GrantOver { id: grant_id(1) });
    let (policy, reason) = (
        "no-ddl".to_owned(),
        "Tables change in migrations.".to_owned(),
    );
    say(&Complaint::Statement {
        kind: "ddl",
        policy: policy.clone(),
        reason: reason.clone(),
    });
    say(&Complaint::Unread { policy, reason });
    let name = "search_path".to_owned();
    let why = Some("statement refused (admin): no policy allows it".to_owned());
    for why in [why, None] {
        let name = name.clone();
        say(&Complaint::Setting { name, why });
    }
    for name in [name, "options".to_owned()] {
        say(&Complaint::Parameter { name });
    }
    insta::assert_snapshot!("words", said.join("\n"));
}

#[test]
fn every_sentence_about_statements_that_wait_and_budgets() {
    let (policy, reason) = ("two".to_owned(), "Two people.".to_owned());
    let waiting = [
        Seconding::Waits {
            policy: policy.clone(),
            reason: reason.clone(),
            request: request_id(1).to_string(),
            lapses_at: noon(),
        },
        Seconding::Seconded {
            by: "bob".to_owned(),
        },
        Seconding::NotSeconded {
            by: "bob".to_owned(),
            note: "not today".to_owned(),
        },
        Seconding::Unanswered,
        Seconding::CancelledWait,
        Seconding::Unasked,
        Seconding::Hidden,
        Seconding::Backward {
            cursor: "c".to_owned(),
            is_held: false,
        },
        Seconding::Backward {
            cursor: "My c".to_owned(),
            is_held: true,
        },
        Seconding::LongToSecond,
        Seconding::UnfitToSecond,
    ];
    let limit = Limit {
        measure: Measure::Rows,
        most: 10_000,
        policy,
        reason,
    };
    let grant = grant_id(1);
    let budgets = [
        Spending::Nearly {
            grant,
            limit: limit.clone(),
            spent: 8_000,
        },
        Spending::Over { grant, limit },
    ];
    let id = request_id(1);
    let refused = [RequestError::Statement { id }, RequestError::Unseen { id }];
    let waiting = waiting.iter().map(|one| one.words().to_string());
    let waiting = waiting.chain([seconding::unsent(4).to_string()]);
    let budgets = budgets.iter().map(|one| one.words().to_string());
    let refused = refused.iter().map(|one| one.words().to_string());
    let many = std::iter::once(Conflict::HoldsMany.words().to_string());
    let said: Vec<String> = waiting.chain(budgets).chain(refused).chain(many).collect();
    insta::assert_snapshot!("seconds", said.join("\n"));
}

#[test]
fn every_sentence_of_a_recording_about_its_terminals() {
    let all = [
        SshSaying::NoEcho { channel: 0 },
        SshSaying::Told {
            channel: 0,
            cell: Some((8, 16)),
            modes: None,
        },
        SshSaying::Told {
            channel: 0,
            cell: Some((0, 0)),
            modes: Some("VERASE=8 ECHO=0"),
        },
        SshSaying::Told {
            channel: 0,
            cell: None,
            modes: Some(""),
        },
    ];
    let said = all.map(|one| one.words().to_string());
    insta::assert_snapshot!("terminals", said.join("\n"));
}

#[test]
fn every_sentence_beside_a_picture() {
    let mut said = vec![recordings::played_channel(0, "command: bash")];
    for (kept, counted) in [(132, 0), (0, 9), (132, 9), (0, 0)] {
        said.extend(recordings::sent_unseen("last", kept, counted));
    }
    for bytes in [0, 300] {
        said.extend(recordings::shown_unkept(bytes));
    }
    for count in [0, 3] {
        said.extend(recordings::more_notes("last", count));
    }
    said.push(recordings::small_screen((100, 30), (80, 24)));
    said.push(recordings::wide_screen("last", 20, 120));
    said.extend(recordings::other_channels("last", &[], false));
    let others = [(1, "command: uptime")];
    said.extend(recordings::other_channels("last", &others, true));
    insta::assert_snapshot!("beside", said.join("\n"));
}

#[test]
fn every_sentence_about_files() {
    let all = [
        FileSaying::Denied {
            access: FileAccess::Write,
            path: "/etc/passwd",
            policy: "hand-in",
            reason: "Hand in at /srv/in.",
        },
        FileSaying::Vague {
            why: "a name with `..` in it",
        },
        FileSaying::Option { option: "--delete" },
        FileSaying::Sender,
        FileSaying::Receiver,
    ];
    let said = all.map(|one| one.words().to_string());
    insta::assert_snapshot!("files", said.join("\n"));
}

#[test]
fn every_sentence_inside_an_ssh_session() {
    let (to, why) = ("db.internal:5432", "not allowed: No policy allows it");
    let all = [
        SshSaying::Help,
        SshSaying::BadAddress {
            why: "the user name mixes separators",
        },
        SshSaying::NotInPermit {
            what: "port forwarding",
        },
        SshSaying::Malformed,
        SshSaying::NotStarted,
        SshSaying::HeldUp,
        SshSaying::NoTerminal,
        SshSaying::NoDisplay,
        SshSaying::Flooded,
        SshSaying::TargetGone,
        SshSaying::Worn,
        SshSaying::Untold { count: 12 },
        SshSaying::Unfollowed {
            who: "the client",
            why: "a packet that ends too early",
        },
    ];
    let carried = [
        ForwardSaying::NotForwarded { to, why },
        ForwardSaying::NoPlace {
            to: "127.1 port 80",
        },
        ForwardSaying::Crowded { to },
        ForwardSaying::NotConnected { to },
        ForwardSaying::Inside {
            what: "a PostgreSQL connection",
            to,
        },
        ForwardSaying::NotListening {
            at: "localhost:8080",
            why: Deaf::Refused,
        },
        ForwardSaying::NotLoopback,
        ForwardSaying::NotTaken {
            at: "localhost:8080",
        },
        ForwardSaying::AgentMisused,
        ForwardSaying::AgentLogin,
        ForwardSaying::Stuck {
            to: "db.internal:5432",
        },
    ];
    let all = all.iter().map(|one| one.words().to_string());
    let carried = carried.iter().map(|one| one.words().to_string());
    let said: Vec<String> = all.chain(carried).collect();
    insta::assert_snapshot!("ssh", said.join("\n"));
}

#[test]
fn a_stranger_cannot_tell_a_locked_target_from_an_unknown_or_a_forbidden_one() {
    use policies::{LockScope, Protocol, decide};
    let ask = ask("mallory", "web1", "deploy", Protocol::Ssh);
    let mut without = facts();
    without.targets.clear();
    let locked = facts().with_lock(LockScope::Target(target_name("web1")));
    let said: Vec<String> = [facts(), without, locked]
        .iter()
        .map(|facts| {
            decide(&shipped(), facts, &ask, noon())
                .unwrap_err()
                .words()
                .to_string()
        })
        .collect();
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], said[2]);
}

#[test]
fn a_request_that_is_shown_and_one_that_is_filed_are_the_same() {
    let request = request("alice", "web1", "deploy");
    let other = Request {
        login: login("root"),
        ..request.clone()
    };
    assert_ne!(request.digest(), other.digest());
    let longer = Request {
        duration: minutes(61),
        ..request.clone()
    };
    assert_ne!(request.digest(), longer.digest());
    let reworded = Request {
        reason: reason("INC-8"),
        ..request.clone()
    };
    assert_ne!(request.digest(), reworded.digest());
    let elsewhere = Request {
        target: target_name("web2"),
        ..request.clone()
    };
    assert_ne!(request.digest(), elsewhere.digest());
    let someone = Request {
        principal: name("erin"),
        ..request.clone()
    };
    assert_ne!(request.digest(), someone.digest());
}
