//! An sshd that makes an account for each grant, with users, homes and programs of its own: what is
//! made there is made nowhere else on this machine.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Output};

use proxy::demo::{Daemon, Ending, Signals, current_login, free_port};

use crate::World;
use crate::wait::until;

/// A target with accounts, ended on drop with whatever its accounts have left running.
#[derive(Debug)]
pub struct AccountHost {
    daemon: Daemon,
    port: u16,
    /// Numbers of accounts begin anew for each, and processes are seen by all: one at a time.
    _turn: File,
}

/// Where a program of a host's own is.
pub const OWN_PROGRAM: &str = "/usr/local/sbin/own/tidegate-target";

/// Gives the sshd its own users, homes and script, and becomes it. As root in a container that may not
/// mount, this fails before it has changed anything.
const ENTER: &str = r#"set -e
cp -a /etc "$1/etc"
mount --bind "$1/etc" /etc
mount -t tmpfs tmpfs /home
mount -t tmpfs tmpfs /var/lib
mount --bind "$1/sbin" /usr/local/sbin
for group in deploy ops; do getent group $group >/dev/null || groupadd $group; done
mkdir -p /run/sshd
exec /usr/sbin/sshd -D -e -f "$1/sshd_config""#;

/// Ends everything that runs as an account, or ran as one that is gone: whoever has a number that was drawn there
/// has it to this day, and the next host begins with the same. `kill` finds also what is another process each
/// time that somebody looks; whoever becomes the account for it is not to be ended by it.
const END_ALL: &str = r#"
open my $next, "<", "/var/lib/tidegate-target/next" or exit;
for my $number (70000 .. <$next> - 1) {
    next if fork;
    ($<, $>) = (99998, $number);
    kill "KILL", -1 if $< == 99998 && $> == $number;
    exit;
}
1 while wait > 0;
"#;

impl Drop for AccountHost {
    fn drop(&mut self) {
        for _each in 0..2 {
            self.inside(&["perl", "-e", END_ALL]);
        }
    }
}

impl AccountHost {
    /// Starts it and has bob add it as `acct1`. None where this may not mount anything.
    ///
    /// # Panics
    ///
    /// When it may, and it does not work.
    pub fn start(world: &World) -> Option<Self> {
        Self::start_with(world, None)
    }

    /// The same with a program of its own, at [`OWN_PROGRAM`], which bob names with `--accounts-command`.
    ///
    /// # Panics
    ///
    /// When it may, and it does not work.
    pub fn start_with_own(world: &World, program: &str) -> Option<Self> {
        Self::start_with(world, Some(program))
    }

