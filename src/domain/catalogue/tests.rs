//! What administrators may and may not change. One helper, [`Books`], holds a catalogue: a change is
//! tried on a draft and taken over whole or not at all.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::concert::{PRICE_MAX, PricedGrade};
use crate::domain::ids::{GradeName, SeatId};
use crate::domain::inside::{Inside, reread, said};
use crate::domain::keys::KeyFound;
use crate::domain::money::{Currency, Money};
use crate::domain::schedule::policy::Policy;
use crate::domain::time::Seconds;
use crate::domain::venue::{Coordinate, Line, ListedSeat, Outline, Point, Row, RowSeats, Section, VenueArea};
use crate::record;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LIMITS: Limits = Limits { ended_retention: Seconds::new(3_600), keys_max: 100 };

fn venue_id(id: &str) -> VenueId {
    VenueId::parse(id).unwrap()
}

fn concert_id(id: &str) -> ConcertId {
    ConcertId::parse(id).unwrap()
}

fn schedule_id(id: &str) -> ScheduleId {
    ScheduleId::parse(id).unwrap()
}

/// A venue with a row of each of these grades.
fn venue_with(id: &str, grades: &[&str]) -> Venue {
    let row = |grade: &&str| Row {
        id: (*grade).into(),
        grade: GradeName::parse(grade).unwrap(),
        line: None,
        seats: RowSeats::Length(4),
    };
    let rows = grades.iter().map(row).collect();
    Venue {
        id: venue_id(id),
        name: "샤롯데씨어터".into(),
        address: "서울 송파구".into(),
        kind: "theater".into(),
        time_zone: "Asia/Seoul".into(),
        stage: None,
        sections: vec![Section { id: "B".into(), floor: "1층".into(), outline: None, rows }],
        areas: vec![],
    }
}

fn venue() -> Venue {
    venue_with("v", &["VIP", "R"])
}

fn priced(name: &str, price: u64) -> PricedGrade {
    PricedGrade {
        name: GradeName::parse(name).unwrap(),
        price: Money::new(price).unwrap(),
        color: "#FF0000".into(),
        description: None,
        prices: BTreeMap::new(),
    }
}

fn concert() -> Concert {
    Concert {
        id: concert_id("c"),
        title: "Kinky Boots".into(),
        artist: "CJ".into(),
        description: None,
        venue: venue_id("v"),
        poster_url: None,
        currency: Currency::parse("KRW").unwrap(),
        grades: vec![priced("VIP", 170_000), priced("R", 140_000)],
        cast: BTreeMap::new(),
        price_types: vec![],
        fees: vec![],
    }
}

fn plan() -> Plan {
    Plan {
        starts_at: NOW.plus(Seconds::DAY),
        ends_at: NOW.plus(Seconds::DAY).plus(Seconds::new(7_200)),
        sales_open_at: None,
        sales_close_at: None,
        casting: BTreeMap::new(),
        policy: Policy::default(),
    }
}

fn put_schedule(draft: &mut CatalogueDraft, id: &str) -> Result<Put, CatalogueRefusal> {
    draft.put_schedule(schedule_id(id), concert_id("c"), plan(), LIMITS)
}

/// A catalogue, and the changes tried on it.
#[derive(Default)]
struct Books {
    catalogue: Catalogue,
}

impl Books {
    /// Given a venue `v` and a concert `c` in it.
    fn with_concert() -> Self {
        let mut books = Self::default();
        books.change(|draft| draft.put_venue(venue())).unwrap();
        books.change(|draft| draft.put_concert(concert(), false)).unwrap();
        books
    }

    /// Given a schedule `s` of it too.
    fn with_schedule() -> Self {
        let mut books = Self::with_concert();
        books.change(|draft| put_schedule(draft, "s")).unwrap();
        books
    }

