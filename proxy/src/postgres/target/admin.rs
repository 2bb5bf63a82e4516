//! A connection of our own to a database server, to look after the roles of grants there.
//!
//! Simple queries only, one after the other, each with a limit; answers are small and kept whole.
//! Does not know what is asked.

mod failure;
mod settings;

use std::io::ErrorKind;
use std::time::Duration;

use ca::PassKey;
use policies::{Login, PostgresEndpoint, PostgresHost};
use tokio::io::AsyncWriteExt;
use tokio::time;
use tokio_rustls::client::TlsStream;

use super::back::{self, LoginError};
use super::process::VISITING;
use super::rows::{Row, row, text};
use crate::postgres::tls::Trust;
use crate::postgres::wire::{message, put_text};
use crate::session::protocol::ConnectError;
use crate::session::road::{Branch, Road};
use settings::{from_the_start, settings};

pub(crate) use failure::{AdminError, is_absent};

/// How long the server may take to let us in, and to answer one query.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// How often it is tried to log in at one database: with what goes before what is set on it and on the role, without
/// that where it is refused, as a pooler does that does not know it, and with all that the version knows of it.
const WAYS_IN: u32 = 3;

/// How many rows an answer may have.
const ROWS_MAX: usize = 10_000;

/// A server that let us in.
#[derive(Debug)]
pub(crate) struct Admin {
    tls: TlsStream<Branch>,
    host: PostgresHost,
    version: u32,
    /// What each question begins with, where nothing can be set before.
    prelude: &'static str,
    /// Whether an answer is still due: the next question would be given that one.
    owed: bool,
}

/// Which of a target's servers is meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Server<'a> {
    /// The primary, whichever of the hosts that is.
    Primary(&'a PostgresEndpoint),
    /// This one.
    Host(&'a PostgresHost),
}

impl Server<'_> {
    /// Logs in there at one database.
    pub(in crate::postgres) async fn enter(
        self,
        database: &str,
        admin: &Login,
        with: (&PassKey, &dyn Road),
    ) -> Result<Admin, AdminError> {
        match self {
            Self::Primary(endpoint) => Admin::enter(endpoint, database, admin, with).await,
            Self::Host(host) => Admin::enter_at(host, database, admin, with).await,
        }
    }
}

impl Admin {
    /// Logs in at one database, at that host of the target which can be written to: roles are made
    /// there alone, and the others copy it.
    pub(crate) async fn enter(
        endpoint: &PostgresEndpoint,
        database: &str,
        admin: &Login,
        with: (&PassKey, &dyn Road),
    ) -> Result<Self, AdminError> {
        let hosts = endpoint.hosts();
        let (mut refused, mut standbys) = (None, 0_usize);
        for host in &hosts {
            let mut entered = match Self::enter_at(host, database, admin, with).await {
                Ok(entered) => entered,
                Err(silent) if hosts.len() > 1 && silent.may_be_elsewhere() => {
                    refused = Some(silent);
                    continue;
                }
                Err(refused) => return Err(refused),
            };
            // One name may lead to several servers, too, and what a standby lacks may be at the primary.
            if entered.is_primary().await? {
                return Ok(entered);
            }
            standbys = standbys.saturating_add(1);
            entered.leave().await;
        }
        match refused {
            // One that was reached is there, and may let us in elsewhere.
            Some(silent) if standbys == 0 || silent.is_of_one_database() => Err(silent),
            _ => Err(AdminError::NoPrimary { standbys }),
        }
    }

    /// Whether it takes changes, rather than copying those of another.
    pub(in crate::postgres) async fn is_primary(&mut self) -> Result<bool, AdminError> {
        let told = self.run("select pg_catalog.pg_is_in_recovery()").await?;
        Ok(told.first().is_some_and(|row| text(row, 0) == "f"))
    }

    /// Logs in at one database of one host.
    pub(crate) async fn enter_at(
        host: &PostgresHost,
        database: &str,
        admin: &Login,
        with: (&PassKey, &dyn Road),
    ) -> Result<Self, AdminError> {
        let (mut said, mut first) = (from_the_start(0), None);
        for _way in 0..WAYS_IN {
            let is_plain = said.is_empty();
            let (refused, version) = match Self::log_in(host, (database, admin), with, said).await {
                Ok(mut entered) => match entered.run(settings(entered.version)).await {
                    Ok(_set) => return Ok(entered),
                    Err(refused) => (refused, entered.version),
                },
                Err(refused)
                    if !is_plain && first.is_none() && refused.may_be_of_what_is_said() =>
                {
                    said = Vec::new();
                    continue;
                }
                Err(refused) => return Err(first.unwrap_or(refused)),
            };
            if matches!(refused, AdminError::Slow) {
                return Err(refused);
            }
            first.get_or_insert(refused);
            said = from_the_start(version);
        }
        Err(first.unwrap_or(AdminError::Nonsense))
    }

