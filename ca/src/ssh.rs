//! From an intent to an OpenSSH certificate.

use std::net::IpAddr;

use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, HashAlg};

use crate::intent::{Contents, Form, Intent, Purpose};
use crate::keys::Keys;
use crate::rand_core::CryptoRng;
use crate::{IssueError, Serial, check};

/// The critical option that binds a certificate to where it is used from (`sshd(8)`).
pub(crate) const SOURCE_ADDRESS: &str = "source-address";

/// The critical option that has sshd run this and nothing else (`PROTOCOL.certkeys`).
pub(crate) const FORCE_COMMAND: &str = "force-command";

/// A key to certify for SSH.
pub(crate) struct SshForm {
    key: KeyData,
    nonce: [u8; 32],
}

impl SshForm {
    pub(crate) fn new(key: KeyData, rng: &mut (dyn CryptoRng + Send)) -> Self {
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        Self { key, nonce }
    }
}

impl Form for SshForm {
    type Certificate = Certificate;

    fn fingerprint(&self) -> Result<String, IssueError> {
        Ok(self.key.fingerprint(HashAlg::Sha256).to_string())
    }

    fn sign(&self, intent: &Intent, keys: &Keys) -> Result<Certificate, IssueError> {
        let (
            Contents::Ssh {
                principals,
                source_address,
                force_command,
                extensions,
            },
            Serial::Ssh(serial),
            Some(signer),
        ) = (&intent.contents, intent.serial, keys.ssh(intent.signer))
        else {
            return Err(IssueError::Mixed);
        };
        let mut builder = Builder::new(
            self.nonce,
            self.key.clone(),
            check::unix(intent.valid_from)?,
            check::unix(intent.expires_at)?,
        )?;
        builder
            .serial(serial)?
            .cert_type(cert_type(intent.purpose))?;
        builder.key_id(intent.key_id.as_str())?;
        for principal in principals {
            builder.valid_principal(principal)?;
        }
        // In the order of their names, as they have to be.
        if let Some(command) = force_command {
            builder.critical_option(FORCE_COMMAND, command)?;
        }
        if let Some(address) = source_address {
            builder.critical_option(SOURCE_ADDRESS, only(*address))?;
        }
        for extension in extensions {
            builder.extension(extension.as_str(), "")?;
        }
        builder.comment(intent.key_id.as_str())?;
        Ok(builder.sign(signer)?)
    }

    fn read_back(
        &self,
        certificate: &Certificate,
        intent: &Intent,
        keys: &Keys,
    ) -> Result<String, IssueError> {
        let signer = keys.ssh(intent.signer).ok_or(IssueError::Mixed)?;
        check::ssh(&certificate.to_bytes()?, intent, signer.public())
    }
}

pub(crate) fn cert_type(purpose: Purpose) -> CertType {
    match purpose {
        Purpose::Host => CertType::Host,
        Purpose::SshPass
        | Purpose::SshHop
        | Purpose::SshTrial
        | Purpose::PostgresTrial
        | Purpose::Roles
        | Purpose::Accounts
        | Purpose::SshLogin
        | Purpose::PostgresPass
        | Purpose::Halt
        | Purpose::X509Login
        | Purpose::Server => CertType::User,
    }
}

/// The list of addresses that holds only this one.
pub(crate) fn only(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("{v4}/32"),
        IpAddr::V6(v6) => format!("{v6}/128"),
    }
}
