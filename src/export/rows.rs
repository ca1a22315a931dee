//! From state to rows.
//!
//! A schedule comes with all that belongs to it before the next one does, so that a source has to show each only once a
//! walk: one that stands encoded elsewhere is never in memory together with another.
//!
//! Absent on purpose: where the state is. [`Sources`] holds closures that show it; a world is one source of each, and
//! the archive is another.
//!
//! Invariant: a row that a foreign key names comes before the row that names it.

use std::sync::Arc;

use hashbrown::HashSet;

use super::{SCHEMA_VERSION, Table, Taken, Value};
use crate::archive::{Archive, ArchiveError, Restored};
use crate::domain::accounts::{Account, Accounts, Kind, Transaction};
use crate::domain::catalogue::Catalogue;
use crate::domain::concert::Concert;
use crate::domain::ids::{GradeName, PaymentId, PhaseId, PriceTypeId, ReservationId, UserId, count_of};
use crate::domain::money::Currency;
use crate::domain::payments::{Failure, OrderPayment, Payment, Payments, State};
use crate::domain::schedule::codes::{Codes, Discount, Standing};
use crate::domain::schedule::terms::PriceType;
use crate::domain::schedule::{Reservation, ReservationRef, Schedule, SeatStatus};
use crate::domain::users::{User, UserStatus, Users};
use crate::domain::venue::BuiltVenue;
use crate::recovery::World;

/// A schedule with its payments. Payments outlive a schedule that was removed.
#[derive(Debug, Clone, Copy)]
pub struct Sale<'a> {
    /// The schedule, unless it was removed.
    pub schedule: Option<&'a Schedule>,
    /// Its payments, if there ever was one.
    pub payments: Option<&'a Payments>,
}

/// A movement of a user's account.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "a field without a sentence is what its name says")]
pub struct Movement<'a> {
    pub user: &'a UserId,
    pub currency: Currency,
    pub transaction: &'a Transaction,
}

/// Shows sales, each once, in the same order whenever it is asked. `E` is why a walk stops early.
pub type SaleSource<'a, E> = Box<dyn Fn(&mut SaleVisitor<'_, E>) -> Result<(), E> + 'a>;
type SaleVisitor<'v, E> = dyn FnMut(Sale<'_>) -> Result<(), E> + 'v;

/// Shows movements of accounts, each once, in the same order whenever it is asked.
pub type MovementSource<'a, E> = Box<dyn Fn(&mut MovementVisitor<'_, E>) -> Result<(), E> + 'a>;
type MovementVisitor<'v, E> = dyn FnMut(Movement<'_>) -> Result<(), E> + 'v;

/// Takes rows, each with its table.
pub type RowTaker<'t, E> = dyn FnMut(Table, &[Value<'_>]) -> Result<(), E> + 't;

/// Where the rows come from. All of it is the state at one position.
pub struct Sources<'a, E> {
    taken: Taken,
    catalogue: &'a Catalogue,
    users: &'a Users,
    accounts: Vec<(&'a UserId, &'a Account)>,
    /// The schedules with their payments, from as many places as they stand in.
    pub sales: Vec<SaleSource<'a, E>>,
    /// The movements of accounts, from as many places as they stand in.
    pub movements: Vec<MovementSource<'a, E>>,
}

impl<'a, E> Sources<'a, E> {
    /// Takes everything from a world.
    pub fn of(world: &'a World, taken: Taken) -> Self {
        let mut accounts: Vec<_> = world.accounts.values().flat_map(Accounts::iter).collect();
        accounts.sort_unstable_by_key(|(user, _)| *user);
        let of_accounts = accounts.clone();
        Self {
            taken,
            catalogue: &world.catalogue,
            users: &world.users,
            accounts,
            sales: vec![Box::new(|visit| show_sales(world, visit))],
            movements: vec![Box::new(move |visit| show_movements(&of_accounts, visit))],
        }
    }
}

