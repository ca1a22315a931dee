//! Tests of the journal as a whole; a rule that one file owns is tested there.

mod disk;
mod recovery;
mod writing;

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use tokio::sync::oneshot;

use super::*;

/// The settings of a test: no reserve, history kept forever unless a test says otherwise.
pub(super) fn config(dir: &std::path::Path) -> JournalConfig {
    JournalConfig { reserve_bytes: 0, retain: Retain::Forever, ..JournalConfig::new(dir) }
}

/// A clock that a test moves.
#[derive(Clone, Default)]
pub(super) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    fn set(&self, instant: u64) {
        self.0.store(instant, Ordering::Relaxed);
    }

    pub(super) fn hooks(&self) -> Hooks {
        let clock = Arc::clone(&self.0);
        Hooks::with_clock(Arc::new(move || clock.load(Ordering::Relaxed)))
    }
}

fn recover(disk: &MemoryDisk) -> Result<Recovering, OpenError> {
    // The directory is only looked at for snapshots, of which there are none.
    Journal::open_in(config(std::path::Path::new("/nonexistent")), Arc::new(disk.clone()))
}

pub(super) fn start(disk: &MemoryDisk) -> Journal {
    recover(disk).unwrap().start(TestClock::default().hooks()).unwrap()
}

fn records(records: &[&[u8]]) -> Records {
    let mut encoded = Records::new();
    for record in records {
        encoded.push(record).unwrap();
    }
    encoded
}

type Answer = oneshot::Receiver<Result<Committed, CommitError>>;

/// Queues an entry and returns its answer to come.
async fn queue(journal: &Journal, entry: Records) -> Answer {
    let (reply, answer) = oneshot::channel();
    let done = Box::new(move |result| {
        // Nobody may be waiting.
        let _ = reply.send(result);
    });
    journal.reserve().await.unwrap().send(Entry { records: entry, done });
    answer
}

/// Appends an entry and waits until it is durable.
pub(super) async fn append(journal: &Journal, entry: &[&[u8]]) -> Committed {
    queue(journal, records(entry)).await.await.unwrap().unwrap()
}

pub(super) fn all(reader: Reader) -> Vec<(u64, Vec<u8>)> {
    reader.map(|record| record.map(|(position, bytes)| (position.get(), bytes.to_vec())).unwrap()).collect()
}

/// The numbers 1 to `last`, each as its own record, as [`all`] returns them.
pub(super) fn numbered(last: u64) -> Vec<(u64, Vec<u8>)> {
    (1..=last).map(|number| (number, number.to_string().into_bytes())).collect()
}

pub(super) async fn append_numbered(journal: &Journal, first: u64, last: u64) {
    for number in first..=last {
        append(journal, &[number.to_string().as_bytes()]).await;
    }
}
