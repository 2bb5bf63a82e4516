//! Who is at the door: a verified key or certificate becomes a person, or nobody.
//!
//! russh checks little of a certificate (not the CA, the principals, the options or the type), so
//! the whole rule set is [`ca::check_login_certificate`]'s. An offered key proves nothing and
//! changes nothing; only a verified signature does. What they may do then is not judged here.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use policies::{Credential, PrincipalName};
use russh::keys::{Algorithm, Certificate, PublicKey};
use russh::server::VerifiedPublicKey;

use super::address::Address;
use super::arrival::Proven;
use crate::session::protocol::Identify;

/// What the door has to know to recognise people.
#[derive(Clone)]
pub struct Doorkeeper {
    /// Registered keys, and who may come at all.
    pub identify: Arc<dyn Identify>,
    /// The CA of people's login certificates.
    pub login_ca: PublicKey,
    /// Where the connection comes from.
    pub source: IpAddr,
    /// Whether something was shown that proves nothing.
    pub mistaken: Arc<AtomicBool>,
    /// Inside a jump: who jumped. Nobody else may come out.
    pub jumper: Option<PrincipalName>,
}

impl std::fmt::Debug for Doorkeeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doorkeeper")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Doorkeeper {
    /// Who came with this key, if it is registered and they may come.
    pub(super) fn by_key(&self, user: &str, key: &VerifiedPublicKey<'_>) -> Option<Proven> {
        if !is_strong(key) {
            return None;
        }
        let bare = PublicKey::from(key.public_key.key_data().clone());
        let (principal, credential) = self.identify.by_key(&bare.to_openssh().ok()?)?;
        self.admit(user, principal, (credential, None))
    }

    /// Who came with this certificate, if it holds and they may come.
    pub(super) fn by_certificate(&self, user: &str, certificate: &Certificate) -> Option<Proven> {
        let (source, now) = (self.source, self.identify.now());
        match ca::check_login_certificate(certificate, &self.login_ca, source, now) {
            Ok(proof) => {
                let shown = (proof.credential(), Some(proof.expires_at));
                self.admit(user, proof.principal, shown)
            }
            Err(refused) => {
                tracing::debug!(%source, reason = %refused, "certificate.refused");
                None
            }
        }
    }

    /// Who has shown `credential`, which is good until then, unless they may not come or say to be someone else.
    fn admit(
        &self,
        user: &str,
        principal: PrincipalName,
        (credential, until): (Credential, Option<Timestamp>),
    ) -> Option<Proven> {
        let jumper = self.jumper.as_ref();
        let jumper_differs = jumper.is_some_and(|jumper| *jumper != principal);
        let someone_else = jumper_differs
            || Address::parse(user).is_ok_and(|address| address.names_someone_else(&principal));
        if someone_else || !self.identify.admits(&principal, &credential) {
            return None;
        }
        Some(Proven {
            principal,
            credential,
            until,
            user: user.to_owned(),
        })
    }
}

/// RSA signatures over SHA-1, DSA, and RSA keys below 2,048 bits prove nothing any more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is or will be is not believed"
)]
fn is_strong(key: &VerifiedPublicKey<'_>) -> bool {
    match key.algorithm {
        Algorithm::Rsa { hash: None } | Algorithm::Dsa => false,
        Algorithm::Rsa { hash: Some(_) } => match key.public_key.key_data() {
            russh::keys::ssh_key::public::KeyData::Rsa(rsa) => rsa.key_size() >= 2048,
            _ => false,
        },
        other => crate::ssh::algorithms::SIGNATURES.contains(other),
    }
}
