//! What the authority has signed of log and ledger, against somebody who writes all of both anew.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use control::ledger::chain::{GENESIS, Stored, Walk, link, sha256_hex};
use control::ledger::position::Position;
use control::ledger::proof::{LogFault, Proof};
use control::ledger::{Event, Happening, Witness};
use control::store::Backend;
use control::{Broker, Clock, Settings, StartError};
use recorder::Seal;
use sqlx::{Connection as _, Row as _};

use crate::evidence::Scratch;
use crate::world::caller;

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new(seed: u8) -> Arc<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]);
        Arc::new(Self(pair.unwrap()))
    }
}

impl Seal for Signer {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    fn key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }
}

/// Where the file is.
fn file(scratch: &Scratch) -> PathBuf {
    scratch.path().with_file_name("ledger.checkpoint")
}

/// How far is signed.
fn signed(scratch: &Scratch) -> Option<Position> {
    let note = std::fs::read_to_string(file(scratch)).ok()?;
    Position::read(&note, &Signer::new(1).key())
}

async fn started_by(
    scratch: &Scratch,
    believe_log: bool,
    store: Backend,
) -> Result<Broker, StartError> {
    let witness = Witness::new(file(scratch), Signer::new(1));
    let settings = Settings {
        believe_log,
        ..Settings::default()
    };
    Broker::start_from(store, Clock::system(), settings, Some(witness)).await
}

async fn started(scratch: &Scratch) -> Result<Broker, StartError> {
    let store = scratch.open().await;
    started_by(scratch, false, store).await
}

/// A world whose log and ledger were signed to their end.
async fn all_signed() -> Scratch {
    let scratch = Scratch::new().await;
    let broker = started(&scratch).await.unwrap();
    broker.sign_ledger().await;
    drop(broker);
    scratch
}

/// What differed, as the ledger tells, but for the first: the world was served before anybody signed.
async fn differed(broker: &Broker) -> Vec<String> {
    let lines = broker.audit_lines(&caller("root"), 0, 1_000).await;
    let what = |line: Stored| {
        let event = serde_json::from_str::<Event>(&line.body).ok()?;
        if let Happening::EvidenceDiffered { what } = event.happening {
            return Some(what);
        }
        None
    };
    lines
        .unwrap()
        .into_iter()
        .filter_map(what)
        .skip(1)
        .collect()
}

/// Writes the chain anew after somebody changed the log, so that both agree.
async fn chained_anew(scratch: &Scratch) {
    drop(scratch.open().await);
    let mut file = scratch.connected().await;
    let log = sqlx::query("SELECT revision, body FROM log");
    let log: Vec<(i64, String)> = log
        .map(|row: sqlx::sqlite::SqliteRow| (row.get(0), row.get(1)))
        .fetch_all(&mut file)
        .await
        .unwrap();
    let lines = sqlx::query("SELECT seq, body FROM ledger ORDER BY seq");
    let lines: Vec<(i64, String)> = lines
        .map(|row: sqlx::sqlite::SqliteRow| (row.get(0), row.get(1)))
        .fetch_all(&mut file)
        .await
        .unwrap();
    let mut head = GENESIS;
    for (seq, body) in lines {
        let mut event: serde_json::Value = serde_json::from_str(&body).unwrap();
        let mut body = body;
        if let Some(revision) = event.get("revision").and_then(serde_json::Value::as_i64) {
            let (_revision, entry) = log.iter().find(|(one, _body)| *one == revision).unwrap();
            let digest = event.get_mut("sha256").unwrap();
            *digest = sha256_hex(entry.as_bytes()).into();
            body = event.to_string();
        }
        head = link(&head, u64::try_from(seq).unwrap(), body.as_bytes());
        sqlx::query("UPDATE ledger SET body = ?1, digest = ?2 WHERE seq = ?3")
            .bind(body)
            .bind(head.to_vec())
            .bind(seq)
            .execute(&mut file)
            .await
            .unwrap();
    }
    file.close().await.unwrap();
}

#[tokio::test]
async fn a_start_proves_what_comes_after_what_was_signed() {
    let scratch = all_signed().await;
    let before = signed(&scratch).unwrap();
    assert!(before.seq > 3 && before.revision.0 == 3, "{before:?}");
    let edit = "UPDATE ledger SET body = replace(body, 'started', 'Started') WHERE seq = 2";
    let store = scratch.altered(edit).await;
    // It does not look at that line, so it goes on from what was signed.
    let broker = started_by(&scratch, false, store).await.unwrap();
    broker.sign_ledger().await;
    assert!(signed(&scratch).unwrap().seq > before.seq);
    assert!(differed(&broker).await.is_empty());
    drop(broker);
    let whole = Proof::of(&scratch.open().await).await.unwrap();
    assert_eq!(whole.chain, Walk::Broken { seq: 2 });
    // One that comes after it is looked at, and nothing after it is signed.
    let last = signed(&scratch).unwrap();
    let edit = format!(
        "UPDATE ledger SET body = replace(body, 'at', 'At') WHERE seq > {}",
        last.seq
    );
    let again = started(&scratch).await.unwrap();
    drop(again);
    let store = scratch.altered(edit).await;
    let broker = started_by(&scratch, false, store).await.unwrap();
    broker.sign_ledger().await;
    assert_eq!(signed(&scratch), Some(last));
}

