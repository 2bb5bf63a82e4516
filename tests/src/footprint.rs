//! What a process has used: processor time and memory, as `proc(5)` tells.

use std::fs;
use std::time::Duration;

/// A process to look at.
#[derive(Debug, Clone, Copy)]
pub struct Footprint {
    pid: u32,
}

impl Footprint {
    /// Of this process.
    pub fn of(pid: u32) -> Self {
        Self { pid }
    }

    /// Processor time so far, of all its threads, in user and system mode.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn cpu(self) -> Duration {
        let text = self.read("stat");
        // The name in parentheses may hold anything; fields 14 and 15 are utime and stime.
        let (_, fields) = text.rsplit_once(')').expect("a name in parentheses");
        let ticks: u64 = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        // sysconf(_SC_CLK_TCK) is 100 on every Linux that Rust runs on.
        Duration::from_millis(ticks * 10)
    }

    /// Memory that is its own, and its share of what it shares, in KiB.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn memory(self) -> u64 {
        kib(&self.read("smaps_rollup"), "Pss:")
    }

    /// Memory that no file is behind, in KiB: what it holds. Pages of the program itself do not count;
    /// [`memory`](Self::memory) has more of them whenever another process of the same program ends.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn held(self) -> u64 {
        kib(&self.read("smaps_rollup"), "Anonymous:")
    }

    /// The most memory it ever had, in KiB.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn most_memory(self) -> u64 {
        kib(&self.read("status"), "VmHWM:")
    }

    /// Memory that it has at the moment, in KiB, as [`most_memory`](Self::most_memory) counts it.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn resident(self) -> u64 {
        kib(&self.read("status"), "VmRSS:")
    }

    /// Has the most memory begin again from what there is (`clear_refs` in `proc(5)`).
    ///
    /// # Panics
    ///
    /// When it is gone, or we are not root: a server lets nobody else look into it.
    pub fn forget_most(self) {
        let path = format!("/proc/{}/clear_refs", self.pid);
        fs::write(path, "5").expect("the process lives, and we are root");
    }

    /// Whether each of its threads waits for something to happen. One that computes, or waits for a disk, does not.
    ///
    /// # Panics
    ///
    /// When it is gone.
    pub fn is_idle(self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).expect("the process lives");
        threads.flatten().all(|thread| {
            // One that has ended meanwhile does nothing.
            let text = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            let state = text.rsplit_once(')').map(|(_, fields)| fields.trim_start());
            state.is_none_or(|state| state.starts_with('S'))
        })
    }

    fn read(self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid)).expect("the process lives")
    }
}

fn kib(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("the field is there")
}
