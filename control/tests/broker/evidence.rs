//! Log and ledger that were changed by somebody who can write to the file.

use std::path::PathBuf;

use control::bootstrap::bootstrap;
use control::broker::Waiting;
use control::change::Revision;
use control::ledger::chain::{Walk, hex};
use control::ledger::proof::{LogFault, Proof};
use control::ledger::sought::{Sought, doer};
use control::ledger::{
    Cause, Counters, Event, Happening, Recorded, RecordingState, Session, SessionEnd, Timeline,
};
use control::store::{Backend, OpenError, Store as _};
use control::{Broker, Clock, Settings, StartError, entropy};
use jiff::Timestamp;
use policies::{Credential, GrantId, Protocol, SessionId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};

use crate::world::{caller, library, principal, target};

/// A file with a log and a ledger, gone with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub async fn new() -> Self {
        let name = hex(&entropy::bytes::<8>().unwrap());
        let scratch = Self(std::env::temp_dir().join(format!("tidegate-evidence-{name}")));
        std::fs::create_dir(&scratch.0).unwrap();
        let (store, clock) = (scratch.open().await, Clock::system());
        let root = principal("root", "admins", &clock);
        bootstrap(&store, root, library(), &clock).await.unwrap();
        let broker = started(store).await.unwrap();
        for name in ["web1", "web2"] {
            let target = target(name, "dev", &clock);
            broker.add_target(&caller("root"), target).await.unwrap();
        }
        drop(broker);
        scratch
    }

    pub fn path(&self) -> PathBuf {
        self.0.join("store.sqlite")
    }

    /// Opens it once whoever had it open is gone.
    pub async fn open(&self) -> Backend {
        for _try in 0..1_000 {
            if let Ok(store) = Backend::sqlite(&self.path()).await {
                return store;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Backend::sqlite(&self.path()).await.unwrap()
    }

    /// Why it is not opened, once whoever had it open is gone.
    async fn refused(&self) -> OpenError {
        for _try in 0..1_000 {
            match Backend::sqlite(&self.path()).await {
                Err(OpenError::Taken { .. }) => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                opened => return opened.unwrap_err(),
            }
        }
        Backend::sqlite(&self.path()).await.unwrap_err()
    }

    /// The file, by somebody who is not us.
    pub async fn connected(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(self.path());
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Changes it beside us, and opens it.
    pub async fn altered(&self, statement: impl Into<String>) -> Backend {
        drop(self.open().await);
        self.beside(statement).await;
        self.open().await
    }

    /// Changes it beside whoever has it open.
    async fn beside(&self, statement: impl Into<String>) {
        let mut connection = self.connected().await;
        sqlx::raw_sql(AssertSqlSafe(statement.into()))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

async fn started(store: Backend) -> Result<Broker, StartError> {
    Broker::start(store, Clock::system(), Settings::default()).await
}

/// What is found after `statement`, by the proof and by a start.
async fn check(statement: &str, want: LogFault) {
    let scratch = Scratch::new().await;
    let store = scratch.altered(statement).await;
    assert_eq!(Proof::of(&store).await.unwrap().log, Some(want));
    let refused = started(store).await.err();
    assert!(
        matches!(&refused, Some(StartError::Altered(found)) if *found == want),
        "after `{statement}`: {refused:?}"
    );
}

#[tokio::test]
async fn a_log_that_was_altered_lets_nobody_start() {
    let revision = Revision;
    check(
        "UPDATE log SET body = replace(body, 'web1', 'web3') WHERE revision = 2",
        LogFault::Changed {
            revision: revision(2),
        },
    )
    .await;
    check(
        "DELETE FROM log WHERE revision = 3",
        LogFault::Gone {
            revision: revision(3),
        },
    )
    .await;
    check(
        "INSERT INTO log SELECT 4, body FROM log WHERE revision = 3",
        LogFault::Unheard {
            revision: revision(4),
        },
    )
    .await;
}

#[tokio::test]
async fn a_ledger_that_was_altered_is_found_at_its_line() {
    let scratch = Scratch::new().await;
    let before = Proof::of(&scratch.open().await).await.unwrap();
    assert!(matches!(before.chain, Walk::Whole { last, .. } if last > 3));
    assert_eq!(before.log, None);
    let edit = "UPDATE ledger SET body = replace(body, 'started', 'Started') WHERE seq = 2";
    let store = scratch.altered(edit).await;
    let after = Proof::of(&store).await.unwrap();
    assert_eq!(after.chain, Walk::Broken { seq: 2 });
}

/// Who changed what is read from an entry only if it is the one that was written.
#[tokio::test]
async fn an_entry_that_was_altered_since_is_nobodys() {
    let scratch = Scratch::new().await;
    let broker = started(scratch.open().await).await.unwrap();
    let told = async || {
        let lines = broker.audit(&caller("root"), 0, 100).await;
        let lines = lines.unwrap().into_iter();
        let told = lines.filter_map(|line| line.appended);
        told.map(|appended| appended.changes[0]["change"].clone())
            .collect::<Vec<_>>()
    };
    let before = told().await;
    assert!(
        !before.is_empty() && !before.contains(&"altered".into()),
        "{before:?}"
    );
    scratch
        .beside("UPDATE log SET body = replace(body, 'web1', 'web3') WHERE revision = 2")
        .await;
    let after = told().await;
    let altered = after.iter().filter(|change| **change == "altered").count();
    assert_eq!((altered, after.len()), (1, before.len()), "{after:?}");
}

#[tokio::test]
async fn what_is_no_text_any_more_is_found_and_does_not_stop_the_start() {
    let scratch = Scratch::new().await;
    // One bit of a disk that fails.
    let flip = "UPDATE ledger SET body = CAST(x'ff' || substr(CAST(body AS BLOB), 2) AS TEXT) WHERE seq = 2";
    let store = scratch.altered(flip).await;
    let proof = Proof::of(&store).await.unwrap();
    assert_eq!((proof.chain, proof.log), (Walk::Broken { seq: 2 }, None));
    started(store).await.unwrap();
    let flip = "UPDATE log SET body = CAST(x'ff' || substr(CAST(body AS BLOB), 2) AS TEXT) WHERE revision = 2";
    check(
        flip,
        LogFault::Changed {
            revision: Revision(2),
        },
    )
    .await;
}

#[tokio::test]
async fn the_lines_around_one_that_cannot_be_read_are_shown() {
    let scratch = Scratch::new().await;
    let alter = "UPDATE ledger SET body = '{\"x\":' WHERE seq = 2";
    let broker = started(scratch.altered(alter).await).await.unwrap();
    let lines = broker.audit(&caller("root"), 0, 100).await.unwrap();
    let raw = broker.audit_lines(&caller("root"), 0, 100).await.unwrap();
    assert_eq!(lines.len(), raw.len());
    for (line, stored) in lines.iter().zip(&raw) {
        let is_stand_in = matches!(line.event.happening, Happening::EvidenceDiffered { .. });
        assert_eq!(
            (line.seq, is_stand_in),
            (stored.seq, stored.seq == 2),
            "{line:?}"
        );
    }
    assert_eq!(raw[1].body, "{\"x\":");
    assert_eq!(lines[1].event.at, lines[0].event.at);
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A session of alice's.
fn session(number: u8) -> Session {
    Session {
        id: SessionId::new(at(0), [number; 10]),
        grant: GrantId::new(at(0), [9; 10]),
        principal: "alice".parse().unwrap(),
        credential: Credential::Key {
            fingerprint: "SHA256:x".to_owned(),
        },
        source: [192, 0, 2, 7].into(),
        target: "web1".parse().unwrap(),
        login: "deploy".parse().unwrap(),
        protocol: Protocol::Ssh,
        opened_at: at(0),
        until: at(900),
        end: None,
    }
}

fn end(recording: RecordingState) -> SessionEnd {
    SessionEnd {
        at: at(1),
        cause: Cause::Complete,
        timeline: Timeline::default(),
        counters: Counters::default(),
        recording,
    }
}

/// Writes down that sessions began, and how they ended if they did.
async fn written(store: &Backend, sessions: &[(u8, Option<RecordingState>)]) {
    for (number, recording) in sessions {
        let session = Box::new(session(*number));
        let id = session.id;
        let closed = recording.clone().map(|recording| Happening::SessionClosed {
            session: id,
            end: Box::new(end(recording)),
        });
        let happenings = [Some(Happening::SessionOpened { session }), closed];
        let events = happenings.into_iter().flatten();
        let events = events.map(|happening| Event {
            at: at(0),
            happening,
        });
        let receipt = store.submit(events.collect()).await.unwrap();
        receipt.durably().await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_sealed_that_the_ledger_does_not_know() {
    let scratch = Scratch::new().await;
    let store = scratch.open().await;
    let sealed = || {
        Some(RecordingState::Sealed {
            root: "00".repeat(32),
        })
    };
    let failed = || Some(RecordingState::Failed);
    let sessions = [
        (1, None),
        (2, sealed()),
        (3, failed()),
        (4, sealed()),
        (5, failed()),
    ];
    written(&store, &sessions).await;
    let [open, reopened, late, made_late, recovered, made_up] =
        [1, 2, 3, 4, 5, 6].map(|number| session(number).id);
    let broker = started(store).await.unwrap();
    broker
        .recording_recovered(recovered, "00".repeat(32))
        .await
        .unwrap();
    drop(broker);
    // Whoever can write to the file changes what is listed, and leaves the chain as it is.
    let body = serde_json::to_string(&session(6)).unwrap();
    let failure = serde_json::to_string(&end(RecordingState::Failed)).unwrap();
    let store = scratch.altered(format!(
        "DELETE FROM sessions WHERE id = '{open}';
         UPDATE sessions SET ending = NULL WHERE id = '{reopened}';
         UPDATE sessions SET ending = '{failure}' WHERE id = '{made_late}';
         INSERT INTO sessions SELECT '{made_up}', principal, target, grant_id, '{body}', NULL FROM sessions LIMIT 1;"
    )).await;
    let broker = started(store).await.unwrap();
    let listed = broker.open_sessions().await.unwrap();
    assert_eq!(listed, [reopened, made_up].into());
    let all = [open, reopened, late, made_late, recovered, made_up];
    let waiting = broker.waiting(all.into()).await.unwrap();
    let want = Waiting {
        open: [open].into(),
        late: [late].into(),
        told: [(recovered, "00".repeat(32))].into(),
    };
    assert_eq!(waiting, want);
}

/// What an auditor looks sessions up by is no more than what was written of them.
#[tokio::test]
async fn a_session_that_is_listed_otherwise_is_found_and_does_not_stop_the_start() {
    for edit in [
        "DELETE FROM sessions WHERE id = '{}'",
        "UPDATE sessions SET principal = 'mallory' WHERE id = '{}'",
        "UPDATE sessions SET body = replace(body, '\"web1\"', '\"web2\"') WHERE id = '{}'",
        "UPDATE sessions SET body = '{' WHERE id = '{}'",
    ] {
        let scratch = Scratch::new().await;
        let store = scratch.open().await;
        written(&store, &[(1, None), (2, None)]).await;
        assert_eq!(Proof::of(&store).await.unwrap().session, None);
        drop(store);
        let id = session(2).id;
        let store = scratch.altered(edit.replace("{}", &id.to_string())).await;
        let proof = Proof::of(&store).await.unwrap();
        assert_eq!(proof.session.map(|odd| odd.session), Some(id), "{edit}");
        assert!(proof.log.is_none() && proof.end.is_some(), "{edit}");
        let broker = started(store).await.unwrap();
        // What a start asks before it lets anybody in.
        let open = broker.open_sessions().await.unwrap();
        assert_eq!(open.contains(&id), !edit.starts_with("DELETE"), "{edit}");
        assert_eq!(broker.unsealed_sessions().await, Ok([].into()), "{edit}");
    }
}

#[tokio::test]
async fn a_recording_that_could_not_be_sealed_at_a_start_is_waited_for_at_the_next() {
    let scratch = Scratch::new().await;
    let store = scratch.open().await;
    written(&store, &[(1, None), (2, None), (3, None)]).await;
    let [sealed, lost, kept] = [1, 2, 3].map(|number| session(number).id);
    let broker = started(store).await.unwrap();
    let roots = [(sealed, "00".repeat(32))].into();
    let (open, lost) = ([sealed, lost, kept].into(), [lost].into());
    broker.cut_short(at(9), &open, &roots, &lost).await.unwrap();
    let waiting = broker.waiting(open).await.unwrap();
    let want = Waiting {
        late: [kept].into(),
        ..Waiting::default()
    };
    assert_eq!(waiting, want);
}

#[tokio::test]
async fn nothing_is_sealed_by_a_line_that_was_put_into_the_ledger() {
    let scratch = Scratch::new().await;
    let store = scratch.open().await;
    written(&store, &[(1, None)]).await;
    drop(store);
    let [from, to] = [1, 2].map(|number| session(number).id);
    let edit = format!("UPDATE ledger SET body = replace(body, '{from}', '{to}')");
    let broker = started(scratch.altered(edit).await).await.unwrap();
    let waiting = broker.waiting([from, to].into()).await.unwrap();
    assert_eq!(waiting, Waiting::default());
}

#[tokio::test]
async fn which_recording_a_session_has_is_what_the_ledger_says() {
    let scratch = Scratch::new().await;
    let store = scratch.open().await;
    let sealed = |byte: u8| {
        let root = hex(&[byte; 32]);
        Some(RecordingState::Sealed { root })
    };
    written(&store, &[(1, sealed(1)), (2, sealed(2))]).await;
    drop(store);
    let [first, second, made_up] = [1, 2, 3].map(|number| session(number).id);
    let other = serde_json::to_string(&end(sealed(3).unwrap())).unwrap();
    let body = serde_json::to_string(&session(3)).unwrap();
    let store = scratch
        .altered(format!(
            "UPDATE sessions SET ending = '{other}' WHERE id = '{first}';
             INSERT INTO sessions SELECT '{made_up}', principal, target, grant_id, '{body}', '{other}'
             FROM sessions LIMIT 1;"
        ))
        .await;
    let broker = started(store).await.unwrap();
    let [of_first, of_made_up] = [first, made_up].map(|session| broker.recorded(session));
    assert_eq!(of_first.await.unwrap(), Recorded::Sealed([1; 32]));
    assert_eq!(of_made_up.await.unwrap(), Recorded::Unheard);
    drop(broker);

    // A line of the ledger that was changed proves nothing, and none that comes before it does.
    let [one, three] = [1, 3].map(|byte| hex(&[byte; 32]));
    let edit = format!("UPDATE ledger SET body = replace(body, '{one}', '{three}')");
    let broker = started(scratch.altered(edit).await).await.unwrap();
    let of_first = broker.recorded(first).await.unwrap();
    assert!(
        matches!(of_first, Recorded::Unproven { .. }),
        "{of_first:?}"
    );
    let of_second = broker.recorded(second).await.unwrap();
    assert_eq!(of_second, Recorded::Sealed([2; 32]));
}

#[tokio::test]
async fn a_store_with_somebody_elses_trigger_is_not_opened() {
    let scratch = Scratch::new().await;
    drop(scratch.open().await);
    let mut file = scratch.connected().await;
    let trigger = "CREATE TRIGGER t AFTER INSERT ON log BEGIN \
                   UPDATE log SET body = replace(body, 'web1', 'web3'); END";
    sqlx::query(trigger).execute(&mut file).await.unwrap();
    file.close().await.unwrap();
    let refused = scratch.refused().await;
    assert!(matches!(refused, OpenError::Altered { .. }), "{refused:?}");
}

#[tokio::test]
async fn what_is_looked_for_is_found_from_the_end_on() {
    let scratch = Scratch::new().await;
    let broker = started(scratch.open().await).await.unwrap();
    let root = caller("root");
    let all = broker.audit(&root, 0, 1_000).await.unwrap();
    let grown: Vec<u64> = all
        .iter()
        .filter(|line| doer(line).as_deref() == Some("root"))
        .map(|line| line.seq)
        .collect();
    let (last, before) = (grown[grown.len() - 1], grown[grown.len() - 2]);
    let sought = Sought {
        user: Some("root".to_owned()),
        ..Sought::default()
    };
    let found = async |end, count| {
        let found = broker.audit_sought(&root, (&sought, end), count).await;
        let found = found.unwrap();
        let lines: Vec<u64> = found.lines.iter().map(|line| line.seq).collect();
        (lines, found.looked_from)
    };
    assert_eq!(found(None, 1).await, (vec![last], Some(last)));
    assert_eq!(found(Some(last), 1).await, (vec![before], Some(before)));
    assert_eq!(found(None, 1_000).await, (grown.clone(), None));
    assert_eq!(found(Some(grown[0]), 1).await.0, Vec::<u64>::new());
    let late = Sought {
        since: Some("9999-01-01T00:00:00Z".parse().unwrap()),
        ..Sought::default()
    };
    let none = broker.audit_sought(&root, (&late, None), 10).await.unwrap();
    assert_eq!((none.lines.len(), none.looked_from), (0, None));
    let alice = caller("alice");
    for before in [None, Some(1)] {
        let refused = broker.audit_sought(&alice, (&sought, before), 1);
        assert!(refused.await.is_err());
    }
}
