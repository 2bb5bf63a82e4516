//! The life of roles under `kill -9`: tidegate is killed after each single message that it sends to the
//! database, and what is in the catalogue afterwards is what was there before.

use std::process::Command;
use std::time::Duration;

use proxy::demo::Ending;
use tests::tripwire::Tripwire;
use tests::{Live, Setting, World, until, within};

use crate::{err, out};

/// More messages than making or removing takes.
const MESSAGES_MAX: u32 = 200;

/// A kind of role, and what is left behind under it.
struct Kind {
    world: World,
    wire: Tripwire,
    /// The catalogue when no grant holds.
    before: String,
    /// As whom people come.
    user: &'static str,
}

/// How often the server's log says this. It is asked for beside the ledger, which grows long here.
fn logged(world: &World, event: &str) -> usize {
    world.server_log().matches(event).count()
}

impl Kind {
    fn of(user: &'static str, set_up: impl FnOnce(&World, &Tripwire)) -> Self {
        let world = World::with(&Setting {
            postgres: "max_prepared_transactions = 60\nmax_connections = 200",
            ..Setting::default()
        });
        let wire = Tripwire::start(world.postgres().addr());
        set_up(&world, &wire);
        // What was never granted is not written out in the catalogue; what was taken back is.
        let groups = [
            "grant create on schema public to",
            "revoke create on schema public from",
        ];
        for how in groups {
            world.sql(&format!("{how} {user}"));
        }
        Self {
            before: world.catalogue(),
            world,
            wire,
            user,
        }
    }

    /// A role for each grant.
    fn own() -> Self {
        Self::of(proxy::demo::ROLE, |world, wire| {
            world.have_own_roles_by(wire.addr());
        })
    }

    /// An existing role.
    fn elevated() -> Self {
        Self::of(tests::elevated::GROUP, |world, wire| {
            world.have_elevation_by(wire.addr());
        })
    }

    fn grant(&self, duration: &str) -> String {
        self.world.grant("orders", self.user, duration)
    }

    fn place(&self) -> String {
        format!("service=orders user={}", self.user)
    }

    fn psql(&self, sql: &str) -> std::process::Output {
        let line = ["psql", "-X", "-At", &self.place(), "-c", sql];
        self.world.alice().output(&line).expect("psql runs")
    }

    fn works(&self) {
        let ran = self.psql("select count(*) from orders");
        assert_eq!(out(&ran), "1000\n", "{}", err(&ran));
    }

    /// Leaves a table, a prepared transaction, and a session with a temporary table, an open cursor and an
    /// open transaction.
    fn leave_much(&self, number: u32) -> Live {
        self.world
            .sql(&format!("grant create on schema public to {}", self.user));
        let ran = self.psql(&format!(
            "create table left_{number} (id int primary key, at timestamptz default now()); \
             alter role current_user set work_mem = '8MB'"
        ));
        assert!(ran.status.success(), "{}", err(&ran));
        let ran = self.psql(&format!(
            "begin; insert into orders values ({}, 'prepared'); prepare transaction 'left {number}'",
            number.saturating_add(70_000)
        ));
        assert!(ran.status.success(), "{}", err(&ran));
        let place = self.place();
        let mut line = vec!["psql", "-X", "-At", &place];
        let delete = format!(
            "delete from orders where id = {}",
            number.saturating_add(10)
        );
        for sql in [
            "create temp table passing as select 1",
            "begin",
            "declare open_one cursor for select * from orders",
            "fetch 1 from open_one",
            &delete,
            "select 'deleted'",
            "select pg_sleep(600)",
        ] {
            line.extend(["-c", sql]);
        }
        self.world.begin("psql", &line, "deleted")
    }

    /// Nothing holds any more, and nothing is left but what was made, which is its owner's.
    fn is_as_before(&self, what: &str) {
        let world = &self.world;
        world.no_own_roles();
        if self.user == tests::elevated::GROUP {
            world.nobody_elevated();
        }
        until("what it did is over", || {
            let left = world.sql(
                "select (select count(*) from pg_prepared_xacts) + (select count(*) from pg_stat_activity \
                 where usename in ('alice', 'app') or usename like 'tg\\_%')",
            );
            (left == "0").then_some(())
        });
        let owners = world.sql("select distinct relowner::regrole from pg_class where relname like 'left\\_%' and relkind = 'r'");
        let owner = if self.user == proxy::demo::ROLE {
            "app"
        } else {
            "alice"
        };
        assert!(owners.is_empty() || owners == owner, "{owners}");
        world.sql("do $$ declare t text; begin for t in select relname from pg_class where relname like 'left\\_%' and relkind = 'r' loop execute format('drop table %I', t); end loop; end $$");
        if self.user == tests::elevated::GROUP {
            // A setting of her own that she made herself, as she could without us.
            world.sql("alter role alice reset all");
        }
        world.sql(&format!(
            "revoke create on schema public from {}",
            self.user
        ));
        assert_eq!(world.sql("select count(*) from orders"), "1000");
        assert_eq!(world.catalogue(), self.before, "{what}");
    }

