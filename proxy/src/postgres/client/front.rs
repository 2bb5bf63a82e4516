//! The client's side: who is there, what they ask for, and how they are told that it is over.
//!
//! Whoever holds a login certificate of ours is its principal, and so is whoever proves a one-time
//! secret. Decides nothing: it makes an [`Ask`].

use std::time::Duration;

use ca::{CertificateRefusal, LoginProof};
use control::onetime::OneTimePasswords;
use policies::words::postgres::Complaint;
use policies::words::secret::SecretSaying;
use policies::words::{Shown, Words};
use policies::{Ask, Protocol};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error as TlsError};
use tokio::io::AsyncWriteExt;
use tokio::time;
use tracing::{debug, info};

use super::aim::{self, Aim};
use super::greeting::{self, ClientTls};
use super::password;
use super::scram::Binding;
use super::startup::Startup;
use crate::listener::Offence;
use crate::postgres::relay::Lane;
use crate::postgres::relay::tap::Tap;
use crate::postgres::tls::Visitors;
use crate::postgres::wire::Side;
use crate::postgres::wire::say;
use crate::session::incoming::Newcomer;
use crate::session::protocol::{Front, Identified, Identify, Refused};
use crate::session::scope::Scope;

/// How long a client may take to accept what it is still owed when the session is over.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// A client that has proven who it is.
#[derive(Debug)]
pub struct PostgresFront {
    pub(crate) tls: ClientTls,
    pub(crate) startup: Startup,
    /// From the client to the target.
    pub(crate) up: Lane,
    /// From the target to the client.
    pub(crate) down: Lane,
    pub(crate) tap: Tap,
    /// Where the session is written down, from the moment the target has let us in.
    pub(crate) scope: Option<Scope>,
    told: bool,
}

/// What the door knows of itself as somebody comes: whom it trusts, what it showed, what it is called.
#[derive(Clone, Copy)]
pub(crate) struct Door<'a> {
    /// Whose certificates count.
    pub(crate) visitors: &'a Visitors,
    /// What the connection is bound to.
    pub(crate) binding: Binding<'a>,
    /// Whether one-time secrets are asked for.
    pub(crate) passwords: OneTimePasswords,
    /// The bastion's names.
    pub(crate) names: &'a [String],
    /// Who knows who somebody is.
    pub(crate) identify: &'a dyn Identify,
}

/// Reads the startup packet as a question and judges the certificate, or the proof of a one-time
/// secret where the user name names one. A client that cannot be let in is told why.
pub(crate) async fn identify(
    mut tls: ClientTls,
    startup: Startup,
    newcomer: &Newcomer,
    door: Door<'_>,
) -> Result<Identified<PostgresFront>, Refused> {
    let called = tls.get_ref().1.server_name();
    let aim = aim::aim(&startup.user, &startup.database, called, door.names);
    let (principal, credential, aim) = if let Some(secret) = aim::user(&startup.user).1 {
        if door.passwords == OneTimePasswords::Forbidden {
            let words = SecretSaying::Forbidden.words();
            greeting::farewell(&mut tls, &words, say::NOT_AUTHORIZED).await;
            return Err(Refused::Unproven);
        }
        let aim = or_farewell(&mut tls, aim, Refused::Answered).await?;
        let (binding, identify) = (door.binding, door.identify);
        let asked = (secret, &aim);
        let proven = password::prove(&mut tls, asked, binding, newcomer, identify).await?;
        (proven.principal.clone(), proven.credential(), aim)
    } else {
        let shown = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let proof = proof(shown, door.visitors, door.identify)
            .inspect_err(|complaint| unproven(newcomer, complaint));
        let proof = or_farewell(&mut tls, proof, Refused::Unproven).await?;
        let aim = or_farewell(&mut tls, aim, Refused::Answered).await?;
        (proof.principal.clone(), proof.credential(), aim)
    };
    let Aim {
        target,
        login,
        database,
    } = aim;
    let ask = Ask {
        principal,
        credential,
        source: newcomer.source().ip(),
        target,
        login,
        database,
        protocol: Protocol::Postgres,
    };
    let front = PostgresFront {
        tls,
        startup,
        up: Lane::new(Side::Client),
        down: Lane::new(Side::Target),
        tap: Tap::new(),
        scope: None,
        told: false,
    };
    Ok(Identified { ask, front })
}

/// Tells the client what it did wrong.
async fn or_farewell<T>(
    tls: &mut ClientTls,
    judged: Result<T, Complaint>,
    refused: Refused,
) -> Result<T, Refused> {
    match judged {
        Ok(good) => Ok(good),
        Err(complaint) => {
            greeting::farewell(tls, &complaint.words(), say::NOT_AUTHORIZED).await;
            Err(refused)
        }
    }
}

/// Judges the certificate that was shown, the first of these.
pub(crate) fn proof(
    shown: &[CertificateDer<'_>],
    visitors: &Visitors,
    identify: &dyn Identify,
) -> Result<LoginProof, Complaint> {
    let Some(leaf) = shown.first() else {
        return Err(Complaint::NoCertificate);
    };
    let now = identify.now();
    let since_epoch = Duration::try_from(now.as_duration()).unwrap_or_default();
    visitors
        .verify(shown, UnixTime::since_unix_epoch(since_epoch))
        .map_err(|refused| refusal(is_expiry(&refused)))?;
    ca::check_login_x509(leaf, now)
        .map_err(|refused| refusal(matches!(refused, CertificateRefusal::Expired)))
}

/// Tells the operator why somebody did not get in, as at the door of SSH, and has it cost their source what a
/// wrong key costs there.
fn unproven(newcomer: &Newcomer, complaint: &Complaint) {
    newcomer.offends(Offence::Wrong);
    let source = newcomer.source().ip();
    info!(%source, protocol = "postgres", reason = %complaint.words().what, "login.refused");
}

fn is_expiry(refused: &TlsError) -> bool {
    matches!(
        refused,
        TlsError::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        )
    )
}

fn refusal(expired: bool) -> Complaint {
    if expired {
        Complaint::Expired
    } else {
        Complaint::NotOurs
    }
}

impl PostgresFront {
    /// Writes down what was under way when the session was cut.
    fn settle(&mut self) {
        if let Some(scope) = self.scope.take()
            && let Err(refused) = self.tap.settle(&scope)
        {
            debug!(reason = %refused, "recording.unsettled");
        }
    }

    /// Passes on an error of the target, byte for byte. Nothing is said after it.
    pub(crate) async fn pass_on(&mut self, error: &[u8]) {
        self.told = true;
        if self.tls.write_all(error).await.is_ok() && self.tls.flush().await.is_ok() {
            let _closed_either_way = self.tls.shutdown().await;
        }
    }
}

impl Front for PostgresFront {
    async fn refuse(&mut self, words: &Words) {
        self.farewell(words).await;
    }

    async fn farewell(&mut self, words: &Words) {
        self.settle();
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let rest = self.down.rest_to_boundary();
        // In the middle of a message whose rest will not come, nothing can be said.
        let Some(mut out) = rest else { return };
        say::fatal(&mut out, say::sqlstate(words), words);
        greeting::part(&mut self.tls, &out).await;
    }

    async fn leave(&mut self) {
        self.settle();
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let parting = async {
            let rest = self.down.rest_to_boundary().unwrap_or_default();
            greeting::part(&mut self.tls, &rest).await;
        };
        let _gone_either_way = time::timeout(LEAVE_LIMIT, parting).await;
    }
}
