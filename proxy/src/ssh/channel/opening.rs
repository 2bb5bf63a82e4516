//! What comes on a session channel before its program: what may be asked is remembered, and what comes for the program
//! kept, until it is known which one.
//!
//! Asks nobody whether the program may run; that is [`line`](super::line)'s business.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use policies::words::Words;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time;

use super::prelude::{Display, Prelude, Program};
use super::requests::{Answer, Refusal, Request, Stage};
use super::terminal::{Cell, Modes, Terminal};
use super::voice::{Screen, Standing, Voice, Writer};
use crate::ssh::client::arrival::Visit;
use crate::ssh::flow::Tally;

/// How much is held of what a client sends before its program has started. More than a window never
/// comes; this bounds the number of pieces.
const EARLY_MAX: usize = 4096;

/// How long we wait until a client has said what it wants before it is told no.
const PROGRAM_LIMIT: Duration = Duration::from_secs(3);

/// How long a client may take to hear that its channel is over.
const DECLINE_LIMIT: Duration = Duration::from_secs(3);

/// What the prelude ends with.
#[derive(Debug)]
pub(super) enum Next {
    /// Go on listening.
    More,
    /// This is to run.
    Run(Program),
    /// This cannot run.
    Malformed(Program),
    /// The agent is offered.
    Agent,
    /// The display is offered.
    Display(Display),
    /// More waits for a program than may.
    Flooded,
    /// The channel is over.
    Over,
}

/// A channel whose program is not known yet.
#[derive(Debug)]
pub struct Opening {
    pub(super) read: ChannelReadHalf,
    pub(super) writer: Writer,
    pub(super) tally: Arc<Tally>,
    pub(super) stage: Stage,
    pub(super) prelude: Prelude,
    standing: Standing,
}

impl Opening {
    /// Begins with a channel that was just opened.
    pub fn new(visit: Visit) -> Self {
        let (read, writer) = visit.channel.split();
        Self {
            read,
            writer: Arc::new(writer),
            tally: visit.tally,
            stage: Stage::default(),
            prelude: Prelude::default(),
            standing: Standing::default(),
        }
    }

    /// Listens until the client says what it wants, then says no, with an exit status.
    pub async fn turn_away(mut self, words: &Words, status: u32) {
        let listening = async {
            while let Some(message) = self.read.wait().await {
                match self.hear(message) {
                    Next::More | Next::Agent | Next::Display(_) => {}
                    Next::Run(_) | Next::Malformed(_) | Next::Flooded | Next::Over => return,
                }
            }
        };
        if time::timeout(PROGRAM_LIMIT, listening).await.is_err() {
            tracing::debug!("client.silent");
        }
        self.decline(words, status).await;
    }

    /// Says no and closes the channel.
    pub(super) async fn decline(&self, words: &Words, status: u32) {
        self.voice().say(words).await;
        let closing = async {
            self.writer.exit_status(status).await?;
            self.voice().falls_silent().await;
            self.writer.eof().await?;
            self.writer.close().await
        };
        match time::timeout(DECLINE_LIMIT, closing).await {
            Ok(Ok(())) => {}
            Ok(Err(_gone)) => tracing::debug!("client.gone"),
            Err(_elapsed) => tracing::debug!("words.unheard"),
        }
    }

    pub(super) fn voice(&self) -> Voice {
        let (writer, standing) = (Arc::clone(&self.writer), self.standing.clone());
        Voice::new(writer, self.screen(), standing)
    }

    fn screen(&self) -> Screen {
        if self.stage.has_pty() {
            Screen::Terminal
        } else {
            Screen::Plain
        }
    }

    /// Takes one message. The front has answered it by the same rules.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "russh adds messages without notice; what is not named here is not for us"
    )]
    pub(super) fn hear(&mut self, message: ChannelMsg) -> Next {
        match message {
            ChannelMsg::RequestPty {
                term,
                col_width,
                row_height,
                pix_width,
                pix_height,
                terminal_modes,
                ..
            } => self.terminal(Terminal {
                term,
                columns: col_width,
                rows: row_height,
                cell: Cell::of((col_width, row_height), (pix_width, pix_height)),
                modes: Modes::of(&terminal_modes),
            }),
            ChannelMsg::SetEnv {
                variable_name,
                variable_value,
                ..
            } => self.variable(variable_name, variable_value),
            ChannelMsg::RequestShell { .. } => self.program(Request::Shell, || Program::Shell),
            ChannelMsg::Exec { command, .. } => {
                let answer = self.stage.answer(Request::Exec { command: &command });
                settle(answer, || Program::Exec(command))
            }
            ChannelMsg::RequestSubsystem { name, .. } => {
                let answer = self.stage.answer(Request::Subsystem { name: &name });
                settle(answer, || Program::Subsystem(name))
            }
            ChannelMsg::WindowChange {
                col_width,
                row_height,
                pix_width,
                pix_height,
            } => {
                if let Some(terminal) = &mut self.prelude.terminal {
                    (terminal.columns, terminal.rows) = (col_width, row_height);
                    terminal.cell = Cell::of((col_width, row_height), (pix_width, pix_height));
                }
                Next::More
            }
            ChannelMsg::AgentForward { .. } => match self.stage.answer(Request::Agent) {
                Answer::Pass => Next::Agent,
                Answer::Start | Answer::Refuse(_) => Next::More,
            },
            offer @ ChannelMsg::RequestX11 { .. } => self.display(offer),
            ChannelMsg::Data { data } => self.early(data),
            ChannelMsg::Eof => {
                self.prelude.early_eof = true;
                Next::More
            }
            ChannelMsg::Close => Next::Over,
            _ => Next::More,
        }
    }

    fn terminal(&mut self, terminal: Terminal) -> Next {
        if self.stage.answer(Request::Pty {
            term: &terminal.term,
        }) == Answer::Pass
        {
            self.prelude.terminal = Some(terminal);
        }
        Next::More
    }

    fn variable(&mut self, name: String, value: String) -> Next {
        let request = Request::Env {
            name: &name,
            value: &value,
        };
        if self.stage.answer(request) == Answer::Pass {
            self.prelude.environment.push((name, value));
        }
        Next::More
    }

    fn program(&mut self, request: Request<'_>, program: impl FnOnce() -> Program) -> Next {
        settle(self.stage.answer(request), program)
    }

    fn display(&mut self, offer: ChannelMsg) -> Next {
        let Some(display) = Display::offered(offer) else {
            return Next::More;
        };
        let (protocol, cookie) = (display.protocol.as_str(), display.cookie.as_str());
        match self.stage.answer(Request::X11 { protocol, cookie }) {
            Answer::Pass => Next::Display(display),
            Answer::Start | Answer::Refuse(_) => Next::More,
        }
    }

    fn early(&mut self, data: Bytes) -> Next {
        if self.prelude.early.len() >= EARLY_MAX {
            return Next::Flooded;
        }
        self.prelude.early.push(data);
        Next::More
    }
}

fn settle(answer: Answer, program: impl FnOnce() -> Program) -> Next {
    match answer {
        Answer::Start => Next::Run(program()),
        Answer::Refuse(Refusal::Malformed) => Next::Malformed(program()),
        Answer::Pass | Answer::Refuse(_) => Next::More,
    }
}
