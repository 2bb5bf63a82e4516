//! The stories: what a person does, with the real binary, real clients and real servers.

#![expect(
    clippy::unwrap_used,
    reason = "a story that cannot go on fails by panicking"
)]

mod throw_away;
