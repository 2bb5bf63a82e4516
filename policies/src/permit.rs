//! One decision's yes. It cannot be cloned, stored or made outside `decide`, and
//! whoever uses it spends it.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Capabilities, Credential, DatabaseName, Endpoint, Facts, GrantId, Hop, Login, PrincipalName,
    Protocol, Target, Usage, Wayless,
};

/// A yes to be spent on one session.
#[derive(Debug)]
#[must_use = "a permit that is not spent has let nobody in"]
pub struct Permit {
    terms: Terms,
    usage: Arc<Usage>,
}

impl Permit {
    pub(crate) fn new(terms: Terms, usage: Arc<Usage>) -> Self {
        Self { terms, usage }
    }

    /// What it allows.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// What was asked to decide: for what the session asks next.
    pub fn usage(&self) -> &Arc<Usage> {
        &self.usage
    }

    /// Spends it.
    pub fn spend(self) -> Terms {
        self.terms
    }
}

/// What a permit allows: plain facts, to be shown, enforced and written down. Holding terms gives
/// no right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terms {
    /// Who.
    pub principal: PrincipalName,
    /// What they showed.
    pub credential: Credential,
    /// From where.
    pub source: IpAddr,
    /// To what.
    pub target: Arc<Target>,
    /// As whom.
    pub login: Login,
    /// Into which database, where it is another than the one that the target stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseName>,
    /// Through which other targets, the one that tidegate dials first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Hop>,
    /// How.
    pub protocol: Protocol,
    /// By which grant.
    pub grant: GrantId,
    /// Until when, exclusive.
    pub until: Timestamp,
    /// What may be done.
    pub capabilities: Capabilities,
    /// What must be done.
    pub obligations: Obligations,
}

impl Terms {
    /// The database that the session is in; none where there are none.
    pub fn dbname(&self) -> Option<&str> {
        match (&self.database, &self.target.endpoint) {
            (Some(other), Endpoint::Postgres(_)) => Some(other.as_str()),
            (None, Endpoint::Postgres(endpoint)) => Some(&endpoint.dbname),
            (_, Endpoint::Ssh(_)) => None,
        }
    }

    /// Whether the targets on the way are what they were, and may be gone through.
    ///
    /// # Errors
    ///
    /// Which of them is not, and why.
    pub fn way_holds(&self, facts: &Facts) -> Result<(), Wayless> {
        for (now, then) in facts.route(&self.target)?.iter().zip(&self.via) {
            if !now.target.endpoint.is_still(&then.target.endpoint) {
                let name = then.target.name.clone();
                return Err(Wayless::Gone { name });
            }
        }
        Ok(())
    }
}

/// What a permit asks of us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Obligations {
    /// Whether what a person types at a terminal is kept, or only counted.
    pub input: InputRecording,
}

/// Whether what a person types at a terminal is kept. Output always is. People type passwords at
/// prompts, so the default is to count.
///
/// Says nothing about what a shell or a command *without* a terminal is sent: that is a script, not
/// typing, and is kept as far as the server's `[recordings] stream_max` goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputRecording {
    /// Bytes are counted, not kept.
    Counted,
    /// Bytes are kept.
    Kept,
}
