//! Lists of everyone's reservations and payments, for administrators: the newest first, of all schedules or one.
//!
//! Each schedule gives its own rows, the newest first, a chunk at a time under its lock. The archive gives places in the order of all
//! schedules. Both are merged. A call looks at a bounded number of rows ([`ROWS_MAX`], [`ARCHIVED_MAX`]), so a filter that hardly
//! anything passes costs no more than one that everything passes: the call then gives fewer than were asked for, and says where to go
//! on.
//!
//! A user's own are found by the user, in `lookup`.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet, VecDeque};
use std::sync::Arc;

use super::access::ArchivedSchedule;
use super::lookup::{FoundReservation, order_place, payment_place, reservation_place};
use crate::archive::{Archive, PaymentPlace, Places, ReservationPlace};
use crate::domain::ids::{PaymentNumber, ReservationNumber, ScheduleNumber};
use crate::domain::payments::{AnyPayment, OrderPayment, Payment, Payments, State};
use crate::domain::schedule::{Reservation, ReservationStatus, Schedule};
use crate::engine::error::EngineError;
use crate::engine::live::Live;
use crate::engine::{Engine, ScheduleEntry};

/// How many rows one call looks at in memory, and how many in the archive's tables.
const ROWS_MAX: usize = 20_000;
/// How many schedules one call reads from the archive.
const ARCHIVED_MAX: usize = 16;
/// How many rows are copied under a schedule's lock at once.
const CHUNK_MAX: usize = 128;

/// What a list is narrowed by.
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "only rows with this user, schedule and status")]
pub struct Narrow<'a, S> {
    pub user: Option<&'a str>,
    pub schedule: Option<&'a str>,
    pub status: Option<S>,
}

impl<'a, S> Narrow<'a, S> {
    /// A user's own.
    pub const fn of(user: &'a str) -> Self {
        Self { user: Some(user), schedule: None, status: None }
    }
}

/// A part of a list.
#[derive(Debug)]
pub struct Listed<T, P> {
    /// The items, the newest first.
    pub items: Vec<T>,
    /// The place behind which the list goes on, unless this is its end. Its number is encrypted, so that it tells nobody how many there are.
    pub next: Option<P>,
}

/// What was found, the newest first.
struct FoundRows<P, T> {
    rows: Vec<(P, T)>,
    /// Rows that are older than this weren't looked at.
    reached: Option<P>,
}

impl<P: Ord + Copy, T> FoundRows<P, T> {
    /// Joins the rows of two places. Those that only one of the two has reached are left for the next call.
    fn join(mut self, other: Self) -> Self {
        let reached = self.reached.max(other.reached);
        self.rows.extend(other.rows);
        self.rows.retain(|(place, _)| reached.is_none_or(|reached| *place >= reached));
        self.rows.sort_unstable_by_key(|(place, _)| Reverse(*place));
        Self { rows: self.rows, reached }
    }

    fn listed(mut self, limit: usize) -> Listed<T, P> {
        let more = self.rows.len() > limit;
        self.rows.truncate(limit);
        let last = self.rows.last().map(|(place, _)| *place);
        let next = if more { last } else { self.reached };
        Listed { items: self.rows.into_iter().map(|(_, item)| item).collect(), next }
    }
}

/// The rows of one source that were copied and not merged yet.
struct Ahead<P, T> {
    rows: VecDeque<(P, Option<T>)>,
    /// How many are copied next.
    step: usize,
}

/// Merges the rows of some sources, until `wanted` pass. `look` copies the rows of a source that come before a place, the newest
/// first, and at most as many as it is told. A row that doesn't pass has no item.
fn merge<P: Ord + Copy, T>(
    sources: usize,
    before: Option<P>,
    wanted: usize,
    look: impl Fn(usize, Option<P>, usize) -> Vec<(P, Option<T>)>,
) -> FoundRows<P, T> {
    let mut newest = BinaryHeap::with_capacity(sources);
    let mut ahead = Vec::with_capacity(sources);
    for source in 0..sources {
        let rows = VecDeque::from(look(source, before, 1));
        newest.extend(rows.front().map(|(place, _)| (*place, source)));
        ahead.push(Ahead { rows, step: 1 });
    }

    let (mut rows, mut looked) = (Vec::new(), 0);
    while let Some((place, source)) = newest.pop() {
        let Ahead { rows: copied, step } = &mut ahead[source];
        rows.extend(copied.pop_front().and_then(|(place, item)| Some((place, item?))));
        looked += 1;

        if rows.len() >= wanted {
            return FoundRows { rows, reached: None };
        }
        if looked >= ROWS_MAX {
            return FoundRows { rows, reached: Some(place) };
        }

        // A source that gives many rows is asked for ever more at once: most give none that is shown.
        if copied.is_empty() {
            *step = (*step * 2).min(CHUNK_MAX);
            copied.extend(look(source, Some(place), *step));
        }
        newest.extend(copied.front().map(|(place, _)| (*place, source)));
    }
    FoundRows { rows, reached: None }
}

