//! Connects to a server by its name: each of its addresses in turn, within one limit.
//!
//! Sends no byte. What was tried and why it failed is in the log, address by address.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use policies::HostPort;
use policies::words::reach::{self, Absence, Tried};
use tokio::net::{TcpStream, lookup_host};
use tokio::time;
use tracing::info;

mod names;

use names::NAMES;

/// How long all addresses of a server may take together to accept a connection.
pub const DIAL_LIMIT: Duration = Duration::from_secs(10);

/// How long each host of a target may take that has several: a third of that, so that one which is
/// silent does not use up a client's patience.
const HOST_LIMIT: Duration = Duration::from_millis(3_334);

/// How many addresses of one name are tried.
const ADDRESSES_MAX: usize = 8;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("find the address of `{at}`")]
    Unresolved {
        /// The name.
        at: HostPort,
        /// What the system said.
        source: io::Error,
    },
    /// None of its addresses gave a connection.
    #[error("reach `{at}` ({})", reach::each(tried))]
    Unreached {
        /// The name.
        at: HostPort,
        /// Each address, and why.
        tried: Vec<Tried>,
    },
}

/// Connects to the first address of a server that lets us.
///
/// # Errors
///
/// When it has no address, or none gives a connection in time.
pub async fn dial(at: &HostPort) -> Result<TcpStream, DialError> {
    within(at, DIAL_LIMIT).await
}

/// The same for one host of a target that has `hosts` of them.
///
/// # Errors
///
/// As [`dial`].
pub async fn dial_one_of(hosts: usize, at: &HostPort) -> Result<TcpStream, DialError> {
    let limit = if hosts > 1 { HOST_LIMIT } else { DIAL_LIMIT };
    within(at, limit).await
}

/// Connects to one address and no other.
///
/// # Errors
///
/// When it gives no connection in time.
pub async fn dial_address(addr: SocketAddr) -> Result<TcpStream, DialError> {
    connect(addr, HOST_LIMIT).await.map_err(|refused| {
        let why = absence(&refused);
        let at = HostPort {
            host: addr.ip().to_string(),
            port: addr.port(),
        };
        info!(%at, %addr, reason = %refused, "target.unreached");
        let tried = vec![Tried { addr, why }];
        DialError::Unreached { at, tried }
    })
}

async fn within(at: &HostPort, limit: Duration) -> Result<TcpStream, DialError> {
    let looking = find(at);
    let unresolved = |source| DialError::Unresolved {
        at: at.clone(),
        source,
    };
    let found = match time::timeout(limit, looking).await {
        Ok(found) => found.map_err(unresolved)?,
        Err(_elapsed) => return Err(unresolved(io::ErrorKind::TimedOut.into())),
    };
    let mut addresses = in_turn(found.into_iter());
    if addresses.is_empty() {
        return Err(unresolved(io::ErrorKind::NotFound.into()));
    }
    let turns = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let turn = limit.checked_div(turns).unwrap_or(limit);
    let mut tried = Vec::new();
    while let Some(addr) = addresses.pop_front() {
        match connect(addr, turn).await {
            Ok(stream) => return Ok(stream),
            Err(refused) => {
                let why = absence(&refused);
                info!(%at, %addr, reason = %refused, "target.unreached");
                tried.push(Tried { addr, why });
            }
        }
    }
    Err(DialError::Unreached {
        at: at.clone(),
        tried,
    })
}

/// The addresses of a server, as the system's resolver says. An address is its own.
async fn find(at: &HostPort) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = at.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, at.port)]);
    }
    let (host, port) = (at.host.clone(), at.port);
    let look = || async move { Ok(lookup_host((host, port)).await?.collect::<Vec<_>>()) };
    let mut found = NAMES.find(&at.host, look).await?;
    for address in &mut found {
        address.set_port(at.port);
    }
    Ok(found)
}

