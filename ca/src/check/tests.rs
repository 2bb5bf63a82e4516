//! Each field of a certificate that differs from its intent is noticed.

use std::net::IpAddr;

use jiff::SignedDuration;
use rcgen::PublicKeyData;
use russh::keys::PublicKey;
use rustls_pki_types::CertificateDer;

use crate::fixtures::{Bench, Dice, NOW, at, run};
use crate::intent::{Contents, Draft, Extension, Form, Intent, Prepared, Purpose};
use crate::keys::{Ed25519Key, P256Key};
use crate::ssh::SshForm;
use crate::window::Window;
use crate::x509::X509Form;
use crate::{IssueError, KeyId, Serial};

fn later(at: &mut jiff::Timestamp) {
    *at = at.checked_add(SignedDuration::from_secs(1)).unwrap();
}

#[track_caller]
fn differs<T: std::fmt::Debug>(found: Result<T, IssueError>, want: &str) {
    match found {
        Err(IssueError::Differs(what)) => assert_eq!(what, want),
        other => panic!("{want}: {other:?}"),
    }
}

struct Signed {
    blob: Vec<u8>,
    intent: Intent,
    signer: PublicKey,
}

fn signed_ssh(bench: &mut Bench) -> Signed {
    let dice = &mut bench.dice;
    let key = Ed25519Key::generate(dice, "x").unwrap();
    let contents = Contents::Ssh {
        principals: vec!["deploy".into()],
        source_address: Some("127.0.0.1".parse().unwrap()),
        force_command: None,
        extensions: [Extension::PermitPty].into(),
    };
    let draft = Draft {
        purpose: Purpose::SshPass,
        serial: Serial::draw_ssh(dice),
        key_id: KeyId::of_host("anything"),
        window: Window::new(at(NOW), SignedDuration::from_secs(60), None).unwrap(),
        contents,
    };
    let form = SshForm::new(key.public_key().key_data().clone(), dice);
    let keys = bench.authority.keys();
    let made = run(Prepared::new(draft, form)
        .unwrap()
        .issue(keys, &bench.journal))
    .unwrap();
    let intent = bench
        .journal
        .intents
        .lock()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    Signed {
        blob: made.to_bytes().unwrap(),
        intent,
        signer: keys.ssh_user_ca.public().clone(),
    }
}

#[test]
fn an_ssh_certificate_that_differs_is_noticed() {
    let mut bench = Bench::new();
    let Signed {
        blob,
        intent,
        signer,
    } = signed_ssh(&mut bench);
    super::ssh(&blob, &intent, &signer).unwrap();
    let check = |want: &str, change: &dyn Fn(&mut Intent)| {
        let mut other = intent.clone();
        change(&mut other);
        differs(super::ssh(&blob, &other, &signer), want);
    };
    check("key", &|one| one.fingerprint = "SHA256:x".into());
    check("serial", &|one| one.serial = Serial::Ssh(1));
    check("type", &|one| one.purpose = Purpose::Host);
    check("key id", &|one| one.key_id = KeyId::of_host("another"));
    check("start", &|one| later(&mut one.valid_from));
    check("end", &|one| later(&mut one.expires_at));
    let contents =
        |principal: &str, source: Option<&str>, extensions: &[Extension]| Contents::Ssh {
            principals: vec![principal.into()],
            source_address: source.map(|text| text.parse::<IpAddr>().unwrap()),
            force_command: None,
            extensions: extensions.iter().copied().collect(),
        };
    let pty = [Extension::PermitPty];
    check("principals", &|one| {
        one.contents = contents("root", Some("127.0.0.1"), &pty);
    });
    check("critical options", &|one| {
        one.contents = contents("deploy", None, &pty);
    });
    check("critical options", &|one| {
        one.contents = contents("deploy", Some("127.0.0.2"), &pty);
    });
    check("critical options", &|one| {
        if let Contents::Ssh { force_command, .. } = &mut one.contents {
            *force_command = Some("/x".to_owned());
        }
    });
    check("extensions", &|one| {
        one.contents = contents("deploy", Some("127.0.0.1"), &[]);
    });
    check("extensions", &|one| {
        one.contents = contents("deploy", Some("127.0.0.1"), &Extension::ALL);
    });
    let other = bench.authority.login_ca();
    differs(super::ssh(&blob, &intent, other), "signing key");
}

