//! What one side did that its session was ended for (`TG406`), as its recording and the list of sessions have it; and
//! what a client did that it never got one for, as the log has it.

/// More came than its windows allow.
pub const CLIENT_OVERRUN: &str = "the client sent more than its windows allow";

/// It asked for more than any program needs.
pub const CLIENT_FLOOD: &str = "the client asked for more than any program needs";

/// It sent text that is none.
pub const CLIENT_UNREADABLE: &str =
    "the client sent what cannot be read, such as text that is not UTF-8";

/// It sent too much in the middle of a key exchange.
pub const CLIENT_PENDING: &str = "the client sent too much while keys were exchanged";

/// What read from it broke.
pub const CLIENT_LOST: &str = "the client's connection could not be carried on";

/// Anything else that a client of SSH may not do.
pub const CLIENT_RULES: &str = "the client did not keep to the protocol";

/// It takes nothing of what it is answered, and goes on asking.
pub const CLIENT_WAITS: &str = "too much of what the client sent waits";

/// It began a key exchange and let it stand.
pub const CLIENT_EXCHANGE: &str = "the client did not end a key exchange";

/// A target sent text that is none.
pub const TARGET_UNREADABLE: &str =
    "the target sent what cannot be read, such as text that is not UTF-8";

/// Anything else that a target of SSH may not do.
pub const TARGET_RULES: &str = "the target did not keep to the protocol";

/// What carried a channel broke.
pub const CHANNEL_LOST: &str = "a channel could not be carried on";

/// A client of PostgreSQL sent what has no place there.
pub const CLIENT_BROKE: &str = "the client broke the protocol";

/// A PostgreSQL server sent what has no place there.
pub const TARGET_BROKE: &str = "the target broke the protocol";

/// The name of a portal that does not exist could not be drawn.
pub const NO_RANDOMNESS: &str = "the system gave no randomness";

/// A client of PostgreSQL did not go on as it had asked to.
pub const NO_TLS_AFTER_ASKING: &str = "no TLS after asking for it";

/// It had been told that there is none.
pub const KERBEROS_TWICE: &str = "Kerberos asked for twice";

/// Whoever begins with TLS has to say that PostgreSQL is spoken in it.
pub const DIRECT_WITHOUT_ALPN: &str = "direct TLS without ALPN";

/// There is some already.
pub const ENCRYPTED_TWICE: &str = "encryption asked for inside TLS";

/// No startup packet is so long, or so short.
pub const FIRST_LENGTH: &str = "a first packet of impossible length";

/// They could be taken for something said over TLS (CVE-2021-23222).
pub const BYTES_BEHIND: &str = "bytes in clear behind a request for encryption";

/// It did not go on with its proof.
pub const NO_SASL_ANSWER: &str = "something else than an answer to SASL";

/// No proof is so long, or so short.
pub const SASL_LENGTH: &str = "an answer to SASL of impossible length";
