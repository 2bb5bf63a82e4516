//! Logs in at that host of a target which its sessions are for, as libpq finds it
//! (`target_session_attrs`; `CONNECTION_CHECK_TARGET` of `src/interfaces/libpq/fe-connect.c`).
//!
//! Each host proves itself by its own pin. One that does not answer, or has no room for anybody yet, is
//! passed over; one that is not who we know, or refuses us, ends the search: it is a fault to be seen,
//! not to be worked around.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ca::PassKey;
use control::ledger::chain::hex;
use policies::words::entrance;
use policies::{HostPort, Login, PostgresEndpoint, PostgresHost, SessionAttrs};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time;
use tokio_rustls::client::TlsStream;
use tracing::info;

use super::admin::is_absent;
use super::back::{self, Greeting, LoginError};
use super::process::{self, AT_ONCE, Place};
use super::rows::{row, text};
use crate::postgres::tls::Trust;
use crate::postgres::tls::read_ahead::ReadAhead;
use crate::postgres::wire::{message, put_text};
use crate::session::LOGIN_LIMIT;
use crate::session::dial::dial_one_of;
use crate::session::protocol::ConnectError;
use crate::session::severable::{Severable, Successor};
use crate::session::way::Dialled;

/// How often is looked whether the role of a grant, made at the primary, has come to a standby: five
/// seconds long.
const REPLAY_LOOKS: u32 = 25;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a host that is not wanted may take to be left.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// `invalid_authorization_specification`: among others, there is no such role.
const NOBODY: &str = "28000";

/// Whether transactions of a session begin by only reading: a session's own setting, and how a server is
/// told that takes no changes.
const READ_ONLY: &str = "default_transaction_read_only";

/// A host that let us in.
pub(crate) struct Entered {
    pub(crate) tls: TlsStream<ReadAhead>,
    pub(crate) greeting: Greeting,
    /// Which it is.
    pub(crate) host: PostgresHost,
    /// Where it does the session's work.
    pub(crate) place: Place,
    /// Its address, unless other targets stand in front of it.
    pub(crate) peer: Option<SocketAddr>,
}

/// Whom to log in as, with what, and what to say.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) account: &'a Login,
    pub(crate) key: &'a PassKey,
    pub(crate) dbname: &'a str,
    pub(crate) parameters: &'a [(String, String)],
}

/// Goes through the hosts, beginning with the one that is connected already.
pub(crate) async fn enter(
    endpoint: &PostgresEndpoint,
    dialled: Dialled,
    caller: Caller<'_>,
) -> Result<Entered, LoginError> {
    let hosts = endpoint.hosts();
    let search = Search {
        several: hosts.len(),
        own_role: endpoint.admin.is_some(),
        behind: endpoint.jump.is_some(),
        successor: dialled.io.successor(),
        caller,
    };
    let mut connected = Some((dialled.host, dialled.io));
    let mut found = Found::default();
    for wanted in endpoint.wanted().rounds() {
        for (number, host) in hosts.iter().enumerate() {
            // Those before the one that is connected did not answer a moment ago.
            if connected.as_ref().is_some_and(|(at, _)| *at > number) {
                continue;
            }
            let io = connected.take().map(|(_, io)| io);
            match search.at(host, io, *wanted).await {
                Ok(Some(entered)) => return Ok(entered),
                Ok(None) => found.unsuited(host, *wanted),
                Err(refused) if search.passes_over(&refused) => found.silent(host, refused),
                Err(refused) => return Err(refused),
            }
        }
    }
    Err(found.error(endpoint.wanted()))
}

/// What came of the hosts that were tried.
#[derive(Default)]
struct Found {
    unsuited: Vec<HostPort>,
    silent: Option<LoginError>,
}

impl Found {
    fn unsuited(&mut self, host: &PostgresHost, wanted: SessionAttrs) {
        info!(host = %host.addr, %wanted, "target.unsuited");
        self.unsuited.push(host.addr.clone());
    }

    fn silent(&mut self, host: &PostgresHost, refused: LoginError) {
        info!(host = %host.addr, reason = %refused.error, "target.passed_over");
        self.silent = Some(refused);
    }

