//! The parts of the format's types: ids, instants, amounts, keys, and [`More`], by which they grow.

use std::sync::Arc;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::DecodeError;
use crate::domain::cause::By;
use crate::domain::ids::{ConcertId, FeeId, GradeName, PriceTypeId, ScheduleId, UserId, VenueId};
use crate::domain::keys::{KeyList, KeyUse};
use crate::domain::money::{Currency, Money};
use crate::domain::pages::Pages;
use crate::domain::schedule::ReservationRef;
use crate::domain::time::Timestamp;
use crate::domain::venue::Seat;

pub(super) type Read<T> = Result<T, DecodeError>;

/// The fields that a structure got after it was first written, each as a variant of `F`; the last of its fields.
///
/// A byte says how many there are, and they follow: a structure without any costs that byte. A variant that this version doesn't
/// know ends the reading with an error that names the newer version, since nothing may be left out of a state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct More<F = Nothing>(Vec<F>);

/// The fields of a structure that hasn't got any yet. The first one is an enum of the structure's own.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Nothing {}

impl<F> Default for More<F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<F> FromIterator<F> for More<F> {
    fn from_iter<I: IntoIterator<Item = F>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

impl<F> IntoIterator for More<F> {
    type Item = F;
    type IntoIter = std::vec::IntoIter<F>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<F: Serialize> Serialize for More<F> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let count = u8::try_from(self.0.len()).expect("a structure has few fields");
        let mut parts = to.serialize_tuple(1 + self.0.len())?;
        parts.serialize_element(&count)?;
        for field in &self.0 {
            parts.serialize_element(field)?;
        }
        parts.end()
    }
}

impl<'de, F: Deserialize<'de>> Deserialize<'de> for More<F> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<F>(core::marker::PhantomData<F>);

        impl<'de, F: Deserialize<'de>> Visitor<'de> for Fields<F> {
            type Value = More<F>;

            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("the number of the fields that were added, and the fields")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<More<F>, A::Error> {
                let missing = || A::Error::custom("the fields that were added are missing");
                let count: u8 = parts.next_element()?.ok_or_else(missing)?;
                let mut fields = Vec::new();
                for _ in 0..count {
                    let field = parts.next_element().map_err(|error| {
                        A::Error::custom(format_args!(
                            "a newer version of onsale added a field here: {error}"
                        ))
                    })?;
                    fields.push(field.ok_or_else(missing)?);
                }
                Ok(More(fields))
            }
        }

        let parts = 1 + usize::from(u8::MAX);
        from.deserialize_tuple(parts, Fields(core::marker::PhantomData))
    }
}

/// Who asked. An administrator's id is borrowed from the bytes that it is read from.
#[derive(Serialize, Deserialize)]
pub(super) enum ByWire<'a> {
    Engine,
    User,
    #[serde(borrow)]
    Admin(std::borrow::Cow<'a, str>),
}

impl<'a> ByWire<'a> {
    pub(super) fn from_domain(by: &'a By) -> Self {
        match by {
            By::Engine => Self::Engine,
            By::User => Self::User,
            By::Admin(id) => Self::Admin(id.as_str().into()),
        }
    }

    pub(super) fn into_domain(self) -> Read<By> {
        Ok(match self {
            Self::Engine => By::Engine,
            Self::User => By::User,
            Self::Admin(id) => By::Admin(user_id(&id)?),
        })
    }
}

pub(super) type KeyUseWire = (u128, u128);

pub(super) fn key_out(key: KeyUse) -> KeyUseWire {
    (key.digest, key.fingerprint)
}

pub(super) fn key_in((digest, fingerprint): KeyUseWire) -> KeyUse {
    KeyUse { digest, fingerprint }
}

/// An idempotency key of an image: the key, the version and the instant of its effect, and the answer.
pub(super) type KeyWire<A> = (u128, u128, u64, u64, A);

/// Writes an image's keys.
pub(super) fn keys_out<A, W>(keys: &KeyList<A>, answer: impl Fn(&A) -> W) -> Vec<KeyWire<W>> {
    let key = |(key, version, at, given): (KeyUse, u64, Timestamp, &A)| {
        (key.digest, key.fingerprint, version, at.as_millis(), answer(given))
    };
    keys.iter().map(key).collect()
}

/// Reads an image's keys.
pub(super) fn keys_in<A: Clone, W>(keys: Vec<KeyWire<W>>, answer: impl Fn(W) -> Read<A>) -> Read<KeyList<A>> {
    let key = |(digest, fingerprint, version, at, given)| {
        Ok((KeyUse { digest, fingerprint }, version, Timestamp::from_millis(at), answer(given)?))
    };
    keys.into_iter().map(key).collect()
}

/// Reads numbered values, in order of the numbers.
pub(super) fn pages<T: Clone>(all: impl Iterator<Item = Read<(u32, T)>>) -> Read<Pages<T>> {
    let mut pages = Pages::default();
    let mut next = 0;
    for one in all {
        let (number, value) = one?;
        if u64::from(number) < next {
            return Err(DecodeError::Value("the order of numbers"));
        }
        next = u64::from(number) + 1;
        pages.insert(number, value);
    }

    Ok(pages)
}

