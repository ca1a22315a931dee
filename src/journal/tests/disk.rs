//! On a real directory: locks, copies, generations, snapshots, retention, inspection, a full disk.

use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::journal::snapshot::{SnapshotError, SnapshotWriter};

fn open(dir: &Path) -> Recovering {
    opened(dir).unwrap()
}

/// Whether an opening found the log's lock held.
fn is_locked_out(opened: &Result<Recovering, OpenError>) -> bool {
    opened.as_ref().is_err_and(|error| error.to_string().contains("in use"))
}

/// Opens a log that nobody else opens. Other tests start programs meanwhile, each of which has all locks of this process for a moment.
fn opened(dir: &Path) -> Result<Recovering, OpenError> {
    loop {
        let opened = Journal::open(config(dir));
        if !is_locked_out(&opened) {
            return opened;
        }
        std::thread::yield_now();
    }
}

fn run(dir: &Path) -> Journal {
    open(dir).start(TestClock::default().hooks()).unwrap()
}

/// Ends a journal as a kill would: without a mark or a clean-stop marker. The lock goes with the last clone.
async fn kill(dir: &Path, journal: Journal) {
    drop(journal);
    // The writer's task drops its share when it has seen that every sender is gone.
    while is_locked_out(&Journal::open(config(dir))) {
        tokio::task::yield_now().await;
    }
}

fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    let done = Command::new("cp").arg("-a").arg(from.join(".")).arg(to.path()).status().unwrap();
    assert!(done.success());
    to
}

/// A directory as a power cut leaves it, with the numbers 1 to `last`, all marked.
async fn stopped_hard(last: u64) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let journal = run(dir.path());
    append_numbered(&journal, 1, last).await;
    journal.close().await.unwrap();
    fs::remove_file(dir.path().join("clean")).unwrap();
    dir
}

fn generation(dir: &Path) -> std::path::PathBuf {
    dir.join("journal/gen-0000000001")
}

#[tokio::test]
async fn a_log_on_disk_survives_a_clean_stop_and_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let journal = run(dir.path());
    append_numbered(&journal, 1, 50).await;
    // What a crash leaves is what the directory holds while the journal runs.
    let crash = copy(dir.path());
    append(&journal, &[&vec![1; 1 << 20]]).await;
    journal.close().await.unwrap();
    assert_eq!(fs::read_dir(generation(dir.path()).join("blobs")).unwrap().count(), 0);

    let crashed = open(crash.path());
    assert!(!crashed.was_clean());
    assert_eq!(all(crashed.read(Position::START)), numbered(50));
    assert!(crash.path().join("journal/gen-0000000001.before-recovery").is_dir());
    let (log_id, secret) = (crashed.log_id(), crashed.fingerprint_key());
    crashed.start(TestClock::default().hooks()).unwrap().close().await.unwrap();
    assert!(!crash.path().join("journal/gen-0000000001.before-recovery").exists());

    let clean = open(dir.path());
    assert!(clean.was_clean());
    assert_eq!(clean.last(), Position::new(51));
    assert_eq!((clean.log_id(), clean.fingerprint_key()), (log_id, secret));
}

#[tokio::test]
async fn a_second_opening_is_refused_and_names_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let journal = run(dir.path());
    let text = Journal::open(config(dir.path())).err().unwrap().to_string();
    assert!(text.contains("in use") && text.contains(dir.path().to_str().unwrap()), "{text}");
    assert!(Inspection::open(dir.path(), None).is_err());
    kill(dir.path(), journal).await;
}

