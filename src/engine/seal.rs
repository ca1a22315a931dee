//! What hides the number in an id, so that two ids don't tell how many were made in between.
//!
//! The text of a sealed id shows its place and its nonce, and no number. The nonce has two halves: the number, encrypted with the
//! log's secret, and 32 random bits. So an id leads to its reservation without a table, and the number is nobody's but the engine's.
//! Whoever guesses at ids must hit both halves, as before.
//!
//! The cipher is a Feistel network of six rounds on 32 bits whose rounds are HMAC-SHA-256 (Luby and Rackoff, "How to construct pseudorandom
//! permutations from pseudorandom functions", 1988); the kind of id and its place are part of each round, so that equal numbers look different.
//!
//! Absent on purpose: state. Which ids are sealed says their number ([`SEALED`]); those of before are as they were.

use aws_lc_rs::hmac;

use crate::domain::ids::{
    PaymentId, PaymentNumber, ReservationId, ReservationNumber, SEALED, ScheduleNumber, TransactionId,
};

const ROUNDS: u8 = 6;

/// What a number is of.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Reservation,
    Payment,
    Transaction,
    Cursor,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Reservation => 1,
            Self::Payment => 2,
            Self::Transaction => 3,
            Self::Cursor => 4,
        }
    }
}

/// See the module.
pub(super) struct Seal(hmac::Key);

impl Seal {
    /// Makes the seal of a log from a secret of its own.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// Seals the number and the nonce of a new reservation.
    pub(super) fn reservation(&self, place: ScheduleNumber, number: &mut ReservationNumber, nonce: &mut u64) {
        *nonce = self.nonce(Kind::Reservation, place.0, number.0, *nonce);
        number.0 |= SEALED;
    }

    /// Seals the number and the nonce of a new payment.
    pub(super) fn payment(&self, place: ScheduleNumber, number: &mut PaymentNumber, nonce: &mut u64) {
        *nonce = self.nonce(Kind::Payment, place.0, number.0, *nonce);
        number.0 |= SEALED;
    }

    /// Seals the number and the nonce of a new movement of an account.
    pub(super) fn transaction(&self, shard: u16, number: &mut u32, nonce: &mut u64) {
        *nonce = self.nonce(Kind::Transaction, shard.into(), *number, *nonce);
        *number |= SEALED;
    }

    /// Finds the number of a reservation's id that was read from its text.
    pub(super) fn open_reservation(&self, mut id: ReservationId) -> ReservationId {
        id.number.0 = self.number(Kind::Reservation, id.schedule.0, id.number.0, id.nonce);
        id
    }

    /// Finds the number of a payment's id that was read from its text.
    pub(super) fn open_payment(&self, mut id: PaymentId) -> PaymentId {
        id.number.0 = self.number(Kind::Payment, id.schedule.0, id.number.0, id.nonce);
        id
    }

    /// Finds the number of a movement's id that was read from its text.
    pub(super) fn open_transaction(&self, mut id: TransactionId) -> TransactionId {
        id.number = self.number(Kind::Transaction, id.shard.into(), id.number, id.nonce);
        id
    }

    /// Encrypts a number for a list's cursor.
    pub(super) fn close_cursor(&self, place: ScheduleNumber, number: u32) -> u32 {
        self.encrypt(Kind::Cursor, place.0, number)
    }

    /// Decrypts the number of a list's cursor.
    pub(super) fn open_cursor(&self, place: ScheduleNumber, number: u32) -> u32 {
        self.decrypt(Kind::Cursor, place.0, number)
    }

    fn nonce(&self, kind: Kind, place: u32, number: u32, random: u64) -> u64 {
        let low = random & u64::from(u32::MAX);
        (u64::from(self.encrypt(kind, place, number)) << 32) | low
    }

    /// Returns the number of an id: as it was read, where it isn't sealed.
    fn number(&self, kind: Kind, place: u32, read: u32, nonce: u64) -> u32 {
        if read & SEALED == 0 {
            return read;
        }
        let high = u32::try_from(nonce >> 32).expect("shifted");
        SEALED | self.decrypt(kind, place, high)
    }

