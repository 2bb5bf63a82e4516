//! The target's side: TLS, and the login with our certificate, or by SCRAM where a password is kept.
//!
//! A target that asks for anything else is refused: one that wants a password in clear or as MD5 is not
//! the one we know. What it says before TLS is never shown to anybody (CVE-2024-10977).

use std::io::{Error, ErrorKind};

use ca::PassKey;
use policies::words::entrance;
use policies::words::postgres::TlsFault;
use rustls::{AlertDescription, Error as TlsError};
use tokio::io::{self, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::warn;

use super::{scram, verdict};
use crate::postgres::tls::Trust;
use crate::postgres::wire::{
    self, BackendKey, Fields, HEADER, SERVER_MESSAGE_MAX, message, packet, put_text, sasl,
};
use crate::session::protocol::ConnectError;

/// How much of what a target says while we log in is kept, in bytes: parameters and notices, each with its header.
const GREETING_MAX: usize = 256 * 1024;

/// How much a target may say in one exchange with us, in bytes, with the notices that are passed over.
pub(crate) const ROOM: usize = 4 * 1024 * 1024;

/// How much is kept of an error that is longer than a message may be, in bytes.
const LONG_KEPT: usize = 4096;

/// The answer to `SSLRequest` that begins TLS.
const YES: u8 = b'S';

/// What the target said as it let us in, from `AuthenticationOk` to `ReadyForQuery`, without its key.
#[derive(Debug)]
pub(crate) struct Greeting {
    /// What came before the key.
    pub(crate) before: Vec<u8>,
    /// The key; some servers have none.
    pub(crate) key: Option<BackendKey>,
    /// What came after it.
    pub(crate) after: Vec<u8>,
    /// The notices among both.
    pub(crate) notices: Notices,
}

/// What a database had said to whoever comes (`ON login` triggers).
#[derive(Debug, Default)]
pub(crate) struct Notices {
    /// How many.
    pub(crate) count: u64,
    /// As they came, headers and all.
    pub(crate) bytes: Vec<u8>,
}

impl Greeting {
    fn keep(&mut self, kind: u8, body: &[u8]) -> Result<(), LoginError> {
        let half = if kind == b'N' {
            self.notices.count = self.notices.count.saturating_add(1);
            &mut self.notices.bytes
        } else if self.key.is_none() {
            &mut self.before
        } else {
            &mut self.after
        };
        message(half, kind, |out| out.extend_from_slice(body));
        let kept = [&self.before, &self.after, &self.notices.bytes].map(Vec::len);
        if kept.into_iter().sum::<usize>() > GREETING_MAX {
            return Err(violation(entrance::TALKS_IN_LOGIN));
        }
        Ok(())
    }
}

/// Why we could not log in.
#[derive(Debug)]
pub(crate) struct LoginError {
    /// Why.
    pub(crate) error: ConnectError,
    /// The `ErrorResponse` of the target, which had proven who it is.
    pub(crate) said: Option<Vec<u8>>,
}

impl From<ConnectError> for LoginError {
    fn from(error: ConnectError) -> Self {
        Self { error, said: None }
    }
}

/// Asks for TLS and checks who is there.
pub(crate) async fn secure<I>(mut io: I, trust: &Trust) -> Result<TlsStream<I>, ConnectError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    if !has_tls(&mut io).await? {
        return Err(ConnectError::Violation(entrance::NO_TLS.to_owned()));
    }
    encrypt(io, trust).await
}

/// Asks a server for TLS, and whether it says yes. Exactly one byte is read before TLS, so nothing that was
/// said in clear can be taken for what comes after (CVE-2021-23222).
pub(super) async fn has_tls<I>(io: &mut I) -> Result<bool, ConnectError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = Vec::new();
    packet(&mut request, |body| {
        body.extend(80_877_103_u32.to_be_bytes());
    });
    io.write_all(&request).await.map_err(ConnectError::Io)?;
    io.flush().await.map_err(ConnectError::Io)?;
    match io.read_u8().await.map_err(ConnectError::Io)? {
        YES => Ok(true),
        b'N' => Ok(false),
        _other => Err(ConnectError::Violation(entrance::NO_POSTGRES.to_owned())),
    }
}

/// Begins TLS at a server that has said yes to it, and checks who is there.
pub(super) async fn encrypt<I>(io: I, trust: &Trust) -> Result<TlsStream<I>, ConnectError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let connector = TlsConnector::from(trust.config.clone());
    connector
        .connect(trust.name.clone(), io)
        .await
        .map_err(tls_error)
}

