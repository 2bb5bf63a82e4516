//! `audit` and `ca`: what happened, and whom to trust.

mod gist;

use clap::{Args, Subcommand};
use control::api::wire::{AuditList, AuditView, Trust};
use control::ledger::sought;
use jiff::Timestamp;
use policies::words::cli::doing;
use policies::words::cli::ledger as words;
use policies::{PrincipalName, TargetName};

use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::{Format, Row, harmless};
use crate::cli::proof::{self, ProofArgs};
use crate::cli::when::Moment;
use crate::cli::{state, tls, when};

/// How many lines are listed where nobody says how many.
const LIMIT: u32 = 1000;

/// Look at the audit log
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// List what happened last, or after a line; oldest first. `-o wide` and `-o json` have it whole
    Ls {
        /// After this line: 0 for the first lines that there are
        #[arg(long, conflicts_with_all = ["event", "user", "target", "since", "before"])]
        after: Option<u64>,
        #[command(flatten)]
        which: Which,
        /// At most so many lines
        #[arg(long, default_value_t = LIMIT, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    Verify(ProofArgs),
}

/// What is looked for.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Only this, as EVENT has it
    #[arg(long, value_parser = event)]
    event: Option<String>,
    /// Only what this person did
    #[arg(long)]
    user: Option<PrincipalName>,
    /// Only what names this target
    #[arg(long)]
    target: Option<TargetName>,
    /// Only since then: `2h` ago, or 2026-01-05T09:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = when::moment)]
    since: Option<Moment>,
    /// Only before this line
    #[arg(long, value_name = "LINE")]
    before: Option<u64>,
}

impl Which {
    /// What is asked of the server, each with a `&` in front.
    fn asked(&self, now: Timestamp) -> String {
        let since = self.since.map(|since| since.before(now).to_string());
        let before = self.before.map(|before| before.to_string());
        let all = [
            ("event", self.event.clone()),
            ("user", self.user.as_ref().map(ToString::to_string)),
            ("target", self.target.as_ref().map(ToString::to_string)),
            ("since", since),
            ("before", before),
        ];
        let set = all.into_iter().filter_map(|(name, value)| {
            let value = value?;
            Some(format!("&{name}={}", segment(&value)))
        });
        set.collect()
    }

    /// The same as it is typed, but for the line.
    fn typed(&self, limit: u32) -> String {
        let limit = (limit != LIMIT).then(|| limit.to_string());
        let all = [
            ("event", self.event.clone()),
            ("user", self.user.as_ref().map(ToString::to_string)),
            ("target", self.target.as_ref().map(ToString::to_string)),
            ("since", self.since.map(|since| since.to_string())),
            ("limit", limit),
        ];
        let set = all
            .into_iter()
            .filter_map(|(name, value)| Some(format!(" --{name} {}", value?)));
        set.collect()
    }
}

/// Reads what EVENT can have.
fn event(text: &str) -> Result<String, String> {
    let is_word = |text: &str| text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    if !text.is_empty() && is_word(text) {
        return Ok(text.to_owned());
    }
    Err(words::no_event(text))
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
        let by = sought::doer(&self.line);
        let (mut events, mut entries) = (Vec::new(), Vec::new());
        for mut one in sought::told(&self.line) {
            events.extend(sought::kind(&one).map(str::to_owned));
            if let Some(fields) = one.as_object_mut() {
                let _kind = fields.remove("change").or_else(|| fields.remove("event"));
            }
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

/// `audit …`.
pub(crate) async fn audit(context: &Context, verb: AuditVerb) -> Outcome {
    let (after, which, limit) = match verb {
        AuditVerb::Ls {
            after,
            which,
            limit,
        } => (after, which, limit),
        AuditVerb::Verify(args) => return proof::verify(context, &args).await,
    };
    let doing = doing::READ_AUDIT;
    let asked = which.asked(context.now());
    let path = match after {
        Some(after) => format!("/v1/audit?after={after}&limit={limit}"),
        None => format!("/v1/audit?last={limit}{asked}"),
    };
    let list: AuditList = context.client(doing)?.get(doing, &path).await?;
    context.printer.list(&list, &list.items)?;
    if !asked.is_empty() {
        if let Some(line) = list.looked_from {
            let found = list.items.len();
            context
                .printer
                .say(&words::sought(found, line, &which.typed(limit)));
        } else if list.items.is_empty() {
            context.printer.say(&words::none_fits());
        }
        return Ok(());
    }
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
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        which: Which,
    }

    #[test]
    fn what_is_looked_for_can_be_typed_again() {
        let typed = "ls --event refused --user alice --since 2h --before 7";
        let which = Line::try_parse_from(typed.split(' ')).unwrap().which;
        let now = "2026-01-05T09:00:00Z".parse().unwrap();
        assert_eq!(
            which.asked(now),
            "&event=refused&user=alice&since=2026-01-05T07%3A00%3A00Z&before=7"
        );
        let again = " --event refused --user alice --since 2h";
        assert_eq!(which.typed(LIMIT), again);
        assert_eq!(which.typed(5), format!("{again} --limit 5"));
        assert!(Line::try_parse_from(["ls", "--event", "Refused; x"]).is_err());
    }
}
