//! Which groups are lent to the roles of grants.

use tests::versions::postgres_bin;

use super::*;

/// Whoever is lent what administers other roles would let others in to those for good.
fn a_group_that_administers_others_is_not_lent(world: &World, creates: &[(&str, &str)]) {
    let before = world.catalogue();
    world.sql("create role secret; create role amid");
    let through = "grant secret to amid with admin option; grant amid to app";
    let directly = "grant secret to app with admin option";
    let all = [(directly, "secret"), (through, "secret")];
    for (given, lets) in all.iter().chain(creates) {
        world.sql(given);
        let grant = world.grant_pg("10m");
        let ran = world.psql("select 1");
        assert!(err(&ran).contains("TG409"), "{given}: {}", err(&ran));
        assert_eq!(world.own_roles(), Vec::<String>::new(), "{given}");
        let doctor = out(&world.doctor());
        let why = "others members of what it administers, who would stay so: ";
        let (_before, said) = doctor.split_once(why).expect(given);
        let (named, typed) = said.split_once("; as a superuser there:  ").expect(given);
        assert_eq!(named, *lets);
        // It is typed as it stands there.
        let (typed, _hint) = typed.split_once(";  ").expect(given);
        world.sql(typed);
        works(world, &grant);
        world.revoke(&grant);
        world.no_own_roles();
        world.sql("revoke amid from app");
    }
    world.sql("drop role amid, secret");
    assert_eq!(world.catalogue(), before);
}

const CREATES: [(&str, &str); 2] = [
    ("alter role app createrole", "anybody (CREATEROLE)"),
    (
        "alter role amid createrole; grant amid to app",
        "anybody (CREATEROLE)",
    ),
];

#[test]
fn a_group_that_lets_others_in_is_not_lent_to_the_roles_of_grants() {
    a_group_that_administers_others_is_not_lent(&world(), &CREATES);
}

#[test]
#[ignore = "needs what `tests/pg-clients all` brings; `tests/run --all` runs it"]
fn a_group_that_lets_others_in_is_not_lent_at_every_version() {
    for version in [13, 14, 16, 17, 18] {
        let world = World::with(&Setting {
            postgres_bin: Some(&postgres_bin(version)),
            ..Setting::default()
        });
        world.have_own_roles();
        // From 16 on who has CREATEROLE lets others only to what it made, with ADMIN OPTION.
        let creates = if version < 16 { &CREATES[..] } else { &[] };
        a_group_that_administers_others_is_not_lent(&world, creates);
    }
}
