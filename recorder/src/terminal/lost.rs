//! What stood in a line before it was written over or erased: a progress bar, a slip of the hand, or a command whose
//! output takes away what was typed. What the terminal echoed is all that there is of that.

/// How much is told before more is only counted, in characters; what is told last may go beyond.
const TOLD_MAX: usize = 1024;
/// How much is looked at in one line, in characters: a progress bar has thousands of states.
const LOOKED_AT_MAX: usize = 64 * 1024;

/// How many characters of a progress bar change at a time.
const OTHER_MAX: usize = 16;

/// The states of one line that are gone.
#[derive(Debug, Default)]
pub(super) struct Lost {
    told: Vec<Vec<char>>,
    /// How many characters are in them.
    long: usize,
    /// The one before, whether it is told or not.
    previous: Vec<char>,
    /// How often the line was written over.
    times: usize,
    looked_at: usize,
    /// Something is being written over: the state before that is known.
    is_known: bool,
}

impl Lost {
    /// The cursor was moved: what is lost from here on is lost anew.
    pub(super) fn moved(&mut self) {
        self.is_known = false;
    }

    /// Something of `line` is about to be lost.
    pub(super) fn note(&mut self, line: &[char]) {
        if std::mem::replace(&mut self.is_known, true) {
            return;
        }
        if self.looked_at >= LOOKED_AT_MAX {
            self.times = self.times.saturating_add(1);
            return;
        }
        self.looked_at = self.looked_at.saturating_add(line.len());
        let state = trimmed(line);
        // Shells mark where the output of before had no end of a line.
        if state.iter().filter(|one| is_seen(**one)).count() < 2 {
            return;
        }
        if holds(state, &self.previous) && self.told.last() == Some(&self.previous) {
            // It has grown, and nothing of it is gone.
            self.told.pop();
            self.told.push(state.to_vec());
        } else if !holds(&self.previous, state) {
            self.times = self.times.saturating_add(1);
            if self.long < TOLD_MAX && !is_alike(&self.previous, state) {
                self.long = self.long.saturating_add(state.len());
                self.told.push(state.to_vec());
            }
        }
        self.previous.clear();
        self.previous.extend_from_slice(state);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times == 0
    }

    /// The states to tell of beside what stands in the line in the end, and how many there were in all.
    pub(super) fn beside(&self, end: &[char]) -> (Vec<&[char]>, usize) {
        let all = || self.told.iter().map(Vec::as_slice);
        let beside: Vec<_> = all().filter(|state| !holds(trimmed(end), state)).collect();
        if self.times > self.told.len() {
            return (all().collect(), self.times);
        }
        let count = beside.len();
        (beside, count)
    }
}

/// A cell in which something is to be seen.
pub(super) fn is_seen(cell: char) -> bool {
    !matches!(cell, ' ' | '\t' | '\0')
}

/// Without the blanks at its end.
pub(super) fn trimmed(line: &[char]) -> &[char] {
    let last = line.iter().rposition(|one| !matches!(*one, ' ' | '\0'));
    last.and_then(|last| line.get(..=last)).unwrap_or_default()
}

/// Whether all of `state` is in `other`: as its beginning, or but for one character that was put in.
fn holds(other: &[char], state: &[char]) -> bool {
    if other.starts_with(state) {
        return true;
    }
    let pairs = |count: usize| other.iter().zip(state).take(count);
    let from_start = pairs(state.len())
        .take_while(|(one, two)| one == two)
        .count();
    let ends = other.iter().rev().zip(state.iter().rev());
    let from_end = ends.take_while(|(one, two)| one == two).count();
    other.len() == state.len().saturating_add(1)
        && from_start.saturating_add(from_end) >= state.len()
}

/// Whether it is a progress bar that went on: most stands where it stood, and nothing that came or went is a letter.
fn is_alike(one: &[char], two: &[char]) -> bool {
    let long = one.len().max(two.len());
    let cell = |line: &[char], place: usize| line.get(place).copied().unwrap_or(' ');
    let pairs = (0..long).map(|place| (cell(one, place), cell(two, place)));
    let (mut other, mut letters) = (0_usize, false);
    for (one, two) in pairs.filter(|(one, two)| one != two) {
        other = other.saturating_add(1);
        letters |= one.is_alphabetic() || two.is_alphabetic();
    }
    !letters && other <= OTHER_MAX && other.saturating_mul(4) <= long
}
