//! What a client says before its program runs: a terminal, variables, and which program it is to be.

use std::collections::VecDeque;

use bytes::Bytes;
use policies::Deed;
use recorder::ChannelEvent;
use russh::{ChannelMsg, ChannelWriteHalf, client};

use super::terminal::Terminal;

/// A display as the client offered it (RFC 4254, section 6.3.1).
#[derive(Clone)]
pub struct Display {
    /// Whether one connection is all that it is for.
    pub(super) single: bool,
    pub(super) protocol: String,
    /// What lets somebody draw there. OpenSSH's clients make one up for each session.
    pub(super) cookie: String,
    pub(super) screen: u32,
}

impl Display {
    /// What is offered by this message, if a display is.
    pub(super) fn offered(message: ChannelMsg) -> Option<Self> {
        let ChannelMsg::RequestX11 {
            single_connection,
            x11_authentication_protocol,
            x11_authentication_cookie,
            x11_screen_number,
            ..
        } = message
        else {
            return None;
        };
        Some(Self {
            single: single_connection,
            protocol: x11_authentication_protocol,
            cookie: x11_authentication_cookie,
            screen: x11_screen_number,
        })
    }
}

impl std::fmt::Debug for Display {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Display")
            .field("protocol", &self.protocol)
            .field("screen", &self.screen)
            .finish_non_exhaustive()
    }
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A shell.
    Shell,
    /// A command, as sent.
    Exec(Vec<u8>),
    /// A subsystem.
    Subsystem(String),
}

impl Program {
    /// The command, as policy looks at it.
    pub(in crate::ssh) fn command(&self) -> Option<String> {
        match self {
            Self::Exec(command) => Some(String::from_utf8_lossy(command).into_owned()),
            Self::Shell | Self::Subsystem(_) => None,
        }
    }

    /// As policy looks at it.
    pub fn deed(&self) -> Deed {
        match self {
            Self::Shell => Deed::Shell,
            Self::Exec(command) => Deed::Exec {
                command: String::from_utf8_lossy(command).into_owned(),
            },
            Self::Subsystem(name) => Deed::Subsystem { name: name.clone() },
        }
    }

    /// As the recording writes it.
    pub fn event(&self) -> ChannelEvent<'_> {
        match self {
            Self::Shell => ChannelEvent::Shell,
            Self::Exec(command) => ChannelEvent::Exec { command },
            Self::Subsystem(name) => ChannelEvent::Subsystem { name },
        }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec(_) => "exec",
            Self::Subsystem(_) => "subsystem",
        }
    }
}

/// What a client says before its program runs.
#[derive(Debug, Default)]
pub struct Prelude {
    pub(super) terminal: Option<Terminal>,
    /// Whether the agent is lent.
    pub(super) agent: bool,
    /// The display, where it is lent.
    pub(super) display: Option<Display>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) early: Vec<Bytes>,
    pub(super) early_eof: bool,
}

impl Prelude {
    /// Asks the target for what the client asked for. Returns the answers that will come, in order.
    pub(super) async fn repeat(
        &self,
        write: &ChannelWriteHalf<client::Msg>,
        program: &Program,
    ) -> Result<VecDeque<Asked>, russh::Error> {
        let mut expected = VecDeque::new();
        if self.agent {
            write.agent_forward(false).await?;
        }
        if let Some(Display {
            single,
            protocol,
            cookie,
            screen,
        }) = &self.display
        {
            write
                .request_x11(true, *single, protocol, cookie, *screen)
                .await?;
            expected.push_back(Asked::Display);
        }
        if let Some(Terminal {
            term,
            columns,
            rows,
            cell,
            modes,
        }) = &self.terminal
        {
            let (width, height) = cell.pixels((*columns, *rows));
            write
                .request_pty(true, term, *columns, *rows, width, height, &modes.all())
                .await?;
            expected.push_back(Asked::Terminal);
        }
        for (name, value) in &self.environment {
            write.set_env(false, name.as_str(), value.as_str()).await?;
        }
        match program {
            Program::Shell => write.request_shell(true).await?,
            Program::Exec(command) => write.exec(true, command.as_slice()).await?,
            Program::Subsystem(name) => write.request_subsystem(true, name.as_str()).await?,
        }
        expected.push_back(Asked::Program);
        Ok(expected)
    }
}

/// What the target has yet to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Display,
    Terminal,
    Program,
}
