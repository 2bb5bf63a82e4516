//! A right that ends between any two steps of an admission ends the session (G1).
//!
//! The admission is polled step by step, and the revocation runs to its end after the n-th step,
//! for every n. Whoever is let in all the same must hold a lease that is over.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::Poll;

use policies::GrantId;

use crate::world::{World, ask, caller, over, reason};

/// Admits, with the revocation after `step` polls. Whether the admission was over by then, with a yes.
async fn check(world: &World, grant: GrantId, step: usize) -> bool {
    let asked = ask("alice", "web1");
    let mut admission = pin!(world.broker.admit(&asked));
    let mut admitted = None;
    for _ in 0..step {
        // One poll of the admission, then a turn for everyone else.
        poll_fn(|context| {
            if admitted.is_none()
                && let Poll::Ready(done) = admission.as_mut().poll(context)
            {
                admitted = Some(done);
            }
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
    let finished = admitted.is_some();
    let refused = admitted.as_ref().and_then(|done| done.as_ref().err());
    assert!(
        refused.is_none(),
        "there was a grant until step {step}: {refused:?}"
    );
    world
        .broker
        .revoke(&caller("bob"), grant, reason("at that very step"))
        .await
        .unwrap();
    let admitted = match admitted {
        Some(done) => done,
        None => admission.await,
    };
    if let Ok(mut admission) = admitted {
        assert!(
            over(&mut admission.lease).await.is_some(),
            "a revocation at step {step} is missed"
        );
    }
    finished
}

#[tokio::test(start_paused = true)]
async fn a_revocation_between_any_two_steps_of_an_admission_is_seen() {
    let world = World::new().await;
    let mut step = 0;
    loop {
        let grant = world.granted("alice", "web1", 15).await;
        // Someone else changes the log, so that the admission has to read its tail.
        if step % 2 == 1 {
            world.store_behind(grant).await;
        }
        let finished = check(&world, grant, step).await;
        step += 1;
        if finished && step > 8 {
            return;
        }
    }
}

impl World {
    /// Appends to the log past the broker, as another node would.
    async fn store_behind(&self, _grant: GrantId) {
        use control::change::{Change, Draft};
        use control::store::Store as _;
        let by = caller("bob").principal;
        let session = policies::SessionId::new(self.clock.now(), [9; 10]);
        let change = Change::SessionKilled {
            session,
            by,
            reason: reason("unrelated"),
        };
        let draft = Draft {
            at: self.clock.now(),
            by: None,
            source: None,
            changes: vec![change],
        };
        let head = self.store.head();
        self.store.append(head, draft).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_by_another_thread_at_any_moment_is_seen() {
    let world = World::new().await;
    for _ in 0..100 {
        let grant = world.granted("alice", "web1", 15).await;
        let broker = world.broker.clone();
        let revoking = tokio::spawn(async move {
            broker
                .revoke(&caller("bob"), grant, reason("now"))
                .await
                .unwrap();
        });
        let admitted = world.admit("alice", "web1").await;
        revoking.await.unwrap();
        if let Ok(mut admission) = admitted {
            assert!(over(&mut admission.lease).await.is_some());
        }
    }
    // Whoever was refused was so for the revocation.
    world.granted("alice", "web1", 15).await;
    drop(world.admit("alice", "web1").await.unwrap());
}
