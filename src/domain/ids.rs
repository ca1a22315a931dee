//! Names of things. Past the boundary an id is right by its type: it was checked when it was parsed.

use core::borrow::Borrow;
use core::fmt;
use core::ops::Deref;
use core::str::FromStr;
use std::sync::Arc;

/// The longest id in characters (not bytes), of a catalogue item, a seat or a user.
pub const ID_LEN_MAX: usize = 128;

/// A text that can't be an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty or longer than [`ID_LEN_MAX`] characters.
    #[error("must have 1 to 128 characters")]
    Length,
    /// The text holds a character that this kind of id doesn't allow.
    #[error("has a character that is not allowed here")]
    Character,
}

fn check(text: &str, allowed: impl Fn(char) -> bool) -> Result<(), InvalidId> {
    // Counting stops one past the limit, so that a huge text costs no more than a long one.
    let count = text.chars().take(ID_LEN_MAX + 1).count();
    if count == 0 || count > ID_LEN_MAX {
        return Err(InvalidId::Length);
    }
    if text.chars().all(allowed) { Ok(()) } else { Err(InvalidId::Character) }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and takes an id.
            ///
            /// # Errors
            /// When the text is empty, too long, or has a character that isn't allowed.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                check(text, $allowed)?;
                Ok(Self(text.into()))
            }

            /// Returns the id's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

fn catalogue_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':')
}

fn printable(c: char) -> bool {
    !c.is_control()
}

text_id!(
    /// The id of a venue, chosen by the administrator: 1–128 letters of any script, digits, `-_.:`.
    VenueId,
    catalogue_character
);
text_id!(
    /// The id of a concert, chosen by the administrator: 1–128 letters of any script, digits, `-_.:`.
    ConcertId,
    catalogue_character
);
text_id!(
    /// The id of a schedule, chosen by the administrator: 1–128 letters of any script, digits, `-_.:`.
    ScheduleId,
    catalogue_character
);
text_id!(
    /// The id of a user, as the token's `sub` gives it: 1–128 printable characters.
    UserId,
    printable
);
text_id!(
    /// The id of a seat, unique in its venue: 1–128 printable characters.
    SeatId,
    printable
);
text_id!(
    /// The name of a grade, unique in its concert: 1–128 printable characters.
    GradeName,
    printable
);

text_id!(
    /// The id of a phase of a sale, chosen by the administrator: 1–128 letters of any script, digits, `-_.:`.
    PhaseId,
    catalogue_character
);
text_id!(
    /// The id of an allotment, chosen by the administrator: 1–128 letters of any script, digits, `-_.:`.
    AllotmentId,
    catalogue_character
);
text_id!(
    /// The id of a price type, unique in its concert: 1–128 letters of any script, digits, `-_.:`.
    PriceTypeId,
    catalogue_character
);
text_id!(
    /// The id of a fee, unique in its concert: 1–128 letters of any script, digits, `-_.:`.
    FeeId,
    catalogue_character
);

text_id!(
    /// The name of a payment gateway, as payments and routes have it: 1–128 letters from `a` to `z`.
    GatewayName,
    |c| c.is_ascii_lowercase()
);

/// The number of a schedule in its log: small, never used twice, part of its reservations' ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleNumber(pub u32);

/// The bit of a number that says that its id is sealed: the text shows no number, and the nonce leads to it for whoever has the log's
/// secret. An id that was made before there were such shows its number.
pub const SEALED: u32 = 1 << 31;

/// The bit beside it, which says by which cipher: ids that were sealed before there were two don't have it.
pub const SEALED_BY_AES: u32 = 1 << 30;

/// The bits of a number that say how its id is sealed. A new id has both.
pub const SEAL_BITS: u32 = SEALED | SEALED_BY_AES;

/// The bit of a payment's number that says that it is an order's of the box office.
const OF_ORDER: u32 = 1 << 29;

/// Returns the count in a number, sealed or not: from 1 in the order in which they were made, up to a thousand millions.
pub const fn count_of(number: u32) -> u32 {
    number & !SEAL_BITS
}

/// The number of a reservation in its schedule: its [`ReservationNumber::count`], and whether its id is [`SEALED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationNumber(pub u32);

