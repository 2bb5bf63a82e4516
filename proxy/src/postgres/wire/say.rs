//! How words are said in PostgreSQL's protocol: as `ErrorResponse`, so that every driver shows them.

use policies::words::postgres::{Complaint, Lines, with_its_own};
use policies::words::{Shown, Words};

use super::{HEADER, complaint, message, put_text};

/// `feature_not_supported` (PostgreSQL documentation, appendix A, as all of these).
pub(crate) const NOT_SUPPORTED: &str = "0A000";
/// `insufficient_privilege`.
pub(crate) const NOT_PERMITTED: &str = "42501";
/// `configuration_limit_exceeded`.
pub(crate) const LIMIT_EXCEEDED: &str = "53400";
/// `query_canceled`.
pub(crate) const CANCELED: &str = "57014";
/// `warning`, the class of what is no error.
const WARNING: &str = "01000";
/// `protocol_violation`.
pub(crate) const PROTOCOL_VIOLATION: &str = "08P01";
/// `too_many_connections`.
const TOO_MANY_CONNECTIONS: &str = "53300";
/// `cannot_connect_now`.
const CANNOT_CONNECT_NOW: &str = "57P03";
/// `connection_failure`.
const CONNECTION_FAILURE: &str = "08006";
/// `invalid_authorization_specification`.
pub(crate) const NOT_AUTHORIZED: &str = "28000";
/// `invalid_password`.
pub(crate) const WRONG_PASSWORD: &str = "28P01";
/// `admin_shutdown`.
const ENDED: &str = "57P01";

/// Appends an `ErrorResponse` for a statement: the sentence as message, the code as detail, the hint as hint.
pub(crate) fn error(out: &mut Vec<u8>, sqlstate: &str, words: &Words) {
    detailed(out, (b'E', "ERROR"), sqlstate, words, &code(words));
}

/// Appends the last `ErrorResponse` of a connection.
pub(crate) fn fatal(out: &mut Vec<u8>, sqlstate: &str, words: &Words) {
    detailed(out, (b'E', "FATAL"), sqlstate, words, &code(words));
}

/// Appends a `NoticeResponse`, which a client shows at once and which answers nothing.
pub(crate) fn notice(out: &mut Vec<u8>, words: &Words) {
    detailed(out, (b'N', "NOTICE"), WARNING, words, &code(words));
}

/// What a client is told when the target does not let us in: whose doing it is, and the server's own
/// words as detail. Any other error of the target stays as it is.
pub(crate) fn shut_out(said: Vec<u8>, (target, login): (&str, &str), lines: Lines) -> Vec<u8> {
    let own = said
        .get(HEADER..)
        .and_then(|body| complaint(b'E', body).ok());
    let Some(own) = own.filter(|own| own.sqlstate.starts_with(b"28")) else {
        return said;
    };
    let words = Complaint::ShutOut {
        target: target.to_owned(),
        login: login.to_owned(),
        lines,
    }
    .words();
    let text = String::from_utf8_lossy(own.message);
    let detail = with_its_own(&code(&words), &text);
    let mut out = Vec::new();
    detailed(&mut out, (b'E', "FATAL"), NOT_AUTHORIZED, &words, &detail);
    out
}

fn code(words: &Words) -> String {
    format!("tidegate code {}", words.code)
}

fn detailed(
    out: &mut Vec<u8>,
    (kind, severity): (u8, &str),
    sqlstate: &str,
    words: &Words,
    detail: &str,
) {
    message(out, kind, |body| {
        let fields = [
            (b'S', severity),
            (b'V', severity),
            (b'C', sqlstate),
            (b'M', &words.what),
            (b'D', detail),
        ];
        for (kind, text) in fields {
            body.push(kind);
            put_text(body, text.as_bytes());
        }
        if let Some(hint) = &words.hint {
            body.push(b'H');
            put_text(body, hint.as_bytes());
        }
        body.push(0);
    });
}

/// The SQLSTATE for words that end a connection, by the hundred of their code.
pub(crate) fn sqlstate(words: &Words) -> &'static str {
    match words.code.as_bytes() {
        [b'T', b'G', b'2', ..] => ENDED,
        [b'T', b'G', b'4', ..] => CONNECTION_FAILURE,
        // Class 28 would be a wrong password to drivers and pools, which give up then.
        b"TG107" | b"TG108" => TOO_MANY_CONNECTIONS,
        [b'T', b'G', b'1', b'1', ..] => CANNOT_CONNECT_NOW,
        // As where the name of the setting is enough to refuse it.
        b"TG511" => NOT_PERMITTED,
        _other => NOT_AUTHORIZED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_as_the_server_would_say_it() {
        let words = Words {
            code: "TG204",
            what: "access to `orders` ended".to_owned(),
            hint: Some("tidegate request orders".to_owned()),
        };
        let mut out = Vec::new();
        fatal(&mut out, sqlstate(&words), &words);
        let said = complaint(b'E', out.get(HEADER..).unwrap()).unwrap();
        assert_eq!(
            (said.severity, said.sqlstate),
            (b"FATAL".as_slice(), b"57P01".as_slice())
        );
        assert_eq!(said.message, b"access to `orders` ended");
    }

    #[test]
    fn a_no_and_a_dead_target_have_their_own_states() {
        let state = |code| {
            sqlstate(&Words {
                code,
                what: String::new(),
                hint: None,
            })
        };
        assert_eq!(
            (state("TG101"), state("TG401"), state("TG501")),
            ("28000", "08006", "28000")
        );
        assert_eq!(
            (state("TG107"), state("TG108"), state("TG116")),
            ("53300", "53300", "57P03")
        );
        assert_eq!((state("TG511"), state("TG512")), ("42501", "28000"));
    }
}
