//! Certificates as they come in: one good one and one per way to be bad. First written byte by
//! byte, so that any of them can be made; then made by stock ssh-keygen.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "tests compute with times of their own"
)]

mod keygen;
mod x509;

use jiff::SignedDuration;
use russh::keys::PublicKey;
use russh::keys::signature::Signer;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::CertificateRefusal as Refusal;
use super::*;
use crate::fixtures::{KEY, NOW, at};

fn string(bytes: &[u8]) -> Vec<u8> {
    [
        &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..],
        bytes,
    ]
    .concat()
}

fn plain(pair: &Ed25519Keypair) -> Vec<u8> {
    [string(b"ssh-ed25519"), string(pair.public.as_ref())].concat()
}

/// Extensions without a value, in their order.
fn permits(names: &[&str]) -> Vec<u8> {
    let both = |name: &&str| [string(name.as_bytes()), string(b"")].concat();
    names.iter().map(both).collect::<Vec<_>>().concat()
}

/// A certificate as it is written on the wire, field by field.
#[derive(Clone)]
struct Handmade {
    kind: u32,
    key_id: String,
    principals: Vec<u8>,
    valid_after: u64,
    valid_before: u64,
    options: Vec<u8>,
    extensions: Vec<u8>,
    signature_key: Vec<u8>,
    signature_kind: &'static [u8],
    tail: Vec<u8>,
    forged: bool,
}

fn ca() -> Ed25519Keypair {
    Ed25519Keypair::from_seed(&[1; 32])
}

fn start() -> u64 {
    u64::try_from(at(NOW).as_second()).unwrap()
}