    /// Has tidegate killed after so many of its messages. Says whether there were so many before `so`.
    fn killed_after(
        &mut self,
        messages: u32,
        act: impl FnOnce(&Self),
        so: impl Fn(&World) -> bool,
    ) -> bool {
        self.wire.arm(messages);
        act(self);
        let tripped = until("it is killed, or done", || {
            if self.wire.has_tripped() {
                return Some(true);
            }
            so(&self.world).then_some(false)
        });
        let pid = self
            .world
            .server_pid()
            .expect("the server runs")
            .to_string();
        let killed = Command::new("kill").args(["-9", &pid]).status();
        assert!(killed.expect("kill runs").success());
        self.world.stop_server(Ending::Kill);
        self.wire.release();
        self.world.serve().expect("the server starts again");
        tripped
    }

    /// Killed after each message by which it makes a role.
    fn is_made(&mut self) -> u32 {
        for messages in 0..MESSAGES_MAX {
            let made = logged(&self.world, "role.made");
            let mut grant = String::new();
            let tripped = self.killed_after(
                messages,
                |kind| grant = kind.grant("10m"),
                |world| logged(world, "role.made") > made,
            );
            self.works();
            self.world.revoke(&grant);
            self.is_as_before(&format!("made, killed after {messages}"));
            if !tripped {
                return messages;
            }
        }
        panic!("it never ends");
    }

    /// Killed after each message by which it removes a role that left much behind.
    fn is_removed(&mut self) -> u32 {
        for messages in 0..MESSAGES_MAX {
            let grant = self.grant("10m");
            self.works();
            let mut psql = self.leave_much(messages);
            let removed = logged(&self.world, "role.removed");
            let tripped = self.killed_after(
                messages,
                |kind| kind.world.revoke(&grant),
                |world| logged(world, "role.removed") > removed,
            );
            psql.ended();
            self.is_as_before(&format!("removed, killed after {messages}"));
            if !tripped {
                return messages;
            }
        }
        panic!("it never ends");
    }
}

#[test]
#[ignore = "takes minutes; `tests/run --all` runs it"]
fn killed_after_each_message_by_which_a_role_is_made() {
    assert!(Kind::own().is_made() >= 8);
}

#[test]
#[ignore = "takes minutes; `tests/run --all` runs it"]
fn killed_after_each_message_by_which_a_role_is_removed() {
    assert!(Kind::own().is_removed() >= 20);
}

#[test]
#[ignore = "takes minutes; `tests/run --all` runs it"]
fn killed_after_each_message_by_which_a_role_is_elevated() {
    assert!(Kind::elevated().is_made() >= 8);
}

#[test]
#[ignore = "takes minutes; `tests/run --all` runs it"]
fn killed_after_each_message_by_which_an_elevation_ends() {
    assert!(Kind::elevated().is_removed() >= 15);
}

/// Fifty roles, each with a table, a prepared transaction, a temporary table and an open cursor in a
/// session that goes on, and a kill in the middle of their removal.
#[test]
#[ignore = "takes minutes; `tests/run --all` runs it"]
fn fifty_grants_that_left_much_behind_are_removed_through_a_kill() {
    let mut kind = Kind::own();
    let mut sessions = Vec::new();
    for number in 0..50_u32 {
        // A session is by the grant that lasts longest.
        kind.grant(&format!("{}m", number.saturating_add(10)));
        sessions.push(kind.leave_much(number));
    }
    let world = &kind.world;
    assert_eq!(world.own_roles().len(), 50);
    assert_eq!(
        world.sql(
            "select count(distinct usename) from pg_stat_activity where usename like 'tg\\_%'"
        ),
        "50"
    );
    assert_eq!(
        world.sql("select count(distinct owner) from pg_prepared_xacts"),
        "50"
    );
    let all = [
        "tidegate",
        "revoke",
        "--user",
        "alice",
        "--reason",
        "all of it",
        "--yes",
    ];
    kind.killed_after(
        200,
        |kind| {
            kind.world.bob().run(&all).expect("bob revokes them all");
        },
        |world| world.own_roles().is_empty(),
    );
    for session in &mut sessions {
        session.ended();
    }
    within(Duration::from_secs(180), "they are removed", || {
        kind.world.own_roles().is_empty().then_some(())
    });
    kind.is_as_before("fifty");
}

/// A server goes on with what it was told though whoever told it is gone: what it makes then, nobody would
/// know of.
#[test]
fn what_the_server_is_still_doing_for_a_dead_tidegate_is_not_done_after_the_removal() {
    let mut kind = Kind::elevated();
    let lock = "begin; lock table pg_auth_members in share row exclusive mode; select pg_sleep(600) /* held */";
    let mut holder = kind.world.direct("postgres", &[lock]);
    let mut holder = holder.spawn().expect("psql starts");
    until("the lock is held", || {
        (kind.world.sql("select count(*) from pg_stat_activity where query like '%/* held */' and wait_event = 'PgSleep'") == "1").then_some(())
    });
    let grant = kind.grant("10m");
    until("tidegate waits for it", || {
        (kind
            .world
            .sql("select count(*) from pg_locks where not granted")
            != "0")
            .then_some(())
    });
    let pid = kind
        .world
        .server_pid()
        .expect("the server runs")
        .to_string();
    let killed = Command::new("kill").args(["-9", &pid]).status();
    assert!(killed.expect("kill runs").success());
    kind.world.stop_server(Ending::Kill);
    kind.world.serve().expect("the server starts again");
    kind.world.revoke(&grant);
    kind.world.removed(1);
    kind.world.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%/* held */' and pid <> pg_backend_pid()");
    holder.wait().expect("psql ends");
    kind.is_as_before("a zombie");
}
