//! Below stands the memory disk, which tells what is durable; the commit file is a real one.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::super::{Medium, MemoryDisk};
use super::*;
use crate::journal::position::Ordinal;

struct Log {
    disk: MemoryDisk,
    dir: TempDir,
    store: Arc<dyn Store>,
    /// What was synced.
    durable: BTreeMap<Key, Vec<u8>>,
    next: u64,
}

impl Log {
    fn new() -> Self {
        let (disk, dir) = (MemoryDisk::new(), tempfile::tempdir().unwrap());
        let below = disk.create_generation(1).unwrap();
        disk.seal_generation(1, b"header").unwrap();
        let store = open(dir.path(), below, false).unwrap();
        Self { disk, dir, store, durable: BTreeMap::new(), next: 1 }
    }

    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join(FILE)
    }

    /// Commits chunks of these lengths.
    fn commit(&mut self, lens: &[usize]) -> Result<(), StoreError> {
        let ordinal = Ordinal::new(self.next);
        let keys = (0..).map(|chunk| Key { ordinal, chunk });
        let fill = u8::try_from(self.next % 251).unwrap();
        let chunks: Vec<_> = keys.zip(lens.iter().map(|len| vec![fill; *len])).collect();
        for (key, chunk) in &chunks {
            self.store.put(*key, chunk)?;
        }
        self.store.flush()?;
        self.store.sync()?;
        self.durable.extend(chunks);
        self.next += 1;
        Ok(())
    }

    /// Opens what a power cut would leave now.
    fn crashed(&self) -> (TempDir, Arc<dyn Store>) {
        let dir = tempfile::tempdir().unwrap();
        if self.file().exists() {
            fs::copy(self.file(), dir.path().join(FILE)).unwrap();
        }
        let store = open(dir.path(), self.disk.crashed().open_generation(1).unwrap(), false).unwrap();
        (dir, store)
    }
}

fn all(store: &dyn Store) -> BTreeMap<Key, Vec<u8>> {
    let mut chunks = BTreeMap::new();
    for found in store.scan(Key::FIRST, Key::META) {
        let (key, chunk) = found.unwrap();
        assert!(chunks.last_key_value().is_none_or(|(last, _)| *last < key), "in order, and each once");
        chunks.insert(key, chunk.to_vec());
    }
    chunks
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<usize>),
    /// As many commits of one small chunk.
    Many(usize),
    Crash,
    Finish,
    Floor(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop::collection::vec(0..=CHUNK_LEN, 1..=FRAME_CHUNKS_MAX).prop_map(Step::Commit),
        2 => (1_usize..400).prop_map(Step::Many),
        1 => Just(Step::Crash),
        1 => Just(Step::Finish),
        2 => (0_u64..2_000).prop_map(Step::Floor),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_reader_sees_one_store_and_a_power_cut_leaves_all_that_was_synced(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut log = Log::new();
        for step in steps {
            match step {
                Step::Commit(lens) => log.commit(&lens).unwrap(),
                Step::Many(count) => (0..count).for_each(|_| log.commit(&[100]).unwrap()),
                Step::Crash => prop_assert!(all(&*log.crashed().1) == log.durable),
                Step::Finish => {
                    log.store.finish().unwrap();
                    prop_assert!(!log.file().exists());
                }
                Step::Floor(ordinal) => {
                    let key = Key { ordinal: Ordinal::new(ordinal), chunk: 1 };
                    let expected = log.durable.range(..=key).next_back().map(|(key, _)| *key);
                    prop_assert_eq!(log.store.floor(key).unwrap(), expected);
                }
            }
        }
        prop_assert!(all(&*log.store) == log.durable);
        for (key, chunk) in &log.durable {
            prop_assert_eq!(&log.store.get(*key).unwrap().unwrap()[..], &chunk[..]);
        }
        let (left, crashed) = log.crashed();
        prop_assert!(all(&*crashed) == log.durable);
        prop_assert!(!left.path().join(FILE).exists(), "what was handed over isn't kept twice");
    }
}

#[test]
fn nothing_grows_with_the_log() {
    let mut log = Log::new();
    for _ in 0..2_000 {
        log.commit(&[CHUNK_LEN]).unwrap();
    }
    assert_eq!(fs::metadata(log.file()).unwrap().len(), 2 << 20);
    drop(log.store);
    assert!(!log.dir.path().join(FILE).exists());
    assert!(all(&*log.disk.crashed().open_generation(1).unwrap()) == log.durable);
}

#[test]
fn a_commit_that_was_cut_short_is_none_and_takes_no_other_with_it() {
    let mut log = Log::new();
    log.commit(&[10]).unwrap();
    log.commit(&[CHUNK_LEN; 3]).unwrap();
    let before = log.durable.clone();
    log.commit(&[CHUNK_LEN; 5]).unwrap();

    // The third commit stands behind one block and four. Any of its own blocks may be missing.
    let written = fs::read(log.file()).unwrap();
    for missing in 5..11 {
        let mut torn = written.clone();
        torn[missing * BLOCK_LEN..(missing + 1) * BLOCK_LEN].fill(0);
        fs::write(log.file(), torn).unwrap();
        assert!(all(&*log.crashed().1) == before, "without block {missing}");
    }
    // A changed bit is as good as a missing block.
    let mut changed = written.clone();
    changed[6 * BLOCK_LEN + 17] ^= 4;
    fs::write(log.file(), changed).unwrap();
    assert!(all(&*log.crashed().1) == before);
    fs::write(log.file(), written).unwrap();
    assert!(all(&*log.crashed().1) == log.durable);
}

