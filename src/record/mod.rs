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
mod decode_error;
mod fields;
mod money;
mod room;
mod schedule;
mod section;
mod users;
pub mod v1;

use std::sync::Arc;

use bincode::Options;
use serde::{Deserialize, Serialize};

use self::catalogue::{CatalogueEventWire, CatalogueImageWire};
use self::fields::{ByWire, KeyUseWire, More};
use self::money::{AccountsEventWire, AccountsImageWire, PaymentsEventWire, PaymentsImageWire};
use self::room::{PeopleWire, RoomEventWire, RoomImageWire};
use self::schedule::{EndedWire, ScheduleEventWire, ScheduleImageWire};
use self::section::Parts;
use self::users::{UserEventWire, UsersImageWire, UsersPartWire};

use crate::domain::accounts::{self, AccountsImage, Shard};
use crate::domain::catalogue::{Catalogue, CatalogueEvent};
use crate::domain::cause::{By, Cause};
use crate::domain::ids::ScheduleNumber;
use crate::domain::keys::KeyUse;
use crate::domain::payments::{self, PaymentsImage};
use crate::domain::schedule::{Ended, Event as ScheduleEvent, Image};
use crate::domain::time::Timestamp;
use crate::domain::users::{Event as UserEvent, UsersImage};
use crate::domain::waiting_room::{self, RoomImage};

pub use self::decode_error::DecodeError;
pub use section::{decode_payments, decode_schedule, decode_sections, encode_payments, encode_schedule};

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

