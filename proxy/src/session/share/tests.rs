use std::cell::Cell;
use std::rc::Rc;

use tokio::task::LocalSet;

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
    let most = tasks.run_until(async {
        let mut most = 0;
        for _turn in 0..1_000 {
            task::yield_now().await;
            most = most.max(turns.take());
        }
        most
    });
    assert_eq!(most.await, 1);
    let had: Vec<usize> = had.iter().map(Cell::get).collect();
    let (few, many) = (had.iter().min().unwrap(), had.iter().max().unwrap());
    // The first had one before there was a queue.
    assert!(
        *few > 0 && many - few <= 2,
        "in the order in which they came: {had:?}"
    );
}

/// Whoever leaves the queue lets the others on.
#[tokio::test]
async fn who_ends_while_it_waits_keeps_nobody_waiting() {
    let share = Arc::new(Share::default());
    share.takes(WORK_MAX + 1);
    let mut first = Box::pin(Arc::clone(&share).next());
    let mut second = Box::pin(Arc::clone(&share).next());
    for waiting in [&mut first, &mut second] {
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx)));
        assert!(polled.await.is_pending());
    }
    drop(first);
    second.await;
    assert!(!share.is_over());
}
