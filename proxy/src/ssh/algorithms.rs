//! Which algorithms are offered, and the sizes and times of both legs. Set out in full: russh's
//! defaults advertise SHA-1 signatures and prefer what is slow.
//!
//! Compression is never offered: it is slow, and what is compressed before it is encrypted leaks.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use policies::Algorithms;
use russh::client::GexParams;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg, PrivateKey};
use russh::{
    Limits, MethodKind, MethodSet, Preferred, SshId, cipher, client, compression, kex, mac, server,
};

use crate::ssh::flow;

/// How we call ourselves, to both sides. Says nothing about versions.
pub(super) const NAME: &str = "SSH-2.0-tidegate";

/// Whether this identification (RFC 4253, section 4.2), without its line's end, is one of ours. It is no
/// proof, only how servers that are none are told apart.
pub(super) fn is_tidegate(identification: &[u8]) -> bool {
    let rest = identification.strip_prefix(NAME.as_bytes());
    rest.is_some_and(|rest| rest.first().is_none_or(|next| *next == b' '))
}

/// The largest payload of one packet, in bytes.
const PACKET: u32 = 65_535;

/// How many messages one channel's queue takes. russh's loop must never wait for it (`flow`); the
/// queue allocates as it fills.
pub(super) const CHANNEL_QUEUE: usize = 65_536;

/// How many messages to one peer may wait.
pub(super) const EVENT_QUEUE: usize = 64;

/// How many times a client may be wrong about who it is, as with OpenSSH (`MaxAuthTries` in `sshd_config(5)`).
pub const ATTEMPTS_MAX: usize = 6;

/// How many keys and certificates a client may offer before it has proven who it is. Clients sign with the first
/// that is taken.
pub const OFFERS_MAX: usize = 20;

/// How many times russh says no before it ends a connection. It counts keys in tokens too, which are refused before
/// anything was proven with them, and the first question of every client (`none`); the door counts what was wrong.
const REFUSALS_MAX: usize = ATTEMPTS_MAX + OFFERS_MAX;

/// How long every refusal of a credential takes, so that none tells more than another.
const REJECTION_TIME: Duration = Duration::from_millis(50);

/// When russh renews the keys by itself. It ends whoever has more than twice the window that a channel begins with
/// under way then, and honest peers have up to [`flow::WINDOW`], so peers come first: OpenSSH renews AES after 64 GiB,
/// and everybody after 2^31 packets (`packet.c`, RFC 4344 sections 3.1 and 3.2). russh counts what packets hold, not
/// packets: only with a peer that renews nothing by itself and moves billions of the smallest could a sequence number
/// come twice before this. A grant lasts no longer than the time.
const RENEWAL: Limits = Limits {
    rekey_write_limit: 96 << 30,
    rekey_read_limit: 96 << 30,
    rekey_time_limit: Duration::from_secs(30 * 24 * 60 * 60),
};

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

/// Which clients are spoken with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Clients {
    /// Those of this decade.
    #[default]
    Modern,
    /// Also those that cannot encrypt before they authenticate, such as libssh2 before 1.11.
    Old,
}

impl Clients {
    fn macs(self) -> &'static [mac::Name] {
        match self {
            Self::Modern => MACS,
            Self::Old => ALL_MACS,
        }
    }
}

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];

/// With those that authenticate what is not encrypted yet: nothing is known against them that would
/// matter here, but they are on their way out.
const ALL_MACS: &[mac::Name] = &[
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256,
    mac::HMAC_SHA512,
];

/// Key exchanges for equipment that knows no others (`--legacy-algorithms`), after the good ones.
const LEGACY_KEX: &[kex::Name] = &[
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_GEX_SHA256,
    kex::DH_G14_SHA1,
    kex::DH_GEX_SHA1,
];

/// The groups that are asked for where they are exchanged: at least, best and at most, in bits. Old equipment has none of
/// more than 2048, and takes seconds for those of 8192, which russh would ask for (RFC 4419, and RFC 8270 for the least).
const LEGACY_GROUPS: (usize, usize, usize) = (2048, 3072, 8192);

/// Ciphers for the same.
const LEGACY_CIPHERS: &[cipher::Name] = &[cipher::AES_256_CBC, cipher::AES_128_CBC];

/// Checksums for the same.
const LEGACY_MACS: &[mac::Name] = &[mac::HMAC_SHA1_ETM, mac::HMAC_SHA1];

/// What a host may sign with: RSA with SHA-1 too where it is old.
pub fn host_signatures(spoken: Algorithms) -> Vec<Algorithm> {
    let mut kinds = HOST_SIGNATURES.to_vec();
    if spoken == Algorithms::Legacy {
        kinds.push(Algorithm::Rsa { hash: None });
    }
    kinds
}

/// Signatures that are good enough, best first. No DSA, no RSA with SHA-1, and none of keys in tokens: russh
/// hands no signature on, so nobody could see whether the token was touched (decision 42).
pub const SIGNATURES: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// What a host may sign with.
pub const HOST_SIGNATURES: &[Algorithm] = SIGNATURES;

/// The client's leg: we are the server.
pub fn server(key: PrivateKey, certificate: Certificate, clients: Clients) -> server::Config {
    server::Config {
        server_id: SshId::Standard(Cow::Borrowed(NAME)),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: REJECTION_TIME,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![key],
        certificates: vec![certificate],
        limits: RENEWAL,
        window_size: flow::OPENING,
        maximum_packet_size: PACKET,
        channel_buffer_size: CHANNEL_QUEUE,
        event_buffer_size: EVENT_QUEUE,
        preferred: preferred(SIGNATURES.into(), Cow::Borrowed(&[]), clients.macs()),
        max_auth_attempts: REFUSALS_MAX,
        inactivity_timeout: None,
        // The kernel asks, on both legs (`Severer::wrap`): ten thousand idle sessions would wake us
        // for nothing hundreds of times a second. OpenSSH's `ClientAliveInterval` is 0 as well.
        keepalive_interval: None,
        keepalive_max: 0,
        nodelay: true,
    }
}

/// The target's leg: we are the client. `keys` and `certificates` are the algorithms that the
/// target may prove itself with.
pub fn client(
    (keys, certificates): (Vec<Algorithm>, Vec<Algorithm>),
    spoken: Algorithms,
) -> Arc<client::Config> {
    let mut preferred = preferred(keys.into(), certificates.into(), ALL_MACS);
    let mut gex = GexParams::default();
    if spoken == Algorithms::Legacy {
        let (least, best, most) = LEGACY_GROUPS;
        gex = GexParams::new(least, best, most).unwrap_or_default();
        preferred.kex = [KEX, LEGACY_KEX].concat().into();
        preferred.cipher = [CIPHERS, LEGACY_CIPHERS].concat().into();
        preferred.mac = [ALL_MACS, LEGACY_MACS].concat().into();
    }
    Arc::new(client::Config {
        client_id: SshId::Standard(Cow::Borrowed(NAME)),
        limits: RENEWAL,
        window_size: flow::WINDOW,
        maximum_packet_size: PACKET,
        channel_buffer_size: CHANNEL_QUEUE,
        preferred,
        gex,
        inactivity_timeout: None,
        keepalive_interval: None,
        keepalive_max: 0,
        nodelay: true,
        ..client::Config::default()
    })
}

fn preferred(
    key: Cow<'static, [Algorithm]>,
    host_key_certificates: Cow<'static, [Algorithm]>,
    macs: &'static [mac::Name],
) -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key,
        host_key_certificates,
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(macs),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}
