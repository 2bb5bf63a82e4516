//! Log and ledger that were changed by somebody who can write to the file.

use std::path::PathBuf;

use control::bootstrap::bootstrap;
use control::change::Revision;
use control::ledger::chain::{Walk, hex};
use control::ledger::proof::{LogFault, Proof};
use control::store::Backend;
use control::{Broker, Clock, Settings, StartError, entropy};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::world::{caller, library, principal, target};

/// A file with a log and a ledger, gone with the test.
struct Scratch(PathBuf);

impl Scratch {
    async fn new() -> Self {
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

    fn path(&self) -> PathBuf {
        self.0.join("store.sqlite")
    }

    /// Opens it once whoever had it open is gone.
    async fn open(&self) -> Backend {
        for _try in 0..1_000 {
            if let Ok(store) = Backend::sqlite(&self.path()).await {
                return store;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Backend::sqlite(&self.path()).await.unwrap()
    }

    /// Changes it beside us, and opens it.
    async fn altered(&self, statement: &'static str) -> Backend {
        drop(self.open().await);
        let options = SqliteConnectOptions::new().filename(self.path());
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        self.open().await
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
async fn check(statement: &'static str, want: LogFault) {
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
