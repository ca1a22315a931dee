use proptest::prelude::*;

use super::*;
use crate::domain::ids::{GradeName, SeatId, VenueId};
use crate::domain::venue::{ListedSeat, Row, RowSeats, Section, Venue};

/// A hall in whose pictures `.` is a free seat and anything else a taken one.
struct Hall {
    layout: Layout,
    owners: Vec<u32>,
    free_in_row: Vec<u32>,
}

impl Hall {
    fn new(sections: &[Section], owners: Vec<u32>) -> Self {
        let layout = Layout::new(sections).unwrap();
        let free_in = |row: &LayoutRow| owners[row.range()].iter().filter(|o| **o == 0).count();
        let free_in_row = layout.rows().iter().map(|row| u32::try_from(free_in(row)).unwrap()).collect();
        Self { layout, owners, free_in_row }
    }

    /// One section whose rows are `{grade} {picture}`, the front row first.
    fn drawn(rows: &[&str]) -> Self {
        let pictures = || rows.iter().map(|row| row.split_once(' ').unwrap());
        let rows = pictures().enumerate().map(|(index, (grade, picture))| Row {
            id: index.to_string(),
            grade: GradeName::parse(grade).unwrap(),
            line: None,
            seats: RowSeats::Length(u32::try_from(picture.len()).unwrap()),
        });
        let section = Section { id: "A".into(), floor: "1".into(), outline: None, rows: rows.collect() };
        let owners =
            pictures().flat_map(|(_, picture)| picture.chars()).map(|seat| u32::from(seat != '.')).collect();
        Self::new(&[section], owners)
    }

    fn free(&self) -> FreeSeats<'_> {
        let Self { layout, owners, free_in_row } = self;
        FreeSeats { layout, owners, free_in_row, kept: &[], sections: &[] }
    }

    fn grades(&self, names: &str) -> Vec<Grade> {
        names.split_terminator(',').map(|name| self.layout.grade(name).unwrap()).collect()
    }

    /// Draws every row, with `mark` on these seats.
    fn draw(&self, seats: &[Seat], mark: char) -> Vec<String> {
        let draw = |index: usize| match self.owners[index] {
            _ if seats.iter().any(|seat| seat.index() == index) => mark,
            0 => '.',
            _ => 'x',
        };
        self.layout.rows().iter().map(|row| row.range().map(draw).collect()).collect()
    }
}

/// Checks what is found for a party, drawn with `o`.
#[track_caller]
fn check(hall: &[&str], grades: &str, count: u32, avoid_orphans: bool, found: &[&str]) {
    let hall = Hall::drawn(hall);
    let seats = hall.free().best_available(&hall.grades(grades), count, avoid_orphans);
    let drawn = seats.map_or(vec![], |seats| hall.draw(&seats, 'o'));
    assert_eq!(drawn, found);
}

#[test]
fn a_party_sits_in_the_middle_of_the_best_row_with_room() {
    check(&["V ...x...", "V ......"], "V", 2, false, &[".oox...", "......"]);
    check(&["V ..x..x..", "V ......."], "V", 3, false, &["..x..x..", "..ooo.."]);
    check(&["V .....", "R ....."], "R,V", 1, false, &[".....", "..o.."]);
    check(&["V .x.", "R ...."], "V,R", 2, false, &[".x.", ".oo."]);
}

#[test]
fn a_party_of_two_moves_aside_rather_than_strand_a_seat() {
    check(&["V x....x"], "V", 2, false, &["x.oo.x"]);
    check(&["V x....x"], "V", 2, true, &["xoo..x"]);
    check(&["V .....x"], "V", 2, true, &[".oo..x"]);
    check(&["V x...x", "V ...."], "V", 2, true, &["x...x", ".oo."]);
}