/// Keeps the places of the first [`ARCHIVED_MAX`] schedules: a call reads no more of them from the archive.
fn bounded<P: Copy>(places: &Places<P>, schedule: impl Fn(P) -> ScheduleNumber) -> Places<P> {
    let mut seen = HashSet::new();
    let few = |place: &&P| {
        seen.insert(schedule(**place));
        seen.len() <= ARCHIVED_MAX
    };
    let found: Vec<P> = places.found.iter().take_while(few).copied().collect();
    let is_cut_short = found.len() < places.found.len();
    let reached = if is_cut_short { found.last().copied() } else { places.reached };
    Places { found, reached }
}

/// Payments of a schedule, wherever they are.
enum Source {
    Live(Arc<Live<Payments>>),
    Archived(Arc<ArchivedSchedule>),
    /// Those of its orders.
    Orders(Arc<ScheduleEntry>),
}

impl Source {
    /// Copies those of a user, where one is named, that come before a place: at most so many, the newest first. One that doesn't pass
    /// has no item.
    fn rows(
        &self,
        user: Option<&str>,
        before: Option<PaymentPlace>,
        most: usize,
        passes: impl Fn(State) -> bool,
    ) -> Vec<(PaymentPlace, Option<AnyPayment>)> {
        match self {
            Self::Live(entry) => saga_rows(&entry.read(), user, before, most, passes),
            Self::Archived(archived) => saga_rows(&archived.payments, user, before, most, passes),
            Self::Orders(entry) => order_rows(&entry.read(), user, before, most, passes),
        }
    }
}

fn saga_rows(
    payments: &Payments,
    user: Option<&str>,
    before: Option<PaymentPlace>,
    most: usize,
    passes: impl Fn(State) -> bool,
) -> Vec<(PaymentPlace, Option<AnyPayment>)> {
    let is_before = |payment: &Payment| before.is_none_or(|before| payment_place(payment) < before);
    let row = |payment: &Payment| {
        let item = passes(payment.state).then(|| AnyPayment::Saga(payment.clone()));
        (payment_place(payment), item)
    };
    match user {
        Some(user) => {
            let own = payments.of_user(user).rev().filter(|payment| is_before(payment));
            own.take(most).map(row).collect()
        }
        None => payments.before(is_before).take(most).map(row).collect(),
    }
}

fn order_rows(
    schedule: &Schedule,
    user: Option<&str>,
    before: Option<PaymentPlace>,
    most: usize,
    passes: impl Fn(State) -> bool,
) -> Vec<(PaymentPlace, Option<AnyPayment>)> {
    let place = |order: &Reservation| order_place(schedule.number(), order);
    let is_before = |order: &Reservation| before.is_none_or(|before| place(order) < before);
    let row = |order: &Reservation| {
        let payment = OrderPayment::of(schedule, order).filter(|payment| passes(payment.state()));
        (place(order), payment.map(AnyPayment::OfOrder))
    };
    match user {
        Some(user) => {
            let own = schedule.reservations_of(user).rev().filter(|kept| kept.order().is_some());
            own.filter(|order| is_before(order)).take(most).map(row).collect()
        }
        None => schedule.orders_before(is_before).take(most).map(row).collect(),
    }
}

