//! Codes: what each opens and takes off, and how often it was used.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::schedule::codes::{AccessCode, BATCH_CODES_MAX, CodePrefix, CodeTerms, Standing, Uses};
use crate::domain::schedule::{Answer, Command};
use crate::engine::ScheduleEntry;
use crate::http::app::App;
use crate::http::auth::Admin;
use crate::http::changes;
use crate::http::documents::{
    CatalogueId, CodeBody, CodeDocument, CodeText, DiscountDocument, GradeText, InstantText,
};
use crate::http::extract::{Body, IdempotencyKey, Path};
use crate::http::idempotency::{asked, check_body, marked};
use crate::http::json::Json;
use crate::http::lookup::find;
use crate::http::page::{List, Page};
use crate::http::problem::{FieldError, Problem};
use crate::http::table::{Routes, routes};
use crate::random;

/// Makes the routes of codes.
pub fn routes() -> Routes<App> {
    routes![put, read, delete, make, list]
}

/// Define a code
///
/// What was used of it stays counted. It can open phases and an allotment, and take something off the price.
#[utoipa::path(put, path = "/api/v1/schedules/{scheduleId}/codes/{code}", operation_id = "putCode", tag = "Codes", request_body = CodeBody,
    params(("scheduleId" = String, Path), ("code" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "It existed, and is now as in the body", body = CodeDocument),
        (status = 201, description = "It was created", body = CodeDocument),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`invalid_transition`: the performance is cancelled, or long over"),
        (status = 422, description = "`invalid_request` with `errors`")))]
async fn put(
    State(app): State<App>,
    admin: Admin,
    Path((id, code)): Path<(String, String)>,
    body: Body<CodeBody>,
) -> Result<Json<CodeDocument>, Problem> {
    let entry = find(&app, &id).await?;
    let code =
        AccessCode::parse(&code).map_err(|invalid| Problem::invalid_field("code", invalid.to_string()))?;
    let terms = Arc::new(body.value.into_domain().map_err(Problem::invalid)?);
    let command = Command::PutCode { code: code.clone(), terms };
    let status = changes::put_in(&app, &admin, &entry, command).await?;
    Ok(Json(status, shown(&app, &entry, &code)?))
}

/// Read a code
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/codes/{code}", operation_id = "readCode", tag = "Codes",
    params(("scheduleId" = String, Path), ("code" = String, Path)), security(("bearer" = [])),
    responses((status = 200, description = "The code, and how often it was used", body = CodeDocument),
        (status = 404, description = "`not_found`: there is none, or it has ended")))]
async fn read(
    State(app): State<App>,
    _: Admin,
    Path((id, code)): Path<(String, String)>,
) -> Result<Json<CodeDocument>, Problem> {
    let entry = find(&app, &id).await?;
    let code = AccessCode::parse(&code).map_err(|_| Problem::not_found())?;
    Ok(Json(StatusCode::OK, shown(&app, &entry, &code)?))
}

/// End a code
///
/// No new hold can use it. Reservations that have used it keep what they have.
#[utoipa::path(delete, path = "/api/v1/schedules/{scheduleId}/codes/{code}", operation_id = "endCode", tag = "Codes",
    params(("scheduleId" = String, Path), ("code" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    security(("bearer" = [])),
    responses((status = 204, description = "It has ended"), (status = 404, description = "`not_found`"),
        (status = 409, description = "`invalid_transition`: the performance is long over")))]
async fn delete(
    State(app): State<App>,
    admin: Admin,
    Path((id, code)): Path<(String, String)>,
    key: Option<IdempotencyKey>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let code = AccessCode::parse(&code).map_err(|_| Problem::not_found())?;
    let cause = asked(&app, &admin, &format!("DELETE /schedules/{id}/codes/{code}"), key, &[]);
    let acted = changes::act(&app, &entry, Command::EndCode { code }, cause).await?;
    Ok(marked(StatusCode::NO_CONTENT, acted.replayed))
}

/// The codes to generate: how many, how they begin, and what they are for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({"count": 500, "prefix": "FAN", "phases": ["fanclub"], "maxSeats": 2}))]
struct MakeBody {
    /// How many.
    #[schema(minimum = 1, maximum = 10_000)]
    count: u64,
    /// How each begins: at most 40 letters, digits and dashes.
    #[schema(max_length = 40, pattern = r"^[^\x00-,./:-@\[-`{-\x9f]*$")]
    prefix: Option<String>,
    /// As in `PUT`, and the following fields.
    #[schema(value_type = Option<HashSet<CatalogueId>>, max_items = 64)]
    phases: Option<Vec<String>>,
    #[schema(value_type = Option<CatalogueId>)]
    allotment_id: Option<String>,
    discount: Option<DiscountDocument>,
    #[schema(value_type = Option<HashSet<GradeText>>, min_items = 1, max_items = 64)]
    grades: Option<Vec<String>>,
    #[schema(value_type = Option<HashSet<CatalogueId>>, min_items = 1, max_items = 64)]
    price_types: Option<Vec<String>>,
    /// How many holds can use each: one if absent.
    #[schema(minimum = 1, maximum = 4_294_967_295_u64)]
    max_uses: Option<u64>,
    #[schema(minimum = 1, maximum = 4_294_967_295_u64)]
    max_seats: Option<u64>,
    #[schema(value_type = Option<InstantText>)]
    valid_from: Option<String>,
    #[schema(value_type = Option<InstantText>)]
    valid_until: Option<String>,
}

