//! Mistakes in policy files, shown where they are: file, line, column, the line itself, a caret and
//! advice.
//!
//! Knows nothing of Cedar; [`document`](crate::document) finds the mistakes and this file shows them.

use std::fmt;
use std::ops::Range;

/// How bad a mistake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The documents cannot be used.
    Error,
    /// They can be used, and someone should look.
    Warning,
}

/// One mistake in one document.
///
/// `Display` gives all of it over several lines, ready for a terminal, without a final newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// How bad it is.
    pub severity: Severity,
    /// The document, as it was named when it was loaded.
    pub document: String,
    /// Where it begins, if it is about a place and not about a whole document.
    pub place: Option<Place>,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// What to do about it.
    pub advice: Option<String>,
}

/// A place in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The whole line, without its end.
    pub source: String,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
}

impl Place {
    /// Finds the bytes `span` of `text`. A span that ends on a later line is cut at the line's end;
    /// one beyond the text is the end of the text.
    pub fn find(text: &str, span: &Range<usize>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(span.start));
        let (before, after) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let line_end = after
            .find('\n')
            .map_or(text.len(), |at| start.saturating_add(at));
        let chars =
            |from: usize, to: usize| text.get(from..to).map_or(0, |part| part.chars().count());
        let source = text
            .get(line_start..line_end)
            .unwrap_or_default()
            .trim_end_matches('\r');
        Self {
            line: before.matches('\n').count().saturating_add(1),
            column: chars(line_start, start).saturating_add(1),
            width: chars(start, end.min(line_end)).max(1),
            source: source.to_owned(),
        }
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

impl Diagnosis {
    /// An error at the bytes `span` of `text`, which is the document called `document`.
    pub fn error(document: &str, text: &str, span: &Range<usize>, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            document: document.to_owned(),
            place: Some(Place::find(text, span)),
            what: what.into(),
            advice: None,
        }
    }

    /// An error about a document as a whole.
    pub fn whole(document: &str, what: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            document: document.to_owned(),
            place: None,
            what: what.into(),
            advice: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same as a warning.
    #[must_use]
    pub fn warn(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Some(place) = &self.place else {
            write!(f, "{severity}: {}: {}", self.document, self.what)?;
            return match &self.advice {
                Some(advice) => write!(f, "\n  advice: {advice}"),
                None => Ok(()),
            };
        };
        let Place {
            line,
            column,
            source,
            width,
        } = place;
        let number = line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs are kept, so that the caret stands under what it means whatever their width.
        let indent: String = source
            .chars()
            .take(column.saturating_sub(1))
            .map(|c| if c == '\t' { '\t' } else { ' ' })
            .collect();
        writeln!(
            f,
            "{severity}: {}:{line}:{column}: {}",
            self.document, self.what
        )?;
        writeln!(f, " {number} | {source}")?;
        write!(f, " {gutter} | {indent}{}", "^".repeat(*width))?;
        match &self.advice {
            Some(advice) => write!(f, " {advice}"),
            None => Ok(()),
        }
    }
}

/// The one of `known` that `text` was probably meant to be: at most a third of its letters are
/// wrong.
pub fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = text.chars().count().div_ceil(3).clamp(1, 4);
    known
        .into_iter()
        .map(|word| (distance(text, word), word))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, word)| word)
}

/// How many letters must be put in, taken out, changed or swapped with their neighbour to turn one
/// word into the other, without regard to case (optimal string alignment).
fn distance(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.to_lowercase().chars().collect();
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    let mut last = None;
    for (row, &a) in one.iter().enumerate() {
        let mut here = vec![row.saturating_add(1)];
        let mut left = row.saturating_add(1);
        for (column, &b) in other.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let next = column.saturating_add(1);
            let changed = at(&above, column).saturating_add(usize::from(a != b));
            let moved = at(&above, next).min(left).saturating_add(1);
            let swapped = match (last, column.checked_sub(1)) {
                (Some(was), Some(back)) if was == b && other.get(back) == Some(&a) => {
                    at(&before, back).saturating_add(1)
                }
                _ => usize::MAX,
            };
            left = changed.min(moved).min(swapped);
            here.push(left);
        }
        before = std::mem::replace(&mut above, here);
        last = Some(a);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "eins\r\nzwö drei\nvier";
        let place = Place::find(text, &(11..15));
        assert_eq!((place.line, place.column, place.width), (2, 5, 4));
        assert_eq!(place.source, "zwö drei");
    }

    #[test]
    fn a_place_beyond_the_text_is_its_end() {
        let place = Place::find("ab\ncd", &(70..90));
        assert_eq!((place.line, place.column, place.width), (2, 3, 1));
    }

    #[test]
    fn the_nearest_word_is_found_and_a_strange_one_is_not() {
        assert_eq!(nearest("conect", ["connect", "exec"]), Some("connect"));
        assert_eq!(nearest("shlel", ["shell", "exec"]), Some("shell"));
        assert_eq!(nearest("SHELL", ["shell", "exec"]), Some("shell"));
        assert_eq!(nearest("frobnicate", ["shell", "exec"]), None);
    }
}