#[test]
fn an_unavoidable_orphan_is_left_before_a_party_is_sent_to_a_lesser_grade() {
    check(&["V xx...x", "R ...."], "V,R", 2, true, &["xxoo.x", "...."]);
    check(&["V xx...x", "V xx...x"], "V", 2, true, &["xxoo.x", "xx...x"]);
    check(&["V xx...x", "V x..x"], "V", 2, true, &["xx...x", "xoox"]);
}

#[test]
fn a_party_is_split_only_where_no_row_has_room() {
    check(&["V x..x.x", "R ....."], "V,R", 3, false, &["x..x.x", ".ooo."]);
    check(&["V .xx.x", "V x..xx"], "V", 3, false, &[".xxox", "xooxx"]);
}

#[test]
fn the_longest_run_is_taken_first_though_it_leaves_someone_alone() {
    check(&["V ..x...x..x"], "V", 4, true, &[".oxooox..x"]);
}

#[test]
fn a_split_party_stays_in_one_grade_where_it_can() {
    check(&["V .x.", "R ..x..x"], "V,R", 4, false, &[".x.", "ooxoox"]);
    check(&["V .x.", "R ..x..x"], "V,R", 3, false, &[".x.", ".oxoox"]);
    check(&["V .x.", "R ..x..x"], "V,R", 5, false, &["ox.", "ooxoox"]);
}

#[test]
fn there_is_no_answer_only_where_seats_are_too_few() {
    check(&["V .x.", "R ...."], "V", 3, false, &[]);
    check(&["V .x.", "R ...."], "", 1, false, &[]);
    check(&["V .x."], "V,V", 3, true, &[]);
    check(&["V .x."], "V,V", 2, true, &["oxo"]);
}

#[test]
#[should_panic(expected = "seats are searched for somebody")]
fn nobody_has_no_seats_searched() {
    check(&["V ..."], "V", 0, false, &[]);
}

/// Checks which orphans a hold of the seats drawn `o` could avoid, drawn with `!`.
#[track_caller]
fn check_orphans(hall: &[&str], avoidable: &[&str]) {
    let before = hall.iter().map(|row| row.replace('o', ".")).collect::<Vec<_>>();
    let before = Hall::drawn(&before.iter().map(String::as_str).collect::<Vec<_>>());
    let seats = hall.iter().flat_map(|row| row.split_once(' ').unwrap().1.chars());
    let taken: Vec<Seat> =
        seats.zip(before.layout.seats()).filter(|(c, _)| *c == 'o').map(|(_, seat)| seat).collect();
    let orphans = before.free().avoidable_orphans(&taken);
    assert_eq!(before.draw(&orphans, '!'), avoidable);
}

#[test]
fn a_single_seat_between_taken_ones_is_an_orphan_and_one_at_the_rows_end_is_not() {
    check_orphans(&["V x.o..x"], &["x!...x"]);
    check_orphans(&["V .oo..x"], &[".....x"]);
    check_orphans(&["V xoo.", "V .oox"], &["x...", "...x"]);
    check_orphans(&["V o.o"], &[".!."]);
}

#[test]
fn an_orphan_that_no_block_avoids_is_not_held_against_anyone() {
    check_orphans(&["V xoo.x"], &["x...x"]);
    check_orphans(&["V xo.ox"], &["x...x"]);
    check_orphans(&["V xoo.", "V x.o.x"], &["x...", "x!.!x"]);
    check_orphans(&["V x.x.oo"], &["x.x!.."]);
}