impl ReservationNumber {
    /// Returns which it is, from 1 in the order in which they were made.
    pub const fn count(self) -> u32 {
        count_of(self.0)
    }
}

/// The common form of the ids that the engine makes: a place, a number there, and 64 bits that nobody guesses.
///
/// Clients see 26 characters of base 32 (the alphabet of RFC 4648 in lower case, no padding), in which stand the place and
/// the nonce; a number stands there only in ids that aren't [`SEALED`].
mod opaque {
    use super::{InvalidId, SEAL_BITS, SEALED, SEALED_BY_AES};

    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    /// The length of the text form.
    pub(super) const TEXT_LEN: usize = 26;

    /// Writes the three numbers of an id.
    pub(super) fn write(place: u32, number: u32, nonce: u64) -> [u8; TEXT_LEN] {
        let number = if number & SEALED == 0 { number } else { number & SEALED_BY_AES };
        let bits = (u128::from(place) << 96) | (u128::from(number) << 64) | u128::from(nonce);
        // The numbers are mixed with the nonce so that ids of one schedule don't look alike.
        let spread = u128::from(nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64;
        let mut rest = bits ^ spread;
        let mut text = [0; TEXT_LEN];
        for slot in text.iter_mut().rev() {
            let digit = usize::try_from(rest & 31).expect("five bits fit");
            *slot = BASE32[digit];
            rest >>= 5;
        }
        text
    }

    /// Reads them back; of a sealed number, that it is one.
    pub(super) fn read(text: &str) -> Result<(u32, u32, u64), InvalidId> {
        let text: &[u8; TEXT_LEN] = text.as_bytes().try_into().map_err(|_| InvalidId::Length)?;

        let mut bits: u128 = 0;
        for (index, byte) in text.iter().enumerate() {
            let digit = match byte {
                b'a'..=b'z' => byte - b'a',
                b'2'..=b'7' => byte - b'2' + 26,
                _ => return Err(InvalidId::Character),
            };
            // 26 digits of five bits are 130: the first may only carry three.
            if index == 0 && digit > 7 {
                return Err(InvalidId::Character);
            }
            bits = (bits << 5) | u128::from(digit);
        }

        let low = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).expect("masked");
        let nonce = low(bits);
        let numbers = low(bits >> 64) ^ nonce.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).expect("masked");

        match (half(numbers >> 32), half(numbers)) {
            // Numbers begin with 1.
            (place, 0) => Ok((place, SEALED, nonce)),
            (place, SEALED_BY_AES) => Ok((place, SEAL_BITS, nonce)),
            (_, number) if number & SEAL_BITS != 0 => Err(InvalidId::Character),
            (place, number) => Ok((place, number, nonce)),
        }
    }
}

