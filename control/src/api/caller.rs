//! Who calls: from the certificate of the connection to a [`Caller`].

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use policies::Part;
use policies::words::api::ApiRefusal;

use crate::api::Shared;
use crate::api::problem::Refused;
use crate::api::serve::{PeerCertificate, Source};
use crate::{BrokerError, Caller};

/// Somebody with a login that holds.
#[derive(Debug)]
pub(crate) struct Known(pub(crate) Caller);

impl FromRequestParts<Shared> for Known {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, house: &Shared) -> Result<Self, Refused> {
        let Holder { caller, by_key: _ } = Holder::from_request_parts(parts, house).await?;
        Ok(Self(caller))
    }
}

/// Somebody with a login that holds, and the registered key by which they got it.
#[derive(Debug, Clone)]
pub(crate) struct Holder {
    pub(crate) caller: Caller,
    /// `SHA256:…`.
    pub(crate) by_key: String,
}

impl Holder {
    /// The chain was verified in the TLS handshake; that the certificate is a login and still holds,
    /// and that its owner is known, not locked, and still has the key by which they got it, is looked
    /// at for every request.
    pub(crate) async fn proven(parts: &mut Parts, house: &Shared) -> Result<Self, Refused> {
        let Place(source) = Place::from_request_parts(parts, house).await?;
        let certificate = parts
            .extensions
            .get::<PeerCertificate>()
            .ok_or(ApiRefusal::NotLoggedIn)?;
        let broker = &house.parts.broker;
        let proof = ca::check_login_x509(&certificate.0, broker.clock().now())
            .map_err(|_refusal| ApiRefusal::NotLoggedIn)?;
        // A wall that was set back gives nobody anything again; but whoever it leaves logged in may end what others do.
        let is_over = ca::check_login_x509(&certificate.0, broker.latest_time()).is_err();
        if is_over && !only_ends(&parts.method, parts.uri.path()) {
            return Err(BrokerError::Unavailable { part: Part::Clock }.into());
        }
        if !broker.knows(&proof.principal, &proof.credential()) {
            return Err(ApiRefusal::NotLoggedIn.into());
        }
        Ok(Self {
            caller: Caller {
                principal: proof.principal,
                source,
            },
            by_key: proof.by_key,
        })
    }
}

/// Whether a request at most takes away from others what they have, or looks for what that is and why nothing goes.
fn only_ends(method: &Method, path: &str) -> bool {
    // By these a session's grant, and those for a target, are looked up before they are ended.
    let looks = ["/v1/sessions/", "/v1/targets/"];
    let takes = ["/deny", "/withdraw", "/revoke", "/kill", "/lock"];
    match *method {
        Method::GET => {
            matches!(path, "/v1/checks" | "/v1/sessions" | "/v1/grants")
                || looks.iter().any(|place| path.starts_with(place))
        }
        Method::POST => takes.iter().any(|ending| path.ends_with(ending)),
        _ => false,
    }
}

impl FromRequestParts<Shared> for Holder {
    type Rejection = Refused;

    /// They were proven when it was their turn.
    async fn from_request_parts(parts: &mut Parts, _house: &Shared) -> Result<Self, Refused> {
        let holder = parts.extensions.get::<Self>().cloned();
        holder.ok_or_else(|| ApiRefusal::NotLoggedIn.into())
    }
}

/// Where a request comes from.
#[derive(Debug)]
pub(crate) struct Place(pub(crate) std::net::IpAddr);

impl FromRequestParts<Shared> for Place {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _house: &Shared) -> Result<Self, Refused> {
        let Source(at) = parts
            .extensions
            .get::<Source>()
            .ok_or(ApiRefusal::Unavailable)?;
        Ok(Self(*at))
    }
}