impl MakeBody {
    fn check(self) -> Result<(usize, CodePrefix, CodeTerms), Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |field: &str, detail: String| {
            errors.push(FieldError { field: field.to_owned(), detail });
        };

        let count = usize::try_from(self.count).ok().filter(|count| (1..=BATCH_CODES_MAX).contains(count));
        if count.is_none() {
            wrong("count", format!("must be from 1 to {BATCH_CODES_MAX}"));
        }
        let prefix = CodePrefix::parse(self.prefix.as_deref().unwrap_or_default());
        if prefix.is_err() {
            wrong("prefix", "must have at most 40 letters, digits and dashes".into());
        }

        let body = CodeBody {
            phases: self.phases,
            allotment_id: self.allotment_id,
            discount: self.discount,
            grades: self.grades,
            price_types: self.price_types,
            max_uses: self.max_uses.or(Some(1)),
            max_seats: self.max_seats,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
        };
        match (count, prefix, body.into_domain()) {
            (Some(count), Ok(prefix), Ok(terms)) => Ok((count, prefix, terms)),
            (_, _, terms) => {
                errors.extend(terms.err().unwrap_or_default());
                Err(errors)
            }
        }
    }
}

/// Codes that were generated.
#[derive(Debug, Serialize, ToSchema)]
struct MadeDocument {
    /// The codes.
    #[schema(value_type = Vec<CodeText>)]
    codes: Vec<String>,
}

/// Generate codes
///
/// Each is 12 letters and digits that were drawn, behind the prefix. It can be used once, unless `maxUses` says more.
#[utoipa::path(post, path = "/api/v1/schedules/{scheduleId}/codes", operation_id = "generateCodes", tag = "Codes", request_body = MakeBody,
    params(("scheduleId" = String, Path), ("Idempotency-Key" = Option<String>, Header)), security(("bearer" = [])),
    responses((status = 201, description = "The codes", body = MadeDocument),
        (status = 404, description = "`not_found`"),
        (status = 409, description = "`invalid_transition`: the performance is cancelled, or long over"),
        (status = 422, description = "`invalid_request` with `errors`, `idempotency_key_reused`")))]
async fn make(
    State(app): State<App>,
    admin: Admin,
    Path(id): Path<String>,
    key: Option<IdempotencyKey>,
    body: Body<MakeBody>,
) -> Result<Response, Problem> {
    let entry = find(&app, &id).await?;
    let cause = asked(&app, &admin, &format!("POST /schedules/{id}/codes"), key, &body.raw);
    check_body(&app, &entry, cause.key)?;
    let (count, prefix, terms) = body.value.check().map_err(Problem::invalid)?;
    let drawn = core::iter::repeat_with(random::number).take(count).collect();
    let command = Command::MakeCodes { prefix, terms: Arc::new(terms), drawn };
    let acted = changes::act(&app, &entry, command, cause).await?;

    let Answer::Batch(batch) = acted.answer else {
        unreachable!("codes that are generated answer with their batch");
    };
    let codes = entry.read().codes().and_then(|codes| codes.batch(batch));
    let codes = codes.expect("a batch stays as long as its schedule does");
    let codes = codes.iter().map(ToString::to_string).collect();
    Ok(marked(Json(StatusCode::CREATED, MadeDocument { codes }), acted.replayed))
}

/// List codes
///
/// Those that were defined by themselves come first, in order of their texts, and then the generated ones in the order in which
/// they were.
#[utoipa::path(get, path = "/api/v1/schedules/{scheduleId}/codes", operation_id = "listCodes", tag = "Codes",
    params(("scheduleId" = String, Path), Page), security(("bearer" = [])),
    responses((status = 200, description = "A page of the list", body = List<CodeDocument>),
        (status = 404, description = "`not_found`")))]
async fn list(
    State(app): State<App>,
    _: Admin,
    Path(id): Path<String>,
    page: Page,
) -> Result<Json<List<CodeDocument>>, Problem> {
    let entry = find(&app, &id).await?;
    let behind: Option<String> = page.behind()?;
    let schedule = entry.read();
    let due = schedule.uses_due(app.engine.now());
    let listed = schedule.codes().into_iter().flat_map(|codes| codes.list(behind.as_deref()));
    let listed = listed.map(|(code, standing)| {
        (code.as_str().to_owned(), CodeDocument::of(&code, standing.terms, used(standing, &code, &due)))
    });
    Ok(Json(StatusCode::OK, List::of(&page, listed)))
}

fn shown(app: &App, entry: &ScheduleEntry, code: &AccessCode) -> Result<CodeDocument, Problem> {
    let schedule = entry.read();
    let standing = schedule.codes().and_then(|codes| codes.find(code.as_str()));
    let standing = standing.ok_or_else(Problem::not_found)?;
    let due = schedule.uses_due(app.engine.now());
    Ok(CodeDocument::of(code, standing.terms, used(standing, code, &due)))
}

/// Returns the uses of a code without those that are due to be given back: no event says so yet, but the instant does.
fn used(standing: Standing<'_>, code: &AccessCode, due: &HashMap<&str, Uses>) -> Uses {
    standing.uses.without(due.get(code.as_str()).copied().unwrap_or_default())
}
