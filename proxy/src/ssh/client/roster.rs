//! The channels that a client has open: how many there may be, what each was asked, and how much of
//! what came over it waits.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use russh::ChannelId;

use crate::ssh::channel::requests::{
    Answer, Asked, CHANNELS_MAX, FORWARDS_MAX, JUMPS_MAX, Request, Stage,
};
use crate::ssh::channel::tallies::Tallies;
use crate::ssh::flow::course::Course;
use crate::ssh::flow::{Flow, Tally, Way};

/// What is known of a session channel.
#[derive(Debug)]
struct Session {
    stage: Stage,
    asked: Asked,
    tally: Arc<Tally>,
}

/// What is known of a channel that carries a connection.
#[derive(Debug)]
struct Carried {
    asked: Asked,
    tally: Weak<Tally>,
    course: Arc<Course>,
}

/// All channels of one client connection.
#[derive(Debug)]
pub(super) struct Roster {
    flow: Arc<Flow>,
    sessions: HashMap<ChannelId, Session>,
    /// Those that carry a connection. Whoever carries one holds its tally, from before the channel is
    /// open until the connection is over at both ends; what nobody holds is over.
    carried: HashMap<ChannelId, Carried>,
    /// Those that we opened. Knows also how many are over of which russh keeps something, whoever opened them.
    pub(super) opened: Tallies,
    /// Whether connections to targets may be opened inside.
    pub(super) jumps: bool,
}

impl Roster {
    /// Nothing is open yet.
    pub(super) fn new(flow: Arc<Flow>) -> Self {
        Self {
            opened: Tallies::new(Arc::clone(&flow), Way::Up),
            flow,
            sessions: HashMap::new(),
            carried: HashMap::new(),
            jumps: false,
        }
    }

    /// Takes in one more session channel, or not.
    pub(super) fn session(&mut self, id: ChannelId) -> Option<Arc<Tally>> {
        self.forget();
        if self.sessions.len() >= CHANNELS_MAX {
            return None;
        }
        let tally = self.tally();
        let session = Session {
            stage: Stage::default(),
            asked: Asked::default(),
            tally: Arc::clone(&tally),
        };
        self.sessions.insert(id, session);
        Some(tally)
    }

    /// Takes in one more channel that carries a connection, or not.
    pub(super) fn carried(&mut self, id: ChannelId) -> Option<Arc<Tally>> {
        self.forget();
        if self.carried.len() >= self.carried_max() {
            return None;
        }
        let tally = self.tally();
        let carried = Carried {
            asked: Asked::default(),
            tally: Arc::downgrade(&tally),
            course: Arc::clone(tally.course()),
        };
        self.carried.insert(id, carried);
        Some(tally)
    }

    /// How many channels may carry a connection at a time.
    fn carried_max(&self) -> usize {
        if self.jumps { JUMPS_MAX } else { FORWARDS_MAX }
    }

    /// Forgets what is over. Of a channel that we have closed first russh tells nothing more: it is
    /// over when nobody holds its tally any longer.
    fn forget(&mut self) {
        let mut kept: usize = 0;
        self.sessions.retain(|_, session| {
            let stays = Arc::strong_count(&session.tally) > 1;
            kept = kept.saturating_add(usize::from(!stays));
            stays
        });
        self.carried.retain(|_, carried| {
            let stays = carried.tally.strong_count() > 0;
            kept = kept.saturating_add(usize::from(!stays && carried.course.is_kept()));
            stays
        });
        self.opened.keep(kept);
    }

    /// Whether this connection may have no more channels at all.
    pub(super) fn is_worn(&self) -> bool {
        self.opened.is_worn()
    }

    fn tally(&self) -> Arc<Tally> {
        Arc::new(Tally::new(Arc::clone(&self.flow), Way::Up))
    }

    /// A channel is over at the client's end.
    pub(super) fn close(&mut self, id: ChannelId) {
        if self.sessions.remove(&id).is_some() {
            return;
        }
        match self.carried.get(&id) {
            Some(carried) => carried.course.closes(),
            None => self.opened.closed(id),
        }
    }

    /// Answers a request on a session channel; none where there is none.
    pub(super) fn answer(&mut self, id: ChannelId, request: Request<'_>) -> Option<Answer> {
        let session = self.sessions.get_mut(&id)?;
        Some(session.stage.answer(request))
    }

    /// Counts what was asked, with this many bytes of text, on whichever channel there is. False when it was one too
    /// many.
    pub(super) fn charge(&mut self, id: ChannelId, bytes: usize) -> bool {
        match self.asked(id) {
            Some(asked) => asked.count(bytes),
            None => self.opened.charge(id, bytes),
        }
    }

    /// The same for a signal with a name of this length.
    pub(super) fn charge_signal(&mut self, id: ChannelId, name: usize) -> bool {
        match self.asked(id) {
            Some(asked) => asked.count_signal(name),
            None => self.opened.charge(id, name),
        }
    }

