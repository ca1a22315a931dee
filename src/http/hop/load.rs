//! The body of a request on its way to the owner: kept where it is small, so that it can be sent again, else passed on while it comes.

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};

use super::attempt::KEPT_BODY_LEN_MAX;
use crate::http::context::{Phase, RequestContext};
use crate::http::problem::{Code, Problem};

/// The body of a request.
pub(super) enum Load {
    /// It can be sent again.
    Whole(Bytes),
    /// It is passed on while it comes, once.
    Large(Option<Body>),
}

impl Load {
    /// Returns how much room a body takes at most while it is kept, in KiB.
    pub(super) fn kib_max(body: &Body) -> u32 {
        let most = body.size_hint().upper().and_then(|most| usize::try_from(most).ok());
        let kept = most.map_or(KEPT_BODY_LEN_MAX, |most| most.min(KEPT_BODY_LEN_MAX));
        u32::try_from(kept.div_ceil(1 << 10)).expect("64 at most")
    }

    /// Reads a body as far as it can be kept. One of more than `bytes_max` is broken off, if the owner doesn't refuse it before.
    ///
    /// # Errors
    /// When it ends early.
    pub(super) async fn read(
        body: Body,
        bytes_max: usize,
        context: &RequestContext,
    ) -> Result<Self, Problem> {
        if body.is_end_stream() {
            return Ok(Self::Whole(Bytes::new()));
        }
        let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        let mut chunks = body.into_data_stream();
        if announced > KEPT_BODY_LEN_MAX {
            return Ok(Self::passed_on(Bytes::new(), chunks, bytes_max, context));
        }

        context.enter(Phase::Body);
        let mut whole = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let broken = |_| Problem::new(Code::MalformedRequest, "The body ended early or is broken.");
            whole.extend_from_slice(&chunk.map_err(broken)?);
            if whole.len() > KEPT_BODY_LEN_MAX {
                return Ok(Self::passed_on(whole.freeze(), chunks, bytes_max, context));
            }
        }
        context.enter(Phase::Handling);
        Ok(Self::Whole(whole.freeze()))
    }

    fn passed_on(
        begun: Bytes,
        rest: impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static,
        bytes_max: usize,
        context: &RequestContext,
    ) -> Self {
        context.enter(Phase::LargeBody);
        let most = bytes_max.saturating_add(KEPT_BODY_LEN_MAX);
        Self::Large(Some(joined(begun, rest, most, context.clone())))
    }

    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::Large(_))
    }

    /// Tells whether it was sent, and can't be sent again.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Large(None))
    }

    /// Returns what is sent.
    pub(super) fn take(&mut self) -> Body {
        match self {
            Self::Whole(bytes) => Body::from(bytes.clone()),
            Self::Large(body) => body.take().unwrap_or_default(),
        }
    }
}

/// Makes one body of what was read and what comes, with a bound. At its end the request is no longer being read.
fn joined(
    begun: Bytes,
    rest: impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static,
    bytes_max: usize,
    context: RequestContext,
) -> Body {
    let mut left = bytes_max;
    let bounded = move |chunk: Result<Bytes, axum::Error>| {
        let chunk = chunk?;
        left = left.checked_sub(chunk.len()).ok_or_else(|| axum::Error::new("the body is too large"))?;
        Ok::<_, axum::Error>(chunk)
    };
    let end = stream::poll_fn(move |_| {
        context.enter(Phase::LargeHandling);
        core::task::Poll::Ready(None)
    });
    let begun = stream::iter((!begun.is_empty()).then_some(Ok(begun)));
    Body::from_stream(begun.chain(rest).map(bounded).chain(end))
}