/// A hall in whose pictures `A` is a free accessible seat, `c` the free seat of its row's accessible seat's companion, and `a` a taken
/// accessible seat.
fn accessible_hall(rows: &[&str]) -> (Hall, Seating) {
    let listed = |row: usize, (index, mark): (usize, char)| {
        let id = |index: usize| SeatId::parse(&format!("{row}-{index}")).unwrap();
        let number = u32::try_from(index).unwrap();
        let accessible = rows[row].split_once(' ').unwrap().1.to_lowercase().find('a');
        ListedSeat {
            accessible: "aA".contains(mark),
            companion_of: accessible.filter(|_| mark == 'c').map(id),
            ..ListedSeat::new(id(index), number)
        }
    };
    let pictures = || rows.iter().map(|row| row.split_once(' ').unwrap());
    let drawn = pictures().enumerate().map(|(row, (grade, picture))| Row {
        id: row.to_string(),
        grade: GradeName::parse(grade).unwrap(),
        line: None,
        seats: RowSeats::Listed(picture.chars().enumerate().map(|seat| listed(row, seat)).collect()),
    });
    let section = Section { id: "A".into(), floor: "1".into(), outline: None, rows: drawn.collect() };
    let taken = |seat: char| u32::from(!".Ac".contains(seat));
    let owners = pictures().flat_map(|(_, picture)| picture.chars()).map(taken).collect();
    let hall = Hall::new(core::slice::from_ref(&section), owners);
    let venue = Venue {
        id: VenueId::parse("v").unwrap(),
        name: String::new(),
        address: String::new(),
        kind: String::new(),
        time_zone: String::new(),
        stage: None,
        sections: vec![section],
        areas: vec![],
    };
    let seating = Seating::new(&venue, &hall.layout).unwrap();
    (hall, seating)
}

/// Checks what is found for a party with a visitor who needs an accessible seat, drawn with `o`.
#[track_caller]
fn check_accessible(hall: &[&str], count: u32, found: &[&str]) {
    let (hall, seating) = accessible_hall(hall);
    let grades: Vec<Grade> = (0..).map(Grade).take(hall.layout.grades().len()).collect();
    let seats = hall.free().best_accessible(&grades, count, &seating);
    let drawn = seats.map_or(vec![], |seats| hall.draw(&seats, 'o'));
    assert_eq!(drawn, found);
}

#[test]
fn an_accessible_seat_comes_with_its_companions_and_then_with_its_neighbours() {
    check_accessible(&["V ....", "R ..A."], 1, &["....", "..o."]);
    check_accessible(&["V .cA.."], 2, &[".oo.."]);
    check_accessible(&["V .cA.."], 3, &[".ooo."]);
    check_accessible(&["V .cA.."], 4, &["oooo."]);
    // The companion's seat need not be beside it.
    check_accessible(&["V c..A."], 2, &["o..o."]);
}

#[test]
fn a_party_with_an_accessible_seat_sits_where_it_has_room_and_leaves_others_theirs() {
    // Nearest the middle, of the best row with room for all.
    check_accessible(&["V A.A."], 1, &["..o."]);
    check_accessible(&["V xAx", "V .A."], 2, &["x.x", ".oo"]);
    // Another visitor's accessible seat ends the row.
    check_accessible(&["V xAAx", "V ...."], 2, &["xo.x", ".o.."]);
    check_accessible(&["V xAcx", "V x..x"], 4, &["xoox", "xoox"]);
}

#[test]
fn without_a_free_accessible_seat_there_is_none_to_give() {
    check_accessible(&["V ...."], 1, &[]);
    check_accessible(&["V .ac."], 1, &[]);
    check_accessible(&["V xAx", "V x.x"], 3, &[]);
}

#[test]
fn seats_that_are_kept_are_taken_for_others() {
    let kept = |rows: &[&str], count: u32, avoid_orphans: bool| {
        let (hall, seating) = accessible_hall(rows);
        let free = FreeSeats { kept: seating.special(), ..hall.free() };
        let grades: Vec<Grade> = (0..).map(Grade).take(hall.layout.grades().len()).collect();
        let seats = free.best_available(&grades, count, avoid_orphans);
        seats.map_or(vec![], |seats| hall.draw(&seats, 'o'))
    };
    assert_eq!(kept(&["V ..Ac..", "V ...."], 3, false), ["......", "ooo."]);
    assert_eq!(kept(&["V .Ac."], 2, false), ["o..o"]);
    assert!(kept(&["V .Ac."], 3, false).is_empty());
    assert_eq!(kept(&["V xA.ax", "R ."], 2, false), ["x.oxx", "o"]);
    assert_eq!(kept(&["V x..A", "V ..."], 1, true), ["x...", ".o."]);
}

