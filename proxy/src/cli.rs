//! The command line: a thin client of the API, and the door to the server's own verbs.
//!
//! One file per group of verbs. Only [`printer`] writes to standard output. Nothing is decided here:
//! a verb reads what was typed, asks the server once, and prints what came back.

mod audit;
mod block;
mod client;
mod config;
mod context;
mod doctor;
mod failure;
mod grants;
mod keys;
mod login;
mod path;
mod pg;
mod play;
mod policy;
mod printer;
mod prompt;
mod proof;
mod recordings;
mod requests;
mod scripts;
mod serving;
mod sessions;
mod stanza;
mod state;
mod surroundings;
mod targets;
mod tls;
mod typed;
mod usage;
mod users;
mod when;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use control::Clock;

pub use self::usage::read;

use self::context::{Context, tidy_url};
use self::failure::{Exit, Outcome};
use self::printer::{Format, Printer};
use self::state::State;
use self::surroundings::Surroundings;

/// What is typed.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    about = "Just-in-time access to machines and databases over SSH and PostgreSQL",
    after_help = "Begin with:  tidegate login --bastion https://HOST:3443\n\
                  Then:        tidegate ls;  tidegate request web1 --as deploy --for 1h --reason 'INC-7' --wait"
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
struct Globals {
    /// Where your keys and certificates are kept, or `TIDEGATE_STATE_DIR`
    #[arg(long, global = true, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Which bastion, for example `https://bastion:3443`
    #[arg(long, global = true, env = "TIDEGATE_BASTION", value_name = "URL")]
    bastion: Option<String>,
    /// How to print
    #[arg(
        long,
        short,
        global = true,
        env = "TIDEGATE_OUTPUT",
        value_enum,
        default_value_t
    )]
    output: Format,
    /// Print data and warnings, no talk
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print tables without their first line
    #[arg(long, global = true)]
    no_headers: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Login(login::LoginArgs),
    /// Forget the login of this machine
    Logout,
    /// Show the login of this machine, without asking the server
    Status,
    /// Ask the server who you are
    Whoami,
    /// Say quickly whether the login still holds: exit 0 or 3
    Ensure,
    Ls(targets::LsArgs),
    Request(requests::RequestArgs),
    #[command(subcommand)]
    Requests(requests::RequestsVerb),
    #[command(subcommand)]
    Grants(grants::GrantsVerb),
    Approve(requests::ApproveArgs),
    Deny(requests::DenyArgs),
    /// Take back one's own request
    Withdraw {
        /// Which: an id or its beginning
        id: String,
    },
    Revoke(grants::RevokeArgs),
    #[command(subcommand)]
    Sessions(sessions::SessionsVerb),
    Play(play::PlayArgs),
    #[command(subcommand)]
    Recordings(recordings::RecordingsVerb),
    #[command(subcommand)]
    Target(targets::TargetVerb),
    #[command(subcommand)]
    User(users::UserVerb),
    #[command(subcommand)]
    Policy(policy::PolicyVerb),
    #[command(subcommand)]
    Pg(pg::PgVerb),
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Look for what is wrong, here and on the server
    Doctor,
    #[command(subcommand)]
    Ca(audit::CaVerb),
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    #[command(flatten)]
    Serving(serving::ServingVerb),
}

/// Runs what was typed. The TLS provider has to be installed before.
pub async fn run(cli: Cli) -> ExitCode {
    let surroundings = Surroundings::read(cli.globals.state_dir.as_deref());
    let context = Context {
        printer: Printer {
            format: cli.globals.output,
            quiet: cli.globals.quiet,
            headers: !cli.globals.no_headers,
        },
        state: State::at(&surroundings.state_dir),
        // A variable that is set to nothing names none.
        named: cli
            .globals
            .bastion
            .as_deref()
            .filter(|text| !text.is_empty())
            .map(tidy_url),
        clock: Clock::system(),
        surroundings,
    };
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "every other verb is a client's"
    )]
    let verb = match cli.verb {
        // The server waits for signals itself.
        Verb::Serving(verb) => {
            let state_dir = cli.globals.state_dir.as_deref();
            return Box::pin(serving::run(context.printer, verb, state_dir)).await;
        }
        verb => verb,
    };
    let outcome = tokio::select! {
        outcome = Box::pin(dispatch(&context, verb)) => outcome,
        _ = tokio::signal::ctrl_c() => return Exit::Interrupted.into(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => context.printer.failed(&failure),
    }
}

