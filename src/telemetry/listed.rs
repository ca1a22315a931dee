//! The list of metrics: each with its kind, its help, and every series that is known beforehand.
//!
//! A counter that appears with its first count never seems to rise: `increase` has no earlier value, and an alert on it
//! can't fire. So all counters exist from the start, at 0. Absent on purpose: the gauges that are written from the
//! state at each scrape (`http::routes::metrics`).

use metrics::Label;

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The series that a metric has from the start.
#[derive(Debug, Clone, Copy)]
enum Series {
    /// One series without labels.
    One,
    /// A series for each choice of labels' values.
    Each(&'static [(&'static str, &'static [&'static str])]),
    /// None: its labels are routes, or a gateway's answers.
    Later,
}

struct Metric {
    name: &'static str,
    kind: Kind,
    series: Series,
    help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, series: Series, help: &'static str) -> Metric {
    Metric { name, kind, series, help }
}

use Kind::{Counter, Gauge, Histogram};
use Series::{Each, Later, One};

const BUILD_INFO: &str = "onsale_build_info";

/// The commands of the aggregates by their names, and the events of time.
const COMMANDS: &[&str] = &[
    "hold",
    "order",
    "exchange",
    "release",
    "begin_payment",
    "fail_payment",
    "confirm",
    "administer",
    "expire",
    "join",
    "leave",
    "claim",
    "finish",
    "administer_room",
    "charge",
    "pay",
    "refund",
    "archive",
    "start_payment",
    "supersede_payment",
    "accept_payment",
    "note_payment",
    "refund_payment",
    "sign_up",
    "set_user_status",
];

const METRICS: &[Metric] = &[
    // The process.
    metric(
        BUILD_INFO,
        Gauge,
        Each(&[("version", &[env!("CARGO_PKG_VERSION")])]),
        "1, with the version of the program",
    ),
    metric("onsale_process_start_time_seconds", Gauge, One, "When the process began, in seconds since 1970"),
    // What is decided.
    metric(
        "onsale_decisions_total",
        Counter,
        Each(&[("command", COMMANDS), ("outcome", &["done", "refused", "replayed", "failed"])]),
        "Commands that were decided, by outcome",
    ),
    metric(
        "onsale_mailbox_wait_seconds",
        Histogram,
        One,
        "How long a command waited for its schedule's actor",
    ),
    metric(
        "onsale_journal_read_failures_total",
        Counter,
        One,
        "Requests for what happened that found the journal or a snapshot damaged",
    ),
    metric("onsale_actor_panics_total", Counter, One, "Panics of actors, each a bug"),
    metric("onsale_actors_given_up_total", Counter, One, "Actors whose restarts were spent"),
    // Users and money.
    metric("onsale_sign_ups_total", Counter, One, "Users who signed up"),
    metric(
        "onsale_jwks_file_broken",
        Gauge,
        One,
        "1 while the file of public keys can't be used, so that the keys stay as they were",
    ),
    metric(
        "onsale_sign_ins_total",
        Counter,
        Each(&[("outcome", &["signed_in", "wrong_pair", "suspended", "rate_limited", "overloaded"])]),
        "Tries of signing in, by outcome",
    ),
    metric(
        "onsale_mail_orders_total",
        Counter,
        Each(&[("outcome", &["taken", "failed"])]),
        "Orders to send a mail, by outcome",
    ),
    metric("onsale_passwords_waiting", Gauge, One, "Passwords that wait to be hashed"),
    metric(
        "onsale_password_hash_seconds",
        Histogram,
        One,
        "How long a password took to be hashed, without its wait",
    ),
    metric(
        "onsale_payments_total",
        Counter,
        Each(&[("outcome", &["started", "completed", "failed", "refunded"])]),
        "Payments, by what became of them",
    ),
    metric("onsale_refunds_refused_total", Counter, One, "Tries of giving money back that a gateway refused"),
    metric(
        "onsale_gateway_surprises_total",
        Counter,
        One,
        "Confirmed reservations whose money was given back elsewhere, and money of orders that the journal doesn't know",
    ),
    metric("onsale_drives_broken_total", Counter, One, "Payments whose drive panicked, each a bug"),
    metric(
        "onsale_drives_found_total",
        Counter,
        One,
        "Payments that nobody drove though something was left to do",
    ),
    metric(
        "onsale_notices_total",
        Counter,
        Each(&[("outcome", &["taken", "limited", "unknown", "bad_signature"])]),
        "Notices of payment gateways, and reports of the platform's own payment service, by what was made of them",
    ),
    metric(
        "onsale_gateway_seconds",
        Histogram,
        Later,
        "How long the payment gateway took to answer, by call and outcome",
    ),
    // Waiting rooms.
    metric("onsale_queue_joins_total", Counter, One, "Places taken in waiting rooms"),
    metric("onsale_queue_admissions_total", Counter, One, "Users let in from waiting rooms"),
    metric(
        "onsale_queue_ends_total",
        Counter,
        Each(&[("reason", &["left", "finished", "pass_expired", "unclaimed", "place_expired", "shut"])]),
        "Places that ended, by reason",
    ),
    metric(
        "onsale_queue_stream_events_total",
        Counter,
        Each(&[("event", &["position", "active", "ended"])]),
        "Events of places that streams sent, by name",
    ),
    metric("onsale_queue_wait_seconds", Histogram, One, "How long users waited until they were admitted"),
    // The journal and what is beside it.
    metric("onsale_journal_events_total", Counter, One, "Events made durable"),
    metric("onsale_journal_bytes_total", Counter, One, "Bytes of frames made durable"),
    metric("onsale_journal_syncs_total", Counter, One, "Syncs of the journal's file"),
    metric("onsale_journal_batch_entries", Histogram, One, "Decisions that one sync made durable"),
    metric(
        "onsale_journal_write_seconds",
        Histogram,
        One,
        "How long a flush took to hand its bytes to the disk",
    ),
    metric("onsale_journal_sync_seconds", Histogram, One, "How long the disk took to sync them"),
    metric("onsale_recovery_seconds", Gauge, One, "How long the last start took to recover"),
    metric("onsale_snapshot_seconds", Histogram, One, "How long a snapshot took"),
    metric("onsale_snapshot_bytes", Gauge, One, "The size of the newest snapshot"),
    metric("onsale_snapshot_position", Gauge, One, "The position of the newest snapshot"),
    metric(
        "onsale_snapshots_failed_total",
        Counter,
        Each(&[("reason", &["no_room", "disk", "journal", "bug", "stopping"])]),
        "Snapshots that could not be taken, by reason",
    ),
    metric(
        "onsale_archive_failures_total",
        Counter,
        Each(&[("what", &["read", "write"])]),
        "Reads and writes of the archive that failed",
    ),
    // Several processes that share a log.
    metric("onsale_cluster_serves", Gauge, One, "Whether this node has the log and serves"),
    metric(
        "onsale_cluster_has_owner",
        Gauge,
        One,
        "Whether any node has the log and serves, as this one knows it",
    ),
    metric(
        "onsale_cluster_nodes",
        Gauge,
        One,
        "Nodes of the cluster that are known; 0 where there is no cluster",
    ),
    metric("onsale_cluster_nodes_alive", Gauge, One, "Nodes that renew their leases"),
    metric("onsale_cluster_epoch", Gauge, One, "Which life of the log its owner began"),
    metric("onsale_cluster_lease_age_seconds", Gauge, One, "How long ago this node's last renewal was sent"),
    metric(
        "onsale_cluster_clock_apart_seconds",
        Gauge,
        One,
        "How far this node's clock is from the log's servers'",
    ),
    metric("onsale_cluster_takeovers_total", Counter, One, "How often this process took the log over"),
    metric(
        "onsale_hops_total",
        Counter,
        Each(&[(
            "outcome",
            &["answered", "not_ready", "outcome_unknown", "overloaded", "malformed_request"],
        )]),
        "Requests that this node handed to the one that serves, by what its clients were told",
    ),
    // HTTP.
    metric(
        "onsale_http_requests_total",
        Counter,
        Later,
        "Answered requests by route template, method and status",
    ),
    metric(
        "onsale_http_request_seconds",
        Histogram,
        Later,
        "The time from a request's headers to its answer's",
    ),
    metric("onsale_http_requests_in_flight", Gauge, One, "Requests whose answer hasn't begun"),
    metric("onsale_http_connections", Gauge, One, "Open connections"),
    metric(
        "onsale_http_connections_refused_total",
        Counter,
        One,
        "Connections that were refused because there were too many",
    ),
    metric(
        "onsale_event_subscribers",
        Gauge,
        Each(&[("stream", &["journal"])]),
        "Consumers of the event feed",
    ),
    metric(
        "onsale_rate_limit_forgotten_total",
        Counter,
        One,
        "Times that a full table of rate limits was emptied",
    ),
];

