//! Makes and removes the accounts of grants at SSH targets: goes there as the target's keeper of
//! accounts, with a certificate that has sshd run one order and nothing else.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ca::{AccountsOrder, Authority, Traveller};
use control::roles::{Made, Removed, RoleFault};
use control::{Broker, entropy};
use jiff::Timestamp;
use policies::words::entrance;
use policies::{GrantId, Keeper, OrderEnd, RolePlace, RolePlan, SshEndpoint, TargetName, Wayless};

use super::roles::fault;
use crate::session::protocol::ConnectError;
use crate::session::severable::Severer;
use crate::session::way::Way;
use crate::ssh::target::run_command::{self, Answer};

/// What is needed to work at SSH targets.
pub(super) struct Clerk {
    pub(super) broker: Broker,
    pub(super) authority: Authority,
    /// The addresses from which targets see us, where they differ from our sockets' own.
    pub(super) egress: Vec<IpAddr>,
    /// The end of the newest order.
    pub(super) newest: Mutex<Option<OrderEnd>>,
}

impl fmt::Debug for Clerk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clerk").finish_non_exhaustive()
    }
}

/// Who is to run what.
struct Order<'a> {
    target: &'a TargetName,
    endpoint: &'a SshEndpoint,
    keeper: &'a Keeper,
    act: Act<'a>,
}

/// What is to be done.
#[derive(Clone, Copy)]
enum Act<'a> {
    Make(&'a RolePlan),
    Remove(&'a RolePlace),
    List,
}

impl Act<'_> {
    fn grant(self) -> Option<GrantId> {
        match self {
            Self::Make(plan) => Some(plan.place.grant),
            Self::Remove(place) => Some(place.grant),
            Self::List => None,
        }
    }

    fn line(self, keeper: &Keeper, ends: OrderEnd) -> String {
        match self {
            Self::Make(plan) => keeper.make(plan, ends),
            Self::Remove(place) => keeper.remove(place, ends),
            Self::List => keeper.list(),
        }
    }
}

impl Clerk {
    /// Makes the account.
    pub(super) async fn make(
        &self,
        plan: &RolePlan,
        endpoint: &SshEndpoint,
    ) -> Result<Made, RoleFault> {
        let keeper = keeper(endpoint)?;
        let order = Order {
            target: &plan.place.target,
            endpoint,
            keeper,
            act: Act::Make(plan),
        };
        let answer = self.order(order).await.map_err(|refused| fault(&refused))?;
        done(&answer, &format!("made {}", plan.place.role()))?;
        Ok(Made::default())
    }

    /// Removes the account, once nothing of it runs any more.
    pub(super) async fn remove(
        &self,
        place: &RolePlace,
        endpoint: &SshEndpoint,
    ) -> Result<Removed, RoleFault> {
        let keeper = keeper(endpoint)?;
        let order = Order {
            target: &place.target,
            endpoint,
            keeper,
            act: Act::Remove(place),
        };
        let answer = self.order(order).await.map_err(|refused| fault(&refused))?;
        let rest = done(&answer, &format!("removed {}", place.role()))?;
        Ok(told(rest))
    }

    /// Has the accounts told, to see whether tidegate is let in and the script is there.
    pub(super) async fn look(
        &self,
        target: &TargetName,
        endpoint: &SshEndpoint,
        keeper: &Keeper,
    ) -> Result<(), ConnectError> {
        let order = Order {
            target,
            endpoint,
            keeper,
            act: Act::List,
        };
        let answer = self.order(order).await?;
        let told = done(&answer, "listed").map_err(|refused| ConnectError::Refused(refused.0))?;
        if told.ends_with(" orders-end") {
            return Ok(());
        }
        Err(ConnectError::Refused(entrance::old_script(target)))
    }

    /// When an order ends that is given now.
    fn ends(&self, now: Timestamp) -> OrderEnd {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = OrderEnd::of(now, *newest);
        *newest = Some(ends);
        ends
    }