#[tokio::test]
async fn a_directory_that_was_replaced_gets_nothing_and_nothing_more_is_acknowledged() {
    let parent = tempfile::tempdir().unwrap();
    let (dir, moved) = (parent.path().join("data"), parent.path().join("data.old"));
    let journal = run(&dir);
    append_numbered(&journal, 1, 3).await;
    let backup = copy(&dir);
    fs::rename(&dir, &moved).unwrap();
    fs::rename(backup.path(), &dir).unwrap();
    let snapshot = journal.begin_snapshot(Position::new(3), 1);
    assert!(snapshot.err().unwrap().to_string().contains("replaced"));
    let entry = queue(&journal, records(&[&[4]])).await.await.unwrap();
    // The entry meets it, or a mark that was to be written just before.
    let refused = entry.unwrap_err();
    assert!(matches!(refused, CommitError::OutcomeUnknown | CommitError::Unavailable), "{refused:?}");
    assert!(journal.failure().unwrap().contains("was moved or replaced"));
    drop(journal);
    // Another engine may have it, as it was.
    let restored = open(&dir);
    assert_eq!(restored.last(), Position::new(3));
}

#[tokio::test]
async fn the_secret_is_for_the_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = stopped_hard(1).await;
    assert_eq!(fs::metadata(dir.path().join("identity")).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_snapshot_of_the_store_left_half_made_does_not_stop_the_opening() {
    let dir = stopped_hard(3).await;
    fs::write(generation(dir.path()).join("snap.FFFFFFFFFFFFFFFF.generating"), b"half").unwrap();
    let recovered = open(dir.path());
    assert_eq!(recovered.last(), Position::new(3));
    assert!(recovered.notes().is_empty(), "{:?}", recovered.notes());
}

#[tokio::test]
async fn a_damaged_snapshot_of_the_store_is_rebuilt_from_its_log() {
    let dir = stopped_hard(3).await;
    drop(open(dir.path()));
    let mut damaged = 0;
    for entry in fs::read_dir(generation(dir.path())).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("snap.") {
            let mut bytes = fs::read(&path).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 0xff;
            fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged > 0, "sled keeps a snapshot");
    let recovered = open(dir.path());
    assert_eq!(all(recovered.read(Position::START)), numbered(3));
    assert!(recovered.notes().iter().any(|note| note.contains("fresh copy")), "{:?}", recovered.notes());
}

#[tokio::test]
async fn an_emptied_truncated_or_missing_store_is_refused_and_can_be_put_back() {
    for length in [0, 512, 4096, 300_000] {
        let dir = stopped_hard(200).await;
        let db = generation(dir.path()).join("db");
        let whole = fs::read(&db).unwrap();
        if length >= whole.len() {
            continue;
        }
        for name in fs::read_dir(generation(dir.path())).unwrap().map(|entry| entry.unwrap().path()) {
            if name.file_name().unwrap().to_str().unwrap().starts_with("snap.") {
                fs::remove_file(name).unwrap();
            }
        }
        fs::write(&db, &whole[..length]).unwrap();
        for _ in 0..2 {
            match opened(dir.path()) {
                Err(error) => assert!(error.to_string().contains("onsale verify"), "{error}"),
                Ok(opened) => assert_eq!(all(opened.read(Position::START)), numbered(200), "{length} bytes"),
            }
        }
    }
    let dir = stopped_hard(5).await;
    let db = generation(dir.path()).join("db");
    fs::rename(&db, dir.path().join("kept")).unwrap();
    assert!(Journal::open(config(dir.path())).is_err());
    assert!(!db.exists(), "nothing was made in its place");
}

#[tokio::test]
async fn a_refused_opening_leaves_the_evidence_for_the_next_one() {
    let dir = stopped_hard(200).await;
    let db = generation(dir.path()).join("db");
    let damaged = vec![0; fs::read(&db).unwrap().len()];
    fs::write(&db, &damaged).unwrap();
    for _ in 0..2 {
        assert!(Journal::open(config(dir.path())).is_err());
        assert_eq!(fs::read(dir.path().join("journal/gen-0000000001.recovering/db")).unwrap(), damaged);
    }
}

#[tokio::test]
async fn after_a_crash_the_log_goes_on_in_a_copy() {
    use std::os::unix::fs::MetadataExt;
    let dir = stopped_hard(20).await;
    let journal = dir.path().join("journal");
    let which = |name: &str| fs::metadata(journal.join(name).join("db")).unwrap().ino();
    let left = which("gen-0000000001");
    let opened = open(dir.path());
    assert_eq!(which("gen-0000000001.before-recovery"), left);
    assert_ne!(
        which("gen-0000000001"),
        left,
        "an error of the disk may be hidden by what is in memory of it"
    );
    assert_eq!(all(opened.read(Position::START)), numbered(20));
    drop(opened);

    // A start is killed when the one is gone by its name, and the other isn't there yet.
    fs::rename(generation(dir.path()), journal.join("gen-0000000001.recovering")).unwrap();
    fs::create_dir(journal.join("gen-0000000001.copying")).unwrap();
    assert_eq!(all(open(dir.path()).read(Position::START)), numbered(20));
    assert!(!journal.join("gen-0000000001.copying").exists());
}

#[tokio::test]
async fn a_generation_that_was_not_finished_is_put_aside() {
    let dir = stopped_hard(3).await;
    fs::create_dir(dir.path().join("journal/gen-0000000002")).unwrap();
    let recovered = open(dir.path());
    assert_eq!(recovered.last(), Position::new(3));
    assert!(recovered.notes()[0].contains("generation 2"), "{:?}", recovered.notes());
    assert!(dir.path().join("journal/gen-0000000002.incomplete").is_dir());
}

/// An earlier version wrote the header in place, so that a kill or a full disk could cut it short.
#[tokio::test]
async fn a_newest_generation_whose_header_was_cut_short_is_put_aside_at_every_byte() {
    let dir = stopped_hard(3).await;
    let header = fs::read(generation(dir.path()).join("generation")).unwrap();
    for length in 0..header.len() {
        let copy = copy(dir.path());
        let next = copy.path().join("journal/gen-0000000002");
        fs::create_dir(&next).unwrap();
        fs::write(next.join("generation"), &header[..length]).unwrap();

        let inspection = Inspection::open(copy.path(), None).unwrap();
        assert_eq!(inspection.generations(), [1, 2], "{length} bytes");
        assert!(inspection.is_unfinished(2).unwrap() && !inspection.is_unfinished(1).unwrap());
        drop(inspection);

        let recovered = open(copy.path());
        assert_eq!(all(recovered.read(Position::START)), numbered(3));
        assert!(recovered.notes()[0].contains("generation 2 was not finished"), "{:?}", recovered.notes());
    }
}

#[tokio::test]
async fn a_generation_is_sealed_whole_or_not_at_all() {
    let dir = stopped_hard(3).await;
    let sealed = generation(dir.path());
    assert!(sealed.join("generation").is_file() && !sealed.join("generation.partial").exists());

    // Where the header can't be finished, what was begun goes.
    let medium = DataDir::open(dir.path()).unwrap();
    drop(medium.create_generation(2).unwrap());
    let next = dir.path().join("journal/gen-0000000002");
    fs::create_dir(next.join("generation")).unwrap();
    medium.seal_generation(2, b"header").unwrap_err();
    assert!(!next.join("generation.partial").exists());
}

fn take_snapshot(dir: &Path, log_id: u128, position: u64) {
    let mut writer = SnapshotWriter::create(dir, log_id, Position::new(position), position * 10, 0).unwrap();
    writer.section(format!("state at {position}").as_bytes()).unwrap();
    writer.section(b"").unwrap();
    writer.finish().unwrap();
}

fn snapshots(dir: &Path) -> Vec<u64> {
    snapshot::list(dir).unwrap().into_iter().map(|(position, _)| position.get()).collect()
}

/// Five generations of ten records, a snapshot before each rotation, rotations 1,000 ms apart.
async fn five_generations(dir: &Path, retain: Retain) -> Journal {
    let clock = TestClock::default();
    let settings = JournalConfig { retain, ..config(dir) };
    let journal = Journal::open(settings).unwrap().start(clock.hooks()).unwrap();
    for generation in 0..4 {
        append_numbered(&journal, generation * 10 + 1, generation * 10 + 10).await;
        take_snapshot(dir, journal.log_id(), generation * 10 + 10);
        clock.set((generation + 1) * 1000);
        journal.rotate().await.unwrap();
    }
    append_numbered(&journal, 41, 50).await;
    journal
}

/// Whether a snapshot after `records` records and `age` milliseconds ends the generation.
async fn ends_a_generation(retain: Retain, records: u64, age: u64) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let settings = JournalConfig { retain, ..config(dir.path()) };
    let journal = Journal::open(settings).unwrap().start(clock.hooks()).unwrap();
    let one = [b"record".as_slice()];
    let entries = usize::try_from(records).unwrap();
    append(&journal, &one.repeat(entries)).await;
    clock.set(age);
    journal.follow_snapshot().await.unwrap();
    append(&journal, &one).await;
    dir.path().join("journal/gen-0000000002").is_dir()
}

