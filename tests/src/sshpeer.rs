//! One side of an SSH connection, byte by byte, for what no library would do: half a key exchange,
//! windows that are lies, messages that come twice.
//!
//! Speaks one algorithm of each kind (`curve25519-sha256`, `ssh-ed25519`, `aes128-gcm@openssh.com`), believes
//! every host, and waits for nothing that it was not told to wait for. How it agrees on keys is in [`Exchange`].

#![expect(
    clippy::indexing_slicing,
    reason = "whoever misbehaves in a test may fail by panicking"
)]

mod exchange;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use aws_lc_rs::aead::{Aad, LessSafeKey, Nonce};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

use self::exchange::{derive, exchange_hash};
use crate::ssh::Identity;

pub use self::exchange::{Exchange, Method};

/// Message numbers (RFC 4250, section 4.1).
#[expect(missing_docs, reason = "they are the names of the RFC")]
pub mod msg {
    pub const DISCONNECT: u8 = 1;
    pub const IGNORE: u8 = 2;
    pub const SERVICE_REQUEST: u8 = 5;
    pub const SERVICE_ACCEPT: u8 = 6;
    pub const EXT_INFO: u8 = 7;
    pub const KEXINIT: u8 = 20;
    pub const NEWKEYS: u8 = 21;
    pub const KEX_ECDH_INIT: u8 = 30;
    pub const KEX_ECDH_REPLY: u8 = 31;
    pub const USERAUTH_REQUEST: u8 = 50;
    pub const USERAUTH_FAILURE: u8 = 51;
    pub const USERAUTH_SUCCESS: u8 = 52;
    pub const USERAUTH_BANNER: u8 = 53;
    pub const USERAUTH_PK_OK: u8 = 60;
    pub const GLOBAL_REQUEST: u8 = 80;
    pub const REQUEST_SUCCESS: u8 = 81;
    pub const REQUEST_FAILURE: u8 = 82;
    pub const CHANNEL_OPEN: u8 = 90;
    pub const CHANNEL_OPEN_CONFIRMATION: u8 = 91;
    pub const CHANNEL_OPEN_FAILURE: u8 = 92;
    pub const CHANNEL_WINDOW_ADJUST: u8 = 93;
    pub const CHANNEL_DATA: u8 = 94;
    pub const CHANNEL_EXTENDED_DATA: u8 = 95;
    pub const CHANNEL_EOF: u8 = 96;
    pub const CHANNEL_CLOSE: u8 = 97;
    pub const CHANNEL_REQUEST: u8 = 98;
    pub const CHANNEL_SUCCESS: u8 = 99;
    pub const CHANNEL_FAILURE: u8 = 100;
}

/// The longest packet that is read.
const PACKET_MAX: usize = 512 * 1024;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message being written.
#[derive(Debug, Default, Clone)]
#[must_use]
pub struct Message(Vec<u8>);

impl Message {
    /// One of this kind.
    pub fn new(kind: u8) -> Self {
        Self(vec![kind])
    }

    /// With a byte or a boolean.
    pub fn byte(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    /// With a number.
    pub fn number(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// With a string.
    pub fn string(mut self, value: impl AsRef<[u8]>) -> Self {
        put(&mut self.0, value.as_ref());
        self
    }
}

/// One side of a connection.
pub struct SshPeer {
    stream: TcpStream,
    incoming: Half,
    outgoing: Half,
    session: Vec<u8>,
    kexinit: Vec<u8>,
}

impl std::fmt::Debug for SshPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SshPeer").finish_non_exhaustive()
    }
}

/// One direction: in clear, until there are keys.
#[derive(Default)]
struct Half(Option<(LessSafeKey, [u8; 12])>);

impl Half {
    fn nonce(nonce: &mut [u8; 12]) -> Nonce {
        let now = *nonce;
        let counter = u64::from_be_bytes(nonce[4..].try_into().expect("eight bytes"));
        nonce[4..].copy_from_slice(&counter.wrapping_add(1).to_be_bytes());
        Nonce::assume_unique_for_key(now)
    }
}

impl SshPeer {
    /// Connects, and agrees on keys. `before_newkeys` is sent in the middle of that; an attacker on
    /// the way could have.
    pub fn connect(addr: SocketAddr, before_newkeys: &[Message]) -> io::Result<Self> {
        let exchange = Exchange {
            before_newkeys,
            ..Exchange::default()
        };
        Self::connect_by(addr, &exchange)
    }

