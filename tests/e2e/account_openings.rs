//! A grant that is revoked while the account for it is made at a slow target, or somebody goes there as it: nobody gets
//! in, and no account stays.

use std::fs;

use proxy::demo::said;
use tests::World;
use tests::accounts::AccountHost;
use tests::holdup::Holdup;

use crate::opening::{Afterwards, MESSAGES_MAX, Opening};
use crate::out;

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
    for (tried, messages) in (0..MESSAGES_MAX).step_by(step).enumerate() {
        let mut let_in = 0;
        let Some(revoked) = opening.revoked_behind(messages, || let_in = logins()) else {
            assert!(tried > 3, "{tried}");
            assert!(logins() > 0, "where nobody revokes anything it is let in");
            host.is_clean();
            return;
        };
        let ran = revoked.ran;
        assert!(
            !ran.status.success() && out(&ran).is_empty(),
            "behind {messages}"
        );
        assert!(
            said(&ran).contains("over now"),
            "behind {messages}: {}",
            said(&ran)
        );
        host.is_clean();
        assert_eq!(
            logins(),
            let_in,
            "nobody comes as the account, behind {messages}"
        );
    }
    panic!("it never gets through");
}
