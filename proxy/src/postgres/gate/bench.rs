//! Whom the gate asks: the policies, the budget, and others.

use control::Heard;
use policies::words::Words;
use policies::{DatabaseName, Deed, Denial, HeldStatement, Measure, Scrutiny, SqlStatement};
use tokio::sync::mpsc;

use super::Held;
use crate::session::scope::Scope;

/// Who answers for the policies.
pub(crate) trait Bench {
    /// What its answers rest on: they are the same while this is, but for the time.
    fn edition(&self) -> u64;
    /// Whether the statements of this session have to be asked about.
    fn scrutiny(&self) -> Scrutiny;
    /// Whether this may be done now.
    fn may(&self, deed: &Deed) -> Result<(), Denial>;
    /// Whether others could let through what may not be done.
    fn can_be_seconded(&self, statement: &SqlStatement) -> bool;
    /// Whether what is run and sent is counted against a budget.
    fn is_metered(&self) -> bool;
    /// Counts a statement that is about to run. What the client is told where that is too much.
    fn charge(&self) -> Option<Words>;
    /// What the client is told where the budget is used up.
    fn is_over(&self) -> Option<Words>;
    /// What the client is told where nothing more can be run.
    fn is_spent(&self) -> Option<Words>;
    /// Asks others about a statement that needs a second person.
    fn second(&self, held: &Held) -> Hearing;
}

/// What is heard of a statement that waits.
#[derive(Debug)]
pub(crate) struct Hearing {
    /// What others say. Dropping it takes the question back.
    pub(crate) heard: mpsc::Receiver<Heard>,
    /// That the client gave up.
    pub(crate) cancelled: mpsc::Receiver<()>,
}

impl Bench for Scope {
    fn edition(&self) -> u64 {
        Scope::edition(self)
    }

    fn scrutiny(&self) -> Scrutiny {
        Scope::scrutiny(self)
    }

    fn may(&self, deed: &Deed) -> Result<(), Denial> {
        Scope::may(self, deed)
    }

    fn is_metered(&self) -> bool {
        self.meter().is_some()
    }

    fn charge(&self) -> Option<Words> {
        self.meter()?.take(Measure::Statements, 1)
    }

    fn is_over(&self) -> Option<Words> {
        self.meter()?.over()
    }

    fn is_spent(&self) -> Option<Words> {
        self.meter()?.nothing_left(Measure::Statements)
    }

    fn can_be_seconded(&self, statement: &SqlStatement) -> bool {
        Scope::can_be_seconded(self, statement)
    }

    fn second(&self, held: &Held) -> Hearing {
        let database = self.terms().dbname();
        let statement = HeldStatement {
            session: self.session(),
            grant: self.terms().grant,
            database: database.and_then(|name| DatabaseName::parse(name).ok()),
            text: held.text.clone(),
            values: held.values.clone(),
            digest: held.digest(),
            policy: held.policy.clone(),
            why: held.reason.clone(),
            brief: false,
        };
        let (heard, cancelled) = Scope::second(self, statement, held.statements.clone());
        Hearing { heard, cancelled }
    }
}
