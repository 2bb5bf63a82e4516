//! Thousands of sessions that are open at once, in one process.

use std::net::SocketAddr;
use std::time::Duration;

use russh::client::Msg;
use russh::{Channel, ChannelMsg};
use tokio::task::JoinSet;

use crate::ssh::{Identity, SshClient};

/// How many sessions are opened at once.
const AT_ONCE: usize = 16;

/// How often a session is tried again: where many open at once, the door drops some by chance.
const PATIENCE: usize = 5;

/// Opens so many sessions, a few at a time, and gives back those that are open.
#[expect(clippy::print_stderr, reason = "whoever measures wants to know why")]
pub async fn open_all(
    identity: &Identity,
    addr: SocketAddr,
    user: &str,
    count: usize,
) -> Vec<(SshClient, Channel<Msg>)> {
    let mut opening = JoinSet::new();
    for number in 0..AT_ONCE.min(count) {
        let (identity, user) = (identity.clone(), user.to_owned());
        opening.spawn(async move {
            let mut open = Vec::new();
            for _ in (number..count).step_by(AT_ONCE) {
                let mut opened = open_one(&identity, addr, &user).await;
                for _ in 0..PATIENCE {
                    if opened.is_ok() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    opened = open_one(&identity, addr, &user).await;
                }
                match opened {
                    Ok(one) => open.push(one),
                    Err(refused) => {
                        eprintln!("a session stayed shut: {refused}");
                        break;
                    }
                }
            }
            open
        });
    }
    opening.join_all().await.into_iter().flatten().collect()
}

/// How many sessions can be open where a process may have so many files: each has two sockets in the
/// server, which holds each by two descriptors, and its recording two files.
pub fn crowd_max(files: u64) -> usize {
    usize::try_from(files.saturating_sub(400) / 6).unwrap_or(usize::MAX)
}

/// Opens one session with a program in it that has begun, or says why there is none.
async fn open_one(
    identity: &Identity,
    addr: SocketAddr,
    user: &str,
) -> Result<(SshClient, Channel<Msg>), String> {
    let login = identity.login(addr, user).await;
    let (handle, let_in) = login.map_err(|refused| refused.to_string())?;
    if !let_in {
        return Err("not let in".to_owned());
    }
    let opened = handle.channel_open_session().await;
    let mut channel = opened.map_err(|refused| refused.to_string())?;
    let begun = channel.exec(true, "sleep").await;
    begun.map_err(|refused| refused.to_string())?;
    let mut told = String::new();
    while let Some(message) = channel.wait().await {
        if matches!(message, ChannelMsg::Data { .. }) {
            return Ok((handle, channel));
        }
        if let ChannelMsg::ExtendedData { data, .. } = message {
            told += &String::from_utf8_lossy(&data);
        }
    }
    Err(told)
}
