//! What is no beginning of an SSH connection, where one is looked on at: it is sent, or came, as these sentences go on.

/// No key exchange is so long.
pub const MUCH: &str = "more than 64 KiB in clear";

/// Its first bytes are others.
pub const NO_SSH_2: &str = "no identification of SSH 2.0";

/// Longer than 255 bytes (RFC 4253, section 4.2).
pub const ENDLESS_NAME: &str = "an identification that does not end";

/// With what cannot be shown as it is.
pub const NO_NAME: &str = "an identification that is none";

/// RFC 4253, section 6.
pub const PACKET_LENGTH: &str = "a packet of no possible length";

/// It has no number.
pub const PACKET_CUT: &str = "a packet that is cut short";

/// RFC 4253, section 6.
pub const PACKET_PADDING: &str = "a packet of no possible padding";

/// RFC 4253, section 7.
pub const NO_EXCHANGE: &str = "a message that is no part of a key exchange";

/// The key exchange ended without one.
pub const NO_HOST_KEY: &str = "no host key";

/// The client does not wait for it.
pub const EARLY: &str = "encrypted before there is a host key";

/// What a server that is no bastion begins with, as one of these has it.
pub fn sends(why: &str) -> String {
    format!("it sends {why}")
}
