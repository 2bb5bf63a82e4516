//! What is said when the broker cannot do what was asked, though nobody forbade it.

use crate::diagnose::nearest;
use crate::words::particulars::overtaken;
use crate::words::secret::SecretSaying;
use crate::words::target::TargetFault;
use crate::words::{Shown, Words};
use crate::{
    Entry, GrantOver, GroupName, Login, PrincipalName, Reason, RequestError, RequestId, SessionId,
    TargetName, Wayless,
};

/// Why a grant was ended whose person, target or login is no more.
pub const GONE: &str = "who or what it was for was removed";

/// Why a grant was ended that begins after the present.
pub const CLOCK_WAS_AHEAD: &str =
    "it was made while the server's clock was ahead, which is right again";

/// The reason of a request for a statement whose grant gives none.
pub const NO_REASON: &str = "a statement waits for a second person";

/// Who could not take policies back once they are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockedOut {
    /// Whoever applies them.
    You,
    /// Everybody.
    All,
}

impl LockedOut {
    fn words(self) -> Words {
        let (fact, hint) = match self {
            Self::You => (
                "with these policies you could not change them any more",
                "let another who may managePolicies apply them, by whom they can be changed:  tidegate policy show",
            ),
            Self::All => (
                "with these policies nobody could change them any more",
                "keep a rule in them that permits managePolicies to somebody who is not locked",
            ),
        };
        unaccepted(&format!(" {fact}"), hint)
    }
}

/// Somebody was added to a group that no policy, no target and nobody else knows.
pub fn unknown_group<'a>(group: &GroupName, known: impl Iterator<Item = &'a GroupName>) -> String {
    let odd = format!("warning: no policy, no target and nobody else knows the group `{group}`");
    match nearest(group.as_str(), known.map(GroupName::as_str)) {
        Some(meant) => format!("{odd}; did you mean `{meant}`?"),
        None => odd,
    }
}

/// Why a name that rules write out is nobody's and nothing's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// Nobody is in the group, and it looks like one that somebody is in.
    Group {
        /// Which.
        meant: String,
    },
    /// Nothing is called so.
    Nothing {
        /// What looks like it.
        meant: Option<String>,
    },
    /// What is called so is of another type.
    OtherKind {
        /// Which, as rules write it.
        is: &'static str,
    },
}

/// Rules name what there is not: these rules, what they name, and why that is nothing.
pub fn rule_names(rules: &[&str], name: &str, unmet: &Unmet) -> String {
    let (noun, verb) = match rules {
        [_one] => ("policy", "names"),
        _several => ("policies", "name"),
    };
    let rules: Vec<String> = rules.iter().map(|rule| format!("`{rule}`")).collect();
    let rules = rules.join(", ");
    let (fact, meant) = match unmet {
        Unmet::Group { meant } => (
            format!("nobody is in the group `{name}`"),
            Some(format!("did you mean `{meant}`?")),
        ),
        Unmet::Nothing { meant } => (
            format!("there is no `{name}`"),
            meant
                .as_ref()
                .map(|meant| format!("did you mean `{meant}`?")),
        ),
        Unmet::OtherKind { is } => (
            format!("`{name}` is of another type"),
            Some(format!("it is written {is}::\"{name}\"")),
        ),
    };
    let advice = meant.map(|meant| format!("; {meant}")).unwrap_or_default();
    format!("warning: {fact}, which the {noun} {rules} {verb}{advice}")
}

/// Something was ended, locked or removed, so many sessions were cut for it, and the store did not take it.
pub fn unkept(cut: usize) -> Words {
    let cut = match cut {
        0 => "no live session was left to cut".to_owned(),
        1 => "1 live session was cut".to_owned(),
        _more => format!("{cut} live sessions were cut"),
    };
    let what = format!(
        "{cut}, but the store did not take it: as far as is known nothing is ended, locked or removed by it, and whoever it is about gets in again once the store answers"
    );
    Words::new("TG580", what).hint(
        "type the same again until it is taken; an administrator sees what is wrong with the store by: tidegate doctor",
    )
}

/// Somebody was added whose name is locked: somebody had it before, by whom and why that one was locked.
pub fn locked_before(name: &PrincipalName, by: &PrincipalName, reason: &Reason) -> String {
    format!(
        "warning: nobody called `{name}` gets in: {by} locked an earlier one ({reason}); if that was not about this one:  tidegate user unlock {name}"
    )
}

