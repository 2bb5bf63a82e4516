//! All keys, and every certificate that they may sign.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use policies::{Capability, Permit, Protocol, SessionId, Terms};
use russh::keys::{Certificate, PublicKey};
use rustls_pki_types::CertificateDer;

use crate::intent::{Contents, Draft, Extension, Prepared, Purpose};
use crate::keys::{CreateError, Ed25519Key, Keys, OpenError, P256Key};
use crate::profile::{HALT_LIFETIME, LOGIN_EXTENSIONS, PASS_LIFETIME_MAX};
use crate::rand_core::CryptoRng;
use crate::request::RequestedKey;
use crate::ssh::SshForm;
use crate::window::Window;
use crate::x509::X509Form;
use crate::{
    HostIdentity, HostOrder, IssueError, Journal, KeyId, LoginCertificates, LoginOrder, Pass,
    PassOrder, Passphrase, Sealer, Serial, ServerIdentity, TrustBundle, strength,
};

/// The certificate authority. Cheap to clone.
///
/// Whatever it signs takes the same steps: checked against its profile, written to the journal as
/// an [`Intent`](crate::Intent), signed, read back with other code and compared with the intent,
/// and its outcome written to the journal. Only then is it handed out.
#[derive(Debug, Clone)]
pub struct Authority {
    keys: Arc<Keys>,
}

impl Authority {
    /// Draws all keys and writes them to `dir`, encrypted. `dir` must not exist or be empty.
    ///
    /// Slow on purpose if the passphrase is not a [generated](Passphrase::generate) one: a second
    /// or two.
    pub fn create(
        dir: &Path,
        passphrase: &Passphrase,
        now: Timestamp,
        rng: &mut (dyn CryptoRng + Send),
    ) -> Result<Self, CreateError> {
        Keys::create(dir, passphrase, now, rng)?;
        Ok(Self {
            keys: Arc::new(Keys::open(dir, passphrase)?),
        })
    }

    /// Reads all keys from `dir`. As slow as [`create`](Self::create).
    pub fn open(dir: &Path, passphrase: &Passphrase) -> Result<Self, OpenError> {
        Ok(Self {
            keys: Arc::new(Keys::open(dir, passphrase)?),
        })
    }

    /// What of the files in `dir` is not as [`open`](Self::open) needs it, as far as can be seen without the passphrase:
    /// that they are there, for their owner alone, encrypted, of the right kind, and that the CAs' certificates are theirs.
    pub fn look(dir: &Path) -> Vec<OpenError> {
        Keys::look(dir)
    }

    /// The public halves of all keys.
    pub fn trust_bundle(&self) -> TrustBundle {
        TrustBundle::of(&self.keys)
    }

    /// The public key that people's SSH certificates have to be signed by.
    pub fn login_ca(&self) -> &PublicKey {
        self.keys.ssh_login_ca.public()
    }

