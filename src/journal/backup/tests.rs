//! A copy is the log up to its position, whatever the log does meanwhile, or it is none.

use super::super::tests::{TestClock, all, append, append_numbered, config, numbered, start};
use super::super::{Journal, MemoryDisk, OpenError};
use super::*;

/// The parts of a log, as they come.
fn parts(backup: LogBackup) -> Vec<(bool, Vec<u8>)> {
    let mut parts = Vec::new();
    let shown = backup.for_each(|part| {
        parts.push(match part {
            LogPart::Generation(bytes) => (true, bytes.to_vec()),
            LogPart::Frame(bytes) => (false, bytes.to_vec()),
        });
        Ok::<_, ReadError>(())
    });
    shown.unwrap();
    parts
}

fn part((is_generation, bytes): &(bool, Vec<u8>)) -> LogPart<'_> {
    if *is_generation { LogPart::Generation(bytes) } else { LogPart::Frame(bytes) }
}

/// Writes parts to a directory.
fn write(dir: &Path, head: &[u8], parts: &[(bool, Vec<u8>)]) -> Result<Position, BackupError> {
    let mut copy = LogCopy::create(dir, head)?;
    parts.iter().try_for_each(|one| copy.put(part(one)))?;
    copy.finish()
}

/// A log of three generations with 40 records, of which the last is larger than a frame.
async fn log() -> (MemoryDisk, Journal) {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    append_numbered(&journal, 1, 20).await;
    journal.rotate().await.unwrap();
    append_numbered(&journal, 21, 39).await;
    journal.rotate().await.unwrap();
    append(&journal, &[&vec![7; 300_000]]).await;
    (disk, journal)
}

#[tokio::test]
async fn a_copy_of_a_log_that_is_written_is_that_log_up_to_its_position() {
    let (_disk, journal) = log().await;
    let backup = journal.back_up().unwrap();
    let (head, position) = (backup.head().unwrap(), backup.position());
    append_numbered(&journal, 41, 60).await;
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    assert_eq!(write(&copy, &head, &parts(backup)).unwrap(), position);
    assert_eq!(position, Position::new(40));

    let opened = Journal::open(config(&copy)).unwrap();
    assert!(opened.was_clean() && opened.notes().is_empty());
    assert_eq!((opened.log_id(), opened.last()), (journal.log_id(), position));
    let mut expected = numbered(39);
    expected.push((40, vec![7; 300_000]));
    assert_eq!(all(opened.read(Position::START)), expected);

    // It goes on by itself.
    let copied = opened.start(TestClock::default().hooks()).unwrap();
    assert_eq!(append(&copied, &[b"41"]).await.first, Position::new(41));
}

#[tokio::test]
async fn what_is_read_is_not_deleted_before() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = config(dir.path());
    settings.retain = super::super::Retain::Snapshot;
    let journal = Journal::open(settings).unwrap().start(TestClock::default().hooks()).unwrap();
    append_numbered(&journal, 1, 5).await;
    let backup = journal.back_up().unwrap();
    for last in [6, 7, 8] {
        append_numbered(&journal, last, last).await;
        let position = journal.durable();
        journal.begin_snapshot(position, 0).unwrap().finish().unwrap();
        journal.rotate().await.unwrap();
    }
    assert_eq!(journal.oldest(), Position::new(1), "the oldest generation is held");
    assert_eq!(parts(backup).len(), 6);
    journal.rotate().await.unwrap();
    assert!(journal.oldest() > Position::new(1), "and no longer than it is read");
}

#[tokio::test]
async fn a_copy_with_a_part_that_is_missing_changed_or_of_another_log_is_refused() {
    let (_disk, journal) = log().await;
    let backup = journal.back_up().unwrap();
    let (head, whole) = (backup.head().unwrap(), parts(backup));
    let dir = tempfile::tempdir().unwrap();
    let fails = |name: &str, parts: &[(bool, Vec<u8>)]| {
        let copy = dir.path().join(name);
        let error = write(&copy, &head, parts).unwrap_err();
        // What isn't finished can't be opened, once there is anything in it.
        let is_empty = std::fs::read_dir(copy.join("journal")).unwrap().next().is_none();
        let refused = matches!(Journal::open(config(&copy)), Err(OpenError::Damaged { .. }));
        assert!(refused != is_empty, "{name}");
        error.to_string()
    };
    for index in 0..whole.len() {
        // Without a later header, its frames go on in the generation before, which is as good.
        if index == 0 || !whole[index].0 {
            let mut parts = whole.clone();
            parts.remove(index);
            fails(&format!("without {index}"), &parts);
        }
        let mut parts = whole.clone();
        let middle = parts[index].1.len() / 2;
        parts[index].1[middle] ^= 1;
        fails(&format!("changed {index}"), &parts);
    }
    let short = fails("short", &whole[..whole.len() - 1]);
    assert!(short.contains("stops before its last frame"), "{short}");
    assert_eq!(whole.iter().filter(|(is_generation, _)| *is_generation).count(), 3);

    let (_other, journal) = log().await;
    let others = parts(journal.back_up().unwrap());
    fails("another log's", &others);
    for length in [0, 63, 64, 79, 81] {
        let head: Vec<u8> = head.iter().copied().chain([0]).take(length).collect();
        let made = LogCopy::create(&dir.path().join("head"), &head);
        assert!(matches!(made, Err(BackupError::Head)), "{length}");
    }
}

#[tokio::test]
async fn an_empty_log_has_a_copy() {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    let backup = journal.back_up().unwrap();
    let head = backup.head().unwrap();
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("copy"), &head, &parts(backup)).unwrap();
    let opened = Journal::open(config(&dir.path().join("copy"))).unwrap();
    assert_eq!(opened.last(), Position::START);
}
