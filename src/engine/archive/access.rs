//! How the engine reads and writes the archive: on blocking threads, a few at once. The schedules that were read last are kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::archive::{Archive, ArchiveError};
use crate::domain::catalogue::Catalogue;
use crate::domain::ids::ScheduleNumber;
use crate::domain::payments::Payments;
use crate::engine::error::EngineError;
use crate::engine::schedule::ScheduleEntry;
use crate::journal::Driver;

/// How many schedules are kept that were read last.
const RECENT_MAX: usize = 8;
/// How many reads run at once, each on a thread: `SQLite` works for one, and the other decodes meanwhile.
const READS_AT_ONCE: usize = 2;

/// A schedule that was read from the archive, with its payments.
pub(in crate::engine) struct ArchivedSchedule {
    pub(in crate::engine) entry: Arc<ScheduleEntry>,
    pub(in crate::engine) payments: Payments,
}

/// The archive, and what was read from it last.
pub(in crate::engine) struct ArchiveAccess {
    archive: Arc<Archive>,
    driver: Driver,
    reads: Semaphore,
    /// The last used comes first.
    recent: Mutex<VecDeque<Arc<ArchivedSchedule>>>,
}

impl ArchiveAccess {
    pub(in crate::engine) fn new(archive: Archive, driver: Driver) -> Self {
        let (reads, recent) = (Semaphore::new(READS_AT_ONCE), Mutex::new(VecDeque::new()));
        Self { archive: Arc::new(archive), driver, reads, recent }
    }

    pub(super) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Reads on a blocking thread, as soon as it is this caller's turn.
    pub(in crate::engine) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Archive) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let _turn = self.reads.acquire().await.map_err(|_| EngineError::ArchiveUnavailable)?;
        self.run("read", read).await
    }

    /// Writes on a blocking thread; durable when it returns.
    pub(in crate::engine) async fn write(
        &self,
        write: impl FnOnce(&Archive) -> Result<(), ArchiveError> + Send + 'static,
    ) -> Result<(), EngineError> {
        self.run("write", write).await
    }

    async fn run<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce(&Archive) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let archive = Arc::clone(&self.archive);
        let done = self.driver.run_blocking(move || work(&archive)).await;
        done.map_err(|_| failed(what, &"it panicked"))?.map_err(|error| failed(what, &error))
    }

    /// Returns a schedule that was read lately.
    pub(super) fn recent(&self, number: ScheduleNumber) -> Option<Arc<ArchivedSchedule>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|archived| archived.entry.number() == number)?;
        let archived = recent.remove(at)?;
        recent.push_front(Arc::clone(&archived));
        Some(archived)
    }

    /// Keeps a schedule that was just read.
    pub(super) fn keep(&self, archived: &Arc<ArchivedSchedule>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|other| other.entry.number() != archived.entry.number());
        recent.push_front(Arc::clone(archived));
        recent.truncate(RECENT_MAX);
    }
}

/// Notes that the archive can't be used. Callers learn no more than that.
pub(super) fn failed(what: &'static str, error: &dyn core::fmt::Display) -> EngineError {
    tracing::error!(%error, what, "the archive can't be used");
    metrics::counter!("onsale_archive_failures_total", "what" => what).increment(1);
    EngineError::ArchiveUnavailable
}

/// Reads a schedule from the archive; nothing where the catalogue doesn't say that it is there.
pub(super) fn read_schedule(
    archive: &Archive,
    catalogue: &Catalogue,
    number: ScheduleNumber,
) -> Result<Option<Arc<ArchivedSchedule>>, ArchiveError> {
    let Some((archived, layout)) = catalogue.find_archived(number) else { return Ok(None) };
    let restored = archive.schedule(number, archived, Arc::clone(layout))?;
    assert_eq!(restored.schedule.number(), number, "the archive gives what is asked for");
    assert_eq!(restored.schedule.version(), archived.version, "an archived schedule never changes");

    let entry = Arc::new(ScheduleEntry::from_archive(restored.schedule));
    Ok(Some(Arc::new(ArchivedSchedule { entry, payments: restored.payments })))
}