#[tokio::test]
async fn a_snapshot_ends_a_generation_that_is_large_or_old_and_each_where_nothing_else_is_retained() {
    const HOURS_6: u64 = 6 * 3_600_000;
    let week = Retain::For(Duration::from_hours(168));
    assert!(!ends_a_generation(week, 16_383, HOURS_6 - 1).await);
    assert!(ends_a_generation(week, 16_384, 0).await);
    assert!(ends_a_generation(week, 1, HOURS_6).await);
    assert!(!ends_a_generation(Retain::Forever, 1, 0).await);
    assert!(ends_a_generation(Retain::Snapshot, 1, 0).await);
}

#[tokio::test]
async fn retention_keeps_what_the_two_newest_snapshots_need() {
    let dir = tempfile::tempdir().unwrap();
    let journal = five_generations(dir.path(), Retain::Snapshot).await;
    assert_eq!(snapshots(dir.path()), [40, 30]);
    assert_eq!(journal.oldest(), Position::new(31));
    assert_eq!(all(journal.read(Position::new(30))), numbered(50)[30..]);
    let gone = journal.read(Position::new(29)).next().unwrap();
    assert!(matches!(gone, Err(ReadError::Gone { oldest }) if oldest == Position::new(31)));
    journal.close().await.unwrap();
    assert_eq!(all(open(dir.path()).read(Position::new(30))), numbered(50)[30..]);
}

