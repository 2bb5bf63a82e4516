//! The exit statuses that we give where no program gave one. What a program gave is passed on as it is.

/// A command that was refused: `EX_NOPERM` of `sysexits.h`.
pub(in crate::ssh) const EXIT_REFUSED: u32 = 77;

/// A command that makes no sense here: `EX_USAGE` of `sysexits.h`.
pub(in crate::ssh) const EXIT_USAGE: u32 = 64;

/// A command that could not be started: what a shell says for one that it cannot execute (POSIX,
/// section 2.8.2).
pub(super) const EXIT_NOT_STARTED: u32 = 126;

/// A command whose connection broke off: what OpenSSH's client says then.
pub(in crate::ssh) const EXIT_GONE: u32 = 255;