#[test]
fn only_open_sections_are_looked_through() {
    let section = |id: &str| Section {
        id: id.into(),
        floor: "1".into(),
        outline: None,
        rows: vec![Row {
            id: "1".into(),
            grade: GradeName::parse("V").unwrap(),
            line: None,
            seats: RowSeats::Length(2),
        }],
    };
    let hall = Hall::new(&[section("A"), section("B"), section("C")], vec![0; 6]);
    let found = |sections: &[bool], count| {
        let free = FreeSeats { sections, ..hall.free() };
        free.best_available(&hall.grades("V"), count, false)
    };
    assert_eq!(found(&[], 2), Some(vec![Seat(2), Seat(3)]));
    assert_eq!(found(&[true, false, true], 2), Some(vec![Seat(0), Seat(1)]));
    assert_eq!(found(&[true, false, true], 4), Some(vec![Seat(0), Seat(1), Seat(4), Seat(5)]));
    assert_eq!(found(&[false, false, true], 3), None);
}

#[test]
#[should_panic(expected = "a hold takes free seats")]
fn a_taken_seat_is_not_held() {
    Hall::drawn(&["V x.."]).free().avoidable_orphans(&[Seat(0)]);
}

/// The rules again, by trying everything: slow, plain, and sharing nothing with the search.
mod model {
    use super::*;

    /// Seats side by side: the row, its first seat, and how many they are.
    #[derive(Clone, Copy, Debug, PartialEq)]
    pub(super) struct Block {
        pub(super) row: usize,
        pub(super) start: usize,
        pub(super) count: usize,
    }

    impl Block {
        pub(super) fn seats(self) -> Vec<Seat> {
            (0..self.count).map(|i| Seat(u32::try_from(self.start + i).unwrap())).collect()
        }

        /// Twice the distance between the centres, as a fan would measure it with a ruler.
        fn distance(self, layout: &Layout) -> i64 {
            let row = &layout.rows()[self.row];
            let start = i64::try_from(self.start).unwrap() - i64::from(row.first.0);
            let centre = 2 * start + i64::try_from(self.count).unwrap() - 1;
            (centre - (i64::from(row.len) - 1)).abs()
        }
    }

    /// All orphans of a row, in seat order.
    pub(super) fn orphans(row: &LayoutRow, owners: &[u32]) -> Vec<Seat> {
        let taken = |i: usize| owners[i] != 0;
        let inner = row.range().skip(1).take(row.range().len().saturating_sub(2));
        inner
            .filter(|&i| !taken(i) && taken(i - 1) && taken(i + 1))
            .map(|i| Seat(u32::try_from(i).unwrap()))
            .collect()
    }

    pub(super) fn take(owners: &[u32], seats: &[Seat]) -> Vec<u32> {
        let mut after = owners.to_vec();
        for seat in seats {
            assert_eq!(after[seat.index()], 0, "taken twice");
            after[seat.index()] = 9;
        }
        after
    }

    /// The orphans of a row that a hold adds to those before.
    fn new_orphans(row: &LayoutRow, owners: &[u32], seats: &[Seat]) -> Vec<Seat> {
        let before = orphans(row, owners);
        let mut after = orphans(row, &take(owners, seats));
        after.retain(|seat| !before.contains(seat));
        after
    }

    pub(super) fn strands(layout: &Layout, owners: &[u32], block: Block) -> bool {
        !new_orphans(&layout.rows()[block.row], owners, &block.seats()).is_empty()
    }

    /// Every block of free seats of a row.
    pub(super) fn blocks(layout: &Layout, owners: &[u32], row: usize, count: usize) -> Vec<Block> {
        let range = layout.rows()[row].range();
        let starts = range.clone().filter(|start| start + count <= range.end);
        starts
            .filter(|&start| owners[start..start + count].iter().all(|&owner| owner == 0))
            .map(|start| Block { row, start, count })
            .collect()
    }

