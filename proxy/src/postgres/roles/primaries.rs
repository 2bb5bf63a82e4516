//! Which hosts of a target take changes: one, unless a standby was promoted while its primary lived on. Then
//! each of them has the role of a grant, and none copies from another that it is gone.

use ca::PassKey;
use policies::{PostgresEndpoint, RolePlace};

use super::entrance;
use crate::postgres::target::admin::AdminError;
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
    for host in entrance::beside(endpoint) {
        let Some(mut there) = entrance::to_end_at(&host, (place, endpoint), key).await? else {
            continue;
        };
        if there.is_primary().await? {
            primaries.push(endpoint.alone_at(host.clone()));
        }
        there.leave().await;
    }
    Ok(primaries.split_off(primaries.len().min(1)))
}
