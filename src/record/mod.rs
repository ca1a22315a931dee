//! The wire format of the journal and of snapshots: bytes ⇄ facts.
//!
//! A record is one fact of one stream, with its place in the stream, its instant, and the idempotency
//! key whose effect it is. Its place in the whole journal isn't in it: the frame knows. The types of this
//! folder whose names end in `Wire` are the format, apart from the domain's own, so that neither changes the
//! other by accident; [`CODEC`] is the version that frames and snapshots carry, and `snapshots/` holds golden bytes.
//!
//! How the format grows: a new variant goes to the end of its enum, and a new field of a structure is a variant of the enum
//! in its `more` (`fields::More`). The same types read all that an older version wrote; an older version refuses a variant that it
//! doesn't know.
//!
//! The codec is bincode 1.3 with fixed-width integers, which refuses trailing bytes; it is named in
//! this folder only.

mod catalogue;
mod fields;
mod money;
mod room;
mod schedule;
mod section;
mod users;
pub mod v1;

use bincode::Options;
use serde::{Deserialize, Serialize};

use self::fields::{ByWire, KeyUseWire, More};
use self::money::{AccountsEventWire, PaymentsEventWire};
use self::room::RoomEventWire;
use self::schedule::ScheduleEventWire;
use self::users::UserEventWire;

use crate::domain::accounts::{self, Shard};
use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::{By, Cause};
use crate::domain::ids::ScheduleNumber;
use crate::domain::keys::KeyUse;
use crate::domain::schedule::Event as ScheduleEvent;
use crate::domain::time::Timestamp;
use crate::domain::users::Event as UserEvent;
use crate::domain::{payments, waiting_room};

pub use section::{
    Section, decode_payments, decode_schedule, decode_sections, encode_accounts, encode_catalogue,
    encode_ended, encode_payments, encode_room, encode_schedule, encode_users,
};

/// The version of the format: 1 is format 2. It stands in every frame and snapshot, so a change of it is one of the journal's, too.
pub const CODEC: u8 = 1;
const _: () = assert!(CODEC == crate::journal::CODEC, "frames carry the version of the records in them");

/// One aggregate's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// The catalogue.
    Catalogue,
    /// A schedule, by its number.
    Schedule(ScheduleNumber),
    /// A schedule's waiting room, by the schedule's number.
    WaitingRoom(ScheduleNumber),
    /// A shard of the accounts.
    Accounts(Shard),
    /// A schedule's payments, by the schedule's number.
    Payments(ScheduleNumber),
    /// The users.
    Users,
}

/// What happened to an aggregate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Something happened to the catalogue.
    Catalogue(CatalogueEvent),
    /// Something happened to a schedule.
    Schedule(ScheduleNumber, ScheduleEvent),
    /// Something happened to a schedule's waiting room.
    WaitingRoom(ScheduleNumber, waiting_room::Event),
    /// Something happened to an account.
    Accounts(Shard, accounts::Event),
    /// Something happened to a payment.
    Payments(ScheduleNumber, payments::Event),
    /// Something happened to a user.
    User(UserEvent),
}

/// One fact with its place in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The stream's version with this fact: 1 for its first.
    pub version: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: By,
    /// The idempotency key whose effect it is.
    pub key: Option<KeyUse>,
    /// What happened.
    pub fact: Fact,
}

impl Record {
    /// Returns the stream that the fact belongs to.
    pub fn stream(&self) -> Stream {
        match &self.fact {
            Fact::Catalogue(_) => Stream::Catalogue,
            Fact::Schedule(number, _) => Stream::Schedule(*number),
            Fact::WaitingRoom(number, _) => Stream::WaitingRoom(*number),
            Fact::Accounts(shard, _) => Stream::Accounts(*shard),
            Fact::Payments(number, _) => Stream::Payments(*number),
            Fact::User(_) => Stream::Users,
        }
    }
}

/// Bytes that aren't a record of this format.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The codec doesn't read them.
    #[error("the bytes are not of this format: {0}")]
    Codec(#[from] bincode::Error),
    /// They hold a value that can't be.
    #[error("a field holds a value that cannot be: {0}")]
    Value(&'static str),
}

#[derive(Serialize, Deserialize)]
struct RecordWire<'a> {
    version: u64,
    at: u64,
    #[serde(borrow)]
    by: ByWire<'a>,
    key: Option<KeyUseWire>,
    #[serde(borrow)]
    fact: FactWire<'a>,
    more: More,
}

