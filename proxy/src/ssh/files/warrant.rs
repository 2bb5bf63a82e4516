//! What a session may do with files, asked before it is done.
//!
//! What is asked about is put together once, and what was decided remembered, for as long as policies and facts
//! stay the same, and for a second at most, because policies may look at the time. Follows nothing itself.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use policies::words::files::FileSaying;
use policies::words::ssh::SshSaying;
use policies::words::{Shown, Words};
use policies::{Capability, Carrier, Denial, Extent, FileAccess, FileDeed, FileUse, Scrutiny};

use super::command::FileCommand;
use super::path::{self, Vague};
use super::rsync;
use super::scp::{self, Role};
use super::sftp::{Access, Touch, Warden};
use crate::session::scope::Scope;
use crate::session::share::QUESTION;
use crate::ssh::channel::prelude::Program;

/// How long an answer is good for where nothing but the time has changed.
const ANSWER_MAX: Duration = Duration::from_millis(750);

/// How many answers are remembered; then all are forgotten.
const ANSWERS_MAX: usize = 256;

/// How long a command line may be that carries files one by one, in bytes: four of the longest paths of Linux.
const CARRIER_MAX: usize = 16 * 1024;

/// How many paths a receiver may be given. Each is asked about twice, with the whole line; rsync's clients name one.
const TREES_MAX: usize = 16;

/// What is followed of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ssh) enum Follow {
    /// Nothing.
    Nothing,
    /// SFTP.
    Sftp,
    /// Legacy scp, and by which command each file is asked about, if it is.
    Scp(scp::Invocation, Option<Carrier>),
    /// rsync.
    Rsync(rsync::Invocation),
}

/// What was answered.
type Answers = HashMap<(FileAccess, String, Extent), Result<(), Denial>>;

/// On which edition of policies and facts an answer rests, and since when.
#[derive(Debug, Clone, Copy)]
pub(in crate::ssh) struct Asked {
    edition: u64,
    at: Duration,
}

impl Asked {
    /// For what is asked next: what changes behind this is seen by the next look.
    pub(in crate::ssh) fn now(scope: &Scope) -> Self {
        Self {
            edition: scope.edition(),
            at: scope.elapsed(),
        }
    }

    /// Whether an answer of then is one of now.
    pub(in crate::ssh) fn is_good(self, now: Self) -> bool {
        self.edition == now.edition && now.at.saturating_sub(self.at) < ANSWER_MAX
    }
}

/// The judgement of what one program does with files.
#[derive(Debug)]
pub(super) struct Warrant {
    scope: Scope,
    carrier: Carrier,
    asked: Asked,
    files: FileUse,
    answers: RefCell<Answers>,
    /// How many questions there were.
    questions: Cell<usize>,
}

/// Whether a program may start, and what is followed of it.
pub(in crate::ssh) fn admit(
    scope: &Scope,
    program: &Program,
    has_terminal: bool,
) -> Result<Follow, Words> {
    let allowed = scope.may(&program.deed());
    let command = match program {
        // What a terminal shows is no transfer.
        Program::Exec(command) if !has_terminal => FileCommand::of(command),
        // The target's terminal would take bits off, end lines and swallow characters behind our back.
        Program::Subsystem(name) if name == "sftp" && has_terminal => {
            return Err(SshSaying::FilesByTerminal.words());
        }
        Program::Subsystem(name) if name == "sftp" => {
            return allowed.map(|()| Follow::Sftp).map_err(|no| no.words());
        }
        Program::Exec(_) | Program::Shell | Program::Subsystem(_) => None,
    };
    match (allowed, command) {
        (Ok(()), command) => Ok(match command.filter(FileCommand::is_single) {
            Some(FileCommand::Scp(scp)) => Follow::Scp(scp, None),
            Some(FileCommand::Rsync(rsync)) => Follow::Rsync(rsync),
            None => Follow::Nothing,
        }),
        (Err(no), None) => Err(no.words()),
        (Err(no), Some(command)) => {
            let line = program.command().unwrap_or_default();
            let is_askable = line.len() <= CARRIER_MAX;
            let warrant = Warrant::new(scope.clone(), Carrier::Command(line));
            if warrant.is_free() {
                return Err(no.words());
            }
            if !is_askable {
                return Err(FileSaying::Much.words());
            }
            let admitted = match command {
                FileCommand::Scp(scp) => warrant
                    .admit_scp(&scp)
                    .map(|()| Follow::Scp(scp, Some(warrant.carrier.clone()))),
                FileCommand::Rsync(rsync) => warrant
                    .admit_rsync(&rsync.wants())
                    .map(|()| Follow::Rsync(rsync)),
            };
            scope
                .share()
                .takes(warrant.asked().saturating_mul(QUESTION));
            admitted
        }
    }
}

impl Warrant {
    /// One by which nothing has been asked.
    pub(super) fn new(scope: Scope, carrier: Carrier) -> Self {
        let asked = Asked::now(&scope);
        let files = scope.files();
        Self {
            scope,
            carrier,
            asked,
            files,
            answers: RefCell::default(),
            questions: Cell::new(0),
        }
    }

