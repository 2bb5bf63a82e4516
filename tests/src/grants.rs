//! A database where each grant has a role of its own, and what is in its catalogue.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use crate::World;
use crate::wait::until;

/// The role as which tidegate makes roles.
pub const ADMIN: &str = "tidegate_admin";

/// Everything that a role can leave behind, as text: roles, memberships, owners, rights, settings,
/// dependencies, comments, large objects, prepared transactions.
const CATALOGUE: &str = "
select string_agg(line, E'\\n' order by line) from (
  select 'role ' || row_to_json(r)::text from (select rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil from pg_roles) r
  union all select 'member ' || roleid::regrole || ' ' || member::regrole || ' ' || (to_jsonb(m) - 'oid')::text from pg_auth_members m
  union all select 'password ' || rolname from pg_authid where rolpassword is not null
  union all select 'class ' || relnamespace::regnamespace || '.' || relname || ' ' || relowner::regrole || ' ' || coalesce(relacl::text, '') from pg_class where relnamespace::regnamespace::text !~ '^pg_'
  union all select 'proc ' || oid::regprocedure || ' ' || proowner::regrole || ' ' || coalesce(proacl::text, '') from pg_proc where pronamespace::regnamespace::text !~ '^pg_'
  union all select 'type ' || typnamespace::regnamespace || '.' || typname || ' ' || typowner::regrole from pg_type where typnamespace::regnamespace::text !~ '^pg_'
  union all select 'schema ' || nspname || ' ' || nspowner::regrole || ' ' || coalesce(nspacl::text, '') from pg_namespace where nspname !~ '^pg_(toast_)?temp_'
  union all select 'database ' || datname || ' ' || datdba::regrole || ' ' || coalesce(datacl::text, '') from pg_database
  union all select 'setting ' || setdatabase || ' ' || setrole || ' ' || setconfig::text from pg_db_role_setting
  union all select 'default ' || defaclrole::regrole || ' ' || defaclacl::text from pg_default_acl
  union all select 'depends ' || classid::regclass || ' ' || refclassid::regclass || ' ' || refobjid || ' ' || deptype::text || ' ' || count(*) from pg_shdepend where not exists (select from pg_class c where c.oid = objid and c.relnamespace::regnamespace::text ~ '^pg_(toast_)?temp_') group by classid, refclassid, refobjid, deptype
  union all select 'column ' || attrelid::regclass || '.' || attname || ' ' || attacl::text from pg_attribute where attacl is not null and attrelid >= 16384
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
        self.have_own_roles_of(&[proxy::demo::ROLE]);
    }

    /// The same, with these roles to be asked for.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn have_own_roles_of(&self, roles: &[&str]) {
        self.add_own_roles(self.postgres().addr(), roles);
    }

    /// The same, where the server is reached by this address.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn have_own_roles_by(&self, addr: SocketAddr) {
        self.add_own_roles(addr, &[proxy::demo::ROLE]);
    }

    fn add_own_roles(&self, addr: SocketAddr, roles: &[&str]) {
        self.let_own_roles_in(roles);
        self.add_with_admin(addr, roles);
        self.have_script_run();
    }

    /// Has the database's administrator run the script, which has to work.
    ///
    /// # Panics
    ///
    /// When it does not.
    pub fn have_script_run(&self) {
        let ran = self.run_script();
        assert!(ran.status.success(), "{ran:?}");
    }

    /// `tidegate target script orders | psql -U postgres -d orders`, as the documents say.
    ///
    /// # Panics
    ///
    /// When there is no script, or no psql.
    pub fn run_script(&self) -> Output {
        let script = ["tidegate", "target", "script", "orders"];
        let script = self.bob().run(&script).expect("there is a script");
        let mut psql = Command::new("psql");
        psql.args(["-X", "-U", "postgres", "-d", "orders", "-h"])
            .arg(self.postgres().dir())
            .args(["-p", &self.postgres().port().to_string()]);
        psql.stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("psql starts");
        let mut input = psql.stdin.take().expect("it reads");
        input
            .write_all(script.as_bytes())
            .expect("psql takes all of it");
        drop(input);
        psql.wait_with_output().expect("psql ends")
    }

    /// The lines that `target add` prints for it, and no wider ones.
    fn let_own_roles_in(&self, roles: &[&str]) {
        let data = self.postgres().dir().join("data");
        let write = |name: &str, text: &str| {
            // Written in place: the file stays the server's own.
            fs::write(data.join(name), text).expect("the server's directory can be written");
        };
        let from = "127.0.0.1/32 cert map=tidegate";
        let members = roles
            .iter()
            .map(|role| format!("hostssl orders +{role} {from}\n"));
        let members: String = members.collect();
        write(
            "pg_hba.conf",
            &format!("local all all trust\nhostssl all {ADMIN} {from}\n{members}"),
        );
        let own = "tidegate /^(tg_[0-9a-z]{26})$ \\1";
        write(
            "pg_ident.conf",
            &format!("tidegate {ADMIN} {ADMIN}\n{own}\n"),
        );
        self.sql("select pg_reload_conf()");
    }

    /// Has bob remove the target `orders` and add it anew, like this. Gives back what adding it said.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn replace_orders(&self, how: &[&str]) -> String {
        let bob = self.bob();
        bob.run(&["tidegate", "target", "rm", "orders", "--yes"])
            .expect("bob removes it");
        let always = [
            "tidegate", "target", "add", "pg", "orders", "--dbname", "orders", "--label", "env=dev",
        ];
        let added = bob.output(&[&always, how].concat()).expect("it runs");
        let said = [added.stdout, added.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("added orders"), "{said}");
        said
    }

    fn add_with_admin(&self, addr: SocketAddr, roles: &[&str]) {
        let addr = addr.to_string();
        let mut how = vec!["--addr", &addr, "--admin-role", ADMIN];
        how.extend(roles.iter().flat_map(|role| ["--role", role]));
        self.replace_orders(&how);
    }

    /// The major version of the database's server.
    ///
    /// # Panics
    ///
    /// When the database does not answer.
    pub fn postgres_version(&self) -> u32 {
        let number = self.sql("show server_version_num");
        number.parse::<u32>().expect("a number") / 10_000
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
