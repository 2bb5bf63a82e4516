//! Where targets stand while tidegate is measured: on the same processors, and out of the way.
//!
//! In life they have processors of their own. `nice` does not do it: every login of `sshd` and every
//! backend of PostgreSQL calls `setsid(2)`, and the kernel's autogroups (`sched(7)`) give each of
//! those an equal share whatever its niceness. A control group that counts for next to nothing does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;

/// Where the controller of processors may be: `cgroups(7)` version 2, then 1.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/cpu"];

/// The file of a group's share, and its least value, in either version.
const SHARES: [(&str, &str); 2] = [("cpu.weight", "1"), ("cpu.shares", "2")];

/// A control group of processes that stand back, removed when it is dropped.
#[derive(Debug)]
pub struct Backstage {
    group: PathBuf,
}

impl Backstage {
    /// Makes a group for these processes and whatever they will start.
    ///
    /// # Errors
    ///
    /// Where this is not root, or the system has no such groups.
    pub fn of(pids: &[u32]) -> io::Result<Self> {
        let mut refused = io::Error::from(io::ErrorKind::Unsupported);
        for root in ROOTS {
            match Self::within(Path::new(root), pids) {
                Ok(made) => return Ok(made),
                Err(why) => refused = why,
            }
        }
        Err(refused)
    }

    fn within(root: &Path, pids: &[u32]) -> io::Result<Self> {
        let group = root.join(format!("tidegate-targets-{}", process::id()));
        fs::create_dir(&group)?;
        let made = Self { group };
        let share = SHARES
            .iter()
            .find(|(file, _least)| made.group.join(file).exists());
        let (file, least) = share.ok_or(io::ErrorKind::Unsupported)?;
        fs::write(made.group.join(file), least)?;
        for pid in pids {
            fs::write(made.group.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(made)
    }
}

impl Drop for Backstage {
    fn drop(&mut self) {
        // Processes that have not ended yet go back to where everybody is.
        let left = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        let above = self.group.parent().map(|root| root.join("cgroup.procs"));
        for pid in left.lines() {
            if let Some(above) = &above {
                drop(fs::write(above, pid));
            }
        }
        drop(fs::remove_dir(&self.group));
    }
}
