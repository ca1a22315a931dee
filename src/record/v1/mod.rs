//! Format 1, which `onsale migrate` reads and nobody writes. Nothing here ever changes but the domain's types that it leads to.
//!
//! Its structures could take no field, so that what came later stands in sections and events of its own beside the old ones:
//! here they are put together again.

mod image;
mod money;
mod room;
mod users;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use bincode::Options;
use serde::Deserialize;

use self::image::{CatalogueImageWire, SectionWire};
use self::money::{AccountsEventWire, CarriedAccounts, GatewayAnswerWire, GatewayWire, PaymentsEventWire};
use self::room::RoomEventWire;
use self::users::UserEventWire;
use self::wire::{CatalogueEventWire, ScheduleEventWire};
use super::fields::{ByWire, KeyUseWire, Read, key_in};
use super::section::Parts;
use super::{DecodeError, Fact, Record, Section};
use crate::domain::accounts::Shard;
use crate::domain::catalogue::Replans;
use crate::domain::ids::ScheduleNumber;
use crate::domain::payments::PaymentsImage;
use crate::domain::schedule::{Archived, Image};
use crate::domain::time::Timestamp;

#[derive(Deserialize)]
struct RecordWire<'a> {
    version: u64,
    at: u64,
    #[serde(borrow)]
    by: ByWire<'a>,
    key: Option<KeyUseWire>,
    #[serde(borrow)]
    fact: FactWire<'a>,
}

