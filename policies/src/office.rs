//! Offices: what may be done to tidegate itself, as opposed to what is behind it.

use cedar_policy::Context;
use jiff::Timestamp;

use crate::slice::Slice;
use crate::usage::POLICIES_FAILED;
use crate::verdict::{Reading, Verdict, ask, moment, pair};
use crate::{Denial, Facts, PolicySet, PrincipalName};

/// One thing that may be done to tidegate itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Office {
    /// Add, change and remove targets (`manageTargets`).
    ManageTargets,
    /// Add and remove principals and their keys (`managePrincipals`).
    ManagePrincipals,
    /// Replace the policies (`managePolicies`).
    ManagePolicies,
    /// Lock and unlock principals, targets and nodes (`lock`).
    Lock,
    /// See everybody's sessions, requests and grants (`viewSessions`).
    ViewSessions,
    /// End everybody's sessions (`killSessions`).
    KillSessions,
    /// Play, export and search recordings (`replay`).
    Replay,
    /// See how the server is doing: `doctor`, its status (`inspect`).
    Inspect,
}

impl Office {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ManageTargets,
        Self::ManagePrincipals,
        Self::ManagePolicies,
        Self::Lock,
        Self::ViewSessions,
        Self::KillSessions,
        Self::Replay,
        Self::Inspect,
    ];

    /// The Cedar action.
    pub fn action(self) -> &'static str {
        match self {
            Self::ManageTargets => "manageTargets",
            Self::ManagePrincipals => "managePrincipals",
            Self::ManagePolicies => "managePolicies",
            Self::Lock => "lock",
            Self::ViewSessions => "viewSessions",
            Self::KillSessions => "killSessions",
            Self::Replay => "replay",
            Self::Inspect => "inspect",
        }
    }

    /// What its holder may do, as the end of "you may not …".
    pub fn deed(self) -> &'static str {
        match self {
            Self::ManageTargets => "manage targets",
            Self::ManagePrincipals => "manage people and their keys",
            Self::ManagePolicies => "manage policies",
            Self::Lock => "lock or unlock anything",
            Self::ViewSessions => "see other people's sessions or the ledger",
            Self::KillSessions => "end other people's sessions",
            Self::Replay => "replay recordings",
            Self::Inspect => "inspect the server",
        }
    }
}

/// Whether this principal holds this office at this instant.
///
/// # Errors
/// [`Denial::NotAllowed`] if not; the same for somebody unknown or locked.
pub fn may_office(
    policies: &PolicySet,
    facts: &Facts,
    who: &PrincipalName,
    office: Office,
    now: Timestamp,
) -> Result<(), Denial> {
    let refused = || Denial::NotAllowed {
        policy: String::new(),
        reason: format!("You may not {}.", office.deed()),
    };
    if facts.lock_on_principal(who).is_some() {
        return Err(refused());
    }
    let principal = facts.principals.get(who).ok_or_else(refused)?;
    let slice = Slice::of_bastion(policies, facts, principal).ok_or(POLICIES_FAILED)?;
    let moment = moment(policies.zone(), now).ok_or(POLICIES_FAILED)?;
    let context = Context::from_pairs([pair("session", moment)]);
    let context = context.map_err(|_unfit| POLICIES_FAILED)?;
    match ask(policies, Reading::Written, &slice, office.action(), context) {
        Verdict::Permitted(_) => Ok(()),
        Verdict::Forbidden { policy, reason } => Err(Denial::NotAllowed { policy, reason }),
        Verdict::Silent => Err(refused()),
        Verdict::Failed => Err(POLICIES_FAILED),
    }
}
