//! Keeps what is in this process's memory out of files and debuggers: it holds the authority's keys, decrypted.

use rlimit::Resource;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Sees to it that no core of this process is ever written, nor piped to a collector, which asks for no limit
/// (`core(5)`), and that nobody but root attaches to it. What it starts writes no cores either.
pub(super) fn keep_to_ourselves() -> std::io::Result<()> {
    rlimit::setrlimit(Resource::CORE, 0, 0)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn no_core_is_written_of_what_holds_the_keys() {
        keep_to_ourselves().unwrap();
        assert_eq!(rlimit::getrlimit(Resource::CORE).unwrap(), (0, 0));
        let dumpable = dumpable_behavior().unwrap();
        assert_eq!(dumpable, DumpableBehavior::NotDumpable);
    }
}
