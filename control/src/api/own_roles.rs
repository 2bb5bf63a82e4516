//! Looking whether a target that lets tidegate in does so as what grants have there, too.
//!
//! A role that does not exist is a member of nothing, so no rule of a database is about it: what is to be known of
//! the roles of grants is known of one that is made. Accounts are not made for that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policies::words::cli::doctor::{self as words, Finding, Rehearsed, Unentered};
use policies::words::target::unproven;
use policies::{Endpoint, Login, MARKER, PostgresEndpoint, Target};
use tokio::time::{sleep, timeout};

use super::House;
use super::inspection::Care;
use crate::Caller;
use crate::roles::RoleRefusal;

/// How long all roles of a target may take to be tried. `target add` waits ten seconds for everything.
const LIMIT: Duration = Duration::from_secs(6);

/// For how many of the roles that can be asked for one is made.
const TRIED_MAX: usize = 4;

/// How many stray roles are named.
const STRAYS_MAX: usize = 10;

/// How often is looked whether a role has come to the standbys, and how long between two looks.
const REPLAY: (u32, Duration) = (4, Duration::from_millis(500));

/// What is found of the roles or accounts of grants at a target that let `keeper` in.
pub(super) async fn looked_at(
    (house, caller): (&House, &Caller),
    (target, keeper): (&Target, &Login),
    care: Care,
) -> Finding {
    let of = (target.name.as_str(), target.protocol());
    let Endpoint::Postgres(endpoint) = &target.endpoint else {
        let untried = target.logins.iter().map(ToString::to_string);
        let rehearsed = Rehearsed {
            untried: untried.collect(),
            ..Rehearsed::default()
        };
        return words::keeper_good(of, keeper.as_str(), &rehearsed);
    };
    let (gone, strays) = compared(house, target).await;
    if !gone.is_empty() {
        let gone = gone
            .iter()
            .map(|(role, grant)| (role.as_str(), grant.as_str()));
        return words::own_roles_gone(of.0, &gone.collect::<Vec<_>>());
    }
    let (lent, own): (Vec<&Login>, Vec<&Login>) = target
        .logins
        .iter()
        .partition(|login| endpoint.elevations.contains_key(*login));
    let names = |logins: &[&Login]| logins.iter().map(ToString::to_string).collect();
    let (mut tried, mut looked_at) = (Vec::new(), 0_usize);
    if care == Care::Thorough {
        let trying = async {
            for &login in own.iter().take(TRIED_MAX) {
                rehearsed((house, caller), (target, endpoint), (keeper, login)).await?;
                tried.push(login);
            }
            for (&login, account) in lent
                .iter()
                .flat_map(|login| borrowers(endpoint, login))
                .take(TRIED_MAX)
            {
                elevated((house, caller), target, (keeper, login, account)).await?;
                looked_at = looked_at.saturating_add(1);
            }
            Ok(())
        };
        // What was not tried in time is told.
        if let Ok(Err(found)) = timeout(LIMIT, trying).await {
            return found;
        }
    }
    let accounts = lent.iter().map(|login| borrowers(endpoint, login).count());
    let accounts: usize = accounts.sum();
    let untried: Vec<&Login> = own.iter().copied().skip(tried.len()).collect();
    let rehearsed = Rehearsed {
        tried: names(&tried),
        untried: names(&untried),
        lent: names(&lent),
        unlooked: looked_at < accounts,
    };
    let good = words::keeper_good(of, keeper.as_str(), &rehearsed);
    let strays: Vec<&str> = strays.iter().map(Login::as_str).take(STRAYS_MAX).collect();
    match care {
        Care::Thorough if !strays.is_empty() => words::stray_roles(&strays, good),
        Care::Thorough | Care::Brief | Care::Proof => good,
    }
}

