//! What the command line says about one statement that waits for a second person, and how a request is
//! answered.

/// What stands in the place of a reason where one statement waits: the beginning of its text.
pub fn runs(text: &str) -> String {
    const LONG: usize = 60;
    let line: String = text.chars().take(LONG).collect();
    let more = if text.chars().nth(LONG).is_some() {
        "…"
    } else {
        ""
    };
    format!("to run: {line}{more}")
}

/// What whoever may answer a request for a grant can type.
pub fn answer_request(request: &str) -> String {
    format!("  tidegate approve {request}\n  tidegate deny {request} --note '…'")
}

/// What whoever looks at a statement that waits can type.
pub fn answer_statement(request: &str, digest: &str) -> String {
    format!("  tidegate approve {request} --digest {digest}\n  tidegate deny {request} --note '…'")
}

/// Below a statement of which something was left out.
pub fn statement_brief() -> &'static str {
    "something is left out here; the recording of its session has all of it"
}

/// Below a statement that waits: where it would run. A target's server may have several databases.
pub fn statement_database(database: &str) -> String {
    format!("in the database `{database}`")
}

/// After somebody said yes to a statement.
pub fn seconded(request: &str) -> String {
    format!(
        "approved {request}: it runs once if that is enough\n  tidegate requests show {request}"
    )
}
