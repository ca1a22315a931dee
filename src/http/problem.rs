//! Problem documents (RFC 9457): the one shape of every error that a client sees.
//!
//! Owns the codes with their statuses and titles, and the response of a problem.
//! Absent on purpose: the codes of the domain's refusals (`refusal.rs` has them), and any text of the client.
//!
//! Invariants: a code has one status; `type` is the code with dashes; a 401 carries
//! `WWW-Authenticate: Bearer`; 429 and `overloaded` carry `Retry-After`.

use core::sync::atomic::{AtomicU64, Ordering};
use std::borrow::Cow;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::answer::{answer, written};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The seconds that an overloaded server asks a client to wait before it tries again.
pub const OVERLOADED_RETRY_AFTER_SECONDS: u64 = 1;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $code:literal, $title:literal;)+) => {
        /// Every code that an error can carry; the API has no others.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)+
        }

        impl Code {
            /// All codes in the order of the API's table, for tests and the API description.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// Returns its place in [`Code::ALL`].
            const fn place(self) -> usize {
                let mut place = 0;
                $(if matches!(self, Self::$name) { return place; } place += 1;)+
                place
            }

            /// Returns the status, the code as clients read it, and the title.
            const fn row(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$name => (StatusCode::$status, $code, $title),)+
                }
            }
        }
    };
}

