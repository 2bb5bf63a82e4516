//! What is said inside an SSH session, on the side: `TG601` to `TG608`, `TG617`, `TG618`, `TG627`, `TG629` to
//! `TG631`, `TG633`, `TG637`, `TG638`, `TG674`.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Shown, Words};
use crate::{GrantId, InputRecording};

/// Why somebody who has a key did not get in, for the log.
pub mod door {
    /// Of who is known, and may not come, or not as who they say they are.
    pub const MAY_NOT: &str = "its owner may not come in now, or not under that name";
    /// Of the key of a login that goes on.
    pub const WITHOUT_CERTIFICATE: &str =
        "the key of a login that was got by it was shown without its certificate";
    /// Of the key of a login that is over.
    pub const LOGIN_ENDED: &str = "the login that was got by it has ended";
    /// Of a key that nobody has. What was known of logins is forgotten when the server starts.
    pub const UNKNOWN: &str = "nobody has registered this key; that of a login which ended before the server started looks the same";
}

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
    /// The target's answer waits behind what another program sends, which nobody takes.
    HeldUp,
    /// The target would not give a terminal.
    NoTerminal,
    /// The target would not lend the display to programs.
    NoDisplay,
    /// More was sent on a channel than may wait, in too many pieces.
    Flooded,
    /// The target ended the connection in the middle of something.
    TargetGone,
    /// Too much waited to go through the host in front of the target, and was given up.
    Drowned,
    /// Their connection has had as many channels as one may.
    Worn,
    /// As many programs run in their connection as may at once.
    Busy {
        /// How many that is.
        limit: usize,
    },
    /// For the recording: a terminal was asked for that echoes nothing.
    NoEcho {
        /// The channel's number.
        channel: u32,
    },
    /// For the recording: a line was typed while the terminal's output was stopped.
    Unshown {
        /// The channel's number.
        channel: u32,
    },
    /// For the recording: what the target hears of a terminal beside its name and its size in characters.
    Told {
        /// The channel's number.
        channel: u32,
        /// How wide and how high a character is, in pixels, where that is told from here on.
        cell: Option<(u8, u8)>,
        /// What of its modes is not as usual, where something is not; empty where it has none at all.
        modes: Option<&'a str>,
    },
    /// For the recording: more was refused than is told one by one.
    Untold {
        /// How much more.
        count: usize,
    },
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

/// How one goes on to a target. By which port somebody came, who may have come through a balancer, only
/// they know.
const WAY_IN: &str =
    "ssh LOGIN+TARGET@BASTION   (with the -p PORT that you came by, if it is not 22)";

impl Shown for SshSaying<'_> {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::Help => (
                "TG601",
                "nobody logs in at the bastion itself; say where to go, and as whom".to_owned(),
                Some(WAY_IN),
            ),
            Self::BadAddress { why } => ("TG602", (*why).to_owned(), Some(WAY_IN)),
            Self::NotInPermit { what } => (
                "TG603",
                format!("{what} is not part of what you were granted"),
                Some("tidegate whoami   (the policies go by the groups that it names)"),
            ),
            Self::Malformed => (
                "TG604",
                "this cannot be passed on to the target".to_owned(),
                Some("give a command in UTF-8, of at most 128 KiB"),
            ),
            Self::NotStarted => (
                "TG605",
                "the target did not start what you asked for".to_owned(),
                Some("ask an administrator to run: tidegate target test TARGET"),
            ),
            Self::HeldUp => held_up(),
            Self::NoTerminal => (
                "TG606",
                "the target gave no terminal".to_owned(),
                Some("ssh -T LOGIN+TARGET@BASTION COMMAND"),
            ),
            Self::NoDisplay => no_display(),
            Self::Flooded => flooded(),
            Self::TargetGone => (
                "TG607",
                "the target ended the connection".to_owned(),
                Some("connect again; if it stays so: tidegate target test TARGET"),
            ),
            Self::Drowned => drowned(),
            Self::Worn => worn(),
            Self::Busy { limit } => busy(*limit),
            Self::Untold { count } => untold(*count),
            Self::FilesByTerminal => (
                "TG617",
                "SFTP goes over no terminal, which could change what is sent".to_owned(),
                Some("sftp LOGIN+TARGET@BASTION"),
            ),
            Self::NoEcho { channel } => no_echo(*channel),
            Self::Unshown { channel } => unshown(*channel),
            Self::Told {
                channel,
                cell,
                modes,
            } => told(*channel, *cell, *modes),
            Self::Unfollowed { who, why } => unfollowed(who, why),
        };
        Words {
            code,
            what,
            hint: hint.map(str::to_owned),
        }
    }
}

/// The target has no X11 forwarding.
fn no_display() -> (&'static str, String, Option<&'static str>) {
    (
        "TG637",
        "the target does not forward X11: programs there have no display".to_owned(),
        Some(
            "have the target's administrator set X11Forwarding yes in its sshd_config, and install xauth",
        ),
    )
}

/// A program does not read what it is sent, in too many pieces.
fn flooded() -> (&'static str, String, Option<&'static str>) {
    (
        "TG638",
        "the channel was ended: too many messages wait on it that the program does not take"
            .to_owned(),
        Some("send no more than the program reads; then begin again"),
    )
}

/// What carries files cannot be understood.
fn unfollowed(who: &str, why: &str) -> (&'static str, String, Option<&'static str>) {
    (
        "TG608",
        format!("the file transfer was ended, because it cannot be followed: {who} sent {why}"),
        Some("sftp LOGIN+TARGET@BASTION"),
    )
}

