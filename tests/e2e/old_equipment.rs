//! Equipment that knows no algorithms of this decade (`target add ssh --legacy-algorithms`), and that no other target
//! hears of those.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proxy::demo::{Signals, Sshd, SshdOptions};
use tests::World;

use crate::{err, out};

/// Runs `ssh-keygen` for an RSA key without a passphrase.
fn rsa(at: &Path) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-C", "x", "-f"]);
    let made = keygen.arg(at).status().expect("ssh-keygen runs");
    assert!(made.success());
}

/// An sshd with an RSA host key that lets one RSA key in, and that key.
fn sshd(world: &World, name: &str, lines: &str) -> (Sshd, PathBuf) {
    let dir = world.dir().join(name);
    fs::create_dir(&dir).expect("a directory");
    let key = dir.join("kept");
    rsa(&key);
    rsa(&dir.join("host_key"));
    let let_in = key.with_extension("pub").display().to_string();
    let options = SshdOptions {
        dir: &dir,
        user_ca: None,
        extra: &format!("AuthorizedKeysFile {let_in}\n{lines}"),
        signals: Signals::Shared,
    };
    (Sshd::start(&options).expect("sshd starts"), key)
}

/// An sshd that speaks nothing but this, and signs with SHA-1. It says that it verifies RSA by newer digests as every sshd
/// of this decade does, whatever its configuration is.
fn old(world: &World, name: &str, (kex, cipher, mac): (&str, &str, &str)) -> (Sshd, PathBuf) {
    let lines =
        format!("KexAlgorithms {kex}\nCiphers {cipher}\nMACs {mac}\nHostKeyAlgorithms ssh-rsa");
    sshd(world, name, &lines)
}

/// Bob adds it, with what it is entered by and these options.
fn add(world: &World, name: &str, (sshd, key): &(Sshd, PathBuf), options: &[&str]) -> Output {
    let (addr, login, key) = (
        sshd.addr().to_string(),
        world.login(),
        key.display().to_string(),
    );
    let line = [
        "tidegate",
        "target",
        "add",
        "ssh",
        name,
        "--addr",
        &addr,
        "--login",
        &login,
        "--vault-key",
        &key,
    ];
    let line = [&line[..], options].concat();
    world.bob().output(&line).expect("it runs")
}

/// Alice runs a command at a target.
fn run(world: &World, name: &str) -> Output {
    world.grant(name, &world.login(), "10m");
    let (port, address) = (
        world.ssh_port(),
        format!("{}+{name}@localhost", world.login()),
    );
    let line = ["ssh", "-p", &port, &address, "echo here"];
    world.alice().output(&line).expect("ssh runs")
}

const OLDEST: (&str, &str, &str) = ("diffie-hellman-group14-sha1", "aes128-cbc", "hmac-sha1");

#[test]
fn equipment_that_knows_nothing_newer_is_entered_where_its_target_says_so() {
    let world = World::new();
    let there = old(&world, "switch", OLDEST);
    let added = add(&world, "switch", &there, &["--legacy-algorithms"]);
    assert!(added.status.success(), "{}", err(&added));
    let ran = run(&world, "switch");
    assert_eq!(out(&ran), "here\n", "{}", err(&ran));
    // Whoever adds it is told whether tidegate gets in.
    let others = [
        (
            "diffie-hellman-group-exchange-sha1",
            "aes256-cbc",
            "hmac-sha1-etm@openssh.com",
        ),
        (
            "diffie-hellman-group-exchange-sha256",
            "aes256-cbc",
            "hmac-sha2-256",
        ),
        ("ecdh-sha2-nistp256", "aes256-cbc", "hmac-sha1"),
    ];
    for (number, spoken) in others.into_iter().enumerate() {
        let name = format!("switch{number}");
        let there = old(&world, &name, spoken);
        let added = add(&world, &name, &there, &["--legacy-algorithms"]);
        let said = out(&added) + &err(&added);
        assert!(said.contains("and ready"), "{spoken:?}: {said}");
    }
}

