//! A crowd: people stand in blocks of 1,024, by ticket, and so does the line, by slot. Blocks go when all in them have,
//! in front, in the middle and at the end, and neither a copy, nor an image, nor replay may see a difference (R1).

use super::*;

const BLOCK: u32 = people::TICKETS;

fn name(ticket: u32) -> String {
    format!("user {ticket}")
}

/// Given people who wait for a sale that isn't open.
fn crowd(count: u32) -> Foyer {
    let mut foyer = Foyer::shut_with(|settings| settings.policy.active_max = 300);
    come(&mut foyer, count);
    foyer
}

/// When so many more join.
fn come(foyer: &mut Foyer, count: u32) {
    for _ in 0..count {
        let next = name(foyer.room.joined_total() + 1);
        foyer.wait(1).join(&next);
    }
}

/// When these leave, of those who are still there.
fn go(foyer: &mut Foyer, tickets: impl Iterator<Item = u32>) {
    for ticket in tickets.map(Ticket) {
        if let Some(user) = foyer.room.user(ticket).map(user) {
            foyer.ask(&Command::Leave { user, ticket }).unwrap();
        }
    }
}

/// Then everyone else has the place that they should have, and an image is the room.
fn check(foyer: &Foyer, waiting: impl Iterator<Item = u32>) {
    let waiting: Vec<u32> = waiting.collect();
    let room = &foyer.room;
    room.check_invariants();
    let image = restored(room);
    image.check_invariants();
    assert!(image == *room, "R1: an image is the state");
    for room in [room, &image] {
        assert!(room.in_line().eq(waiting.iter().copied().map(Ticket)), "Q1: nobody is lost or passed");
        for (ticket, position) in waiting.iter().zip(1..) {
            let (ticket, name) = (Ticket(*ticket), name(*ticket));
            assert_eq!((room.user(ticket), room.standing(&name)), (Some(&*name), Some(ticket)));
            assert_eq!(room.position(ticket), Some(position), "Q1: a position is exact");
        }
    }
}

fn kept_blocks(foyer: &Foyer) -> (u32, Vec<bool>) {
    let image = RoomImage::of(&foyer.room);
    (image.first_people, image.people.iter().map(Option::is_some).collect())
}

#[test]
fn blocks_go_when_all_in_them_have_and_nobody_else_notices() {
    let mut foyer = crowd(3 * BLOCK + 100);
    let beginning = foyer.journal.len();
    let image = restored(&foyer.room);
    check(&foyer, 1..=3 * BLOCK + 100);
    // In the middle.
    go(&mut foyer, BLOCK + 1..=2 * BLOCK);
    check(&foyer, (1..=BLOCK).chain(2 * BLOCK + 1..=3 * BLOCK + 100));
    // At the end, while it is being filled; the next change lets go of what the last one emptied.
    go(&mut foyer, 3 * BLOCK + 1..=3 * BLOCK + 100);
    assert_eq!(kept_blocks(&foyer), (0, vec![true, false, true, true]));
    check(&foyer, (1..=BLOCK).chain(2 * BLOCK + 1..=3 * BLOCK));
    let tail_was_empty = (foyer.journal.len(), restored(&foyer.room));
    come(&mut foyer, BLOCK);
    check(&foyer, (1..=BLOCK).chain(2 * BLOCK + 1..=3 * BLOCK).chain(3 * BLOCK + 101..=4 * BLOCK + 100));
    // In front, every other first.
    go(&mut foyer, (1..=BLOCK).step_by(2));
    let every_other = (2..=BLOCK).step_by(2);
    check(&foyer, every_other.chain(2 * BLOCK + 1..=3 * BLOCK).chain(3 * BLOCK + 101..=4 * BLOCK + 100));
    go(&mut foyer, 1..=BLOCK);
    come(&mut foyer, 1);
    assert_eq!(kept_blocks(&foyer), (2, vec![true; 3]), "two blocks in front are gone");
    check(&foyer, (2 * BLOCK + 1..=3 * BLOCK).chain(3 * BLOCK + 101..=4 * BLOCK + 101));
    // The rest of the block whose first people left while it was filled, and the one before it.
    go(&mut foyer, 2 * BLOCK + 1..=4 * BLOCK);
    come(&mut foyer, 1);
    assert_eq!(kept_blocks(&foyer), (4, vec![true]));
    check(&foyer, 4 * BLOCK + 1..=4 * BLOCK + 102);

    let room = &foyer.room;
    assert!(foyer.replay(WaitingRoom::new(ScheduleNumber(7)), 0) == *room, "R1: replay is what happened");
    assert!(foyer.replay(image, beginning) == *room, "R1: an image and replay are what happened");
    let (from, image) = tail_was_empty;
    assert!(foyer.replay(image, from) == *room, "R1: an image and replay are what happened");
}

