//! Which roles there are at a server that are called as those of grants are.
//!
//! Only looks. Whose they are is not said here: another tidegate may have made them.

use std::time::Duration;

use ca::PassKey;
use control::api::RoleThere;
use policies::{Login, PostgresEndpoint};
use tokio::time;

use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::text;
use crate::session::road::Road;

/// How long that may take.
const LIMIT: Duration = Duration::from_secs(5);

/// How many are looked at.
const NAMED_MAX: usize = 5_000;

/// The roles with such a name, and whether we are a member of each; no more than anybody reads.
const NAMED: &str = "select rolname, pg_catalog.pg_has_role(oid, 'member') from pg_catalog.pg_roles \
    where rolname ~ '^tg_[0-9a-z]{26}$' order by 1 limit 5000";

/// Looks for them at the primary.
pub(crate) async fn there(
    (endpoint, admin): (&PostgresEndpoint, &Login),
    with: (&PassKey, &dyn Road),
) -> Result<Vec<RoleThere>, AdminError> {
    let looking = async {
        let mut entered = Admin::enter(endpoint, &endpoint.dbname, admin, with).await?;
        let rows = entered.run(NAMED).await?;
        entered.leave().await;
        Ok(rows)
    };
    let rows = time::timeout(LIMIT, looking).await;
    let rows = rows.unwrap_or(Err(AdminError::Slow))?;
    // Of some of them nobody knows which are not there.
    if rows.len() >= NAMED_MAX {
        return Err(AdminError::Many);
    }
    let there = rows.iter().filter_map(|row| {
        Some(RoleThere {
            role: Login::parse(&text(row, 0)).ok()?,
            is_kept: text(row, 1) == "t",
        })
    });
    Ok(there.collect())
}