#[test]
fn without_saying_so_such_equipment_is_refused_and_it_is_told_why() {
    let world = World::new();
    let there = old(&world, "switch1", OLDEST);
    let added = add(&world, "switch1", &there, &[]);
    let said = err(&added);
    assert!(!added.status.success(), "{said}");
    assert!(
        said.contains("TG658") && said.contains("none of the host keys, key exchanges"),
        "{said}"
    );
    assert!(said.contains("--legacy-algorithms"), "{said}");
    // One part that is old is enough, also where the key is known.
    let good = (
        "curve25519-sha256",
        "aes256-gcm@openssh.com",
        "hmac-sha2-256",
    );
    let each = [
        ("old-kex", (OLDEST.0, good.1, good.2), "rsa-sha2-512"),
        ("old-cipher", (good.0, OLDEST.1, good.2), "rsa-sha2-512"),
        ("old-mac", (good.0, "aes128-ctr", OLDEST.2), "rsa-sha2-512"),
        ("old-signature", good, "ssh-rsa"),
    ];
    for (name, (kex, cipher, mac), signature) in each {
        let lines = format!(
            "KexAlgorithms {kex}\nCiphers {cipher}\nMACs {mac}\nHostKeyAlgorithms {signature}"
        );
        let there = sshd(&world, name, &lines);
        let host_key = there.0.host_key().to_owned();
        let added = add(&world, name, &there, &["--host-key", &host_key]);
        let said = out(&added) + &err(&added);
        assert!(
            !said.contains("and ready") && said.contains("none of the host keys, key exchanges"),
            "{name}: {said}"
        );
        assert!(said.contains("--legacy-algorithms"), "{name}: {said}");
        let ran = run(&world, name);
        assert!(
            err(&ran).contains("TG404") && err(&ran).contains("none of the algorithms"),
            "{name}: {}",
            err(&ran)
        );
    }
}

/// What tidegate offered an sshd, each time: the lists of its first message, told at `DEBUG2`.
fn offered(sshd: &Sshd) -> Vec<Vec<String>> {
    let log = fs::read_to_string(sshd.dir().join("sshd.log")).expect("it has a log");
    let each = log.split("peer client KEXINIT proposal").skip(1);
    let lists = |said: &str| -> Vec<String> {
        let lines = said.lines().filter_map(|line| line.split_once("debug2: "));
        let lists = lines.filter_map(|(_, list)| list.split_once(": "));
        // Four kinds, two of them for each direction.
        let plain = |list: &str| list.trim_end_matches(" [preauth]").to_owned();
        lists.take(6).map(|(_, list)| plain(list)).collect()
    };
    each.map(lists).collect()
}

#[test]
fn what_is_old_is_offered_to_the_target_that_says_so_and_to_no_other() {
    let world = World::new();
    let old = sshd(&world, "switch1", "LogLevel DEBUG2");
    let other = sshd(&world, "web2", "LogLevel DEBUG2");
    let added = add(&world, "switch1", &old, &["--legacy-algorithms"]);
    assert!(added.status.success(), "{}", err(&added));
    let added = add(&world, "web2", &other, &[]);
    assert!(added.status.success(), "{}", err(&added));
    for name in ["switch1", "web2", "switch1", "web2"] {
        let ran = run(&world, name);
        assert_eq!(out(&ran), "here\n", "{name}: {}", err(&ran));
    }
    let is_old = |name: &&str| {
        name.contains("sha1")
            || name.contains("-cbc")
            || *name == "ssh-rsa"
            || name.contains("diffie-hellman")
    };
    let (to_old, to_other) = (offered(&old.0), offered(&other.0));
    // A look for each kind of key, one to enter as it is added, and two sessions.
    assert!(
        to_old.len() > 3 && to_other.len() > 3,
        "{to_old:?}\n{to_other:?}"
    );
    for lists in &to_other {
        assert_eq!(lists.len(), 6, "{lists:?}");
        let found: Vec<&str> = lists
            .iter()
            .flat_map(|list| list.split(','))
            .filter(is_old)
            .collect();
        assert!(found.is_empty(), "{found:?} in {lists:?}");
    }
    let session = to_old.last().expect("there was one");
    for (list, wanted) in session.iter().zip([
        "diffie-hellman-group14-sha1",
        "ssh-rsa",
        "aes128-cbc",
        "aes128-cbc",
        "hmac-sha1",
        "hmac-sha1",
    ]) {
        let names: Vec<&str> = list.split(',').collect();
        assert!(names.contains(&wanted), "{wanted} in {list}");
        assert!(!is_old(&names[0]), "the good ones come first: {list}");
    }
}
