//! Keys in tokens, which the door does not take: they keep nobody from the key behind them.

use std::path::PathBuf;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, SkEd25519};
use russh::keys::ssh_key::public;

use crate::agent::Agent;
use crate::world::{World, finish, key};

/// What stands for a token's key on disk. Where the token is, nobody looks before it is asked to sign.
fn token(world: &World, seed: u8) -> PathBuf {
    let point = Ed25519Keypair::from_seed(&[seed; 32]).public;
    let held = SkEd25519::new(public::SkEd25519::new(point, "ssh:"), 1, [seed; 64]).unwrap();
    world.put_key(&format!("token-{seed}"), &PrivateKey::from(held))
}

/// Logs in with whatever this agent has, in its order.
fn log_in(world: &World, agent: &Agent) -> (Option<i32>, String, String) {
    let mut ssh = world.bare_client("ssh");
    ssh.arg("-o");
    ssh.arg(format!("IdentityAgent={}", agent.socket.display()));
    ssh.args(["root+web1@localhost", "echo in"]);
    finish(ssh)
}

#[test]
fn a_registered_key_is_reached_behind_seven_tokens() {
    let world = World::new("tokens");
    let agent = Agent::empty(&world);
    for seed in 101..=107 {
        agent.takes(&token(&world, seed));
    }
    agent.takes(&world.dir.join("registered"));
    let (status, out, err) = log_in(&world, &agent);
    assert_eq!((status, out.as_str()), (Some(0), "in\n"), "{err}");
}

#[test]
fn of_keys_that_prove_nothing_six_are_looked_at() {
    for (wrong, is_in) in [(5, true), (6, false)] {
        let world = World::new(&format!("wrong-{wrong}"));
        let agent = Agent::empty(&world);
        for seed in 111..111 + wrong {
            agent.takes(&world.put_key(&format!("wrong-{seed}"), &key(seed)));
        }
        agent.takes(&world.dir.join("registered"));
        let (status, out, err) = log_in(&world, &agent);
        assert_eq!(
            (status, out == "in\n"),
            (Some(if is_in { 0 } else { 255 }), is_in),
            "{wrong}: {err}"
        );
    }
}
