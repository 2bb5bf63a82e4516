//! Permits that say nothing about what is permitted, where somebody may not have thought of all of it.
//!
//! A database stands for one database of its server; others are opened by the action `otherDatabase`, which
//! is in no group of actions. A permit for every action opens them as well.

use cedar_policy::{ActionConstraint, Effect, EntityTypeName, Policy, ResourceConstraint};

use super::check::Site;
use crate::diagnose::Diagnosis;

/// What this policy opens that it does not name.
pub(super) fn look(policy: &Policy, site: &Site<'_>) -> Option<Diagnosis> {
    let every = policy.action_constraint() == ActionConstraint::Any;
    let databases = match policy.resource_constraint() {
        ResourceConstraint::Any => true,
        ResourceConstraint::Is(kind) | ResourceConstraint::IsIn(kind, _) => is_database(&kind),
        ResourceConstraint::Eq(one) | ResourceConstraint::In(one) => is_database(one.type_name()),
    };
    if policy.effect() != Effect::Permit || !every || !databases {
        return None;
    }
    let at = site.literal("action,");
    let what = "this permits every action, `otherDatabase` too: each database of a server, not only the target's own";
    Some(site.mistake_at(&at, what).warn().advise(
        "name what is meant: `action in [Jit::Action::\"use\", …]`, and `otherDatabase` where it is",
    ))
}

fn is_database(kind: &EntityTypeName) -> bool {
    kind.basename() == "PgDatabase"
}
