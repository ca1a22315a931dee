//! The metrics of a route's requests, and the handles that spare the recorder's registry on the hot path.

use std::sync::{PoisonError, RwLock};

use axum::http::{Method, StatusCode};

#[derive(Clone)]
struct Handles {
    requests: metrics::Counter,
    seconds: metrics::Histogram,
}

/// A method, a status, and their handles on one route.
type KnownHandles = (&'static str, u16, Handles);

/// The metric handles of a route by method and status, looked up without the recorder's registry. Their number is
/// bounded, since the methods are the known ones.
#[derive(Default)]
pub(crate) struct RouteMetrics(RwLock<Vec<KnownHandles>>);

impl RouteMetrics {
    /// Counts a request. `route` is its template.
    pub(crate) fn record(&self, route: &str, method: &'static str, status: StatusCode, seconds: f64) {
        let status = status.as_u16();
        let record = |handles: &Handles| {
            handles.requests.increment(1);
            handles.seconds.record(seconds);
        };

        // Handles are found once and kept: a look-up by name in the recorder would hash the labels for each request.
        {
            let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
            let found = known.iter().find(|(verb, code, _)| *verb == method && *code == status);
            if let Some((_, _, handles)) = found {
                return record(handles);
            }
        }

        let (name, status_text) = (route.to_owned(), status.to_string());
        let handles = Handles {
            requests: metrics::counter!("onsale_http_requests_total",
                "route" => name.clone(), "method" => method, "status" => status_text),
            seconds: metrics::histogram!("onsale_http_request_seconds",
                "route" => name, "method" => method),
        };

        record(&handles);

        // Another request may have added the same handles meanwhile.
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|(verb, code, _)| *verb == method && *code == status) {
            known.push((method, status, handles));
        }
    }
}

/// Returns the label of a method. An unknown one is `other`, so that clients can't make labels.
pub(crate) fn method_label(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 7] = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::PATCH, "PATCH"),
        (Method::DELETE, "DELETE"),
        (Method::HEAD, "HEAD"),
        (Method::OPTIONS, "OPTIONS"),
    ];
    KNOWN.iter().find(|(known, _)| known == method).map_or("other", |(_, label)| label)
}
