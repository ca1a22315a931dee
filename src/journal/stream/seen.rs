//! How far this node has seen a replicated log: a small file in its data directory, synced on its own.
//!
//! It is what catches servers that forgot what they acknowledged, and a log that was made anew under the same name. Two slots, a
//! page apart, are written in turn, so that a torn write leaves the other.
//!
//! Invariant: it never says more than what was acknowledged or read. It may say less, by what came since it was last written.

use std::path::Path;
#[cfg(feature = "cluster")]
use std::path::PathBuf;

#[cfg(feature = "cluster")]
use super::super::frame::{u32_at, u64_at, u128_at};
#[cfg(feature = "cluster")]
use super::super::position::Ordinal;
#[cfg(feature = "cluster")]
use super::super::store::{DirLock, StoreError, overwrite, read_file, write_whole};

const FILE: &str = "seen";

/// Tells whether a directory belongs to a node whose log is elsewhere.
pub fn is_of_a_stream(dir: &Path) -> bool {
    dir.join(FILE).is_file()
}

#[cfg(feature = "cluster")]
const MAGIC: [u8; 4] = *b"OSSG";
#[cfg(feature = "cluster")]
const FORMAT: u8 = 1;
#[cfg(feature = "cluster")]
const SLOT_LEN: usize = 80;
#[cfg(feature = "cluster")]
const SLOT_STRIDE: usize = 4096;
#[cfg(feature = "cluster")]
const CRC_AT: usize = 68;
#[cfg(feature = "cluster")]
const _: () = assert!(CRC_AT + 4 <= SLOT_LEN && SLOT_LEN <= SLOT_STRIDE);

/// What was seen of the log last.
#[cfg(feature = "cluster")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) struct Sight {
    pub(in crate::journal) log_id: u128,
    /// When the stream was made, as the servers say it: a fingerprint of their text.
    pub(in crate::journal) created: u64,
    /// The sequence of the last frame's message.
    pub(in crate::journal) sequence: u64,
    /// The last record.
    pub(in crate::journal) ordinal: Ordinal,
    /// The last frame's checksum.
    pub(in crate::journal) crc: u32,
}

/// The file, and the directory's lock.
#[cfg(feature = "cluster")]
pub(in crate::journal) struct Seen {
    dir: PathBuf,
    _lock: DirLock,
    /// What the file says.
    pub(in crate::journal) last: Option<Sight>,
    /// Counts the writes; the higher of two slots is the newer one.
    turn: u64,
}

#[cfg(feature = "cluster")]
impl Seen {
    /// Locks a directory, which is made if it isn't there, and reads the file.
    pub(in crate::journal) fn open(dir: &Path) -> Result<Self, StoreError> {
        let lock = DirLock::take(dir)?;
        let (last, turn) = match read_file(&dir.join(FILE))? {
            None => (None, 0),
            Some(file) => {
                let slots = [&file[..], file.get(SLOT_STRIDE..).unwrap_or_default()];
                let newest = slots.into_iter().filter_map(decode).max_by_key(|(_, turn)| *turn);
                let (sight, turn) = newest
                    .ok_or_else(|| StoreError::Damaged(format!("{} is damaged", dir.join(FILE).display())))?;
                (Some(sight), turn)
            }
        };
        Ok(Self { dir: dir.to_owned(), _lock: lock, last, turn })
    }

    /// Returns the file's path.
    pub(in crate::journal) fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Writes what was seen, durably.
    pub(in crate::journal) fn write(&mut self, sight: Sight) -> Result<(), StoreError> {
        if self.last == Some(sight) {
            return Ok(());
        }
        let turn = self.turn + 1;
        let slot = encode(sight, turn);
        if self.last.is_none() {
            let mut file = vec![0; SLOT_STRIDE + SLOT_LEN];
            file[..SLOT_LEN].copy_from_slice(&slot);
            write_whole(&self.dir, FILE, &file)?;
        } else {
            let offset = if turn.is_multiple_of(2) { SLOT_STRIDE } else { 0 };
            overwrite(&self.dir, FILE, u64::try_from(offset).expect("SLOT_STRIDE fits in a u64"), &slot)?;
        }
        (self.last, self.turn) = (Some(sight), turn);
        Ok(())
    }
}

#[cfg(feature = "cluster")]
fn encode(sight: Sight, turn: u64) -> [u8; SLOT_LEN] {
    let mut slot = [0; SLOT_LEN];
    slot[0..4].copy_from_slice(&MAGIC);
    slot[4] = FORMAT;
    slot[8..24].copy_from_slice(&sight.log_id.to_le_bytes());
    slot[24..32].copy_from_slice(&sight.created.to_le_bytes());
    slot[32..40].copy_from_slice(&sight.sequence.to_le_bytes());
    slot[40..48].copy_from_slice(&sight.ordinal.get().to_le_bytes());
    slot[48..56].copy_from_slice(&turn.to_le_bytes());
    slot[56..60].copy_from_slice(&sight.crc.to_le_bytes());
    let crc = crc32fast::hash(&slot[..CRC_AT]);
    slot[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    assert!(decode(&slot) == Some((sight, turn)), "a sight reads back as it is written");
    slot
}

#[cfg(feature = "cluster")]
fn decode(slot: &[u8]) -> Option<(Sight, u64)> {
    let head = slot.get(..CRC_AT)?;
    let right = head[..4] == MAGIC && head[4] == FORMAT && u32_at(slot, CRC_AT)? == crc32fast::hash(head);
    right.then_some(())?;
    let sight = Sight {
        log_id: u128_at(slot, 8)?,
        created: u64_at(slot, 24)?,
        sequence: u64_at(slot, 32)?,
        ordinal: Ordinal::new(u64_at(slot, 40)?),
        crc: u32_at(slot, 56)?,
    };
    Some((sight, u64_at(slot, 48)?))
}

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use super::*;

    fn sight(number: u64) -> Sight {
        Sight { log_id: 7, created: 8, sequence: number, ordinal: Ordinal::new(number * 2), crc: 9 }
    }

    #[test]
    fn the_newest_whole_slot_counts_and_a_torn_one_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let mut seen = Seen::open(dir.path()).unwrap();
        assert_eq!(seen.last, None);
        assert!(!is_of_a_stream(dir.path()));
        for number in 1..=5 {
            seen.write(sight(number)).unwrap();
            let written = std::fs::read(seen.path()).unwrap();
            let offset = if number % 2 == 0 { SLOT_STRIDE } else { 0 };
            let before = (number > 1).then(|| sight(number - 1));
            for at in [0, 33, CRC_AT] {
                let mut torn = written.clone();
                torn[offset + at] ^= 0x40;
                let slots = [&torn[..], &torn[SLOT_STRIDE..]];
                let newest = slots.into_iter().filter_map(decode).max_by_key(|(_, turn)| *turn);
                assert_eq!(newest.map(|(sight, _)| sight), before, "byte {at} of {number}");
            }
        }
        drop(seen);
        assert!(is_of_a_stream(dir.path()));
        assert_eq!(Seen::open(dir.path()).unwrap().last, Some(sight(5)));
    }

    #[test]
    fn a_directory_is_one_processes_and_a_damaged_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let held = Seen::open(dir.path()).unwrap();
        assert!(matches!(Seen::open(dir.path()), Err(StoreError::Locked(_))));
        drop(held);
        std::fs::write(dir.path().join(FILE), b"else").unwrap();
        assert!(matches!(Seen::open(dir.path()), Err(StoreError::Damaged(_))));
    }
}
