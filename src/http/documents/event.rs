//! The documents of events in the journal's feed and in a schedule's history: the type and the fields, with names
//! instead of the domain's numbers.
//!
//! Absent on purpose: idempotency keys, in any form; and of users everything but their ids. A consumer's copy of the feed
//! doesn't forget a deleted user's name, so names and addresses are only on the users' route.
//!
//! Invariant: every event of the domain has a type and a document here. A new event without them doesn't compile.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::concert::FeeDocument;
use super::kinds::{self, EventDocument, Kind, object};
use super::reservation::LineDocument;
use super::{CodeBody, ConcertDocument, PlanDocument, QueuePolicyDocument, VenueDocument, money};
use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::By;
use crate::domain::concert::{PricedType, Prices};
use crate::domain::ids::{
    PaymentId, PaymentNumber, ReservationId, ReservationNumber, ScheduleId, ScheduleNumber, UserId,
};
use crate::domain::money::{Currency, Money};
use crate::domain::payments::Payment;
use crate::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use crate::domain::schedule::codes::{CodeTerms, masked};
use crate::domain::schedule::orders::Order;
use crate::domain::schedule::terms::AreaPlaces;
use crate::domain::schedule::{Creation, Event, Terms};
use crate::domain::users::Event as UserEvent;
use crate::domain::venue::{Area, Layout, Seat};
use crate::domain::waiting_room::draw::hex;
use crate::domain::waiting_room::{Event as RoomEvent, Ticket};
use crate::record::Fact;

/// The names of a schedule's numbers. Where a name is no longer known, the number stays.
pub trait Names {
    /// Returns the schedule's number in the log.
    fn number(&self) -> ScheduleNumber;

    /// Returns the schedule's id.
    fn id(&self) -> Option<&ScheduleId>;

    /// Returns the schedule's layout, which names its seats.
    fn layout(&self) -> Option<&Layout>;

    /// Returns what is known of a reservation.
    fn reservation(&self, number: ReservationNumber) -> Option<ReservationNames>;

    /// Returns the currency of its prices.
    fn currency(&self) -> Option<Currency>;

    /// Returns the prices that are bound, or set by now.
    fn prices(&self) -> Option<Arc<Prices>>;

    /// Returns what a reservation costs.
    fn amount(&self, reserved: &ReservationNames) -> Option<(Money, Currency)>;
}

/// The parts of a reservation that its events name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReservationNames {
    /// The random part of its id.
    pub nonce: u64,
    /// Whose it is; nobody's, where an order is.
    pub user: Option<UserId>,
    /// Its seats, once it has no others any more.
    pub seats: Arc<[Seat]>,
    /// What of it isn't numbered seats at their grades' prices, as its seats.
    pub terms: Option<Arc<Terms>>,
}

/// Where the names are found that the numbers of facts stand for. It is asked for the facts in order.
pub trait NameSource {
    /// Why a name can't be looked up.
    type Error;

    /// Returns the names for an event of a schedule, and notes what it says itself.
    ///
    /// # Errors
    /// When they can't be looked up.
    fn of_schedule(&mut self, number: ScheduleNumber, event: &Event) -> Result<impl Names, Self::Error>;

    /// Returns a schedule's id.
    ///
    /// # Errors
    /// When it can't be looked up.
    fn schedule_id(&mut self, number: ScheduleNumber) -> Result<Option<ScheduleId>, Self::Error>;

    /// Returns a payment, while it is kept.
    fn payment(&mut self, schedule: ScheduleNumber, number: PaymentNumber) -> Option<Payment>;
}

/// Writes a fact.
///
/// # Errors
/// When its names can't be looked up.
pub fn of_fact<S: NameSource>(fact: &Fact, names: &mut S) -> Result<EventDocument, S::Error> {
    Ok(match fact {
        Fact::Catalogue(event) => of_catalogue(event),
        Fact::Schedule(number, event) => of_schedule(event, &names.of_schedule(*number, event)?),
        Fact::WaitingRoom(number, event) => of_room(event, *number, names.schedule_id(*number)?.as_ref()),
        Fact::Accounts(shard, event) => money::of_accounts(event, *shard),
        Fact::Payments(number, event) => {
            money::of_payments(event, *number, names.payment(*number, event.number()).as_ref())
        }
        Fact::User(event) => of_user(event),
    })
}

