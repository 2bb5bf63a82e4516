//! What is said inside an SSH session, on the side: `TG601` to `TG608`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Shown, Words};
use crate::GrantId;

/// Something an SSH session has to say to the person in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SshSaying<'a> {
    /// They connected to the bastion itself.
    Help,
    /// Their user name is no address.
    BadAddress {
        /// What is wrong with it.
        why: &'a str,
    },
    /// They asked for something that no permit allows.
    NotInPermit {
        /// What, for example `port forwarding`.
        what: &'a str,
    },
    /// The command or the subsystem's name cannot be passed on.
    Malformed,
    /// The target would not start what they asked for.
    NotStarted,
    /// The target would not give a terminal.
    NoTerminal,
    /// The target ended the connection in the middle of something.
    TargetGone,
    /// SFTP was asked for over a terminal.
    FilesByTerminal,
    /// What carries files cannot be understood.
    Unfollowed {
        /// `the client` or `the target`.
        who: &'a str,
        /// What it sent.
        why: &'a str,
    },
}

impl Shown for SshSaying<'_> {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::Help => (
                "TG601",
                "nobody logs in at the bastion itself; say where to go, and as whom".to_owned(),
                Some("ssh LOGIN+TARGET@BASTION"),
            ),
            Self::BadAddress { why } => {
                ("TG602", (*why).to_owned(), Some("ssh LOGIN+TARGET@BASTION"))
            }
            Self::NotInPermit { what } => (
                "TG603",
                format!("{what} is not part of what you were granted"),
                None,
            ),
            Self::Malformed => (
                "TG604",
                "this cannot be passed on to the target".to_owned(),
                None,
            ),
            Self::NotStarted => (
                "TG605",
                "the target did not start what you asked for".to_owned(),
                None,
            ),
            Self::NoTerminal => ("TG606", "the target gave no terminal".to_owned(), None),
            Self::TargetGone => ("TG607", "the target ended the connection".to_owned(), None),
            Self::FilesByTerminal => (
                "TG617",
                "SFTP goes over no terminal, which could change what is sent".to_owned(),
                Some("sftp LOGIN+TARGET@BASTION"),
            ),
            Self::Unfollowed { who, why } => (
                "TG608",
                format!(
                    "the file transfer was ended, because it cannot be followed: {who} sent {why}"
                ),
                None,
            ),
        };
        Words {
            code,
            what,
            hint: hint.map(str::to_owned),
        }
    }
}

/// What a person with a terminal is told first: that it is recorded, by which grant they are in,
/// and when it ends. Times are UTC, like those of every other sentence.
pub fn opening(grant: GrantId, until: Timestamp, now: Timestamp) -> String {
    let ends = until.to_zoned(TimeZone::UTC).strftime("%H:%M UTC");
    let minutes = until.duration_since(now).as_mins();
    match minutes {
        ..1 => format!("recorded · {grant} · ends {ends} (in less than a minute)"),
        1..120 => format!("recorded · {grant} · ends {ends} (in {minutes}m)"),
        _ => format!(
            "recorded · {grant} · ends {ends} (in {}h)",
            minutes.div_euclid(60)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_saying_has_its_own_code() {
        let all = [
            SshSaying::Help,
            SshSaying::FilesByTerminal,
            SshSaying::BadAddress {
                why: "the user name mixes separators",
            },
            SshSaying::NotInPermit {
                what: "port forwarding",
            },
            SshSaying::Malformed,
            SshSaying::NotStarted,
            SshSaying::NoTerminal,
            SshSaying::TargetGone,
            SshSaying::Unfollowed {
                who: "the client",
                why: "a packet that ends too early",
            },
        ];
        let codes = all
            .iter()
            .map(|saying| saying.words().code)
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(codes.len(), all.len());
    }

    #[test]
    fn the_opening_says_when_it_ends() {
        let now = "2026-11-21T14:05:30Z".parse::<Timestamp>().unwrap();
        let grant = GrantId::new(now, [0; 10]);
        let check = |until: &str, want: &str| {
            let said = opening(grant, until.parse().unwrap(), now);
            assert!(said.ends_with(want), "{said}");
        };
        check("2026-11-21T15:04:00Z", "ends 15:04 UTC (in 58m)");
        check(
            "2026-11-21T14:06:00Z",
            "ends 14:06 UTC (in less than a minute)",
        );
        check("2026-11-21T22:05:30Z", "ends 22:05 UTC (in 8h)");
    }
}
