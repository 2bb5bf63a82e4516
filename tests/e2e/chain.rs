//! A chain of bastions: two servers, a target behind the second, and stock OpenSSH (`-J bastion1,bastion2`).

mod behind;
mod roads;

use std::fs;
use std::path::Path;
use std::time::Duration;

use proxy::demo::Ending;
use serde_json::Value;
use tests::chain::Chain;
use tests::{World, until, until_ended, with_input, within};

use crate::{err, out};

/// How soon a cut session must be gone.
const SOON: Duration = Duration::from_secs(10);

/// How much is sent each way.
const MUCH: u32 = 8 * 1024 * 1024;

fn id(session: &Value) -> String {
    session["id"].as_str().expect("an id").to_owned()
}

/// Bytes of which no two stretches are alike.
fn bytes() -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = |_number| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_le_bytes()[3]
    };
    (0..MUCH).map(next).collect()
}

#[test]
fn a_target_behind_two_bastions_is_reached_by_stock_ssh() {
    let chain = Chain::new();
    chain.grant("10m");
    let ran = chain.ssh("echo here; echo aside >&2; exit 3");
    assert_eq!(
        (out(&ran).as_str(), err(&ran).as_str(), ran.status.code()),
        ("here\n", "aside\n", Some(3))
    );
    let near = &chain.near.ended_sessions()[0];
    assert!(near["end"].to_string().contains("complete"), "{near}");
    assert_eq!(near["target"].as_str(), Some("bastion2"), "{near}");
    assert_eq!(near["principal"].as_str(), Some("alice"), "{near}");
    let (holds, said) = chain.near.verify(&id(near));
    assert!(holds, "{said}");
    let frames = chain.near.exported(&id(near), "--jsonl");
    let at = chain.junction.addr.to_string();
    for sign in ["TG414", "`bastion2`", &at, "SHA256:", "SSH-2.0-OpenSSH"] {
        assert!(frames.contains(sign), "{sign}: {frames}");
    }
    assert_eq!(digests(&frames), 2, "one of each direction: {frames}");
    let text = chain.near.exported(&id(near), "--text");
    assert!(
        !frames.contains("aside") && !text.contains("aside"),
        "{text}"
    );
    // What was done is in the recording of the second.
    let far = &chain.far.ended_sessions()[0];
    assert_eq!(far["target"].as_str(), Some("web1"), "{far}");
    assert!(chain.far.verify(&id(far)).0);
    let text = chain.far.exported(&id(far), "--text");
    assert!(text.contains("here") && text.contains("aside"), "{text}");
    for (name, world) in [("bastion2", &chain.near), ("web1", &chain.far)] {
        let listed = world.carol().run(&["tidegate", "sessions", "ls", "--all"]);
        assert!(listed.is_ok_and(|listed| listed.contains(name)), "{name}");
    }
}

/// How many streams have a digest in a recording.
fn digests(frames: &str) -> usize {
    let lines = frames.lines();
    let each = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let has = |line: &Value| {
        let text = line.to_string();
        text.contains("\"blake3\":\"") || text.contains("\"sha256\":\"")
    };
    each.filter(has).count()
}

#[test]
fn much_goes_both_ways_unchanged() {
    let chain = Chain::new();
    chain.grant("10m");
    let (bytes, there) = (bytes(), chain.there());
    let dir = chain.near.dir().join("people/alice");
    let path = |name: &str| dir.join(name).display().to_string();
    let (input, kept, back) = (path("input"), path("there"), path("back"));
    fs::write(&input, &bytes).expect("it is written");
    let line = chain.line(&there, "cat");
    let ran = with_input(chain.near.alice(), &line, Path::new(&input));
    assert!(ran.status.success(), "{}", err(&ran));
    assert!(ran.stdout == bytes, "{} bytes came back", ran.stdout.len());
    let remote = format!("{there}:{kept}");
    let jump = ["chain-scp", "-q", "-J", "bastion1,bastion2"];
    let up = [&jump[..], &[&input, &remote]].concat();
    let down = [&jump[..], &[&remote, &back]].concat();
    chain.near.alice().run(&up).expect("scp there");
    chain.near.alice().run(&down).expect("scp back");
    assert!(fs::read(&kept).expect("it is there") == bytes);
    assert!(fs::read(&back).expect("it is back") == bytes);
    for session in chain.near.ended_sessions() {
        let counted = |way: &str| session["end"]["counters"][way].as_u64().unwrap_or_default();
        let most = counted("to_target").max(counted("to_client"));
        assert!(most > u64::from(MUCH), "{session}");
        assert!(chain.near.verify(&id(&session)).0);
    }
}

