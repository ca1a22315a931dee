//! A rush and its polls against the stub: right, and with a fault.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    crowd::Crowd,
    joins::{Joined, join},
    order::check_joins,
    polls::poll,
    room,
};
use crate::{
    clock::Clock,
    drive::{Asked, Until},
    round::Measured,
    script::Plan,
    setup::open_schedule,
    stub::{self, Fault},
    target::Target,
    token::Signer,
};

const PEOPLE: u32 = 400;

struct Seen {
    joins: Measured,
    /// What was wrong at the joins, with their order, and at the polls.
    faults: [Vec<String>; 3],
    polls: Measured,
}

/// Lets a crowd join before so many seats, and poll; with `queue` as the policy of the room.
async fn rush(fault: Fault, queue: &Value) -> Seen {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::new(listener.local_addr().unwrap()).unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, stub::app(fault)).await });
    let signer = Signer::new(&[1; 32]);
    open_schedule(target, "admin", &Plan::new("t", 10, 1, &signer, 5), queue).await.unwrap();
    let asked = Asked { target, pid: None, store: None, clock: Clock::start() };
    let mut crowd = Arc::new(Crowd::new("load-t", "crowd", PEOPLE, &signer, 5));
    let Joined { seen, faults, .. } = join(&mut crowd, asked, 8, "waiting").await.unwrap();
    let line = crowd.line();
    let order = check_joins(&line).first;
    let people: Vec<usize> = line.into_iter().map(|(person, _)| person).collect();
    let until = Until::Over(Duration::from_millis(100));
    let (polls, polled) = if people.is_empty() {
        (Measured::new(), vec![])
    } else {
        let (polls, polled) = poll(&crowd, &people, asked, 4, Some(0), until).await.unwrap();
        (polls, polled.first)
    };
    server.abort();
    Seen { joins: seen, faults: [faults.first, order, polled], polls }
}

#[tokio::test]
async fn a_crowd_that_is_served_in_order_finds_nothing_wrong() {
    let seen = rush(Fault::None, &room::policy(0)).await;
    assert_eq!(seen.faults, [vec![""; 0], vec![], vec![]]);
    assert_eq!(seen.joins.statuses.get(&201), Some(&u64::from(PEOPLE)));
    assert_eq!(seen.joins.completed, u64::from(PEOPLE));
    assert!(seen.polls.completed > 0 && seen.polls.lost.is_empty(), "{:?}", seen.polls.lost);
}

#[tokio::test]
async fn a_pace_is_not_that_of_the_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target::new(listener.local_addr().unwrap()).unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, stub::app(Fault::None)).await });
    let signer = Signer::new(&[1; 32]);
    let asked = Asked { target, pid: None, store: None, clock: Clock::start() };
    let mut crowd = Arc::new(Crowd::new("load-t", "crowd", 10, &signer, 5));
    join(&mut crowd, asked, 2, "waiting").await.unwrap();
    let paced = Until::Paced(20, Duration::from_millis(200));
    let (seen, _) = poll(&crowd, &[0, 1, 2, 3], asked, 2, None, paced).await.unwrap();
    server.abort();
    // Four in that time, give or take each connection's turn; answers alone would let thousands through.
    assert!(seen.completed <= 8, "{}", seen.completed);
}

#[tokio::test]
async fn a_position_that_two_have_is_found() {
    let seen = rush(Fault::SharedPlace, &room::policy(0)).await;
    assert!(seen.faults[1][0].ends_with("and 49 is nobody's"), "{:?}", seen.faults);
}

#[tokio::test]
async fn whoever_gets_in_where_they_should_wait_is_found() {
    let seen = rush(Fault::None, &room::policy(PEOPLE)).await;
    assert!(seen.faults[0][0].contains("status: \"active\""), "{:?}", seen.faults);
}