/// Adds who asked for the event: `by` is `engine` (time, or the engine itself), `user`, or `admin` with `adminId`.
pub fn add_by(data: &mut Map<String, Value>, by: &By) {
    let word = match by {
        By::Engine => "engine",
        By::User => "user",
        By::Admin(id) => {
            data.insert("adminId".into(), id.as_str().into());
            "admin"
        }
    };
    data.insert("by".into(), word.into());
}

/// Writes an event of a schedule.
pub fn of_schedule(event: &Event, names: &impl Names) -> EventDocument {
    let (kind, fields) = describe(event, names);
    let mut data = Map::new();
    data.insert("scheduleId".into(), names.id().map(ToString::to_string).into());
    data.extend(object(fields));
    let subject = match names.id() {
        Some(id) => format!("schedules/{id}"),
        None => format!("schedules/#{}", names.number().0),
    };
    EventDocument::new(kind, subject, data)
}

/// Writes an event of a schedule's waiting room. A seed is published after its draw; before, only its hash is.
fn of_room(event: &RoomEvent, number: ScheduleNumber, id: Option<&ScheduleId>) -> EventDocument {
    let (kind, fields) = describe_room(event);
    let mut data = Map::new();
    data.insert("scheduleId".into(), id.map(ToString::to_string).into());
    data.extend(object(fields));
    let subject = match id {
        Some(id) => format!("schedules/{id}/queue"),
        None => format!("schedules/#{}/queue", number.0),
    };
    EventDocument::new(kind, subject, data)
}

fn describe_room(event: &RoomEvent) -> (&'static Kind, Value) {
    let tickets = |tickets: &[Ticket]| -> Vec<u32> { tickets.iter().map(|ticket| ticket.0).collect() };
    match event {
        RoomEvent::Configured { settings, seed } => {
            let queue = settings.as_ref().map(|settings| QueuePolicyDocument::from(&settings.policy));
            let hash = seed.map(|seed| hex(&seed.commitment()));
            (&kinds::ROOM_CONFIGURED, json!({"queue": written(&queue), "seedSha256": hash}))
        }
        RoomEvent::Tuned { active_max, admit_per_minute, paused } => (
            &kinds::ROOM_TUNED,
            json!({"maxActive": active_max, "admitPerMinute": admit_per_minute, "paused": paused}),
        ),
        RoomEvent::GateMoved { gate } => (&kinds::GATE_MOVED, json!({"gate": gate.as_str()})),
        RoomEvent::Joined { ticket, user, admitted } => {
            (&kinds::JOINED, json!({"ticket": ticket.0, "userId": user.as_str(), "admitted": admitted}))
        }
        RoomEvent::Drawn { seed } => (&kinds::DRAWN, json!({"seed": hex(&seed.0)})),
        RoomEvent::Admitted { tickets: admitted } => {
            (&kinds::ADMITTED, json!({"tickets": tickets(admitted)}))
        }
        RoomEvent::Claimed { tickets: claimed } => (&kinds::CLAIMED, json!({"tickets": tickets(claimed)})),
        RoomEvent::Left { ticket } => (&kinds::LEFT, json!({"ticket": ticket.0})),
        RoomEvent::Finished { ticket } => (&kinds::FINISHED, json!({"ticket": ticket.0})),
        RoomEvent::PassesExpired { tickets: over } => {
            (&kinds::PASSES_EXPIRED, json!({"tickets": tickets(over)}))
        }
        RoomEvent::PlacesExpired { last } => (&kinds::PLACES_EXPIRED, json!({"lastTicket": last.0})),
        RoomEvent::OutageBridged { down_since } => {
            (&kinds::ROOM_OUTAGE_BRIDGED, json!({"downSinceAt": down_since.to_string()}))
        }
        RoomEvent::KeyKept { ticket } => {
            (&kinds::ROOM_KEY_KEPT, json!({"ticket": ticket.map(|ticket| ticket.0)}))
        }
        RoomEvent::Stayed { until } => {
            let stayed: Vec<u32> = until.iter().map(|(ticket, _)| ticket.0).collect();
            (&kinds::STAYED, json!({"tickets": stayed}))
        }
    }
}

