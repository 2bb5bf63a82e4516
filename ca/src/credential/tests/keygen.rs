//! Certificates made by stock ssh-keygen. Skipped where it is not installed.

use std::fs;

use super::*;
use crate::fixtures::Scratch;

/// Keys and certificates made by ssh-keygen.
struct Keygen(Scratch);

impl Keygen {
    /// A CA and a person's key; `None` where ssh-keygen is not installed.
    fn new(ca: &[&str], person: &[&str]) -> Option<Self> {
        let keygen = Self(Scratch::new());
        keygen.generate("ca", ca)?.then_some(())?;
        keygen.generate("id", person)?.then_some(keygen)
    }

    fn generate(&self, name: &str, arguments: &[&str]) -> Option<bool> {
        let all = [&["-q", "-N", "", "-f", name], arguments].concat();
        Some(self.0.tool("ssh-keygen", &all)?.good)
    }

    fn check(&self, arguments: &[&str]) -> Result<LoginProof, Refusal> {
        let id = format!("login alice {KEY}");
        let all = [&["-q", "-s", "ca", "-I", &id], arguments, &["id.pub"]].concat();
        let printed = self.0.tool("ssh-keygen", &all).unwrap();
        assert!(printed.good, "{all:?}: {}", printed.text);
        let line = fs::read_to_string(self.0.path().join("id-cert.pub")).unwrap();
        let login_ca = fs::read_to_string(self.0.path().join("ca.pub")).unwrap();
        let login_ca = PublicKey::from_openssh(&login_ca).unwrap();
        let source = "192.0.2.1".parse().unwrap();
        check_login_certificate(&read_certificate(&line)?, &login_ca, source, at(NOW))
    }
}

const ED25519: &[&str] = &["-t", "ed25519"];
const IN_DATE: [&str; 2] = ["-V", "20260102030300Z:20260102040000Z"];

#[test]
fn certificates_by_ssh_keygen_are_judged_as_sshd_would() {
    let Some(keygen) = Keygen::new(ED25519, ED25519) else {
        return;
    };
    let check = |arguments: &[&str], want: Result<&str, Refusal>| {
        let found = keygen.check(arguments);
        let found = found.as_ref().map(|proof| proof.principal.as_str());
        assert_eq!(found, want.as_ref().copied(), "{arguments:?}");
    };
    let option = |option, want: Result<&str, Refusal>| {
        check(&["-n", "alice", "-V", IN_DATE[1], "-O", option], want);
    };
    check(&["-n", "alice", "-V", IN_DATE[1], "-z", "7"], Ok("alice"));
    check(&["-n", "alice", "-V", "always:forever"], Ok("alice"));
    check(&["-V", IN_DATE[1]], Err(Refusal::Nobody));
    check(
        &["-n", "alice,bob", "-V", IN_DATE[1]],
        Err(Refusal::Several(2)),
    );
    check(&["-n", "*", "-V", IN_DATE[1]], Err(Refusal::Principal));
    check(&["-h", "-n", "alice", "-V", IN_DATE[1]], Err(Refusal::Host));
    check(
        &["-n", "alice", "-V", "20260101000000Z:20260102030405Z"],
        Err(Refusal::Expired),
    );
    check(
        &["-n", "alice", "-V", "20260102030506Z:20260102040000Z"],
        Err(Refusal::NotYet),
    );
    option("source-address=192.0.2.0/24", Ok("alice"));
    option("source-address=198.51.100.0/24,192.0.2.1/32", Ok("alice"));
    option("source-address=198.51.100.0/24", Err(Refusal::Source));
    option("force-command=/bin/ls", Err(Refusal::ForceCommand));
    option("verify-required", Err(Refusal::VerifyRequired));
    option(
        "critical:odd@example=1",
        Err(Refusal::CriticalOption("odd@example".into())),
    );
    option("extension:odd@example=1", Ok("alice"));
    let narrower = |lacking| Err(Refusal::Narrower(lacking));
    option("clear", narrower(Extension::PermitPty));
    option("no-pty", narrower(Extension::PermitPty));
    option(
        "no-port-forwarding",
        narrower(Extension::PermitPortForwarding),
    );
    option("no-x11-forwarding", Ok("alice"));
}

#[test]
fn sha_1_signatures_and_small_rsa_keys_are_refused() {
    let rsa: &[&str] = &["-t", "rsa", "-b", "2048"];
    let small: &[&str] = &["-t", "rsa", "-b", "1024"];
    let good = ["-n", "alice", "-V", IN_DATE[1]];
    let Some(keygen) = Keygen::new(rsa, rsa) else {
        return;
    };
    for sha2 in ["rsa-sha2-256", "rsa-sha2-512"] {
        keygen.check(&[&["-t", sha2], &good[..]].concat()).unwrap();
    }
    let sha1 = keygen.check(&[&["-t", "ssh-rsa"], &good[..]].concat());
    assert_eq!(sha1, Err(Refusal::SignatureKind));
    if let Some(keygen) = Keygen::new(ED25519, small) {
        let found = keygen.check(&good);
        assert_eq!(found, Err(Refusal::Key(WeakKey::Rsa { bits: 1024 })));
    }
    if let Some(keygen) = Keygen::new(small, ED25519) {
        let found = keygen.check(&good);
        assert_eq!(
            found,
            Err(Refusal::AuthorityKey(WeakKey::Rsa { bits: 1024 }))
        );
    }
    if let Some(keygen) = Keygen::new(ED25519, &["-t", "dsa"]) {
        let found = keygen.check(&good).unwrap_err();
        assert!(matches!(
            found,
            Refusal::Key(WeakKey::Dsa) | Refusal::Unreadable
        ));
    }
}

#[test]
fn ecdsa_keys_and_authorities_are_believed() {
    for curve in ["256", "384", "521"] {
        let ecdsa: &[&str] = &["-t", "ecdsa", "-b", curve];
        let Some(keygen) = Keygen::new(ecdsa, ecdsa) else {
            return;
        };
        keygen.check(&["-n", "alice", "-V", IN_DATE[1]]).unwrap();
    }
}
