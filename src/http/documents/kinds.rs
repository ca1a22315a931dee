//! The types of the feed's events: their subjects, their fields, and whether consumers may rely on them.
//!
//! Every event is written with its type from here. A document that doesn't match its type is a bug that tests find. The
//! tables in `docs/EVENTS.md` and in the API's description are made from this.
//!
//! Absent on purpose: how an event is written (`event`, `money`).
//!
//! Invariants: a type that is public keeps its name and its fields, and gets new ones at most; no two public types have one name.

use core::fmt::Write;

use serde_json::{Map, Value};

/// The subject of a stream of events, as a path of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A schedule and its reservations.
    Schedule,
    /// A payment.
    Payment,
    /// What a user has.
    Account,
    /// A user.
    User,
    /// A schedule's waiting room.
    Room,
    /// A venue, a concert, or that a schedule is listed.
    Catalogue,
}

impl About {
    const ALL: [Self; 6] =
        [Self::Schedule, Self::Payment, Self::Account, Self::User, Self::Room, Self::Catalogue];

    /// Returns the heading of its table, and what `subject` is.
    const fn heading(self) -> (&'static str, &'static str) {
        match self {
            Self::Schedule => ("Schedules and reservations", "`schedules/{scheduleId}`"),
            Self::Payment => ("Payments", "`payments/{paymentId}`"),
            Self::Account => ("Balances", "`users/{userId}/balance`"),
            Self::User => ("Users", "`users/{userId}`"),
            Self::Room => ("Waiting rooms", "`schedules/{scheduleId}/queue`"),
            Self::Catalogue => (
                "Catalogue",
                "`venues/{venueId}`, `concerts/{concertId}`, `schedules/{scheduleId}`, or `catalogue`",
            ),
        }
    }
}

/// The form of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Number,
    Instant,
    Flag,
    Texts,
    Numbers,
    Object,
    Objects,
}

impl Holds {
    const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "whole number",
            Self::Instant => "instant",
            Self::Flag => "true or false",
            Self::Texts => "list of texts",
            Self::Numbers => "list of whole numbers",
            Self::Object => "object",
            Self::Objects => "list of objects",
        }
    }

    /// Tells whether a value is of this kind.
    fn fits(self, value: &Value) -> bool {
        let all = |fits: fn(&Value) -> bool| value.as_array().is_some_and(|items| items.iter().all(fits));
        match self {
            Self::Text | Self::Instant => value.is_string(),
            Self::Number => value.is_u64(),
            Self::Flag => value.is_boolean(),
            Self::Texts => all(Value::is_string),
            Self::Numbers => all(Value::is_u64),
            Self::Object => value.is_object(),
            Self::Objects => all(Value::is_object),
        }
    }
}

/// When a field is present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Always,
    /// It is, and null where there is nothing, or it isn't known any more.
    OrNull,
    Sometimes,
    /// Not always, and then it may be null.
    Maybe,
}

/// A field of an event's `data`.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    name: &'static str,
    holds: Holds,
    there: There,
    what: &'static str,
}

impl Field {
    const fn or_null(self) -> Self {
        Self { there: There::OrNull, ..self }
    }

    const fn sometimes(self) -> Self {
        Self { there: There::Sometimes, ..self }
    }

    const fn maybe(self) -> Self {
        Self { there: There::Maybe, ..self }
    }
}

const fn field(name: &'static str, holds: Holds, what: &'static str) -> Field {
    Field { name, holds, there: There::Always, what }
}

/// Whether consumers may rely on a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stability {
    /// They may.
    Public,
    /// It tells what goes on inside, and changes as that does.
    Internal,
}

/// A type of event.
#[derive(Debug)]
pub struct Kind {
    /// Its name: the `type` of a `CloudEvent`.
    pub name: &'static str,
    /// What it is about.
    pub about: About,
    standing: Stability,
    /// What happened.
    what: &'static str,
    /// What its `data` says, apart from who asked.
    fields: &'static [&'static [Field]],
}

impl Kind {
    /// Tells whether consumers may rest on it.
    pub fn is_public(&self) -> bool {
        self.standing == Stability::Public
    }

