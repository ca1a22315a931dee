//! The search for free seats: which are the best for a party, and which a hold would strand.
//!
//! Owns the order in which seats are offered and the rule of the single seat. Absent on purpose: I/O,
//! randomness, time, prices, holds. The answer depends on the arguments alone, so that recovery and the
//! tests find the same seats as the sale did. The search allocates nothing but its answer.
//!
//! # Words
//!
//! A *run* is a longest stretch of free seats of one row. A *block* is the seats that are taken of one run, side by
//! side. The *middle* of a row counts all its seats, free or not; a block lies nearer the middle than
//! another when its centre does, and of two equally near the one of the lower index counts as nearer.
//!
//! # Orphans
//!
//! An *orphan* is a free seat whose neighbours on both sides are taken seats of its row. A blocked seat
//! is taken; the end of a row is not, so that the outermost seat of a row never is an orphan.
//!
//! A hold that takes `k` seats of a run strands *avoidable* orphans when `k` seats side by side in that
//! run could have left fewer. That is so unless the hold leaves just one seat of a run that has taken
//! seats on both sides: two seats or more stay together when the block moves to one side of the run, and
//! one seat is no orphan at a row's end. Orphans that stood before the hold are nobody's fault now: they
//! are runs of one seat, and to touch one is to take it.
//!
//! # The best seats
//!
//! Grades go from best to least as the caller lists them, rows of a grade as [`Layout::rows_of`] does.
//!
//! 1. **Together**, wherever any row of any allowed grade has room: the best grade that has a row with
//!    room; in it the first such row; in that the block nearest the middle.
//! 2. **Without orphans**, when asked: in the best grade that has a row with room, the first row where a
//!    block leaves no orphan, and there the nearest of those blocks. Only where the grade has no such row
//!    is the first row with room taken; all its blocks leave an orphan then, which is not avoidable. A
//!    party goes to another row of its grade to spare a seat, never to a lesser grade: that is another
//!    view at another price.
//! 3. **Apart**, only where no row has room: in the best grade that alone has enough free seats, else in
//!    all of them at once. The longest run is taken whole, then the next; of equally long ones that of
//!    the better row, then the one nearer the middle. As soon as a run holds all who are left, they are
//!    seated by 1 and 2. Large pieces first keep the pieces few; the price is that four may sit as three
//!    and one where two and two were possible.
//!
//! # Kept seats
//!
//! Some free seats may be kept for others, as accessible ones are. For whoever may not have them they count as taken: in rows, in runs
//! and for orphans.
//!
//! A party that may have them and asks for an accessible seat gets one, with the seats of its companions before any others, then the
//! seats beside it in its row. It is the first that has room for the whole party like that: of the best grade, of the best row, nearest
//! the middle. Where none has, the first of those with the most companions' seats is taken, and the others are found as above. Seats that are kept
//! for other visitors stay free for them.
//!
//! # Invariants
//!
//! - The seats found are free, distinct, of allowed grades, as many as asked for, and in seat order.
//! - There is no answer only where the allowed grades have too few free seats.
//! - Seats that were found while avoiding orphans never strand an avoidable one.

use core::cmp::Reverse;
use core::ops::Range;

use super::{FREE, Owner};
use crate::domain::venue::{Grade, Layout, LayoutRow, Seat, Seating};

/// The free seats of a layout, as the search sees them.
#[derive(Debug, Clone, Copy)]
pub struct FreeSeats<'a> {
    /// The seats and their order.
    pub layout: &'a Layout,
    /// Who has each seat: 0 is nobody, and anything else a taken or blocked seat.
    pub owners: &'a [Owner],
    /// How many seats of each of [`Layout::rows`] are free. [`FreeSeats::best_available`] does not look at
    /// a row that has too few; [`FreeSeats::avoidable_orphans`] does not need it.
    pub free_in_row: &'a [u32],
    /// The seats that are kept for others as long as they are free, in order and each once.
    pub kept: &'a [Seat],
    /// Whether each of [`Layout::sections`] may be looked through; empty where all may.
    pub sections: &'a [bool],
}

