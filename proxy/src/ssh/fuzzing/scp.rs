//! A transfer by legacy scp.

use bytes::Bytes;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};

use crate::fuzzing::{Turn, turns};
use crate::ssh::files::command::FileCommand;
use crate::ssh::files::operation::Operation;
use crate::ssh::files::path::Vague;
use crate::ssh::files::scp::{Invocation, Judge, Role, Scp, Stop};

/// The most that may be held of a line that is not whole (`LINE_MAX` of the reader, and its end).
const LINE_MAX: usize = 2047;

/// A command line that is one end of a transfer and, behind its line break, a conversation. What that
/// comes to does not depend on where it is cut. Where nothing is asked, and where all is allowed, every
/// byte passes as it came. Where not, what passes has nothing in it that is refused.
pub(super) fn scp(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == b'\n');
    let (Some(command), Some(stream)) = (parts.next(), parts.next()) else {
        return;
    };
    let Some(FileCommand::Scp(invocation)) = FileCommand::of(command) else {
        return;
    };
    commanded(&invocation);
    let turns = turns(stream);
    let yes = |_: &[Result<String, Vague>]| Ok(());
    let free = check(&invocation, &turns, None);
    let asked = check(&invocation, &turns, Some(&yes));
    assert_eq!(
        free.operations, asked.operations,
        "asking changed something"
    );
    assert_eq!(free.stop, asked.stop, "asking changed how it ended");
    if free.stop.is_none() {
        assert_eq!(free.sides(), came(&invocation, &turns));
        for (passed, came) in asked.sides().iter().zip(free.sides()) {
            assert!(came.starts_with(passed), "other bytes passed than came");
            let held = came.len().saturating_sub(passed.len());
            assert!(held <= LINE_MAX, "{held} bytes held");
        }
    }
    let refused = check(&invocation, &turns, Some(&strict));
    if matches!(refused.stop, Some(Stop::Refused(_))) {
        let again = Heard::repeat(&invocation, &refused.passed);
        assert_eq!(again.stop, None, "what was refused has passed");
    }
}

/// What is wanted before the command runs is a whole name, or nobody gets it.
fn commanded(invocation: &Invocation) {
    if let Ok(place) = invocation.wants() {
        assert!(
            invocation.clear.plain,
            "{place:?} of a line that is not plain"
        );
        assert!(place.starts_with(['/', '~']), "{place:?}");
        assert!(place.split('/').all(|part| part != ".."), "{place:?}");
    }
}

/// Allows what can be told and has no `x` in it.
fn strict(places: &[Result<String, Vague>]) -> Result<(), Words> {
    let good = |place: &Result<String, Vague>| place.as_ref().is_ok_and(|name| !name.contains('x'));
    if places.iter().all(good) {
        Ok(())
    } else {
        Err(SshSaying::NoTerminal.words())
    }
}

/// What a conversation comes to, which is the same in pieces as in one.
fn check(invocation: &Invocation, turns: &[Turn<'_>], judge: Option<Judge<'_>>) -> Heard {
    let pieces = turns.iter().flat_map(|turn| {
        let pieces = turn.pieces.iter().map(|piece| piece.to_vec());
        pieces.map(|piece| (turn.from_client, piece))
    });
    let cut = Heard::of(invocation, pieces, judge);
    let whole = turns.iter().map(|turn| (turn.from_client, turn.whole()));
    let whole = Heard::of(invocation, whole, judge);
    assert_eq!(cut.operations, whole.operations);
    assert_eq!(cut.stop, whole.stop);
    if cut.stop.is_none() {
        assert_eq!(cut.sides(), whole.sides());
    }
    cut
}

/// Everything that the source said, and that the sink did.
fn came(invocation: &Invocation, turns: &[Turn<'_>]) -> [Vec<u8>; 2] {
    [true, false].map(|source| {
        let said = turns.iter();
        let said = said.filter(|turn| is_source(invocation, turn.from_client) == source);
        said.map(Turn::whole).collect::<Vec<_>>().concat()
    })
}

/// Whether the client, or the target, is the one that sends files.
fn is_source(invocation: &Invocation, from_client: bool) -> bool {
    (invocation.role() == Role::Sink) == from_client
}

/// What became of a conversation.
#[derive(Debug, Default)]
struct Heard {
    /// Whether the source said it, and what went on of it.
    passed: Vec<(bool, Vec<u8>)>,
    operations: Vec<Operation>,
    stop: Option<Stop>,
}

impl Heard {
    fn of(
        invocation: &Invocation,
        said: impl Iterator<Item = (bool, Vec<u8>)>,
        judge: Option<Judge<'_>>,
    ) -> Self {
        let said = said.map(|(from_client, bytes)| (is_source(invocation, from_client), bytes));
        let (mut scp, mut heard) = (Scp::new(invocation.clone()), Self::default());
        for (source, bytes) in said {
            if heard.take(&mut scp, source, bytes, judge) {
                break;
            }
        }
        heard.operations.extend(scp.finish());
        assert_eq!(scp.finish(), [], "told twice");
        heard
    }

    /// What passed, followed once more by the same rules.
    fn repeat(invocation: &Invocation, passed: &[(bool, Vec<u8>)]) -> Self {
        let (mut scp, mut heard) = (Scp::new(invocation.clone()), Self::default());
        for (source, bytes) in passed {
            heard.take(&mut scp, *source, bytes.clone(), Some(&strict));
        }
        heard
    }

    /// One side says something. Whether that is the end.
    fn take(
        &mut self,
        scp: &mut Scp,
        source: bool,
        bytes: Vec<u8>,
        judge: Option<Judge<'_>>,
    ) -> bool {
        let mut rest = Bytes::from(bytes);
        loop {
            let followed = if source {
                scp.source(rest, judge)
            } else {
                scp.sink(rest)
            };
            self.passed.push((source, followed.pieces.concat()));
            self.operations.extend(followed.operations);
            rest = followed.rest;
            if self.stop.is_none() {
                self.stop = followed.stop;
            }
            if self.stop.is_some() || rest.is_empty() {
                return self.stop.is_some();
            }
        }
    }

    fn sides(&self) -> [Vec<u8>; 2] {
        [true, false].map(|source| {
            let passed = self.passed.iter().filter(|(from, _)| *from == source);
            let passed = passed.map(|(_, bytes)| bytes.as_slice());
            passed.collect::<Vec<_>>().concat()
        })
    }
}