    fn fields(&self) -> impl Iterator<Item = &'static Field> {
        self.fields.iter().copied().flatten()
    }

    /// Checks that a document says what its type does.
    ///
    /// # Panics
    /// Where it doesn't.
    pub(super) fn check(&self, data: &Map<String, Value>) {
        for (name, value) in data {
            let field = self.fields().find(|field| field.name == name);
            let field = field.unwrap_or_else(|| panic!("{} says nothing of {name}", self.name));
            let may_be_null = matches!(field.there, There::OrNull | There::Maybe);
            let is_right = field.holds.fits(value) || (value.is_null() && may_be_null);
            assert!(is_right, "{}: {name} is {value}", self.name);
        }
        for field in self.fields() {
            let may_be_absent = matches!(field.there, There::Sometimes | There::Maybe);
            let is_there = may_be_absent || data.contains_key(field.name);
            assert!(is_there, "{}: {} is missing", self.name, field.name);
        }
    }
}

/// An event as a document.
#[derive(Debug, Clone)]
pub struct EventDocument {
    /// Its type.
    pub kind: &'static Kind,
    /// What it is about, as a path under the API's: `schedules/…`, `venues/…`, `concerts/…`, `users/…`.
    pub subject: String,
    /// Its fields.
    pub data: Map<String, Value>,
}

impl EventDocument {
    /// Makes the document of an event of a type.
    pub(super) fn new(kind: &'static Kind, subject: String, data: Map<String, Value>) -> Self {
        if cfg!(debug_assertions) {
            kind.check(&data);
        }
        Self { kind, subject, data }
    }
}

/// Returns the fields of an event's data.
pub(super) fn object(fields: Value) -> Map<String, Value> {
    match fields {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("an event's fields are an object")
        }
    }
}

use Holds::{Flag, Instant, Number, Numbers, Object, Objects, Text, Texts};

const SCHEDULE: Field = field("scheduleId", Text, "the schedule; null where it is gone");
const OF_SCHEDULE: &[Field] = &[SCHEDULE.or_null()];
const RESERVATION: &[Field] = &[
    SCHEDULE.or_null(),
    field("reservationNumber", Number, "the reservation's number in its schedule"),
    field("reservationId", Text, "its id; null where it is no longer kept").or_null(),
    field("userId", Text, "whose it is; null where it is no longer kept").or_null(),
];
const SEATS: &[Field] = &[
    field("seats", Texts, "the seats' ids").sometimes(),
    field("seatIndexes", Numbers, "in place of `seats`, where the venue is gone: their places in its plan")
        .sometimes(),
];
const PLACES: &[Field] = &[AREAS, PRICE_TYPES, LINES];
const AREAS: Field = field(
    "areas",
    Objects,
    "its places of areas, where it has any: `areaId`, `count` and, where there are any, `priceType` of each",
)
.sometimes();
const PRICE_TYPES: Field = field(
    "priceTypes",
    Texts,
    "the seats' price types, in the order of `seats`, where one of them isn't the default",
)
.sometimes();
const LINES: Field = field(
    "lines",
    Objects,
    "what it costs, as a reservation's `lines`, where it isn't its seats' prices alone",
)
.sometimes();
const PAYMENT: &[Field] = &[
    field("paymentNumber", Number, "the payment's number in its schedule"),
    field("paymentId", Text, "its id; null where it is no longer kept").or_null(),
];
const PAID_BY: &[Field] = &[field("paymentId", Text, "the payment")];
const TARIFF: &[Field] = &[
    field("priceTypes", Objects, "its price types, each with its `prices` by grade, where it has any")
        .sometimes(),
    field("fees", Objects, "its fees, as in a concert, where it has any").sometimes(),
];
const DEADLINE: &[Field] = &[field("expiresAt", Instant, "the deadline from now on")];
const FAILURE: Field =
    field("failure", Object, "why: a `code`, and what belongs to it, as in a payment's `failure`");