    fn error(self, wanted: SessionAttrs) -> LoginError {
        match (self.unsuited.as_slice(), self.silent) {
            ([], Some(refused)) => refused,
            (unsuited, _) => {
                let tried: Vec<String> = unsuited.iter().map(ToString::to_string).collect();
                let tried = tried.join(", ");
                ConnectError::Unsuited { wanted, tried }.into()
            }
        }
    }
}

struct Search<'a> {
    several: usize,
    own_role: bool,
    /// Whether another target stands in front of it.
    behind: bool,
    successor: Successor,
    caller: Caller<'a>,
}

impl Search<'_> {
    /// Whether another host may do instead.
    fn passes_over(&self, refused: &LoginError) -> bool {
        let passing = is_absent(&refused.error) || (self.own_role && is_nobody(refused));
        self.several > 1 && passing
    }

    /// Logs in at one host. Nothing where it is not what is wanted.
    async fn at(
        &self,
        host: &PostgresHost,
        io: Option<Severable>,
        wanted: SessionAttrs,
    ) -> Result<Option<Entered>, LoginError> {
        let mut io = io;
        let mut looks = if self.several > 1 && self.own_role {
            REPLAY_LOOKS
        } else {
            0
        };
        loop {
            let carrier = match io.take() {
                Some(io) => io,
                None => self.dialled(&host.addr).await?,
            };
            match self.once(host, carrier, wanted).await {
                // The role of a grant comes to a standby a moment after it was made.
                Err(refused) if looks > 0 && is_nobody(&refused) => {
                    looks = looks.saturating_sub(1);
                    time::sleep(PAUSE).await;
                }
                done => return done,
            }
        }
    }

    async fn dialled(&self, addr: &HostPort) -> Result<Severable, LoginError> {
        if self.behind {
            // Nobody dials past what stands in front of it.
            return Err(ConnectError::Io(io::ErrorKind::HostUnreachable.into()).into());
        }
        let dialled = dial_one_of(self.several, addr).await;
        let stream = dialled.map_err(ConnectError::from)?;
        Ok(self.successor.wrap(stream).map_err(ConnectError::Io)?)
    }

    async fn once(
        &self,
        host: &PostgresHost,
        io: Severable,
        wanted: SessionAttrs,
    ) -> Result<Option<Entered>, LoginError> {
        let Caller {
            account,
            key,
            dbname,
            parameters,
        } = self.caller;
        let trust = Trust::new(&host.server, &host.addr.host, Some(key));
        let trust = trust.map_err(|odd| back::unready(&odd))?;
        let peer = io.peer();
        let entering = async {
            let mut tls = back::secure(ReadAhead::new(io), &trust).await?;
            let (said, later) = apart(parameters, wanted);
            let greeting = back::login(&mut tls, (account.as_str(), key), dbname, &said).await;
            let mut greeting = greeting?;
            if !suits(&mut tls, &greeting, wanted).await? {
                leave(tls).await;
                return Ok(None);
            }
            if let Some(value) = later {
                set_read_only(&mut tls, &mut greeting, &value).await?;
            }
            let place = process::sit(&mut tls, &greeting).await?;
            let host = host.clone();
            Ok(Some(Entered {
                tls,
                greeting,
                host,
                place,
                peer,
            }))
        };
        let entered = time::timeout(LOGIN_LIMIT, entering).await;
        entered
            .unwrap_or_else(|_elapsed| Err(ConnectError::Io(io::ErrorKind::TimedOut.into()).into()))
    }
}

/// What is said as we log in, and what is set once the server is found to be the one that is wanted. By
/// `default_transaction_read_only` a server is told from others: a client that brought its own along
/// would choose which one it gets, and could set it otherwise afterwards.
fn apart(
    parameters: &[(String, String)],
    wanted: SessionAttrs,
) -> (Vec<(String, String)>, Option<String>) {
    let (mut said, mut later) = (parameters.to_vec(), None);
    if matches!(wanted, SessionAttrs::ReadWrite | SessionAttrs::ReadOnly) {
        said.retain(|(name, value)| {
            let stays = !name.eq_ignore_ascii_case(READ_ONLY);
            if !stays {
                later = Some(value.clone());
            }
            stays
        });
    }
    (said, later)
}