#[test]
fn a_block_that_everyone_left_as_it_became_full_goes_too() {
    let mut foyer = crowd(BLOCK - 1);
    go(&mut foyer, 1..BLOCK);
    check(&foyer, 0..0);
    come(&mut foyer, 1);
    let image = restored(&foyer.room);
    let from = foyer.journal.len();
    go(&mut foyer, [BLOCK].into_iter());
    check(&foyer, 0..0);
    come(&mut foyer, 1);
    assert_eq!(kept_blocks(&foyer), (1, vec![true]));
    check(&foyer, BLOCK + 1..=BLOCK + 1);
    assert!(foyer.replay(image, from) == foyer.room, "R1: an image and replay are what happened");
}

#[test]
fn a_crowd_is_drawn_and_admitted_in_batches_across_blocks() {
    let mut foyer = Foyer::shut_with(|settings| {
        settings.policy.order = QueueOrder::Shuffle;
        settings.policy.active_max = 300;
    });
    come(&mut foyer, 2 * BLOCK + 10);
    go(&mut foyer, (1..=2 * BLOCK).step_by(3));
    let mut order: Vec<Ticket> = foyer.room.in_line().collect();
    naive::draw(&seed(7), &mut order);
    let (from, image) = (foyer.journal.len(), restored(&foyer.room));
    foyer.follow(Gate::Open);
    let mut batches = Vec::new();
    for entry in &foyer.journal[from..] {
        if let Event::Admitted { tickets } = &entry.event {
            batches.push(tickets.len());
        }
    }
    assert_eq!(batches, [256, 44], "an event admits 256 at most");
    let inside: BTreeSet<Ticket> = foyer.room.actives().map(|(ticket, ..)| ticket).collect();
    assert_eq!(inside, order[..300].iter().copied().collect());
    come(&mut foyer, 5);
    order.extend((2 * BLOCK + 11..=2 * BLOCK + 15).map(Ticket));
    assert!(foyer.room.in_line().eq(order[300..].iter().copied()), "Q1: the line is the draw's");
    for (ticket, position) in order[300..].iter().zip(1..) {
        assert_eq!(foyer.room.position(*ticket), Some(position));
    }
    // Everyone's pass ends at once, since none shows up; so do the places of most who wait.
    let drawn = (foyer.journal.len(), restored(&foyer.room));
    foyer.wait(2 * MINUTE).tick();
    let inside: BTreeSet<Ticket> = foyer.room.actives().map(|(ticket, ..)| ticket).collect();
    assert_eq!(inside, order[300..600].iter().copied().collect());
    foyer.wait(HOUR).tick();
    assert_eq!((foyer.room.active(), foyer.room.waiting()), (0, 0));
    come(&mut foyer, 1);
    assert!(restored(&foyer.room) == foyer.room, "R1: an image is the state");
    assert!(foyer.replay(image, from) == foyer.room, "R1: an image and replay are what happened");
    assert!(foyer.replay(drawn.1, drawn.0) == foyer.room, "R1: an image and replay are what happened");
}

