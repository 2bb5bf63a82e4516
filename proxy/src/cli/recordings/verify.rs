//! Proving recordings one after the other: each is looked at, whatever was found of those before.

use clap::Args;
use control::api::wire::SessionView;
use control::ledger::chain::hex;
use policies::SessionId;
use policies::words::cli::doing;
use policies::words::recordings as words;
use recorder::Verified;
use serde_json::json;

use super::wrong::{Ledger, Wrong};
use super::{fetched, seal_key};
use crate::cli::audit::trust;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::printer::Format;
use crate::cli::when;

/// Prove that recordings are what was sealed; names the first broken frame and exits with 9
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Which: sessions, `last`, or files (with a `/` in their names, or ending in .rec)
    #[arg(required = true, value_name = "ID|FILE")]
    which: Vec<String>,
    /// The key of the seal, as `tidegate ca show` prints it; without it, the bastion is asked
    #[arg(long)]
    key: Option<String>,
}

pub(super) async fn verify(context: &Context, args: &VerifyArgs) -> Outcome {
    let key = match &args.key {
        Some(text) => seal_key(text, Exit::Usage)?,
        None => seal_key(&trust(context).await?.seal, Exit::Unproven)?,
    };
    let mut told = Told::default();
    for which in &args.which {
        let failure = match looked_at(context, which, &key).await {
            Ok(Ok(())) => continue,
            Ok(Err(wrong)) => {
                if matches!(context.printer.format, Format::Json | Format::Jsonl) {
                    context.printer.record(&wrong.verdict(which))?;
                }
                Failure::new(Exit::Unproven, wrong.trouble(which))
            }
            Err(failure) => failure,
        };
        // Of the others the same would be said.
        let is_last = failure.trouble.is_none()
            || matches!(failure.exit, Exit::NotLoggedIn | Exit::Unreachable);
        if let Some((exit, trouble)) = told
            .keep(failure)
            .and_then(|one| Some((one.exit, one.trouble?)))
        {
            context.printer.trouble(exit, &trouble);
        }
        if is_last {
            break;
        }
    }
    told.worst.map_or(Ok(()), Err)
}

/// What went wrong so far. One of it is told by whoever ends the program, which ends by that: evidence that does not
/// hold rather than what could not be looked at.
#[derive(Debug, Default)]
struct Told {
    worst: Option<Failure>,
}

impl Told {
    /// Keeps the worse one, and gives back the other, which is to be told at once.
    fn keep(&mut self, failure: Failure) -> Option<Failure> {
        match self.worst.take() {
            Some(worst) if worst.exit == Exit::Unproven && failure.exit != Exit::Unproven => {
                self.worst = Some(worst);
                Some(failure)
            }
            before => {
                self.worst = Some(failure);
                before
            }
        }
    }
}

/// Fetches one and proves it, and says that it holds. That it is gone is what is wrong with one.
async fn looked_at(
    context: &Context,
    which: &str,
    key: &[u8; 32],
) -> Result<Result<(), Wrong>, Failure> {
    let fetched = match fetched(context, which).await {
        Ok(fetched) => fetched,
        Err(Failure {
            exit: Exit::Unproven,
            trouble: Some(trouble),
        }) => return Ok(Err(Wrong::Gone(trouble))),
        Err(failure) => return Err(failure),
    };
    let verified = match fetched.verified(key) {
        Ok(verified) => verified,
        Err(wrong) => return Ok(Err(wrong)),
    };
    if let Some(id) = fetched.session
        && let Some(wrong) = misnamed(context, id, &verified).await?
    {
        return Ok(Err(wrong));
    }
    tell(
        context,
        &verified,
        matches!(fetched.ledger, Ledger::Root(_)),
    )?;
    if fetched.ledger == Ledger::Rootless {
        context.printer.warn(&words::rootless(which));
    }
    Ok(Ok(()))
}

/// What is wrong where the server lists the session as another's than was sealed.
async fn misnamed(
    context: &Context,
    id: SessionId,
    verified: &Verified,
) -> Result<Option<Wrong>, Failure> {
    let doing = doing::LOOK_SESSION_UP;
    let path = format!("/v1/sessions/{id}");
    let listed: SessionView = context.client(doing)?.get(doing, &path).await?;
    Ok(Wrong::misnamed(&verified.heading, &listed.session))
}

fn tell(context: &Context, verified: &Verified, is_in_ledger: bool) -> Outcome {
    let checkpoint = &verified.checkpoint;
    let session = checkpoint.session.to_string();
    let verdict = json!({
        "schema": "tidegate.verdict/1", "recording": session, "holds": true,
        "frames": checkpoint.frames, "bytes": checkpoint.bytes, "end": verified.end,
        "timeline": verified.timeline, "sealed_at": checkpoint.sealed_at,
        "heading": verified.heading, "root": hex(&checkpoint.root), "is_in_ledger": is_in_ledger,
    });
    let said = words::verified(
        &session,
        checkpoint.frames,
        checkpoint.bytes,
        &verified.end.to_string(),
        &when::stamp(checkpoint.sealed_at),
    );
    context.printer.done(&verdict, &session, &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What went wrong in this order is told at once but for one, by which the program ends.
    #[track_caller]
    fn check(went: &[Exit], at_once: &[Exit], ends_by: Exit) {
        let mut told = Told::default();
        let failures = went.iter().map(|exit| Failure::told(*exit));
        let others = failures.filter_map(|failure| told.keep(failure));
        let others: Vec<Exit> = others.map(|one| one.exit).collect();
        assert_eq!(others, at_once, "{went:?}");
        assert_eq!(told.worst.map(|one| one.exit), Some(ends_by), "{went:?}");
    }

    #[test]
    fn what_does_not_hold_is_never_lost_behind_what_is_not_there() {
        use Exit::{NotFound, Unproven, Unreachable};
        check(&[NotFound], &[], NotFound);
        check(&[Unproven, NotFound], &[NotFound], Unproven);
        check(&[NotFound, Unproven], &[NotFound], Unproven);
        check(&[Unproven, Unproven], &[Unproven], Unproven);
        check(
            &[Unproven, NotFound, Unreachable],
            &[NotFound, Unreachable],
            Unproven,
        );
        check(&[NotFound, Unreachable], &[NotFound], Unreachable);
    }
}
