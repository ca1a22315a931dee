//! The cluster as a node's API knows it: what it was told, what it shows, and the gate before what may no longer be so.
//!
//! A node that has the log may answer from its state for as long as its lease counts. The gate stands behind every handler: what was
//! read is compared with [`Reads`] when it is about to be sent, and not when it was asked for.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::auth::Caller;
use super::problem::{Code, Problem};
use crate::cluster::{Drain, Member, Owner, Reads, View};

/// Where the cluster is shown.
pub(super) const CLUSTER: &str = "/api/v1/admin/cluster";
/// Where a node is asked to hand over.
pub(super) const DRAIN_PATH: &str = "/api/v1/admin/cluster/drain";

/// How long what is only shown may be shown on: maps, plans, places in a queue. Whoever acts on them is told what is so.
const GRACE: Duration = Duration::from_secs(10);
/// How often it is looked whether the grace is over.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What is shown on for [`GRACE`].
const SHOWN: [&str; 6] = [
    "/api/v1/schedules/{scheduleId}/seats",
    "/api/v1/schedules/{scheduleId}/seats/events",
    "/api/v1/schedules/{scheduleId}/queue",
    "/api/v1/plans/{planId}",
    "/api/v1/queue/tokens/current",
    "/api/v1/queue/tokens/current/events",
];

/// What a node is told by whoever keeps its lease, and how that is told to hand over.
#[derive(Clone, Debug)]
pub struct ClusterNode {
    /// The cluster as this node sees it.
    pub view: watch::Receiver<View>,
    /// Until when this node may answer from its state.
    pub reads: Reads,
    /// Has this node hand over what it has, and end.
    pub drain: Drain,
}

impl ClusterNode {
    /// Shows the cluster.
    pub(super) fn document(&self) -> ClusterDocument {
        ClusterDocument::of(&self.view.borrow())
    }

    /// Has this node hand over and end.
    pub(super) fn begin_to_drain(&self, caller: &Caller) -> DrainBegun {
        let node = self.view.borrow().me.clone();
        tracing::info!(by = %caller.user_id, "asked to hand over and end");
        self.drain.ask();
        DrainBegun { node, is_draining: true }
    }
}

/// Whether several processes share the log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// One process has it, and no other one can stand by.
    Single,
    /// Several nodes share it.
    Cluster,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum NodeRole {
    /// It has the log, and serves.
    Owner,
    /// It hands requests to the owner, and takes the log over from it.
    Standby,
}

/// The nodes of a cluster, as the one that is asked sees them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ClusterDocument {
    mode: Mode,
    /// The node that was asked; null without a cluster.
    me: Option<String>,
    /// The node that has the log; null while it is taken over, and without a cluster.
    owner: Option<String>,
    /// How many times the log was taken over; 0 without a cluster.
    epoch: u64,
    members: Vec<MemberDocument>,
}

/// A node.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberDocument {
    node: String,
    /// Where other nodes reach its API.
    address: String,
    /// The version of its program.
    version: String,
    /// Whether it renews its lease.
    is_alive: bool,
    /// Whether it hands over what it has, and ends.
    is_draining: bool,
    role: NodeRole,
}

/// A node that begins to hand over.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct DrainBegun {
    node: String,
    is_draining: bool,
}

impl ClusterDocument {
    /// Says that there is no cluster.
    pub(super) fn single() -> Self {
        Self { mode: Mode::Single, me: None, owner: None, epoch: 0, members: Vec::new() }
    }

    fn of(View { me, owner, epoch, members }: &View) -> Self {
        let owner = match owner {
            Owner::Nobody => None,
            Owner::Me => Some(me.clone()),
            Owner::Peer { node, .. } => Some(node.clone()),
        };
        let shown = |Member { node, address, version, is_alive, is_draining, boot: _ }: &Member| {
            let role = if owner.as_ref() == Some(node) { NodeRole::Owner } else { NodeRole::Standby };
            MemberDocument {
                node: node.clone(),
                address: address.clone(),
                version: version.clone(),
                is_alive: *is_alive,
                is_draining: *is_draining,
                role,
            }
        };
        let members = members.iter().map(shown).collect();
        Self { mode: Mode::Cluster, me: Some(me.clone()), owner, epoch: *epoch, members }
    }
}