    /// When this is tried: all of it is taken over, or nothing.
    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut CatalogueDraft) -> Result<T, CatalogueRefusal>,
    ) -> Result<(T, usize), CatalogueRefusal> {
        let before = self.catalogue.clone();
        let mut draft = CatalogueDraft::new(&self.catalogue, NOW);
        let outcome = change(&mut draft);
        assert!(self.catalogue == before, "a draft changes nothing");
        let outcome = outcome?;
        for event in &draft.events {
            self.catalogue.apply(event, NOW, None);
        }
        assert!(self.catalogue == draft.catalogue, "what was tried is what happens");
        Ok((outcome, draft.events.len()))
    }

    /// Then it is refused because something uses it.
    fn in_use<T: core::fmt::Debug>(
        &mut self,
        change: impl FnOnce(&mut CatalogueDraft) -> Result<T, CatalogueRefusal>,
    ) {
        let outcome = self.change(change);
        assert!(matches!(outcome, Err(CatalogueRefusal::InUse(_))), "{outcome:?}");
    }

    /// Then it is refused because of this field.
    fn invalid<T: core::fmt::Debug>(
        &mut self,
        field: &str,
        change: impl FnOnce(&mut CatalogueDraft) -> Result<T, CatalogueRefusal>,
    ) {
        match self.change(change) {
            Err(CatalogueRefusal::Invalid(errors)) => {
                let fields: Vec<&str> = errors.iter().map(|error| &*error.field).collect();
                assert_eq!(fields, [field]);
            }
            outcome => panic!("{field}: {outcome:?}"),
        }
    }
}

#[test]
fn a_venue_is_created_then_replaced_and_an_equal_one_is_no_event() {
    let mut books = Books::default();
    assert_eq!(books.change(|draft| draft.put_venue(venue())), Ok((Put::Created, 1)));
    assert_eq!(books.change(|draft| draft.put_venue(venue())), Ok((Put::Replaced, 0)));
    let larger = venue_with("v", &["VIP", "R", "S"]);
    assert_eq!(books.change(|draft| draft.put_venue(larger)), Ok((Put::Replaced, 1)));
    assert_eq!(books.catalogue.venue("v").unwrap().layout.seat_count(), 12);
}

#[test]
fn a_venue_needs_a_time_zone_and_seats() {
    let mut books = Books::default();
    books.invalid("timeZone", |draft| draft.put_venue(Venue { time_zone: "Mars/Base".into(), ..venue() }));
    books.invalid("sections", |draft| draft.put_venue(Venue { sections: vec![], ..venue() }));
    let mut twice = venue();
    twice.sections[0].rows[1].id = "VIP".into();
    books.invalid("sections[0].rows[1]", |draft| draft.put_venue(twice));
}

#[test]
fn a_venue_with_a_schedule_changes_its_name_and_address_only() {
    let mut books = Books::with_schedule();
    let layout = Arc::clone(&books.catalogue.venue("v").unwrap().layout);
    let renamed = Venue { name: "Charlotte".into(), address: "Seoul".into(), ..venue() };
    assert_eq!(books.change(|draft| draft.put_venue(renamed)), Ok((Put::Replaced, 1)));
    let standing = books.catalogue.venue("v").unwrap();
    assert_eq!(standing.venue.name, "Charlotte");
    assert!(Arc::ptr_eq(&standing.layout, &layout), "its seats are the same ones");
    books.in_use(|draft| draft.put_venue(Venue { time_zone: "Asia/Tokyo".into(), ..venue() }));
    books.in_use(|draft| draft.put_venue(Venue { kind: "hall".into(), ..venue() }));
    books.in_use(|draft| draft.put_venue(venue_with("v", &["R", "VIP"])));
    assert_eq!(books.catalogue.venue("v").unwrap().venue.name, "Charlotte");
}

