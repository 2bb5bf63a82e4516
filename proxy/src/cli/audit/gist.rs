//! What a line of the audit log is about, in a line of a terminal.

use serde_json::Value;

/// How long one value may be, in characters.
const VALUE_MAX: usize = 64;

/// How long the whole may be, in characters.
const ALL_MAX: usize = 240;

/// How many values of a list are shown.
const LISTED: usize = 3;

/// The fields of entries as `field=value`, those of what is nested without its name. What is long is cut and ends with
/// `…`, of a list of entries there is only how many: the whole is in the other forms.
pub(super) fn gist(entries: &[Value]) -> String {
    let each = entries.iter().map(|entry| {
        let mut all = String::new();
        collect("", entry, &mut all);
        all
    });
    cut(&each.collect::<Vec<_>>().join("; "), ALL_MAX)
}

fn collect(name: &str, value: &Value, all: &mut String) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                collect(name, value, all);
            }
        }
        Value::Array(values) if values.is_empty() => {}
        Value::Array(values)
            if values
                .iter()
                .any(|value| value.is_object() || value.is_array()) =>
        {
            push(name, &values.len().to_string(), all);
        }
        Value::Array(values) => {
            let shown: Vec<String> = values.iter().take(LISTED).filter_map(scalar).collect();
            let more = values.len().saturating_sub(LISTED);
            let more = (more > 0).then(|| format!("…{more} more"));
            let shown: Vec<String> = shown.into_iter().chain(more).collect();
            push(name, &shown.join(","), all);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            if let Some(value) = scalar(value) {
                push(name, &value, all);
            }
        }
    }
}

fn push(name: &str, value: &str, all: &mut String) {
    if all.chars().count() > ALL_MAX {
        return;
    }
    if !all.is_empty() {
        all.push(' ');
    }
    all.push_str(name);
    all.push('=');
    all.push_str(value);
}

/// A value in so many characters. Nothing where there is none.
fn scalar(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.lines().next().unwrap_or_default().trim_end(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Some(value.to_string());
        }
    };
    let has_more = value.as_str().is_some_and(|whole| whole.trim_end() != text);
    let mut text = cut(text, VALUE_MAX);
    if has_more && !text.ends_with('…') {
        text.push('…');
    }
    Some(if text.contains(char::is_whitespace) {
        format!("\"{text}\"")
    } else {
        text
    })
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _beyond)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(entry: &Value, want: &str) {
        assert_eq!(gist(std::slice::from_ref(entry)), want);
    }

    #[test]
    fn what_is_short_is_told_whole() {
        let ask = json!({"id": "req_1", "ask": {"target": "web1", "logins": ["root", "app"], "reason": "fix it", "until": null}});
        check(
            &ask,
            "id=req_1 target=web1 logins=root,app reason=\"fix it\"",
        );
        check(
            &json!({"yes": true, "count": 3, "note": ""}),
            "yes=true count=3",
        );
        check(&json!({}), "");
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        check(
            &json!({"text": "permit (\n  principal\n);"}),
            "text=\"permit (…\"",
        );
        check(
            &json!({"key": "k".repeat(80)}),
            &format!("key={}…", "k".repeat(64)),
        );
        check(&json!({"all": [1, 2, 3, 4, 5]}), "all=1,2,3,…2 more");
        check(
            &json!({"files": [{"name": "a"}, {"name": "b"}], "none": []}),
            "files=2",
        );
        let many: serde_json::Map<String, Value> = (10..99)
            .map(|at| (format!("field{at}"), json!("value")))
            .collect();
        let told = gist(&[Value::Object(many), json!({"last": 1})]);
        assert_eq!(told.chars().count(), ALL_MAX + 1);
        assert!(told.ends_with('…'), "{told}");
    }
}
