//! By when a role is made, or it is not made at all.

use std::time::Duration;

use crate::postgres::target::admin::{Admin, AdminError};
use crate::postgres::target::rows::text;

/// How long the server may take to make a role, by its own clock: less than anybody waits for it.
const MAKING_LIMIT: Duration = Duration::from_secs(8);

/// A moment by the server's own clock, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline(i64);

impl Deadline {
    /// Asks the server for the moment [`MAKING_LIMIT`] from now.
    pub(super) async fn set(admin: &mut Admin) -> Result<Self, AdminError> {
        let told = admin.run(Self::ask(MAKING_LIMIT)).await?;
        let moment = told.first().and_then(|row| Self::read(&text(row, 0)));
        moment.ok_or(AdminError::Nonsense)
    }

    fn ask(limit: Duration) -> String {
        format!(
            "select pg_catalog.ceil(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()))::bigint + {}",
            limit.as_secs()
        )
    }

    /// What it answered.
    pub(super) fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// Fails from then on, and with it the transaction.
    pub(super) fn guard(self) -> String {
        format!(
            "select 1 / case when pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) < {} \
             then 1 else 0 end",
            self.0
        )
    }
}