    /// The same, by this way of agreeing on keys.
    pub fn connect_by(addr: SocketAddr, exchange: &Exchange<'_>) -> io::Result<Self> {
        let mut peer = Self::begin(TcpStream::connect(addr)?, "SSH-2.0-peer\r\n")?;
        let theirs = read_line(&mut peer.stream)?;
        let ours = peer.send_kexinit(
            (exchange.method, "kex-strict-c-v00@openssh.com"),
            "ssh-ed25519",
        )?;
        let theirs_init = peer.wait(msg::KEXINIT)?;
        for message in exchange.before_newkeys {
            peer.send(message)?;
        }
        let (public, secret) = exchange.begin()?;
        peer.send(&Message::new(msg::KEX_ECDH_INIT).string(&public))?;
        let reply = peer.wait(msg::KEX_ECDH_REPLY)?;
        let mut rest = &reply[1..];
        let (host, their_public) = (take(&mut rest)?, take(&mut rest)?);
        let versions = (&b"SSH-2.0-peer"[..], theirs.as_slice());
        let publics = (public.as_slice(), their_public.as_slice());
        let shared = secret.shared(&their_public)?;
        let hash = exchange_hash(versions, (&ours, &theirs_init), &host, publics, &shared);
        peer.send(&Message::new(msg::NEWKEYS))?;
        peer.outgoing = derive(&shared, &hash, &hash, (b'A', b'C'));
        peer.wait(msg::NEWKEYS)?;
        peer.incoming = derive(&shared, &hash, &hash, (b'B', b'D'));
        peer.session = hash;
        Ok(peer)
    }

    /// Answers a client as a host with this key, and lets it in whoever it says to be.
    pub fn answer(stream: TcpStream, host_seed: [u8; 32]) -> io::Result<Self> {
        let mut peer = Self::answer_by(stream, host_seed, &Exchange::default())?;
        peer.wait(msg::USERAUTH_REQUEST)?;
        peer.send(&Message::new(msg::USERAUTH_SUCCESS))?;
        Ok(peer)
    }

    /// Answers a client as a host with this key, by this way of agreeing on keys, up to where it would say who it is.
    pub fn answer_by(
        stream: TcpStream,
        host_seed: [u8; 32],
        exchange: &Exchange<'_>,
    ) -> io::Result<Self> {
        let mut peer = Self::begin(stream, "SSH-2.0-peer\r\n")?;
        let theirs = read_line(&mut peer.stream)?;
        let kind = exchange.shown.map_or("ssh-ed25519", |(kind, _shown)| kind);
        let ours = peer.send_kexinit((exchange.method, "kex-strict-s-v00@openssh.com"), kind)?;
        let theirs_init = peer.wait(msg::KEXINIT)?;
        let init = peer.wait(msg::KEX_ECDH_INIT)?;
        let their_public = take(&mut &init[1..])?;
        let (public, shared) = exchange.answer(&their_public)?;
        let key = Ed25519KeyPair::from_seed_unchecked(&host_seed).map_err(odd)?;
        let mut host = Vec::new();
        if let Some((_kind, shown)) = exchange.shown {
            host.extend_from_slice(shown);
        } else {
            put(&mut host, b"ssh-ed25519");
            put(&mut host, key.public_key().as_ref());
        }
        let versions = (theirs.as_slice(), &b"SSH-2.0-peer"[..]);
        let publics = (their_public.as_slice(), public.as_slice());
        let hash = exchange_hash(versions, (&theirs_init, &ours), &host, publics, &shared);
        let mut signature = Vec::new();
        put(&mut signature, b"ssh-ed25519");
        put(&mut signature, key.sign(&hash).as_ref());
        for message in exchange.before_newkeys {
            peer.send(message)?;
        }
        let reply = Message::new(msg::KEX_ECDH_REPLY)
            .string(&host)
            .string(&public);
        peer.send(&reply.string(&signature))?;
        peer.send(&Message::new(msg::NEWKEYS))?;
        peer.outgoing = derive(&shared, &hash, &hash, (b'B', b'D'));
        peer.wait(msg::NEWKEYS)?;
        peer.incoming = derive(&shared, &hash, &hash, (b'A', b'C'));
        peer.session = hash;
        peer.wait(msg::SERVICE_REQUEST)?;
        peer.send(&Message::new(msg::SERVICE_ACCEPT).string("ssh-userauth"))?;
        Ok(peer)
    }

