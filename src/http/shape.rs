//! The shape of requests: refuses query parameters and bodies that a route doesn't know.
//!
//! The shape of each route is made from its description. So no route can forget it, and a parameter that is read
//! but not described fails the first test that sends it. A route without a description takes neither, but for the pages:
//! whoever links to one may add parameters of their own.
//!
//! A missing token is reported before a wrong shape.
//!
//! Absent on purpose: values (the extractors check them), and the members of bodies (their types check them).

use axum::body::{Body, HttpBody};
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, Uri};
use serde::Deserialize;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::{Operation, ParameterIn};

use super::auth::no_token;
use super::context::Phase;
use super::extract::read;
use super::problem::{FieldError, Problem};
use super::{HttpParts, json};

/// The most unknown parameters that one answer names.
const ERRORS_MAX: usize = 20;

/// The parameters and the body that one operation takes.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    parameters: Vec<String>,
    /// Whether parameters that nobody described go through.
    takes_any_query: bool,
    takes_body: bool,
    needs_token: bool,
}

/// The outcome of a look at a request.
pub(super) enum Fit {
    /// It goes on as it is.
    Fits,
    /// Its body must turn out to be empty: see [`Shape::emptied`].
    MustBeEmpty,
    Refused(Problem),
}

impl Shape {
    /// Takes any query, and no body.
    pub(super) fn of_page() -> Self {
        Self { takes_any_query: true, ..Self::default() }
    }

    /// Reads what a description says.
    pub(super) fn of(operation: &Operation) -> Self {
        let parameters = operation.parameters.iter().flatten();
        let in_query = parameters.filter_map(|parameter| match parameter {
            RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
                Some(parameter.name.clone())
            }
            RefOr::T(_) | RefOr::Ref(_) => None,
        });
        Self {
            parameters: in_query.collect(),
            takes_any_query: false,
            takes_body: operation.request_body.is_some(),
            needs_token: operation.security.as_ref().is_some_and(|schemes| !schemes.is_empty()),
        }
    }

    /// Refuses the parameters of a query that the operation doesn't know.
    fn check_query(&self, uri: &Uri) -> Result<(), Problem> {
        if self.takes_any_query || uri.query().is_none_or(str::is_empty) {
            return Ok(());
        }
        // Any text is pairs of something.
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).unwrap_or_default();
        let unknown = pairs.iter().filter(|(name, _)| !self.parameters.contains(name));
        let errors: Vec<FieldError> = unknown
            .take(ERRORS_MAX)
            .map(|(name, _)| FieldError { field: json::plain(name), detail: json::UNKNOWN.to_owned() })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(Problem::invalid(errors)) }
    }

    /// Looks at a request, but not into its body.
    pub(super) fn check(&self, request: &Request<Body>, http: &HttpParts) -> Fit {
        match self.check_query(request.uri()) {
            Err(problem) => Fit::Refused(self.token_first(http, request.headers(), problem)),
            Ok(()) if self.takes_body || request.body().is_end_stream() => Fit::Fits,
            Ok(()) => Fit::MustBeEmpty,
        }
    }

    /// Returns a request whose body has turned out to be empty.
    pub(super) async fn emptied(
        &self,
        request: Request<Body>,
        http: &HttpParts,
    ) -> Result<Request<Body>, Problem> {
        let (parts, body) = request.into_parts();
        match check_empty(&parts, body, http.limits.body_bytes_max).await {
            Ok(()) => Ok(Request::from_parts(parts, Body::empty())),
            Err(problem) => Err(self.token_first(http, &parts.headers, problem)),
        }
    }

    /// Returns what a request is told: its problem, or what is wrong with its token.
    fn token_first(&self, http: &HttpParts, headers: &HeaderMap, problem: Problem) -> Problem {
        if !self.needs_token {
            return problem;
        }
        match http.authenticator.caller(headers, http.clock.now()) {
            Ok(Some(_)) => problem,
            Ok(None) => no_token(),
            Err(wrong) => wrong,
        }
    }
}

/// Reads the body of a request whose route takes none: it may be empty or an object without members, of any content
/// type.
async fn check_empty(parts: &Parts, body: Body, limit: usize) -> Result<(), Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    let bytes = read(parts, body, limit, Phase::Body).await?;
    if !bytes.trim_ascii().is_empty() {
        let Nothing {} = json::parse(&bytes)?;
    }
    Ok(())
}
