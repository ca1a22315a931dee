//! Short histories with the real server, which must be one story, and falsified ones, which must not.

use std::path::PathBuf;

use clap::Parser;

use super::{
    Histories, Verdict,
    drive::{Counts, Shape, record},
    history::{Answered, Asked, History, Operation, Stands, Told},
    judge,
    project::CLOCKS_APART,
    seat::Status,
};

/// The real server, which `cargo test --workspace` builds beside this program.
fn server() -> PathBuf {
    let ours = std::env::current_exe().unwrap();
    let server = ours.parent().unwrap().parent().unwrap().join("onsale");
    assert!(server.is_file(), "{} isn't there: build the whole workspace", server.display());
    server
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    histories: Histories,
}

async fn recorded(seed: u64, hold_seconds: u64) -> History {
    let start = server();
    let arguments =
        ["histories", "--start", start.to_str().unwrap(), "--server-env", "ONSALE_JOURNAL_RESERVE_BYTES=0"];
    let options = Cli::parse_from(arguments).histories.server;
    let shape = Shape { operations: 1000, clients: 16, seats: 40, kills: 3, hold_seconds, seed };
    record(&options, shape).await.unwrap()
}

fn verdict(history: &History) -> Verdict {
    judge(history).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_everyone_was_told_while_the_server_was_killed_is_one_story() {
    let mut counts = Counts::default();
    let mut hang_ups = 0;
    for seed in 0..3 {
        let history = recorded(seed, 1).await;
        let verdict = verdict(&history);
        assert!(verdict.is_right(), "seed {seed}: {}", verdict.tell(&history));
        counts.add(&history);
        hang_ups += history.hang_ups;
    }
    let tried =
        [counts.unknown, counts.holds, counts.taken, counts.exchanges, counts.releases, counts.payments];
    assert!(tried.iter().all(|&count| count > 0) && hang_ups > 0, "everything was tried: {counts:?}");
}

/// A hold that was acknowledged, with its answer, and nothing else asked about it before its deadline is near.
fn acknowledged(history: &History) -> impl Iterator<Item = (&Operation, &Told)> {
    history.operations.iter().filter_map(|operation| match (&operation.asked, &operation.answered) {
        (Asked::Hold { .. }, Answered::Done(Some(told)))
            if operation.returned + CLOCKS_APART < told.expires
                && told.created + CLOCKS_APART > operation.invoked =>
        {
            Some((operation, told))
        }
        _ => None,
    })
}

/// Finds a hold that was acknowledged before a crash, of which the list after it says that it lives, by whose deadline that list was read, and with
/// which nobody did anything else.
fn survivor(history: &History) -> (usize, Told) {
    let touched = |owner| {
        history.operations.iter().any(|operation| match operation.asked {
            Asked::Exchange { owner: of, .. } | Asked::Release { owner: of } | Asked::Pay { owner: of } => {
                of == owner
            }
            Asked::Hold { .. } | Asked::Map | Asked::Look { .. } => false,
        })
    };
    let survives = |(hold, told): (&Operation, &Told)| {
        let Asked::Hold { owner, .. } = hold.asked else { return None };
        let life = hold.life + 1;
        let listed = history.lives.get(life)?;
        let found = listed.list.iter().flatten().find(|of| of.id == told.id && of.stands == Stands::Held)?;
        let in_time =
            listed.listed.1 + CLOCKS_APART < told.expires && hold.returned < history.lives[hold.life].killed;
        (in_time && !touched(owner)).then(|| (life, found.clone()))
    };
    acknowledged(history).find_map(survives).expect("one of many")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn falsified_histories_are_refused() {
    // Long enough that holds outlive a crash on a busy machine.
    let history = recorded(7, 60).await;
    let untouched = verdict(&history);
    assert!(untouched.is_right(), "{}", untouched.tell(&history));
    // The instant after an answer, at which nobody who was told has asked for anything yet.
    let at_once = |operation: &Operation| (operation.returned + 1, operation.returned + 2);

    let two_owners = {
        let mut history = history.clone();
        let (first, told) = acknowledged(&history).next().unwrap();
        let (owner, (invoked, returned)) = (usize::MAX, at_once(first));
        let answered = Answered::Done(Some(Told { id: "a-second-owner".into(), ..told.clone() }));
        let asked = Asked::Hold { owner, seats: told.seats.clone() };
        let second = Operation { asked, invoked, returned, answered, ..first.clone() };
        history.operations.push(second);
        history
    };
    let told = verdict(&two_owners);
    assert!(!told.offences.is_empty(), "a seat that was acknowledged twice");
    let words = told.tell(&two_owners);
    assert!(words.contains("a-second-owner): acknowledged"), "{words}");

    let stale = {
        let mut history = history.clone();
        let (hold, told) = acknowledged(&history).next().unwrap();
        let is_before = |operation: &&Operation| operation.returned < hold.invoked;
        let free = |operation: &Operation| {
            let Answered::Map(map) = &operation.answered else { return None };
            (map[told.seats[0]] == Status::Available).then(|| map.clone())
        };
        let map = history.operations.iter().filter(is_before).find_map(free).unwrap();
        let (invoked, returned) = at_once(hold);
        let read =
            Operation { asked: Asked::Map, answered: Answered::Map(map), invoked, returned, ..hold.clone() };
        history.operations.push(read);
        history
    };
    assert!(!verdict(&stale).offences.is_empty(), "a map as it was before a hold that is acknowledged");

    let (life, lost) = survivor(&history);
    let ended = {
        let mut history = history.clone();
        let told = history.lives[life].list.iter_mut().flatten().find(|told| told.id == lost.id).unwrap();
        told.stands = Stands::Ended;
        history
    };
    assert!(!verdict(&ended).is_right(), "a hold that is over after a crash");

    let missing = {
        let mut history = history.clone();
        for life in &mut history.lives[life..] {
            life.list.iter_mut().for_each(|list| list.retain(|told| told.id != lost.id));
        }
        history
    };
    assert!(!verdict(&missing).is_right(), "a hold that is missing after a crash");

    let free = {
        let mut history = history.clone();
        // The first map of a life is read by nobody but whoever lists.
        let (_, listed) = history.lives[life].listed;
        let first = history.operations.iter_mut().find(|operation| operation.invoked == listed).unwrap();
        let Answered::Map(map) = &mut first.answered else { panic!("{first:?}") };
        map[lost.seats[0]] = Status::Available;
        history
    };
    assert!(!verdict(&free).offences.is_empty(), "a seat of a live reservation that is free after a crash");
}
