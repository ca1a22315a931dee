//! Everything at one position of the journal, as the tables that finance and analytics people expect.
//!
//! ```text
//! World at a position → Sources → walk → rows, table by table → stream: lines of JSON → CSV, SQLite
//! ```
//!
//! [`Table`] says which tables there are, with their keys and what each column means; [`walk`] turns state into rows, in
//! an order in which every foreign key's row comes first; [`Writer`] and [`Reader`] carry them as lines.
//!
//! Absent on purpose: HTTP, files, and every secret: no password's hash, no token, no idempotency key has a column. (A gateway's
//! id of a payment is none: it does nothing without the gateway's secret.) Waiting rooms aren't here either: who waits is nobody's turnover.
//!
//! Invariants: money is an integer in minor units beside its currency; an instant is RFC 3339 text in UTC with
//! milliseconds; an id is what the API shows; walking the same sources twice gives the same rows.

mod rows;
mod stream;
mod table;

pub use rows::{Movement, MovementSource, RowTaker, Sale, SaleSource, Sources, count, walk};
pub use stream::{Announced, Line, Reader, StreamError, Writer};
pub use table::{Column, ForeignKey, Kind, Schema, Table};

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::time::Timestamp;
use crate::journal::Position;

/// The version of the tables: it goes up with each change of a table or a column.
pub const SCHEMA_VERSION: u32 = 5;

/// The log and the position of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The position in the journal: every fact up to it is in, and none behind it.
    pub position: Position,
    /// The engine's instant when that was the last durable position.
    pub at: Timestamp,
    /// The log's id.
    pub log_id: u128,
}

impl Taken {
    /// Returns the log's id as text, as the event feed's `source` has it.
    pub fn log(&self) -> String {
        format!("{:032x}", self.log_id)
    }
}

/// A row's value in one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(Cow<'a, str>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        at.to_string().into()
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).expect("positions, counts and amounts are below 2^63"))
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<usize> for Value<'_> {
    fn from(number: usize) -> Self {
        u64::try_from(number).expect("a usize has 64 bits at most").into()
    }
}

impl<T: Into<Self>> From<Option<T>> for Value<'_> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Reads a value without copying a text that has no escapes.
struct ValueVisitor;

impl<'de> de::Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("null, a whole number or a text")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value<'de>, E> {
        i64::try_from(number).map(Value::Integer).map_err(|_| E::custom("a number of 2^63 or more"))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value<'de>, E> {
        Ok(Value::Integer(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests;
