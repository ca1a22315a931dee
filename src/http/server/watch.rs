//! The limits of one connection while hyper serves it: how long it may be idle, how long a head may take, how long a
//! client may accept nothing of an answer, and how much of an unwanted body is read.
//!
//! ```text
//!            ┌── Guarded (the socket) ── sees bytes come and go
//! Watch ◀────┼── WatchedBody (a request's) ── leaves here what a route didn't read
//!            └── Answer (an answer's body) ── ends the request
//! ```
//!
//! hyper's own limit of a head counts from the end of the last request, so that it would limit idle connections too. It
//! has no limit for a client that accepts nothing, answers an unreadable request without a document, and ignores a
//! target's fragment.
//!
//! Invariants: no stage of a connection is without a deadline, and at that of a route's work the request says itself what comes; an answer
//! that was given before its request's body was read reaches the client: the rest is read, within bounds, or the close is
//! announced; hyper gets every byte, in order.

use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::http::limits::ServerLimits;

/// The state of one connection beside hyper's.
pub(super) struct Watch {
    limits: ServerLimits,
    state: Mutex<State>,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about a connection")]
struct State {
    /// Whether a request is being answered.
    busy: bool,
    /// When its route's time is up, while the route works.
    works_until: Option<Instant>,
    /// When the last request ended.
    idle_since: Instant,
    /// When the first byte of the next head came.
    head_since: Option<Instant>,
    /// Since when the client takes nothing of what is to be written.
    stuck_since: Option<Instant>,
    /// Whether bytes of an answer of ours are yet to be written.
    answering: bool,
    /// What the next byte belongs to.
    cursor: Cursor,
    /// Whether the line of the present head names a fragment.
    fragment: bool,
    /// What a route left of its request's body.
    unread: Option<Unread>,
    /// The rest of a body whose request was answered.
    rest: Option<UnreadBody>,
    /// The status with which hyper wanted to answer by itself.
    refused: Option<StatusCode>,
    /// Whether the client has closed its side.
    ended: bool,
}

/// The part of a request to which the client's next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    /// A request line, of which something came or not.
    Line { begun: bool },
    /// A head's fields; the present line is empty so far or not.
    Fields { begun: bool },
    /// Nothing: a whole head is on its way through hyper.
    Head,
    /// A body, of which so many bytes are to come.
    Body(u64),
    /// It isn't known: a body of chunks, and all that comes after one.
    Unknown,
}

struct Unread {
    body: Incoming,
    /// Whether anything of it was asked for.
    touched: bool,
}

struct UnreadBody {
    body: Incoming,
    bytes_left: u64,
    until: Instant,
}

/// What to do with a connection at its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    GoOn,
    /// It is closed.
    Close,
    /// It is broken off, since its client takes nothing: what the system still keeps for it goes, too.
    BreakOff,
}

