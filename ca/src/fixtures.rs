//! What the tests of this crate share: dice that always fall alike, a journal in memory, a scratch
//! directory and an authority in it.

use std::convert::Infallible;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use policies::{
    Algorithms, Capabilities, Credential, Endpoint, Entry, GrantId, HostKeyPin, InputRecording,
    Login, Obligations, PrincipalName, Protocol, SessionId, SshEndpoint, Target, TargetName, Terms,
};

use crate::rand_core::{TryCryptoRng, TryRng};
use crate::{Authority, Intent, Journal, JournalError, Outcome, Passphrase, Serial};

/// The instant at which tests begin.
pub(crate) const NOW: &str = "2026-01-02T03:04:05.6Z";

/// The fingerprint of a registered key.
pub(crate) const KEY: &str = "SHA256:d/TNWlT/KVMXSypmI0iYgbDdLFGto+xd61uTyjuiTxk";

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Numbers that are the same in every run (`SplitMix64`). For tests alone.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d, ..] = self.try_next_u64()?.to_be_bytes();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u64()?.to_le_bytes()[0];
        }
        Ok(())
    }
}

impl TryCryptoRng for Dice {}

/// Remembers what it is told, or fails where it is told to.
#[derive(Debug, Default)]
pub(crate) struct Notebook {
    pub(crate) intents: Mutex<Vec<Intent>>,
    pub(crate) outcomes: Mutex<Vec<(Serial, Outcome)>>,
    pub(crate) fails_at: Option<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Intend,
    Conclude,
}

impl Journal for Notebook {
    async fn intend(&self, intent: &Intent) -> Result<(), JournalError> {
        if self.fails_at == Some(Step::Intend) {
            return Err(JournalError::new("the disk is full"));
        }
        self.intents.lock().unwrap().push(intent.clone());
        Ok(())
    }

    async fn conclude(&self, serial: &Serial, outcome: &Outcome) -> Result<(), JournalError> {
        if self.fails_at == Some(Step::Conclude) {
            return Err(JournalError::new("the disk is full"));
        }
        self.outcomes
            .lock()
            .unwrap()
            .push((*serial, outcome.clone()));
        Ok(())
    }
}

/// Runs a future that never waits.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the future waits"),
    }
}

/// A directory that goes away at the end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tidegate-ca-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs a stock tool here and returns what it printed; `None` where it is not installed.
    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> Option<Printed> {
        let done = Command::new(program)
            .args(arguments)
            .current_dir(&self.0)
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .output()
            .ok()?;
        let text = [done.stdout, done.stderr].concat();
        Some(Printed {
            good: done.status.success(),
            text: String::from_utf8(text).unwrap(),
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

#[derive(Debug)]
pub(crate) struct Printed {
    pub(crate) good: bool,
    pub(crate) text: String,
}

/// An authority of which everything but the P-256 keys is the same in every run.
pub(crate) struct Bench {
    pub(crate) scratch: Scratch,
    pub(crate) authority: Authority,
    pub(crate) passphrase: Passphrase,
    pub(crate) journal: Notebook,
    pub(crate) dice: Dice,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        let mut dice = Dice::new(7);
        let passphrase = Passphrase::generate(&mut dice);
        let dir = scratch.path().join("ca");
        let authority = Authority::create(&dir, &passphrase, at(NOW), &mut dice).unwrap();
        Self {
            scratch,
            authority,
            passphrase,
            journal: Notebook::default(),
            dice,
        }
    }
}

pub(crate) fn session() -> SessionId {
    SessionId::new(at(NOW), [3; 10])
}

/// Terms of alice as deploy at web1, or at orders.
pub(crate) fn terms(protocol: Protocol, capabilities: Capabilities) -> Terms {
    let target = Target {
        name: TargetName::parse("web1").unwrap(),
        endpoint: Endpoint::Ssh(SshEndpoint {
            addr: "127.0.0.1:22".parse().unwrap(),
            host_key: HostKeyPin::Keys { keys: Vec::new() },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        }),
        logins: [Login::parse("deploy").unwrap()].into(),
        labels: [].into(),
        owners: None,
        added_at: at(NOW),
        namesakes: [].into(),
    };
    Terms {
        principal: PrincipalName::parse("alice").unwrap(),
        credential: Credential::Key {
            fingerprint: "SHA256:x".into(),
        },
        source: "127.0.0.1".parse().unwrap(),
        target: Arc::new(target),
        login: Login::parse("deploy").unwrap(),
        database: None,
        via: Vec::new(),
        protocol,
        grant: GrantId::new(at(NOW), [4; 10]),
        until: at("2026-01-02T04:00:00Z"),
        capabilities,
        obligations: Obligations {
            input: InputRecording::Counted,
        },
    }
}
