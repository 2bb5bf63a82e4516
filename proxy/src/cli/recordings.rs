//! `recordings`: which there are, whether one is what was sealed, and handing one on.
//!
//! Where a session is named, its recording is fetched through the API; a path is a file here. What
//! is proven is proven here, not by the server: all it takes from elsewhere is the public key.

mod verify;
mod wrong;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use control::api::wire::{RecordingView, SessionView};
use control::ledger::chain::hex;
use policies::SessionId;
use policies::words::cli::{Trouble, doing, prompts};
use policies::words::{cli, recordings as words};
use recorder::{Break, Channels, ExportError, Fault, Form, Reader, Verified};

use crate::cli::audit::trust;
use crate::cli::client::{Client, chain};
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::path::segment;
use crate::cli::printer::{Printer, Row};
use crate::cli::sessions::{self, ending};
use crate::cli::when;
use crate::postgres::classified;

use self::wrong::{Ledger, Wrong};

/// Look at recordings, prove them, hand them on
#[derive(Debug, Subcommand)]
pub(crate) enum RecordingsVerb {
    /// List recordings
    Ls {
        /// The newest so many; without it 200
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
    },
    Verify(verify::VerifyArgs),
    Export(ExportArgs),
}

/// Write a recording in a form that other tools read
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Which: a session, or a file
    #[arg(value_name = "ID|FILE")]
    which: String,
    #[command(flatten)]
    form: FormArgs,
    /// Only this channel, for --cast
    #[arg(long)]
    channel: Option<u32>,
    /// Where to, instead of standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// In which form.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct FormArgs {
    /// As asciicast, for asciinema and its kin
    #[arg(long, value_name = "VERSION")]
    cast: Option<Cast>,
    /// As plain text
    #[arg(long)]
    text: bool,
    /// As JSON, a line for each frame
    #[arg(long)]
    jsonl: bool,
    /// As the sealed file itself
    #[arg(long)]
    raw: bool,
}

/// A version of asciicast.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Cast {
    /// The one that every player reads.
    V2,
    /// The one with exit codes.
    V3,
}

impl Row for RecordingView {
    const COLUMNS: (&'static [&'static str], usize) =
        (&["ID", "WHO", "TARGET", "AS", "SINCE", "BYTES", "END"], 7);

    fn cells(&self) -> Vec<String> {
        let session = &self.session.session;
        vec![
            session.id.to_string(),
            session.principal.to_string(),
            session.target.to_string(),
            session.login.to_string(),
            when::stamp(session.opened_at),
            if self.missing {
                words::MISSING.to_owned()
            } else {
                self.bytes.to_string()
            },
            ending(session.end.as_ref().map(|end| &end.cause)),
        ]
    }
}

/// `recordings …`.
pub(crate) async fn recordings(context: &Context, verb: RecordingsVerb) -> Outcome {
    match verb {
        RecordingsVerb::Ls { limit } => {
            let doing = doing::LIST_RECORDINGS;
            let most = Some(limit.unwrap_or(sessions::PAST));
            let path = format!("/v1/recordings?limit={}", sessions::piece(most));
            let name = |view: &RecordingView| view.session.session.id.to_string();
            let client = context.client(doing)?;
            let (list, older) = client
                .newest(doing, &path, name, sessions::count(most))
                .await?;
            context.printer.list(&list, &list.items)?;
            if older {
                sessions::tell_older(context, "recordings ls", limit);
            }
            Ok(())
        }
        RecordingsVerb::Verify(args) => verify::verify(context, &args).await,
        RecordingsVerb::Export(args) => export(context, &args).await,
    }
}

/// How the name of a recording's file ends, as the server keeps it.
const EXTENSION: &str = "rec";

/// Whether a file is meant. Not whether there is one: a file that happens to lie here must not pass
/// for the recording of a session.
fn is_file_name(which: &str) -> bool {
    which.contains(std::path::is_separator)
        || Path::new(which)
            .extension()
            .is_some_and(|end| end == EXTENSION)
}

/// A recording, and what it has to be.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// It.
    pub(crate) file: File,
    /// Of which session, where one was named.
    session: Option<SessionId>,
    /// What the ledger says of it.
    ledger: Ledger,
}

