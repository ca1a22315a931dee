//! The records of one entry, encoded as they will stand in a frame: `u32` length, then the bytes, one after the other.
//!
//! Absent on purpose: any idea of what a record means.
//!
//! Invariant: an entry never exceeds [`Records::BYTES_MAX`]; a record that would make it larger is refused when it is pushed,
//! before the caller has decided or applied anything.

use thiserror::Error;

/// Says that a record would make its entry larger than the journal accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an entry of {bytes} bytes exceeds the journal's limit of {limit} bytes", limit = Records::BYTES_MAX)]
pub struct EntryTooLarge {
    /// How large the entry would have become, in bytes.
    pub bytes: usize,
}

/// Holds the encoded records of one entry; they become durable all or none, at consecutive positions.
///
/// An entry without records is a barrier: it is completed, in order, once everything before it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    count: u32,
}

impl Records {
    /// The largest entry in bytes, length prefixes included: 32 MiB, more than any catalogue import needs.
    pub const BYTES_MAX: usize = 32 << 20;

    /// Makes an entry without records.
    pub const fn new() -> Self {
        Self { bytes: Vec::new(), count: 0 }
    }

    /// Makes an empty entry with room for `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Appends a copy of `record`; refused, and nothing changed, when the entry would become too large.
    pub fn push(&mut self, record: &[u8]) -> Result<(), EntryTooLarge> {
        self.push_with(|bytes| {
            bytes.extend_from_slice(record);
            Ok(())
        })
    }

    /// Appends a record that `encode` writes at the end of the buffer, without a second copy.
    ///
    /// `encode` may only append. When it fails, or the entry would become too large, nothing has changed.
    pub fn push_with<E: From<EntryTooLarge>>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; PREFIX_LEN]);
        let encoded = encode(&mut self.bytes);
        let end = self.bytes.len();
        assert!(end >= start + PREFIX_LEN, "an encoder only appends");
        if let Err(error) = encoded {
            self.bytes.truncate(start);
            return Err(error);
        }
        if end > Self::BYTES_MAX {
            self.bytes.truncate(start);
            return Err(EntryTooLarge { bytes: end }.into());
        }
        let length = u32::try_from(end - start - PREFIX_LEN).expect("BYTES_MAX fits in a u32");
        self.bytes[start..start + PREFIX_LEN].copy_from_slice(&length.to_le_bytes());
        debug_assert!(holds_exactly(&self.bytes[start..], 1), "a record reads back as it was pushed");
        self.count += 1;
        Ok(())
    }

    /// Returns how many records there are.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Tells whether there is none, that is, whether the entry is a barrier.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the encoded bytes, length prefixes included.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bytes before each record: its length as a little-endian `u32`.
pub(super) const PREFIX_LEN: usize = 4;
const _: () = assert!(Records::BYTES_MAX < 1 << 31, "lengths and offsets are u32 on disk");

/// Walks the records in an encoded run.
#[derive(Clone, Debug)]
pub(super) struct RecordSlices<'a> {
    rest: &'a [u8],
}

impl<'a> RecordSlices<'a> {
    pub(super) const fn new(encoded: &'a [u8]) -> Self {
        Self { rest: encoded }
    }
}

impl<'a> Iterator for RecordSlices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (prefix, rest) = self.rest.split_first_chunk::<PREFIX_LEN>()?;
        let length = usize::try_from(u32::from_le_bytes(*prefix)).ok()?;
        let (record, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(record)
    }
}

/// Tells whether `encoded` is exactly `count` whole records.
pub(super) fn holds_exactly(encoded: &[u8], count: u32) -> bool {
    let mut slices = RecordSlices::new(encoded);
    let mut found: u32 = 0;
    while slices.next().is_some() {
        found = found.saturating_add(1);
    }
    slices.rest.is_empty() && found == count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_were_pushed() {
        let mut records = Records::with_capacity(64);
        records.push(b"one").unwrap();
        records.push(b"").unwrap();
        records
            .push_with::<EntryTooLarge>(|bytes| {
                bytes.extend_from_slice(b"three");
                Ok(())
            })
            .unwrap();
        let found: Vec<_> = RecordSlices::new(records.bytes()).collect();
        assert_eq!(found, [&b"one"[..], b"", b"three"]);
        assert!(holds_exactly(records.bytes(), 3));
        assert!(!holds_exactly(records.bytes(), 2));
        assert!(!holds_exactly(&records.bytes()[..records.bytes().len() - 1], 3));
    }

    #[test]
    fn an_entry_that_would_become_too_large_is_refused_and_unchanged() {
        let mut records = Records::new();
        records.push(b"kept").unwrap();
        let before = records.clone();
        let refused = records.push(&vec![0; Records::BYTES_MAX]);
        assert_eq!(refused, Err(EntryTooLarge { bytes: Records::BYTES_MAX + 4 + 4 + 4 }));
        assert_eq!(records, before);
    }

    #[test]
    fn a_failed_encoder_leaves_no_trace() {
        #[derive(Debug)]
        struct Failed;
        impl From<EntryTooLarge> for Failed {
            fn from(_: EntryTooLarge) -> Self {
                Self
            }
        }
        let mut records = Records::new();
        let failed = records.push_with(|bytes| {
            bytes.extend_from_slice(b"half");
            Err(Failed)
        });
        assert!(failed.is_err());
        assert_eq!(records, Records::new());
    }
}
