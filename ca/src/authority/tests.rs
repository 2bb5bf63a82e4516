use std::net::IpAddr;
use std::sync::{LazyLock, Mutex};

use jiff::SignedDuration;
use policies::{Capabilities, Capability, PrincipalName};
use proptest::prelude::*;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use zeroize::Zeroizing;

use super::*;
use crate::applicant::Applicant;
use crate::fixtures::{Bench, Dice, NOW, Notebook, Step, at, run, session, terms};
use crate::{
    Intent, LOGIN_LIFETIME_MAX, Outcome, check_login_certificate, check_login_x509, credential,
};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

fn shell() -> Capabilities {
    [Capability::Shell, Capability::Exec].into()
}

impl Bench {
    fn pass(&mut self, terms: Terms) -> Result<Pass, IssueError> {
        let order = PassOrder {
            session: session(),
            now: at(NOW),
            source_address: Some("127.0.0.1".parse().unwrap()),
            rng: &mut self.dice,
        };
        run(self.authority.pass(terms, order, &self.journal))
    }

    fn halt(&mut self, terms: &Terms) -> Result<Pass, IssueError> {
        let order = PassOrder {
            session: session(),
            now: at(NOW),
            source_address: None,
            rng: &mut self.dice,
        };
        run(self.authority.issue_halt(terms, order, &self.journal))
    }

