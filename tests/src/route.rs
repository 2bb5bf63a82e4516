//! The same machine over several ways: directly, over OpenSSH as a jump host, and through tidegate,
//! so that one run compares them.
//!
//! All use one key exchange and one cipher, or the first packets would be what is compared.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use proxy::demo::{Scratch, Signals, Sshd, SshdOptions};

use crate::{Setting, World, binary};

/// What one command may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(300);

/// How to get to the machine.
#[derive(Debug, Clone)]
pub struct Route {
    /// What it is called in a table.
    pub name: &'static str,
    line: Vec<String>,
}

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A file to the machine.
    Up,
    /// A file from the machine.
    Down,
    /// A file there and back again, at once.
    Both,
}

impl Part {
    /// As in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up: `ssh … sha256sum < big`",
            Self::Down => "down: `ssh … cat big`",
            Self::Both => "both: `ssh … cat < big > out`",
        }
    }
}

/// A world with alice let in by all routes.
#[derive(Debug)]
pub struct Crossing {
    /// The world behind tidegate.
    pub world: World,
    /// Room for files; gone with this.
    pub scratch: Scratch,
    jump: Sshd,
}

impl Crossing {
    /// Sets the stage with the optimised binary, and gives alice grants for two hours.
    ///
    /// # Panics
    ///
    /// When it cannot be set.
    pub fn set() -> Self {
        let scratch = Scratch::create("tidegate-bench").expect("a directory");
        let keys = scratch.path().join("authorized_keys");
        let direct = format!("AuthorizedKeysFile {}", keys.display());
        let setting = Setting {
            sshd: &direct,
            rules: "hostssl all app 127.0.0.1/32 trust",
            server: &[("TIDEGATE__LIMITS__PER_PRINCIPAL", "20000")],
            ..Setting::default()
        };
        let world = World::of(&binary::release(), &setting);
        fs::copy(world.alice().key().with_extension("pub"), &keys)
            .expect("alice's key is let in directly");
        let jump = SshdOptions {
            dir: &scratch.private("jump").expect("a directory"),
            user_ca: None,
            extra: &direct,
            signals: Signals::Shared,
        };
        let jump = Sshd::start(&jump).expect("a second sshd, to jump over");
        world.grant_ssh("2h");
        world.grant_pg("2h");
        Self {
            world,
            scratch,
            jump,
        }
    }

    /// Direct, over OpenSSH's `-J`, and through tidegate.
    ///
    /// # Panics
    ///
    /// When the configuration for ssh cannot be written.
    pub fn routes(&self) -> [Route; 3] {
        let config = self.scratch.path().join("ssh_config");
        let text = format!(
            "Host *\n KexAlgorithms curve25519-sha256\n Ciphers aes128-gcm@openssh.com\n StrictHostKeyChecking no\n UserKnownHostsFile /dev/null\n LogLevel ERROR\n\
             Host direct jumped hop\n HostName 127.0.0.1\n IdentityFile {key}\n IdentitiesOnly yes\n\
             Host direct jumped\n Port {target}\n\
             Host jumped\n ProxyJump hop\n\
             Host hop\n Port {jump}\n\
             Host tidegate\n HostName localhost\n Port {door}\n User {login}+web1\n IdentityFile {state}/ssh-key\n CertificateFile {state}/ssh-key-cert.pub\n IdentitiesOnly yes\n",
            key = self.world.alice().key().display(),
            target = self.world.sshd().port(),
            jump = self.jump.port(),
            door = self.world.doors().ssh,
            login = self.world.login(),
            state = self.world.alice().state_dir().display(),
        );
        fs::write(&config, text).expect("a configuration for ssh");
        let config = config.display().to_string();
        let named = [
            ("direct", "direct"),
            ("OpenSSH -J", "jumped"),
            ("tidegate", "tidegate"),
        ];
        named.map(|(name, host)| Route {
            name,
            line: ["/usr/bin/ssh", "-F", &config, host]
                .map(str::to_owned)
                .to_vec(),
        })
    }
}

impl Route {
    /// The same way, ended by whoever listens on this port: what the command line says goes before what the
    /// configuration does.
    #[must_use]
    pub fn at_port(&self, name: &'static str, port: u16) -> Self {
        let mut line = self.line.clone();
        line.insert(1, format!("-p{port}"));
        Self { name, line }
    }

    /// `ssh` with a command to run there.
    ///
    /// # Panics
    ///
    /// Never: a route begins with a program.
    pub fn command(&self, remote: &str) -> Command {
        let mut words = self.line.iter();
        let mut command = Command::new(words.next().expect("a route begins with a program"));
        command.args(words).arg(remote);
        command
    }

    /// Moves a file once. Gives back how long it took, and whether it arrived whole.
    ///
    /// # Panics
    ///
    /// When ssh cannot be run.
    pub fn carry(&self, part: Part, big: &Big, out: &Path) -> (Duration, bool) {
        let (remote, input) = match part {
            Part::Up => ("sha256sum".to_owned(), Some(&big.path)),
            Part::Down => (format!("cat {}", big.path.display()), None),
            Part::Both => ("cat".to_owned(), Some(&big.path)),
        };
        let mut ssh = self.command(&remote);
        ssh.stdin(input.map_or_else(Stdio::null, |path| {
            File::open(path).expect("the file is there").into()
        }));
        ssh.stdout(File::create(out).expect("room for what comes back"));
        let began = Instant::now();
        let ended = wait(&mut ssh.spawn().expect("ssh runs"));
        let took = began.elapsed();
        let arrived = match part {
            Part::Up => first_word(&fs::read_to_string(out).unwrap_or_default()),
            Part::Down | Part::Both => sum_of(out),
        };
        drop(fs::remove_file(out));
        (took, ended && arrived == big.sum)
    }
}

/// A file that does not compress.
#[derive(Debug)]
pub struct Big {
    /// Where it is.
    pub path: PathBuf,
    /// How large, in MiB.
    pub mib: u64,
    sum: String,
}

impl Big {
    /// Fills one, without asking the system for that much randomness.
    ///
    /// # Panics
    ///
    /// When there is no room.
    pub fn fill(path: PathBuf, mib: u64) -> Self {
        let mut file = File::create(&path).expect("room for the file");
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut block = Vec::with_capacity(1 << 20);
        for _ in 0..mib {
            block.clear();
            while block.len() < 1 << 20 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                block.extend_from_slice(&state.to_le_bytes());
            }
            file.write_all(&block).expect("room for the file");
        }
        let sum = sum_of(&path);
        Self { path, mib, sum }
    }

    /// How fast it was moved, in MiB/s.
    #[expect(clippy::cast_precision_loss, reason = "mebibytes are few")]
    pub fn speed(&self, took: Duration) -> f64 {
        self.mib as f64 / took.as_secs_f64()
    }
}

/// Waits for a child; ends it when it hangs. Returns whether it succeeded.
pub fn wait(child: &mut Child) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return status.success();
        }
        thread::sleep(Duration::from_millis(2));
    }
    drop(child.kill());
    drop(child.wait());
    false
}

fn sum_of(path: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg(path)
        .output()
        .expect("sha256sum runs");
    first_word(&String::from_utf8_lossy(&output.stdout))
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}
