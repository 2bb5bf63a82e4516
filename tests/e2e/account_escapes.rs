//! What an account leaves running so that nobody sees it, nobody can end it, or it is somebody else's by then, and
//! what it has root do on its way out.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tests::accounts::AccountHost;
use tests::{World, until};

use crate::account_orders::{DAY, by, done, refused, sh};
use crate::{err, out};

/// A machine with two accounts, of which only the first is to be removed, and a place that both can write to.
struct Escape {
    host: AccountHost,
    world: World,
    number: String,
}

impl Escape {
    fn begin() -> Option<Self> {
        let world = World::new();
        let host = AccountHost::start(&world)?;
        sh(&host, "mkdir -m 1777 /home/shared");
        for (account, group) in [("tg-a", "deploy"), ("tg-b", "ops")] {
            let made = host.order(&["make", account, group, DAY], 30);
            done(&made, &format!("made {account}"));
        }
        let number = out(&sh(&host, "id -u tg-a")).trim().to_owned();
        Some(Self {
            host,
            world,
            number,
        })
    }

    /// Begins this as the account, and waits until the file is there that it makes.
    fn left(&self, account: &str, script: &str) {
        by(
            &self.host,
            account,
            &format!("{script} >/dev/null 2>&1 </dev/null &"),
        );
        until("it runs", || {
            let up = self.host.inside(&["test", "-e", "/home/shared/up"]);
            up.status.success().then_some(())
        });
    }

    /// Whether what was left goes on: it writes to its file, and what is never there for long is found by that alone.
    fn runs(&self) -> bool {
        let look = "a=$(stat -c %y /home/shared/up); sleep 1; [ \"$a\" = \"$(stat -c %y /home/shared/up)\" ]";
        !sh(&self.host, look).status.success()
    }

    /// Puts a program in the place of another, which it finds as `/run/real`.
    fn wrap(&self, program: &str, script: &str) {
        let wrapper = self.world.dir().join("wrapper");
        fs::write(&wrapper, format!("#!/bin/sh\n{script}\n")).expect("it is written");
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("it may be run");
        let install = format!(
            "real=$(readlink -f \"$(command -v {program})\") && mount -t tmpfs tmpfs /run && cp \"$real\" /run/real && \
             mount --bind {} \"$real\" && echo wrapped",
            wrapper.display()
        );
        done(&sh(&self.host, &install), "wrapped");
    }
}

/// A process that is another one before `/proc` has been read.
const HOPPING: &str = "perl -e '$SIG{TERM} = $SIG{HUP} = \"IGNORE\"; \
     for (;;) { open my $up, \">\", \"/home/shared/up\"; fork and exit }'";

#[test]
fn what_is_never_seen_is_ended_all_the_same() {
    let Some(escape) = Escape::begin() else {
        return;
    };
    escape.left("tg-a", HOPPING);
    let removed = escape.host.order(&["remove", "tg-a"], 50);
    let runs = escape.runs();
    done(&removed, "removed tg-a");
    assert!(!runs);
}

/// A process that ends all that it may, again and again, and with that whoever becomes its account to end it. It begins
/// once the shell that began it has gone, which it would end as well.
const KILLING: &str = "perl -e '$SIG{TERM} = $SIG{HUP} = \"IGNORE\"; sleep 1; \
     for (;;) { kill 9, -1; next if ++$i % 50; open my $up, \">\", \"/home/shared/up\"; fork and exit }'";

#[test]
fn what_ends_whoever_would_end_it_is_ended() {
    let Some(escape) = Escape::begin() else {
        return;
    };
    escape.left("tg-a", KILLING);
    let removed = escape.host.order(&["remove", "tg-a"], 50);
    let runs = escape.runs();
    done(&removed, "removed tg-a");
    assert!(!runs);
}

