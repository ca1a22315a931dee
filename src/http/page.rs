//! Pages of lists: the part that is asked for, the cursor of the next page, and the document.
//!
//! Absent on purpose: the items. A cursor's text has a meaning only for the list that gave it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Query;
use super::problem::Problem;
use crate::domain::ids::{PaymentNumber, ReservationNumber, ScheduleNumber};
use crate::domain::time::Timestamp;

/// The most items of a page.
pub const PAGE_LEN_MAX: usize = 1000;
/// The most items of a page by default.
pub const PAGE_LEN_DEFAULT: usize = 100;

/// The part of a list that is asked for: `?limit=` (1–1000, 100 if absent) and `?cursor=`.
#[derive(Debug, Clone, PartialEq, Eq, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// The most items to return.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub limit: usize,
    /// The `nextCursor` of the previous page; absent for the first page.
    #[param(max_length = 1000)]
    pub cursor: Option<String>,
}

/// The limit of a list that has only one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// The most items to return.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000, default = 100)]
    pub limit: usize,
}

#[derive(Deserialize)]
struct Raw {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Raw {
    fn of(parts: &Parts) -> Result<Self, Problem> {
        Query::of(&parts.uri).map(|Query(raw)| raw)
    }

    fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = &self.limit else { return Ok(PAGE_LEN_DEFAULT) };
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_LEN_MAX).contains(limit));
        limit.ok_or_else(|| Problem::invalid_field("limit", "must be a whole number from 1 to 1000"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let raw = Raw::of(parts)?;
        Ok(Self { limit: raw.limit()?, cursor: raw.cursor })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Limit {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self { limit: Raw::of(parts)?.limit()? })
    }
}

impl Page {
    /// Reads where the page begins.
    ///
    /// # Errors
    /// 400 `malformed_request` for a cursor that no list gave.
    pub fn behind<K: Cursor>(&self) -> Result<Option<K>, Problem> {
        let read = |cursor: &String| K::read(&URL_SAFE_NO_PAD.decode(cursor).ok()?);
        self.cursor.as_ref().map(|cursor| read(cursor).ok_or_else(Problem::bad_cursor)).transpose()
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// The `cursor` of the next page; null on the last page. A page with fewer items than its limit, even none, may
    /// have a next page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// Writes a page that goes on behind `next`, unless it is the last.
    pub fn new<K: Cursor>(items: Vec<T>, next: Option<&K>) -> Self {
        Self { items, next_cursor: next.map(|next| URL_SAFE_NO_PAD.encode(next.write())) }
    }

    /// Takes the page from items that begin where it does, each with its place.
    pub fn of<K: Cursor>(page: &Page, items: impl Iterator<Item = (K, T)>) -> Self {
        let mut found: Vec<(K, T)> = items.take(page.limit + 1).collect();
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let (places, items): (Vec<K>, Vec<T>) = found.into_iter().unzip();
        Self::new(items, places.last().filter(|_| more))
    }
}

/// The position of an item in a list. A page begins behind it.
pub trait Cursor: Sized {
    /// Writes it.
    fn write(&self) -> Vec<u8>;

    /// Reads what [`Cursor::write`] wrote; nothing for any other bytes.
    fn read(bytes: &[u8]) -> Option<Self>;
}

impl Cursor for String {
    fn write(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

/// The start of a performance, and its schedule's id for those that start together.
impl Cursor for (Timestamp, String) {
    fn write(&self) -> Vec<u8> {
        format!("{} {}", self.0.as_millis(), self.1).into_bytes()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (millis, id) = core::str::from_utf8(bytes).ok()?.split_once(' ')?;
        Some((Timestamp::from_millis(millis.parse().ok()?), id.to_owned()))
    }
}

/// The instant at which an item was made, its schedule's number, and its own number in the schedule.
impl Cursor for (Timestamp, ScheduleNumber, u32) {
    fn write(&self) -> Vec<u8> {
        let (at, schedule, number) = self;
        [&at.as_millis().to_be_bytes()[..], &schedule.0.to_be_bytes(), &number.to_be_bytes()].concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (at, rest) = bytes.split_first_chunk()?;
        let (schedule, rest) = rest.split_first_chunk()?;
        let number = u32::from_be_bytes(rest.try_into().ok()?);
        let at = Timestamp::from_millis(u64::from_be_bytes(*at));
        Some((at, ScheduleNumber(u32::from_be_bytes(*schedule)), number))
    }
}

impl Cursor for (Timestamp, ScheduleNumber, ReservationNumber) {
    fn write(&self) -> Vec<u8> {
        (self.0, self.1, self.2.0).write()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Cursor::read(bytes).map(|(at, schedule, number)| (at, schedule, ReservationNumber(number)))
    }
}

impl Cursor for (Timestamp, ScheduleNumber, PaymentNumber) {
    fn write(&self) -> Vec<u8> {
        (self.0, self.1, self.2.0).write()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Cursor::read(bytes).map(|(at, schedule, number)| (at, schedule, PaymentNumber(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::Code;

    fn page(cursor: &str) -> Page {
        Page { limit: 1, cursor: Some(cursor.to_owned()) }
    }

    #[test]
    fn a_cursor_is_read_as_it_was_written_and_anything_else_is_malformed() {
        let items = || (1..=3).map(|index| ((Timestamp::from_millis(7), format!("샤 {index}")), index));
        let list = List::of(&Page { limit: 2, cursor: None }, items());
        assert_eq!(list.items, [1, 2]);
        let cursor = list.next_cursor.unwrap();
        assert_eq!(page(&cursor).behind(), Ok(Some((Timestamp::from_millis(7), "샤 2".to_owned()))));
        assert_eq!(List::of(&Page { limit: 3, cursor: None }, items()).next_cursor, None);
        for wrong in ["", "*", "AAAA", "____"] {
            assert!(page(wrong).behind::<(Timestamp, String)>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_place_of_a_reservation_is_read_as_it_was_written() {
        let place = (Timestamp::from_millis(1_700_000_000_123), ScheduleNumber(7), ReservationNumber(9));
        let cursor = List::<()>::new(Vec::new(), Some(&place)).next_cursor.unwrap();
        assert_eq!(page(&cursor).behind(), Ok(Some(place)));
        for wrong in ["", "x", "AAAA", "****", &cursor[1..], &format!("{cursor}AAAA")] {
            let code =
                page(wrong).behind::<(Timestamp, ScheduleNumber, ReservationNumber)>().unwrap_err().code();
            assert_eq!(code, Code::MalformedRequest, "{wrong}");
        }
    }
}
