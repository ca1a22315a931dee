//! The wire format of a frame, the unit that one sync makes durable.
//!
//! ```text
//!  0  magic "OSJF"      4      32  first position    u64
//!  4  format version    u8     40  first chunk       u16
//!  5  codec             u8     42  zero              u16
//!  6  flags             u8     44  record count      u32
//!  7  zero              u8     48  payload length    u32
//!  8  log id            u128   52  crc32 of bytes 0..52 and the payload
//! 24  epoch             u64    56  payload: records, each `u32` length then bytes
//! ```
//!
//! Little-endian throughout. A frame is stored in chunks of [`CHUNK_LEN`] bytes under (first position, chunk number).
//!
//! An entry that does not fit in one frame is a *chain*: frames with one first position and consecutive chunk numbers,
//! each but the last flagged `MORE`; their payloads, put together, are the records. Only the last carries the record
//! count, so that positions move on only when the entry is complete.
//!
//! Absent on purpose: sequence rules (`scan` has them), storage, and any idea of what a record means.
//!
//! Invariants: a frame never exceeds [`FRAME_LEN_MAX`]; a changed bit anywhere in it is found.

use core::fmt;

use super::config::CODEC;
use super::position::Ordinal;
use super::records::{Records, holds_exactly};

/// Bytes before the payload.
pub(super) const HEADER_LEN: usize = 56;
/// The largest value sled stores safely: larger ones go to `blobs/`, which it never syncs.
pub(super) const CHUNK_LEN: usize = 4096;
/// Chunks in the largest frame.
pub(super) const FRAME_CHUNKS_MAX: usize = 31;
/// The largest frame in bytes.
pub(super) const FRAME_LEN_MAX: usize = CHUNK_LEN * FRAME_CHUNKS_MAX;
/// The largest payload of one frame in bytes.
pub(super) const PAYLOAD_LEN_MAX: usize = FRAME_LEN_MAX - HEADER_LEN;

const MAGIC: [u8; 4] = *b"OSJF";
const FORMAT: u8 = 1;
const FLAG_MORE: u8 = 1;
const FLAG_LIFE: u8 = 2;
pub(super) const CRC_AT: usize = 52;

// No more than 128 KB go to sled between two syncs; 64 bytes a chunk are left for its keys and message headers.
const _: () = assert!(FRAME_LEN_MAX + FRAME_CHUNKS_MAX * 64 <= 128 << 10);
const _: () = assert!(CRC_AT + 4 == HEADER_LEN);
// A chain's chunks are numbered by a u16.
const _: () = assert!((Records::BYTES_MAX / PAYLOAD_LEN_MAX + 1) * FRAME_CHUNKS_MAX < 65_535);

/// Describes a frame: everything in the header but what is derived from the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The entry continues in the next frame.
    pub(super) more: bool,
    pub(super) log_id: u128,
    pub(super) epoch: u64,
    pub(super) first: Ordinal,
    /// The number of the frame's first chunk: 0 except inside a chain.
    pub(super) chunk: u16,
    /// 0 exactly when `more`.
    pub(super) count: u32,
    /// Its one record is the journal's own, and says that a life of the log begins: no reader is shown it. Only a log that more than one
    /// machine may write has such frames.
    pub(super) life: bool,
}

/// Says what is wrong with a frame or with its place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// The bytes do not begin like a frame of this place.
    Malformed,
    /// Chunks of the frame are missing or too short.
    Incomplete,
    /// The checksum is wrong.
    Checksum,
    /// The frame was written in a format that this version does not know.
    Version(u8),
    /// The payload is encoded by a codec that this version does not know.
    Codec(u8),
    /// The payload is not the records that the header counts.
    Records,
    /// The frame does not follow the one before: this position was expected.
    Gap(Ordinal),
    /// The frame is whole and stands where another one belongs.
    Misplaced,
    /// The frame belongs to another log.
    ForeignLog,
    /// The frame's epoch is lower than that of a frame before it.
    Epoch,
    /// A large entry stops before its last frame.
    Unfinished,
}

