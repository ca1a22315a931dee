//! The sections of a snapshot: one aggregate each, or a part of a large one.

use std::sync::Arc;

use bincode::Options;
use serde::{Deserialize, Serialize};

use super::catalogue::CatalogueImageWire;
use super::money::{AccountsImageWire, PaymentsImageWire};
use super::room::{PeopleWire, RoomImageWire};
use super::schedule::{EndedWire, ScheduleImageWire};
use super::users::{UsersImageWire, UsersPartWire};
use super::{DecodeError, Stream};
use crate::domain::accounts::AccountsImage;
use crate::domain::catalogue::Catalogue;
use crate::domain::ids::ScheduleNumber;
use crate::domain::payments::PaymentsImage;
use crate::domain::schedule::{Ended, Image};
use crate::domain::users::{User, UsersImage};
use crate::domain::waiting_room::{Block, RoomImage};

/// An aggregate of a snapshot, whole. The catalogue comes first.
#[derive(Debug, PartialEq)]
pub enum Section {
    /// The catalogue.
    Catalogue(Box<Catalogue>),
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

/// Writes the catalogue's section.
pub fn encode_catalogue(catalogue: &Catalogue) -> Vec<u8> {
    encode(&SectionWire::Catalogue(Box::new(CatalogueImageWire::from_domain(catalogue))))
}

/// Writes a schedule's section.
pub fn encode_schedule(image: &Image) -> Vec<u8> {
    encode(&SectionWire::Schedule(Box::new(ScheduleImageWire::from_domain(image))))
}

/// Writes the section of a schedule whose stream has ended.
pub fn encode_ended(ended: &Ended) -> Vec<u8> {
    encode(&SectionWire::Ended(EndedWire::from_domain(ended)))
}

/// Writes a waiting room's sections, one after the other: its people in parts, then the room.
pub fn encode_room(image: &RoomImage) -> impl Iterator<Item = Vec<u8>> {
    let people = PeopleWire::sections(image).map(SectionWire::People);
    let room = || SectionWire::WaitingRoom(Box::new(RoomImageWire::from_domain(image)));
    people.chain(core::iter::once_with(room)).map(|section| encode(&section))
}

/// Writes the section of a shard of the accounts.
pub fn encode_accounts(image: &AccountsImage) -> Vec<u8> {
    encode(&SectionWire::Accounts(Box::new(AccountsImageWire::from_domain(image))))
}

/// Writes the section of a schedule's payments.
pub fn encode_payments(image: &PaymentsImage) -> Vec<u8> {
    encode(&SectionWire::Payments(Box::new(PaymentsImageWire::from_domain(image))))
}

/// Writes the users' sections, one after the other: the users in parts, then their keys and their version.
pub fn encode_users(image: &UsersImage) -> impl Iterator<Item = Vec<u8>> {
    let parts = UsersPartWire::sections(image).map(SectionWire::UsersPart);
    let rest = || SectionWire::Users(Box::new(UsersImageWire::from_domain(image)));
    parts.chain(core::iter::once_with(rest)).map(|section| encode(&section))
}

/// The codec of records without their limit: a million keys with their answers are more than that. The
/// bytes themselves are the bound, since all of them are there.
pub(super) fn codec() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_no_limit()
}

fn encode(section: &SectionWire<'_>) -> Vec<u8> {
    let bytes = codec().serialize(section).expect("writing to memory doesn't fail");
    debug_assert!(is_faithful(&bytes), "a section that was read is written as the same bytes");
    bytes
}

/// Tells whether bytes are a section, and whether it is written as the same bytes again.
fn is_faithful(bytes: &[u8]) -> bool {
    let section = codec().deserialize::<SectionWire<'_>>(bytes);
    section.and_then(|section| codec().serialize(&section)).is_ok_and(|again| again == bytes)
}

