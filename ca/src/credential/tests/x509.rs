//! Client certificates, each with one thing wrong.

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

use super::*;

fn check(change: impl FnOnce(&mut CertificateParams)) -> Result<LoginProof, Refusal> {
    check_with(&KeyPair::generate().unwrap(), change)
}

fn check_with(
    key: &KeyPair,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<LoginProof, Refusal> {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 3);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "alice");
    params
        .distinguished_name
        .push(DnType::OrganizationalUnitName, KEY);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    check_login_x509(params.self_signed(key).unwrap().der(), at(NOW))
}

#[test]
fn a_good_one_names_its_principal() {
    let proof = check(|_| {}).unwrap();
    assert_eq!(
        (proof.principal.as_str(), proof.by_key.as_str()),
        ("alice", KEY)
    );
}

#[test]
fn one_that_does_not_say_by_which_key_is_refused() {
    for odd in [
        "",
        "sre",
        "SHA256:x",
        &format!("{KEY} "),
        &KEY.to_lowercase(),
    ] {
        let found = check(|params| {
            params
                .distinguished_name
                .push(DnType::OrganizationalUnitName, odd);
        });
        assert_eq!(found, Err(Refusal::Rootless), "{odd:?}");
    }
    let found = check(|params| {
        params
            .distinguished_name
            .remove(DnType::OrganizationalUnitName);
    });
    assert_eq!(found, Err(Refusal::Rootless));
}

#[test]
fn one_for_servers_or_for_anything_is_refused() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    for usages in [
        vec![],
        vec![ServerAuth],
        vec![ClientAuth, ServerAuth],
        vec![Any],
        vec![ClientAuth, CodeSigning],
    ] {
        let found = check(|params| params.extended_key_usages = usages);
        assert_eq!(found, Err(Refusal::Usage));
    }
    let found = check(|params| params.key_usages = vec![KeyUsagePurpose::KeyAgreement]);
    assert_eq!(found, Err(Refusal::Usage));
}

#[test]
fn one_of_a_ca_is_refused() {
    let found = check(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(found, Err(Refusal::CertificateAuthority));
}

#[test]
fn names_that_are_no_principals_are_refused() {
    for odd in [
        "",
        "Alice",
        "alice,CN=root",
        "alice/CN=root",
        "al\u{202e}ice",
        "a\0b",
        "*",
    ] {
        let found = check(|params| params.distinguished_name.push(DnType::CommonName, odd));
        assert_eq!(found, Err(Refusal::Principal), "{odd:?}");
    }
    let found = check(|params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "alice");
    });
    assert_eq!(found, Err(Refusal::Nobody));
}

#[test]
fn an_unknown_critical_extension_is_refused_and_another_ignored() {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 1], vec![5, 0]);
    let found = check(|params| params.custom_extensions.push(extension.clone()));
    found.unwrap();
    extension.set_criticality(true);
    let found = check(|params| params.custom_extensions.push(extension));
    assert_eq!(found, Err(Refusal::CriticalExtension));
}

#[test]
fn other_keys_and_signatures_are_refused() {
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    assert_eq!(check_with(&ed25519, |_| {}), Err(Refusal::SignatureKind));
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    assert_eq!(check_with(&p384, |_| {}), Err(Refusal::SignatureKind));
}

#[test]
fn it_holds_in_its_window() {
    let late = check(|params| params.not_after = rcgen::date_time_ymd(2026, 1, 2));
    assert_eq!(late, Err(Refusal::Expired));
    let early = check(|params| params.not_before = rcgen::date_time_ymd(2026, 1, 3));
    assert_eq!(early, Err(Refusal::NotYet));
}

#[test]
fn noise_is_refused() {
    assert_eq!(check_login_x509(b"", at(NOW)), Err(Refusal::Unreadable));
    assert_eq!(
        check_login_x509(&[0x30; 400], at(NOW)),
        Err(Refusal::Unreadable)
    );
}
