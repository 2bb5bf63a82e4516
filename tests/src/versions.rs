//! The versions of PostgreSQL beside the system's own.

use std::path::{Path, PathBuf};

/// The programs of a version that `tests/pg-clients all` brings.
///
/// # Panics
///
/// When they are not there.
pub fn postgres_bin(version: u32) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let bin = root.join(format!("../target/clients/postgres/{version}/bin"));
    let bin = bin.canonicalize().unwrap_or(bin);
    assert!(
        bin.join("postgres").exists(),
        "PostgreSQL {version} is not there; type: tests/pg-clients all"
    );
    bin
}
