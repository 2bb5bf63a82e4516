//! The open doors: SSH, PostgreSQL and HTTPS, each accepting connections and giving every one a
//! task of its own.

use std::net::SocketAddr;
use std::sync::Arc;

use control::api::{Entrances, Parts};
use jiff::Timestamp;
use policies::HostPort;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, warn};

use super::api::Api;
use super::identify::BrokerIdentify;
use super::identity::{self, Identities};
use super::inside::InnerHouse;
use super::probe::Lookout;
use super::tracks::Tracks;
use super::{Failure, House};
use crate::config::Config;
use crate::listener::{self, Book, Family, Seat, Seats};
use crate::postgres::Postgres;
use crate::session::bastion::Bastion;
use crate::session::incoming::{Incoming, Newcomer};
use crate::session::protocol::{Protocol, Refused};
use crate::session::{self, chain};
use crate::ssh::Ssh;

/// Every socket that is listened on, before anything is accepted: a taken port stops the start.
#[derive(Debug)]
pub(super) struct Listeners {
    ssh: Vec<TcpListener>,
    postgres: Vec<TcpListener>,
    api: Vec<TcpListener>,
}

impl Listeners {
    /// Takes all ports.
    pub(super) fn bind(config: &Config) -> Result<Self, Failure> {
        Ok(Self {
            ssh: bind(&config.ssh, "SSH")?,
            postgres: bind(&config.postgres, "PostgreSQL")?,
            api: bind(&config.api, "HTTPS")?,
        })
    }
}

fn bind(addresses: &[SocketAddr], protocol: &'static str) -> Result<Vec<TcpListener>, Failure> {
    let bind_one = |address: &SocketAddr| {
        let address = *address;
        let family = Family::of(address, addresses);
        listener::bind(address, family).map_err(|source| Failure::Listen {
            address,
            protocol,
            source,
        })
    };
    addresses.iter().map(bind_one).collect()
}

/// The protocols behind the doors.
pub(super) struct Doors {
    ssh: Arc<Ssh>,
    postgres: Arc<Postgres>,
    api: Arc<Api>,
    bastion: Arc<Bastion>,
    book: Arc<Book>,
    tracker: TaskTracker,
    tracks: Tracks,
    closing: CancellationToken,
    /// Of the API's door, which is the last: what goes on while we stop can be ended.
    closing_api: CancellationToken,
    /// When the certificates end that are shown first.
    expires_at: Timestamp,
}

impl Doors {
    /// Sets the protocols up.
    pub(super) async fn open(
        config: &Config,
        house: &House,
        tracker: &TaskTracker,
    ) -> Result<Self, Failure> {
        let identify = Arc::new(BrokerIdentify(house.broker.clone()));
        let identities = Identities::issue(config, house).await?;
        let anchor = house.authority.login_anchor();
        let postgres = Arc::new(
            Postgres::new(identify.clone(), anchor, &identities.server)
                .map_err(Failure::Anchor)?
                .called(&config.hosts)
                .with_passwords(config.one_time_passwords),
        );
        let inside = InnerHouse::new(
            house.broker.clone(),
            house.authority.clone(),
            Arc::clone(&house.bastion),
            config.per_principal_max,
        );
        let ssh = Ssh::new(
            &identities.host,
            house.authority.login_ca().clone(),
            identify,
            Arc::new(inside),
        )
        .with_clients(&identities.host, config.clients);
        let router = control::api::router(Parts {
            broker: house.broker.clone(),
            authority: house.authority.clone(),
            recorder: house.recorder.clone(),
            probe: Arc::new(Lookout {
                broker: house.broker.clone(),
                authority: house.authority.clone(),
                egress: config.egress.clone(),
            }),
            entrances: entrances(config),
        });
        let api = Arc::new(Api::new(
            anchor.clone(),
            &identities.server,
            router,
            (house.broker.clone(), config.per_principal_max),
        )?);
        Ok(Self {
            ssh: Arc::new(ssh),
            postgres,
            api,
            bastion: Arc::clone(&house.bastion),
            book: Arc::new(Book::new(house.broker.clock().clone(), config.penalty_max)),
            tracker: tracker.clone(),
            tracks: Tracks::start().map_err(Failure::Threads)?,
            closing: CancellationToken::new(),
            closing_api: CancellationToken::new(),
            expires_at: identities.host.expires_at,
        })
    }

