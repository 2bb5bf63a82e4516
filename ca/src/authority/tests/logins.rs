//! What opens the way into the bastion.

use super::*;

#[test]
fn a_login_gives_two_certificates_that_are_believed() {
    let mut bench = Bench::new();
    let applicant = applicant();
    let made = bench
        .login(
            &applicant.ssh_public().unwrap(),
            &applicant.signing_request().unwrap(),
            HOUR,
        )
        .unwrap();
    assert_eq!(made.expires_at, at("2026-01-02T04:04:05Z"));
    let certificate = credential::read_certificate(&made.ssh).unwrap();
    let source: IpAddr = "192.0.2.1".parse().unwrap();
    let proof =
        check_login_certificate(&certificate, bench.authority.login_ca(), source, at(NOW)).unwrap();
    assert_eq!(proof.principal.as_str(), "alice");
    assert_eq!(proof.serial, made.ssh_serial.to_string());
    assert_eq!(proof.by_key, KEY);
    assert_eq!(proof.expires_at, made.expires_at);
    let (rest, block) = x509_parser::pem::parse_x509_pem(made.x509_chain_pem.as_bytes()).unwrap();
    assert!(rest.trim_ascii().is_empty());
    let proof = check_login_x509(&block.contents, at(NOW)).unwrap();
    assert_eq!(proof.principal.as_str(), "alice");
    assert_eq!(proof.serial, made.x509_serial.to_string());
    assert_eq!(proof.by_key, KEY);
    assert_eq!(proof.expires_at, made.expires_at);
    let at_end = check_login_x509(&block.contents, made.expires_at);
    assert_eq!(at_end, Err(credential::CertificateRefusal::Expired));
    let last = made
        .expires_at
        .checked_sub(SignedDuration::from_nanos(1))
        .unwrap();
    check_login_x509(&block.contents, last).unwrap();
}

#[test]
fn a_login_certificate_with_any_bit_changed_is_not_believed() {
    let mut bench = Bench::new();
    let applicant = applicant();
    let public = applicant.ssh_public().unwrap();
    let request = applicant.signing_request().unwrap();
    let made = bench.login(&public, &request, HOUR).unwrap();
    let certificate = credential::read_certificate(&made.ssh).unwrap();
    let login_ca = bench.authority.login_ca();
    assert_eq!(login_ca.algorithm().as_str(), "ecdsa-sha2-nistp256");
    let source: IpAddr = "192.0.2.1".parse().unwrap();
    let whole = certificate.to_bytes().unwrap();
    let mut wrong_signatures = 0;
    for (place, bit) in (0..whole.len()).flat_map(|place| [0, 3, 7].map(|bit| (place, bit))) {
        let mut bent = whole.clone();
        bent[place] ^= 1 << bit;
        let Ok(bent) = Certificate::from_bytes(&bent) else {
            continue;
        };
        let believed = check_login_certificate(&bent, login_ca, source, at(NOW));
        if believed == Err(credential::CertificateRefusal::Signature) {
            wrong_signatures += 1;
        }
        assert!(believed.is_err(), "bit {bit} of byte {place}");
    }
    assert!(wrong_signatures > 300, "{wrong_signatures}");
}

#[test]
fn no_target_trusts_what_signs_logins() {
    let mut bench = Bench::new();
    let bundle = bench.authority.trust_bundle();
    let keys = [
        &bundle.ssh_user_ca,
        &bundle.ssh_login_ca,
        &bundle.ssh_host_ca,
        &bundle.seal,
    ];
    let blobs: std::collections::BTreeSet<_> = keys
        .iter()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(blobs.len(), 4);
    assert_ne!(bundle.x509_target_ca, bundle.x509_login_ca);
    let applicant = applicant();
    let made = bench
        .login(
            &applicant.ssh_public().unwrap(),
            &applicant.signing_request().unwrap(),
            HOUR,
        )
        .unwrap();
    let certificate = credential::read_certificate(&made.ssh).unwrap();
    let user_ca = PublicKey::from_openssh(&bundle.ssh_user_ca).unwrap();
    assert_ne!(certificate.signature_key(), user_ca.key_data());
}

