//! What to type next where the server's own hint is the same for everybody, or where it has none.

/// A better hint than the server's, for what was being done (as in "cannot …") and its code.
pub fn next(doing: &str, code: &str) -> Option<String> {
    let verb = doing.split(' ').next().unwrap_or_default();
    let rest = doing.split_once(' ').map_or("", |(_, rest)| rest);
    let text = match (verb, code) {
        ("approve" | "deny", "TG105") => {
            format!("let somebody else answer:  tidegate requests show {rest}")
        }
        ("ask", "TG105" | "TG104") => {
            "ask for less, for example with a shorter --for; what you may have:  tidegate ls".to_owned()
        }
        ("read" | "list", "TG105") if doing.contains("recording") => {
            "ask somebody of the group that may (as shipped: auditors);  tidegate whoami  names yours"
                .to_owned()
        }
        ("add", "TG533") if doing.starts_with("add a key") => "tidegate user ls -o wide".to_owned(),
        ("add", "TG533") => {
            format!("tidegate user ls;  tidegate target ls;  or add a key:  tidegate user key add {rest} --key FILE")
        }
        ("add", "TG534") => "see whose it is:  tidegate user ls -o wide".to_owned(),
        ("look", "TG658") => {
            format!("see whether it is up at {}, as this bastion reaches it:  ss -ltn  on that machine", rest.trim_start_matches("at "))
        }
        (_, "TG521" | "TG522") => {
            "list them:  tidegate requests ls;  tidegate grants ls;  tidegate sessions ls --all".to_owned()
        }
        (_, "TG106") if doing.contains("ses_") => "tidegate sessions ls --all".to_owned(),
        (_, "TG106") if doing.contains("req_") => "tidegate requests ls --all".to_owned(),
        (_, "TG106") if doing.contains("grt_") => "tidegate grants ls --all".to_owned(),
        _other => return None,
    };
    Some(text)
}
