//! Who and what rules name, beside who and what there is.
//!
//! A name that nothing has is no mistake: rules may be there before people and targets are. But a misspelt one is a
//! rule that never matches, and a `forbid` that never matches forbids nothing.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{Policy, PolicySet};

use crate::diagnose::nearest;
use crate::words::broker::{Unmet, rule_names};
use crate::{Facts, GroupName, Principal, PrincipalKind, PrincipalName, Protocol, TargetName};

/// What kind of thing a name is of, as rules write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Noun {
    Group,
    User,
    ServiceAccount,
    SshHost,
    PgDatabase,
}

/// Every name that rules write out, to the `@id`s of these rules.
#[derive(Debug, Default)]
pub(super) struct Named(BTreeMap<(Noun, String), BTreeSet<String>>);

impl Named {
    /// Those of these policies.
    pub(super) fn of(policies: &PolicySet) -> Self {
        let mut named = Self::default();
        for policy in policies.policies() {
            named.add(policy);
        }
        named
    }

    fn add(&mut self, policy: &Policy) {
        for literal in policy.entity_literals() {
            if let Some(noun) = Noun::of(literal.type_name().basename()) {
                let name = literal.id().unescaped().to_owned();
                let rules = self.0.entry((noun, name)).or_default();
                rules.insert(policy.id().to_string());
            }
        }
    }

    /// The `@id`s of the rules that name this person or machine.
    pub(super) fn rules_about(&self, who: &PrincipalName) -> impl Iterator<Item = &str> {
        let nouns = [Noun::User, Noun::ServiceAccount];
        let rules = nouns
            .into_iter()
            .filter_map(|noun| self.0.get(&(noun, who.to_string())));
        rules.flatten().map(String::as_str)
    }

    /// What rules name and nothing is called, as it is to be printed. Of groups, in which nobody may be yet, those that
    /// look like another.
    pub(super) fn strangers(&self, facts: &Facts) -> Vec<String> {
        let groups = groups_there_are(facts);
        let of = |((noun, name), rules): (&(Noun, String), &BTreeSet<String>)| {
            let unmet = noun.unmet(name, facts, &groups)?;
            let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            Some(rule_names(&rules, name, &unmet))
        };
        self.0.iter().filter_map(of).collect()
    }
}

impl Noun {
    fn of(type_name: &str) -> Option<Self> {
        match type_name {
            "Group" => Some(Self::Group),
            "User" => Some(Self::User),
            "ServiceAccount" => Some(Self::ServiceAccount),
            "SshHost" => Some(Self::SshHost),
            "PgDatabase" => Some(Self::PgDatabase),
            _ => None,
        }
    }

    /// Why nothing is called so, if nothing is.
    fn unmet(self, name: &str, facts: &Facts, groups: &BTreeSet<&GroupName>) -> Option<Unmet> {
        match self {
            Self::Group => empty_group(name, groups),
            Self::User => no_principal(name, PrincipalKind::Person, facts),
            Self::ServiceAccount => no_principal(name, PrincipalKind::Machine, facts),
            Self::SshHost => no_target(name, Protocol::Ssh, facts),
            Self::PgDatabase => no_target(name, Protocol::Postgres, facts),
        }
    }
}

/// The groups that somebody is in, or that own a target.
fn groups_there_are(facts: &Facts) -> BTreeSet<&GroupName> {
    let peopled = facts.principals.values().flat_map(|one| &one.groups);
    let owners = facts.targets.values();
    let owners = owners.filter_map(|target| target.owners.as_ref());
    peopled.chain(owners).collect()
}

fn empty_group(name: &str, groups: &BTreeSet<&GroupName>) -> Option<Unmet> {
    if groups.iter().any(|group| group.as_str() == name) {
        return None;
    }
    let meant = nearest(name, groups.iter().map(|group| group.as_str()))?;
    Some(Unmet::Group {
        meant: meant.to_owned(),
    })
}

fn no_principal(name: &str, kind: PrincipalKind, facts: &Facts) -> Option<Unmet> {
    let same = |one: &Principal| one.kind == kind;
    let known = PrincipalName::parse(name)
        .ok()
        .and_then(|name| facts.principals.get(&name));
    match known {
        Some(one) if same(one) => None,
        Some(_other) => Some(Unmet::OtherKind {
            is: match kind {
                PrincipalKind::Person => "Jit::ServiceAccount",
                PrincipalKind::Machine => "Jit::User",
            },
        }),
        None => {
            let names = facts.principals.keys().map(PrincipalName::as_str);
            Some(Unmet::Nothing {
                meant: nearest(name, names).map(str::to_owned),
            })
        }
    }
}

fn no_target(name: &str, protocol: Protocol, facts: &Facts) -> Option<Unmet> {
    let known = TargetName::parse(name)
        .ok()
        .and_then(|name| facts.targets.get(&name));
    match known {
        Some(target) if target.protocol() == protocol => None,
        Some(_other) => Some(Unmet::OtherKind {
            is: match protocol {
                Protocol::Ssh => "Jit::PgDatabase",
                Protocol::Postgres => "Jit::SshHost",
            },
        }),
        None => {
            let names = facts.targets.keys().map(TargetName::as_str);
            Some(Unmet::Nothing {
                meant: nearest(name, names).map(str::to_owned),
            })
        }
    }
}
