//! Venues, concerts, and the import of many at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::archive::Head;
use crate::domain::catalogue::Catalogue;
use crate::domain::ids::{ConcertId, VenueId};
use crate::domain::schedule::SaleStatus;
use crate::domain::time::Timestamp;
use crate::domain::venue::BuiltVenue;
use crate::engine::{CatalogueChange, Changed, ScheduleEntry};
use crate::http::app::App;
use crate::http::auth::Admin;
use crate::http::changes::{put, remove};
use crate::http::documents::{
    self, CatalogueId, ConcertDocument, ImportDocument, ScheduleView, VenueDocument,
};
use crate::http::extract::{Body, IdempotencyKey, LargeBody, Path, Query};
use crate::http::idempotency::{asked, marked};
use crate::http::json::Json;
use crate::http::lookup::standing;
use crate::http::page::{List, Page};
use crate::http::problem::Problem;
use crate::http::refusal::problem;
use crate::http::table::{Routes, routes};

/// Makes the routes of the catalogue.
pub fn routes() -> Routes<App> {
    routes![
        list_venues,
        put_venue,
        read_venue,
        delete_venue,
        list_concerts,
        available_dates,
        put_concert,
        read_concert,
        delete_concert,
        list_schedules,
        import
    ]
}

/// A venue in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct VenueSummary {
    venue_id: String,
    name: String,
    address: String,
    #[serde(rename = "type")]
    kind: String,
    time_zone: String,
    /// How many seats it has, and places of areas.
    seats: u32,
}

impl From<&BuiltVenue> for VenueSummary {
    fn from(built: &BuiltVenue) -> Self {
        let venue = &built.venue;
        Self {
            venue_id: venue.id.to_string(),
            name: venue.name.clone(),
            address: venue.address.clone(),
            kind: venue.kind.clone(),
            time_zone: venue.time_zone.clone(),
            seats: built.layout.seat_count() + built.layout.place_count(),
        }
    }
}

/// Create or replace a venue
///
/// Replaces the whole venue. Once a schedule uses it, only its name, its address and its plan can change: coordinates, outlines, and
/// the marks of seats, the names of areas, but no seat, row, area or grade. The body may have 16 MiB by default.
#[utoipa::path(put, path = "/api/v1/venues/{venueId}", operation_id = "putVenue", tag = "Catalogue",
    params(("venueId" = String, Path)),
    request_body = VenueDocument, security(("bearer" = [])),
    responses((status = 200, description = "It existed, and is now as in the body", body = VenueDocument),
        (status = 201, description = "It was created", body = VenueDocument),
        (status = 409, description = "`in_use`"),
        (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`invalid_request` with `errors`")))]
async fn put_venue(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    body: LargeBody<VenueDocument>,
) -> Result<Json<VenueDocument>, Problem> {
    let venue = body.value.into_domain(Some(&id)).map_err(Problem::invalid)?;
    let document = VenueDocument::from(&venue);
    let status = put(&app, &admin, CatalogueChange::PutVenue(venue)).await?;
    Ok(Json(status, document))
}

/// Read a venue
#[utoipa::path(get, path = "/api/v1/venues/{venueId}", operation_id = "readVenue", tag = "Catalogue", params(("venueId" = String, Path)),
    responses((status = 200, description = "The venue with its sections", body = VenueDocument),
        (status = 404, description = "`not_found`")))]
async fn read_venue(State(app): State<App>, Path(id): Path<String>) -> Result<Json<VenueDocument>, Problem> {
    let catalogue = app.engine.catalogue();
    let built = catalogue.venue(&id).ok_or_else(Problem::not_found)?;
    Ok(Json(StatusCode::OK, VenueDocument::from(&*built.venue)))
}

/// Remove a venue
#[utoipa::path(delete, path = "/api/v1/venues/{venueId}", operation_id = "removeVenue", tag = "Catalogue",
    params(("venueId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204, description = "It was removed"), (status = 404, description = "`not_found`"),
        (status = 409, description = "`in_use`: a concert names it")))]
async fn delete_venue(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let venue = VenueId::parse(&id).map_err(|_| Problem::not_found())?;
    remove(&app, &admin, &format!("DELETE /venues/{id}"), key, CatalogueChange::RemoveVenue(venue)).await
}

/// List the venues
///
/// In the order of their ids, without their sections.
#[utoipa::path(get, path = "/api/v1/venues", operation_id = "listVenues", tag = "Catalogue",
    params(Page),
    responses((status = 200, description = "A page of the list", body = List<VenueSummary>)))]
async fn list_venues(State(app): State<App>, page: Page) -> Result<Json<List<VenueSummary>>, Problem> {
    let behind: Option<String> = page.behind()?;
    let catalogue = app.engine.catalogue();
    let venues = catalogue
        .venues()
        .map(|built| (built.venue.id.to_string(), VenueSummary::from(built)))
        .filter(|(id, _)| behind.as_ref().is_none_or(|behind| id > behind));
    Ok(Json(StatusCode::OK, List::of(&page, venues)))
}

