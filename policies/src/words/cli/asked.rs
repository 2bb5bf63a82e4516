//! What to type next where a grant was asked for in vain: the same again, with what was typed.

use std::fmt;

use super::Trouble;

/// What was asked for. `Display` is how it is asked for again.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Which target.
    pub target: &'a str,
    /// As whom.
    pub login: &'a str,
    /// For how long, as it can be typed.
    pub duration: &'a str,
}

impl fmt::Display for Asked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            login,
            duration,
        } = self;
        write!(
            f,
            "tidegate request {target} --as {login} --for {duration} --reason '…'"
        )
    }
}

/// A request that was waited for came to nothing.
pub fn not_granted(request: &str, how: &str, asked: &Asked<'_>) -> Trouble {
    Trouble::new(
        format!("{request} was not granted"),
        how,
        format!("{asked}   with a better reason, or talk to them"),
    )
}

/// A target that one may see has no such login, or none that one may ask for.
pub fn no_such_login(asked: &Asked<'_>, logins: &[&str]) -> Trouble {
    let Asked { target, login, .. } = *asked;
    let again = |login| Asked { login, ..*asked };
    let advice = match logins {
        [] => "tidegate ls".to_owned(),
        // It is there, and not to be had now: asking again in the same words is no way on.
        held if held.contains(&login) => {
            return Trouble::new(
                format!("cannot ask for {target}"),
                format!(
                    "`{target}` has a login `{login}`, and it is not to be had now: where a target is locked, nobody gets in"
                ),
                "ask whoever manages targets, or type the same again later",
            );
        }
        [one] => again(one).to_string(),
        [first, others @ ..] => format!("{}   (or {})", again(first), others.join(", ")),
    };
    Trouble::new(
        format!("cannot ask for {target}"),
        format!("`{target}` has no login `{login}` that you may ask for"),
        advice,
    )
}
