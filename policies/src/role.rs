//! The role or account that a grant has for itself at its target: what it is called, where it is, what
//! it may be at most.
//!
//! Knows no SQL and no Unix. It is named after its grant and made and removed with it; the login that
//! was asked for is the group from which it has its privileges. Both are called a role here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize};

use crate::decide::reach;
use crate::{
    Elevation, Endpoint, Facts, Grant, GrantId, Login, PolicySet, PostgresEndpoint, PrincipalName,
    Protocol, SqlKind, Target, TargetName, Terms,
};

/// Where the role of a grant is, or may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolePlace {
    /// Whose it is.
    pub grant: GrantId,
    /// For which target, by the name it had.
    pub target: TargetName,
    /// At which server. Kept with it: the role has to go though the target is gone.
    #[serde(deserialize_with = "written")]
    pub endpoint: Endpoint,
    /// As whom it is made and removed there.
    pub admin: Login,
    /// From which role it has its privileges, and who gets what it leaves behind.
    pub group: Login,
    /// The existing role that is a member of the group meanwhile, and stays when the grant is over; none
    /// where one is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Login>,
}

/// Reads an endpoint as it is written, and as it was while only databases had roles.
fn written<'de, D: Deserializer<'de>>(reader: D) -> Result<Endpoint, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Named(Endpoint),
        Database(PostgresEndpoint),
    }
    Written::deserialize(reader).map(|read| match read {
        Written::Named(endpoint) => endpoint,
        Written::Database(endpoint) => Endpoint::Postgres(endpoint),
    })
}

/// A role as it is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePlan {
    /// Where.
    pub place: RolePlace,
    /// For whom.
    pub principal: PrincipalName,
    /// Until when.
    pub until: Timestamp,
    /// How long a statement may run: as long as the grant, should nobody be left to end it.
    pub statement_limit: SignedDuration,
    /// What the policies let through, where they say anything about statements.
    pub reach: Option<BTreeSet<SqlKind>>,
    /// Whether another grant has the same existing role be a member of the same group.
    pub shared: bool,
}

/// The kinds of statements of which a database says whether a role can do them at all.
pub const FENCED: [SqlKind; 5] = [
    SqlKind::Select,
    SqlKind::Insert,
    SqlKind::Update,
    SqlKind::Delete,
    SqlKind::Ddl,
];

/// What changes something.
const CHANGING: [SqlKind; 6] = [
    SqlKind::Insert,
    SqlKind::Update,
    SqlKind::Delete,
    SqlKind::Ddl,
    SqlKind::CopyIn,
    SqlKind::Admin,
];

/// The name of what a grant has for itself there: `tg_` at a database, `tg-` as an account, and the
/// grant's id: 29 characters, of PostgreSQL's 63 and of the 32 that `useradd(8)` takes.
///
/// # Panics
///
/// Never: an id is letters and digits.
#[expect(
    clippy::expect_used,
    reason = "three letters and a ULID in lower case: letters and digits, fewer than `Login::MAX`"
)]
pub fn role_of(grant: GrantId, protocol: Protocol) -> Login {
    let id = grant.to_string();
    let ulid = id.strip_prefix(GrantId::PREFIX).unwrap_or(&id);
    let prefix = prefix(protocol);
    Login::parse(&format!("{prefix}{ulid}")).expect("an account")
}

/// What the name of everything begins with that a grant has for itself there.
fn prefix(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Ssh => "tg-",
        Protocol::Postgres => "tg_",
    }
}

/// Whether this is called like something that a grant has for itself.
pub fn is_a_grants(login: &Login) -> bool {
    [Protocol::Ssh, Protocol::Postgres]
        .into_iter()
        .any(|protocol| login.as_str().starts_with(prefix(protocol)))
}

impl RolePlace {
    /// Where the role of this grant belongs, if its target wants roles of their own. `None` as well for
    /// somebody who has no role there that could be elevated.
    pub fn of(grant: &Grant, target: &Target) -> Option<Self> {
        let account = match Elevation::of(target, &grant.login, &grant.principal) {
            Elevation::As(account) => Some(account.clone()),
            Elevation::Unlent => None,
            Elevation::Unnamed | Elevation::Namesake => return None,
        };
        Some(Self {
            account,
            grant: grant.id,
            target: target.name.clone(),
            endpoint: target.endpoint.clone(),
            admin: target.admin()?.clone(),
            group: grant.login.clone(),
        })
    }

    /// What the role is called.
    pub fn role(&self) -> Login {
        match &self.account {
            Some(account) => account.clone(),
            None => role_of(self.grant, self.endpoint.protocol()),
        }
    }

    /// Whether both elevate the same existing role at the same server, to whatever.
    pub fn shares_account(&self, other: &Self) -> bool {
        self.account.is_some()
            && self.account == other.account
            && self.endpoint.addr() == other.endpoint.addr()
    }

    /// Whether both stand for one membership: the same role in the same group, given by the same one at
    /// the same server. It goes with the last.
    pub fn shares_membership(&self, other: &Self) -> bool {
        self.shares_account(other) && self.group == other.group && self.admin == other.admin
    }
}

impl RolePlan {
    /// The role for this grant, as the policies see somebody who comes from `source` now. `None`
    /// where its target wants no such roles, or the policies would not let them in.
    pub fn of(
        policies: &PolicySet,
        facts: &Facts,
        grant: &Grant,
        source: IpAddr,
        now: Timestamp,
    ) -> Option<Self> {
        let target = facts.targets.get(&grant.target)?;
        let place = RolePlace::of(grant, target)?;
        let reach = reach(policies, facts, grant, target.protocol(), (source, now)).ok()?;
        Some(Self {
            place,
            principal: grant.principal.clone(),
            until: grant.expires_at,
            statement_limit: grant.expires_at.duration_since(grant.starts_at),
            reach,
            shared: false,
        })
    }