/// Sets what was not said at the login. The server judges the value, which is read as no SQL; what it
/// reports of it goes to the client with the rest.
async fn set_read_only<I>(
    tls: &mut TlsStream<I>,
    greeting: &mut Greeting,
    value: &str,
) -> Result<(), LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let sql = format!(
        "{AT_ONCE} select pg_catalog.set_config('{READ_ONLY}', \
         pg_catalog.convert_from(pg_catalog.decode('{}', 'hex'), 'UTF8'), false)",
        hex(value.as_bytes())
    );
    let asked = back::ask(tls, &sql, |kind, body| {
        if kind == b'E' {
            return Err(back::refused(body));
        }
        if kind == b'S' {
            message(&mut greeting.before, b'S', |out| {
                out.extend_from_slice(body);
            });
        }
        Ok(())
    });
    asked.await
}

fn is_nobody(refused: &LoginError) -> bool {
    matches!(&refused.error, ConnectError::Refused(said) if said.starts_with(NOBODY))
}

/// Whether a server that let us in is such a one. From PostgreSQL 14 on it has said so by itself; else it
/// is asked.
pub(crate) async fn suits<I>(
    tls: &mut TlsStream<I>,
    greeting: &Greeting,
    wanted: SessionAttrs,
) -> Result<bool, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let told = |name: &[u8]| back::parameter(&greeting.before, name).map(|value| value == b"on");
    let standby = told(b"in_hot_standby");
    match wanted {
        SessionAttrs::Any => Ok(true),
        SessionAttrs::Primary => Ok(!recovers(tls, standby).await?),
        SessionAttrs::Standby | SessionAttrs::PreferStandby => recovers(tls, standby).await,
        SessionAttrs::ReadWrite | SessionAttrs::ReadOnly => {
            let read_only = match (told(READ_ONLY.as_bytes()), standby) {
                (Some(by_default), Some(standby)) => by_default || standby,
                _untold => value(tls, "show transaction_read_only").await? == "on",
            };
            Ok(read_only == (wanted == SessionAttrs::ReadOnly))
        }
    }
}

async fn recovers<I>(tls: &mut TlsStream<I>, told: Option<bool>) -> Result<bool, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    match told {
        Some(standby) => Ok(standby),
        None => Ok(value(tls, "select pg_catalog.pg_is_in_recovery()").await? == "t"),
    }
}

/// Asks for one value.
async fn value<I>(tls: &mut TlsStream<I>, sql: &str) -> Result<String, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let (mut query, sql) = (Vec::new(), format!("{AT_ONCE} {sql}"));
    message(&mut query, b'Q', |body| put_text(body, sql.as_bytes()));
    tls.write_all(&query).await.map_err(ConnectError::Io)?;
    tls.flush().await.map_err(ConnectError::Io)?;
    let (mut found, mut room) = (None, back::ROOM);
    loop {
        match back::read_message(tls, &mut room).await? {
            (b'D', body) => found = row(&body).map(|row| text(&row, 0)),
            (b'Z', _idle) => {
                let odd = || ConnectError::Violation(entrance::UNTOLD.to_owned());
                return Ok(found.ok_or_else(odd)?);
            }
            (b'T' | b'C' | b'E' | b'N' | b'S', _body) => {}
            _other => {
                let odd = entrance::NO_ANSWER.to_owned();
                return Err(ConnectError::Violation(odd).into());
            }
        }
    }
}

/// Says goodbye. Whether it is heard makes no difference.
async fn leave(mut tls: TlsStream<ReadAhead>) {
    drop(time::timeout(LEAVE_LIMIT, back::leave(&mut tls)).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_does_not_say_what_its_server_is_told_by() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let asked = [
            pair("application_name", "psql"),
            pair("Default_Transaction_Read_Only", "on"),
        ];
        for wanted in [SessionAttrs::ReadOnly, SessionAttrs::ReadWrite] {
            let (said, later) = apart(&asked, wanted);
            assert_eq!(said, asked[..1]);
            assert_eq!(later.as_deref(), Some("on"));
            assert_eq!(apart(&asked[..1], wanted).1, None);
        }
        for wanted in [SessionAttrs::Any, SessionAttrs::Standby] {
            assert_eq!(apart(&asked, wanted), (asked.to_vec(), None));
        }
    }
}
