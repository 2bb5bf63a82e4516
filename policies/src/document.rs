//! Policy documents: Cedar text in, a [`PolicySet`] out, or every mistake at once.
//!
//! The only file that knows Cedar's surface syntax. Nothing here decides anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use aws_lc_rs::digest;
use cedar_policy::{ActionConstraint, Entities, Entity, EntityUid, Policy, Schema};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::budget;
use crate::diagnose::{Diagnosis, Severity};
use crate::file::{self, FileRules};
use crate::foresight::{self, Foresight};
use crate::library::SCHEMA;
use crate::question::{self, Question};
use crate::quorum::Quorums;
use crate::slice::{Family, Nouns};
use crate::statement;
use crate::{Facts, GroupName, PrincipalName};
use named::Named;

mod breadth;
mod check;
mod groups;
mod literals;
mod named;

/// A text with a name, as it was read from a file or from the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What mistakes in it are reported under: a file name or path.
    pub name: String,
    /// All of it.
    pub text: String,
}

impl Document {
    /// Puts a name on a text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: text.into(),
        }
    }
}

/// Policies that were parsed and strictly validated: the only kind that can be asked. A clone is as
/// cheap as an `Arc`.
#[derive(Debug, Clone)]
pub struct PolicySet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    questions: BTreeMap<String, Question>,
    statements: StatementRules,
    limits_spending: bool,
    files: FileRules,
    reasons: BTreeMap<String, String>,
    frame: &'static Frame,
    quorums: Quorums,
    groups: BTreeSet<GroupName>,
    /// Every quorum that a rule names.
    quorums_used: BTreeSet<String>,
    /// Who and what rules name.
    named: Named,
    zone: TimeZone,
    digest: String,
    warnings: Vec<Diagnosis>,
}

/// What policies say about SQL statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StatementRules {
    /// None names an action of `sql`: sessions are as free as their role.
    Absent,
    /// What is permitted depends on the kind of statement alone.
    ByKind,
    /// It also depends on what a statement names.
    ByContent,
}

impl StatementRules {
    fn of(policies: &cedar_policy::PolicySet, questions: &BTreeMap<String, Question>) -> Self {
        let (actions, groups) = (&statement::ACTIONS, &statement::GROUPS);
        if !policies
            .policies()
            .any(|policy| names(policy, actions, groups))
        {
            return Self::Absent;
        }
        let mut about = statement::ACTIONS
            .iter()
            .filter_map(|action| questions.get(*action))
            .flat_map(|question| question.written.policies.policies());
        if about.any(foresight::is_about_details) {
            Self::ByContent
        } else {
            Self::ByKind
        }
    }
}

/// Whether a policy names one of these actions or groups, in its scope or in a condition. One about
/// every action or every use of a grant does not.
fn names(policy: &Policy, actions: &[&str], groups: &[&str]) -> bool {
    let is_one = |named: &EntityUid| {
        let name = named.id().unescaped();
        named.type_name().basename() == "Action"
            && (actions.contains(&name) || groups.contains(&name))
    };
    let in_scope = match policy.action_constraint() {
        ActionConstraint::Any => false,
        ActionConstraint::Eq(named) => is_one(&named),
        ActionConstraint::In(named) => named.iter().any(is_one),
    };
    in_scope || policy.entity_literals().iter().any(is_one)
}

/// What does not depend on the documents: the schema, its actions and the names of its types.
#[derive(Debug)]
struct Frame {
    schema: Schema,
    lifecycle: Entities,
    uses: Entities,
    offices: Entities,
    nouns: Nouns,
}

/// Built once, because the schema is compiled in. It fails only if a file of this crate is wrong.
static FRAME: LazyLock<Result<Frame, String>> = LazyLock::new(Frame::build);

impl Frame {
    fn build() -> Result<Self, String> {
        let (schema, _warnings) =
            Schema::from_cedarschema_str(SCHEMA).map_err(|error| error.to_string())?;
        let nouns = Nouns::parse().ok_or_else(|| "a type has no name".to_owned())?;
        let uses = family(&schema, &nouns.action("use"))?;
        let offices = family(&schema, &nouns.action("office"))?;
        Ok(Self {
            schema,
            lifecycle: Entities::empty(),
            uses,
            offices,
            nouns,
        })
    }

    fn get() -> Result<&'static Self, Vec<Diagnosis>> {
        FRAME
            .as_ref()
            .map_err(|why| vec![Diagnosis::whole("schema.cedarschema", why)])
    }
}

impl PolicySet {
    /// Parses and validates policy documents and the named quorums. `zone` is where `hourLocal` and
    /// `weekday` are.
    ///
    /// # Errors
    /// Every mistake in every document, document by document from top to bottom; warnings are among
    /// them.
    pub fn load(
        documents: &[Document],
        quorums: Option<&Document>,
        zone: TimeZone,
    ) -> Result<Self, Vec<Diagnosis>> {
        let frame = Frame::get()?;
        let (named, mut found) = match quorums.map(Quorums::parse) {
            None => (Quorums::default(), Vec::new()),
            Some(Ok(named)) => (named, Vec::new()),
            Some(Err(found)) => (Quorums::default(), found),
        };
        let checked = check::check(documents, &frame.schema, &named);
        found.extend(checked.found);
        if found
            .iter()
            .any(|diagnosis| diagnosis.severity == Severity::Error)
        {
            return Err(found);
        }
        let unsorted = || {
            vec![Diagnosis::whole(
                "policies",
                "they cannot be sorted by action",
            )]
        };
        let (tight, paths) = file::tighten(&checked.policies).ok_or_else(unsorted)?;
        let questions = Foresight::of(&checked.policies)
            .and_then(|foresight| {
                question::sort(&frame.schema, &checked.policies, &foresight, &tight)
            })
            .ok_or_else(unsorted)?;
        let about_files = |policy: &Policy| names(policy, &file::ACTIONS, &file::GROUPS);
        let files = if checked.policies.policies().any(about_files) {
            FileRules::Present(paths)
        } else {
            FileRules::Absent
        };
        let statements = StatementRules::of(&checked.policies, &questions);
        let about_spending = |policy: &Policy| names(policy, &[budget::ACTION], &[]);
        let limits_spending = checked.policies.policies().any(about_spending);
        Ok(Self(Arc::new(Inner {
            questions,
            statements,
            limits_spending,
            files,
            reasons: checked.reasons,
            frame,
            quorums: named,
            groups: groups::in_rules(&checked.policies),
            quorums_used: groups::quorums_in_rules(&checked.policies),
            named: Named::of(&checked.policies),
            digest: digest_of(documents, quorums, &zone),
            zone,
            warnings: found,
        })))
    }