#[test]
fn copies_that_share_their_people_stay_as_they_are() {
    let mut foyer = crowd(2 * BLOCK + 10);
    let mut behind = foyer.room.clone();
    let mut other = foyer.replay(WaitingRoom::new(ScheduleNumber(7)), 0);
    other.share_with(&foyer.room);
    other.check_invariants();
    assert!(other == foyer.room);
    // One is ahead: its first block is gone, and it has one more at the end.
    let from = foyer.journal.len();
    go(&mut foyer, 1..=BLOCK + 5);
    come(&mut foyer, BLOCK);
    let (before, ahead) = (RoomImage::of(&behind), RoomImage::of(&foyer.room));
    behind.share_with(&foyer.room);
    foyer.room.share_with(&behind);
    behind.check_invariants();
    assert_eq!((RoomImage::of(&behind), RoomImage::of(&foyer.room)), (before, ahead));
    check(&foyer, BLOCK + 6..=3 * BLOCK + 10);
    for copy in [behind, other] {
        let mut copy = foyer.replay(copy, from);
        copy.share_with(&foyer.room);
        assert!(copy == foyer.room, "R1: replay is what happened");
        let blocks = |room: &WaitingRoom| RoomImage::of(room).people;
        let (mine, others) = (blocks(&copy), blocks(&foyer.room));
        let full = mine.iter().zip(&others).take(2);
        for (mine, other) in full {
            assert!(Arc::ptr_eq(mine.as_ref().unwrap(), other.as_ref().unwrap()), "both have one");
        }
    }
}

#[test]
fn a_copy_from_before_another_draw_keeps_its_own() {
    let mut foyer = Foyer::open_with(|settings| settings.policy.order = QueueOrder::Shuffle);
    let mut behind = foyer.room.clone();
    let image = RoomImage::of(&behind);
    foyer.configure(None).unwrap();
    foyer.follow(Gate::NotOnSale);
    let mut settings = settings();
    settings.policy.order = QueueOrder::Shuffle;
    foyer.ask(&Command::Configure { settings: Some(Box::new(settings)), seed: seed(8) }).unwrap();
    come(&mut foyer, 3);
    foyer.follow(Gate::AllHeld);
    assert_eq!(foyer.room.drawing(), Some((seed(8), 3)));
    behind.share_with(&foyer.room);
    assert_eq!(RoomImage::of(&behind), image);
}

/// Given a room in which so many blocks of people came and went; they took no slot, having entered at once.
fn after_many(foyer: &Foyer, blocks: u32) -> WaitingRoom {
    let mut image = RoomImage::of(&foyer.room);
    image.first_people = blocks;
    image.people = vec![Some(Arc::default())];
    image.restore()
}

#[test]
fn a_line_that_was_empty_for_a_hundred_blocks_is_the_same_in_an_image() {
    let mut foyer = crowd(1);
    go(&mut foyer, 1..=1);
    foyer.room = after_many(&foyer, 100);
    foyer.journal.clear();
    come(&mut foyer, 2);
    check(&foyer, 100 * BLOCK + 1..=100 * BLOCK + 2);
    let image = restored(&foyer.room);
    go(&mut foyer, [100 * BLOCK + 1].into_iter());
    assert!(foyer.replay(image, 2) == foyer.room, "R1: an image and replay are what happened");
}

#[test]
fn a_room_whose_tickets_are_used_up_is_full() {
    let mut foyer = Foyer::shut_with(|_| ());
    foyer.room = after_many(&foyer, u32::MAX / BLOCK);
    come(&mut foyer, BLOCK - 2);
    assert_eq!(foyer.room.joined_total(), u32::MAX - 1);
    assert_eq!(foyer.try_join("one more"), Err(Refusal::Full));
    check(&foyer, u32::MAX - BLOCK + 2..u32::MAX);
}

#[test]
fn how_places_ended_is_remembered_of_the_last_ones_only() {
    let mut foyer = crowd(2);
    let mut image = RoomImage::of(&foyer.room);
    let most = u32::try_from(DONE_MAX).unwrap();
    image.done = (1_000..1_000 + most).collect();
    foyer.room = image.restore();
    assert_eq!(foyer.room.ending(Ticket(1_000)), PlaceStatus::Done);
    go(&mut foyer, 1..=1);
    let endings = [1, 1_000, 1_001].map(|ticket| foyer.room.ending(Ticket(ticket)));
    assert_eq!(endings, [PlaceStatus::Done, PlaceStatus::Expired, PlaceStatus::Done]);
    assert!(restored(&foyer.room) == foyer.room, "R1: an image is the state");
}
