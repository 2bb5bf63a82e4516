//! Who makes and removes the accounts of grants at an SSH target, and in which words it is told to.
//!
//! Knows no SSH. An order is one line of plain words: whoever runs it there by a shell finds nothing
//! in it that a shell would read otherwise.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{Login, RolePlace, RolePlan};

/// Where the script is that `tidegate target script` prints.
pub const KEEPER_PATH: &str = "/usr/local/sbin/tidegate-target";

/// Makes and removes accounts at one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keeper {
    /// As whom it is run there.
    pub admin: Login,
    /// What is run instead of tidegate's own script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<KeeperCommand>,
}

/// What may stand in front of a keeper's path.
const BECOMING: [&[&str]; 4] = [&[], &["sudo", "-n"], &["doas"], &["doas", "-n"]];

/// Where a program is that only administrators of the machine can have put there.
const PLACES: [&str; 3] = ["/usr/", "/opt/", "/etc/"];

/// A command that makes and removes accounts: a program called `tidegate-target` below `/usr`, `/opt` or
/// `/etc`, by `sudo -n` or `doas` or without, at most 200 bytes. It is run as root wherever our CA is
/// trusted, so whoever manages targets must not be able to name any other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeeperCommand(String);

/// The text is no such command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a program called tidegate-target below /usr, /opt or /etc, with `sudo -n` or `doas` before it or nothing"
)]
pub struct KeeperCommandError;

impl FromStr for KeeperCommand {
    type Err = KeeperCommandError;

    fn from_str(text: &str) -> Result<Self, KeeperCommandError> {
        let words: Vec<&str> = text.split(' ').collect();
        let good = words
            .split_last()
            .is_some_and(|(path, before)| BECOMING.contains(&before) && is_keepers(path));
        (good && text.len() <= 200 && is_plain_line(text))
            .then(|| Self(text.to_owned()))
            .ok_or(KeeperCommandError)
    }
}

impl TryFrom<String> for KeeperCommand {
    type Error = KeeperCommandError;

    fn try_from(text: String) -> Result<Self, KeeperCommandError> {
        text.parse()
    }
}

impl From<KeeperCommand> for String {
    fn from(command: KeeperCommand) -> Self {
        command.0
    }
}

impl fmt::Display for KeeperCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_keepers(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    PLACES.iter().any(|place| path.starts_with(place))
        && path.ends_with("/tidegate-target")
        && parts.all(|part| !matches!(part, "" | "." | ".."))
}

/// Whether a shell reads this as words and nothing else.
pub fn is_plain_line(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | ' ');
    !text.is_empty() && text.chars().all(plain)
}

/// Whether an account or group of a Unix system can be called this: what the script takes.
pub fn is_unix_name(login: &Login) -> bool {
    let name = login.as_str();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    name.len() <= 32
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(plain)
}

impl Keeper {
    /// What is run there. Without a command of its own: the script, by `sudo` where one is not root.
    pub fn command(&self) -> String {
        match &self.command {
            Some(command) => command.to_string(),
            None if self.admin.as_str() == "root" => KEEPER_PATH.to_owned(),
            None => format!("sudo -n {KEEPER_PATH}"),
        }
    }

    /// Has an account made.
    pub fn make(&self, plan: &RolePlan, ends: OrderEnd) -> String {
        let RolePlace { group, .. } = &plan.place;
        let (account, day) = (plan.place.role(), day_after(plan.until));
        format!("{} make {account} {group} {day} {ends}", self.command())
    }

    /// Has an account removed, with all that it does.
    pub fn remove(&self, place: &RolePlace, ends: OrderEnd) -> String {
        format!("{} remove {} {ends}", self.command(), place.role())
    }

    /// Has it tell which accounts there are: changes nothing.
    pub fn list(&self) -> String {
        format!("{} list", self.command())
    }
}

/// When an order to a keeper ends: a minute after it was given, as the certificate does that it comes with.
/// Of two orders the one that ends later was given later, so whoever obeys can tell which one counts.
/// Printed in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderEnd(i64);

impl OrderEnd {
    /// How long an order may be on its way.
    pub const LIFETIME: SignedDuration = SignedDuration::from_mins(1);

    /// The end of an order that is given now, later than that of every order before.
    pub fn of(now: Timestamp, newest: Option<Self>) -> Self {
        let lifetime = i64::try_from(Self::LIFETIME.as_micros()).unwrap_or(0);
        let end = now.as_microsecond().saturating_add(lifetime);
        let newest = newest.map_or(end, |Self(newest)| newest.saturating_add(1));
        Self(end.max(newest))
    }
}

impl fmt::Display for OrderEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The day after this instant in UTC, `2026-01-31`: the first on which an account is of no use, also
/// where nobody has removed it (`shadow(5)` counts in days).
fn day_after(until: Timestamp) -> String {
    let day = until.to_zoned(TimeZone::UTC).date();
    let after = day.tomorrow().unwrap_or(day);
    after.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_expires_on_the_day_after_its_grant() {
        let check = |until: &str, want: &str| {
            assert_eq!(day_after(until.parse().unwrap()), want, "{until}");
        };
        check("2026-01-31T00:00:00Z", "2026-02-01");
        check("2026-01-31T23:59:59+02:00", "2026-02-01");
        check("2027-12-31T23:59:59Z", "2028-01-01");
    }

    #[test]
    fn an_order_ends_a_minute_after_it_was_given_and_after_every_one_before() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let first = OrderEnd::of(at("2026-01-31T00:00:00Z"), None);
        assert_eq!(first.to_string(), "1769817660000000");
        let same = OrderEnd::of(at("2026-01-31T00:00:00Z"), Some(first));
        assert_eq!(same.to_string(), "1769817660000001");
        let earlier = OrderEnd::of(at("2026-01-30T23:00:00Z"), Some(same));
        assert!(earlier > same, "the clock was set back");
        let later = OrderEnd::of(at("2026-01-31T00:00:01Z"), Some(same));
        assert_eq!(later.to_string(), "1769817661000000");
    }

    #[test]
    fn a_command_is_a_keepers_alone() {
        for good in [
            "/opt/accounts/tidegate-target",
            "doas /usr/local/bin/tidegate-target",
            "sudo -n /etc/tidegate/tidegate-target",
        ] {
            assert_eq!(good.parse::<KeeperCommand>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            " /x",
            "-n",
            "/bin/chmod 0777 /etc/shadow",
            "/usr/bin/id /opt/tidegate-target",
            "/tmp/tidegate-target",
            "/opt/../tmp/tidegate-target",
            "/opt//tidegate-target",
            "sudo /opt/tidegate-target",
            "/opt/x-tidegate-target",
            "/x; id",
            "/x $(id)",
            "/x\n",
            "/x `id`",
            "/x 'a'",
            "/ä",
            "a|b",
        ] {
            bad.parse::<KeeperCommand>().unwrap_err();
        }
        let long = format!("/opt/{}/tidegate-target", "x".repeat(180));
        long.parse::<KeeperCommand>().unwrap_err();
    }

    #[test]
    fn the_script_is_run_by_sudo_where_one_is_not_root() {
        let keeper = |admin: &str| Keeper {
            admin: Login::parse(admin).unwrap(),
            command: None,
        };
        assert_eq!(
            keeper("root").list(),
            "/usr/local/sbin/tidegate-target list"
        );
        assert_eq!(
            keeper("ops").list(),
            "sudo -n /usr/local/sbin/tidegate-target list"
        );
    }
}
