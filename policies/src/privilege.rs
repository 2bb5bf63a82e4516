//! What the role of a grant may do at its database, exactly: rights to tables and columns, instead of
//! all that another role may.
//!
//! Knows no SQL: names are kept as they are, and quoted where SQL is made of them.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Login, SqlKind};

/// The role that the roles of grants with privileges of their own are members of, so that `pg_hba.conf` can
/// name them. It may do nothing.
pub const MARKER: &str = "tidegate_grants";

/// How many privileges a role may be declared with.
pub const PRIVILEGES_MAX: usize = 100;

/// A right to a table ("Privileges" in PostgreSQL's documentation).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Right {
    /// To read.
    Select,
    /// To add rows.
    Insert,
    /// To change rows.
    Update,
    /// To remove rows.
    Delete,
}

impl Right {
    const ALL: [Self; 4] = [Self::Select, Self::Insert, Self::Update, Self::Delete];

    /// The word for it in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Select => "SELECT",
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    /// The kind of statement that it makes possible.
    pub fn kind(self) -> SqlKind {
        match self {
            Self::Select => SqlKind::Select,
            Self::Insert => SqlKind::Insert,
            Self::Update => SqlKind::Update,
            Self::Delete => SqlKind::Delete,
        }
    }
}

/// Rights to one table, to some of its columns, or to every table that a schema has when the role is made.
/// Written `SELECT,INSERT ON sales.orders`, `SELECT ON sales.orders(id,total)`, `SELECT ON sales.*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Privilege {
    /// Which rights.
    pub rights: BTreeSet<Right>,
    /// In which schema.
    pub schema: String,
    /// To which table; every one, where none is named.
    pub table: Option<String>,
    /// To which columns; all, where none is named.
    pub columns: Vec<String>,
}

/// The text is no privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PrivilegeError {
    /// It has another form.
    #[error(
        "a privilege is written RIGHT,RIGHT ON SCHEMA.TABLE, with (COLUMN,COLUMN) behind it or * as the table"
    )]
    Form,
    /// It names another right.
    #[error("the rights are SELECT, INSERT, UPDATE and DELETE")]
    Right,
    /// There is no right to delete a column.
    #[error("DELETE is a right to rows, not to columns")]
    DeleteColumn,
    /// A name that tidegate does not take.
    #[error(
        "a name has 1 to 63 bytes, no control characters, blanks, quotes, commas, dots, stars or parentheses"
    )]
    Name,
}

/// Checks a schema's, table's or column's name.
fn name(text: &str) -> Result<String, PrivilegeError> {
    let text = text.trim();
    let odd = |c: char| c.is_control() || c.is_whitespace() || "\"'`,.*()=:;".contains(c);
    let fits = (1..=63).contains(&text.len()) && !text.contains(odd);
    fits.then(|| text.to_owned()).ok_or(PrivilegeError::Name)
}

impl FromStr for Privilege {
    type Err = PrivilegeError;

    fn from_str(text: &str) -> Result<Self, PrivilegeError> {
        let upper = text.to_ascii_uppercase();
        let at = upper.find(" ON ").ok_or(PrivilegeError::Form)?;
        let (rights, place) = text.split_at_checked(at).ok_or(PrivilegeError::Form)?;
        let place = place.get(4..).ok_or(PrivilegeError::Form)?.trim();
        let right = |word: &str| {
            let word = word.trim().to_ascii_uppercase();
            let found = Right::ALL.into_iter().find(|right| right.as_str() == word);
            found.ok_or(PrivilegeError::Right)
        };
        let rights: BTreeSet<Right> = rights.split(',').map(right).collect::<Result<_, _>>()?;
        let (place, columns) = match place.split_once('(') {
            None => (place, Vec::new()),
            Some((place, list)) => {
                let list = list.strip_suffix(')').ok_or(PrivilegeError::Form)?;
                let columns = list.split(',').map(name).collect::<Result<Vec<_>, _>>()?;
                (place, columns)
            }
        };
        let (schema, table) = place.split_once('.').ok_or(PrivilegeError::Form)?;
        let table = match table.trim() {
            "*" if columns.is_empty() => None,
            "*" => return Err(PrivilegeError::Form),
            table => Some(name(table)?),
        };
        if !columns.is_empty() && rights.contains(&Right::Delete) {
            return Err(PrivilegeError::DeleteColumn);
        }
        Ok(Self {
            rights,
            schema: name(schema)?,
            table,
            columns,
        })
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rights: Vec<&str> = self.rights.iter().map(|right| right.as_str()).collect();
        let table = self.table.as_deref().unwrap_or("*");
        write!(f, "{} ON {}.{table}", rights.join(","), self.schema)?;
        if self.columns.is_empty() {
            return Ok(());
        }
        write!(f, "({})", self.columns.join(","))
    }
}

impl TryFrom<String> for Privilege {
    type Error = PrivilegeError;

    fn try_from(text: String) -> Result<Self, PrivilegeError> {
        text.parse()
    }
}

impl From<Privilege> for String {
    fn from(privilege: Privilege) -> Self {
        privilege.to_string()
    }
}

/// A privilege of one role, as it is typed: `app_ro: SELECT ON sales.orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePrivilege {
    /// Which role.
    pub role: Login,
    /// What it may.
    pub privilege: Privilege,
}

impl FromStr for RolePrivilege {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, privilege) = text
            .split_once(':')
            .ok_or_else(|| PrivilegeError::Form.to_string())?;
        Ok(Self {
            role: Login::parse(role.trim()).map_err(|odd| odd.to_string())?,
            privilege: privilege
                .parse()
                .map_err(|odd: PrivilegeError| odd.to_string())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privilege_is_read_as_it_is_shown() {
        for text in [
            "SELECT ON sales.orders",
            "SELECT,INSERT,UPDATE,DELETE ON public.Orders",
            "SELECT,UPDATE ON sales.orders(id,total)",
            "SELECT ON sales.*",
        ] {
            assert_eq!(text.parse::<Privilege>().unwrap().to_string(), text);
        }
        let loose: Privilege = " insert , select on  sales . orders ( id , total ) "
            .parse()
            .unwrap();
        assert_eq!(loose.to_string(), "SELECT,INSERT ON sales.orders(id,total)");
    }

    #[test]
    fn what_is_no_privilege_is_refused() {
        for (text, want) in [
            ("SELECT orders", PrivilegeError::Form),
            ("SELECT ON orders", PrivilegeError::Form),
            ("SELECT ON sales.*(id)", PrivilegeError::Form),
            ("SELECT ON sales.orders(id", PrivilegeError::Form),
            ("TRUNCATE ON sales.orders", PrivilegeError::Right),
            ("ALL ON sales.orders", PrivilegeError::Right),
            ("DELETE ON sales.orders(id)", PrivilegeError::DeleteColumn),
            ("SELECT ON sales.\"orders\"", PrivilegeError::Name),
            ("SELECT ON sales.a; drop table b", PrivilegeError::Name),
            ("SELECT ON sales.orders()", PrivilegeError::Name),
        ] {
            assert_eq!(text.parse::<Privilege>(), Err(want), "{text}");
        }
    }
}