#[test]
fn a_venue_with_a_schedule_changes_what_its_areas_are_called_and_nothing_else_of_them() {
    let area = |id: &str, grade: &str, capacity| VenueArea {
        id: id.into(),
        floor: "1층".into(),
        name: "스탠딩".into(),
        grade: GradeName::parse(grade).unwrap(),
        capacity,
        outline: None,
    };
    let with = |areas: Vec<VenueArea>| Venue { areas, ..venue() };
    let mut books = Books::with_schedule();
    books.in_use(|draft| draft.put_venue(with(vec![area("pit", "VIP", 9)])));

    let mut books = Books::default();
    books.change(|draft| draft.put_venue(with(vec![area("pit", "ST", 9)]))).unwrap();
    books.invalid("grades", |draft| draft.put_concert(concert(), false));
    books.change(|draft| draft.put_venue(with(vec![area("pit", "VIP", 9)]))).unwrap();
    books.change(|draft| draft.put_concert(concert(), false)).unwrap();
    books.change(|draft| put_schedule(draft, "s")).unwrap();
    let layout = Arc::clone(&books.catalogue.venue("v").unwrap().layout);

    let point = |x| Point { x: Coordinate::parse(x).unwrap(), y: Coordinate::default() };
    let outline = Outline::new(vec![point("0"), point("1"), point("2")]);
    let changed = VenueArea { name: "Pit".into(), outline, ..area("pit", "VIP", 9) };
    assert_eq!(books.change(|draft| draft.put_venue(with(vec![changed]))), Ok((Put::Replaced, 1)));
    let standing = books.catalogue.venue("v").unwrap();
    assert!(Arc::ptr_eq(&standing.layout, &layout), "its places are the same ones");
    assert_eq!(&*standing.seating.area_names()[0], "Pit");

    let floor = VenueArea { floor: "2층".into(), ..area("pit", "VIP", 9) };
    for other in [area("pit", "VIP", 8), area("pit", "R", 9), area("x", "VIP", 9), floor] {
        books.in_use(|draft| draft.put_venue(with(vec![other])));
    }
    books.in_use(|draft| draft.put_venue(with(vec![])));
}

#[test]
fn a_venue_with_a_schedule_changes_its_plan_and_none_of_its_seats() {
    let mut books = Books::with_schedule();
    let built = |books: &Books| books.catalogue.venue("v").unwrap().clone();
    let point = |x| Point { x: Coordinate::parse(x).unwrap(), y: Coordinate::default() };
    let listed = |id: &str, number| ListedSeat::new(SeatId::parse(id).unwrap(), number);
    let seats = |edit: fn(&mut Vec<ListedSeat>)| {
        let mut seats = (1..=4).map(|number| listed(&format!("1층-B-VIP-{number}"), number)).collect();
        edit(&mut seats);
        let mut changed = venue();
        changed.sections[0].rows[0].seats = RowSeats::Listed(seats);
        changed
    };
    let before = built(&books);

    // Seats that are listed as they were counted are the same.
    let outline = Outline::new(vec![point("0"), point("1"), point("2")]);
    let mut on_a_line = venue();
    on_a_line.sections[0].rows[1].line = Some(Line { at: point("1"), step: point("2") });
    let mut outlined = venue();
    outlined.sections[0].outline = outline.clone();
    let changes = [
        Venue { stage: outline, ..venue() },
        outlined,
        on_a_line,
        seats(|seats| seats[0].accessible = true),
        seats(|seats| seats[3].at = Some(Point::default())),
    ];
    let mut plans = vec![before.seating.id()];
    for change in changes {
        assert_eq!(books.change(|draft| draft.put_venue(change)), Ok((Put::Replaced, 1)));
        let after = built(&books);
        assert!(Arc::ptr_eq(&after.layout, &before.layout), "its seats are the same ones");
        assert!(!plans.contains(&after.seating.id()), "it is another plan");
        assert!(books.catalogue.venue_with_plan(plans[plans.len() - 1]).is_none());
        assert!(books.catalogue.venue_with_plan(after.seating.id()).is_some());
        plans.push(after.seating.id());
    }

    books.in_use(|draft| draft.put_venue(seats(|seats| seats[0].number = 9)));
    books.in_use(|draft| draft.put_venue(seats(|seats| seats[0].id = SeatId::parse("x").unwrap())));
    books.in_use(|draft| draft.put_venue(seats(|seats| seats.swap(0, 1))));
    books.in_use(|draft| draft.put_venue(seats(|seats| drop(seats.pop()))));
    books.invalid("sections[0].rows[0].seats[1].companionOf", |draft| {
        draft.put_venue(seats(|seats| seats[1].companion_of = Some(SeatId::parse("x").unwrap())))
    });
    // The same content has the same name.
    assert_eq!(books.change(|draft| draft.put_venue(venue())), Ok((Put::Replaced, 1)));
    assert_eq!(built(&books).seating.id(), plans[0]);
    let renamed = Venue { name: "Charlotte".into(), ..venue() };
    assert_eq!(books.change(|draft| draft.put_venue(renamed)), Ok((Put::Replaced, 1)));
    assert_eq!(built(&books).seating.id(), plans[0]);
}

