//! The wire format of waiting rooms: their events, and their sections of a snapshot.
//!
//! A room of ten million is more than one section should hold: its people come first, in sections of
//! [`BLOCKS_PER_SECTION`] blocks, and then the room itself.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::fields::{KeyWire, More, Read, instant_in, instant_out, keys_in, keys_out, user_id};
use super::schedule::QueueWire;
use crate::domain::ids::ScheduleNumber;
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::draw::Seed;
use crate::domain::waiting_room::{
    Answer, Block, Drawing, Event, Gate, Overview, Place, PlaceStatus, RoomImage, Settings, Ticket,
};

/// How many blocks of 1,024 people one section holds.
pub(super) const BLOCKS_PER_SECTION: usize = 64;

#[derive(Serialize, Deserialize)]
pub(super) enum RoomEventWire<'a> {
    Configured {
        settings: Option<Box<SettingsWire>>,
        seed: Option<[u8; 32]>,
        more: More,
    },
    Tuned {
        active_max: u32,
        admit_per_minute: Option<u32>,
        paused: bool,
        more: More,
    },
    GateMoved(u8),
    Joined {
        ticket: u32,
        #[serde(borrow)]
        user: Cow<'a, str>,
        admitted: bool,
        more: More,
    },
    Drawn([u8; 32]),
    Admitted(Vec<u32>),
    Claimed(Vec<u32>),
    Left(u32),
    Finished(u32),
    PassesExpired(Vec<u32>),
    PlacesExpired(u32),
    OutageBridged {
        down_since: u64,
    },
    KeyKept(Option<u32>),
    Stayed(Vec<(u32, u64)>),
}

#[derive(Serialize, Deserialize)]
pub(super) struct SettingsWire {
    policy: QueueWire,
    opens_at: Option<u64>,
    closes_at: u64,
    keys_max: u32,
    more: More,
}

