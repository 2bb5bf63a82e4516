//! One session channel, from its opening to its close: what comes before the program, whether the
//! program may run, and the program's bytes both ways.
//!
//! Both directions are recorded before they are forwarded. Neither waits for the other, and neither
//! for another channel.

use std::sync::Arc;

use policies::Deed;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use recorder::{AppendError, ChannelEvent};

use super::exit::{EXIT_NOT_STARTED, EXIT_REFUSED};
use super::intake::Intake;
use super::late::{self, Late, Unopened};
use super::opening::{Next, Opening};
use super::prelude::{Display, Program};
use super::tap::{Content, Tap};
use super::terminal::Terminal;
use crate::ssh::client::arrival::Visit;
use crate::ssh::files::warrant::{self, Asked, Follow};
use crate::ssh::forward::gate::Loan;
use crate::ssh::relay::Link;

/// A channel of a session, before and until its program runs.
pub struct Line {
    link: Arc<Link>,
    opening: Opening,
    tap: Arc<Tap>,
    /// What the target still has to open or to refuse, for nobody any more.
    late: Option<Late>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line")
            .field("opening", &self.opening)
            .finish_non_exhaustive()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.opening.tally.end();
    }
}

impl Line {
    /// A channel that was just opened.
    pub fn new(link: Arc<Link>, visit: Visit, number: u32) -> Self {
        let tap = Arc::new(Tap::new(link.scope.clone(), number));
        link.taps.add(Arc::clone(&tap));
        Self {
            link,
            opening: Opening::new(visit),
            tap,
            late: None,
        }
    }

    /// Carries the channel to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded; then nothing may go on in this session.
    pub async fn carry(mut self) -> Result<(), AppendError> {
        self.tap.event(ChannelEvent::Opened { kind: "session" })?;
        if let Some(program) = self.program().await? {
            self.link.voices.add(self.opening.voice()).await;
            self.run(program).await?;
        }
        // Not when it is dropped: a channel whose session is cut still has to hear why.
        self.link.voices.remove(self.opening.writer.id());
        self.tap.finish()?;
        self.link.taps.remove(&self.tap);
        let late = self.late.take();
        drop(self);
        if let Some(late) = late {
            late.close().await;
        }
        Ok(())
    }

    /// Listens until the program is known. None when there will be none.
    async fn program(&mut self) -> Result<Option<Program>, AppendError> {
        loop {
            let Some(message) = self.opening.read.wait().await else {
                return Ok(None);
            };
            match self.opening.hear(message) {
                Next::More => {}
                Next::Run(program) => return Ok(Some(program)),
                Next::Agent => self.lend_agent().await?,
                Next::Display(display) => self.lend_display(display).await?,
                Next::Malformed(program) => {
                    let words = SshSaying::Malformed.words();
                    self.refuse(&program, &words, EXIT_REFUSED).await?;
                    return Ok(None);
                }
                Next::Flooded => {
                    let words = super::pump::flooded(&self.tap)?;
                    self.opening.decline(&words, EXIT_REFUSED).await;
                    return Ok(None);
                }
                Next::Over => {
                    self.tap.event(ChannelEvent::Closed)?;
                    return Ok(None);
                }
            }
        }
    }

    /// Lends the agent to the target, if it may be.
    async fn lend_agent(&mut self) -> Result<(), AppendError> {
        self.link.scope.take_turn().await;
        if self.link.scope.may(&Deed::ForwardAgent).is_err() {
            return self.not_granted(policies::words::forward::AGENT).await;
        }
        let (wish, key) = ("lend", "");
        self.tap.event(ChannelEvent::Agent { wish, key })?;
        self.opening.prelude.agent = true;
        self.link.gate.lend_agent();
        Ok(())
    }

    /// Lends the display to the target, if it may be. What lets somebody draw there is not recorded.
    async fn lend_display(&mut self, display: Display) -> Result<(), AppendError> {
        self.link.scope.take_turn().await;
        if self.link.scope.may(&Deed::ForwardX11).is_err() {
            return self.not_granted(policies::words::forward::DISPLAY).await;
        }
        let (host, port) = ("x11", display.screen);
        self.tap.event(ChannelEvent::Listen { host, port })?;
        self.link.gate.lend_display(if display.single {
            Loan::Once
        } else {
            Loan::Always
        });
        self.opening.prelude.display = Some(display);
        Ok(())
    }

    /// Writes a refusal down, and says it where there is a terminal. Agents and displays are offered
    /// by many a configuration without anybody asking; without a terminal that is no news.
    async fn not_granted(&self, what: &str) -> Result<(), AppendError> {
        let words = SshSaying::NotInPermit { what }.words();
        let code = words.code;
        self.tap.event(ChannelEvent::Refused { code, what })?;
        if self.opening.stage.has_pty() {
            self.opening.voice().say(&words).await;
        }
        Ok(())
    }

