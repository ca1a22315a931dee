//! What processes use, by proc(5): CPU time, bytes for the disk, memory. A process counts with its children, since Postgres serves each
//! connection by a child and Redis rewrites its log in one.

use std::{collections::BTreeMap, fs};

/// What some processes have used so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Usage {
    cpu_micros: u64,
    /// By process: a child that ends meanwhile takes its count with it.
    written: BTreeMap<u32, u64>,
}

impl Usage {
    /// Adds up the processes and their children; nothing if one of them is gone.
    pub(crate) fn of(roots: &[u32]) -> Option<Self> {
        let mut cpu_ticks = 0;
        let mut written = BTreeMap::new();
        for (pid, of) in family(roots)? {
            cpu_ticks += of.ticks;
            // What the children took that have ended; the others are counted themselves.
            if roots.contains(&pid) {
                cpu_ticks += of.ended_ticks;
            }
            written.insert(pid, written_bytes(pid).unwrap_or_default());
        }
        let cpu_micros = cpu_ticks * 1_000_000 / rustix::param::clock_ticks_per_second();
        Some(Self { cpu_micros, written })
    }

    pub(crate) fn cpu_micros_since(&self, before: &Self) -> Option<u64> {
        self.cpu_micros.checked_sub(before.cpu_micros)
    }

    /// Counts what was written since by those who are there; a child that came and went is left out.
    pub(crate) fn written_since(&self, before: &Self) -> u64 {
        let since = |(pid, bytes): (&u32, &u64)| {
            bytes.saturating_sub(before.written.get(pid).copied().unwrap_or_default())
        };
        self.written.iter().map(since).sum()
    }
}

/// Returns the memory of processes and their children in bytes, each shared page counted once; nothing if one of them is gone.
pub(crate) fn memory_bytes(roots: &[u32]) -> Option<u64> {
    let pids = family(roots)?;
    Some(pids.keys().filter_map(|pid| proportional_bytes(*pid)).sum())
}

/// Returns the CPU time that the whole machine has used: all cores, the kernel's own work, too.
pub(crate) fn machine_micros() -> Option<u64> {
    let ticks = busy_ticks(&fs::read_to_string("/proc/stat").ok()?)?;
    Some(ticks * 1_000_000 / rustix::param::clock_ticks_per_second())
}

/// A process as `/proc/<pid>/stat` shows it, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Of user and system.
    ticks: u64,
    /// The same of children that have ended.
    ended_ticks: u64,
}

fn family(roots: &[u32]) -> Option<BTreeMap<u32, Stat>> {
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all = pids.filter_map(|pid| Some((pid, stat(pid)?)));
    let family: BTreeMap<u32, Stat> =
        all.filter(|(pid, stat)| roots.contains(pid) || roots.contains(&stat.parent)).collect();
    roots.iter().all(|root| family.contains_key(root)).then_some(family)
}

fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name, field 2, may hold spaces and parentheses; nothing after it does.
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(4)?).ok()?,
        ticks: number(14)? + number(15)?,
        ended_ticks: number(16)? + number(17)?,
    })
}

/// Source: proc(5), `/proc/<pid>/io`.
fn written_bytes(pid: u32) -> Option<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    field(&io, "write_bytes:")
}

/// Source: proc(5), `/proc/<pid>/smaps_rollup`, in kB.
fn proportional_bytes(pid: u32) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(field(&rollup, "Pss:")? * 1024)
}

/// Reads the number behind a name at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

/// Adds up all but `idle` and `iowait` (fields 4 and 5); guests are part of `user` (fields 9 and 10).
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let idle = fields.get(3)? + fields.get(4)?;
    Some(fields.iter().take(8).sum::<u64>() - idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_behind_the_strangest_name() {
        let text = "7 (a) b 1 2) S 5 7 7 0 -1 4194304 1 2 3 4 150 25 30 4 20 0 5 0 100 200\n";
        assert_eq!(parse_stat(text), Some(Stat { parent: 5, ticks: 175, ended_ticks: 34 }));
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let io = "rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n";
        assert_eq!(field(io, "write_bytes:"), Some(4096));
        assert_eq!(field("Pss_Dirty:  1 kB\nPss:     300 kB\n", "Pss:"), Some(300));
        assert_eq!(field(io, "Pss:"), None);
    }

    #[test]
    fn the_machine_is_busy_when_it_neither_idles_nor_waits_for_the_disk() {
        assert_eq!(busy_ticks("cpu  1 2 3 1000 2000 4 5 6 700 800\ncpu0 1 1\n"), Some(21));
        assert_eq!(busy_ticks("intr 1\n"), None);
    }

    #[test]
    fn what_ended_meanwhile_is_not_counted_below_nothing() {
        let usage = |cpu_micros, written: &[(u32, u64)]| Usage {
            cpu_micros,
            written: written.iter().copied().collect(),
        };
        let (before, after) = (usage(10, &[(1, 100), (2, 50)]), usage(30, &[(1, 130), (3, 8)]));
        assert_eq!((after.cpu_micros_since(&before), after.written_since(&before)), (Some(20), 38));
        assert_eq!(before.cpu_micros_since(&after), None);
    }

    #[test]
    fn a_child_counts_with_its_parent() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let own = std::process::id();
        let usage = Usage::of(&[own]).unwrap();
        assert!(usage.written.contains_key(&child.id()) && usage.written.contains_key(&own));
        assert!(memory_bytes(&[own]).unwrap() > memory_bytes(&[child.id()]).unwrap());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(Usage::of(&[child.id()]), None);
    }
}
