//! What `ssh -J` needs of the house: a host certificate for any name, and a session of its own
//! inside the connection that jumps.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use ca::{Authority, HostIdentity, HostOrder};
use control::{Broker, Caller, entropy};
use dashmap::DashMap;
use jiff::{SignedDuration, Timestamp};
use policies::{Ask, Denial, PrincipalName, TargetName};
use tokio::sync::Semaphore;
use tracing::{debug, error};

use super::crowd::Crowd;
use crate::session::bastion::Bastion;
use crate::session::incoming::Incoming;
use crate::session::protocol::Protocol;
use crate::session::{self, chain};
use crate::ssh::Ssh;
use crate::ssh::client::jump::{Inside, Standing, Within};
use crate::ssh::transit::Transit;

/// How long a host certificate for a target's name lives, and until when it is used again.
const HOST_LIFETIME: SignedDuration = SignedDuration::from_hours(24);
const HOST_REUSE: SignedDuration = SignedDuration::from_hours(12);

/// How many certificates are kept. Anybody who may come at all can name targets that do not exist.
const HOSTS_MAX: usize = 20_000;

/// How many names that nobody has jumped to lately one person may jump to in an hour. Each costs a key
/// and two lines of the ledger for ever, grant or no grant; a run over a whole fleet fits.
const NAMES_MAX: u32 = 256;

/// How many people's names and turns are counted. Beyond that, those of earlier hours and of nobody who is
/// here are forgotten.
const PEOPLE_MAX: usize = 4096;

/// How many connections inside those of one person may be without proof at the same time. Others wait: a
/// login takes a fraction of a second.
const TURNS_MAX: usize = 16;

/// The house, as the SSH door needs it for those who jump.
pub(super) struct InnerHouse {
    broker: Broker,
    authority: Authority,
    bastion: Arc<Bastion>,
    shown: Shown<HostIdentity>,
    /// Who is connected to the bastion itself.
    crowd: Arc<Crowd>,
    turns: DashMap<PrincipalName, Arc<Semaphore>>,
}

impl fmt::Debug for InnerHouse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InnerHouse")
            .field("shown", &self.shown.kept.len())
            .finish_non_exhaustive()
    }
}

impl InnerHouse {
    pub(super) fn new(
        broker: Broker,
        authority: Authority,
        bastion: Arc<Bastion>,
        per_principal: usize,
    ) -> Self {
        Self {
            broker,
            authority,
            bastion,
            shown: Shown::default(),
            crowd: Arc::new(Crowd::new(per_principal)),
            turns: DashMap::new(),
        }
    }

    async fn identity(&self, within: &Within) -> Option<HostIdentity> {
        let Within { principal, target } = within;
        let now = self.broker.clock().now();
        match self.shown.look_for(within, now) {
            Found::Kept(identity) => return Some(identity),
            Found::Nothing => {}
            Found::TooMany => {
                debug!(%principal, %target, "identity.refused");
                return None;
            }
        }
        let names = [target.to_string()];
        let mut rng = entropy::rng();
        let order = HostOrder {
            names: &names,
            now,
            lifetime: HOST_LIFETIME,
            rng: &mut rng,
        };
        match self
            .authority
            .issue_host(order, self.broker.journal())
            .await
        {
            Ok(identity) => {
                let expires_at = identity.expires_at;
                self.shown.keep(within, (identity.clone(), expires_at), now);
                Some(identity)
            }
            Err(refused) => {
                error!(%target, reason = %chain(&refused), "identity.unissued");
                None
            }
        }
    }
}

/// What was shown lately, to whom and for which name. Nobody is shown what was made for another: who has named
/// too many hosts would learn by that which ones others jump to.
#[derive(Debug)]
struct Shown<C> {
    /// With the end of each.
    kept: DashMap<(PrincipalName, TargetName), (C, Timestamp)>,
    namings: Namings,
}

/// What there is to show somebody who jumps.
#[derive(Debug, PartialEq, Eq)]
enum Found<C> {
    /// What they were shown before.
    Kept(C),
    /// Nothing yet, and one more may be made for them.
    Nothing,
    /// Nothing, and they have named too many.
    TooMany,
}

impl<C> Default for Shown<C> {
    fn default() -> Self {
        Self {
            kept: DashMap::new(),
            namings: Namings::default(),
        }
    }
}

impl<C: Clone> Shown<C> {
    fn look_for(&self, within: &Within, now: Timestamp) -> Found<C> {
        let key = (within.principal.clone(), within.target.clone());
        let kept = self.kept.get(&key).map(|kept| kept.value().clone());
        match kept {
            Some((kept, expires_at)) if is_fresh(expires_at, now) => Found::Kept(kept),
            Some(_) | None if self.namings.may_name(&within.principal, now) => Found::Nothing,
            Some(_) | None => Found::TooMany,
        }
    }

    fn keep(&self, within: &Within, made: (C, Timestamp), now: Timestamp) {
        if self.kept.len() >= HOSTS_MAX {
            self.kept
                .retain(|_key, (_kept, expires_at)| is_fresh(*expires_at, now));
        }
        if self.kept.len() >= HOSTS_MAX {
            self.kept.clear();
        }
        let key = (within.principal.clone(), within.target.clone());
        self.kept.insert(key, made);
    }
}

