//! A connection of our own to a database server, to look after the roles of grants there.
//!
//! Simple queries only, one after the other, each with a limit; answers are small and kept whole.
//! Does not know what is asked.

use std::io::ErrorKind;
use std::time::Duration;

use ca::PassKey;
use policies::words::elevation::Unfit;
use policies::{Login, PostgresEndpoint, PostgresHost};
use tokio::io::AsyncWriteExt;
use tokio::time;
use tokio_rustls::client::TlsStream;

use super::back::{self, LoginError};
use crate::postgres::tls::Trust;
use crate::postgres::wire::{self, Fields, message, put_text};
use crate::session::protocol::ConnectError;
use crate::session::road::{Branch, Road};

/// How long the server may take to let us in, and to answer one query.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// How often it is tried to log in at one database: as anybody does, with what goes before what is set on it,
/// and with all that the version knows of that.
const WAYS_IN: u32 = 3;

/// How many rows an answer may have.
const ROWS_MAX: usize = 10_000;

/// How long the server lets us wait for what others hold, so that it is an error there before it is
/// one here; that nothing which somebody has put into a schema of theirs is called by us; and that what
/// an owner of the database has set on it does not steer us, put us out, drown what we ask for in notices (parse trees of
/// all that we say, where they want that), or change how times are written and
/// read: `DateStyle` and `TimeZone` make of one moment another (PostgreSQL, "Date/Time Input").
const SETTINGS: &str = "set statement_timeout = '12s'; set lock_timeout = '5s'; \
                        set idle_in_transaction_session_timeout = 0; \
                        set role none; set default_transaction_read_only = off; \
                        set default_transaction_isolation = 'read committed'; \
                        set standard_conforming_strings = on; set search_path = pg_catalog, pg_temp; \
                        set datestyle = 'ISO'; set timezone = 'UTC'; \
                        select pg_catalog.set_config('client_encoding', \
                        pg_catalog.current_setting('server_encoding'), false)";

/// What ends a connection that does nothing, or a transaction that does something, and since which major
/// version there is such a setting.
const LIMITS_SINCE: [(u32, &str); 2] = [(14, "idle_session_timeout"), (17, "transaction_timeout")];

/// What there are of those in a version.
fn limits(version: u32) -> impl Iterator<Item = &'static str> {
    let there = LIMITS_SINCE.into_iter();
    there
        .filter(move |(since, _name)| version >= *since)
        .map(|(_since, name)| name)
}

/// [`SETTINGS`], for a version.
fn settings(version: u32) -> String {
    let off = limits(version).map(|name| format!("set {name} = 0; "));
    let quiet = ["set client_min_messages = error; ".to_owned()];
    let all = quiet.into_iter().chain(off);
    all.chain([SETTINGS.to_owned()]).collect()
}

/// What is said at the login where the server ends our connections before they can say it, or says too much to
/// let us in: it goes before what is set on a database or a role (PostgreSQL, "Setting Parameters"). Not at once,
/// because a pooler may know none of these. Of an unknown version (0) what all have.
fn from_the_start(version: u32) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut said = vec![
        pair("client_min_messages", "error"),
        pair("statement_timeout", "12s"),
        pair("idle_in_transaction_session_timeout", "0"),
    ];
    said.extend(limits(version).map(|name| pair(name, "0")));
    said
}

/// One row: each value as text, or nothing.
pub(crate) type Row = Vec<Option<Vec<u8>>>;

/// A server that let us in.
#[derive(Debug)]
pub(crate) struct Admin {
    tls: TlsStream<Branch>,
    version: u32,
    /// Whether an answer is still due: the next question would be given that one.
    owed: bool,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// We did not get in, or the connection broke.
    #[error("reach the server as `{admin}`")]
    Connect {
        /// As whom.
        admin: Login,
        /// What went wrong.
        source: ConnectError,
    },
    /// Its hosts answer as standbys only, or not at all.
    #[error("none of its hosts is a primary just now ({standbys} answer as standbys)")]
    NoPrimary {
        /// How many answer.
        standbys: usize,
    },
    /// Behind the address is another server than the session's, or it cannot be told.
    #[error("another server answers than the one that the session was at")]
    Elsewhere,
    /// It took too long.
    #[error("the server does not answer in time")]
    Slow,
    /// The server refused a query.
    #[error("the server says: {}: {message}", state(.sqlstate))]
    Said {
        /// The SQLSTATE.
        sqlstate: Vec<u8>,
        /// What it said.
        message: String,
    },
    /// The connection ended in the middle of it.
    #[error("the connection to the server broke off")]
    Broken,
    /// It answered what makes no sense.
    #[error("the server's answer makes no sense")]
    Nonsense,
    /// The role's own server processes did not end.
    #[error("{left} of its server processes do not end")]
    Alive {
        /// How many.
        left: usize,
    },
    /// An existing role is not elevated.
    #[error("{}", .0.sentence())]
    Unfit(Unfit),
    /// It has no rights any more, and cannot be dropped.
    #[error("it can do nothing any more, and is dropped once nothing names it; now these do: {by}")]
    Held {
        /// What names it, and whose that is.
        by: String,
    },
    /// It is still there though the server says it was dropped.
    #[error("the role is still there")]
    StillThere,
}

/// Whether a host is not there, or lets nobody in yet (`cannot_connect_now`: it starts, recovers or
/// ends; `src/backend/utils/errcodes.txt`).
pub(crate) fn is_absent(refused: &ConnectError) -> bool {
    if let ConnectError::Refused(said) = refused {
        return said.starts_with("57P03");
    }
    matches!(refused, ConnectError::Unreachable(_) | ConnectError::Io(_))
}