#[test]
fn an_ssh_certificate_with_any_byte_changed_is_noticed() {
    let mut bench = Bench::new();
    let Signed {
        blob,
        intent,
        signer,
    } = signed_ssh(&mut bench);
    for at in 0..blob.len() {
        let mut changed = blob.clone();
        changed[at] ^= 1;
        super::ssh(&changed, &intent, &signer).unwrap_err();
    }
    for length in 0..blob.len() {
        super::ssh(&blob[..length], &intent, &signer).unwrap_err();
    }
    differs(
        super::ssh(&[&blob[..], &[0]].concat(), &intent, &signer),
        "length",
    );
}

fn signed_x509(bench: &mut Bench) -> (CertificateDer<'static>, Intent) {
    let key = P256Key::fresh().unwrap();
    let contents = Contents::X509 {
        common_name: "app_ro".into(),
        unit: Some("a session".into()),
        user_id: Some("alice".into()),
        names: Vec::new(),
    };
    let draft = Draft {
        purpose: Purpose::PostgresPass,
        serial: Serial::draw_x509(&mut bench.dice),
        key_id: KeyId::of_host("anything"),
        window: Window::new(at(NOW), SignedDuration::from_secs(60), None).unwrap(),
        contents,
    };
    let keys = bench.authority.keys();
    let prepared = Prepared::new(draft, X509Form { key }).unwrap();
    let made = run(prepared.issue(keys, &bench.journal)).unwrap();
    let intent = bench
        .journal
        .intents
        .lock()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    (made.der().clone(), intent)
}

#[test]
fn an_x509_certificate_that_differs_is_noticed() {
    let mut bench = Bench::new();
    let (der, intent) = signed_x509(&mut bench);
    let anchor = bench.authority.keys().x509_target_ca.certificate();
    super::x509(&der, &intent, anchor).unwrap();
    let check = |want: &str, change: &dyn Fn(&mut Intent)| {
        let mut other = intent.clone();
        change(&mut other);
        differs(super::x509(&der, &other, anchor), want);
    };
    check("key", &|one| one.fingerprint = "SHA256:x".into());
    check("serial", &|one| one.serial = Serial::X509([1; 16]));
    check("start", &|one| later(&mut one.valid_from));
    check("end", &|one| later(&mut one.expires_at));
    check("extended key usage", &|one| one.purpose = Purpose::Server);
    let contents = |common_name: &str, unit: Option<&str>, names: &[&str]| Contents::X509 {
        common_name: common_name.into(),
        unit: unit.map(Into::into),
        user_id: Some("alice".into()),
        names: names.iter().map(|&name| name.into()).collect(),
    };
    let unit = Some("a session");
    check("subject", &|one| {
        one.contents = contents("postgres", unit, &[]);
    });
    check("subject", &|one| {
        one.contents = contents("app_ro", None, &[]);
    });
    check("subject", &|one| {
        one.contents = contents("app_ro", Some("x"), &[]);
    });
    check("names", &|one| {
        one.contents = contents("app_ro", unit, &["web1"]);
    });
    differs(
        super::x509(&der, &intent, bench.authority.login_anchor()),
        "issuer",
    );
}

#[test]
fn an_x509_certificate_with_any_byte_changed_is_noticed() {
    let mut bench = Bench::new();
    let (der, intent) = signed_x509(&mut bench);
    let anchor = bench.authority.keys().x509_target_ca.certificate();
    for at in 0..der.len() {
        let mut changed = der.to_vec();
        changed[at] ^= 1;
        super::x509(&changed.into(), &intent, anchor).unwrap_err();
    }
    let longer = [&der[..], &[0]].concat();
    differs(super::x509(&longer.into(), &intent, anchor), "encoding");
}

#[test]
fn a_certificate_by_the_right_name_and_the_wrong_key_is_noticed() {
    let mut bench = Bench::new();
    let (_, intent) = signed_x509(&mut bench);
    let anchor = bench.authority.keys().x509_target_ca.certificate();
    // Another CA that calls itself the same and certifies the same.
    let stranger = rcgen::KeyPair::generate().unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(anchor, stranger).unwrap();
    let key = P256Key::fresh().unwrap();
    let mut intent = intent;
    intent.fingerprint = X509Form { key: &key }.fingerprint().unwrap();
    let forged = crate::x509::parameters(&intent)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    assert!(!key.subject_public_key_info().is_empty());
    differs(super::x509(forged.der(), &intent, anchor), "chain");
}

#[test]
fn serials_are_positive_and_of_full_length() {
    let mut dice = Dice::new(1);
    for _ in 0..1000 {
        let Serial::X509([first, ..]) = Serial::draw_x509(&mut dice) else {
            panic!("not X.509")
        };
        assert!((0x40..0x80).contains(&first));
        assert!(!matches!(Serial::draw_ssh(&mut dice), Serial::Ssh(0)));
    }
}
