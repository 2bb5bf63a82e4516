//! Which hosts of a target take changes: one, unless a standby was promoted while its primary lived on. Then
//! each of them has the role of a grant, and none copies from another that it is gone.

use ca::PassKey;
use policies::{PostgresEndpoint, PostgresHost, RolePlace};

use super::backends::HOST_LIMIT;
use super::{backends, entrance};
use crate::postgres::target::admin::AdminError;
use crate::session::road::Road;

/// The hosts that take changes beside the one where it was done already, each as a target of its own, with why one
/// lets us not in, so that nobody knows what it is. One that does not answer is left out: it is asked again with the
/// next role.
pub(super) async fn beside(
    done: Option<&PostgresHost>,
    place: (&RolePlace, &PostgresEndpoint),
    key: (&PassKey, &dyn Road),
) -> (Vec<PostgresEndpoint>, Option<AdminError>) {
    let hosts = but(done, entrance::beside(place.1));
    let asking = hosts
        .iter()
        .map(|host| backends::within(HOST_LIMIT, primary(host, place, key)));
    let (mut primaries, mut failed) = (Vec::new(), None);
    for told in backends::together(asking.collect()).await {
        match told {
            Ok(told) => primaries.extend(told),
            Err(refused) => failed = Some(refused),
        }
    }
    (primaries, failed)
}

/// Not the first that takes changes by now: it may be another than the first of then.
fn but(done: Option<&PostgresHost>, mut hosts: Vec<PostgresHost>) -> Vec<PostgresHost> {
    hosts.retain(|host| Some(host) != done);
    hosts
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

#[cfg(test)]
mod tests {
    use policies::ServerPin;

    use std::slice;

    use super::*;

    #[test]
    fn only_the_host_where_it_was_done_is_left_out() {
        let host = |addr: &str| PostgresHost {
            addr: addr.parse().unwrap(),
            server: ServerPin::Certificate {
                sha256: String::new(),
            },
        };
        let [a, b] = ["a:5432", "b:5432"].map(host);
        let both = || vec![a.clone(), b.clone()];
        // The first did not answer when it was done at the second, and does now.
        assert_eq!(but(Some(&b), both()), slice::from_ref(&a));
        assert_eq!(but(Some(&a), both()), slice::from_ref(&b));
        assert_eq!(but(None, both()), both());
    }
}