const USER: &[Field] = &[field("userId", Text, "the user")];
const TICKETS: &[Field] = &[field("tickets", Numbers, "the places, by their numbers in the room")];
const TICKET: &[Field] = &[field("ticket", Number, "the place, by its number in the room")];
const PLAN: &[Field] = &[field("plan", Object, "times, casting and policy, as in a schedule")];
const VENUE_ID: &[Field] = &[field("venueId", Text, "the venue")];
const CONCERT_ID: &[Field] = &[field("concertId", Text, "the concert")];
const SCHEDULE_ID: &[Field] = &[field("scheduleId", Text, "the schedule")];
const PHASE: &[Field] = &[field("phaseId", Text, "the phase, as in the policy")];
const CODE: &[Field] = &[field(
    "code",
    Text,
    "the code, in capital letters; of a generated one the prefix alone, with `*` for every letter that was drawn",
)];
const BROUGHT: &[Field] = &[
    field("code", Text, "the code that it uses; of a generated one the prefix alone, with `*` for every letter that was drawn, in `lines`, too").sometimes(),
    field("allotmentId", Text, "the allotment that it was taken from").sometimes(),
];
const CODE_TERMS: &[Field] =
    &[field("terms", Object, "what it opens, takes off, and how often, as in its `PUT`")];
const ALLOTMENT: &[Field] = &[field("allotmentId", Text, "the allotment")];
const CREATED_ANEW: &[Field] = &[field("created", Flag, "whether there was none")];
const OUTAGE: &[Field] =
    &[field("downSinceAt", Instant, "the last instant at which the engine is known to have run")];

macro_rules! kinds {
    ($($constant:ident = $about:ident $standing:ident $name:literal, $what:literal, [$($fields:expr),*];)+) => {
        $(
            #[doc = $what]
            pub(super) static $constant: Kind = Kind {
                name: $name,
                about: About::$about,
                standing: Stability::$standing,
                what: $what,
                fields: &[$($fields),*],
            };
        )+

        /// Every type, in the order of the tables.
        pub static KINDS: &[&Kind] = &[$(&$constant),+];
    };
}

