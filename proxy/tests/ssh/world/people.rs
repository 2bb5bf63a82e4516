//! Who there is: the authorities that sign, and the people who come with what they signed.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use control::BrokerError;
use control::onetime::Verifier;
use jiff::Timestamp;
use policies::words::broker::Conflict;
use policies::words::secret::SecretSaying;
use policies::{Credential, Login, PrincipalName, SecretId, TargetName};
use proxy::session::protocol::{Identify, Noting, Redeeming};
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Certificate, PrivateKey, PublicKey};

/// The authorities of the world.
pub(super) struct Keys {
    pub(super) targets: PrivateKey,
    pub(super) people: PrivateKey,
    pub(super) hosts: PrivateKey,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self {
            targets: key(1),
            people: key(2),
            hosts: key(3),
        }
    }
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

/// The registered key that certificates are said to be got by.
const REGISTERED: &str = "SHA256:d/TNWlT/KVMXSypmI0iYgbDdLFGto+xd61uTyjuiTxk";

/// A certificate that holds for an hour.
pub(super) fn certify(
    ca: &PrivateKey,
    key: &PublicKey,
    kind: CertType,
    principals: &[&str],
) -> Certificate {
    let now = u64::try_from(Timestamp::now().as_second()).unwrap();
    let subject = key.key_data().clone();
    let key_id = match (kind, principals) {
        (CertType::User, [one, ..]) => format!("login {one} {REGISTERED}"),
        _ => "test".to_owned(),
    };
    let mut builder = Builder::new([7; 32], subject, now - 60, now + 3600).unwrap();
    builder
        .serial(77)
        .unwrap()
        .cert_type(kind)
        .unwrap()
        .key_id(key_id)
        .unwrap();
    for principal in principals {
        builder.valid_principal(*principal).unwrap();
    }
    if kind == CertType::User {
        for extension in [
            "permit-agent-forwarding",
            "permit-port-forwarding",
            "permit-pty",
        ] {
            builder.extension(extension, "").unwrap();
        }
    }
    builder.comment("").unwrap();
    builder.sign(ca).unwrap()
}

pub(super) struct People {
    pub(super) registered: String,
}

impl Identify for People {
    fn by_key(&self, openssh: &str) -> Option<(PrincipalName, Credential)> {
        let known = openssh.trim() == self.registered;
        let credential = Credential::Key {
            fingerprint: "SHA256:test".to_owned(),
        };
        known.then(|| (PrincipalName::parse("alice").unwrap(), credential))
    }

    fn admits(&self, principal: &PrincipalName, _: &Credential) -> bool {
        principal.as_str() != "mallory"
    }

    fn verifier(&self, _: SecretId) -> Option<Verifier> {
        None
    }

    fn misproven(&self, _: SecretId, _: IpAddr) -> Noting<'_> {
        Box::pin(std::future::ready(()))
    }

    fn redeem<'a>(
        &'a self,
        _: SecretId,
        _: IpAddr,
        _: (&'a TargetName, &'a Login),
    ) -> Redeeming<'a> {
        let saying = SecretSaying::Wrong;
        Box::pin(async { Err(BrokerError::Conflict(Conflict::Secret(saying))) })
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A key's own file, which nobody else may read.
pub(super) fn write_key(dir: &Path, name: &str, key: &PrivateKey) {
    let text = key.to_openssh(LineEnding::default()).unwrap();
    let path = dir.join(name);
    std::fs::write(&path, text.as_bytes()).unwrap();
    let mut chmod = Command::new("chmod");
    assert!(chmod.arg("600").arg(&path).status().unwrap().success());
}

/// The files of a client: alice with a certificate, bob with a registered key, others with less.
pub(super) fn write_client(dir: &Path, keys: &Keys) {
    let put = |name: &str, key: &PrivateKey, certificate: Option<Certificate>| {
        write_key(dir, name, key);
        std::fs::write(
            dir.join(format!("{name}.pub")),
            key.public_key().to_openssh().unwrap(),
        )
        .unwrap();
        if let Some(certificate) = certificate {
            std::fs::write(
                dir.join(format!("{name}-cert.pub")),
                certificate.to_openssh().unwrap(),
            )
            .unwrap();
        }
    };
    let user = |seed, ca: &PrivateKey, name: &str| {
        let subject = key(seed);
        let certificate = certify(ca, subject.public_key(), CertType::User, &[name]);
        (subject, Some(certificate))
    };
    let (alice, certificate) = user(30, &keys.people, "alice");
    put("alice", &alice, certificate);
    put("registered", &key(31), None);
    put("stranger", &key(32), None);
    let (forged, certificate) = user(33, &keys.targets, "alice");
    put("forged", &forged, certificate);
    let (mallory, certificate) = user(34, &keys.people, "mallory");
    put("mallory", &mallory, certificate);
    let (bob, certificate) = user(35, &keys.people, "bob");
    put("bob", &bob, certificate);
    let ca = keys.hosts.public_key().to_openssh().unwrap();
    std::fs::write(dir.join("known_hosts"), format!("@cert-authority * {ca}\n")).unwrap();
}
