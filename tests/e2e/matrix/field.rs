//! Where cells are run: one sshd that alice reaches directly and through tidegate, and what is there
//! to talk to.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use proxy::demo::Scratch;
use russh::keys::{HashAlg, PublicKey};
use tests::{Setting, World, until};

/// How many files there are in the large directory.
const MANY: u32 = 2000;

/// A name that shells, batch files and C printers take for something else.
pub(super) const ODD: &str = "it's \"odd\"  $HOME; \u{e9}\u{4e2d} -n#%41";

/// Everything that the target itself can do is permitted: what is refused is told elsewhere.
const PERMITTED: &str = "@id(\"forwards\")\npermit (principal in Jit::Group::\"sre\", \
    action in [Jit::Action::\"forwardPort\", Jit::Action::\"reversePort\", Jit::Action::\"forwardAgent\", \
    Jit::Action::\"forwardX11\"], \
    resource is Jit::SshHost);\n";

/// How alice gets to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Road {
    /// With her own key, which the target knows.
    Direct,
    /// `login+web1@bastion`.
    Plus,
    /// `-J bastion login@web1`.
    Jump,
    /// `-J hop,bastion login@web1`.
    Chain,
    /// `-o ProxyCommand='ssh -W %h:%p bastion' login@web1`.
    Command,
}

impl Road {
    /// Its name for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Plus => "login+target@bastion",
            Self::Jump => "-J bastion",
            Self::Chain => "-J hop,bastion",
            Self::Command => "ProxyCommand",
        }
    }
}

/// The stage of all cells of a test.
#[derive(Debug)]
pub(super) struct Field {
    // Dropped in this order: who talks first, the directory last.
    agent: Child,
    world: World,
    service: u16,
    page: u16,
    /// The number of the display that is lent.
    screen: u16,
    scratch: Scratch,
}

impl Field {
    /// Sets it, its server with these settings.
    pub(super) fn set(server: &[(&str, &str)]) -> Self {
        let scratch = Scratch::create("tidegate-matrix").expect("a directory");
        let keys = scratch.path().join("authorized_keys");
        fs::create_dir(scratch.path().join("tools")).expect("room");
        let sshd = format!(
            "AuthorizedKeysFile {}\nX11Forwarding yes\nXAuthLocation {}",
            keys.display(),
            xauth(&scratch.path().join("tools")).display()
        );
        let world = World::with(&Setting {
            sshd: &sshd,
            server,
            ..Setting::default()
        });
        fs::copy(world.alice().key().with_extension("pub"), &keys).expect("alice's key is let in");
        world.add_policy(PERMITTED);
        world.grant_ssh("1h");
        fill(scratch.path());
        let agent = agent(scratch.path(), world.alice().key().as_path());
        let field = Self {
            agent,
            world,
            service: service(&scratch.path().join("socket")),
            page: page(),
            screen: screen(),
            scratch,
        };
        field.write_known_hosts();
        for road in [
            Road::Direct,
            Road::Plus,
            Road::Jump,
            Road::Chain,
            Road::Command,
        ] {
            fs::write(field.config(road), field.ssh_config(road)).expect("an ssh_config");
        }
        field
    }

    /// Room for the files of the cells.
    pub(super) fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// Room for what is made ready once.
    pub(super) fn tools(&self) -> PathBuf {
        self.dir().join("tools")
    }

