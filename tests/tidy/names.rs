//! What is called what, and what is said by which code.

use std::collections::{BTreeMap, BTreeSet};

use crate::{none, sources};

#[test]
fn ids_are_types_in_public_signatures() {
    let mut findings = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| !source.is_under(&["tests/"]))
    {
        for (number, line) in source.lines() {
            let line = line.trim_start();
            let open = line.starts_with("pub fn ") || line.starts_with("pub async fn ");
            let stringly = [": Uuid", "_id: String", "_id: &str", "_id: &'"];
            if open && stringly.iter().any(|sign| line.contains(sign)) {
                findings.push(format!("{}:{number}: {line}", source.path));
            }
        }
    }
    none("use the types of policies::id", &findings);
}

#[test]
fn every_code_of_the_words_is_given_out_once() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources()
        .iter()
        .filter(|source| source.path.starts_with("policies/src/words"))
    {
        for (number, line) in source.lines() {
            let quoted = line.split('"').skip(1).step_by(2);
            for code in quoted.filter(|text| text.starts_with("TG") && text.len() == 5) {
                let place = format!("{}:{number}", source.path);
                places.entry(code.to_owned()).or_default().push(place);
            }
        }
    }
    assert!(places.len() > 30, "only {} codes were found", places.len());
    let twice: Vec<String> = places
        .into_iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(code, places)| format!("{code}: {}", places.join(", ")))
        .collect();
    none("one code, one fact", &twice);
}

#[test]
fn identifiers_use_the_words_of_the_house() {
    let not = [
        ("username", "login"),
        ("resource", "target"),
        ("attempt", "ask"),
        ("ticket", "request"),
        ("permission", "grant"),
        ("ban", "lock"),
        ("tape", "recording"),
        ("finalize", "seal"),
        ("terminate", "sever"),
        ("manager", "the noun it manages"),
        ("helper", "what it helps to do"),
    ];
    // Names that rustls gave: TLS 1.3 has tickets (RFC 8446, section 4.6.1).
    let foreign = ["insert_tls13_ticket", "take_tls13_ticket"];
    let declared = [
        "fn ", "struct ", "enum ", "trait ", "type ", "const ", "mod ",
    ];
    let mut findings = Vec::new();
    for source in sources() {
        for (number, line) in source.lines() {
            let begin = line
                .trim_start()
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            let begin = begin.trim_start_matches("async ");
            let Some(rest) = declared.iter().find_map(|word| begin.strip_prefix(word)) else {
                continue;
            };
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if foreign.contains(&name.as_str()) {
                continue;
            }
            let words = words_of(&name);
            for (word, instead) in not.iter().filter(|(word, _)| words.contains(*word)) {
                findings.push(format!(
                    "{}:{number}: `{name}`: not {word}, but {instead}",
                    source.path
                ));
            }
        }
    }
    none("the field's noun, everywhere", &findings);
}

/// The words of an identifier in either style, in lower case.
fn words_of(name: &str) -> BTreeSet<String> {
    let mut spaced = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            spaced.push('_');
        }
        spaced.extend(c.to_lowercase());
    }
    spaced
        .split('_')
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