    /// Begins to accept, and keeps what is shown fresh.
    pub(super) fn accept(
        &self,
        config: &Config,
        house: &House,
        listeners: Listeners,
        upkeep: &mut JoinSet<()>,
    ) {
        let shown = (
            Arc::clone(&self.postgres),
            Arc::clone(&self.api),
            Arc::clone(&self.ssh),
        );
        upkeep.spawn(identity::renew(
            (config.hosts.clone(), self.expires_at),
            house.authority.clone(),
            house.broker.clone(),
            shown,
        ));
        // Each door has seats of its own, and counts for itself who sits there: a flood at one shuts
        // no other, not even for those who come from the same source.
        let seats = || Seats::new(config.unproven, Arc::clone(&self.book));
        let (ssh, postgres, api) = (seats(), seats(), seats());
        for listener in listeners.ssh {
            upkeep.spawn(self.admit_all(listener, ssh.clone(), Arc::clone(&self.ssh)));
        }
        for listener in listeners.postgres {
            upkeep.spawn(self.admit_all(listener, postgres.clone(), Arc::clone(&self.postgres)));
        }
        for listener in listeners.api {
            let (api, seats) = (Arc::clone(&self.api), api.clone());
            let closing = self.closing_api.clone();
            let accepting = async move {
                let take = |stream, source, seat: Seat| {
                    let api = Arc::clone(&api);
                    tokio::spawn(async move {
                        let leave = seat.leave();
                        leave
                            .run_until_cancelled(api.serve(stream, source, seat))
                            .await;
                    });
                };
                // Taken over by the runtime that this runs on: see there.
                let listener = listener.into_std().and_then(TcpListener::from_std);
                match listener {
                    Ok(listener) => {
                        closing
                            .run_until_cancelled(listener::accept(listener, seats, take))
                            .await;
                    }
                    Err(refused) => error!(reason = %refused, "api.unserved"),
                }
            };
            upkeep.spawn_on(accepting, house.api.handle());
        }
    }

    /// Lets nobody come to a target any more.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Answers nobody any more either.
    pub(super) fn close_api(&self) {
        self.closing_api.cancel();
    }

    fn admit_all<P: Protocol>(
        &self,
        listener: TcpListener,
        seats: Seats,
        protocol: Arc<P>,
    ) -> impl Future<Output = ()> + Send + use<P> {
        let bastion = Arc::clone(&self.bastion);
        let (tracker, closing) = (self.tracker.clone(), self.closing.clone());
        let tracks = self.tracks.clone();
        async move {
            let take = |stream: TcpStream, source, seat: Seat| {
                let (protocol, bastion) = (Arc::clone(&protocol), Arc::clone(&bastion));
                let stream = match stream.into_std() {
                    Ok(stream) => stream,
                    Err(refused) => return warn!(reason = %refused, "connection.unaccepted"),
                };
                let leave = seat.leave();
                tracks.carry(&tracker, async move {
                    // Taken over by the track that this runs on.
                    let run = async {
                        let stream = TcpStream::from_std(stream).map_err(Refused::Socket)?;
                        let incoming = Incoming::tcp(stream, Newcomer::new(source, Some(seat)));
                        session::run(protocol.as_ref(), incoming, &bastion).await
                    };
                    match leave.run_until_cancelled(run).await {
                        Some(Ok(())) => {}
                        Some(Err(refused)) => {
                            debug!(%source, reason = %chain(&refused), "connection.refused");
                        }
                        None => debug!(%source, "connection.gave_way"),
                    }
                });
            };
            closing
                .run_until_cancelled(listener::accept(listener, seats, take))
                .await;
        }
    }
}

/// Where people find us: our first name, and the first port of each kind.
fn entrances(config: &Config) -> Entrances {
    let host = config.hosts.first();
    let at = |addresses: &[SocketAddr]| {
        let (host, first) = (host?.clone(), addresses.first()?);
        Some(HostPort {
            host,
            port: first.port(),
        })
    };
    Entrances {
        ssh: at(&config.ssh),
        postgres: at(&config.postgres),
    }
}