#[test]
fn what_became_somebody_else_with_the_accounts_groups_is_ended() {
    let Some(escape) = Escape::begin() else {
        return;
    };
    let host = &escape.host;
    // As it is behind a setuid program of the other's: everything is theirs but the groups.
    let became = "setpriv --reuid tg-b --regid tg-b --groups \"$(id -g tg-a),$(getent group deploy | cut -d: -f3)\" \
         sleep 7421 >/dev/null 2>&1 </dev/null &";
    assert!(sh(host, became).status.success());
    // And behind a setgid one of the account's.
    let lent = "cp /bin/sleep /home/shared/lent && chgrp deploy /home/shared/lent && chmod 2755 /home/shared/lent";
    by(host, "tg-a", lent);
    for own in ["/home/shared/lent 7422", "sleep 7423"] {
        by(host, "tg-b", &format!("{own} >/dev/null 2>&1 </dev/null &"));
    }
    until("all of them run", || {
        let found = out(&sh(host, "pgrep -c -f '(sleep|lent) 742[123]$'"));
        (found == "3\n").then_some(())
    });
    done(&host.order(&["remove", "tg-a"], 50), "removed tg-a");
    let rest = out(&sh(host, "pgrep -a -f '(sleep|lent) 742[123]$'"));
    assert!(
        rest.contains("sleep 7423") && rest.lines().count() == 1,
        "{rest}"
    );
}

/// What runs with the account's number once the account is gone, and nobody could be asked for it any more.
#[test]
fn a_number_is_looked_for_until_nothing_runs_with_it() {
    let Some(escape) = Escape::begin() else {
        return;
    };
    let script = format!(
        "/run/real \"$@\"; setpriv --reuid {} --clear-groups sleep 7424 >/dev/null 2>&1 </dev/null 9>&- & exit 1",
        escape.number
    );
    escape.wrap("userdel", &script);
    let host = &escape.host;
    refused(&host.order(&["remove", "tg-a"], 40), "userdel did not");
    assert!(host.inside(&["pgrep", "-f", "sleep 7424"]).status.success());
    done(&host.order(&["remove", "tg-a"], 50), "removed tg-a");
    let found = host.inside(&["pgrep", "-f", "sleep 7424"]);
    assert!(!found.status.success(), "{}", err(&found));
}

/// What a session leaves in `~/.ssh/authorized_keys`, at a machine whose sshd has the lines that are printed.
#[test]
fn a_key_that_is_left_in_a_home_lets_nobody_in() {
    let Some(Escape { host, world, .. }) = &Escape::begin() else {
        return;
    };
    let shown = world.bob().run(&["tidegate", "target", "show", "acct1"]);
    let shown = shown.expect("it is shown");
    let from = shown.find("  Match User ").expect("a block");
    let block: Vec<&str> = shown.split_at(from).1.lines().take(2).collect();
    let config = world.dir().join("printed_config");
    let key = world.dir().join("acct1/host_key");
    let lines = format!("HostKey {}\n{}\n", key.display(), block.join("\n"));
    fs::write(&config, lines).unwrap();
    let read_as = |user: &str| {
        let line = format!(
            "mkdir -p /run/sshd; /usr/sbin/sshd -T -f {} -C user={user},host=h,addr=127.0.0.1 | grep -i '^authorizedkeysfile'",
            config.display()
        );
        out(&sh(host, &line))
    };
    for user in ["deploy", "ops", "tg-a"] {
        assert_eq!(read_as(user), "authorizedkeysfile none\n", "{user}");
    }
    assert!(read_as("root").contains(".ssh/authorized_keys"));
}

/// Whoever can write in a home puts a link in the place of a directory as soon as it is known what is mounted there.
#[test]
fn root_unmounts_nothing_that_others_point_it_to() {
    let Some(escape) = Escape::begin() else {
        return;
    };
    let host = &escape.host;
    let mounted = "mkdir -p /home/keep/x /home/tg-a/s/a/x && mount -t tmpfs tmpfs /home/keep/x && \
         mount -t tmpfs tmpfs /home/tg-a/s/a/x && echo mounted";
    done(&sh(host, mounted), "mounted");
    escape.wrap(
        "awk",
        "/run/real \"$@\"; rc=$?\n\
         case $* in *user_id=*) ;; *) exit $rc ;; esac\n\
         for at in /home/tg-a /home/.tidegate-target/tg-a.*; do\n\
         [ ! -d $at/s/a/x ] || [ -e $at/s/b ] || { mv $at/s/a $at/s/b; ln -s /home/keep $at/s/a; }\n\
         done\n\
         exit $rc",
    );
    let removed = host.order(&["remove", "tg-a"], 40);
    let kept = sh(host, "grep ' /home/keep/x ' /proc/self/mountinfo");
    assert!(kept.status.success(), "{}{}", out(&removed), err(&removed));
    done(&removed, "removed tg-a");
    assert!(!sh(host, "grep tg-a /proc/self/mountinfo").status.success());
}
