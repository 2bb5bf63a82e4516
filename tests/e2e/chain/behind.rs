//! A bastion that another target stands in front of.

use std::fs;
use std::path::Path;

use proxy::demo::Ending;
use tests::chain::Chain;
use tests::{with_input, within};

use super::{SOON, because, bytes};
use crate::err;

/// One whose second bastion is reached through `web1`.
fn chain() -> Chain {
    let chain = Chain::new();
    let addr = chain.junction.addr.to_string();
    let bob = chain.near.bob();
    bob.run(&["tidegate", "target", "rm", "bastion2", "--yes"])
        .expect("bob removes it");
    let add = ["tidegate", "target", "add", "bastion", "bastion2", "--addr"];
    bob.run(&[&add[..], &[&addr, "--jump", "web1"]].concat())
        .expect("bob adds it behind web1");
    chain
}

/// What is carried waits for the host in front, and goes on with it, both ways at once.
#[test]
fn much_goes_both_ways_through_a_host_in_front() {
    let chain = chain();
    chain.grant("10m");
    let (bytes, there) = (bytes(), chain.there());
    let input = chain.near.dir().join("people/alice/input");
    fs::write(&input, &bytes).expect("it is written");
    let line = chain.line(&there, "cat");
    let ran = with_input(chain.near.alice(), &line, Path::new(&input));
    assert!(ran.status.success(), "{}", err(&ran));
    assert!(ran.stdout == bytes, "{} bytes came back", ran.stdout.len());
}

/// The host in front ends what it carries in its own way: a channel's end, and no connection's.
#[test]
fn what_breaks_off_behind_a_host_in_front_is_not_told_as_complete() {
    let mut chain = chain();
    chain.grant("10m");
    let (mut ssh, _mark) = chain.begin();
    chain.far.stop_server(Ending::Kill);
    within(SOON, "ssh is gone", || ssh.has_ended().then_some(()));
    let told = because(&chain.near);
    assert!(told.contains("failed") && told.contains("TG607"), "{told}");
}
