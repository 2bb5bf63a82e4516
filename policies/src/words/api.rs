//! What the API says besides the answers of the broker.

use crate::Algorithms;
use crate::words::cli::doctor::no_algorithm;
use crate::words::pin::PinFault;
use crate::words::reach::{self, Tried};
use crate::words::{Shown, Words};

/// Why the API did not even ask the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiRefusal {
    /// No certificate was shown, or not one that lets in.
    NotLoggedIn,
    /// The key was not proven, or is nobody's. Said alike on purpose.
    NotProven,
    /// The client proves a key as older versions did, which is not believed any more.
    OldClient,
    /// The signing request or the fresh key is not one that is certified.
    NotCertifiable {
        /// What is wrong with it.
        why: String,
    },
    /// The body is not what is expected here.
    Body {
        /// What is wrong with it, in words.
        why: String,
    },
    /// There is no such place.
    NoSuchPlace,
    /// It took too long.
    TooSlow,
    /// The target has several logins and none was named.
    LoginNeeded {
        /// Which target.
        target: String,
        /// Its logins.
        logins: Vec<String>,
    },
    /// The server that is to become a target did not show itself.
    Unseen(Unseen),
    /// The recording of a session is not there any more.
    RecordingGone {
        /// Of which.
        session: String,
        /// Its root, as the ledger has it.
        root: String,
    },
    /// What lies there as the recording of a session is none.
    RecordingSpoiled {
        /// Of which.
        session: String,
    },
    /// A part of the bastion does not answer.
    Unavailable,
}

/// Why a server did not show its keys or certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unseen {
    /// Its name has no address.
    Unresolved,
    /// None of its addresses gives a connection.
    Unreached(Vec<Tried>),
    /// No way leads through the targets in front of it.
    Wayless {
        /// What stands in the way.
        why: String,
    },
    /// It accepted and said nothing in time.
    Silent,
    /// It accepted and closed before it had said anything.
    Closed,
    /// It is a PostgreSQL server without TLS.
    Clear,
    /// It is an SSH server, and speaks none of the algorithms that it was looked at with.
    NoAlgorithm(Algorithms),
    /// It is an SSH server, and has no host key by which one is believed.
    Unbelieved(PinFault),
    /// It speaks something else.
    Odd,
}

impl Unseen {
    /// Whether something took the connection, and it is not known to be anything else than what is looked for.
    pub fn is_mute(&self) -> bool {
        matches!(self, Self::Silent | Self::Closed)
    }

    /// The fact, to be built into sentences.
    pub fn fact(&self) -> String {
        match self {
            Self::Unresolved => "its name has no address".to_owned(),
            Self::Unreached(tried) => reach::each(tried),
            Self::Wayless { why } => why.clone(),
            Self::Silent => "it accepted the connection and said nothing in time".to_owned(),
            Self::Closed => {
                "it accepted the connection and closed it before it said anything".to_owned()
            }
            Self::Clear => "PostgreSQL answers there, and has no TLS".to_owned(),
            Self::NoAlgorithm(spoken) => no_algorithm(*spoken).to_owned(),
            Self::Unbelieved(fault) => format!("it has no host key that is believed: {fault}"),
            Self::Odd => {
                "what answers there does not speak the protocol, or not over TLS".to_owned()
            }
        }
    }
}

fn clear(unseen: &Unseen) -> Words {
    Words::new("TG663", format!("the server cannot be looked at: {}", unseen.fact())).hint(
        "in the server's data directory:  openssl req -x509 -nodes -days 3650 -subj /CN=HOST -keyout server.key -out \
         server.crt   as its account, then  ssl = on  in its postgresql.conf, and reload it",
    )
}

/// What helps where a server knows nothing newer.
fn old_equipment(unseen: &Unseen) -> Option<String> {
    if let Unseen::Unbelieved(_) = unseen {
        return Some("on the server, as root:  ssh-keygen -A   makes it one of each kind that it lacks; then restart its sshd".to_owned());
    }
    let Unseen::NoAlgorithm(spoken) = unseen else {
        return None;
    };
    Some(match spoken {
        Algorithms::Modern => {
            "where it is equipment that knows no others:  tidegate target add ssh … --legacy-algorithms".to_owned()
        }
        Algorithms::Legacy => "see what it offers:  ssh -vv ADDRESS".to_owned(),
    })
}

fn gone(session: &str, root: &str) -> Words {
    let what = format!(
        "the recording of {session} is gone: the ledger says that it was sealed, with the root {root}"
    );
    Words::new("TG661", what).hint(
        "put it back from your backup, and ask who could write to the directory of recordings",
    )
}

fn spoiled(session: &str) -> Words {
    let what =
        format!("the recording of {session} is not what was sealed: it does not begin as one");
    Words::new("TG662", what)
        .hint("keep the file as it is, and ask who could write to the directory of recordings")
}

impl Shown for ApiRefusal {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::NotLoggedIn => (
                "TG651",
                "this needs a login".to_owned(),
                Some("tidegate login".to_owned()),
            ),
            Self::NotProven => (
                "TG652",
                "that key does not let anybody in".to_owned(),
                Some("tidegate login --identity FILE".to_owned()),
            ),
            Self::OldClient => (
                "TG660",
                "this bastion is newer than your tidegate, whose logins are not bound to one bastion"
                    .to_owned(),
                Some("update tidegate on your machine, then: tidegate login".to_owned()),
            ),
            Self::NotCertifiable { why } => (
                "TG653",
                format!("the fresh keys are not certified: {why}"),
                None,
            ),
            Self::Body { why } => ("TG654", format!("that is not understood: {why}"), None),
            Self::NoSuchPlace => ("TG655", "there is nothing here".to_owned(), None),
            Self::TooSlow => (
                "TG656",
                "it took too long".to_owned(),
                Some("ask an administrator to run: tidegate doctor".to_owned()),
            ),
            Self::LoginNeeded { target, logins } => (
                "TG657",
                format!("`{target}` has several logins: {}", logins.join(", ")),
                Some(format!(
                    "tidegate request {target} --as LOGIN --reason '...'"
                )),
            ),
            Self::Unseen(unseen @ Unseen::Clear) => return clear(unseen),
            Self::Unseen(unseen) => (
                "TG658",
                format!("the server cannot be looked at: {}", unseen.fact()),
                old_equipment(unseen),
            ),
            Self::RecordingGone { session, root } => return gone(session, root),
            Self::RecordingSpoiled { session } => return spoiled(session),
            Self::Unavailable => (
                "TG659",
                "a part of the bastion does not answer".to_owned(),
                Some("ask an administrator to run: tidegate doctor".to_owned()),
            ),
        };
        Words { code, what, hint }
    }
}

/// The body is something else.
pub const NO_JSON: &str = "the body has to be application/json";

/// The body did not come whole.
pub const CUT_BODY: &str = "the body is too long or was cut off";

/// A public key has one line, and not a long one.
pub const LONG_KEY: &str = "the public key is too long";

/// A no without a reason.
pub const NO_NOTE: &str = "a denial needs a `note`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_and_a_wrong_signature_are_one_sentence() {
        let words = ApiRefusal::NotProven.words();
        assert_eq!(
            words.to_string(),
            "TG652 that key does not let anybody in\nhint: tidegate login --identity FILE"
        );
    }
}
