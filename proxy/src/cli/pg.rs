//! `pg url`: a way in for clients of PostgreSQL that have no certificate.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use control::api::wire::{AccessState, OneTimeOrder, OneTimeView, TargetView};
use policies::words::cli::{self, doing};
use policies::{GrantId, HostPort, Login, Protocol, TargetName};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::{Format, Row};
use crate::cli::state::CA;
use crate::cli::{targets, when};

/// Work with databases
#[derive(Debug, Subcommand)]
pub(crate) enum PgVerb {
    Url(UrlArgs),
}

/// Print a connection URL with a one-time password, for tools without certificates
#[derive(Debug, Args)]
pub(crate) struct UrlArgs {
    /// Which database
    target: TargetName,
    /// As which role; where you hold a grant for one, it need not be named
    #[arg(long)]
    role: Option<Login>,
    /// For how many connections: a tool that pools opens several
    #[arg(long, value_name = "N", default_value_t = 1)]
    uses: u16,
    /// For how long, at most 1h and never beyond the grant
    #[arg(long = "for", value_name = "DURATION", value_parser = when::duration, default_value = "10m")]
    lifetime: Duration,
    /// For which kind of client
    #[arg(long, value_enum, default_value_t)]
    form: Form,
}

/// How a connection is written down.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// libpq and most drivers: `postgresql://…`
    #[default]
    Uri,
    /// Java: `jdbc:postgresql://…`
    Jdbc,
    /// ODBC: `Driver={PostgreSQL Unicode};…`
    Odbc,
}

/// A URL as it is printed, with what is known of its password.
#[derive(Debug, Serialize)]
struct Url {
    url: String,
    #[serde(flatten)]
    made: OneTimeView,
}

impl Row for Url {
    const COLUMNS: (&'static [&'static str], usize) =
        (&["URL", "ID", "TARGET", "AS", "USES", "UNTIL", "GRANT"], 6);

    fn cells(&self) -> Vec<String> {
        vec![
            self.url.clone(),
            self.made.id.to_string(),
            self.made.target.to_string(),
            self.made.login.to_string(),
            self.made.uses.to_string(),
            when::stamp(self.made.expires_at),
            self.made.grant.to_string(),
        ]
    }
}

/// `pg …`.
pub(crate) async fn pg(context: &Context, verb: PgVerb) -> Outcome {
    match verb {
        PgVerb::Url(args) => url(context, args).await,
    }
}

async fn url(context: &Context, args: UrlArgs) -> Outcome {
    let doing = doing::make_url(&args.target);
    let bastion = context.login(&doing)?;
    let at = bastion.postgres.as_ref().ok_or_else(|| {
        let words = cli::not_spoken(Protocol::Postgres.as_str(), &bastion.url);
        Failure::new(Exit::NotFound, words)
    })?;
    let list = targets::listed(context).await?;
    let grant = grant(&list.items, &args.target, args.role.as_ref())?;
    let order = OneTimeOrder {
        uses: Some(args.uses),
        ttl_seconds: Some(args.lifetime.as_secs()),
    };
    let path = format!("/v1/grants/{}/passwords", segment(&grant.to_string()));
    let made: OneTimeView = context.client(&doing)?.post(&doing, &path, &order).await?;
    let url = written(args.form, at, &made, &context.state.path(CA));
    if !matches!(context.printer.format, Format::Table | Format::Wide) {
        return context.printer.one(&Url { url, made });
    }
    context.printer.text(&format!("{url}\n"))?;
    let until = when::ahead(made.expires_at, context.now());
    let (target, login) = (made.target.as_str(), made.login.as_str());
    let said = cli::onetime_made(target, login, made.uses, &until);
    context.printer.say(&said);
    Ok(())
}

/// The grant that is meant: the one that is in force for this database and role.
fn grant(
    seen: &[TargetView],
    target: &TargetName,
    role: Option<&Login>,
) -> Result<GrantId, Failure> {
    let none = || {
        let words = cli::no_role_in_force(target.as_str(), role.map(Login::as_str));
        Failure::new(Exit::Denied, words)
    };
    let found = seen
        .iter()
        .find(|seen| seen.name == *target || seen.aliases.contains(target))
        .ok_or_else(none)?;
    if found.protocol != Protocol::Postgres {
        let words = cli::no_database(target.as_str());
        return Err(Failure::new(Exit::Usage, words));
    }
    let held: Vec<(&Login, GrantId)> = found
        .access
        .iter()
        .filter(|access| access.state == AccessState::Granted)
        .filter(|access| role.is_none_or(|role| access.login == *role))
        .filter_map(|access| Some((&access.login, access.grant?)))
        .collect();
    match held.as_slice() {
        [] => Err(none()),
        [(_login, grant)] => Ok(*grant),
        several => {
            let roles: Vec<String> = several.iter().map(|(role, _)| role.to_string()).collect();
            let words = cli::several_roles(target.as_str(), &roles);
            Err(Failure::new(Exit::Usage, words))
        }
    }
}

