//! What kept tidegate out of a target while it went in there, for those who manage targets: how a server behaves that is
//! not what it was added as, or does not let in. Behind "it", as `target test` and the log have it.

/// A database server that says no to it.
pub const NO_TLS: &str = "it does not offer TLS";

/// Its answer to the first question is none.
pub const NO_POSTGRES: &str = "it does not speak PostgreSQL";

/// It is a target of SSH.
pub const NO_DATABASE: &str = "it is no database";

/// More than any server has to say before its first prompt.
pub const TALKS_IN_LOGIN: &str = "it says too much while we log in";

/// More than an answer may have.
pub const TALKS: &str = "it says too much";

/// A message of another phase.
pub const OUT_OF_PLACE: &str = "it sends what has no place in a login";

/// What a running statement is cancelled by.
pub const KEY_CUT: &str = "its key is cut short";

/// It is neither of protocol 3.0 nor of 3.2.
pub const KEY_LENGTH: &str = "its key has an impossible length";

/// An `ErrorResponse` without an end.
pub const ERROR_CUT: &str = "its error is cut short";

/// It sends something else than rows.
pub const NO_ANSWER: &str = "it does not answer a question";

/// No message is so long, or so short.
pub const LENGTH: &str = "it claims an impossible length";

/// Whether it is a primary, and takes changes.
pub const UNTOLD: &str = "it does not say what it is";

/// It is a database.
pub const NO_SSH: &str = "the target does not speak SSH";

/// What is kept for it, or was made for it.
pub const NOT_FOR_SSH: &str = "what tidegate has for it is not for SSH";

/// The key, certificate or password of the moment.
pub const REFUSED: &str = "it does not accept what tidegate showed";

/// Without a no.
pub const ENDED: &str = "its connection ended while tidegate logged in";

/// It connects nowhere.
pub const NOT_ONWARD: &str = "its sshd_config does not permit it (AllowTcpForwarding, PermitOpen)";

/// It may connect, and nobody listens.
pub const NOBODY_THERE: &str = "nobody answers it there";

/// Longer than what is told of a command.
pub const ENDLESS: &str = "its answer has no end";

/// It was replaced meanwhile.
pub const NO_BASTION: &str = "it is no bastion any more";

/// A bastion is gone through by SSH.
pub const OTHER_PROTOCOL: &str = "it speaks another protocol";

/// It calls itself something else.
pub const NO_TIDEGATE: &str = "it is no tidegate";