impl Watch {
    /// Begins with a new connection.
    pub(super) fn new(limits: ServerLimits) -> Arc<Self> {
        let state = State {
            busy: false,
            works_until: None,
            idle_since: Instant::now(),
            head_since: None,
            stuck_since: None,
            answering: false,
            cursor: Cursor::Line { begun: false },
            fragment: false,
            unread: None,
            rest: None,
            refused: None,
            ended: false,
        };
        Arc::new(Self { limits, state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come, with a body of so many bytes where that is known. Says whether its line named a fragment: where
    /// the line was seen, which is always but behind a body of chunks.
    pub(super) fn begin(&self, body_len: Option<u64>) -> bool {
        let mut state = self.state();
        state.busy = true;
        state.head_since = None;
        state.cursor = match (state.cursor, body_len) {
            (Cursor::Unknown, _) | (_, None) => Cursor::Unknown,
            (_, Some(0)) => Cursor::Line { begun: false },
            (_, Some(bytes)) => Cursor::Body(bytes),
        };
        core::mem::take(&mut state.fragment)
    }

    /// The request's route is at work, and has time until then.
    pub(super) fn works_until(&self, deadline: Instant) {
        self.state().works_until = Some(deadline);
    }

    /// A request has an answer. Says whether the connection has to close behind it.
    ///
    /// What the route left of the body is read from now on, so that the client, which may still be sending, gets to read
    /// the answer. A client that waits to be told to send (`expects`) sends nothing, now that it has the answer.
    pub(super) fn answered(&self, expects: bool) -> bool {
        let mut state = self.state();
        state.works_until = None;
        state.answering = true;
        let Some(Unread { body, touched }) = state.unread.take() else { return false };
        if expects && !touched {
            return true;
        }
        let bytes_left = self.limits.rest_bytes_max;
        let fits = body.size_hint().exact().is_some_and(|bytes| bytes <= bytes_left);
        state.rest = Some(UnreadBody { body, bytes_left, until: Instant::now() + self.limits.rest_timeout });
        !fits
    }

    /// Reads on in what a route left, and throws it away.
    pub(super) fn poll_rest(&self, cx: &mut Context<'_>) {
        let mut state = self.state();
        while let Some(rest) = &mut state.rest {
            let Poll::Ready(frame) = Pin::new(&mut rest.body).poll_frame(cx) else { return };
            let Some(Ok(frame)) = frame else {
                state.rest = None;
                return;
            };
            let read = frame.data_ref().map_or(0, Bytes::len);
            let left = rest.bytes_left.checked_sub(u64::try_from(read).unwrap_or(u64::MAX));
            if let Some(left) = left {
                rest.bytes_left = left;
            } else {
                state.rest = None;
            }
        }
    }

    /// Returns when the connection has to be looked at, or its time is up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state().deadline(&self.limits)
    }

    /// Says what comes next at a deadline.
    pub(super) fn judge(&self, now: Instant) -> Verdict {
        let mut state = self.state();
        if state.deadline(&self.limits).is_none_or(|deadline| deadline > now) {
            return Verdict::GoOn;
        }
        if state.stuck_since.is_some_and(|since| since + self.limits.write_timeout <= now) {
            return Verdict::BreakOff;
        }
        if state.works_until.take().is_some() {
            // The request is polled, and answers, or has more time.
            return Verdict::GoOn;
        }
        match state.rest.take() {
            // hyper closes behind a body that nobody reads.
            Some(_) => Verdict::GoOn,
            None => Verdict::Close,
        }
    }

    /// Returns the status with which hyper wanted to answer what it can't read.
    pub(super) fn refused(&self) -> Option<StatusCode> {
        self.state().refused
    }

    /// Says whether the client has closed its side.
    pub(super) fn has_ended(&self) -> bool {
        self.state().ended
    }

    /// Bytes came; says how many of them hyper shall have now: no more than to the end of a head, or of a body whose length is
    /// known.
    fn read(&self, bytes: &[u8]) -> usize {
        self.state().pass(bytes)
    }

    /// The client has closed its side.
    fn end(&self) {
        self.state().ended = true;
    }

    /// Bytes were taken, or can't be.
    fn wrote<T>(&self, outcome: &Poll<io::Result<T>>) {
        let mut state = self.state();
        match outcome {
            Poll::Ready(_) => state.stuck_since = None,
            Poll::Pending => state.stuck_since = state.stuck_since.or_else(|| Some(Instant::now())),
        }
    }

    /// All that there was to write was written.
    fn flushed(&self) {
        let mut state = self.state();
        if !state.busy && state.answering {
            state.answering = false;
            state.idle_since = Instant::now();
        }
    }

    /// Says whether these bytes are hyper's own answer to what it can't read: it comes while nothing is being answered.
    fn is_hypers_own(&self, bytes: &[u8]) -> bool {
        let mut state = self.state();
        if state.busy || state.answering {
            return false;
        }
        let status = bytes.get(STATUS).and_then(|digits| StatusCode::from_bytes(digits).ok());
        state.refused = state.refused.or(status).or(Some(StatusCode::BAD_REQUEST));
        true
    }
}

/// Where the status stands in `HTTP/1.1 431 …`.
const STATUS: core::ops::Range<usize> = 9..12;

impl State {
    fn deadline(&self, limits: &ServerLimits) -> Option<Instant> {
        let next_request = match self.head_since {
            _ if self.busy || self.answering => self.works_until,
            // A head that came while the last answer was on its way begins to count then.
            Some(since) => Some(since.max(self.idle_since) + limits.header_read_timeout),
            None => Some(self.idle_since + limits.idle_timeout),
        };
        // The next head can't begin before the rest is read.
        let rest = self.rest.as_ref().map(|rest| rest.until);
        let stuck = self.stuck_since.map(|since| since + limits.write_timeout);
        [rest.or(next_request), stuck].into_iter().flatten().min()
    }

    /// Moves the cursor over bytes; returns how many of them belong together.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let rest = &bytes[at..];
            let mut passed = 1;

            self.cursor = match (self.cursor, byte) {
                // An empty line before a request is ignored (RFC 9112, section 2.2).
                (Cursor::Line { begun: false }, b'\r' | b'\n') => Cursor::Line { begun: false },
                (Cursor::Line { begun }, _) => {
                    if !begun {
                        self.head_since = Some(Instant::now());
                    }
                    let line = line_of(rest);
                    self.fragment |= memchr(b'#', line).is_some();
                    passed = line.len();
                    if line.ends_with(b"\n") {
                        Cursor::Fields { begun: false }
                    } else {
                        Cursor::Line { begun: true }
                    }
                }
                (Cursor::Fields { begun: false }, b'\r') => Cursor::Fields { begun: false },
                (Cursor::Fields { begun: false }, b'\n') => {
                    self.cursor = Cursor::Head;
                    return at + 1;
                }
                (Cursor::Fields { .. }, _) => {
                    let line = line_of(rest);
                    passed = line.len();
                    Cursor::Fields { begun: !line.ends_with(b"\n") }
                }
                (Cursor::Body(left), _) => {
                    let left_here = usize::try_from(left).unwrap_or(usize::MAX);
                    let passed = left_here.min(rest.len());
                    let left = left - u64::try_from(passed).unwrap_or(left);
                    self.cursor = if left == 0 { Cursor::Line { begun: false } } else { Cursor::Body(left) };
                    return at + passed;
                }
                // hyper asks for more after a head that seemed whole, so the cursor was wrong: it stops judging.
                (Cursor::Head | Cursor::Unknown, _) => {
                    self.cursor = Cursor::Unknown;
                    return bytes.len();
                }
            };

            at += passed;
        }

        bytes.len()
    }
}

