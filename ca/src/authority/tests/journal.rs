//! Every certificate is in the journal before and after it is signed.

use super::*;

#[test]
fn the_intent_is_written_before_the_outcome_and_both_name_the_certificate() {
    let mut bench = Bench::new();
    let pass = bench.pass(terms(Protocol::Ssh, shell())).unwrap();
    let intent = bench.intent();
    assert_eq!(intent.serial, pass.serial.unwrap());
    assert_eq!(intent.signer, crate::KeyName::SshUserCa);
    let (key, certificate) = ssh_of(&pass);
    assert_eq!(
        intent.fingerprint,
        key.public_key()
            .fingerprint(russh::keys::HashAlg::Sha256)
            .to_string()
    );
    let sha256 = crate::fingerprint::sha256_hex(&certificate.to_bytes().unwrap());
    let outcomes = bench.journal.outcomes.lock().unwrap();
    assert_eq!(
        *outcomes,
        [(pass.serial.unwrap(), Outcome::Signed { sha256 })]
    );
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
