//! What has to be set up on a target, so that it lets tidegate's certificates in.

use super::Trouble;
use crate::Entry;
use crate::name::shown;

/// The lines of an SSH target, for these logins; with the accounts of grants where there are such.
pub fn ssh_lines(user_ca: &str, logins: &[String], has_accounts: bool) -> String {
    let users = logins.iter().map(|login| sshd_pattern(login));
    let users: Vec<String> = users
        .chain(has_accounts.then(|| "tg-*".to_owned()))
        .collect();
    format!(
        "On the machine itself, put the bastion's key in a file:\n\n  \
         {user_ca}\n\n\
         as /etc/ssh/tidegate_ca.pub, and these two lines in /etc/ssh/sshd_config:\n\n  \
         TrustedUserCAKeys /etc/ssh/tidegate_ca.pub\n  \
         PubkeyAuthentication yes\n\n\
         and these at its end, so that no key which somebody leaves in ~/.ssh/authorized_keys lets them in past \
         tidegate (nor anybody else, so administer the machine as another login), then reload sshd:\n\n  \
         Match User {}\n    \
         AuthorizedKeysFile none",
        users.join(",")
    )
}

/// A login as `sshd_config` has it in a list of patterns: what is odd there stands for anything.
fn sshd_pattern(login: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+');
    let pattern = |c: char| if plain(c) { c } else { '*' };
    login.chars().map(pattern).collect()
}

/// A target in front of another one has several logins, or is not to be managed.
pub fn jump_login_needed(target: &str, logins: &[&str]) -> Trouble {
    Trouble::new(
        format!("cannot go through {target}"),
        match logins {
            [] => "only those who manage targets may".to_owned(),
            several => format!("it has several logins: {}", several.join(", ")),
        },
        format!("name one:  --jump LOGIN+{target}"),
    )
}

/// After an SSH target was added.
pub fn ssh_target_added(
    target: &str,
    logins: &[String],
    user_ca: &str,
    admin: Option<&str>,
) -> String {
    let login = logins.first().map_or("LOGIN", String::as_str);
    let accounts = admin.map(|admin| super::account_lines(target, admin) + "\n\n");
    let accounts = accounts.unwrap_or_default();
    format!(
        "added {target}. {}\n\n{accounts}  \
         tidegate target test {target}\n  \
         tidegate request {target} --as {login} --for 15m --reason '…'",
        ssh_lines(user_ca, logins, admin.is_some())
    )
}

/// What stands in the place of the lines for a target that knows no certificates.
pub fn standing_lines(target: &str, entry: Entry) -> String {
    format!(
        "{target} is entered with a {} that tidegate keeps for it: a standing credential. Whoever else has it gets in \
         without tidegate, so let it be known to nobody. To exchange it:\n\n  {}",
        entry.as_str(),
        super::doctor::exchange(target, entry)
    )
}

/// After a target was added that knows no certificates.
pub fn standing_target_added(target: &str, login: &str, entry: Entry) -> String {
    format!(
        "added {target}. {}\n\n  \
         tidegate target test {target}\n  \
         tidegate request {target} --as {login} --for 15m --reason '…'",
        standing_lines(target, entry)
    )
}

/// After a standing credential was exchanged.
pub fn secret_kept(target: &str) -> String {
    format!("{target} is entered with the new one from here on\n\n  tidegate target test {target}")
}

/// A target was tried as soon as it was added, and lets tidegate in.
pub fn ready_at_once(found: &str) -> String {
    format!("tried at once, and ready: {found}")
}

/// A target was tried as soon as it was added, and nobody gets in yet. Adding it was no mistake, so nothing but
/// these words says so.
pub fn not_ready(target: &str, found: &str, hint: Option<&str>) -> String {
    let hint = hint.map(|hint| format!("\n  {hint}"));
    format!(
        "NOT READY: {target} is added, and nobody gets in yet: {found}{}\n  then: tidegate target test {target}",
        hint.unwrap_or_default()
    )
}

/// A target was added, and whether anybody gets in is not known.
pub fn untried(target: &str) -> String {
    format!(
        "NOT TRIED: {target} is added, and whether it lets tidegate in was not found out\n  tidegate target test {target}"
    )
}

/// The places of a PostgreSQL target, for [`postgres_lines`].
#[derive(Debug, Clone, Copy)]
pub struct PostgresPlaces<'a> {
    /// The target's name.
    pub target: &'a str,
    /// Its database.
    pub dbname: &'a str,
    /// Its roles.
    pub roles: &'a [String],
    /// The address the bastion comes from, as `pg_hba.conf` writes it.
    pub from: &'a str,
    /// The CA to trust, PEM.
    pub target_ca: &'a str,
    /// As which role tidegate makes a role for each grant, where it does.
    pub admin: Option<&'a str>,
    /// The existing roles that sessions come as while they are elevated.
    pub accounts: &'a [String],
}