impl Defect {
    /// Tells whether an interrupted write can leave this behind; everything else is damage wherever it stands.
    pub(super) const fn can_be_torn(self) -> bool {
        match self {
            Self::Malformed | Self::Incomplete | Self::Checksum | Self::Unfinished => true,
            Self::Version(_)
            | Self::Codec(_)
            | Self::Records
            | Self::Gap(_)
            | Self::Misplaced
            | Self::ForeignLog
            | Self::Epoch => false,
        }
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => formatter.write_str("the bytes are not a frame"),
            Self::Incomplete => formatter.write_str("the frame is incomplete"),
            Self::Checksum => formatter.write_str("the checksum is wrong"),
            Self::Version(version) => {
                write!(formatter, "frame format {version} is not known to this version")
            }
            Self::Codec(codec) => write!(
                formatter,
                "codec {codec} is not the log's: a newer version wrote it, or a file of another copy of this log stands here"
            ),
            Self::Records => formatter.write_str("the payload is not the records that the header counts"),
            Self::Gap(expected) => write!(formatter, "a gap: position {expected} was expected"),
            Self::Misplaced => formatter.write_str("the frame stands in the wrong place"),
            Self::ForeignLog => formatter.write_str("the frame belongs to another log"),
            Self::Epoch => formatter.write_str("the epoch is lower than that of a frame before it"),
            Self::Unfinished => formatter.write_str("a large entry stops before its last frame"),
        }
    }
}

/// Empties the buffer and leaves room for a header.
pub(super) fn begin(frame: &mut Vec<u8>) {
    frame.clear();
    frame.resize(HEADER_LEN, 0);
}