macro_rules! opaque_text {
    ($name:ident, $place:expr, $number:expr, $make:expr) => {
        impl $name {
            /// The length of the text form.
            pub const TEXT_LEN: usize = opaque::TEXT_LEN;

            /// Returns the text form.
            pub fn to_text(self) -> [u8; Self::TEXT_LEN] {
                let (place, number): (fn(Self) -> u32, fn(Self) -> u32) = ($place, $number);
                opaque::write(place(self), number(self), self.nonce)
            }

            /// Reads the text form back; of a sealed id without its number, which only the engine finds.
            ///
            /// # Errors
            /// When the text isn't one that `to_text` writes.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                let make: fn(u32, u32, u64) -> Result<Self, InvalidId> = $make;
                let (place, number, nonce) = opaque::read(text)?;
                make(place, number, nonce)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let text = self.to_text();
                f.write_str(core::str::from_utf8(&text).expect("base 32 is ASCII"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

/// The id of a reservation: its schedule's number, its own, and 64 bits that nobody guesses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReservationId {
    /// The schedule that it belongs to.
    pub schedule: ScheduleNumber,
    /// Its number there.
    pub number: ReservationNumber,
    /// Random bits, so that nobody guesses the id.
    pub nonce: u64,
}

opaque_text!(ReservationId, |id| id.schedule.0, |id| id.number.0, |schedule, number, nonce| Ok(Self {
    schedule: ScheduleNumber(schedule),
    number: ReservationNumber(number),
    nonce
}));

/// The number of a payment in its schedule: its [`PaymentNumber::count`], and whether its id is [`SEALED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentNumber(pub u32);

impl PaymentNumber {
    /// Returns which it is, from 1 in the order in which they were made.
    pub const fn count(self) -> u32 {
        count_of(self.0)
    }

    /// Returns the number of an order's payment: that of its reservation, and that it is an order's.
    ///
    /// # Panics
    /// When the reservation is none of the first 500 millions of its schedule.
    pub const fn of_order(reservation: ReservationNumber) -> Self {
        assert!(reservation.count() < OF_ORDER, "an order's number leaves room for the bit");
        Self(reservation.0 | OF_ORDER)
    }

    /// Returns the number of the reservation that is this payment, where it is an order's.
    pub const fn order(self) -> Option<ReservationNumber> {
        if self.0 & OF_ORDER == 0 { None } else { Some(ReservationNumber(self.0 & !OF_ORDER)) }
    }
}

/// The id of a payment, made like a reservation's: the schedule's number leads to it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PaymentId {
    /// The schedule that it belongs to.
    pub schedule: ScheduleNumber,
    /// Its number there.
    pub number: PaymentNumber,
    /// Random bits, so that nobody guesses the id.
    pub nonce: u64,
}

opaque_text!(PaymentId, |id| id.schedule.0, |id| id.number.0, |schedule, number, nonce| Ok(Self {
    schedule: ScheduleNumber(schedule),
    number: PaymentNumber(number),
    nonce
}));

impl PaymentId {
    /// Returns the id as one number: schedule, number and nonce, from the highest bits down.
    pub fn bits(self) -> u128 {
        (u128::from(self.schedule.0) << 96) | (u128::from(self.number.0) << 64) | u128::from(self.nonce)
    }

    /// Makes the id that [`PaymentId::bits`] returned.
    pub fn from_bits(bits: u128) -> Self {
        let part = |shift: u32| u32::try_from((bits >> shift) & u128::from(u32::MAX)).expect("masked");
        let nonce = u64::try_from(bits & u128::from(u64::MAX)).expect("masked");
        Self { schedule: ScheduleNumber(part(96)), number: PaymentNumber(part(64)), nonce }
    }
}

/// The id of a movement of an account: the shard of accounts, a number there, and 64 bits that nobody guesses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId {
    /// The shard.
    pub shard: u16,
    /// Its number there: which it is ([`count_of`]), and whether the id is [`SEALED`].
    pub number: u32,
    /// Random bits, so that nobody guesses the id.
    pub nonce: u64,
}

opaque_text!(TransactionId, |id| u32::from(id.shard), |id| id.number, |shard, number, nonce| Ok(Self {
    shard: u16::try_from(shard).map_err(|_| InvalidId::Character)?,
    number,
    nonce
}));

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_reservation_id_survives_its_text_form(schedule: u32, number in 1..SEALED_BY_AES, nonce: u64) {
            let id = ReservationId {
                schedule: ScheduleNumber(schedule),
                number: ReservationNumber(number),
                nonce,
            };
            prop_assert_eq!(ReservationId::parse(&id.to_string()), Ok(id));
        }

        #[test]
        fn any_text_is_refused_or_read_as_the_one_id_that_writes_it(text in "[a-z2-7]{26}") {
            if let Ok(id) = ReservationId::parse(&text) {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }

    #[test]
    fn a_catalogue_id_takes_letters_of_any_script_and_few_marks() {
        for right in ["perf-kinky-1-2027-02-09-19:30", "샤롯데", "a_b.c", &"x".repeat(128)] {
            assert!(ScheduleId::parse(right).is_ok(), "{right}");
        }
        assert_eq!(VenueId::parse(""), Err(InvalidId::Length));
        assert_eq!(VenueId::parse(&"x".repeat(129)), Err(InvalidId::Length));
        for wrong in ["a b", "a/b", "a\n", "a?b", "%"] {
            assert_eq!(ConcertId::parse(wrong), Err(InvalidId::Character), "{wrong}");
        }
    }
}
