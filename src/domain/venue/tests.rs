//! What a venue's seats are, where they are, and what is refused.

use proptest::prelude::*;

use super::*;

fn row(id: &str, grade: &str, length: u32) -> Row {
    Row {
        id: id.into(),
        grade: GradeName::parse(grade).unwrap(),
        line: None,
        seats: RowSeats::Length(length),
    }
}

fn section(floor: &str, id: &str, rows: Vec<Row>) -> Section {
    Section { id: id.into(), floor: floor.into(), outline: None, rows }
}

fn theatre() -> Vec<Section> {
    ["A", "B", "C"].map(|id| section("1", id, vec![row("1", "VIP", 4), row("2", "R", 4)])).into()
}

#[test]
fn a_seat_is_found_by_its_id_and_knows_its_place() {
    let layout = Layout::new(&theatre()).unwrap();
    assert_eq!(layout.seat_count(), 24);
    for seat in layout.seats() {
        assert_eq!(layout.seat(layout.seat_id(seat)), Some(seat));
    }
    let seat = layout.seat("1-B-2-3").unwrap();
    assert_eq!(layout.seat_number(seat), 3);
    assert_eq!(&*layout.row(seat).id, "2");
    assert_eq!(layout.grades()[layout.grade_of(seat).index()].as_str(), "R");
    assert_eq!(layout.seat("1-B-2-5"), None);
}

#[test]
fn the_best_rows_of_a_grade_stand_in_front_and_in_the_middle() {
    let layout = Layout::new(&theatre()).unwrap();
    let sections: Vec<&str> = layout
        .rows_of(layout.grade("VIP").unwrap())
        .iter()
        .map(|&row| &layout.rows()[usize::try_from(row).unwrap()])
        .map(|row| &*layout.sections()[usize::from(row.section)].id)
        .collect();
    assert_eq!(sections, ["B", "A", "C"]);
}

#[test]
fn listed_seats_keep_their_ids_and_order() {
    let seats =
        [("x9", 9), ("x7", 7)].map(|(id, number)| ListedSeat::new(SeatId::parse(id).unwrap(), number));
    let mut sections = theatre();
    sections[0].rows[0].seats = RowSeats::Listed(seats.into());
    let layout = Layout::new(&sections).unwrap();
    assert_eq!(layout.seat_id(Seat(0)), "x9");
    assert_eq!(layout.seat_number(Seat(1)), 7);
}

#[test]
fn what_comes_twice_or_is_empty_is_refused_with_its_path() {
    let refused = |sections: &[Section]| Layout::new(sections).unwrap_err().path;
    let twice = |index: usize| {
        let mut sections = theatre();
        let copy = sections[index].clone();
        sections.push(copy);
        sections
    };
    assert_eq!(refused(&twice(1)), "sections[3]");
    let mut sections = theatre();
    sections[1].rows.push(row("1", "R", 2));
    assert_eq!(refused(&sections), "sections[1].rows[2]");
    let mut sections = theatre();
    sections[2].rows[1].seats = RowSeats::Listed(vec![ListedSeat::new(SeatId::parse("1-A-1-1").unwrap(), 1)]);
    assert_eq!(refused(&sections), "sections[2].rows[1]");
    sections[2].rows[1].seats = RowSeats::Length(0);
    assert_eq!(refused(&sections), "sections[2].rows[1]");
    sections[2].rows[1].seats = RowSeats::Length(VENUE_SEATS_MAX);
    assert_eq!(refused(&sections), "sections[2].rows[1]");
    assert_eq!(refused(&[]), "sections");
}

fn area(id: &str, grade: &str, capacity: u32) -> VenueArea {
    VenueArea {
        id: id.into(),
        floor: "1".into(),
        name: id.to_uppercase(),
        grade: GradeName::parse(grade).unwrap(),
        capacity,
        outline: None,
    }
}

