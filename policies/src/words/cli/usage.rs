//! Called wrongly: what to say, and for every verb a line that can be pasted and changed.

use super::Trouble;

/// For every verb, by its words, how it is typed. The help pages end in the same lines.
pub const EXAMPLES: &[(&str, &str)] = &[
    (
        "login",
        "tidegate login --bastion https://localhost:3443 --ca-fingerprint SHA256:…",
    ),
    ("logout", "tidegate logout"),
    ("status", "tidegate status -o wide"),
    ("whoami", "tidegate whoami"),
    ("ensure", "tidegate ensure"),
    ("ls", "tidegate ls ssh --label env=prod"),
    (
        "request",
        "tidegate request web1 --as deploy --for 1h --reason 'INC-7' --wait",
    ),
    ("requests ls", "tidegate requests ls"),
    ("requests show", "tidegate requests show req_… --wait"),
    ("requests withdraw", "tidegate requests withdraw req_…"),
    ("grants ls", "tidegate grants ls --all"),
    ("grants show", "tidegate grants show grt_…"),
    ("approve", "tidegate approve req_…"),
    ("deny", "tidegate deny req_… --reason 'not today'"),
    ("withdraw", "tidegate withdraw req_…"),
    (
        "revoke",
        "tidegate revoke --user alice --reason 'INC-7 is over'",
    ),
    ("sessions ls", "tidegate sessions ls --all"),
    ("sessions show", "tidegate sessions show last"),
    ("sessions watch", "tidegate sessions watch"),
    (
        "sessions kill",
        "tidegate sessions kill ses_… --reason 'not that table'",
    ),
    ("play", "tidegate play last --speed 2"),
    ("recordings ls", "tidegate recordings ls"),
    ("recordings verify", "tidegate recordings verify ses_…"),
    (
        "recordings export",
        "tidegate recordings export ses_… --text",
    ),
    (
        "target add ssh",
        "tidegate target add ssh web1 --addr 192.0.2.7:22 --login deploy --label env=dev",
    ),
    (
        "target add bastion",
        "tidegate target add bastion bastion2 --addr 192.0.2.9:2222",
    ),
    (
        "target add pg",
        "tidegate target add pg orders --addr 192.0.2.8:5432 --dbname orders --role app_ro",
    ),
    ("target ls", "tidegate target ls"),
    ("target show", "tidegate target show web1"),
    ("target rm", "tidegate target rm web1"),
    (
        "target set",
        "tidegate target set web1 --host-key SHA256:… --label env=prod",
    ),
    (
        "target lock",
        "tidegate target lock web1 --reason 'broken into'",
    ),
    ("target unlock", "tidegate target unlock web1"),
    ("target test", "tidegate target test web1"),
    ("target script", "tidegate target script orders"),
    (
        "user add",
        "tidegate user add alice --key alice.pub --group sre",
    ),
    ("user ls", "tidegate user ls"),
    ("user rm", "tidegate user rm alice"),
    (
        "user set",
        "tidegate user set alice --group oncall --no-group sre",
    ),
    (
        "user lock",
        "tidegate user lock alice --reason 'laptop stolen'",
    ),
    ("user unlock", "tidegate user unlock alice"),
    (
        "user key add",
        "tidegate user key add alice --key alice-2.pub",
    ),
    ("user keys", "tidegate user keys alice"),
    ("user key rm", "tidegate user key rm alice SHA256:…"),
    ("policy check", "tidegate policy check /etc/tidegate/policy"),
    (
        "policy apply",
        "tidegate policy apply /etc/tidegate/policy --dry-run",
    ),
    ("policy show", "tidegate policy show --to policy"),
    ("config ssh", "tidegate config ssh --write"),
    ("config psql", "tidegate config psql --write"),
    ("target alias", "tidegate target alias orders o"),
    ("pg url", "tidegate pg url orders --role app_ro --uses 5"),
    ("doctor", "tidegate doctor"),
    ("ca show", "tidegate ca show"),
    ("audit ls", "tidegate audit ls --limit 50"),
    ("audit verify", "tidegate audit verify"),
    (
        "init",
        "tidegate init --admin you --admin-key ~/.ssh/id_ed25519.pub",
    ),
    ("serve", "tidegate serve --config-dir /etc/tidegate"),
    (
        "check-config",
        "tidegate check-config --config-dir /etc/tidegate",
    ),
    ("backup", "tidegate backup tidegate-backup"),
    ("demo", "tidegate demo"),
];

