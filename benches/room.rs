//! A waiting room full of people: the rules alone with a million and ten million waiting, and joins that are
//! acknowledged (synced) on the real disk.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a benchmark fails loudly; criterion's macros make what isn't documented"
)]

mod crowd;
#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use crowd::{ID_LEN, Random, SIZES, act, apply_due, empty_room, fill, join_all, open_engine, opens_at, user};
use onsale::clock::Stopwatch;
use onsale::domain::schedule::policy::QueueOrder;
use onsale::domain::time::Seconds;
use onsale::domain::waiting_room::{BATCH_MAX, Command, Ticket, Tuning, WaitingRoom};
use support::{NOW, config};

/// How many steps are measured on one copy of a room.
const STEPS: u64 = 100_000;
/// How many tickets are looked up in turn.
const TICKETS: usize = 1 << 20;

fn full_room(people: u32, order: QueueOrder) -> WaitingRoom {
    let mut room = empty_room(order, 0);
    fill(&mut room, people, ID_LEN);
    room
}

/// Measures steps on copies of a room, so that it stays as full as it is said to be.
fn steps(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    room: &WaitingRoom,
    each: u64,
    mut run: impl FnMut(&mut WaitingRoom, u64) -> Duration,
) {
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|iterations| {
            // A few steps alone would measure how a copy just made comes into the caches.
            let copies = iterations.div_ceil(each);
            let took: Duration = (0..copies).map(|_| run(&mut room.clone(), each)).sum();
            Duration::from_secs_f64(took.as_secs_f64() * iterations as f64 / (copies * each) as f64)
        });
    });
}

/// Runs commands as an actor does, and returns how long that took.
fn run(room: &mut WaitingRoom, commands: &[Command]) -> Duration {
    let watch = Stopwatch::start();
    for command in commands {
        act(room, command, NOW);
    }
    watch.elapsed()
}

fn join(room: &mut WaitingRoom, count: u64) -> Duration {
    let first = room.joined_total() + 1;
    let tickets = first..first + u32::try_from(count).unwrap();
    let commands: Vec<_> = tickets.map(|ticket| Command::Join { user: user(ticket, ID_LEN) }).collect();
    run(room, &commands)
}

fn leave_anywhere(room: &mut WaitingRoom, count: u64) -> Duration {
    let mut random = Random(count);
    let mut waiting: Vec<u32> = (1..=room.joined_total()).collect();
    let command = |_| {
        let ticket = waiting.swap_remove(random.below(waiting.len()));
        Command::Leave { user: user(ticket, ID_LEN), ticket: Ticket(ticket) }
    };
    let commands: Vec<_> = (0..count).map(command).collect();
    run(room, &commands)
}

/// Admits the first in line, one each millisecond.
fn admit(room: &mut WaitingRoom, count: u64) -> Duration {
    let mut now = opens_at();
    // What a second saved up goes first.
    apply_due(room, now);
    let watch = Stopwatch::start();
    for _ in 0..count {
        now = now.plus_millis(1);
        assert_eq!(apply_due(room, now), 1);
    }
    watch.elapsed()
}

/// Admits as many by each event as one may.
fn admit_batches(room: &mut WaitingRoom, count: u64) -> Duration {
    act(room, &Command::Tune(Tuning { admit_per_minute: Some(None), ..Tuning::default() }), NOW);
    let now = opens_at();
    let watch = Stopwatch::start();
    for _ in 0..count {
        let event = room.due(now, |_| None).unwrap();
        room.apply(&event, now, None);
    }
    watch.elapsed()
}

fn positions(group: &mut BenchmarkGroup<'_, WallTime>, id: BenchmarkId, room: &WaitingRoom) {
    let mut random = Random(1);
    let joined = usize::try_from(room.joined_total()).unwrap();
    let ticket = |_| Ticket(u32::try_from(random.below(joined)).unwrap() + 1);
    let tickets: Vec<Ticket> = (0..TICKETS).map(ticket).collect();
    let mut at = 0;
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            at = (at + 1) % TICKETS;
            black_box(room.position(tickets[at]).unwrap())
        });
    });
}

/// Each step is what the actor does with a command: what is due, the decision, the event, what is due then.
fn rules(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("waiting room");
    group.sample_size(10);
    for (people, name) in SIZES {
        let id = |what: &str| BenchmarkId::new(what, name);
        let room = full_room(people, QueueOrder::Fifo);
        group.throughput(Throughput::Elements(1));
        steps(&mut group, id("join"), &room, STEPS, join);
        positions(&mut group, id("position"), &room);
        steps(&mut group, id("leave from anywhere"), &room, STEPS, leave_anywhere);
        steps(&mut group, id("admit the first"), &room, STEPS, admit);
        let batch = u64::try_from(BATCH_MAX).unwrap();
        group.throughput(Throughput::Elements(batch));
        steps(&mut group, id("admit the first 256 by one event"), &room, STEPS / batch, admit_batches);
    }
    group.finish();
}

/// What happens to everyone by one event. Both copies of a room apply it, and nothing else is applied meanwhile.
fn everyone(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("waiting room, everyone at once");
    group.sample_size(10);
    for (people, name) in SIZES {
        group.throughput(Throughput::Elements(people.into()));
        let mut room = full_room(people, QueueOrder::Shuffle);
        let drawn = room.due(opens_at(), |_| None).unwrap();
        group.bench_function(BenchmarkId::new("draw", name), |bencher| {
            let copy = || room.clone();
            let draw = |mut room: WaitingRoom| {
                room.apply(&drawn, opens_at(), None);
                room
            };
            bencher.iter_batched(copy, draw, BatchSize::PerIteration);
        });
        room.apply(&drawn, opens_at(), None);
        group.throughput(Throughput::Elements(1));
        positions(&mut group, BenchmarkId::new("position after the draw", name), &room);
        drop(room);

        group.throughput(Throughput::Elements(people.into()));
        let mut room = full_room(people, QueueOrder::Fifo);
        act(&mut room, &Command::Tune(Tuning { paused: Some(true), ..Tuning::default() }), NOW);
        let over = opens_at().plus(Seconds::DAY);
        group.bench_function(BenchmarkId::new("have waited too long", name), |bencher| {
            let copy = || room.clone();
            let expire = |mut room: WaitingRoom| {
                let event = room.due(over, |_| None).unwrap();
                room.apply(&event, over, None);
                room
            };
            bencher.iter_batched(copy, expire, BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Joins that are durable, by so many callers in one room; the room grows as they come.
fn acknowledged(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("acknowledged joins");
    group.sample_size(10).measurement_time(Duration::from_secs(6)).throughput(Throughput::Elements(1));
    for callers in [64, 256, 1_024] {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (engine, entry) = runtime.block_on(open_engine(config(dir.path())));
        let mut next = 0;
        group.bench_function(BenchmarkId::from_parameter(format!("{callers} callers")), |bencher| {
            bencher.iter_custom(|iterations| {
                // Fewer joins than callers would leave most of them idle.
                let joins = u32::try_from(iterations).unwrap().max(callers);
                let watch = Stopwatch::start();
                let made = runtime.block_on(join_all(&engine, &entry, callers, next, joins));
                let took = watch.elapsed();
                next += made;
                Duration::from_secs_f64(took.as_secs_f64() * iterations as f64 / f64::from(made))
            });
        });
        assert_eq!(entry.room().read().waiting(), next);
        runtime.block_on(engine.close()).unwrap();
    }
    group.finish();
}

criterion_group!(benches, rules, everyone, acknowledged);
criterion_main!(benches);
