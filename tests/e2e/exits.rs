//! Exit codes and troubles, one table: what is typed, by whom, and what scripts see.

use std::fs;
use std::process::{Command, Output};

use proxy::demo::Person;
use serde_json::Value;
use tests::{World, binary, until};

use crate::{err, out};

/// A line, run by a person plainly and with `-o json`: it exits with `want` both times, says three lines
/// the first time and one JSON object with the same code the second.
#[track_caller]
fn check(person: &Person, line: &[&str], want: i32) -> Value {
    let run = |output: &[&str]| -> Output {
        let whole = [&["tidegate"], line, output].concat();
        person.output(&whole).expect("it runs")
    };
    let plain = run(&[]);
    assert_eq!(plain.status.code(), Some(want), "{line:?}: {}", err(&plain));
    for sign in ["error: ", "\n  why: ", "\n  try: "] {
        assert!(err(&plain).contains(sign), "{line:?}: {}", err(&plain));
    }
    let json = run(&["-o", "json"]);
    assert_eq!(json.status.code(), Some(want), "{line:?}: {}", err(&json));
    let told: Value = serde_json::from_str(err(&json).trim())
        .unwrap_or_else(|odd| panic!("{line:?}: {odd}: {}", err(&json)));
    assert_eq!(told["schema"], "tidegate.error/1", "{line:?}");
    assert_eq!(told["exit"], want, "{line:?}");
    for field in ["code", "message", "why", "hint"] {
        let text = told[field].as_str().unwrap_or_default();
        assert!(!text.trim().is_empty(), "{line:?}: {field}: {told}");
    }
    told
}

/// What bob types, with words in capitals for what differs from run to run, and what it exits with.
const TABLE: &[(&str, i32)] = &[
    ("login -i /nonexistent", 1),
    ("login -i TEXT", 1),
    ("user add dan --key /nonexistent", 1),
    ("policy check /nonexistent", 1),
    ("serve --config-dir /nonexistent", 1),
    ("check-config --config-dir /nonexistent", 1),
    ("target add ssh w --addr 127.0.0.1:1 --login x", 1),
    ("requst", 2),
    ("request web1", 2),
    ("request web1 --for soon --reason x", 2),
    ("user add dan --key TEXT", 2),
    ("target rm web1", 2),
    ("target set web1", 2),
    ("target set nowhere --label a=b", 6),
    ("target set web1 --addr 127.0.0.1:1", 1),
    ("target rm nowhere", 6),
    ("user rm nobody", 6),
    ("user rm alice", 2),
    ("policy apply POLICY", 2),
    ("revoke --target web1 --reason x", 6),
    ("--state-dir EMPTY ls", 3),
    ("--state-dir EMPTY status", 3),
    ("--state-dir EMPTY ensure", 3),
    ("approve OWN", 4),
    ("requests show OWN --wait=1s", 5),
    ("request nowhere --as x --reason x", 6),
    ("requests show req_zzzzzz", 6),
    ("revoke --user nobody --reason x --yes", 6),
    ("approve WITHDRAWN", 7),
    ("user add alice --key ALICE", 7),
    // Nothing listens there: whether the name is free is asked before anything is looked at.
    ("target add ssh web1 --addr 127.0.0.1:1 --login x", 7),
    (
        "target add pg web1 --addr 127.0.0.1:1 --dbname x --role x",
        7,
    ),
    ("--bastion https://localhost:1 --state-dir EMPTY login", 8),
    (
        "--bastion URL --state-dir EMPTY login --ca-fingerprint SHA256:no",
        2,
    ),
    (
        "--bastion URL --state-dir EMPTY login \
         --ca-fingerprint SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        9,
    ),
];

#[test]
fn every_way_to_fail_has_its_code() {
    let world = World::new();
    let withdrawn = world.request("web1", &world.login(), "10m");
    let withdraw = ["tidegate", "withdraw", &withdrawn];
    world.alice().run(&withdraw).unwrap();
    let own = world.request("web1", &world.login(), "10m");
    let text = world.dir().join("text");
    fs::write(&text, "no key").unwrap();
    let known = [
        ("TEXT", text.display().to_string()),
        ("EMPTY", world.dir().join("empty").display().to_string()),
        ("URL", world.doors().url()),
        (
            "POLICY",
            world.config_dir().join("policy").display().to_string(),
        ),
        ("ALICE", format!("{}.pub", world.alice().key().display())),
        ("WITHDRAWN", withdrawn),
        ("OWN", own),
    ];
    for (line, want) in TABLE {
        let own = line.split(' ').any(|word| word == "OWN");
        let person = if own { world.alice() } else { world.bob() };
        let filled = |word| {
            let meant = known.iter().find(|(name, _)| *name == word);
            meant.map_or(word, |(_, meant)| meant.as_str())
        };
        let words: Vec<&str> = line.split(' ').map(filled).collect();
        check(person, &words, *want);
    }
}

#[test]
fn mistakes_of_files_are_json_with_their_places() {
    let world = World::new();
    let dir = world.dir().join("wrong");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("tidegate.toml"), "[ssh]\nlisten = [\"nowhere\"]\n").unwrap();
    fs::write(
        dir.join("a.cedar"),
        "permit (principal, action, resorce);\n",
    )
    .unwrap();
    let dir = dir.display().to_string();
    for line in [
        ["check-config", "--config-dir", &dir].as_slice(),
        &["serve", "--config-dir", &dir],
        &["policy", "check", &dir],
    ] {
        let told = check(world.bob(), line, 2);
        let all = told["mistakes"].as_array().expect("mistakes");
        let first = all.last().expect("a mistake");
        assert!(first["line"].is_u64() && first["column"].is_u64(), "{told}");
        assert!(first["file"].is_string() && first["message"].is_string());
    }
}

#[test]
fn ctrl_c_exits_130() {
    let world = World::new();
    let line = ["tidegate", "sessions", "watch"];
    let mut watch = world.bob().command(line).spawn().unwrap();
    until("it listens for signals", || {
        // The shell that becomes it may catch this one as well.
        let program = fs::read_link(format!("/proc/{}/exe", watch.id())).ok()?;
        let is_shell = program != fs::canonicalize(binary::tidegate()).ok()?;
        let status = fs::read_to_string(format!("/proc/{}/status", watch.id())).ok()?;
        let caught = status.lines().find(|line| line.starts_with("SigCgt:"))?;
        let mask = u64::from_str_radix(caught.split_whitespace().nth(1)?, 16).ok()?;
        (mask & 2 != 0 && !is_shell).then_some(())
    });
    proxy::demo::signal(watch.id(), "INT");
    assert_eq!(watch.wait().unwrap().code(), Some(130));
}

#[test]
fn help_ends_in_an_example() {
    let helped = Command::new(binary::tidegate())
        .args(["request", "--help"])
        .output()
        .unwrap();
    assert!(helped.status.success());
    assert!(
        out(&helped).contains("tidegate request web1 --as deploy"),
        "{}",
        out(&helped)
    );
}