/// Blocks of one room's people, one after the other; one that is gone is nothing.
#[derive(Serialize, Deserialize)]
pub(super) struct PeopleWire<'a> {
    number: u32,
    #[serde(borrow)]
    blocks: Vec<Option<BlockWire<'a>>>,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct BlockWire<'a> {
    joined: Cow<'a, [u64]>,
    ends: Cow<'a, [u32]>,
    #[serde(borrow)]
    ids: Cow<'a, str>,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RoomImageWire {
    number: u32,
    settings: Option<SettingsWire>,
    configured: Option<SettingsWire>,
    paused: bool,
    gate: u8,
    pace: (Option<u32>, u64, u64),
    seed: Option<[u8; 32]>,
    drawn: Option<DrawingWire>,
    first_people: u32,
    first_slots: u32,
    slots: Vec<[u64; 16]>,
    active: Vec<(u32, u64, u64, Option<u64>)>,
    done: Vec<u32>,
    admitted_total: u64,
    keys: Vec<KeyWire<RoomAnswerWire>>,
    version: u64,
    last_instant: u64,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct DrawingWire {
    seed: [u8; 32],
    count: u32,
    first: u32,
    ticket_of: Vec<u32>,
    more: More,
}

#[derive(Serialize, Deserialize)]
enum RoomAnswerWire {
    Place {
        standing: bool,
        ticket: u32,
        status: u8,
        position: Option<u32>,
        issued_at: u64,
        activated_at: Option<u64>,
        expires_at: u64,
        more: More,
    },
    Room {
        waiting: u32,
        active: u32,
        active_max: u32,
        admit_per_minute: Option<u32>,
        paused: bool,
        admitted_total: u64,
        gate: u8,
        more: More,
    },
}

impl<'a> RoomEventWire<'a> {
    pub(super) fn from_domain(event: &'a Event) -> Self {
        match event {
            Event::Configured { settings, seed } => Self::Configured {
                settings: settings.as_deref().map(SettingsWire::from_domain).map(Box::new),
                seed: seed.map(|seed| seed.0),
                more: More::default(),
            },
            Event::Tuned { active_max, admit_per_minute, paused } => Self::Tuned {
                active_max: *active_max,
                admit_per_minute: *admit_per_minute,
                paused: *paused,
                more: More::default(),
            },
            Event::GateMoved { gate } => Self::GateMoved(gate_out(*gate)),

            Event::Joined { ticket, user, admitted } => Self::Joined {
                ticket: ticket.0,
                user: Cow::Borrowed(user),
                admitted: *admitted,
                more: More::default(),
            },
            Event::Drawn { seed } => Self::Drawn(seed.0),
            Event::Admitted { tickets } => Self::Admitted(tickets_out(tickets)),
            Event::Claimed { tickets } => Self::Claimed(tickets_out(tickets)),

            Event::Left { ticket } => Self::Left(ticket.0),
            Event::Finished { ticket } => Self::Finished(ticket.0),
            Event::PassesExpired { tickets } => Self::PassesExpired(tickets_out(tickets)),
            Event::PlacesExpired { last } => Self::PlacesExpired(last.0),

            Event::OutageBridged { down_since } => Self::OutageBridged { down_since: down_since.as_millis() },
            Event::KeyKept { ticket } => Self::KeyKept(ticket.map(|ticket| ticket.0)),
            Event::Stayed { until } => {
                Self::Stayed(until.iter().map(|(ticket, until)| (ticket.0, until.as_millis())).collect())
            }
        }
    }

    pub(super) fn into_domain(self) -> Read<Event> {
        Ok(match self {
            Self::Configured { settings, seed, more: _ } => Event::Configured {
                settings: settings.map(|settings| settings.into_domain().map(Box::new)).transpose()?,
                seed: seed.map(Seed),
            },
            Self::Tuned { active_max, admit_per_minute, paused, more: _ } => {
                Event::Tuned { active_max, admit_per_minute, paused }
            }
            Self::GateMoved(gate) => Event::GateMoved { gate: gate_in(gate)? },

            Self::Joined { ticket, user, admitted, more: _ } => {
                Event::Joined { ticket: Ticket(ticket), user: user_id(&user)?, admitted }
            }
            Self::Drawn(seed) => Event::Drawn { seed: Seed(seed) },
            Self::Admitted(tickets) => Event::Admitted { tickets: tickets_in(tickets) },
            Self::Claimed(tickets) => Event::Claimed { tickets: tickets_in(tickets) },

            Self::Left(ticket) => Event::Left { ticket: Ticket(ticket) },
            Self::Finished(ticket) => Event::Finished { ticket: Ticket(ticket) },
            Self::PassesExpired(tickets) => Event::PassesExpired { tickets: tickets_in(tickets) },
            Self::PlacesExpired(last) => Event::PlacesExpired { last: Ticket(last) },

            Self::OutageBridged { down_since } => {
                Event::OutageBridged { down_since: Timestamp::from_millis(down_since) }
            }
            Self::KeyKept(ticket) => Event::KeyKept { ticket: ticket.map(Ticket) },
            Self::Stayed(until) => {
                let until = until.into_iter();
                let until = until.map(|(ticket, until)| (Ticket(ticket), Timestamp::from_millis(until)));
                Event::Stayed { until: until.collect() }
            }
        })
    }
}

impl SettingsWire {
    fn from_domain(settings: &Settings) -> Self {
        Self {
            policy: QueueWire::from_domain(&settings.policy),
            opens_at: instant_out(settings.opens_at),
            closes_at: settings.closes_at.as_millis(),
            keys_max: settings.keys_max,
            more: More::default(),
        }
    }

    fn into_domain(self) -> Read<Settings> {
        Ok(Settings {
            policy: self.policy.into_domain()?,
            opens_at: instant_in(self.opens_at),
            closes_at: Timestamp::from_millis(self.closes_at),
            keys_max: self.keys_max,
        })
    }
}

impl<'a> PeopleWire<'a> {
    /// Cuts a room's people into sections.
    pub(super) fn sections(image: &'a RoomImage) -> impl Iterator<Item = Self> {
        let block = |block: &'a Option<Arc<Block>>| {
            let (joined, ends, ids) = block.as_deref()?.parts();
            Some(BlockWire {
                joined: Cow::Borrowed(joined),
                ends: Cow::Borrowed(ends),
                ids: Cow::Borrowed(ids),
                more: More::default(),
            })
        };
        image.people.chunks(BLOCKS_PER_SECTION).map(move |blocks| Self {
            number: image.number.0,
            blocks: blocks.iter().map(block).collect(),
            more: More::default(),
        })
    }

    pub(super) fn into_domain(self) -> Read<(ScheduleNumber, Vec<Option<Arc<Block>>>)> {
        let block = |block: Option<BlockWire<'_>>| {
            let Some(BlockWire { joined, ends, ids, more: _ }) = block else { return Ok(None) };
            let block = Block::from_parts(joined.into_owned(), ends.into_owned(), ids.into_owned());
            block.map(|block| Some(Arc::new(block))).ok_or(DecodeError::Value("a block of people"))
        };
        let blocks = self.blocks.into_iter().map(block).collect::<Read<_>>()?;
        Ok((ScheduleNumber(self.number), blocks))
    }
}