/// It clashes with what is so by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// The request cannot take this step.
    Request(RequestError),
    /// The grant is over.
    Grant(GrantOver),
    /// The same has been asked and nobody has answered yet.
    AskedBefore {
        /// The open request.
        request: RequestId,
    },
    /// The session is over.
    SessionOver {
        /// Which.
        session: SessionId,
    },
    /// Something of that name is there.
    Exists {
        /// What, for example "target `web1`".
        what: String,
    },
    /// The key proves someone.
    KeyTaken {
        /// `SHA256:…`.
        fingerprint: String,
    },
    /// Somebody locks themselves.
    LocksSelf,
    /// Somebody removes themselves.
    RemovesSelf,
    /// Somebody removes the only key that they have.
    OnlyKey,
    /// They have as many statements waiting for a second person as one principal may.
    HoldsMany,
    /// They have asked for as many grants as one principal may.
    AsksMany,
    /// They have made as many one-time secrets as one principal may.
    MakesMany,
    /// A one-time secret cannot be made or used.
    Secret(SecretSaying),
    /// Somebody changes their own groups.
    RegroupsSelf,
    /// Somebody is to leave a group in which they are not.
    NotIn {
        /// Who.
        name: PrincipalName,
        /// Which group.
        group: GroupName,
        /// Those in which they are.
        groups: Vec<GroupName>,
    },
    /// Others put policies in force meanwhile.
    PoliciesReplaced {
        /// The digest of what is in force.
        digest: String,
    },
    /// Somebody else changed this target meanwhile.
    TargetChanged(TargetName),
    /// Others changed the log at the same moment, again and again.
    Busy,
}

impl Shown for Conflict {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::Request(error) => return error.words(),
            Self::Grant(error) => return error.words(),
            Self::Secret(saying) => return saying.words(),
            Self::AskedBefore { request } => (
                "TG531",
                format!("you have asked for this in {request}, which waits for an answer"),
                Some(format!("tidegate requests show {request}")),
            ),
            Self::SessionOver { session } => (
                "TG532",
                format!("{session} is over"),
                Some(format!("tidegate sessions show {session}")),
            ),
            Self::Exists { what } => (
                "TG533",
                format!("{what} exists"),
                Some("take another name".to_owned()),
            ),
            Self::KeyTaken { fingerprint } => (
                "TG534",
                format!("the key {fingerprint} is registered"),
                Some("tidegate user ls".to_owned()),
            ),
            Self::Busy => (
                "TG535",
                "others were changing the same things at the same moment".to_owned(),
                Some("type it again".to_owned()),
            ),
            Self::PoliciesReplaced { digest } => return replaced(digest),
            Self::TargetChanged(name) => return overtaken(name),
            Self::AsksMany => (
                "TG571",
                "you have asked for too many grants: in an hour, in a week, or without an answer"
                    .to_owned(),
                Some("tidegate requests ls --mine".to_owned()),
            ),
            Self::MakesMany => (
                "TG572",
                "you have made too many passwords within an hour".to_owned(),
                Some("use one for several connections:  tidegate pg url NAME --uses 10".to_owned()),
            ),
            Self::HoldsMany => (
                "TG539",
                "too many of your statements have waited for a second person: in an hour, in a week, or without an answer"
                    .to_owned(),
                Some("tidegate requests ls --mine".to_owned()),
            ),
            Self::LocksSelf => return undone_by_nobody("TG536", "locks"),
            Self::RemovesSelf => return undone_by_nobody("TG537", "removes"),
            Self::RegroupsSelf => return regroups_self(),
            Self::NotIn {
                name,
                group,
                groups,
            } => return not_in(name, group, groups),
            Self::OnlyKey => return only_key(),
        };
        Words { code, what, hint }
    }
}

fn replaced(digest: &str) -> Words {
    let what = format!("other policies came into force meanwhile: {digest}");
    Words::new("TG570", what)
        .hint("see what changed, then apply again:  tidegate policy show; tidegate audit ls")
}

fn only_key() -> Words {
    let what = "this is the only key that you have, and without one you could not come back";
    Words::new("TG538", what).hint("tidegate user key add NAME --key FILE")
}