/// Writes the header before the payload that follows [`begin`] in `frame`, checksum included.
pub(super) fn seal(frame: &mut [u8], header: &Header) {
    assert!(frame.len() >= HEADER_LEN && frame.len() <= FRAME_LEN_MAX, "a frame keeps within its bound");
    assert!(header.more == (header.count == 0), "only the frame that ends an entry counts records");
    assert!(!header.life || (header.count == 1 && header.chunk == 0), "a life begins with one record");

    let payload_len = u32::try_from(frame.len() - HEADER_LEN).expect("FRAME_LEN_MAX fits in a u32");

    let (head, payload) = frame.split_at_mut(HEADER_LEN);
    head[0..4].copy_from_slice(&MAGIC);
    head[4] = FORMAT;
    head[5] = CODEC;
    head[6] = if header.more { FLAG_MORE } else { 0 } | if header.life { FLAG_LIFE } else { 0 };
    head[7] = 0;
    head[8..24].copy_from_slice(&header.log_id.to_le_bytes());
    head[24..32].copy_from_slice(&header.epoch.to_le_bytes());
    head[32..40].copy_from_slice(&header.first.get().to_le_bytes());
    head[40..42].copy_from_slice(&header.chunk.to_le_bytes());
    head[42..44].fill(0);
    head[44..48].copy_from_slice(&header.count.to_le_bytes());
    head[48..52].copy_from_slice(&payload_len.to_le_bytes());

    let crc = checksum(&head[..CRC_AT], payload);
    head[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
}

/// Reads how long the frame that begins with `first_chunk` is, in bytes; not yet checked by the checksum.
pub(super) fn frame_len(first_chunk: &[u8]) -> Result<usize, Defect> {
    if first_chunk.get(..4) != Some(&MAGIC[..]) {
        return Err(Defect::Malformed);
    }
    let version = *first_chunk.get(4).ok_or(Defect::Malformed)?;
    if version != FORMAT {
        return Err(Defect::Version(version));
    }
    let payload_len = u32_at(first_chunk, 48).ok_or(Defect::Malformed)?;
    let length = usize::try_from(payload_len).map_err(|_| Defect::Malformed)? + HEADER_LEN;
    if length > FRAME_LEN_MAX { Err(Defect::Malformed) } else { Ok(length) }
}

/// Checks a whole frame whose records are of a codec, and returns its header.
pub(super) fn open(frame: &[u8], codec: u8) -> Result<Header, Defect> {
    if frame_len(frame)? != frame.len() {
        return Err(Defect::Incomplete);
    }

    // Until the checksum holds, the header means nothing. Its length only says how much to sum.
    let (head, payload) = frame.split_at_checked(HEADER_LEN).ok_or(Defect::Malformed)?;
    if u32_at(head, CRC_AT) != Some(checksum(&head[..CRC_AT], payload)) {
        return Err(Defect::Checksum);
    }

    if head[5] != codec {
        return Err(Defect::Codec(head[5]));
    }

    let header = Header {
        more: head[6] & FLAG_MORE != 0,
        log_id: u128_at(head, 8).ok_or(Defect::Malformed)?,
        epoch: u64_at(head, 24).ok_or(Defect::Malformed)?,
        first: Ordinal::new(u64_at(head, 32).ok_or(Defect::Malformed)?),
        chunk: u16_at(head, 40).ok_or(Defect::Malformed)?,
        count: u32_at(head, 44).ok_or(Defect::Malformed)?,
        life: head[6] & FLAG_LIFE != 0,
    };

    // A chain's records can be counted only once its frames are put together: `scan` does.
    let whole = header.chunk == 0 && !header.more;
    if header.more != (header.count == 0) || (whole && !holds_exactly(payload, header.count)) {
        return Err(Defect::Records);
    }

    Ok(header)
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// Reads a little-endian `u16`, or nothing where the bytes end before it.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads a little-endian `u32`, or nothing where the bytes end before it.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads a little-endian `u64`, or nothing where the bytes end before it.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Reads a little-endian `u128`, or nothing where the bytes end before it.
pub(super) fn u128_at(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::super::config::CODEC_V1;
    use super::*;

    fn sample() -> (Vec<u8>, Header) {
        let header = Header {
            more: false,
            log_id: 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff,
            epoch: 3,
            first: Ordinal::new(7),
            chunk: 0,
            count: 2,
            life: false,
        };
        let mut records = Records::new();
        records.push(b"seat A1").unwrap();
        records.push(b"held").unwrap();
        let mut frame = Vec::new();
        begin(&mut frame);
        frame.extend_from_slice(records.bytes());
        seal(&mut frame, &header);
        (frame, header)
    }

    #[test]
    fn a_frame_comes_back_as_it_was_sealed() {
        let (frame, header) = sample();
        assert_eq!(frame_len(&frame), Ok(frame.len()));
        assert_eq!(open(&frame, CODEC), Ok(header));
    }

    /// The same frame with records of format 1.
    const OF_FORMAT_1: &str = "4f534a4601000000ffeeddccbbaa9988776655443322110003000000000000000700000000000000000000000200000013000000\
                               428c9f4107000000736561742041310400000068656c64";

    #[test]
    fn the_bytes_of_a_frame_stay_as_they_are() {
        let (frame, _) = sample();
        let hex: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex.concat(),
            "4f534a4601010000ffeeddccbbaa9988776655443322110003000000000000000700000000000000000000000200000013000000\
             5d21760807000000736561742041310400000068656c64"
        );
    }

    #[test]
    fn a_frame_with_records_of_another_format_is_opened_only_as_that() {
        let (frame, header) = sample();
        let digits = OF_FORMAT_1.as_bytes().chunks(2);
        let before: Vec<u8> =
            digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
        assert_eq!(open(&before, CODEC_V1), Ok(header));
        assert_eq!(open(&before, CODEC), Err(Defect::Codec(CODEC_V1)));
        assert_eq!(open(&frame, CODEC_V1), Err(Defect::Codec(CODEC)));
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_frame_is_found() {
        let (frame, _) = sample();
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame.clone();
                damaged[at] ^= 1 << bit;
                assert!(open(&damaged, CODEC).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn a_frame_that_stops_early_is_found_at_every_length() {
        let (frame, _) = sample();
        for length in 0..frame.len() {
            assert!(open(&frame[..length], CODEC).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_count_that_is_not_the_payloads_is_found() {
        let (mut frame, header) = sample();
        seal(&mut frame, &Header { count: 3, ..header });
        assert_eq!(open(&frame, CODEC), Err(Defect::Records));
    }
}
