//! What the bastion itself shows, and the seal.

use super::*;

#[test]
fn a_host_identity_names_its_hosts() {
    let mut bench = Bench::new();
    let host = bench
        .host(&["bastion.example", "127.0.0.1", "web1"])
        .unwrap();
    assert!(host.certificate.cert_type().is_host());
    assert_eq!(
        host.certificate.valid_principals(),
        ["bastion.example", "127.0.0.1", "web1"]
    );
    assert_eq!(
        host.certificate.public_key(),
        host.key.public_key().key_data()
    );
    for bad in [&[][..], &["*"], &["a,b"], &[""], &["web1", "*.example"]] {
        assert!(matches!(bench.host(bad), Err(IssueError::Names)), "{bad:?}");
        assert!(
            matches!(bench.server(bad), Err(IssueError::Names)),
            "{bad:?}"
        );
    }
}

#[test]
fn a_server_is_called_by_wildcards_below_its_own_names_alone() {
    let mut bench = Bench::new();
    let good = ["bastion.example", "127.0.0.1", "*.pg.bastion.example"];
    bench.server(&good).unwrap();
    assert!(matches!(bench.host(&good), Err(IssueError::Names)));
    let own: Vec<String> = (0..64).map(|n| format!("b{n}.example")).collect();
    let below: Vec<String> = own.iter().map(|name| format!("*.pg.{name}")).collect();
    let all: Vec<&str> = own.iter().chain(&below).map(String::as_str).collect();
    bench.server(&all).unwrap();
    for bad in [
        &["*.pg.bastion.example"][..],
        &["bastion.example", "*.pg.example"],
        &["bastion.example", "*.bastion.example"],
        &["bastion.example", "a.*.pg.bastion.example"],
        &["127.0.0.1", "*.pg.127.0.0.1"],
    ] {
        let refused = bench.server(bad);
        assert!(matches!(refused, Err(IssueError::Names)), "{bad:?}");
    }
}

#[test]
fn a_server_identity_is_believed_for_a_server_alone() {
    let mut bench = Bench::new();
    let server = bench.server(&["localhost", "127.0.0.1", "::1"]).unwrap();
    assert_eq!(server.chain_der.len(), 2);
    let fingerprint = crate::certificate_fingerprint(&server.chain_der[1]);
    assert_eq!(fingerprint, bench.authority.trust_bundle().fingerprint());
    assert!(fingerprint.starts_with("SHA256:"));
    let refused = check_login_x509(&server.chain_der[0], at(NOW));
    assert_eq!(refused, Err(credential::CertificateRefusal::Usage));
    bench.scratch.write("server.der", &server.chain_der[0]);
    bench
        .scratch
        .write("login.pem", bench.authority.trust_bundle().x509_login_ca);
    let time = at(NOW).as_second().to_string();
    let verify = |purpose: &str, name: [&str; 2]| {
        let arguments = [
            "verify",
            "-x509_strict",
            "-attime",
            &time,
            "-purpose",
            purpose,
            name[0],
            name[1],
            "-CAfile",
            "login.pem",
            "server.der",
        ];
        Some(bench.scratch.tool("openssl", &arguments)?.good)
    };
    let Some(believed) = verify("sslserver", ["-verify_hostname", "localhost"]) else {
        return;
    };
    assert!(believed);
    assert_eq!(verify("sslserver", ["-verify_ip", "127.0.0.1"]), Some(true));
    assert_eq!(verify("sslserver", ["-verify_ip", "::1"]), Some(true));
    assert_eq!(
        verify("sslserver", ["-verify_hostname", "web1"]),
        Some(false)
    );
    assert_eq!(
        verify("sslclient", ["-verify_hostname", "localhost"]),
        Some(false)
    );
}

#[test]
fn the_login_ca_itself_is_no_login() {
    let bench = Bench::new();
    let refused = check_login_x509(bench.authority.login_anchor(), at(NOW));
    assert_eq!(
        refused,
        Err(credential::CertificateRefusal::CertificateAuthority)
    );
}

#[test]
fn checkpoints_are_signed_by_the_seal_that_the_bundle_names() {
    let bench = Bench::new();
    let sealer = bench.authority.sealer();
    let key = PublicKey::from_openssh(&bench.authority.trust_bundle().seal).unwrap();
    assert_eq!(key.key_data().ed25519().unwrap().0, sealer.public_key());
    aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ED25519,
        sealer.public_key(),
    )
    .verify(b"checkpoint", &sealer.sign(b"checkpoint"))
    .unwrap();
}

#[test]
fn nothing_secret_is_printed() {
    let mut bench = Bench::new();
    let ssh = bench.pass(terms(Protocol::Ssh, shell())).unwrap();
    let postgres = bench.pass(terms(Protocol::Postgres, shell())).unwrap();
    let server = bench.server(&["localhost"]).unwrap();
    let printed = format!(
        "{ssh:?} {postgres:?} {server:?} {:?} {:?}",
        bench.authority,
        bench.authority.sealer()
    );
    // How PKCS #8 begins, with a key for Ed25519 and for P-256.
    for secret in ["BEGIN", "48, 46, 2, 1", "48, 129, 135, 2, 1"] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(printed.contains("Ed25519Key(..)"));
}

#[test]
fn the_bastion_keeps_its_host_key_over_renewals_and_restarts() {
    let mut bench = Bench::new();
    let first = bench.host(&["bastion.example"]).unwrap();
    let other = bench.host(&["web1"]).unwrap();
    assert_eq!(first.key.key_data(), other.key.key_data());
    assert_ne!(first.serial, other.serial);
    let shown = bench.authority.trust_bundle().ssh_host.unwrap();
    let shown = PublicKey::from_openssh(&shown).unwrap();
    assert_eq!(shown.key_data(), first.key.public_key().key_data());
}
