//! Waiting rooms: their events, and their sections of a snapshot.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;

use super::wire::QueueWire;
use crate::domain::ids::ScheduleNumber;
use crate::domain::time::Timestamp;
use crate::domain::waiting_room::draw::Seed;
use crate::domain::waiting_room::{Answer, Block, Event, Overview, Place, RoomImage, Settings, Ticket};
use crate::record::DecodeError;
use crate::record::fields::{KeyWire, Read, instant_in, keys_in, user_id};
use crate::record::room::{drawing, gate_in, status_in, tickets_in};

#[derive(Deserialize)]
pub(super) enum RoomEventWire<'a> {
    Configured {
        settings: Option<Box<SettingsWire>>,
        seed: Option<[u8; 32]>,
    },
    Tuned {
        active_max: u32,
        admit_per_minute: Option<u32>,
        paused: bool,
    },
    GateMoved(u8),
    Joined {
        ticket: u32,
        #[serde(borrow)]
        user: Cow<'a, str>,
        admitted: bool,
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

#[derive(Deserialize)]
pub(super) struct SettingsWire {
    policy: QueueWire,
    opens_at: Option<u64>,
    closes_at: u64,
    keys_max: u32,
}

/// Blocks of one room's people, one after the other; one that is gone is nothing.
#[derive(Deserialize)]
pub(super) struct PeopleWire<'a> {
    number: u32,
    #[serde(borrow)]
    blocks: Vec<Option<BlockWire<'a>>>,
}

#[derive(Deserialize)]
struct BlockWire<'a> {
    joined: Cow<'a, [u64]>,
    ends: Cow<'a, [u32]>,
    #[serde(borrow)]
    ids: Cow<'a, str>,
}

#[derive(Deserialize)]
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
}

#[derive(Deserialize)]
struct DrawingWire {
    seed: [u8; 32],
    count: u32,
    first: u32,
    ticket_of: Vec<u32>,
}

#[derive(Deserialize)]
enum RoomAnswerWire {
    Place {
        standing: bool,
        ticket: u32,
        status: u8,
        position: Option<u32>,
        issued_at: u64,
        activated_at: Option<u64>,
        expires_at: u64,
    },
    Room {
        waiting: u32,
        active: u32,
        active_max: u32,
        admit_per_minute: Option<u32>,
        paused: bool,
        admitted_total: u64,
        gate: u8,
    },
}

impl RoomEventWire<'_> {
    pub(super) fn into_domain(self) -> Read<Event> {
        Ok(match self {
            Self::Configured { settings, seed } => Event::Configured {
                settings: settings.map(|settings| Box::new(settings.into_domain())),
                seed: seed.map(Seed),
            },
            Self::Tuned { active_max, admit_per_minute, paused } => {
                Event::Tuned { active_max, admit_per_minute, paused }
            }
            Self::GateMoved(gate) => Event::GateMoved { gate: gate_in(gate)? },

            Self::Joined { ticket, user, admitted } => {
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
    fn into_domain(self) -> Settings {
        Settings {
            policy: self.policy.into_domain(),
            opens_at: instant_in(self.opens_at),
            closes_at: Timestamp::from_millis(self.closes_at),
            keys_max: self.keys_max,
        }
    }
}

impl PeopleWire<'_> {
    pub(super) fn into_domain(self) -> Read<(ScheduleNumber, Vec<Option<Arc<Block>>>)> {
        let block = |block: Option<BlockWire<'_>>| {
            let Some(BlockWire { joined, ends, ids }) = block else { return Ok(None) };
            let block = Block::from_parts(joined.into_owned(), ends.into_owned(), ids.into_owned());
            block.map(|block| Some(Arc::new(block))).ok_or(DecodeError::Value("a block of people"))
        };
        let blocks = self.blocks.into_iter().map(block).collect::<Read<_>>()?;
        Ok((ScheduleNumber(self.number), blocks))
    }
}

impl RoomImageWire {
    /// Reads a room, to whom its people are given back.
    pub(super) fn into_domain(self) -> Read<RoomImage> {
        let active = |(ticket, activated_at, expires_at, claim_by)| {
            let (activated_at, expires_at) =
                (Timestamp::from_millis(activated_at), Timestamp::from_millis(expires_at));
            (Ticket(ticket), activated_at, expires_at, instant_in(claim_by))
        };
        let (rate, credit, as_of) = self.pace;
        let drawn = self.drawn.map(|drawn| drawing(drawn.seed, drawn.count, drawn.first, drawn.ticket_of));

        Ok(RoomImage {
            number: ScheduleNumber(self.number),
            settings: self.settings.map(SettingsWire::into_domain),
            configured: self.configured.map(SettingsWire::into_domain),
            paused: self.paused,
            gate: gate_in(self.gate)?,
            pace: (rate, credit, Timestamp::from_millis(as_of)),
            seed: self.seed.map(Seed),
            drawn: drawn.transpose()?,
            first_people: self.first_people,
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

impl RoomAnswerWire {
    fn into_domain(self) -> Read<Answer> {
        Ok(match self {
            Self::Place { standing, ticket, status, position, issued_at, activated_at, expires_at } => {
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

            Self::Room { waiting, active, active_max, admit_per_minute, paused, admitted_total, gate } => {
                Answer::Room(Overview {
                    waiting,
                    active,
                    active_max,
                    admit_per_minute,
                    paused,
                    admitted_total,
                    gate: gate_in(gate)?,
                })
            }
        })
    }
}
