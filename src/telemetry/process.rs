//! The memory and the open files of the process, on Linux. Elsewhere all are absent.

use std::fs;

/// The resources of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Process {
    /// The resident memory, in bytes.
    pub resident_bytes: Option<u64>,
    /// The number of open files, connections included.
    pub open_files: Option<u64>,
    /// The most files that may be open.
    pub open_files_max: Option<u64>,
}

impl Process {
    /// Measures this process.
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            resident_bytes: resident_bytes(&read("/proc/self/status")),
            open_files: open_files(),
            open_files_max: open_files_max(&read("/proc/self/limits")),
        }
    }
}

/// Reads the resident memory from `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1_024)
}

fn open_files() -> Option<u64> {
    const OPEN: &str = "/proc/self/fd";
    // Linux says it as the directory's size since 6.2; before, each is looked at, and the look is one more.
    let told = fs::metadata(OPEN).ok()?.len();
    if told > 0 {
        return Some(told);
    }
    let listed = u64::try_from(fs::read_dir(OPEN).ok()?.count()).ok()?;
    Some(listed.saturating_sub(1))
}

/// Reads the soft limit of open files from `/proc/self/limits`; `None` if there is no limit.
fn open_files_max(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_limits_are_read_as_linux_writes_them() {
        assert_eq!(resident_bytes("VmPeak:\t  300 kB\nVmRSS:\t   12345 kB\nThreads: 1\n"), Some(12_641_280));
        assert_eq!(resident_bytes(""), None);
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 524288               files     \n";
        assert_eq!(open_files_max(limits), Some(1024));
        let unlimited = "Max open files            unlimited            unlimited            files";
        assert_eq!([open_files_max(unlimited), open_files_max("")], [None, None]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_is_counted() {
        let before = Process::now();
        let opened: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/status").unwrap()).collect();
        let after = Process::now();
        assert!(after.open_files.unwrap() >= before.open_files.unwrap() + 25, "other tests close some");
        assert!(after.resident_bytes.unwrap() > 1 << 20);
        drop(opened);
    }
}