/// Describes every metric, and makes every series that is known beforehand. Call it after a recorder is installed.
pub fn register() {
    metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    for Metric { name, kind, series, help } in METRICS {
        match kind {
            Counter => metrics::describe_counter!(*name, *help),
            Gauge => metrics::describe_gauge!(*name, *help),
            Histogram => metrics::describe_histogram!(*name, *help),
        }
        // A handle that is made is a series; it stands at 0 until something is counted.
        for labels in choices(*series) {
            match kind {
                Counter => drop(metrics::counter!(*name, labels)),
                Gauge => drop(metrics::gauge!(*name, labels)),
                Histogram => drop(metrics::histogram!(*name, labels)),
            }
        }
    }
}

/// Returns the labels of each series.
fn choices(series: Series) -> Vec<Vec<Label>> {
    let labels = match series {
        Later => return Vec::new(),
        One => &[],
        Each(labels) => labels,
    };
    labels.iter().fold(vec![Vec::new()], |choices, (name, values)| {
        let with = |choice: &Vec<Label>| -> Vec<Vec<Label>> {
            let with = |value: &&'static str| [choice.as_slice(), &[Label::new(*name, *value)]].concat();
            values.iter().map(with).collect()
        };
        choices.iter().flat_map(with).collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_metric_stands_here_once_and_is_named_as_its_kind_wants() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        for Metric { name, kind, .. } in METRICS {
            assert!(name.starts_with("onsale_"), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Counter, "{name}");
        }
    }

    #[test]
    fn series_are_all_choices_of_their_labels() {
        assert_eq!(choices(One), [Vec::new()]);
        let two = Each(&[("a", &["1", "2"]), ("b", &["3"])]);
        let label = |name: &'static str, value: &'static str| Label::new(name, value);
        assert_eq!(
            choices(two),
            [vec![label("a", "1"), label("b", "3")], vec![label("a", "2"), label("b", "3")]]
        );
    }
}
