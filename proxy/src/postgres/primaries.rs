//! Which hosts of a target take changes: one, unless a standby was promoted while its primary lived on. Then
//! each of them has the role of a grant, and none copies from another that it is gone.

use ca::PassKey;
use policies::{PostgresEndpoint, RolePlace};

use super::admin::{AdminError, Server};
use super::entrance;
use crate::session::road::Road;

/// The hosts that take changes beside the first of them, each as a target of its own. One that does not
/// answer is left out: it is asked again with the next role.
///
/// # Errors
///
/// When one lets us not in, so that nobody knows what it is.
pub(super) async fn beside_the_first(
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<Vec<PostgresEndpoint>, AdminError> {
    let mut primaries = Vec::new();
    if endpoint.others.is_empty() {
        return Ok(primaries);
    }
    for host in endpoint.hosts() {
        let server = Server::Host(&host);
        let at = (endpoint.dbname.as_str(), &place.admin);
        let there = entrance::to_end(server, at, None, key).await;
        let mut there = match there {
            Ok((there, _other_database)) => there,
            Err(absent) if absent.may_be_elsewhere() => continue,
            Err(refused) => return Err(refused),
        };
        if there.is_primary().await? {
            primaries.push(endpoint.alone_at(host.clone()));
        }
        there.leave().await;
    }
    Ok(primaries.split_off(primaries.len().min(1)))
}
