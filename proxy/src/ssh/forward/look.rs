//! What is looked at in one direction of a connection that is carried, and what must not go on.

use std::time::Duration;

use bytes::Bytes;
use recorder::{AppendError, ChannelEvent};

use super::agent::{Forbidden, Wish, Wishes};
use super::answers::{Answers, Owed, Pace};
use super::sniff::{Conversation, Sniffer};
use crate::ssh::channel::tap::Tap;

/// How one direction is looked at.
#[derive(Debug)]
pub(super) enum Look {
    /// For what has a door of its own.
    Stranger(Sniffer),
    /// For what a target asks of an agent, and how fast.
    Agent(Wishes, Pace),
    /// For what the agent answers.
    Answers(Answers),
}

/// Why what came must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has a door of its own.
    Inside(Conversation),
    /// It is more than may be asked of an agent.
    Agent,
    /// It would log the agent's owner in at a bastion.
    Login,
}

impl Look {
    /// For what has a door of its own, in both directions.
    pub(super) fn strangers() -> (Self, Self) {
        let look = || Self::Stranger(Sniffer::default());
        (look(), look())
    }

    /// For what the target asks of the client's agent.
    pub(super) fn agent() -> (Self, Self) {
        let owed = Owed::default();
        let answers = Self::Answers(Answers::new(owed.clone()));
        (answers, Self::Agent(Wishes::default(), Pace::new(owed)))
    }

    /// Looks at what came, and writes down what there is to write. Gives back what may go on: of an agent's
    /// messages those that are whole.
    pub(super) fn at(
        &mut self,
        came: Bytes,
        tap: &Tap,
    ) -> Result<Result<Bytes, Stop>, AppendError> {
        match self {
            Self::Stranger(sniffer) => Ok(match sniffer.sniff(&came) {
                Some(conversation) => Err(Stop::Inside(conversation)),
                None => Ok(came),
            }),
            Self::Agent(wishes, pace) => match wishes.take(&came) {
                Err(Forbidden) => Ok(Err(Stop::Agent)),
                Ok((all, whole)) => {
                    let in_time = in_time(&all, (pace, tap.elapsed()), |wish| wished(wish, tap))?;
                    Ok(match in_time {
                        Err(Forbidden) => Err(Stop::Agent),
                        Ok(()) if ends_in_login(&all) => Err(Stop::Login),
                        Ok(()) => Ok(whole),
                    })
                }
            },
            Self::Answers(answers) => match answers.take(&came) {
                Err(Forbidden) => Ok(Err(Stop::Agent)),
                Ok((all, whole)) => {
                    all.iter().try_for_each(|(kind, of)| {
                        tap.event(agent("answer", &format!("{kind}, {of}")))
                    })?;
                    Ok(Ok(whole))
                }
            },
        }
    }
}

/// Has wishes written down up to the first that comes too soon, with that one.
fn in_time<E>(
    all: &[Wish],
    (pace, at): (&mut Pace, Duration),
    mut write: impl FnMut(&Wish) -> Result<(), E>,
) -> Result<Result<(), Forbidden>, E> {
    for wish in all {
        write(wish)?;
        if let Err(forbidden) = pace.wish(at) {
            return Ok(Err(forbidden));
        }
    }
    Ok(Ok(()))
}

/// Whether the last of what was wished is a login.
fn ends_in_login(all: &[Wish]) -> bool {
    matches!(all.last(), Some(Wish::Login { .. }))
}

/// Writes one wish down, and what it carries.
fn wished(wish: &Wish, tap: &Tap) -> Result<(), AppendError> {
    match wish {
        Wish::List => tap.event(agent("list", "")),
        Wish::Extension { name, of } => {
            tap.event(agent("extension", name))?;
            tap.event(agent("contents", &of.to_string()))
        }
        Wish::Sign { key, of } | Wish::Login { key, of } => {
            tap.event(agent("sign", key))?;
            tap.event(agent("contents", &of.to_string()))
        }
    }
}

fn agent<'a>(wish: &'a str, key: &'a str) -> ChannelEvent<'a> {
    ChannelEvent::Agent { wish, key }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// Each that is written down is a write to the disk, and a target sends thousands in one packet.
    #[test]
    fn of_wishes_that_come_too_fast_few_are_written_down() {
        let mut pace = Pace::default();
        let check = |pace: &mut Pace, number: usize| {
            let (mut written, all) = (0, vec![Wish::List; number]);
            let in_time = in_time::<Infallible>(&all, (pace, Duration::ZERO), |_wish| {
                written += 1;
                Ok(())
            });
            let Ok(in_time) = in_time;
            (in_time.is_ok(), written)
        };
        assert_eq!(check(&mut pace, 5), (true, 5));
        let (in_time, written) = check(&mut pace, 10_000);
        assert!(!in_time && written <= 101, "{written}");
    }
}
