//! What is said about a bastion behind this one: `TG412` to `TG414`, and `TG564` to `TG566`.

use super::cli::doctor::Finding;
use super::{Shown, Words};
use crate::{BASTION_LOGIN, TargetName};

/// How a bastion is gone through.
fn through(bastion: &TargetName) -> String {
    format!("ssh -J BASTION,{bastion} LOGIN@TARGET")
}

/// Somebody wants to log in at a bastion from here.
pub(super) fn only_through(bastion: &TargetName) -> Words {
    Words::new(
        "TG412",
        format!("`{bastion}` is a bastion: nobody logs in there from here, it is gone through"),
    )
    .hint(through(bastion))
}

/// What is carried to a bastion is no SSH connection.
pub(super) fn not_ssh(bastion: &TargetName) -> Words {
    Words::new(
        "TG413",
        format!("only an SSH connection goes through to `{bastion}`, and what came is none"),
    )
    .hint(through(bastion))
}

/// For the recording: what is carried, and who records what is done in it.
#[derive(Debug, Clone, Copy)]
pub struct Carried<'a> {
    /// To which bastion.
    pub bastion: &'a TargetName,
    /// Where that is, as it is registered and as it was reached.
    pub at: &'a str,
    /// The digest of the host key that it showed, which is pinned.
    pub host_key: &'a str,
    /// How the client calls itself, as it came: whoever shows the recording makes it harmless, once.
    pub client: &'a str,
}

impl Shown for Carried<'_> {
    fn words(&self) -> Words {
        let Self {
            bastion,
            at,
            host_key,
            client,
        } = self;
        // What stands in quotes cannot end them and go on as a sentence of ours. The bytes themselves are recorded as well.
        let client = client.replace('"', "'");
        Words::new(
            "TG414",
            format!(
                "the client \"{client}\" goes through to the bastion `{bastion}` at {at}, which showed its pinned host key {host_key}; \
                 what is done there is encrypted for that bastion, and is in its recordings"
            ),
        )
    }
}

/// Why a target cannot be a bastion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BastionFault {
    /// It is described as something else as well.
    Described,
    /// What answers at its address is no tidegate.
    OtherServer,
    /// What answers there has another host key than the one that was given.
    OtherKey,
}

impl Shown for BastionFault {
    fn words(&self) -> Words {
        let (code, what, hint) = match self {
            Self::Described => (
                "TG564",
                format!(
                    "a bastion is known by its host keys and has one login, `{BASTION_LOGIN}`: no CA, no accounts, no kept credential, no old algorithms"
                ),
                "tidegate target add bastion NAME --addr HOST:PORT",
            ),
            Self::OtherServer => (
                "TG565",
                "no tidegate answers there; sessions on a server that is none would go unrecorded"
                    .to_owned(),
                "tidegate target add ssh NAME --addr HOST:PORT --login ACCOUNT",
            ),
            Self::OtherKey => (
                "TG566",
                "the tidegate that answers there has another host key than the one that was given"
                    .to_owned(),
                "compare it with the known_hosts that `tidegate login` writes for that bastion",
            ),
        };
        Words::new(code, what).hint(hint)
    }
}

/// A bastion answers and is the one that was added.
pub fn bastion_good(bastion: &str) -> Finding {
    Finding {
        subject: format!("target {bastion}"),
        ok: true,
        found: "it answers and proves to be the tidegate that was added; people log in there with what is their own"
            .to_owned(),
        hint: None,
    }
}

/// What was added as a bastion is none any more.
pub fn bastion_gone(bastion: &str) -> Finding {
    Finding {
        subject: format!("target {bastion}"),
        ok: false,
        found: "what answers there is no tidegate, so nobody is let through".to_owned(),
        hint: Some(format!(
            "tidegate target show {bastion}   and see what runs there"
        )),
    }
}

/// After a bastion was added.
pub fn bastion_added(bastion: &str) -> String {
    format!(
        "added {bastion}, a bastion: people are let through to it and log in there as they do without this one. What they do is \
         decided and recorded there; here it is recorded that they went through, and how much passed.\n\n  \
         tidegate target test {bastion}\n  \
         tidegate request {bastion} --for 15m --reason '…'"
    )
}

/// The mark of a bastion in lists.
pub fn marked(logins: &str) -> String {
    format!("{logins} (bastion)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_about_a_bastion_behind_this_one() {
        let bastion = TargetName::parse("bastion2").unwrap();
        let carried = Carried {
            bastion: &bastion,
            at: "b2.example:2222 (192.0.2.7:2222)",
            host_key: "SHA256:abc",
            client: "SSH-2.0-OpenSSH_9.2",
        };
        let said = [
            only_through(&bastion).to_string(),
            not_ssh(&bastion).to_string(),
            carried.words().to_string(),
            BastionFault::Described.words().to_string(),
            BastionFault::OtherServer.words().to_string(),
            BastionFault::OtherKey.words().to_string(),
            format!("{:?}", bastion_good("bastion2")),
            format!("{:?}", bastion_gone("bastion2")),
            bastion_added("bastion2"),
            marked("jump"),
        ];
        insta::assert_snapshot!("transit", said.join("\n"));
    }

    #[test]
    fn a_clients_name_stands_in_its_quotes_as_it_came() {
        let bastion = TargetName::parse("bastion2").unwrap();
        let said = |client: &str| {
            let carried = Carried {
                bastion: &bastion,
                at: "b2.example:2222",
                host_key: "SHA256:abc",
                client,
            };
            carried.words().what
        };
        for (client, shown) in [
            (
                "SSH-2.0-OpenSSH_9.2",
                r#"the client "SSH-2.0-OpenSSH_9.2" goes"#,
            ),
            (
                r"SSH-2.0-a\n\u{202e}b",
                r#"the client "SSH-2.0-a\n\u{202e}b" goes"#,
            ),
            (
                "SSH-2.0-grüße\u{301}\n",
                "the client \"SSH-2.0-grüße\u{301}\n\" goes",
            ),
            (
                r#"SSH-2.0-a" goes through to nothing"#,
                r#"the client "SSH-2.0-a' goes through to nothing" goes"#,
            ),
        ] {
            let said = said(client);
            assert!(said.starts_with(shown), "{said}");
        }
    }
}