fn describe(event: &Event, names: &impl Names) -> (&'static Kind, Value) {
    match event {
        Event::Created(creation) => (&kinds::CREATED, created(creation)),
        Event::Replanned { plan } => {
            (&kinds::REPLANNED, json!({"plan": written(&PlanDocument::from(&**plan))}))
        }
        Event::LimitsSet { limits } => (
            &kinds::LIMITS_SET,
            json!({
                "endedRetentionSeconds": limits.ended_retention.get(), "idempotencyKeysMax": limits.keys_max,
            }),
        ),
        Event::SalesOpened { prices } => {
            let listed = prices.as_ref().and_then(|prices| Some(price_list(prices, names.layout()?)));
            (&kinds::SALES_OPENED, with_tariff(json!({"prices": listed}), prices.as_deref(), names))
        }
        Event::PricesSet { prices } => {
            let listed = names.layout().map(|layout| price_list(prices, layout));
            (&kinds::PRICES_SET, with_tariff(json!({"prices": listed}), Some(prices), names))
        }
        Event::PhaseOpened { phase, prices } => {
            let listed = prices.as_ref().and_then(|prices| Some(price_list(prices, names.layout()?)));
            let fields = json!({"phaseId": phase.as_str(), "prices": listed});
            (&kinds::PHASE_OPENED, with_tariff(fields, prices.as_deref(), names))
        }
        Event::PhaseClosed { phase } => (&kinds::PHASE_CLOSED, json!({"phaseId": phase.as_str()})),
        Event::CodePut { code, terms, created } => {
            (&kinds::CODE_PUT, code_terms(json!({"code": masked(code.as_str()), "created": created}), terms))
        }
        // Whoever follows the feed can't buy with them.
        Event::CodesMade { prefix, terms, drawn } => {
            (&kinds::CODES_MADE, code_terms(json!({"prefix": prefix.as_str(), "count": drawn.len()}), terms))
        }
        Event::CodeEnded { code } => (&kinds::CODE_ENDED, json!({"code": masked(code.as_str())})),
        Event::AllotmentSet { terms, created } => {
            let mut fields = allotment(terms, *created);
            add_aside(&mut fields, &terms.areas, names);
            (&kinds::ALLOTMENT_SET, seats_of(fields, &terms.seats, names))
        }
        Event::AllotmentReleased { id, seats, areas } => {
            let mut fields = json!({"allotmentId": id.as_str()});
            add_aside(&mut fields, areas, names);
            (&kinds::ALLOTMENT_RELEASED, seats_of(fields, seats, names))
        }
        Event::SalesClosed => (&kinds::SALES_CLOSED, json!({})),
        Event::ScheduleCancelled => (&kinds::SCHEDULE_CANCELLED, json!({})),
        Event::Deleted => (&kinds::DELETED, json!({})),
        Event::Archived { .. } => (&kinds::ARCHIVED, json!({})),
        Event::SeatsBlocked { seats } => (&kinds::SEATS_BLOCKED, seats_of(json!({}), seats, names)),
        Event::SeatsUnblocked { seats } => (&kinds::SEATS_UNBLOCKED, seats_of(json!({}), seats, names)),
        Event::SeatsHeld { number, nonce, user, seats, expires_at, terms } => {
            let mut fields = known(*number, Some((*nonce, Some(user))), names.number());
            fields["expiresAt"] = expires_at.to_string().into();
            let mut fields = brought(fields, terms.as_deref());
            add_terms(&mut fields, terms.as_deref(), names);
            (&kinds::SEATS_HELD, with_lines(seats_of(fields, seats, names), terms.as_deref()))
        }
        Event::SeatsExchanged { number, seats, terms } => {
            let mut fields = brought(reservation(*number, names), terms.as_deref());
            add_terms(&mut fields, terms.as_deref(), names);
            (&kinds::SEATS_EXCHANGED, with_lines(seats_of(fields, seats, names), terms.as_deref()))
        }
        Event::HoldReleased { number } => (&kinds::HOLD_RELEASED, reservation(*number, names)),
        Event::HoldExpired { number } => (&kinds::HOLD_EXPIRED, reservation(*number, names)),
        Event::PaymentBegun { number, payment, expires_at, .. } => {
            let mut fields = reservation(*number, names);
            fields["paymentId"] = payment.to_string().into();
            fields["expiresAt"] = expires_at.to_string().into();
            (&kinds::PAYMENT_BEGUN, fields)
        }
        Event::PaymentFailed { number, expires_at } => {
            let mut fields = reservation(*number, names);
            if let Some(expires_at) = expires_at {
                fields["expiresAt"] = expires_at.to_string().into();
            }
            (&kinds::HOLD_RESUMED, fields)
        }
        Event::ReservationConfirmed { number, payment } => {
            (&kinds::RESERVATION_CONFIRMED, confirmed(*number, *payment, names))
        }
        Event::ReservationCancelled { number } => (&kinds::RESERVATION_CANCELLED, cancelled(*number, names)),
        Event::Ordered { .. } => (&kinds::ORDERED, ordered(event, names)),
        Event::OutageBridged { began, .. } => {
            (&kinds::OUTAGE_BRIDGED, json!({"downSinceAt": began.to_string()}))
        }
        Event::KeyKept { number } => {
            (&kinds::KEY_KEPT, number.map_or_else(|| json!({}), |number| reservation(number, names)))
        }
    }
}