codes! {
    /// Not JSON, a bad header, a bad cursor.
    MalformedRequest = BAD_REQUEST, "malformed_request", "Malformed request";
    /// No token, or one that isn't valid.
    Unauthenticated = UNAUTHORIZED, "unauthenticated", "Not signed in";
    /// The token was valid until its `exp`.
    TokenExpired = UNAUTHORIZED, "token_expired", "Token expired";
    /// A gateway's notice whose signature is wrong.
    BadSignature = UNAUTHORIZED, "bad_signature", "Bad signature";
    /// A waiting-room pass that is forged, another's or another schedule's.
    QueueTokenInvalid = UNAUTHORIZED, "queue_token_invalid", "Queue token not valid";
    /// The balance is smaller than the amount; with `currentBalance` and `requiredAmount`.
    InsufficientBalance = PAYMENT_REQUIRED, "insufficient_balance", "Insufficient balance";
    /// The gateway said no; with its reason.
    PaymentDeclined = PAYMENT_REQUIRED, "payment_declined", "Payment declined";
    /// The caller may not do this.
    Forbidden = FORBIDDEN, "forbidden", "Not allowed";
    /// The caller's account is suspended.
    UserSuspended = FORBIDDEN, "user_suspended", "User suspended";
    /// The schedule has a waiting room and the request no pass.
    QueueTokenRequired = FORBIDDEN, "queue_token_required", "Queue token required";
    /// The pass is not, or no longer, active; with `position`.
    QueueNotActive = FORBIDDEN, "queue_not_active", "Not admitted";
    /// The phase that is open is for those who bring a code of it.
    CodeRequired = FORBIDDEN, "code_required", "Code required";
    /// The code is unknown, not for this, or not for now.
    CodeInvalid = FORBIDDEN, "code_invalid", "Code not valid";
    /// There is no such thing, or it isn't the caller's.
    NotFound = NOT_FOUND, "not_found", "Not found";
    /// The route has other methods.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed";
    /// The request's body did not arrive in time.
    RequestTimeout = REQUEST_TIMEOUT, "request_timeout", "Request timed out";
    /// What was asked for is no longer kept; with `oldestPosition`.
    NotRetained = GONE, "not_retained", "No longer kept";
    /// Another has the seats; with `seats`.
    SeatUnavailable = CONFLICT, "seat_unavailable", "Seat unavailable";
    /// There are fewer free seats, or places of an area, than asked for; with `areas` where those were named.
    NotEnoughSeats = CONFLICT, "not_enough_seats", "Not enough seats";
    /// The code was used as often as it can be.
    CodeExhausted = CONFLICT, "code_exhausted", "Code used up";
    /// The schedule isn't on sale.
    ScheduleNotOpen = CONFLICT, "schedule_not_open", "Schedule not open";
    /// More seats than one user may have.
    SeatLimitExceeded = CONFLICT, "seat_limit_exceeded", "Seat limit exceeded";
    /// The choice would leave a single seat alone.
    OrphanSeat = CONFLICT, "orphan_seat", "Orphan seat";
    /// The reservation isn't in a state that allows this.
    ReservationNotHeld = CONFLICT, "reservation_not_held", "Reservation not held";
    /// The hold ended.
    ReservationExpired = CONFLICT, "reservation_expired", "Reservation expired";
    /// The payment isn't in a state that allows this.
    PaymentNotReady = CONFLICT, "payment_not_ready", "Payment not ready";
    /// Something else uses it.
    InUse = CONFLICT, "in_use", "In use";
    /// Another user has the address.
    EmailTaken = CONFLICT, "email_taken", "Email taken";
    /// The schedule has no waiting room.
    NoWaitingRoom = CONFLICT, "no_waiting_room", "No waiting room";
    /// Too late to cancel.
    CancellationClosed = CONFLICT, "cancellation_closed", "Cancellation closed";
    /// The state doesn't lead there.
    InvalidTransition = CONFLICT, "invalid_transition", "Invalid transition";
    /// The first request with this idempotency key is still running.
    RequestInProgress = CONFLICT, "request_in_progress", "Request in progress";
    /// The seats are kept for visitors with a disability and their companions; with `seats`.
    AccessibleSeat = CONFLICT, "accessible_seat", "Accessible seat";
    /// The body is over the route's limit.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body_too_large", "Body too large";
    /// The headers are over the limit.
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", "Headers too large";
    /// The body isn't `application/json`.
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type";
    /// JSON of the wrong shape or with impossible values; with `errors`.
    InvalidRequest = UNPROCESSABLE_ENTITY, "invalid_request", "Invalid request";
    /// The schedule has no such seats; with `seats`.
    UnknownSeat = UNPROCESSABLE_ENTITY, "unknown_seat", "Unknown seat";
    /// The idempotency key came with another body before.
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY, "idempotency_key_reused", "Idempotency key reused";
    /// The amount is below or above what is allowed.
    AmountOutOfRange = UNPROCESSABLE_ENTITY, "amount_out_of_range", "Amount out of range";
    /// The amounts are in different currencies.
    CurrencyMismatch = UNPROCESSABLE_ENTITY, "currency_mismatch", "Currency mismatch";
    /// Too many changes in too short a time; with `Retry-After`.
    RateLimited = TOO_MANY_REQUESTS, "rate_limited", "Too many requests";
    /// A bug; with the request id and nothing else.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Internal error";
    /// A queue inside is full; with `Retry-After`.
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "Overloaded";
    /// It may or may not have happened.
    OutcomeUnknown = SERVICE_UNAVAILABLE, "outcome_unknown", "Outcome unknown";
    /// Not recovered yet, or one schedule's actor is gone.
    NotReady = SERVICE_UNAVAILABLE, "not_ready", "Not ready";
    /// The journal takes no more writes.
    JournalUnavailable = SERVICE_UNAVAILABLE, "journal_unavailable", "Journal unavailable";
    /// The servers of a log on NATS have lost what was acknowledged.
    LogLostData = SERVICE_UNAVAILABLE, "log_lost_data", "The log has lost data";
    /// The payment gateway doesn't answer.
    GatewayUnavailable = SERVICE_UNAVAILABLE, "gateway_unavailable", "Gateway unavailable";
}

impl Code {
    /// Returns the status that goes with the code.
    pub const fn status(self) -> StatusCode {
        self.row().0
    }

