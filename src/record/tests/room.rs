//! The waiting room's part of the format.

use std::sync::Arc;

use super::super::room::BLOCKS_PER_SECTION;
use super::*;
use crate::domain::waiting_room::draw::Seed;
use crate::domain::waiting_room::{
    Answer, Block, Drawing, Event, Gate, Overview, Place, PlaceStatus, RoomImage, Settings, Ticket,
};

/// Writes a room's section, in its parts.
pub(super) fn written(image: RoomImage) -> Vec<Vec<u8>> {
    super::written(&Section::WaitingRoom(Box::new(image)))
}

fn settings() -> Settings {
    let plan = plan();
    Settings { keys_max: 9, ..Settings::of(&plan, 3).unwrap() }
}

/// An event of every kind.
pub(super) fn events() -> Vec<Event> {
    let tickets = || [Ticket(7), Ticket(u32::MAX)].into();
    vec![
        Event::Configured { settings: Some(Box::new(settings())), seed: Some(Seed([5; 32])) },
        Event::Tuned { active_max: 1, admit_per_minute: Some(2), paused: true },
        Event::GateMoved { gate: Gate::AllHeld },
        Event::Joined {
            ticket: Ticket(3),
            user: UserId::parse("앤 <ann@example.org>").unwrap(),
            admitted: true,
        },
        Event::Drawn { seed: Seed([6; 32]) },
        Event::Admitted { tickets: tickets() },
        Event::Claimed { tickets: [].into() },
        Event::Left { ticket: Ticket(4) },
        Event::Finished { ticket: Ticket(5) },
        Event::PassesExpired { tickets: tickets() },
        Event::PlacesExpired { last: Ticket(6) },
        Event::OutageBridged { down_since: AT },
        Event::KeyKept { ticket: Some(Ticket(8)) },
        Event::Stayed { until: [(Ticket(3), AT), (Ticket(9), AT)].into() },
    ]
}

pub(super) fn kind(event: &Event) -> usize {
    match event {
        Event::Configured { .. } => 0,
        Event::Tuned { .. } => 1,
        Event::GateMoved { .. } => 2,
        Event::Joined { .. } => 3,
        Event::Drawn { .. } => 4,
        Event::Admitted { .. } => 5,
        Event::Claimed { .. } => 6,
        Event::Left { .. } => 7,
        Event::Finished { .. } => 8,
        Event::PassesExpired { .. } => 9,
        Event::PlacesExpired { .. } => 10,
        Event::OutageBridged { .. } => 11,
        Event::KeyKept { .. } => 12,
        Event::Stayed { .. } => 13,
    }
}

fn block(people: &[&str]) -> Block {
    let ids = people.concat();
    let ends = people.iter().scan(0, |end, user| {
        *end += u32::try_from(user.len()).unwrap();
        Some(*end)
    });
    let ends: Vec<u32> = ends.collect();
    Block::from_parts(vec![AT.as_millis(); people.len()], ends, ids).unwrap()
}

/// An image with something in every field; it needn't be a state that can be.
pub(super) fn image() -> RoomImage {
    let place = Place {
        ticket: Ticket(1),
        status: PlaceStatus::Active,
        position: Some(2),
        issued_at: AT,
        activated_at: Some(AT),
        expires_at: AT.plus(Seconds::DAY),
    };
    let room = Overview {
        waiting: 1,
        active: 2,
        active_max: 3,
        admit_per_minute: Some(4),
        paused: true,
        admitted_total: 5,
        gate: Gate::SoldOut,
    };
    let answers = [
        Answer::Place(place),
        Answer::Standing(Place { status: PlaceStatus::Waiting, activated_at: None, ..place }),
        Answer::Place(Place { status: PlaceStatus::Done, position: None, ..place }),
        Answer::Room(room),
    ];
    let keys = (1..).zip(answers).map(|(version, answer)| (KEY, version, AT, answer));
    RoomImage {
        number: NUMBER,
        settings: Some(Settings { opens_at: None, ..settings() }),
        configured: Some(settings()),
        paused: true,
        gate: Gate::Cancelled,
        pace: (Some(90), 12_345, AT),
        seed: Some(Seed([1; 32])),
        drawn: Some(Drawing { seed: Seed([2; 32]), count: 3, first: 10, ticket_of: [12, 10, 11].into() }),
        first_people: 4,
        people: vec![Some(Arc::new(block(&["ann", "", "관객"]))), None, Some(Arc::new(Block::default()))],
        first_slots: 5,
        slots: vec![[u64::MAX; 16], [1; 16]],
        active: vec![(Ticket(1), AT, AT, None), (Ticket(2), AT, AT, Some(AT))],
        done: vec![7, 8],
        admitted_total: 9,
        keys: keys.collect(),
        version: 10,
        last_instant: AT,
    }
}

#[test]
fn a_rooms_sections_are_read_as_they_were_written() {
    let bare = RoomImage {
        settings: None,
        configured: None,
        seed: None,
        drawn: None,
        pace: (None, 0, AT),
        people: Vec::new(),
        ..image()
    };
    let crowd = RoomImage {
        people: (0..=2 * BLOCKS_PER_SECTION).map(|_| Some(Arc::new(block(&["kim"; 3])))).collect(),
        ..image()
    };
    assert_eq!(written(crowd.clone()).len(), 4);
    for image in [image(), bare, crowd] {
        assert_eq!(read(written(image.clone())), [Section::WaitingRoom(Box::new(image))]);
    }
}

#[test]
fn a_block_of_people_that_contradicts_itself_is_refused() {
    let parts = |joined: usize, ends: &[u32], ids: &str| {
        Block::from_parts(vec![0; joined], ends.to_vec(), ids.to_owned()).is_some()
    };
    assert!(parts(2, &[1, 3], "abc"));
    assert!(!parts(1, &[1, 3], "abc"), "an instant is missing");
    assert!(!parts(2, &[1, 2], "abc"), "an end is before the end");
    assert!(!parts(2, &[1, 4], "abc"), "an end is behind the end");
    assert!(!parts(2, &[2, 1], "a"), "ends go back");
    assert!(!parts(2, &[1, 3], "관"), "an end is within a letter");
    assert!(!parts(1_025, &vec![0; 1_025], ""), "a block has 1,024 people");
}

#[test]
fn a_drawn_order_that_is_none_is_refused() {
    for wrong in [vec![10, 10, 11], vec![9, 10, 11], vec![10, 11, 13]] {
        let drawn = image().drawn.map(|drawn| Drawing { ticket_of: wrong.into(), ..drawn });
        let bytes = written(RoomImage { drawn, ..image() }).pop().unwrap();
        assert!(matches!(decode_section(&bytes), Err(DecodeError::Value("a drawn order"))));
    }
}

#[test]
fn a_damaged_section_of_a_room_is_refused_or_is_another_one_and_never_a_panic() {
    let standing = written(image());
    for (which, bytes) in standing.iter().enumerate() {
        for damaged in damaged(bytes) {
            let mut sections = standing.clone();
            sections[which] = damaged;
            if let Ok(read) = decode_sections(sections).collect::<Result<Vec<_>, _>>() {
                assert!(read != [Section::WaitingRoom(Box::new(image()))]);
            }
        }
    }
}