fn regroups_self() -> Words {
    Words::new(
        "TG635",
        "nobody changes their own groups: what one may do is given by others",
    )
    .hint("ask another administrator")
}

fn not_in(name: &PrincipalName, group: &GroupName, groups: &[GroupName]) -> Words {
    let groups: Vec<&str> = groups.iter().map(GroupName::as_str).collect();
    let among = match groups.as_slice() {
        [] => "no group at all".to_owned(),
        some => some.join(", "),
    };
    let what = format!(
        "{name} is not in the group `{group}`, and nothing was changed; they are in: {among}"
    );
    Words::new("TG636", what).hint("tidegate user ls")
}

fn undone_by_nobody(code: &'static str, does: &str) -> Words {
    let what = format!("nobody {does} themselves, because they could not undo it");
    Words::new(code, what).hint("ask another administrator")
}

/// It makes no sense as it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invalid {
    /// The beginning of an id is too short to name one.
    PrefixShort {
        /// What was given.
        text: String,
    },
    /// So many ids begin like this that nobody is asked which of them may be seen.
    PrefixCommon {
        /// What was given.
        text: String,
    },
    /// The beginning of an id fits more than one.
    PrefixAmbiguous {
        /// What was given.
        text: String,
        /// How many it fits.
        matches: usize,
    },
    /// It cannot be requested.
    Request(RequestError),
    /// It is not a public key in OpenSSH's form, or of a kind that is not accepted.
    Key {
        /// What is wrong with it.
        why: KeyFault,
    },
    /// There is no such time zone.
    Zone {
        /// What was given.
        name: String,
    },
    /// A target cannot stand behind others in that way.
    Wayless(Wayless),
    /// What was given for a target that is to be kept for it is no such thing.
    Secret {
        /// What is wrong with it.
        why: String,
        /// How the target is entered.
        entry: Entry,
    },
    /// A one-time secret beyond what one may be.
    OneTime(SecretSaying),
    /// A target's own role for making roles can be asked for as well.
    AdminAsked {
        /// Which.
        role: Login,
    },
    /// A login, or the one that makes accounts, cannot be the name of a Unix group or account.
    NoUnixName {
        /// Which.
        login: Login,
    },
    /// A target is entered with a standing credential, and grants should have accounts there.
    StandingAccounts,
    /// A PostgreSQL target cannot be as it was described.
    Target(TargetFault),
    /// The policies hold mistakes.
    Policies {
        /// Each with file, line and advice, as it is to be printed.
        mistakes: Vec<String>,
    },
    /// The policies could not be taken back.
    LocksOut(LockedOut),
}

/// What is wrong with a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// It is longer than any key.
    Long,
    /// It is not one line of a kind and base 64.
    Shapeless,
    /// Its kind is not accepted.
    Kind,
    /// What follows its kind is not base 64.
    Encoding,
    /// It is cut off.
    CutOff,
    /// What is in it is of another kind.
    OtherKind,
    /// It is an RSA key of less than 2048 bits.
    ShortRsa,
}

impl KeyFault {
    fn as_str(self) -> &'static str {
        match self {
            Self::Long => "it is too long",
            Self::Shapeless => "it is not one line of a kind and base 64",
            Self::Kind => "its kind is not accepted",
            Self::Encoding => "it is not base 64",
            Self::CutOff => "it is cut off",
            Self::OtherKind => "it is of another kind than it says",
            Self::ShortRsa => "an RSA key needs at least 2048 bits",
        }
    }
}

fn no_unix_name(login: &Login) -> Words {
    Words::new(
        "TG529",
        format!(
            "`{login}` can be no group or account of a Unix system, and --accounts needs such names"
        ),
    )
    .hint("use lower-case letters, digits, _ and -, at most 32")
}

fn standing_accounts() -> Words {
    Words::new(
        "TG530",
        "accounts are made with a certificate, and this target is entered with something that lasts",
    )
    .hint("leave --accounts out, or have its sshd trust tidegate's CA")
}

fn unaccepted(what: &str, hint: &str) -> Words {
    Words::new("TG525", format!("the policies are not accepted:{what}")).hint(hint)
}

fn common(text: &str) -> Words {
    let what = format!("`{text}` may be the beginning of many ids: give more of it");
    of_an_id("TG573", what)
}

