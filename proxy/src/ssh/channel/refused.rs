//! What a client asked for and was refused, as its recording tells of it. So much of each, and only its beginning once
//! much was refused in a session: what does not run costs whoever asks for it nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use policies::words::ssh::SshSaying;

use super::prelude::Program;
use crate::ssh::forward::answers::Bulk;

/// How much of one is told, in bytes.
const EACH_MAX: usize = 4096;

/// How much of one is told where no more is left.
const LEAST: usize = 256;

/// How much is told in a session before only beginnings are, in bytes.
const ALL_MAX: usize = 1024 * 1024;

/// How much that the door refused is told one by one in a session. The rest is counted.
const NOES_MAX: usize = 1000;

/// How much more is told in a session.
#[derive(Debug)]
pub(in crate::ssh) struct Telling {
    left: AtomicUsize,
    /// How much the door has refused.
    noes: AtomicUsize,
    /// How much it has refused of which it could not even tell.
    unheard: Arc<AtomicUsize>,
}

impl Default for Telling {
    fn default() -> Self {
        Self {
            left: AtomicUsize::new(ALL_MAX),
            noes: AtomicUsize::new(0),
            unheard: Arc::default(),
        }
    }
}

impl Telling {
    /// Nothing is told yet. The door counts what it cannot tell of.
    pub(in crate::ssh) fn new(unheard: Arc<AtomicUsize>) -> Self {
        Self {
            unheard,
            ..Self::default()
        }
    }

    /// Counts something that the door refused, and says whether it is told by itself.
    pub(in crate::ssh) fn tells(&self) -> bool {
        self.noes.fetch_add(1, Ordering::Relaxed) < NOES_MAX
    }

    /// So much more was refused of which nobody could even tell.
    pub(in crate::ssh) fn misses(&self, count: usize) {
        self.unheard.fetch_add(count, Ordering::Relaxed);
    }

    /// What is said of those that were not told by themselves, if there were any.
    pub(in crate::ssh) fn untold(&self) -> Option<SshSaying<'static>> {
        let more = self.noes.load(Ordering::Relaxed).saturating_sub(NOES_MAX);
        let count = more.saturating_add(self.unheard.load(Ordering::Relaxed));
        (count > 0).then_some(SshSaying::Untold { count })
    }

    /// A program that was refused: of which kind, and what it was to be.
    pub(super) fn of(&self, program: &Program) -> String {
        let kind = program.kind();
        let text = match program {
            Program::Shell => return kind.to_owned(),
            Program::Exec(command) => command.as_slice(),
            Program::Subsystem(name) => name.as_bytes(),
        };
        let taken = |left: usize| left.checked_sub(text.len().min(EACH_MAX));
        let spent = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken);
        let most = spent.map_or(LEAST, |_before| EACH_MAX);
        format!("{kind}: {}", begun(text, most))
    }
}

/// A place that is none, as it was asked for.
pub(in crate::ssh) fn place(host: &str, port: u32) -> String {
    format!("{} port {port}", socket(host))
}

/// The path of a socket that is none, as it was asked for.
pub(in crate::ssh) fn socket(path: &str) -> String {
    begun(path.as_bytes(), LEAST)
}

/// A text, or its beginning and the digest of all of it where it is longer or no text.
fn begun(text: &[u8], most: usize) -> String {
    let is_short = text.len() <= most;
    if let (true, Ok(text)) = (is_short, std::str::from_utf8(text)) {
        return text.to_owned();
    }
    let begun = String::from_utf8_lossy(text.get(..most).unwrap_or(text));
    format!("{begun}… {}", Bulk::of(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_door_refuses_without_end_is_counted() {
        let telling = Telling::default();
        let told = (0..NOES_MAX).filter(|_each| telling.tells()).count();
        assert_eq!((told, telling.untold()), (NOES_MAX, None));
        assert!(!telling.tells() && !telling.tells());
        assert_eq!(telling.untold(), Some(SshSaying::Untold { count: 2 }));
    }

    #[test]
    fn what_the_door_could_not_tell_of_is_counted() {
        let unheard = Arc::new(AtomicUsize::new(0));
        let telling = Telling::new(Arc::clone(&unheard));
        assert!(telling.tells());
        assert_eq!(telling.untold(), None);
        unheard.store(3, Ordering::Relaxed);
        assert_eq!(telling.untold(), Some(SshSaying::Untold { count: 3 }));
    }

    fn exec(command: &[u8]) -> Program {
        Program::Exec(command.to_vec())
    }

    #[test]
    fn what_was_refused_is_told_whole_or_by_its_digest() {
        let telling = Telling::default();
        assert_eq!(telling.of(&Program::Shell), "shell");
        let sftp = Program::Subsystem("sftp".to_owned());
        assert_eq!(telling.of(&sftp), "subsystem: sftp");
        let cat = telling.of(&exec(b"cat /etc/shadow"));
        assert_eq!(cat, "exec: cat /etc/shadow");
        let mut long = vec![b'a'; 100_000];
        let one = telling.of(&exec(&long));
        assert!(one.contains("100000 bytes SHA256:"), "{one}");
        assert!(one.len() < EACH_MAX + 100, "{}", one.len());
        // A change behind what is written down shows.
        long[99_999] = b'b';
        assert_ne!(telling.of(&exec(&long)), one);
        assert_ne!(telling.of(&exec(b"\xff")), telling.of(&exec(b"\xfe")));
    }

    #[test]
    fn of_thousands_that_were_refused_the_beginning_is_told() {
        let telling = Telling::default();
        let long = exec(&vec![b'a'; 100_000]);
        let told: Vec<usize> = (0..1000).map(|_each| telling.of(&long).len()).collect();
        assert!(told[ALL_MAX / EACH_MAX - 1] > EACH_MAX);
        assert!(told[ALL_MAX / EACH_MAX] < LEAST + 100);
        let all: usize = told.iter().sum();
        assert!(all < ALL_MAX + 1000 * (LEAST + 100), "{all}");
        // One that is short is told as it is.
        assert_eq!(telling.of(&exec(b"id")), "exec: id");
    }
}
