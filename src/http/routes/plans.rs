//! The plans of venues: where everything is.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use crate::domain::venue::PlanId;
use crate::http::ClientAddress;
use crate::http::app::App;
use crate::http::context::RequestContext;
use crate::http::extract::Path;
use crate::http::lookup::count_seats;
use crate::http::problem::Problem;
use crate::http::seat_plan::SeatPlanDocument;
use crate::http::table::{Routes, routes};
use crate::http::tagged::{Kept, has, reads_gzip, sent, unchanged};

/// Makes the routes of plans.
pub fn routes() -> Routes<App> {
    routes![plan]
}

/// Read where everything is
///
/// What never changes for a `planId`: it can be kept for good. A schedule tells its venue's present one. Once the plan has changed, the
/// old id is 404: read the schedule again. Equal plans have equal ids, whatever their venues. For the limit of reads by network address
/// (429 `rate_limited`), a plan counts as one read, and one more for each 2,000 seats.
#[utoipa::path(get, path = "/api/v1/plans/{planId}", operation_id = "readPlan", tag = "Seats",
    params(("planId" = String, Path), ("If-None-Match" = Option<String>, Header, pattern = r"^[^\x00-\x08\x0a-\x1f\x7f]*$")),
    responses((status = 200, description = "The plan", body = SeatPlanDocument<'_>),
        (status = 304, description = "The caller's copy is right"),
        (status = 404, description = "`not_found`: no venue has this plan now")))]
async fn plan(
    State(app): State<App>,
    Path(id): Path<String>,
    address: ClientAddress,
    headers: HeaderMap,
    context: RequestContext,
) -> Result<Response, Problem> {
    let id = PlanId::parse(&id).ok_or_else(Problem::not_found)?;
    let catalogue = app.engine.catalogue();
    let built = catalogue.venue_with_plan(id).ok_or_else(Problem::not_found)?;
    let (tag, gzip) = (id.to_string(), reads_gzip(&headers));
    if has(&headers, &tag) {
        return Ok(unchanged(&tag, gzip, Kept::ForGood));
    }

    count_seats(&app, address, &built.layout)?;
    let text = app.seat_plans.get(built).await.ok_or_else(|| Problem::internal(context.id()))?;
    Ok(sent(&tag, Body::from(text.body(gzip)), gzip, Kept::ForGood))
}
