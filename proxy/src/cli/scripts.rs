//! `target script`: what is run or installed at a target so that each grant can have a role or an
//! account of its own.

use std::collections::{BTreeMap, BTreeSet};

use control::api::wire::TargetView;
use policies::words::cli::doing;
use policies::words::{cli, elevation, target};
use policies::{Endpoint, Login, MARKER, PostgresEndpoint, Privilege, SshEndpoint, TargetName};

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::harmless;
use crate::postgres::roles::privileges;

/// The SQL that makes tidegate's own role: where privileges are declared, it may give those away; where
/// existing roles are elevated, it may do that.
fn sql(
    name: &TargetName,
    logins: Vec<String>,
    admin: &Login,
    endpoint: &PostgresEndpoint,
) -> String {
    let elevated = |login: &String| {
        let mut groups = endpoint.elevations.keys();
        groups.any(|group| group.as_str() == login)
    };
    let (groups, own): (Vec<String>, Vec<String>) = logins.into_iter().partition(elevated);
    let script = if own.is_empty() {
        elevation::admin_script(name.as_str(), admin.as_str())
    } else {
        of_own(name, own, admin, &endpoint.privileges)
    };
    if groups.is_empty() {
        return script;
    }
    let accounts: BTreeSet<&Login> = endpoint.elevated().collect();
    let accounts: Vec<String> = accounts.into_iter().map(ToString::to_string).collect();
    script + &elevation::script(&groups, &accounts, admin.as_str())
}

/// The part for the roles that grants have for themselves.
fn of_own(
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
    target::privileges_script(&script, MARKER, &each.replace("; ", ";\n"))
}

/// Prints the script, as text whatever the format: it is meant for `psql`, or for a file.
pub(crate) async fn script(context: &Context, name: &TargetName) -> Outcome {
    let doing = doing::write_script(&name);
    let path = format!("/v1/targets/{}", segment(name.as_str()));
    let seen: TargetView = context.client(&doing)?.get(&doing, &path).await?;
    let logins = seen.logins.iter().flatten();
    let logins: Vec<String> = logins.map(ToString::to_string).collect();
    let text = match &seen.endpoint {
        Some(Endpoint::Postgres(
            endpoint @ PostgresEndpoint {
                admin: Some(admin), ..
            },
        )) => cli::whole_or_nothing(&sql(name, logins, admin, endpoint)),
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