impl<'a> FreeSeats<'a> {
    /// Finds the best `count` free seats of the grades, which go from best to least, in seat order: side
    /// by side wherever any row has room, otherwise in few pieces. `None` when the grades have fewer
    /// free seats. The order is the one of the module's documentation.
    ///
    /// # Panics
    /// When `count` is 0, or there is not one owner for each seat and one count for each row.
    pub fn best_available(&self, grades: &[Grade], count: u32, avoid_orphans: bool) -> Option<Vec<Seat>> {
        assert!(count > 0, "seats are searched for somebody");
        assert_eq!(self.owners.len(), self.layout.seats().len(), "every seat has an owner, or nobody");
        assert_eq!(self.free_in_row.len(), self.layout.rows().len(), "every row has a count");
        let count = place(count);
        match self.together(grades, count, avoid_orphans, &[]) {
            Some(block) => Some(block.map(seat).collect()),
            None => self.apart(grades, count, avoid_orphans),
        }
    }

    /// Finds the best block of so many seats side by side, in the order of the module's documentation.
    pub fn best_together(&self, grades: &[Grade], count: u32, avoid_orphans: bool) -> Option<Vec<Seat>> {
        let block = self.together(grades, place(count), avoid_orphans, &[])?;
        Some(block.map(seat).collect())
    }

    /// Finds an accessible seat of the grades with the best `count - 1` others for its party, in seat order: see the module's
    /// documentation. `None` where no accessible seat is free, or too few others are.
    pub fn best_accessible(&self, grades: &[Grade], count: u32, seating: &Seating) -> Option<Vec<Seat>> {
        let count = place(count);
        let mut fallback: Option<Vec<Seat>> = None;
        for (row, _) in grades.iter().flat_map(|&grade| self.rows(grade)) {
            let range = row.range();
            let mut accessible: Vec<Seat> = seating
                .special_in(&range)
                .iter()
                .copied()
                .filter(|&seat| seating.marks(seat).accessible && self.owners[seat.index()] == FREE)
                .collect();
            accessible.sort_by_key(|seat| off_middle(&range, &(seat.index()..seat.index() + 1)));

            for first in accessible {
                let mut party = vec![first];
                let companions = seating.companions_of(first);
                let allowed = |seat: &Seat| self.owners[seat.index()] == FREE && self.allows(grades, *seat);
                party.extend(companions.filter(allowed).take(count - 1));
                let seated = party.len();
                self.seat_beside(&range, &mut party, count, seating);
                if party.len() == count {
                    party.sort_unstable();
                    return Some(party);
                }
                party.truncate(seated);
                if fallback.as_ref().is_none_or(|fallback| fallback.len() < seated) {
                    fallback = Some(party);
                }
            }
        }

        // No accessible seat has room for all around it: the others sit elsewhere.
        let mut party = fallback?;
        let mut kept: Vec<Seat> = seating.special().iter().chain(&party).copied().collect();
        kept.sort_unstable();
        kept.dedup();
        let others = FreeSeats { kept: &kept, ..*self };
        let rest = u32::try_from(count - party.len()).expect("bounded by the policy");
        party.extend(others.best_available(grades, rest, false)?);
        party.sort_unstable();
        Some(party)
    }

    /// Adds the free seats of a row that are side by side with those of a party in it, on both sides in turn, until there are `count`.
    /// Seats that are kept for other visitors end the row.
    fn seat_beside(&self, row: &Range<usize>, party: &mut Vec<Seat>, count: usize, seating: &Seating) {
        let own = party.clone();
        let is_own = |index: &usize| own.contains(&seat(*index));
        let is_free = |index: &usize| self.owners[*index] == FREE && !seating.is_special(seat(*index));
        let beside = |side: &mut dyn Iterator<Item = usize>| -> Vec<Seat> {
            let reached = side.take_while(|index| is_own(index) || is_free(index));
            reached.filter(|index| !is_own(index)).take(count).map(seat).collect()
        };

        let first = own[0].index();
        let right = beside(&mut (first + 1..row.end));
        let left = beside(&mut (row.start..first).rev());
        for place in 0..count {
            party.extend(right.get(place));
            party.extend(left.get(place));
        }
        party.truncate(count);
    }

    /// Tells whether a seat is of one of the grades, in a section that may be looked through.
    fn allows(&self, grades: &[Grade], seat: Seat) -> bool {
        let row = self.layout.row(seat);
        grades.contains(&row.grade) && self.is_open(row)
    }

    fn is_open(&self, row: &LayoutRow) -> bool {
        self.sections.is_empty() || self.sections[usize::from(row.section)]
    }

