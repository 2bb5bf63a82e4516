//! Random requests, approvals, revocations, sessions and clock steps against a small reference.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use policies::{GrantId, RequestId};
use proptest::prelude::*;

use crate::world::{World, caller, over, seconds};

#[derive(Debug, Clone)]
enum Act {
    Ask { minutes: i64 },
    Approve,
    Withdraw,
    Revoke,
    Open,
    Pass { seconds: u64 },
    StepBack { minutes: i64 },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (1_i64..20).prop_map(|minutes| Act::Ask { minutes }),
        3 => Just(Act::Approve),
        1 => Just(Act::Withdraw),
        2 => Just(Act::Revoke),
        4 => Just(Act::Open),
        3 => (1_u64..400).prop_map(|seconds| Act::Pass { seconds }),
        1 => (1_i64..60).prop_map(|minutes| Act::StepBack { minutes }),
    ]
}

/// What should be so, in monotonic time since the start, in which nobody can move the clock.
#[derive(Default)]
struct Reference {
    /// The one open request: its name, how long it asks for, and when it lapses.
    open: Option<(RequestId, u64, u64)>,
    /// The grant that was made last: its name and when it ends.
    grant: Option<(GrantId, u64)>,
    /// When the wall, which somebody set back, has caught up.
    behind_until: u64,
    /// Whether somebody ever set it back. A session may then be shorter than it could be.
    stepped: bool,
}

impl Reference {
    fn pending(&self, now: u64) -> Option<(RequestId, u64)> {
        self.open
            .filter(|open| now < open.2)
            .map(|open| (open.0, open.1))
    }

    fn in_force(&self, now: u64) -> Option<GrantId> {
        self.grant
            .filter(|grant| now < grant.1)
            .map(|grant| grant.0)
    }
}

async fn run(acts: &[Act]) {
    let world = World::new().await;
    world.errors_are_expected();
    let start = world.clock.instant();
    let mut model = Reference::default();
    let mut leases = BTreeMap::new();
    for act in acts {
        let now = (world.clock.instant() - start).as_secs();
        let believed = now >= model.behind_until;
        match act {
            Act::Ask { minutes } => {
                let asked = world.ask_for("alice", "web1", *minutes).await;
                let want = believed && model.pending(now).is_none();
                assert_eq!(asked.is_ok(), want, "{act:?} {asked:?}");
                if let Ok(asked) = asked {
                    let length = u64::try_from(minutes * 60).unwrap();
                    model.open = Some((asked.request.id, length, now + 3_600));
                }
            }
            Act::Approve => {
                let Some((id, length)) = model.pending(now) else {
                    continue;
                };
                let approved = world.broker.approve(&caller("bob"), id, None, None).await;
                assert_eq!(approved.is_ok(), believed, "{act:?} {approved:?}");
                if let Ok(approved) = approved {
                    let later = model.grant.filter(|grant| grant.1 > now + length);
                    // A longer grant that is still in force is what an admission stands on.
                    model.grant = later.or(Some((approved.grant.unwrap().id, now + length)));
                    model.open = None;
                }
            }
            Act::Withdraw => {
                let Some((id, _)) = model.pending(now).filter(|_| believed) else {
                    continue;
                };
                world.broker.withdraw(&caller("alice"), id).await.unwrap();
                model.open = None;
            }
            Act::Revoke => {
                // Every grant, so that the reference needs to know of one only.
                let live = world.broker.grants(&caller("bob"), false, None).await;
                let wall = world.clock.now();
                let live = live
                    .iter()
                    .filter(|it| it.ended.is_none() && wall < it.expires_at);
                for grant in live {
                    world.revoke(grant.id).await;
                }
                model.grant = None;
                for lease in leases.values_mut() {
                    assert!(
                        over(lease).await.is_some(),
                        "a session outlived its revocation"
                    );
                }
                leases.clear();
            }
            Act::Open => {
                let admitted = world.admit("alice", "web1").await;
                let want = believed && model.in_force(now).is_some();
                assert_eq!(admitted.is_ok(), want, "{act:?} {admitted:?} at {now}");
                if let Ok(admission) = admitted {
                    let end = model.grant.unwrap().1;
                    leases.insert((end, admission.session), admission.lease);
                }
            }
            Act::Pass { seconds: length } => world.pass(seconds(*length)).await,
            Act::StepBack { minutes } => {
                world.clock.step(SignedDuration::from_mins(-minutes));
                let length = u64::try_from(minutes * 60).unwrap();
                model.behind_until = model.behind_until.max(now) + length;
                model.stepped = true;
                // Requests lapse by the wall.
                model.open = model
                    .open
                    .map(|(id, asks, lapses)| (id, asks, lapses + length));
            }
        }
        let now = (world.clock.instant() - start).as_secs();
        for ((end, _session), lease) in &mut leases {
            let is_over = over(lease).await.is_some();
            let fits = is_over == (now >= *end) || (is_over && model.stepped);
            assert!(fits, "over: {is_over} at {now}, to end at {end}");
        }
        leases.retain(|(end, _session), _lease| now < *end);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_broker_does_what_the_reference_does(acts in prop::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(&acts));
    }
}
