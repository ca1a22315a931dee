//! The metrics of requests, and the handles that spare the recorder's registry on the hot path.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use axum::http::{Method, StatusCode};

#[derive(Clone)]
struct Handles {
    requests: metrics::Counter,
    seconds: metrics::Histogram,
}

/// A method, a status, and their handles on one route.
type KnownHandles = (&'static str, u16, Handles);

/// The metric handles of each (route, method, status), looked up without the recorder's registry.
/// The number of entries is bounded: routes are templates, methods the known ones.
pub(super) struct RequestMetrics {
    pub(super) in_flight: metrics::Gauge,
    by_route: RwLock<HashMap<Box<str>, Vec<KnownHandles>>>,
}

impl RequestMetrics {
    pub(super) fn new() -> Self {
        Self {
            in_flight: metrics::gauge!("onsale_http_requests_in_flight"),
            by_route: RwLock::new(HashMap::new()),
        }
    }

    pub(super) fn record(&self, route: &str, method: &'static str, status: StatusCode, seconds: f64) {
        let status = status.as_u16();
        let record = |handles: &Handles| {
            handles.requests.increment(1);
            handles.seconds.record(seconds);
        };

        // Handles are found once and kept: a look-up by name in the recorder would hash the labels for each request.
        {
            let by_route = self.by_route.read().unwrap_or_else(PoisonError::into_inner);
            let known = by_route
                .get(route)
                .and_then(|known| known.iter().find(|(verb, code, _)| *verb == method && *code == status));
            if let Some((_, _, handles)) = known {
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
        let mut by_route = self.by_route.write().unwrap_or_else(PoisonError::into_inner);
        let known = by_route.entry(route.into()).or_default();
        if !known.iter().any(|(verb, code, _)| *verb == method && *code == status) {
            known.push((method, status, handles));
        }
    }
}

/// Returns the label of a method. An unknown one is `other`, so that clients can't make labels.
pub(super) fn method_label(method: &Method) -> &'static str {
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
