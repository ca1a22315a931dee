//! The reserve: a file of real zeros that is given up when the disk is so full that the journal cannot be opened.
//!
//! A store that must write in order to open (sled must) would otherwise be locked out of what it holds.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::store::{StoreError, is_full, sync_dir};
use crate::files;

pub(super) const FILE: &str = "reserve";
static BLOCK: [u8; 64 << 10] = [0; 64 << 10];

/// Creates the reserve where it is missing or of another size; without room it goes without, and says so.
pub(super) fn ensure(dir: &Path, bytes: u64) -> Result<(), StoreError> {
    let path = dir.join(FILE);
    let present = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    if present == bytes {
        return Ok(());
    }
    give_up(dir)?;
    if bytes == 0 {
        return Ok(());
    }
    match write(&path, bytes) {
        Ok(()) => sync_dir(dir),
        Err(error) if is_full(&error) => {
            give_up(dir)?;
            tracing::warn!(bytes, "no room for the journal's reserve file: free space on the disk soon");
            Ok(())
        }
        Err(error) => {
            give_up(dir)?;
            Err(StoreError::io(format!("write {}", path.display()), error))
        }
    }
}

fn write(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = files::replace(path)?;
    let mut left = bytes;
    while left > 0 {
        let block = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK.len());
        file.write_all(&BLOCK[..block])?;
        left -= u64::try_from(block).expect("a block fits in a u64");
    }
    file.sync_all()
}

/// Gives the room back; tells whether there was any.
pub(super) fn give_up(dir: &Path) -> Result<bool, StoreError> {
    let path = dir.join(FILE);
    match fs::remove_file(&path) {
        Ok(()) => sync_dir(dir).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(StoreError::io(format!("remove {}", path.display()), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_has_its_size_and_is_given_up_once() {
        let dir = tempfile::tempdir().unwrap();
        let size = || fs::metadata(dir.path().join(FILE)).map(|found| found.len()).ok();
        ensure(dir.path(), 100_000).unwrap();
        assert_eq!(size(), Some(100_000));
        ensure(dir.path(), 70_000).unwrap();
        assert_eq!(size(), Some(70_000));
        assert!(give_up(dir.path()).unwrap());
        assert!(!give_up(dir.path()).unwrap());
        ensure(dir.path(), 0).unwrap();
        assert_eq!(size(), None);
    }
}
