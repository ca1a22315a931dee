//! The shape of requests: refuses query parameters and bodies that a route doesn't know.
//!
//! One layer serves all routes, made from their description. So no route can forget it, and a parameter that is read
//! but not described fails the first test that sends it. A route without a description takes neither, but for the pages:
//! whoever links to one may add parameters of their own.
//!
//! A missing token is reported before a wrong shape.
//!
//! Absent on purpose: values (the extractors check them), and the members of bodies (their types check them).

use core::convert::Infallible;
use core::future::{Future, ready};
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Request, Response, Uri};
use axum::response::IntoResponse;
use futures_util::future::Either;
use serde::Deserialize;
use tower::{Layer, Service};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use super::auth::no_token;
use super::extract::read;
use super::problem::{FieldError, Problem};
use super::request::Phase;
use super::{HttpParts, json};

/// The most unknown parameters that one answer names.
const ERRORS_MAX: usize = 20;

/// The parameters and the body that one operation takes.
#[derive(Debug, Default)]
struct Shape {
    parameters: Vec<String>,
    /// Whether parameters that nobody described go through.
    takes_any_query: bool,
    takes_body: bool,
    needs_token: bool,
}

impl Shape {
    fn of(operation: &Operation) -> Self {
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
}

/// The shapes of all described operations, by path template and method.
#[derive(Debug, Default)]
pub struct Shapes(HashMap<String, Vec<(Method, Shape)>>);

impl Shapes {
    /// Reads what a description says.
    pub fn of(openapi: &OpenApi) -> Self {
        let item = |(path, item): (&String, &PathItem)| {
            let methods = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::DELETE, &item.delete),
                (Method::PATCH, &item.patch),
            ];
            let described = methods.into_iter();
            let described = described.filter_map(|(method, of)| Some((method, Shape::of(of.as_ref()?))));
            (path.clone(), described.collect())
        };
        Self(openapi.paths.paths.iter().map(item).collect())
    }

    /// Adds routes that take any query, and no body.
    #[must_use]
    pub fn with_any_query(mut self, routes: &[&str]) -> Self {
        let shape = || (Method::GET, Shape { takes_any_query: true, ..Shape::default() });
        self.0.extend(routes.iter().map(|route| ((*route).to_owned(), vec![shape()])));
        self
    }

    /// Calls `with` with what a route takes by a method; another method than it has is answered elsewhere.
    fn find<T>(&self, route: &str, method: &Method, with: impl FnOnce(&Shape) -> T) -> Option<T> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        match self.0.get(route) {
            Some(methods) => methods.iter().find(|(of, _)| of == method).map(|(_, shape)| with(shape)),
            None => (method == Method::GET).then(|| with(&Shape::default())),
        }
    }
}

/// The layer that checks requests against the [`Shapes`] of their routes. Without shapes it lets everything through.
#[derive(Debug, Clone)]
pub struct ShapeLayer {
    shapes: Option<Arc<Shapes>>,
    http: HttpParts,
}

impl ShapeLayer {
    /// Makes the layer.
    pub fn new(shapes: Option<Shapes>, http: HttpParts) -> Self {
        Self { shapes: shapes.map(Arc::new), http }
    }
}

impl<S> Layer<S> for ShapeLayer {
    type Service = ShapeService<S>;

    fn layer(&self, inner: S) -> ShapeService<S> {
        ShapeService { inner, layer: self.clone() }
    }
}

/// The service that [`ShapeLayer`] makes.
#[derive(Debug, Clone)]
pub struct ShapeService<S> {
    inner: S,
    layer: ShapeLayer,
}

/// The check of a request before its route gets it.
enum Check {
    /// It goes on as it is.
    Fits,
    /// Its body must turn out to be empty.
    MustBeEmpty {
        needs_token: bool,
    },
    Refused(Problem),
}

impl ShapeLayer {
    fn check(&self, request: &Request<Body>) -> Check {
        let route = request.extensions().get::<MatchedPath>();
        let (Some(shapes), Some(route)) = (&self.shapes, route) else { return Check::Fits };
        let check = |shape: &Shape| match shape.check_query(request.uri()) {
            Err(problem) => Check::Refused(self.token_first(shape.needs_token, request.headers(), problem)),
            Ok(()) if shape.takes_body || request.body().is_end_stream() => Check::Fits,
            Ok(()) => Check::MustBeEmpty { needs_token: shape.needs_token },
        };
        shapes.find(route.as_str(), request.method(), check).unwrap_or(Check::Fits)
    }

    /// Returns what a request is told: its problem, or what is wrong with its token.
    fn token_first(&self, needs_token: bool, headers: &HeaderMap, problem: Problem) -> Problem {
        if !needs_token {
            return problem;
        }
        match self.http.authenticator.caller(headers, self.http.clock.now()) {
            Ok(Some(_)) => problem,
            Ok(None) => no_token(),
            Err(wrong) => wrong,
        }
    }
}

impl<S> Service<Request<Body>> for ShapeService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.layer.check(&request) {
            Check::Fits => Either::Left(self.inner.call(request)),
            Check::Refused(problem) => Either::Right(Box::pin(ready(Ok(problem.into_response())))),
            Check::MustBeEmpty { needs_token } => {
                let (mut inner, layer) = (self.inner.clone(), self.layer.clone());
                Either::Right(Box::pin(async move {
                    let (parts, body) = request.into_parts();
                    match check_empty(&parts, body, layer.http.limits.body_bytes_max).await {
                        Ok(()) => inner.call(Request::from_parts(parts, Body::empty())).await,
                        Err(problem) => {
                            Ok(layer.token_first(needs_token, &parts.headers, problem).into_response())
                        }
                    }
                }))
            }
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
