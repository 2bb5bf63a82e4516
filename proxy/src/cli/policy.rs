//! `policy`: checking policy files here, applying them there, showing what is in force.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use control::api::wire::{PolicyApplied, PolicyView};
use control::change::{PolicyText, PolicyTexts};
use control::offline;
use policies::words::cli::{doing, outcome};
use policies::words::{Shown as _, cli};
use policies::{Diagnosis, Document, PolicySet};
use reqwest::Method;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::harmless;
use crate::cli::prompt::Assent;
use crate::cli::proof;
use crate::cli::typed::word;
use files::{entries, is_room, unread};

mod files;

/// Where policies read hours unless told otherwise.
const UTC: &str = "UTC";

/// How deep below a directory files are looked for that are not read. Links may go in circles.
const DEPTH_MAX: usize = 8;

/// Manage policies
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Check the policy files of a directory, here and without a server
    Check {
        /// The directory with *.cedar and quorums.toml
        dir: PathBuf,
        /// The time zone in which policies read hours and weekdays
        #[arg(long)]
        zone: Option<String>,
    },
    /// Put the policy files of a directory in force
    Apply {
        /// The directory with *.cedar and quorums.toml
        dir: PathBuf,
        /// The time zone in which policies read hours and weekdays; that of those in force unless given
        #[arg(long)]
        zone: Option<String>,
        /// Only if what is in force still has this digest (`policy show -q -o name` prints it)
        #[arg(long, value_name = "DIGEST", conflicts_with = "server_state_dir")]
        replaces: Option<String>,
        /// Only say which sessions would end
        #[arg(long)]
        dry_run: bool,
        /// Write them into the store of a server that does not run, in this directory: for one that
        /// cannot start with those that it has
        #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
        server_state_dir: Option<PathBuf>,
        #[command(flatten)]
        assent: Assent,
    },
    /// Print the policies in force
    Show {
        /// Write them into this directory, as files to change and apply; none of them may be there yet
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
}

/// `policy …`.
pub(crate) async fn policy(context: &Context, verb: PolicyVerb) -> Outcome {
    match verb {
        PolicyVerb::Check { dir, zone } => {
            let typed = typed(&dir, zone.as_deref());
            let read = checked(&dir, zone.as_deref())?;
            let count = read.texts.documents.len();
            let warnings = [odd(&read.policies), read.unread].concat();
            warn(context, &warnings);
            let result = serde_json::json!({"schema": "tidegate.policy-check/1", "files": count, "warnings": warnings});
            context
                .printer
                .done(&result, "", &cli::policies_good(count, &typed))
        }
        PolicyVerb::Apply {
            dir,
            zone,
            replaces,
            dry_run,
            server_state_dir,
            assent,
        } => {
            let typed = typed(&dir, zone.as_deref());
            let mut read = checked(&dir, zone.as_deref())?;
            warn(context, &read.unread);
            if let Some(state_dir) = server_state_dir {
                warn(context, &odd(&read.policies));
                return apply_offline(context, &state_dir, (read.texts, zone)).await;
            }
            let base = base(context, &mut read, (zone, replaces)).await?;
            let applied = applied(context, (&read.texts, &base), (dry_run, assent)).await?;
            let said = if dry_run {
                cli::policies_would(applied.ends.len(), &typed)
            } else {
                let in_force = (applied.digest.as_str(), read.texts.zone.as_str());
                cli::policies_applied(in_force, applied.ends.len())
            };
            context.printer.done(&applied, &applied.digest, &said)
        }
        PolicyVerb::Show { to } => {
            let doing = doing::SHOW_POLICIES;
            let view: PolicyView = context.client(doing)?.get(doing, "/v1/policies").await?;
            if let Some(dir) = to {
                let count = files::write(&dir, &view.texts)?;
                let typed = typed(&dir, Some(&view.texts.zone));
                let said = cli::policies_written(count, &typed);
                return context.printer.done(&view, &view.digest, &said);
            }
            let files = view.texts.documents.iter().chain(&view.texts.quorums);
            let mut text = vec![outcome::zone(&view.texts.zone)];
            text.extend(files.map(|file| format!("// {}\n{}", file.name, file.text.trim_end())));
            context
                .printer
                .shown(&view, &view.digest, &text.join("\n\n"))
        }
    }
}

