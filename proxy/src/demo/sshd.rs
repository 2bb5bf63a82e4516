//! A throw-away OpenSSH server on a free loopback port.
//!
//! It is the system's own `sshd` with a configuration of ours, trusting tidegate's CA by
//! `TrustedUserCAKeys` as a real target does. As root it lets in whoever a certificate names; as
//! anyone else it can only log in that one person, because `sshd` cannot become another.

use std::fs;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::daemon::{Daemon, Ending, Signals, StartError, free_port, prepare, write};

/// Where `sshd` is. It refuses to start by any but an absolute path.
const SSHD: &str = "/usr/sbin/sshd";

/// How many ports are tried, should someone else take the free one first.
const PORTS_TRIED: u32 = 3;

/// What a throw-away `sshd` is started with.
#[derive(Debug, Clone)]
pub struct SshdOptions<'a> {
    /// An empty directory of its own.
    pub dir: &'a Path,
    /// The CA whose user certificates it trusts, as one line of OpenSSH; nobody gets in without.
    pub user_ca: Option<&'a str>,
    /// Lines of `sshd_config` beyond ours. The first mention of a keyword wins, so these do.
    pub extra: &'a str,
    /// Whether a terminal's Ctrl-C reaches it.
    pub signals: Signals,
}

/// A running `sshd`, stopped on drop.
#[derive(Debug)]
pub struct Sshd {
    daemon: Daemon,
    port: u16,
    host_key: String,
    dir: PathBuf,
}

impl Sshd {
    /// Makes a host key, starts the server and waits until it greets.
    pub fn start(options: &SshdOptions<'_>) -> Result<Self, StartError> {
        if !Path::new(SSHD).exists() {
            return Err(StartError::Missing {
                program: SSHD.into(),
                package: "openssh-server",
            });
        }
        let dir = options.dir;
        let key = dir.join("host_key");
        if !key.exists() {
            let mut keygen = Command::new("ssh-keygen");
            keygen
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "throw-away", "-f"])
                .arg(&key);
            prepare(keygen)?;
        }
        let public = fs::read_to_string(key.with_extension("pub")).map_err(|source| {
            StartError::Prepare {
                path: key.clone(),
                source,
            }
        })?;
        let host_key = public
            .split_whitespace()
            .take(2)
            .collect::<Vec<_>>()
            .join(" ");
        if let Some(ca) = options.user_ca {
            write(&dir.join("user_ca.pub"), &format!("{}\n", ca.trim()), 0o644)?;
        }
        if current_login() == "root" {
            // Privilege separation needs it, and only the system's own service makes it.
            drop(fs::create_dir_all("/run/sshd"));
        }
        let mut failed = None;
        for _ in 0..PORTS_TRIED {
            match Self::listen(options, &key) {
                Ok((daemon, port)) => {
                    return Ok(Self {
                        daemon,
                        port,
                        host_key,
                        dir: dir.to_owned(),
                    });
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or(StartError::NotUp {
            name: "sshd",
            log: String::new(),
        }))
    }

    fn listen(options: &SshdOptions<'_>, key: &Path) -> Result<(Daemon, u16), StartError> {
        let dir = options.dir;
        let port = free_port().map_err(|source| StartError::Prepare {
            path: dir.to_owned(),
            source,
        })?;
        let config = dir.join("sshd_config");
        write(&config, &Self::config(options, key, port), 0o600)?;
        let mut sshd = Command::new(SSHD);
        sshd.arg("-D").arg("-e").arg("-f").arg(&config);
        let log = dir.join("sshd.log");
        let mut daemon = Daemon::start("sshd", sshd, &log, Ending::Term, options.signals)?;
        daemon.wait_until(|| greets(port))?;
        Ok((daemon, port))
    }

    fn config(options: &SshdOptions<'_>, key: &Path, port: u16) -> String {
        let trust = match options.user_ca {
            Some(_) => format!(
                "TrustedUserCAKeys {}\n",
                options.dir.join("user_ca.pub").display()
            ),
            None => String::new(),
        };
        // Above the first level, bash does not read `~/.bashrc` for a command over SSH: what people have
        // there takes its time, and writes where the output of the command goes.
        format!(
            "{extra}\n\
             ListenAddress 127.0.0.1\n\
             Port {port}\n\
             HostKey {key}\n\
             PidFile none\n\
             {trust}\
             AuthenticationMethods publickey\n\
             AuthorizedKeysFile none\n\
             PasswordAuthentication no\n\
             KbdInteractiveAuthentication no\n\
             PermitRootLogin prohibit-password\n\
             UsePAM no\n\
             StrictModes no\n\
             PrintMotd no\n\
             PrintLastLog no\n\
             AcceptEnv LANG LC_*\n\
             SetEnv SHLVL=1\n\
             Subsystem sftp internal-sftp\n\
             MaxStartups 2000:1:4000\n\
             MaxSessions 100\n\
             LogLevel VERBOSE\n",
            extra = options.extra,
            key = key.display(),
        )
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its host key in OpenSSH's one-line form, without comment.
    pub fn host_key(&self) -> &str {
        &self.host_key
    }

    /// The directory with its configuration, its host key and `sshd.log`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The process.
    pub fn daemon(&mut self) -> &mut Daemon {
        &mut self.daemon
    }

    /// Ends it, and waits until it is gone. Sessions that it has forked live on.
    pub fn stop(&mut self) {
        self.daemon.stop(Ending::Term);
    }
}

/// The account that we run as, and so the one that a throw-away `sshd` can log in.
pub fn current_login() -> String {
    let mut id = Command::new("id");
    id.arg("-un");
    prepare(id)
        .map(|name| name.trim().to_owned())
        .unwrap_or_default()
}

/// Whether an SSH server answers there.
fn greets(port: u16) -> bool {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&addr, Duration::from_secs(1)) else {
        return false;
    };
    let mut start = [0; 4];
    stream
        .set_read_timeout(Some(Duration::from_secs(2)))
        .is_ok()
        && stream.read_exact(&mut start).is_ok()
        && start == *b"SSH-"
}