    #[expect(clippy::print_stderr, reason = "what was not tried is said")]
    fn start_with(world: &World, own: Option<&str>) -> Option<Self> {
        let may = || Command::new("unshare").args(["-m", "true"]).status();
        if current_login() != "root" || !may().is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: accounts are made by root in a mount namespace of its own");
            return None;
        }
        let turn = env::temp_dir().join("tidegate-accounts.lock");
        let turn = File::create(turn).expect("a file to lock");
        turn.lock().expect("the others come to an end");
        let dir = world.dir().join("acct1");
        fs::create_dir_all(dir.join("sbin/own")).expect("a directory");
        let at = dir.display().to_string();
        let key = format!("{at}/host_key");
        let keygen = ["-q", "-t", "ed25519", "-N", "", "-C", "x", "-f", &key];
        let made = Command::new("ssh-keygen").args(keygen).status();
        assert!(made.expect("ssh-keygen runs").success());
        let write = |name: &str, text: &str| {
            fs::write(dir.join(name), text).expect("it is written");
        };
        write("user_ca.pub", &world.trust().ssh_user_ca);
        let port = free_port().expect("a port");
        let config = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {key}\nPidFile none\n\
             TrustedUserCAKeys {at}/user_ca.pub\nAuthenticationMethods publickey\nAuthorizedKeysFile none\nSubsystem sftp internal-sftp\n\
             PermitRootLogin forced-commands-only\nUsePAM no\nStrictModes no\nSetEnv SHLVL=1\n\
             LogLevel VERBOSE\n"
        );
        write("sshd_config", &config);
        let mut sshd = Command::new("unshare");
        sshd.args(["-m", "sh", "-c", ENTER, "sh", &at]);
        let log = dir.join("sshd.log");
        let mut daemon =
            Daemon::start("sshd", sshd, &log, Ending::Term, Signals::Shared).expect("it starts");
        let is_up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        daemon.wait_until(is_up).expect("it listens");
        let host = Self {
            daemon,
            port,
            _turn: turn,
        };
        let host_key = fs::read_to_string(format!("{key}.pub")).expect("a key");
        let place = match own {
            Some(program) => {
                write("sbin/own/tidegate-target", program);
                "sbin/own/tidegate-target"
            }
            None => "sbin/tidegate-target",
        };
        host.add(world, &host_key, own.is_some());
        if own.is_none() {
            let script = ["tidegate", "target", "script", "acct1"];
            let script = world.bob().run(&script).expect("there is a script");
            write(place, &script);
        }
        let runs = ["0755", &format!("{at}/{place}")];
        let changed = Command::new("chmod").args(runs).status();
        assert!(changed.expect("chmod runs").success());
        Some(host)
    }

    fn add(&self, world: &World, host_key: &str, has_own: bool) {
        let own: &[&str] = if has_own {
            &["--accounts-command", OWN_PROGRAM]
        } else {
            &[]
        };
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        add(world, host_key, addr, own);
    }

    /// Has bob take it out and add it again, reached at this address.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn move_to(&self, world: &World, addr: SocketAddr) {
        let rm = ["tidegate", "target", "rm", "acct1", "--yes"];
        world.bob().run(&rm).expect("bob takes it out");
        let key = world.dir().join("acct1/host_key.pub");
        let key = fs::read_to_string(key).expect("a key");
        add(world, &key, addr, &[]);
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Runs something there, as root and beside sshd.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn inside(&self, line: &[&str]) -> Output {
        let pid = self.daemon.pid().to_string();
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid, "-m", "--"]).args(line);
        command.output().expect("nsenter runs")
    }

    /// Gives the script an order that ends so many seconds from now.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn order(&self, words: &[&str], seconds: i64) -> Output {
        let ends = jiff::Timestamp::now().as_microsecond() + seconds * 1_000_000;
        self.order_that_ends(words, ends)
    }

    /// The same, with when it ends in microseconds since 1970.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    pub fn order_that_ends(&self, words: &[&str], ends: i64) -> Output {
        let ends = ends.to_string();
        let script = ["/usr/local/sbin/tidegate-target"];
        self.inside(&[&script, words, &[ends.as_str()]].concat())
    }

    /// The accounts of grants there, and homes and groups of their names.
    pub fn traces(&self) -> Vec<String> {
        let look =
            "ls -d /home/tg-* 2>/dev/null; grep -ho '^tg-[^:]*' /etc/passwd /etc/shadow /etc/group";
        let found = self.inside(&["sh", "-c", look]).stdout;
        let found = String::from_utf8_lossy(&found).into_owned();
        found.lines().map(str::to_owned).collect()
    }

    /// Waits until the account of a grant is there.
    pub fn has(&self, grant: &str) -> String {
        let account = grant.replace("grt_", "tg-");
        until("the account is made", || {
            self.traces().contains(&account).then_some(())
        });
        account
    }

    /// Waits until nothing of any grant is there.
    pub fn is_clean(&self) {
        until("every account is gone", || {
            self.traces().is_empty().then_some(())
        });
    }
}

/// Has bob add it, with this besides.
fn add(world: &World, host_key: &str, addr: SocketAddr, own: &[&str]) {
    let addr = addr.to_string();
    let line = [
        "tidegate",
        "target",
        "add",
        "ssh",
        "acct1",
        "--addr",
        &addr,
        "--login",
        "deploy",
        "--login",
        "ops",
        "--accounts",
        "root",
        "--host-key",
        host_key.trim(),
        "--label",
        "env=dev",
    ];
    let line = [&line[..], own].concat();
    world.bob().run(&line).expect("bob adds it");
}
