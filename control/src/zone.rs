//! Time zones by name.
//!
//! The host's own database comes first, because it knows the newest rules. Names that it does not have,
//! or has no more (distributions put `US/Pacific` and its kin into a package of their own), are looked
//! up in the one that is built in: policies that were accepted once can be read for good.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

static BUILT_IN: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The zone that the IANA calls so, for example `Europe/Berlin`.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name)
        .or_else(|_unknown| BUILT_IN.get(name))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_the_host_may_have_lost_is_known_all_the_same() {
        assert!(BUILT_IN.get("US/Pacific").is_ok());
        for name in ["UTC", "Europe/Berlin", "US/Pacific"] {
            assert!(zone(name).is_some(), "{name}");
        }
        for name in ["", "Europe/Nowhere", "../etc/passwd"] {
            assert!(zone(name).is_none(), "{name}");
        }
    }
}