    /// Forgets what may have changed.
    pub(super) fn renew(&mut self, at: Duration) {
        let edition = self.scope.edition();
        let now = Asked { edition, at };
        if !self.asked.is_good(now) {
            self.asked = now;
            self.answers.get_mut().clear();
            self.files = self.scope.files();
        }
    }

    /// Whether nothing has to be asked.
    pub(super) fn is_free(&self) -> bool {
        self.files.scrutiny() == Scrutiny::Unread
    }

    /// Whether a file may be touched that is in one of these places.
    pub(super) fn allows_all(
        &self,
        role: Role,
        places: &[Result<String, Vague>],
    ) -> Result<(), Words> {
        places
            .iter()
            .try_for_each(|place| self.ask(access(role), settled(place)?, Extent::One))
    }

    fn admit_scp(&self, scp: &scp::Invocation) -> Result<(), Words> {
        let place = scp.wants();
        let place = settled(&place)?;
        self.either(access(scp.role()), place)
    }

    fn admit_rsync(&self, wants: &rsync::Wants) -> Result<(), Words> {
        if let Some(option) = &wants.odd {
            return Err(FileSaying::Option { option }.words());
        }
        if wants.trees.len() > TREES_MAX {
            return Err(FileSaying::Much.words());
        }
        let access = if wants.sends {
            FileAccess::Read
        } else {
            FileAccess::Write
        };
        for tree in &wants.trees {
            let asked = self.ask(access, settled(tree)?, Extent::Tree);
            if wants.sends && asked.is_err() {
                return Err(FileSaying::Sender.words());
            }
            asked?;
            // A receiver tells checksums of what it has, of single bytes if asked, and whether a guess at it is right.
            if !wants.sends
                && self
                    .ask(FileAccess::Read, settled(tree)?, Extent::Tree)
                    .is_err()
            {
                return Err(FileSaying::Receiver.words());
            }
        }
        Ok(())
    }

    /// Whether this may be touched, or else what is in it, if it is a directory and the no is not about its own name.
    fn either(&self, access: FileAccess, place: &str) -> Result<(), Words> {
        let Err(no) = self.answer(access, place, Extent::One) else {
            return Ok(());
        };
        if !self.files.is_about(place, &no) {
            let inside = path::inside(place);
            if self.answer(access, &inside, Extent::One).is_ok() {
                return Ok(());
            }
        }
        Err(words(access, place, &no))
    }

    fn ask(&self, access: FileAccess, place: &str, extent: Extent) -> Result<(), Words> {
        self.answer(access, place, extent)
            .map_err(|denial| words(access, place, &denial))
    }

    fn answer(&self, access: FileAccess, place: &str, extent: Extent) -> Result<(), Denial> {
        let mut answers = self.answers.borrow_mut();
        let key = (access, place.to_owned(), extent);
        if let Some(known) = answers.get(&key) {
            return known.clone();
        }
        let file = FileDeed {
            access,
            path: place.to_owned(),
            extent,
            carrier: self.carrier.clone(),
        };
        let asked = self.files.questions(&file).max(1);
        self.questions
            .set(self.questions.get().saturating_add(asked));
        let answer = self.files.may(self.scope.terms(), &file);
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(key, answer.clone());
        answer
    }
}

impl Warden for Warrant {
    fn allows(&self, touch: &Touch) -> Result<(), Words> {
        let place = settled(&touch.place)?;
        let ask = |access| self.ask(access, place, touch.extent);
        match touch.access {
            Access::Read => ask(FileAccess::Read),
            Access::Write => ask(FileAccess::Write),
            Access::List => self.either(FileAccess::Read, place),
            Access::Look => self
                .either(FileAccess::Read, place)
                .or_else(|no| self.either(FileAccess::Write, place).map_err(|_same| no)),
        }
    }

    /// Terms never grow, so what they do not have will not come.
    fn reads_nothing(&self) -> bool {
        let has = &self.scope.terms().capabilities;
        ![Capability::SftpRead, Capability::Exec, Capability::Shell]
            .iter()
            .any(|each| has.contains(each))
    }

    fn asked(&self) -> usize {
        self.questions.get()
    }
}

/// A place, if it can be told which.
fn settled(place: &Result<String, Vague>) -> Result<&str, Words> {
    place.as_deref().map_err(|vague| {
        let why = vague.to_string();
        FileSaying::Vague { why: &why }.words()
    })
}

fn access(role: Role) -> FileAccess {
    match role {
        Role::Source => FileAccess::Read,
        Role::Sink => FileAccess::Write,
    }
}

fn words(access: FileAccess, path: &str, denial: &Denial) -> Words {
    if let Denial::Forbidden { policy, reason } = denial {
        FileSaying::Denied {
            access,
            path,
            policy,
            reason,
        }
        .words()
    } else {
        denial.words()
    }
}
