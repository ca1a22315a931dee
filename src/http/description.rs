//! The description of the API (`OpenAPI` 3.1): what its routes have in common. Each route describes itself.

use utoipa::openapi::path::{Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::schema::{
    AllOfBuilder, AnyOfBuilder, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, Type,
};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi as _, ToSchema};

use super::documents::{CatalogueId, CodeText, EmailText, OpaqueId, PlanName, UserText, kinds};
use super::extract::IDEMPOTENCY_KEY_LEN_MAX;
use super::pass::QUEUE_TOKEN_LEN_MAX;
use super::problem::{MEDIA_TYPE, Problem};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "onsale", license(name = "Apache-2.0", identifier = "Apache-2.0"),
        description = "Sells the seats of shows that sell out in a minute.\n\nBodies are JSON in camelCase. \
            Names of instants end in `At`: they are RFC 3339 in UTC. Names of durations end in `Seconds`: they are whole \
            seconds. Money is an integer in the currency's minor unit. Unknown fields, unknown query parameters, and members \
            in the body of a route that takes none are refused.\n\nErrors are `application/problem+json` (RFC 9457) with a \
            stable `code`. A success answer to a change means that the change is on stable storage. After a 5xx, a timeout \
            or a broken connection, a retry with the same `Idempotency-Key` finds out what happened.\n\nEvery answer has an \
            `X-Request-Id`: the request's own (1–128 visible ASCII characters), or a new one."),
    servers((url = "/", description = "This server")),
    tags((name = "Catalogue", description = "Venues and concerts"),
        (name = "Schedules", description = "Performances and their sales"),
        (name = "Codes", description = "Codes that open phases and allotments, and take something off"),
        (name = "Allotments", description = "Seats and places of areas that are set aside, and released"),
        (name = "Seats", description = "Seat maps, and the streams of their changes"),
        (name = "Reservations", description = "Hold seats, exchange them, give them back"),
        (name = "Box office", description = "Sell places at once, for money that the engine doesn't take"),
        (name = "Waiting room", description = "Wait for a turn at the seats; run a waiting room"),
        (name = "Payments", description = "Pay for a hold, from the balance or through a gateway"),
        (name = "Balance", description = "Users' balances and their movements"),
        (name = "Users", description = "Sign up, sign in, suspend users"),
        (name = "Operations", description = "For administrators: the state, the history, the export, and the journal as a feed"),
        (name = "Running it", description = "For probes and scrapers")),
    components(schemas(Problem, CatalogueId, CodeText, EmailText, UserText, OpaqueId, PlanName)),
    modifiers(&Security)
)]
struct Description;

/// Adds how callers authenticate.
struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
            "A JWT with `sub`, `exp` and `role` (`user` by default, `operator`, `box_office`, `auditor`, `feed` or `admin`), or the administrator's token for scripts.",
        ));
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
        let pass = ApiKeyValue::with_description(
            "Queue-Token",
            "The waiting room's pass, if the schedule has a room.",
        );
        components.add_security_scheme("queueToken", SecurityScheme::ApiKey(ApiKey::Header(pass)));
        let ticket = ApiKeyValue::with_description(
            "ticket",
            "Opens one event stream in place of the headers, from `POST /streams/tickets`.",
        );
        components.add_security_scheme("streamTicket", SecurityScheme::ApiKey(ApiKey::Query(ticket)));
    }
}

/// Describes what the routes have in common.
pub(super) fn description() -> OpenApi {
    Description::openapi()
}

/// Adds the schema of a type that is only part of an answer, such as an event of a stream.
pub(super) fn add_schema<T: ToSchema>(openapi: &mut OpenApi) {
    let schemas = &mut openapi.components.get_or_insert_default().schemas;
    schemas.insert(T::name().into_owned(), T::schema());
    let mut inner = Vec::new();
    T::schemas(&mut inner);
    schemas.extend(inner);
}

/// Adds the common parts to the description of every route: the bounds of parameters by their names, and the problem
/// that every route may answer.
#[must_use]
pub(super) fn completed(mut openapi: OpenApi) -> OpenApi {
    for operation in openapi.paths.paths.values_mut().flat_map(operations) {
        operation.parameters.iter_mut().flatten().for_each(bound);
        add_problem(operation);
    }
    if let Some(feed) = openapi.paths.paths.get_mut("/api/v1/events").and_then(|item| item.get.as_mut()) {
        let text = feed.description.get_or_insert_default();
        *text += "\n\nThese types are stable: they keep their names and their fields, and may get new fields. Every `data` \
            also has `by`: `engine`, `user`, or `admin` with its `adminId`. Other types are internal and may change.\n";
        *text += &kinds::tables(true);
    }
    for (schema, choice) in CHOICES {
        choose(&mut openapi, schema, choice);
    }
    openapi
}

