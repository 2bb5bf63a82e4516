//! Targets as they are: on IPv6, with several addresses, and not there at all.

use std::fs;

use proxy::demo::Ending;
use tests::{Setting, World};

use crate::{err, out};

/// Whether this machine has IPv6 on its loopback interface.
fn has_ipv6() -> bool {
    std::net::TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn a_target_on_ipv6_is_a_target_like_any_other() {
    if !has_ipv6() {
        return;
    }
    let world = World::with(&Setting {
        sshd: "ListenAddress ::1",
        ..Setting::default()
    });
    let (login, addr) = (world.login(), format!("[::1]:{}", world.sshd().port()));
    let line = [
        "tidegate", "target", "add", "ssh", "six", "--addr", &addr, "--login", &login,
    ];
    world.bob().run(&line).expect("bob adds it");
    let shown = world.bob().run(&["tidegate", "target", "ls", "-o", "wide"]);
    assert!(
        shown.as_ref().is_ok_and(|shown| shown.contains(&addr)),
        "{shown:?}"
    );
    let tested = world.bob().run(&["tidegate", "target", "test", "six"]);
    assert!(tested.is_ok(), "{tested:?}");
    world.grant("six", &login, "10m");
    let (port, address) = (world.ssh_port(), format!("{login}+six@localhost"));
    let line = ["ssh", "-p", &port, &address, "echo $SSH_CONNECTION"];
    let ran = world.alice().output(&line).expect("ssh runs");
    // The certificate works from our address alone, and sshd looks.
    assert!(out(&ran).starts_with("::1 "), "{}{}", out(&ran), err(&ran));
}

#[test]
fn one_door_lets_in_by_both_families() {
    if !has_ipv6() {
        return;
    }
    let mut world = World::new();
    world.grant_ssh("10m");
    let file = world.config_dir().join("tidegate.toml");
    let port = world.ssh_port();
    let text = fs::read_to_string(&file).expect("there is a configuration");
    let both = text.replace(&format!("127.0.0.1:{port}"), &format!("[::]:{port}"));
    assert_ne!(both, text);
    fs::write(&file, both).expect("it is written");
    world.stop_server(Ending::Term);
    world.serve().expect("it serves again");
    for host in ["HostName=::1", "HostName=127.0.0.1"] {
        let options = ["-o", host, "-o", "HostKeyAlias=localhost"];
        let ran = world.ssh(&options, &["echo here"]);
        assert_eq!(out(&ran), "here\n", "{host}: {}", err(&ran));
    }
}

#[test]
fn an_administrator_is_told_which_address_failed_and_why() {
    let world = World::new();
    let check = |addr: &str, sign: &str| {
        let line = [
            "tidegate", "target", "add", "ssh", "gone", "--addr", addr, "--login", "root",
        ];
        let tried = world.bob().output(&line).expect("it runs");
        let said = err(&tried);
        assert!(!tried.status.success() && said.contains(sign), "{said}");
    };
    check("127.0.0.1:1", "127.0.0.1:1: nothing listens there");
    check("no-such-name.invalid:22", "its name has no address");
    if has_ipv6() {
        check("[::1]:1", "[::1]:1: nothing listens there");
    }
    let log = world.server_log();
    assert!(log.contains("target.unreached"), "each try is in the log");
}
