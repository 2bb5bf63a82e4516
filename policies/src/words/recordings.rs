//! What the command line says about recordings: proofs that hold, proofs that do not, and the
//! player's few words.

use std::net::IpAddr;

use crate::PrincipalName;
use crate::words::cli::Trouble;

/// The recording is what was sealed.
pub fn verified(session: &str, frames: u64, bytes: u64, end: &str, sealed_at: &str) -> String {
    format!(
        "{session} is what was sealed: {frames} frames, {bytes} bytes, ended {end}, sealed {sealed_at}"
    )
}

/// A cast leaves out so much of what came before it begins.
pub fn not_here(count: u64) -> String {
    format!("[{count} more events before this are not here: they are in the transcript (--text)]")
}

/// Which way the data of a `COPY` went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyWay {
    /// Into the database.
    In,
    /// Out of it.
    Out,
}

/// How the data of a `COPY` ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyEnd {
    /// Who sent it said that this was all.
    Whole,
    /// The client or the database gave it up.
    GivenUp,
    /// The grant's budget was used up.
    CutOff,
    /// The session ended.
    BrokenOff,
}

/// What one `COPY` carried, behind the number of its statement.
pub fn copied(
    (way, end): (CopyWay, CopyEnd),
    bytes: u64,
    what: &str,
    sha256: Option<&str>,
) -> String {
    let way = match way {
        CopyWay::In => "in",
        CopyWay::Out => "out",
    };
    let digest = sha256.map_or_else(String::new, |digest| format!(", sha256 {digest}"));
    let end = match end {
        CopyEnd::Whole => "",
        CopyEnd::GivenUp => ", given up before its end",
        CopyEnd::CutOff => ", cut off there by tidegate",
        CopyEnd::BrokenOff => ", broken off there",
    };
    format!("copied {way}: {bytes} bytes ({what}){digest}{end}")
}

/// What a batch failed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The statement of this number; 0 where it belonged to none.
    Statement(u64),
    /// tidegate had it fail, behind something that it did not let through.
    Ours,
}

/// What became of the results of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// What the status says, or that of it which is not known.
    AsTold,
    /// So many of them were undone with what failed.
    Undone {
        /// The numbers of the first one's statement and of the last one's.
        ids: (u64, u64),
        /// How many.
        results: u64,
        /// Something there may have committed by itself.
        is_doubtful: bool,
    },
    /// All of them were, with the transaction that had been open before them.
    AllUndone,
}

/// From when on a setting has another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// It is not the ordinary one from the first.
    Beginning,
    /// Since the statement of this number, or one before it that was answered together with it; 0 where none was
    /// under way.
    Statement(u64),
    /// Since somewhere in the batch that ends with the statement of this number: a database says so at its end alone.
    Batch(u64),
}

/// A setting by which the database reads texts, or says whose session it is, has another value; `more` bytes of it
/// are not shown.
pub fn setting(name: &str, (value, more): (&str, usize), since: Since) -> String {
    let more = match more {
        0 => String::new(),
        more => format!("… (and {more} bytes more)"),
    };
    let since = match since {
        Since::Beginning => "as the session begins".to_owned(),
        Since::Statement(0) => "from here on".to_owned(),
        Since::Statement(id) => format!("behind #{id}"),
        Since::Batch(id) => format!("since somewhere in the batch that ends with #{id}"),
    };
    format!("{name} is {value}{more} {since}")
}

/// So many changes of such settings came behind one statement, beyond those that were told; the last of each follows.
pub fn settings(more: u64) -> String {
    format!("{more} changes more, of which the last is told of each")
}

/// What was sent behind an error, up to the next Sync: the first and the last of each row of numbers.
pub fn dropped(rows: &[(u64, u64)]) -> String {
    let rows: Vec<String> = rows.iter().copied().map(range).collect();
    format!(
        "{} did not run: what is sent behind an error is dropped, up to the next Sync",
        rows.join(", ")
    )
}

/// What was sent behind an error of which nobody can tell whether anything behind it is dropped.
pub fn perhaps_dropped(rows: &[(u64, u64)]) -> String {
    let rows: Vec<String> = rows.iter().copied().map(range).collect();
    format!(
        "{} may have run: sent behind an error that belonged to none of them, before it was known whether the database drops what follows",
        rows.join(", ")
    )
}