#[test]
fn a_commit_that_is_not_whole_before_one_that_is_was_not_cut_short_and_is_refused() {
    // The earlier one stands in the middle of a half, and at its beginning.
    for commits in [3, HALF_LEN / BLOCK_LEN + 2] {
        let mut log = Log::new();
        (0..commits).for_each(|_| log.commit(&[1]).unwrap());
        let at = (commits - 2) * BLOCK_LEN;
        let written = fs::read(log.file()).unwrap();

        let mut changed = written.clone();
        changed[at + HEADER_LEN] ^= 1;
        let mut cut = written.clone();
        cut.truncate(at + 2 * BLOCK_LEN);
        for damaged in [changed, cut] {
            fs::write(log.file(), damaged).unwrap();
            let below = log.disk.crashed().open_generation(1).unwrap();
            let refused = open(log.dir.path(), below, false).err();
            assert!(matches!(refused, Some(StoreError::Damaged(_))), "{refused:?}");
        }
        fs::write(log.file(), written).unwrap();
        assert!(all(&*log.crashed().1) == log.durable);
    }
}

#[test]
fn a_reader_sees_each_chunk_once_while_they_are_handed_over() {
    let mut log = Log::new();
    (0..3).for_each(|_| log.commit(&[10]).unwrap());
    let mut reading = log.store.scan(Key::FIRST, Key::META);
    let first = reading.next().unwrap().unwrap().0;
    log.store.finish().unwrap();
    let keys: Vec<_> = core::iter::once(first).chain(reading.map(|found| found.unwrap().0)).collect();
    assert!(keys.iter().eq(log.durable.keys()), "{keys:?}");
}

#[test]
fn what_was_removed_stays_so_when_the_next_commit_is_durable() {
    let mut log = Log::new();
    log.commit(&[10, 20]).unwrap();
    log.commit(&[30, 40]).unwrap();
    log.store.finish().unwrap();
    for chunk in 0..2 {
        let key = Key { ordinal: Ordinal::new(2), chunk };
        log.store.remove(key).unwrap();
        log.durable.remove(&key);
    }
    // The caller syncs; and where it didn't, the next commit would.
    log.next = 2;
    log.commit(&[50]).unwrap();
    assert!(all(&*log.crashed().1) == log.durable);
}

#[test]
fn what_is_left_from_the_round_before_isnt_read_as_a_commit_of_this_one() {
    let mut log = Log::new();
    // More than three halves, so that the second was begun anew.
    for _ in 0..3 * HALF_LEN / BLOCK_LEN + 5 {
        log.commit(&[1]).unwrap();
    }
    let halves: Vec<_> = fs::read(log.file()).unwrap().chunks(HALF_LEN).map(half).collect();
    let per_half = u64::try_from(HALF_LEN / BLOCK_LEN).unwrap();
    let numbers = |half: &[Commit]| (half.first().unwrap().number, half.last().unwrap().number);
    assert_eq!(numbers(&halves[0]), (2 * per_half + 1, 3 * per_half));
    assert_eq!(numbers(&halves[1]), (3 * per_half + 1, 3 * per_half + 5));
}

#[test]
fn an_error_below_is_told_before_its_half_is_written_again_and_nothing_more_is_written() {
    let mut log = Log::new();
    log.commit(&[1]).unwrap();
    log.disk.fail_sync(1);
    let failed = (0..3 * HALF_LEN / BLOCK_LEN).find_map(|_| log.commit(&[1]).err());
    assert!(matches!(failed, Some(StoreError::Injected(_))), "{failed:?}");
    let syncs = log.disk.syncs();

    assert!(log.commit(&[1]).is_err() && log.store.finish().is_err());
    let (_left, crashed) = log.crashed();
    assert!(all(&*crashed) == log.durable, "what was acknowledged is there");
    drop(log.store);
    assert_eq!(log.disk.syncs(), syncs);
}

#[test]
fn a_directory_that_was_replaced_keeps_its_own_file() {
    let mut log = Log::new();
    log.commit(&[1]).unwrap();
    let (there, moved) = (log.dir.path().to_owned(), log.dir.path().with_extension("moved"));
    fs::rename(&there, &moved).unwrap();
    fs::create_dir(&there).unwrap();
    fs::write(there.join(FILE), b"another's").unwrap();
    drop(log.store);
    assert_eq!(fs::read(there.join(FILE)).unwrap(), b"another's");
    assert!(!moved.join(FILE).exists());
    fs::remove_dir_all(moved).unwrap();
}