/// The recording that was named: the file of that name, or the one of that session, fetched into a
/// file that has no name and is gone with the process.
pub(crate) async fn fetched(context: &Context, which: &str) -> Result<Fetched, Failure> {
    let doing = doing::read_recording(&which);
    let refused =
        |error: io::Error| Failure::new(Exit::Error, cli::file("read", which, &error.to_string()));
    if is_file_name(which) {
        return Ok(Fetched {
            file: File::open(which).map_err(refused)?,
            session: None,
            ledger: Ledger::Unasked,
        });
    }
    let client = context.client(&doing)?;
    let session = session(&client, &doing, which).await?;
    let mut file = tempfile::tempfile().map_err(refused)?;
    let path = format!("/v1/recordings/{session}/file");
    let keep = |piece: &[u8]| file.write_all(piece).map_err(refused);
    let headers = client.download(&doing, &path, keep).await?;
    file.rewind().map_err(refused)?;
    Ok(Fetched {
        file,
        session: Some(session),
        ledger: Ledger::told(&headers),
    })
}

/// The session that was named: an id is itself; whose beginning it is, or which is `last`, the
/// server knows.
async fn session(client: &Client, doing: &str, which: &str) -> Result<SessionId, Failure> {
    if let Ok(id) = which.parse::<SessionId>() {
        return Ok(id);
    }
    let path = format!("/v1/sessions/{}", segment(which));
    let SessionView { session, .. } = client.get(doing, &path).await?;
    let typed = which.to_ascii_lowercase();
    if which != "last" && !session.id.to_string().starts_with(&typed) {
        let odd = cli::odd_answer(cli::odd::RECORDING);
        return Err(Failure::new(Exit::Unproven, odd));
    }
    Ok(session.id)
}

/// Says what is known of a recording before it is shown. That of a session is proven first, and what is wrong with it
/// is told now and again at the end; a file is shown as it is.
///
/// # Errors
///
/// When it is another session's.
pub(crate) async fn proven(
    context: &Context,
    which: &str,
    fetched: &Fetched,
) -> Result<Option<Trouble>, Failure> {
    if fetched.session.is_none() {
        context.printer.say(&words::not_proven(which));
        return Ok(None);
    }
    let key = seal_key(&trust(context).await?.seal, Exit::Unproven)?;
    let found = fetched.verified(&key);
    (&fetched.file)
        .rewind()
        .map_err(|error| Failure::new(Exit::Error, cli::file("read", which, &error.to_string())))?;
    let Err(wrong) = found else {
        return Ok(None);
    };
    let trouble = wrong.trouble(which);
    if let Wrong::Broken(Break {
        fault: Fault::OtherSession(_),
        ..
    }) = wrong
    {
        return Err(Failure::new(Exit::Unproven, trouble));
    }
    context.printer.trouble(Exit::Unproven, &trouble);
    Ok(Some(trouble))
}

/// Ends with what is wrong with a recording that was shown all the same.
pub(crate) fn ended(trouble: Option<Trouble>) -> Outcome {
    trouble.map_or(Ok(()), |trouble| Err(Failure::new(Exit::Unproven, trouble)))
}

/// The public half of a seal.
fn seal_key(text: &str, otherwise: Exit) -> Result<[u8; 32], Failure> {
    recorder::seal_key(text).ok_or_else(|| Failure::new(otherwise, words::not_a_seal_key(text)))
}

impl Fetched {
    /// Reads it to its end.
    fn verified(&self, key: &[u8; 32]) -> Result<Verified, Wrong> {
        let input = BufReader::new(&self.file);
        let verified = recorder::verify_from(input, self.session, key).map_err(Wrong::Broken)?;
        let sealed = hex(&verified.checkpoint.root);
        match &self.ledger {
            Ledger::Root(root) if *root != sealed => Err(Wrong::Replaced {
                root: root.clone(),
                sealed,
            }),
            Ledger::Root(_) | Ledger::Rootless | Ledger::Unasked => Ok(verified),
            Ledger::Unheard => Err(Wrong::Unheard),
            Ledger::Broken(seq) => Err(Wrong::Unproven { seq: seq.clone() }),
        }
    }
}