async fn connect(addr: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    let stream = time::timeout(limit, TcpStream::connect(addr)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The addresses in the order of the system's resolver, the families by turns, so that one that leads
/// nowhere does not use up the limit (RFC 8305, section 4).
fn in_turn(found: impl Iterator<Item = SocketAddr>) -> VecDeque<SocketAddr> {
    let mut seen = Vec::new();
    for addr in found {
        if !seen.contains(&addr) && seen.len() < ADDRESSES_MAX {
            seen.push(addr);
        }
    }
    let leads = seen.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        seen.into_iter().partition(|addr| addr.is_ipv6() == leads);
    let mut turns = VecDeque::new();
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let pair = [first.next(), second.next()];
        if pair.iter().all(Option::is_none) {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

/// What a connection that could not be made tells.
fn absence(refused: &io::Error) -> Absence {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut,
    };
    let kind = refused.kind();
    if kind == TimedOut {
        Absence::Silent
    } else if [ConnectionRefused, ConnectionReset].contains(&kind) {
        Absence::Refused
    } else if [HostUnreachable, NetworkUnreachable].contains(&kind) {
        Absence::NoWay
    } else {
        Absence::Odd
    }
}

/// The address from which a target sees us: of those that we are told, the first of the family that we
/// came by, else our socket's own.
pub fn seen_from(egress: &[IpAddr], own: IpAddr) -> IpAddr {
    let own = own.to_canonical();
    let told = egress.iter().map(IpAddr::to_canonical);
    told.into_iter()
        .find(|told| told.is_ipv4() == own.is_ipv4())
        .unwrap_or(own)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::TcpListener;
    use tokio::sync::watch;
    use tokio::task::JoinSet;

    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(found: &[&str], want: &[&str]) {
        let turns = in_turn(found.iter().map(|text| at(text)));
        let want: Vec<SocketAddr> = want.iter().map(|text| at(text)).collect();
        assert_eq!(turns, want);
    }

    #[test]
    fn families_take_turns_beginning_with_the_resolvers_choice() {
        check(
            &["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1"],
            &["[::1]:1", "10.0.0.1:1", "[::2]:1", "[::3]:1"],
        );
        check(
            &["10.0.0.1:1", "10.0.0.2:1", "[::1]:1"],
            &["10.0.0.1:1", "[::1]:1", "10.0.0.2:1"],
        );
        check(&["10.0.0.1:1", "10.0.0.1:1"], &["10.0.0.1:1"]);
        check(&[], &[]);
    }

    #[test]
    fn no_more_addresses_are_tried_than_there_is_time_for() {
        let many = (0..100_u16).map(|port| SocketAddr::from(([10, 0, 0, 1], port)));
        assert_eq!(in_turn(many).len(), ADDRESSES_MAX);
    }

    #[tokio::test]
    async fn a_server_on_ipv6_is_reached() {
        let Ok(listener) = TcpListener::bind("[::1]:0").await else {
            return; // There is no IPv6 here.
        };
        let at = HostPort {
            host: "::1".to_owned(),
            port: listener.local_addr().unwrap().port(),
        };
        let stream = dial(&at).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn whoever_is_not_there_is_named_with_why() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let at: HostPort = addr.to_string().parse().unwrap();
        let refused = dial(&at).await.unwrap_err();
        let want = format!("reach `{addr}` ({addr}: nothing listens there)");
        assert_eq!(refused.to_string(), want);
        let at = "no-such-name.invalid:22".parse().unwrap();
        let refused = dial(&at).await.unwrap_err();
        assert!(matches!(refused, DialError::Unresolved { .. }), "{refused}");
    }

    #[tokio::test]
    async fn whoever_dials_waits_for_a_turn_and_hears_what_others_find() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let name = "others-look-it-up.invalid";
        let (answer, answered) = watch::channel(false);
        let (mut looking, begun) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _each in 0..names::AT_ONCE {
            let (mut answered, begun) = (answered.clone(), Arc::clone(&begun));
            let look = move || async move {
                begun.fetch_add(1, Ordering::Relaxed);
                drop(answered.wait_for(|answered| *answered).await);
                Ok(vec![SocketAddr::from(([127, 0, 0, 1], 0))])
            };
            looking.spawn(async move { NAMES.find(name, look).await });
        }
        while begun.load(Ordering::Relaxed) < names::AT_ONCE {
            tokio::task::yield_now().await;
        }
        let at: HostPort = format!("{name}:{}", addr.port()).parse().unwrap();
        // By itself the name has no address. Who dials comes first, and waits.
        let answering = async { answer.send_replace(true) };
        let (dialled, _before) = tokio::join!(dial(&at), answering);
        assert_eq!(dialled.unwrap().peer_addr().unwrap(), addr);
        looking.join_all().await;
    }

    #[test]
    fn a_target_is_told_the_address_of_the_family_that_it_sees() {
        let check = |egress: &[&str], own: &str, want: &str| {
            let egress: Vec<IpAddr> = egress.iter().map(|text| text.parse().unwrap()).collect();
            let seen = seen_from(&egress, own.parse().unwrap());
            assert_eq!(seen, want.parse::<IpAddr>().unwrap());
        };
        check(&[], "::ffff:10.0.0.1", "10.0.0.1");
        check(&[], "2001:db8::1", "2001:db8::1");
        check(&["192.0.2.1"], "10.0.0.1", "192.0.2.1");
        check(&["192.0.2.1"], "2001:db8::1", "2001:db8::1");
        check(&["192.0.2.1", "2001:db8::9"], "2001:db8::1", "2001:db8::9");
    }
}
