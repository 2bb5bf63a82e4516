//! One person of the demo: a home with a key, a state directory, and a script that makes any
//! command that person's.
//!
//! The script is what people paste and what the tests run, so what is printed is what is tested.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::daemon::{prepare, write};
use super::failure::DemoError;

/// What `tidegate request` exits with while nobody has answered.
const PENDING: i32 = 5;

/// One person.
#[derive(Debug, Clone)]
pub struct Person {
    name: String,
    home: PathBuf,
    script: PathBuf,
}

impl Person {
    /// Makes the person's home below `dir` and an SSH key in it.
    pub(super) fn create(dir: &Path, name: &str) -> Result<Self, DemoError> {
        let home = dir.join("people").join(name);
        let ssh = home.join(".ssh");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&ssh)
            .map_err(DemoError::io(format!("make a home for {name}")))?;
        let mut keygen = Command::new("ssh-keygen");
        keygen
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(ssh.join("id_ed25519"));
        prepare(keygen)?;
        write(&ssh.join("config"), "", 0o600)?;
        Ok(Self {
            name: name.to_owned(),
            home,
            script: dir.join(name),
        })
    }

    /// Writes the script: the environment of this person around any command.
    pub(super) fn equip(&self, bin: &Path, url: &str, fingerprint: &str) -> Result<(), DemoError> {
        let mut text = String::from("#!/bin/sh\n");
        let home = self.home.display();
        let variables = [
            ("HOME", home.to_string()),
            ("XDG_STATE_HOME", format!("{home}/state")),
            ("XDG_CONFIG_HOME", format!("{home}/config")),
            ("TIDEGATE_STATE_DIR", format!("{home}/state/tidegate")),
            ("TIDEGATE_BASTION", url.to_owned()),
            ("TIDEGATE_CA_FINGERPRINT", fingerprint.to_owned()),
            ("PGSERVICEFILE", format!("{home}/.pg_service.conf")),
            ("PATH", format!("{}:$PATH", bin.display())),
        ];
        for (name, value) in variables {
            text.push_str(&["export ", name, "=\"", &value, "\"\n"].concat());
        }
        text.push_str("unset SSH_AUTH_SOCK PGHOST PGPORT PGUSER PGDATABASE PGSERVICE PGSSLMODE\n");
        text.push_str("exec \"$@\"\n");
        Ok(write(&self.script, &text, 0o700)?)
    }

    /// Their name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The script that makes a command theirs.
    pub fn script(&self) -> &Path {
        &self.script
    }

    /// Where their login is kept.
    pub fn state_dir(&self) -> PathBuf {
        self.home.join("state/tidegate")
    }

    /// Their registered key's file.
    pub fn key(&self) -> PathBuf {
        self.home.join(".ssh/id_ed25519")
    }

    /// Any command as this person, with nothing on its input.
    pub fn command<A: AsRef<std::ffi::OsStr>>(&self, line: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(&self.script);
        command.args(line).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end, whatever that is.
    pub fn output(&self, line: &[&str]) -> Result<Output, DemoError> {
        self.command(line)
            .output()
            .map_err(DemoError::io(format!("run {}", line.join(" "))))
    }

    /// Runs a command that has to succeed, and gives back what it printed.
    pub fn run(&self, line: &[&str]) -> Result<String, DemoError> {
        let output = self.output(line)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(DemoError::Command {
            command: format!("{} {}", self.name, line.join(" ")),
            status: output.status.to_string(),
            said: said(&output),
        })
    }

    /// Runs `tidegate -o json …`, which has to succeed, and reads its answer. A request that nobody
    /// has answered yet is a success too, whatever it exits with.
    pub fn json(&self, line: &[&str]) -> Result<Value, DemoError> {
        let mut whole = vec!["tidegate", "-o", "json"];
        whole.extend_from_slice(line);
        let output = self.output(&whole)?;
        if !output.status.success() && output.status.code() != Some(PENDING) {
            return Err(DemoError::Command {
                command: format!("{} {}", self.name, whole.join(" ")),
                status: output.status.to_string(),
                said: said(&output),
            });
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        serde_json::from_str(&text).map_err(|_odd| DemoError::Answer {
            command: format!("{} {}", self.name, whole.join(" ")),
            wanted: "JSON",
            said: text,
        })
    }

    /// Runs `tidegate -o json …` and takes one text out of its answer.
    pub fn field(&self, line: &[&str], pointer: &'static str) -> Result<String, DemoError> {
        let answer = self.json(line)?;
        let found = answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned);
        found.ok_or_else(|| DemoError::Answer {
            command: format!("{} tidegate {}", self.name, line.join(" ")),
            wanted: pointer,
            said: answer.to_string(),
        })
    }
}

/// What a command said on both its outputs, the complaint last.
pub fn said(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("{out}{err}").trim().to_owned()
}