impl Handmade {
    /// One that is good in every way.
    fn good() -> Self {
        Self {
            kind: 1,
            key_id: format!("login alice {KEY}"),
            principals: string(b"alice"),
            valid_after: start() - 60,
            valid_before: start() + 3600,
            options: Vec::new(),
            extensions: permits(&["permit-port-forwarding", "permit-pty"]),
            signature_key: plain(&ca()),
            signature_kind: b"ssh-ed25519",
            tail: Vec::new(),
            forged: false,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut made = Self::good();
        change(&mut made);
        made
    }

    fn option(name: &[u8], value: &[u8]) -> Self {
        // An option without a value is an empty string, not one that holds an empty string.
        let value = if value.is_empty() {
            string(b"")
        } else {
            string(&string(value))
        };
        Self::with(|made| made.options = [string(name), value].concat())
    }

    fn blob(&self) -> Vec<u8> {
        let subject = Ed25519Keypair::from_seed(&[2; 32]);
        let signed = [
            string(b"ssh-ed25519-cert-v01@openssh.com"),
            string(&[7; 32]),
            string(subject.public.as_ref()),
            42_u64.to_be_bytes().to_vec(),
            self.kind.to_be_bytes().to_vec(),
            string(self.key_id.as_bytes()),
            string(&self.principals),
            self.valid_after.to_be_bytes().to_vec(),
            self.valid_before.to_be_bytes().to_vec(),
            string(&self.options),
            string(&self.extensions),
            string(b""),
            string(&self.signature_key),
        ]
        .concat();
        let message = if self.forged {
            b"something else".to_vec()
        } else {
            signed.clone()
        };
        let signature = ca().sign(&message);
        let signature = [string(self.signature_kind), string(signature.as_bytes())].concat();
        [signed, string(&signature), self.tail.clone()].concat()
    }

    fn read(&self) -> Result<Certificate, Refusal> {
        Certificate::from_bytes(&self.blob()).map_err(|_odd| Refusal::Unreadable)
    }

    fn check(&self, source: &str, now: Timestamp) -> Result<LoginProof, Refusal> {
        let login_ca = PublicKey::from(ca().public);
        check_login_certificate(&self.read()?, &login_ca, source.parse().unwrap(), now)
    }
}

#[track_caller]
fn refused(made: &Handmade, want: &Refusal) {
    assert_eq!(made.check("192.0.2.1", at(NOW)).as_ref(), Err(want));
}

#[test]
fn a_good_certificate_says_who_it_is() {
    let proof = Handmade::good().check("192.0.2.1", at(NOW)).unwrap();
    assert_eq!(proof.principal.as_str(), "alice");
    assert_eq!(proof.serial, "42");
    let subject = PublicKey::from(Ed25519Keypair::from_seed(&[2; 32]).public);
    let fingerprint = subject
        .fingerprint(russh::keys::HashAlg::Sha256)
        .to_string();
    assert_eq!(proof.fingerprint, fingerprint);
    assert_eq!(
        proof.credential(),
        Credential::Certificate {
            serial: "42".into(),
            fingerprint,
            by_key: KEY.into(),
        }
    );
}

#[test]
fn a_host_certificate_is_no_login() {
    refused(&Handmade::with(|made| made.kind = 2), &Refusal::Host);
    refused(&Handmade::with(|made| made.kind = 3), &Refusal::Unreadable);
}

#[test]
fn a_certificate_for_nobody_is_not_one_for_anybody() {
    refused(
        &Handmade::with(|made| made.principals.clear()),
        &Refusal::Nobody,
    );
    refused(
        &Handmade::with(|made| made.principals = string(b"")),
        &Refusal::Nobody,
    );
}

#[test]
fn a_certificate_for_several_is_refused() {
    let two = [string(b"alice"), string(b"bob")].concat();
    refused(
        &Handmade::with(|made| made.principals = two),
        &Refusal::Several(2),
    );
}

#[test]
fn a_principal_that_is_no_name_is_refused() {
    for odd in [
        &b"alice,root"[..],
        b"*",
        b"Alice",
        b"al ice",
        b"-alice",
        b"alice\n",
        b"a\0",
    ] {
        let made = Handmade::with(|made| made.principals = string(odd));
        refused(&made, &Refusal::Principal);
    }
    refused(
        &Handmade::with(|made| made.principals = string(b"\xff")),
        &Refusal::Unreadable,
    );
}

#[test]
fn a_certificate_that_does_not_say_by_which_key_is_refused() {
    for odd in [
        "login alice".to_owned(),
        format!("login bob {KEY}"),
        format!("login alice  {KEY}"),
        format!("login alice {KEY}="),
        format!("login alice {KEY} "),
        format!("logon alice {KEY}"),
        "login alice SHA256:".to_owned(),
        format!("login alice MD5:{}", ["00"; 16].join(":")),
    ] {
        refused(
            &Handmade::with(|made| made.key_id = odd),
            &Refusal::Rootless,
        );
    }
}

#[test]
fn a_certificate_begins_with_a_minute_of_patience_and_ends_with_none() {
    let made = Handmade::good();
    let second = |count: u64| Timestamp::from_second(i64::try_from(count).unwrap()).unwrap();
    let nano = SignedDuration::from_nanos(1);
    let begin = second(made.valid_after) - SKEW_MAX;
    made.check("::1", begin).unwrap();
    assert_eq!(made.check("::1", begin - nano), Err(Refusal::NotYet));
    let end = second(made.valid_before);
    made.check("::1", end - nano).unwrap();
    assert_eq!(made.check("::1", end), Err(Refusal::Expired));
}

#[test]
fn a_window_that_ends_before_it_begins_is_over() {
    let made = Handmade::with(|made| made.valid_before = made.valid_after);
    refused(&made, &Refusal::Expired);
    let made = Handmade::with(|made| made.valid_before = made.valid_after - 1);
    refused(&made, &Refusal::Expired);
}

#[test]
fn a_certificate_for_ever_is_read_as_such() {
    let made = Handmade::with(|made| (made.valid_after, made.valid_before) = (0, u64::MAX));
    assert_eq!(
        made.check("::1", at(NOW)).unwrap().expires_at,
        Timestamp::MAX
    );
    let made =
        Handmade::with(|made| (made.valid_after, made.valid_before) = (u64::MAX - 1, u64::MAX));
    refused(&made, &Refusal::NotYet);
}

#[test]
fn critical_options_are_known_or_refused() {
    refused(
        &Handmade::option(b"force-command", b"ls"),
        &Refusal::ForceCommand,
    );
    refused(
        &Handmade::option(b"verify-required", b""),
        &Refusal::VerifyRequired,
    );
    let unknown = Refusal::CriticalOption("unknown@example".into());
    refused(&Handmade::option(b"unknown@example", b"x"), &unknown);
}

#[test]
fn a_certificate_works_from_its_addresses_alone() {
    let made = Handmade::option(b"source-address", b"192.0.2.0/24,2001:db8::/32");
    made.check("192.0.2.7", at(NOW)).unwrap();
    made.check("::ffff:192.0.2.7", at(NOW)).unwrap();
    made.check("2001:db8::7", at(NOW)).unwrap();
    assert_eq!(made.check("192.0.3.7", at(NOW)), Err(Refusal::Source));
    assert_eq!(made.check("::1", at(NOW)), Err(Refusal::Source));
    for odd in [
        &b""[..],
        b"*",
        b"192.0.2.1/24",
        b"!192.0.2.1",
        b"192.0.2.1,",
    ] {
        refused(
            &Handmade::option(b"source-address", odd),
            &Refusal::SourceList,
        );
    }
}

#[test]
fn an_unknown_extension_is_ignored() {
    let unknown = [string(b"unknown@example"), string(&string(b"x"))].concat();
    let made = Handmade::with(|made| made.extensions.extend(unknown));
    made.check("::1", at(NOW)).unwrap();
}

#[test]
fn a_certificate_that_permits_less_than_a_login_is_none() {
    for (carried, lacking) in [
        (&["permit-port-forwarding"][..], Extension::PermitPty),
        (&["permit-pty"], Extension::PermitPortForwarding),
        (&["permit-X11-forwarding"], Extension::PermitPty),
        (&[], Extension::PermitPty),
    ] {
        let made = Handmade::with(|made| made.extensions = permits(carried));
        refused(&made, &Refusal::Narrower(lacking));
    }
}

#[test]
fn another_ca_is_not_believed() {
    let login_ca = PublicKey::from(Ed25519Keypair::from_seed(&[3; 32]).public);
    let certificate = Handmade::good().read().unwrap();
    let found = check_login_certificate(&certificate, &login_ca, "::1".parse().unwrap(), at(NOW));
    assert_eq!(found, Err(Refusal::Authority));
}

#[test]
fn a_forged_signature_is_noticed() {
    refused(
        &Handmade::with(|made| made.forged = true),
        &Refusal::Signature,
    );
    // Our CA's key named, another's signature.
    let made = Handmade::with(|made| {
        made.signature_key = plain(&Ed25519Keypair::from_seed(&[3; 32]));
    });
    refused(&made, &Refusal::Authority);
}

#[test]
fn a_signature_of_another_kind_is_refused() {
    let made = Handmade::with(|made| made.signature_kind = b"ssh-rsa");
    refused(&made, &Refusal::SignatureKind);
    let made = Handmade::with(|made| made.signature_kind = b"rsa-sha2-512");
    refused(&made, &Refusal::SignatureKind);
}

#[test]
fn a_certificate_as_ca_key_is_refused() {
    // CVE-2025-49825 (Teleport): a CA "key" that is itself a certificate.
    let made = Handmade::with(|made| made.signature_key = Handmade::good().blob());
    let found = made.check("::1", at(NOW)).unwrap_err();
    let nested = Refusal::AuthorityKey(WeakKey::Certificate);
    assert!(found == nested || found == Refusal::Unreadable, "{found:?}");
    // And the other way round: a certificate given as the CA to believe.
    if let Ok(key) = PublicKey::from_bytes(&Handmade::good().blob()) {
        let certificate = Handmade::good().read().unwrap();
        let found = check_login_certificate(&certificate, &key, "::1".parse().unwrap(), at(NOW));
        assert_eq!(found, Err(nested));
    }
}

#[test]
fn bytes_behind_or_inside_a_certificate_are_refused() {
    let tail = Handmade::with(|made| made.tail = vec![0]);
    assert_eq!(tail.check("::1", at(NOW)), Err(Refusal::Unreadable));
    // Skipped by the parser, but part of what was signed.
    let hidden = [
        string(b"source-address"),
        string(&[string(b"::1"), vec![9]].concat()),
    ]
    .concat();
    let made = Handmade::with(|made| made.options = hidden);
    let found = made.check("::1", at(NOW)).unwrap_err();
    assert!(
        matches!(found, Refusal::Signature | Refusal::Unreadable),
        "{found:?}"
    );
    let twice = Handmade::option(b"source-address", b"::1")
        .options
        .repeat(2);
    let made = Handmade::with(|made| made.options = twice);
    assert_eq!(made.check("::1", at(NOW)), Err(Refusal::Unreadable));
    let short = Handmade::good().blob();
    for length in 0..short.len() {
        Certificate::from_bytes(&short[..length]).unwrap_err();
    }
}

#[test]
fn any_bit_changed_is_noticed() {
    let blob = Handmade::good().blob();
    let login_ca = PublicKey::from(ca().public);
    for at_byte in 0..blob.len() {
        let mut changed = blob.clone();
        changed[at_byte] ^= 0x10;
        if let Ok(certificate) = Certificate::from_bytes(&changed) {
            let source = "::1".parse().unwrap();
            check_login_certificate(&certificate, &login_ca, source, at(NOW)).unwrap_err();
        }
    }
}