    /// The best block of so many seats, by comparing all of them.
    pub(super) fn best_block(
        layout: &Layout,
        owners: &[u32],
        grades: &[Grade],
        count: usize,
        avoid_orphans: bool,
    ) -> Option<Block> {
        let mut all = Vec::new();
        for (grade_rank, &grade) in grades.iter().enumerate() {
            for (row_rank, &row) in layout.rows_of(grade).iter().enumerate() {
                for block in blocks(layout, owners, usize::try_from(row).unwrap(), count) {
                    let stranding = avoid_orphans && strands(layout, owners, block);
                    let distance = block.distance(layout);
                    all.push(((grade_rank, stranding, row_rank, distance, block.start), block));
                }
            }
        }
        all.into_iter().min_by_key(|(rank, _)| *rank).map(|(_, block)| block)
    }

    pub(super) fn free_of(layout: &Layout, owners: &[u32], grades: &[Grade]) -> usize {
        let is_free = |seat: &Seat| owners[seat.index()] == 0 && grades.contains(&layout.grade_of(*seat));
        layout.seats().filter(is_free).count()
    }

    /// The pieces of the answer, in the order in which they are chosen.
    pub(super) fn best_available(
        layout: &Layout,
        owners: &[u32],
        grades: &[Grade],
        count: usize,
        avoid_orphans: bool,
    ) -> Option<Vec<Block>> {
        if let Some(block) = best_block(layout, owners, grades, count, avoid_orphans) {
            return Some(vec![block]);
        }
        let single = grades.iter().position(|&grade| free_of(layout, owners, &[grade]) >= count);
        let grades = single.map_or(grades.to_vec(), |index| vec![grades[index]]);
        if free_of(layout, owners, &grades) < count {
            return None;
        }
        let mut owners = owners.to_vec();
        let mut wanted = count;
        let mut pieces = Vec::new();
        while wanted > 0 {
            let piece = (1..=wanted).rev().find_map(|size| {
                if size == wanted {
                    return best_block(layout, &owners, &grades, size, avoid_orphans);
                }
                best_block(layout, &owners, &grades, size, false)
            });
            let piece = piece.unwrap();
            owners = take(&owners, &piece.seats());
            wanted -= piece.count;
            pieces.push(piece);
        }
        Some(pieces)
    }

    /// The avoidable orphans of a hold, by trying every block of every run that it touches.
    pub(super) fn avoidable_orphans(layout: &Layout, owners: &[u32], taken: &[Seat]) -> Vec<Seat> {
        let mut avoidable = Vec::new();
        for (index, row) in layout.rows().iter().enumerate() {
            let mut runs: Vec<Vec<Seat>> = vec![vec![]];
            for i in row.range() {
                if owners[i] == 0 {
                    runs.last_mut().unwrap().push(Seat(u32::try_from(i).unwrap()));
                } else {
                    runs.push(vec![]);
                }
            }
            for run in runs {
                let here: Vec<Seat> = run.iter().copied().filter(|seat| taken.contains(seat)).collect();
                if here.is_empty() {
                    continue;
                }
                let left = new_orphans(row, owners, &here);
                let fewest = blocks(layout, owners, index, here.len())
                    .iter()
                    .filter(|block| run.contains(&block.seats()[0]))
                    .map(|block| new_orphans(row, owners, &block.seats()).len())
                    .min()
                    .unwrap();
                if fewest < left.len() {
                    avoidable.extend(left);
                }
            }
        }
        avoidable
    }
}

const GRADES: [&str; 3] = ["V", "R", "S"];

