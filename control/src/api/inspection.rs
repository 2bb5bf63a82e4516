//! Looking whether a target is well: it answers, shows what it was pinned by, and lets us in.

use std::collections::BTreeMap;

use policies::words::api::Unseen;
use policies::words::broker::Invalid;
use policies::words::cli::doctor as words;
use policies::words::target::{TargetFault, host_changed, partly_down, unguarded, unproven};
use policies::{Endpoint, HostKeyPin, Login, ServerPin, Target};

use crate::api::problem::Refused;
use crate::api::wire::{Check, LockedView, Probed, StandingView};
use crate::api::{House, bastion, checks, own_roles, targets};
use crate::identity::fingerprint_of;
use crate::{BrokerError, Caller};

/// How closely a target is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// Beside all others, and maybe each minute: nothing is made there.
    Brief,
    /// For somebody who asks about this one: a role is made there as a grant would have it, and removed.
    Thorough,
    /// Before it is written down that it is there: that it answers, proves to be it and lets us in.
    Proof,
}

/// Whether a target answers, shows what it was pinned by, lets us in as each of its logins, and is not locked. One that
/// is locked is looked at only for who asks about it: it may have been broken into.
pub(super) async fn tested(
    (house, caller): (&House, &Caller),
    target: &Target,
    care: Care,
) -> Check {
    // Whoever may see locks or not: nobody has us go there.
    if !house.parts.broker.is_locked(&target.name) {
        // What stands behind one that is locked is told by the way there.
        return looked_at((house, caller), target, care).await;
    }
    let looked = match care {
        Care::Brief | Care::Proof => None,
        Care::Thorough => Some(looked_at((house, caller), target, care).await),
    };
    let locks = house.parts.broker.locks_seen(caller);
    let lock = locks.on_target(target).and_then(LockedView::of);
    let Some(lock) = lock else {
        return looked.unwrap_or_else(|| checks::view(words::target_left_alone(&target.name)));
    };
    let looked = looked.map(|looked| looked.found);
    let why = (&lock.by, &lock.reason, lock.at);
    checks::view(words::target_locked(&target.name, why, looked.as_deref()))
}

/// That what nobody has looked at yet of a target is there, proves to be it and lets us in. Also where it is locked:
/// whoever makes it anew does that before it is unlocked.
pub(super) async fn proven(
    (house, caller): (&House, &Caller),
    unproven: &Target,
) -> Result<(), Refused> {
    if unproven.is_bastion() {
        return bastion::confirm(house, caller, unproven).await;
    }
    let check = looked_at((house, caller), unproven, Care::Proof).await;
    if check.ok {
        return Ok(());
    }
    let fault = TargetFault::Unproven {
        name: unproven.name.clone(),
        found: check.found,
        hint: check.hint,
    };
    Err(BrokerError::Invalid(Invalid::Target(fault)).into())
}

async fn looked_at((house, caller): (&House, &Caller), target: &Target, care: Care) -> Check {
    let name = target.name.as_str();
    let probe = &house.parts.probe;
    let (addrs, mut missing) = (target.addrs(), Vec::new());
    for (number, addr) in addrs.iter().enumerate() {
        let how = (target.jump(), target.algorithms());
        match probe.look(target.protocol(), addr, how).await {
            Err(Unseen::Wayless { why }) if addrs.len() == 1 => {
                return checks::view(words::target_wayless(name, &why));
            }
            Err(unseen) if unseen.is_mute() && addrs.len() == 1 => {
                return checks::view(words::target_mute(name, target.protocol(), &unseen.fact()));
            }
            // One that shows certificates alone is looked at by whoever logs in.
            Err(Unseen::NoAlgorithm(_)) if is_known_by_a_ca(&target.endpoint) => {}
            // One whose keys are too weak is not believed then.
            Err(Unseen::Unbelieved(_)) => {}
            Err(Unseen::NoAlgorithm(spoken)) if addrs.len() == 1 => {
                return checks::view(words::target_foreign(name, spoken));
            }
            Err(odd @ (Unseen::Odd | Unseen::Clear)) if addrs.len() == 1 => {
                return checks::view(words::target_odd(name, &odd.fact()));
            }
            Err(unseen) => missing.push((addr.clone(), unseen.fact())),
            Ok(probed) => match proves(&target.endpoint, number, &probed) {
                Some(false) if addrs.len() == 1 => {
                    return checks::view(differs(target, &probed));
                }
                Some(false) => missing.push((addr.clone(), host_changed().to_owned())),
                Some(true) if target.is_bastion() => {
                    return checks::view(bastion::finding(name, &probed));
                }
                // Where a CA has to be asked, whoever logs in asks it.
                Some(true) | None => {}
            },
        }
    }
    match missing.as_slice() {
        [] => {
            let entered = entered((house, caller), target, care).await;
            match care {
                Care::Brief | Care::Thorough => guarded(house, target, entered).await,
                Care::Proof => checks::view(entered),
            }
        }
        [(_, why)] if addrs.len() == 1 => checks::view(words::target_down(name, why)),
        all if all.len() == addrs.len() => {
            let all: Vec<String> = all.iter().map(|(at, why)| format!("{at}: {why}")).collect();
            checks::view(words::target_down(name, &all.join("; ")))
        }
        some => match entered((house, caller), target, care).await {
            good if good.ok && care == Care::Proof => checks::view(partly_down(name, some)),
            good if good.ok => guarded(house, target, partly_down(name, some)).await,
            worse => checks::view(worse),
        },
    }
}

