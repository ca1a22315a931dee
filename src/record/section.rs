//! How a section is written and read, and how the parts of a large aggregate are put together again.

use std::sync::Arc;

use bincode::Options;

use super::money::PaymentsImageWire;
use super::schedule::ScheduleImageWire;
use super::{DecodeError, Section, SectionWire};
use crate::domain::ids::ScheduleNumber;
use crate::domain::payments::PaymentsImage;
use crate::domain::schedule::Image;
use crate::domain::users::{User, UsersImage};
use crate::domain::waiting_room::{Block, RoomImage};

/// Writes a schedule's section.
pub fn encode_schedule(image: &Image) -> Vec<u8> {
    encode(&SectionWire::Schedule(Box::new(ScheduleImageWire::from_domain(image))))
}

/// Writes the section of a schedule's payments.
pub fn encode_payments(image: &PaymentsImage) -> Vec<u8> {
    encode(&SectionWire::Payments(Box::new(PaymentsImageWire::from_domain(image))))
}

/// The codec of records without their limit: a million keys with their answers are more than that. The
/// bytes themselves are the bound, since all of them are there.
pub(super) fn codec() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_no_limit()
}

pub(super) fn encode(section: &SectionWire<'_>) -> Vec<u8> {
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
        codec().deserialize::<SectionWire<'_>>(bytes)?.into_domain(self)
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
