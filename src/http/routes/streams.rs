//! Tickets to event streams.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::app::App;
use crate::http::auth::{StreamOpener, no_token};
use crate::http::by_ticket::shown;
use crate::http::documents::At;
use crate::http::json::Json;
use crate::http::pass::ShownPass;
use crate::http::problem::Problem;
use crate::http::table::{Routes, routes};

/// Makes the routes of tickets.
pub fn routes() -> Routes<App> {
    routes![ticket]
}

/// A ticket to one event stream.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StreamTicket)]
struct TicketDocument {
    /// The value of `?ticket=`.
    #[schema(min_length = 43, max_length = 43, pattern = "^[A-Za-z0-9_-]+$")]
    ticket: String,
    /// Until when a stream must be opened with it.
    expires_at: At,
}

/// Take a ticket to an event stream
///
/// A browser's `EventSource` sends no headers. A ticket stands for the `Authorization` of this request, and for its `Queue-Token` if it
/// has one: it opens one event stream within 30 seconds, as `?ticket=` in place of the headers, and the stream checks both as it always
/// does. It opens none a second time: for a broken stream take another ticket. A restart of the server ends it.
#[utoipa::path(post, path = "/api/v1/streams/tickets", operation_id = "takeStreamTicket", tag = "Waiting room",
    params(("Queue-Token" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 201, description = "The ticket", body = TicketDocument)))]
async fn ticket(
    State(app): State<App>,
    _: StreamOpener,
    pass: ShownPass,
    headers: HeaderMap,
) -> Result<Json<TicketDocument>, Problem> {
    pass.check_form()?;
    let shown = shown(&headers).ok_or_else(no_token)?;
    let (ticket, expires_at) = app.parts.stream_tickets.issue(shown, app.parts.clock.now());
    Ok(Json(StatusCode::CREATED, TicketDocument { ticket, expires_at: At(expires_at) }))
}