/// The digest of what is in force, which is to be replaced. Whoever asked hears what they would take back, and
/// the zone stays what it is unless they gave one.
async fn base(
    context: &Context,
    read: &mut Read,
    (zone, replaces): (Option<String>, Option<String>),
) -> Result<String, Failure> {
    let doing = doing::APPLY_POLICIES;
    let view: PolicyView = context.client(doing)?.get(doing, "/v1/policies").await?;
    if replaces.is_some_and(|replaced| replaced != view.digest) {
        let trouble = cli::policies_replaced(&view.digest);
        return Err(Failure::new(Exit::Conflict, trouble));
    }
    let (new, before) = (&read.policies, &view.texts);
    // What this program cannot read, the server can: nothing of it is named then.
    let gone = match loaded(before) {
        Ok(Ok(old)) => gone(&old, new),
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    if !gone.is_empty() {
        let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
        context.printer.warn(&cli::rules_gone(&gone));
    }
    settle_zone(context, &mut read.texts, (zone, &before.zone));
    Ok(view.digest)
}

/// The zone stays what it was unless one was given. That it changes is said: it moves every rule about hours.
fn settle_zone(
    context: &Context,
    texts: &mut PolicyTexts,
    (given, before): (Option<String>, &str),
) {
    match given {
        Some(zone) if zone != before => {
            context.printer.warn(&cli::zone_changes(before, &zone));
        }
        Some(_) => {}
        None => before.clone_into(&mut texts.zone),
    }
}

/// The rules of the one that are not in the other.
fn gone(old: &PolicySet, new: &PolicySet) -> Vec<String> {
    let stays = |id: &&str| new.ids().any(|other| other == *id);
    let gone = old.ids().filter(|id| !stays(id));
    gone.map(str::to_owned).collect()
}

/// Puts policies in force, or asks what that would do. Nobody is asked to confirm what the server
/// would refuse: it is tried first.
async fn applied(
    context: &Context,
    (texts, base): (&PolicyTexts, &str),
    (dry_run, assent): (bool, Assent),
) -> Result<PolicyApplied, Failure> {
    let doing = doing::APPLY_POLICIES;
    let client = context.client(doing)?;
    // What others put in force since is not taken back unseen.
    let path = format!("/v1/policies?replaces={}", segment(base));
    let put = async |path: &str| client.send(doing, Method::PUT, path, texts).await;
    if assent.is_given() && !dry_run {
        let applied: PolicyApplied = put(&path).await?;
        warn(context, &applied.warnings);
        return Ok(applied);
    }
    let would: PolicyApplied = put("/v1/policies?dry_run=true").await?;
    warn(context, &would.warnings);
    if dry_run {
        return Ok(would);
    }
    let replaced = harmless::line(base);
    let question = cli::policies_question(texts.documents.len(), would.ends.len(), &replaced);
    assent
        .confirmed(&context.surroundings, &question, doing)
        .await?;
    put(&path).await
}

/// What is odd about policies, as far as it can be told without knowing anybody.
fn odd(policies: &PolicySet) -> Vec<String> {
    let strange = policies.strange_groups(None);
    let odd = policies.warnings().iter().chain(&strange);
    odd.map(ToString::to_string).collect()
}

fn warn(context: &Context, warnings: &[String]) {
    for warning in warnings {
        context.printer.warn(warning);
    }
}

/// Puts policies in force where no server runs. Whoever can write there needs nobody's leave.
async fn apply_offline(
    context: &Context,
    state_dir: &Path,
    (mut texts, zone): (PolicyTexts, Option<String>),
) -> Outcome {
    let unapplied = |refused: control::BrokerError| {
        Failure::new(Exit::Error, cli::ledger::unapplied(&refused.words()))
    };
    let store = proof::opened(state_dir).await?;
    let before = offline::policy_zone(&store).await.map_err(unapplied)?;
    settle_zone(context, &mut texts, (zone, &before));
    let zone = texts.zone.clone();
    let applied = offline::apply_policies(&store, texts, &context.clock).await;
    let digest = applied.map_err(unapplied)?;
    let said = cli::ledger::applied_offline(&digest, &zone);
    let result = serde_json::json!({
        "schema": "tidegate.policy-applied-offline/1",
        "digest": digest,
        "zone": zone,
    });
    context.printer.done(&result, &digest, &said)
}

/// The directory and, where it was given, the zone, as they can be pasted.
fn typed(dir: &Path, zone: Option<&str>) -> String {
    let dir = word(&dir.to_string_lossy());
    match zone {
        None => dir,
        Some(zone) => format!("{dir} --zone {}", word(zone)),
    }
}

/// What was read of a directory.
struct Read {
    texts: PolicyTexts,
    policies: PolicySet,
    /// Warnings of policy files that were not read.
    unread: Vec<String>,
}

/// Reads a directory and checks it as the server will.
fn checked(dir: &Path, zone: Option<&str>) -> Result<Read, Failure> {
    let texts = files::read(dir, zone.unwrap_or(UTC))?;
    if texts.documents.is_empty() {
        let none = cli::no_policies(&dir.to_string_lossy());
        return Err(Failure::new(Exit::Usage, none));
    }
    let policies = loaded(&texts)?;
    let policies = policies.map_err(|mistakes| {
        let bad = cli::policies_bad(mistakes, &typed(dir, zone));
        Failure::new(Exit::Usage, bad)
    })?;
    let mut below = Vec::new();
    for path in entries(dir)?.iter().filter(|path| is_room(path)) {
        unread(path, DEPTH_MAX, &mut below);
    }
    let warning = |path: &PathBuf| cli::policy_unread(&path.to_string_lossy());
    let unread = below.iter().map(warning).collect();
    Ok(Read {
        texts,
        policies,
        unread,
    })
}

/// The policies of these texts, or their mistakes.
fn loaded(texts: &PolicyTexts) -> Result<Result<PolicySet, Vec<Diagnosis>>, Failure> {
    let document = |text: &PolicyText| Document {
        name: text.name.clone(),
        text: text.text.clone(),
    };
    let documents: Vec<Document> = texts.documents.iter().map(document).collect();
    let quorums = texts.quorums.as_ref().map(document);
    let zone = control::zone(&texts.zone)
        .ok_or_else(|| Failure::new(Exit::Usage, cli::ledger::no_such_zone(&texts.zone)))?;
    Ok(PolicySet::load(&documents, quorums.as_ref(), zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_names_what_was_typed() {
        assert_eq!(typed(Path::new("pol"), None), "pol");
        // It is not the same as none: that of what is in force would stay.
        assert_eq!(typed(Path::new("pol"), Some(UTC)), "pol --zone UTC");
        let elsewhere = typed(Path::new("my pol"), Some("Europe/Berlin"));
        assert_eq!(elsewhere, "'my pol' --zone Europe/Berlin");
    }

    #[test]
    fn no_policy_file_is_passed_over_in_silence() {
        let dir = tempfile::tempdir().unwrap();
        let rule =
            |id: &str| format!(r#"@id("{id}") @reason("x") forbid (principal, action, resource);"#);
        let write = |name: &str, id: &str| std::fs::write(dir.path().join(name), rule(id)).unwrap();
        std::fs::create_dir_all(dir.path().join("more/deep")).unwrap();
        write("a.cedar", "a");
        write("B.CEDAR", "b");
        write("more/deep/c.Cedar", "c");
        write("more/notes.txt", "d");
        let read = checked(dir.path(), None).unwrap();
        assert_eq!(read.policies.ids().collect::<Vec<_>>(), ["a", "b"]);
        let path = dir.path().join("more/deep/c.Cedar");
        assert_eq!(read.unread, [cli::policy_unread(&path.to_string_lossy())]);
        let fewer = checked(&dir.path().join("more/deep"), None).unwrap();
        assert_eq!(gone(&read.policies, &fewer.policies), ["a", "b"]);
    }
}
