//! A data directory on a real file system.
//!
//! ```text
//! <data>/lock                               held while a process has the directory
//! <data>/identity, mark, clean              small files
//! <data>/journal/gen-0000000001/            one generation: sled's files, and `generation`, the header that seals it
//! <data>/journal/gen-….recovering           the copy before a recovery that has not succeeded; the next one begins from it
//! <data>/journal/gen-….before-recovery      the copy before the last recovery that succeeded
//! <data>/journal/gen-….incomplete           a generation whose creation was not finished
//! <data>/journal/gen-….removed              a generation that is being deleted
//! ```
//!
//! Invariants: a change is durable when its method returns; a generation that a recovery has touched can be put back
//! as it was until that recovery has succeeded.

use core::time::Duration;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Medium, Store, StoreError, disk_store};
use crate::files;

const HEADER: &str = "generation";

/// Keeps a log in a directory, its generations in stores of the disk, and holds the directory's lock.
pub struct DataDir {
    dir: PathBuf,
    journal: PathBuf,
    lock: Mutex<Option<File>>,
    skip_commit_sync: bool,
}

impl DataDir {
    /// Creates the directory if it is missing, and locks it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let journal = dir.join("journal");
        create_dir_durably(dir)?;
        let lock = lock(dir)?;
        create_dir_durably(&journal)?;
        Ok(Self { dir: dir.to_owned(), journal, lock: Mutex::new(Some(lock)), skip_commit_sync: false })
    }

    /// Leaves the sync of each commit out, and no other, for the negative control of the power-cut test; never for real data.
    #[doc(hidden)]
    #[must_use]
    pub fn without_commit_syncs(mut self) -> Self {
        self.skip_commit_sync = true;
        self
    }

    fn generation(&self, number: u64) -> PathBuf {
        generation_dir(&self.dir, number)
    }

    fn sibling(&self, number: u64, suffix: &str) -> PathBuf {
        let mut name = self.generation(number).into_os_string();
        name.push(suffix);
        name.into()
    }

    /// Copies a generation to a new directory, durably.
    fn copy(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        let partial = Self::copy_partly(from, to)?;
        remove_dir(to)?;
        self.rename(&partial, to)
    }

    /// Copies a generation, durably, to what is to become `to`.
    fn copy_partly(from: &Path, to: &Path) -> Result<PathBuf, StoreError> {
        let mut partial = to.as_os_str().to_owned();
        partial.push(".copying");
        let partial = PathBuf::from(partial);
        remove_dir(&partial)?;
        copy_dir(from, &partial, true).inspect_err(|_| {
            // A copy that did not fit must not take the room that the next try needs.
            drop(remove_dir(&partial));
        })?;
        Ok(partial)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        fs::rename(from, to).map_err(|error| {
            StoreError::io(format!("rename {} to {}", from.display(), to.display()), error)
        })?;
        sync_dir(&self.journal)
    }

    fn numbers_with(&self, suffix: &str) -> Result<Vec<u64>, StoreError> {
        numbers_with(&self.journal, suffix)
    }
}

/// Returns a generation's directory.
pub(in crate::journal) fn generation_dir(data: &Path, number: u64) -> PathBuf {
    data.join("journal").join(format!("gen-{number:010}"))
}

/// How long a lock is tried for. A program that this process, or the one before, is just starting has a copy of each open file until it runs,
/// and with it a lock that was let go.
const LOCK_TRIES: u32 = 25;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Takes the lock of a data directory; a lock file that does not exist is created.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let opened = files::open_or_create(&path).and_then(|file| {
        // To open it is to be able to take it. Earlier versions made it for everyone.
        file.set_permissions(fs::Permissions::from_mode(0o600)).map(|()| file)
    });
    let file = opened.map_err(|error| StoreError::io(format!("open {}", path.display()), error))?;
    try_lock(dir, file)
}