    async fn order(&self, order: Order<'_>) -> Result<Answer, ConnectError> {
        let Order {
            target,
            endpoint,
            keeper,
            act,
        } = order;
        let wayless = |refused: Wayless| ConnectError::Violation(refused.to_string());
        let jump = endpoint.jump.as_ref();
        let via = match act {
            Act::Make(_) | Act::List => self.broker.way(jump),
            Act::Remove(_) => self.broker.way_to_clean(jump),
        };
        let via = via.map_err(wayless)?;
        let way = Way {
            broker: &self.broker,
            authority: &self.authority,
            egress: &self.egress,
        };
        let severer = Severer::default();
        let gone = way.go((&via, &endpoint.addr), Traveller::Trial(target), &severer);
        let dialled = gone.await?;
        let now = self.broker.clock().now();
        let command = act.line(keeper, self.ends(now));
        let key = {
            let mut rng = entropy::rng();
            let order = AccountsOrder {
                target,
                grant: act.grant(),
                admin: &keeper.admin,
                command: command.clone(),
                source_address: dialled.source,
                now,
                rng: &mut rng,
            };
            let journal = self.broker.journal();
            self.authority.issue_accounts(order, journal).await?
        };
        let whom = (endpoint, &keeper.admin);
        run_command::run(dialled.io, whom, (&key, &command), now).await
    }
}

/// What is told of a removal: how many processes were ended, and where there was too much to be looked through
/// for files that keep the group's rights.
fn told(rest: &str) -> Removed {
    let mut words = rest.split_whitespace();
    let backends = words.next().and_then(|count| count.parse().ok());
    let unseen = words.filter_map(|word| word.strip_prefix("unseen:"));
    Removed {
        backends: backends.unwrap_or(0),
        remains: unseen.take(8).map(entrance::unseen).collect(),
        ..Removed::default()
    }
}

fn keeper(endpoint: &SshEndpoint) -> Result<&Keeper, RoleFault> {
    let none = || RoleFault(entrance::NO_KEEPER.to_owned());
    endpoint.keeper.as_ref().ok_or_else(none)
}

/// What the answer says behind `sign` in its last line. Whatever else a target answers was not done:
/// its sshd may have run something else.
fn done<'a>(answer: &'a Answer, sign: &str) -> Result<&'a str, RoleFault> {
    let last = answer.out.lines().last().unwrap_or_default();
    let behind = last.strip_prefix(sign);
    let behind = behind.filter(|rest| rest.is_empty() || rest.starts_with(' '));
    match (answer.status, behind) {
        (Some(0), Some(rest)) => Ok(rest),
        (Some(0), None) => Err(RoleFault(entrance::OTHER_COMMAND.to_owned())),
        (Some(status), _) => Err(RoleFault(entrance::exit_status(status, &answer.err))),
        (None, _) => Err(RoleFault(entrance::BROKE_OFF.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_looked_through_is_told() {
        assert_eq!((told(" 3").backends, told(" 3").remains.len()), (3, 0));
        let more = told(" 0 unseen:/tmp unseen:/dev/shm other");
        assert_eq!(more.backends, 0);
        assert_eq!(more.remains, ["unseen /tmp", "unseen /dev/shm"]);
        assert_eq!(told(""), Removed::default());
    }

    #[test]
    fn only_the_scripts_own_answer_counts() {
        let check = |out: &str, status: Option<u32>, want: Option<&str>| {
            let answer = Answer {
                out: out.to_owned(),
                err: "no".to_owned(),
                status,
            };
            assert_eq!(done(&answer, "removed tg-a").ok(), want, "{out:?}");
        };
        check("removed tg-a 3\n", Some(0), Some(" 3"));
        check("hello\nremoved tg-a\n", Some(0), Some(""));
        check("removed tg-a\nand more\n", Some(0), None);
        check("removed tg-ab\n", Some(0), None);
        check("removed tg-a 3\n", Some(1), None);
        check("removed tg-a 3\n", None, None);
        check("", Some(0), None);
    }
}