async fn export(context: &Context, args: &ExportArgs) -> Outcome {
    let fetched = fetched(context, &args.which).await?;
    let wrong = proven(context, &args.which, &fetched).await?;
    let mut file = fetched.file;
    if let Some(to) = args.to.as_deref().filter(|to| is_same(&file, to)) {
        let trouble = words::onto_itself(&to.display().to_string());
        return Err(Failure::new(Exit::Usage, trouble));
    }
    let mut out = match &args.to {
        Some(path) => Out::File(create(path)?),
        None => Out::Printer(context.printer),
    };
    let form = match (args.form.cast, args.form.text, args.form.jsonl) {
        (Some(Cast::V2), _, _) => Form::CastV2,
        (Some(Cast::V3), _, _) => Form::CastV3,
        (None, true, _) => Form::Text,
        (None, false, true) => Form::JsonLines,
        (None, false, false) => {
            let copied = io::copy(&mut file, &mut out).map(drop);
            copied.map_err(|error| unwritten(args, &error))?;
            return ended(wrong);
        }
    };
    let (shown, mut reader) = match (args.form.cast, args.channel) {
        (Some(_), None) => {
            let mut all = beginning(&args.which, &file)?;
            let shown = Channels::read(&mut all).shown(None);
            (shown, beginning(&args.which, &file)?)
        }
        // Read once: a pipe cannot be rewound.
        (_, chosen) => (chosen, begun(&args.which, file)?),
    };
    let mut buffered = BufWriter::with_capacity(64 * 1024, out);
    match written(&mut reader, form, shown, &mut buffered) {
        Ok(()) => ended(wrong),
        Err(ExportError::Read(found)) => {
            // What came before is good, and is worth having.
            buffered.flush().map_err(|error| unwritten(args, &error))?;
            Err(Failure::new(
                Exit::Unproven,
                words::unreadable(&args.which, &chain(&found)),
            ))
        }
        Err(ExportError::Write(error)) => Err(unwritten(args, &error)),
    }
}

/// Writes all of a recording in some form. Beside the texts of SQL in JSON stands what a policy is asked about them.
pub(crate) fn written<R: io::Read>(
    reader: &mut Reader<R>,
    form: Form,
    channel: Option<u32>,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    recorder::export(reader, (form, channel), Some(&classified), out)
}

/// Begins to read a recording, from its beginning. Only one reader of a file reads on.
pub(crate) fn beginning(which: &str, file: &File) -> Result<Reader<BufReader<File>>, Failure> {
    let rewound = file.try_clone().and_then(|mut file| {
        file.rewind()?;
        Ok(file)
    });
    begun(which, rewound.map_err(|error| odd(which, &error))?)
}

/// Begins to read a recording from where its file is at.
fn begun(which: &str, file: File) -> Result<Reader<BufReader<File>>, Failure> {
    Reader::new(BufReader::new(file))
        .map_err(|found| Failure::new(Exit::Unproven, words::unreadable(which, &chain(&found))))
}

/// What kept us from a recording besides what it is.
pub(crate) fn odd(which: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Error, words::unreadable(which, &error.to_string()))
}

/// Standard output, in pieces that are worth a call.
pub(crate) fn buffered(printer: Printer) -> impl Write {
    BufWriter::with_capacity(64 * 1024, Out::Printer(printer))
}

/// Whether a path is this file, which would be emptied before it is read.
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (file.metadata(), path.metadata()) {
        (Ok(read), Ok(written)) => {
            (read.dev(), read.ino()) == (written.dev(), written.ino()) && read.is_file()
        }
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// Creates a file that only its owner reads.
fn create(path: &Path) -> Result<File, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(|error| {
        let path = path.display().to_string();
        Failure::new(Exit::Error, cli::file("write", &path, &error.to_string()))
    })
}

fn unwritten(args: &ExportArgs, error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::told(Exit::Error);
    }
    let to = args.to.as_ref().map_or_else(
        || prompts::STANDARD_OUTPUT.to_owned(),
        |to| to.display().to_string(),
    );
    Failure::new(Exit::Error, cli::file("write", &to, &error.to_string()))
}

/// Where an export goes.
enum Out {
    File(File),
    Printer(Printer),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Printer(printer) => match printer.bytes(bytes) {
                Ok(()) => Ok(bytes.len()),
                Err(failure) if failure.trouble.is_none() => Err(io::ErrorKind::BrokenPipe.into()),
                Err(_told) => Err(io::Error::other(prompts::UNWRITABLE)),
            },
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Printer(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(which: &str, want: bool) {
        assert_eq!(is_file_name(which), want, "{which}");
    }

    #[test]
    fn a_file_is_named_by_its_path_or_its_ending() {
        check("./copy", true);
        check("/var/lib/copy", true);
        check("ses_01j9x3.rec", true);
        check("last", false);
        check("ses_01j9x3", false);
        check("rec", false);
    }
}
