//! `audit verify`: whether the ledger is what was written.
//!
//! Over the API the lines come as they lie in the store, and the chain is recomputed here. On the server
//! itself, with the server stopped, the log is compared with the ledger as well.

use std::path::{Path, PathBuf};

use clap::Args;
use control::api::wire::{List, RawLine};
use control::ledger::chain::{self, GENESIS, Stored, Walk, hex};
use control::ledger::proof::{Misfiled, Proof};
use control::store::Backend;
use policies::words::cli::doing;
use policies::words::cli::{Trouble, ledger as words};
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::init;

/// How many lines are asked for at once.
const PAGE: u32 = 1_000;

/// Prove that the audit log is what was written; names the first broken line and exits with 9
#[derive(Debug, Args)]
pub(crate) struct ProofArgs {
    /// A line and its digest that were kept elsewhere, for example from the server's own log
    #[arg(long, value_name = "LINE:DIGEST", value_parser = kept)]
    kept: Option<Kept>,
    /// Prove the store of a server that does not run, in this directory, and its log of changes as well
    #[arg(long, value_name = "DIR")]
    server_state_dir: Option<PathBuf>,
}

/// A line and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    seq: u64,
    digest: String,
}

fn kept(text: &str) -> Result<Kept, String> {
    let parsed = text.split_once(':').and_then(|(seq, digest)| {
        let is_digest = digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit());
        let digest = is_digest.then(|| digest.to_ascii_lowercase())?;
        // Lines count from 1: with line 0 nothing would be compared.
        let seq = seq.parse().ok().filter(|seq| *seq > 0)?;
        Some(Kept { seq, digest })
    });
    parsed.ok_or_else(|| words::NOT_A_HEAD.to_owned())
}

/// `audit verify`.
pub(crate) async fn verify(context: &Context, args: &ProofArgs) -> Outcome {
    let kept = args.kept.as_ref();
    let (walk, misfiled) = match &args.server_state_dir {
        Some(dir) => {
            let store = opened(dir).await?;
            let unread = |error| Failure::new(Exit::Error, words::unread(&format!("{error}")));
            let proof = Proof::of(&store).await.map_err(unread)?;
            if let Some(fault) = proof.log {
                return Err(broken(context, words::altered(&fault.to_string()))?);
            }
            if let Some(kept) = kept {
                let lines =
                    control::store::Store::lines(&store, kept.seq.saturating_sub(1), 1).await;
                compared(context, kept, &lines.map_err(unread)?)?;
            }
            (proof.chain, proof.session)
        }
        None => (fetched(context, kept).await?, None),
    };
    let (last, head) = match judged(&walk, kept, misfiled) {
        Ok(end) => end,
        Err(trouble) => return Err(broken(context, trouble)?),
    };
    let verdict = json!({
        "schema": "tidegate.ledger-verdict/1", "holds": true, "last": last, "digest": head,
    });
    let said = words::holds(last, &head);
    context.printer.done(&verdict, &head, &said)
}

/// Where the chain ends, or what is wrong. A row of a session comes last: whoever rewrites the chain can edit one as
/// well, and that would be the smaller of the two.
fn judged(
    walk: &Walk,
    kept: Option<&Kept>,
    misfiled: Option<Misfiled>,
) -> Result<(u64, String), Trouble> {
    let (last, head) = match walk {
        Walk::Whole { last, head } => (*last, hex(head)),
        Walk::Broken { seq } => return Err(words::broken(*seq)),
    };
    if let Some(kept) = kept.filter(|kept| kept.seq > last) {
        return Err(words::shorter(kept.seq, last));
    }
    match misfiled {
        Some(Misfiled { session, seq }) => Err(words::listed_otherwise(&session.to_string(), seq)),
        None => Ok((last, head)),
    }
}

/// Reads every line and recomputes the chain.
async fn fetched(context: &Context, kept: Option<&Kept>) -> Result<Walk, Failure> {
    let doing = doing::VERIFY_AUDIT;
    let client = context.client(doing)?;
    let (mut last, mut head) = (0, GENESIS);
    loop {
        let path = format!("/v1/audit/raw?after={last}&limit={PAGE}");
        let page: List<RawLine> = client.get(doing, &path).await?;
        if page.items.is_empty() {
            return Ok(Walk::Whole { last, head });
        }
        let lines: Vec<Stored> = page.items.into_iter().map(RawLine::stored).collect();
        match chain::verify(last, head, &lines) {
            Walk::Whole { last: to, head: by } => (last, head) = (to, by),
            walk @ Walk::Broken { .. } => return Ok(walk),
        }
        if let Some(kept) = kept {
            compared(context, kept, &lines)?;
        }
    }
}

/// Whether the line that was kept has its digest, if it is among these.
fn compared(context: &Context, kept: &Kept, lines: &[Stored]) -> Outcome {
    let found = lines.iter().find(|line| line.seq == kept.seq);
    match found.map(|line| hex(&line.digest)) {
        Some(digest) if digest != kept.digest => {
            let trouble = words::rewritten(kept.seq, &digest, &kept.digest);
            Err(broken(context, trouble)?)
        }
        _ => Ok(()),
    }
}

/// The store of a server that does not run.
pub(crate) async fn opened(dir: &Path) -> Result<Backend, Failure> {
    let path = init::store_path(dir);
    if !path.exists() {
        let path = path.display().to_string();
        return Err(Failure::new(Exit::NotFound, words::no_store(&path)));
    }
    let store = Backend::sqlite(&path).await;
    store.map_err(|error| Failure::new(Exit::Error, words::unread(&format!("{error}"))))
}

/// Says it to a program, and hands it on for people.
fn broken(context: &Context, trouble: Trouble) -> Result<Failure, Failure> {
    use crate::cli::printer::Format;
    if matches!(context.printer.format, Format::Json | Format::Jsonl) {
        context.printer.record(&json!({
            "schema": "tidegate.ledger-verdict/1", "holds": false, "fault": trouble.what,
        }))?;
    }
    Ok(Failure::new(Exit::Unproven, trouble))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_head_is_a_line_and_a_digest() {
        let digest = "AB".repeat(32);
        let good = kept(&format!("17:{digest}")).unwrap();
        assert_eq!((good.seq, good.digest), (17, "ab".repeat(32)));
        let (zero, word) = (format!("0:{digest}"), format!("x:{digest}"));
        for odd in ["", "17", "17:", "17:ab", &zero, &word, &digest] {
            assert!(kept(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_session_that_is_listed_otherwise_hides_nothing_that_is_worse() {
        let whole = Walk::Whole {
            last: 7,
            head: GENESIS,
        };
        let misfiled = Some(Misfiled {
            session: "ses_00000000000000000000000000".parse().unwrap(),
            seq: 3,
        });
        let beyond = kept(&format!("9:{}", "00".repeat(32))).unwrap();
        let said = |walk: &Walk, kept| judged(walk, kept, misfiled).unwrap_err().what;
        assert!(said(&whole, Some(&beyond)).contains("cut short"));
        assert_ne!(said(&Walk::Broken { seq: 2 }, None), said(&whole, None));
        assert!(said(&whole, None).contains("list of sessions"));
        assert_eq!(judged(&whole, None, None).unwrap().0, 7);
    }
}