/// A member of a body, and what it is where it is given.
type Member = (&'static str, Given);

enum Given {
    A(Type),
    /// A list of a schema by its name, which isn't empty.
    Some(&'static str),
    /// A schema by its name: an object without members would be an empty one to whoever makes types of the description.
    Named(&'static str),
}

/// The members of which a body has one or more, by the body's name. Of groups exactly one has any.
type Choice = &'static [&'static [Member]];

/// What a body has to choose from.
const CHOICES: [(&str, Choice); 5] = [
    ("HoldBody", PLACES),
    ("ExchangeBody", PLACES),
    ("OrderBody", PLACES),
    ("Row", &[&[("length", Given::A(Type::Integer))], &[("seats", Given::A(Type::Array))]]),
    ("Venue", &[&[("sections", Given::Some("Section")), ("areas", Given::Some("Area"))]]),
];
const PLACES: Choice = &[
    &[("seats", Given::A(Type::Array)), ("areas", Given::A(Type::Array))],
    &[("bestAvailable", Given::Named("BestAvailable"))],
];

/// Requires that a body of a schema makes its choice.
fn choose(openapi: &mut OpenApi, name: &str, choice: Choice) {
    let given = |(member, is): &Member| {
        let schema: RefOr<Schema> = match is {
            Given::A(of) => ObjectBuilder::new().schema_type(of.clone()).into(),
            Given::Some(name) => {
                ArrayBuilder::new().items(Ref::from_schema_name(*name)).min_items(Some(1)).into()
            }
            Given::Named(name) => Ref::from_schema_name(*name).into(),
        };
        ObjectBuilder::new().property(*member, schema).required(*member)
    };
    let any = |members: &&'static [Member]| -> RefOr<Schema> {
        match members {
            [one] => given(one).into(),
            several => several.iter().map(given).fold(AnyOfBuilder::new(), AnyOfBuilder::item).into(),
        }
    };
    let choice: RefOr<Schema> = match choice {
        [one] => any(one),
        several => several.iter().map(any).fold(OneOfBuilder::new(), OneOfBuilder::item).into(),
    };
    let components = openapi.components.get_or_insert_default();
    let whole = components.schemas.get_mut(name).expect("the schema of a body is there");
    let members = core::mem::take(whole);
    *whole = AllOfBuilder::new().item(members).item(choice).into();
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}

/// Adds the allowed values of a parameter by its name: a name means the same on every route.
fn bound(parameter: &mut RefOr<Parameter>) {
    let RefOr::T(parameter) = parameter else { return };
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let schema: RefOr<Schema> = match (&parameter.parameter_in, parameter.name.as_str()) {
        (ParameterIn::Path, "venueId" | "concertId" | "scheduleId" | "allotmentId") => {
            Ref::from_schema_name(CatalogueId::name()).into()
        }
        (ParameterIn::Path, "code") => Ref::from_schema_name(CodeText::name()).into(),
        (ParameterIn::Path, "planId") => Ref::from_schema_name(PlanName::name()).into(),
        (ParameterIn::Path, "userId") => Ref::from_schema_name(UserText::name()).into(),
        (ParameterIn::Path, "reservationId" | "paymentId") => Ref::from_schema_name(OpaqueId::name()).into(),
        (ParameterIn::Header, "Idempotency-Key") => {
            parameter.description.get_or_insert_with(|| {
                "The client's own name for this change: a repeat with it gets the first answer".to_owned()
            });
            let length = IDEMPOTENCY_KEY_LEN_MAX;
            text().min_length(Some(1)).max_length(Some(length)).pattern(Some("^[\\x21-\\x7e]+$")).into()
        }
        (ParameterIn::Header, "Queue-Token") => {
            parameter
                .description
                .get_or_insert_with(|| "The waiting room's pass, if the schedule has a room".to_owned());
            text()
                .min_length(Some(1))
                .max_length(Some(QUEUE_TOKEN_LEN_MAX))
                .pattern(Some("^[\\x21-\\x7e]+$"))
                .into()
        }
        _ => return,
    };

    parameter.schema = Some(schema);
}

/// Adds the default answer, and the document of errors.
fn add_problem(operation: &mut Operation) {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
        {
            response.content.insert(MEDIA_TYPE.to_owned(), content().into());
        }
    }
    let description = "An error; `code` says which.";
    let problem = ResponseBuilder::new().description(description).content(MEDIA_TYPE, content()).build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(problem));
}
