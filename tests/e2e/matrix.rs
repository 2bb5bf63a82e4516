//! The matrix of `docs/clients.md`: clients by what they do, every cell run for real against the same
//! sshd directly and through tidegate.
//!
//! A column is a [`Client`], a row a [`Case`]. What is refused, recorded or cut is told elsewhere; here
//! everything is permitted and nothing may be noticed. The clients that most people have are part of
//! every run, the others of `tests/run --all`, which installs them.

mod cases;
mod cell;
mod dropbear;
mod field;
mod libraries;
mod openssh;
mod putty;
mod tools;

use std::sync::Mutex;
use std::thread;

use cell::{Client, Way};
use field::{Field, Road};

/// How many cells are run at once.
const ABREAST: usize = 4;

/// One cell with its road, to be run.
type Job<'a> = (&'a Client, cases::Case, Way, Road);

/// Runs every cell of these clients over the roads that `taken` takes, and fails with every
/// difference at once.
fn nothing_is_noticed(clients: &[Client], taken: fn(Road) -> bool) {
    nothing_is_noticed_in(&Field::set(&[]), clients, taken);
}

fn nothing_is_noticed_in(field: &Field, clients: &[Client], taken: fn(Road) -> bool) {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for client in clients {
        if let Err(why) = cell::prepare(field, client) {
            tests::untried(&format!("{}: {why}", client.name));
            continue;
        }
        for road in client.roads.iter().filter(|road| taken(**road)) {
            jobs.extend(
                client
                    .cells
                    .iter()
                    .map(|(case, way)| (client, *case, *way, *road)),
            );
        }
    }
    jobs.reverse();
    let (jobs, wrong) = (Mutex::new(jobs), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(|| work(field, &jobs, &wrong));
        }
    });
    let wrong = wrong.into_inner().expect("nobody panicked");
    assert!(
        wrong.is_empty(),
        "{} cells differ:\n\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

fn work(field: &Field, jobs: &Mutex<Vec<Job<'_>>>, wrong: &Mutex<Vec<String>>) {
    loop {
        let next = jobs.lock().expect("nobody panicked").pop();
        let Some((client, case, way, road)) = next else {
            return;
        };
        let (found, [direct, through]) = cell::check(field, client, case, way, road);
        let cell = format!("{} · {} · {}", client.name, case.told().title, road.title());
        let verdict = if found.is_none() {
            "ok     "
        } else {
            "DIFFERS"
        };
        say(&format!(
            "{verdict} {cell} (direct {direct:.1?}, through {through:.1?})"
        ));
        if let Some(found) = found {
            wrong
                .lock()
                .expect("nobody panicked")
                .push(format!("{cell}\n{found}"));
        }
    }
}

/// Says something to whoever reads the test's output.
#[expect(clippy::print_stdout, reason = "a long test says where it is")]
fn say(text: &str) {
    println!("{text}");
}

/// Every column, in the order of the table.
const CLIENTS: &[Client] = &[
    openssh::SSH,
    openssh::SCP,
    openssh::SCP_O,
    openssh::SFTP,
    openssh::RSYNC,
    openssh::GIT,
    openssh::SSHFS,
    dropbear::DBCLIENT,
    putty::PLINK,
    putty::PSCP,
    putty::PSFTP,
    libraries::LIBSSH,
    libraries::LIBSSH2,
    tools::CURL,
    libraries::PARAMIKO,
    libraries::ASYNCSSH,
    libraries::SSH2,
    tools::ANSIBLE,
    tools::MITOGEN,
    tools::VSCODE,
];

/// The table of `docs/clients.md`: what is run, and what comes of it.
fn table() -> String {
    let mut text = String::from("| |");
    for client in CLIENTS {
        text.push_str(&[" ", client.name, " |"].concat());
    }
    text.push_str("\n|---|");
    text.push_str(&":-:|".repeat(CLIENTS.len()));
    for (case, told) in cases::CASES {
        text.push_str(&["\n| ", told.title, " |"].concat());
        for client in CLIENTS {
            let way = client.cells.iter().find(|(own, _)| own == case);
            text.push_str(match way {
                Some((_, Way::Same(_))) => " ✔ |",
                Some((_, Way::Differs(_, _))) => " ≠ |",
                None => " |",
            });
        }
    }
    text
}

#[test]
fn the_table_that_people_read_is_the_one_that_is_run() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/clients.md");
    let document = std::fs::read_to_string(path).expect("it is there");
    let want = table();
    assert!(
        document.contains(&want),
        "docs/clients.md has another table than:\n{want}"
    );
    for client in CLIENTS {
        let heading = document
            .lines()
            .any(|line| line.starts_with("## ") && line.contains(client.name));
        assert!(heading, "nothing says how {} is used", client.name);
    }
}

/// The clients that `tests/run` finds or installs; the login is a certificate.
const USUAL: &[Client] = &[
    openssh::SSH,
    openssh::SCP,
    openssh::SCP_O,
    openssh::SFTP,
    openssh::RSYNC,
    openssh::GIT,
];

#[test]
fn openssh_notices_nothing() {
    nothing_is_noticed(USUAL, |road| road == Road::Plus);
}

#[test]
#[ignore = "long: the other roads"]
fn openssh_notices_nothing_over_a_jump() {
    nothing_is_noticed(USUAL, |road| road == Road::Jump);
}

#[test]
#[ignore = "long: the other roads"]
fn openssh_notices_nothing_in_a_chain_and_behind_a_command() {
    nothing_is_noticed(&[openssh::SSH], |road| {
        matches!(road, Road::Chain | Road::Command)
    });
}

#[test]
#[ignore = "long: sshfs is installed"]
fn sshfs_notices_nothing() {
    nothing_is_noticed(&[openssh::SSHFS], |_| true);
}

#[test]
#[ignore = "long: dropbear is installed"]
fn dropbear_notices_nothing() {
    nothing_is_noticed(&[dropbear::DBCLIENT], |_| true);
}

#[test]
#[ignore = "long: PuTTY is installed"]
fn putty_notices_nothing() {
    nothing_is_noticed(&[putty::PLINK, putty::PSCP, putty::PSFTP], |_| true);
}

#[test]
#[ignore = "long: libssh and libssh2 are installed"]
fn libssh_and_libssh2_notice_nothing() {
    // curl's libssh2 in Debian 12 is older than 1.11 (docs/operating.md).
    let field = Field::set(&[("TIDEGATE__SSH__CLIENTS", "old")]);
    nothing_is_noticed_in(
        &field,
        &[libraries::LIBSSH, libraries::LIBSSH2, tools::CURL],
        |_| true,
    );
}

#[test]
#[ignore = "long: packages of Python are installed"]
fn paramiko_and_asyncssh_notice_nothing() {
    nothing_is_noticed(&[libraries::PARAMIKO, libraries::ASYNCSSH], |_| true);
}

#[test]
#[ignore = "long: a package of Node is installed"]
fn ssh2_of_npm_notices_nothing() {
    nothing_is_noticed(&[libraries::SSH2], |_| true);
}

#[test]
#[ignore = "long: Ansible and Mitogen are installed"]
fn ansible_and_mitogen_notice_nothing() {
    nothing_is_noticed(&[tools::ANSIBLE, tools::MITOGEN], |_| true);
}

#[test]
#[ignore = "long: Python is installed"]
fn visual_studio_codes_way_notices_nothing() {
    nothing_is_noticed(&[tools::VSCODE], |_| true);
}