    fn encrypt(&self, kind: Kind, place: u32, number: u32) -> u32 {
        let (mut left, mut right) = halves(number);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(kind, place, round, right));
        }
        whole(left, right)
    }

    fn decrypt(&self, kind: Kind, place: u32, number: u32) -> u32 {
        let (mut left, mut right) = halves(number);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(kind, place, round, left), left);
        }
        whole(left, right)
    }

    fn round(&self, kind: Kind, place: u32, round: u8, half: u16) -> u16 {
        let mut bytes = [0; 8];
        bytes[0] = kind.byte();
        bytes[1] = round;
        bytes[2..6].copy_from_slice(&place.to_be_bytes());
        bytes[6..].copy_from_slice(&half.to_be_bytes());
        let tag = hmac::sign(&self.0, &bytes);
        u16::from_be_bytes(*tag.as_ref().first_chunk().expect("SHA-256 has 32 bytes"))
    }
}

fn halves(number: u32) -> (u16, u16) {
    let [a, b, c, d] = number.to_be_bytes();
    (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

fn whole(left: u16, right: u16) -> u32 {
    (u32::from(left) << 16) | u32::from(right)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sealed_id_is_opened_from_its_text_by_its_own_log_alone(
            place: u32, shard: u16, number in 1..SEALED - 1, random: u64, secret: [u8; 32],
        ) {
            let seal = Seal::new(&secret);
            let schedule = ScheduleNumber(place);
            let mut id = ReservationId { schedule, number: ReservationNumber(number), nonce: random };
            seal.reservation(schedule, &mut id.number, &mut id.nonce);
            prop_assert_eq!(id.number.count(), number);
            let read = ReservationId::parse(&id.to_string()).unwrap();
            prop_assert_eq!(seal.open_reservation(read), id);
            prop_assert_eq!(id.nonce & u64::from(u32::MAX), random & u64::from(u32::MAX), "half is random");

            let mut id = PaymentId { schedule, number: PaymentNumber(number), nonce: random };
            seal.payment(schedule, &mut id.number, &mut id.nonce);
            prop_assert_eq!(seal.open_payment(PaymentId::parse(&id.to_string()).unwrap()), id);
            prop_assert_eq!(PaymentId::from_bits(id.bits()), id);

            let mut id = TransactionId { shard, number, nonce: random };
            seal.transaction(shard, &mut id.number, &mut id.nonce);
            prop_assert_eq!(seal.open_transaction(TransactionId::parse(&id.to_string()).unwrap()), id);

            let cursor = seal.close_cursor(schedule, number);
            prop_assert_eq!(seal.open_cursor(schedule, cursor), number);
        }

        #[test]
        fn an_id_of_before_is_what_it_was(schedule: u32, number in 1..SEALED, nonce: u64) {
            let id = ReservationId { schedule: ScheduleNumber(schedule), number: ReservationNumber(number), nonce };
            let read = ReservationId::parse(&id.to_string()).unwrap();
            prop_assert_eq!(Seal::new(&[7; 32]).open_reservation(read), id);
        }
    }

    #[test]
    fn ids_in_a_row_say_nothing_of_their_numbers() {
        let seal = Seal::new(&[7; 32]);
        let schedule = ScheduleNumber(3);
        let nonces: Vec<u64> = (1..=1_000)
            .map(|number| {
                let mut id = ReservationId { schedule, number: ReservationNumber(number), nonce: 0 };
                seal.reservation(schedule, &mut id.number, &mut id.nonce);
                let text = id.to_string();
                // All that the text tells without the secret.
                let read = ReservationId::parse(&text).unwrap();
                assert_eq!(
                    (read.schedule, read.number, read.nonce),
                    (schedule, ReservationNumber(SEALED), id.nonce)
                );
                id.nonce
            })
            .collect();
        let mut sorted = nonces.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 1_000, "a permutation");
        let steps = nonces.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((400..600).contains(&steps), "{steps}: the order isn't that of the numbers");
        // The same number elsewhere, or of another kind, looks different.
        let other = |place, kind| seal.encrypt(kind, place, 1);
        let mut all = vec![other(3, Kind::Reservation), other(4, Kind::Reservation)];
        all.extend([other(3, Kind::Payment), other(3, Kind::Transaction), other(3, Kind::Cursor)]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
    }
}