/// Tells of a reservation that is bought. A sale's consumers want seats and amount at once; both are null once it is forgotten.
fn confirmed(number: ReservationNumber, payment: PaymentId, names: &impl Names) -> Value {
    let reserved = names.reservation(number);
    let by = reserved.as_ref().map(|reserved| (reserved.nonce, reserved.user.as_ref()));
    let mut fields = known(number, by, names.number());
    fields["paymentId"] = payment.to_string().into();

    let seats = reserved.as_ref().map(|reserved| &*reserved.seats);
    let seat_ids = seats
        .zip(names.layout())
        .map(|(seats, layout)| -> Vec<&str> { seats.iter().map(|seat| layout.seat_id(*seat)).collect() });
    let (amount, currency) = reserved.as_ref().and_then(|reserved| names.amount(reserved)).unzip();
    let terms = reserved.as_ref().and_then(|reserved| reserved.terms.as_deref());
    add_terms(&mut fields, terms, names);
    let mut fields = with_lines(fields, terms);

    fields["seats"] = seat_ids.into();
    fields["amount"] = amount.map(Money::minor).into();
    fields["currency"] = currency.map(|currency| currency.as_str().to_owned()).into();
    fields
}

fn created(creation: &Creation) -> Value {
    let mut fields = json!({
        "concertId": creation.concert.as_str(), "venueId": creation.venue.as_str(),
        "currency": creation.currency.as_str(),
    });
    fields["plan"] = written(&PlanDocument::from(&*creation.plan));
    fields
}

fn cancelled(number: ReservationNumber, names: &impl Names) -> Value {
    let mut fields = reservation(number, names);
    let reserved = names.reservation(number);
    if reserved.and_then(|reserved| reserved.terms).is_some_and(|terms| terms.order.is_some()) {
        fields["refund"] = "by_hand".into();
    }
    fields
}

fn ordered(event: &Event, names: &impl Names) -> Value {
    let Event::Ordered { number, nonce, payment, user, seats, terms } = event else {
        unreachable!("another event makes no order")
    };
    let mut fields = known(*number, Some((*nonce, user.as_ref())), names.number());
    fields["paymentId"] = payment.to_string().into();
    fields["amount"] = terms.amount().minor().into();
    fields["currency"] = names.currency().map(|currency| currency.as_str().to_owned()).into();
    let mut fields = brought(fields, Some(terms));
    add_order(&mut fields, terms.order());
    add_terms(&mut fields, Some(terms), names);
    with_lines(seats_of(fields, seats, names), Some(terms))
}

/// Adds who sold an order, how it was paid and why. A name isn't in the feed: its readers can't forget it.
fn add_order(fields: &mut Value, order: Option<&Order>) {
    let Some(order) = order else { return };
    fields["clerkId"] = order.clerk.as_str().into();
    fields["method"] = order.method.as_str().into();
    for (name, text) in [("reference", &order.reference), ("reason", &order.reason)] {
        if let Some(text) = text {
            fields[name] = Value::from(&**text);
        }
    }
}