#[tokio::test]
async fn a_generation_with_one_record_behind_the_base_stays() {
    let dir = tempfile::tempdir().unwrap();
    let settings = JournalConfig { retain: Retain::Snapshot, ..config(dir.path()) };
    let journal = Journal::open(settings).unwrap().start(TestClock::default().hooks()).unwrap();
    append_numbered(&journal, 1, 10).await;
    take_snapshot(dir.path(), journal.log_id(), 9);
    take_snapshot(dir.path(), journal.log_id(), 10);
    journal.rotate().await.unwrap();
    assert_eq!(journal.oldest(), Position::new(1), "the snapshot at 9 needs the record at 10");
    take_snapshot(dir.path(), journal.log_id(), 11);
    journal.rotate().await.unwrap();
    assert_eq!(journal.oldest(), Position::new(11));
}

#[tokio::test]
async fn retention_by_time_keeps_the_snapshot_that_its_history_begins_from() {
    let dir = tempfile::tempdir().unwrap();
    // At 4,000 ms, 1,500 ms back is in the third generation, from position 21 on: its base is the snapshot at 20.
    let journal = five_generations(dir.path(), Retain::For(Duration::from_millis(1500))).await;
    assert_eq!(snapshots(dir.path()), [40, 30, 20]);
    assert_eq!(journal.oldest(), Position::new(21));
}

