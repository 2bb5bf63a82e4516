//! Where the `tidegate` binary is: beside the test's own, in the same profile.

use std::path::PathBuf;
use std::process::Command;

/// The binary. `TIDEGATE_BINARY` names another.
///
/// # Panics
///
/// When it has not been built.
pub fn tidegate() -> PathBuf {
    if let Some(named) = std::env::var_os("TIDEGATE_BINARY") {
        return named.into();
    }
    let own = std::env::current_exe().expect("a process knows its program");
    let found = own
        .ancestors()
        .skip(1)
        .take(3)
        .map(|dir| dir.join("tidegate"))
        .find(|path| path.is_file());
    found.expect("`tidegate` is built: cargo build --package proxy --bin tidegate")
}

/// Builds the optimised binary, for programs that measure it, and says where it is. One that
/// `TIDEGATE_BINARY` names is taken as it is.
///
/// # Panics
///
/// When it does not build.
pub fn release() -> PathBuf {
    if std::env::var_os("TIDEGATE_BINARY").is_some() {
        return tidegate();
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "proxy",
        "--bin",
        "tidegate",
    ]);
    assert!(
        build.status().expect("cargo runs").success(),
        "`tidegate` builds"
    );
    tidegate()
}