/// Adds the code that a hold used, and the allotment that it was taken from. Whoever follows the feed can't buy with a generated code.
fn brought(mut fields: Value, terms: Option<&Terms>) -> Value {
    let code = terms.and_then(|terms| terms.code.as_deref()).map(masked);
    let allotment = terms.and_then(|terms| terms.allotment.as_ref()).map(|from| &*from.id);
    for (name, value) in [("code", code.as_deref()), ("allotmentId", allotment)] {
        if let Some(value) = value {
            fields[name] = value.into();
        }
    }
    fields
}

/// Adds what a code opens, takes off, and how often.
fn code_terms(mut fields: Value, terms: &CodeTerms) -> Value {
    fields["terms"] = written(&CodeBody::from(terms));
    fields
}

fn allotment(terms: &AllotmentTerms, created: bool) -> Value {
    json!({
        "allotmentId": terms.id.as_str(), "name": terms.name, "reason": terms.reason,
        "releaseAt": terms.release_at.map(|at| at.to_string()), "created": created,
    })
}

/// Writes an event of the catalogue.
fn of_catalogue(event: &CatalogueEvent) -> EventDocument {
    let (kind, subject, fields): (&'static Kind, _, _) = match event {
        CatalogueEvent::VenuePut(venue) => {
            (&kinds::VENUE_PUT, format!("venues/{}", venue.id), written(&VenueDocument::from(&**venue)))
        }
        CatalogueEvent::ConcertPut(concert) => (
            &kinds::CONCERT_PUT,
            format!("concerts/{}", concert.id),
            written(&ConcertDocument::from(&**concert)),
        ),
        CatalogueEvent::ScheduleListed { id, concert, .. } => (
            &kinds::SCHEDULE_LISTED,
            format!("schedules/{id}"),
            json!({"scheduleId": id.as_str(), "concertId": concert.as_str()}),
        ),
        CatalogueEvent::VenueRemoved(id) => {
            (&kinds::VENUE_REMOVED, format!("venues/{id}"), json!({"venueId": id.as_str()}))
        }
        CatalogueEvent::ConcertRemoved(id) => {
            (&kinds::CONCERT_REMOVED, format!("concerts/{id}"), json!({"concertId": id.as_str()}))
        }
        CatalogueEvent::ScheduleUnlisted(id) => {
            (&kinds::SCHEDULE_UNLISTED, format!("schedules/{id}"), json!({"scheduleId": id.as_str()}))
        }
        CatalogueEvent::KeyKept => (&kinds::CATALOGUE_KEY_KEPT, "catalogue".to_owned(), json!({})),
        CatalogueEvent::ReplanBegun { id, .. } => {
            (&kinds::SCHEDULE_REPLAN_BEGUN, format!("schedules/{id}"), json!({"scheduleId": id.as_str()}))
        }
        CatalogueEvent::ReplansDone => (&kinds::SCHEDULE_REPLANS_DONE, "catalogue".to_owned(), json!({})),
        CatalogueEvent::SchedulesCreated => (&kinds::SCHEDULES_CREATED, "catalogue".to_owned(), json!({})),
        CatalogueEvent::ScheduleArchived { id, .. } => {
            (&kinds::SCHEDULE_ARCHIVED, format!("schedules/{id}"), json!({"scheduleId": id.as_str()}))
        }
    };
    EventDocument::new(kind, subject, object(fields))
}

/// Writes a user's event.
fn of_user(event: &UserEvent) -> EventDocument {
    let kind: &'static Kind = match event {
        UserEvent::SignedUp { .. } => &kinds::USER_SIGNED_UP,
        UserEvent::Suspended { .. } => &kinds::USER_SUSPENDED,
        UserEvent::Reinstated { .. } => &kinds::USER_REINSTATED,
        UserEvent::Deleted { .. } => &kinds::USER_DELETED,
        UserEvent::KeyKept { .. } => &kinds::USER_KEY_KEPT,
        UserEvent::PasswordReplaced { .. } => &kinds::USER_PASSWORD_REPLACED,
    };
    let user = event.user();
    EventDocument::new(kind, format!("users/{user}"), object(json!({"userId": user.as_str()})))
}

