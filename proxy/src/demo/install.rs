//! What the demo drives, and how it is got where it is missing: by apt, and only when asked.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

use policies::words::demo as words;

use super::failure::DemoError;
use super::sshd::current_login;

/// The Debian packages that are missing.
pub(super) fn missing() -> Vec<&'static str> {
    let there = |path: &str| Path::new(path).exists();
    let postgres = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .any(|version| version.path().join("bin/initdb").exists());
    let wanted = [
        ("openssh-server", there("/usr/sbin/sshd")),
        (
            "openssh-client",
            there("/usr/bin/ssh") && there("/usr/bin/ssh-keygen"),
        ),
        (
            "postgresql",
            postgres && there("/usr/bin/psql") && there("/usr/bin/openssl"),
        ),
    ];
    wanted
        .into_iter()
        .filter(|(_, there)| !there)
        .map(|(package, _)| package)
        .collect()
}

/// Installs them. `postgresql` brings `openssl` along.
pub(super) fn install(packages: &[&'static str]) -> Result<(), DemoError> {
    if current_login() != "root" {
        return Err(DemoError::Broken(words::not_root(packages)));
    }
    apt(&["update", "-q"])?;
    let mut line = vec!["install", "-qy", "--no-install-recommends"];
    line.extend_from_slice(packages);
    apt(&line)
}

fn apt(line: &[&str]) -> Result<(), DemoError> {
    let command = format!("apt-get {}", line.join(" "));
    let mut apt = Command::new("apt-get");
    apt.args(line)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null());
    let output = apt.output().map_err(|source: io::Error| DemoError::Io {
        doing: format!("run {command}"),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(DemoError::Command {
        command,
        status: output.status.to_string(),
        said,
    })
}
