//! An account for each grant: what a session is at the machine, and that nothing of it stays.

use std::process::Output;

use ca::{AccountsOrder, Authority, Intent, Journal, JournalError, Outcome, PassKey, Serial};
use policies::{Login, TargetName};
use proxy::demo::Ending;
use tests::accounts::{AccountHost, OWN_PROGRAM};
use tests::sshpeer::{Message, msg};
use tests::{World, until};

use crate::requests::{hear, running};
use crate::{err, out};

/// Alice runs a command at the target.
fn run(world: &World, login: &str, command: &str) -> Output {
    let (port, address) = (world.ssh_port(), format!("{login}+acct1@localhost"));
    let line = ["ssh", "-p", &port, &address, command];
    world.alice().output(&line).expect("ssh runs")
}

/// Whether a process is there that was started like this.
fn runs(host: &AccountHost, sign: &str) -> bool {
    host.inside(&["pgrep", "-f", sign]).status.success()
}

fn doctor(world: &World) -> String {
    out(&world.doctor())
}

#[test]
fn a_session_is_its_grants_own_account_and_that_goes_with_the_grant() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    assert!(host.traces().is_empty());
    let tested = world.bob().run(&["tidegate", "target", "test", "acct1"]);
    assert!(tested.is_ok(), "{tested:?}");
    let grant = world.grant("acct1", "deploy", "10m");
    let account = host.has(&grant);
    let ran = run(&world, "deploy", "id -un; id -Gn; stat -c %a ~; pwd");
    let want = format!("{account}\n{account} deploy\n700\n/home/{account}\n");
    assert_eq!(out(&ran), want, "{}", err(&ran));
    // Another grant has another one, also meanwhile.
    let other = world.grant("acct1", "ops", "10m");
    let another = host.has(&other);
    let ran = run(&world, "ops", "id -un; id -Gn");
    assert_eq!(
        out(&ran),
        format!("{another}\n{another} ops\n"),
        "{}",
        err(&ran)
    );
    let left = "nohup setsid sh -c 'trap \"\" TERM HUP; while :; do sleep 7301; done' >/dev/null 2>&1 & echo left";
    let ran = run(&world, "deploy", left);
    assert_eq!(out(&ran), "left\n", "{}", err(&ran));
    assert!(runs(&host, "sleep 7301"));
    world.revoke(&grant);
    until("the first is gone", || {
        (!host.traces().contains(&account)).then_some(())
    });
    assert!(!runs(&host, "sleep 7301"), "what was left behind is ended");
    assert_eq!(out(&run(&world, "ops", "id -un")), format!("{another}\n"));
    world.revoke(&other);
    host.is_clean();
    // A target without accounts is as it was.
    world.grant_ssh("10m");
    let ran = world.ssh(&[], &["id", "-un"]);
    assert_eq!(out(&ran), format!("{}\n", world.login()), "{}", err(&ran));
}

/// Somebody's own way of making accounts: as `docs/operating.md` describes what is wanted of it, and no more.
const OWN: &str = r#"#!/bin/sh
set -e
echo "$@" >> /var/lib/own-orders
in_time() { [ "$(date +%s)000000" -le "$1" ] || { echo "too late" >&2; exit 1; }; }
case $1 in
make)
    in_time "$5"
    id "$2" >/dev/null 2>&1 || useradd -m -p "*" -s /bin/sh -c own -e "$4" -G "$3" "$2"
    echo "made $2" ;;
remove)
    in_time "$3"
    ! id "$2" >/dev/null 2>&1 || { pkill -KILL -u "$2" || :; userdel -f -r "$2" 2>/dev/null; }
    echo "removed $2" ;;
list)
    echo "listed $(grep -c '^tg-' /etc/passwd) orders-end" ;;
*)
    exit 2 ;;
esac
"#;