#[test]
fn an_area_is_found_by_its_id_and_its_grade_is_the_layouts() {
    let areas = [area("pit", "ST", 800), area("lawn", "R", AREA_CAPACITY_MAX)];
    let layout = Layout::with_areas(&theatre(), &areas).unwrap();
    assert_eq!(
        (layout.area("pit"), layout.area("lawn"), layout.area("x")),
        (Some(Area(0)), Some(Area(1)), None)
    );
    assert_eq!((layout.seat_count(), layout.place_count()), (24, 100_800));
    let grades: Vec<&str> =
        layout.areas().iter().map(|area| layout.grades()[area.grade.index()].as_str()).collect();
    assert_eq!(grades, ["ST", "R"]);
    assert!(layout.rows_of(layout.grade("ST").unwrap()).is_empty());

    let standing = Layout::with_areas(&[], &areas).unwrap();
    assert_eq!((standing.seat_count(), standing.place_count()), (0, 100_800));
    let renamed = VenueArea { name: "x".into(), ..area("pit", "ST", 800) };
    let with = |first: VenueArea| Layout::with_areas(&theatre(), &[first, areas[1].clone()]).unwrap();
    assert!(with(renamed).has_same_seats(&layout));
    for other in [area("pit", "ST", 801), area("pit", "R", 800), area("x", "ST", 800)] {
        assert!(!with(other).has_same_seats(&layout));
    }
}

#[test]
fn an_area_that_cannot_be_is_refused_with_its_field() {
    let refused = |areas: &[VenueArea]| Layout::with_areas(&[], areas).unwrap_err().path;
    assert_eq!(refused(&[area("a", "R", 1), area("a", "S", 2)]), "areas[1].areaId");
    assert_eq!(refused(&[area("a", "R", 1), area("b", "R", 0)]), "areas[1].capacity");
    assert_eq!(refused(&[area("a", "R", AREA_CAPACITY_MAX + 1)]), "areas[0].capacity");
    let many: Vec<VenueArea> = (0..=VENUE_AREAS_MAX).map(|id| area(&id.to_string(), "R", 1)).collect();
    assert_eq!(refused(&many), "areas");
    assert!(Layout::with_areas(&[], &many[1..]).is_ok());
    assert_eq!(refused(&[]), "sections");
}

/// Reads the points of a plan.
fn point(x: &str, y: &str) -> Point {
    let coordinate = |text: &str| Coordinate::parse(text).unwrap();
    Point { x: coordinate(x), y: coordinate(y) }
}

/// A venue of these sections.
fn venue(sections: Vec<Section>) -> Venue {
    Venue {
        id: VenueId::parse("v").unwrap(),
        name: "Hall".into(),
        address: String::new(),
        kind: "hall".into(),
        time_zone: "UTC".into(),
        stage: None,
        sections,
        areas: Vec::new(),
    }
}

fn seating(venue: &Venue) -> Result<Seating, InvalidVenue> {
    Seating::new(venue, &Layout::with_areas(&venue.sections, &venue.areas).unwrap())
}

/// Returns where the seats are, as text.
fn placed(sections: &[Section]) -> Vec<String> {
    let places = places(sections, &Layout::new(sections).unwrap()).unwrap();
    places.iter().map(|at| format!("{},{}", at.x, at.y)).collect()
}

/// A row of listed seats.
fn listed(id: &str, seats: Vec<ListedSeat>) -> Row {
    Row { seats: RowSeats::Listed(seats), ..row(id, "R", 1) }
}

fn seat(id: &str) -> ListedSeat {
    ListedSeat::new(SeatId::parse(id).unwrap(), 1)
}

fn seat_at(id: &str, x: &str, y: &str) -> ListedSeat {
    ListedSeat { at: Some(point(x, y)), ..seat(id) }
}

#[test]
fn a_plan_without_coordinates_is_laid_out_by_its_order() {
    let sections = vec![
        section("1", "A", vec![row("1", "R", 2), row("2", "R", 4)]),
        section("1", "B", vec![row("1", "R", 3)]),
        section("2", "A", vec![row("1", "R", 1)]),
    ];
    // The first floor is 4 seats, an aisle of 2 and 3 seats wide; the second stands behind it, at its middle.
    let first = ["1.5,0.5", "2.5,0.5", "0.5,1.5", "1.5,1.5", "2.5,1.5", "3.5,1.5"];
    let others = ["6.5,0.5", "7.5,0.5", "8.5,0.5", "4.5,4.5"];
    assert_eq!(placed(&sections), [&first[..], &others[..]].concat());
}

