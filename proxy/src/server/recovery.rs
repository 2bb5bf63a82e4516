//! Sealing at the start what the last run left open, and closing its sessions.
//!
//! The ledger says which sessions wait for a seal. Files that lie there as if they did are put aside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use control::broker::Waiting;
use control::ledger::chain::hex;
use control::ledger::{Cause, Counters, RecordingState, SessionEnd};
use control::{Broker, BrokerError};
use jiff::{SignedDuration, Timestamp};
use policies::SessionId;
use recorder::{End, Fault, Recorder, RecoverError, Recovered, Verdict, Verified};
use tokio::task;
use tracing::{error, info, warn};

use super::Failure;
use crate::session::chain;
use crate::session::closing::times;

/// Whether there is nothing in a directory, or no such directory: as where its disk is not mounted. What a file
/// system makes for itself counts as nothing.
pub(super) fn is_bare(dir: &Path) -> bool {
    match fs::read_dir(dir) {
        Ok(entries) => entries
            .flatten()
            .all(|entry| entry.file_name() == "lost+found"),
        Err(refused) => refused.kind() == io::ErrorKind::NotFound,
    }
}

/// Says that recordings begin in a directory that was bare, where there were some before.
pub(super) async fn tell_bare(dir: &Path, broker: &Broker) -> Result<(), Failure> {
    let had = broker.has_had_sessions().await;
    if had.map_err(|refused| Failure::Recover(io::Error::other(refused)))? {
        let dir = dir.display();
        warn!(
            reason = %policies::words::server::made_anew(&dir),
            "recordings.made_anew"
        );
    }
    Ok(())
}

/// Seals what a crash left, and closes the sessions that it belonged to.
pub(super) async fn recover(recorder: &Recorder, broker: &Broker) -> Result<(), Failure> {
    let now = broker.clock().now();
    let store = |refused: BrokerError| Failure::Recover(io::Error::other(refused));
    let listed = broker.open_sessions().await.map_err(store)?;
    let mut left = on_disk(recorder, Recorder::unsealed).await?;
    // Of these there is a sealed file, which could not be read at an earlier start, or whose line a crash kept from the
    // ledger. Those that cannot be read still are not asked about: that would be a walk to each at every start.
    let unsealed = broker.unsealed_sessions().await.map_err(store)?;
    let sealed = sealed_already(recorder, unsealed.iter().copied().collect()).await?;
    let whole = sealed
        .into_iter()
        .filter(|(_session, verdict)| verdict.is_ok());
    left.extend(whole.map(|(session, _verdict)| session));
    let asked = listed.iter().copied().chain(left).collect();
    let waiting = broker.waiting(asked).await.map_err(store)?;
    for session in listed.difference(&waiting.open) {
        error!(%session, reason = "it is listed as open, and the ledger does not say so", "session.unheard");
    }
    let known = known(recorder, now, waiting.all()).await?;
    let Waiting { open, late, told } = waiting;
    let sealed = late.into_iter().filter_map(|session| {
        let root = known.roots.get(&session)?.clone();
        Some((session, root))
    });
    // An older version did not put it in the list of sessions, where every start would look it up again.
    let relisted = told
        .into_iter()
        .filter(|(session, _)| unsealed.contains(session));
    for (session, root) in sealed.chain(relisted) {
        let recovered = broker.recording_recovered(session, root).await;
        recovered.map_err(store)?;
    }
    if let Err(refused) = known.close(broker, now, open).await {
        warn!(reason = %refused, "sessions.uncut");
    }
    Ok(())
}

/// What is known of recordings that wait for their seal. Those of which nothing is known wait on: the disk was
/// full or failed, or was not there.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    /// Of those that are sealed now, in hexadecimal.
    roots: BTreeMap<SessionId, String>,
    /// How those of them ended that say so.
    ends: BTreeMap<SessionId, SessionEnd>,
    /// Those of which there is nothing that could be sealed.
    lost: BTreeSet<SessionId>,
}