/// Holds a directory for this process alone.
#[cfg(feature = "cluster")]
pub(in crate::journal) struct DirLock(#[expect(dead_code, reason = "it is held")] File);

#[cfg(feature = "cluster")]
impl DirLock {
    /// Makes the directory if it isn't there, and takes its lock.
    pub(in crate::journal) fn take(dir: &Path) -> Result<Self, StoreError> {
        create_dir_durably(dir)?;
        lock(dir).map(Self)
    }
}

/// Takes the lock of a data directory without changing anything in it; nothing where no engine ever ran.
pub(in crate::journal) fn lock_read_only(dir: &Path) -> Result<Option<File>, StoreError> {
    let path = dir.join("lock");
    match File::open(&path) {
        Ok(file) => try_lock(dir, file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(format!("open {}", path.display()), error)),
    }
}

fn try_lock(dir: &Path, file: File) -> Result<File, StoreError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => {
                return Err(StoreError::io(format!("lock {}", dir.display()), error));
            }
        }
    }
    Err(StoreError::Locked(dir.display().to_string()))
}

/// Lists the numbers of the directories `gen-<number><suffix>`, in order.
pub(in crate::journal) fn numbers_with(journal: &Path, suffix: &str) -> Result<Vec<u64>, StoreError> {
    let failed = |error| StoreError::io(format!("list {}", journal.display()), error);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(journal).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_prefix("gen-"))
            .and_then(|name| name.strip_suffix(suffix))
            .and_then(|number| number.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes a directory's entries durable.
pub(in crate::journal) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| StoreError::io(format!("sync {}", dir.display()), error))
}

/// Creates a directory and those above it, durably.
pub(in crate::journal) fn create_dir_durably(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_dir_durably(parent)?;
    }
    match files::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(StoreError::io(format!("create {}", dir.display()), error)),
    }
    sync_dir(parent.unwrap_or_else(|| Path::new(".")))
}

/// Copies a directory of plain files and directories.
pub(in crate::journal) fn copy_dir(from: &Path, to: &Path, durably: bool) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(format!("copy {} to {}", from.display(), to.display()), error);
    files::create_dir(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            copy_dir(&entry.path(), &target, durably)?;
            continue;
        }
        if !kind.is_file() {
            let what = format!("{} is neither a file nor a directory", entry.path().display());
            return Err(StoreError::Damaged(what));
        }
        fs::copy(entry.path(), &target).map_err(failed)?;
        if durably {
            File::open(&target).and_then(|file| file.sync_all()).map_err(failed)?;
        }
    }
    if durably { sync_dir(to) } else { Ok(()) }
}

/// Removes a directory with everything in it, if it is there.
pub(in crate::journal) fn remove_dir(dir: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(dir) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(StoreError::io(format!("remove {}", dir.display()), error)),
    }
}

/// Reads a small file, if it is there.
pub(in crate::journal) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(format!("read {}", path.display()), error)),
    }
}

impl Medium for DataDir {
    fn place(&self) -> &Path {
        &self.dir
    }

    fn check_place(&self) -> Result<(), StoreError> {
        let path = self.dir.join("lock");
        let held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(held) = held.as_ref() else { return Ok(()) };
        let which = |found: io::Result<fs::Metadata>| found.map(|found| (found.dev(), found.ino())).ok();
        // Where one can't be looked at, the next operation says why.
        match (which(held.metadata()), which(fs::symlink_metadata(&path))) {
            (Some(held), Some(there)) if held != there => {
                Err(StoreError::Replaced(self.dir.display().to_string()))
            }
            (Some(_), None) => Err(StoreError::Replaced(self.dir.display().to_string())),
            (Some(_) | None, Some(_)) | (None, None) => Ok(()),
        }
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read_file(&self.dir.join(name))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        write_whole(&self.dir, name, bytes)
    }

    fn overwrite(&self, name: &str, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        overwrite(&self.dir, name, offset, bytes)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_dir(&self.dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(StoreError::io(format!("remove {}", path.display()), error)),
        }
    }