/// The roles of grants that should be at a target and are not, with their grants; and those that are there by the
/// hand of its admin role, for no grant that is known.
async fn compared(house: &House, target: &Target) -> (Vec<(String, String)>, Vec<Login>) {
    let broker = &house.parts.broker;
    let before = broker.known_roles(target);
    let Some(there) = house.parts.probe.own_roles(target).await else {
        return (Vec::new(), Vec::new());
    };
    // What was made or removed meanwhile is neither.
    let after = broker.known_roles(target);
    let names: BTreeSet<&Login> = there.iter().map(|one| &one.role).collect();
    let gone = before
        .iter()
        .filter(|known| known.is_due && after.contains(known));
    let gone = gone.filter(|known| !names.contains(&known.role));
    let known: BTreeSet<&Login> = before
        .iter()
        .chain(&after)
        .map(|known| &known.role)
        .collect();
    let strays = there
        .iter()
        .filter(|one| one.is_kept && !known.contains(&one.role));
    (
        gone.map(|known| (known.role.to_string(), known.grant.to_string()))
            .collect(),
        strays.map(|one| one.role.clone()).collect(),
    )
}

/// Who is elevated to this login.
fn borrowers<'a>(
    endpoint: &'a PostgresEndpoint,
    login: &'a &'a Login,
) -> impl Iterator<Item = (&'a &'a Login, &'a Login)> {
    let accounts = endpoint.elevations.get(*login);
    let accounts: BTreeSet<&Login> = accounts.into_iter().flat_map(BTreeMap::values).collect();
    accounts.into_iter().map(move |account| (login, account))
}

/// Has looked whether a grant for `login` could elevate this role.
async fn elevated(
    (house, caller): (&House, &Caller),
    target: &Target,
    (keeper, login, account): (&Login, &Login, &Login),
) -> Result<(), Finding> {
    let broker = &house.parts.broker;
    let looked = broker
        .rehearse_elevation(caller, (target, login), account)
        .await;
    looked.map_err(|refused| {
        let why = match refused {
            RoleRefusal::Fault(why) => why.to_string(),
            RoleRefusal::Over | RoleRefusal::Unwritten | RoleRefusal::NoHand => refused.to_string(),
        };
        let named = (keeper.as_str(), login.as_str(), account.as_str());
        words::not_elevated(target.name.as_str(), named, &why)
    })
}

/// Has a role made as a grant for `login` would have it, goes in as it, and has it removed.
async fn rehearsed(
    (house, caller): (&House, &Caller),
    (target, endpoint): (&Target, &PostgresEndpoint),
    (keeper, login): (&Login, &Login),
) -> Result<(), Finding> {
    let name = target.name.as_str();
    let group = match endpoint.privileges.get(login) {
        Some(_declared) => MARKER,
        None => login.as_str(),
    };
    let entering = |role: Login| async move {
        let (mut looks, pause) = REPLAY;
        loop {
            match house.parts.probe.enter(target, &role).await {
                // It comes to a standby a moment after it was made.
                Err(Unentered::Refused { .. }) if looks > 0 && !endpoint.others.is_empty() => {
                    looks = looks.saturating_sub(1);
                    sleep(pause).await;
                }
                entered => return entered,
            }
        }
    };
    let broker = &house.parts.broker;
    let as_login = (keeper.as_str(), login.as_str());
    match broker
        .rehearse_role(caller, (target, login), entering)
        .await
    {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Unentered::Refused { said })) => {
            let named = (keeper.as_str(), login.as_str(), group);
            Err(words::own_role_shut(name, named, &said))
        }
        Ok(Err(Unentered::Impostor { why })) => Err(unproven(name, &why)),
        Ok(Err(Unentered::Unproven(fault))) => {
            Err(words::target_unproven(name, &target.addr().host, &fault))
        }
        Ok(Err(Unentered::Wayless { why })) => Err(words::target_wayless(name, &why)),
        Ok(Err(Unentered::NoAlgorithm(spoken))) => Err(words::target_foreign(name, spoken)),
        Ok(Err(Unentered::Handshake(fault))) => {
            let address = target.addr().to_string();
            Err(words::target_unencrypted(name, &address, fault))
        }
        Ok(Err(Unentered::Down)) => Err(words::target_broken(name)),
        Ok(Err(Unentered::Unissued)) => Err(words::target_untried(name)),
        Err(RoleRefusal::Fault(why)) => {
            Err(words::own_role_unmade(name, as_login, &why.to_string()))
        }
        // The target has no part in these.
        Err(refused @ (RoleRefusal::Over | RoleRefusal::Unwritten | RoleRefusal::NoHand)) => {
            Err(words::own_role_untold(name, as_login, &refused.to_string()))
        }
    }
}