#[test]
fn a_snapshot_that_is_not_finished_is_gone_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let files = || fs::read_dir(dir.path().join("snapshots")).unwrap().count();
    let mut given_up = SnapshotWriter::create(dir.path(), 7, Position::new(1), 0, 0).unwrap();
    given_up.section(b"state").unwrap();
    assert_eq!(files(), 1);
    drop(given_up);
    assert_eq!(files(), 0);

    // No disk has so much room.
    let mut too_large = SnapshotWriter::create(dir.path(), 7, Position::new(1), 0, u64::MAX).unwrap();
    let refused = too_large.section(b"state");
    assert!(matches!(refused, Err(SnapshotError::NoRoom { kept: u64::MAX, .. })), "{refused:?}");
    drop(too_large);
    assert_eq!(files(), 0);
}

#[tokio::test]
async fn a_snapshot_is_not_begun_where_the_journal_needs_the_room() {
    let dir = tempfile::tempdir().unwrap();
    let begin = async |reserve_bytes| {
        // In memory there is no reserve file, whatever its size.
        let settings = JournalConfig { reserve_bytes, ..config(dir.path()) };
        let opened = Journal::open_in(settings, Arc::new(MemoryDisk::new())).unwrap();
        let journal = opened.start(TestClock::default().hooks()).unwrap();
        journal.begin_snapshot(Position::START, 0).map(drop)
    };
    assert!(begin(0).await.is_ok());
    let refused = begin(u64::MAX).await;
    assert!(matches!(refused, Err(SnapshotError::NoRoom { .. })), "{refused:?}");
    assert_eq!(fs::read_dir(dir.path().join("snapshots")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_generation_that_cannot_be_deleted_stays_the_oldest_and_leaves_no_gap() {
    let dir = tempfile::tempdir().unwrap();
    let journal = five_generations(dir.path(), Retain::Snapshot).await;
    let oldest = journal.oldest();
    let numbers = || store::numbers_with(&dir.path().join("journal"), "").unwrap();
    let in_the_way = dir.path().join("journal").join(format!("gen-{:010}.removed", numbers()[0]));
    fs::write(&in_the_way, b"not a directory").unwrap();
    for last in [60, 70] {
        append_numbered(&journal, last - 9, last).await;
        take_snapshot(dir.path(), journal.log_id(), last);
        journal.rotate().await.unwrap();
        assert_eq!(journal.oldest(), oldest);
    }
    journal.close().await.unwrap();

    fs::remove_file(&in_the_way).unwrap();
    let settings = JournalConfig { retain: Retain::Snapshot, ..config(dir.path()) };
    let journal = Journal::open(settings).unwrap().start(TestClock::default().hooks()).unwrap();
    assert_eq!(all(journal.read(oldest)), numbered(70)[usize::try_from(oldest.get()).unwrap()..]);
    journal.rotate().await.unwrap();
    assert_eq!(journal.oldest(), Position::new(61));
    assert_eq!(numbers().len(), 3, "those from 61 on, and two without a record");
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_deletion_that_was_cut_short_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path()).close().await.unwrap();
    let medium = DataDir::open(dir.path()).unwrap();
    fs::rename(generation(dir.path()), generation(dir.path()).with_extension("removed")).unwrap();
    medium.remove_generation(1).unwrap();
    assert!(medium.generations().unwrap().is_empty());
    assert!(!generation(dir.path()).with_extension("removed").exists());
}

#[tokio::test]
async fn old_snapshots_are_thinned_out_and_the_history_reaches_as_far() {
    const HOUR: u64 = 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let clock = TestClock::default();
    let settings = JournalConfig { retain: Retain::For(Duration::from_hours(72)), ..config(dir.path()) };
    let journal = Journal::open(settings).unwrap().start(clock.hooks()).unwrap();
    // Five days, and a snapshot every twenty minutes: the position tells the time.
    for turn in 1..=360 {
        let now = turn * HOUR / 3;
        clock.set(now);
        append_numbered(&journal, turn, turn).await;
        let log_id = journal.log_id();
        let writer = SnapshotWriter::create(dir.path(), log_id, Position::new(turn), now, 0).unwrap();
        writer.finish().unwrap();
        journal.rotate().await.unwrap();
    }

    let hourly = (96..=120).map(|hour| hour * 3);
    let daily = [72, 144, 216];
    let expected: std::collections::BTreeSet<u64> =
        [357, 358, 359, 360].into_iter().chain(hourly).chain(daily).collect();
    assert_eq!(snapshots(dir.path()), expected.into_iter().rev().collect::<Vec<_>>());
    // Three days back is position 144; what stood then is found from the snapshot before.
    assert_eq!(journal.oldest(), Position::new(73));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn retention_forever_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = five_generations(dir.path(), Retain::Forever).await;
    assert_eq!(snapshots(dir.path()), [40, 30, 20, 10]);
    assert_eq!(all(journal.read(Position::START)), numbered(50));
}

#[tokio::test]
async fn a_damaged_snapshot_does_not_count_for_retention() {
    let dir = tempfile::tempdir().unwrap();
    let journal = five_generations(dir.path(), Retain::Snapshot).await;
    let newest = snapshot::list(dir.path()).unwrap().remove(0).1;
    let mut bytes = fs::read(&newest).unwrap();
    bytes[60] ^= 1;
    fs::write(&newest, bytes).unwrap();
    take_snapshot(dir.path(), journal.log_id(), 50);
    journal.rotate().await.unwrap();
    assert_eq!(journal.oldest(), Position::new(31), "the snapshot at 30 is the second that can be read");
}

#[tokio::test]
async fn a_generation_that_is_being_read_is_not_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let journal = five_generations(dir.path(), Retain::Snapshot).await;
    let mut reader = journal.read(Position::new(30));
    assert!(reader.next().unwrap().is_ok());
    append_numbered(&journal, 51, 60).await;
    take_snapshot(dir.path(), journal.log_id(), 50);
    take_snapshot(dir.path(), journal.log_id(), 60);
    journal.rotate().await.unwrap();
    assert_eq!(journal.oldest(), Position::new(31));
    assert_eq!(all(reader).len(), 19);
    journal.rotate().await.unwrap();
    assert_eq!(journal.oldest(), Position::new(41));
}

#[tokio::test]
async fn a_damaged_newest_snapshot_falls_back_to_the_one_before_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    take_snapshot(dir.path(), 7, 10);
    take_snapshot(dir.path(), 7, 20);
    let newest = snapshot::list(dir.path()).unwrap().remove(0).1;
    let whole = fs::read(&newest).unwrap();
    let loaded = snapshot::load_newest(dir.path(), 7).unwrap();
    let found = loaded.snapshot.unwrap();
    assert_eq!((found.header.position, found.header.instant), (Position::new(20), 200));
    assert_eq!(found.sections, [b"state at 20".to_vec(), Vec::new()]);
    let damages = (0..whole.len()).map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        bytes
    });
    let cuts = (0..whole.len()).map(|length| whole[..length].to_vec());
    let longer = [whole.iter().copied().chain([0]).collect::<Vec<u8>>()];
    for bytes in damages.chain(cuts).chain(longer) {
        fs::write(&newest, &bytes).unwrap();
        let loaded = snapshot::load_newest(dir.path(), 7).unwrap();
        assert_eq!(loaded.snapshot.unwrap().header.position, Position::new(10));
        assert_eq!(loaded.skipped.len(), 1);
    }
    assert!(snapshot::load_newest(dir.path(), 8).unwrap().snapshot.is_none(), "another log's");
}

