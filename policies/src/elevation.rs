//! Which role of their own people have at a database, and that it is made a member of what they ask
//! for while their grant holds.
//!
//! Knows no SQL. Says who is who by a list that somebody wrote, never by the likeness of names: a
//! principal who is called like a role would else be that role. Names are used again: what was said of
//! somebody who left is not said of whoever is called so next.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::name::NameError;
use crate::{Endpoint, Login, PostgresEndpoint, PrincipalName, Target};

/// How many people a role may be lent to.
pub const ELEVATIONS_MAX: usize = 1000;

/// What the names of PostgreSQL's own roles begin with ("Predefined Roles").
const PREDEFINED: &str = "pg_";

/// Who is which existing role where one role is asked for, as it is typed:
/// `app_admin: alice=alice,bob=bob_db`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleElevation {
    /// What is asked for, and lent.
    pub role: Login,
    /// As whom each person comes.
    pub accounts: BTreeMap<PrincipalName, Login>,
}

/// The text is no elevation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElevationError {
    /// It has another form.
    #[error("an elevation is written ROLE: PERSON=ROLE,PERSON=ROLE")]
    Form,
    /// A person is named twice.
    #[error("`{0}` is named twice")]
    Twice(PrincipalName),
    /// A name is none.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl FromStr for RoleElevation {
    type Err = ElevationError;

    fn from_str(text: &str) -> Result<Self, ElevationError> {
        let (role, people) = text.split_once(':').ok_or(ElevationError::Form)?;
        let mut accounts = BTreeMap::new();
        for one in people.split(',') {
            let (person, account) = one.split_once('=').ok_or(ElevationError::Form)?;
            let person = PrincipalName::parse(person.trim())?;
            let account = Login::parse(account.trim())?;
            if accounts.insert(person.clone(), account).is_some() {
                return Err(ElevationError::Twice(person));
            }
        }
        Ok(Self {
            role: Login::parse(role.trim())?,
            accounts,
        })
    }
}

/// As whom somebody comes to a role that is lent to people's own, if it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Elevation<'t> {
    /// It is not lent: a grant for it has a role of its own, or none.
    Unlent,
    /// As this existing role of theirs.
    As(&'t Login),
    /// Nobody said which role is theirs.
    Unnamed,
    /// What was said is about somebody who had their name before them.
    Namesake,
}

impl<'t> Elevation<'t> {
    /// What is so for this person where `login` is asked for.
    pub fn of(target: &'t Target, login: &Login, person: &PrincipalName) -> Self {
        let Endpoint::Postgres(endpoint) = &target.endpoint else {
            return Self::Unlent;
        };
        let Some(accounts) = endpoint.elevations.get(login) else {
            return Self::Unlent;
        };
        match accounts.get(person) {
            Some(_another) if target.namesakes.contains(person) => Self::Namesake,
            Some(account) => Self::As(account),
            None => Self::Unnamed,
        }
    }
}

impl Target {
    /// Whether its elevations name somebody who is called so.
    pub fn elevates(&self, person: &PrincipalName) -> bool {
        match &self.endpoint {
            Endpoint::Postgres(endpoint) => {
                let mut lists = endpoint.elevations.values();
                lists.any(|accounts| accounts.contains_key(person))
            }
            Endpoint::Ssh(_) => false,
        }
    }
}

impl PostgresEndpoint {
    /// Every existing role that somebody comes as.
    pub fn elevated(&self) -> impl Iterator<Item = &Login> {
        self.elevations.values().flat_map(BTreeMap::values)
    }

    /// Whether what is declared of elevations can hold: each is for a role that can be asked for, of
    /// which nothing else is declared, and nobody comes as a role that can be asked for, that makes roles
    /// or that is PostgreSQL's own.
    pub fn elevations_are_sound(&self, target: &Target) -> bool {
        let fits = |account: &Login| {
            let reserved = account.as_str().starts_with(PREDEFINED);
            let asked = target.logins.contains(account);
            !reserved
                && !asked
                && !crate::is_a_grants(account)
                && self.admin.as_ref() != Some(account)
        };
        let each = self.elevations.iter().all(|(role, accounts)| {
            let few = (1..=ELEVATIONS_MAX).contains(&accounts.len());
            few && target.logins.contains(role) && !self.privileges.contains_key(role)
        });
        let kept = self.elevations.is_empty() || self.admin.is_some();
        kept && each && self.elevated().all(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_elevation_is_read() {
        let read: RoleElevation = "app_admin: alice = alice, bob=bob_db".parse().unwrap();
        assert_eq!(read.role.as_str(), "app_admin");
        let accounts: Vec<_> = read
            .accounts
            .iter()
            .map(|(who, as_whom)| format!("{who}={as_whom}"))
            .collect();
        assert_eq!(accounts, ["alice=alice", "bob=bob_db"]);
    }

    #[test]
    fn what_is_no_elevation_is_refused() {
        let refused = |text: &str| text.parse::<RoleElevation>().unwrap_err();
        assert_eq!(refused("app_admin"), ElevationError::Form);
        assert_eq!(refused("app_admin: alice"), ElevationError::Form);
        assert_eq!(refused("app_admin:"), ElevationError::Form);
        assert!(matches!(
            refused("app_admin: a=b,a=c"),
            ElevationError::Twice(_)
        ));
        for odd in [
            "app admin: a=b",
            "app_admin: A=b",
            "app_admin: a=b;c",
            "app_admin: a=\"b\"",
        ] {
            assert!(matches!(refused(odd), ElevationError::Name(_)), "{odd}");
        }
    }
}