/// Names an event's reservation: always by its number, and by its id and user while the schedule keeps it.
fn reservation(number: ReservationNumber, names: &impl Names) -> Value {
    let found = names.reservation(number);
    known(number, found.as_ref().map(|found| (found.nonce, found.user.as_ref())), names.number())
}

fn known(
    number: ReservationNumber,
    found: Option<(u64, Option<&UserId>)>,
    schedule: ScheduleNumber,
) -> Value {
    let id = found.map(|(nonce, _)| ReservationId { schedule, number, nonce }.to_string());
    let user = found.and_then(|(_, user)| user.map(ToString::to_string));
    json!({"reservationNumber": number.count(), "reservationId": id, "userId": user})
}

/// Adds seats by their ids, or by their indexes in the venue if the layout is no longer known.
fn seats_of(mut fields: Value, seats: &Arc<[Seat]>, names: &impl Names) -> Value {
    let (name, list): (&str, Vec<Value>) = match names.layout() {
        Some(layout) => ("seats", seats.iter().map(|seat| layout.seat_id(*seat).into()).collect()),
        None => ("seatIndexes", seats.iter().map(|seat| seat.0.into()).collect()),
    };
    fields[name] = list.into();
    fields
}

/// Adds places of areas and the seats' price types, where there are any. An area has its index for an id if the layout is no longer known.
fn add_terms(fields: &mut Value, terms: Option<&Terms>, names: &impl Names) {
    let Some(terms) = terms else { return };
    let prices = names.prices();
    let type_id = |price_type| Some(prices.as_ref()?.type_id(price_type)?.to_string());

    let area = |places: &AreaPlaces| {
        let mut area = places_of(places.area, places.count, names);
        if let Some(id) = type_id(places.price_type) {
            area["priceType"] = id.into();
        }
        area
    };
    if !terms.areas.is_empty() {
        fields["areas"] = terms.areas.iter().map(area).collect();
    }
    let types: Option<Vec<String>> =
        terms.price_types.iter().map(|price_type| type_id(*price_type)).collect();
    if let Some(types) = types.filter(|types| !types.is_empty()) {
        fields["priceTypes"] = types.into();
    }
}

/// Adds what a reservation costs, where it isn't its seats' prices alone.
fn with_lines(mut fields: Value, terms: Option<&Terms>) -> Value {
    let Some(terms) = terms.filter(|terms| !terms.lines.is_empty()) else { return fields };
    let mut lines = written(&terms.lines.iter().map(LineDocument::from).collect::<Vec<_>>());
    // What a code takes off has its name.
    let names = lines.as_array_mut().into_iter().flatten().map(|line| &mut line["name"]);
    for name in names.filter(|name| name.as_str() == terms.code.as_deref()) {
        *name = terms.code.as_deref().map(masked).into();
    }
    fields["lines"] = lines;
    fields
}

/// Adds the price types and fees that a sale has.
fn with_tariff(mut fields: Value, prices: Option<&Prices>, names: &impl Names) -> Value {
    let Some(prices) = prices else { return fields };
    if let Some(layout) = names.layout().filter(|_| !prices.types().is_empty()) {
        let by_grade = |priced: &PricedType| -> Map<String, Value> {
            let grades = layout.grades().iter().zip(&priced.by_grade);
            grades.filter_map(|(grade, price)| Some((grade.to_string(), (*price)?.minor().into()))).collect()
        };
        let listed = |priced: &PricedType| json!({"priceType": priced.id.as_str(), "name": &*priced.name, "prices": by_grade(priced)});
        fields["priceTypes"] = prices.types().iter().map(listed).collect();
    }
    if !prices.fees().is_empty() {
        fields["fees"] = written(&prices.fees().iter().map(FeeDocument::from).collect::<Vec<_>>());
    }
    fields
}

/// Adds an allotment's places of areas, where there are any.
fn add_aside(fields: &mut Value, areas: &[AsidePlaces], names: &impl Names) {
    if !areas.is_empty() {
        fields["areas"] = areas.iter().map(|places| places_of(places.area, places.count, names)).collect();
    }
}

/// Writes places of an area. It has its index for an id if the layout is no longer known.
fn places_of(area: Area, count: u32, names: &impl Names) -> Value {
    let known = names.layout().and_then(|layout| layout.areas().get(area.index()));
    let id = known.map_or_else(|| area.0.to_string(), |area| area.id.to_string());
    json!({"areaId": id, "count": count})
}