    fn login(
        &mut self,
        key: &str,
        request: &str,
        lifetime: SignedDuration,
    ) -> Result<LoginCertificates, IssueError> {
        let order = LoginOrder {
            principal: &PrincipalName::parse("alice").unwrap(),
            ssh_public_key: key,
            csr_pem: request,
            lifetime,
            now: at(NOW),
            rng: &mut self.dice,
        };
        run(self.authority.issue_login(order, &self.journal))
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn host(&mut self, names: &[&str]) -> Result<HostIdentity, IssueError> {
        let names = Self::names(names);
        let order = HostOrder {
            names: &names,
            now: at(NOW),
            lifetime: HOUR,
            rng: &mut self.dice,
        };
        run(self.authority.issue_host(order, &self.journal))
    }

    fn server(&mut self, names: &[&str]) -> Result<ServerIdentity, IssueError> {
        let names = Self::names(names);
        let order = HostOrder {
            names: &names,
            now: at(NOW),
            lifetime: HOUR,
            rng: &mut self.dice,
        };
        run(self.authority.issue_server(order, &self.journal))
    }

    fn intent(&self) -> Intent {
        self.journal.intents.lock().unwrap().last().unwrap().clone()
    }

    /// What `ssh-keygen -L` says, without the name of the file.
    fn keygen_list(&self, line: &str) -> Option<String> {
        self.scratch.write("key-cert.pub", line);
        let printed = self
            .scratch
            .tool("ssh-keygen", &["-L", "-f", "key-cert.pub"])?;
        assert!(printed.good, "{}", printed.text);
        Some(printed.text)
    }
}

fn applicant() -> Applicant {
    Applicant::create(&Zeroizing::new([9; 32])).unwrap()
}

fn ssh_of(pass: &Pass) -> (&PrivateKey, &Certificate) {
    match &pass.key {
        PassKey::Ssh { key, certificate } => (key, certificate),
        PassKey::Postgres { .. } => panic!("not a pass for ssh"),
    }
}

fn der_of(pass: &Pass) -> &[u8] {
    match &pass.key {
        PassKey::Postgres { chain_der, .. } => &chain_der[0],
        PassKey::Ssh { .. } => panic!("not a pass for PostgreSQL"),
    }
}

#[test]
fn a_pass_for_ssh_is_what_stock_tools_expect() {
    let mut bench = Bench::new();
    let pass = bench.pass(terms(Protocol::Ssh, shell())).unwrap();
    let (key, certificate) = ssh_of(&pass);
    assert_eq!(certificate.public_key(), key.public_key().key_data());
    let Some(listed) = bench.keygen_list(&certificate.to_openssh().unwrap()) else {
        return;
    };
    assert_eq!(
        listed,
        "key-cert.pub:
        Type: ssh-ed25519-cert-v01@openssh.com user certificate
        Public key: ED25519-CERT SHA256:mKOXbTgczDhT2+4zSxcC7eL22HQmPUwJ8/uUqUEkUPk
        Signing CA: ED25519 SHA256:sDV+Xo1mCX2W9D9W0bbx36iAA8lrFNNv1miNnXmu2yA (using ssh-ed25519)
        Key ID: \"ses_01kdyak3q00c1g60r30c1g60r3 grt_01kdyak3q00g2081040g208104 alice\"
        Serial: 15502325831194917161
        Valid: from 2026-01-02T03:03:05 to 2026-01-02T03:09:05
        Principals: 
                deploy
        Critical Options: 
                source-address 127.0.0.1/32
        Extensions: 
                permit-pty
"
    );
}

#[test]
fn a_pass_permits_what_its_capabilities_name_and_no_more() {
    let mut bench = Bench::new();
    let mut check = |capabilities: &[Capability], want: &[&str]| {
        let terms = terms(Protocol::Ssh, capabilities.iter().copied().collect());
        let pass = bench.pass(terms).unwrap();
        let found: Vec<_> = ssh_of(&pass).1.extensions().keys().cloned().collect();
        assert_eq!(found, want);
    };
    check(&[], &[]);
    check(&[Capability::SftpRead, Capability::SftpWrite], &[]);
    check(&[Capability::Shell], &["permit-pty"]);
    check(&[Capability::Exec], &["permit-pty"]);
    check(&[Capability::ForwardPort], &["permit-port-forwarding"]);
    check(&[Capability::ReversePort], &["permit-port-forwarding"]);
    check(&[Capability::ForwardAgent], &["permit-agent-forwarding"]);
    check(&[Capability::ForwardX11], &["permit-X11-forwarding"]);
}

#[test]
fn a_pass_never_outlives_its_permit() {
    let mut bench = Bench::new();
    let mut terms = terms(Protocol::Ssh, shell());
    terms.until = at("2026-01-02T03:05:00.9Z");
    let pass = bench.pass(terms.clone()).unwrap();
    assert_eq!(pass.expires_at, at("2026-01-02T03:05:00Z"));
    terms.until = at("2026-01-02T03:04:05.9Z");
    assert!(matches!(bench.pass(terms), Err(IssueError::NothingLeft)));
    assert_eq!(bench.journal.intents.lock().unwrap().len(), 1);
}

#[test]
fn every_pass_has_its_own_key_and_serial() {
    let mut bench = Bench::new();
    let one = bench.pass(terms(Protocol::Ssh, shell())).unwrap();
    let two = bench.pass(terms(Protocol::Ssh, shell())).unwrap();
    assert_ne!(one.serial, two.serial);
    assert_ne!(ssh_of(&one).1.public_key(), ssh_of(&two).1.public_key());
    assert_ne!(ssh_of(&one).1.nonce(), ssh_of(&two).1.nonce());
}

#[test]
fn a_pass_for_postgres_names_role_session_grant_and_person() {
    let mut bench = Bench::new();
    let pass = bench
        .pass(terms(Protocol::Postgres, [Capability::Sql].into()))
        .unwrap();
    let (_, read) = x509_parser::parse_x509_certificate(der_of(&pass)).unwrap();
    let subject = format!(
        "CN=deploy, OU={} {}, uid=alice",
        session(),
        pass.terms.grant
    );
    assert_eq!(read.subject().to_string(), subject);
    assert_eq!(format!("{}", pass.serial).len(), 32);
    assert_eq!(
        read.validity().not_after.timestamp(),
        at("2026-01-02T03:09:04Z").as_second()
    );
    assert_eq!(
        read.validity().not_before.timestamp(),
        at("2026-01-02T03:03:05Z").as_second()
    );
}

#[test]
fn a_pass_for_postgres_is_what_openssl_believes_for_a_client_alone() {
    let mut bench = Bench::new();
    let pass = bench
        .pass(terms(Protocol::Postgres, [Capability::Sql].into()))
        .unwrap();
    bench.scratch.write("pass.der", der_of(&pass));
    bench
        .scratch
        .write("target.pem", bench.authority.trust_bundle().x509_target_ca);
    bench
        .scratch
        .write("login.pem", bench.authority.trust_bundle().x509_login_ca);
    let time = at(NOW).as_second().to_string();
    let verify = |ca: &str, purpose: &str| {
        let arguments = [
            "verify",
            "-x509_strict",
            "-attime",
            &time,
            "-purpose",
            purpose,
            "-CAfile",
            ca,
            "pass.der",
        ];
        Some(bench.scratch.tool("openssl", &arguments)?.good)
    };
    let Some(believed) = verify("target.pem", "sslclient") else {
        return;
    };
    assert!(believed);
    assert_eq!(verify("target.pem", "sslserver"), Some(false));
    assert_eq!(verify("login.pem", "sslclient"), Some(false), "another CA");
}

#[test]
fn a_halt_lives_a_minute_also_after_its_permit() {
    let mut bench = Bench::new();
    let mut ended = terms(Protocol::Postgres, [Capability::Sql].into());
    ended.until = at("2026-01-01T00:00:00Z");
    let pass = bench.halt(&ended).unwrap();
    assert_eq!(pass.expires_at, at("2026-01-02T03:05:05Z"));
    assert_eq!(bench.intent().purpose, Purpose::Halt);
    let ssh = terms(Protocol::Ssh, shell());
    assert!(matches!(bench.halt(&ssh), Err(IssueError::NotPostgres)));
}

#[test]
fn the_intent_is_written_before_the_outcome_and_both_name_the_certificate() {
    let mut bench = Bench::new();
    let pass = bench.pass(terms(Protocol::Ssh, shell())).unwrap();
    let intent = bench.intent();
    assert_eq!(intent.serial, pass.serial);
    assert_eq!(intent.signer, crate::KeyName::SshUserCa);
    let (key, certificate) = ssh_of(&pass);
    assert_eq!(
        intent.fingerprint,
        key.fingerprint(russh::keys::HashAlg::Sha256).to_string()
    );
    let sha256 = crate::fingerprint::hex(&certificate.to_bytes().unwrap());
    let outcomes = bench.journal.outcomes.lock().unwrap();
    assert_eq!(*outcomes, [(pass.serial, Outcome::Signed { sha256 })]);
}

#[test]
fn without_a_journal_nothing_is_handed_out() {
    for step in [Step::Intend, Step::Conclude] {
        let mut bench = Bench::new();
        bench.journal = Notebook {
            fails_at: Some(step),
            ..Notebook::default()
        };
        for terms in [
            terms(Protocol::Ssh, shell()),
            terms(Protocol::Postgres, shell()),
        ] {
            assert!(
                matches!(bench.pass(terms), Err(IssueError::Journal(_))),
                "{step:?}"
            );
        }
        assert!(matches!(bench.host(&["web1"]), Err(IssueError::Journal(_))));
        assert!(matches!(
            bench.server(&["localhost"]),
            Err(IssueError::Journal(_))
        ));
    }
}

#[test]
fn what_is_not_signed_is_in_the_journal_as_failed() {
    let mut bench = Bench::new();
    let window = Window::new(at(NOW), HOUR, None).unwrap();
    let mut dice = Dice::new(1);
    let key = Ed25519Key::generate(&mut dice, "x").unwrap();
    // A host certificate with the contents of an X.509 one: cannot be signed.
    let contents = Contents::X509 {
        common_name: "tidegate".into(),
        unit: None,
        user_id: None,
        names: vec!["web1".into()],
    };
    let serial = Serial::draw_ssh(&mut dice);
    let key_id = KeyId::of_host("web1");
    let draft = Draft {
        purpose: Purpose::Host,
        serial,
        key_id,
        window,
        contents,
    };
    let form = SshForm::new(key.public_key().key_data().clone(), &mut dice);
    let prepared = Prepared::new(draft, form).unwrap();
    let refused = run(prepared.issue(&bench.authority.keys, &bench.journal));
    assert!(matches!(refused, Err(IssueError::Mixed)));
    let outcomes = bench.journal.outcomes.lock().unwrap();
    assert!(matches!(&outcomes[..], [(one, Outcome::Failed { .. })] if *one == serial));
    drop(outcomes);
    bench.journal = Notebook::default();
}

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
    assert_eq!(proof.expires_at, made.expires_at);
    let (rest, block) = x509_parser::pem::parse_x509_pem(made.x509_chain_pem.as_bytes()).unwrap();
    assert!(rest.trim_ascii().is_empty());
    let proof = check_login_x509(&block.contents, at(NOW)).unwrap();
    assert_eq!(proof.principal.as_str(), "alice");
    assert_eq!(proof.serial, made.x509_serial.to_string());
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
    assert!(
        !printed.contains("BEGIN") && !printed.contains("48, "),
        "{printed}"
    );
    assert!(printed.contains("Ed25519Key(..)"));
}