/// Whether it is an SSH server that proves who it is with a host certificate.
fn is_known_by_a_ca(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Ssh(ssh) => matches!(ssh.host_key, HostKeyPin::Authority { .. }),
        Endpoint::Postgres(_) => false,
    }
}

/// What is said of a server that shows something else than what was pinned.
fn differs(target: &Target, probed: &Probed) -> words::Finding {
    let name = target.name.as_str();
    let named = |line: &str| {
        let kind = line.split_ascii_whitespace().next().unwrap_or_default();
        let print = fingerprint_of(line).unwrap_or_else(|| line.to_owned());
        format!("{kind} {print}")
    };
    let (pinned, shown): (Vec<String>, Vec<String>) = match (&target.endpoint, probed) {
        (Endpoint::Ssh(ssh), Probed::Ssh { host_keys, .. }) => {
            let HostKeyPin::Keys { keys } = &ssh.host_key else {
                return words::target_changed(name);
            };
            let shown = host_keys.iter().map(|seen| named(&seen.openssh));
            (keys.iter().map(|key| named(key)).collect(), shown.collect())
        }
        (Endpoint::Postgres(postgres), Probed::Postgres { sha256, .. }) => {
            let ServerPin::Certificate { sha256: pinned } = &postgres.server else {
                return words::target_changed(name);
            };
            (vec![pinned.clone()], vec![sha256.clone()])
        }
        _other_protocol => return words::target_changed(name),
    };
    words::target_differs(name, target.protocol(), (&pinned, &shown))
}

/// What was found at a target that may let us in, whether it lets in others as well, whoever they are, and what whoever
/// is in may do there that no rule sees.
async fn guarded(house: &House, target: &Target, entered: words::Finding) -> Check {
    let name = target.name.as_str();
    let probe = &house.parts.probe;
    let unasked = probe.unasked(target).await;
    let roles: Vec<&str> = unasked.iter().map(Login::as_str).collect();
    let is_in = entered.ok;
    let powers = if is_in {
        probe.powers(target).await
    } else {
        BTreeMap::new()
    };
    let mut found = entered;
    if !powers.is_empty() {
        found = words::powerful(name, &powers, found);
    }
    if !roles.is_empty() {
        found = unguarded(name, target.entry(), &roles, found);
    }
    Check {
        warning: is_in && !(roles.is_empty() && powers.is_empty()),
        ..checks::view(found)
    }
}

/// Whether a target lets us in as each of its logins, or as the one that makes what grants have there and then as
/// those.
async fn entered(
    (house, caller): (&House, &Caller),
    target: &Target,
    care: Care,
) -> words::Finding {
    let name = target.name.as_str();
    let mut shut = Vec::new();
    let mut first = None;
    let standing = targets::standing(house, target);
    if care == Care::Proof && target.entry().is_standing() {
        // What is kept is sealed for what the target was, and what is given is tried once it is kept.
        return words::target_good(name);
    }
    for login in entering_as(target) {
        if standing.is_some() {
            let broker = &house.parts.broker;
            if broker.standing_tried(caller, target, login).await.is_err() {
                return words::target_untried(name);
            }
        }
        match house.parts.probe.enter(target, login).await {
            Ok(()) => {}
            Err(words::Unentered::Refused { said }) => {
                first.get_or_insert(said);
                shut.push(login.as_str());
            }
            Err(words::Unentered::Impostor { why }) => return unproven(name, &why),
            Err(words::Unentered::Unproven(fault)) => {
                return words::target_unproven(name, &target.addr().host, &fault);
            }
            Err(words::Unentered::NoAlgorithm(spoken)) => {
                return words::target_foreign(name, spoken);
            }
            Err(words::Unentered::Wayless { why }) => return words::target_wayless(name, &why),
            Err(words::Unentered::Handshake(fault)) => {
                let address = target.addr().to_string();
                return words::target_unencrypted(name, &address, fault);
            }
            Err(words::Unentered::Down) => return words::target_broken(name),
            Err(words::Unentered::Unissued) => {
                return match &standing {
                    Some(standing) => words::target_unopened(name, standing.entry),
                    None => words::target_untried(name),
                };
            }
        }
    }
    match (target.admin(), &standing) {
        (Some(keeper), None) if shut.is_empty() && care != Care::Proof => {
            own_roles::looked_at((house, caller), (target, keeper), care).await
        }
        _ => let_in(house, target, standing, (&shut, &first.unwrap_or_default())),
    }
}

