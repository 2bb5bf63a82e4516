//! What the script at a machine with accounts is told, late, twice and in the wrong order, and what it does
//! about what an account has left.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use tests::World;
use tests::accounts::AccountHost;
use tests::wait::{until, within};

use crate::{err, out};

pub(crate) const DAY: &str = "2999-01-01";

fn now() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

pub(crate) fn sh(host: &AccountHost, script: &str) -> Output {
    host.inside(&["sh", "-c", script])
}

/// Runs this as the account, and says what it printed.
pub(crate) fn by(host: &AccountHost, account: &str, script: &str) -> String {
    let line = [
        "setpriv",
        "--reuid",
        account,
        "--regid",
        account,
        "--init-groups",
        "sh",
        "-c",
        script,
    ];
    let ran = host.inside(&line);
    assert!(ran.status.success(), "{script}: {}", err(&ran));
    out(&ran)
}

#[track_caller]
pub(crate) fn done(ran: &Output, sign: &str) {
    assert!(out(ran).contains(sign), "{}{}", out(ran), err(ran));
}

#[track_caller]
pub(crate) fn refused(ran: &Output, why: &str) {
    assert!(
        !ran.status.success() && err(ran).contains(why),
        "{}{}",
        out(ran),
        err(ran)
    );
}

#[test]
fn an_order_that_comes_late_or_behind_a_newer_one_does_nothing() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    let (make, remove) = (["make", "tg-a", "deploy", DAY], ["remove", "tg-a"]);
    refused(&host.order(&make, -1), "ended before it came");
    refused(&host.order(&make, 3600), "too far behind");
    assert!(host.traces().is_empty());
    let ends = now() + 30_000_000;
    // A removal that was held up, and comes when the account has been made again.
    done(&host.order_that_ends(&make, ends), "made tg-a");
    done(&host.order_that_ends(&remove, ends + 2), "removed tg-a");
    done(&host.order_that_ends(&make, ends + 3), "made tg-a");
    by(&host, "tg-a", "sleep 7411 >/dev/null 2>&1 &");
    refused(&host.order_that_ends(&remove, ends + 1), "a newer order");
    assert!(host.inside(&["pgrep", "-f", "sleep 7411"]).status.success());
    assert!(host.traces().contains(&"tg-a".to_owned()));
    done(&host.order_that_ends(&remove, ends + 5), "removed tg-a 1");
    // A making that was held up, and comes behind the removal, or the same once more.
    for late in [ends, ends + 4, ends + 5] {
        refused(&host.order_that_ends(&make, late), "a newer order");
    }
    assert!(host.traces().is_empty());
    // Others are not concerned.
    done(
        &host.order_that_ends(&["make", "tg-b", "ops", DAY], ends),
        "made tg-b",
    );
    done(
        &host.order_that_ends(&["remove", "tg-b"], ends + 1),
        "removed tg-b",
    );
    // What is noted goes once every order that it concerns has long ended.
    let notes = "/var/lib/tidegate-target/orders";
    sh(&host, &format!("touch -d '-9 days' {notes}/tg-a"));
    done(&host.order(&["remove", "tg-c"], 30), "removed tg-c");
    assert_eq!(out(&sh(&host, &format!("ls {notes}"))), "tg-b\ntg-c\n");
}

#[test]
fn what_cannot_be_looked_at_is_not_taken_for_nothing() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    done(
        &host.order(&["make", "tg-a", "deploy", DAY], 30),
        "made tg-a",
    );
    by(&host, "tg-a", "sleep 7412 >/dev/null 2>&1 &");
    assert!(sh(&host, "mount -t tmpfs tmpfs /proc").status.success());
    refused(&host.order(&["remove", "tg-a"], 40), "cannot see in /proc");
    assert!(sh(&host, "umount /proc").status.success());
    // It was ended all the same; only that nothing runs is not known yet.
    assert!(!host.inside(&["pgrep", "-f", "sleep 7412"]).status.success());
    assert!(host.traces().contains(&"tg-a".to_owned()));
    done(&host.order(&["remove", "tg-a"], 50), "removed tg-a 0");
}

/// An account with more processes than fit into the arguments of one program, with a stack of 512 KiB: most of
/// them have ended and are not waited for.
#[test]
fn an_account_with_thousands_of_processes_is_ended_and_removed() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    done(
        &host.order(&["make", "tg-a", "deploy", DAY], 30),
        "made tg-a",
    );
    let many = "setpriv --reuid tg-a --regid tg-a --clear-groups \
        perl -e 'for (1..7000) { fork or exit } sleep 7413'";
    let begun = format!("unshare -p --fork {many} >/dev/null 2>&1 &");
    assert!(sh(&host, &begun).status.success());
    // To look at thousands takes long as well.
    let count = "sleep 1; ps -o stat= -u tg-a | grep -c Z";
    within(Duration::from_secs(60), "thousands have ended", || {
        let ended = out(&sh(&host, count)).trim().parse::<usize>();
        ended.is_ok_and(|ended| ended >= 7000).then_some(())
    });
    let ends = now() + 40_000_000;
    let remove = format!("ulimit -S -s 512; /usr/local/sbin/tidegate-target remove tg-a {ends}");
    done(&sh(&host, &remove), "removed tg-a 1");
    until("nothing of it runs", || {
        let found = host.inside(&["pgrep", "-f", "sleep 7413"]);
        (!found.status.success()).then_some(())
    });
}

