//! Seals what a crash left. Cuts at the last good frame, says that the end is unknown, and runs the
//! same code as normal sealing. Never invents a frame, never drops one that is good.
//!
//! The chain of frames has no key, so whoever can write to the directory can make files that look like a
//! crash. Which sessions wait for a seal is what the caller says, who has it from elsewhere; nothing
//! else is signed, and nothing that was signed is replaced.

mod found;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use policies::SessionId;

use self::found::{Found, at_the_start, damage, walk_part};
use crate::aside::{Use, is_one_file, open_left, put_aside};
use crate::chain::peek;
use crate::fault::{Break, Fault};
use crate::finish::{Finish, Sealed};
use crate::frame::Frame;
use crate::recorder::{Paths, Recorder, Shared, sessions};
use crate::segment::{self, SEGMENT_MAX};
use crate::verify::{Verdict, verify_from};
use crate::{End, Timeline};

/// What became of one recording that a crash left.
#[derive(Debug)]
pub struct Recovered {
    /// Of which session.
    pub session: SessionId,
    /// The sealed recording, or why there is none. Then the files stay as they are.
    pub outcome: Result<Salvage, RecoverError>,
}

/// A recording that was cut and sealed.
#[derive(Debug)]
pub struct Salvage {
    /// Where it is, and what was signed.
    pub sealed: Sealed,
    /// Where frames that were once whole turned out damaged, with the copy that was kept of the
    /// file. A frame that was still being written when the crash came is no damage.
    pub damaged: Option<(Break, PathBuf)>,
}

/// Why a recording that a crash left could not be sealed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Not even the heading is readable.
    #[error("not even the heading is readable")]
    Heading(#[source] Box<Break>),
    /// The files could not be read or written.
    #[error("recover the files")]
    Files(#[source] io::Error),
    /// The session does not wait for a seal: it never was, or its recording was sealed. Nothing is
    /// signed.
    #[error("the session waits for no seal; what was found is kept as `{}`", kept.display())]
    Unexpected {
        /// Where what was found is kept.
        kept: PathBuf,
    },
}

impl Recorder {
    /// The sessions of which something is left that is not sealed, oldest first.
    pub fn unsealed(&self) -> io::Result<Vec<SessionId>> {
        sessions(&self.shared().dir, "part")
    }

    /// Proves the sealed recording of `session` with the key that seals here.
    pub fn proven(&self, session: SessionId) -> Verdict {
        let opened = self.open_sealed(session);
        let file = opened.map_err(|error| {
            let is_other = matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            );
            at_the_start(if is_other {
                Fault::Title
            } else {
                Fault::Read(error)
            })
        })?;
        let key = self.shared().seal.key();
        verify_from(BufReader::new(file), Some(session), &key)
    }

    /// Seals the recordings of `waiting` sessions that nobody writes. `now` becomes the time of the
    /// seal; the session ends at its last good frame. What looks like a recording of any other session
    /// is put aside, as is what would replace a sealed one.
    ///
    /// Waits for the disk. To be called before the first [`open`](Self::open).
    pub fn recover(
        &self,
        now: Timestamp,
        waiting: &BTreeSet<SessionId>,
    ) -> io::Result<Vec<Recovered>> {
        let shared = self.shared();
        // One that is odd keeps no other from being sealed, nor the server from its start.
        let mut found = Vec::new();
        for session in sessions(&shared.dir, "tail")? {
            let paths = Paths::of(&shared.dir, session);
            if let Err(error) = look_at_tail(&paths, waiting.contains(&session)) {
                let outcome = Err(RecoverError::Files(error));
                found.push(Recovered { session, outcome });
            }
        }
        let left = sessions(&shared.dir, "part")?;
        let recover = |session: SessionId| {
            let outcome = recover_one(shared, session, now, waiting.contains(&session));
            let outcome = outcome.transpose()?;
            Some(Recovered { session, outcome })
        };
        found.extend(left.into_iter().filter_map(recover));
        Ok(found)
    }
}

/// Sees to raw frames beside which no segments are: those of a sealed recording go, and those of one that waits for its
/// seal get a file of segments.
fn look_at_tail(paths: &Paths, waits: bool) -> io::Result<()> {
    if paths.part.try_exists()? {
        return Ok(());
    }
    if paths.sealed.try_exists()? {
        return fs::remove_file(&paths.tail);
    }
    if waits {
        begin_part(paths)?;
    }
    Ok(())
}

/// Makes the file of segments that is not there, empty: a power loss kept one name of two, or somebody
/// removed it. The raw frames that are left are sealed all the same, if they are from the beginning.
fn begin_part(paths: &Paths) -> io::Result<()> {
    let mut options = File::options();
    let part = options.write(true).create_new(true).mode(0o600);
    let begun = part.open(&paths.part)?.write_all(&segment::opening());
    if begun.is_err() {
        // Half an opening would be told as damage.
        drop(fs::remove_file(&paths.part));
    }
    begun
}