    /// The same behind a pooler, and leaves no setting behind: for what is somebody else's afterwards. What is set on
    /// the role or the database is overruled with each question.
    pub(crate) async fn visit_at(
        host: &PostgresHost,
        database: &str,
        admin: &Login,
        with: (&PassKey, &dyn Road),
    ) -> Result<Self, AdminError> {
        let entered = Self::log_in(host, (database, admin), with, Vec::new()).await?;
        let prelude = VISITING;
        Ok(Self { prelude, ..entered })
    }

    async fn log_in(
        host: &PostgresHost,
        (database, admin): (&str, &Login),
        (key, road): (&PassKey, &dyn Road),
        mut said: Vec<(String, String)>,
    ) -> Result<Self, AdminError> {
        let refuse = |source| AdminError::Connect {
            admin: admin.clone(),
            source,
        };
        said.push(("application_name".to_owned(), "tidegate".to_owned()));
        // A database can be slow to let us in; a network that swallows what is sent is not one's.
        let mut reached = false;
        let entering = async {
            let trust = Trust::new(&host.server, &host.addr.host, Some(key))
                .map_err(|odd| back::unready(&odd))?;
            let stream = road.go(&host.addr).await?;
            let mut tls = back::secure(stream, &trust).await?;
            reached = true;
            let greeting = back::login(&mut tls, (admin.as_str(), key), database, &said).await;
            let greeting = greeting.map_err(|refused| refused.error)?;
            Ok((tls, back::major_version(&greeting.before).unwrap_or(0)))
        };
        let entered = time::timeout(ANSWER_LIMIT, entering).await;
        let (tls, version) = match entered {
            Ok(entered) => entered.map_err(refuse)?,
            Err(_elapsed) if reached => return Err(AdminError::Slow),
            Err(_elapsed) => return Err(refuse(ConnectError::Io(ErrorKind::TimedOut.into()))),
        };
        Ok(Self {
            tls,
            host: host.clone(),
            version,
            prelude: "",
            owed: false,
        })
    }

    /// Where it is.
    pub(in crate::postgres) fn host(&self) -> &PostgresHost {
        &self.host
    }

    /// The server's major version; 0 where it does not say.
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// Runs a query and gives back the rows of all its statements. One that fails ends the query; the
    /// connection stays usable. After an answer that did not come whole it is not: what comes then answers
    /// the question before.
    pub(crate) async fn run(&mut self, sql: impl AsRef<[u8]>) -> Result<Vec<Row>, AdminError> {
        if self.owed {
            return Err(AdminError::Nonsense);
        }
        let mut query = Vec::new();
        let sql = [self.prelude.as_bytes(), sql.as_ref()].concat();
        message(&mut query, b'Q', |body| put_text(body, &sql));
        self.owed = true;
        let running = time::timeout(ANSWER_LIMIT, self.ask(&query)).await;
        running.map_err(|_elapsed| AdminError::Slow)?
    }

    async fn ask(&mut self, query: &[u8]) -> Result<Vec<Row>, AdminError> {
        let broken = |_gone| AdminError::Broken;
        self.tls.write_all(query).await.map_err(broken)?;
        self.tls.flush().await.map_err(broken)?;
        let (mut rows, mut failed, mut room) = (Vec::new(), None, back::ROOM);
        loop {
            let read = back::read_message(&mut self.tls, &mut room).await;
            let (kind, body) = read.map_err(|odd: LoginError| {
                if matches!(odd.error, ConnectError::Violation(_)) {
                    AdminError::Nonsense
                } else {
                    AdminError::Broken
                }
            })?;
            match kind {
                b'D' if rows.len() < ROWS_MAX => {
                    rows.push(row(&body).ok_or(AdminError::Nonsense)?);
                }
                b'D' => return Err(AdminError::Nonsense),
                b'E' => failed = Some(AdminError::said(&body)),
                b'Z' => {
                    self.owed = false;
                    return failed.map_or(Ok(rows), Err);
                }
                _other => {}
            }
        }
    }

    /// Says goodbye.
    pub(crate) async fn leave(mut self) {
        drop(time::timeout(ANSWER_LIMIT, back::leave(&mut self.tls)).await);
    }
}