#[test]
fn a_venue_whose_concert_has_no_schedule_yet_can_be_rebuilt() {
    let mut books = Books::with_concert();
    assert_eq!(books.change(|draft| draft.put_venue(venue_with("v", &["R"]))), Ok((Put::Replaced, 1)));
}

#[test]
fn a_concert_is_created_then_replaced_and_an_equal_one_is_no_event() {
    let mut books = Books::with_concert();
    assert_eq!(books.change(|draft| draft.put_concert(concert(), false)), Ok((Put::Replaced, 0)));
    assert_eq!(books.change(|draft| draft.put_concert(concert(), true)), Ok((Put::Replaced, 0)));
    let retitled = Concert { title: "Boots".into(), ..concert() };
    assert_eq!(books.change(|draft| draft.put_concert(retitled, true)), Ok((Put::Replaced, 1)));
    assert_eq!(books.catalogue.concert("c").unwrap().title, "Boots");
}

#[test]
fn a_concert_needs_its_venue_and_a_price_for_each_of_its_grades() {
    let mut books = Books::with_concert();
    let with = |grades: Vec<PricedGrade>| Concert { grades, ..concert() };
    books.invalid("venueId", |draft| {
        draft.put_concert(Concert { venue: venue_id("nowhere"), ..concert() }, false)
    });
    books.invalid("grades", |draft| draft.put_concert(with(vec![]), false));
    books.invalid("grades", |draft| draft.put_concert(with(vec![priced("VIP", 1)]), false));
    let twice = vec![priced("VIP", 1), priced("R", 1), priced("VIP", 2)];
    books.invalid("grades[2].grade", |draft| draft.put_concert(with(twice), false));
    let many: Vec<PricedGrade> = (0..=GRADES_MAX).map(|grade| priced(&grade.to_string(), 1)).collect();
    books.invalid("grades", |draft| draft.put_concert(with(many), false));
    let free = vec![priced("VIP", 0), priced("R", 0), priced("unused", 5)];
    assert!(books.change(|draft| draft.put_concert(with(free), false)).is_ok());
}

#[test]
fn a_price_is_so_low_that_a_reservations_amount_can_be_written() {
    let mut books = Books::with_concert();
    let with = |price| Concert { grades: vec![priced("VIP", 1), priced("R", price)], ..concert() };
    let max = PRICE_MAX.minor();
    books.invalid("grades[1].price", |draft| draft.put_concert(with(max + 1), false));
    assert!(books.change(|draft| draft.put_concert(with(max), false)).is_ok());
}

#[test]
fn the_prices_of_a_concert_stand_once_a_sale_of_it_has_opened() {
    let mut books = Books::with_schedule();
    let with = |grades: Vec<PricedGrade>| Concert { grades, ..concert() };
    let repriced = || with(vec![priced("VIP", 1), priced("R", 140_000)]);
    books.in_use(|draft| draft.put_concert(repriced(), true));
    let more = with(vec![priced("VIP", 170_000), priced("R", 140_000), priced("S", 9)]);
    assert_eq!(books.change(|draft| draft.put_concert(more, true)), Ok((Put::Replaced, 1)));
    books.in_use(|draft| draft.put_concert(concert(), true));
    assert_eq!(books.change(|draft| draft.put_concert(repriced(), false)), Ok((Put::Replaced, 1)));
}

