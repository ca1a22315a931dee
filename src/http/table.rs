//! The table of routes: one look-up finds what a path leads to, with its shape, its metrics, and who answers.
//!
//! [`Routes`] gathers handlers, with what `utoipa` says of them; `Table` is what is looked in. Handlers are axum's, and
//! their extractors too; axum's router isn't used, since the layer around a request would have to look the same path up again, and
//! each of its layers boxes a future.
//!
//! Absent on purpose: what every request has around its route (`request.rs`).

mod metrics;

use core::pin::Pin;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::handler::Handler;
use axum::http::{HeaderValue, Method, Request, header};
use axum::response::{IntoResponse, Response};
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, OpenApiBuilder};
use utoipa_axum::router::UtoipaMethodRouter;

use self::metrics::RouteMetrics;
pub(super) use self::metrics::method_label;
use super::problem::{Code, Problem};
use super::shape::Shape;

/// A route at work.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;
/// Makes an answer of a request, and of the state that all routes share.
type Answer<S> = Arc<dyn Fn(Request<Body>, S) -> Answering + Send + Sync>;

/// The handlers of one path, by method.
pub struct Methods<S>(Vec<Offer<S>>);

/// A handler that waits for its state.
struct Offer<S> {
    /// The method that it answers to; without one it answers to all.
    method: Option<Method>,
    /// What it takes: whatever comes, where this is nothing.
    shape: Option<Shape>,
    answer: Answer<S>,
}

/// Takes a handler for `GET`, and for `HEAD`.
pub fn get<H: Handler<T, S, Future = Answering>, T, S: 'static>(handler: H) -> Methods<S> {
    Methods::on(Some(Method::GET), None, handler)
}

/// Takes a handler for `POST`.
pub fn post<H: Handler<T, S, Future = Answering>, T, S: 'static>(handler: H) -> Methods<S> {
    Methods::on(Some(Method::POST), None, handler)
}

/// Takes a handler for every method.
pub fn any<H: Handler<T, S, Future = Answering>, T, S: 'static>(handler: H) -> Methods<S> {
    Methods::on(None, None, handler)
}

impl<S: 'static> Methods<S> {
    fn on<H: Handler<T, S, Future = Answering>, T>(
        method: Option<Method>,
        shape: Option<Shape>,
        handler: H,
    ) -> Self {
        let answer = Arc::new(move |request, state| handler.clone().call(request, state));
        Self(vec![Offer { method, shape, answer }])
    }

    /// Takes any query, and no body: as pages do.
    #[must_use]
    pub(super) fn of_page(mut self) -> Self {
        self.0.iter_mut().for_each(|offer| offer.shape = Some(Shape::of_page()));
        self
    }

    /// Adds a handler for `POST`.
    #[must_use]
    pub fn post<H: Handler<T, S, Future = Answering>, T>(mut self, handler: H) -> Self {
        self.0.extend(post(handler).0);
        self
    }
}

/// Handlers by path and method, and the description of those that have one.
pub struct Routes<S> {
    by_path: BTreeMap<String, Methods<S>>,
    /// What answers for the paths that aren't here.
    otherwise: Option<Methods<S>>,
    pub(super) openapi: OpenApi,
}

impl<S> core::fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.by_path.keys()).finish()
    }
}

impl<S: 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: 'static> Routes<S> {
    /// Begins without any.
    pub fn new() -> Self {
        Self::within(OpenApiBuilder::new().build())
    }

    /// Begins with a description that those of the routes belong in.
    pub(super) fn within(openapi: OpenApi) -> Self {
        Self { by_path: BTreeMap::new(), otherwise: None, openapi }
    }

    /// Adds the handlers of a path that isn't described. In braces stand the parameters that a path may have: one or two.
    #[must_use]
    pub fn route(mut self, path: &str, methods: Methods<S>) -> Self {
        self.by_path.entry(path.to_owned()).or_insert_with(|| Methods(Vec::new())).0.extend(methods.0);
        self
    }

    /// Has a handler answer for the paths that aren't here, with [`Problem::no_route`] for whom it has nothing else.
    #[must_use]
    pub(super) fn otherwise<H: Handler<T, S, Future = Answering>, T>(mut self, handler: H) -> Self {
        self.otherwise = Some(any(handler));
        self
    }

    /// Adds a handler where `utoipa` says that it stands. [`routes!`] calls this.
    #[must_use]
    pub(super) fn described<H: Handler<T, S, Future = Answering>, T>(
        mut self,
        (schemas, paths, _): UtoipaMethodRouter<S>,
        handler: &H,
    ) -> Self {
        for (path, item) in paths.paths {
            for (method, operation) in operations(&item) {
                let shape = operation.as_ref().map(Shape::of);
                if shape.is_some() {
                    self = self.route(&path, Methods::on(Some(method), shape, handler.clone()));
                }
            }
            match self.openapi.paths.paths.get_mut(&path) {
                Some(described) => described.merge_operations(item),
                None => drop(self.openapi.paths.paths.insert(path, item)),
            }
        }
        self.openapi.components.get_or_insert_default().schemas.extend(schemas);
        self
    }

    /// Adds those of another.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.openapi.merge(other.openapi);
        self.otherwise = other.otherwise.or(self.otherwise);
        other.by_path.into_iter().fold(self, |routes, (path, methods)| routes.route(&path, methods))
    }

    /// Has the `GET` of routes that aren't described take neither parameters nor bodies.
    #[must_use]
    pub fn strict(mut self) -> Self {
        let offers = self.by_path.values_mut().flat_map(|methods| &mut methods.0);
        for offer in offers.filter(|offer| offer.method == Some(Method::GET)) {
            offer.shape.get_or_insert_default();
        }
        self
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// Makes the table.
    ///
    /// # Panics
    /// When two paths are the same but for the names of their parameters.
    pub(super) fn table(self, state: &S) -> Table {
        let served = |Offer { method, shape, answer }: Offer<S>| {
            let state = state.clone();
            Served { method, shape, answer: Box::new(move |request| answer(request, state.clone())) }
        };
        let route = |path: &str, methods: Methods<S>| {
            let served = methods.0.into_iter().map(&served).collect();
            Arc::new(Route { served, ..Route::without(path) })
        };
        let mut paths = matchit::Router::new();
        for (path, methods) in self.by_path {
            let route = route(&path, methods);
            paths.insert(path, route).expect("each path leads to one route");
        }
        let unmatched = route(UNMATCHED, self.otherwise.unwrap_or(Methods(Vec::new())));
        Table { paths, unmatched }
    }
}