#[test]
fn a_seats_own_point_comes_before_the_line_and_others_go_on_at_the_pace_of_theirs() {
    let line = Line { at: point("3.5", "12"), step: point("0.6", "-0.1") };
    let mut on_a_line = listed("1", vec![seat("a"), seat_at("b", "9", "9"), seat("c")]);
    on_a_line.line = Some(line);
    let counted = Row { line: Some(line), ..row("2", "R", 3) };
    let seats = ["d", "e", "f", "g", "h"].map(seat);
    let mut gaps = listed("3", seats.into());
    let RowSeats::Listed(seats) = &mut gaps.seats else { unreachable!() };
    seats[1].at = Some(point("10", "20"));
    seats[3].at = Some(point("11", "21"));
    let alone = listed("4", vec![seat("i"), seat_at("j", "-1", "5"), seat("k")]);

    let sections = [section("1", "A", vec![on_a_line, counted, gaps, alone])];
    assert_eq!(
        placed(&sections),
        [
            ["3.5,12", "9,9", "4.7,11.8"].as_slice(),
            &["3.5,12", "4.1,11.9", "4.7,11.8"],
            &["9.5,19.5", "10,20", "10.5,20.5", "11,21", "11.5,21.5"],
            &["-2,5", "-1,5", "0,5"],
        ]
        .concat()
    );
}

#[test]
fn rows_without_coordinates_stand_behind_those_with_some_and_at_their_middle() {
    let line = Line { at: point("10", "5"), step: point("2", "0") };
    let rows = vec![Row { line: Some(line), ..row("1", "R", 3) }, row("2", "R", 2)];
    let sections = [section("1", "A", rows)];
    assert_eq!(placed(&sections), ["10,5", "12,5", "14,5", "11.5,7.5", "12.5,7.5"]);
}

#[test]
fn a_row_that_leads_off_the_plan_is_refused() {
    let line = Line { at: point("999999", "0"), step: point("0.5", "0") };
    let of = |length| {
        [section("1", "A", vec![row("0", "R", 1), Row { line: Some(line), ..row("1", "R", length) }])]
    };
    let refused = |sections: &[Section]| places(sections, &Layout::new(sections).unwrap()).unwrap_err().path;
    assert_eq!(placed(&of(3)).last().unwrap(), "1000000,0");
    assert_eq!(refused(&of(4)), "sections[0].rows[1]");
    let pair = vec![seat_at("a", "0", "-1000000"), seat_at("b", "0", "1000000"), seat("c")];
    assert_eq!(refused(&[section("1", "A", vec![listed("1", pair)])]), "sections[0].rows[0]");
}

#[test]
fn a_companions_seat_names_another_seat_that_is_accessible() {
    let companion = |of: &str| ListedSeat { companion_of: Some(SeatId::parse(of).unwrap()), ..seat("x") };
    let accessible = |id: &str| ListedSeat { accessible: true, ..seat(id) };
    let of = |seats: Vec<ListedSeat>| {
        venue(vec![section("1", "A", vec![row("1", "R", 2)]), section("2", "A", vec![listed("1", seats)])])
    };

    let right = of(vec![companion("y"), accessible("y"), ListedSeat { restricted_view: true, ..seat("z") }]);
    let marks = seating(&right).unwrap();
    let marks = [1, 2, 3, 4].map(|index| marks.marks(Seat(index)));
    let none = Marks::default();
    let known = seating(&right).unwrap();
    assert_eq!(known.special(), [Seat(2), Seat(3)]);
    assert!(known.is_special(Seat(2)) && !known.is_special(Seat(4)));
    assert_eq!(known.companions_of(Seat(3)).collect::<Vec<_>>(), [Seat(2)]);
    assert_eq!(known.companions_of(Seat(2)).count(), 0);
    assert_eq!(
        marks,
        [
            none,
            Marks { companion_of: Some(Seat(3)), ..none },
            Marks { accessible: true, ..none },
            Marks { restricted_view: true, ..none },
        ]
    );

    let of_itself = ListedSeat { accessible: true, ..companion("x") };
    for wrong in [companion("y"), companion("1-A-1-1"), companion("nowhere"), of_itself] {
        let refused = seating(&of(vec![seat("y"), wrong])).unwrap_err();
        assert_eq!(refused.path, "sections[1].rows[0].seats[1].companionOf");
    }
}

