//! A reservation as it is answered.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::money::RefundWord;
use super::words::{At, OpaqueId, ReservationWord};
use crate::domain::catalogue::Catalogue;
use crate::domain::concert::Prices;
use crate::domain::ids::PriceTypeId;
use crate::domain::money::{Currency, Money};
use crate::domain::schedule::terms::{AreaPlaces, Line, LineKind, PriceType};
use crate::domain::schedule::{Reservation, ReservationStatus, Terms};
use crate::domain::time::Timestamp;
use crate::domain::venue::Seat;
use crate::engine::{Engine, EngineError, ScheduleEntry};

/// A reservation: seats of one schedule for one user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reservation)]
pub struct ReservationDocument<'a> {
    reservation_id: OpaqueId,
    schedule_id: &'a str,
    concert_id: &'a str,
    concert_title: &'a str,
    /// The venue's name.
    venue: &'a str,
    starts_at: At,
    /// Null where the box office sold it without saying whose it is.
    #[schema(required)]
    user_id: Option<&'a str>,
    /// Who comes with it, as the box office noted it; absent if that didn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    status: ReservationWord,
    seats: Vec<ReservedSeat<'a>>,
    /// Its places of areas; absent if it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    areas: Vec<ReservedPlaces<'a>>,
    /// What it costs; absent if it has nothing but seats at their grades' prices. The amounts add up to `amount`. They are fixed when the
    /// hold is made, and anew when it is exchanged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<LineDocument<'a>>,
    /// What it costs together, in the currency's minor unit.
    amount: u64,
    /// With `lines`, once it is confirmed: what a cancellation gives back, or has given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_amount: Option<u64>,
    currency: &'a str,
    /// The code that it used; absent if it used none.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    created_at: At,
    /// The instant at which a hold ends.
    expires_at: At,
    #[schema(required)]
    confirmed_at: Option<At>,
    #[schema(required)]
    cancelled_at: Option<At>,
    #[schema(required)]
    payment_id: Option<OpaqueId>,
    /// `by_hand` where an order of the box office was cancelled: whoever took the money gives it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<RefundWord>,
    /// Whether an outage of the engine moved the deadline.
    recovered: bool,
}

/// A seat of a reservation.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReservedSeat<'a> {
    seat_id: &'a str,
    grade: &'a str,
    /// In the currency's minor unit; of its price type, if it has one.
    price: u64,
    /// Its price type; absent if the concert has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_type: Option<&'a str>,
}

/// A line of what a reservation costs.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Line)]
pub(super) struct LineDocument<'a> {
    kind: LineWord,
    /// Its name, for people.
    name: &'a str,
    count: u32,
    /// In the currency's minor unit; below zero where it is taken off.
    unit_amount: i64,
    /// `unitAmount` as often as `count` says.
    amount: i64,
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LineKind)]
enum LineWord {
    Seat,
    Area,
    Fee,
    Discount,
}

impl From<LineKind> for LineWord {
    fn from(kind: LineKind) -> Self {
        match kind {
            LineKind::Seat => Self::Seat,
            LineKind::Area => Self::Area,
            LineKind::Fee => Self::Fee,
            LineKind::Discount => Self::Discount,
        }
    }
}

impl<'a> From<&'a Line> for LineDocument<'a> {
    fn from(line: &'a Line) -> Self {
        Self {
            kind: line.kind.into(),
            name: &line.name,
            count: line.count,
            unit_amount: line.unit_amount,
            amount: line.amount,
        }
    }
}

/// Places of an area that a reservation has.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReservedPlaces<'a> {
    area_id: &'a str,
    grade: &'a str,
    /// The price of a place, in the currency's minor unit; of its price type, if it has one.
    price: u64,
    /// Their price type; absent if the concert has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_type: Option<&'a str>,
    /// How many places.
    count: u32,
}

/// A reservation on a door list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuestDocument<'a> {
    /// The name with which the user signed up; null for a deleted user, for a user of an outside identity provider, and where it is
    /// nobody's.
    #[schema(required)]
    pub user_name: Option<String>,
    /// The reservation.
    #[serde(flatten)]
    pub reservation: ReservationDocument<'a>,
}

/// The parts of a reservation's document that aren't in the reservation: the show, the venue, the prices.
pub struct Surroundings<'a> {
    entry: &'a ScheduleEntry,
    catalogue: Arc<Catalogue>,
    prices: Arc<Prices>,
    currency: Currency,
    starts_at: Timestamp,
}

