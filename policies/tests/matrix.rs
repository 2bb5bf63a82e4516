//! What the shipped policies allow, as one table. A change of policies is reviewed as a diff of its
//! snapshot.

mod world;

use policies::matrix;
use world::{With, facts, here, noon, shipped, shipped_with_forwarding, ssh};

#[test]
fn the_shipped_policies_allow_this_and_nothing_else() {
    insta::assert_snapshot!("matrix", matrix(&shipped(), &facts(), here(), noon()));
}

#[test]
fn the_examples_of_forwarding_allow_this_and_nothing_else() {
    let labels = [("env", "dev"), ("team", "shop")];
    let facts = facts().with_target(ssh("shop1", &labels, None));
    let policies = shipped_with_forwarding();
    insta::assert_snapshot!("forwarding", matrix(&policies, &facts, here(), noon()));
}
