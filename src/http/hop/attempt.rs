//! One try at the node that has the log, and what came of it.

use core::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode};
use bytes::Bytes;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::repeat::remove_hop_by_hop;
use crate::cluster::{Owner, View};
use crate::http::problem::{Code, MEDIA_TYPE};
use crate::outbound::NodeClient;

/// A body of so many bytes at most is kept, so that it can be sent again; and an answer, so that the client gets it whole or not at all.
pub(super) const KEPT_BODY_LEN_MAX: usize = 64 << 10;
/// How long an answer is waited for once another node has the log: it may have been on its way.
const REPLACED_GRACE: Duration = Duration::from_millis(1_500);

/// What came of a try.
pub(super) enum Outcome {
    /// An answer that is kept whole.
    Whole(Response<Bytes>),
    /// An answer that goes on.
    GoesOn(Response<Incoming>),
    /// Nothing was done: no connection, or the node doesn't serve.
    Nothing,
    /// It may or may not have been done.
    Unknown,
}

/// Which refusals of the node are no answer for the client.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Whether the request may be sent again, so that an unknown outcome can be found out.
    pub(super) has_one_effect: bool,
    /// Whether it was sent before, so that it may be itself that is in progress.
    pub(super) was_sent: bool,
}

/// Sends a request to a node, and waits until `deadline` for the answer.
pub(super) async fn attempt(
    client: &NodeClient<Body>,
    request: Request<Body>,
    asked: Asked,
    replaced: impl Future<Output = ()>,
    deadline: Instant,
) -> Outcome {
    let is_head = request.method() == Method::HEAD;
    let answered = async {
        match client.request(request).await {
            Ok(response) => judge(response, is_head, asked).await,
            Err(error) if error.is_connect() => {
                tracing::debug!(%error, "the node that has the log can't be reached");
                Outcome::Nothing
            }
            Err(error) => {
                tracing::debug!(%error, "the connection to the node that has the log broke");
                Outcome::Unknown
            }
        }
    };
    let replaced = async {
        replaced.await;
        tokio::time::sleep(REPLACED_GRACE).await;
    };
    tokio::select! {
        biased;
        outcome = answered => outcome,
        () = replaced => Outcome::Unknown,
        () = tokio::time::sleep_until(deadline) => Outcome::Unknown,
    }
}

async fn judge(response: Response<Incoming>, is_head: bool, asked: Asked) -> Outcome {
    if response.status() == StatusCode::MISDIRECTED_REQUEST {
        return Outcome::Nothing;
    }
    let (mut head, body) = response.into_parts();
    let len = len_of(&head.headers);
    remove_hop_by_hop(&mut head.headers);
    let is_small = len.is_some_and(|len| len <= KEPT_BODY_LEN_MAX);
    if !is_small && !is_head {
        return Outcome::GoesOn(Response::from_parts(head, body));
    }

    // An answer to HEAD has none, whatever its length says.
    let Ok(body) = to_bytes(Body::new(body), KEPT_BODY_LEN_MAX).await else { return Outcome::Unknown };
    let code = problem_code(head.status, &head.headers, &body);
    let is = |wanted: Code| code.as_deref() == Some(wanted.as_str());
    if is(Code::NotReady) || (is_head && head.status == StatusCode::SERVICE_UNAVAILABLE) {
        return Outcome::Nothing;
    }
    let may_be_found_out = asked.has_one_effect && is(Code::OutcomeUnknown);
    let may_be_itself = asked.was_sent && is(Code::RequestInProgress);
    if may_be_found_out || may_be_itself {
        return Outcome::Unknown;
    }
    Outcome::Whole(Response::from_parts(head, body))
}

fn len_of(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Returns a problem's code, where it is one that may matter here.
fn problem_code(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Coded {
        code: String,
    }
    let may_matter = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT);
    let is_problem = headers.get(CONTENT_TYPE).is_some_and(|of| of.as_bytes() == MEDIA_TYPE.as_bytes());
    if !may_matter || !is_problem {
        return None;
    }
    serde_json::from_slice(body).ok().map(|Coded { code }| code)
}

/// Waits until another node than the one at an address has the log. That nobody has it doesn't say so yet.
pub(super) async fn replaced(mut view: watch::Receiver<View>, address: String) {
    let is_another = |view: &View| match &view.owner {
        Owner::Nobody => false,
        Owner::Me => true,
        Owner::Peer { address: now, .. } => *now != address,
    };
    let ended = view.wait_for(is_another).await.is_err();
    if ended {
        core::future::pending::<()>().await;
    }
}
