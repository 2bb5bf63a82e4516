//! Which process of the server does a session's work, and that it looks whether we are still there.
//!
//! The process id in a cancel key is the server's own, unless a pooler stands in front of it: pgbouncer
//! makes keys of its own up. So the server is asked. Where a pooler gives a process to one session until
//! that ends (pgbouncer's `pool_mode = session`), the process is known by its number and by when it
//! began; where several sessions share one, nobody may end it.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;
use tracing::warn;

use super::back::{self, Greeting, LoginError};
use super::rows::{Row, row, text};

/// How often a server looks whether we are still there while a statement runs. Nobody else has this
/// value: a process that has it already has been somebody's of ours, and was not reset since.
const LOOKS_EACH: &str = "2001ms";

/// The first major version that can look (`client_connection_check_interval`).
const LOOKS_FROM: u32 = 14;

/// Where a session's work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seat {
    /// In the process that the cancel key names.
    Own,
    /// In this process, which a pooler has lent to the session alone.
    Lent {
        /// Its id.
        pid: i32,
        /// When it began, in microseconds since 1970, as the server writes it.
        began: i64,
    },
    /// In one that others may be using too, or that cannot be told.
    Shared,
}

/// When the server was started, to the microsecond: no two servers have the same, and it is what it was for
/// as long as its processes live. Written so that no setting and no operator of a role's own changes it.
pub(crate) const STARTED: &str = "pg_catalog.to_char(pg_catalog.timezone('UTC', \
                                  pg_catalog.pg_postmaster_start_time()), 'YYYYMMDDHH24MISSUS')";

/// A process and its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which process does the session's work.
    pub(crate) seat: Seat,
    /// [`STARTED`] of its server, where that told.
    pub(crate) started: Option<String>,
}

/// Asks the server which process it is, and has it look whether we are still there while a statement
/// runs: should tidegate be killed, a statement that nobody waits for any more ends within about two
/// seconds, not when it has run to its end. A server that cannot look is left as it is.
pub(crate) async fn sit<I>(tls: &mut TlsStream<I>, greeting: &Greeting) -> Result<Place, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let looks = back::major_version(&greeting.before).is_some_and(|major| major >= LOOKS_FROM);
    let question = if looks {
        format!(
            "{AT_ONCE} select pg_catalog.pg_backend_pid(), {STARTED}, \
             pg_catalog.current_setting('client_connection_check_interval'); \
             set client_connection_check_interval = '{LOOKS_EACH}'"
        )
    } else {
        format!("{AT_ONCE} select pg_catalog.pg_backend_pid(), {STARTED}")
    };
    // Some systems cannot tell a server when a socket closes; then it says no to the second part.
    let told = ask(tls, &question).await?;
    let (Some(key), Some(told)) = (&greeting.key, told.first()) else {
        let (seat, started) = (Seat::Own, None);
        return Ok(Place { seat, started });
    };
    let started = Some(text(told, 1)).filter(|started| is_start(started));
    let (seat, started) = match text(told, 0).parse() {
        Ok(pid) if pid != key.pid => (lent(tls, pid, &text(told, 2)).await?, started),
        Ok(_same) => (Seat::Own, started),
        Err(_no_number) => (Seat::Own, None),
    };
    Ok(Place { seat, started })
}

/// Whether this is what [`STARTED`] asks for: twenty digits. It is kept for as long as the session and what stops its
/// work last, and a server that lies may say megabytes.
fn is_start(said: &str) -> bool {
    said.len() == 20 && said.bytes().all(|byte| byte.is_ascii_digit())
}

/// Which of the two it is, where a pooler stands in front.
async fn lent<I>(tls: &mut TlsStream<I>, pid: i32, looked: &str) -> Result<Seat, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let question = format!(
        "{VISITING} select {BEGAN}, \
         (select s.reset_val from pg_catalog.pg_settings s where s.name = 'client_connection_check_interval') \
         from pg_catalog.pg_stat_activity a where a.pid = pg_catalog.pg_backend_pid()"
    );
    let told = ask(tls, &question).await?;
    let Some(told) = told.first() else {
        return Ok(Seat::Shared);
    };
    // What everybody has who comes in as this role tells nothing of who was here before.
    let usual = format!("{}ms", text(told, 1));
    if looked == LOOKS_EACH && usual != LOOKS_EACH {
        warn!("target.shares_processes");
        return Ok(Seat::Shared);
    }
    let began = text(told, 0).parse();
    Ok(began.map_or(Seat::Shared, |began| Seat::Lent { pid, began }))
}

/// When a process began, as [`Seat::Lent`] has it.
pub(crate) const BEGAN: &str = "(extract(epoch from a.backend_start) * 1000000)::pg_catalog.int8";

/// Has the rest of the same query wait for nobody: a client may begin with transactions that are serializable, read only
/// and deferrable, and such a one waits as long as others write (`GetSafeSnapshot`,
/// `src/backend/storage/lmgr/predicate.c`).
pub(crate) const AT_ONCE: &str = "set local transaction_isolation = 'read committed';";

/// Waits for nobody, says what the names in the rest of the same query mean, whatever the role's settings are, and
/// nothing beyond it: what stands behind a pooler is somebody else's afterwards.
pub(super) const VISITING: &str = "set local transaction_isolation = 'read committed'; \
                                   set local client_min_messages = error; set local role none; \
                                   set local search_path = pg_catalog, pg_temp; \
                                   set local standard_conforming_strings = on; \
                                   set local statement_timeout = '12s'; ";

/// Asks one question; rows of an answer that was cut short by an error count.
async fn ask<I>(tls: &mut TlsStream<I>, sql: &str) -> Result<Vec<Row>, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut rows = Vec::new();
    let asked = back::ask(tls, sql, |kind, body| {
        if kind == b'D' && rows.is_empty() {
            rows.extend(row(body));
        }
        Ok(())
    });
    asked.await?;
    Ok(rows)
}