/// Whether a certificate that ends then is shown once more. A session that began with it may go on beyond
/// its end: it is looked at when somebody comes.
fn is_fresh(expires_at: Timestamp, now: Timestamp) -> bool {
    expires_at.duration_since(now) > HOST_REUSE
}

/// Who had certificates made lately, and how many.
#[derive(Debug, Default)]
struct Namings {
    people: DashMap<PrincipalName, Named>,
}

/// How many names somebody named in one hour.
#[derive(Debug, Clone, Copy)]
struct Named {
    hour: i64,
    count: u32,
}

impl Namings {
    /// Counts one name. What is refused is refused for names that exist and for those that do not.
    fn may_name(&self, principal: &PrincipalName, now: Timestamp) -> bool {
        let hour = now.as_second().div_euclid(3600);
        if self.people.len() >= PEOPLE_MAX {
            self.people.retain(|_principal, named| named.hour == hour);
        }
        let fresh = Named { hour, count: 0 };
        let mut named = self.people.entry(principal.clone()).or_insert(fresh);
        if named.hour != hour {
            *named = fresh;
        }
        named.count = named.count.saturating_add(1);
        named.count <= NAMES_MAX
    }
}

impl Inside for InnerHouse {
    fn stand(&self, who: &PrincipalName) -> Result<Standing, Denial> {
        match self.crowd.enter(who) {
            Some(place) => Ok(Box::new(place)),
            None => Err(Denial::Crowded {
                limit: self.crowd.limit,
            }),
        }
    }

    fn refused(
        &self,
        who: Caller,
        to: String,
        denial: Denial,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let broker = self.broker.clone();
        Box::pin(async move { broker.jump_refused(&who, &to, denial).await })
    }

    fn turns(&self, who: &PrincipalName) -> Arc<Semaphore> {
        if self.turns.len() >= PEOPLE_MAX {
            self.turns
                .retain(|_who, turns| Arc::strong_count(turns) > 1);
        }
        let turns = self.turns.entry(who.clone());
        Arc::clone(&turns.or_insert_with(|| Arc::new(Semaphore::new(TURNS_MAX))))
    }

    fn host<'a>(
        &'a self,
        within: &'a Within,
    ) -> Pin<Box<dyn Future<Output = Option<HostIdentity>> + Send + 'a>> {
        Box::pin(self.identity(within))
    }

    fn enter(&self, protocol: Ssh, client: Incoming) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        run(Arc::clone(&self.bastion), protocol, client)
    }

    fn leads_through(&self, ask: &Ask) -> bool {
        self.broker.leads_through(ask)
    }

    fn go_through(
        &self,
        protocol: Transit,
        client: Incoming,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        run(Arc::clone(&self.bastion), protocol, client)
    }
}

/// Runs one session inside a connection to the bastion.
fn run<P: Protocol>(
    bastion: Arc<Bastion>,
    protocol: P,
    client: Incoming,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if let Err(refused) = Box::pin(session::run(&protocol, client, &bastion)).await {
            debug!(reason = %chain(&refused), "connection.refused");
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_jumps_is_never_shown_a_certificate_that_is_about_to_end() {
        let issued = Timestamp::from_second(1_000_000).unwrap();
        let expires_at = issued + HOST_LIFETIME;
        let half = HOST_LIFETIME - HOST_REUSE;
        assert!(is_fresh(expires_at, issued));
        assert!(is_fresh(
            expires_at,
            issued + half - SignedDuration::from_secs(1)
        ));
        assert!(!is_fresh(expires_at, issued + half));
        assert!(!is_fresh(expires_at, expires_at + half));
    }

    #[test]
    fn who_has_named_too_many_hosts_does_not_learn_what_others_named() {
        let shown = Shown::default();
        let now = Timestamp::from_second(3600).unwrap();
        let within = |person: &str, target: &str| Within {
            principal: PrincipalName::parse(person).unwrap(),
            target: TargetName::parse(target).unwrap(),
        };
        let jump = |person: &str, target: &str| {
            let within = within(person, target);
            let found = shown.look_for(&within, now);
            if found == Found::Nothing {
                shown.keep(&within, (person.to_owned(), now + HOST_LIFETIME), now);
            }
            found
        };
        assert_eq!(jump("alice", "x"), Found::Nothing);
        assert_eq!(jump("alice", "x"), Found::Kept("alice".to_owned()));
        for number in 0..NAMES_MAX {
            assert_eq!(jump("bob", &format!("n{number}")), Found::Nothing);
        }
        assert_eq!(jump("bob", "x"), Found::TooMany);
        assert_eq!(jump("bob", "y"), Found::TooMany);
        // What is his own goes on, and alice's does.
        assert_eq!(jump("bob", "n0"), Found::Kept("bob".to_owned()));
        assert_eq!(jump("alice", "x"), Found::Kept("alice".to_owned()));
    }

    #[test]
    fn who_names_too_many_hosts_gets_no_more_until_the_next_hour() {
        let namings = Namings::default();
        let person = |name| PrincipalName::parse(name).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let (alice, bob) = (person("alice"), person("bob"));
        assert!((0..NAMES_MAX).all(|_each| namings.may_name(&alice, at(3600))));
        assert!(!namings.may_name(&alice, at(7199)));
        assert!(namings.may_name(&bob, at(7199)));
        assert!(namings.may_name(&alice, at(7200)));
    }
}