/// A fact whose event stands elsewhere, to be written.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "as a fact")]
pub enum FactRef<'a> {
    Catalogue(&'a CatalogueEvent),
    Schedule(ScheduleNumber, &'a ScheduleEvent),
    WaitingRoom(ScheduleNumber, &'a waiting_room::Event),
    Accounts(Shard, &'a accounts::Event),
    Payments(ScheduleNumber, &'a payments::Event),
    User(&'a UserEvent),
}

impl Fact {
    /// Returns it as it is written.
    pub fn as_ref(&self) -> FactRef<'_> {
        match self {
            Self::Catalogue(event) => FactRef::Catalogue(event),
            Self::Schedule(number, event) => FactRef::Schedule(*number, event),
            Self::WaitingRoom(number, event) => FactRef::WaitingRoom(*number, event),
            Self::Accounts(shard, event) => FactRef::Accounts(*shard, event),
            Self::Payments(number, event) => FactRef::Payments(*number, event),
            Self::User(event) => FactRef::User(event),
        }
    }
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

/// An aggregate of a snapshot, whole. The catalogue comes first.
#[derive(Debug, PartialEq)]
pub enum Section {
    /// The catalogue.
    Catalogue(Arc<Catalogue>),
    /// A schedule.
    Schedule(Box<Image>),
    /// A waiting room.
    WaitingRoom(Box<RoomImage>),
    /// A shard of the accounts.
    Accounts(Box<AccountsImage>),
    /// A schedule's payments.
    Payments(Box<PaymentsImage>),
    /// The users.
    Users(Box<UsersImage>),
    /// A schedule whose stream has ended, while the catalogue doesn't say so yet.
    Ended(Ended),
}

impl Section {
    /// Returns the stream that it is of, and the version that it brings that to.
    pub fn stands(&self) -> (Stream, u64) {
        match self {
            Self::Catalogue(catalogue) => (Stream::Catalogue, catalogue.version()),
            Self::Schedule(image) => (Stream::Schedule(image.number), image.version),
            Self::WaitingRoom(image) => (Stream::WaitingRoom(image.number), image.version),
            Self::Accounts(image) => (Stream::Accounts(image.shard), image.version),
            Self::Payments(image) => (Stream::Payments(image.schedule), image.version),
            Self::Users(image) => (Stream::Users, image.version),
            Self::Ended(ended) => (Stream::Schedule(ended.number), ended.version),
        }
    }

    /// Writes it, one part after the other where it is large.
    pub fn encode(&self) -> impl Iterator<Item = Vec<u8>> {
        let people =
            if let Self::WaitingRoom(image) = self { Some(PeopleWire::sections(image)) } else { None };
        let users = if let Self::Users(image) = self { Some(UsersPartWire::sections(image)) } else { None };
        let people = people.into_iter().flatten().map(SectionWire::People);
        let users = users.into_iter().flatten().map(SectionWire::UsersPart);
        let whole = core::iter::once_with(|| SectionWire::whole(self));
        people.chain(users).chain(whole).map(|section| section::encode(&section))
    }
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
    Catalogue(CatalogueEventWire),
    Schedule(u32, #[serde(borrow)] ScheduleEventWire<'a>),
    WaitingRoom(u32, #[serde(borrow)] RoomEventWire<'a>),
    Accounts(u16, #[serde(borrow)] AccountsEventWire<'a>),
    Payments(u32, #[serde(borrow)] PaymentsEventWire<'a>),
    User(#[serde(borrow)] UserEventWire<'a>),
}

impl<'a> FactWire<'a> {
    fn from_domain(fact: FactRef<'a>) -> Self {
        match fact {
            FactRef::Catalogue(event) => Self::Catalogue(CatalogueEventWire::from_domain(event)),
            FactRef::Schedule(number, event) => {
                Self::Schedule(number.0, ScheduleEventWire::from_domain(event))
            }
            FactRef::WaitingRoom(number, event) => {
                Self::WaitingRoom(number.0, RoomEventWire::from_domain(event))
            }
            FactRef::Accounts(shard, event) => Self::Accounts(shard.0, AccountsEventWire::from_domain(event)),
            FactRef::Payments(number, event) => {
                Self::Payments(number.0, PaymentsEventWire::from_domain(event))
            }
            FactRef::User(event) => Self::User(UserEventWire::from_domain(event)),
        }
    }

    fn into_domain(self) -> Result<Fact, DecodeError> {
        Ok(match self {
            Self::Catalogue(event) => Fact::Catalogue(event.into_domain()?),
            Self::Schedule(number, event) => Fact::Schedule(ScheduleNumber(number), event.into_domain()?),
            Self::WaitingRoom(number, event) => {
                Fact::WaitingRoom(ScheduleNumber(number), event.into_domain()?)
            }
            Self::Accounts(shard, event) => Fact::Accounts(money::shard(shard)?, event.into_domain()?),
            Self::Payments(number, event) => Fact::Payments(ScheduleNumber(number), event.into_domain()?),
            Self::User(event) => Fact::User(event.into_domain()?),
        })
    }
}

impl<'a> RecordWire<'a> {
    fn from_domain(version: u64, at: Timestamp, cause: &'a Cause, fact: FactRef<'a>) -> Self {
        Self {
            version,
            at: at.as_millis(),
            by: ByWire::from_domain(&cause.by),
            key: cause.key.map(fields::key_out),
            fact: FactWire::from_domain(fact),
            more: More::default(),
        }
    }
}

/// A section as bytes. The people of a room come before the room, and users in parts before the rest of them.
#[derive(Serialize, Deserialize)]
enum SectionWire<'a> {
    Catalogue(Box<CatalogueImageWire>),
    Schedule(Box<ScheduleImageWire>),
    #[serde(borrow)]
    People(PeopleWire<'a>),
    WaitingRoom(Box<RoomImageWire>),
    Accounts(Box<AccountsImageWire>),
    Payments(Box<PaymentsImageWire>),
    #[serde(borrow)]
    UsersPart(UsersPartWire<'a>),
    Users(Box<UsersImageWire>),
    Ended(EndedWire),
}

impl SectionWire<'_> {
    /// Returns a section but for its parts, which come before it.
    fn whole(section: &Section) -> Self {
        match section {
            Section::Catalogue(catalogue) => {
                Self::Catalogue(Box::new(CatalogueImageWire::from_domain(catalogue)))
            }
            Section::Schedule(image) => Self::Schedule(Box::new(ScheduleImageWire::from_domain(image))),
            Section::WaitingRoom(image) => Self::WaitingRoom(Box::new(RoomImageWire::from_domain(image))),
            Section::Accounts(image) => Self::Accounts(Box::new(AccountsImageWire::from_domain(image))),
            Section::Payments(image) => Self::Payments(Box::new(PaymentsImageWire::from_domain(image))),
            Section::Users(image) => Self::Users(Box::new(UsersImageWire::from_domain(image))),
            Section::Ended(ended) => Self::Ended(EndedWire::from_domain(ended)),
        }
    }

    /// Returns the section with its parts; nothing where this is a part of one that comes later.
    fn into_domain(self, parts: &mut Parts) -> Result<Option<Section>, DecodeError> {
        Ok(Some(match self {
            Self::Catalogue(image) => Section::Catalogue(Arc::new(image.into_domain()?)),
            Self::Schedule(image) => Section::Schedule(Box::new(image.into_domain()?)),
            Self::People(people) => {
                let (number, blocks) = people.into_domain()?;
                parts.add_people(number, blocks)?;
                return Ok(None);
            }
            Self::WaitingRoom(image) => parts.room(image.into_domain()?)?,
            Self::Accounts(image) => Section::Accounts(Box::new(image.into_domain()?)),
            Self::Payments(image) => Section::Payments(Box::new(image.into_domain()?)),
            Self::UsersPart(part) => {
                parts.add_users(part.into_domain()?);
                return Ok(None);
            }
            Self::Users(image) => parts.users(image.into_domain()?),
            Self::Ended(ended) => Section::Ended(ended.into_domain()),
        }))
    }
}

fn codec() -> impl Options {
    // A record is cut into frames before it is decoded; the limit bounds what damage could allocate.
    bincode::DefaultOptions::new().with_fixint_encoding().with_limit(64 << 20)
}

/// Appends the record of a fact to `bytes`.
pub fn encode_fact(
    bytes: &mut Vec<u8>,
    version: u64,
    at: Timestamp,
    cause: impl Into<Cause>,
    fact: FactRef<'_>,
) {
    let (start, cause) = (bytes.len(), cause.into());
    let wire = RecordWire::from_domain(version, at, &cause, fact);
    codec().serialize_into(&mut *bytes, &wire).expect("writing to memory doesn't fail");
    debug_assert!(is_faithful(&bytes[start..]), "a record that was read is written as the same bytes");
}

/// Tells whether bytes are a record, and whether it is written as the same bytes again.
fn is_faithful(bytes: &[u8]) -> bool {
    let Ok(Record { version, at, by, key, fact }) = decode(bytes) else { return false };
    let cause = Cause { by, key };
    let again = RecordWire::from_domain(version, at, &cause, fact.as_ref());
    codec().serialize(&again).is_ok_and(|again| again == bytes)
}

/// Reads a record.
///
/// # Errors
/// When the bytes are not exactly one record of this format.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let record: RecordWire<'_> = codec().deserialize(bytes)?;
    Ok(Record {
        version: record.version,
        at: Timestamp::from_millis(record.at),
        by: record.by.into_domain()?,
        key: record.key.map(fields::key_in),
        fact: record.fact.into_domain()?,
    })
}

#[cfg(test)]
pub(crate) mod tests;
