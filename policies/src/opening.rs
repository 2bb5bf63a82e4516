//! What a request would open at a database beyond the name of what is asked for: for whoever has to
//! approve it.
//!
//! Asks the policies as they are in force; a grant is asked anew each time it is used.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use crate::verdict::Scene;
use crate::{
    DatabaseName, Elevation, Endpoint, Facts, Grant, GrantId, Login, PolicySet, Privilege, Request,
    Target, Usage,
};

/// A name that no rule was written for.
const ANY_OTHER: &str = "tidegate any other database";

/// What stands for the open part of a pattern.
const SOME: &str = "x";

/// What a request would open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Opening {
    /// As what its sessions would be.
    pub account: Option<OpenedAs>,
    /// Which other databases of the server could be entered: names, and patterns with `*`.
    pub databases: BTreeSet<String>,
    /// Whether databases that no rule names could be entered too.
    pub any_database: bool,
}

/// As what sessions are at a database where they are not simply what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenedAs {
    /// As an existing role, which is elevated.
    Elevated {
        /// Which.
        account: Login,
    },
    /// As a role of the grant's own with these privileges.
    Exactly {
        /// Which.
        privileges: Vec<Privilege>,
    },
    /// As a role of the grant's own with all that the role may that was asked for.
    Member,
}

/// What this request would open. The policies are asked as for somebody who comes from `source` now.
pub fn opening(
    policies: &PolicySet,
    facts: &Facts,
    request: &Request,
    (source, now): (IpAddr, Timestamp),
) -> Opening {
    let Some(target) = facts.targets.get(&request.target) else {
        return Opening::default();
    };
    let Endpoint::Postgres(endpoint) = &target.endpoint else {
        return Opening::default();
    };
    let mut opening = Opening {
        account: opened_as(target, request),
        ..Opening::default()
    };
    let Some(principal) = facts.principals.get(&request.principal) else {
        return opening;
    };
    let scene = Scene {
        policies,
        facts,
        source,
        now,
    };
    let grant = as_granted(request, now);
    let Ok(usage) = Usage::build(&scene, principal, target, &grant) else {
        return opening;
    };
    let opens = |name: &str| {
        let name = DatabaseName::parse(name).ok();
        name.is_some_and(|name| usage.allow_database(&name).is_ok())
    };
    opening.any_database = opens(ANY_OTHER);
    let mut candidates = BTreeSet::new();
    for policy in policies.database_rules() {
        written(&policy, &mut candidates);
    }
    candidates.remove(&endpoint.dbname);
    let opened = candidates
        .into_iter()
        .filter(|candidate| opens(&candidate.replace('*', SOME)));
    opening.databases = opened.collect();
    opening
}

fn opened_as(target: &Target, request: &Request) -> Option<OpenedAs> {
    let Endpoint::Postgres(endpoint) = &target.endpoint else {
        return None;
    };
    match Elevation::of(target, &request.login, &request.principal) {
        Elevation::As(account) => {
            let account = account.clone();
            return Some(OpenedAs::Elevated { account });
        }
        Elevation::Unnamed | Elevation::Namesake => return None,
        Elevation::Unlent => {}
    }
    endpoint.admin.as_ref()?;
    Some(match endpoint.privileges.get(&request.login) {
        Some(privileges) => OpenedAs::Exactly {
            privileges: privileges.clone(),
        },
        None => OpenedAs::Member,
    })
}

/// The request as if it had been granted now.
fn as_granted(request: &Request, now: Timestamp) -> Grant {
    Grant {
        id: GrantId::new(now, [0; 10]),
        request: request.id,
        principal: request.principal.clone(),
        target: request.target.clone(),
        login: request.login.clone(),
        starts_at: now,
        expires_at: now.saturating_add(request.duration).unwrap_or(now),
        ended: None,
    }
}

/// Every text in a rule's JSON form that could be a database's name, and every pattern, its open parts as
/// `*` ("JSON policy format" in Cedar's documentation).
fn written(rule: &Value, found: &mut BTreeSet<String>) {
    match rule {
        Value::Object(fields) => {
            for (operator, operand) in fields {
                match (operator.as_str(), operand) {
                    ("Value", Value::String(text)) => {
                        found.insert(text.clone());
                    }
                    ("pattern", Value::Array(parts)) => {
                        let part = |part: &Value| match part.get("Literal") {
                            Some(Value::String(text)) => text.clone(),
                            _wildcard => "*".to_owned(),
                        };
                        found.insert(parts.iter().map(part).collect());
                    }
                    _deeper => written(operand, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| written(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
