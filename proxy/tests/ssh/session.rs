//! What people do with SSH, and what they are told when they may not.

use crate::house::{House, finish};

#[test]
fn a_command_runs_and_its_streams_and_status_come_back() {
    let house = House::new("exec");
    let mut ssh = house.ssh("root+web1");
    ssh.arg("echo out; echo err >&2; exit 3");
    let (status, out, err) = finish(ssh);
    assert_eq!(
        (status, out.as_str(), err.as_str()),
        (Some(3), "out\n", "err\n")
    );
    assert_eq!(house.closed(1), ["Some(Ok(Complete))"]);
}

#[test]
fn a_jump_is_an_ordinary_session() {
    let house = House::new("jump");
    let mut ssh = house.client("ssh");
    ssh.args(["-J", "localhost", "root@web1", "echo inside"]);
    let (status, out, err) = finish(ssh);
    assert_eq!(
        (status, out.as_str(), err.as_str()),
        (Some(0), "inside\n", "")
    );
    assert_eq!(house.closed(1), ["Some(Ok(Complete))"]);
}

#[test]
fn without_a_grant_a_sentence_and_status_77() {
    let house = House::new("denied");
    for user in ["nobody+web1", "root+nowhere"] {
        let mut ssh = house.ssh(user);
        ssh.arg("true");
        let (status, out, err) = finish(ssh);
        assert_eq!((status, out.as_str()), (Some(77), ""), "{err}");
        assert!(
            err.starts_with("tidegate: TG101 no active grant for"),
            "{err}"
        );
    }
}

#[test]
fn the_bastion_itself_gives_help_and_status_64() {
    let house = House::new("help");
    let (status, out, err) = finish(house.ssh("alice"));
    assert_eq!((status, out.as_str()), (Some(64), ""), "{err}");
    assert!(err.contains("ssh LOGIN+TARGET@BASTION"), "{err}");
}