/// What was sent and had no answer as the session ended.
pub fn unanswered(rows: &[(u64, u64)]) -> String {
    let rows: Vec<String> = rows.iter().copied().map(range).collect();
    format!(
        "{} may have run: sent, and not answered before the session ended",
        rows.join(", ")
    )
}

/// What is written down of a cancel request: where it came from, whose certificate was shown, what the target was at, if
/// anything, or that a statement waits for a second person, which it has not seen.
pub fn cancel_asked(
    (source, who): (IpAddr, Option<&PrincipalName>),
    running: u64,
    is_waiting: bool,
) -> String {
    let who = who.map_or_else(String::new, |who| format!(" with the certificate of {who}"));
    let from = format!("a cancel request from {source}{who}");
    match (running, is_waiting) {
        (0, true) => format!("{from} for what waits for a second person"),
        (0, false) => format!("{from}, where nothing runs"),
        (id, _) => format!("{from} for what runs, statement {id}"),
    }
}

/// That the statement of this number was refused, and why; `fingerprint` is the same for statements that differ in
/// constants only, and empty for what was not read.
pub fn never_reached(id: u64, why: &str, fingerprint: &str) -> String {
    let known = if fingerprint.is_empty() {
        "none"
    } else {
        fingerprint
    };
    format!("statement {id} never reached the target: {why}; fingerprint {known}")
}

/// What passed over SFTP that is no content of a file.
pub const BESIDES_FILES: &str = "besides the contents of files";

/// That more was asked of files, and may have no answer, than a transcript keeps in mind.
pub const MORE_UNANSWERED: &str =
    "more was asked of files that may have no answer, and is not here: --jsonl has it";

/// That scp is followed no further: `who` sent what.
pub fn not_followed(who: &str, lost: &str) -> String {
    format!("followed no further, {who} sent {lost}")
}

/// That of the values of the statement of this number so many of all are not kept.
pub fn values_missing(id: u64, missing: usize, all: usize) -> String {
    format!(
        "#{id}: {missing} of its {all} values are not here: of one message at most a mebibyte is kept, and the digest is of all of it"
    )
}

/// An amount of `money` as it is sent: how many digits of it are behind the point, the server's settings say.
pub fn money(amount: i64) -> String {
    format!("money, without its point: {amount}")
}

/// A value of a type that is not known, where it can be read as a row; in the session's own encoding.
pub fn as_row(row: &[u8]) -> Vec<u8> {
    [b"read as a row: ", row].concat()
}

fn range((first, last): (u64, u64)) -> String {
    if first == last {
        format!("#{first}")
    } else {
        format!("#{first} to #{last}")
    }
}

/// Several results that ended together: of which statements and how many, what failed, where the database said that
/// it stood then, if it did, and what became of them.
pub fn batch(
    (ids, results): ((u64, u64), u64),
    failed: Option<Failure>,
    status: Option<u8>,
    fate: Fate,
) -> String {
    let count = |results: u64| match results {
        0 => "no result".to_owned(),
        1 => "1 result".to_owned(),
        _ => format!("{results} results"),
    };
    let of = |ids, results: u64| match results {
        0 => count(results),
        _ => format!("{} of {}", count(results), range(ids)),
    };
    let failed = match failed {
        None => "no error".to_owned(),
        Some(Failure::Statement(0)) => "an error".to_owned(),
        Some(Failure::Statement(id)) => format!("an error of #{id}"),
        Some(Failure::Ours) => "made to fail by tidegate".to_owned(),
    };
    let stands = match status {
        None => {
            "the session ended before the database said where it stands: whether they were kept is not known"
        }
        Some(b'I') => "no transaction is open (I)",
        Some(b'T') => "a transaction is open (T)",
        Some(_) => {
            "the transaction that is open has failed (E): nothing of it is kept but by ROLLBACK TO"
        }
    };
    let undone = match fate {
        Fate::AsTold => String::new(),
        Fate::AllUndone => {
            "; all of the transaction that was open before was undone with it".to_owned()
        }
        Fate::Undone { results: 0, .. } => "; nothing else was undone with it".to_owned(),
        Fate::Undone {
            ids,
            results,
            is_doubtful: false,
        } => format!("; undone with it: {}", of(ids, results)),
        Fate::Undone { ids, results, .. } => format!(
            "; undone with it: {}, but for what a CALL, a DO or a command that commits by itself had committed",
            of(ids, results)
        ),
    };
    format!("{}, {failed}{undone}; {stands}", of(ids, results))
}

/// Of a statement: the session ended before its answer did.
pub const BROKEN_OFF: &str = "broken off, its end was not seen";

