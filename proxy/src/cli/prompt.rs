//! Asking the person at the terminal. Without a terminal nothing is asked: the verb ends and names
//! the flag that answers.

use std::io::{BufRead, Write, stderr, stdin};
use std::process::{Command, Stdio};

use clap::Args;
use policies::words::cli;
use zeroize::Zeroizing;

use crate::cli::failure::{Exit, Failure};
use crate::cli::surroundings::Surroundings;

/// The answer that was given beforehand. Every verb that cuts sessions or takes rights away from
/// others asks, and takes this; `user lock` and `sessions kill` do not ask: they are for emergencies.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Assent {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Assent {
    /// Asks, unless the answer was given.
    pub(crate) fn confirmed(
        self,
        surroundings: &Surroundings,
        question: &str,
        doing: &str,
    ) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        confirmed(surroundings, question, doing, "--yes")
    }
}

/// Asks for a plain yes. `flag` is what answers when there is nobody to ask.
pub(crate) fn confirmed(
    surroundings: &Surroundings,
    question: &str,
    doing: &str,
    flag: &str,
) -> Result<(), Failure> {
    if !surroundings.interactive {
        return Err(Failure::new(
            Exit::Usage,
            cli::flag_needed(&format!("cannot {doing}"), flag),
        ));
    }
    say(question);
    match line().trim() {
        "y" | "yes" => Ok(()),
        _other => Err(Failure::new(Exit::Error, cli::not_confirmed(doing))),
    }
}

/// Asks for the passphrase of a key file, without showing it.
pub(crate) fn passphrase(
    surroundings: &Surroundings,
    path: &str,
) -> Result<Zeroizing<String>, Failure> {
    if !surroundings.interactive {
        let what = format!("cannot open the key `{path}`: it has a passphrase");
        let flag = "it to an agent:  ssh-add, and run this with SSH_AUTH_SOCK set";
        return Err(Failure::new(Exit::Usage, cli::flag_needed(&what, flag)));
    }
    say(&format!("passphrase of {path}: "));
    echo("-echo");
    let answer = line();
    echo("echo");
    say("\n");
    Ok(answer)
}

/// `stty(1)` on the terminal that we were started from. Where it fails the text is shown, as `cat`
/// would.
fn echo(mode: &str) {
    let stty = Command::new("stty")
        .arg(mode)
        .stdin(Stdio::inherit())
        .status();
    drop(stty);
}

fn say(text: &str) {
    drop(
        stderr()
            .write_all(text.as_bytes())
            .and_then(|()| stderr().flush()),
    );
}

fn line() -> Zeroizing<String> {
    let mut answer = Zeroizing::new(String::new());
    drop(stdin().lock().read_line(&mut answer));
    Zeroizing::new(answer.trim_end_matches(['\r', '\n']).to_owned())
}
