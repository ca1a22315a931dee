//! Orders of the box office.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::domain::cause::{By, Cause};
use crate::domain::ids::{AllotmentId, UserId};
use crate::domain::money::Money;
use crate::domain::schedule::Command;
use crate::domain::schedule::orders::{Order, OrderWish};
use crate::http::app::App;
use crate::http::auth::{Caller, Clerk};
use crate::http::changes;
use crate::http::documents::{
    CatalogueId, OrderMethodWord, OrderText, ReservationDocument, UserText, check_order_texts,
};
use crate::http::extract::{IdempotencyKey, Path, RawBody};
use crate::http::idempotency::{is_answered, key_of};
use crate::http::lookup::{find, has_record};
use crate::http::problem::Problem;
use crate::http::table::{Routes, routes};
use crate::http::wish::{AreaPlacesBody, Asked, BestAvailable, SeatWish};
use crate::random;

/// Makes the routes of orders.
pub fn routes() -> Routes<App> {
    routes![make]
}

/// The order to make: seats by their ids, places of areas, or both; or the best seats that are left.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"name": "김관객", "seats": ["1층-B-7-14"], "payment": {"method": "cash"}}))]
struct OrderBody {
    /// Whose it is: it is in this user's list. Nobody's, if absent. A suspended user may have one, since the call is the clerk's; a
    /// deleted one is no user.
    #[schema(value_type = Option<UserText>)]
    user_id: Option<String>,
    /// Who comes with it, for the door.
    #[schema(value_type = Option<OrderText>)]
    name: Option<String>,
    /// The seats, each once: by its id, or with its price type; accessible ones, too. With the places of areas there are 1 to 100.
    #[schema(value_type = Option<HashSet<SeatWish>>, min_items = 1, max_items = 100)]
    seats: Option<Vec<SeatWish>>,
    /// Places of areas, each area once for a price type.
    #[schema(min_items = 1, max_items = 100)]
    areas: Option<Vec<AreaPlacesBody>>,
    /// Instead of `seats` and `areas`: the best seats that are left.
    best_available: Option<BestAvailable>,
    /// The allotment that it takes from, and from nothing else. Without it, nothing that is set aside can be sold.
    #[schema(value_type = Option<CatalogueId>)]
    allotment_id: Option<String>,
    payment: OrderPaymentBody,
    /// What is taken, in the currency's minor unit, where that isn't the sum of the prices: a line named by `reason` makes up for the
    /// difference. A `complimentary` order is 0.
    #[schema(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    amount: Option<u64>,
    /// Why; needed with `amount`.
    #[schema(value_type = Option<OrderText>)]
    reason: Option<String>,
}

/// How an order is paid.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = OrderPayment)]
struct OrderPaymentBody {
    method: OrderMethodWord,
    /// The till's name for the payment: a slip of the terminal, the number of an invoice.
    #[schema(value_type = Option<OrderText>)]
    reference: Option<String>,
}

/// Sell places at the box office
///
/// The reservation is confirmed in one step, and its payment `completed` by the method: the engine takes no money. Sold while the sale is
/// upcoming or closed, too, up to the end of the performance, and above what the policy gives users; never what somebody has, what is
/// blocked, or what is set aside without its `allotmentId`. Its cancellation says `refund` `by_hand`.
#[utoipa::path(post, path = "/api/v1/schedules/{scheduleId}/orders", operation_id = "makeOrder", tag = "Box office", request_body = OrderBody,
    params(("scheduleId" = String, Path),
           ("Idempotency-Key" = String, Header, description = "Required: 1–255 visible ASCII characters")),
    security(("bearer" = [])),
    responses((status = 201, description = "The places are sold", body = ReservationDocument<'static>),
        (status = 400, description = "`malformed_request`: no Idempotency-Key"),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`seat_unavailable` (with `seats`), `not_enough_seats` (with `areas` where those were named), `schedule_not_open`: the performance is cancelled, or over"),
        (status = 422, description = "`invalid_request`, `unknown_seat` (with `seats`), `idempotency_key_reused`")))]
async fn make(
    State(app): State<App>,
    Clerk(caller): Clerk,
    Path(id): Path<String>,
    key: IdempotencyKey,
    body: RawBody,
) -> Result<Response, Problem> {
    let wanted: OrderBody = body.parse()?;
    let entry = find(&app, &id).await?;
    let route = format!("POST /schedules/{id}/orders");
    let key = key_of(&app, &caller, &route, key.as_str(), &body.0);
    let answered = is_answered(&app, &entry, Some(key))?;

    // Read before the order's own are found by them: a change in between is refused.
    let types = entry
        .read()
        .prices()
        .map_or_else(Box::default, |prices| prices.types().iter().map(|known| known.id.clone()).collect());
    let asked = wanted.asked();
    let wish = asked.wish(&entry)?;
    let by = By::Admin(caller.user_id.clone());
    let order = OrderWish {
        user: wanted.user(|user| answered || may_own(&app, user))?,
        wish,
        types: Some(types),
        allotment: wanted.allotment()?,
        amount: wanted.amount()?,
        order: wanted.order(&caller)?,
        nonce: random::number(),
        payment_nonce: random::number(),
    };
    let command = Command::Order(Box::new(order));
    let acted = app.engine.act_by(&entry, command, Cause { by, key: Some(key) }).await;
    let acted = acted.map_err(|error| asked.refused(error, &entry))?;
    changes::reserved(&app, &entry, &acted, StatusCode::CREATED)
}

/// Tells whether an order may be a user's. Of an outside provider's user nothing may be known here, and yet they are someone; who is
/// deleted is nobody. Who is suspended may own one: that ends their own calls, and this is the clerk's.
fn may_own(app: &App, user: &UserId) -> bool {
    let is_unknown = app.engine.user(user).is_none();
    has_record(app, user) || (is_unknown && !app.parts.authenticator.issues_tokens())
}

impl OrderBody {
    fn asked(&self) -> Asked<'_> {
        let Self { seats, areas, best_available, .. } = self;
        Asked {
            seats: seats.as_deref(),
            areas: areas.as_deref(),
            best: best_available.as_ref(),
            accessible: false,
        }
    }

    /// Finds whose it is.
    fn user(&self, may_own: impl FnOnce(&UserId) -> bool) -> Result<Option<UserId>, Problem> {
        let Some(id) = &self.user_id else { return Ok(None) };
        let wrong = |detail: String| Problem::invalid_field("userId", detail);
        let user = UserId::parse(id).map_err(|invalid| wrong(invalid.to_string()))?;
        if may_own(&user) { Ok(Some(user)) } else { Err(wrong("there is no such user".to_owned())) }
    }

    fn allotment(&self) -> Result<Option<AllotmentId>, Problem> {
        let parsed = self.allotment_id.as_deref().map(AllotmentId::parse).transpose();
        parsed.map_err(|invalid| Problem::invalid_field("allotmentId", invalid.to_string()))
    }

    fn amount(&self) -> Result<Option<Money>, Problem> {
        let money = |minor| Money::new(minor).ok_or_else(|| Problem::invalid_field("amount", "is too much"));
        self.amount.map(money).transpose()
    }

    fn order(&self, caller: &Caller) -> Result<Order, Problem> {
        let reference = self.payment.reference.as_deref();
        let (name, reason) = (self.name.as_deref(), self.reason.as_deref());
        check_order_texts(&[("name", name), ("payment.reference", reference), ("reason", reason)])?;
        Ok(Order {
            clerk: caller.user_id.clone(),
            method: self.payment.method.into(),
            reference: reference.map(Into::into),
            name: name.map(Into::into),
            reason: reason.map(Into::into),
        })
    }
}
