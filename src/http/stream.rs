//! Answers that go on while their client follows. Each chunk is made when the client has taken the last one.

use core::convert::Infallible;
use core::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};

/// The header in which a client that comes again names its last event.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// How often an event stream sends a sign of life when it has no event.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The sign of life: a comment.
pub const STILL_HERE: Bytes = Bytes::from_static(b": still here\n\n");

/// One client that follows something.
pub trait Follow: Send + 'static {
    /// Returns what is sent next; `None` ends the stream. Asked only when the client took the last.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// Makes the chunks that a follower gives.
pub fn chunks(follower: impl Follow) -> impl Stream<Item = Bytes> + Send + 'static {
    unfold(follower, async |mut follower| follower.next().await.map(|chunk| (chunk, follower)))
}

/// Answers with the server-sent events that a follower gives.
pub fn follow(follower: impl Follow) -> Response {
    of_events(chunks(follower))
}

/// Answers with server-sent events.
pub fn of_events(chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    of(HeaderValue::from_static("text/event-stream"), chunks)
}

/// Answers with chunks of a content type.
pub fn of(content_type: HeaderValue, chunks: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let mut response = Response::new(Body::from_stream(chunks.map(Ok::<_, Infallible>)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies hold a stream back unless they are told.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
