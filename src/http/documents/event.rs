//! What the journal's feed and a schedule's history say of an event: its name and its fields, with names
//! where the domain has numbers.
//!
//! Absent on purpose: the idempotency key whose effect an event is, in any form; and of users everything but their ids: what
//! they signed up with is asked of the users' route, which forgets it with them, as no reader's copy of a feed does.
//!
//! Invariant: every event of the domain has a name and a document here; one that is added to the domain
//! doesn't compile without.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{ConcertDocument, PlanDocument, QueuePolicyDocument, VenueDocument};
use crate::domain::catalogue::CatalogueEvent;
use crate::domain::cause::By;
use crate::domain::concert::Prices;
use crate::domain::ids::{ReservationId, ReservationNumber, ScheduleId, ScheduleNumber, UserId};
use crate::domain::schedule::Event;
use crate::domain::users::Event as UserEvent;
use crate::domain::venue::{Layout, Seat};
use crate::domain::waiting_room::draw::hex;
use crate::domain::waiting_room::{Event as RoomEvent, Ticket};

/// Says by which names a schedule's numbers are known. What isn't known any more is left to the numbers.
pub trait Names {
    /// Returns the schedule's number in the log.
    fn number(&self) -> ScheduleNumber;

    /// Returns the schedule's id.
    fn id(&self) -> Option<&ScheduleId>;

    /// Returns the schedule's layout, which names its seats.
    fn layout(&self) -> Option<&Layout>;

    /// Returns a reservation's random part and its user.
    fn reservation(&self, number: ReservationNumber) -> Option<(u64, UserId)>;
}

/// An event as a document.
#[derive(Debug, Clone, PartialEq)]
pub struct EventDocument {
    /// Its name: the domain's own.
    pub name: &'static str,
    /// What it is about, as a path under the API's: `schedules/…`, `venues/…`, `concerts/…`, `users/…`.
    pub subject: String,
    /// Its fields.
    pub data: Map<String, Value>,
}

/// Writes who asked: `by` is `engine` (time, or the engine itself), `user` or `admin`, and then `adminId` says which.
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
    let (name, fields) = describe(event, names);
    let mut data = Map::new();
    data.insert("scheduleId".into(), names.id().map(ToString::to_string).into());
    data.extend(object(fields));
    let subject = match names.id() {
        Some(id) => format!("schedules/{id}"),
        None => format!("schedules/#{}", names.number().0),
    };
    EventDocument { name, subject, data }
}

/// Writes an event of a schedule's waiting room. A seed is told once its draw was made; before, its hash.
pub fn of_room(event: &RoomEvent, number: ScheduleNumber, id: Option<&ScheduleId>) -> EventDocument {
    let (name, fields) = describe_room(event);
    let mut data = Map::new();
    data.insert("scheduleId".into(), id.map(ToString::to_string).into());
    data.extend(object(fields));
    let subject = match id {
        Some(id) => format!("schedules/{id}/queue"),
        None => format!("schedules/#{}/queue", number.0),
    };
    EventDocument { name, subject, data }
}

fn describe_room(event: &RoomEvent) -> (&'static str, Value) {
    let tickets = |tickets: &[Ticket]| -> Vec<u32> { tickets.iter().map(|ticket| ticket.0).collect() };
    match event {
        RoomEvent::Configured { settings, seed } => {
            let queue = settings.as_ref().map(|settings| QueuePolicyDocument::from(&settings.policy));
            let hash = seed.map(|seed| hex(&seed.commitment()));
            ("RoomConfigured", json!({"queue": written(&queue), "seedSha256": hash}))
        }
        RoomEvent::Tuned { active_max, admit_per_minute, paused } => (
            "RoomTuned",
            json!({"maxActive": active_max, "admitPerMinute": admit_per_minute, "paused": paused}),
        ),
        RoomEvent::GateMoved { gate } => ("GateMoved", json!({"gate": gate.as_str()})),
        RoomEvent::Joined { ticket, user, admitted } => {
            ("Joined", json!({"ticket": ticket.0, "userId": user.as_str(), "admitted": admitted}))
        }
        RoomEvent::Drawn { seed } => ("Drawn", json!({"seed": hex(&seed.0)})),
        RoomEvent::Admitted { tickets: admitted } => ("Admitted", json!({"tickets": tickets(admitted)})),
        RoomEvent::Claimed { tickets: claimed } => ("Claimed", json!({"tickets": tickets(claimed)})),
        RoomEvent::Left { ticket } => ("Left", json!({"ticket": ticket.0})),
        RoomEvent::Finished { ticket } => ("Finished", json!({"ticket": ticket.0})),
        RoomEvent::PassesExpired { tickets: over } => ("PassesExpired", json!({"tickets": tickets(over)})),
        RoomEvent::PlacesExpired { last } => ("PlacesExpired", json!({"lastTicket": last.0})),
        RoomEvent::OutageBridged { down_since } => {
            ("OutageBridged", json!({"downSinceAt": down_since.to_string()}))
        }
        RoomEvent::Stayed { until } => {
            let tickets: Vec<u32> = until.iter().map(|(ticket, _)| ticket.0).collect();
            ("Stayed", json!({"tickets": tickets}))
        }
        RoomEvent::KeyKept { ticket } => ("KeyKept", json!({"ticket": ticket.map(|ticket| ticket.0)})),
    }
}

