//! Who is at the door: a verified key or certificate becomes a person, or nobody.
//!
//! russh checks little of a certificate (not the CA, the principals, the options or the type), so
//! the whole rule set is [`ca::check_login_certificate`]'s. An offered key proves nothing and
//! changes nothing; only a verified signature does. What they may do then is not judged here.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use control::broker::Acquaintance;
use jiff::Timestamp;
use policies::words::ssh::door;
use policies::{Credential, PrincipalName};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
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
    /// Whether a key of this kind may be tried at all. One in a token may not: nobody has to touch it in
    /// vain, and the client goes on to its next.
    pub(super) fn takes(&self, key: &PublicKey) -> bool {
        let taken = !in_token(key.key_data());
        if !taken {
            tracing::debug!(source = %self.source, "key.in_token");
        }
        taken
    }

    /// Who came with this key, if it is registered and they may come.
    pub(super) fn by_key(&self, user: &str, key: &VerifiedPublicKey<'_>) -> Option<Proven> {
        if !is_strong(key.public_key, key.algorithm) {
            return None;
        }
        let bare = PublicKey::from(key.public_key.key_data().clone());
        let known = self.identify.by_key(&bare.to_openssh().ok()?);
        let Some((principal, credential)) = known else {
            let fingerprint = bare.fingerprint(HashAlg::Sha256).to_string();
            return self.tell_stranger(&fingerprint);
        };
        let (who, root) = (principal.clone(), credential.root().to_owned());
        self.admit(user, principal, (credential, None))
            .or_else(|| self.tell(&root, Some(&who), door::MAY_NOT))
    }

    /// Tells the operator whose a key is that is not registered for somebody who may come in.
    fn tell_stranger(&self, fingerprint: &str) -> Option<Proven> {
        match self.identify.acquaintance(fingerprint) {
            Some(Acquaintance::Registered { principal }) => {
                self.tell(fingerprint, Some(&principal), door::MAY_NOT)
            }
            // The certificate itself was refused before anybody here saw it: the client went on to its key.
            Some(Acquaintance::Login {
                principal,
                by_key,
                expires_at,
            }) if expires_at <= self.identify.now() => {
                self.tell(&by_key, Some(&principal), door::LOGIN_ENDED)
            }
            Some(Acquaintance::Login {
                principal, by_key, ..
            }) => self.tell(&by_key, Some(&principal), door::WITHOUT_CERTIFICATE),
            None => self.tell(fingerprint, None, door::UNKNOWN),
        }
    }

    /// Tells the operator, once for each connection, why somebody who has a key did not get in: by the fingerprint of
    /// the registered key and by name, where they are known. They themselves hear
    /// the same as every stranger. Gives back nobody.
    fn tell(
        &self,
        fingerprint: &str,
        principal: Option<&PrincipalName>,
        reason: &str,
    ) -> Option<Proven> {
        if !self.mistaken.load(Ordering::Relaxed) {
            let principal = principal.map(tracing::field::display);
            tracing::info!(source = %self.source, fingerprint, principal, reason, "login.refused");
        }
        None
    }

    /// Who came with this certificate, if it holds and they may come.
    pub(super) fn by_certificate(&self, user: &str, certificate: &Certificate) -> Option<Proven> {
        if in_token(certificate.public_key()) {
            return None;
        }
        let (source, now) = (self.source, self.identify.now());
        match ca::check_login_certificate(certificate, &self.login_ca, source, now) {
            Ok(proof) => {
                let shown = (proof.credential(), Some(proof.expires_at));
                let (who, root) = (proof.principal.clone(), proof.by_key.clone());
                self.admit(user, proof.principal, shown)
                    .or_else(|| self.tell(&root, Some(&who), door::MAY_NOT))
            }
            Err(refused) => {
                let key = PublicKey::from(certificate.public_key().clone());
                let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
                self.tell(&fingerprint, None, &refused.to_string())
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

/// Whether it is in a token, which says in each signature whether it was touched. russh tells nobody what
/// the signature says, so at this door one that was not touched would pass (decision 42).
fn in_token(key: &KeyData) -> bool {
    matches!(key, KeyData::SkEd25519(_) | KeyData::SkEcdsaSha2NistP256(_))
}

/// Signatures by keys in tokens, RSA signatures over SHA-1, DSA, and RSA keys below 2,048 bits prove nothing any more.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is or will be is not believed"
)]
fn is_strong(key: &PublicKey, algorithm: &Algorithm) -> bool {
    match algorithm {
        Algorithm::Rsa { hash: None } | Algorithm::Dsa => false,
        Algorithm::Rsa { hash: Some(_) } => match key.key_data() {
            KeyData::Rsa(rsa) => rsa.key_size() >= 2048,
            _ => false,
        },
        other => crate::ssh::algorithms::SIGNATURES.contains(other),
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::private::Ed25519Keypair;
    use russh::keys::ssh_key::public::SkEd25519;

    use super::*;

    #[test]
    fn a_key_in_a_token_proves_nothing_where_nobody_sees_whether_it_was_touched() {
        let point = Ed25519Keypair::from_seed(&[5; 32]).public;
        let (plain, sk) = (
            PublicKey::from(point),
            PublicKey::from(SkEd25519::new(point, "ssh:")),
        );
        let strong = |key: &PublicKey| is_strong(key, &key.algorithm());
        assert!(strong(&plain) && !in_token(plain.key_data()));
        assert!(!strong(&sk) && in_token(sk.key_data()));
    }
}