    /// What a script is told of its world, besides its own directories. `docs/clients.md` says how
    /// clients get hold of the same things.
    pub(super) fn surroundings(&self, road: Road) -> Vec<(&'static str, String)> {
        let login = self.world.login();
        let (port, who) = match road {
            Road::Direct => (self.world.sshd().port(), login),
            Road::Plus | Road::Jump | Road::Chain | Road::Command => {
                (self.world.doors().ssh, format!("{login}+web1"))
            }
        };
        let path = |name: &str| self.dir().join(name).display().to_string();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        vec![
            ("CONFIG", self.config(road).display().to_string()),
            ("HOST", "localhost".to_owned()),
            ("PORT", port.to_string()),
            ("WHO", who),
            ("KEY", self.world.alice().key().display().to_string()),
            (
                "LOGIN",
                self.world.alice().state_dir().display().to_string(),
            ),
            ("KNOWN", path("known_hosts")),
            (
                "HOSTKEY",
                fingerprint(&self.dir().join("known_hosts"), port),
            ),
            ("AGENT", path("agent")),
            ("BIG", path("big")),
            ("MANY", path("many")),
            ("ODD", ODD.to_owned()),
            ("TOOLS", path("tools")),
            ("SERVICE", self.service.to_string()),
            ("SOCKET", path("socket")),
            ("SCREEN", format!("127.0.0.1:{}.0", self.screen)),
            ("WEB", self.page.to_string()),
            ("SCRIPTS", root.join("e2e/matrix").display().to_string()),
            (
                "CLIENTS",
                root.join("../target/clients").display().to_string(),
            ),
        ]
    }

    fn config(&self, road: Road) -> PathBuf {
        self.dir().join(format!("ssh_config.{road:?}"))
    }

    /// What `tidegate login` wrote down of the bastion (its CA, and its plain host key for clients that do
    /// not know certificates), and the target's host key.
    fn write_known_hosts(&self) {
        let known = self.world.alice().state_dir().join("known_hosts");
        let mut known = fs::read_to_string(known).expect("alice is logged in");
        let (port, key) = (self.world.sshd().port(), self.world.sshd().host_key());
        known.push_str(&["[localhost]:", &port.to_string(), " ", key, "\n"].concat());
        fs::write(self.dir().join("known_hosts"), known).expect("room");
    }

    fn ssh_config(&self, road: Road) -> String {
        let login = self.world.login();
        let (target, door) = (self.world.sshd().port(), self.world.doors().ssh);
        let config = self.config(road).display().to_string();
        let state = self.world.alice().state_dir().display().to_string();
        let there = match road {
            Road::Direct => format!(" HostName localhost\n Port {target}\n User {login}\n"),
            Road::Plus => format!(" HostName localhost\n Port {door}\n User {login}+web1\n"),
            Road::Jump => format!(" HostName web1\n User {login}\n ProxyJump bastion\n"),
            Road::Chain => format!(" HostName web1\n User {login}\n ProxyJump hop,bastion\n"),
            Road::Command => format!(
                " HostName web1\n User {login}\n ProxyCommand ssh -F {config} -W %h:%p bastion\n"
            ),
        };
        let login_of_tidegate =
            format!(" IdentityFile {state}/ssh-key\n CertificateFile {state}/ssh-key-cert.pub\n");
        let own_key = format!(" IdentityFile {}\n", self.world.alice().key().display());
        let identity = match road {
            Road::Direct => &own_key,
            Road::Plus | Road::Jump | Road::Chain | Road::Command => &login_of_tidegate,
        };
        // When all is over, the clients of a chain end in any order and complain of each other.
        format!(
            "Host *\n IdentitiesOnly yes\n StrictHostKeyChecking yes\n UserKnownHostsFile {known}\n\
             Host there\n{there}{identity}\
             Host bastion\n HostName localhost\n Port {door}\n{login_of_tidegate}\
             Host hop\n HostName localhost\n Port {target}\n{own_key}\
             Host bastion hop\n LogLevel QUIET\n",
            known = self.dir().join("known_hosts").display(),
        )
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        drop(self.agent.kill());
        drop(self.agent.wait());
    }
}

/// Files to send: a large one that does not compress, and many that are empty.
fn fill(dir: &Path) {
    tests::route::Big::fill(dir.join("big"), 8);
    let many = dir.join("many");
    fs::create_dir(&many).expect("room");
    for number in 0..MANY {
        fs::write(many.join(number.to_string()), "").expect("room");
    }
}

/// An agent with alice's key in it.
fn agent(dir: &Path, key: &Path) -> Child {
    let socket = dir.join("agent");
    let mut agent = Command::new("ssh-agent");
    agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
    let process = agent.spawn().expect("ssh-agent runs");
    // Its socket is there a moment before that.
    until("the agent listens", || UnixStream::connect(&socket).ok());
    let mut add = Command::new("ssh-add");
    add.env("SSH_AUTH_SOCK", &socket).arg(key);
    assert!(add.output().expect("ssh-add runs").status.success());
    process
}

