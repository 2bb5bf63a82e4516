//! The account and the policies of a session over pipes.

use super::*;

/// Remembers what is recorded, as text.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) frames: RefCell<Vec<String>>,
    /// What the notes of these say.
    pub(super) notes: RefCell<Vec<String>>,
    pub(super) to_target: Cell<usize>,
    pub(super) broken: bool,
    /// What no statement may do; with `None`, none is asked about.
    pub(super) forbidden: Option<SqlKind>,
    /// How many rows the target may send, and how many it has sent.
    pub(super) rows_max: Option<u64>,
    pub(super) rows: Cell<u64>,
    /// How many bytes of it counted.
    pub(super) bytes: Cell<u64>,
    /// Whether others could let it through.
    pub(super) secondable: bool,
    /// What they say, one after the other; where there is none left, the client gives up.
    pub(super) said: RefCell<std::collections::VecDeque<control::Heard>>,
    /// How they are told, where that is not at once.
    pub(super) telling: RefCell<Option<mpsc::Sender<control::Heard>>>,
    /// Whether the one who asked is told later.
    pub(super) tells_later: bool,
    /// What they were shown: the text, the values, the digest.
    pub(super) shown: RefCell<Vec<(String, Vec<String>, String)>>,
    pub(super) asked: Cell<usize>,
    pub(super) edition: Cell<u64>,
    /// The types of bound values that were recorded.
    pub(super) types: RefCell<Vec<u32>>,
    /// The bytes of the outcome that was recorded last.
    pub(super) copied: Cell<u64>,
    /// How many questions there were in all sessions that count together.
    pub(super) questions: std::rc::Rc<Cell<usize>>,
    pub(super) share: Arc<crate::session::share::Share>,
    /// How often what was read has been looked at.
    pub(super) looked: Cell<usize>,
}

/// What a copy carried.
fn copied(operation: &recorder::FileOperation<'_>) -> String {
    let outcome = operation.outcome.unwrap();
    let how = format!("{:?}", outcome.result);
    let how = how.split(' ').next().unwrap();
    let carried = [outcome.read, outcome.written];
    let carried = carried.iter().find(|one| one.digest.is_some()).unwrap();
    format!(
        "{} {} {how} {} {} {}",
        operation.id,
        operation.action,
        carried.bytes,
        policies::hex(&carried.digest.unwrap()),
        operation.detail
    )
}

pub(super) fn asked() -> control::Heard {
    control::Heard::Asked {
        request: policies::RequestId::new(jiff::Timestamp::UNIX_EPOCH, [0; 10]),
        lapses_at: jiff::Timestamp::UNIX_EPOCH,
    }
}

impl Bench for Memory {
    fn edition(&self) -> u64 {
        self.looked.set(self.looked.get().saturating_add(1));
        self.edition.get()
    }

    fn scrutiny(&self) -> Scrutiny {
        match self.forbidden {
            None => Scrutiny::Unread,
            Some(_) => Scrutiny::Each,
        }
    }

    fn may(&self, deed: &Deed) -> Result<(), Denial> {
        self.asked.set(self.asked.get().saturating_add(1));
        self.questions.set(self.questions.get().saturating_add(1));
        let is_forbidden = matches!(deed, Deed::Statement(one) if Some(one.kind) == self.forbidden);
        if is_forbidden {
            return Err(Denial::Forbidden {
                policy: "guard".to_owned(),
                reason: "Not here.".to_owned(),
            });
        }
        Ok(())
    }

    fn is_metered(&self) -> bool {
        self.rows_max.is_some()
    }

    fn charge(&self) -> Option<Words> {
        None
    }

    fn is_spent(&self) -> Option<Words> {
        self.is_over()
    }

    fn is_over(&self) -> Option<Words> {
        self.spends(0, 0, 0)
    }

    fn can_be_seconded(&self, _statement: &SqlStatement) -> bool {
        self.secondable
    }

    fn second(&self, held: &Held) -> Hearing {
        let shown = (held.text.clone(), held.values.clone(), held.digest());
        self.shown.borrow_mut().push(shown);
        let ((told, heard), (cancel, cancelled)) = (mpsc::channel(2), mpsc::channel(1));
        if self.tells_later {
            *self.telling.borrow_mut() = Some(told);
            return Hearing { heard, cancelled };
        }
        match self.said.borrow_mut().pop_front() {
            Some(answer) => {
                told.try_send(asked()).unwrap();
                told.try_send(answer).unwrap();
            }
            None => cancel.try_send(()).unwrap(),
        }
        Hearing { heard, cancelled }
    }
}

impl Account for Memory {
    fn stir(&self) -> Duration {
        Duration::ZERO
    }

    fn passes(&self, stream: Stream, bytes: usize) {
        if stream == Stream::Input {
            let before = self.to_target.get();
            self.to_target.set(before.saturating_add(bytes));
        }
    }

    fn spends(&self, rows: u64, bytes: u64, _statements: u64) -> Option<Words> {
        self.bytes.set(self.bytes.get().saturating_add(bytes));
        self.rows.set(self.rows.get().saturating_add(rows));
        let most = self.rows_max?;
        (self.rows.get() > most).then(|| Words {
            code: "TG559",
            what: "used up".to_owned(),
            hint: None,
        })
    }

    fn warnings(&self) -> Vec<Words> {
        Vec::new()
    }

    fn record_all(&self, frames: &[Frame<'_>]) -> Result<(), AppendError> {
        if self.broken {
            return Err(AppendError::Sealed);
        }
        let text = |frame: &Frame<'_>| match frame {
            Frame::Statement(said) => {
                self.types
                    .borrow_mut()
                    .extend(said.parameters.iter().map(|one| one.oid));
                format!(
                    "{} {:?} {}",
                    said.id,
                    said.kind,
                    String::from_utf8_lossy(said.text)
                )
            }
            Frame::Outcome(outcome) => {
                let error = outcome.error.map_or("", |error| error.sqlstate);
                self.copied.set(outcome.bytes);
                format!(
                    "{} -> {}{} {}",
                    outcome.id,
                    outcome.tag.unwrap_or_default(),
                    error,
                    outcome.rows
                )
            }
            Frame::Note { code, text } => {
                self.notes.borrow_mut().push((*text).to_owned());
                format!("note {code}")
            }
            Frame::Omitted { bytes, digest, .. } => match digest {
                None => format!("ahead {bytes}"),
                Some(recorder::Digest::Sha256(digest) | recorder::Digest::Blake3(digest)) => {
                    format!("omitted {bytes} {}", policies::hex(digest))
                }
            },
            Frame::File(operation) => copied(operation),
            Frame::Data { bytes, .. } => format!("data {}", String::from_utf8_lossy(bytes)),
            Frame::Channel { .. } | Frame::Close { .. } => {
                format!("{frame:?}")
            }
        };
        self.frames.borrow_mut().extend(frames.iter().map(text));
        Ok(())
    }
}
