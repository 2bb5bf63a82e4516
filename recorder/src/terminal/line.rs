//! One line of text as a terminal takes it, over as many rows of the screen as it needs: in each the cursor goes back
//! to the beginning of that row and no further.

use super::lost::{Lost, is_seen, trimmed};

/// How long a line grows before it is broken, in cells.
pub(super) const LINE_MAX: usize = 4096;
/// What stands in the cell beside a character that needs two, and in those that a tab passes over.
pub(super) const FILLER: char = '\0';
/// How far tab stops are apart.
const TAB: usize = 8;

/// The line at hand.
#[derive(Debug, Default)]
pub(super) struct Line {
    cells: Vec<char>,
    /// The cell in which the cursor is.
    column: usize,
    /// Where each row but the first begins.
    breaks: Vec<usize>,
    /// The row in which the cursor is.
    row: usize,
    /// How wide the terminal is; none where that is not known.
    columns: Option<usize>,
    lost: Lost,
}

impl Line {
    /// The terminal is so wide from here on; nobody knows how wide where that is 0.
    pub(super) fn resize(&mut self, columns: u32) {
        let columns = usize::try_from(columns).ok();
        self.columns = columns.filter(|columns| (1..=LINE_MAX).contains(columns));
    }

    /// Whether there is nothing to tell of.
    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.lost.is_empty()
    }

    /// Whether nothing is to be seen in it.
    pub(super) fn is_blank(&self) -> bool {
        !self.cells.iter().any(|cell| is_seen(*cell)) && self.lost.is_empty()
    }

    /// What stands in it, without the blanks at its end.
    pub(super) fn text(&self) -> &[char] {
        trimmed(&self.cells)
    }

    /// What stood in it and does not any more, and how often it was written over.
    pub(super) fn lost(&self) -> (Vec<&[char]>, usize) {
        self.lost.beside(&self.cells)
    }

    /// Begins a new one.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.breaks.clear();
        (self.column, self.row) = (0, 0);
        self.lost = Lost::default();
    }

    /// Whether the next character has to stand in another line.
    pub(super) fn is_full(&self) -> bool {
        match self.columns {
            None => self.column >= LINE_MAX,
            Some(columns) => {
                let is_last = self.row == self.breaks.len();
                let further = self.column.saturating_add(columns) > LINE_MAX;
                is_last && further && self.column.saturating_add(2) > self.limit()
            }
        }
    }

    /// Writes a character where the cursor is.
    pub(super) fn put(&mut self, c: char) {
        let is_wide = is_wide(c);
        self.wrap(if is_wide { 2 } else { 1 });
        self.write(c);
        if is_wide {
            self.write(FILLER);
        }
    }

    /// Goes to the next tab stop.
    pub(super) fn tab(&mut self) {
        let begin = self.begin();
        let on = TAB.saturating_sub(self.column.saturating_sub(begin) % TAB);
        let to = self.column.saturating_add(on).min(self.last());
        if self.column >= self.cells.len() && self.column < to {
            self.write('\t');
            while self.column < to {
                self.write(FILLER);
            }
        }
        self.column = self.column.max(to);
    }

    /// Goes to the beginning of the row.
    pub(super) fn carriage_return(&mut self) {
        self.column = self.begin();
        self.lost.moved();
    }

    /// Goes back by so many columns.
    pub(super) fn back(&mut self, count: usize) {
        let from = self.column.min(self.last());
        self.column = from.saturating_sub(count).max(self.begin());
        self.lost.moved();
    }

    /// Goes on by so many columns.
    pub(super) fn forward(&mut self, count: usize) {
        let to = self.column.saturating_add(count).min(self.last());
        self.column = self.column.max(to);
        self.lost.moved();
    }

    /// Goes to a column of the row, counted from 0.
    pub(super) fn go_to(&mut self, column: usize) {
        self.column = self.begin().saturating_add(column).min(self.last());
        self.lost.moved();
    }

    /// Goes up by so many rows, as far as the line has them.
    pub(super) fn up(&mut self, count: usize) {
        self.go_to_row(self.row.saturating_sub(count));
    }

    /// Goes down by so many rows, as far as the line has them.
    pub(super) fn down(&mut self, count: usize) {
        self.go_to_row(self.row.saturating_add(count).min(self.breaks.len()));
    }

    /// Whether something is to be seen in the rows further down.
    pub(super) fn goes_on(&self) -> bool {
        let below = self.cells.get(self.end()..).unwrap_or_default();
        below.iter().any(|cell| is_seen(*cell))
    }

    /// Erases from the cursor to the end of the row, to its beginning, or all of it (EL 0, 1 and 2).
    pub(super) fn erase(&mut self, what: usize) {
        let (begin, end) = (self.begin(), self.end());
        let behind = self.column.saturating_add(1).min(end);
        let (from, to) = match what {
            0 => (self.column, end),
            1 => (begin, behind),
            2 => (begin, end),
            _ => return,
        };
        self.lose(from, to);
        if what == 1 || self.row < self.breaks.len() {
            for cell in self.cells.get_mut(from..to).unwrap_or_default() {
                *cell = ' ';
            }
        } else {
            self.cells.truncate(from);
        }
    }

    /// Takes out so many characters at the cursor.
    pub(super) fn delete(&mut self, count: usize) {
        let end = self.end();
        let to = self.column.saturating_add(count).min(end);
        if self.column >= to {
            return;
        }
        self.lose(self.column, to);
        let gone = self.cells.drain(self.column..to).count();
        if self.row < self.breaks.len() {
            let at = end.saturating_sub(gone);
            self.cells.splice(at..at, std::iter::repeat_n(' ', gone));
        }
    }

    /// Puts in so many blanks at the cursor. What is moved out of the row is gone.
    pub(super) fn insert(&mut self, count: usize) {
        let end = self.end();
        if self.column >= end {
            return;
        }
        let is_last = self.row == self.breaks.len();
        let limit = if is_last { self.limit() } else { end };
        let count = count.min(limit.saturating_sub(self.column));
        let kept = limit.saturating_sub(count).max(self.column).min(end);
        self.lose(kept, end);
        self.cells.drain(kept..end);
        let at = self.column;
        self.cells.splice(at..at, std::iter::repeat_n(' ', count));
        if !is_last {
            let short = end.saturating_sub(kept.saturating_add(count));
            let at = kept.saturating_add(count);
            self.cells.splice(at..at, std::iter::repeat_n(' ', short));
        }
    }

    /// Where the row begins.
    fn begin(&self) -> usize {
        let before = self.row.checked_sub(1);
        before
            .and_then(|before| self.breaks.get(before))
            .copied()
            .unwrap_or(0)
    }

    /// Behind the last cell of the row that was written.
    fn end(&self) -> usize {
        let next = self.breaks.get(self.row).copied();
        next.unwrap_or(usize::MAX).min(self.cells.len())
    }

    /// Behind the last cell that the row can have.
    fn limit(&self) -> usize {
        match self.columns {
            Some(columns) => self.begin().saturating_add(columns),
            None => LINE_MAX,
        }
    }

    /// The cell furthest on to which the cursor can be moved.
    fn last(&self) -> usize {
        match self.columns {
            Some(_) => self.limit().saturating_sub(1),
            None => LINE_MAX,
        }
    }

    fn go_to_row(&mut self, row: usize) {
        let aside = self.column.saturating_sub(self.begin());
        self.row = row;
        self.column = self.begin().saturating_add(aside);
        self.lost.moved();
    }

    /// Begins a row where a character of this width has no place in the one at hand.
    fn wrap(&mut self, width: usize) {
        let is_last = self.row == self.breaks.len();
        let is_over = self.columns.is_some() && self.column.saturating_add(width) > self.limit();
        let is_beyond = !is_last && self.column >= self.end();
        if self.column == self.begin() || !(is_over || is_beyond) {
            return;
        }
        if is_last {
            self.breaks.push(self.column);
        }
        self.row = self.row.saturating_add(1);
        self.column = self.begin();
    }

    fn write(&mut self, c: char) {
        while self.cells.len() < self.column {
            self.cells.push(' ');
        }
        match self.cells.get(self.column).copied() {
            Some(before) if before != c => {
                self.lose(self.column, self.column.saturating_add(1));
                if let Some(cell) = self.cells.get_mut(self.column) {
                    *cell = c;
                }
            }
            Some(_) => {}
            None => self.cells.push(c),
        }
        self.column = self.column.saturating_add(1);
    }

    /// What stands in these cells is about to be lost.
    fn lose(&mut self, from: usize, to: usize) {
        let cells = self.cells.get(from..to).unwrap_or_default();
        if cells.iter().any(|cell| is_seen(*cell)) {
            self.lost.note(&self.cells);
        }
    }
}

/// Whether a character needs two cells: roughly, for where it does not hold what is written over is told anyway.
fn is_wide(c: char) -> bool {
    matches!(c,
        '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{303e}' | '\u{3041}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}' | '\u{1f900}'..='\u{1f9ff}' | '\u{20000}'..='\u{3fffd}')
}
