//! Roads around a chain of bastions: to other servers, with other protocols, as somebody's account.

use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;

use tests::chain::{Chain, door};
use tests::with_input;

use super::id;
use crate::{err, out};

/// Alice sends this to where the first bastion finds the second, and nothing else. Gives back what came.
fn sent(chain: &Chain, what: &[u8]) -> (String, String) {
    let input = chain.near.dir().join("raw");
    fs::write(&input, what).expect("it is written");
    let line = ["chain-ssh", "-W", "bastion2:22", "bastion1"];
    let ran = with_input(chain.near.alice(), &line, Path::new(&input));
    (out(&ran), err(&ran))
}

/// How the newest session of the first bastion ended.
fn ended(chain: &Chain) -> String {
    let sessions = chain.near.ended_sessions();
    let newest = sessions
        .iter()
        .max_by_key(|session| id(session))
        .expect("a session");
    assert!(chain.near.verify(&id(newest)).0);
    newest["end"].to_string()
}

#[test]
fn nothing_but_ssh_goes_through() {
    let chain = Chain::new();
    chain.grant("10m");
    let http = b"GET / HTTP/1.1\r\nHost: web1\r\n\r\n";
    let named = [b"SSH-2.0-x\r\n".as_slice(), http].concat();
    for other in [http.as_slice(), &named, &[0, 0, 0, 8, 4, 210, 22, 47]] {
        let (came, _) = sent(&chain, other);
        let lines: Vec<&str> = came.lines().collect();
        assert_eq!(lines.first().copied(), Some("SSH-2.0-tidegate"), "{came}");
        assert!(ended(&chain).contains("TG413"), "{}", ended(&chain));
    }
    assert!(chain.far.sessions().is_empty());
}

/// What alice is told when the address of the second bastion leads elsewhere.
#[track_caller]
fn is_no_bastion(chain: &Chain, there: SocketAddr) {
    chain.junction.switch(there);
    let ran = chain.ssh("echo in");
    assert!(!ran.status.success() && out(&ran).is_empty());
    assert!(err(&ran).contains("TG402"), "{}", err(&ran));
    assert!(ended(chain).contains("TG402"), "{}", ended(chain));
    let tested = chain
        .near
        .bob()
        .output(&["tidegate", "target", "test", "bastion2"]);
    assert!(tested.is_ok_and(|tested| !tested.status.success()));
}

#[test]
fn no_other_server_is_reached_at_the_address_of_a_bastion() {
    let chain = Chain::new();
    chain.grant("10m");
    // A plain sshd; a tidegate with another host key; something that only begins as one.
    is_no_bastion(&chain, chain.far.sshd().addr());
    is_no_bastion(&chain, door(&chain.near));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let there = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            drop(stream.write_all(b"SSH-2.0-tidegate\r\nHTTP/1.1 200 OK\r\n\r\nhello hello hello"));
        }
    });
    is_no_bastion(&chain, there);
    assert!(chain.far.sessions().is_empty());
}

#[test]
fn nobody_logs_in_at_a_bastion_from_here() {
    let chain = Chain::new();
    chain.grant("10m");
    let port = chain.near.ssh_port();
    let direct = ["ssh", "-p", &port, "jump+bastion2@localhost", "echo in"];
    let ran = chain.near.alice().output(&direct).expect("ssh runs");
    assert!(!ran.status.success() && out(&ran).is_empty());
    let said = err(&ran);
    assert!(said.contains("TG412") && said.contains("ssh -J"), "{said}");
    // Not by a forward of another target's session, nor as another account.
    let to = format!("127.0.0.1:{}", chain.far.doors().ssh);
    chain.near.grant_ssh("10m");
    assert!(!chain.near.ssh(&["-W", &to], &[]).status.success());
    let other = ["ssh", "-p", &port, "root+bastion2@localhost", "echo in"];
    let ran = chain.near.alice().output(&other).expect("ssh runs");
    assert!(err(&ran).contains("TG101"), "{}", err(&ran));
    assert!(chain.far.sessions().is_empty());
}

#[test]
fn no_server_becomes_a_bastion_that_is_none() {
    let chain = Chain::new();
    let sshd = chain.near.sshd().addr().to_string();
    let add = |kind: &str, more: &[&str]| {
        let line = ["tidegate", "target", "add", kind, "bastion3"];
        let line = [&line[..], more].concat();
        let ran = chain.near.bob().output(&line).expect("it runs");
        assert!(!ran.status.success(), "{}", out(&ran));
        err(&ran)
    };
    let said = add("bastion", &["--addr", &sshd]);
    assert!(said.contains("no tidegate answers there"), "{said}");
    let addr = chain.junction.addr.to_string();
    let other = chain.near.sshd().host_key();
    let said = add("bastion", &["--addr", &addr, "--host-key", other]);
    assert!(said.contains("another host key"), "{said}");
    // Nor does it stand in front of another target.
    let behind = ["--addr", &sshd, "--login", "root", "--jump", "bastion2"];
    let said = add("ssh", &behind);
    assert!(said.contains("is a bastion"), "{said}");
    let listed = chain.near.bob().run(&["tidegate", "target", "ls"]);
    let listed = listed.expect("bob lists them");
    assert!(
        listed.contains("jump (bastion)") && !listed.contains("bastion3"),
        "{listed}"
    );
    let tested = chain
        .near
        .bob()
        .run(&["tidegate", "target", "test", "bastion2"]);
    assert!(tested.is_ok(), "{tested:?}");
}
