//! What is said about the parts of a PostgreSQL target: its hosts, and which of them was chosen.

use super::cli::doctor::Finding;
use super::{Shown, Words};
use crate::{HOSTS_MAX, HostPort, SessionAttrs};

/// Why a PostgreSQL target cannot be as it was described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetFault {
    /// A host is named twice, or there are too many.
    Hosts,
}

impl Shown for TargetFault {
    fn words(&self) -> Words {
        match self {
            Self::Hosts => Words::new(
                "TG520",
                format!("a target has at most {HOSTS_MAX} hosts, each named once"),
            )
            .hint("tidegate target add pg NAME --addr HOST:PORT,HOST:PORT …"),
        }
    }
}

/// Which host a session has, for its recording.
pub fn host_chosen(host: &HostPort, wanted: SessionAttrs) -> String {
    format!("the session is at {host}, found for `{wanted}`")
}

/// The hosts of a target as an administrator reads them.
pub fn hosts(addrs: &[HostPort], wanted: SessionAttrs) -> String {
    let addrs: Vec<String> = addrs.iter().map(ToString::to_string).collect();
    let addrs = addrs.join(",");
    if wanted.is_any() {
        return addrs;
    }
    format!("{addrs} ({wanted})")
}

/// A target lets tidegate in, and some of its hosts cannot be had.
pub fn partly_down(target: &str, missing: &[(HostPort, String)]) -> Finding {
    let each = missing.iter().map(|(host, why)| format!("{host}: {why}"));
    let each: Vec<String> = each.collect();
    Finding {
        subject: format!("target {target}"),
        ok: false,
        found: format!(
            "it lets tidegate in, and not at each of its hosts: {}",
            each.join("; ")
        ),
        hint: Some(format!(
            "sessions go to the others; see whether it runs there:  tidegate target show {target}"
        )),
    }
}

/// A host shows another certificate than the one that it was added with.
pub fn host_changed() -> &'static str {
    "what answers there does not prove to be the one that was added"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_hosts() {
        let at = |text: &str| text.parse::<HostPort>().unwrap();
        let two = [at("db1:5432"), at("db2:5432")];
        let finding = partly_down("orders", &[(at("db2:5432"), "no".to_owned())]);
        let said = [
            TargetFault::Hosts.words().to_string(),
            host_chosen(&at("db1:5432"), SessionAttrs::ReadWrite),
            hosts(&two, SessionAttrs::Any),
            hosts(&two, SessionAttrs::PreferStandby),
            finding.found,
            finding.hint.unwrap_or_default(),
        ];
        insta::assert_snapshot!("target", said.join("\n"));
    }
}