/// Any principal, login, capabilities, window and address that policies could let through.
fn any_terms() -> impl Strategy<Value = (Terms, Option<IpAddr>, i64)> {
    let all = [
        Capability::Shell,
        Capability::Exec,
        Capability::SftpRead,
        Capability::SftpWrite,
        Capability::ForwardPort,
        Capability::ReversePort,
        Capability::ForwardAgent,
        Capability::ForwardX11,
    ];
    (
        "[a-z0-9][a-z0-9._@-]{0,63}",
        "[A-Za-z0-9_][A-Za-z0-9._$-]{0,62}",
        proptest::sample::subsequence(all.to_vec(), 0..=8),
        any::<bool>(),
        proptest::option::of(any::<IpAddr>()),
        1_i64..100_000_000_000,
    )
        .prop_map(
            |(principal, login, capabilities, postgres, source, millis)| {
                let protocol = if postgres {
                    Protocol::Postgres
                } else {
                    Protocol::Ssh
                };
                let mut terms = terms(protocol, capabilities.into_iter().collect());
                terms.principal = PrincipalName::parse(&principal).unwrap();
                terms.login = policies::Login::parse(&login).unwrap();
                (terms, source, millis)
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_issued_reads_back_as_intended((mut terms, source_address, millis) in any_terms()) {
        static BENCH: LazyLock<Mutex<Bench>> = LazyLock::new(|| Mutex::new(Bench::new()));
        let Bench { authority, journal, dice, .. } = &mut *BENCH.lock().unwrap();
        let now = at(NOW);
        terms.until = now + SignedDuration::from_millis(1000 + millis);
        let login = terms.login.clone();
        let order =
            PassOrder { session: session(), now, source_address, rng: dice };
        let pass = run(authority.pass(terms, order, journal)).unwrap();
        prop_assert!(pass.expires_at <= pass.terms.until);
        prop_assert!(pass.expires_at <= now + PASS_LIFETIME_MAX);
        if let PassKey::Ssh { certificate, .. } = &pass.key {
            prop_assert_eq!(certificate.valid_principals(), [login.as_str()]);
            let text = certificate.to_openssh().unwrap();
            prop_assert_eq!(&credential::read_certificate(&text).unwrap(), certificate);
        }
    }
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
fn a_security_key_is_certified_too() {
    let mut bench = Bench::new();
    let request = applicant().signing_request().unwrap();
    let point = Ed25519Keypair::from_seed(&[5; 32]).public;
    let sk = russh::keys::ssh_key::public::SkEd25519::new(point, "ssh:");
    let key = PublicKey::from(sk);
    let made = bench
        .login(&key.to_openssh().unwrap(), &request, HOUR)
        .unwrap();
    assert!(made.ssh.starts_with("sk-ssh-ed25519-cert-v01@openssh.com "));
}
