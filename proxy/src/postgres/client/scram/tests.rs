//! The exchange against the vectors of RFC 7677, and against what hostile clients say.

use proptest::prelude::*;

use super::*;
use crate::postgres::fuzzing::scram::proven;

const SALT: [u8; SALT_LENGTH] = [7; SALT_LENGTH];
const NONCE: [u8; NONCE_LENGTH] = [9; NONCE_LENGTH];
const BOUND: &[u8] = &[3; 32];
const NAME: &str = "sec_test";

/// What an honest client says last, which knows `secret`.
fn proof(secret: &str, first: &str, answer: &str, channel: &[u8]) -> String {
    let bare = first.splitn(3, ',').nth(2).unwrap();
    let salt = answer
        .split(",s=")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let salt = Base64::decode_vec(salt).unwrap();
    let mut salted = [0; 32];
    aws_lc_rs::pbkdf2::derive(
        aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256,
        ITERATIONS.try_into().unwrap(),
        &salt,
        secret.as_bytes(),
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let client_key = hmac::sign(&key, b"Client Key");
    proven(bare, answer, channel, client_key.as_ref())
}

fn kept(secret: &str) -> (Verifier, [u8; SALT_LENGTH]) {
    (Verifier::of(NAME, secret), control::onetime::salt(NAME))
}

fn first_of(
    mechanism: &str,
    first: &str,
    binding: Binding<'_>,
) -> Result<(Exchange, String), Malformed> {
    begin(mechanism, first.as_bytes(), binding, &SALT, &NONCE)
}

/// Section 3 of RFC 7677.
#[test]
fn the_exchange_of_the_standard_is_gone_through() {
    let salt = Base64::decode_vec("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let (bare, ours) = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    );
    let mut salted = [0; 32];
    let times = ITERATIONS.try_into().unwrap();
    aws_lc_rs::pbkdf2::derive(
        aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256,
        times,
        &salt,
        b"pencil",
        &mut salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let stored = digest(&SHA256, hmac::sign(&key, b"Client Key").as_ref());
    let verifier = Verifier {
        stored_key: stored.as_ref().try_into().unwrap(),
        server_key: hmac::sign(&key, b"Server Key").as_ref().try_into().unwrap(),
    };
    let exchange = Exchange {
        expected: b"n,,".to_vec(),
        nonce: "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned(),
        said: format!("{bare},{ours}"),
    };
    let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    let proven = exchange.finish(last.as_bytes(), &verifier).unwrap();
    assert_eq!(
        proven.unwrap().answer,
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    );
}

#[test]
fn whoever_knows_the_secret_is_let_in_with_and_without_binding() {
    let (verifier, salt) = kept("pencil");
    let header = b"p=tls-server-end-point,,";
    let cases: [(&str, &str, Binding<'_>, Vec<u8>); 4] = [
        (PLAIN, "n,,n=,r=abc", None, b"n,,".to_vec()),
        (PLAIN, "n,,n=,r=abc", Some(BOUND), b"n,,".to_vec()),
        (PLAIN, "y,,n=*,r=abc,x=1", None, b"y,,".to_vec()),
        (
            PLUS,
            "p=tls-server-end-point,,n=,r=abc",
            Some(BOUND),
            [header, BOUND].concat(),
        ),
    ];
    for (mechanism, first, binding, channel) in cases {
        let begun = begin(mechanism, first.as_bytes(), binding, &salt, &NONCE);
        let (exchange, answer) = begun.unwrap();
        let last = proof("pencil", first, &answer, &channel);
        let proven = exchange.finish(last.as_bytes(), &verifier).unwrap();
        assert!(proven.is_some(), "{first}");

        let begun = begin(mechanism, first.as_bytes(), binding, &salt, &NONCE);
        let (exchange, answer) = begun.unwrap();
        let last = proof("pencils", first, &answer, &channel);
        assert!(
            exchange
                .finish(last.as_bytes(), &verifier)
                .unwrap()
                .is_none()
        );
    }
}

#[test]
fn a_proof_that_was_meant_for_another_server_is_refused() {
    let (verifier, salt) = kept("pencil");
    let first = "p=tls-server-end-point,,n=,r=abc";
    let (exchange, answer) = begin(PLUS, first.as_bytes(), Some(BOUND), &salt, &NONCE).unwrap();
    let channel = [b"p=tls-server-end-point,,", &[4; 32][..]].concat();
    let last = proof("pencil", first, &answer, &channel);
    let refused = exchange.finish(last.as_bytes(), &verifier).unwrap_err();
    assert_eq!(refused, "it was meant for another connection than this");
}

#[test]
fn what_takes_channel_binding_away_is_noticed() {
    fn told(mechanism: &str, first: &str, binding: Binding<'_>) -> Malformed {
        first_of(mechanism, first, binding).unwrap_err()
    }
    assert_eq!(
        told(PLAIN, "y,,n=,r=abc", Some(BOUND)),
        "it believes that channel binding is not offered, and it is"
    );
    for flag in ["n", "y"] {
        assert_eq!(
            told(PLUS, &format!("{flag},,n=,r=abc"), Some(BOUND)),
            "it chose channel binding and does not bind"
        );
    }
    assert_eq!(
        told(PLAIN, "p=tls-server-end-point,,n=,r=abc", Some(BOUND)),
        "it binds the channel and did not choose to"
    );
    assert_eq!(
        told(PLUS, "p=tls-unique,,n=,r=abc", Some(BOUND)),
        "it binds the channel in a way that is not supported"
    );
    assert_eq!(
        told(PLUS, "p=tls-server-end-point,,n=,r=abc", None),
        "it chose what was not offered"
    );
    assert_eq!(
        told("SCRAM-SHA-1", "n,,n=,r=abc", None),
        "it chose what was not offered"
    );
}

#[test]
fn what_is_no_first_message_is_refused_with_what_is_wrong() {
    for (first, why) in [
        ("", "it has no header"),
        ("n", "it has no header"),
        ("n,", "its header has one part"),
        ("n,,", "it has no user name"),
        (
            "x,,n=,r=abc",
            "its header says nothing about channel binding",
        ),
        (
            "n,a=root,n=,r=abc",
            "it asks to act as somebody else, which is not supported",
        ),
        (
            "n,,m=1,n=,r=abc",
            "it needs an extension that is not supported",
        ),
        ("n,,n=", "it has no nonce"),
        ("n,,n=,r=", "it has no nonce"),
        ("n,,n=,x=abc", "it has no nonce"),
        ("n,,n=,r=a b", "its nonce is not printable"),
        ("n,,n=,r=abc,", "it has a part that is no attribute"),
        (
            "n,,n=,r=abc,m=1",
            "it needs an extension that is not supported",
        ),
        ("n,,n=\0,r=abc", "it holds a zero"),
    ] {
        assert_eq!(first_of(PLAIN, first, None).unwrap_err(), why, "{first:?}");
    }
    let long = format!("n,,n=,r={}", "a".repeat(MESSAGE_MAX));
    assert_eq!(first_of(PLAIN, &long, None).unwrap_err(), "it is too long");
}

#[test]
fn what_is_no_last_message_is_refused_with_what_is_wrong() {
    let (verifier, _salt) = kept("pencil");
    let (_exchange, answer) = first_of(PLAIN, "n,,n=,r=abc", None).unwrap();
    let nonce = answer.split(',').next().unwrap();
    let zeros = Base64::encode_string(&[0; 32]);
    for (last, why) in [
        (String::new(), "it has no proof at its end"),
        (format!("c=biws,{nonce}"), "it has no proof at its end"),
        (format!("{nonce},p={zeros}"), "it has no channel binding"),
        (
            format!("c=eSws,{nonce},p={zeros}"),
            "it was meant for another connection than this",
        ),
        (
            format!("c=biws,r=abc,p={zeros}"),
            "it answers another question than was asked",
        ),
        (
            format!("c=biws,{nonce}x,p={zeros}"),
            "it answers another question than was asked",
        ),
        (format!("c=biws,{nonce},p=x"), "its proof is not base 64"),
        (
            format!("c=biws,{nonce},p=AAAA"),
            "its proof is not as long as a hash",
        ),
        (
            format!("c=biws,{nonce},p={zeros},x=1"),
            "its proof is not base 64",
        ),
        (
            format!("c=biws,{nonce},m=1,p={zeros}"),
            "it needs an extension that is not supported",
        ),
    ] {
        let (exchange, _answer) = first_of(PLAIN, "n,,n=,r=abc", None).unwrap();
        let refused = exchange.finish(last.as_bytes(), &verifier).unwrap_err();
        assert_eq!(refused, why, "{last}");
    }
}

#[test]
fn nobodys_verifier_is_fitted_by_no_proof() {
    let nobody = Verifier::of_nobody().unwrap();
    let first = "n,,n=,r=abc";
    let (exchange, answer) = first_of(PLAIN, first, None).unwrap();
    let last = proof("pencil", first, &answer, b"n,,");
    assert!(exchange.finish(last.as_bytes(), &nobody).unwrap().is_none());
}

proptest! {
    #[test]
    fn no_message_makes_the_reader_panic(first in any::<Vec<u8>>(), last in any::<Vec<u8>>()) {
        drop(begin(PLAIN, &first, None, &SALT, &NONCE));
        let (exchange, _answer) = first_of(PLAIN, "n,,n=,r=abc", None).unwrap();
        let (verifier, _salt) = kept("pencil");
        prop_assert!(!matches!(exchange.finish(&last, &verifier), Ok(Some(_))));
    }
}
