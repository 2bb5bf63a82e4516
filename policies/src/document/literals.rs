//! Names that are written out in policies and that nothing can be called.
//!
//! Cedar does not know which groups or quorums there are, so a misspelt one would be a rule that
//! never matches. Quorums and tidegate itself are known here, and so is the form of every name.

use cedar_policy::{EntityUid, Policy};

use super::check::Site;
use crate::diagnose::{Diagnosis, nearest};
use crate::quorum::Quorums;
use crate::{GroupName, PrincipalName, TargetName};

/// Every name of this policy that nothing can be called.
pub(super) fn look(policy: &Policy, site: &Site<'_>, quorums: &Quorums) -> Vec<Diagnosis> {
    let mut found: Vec<Diagnosis> = Vec::new();
    for literal in policy.entity_literals() {
        if let Some((what, advice)) = fault(&literal, quorums) {
            let at = site.literal(&format!("\"{}\"", literal.id().unescaped()));
            let found_here = site.mistake_at(&at, what);
            found.push(match advice {
                Some(advice) => found_here.advise(advice),
                None => found_here,
            });
        }
    }
    found
}

/// What is wrong with a name, and what to write in its place.
fn fault(literal: &EntityUid, quorums: &Quorums) -> Option<(String, Option<String>)> {
    let name = literal.id().unescaped();
    let spelling = |error: crate::name::NameError| (error.to_string(), None);
    match literal.type_name().basename() {
        "Group" => GroupName::parse(name).err().map(spelling),
        "User" | "ServiceAccount" => PrincipalName::parse(name).err().map(spelling),
        "SshHost" | "PgDatabase" => TargetName::parse(name).err().map(spelling),
        "Bastion" if name != "tidegate" => {
            let advice = "the only one is Jit::Bastion::\"tidegate\"".to_owned();
            Some((format!("there is no bastion `{name}`"), Some(advice)))
        }
        "Quorum" if !quorums.names().any(|known| known == name) => {
            let advice = nearest(name, quorums.names()).map_or_else(
                || "write it into quorums.toml as [quorum.NAME]".to_owned(),
                |meant| format!("did you mean `{meant}`?"),
            );
            Some((format!("there is no quorum `{name}`"), Some(advice)))
        }
        _ => None,
    }
}