#[test]
fn accounts_are_made_and_removed_by_a_program_of_ones_own() {
    let world = World::new();
    let Some(host) = AccountHost::start_with_own(&world, OWN) else {
        return;
    };
    let tested = world.bob().run(&["tidegate", "target", "test", "acct1"]);
    assert!(tested.is_ok(), "{tested:?}");
    let shown = world.bob().json(&["target", "show", "acct1"]);
    let shown = shown.expect("it is shown").to_string();
    assert!(shown.contains(OWN_PROGRAM), "{shown}");
    let grant = world.grant("acct1", "deploy", "10m");
    let account = host.has(&grant);
    let ran = run(
        &world,
        "deploy",
        "id -un; id -Gn; getent passwd $(id -un) | cut -d: -f5",
    );
    let want = format!("{account}\n{account} deploy\nown\n");
    assert_eq!(out(&ran), want, "{}", err(&ran));
    world.revoke(&grant);
    host.is_clean();
    let orders = out(&host.inside(&["cat", "/var/lib/own-orders"]));
    let begins = |sign: &str| orders.lines().any(|line| line.starts_with(sign));
    assert!(
        begins("list")
            && begins(&format!("make {account} deploy 20"))
            && begins(&format!("remove {account} ")),
        "{orders}"
    );
    assert!(!doctor(&world).contains(&account));
}

/// As somebody who is not root: of root's programs sshd keeps no parent that could send it.
#[test]
fn a_signal_reaches_what_runs_at_the_target() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    let grant = world.grant("acct1", "deploy", "10m");
    host.has(&grant);
    let waits = "trap 'echo heard USR1' USR1; trap 'echo heard TERM; exit 7' TERM; echo ready; while :; do sleep 0.05; done";
    let (mut peer, channel) = running(&world, "deploy+acct1", waits);
    hear(&mut peer, "ready\n");
    let signal = Message::new(msg::CHANNEL_REQUEST)
        .number(channel)
        .string("signal")
        .byte(0);
    for name in ["USR1", "TERM"] {
        peer.send(&signal.clone().string(name)).expect("it is sent");
        hear(&mut peer, &format!("heard {name}\n"));
    }
}

#[test]
fn a_crash_at_any_moment_leaves_no_account() {
    let mut world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    for millis in [0_u64, 150, 600, 1500] {
        let grant = world.grant("acct1", "deploy", "10m");
        std::thread::sleep(std::time::Duration::from_millis(millis));
        world.stop_server(Ending::Kill);
        world.serve().expect("the server starts again");
        // One that was not finished is made anew with the first session.
        let account = grant.replace("grt_", "tg-");
        let ran = run(&world, "deploy", "id -un");
        assert_eq!(out(&ran), format!("{account}\n"), "{}", err(&ran));
        world.revoke(&grant);
        std::thread::sleep(std::time::Duration::from_millis(millis));
        world.stop_server(Ending::Kill);
        world.serve().expect("the server starts again");
        host.is_clean();
    }
}

#[test]
fn an_account_that_cannot_be_removed_is_an_alarm_until_it_is() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    let grant = world.grant("acct1", "deploy", "10m");
    let account = host.has(&grant);
    let script = "/usr/local/sbin/tidegate-target";
    let aside = "/usr/local/sbin/aside";
    assert!(host.inside(&["mv", script, aside]).status.success());
    world.revoke(&grant);
    until("the doctor says so", || {
        doctor(&world)
            .contains(&format!("account {account}"))
            .then_some(())
    });
    assert!(host.inside(&["mv", aside, script]).status.success());
    host.is_clean();
    until("the alarm ends", || {
        (!doctor(&world).contains(&format!("account {account}"))).then_some(())
    });
}

