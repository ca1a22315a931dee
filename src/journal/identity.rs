//! The log's identity: a random id, and the secret that fingerprints are keyed with. Created once, never changed.
//!
//! Invariant: where generations exist, a missing or damaged identity is refused, never made anew.

use core::fmt;

use super::config::{CODEC, CODEC_V1};
use super::frame::{u32_at, u128_at};
use super::store::{Medium, StoreError};
use crate::random;

pub(super) const FILE: &str = "identity";
const MAGIC: [u8; 4] = *b"OSID";
const FORMAT: u8 = 1;
const LEN: usize = 64;
/// Which byte says the codec; it was zero before there was more than one.
const CODEC_AT: usize = 5;
const CRC_AT: usize = 56;
const _: () = assert!(CRC_AT + 4 <= LEN && CODEC_AT < CRC_AT);

/// Holds the log's id, its secret, and the codec of its records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) codec: u8,
    pub(super) log_id: u128,
    pub(super) fingerprint_key: [u8; 32],
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is a secret and never printed.
        formatter
            .debug_struct("Identity")
            .field("log_id", &self.log_id)
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl Identity {
    /// Draws a new identity and stores it.
    pub(super) fn create(medium: &dyn Medium) -> Result<Self, StoreError> {
        let identity = Self {
            codec: CODEC,
            log_id: u128::from_le_bytes(random::bytes()),
            fingerprint_key: random::bytes(),
        };
        let file = identity.encode();
        assert!(Self::parse(&file) == Some(identity), "an identity reads back as it is written");
        medium.replace(FILE, &file)?;
        Ok(identity)
    }

    pub(super) fn encode(&self) -> [u8; LEN] {
        let mut file = [0; LEN];
        file[0..4].copy_from_slice(&MAGIC);
        file[4] = FORMAT;
        file[CODEC_AT] = self.codec;
        file[8..24].copy_from_slice(&self.log_id.to_le_bytes());
        file[24..56].copy_from_slice(&self.fingerprint_key);
        let crc = crc32fast::hash(&file[..CRC_AT]);
        file[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        file
    }

    /// Reads an identity; nothing when the file is damaged.
    pub(super) fn parse(file: &[u8]) -> Option<Self> {
        let head = file.get(..CRC_AT)?;
        let right = head[..4] == MAGIC && head[4] == FORMAT && u32_at(file, CRC_AT)? == crc32fast::hash(head);
        right.then_some(())?;
        Some(Self {
            codec: head[CODEC_AT],
            log_id: u128_at(head, 8)?,
            fingerprint_key: *head.get(24..)?.first_chunk()?,
        })
    }
}

/// A log of a format that this version doesn't open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherFormat {
    /// The one before today's.
    #[error(
        "the journal in {0} is of format 1: with the engine stopped, run `onsale migrate --data-dir {0}` once, then start again"
    )]
    Before(String),
    /// One that comes later, and its codec.
    #[error(
        "the journal in {0} is of a format that this version does not know ({1}): start the newer version that wrote it"
    )]
    Newer(String, u8),
}

impl OtherFormat {
    /// Says what is wrong with the codec of a log; nothing where it is today's.
    pub(super) fn of(dir: impl fmt::Display, codec: u8) -> Option<Self> {
        match codec {
            CODEC => None,
            CODEC_V1 => Some(Self::Before(dir.to_string())),
            newer => Some(Self::Newer(dir.to_string(), newer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::MemoryDisk;
    use super::*;

    #[test]
    fn an_identity_comes_back_and_damage_is_found() {
        let disk = MemoryDisk::new();
        let identity = Identity::create(&disk).unwrap();
        let file = disk.read(FILE).unwrap().unwrap();
        assert!(Identity::parse(&file) == Some(identity));
        assert_eq!(identity.codec, CODEC);
        for at in 0..CRC_AT + 4 {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert!(Identity::parse(&damaged).is_none(), "byte {at}");
        }
    }

    #[test]
    fn two_logs_differ_and_a_secret_is_not_printed() {
        let one = Identity::create(&MemoryDisk::new()).unwrap();
        let two = Identity::create(&MemoryDisk::new()).unwrap();
        assert_ne!(one.log_id, two.log_id);
        assert_ne!(one.fingerprint_key, two.fingerprint_key);
        assert!(!format!("{one:?}").contains("fingerprint_key"));
    }
}
