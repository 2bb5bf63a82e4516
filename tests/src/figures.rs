//! Figures as a table: percentiles of what was measured, beside the bound they have to keep.

use std::time::Duration;

/// One row of a table.
#[derive(Debug, Clone)]
pub struct Row {
    what: String,
    times: Vec<Duration>,
    wanted: usize,
    bound: Option<Duration>,
}

impl Row {
    /// What was measured, of how many, and what the 99th percentile may be.
    pub fn new(
        what: impl Into<String>,
        mut times: Vec<Duration>,
        wanted: usize,
        bound: Option<Duration>,
    ) -> Self {
        times.sort();
        Self {
            what: what.into(),
            times,
            wanted,
            bound,
        }
    }

    /// Whether everything that had to happen did, within the bound.
    pub fn holds(&self) -> bool {
        let whole = self.times.len() >= self.wanted;
        whole && self.bound.is_none_or(|bound| self.percentile(99) <= bound)
    }

    /// The time that this share of all did not exceed.
    pub fn percentile(&self, share: usize) -> Duration {
        let last = self.times.len().saturating_sub(1);
        let place = (self.times.len() * share)
            .div_ceil(100)
            .saturating_sub(1)
            .min(last);
        self.times.get(place).copied().unwrap_or_default()
    }
}

/// The rows as a Markdown table, in milliseconds.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | seen | p50 ms | p99 ms | max ms | bound on p99 | |\n|---|--:|--:|--:|--:|--:|---|\n",
    );
    for row in rows {
        let bound = row.bound.map_or_else(String::new, millis);
        let verdict = if row.holds() { "held" } else { "**MISSED**" };
        let [p50, p99, max] = [50, 99, 100].map(|share| millis(row.percentile(share)));
        let cells = [
            row.what.clone(),
            format!("{}/{}", row.times.len(), row.wanted),
            p50,
            p99,
            max,
            bound,
            verdict.to_owned(),
        ];
        text.push_str("| ");
        text.push_str(&cells.join(" | "));
        text.push_str(" |\n");
    }
    text
}

/// Milliseconds with one digit after the point.
pub fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(count: u64, wanted: usize, bound: u64) -> Row {
        let times = (1..=count).map(Duration::from_millis).collect();
        Row::new("x", times, wanted, Some(Duration::from_millis(bound)))
    }

    #[test]
    fn a_percentile_is_one_of_the_times() {
        assert_eq!(row(100, 100, 99).percentile(99), Duration::from_millis(99));
        assert_eq!(row(1, 1, 1).percentile(50), Duration::from_millis(1));
        assert_eq!(
            row(1000, 1000, 1).percentile(50),
            Duration::from_millis(500)
        );
    }

    #[test]
    fn a_bound_is_missed_by_being_late_or_by_not_happening() {
        assert!(row(100, 100, 99).holds());
        assert!(!row(100, 100, 98).holds());
        assert!(!row(99, 100, 1000).holds());
    }
}
