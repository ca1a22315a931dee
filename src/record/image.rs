//! The sections of a snapshot: one aggregate each.

use bincode::Options;
use serde::{Deserialize, Serialize};

use super::money::{AccountsImageWire, CarriedWire, GatewayAnswerWire, GatewayWire, PaymentsImageWire};
use super::room::{PeopleWire, RoomImageWire};
use super::users::{UsersImageWire, UsersPartWire};
use super::wire::{
    ArchivedWire, ConcertWire, CreationWire, PlanWire, PricesWire, VenueWire, instant_in, instant_out,
    key_in, key_out, pages, seats_in, seats_out, user_id,
};
use super::{DecodeError, Stream};
use crate::domain::accounts::{AccountsImage, CarriedImage, Shard};
use crate::domain::catalogue::{Archived, Catalogue, CatalogueEvent, Replans};
use crate::domain::ids::{ConcertId, ScheduleId};
use crate::domain::ids::{PaymentId, ReservationNumber, ScheduleNumber, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::payments::PaymentsImage;
use crate::domain::schedule::{
    Answer, Counts, Creation, Image, Reservation, ReservationStatus, SaleStatus, Summary,
};
use crate::domain::time::Timestamp;
use crate::domain::users::{User, UsersImage};
use crate::domain::venue::{Layout, Seat};
use crate::domain::waiting_room::{Block, RoomImage};
use std::collections::BTreeMap;
use std::sync::Arc;

type Read<T> = Result<T, DecodeError>;

/// A section of a snapshot, read.
#[derive(Debug, PartialEq)]
pub enum Section {
    /// The catalogue: the first section.
    Catalogue(Box<Catalogue>),
    /// A schedule.
    Schedule(Box<Image>),
    /// Blocks of a waiting room's people, which follow those before; the room comes after the last.
    People(ScheduleNumber, Vec<Option<Arc<Block>>>),
    /// A waiting room, without its people.
    WaitingRoom(Box<RoomImage>),
    /// A shard of the accounts.
    Accounts(Box<AccountsImage>),
    /// A schedule's payments.
    Payments(Box<PaymentsImage>),
    /// Some of the users, who follow those before; what they have in common comes after the last.
    UsersPart(Vec<User>),
    /// The users, without those that came before.
    Users(Box<UsersImage>),
    /// Which of the catalogue's schedules are in the archive: it comes after the catalogue.
    Archived(BTreeMap<ScheduleNumber, Archived>),
    /// What the accounts of a shard carry forward from the archive; the shard comes after it.
    Carried(Shard, Vec<(UserId, CarriedImage)>),
    /// Which plans schedules are to have: it comes after the catalogue.
    Replans(Replans),
}

impl Section {
    /// Returns the stream that it is of, and the version that it brings that to; none where it is a part.
    pub fn stands(&self) -> (Stream, Option<u64>) {
        match self {
            Self::Catalogue(catalogue) => (Stream::Catalogue, Some(catalogue.version())),
            Self::Archived(_) | Self::Replans(_) => (Stream::Catalogue, None),
            Self::Schedule(image) => (Stream::Schedule(image.number), Some(image.version)),
            Self::People(number, _) => (Stream::WaitingRoom(*number), None),
            Self::WaitingRoom(image) => (Stream::WaitingRoom(image.number), Some(image.version)),
            Self::Carried(shard, _) => (Stream::Accounts(*shard), None),
            Self::Accounts(image) => (Stream::Accounts(image.shard), Some(image.version)),
            Self::Payments(image) => (Stream::Payments(image.schedule), Some(image.version)),
            Self::UsersPart(_) => (Stream::Users, None),
            Self::Users(image) => (Stream::Users, Some(image.version)),
        }
    }
}

#[derive(Serialize, Deserialize)]
enum SectionWire<'a> {
    Catalogue(CatalogueImageWire),
    Schedule(Box<ScheduleImageWire>),
    #[serde(borrow)]
    People(PeopleWire<'a>),
    WaitingRoom(Box<RoomImageWire>),
    Accounts(Box<AccountsImageWire>),
    Payments(Box<PaymentsImageWire>),
    #[serde(borrow)]
    UsersPart(UsersPartWire<'a>),
    Users(Box<UsersImageWire>),
    Archived(Vec<(u32, ArchivedWire)>),
    Carried(CarriedWire),
    Replans(ReplansWire),
    ScheduleWithDeadlines(Box<ScheduleImageWire>, Vec<(u32, u64)>),
    PaymentsWithAnswers(Box<PaymentsImageWire>, Vec<GatewayAnswerWire>),
    PaymentsThrough(Box<PaymentsImageWire>, Vec<GatewayAnswerWire>, Vec<GatewayWire>),
}

/// The plans that schedules are to have, by id, and the key whose effect they are.
#[derive(Serialize, Deserialize)]
struct ReplansWire(Vec<(String, PlanWire)>, Option<(u128, u128)>);

impl ReplansWire {
    fn from_domain(replans: &Replans) -> Self {
        let plans = replans.plans.iter().map(|(id, plan)| (id.to_string(), PlanWire::from_domain(plan)));
        Self(plans.collect(), replans.key.map(key_out))
    }

    fn into_domain(self) -> Read<Replans> {
        let plan = |(id, plan): (String, PlanWire)| {
            let id = ScheduleId::parse(&id).map_err(|_| DecodeError::Value("a schedule id"))?;
            Ok((id, Arc::new(plan.into_domain())))
        };
        let plans = self.0.into_iter().map(plan).collect::<Read<Vec<_>>>()?;
        Ok(Replans { plans, key: self.1.map(key_in) })
    }
}

type KeyWire<A> = (u128, u128, u64, u64, A);

#[derive(Serialize, Deserialize)]
struct CatalogueImageWire {
    venues: Vec<VenueWire>,
    concerts: Vec<ConcertWire>,
    schedules: Vec<(String, u32, String)>,
    last_schedule: u32,
    keys: Vec<KeyWire<()>>,
    version: u64,
    last_instant: u64,
}

#[derive(Serialize, Deserialize)]
struct ScheduleImageWire {
    creation: CreationWire,
    sale: u8,
    prices: Option<PricesWire>,
    ever_confirmed: bool,
    blocked: Vec<u32>,
    reservations: Vec<ReservationWire>,
    last_reservation: u32,
    ended: Vec<(u64, u32)>,
    keys: Vec<KeyWire<AnswerWire>>,
    version: u64,
    seats_version: u64,
    last_instant: u64,
}

#[derive(Serialize, Deserialize)]
struct ReservationWire {
    number: u32,
    nonce: u64,
    user: String,
    seats: Vec<u32>,
    status: u8,
    created_at: u64,
    expires_at: u64,
    confirmed_at: Option<u64>,
    cancelled_at: Option<u64>,
    ended_at: Option<u64>,
    payment: Option<u128>,
    deadline_moved: bool,
    recovered: bool,
}

#[derive(Serialize, Deserialize)]
enum AnswerWire {
    Reservation(ReservationWire),
    Schedule { sale: u8, counts: [u32; 4], plan: Box<PlanWire>, seats_version: u64 },
}

/// Writes the catalogue's sections, one after the other: itself, then which schedules are in the archive, where any are, and what
/// was begun and isn't done.
pub fn encode_catalogue(catalogue: &Catalogue) -> impl Iterator<Item = Vec<u8>> + use<> {
    let archived = catalogue.archived();
    let archived: Vec<_> =
        archived.map(|(number, _, archived)| (number.0, ArchivedWire::from_domain(archived))).collect();
    let archived = (!archived.is_empty()).then_some(SectionWire::Archived(archived));
    let replans = catalogue.replans();
    let replans = (!replans.is_empty()).then(|| SectionWire::Replans(ReplansWire::from_domain(replans)));
    let listed = SectionWire::Catalogue(catalogue_image(catalogue));
    std::iter::once(listed).chain(archived).chain(replans).map(|section| encode(&section))
}

fn catalogue_image(catalogue: &Catalogue) -> CatalogueImageWire {
    let listed = catalogue
        .schedules()
        .map(|(id, listing)| (id.to_string(), listing.number.0, listing.concert.to_string()));
    let keys = catalogue.keys().list();
    let keys =
        keys.iter().map(|(key, version, at, ())| (key.digest, key.fingerprint, version, at.as_millis(), ()));
    CatalogueImageWire {
        venues: catalogue.venues().map(|built| VenueWire::from_domain(&built.venue)).collect(),
        concerts: catalogue.concerts().map(|concert| ConcertWire::from_domain(concert)).collect(),
        schedules: listed.collect(),
        last_schedule: catalogue.last_schedule(),
        keys: keys.collect(),
        version: catalogue.version(),
        last_instant: catalogue.last_instant().as_millis(),
    }
}

/// Writes a schedule's section.
pub fn encode_schedule(image: &Image) -> Vec<u8> {
    let creation = Creation {
        number: image.number,
        id: image.id.clone(),
        concert: image.concert.clone(),
        venue: image.venue.clone(),
        currency: image.currency,
        plan: Arc::clone(&image.plan),
        limits: image.limits,
    };
    let key = |(key, version, at, answer): (KeyUse, u64, Timestamp, &Answer)| {
        (key.digest, key.fingerprint, version, at.as_millis(), AnswerWire::from_domain(answer))
    };
    let wire = ScheduleImageWire {
        creation: CreationWire::from_domain(&creation),
        sale: sale_out(image.sale),
        prices: image.prices.as_deref().map(PricesWire::from_domain),
        ever_confirmed: image.ever_confirmed,
        blocked: seats_out(&image.blocked),
        reservations: image.reservations.iter().map(ReservationWire::from_domain).collect(),
        last_reservation: image.last_reservation,
        ended: image.ended.iter().map(|(at, number)| (at.as_millis(), *number)).collect(),
        keys: image.keys.iter().map(key).collect(),
        version: image.version,
        seats_version: image.seats_version,
        last_instant: image.last_instant.as_millis(),
    };
    let deadlines = image.other_deadlines.iter().map(|(number, at)| (*number, at.as_millis()));
    let deadlines: Vec<_> = deadlines.collect();
    encode(&if deadlines.is_empty() {
        SectionWire::Schedule(Box::new(wire))
    } else {
        SectionWire::ScheduleWithDeadlines(Box::new(wire), deadlines)
    })
}

/// Writes the sections of a shard of the accounts, one after the other: what they carry forward, where they do, then the shard.
pub fn encode_accounts(image: &AccountsImage) -> impl Iterator<Item = Vec<u8>> {
    let carried = CarriedWire::from_domain(image).map(SectionWire::Carried);
    let shard = || SectionWire::Accounts(Box::new(AccountsImageWire::from_domain(image)));
    carried.into_iter().chain(std::iter::once_with(shard)).map(|section| encode(&section))
}

/// Writes the section of a schedule's payments.
pub fn encode_payments(image: &PaymentsImage) -> Vec<u8> {
    let payments = Box::new(PaymentsImageWire::from_domain(image));
    let (answers, gateways) = (GatewayAnswerWire::all_of(image), GatewayWire::all_of(image));
    encode(&match (answers.is_empty(), gateways.is_empty()) {
        (true, true) => SectionWire::Payments(payments),
        (false, true) => SectionWire::PaymentsWithAnswers(payments, answers),
        (_, false) => SectionWire::PaymentsThrough(payments, answers, gateways),
    })
}

/// Writes a waiting room's sections, one after the other: its people in parts, then the room.
pub fn encode_room(image: &RoomImage) -> impl Iterator<Item = Vec<u8>> {
    let people = PeopleWire::sections(image).map(SectionWire::People);
    let room = || SectionWire::WaitingRoom(Box::new(RoomImageWire::from_domain(image)));
    people.chain(std::iter::once_with(room)).map(|section| encode(&section))
}

/// Writes the users' sections, one after the other: themselves in parts, then what they have in common.
pub fn encode_users(image: &UsersImage) -> impl Iterator<Item = Vec<u8>> {
    let parts = UsersPartWire::sections(image).map(SectionWire::UsersPart);
    let rest = || SectionWire::Users(Box::new(UsersImageWire::from_domain(image)));
    parts.chain(std::iter::once_with(rest)).map(|section| encode(&section))
}

/// The codec of records without their limit: a million keys with their answers are more than that. What
/// is read is bounded by the bytes, which are all there.
fn section_codec() -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().with_no_limit()
}

fn encode(section: &SectionWire<'_>) -> Vec<u8> {
    section_codec().serialize(section).expect("writing to memory doesn't fail")
}

/// Reads a section.
///
/// # Errors
/// When the bytes are not exactly one section of this format.
pub fn decode_section(bytes: &[u8]) -> Result<Section, DecodeError> {
    match section_codec().deserialize(bytes)? {
        SectionWire::Catalogue(image) => Ok(Section::Catalogue(Box::new(image.into_domain()?))),
        SectionWire::Schedule(image) => Ok(Section::Schedule(Box::new(image.into_domain()?))),
        SectionWire::ScheduleWithDeadlines(image, deadlines) => {
            let deadlines = deadlines.into_iter();
            let other_deadlines = deadlines.map(|(number, at)| (number, Timestamp::from_millis(at)));
            let other_deadlines = other_deadlines.collect();
            Ok(Section::Schedule(Box::new(Image { other_deadlines, ..image.into_domain()? })))
        }
        SectionWire::People(people) => {
            people.into_domain().map(|(number, blocks)| Section::People(number, blocks))
        }
        SectionWire::WaitingRoom(image) => Ok(Section::WaitingRoom(Box::new(image.into_domain()?))),
        SectionWire::Accounts(image) => Ok(Section::Accounts(Box::new(image.into_domain()?))),
        SectionWire::Payments(image) => Ok(Section::Payments(Box::new(image.into_domain()?))),
        SectionWire::PaymentsWithAnswers(image, answers) => {
            let mut image = image.into_domain()?;
            GatewayAnswerWire::add_all(answers, &mut image)?;
            Ok(Section::Payments(Box::new(image)))
        }
        SectionWire::PaymentsThrough(image, answers, gateways) => {
            let mut image = image.into_domain()?;
            GatewayAnswerWire::add_all(answers, &mut image)?;
            GatewayWire::add_all(gateways, &mut image)?;
            Ok(Section::Payments(Box::new(image)))
        }
        SectionWire::UsersPart(part) => part.into_domain().map(Section::UsersPart),
        SectionWire::Users(image) => Ok(Section::Users(Box::new(image.into_domain()?))),
        SectionWire::Archived(archived) => {
            let archived = archived.into_iter();
            let archived = archived.map(|(number, wire)| (ScheduleNumber(number), wire.into_domain()));
            Ok(Section::Archived(archived.collect()))
        }
        SectionWire::Carried(carried) => {
            carried.into_domain().map(|(shard, accounts)| Section::Carried(shard, accounts))
        }
        SectionWire::Replans(replans) => replans.into_domain().map(Section::Replans),
    }
}

impl CatalogueImageWire {
    fn into_domain(self) -> Read<Catalogue> {
        let mut catalogue = Catalogue::default();
        let mut put = |event: CatalogueEvent| catalogue.apply(&event, Timestamp::ZERO, None);
        for venue in self.venues {
            let venue = venue.into_domain()?;
            Layout::new(&venue.sections).map_err(|_| DecodeError::Value("the seats of a venue"))?;
            put(CatalogueEvent::VenuePut(Arc::new(venue)));
        }
        for concert in self.concerts {
            put(CatalogueEvent::ConcertPut(Arc::new(concert.into_domain()?)));
        }
        let mut listed = self.schedules;
        listed.sort_unstable_by_key(|(_, number, _)| *number);
        let numbers = [0].into_iter().chain(listed.iter().map(|(_, number, _)| *number));
        let highest = numbers.clone().last().unwrap_or_default();
        if highest > self.last_schedule || !numbers.is_sorted_by(|one, next| one < next) {
            return Err(DecodeError::Value("a schedule's number"));
        }
        for (id, number, concert) in listed {
            put(CatalogueEvent::ScheduleListed {
                id: ScheduleId::parse(&id).map_err(|_| DecodeError::Value("a schedule id"))?,
                number: ScheduleNumber(number),
                concert: ConcertId::parse(&concert).map_err(|_| DecodeError::Value("a concert id"))?,
            });
        }
        for (digest, fingerprint, version, at, ()) in self.keys {
            catalogue.restore_key(KeyUse { digest, fingerprint }, version, Timestamp::from_millis(at));
        }
        let last_instant = Timestamp::from_millis(self.last_instant);
        catalogue.restore_counters(self.version, self.last_schedule, last_instant);
        Ok(catalogue)
    }
}

impl ScheduleImageWire {
    fn into_domain(self) -> Read<Image> {
        let creation = self.creation.into_domain()?;
        let prices = self.prices.map(PricesWire::into_domain).transpose()?;
        let reservations = self.reservations.into_iter().map(|kept| Ok((kept.number, kept.into_domain()?)));
        let key = |(digest, fingerprint, version, at, answer): KeyWire<AnswerWire>| {
            let key = KeyUse { digest, fingerprint };
            Ok((key, version, Timestamp::from_millis(at), answer.into_domain()?))
        };
        let ended = self.ended.into_iter().map(|(at, number)| (Timestamp::from_millis(at), number));
        Ok(Image {
            number: creation.number,
            id: creation.id,
            concert: creation.concert,
            venue: creation.venue,
            currency: creation.currency,
            plan: creation.plan,
            limits: creation.limits,
            sale: sale_in(self.sale)?,
            prices: prices.map(Arc::new),
            ever_confirmed: self.ever_confirmed,
            blocked: self.blocked.into_iter().map(Seat).collect(),
            reservations: pages(reservations)?,
            last_reservation: self.last_reservation,
            ended: ended.collect(),
            other_deadlines: Vec::new(),
            keys: self.keys.into_iter().map(key).collect::<Read<_>>()?,
            version: self.version,
            seats_version: self.seats_version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

impl ReservationWire {
    fn from_domain(reservation: &Reservation) -> Self {
        Self {
            number: reservation.number.0,
            nonce: reservation.nonce,
            user: reservation.user.to_string(),
            seats: seats_out(&reservation.seats),
            status: match reservation.status {
                ReservationStatus::Held => 0,
                ReservationStatus::Paying => 1,
                ReservationStatus::Confirmed => 2,
                ReservationStatus::Cancelled => 3,
                ReservationStatus::Released => 4,
                ReservationStatus::Expired => 5,
            },
            created_at: reservation.created_at.as_millis(),
            expires_at: reservation.expires_at.as_millis(),
            confirmed_at: instant_out(reservation.confirmed_at),
            cancelled_at: instant_out(reservation.cancelled_at),
            ended_at: instant_out(reservation.ended_at),
            payment: reservation.payment.map(PaymentId::bits),
            deadline_moved: reservation.deadline_moved,
            recovered: reservation.recovered,
        }
    }

    fn into_domain(self) -> Read<Reservation> {
        Ok(Reservation {
            number: ReservationNumber(self.number),
            nonce: self.nonce,
            user: user_id(&self.user)?,
            seats: seats_in(self.seats),
            status: match self.status {
                0 => ReservationStatus::Held,
                1 => ReservationStatus::Paying,
                2 => ReservationStatus::Confirmed,
                3 => ReservationStatus::Cancelled,
                4 => ReservationStatus::Released,
                5 => ReservationStatus::Expired,
                _ => return Err(DecodeError::Value("a reservation's status")),
            },
            created_at: Timestamp::from_millis(self.created_at),
            expires_at: Timestamp::from_millis(self.expires_at),
            confirmed_at: instant_in(self.confirmed_at),
            cancelled_at: instant_in(self.cancelled_at),
            ended_at: instant_in(self.ended_at),
            payment: self.payment.map(PaymentId::from_bits),
            deadline_moved: self.deadline_moved,
            recovered: self.recovered,
        })
    }
}

impl AnswerWire {
    fn from_domain(answer: &Answer) -> Self {
        match answer {
            Answer::Reservation(reservation) => Self::Reservation(ReservationWire::from_domain(reservation)),
            Answer::Schedule(summary) => {
                let counts = summary.counts;
                Self::Schedule {
                    sale: sale_out(summary.status),
                    counts: [counts.available, counts.held, counts.reserved, counts.blocked],
                    plan: Box::new(PlanWire::from_domain(&summary.plan)),
                    seats_version: summary.seats_version,
                }
            }
        }
    }

    fn into_domain(self) -> Read<Answer> {
        Ok(match self {
            Self::Reservation(reservation) => Answer::Reservation(reservation.into_domain()?),
            Self::Schedule { sale, counts: [available, held, reserved, blocked], plan, seats_version } => {
                Answer::Schedule(Summary {
                    status: sale_in(sale)?,
                    counts: Counts { available, held, reserved, blocked },
                    plan: Arc::new(plan.into_domain()),
                    seats_version,
                })
            }
        })
    }
}

fn sale_out(sale: SaleStatus) -> u8 {
    match sale {
        SaleStatus::Upcoming => 0,
        SaleStatus::Open => 1,
        SaleStatus::Closed => 2,
        SaleStatus::Cancelled => 3,
    }
}

fn sale_in(sale: u8) -> Read<SaleStatus> {
    match sale {
        0 => Ok(SaleStatus::Upcoming),
        1 => Ok(SaleStatus::Open),
        2 => Ok(SaleStatus::Closed),
        3 => Ok(SaleStatus::Cancelled),
        _ => Err(DecodeError::Value("a sale's status")),
    }
}