fn of_an_id(code: &'static str, what: String) -> Words {
    Words::new(code, what).hint("-o name prints ids whole, for example: tidegate grants ls -o name")
}

impl Shown for Invalid {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::PrefixShort { text } => {
                let what = format!("`{text}` is too short: give at least six characters after the prefix");
                return of_an_id("TG521", what);
            }
            Self::PrefixCommon { text } => return common(text),
            Self::PrefixAmbiguous { text, matches } => {
                return of_an_id("TG522", format!("`{text}` fits {matches} ids: give more of it"));
            }
            Self::Request(error) => return error.words(),
            Self::OneTime(saying) => return saying.words(),
            Self::Key { why } => (
                "TG523",
                format!("this is not a public key that can be used: {}", why.as_str()),
                Some("ssh-keygen -t ed25519".to_owned()),
            ),
            Self::AdminAsked { role } => (
                "TG527",
                format!(
                    "`{role}` makes the roles or accounts of grants, or is called like one, so nobody may ask for it"
                ),
                Some(
                    "ask for others than --admin-role or --accounts, and for none that begins with tg_ or tg-"
                        .to_owned(),
                ),
            ),
            Self::NoUnixName { login } => return no_unix_name(login),
            Self::StandingAccounts => return standing_accounts(),
            Self::Target(fault) => return fault.words(),
            Self::Zone { name } => (
                "TG524",
                format!("there is no time zone `{name}`"),
                Some("a name of the IANA database, for example Europe/Berlin".to_owned()),
            ),
            Self::Wayless(wayless) => (
                "TG526",
                format!("no way leads there: {wayless}"),
                Some(match wayless {
                    Wayless::Gone { name }
                    | Wayless::Locked { name }
                    | Wayless::Standing { name }
                    | Wayless::Bastion { name } => {
                        format!("tidegate target show {name}")
                    }
                    Wayless::Long => "tidegate target ls".to_owned(),
                }),
            ),
            Self::Secret { why, entry } => (
                "TG528",
                format!("this cannot be kept as the target's standing credential: {why}"),
                Some(kept_as(*entry).to_owned()),
            ),
            Self::Policies { mistakes } => {
                let what = format!("\n{}", mistakes.join("\n"));
                return unaccepted(&what, "tidegate policy check DIR");
            }
            Self::LocksOut(whom) => return whom.words(),
        };
        Words { code, what, hint }
    }
}

/// What such a target takes.
fn kept_as(entry: Entry) -> &'static str {
    match entry {
        Entry::Key => {
            "tidegate target set NAME --vault-key FILE   (a private key in OpenSSH's form, without a passphrase)"
        }
        Entry::Password => {
            "tidegate target set NAME --vault-password   (typed, or the first line of the input), or --password-file FILE"
        }
        Entry::Certificate | Entry::Bastion => {
            "nothing is kept for it; to have it entered otherwise:  tidegate target rm NAME  and add it again, with --vault-key FILE or --vault-password"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_nothing_knows_is_told_which_it_is_near() {
        let group = |name: &str| GroupName::parse(name).unwrap();
        let known = [group("approvers"), group("sre")];
        let said = |name| unknown_group(&group(name), known.iter());
        assert_eq!(
            [said("aprovers"), said("interns")],
            [
                "warning: no policy, no target and nobody else knows the group `aprovers`; did you mean `approvers`?",
                "warning: no policy, no target and nobody else knows the group `interns`",
            ]
        );
    }

    #[test]
    fn whoever_ends_something_that_is_not_kept_is_told_to_ask_again() {
        let said = [0, 1, 2].map(|cut| unkept(cut).to_string());
        insta::assert_snapshot!("unkept", said.join("\n"));
    }

    #[test]
    fn whoever_would_lock_themselves_out_is_told_why_not() {
        let all = [
            Conflict::LocksSelf,
            Conflict::RemovesSelf,
            Conflict::OnlyKey,
        ];
        assert_eq!(
            all.map(|one| one.words().to_string()),
            [
                "TG536 nobody locks themselves, because they could not undo it\n\
                 hint: ask another administrator",
                "TG537 nobody removes themselves, because they could not undo it\n\
                 hint: ask another administrator",
                "TG538 this is the only key that you have, and without one you could not come back\n\
                 hint: tidegate user key add NAME --key FILE",
            ]
        );
    }
}