#[test]
fn the_venue_and_currency_of_a_concert_stand_once_it_has_a_schedule() {
    let moved = || Concert { venue: venue_id("w"), ..concert() };
    let converted = || Concert { currency: Currency::parse("JPY").unwrap(), ..concert() };
    let mut books = Books::with_schedule();
    books.change(|draft| draft.put_venue(venue_with("w", &["VIP", "R"]))).unwrap();
    books.in_use(|draft| draft.put_concert(moved(), false));
    books.in_use(|draft| draft.put_concert(converted(), false));
    books.catalogue.apply(&CatalogueEvent::ScheduleUnlisted(schedule_id("s")), NOW, None);
    assert!(books.change(|draft| draft.put_concert(moved(), false)).is_ok());
    assert!(books.change(|draft| draft.put_concert(converted(), false)).is_ok());
}

#[test]
fn a_schedule_is_created_with_its_concerts_venue_and_currency() {
    let books = Books::with_concert();
    let mut draft = CatalogueDraft::new(&books.catalogue, NOW);
    assert_eq!(put_schedule(&mut draft, "s"), Ok(Put::Created));
    let layout = Arc::clone(&books.catalogue.venue("v").unwrap().layout);
    let created = Creation {
        number: ScheduleNumber(1),
        id: schedule_id("s"),
        concert: concert_id("c"),
        venue: venue_id("v"),
        currency: Currency::parse("KRW").unwrap(),
        plan: Arc::new(plan()),
        limits: LIMITS,
        prices: Some(Arc::new(concert().prices(&layout).unwrap())),
    };
    let creation = Some(Arc::new(created));
    let (id, concert) = (schedule_id("s"), concert_id("c"));
    let listed = CatalogueEvent::ScheduleListed { id, number: ScheduleNumber(1), concert, creation };
    assert_eq!(draft.events, [listed]);
    assert_eq!(draft.replanned, []);
}

#[test]
fn what_schedules_are_created_with_is_known_until_all_of_them_are() {
    let mut books = Books::with_concert();
    for (index, id) in ["s", "r"].into_iter().enumerate() {
        books.change(|draft| put_schedule(draft, id)).unwrap();
        let begun = books.catalogue.creations();
        assert_eq!((begun.len(), begun[index].id.as_str()), (index + 1, id));
        assert_eq!(books.catalogue.schedule(id).unwrap().number, begun[index].number);
    }
    books.catalogue.apply(&CatalogueEvent::SchedulesCreated, NOW, None);
    assert_eq!(books.catalogue.creations(), []);
}

#[test]
fn a_schedule_that_is_there_is_given_its_plan_and_keeps_its_concert() {
    let mut books = Books::with_schedule();
    let mut draft = CatalogueDraft::new(&books.catalogue, NOW);
    assert_eq!(put_schedule(&mut draft, "s"), Ok(Put::Replaced));
    assert_eq!(draft.replanned, [(schedule_id("s"), concert_id("c"), Arc::new(plan()))]);
    assert_eq!(draft.events, [], "its own stream says what changes");
    books.change(|draft| draft.put_concert(Concert { id: concert_id("d"), ..concert() }, false)).unwrap();
    books.in_use(|draft| draft.put_schedule(schedule_id("s"), concert_id("d"), plan(), LIMITS));
}

#[test]
fn a_schedule_needs_a_concert_that_has_a_price_for_every_seat() {
    let mut books = Books::with_concert();
    books.invalid("concertId", |draft| {
        draft.put_schedule(schedule_id("s"), concert_id("none"), plan(), LIMITS)
    });
    books.change(|draft| draft.put_venue(venue_with("v", &["VIP", "R", "S"]))).unwrap();
    books.invalid("concertId", |draft| put_schedule(draft, "s"));
}

