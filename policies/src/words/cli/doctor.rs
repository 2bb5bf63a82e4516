//! What `tidegate doctor` says.

mod host;
mod house;
mod locked;
mod own_roles;
mod powers;
mod target;

pub use host::{no_algorithm, target_changed, target_differs, target_foreign, target_unproven};
pub use house::{
    authority_good, recorder_bad, recorder_good, recorder_hangs, recorder_short, recorder_spent,
    server_clock_good, server_clock_off, stopping, store_bad, store_garbled, store_good,
    store_parked,
};

pub use locked::{locked, target_left_alone, target_locked};
pub use own_roles::{
    Rehearsed, keeper_good, not_elevated, own_role_shut, own_role_unmade, own_role_untold,
    own_roles_gone, stray_roles,
};

pub use powers::{Power, PowerKind, powerful};
pub(in crate::words) use target::exchange;
pub use target::{
    Unentered, target_broken, target_down, target_good, target_kept_by_name, target_mute,
    target_odd, target_outworn, target_shut, target_standing, target_unencrypted, target_unlooked,
    target_unopened, target_untried, target_wayless, targets_unlooked,
};

use super::Trouble;

/// Whether one thing is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: String,
    /// Whether it is well.
    pub ok: bool,
    /// What was found, one sentence.
    pub found: String,
    /// What to do about it.
    pub hint: Option<String>,
}

fn good(subject: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding {
        subject: subject.into(),
        ok: true,
        found: found.into(),
        hint: None,
    }
}

fn bad(subject: impl Into<String>, found: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding {
        subject: subject.into(),
        ok: false,
        found: found.into(),
        hint: Some(hint.into()),
    }
}

/// Something is not as it should be; what, was shown.
pub fn unwell(count: usize) -> Trouble {
    let what = match count {
        1 => "one thing is not as it should be".to_owned(),
        some => format!("{some} things are not as they should be"),
    };
    Trouble::new(
        what,
        "see the lines with NO",
        "do what the last column says, then:  tidegate doctor",
    )
}

/// A target that was tested is not as it should be.
pub fn untested(subject: &str, found: &str, hint: Option<&str>) -> Trouble {
    Trouble::new(
        format!("{subject} is not ready"),
        found,
        hint.unwrap_or("tidegate doctor"),
    )
}

/// The login holds.
pub fn login_holds(principal: &str, until: &str) -> Finding {
    good("login", format!("logged in as {principal} until {until}"))
}

/// Something that a verb would have stumbled over. Nobody is sent to the doctor from there.
pub fn trouble(subject: &str, trouble: Option<&Trouble>) -> Finding {
    match trouble {
        Some(trouble) if trouble.advice.contains("tidegate doctor") => bad(
            subject,
            &trouble.why,
            "look at the server's own log and disk",
        ),
        Some(trouble) => bad(subject, &trouble.why, &trouble.advice),
        None => bad(subject, "it did not work", "tidegate status"),
    }
}

/// A file of the login is missing.
pub fn file_missing(path: &str, found: &str) -> Finding {
    bad("files", format!("{path}: {found}"), "tidegate login")
}

/// A file of the login can be read by others.
pub fn file_open(path: &str) -> Finding {
    bad(
        "files",
        format!("{path} can be read by others"),
        format!("chmod 600 {path}"),
    )
}

/// The files of the login are as they should be.
pub fn files_good(dir: &str) -> Finding {
    good(
        "files",
        format!("keys and certificates are in {dir} and nobody else's to read"),
    )
}

/// A program is there.
pub fn program_found(name: &str, path: &str) -> Finding {
    good(name, format!("found at {path}"))
}

/// A program is not there.
pub fn program_missing(name: &str, package: &str) -> Finding {
    bad(
        name,
        format!("there is no `{name}` to be found"),
        format!("apt install {package}"),
    )
}

/// How far this clock is ahead of the server's, in seconds.
pub fn clock(ahead: i64, near: bool) -> Finding {
    let found = match ahead {
        0 => "the clocks here and on the server agree".to_owned(),
        1.. => format!("the clock here is {ahead} s ahead of the server's"),
        _behind => format!(
            "the clock here is {} s behind the server's",
            ahead.unsigned_abs()
        ),
    };
    if near {
        good("clock", found)
    } else {
        bad("clock", found, "set both by NTP:  timedatectl set-ntp true")
    }
}

/// The server's own state is for admins.
pub fn not_for_you() -> Finding {
    good("server", "it answers; its own state is shown to admins")
}

/// A grant's own role could not be made.
pub fn role_unmade(target: &str, role: &str, why: &str) -> Finding {
    bad(
        format!("role {role}"),
        format!("it could not be made at {target}, so nobody gets in by its grant: {why}"),
        format!(
            "tidegate target script {target} | psql …  as a superuser there; its pg_hba.conf lets the admin role in to every database"
        ),
    )
}

/// A grant's own role cannot be removed.
pub fn role_stuck(target: &str, role: &str, why: &str, tries: u32) -> Finding {
    bad(
        format!("role {role}"),
        format!(
            "its grant is over, and it could not be removed from {target} in {tries} tries: {why}"
        ),
        format!("it is tried again each minute; as a superuser there:  alter role {role} nologin;"),
    )
}

/// A grant's own account could not be made.
pub fn account_unmade(target: &str, account: &str, why: &str) -> Finding {
    bad(
        format!("account {account}"),
        format!("it could not be made at {target}, so nobody gets in by its grant: {why}"),
        format!(
            "tidegate target script {target}   prints what stands there as /usr/local/sbin/tidegate-target"
        ),
    )
}

/// A grant's own account cannot be removed.
pub fn account_stuck(target: &str, account: &str, why: &str, tries: u32) -> Finding {
    bad(
        format!("account {account}"),
        format!(
            "its grant is over, and it could not be removed from {target} in {tries} tries: {why}"
        ),
        format!(
            "it is tried again each minute; as root there:  /usr/local/sbin/tidegate-target remove {account} $(( ($(date +%s) + 60) * 1000000 ))   (or what --accounts-command names)"
        ),
    )
}

/// The policies let through what a grant's role can never do.
pub fn fences_differ(target: &str, grant: &str, role: &str, kinds: &[&str]) -> Finding {
    bad(
        format!("role {role}"),
        format!(
            "the policies let {} through for {grant}, and its role at {target} can never do that",
            kinds.join(", ")
        ),
        "permit only what the role is for, or ask for another role",
    )
}