/// Of a statement in a recording of before, which has neither a tag nor an error of it.
pub const NO_END: &str =
    "no end of it is known: nothing was in it, more of its rows were left, or it was broken off";

/// How a statement went whose client was told of an error, and whose database was through with it.
pub fn cut_short(error: &str, tag: &str) -> String {
    format!("{error}; the database's own end of it: {tag}")
}

/// A file is shown of which nobody looked whether it is what was sealed.
pub fn not_proven(which: &str) -> String {
    format!(
        "`{which}` is shown as it lies here; whether it is what was sealed:  tidegate recordings verify {which}"
    )
}

/// The recording is not what was sealed, and where: at which of its frames.
pub fn broken(what: &str, found: &str, frame: u64) -> Trouble {
    Trouble::new(
        format!("`{what}` is not what was sealed"),
        found,
        if frame == 0 {
            "keep the file as it is; no frame of it can be read".to_owned()
        } else {
            format!(
                "keep the file as it is; what comes before that frame can be read with  tidegate \
                 recordings export {what} --text"
            )
        },
    )
}

/// What was to be proven does not begin as recordings do: it is none, or its beginning was written over.
pub fn untitled(what: &str) -> Trouble {
    Trouble::new(
        format!("`{what}` is no recording of tidegate's, or is not what was sealed"),
        "it does not begin as one",
        "if it is to be one, keep the file as it is; those that there are:  tidegate recordings ls",
    )
}

/// The recording was sealed, and is not the one whose root the ledger has.
pub fn replaced(what: &str, root: &str, sealed: &str) -> Trouble {
    Trouble::new(
        format!("`{what}` is sealed, but is not the recording that the ledger has"),
        format!("its root is {sealed}; the ledger has {root}"),
        "keep the file as it is, and ask who could write to the directory of recordings",
    )
}

/// The recording was sealed, and the list of sessions has it as another's.
pub fn misnamed(what: &str, listed: &str, sealed: &str) -> Trouble {
    Trouble::new(
        format!("`{what}` is sealed, but is not whose it is listed as"),
        format!("it was sealed as that of {sealed}; the list has {listed}"),
        "believe the recording, and ask who could write to the store:  tidegate audit verify --server-state-dir DIR",
    )
}

/// The recording was sealed, and the ledger does not know its session.
pub fn unheard(what: &str) -> Trouble {
    Trouble::new(
        format!("`{what}` is sealed, but the ledger tells of no such session"),
        "it stands in the list of sessions alone, which whoever can write to the store can change",
        "tidegate audit verify",
    )
}

/// The recording was sealed, and the ledger cannot say whether it is the one that the session had.
pub fn unproven(what: &str, line: &str) -> Trouble {
    Trouble::new(
        format!("`{what}` is sealed, but nothing proves that it is the recording of that session"),
        format!("line {line} of the ledger is not what was written"),
        "tidegate audit verify",
    )
}

/// The recording was sealed, and the ledger has no root of it.
pub fn rootless(what: &str) -> String {
    format!(
        "warning: the ledger has no root to compare `{what}` with: its session has just ended, or the recording could \
         not be sealed when it did; the server's next start writes it down"
    )
}

/// What stands for the size of a recording that was deleted.
pub const MISSING: &str = "missing";

/// The file cannot be read as a recording.
pub fn unreadable(what: &str, found: &str) -> Trouble {
    Trouble::new(
        format!("cannot read the recording `{what}`"),
        found,
        format!("tidegate recordings verify {what}"),
    )
}

/// The text is not a key that seals.
pub fn not_a_seal_key(text: &str) -> Trouble {
    Trouble::new(
        format!("`{text}` is not the key of a seal"),
        "it is neither `ssh-ed25519 …` nor `tidegate+…`",
        "tidegate ca show  on the bastion prints it after `seal`",
    )
}

/// What is to be exported would be written over.
pub fn onto_itself(path: &str) -> Trouble {
    Trouble::new(
        format!("cannot export {path} onto itself"),
        "it would be emptied before it is read, and is evidence",
        "name another file after --to",
    )
}

/// What the player says before it begins.
pub fn player_keys() -> &'static str {
    "space pause · left/right 5 s · up/down or +/- speed · . next · q quit"
}

/// Which channel is played, and what ran in it.
pub fn played_channel(channel: u32, ran: &str) -> String {
    format!("channel {channel} is played: {ran}")
}