kinds! {
    CREATED = Schedule Public "Created", "A schedule was created", [OF_SCHEDULE, CONCERT_ID, VENUE_ID,
        &[field("currency", Text, "of its prices")], PLAN];
    REPLANNED = Schedule Public "Replanned", "Its times, casting or policy changed", [OF_SCHEDULE, PLAN];
    SALES_OPENED = Schedule Public "SalesOpened", "Its sale opened", [OF_SCHEDULE,
        &[field("prices", Object, "by grade, bound from now on; null where it had opened before, or the venue is gone").or_null()], TARIFF];
    PRICES_SET = Schedule Public "PricesSet", "Its prices changed with the concert's, before its sale ever opened", [OF_SCHEDULE,
        &[field("prices", Object, "by grade, as it opens with them; null where the venue is gone").or_null()], TARIFF];
    SALES_CLOSED = Schedule Public "SalesClosed", "Its sale closed", [OF_SCHEDULE];
    SCHEDULE_CANCELLED = Schedule Public "ScheduleCancelled", "The performance is cancelled: holds end with it, and what is paid goes back", [OF_SCHEDULE];
    DELETED = Schedule Public "Deleted", "The schedule was removed", [OF_SCHEDULE];
    ARCHIVED = Schedule Internal "Archived", "The schedule, which is long over, moved to the archive with its payments", [OF_SCHEDULE];
    SEATS_BLOCKED = Schedule Public "SeatsBlocked", "Seats were taken off sale", [OF_SCHEDULE, SEATS];
    SEATS_UNBLOCKED = Schedule Public "SeatsUnblocked", "Seats were put back on sale", [OF_SCHEDULE, SEATS];
    SEATS_HELD = Schedule Public "SeatsHeld", "A reservation was made: a hold", [RESERVATION, DEADLINE, SEATS, PLACES, BROUGHT];
    SEATS_EXCHANGED = Schedule Public "SeatsExchanged", "A hold has other seats, or places of areas", [RESERVATION, SEATS, PLACES, BROUGHT];
    HOLD_RELEASED = Schedule Public "HoldReleased", "A hold was given up", [RESERVATION];
    HOLD_EXPIRED = Schedule Public "HoldExpired", "A hold's deadline passed", [RESERVATION];
    PAYMENT_BEGUN = Schedule Public "PaymentBegun", "A hold is being paid", [RESERVATION, PAID_BY, DEADLINE];
    HOLD_RESUMED = Schedule Public "HoldResumed", "Its payment failed: it is a hold again", [RESERVATION,
        &[field("expiresAt", Instant, "the hold's own deadline, where the payment had moved it; it may have passed").sometimes()]];
    RESERVATION_CONFIRMED = Schedule Public "ReservationConfirmed", "A reservation is paid, and its seats are sold", [RESERVATION, PAID_BY,
        &[field("seats", Texts, "the seats' ids; null where the reservation is no longer kept").or_null(),
          AREAS, PRICE_TYPES, LINES,
          field("amount", Number, "what they cost together, in the currency's minor unit; null as `seats`").or_null(),
          field("currency", Text, "ISO 4217; null as `seats`").or_null()]];
    PHASE_OPENED = Schedule Public "PhaseOpened", "A phase before the general sale opened", [OF_SCHEDULE, PHASE,
        &[field("prices", Object, "by grade, bound from now on; null where it had opened before, or the venue is gone").or_null()], TARIFF];
    PHASE_CLOSED = Schedule Public "PhaseClosed", "That phase closed", [OF_SCHEDULE, PHASE];
    CODE_PUT = Schedule Public "CodePut", "A code was defined", [OF_SCHEDULE, CODE, CODE_TERMS, CREATED_ANEW];
    CODES_MADE = Schedule Public "CodesMade", "Codes were generated; the codes themselves aren't told here", [OF_SCHEDULE,
        &[field("prefix", Text, "how each begins"), field("count", Number, "how many")], CODE_TERMS];
    CODE_ENDED = Schedule Public "CodeEnded", "A code ended for new holds", [OF_SCHEDULE, CODE];
    ALLOTMENT_SET = Schedule Public "AllotmentSet", "Seats, or places of areas, were set aside", [OF_SCHEDULE, ALLOTMENT,
        &[field("name", Text, "for people"), field("reason", Text, "for people; null where none was given").or_null(),
          field("releaseAt", Instant, "when what is left becomes available; null where an administrator says so").or_null()], SEATS, PLACES, CREATED_ANEW];
    ALLOTMENT_RELEASED = Schedule Public "AllotmentReleased", "What was left of an allotment became available: these seats and places", [OF_SCHEDULE, ALLOTMENT, SEATS, PLACES];
    ORDERED = Schedule Public "Ordered", "The box office sold a reservation: it is confirmed, and no payment follows", [RESERVATION, PAID_BY, SEATS, PLACES, BROUGHT,
        &[field("amount", Number, "what was taken, in the currency's minor unit"),
          field("currency", Text, "of `amount`; null where the schedule is gone").or_null(),
          field("method", Text, "how it was paid: `cash`, `card_terminal`, `invoice` or `complimentary`"),
          field("reference", Text, "the till's name for the payment").sometimes(),
          field("reason", Text, "why it cost what it did").sometimes(),
          field("clerkId", Text, "who sold it")]];
    RESERVATION_CANCELLED = Schedule Public "ReservationCancelled", "A confirmed reservation was given back", [RESERVATION,
        &[field("refund", Text, "`by_hand` where the box office sold it: whoever took the money gives it back").sometimes()]];
    OUTAGE_BRIDGED = Schedule Internal "OutageBridged", "The engine had been down: live holds got their time back", [OF_SCHEDULE, OUTAGE];
    LIMITS_SET = Schedule Internal "LimitsSet", "How much of the past the schedule keeps", [OF_SCHEDULE,
        &[field("endedRetentionSeconds", Number, "how long ended reservations stay"), field("idempotencyKeysMax", Number, "how many keys stay")]];
    KEY_KEPT = Schedule Internal "KeyKept", "A request with an idempotency key asked for what was so already", [OF_SCHEDULE,
        &[field("reservationNumber", Number, "the reservation that it was about").sometimes(),
          field("reservationId", Text, "its id").maybe(),
          field("userId", Text, "whose it is").maybe()]];

    PAYMENT_STARTED = Payment Public "PaymentStarted", "A payment was made; through a gateway it is ready for the checkout", [PAYMENT,
        &[field("reservationId", Text, "what it pays for"), field("userId", Text, "who pays"), field("method", Text, "how"),
          field("amount", Number, "how much, in the currency's minor unit"), field("currency", Text, "ISO 4217")]];
    PAYMENT_COMPLETED = Payment Public "PaymentCompleted", "It is paid", [PAYMENT];
    PAYMENT_FAILED = Payment Public "PaymentFailed", "It came to nothing, and took nothing", [PAYMENT, &[FAILURE.or_null()]];
    REFUND_BEGUN = Payment Public "RefundBegun", "Its money is to go back. With the method `external` your payment service is asked for it: see OPERATIONS.md", [PAYMENT,
        &[FAILURE, field("reservationId", Text, "what it paid for, or was to; null as `paymentId`").or_null(),
          field("userId", Text, "who paid; null as `paymentId`").or_null(), field("method", Text, "how; null as `paymentId`").or_null(),
          field("amount", Number, "how much goes back, in the currency's minor unit; 0 where nothing does, and nobody is to act; null as `paymentId`").or_null(),
          field("paidAmount", Number, "how much was paid: more than `amount` where a fee is not refundable; null as `paymentId`").or_null(),
          field("currency", Text, "ISO 4217; null as `paymentId`").or_null(),
          field("paymentKey", Text, "with the method `external`: your payment service's name for what it took").sometimes()]];
    PAYMENT_REFUNDED = Payment Public "PaymentRefunded", "Its money is back. It comes again where more of it goes back later", [PAYMENT,
        &[field("amount", Number, "how much went back in all, where that is more than `RefundBegun` said").sometimes()]];
    PAYMENT_ACCEPTED = Payment Internal "PaymentAccepted", "The client brought what the checkout gave", [PAYMENT];
    CAPTURE_BEGUN = Payment Internal "CaptureBegun", "The money is taken next", [PAYMENT];
    PAYMENT_DECLINED = Payment Internal "PaymentDeclined", "The money was surely not taken", [PAYMENT, &[FAILURE]];
    PAYMENT_CAPTURED = Payment Internal "PaymentCaptured", "The money was taken", [PAYMENT];
    PAYMENT_CONFIRMED = Payment Internal "PaymentConfirmed", "The reservation was confirmed by it", [PAYMENT];
    PAYMENT_KEY_KEPT = Payment Internal "KeyKept", "A request with an idempotency key asked for what was so already", [PAYMENT];

    MONEY_MOVED = Account Public "MoneyMoved", "Money came in or went out", [USER,
        &[field("transactionId", Text, "the movement"), field("type", Text, "`charge` and `refund` put money in, `payment` takes it"),
          field("amount", Number, "in the currency's minor unit"), field("currency", Text, "ISO 4217"),
          field("balanceAfter", Number, "what there is with it"),
          field("paymentId", Text, "the payment that it belongs to; null for a charge").or_null()]];
    TRANSACTIONS_ARCHIVED = Account Internal "TransactionsArchived", "Old movements went to the archive", [USER];
    ACCOUNT_KEY_KEPT = Account Internal "KeyKept", "A request with an idempotency key asked for what was so already", [USER];

    USER_SIGNED_UP = User Public "UserSignedUp", "Someone signed up", [USER];
    USER_SUSPENDED = User Public "UserSuspended", "They may no longer act", [USER];
    USER_REINSTATED = User Public "UserReinstated", "They may act again", [USER];
    USER_DELETED = User Public "UserDeleted", "They may never act again, and are forgotten", [USER];
    USER_PASSWORD_REPLACED = User Internal "UserPasswordReplaced", "They have another password", [USER];
    USER_KEY_KEPT = User Internal "KeyKept", "A request with an idempotency key asked for what was so already", [USER];

    ROOM_CONFIGURED = Room Public "RoomConfigured", "The rules of a waiting room", [OF_SCHEDULE,
        &[field("queue", Object, "as in the schedule's policy; null where there is no room any more").or_null(),
          field("seedSha256", Text, "of a room with a draw: the hash of its seed").or_null()]];
    ROOM_TUNED = Room Public "RoomTuned", "What was changed while it runs", [OF_SCHEDULE,
        &[field("maxActive", Number, "how many may be active; null where that stayed").or_null(),
          field("admitPerMinute", Number, "how many are admitted a minute; null where that stayed, or isn't limited").or_null(),
          field("paused", Flag, "whether nobody is admitted; null where that stayed").or_null()]];
    DRAWN = Room Public "Drawn", "The draw was made", [OF_SCHEDULE, &[field("seed", Text, "its seed, in hexadecimal")]];
    JOINED = Room Internal "Joined", "Someone took a place", [OF_SCHEDULE, TICKET, USER, &[field("admitted", Flag, "whether at once")]];
    ADMITTED = Room Internal "Admitted", "Some were let in", [OF_SCHEDULE, TICKETS];
    CLAIMED = Room Internal "Claimed", "Some of them showed a sign of life", [OF_SCHEDULE, TICKETS];
    STAYED = Room Internal "Stayed", "Some showed another sign of life", [OF_SCHEDULE, TICKETS];
    LEFT = Room Internal "Left", "Someone gave their place up", [OF_SCHEDULE, TICKET];
    FINISHED = Room Internal "Finished", "Someone paid, and is through", [OF_SCHEDULE, TICKET];
    PASSES_EXPIRED = Room Internal "PassesExpired", "Passes ended by time", [OF_SCHEDULE, TICKETS];
    PLACES_EXPIRED = Room Internal "PlacesExpired", "Places ended by time, up to one", [OF_SCHEDULE,
        &[field("lastTicket", Number, "the last of them")]];
    GATE_MOVED = Room Internal "GateMoved", "Whether anybody can be let in", [OF_SCHEDULE, &[field("gate", Text, "as in a waiting room")]];
    ROOM_OUTAGE_BRIDGED = Room Internal "OutageBridged", "The engine had been down", [OF_SCHEDULE, OUTAGE];
    ROOM_KEY_KEPT = Room Internal "KeyKept", "A request with an idempotency key asked for what was so already", [OF_SCHEDULE,
        &[field("ticket", Number, "the place that it was about, where there is one").or_null()]];

    VENUE_PUT = Catalogue Public "VenuePut", "A venue was created or replaced", [VENUE_ID,
        &[field("name", Text, "for people"), field("address", Text, "for people"), field("type", Text, "what it is"),
          field("timeZone", Text, "the IANA name"), field("stage", Object, "its outline").sometimes(),
          field("sections", Objects, "as in a venue"), field("areas", Objects, "as in a venue, where it has any").sometimes()]];
    VENUE_REMOVED = Catalogue Public "VenueRemoved", "A venue was removed", [VENUE_ID];
    CONCERT_PUT = Catalogue Public "ConcertPut", "A concert was created or replaced", [CONCERT_ID, VENUE_ID,
        &[field("title", Text, "for people"), field("artist", Text, "for people"),
          field("description", Text, "for people").sometimes(), field("posterUrl", Text, "a picture").sometimes(),
          field("currency", Text, "of its prices"), field("grades", Objects, "as in a concert"), field("cast", Object, "who plays what"),
          field("priceTypes", Objects, "as in a concert, where it has any").sometimes(),
          field("fees", Objects, "as in a concert, where it has any").sometimes()]];
    CONCERT_REMOVED = Catalogue Public "ConcertRemoved", "A concert was removed", [CONCERT_ID];
    SCHEDULE_LISTED = Catalogue Public "ScheduleListed", "A schedule is listed: `Created` follows", [SCHEDULE_ID, CONCERT_ID];
    SCHEDULE_UNLISTED = Catalogue Public "ScheduleUnlisted", "A schedule is listed no more: it was removed", [SCHEDULE_ID];
    SCHEDULE_ARCHIVED = Catalogue Internal "ScheduleArchived", "A schedule is listed as one of the archive", [SCHEDULE_ID];
    SCHEDULE_REPLAN_BEGUN = Catalogue Internal "ScheduleReplanBegun", "A schedule is to have another plan: `Replanned` follows", [SCHEDULE_ID];
    SCHEDULE_REPLANS_DONE = Catalogue Internal "ScheduleReplansDone", "Every schedule has the plan that it was to have", [];
    SCHEDULES_CREATED = Catalogue Internal "SchedulesCreated", "Every schedule that was listed is created", [];
    CATALOGUE_KEY_KEPT = Catalogue Internal "KeyKept", "A request with an idempotency key asked for what was so already", [];
}