    fn generations(&self) -> Result<Vec<u64>, StoreError> {
        for number in self.numbers_with(".removed")? {
            remove_dir(&self.sibling(number, ".removed"))?;
        }
        let mut numbers = self.numbers_with("")?;
        numbers.extend(self.numbers_with(".recovering")?);
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    fn create_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError> {
        let dir = self.generation(number);
        files::create_dir(&dir)
            .map_err(|error| StoreError::io(format!("create {}", dir.display()), error))?;
        disk_store::open_or_create(&dir, self.skip_commit_sync)
    }

    fn seal_generation(&self, number: u64, header: &[u8]) -> Result<(), StoreError> {
        let dir = self.generation(number);
        sync_files(&dir)?;
        write_whole(&dir, HEADER, header)?;
        sync_dir(&self.journal)
    }

    fn generation_header(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match read_file(&self.generation(number).join(HEADER))? {
            Some(header) => Ok(Some(header)),
            // A recovery was interrupted while it put the directory back.
            None => read_file(&self.sibling(number, ".recovering").join(HEADER)),
        }
    }

    fn open_generation(&self, number: u64) -> Result<Arc<dyn Store>, StoreError> {
        disk_store::open(&self.generation(number), self.skip_commit_sync)
    }

    fn remove_generation(&self, number: u64) -> Result<(), StoreError> {
        let (dir, removed) = (self.generation(number), self.sibling(number, ".removed"));
        remove_dir(&removed)?;
        if dir.is_dir() {
            self.rename(&dir, &removed)?;
        } else {
            // An earlier try came so far.
            sync_dir(&self.journal)?;
        }
        // It is gone by its name.
        if let Err(error) = remove_dir(&removed) {
            tracing::warn!(number, %error, "what is left of a deleted generation stays until the next start");
        }
        Ok(())
    }

    fn set_aside(&self, number: u64) -> Result<(), StoreError> {
        let aside = self.sibling(number, ".incomplete");
        remove_dir(&aside)?;
        self.rename(&self.generation(number), &aside)
    }

    fn preserve(&self, number: u64) -> Result<(), StoreError> {
        let (dir, recovering) = (self.generation(number), self.sibling(number, ".recovering"));
        if recovering.is_dir() {
            return self.copy(&recovering, &dir);
        }
        // The log goes on in the copy. After an error of the disk the original may have bytes that are only in memory, and that no sync
        // writes any more.
        let partial = Self::copy_partly(&dir, &dir)?;
        self.rename(&dir, &recovering)?;
        self.rename(&partial, &dir)
    }

    fn retry_preserved(&self, number: u64) -> Result<(), StoreError> {
        let dir = self.generation(number);
        self.copy(&self.sibling(number, ".recovering"), &dir)?;
        disk_store::clean(&dir)
    }

    fn keep_preserved(&self, number: u64) -> Result<(), StoreError> {
        for older in self.numbers_with(".before-recovery")? {
            remove_dir(&self.sibling(older, ".before-recovery"))?;
        }
        self.rename(&self.sibling(number, ".recovering"), &self.sibling(number, ".before-recovery"))
    }

    fn discard_preserved(&self) -> Result<(), StoreError> {
        for suffix in [".before-recovery", ".incomplete", ".copying", ".recovering.copying"] {
            for number in self.numbers_with(suffix)? {
                remove_dir(&self.sibling(number, suffix))?;
            }
        }
        Ok(())
    }

    fn settle(&self, number: u64) -> Result<(), StoreError> {
        sync_files(&self.generation(number))
    }

    fn release(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Overwrites bytes of a small file in place, durably.
pub(in crate::journal) fn overwrite(
    dir: &Path,
    name: &str,
    offset: u64,
    bytes: &[u8],
) -> Result<(), StoreError> {
    let path = dir.join(name);
    let failed = |error| StoreError::io(format!("write {}", path.display()), error);
    let file = files::open(&path).map_err(failed)?;
    file.write_all_at(bytes, offset).map_err(failed)?;
    file.sync_data().map_err(failed)
}

/// Writes a file of `dir` whole, in the place of one that may be there. Whenever it is killed, or finds no room, the file is as before or
/// has all of `bytes`: one cut short would be damage to the next start.
pub(in crate::journal) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let path = dir.join(name);
    let partial = dir.join(format!("{name}.partial"));
    let failed = |error| StoreError::io(format!("write {}", path.display()), error);

    let mut file = files::replace(&partial).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&partial, &path)).map_err(failed).inspect_err(|_| {
        // A file that did not fit must not take the room that others need.
        drop(fs::remove_file(&partial));
    })?;
    sync_dir(dir)
}

/// Makes the files of a directory and its entries durable.
fn sync_files(dir: &Path) -> Result<(), StoreError> {
    let failed = |error| StoreError::io(format!("sync {}", dir.display()), error);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            sync_files(&path)?;
        } else {
            File::open(&path).and_then(|file| file.sync_all()).map_err(failed)?;
        }
    }
    sync_dir(dir)
}