#[test]
fn weak_keys_and_forged_requests_get_no_login() {
    let mut bench = Bench::new();
    let (key, request) = (
        applicant().ssh_public().unwrap(),
        applicant().signing_request().unwrap(),
    );
    let mut refused =
        |key: &str, request: &str, lifetime| bench.login(key, request, lifetime).unwrap_err();
    let too_long = LOGIN_LIFETIME_MAX + SignedDuration::from_secs(2);
    assert!(matches!(
        refused(&key, &request, too_long),
        IssueError::Lifetime { .. }
    ));
    assert!(matches!(
        refused(&key, &request, SignedDuration::ZERO),
        IssueError::NothingLeft
    ));
    assert!(matches!(
        refused("ssh-ed25519 nonsense", &request, HOUR),
        IssueError::SshKey(_)
    ));
    assert!(matches!(
        refused(&key, "nonsense", HOUR),
        IssueError::Request(_)
    ));
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let other = rcgen::CertificateParams::default()
        .serialize_request(&other)
        .unwrap();
    assert!(matches!(
        refused(&key, &other.pem().unwrap(), HOUR),
        IssueError::Request(_)
    ));
    assert!(bench.journal.intents.lock().unwrap().is_empty());
}

#[test]
fn a_certificate_is_not_a_key_to_certify() {
    let mut bench = Bench::new();
    let applicant = applicant();
    let request = applicant.signing_request().unwrap();
    let made = bench
        .login(&applicant.ssh_public().unwrap(), &request, HOUR)
        .unwrap();
    let refused = bench.login(&made.ssh, &request, HOUR).unwrap_err();
    assert!(
        matches!(refused, IssueError::SshKey(_) | IssueError::WeakKey(_)),
        "{refused:?}"
    );
}

#[test]
fn an_openssh_key_is_certified_whatever_its_kind() {
    let mut bench = Bench::new();
    let request = applicant().signing_request().unwrap();
    for (name, arguments) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("p256", &["-t", "ecdsa", "-b", "256"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        let all = [&["-q", "-N", "", "-C", "me", "-f", name], arguments].concat();
        let Some(printed) = bench.scratch.tool("ssh-keygen", &all) else {
            return;
        };
        assert!(printed.good, "{}", printed.text);
        let line =
            std::fs::read_to_string(bench.scratch.path().join(format!("{name}.pub"))).unwrap();
        let made = bench.login(&line, &request, HOUR).unwrap();
        let certificate = credential::read_certificate(&made.ssh).unwrap();
        let source = "::1".parse().unwrap();
        check_login_certificate(&certificate, bench.authority.login_ca(), source, at(NOW)).unwrap();
        bench.keygen_list(&made.ssh).unwrap();
    }
    let all = ["-q", "-N", "", "-f", "weak", "-t", "rsa", "-b", "1024"];
    if bench
        .scratch
        .tool("ssh-keygen", &all)
        .is_some_and(|printed| printed.good)
    {
        let line = std::fs::read_to_string(bench.scratch.path().join("weak.pub")).unwrap();
        assert!(matches!(
            bench.login(&line, &request, HOUR),
            Err(IssueError::WeakKey(_))
        ));
    }
}

#[test]
fn a_key_in_a_token_is_not_certified() {
    let mut bench = Bench::new();
    let request = applicant().signing_request().unwrap();
    let point = Ed25519Keypair::from_seed(&[5; 32]).public;
    let sk = russh::keys::ssh_key::public::SkEd25519::new(point, "ssh:");
    let key = PublicKey::from(sk);
    assert!(matches!(
        bench.login(&key.to_openssh().unwrap(), &request, HOUR),
        Err(IssueError::WeakKey(crate::WeakKey::InToken))
    ));
}