    fn begin(mut stream: TcpStream, greeting: &str) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.write_all(greeting.as_bytes())?;
        Ok(Self {
            stream,
            incoming: Half::default(),
            outgoing: Half::default(),
            session: Vec::new(),
            kexinit: Vec::new(),
        })
    }

    fn send_kexinit(
        &mut self,
        (method, strict): (Method, &str),
        host_kind: &str,
    ) -> io::Result<Vec<u8>> {
        let kex = format!("{},{strict}", method.name());
        let (cipher, mac) = ("aes128-gcm@openssh.com", "hmac-sha2-256-etm@openssh.com");
        let lists = [
            kex.as_str(),
            host_kind,
            cipher,
            cipher,
            mac,
            mac,
            "none",
            "none",
            "",
            "",
        ];
        let mut message = Message::new(msg::KEXINIT);
        message.0.extend_from_slice(&[7; 16]);
        for list in lists {
            message = message.string(list);
        }
        let message = message.byte(0).number(0);
        self.kexinit.clone_from(&message.0);
        self.send(&message)?;
        Ok(message.0)
    }

    /// Begins another key exchange, and does no more for it.
    pub fn begin_rekey(&mut self) -> io::Result<()> {
        let message = Message(self.kexinit.clone());
        self.send(&message)
    }

    /// Logs in with a person's certificate.
    pub fn login(&mut self, user: &str, identity: &Identity) -> io::Result<bool> {
        self.begin_login()?;
        let request = wish(user, identity, true);
        let signature = self.signature(&request, identity);
        self.send(&request.string(&signature))?;
        self.is_let_in()
    }

    /// Asks for the service that lets people in, and waits until it is there.
    pub fn begin_login(&mut self) -> io::Result<()> {
        self.send(&Message::new(msg::SERVICE_REQUEST).string("ssh-userauth"))?;
        self.wait(msg::SERVICE_ACCEPT).map(drop)
    }

    /// What somebody's key makes of a wish to be let in over this connection.
    pub fn signature(&self, wish: &Message, by: &Identity) -> Vec<u8> {
        let mut signed = Vec::new();
        put(&mut signed, &self.session);
        signed.extend_from_slice(&wish.0);
        by.sign(&signed)
    }

    /// Waits for the answer to a wish that was signed.
    pub fn is_let_in(&mut self) -> io::Result<bool> {
        loop {
            let message = self.receive()?;
            match message.first() {
                Some(&msg::USERAUTH_SUCCESS) => return Ok(true),
                Some(&(msg::USERAUTH_FAILURE | msg::DISCONNECT)) => return Ok(false),
                _ => {}
            }
        }
    }

    /// Opens a session channel as number 0, with this window and this largest packet. Gives back the
    /// other side's number for it.
    pub fn open_session(&mut self, window: u32, packet: u32) -> io::Result<u32> {
        let open = Message::new(msg::CHANNEL_OPEN).string("session");
        self.send(&open.number(0).number(window).number(packet))?;
        let confirmed = self.wait(msg::CHANNEL_OPEN_CONFIRMATION)?;
        number(&confirmed, 5)
    }

    /// The messages that come until nothing comes for this long.
    pub fn heard(&mut self, pause: Duration) -> Vec<Vec<u8>> {
        let mut heard = Vec::new();
        while self.stream.set_read_timeout(Some(pause)).is_ok()
            && let Ok(message) = self.receive()
        {
            heard.push(message);
        }
        drop(self.stream.set_read_timeout(Some(PATIENCE)));
        heard
    }

    /// Runs a command on a channel, and waits until that was taken.
    pub fn exec(&mut self, channel: u32, command: &str) -> io::Result<()> {
        let request = Message::new(msg::CHANNEL_REQUEST).number(channel);
        self.send(&request.string("exec").byte(1).string(command))?;
        self.wait(msg::CHANNEL_SUCCESS).map(drop)
    }

    /// Sends bytes on a channel, whatever its window is.
    pub fn data(&mut self, channel: u32, bytes: &[u8]) -> io::Result<()> {
        let data = Message::new(msg::CHANNEL_DATA).number(channel);
        self.send(&data.string(bytes))
    }

    /// Lets the other side send so many bytes more.
    pub fn adjust(&mut self, channel: u32, bytes: u32) -> io::Result<()> {
        let adjust = Message::new(msg::CHANNEL_WINDOW_ADJUST).number(channel);
        self.send(&adjust.number(bytes))
    }

    /// Reads until a message of this kind comes. Others are passed over.
    pub fn wait(&mut self, kind: u8) -> io::Result<Vec<u8>> {
        loop {
            let message = self.receive()?;
            if message.first() == Some(&kind) {
                return Ok(message);
            }
        }
    }

    /// Reads until the other side has gone, or for this long. True when it has gone.
    pub fn is_shown_out(&mut self, limit: Duration) -> bool {
        let began = std::time::Instant::now();
        let pause = Some(Duration::from_millis(200));
        let mut late = false;
        while self.stream.set_read_timeout(pause).is_ok() && !late {
            // The last look begins after the limit: the machine may have stood still.
            late = began.elapsed() >= limit;
            match self.receive() {
                Ok(message) if message.first() == Some(&msg::DISCONNECT) => return true,
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Err(_gone) => return true,
            }
        }
        drop(self.stream.set_read_timeout(Some(PATIENCE)));
        false
    }

    /// Announces a packet of this length, and sends nothing of it.
    pub fn announce(&mut self, length: u32) -> io::Result<()> {
        self.stream.write_all(&length.to_be_bytes())
    }

    /// Sends one message.
    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        let payload = &message.0;
        // Padding to blocks of 16, of what is encrypted or with the length in clear.
        let clear = if self.outgoing.0.is_some() { 1 } else { 5 };
        let padding = 16 + (16 - (payload.len() + clear) % 16) % 16;
        let length = u32::try_from(1 + payload.len() + padding).map_err(odd)?;
        let mut body = vec![u8::try_from(padding).map_err(odd)?];
        body.extend_from_slice(payload);
        body.resize(body.len() + padding, 0);
        let length = length.to_be_bytes();
        if let Some((key, nonce)) = &mut self.outgoing.0 {
            key.seal_in_place_append_tag(Half::nonce(nonce), Aad::from(length), &mut body)
                .map_err(odd)?;
        }
        self.stream.write_all(&[&length[..], &body].concat())
    }

    /// Reads one message.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let length = usize::try_from(u32::from_be_bytes(head)).map_err(odd)?;
        if length > PACKET_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // The rest of a packet that has begun is waited for.
        self.stream.set_read_timeout(Some(PATIENCE))?;
        let tag = if self.incoming.0.is_some() { 16 } else { 0 };
        let mut body = vec![0; length + tag];
        self.stream.read_exact(&mut body)?;
        if let Some((key, nonce)) = &mut self.incoming.0 {
            key.open_in_place(Half::nonce(nonce), Aad::from(head), &mut body)
                .map_err(odd)?;
            body.truncate(length);
        }
        let padding = usize::from(*body.first().ok_or(io::ErrorKind::InvalidData)?);
        let end = length.saturating_sub(padding);
        Ok(body.get(1..end).unwrap_or_default().to_vec())
    }
}