/// Seals the recordings that wait for it.
async fn known(
    recorder: &Recorder,
    now: Timestamp,
    waiting: BTreeSet<SessionId>,
) -> Result<Known, Failure> {
    let asked = waiting.clone();
    let recovered = on_disk(recorder, move |recorder| recorder.recover(now, &asked)).await?;
    let mut known = Known::default();
    for one in recovered {
        known.learn(one);
    }
    // Of these a crash came between the seal and the ledger's line, or between their end and the seal.
    let is_unknown = |session: &SessionId| !known.roots.contains_key(session);
    let unknown: Vec<_> = waiting.into_iter().filter(is_unknown).collect();
    for (session, verdict) in sealed_already(recorder, unknown).await? {
        known.judge(session, verdict);
    }
    Ok(known)
}

impl Known {
    /// Logs what became of one recording, and takes note of it.
    fn learn(&mut self, Recovered { session, outcome }: Recovered) {
        match outcome {
            Ok(salvage) => {
                match salvage.damaged {
                    None => info!(%session, "recording.cut_short"),
                    Some((_, copy)) => {
                        error!(%session, reason = %copy.display(), "recording.damaged");
                    }
                }
                let sealed = salvage.sealed.checkpoint;
                // Where the end is in it, it is read from there.
                if sealed.end == End::CutShort.as_str() {
                    self.roots.insert(session, hex(&sealed.root));
                }
            }
            Err(refused) => {
                error!(%session, reason = %chain(&refused), "recording.unrecovered");
                match refused {
                    RecoverError::Heading(_) => {
                        self.lost.insert(session);
                    }
                    // The next start may do better, or there is a sealed one.
                    RecoverError::Files(_) | RecoverError::Unexpected { .. } => {}
                }
            }
        }
    }

    /// The same of one that was sealed before.
    fn judge(&mut self, session: SessionId, verdict: Verdict) {
        match verdict {
            Ok(verified) => {
                let root = hex(&verified.checkpoint.root);
                self.roots.insert(session, root);
                if let Some(end) = told(&verified) {
                    self.ends.insert(session, end);
                }
            }
            Err(broken) => {
                error!(%session, reason = %chain(&broken), "recording.unproven");
                if !matches!(broken.fault, Fault::Read(_)) {
                    self.lost.insert(session);
                }
            }
        }
    }

    /// Closes the sessions that were open when the server last stopped: as their recordings say, or as cut short.
    async fn close(
        &self,
        broker: &Broker,
        now: Timestamp,
        mut open: BTreeSet<SessionId>,
    ) -> Result<(), BrokerError> {
        for (session, end) in &self.ends {
            if open.remove(session) {
                broker.session_closed(*session, end.clone()).await?;
            }
        }
        broker.cut_short(now, &open, &self.roots, &self.lost).await
    }
}

/// How a session ended and when, where its recording was not cut short.
fn told(verified: &Verified) -> Option<SessionEnd> {
    let cause = match verified.end.clone() {
        End::Complete => Cause::Complete,
        End::Severed { code, why } => Cause::SeveredAsRecorded { code, what: why },
        End::Failed { code, why } => Cause::Failed { code, what: why },
        End::CutShort => return None,
    };
    let sealed = &verified.checkpoint;
    let lasted = i64::try_from(sealed.last_us).unwrap_or(i64::MAX);
    let at = sealed
        .started_at
        .saturating_add(SignedDuration::from_micros(lasted));
    Some(SessionEnd {
        at: at.unwrap_or(sealed.sealed_at),
        cause,
        timeline: times(verified.timeline),
        counters: Counters::default(),
        recording: RecordingState::Sealed {
            root: hex(&sealed.root),
        },
    })
}

/// What becomes of those of which there is a file that bears the name of a sealed one.
async fn sealed_already(
    recorder: &Recorder,
    sessions: Vec<SessionId>,
) -> Result<Vec<(SessionId, Verdict)>, Failure> {
    on_disk(recorder, move |recorder| {
        let there = |session: &SessionId| recorder.path_of(*session).exists();
        let sessions = sessions.into_iter().filter(there);
        Ok(sessions
            .map(|session| (session, recorder.proven(session)))
            .collect())
    })
    .await
}

