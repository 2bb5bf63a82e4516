//! What is told of a text in an exported recording.

use super::*;

#[test]
fn what_is_read_is_told() {
    let print = read(b"update t set a = now() where b = 'y'; table u").fingerprint;
    let want = json!({
        "fingerprint": print,
        "statements": [
            { "kind": "update", "relations": ["t"], "functions": ["now"], "has_where": true },
            { "kind": "select", "relations": ["u"] },
        ],
    });
    let text = b"UPDATE t SET a = now() WHERE b = 'x'; TABLE u";
    assert_eq!(classified(text), want);
    let unknown = json!({ "fingerprint": null, "statements": [{ "kind": "unknown" }] });
    assert_eq!(classified(b"select ("), unknown);
}
