//! A file system on a loop device, whose backing file can be copied: what a power cut at that moment leaves.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let done =
        Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr)))
    }
}

/// A file system on a loop device over a file; unmounted and detached when dropped.
pub struct Mounted {
    device: String,
    at: PathBuf,
}

impl Mounted {
    /// Mounts the device at a directory that is there.
    pub fn new(image: &Path, at: &Path) -> Result<Self, String> {
        let device = run("losetup", &["--find", "--show", text(image)])?;
        let mounted = Self { device, at: at.to_owned() };
        // Nothing but our own syncs may commit: the file system's own commits come every ten minutes.
        run("mount", &["-t", "ext4", "-o", "commit=600,noatime", &mounted.device, text(at)])?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(run("umount", &["--lazy", text(&self.at)]));
        drop(run("losetup", &["--detach", &self.device]));
    }
}

/// Makes a file of so many bytes with an ext4 on it.
pub fn make(image: &Path, bytes: u64) -> Result<(), String> {
    File::create(image).and_then(|file| file.set_len(bytes)).map_err(|error| error.to_string())?;
    run("mkfs.ext4", &["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", text(image)]).map(drop)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}