/// A `find` that is not done with a home before somebody says so.
const SLOW_FIND: &str = r#"#!/bin/sh
case $* in *tg-a*) timeout 60 sh -c 'until [ -e /run/go ]; do sleep 0.1; done' ;; esac
exec /run/tidegate-find "$@""#;

/// A `find` that cannot look into one process, and says so in pieces.
const BLIND_FIND: &str = r#"#!/bin/sh
case $* in
*/task*) for word in "find: " "'/proc/1/task'" ": Input/output error"; do printf %s "$word" >&2; done; echo >&2 ;;
esac
exec /run/tidegate-find "$@""#;

/// Puts this in the place of `find` there, which it finds as `/run/tidegate-find`.
fn put_find(world: &World, host: &AccountHost, script: &str) {
    let other = world.dir().join("find");
    std::fs::write(&other, script).expect("it is written");
    let other = other.display();
    let install = format!(
        "mount -t tmpfs tmpfs /run && cp /usr/bin/find /run/tidegate-find && chmod 755 {other} && \
         mount --bind {other} /usr/bin/find && echo put"
    );
    done(&sh(host, &install), "put");
}

#[test]
fn a_process_that_cannot_be_looked_into_is_not_taken_for_none() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    done(
        &host.order(&["make", "tg-a", "deploy", DAY], 30),
        "made tg-a",
    );
    put_find(&world, &host, BLIND_FIND);
    refused(&host.order(&["remove", "tg-a"], 40), "cannot see in /proc");
    assert!(sh(&host, "umount /usr/bin/find").status.success());
    done(&host.order(&["remove", "tg-a"], 50), "removed tg-a 0");
}

#[test]
fn a_home_full_of_files_is_removed_and_holds_nobody_up() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    done(
        &host.order(&["make", "tg-a", "deploy", DAY], 30),
        "made tg-a",
    );
    put_find(&world, &host, SLOW_FIND);
    std::thread::scope(|scope| {
        let removing = scope.spawn(|| host.order(&["remove", "tg-a"], 50));
        until("the removal has begun", || {
            let home = host.inside(&["test", "-d", "/home/tg-a"]);
            (!home.status.success()).then_some(())
        });
        let made = host.order(&["make", "tg-b", "deploy", DAY], 30);
        let goes_on = !removing.is_finished();
        sh(&host, "touch /run/go");
        done(&made, "made tg-b");
        assert!(goes_on, "it was not waited for");
        done(&removing.join().expect("it ends"), "removed tg-a");
    });
    let left = out(&sh(&host, "ls -A /home/.tidegate-target"));
    assert_eq!(left, "");
    done(&host.order(&["remove", "tg-b"], 40), "removed tg-b");
}

/// Where an account leaves something on the disk of this machine itself; gone with this.
struct Left(PathBuf);

impl Left {
    fn new() -> Self {
        Self(format!("/tmp/tidegate-setgid-{}", std::process::id()).into())
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[test]
fn no_mount_and_no_setgid_file_outlives_an_account() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    sh(&host, "mkdir -m 1777 /home/shared");
    done(
        &host.order(&["make", "tg-a", "deploy", DAY], 30),
        "made tg-a",
    );
    let left = Left::new();
    let left = left.0.display();
    let script = format!(
        "umask 022; cd ~; mkdir 'we ird %s 7' plain; cp /bin/true it; chgrp deploy it; chmod 2755 it; ln it /home/shared/it; \
         mkdir {left}; chmod 755 {left}; cp /bin/true {left}/it; chgrp deploy {left}/it; chmod 6755 {left}/it; \
         stat -c '%a %G' it {left}/it"
    );
    let made = by(&host, "tg-a", &format!("HOME=/home/tg-a; {script}"));
    assert_eq!(made, "2755 deploy\n6755 deploy\n");
    let mounted = "cd '/home/tg-a/we ird %s 7' && mount -t tmpfs tmpfs . && mkdir 'tab\tbed' && mount -t tmpfs tmpfs tab*";
    assert!(sh(&host, mounted).status.success());
    done(&host.order(&["remove", "tg-a"], 40), "removed tg-a");
    assert!(!sh(&host, "grep tg-a /proc/self/mountinfo").status.success());
    let said = out(&sh(
        &host,
        &format!("stat -c '%a %G' /home/shared/it {left}/it"),
    ));
    assert_eq!(said, "755 UNKNOWN\n755 UNKNOWN\n");
}

#[test]
fn a_script_that_knows_no_ends_of_orders_is_told_of() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    let tested = || world.bob().output(&["tidegate", "target", "test", "acct1"]);
    assert!(tested().expect("it runs").status.success());
    let older = "sed -i 's/ orders-end//' /usr/local/sbin/tidegate-target";
    assert!(sh(&host, older).status.success());
    let told = tested().expect("it runs");
    let said = out(&told) + &err(&told);
    assert!(
        !told.status.success() && said.contains("tidegate target script acct1"),
        "{said}"
    );
}
