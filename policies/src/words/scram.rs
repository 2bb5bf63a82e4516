//! What is wrong with what a client says while it proves a one-time password (SCRAM, RFC 5802), as `login.refused` in the
//! log has it. The client hears that its password is wrong.

/// Nothing stands in front of its first message.
pub const NO_HEADER: &str = "it has no header";

/// Of the header there is only the beginning.
pub const SHORT_HEADER: &str = "its header has one part";

/// It has an `authzid`.
pub const ANOTHER: &str = "it asks to act as somebody else, which is not supported";

/// By something else than `tls-server-end-point`.
pub const ODD_BINDING: &str = "it binds the channel in a way that is not supported";

/// `SCRAM-SHA-256-PLUS` without one.
pub const UNBOUND: &str = "it chose channel binding and does not bind";

/// Somebody took the offer away.
pub const MISLED: &str = "it believes that channel binding is not offered, and it is";

/// A binding without `-PLUS`.
pub const BOUND_UNCHOSEN: &str = "it binds the channel and did not choose to";

/// Neither that it binds nor that it does not.
pub const UNTOLD_BINDING: &str = "its header says nothing about channel binding";

/// A mechanism of its own.
pub const UNOFFERED: &str = "it chose what was not offered";

/// It begins with `m=`.
pub const EXTENSION: &str = "it needs an extension that is not supported";

/// Nothing stands where `n=` has to.
pub const NO_USER: &str = "it has no user name";

/// Nothing stands where `r=` has to.
pub const NO_NONCE: &str = "it has no nonce";

/// Characters that no nonce has.
pub const ODD_NONCE: &str = "its nonce is not printable";

/// Nothing stands where `p=` has to.
pub const NO_PROOF: &str = "it has no proof at its end";

/// Nothing stands where `c=` has to.
pub const NO_BINDING: &str = "it has no channel binding";

/// What stands behind `c=`.
pub const BINDING_CODED: &str = "its channel binding is not base 64";

/// It is bound to another channel.
pub const ELSEWHERE: &str = "it was meant for another connection than this";

/// It has another nonce than ours.
pub const OTHER_QUESTION: &str = "it answers another question than was asked";

/// What stands behind `p=`.
pub const PROOF_CODED: &str = "its proof is not base 64";

/// 32 bytes.
pub const PROOF_LENGTH: &str = "its proof is not as long as a hash";

/// Longer than a message has to be.
pub const LONG: &str = "it is too long";

/// A reader could end there.
pub const ZERO: &str = "it holds a zero";

/// Bytes that are no text.
pub const NOT_TEXT: &str = "it is not UTF-8";

/// No letter and `=`.
pub const ODD_PART: &str = "it has a part that is no attribute";

/// `SASLInitialResponse` is cut short, or has more behind it.
pub const ODD_CHOICE: &str = "its choice of a mechanism is not whole";

/// `SASLInitialResponse` without a message.
pub const SAYS_NOTHING: &str = "it says nothing first";