#[tokio::test]
async fn a_snapshot_that_was_not_finished_is_removed_at_the_next_opening() {
    let dir = stopped_hard(1).await;
    let killed = || {
        let mut writer = SnapshotWriter::create(dir.path(), 7, Position::new(1), 0, 0).unwrap();
        writer.section(b"half").unwrap();
        core::mem::forget(writer);
        assert!(snapshots(dir.path()).is_empty());
    };
    let files = || fs::read_dir(dir.path().join("snapshots")).unwrap().count();

    killed();
    assert_eq!(files(), 1);
    drop(open(dir.path()));
    assert_eq!(files(), 0);

    // The log may be elsewhere: snapshots are files all the same.
    killed();
    drop(Journal::open_in(config(dir.path()), Arc::new(MemoryDisk::new())).unwrap());
    assert_eq!(files(), 0);
}

fn listing(dir: &Path) -> Vec<u8> {
    let found = Command::new("sh")
        .arg("-c")
        .arg("find . -type f | sort | xargs sha256sum; find . -printf '%p %T@\\n' | sort")
        .current_dir(dir)
        .output();
    found.unwrap().stdout
}

#[tokio::test]
async fn an_inspection_reports_every_frame_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = run(dir.path());
    append_numbered(&journal, 1, 4).await;
    journal.rotate().await.unwrap();
    append_numbered(&journal, 5, 9).await;
    append(&journal, &[&vec![3; 300_000]]).await;
    journal.close().await.unwrap();
    // Damage, planted through the store itself.
    let store = store::open_copy(&dir.path().join("journal/gen-0000000002")).unwrap();
    let chunk = Key { ordinal: Ordinal::new(6), chunk: 0 };
    let mut bytes = store.get(chunk).unwrap().unwrap().to_vec();
    bytes[57] ^= 1;
    store.put(chunk, &bytes).unwrap();
    store.remove(Key { ordinal: Ordinal::new(8), chunk: 0 }).unwrap();
    drop(store);

    let before = listing(dir.path());
    let scratch = tempfile::tempdir().unwrap();
    {
        let inspection = Inspection::open(dir.path(), Some(scratch.path())).unwrap();
        assert_eq!(inspection.generations(), [1, 2]);
        assert_eq!(inspection.mark().unwrap().0, Position::new(10));
        assert!(inspection.was_clean());
        let mut found = Vec::new();
        for number in [1, 2] {
            inspection
                .frames(number, |report| found.push((report.first.get(), report.count, report.defect)))
                .unwrap();
        }
        let gap = |expected| Some(Defect::Gap(Ordinal::new(expected)));
        assert_eq!(found[..4], [(1, 1, None), (2, 1, None), (3, 1, None), (4, 1, None)]);
        let rest = [(5, 1, None), (6, 0, Some(Defect::Checksum)), (7, 0, gap(6)), (9, 0, gap(8))];
        assert_eq!(found[4..8], rest);
        assert_eq!(
            found[8..].iter().map(|report| (report.0, report.1)).collect::<Vec<_>>(),
            [(10, 0), (10, 0), (10, 1)]
        );
        let mut records = Vec::new();
        let mut visit = |position: Position, record: &[u8]| {
            records.push((position.get(), record.to_vec()));
            Ok::<_, InspectError>(())
        };
        inspection.for_each(Position::new(1), Position::new(5), &mut visit).unwrap();
        assert!(
            inspection
                .for_each(Position::new(1), Position::new(9), |_, _| Ok::<_, InspectError>(()))
                .is_err()
        );
        assert_eq!(records, numbered(5)[1..]);
    }
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    assert_eq!(String::from_utf8(listing(dir.path())), String::from_utf8(before));
}

