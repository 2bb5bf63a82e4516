//! What `ssh` and `psql` have to be told so that they need no options: pure text.

use std::path::Path;

use control::api::wire::TargetView;
use policies::{HostPort, Login, Protocol, TargetName};

use crate::cli::state::{self, State};
use crate::cli::typed::word;

/// The stanzas of `ssh_config(5)`: one for the bastion, one for the targets behind it, and a last
/// line that closes them, so that what follows applies to every host as before. Where a target has
/// one login, it need not be typed.
///
/// A bastion on the loopback interface is only meant at its own port; other servers may live on the
/// same name. `ensure` is the command that says why a login no longer holds, where `ssh` itself says no more than
/// `Permission denied`; it is run on the way to the bastion, through which every jump goes.
pub(crate) fn ssh(
    (state, ensure): (&State, Option<&str>),
    bastion: &HostPort,
    targets: &[TargetView],
) -> String {
    let identity = identity(state);
    let HostPort { host, port } = bastion;
    let elsewhere = is_loopback(host).then(|| format!("test %p != {port}"));
    let mut text = ensure.map_or_else(String::new, |ensure| looked_at(host, elsewhere, ensure));
    let own = if is_loopback(host) {
        format!("Match originalhost {host} exec \"test %p = {port}\"\n{identity}")
    } else {
        format!("Host {host}\n    Port {port}\n{identity}")
    };
    text.push_str(&own);
    let names: Vec<&str> = targets
        .iter()
        // A bastion is gone through with its own stanza, which its own `tidegate config ssh` writes.
        .filter(|target| target.protocol == Protocol::Ssh && !target.bastion)
        .map(|target| target.name.as_str())
        .filter(|name| *name != host)
        .collect();
    for target in targets {
        let name = target.name.as_str();
        if let ([only], true) = (target.access.as_slice(), names.contains(&name)) {
            let user = format!("Host {name}\n    User {}\n", only.login);
            text.push_str(&user);
        }
    }
    if !names.is_empty() {
        text.push_str("Host ");
        text.push_str(&names.join(" "));
        text.push_str("\n    ProxyJump ");
        text.push_str(&jump(bastion));
        text.push('\n');
        text.push_str(&identity);
    }
    text.push_str("Host *\n");
    text
}

/// A block that sets nothing: `ssh_config(5)` runs the command to see whether it applies, and leaves the command's
/// error output to the terminal.
fn looked_at(host: &str, elsewhere: Option<String>, ensure: &str) -> String {
    let elsewhere = elsewhere.map(|test| format!("{test} || "));
    let elsewhere = elsewhere.unwrap_or_default();
    format!("Match originalhost {host} exec \"{elsewhere}{ensure}\"\n")
}

/// The command that says whether the login at this bastion holds, as `exec` of `ssh_config(5)` takes it. A program
/// that has been moved since says nothing. None where a name has what the file cannot quote.
pub(crate) fn ensure(program: &Path, state: &State, bastion: &str) -> Option<String> {
    let program = word(program.to_str()?);
    let dir = word(state.path("").to_str()?.trim_end_matches('/'));
    let line = format!(
        "test ! -x {program} || {program} ensure --state-dir {dir} --bastion {}",
        word(bastion)
    );
    let odd = |c: char| c.is_control() || c == '"' || c == '\\';
    (!line.contains(odd)).then(|| line.replace('%', "%%"))
}

