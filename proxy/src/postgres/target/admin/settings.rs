//! What is set on a connection of our own, so that no owner of a database steers it, nor the role that it is of.

use crate::postgres::target::process::AT_ONCE;

/// What holds on every connection of ours:
///
/// - how long the server lets us wait for what others hold, so that it is an error there before it is one here;
/// - what we do lasts at that server and waits for no other to have it, which there may not be;
/// - nothing which somebody has put into a schema of theirs is called by us;
/// - what an owner of the database has set on it does not steer us, put us out, drown what we ask for in notices
///   (parse trees of all that we say, where they want that), or change how times are written and read: `DateStyle`
///   and `TimeZone` make of one moment another (PostgreSQL, "Date/Time Input");
/// - nothing waits for what others do, this very question included ([`AT_ONCE`]).
const SETTINGS: &str = "set statement_timeout = '12s'; set lock_timeout = '5s'; \
                        set idle_in_transaction_session_timeout = 0; \
                        set synchronous_commit = local; \
                        set role none; set default_transaction_read_only = off; \
                        set default_transaction_isolation = 'read committed'; \
                        set default_transaction_deferrable = off; \
                        set standard_conforming_strings = on; set search_path = pg_catalog, pg_temp; \
                        set datestyle = 'ISO'; set timezone = 'UTC'; \
                        select pg_catalog.set_config('client_encoding', \
                        pg_catalog.current_setting('server_encoding'), false)";

/// What ends a connection that does nothing, or a transaction that does something, and since which major
/// version there is such a setting.
const LIMITS_SINCE: [(u32, &str); 2] = [(14, "idle_session_timeout"), (17, "transaction_timeout")];

/// What there are of those in a version.
fn limits(version: u32) -> impl Iterator<Item = &'static str> {
    let there = LIMITS_SINCE.into_iter();
    there
        .filter(move |(since, _name)| version >= *since)
        .map(|(_since, name)| name)
}

/// [`SETTINGS`], for a version.
pub(super) fn settings(version: u32) -> String {
    let off = limits(version).map(|name| format!("set {name} = 0; "));
    let quiet = [format!("{AT_ONCE} set client_min_messages = error; ")];
    let all = quiet.into_iter().chain(off);
    all.chain([SETTINGS.to_owned()]).collect()
}

/// What is said at the login: it goes before what is set on a database or a role (PostgreSQL, "Setting
/// Parameters"), and each of these has it fail, wait, end or last. All servers know them, and let anybody say them:
/// `session_preload_libraries` only superusers may, whoever set it on a database included. No `search_path`: what that is
/// by itself, a group is asked for (`role::survey`).
const FROM_THE_START: [(&str, &str); 13] = [
    ("client_min_messages", "error"),
    ("exit_on_error", "off"),
    // Of a library that there is not, everybody is refused.
    ("local_preload_libraries", ""),
    ("role", "none"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("default_transaction_read_only", "off"),
    ("statement_timeout", "12s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "0"),
    ("tcp_user_timeout", "0"),
    ("synchronous_commit", "local"),
    // Of a question without any cost, machine code is made before it is answered.
    ("jit", "off"),
];

/// [`FROM_THE_START`], and what ends connections in a version before they can say more. Of an unknown version (0)
/// what all have.
pub(super) fn from_the_start(version: u32) -> Vec<(String, String)> {
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let said = FROM_THE_START.into_iter();
    let all = said.chain(limits(version).map(|name| (name, "0")));
    all.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_connection_is_put_off_where_there_is_such_a_setting() {
        let names = |version| -> Vec<_> { limits(version).collect() };
        assert_eq!(names(13), Vec::<&str>::new());
        assert_eq!(names(16), ["idle_session_timeout"]);
        assert_eq!(names(18), ["idle_session_timeout", "transaction_timeout"]);
        let first = "set local transaction_isolation = 'read committed'; set client_min_messages = error; set idle_session_timeout = 0; set transaction_timeout";
        assert!(settings(17).starts_with(first), "{}", settings(17));
    }
}
