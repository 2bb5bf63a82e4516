//! The HTTP API: parse, one broker call, render.
//!
//! JSON in, JSON out, problems by RFC 9457. Decides nothing and knows no target's protocol; what has
//! to look at a server goes through the trait [`Probe`]. Who calls is what their certificate says:
//! the TLS listener verifies the chain and hands the certificate to `serve`.

pub mod wire;

mod bastion;
mod caller;
mod challenge;
mod checks;
mod extract;
mod grants;
mod inspection;
mod login;
mod onetime;
mod own_roles;
mod policy;
mod principals;
mod probe;
mod problem;
mod recordings;
mod requests;
mod serve;
mod sessions;
mod share;
mod socket;
mod strangers;
mod survey;
mod targets;
mod trust;
mod unsent;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
pub use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use ca::Authority;
use policies::words::api::ApiRefusal;
use policies::{Denial, HostPort};
use recorder::Recorder;
use tokio::sync::Mutex;

pub use self::probe::{Entering, Owning, Probe, RoleThere, Seeing, Unasking, Weighing};
pub use self::serve::{Peer, PeerCertificate, Showing, serve};

use self::challenge::Challenges;
use self::problem::Refused;
use self::share::Shares;
use self::strangers::Strangers;
use crate::{Broker, BrokerError, entropy};

/// The largest body that is read: policy files are the largest thing that anybody sends. Bodies of what
/// takes an office are read once it is known that the caller holds it.
const BODY_MAX: usize = 1024 * 1024;

/// The largest body of what everybody may do: a few names and a reason.
const ASKING_BODY_MAX: usize = 16 * 1024;

/// The largest body of a login: a signing request, two keys and a signature, each below
/// [`LINE_MAX`](crate::identity::LINE_MAX). Strangers send it.
const LOGIN_BODY_MAX: usize = 32 * 1024;

/// How long an answer may take, the longest wait for a request included.
const ANSWER_LIMIT: Duration = Duration::from_secs(45);

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The truth.
    pub broker: Broker,
    /// Makes login certificates.
    pub authority: Authority,
    /// Has the recordings.
    pub recorder: Recorder,
    /// Looks at servers.
    pub probe: Arc<dyn Probe>,
    /// Where people find the other protocols.
    pub entrances: Entrances,
}

/// Where people find the other protocols, as they reach them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entrances {
    /// SSH.
    pub ssh: Option<HostPort>,
    /// PostgreSQL.
    pub postgres: Option<HostPort>,
}

/// What every handler shares.
#[derive(Debug)]
pub(crate) struct House {
    parts: Parts,
    /// None where the system gave no randomness: nobody logs in then.
    challenges: Option<Challenges>,
    strangers: Strangers,
    shares: Shares,
    /// Whose turn it is to look at the disk under the recordings.
    disk_turn: Arc<Mutex<()>>,
}

/// The state of the router.
pub(crate) type Shared = Arc<House>;

/// The whole API.
pub fn router(parts: Parts) -> Router {
    let house: Shared = Arc::new(House {
        challenges: challenges(&parts.broker),
        parts,
        strangers: Strangers::default(),
        shares: Shares::default(),
        disk_turn: Arc::default(),
    });
    let in_slot = middleware::from_fn_with_state(Arc::clone(&house), share::in_slot);
    let in_ending_slot = middleware::from_fn_with_state(Arc::clone(&house), share::in_ending_slot);
    Router::new()
        .route(
            "/healthz",
            get(|| async { Json(serde_json::json!({"ok": true})) }),
        )
        .route("/v1/trust", get(trust::show))
        .merge(entering())
        .merge(asking().route_layer(in_slot.clone()))
        .merge(administering().route_layer(in_slot))
        .merge(ending().route_layer(in_ending_slot))
        .fallback(|| async { Refused::from(ApiRefusal::NoSuchPlace) })
        .method_not_allowed_fallback(|| async { Refused::from(ApiRefusal::NoSuchPlace) })
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn(unsent::carry))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(house)
}

