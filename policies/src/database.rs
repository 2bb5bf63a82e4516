//! The name of a database inside a PostgreSQL server.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A database's name as the server has it: any text of 1 to 63 bytes (`NAMEDATALEN`, "Identifiers and Key
/// Words" in PostgreSQL's documentation) without control characters, so that it is safe to show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseName(String);

/// The text can be no database's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a database's name has 1 to 63 bytes and no control characters")]
pub struct DatabaseNameError;

impl DatabaseName {
    /// The longest, in bytes.
    pub const MAX: usize = 63;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// When it can be none.
    pub fn parse(text: &str) -> Result<Self, DatabaseNameError> {
        let fits = (1..=Self::MAX).contains(&text.len());
        let shown = !text.chars().any(char::is_control);
        (fits && shown)
            .then(|| Self(text.to_owned()))
            .ok_or(DatabaseNameError)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DatabaseName {
    type Err = DatabaseNameError;

    fn from_str(text: &str) -> Result<Self, DatabaseNameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for DatabaseName {
    type Error = DatabaseNameError;

    fn try_from(text: String) -> Result<Self, DatabaseNameError> {
        Self::parse(&text)
    }
}

impl From<DatabaseName> for String {
    fn from(name: DatabaseName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_server_takes_and_a_terminal_can_show() {
        for good in ["orders", "Sales 2026", "büro", "a\"b"] {
            assert_eq!(DatabaseName::parse(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(64);
        for bad in ["", "a\nb", "a\u{1b}[2J", long.as_str()] {
            assert_eq!(DatabaseName::parse(bad), Err(DatabaseNameError), "{bad:?}");
        }
    }
}
