//! What is said of the connection to the bastion, and of answers that are none of its API.

/// How a trouble begins: what was to be done.
pub fn cannot(doing: &str) -> String {
    format!("cannot {doing}")
}

/// An answer without a sentence.
pub fn answered(status: &str) -> String {
    format!("it answered {status}")
}

/// A sentence of the server's, with what to ask its operator for.
pub fn with_reference(detail: &str, reference: &str) -> String {
    format!("{detail} (ref {reference})")
}

/// The certificate of the login is not taken.
pub const LOGIN_REFUSED: &str = "the bastion refuses this login";

/// Nobody is logged in who could be shown.
pub const NO_LOGIN_TO_SHOW: &str = "cannot show the login";

/// The certificates of the login have ended, or are not whole.
pub const LOGIN_ENDED: &str = "the login does not hold";

/// Nobody listens.
pub const NOBODY_LISTENS: &str = "connection refused: nothing listens there";

/// It was reset.
pub const ENDED: &str = "it ended the connection";

/// The network leads nowhere.
pub const NO_WAY: &str = "no way leads there";

/// It took too long.
pub const NOT_IN_TIME: &str = "it does not answer in time";

/// The name is nobody's.
pub const NO_ADDRESS: &str = "its name has no address";