/// Tells an impostor from a server with which there is no TLS, and both from a broken connection.
fn tls_error(error: Error) -> ConnectError {
    match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<TlsError>())
    {
        Some(TlsError::AlertReceived(alert)) if is_of_ours(*alert) => {
            ConnectError::Refused(format!("TLS alert {alert:?}"))
        }
        Some(refused) => {
            let met = met(refused);
            if met.is_impostor() {
                warn!(reason = %refused, "target.unproven");
            } else {
                warn!(reason = %refused, "target.handshake_failed");
            }
            met
        }
        None => ConnectError::Io(error),
    }
}

/// What cannot be begun with: what the target is known by cannot be read, or what it is to be shown does not fit.
pub(in crate::postgres) fn unready(odd: &TlsError) -> ConnectError {
    warn!(reason = %odd, "target.handshake_failed");
    let fault = ours(odd).unwrap_or(TlsFault::Unready);
    ConnectError::Handshake(fault)
}

/// What the bastion itself cannot do, if that is it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is or will be is not the bastion's"
)]
fn ours(error: &TlsError) -> Option<TlsFault> {
    match error {
        TlsError::InconsistentKeys(_)
        | TlsError::FailedToGetCurrentTime
        | TlsError::FailedToGetRandomBytes
        | TlsError::EncryptError => Some(TlsFault::Incapable),
        _other => None,
    }
}

/// Whether this alert is about the certificate that we show (RFC 8446, section 6.2).
fn is_of_ours(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    [
        Alert::BadCertificate,
        Alert::UnsupportedCertificate,
        Alert::CertificateRevoked,
        Alert::CertificateExpired,
        Alert::CertificateUnknown,
        Alert::UnknownCA,
        Alert::AccessDenied,
        Alert::DecryptError,
        Alert::CertificateRequired,
    ]
    .contains(&alert)
}

/// Who was met, where TLS came to nothing: another server than the one that was added only where that is shown.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is or will be is a server that does not keep to the rules"
)]
fn met(error: &TlsError) -> ConnectError {
    let fault = match error {
        TlsError::InvalidCertificate(found) => match verdict::of(found) {
            Ok(another) => return ConnectError::Impostor(another.fact().to_owned()),
            Err(fault) => fault,
        },
        TlsError::AlertReceived(_) => TlsFault::Alert,
        TlsError::PeerIncompatible(_) | TlsError::NoApplicationProtocol => TlsFault::Version,
        TlsError::PeerSentOversizedRecord => TlsFault::Oversized,
        TlsError::General(_) => TlsFault::Unready,
        other => ours(other).unwrap_or(TlsFault::Misbehaved),
    };
    ConnectError::Handshake(fault)
}

/// Logs in as `user` with the certificate that the connection already carries, or with the password of
/// `key`.
pub(crate) async fn login<I>(
    tls: &mut TlsStream<I>,
    (user, key): (&str, &PassKey),
    database: &str,
    parameters: &[(String, String)],
) -> Result<Greeting, LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut startup = Vec::new();
    packet(&mut startup, |body| {
        put_startup(body, user, database, parameters);
    });
    tls.write_all(&startup).await.map_err(tls_error)?;
    tls.flush().await.map_err(tls_error)?;

    let mut greeting = Greeting {
        before: Vec::new(),
        key: None,
        after: Vec::new(),
        notices: Notices::default(),
    };
    let mut room = ROOM;
    let (mut admitted, mut proven) = (false, false);
    loop {
        let (kind, body) = read_message(tls, &mut room).await?;
        if !is_in_place(kind, &body, (admitted, greeting.key.is_some())) {
            return Err(violation(entrance::OUT_OF_PLACE));
        }
        match kind {
            b'R' => {
                if let PassKey::Password { text } = key
                    && !proven
                {
                    scram::prove(tls, text, &body).await?;
                    proven = true;
                    continue;
                }
                accepted(&body, matches!(key, PassKey::Password { .. }))?;
                admitted = true;
            }
            b'E' => return Err(refused(&body)),
            b'K' => {
                greeting.key = Some(backend_key(&body)?);
                continue;
            }
            _kept => {}
        }
        greeting.keep(kind, &body)?;
        if kind == b'Z' {
            return Ok(greeting);
        }
    }
}

/// Whether a server may say this as we log in: once that we are in and by which key its process is stopped, and then
/// that it is ready, with no transaction open. All but the key goes on to the client.
fn is_in_place(kind: u8, body: &[u8], (admitted, has_key): (bool, bool)) -> bool {
    match kind {
        b'R' => !admitted,
        b'K' => !has_key,
        b'Z' => admitted && body == b"I",
        b'E' | b'S' | b'N' => true,
        _other => false,
    }
}

