//! How long a start takes over a long ledger: `cargo run -p control --example long_ledger [LINES]`.
//!
//! Debug builds say little: `--config 'profile.dev.package.control.opt-level=3'`, or `--release`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it measures, and tells"
)]

use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use control::ledger::proof::Proof;
use control::ledger::{Event, Happening, Witness};
use control::store::{Backend, Store as _};
use control::{Broker, Clock, Settings, entropy};
use policies::{SessionId, TargetName};

/// How many lines are written in one transaction.
const BATCH: u64 = 2_000;

struct Signer(Ed25519KeyPair);

impl recorder::Seal for Signer {
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(message).as_ref().to_vec()
    }

    fn key(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap()
    }
}

/// A line about as long as those of a session are on average.
fn event(clock: &Clock, number: u64) -> Event {
    let at = clock.now();
    let random = [number.to_be_bytes().as_slice(), &[0; 2]].concat();
    let session = SessionId::new(at, random.try_into().unwrap());
    let target = TargetName::parse("web1").unwrap();
    let intent = serde_json::json!({
        "serial": number, "key_id": format!("{session} grt_01j9x3 alice"), "target": target, "login": "deploy",
        "public_key": "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJ",
        "valid_after": at, "valid_before": at, "extensions": ["permit-pty", "permit-agent-forwarding"],
    });
    let happening = Happening::CertificateIntended {
        serial: number.to_string(),
        session: Some(session),
        intent,
    };
    Event { at, happening }
}

#[tokio::main]
async fn main() {
    let lines = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let lines: u64 = lines.unwrap_or(1_000_000);
    let mark = u64::from_ne_bytes(entropy::bytes::<8>().unwrap());
    let dir = std::env::temp_dir().join(format!("tidegate-ledger-{mark:x}"));
    std::fs::create_dir(&dir).unwrap();
    let path = dir.join("store.sqlite");
    let (store, clock) = (Backend::sqlite(&path).await.unwrap(), Clock::system());
    let began = Instant::now();
    let mut written = 0;
    while written < lines {
        let some = BATCH.min(lines.saturating_sub(written));
        let events = (written..written.saturating_add(some)).map(|number| event(&clock, number));
        let receipt = store.submit(events.collect()).await.unwrap();
        receipt.durably().await.unwrap();
        written = written.saturating_add(some);
    }
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!(
        "{lines} lines, {bytes} bytes, written in {:?}",
        began.elapsed()
    );

    let began = Instant::now();
    let proof = Proof::of(&store).await.unwrap();
    println!(
        "all of it proven in {:?}: {}",
        began.elapsed(),
        proof.end.is_some()
    );

    for start in ["first", "second"] {
        let signer = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).unwrap();
        let witness = Witness::new(dir.join("ledger.checkpoint"), Arc::new(Signer(signer)));
        let began = Instant::now();
        let broker = Broker::start_from(
            store.clone(),
            clock.clone(),
            Settings::default(),
            Some(witness),
        );
        let broker = broker.await.unwrap();
        println!("{start} start in {:?}", began.elapsed());
        let began = Instant::now();
        let unknown = [SessionId::new(clock.now(), [7; 10])];
        let waiting = broker.waiting(unknown.into()).await.unwrap();
        println!(
            "a session that is nowhere is looked for in {:?}: {waiting:?}",
            began.elapsed()
        );
        broker.sign_ledger().await;
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