/// What stands between a node's answers and their clients. A clone is the same.
#[derive(Clone)]
pub struct Gate(Arc<GateState>);

struct GateState {
    reads: Reads,
    is_draining: AtomicBool,
    /// Whether reads ended longer than [`GRACE`] ago.
    is_over: watch::Receiver<bool>,
}

impl Gate {
    /// Makes the gate of a node, and has it looked after for as long as it stands. From `shutdown` on it hands over. Call it within the
    /// runtime.
    pub(super) fn of(node: &ClusterNode, shutdown: &CancellationToken) -> Self {
        let (told, is_over) = watch::channel(!node.reads.may_answer(GRACE));
        let state = GateState { reads: node.reads.clone(), is_draining: AtomicBool::new(false), is_over };
        let gate = Self(Arc::new(state));
        tokio::spawn(look(node.reads.clone(), told));

        let (drain, weak) = (shutdown.clone(), Arc::downgrade(&gate.0));
        tokio::spawn(async move {
            drain.cancelled().await;
            if let Some(state) = weak.upgrade() {
                state.is_draining.store(true, Ordering::Relaxed);
            }
        });
        gate
    }

    /// Refuses what comes to a node that hands over, so that it is asked of the next.
    pub(super) fn refusal(&self, template: &str) -> Option<Problem> {
        let is_draining = self.0.is_draining.load(Ordering::Relaxed) && !is_of_process(template);
        is_draining.then(|| {
            Problem::new(Code::NotReady, "This node hands over to another; try again in a moment.")
                .retry_after(1)
        })
    }

    /// Lets an answer pass, or says in its place that it may no longer be so.
    pub(super) fn pass(&self, template: &str, method: &str, response: Response<Body>) -> Response<Body> {
        let is_events = || {
            let kind = response.headers().get(header::CONTENT_TYPE);
            kind.is_some_and(|kind| kind.as_bytes() == b"text/event-stream")
        };
        if self.0.reads.may_answer(Duration::ZERO) {
            return if is_events() { self.ending(response) } else { response };
        }

        let status = response.status();
        let says_no_more = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if says_no_more || method == "OPTIONS" || is_of_process(template) {
            return response;
        }
        let reads = matches!(method, "GET" | "HEAD");
        if reads && SHOWN.contains(&template) && self.0.reads.may_answer(GRACE) {
            return if is_events() { self.ending(response) } else { response };
        }
        let problem = if reads {
            Problem::new(
                Code::NotReady,
                "This node can't know whether that is still so; try again in a moment.",
            )
            .retry_after(1)
        } else {
            Problem::outcome_unknown()
        };
        problem.into_response()
    }

    /// Has a stream of events end with the grace.
    fn ending(&self, response: Response<Body>) -> Response<Body> {
        let mut is_over = self.0.is_over.clone();
        let end = async move {
            let _ = is_over.wait_for(|is_over| *is_over).await;
        };
        response.map(|body| Body::from_stream(body.into_data_stream().take_until(Box::pin(end))))
    }
}

/// Tells whether a route shows nothing of the state: a probe, a page, the cluster itself, or no route at all.
fn is_of_process(template: &str) -> bool {
    !template.starts_with("/api/v1/") || template == CLUSTER || template == DRAIN_PATH
}

/// Looks whether the grace is over, until nobody asks any more.
async fn look(reads: Reads, told: watch::Sender<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = told.closed() => return,
        }
        let is_over = !reads.may_answer(GRACE);
        told.send_if_modified(|before| core::mem::replace(before, is_over) != is_over);
    }
}