    /// Returns the code as clients read it, in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Returns the few words that stand for the kind of problem.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Returns the stable relative URI of the kind of problem: `/problems/<code with dashes>`.
    pub fn type_uri(self) -> String {
        // One allocation: a refusal is the commonest answer while a show sells out.
        let mut uri = String::with_capacity("/problems/".len() + self.as_str().len());
        uri.push_str("/problems/");
        uri.extend(self.as_str().chars().map(|c| if c == '_' { '-' } else { c }));
        uri
    }
}

/// What an area has left.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[expect(dead_code, reason = "describes what is written")]
struct AreaLeft {
    area_id: String,
    /// How many places can be held now.
    available: u32,
}

/// A wrong field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field, such as `seats[2]` or `policy.holdSeconds`; empty for the whole.
    pub field: String,
    /// What is wrong or allowed. It doesn't repeat the client's value.
    pub detail: String,
}

/// An error's answer: a code, a sentence for a person, and the members of the code.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    members: Vec<(&'static str, Value)>,
    retry_after_seconds: Option<u64>,
}

impl Problem {
    /// Makes a problem. `detail` is a sentence for a person, without internals and without the client's text.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after_seconds = match code.status() {
            StatusCode::TOO_MANY_REQUESTS => Some(1),
            _ if code == Code::Overloaded => Some(OVERLOADED_RETRY_AFTER_SECONDS),
            _ => None,
        };
        Self { code, detail: detail.into(), members: Vec::new(), retry_after_seconds }
    }

    /// Adds a member of this problem, such as `seats` or `currentBalance`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        debug_assert!(
            !["type", "title", "status", "detail", "code"].contains(&name),
            "a member of every problem isn't replaced"
        );
        self.members.push((name, value.into()));
        self
    }

    /// Sets when to try again, in whole seconds (`Retry-After`).
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds.max(1));
        self
    }

    /// Makes a 422 `invalid_request` that names one field.
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.into(), detail: detail.into() }])
    }

    /// Makes a 422 `invalid_request` that names every wrong field.
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        let errors = serde_json::to_value(errors).expect("texts and nothing else");
        Self::new(Code::InvalidRequest, "Some fields of the request are wrong; see `errors`.")
            .with("errors", errors)
    }

    /// Makes a 500 that has only the request's id.
    pub fn internal(request_id: &str) -> Self {
        Self::new(Code::Internal, "The server failed. Its log has the details under this request id.")
            .with("requestId", request_id)
    }

    /// Returns the sentence for a person.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Makes the 400 for a cursor that this server didn't give.
    pub fn bad_cursor() -> Self {
        Self::new(Code::MalformedRequest, "The cursor isn't a `nextCursor` of this list.")
    }

    /// Makes a 503 that asks the client to come back in a moment.
    pub fn overloaded() -> Self {
        Self::new(Code::Overloaded, "The server is too busy just now; try again in a moment.")
    }

    /// Makes the 503 of a change whose outcome isn't known.
    pub fn outcome_unknown() -> Self {
        let detail = "The change may or may not have happened; repeat the request with the same Idempotency-Key to find out.";
        Self::new(Code::OutcomeUnknown, detail)
    }

    /// Makes the 431 of headers over the limit.
    pub fn headers_too_large(bytes_max: usize) -> Self {
        let detail = format!("The request line and headers may have {bytes_max} bytes at most.");
        Self::new(Code::HeadersTooLarge, detail)
    }

    /// Makes a 404.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "It doesn't exist, or it isn't yours.")
    }

    /// Makes a 404 of a path that leads nowhere.
    pub fn no_route() -> Self {
        Self::new(Code::NotFound, "There is no such route.")
    }

    /// Makes a 403.
    pub fn forbidden() -> Self {
        Self::new(Code::Forbidden, "You aren't allowed to do this.")
    }

    /// Makes the 403 of a user who is suspended or deleted.
    pub fn user_suspended() -> Self {
        Self::new(Code::UserSuspended, "This user is suspended or deleted, and may no longer act.")
    }

    /// Returns the problem's code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns the document as bytes of JSON.
    pub fn to_json(&self) -> Vec<u8> {
        written(self)
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(Some(5 + self.members.len()))?;
        out.serialize_entry("type", &self.code.type_uri())?;
        out.serialize_entry("title", self.code.title())?;
        out.serialize_entry("status", &self.code.status().as_u16())?;
        out.serialize_entry("detail", &self.detail)?;
        out.serialize_entry("code", self.code.as_str())?;
        for (name, value) in &self.members {
            out.serialize_entry(name, value)?;
        }
        out.end()
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text = |what: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(what));
        let number = |what: &str| {
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).description(Some(what))
        };
        let array = |items: RefOr<Schema>, what: &str| {
            ArrayBuilder::new().items(items).description(Some(what)).build()
        };
        let codes = text("A stable word for programs. Each code has one status")
            .enum_values(Some(Code::ALL.iter().map(|code| code.as_str())));
        let position = number("With `queue_not_active`: the place in the line, if the caller waits")
            .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]));

        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("An error (RFC 9457), of the same form on every route"))
            .property("type", text("A stable relative URI: `/problems/<code with dashes>`"))
            .property("title", text("A few words for the kind of problem"))
            .property("status", number("The status of the answer").minimum(Some(400)).maximum(Some(599)))
            .property("detail", text("A sentence for a person"))
            .property("code", codes)
            .property(
                "errors",
                array(
                    Ref::from_schema_name(FieldError::name()).into(),
                    "With `invalid_request`: the wrong fields",
                ),
            )
            .property(
                "seats",
                array(
                    String::schema(),
                    "With `seat_unavailable`, `orphan_seat`, `accessible_seat` and `unknown_seat`: the seats' ids",
                ),
            )
            .property(
                "areas",
                array(
                    AreaLeft::schema(),
                    "With `not_enough_seats`: the areas that haven't as many places left as were asked for",
                ),
            )
            .property("position", position)
            .property("currentBalance", number("With `insufficient_balance`: the balance"))
            .property("requiredAmount", number("With `insufficient_balance`: the amount to pay"))
            .property("gatewayCode", text("With `payment_declined`: the gateway's own code"))
            .property("reason", text("With `payment_declined`: the gateway's reason"))
            .property("oldestPosition", number("With `not_retained`: the oldest position that is kept"))
            .property("requestId", text("With `internal`: the request's id"))
            .required("type")
            .required("title")
            .required("status")
            .required("detail")
            .required("code")
            .examples([serde_json::json!({
                "type": "/problems/seat-unavailable", "title": "Seat unavailable", "status": 409,
                "detail": "At least one of the seats is taken; see `seats`.", "code": "seat_unavailable",
                "seats": ["1층-B-7-14"],
            })])
            .into()
    }
}

