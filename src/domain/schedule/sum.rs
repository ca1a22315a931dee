//! The checksum of a seat map: what each seat, and the places of each area, add to it by XOR. A change takes the old mark out and puts the
//! new one in, so that nothing is added up anew.

use super::command::SeatStatus;
use crate::domain::venue::{Area, Seat};

/// Returns what a seat adds to the sum of a map: nothing while it is available, else a number that looks drawn.
pub(super) fn mark_of(seat: Seat, status: SeatStatus) -> u64 {
    let status = match status {
        SeatStatus::Available => return 0,
        SeatStatus::Held => 1,
        SeatStatus::Reserved => 2,
        SeatStatus::Blocked => 3,
    };
    let seat = u64::try_from(seat.index()).expect("a usize fits");
    scramble(4 * seat + status)
}

/// Returns what the places of an area that aren't available add to the sum of a map. An available place adds nothing, as an available
/// seat does.
pub(super) fn mark_of_places(area: Area, status: SeatStatus, count: u32) -> u64 {
    let status: u64 = match status {
        SeatStatus::Available => return 0,
        SeatStatus::Held => 1,
        SeatStatus::Reserved => 2,
        SeatStatus::Blocked => 3,
    };
    if count == 0 {
        return 0;
    }
    // No seat has so high a number.
    scramble(1 << 63 | u64::from(area.0) << 34 | status << 32 | u64::from(count))
}

/// Makes a number that looks drawn of one that doesn't (`SplitMix64`'s finalizer; Steele, Lea, Flood, 2014).
fn scramble(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
