//! The PostgreSQL matrix of `docs/clients.md`: clients by what they do, every cell run for real
//! against the same server directly and through tidegate.
//!
//! What is refused, cut or redacted is told elsewhere; here everything is permitted and nothing may be
//! noticed. A few clients against Debian's server are part of every run, the others and the other
//! servers of `tests/run --all`, which installs them. `TIDEGATE_CELLS=psql,listen` runs only the cells
//! in whose names, the server's, the client's and the case's, each of these is.

mod cases;
mod cell;
mod clients;
mod field;
mod record;

use std::sync::Mutex;
use std::thread;

use cases::Case;
use clients::{CLIENTS, Client};
use field::{Field, Road, Server};

/// How many cells are run at once.
const ABREAST: usize = 3;

type Job<'a> = (&'a Server, &'a Client, Case);

/// Runs every cell of these clients, and fails with every difference at once.
fn nothing_is_noticed(field: &Field, clients: &[Client]) {
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for client in clients {
        cell::prepare(field, client);
        for server in field.servers() {
            if !(client.oldest..=client.newest).contains(&server.version) {
                say(&format!(
                    "LEFT OUT {}: {} does not talk to it",
                    server.title, client.name
                ));
                continue;
            }
            jobs.extend(client.cases.iter().map(|case| (server, client, *case)));
        }
    }
    jobs.retain(|job| is_chosen(job) && !is_refused(job));
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

/// Whether a pooler refuses what the client wants there, or does not survive it.
fn is_refused((server, client, case): &Job<'_>) -> bool {
    let refused = *case == Case::Options || clients::NOT_POOLED.contains(&(client.name, *case));
    let refused = server.pooled && refused;
    if refused {
        let what = case.told().title;
        say(&format!(
            "LEFT OUT {}: {}, {what}",
            server.title, client.name
        ));
    }
    refused
}

/// Whether a cell is among those that are asked for; usually all are.
fn is_chosen((server, client, case): &Job<'_>) -> bool {
    let Some(wanted) = std::env::var_os("TIDEGATE_CELLS") else {
        return true;
    };
    let names = [server.title.as_str(), client.name, case.told().word];
    let wanted = wanted.to_string_lossy().into_owned();
    wanted
        .split(',')
        .all(|part| names.iter().any(|name| name.contains(part)))
}

fn work(field: &Field, jobs: &Mutex<Vec<Job<'_>>>, wrong: &Mutex<Vec<String>>) {
    loop {
        let next = jobs.lock().expect("nobody panicked").pop();
        let Some((server, client, case)) = next else {
            return;
        };
        let (found, [direct, through]) = cell::check(field, server, client, case);
        let cell = format!("{} · {} · {}", server.title, client.name, case.told().title);
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

/// The table of `docs/clients.md`: what is run.
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
            let does = client.cases.contains(case);
            text.push_str(if does { " ✔ |" } else { " |" });
        }
    }
    text
}

#[test]
fn the_table_of_databases_that_people_read_is_the_one_that_is_run() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/clients.md");
    let document = std::fs::read_to_string(path).expect("it is there");
    let want = table();
    assert!(
        document.contains(&want),
        "docs/clients.md has another table than:\n{want}"
    );
}

/// The clients of every run.
const USUAL: &[Client] = &[
    clients::PSQL,
    clients::PGBENCH,
    clients::PSYCOPG,
    clients::ASYNCPG,
    clients::NODE,
];

#[test]
fn the_usual_clients_of_postgresql_notice_nothing() {
    nothing_is_noticed(&Field::set(), USUAL);
}

#[test]
#[ignore = "long: the other clients are installed"]
fn all_clients_of_postgresql_notice_nothing() {
    nothing_is_noticed(&Field::set(), CLIENTS);
}

#[test]
#[ignore = "long: the other servers are installed"]
fn all_clients_notice_nothing_with_postgresql_13() {
    nothing_is_noticed(&Field::set().of_version(13), CLIENTS);
}

