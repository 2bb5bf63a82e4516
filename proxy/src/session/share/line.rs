//! Who waits for a turn, in the order in which they came.
//!
//! The first is always about to be polled. Knows nothing of how much a turn is.

use std::collections::VecDeque;
use std::pin::pin;
use std::task::{Context, Waker};

use tokio::task;

/// How many besides the first are woken where a turn begins: about as many as there are questions in one.
const WOKEN_MAX: usize = 18;

/// A place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

#[derive(Debug, Default)]
pub(super) struct Line {
    waiting: VecDeque<(Ticket, Waker)>,
    next: u64,
    /// Whose turn is next: the first saw that the last one is over, and was woken behind everybody since.
    ready: Option<Ticket>,
}

impl Line {
    /// Takes the last place.
    pub(super) fn join(&mut self, cx: &mut Context<'_>, is_over: bool) -> Ticket {
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        if self.waiting.is_empty() {
            self.ready = is_over.then_some(ticket);
            wake_behind_others(cx);
        }
        self.waiting.push_back((ticket, cx.waker().clone()));
        ticket
    }

    /// Whether this one may begin the next turn, now that the last one is over. If not, it stays in the line.
    pub(super) fn may_begin(&mut self, ticket: Ticket, cx: &mut Context<'_>) -> bool {
        if self.ready == Some(ticket) {
            return true;
        }
        if self.is_first(ticket) {
            self.ready = Some(ticket);
            wake_behind_others(cx);
        }
        let place = self.waiting.iter_mut().find(|(one, _)| *one == ticket);
        if let Some((_, known)) = place {
            known.clone_from(cx.waker());
        }
        false
    }

    /// Gives up a place. Whoever is first then is woken, and where a turn begins, some behind it.
    pub(super) fn leave(&mut self, ticket: Ticket, begins: bool) {
        let was_first = self.is_first(ticket);
        self.waiting.retain(|(one, _)| *one != ticket);
        if was_first {
            self.ready = None;
        }
        let woken = match (was_first, begins) {
            (true, true) => WOKEN_MAX,
            (true, false) => 1,
            (false, _) => 0,
        };
        for (_, waker) in self.waiting.iter().take(woken) {
            waker.wake_by_ref();
        }
    }

    fn is_first(&self, ticket: Ticket) -> bool {
        let first = self.waiting.front();
        first.is_some_and(|(first, _)| *first == ticket)
    }
}

/// Has the task polled again once others were, and those who have something to read by now.
fn wake_behind_others(cx: &mut Context<'_>) {
    // The first poll says so to the runtime. A waker alone would have it polled before the next look for what came in.
    let mut yielding = pin!(task::yield_now());
    let _pending = yielding.as_mut().poll(cx);
}
