//! The story of the demo: what each step is about, and what held in it.

/// Without a grant nobody gets in, by ssh or by psql.
pub const NOBODY_GETS_IN: &str = "without a grant nobody gets in, by ssh or by psql";

/// Ssh was refused with a sentence and status 77.
pub const SSH_WAS_REFUSED: &str = "ssh was refused with a sentence and status 77";

/// Psql was told what to type to ask.
pub const PSQL_WAS_TOLD: &str = "psql was told what to type to ask";

/// One does not approve one's own request.
pub const NOT_ONES_OWN: &str = "one does not approve one's own request";

/// Stock ssh runs a command: outputs apart, exit status kept.
pub const SSH_RUNS: &str = "stock ssh runs a command: outputs apart, exit status kept";

/// It ran there.
pub const IT_RAN: &str = "it ran there";

/// The same through tidegate as a jump host.
pub const JUMPING: &str = "the same through tidegate as a jump host";

/// Ssh -J works, and is recorded.
pub const IT_JUMPED: &str = "ssh -J works, and is recorded";

/// Scp takes a file there and back.
pub const SCP: &str = "scp takes a file there and back";

/// The copy is the same.
pub const SAME_COPY: &str = "the copy is the same";

/// What the grant does not name is refused.
pub const UNNAMED: &str = "what the grant does not name is refused";

/// Stock psql asks the database.
pub const PSQL_ASKS: &str = "stock psql asks the database";

/// 1000 rows, as the role that was granted.
pub const ROWS: &str = "1000 rows, as the role that was granted";

/// Alice works in both, and bob sees it.
pub const BOTH: &str = "alice works in both, and bob sees it";

/// Both are live, and a statement is running.
pub const BOTH_LIVE: &str = "both are live, and a statement is running";

/// Bob revokes both grants: both sessions are cut.
pub const REVOKED: &str = "bob revokes both grants: both sessions are cut";

/// And was told why.
pub const TOLD_WHY: &str = "and was told why";

/// The running statement is stopped at the server, and nothing of it is left.
pub const STOPPED: &str =
    "the running statement is stopped at the server, and nothing of it is left";

/// The backend is gone.
pub const BACKEND_GONE: &str = "the backend is gone";

/// How long each cut took, from the recordings' last frames and our own watch.
pub const HOW_LONG: &str =
    "how long each cut took, from the recordings' last frames and our own watch";

/// Nobody gets in again.
pub const NOBODY_AGAIN: &str = "nobody gets in again";

/// Alice was refused.
pub const ALICE_REFUSED: &str = "alice was refused";

/// Carol verifies every recording, and plays one back.
pub const VERIFIED: &str = "carol verifies every recording, and plays one back";

/// What alice saw is in the recording.
pub const SEEN: &str = "what alice saw is in the recording";

/// Alice asks for something.
pub fn asks(target: &str, login: &str) -> String {
    format!("alice asks for {target} as {login}")
}

/// Bob said yes.
pub fn bob_did(grant: &str) -> String {
    format!("bob did: {grant}")
}

/// What ssh said last, where it was to carry something.
pub fn no_forwarding(said: &str) -> String {
    format!("no forwarding: {said}")
}

/// A session is over.
pub fn gone(what: &str) -> String {
    format!("{what} is gone")
}

/// What was to be deleted is there.
pub fn rows_left(rows: &str) -> String {
    format!("the delete did not happen: {rows} rows are still there")
}

/// How many recordings prove themselves.
pub fn verify(count: usize) -> String {
    format!("{count} recordings verify")
}

/// A program of the story did not begin.
pub fn not_up(what: &str, log: &str) -> String {
    format!("{what} did not come up: {log}")
}
