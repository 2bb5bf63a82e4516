//! Which target a client means: by the database that it names, or by the host that it called.
//!
//! Pure text. Knows no targets, so it cannot say whether there is one.

use policies::words::postgres::Complaint;
use policies::{DatabaseName, Login, TargetName};

/// What stands between a target's name and the bastion's in a host name: `orders.pg.bastion.example`.
const LABEL: &str = ".pg.";

/// The password's half of a user name: `app_ro+sec_01j9…`. No role is called so.
const MARK: char = '+';

/// Where a client wants to go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Aim {
    /// The target.
    pub(super) target: TargetName,
    /// As whom.
    pub(super) login: Login,
    /// The database of the target's server, where one was named.
    pub(super) database: Option<DatabaseName>,
}

/// The role, and the name of the one-time secret where the client comes with one.
pub(super) fn user(text: &str) -> (&str, Option<&str>) {
    match text.split_once(MARK) {
        Some((role, secret)) => (role, Some(secret)),
        None => (text, None),
    }
}

/// The wildcard name under which the targets of a bastion of this name can be called. Addresses have
/// none.
pub(crate) fn wildcard(host: &str) -> Option<String> {
    let is_name = host.parse::<std::net::IpAddr>().is_err();
    is_name.then(|| ["*", LABEL, host].concat())
}

/// Reads the question.
///
/// The database names the target, and behind a `/` a database of its server. Where the host is a target's, it
/// is that one, and the database is one of its server's: none, if it is the target's name or the user's, which is
/// what libpq sends where nobody named one. A database that names another target is a contradiction.
///
/// # Errors
///
/// A name that cannot be one, or two targets.
pub(super) fn aim(
    startup_user: &str,
    database: &str,
    called: Option<&str>,
    own_names: &[String],
) -> Result<Aim, Complaint> {
    let (role, _secret) = user(startup_user);
    let host = called.and_then(|called| target_of_host(called, own_names));
    let (target, inner) = match (host.as_deref(), database.split_once('/')) {
        (None, Some((target, inner))) => (target, Some(inner)),
        (None, None) => (database, None),
        (Some(host), Some((target, inner))) if target == host => (host, Some(inner)),
        (Some(host), Some((target, _inner))) => {
            return Err(Complaint::TwoTargets {
                host: host.to_owned(),
                database: target.to_owned(),
            });
        }
        (Some(host), None) if [host, startup_user, role].contains(&database) => (host, None),
        (Some(host), None) => (host, Some(database)),
    };
    let names = TargetName::parse(target).and_then(|target| Ok((target, Login::parse(role)?)));
    let (target, login) = names.map_err(|odd| Complaint::NotAName {
        what: odd.to_string(),
    })?;
    let database = inner.map(DatabaseName::parse).transpose();
    let database = database.map_err(|odd| Complaint::NotAName {
        what: odd.to_string(),
    })?;
    Ok(Aim {
        target,
        login,
        database,
    })
}

/// The target that a host name is of, in lower case as targets are written.
fn target_of_host(called: &str, own_names: &[String]) -> Option<String> {
    let called = called.to_ascii_lowercase();
    let target = own_names.iter().find_map(|own| {
        let before = called.strip_suffix(own.as_str())?;
        before.strip_suffix(LABEL)
    });
    target
        .filter(|target| !target.is_empty())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(user: &str, database: &str, called: &str, want: Result<(&str, &str), &str>) {
        let own = ["bastion.example".to_owned(), "192.0.2.1".to_owned()];
        let called = (!called.is_empty()).then_some(called);
        let got = aim(user, database, called, &own);
        let got = got.map(|aim| {
            (
                aim.target.to_string(),
                aim.database.map(String::from).unwrap_or_default(),
            )
        });
        let got = got.map_err(|odd| {
            if let Complaint::TwoTargets { host, database } = odd {
                return format!("{host} {database}");
            }
            format!("{odd:?}").split(' ').next().unwrap().to_owned()
        });
        let want = want.map(|(target, inner)| (target.to_owned(), inner.to_owned()));
        assert_eq!(got, want.map_err(str::to_owned));
    }

    #[test]
    fn the_database_names_the_target() {
        check("app", "orders", "", Ok(("orders", "")));
        check("app", "orders", "bastion.example", Ok(("orders", "")));
        check("app", "orders/other", "", Ok(("orders", "other")));
        check("app+sec_1", "orders", "", Ok(("orders", "")));
        check("app", "", "", Err("NotAName"));
        check("app", "orders/", "", Err("NotAName"));
        check("app", "orders/a\nb", "", Err("NotAName"));
        check("app", "Orders", "", Err("NotAName"));
        check("a b", "orders", "", Err("NotAName"));
    }

    #[test]
    fn the_host_names_the_target_and_the_database_may_be_the_real_one() {
        let host = "orders.pg.bastion.example";
        check("app", "app", host, Ok(("orders", "")));
        check("app+sec_1", "app+sec_1", host, Ok(("orders", "")));
        check("app+sec_1", "app", host, Ok(("orders", "")));
        check("app", "orders", host, Ok(("orders", "")));
        check("app", "ordersdb", host, Ok(("orders", "ordersdb")));
        check("app", "orders/ordersdb", host, Ok(("orders", "ordersdb")));
        check(
            "app",
            "app",
            "ORDERS.pg.Bastion.Example",
            Ok(("orders", "")),
        );
        check(
            "app",
            "app",
            "eu.orders.pg.bastion.example",
            Ok(("eu.orders", "")),
        );
    }

    #[test]
    fn two_targets_are_a_contradiction() {
        let host = "orders.pg.bastion.example";
        check("app", "web/x", host, Err("orders web"));
    }

    #[test]
    fn a_host_that_is_none_of_ours_names_nothing() {
        for host in [
            "orders.pg.elsewhere.example",
            ".pg.bastion.example",
            "pg.bastion.example",
            "orders.bastion.example",
            "orders.pg.bastion.example.evil.example",
        ] {
            check("app", "sand", host, Ok(("sand", "")));
        }
    }

    #[test]
    fn an_address_has_no_names_below_it() {
        assert_eq!(wildcard("192.0.2.1"), None);
        assert_eq!(
            wildcard("bastion.example").as_deref(),
            Some("*.pg.bastion.example")
        );
    }
}
