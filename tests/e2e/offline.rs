//! What is done to the store of a server that does not run: proving it, and putting policies in force.

use std::process::Output;

use proxy::demo::Ending;
use tests::World;

use crate::{err, out};

/// Carol runs something, who needs no right at the server for it.
fn run(world: &World, line: &[&str]) -> Output {
    let line = [&["tidegate"], line].concat();
    world.carol().output(&line).expect("it runs")
}

#[test]
fn the_audit_log_is_proven_over_the_api_and_in_the_store_and_against_a_kept_line() {
    let mut world = World::new();
    world.grant_ssh("10m");
    assert!(world.ssh(&[], &["true"]).status.success());
    let proven = world.carol().json(&["audit", "verify"]).expect("it holds");
    let (last, digest) = (&proven["last"], proven["digest"].as_str());
    let kept = format!("{last}:{}", digest.expect("a digest"));
    let other = format!("{last}:{}", "0".repeat(64));
    let beyond = format!("100000:{}", "0".repeat(64));
    let state = world.state_dir().display().to_string();
    let offline = ["--server-state-dir", state.as_str()];
    let ran = run(&world, &[&["audit", "verify"], &offline[..]].concat());
    assert!(err(&ran).contains("stop the server first"), "{}", err(&ran));
    for place in [&[][..], &offline] {
        if !place.is_empty() {
            world.stop_server(Ending::Term);
        }
        for (kept, code, sign) in [
            (&kept, 0, "is what was written"),
            (&other, 9, "was rewritten"),
            (&beyond, 9, "was cut short"),
        ] {
            let ran = run(
                &world,
                &[&["audit", "verify", "--kept", kept], place].concat(),
            );
            let said = out(&ran) + &err(&ran);
            assert_eq!(ran.status.code(), Some(code), "{said}");
            assert!(said.contains(sign), "{said}");
        }
    }
}

/// A new one would know nobody, and have no past.
#[test]
fn no_store_is_made_in_the_place_of_one_that_is_gone() {
    let mut world = World::new();
    world.stop_server(Ending::Term);
    let store = world.state_dir().join("store.sqlite");
    std::fs::rename(&store, world.dir().join("elsewhere")).expect("it is moved");
    let config = world.config_dir().display().to_string();
    for believe in [&[][..], &["--believe-log"]] {
        let ran = run(
            &world,
            &[&["serve", "--config-dir", &config], believe].concat(),
        );
        assert!(err(&ran).contains("TG709"), "{}", err(&ran));
        assert!(!store.exists());
    }
}

#[test]
fn policies_are_put_in_force_where_no_server_runs() {
    let mut world = World::new();
    world.grant_ssh("10m");
    assert!(world.ssh(&[], &["true"]).status.success());
    let policies = world.config_dir().join("policy");
    let shut = "@id(\"shut\")\n@reason(\"Closed for repairs.\")\nforbid (principal, action, resource is Jit::SshHost);\n";
    std::fs::write(policies.join("shut.cedar"), shut).expect("it is written");
    let (policies, state) = (
        policies.display().to_string(),
        world.state_dir().display().to_string(),
    );
    let apply = ["policy", "apply", &policies, "--server-state-dir", &state];
    let ran = run(&world, &apply);
    assert!(err(&ran).contains("stop the server first"), "{}", err(&ran));
    assert!(world.ssh(&[], &["true"]).status.success());
    world.stop_server(Ending::Term);
    let in_berlin = [&apply[..], &["--zone", "Europe/Berlin"]].concat();
    for (line, warning) in [
        (&in_berlin[..], "in UTC, and in Europe/Berlin with this"),
        (&apply, ""),
    ] {
        let ran = run(&world, line);
        let said = err(&ran);
        assert!(ran.status.success() && said.contains(warning), "{said}");
        let zone = "hours in Europe/Berlin";
        assert!(out(&ran).contains(zone), "{}", out(&ran));
    }
    world.serve().expect("it comes up again");
    let ran = world.ssh(&[], &["true"]);
    let said = out(&ran) + &err(&ran);
    assert!(!ran.status.success(), "{said}");
    assert!(said.contains("Closed for repairs (policy shut)"), "{said}");
}