#[test]
fn a_plans_id_is_its_contents_and_changes_with_each_part_of_it() {
    let outline = || Outline::new(vec![point("0", "0"), point("4", "0"), point("4", "1")]);
    let seats = vec![seat("a"), ListedSeat { accessible: true, ..seat("b") }];
    let base = venue(vec![section("1", "A", vec![row("1", "R", 2), listed("2", seats)])]);
    let base = Venue { areas: vec![area("a", "R", 2)], ..base };
    let edits: [fn(&mut Venue); 17] = [
        |venue| venue.sections[0].id = "B".into(),
        |venue| venue.sections[0].floor = "2".into(),
        |venue| venue.sections[0].rows[0].id = "9".into(),
        |venue| venue.sections[0].rows[0].grade = GradeName::parse("S").unwrap(),
        |venue| venue.sections[0].rows[0].seats = RowSeats::Length(3),
        |venue| {
            venue.sections[0].rows[0].line = Some(Line { at: point("0.5", "0.5"), step: point("2", "0") });
        },
        |venue| of_second(venue)[0].number = 7,
        |venue| of_second(venue)[0].at = Some(point("1", "1")),
        |venue| of_second(venue)[0].companion_of = Some(SeatId::parse("b").unwrap()),
        |venue| of_second(venue)[1].restricted_view = true,
        |venue| of_second(venue)[1].accessible = false,
        |venue| venue.areas[0].id = "b".into(),
        |venue| venue.areas[0].name = "B".into(),
        |venue| venue.areas[0].floor = "2".into(),
        |venue| venue.areas[0].capacity = 3,
        |venue| {
            let corners = [("0", "0"), ("1", "0"), ("1", "1")];
            venue.areas[0].outline = Outline::new(corners.map(|(x, y)| point(x, y)).into());
        },
        |venue| venue.areas.push(area("b", "R", 1)),
    ];
    let mut plans = vec![base.clone()];
    for edit in edits {
        let mut plan = base.clone();
        edit(&mut plan);
        plans.push(plan);
    }
    plans.push(Venue { stage: outline(), ..base.clone() });
    plans.push(base.clone());
    plans.last_mut().unwrap().sections[0].outline = outline();

    let ids: Vec<String> = plans.iter().map(|venue| seating(venue).unwrap().id().to_string()).collect();
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(PlanId::parse(id).unwrap().to_string(), *id);
        assert!(!ids[..index].contains(id), "the change {index} is another plan");
    }

    // What isn't on the plan changes nothing, nor does another way to write the same.
    let mut same = Venue { name: "Another".into(), id: VenueId::parse("w").unwrap(), ..base.clone() };
    let row = &mut same.sections[0].rows[0];
    row.seats = RowSeats::Listed(
        (1..=2).map(|number| ListedSeat { number, ..seat(&format!("1-A-1-{number}")) }).collect(),
    );
    row.line = Some(Line { at: point("0.5", "0.5"), step: point("1", "0") });
    of_second(&mut same)[0].at = Some(point("0.5", "1.5"));
    of_second(&mut same)[1].at = Some(point("1.5", "1.5"));
    assert_eq!(seating(&same).unwrap().id().to_string(), ids[0]);
    // Clients keep what an id named: whatever changes this must raise `PLAN_FORM`.
    assert_eq!(ids[0], "9f7d489467ff27413df4985907b51306");
    let without = seating(&Venue { areas: Vec::new(), ..base }).unwrap();
    assert_eq!(without.id().to_string(), "03195fbee794c711545c6c91a1adf945", "as before there were areas");
}

fn of_second(venue: &mut Venue) -> &mut Vec<ListedSeat> {
    let RowSeats::Listed(seats) = &mut venue.sections[0].rows[1].seats else { unreachable!() };
    seats
}

#[test]
fn what_is_no_plans_id_is_not_read() {
    let id = "0123456789abcdef0123456789abcdef";
    assert!(PlanId::parse(id).is_some());
    for text in ["", &id[1..], &id.to_uppercase(), &format!("+{}", &id[1..]), &format!("{id}0")] {
        assert_eq!(PlanId::parse(text), None, "{text}");
    }
}

proptest! {
    /// Whatever a plan says of some seats, each has a place, and those without a word of their own keep their distance.
    #[test]
    fn every_seat_has_one_place_and_no_two_of_a_plan_by_order_share_it(
        sections in prop::collection::vec((0..3_u8, prop::collection::vec(1..6_u32, 0..4)), 1..5),
    ) {
        let sections: Vec<Section> = sections
            .iter()
            .enumerate()
            .map(|(index, (floor, rows))| {
                let rows = rows.iter().enumerate().map(|(row_index, len)| row(&row_index.to_string(), "R", *len));
                section(&floor.to_string(), &index.to_string(), rows.collect())
            })
            .collect();
        prop_assume!(sections.iter().any(|section| !section.rows.is_empty()));
        let layout = Layout::new(&sections).unwrap();
        let places = places(&sections, &layout).unwrap();
        let distinct: std::collections::HashSet<Point> = places.iter().copied().collect();
        prop_assert_eq!(distinct.len(), layout.seats().len());
        for place in &places {
            prop_assert!(place.x > Coordinate::default() && place.y > Coordinate::default());
        }
    }
}
