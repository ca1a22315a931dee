//! The room on the disk that everyone else has to leave to the journal.
//!
//! The journal ends with its first write that doesn't fit. So the writers of large files beside it, which can wait or be
//! left out, look here first, and stop early.

use std::fs::File;
use std::io;
use std::path::Path;

/// The bytes that a generation takes when it begins: those of sled's new files, and as many again.
const GENERATION_BYTES: u64 = 2 << 20;
/// How many bytes are written between two looks at the room.
const LOOK_EVERY: u64 = 16 << 20;

/// Returns how much must stay free beside a journal whose reserve has `reserve_bytes`: as much again for its next entries, and
/// the first bytes of its next generation.
pub(super) fn kept_free(reserve_bytes: u64) -> u64 {
    reserve_bytes.saturating_add(GENERATION_BYTES)
}

/// Returns the bytes that an ordinary user may still write to the disk of a directory; nothing where the system doesn't say.
pub fn free(dir: &Path) -> io::Result<Option<u64>> {
    free_beside(&File::open(dir)?)
}

/// As [`free`], for the disk of an open file, wherever that stands by now.
#[cfg(target_os = "linux")]
pub(super) fn free_beside(file: &File) -> io::Result<Option<u64>> {
    let disk = rustix::fs::fstatvfs(file)?;
    Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
}

/// As [`free`], for the disk of an open file, wherever that stands by now.
#[cfg(not(target_os = "linux"))]
pub(super) fn free_beside(_: &File) -> io::Result<Option<u64>> {
    Ok(None)
}

/// Counts the bytes that are written, and says when the room is to be looked at again.
pub(super) struct Looks {
    left: u64,
}

impl Looks {
    pub(super) const fn new() -> Self {
        Self { left: 0 }
    }

    /// Tells whether to look before so many bytes more are written.
    pub(super) fn due(&mut self, bytes: u64) -> bool {
        if let Some(left) = self.left.checked_sub(bytes) {
            self.left = left;
            return false;
        }
        self.left = LOOK_EVERY;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_looked_at_before_the_first_byte_and_then_now_and_then() {
        let mut looks = Looks::new();
        assert!(looks.due(1));
        assert!(!looks.due(LOOK_EVERY) && looks.due(1), "once as much was written");
        assert!(looks.due(u64::MAX), "before a large piece");
    }
}