/// `HOST:PORT` as `ProxyJump` takes it.
fn jump(bastion: &HostPort) -> String {
    // Without brackets ssh would take the end of an IPv6 address for a port.
    match bastion.port {
        22 if !bastion.host.contains(':') => bastion.host.clone(),
        _other => bastion.to_string(),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn identity(state: &State) -> String {
    let path = |name: &str| quoted(&state.path(name));
    format!(
        "    IdentityFile {}\n    CertificateFile {}\n    IdentitiesOnly yes\n    \
         UserKnownHostsFile {}\n    StrictHostKeyChecking yes\n",
        path(state::SSH_KEY),
        path(state::SSH_CERTIFICATE),
        path(state::KNOWN_HOSTS),
    )
}

/// A path as `ssh_config(5)` reads it: quoted, percent signs doubled, for tokens are expanded.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('%', "%%"))
}

/// The sections of libpq's service file: one per database and, where one has several roles, one per
/// role as well, written as in an address of SSH. libpq takes the first section of a name, and no target's name
/// or alias holds a `+`, now or later: the file may be older than a target.
///
/// Of several roles the bare section names none, as a `Host` of SSH names no login: the file stays as it is while
/// grants come and go, and whoever was granted the one role must not enter as the other.
pub(crate) fn psql(state: &State, bastion: &HostPort, targets: &[TargetView]) -> String {
    let mut text = String::new();
    for target in targets
        .iter()
        .filter(|target| target.protocol == Protocol::Postgres)
    {
        let only = match target.access.as_slice() {
            [] => continue,
            [only] => Some(&only.login),
            _several => None,
        };
        // What an alias stands for is for the bastion to say: it may be given to another target.
        for name in std::iter::once(&target.name).chain(&target.aliases) {
            let dbname = name.as_str();
            text.push_str(&section(state, bastion, (dbname, dbname), only));
            for access in &target.access {
                let service = service(target, &access.login, name);
                if service != dbname {
                    let named = (service.as_str(), dbname);
                    text.push_str(&section(state, bastion, named, Some(&access.login)));
                }
            }
        }
    }
    text
}

/// The section of [`psql`] for a role at a database. `name` is the target's, or an alias of it.
fn service(target: &TargetView, login: &Login, name: &TargetName) -> String {
    match target.access.as_slice() {
        [_several, _others, ..] => format!("{login}+{name}"),
        _one => name.to_string(),
    }
}

/// No `sslnegotiation`, no `max_protocol_version`: psql 15 refuses the whole file for them.
fn section(
    state: &State,
    bastion: &HostPort,
    (service, target): (&str, &str),
    login: Option<&Login>,
) -> String {
    let path = |name: &str| state.path(name).to_string_lossy().into_owned();
    let user = login.map(|login| format!("user={login}\n"));
    format!(
        "[{service}]\nhost={}\nport={}\ndbname={target}\n{}sslmode=verify-full\n\
         sslrootcert={}\nsslcert={}\nsslkey={}\n",
        bastion.host,
        bastion.port,
        user.unwrap_or_default(),
        path(state::CA),
        path(state::TLS_CERTIFICATE),
        path(state::TLS_KEY),
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use control::api::wire::{Access, AccessState};

    use super::*;

    fn target(name: &str, protocol: Protocol, logins: &[&str]) -> TargetView {
        let access = |login: &&str| Access {
            login: login.parse().unwrap(),
            state: AccessState::Ask,
            until: None,
            grant: None,
            request: None,
            longest_seconds: None,
        };
        TargetView {
            schema: "tidegate.target/1".into(),
            name: name.parse().unwrap(),
            aliases: Vec::new(),
            protocol,
            labels: std::collections::BTreeMap::new(),
            owners: None,
            access: logins.iter().map(access).collect(),
            dbname: None,
            endpoint: None,
            bastion: false,
            locked: None,
            standing: None,
            logins: None,
        }
    }

    fn stanza(bastion: &str) -> String {
        let targets = [
            target("web1", Protocol::Ssh, &["deploy"]),
            target("orders", Protocol::Postgres, &["app_ro"]),
        ];
        let state = State::at(Path::new("/tmp/a state"));
        let ensure = ensure(Path::new("/opt/100%/tidegate"), &state, "https://b:3443");
        ssh(
            (&state, ensure.as_deref()),
            &bastion.parse().unwrap(),
            &targets,
        )
    }

    /// What OpenSSH itself makes of the stanza.
    #[track_caller]
    fn understood(bastion: &str, args: &[&str]) -> String {
        let name = format!(
            "tidegate-stanza-{}-{}",
            std::process::id(),
            args.concat().len()
        );
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, stanza(bastion)).unwrap();
        let out = Command::new("ssh")
            .arg("-G")
            .arg("-F")
            .arg(&file)
            .args(args)
            .output()
            .unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn openssh_needs_no_options_for_a_bastion_on_localhost() {
        let got = understood("localhost:2222", &["-p", "2222", "deploy+web1@localhost"]);
        assert!(got.contains("identityfile /tmp/a state/ssh-key\n"), "{got}");
        assert!(
            got.contains("certificatefile /tmp/a state/ssh-key-cert.pub\n"),
            "{got}"
        );
        assert!(got.contains("identitiesonly yes"), "{got}");
        assert!(got.contains("user deploy+web1\n"), "{got}");
    }

    #[test]
    fn whether_the_login_holds_is_looked_at_on_the_way_to_the_bastion_alone() {
        let text = stanza("localhost:2222");
        let line = "Match originalhost localhost exec \"test %p != 2222 || test ! -x '/opt/100%%/tidegate' || \
                    '/opt/100%%/tidegate' ensure --state-dir '/tmp/a state' --bastion https://b:3443\"\nMatch ";
        assert!(text.starts_with(line), "{text}");
        let line = "Match originalhost b.example exec \"test ! -x ";
        assert!(stanza("b.example:22").starts_with(line));
        let state = State::at(Path::new("/a\"b"));
        assert_eq!(ensure(Path::new("/tidegate"), &state, "https://b"), None);
    }

    #[test]
    fn another_server_on_localhost_is_left_alone() {
        let got = understood("localhost:2222", &["-p", "2022", "me@localhost"]);
        assert!(!got.contains("/tmp/a state"), "{got}");
    }

    #[test]
    fn openssh_needs_no_options_behind_the_bastion() {
        let got = understood("localhost:2222", &["-J", "localhost:2222", "deploy@web1"]);
        assert!(got.contains("identityfile /tmp/a state/ssh-key\n"), "{got}");
        assert!(got.contains("proxyjump localhost:2222\n"), "{got}");
    }

    #[test]
    fn the_only_login_of_a_target_need_not_be_typed() {
        let got = understood("localhost:2222", &["web1"]);
        assert!(got.contains("user deploy\n"), "{got}");
        let got = understood("localhost:2222", &["root@web1"]);
        assert!(got.contains("user root\n"), "{got}");
    }

    #[test]
    fn of_several_logins_none_is_chosen() {
        let targets = [target("web1", Protocol::Ssh, &["deploy", "root"])];
        let state = State::at(Path::new("/s"));
        let text = ssh((&state, None), &"localhost:2222".parse().unwrap(), &targets);
        assert!(!text.contains("User "), "{text}");
    }

    #[test]
    fn a_bastion_elsewhere_is_known_by_its_name_alone() {
        let got = understood("bastion.example:2222", &["deploy+web1@bastion.example"]);
        assert!(got.contains("port 2222\n"), "{got}");
    }

    #[test]
    fn what_follows_the_block_applies_to_every_host() {
        assert!(stanza("localhost:2222").ends_with("\nHost *\n"));
    }

    /// The services of a file and what each is, in its order.
    fn services(targets: &[TargetView]) -> Vec<String> {
        let state = State::at(Path::new("/s"));
        let text = psql(&state, &"localhost:5432".parse().unwrap(), targets);
        let mut services: Vec<String> = Vec::new();
        for line in text.lines() {
            match (line.split_once('='), services.last_mut()) {
                (None, _) => services.push(line.to_owned()),
                (Some(("dbname" | "user", value)), Some(last)) => {
                    last.push(' ');
                    last.push_str(value);
                }
                _other => {}
            }
        }
        services
    }

    /// Names of targets hold dots: one may be called like another and a role of it.
    #[test]
    fn a_service_is_the_target_that_is_called_so_and_no_role_of_another() {
        let orders = target("orders", Protocol::Postgres, &["app_ro", "app_rw"]);
        let mut other = target("orders.app_ro", Protocol::Postgres, &["copier"]);
        other.aliases = vec!["orders.app_rw".parse().unwrap()];
        let want = [
            "[orders] orders",
            "[app_ro+orders] orders app_ro",
            "[app_rw+orders] orders app_rw",
            "[orders.app_ro] orders.app_ro copier",
            "[orders.app_rw] orders.app_rw copier",
        ];
        assert_eq!(services(&[orders, other]), want);
    }

    #[test]
    fn a_database_with_two_roles_has_three_services() {
        let targets = [target("orders", Protocol::Postgres, &["app_ro", "app_rw"])];
        let text = psql(
            &State::at(Path::new("/s")),
            &"localhost:5432".parse().unwrap(),
            &targets,
        );
        for service in ["[orders]\n", "[app_ro+orders]\n", "[app_rw+orders]\n"] {
            assert!(text.contains(service), "{text}");
        }
        assert!(
            text.contains("sslmode=verify-full\nsslrootcert=/s/ca.pem\n"),
            "{text}"
        );
    }

    /// What was granted while the file was written is no matter: a later grant for the other role is entered by
    /// a section of its own, and by no other.
    #[test]
    fn of_several_roles_the_bare_service_is_none() {
        let mut orders = target("orders", Protocol::Postgres, &["app_ro", "app_rw"]);
        orders.aliases = vec!["o".parse().unwrap()];
        orders.access[1].state = AccessState::Granted;
        let want = [
            "[orders] orders",
            "[app_ro+orders] orders app_ro",
            "[app_rw+orders] orders app_rw",
            "[o] o",
            "[app_ro+o] o app_ro",
            "[app_rw+o] o app_rw",
        ];
        assert_eq!(services(&[orders]), want);
        let one = target("orders", Protocol::Postgres, &["app_ro"]);
        assert_eq!(services(&[one]), ["[orders] orders app_ro"]);
    }
}
