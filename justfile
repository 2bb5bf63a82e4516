# `just` lists what there is. Everything here is also one command without just.

# Show the recipes.
default:
    @just --list

# What to run before every commit: format, lints, the fast tests, the house rules. Under a minute.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --quiet -- -D warnings
    cargo nextest run --workspace -E 'not (binary(e2e) | binary(attacks))'

# Every test, as CI runs them.
test *ARGS:
    tests/run {{ARGS}}

# The stories with real servers; `just e2e revoke` runs those with that word in their name.
e2e *NAME:
    cargo nextest run --package tests --test e2e --test attacks {{NAME}}

# The documentation, with every warning an error.
docs:
    RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --workspace --no-deps --document-private-items

# What CI runs.
ci:
    .ci/run

# The main job on throw-away servers, told step by step.
demo:
    cargo run --release -- demo --script
