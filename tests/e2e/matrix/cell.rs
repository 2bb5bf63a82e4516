//! One cell: a client does one thing directly and the same thing through tidegate, and what could be
//! seen of both is compared.
//!
//! A cell is a shell script. It starts in an empty directory of its own, `$NEAR`, with an empty
//! `$HOME`; `$FAR` is an empty directory of the target's. What it writes, how it ends and every file in
//! the two directories has to be the same. `Field::surroundings` has the rest of its environment.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use proxy::demo::free_port;

use super::cases::Case;
use super::field::{Field, Road};

/// What one script may take, in seconds, before it counts as hanging.
const PATIENCE: &str = "120";

/// The exit status of a `prepare` that finds that its client cannot be run on this machine.
const NOT_HERE: i32 = 77;

/// What tidegate says to whoever sits at a terminal, and to nobody else.
const NOTICE: &str = "tidegate: recorded · ";

const PRELUDE: &str = include_str!("prelude.sh");

/// A column: a program that people have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client {
    /// Its name in `docs/clients.md`.
    pub(super) name: &'static str,
    /// A script that is run once before its cells, with `$TOOLS` to put things. 77 says that the
    /// client cannot be run on this machine, and its output why.
    pub(super) prepare: &'static str,
    /// What its scripts begin with.
    pub(super) prelude: &'static str,
    /// The roads through tidegate that it takes.
    pub(super) roads: &'static [Road],
    /// What it can do. What is not here it has no way of its own to do: what runs `ssh` can do what `ssh` does.
    pub(super) cells: &'static [(Case, Way)],
}

/// How a cell is run, and what has to come of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// This script, and it sees no difference.
    Same(&'static str),
    /// This script, and it sees a difference that is meant: why.
    Differs(&'static str, &'static str),
}

impl Way {
    fn script(self) -> &'static str {
        match self {
            Self::Same(script) | Self::Differs(script, _) => script,
        }
    }
}

/// What could be seen of one run.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: Option<i32>,
    out: String,
    err: String,
    files: BTreeMap<String, String>,
}

/// Whether a client can be run here. If not, why.
pub(super) fn prepare(field: &Field, client: &Client) -> Result<(), String> {
    let mut command = bash(field, Road::Direct, client.prepare);
    let output = command.output().expect("bash runs");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.code() == Some(NOT_HERE) {
        return Err(said.trim().to_owned());
    }
    assert!(
        output.status.success(),
        "{} is not ready to be run: {said}\ntests/run --all installs it",
        client.name
    );
    Ok(())
}

/// Runs a client's cell directly and over a road. Says what is not as it has to be, and how long
/// either took.
pub(super) fn check(
    field: &Field,
    client: &Client,
    case: Case,
    way: Way,
    road: Road,
) -> (Option<String>, [Duration; 2]) {
    let mut began = Instant::now();
    let mut direct = run(field, client, case, way, Road::Direct);
    if !works(case, &direct) {
        // Some clients lose a race with themselves now and then: paramiko while it makes new keys.
        began = Instant::now();
        direct = run(field, client, case, way, Road::Direct);
    }
    let between = Instant::now();
    let through = run(field, client, case, way, road);
    let took = [between.duration_since(began), between.elapsed()];
    (compare(case, way, &direct, &through), took)
}

fn works(case: Case, seen: &Seen) -> bool {
    seen.out.contains(case.told().proof)
}

fn compare(case: Case, way: Way, direct: &Seen, through: &Seen) -> Option<String> {
    if !works(case, direct) {
        return Some(format!(
            "it does not even work directly:\n{}",
            direct.told()
        ));
    }
    match way {
        Way::Same(_) if direct == through => None,
        Way::Same(_) => Some(format!(
            "directly:\n{}through:\n{}",
            direct.told(),
            through.told()
        )),
        Way::Differs(_, why) if direct == through => {
            Some(format!("it is the same, though it should differ: {why}"))
        }
        Way::Differs(_, _) => None,
    }
}

