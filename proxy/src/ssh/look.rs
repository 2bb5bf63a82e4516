//! What is looked at in one direction of a connection that is carried, and what must not go on.

use recorder::{AppendError, ChannelEvent};

use super::agent::{Forbidden, Wish, Wishes};
use super::sniff::{Conversation, Sniffer};
use super::tap::Tap;

/// How one direction is looked at.
#[derive(Debug)]
pub(super) enum Look {
    /// For what has a door of its own.
    Stranger(Sniffer),
    /// For what a target asks of an agent.
    Agent(Wishes),
    /// Not at all.
    Away,
}

/// Why what came must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has a door of its own.
    Inside(Conversation),
    /// It is more than may be asked of an agent.
    Agent,
}

impl Look {
    /// For what has a door of its own, in both directions.
    pub(super) fn strangers() -> (Self, Self) {
        let look = || Self::Stranger(Sniffer::default());
        (look(), look())
    }

    /// For what the target asks of the client's agent.
    pub(super) fn agent() -> (Self, Self) {
        (Self::Away, Self::Agent(Wishes::default()))
    }

    /// Looks at what came, and writes down what there is to write. None when it may go on.
    pub(super) fn at(&mut self, came: &[u8], tap: &Tap) -> Result<Option<Stop>, AppendError> {
        match self {
            Self::Away => Ok(None),
            Self::Stranger(sniffer) => Ok(sniffer.sniff(came).map(Stop::Inside)),
            Self::Agent(wishes) => match wishes.take(came) {
                Err(Forbidden) => Ok(Some(Stop::Agent)),
                Ok(all) => {
                    all.iter().try_for_each(|wish| tap.event(event(wish)))?;
                    Ok(None)
                }
            },
        }
    }
}

fn event(wish: &Wish) -> ChannelEvent<'_> {
    match wish {
        Wish::List => ChannelEvent::Agent {
            wish: "list",
            key: "",
        },
        Wish::Extension => ChannelEvent::Agent {
            wish: "extension",
            key: "",
        },
        Wish::Sign { key } => ChannelEvent::Agent { wish: "sign", key },
    }
}
