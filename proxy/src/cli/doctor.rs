//! `doctor`: what is wrong here and there, each with a sentence and a way out.

use std::os::unix::fs::PermissionsExt;

use control::api::wire::{Check, List, WhoAmI};
use policies::words::cli::doctor as words;
use policies::words::cli::doctor::Finding;
use policies::words::cli::doing;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::printer::Row;
use crate::cli::{state, when};

/// How far this clock may be from the server's, in seconds. Certificates begin a minute before they
/// are made; half of that is left for travel.
const SKEW_MAX: i64 = 30;

impl Row for Check {
    const COLUMNS: (&'static [&'static str], usize) = (&["SUBJECT", "OK", "FOUND", "TRY"], 4);

    fn cells(&self) -> Vec<String> {
        vec![
            self.subject.clone(),
            if self.ok { "ok" } else { "NO" }.to_owned(),
            self.found.clone(),
            self.hint.clone().unwrap_or_default(),
        ]
    }
}

/// Looks at this machine, then asks the server to look at itself.
pub(crate) async fn doctor(context: &Context) -> Outcome {
    let mut checks: Vec<Check> = vec![
        login(context),
        files(context),
        program(context, "ssh", "openssh-client"),
        program(context, "psql", "postgresql-client"),
    ]
    .into_iter()
    .map(view)
    .collect();
    checks.extend(server(context).await);
    let all_well = checks.iter().all(|check| check.ok);
    let list = List::of(checks);
    context.printer.list(&list, &list.items)?;
    if all_well {
        Ok(())
    } else {
        let unwell = list.items.iter().filter(|check| !check.ok).count();
        Err(Failure::new(Exit::Error, words::unwell(unwell)))
    }
}

fn view(finding: Finding) -> Check {
    let Finding {
        subject,
        ok,
        found,
        hint,
    } = finding;
    Check {
        schema: "tidegate.check/1".into(),
        subject,
        ok,
        found,
        hint,
        warning: false,
    }
}

fn login(context: &Context) -> Finding {
    match context.login(doing::LOOK_AT_LOGIN) {
        Ok(bastion) => words::login_holds(
            bastion.principal.as_str(),
            &when::ahead(bastion.expires_at, context.now()),
        ),
        Err(failure) => words::trouble("login", failure.trouble.as_deref()),
    }
}

/// Every file of the login is there and nobody else's to read.
fn files(context: &Context) -> Finding {
    let all = [
        state::SSH_KEY,
        state::SSH_CERTIFICATE,
        state::TLS_KEY,
        state::TLS_CERTIFICATE,
        state::CA,
        state::KNOWN_HOSTS,
    ];
    for name in all {
        let path = context.state.path(name);
        let shown = path.to_string_lossy();
        match std::fs::metadata(&path) {
            Err(error) => return words::file_missing(&shown, &error.to_string()),
            Ok(found) if found.permissions().mode() & 0o077 != 0 => {
                return words::file_open(&shown);
            }
            Ok(_good) => {}
        }
    }
    words::files_good(&context.state.path("").to_string_lossy())
}

fn program(context: &Context, name: &str, package: &str) -> Finding {
    match context.surroundings.program(name) {
        Some(path) => words::program_found(name, &path.to_string_lossy()),
        None => words::program_missing(name, package),
    }
}

async fn server(context: &Context) -> Vec<Check> {
    let asked = async {
        let client = context.client(doing::ASK_SERVER)?;
        let me: WhoAmI = client.get(doing::ASK_SERVER, "/v1/whoami").await?;
        let behind = context.now().duration_since(me.now).as_secs();
        let mut checks = vec![view(words::clock(behind, behind.abs() <= SKEW_MAX))];
        match client
            .get::<List<Check>>(doing::ASK_ABOUT_ITSELF, "/v1/checks")
            .await
        {
            Ok(list) => checks.extend(list.items),
            Err(failure) if matches!(failure.exit, Exit::Denied | Exit::NotFound) => {
                checks.push(view(words::not_for_you()));
            }
            Err(failure) => checks.push(view(words::trouble("server", failure.trouble.as_deref()))),
        }
        Ok::<_, Failure>(checks)
    };
    asked
        .await
        .unwrap_or_else(|failure| vec![view(words::trouble("server", failure.trouble.as_deref()))])
}
