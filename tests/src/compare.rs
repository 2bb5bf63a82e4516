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
            ours,
            figure: ours,
            bound,
        }
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

/// The lines as a Markdown table; `peer` is what the other is called.
fn table(peer: &str, lines: &[Line]) -> String {
    let mut text = format!(
        "| what | direct | {peer} | tidegate | figure | bound | |\n|---|--:|--:|--:|--:|--:|---|\n"
    );
    for line in lines {
        let cell = |value: Option<f64>| value.map_or_else(String::new, short);
        let bound = match line.bound {
            Bound::AtLeast(least) => format!("≥ {least}"),
            Bound::AtMost(most) => format!("≤ {most}"),
        };
        let verdict = if line.holds() { "held" } else { "**MISSED**" };
        let cells = [
            line.what.clone(),
            cell(line.direct),
            cell(line.peer),
            short(line.ours),
            format!("{:.2}", line.figure),
            bound,
            verdict.to_owned(),
        ];
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
