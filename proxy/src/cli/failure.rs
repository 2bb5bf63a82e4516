//! How a verb ends when it does not succeed: an exit code and three lines.

use std::process::ExitCode;

use policies::words::cli::{self, Refusal, Trouble};

/// The code of `policies::words::api::ApiRefusal::Unseen`.
const UNSEEN: &str = "TG658";

/// The same of a database that has no TLS, where the server says what to do.
const CLEAR: &str = "TG663";

/// The code of a target that was looked at before it is changed, and is not so.
const UNPROVEN: &str = "TG583";

/// Those of `RecordingGone` and `RecordingSpoiled` there.
const UNSEALED: [&str; 2] = ["TG661", "TG662"];

/// What a code of the server comes down to.
pub(crate) fn refusal(code: &str) -> Refusal {
    match code {
        "TG104" | "TG105" => Refusal::Policy,
        "TG106" => Refusal::NotFound,
        "TG521" | "TG522" | "TG573" => Refusal::Prefix,
        "TG533" => Refusal::Exists,
        "TG534" => Refusal::KeyTaken,
        UNSEEN => Refusal::Unseen,
        _other => Refusal::Other,
    }
}

/// Why a verb did not succeed, as scripts see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It failed.
    Error,
    /// It was called wrongly.
    Usage,
    /// There is no login, or it has ended.
    NotLoggedIn,
    /// Policy says no.
    Denied,
    /// A request is still pending.
    Pending,
    /// There is nothing of that name.
    NotFound,
    /// It is already so, or contradicts what is so.
    Conflict,
    /// The server does not answer.
    Unreachable,
    /// A proof does not hold.
    Unproven,
    /// Ctrl-C.
    Interrupted,
}

impl Exit {
    /// The number, from section 5 of the conventions.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Error => 1,
            Self::Usage => 2,
            Self::NotLoggedIn => 3,
            Self::Denied => 4,
            Self::Pending => 5,
            Self::NotFound => 6,
            Self::Conflict => 7,
            Self::Unreachable => 8,
            Self::Unproven => 9,
            Self::Interrupted => 130,
        }
    }

    /// The word that stands for a code where the trouble has none of its own.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Usage => "usage",
            Self::NotLoggedIn => "not_logged_in",
            Self::Denied => "denied",
            Self::Pending => "pending",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Unreachable => "unreachable",
            Self::Unproven => "unproven",
            Self::Interrupted => "interrupted",
        }
    }

    /// What a problem of the API means to a script. That a server which is to become a target does
    /// not show itself is no mistake of the one who typed its address.
    pub(crate) fn of_problem(status: u16, code: &str) -> Self {
        match code {
            UNSEEN | CLEAR | UNPROVEN => Self::Error,
            code if UNSEALED.contains(&code) => Self::Unproven,
            _other => Self::of_status(status),
        }
    }

    /// What the status of an HTTP answer means to a script.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            400 | 413 | 415 | 422 => Self::Usage,
            401 => Self::NotLoggedIn,
            403 => Self::Denied,
            404 | 410 => Self::NotFound,
            409 | 412 => Self::Conflict,
            502..=504 => Self::Unreachable,
            _other => Self::Error,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// A verb that did not succeed. With no trouble to tell, everything has been said already.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What scripts see.
    pub exit: Exit,
    /// What people see.
    pub trouble: Option<Box<Trouble>>,
}

impl Failure {
    /// Puts the two together.
    pub(crate) fn new(exit: Exit, trouble: Trouble) -> Self {
        Self {
            exit,
            trouble: Some(Box::new(trouble)),
        }
    }

    /// A file that was named cannot be read.
    pub(crate) fn unread(path: &str, error: &std::io::Error) -> Self {
        Self::new(Exit::Error, cli::file("read", path, &error.to_string()))
    }

    /// Everything has been said already.
    pub(crate) fn told(exit: Exit) -> Self {
        Self {
            exit,
            trouble: None,
        }
    }
}

/// What a verb returns.
pub(crate) type Outcome = Result<(), Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, want: u8) {
        assert_eq!(Exit::of_status(status).code(), want);
    }

    #[test]
    fn statuses_become_the_documented_exit_codes() {
        check(401, 3);
        check(403, 4);
        check(404, 6);
        check(409, 7);
        check(422, 2);
        check(500, 1);
        check(503, 8);
    }
}