/// Returns the bytes up to and with the first line's end; all of them if it hasn't come yet.
fn line_of(bytes: &[u8]) -> &[u8] {
    memchr(b'\n', bytes).map_or(bytes, |end| &bytes[..=end])
}

/// A socket that is watched.
pub(super) struct Guarded {
    stream: TcpStream,
    watch: Arc<Watch>,
    /// What came and isn't hyper's yet.
    ahead: BytesMut,
}

impl Guarded {
    pub(super) fn new(stream: TcpStream, watch: Arc<Watch>) -> Self {
        Self { stream, watch, ahead: BytesMut::new() }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, watch, ahead } = &mut *self;
        if !ahead.is_empty() {
            let fits = ahead.len().min(buf.remaining());
            let passed = watch.read(&ahead[..fits]);
            buf.put_slice(&ahead.split_to(passed));
            return Poll::Ready(Ok(()));
        }

        let before = buf.filled().len();
        ready!(Pin::new(stream).poll_read(cx, buf))?;
        let came = &buf.filled()[before..];
        if came.is_empty() {
            watch.end();
        }

        let passed = watch.read(came);
        if passed < came.len() {
            ahead.extend_from_slice(&came[passed..]);
            buf.set_filled(before + passed);
        }

        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(first) = bytes.iter().find(|bytes| !bytes.is_empty())
            && self.watch.is_hypers_own(first)
        {
            // Ours is sent in its place.
            return Poll::Ready(Ok(bytes.iter().map(|bytes| bytes.len()).sum()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch.wrote(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch.flushed();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Does nothing: the server closes, once it has said the last word.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A request's body. Its unread rest is left to [`Watch::answered`].
pub(super) struct WatchedBody {
    body: Option<Incoming>,
    touched: bool,
    watch: Arc<Watch>,
}

impl WatchedBody {
    pub(super) fn new(body: Incoming, watch: Arc<Watch>) -> Self {
        Self { body: Some(body), touched: false, watch }
    }
}

impl Body for WatchedBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.touched = true;
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.watch.state().unread = Some(Unread { body, touched: self.touched });
        }
    }
}

/// An answer's body. Its end is the end of the request.
pub(super) struct Answer {
    body: axum::body::Body,
    watch: Arc<Watch>,
}

impl Answer {
    pub(super) fn new(body: axum::body::Body, watch: Arc<Watch>) -> Self {
        Self { body, watch }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // It is idle once all is written: see `Watch::flushed`.
        self.watch.state().busy = false;
    }
}

#[cfg(test)]
mod tests;
