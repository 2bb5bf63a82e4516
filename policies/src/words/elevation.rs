//! What is said about existing roles that are elevated for as long as a grant holds, and about groups that are not
//! lent.

use super::Words;
use super::cli::doctor::Finding;
use crate::{PrincipalName, TargetName};

/// Said to whoever asks for what is lent to people's own roles, and has none there.
pub(crate) const NOBODY: &str =
    "It is lent to people's own roles at the database, and nobody has said which one is yours.";

/// Said to whoever asks for what is lent to people's own roles, and is called like somebody who left.
/// When what was said of them was said is not known, only that it was before they came.
pub(crate) fn namesake(target: &TargetName) -> String {
    format!(
        "It is lent to people's own roles at the database, and which one is yours was said before you were added: it may be about somebody else who had your name. \
         Whoever manages targets removes `{target}` and adds it again with what is true now: tidegate target rm {target}; tidegate target add pg {target} … --elevate …"
    )
}

/// Said to whoever adds a person who is called like somebody who left, about a target that may have meant that one.
pub fn named_before(target: &TargetName, person: &PrincipalName) -> String {
    format!(
        "`{target}` was told whom to elevate before this `{person}` was added, and an earlier `{person}` was removed: it may mean that one. This one is not elevated there until the target was removed and added again: \
         tidegate target rm {target}; tidegate target add pg {target} … --elevate …"
    )
}

/// Elevations are declared that cannot hold.
pub(super) fn unsound() -> Words {
    Words::new(
        "TG562",
        "people are elevated to a role that cannot be asked for, or has privileges declared, without an admin role, or as a role that can itself be asked for, is the admin role or is PostgreSQL's own",
    )
    .hint("tidegate target add pg NAME --admin-role ADMIN --role app_admin --elevate 'app_admin: alice=alice' …")
}

/// Why a role is not elevated at a server, or a group not lent there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// The server has no such role.
    Missing {
        /// Which.
        role: String,
    },
    /// It may not log in.
    NoLogin {
        /// Which.
        role: String,
    },
    /// It, or what it would be elevated to, is a superuser's.
    Superuser {
        /// Which.
        role: String,
    },
    /// Others are members of it, who would be elevated with it.
    Members {
        /// Which.
        role: String,
        /// Who.
        members: String,
        /// The statements that end that.
        taken: String,
    },
    /// Tidegate's own role may not make others members of it.
    Ungiven {
        /// The group.
        group: String,
    },
    /// Who is lent it could let others to more, for good.
    Administers {
        /// The group.
        group: String,
        /// To what.
        lets: String,
        /// The statements that take that from it.
        taken: String,
    },
    /// The server is one where a role can keep tidegate's own from ending what it does.
    Old {
        /// Its major version.
        version: u32,
    },
    /// It is a member already by the hand of tidegate's own role, and no grant here knows of it.
    Unknown {
        /// Which.
        role: String,
        /// Of what.
        group: String,
    },
}

impl Unfit {
    /// The sentence, for an operator.
    pub fn sentence(&self) -> String {
        match self {
            Self::Missing { role } => format!("the server has no role `{role}`"),
            Self::NoLogin { role } => format!("the role `{role}` may not log in there"),
            Self::Superuser { role } => {
                format!("`{role}` is a superuser there, which is neither lent nor elevated")
            }
            Self::Members {
                role,
                members,
                taken,
            } => format!(
                "others are members of `{role}` and would be elevated with it: {members}; take them out, as a superuser there:  {taken};"
            ),
            Self::Ungiven { group } => {
                format!("tidegate's own role may not make anybody a member of `{group}` there")
            }
            Self::Administers { group, lets, taken } => format!(
                "`{group}` can make others members of what it administers, who would stay so: {lets}; as a superuser there:  {taken};"
            ),
            Self::Old { version } => format!(
                "in PostgreSQL {version} a role can keep tidegate from ending what it does; elevate from 15 on, or add the target without --elevate"
            ),
            Self::Unknown { role, group } => format!(
                "`{role}` is a member of `{group}` already, given by tidegate's own role for no grant that this tidegate knows of"
            ),
        }
    }
}

/// An existing role could not be elevated.
pub fn unmade(target: &str, (role, group): (&str, &str), why: &str) -> Finding {
    Finding {
        subject: format!("role {role}"),
        ok: false,
        found: format!(
            "it could not be made a member of {group} at {target}, so nobody gets in by its grant: {why}"
        ),
        hint: Some(format!(
            "do what it says, where it says something; else  tidegate target script {target} | psql …  as a superuser there; its pg_hba.conf lets the admin role in to every database"
        )),
    }
}