pub(super) fn seats_out(seats: &[Seat]) -> Vec<u32> {
    seats.iter().map(|seat| seat.0).collect()
}

pub(super) fn seats_in(seats: Vec<u32>) -> Arc<[Seat]> {
    seats.into_iter().map(Seat).collect()
}

pub(super) fn instant_out(at: Option<Timestamp>) -> Option<u64> {
    at.map(Timestamp::as_millis)
}

pub(super) fn instant_in(at: Option<u64>) -> Option<Timestamp> {
    at.map(Timestamp::from_millis)
}

pub(super) fn reservation_out(reservation: ReservationRef) -> (u32, u64) {
    (reservation.number.0, reservation.nonce)
}

pub(super) fn reservation_in((number, nonce): (u32, u64)) -> ReservationRef {
    ReservationRef { number: crate::domain::ids::ReservationNumber(number), nonce }
}

pub(super) fn currency_out(currency: Currency) -> [u8; 3] {
    let code = *currency.as_str().as_bytes().first_chunk().expect("a currency has three letters");
    debug_assert!(currency_in(code).is_ok_and(|read| read == currency), "a currency reads back");
    code
}

pub(super) fn currency_in(code: [u8; 3]) -> Read<Currency> {
    currency(core::str::from_utf8(&code).unwrap_or_default())
}

pub(super) fn currency(text: &str) -> Read<Currency> {
    Currency::parse(text).map_err(|_| DecodeError::Value("a currency"))
}

pub(super) fn money(minor: u64) -> Read<Money> {
    Money::new(minor).ok_or(DecodeError::Value("an amount"))
}

pub(super) fn venue_id(text: &str) -> Read<VenueId> {
    VenueId::parse(text).map_err(|_| DecodeError::Value("a venue id"))
}

pub(super) fn concert_id(text: &str) -> Read<ConcertId> {
    ConcertId::parse(text).map_err(|_| DecodeError::Value("a concert id"))
}

pub(super) fn schedule_id(text: &str) -> Read<ScheduleId> {
    ScheduleId::parse(text).map_err(|_| DecodeError::Value("a schedule id"))
}

pub(super) fn user_id(text: &str) -> Read<UserId> {
    UserId::parse(text).map_err(|_| DecodeError::Value("a user id"))
}

pub(super) fn price_type_id(text: &str) -> Read<PriceTypeId> {
    PriceTypeId::parse(text).map_err(|_| DecodeError::Value("a price type's id"))
}

pub(super) fn fee_id(text: &str) -> Read<FeeId> {
    FeeId::parse(text).map_err(|_| DecodeError::Value("a fee's id"))
}

pub(super) fn grade_name(text: &str) -> Read<GradeName> {
    GradeName::parse(text).map_err(|_| DecodeError::Value("a grade"))
}

#[cfg(test)]
mod tests {
    use bincode::Options;

    use super::super::codec;
    use super::*;

    /// A structure as it is, and the same once fields were added.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Before {
        hold: u32,
        more: More,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct After<'a> {
        hold: u32,
        #[serde(borrow)]
        more: More<Added<'a>>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Added<'a> {
        Code(&'a str),
        Grace(u32),
    }

    impl PartialEq for Nothing {
        fn eq(&self, _: &Self) -> bool {
            match *self {}
        }
    }

    fn bytes<T: Serialize>(value: &T) -> Vec<u8> {
        codec().serialize(value).unwrap()
    }

    #[test]
    fn what_was_written_before_a_field_was_added_is_read_without_it() {
        let before = bytes(&Before { hold: 300, more: More::default() });
        assert_eq!(before.len(), 4 + 1, "room for fields costs a byte");
        let read: After<'_> = codec().deserialize(&before).unwrap();
        assert_eq!(read, After { hold: 300, more: More::default() });
    }

    #[test]
    fn fields_that_were_added_are_read_as_they_were_written() {
        for more in [vec![], vec![Added::Grace(7)], vec![Added::Code("앤"), Added::Grace(7)]] {
            let written = After { hold: 300, more: more.into_iter().collect() };
            // Something follows, as in a structure within another.
            let (written, follows) = (bytes(&(&written, 9_u64)), written);
            let read: (After<'_>, u64) = codec().deserialize(&written).unwrap();
            assert_eq!(read, (follows, 9));
            for length in 0..written.len() {
                assert!(codec().deserialize::<(After<'_>, u64)>(&written[..length]).is_err());
            }
        }
    }

    #[test]
    fn a_field_that_this_version_does_not_know_is_refused_and_the_newer_version_named() {
        let written = bytes(&After { hold: 300, more: [Added::Code("x")].into_iter().collect() });
        let refused = codec().deserialize::<Before>(&written).unwrap_err();
        assert!(refused.to_string().contains("a newer version of onsale added a field"), "{refused}");
        let mut other = written;
        other[5] = 2;
        let refused = codec().deserialize::<After<'_>>(&other).unwrap_err();
        assert!(refused.to_string().contains("a newer version of onsale added a field"), "{refused}");
    }
}
