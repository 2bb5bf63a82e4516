//! The stage of a story: targets, the server, people, and what a story says about them.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use proxy::demo::{Daemon, Ending, Person, Signals, Stage, StageOptions, said};
use serde_json::Value;

use crate::backstage::Backstage;
use crate::binary;
use crate::wait::until;

/// What a world has that is not usual.
#[derive(Debug, Clone, Copy, Default)]
pub struct Setting<'a> {
    /// Lines of the target's `sshd_config`.
    pub sshd: &'a str,
    /// Lines of the target's `pg_hba.conf`, before the usual ones.
    pub rules: &'a str,
    /// Lines of the target's `postgresql.conf`.
    pub postgres: &'a str,
    /// Settings of the server by their variables.
    pub server: &'a [(&'a str, &'a str)],
    /// Where the programs of PostgreSQL are, if not the system's.
    pub postgres_bin: Option<&'a Path>,
}

/// A stage whose logs are kept when the test fails.
#[derive(Debug)]
pub struct World {
    stage: Stage,
    begun: AtomicUsize,
}

/// A live client of alice's: a process with its input held open and its outputs in files.
#[derive(Debug)]
pub struct Live {
    daemon: Daemon,
}

impl World {
    /// The usual world: `web1` and `orders`, alice, bob and carol, nobody with a grant.
    ///
    /// # Panics
    ///
    /// When it cannot be set up.
    pub fn new() -> Self {
        Self::with(&Setting::default())
    }

    /// A world with something unusual.
    ///
    /// # Panics
    ///
    /// When it cannot be set up.
    pub fn with(setting: &Setting<'_>) -> Self {
        let binary = binary::tidegate();
        Self::of(&binary, setting)
    }

    /// A world of another binary.
    ///
    /// # Panics
    ///
    /// When it cannot be set up.
    pub fn of(binary: &Path, setting: &Setting<'_>) -> Self {
        let options = StageOptions {
            name: "tidegate-test",
            binary,
            signals: Signals::Shared,
            sshd: setting.sshd,
            rules: setting.rules,
            postgres: setting.postgres,
            settings: setting.server,
            postgres_bin: setting.postgres_bin,
        };
        match Stage::set(&options) {
            Ok(stage) => Self {
                stage,
                begun: AtomicUsize::new(0),
            },
            Err(error) => panic!("the stage is set: {}", chain(&error)),
        }
    }

    /// `login+web1@localhost`, as alice types it.
    pub fn address(&self) -> String {
        format!("{}+web1@localhost", self.login())
    }

    /// The port of SSH, as it is typed.
    pub fn ssh_port(&self) -> String {
        self.doors().ssh.to_string()
    }

    /// Alice runs `ssh -p PORT … login+web1@localhost COMMAND`.
    ///
    /// # Panics
    ///
    /// When ssh cannot be run.
    pub fn ssh(&self, options: &[&str], command: &[&str]) -> Output {
        let (port, address) = (self.ssh_port(), self.address());
        let mut line = vec!["ssh", "-p", &port];
        line.extend_from_slice(options);
        line.push(&address);
        line.extend_from_slice(command);
        self.alice().output(&line).expect("ssh runs")
    }

    /// Alice runs one statement with `psql -At service=orders`.
    ///
    /// # Panics
    ///
    /// When psql cannot be run.
    pub fn psql(&self, sql: &str) -> Output {
        self.alice()
            .output(&["psql", "-X", "-At", "service=orders", "-c", sql])
            .expect("psql runs")
    }

    /// What the doctor tells bob.
    ///
    /// # Panics
    ///
    /// When it does not run.
    pub fn doctor(&self) -> Output {
        let ran = self.bob().output(&["tidegate", "doctor"]);
        ran.expect("doctor runs")
    }

