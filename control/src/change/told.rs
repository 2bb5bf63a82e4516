//! An entry of the log as an auditor reads it: who changed what, as it was appended, but without what opens
//! anything, and of long texts the beginning.

use std::net::IpAddr;

use policies::PrincipalName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Draft;

/// What opens something, or is checked by: nobody has to read it to know what happened.
const SECRETS: [&str; 2] = ["sealed", "verifier"];

/// How much of one text is told, in characters.
const TEXT_MAX: usize = 200;

/// Who changed what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Who did it. Nobody where the server did it by itself.
    pub by: Option<PrincipalName>,
    /// From where, if over a wire.
    pub source: Option<IpAddr>,
    /// What changed, in this order: each as [`Change`](super::Change) is written.
    pub changes: Vec<Value>,
}

impl From<Draft> for Appended {
    fn from(draft: Draft) -> Self {
        let told = |change| {
            let mut change = serde_json::to_value(change).unwrap_or_default();
            shorten(&mut change);
            change
        };
        Self {
            by: draft.by,
            source: draft.source,
            changes: draft.changes.iter().map(told).collect(),
        }
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some((end, _next)) = text.char_indices().nth(TEXT_MAX) {
                let begun = text.get(..end).unwrap_or_default();
                *text = format!("{begun}… ({} bytes)", text.len());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(fields) => {
            fields.retain(|name, _value| !SECRETS.contains(&name.as_str()));
            fields.values_mut().for_each(shorten);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use policies::TargetName;

    use super::super::{Change, PolicyText, PolicyTexts, Sealed};
    use super::*;

    #[test]
    fn who_changed_what_is_told_without_what_opens_anything() {
        let text = "forbid (principal, action, resource); // ü".repeat(50);
        let draft = Draft {
            at: Timestamp::UNIX_EPOCH,
            by: Some(PrincipalName::parse("root").unwrap()),
            source: Some(IpAddr::from([192, 0, 2, 1])),
            changes: vec![
                Change::SecretKept {
                    target: TargetName::parse("switch").unwrap(),
                    sealed: Sealed("hush".to_owned()),
                    fingerprint: None,
                },
                Change::PoliciesApplied {
                    texts: PolicyTexts {
                        documents: vec![PolicyText {
                            name: "a.cedar".to_owned(),
                            text: text.clone(),
                        }],
                        quorums: None,
                        zone: "UTC".to_owned(),
                    },
                },
            ],
        };
        let told = Appended::from(draft);
        assert_eq!(told.by.as_ref().map(PrincipalName::as_str), Some("root"));
        let [kept, applied] = told.changes.as_slice() else {
            panic!("{told:?}");
        };
        let want = serde_json::json!({"change": "secret_kept", "target": "switch"});
        assert_eq!(*kept, want);
        let shown = applied["texts"]["documents"][0]["text"].as_str().unwrap();
        assert!(text.starts_with(shown.split('…').next().unwrap()));
        assert!(shown.ends_with(&format!("… ({} bytes)", text.len())));
    }
}
