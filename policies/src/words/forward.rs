//! What is said about connections and listeners that an SSH session carries for other programs: `TG609`
//! to `TG616`, `TG619`, `TG620`, `TG628` and `TG634`.

use super::{RULES, Shown, Words};

/// Something about a connection or a listener, to the person whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardSaying<'a> {
    /// Policy does not let them have this connection carried.
    NotForwarded {
        /// Where to, for example `db.internal:5432`.
        to: &'a str,
        /// What policy said.
        why: &'a str,
    },
    /// What they want to have carried goes nowhere.
    NoPlace {
        /// Where to, as they said it.
        to: &'a str,
    },
    /// As many are carried for them as may be at a time.
    Crowded {
        /// Where to.
        to: &'a str,
    },
    /// The target did not connect them.
    NotConnected {
        /// Where to.
        to: &'a str,
    },
    /// The target does not listen for them.
    NotListening {
        /// Where, for example `localhost:8080`.
        at: &'a str,
        /// Why not.
        why: Deaf<'a>,
    },
    /// They want the target to listen where others can reach it.
    NotLoopback,
    /// Their client did not take a connection that came in at the target.
    NotTaken {
        /// At which listener.
        at: &'a str,
    },
    /// Nobody took what a connection brought.
    Stuck {
        /// Where to.
        to: &'a str,
    },
    /// The target wanted more of the agent than may be asked of it.
    AgentMisused,
    /// The target wanted the agent to sign a login at a bastion.
    AgentLogin,
    /// The policies do not lend the agent any more.
    AgentWithdrawn,
    /// A connection that was carried turned out to be one that has a door of its own.
    Inside {
        /// What, for example `an SSH connection`.
        what: &'a str,
        /// Where to.
        to: &'a str,
    },
}

/// Why a target does not listen for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deaf<'a> {
    /// What policy said.
    Denied(&'a str),
    /// There are as many listeners as a session may have, or one at this place.
    Taken,
    /// The target would not.
    Refused,
}

impl Deaf<'_> {
    fn fact(&self) -> &str {
        match self {
            Self::Denied(why) => why,
            Self::Taken => "a session may have no more listeners, or has one there",
            Self::Refused => "it refused",
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::Denied(_) => RULES,
            Self::Taken | Self::Refused => "ssh -R 0:HOST:PORT takes a port that is free",
        }
    }
}

impl Shown for ForwardSaying<'_> {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::NotForwarded { to, why } => (
                "TG609",
                format!("no connection to `{to}`: {why}"),
                Some(RULES),
            ),
            Self::NoPlace { to } => no_place(to),
            Self::Crowded { to } => crowded(to),
            Self::NotConnected { to } => (
                "TG610",
                format!("the target did not connect to `{to}`"),
                Some("look from the target whether anybody answers there"),
            ),
            Self::Inside { what, to } => (
                "TG611",
                format!(
                    "{what} to `{to}` was ended: inside another connection it cannot be recorded"
                ),
                Some("go to it as a target of its own: tidegate ls"),
            ),
            Self::NotListening { at, why } => (
                "TG612",
                format!("the target does not listen on `{at}`: {}", why.fact()),
                Some(why.hint()),
            ),
            Self::NotLoopback => (
                "TG613",
                "a target listens on its loopback address alone".to_owned(),
                Some("ssh -R PORT:HOST:PORT"),
            ),
            Self::NotTaken { at } => (
                "TG614",
                format!("the client did not take a connection to `{at}`"),
                Some("look whether anything listens where your client was to connect to"),
            ),
            Self::AgentMisused => (
                "TG615",
                "the target wanted more of your agent than its list and signatures; it got nothing"
                    .to_owned(),
                Some("take your agent back, and tell whoever runs the target: ssh -a …"),
            ),
            Self::AgentLogin => (
                "TG620",
                "the target wanted your agent to sign a login at a tidegate; it got nothing"
                    .to_owned(),
                Some(
                    "log in from your own machine, or take your agent back and tell whoever runs the target: ssh -a …",
                ),
            ),
            Self::AgentWithdrawn => withdrawn(),
            Self::Stuck { to } => stuck(to),
        };
        Words {
            code,
            what,
            hint: hint.map(str::to_owned),
        }
    }
}

/// A code, what it says, and a way on.
type Said = (&'static str, String, Option<&'static str>);

/// What is to be carried goes nowhere.
fn no_place(to: &str) -> Said {
    (
        "TG619",
        format!("no connection to `{to}`: that is no host with a port, and no socket"),
        Some("ssh -L PORT:HOST:PORT, with a name or a whole address, or ssh -L PORT:/PATH"),
    )
}

/// The agent was lent, and is not any more.
fn withdrawn() -> Said {
    (
        "TG634",
        "your agent is not lent to this session any more: the policies are others now; the target got nothing"
            .to_owned(),
        Some(RULES),
    )
}

/// Nobody took what a connection brought.
fn stuck(to: &str) -> Said {
    (
        "TG616",
        format!(
            "the connection to `{to}` was ended: nobody took what it brought, and it held up the session"
        ),
        Some("connect again, and read what comes"),
    )
}

/// As many are carried as may be.
fn crowded(to: &str) -> Said {
    (
        "TG628",
        format!("no connection to `{to}`: this session carries as many as it may at a time"),
        Some("end another one, or go by another connection of ssh"),
    )
}

/// Lending one's agent to a target.
pub const AGENT: &str = "agent forwarding";

/// Lending one's display to a target.
pub const DISPLAY: &str = "X11 forwarding";

/// Connections onward from a target.
pub const PORT: &str = "port forwarding";

/// Connections back from a target.
pub const REVERSE_PORT: &str = "reverse port forwarding";

/// What an agent was asked for that logs somebody in.
pub const A_LOGIN: &str = "a login's signature";

/// Where a channel for an agent leads.
pub const THE_AGENT: &str = "the agent";

/// Where a channel for a display leads.
pub const THE_DISPLAY: &str = "the display";

/// What was begun inside a connection onward: SSH.
pub const AN_SSH_CONNECTION: &str = "an SSH connection";

/// What was begun inside a connection onward: PostgreSQL.
pub const A_DATABASE_CONNECTION: &str = "a PostgreSQL connection";
