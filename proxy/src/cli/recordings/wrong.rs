//! What the ledger says of a recording, and what is wrong with one.

use control::api::wire::{LEDGER_HEADER, ROOT_HEADER, UNHEARD};
use control::ledger::Session;
use policies::words::cli::{Trouble, outcome};
use policies::words::recordings as words;
use policies::{GrantId, Login, PrincipalName, TargetName};
use recorder::{Break, Fault, Heading};
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::cli::client::chain;

/// What the ledger says of a recording, as the server tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ledger {
    /// Nobody was asked: it is a file.
    Unasked,
    /// The root of its chain.
    Root(String),
    /// It has no root.
    Rootless,
    /// It knows no such session.
    Unheard,
    /// This line of it is not what was written.
    Broken(String),
}

impl Ledger {
    pub(super) fn told(headers: &HeaderMap) -> Self {
        let said = |name| {
            let value = headers.get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        match (said(ROOT_HEADER), said(LEDGER_HEADER)) {
            (Some(root), _) => Self::Root(root),
            (None, Some(word)) if word == UNHEARD => Self::Unheard,
            (None, Some(line)) => Self::Broken(line),
            (None, None) => Self::Rootless,
        }
    }
}

/// What is wrong with a recording.
pub(super) enum Wrong {
    /// It is not what was sealed.
    Broken(Break),
    /// It was sealed, and the ledger has another.
    Replaced { root: String, sealed: String },
    /// It was sealed, and the list of sessions has it as another's.
    Misnamed { listed: String, sealed: String },
    /// It was sealed, and the ledger knows no such session.
    Unheard,
    /// It was sealed, and this line of the ledger is not what was written: what it says of the session is no proof.
    Unproven { seq: String },
    /// There is none, or none that is of this session.
    Gone(Box<Trouble>),
}

impl Wrong {
    /// Whether the list of sessions has it as somebody else's, elsewhere or by another grant.
    pub(super) fn misnamed(sealed: &Heading, listed: &Session) -> Option<Self> {
        let whose = |who: &PrincipalName, login: &Login, target: &TargetName, grant: GrantId| {
            outcome::whose(who, login, target, &grant)
        };
        let sealed = whose(
            &sealed.principal,
            &sealed.login,
            &sealed.target,
            sealed.grant,
        );
        let listed = whose(
            &listed.principal,
            &listed.login,
            &listed.target,
            listed.grant,
        );
        (listed != sealed).then_some(Self::Misnamed { listed, sealed })
    }

    /// For people.
    pub(super) fn trouble(&self, which: &str) -> Trouble {
        match self {
            Self::Broken(Break {
                fault: Fault::Title,
                ..
            }) => words::untitled(which),
            Self::Broken(found) => words::broken(which, &chain(found), found.frame),
            Self::Replaced { root, sealed } => words::replaced(which, root, sealed),
            Self::Misnamed { listed, sealed } => words::misnamed(which, listed, sealed),
            Self::Unheard => words::unheard(which),
            Self::Unproven { seq } => words::unproven(which, seq),
            Self::Gone(trouble) => Trouble::clone(trouble),
        }
    }

    /// For programs.
    pub(super) fn verdict(&self, which: &str) -> serde_json::Value {
        match self {
            Self::Broken(found) => json!({
                "schema": "tidegate.verdict/1", "recording": which, "holds": false,
                "frame": found.frame, "after": found.after.as_secs_f64(),
                "offset": found.offset, "fault": chain(found),
            }),
            Self::Replaced { root, sealed } => json!({
                "schema": "tidegate.verdict/1", "recording": which, "holds": false,
                "fault": self.trouble(which).why, "root": sealed, "root_in_ledger": root,
            }),
            Self::Misnamed { .. } | Self::Unheard | Self::Unproven { .. } | Self::Gone(_) => {
                json!({
                    "schema": "tidegate.verdict/1", "recording": which, "holds": false,
                    "fault": self.trouble(which).why,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], want: &Ledger) {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (
                reqwest::header::HeaderName::from_static(name),
                reqwest::header::HeaderValue::from_static(value),
            )
        };
        let headers: HeaderMap = headers.iter().map(pair).collect();
        assert_eq!(Ledger::told(&headers), *want);
    }

    fn broken(frame: u64, fault: Fault) -> Trouble {
        let found = Break {
            frame,
            after: std::time::Duration::ZERO,
            offset: 0,
            within: 0,
            fault,
        };
        Wrong::Broken(found).trouble("q.rec")
    }

    #[test]
    fn nothing_is_promised_before_the_first_frame_nor_of_what_is_no_recording() {
        assert!(broken(7, Fault::CutOff).advice.contains("export q.rec"));
        assert!(!broken(0, Fault::CutOff).advice.contains("export"));
        let other = broken(0, Fault::Title);
        assert!(other.what.contains("no recording"), "{other}");
    }

    #[test]
    fn what_the_ledger_says_comes_in_headers() {
        check(&[(ROOT_HEADER, "0f")], &Ledger::Root("0f".to_owned()));
        check(&[(LEDGER_HEADER, UNHEARD)], &Ledger::Unheard);
        check(&[(LEDGER_HEADER, "7")], &Ledger::Broken("7".to_owned()));
        // An older server says nothing where it has none.
        check(&[], &Ledger::Rootless);
    }
}
