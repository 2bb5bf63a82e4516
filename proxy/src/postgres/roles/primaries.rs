//! Which hosts of a target take changes: one, unless a standby was promoted while its primary lived on. Then
//! each of them has the role of a grant, and none copies from another that it is gone.

use ca::PassKey;
use policies::{PostgresEndpoint, PostgresHost, RolePlace};

use super::{backends, entrance};
use crate::postgres::target::admin::AdminError;
use crate::session::road::Road;

/// The hosts that take changes beside the first of them, each as a target of its own, with why one lets us not in,
/// so that nobody knows what it is. One that does not answer is left out: it is asked again with the next role.
pub(super) async fn beside_the_first(
    place: (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> (Vec<PostgresEndpoint>, Option<AdminError>) {
    let hosts = entrance::beside(place.1);
    let asking = hosts.iter().map(|host| primary(host, place, key));
    let (mut primaries, mut failed) = (Vec::new(), None);
    for told in backends::together(asking.collect()).await {
        match told {
            Ok(told) => primaries.extend(told),
            Err(refused) => failed = Some(refused),
        }
    }
    // Where it is not known what another is, this may not be the first, and being done twice is no harm.
    if failed.is_none() {
        primaries = primaries.split_off(primaries.len().min(1));
    }
    (primaries, failed)
}

async fn primary(
    host: &PostgresHost,
    (place, endpoint): (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> Result<Option<PostgresEndpoint>, AdminError> {
    let Some(mut there) = entrance::to_end_at(host, (place, endpoint), key).await? else {
        return Ok(None);
    };
    let is_primary = there.is_primary().await?;
    there.leave().await;
    Ok(is_primary.then(|| endpoint.alone_at(host.clone())))
}