/// What is said of a target that answered each login: those that it did not let in, and what it `said` to the first.
fn let_in(
    house: &House,
    target: &Target,
    standing: Option<StandingView>,
    (shut, said): (&[&str], &str),
) -> words::Finding {
    let name = target.name.as_str();
    match (shut, standing) {
        ([], None) => words::target_good(name),
        ([], Some(standing)) if is_kept_by_name(house, target) => {
            words::target_kept_by_name(name, standing.entry)
        }
        ([], Some(standing)) => {
            let since = standing.kept_at.strftime("%Y-%m-%d").to_string();
            words::target_standing(name, standing.entry, &since)
        }
        (shut, Some(standing)) => words::target_outworn(name, standing.entry, shut, said),
        (shut, None) => words::target_shut(name, target.protocol(), shut, said),
    }
}

/// Whether what a target is entered with was sealed by an older tidegate, for its name alone.
fn is_kept_by_name(house: &House, target: &Target) -> bool {
    let kept = house.parts.broker.kept(&target.name);
    kept.is_some_and(|kept| ca::is_sealed_by_name(&kept.sealed.0))
}

/// As whom tidegate logs in at a target: as each of its logins, or, where each grant has a role or
/// account of its own, as the one that makes them.
fn entering_as(target: &Target) -> Vec<&Login> {
    match target.admin() {
        Some(admin) => vec![admin],
        None => target.logins.iter().collect(),
    }
}

/// Whether what was seen at this host is what was pinned. Unknown where a CA has to be asked.
pub(super) fn proves(endpoint: &Endpoint, host: usize, probed: &Probed) -> Option<bool> {
    match (endpoint, probed) {
        (Endpoint::Ssh(ssh), Probed::Ssh { host_keys, .. }) => match &ssh.host_key {
            HostKeyPin::Keys { keys } => Some(
                host_keys
                    .iter()
                    .any(|seen| keys.iter().any(|key| key_of(key) == key_of(&seen.openssh))),
            ),
            HostKeyPin::Authority { .. } => None,
        },
        (Endpoint::Postgres(postgres), Probed::Postgres { sha256, .. }) => {
            match &postgres.hosts().get(host)?.server {
                ServerPin::Certificate { sha256: pinned } => Some(pinned == sha256),
                ServerPin::Authority { .. } => None,
            }
        }
        _other_protocol => Some(false),
    }
}

/// Kind and key, without the comment.
fn key_of(line: &str) -> Vec<&str> {
    line.split_ascii_whitespace().take(2).collect()
}

#[cfg(test)]
mod tests {
    use policies::{Algorithms, Entry, SshEndpoint};

    use super::*;
    use crate::api::wire::HostKeySeen;

    #[track_caller]
    fn check(pinned: &str, seen: &str, want: bool) {
        let endpoint = Endpoint::Ssh(SshEndpoint {
            addr: "web1:22".parse().unwrap(),
            host_key: HostKeyPin::Keys {
                keys: vec![pinned.to_owned()],
            },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        });
        let seen = HostKeySeen {
            openssh: seen.to_owned(),
            fingerprint: String::new(),
        };
        let probed = Probed::Ssh {
            host_keys: vec![seen],
            bastion: false,
        };
        assert_eq!(proves(&endpoint, 0, &probed), Some(want));
    }

    #[test]
    fn a_host_key_is_its_kind_and_its_bytes() {
        check("ssh-ed25519 AAAA root@web1", "ssh-ed25519 AAAA", true);
        check("ssh-ed25519 AAAA", "ssh-ed25519 BBBB", false);
        check("ssh-ed25519 AAAA", "ssh-rsa AAAA", false);
    }

    #[test]
    fn another_protocol_proves_nothing() {
        let endpoint = Endpoint::Ssh(SshEndpoint {
            addr: "web1:22".parse().unwrap(),
            host_key: HostKeyPin::Authority {
                key: "ssh-ed25519 AAAA".to_owned(),
            },
            jump: None,
            entry: Entry::Certificate,
            algorithms: Algorithms::Modern,
            keeper: None,
        });
        let probed = Probed::Postgres {
            sha256: String::new(),
            subject: String::new(),
            names: Vec::new(),
        };
        assert_eq!(proves(&endpoint, 0, &probed), Some(false));
    }
}
