//! Open files: each connection is one, here and at the server.

use anyhow::{Result, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are open beside the connections: the journal, logs, the program itself.
const SPARE: u64 = 512;

/// Allows this process, and the server that it starts, as many open files as these connections need.
pub(crate) fn allow(connections: u64) -> Result<()> {
    let needed = connections + SPARE;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    ensure!(
        limit.maximum.is_none_or(|maximum| maximum >= needed),
        "{connections} connections need {needed} open files and this shell allows {}: say `ulimit -n {needed}` (as root, or raise the hard limit), or ask for fewer",
        limit.maximum.unwrap_or_default()
    );
    limit.current = Some(needed);
    Ok(setrlimit(Resource::Nofile, limit)?)
}
