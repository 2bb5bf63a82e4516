//! Has a target run the one command that a certificate is made for, and reads what it answers.

use std::time::Duration;

use ca::PassKey;
use jiff::Timestamp;
use policies::words::entrance;
use policies::{Login, SshEndpoint};
use russh::ChannelMsg;
use tokio::time;

use super::back::Back;
use super::fate::broken;
use crate::session::protocol::ConnectError;
use crate::session::severable::Severable;

/// How much is read of an answer. What comes beyond that is an error.
const ANSWER_MAX: usize = 16 * 1024;

/// How long it may take until the target has let us in.
const ENTRY_LIMIT: Duration = Duration::from_secs(10);

/// What a command answered.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What it wrote.
    pub(crate) out: String,
    /// What it wrote beside that, in one line.
    pub(crate) err: String,
    /// Its exit status; none where it was ended by a signal, or the target went away.
    pub(crate) status: Option<u32>,
}

/// Logs in and has the command run. Sets no limit on how long that runs: the caller does.
///
/// # Errors
///
/// When it is not the target we know, does not let us in, breaks off or answers without end.
pub(crate) async fn run(
    io: Severable,
    (endpoint, login): (&SshEndpoint, &Login),
    (key, command): (&PassKey, &str),
    now: Timestamp,
) -> Result<Answer, ConnectError> {
    let flow = std::sync::Arc::default();
    let entering = Back::enter(io, (endpoint, login), key, (&flow, now));
    let Ok(back) = time::timeout(ENTRY_LIMIT, entering).await else {
        return Err(ConnectError::Io(std::io::ErrorKind::TimedOut.into()));
    };
    let back = back?;
    let (mut channel, tally) = back.open().await.map_err(broken)?;
    channel.exec(true, command).await.map_err(broken)?;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut status = None;
    while let Some(message) = channel.wait().await {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "the rest is none of an answer"
        )]
        match message {
            ChannelMsg::Data { data } => {
                tally.goes(data.len());
                out.extend_from_slice(&data);
            }
            ChannelMsg::ExtendedData { data, .. } => {
                tally.goes(data.len());
                err.extend_from_slice(&data);
            }
            ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
            _ => {}
        }
        if out.len().saturating_add(err.len()) > ANSWER_MAX {
            let endless = entrance::ENDLESS.to_owned();
            return Err(ConnectError::Violation(endless));
        }
    }
    back.leave().await;
    Ok(Answer {
        out: String::from_utf8_lossy(&out).into_owned(),
        err: one_line(&String::from_utf8_lossy(&err)),
        status,
    })
}

/// The lines of a text as one, without what a terminal would take for an order.
fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let joined = lines.collect::<Vec<_>>().join("; ");
    joined
        .chars()
        .filter(|c| !c.is_control())
        .take(500)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_is_one_harmless_line() {
        assert_eq!(one_line("a: b\r\n\n  c\u{1b}[2J\n"), "a: b; c[2J");
        assert_eq!(one_line(&"x".repeat(900)).len(), 500);
    }
}
