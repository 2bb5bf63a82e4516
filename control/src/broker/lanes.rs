//! How many roles are worked on at once, at each server and altogether, so that a server which does not
//! answer keeps nobody from the others.
//!
//! A server is not taken for one that answers until something has been done there. Until then one role is
//! worked on there that nobody has tried, and one that failed before; from then on a few. Knows no time:
//! how long one waits after a failure is in [`Roles`](crate::roles::Roles).

use std::collections::{BTreeMap, BTreeSet};

use policies::{GrantId, RolePlace};

/// How many are worked on at once at a server that answers: each takes a connection there.
const EACH: usize = 8;

/// How many over all servers.
const ALL: usize = 256;

/// How many of those may be ones that failed before: the others are left to servers that answer.
const AGAIN_ALL: usize = 128;

/// Where a role is, as far as it decides who waits for whom: the address, and the target in front of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Server(String);

impl Server {
    /// The server where a role is.
    pub(super) fn of(place: &RolePlace) -> Self {
        let addr = place.endpoint.addr();
        Self(match place.endpoint.jump() {
            Some(jump) => format!("{addr} behind {}", jump.target),
            None => addr.to_string(),
        })
    }
}

/// Whether a role was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing has failed.
    First,
    /// It failed.
    Again,
}

/// Who is being worked on, and where.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    busy: BTreeMap<GrantId, (Server, Turn)>,
    answering: BTreeSet<Server>,
}

impl Lanes {
    /// Whether this may be begun. It is busy from then on.
    pub(super) fn take(&mut self, grant: GrantId, server: &Server, turn: Turn) -> bool {
        let again = self.count(|(_at, other)| *other == Turn::Again);
        let full = self.busy.len() >= ALL || (turn == Turn::Again && again >= AGAIN_ALL);
        if full || self.busy.contains_key(&grant) || !self.has_room(server, turn) {
            return false;
        }
        self.busy.insert(grant, (server.clone(), turn));
        true
    }

    fn has_room(&self, server: &Server, turn: Turn) -> bool {
        let like = self.count(|(at, other)| at == server && *other == turn);
        if !self.answering.contains(server) {
            return like == 0;
        }
        let here = self.count(|(at, _turn)| at == server);
        // One is always left to those that nobody has tried.
        here < EACH && (turn == Turn::First || like.saturating_add(1) < EACH)
    }

    fn count(&self, is: impl Fn(&(Server, Turn)) -> bool) -> usize {
        self.busy.values().filter(|one| is(one)).count()
    }

    /// It was done, or was not.
    pub(super) fn leave(&mut self, grant: GrantId, done: bool) {
        let Some((server, _turn)) = self.busy.remove(&grant) else {
            return;
        };
        if done {
            self.answering.insert(server);
        } else {
            self.answering.remove(&server);
        }
    }

    /// Forgets the servers of which there is nothing to be done.
    pub(super) fn forget(&mut self, is_known: impl Fn(&Server) -> bool) {
        self.answering.retain(|server| is_known(server));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn grant(number: u8) -> GrantId {
        GrantId::new(Timestamp::UNIX_EPOCH, [number; 10])
    }

    fn server(name: &str) -> Server {
        Server(name.to_owned())
    }

    /// How many of twenty are begun.
    fn begun(lanes: &mut Lanes, at: &Server, turn: Turn, from: u8) -> usize {
        (from..)
            .take(20)
            .filter(|number| lanes.take(grant(*number), at, turn))
            .count()
    }

    #[test]
    fn one_is_tried_first_and_a_few_once_that_was_done() {
        let (mut lanes, db) = (Lanes::default(), server("db:5432"));
        assert_eq!(begun(&mut lanes, &db, Turn::First, 0), 1);
        lanes.leave(grant(0), true);
        assert_eq!(begun(&mut lanes, &db, Turn::First, 1), EACH);
        lanes.leave(grant(1), false);
        assert_eq!(begun(&mut lanes, &db, Turn::First, 40), 0);
    }

    #[test]
    fn what_failed_before_keeps_out_neither_others_there_nor_elsewhere() {
        let (mut lanes, db, other) = (Lanes::default(), server("db:5432"), server("other:22"));
        assert_eq!(begun(&mut lanes, &db, Turn::Again, 0), 1);
        assert_eq!(begun(&mut lanes, &db, Turn::First, 20), 1);
        assert_eq!(begun(&mut lanes, &other, Turn::First, 40), 1);
        lanes.leave(grant(40), true);
        assert_eq!(begun(&mut lanes, &other, Turn::Again, 60), EACH - 1);
        assert_eq!(begun(&mut lanes, &other, Turn::First, 80), 1);
    }

    #[test]
    fn a_grant_is_worked_on_once() {
        let (mut lanes, db) = (Lanes::default(), server("db:5432"));
        assert!(lanes.take(grant(1), &db, Turn::First));
        assert!(!lanes.take(grant(1), &server("other:22"), Turn::Again));
    }

    #[test]
    fn servers_that_fail_leave_room_for_others_however_many_they_are() {
        let mut lanes = Lanes::default();
        for number in 0..=255 {
            lanes.take(grant(number), &server(&number.to_string()), Turn::Again);
        }
        assert_eq!(lanes.busy.len(), AGAIN_ALL);
        let late = GrantId::new(Timestamp::UNIX_EPOCH, [7, 7, 7, 7, 7, 7, 7, 7, 7, 8]);
        assert!(lanes.take(late, &server("web1:22"), Turn::First));
    }
}