/// Returns prices by the names of their grades.
fn price_list(prices: &Prices, layout: &Layout) -> Value {
    let amounts = prices.by_grade.iter().map(|price| Value::from(price.minor()));
    let grades = layout.grades().iter().map(ToString::to_string);
    Value::Object(grades.zip(amounts).collect())
}

fn written(document: &impl serde::Serialize) -> Value {
    serde_json::to_value(document).expect("a document has text keys and total serialisers")
}

#[cfg(test)]
mod tests {
    use core::convert::Infallible;

    use super::*;
    use crate::domain::ids::{GradeName, PaymentId};
    use crate::domain::schedule::terms::PriceType;
    use crate::domain::time::Timestamp;
    use crate::domain::venue::{Row, RowSeats, Section, VenueArea};
    use crate::record::tests::facts;

    struct Known {
        id: ScheduleId,
        layout: Layout,
    }

    impl Names for Known {
        fn number(&self) -> ScheduleNumber {
            ScheduleNumber(3)
        }

        fn id(&self) -> Option<&ScheduleId> {
            Some(&self.id)
        }

        fn layout(&self) -> Option<&Layout> {
            Some(&self.layout)
        }

        fn reservation(&self, number: ReservationNumber) -> Option<ReservationNames> {
            let (user, seats) = (UserId::parse("kim").ok(), [Seat(0), Seat(3)].into());
            (number.0 == 1).then_some(ReservationNames { nonce: 9, user, seats, terms: None })
        }

        fn currency(&self) -> Option<Currency> {
            Some(Currency::parse("KRW").unwrap())
        }

        fn prices(&self) -> Option<Arc<Prices>> {
            None
        }

        fn amount(&self, reserved: &ReservationNames) -> Option<(Money, Currency)> {
            let amount = 100_000 * u64::try_from(reserved.seats.len()).unwrap();
            Some((Money::new(amount).unwrap(), Currency::parse("KRW").unwrap()))
        }
    }

    struct Forgotten;

    impl Names for Forgotten {
        fn number(&self) -> ScheduleNumber {
            ScheduleNumber(3)
        }

        fn id(&self) -> Option<&ScheduleId> {
            None
        }

        fn layout(&self) -> Option<&Layout> {
            None
        }

        fn reservation(&self, _: ReservationNumber) -> Option<ReservationNames> {
            None
        }

        fn currency(&self) -> Option<Currency> {
            None
        }

        fn prices(&self) -> Option<Arc<Prices>> {
            None
        }

        fn amount(&self, _: &ReservationNames) -> Option<(Money, Currency)> {
            None
        }
    }

    impl NameSource for Forgotten {
        type Error = Infallible;

        fn of_schedule(&mut self, _: ScheduleNumber, _: &Event) -> Result<impl Names, Infallible> {
            Ok(Self)
        }

        fn schedule_id(&mut self, _: ScheduleNumber) -> Result<Option<ScheduleId>, Infallible> {
            Ok(None)
        }

        fn payment(&mut self, _: ScheduleNumber, _: PaymentNumber) -> Option<Payment> {
            None
        }
    }

    fn names() -> Known {
        let rows = |grade: &str| Row {
            id: grade.into(),
            grade: GradeName::parse(grade).unwrap(),
            line: None,
            seats: RowSeats::Length(2),
        };
        let section =
            Section { id: "A".into(), floor: "1".into(), outline: None, rows: vec![rows("VIP"), rows("R")] };
        let pit = VenueArea {
            id: "pit".into(),
            floor: "1".into(),
            name: "Pit".into(),
            grade: GradeName::parse("R").unwrap(),
            capacity: 9,
            outline: None,
        };
        let layout = Layout::with_areas(&[section], &[pit]).unwrap();
        Known { id: ScheduleId::parse("s").unwrap(), layout }
    }

    fn check(event: &Event, name: &str, data: &Value) {
        let document = of_schedule(event, &names());
        assert_eq!((document.kind.name, document.subject.as_str()), (name, "schedules/s"));
        assert_eq!(&Value::Object(document.data), data);
    }