/// Does something that waits for the disk, on a thread that may.
async fn on_disk<T: Send + 'static>(
    recorder: &Recorder,
    work: impl FnOnce(&Recorder) -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let recorder = recorder.clone();
    match task::spawn_blocking(move || work(&recorder)).await {
        Ok(done) => done.map_err(Failure::Recover),
        Err(panicked) => Err(Failure::Recover(panicked.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use ca::{Authority, Passphrase};
    use control::ledger::{Event, Happening, Session, Timeline};
    use control::store::{Backend, Store as _};
    use control::{Clock, Settings, entropy};
    use policies::{Credential, GrantId, InputRecording, Protocol};
    use recorder::{Break, Heading, Limits};
    use tempfile::TempDir;

    use super::*;
    use crate::server::seal::AuthoritySeal;

    #[test]
    fn a_directory_that_is_not_mounted_is_bare() {
        let dir = TempDir::new().unwrap();
        assert!(is_bare(dir.path()) && is_bare(&dir.path().join("gone")));
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        assert!(is_bare(dir.path()), "a file system begins with this");
        fs::write(dir.path().join("reserve"), "").unwrap();
        assert!(!is_bare(dir.path()));
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    /// A session of alice's to web1.
    fn session(number: u8) -> Session {
        Session {
            id: SessionId::new(now(), [number; 10]),
            grant: GrantId::new(now(), [9; 10]),
            principal: "alice".parse().unwrap(),
            credential: Credential::Key {
                fingerprint: "SHA256:x".to_owned(),
            },
            source: [192, 0, 2, 7].into(),
            target: "web1".parse().unwrap(),
            login: "deploy".parse().unwrap(),
            protocol: Protocol::Ssh,
            opened_at: now(),
            until: now(),
            end: None,
        }
    }

    /// A recorder and a ledger.
    struct House {
        dir: TempDir,
        recorder: Recorder,
        store: Backend,
        broker: Broker,
    }

    impl House {
        async fn new() -> Self {
            let (dir, mut rng) = (tempfile::tempdir().unwrap(), entropy::rng());
            let (keys, passphrase) = (dir.path().join("keys"), Passphrase::generate(&mut rng));
            let authority = Authority::create(&keys, &passphrase, now(), &mut rng).unwrap();
            let seal = Arc::new(AuthoritySeal::new(&authority));
            let limits = Limits {
                reserve_bytes: 0,
                ..Limits::default()
            };
            let store = Backend::memory();
            let broker = Broker::start(store.clone(), Clock::system(), Settings::default()).await;
            let recordings = dir.path().join("recordings");
            Self {
                recorder: Recorder::open_dir(&recordings, limits, seal).unwrap(),
                broker: broker.unwrap(),
                store,
                dir,
            }
        }

        /// Records a session that ended like this after so long.
        fn recorded(&self, session: &Session, end: &End, after: Duration) {
            let heading = Heading {
                session: session.id,
                grant: session.grant,
                principal: session.principal.clone(),
                credential: session.credential.clone(),
                source: session.source,
                target: session.target.clone(),
                login: session.login.clone(),
                protocol: session.protocol,
                reason: None,
                input: InputRecording::Kept,
                started_at: now(),
            };
            let recording = self.recorder.open(&heading).unwrap();
            let timeline = recorder::Timeline {
                target_closed: Some(after),
                ..recorder::Timeline::default()
            };
            recording.seal(after, now(), end, &timeline).unwrap();
        }

        async fn written(&self, happenings: impl IntoIterator<Item = Happening>) {
            let at = now();
            let events = happenings.into_iter();
            let events = events.map(|happening| Event { at, happening }).collect();
            let receipt = self.store.submit(events).await.unwrap();
            receipt.durably().await.unwrap();
        }

        /// A session whose recording was sealed, and of which the ledger says that it could not be.
        async fn unknown_seal(&self) -> SessionId {
            let session = session(1);
            self.recorded(&session, &End::Complete, Duration::ZERO);
            let end = SessionEnd {
                at: now(),
                cause: Cause::Complete,
                timeline: Timeline::default(),
                counters: Counters::default(),
                recording: RecordingState::Failed,
            };
            let id = session.id;
            let closed = Happening::SessionClosed {
                session: id,
                end: Box::new(end),
            };
            let session = Box::new(session);
            let opened = Happening::SessionOpened { session };
            self.written([opened, closed]).await;
            id
        }

        /// What is listed of a session's recording.
        async fn listed(&self, session: SessionId) -> RecordingState {
            let session = self.store.session(session).await.unwrap().unwrap();
            session.end.unwrap().recording
        }

        /// How many lines say that a recording was recovered.
        async fn told(&self) -> usize {
            let lines = self.store.lines(0, 1_000).await.unwrap();
            let said = |line: &&control::ledger::chain::Stored| line.body.contains("_recovered");
            lines.iter().filter(said).count()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sealed_recording_that_could_not_be_read_at_a_start_is_told_of_at_a_later_one() {
        let house = House::new().await;
        let session = house.unknown_seal().await;
        let path = house.recorder.path_of(session);
        let aside = house.dir.path().join("aside");
        fs::rename(&path, &aside).unwrap();
        recover(&house.recorder, &house.broker).await.unwrap();
        assert_eq!(house.listed(session).await, RecordingState::Failed);
        fs::rename(&aside, &path).unwrap();
        recover(&house.recorder, &house.broker).await.unwrap();
        let verified = house.recorder.proven(session).unwrap();
        let root = Some(hex(&verified.checkpoint.root));
        assert_eq!(
            house.listed(session).await,
            RecordingState::CutShort { root }
        );
        recover(&house.recorder, &house.broker).await.unwrap();
        assert_eq!(house.told().await, 1);
    }

    /// The server was killed when they were over and the ledger did not have it: the recordings have their seal, or
    /// all but that.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_session_whose_recording_tells_how_it_ended_ended_so() {
        let house = House::new().await;
        let after = Duration::from_secs(90);
        let (code, why) = ("TG208".to_owned(), "it was cut".to_owned());
        let severed = End::Severed { code, why };
        for number in 1..=3 {
            let session = session(number);
            let end = if number == 3 {
                &End::CutShort
            } else {
                &severed
            };
            house.recorded(&session, end, after);
            let session = Box::new(session);
            house.written([Happening::SessionOpened { session }]).await;
        }
        let [sealed, unsealed, cut] = [1, 2, 3].map(|number| session(number).id);
        let path = house.recorder.path_of(unsealed);
        let mut file = fs::read(&path).unwrap();
        file.truncate(file.len() - 1);
        fs::write(path.with_extension("part"), file).unwrap();
        fs::remove_file(path).unwrap();
        recover(&house.recorder, &house.broker).await.unwrap();
        for session in [sealed, unsealed] {
            let end = house.store.session(session).await.unwrap().unwrap().end;
            let end = end.unwrap();
            let (code, what) = ("TG208".to_owned(), "it was cut".to_owned());
            assert_eq!(end.cause, Cause::SeveredAsRecorded { code, what });
            let lasted = SignedDuration::try_from(after).unwrap();
            assert_eq!(
                (end.at, end.timeline.target_closed),
                (now() + lasted, Some(lasted))
            );
            let verified = house.recorder.proven(session).unwrap();
            let root = hex(&verified.checkpoint.root);
            assert_eq!(end.recording, RecordingState::Sealed { root });
        }
        let end = house.store.session(cut).await.unwrap().unwrap().end;
        assert_eq!(end.unwrap().cause, Cause::CutShort);
    }

    #[test]
    fn what_a_disk_did_not_let_be_sealed_is_not_lost() {
        let session = SessionId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        let broken = |fault| Break {
            frame: 0,
            after: Duration::ZERO,
            offset: 0,
            within: 0,
            fault,
        };
        let mut known = Known::default();
        let outcome = Err(RecoverError::Files(io::ErrorKind::StorageFull.into()));
        known.learn(Recovered { session, outcome });
        known.judge(
            session,
            Err(broken(Fault::Read(io::ErrorKind::Other.into()))),
        );
        assert_eq!(known, Known::default());
        known.judge(session, Err(broken(Fault::NotSealed)));
        assert_eq!(known.lost, [session].into());
    }
}