    fn is_kept(&self, index: usize) -> bool {
        !self.kept.is_empty() && self.kept.binary_search(&seat(index)).is_ok()
    }

    /// Returns the orphans that a hold of these seats would leave and could avoid, in seat order. This is
    /// the state before the hold.
    ///
    /// # Panics
    /// When one of the seats is not free.
    pub fn avoidable_orphans(&self, taken: &[Seat]) -> Vec<Seat> {
        let mut taken: Vec<usize> = taken.iter().map(|seat| seat.index()).collect();
        taken.sort_unstable();
        taken.dedup();

        let mut orphans = Vec::new();
        let mut rest = taken.as_slice();
        while let Some(&first) = rest.first() {
            let row = self.layout.row(seat(first)).range();
            let run = self.run_around(&row, first);
            let (here, after) = rest.split_at(rest.partition_point(|&taken| taken < run.end));
            rest = after;

            let is_walled = row.start < run.start && run.end < row.end;

            // Between walls, a run of one seat more than are taken leaves an orphan wherever they are taken.
            if is_walled && run.len() == here.len() + 1 {
                continue;
            }

            let mut from = run.start;
            for &to in here.iter().chain([&run.end]) {
                if is_orphan(&row, &(from..to)) {
                    orphans.push(seat(from));
                }
                from = to + 1;
            }
        }
        orphans
    }

    /// Finds the best block of so many seats, leaving out the seats that are spoken for (whole runs).
    fn together(
        &self,
        grades: &[Grade],
        count: usize,
        avoid_orphans: bool,
        spoken_for: &[Seat],
    ) -> Option<Range<usize>> {
        grades.iter().find_map(|&grade| {
            let mut with_orphan = None;
            for (row, free) in self.rows(grade) {
                if free < count {
                    continue;
                }

                let row = row.range();
                let nearest = self
                    .runs(row.clone(), count)
                    .filter(|run| !spoken_for.contains(&seat(run.start)))
                    .map(|run| nearest_block(&row, &run, count, avoid_orphans))
                    .min_by_key(|block| (block.leaves_orphan, off_middle(&row, &block.seats)));

                // Rows come best first. One that leaves an orphan is kept for the case
                // that every other does, too.
                match nearest {
                    Some(Block { seats, leaves_orphan: false }) => return Some(seats),
                    Some(block) => with_orphan = with_orphan.or(Some(block.seats)),
                    None => {}
                }
            }
            with_orphan
        })
    }

    /// Finds seats in more than one piece, knowing that no row has room for all.
    fn apart(&self, grades: &[Grade], count: usize, avoid_orphans: bool) -> Option<Vec<Seat>> {
        let has_enough = |grades: &&[Grade]| self.free_of(grades) >= count;
        let grades = grades.chunks(1).chain([grades]).find(has_enough)?;
        let mut seats = Vec::with_capacity(count);
        let mut longest = count;
        while seats.len() < count {
            let wanted = count - seats.len();
            // Without an answer a grade was listed, and counted, twice.
            let run = self.longest_run(grades, longest.min(wanted), &seats)?;
            longest = run.len();
            let block = if longest < wanted {
                run
            } else {
                self.together(grades, wanted, avoid_orphans, &seats).expect("that run has room")
            };
            seats.extend(block.map(seat));
        }
        seats.sort_unstable();
        Some(seats)
    }

    /// Finds the first of the longest runs, leaving out those that are spoken for; `enough` is a length at
    /// which to stop looking for longer ones.
    fn longest_run(&self, grades: &[Grade], enough: usize, spoken_for: &[Seat]) -> Option<Range<usize>> {
        let mut longest = 0..0;
        for (row, free) in grades.iter().flat_map(|&grade| self.rows(grade)) {
            if free <= longest.len() {
                continue;
            }
            let row = row.range();
            longest = self
                .runs(row.clone(), longest.len() + 1)
                .filter(|run| !spoken_for.contains(&seat(run.start)))
                .min_by_key(|run| (Reverse(run.len()), off_middle(&row, run)))
                .unwrap_or(longest);
            if longest.len() >= enough {
                break;
            }
        }
        (!longest.is_empty()).then_some(longest)
    }

    /// Returns how many seats of these grades are free.
    pub(super) fn free_of(&self, grades: &[Grade]) -> usize {
        grades.iter().flat_map(|&grade| self.rows(grade)).map(|(_, free)| free).sum()
    }