    /// The client has opened a channel as we asked. False where it is the client's own: russh takes such a confirmation
    /// for every channel that there is.
    pub(super) fn confirm(&self, id: ChannelId) -> bool {
        if self.sessions.contains_key(&id) || self.carried.contains_key(&id) {
            return false;
        }
        drop(self.opened.of(id));
        true
    }

    fn asked(&mut self, id: ChannelId) -> Option<&mut Asked> {
        let session = self.sessions.get_mut(&id).map(|session| &mut session.asked);
        session.or_else(|| Some(&mut self.carried.get_mut(&id)?.asked))
    }

    /// Counts bytes that came. False when the client sends more than all its windows.
    pub(super) fn count(&self, id: ChannelId, bytes: usize) -> bool {
        if let Some(session) = self.sessions.get(&id) {
            session.tally.add(bytes);
        } else if let Some(tally) = self.carried.get(&id).and_then(|one| one.tally.upgrade()) {
            tally.add(bytes);
        } else {
            self.opened.add(id, bytes);
        }
        self.flow.weigh();
        !self.flow.is_overrun(self.windows())
    }

    /// The window of a channel from here on.
    pub(super) fn window(&self) -> u32 {
        self.flow.window(self.windows())
    }

    /// How many channels a window's worth of bytes may wait of. Connections inside one to the bastion
    /// are always read, so theirs do not count beyond the number of sessions.
    fn windows(&self) -> usize {
        let open = [self.sessions.len(), self.carried.len(), self.opened.len()];
        let open = open.iter().sum::<usize>();
        if self.jumps {
            open.min(CHANNELS_MAX)
        } else {
            open
        }
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::encoding::Decode as _;

    use super::*;
    use crate::ssh::flow::course::KEPT_MAX;

    /// Opens and ends this many session channels that the client never closes.
    fn wear(roster: &mut Roster, times: usize) {
        for number in 0..times {
            drop(roster.session(id(number)).expect("one at a time"));
        }
    }

    fn id(number: usize) -> ChannelId {
        let number = u32::try_from(number).unwrap().to_be_bytes();
        ChannelId::decode(&mut number.as_slice()).unwrap()
    }

    #[test]
    fn channels_that_nobody_carries_any_longer_take_no_place_but_are_not_endless() {
        let mut roster = Roster::new(Arc::default());
        wear(&mut roster, 10 * CHANNELS_MAX);
        assert!(!roster.is_worn());
        wear(&mut roster, KEPT_MAX);
        assert!(roster.is_worn());
    }

    /// Has twice as many connections as are kept, each ended like this, and says whether they were too many.
    fn wears(end: fn(&mut Roster, (ChannelId, &Tally))) -> bool {
        let mut roster = Roster::new(Arc::default());
        for number in 0..2 * KEPT_MAX {
            let tally = roster.carried(id(number)).expect("one at a time");
            end(&mut roster, (id(number), tally.as_ref()));
        }
        roster.forget();
        roster.is_worn()
    }

    #[test]
    fn connections_that_the_client_closes_first_or_that_were_never_open_are_not_kept_at_its_end() {
        assert!(!wears(|roster, (id, tally)| {
            tally.course().opens();
            roster.close(id);
        }));
        assert!(!wears(|_, (_refused, _)| {}));
        assert!(wears(|_, (_ours, tally)| tally.course().opens()));
    }

    #[test]
    fn channels_that_we_opened_and_closed_first_wear_the_same_connection() {
        let mut roster = Roster::new(Arc::default());
        let opened = roster.opened.clone();
        for number in 0..2 * KEPT_MAX {
            drop(opened.of(id(number)));
            roster.close(id(number));
            opened.forget(id(number));
        }
        assert!(!roster.is_worn());
        for number in 0..KEPT_MAX {
            drop(opened.of(id(number)));
            opened.forget(id(number));
        }
        assert!(roster.is_worn());
    }

    /// Whoever opens with the client what comes in at the target sees the client's own among what is kept.
    #[test]
    fn channels_of_both_sides_wear_one_connection() {
        let mut roster = Roster::new(Arc::default());
        let opened = roster.opened.clone();
        for number in 0..KEPT_MAX / 2 {
            drop(opened.of(id(number)));
            opened.forget(id(number));
        }
        wear(&mut roster, KEPT_MAX / 2);
        roster.forget();
        assert!(roster.is_worn() && opened.is_worn());
    }

    #[test]
    fn what_is_asked_on_a_channel_that_we_opened_is_counted() {
        let mut roster = Roster::new(Arc::default());
        drop(roster.opened.of(id(1)));
        assert!(roster.charge(id(1), 200 * 1024));
        assert!(!roster.charge(id(1), 200 * 1024));
        assert!(!roster.charge_signal(id(1), 0));
        assert!(roster.charge(id(2), 1024 * 1024), "nothing is kept of it");
    }
}