#[test]
#[ignore = "long: the other servers are installed"]
fn all_clients_notice_nothing_with_postgresql_14() {
    nothing_is_noticed(&Field::set().of_version(14), CLIENTS);
}

#[test]
#[ignore = "long: the other servers are installed"]
fn all_clients_notice_nothing_with_postgresql_16() {
    nothing_is_noticed(&Field::set().of_version(16), CLIENTS);
}

#[test]
#[ignore = "long: the other servers are installed"]
fn all_clients_notice_nothing_with_postgresql_17() {
    nothing_is_noticed(&Field::set().of_version(17), CLIENTS);
}

#[test]
#[ignore = "long: the other servers are installed"]
fn all_clients_notice_nothing_with_postgresql_18() {
    nothing_is_noticed(&Field::set().of_version(18), CLIENTS);
}

#[test]
#[ignore = "long: pgbouncer is installed"]
fn all_clients_notice_nothing_before_pgbouncer() {
    nothing_is_noticed(&Field::set().behind_pgbouncer(), CLIENTS);
}

/// Runs these cells through tidegate, and compares what the server logged with what is recorded. At least so many
/// statements have to be logged, and so many plans.
fn nothing_is_missing(clients: &[(Client, &[Case])], least: [usize; 2]) {
    let field = Field::of_settings(record::SETTINGS);
    let server = field.servers().first().expect("there is a server");
    let mut cells = Vec::new();
    for (client, cases) in clients {
        cell::prepare(&field, client);
        cells.extend(cases.iter().map(|case| (client, *case)));
    }
    cells.reverse();
    let cells = Mutex::new(cells);
    let next = || cells.lock().expect("nobody panicked").pop();
    let work = || {
        while let Some((client, case)) = next() {
            let room = cell::room(client, case);
            let case = (case.told().word, room.as_str());
            let seen = cell::run(&field, server, Road::Through, case, client.script);
            let works = seen.out.contains(client.sign);
            assert!(works, "{}: {}", client.name, seen.told());
        }
    };
    thread::scope(|scope| {
        for _ in 0..ABREAST {
            scope.spawn(work);
        }
    });
    let compared = record::compare(field.world());
    let wrong = compared.wrong.join("\n");
    assert!(wrong.is_empty(), "recordings and log differ:\n{wrong}");
    let [statements, plans] = least;
    assert!(
        compared.statements > statements && compared.plans > plans,
        "{} statements are logged, {} plans",
        compared.statements,
        compared.plans
    );
}

#[test]
fn every_statement_that_the_server_logs_is_in_the_recording() {
    let cells: [(Client, &[Case]); 5] = [
        (
            clients::PSQL,
            &[
                Case::Simple,
                Case::Error,
                Case::Multi,
                Case::Portal,
                Case::CopyIn,
            ],
        ),
        (clients::PGBENCH, &[Case::Reuse, Case::Error]),
        (clients::PSYCOPG, &[Case::Pipeline, Case::Reuse]),
        (clients::ASYNCPG, &[Case::Types, Case::Savepoint]),
        (clients::NODE, &[Case::Portal]),
    ];
    nothing_is_missing(&cells, [500, 500]);
}

/// All cells but those in which a statement is longer than a recording holds in one piece, or is written in another
/// encoding than the server logs in.
#[test]
#[ignore = "long: the other clients are installed"]
fn every_statement_of_all_clients_that_the_server_logs_is_in_the_recording() {
    let cells = CLIENTS.iter().map(|client| {
        let fits = |case: &&Case| !matches!(case, Case::LargeRow | Case::Settings);
        let cases: Vec<Case> = client.cases.iter().filter(fits).copied().collect();
        (*client, cases)
    });
    let cells: Vec<(Client, Vec<Case>)> = cells.collect();
    let cells: Vec<(Client, &[Case])> = cells
        .iter()
        .map(|(client, cases)| (*client, cases.as_slice()))
        .collect();
    nothing_is_missing(&cells, [10_000, 5_000]);
}