impl<'a, E: From<ArchiveError>> Sources<'a, E> {
    /// Adds the archived schedules and movements that the world names, which never change there.
    pub fn add_archive(&mut self, archive: &'a Archive, world: &'a World) {
        let sales: SaleSource<'a, E> = Box::new(|visit| {
            archive.for_each_schedule(world, |Restored { schedule, payments }| {
                visit(Sale { schedule: Some(&schedule), payments: Some(&payments) })
            })
        });
        let accounts = self.accounts.clone();

        let movements: MovementSource<'a, E> = Box::new(move |visit| {
            for (user, account) in &accounts {
                let (user, currency) = (*user, account.currency());
                let Some(carried) = account.carried() else { continue };
                // Read first, and shown then: the taker of the rows may be slow, and others read the archive, too.
                let mut moved = Vec::new();
                archive.for_each_transaction(user, carried, |_, transaction| moved.push(*transaction))?;

                for transaction in &moved {
                    visit(Movement { user, currency, transaction })?;
                }
            }
            Ok(())
        });
        // An account's oldest movements come first.
        self.sales.insert(0, sales);
        self.movements.insert(0, movements);
    }
}

fn show_sales<E>(world: &World, visit: &mut SaleVisitor<'_, E>) -> Result<(), E> {
    let mut numbers: Vec<_> = world.schedules.keys().chain(world.payments.keys()).copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        visit(Sale { schedule: world.schedules.get(&number), payments: world.payments.get(&number) })?;
    }
    Ok(())
}

fn show_movements<E>(accounts: &[(&UserId, &Account)], visit: &mut MovementVisitor<'_, E>) -> Result<(), E> {
    for (user, account) in accounts {
        let (user, currency) = (*user, account.currency());
        // It shows the newest first; a reader of a table expects the oldest.
        let newest_first: Vec<&Transaction> = account.transactions().collect();
        for transaction in newest_first.into_iter().rev() {
            visit(Movement { user, currency, transaction })?;
        }
    }
    Ok(())
}

/// Counts the rows of each table, in the order of [`Table::ALL`].
///
/// # Errors
/// A source's.
pub fn count<E>(sources: &Sources<'_, E>) -> Result<[u64; Table::ALL.len()], E> {
    let mut counts = [0; Table::ALL.len()];
    walk(sources, &mut |table, _| {
        counts[table.index()] += 1;
        Ok(())
    })?;
    Ok(counts)
}

/// Shows every row with its table.
///
/// # Errors
/// The first of a source or of `take`; nothing is shown after it.
pub fn walk<E>(sources: &Sources<'_, E>, take: &mut RowTaker<'_, E>) -> Result<(), E> {
    let Sources { taken, catalogue, users, .. } = sources;
    take(
        Table::Meta,
        &[
            taken.position.get().into(),
            taken.at.into(),
            taken.log().into(),
            env!("CARGO_PKG_VERSION").into(),
            SCHEMA_VERSION.into(),
        ],
    )?;

    let mut rows = Rows { catalogue, users, strangers: HashSet::new(), take };
    for built in catalogue.venues() {
        rows.venue(built)?;
    }

    // A row comes after those that it names: a concert after its venue, a sale after its concert.
    for concert in catalogue.concerts() {
        rows.concert(concert)?;
    }

    let mut known: Vec<&User> = users.iter().collect();
    known.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    for user in known {
        rows.user(user)?;
    }

    for source in &sources.sales {
        source(&mut |sale| rows.sale(sale))?;
    }

    for (user, account) in &sources.accounts {
        rows.account(user, account)?;
    }

    for source in &sources.movements {
        source(&mut |movement| rows.movement(movement))?;
    }
    Ok(())
}

struct Rows<'a, E> {
    catalogue: &'a Catalogue,
    users: &'a Users,
    /// Users of whom nothing is known but that another table names them; each has a row by now.
    strangers: HashSet<UserId>,
    take: &'a mut RowTaker<'a, E>,
}