fn operations(item: &PathItem) -> [(Method, &Option<Operation>); 5] {
    [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::DELETE, &item.delete),
        (Method::PATCH, &item.patch),
    ]
}

/// Adds handlers that describe themselves by `utoipa::path`.
macro_rules! routes {
    ($($($handler:ident)::+),+ $(,)?) => {
        $crate::http::table::Routes::new()
            $(.described(utoipa_axum::routes!($($handler)::+), &$($handler)::+))+
    };
}
pub(super) use routes;

/// What every path leads to.
pub(super) struct Table {
    paths: matchit::Router<Arc<Route>>,
    unmatched: Arc<Route>,
}

/// The name of all paths that lead nowhere.
const UNMATCHED: &str = "unmatched";

impl Table {
    /// Finds the route of a path, and the parameters in the path, as they stand there, with slashes between them.
    pub(super) fn find(&self, path: &str) -> (Arc<Route>, Option<Box<str>>) {
        match self.paths.at(path) {
            Ok(found) => {
                let mut values = found.params.iter().map(|(_, value)| value);
                // One as a rule, which is copied once. No value has a slash.
                let mut parameters: Option<Box<str>> = values.next().map(Into::into);
                for value in values {
                    parameters = parameters.map(|before| format!("{before}/{value}").into());
                }
                (Arc::clone(found.value), parameters)
            }
            Err(_) => (Arc::clone(&self.unmatched), None),
        }
    }
}

/// All that one path leads to.
pub(super) struct Route {
    template: Box<str>,
    served: Vec<Served>,
    pub(super) metrics: RouteMetrics,
}

/// An [`Offer`] with its state.
struct Served {
    method: Option<Method>,
    shape: Option<Shape>,
    answer: Box<dyn Fn(Request<Body>) -> Answering + Send + Sync>,
}

impl Route {
    fn without(template: &str) -> Self {
        Self { template: template.into(), served: Vec::new(), metrics: RouteMetrics::default() }
    }

    /// Returns the path with the names of its parameters.
    pub(super) fn template(&self) -> &str {
        &self.template
    }

    fn served(&self, method: &Method) -> Option<&Served> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.served.iter().find(|served| served.method.as_ref().is_none_or(|of| of == method))
    }

    /// Returns what the route takes by a method.
    pub(super) fn shape(&self, method: &Method) -> Option<&Shape> {
        self.served(method)?.shape.as_ref()
    }

    /// Has a request answered.
    pub(super) fn answer(&self, request: Request<Body>) -> Answering {
        match self.served(request.method()) {
            Some(served) => (served.answer)(request),
            None => Box::pin(core::future::ready(self.refused())),
        }
    }

    /// Answers for a path that no route has, and for a method that the route doesn't have.
    fn refused(&self) -> Response {
        if self.served.is_empty() {
            return Problem::no_route().into_response();
        }
        let detail = "The route has other methods; see the header Allow.";
        let mut response = Problem::new(Code::MethodNotAllowed, detail).into_response();
        let methods = self.served.iter().flat_map(|served| &served.method);
        let methods = methods.map(|method| if method == Method::GET { "GET,HEAD" } else { method.as_str() });
        let allowed = HeaderValue::try_from(methods.collect::<Vec<_>>().join(","));
        response.headers_mut().insert(header::ALLOW, allowed.expect("names of methods are visible ASCII"));
        response
    }
}
