//! `target set`: what of a target is to be otherwise. What is new the server looks at before it takes it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use control::api::wire::{ChangeOrder, Ended, TargetView};
use policies::words::cli::{self, doing};
use policies::words::particulars::{self as words, Ends, Part};
use policies::words::target;
use policies::{Endpoint, HostKeyPin, HostPort, Label, Login, Particulars, Place, TargetName};
use reqwest::Method;
use serde_json::json;

use super::add::public_key;
use super::given::Given;
use super::place::place;
use super::{behind, label, listed};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::prompt::Assent;

/// What is to be otherwise. What is not named stays.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// Which
    name: TargetName,
    /// Where it is from here on, as the bastion reaches it; of a database all its hosts, with commas between them
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub(super) addr: Vec<HostPort>,
    /// All accounts or roles that may be asked for from here on
    #[arg(long, visible_alias = "role")]
    login: Vec<Login>,
    /// A label to add or to change, for example env=prod
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<Label>,
    /// A label to take away
    #[arg(long, value_name = "KEY")]
    no_label: Vec<String>,
    /// Its new host key, by the fingerprint that its console says, or whole; without one, shows the old and the new one
    #[arg(
        long,
        value_name = "SHA256:…|KEY",
        num_args = 0..=1,
        default_missing_value = "",
        value_parser = given_key
    )]
    pub(super) host_key: Vec<GivenKey>,
    /// The CA of its host certificates, instead of its host keys
    #[arg(long, value_name = "KEY", value_parser = public_key, conflicts_with = "host_key")]
    pub(super) host_ca: Option<String>,
    /// The SHA-256 of its new certificate, one for each host; without one, shows the old and the new ones
    #[arg(
        long,
        value_name = "HEX",
        value_delimiter = ',',
        num_args = 0..=1,
        default_missing_value = ""
    )]
    pub(super) server_cert_sha256: Vec<String>,
    /// The CA of its certificate, instead of the certificate itself
    #[arg(long, value_name = "FILE", conflicts_with = "server_cert_sha256")]
    pub(super) server_ca: Option<PathBuf>,
    /// The name in its certificate, with --server-ca; else the host of its address
    #[arg(long, value_name = "NAME", requires = "server_ca")]
    pub(super) server_name: Option<String>,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    assent: Assent,
}

/// How a new host key was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GivenKey {
    /// Not at all: what is there is to be shown.
    Look,
    /// By its fingerprint, `SHA256:…`.
    Fingerprint(String),
    /// Whole.
    Key(String),
}

fn given_key(text: &str) -> Result<GivenKey, String> {
    match text {
        "" => Ok(GivenKey::Look),
        print if print.starts_with("SHA256:") => Ok(GivenKey::Fingerprint(print.to_owned())),
        key => public_key(key).map(GivenKey::Key),
    }
}

impl SetArgs {
    /// Whether it is about more than what the target is entered with.
    fn describes(&self) -> bool {
        let place = !self.addr.is_empty()
            || !self.host_key.is_empty()
            || self.host_ca.is_some()
            || !self.server_cert_sha256.is_empty()
            || self.server_ca.is_some();
        place || !self.login.is_empty() || !self.label.is_empty() || !self.no_label.is_empty()
    }

    /// What it is to be, at that place.
    fn becoming(&self, was: &Particulars, place: Place) -> Particulars {
        let mut becomes = Particulars {
            place,
            ..was.clone()
        };
        if !self.login.is_empty() {
            becomes.logins = self.login.iter().cloned().collect();
        }
        becomes
            .labels
            .retain(|key, _value| !self.no_label.contains(key));
        let labels = self.label.iter().cloned();
        becomes
            .labels
            .extend(labels.map(|label| (label.key, label.value)));
        becomes
    }
}

