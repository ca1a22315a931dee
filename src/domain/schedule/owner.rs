//! Who has a seat, as a number.

/// The owner of a seat: nobody, a reservation by its number, an allotment by its mark (`allotments`), or the administrator who blocked it.
pub(super) type Owner = u32;

/// Nobody's.
pub(super) const FREE: Owner = 0;
/// Off sale.
pub(super) const BLOCKED: Owner = u32::MAX;