    /// SHA-256 over the names and texts of all documents and the zone, in lower-case hexadecimal. It names
    /// these policies in logs and recordings.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// What is odd about the documents without being wrong.
    pub fn warnings(&self) -> &[Diagnosis] {
        &self.0.warnings
    }

    /// What is odd about the groups of quorums where these are all the groups that somebody is in, or
    /// where nobody is known.
    pub fn strange_groups(&self, people: Option<&BTreeSet<GroupName>>) -> Vec<Diagnosis> {
        let named = (&self.0.groups, &self.0.quorums_used);
        groups::strange(&self.0.quorums, named, people)
    }

    /// Every group that a rule or a quorum names.
    pub fn groups(&self) -> impl Iterator<Item = &GroupName> {
        let seats = self.0.quorums.seats().map(|seat| &seat.group);
        self.0.groups.iter().chain(seats)
    }

    /// The `@id`s of the rules that name this person or machine.
    pub fn naming(&self, name: &PrincipalName) -> impl Iterator<Item = &str> {
        self.0.named.rules_about(name)
    }

    /// What rules name and nothing is called, as it is to be printed.
    pub fn strangers(&self, facts: &Facts) -> Vec<String> {
        self.0.named.strangers(facts)
    }

    /// Where `hourLocal` and `weekday` are.
    pub fn zone(&self) -> &TimeZone {
        &self.0.zone
    }

    /// The `@id` of every policy, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.reasons.keys().map(String::as_str)
    }

    /// The rules that are asked about other databases, in Cedar's JSON form.
    pub(crate) fn database_rules(&self) -> impl Iterator<Item = serde_json::Value> {
        let question = self.0.questions.get("otherDatabase");
        let rules = question
            .into_iter()
            .flat_map(|question| question.written.policies.policies());
        rules.filter_map(|rule| rule.to_json().ok())
    }

    /// What these policies say about SQL statements.
    pub(crate) fn statement_rules(&self) -> StatementRules {
        self.0.statements
    }

    /// Whether they say how much may be spent.
    pub(crate) fn limits_spending(&self) -> bool {
        self.0.limits_spending
    }

    /// What these policies say about files.
    pub(crate) fn file_rules(&self) -> &FileRules {
        &self.0.files
    }

    /// The policies about one action.
    pub(crate) fn question(&self, action: &str) -> Option<&Question> {
        self.0.questions.get(action)
    }

    /// The `@reason` of the policy with this `@id`.
    pub(crate) fn reason(&self, policy: &str) -> String {
        match self.0.reasons.get(policy).map(String::as_str) {
            None | Some("") => "A policy forbids it.".to_owned(),
            Some(reason) => reason.to_owned(),
        }
    }

    /// The entities of the actions that belong to groups, so that `action in …` can be evaluated.
    pub(crate) fn actions(&self, family: Family) -> &Entities {
        match family {
            Family::Lifecycle => &self.0.frame.lifecycle,
            Family::Use => &self.0.frame.uses,
            Family::Office => &self.0.frame.offices,
        }
    }

    /// The parsed names of Cedar types.
    pub(crate) fn nouns(&self) -> &Nouns {
        &self.0.frame.nouns
    }

    /// The named quorums.
    pub(crate) fn quorums(&self) -> &Quorums {
        &self.0.quorums
    }
}

/// An action group with everything in it.
fn family(schema: &Schema, group: &EntityUid) -> Result<Entities, String> {
    let all = schema
        .action_entities()
        .map_err(|error| error.to_string())?;
    let belongs =
        |entity: &&Entity| entity.uid() == *group || all.is_ancestor_of(group, &entity.uid());
    let some: Vec<Entity> = all.iter().filter(belongs).cloned().collect();
    Entities::from_entities(some, None).map_err(|error| error.to_string())
}

/// Names and texts are length-prefixed, so that no two sets of documents look alike. UTC adds nothing: what
/// was written down of such policies before the zone counted names them still.
fn digest_of(documents: &[Document], quorums: Option<&Document>, zone: &TimeZone) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    let prefixed = |context: &mut digest::Context, part: &str| {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    };
    for (tag, document) in documents
        .iter()
        .map(|document| (b"P", document))
        .chain(quorums.map(|quorums| (b"Q", quorums)))
    {
        context.update(tag);
        for part in [&document.name, &document.text] {
            prefixed(&mut context, part);
        }
    }
    if *zone != TimeZone::UTC {
        context.update(b"Z");
        prefixed(&mut context, zone.iana_name().unwrap_or_default());
    }
    crate::hex(context.finish().as_ref())
}
