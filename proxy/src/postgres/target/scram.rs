//! The client's side of SCRAM: proves to a server that we know the password that is kept for it, and has
//! the server prove that it knows its verifier.
//!
//! RFC 5802, RFC 7677 and "SASL Authentication" in PostgreSQL's documentation; the arithmetic is
//! `postgres-protocol`'s. Nothing but SCRAM is ever answered. The password itself is never sent, so
//! what a hostile server can get is a proof to guess at: how cheap that is to guess is ours to limit.

use policies::words::target::{SaslFault, asks_for};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::task;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use super::back::{self, LoginError};
use crate::postgres::tls;
use crate::postgres::wire::sasl::{MESSAGE_MAX, OK, PLAIN, PLUS, SASL, SASL_CONTINUE, SASL_FINAL};
use crate::postgres::wire::{Fields, message, put_text};
use crate::session::protocol::ConnectError;

/// How few rounds a server may ask for: fewer, and whoever has our proof guesses the password more
/// cheaply (RFC 7677, section 4: at least 4096).
const ITERATIONS_MIN: u32 = 4096;

/// How many rounds a server may have us do. PostgreSQL's own is 4096 (`scram_iterations`).
const ITERATIONS_MAX: u32 = 100_000;

/// Why a server is not answered.
fn fault(fault: SaslFault) -> LoginError {
    ConnectError::Refused(fault.sentence().to_owned()).into()
}

/// What a server asks for in an `Authentication` message, and what is behind that.
pub(super) fn asked(body: &[u8]) -> Result<(i32, &[u8]), LoginError> {
    let mut fields = Fields::new(b'R', body);
    let code = fields.i32().map_err(|_short| fault(SaslFault::CutShort))?;
    Ok((code, fields.rest()))
}

/// What is said of a server that asks for something else than is answered.
pub(super) fn refused(code: i32, with_password: bool) -> LoginError {
    ConnectError::Refused(asks_for(code, with_password).to_owned()).into()
}

/// Answers the first `Authentication` message of a server that is entered with a password. When this
/// returns, both sides have proven themselves; only `AuthenticationOk` is to come.
pub(super) async fn prove<I>(
    tls: &mut TlsStream<I>,
    password: &Zeroizing<String>,
    first: &[u8],
) -> Result<(), LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let (code, offered) = asked(first)?;
    match code {
        SASL => {}
        // It has not asked for what was to be proven: it is not set up as it was meant to be.
        OK => return Err(fault(SaslFault::Unasked)),
        other => return Err(refused(other, true)),
    }
    let (mechanism, binding) = chosen(tls, offered)?;
    let mut scram = ScramSha256::new(password.as_bytes(), binding);
    let opening = scram.message().to_vec();
    send(tls, |body| {
        put_text(body, mechanism.as_bytes());
        body.extend(u32::try_from(opening.len()).unwrap_or(0).to_be_bytes());
        body.extend_from_slice(&opening);
    })
    .await?;
    let answer = answer(tls, SASL_CONTINUE).await?;
    judge(&opening, &answer)?;
    // Up to a tenth of a second of hashing: not on a thread that carries sessions.
    let worked = task::spawn_blocking(move || scram.update(&answer).map(|()| scram)).await;
    let updated = worked.map_err(|_panic| fault(SaslFault::Malformed))?;
    let mut scram = updated.map_err(|_odd| fault(SaslFault::Malformed))?;
    let proof = scram.message().to_vec();
    send(tls, |body| body.extend_from_slice(&proof)).await?;
    let last = self::answer(tls, SASL_FINAL).await?;
    scram
        .finish(&last)
        .map_err(|_wrong| fault(SaslFault::Unproven))
}

/// The mechanism and how the channel is bound: by PLUS wherever the server offers it and its certificate
/// has a hash for that. Where it does not offer PLUS it is told that we could have, so that whoever took
/// it out of the offer is found out (RFC 5802, section 6).
fn chosen<I>(
    tls: &TlsStream<I>,
    offered: &[u8],
) -> Result<(&'static str, ChannelBinding), LoginError> {
    let names: Vec<&[u8]> = offered.split(|byte| *byte == 0).collect();
    let has = |name: &str| names.contains(&name.as_bytes());
    let shown = tls.get_ref().1.peer_certificates();
    let leaf = shown.and_then(|chain| chain.first());
    let end_point = leaf.and_then(|leaf| tls::end_point(leaf));
    match end_point {
        Some(hash) if has(PLUS) => Ok((PLUS, ChannelBinding::tls_server_end_point(hash))),
        Some(_) if has(PLAIN) => Ok((PLAIN, ChannelBinding::unrequested())),
        None if has(PLAIN) => Ok((PLAIN, ChannelBinding::unsupported())),
        _other => Err(fault(SaslFault::Mechanism)),
    }
}

