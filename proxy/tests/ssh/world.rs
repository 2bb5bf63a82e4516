//! A world of one room: the SSH front and back with a real sshd behind them, real clients before
//! them, and a spine that lets everybody in who may. It decides nothing; what decides has tests of
//! its own.

mod people;
mod room;

use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use control::Clock;
use jiff::Timestamp;
use policies::{
    Algorithms, Capability, Endpoint, Entry, HostKeyPin, HostPort, Login, SshEndpoint, Target,
    TargetName,
};
use proxy::demo::{Signals, Sshd, SshdOptions};
use proxy::ssh::Ssh;
use recorder::{End, Limits, Reader, Recorder, Timeline};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, client};
use tokio::sync::{Semaphore, watch};

use self::people::{Keys, People, write_client, write_key};
use self::room::{NoSeal, Room, open_door};

pub(crate) use self::people::key;
pub(crate) use self::room::STANDING_MAX;

/// Everything of one test. Ends with it.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) room: Arc<Room>,
    pub(crate) port: u16,
    pub(crate) runtime: tokio::runtime::Runtime,
    ssh: Arc<Ssh>,
    target_port: u16,
    /// Where the target is a real one.
    _sshd: Option<Sshd>,
}

impl World {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, &[])
    }

    /// A world whose permits name more than a shell and commands.
    pub(crate) fn with(name: &str, more: &[Capability]) -> Self {
        Self::before_sshd(name, more, "")
    }

    /// A world whose target's `sshd_config` has this besides.
    pub(crate) fn where_sshd_has(name: &str, line: &str) -> Self {
        Self::before_sshd(name, &[], line)
    }

    fn before_sshd(name: &str, more: &[Capability], line: &str) -> Self {
        let (dir, keys) = (empty(name), Keys::new());
        let user_ca = keys.targets.public_key().to_openssh().unwrap();
        let sshd = Sshd::start(&SshdOptions {
            dir: &dir.join("sshd"),
            user_ca: Some(&user_ca),
            extra: &format!("AcceptEnv GIT_PROTOCOL COLORTERM\n{line}"),
            signals: Signals::Shared,
        })
        .unwrap();
        let target = (sshd.port(), sshd.host_key().to_owned());
        Self::before(dir, more, target, Some(sshd))
    }

    /// A world whose target listens at this port of the loopback address, and has this key.
    pub(crate) fn against(name: &str, more: &[Capability], target: (u16, String)) -> Self {
        Self::before(empty(name), more, target, None)
    }

    fn before(
        dir: PathBuf,
        more: &[Capability],
        target: (u16, String),
        sshd: Option<Sshd>,
    ) -> Self {
        let (target_port, host_key) = target;
        let keys = Keys::new();
        write_client(&dir, &keys);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .worker_threads(2)
            .build();
        let runtime = runtime.unwrap();
        let target = Target {
            name: TargetName::parse("web1").unwrap(),
            endpoint: Endpoint::Ssh(SshEndpoint {
                addr: HostPort {
                    host: "127.0.0.1".to_owned(),
                    port: target_port,
                },
                host_key: HostKeyPin::Keys {
                    keys: vec![host_key],
                },
                jump: None,
                entry: Entry::Certificate,
                algorithms: Algorithms::Modern,
                keeper: None,
            }),
            logins: [Login::parse("root").unwrap()].into(),
            labels: std::collections::BTreeMap::new(),
            owners: None,
            added_at: Timestamp::now(),
            namesakes: std::collections::BTreeSet::new(),
        };
        let limits = Limits {
            reserve_bytes: 4096,
            stream_max: 1024 * 1024,
            ..Limits::default()
        };
        let recordings = dir.join("recordings");
        std::fs::create_dir_all(&recordings).unwrap();
        let registered = key(31).public_key().to_openssh().unwrap();
        let room = Arc::new(Room {
            target: Arc::new(target),
            recorder: Recorder::open_dir(&recordings, limits, Arc::new(NoSeal)).unwrap(),
            clock: runtime.block_on(async { Clock::system() }),
            identify: Arc::new(People { registered }),
            capabilities: [Capability::Shell, Capability::Exec]
                .into_iter()
                .chain(more.iter().copied())
                .collect(),
            cut: watch::Sender::new(false),
            withdrawn: Arc::default(),
            closed: Mutex::default(),
            denied: Mutex::default(),
            sessions: AtomicU8::new(0),
            standing: Arc::new(Semaphore::new(STANDING_MAX)),
            session: Mutex::default(),
            recording: Mutex::default(),
            target_over: Mutex::default(),
            keys,
        });
        let (port, ssh) = runtime.block_on(open_door(Arc::clone(&room)));
        Self {
            dir,
            room,
            port,
            runtime,
            ssh,
            target_port,
            _sshd: sshd,
        }
    }

    /// `ssh` with everything it needs, up to where it goes.
    pub(crate) fn ssh(&self, user: &str) -> Command {
        let mut ssh = self.client("ssh");
        ssh.arg(format!("{user}@localhost"));
        ssh
    }

    /// A client of the OpenSSH family with its configuration, and nothing on its input.
    pub(crate) fn client(&self, program: &str) -> Command {
        let mut client = Command::new(program);
        client.arg("-F").arg(self.config());
        client.stdin(Stdio::null());
        client
    }

    /// The same with no key of its own.
    pub(crate) fn bare_client(&self, program: &str) -> Command {
        let mut client = Command::new(program);
        client.args(["-F", "none", "-p", &self.port.to_string()]);
        for option in [
            format!(
                "UserKnownHostsFile={}",
                self.dir.join("known_hosts").display()
            ),
            "GlobalKnownHostsFile=none".to_owned(),
            "IdentityFile=none".to_owned(),
            "BatchMode=yes".to_owned(),
        ] {
            client.arg("-o").arg(option);
        }
        client.stdin(Stdio::null());
        client
    }

    /// A file with this key.
    pub(crate) fn put_key(&self, name: &str, key: &PrivateKey) -> PathBuf {
        write_key(&self.dir, name, key);
        self.dir.join(name)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.config_of("alice")
    }

    /// A client's configuration with the key of this name, and its certificate where there is one.
    pub(crate) fn config_of(&self, name: &str) -> PathBuf {
        let path = self.dir.join(format!("config-{name}"));
        let text = format!(
            "Host localhost\n  Port {port}\nHost *\n  IdentityFile {dir}/{name}\n  \
             IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {dir}/known_hosts\n  \
             GlobalKnownHostsFile none\n  StrictHostKeyChecking yes\n  BatchMode yes\n",
            port = self.port,
            dir = self.dir.display(),
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The port of the target itself, past us.
    pub(crate) fn target_port(&self) -> u16 {
        self.target_port
    }

    /// Every frame of the one recording, as text, once the session has ended.
    pub(crate) fn frames(&self) -> Vec<String> {
        assert_eq!(self.closed(1).len(), 1);
        let session = self.room.session.lock().unwrap().unwrap();
        let mut reader = Reader::open(&self.room.recorder.path_of(session)).unwrap();
        let mut frames = Vec::new();
        while let Some(stamped) = reader.next_frame().unwrap() {
            frames.push(format!("{:?}", stamped.frame));
        }
        frames
    }

    /// Proves itself by a certificate for this name from here on.
    pub(crate) fn show(&self, name: &str) {
        self.ssh.show(&self.room.host_identity(name));
    }

    /// Does what stock clients do not: speaks as alice by a client of our own, on a channel that was
    /// just opened. None when the door takes so long that it hangs.
    pub(crate) fn abuse<T, F>(&self, with: impl FnOnce(Channel<client::Msg>) -> F) -> Option<T>
    where
        F: Future<Output = T>,
    {
        self.speak(async |client| with(client.channel_open_session().await.unwrap()).await)
    }

    /// The same on a connection.
    pub(crate) fn speak<T>(
        &self,
        with: impl AsyncFnOnce(client::Handle<Anybody>) -> T,
    ) -> Option<T> {
        let abusing = async { with(self.connect("root+web1").await).await };
        let limited = async { tokio::time::timeout(Duration::from_secs(20), abusing).await };
        self.runtime.block_on(limited).ok()
    }

    /// A connection as alice by a client of our own, with this user name.
    pub(crate) async fn connect(&self, user: &str) -> client::Handle<Anybody> {
        self.connect_with(user, Anybody).await
    }

    /// The same, with what answers to us.
    pub(crate) async fn connect_with<H>(&self, user: &str, handler: H) -> client::Handle<H>
    where
        H: client::Handler<Error = russh::Error> + Send + 'static,
    {
        let config = Arc::new(client::Config::default());
        let address = ("127.0.0.1", self.port);
        let mut client = client::connect(config, address, handler).await.unwrap();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key(31)), None);
        let proven = client.authenticate_publickey(user, key).await;
        assert!(proven.unwrap().success());
        client
    }

    /// Takes away every rule that permits something.
    pub(crate) fn withdraw(&self) {
        self.room.withdrawn.store(true, Ordering::SeqCst);
    }

    /// Has the recording of the session take no more.
    pub(crate) fn break_recording(&self) {
        let recording = self.room.recording.lock().unwrap().clone().unwrap();
        let (end, timeline) = (End::Complete, Timeline::default());
        let at = Duration::from_secs(60);
        let sealed = recording.seal(at, Timestamp::now(), &end, &timeline);
        sealed.unwrap();
    }

    /// Has the target's socket go, when a session ends by itself, only once the target has seen its connection end.
    pub(crate) fn sever_behind(&self, over: watch::Receiver<bool>) {
        *self.room.target_over.lock().unwrap() = Some(over);
    }

    /// Ends every session from outside.
    pub(crate) fn cut(&self) {
        self.room.cut.send_replace(true);
    }

    /// How much memory this process uses, in bytes.
    pub(crate) fn resident() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages = text
            .split_whitespace()
            .nth(1)
            .unwrap()
            .parse::<usize>()
            .unwrap();
        pages * 4096
    }

    /// What sessions said when they ended, once there are this many.
    pub(crate) fn closed(&self, count: usize) -> Vec<String> {
        for _ in 0..500 {
            let closed = self.room.closed.lock().unwrap().clone();
            if closed.len() >= count {
                return closed;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!(
            "sessions have not ended: {:?}",
            self.room.closed.lock().unwrap()
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.dir));
        }
    }
}

/// Believes every host.
pub(crate) struct Anybody;

impl client::Handler for Anybody {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// An empty directory for one test.
fn empty(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("tidegate-ssh-{name}-{}", std::process::id()));
    drop(std::fs::remove_dir_all(&dir));
    std::fs::create_dir_all(dir.join("sshd")).unwrap();
    dir
}

/// What a command printed on its outputs, and how it ended.
pub(crate) fn finish(mut command: Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code(), text(stdout), text(stderr))
}

/// The SHA-256 of a file, as the system's own tool says it.
pub(crate) fn digest(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

/// A file of this many MiB that does not repeat.
pub(crate) fn noise(path: &Path, mebibytes: usize) {
    let mut file = std::fs::File::create(path).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = Vec::with_capacity(1024 * 1024);
    for _ in 0..mebibytes {
        block.clear();
        while block.len() < 1024 * 1024 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
}