fn challenges(broker: &Broker) -> Option<Challenges> {
    let secret = entropy::bytes()
        .inspect_err(|refused| tracing::error!(reason = %refused, "challenges.unmade"));
    Some(Challenges::new(&secret.ok()?, broker.clock().instant()))
}

/// What somebody gets who has too many connections open: that, whatever they ask.
pub fn crowded(limit: usize) -> Router {
    Router::new().fallback(move || async move {
        Refused::from(BrokerError::Denied(Denial::Crowded { limit }))
    })
}

/// What strangers may do.
fn entering() -> Router<Shared> {
    Router::new()
        .route("/v1/login/challenge", post(login::challenge))
        .route("/v1/login", post(login::login))
        .route_layer(middleware::from_fn(serve::count_login))
        .layer(DefaultBodyLimit::max(LOGIN_BODY_MAX))
}

/// What everybody does.
fn asking() -> Router<Shared> {
    Router::new()
        .route("/v1/whoami", get(principals::whoami))
        .route("/v1/targets", get(targets::list))
        .route("/v1/targets/{name}", get(targets::show))
        .route("/v1/requests", get(requests::list).post(requests::file))
        .route("/v1/requests/{id}", get(requests::show))
        .route("/v1/requests/{id}/approve", post(requests::approve))
        .route("/v1/grants", get(grants::list))
        .route("/v1/grants/{id}", get(grants::show))
        .route("/v1/grants/{id}/passwords", post(onetime::make))
        .route("/v1/sessions", get(sessions::list))
        .route("/v1/sessions/{id}", get(sessions::show))
        .route("/v1/recordings", get(recordings::list))
        .route("/v1/recordings/{id}/file", get(recordings::file))
        .layer(DefaultBodyLimit::max(ASKING_BODY_MAX))
}

/// What ends something: a request, a grant, a session, or somebody's or something's being known.
fn ending() -> Router<Shared> {
    Router::new()
        .route("/v1/requests/{id}/deny", post(requests::deny))
        .route("/v1/requests/{id}/withdraw", post(requests::withdraw))
        .route("/v1/grants/{id}/revoke", post(grants::revoke))
        .route("/v1/sessions/{id}/kill", post(sessions::kill))
        .route("/v1/principals/{name}/lock", post(principals::lock))
        .route("/v1/principals/{name}", delete(principals::remove))
        .route(
            "/v1/principals/{name}/keys/{fingerprint}",
            delete(principals::remove_key),
        )
        .route("/v1/targets/{name}/lock", post(targets::lock))
        .route("/v1/targets/{name}", delete(targets::remove))
        .layer(DefaultBodyLimit::max(ASKING_BODY_MAX))
}

/// What admins and auditors do.
fn administering() -> Router<Shared> {
    Router::new()
        .route("/v1/targets", post(targets::add))
        .route("/v1/targets/probe", post(targets::probe))
        .route("/v1/targets/{name}", put(targets::change))
        .route("/v1/targets/{name}/test", post(targets::test))
        .route("/v1/targets/{name}/unlock", post(targets::unlock))
        .route("/v1/targets/{name}/credential", put(targets::keep))
        .route(
            "/v1/targets/{name}/aliases/{alias}",
            put(targets::give_alias).delete(targets::take_alias),
        )
        .route(
            "/v1/principals",
            get(principals::list).post(principals::add),
        )
        .route("/v1/principals/{name}", get(principals::show))
        .route("/v1/principals/{name}/unlock", post(principals::unlock))
        .route("/v1/principals/{name}/groups", post(principals::set_groups))
        .route("/v1/principals/{name}/keys", post(principals::add_key))
        .route("/v1/policies", get(policy::show).put(policy::apply))
        .route("/v1/audit", get(sessions::audit))
        .route("/v1/audit/raw", get(sessions::audit_raw))
        .route("/v1/checks", get(checks::all))
}

async fn in_time(request: Request, next: Next) -> Response {
    match tokio::time::timeout(ANSWER_LIMIT, next.run(request)).await {
        Ok(answer) => answer,
        Err(_elapsed) => Refused::from(ApiRefusal::TooSlow).into_response(),
    }
}

#[cfg(test)]
mod tests;
