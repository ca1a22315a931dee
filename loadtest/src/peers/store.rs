//! What a store does for the service, each in one round trip.

use anyhow::Result;

use super::hall::SeatId;

/// A hold to make.
pub(super) struct Hold<'a> {
    pub(super) id: SeatId,
    pub(super) user: &'a str,
    /// Milliseconds since 1970.
    pub(super) now: i64,
    pub(super) expires_at: i64,
}

/// A payment to make from the user's balance.
pub(super) struct Payment<'a> {
    /// The hold that is paid for.
    pub(super) hold: SeatId,
    /// Of the same seat, with a nonce of its own.
    pub(super) id: SeatId,
    pub(super) user: &'a str,
    pub(super) key: &'a str,
    pub(super) amount: i64,
    /// Milliseconds since 1970.
    pub(super) now: i64,
}

/// What became of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paid {
    /// Now, or before with the same key.
    Done {
        hold: SeatId,
        id: SeatId,
        at: i64,
    },
    /// There is no such hold of the user, or it is over.
    NotHeld,
    InsufficientBalance,
}

/// Where the state stands. A success is durable as far as the store is set up for it.
pub(super) trait Store: Send + Sync + 'static {
    /// Makes the seats of a schedule.
    fn open(&self, schedule: u16, seats: u32) -> impl Future<Output = Result<()>> + Send;

    /// Puts money in and returns the balance.
    fn charge(&self, user: &str, amount: i64) -> impl Future<Output = Result<i64>> + Send;

    /// Holds a seat; returns whether it was free.
    fn hold(&self, hold: &Hold<'_>) -> impl Future<Output = Result<bool>> + Send;

    /// Releases a hold; returns when it would have expired, or nothing if the user has no such hold.
    fn release(&self, id: SeatId, user: &str) -> impl Future<Output = Result<Option<i64>>> + Send;

    /// Confirms a hold, takes its price off the balance and notes the payment: all or nothing.
    fn pay(&self, payment: &Payment<'_>) -> impl Future<Output = Result<Paid>> + Send;
}
