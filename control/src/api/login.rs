//! Proving a key and getting certificates.
//!
//! An unknown key and a wrong signature get the same answer after the same work: the challenge is
//! given to any key, and both are looked at before either is judged.

use std::error::Error;
use std::net::IpAddr;

use axum::extract::State;
use axum::{Extension, Json};
use ca::sshsig::{self, LOGIN_NAMESPACE, LOGIN_NAMESPACE_1};
use ca::{IssueError, LoginCertificates};
use jiff::SignedDuration;
use policies::PrincipalName;
use policies::words::api::{ApiRefusal, LONG_KEY};
use policies::words::evidence::{self, FRESH, MAY_NOT, NOT_SIGNED, UNKNOWN};
use tracing::{debug, field, info, warn};

use crate::api::caller::Place;
use crate::api::extract::{StrangerBody, not_understood};
use crate::api::problem::Refused;
use crate::api::wire::{Challenge, ChallengeOrder, LoggedIn, LoginOrder};
use crate::api::{Shared, Showing, trust};
use crate::broker::Acquaintance;
use crate::entropy;
use crate::identity::{LINE_MAX, fingerprint_of};
use crate::ledger::Happening;
use crate::{Broker, BrokerError};

/// How many characters of what is no key are written down. The ledger is kept for ever.
const SHOWN_MAX: usize = 120;

pub(crate) async fn challenge(
    State(house): State<Shared>,
    StrangerBody(order): StrangerBody<ChallengeOrder>,
) -> Result<Json<Challenge>, Refused> {
    if order.public_key.len() > LINE_MAX {
        return Err(not_understood(LONG_KEY));
    }
    let nonce = entropy::bytes().map_err(|_refused| ApiRefusal::Unavailable)?;
    let now = house.parts.broker.clock().instant();
    let challenges = house.challenges.as_ref().ok_or(ApiRefusal::Unavailable)?;
    let challenge = challenges.make(&nonce, &order.public_key, now);
    Ok(Json(Challenge {
        schema: "tidegate.challenge/1".into(),
        challenge,
        namespace: LOGIN_NAMESPACE.to_owned(),
    }))
}

pub(crate) async fn login(
    State(house): State<Shared>,
    Place(source): Place,
    Extension(showing): Extension<Showing>,
    StrangerBody(order): StrangerBody<LoginOrder>,
) -> Result<Json<LoggedIn>, Refused> {
    // Said of any key alike, known or not.
    if sshsig::is_for(&order.signature, LOGIN_NAMESPACE_1) {
        debug!(%source, "login.outdated");
        return Err(ApiRefusal::OldClient.into());
    }
    let broker = &house.parts.broker;
    let now = broker.clock().instant();
    let challenges = house.challenges.as_ref().ok_or(ApiRefusal::Unavailable)?;
    let open = challenges.find(&order.challenge, &order.public_key, now);
    let proven = proven(&house, &order);
    // Of what proves nobody nothing is remembered: strangers have as many keys as they like.
    let proven = proven
        .filter(|(_owner, by_key)| open.is_some_and(|open| challenges.spend(open, by_key, now)));
    let Some((principal, by_key)) = proven else {
        // Whoever was given no challenge did not try to prove anything.
        if open.is_some() {
            showing.was_wrong();
            unproven(&house, source, &order).await;
        }
        return Err(ApiRefusal::NotProven.into());
    };
    showing.was_right();
    // A certificate dated by a clock that is not believed may outlive any grant.
    broker.may_issue()?;
    let most = broker.login_lifetime();
    let wanted = order
        .ttl_seconds
        .and_then(|seconds| i64::try_from(seconds).ok());
    let lifetime = wanted.map_or(most, |seconds| {
        SignedDuration::from_secs(seconds.max(1)).min(most)
    });
    let mut rng = entropy::rng();
    let wish = ca::LoginOrder {
        principal: &principal,
        by_key: &by_key,
        ssh_public_key: &order.ssh_public_key,
        csr_pem: &order.csr,
        lifetime,
        now: broker.clock().now(),
        rng: &mut rng,
    };
    let issued = house
        .parts
        .authority
        .issue_login(wish, broker.journal())
        .await
        .map_err(|error| refused(&error))?;
    broker.remember_login(
        &order.ssh_public_key,
        (&principal, &by_key),
        issued.expires_at,
    );
    logged_in(broker, (&principal, source), by_key, &issued).await?;
    info!(%principal, %source, "login.issued");
    Ok(Json(LoggedIn {
        schema: "tidegate.login/1".into(),
        principal,
        ssh_certificate: issued.ssh,
        x509_chain: issued.x509_chain_pem,
        expires_at: issued.expires_at,
        trust: trust::of(&house),
    }))
}

