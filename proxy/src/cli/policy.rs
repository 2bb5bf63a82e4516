//! `policy`: checking policy files here, applying them there, showing what is in force.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use control::api::wire::{PolicyApplied, PolicyView};
use control::change::{PolicyText, PolicyTexts};
use control::offline;
use policies::words::{Shown as _, cli};
use policies::{Document, PolicySet};
use reqwest::Method;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::prompt::Assent;
use crate::cli::proof;
use crate::cli::typed::word;

/// Where policies read hours unless told otherwise.
const UTC: &str = "UTC";

/// Manage policies
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Check the policy files of a directory, here and without a server
    Check {
        /// The directory with *.cedar and quorums.toml
        dir: PathBuf,
        /// The time zone in which policies read hours and weekdays
        #[arg(long, default_value = UTC)]
        zone: String,
    },
    /// Put the policy files of a directory in force
    Apply {
        /// The directory with *.cedar and quorums.toml
        dir: PathBuf,
        /// The time zone in which policies read hours and weekdays
        #[arg(long, default_value = UTC)]
        zone: String,
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
    Show,
}

/// `policy …`.
pub(crate) async fn policy(context: &Context, verb: PolicyVerb) -> Outcome {
    match verb {
        PolicyVerb::Check { dir, zone } => {
            let typed = typed(&dir, &zone);
            let (texts, policies) = checked(&dir, zone)?;
            let count = texts.documents.len();
            let warnings = odd(&policies);
            warn(context, &warnings);
            let result = serde_json::json!({"schema": "tidegate.policy-check/1", "files": count, "warnings": warnings});
            context
                .printer
                .done(&result, "", &cli::policies_good(count, &typed))
        }
        PolicyVerb::Apply {
            dir,
            zone,
            dry_run,
            server_state_dir,
            assent,
        } => {
            let typed = typed(&dir, &zone);
            let (texts, policies) = checked(&dir, zone)?;
            if let Some(state_dir) = server_state_dir {
                warn(context, &odd(&policies));
                return apply_offline(context, &state_dir, texts).await;
            }
            let applied = applied(context, &texts, (dry_run, assent)).await?;
            let said = if dry_run {
                cli::policies_would(applied.ends.len(), &typed)
            } else {
                cli::policies_applied(&applied.digest, applied.ends.len())
            };
            context.printer.done(&applied, &applied.digest, &said)
        }
        PolicyVerb::Show => {
            let doing = "show the policies";
            let view: PolicyView = context.client(doing)?.get(doing, "/v1/policies").await?;
            let files = view.texts.documents.iter().chain(&view.texts.quorums);
            let text: Vec<String> = files
                .map(|file| format!("// {}\n{}", file.name, file.text.trim_end()))
                .collect();
            context
                .printer
                .done(&view, &view.digest, &text.join("\n\n"))
        }
    }
}

/// Puts policies in force, or asks what that would do. Nobody is asked to confirm what the server
/// would refuse: it is tried first.
async fn applied(
    context: &Context,
    texts: &PolicyTexts,
    (dry_run, assent): (bool, Assent),
) -> Result<PolicyApplied, Failure> {
    let doing = "apply the policies";
    let client = context.client(doing)?;
    let put = async |path: &str| client.send(doing, Method::PUT, path, texts).await;
    if assent.is_given() && !dry_run {
        let applied: PolicyApplied = put("/v1/policies").await?;
        warn(context, &applied.warnings);
        return Ok(applied);
    }
    let would: PolicyApplied = put("/v1/policies?dry_run=true").await?;
    warn(context, &would.warnings);
    if dry_run {
        return Ok(would);
    }
    let question = cli::policies_question(texts.documents.len(), would.ends.len());
    assent
        .confirmed(&context.surroundings, &question, doing)
        .await?;
    put("/v1/policies").await
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
async fn apply_offline(context: &Context, state_dir: &Path, texts: PolicyTexts) -> Outcome {
    let store = proof::opened(state_dir).await?;
    let applied = offline::apply_policies(&store, texts, &context.clock).await;
    let digest = applied
        .map_err(|refused| Failure::new(Exit::Error, cli::ledger::unapplied(&refused.words())))?;
    let result =
        serde_json::json!({"schema": "tidegate.policy-applied-offline/1", "digest": digest});
    let said = cli::ledger::applied_offline(&digest);
    context.printer.done(&result, &digest, &said)
}

/// The directory and, where it was given, the zone, as they can be pasted.
fn typed(dir: &Path, zone: &str) -> String {
    let dir = word(&dir.to_string_lossy());
    match zone {
        UTC => dir,
        other => format!("{dir} --zone {}", word(other)),
    }
}

/// Reads a directory and checks it as the server will.
fn checked(dir: &Path, zone: String) -> Result<(PolicyTexts, PolicySet), Failure> {
    let typed = typed(dir, &zone);
    let texts = read(dir, zone)?;
    let document = |text: &PolicyText| Document {
        name: text.name.clone(),
        text: text.text.clone(),
    };
    let documents: Vec<Document> = texts.documents.iter().map(document).collect();
    let quorums = texts.quorums.as_ref().map(document);
    let zone = control::zone(&texts.zone)
        .ok_or_else(|| Failure::new(Exit::Usage, cli::ledger::no_such_zone(&texts.zone)))?;
    match PolicySet::load(&documents, quorums.as_ref(), zone) {
        Ok(policies) => Ok((texts, policies)),
        Err(mistakes) => Err(Failure::new(
            Exit::Usage,
            cli::policies_bad(mistakes, &typed),
        )),
    }
}

fn read(dir: &Path, zone: String) -> Result<PolicyTexts, Failure> {
    let failure =
        |path: &Path, error: &std::io::Error| Failure::unread(&path.to_string_lossy(), error);
    let entries = std::fs::read_dir(dir).map_err(|error| failure(dir, &error))?;
    // A file that is not seen is a `forbid` that is not in force.
    let paths: Result<Vec<PathBuf>, std::io::Error> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect();
    let mut paths = paths.map_err(|error| failure(dir, &error))?;
    paths.sort();
    let text = |path: &Path| -> Result<PolicyText, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| failure(path, &error))?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Ok(PolicyText {
            name: name.unwrap_or_default(),
            text,
        })
    };
    let cedar = |path: &&PathBuf| path.extension().is_some_and(|end| end == "cedar");
    let documents: Result<Vec<PolicyText>, Failure> =
        paths.iter().filter(cedar).map(|path| text(path)).collect();
    let quorums = dir.join("quorums.toml");
    let quorums = if paths.contains(&quorums) {
        Some(text(&quorums)?)
    } else {
        None
    };
    Ok(PolicyTexts {
        documents: documents?,
        quorums,
        zone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_command_names_what_was_typed() {
        assert_eq!(typed(Path::new("pol"), UTC), "pol");
        let elsewhere = typed(Path::new("my pol"), "Europe/Berlin");
        assert_eq!(elsewhere, "'my pol' --zone Europe/Berlin");
    }
}