#[test]
fn several_go_through_one_connection_and_all_are_cut() {
    let chain = Chain::new();
    let (through, _) = chain.grant("10m");
    let socket = chain.near.dir().join("mux").display().to_string();
    let shared = format!(
        "Host bastion1\n  ControlMaster auto\n  ControlPath {socket}\n  ControlPersist 5\n"
    );
    chain.reconfigure(|text| text.replace("Host bastion1\n", &shared));
    let (mut ssh, _mark) = chain.begin();
    let ran = chain.ssh("echo beside");
    assert_eq!(out(&ran), "beside\n", "{}", err(&ran));
    let (mut other, _mark) = chain.begin();
    until("two are inside", || {
        (chain.near.live_sessions().len() == 2).then_some(())
    });
    chain.near.revoke(&through);
    within(SOON, "both are gone", || {
        (ssh.has_ended() && other.has_ended()).then_some(())
    });
    assert_eq!(chain.near.ended_sessions().len(), 3);
}

#[test]
fn without_a_grant_at_the_first_it_is_as_if_there_were_no_such_target() {
    let chain = Chain::new();
    chain.far.grant_ssh("10m");
    let told = |jump: &str| {
        let there = chain.there();
        let line = ["chain-ssh", "-J", jump, &there, "echo in"];
        let ran = chain.near.alice().output(&line).expect("ssh runs");
        assert!(!ran.status.success() && out(&ran).is_empty());
        err(&ran)
    };
    let said = told("bastion1,bastion2");
    assert!(said.contains("TG101"), "{said}");
    assert!(chain.near.sessions().is_empty() && chain.far.sessions().is_empty());
    chain.reconfigure(|text| text.replace("Host bastion2\n", "Host bastion2 bastion9\n"));
    let unknown = told("bastion1,bastion9");
    assert_eq!(unknown.replace("bastion9", "bastion2"), said);
}

#[test]
fn without_a_grant_at_the_second_it_is_the_second_that_refuses() {
    let chain = Chain::new();
    chain.grant_through("10m");
    let ran = chain.ssh("echo in");
    assert_eq!((ran.status.code(), out(&ran).as_str()), (Some(77), ""));
    assert!(err(&ran).contains("tidegate request web1"), "{}", err(&ran));
    assert!(chain.far.sessions().is_empty());
    assert_eq!(chain.near.ended_sessions().len(), 1);
}

/// A live session through both bastions is cut by what `cut` does, within `limit`. Gives back what alice was
/// told.
#[track_caller]
fn is_cut(chain: &Chain, limit: Duration, cut: impl FnOnce()) -> String {
    let (mut ssh, mark) = chain.begin();
    cut();
    let told = within(limit, "ssh is gone", || {
        ssh.has_ended().then(|| ssh.output())
    });
    until_ended(&mark);
    told
}

fn because(world: &World) -> String {
    let session = &world.ended_sessions()[0];
    assert!(world.verify(&id(session)).0);
    session["end"].to_string()
}

#[test]
fn a_revocation_at_the_first_cuts() {
    let chain = Chain::new();
    let (through, _) = chain.grant("10m");
    let told = is_cut(&chain, SOON, || chain.near.revoke(&through));
    assert!(told.contains("over now"), "{told}");
    assert!(because(&chain.near).contains("revoked"));
    let frames = chain
        .near
        .exported(&id(&chain.near.sessions()[0]), "--jsonl");
    assert_eq!(digests(&frames), 2, "also of what was cut: {frames}");
    chain.far.ended_sessions();
}

#[test]
fn a_revocation_at_the_second_cuts() {
    let chain = Chain::new();
    let (_, there) = chain.grant("10m");
    let told = is_cut(&chain, SOON, || chain.far.revoke(&there));
    assert!(told.contains("over now"), "{told}");
    assert!(because(&chain.far).contains("revoked"));
    assert!(because(&chain.near).contains("complete"));
}

#[test]
fn what_the_second_breaks_off_is_not_told_as_complete() {
    let mut chain = Chain::new();
    chain.grant("10m");
    let (mut ssh, _mark) = chain.begin();
    chain.far.stop_server(Ending::Kill);
    within(SOON, "ssh is gone", || ssh.has_ended().then_some(()));
    let told = because(&chain.near);
    assert!(told.contains("failed") && told.contains("TG607"), "{told}");
}

#[test]
fn the_end_of_the_grant_at_the_first_cuts() {
    let chain = Chain::new();
    chain.far.grant_ssh("10m");
    chain.grant_through("15s");
    let told = is_cut(&chain, Duration::from_secs(22), || {});
    assert!(told.contains("expired"), "{told}");
    assert!(because(&chain.near).contains("expired"));
    let ran = chain.ssh("echo in");
    assert!(!ran.status.success() && out(&ran).is_empty());
}

#[test]
fn removing_the_bastion_at_the_first_cuts() {
    let chain = Chain::new();
    chain.grant("10m");
    is_cut(&chain, SOON, || {
        let line = ["tidegate", "target", "rm", "bastion2", "--yes"];
        chain.near.bob().run(&line).expect("bob removes it");
    });
}
