//! Lending an agent to the target (`ssh -A`): what it may be asked, and that each use is written down.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use policies::Capability;

use crate::recording::holds;
use crate::service::PATIENCE;
use crate::world::{World, finish};

/// A person's agent. Ends with the test.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    process: Child,
}

impl Agent {
    /// One with one key in it.
    fn start(world: &World) -> Self {
        let agent = Self::empty(world);
        agent.takes(&world.dir.join("stranger"));
        agent
    }

    pub(crate) fn empty(world: &World) -> Self {
        let socket = world.dir.join("agent");
        let mut agent = Command::new("ssh-agent");
        agent.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
        let process = agent.spawn().unwrap();
        let started = Instant::now();
        while !socket.exists() {
            assert!(started.elapsed() < PATIENCE, "no agent comes up");
            thread::sleep(Duration::from_millis(20));
        }
        Self { socket, process }
    }

    /// Puts this key into it, behind those that are there.
    pub(crate) fn takes(&self, key: &Path) {
        let mut add = Command::new("ssh-add");
        add.env("SSH_AUTH_SOCK", &self.socket).arg(key);
        let (status, _, err) = finish(add);
        assert_eq!(status, Some(0), "{err}");
    }

    /// Runs a command at the target with this agent lent to it.
    fn lent(&self, world: &World, command: &str) -> (Option<i32>, String, String) {
        let mut ssh = world.client("ssh");
        ssh.arg("-A").arg("-o");
        ssh.arg(format!("IdentityAgent={}", self.socket.display()));
        ssh.args(["root+web1@localhost", command]);
        finish(ssh)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn a_lent_agent_signs_and_each_use_is_written_down() {
    let world = World::with("agent", &[Capability::ForwardAgent]);
    let agent = Agent::start(&world);
    let key = world.dir.join("stranger.pub").display().to_string();
    let (status, out, err) = agent.lent(&world, &format!("ssh-add -l && ssh-add -T {key}"));
    assert_eq!(status, Some(0), "{out}{err}");
    let fingerprint = out.split(' ').nth(1).unwrap();
    let frames = world.frames();
    holds(&frames, &["Agent", "lend"]);
    holds(&frames, &["Opened", "auth-agent@openssh.com"]);
    holds(&frames, &["Agent", "list"]);
    holds(&frames, &["Agent", "sign", fingerprint]);
    holds(&frames, &["Agent", "contents", "bytes SHA256:"]);
    holds(&frames, &["Agent", "answer", "12, "]);
    holds(&frames, &["Agent", "answer", "14, "]);
    let kept = |frame: &String| frame.contains("Data") && frame.contains("channel: 21474836");
    assert!(!frames.iter().any(kept), "{frames:#?}");
}

#[test]
fn nothing_is_put_into_a_lent_agent_from_the_target() {
    let world = World::with("agent-add", &[Capability::ForwardAgent]);
    let agent = Agent::start(&world);
    let key = world.dir.join("registered").display().to_string();
    let (status, _, err) = agent.lent(&world, &format!("ssh-add {key}"));
    assert_ne!(status, Some(0), "{err}");
    assert!(err.contains("tidegate: TG615"), "{err}");
    holds(&world.frames(), &["Refused", "TG615", "agent forwarding"]);
    let mut list = Command::new("ssh-add");
    list.arg("-l").env("SSH_AUTH_SOCK", &agent.socket);
    assert_eq!(finish(list).1.lines().count(), 1);
}

/// Whoever has what such a signature covers may log in as the agent's owner for hours after it was lent.
#[test]
fn a_target_has_a_lent_agent_sign_texts_and_no_login() {
    let sign = |name: &str, namespace: &str| {
        let world = World::with(name, &[Capability::ForwardAgent]);
        let agent = Agent::start(&world);
        // The public half alone, so that nothing but the agent can sign.
        let (key, text) = (world.dir.join("lent.pub"), world.dir.join("text"));
        std::fs::copy(world.dir.join("stranger.pub"), &key).unwrap();
        std::fs::write(&text, "a challenge").unwrap();
        let (key, text) = (key.display(), text.display());
        let line = format!("ssh-keygen -Y sign -n {namespace} -f {key} {text}; echo $?");
        let (_, out, err) = agent.lent(&world, &line);
        (out, err, world.frames())
    };
    let (out, err, frames) = sign("agent-text", "file");
    assert_eq!(out, "0\n", "{err}");
    holds(&frames, &["Agent", "sign", "SHA256:"]);
    for namespace in ["tidegate-login", "tidegate-login-2"] {
        let (out, err, frames) = sign(namespace, namespace);
        assert_ne!(out, "0\n", "{err}");
        assert!(err.contains("tidegate: TG620"), "{err}");
        holds(&frames, &["Agent", "sign", "SHA256:"]);
        holds(&frames, &["Agent", "contents", "bytes SHA256:"]);
        holds(&frames, &["Refused", "TG620", "a login's signature"]);
        // It was not answered.
        let signed = |frame: &String| frame.contains("Agent") && frame.contains("14, ");
        assert!(!frames.iter().any(signed), "{frames:#?}");
    }
}

#[test]
fn without_a_permit_no_agent_is_lent() {
    let world = World::new("agent-none");
    let agent = Agent::start(&world);
    let (status, out, err) = agent.lent(&world, "echo [$SSH_AUTH_SOCK]");
    assert_eq!((status, out.as_str()), (Some(0), "[]\n"), "{err}");
    holds(&world.frames(), &["Refused", "TG603", "agent forwarding"]);
}
