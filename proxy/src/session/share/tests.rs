use std::cell::Cell;
use std::rc::Rc;

use tokio::task::{self, LocalSet};

use super::*;

fn name(text: &str) -> PrincipalName {
    PrincipalName::parse(text).unwrap()
}

#[test]
fn a_share_is_one_principals_on_one_thread_for_as_long_as_they_have_a_session_there() {
    let shares = Arc::new(Shares::default());
    let (one, other) = (shares.of(&name("alice")), shares.of(&name("alice")));
    assert!(Arc::ptr_eq(&one, &other));
    assert!(!Arc::ptr_eq(&one, &shares.of(&name("bob"))));
    let there = thread::scope(|scope| {
        let there = scope.spawn(|| shares.of(&name("alice")));
        there.join().unwrap()
    });
    assert!(!Arc::ptr_eq(&one, &there));
    other.takes(WORK_MAX + 1);
    assert!(one.is_over() && !there.is_over());
    drop((one, other, there));
    assert!(shares.known.lock().unwrap().is_empty());
    assert!(!shares.of(&name("alice")).is_over());
}

/// How many turns all sessions of one principal have between two of somebody else's, at the most.
#[tokio::test]
async fn many_sessions_of_one_principal_have_one_turn_between_two_of_anothers() {
    let shares = Arc::new(Shares::default());
    let turns = Rc::new(Cell::new(0_usize));
    let had: Rc<[Cell<usize>]> = (0..100).map(|_session| Cell::new(0)).collect();
    let tasks = LocalSet::new();
    for number in 0..had.len() {
        let (share, turns, had) = (shares.of(&name("alice")), turns.clone(), had.clone());
        tasks.spawn_local(async move {
            loop {
                if share.is_over() {
                    Arc::clone(&share).next().await;
                    continue;
                }
                share.takes(WORK_MAX + 1);
                turns.set(turns.get() + 1);
                had[number].set(had[number].get() + 1);
            }
        });
    }
    // Somebody else on the same thread.
    let watch = tasks.spawn_local(async move {
        let (mut most, mut all) = (0, 0);
        // It is the last that is begun.
        turns.take();
        for _turn in 0..1_000 {
            task::yield_now().await;
            let since = turns.take();
            (most, all) = (most.max(since), all + since);
        }
        (most, all)
    });
    let (most, all) = tasks.run_until(watch).await.unwrap();
    // One may come a little early, and the next a little late.
    assert!(most <= 2 && all <= 1_001, "{most} at once, {all} in all");
    let had: Vec<usize> = had.iter().map(Cell::get).collect();
    let (few, many) = (had.iter().min().unwrap(), had.iter().max().unwrap());
    // The first had one before there was a queue.
    assert!(
        *few > 0 && many - few <= 2,
        "in the order in which they came: {had:?}"
    );
}

/// Of those that ask little, many have what is in one turn.
#[tokio::test]
async fn many_that_ask_little_share_a_turn() {
    let share = Arc::new(Share::default());
    let asked = Rc::new(Cell::new(0_usize));
    let tasks = LocalSet::new();
    for _session in 0..40 {
        let (share, asked) = (Arc::clone(&share), asked.clone());
        tasks.spawn_local(async move {
            loop {
                share.ready().await;
                share.takes(QUESTION);
                asked.set(asked.get() + 1);
                // The answer of a server.
                task::yield_now().await;
            }
        });
    }
    let (rounds, watched) = (1_000, asked.clone());
    let watch = tasks.spawn_local(async move {
        let (mut most, mut before) = (0, watched.get());
        for _turn in 0..rounds {
            task::yield_now().await;
            most = most.max(watched.get() - before);
            before = watched.get();
        }
        most
    });
    let most = tasks.run_until(watch).await.unwrap();
    let whole = WORK_MAX / QUESTION;
    assert!(most <= 2 * (whole + 1), "{most} in one round");
    let each = asked.get() / rounds;
    assert!(
        each >= whole / 2,
        "{each} in a round, where {whole} are a turn"
    );
}

/// Whoever leaves the line lets the others on.
#[tokio::test]
async fn who_ends_while_it_waits_keeps_nobody_waiting() {
    let share = Arc::new(Share::default());
    share.takes(WORK_MAX + 1);
    let mut waiting: Vec<_> = (0..3).map(|_| Arc::clone(&share).next()).collect();
    for turn in &mut waiting {
        let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *turn).poll(cx)));
        assert!(polled.await.is_pending());
    }
    let last = waiting.pop().unwrap();
    drop(waiting);
    last.await;
    assert!(!share.is_over());
}
