//! What opens a connection to a target.

use super::*;

#[test]
fn a_pass_for_ssh_is_what_stock_tools_expect() {
    let mut bench = Bench::new();
    let pass = bench.pass(terms(Protocol::Ssh, shell())).unwrap();
    let (key, certificate) = ssh_of(&pass);
    assert_eq!(certificate.public_key(), key.public_key().key_data());
    let Some(listed) = bench.keygen_list(&certificate.to_openssh().unwrap()) else {
        return;
    };
    let own = key.public_key().fingerprint(russh::keys::HashAlg::Sha256);
    let signer = certificate
        .signature_key()
        .fingerprint(russh::keys::HashAlg::Sha256);
    let keys = format!(
        "key-cert.pub:
        Type: ecdsa-sha2-nistp256-cert-v01@openssh.com user certificate
        Public key: ECDSA-CERT {own}
        Signing CA: ECDSA {signer} (using ecdsa-sha2-nistp256)
"
    );
    assert_eq!(
        listed.strip_prefix(&keys).unwrap_or(&listed),
        "        Key ID: \"ses_01kdyak3q00c1g60r30c1g60r3 grt_01kdyak3q00g2081040g208104 alice\"
        Serial: 8300427624173323478
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
    assert_eq!(format!("{}", pass.serial.unwrap()).len(), 32);
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