/// Recovers one, unless it is being written or has been sealed.
fn recover_one(
    shared: &Shared,
    session: SessionId,
    now: Timestamp,
    waits: bool,
) -> Result<Option<Salvage>, RecoverError> {
    let paths = Paths::of(&shared.dir, session);
    let part = open_left(&paths.part, Use::Write).map_err(RecoverError::Files)?;
    match part.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(RecoverError::Files(error)),
    }
    let is_sealed = paths.sealed.try_exists().map_err(RecoverError::Files)?;
    if is_sealed && is_one_file(&paths.part, &paths.sealed).map_err(RecoverError::Files)? {
        fs::remove_file(&paths.part).map_err(RecoverError::Files)?;
        if paths.tail.exists() {
            fs::remove_file(&paths.tail).map_err(RecoverError::Files)?;
        }
        return Ok(None);
    }
    if is_sealed || !waits {
        let kept = put_aside(shared, &paths).map_err(RecoverError::Files)?;
        return Err(RecoverError::Unexpected { kept });
    }
    // Whatever else a file is known by, it must not be written over: a backup may have linked it, or somebody
    // who does not want it sealed.
    let [part_is_ours, tail_is_ours] =
        [&paths.part, &paths.tail].map(|path| become_only_name(path, shared));
    let part = match part_is_ours.map_err(RecoverError::Files)? {
        Some(copy) => copy,
        None => part,
    };
    tail_is_ours.map_err(RecoverError::Files)?;
    salvage(shared, (session, &paths), &part, now).map(Some)
}

/// Puts a copy in the place of a file that has another name as well, and opens it.
fn become_only_name(path: &Path, shared: &Shared) -> io::Result<Option<File>> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.nlink() > 1 => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(None),
    }
    let copy = path.with_extension("copying");
    let done = copy_anew(path, &copy).and_then(|()| fs::rename(&copy, path));
    if done.is_err() {
        drop(fs::remove_file(&copy));
    }
    done?;
    shared.sync_names()?;
    open_left(path, Use::Write).map(Some)
}

fn salvage(
    shared: &Shared,
    (session, paths): (SessionId, &Paths),
    part: &File,
    now: Timestamp,
) -> Result<Salvage, RecoverError> {
    let tail = read_tail(paths).map_err(RecoverError::Files)?;
    let (mut found, anew) = match walk_part(part) {
        Ok(found) => (found, false),
        // A disk that fails says nothing about what is on it.
        Err(Break {
            fault: Fault::Read(error),
            ..
        }) => return Err(RecoverError::Files(error)),
        // The first segment is in the raw frames still, whether or not it had left them.
        Err(broken) if peek(&tail).is_ok_and(|link| link.sequence == 0) => {
            (Found::nothing(damage(broken)), true)
        }
        Err(broken) => return Err(RecoverError::Heading(Box::new(broken))),
    };
    let ending = found.follow(&tail);
    let unusable = |fault| RecoverError::Heading(Box::new(at_the_start(fault)));
    let Some(heading) = found.heading else {
        return Err(unusable(Fault::Frame(crate::FrameFault::CutOff)));
    };
    if heading.session != session {
        return Err(unusable(Fault::OtherSession(heading.session)));
    }
    let damaged = match found.damage {
        Some(damage) => Some((
            damage,
            keep_copy(shared, paths).map_err(RecoverError::Files)?,
        )),
        None => None,
    };
    if anew {
        part.write_all_at(&segment::opening(), 0)
            .map_err(RecoverError::Files)?;
    }
    let (end, timeline) = ending
        .or(found.ending)
        .unwrap_or((End::CutShort, Timeline::default()));
    let finish = Finish {
        paths: paths.clone(),
        session: heading.session,
        started_at: heading.started_at,
        part,
        part_len: found.part_len,
        container: found.container,
        open_first: found.open_first,
        open: found.open,
        chain: found.chain,
    };
    let sealed = finish.seal(Duration::ZERO, now, &Frame::Close { end, timeline }, shared);
    Ok(Salvage {
        sealed: sealed.map_err(RecoverError::Files)?,
        damaged,
    })
}

/// The raw frames, bounded by what a writer leaves there.
fn read_tail(paths: &Paths) -> io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    match open_left(&paths.tail, Use::Read) {
        Ok(file) => file
            .take(SEGMENT_MAX.saturating_mul(2) as u64)
            .read_to_end(&mut tail)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(tail)
}

/// Keeps damaged files as they were found, beside the recording. The copies are on disk when this
/// returns: only then may the originals be changed.
fn keep_copy(shared: &Shared, paths: &Paths) -> io::Result<PathBuf> {
    let copy = paths.part.with_extension("damaged");
    if paths.tail.exists() {
        keep(&paths.tail, &paths.part.with_extension("damaged-tail"))?;
    }
    keep(&paths.part, &copy)?;
    shared.sync_names()?;
    Ok(copy)
}

/// Copies one file, unless that was done. A copy that is there was made before a recovery that did
/// not come to its end changed the original, so it is the better evidence.
fn keep(original: &Path, copy: &Path) -> io::Result<()> {
    if copy.try_exists()? {
        return Ok(());
    }
    // Under its last name a copy is whole.
    let begun = copy.with_extension("copying");
    let done = copy_anew(original, &begun).and_then(|()| fs::rename(&begun, copy));
    if done.is_err() {
        // Half a copy shows nothing, and the disk may be full of it.
        drop(fs::remove_file(&begun));
    }
    done
}

/// Copies to a name that nothing has: what half a copy has left there goes, and a name that leads elsewhere.
fn copy_anew(original: &Path, to: &Path) -> io::Result<()> {
    match fs::remove_file(to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    let mut copy = options.write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut open_left(original, Use::Read)?, &mut copy)?;
    copy.sync_all()
}