impl RoomImageWire {
    /// Writes a room without its people.
    pub(super) fn from_domain(image: &RoomImage) -> Self {
        let active = |(ticket, activated_at, expires_at, claim_by): &(Ticket, _, _, _)| {
            let (activated_at, expires_at): (&Timestamp, &Timestamp) = (activated_at, expires_at);
            (ticket.0, activated_at.as_millis(), expires_at.as_millis(), instant_out(*claim_by))
        };
        let (rate, credit, as_of) = image.pace;

        Self {
            number: image.number.0,
            settings: image.settings.as_ref().map(SettingsWire::from_domain),
            configured: image.configured.as_ref().map(SettingsWire::from_domain),
            paused: image.paused,
            gate: gate_out(image.gate),
            pace: (rate, credit, as_of.as_millis()),
            seed: image.seed.map(|seed| seed.0),
            drawn: image.drawn.as_ref().map(|drawn| DrawingWire {
                seed: drawn.seed.0,
                count: drawn.count,
                first: drawn.first,
                ticket_of: drawn.ticket_of.to_vec(),
                more: More::default(),
            }),
            first_people: image.first_people,
            first_slots: image.first_slots,
            slots: image.slots.clone(),
            active: image.active.iter().map(active).collect(),
            done: image.done.clone(),
            admitted_total: image.admitted_total,
            keys: keys_out(&image.keys, RoomAnswerWire::from_domain),
            version: image.version,
            last_instant: image.last_instant.as_millis(),
            more: More::default(),
        }
    }

    /// Reads a room, to whom its people are given back.
    pub(super) fn into_domain(self) -> Read<RoomImage> {
        let active = |(ticket, activated_at, expires_at, claim_by)| {
            let (activated_at, expires_at) =
                (Timestamp::from_millis(activated_at), Timestamp::from_millis(expires_at));
            (Ticket(ticket), activated_at, expires_at, instant_in(claim_by))
        };
        let (rate, credit, as_of) = self.pace;

        Ok(RoomImage {
            number: ScheduleNumber(self.number),
            settings: self.settings.map(SettingsWire::into_domain).transpose()?,
            configured: self.configured.map(SettingsWire::into_domain).transpose()?,
            paused: self.paused,
            gate: gate_in(self.gate)?,
            pace: (rate, credit, Timestamp::from_millis(as_of)),
            seed: self.seed.map(Seed),
            drawn: self.drawn.map(DrawingWire::into_domain).transpose()?,
            first_people: self.first_people,
            // They come before it, in sections of their own.
            people: Vec::new(),
            first_slots: self.first_slots,
            slots: self.slots,
            active: self.active.into_iter().map(active).collect(),
            done: self.done,
            admitted_total: self.admitted_total,
            keys: keys_in(self.keys, RoomAnswerWire::into_domain)?,
            version: self.version,
            last_instant: Timestamp::from_millis(self.last_instant),
        })
    }
}