    /// A live shell of alice's that says `tick` for ever.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn begin_ssh(&self) -> Live {
        let (port, address) = (self.ssh_port(), self.address());
        let tick = "while echo tick; do sleep 0.05; done";
        self.begin("ssh", &["ssh", "-p", &port, "-tt", &address, tick], "tick")
    }

    /// A live psql of alice's that has deleted all orders, has not committed, and sleeps.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn begin_psql(&self) -> Live {
        let mut line = vec!["psql", "-X", "-At", "service=orders"];
        for sql in [
            "begin",
            "delete from orders",
            "select 'deleted'",
            "select pg_sleep(600)",
        ] {
            line.extend(["-c", sql]);
        }
        let psql = self.begin("psql", &line, "deleted");
        until("the statement runs", || {
            (self.sleepers() == 1).then_some(())
        });
        psql
    }

    /// How many statements sleep at the database.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn sleepers(&self) -> usize {
        let sql = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
        self.sql(sql).parse().expect("a count")
    }

    /// Alice asks for `web1` and bob approves. Gives back the grant.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn grant_ssh(&self, duration: &str) -> String {
        let login = self.login();
        self.grant("web1", &login, duration)
    }

    /// Alice asks for `orders` and bob approves. Gives back the grant.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn grant_pg(&self, duration: &str) -> String {
        self.grant("orders", proxy::demo::ROLE, duration)
    }

    /// Alice asks and bob approves. Gives back the grant.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn grant(&self, target: &str, login: &str, duration: &str) -> String {
        let request = self.request(target, login, duration);
        self.bob()
            .field(&["approve", &request], "/grant")
            .expect("bob approves")
    }

    /// Bob adds an SSH target with the world's usual login and has alice let in there. Gives back the login.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn add_ssh(&self, name: &str, addr: &str, host_key: &str, duration: &str) -> String {
        let login = self.login();
        let line = [
            "tidegate",
            "target",
            "add",
            "ssh",
            name,
            "--addr",
            addr,
            "--login",
            &login,
            "--host-key",
            host_key,
        ];
        self.bob().run(&line).expect("bob adds a target");
        self.grant(name, &login, duration);
        login
    }

    /// Alice asks. Gives back the request.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn request(&self, target: &str, login: &str, duration: &str) -> String {
        let ask = [
            "request", target, "--as", login, "--for", duration, "--reason", "INC-7",
        ];
        self.alice().field(&ask, "/id").expect("alice asks")
    }

    /// Bob revokes a grant.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn revoke(&self, grant: &str) {
        self.bob()
            .run(&["tidegate", "revoke", grant, "--reason", "over now", "--yes"])
            .expect("bob revokes");
    }

    /// Bob puts one more policy in force.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn add_policy(&self, text: &str) {
        let dir = self.config_dir().join("policy");
        fs::write(dir.join("more.cedar"), text).expect("a policy is written");
        let dir = dir.display().to_string();
        self.bob()
            .run(&["tidegate", "policy", "apply", &dir, "--yes"])
            .expect("bob applies it");
    }

    /// Every session that carol can see, live ones and past ones.
    ///
    /// # Panics
    ///
    /// When she cannot.
    pub fn sessions(&self) -> Vec<Value> {
        let answer = self
            .carol()
            // Without a number it is the newest few hundred.
            .json(&["sessions", "ls", "--all", "--limit", "100000"])
            .expect("carol lists sessions");
        answer
            .pointer("/items")
            .and_then(Value::as_array)
            .cloned()
            .expect("a list of sessions")
    }

    /// The sessions that have not ended.
    ///
    /// # Panics
    ///
    /// When carol cannot list them.
    pub fn live_sessions(&self) -> Vec<Value> {
        let live = |session: &Value| session.get("end").is_none_or(Value::is_null);
        self.sessions().into_iter().filter(live).collect()
    }

    /// Waits until no session is live, and gives back all.
    ///
    /// # Panics
    ///
    /// When one stays.
    pub fn ended_sessions(&self) -> Vec<Value> {
        until("every session has ended", || {
            let sessions = self.sessions();
            let over = sessions
                .iter()
                .all(|session| session.get("end").is_some_and(|end| !end.is_null()));
            over.then_some(sessions)
        })
    }

    /// Carol verifies a session's recording. Gives back what was said, and whether it holds.
    ///
    /// # Panics
    ///
    /// When the command cannot be run.
    pub fn verify(&self, session: &str) -> (bool, String) {
        let output = self
            .carol()
            .output(&["tidegate", "recordings", "verify", session])
            .expect("verify runs");
        (output.status.success(), said(&output))
    }

    /// What a session's recording holds, as carol exports it.
    ///
    /// # Panics
    ///
    /// When she cannot.
    pub fn exported(&self, session: &str, how: &str) -> String {
        self.carol()
            .run(&["tidegate", "recordings", "export", session, how])
            .expect("carol exports")
    }

    /// Starts a client of alice's that lasts, and waits until its output has `sign`.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn begin(&self, name: &'static str, line: &[&str], sign: &str) -> Live {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let log = self.dir().join(format!("{name}-{number}.out"));
        let command = self.alice().command(line);
        let daemon =
            Daemon::start(name, command, &log, Ending::Term, Signals::Shared).expect("it starts");
        let client = Live { daemon };
        until(&format!("{name} says `{sign}`"), || {
            client.output().contains(sign).then_some(())
        });
        client
    }

    /// Asks the database itself, past tidegate.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn sql(&self, sql: &str) -> String {
        self.postgres()
            .run_sql("orders", sql)
            .expect("the database answers")
    }

    /// Has the targets take what the processors have left over, for as long as the answer is held.
    ///
    /// # Panics
    ///
    /// When the system does not let us.
    pub fn have_targets_stand_back(&mut self) -> Backstage {
        let pids = [
            self.sshd_mut().daemon().pid(),
            self.postgres_mut().daemon().pid(),
        ];
        Backstage::of(&pids).expect("root, and control groups")
    }

    /// The server's log.
    pub fn server_log(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The recordings' files.
    pub fn recordings(&self) -> PathBuf {
        self.state_dir().join("recordings")
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            self.stage.keep();
            let log = self.server_log();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines
                .get(lines.len().saturating_sub(30)..)
                .unwrap_or_default();
            tell(&format!(
                "kept: {}\nthe end of the server's log:\n{}",
                self.dir().display(),
                end.join("\n")
            ));
        }
    }
}

/// Says something beside a failing test.
#[expect(clippy::print_stderr, reason = "whoever reads a failure needs it")]
fn tell(text: &str) {
    eprintln!("{text}");
}

impl Live {
    /// What it has written so far.
    pub fn output(&self) -> String {
        fs::read_to_string(self.daemon.log()).unwrap_or_default()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.daemon.has_ended()
    }

    /// Waits until it has ended, and gives back what it wrote.
    ///
    /// # Panics
    ///
    /// When it stays.
    pub fn ended(&mut self) -> String {
        until("the client has ended", || self.has_ended().then_some(()));
        self.output()
    }

    /// Sends it a signal, for example `STOP`.
    pub fn signal(&self, name: &str) {
        self.daemon.signal(name);
    }
}

/// Runs a command of a person with `input` on its stdin.
///
/// # Panics
///
/// When it cannot be run.
pub fn with_input(person: &Person, line: &[&str], input: &Path) -> Output {
    let file = fs::File::open(input).expect("the input is there");
    let mut command: Command = person.command(line);
    command
        .stdin(Stdio::from(file))
        .output()
        .expect("the command runs")
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
