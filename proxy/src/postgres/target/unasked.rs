//! Whether a PostgreSQL server lets roles in without asking who comes (`trust` in its `pg_hba.conf`): whoever
//! reaches such a server gets past tidegate.
//!
//! Shows it no proof of ours, and closes as soon as it has answered: no statement is run.

use std::collections::BTreeSet;
use std::time::Duration;

use policies::words::postgres::TlsFault;
use policies::{Login, PostgresEndpoint, PostgresHost, Target};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time;

use super::{back, scram};
use crate::postgres::tls::Trust;
use crate::postgres::wire::{packet, sasl};
use crate::session::protocol::ConnectError;
use crate::session::road::Road;

/// How many roles are tried: a line that trusts mostly trusts all of them.
const ROLES_MAX: usize = 6;

/// How long all tries at a target may take. `target add` waits ten seconds for everything.
const LIMIT: Duration = Duration::from_secs(4);

/// How long one host may take to answer for one role.
const HOST_LIMIT: Duration = Duration::from_secs(2);

/// How much a server may say before it asks or lets in, in bytes.
const ROOM: usize = 64 * 1024;

/// As which roles of a target some host of it lets in whoever comes. What cannot be found out in time
/// is left out.
pub(crate) async fn roles(
    (target, endpoint): (&Target, &PostgresEndpoint),
    road: &dyn Road,
) -> BTreeSet<Login> {
    let accounts = endpoint.elevations.values().flat_map(|lent| lent.values());
    let roles = endpoint.admin.iter().chain(accounts).chain(&target.logins);
    let roles: Vec<&Login> = roles.take(ROLES_MAX).collect();
    let mut open = BTreeSet::new();
    let trying = async {
        for host in endpoint.hosts() {
            for role in &roles {
                let trying = lets_in(&host, (role, &endpoint.dbname), road);
                match time::timeout(HOST_LIMIT, trying).await {
                    Ok(Ok(true)) => drop(open.insert((*role).clone())),
                    Ok(Ok(false)) => {}
                    // It will not answer for the next one either.
                    Ok(Err(_refused)) => break,
                    Err(_elapsed) => break,
                }
            }
        }
    };
    // What was found before the time was over is found.
    let _elapsed = time::timeout(LIMIT, trying).await;
    open
}

/// Whether a host lets this role in without a proof: over TLS, and in clear, where lines that begin with
/// `hostssl` do not hold and the next one may.
async fn lets_in(
    host: &PostgresHost,
    at: (&Login, &str),
    road: &dyn Road,
) -> Result<bool, ConnectError> {
    let trust =
        Trust::new(&host.server, &host.addr.host, None).map_err(|odd| back::unready(&odd))?;
    let stream = road.go(&host.addr).await?;
    match back::secure(stream, &trust).await {
        Ok(mut tls) => {
            if is_open(&mut tls, at).await {
                return Ok(true);
            }
        }
        // Some servers end the handshake where no certificate is shown.
        Err(refused) if may_be_it(&refused) => {}
        // Who does not prove to be it hears nothing in clear either.
        Err(refused) => return Err(refused),
    }
    let mut clear = road.go(&host.addr).await?;
    Ok(is_open(&mut clear, at).await)
}

/// Whether this is what a server may do that would prove itself to whoever shows it a certificate.
fn may_be_it(refused: &ConnectError) -> bool {
    matches!(
        refused,
        ConnectError::Io(_) | ConnectError::Refused(_) | ConnectError::Handshake(TlsFault::Alert)
    )
}

/// Whether the first thing that a server says to a role is that it is in.
async fn is_open<I>(io: &mut I, (role, database): (&Login, &str)) -> bool
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut startup = Vec::new();
    packet(&mut startup, |body| {
        back::put_startup(body, role.as_str(), database, &[]);
    });
    if io.write_all(&startup).await.is_err() || io.flush().await.is_err() {
        return false;
    }
    let mut room = ROOM;
    let answer = loop {
        match back::read_message(io, &mut room).await {
            Ok((b'N', _notice)) => {}
            Ok(answer) => break answer,
            Err(_refused) => return false,
        }
    };
    let open = matches!(answer, (b'R', body) if matches!(scram::asked(&body), Ok((sasl::OK, _))));
    if open {
        back::leave(io).await;
    } else {
        // A goodbye would be taken for a proof, and logged as a bad one.
        let _closed_either_way = io.shutdown().await;
    }
    open
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, duplex};

    use super::*;
    use crate::postgres::wire::message;

    /// What is made of a server that says this, and what it is told behind the startup packet.
    async fn check(said: &[(u8, &[u8])], open: bool, behind: &[u8]) {
        let (mut ours, mut theirs) = duplex(64 * 1024);
        let mut answer = Vec::new();
        for (kind, body) in said {
            message(&mut answer, *kind, |out| out.extend_from_slice(body));
        }
        theirs.write_all(&answer).await.unwrap();
        let login = Login::parse("app").unwrap();
        assert_eq!(is_open(&mut ours, (&login, "orders")).await, open);
        drop(ours);
        let mut told = Vec::new();
        theirs.read_to_end(&mut told).await.unwrap();
        let startup = usize::try_from(u32::from_be_bytes(told[..4].try_into().unwrap())).unwrap();
        assert_eq!(&told[startup..], behind);
    }

    #[tokio::test]
    async fn a_server_is_open_that_asks_for_nothing() {
        let goodbye = [b'X', 0, 0, 0, 4];
        let ok = (b'R', [0; 4].as_slice());
        check(&[ok], true, &goodbye).await;
        check(&[(b'N', b"SNOTICE\0\0"), ok], true, &goodbye).await;
        // A password in clear, one as MD5, SCRAM, and a refusal.
        check(&[(b'R', &[0, 0, 0, 3])], false, &[]).await;
        check(&[(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]), ok], false, &[]).await;
        check(&[(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0")], false, &[]).await;
        check(&[(b'E', b"SFATAL\0C28000\0Mno\0\0")], false, &[]).await;
        check(&[(b'R', &[0, 0])], false, &[]).await;
    }

    #[test]
    fn who_did_not_prove_itself_hears_nothing_in_clear() {
        let violation = |what: &str| ConnectError::Violation(what.to_owned());
        let io = std::io::ErrorKind::UnexpectedEof;
        for (met, may) in [
            (ConnectError::Io(io.into()), true),
            (
                ConnectError::Refused("TLS alert UnknownCA".to_owned()),
                true,
            ),
            (ConnectError::Handshake(TlsFault::Alert), true),
            (ConnectError::Handshake(TlsFault::Misbehaved), false),
            (ConnectError::Handshake(TlsFault::Oversized), false),
            (ConnectError::Handshake(TlsFault::Version), false),
            (ConnectError::Handshake(TlsFault::Unreadable), false),
            (ConnectError::Impostor("another".to_owned()), false),
            (violation("it does not offer TLS"), false),
        ] {
            assert_eq!(may_be_it(&met), may, "{met:?}");
        }
    }
}