#[tokio::test]
async fn a_log_that_was_written_anew_with_its_ledger_lets_nobody_start() {
    let scratch = all_signed().await;
    let edit = "UPDATE log SET body = replace(body, 'web1', 'web3') WHERE revision = 2";
    drop(scratch.altered(edit).await);
    chained_anew(&scratch).await;
    let store = scratch.open().await;
    let proof = Proof::of(&store).await.unwrap();
    assert!(proof.end.is_some(), "both agree: {proof:?}");
    let refused = started_by(&scratch, false, store).await.unwrap_err();
    assert!(
        matches!(&refused, StartError::Altered(LogFault::Rewritten { revision }) if revision.0 == 3),
        "{refused:?}"
    );
    // The operator has no backup.
    let store = scratch.open().await;
    let broker = started_by(&scratch, true, store).await.unwrap();
    let told = differed(&broker).await;
    assert_eq!(told.len(), 1, "{told:?}");
    drop(broker);
    started(&scratch).await.unwrap();
}

#[tokio::test]
async fn a_log_that_was_altered_is_believed_once_where_somebody_says_so() {
    let scratch = all_signed().await;
    let edit = "UPDATE log SET body = replace(body, 'web1', 'web3') WHERE revision = 2";
    drop(scratch.altered(edit).await);
    let refused = started(&scratch).await.unwrap_err();
    assert!(matches!(
        refused,
        StartError::Altered(LogFault::Changed { .. })
    ));
    let store = scratch.open().await;
    let broker = started_by(&scratch, true, store).await.unwrap();
    assert_eq!(differed(&broker).await.len(), 1);
    drop(broker);
    drop(started(&scratch).await.unwrap());
    // It stays what it is for whoever proves all of it.
    let whole = Proof::of(&scratch.open().await).await.unwrap();
    assert!(matches!(whole.log, Some(LogFault::Changed { .. })));
    // Nobody knows what a log with a gap would mean.
    let store = scratch.altered("DELETE FROM log WHERE revision = 2").await;
    let refused = started_by(&scratch, true, store).await.unwrap_err();
    assert!(matches!(refused, StartError::Log(_)), "{refused:?}");
}

#[tokio::test]
async fn what_was_taken_back_is_noticed() {
    // Only the ledger: evidence is lost, nobody has another right.
    let scratch = all_signed().await;
    let newest = "DELETE FROM ledger WHERE seq > (SELECT max(seq) - 1 FROM ledger)";
    let store = scratch.altered(newest).await;
    let broker = started_by(&scratch, false, store).await.unwrap();
    let told = differed(&broker).await;
    assert_eq!(told.len(), 1, "{told:?}");
    // Log and ledger: perhaps somebody was locked since.
    let scratch = all_signed().await;
    let newest = "DELETE FROM ledger WHERE seq >= (SELECT seq FROM ledger WHERE body LIKE '%\"revision\":3,%');
                  DELETE FROM log WHERE revision = 3";
    let store = scratch.altered(newest).await;
    assert!(Proof::of(&store).await.unwrap().end.is_some());
    let refused = started_by(&scratch, false, store).await.unwrap_err();
    assert!(
        matches!(&refused, StartError::Altered(LogFault::Rewritten { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_checkpoint_that_was_taken_away_is_missed() {
    let scratch = all_signed().await;
    let edit = "UPDATE log SET body = replace(body, 'web1', 'web3') WHERE revision = 2";
    drop(scratch.altered(edit).await);
    chained_anew(&scratch).await;
    std::fs::remove_file(file(&scratch)).unwrap();
    let broker = started(&scratch).await.unwrap();
    let told = differed(&broker).await;
    assert!(
        told.len() == 1 && told[0].contains("checkpoint"),
        "{told:?}"
    );
    drop(broker);
    // Once it is there again, no more is said.
    let broker = started(&scratch).await.unwrap();
    assert_eq!(differed(&broker).await.len(), 1);
}

#[tokio::test]
async fn a_checkpoint_that_is_none_of_ours_proves_nothing() {
    let scratch = all_signed().await;
    let ours = signed(&scratch).unwrap();
    let ahead = Position {
        seq: ours.seq + 1_000,
        ..ours
    };
    for note in [
        ahead.signed(&*Signer::new(2)),
        String::new(),
        "x".repeat(10_000),
    ] {
        std::fs::write(file(&scratch), note).unwrap();
        drop(started(&scratch).await.unwrap());
        assert!(signed(&scratch).unwrap().seq >= ours.seq);
    }
}