    /// Writes down which program was refused, and says no.
    async fn refuse(
        &self,
        program: &Program,
        words: &Words,
        status: u32,
    ) -> Result<(), AppendError> {
        let (code, what) = (words.code, self.link.telling.of(program));
        self.tap
            .event(ChannelEvent::Refused { code, what: &what })?;
        self.opening.decline(words, status).await;
        Ok(())
    }

    /// Asks policy, starts the program at the target and moves its bytes.
    async fn run(&mut self, program: Program) -> Result<(), AppendError> {
        self.link.scope.take_turn().await;
        let asked = Asked::now(&self.link.scope);
        let follow = match self.admit(&program) {
            Ok(follow) => follow,
            Err(words) => return self.refuse(&program, &words, EXIT_REFUSED).await,
        };
        self.record_prelude(&program)?;
        let intake = Intake::begin(&mut self.opening.prelude);
        let draining = intake.drain(&mut self.opening.read, &mut self.opening.stage);
        let (channel, tally) =
            match late::open(&self.link, &mut self.late, (draining, &intake)).await {
                Ok(opened) => opened,
                Err(unopened) => return self.unopened(&program, unopened).await,
            };
        // A target has room when it likes: the rules may be others now, and so may be what is followed.
        let is_good = asked.is_good(Asked::now(&self.link.scope));
        let again = if is_good {
            Ok(follow)
        } else {
            self.admit(&program)
        };
        let (read, write) = channel.split();
        let write = Arc::new(write);
        let follow = match again {
            Ok(follow) => follow,
            Err(words) => {
                let refused = self.refuse(&program, &words, EXIT_REFUSED).await;
                late::close(&self.link, &mut self.late, write).await;
                return refused;
            }
        };
        self.tap.follow(follow, self.opening.tally.weight())?;
        self.announce().await;
        let far = super::pump::Far { read, write, tally };
        let (begun, kept) = ((&program, &intake), (&self.tap, &mut self.late));
        super::pump::run(&self.link, &mut self.opening, far, begun, kept).await
    }

    /// There is no channel at the target, or its client wants none any more.
    async fn unopened(&self, program: &Program, why: Unopened) -> Result<(), AppendError> {
        match why {
            // By our hand: the spine ends this relay then, and says why.
            Unopened::Refused if self.tap.is_cut() => std::future::pending().await,
            Unopened::Refused => {
                let words = self.link.unopened().words();
                self.refuse(program, &words, EXIT_NOT_STARTED).await
            }
            Unopened::Ended(ended) => {
                if let Some(words) = super::pump::cut_off(ended, &self.tap)? {
                    self.opening.decline(&words, EXIT_REFUSED).await;
                }
                self.tap.event(ChannelEvent::Closed)
            }
        }
    }

    /// Asks policy, as things stand now. Says what is followed of the program.
    fn admit(&self, program: &Program) -> Result<Follow, Words> {
        let has_terminal = self.opening.stage.has_pty();
        warrant::admit(&self.link.scope, program, has_terminal)
    }

    fn record_prelude(&self, program: &Program) -> Result<(), AppendError> {
        self.tap
            .begin(match (program, &self.opening.prelude.terminal) {
                (Program::Shell | Program::Exec(_), Some(_)) => Content::Terminal,
                (Program::Subsystem(_), _) | (_, None) => Content::Plain,
            });
        if let Some(terminal) = &self.opening.prelude.terminal {
            self.record_terminal(terminal)?;
        }
        for (name, value) in &self.opening.prelude.environment {
            self.tap.event(ChannelEvent::Environment { name, value })?;
        }
        self.tap.event(program.event())
    }

    fn record_terminal(&self, terminal: &Terminal) -> Result<(), AppendError> {
        self.tap.event(ChannelEvent::Pty {
            term: &terminal.term,
            columns: terminal.columns,
            rows: terminal.rows,
        })?;
        let (channel, unusual) = (self.tap.channel(), terminal.modes.unusual());
        if let Some(told) = terminal.told(channel, unusual.as_deref()) {
            self.tap.note(&told)?;
        }
        if terminal.modes.hide_input() {
            self.tap.note(&SshSaying::NoEcho { channel })?;
        }
        Ok(())
    }

    /// Tells a person with a terminal that they are recorded, and until when they may stay.
    async fn announce(&self) {
        if !self.opening.stage.has_pty() || self.link.announced() {
            return;
        }
        let terms = self.link.scope.terms();
        let now = self.link.scope.clock().now();
        let typed = terms.obligations.input;
        let text = policies::words::ssh::opening(terms.grant, (terms.until, now), typed);
        self.opening.voice().say_text(&text).await;
    }
}