#[test]
fn a_plan_goes_forward_in_time() {
    let (start, end) = (plan().starts_at, plan().ends_at);
    let second = Seconds::new(1);
    let mut books = Books::with_schedule();
    let mut refuse = |field: &str, plan: Plan| {
        for id in ["s", "new"] {
            let plan = plan.clone();
            books.invalid(field, |draft| draft.put_schedule(schedule_id(id), concert_id("c"), plan, LIMITS));
        }
    };
    refuse("endsAt", Plan { ends_at: start, ..plan() });
    refuse("salesCloseAt", Plan { sales_close_at: Some(end.plus(second)), ..plan() });
    refuse("salesOpenAt", Plan { sales_open_at: Some(start), ..plan() });
    let close = start.minus(second);
    refuse("salesOpenAt", Plan { sales_open_at: Some(close), sales_close_at: Some(close), ..plan() });
    let close = Plan { sales_open_at: Some(start), sales_close_at: Some(end), ..plan() };
    let put =
        |draft: &mut CatalogueDraft| draft.put_schedule(schedule_id("late"), concert_id("c"), close, LIMITS);
    assert!(books.change(put).is_ok(), "a sale may go on until the show ends");
}

#[test]
fn only_what_nothing_uses_is_removed() {
    let mut books = Books::with_schedule();
    books.in_use(|draft| draft.remove_venue(&venue_id("v")));
    books.in_use(|draft| draft.remove_concert(&concert_id("c")));
    books.catalogue.apply(&CatalogueEvent::ScheduleUnlisted(schedule_id("s")), NOW, None);
    books.in_use(|draft| draft.remove_venue(&venue_id("v")));
    books.change(|draft| draft.remove_concert(&concert_id("c"))).unwrap();
    books.change(|draft| draft.remove_venue(&venue_id("v"))).unwrap();
    let gone = books.change(|draft| draft.remove_concert(&concert_id("c")));
    assert_eq!(gone, Err(CatalogueRefusal::NotFound));
    assert_eq!(books.change(|draft| draft.remove_venue(&venue_id("v"))), Err(CatalogueRefusal::NotFound));
    let counts = (books.catalogue.venues().count(), books.catalogue.concerts().count());
    assert_eq!((counts, books.catalogue.schedules().count()), ((0, 0), 0));
}

#[test]
fn the_number_of_a_removed_schedule_is_never_used_again() {
    let mut books = Books::with_schedule();
    books.change(|draft| put_schedule(draft, "t")).unwrap();
    for id in ["s", "t"] {
        books.catalogue.apply(&CatalogueEvent::ScheduleUnlisted(schedule_id(id)), NOW, None);
    }
    books.change(|draft| put_schedule(draft, "s")).unwrap();
    assert_eq!(books.catalogue.schedule("s").unwrap().number, ScheduleNumber(3));
    books.catalogue.restore_counters(99, u32::MAX, NOW);
    books.in_use(|draft| put_schedule(draft, "u"));
}

#[test]
fn an_import_is_tried_whole_and_its_later_items_see_the_earlier_ones() {
    let mut books = Books::default();
    let import = |draft: &mut CatalogueDraft| {
        draft.put_venue(venue())?;
        draft.put_concert(concert(), false)?;
        put_schedule(draft, "s")?;
        put_schedule(draft, "t")
    };
    assert_eq!(books.change(import), Ok((Put::Created, 4)));
    assert_eq!(books.catalogue.last_schedule(), 2);
    assert_eq!(books.change(import), Ok((Put::Replaced, 0)), "what is there and equal is left alone");
}

#[test]
fn an_import_with_one_wrong_item_changes_nothing() {
    let mut books = Books::default();
    let outcome = books.change(|draft| {
        draft.put_venue(venue())?;
        draft.put_concert(concert(), false)?;
        draft.put_schedule(schedule_id("s"), concert_id("none"), plan(), LIMITS)
    });
    assert!(outcome.is_err());
    assert!(books.catalogue == Catalogue::default());
}