/// A wish to be let in with a person's certificate, as it is signed (RFC 4252, section 7): one that is to be proven
/// has its signature behind it.
pub fn wish(user: &str, shown: &Identity, is_proven: bool) -> Message {
    Message::new(msg::USERAUTH_REQUEST)
        .string(user)
        .string("ssh-connection")
        .string("publickey")
        .byte(u8::from(is_proven))
        .string(shown.certificate_kind())
        .string(shown.certificate_bytes())
}

/// The number at this place of a message.
pub fn number(message: &[u8], at: usize) -> io::Result<u32> {
    let bytes = message.get(at..at + 4).ok_or(io::ErrorKind::InvalidData)?;
    Ok(u32::from_be_bytes(bytes.try_into().map_err(odd)?))
}

fn odd(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("it is short");
    to.extend_from_slice(&length.to_be_bytes());
    to.extend_from_slice(bytes);
}

fn take(from: &mut &[u8]) -> io::Result<Vec<u8>> {
    let length = usize::try_from(number(from, 0)?).map_err(odd)?;
    let taken = from.get(4..4 + length).ok_or(io::ErrorKind::InvalidData)?;
    *from = &from[4 + length..];
    Ok(taken.to_vec())
}

/// The greeting, without its end.
fn read_line(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    line.truncate(line.len() - 2);
    Ok(line)
}