impl<E> Rows<'_, E> {
    fn venue(&mut self, built: &BuiltVenue) -> Result<(), E> {
        let venue = &*built.venue;
        let id = venue.id.as_str();
        let row = [
            id.into(),
            venue.name.as_str().into(),
            venue.address.as_str().into(),
            venue.kind.as_str().into(),
            venue.time_zone.as_str().into(),
        ];

        (self.take)(Table::Venues, &row)?;
        for (index, section) in venue.sections.iter().enumerate() {
            let (floor, section_id) = (section.floor.as_str(), section.id.as_str());
            let row = [id.into(), floor.into(), section_id.into(), (index + 1).into()];
            (self.take)(Table::VenueSections, &row)?;
            for (index, row) in section.rows.iter().enumerate() {
                let row = [
                    id.into(),
                    floor.into(),
                    section_id.into(),
                    row.id.as_str().into(),
                    (index + 1).into(),
                    row.grade.as_str().into(),
                    row.seats.count().into(),
                ];
                (self.take)(Table::VenueRows, &row)?;
            }
        }

        for (index, area) in venue.areas.iter().enumerate() {
            let row = [
                id.into(),
                area.id.as_str().into(),
                area.floor.as_str().into(),
                area.name.as_str().into(),
                (index + 1).into(),
                area.grade.as_str().into(),
                area.capacity.into(),
            ];
            (self.take)(Table::VenueAreas, &row)?;
        }

        Ok(())
    }

    fn concert(&mut self, concert: &Concert) -> Result<(), E> {
        let (id, currency) = (concert.id.as_str(), concert.currency.as_str());
        let row = [
            id.into(),
            concert.venue.as_str().into(),
            concert.title.as_str().into(),
            concert.artist.as_str().into(),
            concert.description.as_deref().into(),
            concert.poster_url.as_deref().into(),
            currency.into(),
        ];

        (self.take)(Table::Concerts, &row)?;
        for (index, grade) in concert.grades.iter().enumerate() {
            let row = [
                id.into(),
                grade.name.as_str().into(),
                (index + 1).into(),
                grade.price.minor().into(),
                currency.into(),
                grade.color.as_str().into(),
                grade.description.as_deref().into(),
            ];
            (self.take)(Table::Grades, &row)?;
        }

        self.price_types(concert)?;
        for (index, fee) in concert.fees.iter().enumerate() {
            let row = [
                id.into(),
                fee.id.as_str().into(),
                (index + 1).into(),
                (&*fee.name).into(),
                fee.amount.minor().into(),
                currency.into(),
                fee.per.as_str().into(),
                u32::from(fee.refundable).into(),
            ];
            (self.take)(Table::Fees, &row)?;
        }

        Ok(())
    }

    fn price_types(&mut self, concert: &Concert) -> Result<(), E> {
        let (id, currency) = (concert.id.as_str(), concert.currency.as_str());
        for (index, priced) in concert.price_types.iter().enumerate() {
            let row = [
                id.into(),
                priced.id.as_str().into(),
                (index + 1).into(),
                (&*priced.name).into(),
                priced.note.as_deref().into(),
            ];
            (self.take)(Table::PriceTypes, &row)?;
        }

        for grade in &concert.grades {
            for (price_type, price) in &grade.prices {
                let row = [
                    id.into(),
                    grade.name.as_str().into(),
                    price_type.as_str().into(),
                    price.minor().into(),
                    currency.into(),
                ];
                (self.take)(Table::GradePrices, &row)?;
            }
        }
        Ok(())
    }

    fn user(&mut self, user: &User) -> Result<(), E> {
        let profile = user.profile.as_deref();
        let row = [
            user.id.as_str().into(),
            user.status.as_str().into(),
            profile.map(|profile| profile.email.as_str()).into(),
            profile.map(|profile| profile.name.as_str()).into(),
            user.created_at.into(),
        ];
        (self.take)(Table::Users, &row)
    }

    /// Makes sure that a user whom a row is about to name has one: of an identity provider's, nothing may be known.
    fn named(&mut self, user: &UserId) -> Result<(), E> {
        if self.users.find(user).is_some() || self.strangers.contains(user) {
            return Ok(());
        }
        self.strangers.insert(user.clone());
        let status = UserStatus::Active.as_str();
        let row = [user.as_str().into(), status.into(), Value::Null, Value::Null, Value::Null];
        (self.take)(Table::Users, &row)
    }

    fn sale(&mut self, sale: Sale<'_>) -> Result<(), E> {
        if let Some(schedule) = sale.schedule {
            self.schedule(schedule)?;
            self.seats(schedule)?;
            self.codes(schedule)?;
            self.allotments(schedule)?;
        }
        for payment in sale.payments.into_iter().flat_map(Payments::iter) {
            self.payment(payment, sale.schedule)?;
        }
        if let Some(schedule) = sale.schedule {
            for order in schedule.orders().filter_map(|order| OrderPayment::of(schedule, order)) {
                self.order_payment(&order, schedule)?;
            }
            for reservation in schedule.reservations() {
                self.reservation(schedule, reservation, sale.payments)?;
            }
        }
        Ok(())
    }

    fn schedule(&mut self, schedule: &Schedule) -> Result<(), E> {
        let (plan, counts) = (schedule.plan(), schedule.counts());
        let currency = schedule.currency();
        let row = [
            schedule.id().as_str().into(),
            schedule.concert().as_str().into(),
            schedule.venue().as_str().into(),
            schedule.sale_status().as_str().into(),
            plan.starts_at.into(),
            plan.ends_at.into(),
            plan.sales_open_at.into(),
            plan.sales_close_at.into(),
            counts.total().into(),
            counts.available.into(),
            counts.held.into(),
            counts.reserved.into(),
            counts.blocked.into(),
            currency.as_str().into(),
        ];
        (self.take)(Table::Schedules, &row)
    }

    fn seats(&mut self, schedule: &Schedule) -> Result<(), E> {
        let (layout, currency) = (schedule.layout(), schedule.currency());
        // A schedule of an earlier version that never opened has the concert's prices.
        let of_concert = || self.catalogue.prices(schedule.concert(), layout).map(Arc::new);
        let prices = schedule.prices().cloned().or_else(of_concert);
        let prices = prices.expect("a listed schedule's concert has a price for each of its grades");

        for row in layout.rows() {
            let section = &layout.sections()[usize::from(row.section)];
            let (grade, price) = (&layout.grades()[row.grade.index()], prices.by_grade[row.grade.index()]);
            for seat in row.seats() {
                let status: SeatStatus = schedule.statuses()[seat.index()];
                let row = [
                    schedule.id().as_str().into(),
                    layout.seat_id(seat).into(),
                    (&*section.floor).into(),
                    (&*section.id).into(),
                    (&*row.id).into(),
                    layout.seat_number(seat).into(),
                    grade.as_str().into(),
                    price.minor().into(),
                    currency.as_str().into(),
                    status.as_str().into(),
                ];
                (self.take)(Table::Seats, &row)?;
            }
        }

        for (area, counts) in layout.areas().iter().zip(schedule.area_counts()) {
            let row = [
                schedule.id().as_str().into(),
                (&*area.id).into(),
                (&*area.floor).into(),
                layout.grades()[area.grade.index()].as_str().into(),
                prices.by_grade[area.grade.index()].minor().into(),
                currency.as_str().into(),
                area.capacity.into(),
                counts.available.into(),
                counts.held.into(),
                counts.reserved.into(),
                counts.blocked.into(),
            ];
            (self.take)(Table::Areas, &row)?;
        }

        Ok(())
    }

    fn codes(&mut self, schedule: &Schedule) -> Result<(), E> {
        for (code, Standing { terms, uses }, ended) in schedule.codes().into_iter().flat_map(Codes::all) {
            let phases = (!terms.phases.is_empty()).then(|| list(terms.phases.iter().map(PhaseId::as_str)));
            let grades = terms.grades.as_ref().map(|grades| list(grades.iter().map(GradeName::as_str)));
            let types = terms.price_types.as_ref().map(|types| list(types.iter().map(|id| &**id)));
            let (percent, per_seat) = match terms.discount {
                None => (None, None),
                Some(Discount::Percent(percent)) => (Some(u32::from(percent)), None),
                Some(Discount::AmountPerSeat(amount)) => (None, Some(amount.minor())),
            };
            let row = [
                schedule.id().as_str().into(),
                code.as_str().into(),
                u32::from(ended).into(),
                phases.into(),
                terms.allotment.as_deref().into(),
                percent.into(),
                per_seat.into(),
                grades.into(),
                types.into(),
                terms.max_uses.into(),
                terms.max_seats.into(),
                terms.valid_from.into(),
                terms.valid_until.into(),
                uses.used.into(),
                uses.seats.into(),
            ];
            (self.take)(Table::Codes, &row)?;
        }

        Ok(())
    }

    fn allotments(&mut self, schedule: &Schedule) -> Result<(), E> {
        for terms in schedule.allotments() {
            let counts = schedule.allotment_counts(&terms, schedule.last_instant());
            let row = [
                schedule.id().as_str().into(),
                terms.id.as_str().into(),
                terms.name.as_str().into(),
                terms.reason.as_deref().into(),
                terms.release_at.into(),
                counts.total.into(),
                counts.held.into(),
                counts.sold.into(),
                counts.left.into(),
            ];
            (self.take)(Table::Allotments, &row)?;

            for seat in &*terms.seats {
                let seat = schedule.layout().seat_id(*seat);
                let row = [schedule.id().as_str().into(), seat.into(), terms.id.as_str().into()];
                (self.take)(Table::AllotmentSeats, &row)?;
            }
            for (places, counts) in terms.areas.iter().zip(schedule.allotment_areas(&terms.id)) {
                let area = &schedule.layout().areas()[places.area.index()];
                let row = [
                    schedule.id().as_str().into(),
                    (&*area.id).into(),
                    terms.id.as_str().into(),
                    counts.total.into(),
                    counts.held.into(),
                    counts.sold.into(),
                    counts.left.into(),
                ];
                (self.take)(Table::AllotmentAreas, &row)?;
            }
        }

        Ok(())
    }

    fn payment(&mut self, payment: &Payment, schedule: Option<&Schedule>) -> Result<(), E> {
        self.named(&payment.user)?;
        let reservation = reservation_id(payment.id, payment.reservation);

        let declined = match &payment.failure {
            Some(Failure::Declined { code, reason }) => Some((&**code, &**reason)),
            _ => None,
        };

        let goes_back = matches!(payment.state, State::Refunding | State::Refunded);
        let answer = payment.answer.as_deref();
        let row = [
            payment.id.to_string().into(),
            schedule.map(|schedule| schedule.id().as_str()).into(),
            reservation.to_string().into(),
            payment.user.as_str().into(),
            payment.method.as_str().into(),
            payment.state.as_str().into(),
            payment.amount.minor().into(),
            goes_back.then(|| payment.back().minor()).into(),
            payment.currency.as_str().into(),
            // The order's id at the gateway is the payment's own.
            payment.needs_gateway().then(|| payment.id.to_string()).into(),
            payment.failure.as_ref().map(Failure::as_str).into(),
            declined.map(|(code, _)| code).into(),
            declined.map(|(_, reason)| reason).into(),
            payment.payment_key.as_deref().into(),
            answer.and_then(|answer| answer.transaction.as_deref()).into(),
            answer.and_then(|answer| answer.approved_at).into(),
            answer.and_then(|answer| answer.refund.as_deref()).into(),
            payment.created_at.into(),
            payment.updated_at.into(),
            payment.completed_at.into(),
            payment.refunded_at.into(),
        ];

        (self.take)(Table::Payments, &row)
    }

    /// The payment of an order, whose reservation it is.
    fn order_payment(&mut self, payment: &OrderPayment, schedule: &Schedule) -> Result<(), E> {
        payment.user.as_ref().map_or(Ok(()), |user| self.named(user))?;
        let cancelled = payment.cancelled_at.map(|_| Failure::Cancelled.as_str());
        let row = [
            payment.id.to_string().into(),
            schedule.id().as_str().into(),
            reservation_id(payment.id, payment.reservation).to_string().into(),
            payment.user.as_deref().into(),
            payment.order().method.as_str().into(),
            payment.state().as_str().into(),
            payment.amount().minor().into(),
            payment.cancelled_at.map(|_| payment.refund().minor()).into(),
            payment.currency.as_str().into(),
            // Nothing of it is at a gateway.
            Value::Null,
            cancelled.into(),
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            payment.created_at.into(),
            payment.cancelled_at.unwrap_or(payment.created_at).into(),
            payment.created_at.into(),
            payment.refunded_at().into(),
        ];
        (self.take)(Table::Payments, &row)
    }

    /// What makes a reservation an order.
    fn order(&mut self, id: &str, payment: &OrderPayment) -> Result<(), E> {
        let order = payment.order();
        let row = [
            id.into(),
            payment.id.to_string().into(),
            order.clerk.as_str().into(),
            order.method.as_str().into(),
            order.reference.as_deref().into(),
            order.name.as_deref().into(),
            order.reason.as_deref().into(),
        ];
        (self.take)(Table::Orders, &row)
    }

    fn reservation(
        &mut self,
        schedule: &Schedule,
        reservation: &Reservation,
        payments: Option<&Payments>,
    ) -> Result<(), E> {
        reservation.user.as_ref().map_or(Ok(()), |user| self.named(user))?;
        let id = schedule.full_id(reservation).to_string();
        let currency = schedule.currency();

        // An attempt that came to nothing is forgotten, perhaps before the reservation that it was made for.
        let kept = |id| payments.is_some_and(|payments| payments.payment(id).is_some());
        let payment = reservation.payment.filter(|id| reservation.order().is_some() || kept(*id));
        let row = [
            id.as_str().into(),
            schedule.id().as_str().into(),
            reservation.user.as_deref().into(),
            reservation.status.as_str().into(),
            reservation.places().into(),
            schedule.amount_of(reservation).minor().into(),
            schedule.refund_of(reservation).minor().into(),
            currency.as_str().into(),
            reservation.code().into(),
            reservation.allotment().into(),
            payment.map(|id| id.to_string()).into(),
            reservation.created_at.into(),
            reservation.expires_at.into(),
            reservation.confirmed_at.into(),
            reservation.cancelled_at.into(),
            reservation.ended_at.into(),
            u32::from(reservation.recovered).into(),
        ];

        (self.take)(Table::Reservations, &row)?;
        if let Some(payment) = OrderPayment::of(schedule, reservation) {
            self.order(&id, &payment)?;
        }
        self.places(schedule, reservation, &id)?;

        for (index, line) in schedule.lines_of(reservation).iter().enumerate() {
            let row = [
                id.as_str().into(),
                (index + 1).into(),
                line.kind.as_str().into(),
                (&*line.name).into(),
                line.count.into(),
                line.unit_amount.into(),
                line.amount.into(),
                currency.as_str().into(),
                u32::from(line.refundable).into(),
            ];
            (self.take)(Table::ReservationLines, &row)?;
        }
        Ok(())
    }

    fn places(&mut self, schedule: &Schedule, reservation: &Reservation, id: &str) -> Result<(), E> {
        let (layout, currency) = (schedule.layout(), schedule.currency());
        let prices = schedule.prices().expect("prices are set before a seat is held");
        let price_of = |grade, price_type| {
            let price = prices.shown(grade, price_type);
            (prices.type_id(price_type).map(PriceTypeId::as_str), price.minor())
        };
        let terms = reservation.terms.as_deref();

        for (place, seat) in reservation.seats.iter().enumerate() {
            let grade = layout.grade_of(*seat);
            let price_type = terms.map_or(PriceType::DEFAULT, |terms| terms.price_type(place));
            let (price_type, price) = price_of(grade, price_type);
            let row = [
                id.into(),
                schedule.id().as_str().into(),
                layout.seat_id(*seat).into(),
                layout.grades()[grade.index()].as_str().into(),
                price_type.into(),
                price.into(),
                currency.as_str().into(),
            ];
            (self.take)(Table::ReservationSeats, &row)?;
        }

        let areas = terms.map_or(&[][..], |terms| &terms.areas);
        for (index, places) in areas.iter().enumerate() {
            let area = &layout.areas()[places.area.index()];
            let (price_type, price) = price_of(area.grade, places.price_type);
            let row = [
                id.into(),
                (index + 1).into(),
                schedule.id().as_str().into(),
                (&*area.id).into(),
                layout.grades()[area.grade.index()].as_str().into(),
                price_type.into(),
                price.into(),
                currency.as_str().into(),
                places.count.into(),
            ];
            (self.take)(Table::ReservationAreas, &row)?;
        }
        Ok(())
    }

    fn account(&mut self, user: &UserId, account: &Account) -> Result<(), E> {
        self.named(user)?;
        let currency = account.currency();
        let row = [
            user.as_str().into(),
            account.balance().minor().into(),
            currency.as_str().into(),
            account.updated_at().into(),
        ];
        (self.take)(Table::Accounts, &row)
    }

    fn movement(&mut self, movement: Movement<'_>) -> Result<(), E> {
        let Movement { user, currency, transaction } = movement;
        let payment = match transaction.kind {
            Kind::Charge => None,
            Kind::Payment(payment) | Kind::Refund(payment) => Some(payment.to_string()),
        };
        let row = [
            transaction.id.to_string().into(),
            user.as_str().into(),
            count_of(transaction.id.number).into(),
            transaction.kind.as_str().into(),
            transaction.amount.minor().into(),
            transaction.balance_after.minor().into(),
            currency.as_str().into(),
            payment.into(),
            transaction.at.into(),
        ];
        (self.take)(Table::Transactions, &row)
    }
}

fn reservation_id(payment: PaymentId, reservation: ReservationRef) -> ReservationId {
    let ReservationRef { number, nonce } = reservation;
    ReservationId { schedule: payment.schedule, number, nonce }
}

/// Writes names as a list of JSON.
fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    serde_json::Value::from(names.collect::<Vec<_>>()).to_string()
}