#[test]
fn a_key_is_kept_with_the_event_that_is_its_effect() {
    let mut books = Books::default();
    let key = KeyUse { digest: 1, fingerprint: 7 };
    books.catalogue.apply(&CatalogueEvent::VenuePut(Arc::new(venue())), NOW, Some(key));
    let found = books.catalogue.keys().find(key, NOW);
    assert_eq!(found, Some(KeyFound::Answered { answer: &(), version: 1 }));
    let next_day = NOW.plus(Seconds::DAY);
    books.catalogue.apply(&CatalogueEvent::VenueRemoved(venue_id("v")), next_day, None);
    assert!(books.catalogue.keys().is_empty());
}

#[test]
#[should_panic(expected = "never runs backwards")]
fn time_never_runs_backwards_for_the_catalogue() {
    let mut books = Books::with_concert();
    let earlier = NOW.minus(Seconds::new(1));
    books.catalogue.apply(&CatalogueEvent::ConcertRemoved(concert_id("c")), earlier, None);
}

#[test]
fn a_schedule_in_the_archive_stays_listed_and_takes_no_other_plan() {
    let mut books = Books::with_schedule();
    let archived = Archived { version: 3, payments: 4, opened: true };
    assert_eq!(
        (books.catalogue.archived_count(), books.catalogue.has_archived_sale(&concert().id)),
        (0, false)
    );
    let event = CatalogueEvent::ScheduleArchived { id: schedule_id("s"), archived };
    books.catalogue.apply(&event, NOW, None);
    let number = books.catalogue.schedule("s").unwrap().number;
    let listed: Vec<_> = books.catalogue.archived().collect();
    assert_eq!(listed, [(number, &schedule_id("s"), archived)]);
    assert!(books.catalogue.is_archived(number) && books.catalogue.has_archived_sale(&concert().id));
    assert_eq!(books.catalogue.find_archived(number).unwrap().0, archived);
    // Its id stays taken, its concert and venue stay in use.
    books.in_use(|draft| draft.remove_concert(&concert().id));
    books.in_use(|draft| draft.put_venue(venue_with("v", &["VIP"])));
    let other = Concert { id: concert_id("d"), ..concert() };
    books.change(|draft| draft.put_concert(other, false)).unwrap();
    books.in_use(|draft| draft.put_schedule(schedule_id("s"), concert_id("d"), plan(), LIMITS));
    let mut draft = CatalogueDraft::new(&books.catalogue, NOW);
    assert_eq!(put_schedule(&mut draft, "s"), Ok(Put::Replaced));
    assert!(draft.replanned.is_empty() && draft.events.is_empty());
    assert_eq!(
        draft.archived,
        [(number, Arc::new(plan()))],
        "whether it is the same is for the archive to say"
    );
}

/// Says what is in each field of a catalogue.
fn inside(catalogue: &Catalogue) -> Inside {
    let Catalogue {
        venues,
        concerts,
        schedules,
        archived,
        last_schedule,
        creations,
        replans,
        keys,
        version,
        last_instant,
    } = catalogue;
    let venues: Vec<_> =
        venues.iter().map(|(id, built)| (id, &built.venue, built.layout.seat_count())).collect();
    let keys = keys.inside();
    said![
        venues,
        concerts,
        schedules,
        archived,
        last_schedule,
        creations,
        replans,
        keys,
        version,
        last_instant
    ]
}

/// What is asked, each of one of three things.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Venue(usize, bool),
    Concert(usize, usize),
    Schedule(usize, usize),
    RemoveVenue(usize),
    RemoveConcert(usize),
    Created,
    Unlist(usize),
    Archive(usize),
    Nothing,
}