impl DrawingWire {
    fn into_domain(self) -> Read<Drawing> {
        drawing(self.seed, self.count, self.first, self.ticket_of)
    }
}

/// Makes a drawn order, which has each ticket from the first on once.
pub(super) fn drawing(seed: [u8; 32], count: u32, first: u32, ticket_of: Vec<u32>) -> Read<Drawing> {
    // A ticket that stood twice, or nowhere, would let one person in twice and another never.
    let mut sorted = ticket_of.clone();
    sorted.sort_unstable();
    if !(first..).zip(&sorted).all(|(slot, ticket)| slot == *ticket) {
        return Err(DecodeError::Value("a drawn order"));
    }

    Ok(Drawing { seed: Seed(seed), count, first, ticket_of: ticket_of.into() })
}

impl RoomAnswerWire {
    fn from_domain(answer: &Answer) -> Self {
        match answer {
            Answer::Place(place) | Answer::Standing(place) => Self::Place {
                standing: matches!(answer, Answer::Standing(_)),
                ticket: place.ticket.0,
                status: status_out(place.status),
                position: place.position,
                issued_at: place.issued_at.as_millis(),
                activated_at: instant_out(place.activated_at),
                expires_at: place.expires_at.as_millis(),
                more: More::default(),
            },

            Answer::Room(room) => Self::Room {
                waiting: room.waiting,
                active: room.active,
                active_max: room.active_max,
                admit_per_minute: room.admit_per_minute,
                paused: room.paused,
                admitted_total: room.admitted_total,
                gate: gate_out(room.gate),
                more: More::default(),
            },
        }
    }

    fn into_domain(self) -> Read<Answer> {
        Ok(match self {
            Self::Place {
                standing,
                ticket,
                status,
                position,
                issued_at,
                activated_at,
                expires_at,
                more: _,
            } => {
                let place = Place {
                    ticket: Ticket(ticket),
                    status: status_in(status)?,
                    position,
                    issued_at: Timestamp::from_millis(issued_at),
                    activated_at: instant_in(activated_at),
                    expires_at: Timestamp::from_millis(expires_at),
                };
                if standing { Answer::Standing(place) } else { Answer::Place(place) }
            }

            Self::Room {
                waiting,
                active,
                active_max,
                admit_per_minute,
                paused,
                admitted_total,
                gate,
                more: _,
            } => Answer::Room(Overview {
                waiting,
                active,
                active_max,
                admit_per_minute,
                paused,
                admitted_total,
                gate: gate_in(gate)?,
            }),
        })
    }
}

fn tickets_out(tickets: &[Ticket]) -> Vec<u32> {
    tickets.iter().map(|ticket| ticket.0).collect()
}

pub(super) fn tickets_in(tickets: Vec<u32>) -> Box<[Ticket]> {
    tickets.into_iter().map(Ticket).collect()
}

fn gate_out(gate: Gate) -> u8 {
    match gate {
        Gate::NotOnSale => 0,
        Gate::Open => 1,
        Gate::AllHeld => 2,
        Gate::SoldOut => 3,
        Gate::Cancelled => 4,
    }
}

pub(super) fn gate_in(gate: u8) -> Read<Gate> {
    match gate {
        0 => Ok(Gate::NotOnSale),
        1 => Ok(Gate::Open),
        2 => Ok(Gate::AllHeld),
        3 => Ok(Gate::SoldOut),
        4 => Ok(Gate::Cancelled),
        _ => Err(DecodeError::Value("a waiting room's gate")),
    }
}

fn status_out(status: PlaceStatus) -> u8 {
    match status {
        PlaceStatus::Waiting => 0,
        PlaceStatus::Active => 1,
        PlaceStatus::Expired => 2,
        PlaceStatus::Done => 3,
    }
}

pub(super) fn status_in(status: u8) -> Read<PlaceStatus> {
    match status {
        0 => Ok(PlaceStatus::Waiting),
        1 => Ok(PlaceStatus::Active),
        2 => Ok(PlaceStatus::Expired),
        3 => Ok(PlaceStatus::Done),
        _ => Err(DecodeError::Value("a place's status")),
    }
}
