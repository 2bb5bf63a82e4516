//! Which lines of the ledger somebody looks for.

use jiff::Timestamp;
use policies::words::evidence;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Happening, Line};

/// What is looked for: all of it has to fit. Nothing fits every line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sought {
    /// What happened, or what was changed: a stable word like `refused`.
    pub event: Option<String>,
    /// Who did it.
    pub user: Option<String>,
    /// The target that is named.
    pub target: Option<String>,
    /// Not what happened before.
    pub since: Option<Timestamp>,
}

impl Sought {
    /// Whether nothing is looked for in particular.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a line is one that is looked for. One that cannot be read any more is, in any case: it may have been.
    pub fn fits(&self, line: &Line) -> bool {
        if !self.reaches(line) {
            return false;
        }
        is_unreadable(line)
            || fits(self.user.as_ref(), |user| doer(line).as_ref() == Some(user))
                && (self.event.is_none() && self.target.is_none() || self.is_told(line))
    }

    /// Whether a line is not from before what is looked for.
    pub fn reaches(&self, line: &Line) -> bool {
        fits(self.since.as_ref(), |since| line.event.at >= *since)
    }

    /// Of several changes in one line it is one that has to fit.
    fn is_told(&self, line: &Line) -> bool {
        let told = told(line);
        told.iter().any(|one| {
            fits(self.event.as_ref(), |event| kind(one) == Some(event))
                && fits(self.target.as_ref(), |target| names_target(one, target))
        })
    }
}

fn is_unreadable(line: &Line) -> bool {
    let happening = &line.event.happening;
    matches!(happening, Happening::EvidenceDiffered { what } if what == evidence::UNREADABLE_LINE)
}

fn fits<T>(wanted: Option<&T>, is: impl FnOnce(&T) -> bool) -> bool {
    wanted.is_none_or(is)
}

/// What a line tells: the changes by which the log grew, or what happened.
pub fn told(line: &Line) -> Vec<Value> {
    match &line.appended {
        Some(appended) => appended.changes.clone(),
        None => vec![happening(line)],
    }
}

/// The word for what is told.
pub fn kind(told: &Value) -> Option<&str> {
    let word = told.get("change").or_else(|| told.get("event"))?;
    word.as_str()
}

/// Who did it, as far as a line says. Nobody where the server did it by itself.
pub fn doer(line: &Line) -> Option<String> {
    if let Some(appended) = &line.appended {
        return appended.by.as_ref().map(ToString::to_string);
    }
    if let Happening::ClockStepped { .. } = line.event.happening {
        // `by` is by how much.
        return None;
    }
    let happening = happening(line);
    let places = ["/by", "/principal", "/ask/principal", "/session/principal"];
    let found = places
        .iter()
        .find_map(|place| happening.pointer(place)?.as_str());
    found.map(str::to_owned)
}

fn happening(line: &Line) -> Value {
    serde_json::to_value(&line.event.happening).unwrap_or_default()
}

/// Whether a target of this name stands in it: in a field that is called so, and in what is said of a target.
fn names_target(told: &Value, name: &str) -> bool {
    let is_of_target = kind(told).is_some_and(|kind| kind.starts_with("target_"));
    is_of_target && told.get("name").and_then(Value::as_str) == Some(name)
        || holds_target(told, name)
}

fn holds_target(value: &Value, name: &str) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(field, value)| {
            let is_it = field == "target" && {
                let of_object = value.get("name").and_then(Value::as_str);
                value.as_str().or(of_object) == Some(name)
            };
            is_it || holds_target(value, name)
        }),
        Value::Array(values) => values.iter().any(|value| holds_target(value, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(event: &Value) -> Line {
        let mut line = json!({ "seq": 7, "at": "2026-01-05T09:00:00Z", "digest": "ab" });
        let (fields, event) = (line.as_object_mut().unwrap(), event.as_object().unwrap());
        fields.extend(event.clone());
        serde_json::from_value(line).unwrap()
    }

    fn grown() -> Line {
        line(&json!({
            "event": "log_appended", "revision": 3, "sha256": "ab",
            "appended": { "by": "root", "source": "192.0.2.7", "changes": [
                { "change": "target_added", "target": { "name": "web1" } },
                { "change": "target_removed", "name": "web2" },
                { "change": "principal_removed", "name": "web3" },
            ] },
        }))
    }

    fn login() -> Line {
        line(&json!({
            "event": "logged_in", "principal": "alice", "source": "192.0.2.7", "by_key": "SHA256:a",
            "ssh_serial": "1", "x509_serial": "2", "expires_at": "2026-01-05T17:00:00Z",
        }))
    }

    #[track_caller]
    fn check(line: &Line, wanted: Value, fits: bool) {
        let sought: Sought = serde_json::from_value(wanted).unwrap();
        assert_eq!(sought.fits(line), fits, "{sought:?}");
    }

    #[test]
    fn a_clock_that_was_set_was_set_by_nobody_known() {
        let stepped = json!({ "event": "clock_stepped", "by": "-PT5M0.001130371S" });
        assert_eq!(doer(&line(&stepped)), None);
        assert_eq!(doer(&login()).as_deref(), Some("alice"));
        assert_eq!(doer(&grown()).as_deref(), Some("root"));
    }

    #[test]
    fn all_that_is_looked_for_has_to_fit() {
        check(&login(), json!({}), true);
        check(
            &login(),
            json!({ "event": "logged_in", "user": "alice" }),
            true,
        );
        check(
            &login(),
            json!({ "event": "logged_in", "user": "bob" }),
            false,
        );
        check(&login(), json!({ "event": "refused" }), false);
        check(&login(), json!({ "target": "web1" }), false);
        check(&login(), json!({ "since": "2026-01-05T09:00:00Z" }), true);
        check(&login(), json!({ "since": "2026-01-05T09:00:01Z" }), false);
    }

    #[test]
    fn what_cannot_be_read_may_be_what_is_looked_for() {
        let unreadable =
            line(&json!({ "event": "evidence_differed", "what": evidence::UNREADABLE_LINE }));
        check(
            &unreadable,
            json!({ "user": "alice", "target": "web1" }),
            true,
        );
        check(
            &unreadable,
            json!({ "since": "2027-01-01T00:00:00Z" }),
            false,
        );
        let other = line(&json!({ "event": "evidence_differed", "what": "something" }));
        check(&other, json!({ "user": "alice" }), false);
    }

    #[test]
    fn of_several_changes_one_fits_all_of_it() {
        check(&grown(), json!({ "target": "web1" }), true);
        check(
            &grown(),
            json!({ "target": "web2", "event": "target_removed" }),
            true,
        );
        check(
            &grown(),
            json!({ "target": "web1", "event": "target_removed" }),
            false,
        );
        check(&grown(), json!({ "target": "web3" }), false);
        check(&grown(), json!({ "event": "log_appended" }), false);
        check(&grown(), json!({ "user": "root" }), true);
    }
}