fn describe(event: &Event, names: &impl Names) -> (&'static str, Value) {
    match event {
        Event::Created(creation) => {
            let mut fields = json!({
                "concertId": creation.concert.as_str(), "venueId": creation.venue.as_str(),
                "currency": creation.currency.as_str(),
            });
            fields["plan"] = written(&PlanDocument::from(&*creation.plan));
            ("Created", fields)
        }
        Event::Replanned { plan } => ("Replanned", json!({"plan": written(&PlanDocument::from(&**plan))})),
        Event::LimitsSet { limits } => (
            "LimitsSet",
            json!({
                "endedRetentionSeconds": limits.ended_retention.get(), "idempotencyKeysMax": limits.keys_max,
            }),
        ),
        Event::SalesOpened { prices } => {
            ("SalesOpened", json!({"prices": prices.as_ref().map(|prices| price_list(prices, names))}))
        }
        Event::SalesClosed => ("SalesClosed", json!({})),
        Event::ScheduleCancelled => ("ScheduleCancelled", json!({})),
        Event::Deleted => ("Deleted", json!({})),
        Event::SeatsBlocked { seats } => ("SeatsBlocked", seats_of(json!({}), seats, names)),
        Event::SeatsUnblocked { seats } => ("SeatsUnblocked", seats_of(json!({}), seats, names)),
        Event::SeatsHeld { number, nonce, user, seats, expires_at } => {
            let mut fields = known(*number, Some((*nonce, user.clone())), names.number());
            fields["expiresAt"] = expires_at.to_string().into();
            ("SeatsHeld", seats_of(fields, seats, names))
        }
        Event::SeatsExchanged { number, seats } => {
            ("SeatsExchanged", seats_of(reservation(*number, names), seats, names))
        }
        Event::HoldReleased { number } => ("HoldReleased", reservation(*number, names)),
        Event::HoldExpired { number } => ("HoldExpired", reservation(*number, names)),
        Event::PaymentBegun { number, payment, expires_at, .. } => {
            let mut fields = reservation(*number, names);
            fields["paymentId"] = payment.to_string().into();
            fields["expiresAt"] = expires_at.to_string().into();
            ("PaymentBegun", fields)
        }
        Event::PaymentFailed { number, expires_at } => {
            let mut fields = reservation(*number, names);
            if let Some(expires_at) = expires_at {
                fields["expiresAt"] = expires_at.to_string().into();
            }
            ("PaymentFailed", fields)
        }
        Event::ReservationConfirmed { number, payment } => {
            let mut fields = reservation(*number, names);
            fields["paymentId"] = payment.to_string().into();
            ("ReservationConfirmed", fields)
        }
        Event::ReservationCancelled { number } => ("ReservationCancelled", reservation(*number, names)),
        Event::OutageBridged { down_since } | Event::OutageContinued { began: down_since, .. } => {
            ("OutageBridged", json!({"downSinceAt": down_since.to_string()}))
        }
        Event::KeyKept { number } => {
            ("KeyKept", number.map_or_else(|| json!({}), |number| reservation(number, names)))
        }
    }
}

/// Writes an event of the catalogue.
pub fn of_catalogue(event: &CatalogueEvent) -> EventDocument {
    let (name, subject, fields) = match event {
        CatalogueEvent::VenuePut(venue) => {
            ("VenuePut", format!("venues/{}", venue.id), written(&VenueDocument::from(&**venue)))
        }
        CatalogueEvent::ConcertPut(concert) => {
            ("ConcertPut", format!("concerts/{}", concert.id), written(&ConcertDocument::from(&**concert)))
        }
        CatalogueEvent::ScheduleListed { id, concert, .. } => (
            "ScheduleListed",
            format!("schedules/{id}"),
            json!({"scheduleId": id.as_str(), "concertId": concert.as_str()}),
        ),
        CatalogueEvent::VenueRemoved(id) => {
            ("VenueRemoved", format!("venues/{id}"), json!({"venueId": id.as_str()}))
        }
        CatalogueEvent::ConcertRemoved(id) => {
            ("ConcertRemoved", format!("concerts/{id}"), json!({"concertId": id.as_str()}))
        }
        CatalogueEvent::ScheduleUnlisted(id) => {
            ("ScheduleUnlisted", format!("schedules/{id}"), json!({"scheduleId": id.as_str()}))
        }
        CatalogueEvent::KeyKept => ("KeyKept", "catalogue".to_owned(), json!({})),
        CatalogueEvent::ReplanBegun { id, .. } => {
            ("ScheduleReplanBegun", format!("schedules/{id}"), json!({"scheduleId": id.as_str()}))
        }
        CatalogueEvent::ReplansDone => ("ScheduleReplansDone", "catalogue".to_owned(), json!({})),
        CatalogueEvent::ScheduleArchived { id, .. } => {
            ("ScheduleArchived", format!("schedules/{id}"), json!({"scheduleId": id.as_str()}))
        }
    };
    EventDocument { name, subject, data: object(fields) }
}