/// The fingerprint of the plain host key behind a port, `SHA256:…`.
fn fingerprint(known_hosts: &Path, port: u16) -> String {
    let known = fs::read_to_string(known_hosts).expect("it has been written");
    let host = format!("[localhost]:{port} ");
    let key = known.lines().find_map(|line| line.strip_prefix(&host));
    let key = PublicKey::from_openssh(key.expect("both have a plain host key"));
    key.expect("it is a key")
        .fingerprint(HashAlg::Sha256)
        .to_string()
}

/// The target's `xauth`, which leaves the files of whoever runs this alone, and beside it what draws at a display:
/// it finds its cookie, connects, sends its first message in one piece (whoever answers may go then), and shows what
/// it is answered.
fn xauth(tools: &Path) -> PathBuf {
    let (tool, authority) = (tools.join("xauth"), tools.join("authority"));
    // Of one that it makes it speaks.
    fs::write(&authority, "").expect("room");
    let authority = authority.display();
    let text = format!("#!/bin/sh\nexec xauth -f {authority} \"$@\"\n");
    fs::write(&tool, text).expect("a script");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("it can be run");
    let text = format!("set -e\nset -- $(xauth -f {authority} list \"$DISPLAY\")\n{DRAW}");
    fs::write(tools.join("draw"), text).expect("a script");
    tool
}

const DRAW: &str = r#"number=${DISPLAY#*:}
exec 3<>/dev/tcp/localhost/$((6000 + ${number%.*}))
cookie=$(printf %s "$3" | sed 's/../\\x&/g')
printf 'l\0\013\0\0\0\022\0\020\0\0\0MIT-MAGIC-COOKIE-1\0\0'"$cookie" >&3
head -c 9 <&3
"#;

/// A display that says hello to whoever draws there: its number, which is its port's from 6000 on.
fn screen() -> u16 {
    let listen = |port| Some((TcpListener::bind(("127.0.0.1", port)).ok()?, port));
    let (listener, port) = (6400..6600).find_map(listen).expect("a free display");
    serve(
        listener,
        |stream, _setup| stream.write_all(b"greeting\n"),
        b"",
    );
    port.saturating_sub(6000)
}

/// A service that greets, says back what it gets first, and is done: at a port, and at a socket.
fn service(socket: &Path) -> u16 {
    let greeting = b"welcome\n";
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || converse(stream, UnixStream::write_all, greeting));
        }
    });
    serve(free(), TcpStream::write_all, greeting)
}

/// A web server with one page.
fn page() -> u16 {
    serve(
        free(),
        |stream, _request| {
            stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\na page\n")
        },
        b"",
    )
}

fn free() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).expect("a free port")
}

fn serve(
    listener: TcpListener,
    answer: fn(&mut TcpStream, &[u8]) -> io::Result<()>,
    greeting: &'static [u8],
) -> u16 {
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || converse(stream, answer, greeting));
        }
    });
    port
}

/// Both kinds of connections.
trait Conversation: Read + Write {
    fn patience(&self, limit: Duration) -> io::Result<()>;
    fn done(&self) -> io::Result<()>;
}

impl Conversation for TcpStream {
    fn patience(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }

    fn done(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Conversation for UnixStream {
    fn patience(&self, limit: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(limit))
    }

    fn done(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

fn converse<Io: Conversation>(
    mut stream: Io,
    answer: fn(&mut Io, &[u8]) -> io::Result<()>,
    greeting: &[u8],
) {
    drop(stream.patience(Duration::from_secs(30)));
    drop(stream.write_all(greeting));
    let mut buffer = [0; 4096];
    if let Ok(count @ 1..) = stream.read(&mut buffer) {
        drop(answer(&mut stream, buffer.get(..count).unwrap_or_default()));
    }
    drop(stream.done());
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}
