//! A client without a certificate proves that it holds a one-time secret: SCRAM over the connection's
//! TLS (PostgreSQL documentation, "SASL Authentication").
//!
//! A secret that there is not is asked for like one that there is: the same messages, the same salt
//! each time, the same answer to a wrong proof. Only whoever has proven the secret is told what is
//! wrong with it. Does not decide whether they are let in.

use policies::SecretId;
use policies::words::offence;
use policies::words::scram as wrong;
use policies::words::secret::SecretSaying;
use policies::words::{Shown, Words};

use control::entropy;
use control::onetime::{self, OneTimeSecret, Verifier};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::aim::Aim;
use super::greeting::{self, ClientTls};
use super::scram::{self, Binding, Exchange, Proven};
use crate::listener::Offence;
use crate::postgres::wire::sasl::{MESSAGE_MAX, SASL, SASL_CONTINUE, SASL_FINAL};
use crate::postgres::wire::say;
use crate::postgres::wire::{Fields, message, put_text};
use crate::session::incoming::Newcomer;
use crate::session::protocol::{Identify, Refused};

/// Asks for the password of the secret called `name`, and takes one connection off it.
///
/// # Errors
///
/// The client has been told why not.
pub(super) async fn prove(
    tls: &mut ClientTls,
    (name, aim): (&str, &Aim),
    binding: Binding<'_>,
    newcomer: &Newcomer,
    identify: &dyn Identify,
) -> Result<OneTimeSecret, Refused> {
    let id = name.parse::<SecretId>().ok();
    let name = id.map_or_else(|| name.to_owned(), |id| id.to_string());
    let nobody = Verifier::of_nobody().map_err(unlucky)?;
    let known = id.and_then(|id| identify.verifier(id));
    let verifier = known.as_ref().unwrap_or(&nobody);
    let proven = match exchange(tls, &name, binding, verifier).await? {
        Ok(proven) => proven,
        Err(what) => {
            newcomer.offends(Offence::Wrong);
            let words = SecretSaying::Unproven { what }.words();
            greeting::farewell(tls, &words, say::PROTOCOL_VIOLATION).await;
            return Err(Refused::Unproven);
        }
    };
    let source = newcomer.source().ip();
    let (Some(proven), Some(id)) = (proven, id) else {
        newcomer.offends(Offence::Wrong);
        let out = shut_out(tls, &SecretSaying::Wrong.words()).await;
        // Once they have been told: it takes longer where there is such a secret.
        if let Some(id) = id {
            identify.misproven(id, source).await;
        }
        return Err(out);
    };
    let place = (&aim.target, &aim.login);
    match identify.redeem(id, source, place).await {
        Ok(secret) => {
            let answer = proven.answer.as_bytes();
            send(tls, SASL_FINAL, |body| body.extend_from_slice(answer)).await?;
            Ok(secret)
        }
        Err(no) => Err(shut_out(tls, &no.words()).await),
    }
}

/// The system gave no randomness: nobody is let in.
fn unlucky(refused: entropy::EntropyError) -> Refused {
    Refused::Greeting(std::io::Error::other(refused))
}

async fn shut_out(tls: &mut ClientTls, words: &Words) -> Refused {
    greeting::farewell(tls, words, say::WRONG_PASSWORD).await;
    Refused::Unproven
}

/// The four messages. `Ok(Ok(None))` is a wrong proof, `Ok(Err(…))` what is not SCRAM.
async fn exchange(
    tls: &mut ClientTls,
    name: &str,
    binding: Binding<'_>,
    verifier: &Verifier,
) -> Result<Result<Option<Proven>, scram::Malformed>, Refused> {
    let offered = scram::mechanisms(binding);
    send(tls, SASL, |body| {
        for mechanism in offered {
            put_text(body, mechanism.as_bytes());
        }
        body.push(0);
    })
    .await?;
    let first = response(tls).await?;
    let nonce = entropy::bytes().map_err(unlucky)?;
    let salt = onetime::salt(name);
    let begun = initial(&first)
        .and_then(|(mechanism, first)| scram::begin(mechanism, first, binding, &salt, &nonce));
    let (exchange, answer): (Exchange, String) = match begun {
        Ok(begun) => begun,
        Err(what) => return Ok(Err(what)),
    };
    let answer = answer.as_bytes();
    send(tls, SASL_CONTINUE, |body| body.extend_from_slice(answer)).await?;
    let last = response(tls).await?;
    Ok(exchange.finish(&last, verifier))
}

/// The mechanism that was chosen, and the client's first message, out of `SASLInitialResponse`.
pub(crate) fn initial(body: &[u8]) -> Result<(&str, &[u8]), scram::Malformed> {
    let malformed = wrong::ODD_CHOICE;
    let mut fields = Fields::new(b'p', body);
    let mechanism = fields.text().map_err(|_short| malformed)?;
    let mechanism = str::from_utf8(mechanism).map_err(|_odd| malformed)?;
    let first = fields.value().map_err(|_short| malformed)?;
    fields.end().map_err(|_more| malformed)?;
    Ok((mechanism, first.ok_or(wrong::SAYS_NOTHING)?))
}

async fn send(
    tls: &mut ClientTls,
    kind: i32,
    fill: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Refused> {
    let mut out = Vec::new();
    message(&mut out, b'R', |body| {
        body.extend(kind.to_be_bytes());
        fill(body);
    });
    tls.write_all(&out).await.map_err(Refused::Greeting)?;
    tls.flush().await.map_err(Refused::Greeting)
}

/// Reads one `SASLInitialResponse` or `SASLResponse`. Not cancel safe.
async fn response(tls: &mut ClientTls) -> Result<Vec<u8>, Refused> {
    if tls.read_u8().await.map_err(Refused::Greeting)? != b'p' {
        return Err(Refused::Violation(offence::NO_SASL_ANSWER));
    }
    let length = tls.read_u32().await.map_err(Refused::Greeting)?;
    let body = usize::try_from(length)
        .ok()
        .and_then(|length| length.checked_sub(4))
        .filter(|body| *body <= MESSAGE_MAX);
    let body = body.ok_or(Refused::Violation(offence::SASL_LENGTH))?;
    let mut bytes = vec![0; body];
    tls.read_exact(&mut bytes)
        .await
        .map_err(Refused::Greeting)?;
    Ok(bytes)
}
