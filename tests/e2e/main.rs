//! The stories: what a person does, with the real binary, real clients and real servers.

mod throw_away;
