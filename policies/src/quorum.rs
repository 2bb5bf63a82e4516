//! Named quorums: so many people of this group and so many of that one, all different people.
//!
//! Cedar has no way to count people, so the count is made here and handed to Cedar as
//! `context.quorums`, the names of the quorums that are met.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::diagnose::{Diagnosis, Place, nearest};
use crate::{Document, GroupName, PrincipalName};

/// The group name that stands for "the group that owns the target".
pub const OWNERS: &str = "owners";

/// All named quorums of a `quorums.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quorums {
    rules: BTreeMap<String, Rule>,
    seats: Vec<Seat>,
}

/// A group as it stands in a `quorums.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seat {
    /// Of which quorum.
    pub(crate) quorum: String,
    /// Never [`OWNERS`].
    pub(crate) group: GroupName,
    /// The file.
    pub(crate) document: String,
    /// Where in it.
    pub(crate) place: Place,
}

/// What a quorum asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// So many different people of a group.
    Slots {
        /// The group; [`OWNERS`] is that of the target.
        group: GroupName,
        /// How many, at least 1.
        count: u32,
    },
    /// All of these, each by other people.
    All(Vec<Rule>),
    /// One of these.
    Any(Vec<Rule>),
}

/// One place that one person has to fill: someone of this group.
type Slot<'a> = &'a GroupName;

/// The words of a `quorums.toml`.
const KEYS: [&str; 5] = ["quorum", "all", "any", "group", "count"];

/// How many different ways to meet one quorum may be written down (`any` inside `all` multiplies).
const WAYS_MAX: usize = 256;

/// How many people one quorum may ask for.
const SLOTS_MAX: usize = 64;

impl Rule {
    /// Every list of slots that meets this rule; filling all slots of one list with different
    /// people is enough.
    fn ways(&self) -> Vec<Vec<Slot<'_>>> {
        match self {
            Self::Slots { group, count } => {
                let count = usize::try_from(*count)
                    .unwrap_or(usize::MAX)
                    .min(SLOTS_MAX.saturating_add(1));
                vec![vec![group; count]]
            }
            Self::Any(rules) => rules.iter().flat_map(Self::ways).collect(),
            Self::All(rules) => rules.iter().fold(vec![Vec::new()], |so_far, rule| {
                let more = rule.ways();
                so_far
                    .iter()
                    .flat_map(|left| {
                        more.iter()
                            .map(move |right| [left.clone(), right.clone()].concat())
                    })
                    .take(WAYS_MAX.saturating_add(1))
                    .collect()
            }),
        }
    }

    /// Whether these people meet it. `owners` is the group that owns the target; without one, a
    /// slot for owners stays empty.
    pub fn met_by(
        &self,
        people: &BTreeMap<PrincipalName, BTreeSet<GroupName>>,
        owners: Option<&GroupName>,
    ) -> bool {
        self.ways()
            .iter()
            .any(|slots| filled(slots, people, owners))
    }
}

