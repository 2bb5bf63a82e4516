//! What the shipped policies allow, as one table. A change of policies is reviewed as a diff of its
//! snapshot.

mod world;

use policies::matrix;
use world::{facts, here, noon, shipped};

#[test]
fn the_shipped_policies_allow_this_and_nothing_else() {
    insta::assert_snapshot!("matrix", matrix(&shipped(), &facts(), here(), noon()));
}