/// Halls of a few sections on two floors, from empty to almost full.
fn halls() -> impl Strategy<Value = Hall> {
    let row = (0..GRADES.len(), 1..=9_u32);
    let sections = prop::collection::vec((0..2_u8, prop::collection::vec(row, 1..=3)), 1..=4);
    (sections, 0..=10_u32).prop_flat_map(|(sections, fullness)| {
        let seats: u32 = sections.iter().flat_map(|(_, rows)| rows).map(|row| row.1).sum();
        let seats = usize::try_from(seats).unwrap();
        let owner = prop_oneof![10 - fullness => Just(0), fullness => 1..=u32::MAX];
        let sections: Vec<Section> = sections
            .iter()
            .enumerate()
            .map(|(index, (floor, rows))| Section {
                id: index.to_string(),
                floor: floor.to_string(),
                outline: None,
                rows: rows
                    .iter()
                    .enumerate()
                    .map(|(index, (grade, length))| Row {
                        id: index.to_string(),
                        grade: GradeName::parse(GRADES[*grade]).unwrap(),
                        line: None,
                        seats: RowSeats::Length(*length),
                    })
                    .collect(),
            })
            .collect();
        prop::collection::vec(owner, seats).prop_map(move |owners| Hall::new(&sections, owners))
    })
}

#[derive(Debug)]
struct Search {
    hall: Hall,
    grades: Vec<Grade>,
    count: u32,
    avoid_orphans: bool,
}

impl core::fmt::Debug for Hall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let grades = self.layout.rows().iter().map(|row| row.grade.0);
        f.debug_list().entries(grades.zip(self.draw(&[], ' '))).finish()
    }
}

impl Search {
    fn found(&self) -> Option<Vec<Seat>> {
        self.hall.free().best_available(&self.grades, self.count, self.avoid_orphans)
    }

    fn count(&self) -> usize {
        usize::try_from(self.count).unwrap()
    }

    fn expected(&self) -> Option<Vec<model::Block>> {
        let Hall { layout, owners, .. } = &self.hall;
        let count = self.count();
        model::best_available(layout, owners, &self.grades, count, self.avoid_orphans)
    }
}

fn searches() -> impl Strategy<Value = Search> {
    let count = prop_oneof![3 => 1..=4_u32, 1 => 5..=12_u32];
    let grades = (Just([0, 1, 2]).prop_shuffle(), 0..=3_usize);
    (halls(), grades, count, any::<bool>()).prop_map(|(hall, (order, allowed), count, avoid_orphans)| {
        let mut grades: Vec<Grade> = order.into_iter().take(allowed).map(Grade).collect();
        grades.retain(|grade| grade.index() < hall.layout.grades().len());
        Search { hall, grades, count, avoid_orphans }
    })
}

