//! What kept tidegate out of a target while it went in there, for those who manage targets: how a server behaves that is
//! not what it was added as, or does not let in. Behind "it", as `target test` and the log have it.

use crate::TargetName;

/// A database server that says no to it.
pub const NO_TLS: &str = "it does not offer TLS";

/// Its answer to the first question is none.
pub const NO_POSTGRES: &str = "it does not speak PostgreSQL";

/// It is a target of SSH.
pub const NO_DATABASE: &str = "it is no database";

/// More than any server has to say before its first prompt.
pub const TALKS_IN_LOGIN: &str = "it says too much while we log in";

/// More than an answer may have.
pub const TALKS: &str = "it says too much";

/// A message of another phase.
pub const OUT_OF_PLACE: &str = "it sends what has no place in a login";

/// What a running statement is cancelled by.
pub const KEY_CUT: &str = "its key is cut short";

/// It is neither of protocol 3.0 nor of 3.2.
pub const KEY_LENGTH: &str = "its key has an impossible length";

/// An `ErrorResponse` without an end.
pub const ERROR_CUT: &str = "its error is cut short";

/// It sends something else than rows.
pub const NO_ANSWER: &str = "it does not answer a question";

/// No message is so long, or so short.
pub const LENGTH: &str = "it claims an impossible length";

/// Whether it is a primary, and takes changes.
pub const UNTOLD: &str = "it does not say what it is";

/// It is a database.
pub const NO_SSH: &str = "the target does not speak SSH";

/// What is kept for it, or was made for it.
pub const NOT_FOR_SSH: &str = "what tidegate has for it is not for SSH";

/// The key, certificate or password of the moment.
pub const REFUSED: &str = "it does not accept what tidegate showed";

/// Without a no.
pub const ENDED: &str = "its connection ended while tidegate logged in";

/// It connects nowhere.
pub const NOT_ONWARD: &str = "its sshd_config does not permit it (AllowTcpForwarding, PermitOpen)";

/// It may connect, and nobody listens.
pub const NOBODY_THERE: &str = "nobody answers it there";

/// Longer than what is told of a command.
pub const ENDLESS: &str = "its answer has no end";

/// It was replaced meanwhile.
pub const NO_BASTION: &str = "it is no bastion any more";

/// A bastion is gone through by SSH.
pub const OTHER_PROTOCOL: &str = "it speaks another protocol";

/// It calls itself something else.
pub const NO_TIDEGATE: &str = "it is no tidegate";

/// The script at a machine that makes accounts is not the one that belongs there.
pub fn old_script(target: &TargetName) -> String {
    format!(
        "the tidegate-target there is an older one: install what `tidegate target script {target}` prints"
    )
}

/// What was not looked through for files that keep a group's rights.
pub fn unseen(place: &str) -> String {
    format!("unseen {place}")
}

/// Of a machine at which no accounts are made.
pub const NO_KEEPER: &str = "nobody makes accounts there";

/// Its sshd has another command run than was asked for.
pub const OTHER_COMMAND: &str = "it ran something else than tidegate-target";

/// The script said no.
pub fn exit_status(status: u32, said: &str) -> String {
    format!("exit status {status}: {said}")
}

/// The script did not come to its end.
pub const BROKE_OFF: &str = "it broke off";

/// A server that does not say anything.
pub const SLOW: &str = "the server does not answer in time";

/// A database that was not looked into for what is left of a role.
pub fn not_looked_into(database: &str) -> String {
    format!("{database}: not known, nor in those after it")
}

/// A transaction that is prepared in a database, and whose it is.
pub fn prepared(database: &str, gid: &str, owner: &str) -> String {
    format!("{database}: prepared {gid} of {owner}")
}

/// There are more of those.
pub const MORE_PREPARED: &str = "more: prepared";

/// What helps where a server has no memory for its locks.
pub const MORE_LOCKS: &str = "; more max_locks_per_transaction may help there";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_told_with_what_to_install() {
        let target = TargetName::parse("web1").unwrap();
        assert!(old_script(&target).ends_with("`tidegate target script web1` prints"));
        assert_eq!(exit_status(3, "no room"), "exit status 3: no room");
    }
}
