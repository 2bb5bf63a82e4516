//! Moves one channel's bytes and requests, both ways, in the order they came.
//!
//! Upwards the client's queue is always drained, also while the target takes nothing ([`Intake`]).

use std::collections::VecDeque;
use std::sync::Arc;

use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use recorder::{AppendError, ChannelEvent};
use russh::{ChannelReadHalf, ChannelWriteHalf, client};
use tokio::{join, select};
use tokio_util::sync::CancellationToken;

use super::burst::Burst;
use super::down::Down;
use super::exit::EXIT_REFUSED;
use super::intake::Intake;
use super::late::{self, Late};
use super::notice::Stirred;
use super::opening::Opening;
use super::passing::Ended;
use super::prelude::{Asked, Program};
use super::tap::Tap;
use super::up::Up;
use crate::ssh::flow::Tally;
use crate::ssh::relay::Link;

/// The target's side of a channel.
#[derive(Debug)]
pub(in crate::ssh) struct Far {
    /// What comes from it.
    pub(in crate::ssh) read: ChannelReadHalf,
    /// What goes to it.
    pub(in crate::ssh) write: Arc<ChannelWriteHalf<client::Msg>>,
    /// How much of what came waits.
    pub(in crate::ssh) tally: Arc<Tally>,
}

/// Starts the program and moves its bytes until the channel is over. Of a target that does not take the end of it, that is
/// left for `late`.
pub(super) async fn run(
    link: &Arc<Link>,
    opening: &mut Opening,
    far: Far,
    (program, intake): (&Program, &Intake),
    (tap, late): (&Arc<Tap>, &mut Option<Late>),
) -> Result<(), AppendError> {
    let Far { read, write, tally } = far;
    let (expected, over) = match ask(opening, &write, (program, intake)).await {
        Ok(expected) => (expected, None),
        Err(ended) => (VecDeque::new(), Some(ended)),
    };
    let terminal = CancellationToken::new();
    if !expected.contains(&Asked::Terminal) {
        terminal.cancel();
    }
    let cell = opening.prelude.terminal.as_ref().map(|asked| asked.cell);
    let stirred = Stirred::default();
    let up = Up {
        write: &write,
        tally: &opening.tally,
        tap,
        terminal: &terminal,
        cell: cell.unwrap_or_default(),
        stirred: &stirred,
    };
    let mut down = Down {
        link,
        writer: Arc::clone(&opening.writer),
        tally: &tally,
        tap,
        voice: opening.voice(),
        terminal: &terminal,
        content: tap.content(),
        expected,
        exited: false,
        // What was never asked for whole has not begun.
        ended: over.is_some(),
        input_ended: &intake.input_ended,
        eof_held: false,
        burst: Burst::default(),
        notices: None,
        stirred: stirred.clone(),
    };
    let ended = if let Some(ended) = over {
        Ok(ended)
    } else {
        link.begun();
        select! {
            ended = down.carry(read) => ended,
            ended = intake.drain(&mut opening.read, &mut opening.stage) => Ok(ended),
            ended = up.carry(&intake.backlog) => ended,
            () = link.client_gone.cancelled() => Ok(Ended::Closed),
        }
    };
    let words = cut_off(ended?, tap)?;
    let closing = late::close(link, late, Arc::clone(&write));
    // Neither waits for the other, and what the client sends meanwhile holds nothing up.
    select! {
        ((), ()) = async { join!(dismiss(&mut down, words), closing) } => {}
        () = Intake::discard(&mut opening.read) => {}
    }
    tap.event(ChannelEvent::Closed)
}

/// Tells the client why its channel was cut off, where it was, and closes it.
async fn dismiss(down: &mut Down<'_>, words: Option<Words>) {
    if let Some(words) = words {
        down.voice.say(&words).await;
        down.end(EXIT_REFUSED).await;
    }
}

/// Asks the target for what the client asked for. Returns the answers that will come, in order. What the client sends is
/// taken meanwhile: a target that reads nothing takes no questions either.
async fn ask(
    opening: &mut Opening,
    write: &ChannelWriteHalf<client::Msg>,
    (program, intake): (&Program, &Intake),
) -> Result<VecDeque<Asked>, Ended> {
    let asked = select! {
        asked = opening.prelude.repeat(write, program) => asked,
        ended = intake.drain(&mut opening.read, &mut opening.stage) => return Err(ended),
    };
    Ok(asked.unwrap_or_else(|failed| {
        tracing::debug!(reason = %failed, "target.gone");
        VecDeque::new()
    }))
}

/// What is said where a channel was cut off.
pub(super) fn cut_off(ended: Ended, tap: &Tap) -> Result<Option<Words>, AppendError> {
    match ended {
        Ended::Closed => Ok(None),
        Ended::Unfollowed(words) => Ok(Some(words)),
        Ended::Flooded => flooded(tap).map(Some),
    }
}

/// Writes down that a channel is ended because too much waits on it, and gives the words for that.
pub(super) fn flooded(tap: &Tap) -> Result<Words, AppendError> {
    let words = SshSaying::Flooded.words();
    let (code, what) = (words.code, "input");
    tap.event(ChannelEvent::Refused { code, what })?;
    Ok(words)
}