impl ToSchema for Problem {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((FieldError::name().into_owned(), FieldError::schema()));
    }
}

/// How many problems of each code the process has answered.
static ANSWERED: [AtomicU64; Code::ALL.len()] = [const { AtomicU64::new(0) }; Code::ALL.len()];

/// Returns how many problems of each code the process has answered: of those that there were.
pub(super) fn answered() -> impl Iterator<Item = (Code, u64)> {
    let counted = Code::ALL.iter().zip(&ANSWERED).map(|(code, count)| (*code, count.load(Ordering::Relaxed)));
    counted.filter(|(_, count)| *count > 0)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        ANSWERED[self.code.place()].fetch_add(1, Ordering::Relaxed);
        let mut response = answer(self.code.status(), MEDIA_TYPE, self.to_json());
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // For the log line of the request; it doesn't leave the process.
        if self.code.status().is_server_error() {
            response.extensions_mut().insert(self.code);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The table at the end of the API's contract, word for word.
    const TABLE: &str = r#"
| 400 | `malformed_request` (not JSON, bad header, bad cursor) |
| 401 | `unauthenticated`, `token_expired`, `bad_signature`, `queue_token_invalid` |
| 402 | `insufficient_balance` (with `currentBalance`, `requiredAmount`), `payment_declined` (with the gateway's reason) |
| 403 | `forbidden`, `user_suspended`, `queue_token_required`, `queue_not_active` (with `position`), `code_required`, `code_invalid` |
| 404 | `not_found` |
| 405 | `method_not_allowed` |
| 408 · 410 | `request_timeout` · `not_retained` |
| 409 | `seat_unavailable`, `not_enough_seats`, `schedule_not_open`, `seat_limit_exceeded`, `orphan_seat`, `reservation_not_held`, `reservation_expired`, `payment_not_ready`, `in_use`, `email_taken`, `no_waiting_room`, `cancellation_closed`, `invalid_transition`, `request_in_progress`, `code_exhausted`, `accessible_seat` |
| 413 · 431 | `body_too_large` (over 64 KiB; 16 MiB for `/import` and venues) · `headers_too_large` |
| 415 | `unsupported_media_type` |
| 422 | `invalid_request` (with `errors: [{"field", "detail"}]`), `unknown_seat` (with `seats`), `idempotency_key_reused`, `amount_out_of_range`, `currency_mismatch` |
| 429 | `rate_limited` (with `Retry-After`) |
| 500 | `internal` (a bug: with the request id, nothing else) |
| 503 | `overloaded` (a mailbox is full; `Retry-After`), `outcome_unknown` (it may or may not have happened: repeat with the same key), `not_ready`, `journal_unavailable`, `log_lost_data` (of `/readyz` alone), `gateway_unavailable` |
"#;

    /// Reads the table: what stands between back quotes outside of parentheses is a code.
    fn documented() -> BTreeSet<(u16, String)> {
        let mut rows = BTreeSet::new();
        for line in TABLE.lines().filter(|line| !line.is_empty()) {
            let (statuses, codes) = line.trim_matches('|').split_once('|').unwrap();
            let statuses: Vec<u16> =
                statuses.split('·').map(|status| status.trim().parse().unwrap()).collect();
            let mut outside = String::new();
            let mut depth = 0;
            for character in codes.chars() {
                match character {
                    '(' => depth += 1,
                    ')' => depth -= 1,
                    _ if depth == 0 => outside.push(character),
                    _ => {}
                }
            }
            for (index, part) in outside.split('·').enumerate() {
                for code in part.split('`').skip(1).step_by(2) {
                    rows.insert((statuses[index], code.to_owned()));
                }
            }
        }
        rows
    }

    #[test]
    fn the_codes_are_those_of_the_contract_one_to_one() {
        let documented = documented();
        let known: BTreeSet<(u16, String)> =
            Code::ALL.iter().map(|code| (code.status().as_u16(), code.as_str().to_owned())).collect();
        assert_eq!(known.len(), Code::ALL.len(), "no code stands twice");
        assert_eq!(known, documented);
    }

    #[test]
    fn a_problem_has_the_members_of_the_standard_and_its_own() {
        let problem = Problem::new(Code::SeatUnavailable, "Taken.").with("seats", vec!["1-A-1"]);
        let json: Value = serde_json::from_slice(&problem.to_json()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": "/problems/seat-unavailable", "title": "Seat unavailable", "status": 409,
                "detail": "Taken.", "code": "seat_unavailable", "seats": ["1-A-1"],
            })
        );
    }

    #[test]
    fn only_the_problems_that_ask_to_come_back_carry_retry_after() {
        for code in Code::ALL {
            let response = Problem::new(*code, "").into_response();
            let asks = matches!(code, Code::Overloaded | Code::RateLimited);
            assert_eq!(response.headers().contains_key("retry-after"), asks, "{code:?}");
            let unauthorized = response.status() == StatusCode::UNAUTHORIZED;
            assert_eq!(response.headers().contains_key("www-authenticate"), unauthorized);
            assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        }
        let later = Problem::overloaded().retry_after(7).into_response();
        assert_eq!(later.headers()["retry-after"], "7");
    }
}
