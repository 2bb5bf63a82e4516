//! `audit` and `ca`: what happened, and whom to trust.

mod gist;

use clap::Subcommand;
use control::api::wire::{AuditView, List, Trust};
use control::ledger::Happening;
use policies::words::cli::doing;
use policies::words::cli::ledger as words;
use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::printer::{Format, Row, harmless};
use crate::cli::proof::{self, ProofArgs};
use crate::cli::{state, tls, when};

/// Look at the audit log
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// List what happened last, or after a line; oldest first. `-o wide` and `-o json` have it whole
    Ls {
        /// After this line: 0 for the first lines that there are
        #[arg(long)]
        after: Option<u64>,
        /// At most so many lines
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    Verify(ProofArgs),
}

/// Look at the certificate authorities
#[derive(Debug, Subcommand)]
pub(crate) enum CaVerb {
    /// Show the public keys and the fingerprint to tell people before their first login
    Show,
}

impl Row for AuditView {
    const COLUMNS: (&'static [&'static str], usize) = (
        &["LINE", "AT", "BY", "EVENT", "DETAIL", "DIGEST", "ENTRY"],
        5,
    );

    fn cells(&self) -> Vec<String> {
        let detail = serde_json::to_value(&self.line.event.happening).unwrap_or_default();
        let by = doer(self, &detail);
        let told = match &self.line.appended {
            Some(appended) => appended.changes.clone(),
            None => vec![detail],
        };
        let (mut events, mut entries) = (Vec::new(), Vec::new());
        for mut one in told {
            let fields = one.as_object_mut();
            let kind = fields.and_then(|fields| {
                let change = fields.remove("change");
                change.or_else(|| fields.remove("event"))
            });
            events.extend(kind.as_ref().and_then(Value::as_str).map(str::to_owned));
            entries.push(one);
        }
        vec![
            self.line.seq.to_string(),
            when::stamp(self.line.event.at),
            by.map_or_else(|| "-".to_owned(), |by| harmless::text(&by)),
            events.join(" "),
            harmless::text(&gist::gist(&entries)),
            self.line.digest.clone(),
            entries
                .iter()
                .map(|entry| harmless::json(&entry.to_string()))
                .collect::<Vec<_>>()
                .join(" "),
        ]
    }
}

/// Who did it, as far as a line says. Nobody where the server did it by itself.
fn doer(view: &AuditView, detail: &Value) -> Option<String> {
    if let Some(appended) = &view.line.appended {
        return appended.by.as_ref().map(ToString::to_string);
    }
    if let Happening::ClockStepped { .. } = view.line.event.happening {
        // `by` is by how much.
        return None;
    }
    let places = ["/by", "/principal", "/ask/principal", "/session/principal"];
    let found = places
        .iter()
        .find_map(|place| detail.pointer(place)?.as_str());
    found.map(str::to_owned)
}

/// `audit …`.
pub(crate) async fn audit(context: &Context, verb: AuditVerb) -> Outcome {
    let (after, limit) = match verb {
        AuditVerb::Ls { after, limit } => (after, limit),
        AuditVerb::Verify(args) => return proof::verify(context, &args).await,
    };
    let doing = doing::READ_AUDIT;
    let path = match after {
        Some(after) => format!("/v1/audit?after={after}&limit={limit}"),
        None => format!("/v1/audit?last={limit}"),
    };
    let list: List<AuditView> = context.client(doing)?.get(doing, &path).await?;
    context.printer.list(&list, &list.items)?;
    let seq = |view: Option<&AuditView>| view.map(|view| view.line.seq);
    match (after, seq(list.items.first()), seq(list.items.last())) {
        (None, Some(first), _) if first > 1 => context.printer.say(&words::earlier(first)),
        (Some(_), _, Some(end))
            if usize::try_from(limit).is_ok_and(|limit| list.items.len() >= limit) =>
        {
            context.printer.say(&words::later(end));
        }
        _ => {}
    }
    Ok(())
}

/// `ca …`. Needs no login, only a CA that is known.
pub(crate) async fn ca(context: &Context, verb: CaVerb) -> Outcome {
    let CaVerb::Show = verb;
    let trust = trust(context).await?;
    match context.printer.format {
        Format::Json | Format::Jsonl => context.printer.record(&trust),
        Format::Name => {
            let text = harmless::text(&trust.fingerprint);
            context.printer.text(&format!("{text}\n"))
        }
        Format::Table | Format::Wide => {
            let lines = [
                format!("fingerprint    {}", trust.fingerprint),
                format!("ssh user CA    {}", trust.ssh_user_ca.trim()),
                format!("ssh host CA    {}", trust.ssh_host_ca.trim()),
                format!(
                    "ssh host key   {}",
                    trust.ssh_host.as_deref().unwrap_or("-").trim()
                ),
                format!("ssh login CA   {}", trust.ssh_login_ca.trim()),
                format!("seal           {}", trust.seal.trim()),
                format!("x509 target CA\n{}", trust.x509_target_ca.trim()),
                format!("x509 login CA\n{}", trust.x509_login_ca.trim()),
            ];
            let text = harmless::text(&lines.join("\n"));
            context.printer.text(&format!("{text}\n"))
        }
    }
}

/// What the bastion says of itself, from whoever proves to be it by the CA at hand.
pub(crate) async fn trust(context: &Context) -> Result<Trust, Failure> {
    let doing = doing::READ_CAS;
    let client: Client = match context.client(doing) {
        Ok(client) => client,
        Err(failure) => {
            let Some(bastion) = context.state.bastion()? else {
                return Err(failure);
            };
            crate::cli::client::trusting(
                &bastion.url,
                &context.state.read(state::CA)?,
                None::<tls::Login<'_>>,
            )?
        }
    };
    client.get(doing, "/v1/trust").await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &Value, by: &str) {
        let mut line = serde_json::json!({
            "schema": "tidegate.audit/1", "seq": 7, "at": "2026-01-05T09:00:00Z", "digest": "ab",
        });
        let (fields, event) = (line.as_object_mut().unwrap(), event.as_object().unwrap());
        fields.extend(event.clone());
        let view: AuditView = serde_json::from_value(line).unwrap();
        assert_eq!(view.cells()[2], by);
    }

    #[test]
    fn a_clock_that_was_set_was_set_by_nobody_known() {
        let stepped = serde_json::json!({ "event": "clock_stepped", "by": "-PT5M0.001130371S" });
        check(&stepped, "-");
        let login = serde_json::json!({
            "event": "logged_in", "principal": "alice", "source": "192.0.2.7", "by_key": "SHA256:a",
            "ssh_serial": "1", "x509_serial": "2", "expires_at": "2026-01-05T17:00:00Z",
        });
        check(&login, "alice");
    }
}