impl Engine {
    /// Lists reservations, live and archived, the newest first: at most `limit`, and only those before a place if an earlier part gave
    /// one.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn list_reservations(
        &self,
        narrow: Narrow<'_, ReservationStatus>,
        before: Option<ReservationPlace>,
        limit: usize,
    ) -> Result<Listed<FoundReservation, ReservationPlace>, EngineError> {
        let before = before.map(|(at, schedule, number)| {
            (at, schedule, ReservationNumber(self.directory.core.seal.open_cursor(schedule, number.0)))
        });
        let mut listed = self.reservations_before(narrow, before, limit).await?;
        if let Some((_, schedule, number)) = &mut listed.next {
            number.0 = self.directory.core.seal.close_cursor(*schedule, number.0);
        }
        Ok(listed)
    }

    async fn reservations_before(
        &self,
        narrow: Narrow<'_, ReservationStatus>,
        before: Option<ReservationPlace>,
        limit: usize,
    ) -> Result<Listed<FoundReservation, ReservationPlace>, EngineError> {
        let Narrow { user, schedule, status } = narrow;
        if let Some(user) = user {
            let found = self.reservations_of(user, schedule, status, before, limit + 1).await?;
            let rows = found.into_iter().map(|found| (found.0, found)).collect();
            return Ok(FoundRows { rows, reached: None }.listed(limit));
        }

        // What lives is looked at first: what moves meanwhile is found there, and passed over behind it.
        let entries: Vec<Arc<ScheduleEntry>> = match schedule {
            Some(id) => self.find_schedule(id).await?.into_iter().collect(),
            None => self.schedules(),
        };

        let now = self.now();
        self.end_holds(&entries, |schedule| schedule.next_due().is_some_and(|due| due <= now)).await;
        let found = merge(entries.len(), before, limit + 1, |source, before, most| {
            let entry = &entries[source];
            let place = |reservation: &Reservation| reservation_place(entry.number(), reservation);
            let is_before =
                |reservation: &Reservation| before.is_none_or(|before| place(reservation) < before);
            let schedule = entry.read();
            let rows = schedule.reservations_before(is_before).take(most);
            rows.map(|reservation| {
                let place = place(reservation);
                let passes = status.is_none_or(|status| reservation.status == status);
                (place, passes.then(|| (place, Arc::clone(entry), reservation.clone())))
            })
            .collect()
        });

        // A reservation that has a deadline doesn't move to the archive.
        let may_be_archived = !status.is_some_and(ReservationStatus::has_deadline);
        let Some(archived) = self.archived_outside(&entries) else { return Ok(found.listed(limit)) };
        if schedule.is_some() || !may_be_archived {
            return Ok(found.listed(limit));
        }

        let word = status.map(ReservationStatus::as_str);
        let read = move |archive: &Archive| {
            archive.reservations_before(None, before, word, limit + 1, ROWS_MAX, &archived)
        };
        let places = bounded(&self.directory.archive.read(read).await?, |(_, schedule, _)| schedule);
        let rows = self.reservations_at(&places.found).await?;
        let rows = rows.into_iter().map(|found| (found.0, found)).collect();
        Ok(found.join(FoundRows { rows, reached: places.reached }).listed(limit))
    }

    /// Has schedules end the holds whose time is over, as [`Engine::read_reservation`] does: those of which `is_behind` is true.
    pub(super) async fn end_holds(
        &self,
        entries: &[Arc<ScheduleEntry>],
        is_behind: impl Fn(&Schedule) -> bool,
    ) {
        // No lock is held while schedules are waited for.
        let behind: Vec<&ScheduleEntry> =
            entries.iter().map(|entry| &**entry).filter(|entry| is_behind(&entry.read())).collect();
        self.catch_up(behind.into_iter()).await;
    }

    /// Reads reservations of the archive, a schedule after the other.
    pub(super) async fn reservations_at(
        &self,
        places: &[ReservationPlace],
    ) -> Result<Vec<FoundReservation>, EngineError> {
        let mut in_order = places.to_vec();
        in_order.sort_unstable_by_key(|(_, schedule, number): &ReservationPlace| (*schedule, *number));
        let mut rows = Vec::with_capacity(places.len());
        for of_one in in_order.chunk_by(|(_, one, _), (_, other, _)| one == other) {
            let Some(archived) = self.directory.archived(of_one[0].1).await? else { continue };
            let schedule = archived.entry.read();
            for place in of_one {
                let reservation = schedule.reservation_numbered(place.2).cloned();
                rows.extend(
                    reservation.map(|reservation| (*place, Arc::clone(&archived.entry), reservation)),
                );
            }
        }
        Ok(rows)
    }

    /// Lists payments, live and archived, those of orders, too, the newest first: at most `limit`, and only those before a place if an earlier part gave one.
    /// The status is the word that clients see.
    ///
    /// # Errors
    /// `ArchiveUnavailable`.
    pub async fn list_payments(
        &self,
        narrow: Narrow<'_, &str>,
        before: Option<PaymentPlace>,
        limit: usize,
    ) -> Result<Listed<AnyPayment, PaymentPlace>, EngineError> {
        let before = before.map(|(at, schedule, number)| {
            (at, schedule, PaymentNumber(self.directory.core.seal.open_cursor(schedule, number.0)))
        });
        let mut listed = self.payments_before(narrow, before, limit).await?;
        if let Some((_, schedule, number)) = &mut listed.next {
            number.0 = self.directory.core.seal.close_cursor(*schedule, number.0);
        }
        Ok(listed)
    }

    async fn payments_before(
        &self,
        narrow: Narrow<'_, &str>,
        before: Option<PaymentPlace>,
        limit: usize,
    ) -> Result<Listed<AnyPayment, PaymentPlace>, EngineError> {
        let Narrow { user, schedule, status } = narrow;
        let (entries, sources) = self.payment_sources(user, schedule).await?;
        let passes = |state: State| status.is_none_or(|status| state.as_str() == status);

        let found = merge(sources.len(), before, limit + 1, |source, before, most| {
            sources[source].rows(user, before, most, passes)
        });
        let Some(archived) = self.archived_outside(&entries) else { return Ok(found.listed(limit)) };
        if schedule.is_some() {
            return Ok(found.listed(limit));
        }

        let owner = user.map(str::to_owned);
        let read = move |archive: &Archive| {
            archive.payments_before(owner.as_deref(), before, limit + 1, ROWS_MAX, &archived)
        };
        let asked = limit + 1;
        let mut places = self.directory.archive.read(read).await?;

        // The tables don't know a payment's state: behind a full batch there may be more.
        if places.found.len() == asked {
            places.reached = places.found.last().copied();
        }
        let places = bounded(&places, |(_, schedule, _)| schedule);
        let mut rows = self.payments_at(&places.found).await?;
        rows.retain(|(_, payment)| passes(payment.state()));
        Ok(found.join(FoundRows { rows, reached: places.reached }).listed(limit))
    }

    /// Finds the payments that are in memory, with their schedules; of one schedule also those in the archive. The payments of a
    /// schedule that was deleted stay: their money may be under way.
    async fn payment_sources(
        &self,
        user: Option<&str>,
        schedule: Option<&str>,
    ) -> Result<(Vec<Arc<ScheduleEntry>>, Vec<Source>), EngineError> {
        let ledgers = &self.directory.ledgers;
        // A schedule that moves to the archive leaves the directory first, and its payments after it: so they are looked for first.
        let (live, entries): (Vec<Arc<Live<Payments>>>, Vec<Arc<ScheduleEntry>>) = match (schedule, user) {
            (Some(id), _) => {
                let Some(entry) = self.find_schedule(id).await? else { return Ok((Vec::new(), Vec::new())) };
                (ledgers.payments(entry.number()).into_iter().collect(), vec![entry])
            }
            (None, Some(user)) => {
                let numbers = self.directory.numbers_of_user(user).into_iter();
                let live = numbers.filter_map(|number| ledgers.payments(number)).collect();
                (live, self.schedules_of_user(user))
            }
            (None, None) => (ledgers.all_payments(), self.schedules()),
        };

        let mut sources = Vec::new();
        if let (Some(_), [], [entry]) = (schedule, &live[..], &entries[..]) {
            // It has none, or they are in the archive.
            let archived = self.directory.archived(entry.number()).await?;
            sources.extend(archived.map(Source::Archived));
        }

        let numbers: HashSet<ScheduleNumber> =
            live.iter().map(|payments| payments.read().schedule()).collect();
        sources.extend(live.into_iter().map(Source::Live));
        let mut looked_at = Vec::new();
        for entry in entries {
            let has_orders = entry.read().orders().next().is_some();
            if has_orders {
                sources.push(Source::Orders(Arc::clone(&entry)));
            }
            if has_orders || schedule.is_some() || numbers.contains(&entry.number()) {
                looked_at.push(entry);
            }
        }
        Ok((looked_at, sources))
    }

    /// Reads payments of the archive, a schedule after the other.
    async fn payments_at(
        &self,
        places: &[PaymentPlace],
    ) -> Result<Vec<(PaymentPlace, AnyPayment)>, EngineError> {
        let mut in_order = places.to_vec();
        in_order.sort_unstable_by_key(|(_, schedule, number): &PaymentPlace| (*schedule, *number));
        let mut rows = Vec::with_capacity(places.len());
        for of_one in in_order.chunk_by(|(_, one, _), (_, other, _)| one == other) {
            let Some(archived) = self.directory.archived(of_one[0].1).await? else { continue };
            let schedule = archived.entry.read();
            for place in of_one {
                let order = place.2.order().and_then(|number| schedule.reservation_numbered(number));
                let found = match order.and_then(|order| OrderPayment::of(&schedule, order)) {
                    Some(payment) => Some(AnyPayment::OfOrder(payment)),
                    None => archived.payments.numbered(place.2).cloned().map(AnyPayment::Saga),
                };
                rows.extend(found.map(|payment| (*place, payment)));
            }
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of some sources: every number is in one of them, and the even ones pass.
    fn rows(sources: usize, count: u32) -> Vec<Vec<u32>> {
        let of = |source| {
            let own = |number: &u32| usize::try_from(number * number % 7).unwrap() % sources == source;
            (0..count).rev().filter(own).collect()
        };
        (0..sources).map(of).collect()
    }

    fn look(rows: &[Vec<u32>], source: usize, before: Option<u32>, most: usize) -> Vec<(u32, Option<u32>)> {
        let older = rows[source].iter().filter(|row| before.is_none_or(|before| **row < before));
        older.take(most).map(|row| (*row, (row % 2 == 0).then_some(*row))).collect()
    }

    #[test]
    fn sources_are_merged_into_one_list_with_the_newest_first_whatever_the_page() {
        for sources in 1..4 {
            let rows = rows(sources, 500);
            let expected: Vec<u32> = (0..500).rev().filter(|row| row % 2 == 0).collect();
            for limit in [1, 7, 100, 1_000] {
                let (mut all, mut before) = (Vec::new(), None);
                loop {
                    let found =
                        merge(sources, before, limit + 1, |at, before, most| look(&rows, at, before, most));
                    let page = found.listed(limit);
                    assert!(page.items.len() <= limit);
                    all.extend(page.items);
                    before = page.next;
                    if before.is_none() {
                        break;
                    }
                }
                assert_eq!(all, expected, "{sources} {limit}");
            }
        }
    }

    #[test]
    fn a_filter_that_nothing_passes_looks_at_so_many_rows_and_says_where_to_go_on() {
        let last = u32::try_from(3 * ROWS_MAX).unwrap();
        let none = |_: usize, before: Option<u32>, most: usize| -> Vec<(u32, Option<u32>)> {
            (0..before.unwrap_or(last)).rev().take(most).map(|row| (row, None)).collect()
        };
        let mut before = None;
        for _ in 0..3 {
            let page = merge(1, before, 10, none).listed(9);
            assert!(page.items.is_empty());
            before = page.next;
        }
        assert_eq!(before, Some(0));
        assert_eq!(merge(1, before, 10, none).listed(9).next, None);
    }

    #[test]
    fn what_only_one_of_two_places_looked_at_is_not_said_yet() {
        let looked = |rows: &[u32], reached| FoundRows {
            rows: rows.iter().map(|row| (*row, *row)).collect(),
            reached,
        };
        let joined = looked(&[9, 7, 3], None).join(looked(&[8, 6], Some(6))).listed(10);
        assert_eq!((joined.items, joined.next), (vec![9, 8, 7, 6], Some(6)));
        let joined = looked(&[9, 7, 3], None).join(looked(&[8, 6], None)).listed(3);
        assert_eq!((joined.items, joined.next), (vec![9, 8, 7], Some(7)));
    }

    #[test]
    fn a_page_reads_so_many_schedules_from_the_archive() {
        let places: Vec<(u32, u32)> = (0..40).rev().map(|place| (place, place / 2)).collect();
        let schedule = |(_, schedule): (u32, u32)| ScheduleNumber(schedule);
        let kept = bounded(&Places { found: places.clone(), reached: None }, schedule);
        assert_eq!(kept.found, places[..2 * ARCHIVED_MAX]);
        assert_eq!(kept.reached, Some(places[2 * ARCHIVED_MAX - 1]));
        let few = bounded(&Places { found: places[..5].to_vec(), reached: Some(places[6]) }, schedule);
        assert_eq!((few.found.len(), few.reached), (5, Some(places[6])));
    }
}