/// For the auditor, before anything is handed out: without the address nobody could tell a thief's login from its
/// owner's.
async fn logged_in(
    broker: &Broker,
    (principal, source): (&PrincipalName, IpAddr),
    by_key: String,
    issued: &LoginCertificates,
) -> Result<(), BrokerError> {
    let happening = Happening::LoggedIn {
        principal: principal.clone(),
        source,
        by_key,
        ssh_serial: issued.ssh_serial.to_string(),
        x509_serial: issued.x509_serial.to_string(),
        expires_at: issued.expires_at,
    };
    broker.record(happening).await
}

/// Whose key was proven, and its fingerprint. Everything is looked at, whatever the first look shows.
fn proven(house: &Shared, order: &LoginOrder) -> Option<(PrincipalName, String)> {
    let LoginOrder {
        public_key,
        challenge,
        signature,
        ssh_public_key,
        csr,
        ttl_seconds: _,
    } = order;
    // As the client puts it together: for another bastion, or for other keys, it is another text.
    let ca = house.parts.authority.trust_bundle().fingerprint();
    let text = sshsig::login_text(challenge, &ca, ssh_public_key, csr).unwrap_or_default();
    let signed = sshsig::verify_line(public_key, LOGIN_NAMESPACE, text.as_bytes(), signature);
    let owner = house.parts.broker.identify_key(public_key);
    owner.filter(|_known| signed.is_ok())
}

/// For the auditor, so many of each source in a minute. That it cannot be written down changes nothing for a stranger.
async fn unproven(house: &Shared, source: IpAddr, order: &LoginOrder) {
    let now = house.parts.broker.clock().instant();
    let Some(left_out) = house.strangers.note(source, now) else {
        return debug!(%source, "login.unproven");
    };
    let shown = shown(&order.public_key);
    let (principal, reason) = match house.parts.broker.identify_key(&order.public_key) {
        Some((principal, _by_key)) => (Some(principal), NOT_SIGNED),
        None => match house.parts.broker.acquaintance(&shown) {
            Some(Acquaintance::Registered { principal }) => (Some(principal), MAY_NOT),
            Some(Acquaintance::Login { principal, .. }) => (Some(principal), FRESH),
            None => (None, UNKNOWN),
        },
    };
    let principal = principal.as_ref().map(field::display);
    info!(%source, fingerprint = %shown, principal, reason, "login.refused");
    let happening = Happening::Unproven {
        source,
        protocol: None,
        showed: evidence::showed(&shown, left_out),
    };
    if let Err(error) = house.parts.broker.record(happening).await {
        warn!(%source, reason = %error, "login.unrecorded");
    }
}

/// A key as people find it again: by its fingerprint. What is no key, by its beginning; so is what only begins as a
/// fingerprint does.
fn shown(key: &str) -> String {
    let text = fingerprint_of(key).unwrap_or_else(|| key.to_owned());
    let harmless = text.chars().filter(|c| !c.is_control());
    harmless.take(SHOWN_MAX).collect()
}

fn refused(error: &IssueError) -> Refused {
    let source = error
        .source()
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    let why = format!("{error}{source}");
    if let IssueError::Request(_) | IssueError::SshKey(_) | IssueError::WeakKey(_) = error {
        return ApiRefusal::NotCertifiable { why }.into();
    }
    warn!(reason = %why, "login.failed");
    ApiRefusal::Unavailable.into()
}