/// What the channel that is played was sent, where nothing echoed it: `kept` bytes and `counted` ones. Nothing where
/// that is nothing.
pub fn sent_unseen(which: &str, kept: u64, counted: u64) -> Option<String> {
    match (kept, counted) {
        (0, 0) => None,
        (0, counted) => Some(format!(
            "it was sent {counted} bytes that the picture does not show; they are counted, not kept"
        )),
        (kept, 0) => Some(format!(
            "it was sent {kept} bytes that the picture does not show:  tidegate recordings export {which} --text"
        )),
        (kept, counted) => Some(format!(
            "it was sent {} bytes that the picture does not show, {counted} of them counted, not kept:  tidegate \
             recordings export {which} --text",
            kept.saturating_add(counted)
        )),
    }
}

/// What the channel that is played sent its person and does not show here; nothing where that is nothing.
pub fn shown_unkept(bytes: u64) -> Option<String> {
    (bytes > 0)
        .then(|| format!("{bytes} bytes of its output are counted, not kept: they are not played"))
}

/// That there are this many notes in the recording besides those that were told one by one.
pub fn more_notes(which: &str, count: usize) -> Option<String> {
    (count > 0).then(|| format!("  and {count} more:  tidegate recordings export {which} --text"))
}

/// That a session had other channels than the one that is played, and what ran in them; nothing where it had none.
pub fn other_channels(which: &str, others: &[(u32, &str)], more: bool) -> Vec<String> {
    /// How many are named.
    const NAMED: usize = 20;
    if others.is_empty() {
        return Vec::new();
    }
    let mut lines = vec!["what is played is not all of the session:".to_owned()];
    let named = others.iter().take(NAMED);
    lines.extend(named.map(|(number, ran)| format!("  channel {number}: {ran}")));
    let rest = others.len().saturating_sub(NAMED);
    if more || rest > 0 {
        let least = if more { "more than " } else { "" };
        lines.push(format!("  and {least}{rest} others"));
    }
    lines.push(format!(
        "tidegate play {which} --channel N  plays one of them; tidegate recordings export {which} --text  has all"
    ));
    lines
}

/// What the player says when it stops, at the end or before.
pub fn played(at: &str, ended: Option<&str>) -> String {
    match ended {
        Some(ended) => format!("played to {at}; {ended}"),
        None => format!("played to {at}; the session went on"),
    }
}

/// How the session ended, and when in the recording.
pub fn ended(at: &str, end: &str) -> String {
    format!("the session ended at {at}: {end}")
}

/// The recorded screen is larger than this one.
pub fn small_screen(recorded: (u32, u32), here: (u32, u32)) -> String {
    format!(
        "recorded on {}x{}, this terminal has {}x{}: lines may break",
        recorded.0, recorded.1, here.0, here.1
    )
}

/// The recorded screen is narrower than this one. `stty` does not make a window narrower.
pub fn wide_screen(which: &str, recorded: u32, here: u32) -> String {
    format!(
        "recorded on {recorded} columns, this terminal has {here}: lines that went on in the next row there are drawn \
         over here. Make it {recorded} columns wide (in tmux:  tmux resize-window -x {recorded}), or:  tidegate \
         recordings export {which} --text"
    )
}

/// What stands in the last line while the player is paused.
pub fn paused(at: &str, speed: f64) -> String {
    format!("paused at {at}, {speed}x: space goes on, q quits")
}

/// How many notices of a database were shown in a session that had ended.
pub fn notices(count: u64) -> String {
    format!("{count} notices were shown")
}

/// How many times a session was told something by others (`NOTIFY`), and how many bytes, when it had ended.
pub fn notifications(count: u64, bytes: u64) -> String {
    format!("{count} notifications came from others, {bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_back_is_told_of_though_nothing_runs() {
        let source = IpAddr::from([192, 0, 2, 1]);
        for (running, is_waiting, want) in [
            (0, true, "192.0.2.1 for what waits for a second person"),
            (0, false, "192.0.2.1, where nothing runs"),
            (7, false, "192.0.2.1 for what runs, statement 7"),
        ] {
            let told = cancel_asked((source, None), running, is_waiting);
            assert_eq!(told, format!("a cancel request from {want}"));
        }
        let alice = PrincipalName::parse("alice").unwrap();
        assert_eq!(
            cancel_asked((source, Some(&alice)), 7, false),
            "a cancel request from 192.0.2.1 with the certificate of alice for what runs, statement 7"
        );
    }
}
