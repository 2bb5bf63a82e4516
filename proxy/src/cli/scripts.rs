//! `target script`: what is run on a database server so that each grant can have a role of its own.

use control::api::wire::TargetView;
use policies::words::cli;
use policies::{Endpoint, TargetName};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::harmless;

/// Prints the SQL, as text whatever the format: it is meant for `psql`.
pub(crate) async fn script(context: &Context, name: &TargetName) -> Outcome {
    let doing = format!("write the script of {name}");
    let path = format!("/v1/targets/{}", segment(name.as_str()));
    let target: TargetView = context.client(&doing)?.get(&doing, &path).await?;
    let admin = match &target.endpoint {
        Some(Endpoint::Postgres(postgres)) => postgres.admin.as_ref(),
        Some(Endpoint::Ssh(_)) | None => None,
    };
    let Some(admin) = admin else {
        return Err(Failure::new(Exit::Error, cli::no_admin_role(name.as_str())));
    };
    let logins = target.logins.iter().flatten();
    let roles: Vec<String> = logins.map(ToString::to_string).collect();
    let text = cli::admin_script(name.as_str(), &roles, admin.as_str());
    context.printer.text(&harmless::text(&text))
}