impl<'a> Surroundings<'a> {
    /// Gathers them.
    ///
    /// # Errors
    /// `NoSuchSchedule` before prices are bound, when there is no reservation either.
    pub fn of(engine: &Engine, entry: &'a ScheduleEntry) -> Result<Self, EngineError> {
        let (prices, currency, starts_at) = {
            let schedule = entry.read();
            (schedule.prices().cloned(), schedule.currency(), schedule.plan().starts_at)
        };
        let prices = prices.ok_or(EngineError::NoSuchSchedule)?;
        Ok(Self { entry, catalogue: engine.catalogue(), prices, currency, starts_at })
    }

    /// Shows a reservation.
    pub fn show<'s>(&'s self, reservation: &'s Reservation) -> ReservationDocument<'s> {
        let concert = self.catalogue.concert(self.entry.concert());
        let venue = concert.and_then(|concert| self.catalogue.venue(&concert.venue));
        let terms = reservation.terms.as_deref();
        let places = reservation.seats.iter().enumerate();
        let seat = |(place, seat): (usize, &Seat)| {
            self.seat(*seat, terms.map_or(PriceType::DEFAULT, |terms| terms.price_type(place)))
        };
        let seats: Vec<ReservedSeat<'_>> = places.map(seat).collect();
        let add = |sum: Money, seat: &Seat| {
            sum.plus(self.price(*seat)).expect("the seats of one reservation cost less than 2^53")
        };
        let terms = reservation.terms.as_deref();
        let amount = terms.map_or_else(|| reservation.seats.iter().fold(Money::ZERO, add), Terms::amount);
        let places = terms.into_iter().flat_map(|terms| &*terms.areas);
        let lines = terms.into_iter().flat_map(|terms| &*terms.lines);
        let order = reservation.order();
        let was_confirmed =
            matches!(reservation.status, ReservationStatus::Confirmed | ReservationStatus::Cancelled);

        ReservationDocument {
            reservation_id: reservation.full_id(self.entry.number()).into(),
            schedule_id: self.entry.id(),
            concert_id: self.entry.concert(),
            concert_title: concert.map_or("", |concert| &concert.title),
            venue: venue.map_or("", |built| &built.venue.name),
            starts_at: At(self.starts_at),
            user_id: reservation.user.as_deref(),
            name: order.and_then(|order| order.name.as_deref()),
            status: reservation.status.into(),
            seats,
            areas: places.map(|places| self.places(*places)).collect(),
            lines: lines.map(LineDocument::from).collect(),
            amount: amount.minor(),
            refund_amount: terms.filter(|_| was_confirmed).map(|terms| terms.refund().minor()),
            currency: self.currency.as_str(),
            code: reservation.code(),
            created_at: At(reservation.created_at),
            expires_at: At(reservation.expires_at),
            confirmed_at: reservation.confirmed_at.map(At),
            cancelled_at: reservation.cancelled_at.map(At),
            payment_id: reservation.payment.map(OpaqueId::from),
            refund: order.and(reservation.cancelled_at).map(|_| RefundWord::ByHand),
            recovered: reservation.recovered,
        }
    }

    fn places(&self, places: AreaPlaces) -> ReservedPlaces<'_> {
        let layout = self.entry.layout();
        let area = &layout.areas()[places.area.index()];
        let price = self.prices.shown(area.grade, places.price_type);
        ReservedPlaces {
            area_id: &area.id,
            grade: &layout.grades()[area.grade.index()],
            price: price.minor(),
            price_type: self.prices.type_id(places.price_type).map(PriceTypeId::as_str),
            count: places.count,
        }
    }

    fn price(&self, seat: Seat) -> Money {
        self.prices.by_grade[self.entry.layout().grade_of(seat).index()]
    }

    fn seat(&self, seat: Seat, price_type: PriceType) -> ReservedSeat<'_> {
        let layout = self.entry.layout();
        let grade = layout.grade_of(seat);
        let price = self.prices.shown(grade, price_type);
        ReservedSeat {
            seat_id: layout.seat_id(seat),
            grade: &layout.grades()[grade.index()],
            price: price.minor(),
            price_type: self.prices.type_id(price_type).map(PriceTypeId::as_str),
        }
    }
}
