//! Why not, in words: `TG101` to `TG119`.

use super::{RULES, Shown, Words, day_and_time, named, sentence};
use crate::{Denial, Part, TargetName, duration};

impl Shown for Denial {
    fn words(&self) -> Words {
        match self {
            Self::NoGrant { target, login } => {
                Words::new("TG101", format!("no active grant for {login}@{target}")).hint(format!(
                    "tidegate request {target} --as {login} --for 1h --reason '...'   (what there is: tidegate ls)"
                ))
            }
            Self::Pending {
                target,
                login,
                request,
            } => Words::new(
                "TG102",
                format!("your request for {login}@{target} waits for approval"),
            )
            .hint(format!("tidegate requests show {request}")),
            Self::NotYet {
                target,
                login,
                starts_at,
            } => Words::new(
                "TG103",
                format!(
                    "your grant for {login}@{target} starts at {}",
                    day_and_time(*starts_at)
                ),
            )
            .hint("tidegate grants ls"),
            Self::Forbidden { policy, reason } => Words::new(
                "TG104",
                format!("not allowed: {}{}", sentence(reason), named(policy)),
            )
            .hint(RULES),
            Self::NotAllowed { policy, reason } => {
                let why = format!("{}{}", sentence(reason), named(policy));
                not_allowed(&why).hint("tidegate whoami")
            }
            Self::TooLong {
                target,
                login,
                longest,
            } => {
                let longest = duration::print(*longest);
                not_allowed(&format!("You may not ask for so long; {longest} can be asked for")).hint(format!(
                    "tidegate request {target} --as {login} --for {longest} --reason '...'"
                ))
            }
            Self::Crowded { limit } => crowded(*limit),
            Self::Filled { target, limit } => filled(target, *limit),
            Self::NotFound { what } => {
                Words::new("TG106", format!("there is no `{what}` that you may see"))
                    .hint("tidegate ls")
            }
            Self::Unavailable { part } => unavailable(*part),
        }
    }
}

fn not_allowed(why: &str) -> Words {
    Words::new("TG105", format!("not allowed: {why}"))
}

fn crowded(limit: usize) -> Words {
    Words::new(
        "TG107",
        format!("you have {limit} connections open, which is as many as one may have at once"),
    )
    .hint("tidegate sessions ls")
}

fn filled(target: &TargetName, limit: usize) -> Words {
    Words::new(
        "TG108",
        format!("you have {limit} sessions open at {target}, which is as many as one may have at a database at once"),
    )
    .hint("tidegate sessions ls")
}

fn unavailable(part: Part) -> Words {
    let (code, what) = match part {
        Part::Store => (
            "TG111",
            "tidegate cannot read its log of changes, so nobody gets in",
        ),
        Part::Recorder => (
            "TG112",
            "sessions cannot be recorded at the moment, so nobody gets in",
        ),
        Part::Authority => (
            "TG113",
            "no certificate can be issued at the moment, so nobody gets in",
        ),
        Part::Policies => ("TG114", "a policy cannot be evaluated, so the answer is no"),
        Part::Clock => (
            "TG115",
            "the server's clock jumped, so nobody gets in until it is plausible",
        ),
        Part::Server => ("TG116", "the server is stopping, so nobody new gets in"),
        Part::Way => (
            "TG117",
            "the way there leads through another target that is gone, locked or not what it was, so nobody gets in",
        ),
    };
    Words::new(code, what).hint("ask an administrator to run: tidegate doctor")
}