fn run(field: &Field, client: &Client, case: Case, way: Way, road: Road) -> Seen {
    let room = format!(
        "{}-{}-{}-{road:?}",
        client.name.replace(|c: char| !c.is_alphanumeric(), "_"),
        case.told().word,
        free_port().expect("a number that is not used twice")
    );
    let (near, far) = (
        field.dir().join(format!("near-{room}")),
        field.dir().join(format!("far-{room}")),
    );
    for dir in [&near, &far] {
        fs::create_dir_all(dir.join("home")).expect("room");
    }
    let script = format!("{PRELUDE}\n{}\n{}\n", client.prelude, way.script());
    let mut command = bash(field, road, &script);
    let ports = [(); 2].map(|()| free_port().expect("a free port").to_string());
    command
        .current_dir(&near)
        .env("NEAR", &near)
        .env("FAR", &far)
        .env("HOME", near.join("home"))
        .env("CASE", case.told().word)
        .env(
            "REMOTE",
            case.told()
                .remote
                .replace("$FAR", &far.display().to_string())
                .replace("$TOOLS", &field.tools().display().to_string()),
        )
        .env("PORT_A", &ports[0])
        .env("PORT_B", &ports[1]);
    let output = command.output().expect("bash runs");
    let known = words(field, road, &near, &far, &ports);
    // A digest may have the digits of a port in it.
    let paths = known.iter().filter(|(word, _)| word.starts_with('/'));
    let paths: Vec<_> = paths.cloned().collect();
    let plain = |bytes: &[u8]| plain(&String::from_utf8_lossy(bytes), case, &known);
    let mut files = BTreeMap::new();
    list(&near, "near", &mut files);
    list(&far, "far", &mut files);
    let files = files
        .into_iter()
        .map(|(path, what)| (path, named(&what, &paths)));
    let seen = Seen {
        status: output.status.code(),
        out: plain(&output.stdout),
        err: plain(&output.stderr),
        files: files.collect(),
    };
    for dir in [near, far] {
        drop(fs::remove_dir_all(dir));
    }
    seen
}

/// A text without what differs because it has to.
fn plain(text: &str, case: Case, known: &[(String, String)]) -> String {
    let text = named(text, known);
    if case == Case::Terminal {
        text.split_inclusive('\n')
            .filter(|line| !line.starts_with(NOTICE))
            .collect()
    } else {
        text
    }
}

fn named(text: &str, known: &[(String, String)]) -> String {
    let mut text = text.to_owned();
    for (word, name) in known {
        text = if word.bytes().all(|byte| byte.is_ascii_digit()) {
            alone(&text, word, name)
        } else {
            text.replace(word, name)
        };
    }
    text
}

/// A port is replaced only where it stands alone: 25519 is one too, and a part of `ED25519`.
fn alone(text: &str, port: &str, name: &str) -> String {
    let mut pieces = text.split(port).peekable();
    let mut told = String::new();
    while let Some(piece) = pieces.next() {
        told.push_str(piece);
        let Some(next) = pieces.peek() else { break };
        let beside = [told.chars().next_back(), next.chars().next()];
        let is_part = beside.iter().flatten().any(char::is_ascii_alphanumeric);
        told.push_str(if is_part { port } else { name });
    }
    told
}

/// `bash` with a script, in a world that has nothing of whoever runs the tests but `$PATH`.
fn bash(field: &Field, road: Road, script: &str) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["-k", "1", PATIENCE, "bash", "-c", script])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("SHELL", "/bin/bash")
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", field.tools())
        .envs(field.surroundings(road))
        .current_dir(field.dir())
        .stdin(Stdio::null());
    command
}

/// What differs between two runs because it has to, and what it is called when they are compared.
fn words(
    field: &Field,
    road: Road,
    near: &Path,
    far: &Path,
    ports: &[String; 2],
) -> Vec<(String, String)> {
    let mut words = vec![
        (near.display().to_string(), "NEAR".to_owned()),
        (far.display().to_string(), "FAR".to_owned()),
    ];
    for (name, value) in field.surroundings(road) {
        match (name, value.split_once('+')) {
            ("WHO", Some((login, _target))) => words.push((value.clone(), login.to_owned())),
            ("PORT" | "HOSTKEY", _) => words.push((value, name.to_owned())),
            _ => {}
        }
    }
    let names = ["PORT_A".to_owned(), "PORT_B".to_owned()];
    words.extend(ports.iter().cloned().zip(names));
    words
}

/// Every file below a directory, and what can be told of it: its mode, and what is in it.
fn list(dir: &Path, name: &str, files: &mut BTreeMap<String, String>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    paths.sort();
    for path in paths {
        let base = path.file_name().unwrap_or_default().to_string_lossy();
        if base == "home" || base == "ready" {
            continue;
        }
        let name = format!("{name}/{base}");
        let Ok(found) = path.symlink_metadata() else {
            continue;
        };
        let what = if found.is_symlink() {
            let to = fs::read_link(&path).unwrap_or_default();
            format!("a link to {}", to.display())
        } else if found.is_dir() {
            list(&path, &name, files);
            format!("a directory, {:o}", found.permissions().mode())
        } else {
            format!(
                "{:o}, {} bytes, {:016x}",
                found.permissions().mode(),
                found.len(),
                digest(&fs::read(&path).unwrap_or_default())
            )
        };
        files.insert(name, what);
    }
}

/// Enough to tell two files apart that nobody made to look alike (FNV-1a).
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Seen {
    /// As it is shown where it differs.
    fn told(&self) -> String {
        let shown = |text: &str| -> String { text.chars().take(2000).collect() };
        let files: Vec<String> = self
            .files
            .iter()
            .take(30)
            .map(|(path, what)| format!("    {path}: {what}\n"))
            .collect();
        format!(
            "  exit {:?}\n  out {:?}\n  err {:?}\n  {} files\n{}",
            self.status,
            shown(&self.out),
            shown(&self.err),
            self.files.len(),
            files.concat()
        )
    }
}