    /// Tells whether a grade has rows that may be looked through.
    pub(super) fn has_rows_of(&self, grade: Grade) -> bool {
        self.rows(grade).next().is_some()
    }

    /// Returns a grade's rows from best to least, each with the number of its free seats.
    fn rows(&self, grade: Grade) -> impl Iterator<Item = (&'a LayoutRow, usize)> + use<'a> {
        let all = *self;
        let rows = all.layout.rows_of(grade).iter().map(|&row| place(row));
        let rows = rows.map(move |index| (&all.layout.rows()[index], place(all.free_in_row[index])));
        let open = rows.filter(move |(row, _)| all.is_open(row));
        open.map(move |(row, free)| (row, free - all.kept_in(row.range())))
    }

    /// Returns how many free seats of a row are kept for others.
    fn kept_in(&self, row: Range<usize>) -> usize {
        if self.kept.is_empty() {
            return 0;
        }
        let place = |index: usize| self.kept.partition_point(|seat| seat.index() < index);
        let kept = &self.kept[place(row.start)..place(row.end)];
        kept.iter().filter(|seat| self.owners[seat.index()] == FREE).count()
    }

    /// Returns the runs of a row that have `least` seats or more (at least 1), in seat order.
    fn runs(&self, row: Range<usize>, least: usize) -> impl Iterator<Item = Range<usize>> + use<'a> {
        let all = *self;
        let is_taken = move |&index: &usize| all.owners[index] != FREE || all.is_kept(index);
        let mut start = row.start;
        core::iter::from_fn(move || {
            // Looks back from where a long enough run would end: most seats are never looked at.
            while start + least <= row.end {
                if let Some(taken) = (start..start + least).rev().find(is_taken) {
                    start = taken + 1;
                    continue;
                }
                let end = (start + least..row.end).find(is_taken).unwrap_or(row.end);
                return Some(core::mem::replace(&mut start, end)..end);
            }
            None
        })
    }

    /// Returns the run that a free seat belongs to.
    fn run_around(&self, row: &Range<usize>, index: usize) -> Range<usize> {
        let is_taken = |&index: &usize| self.owners[index] != FREE || self.is_kept(index);
        assert!(!is_taken(&index), "a hold takes free seats");
        let start = (row.start..index).rev().find(is_taken).map_or(row.start, |taken| taken + 1);
        let end = (index..row.end).find(is_taken).unwrap_or(row.end);
        start..end
    }
}

/// The seats that are taken of a run.
struct Block {
    seats: Range<usize>,
    /// Never where orphans are not to be avoided.
    leaves_orphan: bool,
}

/// Returns the block of a run with room that is nearest the middle of the row; where orphans are to be
/// avoided, among those that leave none, if there are any.
fn nearest_block(row: &Range<usize>, run: &Range<usize>, count: usize, avoid_orphans: bool) -> Block {
    let last = run.end - count;
    let middle = row.start + row.len().saturating_sub(count) / 2;
    let nearest = middle.clamp(run.start, last);
    // A block that leaves an orphan starts at the second place or the last but one. The end of the run
    // is next to it, so that no more than a step is needed to where a block leaves none, if any does.
    (nearest.saturating_sub(1).max(run.start)..=(nearest + 1).min(last))
        .map(|start| {
            let seats = start..start + count;
            let leaves_orphan = avoid_orphans
                && (is_orphan(row, &(run.start..start)) || is_orphan(row, &(seats.end..run.end)));
            Block { seats, leaves_orphan }
        })
        .min_by_key(|block| (block.leaves_orphan, off_middle(row, &block.seats)))
        .expect("the nearest block itself is one of them")
}

/// Tells whether free seats with nothing free around them are one seat between taken seats of the row.
fn is_orphan(row: &Range<usize>, free: &Range<usize>) -> bool {
    free.len() == 1 && row.start < free.start && free.end < row.end
}

/// Returns twice the distance from the centre of a block to the middle of its row.
fn off_middle(row: &Range<usize>, block: &Range<usize>) -> usize {
    (block.start + block.end).abs_diff(row.start + row.end)
}

fn place(number: u32) -> usize {
    usize::try_from(number).expect("a u32 fits")
}

fn seat(index: usize) -> Seat {
    Seat(u32::try_from(index).expect("bounded by VENUE_SEATS_MAX"))
}

#[cfg(test)]
mod tests;
