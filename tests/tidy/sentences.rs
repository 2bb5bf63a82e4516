//! Sentences that people read stand in `policies::words`, and nowhere else.
//!
//! Looks at the texts of `control` and `proxy`: three words in a row, in lower case, are a sentence. What errors say of
//! themselves, reasons in the log, and attributes are for whoever runs or builds tidegate, and stay where they are.

use crate::{Source, none, sources};

/// Where texts are SQL, settings of throw-away servers, or made up to break something.
const OTHER_TONGUES: [&str; 10] = [
    "control/src/store/contract.rs",
    "control/src/store/sqlite",
    "proxy/src/demo",
    "proxy/src/fuzzing",
    "proxy/src/postgres/fuzzing",
    "proxy/src/postgres/halt.rs",
    "proxy/src/postgres/roles/",
    "proxy/src/postgres/target/process.rs",
    "proxy/src/postgres/client/settings.rs",
    "proxy/src/ssh/fuzzing",
];

/// What stands in front of a text that is no sentence of ours to a user.
const BESIDE: [&str; 6] = [
    "error(",
    "expect(",
    "must_use =",
    "reason =",
    "about =",
    "after_help =",
];

/// What reads like a sentence and is none. This list may only shrink.
const NAMES: [(&str, &str); 8] = [
    // Of deeds, as the ledger has them.
    ("control/src/api/bastion.rs", "look at server"),
    ("control/src/api/targets.rs", "look at server"),
    // Nobody reads why a question is asked that is not kept.
    (
        "control/src/broker/targets.rs",
        "to list what may be asked for",
    ),
    // A column.
    ("proxy/src/cli/audit.rs", "ssh host key   {}"),
    // By this a block is found again.
    (
        "proxy/src/cli/block.rs",
        "# >>> tidegate: written by `tidegate config`, replaced by it >>>",
    ),
    // SQL.
    ("proxy/src/cli/scripts.rs", " with grant option"),
    // Errors of libraries' types, for the log.
    ("proxy/src/postgres/tls.rs", "the server's name is no name"),
    (
        "proxy/src/session/severable.rs",
        "this severer already holds a socket",
    ),
];

/// A text in quotes: its line, what stands in front of it, and what it says.
struct Literal<'a> {
    line: usize,
    before: &'a str,
    text: &'a str,
}

/// Where a text ends that begins behind a quotation mark at `from`, and is ended by `end`.
fn end_of(code: &str, from: usize, end: &str, escapes: bool) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = code.get(at..)?;
        if rest.starts_with(end) {
            return Some(at);
        }
        let mut chars = rest.chars();
        let first = chars.next()?;
        at += first.len_utf8();
        if escapes && first == '\\' {
            at += chars.next()?.len_utf8();
        }
    }
}

/// All texts in quotes, without those in comments.
fn literals(code: &str) -> Vec<Literal<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
        let raw = rest.starts_with("r\"") || rest.starts_with("r#");
        let is_apart = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            at += 3;
        } else if rest.starts_with('"') || (raw && is_apart) {
            let marks = rest.chars().skip(1).take_while(|c| *c == '#').count();
            let (skip, end) = if rest.starts_with('"') {
                (1, "\"".to_owned())
            } else {
                (marks + 2, format!("\"{}", "#".repeat(marks)))
            };
            let from = at + skip;
            let Some(to) = end_of(code, from, &end, skip == 1) else {
                break;
            };
            found.push(Literal {
                line: code[..at].matches('\n').count() + 1,
                before: code[..at].trim_end(),
                text: &code[from..to],
            });
            at = to + end.len();
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    found
}

/// Whether three words in lower case follow each other.
fn is_sentence(text: &str) -> bool {
    let is_word = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_lowercase());
    let words: Vec<&str> = text.split(' ').collect();
    words
        .windows(3)
        .any(|three| three.iter().all(|word| is_word(word)))
}

fn is_looked_at(source: &Source) -> bool {
    let tests = source.path.ends_with("tests.rs") || source.path.ends_with("bench.rs");
    source.is_under(&["control/src/", "proxy/src/"])
        && !source.is_under(&OTHER_TONGUES)
        && !source.is_beside()
        && !tests
}

#[test]
fn sentences_stand_in_words() {
    let mut findings = Vec::new();
    let mut unmet: Vec<_> = NAMES.to_vec();
    for source in sources().iter().filter(|source| is_looked_at(source)) {
        for literal in literals(source.code()) {
            let Literal { line, before, text } = literal;
            let is_beside = BESIDE.iter().any(|mark| before.ends_with(mark));
            if is_beside || !is_sentence(text) {
                continue;
            }
            let name = (source.path.as_str(), text);
            unmet.retain(|one| *one != name);
            if !NAMES.contains(&name) {
                findings.push(format!("{}:{line}: {text}", source.path));
            }
        }
    }
    none(
        "a sentence that people read stands in policies::words",
        &findings,
    );
    let unmet: Vec<String> = unmet.iter().map(|(path, _)| (*path).to_owned()).collect();
    none("no longer there: take them off the list", &unmet);
}

#[test]
fn a_sentence_is_told_from_names_and_comments() {
    let code = "// \"as it is said\"\nlet a = '\"'; f(\"one\", r#\"it is \"so\" here\"#); g(\"ab cd \\\" ef gh ij\");";
    let found = literals(code);
    let texts: Vec<&str> = found.iter().map(|one| one.text).collect();
    assert_eq!(texts, ["one", "it is \"so\" here", "ab cd \\\" ef gh ij"]);
    assert_eq!(found[0].line, 2);
    for (text, is) in [
        ("it has no header", true),
        ("{path}: it was lost", true),
        ("SELECT a FROM b", false),
        ("session.opened", false),
        ("ssh -p {} x", false),
        ("add target", false),
    ] {
        assert_eq!(is_sentence(text), is, "{text}");
    }
}
