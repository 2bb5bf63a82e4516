//! Two worlds, one behind the other: the second one's bastion is a target of the first one's, and alice is
//! known to both.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::{io, thread};

use proxy::demo::Ending;

use crate::{Live, World};

/// Both worlds, and what leads from the first to the second.
#[derive(Debug)]
pub struct Chain {
    /// The bastion that alice comes to.
    pub near: World,
    /// The one behind it, and the target `web1` behind that.
    pub far: World,
    /// Where the first bastion finds the second.
    pub junction: Junction,
}

impl Chain {
    /// Two worlds, the second one's bastion added to the first as `bastion2`. Nobody has a grant.
    ///
    /// # Panics
    ///
    /// When it cannot be set up.
    pub fn new() -> Self {
        let (near, mut far) = thread::scope(|scope| {
            let far = scope.spawn(World::new);
            (World::new(), far.join().expect("the second world is set"))
        });
        call(&mut far, "bastion2");
        let junction = Junction::to(door(&far));
        let chain = Self {
            near,
            far,
            junction,
        };
        let addr = chain.junction.addr.to_string();
        let line = [
            "tidegate", "target", "add", "bastion", "bastion2", "--addr", &addr,
        ];
        chain.near.bob().run(&line).expect("bob adds the bastion");
        chain.configure();
        chain
    }

    /// Alice is let through by the first, and to `web1` by the second. Gives back both grants.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn grant(&self, duration: &str) -> (String, String) {
        let through = self.grant_through(duration);
        (through, self.far.grant_ssh("10m"))
    }

    /// Alice is let through by the first.
    ///
    /// # Panics
    ///
    /// When that does not work.
    pub fn grant_through(&self, duration: &str) -> String {
        self.near.grant("bastion2", "jump", duration)
    }

    /// `ssh -J bastion1,bastion2 LOGIN@web1`, with `command` behind it.
    pub fn line<'a>(&'a self, there: &'a str, command: &'a str) -> [&'a str; 6] {
        ["chain-ssh", "-T", "-J", "bastion1,bastion2", there, command]
    }

    /// Where alice goes, as she types it.
    pub fn there(&self) -> String {
        format!("{}@web1", self.far.login())
    }

    /// Alice runs a command at the end of the chain.
    ///
    /// # Panics
    ///
    /// When ssh cannot be run.
    pub fn ssh(&self, command: &str) -> Output {
        let there = self.there();
        let line = self.line(&there, command);
        self.near.alice().output(&line).expect("ssh runs")
    }

    /// A live command of alice's at the end of the chain that says `tick` for ever, also into a file.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn begin(&self) -> (Live, PathBuf) {
        let (there, mark) = (self.there(), self.near.dir().join("ticking"));
        let tick = format!(
            "echo $$ > {}; while echo tick; do sleep 0.05; done",
            mark.display()
        );
        let live = self.near.begin("ssh", &self.line(&there, &tick), "tick");
        (live, mark)
    }

    /// The configuration of alice's clients, and programs that use it.
    fn configure(&self) {
        let config = self.near.dir().join("chain.conf");
        fs::write(&config, self.config()).expect("a configuration is written");
        for tool in ["ssh", "scp"] {
            let path = self.near.dir().join("bin").join(format!("chain-{tool}"));
            let text = format!(
                "#!/bin/sh\nexec /usr/bin/{tool} -F {} \"$@\"\n",
                config.display()
            );
            fs::write(&path, text).expect("a program is written");
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&path, mode).expect("it can be run");
        }
    }

    /// Changes the configuration of alice's clients.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn reconfigure(&self, change: impl FnOnce(String) -> String) {
        let config = self.near.dir().join("chain.conf");
        let text = fs::read_to_string(&config).expect("there is a configuration");
        fs::write(&config, change(text)).expect("it is written");
    }

    /// As somebody writes it who is known to two bastions.
    fn config(&self) -> String {
        let state = |world: &World, file: &str| {
            let path = world.alice().state_dir().join(file);
            path.display().to_string()
        };
        let known = |world: &World| state(world, "known_hosts");
        let identity = |world: &World| {
            format!(
                "  IdentityFile {}\n  CertificateFile {}\n",
                state(world, "ssh-key"),
                state(world, "ssh-key-cert.pub")
            )
        };
        format!(
            "Host bastion1\n  HostName localhost\n  Port {}\n{}  UserKnownHostsFile {}\n\
             Host bastion2\n{}{}  UserKnownHostsFile {} {}\n\
             Host web1\n{}  UserKnownHostsFile {}\n\
             Host *\n  User alice\n  IdentitiesOnly yes\n  IdentityAgent none\n  GlobalKnownHostsFile none\n  \
             StrictHostKeyChecking yes\n  BatchMode yes\n",
            self.near.ssh_port(),
            identity(&self.near),
            known(&self.near),
            identity(&self.far),
            identity(&self.near),
            known(&self.far),
            known(&self.near),
            identity(&self.far),
            known(&self.far),
        )
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a world's bastion listens for SSH.
pub fn door(world: &World) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], world.doors().ssh))
}

/// Has a world's bastion prove itself by one more name.
fn call(world: &mut World, name: &str) {
    let file = world.config_dir().join("tidegate.toml");
    let text = fs::read_to_string(&file).expect("there is a configuration");
    let named = text.replace(
        "hosts = [\"localhost\"",
        &format!("hosts = [\"localhost\", \"{name}\""),
    );
    assert_ne!(named, text, "{text}");
    fs::write(&file, named).expect("it is written");
    world.stop_server(Ending::Term);
    world.serve().expect("it serves again");
}

/// An address that leads elsewhere when somebody switches it, as a name or a machine that was replaced does.
#[derive(Debug)]
pub struct Junction {
    /// Where it listens.
    pub addr: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
}

impl Junction {
    /// One that leads there.
    fn to(there: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let to = Arc::new(Mutex::new(there));
        let at = Arc::clone(&to);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let to = *at.lock().expect("nobody panics");
                if let Ok(far) = TcpStream::connect(to) {
                    join(&near, &far);
                }
            }
        });
        Self { addr, to }
    }

    /// Has it lead elsewhere from here on.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn switch(&self, there: SocketAddr) {
        *self.to.lock().expect("nobody panics") = there;
    }
}

/// Carries both directions.
fn join(near: &TcpStream, far: &TcpStream) {
    for (from, to) in [(near, far), (far, near)] {
        let (mut from, mut to) = (
            from.try_clone().expect("a descriptor"),
            to.try_clone().expect("a descriptor"),
        );
        thread::spawn(move || {
            drop(io::copy(&mut from, &mut to));
            drop(to.shutdown(std::net::Shutdown::Write));
        });
    }
}
