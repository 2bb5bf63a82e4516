//! What is said about one-time secrets, with which clients without certificates log in: `TG541` to
//! `TG549`, and `TG563`.
//!
//! All but [`SecretSaying::Wrong`] and [`SecretSaying::Unproven`] is said only to whoever has proven that they hold the secret, or to
//! its owner: it names the target.

use jiff::{SignedDuration, Timestamp};

use super::{Shown, Words, day_and_time};
use crate::{Login, TargetName, duration};

/// Why a one-time secret lets nobody in, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSaying {
    /// The password is not that of the secret that the user name names; or there is no such secret.
    Wrong,
    /// What was said to prove it cannot be understood, or was changed on the way.
    Unproven {
        /// What is wrong with it.
        what: &'static str,
    },
    /// It has been used as often as it may be.
    Used {
        /// Where it led.
        target: TargetName,
        /// As whom.
        login: Login,
    },
    /// Its time is over.
    Expired {
        /// Where it led.
        target: TargetName,
        /// As whom.
        login: Login,
        /// Since when.
        at: Timestamp,
    },
    /// The grant that it was made for is over, or its owner may not come in any more.
    Over {
        /// Where it led.
        target: TargetName,
        /// As whom.
        login: Login,
    },
    /// It was used for another target or role than it was made for.
    Elsewhere {
        /// Where it leads.
        target: TargetName,
        /// As whom.
        login: Login,
    },
    /// The grant is for a target that is no database.
    NoDatabase {
        /// Which.
        target: TargetName,
    },
    /// The grant has too many secrets that could still be used.
    Many {
        /// How many it may have.
        limit: usize,
    },
    /// This bastion lets nobody in with one.
    Forbidden,
    /// It was to live for longer, or for more connections, than a secret may.
    Beyond {
        /// The longest life.
        lifetime: SignedDuration,
        /// The most connections.
        uses: u16,
    },
}

fn forbidden() -> Words {
    Words::new(
        "TG563",
        "this bastion lets nobody in with a one-time password: its administrators have turned them off",
    )
    .hint("tidegate login; tidegate config psql --write; psql -U ROLE service=TARGET")
}

fn beyond(lifetime: SignedDuration, uses: u16) -> Words {
    let lifetime = duration::print(lifetime);
    Words::new(
        "TG548",
        format!("a password lives from 1s to {lifetime} and is good for 1 to {uses} connections"),
    )
    .hint(format!("tidegate pg url TARGET --for {lifetime} --uses 1"))
}

impl Shown for SecretSaying {
    fn words(&self) -> Words {
        let again = |target, login| format!("tidegate pg url {target} --role {login}");
        match self {
            Self::Wrong => Words::new(
                "TG541",
                "the user name and the password do not belong together, or are none of this bastion's",
            )
            .hint("tidegate pg url TARGET"),
            Self::Unproven { what } => Words::new(
                "TG549",
                format!("the password cannot be checked by what the client said: {what}"),
            )
            .hint("tidegate pg url TARGET"),
            Self::Used { target, login } => Words::new(
                "TG542",
                format!(
                    "the password for `{target}` as `{login}` has been used for as many connections as it was made for"
                ),
            )
            .hint(format!(
                "{}   (for tools that open several: --uses N)",
                again(target, login)
            )),
            Self::Expired { target, login, at } => Words::new(
                "TG543",
                format!(
                    "the password for `{target}` as `{login}` was good until {}",
                    day_and_time(*at)
                ),
            )
            .hint(again(target, login)),
            Self::Over { target, login } => Words::new(
                "TG544",
                format!("the grant that this password was made for, `{target}` as `{login}`, is over"),
            )
            .hint(format!("tidegate request {target} --as {login} --for 1h --reason '...'")),
            Self::Elsewhere { target, login } => Words::new(
                "TG545",
                format!("this password is for `{target}` as `{login}` and for nothing else"),
            )
            .hint("tidegate pg url TARGET --role ROLE"),
            Self::NoDatabase { target } => Words::new(
                "TG546",
                format!("`{target}` is no database, and is not entered with a password"),
            )
            .hint("tidegate ls pg"),
            Self::Many { limit } => Words::new(
                "TG547",
                format!("the grant has {limit} passwords that can still be used, and gets no more"),
            )
            .hint("use one of them, or wait for some to end"),
            Self::Forbidden => forbidden(),
            Self::Beyond { lifetime, uses } => beyond(*lifetime, *uses),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_not_let_in_with_a_password_is_told_what_to_type() {
        let target = TargetName::parse("orders").unwrap();
        let login = Login::parse("app_ro").unwrap();
        let here = || (target.clone(), login.clone());
        let ((target, login), at) = (here(), "2026-03-02T14:30:00Z".parse().unwrap());
        let expired = SecretSaying::Expired { target, login, at };
        let (target, login) = here();
        let used = SecretSaying::Used { target, login };
        let (target, login) = here();
        let over = SecretSaying::Over { target, login };
        let (target, login) = here();
        let elsewhere = SecretSaying::Elsewhere { target, login };
        let (target, _login) = here();
        let all = [
            SecretSaying::Wrong,
            SecretSaying::Unproven {
                what: "it has no nonce",
            },
            used,
            expired,
            over,
            elsewhere,
            SecretSaying::NoDatabase { target },
            SecretSaying::Many { limit: 100 },
            SecretSaying::Forbidden,
            SecretSaying::Beyond {
                lifetime: SignedDuration::from_hours(1),
                uses: 100,
            },
        ];
        let said = all.map(|one| one.words().to_string());
        insta::assert_snapshot!("secrets", said.join("\n"));
    }
}
