//! Why a request or a grant cannot take a step, in words: `TG301` to `TG319`.

use jiff::SignedDuration;

use super::{Shown, Words};
use crate::{GrantOver, Request, RequestError, RequestId, RequestState, duration};

/// Why nothing comes of an answer by somebody who may see the request and is no approver of it.
pub const NOT_YOURS_TO_ANSWER: &str = "You may not answer this request.";

/// Why nobody files a request as it is, where they may ask for the target.
pub const NOT_SO: &str =
    "You may ask for this, but not so: the policies want another duration, or more of the reason.";

/// Who may answer a request, for whoever may not and may know: some of them, and whether there are more. Nothing
/// where none was found and not everybody was looked at.
pub fn who_may(some: &[&str], more: bool) -> Option<String> {
    let names = some.join(", ");
    match (some, more) {
        ([], false) => Some("From your address, now, nobody may by the policies.".to_owned()),
        ([], true) => None,
        (_some, false) => Some(format!("Who may: {names}.")),
        (_some, true) => Some(format!("Who may: {names}, and perhaps others.")),
    }
}

/// Why an approval does not count: it was for something else.
pub const VOID_OTHER: &str =
    "it was given to what the request was before, or from nobody knows where";

/// The same: whoever gave it left.
pub const VOID_GONE: &str = "whoever gave it was removed since";

/// The same: they may not give it any more.
pub const VOID_FORBIDDEN: &str = "whoever gave it may not approve this any more";

/// An approval that does not count, with the reason.
pub fn void_approval(by: &str, why: &str) -> String {
    format!("{by} (void: {why})")
}

/// Somebody who approved a request for less than was asked.
pub fn shortened(by: &str, given: &str) -> String {
    format!("{by} (for at most {given})")
}

impl Shown for RequestError {
    fn words(&self) -> Words {
        match self {
            Self::Duration { asked } => unaskable_for(*asked),
            Self::Closed { id, state } => Words::new(
                "TG302",
                format!("{id} is no longer open: {}", standing(state)),
            )
            .hint(format!("tidegate requests show {id}")),
            Self::Own { id } => Words::new(
                "TG303",
                format!("{id} is your own request, and nobody approves their own"),
            )
            .hint(format!("tidegate requests show {id}")),
            Self::Twice { id } => Words::new(
                "TG304",
                format!("you have approved {id} already; it waits for somebody else: a second yes counts where it gives less, or where the lock or the rule is gone that kept the first from being enough"),
            )
            .hint(format!("tidegate approve {id} --for 30m")),
            Self::Changed { id } => Words::new(
                "TG305",
                format!("{id} is not what you were shown; look at it again"),
            )
            .hint(format!("tidegate requests show {id}")),
            Self::Statement { id } => Words::new(
                "TG309",
                format!("{id} is about one statement and becomes no grant"),
            )
            .hint(format!("tidegate requests show {id}")),
            Self::Unseen { id } => Words::new(
                "TG310",
                format!("{id} is a statement that waits: say by its digest that you have read it"),
            )
            .hint(format!(
                "tidegate requests show {id}; tidegate approve {id} --digest HEX"
            )),
            Self::Unaskable { id } => Words::new(
                "TG311",
                format!("{id} becomes no grant: the policies that are in force now would not let it be asked for"),
            )
            .hint(format!("tidegate deny {id} --note '...'")),
            Self::Longer { id, asked } => longer(*id, *asked),
            Self::Timeless { id } => timeless(*id),
            Self::NotOwn { id } => Words::new(
                "TG306",
                format!("{id} is somebody else's; only they can withdraw it"),
            )
            .hint(format!("tidegate deny {id} --note '...'")),
            Self::Early { id } => Words::new("TG307", format!("{id} can still be answered"))
                .hint(format!("tidegate requests show {id}")),
        }
    }
}

fn unaskable_for(asked: SignedDuration) -> Words {
    let most = duration::print(Request::DURATION_MAX);
    let what = format!(
        "access for {} cannot be asked for: from 1s to {most} is possible",
        duration::print(asked),
    );
    Words::new("TG301", what).hint(format!(
        "tidegate request TARGET --for {most} --reason '...'   (policies may allow less: tidegate ls)"
    ))
}

fn longer(id: RequestId, asked: SignedDuration) -> Words {
    let what = format!(
        "{id} asks for {}, and nobody can give more than was asked",
        duration::print(asked)
    );
    Words::new("TG312", what).hint(format!("tidegate approve {id}   (or --for less)"))
}

fn timeless(id: RequestId) -> Words {
    let what = format!("{id} is a statement that is run once: there is no time to give less of");
    Words::new("TG313", what).hint(format!("tidegate requests show {id}"))
}

impl Shown for GrantOver {
    fn words(&self) -> Words {
        Words::new("TG308", format!("{} is over already", self.id)).hint("tidegate grants ls")
    }
}

fn standing(state: &RequestState) -> String {
    match state {
        RequestState::Pending => "it waits for an answer".to_owned(),
        RequestState::Approved { grant } => format!("it became {grant}"),
        RequestState::Denied { by, note } => format!("denied by {by} ({note})"),
        // The log has which; that something of its name is there again must not read as if it were the same.
        RequestState::Withdrawn => {
            "it was withdrawn, or ended with the target, the account or the person that it was about"
                .to_owned()
        }
        RequestState::Lapsed => "nobody answered in time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_answer_is_said_as_far_as_it_was_found_out() {
        let said = |some: &[&str], more| who_may(some, more).unwrap_or_default();
        assert_eq!(said(&["bob", "dave"], false), "Who may: bob, dave.");
        assert_eq!(said(&["bob"], true), "Who may: bob, and perhaps others.");
        assert_eq!(
            said(&[], false),
            "From your address, now, nobody may by the policies."
        );
        assert_eq!(said(&[], true), "");
    }
}
