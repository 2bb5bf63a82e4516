//! Hands what libFuzzer makes up to the target that the environment names.
//!
//! One program for all of them: they share everything but one function, and linking it takes longer
//! than compiling it.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

/// What is to be fuzzed.
static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(init: choose(), |input: &[u8]| {
    if let Some(target) = TARGET.get() {
        target(input);
    }
});

/// All targets of all crates.
fn targets() -> impl Iterator<Item = (&'static str, fn(&[u8]))> {
    let others = ca::fuzzing::TARGETS
        .into_iter()
        .chain(recorder::fuzzing::TARGETS);
    proxy::fuzzing::targets().chain(others)
}

/// Takes the target that `FUZZ_TARGET` names. Without one, prints their names.
fn choose() {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let Some((_name, target)) = targets().find(|(known, _target)| *known == name) else {
        for (name, _target) in targets() {
            println!("{name}");
        }
        std::process::exit(2);
    };
    TARGET.get_or_init(|| target);
}
