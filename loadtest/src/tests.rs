//! Whole runs against the stub: right, and with each of its faults.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;

use crate::{
    arrivals::Pattern,
    audit::{Findings, audit},
    bench::side,
    book::Book,
    clock::Clock,
    lane::Division,
    round::{Measured, Pace, Timing, round},
    script::Plan,
    setup::open_schedule,
    stub::{self, Fault},
    target::Target,
    token::Signer,
};

async fn drive(fault: Fault, contended_permille: u32, pace: &Pace) -> (Measured, Findings) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::new(listener.local_addr().unwrap()).unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, stub::app(fault)).await });
    let division =
        Division { lanes: 4, seats: 240, users: 8, live: 3, contended_seats: 4, contended_permille };
    let plan = Arc::new(Plan::new("t", division.seats, division.users, &Signer::new(&[1; 32]), 5));
    open_schedule(target, "admin", &plan, &serde_json::Value::Null).await.unwrap();
    let mut driven = side(target, None, &plan, division);
    let timing = Timing { warm_up: Duration::from_millis(10), measured: Duration::from_millis(300) };
    let clock = Clock::start();
    // Twice: lanes go on where they were, with other connections.
    let mut seen = round(&mut driven, 2, pace, timing, clock).await.unwrap();
    seen.add(&round(&mut driven, 4, pace, timing, clock).await.unwrap());
    let mut book = Book::default();
    for lane in driven.lanes {
        book.merge(lane.book);
    }
    let findings = audit(target, &plan, book, 1_000_000).await.unwrap();
    server.abort();
    (seen, findings)
}

async fn closed(fault: Fault, contended_permille: u32) -> (Measured, Findings) {
    drive(fault, contended_permille, &Pace::Closed).await
}

#[tokio::test]
async fn a_right_server_passes() {
    let (seen, findings) = closed(Fault::None, 0).await;
    assert_eq!(findings.faults.first, [""; 0]);
    assert_eq!(seen.lost, [""; 0]);
    assert_eq!(seen.statuses.keys().copied().collect::<Vec<_>>(), [200, 201]);
    assert!(findings.live > 0 && findings.released > 0, "{findings:?}");
    assert_eq!(findings.acknowledged, findings.live + findings.released);
}

#[tokio::test]
async fn contended_seats_are_refused_and_nothing_is_wrong() {
    let (seen, findings) = closed(Fault::None, 900).await;
    assert_eq!(findings.faults.first, [""; 0]);
    assert!(seen.taken > 0 && seen.statuses[&409] == seen.taken);
}

#[tokio::test]
async fn a_seat_that_is_given_to_two_is_found() {
    let (_, findings) = closed(Fault::DoubleOwner, 900).await;
    assert!(findings.faults.first[0].starts_with("two owners"), "{findings:?}");
}

#[tokio::test]
async fn a_hold_that_is_acknowledged_and_forgotten_is_found() {
    let (_, findings) = closed(Fault::Missing, 0).await;
    let first = &findings.faults.first[0];
    assert!(first.starts_with("the release of") && first.contains("not_found"), "{findings:?}");
}

#[tokio::test]
async fn a_release_that_is_acknowledged_and_not_done_is_found() {
    let (_, findings) = closed(Fault::Unreleased, 0).await;
    assert!(findings.faults.count > 0, "{findings:?}");
}

#[tokio::test]
async fn an_open_loop_sends_every_arrival() {
    let (seen, findings) = drive(Fault::None, 0, &Pace::Open(Pattern::Poisson, 1000)).await;
    assert_eq!(findings.faults.first, [""; 0]);
    // Two rounds of 0.3 s at 1,000 a second, each with its latency, whenever it was sent.
    assert_eq!(seen.latency.len(), 600);
    assert_eq!((seen.unsent, seen.out_of_seats), (0, 0));
}