/// An existing role is still elevated though its grant is over.
pub fn stuck(target: &str, (role, group): (&str, &str), why: &str, tries: u32) -> Finding {
    Finding {
        subject: format!("role {role}"),
        ok: false,
        found: format!(
            "its grant is over, and in {tries} tries its membership of {group} at {target} could not be ended with all that it does: {why}"
        ),
        hint: Some(format!(
            "it is tried again each minute; as a superuser there, with the admin role that  tidegate target show {target}  names:  revoke \"{group}\" from \"{role}\" granted by ADMIN;  and end its server processes"
        )),
    }
}

/// What a database administrator runs so that tidegate can lend these groups to these roles, behind what
/// makes its own role.
pub fn script(groups: &[String], accounts: &[String], admin: &str) -> String {
    let admin = ident(admin);
    let each = |names: &[String], how: &str| -> String {
        let grant = |name: &String| format!("    grant {} to {admin}{how};\n", ident(name));
        names.iter().map(grant).collect()
    };
    let exact = each(groups, " with admin true, inherit false, set false")
        + &each(accounts, " with admin false, inherit false, set true");
    let exact = literal(&format!("do $grants$\n  begin\n{exact}  end\n  $grants$"));
    let before = each(groups, " with admin option") + &each(accounts, "");
    format!(
        "-- It makes the roles of --elevate members of what they are elevated to, and becomes them to end what\n\
         -- they do. It has no rights of either by itself.\n\
         do $tidegate$\n\
         begin\n  \
           if pg_catalog.current_setting('server_version_num')::int >= 160000 then\n    \
             execute {exact};\n  \
           else\n{before}  \
           end if;\n\
         end\n\
         $tidegate$;\n"
    )
}

/// What makes tidegate's own role where it makes none itself: it needs not be able to.
pub fn admin_script(target: &str, admin: &str) -> String {
    let (name, text) = (ident(admin), literal(admin));
    format!(
        "-- The role as which tidegate elevates existing roles at `{target}` for as long as grants hold.\n\
         -- Run it as a superuser; it can be run again.\n\
         do $tidegate$\n\
         begin\n  \
           if exists (select from pg_catalog.pg_roles where rolname = {text} and rolcreaterole) then\n    \
             raise exception '% makes roles for grants, and would not any more', {text}\n      \
               using hint = 'Give this target an admin role of its own (--admin-role), or alter it to nocreaterole where it makes none any more.';\n  \
           end if;\n  \
           if not exists (select from pg_catalog.pg_roles where rolname = {text}) then\n    \
             create role {name};\n  \
           end if;\n\
         end\n\
         $tidegate$;\n\
         alter role {name} with login noinherit nocreaterole nosuperuser nocreatedb noreplication nobypassrls\n  \
           connection limit 32 password null;\n"
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
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        let script = admin_script("orders", "tidegate_admin")
            + &script(
                &names(&["app_admin"]),
                &names(&["alice", "bob_db"]),
                "tidegate_admin",
            );
        insta::assert_snapshot!("elevation_script", script);
    }

    #[test]
    fn what_is_said_about_elevations() {
        let role = || "alice".to_owned();
        let finding =
            |found: Finding| format!("{}\n{}", found.found, found.hint.unwrap_or_default());
        let said = [
            NOBODY.to_owned(),
            namesake(&TargetName::parse("orders").unwrap()),
            named_before(
                &TargetName::parse("orders").unwrap(),
                &PrincipalName::parse("alice").unwrap(),
            ),
            Unfit::Missing { role: role() }.sentence(),
            Unfit::NoLogin { role: role() }.sentence(),
            Unfit::Superuser { role: role() }.sentence(),
            Unfit::Members {
                role: role(),
                members: "mallory".to_owned(),
                taken: "revoke alice from mallory".to_owned(),
            }
            .sentence(),
            Unfit::Ungiven {
                group: "app_admin".to_owned(),
            }
            .sentence(),
            Unfit::Administers {
                group: "app_admin".to_owned(),
                lets: "secret".to_owned(),
                taken: "revoke admin option for secret from app_admin".to_owned(),
            }
            .sentence(),
            Unfit::Unknown {
                role: role(),
                group: "app_admin".to_owned(),
            }
            .sentence(),
            finding(unmade("orders", ("alice", "app_admin"), "no")),
            finding(stuck("orders", ("alice", "app_admin"), "no", 3)),
        ];
        insta::assert_snapshot!("elevation", said.join("\n"));
    }
}
