//! The engine inside another program: a sale from the first seat to the last movement of money, and somebody who follows it.
//!
//! ```sh
//! cargo run --example embed --no-default-features
//! ```

#![expect(clippy::print_stdout, reason = "it shows what happens")]

use std::collections::BTreeMap;
use std::error::Error;

use onsale::domain::cause::Cause;
use onsale::domain::concert::{Concert, PricedGrade};
use onsale::domain::ids::{ConcertId, GradeName, ScheduleId, UserId, VenueId};
use onsale::domain::money::{Currency, Money};
use onsale::domain::payments::{Method, State};
use onsale::domain::schedule::policy::Policy;
use onsale::domain::schedule::{Answer, Command, Plan, ReservationRef, Wish};
use onsale::domain::time::{Seconds, Timestamp};
use onsale::domain::venue::{Row, RowSeats, Section, Venue};
use onsale::engine::{CatalogueChange, Changes, Engine, EngineConfig, HistoryError, Purchase};
use onsale::journal::Position;
use onsale::record::Fact;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::temp_dir().join(format!("onsale-embed-{}", std::process::id()));
    let engine = Engine::open(EngineConfig::new(&dir)).await?;
    let follower = tokio::spawn(follow(engine.changes(Position::START)));

    // A venue, a concert in it, an evening of that, and its sale.
    let schedule = ScheduleId::parse("evening-1")?;
    let (venue, concert, plan) = (venue()?, concert()?, plan(engine.now()));
    let put = CatalogueChange::PutSchedule(schedule.clone(), concert.id.clone(), plan);
    engine.change(CatalogueChange::PutVenue(venue), None).await?;
    engine.change(CatalogueChange::PutConcert(concert), None).await?;
    engine.change(put, None).await?;
    engine.change(CatalogueChange::OpenSchedule(schedule.clone()), None).await?;
    let entry = engine.schedule(&schedule).ok_or("it was just put")?;

    // Alice holds the best two seats. When this returns, the hold is on stable storage.
    let alice = UserId::parse("alice")?;
    let best = Wish::best(2);
    let command = Command::hold(alice.clone(), best, random()?);
    let held = engine.act(&entry, command, None).await?;
    let Answer::Reservation(held) = held.answer else { return Err("a hold answers a reservation".into()) };
    println!("alice holds {} until {}", entry.read().full_id(&held), held.expires_at);

    // Bob wants the same seats, and is told which ones he can't have.
    let wish = Wish::seats(held.seats.clone());
    let command = Command::hold(UserId::parse("bob")?, wish, random()?);
    let refused = engine.act(&entry, command, None).await.err().ok_or("no seat is held twice")?;
    println!("bob is refused: {}", refused.named(entry.layout()));

    // Alice pays from her balance; nobody has to confirm it.
    let (amount, won) = (Money::new(200_000).ok_or("too much")?, Currency::parse("KRW")?);
    engine.charge(&alice, amount, won, random()?, Cause::default()).await?;
    let reservation = ReservationRef { number: held.number, nonce: held.nonce };
    let purchase =
        Purchase { user: alice, reservation, method: Method::Balance, nonce: random()?, key: None };
    let paid = engine.pay(&entry, purchase).await?.answer;
    println!("the payment {} is {}", paid.id, paid.state.as_str());
    assert_eq!(paid.state, State::Completed);
    assert_eq!(entry.read().counts().reserved, 2);

    engine.close().await?;
    println!("{} facts were told", follower.await??);
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

/// Prints what happens until the engine is closed. Who keeps `changes.position()` goes on from there after a restart.
async fn follow(mut changes: Changes) -> Result<usize, HistoryError> {
    let mut told = 0;
    while let Some(moments) = changes.next().await? {
        told += moments.len();
        for moment in moments {
            if let Fact::Schedule(number, event) = moment.record.fact {
                println!("{:>4}  schedule {}: {event:?}", moment.position, number.0);
            }
        }
    }
    Ok(told)
}

/// The part of an id that can't be guessed.
fn random() -> Result<u64, String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(u64::from_le_bytes(bytes))
}

fn venue() -> Result<Venue, Box<dyn Error>> {
    let row = |id: &str, seats| -> Result<Row, Box<dyn Error>> {
        Ok(Row { id: id.into(), grade: GradeName::parse("R")?, line: None, seats: RowSeats::Length(seats) })
    };
    Ok(Venue {
        id: VenueId::parse("hall")?,
        name: "The Hall".into(),
        address: String::new(),
        kind: "hall".into(),
        time_zone: "Asia/Seoul".into(),
        stage: None,
        areas: vec![],
        sections: vec![Section {
            id: "A".into(),
            floor: "1".into(),
            outline: None,
            rows: vec![row("1", 10)?, row("2", 12)?],
        }],
    })
}

fn concert() -> Result<Concert, Box<dyn Error>> {
    Ok(Concert {
        id: ConcertId::parse("show")?,
        title: "A Show".into(),
        artist: "Someone".into(),
        description: None,
        venue: VenueId::parse("hall")?,
        poster_url: None,
        currency: Currency::parse("KRW")?,
        grades: vec![PricedGrade {
            name: GradeName::parse("R")?,
            price: Money::new(50_000).ok_or("too much")?,
            color: "#888888".into(),
            description: None,
            prices: BTreeMap::new(),
        }],
        cast: BTreeMap::new(),
        price_types: vec![],
        fees: vec![],
    })
}

fn plan(now: Timestamp) -> Plan {
    Plan {
        starts_at: now.plus(Seconds::DAY),
        ends_at: now.plus(Seconds::new(Seconds::DAY.get() + 7_200)),
        sales_open_at: None,
        sales_close_at: None,
        casting: BTreeMap::new(),
        policy: Policy::default(),
    }
}
