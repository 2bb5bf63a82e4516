//! A database where alice and bob have roles of their own, which are elevated for as long as a grant
//! holds.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Output};

use crate::World;
use crate::grants::ADMIN;
use crate::wait::until;

/// What is asked for, and lent.
pub const GROUP: &str = "app_admin";

/// The roles that exist, and what each may by itself: alice reads, a row-level policy and a trigger
/// know her by name, and a table is her own.
const PLACE: &str = "
create role app_admin nologin; create role alice login; create role bob_db login;
grant select, insert, update, delete on orders to app_admin;
grant select on orders to alice, bob_db;
create table secrets (id int primary key, whose name, writer name);
insert into secrets values (1, 'alice'), (2, 'bob_db');
alter table secrets enable row level security;
create policy own on secrets using (whose = session_user);
create function who() returns trigger language plpgsql as 'begin new.writer := session_user; return new; end';
create trigger who before insert or update on secrets for each row execute function who();
grant select, insert, update, delete on secrets to app_admin;
create table alices (id int); alter table alices owner to alice;
-- Rights that were never given say nothing; once they were, they are written out.
grant create on schema public to app_admin; revoke create on schema public from app_admin;
";

impl World {
    /// Adds the target `orders` anew, as one where alice and bob are elevated to [`GROUP`], with what its
    /// script and its lines say done there.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn have_elevation(&self) {
        self.have_elevation_by(self.postgres().addr());
    }

    /// The same, where the server is reached by this address.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn have_elevation_by(&self, addr: SocketAddr) {
        self.sql(PLACE);
        let said = self.replace_orders(&[
            "--addr",
            &addr.to_string(),
            "--admin-role",
            ADMIN,
            "--role",
            GROUP,
            "--elevate",
            "app_admin: alice=alice,bob=bob_db",
        ]);
        self.take_over(&said);
        self.have_script_run();
        self.sql("select pg_reload_conf()");
    }

    /// Writes the lines that `target add` prints into the server's rules, and no others.
    fn take_over(&self, said: &str) {
        let data = self.postgres().dir().join("data");
        let write = |name: &str, text: &str| {
            // Written in place: the file stays the server's own.
            fs::write(data.join(name), text).expect("the server's directory can be written");
        };
        let lines = |sign: &str| -> String {
            let lines = said.lines().map(str::trim);
            let ours = lines.filter(|line| line.starts_with(sign));
            ours.flat_map(|line| [line, "\n"]).collect()
        };
        let rules = lines("hostssl ");
        write("pg_hba.conf", &format!("local all all trust\n{rules}"));
        // Not the lines of commands, which begin in the same way.
        let maps = lines("tidegate ");
        let maps = maps
            .lines()
            .filter(|line| line.split(' ').count() == 3 && !line.starts_with("tidegate target"));
        let maps: String = maps.flat_map(|line| [line, "\n"]).collect();
        write("pg_ident.conf", &maps);
    }

    /// Alice asks for [`GROUP`] at `orders` and bob approves. Gives back the grant.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn grant_elevation(&self, duration: &str) -> String {
        self.grant("orders", GROUP, duration)
    }

    /// Alice runs one statement through tidegate as what she is elevated to.
    ///
    /// # Panics
    ///
    /// When psql cannot be run.
    pub fn psql_elevated(&self, sql: &str) -> Output {
        let place = format!("service=orders user={GROUP}");
        self.alice()
            .output(&["psql", "-X", "-At", &place, "-c", sql])
            .expect("psql runs")
    }

    /// A command that runs statements at the server itself, past tidegate, as one of its roles.
    pub fn direct(&self, role: &str, sql: &[&str]) -> Command {
        let mut psql = Command::new("psql");
        psql.args([
            "-X",
            "-At",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            role,
            "-d",
            "orders",
            "-h",
        ])
        .arg(self.postgres().dir())
        .args(["-p", &self.postgres().port().to_string()]);
        for one in sql {
            psql.args(["-c", one]);
        }
        psql
    }

    /// Whose hands made the role a member of [`GROUP`].
    ///
    /// # Panics
    ///
    /// When the database does not answer.
    pub fn elevated_by(&self, role: &str) -> String {
        self.sql(&format!(
            "select coalesce(string_agg(grantor::regrole::text, ',' order by grantor::regrole::text), '') \
             from pg_auth_members where roleid = '{GROUP}'::regrole and member = '{role}'::regrole"
        ))
    }

    /// Waits until nobody is elevated by tidegate's hand.
    ///
    /// # Panics
    ///
    /// When somebody stays so.
    pub fn nobody_elevated(&self) {
        let left =
            format!("select count(*) from pg_auth_members where grantor = '{ADMIN}'::regrole");
        until("every elevation is over", || {
            (self.sql(&left) == "0").then_some(())
        });
    }

    /// Waits until the ledger says that this many elevations and roles were removed.
    ///
    /// # Panics
    ///
    /// When they are not.
    pub fn removed(&self, count: usize) {
        until("what was made is removed", || {
            (self.audited("role_removed") >= count).then_some(())
        });
    }

    /// How often the ledger says that this happened.
    ///
    /// # Panics
    ///
    /// When carol cannot read it.
    pub fn audited(&self, event: &str) -> usize {
        let lines = self
            .carol()
            .run(&["tidegate", "audit", "ls", "--limit", "1000", "-o", "jsonl"])
            .expect("carol reads the audit log");
        lines.matches(&format!("\"event\":\"{event}\"")).count()
    }
}
