//! Encrypts the number in an id, so that two ids don't tell how many were made in between.
//!
//! The text of a sealed id shows its place and its nonce, and no number. The nonce has two halves: the number, encrypted with the
//! log's secret, and 32 random bits. So an id leads to its reservation without a table, and the number is nobody's but the engine's.
//! A guess at an id must hit both halves, as before.
//!
//! The cipher is a Feistel network of six rounds on 32 bits whose rounds are AES-256 of one block (Luby and Rackoff, "How to construct
//! pseudorandom permutations from pseudorandom functions", 1988); the kind of id and its place are part of each round, so that equal numbers
//! look different. The first ids had HMAC-SHA-256 in its place: sealing one cost a third of a hold's instructions. They are opened as they were
//! sealed, and cursors of lists, which are made seldom, have stayed with it.
//!
//! Absent on purpose: state. Which ids are sealed, and how, says their number ([`SEALED`], [`SEALED_BY_AES`]); those of before are as they were.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aws_lc_rs::hmac;

use crate::domain::ids::{
    PaymentId, PaymentNumber, ReservationId, ReservationNumber, SEAL_BITS, SEALED, SEALED_BY_AES,
    ScheduleNumber, TransactionId, count_of,
};

const ROUNDS: u8 = 6;

/// The kind of thing that a number counts.
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

/// What the rounds are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Hmac,
    Aes,
}

impl Cipher {
    /// Returns the cipher of a sealed number.
    const fn of(number: u32) -> Self {
        if number & SEALED_BY_AES == 0 { Self::Hmac } else { Self::Aes }
    }
}

/// See the module.
pub(super) struct Seal {
    hmac: hmac::Key,
    aes: Aes256,
}

impl Seal {
    /// Makes the seal of a log from a secret of its own.
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, secret);
        // Longer than what a round signs, so that no round shows a part of it.
        let derived = hmac::sign(&hmac, b"onsale: seal, AES-256");
        let aes = Aes256::new_from_slice(derived.as_ref()).expect("SHA-256 has the bytes of a key");
        Self { hmac, aes }
    }

    /// Seals the number and the nonce of a new reservation.
    pub(super) fn reservation(&self, place: ScheduleNumber, number: &mut ReservationNumber, nonce: &mut u64) {
        *nonce = self.nonce(Kind::Reservation, place.0, number.0, *nonce);
        number.0 |= SEAL_BITS;
    }

    /// Seals the number and the nonce of a new payment.
    pub(super) fn payment(&self, place: ScheduleNumber, number: &mut PaymentNumber, nonce: &mut u64) {
        *nonce = self.nonce(Kind::Payment, place.0, number.0, *nonce);
        number.0 |= SEAL_BITS;
    }

    /// Seals the number and the nonce of a new movement of an account.
    pub(super) fn transaction(&self, shard: u16, number: &mut u32, nonce: &mut u64) {
        *nonce = self.nonce(Kind::Transaction, shard.into(), *number, *nonce);
        *number |= SEAL_BITS;
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
        self.encrypt(Cipher::Hmac, Kind::Cursor, place.0, number)
    }

    /// Decrypts the number of a list's cursor.
    pub(super) fn open_cursor(&self, place: ScheduleNumber, number: u32) -> u32 {
        self.decrypt(Cipher::Hmac, Kind::Cursor, place.0, number)
    }

    fn nonce(&self, kind: Kind, place: u32, number: u32, random: u64) -> u64 {
        let low = random & u64::from(u32::MAX);
        (u64::from(self.encrypt(Cipher::Aes, kind, place, number)) << 32) | low
    }

    /// Returns the number of an id: as it was read, where it isn't sealed.
    fn number(&self, kind: Kind, place: u32, read: u32, nonce: u64) -> u32 {
        if read & SEALED == 0 {
            return read;
        }
        let high = u32::try_from(nonce >> 32).expect("shifted");
        (read & SEAL_BITS) | count_of(self.decrypt(Cipher::of(read), kind, place, high))
    }

    fn encrypt(&self, cipher: Cipher, kind: Kind, place: u32, number: u32) -> u32 {
        let (mut left, mut right) = halves(number);
        for round in 0..ROUNDS {
            (left, right) = (right, left ^ self.round(cipher, kind, place, round, right));
        }
        whole(left, right)
    }

    fn decrypt(&self, cipher: Cipher, kind: Kind, place: u32, number: u32) -> u32 {
        let (mut left, mut right) = halves(number);
        for round in (0..ROUNDS).rev() {
            (left, right) = (right ^ self.round(cipher, kind, place, round, left), left);
        }
        whole(left, right)
    }

    fn round(&self, cipher: Cipher, kind: Kind, place: u32, round: u8, half: u16) -> u16 {
        let mut bytes = [0; 16];
        bytes[0] = kind.byte();
        bytes[1] = round;
        bytes[2..6].copy_from_slice(&place.to_be_bytes());
        bytes[6..8].copy_from_slice(&half.to_be_bytes());

        match cipher {
            Cipher::Hmac => {
                let tag = hmac::sign(&self.hmac, &bytes[..8]);
                u16::from_be_bytes(*tag.as_ref().first_chunk().expect("SHA-256 has 32 bytes"))
            }
            Cipher::Aes => {
                self.aes.encrypt_block((&mut bytes).into());
                u16::from_be_bytes([bytes[0], bytes[1]])
            }
        }
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
            place: u32, shard: u16, number in 1..SEALED_BY_AES, random: u64, secret: [u8; 32],
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
        fn an_id_that_was_sealed_by_hmac_is_opened_by_it(place: u32, number in 1..SEALED_BY_AES, random: u64) {
            let seal = Seal::new(&[7; 32]);
            let high = seal.encrypt(Cipher::Hmac, Kind::Reservation, place, number);
            let nonce = (u64::from(high) << 32) | (random & u64::from(u32::MAX));
            let number = ReservationNumber(SEALED | number);
            let id = ReservationId { schedule: ScheduleNumber(place), number, nonce };
            let read = ReservationId::parse(&id.to_string()).unwrap();
            prop_assert_eq!(seal.open_reservation(read), id);
        }

        #[test]
        fn an_id_of_before_is_what_it_was(schedule: u32, number in 1..SEALED_BY_AES, nonce: u64) {
            let id = ReservationId { schedule: ScheduleNumber(schedule), number: ReservationNumber(number), nonce };
            let read = ReservationId::parse(&id.to_string()).unwrap();
            prop_assert_eq!(Seal::new(&[7; 32]).open_reservation(read), id);
        }
    }

    #[test]
    fn hmac_seals_as_it_did() {
        // Computed apart from this program, by Python's hmac.
        let sealed = Seal::new(&[7; 32]).encrypt(Cipher::Hmac, Kind::Reservation, 3, 42);
        assert_eq!(sealed, 0x85aa_d59b);
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
                    (schedule, ReservationNumber(SEAL_BITS), id.nonce)
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
        let other = |place, kind| seal.encrypt(Cipher::Aes, kind, place, 1);
        let mut all = vec![other(3, Kind::Reservation), other(4, Kind::Reservation)];
        all.extend([other(3, Kind::Payment), other(3, Kind::Transaction), other(3, Kind::Cursor)]);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
    }
}
