//! The wire format of the journal and of snapshots: bytes ⇄ facts.
//!
//! A record is one fact of one stream, with its place in the stream, its instant, and the idempotency
//! key whose effect it is. Its place in the whole journal isn't in it: the frame knows. The types in
//! `wire` are the format, apart from the domain's own, so that neither changes the other by accident;
//! [`CODEC`] is the version that frames and snapshots carry, and `snapshots/` holds golden bytes.
//!
//! The codec is bincode 1.3 with fixed-width integers, which refuses trailing bytes; it is named in
//! this folder only.

mod image;
mod money;
mod room;
mod users;
mod wire;

use bincode::Options;

use crate::domain::accounts::{self, Shard};
use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::{By, Cause};
use crate::domain::ids::ScheduleNumber;
use crate::domain::keys::KeyUse;
use crate::domain::payments;
use crate::domain::schedule;
use crate::domain::time::Timestamp;
use crate::domain::users::Event as UserEvent;
use crate::domain::waiting_room;

pub use image::{
    Section, decode_section, encode_accounts, encode_catalogue, encode_payments, encode_room,
    encode_schedule, encode_users,
};

/// The version of the format. It stands in every frame and snapshot, so a change of it is one of the journal's, too.
pub const CODEC: u8 = 0;
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
    Schedule(ScheduleNumber, schedule::Event),
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
    event: &schedule::Event,
) {
    let event = wire::FactWire::Schedule(number.0, wire::ScheduleEventWire::from_domain(event));
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
    let event = wire::FactWire::WaitingRoom(number.0, room::RoomEventWire::from_domain(event));
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
    let event = wire::FactWire::Accounts(shard.0, money::AccountsEventWire::from_domain(event));
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
    let event = wire::FactWire::Payments(number.0, money::PaymentsEventWire::from_domain(event));
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
    let event = wire::FactWire::User(users::UserEventWire::from_domain(event));
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
    let event = wire::FactWire::Catalogue(wire::CatalogueEventWire::from_domain(event));
    encode_record(bytes, version, at, &cause.into(), event);
}

fn encode_record(bytes: &mut Vec<u8>, version: u64, at: Timestamp, cause: &Cause, fact: wire::FactWire<'_>) {
    let key = cause.key.map(wire::key_out);
    let by = wire::ByWire::from_domain(&cause.by);
    let record = wire::RecordWire { version, at: at.as_millis(), by, key, fact };
    codec().serialize_into(bytes, &record).expect("writing to memory doesn't fail");
}

/// Reads a record.
///
/// # Errors
/// When the bytes are not exactly one record of this format.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let record: wire::RecordWire<'_> = codec().deserialize(bytes)?;
    let fact = match record.fact {
        wire::FactWire::Catalogue(event) => Fact::Catalogue(event.into_domain()?),
        wire::FactWire::Schedule(number, event) => {
            Fact::Schedule(ScheduleNumber(number), event.into_domain()?)
        }
        wire::FactWire::WaitingRoom(number, event) => {
            Fact::WaitingRoom(ScheduleNumber(number), event.into_domain()?)
        }
        wire::FactWire::Accounts(shard, event) => Fact::Accounts(money::shard(shard)?, event.into_domain()?),
        wire::FactWire::Payments(number, event) => {
            Fact::Payments(ScheduleNumber(number), event.into_domain()?)
        }
        wire::FactWire::User(event) => Fact::User(event.into_domain()?),
    };
    Ok(Record {
        version: record.version,
        at: Timestamp::from_millis(record.at),
        by: record.by.into_domain()?,
        key: record.key.map(wire::key_in),
        fact,
    })
}

#[cfg(test)]
pub(crate) mod tests;