/// How a verb is typed, by its words.
pub fn example(verb: &str) -> Option<&'static str> {
    let found = EXAMPLES.iter().find(|(known, _)| *known == verb);
    found.map(|(_, line)| *line)
}

/// A line of which not even the verb is known.
pub fn no_such_verb(word: &str, meant: Option<&str>) -> Trouble {
    let why = format!("tidegate knows no `{word}` there");
    match meant {
        Some(meant) => {
            let line = example(meant).map_or_else(|| help(meant), str::to_owned);
            Trouble::new(NOT_UNDERSTOOD, why, line)
        }
        None => Trouble::new(NOT_UNDERSTOOD, why, "tidegate --help"),
    }
}

/// A label that is none, as the end of a sentence.
pub fn label(text: &str, found: &str) -> String {
    if text.contains('=') {
        found.to_owned()
    } else {
        format!("write KEY=VALUE, for example env={text}")
    }
}

/// A verb that stands under another one was typed by itself.
pub fn verb_below(word: &str, full: &str) -> Trouble {
    let line = example(full).map_or_else(|| help(full), str::to_owned);
    let why = format!("tidegate knows no `{word}` there; did you mean `{full}`?");
    Trouble::new(NOT_UNDERSTOOD, why, line)
}

/// Something that has to be said was not.
pub fn missing(verb: &str, what: &[String]) -> Trouble {
    let is = if what.len() == 1 { "is" } else { "are" };
    because(verb, &format!("{} {is} missing", what.join(" and ")))
}

/// What is to be ended was named, and not why: the example of the verb would end something else.
pub fn reason_missing(typed: &str) -> Trouble {
    let why = "`--reason <TEXT>` is missing";
    Trouble::new(NOT_UNDERSTOOD, why, format!("{typed} --reason '…'"))
}

/// A group is to be come into and left at once.
pub fn both_ways(name: &str, group: &str) -> Trouble {
    Trouble::new(
        format!("cannot change the groups of {name}"),
        format!("`{group}` stands behind --group and behind --no-group"),
        format!("tidegate user set {name} --group {group}"),
    )
}

/// A flag or a word that the verb does not take.
pub fn not_taken(verb: &str, word: &str) -> Trouble {
    because(verb, &format!("`tidegate {verb}` takes no `{word}`"))
}

/// What is said of a text that is no key of a host or of its CA.
pub const NO_PUBLIC_KEY: &str =
    "not a public key on one line, as a .pub file has it: ssh-ed25519 AAAA…";

/// A password is not sent to whoever answers.
pub fn password_to_whom(target: &str) -> Trouble {
    Trouble::new(
        "nothing was added: a password goes to a host whose key was given",
        "whoever answers at the address would be sent it before anybody has compared its key",
        format!(
            "tidegate target add ssh {target} … --host-key 'ssh-ed25519 AAAA…'   # as `cat /etc/ssh/ssh_host_ed25519_key.pub` says on the target"
        ),
    )
}

/// There are not as many certificates as hosts.
pub fn one_certificate_each(hosts: usize, given: usize) -> Trouble {
    Trouble::new(
        "nothing was added: each host has a certificate of its own",
        format!("there are {hosts} hosts, and --server-cert-sha256 names {given}"),
        "tidegate target add pg NAME --addr DB1:5432,DB2:5432 --server-cert-sha256 HEX,HEX …   (or --server-ca FILE)",
    )
}

/// Anything else that is wrong with the line.
pub fn because(verb: &str, why: &str) -> Trouble {
    let line = example(verb).map_or_else(|| help(verb), str::to_owned);
    Trouble::new(NOT_UNDERSTOOD, why, line)
}

const NOT_UNDERSTOOD: &str = "this command line is not understood";

fn help(verb: &str) -> String {
    match verb {
        "" => "tidegate --help".to_owned(),
        some => format!("tidegate {some} --help"),
    }
}