    #[test]
    fn a_hold_is_told_with_the_names_of_its_seats_its_user_and_its_deadline() {
        let places = AreaPlaces { area: Area(0), price_type: PriceType::DEFAULT, count: 3 };
        let held = Event::SeatsHeld {
            number: ReservationNumber(1),
            nonce: 9,
            user: UserId::parse("kim").unwrap(),
            seats: [Seat(0), Seat(3)].into(),
            expires_at: Timestamp::from_millis(1_000),
            terms: Some(Arc::new(Terms { areas: [places].into(), ..Terms::default() })),
        };
        let id = ReservationId { schedule: ScheduleNumber(3), number: ReservationNumber(1), nonce: 9 };
        let data = json!({
            "scheduleId": "s", "reservationNumber": 1, "reservationId": id.to_string(), "userId": "kim",
            "seats": ["1-A-VIP-1", "1-A-R-2"], "expiresAt": "1970-01-01T00:00:01.000Z",
            "areas": [{"areaId": "pit", "count": 3}],
        });
        check(&held, "SeatsHeld", &data);
        let released = json!({
            "scheduleId": "s", "reservationNumber": 1, "reservationId": id.to_string(), "userId": "kim",
        });
        check(&Event::HoldReleased { number: ReservationNumber(1) }, "HoldReleased", &released);
    }

    #[test]
    fn what_is_no_longer_known_is_told_by_its_numbers() {
        let expired = Event::HoldExpired { number: ReservationNumber(2) };
        let data = json!({"scheduleId": "s", "reservationNumber": 2, "reservationId": null, "userId": null});
        check(&expired, "HoldExpired", &data);
        let blocked = of_schedule(&Event::SeatsBlocked { seats: [Seat(3)].into() }, &Forgotten);
        assert_eq!(blocked.subject, "schedules/#3");
        assert_eq!(Value::Object(blocked.data), json!({"scheduleId": null, "seatIndexes": [3]}));
    }

    #[test]
    fn prices_and_payments_are_named() {
        let by_grade = [170_000, 90_000].map(|price| Money::new(price).unwrap());
        let prices = Prices { by_grade: by_grade.into(), best_first: [0, 1].into(), tariff: None };
        let opened = Event::SalesOpened { prices: Some(Arc::new(prices)) };
        check(&opened, "SalesOpened", &json!({"scheduleId": "s", "prices": {"VIP": 170_000, "R": 90_000}}));
        let confirmed = of_schedule(
            &Event::ReservationConfirmed { number: ReservationNumber(1), payment: PaymentId::from_bits(255) },
            &names(),
        );
        assert_eq!(confirmed.data["paymentId"], PaymentId::from_bits(255).to_string());
        assert_eq!(confirmed.data["seats"], json!(["1-A-VIP-1", "1-A-R-2"]));
        assert_eq!(
            (&confirmed.data["amount"], &confirmed.data["currency"]),
            (&json!(200_000), &json!("KRW"))
        );
        let forgotten =
            Event::ReservationConfirmed { number: ReservationNumber(2), payment: PaymentId::from_bits(1) };
        let forgotten = of_schedule(&forgotten, &Forgotten).data;
        assert!(["seats", "amount", "currency"].iter().all(|name| forgotten[*name].is_null()));
    }

    #[test]
    fn every_event_has_a_type_and_says_what_the_type_does() {
        let written = facts().map(|fact| of_fact(&fact, &mut Forgotten));
        let written: Vec<EventDocument> = written.collect::<Result<_, Infallible>>().unwrap();
        for EventDocument { kind, data, .. } in &written {
            kind.check(data);
        }
        for kind in kinds::KINDS {
            let is_written = written.iter().any(|document| core::ptr::eq(document.kind, *kind));
            assert!(is_written, "nothing is written with the type {} ({:?})", kind.name, kind.about);
        }
    }

    #[test]
    fn the_document_of_the_events_is_made_from_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/EVENTS.md");
        let made = kinds::document();
        if std::env::var_os("ONSALE_DOCS").is_some_and(|value| value == "write") {
            std::fs::write(path, &made).unwrap();
        }
        let standing = std::fs::read_to_string(path).unwrap_or_default();
        assert!(standing == made, "docs/EVENTS.md isn't of this code: run this test with ONSALE_DOCS=write");
    }
}