/// What a terminal without echo means.
fn no_echo(channel: u32) -> (&'static str, String, Option<&'static str>) {
    (
        "TG618",
        format!(
            "on channel {channel} a terminal without echo was asked for: what is typed there shows nowhere"
        ),
        None,
    )
}

/// What is typed at a terminal is known by its echo alone.
fn unshown(channel: u32) -> (&'static str, String, Option<&'static str>) {
    (
        "TG632",
        format!(
            "on channel {channel} a line was typed after ^S, which stops what a terminal shows: it may have been run and show nowhere"
        ),
        None,
    )
}

/// What the target was told of a terminal.
fn told(
    channel: u32,
    cell: Option<(u8, u8)>,
    modes: Option<&str>,
) -> (&'static str, String, Option<&'static str>) {
    let cell = cell.map(|cell| match cell {
        (0, _) | (_, 0) => "characters of no size in pixels".to_owned(),
        (width, height) => format!("characters of {width}x{height} pixels"),
    });
    let modes = modes.map(|modes| match modes {
        "" => "no modes".to_owned(),
        modes => format!("the usual modes but for {modes}"),
    });
    let all: Vec<_> = [cell, modes].into_iter().flatten().collect();
    (
        "TG633",
        format!(
            "on channel {channel} the target was told of a terminal with {}",
            all.join(" and ")
        ),
        None,
    )
}

/// So much was refused that this much of it is only counted.
fn untold(count: usize) -> (&'static str, String, Option<&'static str>) {
    (
        "TG630",
        format!(
            "{count} more connections, channels and listeners were refused, of which nothing else is told"
        ),
        None,
    )
}

/// The target is not heard, because somebody does not take what it has sent.
fn held_up() -> (&'static str, String, Option<&'static str>) {
    (
        "TG629",
        "what another program of this connection sends is not taken, and the target's answer waits behind it".to_owned(),
        Some("go on reading there, or take another connection: ssh -S none LOGIN+TARGET@BASTION"),
    )
}

/// Of all that waits the most waited for one that took nothing.
fn drowned() -> (&'static str, String, Option<&'static str>) {
    (
        "TG674",
        "the connection was ended: too much waited to go through the host in front of the target"
            .to_owned(),
        Some("connect again; if it stays so: tidegate target test TARGET"),
    )
}

/// A connection that has had as many channels as one may: a code, what it says, and a way on.
fn worn() -> (&'static str, String, Option<&'static str>) {
    (
        "TG627",
        "this connection has had as many programs and forwarded connections as one may".to_owned(),
        Some("connect again, and close this connection: ssh -O exit LOGIN+TARGET@BASTION"),
    )
}

/// The connection has as many programs as one may at a time.
fn busy(limit: usize) -> (&'static str, String, Option<&'static str>) {
    (
        "TG631",
        format!("{limit} programs run in this connection, which is as many as may at once"),
        Some("end one of them, or open another connection: ssh -S none LOGIN+TARGET@BASTION"),
    )
}

/// What a person with a terminal is told first: that it is recorded, by which grant they are in,
/// when it ends, and whether what they type is kept. Times are UTC, like those of every other sentence.
pub fn opening(
    grant: GrantId,
    (until, now): (Timestamp, Timestamp),
    typed: InputRecording,
) -> String {
    let ends = until.to_zoned(TimeZone::UTC).strftime("%H:%M UTC");
    let left = match until.duration_since(now).as_mins() {
        ..1 => "less than a minute".to_owned(),
        minutes @ 1..120 => format!("{minutes}m"),
        minutes => format!("{}h", minutes.div_euclid(60)),
    };
    let kept = match typed {
        InputRecording::Kept => " · what you type is kept",
        InputRecording::Counted => "",
    };
    format!("recorded · {grant} · ends {ends} (in {left}){kept}")
}

/// Somebody jumps to what is no target's name.
pub fn no_jump(place: &str) -> String {
    format!("`{place}` is no target: a jump goes to a target by its name")
}

/// Where somebody jumps who names no target.
pub const THE_BASTION: &str = "the bastion itself";

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
            SshSaying::HeldUp,
            SshSaying::NoTerminal,
            SshSaying::NoDisplay,
            SshSaying::Flooded,
            SshSaying::TargetGone,
            SshSaying::Drowned,
            SshSaying::Worn,
            SshSaying::Busy { limit: 10 },
            SshSaying::NoEcho { channel: 0 },
            SshSaying::Unshown { channel: 0 },
            SshSaying::Told {
                channel: 0,
                cell: Some((8, 16)),
                modes: None,
            },
            SshSaying::Untold { count: 1 },
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
        let say = |until: &str, typed| opening(grant, (until.parse().unwrap(), now), typed);
        let check = |until: &str, want: &str| {
            let said = say(until, InputRecording::Counted);
            assert!(said.ends_with(want), "{said}");
        };
        check("2026-11-21T15:04:00Z", "ends 15:04 UTC (in 58m)");
        check(
            "2026-11-21T14:06:00Z",
            "ends 14:06 UTC (in less than a minute)",
        );
        check("2026-11-21T22:05:30Z", "ends 22:05 UTC (in 8h)");
        let said = say("2026-11-21T22:05:30Z", InputRecording::Kept);
        assert!(said.ends_with("(in 8h) · what you type is kept"), "{said}");
    }
}