#[derive(Serialize, Deserialize)]
enum FactWire<'a> {
    Catalogue(catalogue::CatalogueEventWire),
    Schedule(u32, #[serde(borrow)] ScheduleEventWire<'a>),
    WaitingRoom(u32, #[serde(borrow)] RoomEventWire<'a>),
    Accounts(u16, #[serde(borrow)] AccountsEventWire<'a>),
    Payments(u32, #[serde(borrow)] PaymentsEventWire<'a>),
    User(#[serde(borrow)] UserEventWire<'a>),
}

fn codec() -> impl Options {
    // A record is cut into frames before it is decoded; the limit bounds what damage could allocate.
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(64 << 20)
}

/// Appends a schedule's event to `bytes`.
pub fn encode_schedule_event(
    bytes: &mut Vec<u8>,
    number: ScheduleNumber,
    version: u64,
    at: Timestamp,
    cause: impl Into<Cause>,
    event: &ScheduleEvent,
) {
    let event = FactWire::Schedule(number.0, ScheduleEventWire::from_domain(event));
    encode_record(bytes, version, at, &cause.into(), event);
}

/// Appends a waiting room's event to `bytes`.
pub fn encode_room_event(
    bytes: &mut Vec<u8>,
    number: ScheduleNumber,
    version: u64,
    at: Timestamp,
    cause: impl Into<Cause>,
    event: &waiting_room::Event,
) {
    let event = FactWire::WaitingRoom(number.0, RoomEventWire::from_domain(event));
    encode_record(bytes, version, at, &cause.into(), event);
}

/// Appends an account's event to `bytes`.
pub fn encode_accounts_event(
    bytes: &mut Vec<u8>,
    shard: Shard,
    version: u64,
    at: Timestamp,
    cause: impl Into<Cause>,
    event: &accounts::Event,
) {
    let event = FactWire::Accounts(shard.0, AccountsEventWire::from_domain(event));
    encode_record(bytes, version, at, &cause.into(), event);
}

/// Appends a payment's event to `bytes`.
pub fn encode_payments_event(
    bytes: &mut Vec<u8>,
    number: ScheduleNumber,
    version: u64,
    at: Timestamp,
    cause: impl Into<Cause>,
    event: &payments::Event,
) {
    let event = FactWire::Payments(number.0, PaymentsEventWire::from_domain(event));
    encode_record(bytes, version, at, &cause.into(), event);
}

/// Appends a user's event to `bytes`.
pub fn encode_user_event(
    bytes: &mut Vec<u8>,
    version: u64,
    at: Timestamp,
    cause: impl Into<Cause>,
    event: &UserEvent,
) {
    let event = FactWire::User(UserEventWire::from_domain(event));
    encode_record(bytes, version, at, &cause.into(), event);
}

/// Appends an event of the catalogue to `bytes`.
pub fn encode_catalogue_event(
    bytes: &mut Vec<u8>,
    version: u64,
    at: Timestamp,
    cause: impl Into<Cause>,
    event: &CatalogueEvent,
) {
    let event = FactWire::Catalogue(catalogue::CatalogueEventWire::from_domain(event));
    encode_record(bytes, version, at, &cause.into(), event);
}

fn encode_record(bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: &Cause, fact: FactWire<'_>) {
    let key = cause.key.map(fields::key_out);
    let by = ByWire::from_domain(&cause.by);
    let record = RecordWire { version, at: at.as_millis(), by, key, fact, more: More::default() };
    let start = bytes.len();
    codec().serialize_into(&mut *bytes, &record).expect("writing to memory doesn't fail");
    debug_assert!(is_faithful(&bytes[start..]), "a record that was read is written as the same bytes");
}

/// Tells whether bytes are a record, and whether it is written as the same bytes again.
fn is_faithful(bytes: &[u8]) -> bool {
    let Ok(record) = decode(bytes) else { return false };
    let fact = match &record.fact {
        Fact::Catalogue(event) => FactWire::Catalogue(catalogue::CatalogueEventWire::from_domain(event)),
        Fact::Schedule(number, event) => FactWire::Schedule(number.0, ScheduleEventWire::from_domain(event)),
        Fact::WaitingRoom(number, event) => {
            FactWire::WaitingRoom(number.0, RoomEventWire::from_domain(event))
        }
        Fact::Accounts(shard, event) => FactWire::Accounts(shard.0, AccountsEventWire::from_domain(event)),
        Fact::Payments(number, event) => FactWire::Payments(number.0, PaymentsEventWire::from_domain(event)),
        Fact::User(event) => FactWire::User(UserEventWire::from_domain(event)),
    };
    let again = RecordWire {
        version: record.version,
        at: record.at.as_millis(),
        by: ByWire::from_domain(&record.by),
        key: record.key.map(fields::key_out),
        fact,
        more: More::default(),
    };
    codec().serialize(&again).is_ok_and(|again| again == bytes)
}

/// Reads a record.
///
/// # Errors
/// When the bytes are not exactly one record of this format.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let record: RecordWire<'_> = codec().deserialize(bytes)?;
    let fact = match record.fact {
        FactWire::Catalogue(event) => Fact::Catalogue(event.into_domain()?),
        FactWire::Schedule(number, event) => Fact::Schedule(ScheduleNumber(number), event.into_domain()?),
        FactWire::WaitingRoom(number, event) => {
            Fact::WaitingRoom(ScheduleNumber(number), event.into_domain()?)
        }
        FactWire::Accounts(shard, event) => Fact::Accounts(money::shard(shard)?, event.into_domain()?),
        FactWire::Payments(number, event) => Fact::Payments(ScheduleNumber(number), event.into_domain()?),
        FactWire::User(event) => Fact::User(event.into_domain()?),
    };

    Ok(Record {
        version: record.version,
        at: Timestamp::from_millis(record.at),
        by: record.by.into_domain()?,
        key: record.key.map(fields::key_in),
        fact,
    })
}

#[cfg(test)]
pub(crate) mod tests;