    /// The certificate, in DER, of the CA that people's client certificates have to be signed by.
    pub fn login_anchor(&self) -> &CertificateDer<'static> {
        self.keys.x509_login_ca.certificate()
    }

    /// The key that signs checkpoints.
    pub fn sealer(&self) -> Sealer {
        Sealer::new(Arc::clone(&self.keys))
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Spends a permit on a fresh key and a certificate that opens one connection to its target.
    ///
    /// The certificate begins a minute ago and ends in five minutes or with the permit.
    pub async fn issue_pass(
        &self,
        permit: Permit,
        order: PassOrder<'_>,
        journal: &impl Journal,
    ) -> Result<Pass, IssueError> {
        self.pass(permit.spend(), order, journal).await
    }

    async fn pass(
        &self,
        terms: Terms,
        order: PassOrder<'_>,
        journal: &impl Journal,
    ) -> Result<Pass, IssueError> {
        let window = Window::new(order.now, PASS_LIFETIME_MAX, Some(terms.until))?;
        match terms.protocol {
            Protocol::Ssh => self.ssh_pass(terms, window, order, journal).await,
            Protocol::Postgres => {
                self.postgres_pass(terms, window, Purpose::PostgresPass, order, journal)
                    .await
            }
        }
    }

    /// Makes a certificate for the same role, or for whoever looks after the roles of grants, that
    /// lives a minute, also after the permit has ended: with it the bastion alone looks whether the backend of a session that was cut is gone.
    pub async fn issue_halt(
        &self,
        terms: &Terms,
        order: PassOrder<'_>,
        journal: &impl Journal,
    ) -> Result<Pass, IssueError> {
        if terms.protocol != Protocol::Postgres {
            return Err(IssueError::NotPostgres);
        }
        let window = Window::new(order.now, HALT_LIFETIME, None)?;
        self.postgres_pass(terms.clone(), window, Purpose::Halt, order, journal)
            .await
    }

    async fn ssh_pass(
        &self,
        terms: Terms,
        window: Window,
        order: PassOrder<'_>,
        journal: &impl Journal,
    ) -> Result<Pass, IssueError> {
        let PassOrder {
            session,
            source_address,
            rng,
            ..
        } = order;
        let serial = Serial::draw_ssh(rng);
        let key_id = KeyId::of_session(session, terms.grant, &terms.principal);
        let contents = Contents::Ssh {
            principals: vec![terms.account().as_str().to_owned()],
            source_address: source_address.map(|address| address.to_canonical()),
            force_command: None,
            extensions: extensions(&terms),
        };
        let draft = Draft {
            purpose: Purpose::SshPass,
            serial,
            key_id,
            window,
            contents,
        };
        let key = self.fresh_ssh(draft, rng, journal).await?;
        Ok(Pass {
            terms,
            session,
            serial: Some(serial),
            expires_at: window.until,
            key,
        })
    }

    async fn postgres_pass(
        &self,
        terms: Terms,
        window: Window,
        purpose: Purpose,
        order: PassOrder<'_>,
        journal: &impl Journal,
    ) -> Result<Pass, IssueError> {
        let PassOrder { session, rng, .. } = order;
        let account = if purpose == Purpose::Halt {
            terms.overseer()
        } else {
            terms.account()
        };
        let serial = Serial::draw_x509(rng);
        let contents = Contents::X509 {
            common_name: account.as_str().to_owned(),
            unit: Some(unit(session, &terms)),
            user_id: Some(terms.principal.as_str().to_owned()),
            names: Vec::new(),
        };
        let key_id = KeyId::of_session(session, terms.grant, &terms.principal);
        let draft = Draft {
            purpose,
            serial,
            key_id,
            window,
            contents,
        };
        let key = self.fresh_x509(draft, journal).await?;
        Ok(Pass {
            terms,
            session,
            serial: Some(serial),
            expires_at: window.until,
            key,
        })
    }

    /// Certifies a person's own keys. That they are this person was proven before.
    pub async fn issue_login(
        &self,
        order: LoginOrder<'_>,
        journal: &impl Journal,
    ) -> Result<LoginCertificates, IssueError> {
        let LoginOrder {
            principal,
            by_key,
            ssh_public_key,
            csr_pem,
            lifetime,
            now,
            rng,
        } = order;
        let public = PublicKey::from_openssh(ssh_public_key).map_err(IssueError::SshKey)?;
        strength::certifiable(public.key_data())?;
        let requested = RequestedKey::read(csr_pem)?;
        let window = Window::new(now, lifetime, None)?;
        let draft = |purpose, serial, contents| {
            let key_id = KeyId::of_login(principal, by_key);
            Draft {
                purpose,
                serial,
                key_id,
                window,
                contents,
            }
        };
        let ssh_serial = Serial::draw_ssh(rng);
        let contents = Contents::Ssh {
            principals: vec![principal.as_str().to_owned()],
            source_address: None,
            force_command: None,
            extensions: LOGIN_EXTENSIONS.into(),
        };
        let form = SshForm::new(public.key_data().clone(), rng);
        let ssh = Prepared::new(draft(Purpose::SshLogin, ssh_serial, contents), form)?;
        let x509_serial = Serial::draw_x509(rng);
        let contents = Contents::X509 {
            common_name: principal.as_str().to_owned(),
            unit: Some(by_key.to_owned()),
            user_id: None,
            names: Vec::new(),
        };
        let form = X509Form { key: requested };
        let x509 = Prepared::new(draft(Purpose::X509Login, x509_serial, contents), form)?;
        let ssh: Certificate = ssh.issue(&self.keys, journal).await?;
        let x509 = x509.issue(&self.keys, journal).await?;
        Ok(LoginCertificates {
            ssh: ssh.to_openssh()?,
            ssh_serial,
            x509_chain_pem: x509.pem(),
            x509_serial,
            expires_at: window.until,
        })
    }

    /// Certifies the SSH host key for these names. An authority that has none makes one for this
    /// occasion.
    pub async fn issue_host(
        &self,
        order: HostOrder<'_>,
        journal: &impl Journal,
    ) -> Result<HostIdentity, IssueError> {
        let HostOrder {
            names,
            now,
            lifetime,
            rng,
        } = order;
        let window = Window::new(now, lifetime, None)?;
        let serial = Serial::draw_ssh(rng);
        let key_id = KeyId::of_host(names.first().ok_or(IssueError::Names)?);
        let key = match &self.keys.ssh_host {
            Some(key) => key.clone(),
            None => {
                Ed25519Key::generate(rng, key_id.as_str()).map_err(|_refused| IssueError::Key)?
            }
        };
        let contents = Contents::Ssh {
            principals: names.to_vec(),
            source_address: None,
            force_command: None,
            extensions: [].into(),
        };
        let draft = Draft {
            purpose: Purpose::Host,
            serial,
            key_id,
            window,
            contents,
        };
        let form = SshForm::new(key.public_key().key_data().clone(), rng);
        let certificate = Prepared::new(draft, form)?
            .issue(&self.keys, journal)
            .await?;
        Ok(HostIdentity {
            key: Arc::new(key),
            certificate,
            serial,
            expires_at: window.until,
        })
    }

    /// Makes a TLS server key and certifies it for these names.
    pub async fn issue_server(
        &self,
        order: HostOrder<'_>,
        journal: &impl Journal,
    ) -> Result<ServerIdentity, IssueError> {
        let HostOrder {
            names,
            now,
            lifetime,
            rng,
        } = order;
        let window = Window::new(now, lifetime, None)?;
        let serial = Serial::draw_x509(rng);
        let key_id = KeyId::of_host(names.first().ok_or(IssueError::Names)?);
        let key = P256Key::fresh().map_err(|_refused| IssueError::Key)?;
        let key_der = key.to_pkcs8().map_err(|_refused| IssueError::Key)?;
        let contents = Contents::X509 {
            common_name: "tidegate".to_owned(),
            unit: None,
            user_id: None,
            names: names.to_vec(),
        };
        let draft = Draft {
            purpose: Purpose::Server,
            serial,
            key_id,
            window,
            contents,
        };
        let made = Prepared::new(draft, X509Form { key })?
            .issue(&self.keys, journal)
            .await?;
        let chain_der = vec![made.der().to_vec(), self.login_anchor().to_vec()];
        Ok(ServerIdentity {
            chain_der,
            key_der,
            serial,
            expires_at: window.until,
        })
    }
}

/// What the capabilities of a permit let an SSH certificate carry. Never `permit-user-rc`.
fn extensions(terms: &Terms) -> std::collections::BTreeSet<Extension> {
    let named = terms
        .capabilities
        .iter()
        .filter_map(|capability| match capability {
            Capability::Shell | Capability::Exec => Some(Extension::PermitPty),
            Capability::ForwardPort | Capability::ReversePort => {
                Some(Extension::PermitPortForwarding)
            }
            Capability::ForwardAgent => Some(Extension::PermitAgentForwarding),
            Capability::ForwardX11 => Some(Extension::PermitX11Forwarding),
            Capability::SftpRead | Capability::SftpWrite | Capability::Sql => None,
        });
    named.collect()
}

/// What a PostgreSQL target logs beside the role: 61 characters, of 64 that RFC 5280 allows.
fn unit(session: SessionId, terms: &Terms) -> String {
    format!("{session} {}", terms.grant)
}

#[cfg(test)]
mod tests;