/// Whether `server-first-message` is one to be answered: it adds to our nonce, and asks for a number of
/// rounds that is neither cheap to guess at nor endless.
fn judge(opening: &[u8], answer: &[u8]) -> Result<(), LoginError> {
    let text = str::from_utf8(answer).map_err(|_odd| fault(SaslFault::Malformed))?;
    let opening = str::from_utf8(opening).unwrap_or_default();
    // A nonce has any printable characters but a comma in it, `r=` too.
    let ours = opening.split_once(",,n=,r=").map_or("", |(_, nonce)| nonce);
    let mut parts = text.split(',');
    let nonce = parts.next().and_then(|part| part.strip_prefix("r="));
    let theirs = nonce.and_then(|nonce| nonce.strip_prefix(ours));
    if ours.is_empty() || theirs.is_none_or(str::is_empty) {
        return Err(fault(SaslFault::Malformed));
    }
    let rounds = parts.find_map(|part| part.strip_prefix("i="));
    let rounds = rounds.and_then(|rounds| rounds.parse::<u32>().ok());
    match rounds {
        Some(ITERATIONS_MIN..=ITERATIONS_MAX) => Ok(()),
        Some(few) if few < ITERATIONS_MIN => Err(fault(SaslFault::Cheap)),
        Some(_many) => Err(fault(SaslFault::Endless)),
        None => Err(fault(SaslFault::Malformed)),
    }
}

async fn send<I>(tls: &mut TlsStream<I>, fill: impl FnOnce(&mut Vec<u8>)) -> Result<(), LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut out = Vec::new();
    message(&mut out, b'p', fill);
    tls.write_all(&out).await.map_err(ConnectError::Io)?;
    tls.flush().await.map_err(ConnectError::Io)?;
    Ok(())
}

/// What is in the next `Authentication` message, which has to be this one. Notices are passed over.
async fn answer<I>(tls: &mut TlsStream<I>, code: i32) -> Result<Vec<u8>, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut room = back::ROOM;
    loop {
        match back::read_message(tls, &mut room).await? {
            (b'N', _notice) => {}
            (b'E', body) => return Err(back::refused(&body)),
            (b'R', body) => {
                let (found, rest) = asked(&body)?;
                if found != code || rest.len() > MESSAGE_MAX {
                    return Err(fault(SaslFault::Malformed));
                }
                return Ok(rest.to_vec());
            }
            _other => return Err(fault(SaslFault::Malformed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(answer: &str, want: Option<SaslFault>) {
        check_with("p=tls-server-end-point,,n=,r=abc", answer, want);
    }

    #[track_caller]
    fn check_with(opening: &str, answer: &str, want: Option<SaslFault>) {
        let judged = judge(opening.as_bytes(), answer.as_bytes());
        let said = judged.err().map(|refused| refused.error.to_string());
        let want = want.map(|want| ConnectError::Refused(want.sentence().to_owned()).to_string());
        assert_eq!(said, want, "{answer}");
    }

    #[test]
    fn only_a_number_of_rounds_that_is_neither_cheap_nor_endless_is_answered() {
        check("r=abcdef,s=QUJD,i=4096", None);
        check("r=abcdef,s=QUJD,i=100000", None);
        check("r=abcdef,s=QUJD,i=4095", Some(SaslFault::Cheap));
        check("r=abcdef,s=QUJD,i=1", Some(SaslFault::Cheap));
        check("r=abcdef,s=QUJD,i=0", Some(SaslFault::Cheap));
        check("r=abcdef,s=QUJD,i=100001", Some(SaslFault::Endless));
        check("r=abcdef,s=QUJD,i=4294967295", Some(SaslFault::Endless));
        check("r=abcdef,s=QUJD,i=99999999999", Some(SaslFault::Malformed));
        check("r=abcdef,s=QUJD", Some(SaslFault::Malformed));
    }

    #[test]
    fn a_nonce_may_look_like_the_attribute_that_it_is_in() {
        for header in ["p=tls-server-end-point", "y", "n"] {
            let opening = format!("{header},,n=,r=abr=cr=");
            check_with(&opening, "r=abr=cr=def,s=QUJD,i=4096", None);
            let other = Some(SaslFault::Malformed);
            check_with(&opening, "r=abr=cr=,s=QUJD,i=4096", other);
            check_with(
                &opening,
                "r=cr=def,s=QUJD,i=4096",
                Some(SaslFault::Malformed),
            );
        }
    }

    #[test]
    fn a_server_that_adds_nothing_to_our_nonce_or_answers_another_is_not_answered() {
        check("r=abc,s=QUJD,i=4096", Some(SaslFault::Malformed));
        check("r=xyzdef,s=QUJD,i=4096", Some(SaslFault::Malformed));
        check("m=ext,r=abcdef,s=QUJD,i=4096", Some(SaslFault::Malformed));
        check("", Some(SaslFault::Malformed));
    }
}
