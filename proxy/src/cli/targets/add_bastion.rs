//! `target add bastion`: a tidegate behind this one, which people go through.

use clap::Args;
use control::api::wire::TargetOrder;
use policies::words::transit::bastion_added;
use policies::{Algorithms, BASTION_LOGIN, Endpoint, Entry, HostPort, Login, SshEndpoint};

use super::add::{Before, Common, add, jump, pin, public_key, unused};
use crate::cli::context::Context;
use crate::cli::failure::Outcome;

/// A bastion.
#[derive(Debug, Args)]
pub(crate) struct AddBastion {
    #[command(flatten)]
    common: Common,
    /// Where its SSH is, as this bastion reaches it
    #[arg(long, value_name = "HOST:PORT")]
    addr: HostPort,
    /// Its host key, instead of reading it: 'ssh-ed25519 AAAA…'
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    host_key: Vec<String>,
    /// The SSH target in front of it, through which it is reached
    #[arg(long, value_name = "[LOGIN+]TARGET")]
    jump: Option<Before>,
}

/// Adds it. That a tidegate answers there, with this key, the server finds out.
pub(super) async fn bastion(context: &Context, args: AddBastion) -> Outcome {
    unused(context, &args.common.name).await?;
    let jump = match args.jump {
        Some(before) => Some(jump(context, before).await?),
        None => None,
    };
    let how = (jump.as_ref(), Algorithms::Modern);
    let host_key = pin(context, (None, args.host_key), (&args.addr, how)).await?;
    let order = TargetOrder {
        name: args.common.name,
        endpoint: Endpoint::Ssh(SshEndpoint {
            jump,
            entry: Entry::Bastion,
            ..SshEndpoint::new(args.addr, host_key)
        }),
        logins: BASTION_LOGIN.parse::<Login>().into_iter().collect(),
        labels: args.common.label,
        owners: args.common.owners,
        secret: None,
    };
    let (added, _trust) = add(context, &order).await?;
    let name = added.name.to_string();
    context.printer.done(&added, &name, &bastion_added(&name))
}
