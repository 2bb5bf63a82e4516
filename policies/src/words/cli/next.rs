//! What to type next where the server's own hint is the same for everybody, or where it has none.

/// What the server's refusal came down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A policy says no.
    Policy,
    /// There is nothing of that name.
    NotFound,
    /// There is something of that name.
    Exists,
    /// The key is somebody's.
    KeyTaken,
    /// A server did not show itself.
    Unseen,
    /// The beginning of an id fits none, or several.
    Prefix,
    /// Anything else.
    Other,
}

/// How what is done begins where a target is added.
const ADD_TARGET: &str = "add target ";

/// How what is done begins where somebody's name is all there is to get wrong.
const PEOPLE: [&str; 6] = [
    "remove user ",
    "change the groups of ",
    "lock ",
    "unlock ",
    "add a key to ",
    "list the keys of ",
];

/// A better hint than the server's, for what was being done (as in "cannot …") and how it ended.
pub fn next(doing: &str, refusal: Refusal) -> Option<String> {
    let verb = doing.split(' ').next().unwrap_or_default();
    let rest = doing.split_once(' ').map_or("", |(_, rest)| rest);
    let text = match (verb, refusal) {
        ("approve" | "deny", Refusal::Policy) => {
            format!("let somebody else answer:  tidegate requests show {rest}")
        }
        ("read" | "list", Refusal::Policy) if doing.contains("recording") => {
            "ask somebody of the group that may (as shipped: auditors);  tidegate whoami  names yours"
                .to_owned()
        }
        ("add", Refusal::Exists) if doing.starts_with("add a key") => "tidegate user ls -o wide".to_owned(),
        ("add", Refusal::Exists) if doing.starts_with(ADD_TARGET) => {
            let name = rest.trim_start_matches("target ");
            format!("see what is there:  tidegate target show {name}")
        }
        ("add", Refusal::Exists) => {
            format!("tidegate user ls;  tidegate target ls;  or add a key:  tidegate user key add {rest} --key FILE")
        }
        ("add", Refusal::KeyTaken) => "see whose it is:  tidegate user ls -o wide".to_owned(),
        ("look", Refusal::Unseen) => {
            format!("see whether it is up at {}, as this bastion reaches it:  ss -ltn  on that machine", rest.trim_start_matches("at "))
        }
        (_, Refusal::Prefix) => {
            "list them:  tidegate requests ls;  tidegate grants ls;  tidegate sessions ls --all".to_owned()
        }
        (_, Refusal::NotFound) if doing.contains("lock target ") => {
            "tidegate target ls".to_owned()
        }
        ("approve" | "deny" | "withdraw", Refusal::NotFound) => {
            "tidegate requests ls --all".to_owned()
        }
        (_, Refusal::NotFound) if PEOPLE.iter().any(|deed| doing.starts_with(deed)) => {
            "tidegate user ls".to_owned()
        }
        (_, Refusal::NotFound) if doing.starts_with("remove a key of ") => {
            let name = doing.trim_start_matches("remove a key of ");
            format!("tidegate user keys {name};  tidegate user ls")
        }
        (_, Refusal::NotFound) if doing.contains("ses_") => "tidegate sessions ls --all".to_owned(),
        (_, Refusal::NotFound) if doing.contains("req_") => "tidegate requests ls --all".to_owned(),
        (_, Refusal::NotFound) if doing.contains("grt_") => "tidegate grants ls --all".to_owned(),
        _other => return None,
    };
    Some(text)
}