/// Create or replace a concert
///
/// Every grade of the venue's rows needs a price. Prices can't change once a sale of the concert has opened; the
/// venue and the currency can't once it has a schedule.
#[utoipa::path(put, path = "/api/v1/concerts/{concertId}", operation_id = "putConcert", tag = "Catalogue",
    params(("concertId" = String, Path)),
    request_body = ConcertDocument, security(("bearer" = [])),
    responses((status = 200, description = "It existed, and is now as in the body", body = ConcertDocument),
        (status = 201, description = "It was created", body = ConcertDocument),
        (status = 409, description = "`in_use`"), (status = 422, description = "`invalid_request` with `errors`")))]
async fn put_concert(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    body: Body<ConcertDocument>,
) -> Result<Json<ConcertDocument>, Problem> {
    let concert = body.value.into_domain(Some(&id)).map_err(Problem::invalid)?;
    let document = ConcertDocument::from(&concert);
    let status = put(&app, &admin, CatalogueChange::PutConcert(concert)).await?;
    Ok(Json(status, document))
}

/// Read a concert
#[utoipa::path(get, path = "/api/v1/concerts/{concertId}", operation_id = "readConcert", tag = "Catalogue", params(("concertId" = String, Path)),
    responses((status = 200, description = "The concert", body = ConcertDocument),
        (status = 404, description = "`not_found`")))]
async fn read_concert(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<ConcertDocument>, Problem> {
    let catalogue = app.engine.catalogue();
    let concert = catalogue.concert(&id).ok_or_else(Problem::not_found)?;
    Ok(Json(StatusCode::OK, ConcertDocument::from(&**concert)))
}

/// Remove a concert
#[utoipa::path(delete, path = "/api/v1/concerts/{concertId}", operation_id = "removeConcert", tag = "Catalogue",
    params(("concertId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 204, description = "It was removed"), (status = 404, description = "`not_found`"),
        (status = 409, description = "`in_use`: it has a schedule")))]
async fn delete_concert(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let concert = ConcertId::parse(&id).map_err(|_| Problem::not_found())?;
    remove(&app, &admin, &format!("DELETE /concerts/{id}"), key, CatalogueChange::RemoveConcert(concert))
        .await
}

/// List the concerts
///
/// In the order of their ids.
#[utoipa::path(get, path = "/api/v1/concerts", operation_id = "listConcerts", tag = "Catalogue",
    params(Page),
    responses((status = 200, description = "A page of the list", body = List<ConcertDocument>)))]
async fn list_concerts(State(app): State<App>, page: Page) -> Result<Json<List<ConcertDocument>>, Problem> {
    let behind: Option<String> = page.behind()?;
    let catalogue = app.engine.catalogue();
    let concerts = catalogue
        .concerts()
        .filter(|concert| behind.as_ref().is_none_or(|behind| concert.id.as_str() > behind.as_str()))
        .map(|concert| (concert.id.to_string(), ConcertDocument::from(&**concert)));
    Ok(Json(StatusCode::OK, List::of(&page, concerts)))
}

/// Returns the live schedules of a concert.
fn schedules_of(app: &App, catalogue: &Catalogue, concert: &str) -> Vec<Arc<ScheduleEntry>> {
    catalogue
        .schedules()
        .filter(|(_, listing)| listing.concert.as_str() == concert)
        .filter_map(|(id, _)| app.engine.schedule(id))
        .collect()
}

/// A schedule of a list. Its document is made only if the page shows it.
enum ListedSchedule {
    Live(Arc<ScheduleEntry>),
    Archived(Box<Head>),
}

/// List a concert's schedules
///
/// In the order of `startsAt`, with the counts of seats by status.
#[utoipa::path(get, path = "/api/v1/concerts/{concertId}/schedules", operation_id = "listSchedules", tag = "Catalogue",
    params(("concertId" = String, Path), Page),
    responses((status = 200, description = "A page of the list", body = List<ScheduleView>),
        (status = 404, description = "`not_found`: there is no such concert")))]