/// Unmounts when a test ends, however it ends.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0).status());
    }
}

#[tokio::test]
async fn a_full_disk_stops_the_writer_and_the_reserve_lets_it_open_again() {
    let mount = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=40m", "tmpfs"]).arg(mount.path()).output();
    if !mounted.is_ok_and(|done| done.status.success()) {
        eprintln!(
            "SKIPPED a_full_disk_stops_the_writer_and_the_reserve_lets_it_open_again: tmpfs cannot be mounted here"
        );
        return;
    }
    let _mount = Mount(mount.path());
    let dir = mount.path().join("data");
    let settings = JournalConfig { reserve_bytes: 18 << 20, ..config(&dir) };
    let journal = Journal::open(settings.clone()).unwrap().start(TestClock::default().hooks()).unwrap();
    let mut acknowledged = 0;
    while acknowledged < 40 {
        append(&journal, &[&vec![5; 60_000]]).await;
        acknowledged += 1;
    }
    fs::write(mount.path().join("filler"), vec![1; 40 << 20]).unwrap_err();
    while queue(&journal, records(&[&vec![5; 60_000]])).await.await.unwrap().is_ok() {
        acknowledged += 1;
    }
    let reason = journal.failure().unwrap();
    assert!(reason.contains("disk is full"), "{reason}");
    assert_eq!(all(journal.read(Position::START)).len(), acknowledged);
    drop(journal);
    let mut opened = Journal::open(settings.clone());
    while is_locked_out(&opened) {
        tokio::task::yield_now().await;
        opened = Journal::open(settings.clone());
    }
    let opened = opened.unwrap();
    assert!(!dir.join("reserve").exists(), "the reserve was given up");
    assert_eq!(all(opened.read(Position::START)).len(), acknowledged);
    drop(opened);
    fs::write(mount.path().join("more"), vec![1; 40 << 20]).unwrap_err();
    let refused = Journal::open(settings.clone()).err().unwrap().to_string();
    assert!(refused.contains("the disk is full: free at least"), "{refused}");
    fs::remove_file(mount.path().join("filler")).unwrap();
    drop(Journal::open(JournalConfig { reserve_bytes: 1 << 20, ..settings }).unwrap());
    assert!(dir.join("reserve").exists(), "the reserve is made again");
}