/// Reads a snapshot's sections, in their order.
///
/// An item is an error when the bytes are not exactly a section of this format, and when no whole follows a part.
pub fn decode_sections<B: AsRef<[u8]>>(
    sections: impl IntoIterator<Item = B>,
) -> impl Iterator<Item = Result<Section, DecodeError>> {
    let mut parts = Parts::default();
    let read = sections.into_iter().map(Some).chain([None]).filter_map(move |section| match section {
        Some(bytes) => parts.read(bytes.as_ref()).transpose(),
        None => parts.end().err().map(Err),
    });
    read.fuse()
}

/// Reads a section of a schedule.
///
/// # Errors
/// When the bytes aren't one.
pub fn decode_schedule(bytes: &[u8]) -> Result<Image, DecodeError> {
    match Parts::default().read(bytes)? {
        Some(Section::Schedule(image)) => Ok(*image),
        Some(_) | None => Err(DecodeError::Value("a schedule's section")),
    }
}

/// Reads a section of payments.
///
/// # Errors
/// When the bytes aren't one.
pub fn decode_payments(bytes: &[u8]) -> Result<PaymentsImage, DecodeError> {
    match Parts::default().read(bytes)? {
        Some(Section::Payments(image)) => Ok(*image),
        Some(_) | None => Err(DecodeError::Value("the section of payments")),
    }
}

/// Parts whose whole is still to come.
#[derive(Default)]
pub(super) struct Parts {
    people: Option<(ScheduleNumber, Vec<Option<Arc<Block>>>)>,
    users: Vec<User>,
}

impl Parts {
    /// Reads a section; nothing where it is a part of one that comes later.
    fn read(&mut self, bytes: &[u8]) -> Result<Option<Section>, DecodeError> {
        Ok(Some(match codec().deserialize(bytes)? {
            SectionWire::Catalogue(image) => Section::Catalogue(Box::new(image.into_domain()?)),
            SectionWire::Schedule(image) => Section::Schedule(Box::new(image.into_domain()?)),
            SectionWire::People(people) => {
                let (number, blocks) = people.into_domain()?;
                self.add_people(number, blocks)?;
                return Ok(None);
            }
            SectionWire::WaitingRoom(image) => self.room(image.into_domain()?)?,
            SectionWire::Accounts(image) => Section::Accounts(Box::new(image.into_domain()?)),
            SectionWire::Payments(image) => Section::Payments(Box::new(image.into_domain()?)),
            SectionWire::UsersPart(part) => {
                self.users.extend(part.into_domain()?);
                return Ok(None);
            }
            SectionWire::Users(image) => self.users(image.into_domain()?),
            SectionWire::Ended(ended) => Section::Ended(ended.into_domain()),
        }))
    }

    pub(super) fn add_people(
        &mut self,
        number: ScheduleNumber,
        blocks: Vec<Option<Arc<Block>>>,
    ) -> Result<(), DecodeError> {
        let (of, people) = self.people.get_or_insert_with(|| (number, Vec::new()));
        if *of != number {
            return Err(DecodeError::Value("the room of people"));
        }
        people.extend(blocks);
        Ok(())
    }

    pub(super) fn add_users(&mut self, users: Vec<User>) {
        self.users.extend(users);
    }

    /// Gives a room its people.
    pub(super) fn room(&mut self, mut image: RoomImage) -> Result<Section, DecodeError> {
        if let Some((number, people)) = self.people.take() {
            if number != image.number {
                return Err(DecodeError::Value("the room of people"));
            }
            image.people = people;
        }
        Ok(Section::WaitingRoom(Box::new(image)))
    }

    /// Puts the users into their image.
    pub(super) fn users(&mut self, image: UsersImage) -> Section {
        let users = core::mem::take(&mut self.users);
        Section::Users(Box::new(UsersImage { users, ..image }))
    }

    /// Checks that a whole followed every part.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        if self.people.is_some() || !self.users.is_empty() {
            return Err(DecodeError::Value("the end of the sections"));
        }
        Ok(())
    }
}