async fn list_schedules(
    State(app): State<App>,
    Path(id): Path<String>,
    page: Page,
) -> Result<Json<List<ScheduleView>>, Problem> {
    let behind: Option<(Timestamp, String)> = page.behind()?;
    let catalogue = app.engine.catalogue();
    catalogue.concert(&id).ok_or_else(Problem::not_found)?;

    let place = |entry: &Arc<ScheduleEntry>| (entry.read().plan().starts_at, entry.id().to_string());
    let live = schedules_of(&app, &catalogue, &id);

    // One more than the page, so that it is known whether another follows.
    let archived = app.engine.archived_schedules(&id, &live, behind.clone(), page.limit + 1).await;
    let archived = archived.map_err(|error| problem(error, None))?;
    let live = live.into_iter().map(|entry| (place(&entry), ListedSchedule::Live(entry)));
    let archived = archived.into_iter().map(|head| {
        let place = (head.image.plan.starts_at, head.image.id.to_string());
        (place, ListedSchedule::Archived(Box::new(head)))
    });

    let mut found: Vec<((Timestamp, String), ListedSchedule)> = live
        .chain(archived)
        .filter(|(place, _)| behind.as_ref().is_none_or(|behind| place > behind))
        .collect();
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));

    let now = app.engine.now();
    let shown = found.into_iter().map(|(place, schedule)| match schedule {
        ListedSchedule::Live(entry) => (place, ScheduleView::now(&entry, &catalogue, now)),
        ListedSchedule::Archived(head) => (place, ScheduleView::archived(&head, &catalogue)),
    });
    Ok(Json(StatusCode::OK, List::of(&page, shown)))
}

/// The filter of the dates.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct OfConcert {
    /// Only those of this concert.
    #[serde(default, deserialize_with = "documents::narrowing_id")]
    #[param(value_type = Option<CatalogueId>)]
    concert_id: Option<ConcertId>,
}

/// Days with free seats.
#[derive(Debug, Serialize, ToSchema)]
struct Dates {
    /// The days in order, in the venue's time zone, such as `2026-06-01`.
    #[schema(example = json!(["2026-06-01"]))]
    dates: BTreeSet<String>,
}

/// List the days with an open sale that has free seats
#[utoipa::path(get, path = "/api/v1/concerts/available-dates", operation_id = "listAvailableDates", tag = "Catalogue",
    params(OfConcert),
    responses((status = 200, description = "The days, in the venue's time zone", body = Dates)))]
async fn available_dates(State(app): State<App>, Query(narrow): Query<OfConcert>) -> Json<Dates> {
    let catalogue = app.engine.catalogue();
    let entries = match &narrow.concert_id {
        Some(id) => schedules_of(&app, &catalogue, id),
        None => app.engine.schedules(),
    };
    let now = app.engine.now();
    let dates = entries.iter().filter_map(|entry| available_date(&catalogue, entry, now)).collect();
    Json(StatusCode::OK, Dates { dates })
}

/// Returns the day of a schedule that is open and has a seat left.
fn available_date(catalogue: &Catalogue, entry: &ScheduleEntry, now: Timestamp) -> Option<String> {
    let (starts_at, venue) = {
        let schedule = entry.read();
        if schedule.sale_at(now) != SaleStatus::Open || schedule.counts().available == 0 {
            return None;
        }
        (schedule.plan().starts_at, schedule.venue().clone())
    };
    let zone = jiff::tz::TimeZone::get(&catalogue.venue(&venue)?.venue.time_zone).ok()?;
    let millis = i64::try_from(starts_at.as_millis()).ok()?;
    let start = jiff::Timestamp::from_millisecond(millis).ok()?;
    Some(start.to_zoned(zone).date().to_string())
}

/// How many items an import named.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    venues: u32,
    concerts: u32,
    schedules: u32,
}

/// Import venues, concerts and schedules
///
/// All or nothing. Items that exist unchanged are left alone. The body may have 16 MiB by default.
#[utoipa::path(post, path = "/api/v1/import", operation_id = "importCatalogue", tag = "Catalogue", request_body = ImportDocument,
    params(("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 200, description = "How many items the document named", body = Counts),
        (status = 409, description = "`in_use`"), (status = 413, description = "`body_too_large`"),
        (status = 422, description = "`invalid_request` with `errors`, `idempotency_key_reused`")))]
async fn import(
    State(app): State<App>,
    admin: Admin,
    key: Option<IdempotencyKey>,
    body: LargeBody<ImportDocument>,
) -> Result<Response, Problem> {
    let cause = asked(&app, &admin, "POST /import", key, &body.raw);
    let named = body.value.schedules.iter();
    let named = named.filter_map(|schedule| Some((schedule.schedule_id.as_deref()?, schedule)));
    let standing = standing(&app, named).await?;
    let items = body.value.into_domain(&standing).map_err(Problem::invalid)?;
    let changed = app.engine.change(CatalogueChange::Import(items), cause).await;
    match changed.map_err(|error| problem(error, None))? {
        Changed::Imported { counts, replayed } => {
            let (venues, concerts, schedules) = (counts.venues, counts.concerts, counts.schedules);
            Ok(marked(Json(StatusCode::OK, Counts { venues, concerts, schedules }), replayed))
        }
        other @ (Changed::Put(_) | Changed::Removed { .. } | Changed::Acted(_)) => {
            unreachable!("an import answers with its counts, not {other:?}")
        }
    }
}
