//! One figure over several routes as a line of a table, held against its bound.

use std::process::ExitCode;

/// Which way is better, and how far it may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
}

impl Bound {
    /// Whether a figure keeps it.
    pub fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

/// One line: what was measured on each route, and the figure that has a bound.
#[derive(Debug, Clone)]
pub struct Line {
    /// What was measured, with its unit.
    pub what: String,
    /// Directly.
    pub direct: Option<f64>,
    /// Over whoever else does it.
    pub peer: Option<f64>,
    /// Over the library that ours is built on, alone, where that was measured: it has no bound.
    pub bare: Option<f64>,
    /// Through tidegate.
    pub ours: f64,
    /// What the bound is about: a ratio, or the figure itself.
    pub figure: f64,
    /// The bound.
    pub bound: Bound,
}

impl Line {
    /// A line whose figure is how ours compares with the direct connection.
    pub fn beside_direct(
        what: impl Into<String>,
        (direct, peer, ours): (f64, Option<f64>, f64),
        bound: Bound,
    ) -> Self {
        Self {
            what: what.into(),
            direct: Some(direct),
            peer,
            bare: None,
            ours,
            figure: ours / direct,
            bound,
        }
    }

    /// A line whose figure is how ours compares with whoever else does it.
    pub fn beside_peer(
        what: impl Into<String>,
        (direct, peer, ours): (Option<f64>, f64, f64),
        bound: Bound,
    ) -> Self {
        Self {
            what: what.into(),
            direct,
            peer: Some(peer),
            bare: None,
            ours,
            figure: ours / peer,
            bound,
        }
    }

    /// A line that is about ours alone.
    pub fn alone(what: impl Into<String>, ours: f64, bound: Bound) -> Self {
        Self {
            what: what.into(),
            direct: None,
            peer: None,
            bare: None,
            ours,
            figure: ours,
            bound,
        }
    }

    /// The same line with what the library alone does, for information.
    #[must_use]
    pub fn with_bare(self, bare: f64) -> Self {
        Self {
            bare: Some(bare),
            ..self
        }
    }

    /// What the library alone does, and the figure that it would have.
    fn bare(&self) -> Option<String> {
        let bare = self.bare?;
        let ratio = self.direct.map(|direct| format!(" ({:.2})", bare / direct));
        Some(short(bare) + &ratio.unwrap_or_default())
    }

    /// Whether it keeps its bound.
    pub fn holds(&self) -> bool {
        self.bound.holds(self.figure)
    }
}

/// Prints the lines and what did not work, and says with which status a benchmark ends: failure where a
/// bound is missed or something is broken.
#[expect(clippy::print_stdout, reason = "this is what a benchmark prints")]
pub fn told(peer: &str, lines: &[Line], broken: &[String]) -> ExitCode {
    println!("{}", table(peer, lines));
    for broken in broken {
        println!("BROKEN: {broken}");
    }
    if broken.is_empty() && lines.iter().all(Line::holds) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The lines as a Markdown table; `peer` is what the other is called. The library alone has a column where
/// it was measured.
fn table(peer: &str, lines: &[Line]) -> String {
    let (name, rule) = if lines.iter().any(|line| line.bare.is_some()) {
        (" bare russh relay |", "--:|")
    } else {
        ("", "")
    };
    let mut text = format!(
        "| what | direct | {peer} |{name} tidegate | figure | bound | |\n|---|--:|--:|{rule}--:|--:|--:|---|\n"
    );
    for line in lines {
        let cell = |value: Option<f64>| value.map_or_else(String::new, short);
        let bound = match line.bound {
            Bound::AtLeast(least) => format!("≥ {least}"),
            Bound::AtMost(most) => format!("≤ {most}"),
        };
        let verdict = if line.holds() { "held" } else { "**MISSED**" };
        let mut cells = vec![line.what.clone(), cell(line.direct), cell(line.peer)];
        if !name.is_empty() {
            cells.push(line.bare().unwrap_or_default());
        }
        cells.extend([
            short(line.ours),
            format!("{:.2}", line.figure),
            bound,
            verdict.to_owned(),
        ]);
        text.push_str("| ");
        text.push_str(&cells.join(" | "));
        text.push_str(" |\n");
    }
    text
}

/// The value in the middle.
pub fn median(values: &mut [f64]) -> f64 {
    percentile(values, 50)
}

/// The value that this share of all does not exceed.
pub fn percentile(values: &mut [f64], share: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * share).div_ceil(100).saturating_sub(1);
    values.get(place).copied().unwrap_or_default()
}

fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_about_the_ratio() {
        let sides = (100.0, None, 80.0);
        assert!(Line::beside_direct("x", sides, Bound::AtLeast(0.75)).holds());
        assert!(!Line::beside_direct("x", sides, Bound::AtLeast(0.85)).holds());
        assert!(!Line::beside_direct("x", sides, Bound::AtMost(0.75)).holds());
        assert!(Line::alone("x", 3.0, Bound::AtMost(3.0)).holds());
    }

    #[test]
    fn the_library_alone_has_a_column_where_it_was_measured_and_no_bound() {
        let missed = Line::beside_direct("x", (100.0, None, 80.0), Bound::AtLeast(0.85));
        let plain = Line::alone("y", 3.0, Bound::AtMost(3.0));
        assert!(!table("peer", std::slice::from_ref(&plain)).contains("bare"));
        let text = table("peer", &[missed.with_bare(90.0), plain]);
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            rows,
            [
                "| x | 100 |  | 90.00 (0.90) | 80.00 | 0.80 | ≥ 0.85 | **MISSED** |",
                "| y |  |  |  | 3.00 | 3.00 | ≤ 3 | held |",
            ]
        );
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(
            median(&mut values).total_cmp(&3.0),
            std::cmp::Ordering::Equal
        );
        assert_eq!(
            percentile(&mut values, 99).total_cmp(&5.0),
            std::cmp::Ordering::Equal
        );
    }
}