async fn dispatch(context: &Context, verb: Verb) -> Outcome {
    match verb {
        Verb::Login(args) => login::login(context, &args).await,
        Verb::Logout => login::logout(context),
        Verb::Status => login::status(context),
        Verb::Whoami => login::whoami(context).await,
        Verb::Ensure => login::ensure(context),
        Verb::Ls(args) => targets::ls(context, args).await,
        Verb::Request(args) => requests::request(context, args).await,
        Verb::Requests(verb) => requests::requests(context, verb).await,
        Verb::Grants(verb) => grants::grants(context, verb).await,
        Verb::Approve(args) => requests::approve(context, args).await,
        Verb::Deny(args) => requests::deny(context, args).await,
        Verb::Withdraw { id } => requests::withdraw(context, &id).await,
        Verb::Revoke(args) => grants::revoke(context, args).await,
        Verb::Sessions(verb) => sessions::sessions(context, verb).await,
        Verb::Play(args) => play::play(context, args).await,
        Verb::Recordings(verb) => recordings::recordings(context, verb).await,
        Verb::Target(verb) => targets::target(context, verb).await,
        Verb::User(verb) => users::user(context, verb).await,
        Verb::Policy(verb) => policy::policy(context, verb).await,
        Verb::Pg(verb) => pg::pg(context, verb).await,
        Verb::Config(verb) => config::config(context, verb).await,
        Verb::Doctor => doctor::doctor(context).await,
        Verb::Ca(verb) => audit::ca(context, verb).await,
        Verb::Audit(verb) => audit::audit(context, verb).await,
        Verb::Serving(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_of_verbs_holds_together() {
        Cli::command().debug_assert();
    }

    #[track_caller]
    fn check(line: &str, good: bool) {
        let words = line.split(' ');
        assert_eq!(Cli::try_parse_from(words).is_ok(), good, "{line}");
    }

    #[test]
    fn what_the_readme_types_is_understood() {
        check("tidegate login --bastion https://localhost:3443", true);
        check(
            "tidegate target add ssh web1 --addr 127.0.0.1:2201 --login deploy --label env=dev",
            true,
        );
        check(
            "tidegate target add pg orders --addr 127.0.0.1:5433 --dbname orders --role app_ro",
            true,
        );
        check(
            "tidegate target set web1 --host-key --login a --login b",
            true,
        );
        check("tidegate target set web1 --host-key SHA256:abc", true);
        check("tidegate target set web1 --host-key abc", false);
        check(
            "tidegate target set orders --server-cert-sha256 --role r",
            true,
        );
        check("tidegate user set alice --group sre --no-group dba", true);
        check("tidegate user set alice", false);
        check("tidegate user add alice --key k.pub --group sre", true);
        check(
            "tidegate request web1 --as deploy --for 15m --reason INC-7 --wait",
            true,
        );
        check(
            "tidegate request web1 --reason INC-7 --wait=10m -o json",
            true,
        );
        check("tidegate approve req_01", true);
        check("tidegate approve req_01 --for 30m", true);
        check("tidegate config ssh --write", true);
        check("tidegate sessions kill ses_01", true);
        check("tidegate revoke grt_01 --reason done", true);
        check("tidegate revoke --user alice --reason done --yes", true);
    }

    #[test]
    fn a_revocation_names_what_and_why() {
        check("tidegate revoke --reason done", false);
        check("tidegate revoke grt_01", false);
        check("tidegate revoke grt_01 --user alice --reason done", false);
        check("tidegate config ssh --write --remove", false);
    }
}
