//! Asking the person at the terminal. Without a terminal nothing is asked: the verb ends and names
//! the flag that answers.
//!
//! Asking waits like everything else, so that Ctrl-C is heard meanwhile.

use std::io::{BufRead, Stdin, Write, stderr, stdin};
use std::thread;

use clap::Args;
use policies::words::cli::{self, connection, prompts};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::oneshot;
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
    /// Whether nobody is to be asked.
    pub(crate) fn is_given(self) -> bool {
        self.yes
    }

    /// Asks, unless the answer was given.
    pub(crate) async fn confirmed(
        self,
        surroundings: &Surroundings,
        question: &str,
        doing: &str,
    ) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        confirmed(surroundings, question, doing, "--yes").await
    }
}

/// Asks for a plain yes. `flag` is what answers when there is nobody to ask.
async fn confirmed(
    surroundings: &Surroundings,
    question: &str,
    doing: &str,
    flag: &str,
) -> Result<(), Failure> {
    if !surroundings.interactive {
        return Err(Failure::new(
            Exit::Usage,
            prompts::unasked(&connection::cannot(doing), question, flag),
        ));
    }
    if agreed(question).await {
        Ok(())
    } else {
        Err(Failure::new(Exit::Error, cli::not_confirmed(doing)))
    }
}

/// Whether the person at the terminal says yes. Only where there is one.
pub(crate) async fn agreed(question: &str) -> bool {
    say(question);
    matches!(line().await.trim(), "y" | "yes")
}

/// Asks for the passphrase of a key file, without showing it.
pub(crate) async fn passphrase(
    surroundings: &Surroundings,
    path: &str,
) -> Result<Zeroizing<String>, Failure> {
    if !surroundings.interactive {
        let what = prompts::locked_key(path);
        let trouble = cli::flag_needed(&what, prompts::AN_AGENT);
        return Err(Failure::new(Exit::Usage, trouble));
    }
    say(&prompts::passphrase(path));
    // Whoever listens for Ctrl-C has begun to before anything is hidden.
    tokio::task::yield_now().await;
    let hidden = Hidden::begin();
    let answer = line().await;
    drop(hidden);
    Ok(answer)
}

/// One line that is not shown where it is typed, or the first line of the input.
pub(crate) async fn hidden(surroundings: &Surroundings, question: &str) -> Zeroizing<String> {
    if !surroundings.interactive {
        return line().await;
    }
    say(question);
    // As with a passphrase.
    tokio::task::yield_now().await;
    let hidden = Hidden::begin();
    let answer = line().await;
    drop(hidden);
    answer
}

/// The terminal does not show what is typed while this lives, and is as it was afterwards, also
/// where whoever asked goes away.
#[derive(Debug)]
struct Hidden {
    at: Stdin,
    before: Termios,
}

impl Hidden {
    /// Where it fails the text is shown, as `cat` would.
    fn begin() -> Option<Self> {
        let at = stdin();
        let before = tcgetattr(&at).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&at, OptionalActions::Now, &silent).ok()?;
        Some(Self { at, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        tcsetattr(&self.at, OptionalActions::Now, &self.before).unwrap_or_default();
        // The one that was typed has not been shown.
        say("\n");
    }
}

fn say(text: &str) {
    drop(
        stderr()
            .write_all(text.as_bytes())
            .and_then(|()| stderr().flush()),
    );
}

/// One line from the terminal. Nothing can end a read of it, so a thread reads: where whoever asked
/// goes away, as at Ctrl-C, it stays behind until the process ends, which is at once.
async fn line() -> Zeroizing<String> {
    let (tell, told) = oneshot::channel();
    let read = move || {
        let mut answer = Zeroizing::new(String::new());
        drop(stdin().lock().read_line(&mut answer));
        let answer = answer.trim_end_matches(['\r', '\n']).to_owned();
        drop(tell.send(Zeroizing::new(answer)));
    };
    drop(thread::Builder::new().spawn(read));
    told.await.unwrap_or_default()
}
