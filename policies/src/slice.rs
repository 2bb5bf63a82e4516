//! The few Cedar entities that one question is about: who asks with their groups, and what about
//! with its labels.
//!
//! Policies are validated at dereference level 1, so this slice is provably all they can look at.

use std::collections::HashSet;

use cedar_policy::{Entities, Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use crate::verdict::Scene;
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

/// Which actions one slice will be asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Family {
    /// Request, approve, activate, revoke: in no group.
    Lifecycle,
    /// What a grant is used for, and `keepInput`.
    Use,
    /// Offices.
    Office,
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
    /// Who, their groups, and a target, to be asked about the use of a grant.
    pub(crate) fn of_use(
        scene: &Scene<'_>,
        principal: &Principal,
        target: &Target,
    ) -> Option<Self> {
        let thing = target_entity(scene.policies.nouns(), target)?;
        Self::gather(
            scene.policies,
            scene.facts,
            &[principal],
            thing,
            Family::Use,
        )
    }

    /// The first of `people` and a target, with the others in sight, to be asked about requests and
    /// grants.
    pub(crate) fn of_lifecycle(
        scene: &Scene<'_>,
        people: &[&Principal],
        target: &Target,
    ) -> Option<Self> {
        let thing = target_entity(scene.policies.nouns(), target)?;
        Self::gather(
            scene.policies,
            scene.facts,
            people,
            thing,
            Family::Lifecycle,
        )
    }

    /// Who, their groups, and tidegate itself.
    pub(crate) fn of_bastion(
        policies: &PolicySet,
        facts: &Facts,
        principal: &Principal,
    ) -> Option<Self> {
        let thing = Entity::with_uid(policies.nouns().bastion.clone());
        Self::gather(policies, facts, &[principal], thing, Family::Office)
    }

    fn gather(
        policies: &PolicySet,
        facts: &Facts,
        people: &[&Principal],
        thing: Entity,
        family: Family,
    ) -> Option<Self> {
        let nouns = policies.nouns();
        let first = people.first()?;
        let resource = thing.uid();
        let mut entities = vec![thing];
        for person in people {
            entities.push(person_entity(nouns, facts, person)?);
        }
        Some(Self {
            principal: nouns.principal(first.kind, &first.name),
            resource,
            entities: policies
                .actions(family)
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

fn target_entity(nouns: &Nouns, target: &Target) -> Option<Entity> {
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
    Entity::new_with_tags(nouns.target(target), attributes, [], labels).ok()
}