/// Writes the whole of `docs/EVENTS.md`.
pub fn document() -> String {
    let sections: Vec<String> =
        About::ALL.map(About::heading).iter().map(|(heading, _)| link(heading)).collect();
    format!("{HEAD}\n- {}\n{}", sections.join(" · "), tables(false))
}

/// Links to a section of the page. Headings only have letters and spaces.
fn link(heading: &str) -> String {
    format!("[{heading}](#{})", heading.to_lowercase().replace(' ', "-"))
}

/// The text before the tables.
const HEAD: &str = "\
# The events of the feed

<!-- Made from the code (`src/http/documents/kinds.rs`); a test compares the two. -->

`GET /api/v1/events` gives every event that the journal keeps, in order, none left out, as server-sent \
[CloudEvents 1.0](https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md) in JSON:

```text
id: 4711
event: ReservationConfirmed
data: {\"specversion\":\"1.0\",\"id\":\"4711\",\"source\":\"/logs/…\",\"type\":\"ReservationConfirmed\",\
\"subject\":\"schedules/show-1\",\"time\":\"2026-11-20T12:00:00.000Z\",\"datacontenttype\":\"application/json\",\
\"position\":4711,\"data\":{\"scheduleId\":\"show-1\",\"reservationId\":\"…\",\"userId\":\"kim\",\"paymentId\":\"…\",\
\"seats\":[\"1층-B-7-14\"],\"amount\":170000,\"currency\":\"KRW\",\"reservationNumber\":1,\"by\":\"engine\"}}
```

