//! Looks at a PostgreSQL server for an administrator: which certificate it shows, to be compared and
//! pinned before it becomes a target, and whether it lets us in afterwards.
//!
//! Trusts nothing by this, and runs no statement.

use std::net::IpAddr;
use std::time::Duration;

use ca::PassKey;
use policies::{HostPort, Login, PostgresEndpoint, PostgresHost, ServerPin};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::back;
use super::hosts;
use crate::postgres::tls::{self, Trust};
use crate::session::dial::{DialError, dial};
use crate::session::protocol::ConnectError;
use crate::session::road::Road;

/// How long a server may take to show its certificate.
const PROBE_LIMIT: Duration = Duration::from_secs(10);

/// The certificate that a server showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// The SHA-256 of it, in lower-case hexadecimal: what [`ServerPin::Certificate`] takes.
    pub sha256: String,
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The host names and addresses it holds for.
    pub names: Vec<String>,
    /// When it ends, as the certificate writes it.
    pub not_after: String,
}

impl Probed {
    /// The pin for it.
    pub fn pin(&self) -> ServerPin {
        ServerPin::Certificate {
            sha256: self.sha256.clone(),
        }
    }
}

/// Why a server could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers there.
    #[error(transparent)]
    Unreachable(#[from] DialError),
    /// It does not begin TLS as PostgreSQL does.
    #[error("begin TLS with `{at}`")]
    Tls {
        /// Where.
        at: HostPort,
        /// What went wrong.
        source: ConnectError,
    },
    /// It speaks PostgreSQL, and no TLS.
    #[error("`{at}` has no TLS")]
    Clear {
        /// Where.
        at: HostPort,
    },
    /// It took too long.
    #[error("`{at}` does not answer in time")]
    Slow {
        /// Where.
        at: HostPort,
    },
    /// Its certificate cannot be read.
    #[error("read the certificate of `{at}`")]
    Certificate {
        /// Where.
        at: HostPort,
    },
}

/// Has a server show its certificate.
///
/// # Errors
///
/// When there is none to be had.
pub async fn probe(at: &HostPort) -> Result<Probed, ProbeError> {
    look(at, dial(at).await?).await
}

/// Has a server show its certificate over a connection to it.
///
/// # Errors
///
/// When there is none to be had.
pub(crate) async fn look<I>(at: &HostPort, io: I) -> Result<Probed, ProbeError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let der = time::timeout(PROBE_LIMIT, shown(at, io))
        .await
        .map_err(|_elapsed| ProbeError::Slow { at: at.clone() })??;
    read(&der).ok_or_else(|| ProbeError::Certificate { at: at.clone() })
}

/// Logs in at every host of a target that answers, and out again.
///
/// # Errors
///
/// When it cannot be reached, is not the one we know, or does not accept the certificate.
pub(crate) async fn enter(
    endpoint: &PostgresEndpoint,
    login: &Login,
    with: (&PassKey, &dyn Road),
) -> Result<(), ConnectError> {
    let hosts = endpoint.hosts();
    let (mut silent, mut suitable, mut entered) = (None, false, false);
    for host in &hosts {
        match enter_at(host, endpoint, login, with).await {
            Ok(suits) => (entered, suitable) = (true, suitable || suits),
            // One of several may be down; what it is like is told by a look at it.
            Err(refused @ (ConnectError::Unreachable(_) | ConnectError::Io(_))) => {
                silent = Some(refused);
            }
            Err(refused) => return Err(refused),
        }
    }
    match silent {
        Some(refused) if !entered => Err(refused),
        _ if suitable => Ok(()),
        _ => {
            let hosts = hosts.iter().map(|host| host.addr.to_string());
            let tried: Vec<String> = hosts.collect();
            Err(ConnectError::Unsuited {
                wanted: endpoint.session,
                tried: tried.join(", "),
            })
        }
    }
}

/// The same at one host, and whether it is one that sessions are for.
/// As sessions come there, without what our own connections say at the login: what keeps sessions out is to be told,
/// and by what is set there a host is told from others.
async fn enter_at(
    host: &PostgresHost,
    endpoint: &PostgresEndpoint,
    login: &Login,
    (key, road): (&PassKey, &dyn Road),
) -> Result<bool, ConnectError> {
    let stream = road.go(&host.addr).await?;
    let entering = async {
        let trust = Trust::new(&host.server, &host.addr.host, Some(key))
            .map_err(|odd| back::unready(&odd))?;
        let mut tls = back::secure(stream, &trust).await?;
        let greeting = back::login(&mut tls, (login.as_str(), key), &endpoint.dbname, &[]).await;
        let greeting = greeting.map_err(|refused| refused.error)?;
        let mut suits = false;
        for wanted in endpoint.wanted().rounds() {
            let found = hosts::suits(&mut tls, &greeting, *wanted).await;
            suits = suits || found.map_err(|refused| refused.error)?;
        }
        back::leave(&mut tls).await;
        Ok(suits)
    };
    let entered = time::timeout(PROBE_LIMIT, entering).await;
    entered.unwrap_or_else(|_elapsed| Err(ConnectError::Io(std::io::ErrorKind::TimedOut.into())))
}

async fn shown<I>(at: &HostPort, mut stream: I) -> Result<Vec<u8>, ProbeError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let refuse = |source| ProbeError::Tls {
        at: at.clone(),
        source,
    };
    let trust = Trust::anything(&at.host)
        .map_err(|odd| refuse(ConnectError::Violation(odd.to_string())))?;
    if !back::has_tls(&mut stream).await.map_err(refuse)? {
        return Err(ProbeError::Clear { at: at.clone() });
    }
    let mut tls = back::encrypt(stream, &trust).await.map_err(refuse)?;
    let shown = tls
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|leaf| leaf.to_vec());
    let _closed_either_way = tls.shutdown().await;
    shown.ok_or_else(|| ProbeError::Certificate { at: at.clone() })
}

fn read(der: &[u8]) -> Option<Probed> {
    let (_rest, certificate) = X509Certificate::from_der(der).ok()?;
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names = alternatives
        .iter()
        .flat_map(|found| &found.value.general_names)
        .filter_map(name);
    Some(Probed {
        sha256: tls::fingerprint(der),
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names.collect(),
        not_after: certificate.validity().not_after.to_string(),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::DNSName(name) = name {
        return Some((*name).to_owned());
    }
    let GeneralName::IPAddress(octets) = name else {
        return None;
    };
    if let Ok(v4) = <[u8; 4]>::try_from(*octets) {
        return Some(IpAddr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(*octets).ok()?;
    Some(IpAddr::from(v6).to_string())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn looked(answer: u8) -> ProbeError {
        let (near, mut far) = tokio::io::duplex(64);
        let server = async {
            let mut asked = [0; 8];
            far.read_exact(&mut asked).await.unwrap();
            far.write_all(&[answer]).await.unwrap();
            drop(far);
        };
        let at: HostPort = "db1:5432".parse().unwrap();
        let (seen, ()) = tokio::join!(look(&at, near), server);
        seen.unwrap_err()
    }

    #[tokio::test]
    async fn a_database_without_tls_is_told_from_what_is_none() {
        assert!(matches!(looked(b'N').await, ProbeError::Clear { .. }));
        assert!(matches!(looked(b'H').await, ProbeError::Tls { .. }));
    }
}