/// Writes a user's event.
pub fn of_user(event: &UserEvent) -> EventDocument {
    let name = match event {
        UserEvent::SignedUp { .. } => "UserSignedUp",
        UserEvent::Suspended { .. } => "UserSuspended",
        UserEvent::Reinstated { .. } => "UserReinstated",
        UserEvent::Deleted { .. } => "UserDeleted",
        UserEvent::KeyKept { .. } => "KeyKept",
        UserEvent::PasswordReplaced { .. } => "UserPasswordReplaced",
    };
    let user = event.user();
    EventDocument { name, subject: format!("users/{user}"), data: object(json!({"userId": user.as_str()})) }
}

/// Names the reservation that an event is about. Its number is always there; its id and user as long as the
/// schedule keeps it.
fn reservation(number: ReservationNumber, names: &impl Names) -> Value {
    known(number, names.reservation(number), names.number())
}

fn known(number: ReservationNumber, found: Option<(u64, UserId)>, schedule: ScheduleNumber) -> Value {
    let id = found.as_ref().map(|(nonce, _)| ReservationId { schedule, number, nonce: *nonce }.to_string());
    let user = found.map(|(_, user)| user.to_string());
    json!({"reservationNumber": number.count(), "reservationId": id, "userId": user})
}

/// Adds seats by their ids, or by their places in the venue where the layout isn't known any more.
fn seats_of(mut fields: Value, seats: &Arc<[Seat]>, names: &impl Names) -> Value {
    let (name, list): (&str, Vec<Value>) = match names.layout() {
        Some(layout) => ("seats", seats.iter().map(|seat| layout.seat_id(*seat).into()).collect()),
        None => ("seatIndexes", seats.iter().map(|seat| seat.0.into()).collect()),
    };
    fields[name] = list.into();
    fields
}

fn price_list(prices: &Prices, names: &impl Names) -> Value {
    let amounts = prices.by_grade.iter().map(|price| Value::from(price.minor()));
    match names.layout() {
        Some(layout) => {
            let grades = layout.grades().iter().map(ToString::to_string).zip(amounts);
            Value::Object(grades.collect())
        }
        None => amounts.collect(),
    }
}

fn written(document: &impl serde::Serialize) -> Value {
    serde_json::to_value(document).expect("a document has text keys and total serialisers")
}

fn object(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("an event's fields are an object")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{GradeName, PaymentId};
    use crate::domain::money::Money;
    use crate::domain::time::Timestamp;
    use crate::domain::venue::{Row, RowSeats, Section};

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

        fn reservation(&self, number: ReservationNumber) -> Option<(u64, UserId)> {
            (number.0 == 1).then(|| (9, UserId::parse("kim").unwrap()))
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

        fn reservation(&self, _: ReservationNumber) -> Option<(u64, UserId)> {
            None
        }
    }

    fn names() -> Known {
        let rows = |grade: &str| Row {
            id: grade.into(),
            grade: GradeName::parse(grade).unwrap(),
            seats: RowSeats::Length(2),
        };
        let section = Section { id: "A".into(), floor: "1".into(), rows: vec![rows("VIP"), rows("R")] };
        Known { id: ScheduleId::parse("s").unwrap(), layout: Layout::new(&[section]).unwrap() }
    }

    fn check(event: &Event, name: &str, data: &Value) {
        let document = of_schedule(event, &names());
        assert_eq!((document.name, document.subject.as_str()), (name, "schedules/s"));
        assert_eq!(&Value::Object(document.data), data);
    }

    #[test]
    fn a_hold_is_told_with_the_names_of_its_seats_its_user_and_its_deadline() {
        let held = Event::SeatsHeld {
            number: ReservationNumber(1),
            nonce: 9,
            user: UserId::parse("kim").unwrap(),
            seats: [Seat(0), Seat(3)].into(),
            expires_at: Timestamp::from_millis(1_000),
        };
        let id = ReservationId { schedule: ScheduleNumber(3), number: ReservationNumber(1), nonce: 9 };
        let data = json!({
            "scheduleId": "s", "reservationNumber": 1, "reservationId": id.to_string(), "userId": "kim",
            "seats": ["1-A-VIP-1", "1-A-R-2"], "expiresAt": "1970-01-01T00:00:01.000Z",
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
        let prices = Prices { by_grade: by_grade.into(), best_first: [0, 1].into() };
        let opened = Event::SalesOpened { prices: Some(Arc::new(prices)) };
        check(&opened, "SalesOpened", &json!({"scheduleId": "s", "prices": {"VIP": 170_000, "R": 90_000}}));
        let confirmed = of_schedule(
            &Event::ReservationConfirmed { number: ReservationNumber(1), payment: PaymentId::from_bits(255) },
            &names(),
        );
        assert_eq!(confirmed.data["paymentId"], PaymentId::from_bits(255).to_string());
    }
}
