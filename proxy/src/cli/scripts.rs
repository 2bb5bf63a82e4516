//! `target script`: what is run or installed at a target so that each grant can have a role or an
//! account of its own.

use std::collections::BTreeMap;

use control::api::wire::TargetView;
use policies::words::cli;
use policies::{Endpoint, Login, MARKER, PostgresEndpoint, Privilege, SshEndpoint, TargetName};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::harmless;
use crate::postgres::privileges;

/// The SQL that makes tidegate's own role; where privileges are declared, it may give those away.
fn sql(
    name: &TargetName,
    mut logins: Vec<String>,
    admin: &Login,
    privileges: &BTreeMap<Login, Vec<Privilege>>,
) -> String {
    if privileges.is_empty() {
        return cli::admin_script(name.as_str(), &logins, admin.as_str());
    }
    logins.push(MARKER.to_owned());
    let each = privileges
        .values()
        .map(|each| privileges::give(each, admin.as_str(), " with grant option"));
    let each: String = each.collect();
    let script = cli::admin_script(name.as_str(), &logins, admin.as_str());
    policies::words::target::privileges_script(&script, MARKER, &each.replace("; ", ";\n"))
}

/// Prints the script, as text whatever the format: it is meant for `psql`, or for a file.
pub(crate) async fn script(context: &Context, name: &TargetName) -> Outcome {
    let doing = format!("write the script of {name}");
    let path = format!("/v1/targets/{}", segment(name.as_str()));
    let target: TargetView = context.client(&doing)?.get(&doing, &path).await?;
    let logins = target.logins.iter().flatten();
    let logins: Vec<String> = logins.map(ToString::to_string).collect();
    let text = match &target.endpoint {
        Some(Endpoint::Postgres(PostgresEndpoint {
            admin: Some(admin),
            privileges,
            ..
        })) => sql(name, logins, admin, privileges),
        Some(Endpoint::Ssh(SshEndpoint {
            keeper: Some(keeper),
            ..
        })) if keeper.command.is_none() => cli::keeper_script(name.as_str(), &logins),
        Some(_) | None => {
            return Err(Failure::new(Exit::Error, cli::no_script(name.as_str())));
        }
    };
    context.printer.text(&harmless::text(&text))
}