fn asks() -> impl Strategy<Value = Ask> {
    let one = || 0..3_usize;
    prop_oneof![
        2 => (one(), any::<bool>()).prop_map(|(which, other)| Ask::Venue(which, other)),
        2 => (one(), one()).prop_map(|(which, venue)| Ask::Concert(which, venue)),
        3 => (one(), one()).prop_map(|(which, concert)| Ask::Schedule(which, concert)),
        1 => one().prop_map(Ask::RemoveVenue),
        1 => one().prop_map(Ask::RemoveConcert),
        1 => Just(Ask::Created),
        1 => one().prop_map(Ask::Unlist),
        1 => one().prop_map(Ask::Archive),
        1 => Just(Ask::Nothing),
    ]
}

/// The events that come of what is asked.
fn events(catalogue: &Catalogue, ask: Ask, now: Timestamp) -> Vec<CatalogueEvent> {
    const NAMES: [&str; 3] = ["one", "two", "three"];
    let mut draft = CatalogueDraft::new(catalogue, now);
    let done = match ask {
        Ask::Venue(which, other) => {
            let grades: &[&str] = if other { &["VIP"] } else { &["VIP", "R"] };
            draft.put_venue(venue_with(NAMES[which], grades)).map(drop)
        }
        Ask::Concert(which, venue) => {
            let concert =
                Concert { id: concert_id(NAMES[which]), venue: venue_id(NAMES[venue]), ..concert() };
            draft.put_concert(concert, false).map(drop)
        }
        Ask::Schedule(which, concert) => draft
            .put_schedule(schedule_id(NAMES[which]), concert_id(NAMES[concert]), plan(), LIMITS)
            .map(drop),
        Ask::RemoveVenue(which) => draft.remove_venue(&venue_id(NAMES[which])),
        Ask::RemoveConcert(which) => draft.remove_concert(&concert_id(NAMES[which])),
        Ask::Unlist(which) | Ask::Archive(which) => {
            let id = schedule_id(NAMES[which]);
            let live = catalogue.schedule(&id).is_some_and(|listing| listing.archived.is_none());
            let archived = Archived { version: 3, payments: 4, opened: true };
            let moves = matches!(ask, Ask::Archive(_));
            let event = if moves {
                CatalogueEvent::ScheduleArchived { id, archived }
            } else {
                CatalogueEvent::ScheduleUnlisted(id)
            };
            return live.then_some(event).into_iter().collect();
        }
        Ask::Created => return vec![CatalogueEvent::SchedulesCreated],
        Ask::Nothing => return vec![CatalogueEvent::KeyKept],
    };
    if done.is_ok() { draft.events } else { Vec::new() }
}

proptest! {
    // Days go by, so that keys are forgotten.
    #[test]
    fn whenever_the_process_was_restarted_what_comes_is_as_if_it_never_was(
        steps in prop::collection::vec(
            (asks(), 0..40_000_u32, prop::option::weighted(0.5, 0..4_u128), prop::bool::weighted(0.3)),
            1..80,
        ),
    ) {
        let (mut catalogue, mut follower, mut now) = (Catalogue::default(), Catalogue::default(), NOW);
        for (ask, pause, digest, restart) in &steps {
            now = now.plus(Seconds::new(*pause));
            let key = digest.map(|digest| KeyUse { digest, fingerprint: 7 });
            let mut key = key.filter(|key| catalogue.keys().find(*key, now).is_none());
            for event in events(&catalogue, *ask, now) {
                let mut bytes = Vec::new();
                let version = catalogue.version() + 1;
                record::encode_fact(&mut bytes, version, now, key.take(), record::FactRef::Catalogue(&event));
                let read = record::decode(&bytes).unwrap();
                let record::Fact::Catalogue(event) = read.fact else { panic!("another stream's") };
                catalogue.apply(&event, read.at, read.key);
                follower.apply(&event, read.at, read.key);
            }
            prop_assert_eq!(inside(&follower), inside(&catalogue), "R1");
            if *restart {
                follower = reread(&record::Section::Catalogue(Arc::new(follower))).catalogue;
                prop_assert_eq!(inside(&follower), inside(&catalogue), "R1: an image is the state");
            }
        }
    }
}