/// Appends the body of a startup packet for protocol 3.0, which every server speaks. Our own keys
/// make the difference to 3.2 on the client's side.
pub(crate) fn put_startup(
    body: &mut Vec<u8>,
    user: &str,
    database: &str,
    parameters: &[(String, String)],
) {
    body.extend((3_u32 << 16).to_be_bytes());
    for (name, value) in [("user", user), ("database", database)] {
        put_text(body, name.as_bytes());
        put_text(body, value.as_bytes());
    }
    for (name, value) in parameters {
        put_text(body, name.as_bytes());
        put_text(body, value.as_bytes());
    }
    body.push(0);
}

/// What the `ParameterStatus` of `server_version` among these messages begins with.
pub(crate) fn major_version(greeting: &[u8]) -> Option<u32> {
    let version = parameter(greeting, b"server_version")?;
    let digits = version.iter().take_while(|byte| byte.is_ascii_digit());
    let digits: String = digits.copied().map(char::from).collect();
    digits.parse().ok()
}

/// The value of a `ParameterStatus` among these messages.
pub(crate) fn parameter<'a>(greeting: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = statuses(greeting).find_map(|body| body.strip_prefix(name)?.strip_prefix(b"\0"));
    value?.strip_suffix(b"\0")
}

/// The bodies of the `ParameterStatus` messages among these.
pub(crate) fn statuses(greeting: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = greeting;
    let messages = std::iter::from_fn(move || {
        let (&[kind, a, b, c, d], behind) = rest.split_first_chunk::<HEADER>()?;
        let length = u32::from_be_bytes([a, b, c, d]).checked_sub(4)?;
        let (body, after) = behind.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after;
        Some((kind, body))
    });
    messages.filter_map(|(kind, body)| (kind == b'S').then_some(body))
}

fn violation(what: &str) -> LoginError {
    ConnectError::Violation(what.to_owned()).into()
}

fn backend_key(body: &[u8]) -> Result<BackendKey, LoginError> {
    let mut fields = Fields::new(b'K', body);
    let pid = fields
        .i32()
        .map_err(|_short| violation(entrance::KEY_CUT))?;
    match fields.rest() {
        secret if (4..=256).contains(&secret.len()) => Ok(BackendKey {
            pid,
            secret: secret.to_vec(),
        }),
        _other => Err(violation(entrance::KEY_LENGTH)),
    }
}

/// Only `AuthenticationOk` is good: what was to be proven has been.
fn accepted(body: &[u8], with_password: bool) -> Result<(), LoginError> {
    match scram::asked(body)?.0 {
        sasl::OK => Ok(()),
        other => Err(scram::refused(other, with_password)),
    }
}

pub(crate) fn refused(body: &[u8]) -> LoginError {
    let Ok(said) = wire::complaint(b'E', body) else {
        return violation(entrance::ERROR_CUT);
    };
    let text = format!(
        "{}: {}",
        String::from_utf8_lossy(said.sqlstate),
        String::from_utf8_lossy(said.message)
    );
    let mut whole = Vec::new();
    message(&mut whole, b'E', |out| out.extend_from_slice(body));
    LoginError {
        error: ConnectError::Refused(text),
        said: Some(whole),
    }
}

/// Asks something in SQL before the session begins, and hands over what is answered until the server is
/// ready again.
pub(crate) async fn ask<I>(
    tls: &mut TlsStream<I>,
    sql: &str,
    mut take: impl FnMut(u8, &[u8]) -> Result<(), LoginError>,
) -> Result<(), LoginError>
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let mut query = Vec::new();
    message(&mut query, b'Q', |body| put_text(body, sql.as_bytes()));
    tls.write_all(&query).await.map_err(tls_error)?;
    tls.flush().await.map_err(tls_error)?;
    let mut room = ROOM;
    loop {
        match read_message(tls, &mut room).await? {
            (b'Z', _idle) => return Ok(()),
            (kind @ (b'T' | b'D' | b'C' | b'E' | b'N' | b'S'), body) => take(kind, &body)?,
            _other => return Err(violation(entrance::NO_ANSWER)),
        }
    }
}

/// Says goodbye, and closes. Whether it is heard makes no difference.
pub(super) async fn leave<W: AsyncWrite + Unpin>(to: &mut W) {
    let mut goodbye = Vec::new();
    message(&mut goodbye, b'X', |_nothing| {});
    if to.write_all(&goodbye).await.is_ok() {
        let _closed_either_way = to.shutdown().await;
    }
}