/// Halls with some of their free seats.
fn holds() -> impl Strategy<Value = (Hall, Vec<Seat>)> {
    (halls(), prop::collection::vec(prop::bool::weighted(0.4), 4 * 3 * 9), any::<u64>()).prop_map(
        |(hall, wanted, turn)| {
            let is_held = |seat: &Seat| hall.owners[seat.index()] == 0 && wanted[seat.index()];
            let mut seats: Vec<Seat> = hall.layout.seats().filter(is_held).collect();
            let turn = turn % u64::try_from(seats.len().max(1)).unwrap();
            seats.rotate_left(usize::try_from(turn).unwrap());
            (hall, seats)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_seats_found_are_those_that_trying_everything_finds(search in searches()) {
        let expected = search.expected().map(|pieces| {
            let mut seats: Vec<Seat> = pieces.iter().flat_map(|block| block.seats()).collect();
            seats.sort_unstable();
            seats
        });
        prop_assert_eq!(search.found(), expected);
    }

    #[test]
    fn the_seats_found_are_free_distinct_allowed_and_as_many_as_asked_for(
        search in searches(),
    ) {
        let Search { hall, grades, .. } = &search;
        let enough = model::free_of(&hall.layout, &hall.owners, grades) >= search.count();
        let found = search.found();
        prop_assert_eq!(found.is_some(), enough);
        let found = found.unwrap_or_default();
        prop_assert!(!enough || found.len() == search.count());
        prop_assert!(found.is_sorted_by(|one, next| one < next));
        for &seat in &found {
            prop_assert_eq!(hall.owners[seat.index()], 0);
            prop_assert!(grades.contains(&hall.layout.grade_of(seat)));
        }
    }

    #[test]
    fn seats_that_are_kept_are_as_good_as_taken(
        search in searches(), kept in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let Search { hall, grades, count, avoid_orphans } = &search;
        let mut kept: Vec<Seat> = kept.iter().map(|index| seat(index.index(hall.owners.len()))).collect();
        kept.sort_unstable();
        kept.dedup();
        let mut taken = hall.owners.clone();
        for seat in &kept {
            taken[seat.index()] = 1;
        }
        let free = |row: &LayoutRow| taken[row.range()].iter().filter(|owner| **owner == 0).count();
        let free_in_row: Vec<u32> =
            hall.layout.rows().iter().map(|row| u32::try_from(free(row)).unwrap()).collect();

        let as_taken = FreeSeats { owners: &taken, free_in_row: &free_in_row, ..hall.free() };
        let found = FreeSeats { kept: &kept, ..hall.free() }.best_available(grades, *count, *avoid_orphans);
        prop_assert_eq!(&found, &as_taken.best_available(grades, *count, *avoid_orphans));
        if let Some(found) = found {
            let orphans = FreeSeats { kept: &kept, ..hall.free() }.avoidable_orphans(&found);
            prop_assert_eq!(orphans, as_taken.avoidable_orphans(&found));
        }
    }

    #[test]
    fn a_party_sits_together_exactly_when_some_row_has_room(search in searches()) {
        let Hall { layout, owners, .. } = &search.hall;
        let count = search.count();
        let has_room = |row: usize| !model::blocks(layout, owners, row, count).is_empty();
        let is_allowed = |row: &usize| search.grades.contains(&layout.rows()[*row].grade);
        let room = (0..layout.rows().len()).filter(is_allowed).any(has_room);
        let together = search.found().is_some_and(|seats| {
            let (first, last) = (seats[0], seats[seats.len() - 1]);
            last.0 - first.0 + 1 == search.count && layout.row(first) == layout.row(last)
        });
        prop_assert_eq!(together, room);
    }

    #[test]
    fn a_search_that_avoids_orphans_strands_none_that_is_avoidable(search in searches()) {
        let search = Search { avoid_orphans: true, ..search };
        let Hall { layout, owners, .. } = &search.hall;
        let found = search.found().unwrap_or_default();
        prop_assert_eq!(model::avoidable_orphans(layout, owners, &found), vec![]);
        prop_assert_eq!(search.hall.free().avoidable_orphans(&found), vec![]);
    }

    #[test]
    fn a_party_strands_nobody_where_its_grade_has_a_block_that_does_not(search in searches()) {
        let search = Search { avoid_orphans: true, ..search };
        let Hall { layout, owners, .. } = &search.hall;
        let count = search.count();
        let blocks_of = |grade: Grade| {
            let rows = (0..layout.rows().len()).filter(move |&i| layout.rows()[i].grade == grade);
            rows.flat_map(|row| model::blocks(layout, owners, row, count)).collect::<Vec<_>>()
        };
        let best = search.grades.iter().map(|&grade| blocks_of(grade)).find(|all| !all.is_empty());
        let Some(blocks) = best else { return Ok(()) };
        let found = search.found().unwrap();
        let chosen = blocks.iter().find(|block| block.seats() == found);
        prop_assert!(chosen.is_some(), "not a block of the best grade with room");
        let spares = |block: &model::Block| !model::strands(layout, owners, *block);
        prop_assert_eq!(chosen.is_some_and(spares), blocks.iter().any(spares));
    }

    #[test]
    fn the_avoidable_orphans_are_those_that_trying_everything_finds((hall, taken) in holds()) {
        let expected = model::avoidable_orphans(&hall.layout, &hall.owners, &taken);
        prop_assert_eq!(hall.free().avoidable_orphans(&taken), expected);
    }
}
