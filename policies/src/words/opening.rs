//! What a request would open at a database, in words, for whoever has to approve it.

use crate::{Login, OpenedAs, Opening};

/// How many privileges or databases are written out.
const SHOWN_MAX: usize = 20;

impl Opening {
    /// Sentences, the weightiest first; none where sessions are simply what was asked for.
    pub fn sentences(&self, login: &Login) -> Vec<String> {
        let mut said: Vec<String> = Vec::new();
        said.extend(self.account.as_ref().map(|account| as_what(account, login)));
        if self.any_database {
            said.push("opens every other database of its server too".to_owned());
        } else if !self.databases.is_empty() {
            let names = self.databases.iter().map(|name| format!("`{name}`"));
            said.push(format!(
                "opens these databases of its server too: {}",
                shown(names, ", ")
            ));
        }
        said
    }
}

fn as_what(account: &OpenedAs, login: &Login) -> String {
    match account {
        OpenedAs::Elevated { account } => format!(
            "elevates the database's own role `{account}` to all that `{login}` may, wherever that role is in"
        ),
        OpenedAs::Exactly { privileges } => {
            let each = privileges.iter().map(ToString::to_string);
            format!(
                "a role for this grant alone, which may exactly: {}",
                shown(each, "; ")
            )
        }
        OpenedAs::Member => {
            format!("a role for this grant alone, which may all that `{login}` may")
        }
    }
}

fn shown(each: impl Iterator<Item = String>, between: &str) -> String {
    let all: Vec<String> = each.collect();
    let some = all.get(..SHOWN_MAX.min(all.len())).unwrap_or_default();
    let text = some.join(between);
    match all.len().saturating_sub(some.len()) {
        0 => text,
        more => format!("{text}{between}and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_said_about_what_a_request_opens() {
        let login = Login::parse("app_admin").unwrap();
        let of = |account, databases: &[&str], any_database| Opening {
            account,
            databases: databases
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>(),
            any_database,
        };
        let alice = Login::parse("alice").unwrap();
        let privileges = vec!["SELECT ON public.orders".parse().unwrap(); SHOWN_MAX + 3];
        let said: Vec<String> = [
            of(
                Some(OpenedAs::Elevated { account: alice }),
                &["reports", "stats_*"],
                false,
            ),
            of(
                Some(OpenedAs::Exactly {
                    privileges: privileges[..2].to_vec(),
                }),
                &[],
                true,
            ),
            of(Some(OpenedAs::Exactly { privileges }), &[], false),
            of(Some(OpenedAs::Member), &[], false),
            of(None, &["reports"], false),
        ]
        .iter()
        .flat_map(|opening| opening.sentences(&login))
        .collect();
        insta::assert_snapshot!("opening", said.join("\n"));
    }
}
