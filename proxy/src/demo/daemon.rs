//! One process that we start, wait for and end by its id.
//!
//! Knows nothing of what the process does, and never ends a process by name.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long to wait between two looks at a process.
const PAUSE: Duration = Duration::from_millis(10);

/// How many looks a server gets to come up: 20 s, for a machine that is busy.
const START_LOOKS: u32 = 2_000;

/// How many looks a server gets to go, 5 s, before it is killed.
const STOP_LOOKS: u32 = 500;

/// How much of a log is quoted when a server did not start, in lines.
const LOG_LINES: usize = 12;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A program that we need is not installed.
    #[error("find `{program}`; it comes with the package `{package}`")]
    Missing {
        /// The program.
        program: String,
        /// The Debian package that it is in.
        package: &'static str,
    },
    /// A file of the server could not be written.
    #[error("prepare `{}`", path.display())]
    Prepare {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be run.
    #[error("run `{program}`")]
    Run {
        /// Which.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program that prepares something said no.
    #[error("run `{program}`: {said}")]
    Refused {
        /// Which.
        program: String,
        /// The end of what it wrote.
        said: String,
    },
    /// The server ended, or did not answer in time.
    #[error("start {name}; the end of its log: {log}")]
    NotUp {
        /// What did not start.
        name: &'static str,
        /// The end of its log.
        log: String,
    },
}

/// Whether a terminal's Ctrl-C reaches a process beside us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signals {
    /// It does: whoever ends our process group ends it too. Right for tests.
    Shared,
    /// It does not: we end it ourselves, in order. Right for a demo in a terminal.
    Shielded,
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGTERM.
    Term,
    /// SIGQUIT, at which PostgreSQL ends at once and without ceremony.
    Quit,
    /// SIGKILL, as a crash would.
    Kill,
}

/// A running process whose output goes to a file. Ended on drop.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
    ending: Ending,
}

impl Daemon {
    /// Starts `command`, with stdin closed and both outputs appended to `log`.
    pub fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        ending: Ending,
        signals: Signals,
    ) -> Result<Self, StartError> {
        let prepare = |source| StartError::Prepare {
            path: log.to_owned(),
            source,
        };
        let out = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(prepare)?;
        let err = out.try_clone().map_err(prepare)?;
        if signals == Signals::Shielded {
            command.process_group(0);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|source| StartError::Run {
                program: command.get_program().to_string_lossy().into_owned(),
                source,
            })?;
        Ok(Self {
            name,
            child,
            log: log.to_owned(),
            ending,
        })
    }

    /// Waits until `is_up` says so.
    pub fn wait_until(&mut self, mut is_up: impl FnMut() -> bool) -> Result<(), StartError> {
        for _ in 0..START_LOOKS {
            if is_up() {
                return Ok(());
            }
            if self.has_ended() {
                break;
            }
            thread::sleep(PAUSE);
        }
        Err(StartError::NotUp {
            name: self.name,
            log: self.log_end(),
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its output goes.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal by its name without `SIG`, for example `STOP`.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Ends it and waits until it is gone; kills it when it takes longer than 5 s. Returns whether it
    /// went by itself.
    pub fn stop(&mut self, ending: Ending) -> bool {
        if self.has_ended() {
            return true;
        }
        self.signal(match ending {
            Ending::Term => "TERM",
            Ending::Quit => "QUIT",
            Ending::Kill => "KILL",
        });
        for _ in 0..STOP_LOOKS {
            if self.has_ended() {
                return true;
            }
            thread::sleep(PAUSE);
        }
        drop(self.child.kill());
        drop(self.child.wait());
        false
    }

    /// The end of its log.
    pub fn log_end(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let skipped = lines.len().saturating_sub(LOG_LINES);
        lines
            .into_iter()
            .skip(skipped)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop(self.ending);
    }
}

/// Sends a signal to a process. The shell's own `kill` is used because every system has it.
pub fn signal(pid: u32, name: &str) {
    let kill = format!("kill -{name} {pid}");
    drop(
        Command::new("/bin/sh")
            .args(["-c", &kill])
            .stderr(Stdio::null())
            .status(),
    );
}

/// The ports that [`free_port`] gives. Below those that the system gives to connections that go out
/// (`ip_local_port_range` in `ip(7)` begins at 32768): one of them could take a port before its
/// server does.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// A TCP port of the loopback address that nobody listens on. Never the same twice, nor to two processes that
/// run side by side: whoever was given one keeps the UDP port of that number.
///
/// # Errors
///
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    static GIVEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());
    let many = u32::from(PORTS.end.saturating_sub(PORTS.start));
    for _ in PORTS {
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let place = process::id().wrapping_mul(61).wrapping_add(turn);
        let place = place.checked_rem(many).unwrap_or(0);
        let port = PORTS
            .start
            .saturating_add(u16::try_from(place).unwrap_or(0));
        let Ok(given) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) else {
            continue;
        };
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_free) => {
                GIVEN
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(given);
                return Ok(port);
            }
            Err(taken) if taken.kind() == io::ErrorKind::AddrInUse => {}
            Err(refused) => return Err(refused),
        }
    }
    Err(io::Error::from(io::ErrorKind::AddrInUse))
}

/// Runs a program that prepares something and has nothing to say unless it fails.
pub(super) fn prepare(mut command: Command) -> Result<String, StartError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(source) => return Err(StartError::Run { program, source }),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().collect();
    let skipped = lines.len().saturating_sub(LOG_LINES);
    let said = lines
        .into_iter()
        .skip(skipped)
        .collect::<Vec<_>>()
        .join("\n");
    Err(StartError::Refused { program, said })
}

/// Writes a file that only its owner can read, unless `mode` says otherwise.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), StartError> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let prepare = |source| StartError::Prepare {
        path: path.to_owned(),
        source,
    };
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(prepare)?;
    file.write_all(text.as_bytes()).map_err(prepare)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::Scratch;

    fn sleeper(scratch: &Scratch, script: &str) -> Daemon {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let log = scratch.path().join("log");
        Daemon::start("a sleeper", command, &log, Ending::Term, Signals::Shared).unwrap()
    }

    #[test]
    fn a_process_is_ended_by_its_id() {
        let scratch = Scratch::create("tidegate-daemon").unwrap();
        let mut sleeper = sleeper(&scratch, "exec sleep 600");
        assert!(!sleeper.has_ended());
        assert!(sleeper.stop(Ending::Term));
        assert!(sleeper.has_ended());
    }

    #[test]
    fn a_process_that_ends_while_it_should_come_up_is_told_with_its_log() {
        let scratch = Scratch::create("tidegate-daemon").unwrap();
        let mut sleeper = sleeper(&scratch, "echo no such luck; exit 1");
        let error = sleeper.wait_until(|| false).unwrap_err().to_string();
        assert!(error.contains("no such luck"), "{error}");
    }
}