/// Reads one message. Whoever owns a database decides how long the notices are that its server sends there,
/// and what errors quote: of those that are longer than any other may be, a notice is passed over and an error
/// is cut. Rows may be long. `room` is how much may still come, headers and all that is passed over included. Not cancel
/// safe.
pub(crate) async fn read_message<R: AsyncRead + Unpin>(
    from: &mut R,
    room: &mut usize,
) -> Result<(u8, Vec<u8>), LoginError> {
    loop {
        let kind = from.read_u8().await.map_err(tls_error)?;
        let length = from.read_u32().await.map_err(tls_error)?;
        let body = length.checked_sub(4);
        let body = body.and_then(|body| usize::try_from(body).ok());
        let body = body.ok_or_else(|| violation(entrance::LENGTH))?;
        let left = room.checked_sub(body.saturating_add(HEADER));
        *room = left.ok_or_else(|| violation(entrance::TALKS))?;
        let kept = match kind {
            _any if length <= SERVER_MESSAGE_MAX => body,
            b'D' => body,
            b'E' => LONG_KEPT,
            b'N' => 0,
            _other => return Err(violation(entrance::LENGTH)),
        };
        let mut bytes = vec![0; kept];
        from.read_exact(&mut bytes).await.map_err(tls_error)?;
        if kept == body {
            return Ok((kind, bytes));
        }
        pass_over(from, body.saturating_sub(kept)).await?;
        if kind == b'E' {
            return Ok((kind, closed(bytes)));
        }
    }
}

/// Reads so much and keeps nothing of it.
async fn pass_over<R: AsyncRead + Unpin>(from: &mut R, count: usize) -> Result<(), LoginError> {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    let mut rest = from.take(count);
    let passed = io::copy(&mut rest, &mut io::sink()).await;
    match passed.map_err(tls_error)? {
        passed if passed == count => Ok(()),
        _fewer => Err(tls_error(ErrorKind::UnexpectedEof.into()).into()),
    }
}

/// What there is of an `ErrorResponse` that was cut off, with the ends of its last field and of itself.
fn closed(mut cut: Vec<u8>) -> Vec<u8> {
    while cut.last() == Some(&0) {
        cut.pop();
    }
    cut.extend([0, 0]);
    cut
}

#[cfg(test)]
mod tests {
    use rustls::{CertificateError, PeerIncompatible, PeerMisbehaved};

    use super::*;
    use crate::postgres::wire::samples::framed;

    #[test]
    fn only_another_server_is_an_impostor() {
        let met = |error: TlsError| tls_error(Error::new(ErrorKind::InvalidData, error));
        for another in [
            CertificateError::ApplicationVerificationFailure,
            CertificateError::UnknownIssuer,
            CertificateError::NotValidForName,
            CertificateError::BadSignature,
            CertificateError::InvalidPurpose,
        ] {
            let met = met(TlsError::InvalidCertificate(another.clone()));
            assert!(met.is_impostor(), "{another:?}: {met:?}");
        }
        let of = |alert| TlsError::AlertReceived(alert);
        for (error, want) in [
            (CertificateError::Expired.into(), TlsFault::Expired),
            (CertificateError::NotValidYet.into(), TlsFault::Early),
            (CertificateError::BadEncoding.into(), TlsFault::Unreadable),
            (
                PeerIncompatible::ServerDoesNotSupportTls12Or13.into(),
                TlsFault::Version,
            ),
            (of(AlertDescription::ProtocolVersion), TlsFault::Alert),
            (of(AlertDescription::HandshakeFailure), TlsFault::Alert),
            (TlsError::PeerSentOversizedRecord, TlsFault::Oversized),
            (
                PeerMisbehaved::TooManyEmptyFragments.into(),
                TlsFault::Misbehaved,
            ),
            (TlsError::DecryptError, TlsFault::Misbehaved),
            (TlsError::General("no name".to_owned()), TlsFault::Unready),
            (TlsError::FailedToGetRandomBytes, TlsFault::Incapable),
        ] {
            let met = met(error);
            assert!(
                matches!(&met, ConnectError::Handshake(fault) if *fault == want),
                "{want:?}: {met:?}"
            );
        }
        let refused = met(of(AlertDescription::UnknownCA));
        assert!(matches!(&refused, ConnectError::Refused(said) if said == "TLS alert UnknownCA"));
    }

