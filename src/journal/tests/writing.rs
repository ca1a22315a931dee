//! Group commit: order, barriers, large entries, fail-stop, and nothing told before it is durable.

use std::sync::Mutex;

use super::*;
use crate::journal::frame::PAYLOAD_LEN_MAX;

#[tokio::test]
async fn what_was_appended_is_read_back_in_order() {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    let first = append(&journal, &[b"1", b"2"]).await;
    assert_eq!((first.first.get(), first.last.get()), (1, 2));
    append_numbered(&journal, 3, 5).await;
    assert_eq!(journal.durable(), Position::new(5));
    assert_eq!(all(journal.read(Position::START)), numbered(5));
    assert_eq!(all(journal.read(Position::new(1))), numbered(5)[1..]);
    assert_eq!(all(journal.read(Position::new(5))), []);
    let mut seen = Vec::new();
    journal
        .for_each(Position::new(1), |position, record| {
            seen.push((position.get(), record.to_vec()));
            Ok::<_, ReadError>(())
        })
        .unwrap();
    assert_eq!(seen, numbered(5)[1..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_comes_before_the_sync() {
    for driver in [Driver::Task, Driver::Thread] {
        let disk = MemoryDisk::new();
        let settings = JournalConfig { driver, ..config(std::path::Path::new("/nonexistent")) };
        let opened = Journal::open_in(settings, Arc::new(disk.clone())).unwrap();
        let journal = opened.start(TestClock::default().hooks()).unwrap();
        disk.hold_syncs();
        let mut answer = queue(&journal, records(&[b"held"])).await;
        let waited = disk.clone();
        tokio::task::spawn_blocking(move || waited.wait_for_held_sync()).await.unwrap();
        assert!(answer.try_recv().is_err());
        assert_eq!(journal.durable(), Position::START);
        assert_eq!(*journal.watch().borrow(), Position::START);
        assert_eq!(all(journal.read(Position::START)), []);
        assert_eq!(all(recover(&disk.crashed()).unwrap().read(Position::START)), []);
        disk.release_syncs();
        assert_eq!(answer.await.unwrap().unwrap().first, Position::new(1));
        assert_eq!(all(recover(&disk.crashed()).unwrap().read(Position::START)), [(1, b"held".to_vec())]);
    }
}

#[tokio::test]
async fn completions_run_in_the_order_of_the_entries_and_barriers_keep_their_place() {
    let journal = start(&MemoryDisk::new());
    let order = Arc::new(Mutex::new(Vec::new()));
    for number in 0..100_u32 {
        let (order, entry) =
            (Arc::clone(&order), if number % 3 == 0 { records(&[]) } else { records(&[b"record"]) });
        let done = Box::new(move |result: Result<Committed, CommitError>| {
            order.lock().unwrap().push((number, result.unwrap().last.get()));
        });
        journal.reserve().await.unwrap().send(Entry { records: entry, done });
    }
    assert_eq!(journal.barrier().await, Ok(Position::new(66)));
    let order = order.lock().unwrap();
    let expected: Vec<_> = (0..100_u32).map(|number| (number, u64::from(number - number / 3))).collect();
    assert_eq!(*order, expected);
}

#[tokio::test]
async fn a_barrier_answers_only_after_everything_before_it_is_durable() {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    let syncs = disk.syncs();
    assert_eq!(journal.barrier().await, Ok(Position::START));
    assert_eq!(disk.syncs(), syncs, "nothing to sync");
    let _answer = queue(&journal, records(&[b"before"])).await;
    assert_eq!(journal.barrier().await, Ok(Position::new(1)));
    assert_eq!(all(recover(&disk.crashed()).unwrap().read(Position::START)).len(), 1);
}

#[tokio::test]
async fn a_batch_larger_than_a_frame_is_synced_frame_by_frame() {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    let syncs = disk.syncs();
    let record = vec![7; PAYLOAD_LEN_MAX / 2 + 1];
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(queue(&journal, records(&[&record])).await);
    }
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(disk.syncs() - syncs, 3);
    assert_eq!(all(journal.read(Position::START)).len(), 3);
}

#[tokio::test]
async fn entries_of_every_size_around_the_limits_come_back_whole() {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    let mut expected = Vec::new();
    for base in [0, 4096 - 60, 4096 - 4, PAYLOAD_LEN_MAX - 4, 2 * PAYLOAD_LEN_MAX - 4, 1 << 20] {
        for length in base.saturating_sub(2)..base + 3 {
            let record: Vec<u8> = (0..=250).cycle().take(length).collect();
            let committed = append(&journal, &[&record, b"and one more"]).await;
            expected.push((committed.first.get(), record));
            expected.push((committed.last.get(), b"and one more".to_vec()));
        }
    }
    assert_eq!(all(journal.read(Position::START)), expected);
    let recovered = recover(&disk.crashed()).unwrap();
    assert_eq!(all(recovered.read(Position::START)), expected);
    assert!(recovered.notes().is_empty());
}

#[tokio::test]
async fn after_any_injected_error_nothing_is_written_again_and_reads_go_on() {
    let faults: [fn(&MemoryDisk); 3] =
        [|disk| disk.fail_write(1), |disk| disk.fail_flush(1), |disk| disk.fail_sync(1)];
    for fault in faults {
        let disk = MemoryDisk::new();
        let journal = start(&disk);
        append(&journal, &[b"1"]).await;
        let syncs = disk.syncs();
        fault(&disk);
        let failed = queue(&journal, records(&[b"2"])).await;
        let also = queue(&journal, records(&[b"3"])).await;
        assert_eq!(failed.await.unwrap(), Err(CommitError::OutcomeUnknown));
        assert_eq!(also.await.unwrap(), Err(CommitError::OutcomeUnknown), "it was in the same frame");
        assert!(journal.failure().unwrap().contains("injected"));
        assert_eq!(journal.barrier().await, Err(CommitError::Unavailable));
        assert_eq!(journal.rotate().await, Err(CommitError::Unavailable));
        assert_eq!(disk.syncs(), syncs, "no sync is tried again");
        assert_eq!(all(journal.read(Position::START)), numbered(1));
        assert_eq!(journal.durable(), Position::new(1));
        assert_eq!(journal.close().await, Err(CommitError::Unavailable));
        let recovered = recover(&disk.crashed()).unwrap();
        assert_eq!(all(recovered.read(Position::START)), numbered(1));
        assert!(!recovered.was_clean());
    }
}

#[tokio::test]
async fn only_the_frame_that_failed_has_an_unknown_outcome() {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    let record = vec![7; PAYLOAD_LEN_MAX - 4];
    disk.fail_sync(2);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(queue(&journal, records(&[&record])).await);
    }
    answers.push(queue(&journal, records(&[b"small"])).await);
    answers.push(queue(&journal, records(&[])).await);
    answers.push(queue(&journal, records(&[&vec![7; PAYLOAD_LEN_MAX]])).await);
    let mut found = Vec::new();
    for answer in answers {
        found.push(answer.await.unwrap().map(|committed| committed.last));
    }
    assert_eq!(found[..2], [Ok(Position::new(1)), Err(CommitError::OutcomeUnknown)]);
    assert_eq!(found[2..], [Err(CommitError::Unavailable); 4]);
}

#[tokio::test]
async fn a_completion_that_panics_does_not_stop_the_writer() {
    let journal = start(&MemoryDisk::new());
    let done = Box::new(|_| panic!("a planted bug"));
    journal.reserve().await.unwrap().send(Entry { records: records(&[b"1"]), done });
    append(&journal, &[b"2"]).await;
    assert_eq!(all(journal.read(Position::START)), numbered(2));
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait() {
    let settings = JournalConfig { queue_len_max: 2, ..config(std::path::Path::new("/nonexistent")) };
    let opened = Journal::open_in(settings, Arc::new(MemoryDisk::new())).unwrap();
    let journal = opened.start(TestClock::default().hooks()).unwrap();
    let one = journal.try_reserve().unwrap();
    let two = journal.try_reserve().unwrap();
    assert!(one.is_some() && two.is_some());
    assert!(journal.try_reserve().unwrap().is_none());
    drop(one);
    assert!(journal.try_reserve().unwrap().is_some());
}

#[tokio::test]
async fn every_commit_is_observed_once_with_what_it_wrote() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::clone(&seen);
    let hooks = Hooks {
        observer: Arc::new(move |stats: &CommitStats| observed.lock().unwrap().push(*stats)),
        ..TestClock::default().hooks()
    };
    let journal = recover(&MemoryDisk::new()).unwrap().start(hooks).unwrap();
    append(&journal, &[b"1", b"2"]).await;
    journal.barrier().await.unwrap();
    append(&journal, &[&vec![0; 300_000]]).await;
    let seen = seen.lock().unwrap();
    let shape: Vec<_> = seen.iter().map(|stats| (stats.entries, stats.records, stats.frames)).collect();
    assert_eq!(shape, [(1, 2, 1), (1, 1, 3)]);
    assert_eq!(seen[0].bytes, 56 + 5 + 5);
}

#[tokio::test(start_paused = true)]
async fn the_mark_follows_the_durable_position_and_the_clock() {
    let (disk, clock) = (MemoryDisk::new(), TestClock::default());
    let journal = recover(&disk).unwrap().start(clock.hooks()).unwrap();
    append_numbered(&journal, 1, 3).await;
    clock.set(70);
    tokio::time::sleep(core::time::Duration::from_millis(150)).await;
    let mark = || mark::Mark::parse(&disk.read(mark::FILE).unwrap().unwrap()).unwrap();
    assert_eq!((mark().durable, mark().instant), (Ordinal::new(3), 70));
    clock.set(90);
    tokio::time::sleep(core::time::Duration::from_millis(500)).await;
    assert_eq!(mark().instant, 70, "nothing moved");
    tokio::time::sleep(core::time::Duration::from_secs(1)).await;
    assert_eq!(mark().instant, 90, "still alive");
    assert_eq!(recover(&disk.crashed()).unwrap().last_alive_instant(), Some(90));
}

#[tokio::test(start_paused = true)]
async fn until_the_outage_is_crossed_the_mark_says_since_when_the_engine_was_down() {
    let (disk, clock) = (MemoryDisk::new(), TestClock::default());
    clock.set(90);
    let journal = recover(&disk).unwrap().start_down_since(clock.hooks(), 40).unwrap();
    append_numbered(&journal, 1, 3).await;
    tokio::time::sleep(core::time::Duration::from_secs(3)).await;
    let crashed = recover(&disk.crashed()).unwrap();
    assert_eq!((crashed.last(), crashed.unbridged_since()), (Position::new(3), Some(40)));
    let queued = queue(&journal, records(&[b"4"])).await;
    journal.bridged().await.unwrap();
    let crashed = recover(&disk.crashed()).unwrap();
    assert!(queued.await.unwrap().is_ok());
    assert_eq!((crashed.last(), crashed.unbridged_since()), (Position::new(4), None));
    assert_eq!(crashed.last_alive_instant(), Some(90));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_drains_what_was_queued_and_leaves_a_clean_stop() {
    for driver in [Driver::Task, Driver::Thread] {
        let disk = MemoryDisk::new();
        let settings = JournalConfig { driver, ..config(std::path::Path::new("/nonexistent")) };
        let opened = Journal::open_in(settings, Arc::new(disk.clone())).unwrap();
        let journal = opened.start(TestClock::default().hooks()).unwrap();
        let answer = queue(&journal, records(&[b"1"])).await;
        let clone = journal.clone();
        assert_eq!(journal.close().await, Ok(Position::new(1)));
        assert!(answer.await.unwrap().is_ok());
        assert_eq!(clone.barrier().await, Err(CommitError::Unavailable));
        assert!(matches!(clone.read(Position::START).next(), Some(Err(ReadError::Closed))));
        let recovered = recover(&disk.crashed()).unwrap();
        assert!(recovered.was_clean());
        assert_eq!(recovered.last(), Position::new(1));
    }
}