#[derive(Deserialize)]
enum FactWire<'a> {
    Catalogue(CatalogueEventWire),
    Schedule(u32, #[serde(borrow)] ScheduleEventWire<'a>),
    WaitingRoom(u32, #[serde(borrow)] RoomEventWire<'a>),
    Accounts(u16, #[serde(borrow)] AccountsEventWire<'a>),
    Payments(u32, #[serde(borrow)] PaymentsEventWire<'a>),
    User(#[serde(borrow)] UserEventWire<'a>),
}

/// Reads a record.
///
/// # Errors
/// When the bytes are not exactly one record of this format.
pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
    let record: RecordWire<'_> = super::codec().deserialize(bytes)?;
    let fact = match record.fact {
        FactWire::Catalogue(event) => Fact::Catalogue(event.into_domain()?),
        FactWire::Schedule(number, event) => Fact::Schedule(ScheduleNumber(number), event.into_domain()?),
        FactWire::WaitingRoom(number, event) => {
            Fact::WaitingRoom(ScheduleNumber(number), event.into_domain()?)
        }
        FactWire::Accounts(shard, event) => Fact::Accounts(super::money::shard(shard)?, event.into_domain()?),
        FactWire::Payments(number, event) => Fact::Payments(ScheduleNumber(number), event.into_domain()?),
        FactWire::User(event) => Fact::User(event.into_domain()?),
    };
    Ok(Record {
        version: record.version,
        at: Timestamp::from_millis(record.at),
        by: record.by.into_domain()?,
        key: record.key.map(key_in),
        fact,
    })
}

fn section(bytes: &[u8]) -> Read<SectionWire<'_>> {
    Ok(super::section::codec().deserialize(bytes)?)
}

/// Reads all sections of a snapshot.
///
/// # Errors
/// When the bytes are not exactly sections of this format, and when no whole follows a part.
pub fn decode_sections<B: AsRef<[u8]>>(
    sections: impl IntoIterator<Item = B>,
) -> Result<Vec<Section>, DecodeError> {
    let mut reader = Reader::default();
    for bytes in sections {
        reader.read(section(bytes.as_ref())?)?;
    }
    reader.end()
}

/// Reads a section of a schedule.
///
/// # Errors
/// When the bytes aren't one.
pub fn decode_schedule(bytes: &[u8]) -> Result<Image, DecodeError> {
    match decode_sections([bytes])?.pop() {
        Some(Section::Schedule(image)) => Ok(*image),
        Some(_) | None => Err(DecodeError::Value("a schedule's section")),
    }
}

/// Reads a section of payments.
///
/// # Errors
/// When the bytes aren't one.
pub fn decode_payments(bytes: &[u8]) -> Result<PaymentsImage, DecodeError> {
    match decode_sections([bytes])?.pop() {
        Some(Section::Payments(image)) => Ok(*image),
        Some(_) | None => Err(DecodeError::Value("the section of payments")),
    }
}

/// Puts the parts together.
#[derive(Default)]
struct Reader {
    read: Vec<Section>,
    /// The catalogue, until the first section of another kind: its archived schedules and new plans come in between.
    catalogue: Option<CatalogueImageWire>,
    archived: BTreeMap<ScheduleNumber, Archived>,
    replans: Replans,
    /// Sums that accounts carry forward, until their shard comes.
    carried: Option<(Shard, CarriedAccounts)>,
    parts: Parts,
}

impl Reader {
    fn read(&mut self, section: SectionWire<'_>) -> Read<()> {
        match section {
            SectionWire::Catalogue(catalogue) => self.catalogue = Some(catalogue),
            SectionWire::Archived(archived) => {
                let archived = archived.into_iter();
                self.archived =
                    archived.map(|(number, wire)| (ScheduleNumber(number), wire.into_domain())).collect();
            }
            SectionWire::Replans(replans) => self.replans = replans.into_domain()?,

            SectionWire::Schedule(image) => self.schedule(image.into_domain(Vec::new())?)?,
            SectionWire::ScheduleWithDeadlines(image, deadlines) => {
                self.schedule(image.into_domain(deadlines)?)?;
            }
            SectionWire::People(people) => {
                let (number, blocks) = people.into_domain()?;
                self.parts.add_people(number, blocks)?;
            }
            SectionWire::WaitingRoom(image) => {
                let room = self.parts.room(image.into_domain()?)?;
                self.push(room)?;
            }

            SectionWire::Carried(carried) => self.carried = Some(carried.into_domain()?),
            SectionWire::Accounts(image) => {
                let carried = self.carried.take();
                let image =
                    image.into_domain(carried.map_or_else(CarriedAccounts::new, |(_, carried)| carried))?;
                self.push(Section::Accounts(Box::new(image)))?;
            }
            SectionWire::Payments(image) => self.payments(image.into_domain()?, Vec::new(), Vec::new())?,
            SectionWire::PaymentsWithAnswers(image, answers) => {
                self.payments(image.into_domain()?, answers, Vec::new())?;
            }
            SectionWire::PaymentsThrough(image, answers, gateways) => {
                self.payments(image.into_domain()?, answers, gateways)?;
            }

            SectionWire::UsersPart(part) => self.parts.add_users(part.into_domain()?),
            SectionWire::Users(image) => {
                let users = self.parts.users(image.into_domain()?);
                self.push(users)?;
            }
        }
        Ok(())
    }

    fn push(&mut self, section: Section) -> Read<()> {
        self.finish_catalogue()?;
        self.read.push(section);
        Ok(())
    }

    fn schedule(&mut self, image: Image) -> Read<()> {
        self.push(Section::Schedule(Box::new(image)))
    }

    fn payments(
        &mut self,
        mut image: PaymentsImage,
        answers: Vec<GatewayAnswerWire>,
        gateways: Vec<GatewayWire>,
    ) -> Read<()> {
        GatewayAnswerWire::add_all(answers, &mut image)?;
        GatewayWire::add_all(gateways, &mut image)?;
        self.push(Section::Payments(Box::new(image)))
    }

    fn finish_catalogue(&mut self) -> Read<()> {
        if let Some(catalogue) = self.catalogue.take() {
            let (archived, replans) =
                (core::mem::take(&mut self.archived), core::mem::take(&mut self.replans));
            self.read.push(Section::Catalogue(Arc::new(catalogue.into_domain(archived, replans)?)));
        }
        Ok(())
    }

    fn end(mut self) -> Read<Vec<Section>> {
        self.finish_catalogue()?;
        self.parts.end()?;
        if self.carried.is_some() || !self.archived.is_empty() {
            return Err(DecodeError::Value("the end of the sections"));
        }
        Ok(self.read)
    }
}
