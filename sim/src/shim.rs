//! The other side of `shim.c`: it is compiled once by the system's compiler, loaded before a simulated process, and spoken to by
//! reading links that don't exist.
//!
//! Without a compiler a run still works; it is only not the same each time, and files outside the simulated disk don't fail.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result, bail};

const SOURCE: &str = include_str!("shim.c");
/// Where simulated data directories are: in memory, under a name that the shim knows.
pub(crate) const PLACE: &str = "/dev/shm/onsale-sim.";

/// Returns the shim's path, compiled once a process: nothing where it can't be, which is said aloud.
#[expect(clippy::print_stderr, reason = "who runs it has to know")]
pub(crate) fn library() -> Option<&'static Path> {
    static LIBRARY: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        compiled()
            .inspect_err(|error| eprintln!("no run will be the same twice, and no file will fail: {error:#}"))
            .ok()
    });
    LIBRARY.as_deref()
}

/// Compiles the shim where no process has done that.
fn compiled() -> Result<PathBuf> {
    let mut digest = crate::dice::Trace::default();
    digest.add(SOURCE.as_bytes());
    let name = format!("onsale-sim-shim-{:016x}", digest.digest());
    let dir = std::env::temp_dir();
    let library = dir.join(format!("{name}.so"));
    if library.exists() {
        return Ok(library);
    }

    // Under a name of its own first: another simulator may be doing the same.
    let (source, made) = (
        dir.join(format!("{name}-{}.c", std::process::id())),
        dir.join(format!("{name}-{}.so", std::process::id())),
    );
    fs::write(&source, SOURCE).context("the shim's source can't be written")?;

    let compiled = Command::new("cc")
        .args(["-O2", "-w", "-shared", "-fPIC", "-o"])
        .args([&made, &source])
        .status()
        .context("no C compiler: the shim can't be made")?;
    fs::remove_file(&source).context("the shim's source can't be removed")?;
    if !compiled.success() {
        bail!("the shim can't be compiled");
    }

    fs::rename(&made, &library).context("the shim can't be put in its place")?;
    Ok(library)
}

fn ask(words: &str) -> Option<u64> {
    let told = fs::read_link(Path::new("/onsale-sim").join(words)).ok()?;
    told.to_str()?.parse().ok()
}

/// Lets unfinished snapshots take so many bytes more; without a number, as many as they like.
pub(crate) fn snapshot_room(bytes: Option<u64>) {
    let words = bytes.map_or("room/-1".to_owned(), |bytes| format!("room/{bytes}"));
    ask(&words);
}

/// Has the process die at the `points`-th operation on a file from now.
pub(crate) fn die_at(points: u64) {
    ask(&format!("points/{points}"));
}

/// Begins a life: nothing goes wrong.
pub(crate) fn alive() {
    ask("alive");
}

/// Tells whether the process has died in the middle of a file.
pub(crate) fn is_dead() -> bool {
    ask("dead") == Some(1)
}

/// Returns how many writes found no room.
pub(crate) fn full_count() -> u64 {
    ask("full").unwrap_or_default()
}
