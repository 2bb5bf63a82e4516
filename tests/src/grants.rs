//! A database where each grant has a role of its own, and what is in its catalogue.

use std::fs;
use std::io::Write as _;

use crate::World;
use crate::wait::until;

/// The role as which tidegate makes roles.
pub const ADMIN: &str = "tidegate_admin";

/// Everything that a role can leave behind, as text: roles, memberships, owners, rights, settings,
/// dependencies, comments, large objects, prepared transactions.
const CATALOGUE: &str = "
select string_agg(line, E'\\n' order by line) from (
  select 'role ' || row_to_json(r)::text from (select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil from pg_roles) r
  union all select 'member ' || roleid::regrole || ' ' || member::regrole || ' ' || admin_option from pg_auth_members
  union all select 'class ' || relnamespace::regnamespace || '.' || relname || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '') from pg_class where relnamespace::regnamespace::text !~ '^pg_'
  union all select 'proc ' || oid::regprocedure || ' ' || proowner::regrole || ' ' || coalesce(proacl::text, '') from pg_proc where pronamespace::regnamespace::text !~ '^pg_'
  union all select 'type ' || typnamespace::regnamespace || '.' || typname || ' ' || typowner::regrole from pg_type where typnamespace::regnamespace::text !~ '^pg_'
  union all select 'schema ' || nspname || ' ' || nspowner::regrole || ' ' || coalesce(nspacl::text, '') from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
  union all select 'database ' || datname || ' ' || datdba::regrole || ' ' || coalesce(datacl::text, '') from pg_database
  union all select 'setting ' || setdatabase || ' ' || setrole || ' ' || setconfig::text from pg_db_role_setting
  union all select 'default ' || defaclrole::regrole || ' ' || defaclacl::text from pg_default_acl
  union all select 'depends ' || classid::regclass || ' ' || refclassid::regclass || ' ' || refobjid || ' ' || deptype || ' ' || count(*) from pg_shdepend where not exists (select from pg_class c where c.oid = objid and c.relnamespace::regnamespace::text ~ '^pg_(toast_)?temp_') group by classid, refclassid, refobjid, deptype
  union all select 'comment ' || classoid::regclass || ' ' || objoid || ' ' || description from pg_shdescription
  union all select 'large ' || lomowner::regrole from pg_largeobject_metadata
  union all select 'prepared ' || gid || ' ' || owner from pg_prepared_xacts
) lines(line)";

impl World {
    /// Adds the target `orders` anew, as one where each grant has a role of its own, with what its
    /// script and its lines say done there.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn have_own_roles(&self) {
        self.let_own_roles_in();
        let addr = self.postgres().addr().to_string();
        self.add_with_admin(&addr);
        let script = ["tidegate", "target", "script", "orders"];
        let script = self.bob().run(&script).expect("there is a script");
        self.sql(&script);
    }

    /// The lines of `pg_ident.conf` for it.
    fn let_own_roles_in(&self) {
        let path = self.postgres().dir().join("data/pg_ident.conf");
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(path)
            .expect("there is a pg_ident.conf");
        let lines = format!("tidegate {ADMIN} {ADMIN}\ntidegate /^(tg_[0-9a-z]{{26}})$ \\1\n");
        file.write_all(lines.as_bytes()).expect("it is written");
        self.sql("select pg_reload_conf()");
    }

    /// Adds `orders` anew, at this address.
    fn add_with_admin(&self, addr: &str) {
        let bob = self.bob();
        bob.run(&["tidegate", "target", "rm", "orders", "--yes"])
            .expect("bob removes it");
        let line = [
            "tidegate",
            "target",
            "add",
            "pg",
            "orders",
            "--addr",
            addr,
            "--dbname",
            "orders",
            "--role",
            "app",
            "--admin-role",
            ADMIN,
            "--label",
            "env=dev",
        ];
        bob.run(&line).expect("bob adds it");
    }

    /// What is in the catalogue.
    ///
    /// # Panics
    ///
    /// When the database does not answer.
    pub fn catalogue(&self) -> String {
        self.sql(CATALOGUE)
    }

    /// The roles of grants that the database has.
    ///
    /// # Panics
    ///
    /// When the database does not answer.
    pub fn own_roles(&self) -> Vec<String> {
        let found = self.sql("select rolname from pg_roles where rolname like 'tg\\_%' order by 1");
        found.lines().map(str::to_owned).collect()
    }

    /// Waits until the database has no role of a grant.
    ///
    /// # Panics
    ///
    /// When one stays.
    pub fn no_own_roles(&self) {
        until("every role of a grant is gone", || {
            self.own_roles().is_empty().then_some(())
        });
    }
}
