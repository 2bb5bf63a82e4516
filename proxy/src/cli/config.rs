//! `config ssh` and `config psql`: marked blocks in the files that `ssh` and `psql` read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use policies::words::cli::{self, doing};
use policies::{HostPort, Protocol};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::state::write_whole;
use crate::cli::typed::word;
use crate::cli::{block, requests, stanza, targets};

/// Write what ssh and psql need to know
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// The stanzas for ssh, in `~/.ssh/config`
    Ssh(What),
    /// The services for psql, in `~/.pg_service.conf` or `PGSERVICEFILE`
    Psql(What),
}

/// What to do with the block.
#[derive(Debug, Args)]
pub(crate) struct What {
    /// Print it (the default)
    #[arg(long, group = "deed")]
    print: bool,
    /// Put it into the file, or replace it there
    #[arg(long, group = "deed")]
    write: bool,
    /// Take it out of the file
    #[arg(long, group = "deed")]
    remove: bool,
    /// Another file than the usual one
    #[arg(long)]
    file: Option<PathBuf>,
}

/// `config …`.
pub(crate) async fn config(context: &Context, verb: ConfigVerb) -> Outcome {
    let (protocol, what) = match &verb {
        ConfigVerb::Ssh(what) => (Protocol::Ssh, what),
        ConfigVerb::Psql(what) => (Protocol::Postgres, what),
    };
    let path = what.file.clone().unwrap_or_else(|| match protocol {
        Protocol::Ssh => context.surroundings.home.join(".ssh/config"),
        Protocol::Postgres => context.surroundings.service_file.clone(),
    });
    if what.remove {
        changed(&path, block::removed)?;
        let shown = path.to_string_lossy();
        return context.printer.done(
            &serde_json::json!({"file": path}),
            &shown,
            &cli::block_removed(&shown),
        );
    }
    let (body, next) = body(context, protocol).await?;
    let next = with_file(protocol, what.file.as_deref(), &next);
    if !what.write {
        return context.printer.text(&body);
    }
    changed(&path, |text| block::written(text, &body))?;
    let shown = path.to_string_lossy();
    let said = cli::block_written(&shown, &next);
    context
        .printer
        .done(&serde_json::json!({"file": path}), &shown, &said)
}

/// A command of `ssh` or `psql` that reads the block from the file that was named.
fn with_file(protocol: Protocol, file: Option<&Path>, command: &str) -> String {
    let Some(file) = file.map(|file| word(&file.to_string_lossy())) else {
        return command.to_owned();
    };
    match (protocol, command.split_once(' ')) {
        (Protocol::Ssh, Some(("ssh", rest))) => format!("ssh -F {file} {rest}"),
        (Protocol::Postgres, Some(("psql", _service))) => format!("PGSERVICEFILE={file} {command}"),
        _another => command.to_owned(),
    }
}

/// The block's text, and a command that uses it.
async fn body(context: &Context, protocol: Protocol) -> Result<(String, String), Failure> {
    let bastion = context.login(doing::WRITE_CONFIG)?;
    let list = targets::listed(context).await?;
    let at = match protocol {
        Protocol::Ssh => &bastion.ssh,
        Protocol::Postgres => &bastion.postgres,
    };
    let at: &HostPort = at.as_ref().ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            cli::not_spoken(protocol.as_str(), &bastion.url),
        )
    })?;
    let text = match protocol {
        Protocol::Ssh => {
            let program = std::env::current_exe().ok();
            let ensure =
                program.and_then(|program| stanza::ensure(&program, &context.state, &bastion.url));
            stanza::ssh((&context.state, ensure.as_deref()), at, &list.items)
        }
        Protocol::Postgres => stanza::psql(&context.state, at, &list.items),
    };
    let first = list.items.iter().find(|target| target.protocol == protocol);
    let next = first.and_then(|target| {
        let login = &target.access.first()?.login;
        Some(requests::command(&bastion, target, login))
    });
    Ok((text, next.unwrap_or_else(|| "tidegate ls".to_owned())))
}

/// Rewrites a file, through a symbolic link if it is one. No file is an empty one.
fn changed(
    path: &Path,
    change: impl FnOnce(&str) -> Result<String, block::MarkerError>,
) -> Result<(), Failure> {
    let failure = |doing: &str, found: String| {
        Failure::new(
            Exit::Error,
            cli::file(doing, &path.to_string_lossy(), &found),
        )
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failure("read", error.to_string())),
    };
    let new = change(&text).map_err(|odd| failure("change", odd.to_string()))?;
    if new == text {
        return Ok(());
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_new| path.to_path_buf());
    if let Some(dir) = real.parent() {
        fs::create_dir_all(dir).map_err(|error| failure("write", error.to_string()))?;
    }
    write_whole(&real, new.as_bytes(), 0o600).map_err(|error| failure("write", error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(protocol: Protocol, file: &str, command: &str, want: &str) {
        assert_eq!(with_file(protocol, Some(Path::new(file)), command), want);
    }

    #[test]
    fn a_file_that_was_named_is_named_to_the_program_as_well() {
        let ssh = "ssh -p 2222 deploy+web1@localhost";
        check(
            Protocol::Ssh,
            "a.conf",
            ssh,
            "ssh -F a.conf -p 2222 deploy+web1@localhost",
        );
        let psql = "psql service=orders";
        check(
            Protocol::Postgres,
            "/a b",
            psql,
            "PGSERVICEFILE='/a b' psql service=orders",
        );
        check(Protocol::Ssh, "a.conf", "tidegate ls", "tidegate ls");
    }
}