    #[test]
    fn the_major_version_is_read_from_what_the_server_says_of_itself() {
        let version = |text: &[u8]| {
            let mut said = Vec::new();
            message(&mut said, b'R', |body| body.extend([0; 4]));
            message(&mut said, b'S', |body| {
                put_text(body, b"server_version");
                put_text(body, text);
            });
            major_version(&said)
        };
        assert_eq!(version(b"15.20 (Debian 15.20-0+deb12u1)"), Some(15));
        assert_eq!(version(b"13.4"), Some(13));
        assert_eq!(version(b"18beta1"), Some(18));
        assert_eq!((version(b"new"), major_version(b"S\0")), (None, None));
    }

    #[test]
    fn notices_of_a_login_are_kept_apart() {
        let mut greeting = Greeting {
            before: Vec::new(),
            key: None,
            after: Vec::new(),
            notices: Notices::default(),
        };
        for kind in [b'N', b'S', b'N'] {
            greeting.keep(kind, b"x").unwrap();
        }
        assert_eq!(greeting.before, b"S\0\0\0\x05x");
        assert_eq!(greeting.notices.bytes, b"N\0\0\0\x05xN\0\0\0\x05x");
        assert_eq!(greeting.notices.count, 2);
    }

    #[test]
    fn a_server_lets_us_in_once_and_is_ready_then() {
        for (kind, body, known, want) in [
            (b'R', &b"\0\0\0\0"[..], (false, false), true),
            (b'R', b"\0\0\0\0", (true, false), false),
            (b'K', b"", (true, false), true),
            (b'K', b"", (true, true), false),
            (b'Z', b"I", (true, true), true),
            (b'Z', b"I", (false, true), false),
            (b'Z', b"T", (true, true), false),
            (b'Z', b"", (true, true), false),
            (b'N', b"", (false, false), true),
            (b'D', b"", (true, true), false),
        ] {
            let is_in_place = is_in_place(kind, body, known);
            assert_eq!(is_in_place, want, "{} {known:?}", char::from(kind));
        }
    }

    /// Each has a header, and nothing else.
    #[tokio::test]
    async fn a_target_that_says_nothing_again_and_again_is_not_heard_for_ever() {
        let mut greeting = Greeting {
            before: Vec::new(),
            key: None,
            after: Vec::new(),
            notices: Notices::default(),
        };
        let mut count = 0_usize;
        while count < 200_000 && greeting.keep(b"NS"[count % 2], b"").is_ok() {
            count = count.saturating_add(1);
        }
        assert_eq!(count, GREETING_MAX / HEADER);
        let said = framed(b'N', b"").repeat(1_000);
        let (mut from, mut room) = (said.as_slice(), 1_000);
        while let Ok((kind, _nothing)) = read_message(&mut from, &mut room).await {
            assert_eq!(kind, b'N');
        }
        assert_eq!((room, from.len()), (0, 4_000 - HEADER));
    }

    async fn read(from: &[(u8, Vec<u8>)], mut room: usize) -> Result<(u8, Vec<u8>), LoginError> {
        let mut said = Vec::new();
        for (kind, body) in from {
            message(&mut said, *kind, |out| out.extend_from_slice(body));
        }
        read_message(&mut said.as_slice(), &mut room).await
    }

    #[tokio::test]
    async fn notices_of_any_length_are_passed_over_and_long_errors_cut() {
        let long = |kind| (kind, vec![b'x'; 70_000]);
        let ready = (b'Z', vec![b'I']);
        let got = read(&[long(b'N'), long(b'N'), ready.clone()], ROOM).await;
        assert_eq!(got.unwrap(), ready);
        // No more than there is room for.
        let got = read(&[long(b'N'), long(b'N'), ready.clone()], 140_009).await;
        assert!(matches!(got.unwrap_err().error, ConnectError::Violation(_)));
        let got = read(&[long(b'S'), ready], ROOM).await;
        assert!(matches!(got.unwrap_err().error, ConnectError::Violation(_)));
        assert_eq!(read(&[long(b'D')], ROOM).await.unwrap(), long(b'D'));
        for cut in [LONG_KEPT - 15, LONG_KEPT - 14, LONG_KEPT - 13, 40_000] {
            let detail = "d".repeat(70_000);
            let why = "m".repeat(cut);
            let error = format!("SERROR\0C42501\0M{why}\0D{detail}\0\0").into_bytes();
            let (_kind, error) = read(&[(b'E', error)], ROOM).await.unwrap();
            let said = wire::complaint(b'E', &error).unwrap();
            assert_eq!(said.sqlstate, b"42501");
            assert!(error.len() <= LONG_KEPT + 2 && said.message.len() > 4_000);
        }
    }
}