/// A name as `pg_hba.conf` and `pg_ident.conf` take it for nothing else: in quotes unless it is plain. Only a name
/// that is in the log from before names were looked at can hold a line break.
pub fn hba_word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '$');
    let keyword = ["all", "sameuser", "samerole", "samegroup", "replication"];
    if !name.is_empty() && name.chars().all(plain) && !keyword.contains(&name) {
        return name.to_owned();
    }
    let shown = shown(name, |_c| false);
    format!("\"{}\"", shown.replace('"', "\"\""))
}

/// A word as a shell takes it for one.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", shown(text, |_c| false).replace('\'', r"'\''"))
}

/// The lines of a PostgreSQL target.
pub fn postgres_lines(places: &PostgresPlaces<'_>) -> String {
    let PostgresPlaces {
        dbname,
        roles,
        from,
        target_ca,
        admin,
        target,
        accounts,
    } = *places;
    let lines = |line: &dyn Fn(&str) -> String| {
        roles
            .iter()
            .map(|role| line(role))
            .collect::<Vec<_>>()
            .join("\n  ")
    };
    let database = hba_word(dbname);
    let (hba, ident, last) = match admin {
        None => (
            lines(&|role| {
                let role = hba_word(role);
                format!("hostssl {database} {role} {from} cert map=tidegate")
            }),
            lines(&|role| format!("tidegate {0} {0}", hba_word(role))),
            "then reload the server.".to_owned(),
        ),
        Some(admin) => {
            let (hba, ident) = super::roles::rules((&database, from), roles, admin, accounts);
            let script = format!(
                "tidegate target script {target} | psql -U postgres -d {}",
                shell_word(dbname)
            );
            let last =
                format!("then reload the server, and make its role {admin} there:\n\n  {script}");
            (hba, ident, last)
        }
    };
    format!(
        "On the server itself, save the CA as tidegate_ca.pem in the data directory:\n\n\
         {target_ca}\n\
         postgresql.conf (with ssl = on; the second line stops a statement whose client has gone):\n\n  ssl_ca_file = 'tidegate_ca.pem'\n  client_connection_check_interval = '5s'\n\n\
         pg_hba.conf, above other lines for the same role:\n\n  {hba}\n\n\
         pg_ident.conf:\n\n  {ident}\n\n{last}"
    )
}

/// After a PostgreSQL target was added.
pub fn postgres_target_added(places: &PostgresPlaces<'_>) -> String {
    let target = places.target;
    let role = places.roles.first().map_or("ROLE", String::as_str);
    format!(
        "added {target}. {}\n\n  \
         tidegate target test {target}\n  \
         tidegate request {target} --as {role} --for 15m --reason '…'",
        postgres_lines(places)
    )
}

/// After a marked block was written.
pub fn block_written(path: &str, next: &str) -> String {
    format!("wrote the tidegate block of {path}; run this again when targets are added\n  {next}")
}

/// After a marked block was removed.
pub fn block_removed(path: &str) -> String {
    format!("removed the tidegate block of {path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_of_ones_own_lets_anybody_in_past_tidegate() {
        let lines = |logins: &[&str], has_accounts| {
            let logins: Vec<String> = logins.iter().map(|&login| login.to_owned()).collect();
            ssh_lines("ssh-ed25519 AAAA", &logins, has_accounts)
        };
        let block = |users: &str| format!("\n\n  Match User {users}\n    AuthorizedKeysFile none");
        assert!(lines(&["deploy"], false).ends_with(&block("deploy")));
        assert!(lines(&["deploy", "ops"], true).ends_with(&block("deploy,ops,tg-*")));
        assert!(lines(&["a b,!c\nx"], false).ends_with(&block("a*b**c*x")));
    }

    #[test]
    fn an_odd_name_is_one_word_of_a_shell_and_of_pg_hba() {
        let lines = |dbname: &str, admin| {
            postgres_lines(&PostgresPlaces {
                target: "orders",
                dbname,
                roles: &["all".to_owned(), "app_ro".to_owned()],
                from: "192.0.2.1/32",
                target_ca: "-----BEGIN CERTIFICATE-----",
                admin,
                accounts: &[],
            })
        };
        let said = lines("a b; id", Some("tidegate_admin"));
        assert!(said.contains("psql -U postgres -d 'a b; id'\n") || said.ends_with("-d 'a b; id'"));
        assert!(
            said.contains("hostssl \"a b; id\" +app_ro 192.0.2.1/32"),
            "{said}"
        );
        let said = lines("it's \"x\"", Some("tidegate_admin"));
        assert!(said.contains(r"-d 'it'\''s "), "{said}");
        let said = lines("orders app_ro 0.0.0.0/0 trust\nhostssl orders", None);
        assert!(
            !said
                .lines()
                .any(|line| line.trim().starts_with("hostssl orders ")),
            "{said}"
        );
        let said = lines("orders", None);
        assert!(
            said.contains("hostssl orders \"all\" 192.0.2.1/32"),
            "{said}"
        );
        assert!(said.contains("tidegate \"all\" \"all\""), "{said}");
    }
}