A consumer keeps the position of the last event that it has dealt with, and comes back with `?after=` or (which wins) \
`Last-Event-ID`. It gets each event at least once: `source` and `id` together name an event. What is no longer kept is 410 \
`not_retained` with `oldestPosition`.

**Types in bold are public**: they keep their names and their fields, and get new fields at most, which a consumer ignores. The others \
tell what goes on inside, and change as that does. A type that isn't listed here may come with a newer version: a consumer skips it.

Every `data` also says who asked: `by` is `engine` (time, or the engine itself), `user`, or `admin` (operators and the box office, too), and then `adminId` says which. \
Instants are RFC 3339 in UTC with milliseconds; money is in the currency's minor unit. Nothing secret is in any of them: no password \
or its hash, no token, no idempotency key, no key of a gateway's but the names that your own payment service gave; of users nothing but \
their ids.
";

/// Writes the tables of all types, or only of the public ones.
pub fn tables(public_only: bool) -> String {
    let mut text = String::new();
    for about in About::ALL {
        let (heading, subject) = about.heading();
        write!(text, "\n## {heading}\n\n`subject` is {subject}.\n\n")
            .expect("writing to memory doesn't fail");
        text += "| type | what happened | `data` |\n| --- | --- | --- |\n";
        for kind in KINDS.iter().filter(|kind| kind.about == about && (kind.is_public() || !public_only)) {
            let fields: Vec<String> = kind.fields().map(described).collect();
            let mark = if kind.is_public() { "**" } else { "" };
            writeln!(text, "| {mark}`{}`{mark} | {} | {} |", kind.name, kind.what, fields.join("; "))
                .expect("writing to memory doesn't fail");
        }
    }
    text
}

fn described(field: &Field) -> String {
    let there = match field.there {
        There::Always => "",
        There::OrNull => " or null",
        There::Sometimes => ", not always",
        There::Maybe => " or null, not always",
    };
    format!("`{}` ({}{there}): {}", field.name, field.holds.word(), field.what)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_public_types_have_one_name_and_none_is_listed_twice() {
        let mut public = HashSet::new();
        let mut all = HashSet::new();
        for kind in KINDS {
            assert!(!kind.is_public() || public.insert(kind.name), "{}", kind.name);
            assert!(all.insert((kind.name, kind.about.heading())), "{}", kind.name);
        }
        for kind in KINDS.iter().filter(|kind| !kind.is_public()) {
            assert!(!public.contains(kind.name), "{} would be taken for a public one", kind.name);
        }
    }
}