/// Writes it for one kind of client. All of them verify the bastion. Nothing says `channel_binding`: libpq
/// binds the channel where it can, and drivers that do not know the word would send it to the server.
fn written(form: Form, at: &HostPort, made: &OneTimeView, ca: &Path) -> String {
    let HostPort { host, port } = at;
    let in_url = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.clone()
    };
    let (target, user, password) = (&made.target, &made.user, &made.password);
    let ca = ca.to_string_lossy();
    match form {
        Form::Uri => format!(
            "postgresql://{}:{}@{in_url}:{port}/{target}?sslmode=verify-full&sslrootcert={}",
            segment(user),
            segment(password),
            segment(&ca)
        ),
        Form::Jdbc => format!(
            "jdbc:postgresql://{in_url}:{port}/{target}?user={}&password={}&sslmode=verify-full&sslrootcert={}",
            segment(user),
            segment(password),
            segment(&ca)
        ),
        Form::Odbc => format!(
            "Driver={{PostgreSQL Unicode}};Server={host};Port={port};Database={target};Uid={user};Pwd={password};\
             SSLmode=verify-full;pqopt={{sslrootcert='{ca}'}}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use control::api::wire::Access;
    use jiff::Timestamp;

    use super::*;

    fn made() -> OneTimeView {
        let at = Timestamp::from_second(0).unwrap();
        OneTimeView {
            schema: String::new(),
            id: policies::SecretId::new(at, [0; 10]),
            grant: GrantId::new(at, [0; 10]),
            target: "orders".parse().unwrap(),
            login: "app_ro".parse().unwrap(),
            user: "app_ro+sec_1".to_owned(),
            password: "abc".to_owned(),
            uses: 1,
            expires_at: at,
        }
    }

    #[track_caller]
    fn check(form: Form, host: &str, want: &str) {
        let at = HostPort {
            host: host.to_owned(),
            port: 5432,
        };
        assert_eq!(written(form, &at, &made(), Path::new("/a b/ca.pem")), want);
    }

    #[test]
    fn every_kind_of_client_reads_what_is_meant() {
        check(
            Form::Uri,
            "b.example",
            "postgresql://app_ro%2Bsec_1:abc@b.example:5432/orders?sslmode=verify-full&sslrootcert=%2Fa%20b%2Fca.pem",
        );
        check(
            Form::Uri,
            "::1",
            "postgresql://app_ro%2Bsec_1:abc@[::1]:5432/orders?sslmode=verify-full&sslrootcert=%2Fa%20b%2Fca.pem",
        );
        check(
            Form::Jdbc,
            "b.example",
            "jdbc:postgresql://b.example:5432/orders?user=app_ro%2Bsec_1&password=abc&sslmode=verify-full&sslrootcert=%2Fa%20b%2Fca.pem",
        );
        check(
            Form::Odbc,
            "b.example",
            "Driver={PostgreSQL Unicode};Server=b.example;Port=5432;Database=orders;Uid=app_ro+sec_1;Pwd=abc;\
             SSLmode=verify-full;pqopt={sslrootcert='/a b/ca.pem'}",
        );
    }

    fn orders(granted: &[&str]) -> TargetView {
        let access = |login: &&str| Access {
            login: login.parse().unwrap(),
            state: AccessState::Granted,
            until: None,
            grant: Some(made().grant),
            request: None,
            longest_seconds: None,
        };
        TargetView {
            schema: String::new(),
            name: "orders".parse().unwrap(),
            aliases: vec!["o".parse().unwrap()],
            protocol: Protocol::Postgres,
            labels: BTreeMap::new(),
            owners: None,
            access: granted.iter().map(access).collect(),
            dbname: None,
            endpoint: None,
            bastion: false,
            locked: None,
            standing: None,
            logins: None,
        }
    }

    #[test]
    fn a_role_has_to_be_named_where_there_are_several() {
        let target: TargetName = "orders".parse().unwrap();
        let role: Login = "app_ro".parse().unwrap();
        let exit = |granted: &[&str], role: Option<&Login>| {
            grant(&[orders(granted)], &target, role)
                .err()
                .map(|failure| failure.exit)
        };
        assert_eq!(exit(&["app_ro"], None), None);
        let short: TargetName = "o".parse().unwrap();
        assert!(grant(&[orders(&["app_ro"])], &short, None).is_ok());
        assert_eq!(exit(&["app_ro", "app_rw"], None), Some(Exit::Usage));
        assert_eq!(exit(&["app_ro", "app_rw"], Some(&role)), None);
        assert_eq!(exit(&["app_rw"], Some(&role)), Some(Exit::Denied));
        assert_eq!(exit(&[], None), Some(Exit::Denied));
    }

    #[test]
    fn an_ssh_host_is_no_database_that_a_grant_is_missing_for() {
        let web1 = TargetView {
            protocol: Protocol::Ssh,
            ..orders(&["deploy"])
        };
        let target: TargetName = "orders".parse().unwrap();
        let refused = grant(&[web1], &target, None).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.trouble.unwrap().why.contains("is an SSH host"));
    }
}
