//! The few Cedar entities that one question is about: who asks with their groups, and what about
//! with its labels.
//!
//! Policies are validated at dereference level 1, so this slice is provably all they can look at.

use std::collections::HashSet;

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::{
    Endpoint, Facts, GroupName, PolicySet, Principal, PrincipalKind, PrincipalName, Target,
};

/// The names of Cedar types and of the bastion itself, parsed once.
#[derive(Debug, Clone)]
pub(crate) struct Nouns {
    user: EntityTypeName,
    service: EntityTypeName,
    group: EntityTypeName,
    ssh: EntityTypeName,
    postgres: EntityTypeName,
    quorum: EntityTypeName,
    action: EntityTypeName,
    bastion: EntityUid,
}

impl Nouns {
    /// Parses them. `None` would mean that this file is wrong; a test sees to that.
    pub(crate) fn parse() -> Option<Self> {
        let noun = |text: &str| text.parse().ok();
        Some(Self {
            user: noun("Jit::User")?,
            service: noun("Jit::ServiceAccount")?,
            group: noun("Jit::Group")?,
            ssh: noun("Jit::SshHost")?,
            postgres: noun("Jit::PgDatabase")?,
            quorum: noun("Jit::Quorum")?,
            action: noun("Jit::Action")?,
            bastion: EntityUid::from_type_name_and_id(
                noun("Jit::Bastion")?,
                EntityId::new("tidegate"),
            ),
        })
    }

    fn named(kind: &EntityTypeName, name: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
    }

    /// A principal as Cedar names it.
    pub(crate) fn principal(&self, kind: PrincipalKind, name: &PrincipalName) -> EntityUid {
        let kind = match kind {
            PrincipalKind::Person => &self.user,
            PrincipalKind::Machine => &self.service,
        };
        Self::named(kind, name.as_str())
    }

    /// A group as Cedar names it.
    pub(crate) fn group(&self, name: &GroupName) -> EntityUid {
        Self::named(&self.group, name.as_str())
    }

    /// A quorum as Cedar names it.
    pub(crate) fn quorum(&self, name: &str) -> EntityUid {
        Self::named(&self.quorum, name)
    }

    /// An action as Cedar names it.
    pub(crate) fn action(&self, name: &str) -> EntityUid {
        Self::named(&self.action, name)
    }

    fn target(&self, target: &Target) -> EntityUid {
        let kind = match target.endpoint {
            Endpoint::Ssh(_) => &self.ssh,
            Endpoint::Postgres(_) => &self.postgres,
        };
        Self::named(kind, target.name.as_str())
    }
}

/// The entities of one question.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Who asks.
    pub(crate) principal: EntityUid,
    /// What about.
    pub(crate) resource: EntityUid,
    /// Both, with what Cedar may know of them.
    pub(crate) entities: Entities,
}

impl Slice {
    /// Who, their groups, and a target.
    pub(crate) fn of_target(
        policies: &PolicySet,
        facts: &Facts,
        principal: &Principal,
        others: &[&Principal],
        target: &Target,
    ) -> Option<Self> {
        let nouns = policies.nouns();
        let resource = nouns.target(target);
        let thing = target_entity(nouns, resource.clone(), target)?;
        Self::gather(policies, facts, principal, others, resource, thing)
    }

    /// Who, their groups, and tidegate itself.
    pub(crate) fn of_bastion(
        policies: &PolicySet,
        facts: &Facts,
        principal: &Principal,
    ) -> Option<Self> {
        let nouns = policies.nouns();
        let resource = nouns.bastion.clone();
        let thing = Entity::with_uid(resource.clone());
        Self::gather(policies, facts, principal, &[], resource, thing)
    }

    fn gather(
        policies: &PolicySet,
        facts: &Facts,
        principal: &Principal,
        others: &[&Principal],
        resource: EntityUid,
        thing: Entity,
    ) -> Option<Self> {
        let nouns = policies.nouns();
        let mut entities = vec![person_entity(nouns, facts, principal)?, thing];
        for other in others.iter().filter(|other| other.name != principal.name) {
            entities.push(person_entity(nouns, facts, other)?);
        }
        Some(Self {
            principal: nouns.principal(principal.kind, &principal.name),
            resource,
            entities: policies
                .actions()
                .clone()
                .add_entities(entities, None)
                .ok()?,
        })
    }
}

fn person_entity(nouns: &Nouns, facts: &Facts, principal: &Principal) -> Option<Entity> {
    let suspended = facts.lock_on_principal(&principal.name).is_some();
    Entity::new_with_tags(
        nouns.principal(principal.kind, &principal.name),
        [(
            "suspended".to_owned(),
            RestrictedExpression::new_bool(suspended),
        )],
        principal
            .groups
            .iter()
            .map(|group| nouns.group(group))
            .collect::<HashSet<_>>(),
        [],
    )
    .ok()
}

fn target_entity(nouns: &Nouns, uid: EntityUid, target: &Target) -> Option<Entity> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let logins =
        RestrictedExpression::new_set(target.logins.iter().map(|login| text(login.as_str())));
    let mut attributes = match &target.endpoint {
        Endpoint::Ssh(ssh) => {
            vec![
                ("hostname".to_owned(), text(&ssh.addr.host)),
                ("logins".to_owned(), logins),
            ]
        }
        Endpoint::Postgres(postgres) => vec![
            ("server".to_owned(), text(&postgres.addr.to_string())),
            ("dbname".to_owned(), text(&postgres.dbname)),
            ("roles".to_owned(), logins),
        ],
    };
    if let Some(owners) = &target.owners {
        let owners = RestrictedExpression::new_entity_uid(nouns.group(owners));
        attributes.push(("owners".to_owned(), owners));
    }
    let labels = target
        .labels
        .iter()
        .map(|(key, value)| (key.clone(), text(value)));
    Entity::new_with_tags(uid, attributes, [], labels).ok()
}
