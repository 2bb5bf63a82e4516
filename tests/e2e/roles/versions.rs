//! The roles of grants at every version of PostgreSQL: from 16 on a membership says what it is good for and who may
//! give it on, and what is in the catalogue differs with each.

use tests::versions::postgres_bin;

use super::crashes::{made_in_spite_of_a_crash, removed_in_spite_of_a_crash};
use super::handover::leaves_it_to_its_group;
use super::*;
use crate::{privileges, remains};

/// All that happens to the role of a grant, at this version: it is made, used, handed over, removed, found again after
/// a kill, and what remains of it is named.
fn lives(version: u32) {
    let bin = postgres_bin(version);
    {
        let mut world = world_of(Some(&bin));
        comes_and_goes(&world);
        let _how_is_told_or_not = leaves_it_to_its_group(&world);
        made_in_spite_of_a_crash(&mut world);
        removed_in_spite_of_a_crash(&mut world);
    }
    for named in remains::NAMED {
        named(&world_of(Some(&bin)));
    }
    privileges::can_do_what_was_declared(Some(&bin));
    privileges::goes_as_it_was_made(Some(&bin));
}

#[test]
fn roles_of_grants_come_and_go_at_the_newest_version() {
    comes_and_goes(&world_of(Some(&postgres_bin(18))));
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn roles_of_grants_live_at_postgresql_13() {
    lives(13);
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn roles_of_grants_live_at_postgresql_14() {
    lives(14);
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn roles_of_grants_live_at_postgresql_16() {
    lives(16);
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn roles_of_grants_live_at_postgresql_17() {
    lives(17);
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn roles_of_grants_live_at_postgresql_18() {
    lives(18);
}
