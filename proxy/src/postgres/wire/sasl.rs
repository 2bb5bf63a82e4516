//! What the messages of a SASL exchange are called on the wire (PostgreSQL documentation, "SASL
//! Authentication"), and how long they may be.

/// `AuthenticationOk`.
pub(crate) const OK: i32 = 0;

/// `AuthenticationSASL`.
pub(crate) const SASL: i32 = 10;

/// `AuthenticationSASLContinue`.
pub(crate) const SASL_CONTINUE: i32 = 11;

/// `AuthenticationSASLFinal`.
pub(crate) const SASL_FINAL: i32 = 12;

/// The mechanism without channel binding (RFC 7677, section 4).
pub(crate) const PLAIN: &str = "SCRAM-SHA-256";

/// The mechanism with channel binding.
pub(crate) const PLUS: &str = "SCRAM-SHA-256-PLUS";

/// The longest message of either side that is read, in bytes. libpq's longest has about 250; PostgreSQL reads 64 KiB
/// (`PG_MAX_SASL_MESSAGE_LENGTH`).
pub(crate) const MESSAGE_MAX: usize = 2048;
