//! How much may wait inside us for all clients together. Beyond it the session in which most waits is
//! ended: each alone keeps to its bounds, and many together would take all memory.
//!
//! Knows nothing of who has how many; that is bounded elsewhere (`[limits] per_principal`).

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::flow::Flow;

/// How many bytes may wait of what all clients have sent, or be held for what they have asked.
const MOST: i64 = 512 * 1024 * 1024;

/// All clients of this process.
pub(super) static EVERYBODY: Pool = Pool::new(MOST);

/// Some clients.
#[derive(Debug)]
pub(super) struct Pool {
    most: i64,
    flows: Mutex<Vec<Weak<Flow>>>,
}

impl Pool {
    const fn new(most: i64) -> Self {
        Self {
            most,
            flows: Mutex::new(Vec::new()),
        }
    }

    /// Takes in one more.
    pub(super) fn join(&self, flow: &Arc<Flow>) {
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.retain(|flow| flow.strong_count() > 0);
        flows.push(Arc::downgrade(flow));
    }

    /// Ends the one in which most waits, where too much does. What has been ended already is not counted.
    pub(super) fn weigh(&self) {
        let flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        let live = flows.iter().filter_map(Weak::upgrade);
        let live: Vec<_> = live.filter(|flow| !flow.drowned().is_cancelled()).collect();
        drop(flows);
        let waiting = |flow: &Arc<Flow>| flow.kept();
        let all = live.iter().map(waiting).fold(0, i64::saturating_add);
        if all > self.most
            && let Some(largest) = live.iter().max_by_key(|flow| waiting(flow))
        {
            largest.drowned().cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::{Tally, Way};
    use super::*;

    #[test]
    fn where_too_much_waits_the_one_in_which_most_does_is_ended() {
        let pool = Pool::new(100);
        let waits = |bytes| {
            let flow = Arc::<Flow>::default();
            pool.join(&flow);
            let tally = Tally::new(Arc::clone(&flow), Way::Up);
            tally.add(bytes);
            (flow, tally)
        };
        let flows = [20, 60, 20].map(waits);
        let ended = || {
            flows
                .each_ref()
                .map(|(flow, _)| flow.drowned().is_cancelled())
        };
        pool.weigh();
        assert_eq!(ended(), [false; 3]);
        let more = waits(30);
        pool.weigh();
        assert_eq!(ended(), [false, true, false]);
        pool.weigh();
        assert!(!more.0.drowned().is_cancelled(), "there is room again");
    }

    #[test]
    fn what_is_held_for_a_session_weighs_as_much_as_what_waits() {
        let pool = Pool::new(100);
        let flows = [Arc::<Flow>::default(), Arc::default()];
        for flow in &flows {
            pool.join(flow);
        }
        let tallies = flows
            .each_ref()
            .map(|flow| Tally::new(Arc::clone(flow), Way::Up));
        tallies[0].add(60);
        let (mut one, mut other) = (tallies[1].weight(), tallies[1].weight());
        one.set(40);
        other.set(40);
        one.set(0);
        pool.weigh();
        let ended = || flows.each_ref().map(|flow| flow.drowned().is_cancelled());
        assert_eq!(ended(), [false; 2]);
        one.set(50);
        pool.weigh();
        assert_eq!(ended(), [false, true]);
        drop((one, other));
        assert_eq!(flows[1].kept(), 0);
    }
}
