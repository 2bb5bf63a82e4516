//! What a database administrator runs so that tidegate can make a role for each grant.

use super::Trouble;
use super::setup::hba_word;

/// How the role of any grant is written in `pg_ident.conf`: the certificate's name is the role's.
pub(in crate::words) const OWN_ROLES: &str = r"tidegate /^(tg_[0-9a-z]{26})$ \1";

/// The lines of `pg_hba.conf` and `pg_ident.conf` where each grant has a role of its own: whoever is a
/// member of a role that can be asked for may come, and tidegate's own role, to every database. `accounts`
/// exist already and are members only while they are elevated.
pub(super) fn rules(
    (dbname, from): (&str, &str),
    roles: &[String],
    admin: &str,
    accounts: &[String],
) -> (String, String) {
    let admin = hba_word(admin);
    let mut hba = vec![format!("hostssl all {admin} {from} cert map=tidegate")];
    let member = |role: &String| {
        let role = hba_word(role);
        format!("hostssl {dbname} +{role} {from} cert map=tidegate")
    };
    hba.extend(roles.iter().map(member));
    let mut ident = vec![format!("tidegate {admin} {admin}"), OWN_ROLES.to_owned()];
    let same = |account: &String| format!("tidegate {0} {0}", hba_word(account));
    ident.extend(accounts.iter().map(same));
    (hba.join("\n  "), ident.join("\n  "))
}

/// The SQL that makes tidegate's own role: as much as it needs and no more. Can be run again.
pub fn admin_script(target: &str, roles: &[String], admin: &str) -> String {
    let name = ident(admin);
    let text = literal(admin);
    let groups: Vec<String> = roles.iter().map(|role| ident(role)).collect();
    let grants: Vec<String> = groups
        .iter()
        .map(|role| {
            format!("    grant {role} to {name} with admin true, inherit false, set true;\n")
        })
        .collect();
    let grants = grants.concat();
    let grants = literal(&format!("do $grants$\n  begin\n{grants}  end\n  $grants$"));
    let closing: Vec<String> = groups
        .iter()
        .map(|role| format!("-- alter role {role} nologin;\n"))
        .collect();
    let closing = closing.concat();
    format!(
        "-- The role as which tidegate makes and removes the roles of grants at `{target}` (tg_…).\n\
         -- Run it as a superuser; it can be run again.\n\
         do $tidegate$\n\
         begin\n  \
           if exists (select from pg_catalog.pg_roles where rolname = {text} and not rolinherit) then\n    \
             raise exception '% elevates roles, and would have their rights itself', {text}\n      \
               using hint = 'Give this target an admin role of its own (--admin-role), or alter it to inherit where nothing is elevated by it any more.';\n  \
           end if;\n  \
           if not exists (select from pg_catalog.pg_roles where rolname = {text}) then\n    \
             create role {name};\n  \
           end if;\n  \
           -- From PostgreSQL 16 on, CREATEROLE gives away only roles that it may administer: these. Their\n  \
           -- rights it needs only to hand them what a grant's role owned. Before 16 it gives away any role\n  \
           -- that is no superuser's.\n  \
           if pg_catalog.current_setting('server_version_num')::int >= 160000 then\n    \
             execute {grants};\n  \
           end if;\n\
         end\n\
         $tidegate$;\n\
         alter role {name} with login inherit createrole nosuperuser nocreatedb noreplication nobypassrls\n  \
           connection limit 32 password null;\n\
         -- Once nothing else logs in as them, the roles that are asked for are only groups:\n\
         {closing}"
    )
}

/// The whole script, as `psql` reads it from its input: where one statement fails, or refuses, nothing was done
/// and psql's exit status says so. Nothing that the database's owner has put into a schema of theirs is called by it: a
/// superuser runs it, and what is set on the database would be looked up there first.
pub fn whole_or_nothing(script: &str) -> String {
    format!(
        "\\set ON_ERROR_STOP on\nbegin;\nset local search_path = pg_catalog, pg_temp;\n\
         set local standard_conforming_strings = on;\n{script}commit;\n"
    )
}

/// A target has nobody who makes roles or accounts there, or not by a script of ours.
pub fn no_script(target: &str) -> Trouble {
    Trouble::new(
        format!("there is no script for {target}"),
        "it was not added with --admin-role or --accounts, or with a command of its own, or you do not manage targets",
        format!("tidegate target show {target}"),
    )
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_the_administrator() {
        let roles = ["app_ro".to_owned(), "it's".to_owned()];
        insta::assert_snapshot!(
            "admin_script",
            admin_script("orders", &roles, "tidegate_admin")
        );
    }
}
