//! What is looked at in one direction of a connection that is carried, and what must not go on.

use std::time::Duration;

use bytes::Bytes;
use policies::Deed;
use recorder::{AppendError, ChannelEvent};

use super::agent::{Forbidden, Wish, Wishes, message};
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

/// What becomes of what came.
#[derive(Debug)]
pub(super) struct Seen {
    /// What goes on.
    pub(super) passes: Bytes,
    /// Why nothing goes on behind it.
    pub(super) stop: Option<Stop>,
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
    /// The agent is not lent any more.
    Withdrawn,
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

    /// How many bytes of messages that have begun are held.
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Stranger(_) => 0,
            Self::Agent(wishes, _pace) => wishes.held(),
            Self::Answers(answers) => answers.held(),
        }
    }

    /// Looks at what came, and writes down what there is to write. Gives back what may go on: of an agent's
    /// messages those that are whole.
    pub(super) fn at(&mut self, came: Bytes, tap: &Tap) -> Result<Seen, AppendError> {
        match self {
            Self::Stranger(sniffer) => Ok(match sniffer.sniff(&came) {
                Some(conversation) => Seen::stopped(Stop::Inside(conversation)),
                None => Seen::good(came),
            }),
            Self::Agent(wishes, pace) => match wishes.take(&came) {
                Err(Forbidden) => Ok(Seen::stopped(Stop::Agent)),
                // What is lent is used with each wish.
                Ok((all, _whole)) if !all.is_empty() && !tap.may(&Deed::ForwardAgent) => {
                    all.first().map_or(Ok(()), |first| wished(first, tap))?;
                    Ok(Seen::stopped(Stop::Withdrawn))
                }
                Ok(came) => in_time(came, (pace, tap.elapsed()), |wish| wished(wish, tap)),
            },
            Self::Answers(answers) => match answers.take(&came) {
                Err(Forbidden) => Ok(Seen::stopped(Stop::Agent)),
                Ok((all, whole)) => {
                    all.iter().try_for_each(|(kind, of)| {
                        tap.event(agent("answer", &format!("{kind}, {of}")))
                    })?;
                    Ok(Seen::good(whole))
                }
            },
        }
    }
}

impl Seen {
    fn good(passes: Bytes) -> Self {
        Self { passes, stop: None }
    }

    fn stopped(stop: Stop) -> Self {
        Self {
            passes: Bytes::new(),
            stop: Some(stop),
        }
    }
}

/// Has wishes written down up to the first that must not go on, with that one. What was written down before it goes
/// on: the recording tells of no wish that the agent never heard of, but of the last, which it calls refused.
fn in_time<E>(
    (all, mut whole): (Vec<Wish>, Bytes),
    (pace, at): (&mut Pace, Duration),
    mut write: impl FnMut(&Wish) -> Result<(), E>,
) -> Result<Seen, E> {
    let mut passes = 0_usize;
    for wish in all {
        write(&wish)?;
        let stop = match (pace.wish(at), wish) {
            (Err(Forbidden), _) => Stop::Agent,
            (Ok(()), Wish::Login { .. }) => Stop::Login,
            (Ok(()), Wish::List | Wish::Sign { .. } | Wish::Extension { .. }) => {
                let next = whole.get(passes..).unwrap_or_default();
                passes = passes.saturating_add(message(next).unwrap_or_default().len());
                continue;
            }
        };
        return Ok(Seen {
            passes: whole.split_to(passes.min(whole.len())),
            stop: Some(stop),
        });
    }
    Ok(Seen::good(whole))
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

    use ca::sshsig;

    use super::*;

    /// Each that is written down is a write to the disk, and a target sends thousands in one packet.
    #[test]
    fn of_wishes_that_come_too_fast_few_are_written_down() {
        let mut pace = Pace::default();
        let check = |pace: &mut Pace, number: usize| {
            let (mut written, all) = (0, vec![Wish::List; number]);
            let came = (all, [0, 0, 0, 1, 11].repeat(number).into());
            let in_time = in_time::<Infallible>(came, (pace, Duration::ZERO), |_wish| {
                written += 1;
                Ok(())
            });
            let Ok(seen) = in_time;
            // The last is the one that is refused.
            let heard = written - usize::from(seen.stop.is_some());
            assert_eq!(seen.passes.len(), 5 * heard);
            (seen.stop.is_none(), written)
        };
        assert_eq!(check(&mut pace, 5), (true, 5));
        let (in_time, written) = check(&mut pace, 10_000);
        assert!(!in_time && written <= 101, "{written}");
    }

    /// A login is the owner's entrance: it goes no further. What was asked before it in one packet does, as it would
    /// have in a packet of its own.
    #[test]
    fn what_is_told_as_asked_before_a_login_was_passed_on() {
        let data = sshsig::enveloped(sshsig::LOGIN_NAMESPACE, b"x").unwrap();
        let string = |bytes: &[u8]| {
            let length = u32::try_from(bytes.len()).unwrap();
            [&length.to_be_bytes()[..], bytes].concat()
        };
        let sign = |data: &[u8]| {
            let body = [&[13][..], &string(b"key"), &string(data), &[0; 4]];
            string(&body.concat())
        };
        let before = [string(&[11]), sign(b"data")].concat();
        let login = [&before[..], &sign(&data), &string(&[11])].concat();
        let came = Wishes::default().take(&login).unwrap();
        let (mut told, mut pace) = (Vec::new(), Pace::default());
        let Ok(seen) = in_time::<Infallible>(came, (&mut pace, Duration::ZERO), |wish| {
            told.push(wish.clone());
            Ok(())
        });
        assert_eq!(seen.stop, Some(Stop::Login));
        assert!(matches!(
            told[..],
            [Wish::List, Wish::Sign { .. }, Wish::Login { .. }]
        ));
        assert_eq!(seen.passes, before);
    }
}