#[tokio::test]
async fn links_in_the_places_of_its_files_are_not_written_through() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let (data, other) = (dir.path().join("data"), dir.path().join("other"));
    fs::create_dir(&data).unwrap();
    fs::write(&other, "another's").unwrap();
    for name in ["identity.partial", "mark.partial", "clean.partial", "reserve"] {
        symlink(&other, data.join(name)).unwrap();
    }
    fs::create_dir(data.join("snapshots")).unwrap();
    let partial = format!("snapshots/snapshot-{:020}.partial", 1);
    symlink(&other, data.join(partial)).unwrap();
    let journal = run(&data);
    append_numbered(&journal, 1, 2).await;
    SnapshotWriter::create(&data, journal.log_id(), Position::new(1), 1, 0).unwrap().finish().unwrap();
    journal.close().await.unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "another's");

    // What isn't replaced is refused.
    for name in ["lock", "mark"] {
        let (file, aside) = (data.join(name), dir.path().join(name));
        fs::rename(&file, &aside).unwrap();
        symlink(&aside, &file).unwrap();
        let before = fs::read(&aside).unwrap();
        let config = JournalConfig { reserve_bytes: 0, ..JournalConfig::new(&data) };
        let opened = Journal::open(config).and_then(|opened| opened.start(TestClock::default().hooks()));
        let refused = opened.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("a link stands in its place"), "{name}: {refused:?}");
        assert_eq!(fs::read(&aside).unwrap(), before);
        fs::rename(&aside, &file).unwrap();
    }
}

#[test]
fn copies_to_look_at_are_their_owners_alone_in_a_place_that_nobody_can_foretell() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("journal")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let places: Vec<_> = (0..2)
        .map(|_| {
            let inspection = Inspection::open(dir.path(), Some(scratch.path())).unwrap();
            let place = inspection.scratch().to_owned();
            let mode = fs::metadata(&place).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700);
            place
        })
        .collect();
    assert_ne!(places[0], places[1]);
    let pid = std::process::id().to_string();
    assert!(!places[0].file_name().unwrap().to_str().unwrap().contains(&format!("-{pid}-")));
}
