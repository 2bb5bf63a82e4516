//! One suite that every backend passes.

use jiff::Timestamp;
use policies::{PrincipalName, Reason, SessionId};

use super::{AppendError, Backend, Store};
use crate::change::{Change, Draft, Revision};
use crate::ledger::chain::{GENESIS, Walk, verify};
use crate::ledger::{Event, Happening};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn draft(second: i64) -> Draft {
    let by = PrincipalName::parse("alice").unwrap();
    let session = SessionId::new(at(second), [7; 10]);
    let reason = Reason::parse("it is over").unwrap();
    let change = Change::SessionKilled {
        session,
        by: by.clone(),
        reason,
    };
    Draft {
        at: at(second),
        by: Some(by),
        source: None,
        changes: vec![change],
    }
}

fn event(second: i64) -> Event {
    Event {
        at: at(second),
        happening: Happening::Started {
            version: second.to_string(),
            newest_at: None,
        },
    }
}

async fn contract(store: &Backend) {
    // An empty log is at revision 0 and holds nothing.
    assert_eq!(store.head(), Revision::EMPTY);
    assert_eq!(store.read(Revision::EMPTY, 10).await.unwrap(), vec![]);

    // What is appended is read back as it was, in order, from wherever one has seen it.
    assert_eq!(
        store.append(Revision(0), draft(1)).await.unwrap(),
        Revision(1)
    );
    assert_eq!(
        store.append(Revision(1), draft(2)).await.unwrap(),
        Revision(2)
    );
    let entries = store.read(Revision(0), 10).await.unwrap();
    assert_eq!(
        entries
            .iter()
            .map(|entry| entry.revision.0)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    assert_eq!(entries[1].draft, draft(2));
    assert_eq!(store.read(Revision(0), 1).await.unwrap().len(), 1);
    assert_eq!(store.read(Revision(1), 10).await.unwrap(), entries[1..]);
    assert_eq!(store.read(Revision(2), 10).await.unwrap(), vec![]);
    store.wait().await;

    // Whoever decided on an old revision is told so, and nothing is appended.
    let refused = store.append(Revision(1), draft(3)).await.unwrap_err();
    assert!(
        matches!(refused, AppendError::Conflict { head: Revision(2) }),
        "{refused:?}"
    );
    assert_eq!(store.probe().await.unwrap(), Revision(2));

    // Of many who decided on the same revision, one wins.
    let racers = (0..16).map(|second| {
        let store = store.clone();
        tokio::spawn(async move { store.append(Revision(2), draft(second)).await })
    });
    let mut won = 0;
    for racer in racers.collect::<Vec<_>>() {
        won = usize::from(racer.await.unwrap().is_ok()).saturating_add(won);
    }
    assert_eq!(won, 1);
    assert_eq!(store.head(), Revision(3));

    // Events are durable in the order in which they were submitted, between the log's own lines.
    let first = store.submit(vec![event(10), event(11)]).await.unwrap();
    let second = store.submit(vec![event(12)]).await.unwrap();
    second.durably().await.unwrap();
    first.durably().await.unwrap();
    let lines = store.lines(0, 100).await.unwrap();
    assert_eq!(store.last_line().await.unwrap().as_ref(), lines.last());
    let versions: Vec<_> = lines
        .iter()
        .filter(|line| line.body.contains("started"))
        .collect();
    assert!(versions[0].body.contains("\"10\"") && versions[2].body.contains("\"12\""));
    assert_eq!(lines.len(), 6);

    // The chain is whole, over the log as well.
    let head = lines[5].digest;
    assert_eq!(verify(0, GENESIS, &lines), Walk::Whole { last: 6, head });
    assert_eq!(
        verify(2, lines[1].digest, &store.lines(2, 100).await.unwrap()),
        Walk::Whole { last: 6, head }
    );
}

#[tokio::test]
async fn the_store_in_memory_keeps_the_contract() {
    contract(&Backend::memory()).await;
}

mod on_disk {
    use std::path::{Path, PathBuf};

    use super::*;
    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{ConnectOptions as _, Connection as _};

    use crate::ledger::{RecordingState, SessionEnd, SessionFilter};
    use crate::store::OpenError;

    /// A directory that is gone when the test is.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let name: [u8; 8] = crate::entropy::bytes().unwrap();
            let path = std::env::temp_dir().join(crate::ledger::chain::hex(&name));
            std::fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn database(&self) -> PathBuf {
            self.0.join("tidegate.db")
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    async fn open(path: &Path) -> Backend {
        // A store that was just dropped gives its lock back when its task has ended.
        for _try in 0..4_000 {
            match Backend::sqlite(path).await {
                Err(OpenError::Taken { .. }) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        panic!("the lock was never given back");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_copy_of_an_open_store_has_what_its_file_alone_lacks() {
        let scratch = Scratch::new();
        let store = open(&scratch.database()).await;
        contract(&store).await;
        let (alone, copied) = (scratch.0.join("alone.db"), scratch.0.join("copied.db"));
        std::fs::copy(scratch.database(), &alone).unwrap();
        Backend::copy(&scratch.database(), &copied).await.unwrap();
        let again = Backend::copy(&scratch.database(), &copied).await;
        assert!(again.is_err(), "nothing is written over");
        let lines = store.lines(0, 100).await.unwrap();
        let copied = open(&copied).await;
        assert_eq!(copied.head(), store.head());
        assert_eq!(copied.lines(0, 100).await.unwrap(), lines);
        let alone = Backend::sqlite(&alone).await;
        let behind = alone.map_or(true, |alone| alone.head() < store.head());
        assert!(behind, "what was changed last is in another file");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_store_on_disk_keeps_the_contract_and_what_it_was_told() {
        let scratch = Scratch::new();
        let store = open(&scratch.database()).await;
        contract(&store).await;
        let lines = store.lines(0, 100).await.unwrap();
        drop(store);
        let store = open(&scratch.database()).await;
        assert_eq!(store.head(), Revision(3));
        assert_eq!(store.lines(0, 100).await.unwrap(), lines);
        assert_eq!(
            store.append(Revision(3), draft(9)).await.unwrap(),
            Revision(4)
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_process_is_told_that_the_database_is_taken() {
        let scratch = Scratch::new();
        let _first = open(&scratch.database()).await;
        let refused = Backend::sqlite(&scratch.database()).await.unwrap_err();
        assert!(matches!(refused, OpenError::Taken { .. }), "{refused}");
        assert!(
            refused.to_string().contains("another tidegate"),
            "{refused}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lock_file_that_is_removed_lets_no_second_process_in() {
        let scratch = Scratch::new();
        let first = open(&scratch.database()).await;
        std::fs::remove_file(scratch.0.join("tidegate.db.lock")).unwrap();
        let refused = Backend::sqlite(&scratch.database()).await.unwrap_err();
        assert!(matches!(refused, OpenError::Taken { .. }), "{refused}");
        // What is refused leaves the first as it was.
        first.append(Revision(0), draft(1)).await.unwrap();
        first.probe().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let scratch = Scratch::new();
        let text = "my diary, not a database ".repeat(100);
        std::fs::write(scratch.database(), &text).unwrap();
        let refused = Backend::sqlite(&scratch.database()).await.unwrap_err();
        assert!(matches!(refused, OpenError::Database { .. }), "{refused}");
        assert_eq!(std::fs::read_to_string(scratch.database()).unwrap(), text);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_database_that_is_moved_away_does_not_count_as_an_answer() {
        let scratch = Scratch::new();
        let store = open(&scratch.database()).await;
        store.probe().await.unwrap();
        std::fs::rename(scratch.database(), scratch.0.join("elsewhere")).unwrap();
        store.probe().await.unwrap_err();
    }

    /// As on a mount that is dead: the look at the file does not come back, and the limit fires.
    #[test]
    fn a_look_at_the_file_that_hangs_does_not_hang_who_asks() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let scratch = Scratch::new();
            let store = open(&scratch.database()).await;
            let (release, held) = std::sync::mpsc::channel::<()>();
            let holding = tokio::task::spawn_blocking(move || held.recv().is_ok());
            let limit = std::time::Duration::from_millis(50);
            tokio::time::timeout(limit, store.probe())
                .await
                .unwrap_err();
            drop(release);
            assert!(!holding.await.unwrap());
            store.probe().await.unwrap();
        });
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_session_is_listed_live_until_it_is_closed() {
        let scratch = Scratch::new();
        for store in [Backend::memory(), open(&scratch.database()).await] {
            let session = crate::ledger::tests::session(at(5));
            let opened = Happening::SessionOpened {
                session: Box::new(session.clone()),
            };
            let opened = Event {
                at: at(5),
                happening: opened,
            };
            store
                .submit(vec![opened])
                .await
                .unwrap()
                .durably()
                .await
                .unwrap();
            let live = SessionFilter {
                live: Some(true),
                ..SessionFilter::default()
            };
            assert_eq!(
                store.sessions(&live).await.unwrap(),
                std::slice::from_ref(&session)
            );
            assert_eq!(store.session_ids(&live).await.unwrap(), [session.id]);
            let end = crate::ledger::tests::end(at(6));
            let closed = Happening::SessionClosed {
                session: session.id,
                end: Box::new(end.clone()),
            };
            let closed = Event {
                at: at(6),
                happening: closed,
            };
            store
                .submit(vec![closed])
                .await
                .unwrap()
                .durably()
                .await
                .unwrap();
            assert_eq!(store.sessions(&live).await.unwrap(), []);
            assert_eq!(
                store.session(session.id).await.unwrap().unwrap().end,
                Some(end)
            );
            // Found by its id, beside one that nobody knows; whether it is over is part of it.
            let known = store.session(session.id).await.unwrap();
            let ids = [session.id, SessionId::new(at(99), [7; 10])];
            let found = store.filed(&ids).await.unwrap();
            assert_eq!(found, Vec::from_iter(known));
            assert_eq!(store.filed(&[]).await.unwrap(), []);
            told_as_recovered(&store).await;
        }
    }

    /// A session whose recording failed is listed as that until it is sealed.
    async fn told_as_recovered(store: &Backend) {
        let session = crate::ledger::tests::session(at(7));
        let id = session.id;
        let recording = RecordingState::Failed;
        let end = SessionEnd {
            recording,
            ..crate::ledger::tests::end(at(8))
        };
        let root = "0f".repeat(32);
        let write = async |happening| {
            let at = at(8);
            let receipt = store.submit(vec![Event { at, happening }]).await;
            receipt.unwrap().durably().await.unwrap();
        };
        let unsealed = SessionFilter {
            unsealed: true,
            ..SessionFilter::default()
        };
        let unsealed = async || store.sessions(&unsealed).await.unwrap().len();
        let session = Box::new(session);
        write(Happening::SessionOpened { session }).await;
        assert_eq!(unsealed().await, 0);
        let closed = Box::new(end.clone());
        let (session, end) = (id, closed);
        write(Happening::SessionClosed { session, end }).await;
        assert_eq!(unsealed().await, 1);
        let recovered = root.clone();
        write(Happening::RecordingRecovered {
            session,
            root: recovered,
        })
        .await;
        assert_eq!(unsealed().await, 0);
        let listed = store.session(id).await.unwrap().unwrap().end.unwrap();
        let root = Some(root);
        assert_eq!(listed.recording, RecordingState::CutShort { root });
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_no_json_in_the_list_of_sessions_refuses_no_line() {
        let scratch = Scratch::new();
        let store = open(&scratch.database()).await;
        let session = crate::ledger::tests::session(at(5));
        let id = session.id;
        let session = Box::new(session);
        let end = Box::new(crate::ledger::tests::end(at(6)));
        let root = "0f".repeat(32);
        let happenings = [
            Happening::SessionOpened { session },
            Happening::SessionClosed { session: id, end },
        ];
        let event = |happening| Event {
            at: at(6),
            happening,
        };
        let receipt = store.submit(happenings.map(event).into()).await.unwrap();
        receipt.durably().await.unwrap();
        let mut beside = SqliteConnectOptions::new()
            .filename(scratch.database())
            .connect()
            .await
            .unwrap();
        let odd = sqlx::query("UPDATE sessions SET ending = '{'");
        odd.execute(&mut beside).await.unwrap();
        beside.close().await.unwrap();
        let session = id;
        let recovered = event(Happening::RecordingRecovered { session, root });
        let receipt = store.submit(vec![recovered]).await.unwrap();
        receipt.durably().await.unwrap();
        drop(store);
    }
}