#[test]
fn hostile_arguments_are_refused() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    let (day, ends) = ("2999-01-01", "1769817660000000");
    let lines: [&[&str]; 22] = [
        &[],
        &["list", "x"],
        &["shell"],
        &["make", "root", "deploy", day, ends],
        &["make", "tg-", "deploy", day, ends],
        &["make", "tg-A", "deploy", day, ends],
        &["make", "tg-a/../b", "deploy", day, ends],
        &["make", "tg-a;id", "deploy", day, ends],
        &["make", "tg-$(id)", "deploy", day, ends],
        &["make", "tg-a\nb", "deploy", day, ends],
        &[
            "make",
            "tg-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "deploy",
            day,
            ends,
        ],
        &["make", "tg-a", "root", day, ends],
        &["make", "tg-a", "deploy ops", day, ends],
        &["make", "tg-a", "-G", day, ends],
        &["make", "tg-a", "deploy", "never", ends],
        &["make", "tg-a", "deploy", day],
        &["make", "tg-a", "deploy", day, "tomorrow"],
        &["make", "tg-a", "deploy", day, "99999999999999999999"],
        &["remove", "root", ends],
        &["remove", "../home", ends],
        &["remove", "tg-a"],
        &["remove", "tg-a", "-1"],
    ];
    for line in lines {
        let whole = [&["/usr/local/sbin/tidegate-target"], line].concat();
        let ran = host.inside(&whole);
        assert_eq!(ran.status.code(), Some(2), "{line:?}: {}", err(&ran));
    }
    // An account that only is called like ours is somebody else's.
    assert!(
        host.inside(&["useradd", "-M", "tg-theirs"])
            .status
            .success()
    );
    let ran = host.order(&["remove", "tg-theirs"], 30);
    assert!(err(&ran).contains("made by somebody else"), "{}", err(&ran));
    assert!(host.traces().contains(&"tg-theirs".to_owned()));
    let made = host.inside(&["groupadd", "-g", "5999", "tg-alone"]);
    assert!(made.status.success());
    let ran = host.order(&["remove", "tg-alone"], 30);
    assert!(err(&ran).contains("made by somebody else"), "{}", err(&ran));
    assert!(host.traces().contains(&"tg-alone".to_owned()));
}

/// Writes nothing down.
struct NoJournal;

impl Journal for NoJournal {
    async fn intend(&self, _intent: &Intent) -> Result<(), JournalError> {
        Ok(())
    }

    async fn conclude(&self, _serial: &Serial, _outcome: &Outcome) -> Result<(), JournalError> {
        Ok(())
    }
}

#[tokio::test]
async fn the_certificate_that_makes_accounts_can_do_nothing_else() {
    let world = World::new();
    let Some(host) = AccountHost::start(&world) else {
        return;
    };
    let passphrase = std::fs::read_to_string(world.config_dir().join("passphrase"));
    let passphrase = passphrase.expect("a passphrase");
    let passphrase = ca::Passphrase::parse(&passphrase).expect("a passphrase");
    let authority =
        Authority::open(&world.state_dir().join("authority"), &passphrase).expect("keys");
    let (target, admin) = (
        TargetName::parse("acct1").unwrap(),
        Login::parse("root").unwrap(),
    );
    let mut rng = control::entropy::rng();
    let order = AccountsOrder {
        target: &target,
        grant: None,
        admin: &admin,
        command: "/usr/local/sbin/tidegate-target list".to_owned(),
        source_address: None,
        now: jiff::Timestamp::now(),
        rng: &mut rng,
    };
    let key = authority
        .issue_accounts(order, &NoJournal)
        .await
        .expect("a certificate");
    let PassKey::Ssh { key, certificate } = key else {
        panic!("it is for SSH");
    };
    let config = tests::ssh::config();
    let addr = ("127.0.0.1", host.port());
    let connecting = russh::client::connect(config, addr, tests::ssh::Trusting);
    let mut handle = connecting.await.expect("it answers");
    let mut signer = &key;
    let entering =
        handle.authenticate_certificate_with("root", certificate.clone(), None, &mut signer);
    assert!(entering.await.expect("an answer").success());
    for asked in [
        "id",
        "sh -c 'touch /tmp/x'",
        "/usr/local/sbin/tidegate-target remove tg-a 1769817660000000",
    ] {
        let answer = tests::ssh::exec(&handle, asked).await.expect("it runs");
        assert_eq!(answer.out, b"listed 0 orders-end\n", "{asked}");
    }
    let sftp = handle.channel_open_session().await.expect("a channel");
    sftp.request_subsystem(true, "sftp")
        .await
        .expect("it is asked");
    let answer = tests::ssh::answer(sftp).await;
    assert_eq!(answer.out, b"listed 0 orders-end\n");
    let onward =
        handle.channel_open_direct_tcpip("127.0.0.1", u32::from(host.port()), "127.0.0.1", 1);
    assert!(onward.await.is_err(), "no forwarding");
    let mut handle = russh::client::connect(tests::ssh::config(), addr, tests::ssh::Trusting)
        .await
        .expect("it answers");
    let entering = handle.authenticate_certificate_with("deploy", certificate, None, &mut signer);
    assert!(!entering.await.is_ok_and(|answer| answer.success()));
}
