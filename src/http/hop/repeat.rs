//! Which requests may be sent twice, and which headers are for one connection alone.

use axum::http::header::{
    CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Joining twice gives the standing place.
const JOIN: &str = "/api/v1/queue/tokens";

/// Tells whether a request that is sent twice has one effect, whatever became of the first.
pub(super) fn has_one_effect(parts: &Parts) -> bool {
    match parts.method {
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE => true,
        Method::POST if parts.uri.path() == JOIN => true,
        _ => parts.headers.contains_key(IDEMPOTENCY_KEY),
    }
}

/// Removes what is said to the other end of one connection (RFC 9110, section 7.6.1).
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let (keep_alive, proxy_connection) =
        (HeaderName::from_static("keep-alive"), HeaderName::from_static("proxy-connection"));
    let always = [
        CONNECTION,
        keep_alive,
        proxy_connection,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    for name in named.into_iter().chain(always) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(method: Method, path: &str, key: bool) -> Parts {
        let mut request = Request::builder().method(method).uri(path);
        if key {
            request = request.header("idempotency-key", "k");
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn what_changes_something_is_repeated_by_its_key_alone() {
        for (method, path, key, repeated) in [
            (Method::GET, "/api/v1/concerts", false, true),
            (Method::HEAD, "/", false, true),
            (Method::PUT, "/api/v1/venues/hall", false, true),
            (Method::DELETE, "/api/v1/reservations/r", false, true),
            (Method::POST, "/api/v1/queue/tokens", false, true),
            (Method::POST, "/api/v1/reservations", false, false),
            (Method::POST, "/api/v1/reservations", true, true),
            (Method::PATCH, "/api/v1/reservations/r", false, false),
            (Method::PATCH, "/api/v1/reservations/r", true, true),
            (Method::POST, "/api/v1/sessions", false, false),
        ] {
            assert_eq!(has_one_effect(&parts(method.clone(), path, key)), repeated, "{method} {path} {key}");
        }
    }

    #[test]
    fn what_is_for_one_connection_goes_no_further() {
        let mut request = Request::builder();
        for (name, value) in [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("x-other", "2"),
        ] {
            request = request.header(name, value);
        }
        let mut headers = request.body(()).unwrap().into_parts().0.headers;
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-other"]);
    }
}