/// Describes a target otherwise, or exchanges what it is entered with.
pub(super) async fn set(context: &Context, args: SetArgs) -> Outcome {
    if !args.describes() {
        return exchange(context, &args.name, args.given).await;
    }
    let doing = doing::change(&args.name);
    let path = format!("/v1/targets/{}", segment(args.name.as_str()));
    let client = context.client(&doing)?;
    let seen: TargetView = client.get(&doing, &path).await?;
    let (Some(endpoint), Some(logins)) = (&seen.endpoint, &seen.logins) else {
        // Whoever may not manage targets hears that from the server.
        let _ended: Ended = client.send(&doing, Method::PUT, &path, &json!({})).await?;
        return Err(Failure::new(Exit::Error, cli::odd_answer(cli::odd::PROBE)));
    };
    let was = Particulars {
        place: endpoint.place(),
        logins: logins.clone(),
        labels: seen.labels.clone(),
    };
    let place = place(context, (&seen.name, endpoint), &args).await?;
    let becomes = args.becoming(&was, place);
    let name = seen.name.as_str();
    let secret = args.given.secret(context, name).await?;
    if was == becomes && secret.is_none() {
        return Err(Failure::new(Exit::Conflict, words::same(name)));
    }
    let lines = differences(&was, &becomes);
    asked(context, &seen.name, (&was, &becomes, &lines), args.assent).await?;
    let order = ChangeOrder {
        was,
        becomes,
        secret,
    };
    let ended: Ended = client.send(&doing, Method::PUT, &path, &order).await?;
    let said = words::done(name, &lines, ended.sessions.len());
    context.printer.done(&ended, name, &said)
}

/// Asks for a yes where something ends by it.
async fn asked(
    context: &Context,
    name: &TargetName,
    (was, becomes, lines): (&Particulars, &Particulars, &[String]),
    assent: Assent,
) -> Outcome {
    let is_another = !becomes.place.is_tied_to(&was.place);
    let gone: BTreeSet<&Login> = was.logins.difference(&becomes.logins).collect();
    if !is_another && gone.is_empty() {
        return Ok(());
    }
    let all = listed(context).await?.items;
    let mut stranded = BTreeSet::new();
    for seen in &all {
        let jump = seen.endpoint.as_ref().and_then(Endpoint::jump);
        if jump.is_some_and(|jump| jump.target == *name && gone.contains(&jump.login)) {
            stranded.insert(seen.name.to_string());
            stranded.extend(behind(&all, &seen.name));
        }
    }
    let gone: Vec<String> = gone.into_iter().map(ToString::to_string).collect();
    let ends = Ends {
        is_another,
        logins: &gone,
        stranded: &stranded.into_iter().collect::<Vec<_>>(),
    };
    let question = words::question(name.as_str(), lines, ends);
    let doing = doing::change(name);
    assent
        .confirmed(&context.surroundings, &question, &doing)
        .await
}

/// What differs, a line for each part.
fn differences(was: &Particulars, becomes: &Particulars) -> Vec<String> {
    let both = described(was).into_iter().zip(described(becomes));
    let both = Part::ALL.into_iter().zip(both);
    both.filter(|(_part, (was, becomes))| was != becomes)
        .map(|(part, (was, becomes))| part.line(&was, &becomes))
        .collect()
}

/// Each part in words, in the order of [`Part::ALL`].
fn described(particulars: &Particulars) -> [String; 4] {
    let (addresses, proofs): (Vec<String>, Vec<String>) = match &particulars.place {
        Place::Ssh { addr, host_key } => (vec![addr.to_string()], known_by(host_key)),
        Place::Postgres { hosts } => {
            let each = hosts.iter().map(|host| {
                let known = target::known_by_server(&host.server);
                (host.addr.to_string(), known)
            });
            each.unzip()
        }
    };
    let logins = particulars.logins.iter().map(ToString::to_string);
    let labels = particulars.labels.iter();
    let labels = labels.map(|(key, value)| format!("{key}={value}"));
    [
        addresses.join(", "),
        proofs.join(", "),
        logins.collect::<Vec<_>>().join(", "),
        labels.collect::<Vec<_>>().join(", "),
    ]
}

/// What a host is known by, each by its kind and fingerprint.
pub(super) fn known_by(pin: &HostKeyPin) -> Vec<String> {
    let named = |line: &String| match ca::pin::named(line) {
        Some((kind, print)) => format!("{kind} {print}"),
        None => line.clone(),
    };
    match pin {
        HostKeyPin::Keys { keys } => keys.iter().map(named).collect(),
        HostKeyPin::Authority { key } => vec![format!("CA {}", named(key))],
    }
}

/// Exchanges what a target is entered with.
async fn exchange(context: &Context, name: &TargetName, given: Given) -> Outcome {
    let doing = doing::exchange(&name);
    let Some(secret) = given.secret(context, name.as_str()).await? else {
        let trouble = words::nothing_given(name.as_str());
        return Err(Failure::new(Exit::Usage, trouble));
    };
    let path = format!("/v1/targets/{}/credential", segment(name.as_str()));
    let client = context.client(&doing)?;
    let kept: TargetView = client.send(&doing, Method::PUT, &path, &secret).await?;
    let said = cli::secret_kept(name.as_str());
    context.printer.done(&kept, name.as_str(), &said)
}