    /// Whether the policies let nothing through that changes something.
    pub fn only_reads(&self) -> bool {
        self.reach
            .as_ref()
            .is_some_and(|reach| !CHANGING.iter().any(|kind| reach.contains(kind)))
    }

    /// Whether the policies say which statements may pass, rather than permit every kind of them as those that are
    /// shipped do: whoever says nothing believes in no right that nobody has.
    pub fn narrows(&self) -> bool {
        let reach = self.reach.as_ref();
        reach.is_some_and(|reach| !SqlKind::READABLE.iter().all(|kind| reach.contains(kind)))
    }

    /// What the policies let through though the role cannot do it: the first fence is wider there
    /// than the second.
    pub fn beyond(&self, able: &BTreeSet<SqlKind>) -> Vec<SqlKind> {
        let Some(reach) = &self.reach else {
            return Vec::new();
        };
        let wider = |kind: &&SqlKind| reach.contains(kind) && !able.contains(kind);
        FENCED.iter().filter(wider).copied().collect()
    }
}

impl Terms {
    /// The account that the session has at its target: the login, the grant's own, or an existing one that
    /// is elevated. For somebody who has none to elevate, the grant's own, which nobody makes then.
    pub fn account(&self) -> Login {
        if self.target.admin().is_none() {
            return self.login.clone();
        }
        let own = || role_of(self.grant, self.protocol);
        let existing = self.elevated().cloned();
        existing.unwrap_or_else(own)
    }

    /// The existing role that the session comes as, where one is elevated.
    pub fn elevated(&self) -> Option<&Login> {
        match Elevation::of(&self.target, &self.login, &self.principal) {
            Elevation::As(account) => Some(account),
            Elevation::Unlent | Elevation::Unnamed | Elevation::Namesake => None,
        }
    }

    /// As whom tidegate itself looks after the session at its target.
    pub fn overseer(&self) -> Login {
        self.target.admin().unwrap_or(&self.login).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(reach: Option<&[SqlKind]>) -> RolePlan {
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        let admin = Login::parse("tidegate_admin").unwrap();
        RolePlan {
            place: RolePlace {
                grant: GrantId::new(at, [7; 10]),
                target: TargetName::parse("orders").unwrap(),
                endpoint: Endpoint::Postgres(PostgresEndpoint {
                    admin: Some(admin.clone()),
                    ..PostgresEndpoint::new(
                        "db:5432".parse().unwrap(),
                        "orders",
                        crate::ServerPin::Certificate {
                            sha256: String::new(),
                        },
                    )
                }),
                admin,
                group: Login::parse("app_ro").unwrap(),
                account: None,
            },
            principal: PrincipalName::parse("alice").unwrap(),
            until: at,
            statement_limit: SignedDuration::from_hours(1),
            reach: reach.map(|kinds| kinds.iter().copied().collect()),
            shared: false,
        }
    }

    #[test]
    fn a_role_is_called_after_its_grant() {
        let place = plan(None).place;
        let name = place.role();
        assert_eq!(
            name.as_str().strip_prefix("tg_"),
            place.grant.to_string().strip_prefix("grt_")
        );
        assert!(is_a_grants(&name));
        let account = role_of(place.grant, Protocol::Ssh);
        assert_eq!(account.as_str(), name.as_str().replace('_', "-"));
        assert!(account.as_str().len() <= 32 && is_a_grants(&account));
    }

    #[test]
    fn a_place_from_before_there_were_accounts_is_read() {
        let place = plan(None).place;
        let mut told = serde_json::to_value(&place).unwrap();
        let endpoint = told["endpoint"].as_object_mut().unwrap();
        assert_eq!(endpoint.remove("protocol").unwrap(), "postgres");
        assert_eq!(serde_json::from_value::<RolePlace>(told).unwrap(), place);
    }

    #[test]
    fn a_membership_is_one_role_in_one_group_at_one_server() {
        let mut one = plan(None).place;
        assert!(
            !one.shares_membership(&one),
            "a role of its own is nobody else's"
        );
        one.account = Some(Login::parse("alice").unwrap());
        assert_eq!(one.role().as_str(), "alice");
        let mut other = one.clone();
        other.grant = GrantId::new(Timestamp::UNIX_EPOCH, [1; 10]);
        assert!(one.shares_membership(&other));
        other.group = Login::parse("app_rw").unwrap();
        assert!(one.shares_account(&other) && !one.shares_membership(&other));
    }

    #[test]
    fn only_what_changes_nothing_is_reading() {
        let reads = |kinds: &[SqlKind]| plan(Some(kinds)).only_reads();
        assert!(reads(&[SqlKind::Select, SqlKind::CopyOut, SqlKind::Other]));
        assert!(!reads(&[SqlKind::Select, SqlKind::CopyIn]));
        assert!(!plan(None).only_reads());
    }

    #[test]
    fn a_policy_that_lets_through_what_the_role_cannot_do_is_wider() {
        let able = BTreeSet::from([SqlKind::Select]);
        let beyond = |kinds: &[SqlKind]| plan(Some(kinds)).beyond(&able);
        assert_eq!(
            beyond(&[SqlKind::Select, SqlKind::Delete]),
            [SqlKind::Delete]
        );
        assert_eq!(beyond(&[SqlKind::Select, SqlKind::Other]), []);
        assert_eq!(plan(None).beyond(&able), []);
    }

    #[test]
    fn policies_that_permit_every_kind_narrow_nothing() {
        assert!(!plan(None).narrows());
        assert!(!plan(Some(&SqlKind::READABLE)).narrows());
        assert!(plan(Some(&SqlKind::READABLE[1..])).narrows());
    }
}