impl AdminError {
    /// Whether another host may be the right one: this one is not there, or lets nobody in yet.
    pub(crate) fn may_be_elsewhere(&self) -> bool {
        let Self::Connect { source, .. } = self else {
            return matches!(self, Self::Slow);
        };
        is_absent(source)
    }

    fn is_violation(&self) -> bool {
        matches!(
            self,
            Self::Connect {
                source: ConnectError::Violation(_),
                ..
            }
        )
    }

    /// Whether the server may let us into another database though it does not into this one: it was there,
    /// and said no or more than anybody listens to, or was slow or broke off once we had reached it.
    pub(in crate::postgres) fn is_of_one_database(&self) -> bool {
        match self {
            Self::Connect { source, .. } => {
                matches!(
                    source,
                    ConnectError::Refused(_) | ConnectError::Violation(_)
                ) && !is_absent(source)
            }
            Self::Said { .. } | Self::Broken | Self::Nonsense | Self::Slow => true,
            Self::NoPrimary { .. }
            | Self::Elsewhere
            | Self::Alive { .. }
            | Self::Unfit(_)
            | Self::Held { .. }
            | Self::StillThere => false,
        }
    }
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

fn state(sqlstate: &[u8]) -> String {
    String::from_utf8_lossy(sqlstate).into_owned()
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
        let (mut said, mut first) = (Vec::new(), None);
        for _way in 0..WAYS_IN {
            let (refused, version) = match Self::log_in(host, (database, admin), with, said).await {
                Ok(mut entered) => match entered.run(settings(entered.version)).await {
                    Ok(_set) => return Ok(entered),
                    Err(refused) => (refused, entered.version),
                },
                Err(refused) if refused.is_violation() => (refused, 0),
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

    /// The same, and leaves no setting behind: for what is somebody else's afterwards.
    pub(crate) async fn visit_at(
        host: &PostgresHost,
        database: &str,
        admin: &Login,
        with: (&PassKey, &dyn Road),
    ) -> Result<Self, AdminError> {
        Self::log_in(host, (database, admin), with, Vec::new()).await
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
                .map_err(|odd| ConnectError::Impostor(odd.to_string()))?;
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
            version,
            owed: false,
        })
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
        message(&mut query, b'Q', |body| put_text(body, sql.as_ref()));
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
                b'E' => failed = Some(said(&body)),
                b'Z' => {
                    self.owed = false;
                    return failed.map_or(Ok(rows), Err);
                }
                _other => {}
            }
        }
    }

    /// Says goodbye. Whether it is heard makes no difference.
    pub(crate) async fn leave(mut self) {
        let mut goodbye = Vec::new();
        message(&mut goodbye, b'X', |_nothing| {});
        let leaving = async {
            if self.tls.write_all(&goodbye).await.is_ok() {
                let _closed_either_way = self.tls.shutdown().await;
            }
        };
        drop(time::timeout(ANSWER_LIMIT, leaving).await);
    }
}

fn said(body: &[u8]) -> AdminError {
    match wire::complaint(b'E', body) {
        Ok(said) => AdminError::Said {
            sqlstate: said.sqlstate.to_vec(),
            message: String::from_utf8_lossy(said.message).into_owned(),
        },
        Err(_cut_short) => AdminError::Nonsense,
    }
}

/// The values of a `DataRow`.
pub(crate) fn row(body: &[u8]) -> Option<Row> {
    let mut fields = Fields::new(b'D', body);
    let count = fields.u16().ok()?;
    let mut rest = fields.rest();
    let mut values = Vec::new();
    for _value in 0..count {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        if length < 0 {
            values.push(None);
            rest = behind;
            continue;
        }
        let (value, after) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        values.push(Some(value.to_vec()));
        rest = after;
    }
    rest.is_empty().then_some(values)
}

/// A value of a row as the server sent it; empty where there is none.
pub(crate) fn bytes(row: &Row, column: usize) -> Vec<u8> {
    row.get(column).cloned().flatten().unwrap_or_default()
}

/// A value of a row as text; empty where there is none.
pub(crate) fn text(row: &Row, column: usize) -> String {
    let value = row.get(column).and_then(Option::as_deref);
    String::from_utf8_lossy(value.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_connection_is_put_off_where_there_is_such_a_setting() {
        let names = |version| -> Vec<_> { limits(version).collect() };
        assert_eq!(names(13), Vec::<&str>::new());
        assert_eq!(names(16), ["idle_session_timeout"]);
        assert_eq!(names(18), ["idle_session_timeout", "transaction_timeout"]);
        let first = "set client_min_messages = error; set idle_session_timeout = 0; set transaction_timeout";
        assert!(settings(17).starts_with(first), "{}", settings(17));
    }

    #[test]
    fn a_row_is_read_whole_or_not_at_all() {
        let mut body = vec![0, 3];
        for value in [Some(&b"a"[..]), None, Some(b"")] {
            let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
            body.extend(length.to_be_bytes());
            body.extend(value.unwrap_or_default());
        }
        let read = row(&body).unwrap();
        assert_eq!(read, [Some(b"a".to_vec()), None, Some(Vec::new())]);
        assert_eq!(
            (text(&read, 0).as_str(), text(&read, 1).as_str()),
            ("a", "")
        );
        assert_eq!(row(&body[..body.len() - 1]), None);
        body.push(0);
        assert_eq!(row(&body), None);
    }
}
