//! A grant that is revoked while the account for it is made at a slow target, or somebody goes there as it: nobody gets
//! in, and no account stays.

use std::fs;

use tests::World;
use tests::accounts::AccountHost;
use tests::holdup::Holdup;

use crate::opening::{Afterwards, Opening};

#[test]
fn a_session_of_a_grant_that_is_revoked_while_its_account_is_made_does_not_open() {
    accounts_that_are_made_slowly(4);
}

#[test]
#[ignore = "takes minutes; tests/run --all"]
fn a_session_of_a_grant_that_is_revoked_behind_each_message_that_makes_its_account_does_not_open() {
    accounts_that_are_made_slowly(1);
}

/// Revokes behind every so many of the messages that make an account, and go there as it.
fn accounts_that_are_made_slowly(step: usize) {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    let holdup = Holdup::start(([127, 0, 0, 1], host.port()).into());
    host.move_to(&world, holdup.addr());
    let (port, address) = (world.ssh_port(), "deploy+acct1@localhost");
    let opening = Opening {
        world: &world,
        holdup: &holdup,
        target: "acct1",
        login: "deploy",
        line: &["ssh", "-p", &port, address, "echo in"],
        afterwards: Afterwards::Lost,
    };
    let log = world.dir().join("acct1/sshd.log");
    let logins = || {
        let log = fs::read_to_string(&log).expect("the host has a log");
        log.matches("Accepted publickey for tg-").count()
    };
    opening.never_lets_in(step, logins, || host.is_clean());
}
