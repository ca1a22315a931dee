//! The high-water mark: a small file, synced on its own, that says what must be there at the next start.
//!
//! It is what catches a store that lost everything and opens as if it were new. Two slots, a page apart, are written in
//! turn, so that a torn write leaves the other.
//!
//! A start first writes since when the engine was down, and keeps that instant in the mark until the outage is crossed: a
//! start that dies before leaves the outage as long as it is.
//!
//! Invariants: a mark is written only after the record that it names was synced; a log without a readable mark is refused.

use super::frame::{u32_at, u64_at, u128_at};
use super::position::Ordinal;
use super::store::{Medium, StoreError};

pub(super) const FILE: &str = "mark";
const MAGIC: [u8; 4] = *b"OSMK";
const FORMAT: u8 = 1;
const SLOT_LEN: usize = 64;
const SLOT_STRIDE: usize = 4096;
const CRC_AT: usize = 56;
/// The bit of a slot's byte [`FLAGS_AT`] that says [`Mark::bridging`]; the other bits are zero.
const BRIDGING: u8 = 1;
const FLAGS_AT: usize = 5;
// A torn write of one slot must not reach the other.
const _: () = assert!(CRC_AT + 4 <= SLOT_LEN && SLOT_LEN <= SLOT_STRIDE);

/// Says how far the log was durable, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) log_id: u128,
    /// The life of the log: one more at each opening.
    pub(super) epoch: u64,
    /// The last record that must be there at the next start.
    pub(super) durable: Ordinal,
    /// When the engine was last known to be alive, in its own milliseconds.
    pub(super) instant: u64,
    /// Whether a start is under way that hasn't crossed the outage which began at `instant`.
    pub(super) bridging: bool,
    /// Counts the writes; the higher of two slots is the newer one.
    pub(super) sequence: u64,
}

impl Mark {
    /// Makes the bytes of a slot.
    pub(super) fn encode(&self) -> [u8; SLOT_LEN] {
        let mut slot = [0; SLOT_LEN];
        slot[0..4].copy_from_slice(&MAGIC);
        slot[4] = FORMAT;
        slot[FLAGS_AT] = if self.bridging { BRIDGING } else { 0 };
        slot[8..24].copy_from_slice(&self.log_id.to_le_bytes());
        slot[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        slot[32..40].copy_from_slice(&self.durable.get().to_le_bytes());
        slot[40..48].copy_from_slice(&self.instant.to_le_bytes());
        slot[48..56].copy_from_slice(&self.sequence.to_le_bytes());
        let crc = crc32fast::hash(&slot[..CRC_AT]);
        slot[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        slot
    }

    /// Reads a slot; nothing when it isn't whole.
    pub(super) fn decode(slot: &[u8]) -> Option<Self> {
        let head = slot.get(..CRC_AT)?;
        let right = head[..4] == MAGIC && head[4] == FORMAT && u32_at(slot, CRC_AT)? == crc32fast::hash(head);
        right.then_some(())?;
        Some(Self {
            log_id: u128_at(slot, 8)?,
            epoch: u64_at(slot, 24)?,
            durable: Ordinal::new(u64_at(slot, 32)?),
            instant: u64_at(slot, 40)?,
            bridging: head[FLAGS_AT] & BRIDGING != 0,
            sequence: u64_at(slot, 48)?,
        })
    }

    /// Makes the mark of a new log.
    pub(super) const fn empty(log_id: u128) -> Self {
        Self { log_id, epoch: 0, durable: Ordinal::START, instant: 0, bridging: false, sequence: 0 }
    }

    /// Creates the file of a new log.
    pub(super) fn create(medium: &dyn Medium, log_id: u128) -> Result<Self, StoreError> {
        let mark = Self::empty(log_id);
        let mut file = [0; SLOT_STRIDE + SLOT_LEN];
        file[..SLOT_LEN].copy_from_slice(&mark.encode());
        medium.replace(FILE, &file)?;
        Ok(mark)
    }

    /// Reads the newer of the slots that are whole; nothing when neither is.
    pub(super) fn parse(file: &[u8]) -> Option<Self> {
        let slots = [file, file.get(SLOT_STRIDE..).unwrap_or_default()];
        slots.into_iter().filter_map(Self::decode).max_by_key(|mark| mark.sequence)
    }

    /// Writes this mark over the older slot, durably; the next one counts from it.
    pub(super) fn write(&mut self, medium: &dyn Medium) -> Result<(), StoreError> {
        self.sequence += 1;
        let slot = self.encode();
        assert!(Self::decode(&slot) == Some(*self), "a mark reads back as it is written");

        let offset = if self.sequence.is_multiple_of(2) { 0 } else { SLOT_STRIDE };
        medium.overwrite(FILE, u64::try_from(offset).expect("SLOT_STRIDE fits in a u64"), &slot)
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::MemoryDisk;
    use super::*;

    fn stored(disk: &MemoryDisk) -> Vec<u8> {
        disk.read(FILE).unwrap().unwrap()
    }

    #[test]
    fn the_newest_whole_slot_counts_and_a_torn_one_leaves_the_other() {
        let disk = MemoryDisk::new();
        let mut mark = Mark::create(&disk, 7).unwrap();
        assert_eq!(Mark::parse(&stored(&disk)), Some(mark));
        for position in 1..=5 {
            let before = mark;
            mark.durable = Ordinal::new(position);
            mark.instant = position * 10;
            mark.bridging = position % 2 == 0;
            mark.write(&disk).unwrap();
            let file = stored(&disk);
            assert_eq!(Mark::parse(&file), Some(mark));
            let written = if mark.sequence.is_multiple_of(2) { 0 } else { SLOT_STRIDE };
            for at in (0..CRC_AT + 4).filter(|at| !(5..8).contains(at) || *at < CRC_AT) {
                let mut torn = file.clone();
                torn[written + at] ^= 0x40;
                assert_eq!(Mark::parse(&torn), Some(before), "byte {at} of position {position}");
            }
        }
    }

    #[test]
    fn a_file_without_a_whole_slot_is_no_mark() {
        assert_eq!(Mark::parse(&[]), None);
        assert_eq!(Mark::parse(&[0; SLOT_STRIDE + SLOT_LEN]), None);
    }
}
