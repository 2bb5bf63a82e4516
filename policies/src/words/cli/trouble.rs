//! One trouble of the command line, as people read it and as scripts do.

use std::fmt;

use crate::Diagnosis;

/// One trouble of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What could not be done, lower case, no full stop.
    pub what: String,
    /// Why, one sentence.
    pub why: String,
    /// What to do, with a command where there is one.
    pub advice: String,
    /// The code of the sentence, `TG` and three digits, where it has one.
    pub code: Option<String>,
    /// The mistakes of a file, each shown where it is, before everything else.
    pub mistakes: Vec<Diagnosis>,
}

impl Trouble {
    /// Puts the three sentences together.
    pub fn new(what: impl Into<String>, why: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            why: why.into(),
            advice: advice.into(),
            code: None,
            mistakes: Vec::new(),
        }
    }

    /// The same with a code.
    #[must_use]
    pub fn coded(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// The same with the mistakes that led to it.
    #[must_use]
    pub fn shown(mut self, mistakes: Vec<Diagnosis>) -> Self {
        self.mistakes = mistakes;
        self
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for mistake in &self.mistakes {
            writeln!(f, "{mistake}")?;
        }
        write!(f, "error: {}\n  why: {}", self.what, self.why)?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        write!(f, "\n  try: {}", self.advice)
    }
}