/// Whether every slot gets a person of its own: a matching, found by augmenting paths.
fn filled(
    slots: &[Slot<'_>],
    people: &BTreeMap<PrincipalName, BTreeSet<GroupName>>,
    owners: Option<&GroupName>,
) -> bool {
    let people: Vec<&BTreeSet<GroupName>> = people.values().collect();
    if people.len() < slots.len() {
        return false;
    }
    let fits = |slot: usize, person: usize| -> bool {
        let wanted = slots.get(slot).copied();
        let wanted = wanted.and_then(|name| {
            if name.as_str() == OWNERS {
                owners
            } else {
                Some(name)
            }
        });
        wanted
            .zip(people.get(person))
            .is_some_and(|(group, groups)| groups.contains(group))
    };
    let mut seat_of: Vec<Option<usize>> = vec![None; people.len()];
    (0..slots.len()).all(|slot| {
        let mut tried = vec![false; people.len()];
        seat(slot, &fits, &mut seat_of, &mut tried)
    })
}

/// Finds a person for `slot`, moving others to different slots where that helps.
fn seat(
    slot: usize,
    fits: &dyn Fn(usize, usize) -> bool,
    seat_of: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for person in 0..seat_of.len() {
        let untried = |tried: &mut bool| !std::mem::replace(tried, true);
        if !fits(slot, person) || !tried.get_mut(person).is_some_and(untried) {
            continue;
        }
        let moved = match seat_of.get(person).copied().flatten() {
            None => true,
            Some(other) => seat(other, fits, seat_of, tried),
        };
        if moved {
            if let Some(place) = seat_of.get_mut(person) {
                *place = Some(slot);
            }
            return true;
        }
    }
    false
}

impl Quorums {
    /// Reads a `quorums.toml`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(document: &Document) -> Result<Self, Vec<Diagnosis>> {
        let file: File = toml::from_str(&document.text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            let found = Diagnosis::error(&document.name, &document.text, &span, error.message());
            let unknown = error.message().strip_prefix("unknown field `");
            let named = unknown.and_then(|rest| rest.split('`').next());
            vec![match named.and_then(|named| nearest(named, KEYS)) {
                Some(meant) => found.advise(format!("did you mean `{meant}`?")),
                None => found,
            }]
        })?;
        let (mut rules, mut seats, mut found) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (name, written) in file.quorum {
            let span = written.span();
            let written = written.into_inner();
            written.seats((&name, document), &mut seats);
            match rule(written) {
                Ok(rule) => drop(rules.insert(name, rule)),
                Err(what) => {
                    let what = format!("quorum `{name}`: {what}");
                    found.push(Diagnosis::error(
                        &document.name,
                        &document.text,
                        &span,
                        what,
                    ));
                }
            }
        }
        found.sort_by_key(|found| found.place.as_ref().map(|place| place.line));
        seats.sort_by_key(|seat| (seat.place.line, seat.place.column));
        if found.is_empty() {
            Ok(Self { rules, seats })
        } else {
            Err(found)
        }
    }

    /// The names of the quorums that these people meet.
    pub fn met_by<'a>(
        &'a self,
        people: &BTreeMap<PrincipalName, BTreeSet<GroupName>>,
        owners: Option<&GroupName>,
    ) -> Vec<&'a str> {
        let met = self
            .rules
            .iter()
            .filter(|(_, rule)| rule.met_by(people, owners));
        met.map(|(name, _)| name.as_str()).collect()
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.keys().map(String::as_str)
    }

    /// Every group, from top to bottom.
    pub(crate) fn seats(&self) -> impl Iterator<Item = &Seat> {
        self.seats.iter()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    quorum: BTreeMap<String, toml::Spanned<Written>>,
}

/// A rule as it stands in the file: exactly one of `all`, `any`, and `group` with `count`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    all: Option<Vec<Written>>,
    any: Option<Vec<Written>>,
    group: Option<toml::Spanned<GroupName>>,
    count: Option<u32>,
}

impl Written {
    /// Adds every group of it.
    fn seats(&self, (quorum, document): (&str, &Document), seats: &mut Vec<Seat>) {
        let group = self.group.iter();
        let group = group.filter(|group| group.get_ref().as_str() != OWNERS);
        seats.extend(group.map(|group| Seat {
            quorum: quorum.to_owned(),
            group: group.get_ref().clone(),
            document: document.name.clone(),
            place: Place::find(&document.text, &group.span()),
        }));
        for below in self.all.iter().chain(&self.any).flatten() {
            below.seats((quorum, document), seats);
        }
    }
}

fn rule(written: Written) -> Result<Rule, String> {
    let rule = translate(written)?;
    let ways = rule.ways();
    if ways.len() > WAYS_MAX {
        return Err(format!(
            "it can be met in more than {WAYS_MAX} ways; write several quorums"
        ));
    }
    if ways.iter().any(|slots| slots.len() > SLOTS_MAX) {
        return Err(format!("it asks for more than {SLOTS_MAX} people"));
    }
    Ok(rule)
}

fn translate(written: Written) -> Result<Rule, String> {
    let several = |rules: Vec<Written>| {
        if rules.is_empty() {
            return Err("an empty list names nobody".to_owned());
        }
        rules
            .into_iter()
            .map(translate)
            .collect::<Result<Vec<_>, _>>()
    };
    match written {
        Written {
            all: Some(rules),
            any: None,
            group: None,
            count: None,
        } => several(rules).map(Rule::All),
        Written {
            all: None,
            any: Some(rules),
            group: None,
            count: None,
        } => several(rules).map(Rule::Any),
        Written {
            all: None,
            any: None,
            group: Some(group),
            count,
        } => match (group.into_inner(), count.unwrap_or(1)) {
            (group, 0) => Err(format!("0 people of `{group}` is no quorum")),
            (group, count) => Ok(Rule::Slots { group, count }),
        },
        Written {
            all: None,
            any: None,
            group: None,
            count: Some(_),
        } => Err("a count needs a group beside it".to_owned()),
        Written { .. } => Err("it needs exactly one of `all`, `any` and `group`".to_owned()),
    }
}
