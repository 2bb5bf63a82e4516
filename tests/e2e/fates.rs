//! What the recording of a session that was cut says of its transaction: whether that had committed, of which the
//! server has the last word.

use std::fs;
use std::process::Command;

use tests::{Live, World, one_of_three, until};

const COMMITTED: &str = "its transaction had committed before that";
const ROLLED_BACK: &str = "its transaction was rolled back";
const AS_IT_ENDED: &str = "as it was ended it was in no transaction that had changed anything";

/// A server process that stands still until this is dropped, so that whoever looks after it is cut finds it as it was.
struct Still {
    pid: String,
}

impl Still {
    fn stand(world: &World) -> Self {
        let pid = world.sql("select pid from pg_stat_activity where usename = 'app'");
        signal(&pid, "-STOP");
        Self { pid }
    }

    /// Waits until somebody has ended it. Who does has seen its transaction in the same look.
    fn is_ended(&self) {
        /// `SIGTERM` among those that wait for a process, as `proc(5)` writes them.
        const TERM: u64 = 1 << 14;
        let path = format!("/proc/{}/status", self.pid);
        until("it is told to end", || {
            let status = fs::read_to_string(&path).expect("it is there");
            let waiting = status
                .lines()
                .find_map(|line| line.strip_prefix("ShdPnd:"))
                .expect("what waits for it");
            let waiting = u64::from_str_radix(waiting.trim(), 16).expect("a number");
            (waiting & TERM != 0).then_some(())
        });
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        signal(&self.pid, "-CONT");
    }
}

fn signal(pid: &str, which: &str) {
    let sent = Command::new("kill").args([which, pid]).status();
    assert!(sent.expect("kill runs").success(), "{which} {pid}");
}

/// Ends the grant while the server process stands still, and gives back what the recording says of the session.
fn cut_while_it_stands_still(world: &World, grant: &str, psql: &mut Live) -> String {
    let still = Still::stand(world);
    world.revoke(grant);
    still.is_ended();
    drop(still);
    psql.ended();
    let session = &world.ended_sessions()[0];
    until("the server process is gone", || {
        let left = world.sql("select count(*) from pg_stat_activity where usename = 'app'");
        (left == "0").then_some(())
    });
    world.exported(session["id"].as_str().expect("an id"), "--text")
}

/// A server that waits for a standby has committed and does not say so, whoever asks it to stop.
#[test]
fn a_transaction_that_had_committed_as_it_was_cut_is_told_as_that() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        world.sql("alter system set synchronous_standby_names = 'nobody'");
        world.sql("select pg_reload_conf()");
        let grant = world.grant_pg("10m");
        let mut line = vec!["psql", "-X", "-At", "service=orders"];
        for sql in [
            "set synchronous_commit = on",
            "begin",
            "delete from orders where id = 2",
            "select 'deleted'",
            "commit",
            "select 'told'",
        ] {
            line.extend(["-c", sql]);
        }
        let mut psql = world.begin("psql", &line, "deleted");
        until("it waits for a standby", || {
            let waits = "select count(*) from pg_stat_activity where wait_event = 'SyncRep'";
            (world.sql(waits) == "1").then_some(())
        });
        let said = cut_while_it_stands_still(&world, &grant, &mut psql);
        assert!(!psql.output().contains("told"), "{}", psql.output());
        assert_eq!(world.sql("select count(*) from orders"), "999");
        assert!(!said.contains(ROLLED_BACK), "{said}");
        said.contains(COMMITTED)
    });
}

#[test]
fn a_transaction_that_was_rolled_back_as_it_was_cut_is_told_as_that() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        let grant = world.grant_pg("10m");
        let mut psql = world.begin_psql();
        let said = cut_while_it_stands_still(&world, &grant, &mut psql);
        assert_eq!(world.sql("select count(*) from orders"), "1000");
        assert!(!said.contains(COMMITTED), "{said}");
        said.contains(ROLLED_BACK)
    });
}

/// What one text committed before it came to what was cut is not in any reply that was seen.
#[test]
fn what_a_text_had_committed_before_it_was_cut_is_not_denied() {
    one_of_three("it is seen to stop", || {
        let world = World::new();
        let grant = world.grant_pg("10m");
        let mut line = vec!["psql", "-X", "-At", "service=orders"];
        for sql in [
            "begin",
            "delete from orders where id = 2",
            "select 'deleted'",
            "commit; select pg_sleep(600)",
        ] {
            line.extend(["-c", sql]);
        }
        let mut psql = world.begin("psql", &line, "deleted");
        until("it sleeps", || {
            let sleeps = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
            (world.sql(sleeps) == "1").then_some(())
        });
        let said = cut_while_it_stands_still(&world, &grant, &mut psql);
        assert_eq!(world.sql("select count(*) from orders"), "999");
        assert!(said.contains("commit; select pg_sleep(600)\n"), "{said}");
        // Of the last one alone is spoken.
        said.contains("its end was not seen") && said.contains(AS_IT_ENDED)
    });
}
