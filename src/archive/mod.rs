//! The archive: schedules that are long over and old movements of accounts, in one `SQLite` file beside the journal. The only
//! place that names `SQLite`.
//!
//! ```text
//! 1  write      rows, durable when the call returns; written again, they are the same
//! 2  journal    the event that says that they are there: the only switch
//! 3  apply      the event drops them from memory
//! ```
//!
//! A schedule is archived when the journal says so, not when its rows are there: a crash between 1 and 2 leaves some, and the
//! next attempt overwrites them. So nobody reads a row whose event isn't durable, replay never reads the archive, and rows are
//! never changed once their event is there. It follows that an archive that is newer than a journal is as good as its own, and
//! that an older one isn't: [`Archive::check`] finds that out at start.
//!
//! Schedules and payments are kept in the encoding of a snapshot's sections, with a checksum, since `SQLite` has none of its own;
//! beside them stand the columns by which they are found. Amounts and instants are numbers as everywhere; the random half of
//! an id is stored with its bits as a signed number.
//!
//! Absent on purpose: which schedules belong here (the domain decides), a cache, async: every call blocks, one at a time.
//!
//! The file is made by the first write; before, there is none, and nothing is asked for.

mod check;
mod copy;
mod migrate;
mod read;
mod write;

use core::time::Duration;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::domain::ids::ScheduleNumber;
use crate::files;
use crate::record::DecodeError;

pub use check::Checked;
pub use read::{Head, PaymentPlace, Places, ReservationPlace, Restored};

/// The file's name in the data directory.
pub const FILE: &str = "archive.sqlite";

/// The version of the tables, in `SQLite`'s own header field.
const SCHEMA_VERSION: i64 = 2;
/// The one before it: the same tables, with sections of format 1.
const SCHEMA_V1: i64 = 1;
/// How long a statement waits for another process that looks at the file.
const BUSY: Duration = Duration::from_secs(5);

/// The tables. `STRICT` has `SQLite` check the types; those without a rowid are stored in the order of their keys.
const SCHEMA: &str = "
CREATE TABLE log (id BLOB NOT NULL) STRICT;
CREATE TABLE schedules (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL,
    concert TEXT NOT NULL,
    starts_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    payments_version INTEGER NOT NULL,
    available INTEGER NOT NULL,
    held INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    head BLOB NOT NULL,
    image BLOB NOT NULL,
    payments BLOB,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX schedules_of_concert ON schedules (concert, starts_at, id);
CREATE TABLE reservations (
    schedule INTEGER NOT NULL,
    number INTEGER NOT NULL,
    user TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (schedule, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX reservations_of_user ON reservations (user, created_at, schedule, number, status);
CREATE TABLE payments (
    schedule INTEGER NOT NULL,
    number INTEGER NOT NULL,
    user TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (schedule, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX payments_of_user ON payments (user, created_at, schedule, number);
CREATE TABLE transactions (
    user TEXT NOT NULL,
    number INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    nonce INTEGER NOT NULL,
    kind TEXT NOT NULL,
    payment BLOB,
    amount INTEGER NOT NULL,
    balance_after INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (user, number)
) STRICT, WITHOUT ROWID;
";

/// The indices of the lists over all users. Older files get them with the first start.
const INDICES: &str = "
CREATE INDEX IF NOT EXISTS reservations_by_time ON reservations (created_at, schedule, number, status);
CREATE INDEX IF NOT EXISTS payments_by_time ON payments (created_at, schedule, number);
";

/// Why the archive can't be read or written. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum ArchiveError {
    /// `SQLite` says no.
    #[error("the archive {path}: {source}")]
    Sqlite { path: String, source: rusqlite::Error },
    /// The file can't be made.
    #[error("the archive {path} can't be made: {source}")]
    Io { path: String, source: io::Error },
    /// It was written by a newer version.
    #[error("the archive {path} is of version {found}, which this program doesn't know")]
    Newer {
        path: String,
        /// The version of its tables.
        found: i64,
    },
    /// It has sections of format 1.
    #[error(
        "the archive {path} is of format 1, and its data directory isn't: put the archive that was migrated with it in its place"
    )]
    Before { path: String },
    /// It belongs to another log.
    #[error(
        "the archive {path} belongs to another log: put the `{FILE}` of this data directory's own backup in its place"
    )]
    OtherLog { path: String },
    /// The journal says that something is in it that isn't.
    #[error(
        "the archive {path} lacks what the journal moved there: {what}. Bring `{FILE}` back from the backup that this data \
         directory came from, or from a later one of the same engine; nothing was changed"
    )]
    Missing {
        path: String,
        /// The first things that are missing.
        what: String,
    },
    /// A row isn't as it was written.
    #[error("the archive {path} is damaged: {what}")]
    Damaged { path: String, what: String },
    /// A row's bytes can't be decoded.
    #[error("the archive {path} is damaged: schedule number {}: {source}", .number.0)]
    Decode { path: String, number: ScheduleNumber, source: DecodeError },
}

/// The archive of one data directory. Calls block, one at a time.
pub struct Archive {
    path: PathBuf,
    log_id: u128,
    /// The version of the tables.
    version: i64,
    connection: Mutex<Option<Connection>>,
}

impl Archive {
    /// Opens the archive of a data directory whose lock this process holds. A missing file is none that anything was written to.
    ///
    /// # Errors
    /// When the file is another log's, or a newer version's, or can't be opened.
    pub fn open(dir: &Path, log_id: u128) -> Result<Self, ArchiveError> {
        let archive = Self::at(dir, log_id, SCHEMA_VERSION);
        if archive.path.exists() {
            *archive.lock() = Some(archive.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        }
        Ok(archive)
    }

    /// Opens the archive of a stopped engine's data directory without changing anything. One whose last write was interrupted is
    /// copied to `scratch` first, since reading it finishes or undoes that write.
    ///
    /// # Errors
    /// As [`Archive::open`].
    pub fn open_read_only(dir: &Path, log_id: u128, scratch: &Path) -> Result<Self, ArchiveError> {
        let mut archive = Self::at(dir, log_id, SCHEMA_VERSION);
        let unfinished = dir.join(format!("{FILE}-journal"));
        if !archive.path.exists() {
            return Ok(archive);
        }

        let mut flags = OpenFlags::SQLITE_OPEN_READ_ONLY;

        // To read it would be to finish or undo that write, in a directory that must stay as it is.
        if fs::metadata(&unfinished).is_ok_and(|file| file.len() > 0) {
            let copy = scratch.join(FILE);
            let copied = fs::copy(&archive.path, &copy)
                .and_then(|_| fs::copy(&unfinished, scratch.join(format!("{FILE}-journal"))));
            copied.map_err(|source| archive.io(source))?;
            archive.path = copy;
            flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        }

        let connection = archive.connect(flags)?;
        *archive.lock() = Some(connection);
        Ok(archive)
    }

    fn at(dir: &Path, log_id: u128, version: i64) -> Self {
        Self { path: dir.join(FILE), log_id, version, connection: Mutex::new(None) }
    }

    /// Returns the file's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads; nothing where there is no file.
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ArchiveError> {
        let connection = self.lock();
        connection.as_ref().map(read).transpose().map_err(|source| self.sqlite(source))
    }

    /// Writes in one transaction, which is durable when this returns; makes the file where there is none.
    fn write(
        &self,
        write: impl FnOnce(&rusqlite::Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), ArchiveError> {
        let mut standing = self.lock();
        if standing.is_none() {
            self.create()?;
            *standing = Some(self.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?);
        }

        let connection = standing.as_mut().expect("it was opened if it wasn't");
        let run = || {
            let transaction = connection.transaction()?;
            write(&transaction)?;
            transaction.commit()
        };
        run().map_err(|source| self.sqlite(source))
    }

    /// Makes an empty file, its owner's alone.
    fn create(&self) -> Result<(), ArchiveError> {
        let dir = self.path.parent().unwrap_or_else(|| Path::new("."));
        let made = files::create_dir_all(dir)
            .and_then(|()| files::open_or_create(&self.path))
            .and_then(|file| file.sync_all())
            .and_then(|()| File::open(dir)?.sync_all());
        made.map_err(|source| self.io(source))
    }

    fn connect(&self, flags: OpenFlags) -> Result<Connection, ArchiveError> {
        let connection = Connection::open_with_flags(&self.path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .map_err(|source| self.sqlite(source))?;
        let found = prepare(&connection, self.log_id, flags, self.version);
        let found = found.map_err(|source| self.sqlite(source))?;
        let path = || self.path.display().to_string();
        match found {
            Owner::Ours => Ok(connection),
            Owner::OtherLog => Err(ArchiveError::OtherLog { path: path() }),
            Owner::Before => Err(ArchiveError::Before { path: path() }),
            Owner::Newer(found) => Err(ArchiveError::Newer { path: path(), found }),
        }
    }

    fn sqlite(&self, source: rusqlite::Error) -> ArchiveError {
        ArchiveError::Sqlite { path: self.path.display().to_string(), source }
    }

    fn io(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Io { path: self.path.display().to_string(), source }
    }

    fn decode_error(&self, number: ScheduleNumber, source: DecodeError) -> ArchiveError {
        ArchiveError::Decode { path: self.path.display().to_string(), number, source }
    }

    fn missing(&self, what: impl Into<String>) -> ArchiveError {
        ArchiveError::Missing { path: self.path.display().to_string(), what: what.into() }
    }

    fn damaged(&self, what: impl Into<String>) -> ArchiveError {
        ArchiveError::Damaged { path: self.path.display().to_string(), what: what.into() }
    }
}

/// Whose a file is, and of which version.
enum Owner {
    Ours,
    OtherLog,
    Before,
    Newer(i64),
}

/// Sets a connection up, and makes the tables in an empty file.
fn prepare(
    connection: &Connection,
    log_id: u128,
    flags: OpenFlags,
    expected: i64,
) -> rusqlite::Result<Owner> {
    connection.busy_timeout(BUSY)?;
    // EXTRA also syncs the directory once the rollback journal is gone: with FULL a power cut can bring a commit's journal back,
    // and undo it. The cache is bounded, and nothing is mapped: a failing disk is an error, not a signal.
    connection.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA; PRAGMA cache_size = -8192; PRAGMA mmap_size = 0;
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
    )?;

    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let own = log_id.to_be_bytes();
    if version == 0 && flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        let transaction = connection.unchecked_transaction()?;
        transaction.execute_batch(SCHEMA)?;
        transaction.execute_batch(INDICES)?;
        transaction.execute("INSERT INTO log (id) VALUES (?1)", [own])?;
        transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        transaction.commit()?;
        return Ok(Owner::Ours);
    }

    if version != expected {
        return Ok(if version == SCHEMA_V1 { Owner::Before } else { Owner::Newer(version) });
    }
    let log: [u8; 16] = connection.query_row("SELECT id FROM log", [], |row| row.get(0))?;
    if log != own {
        return Ok(Owner::OtherLog);
    }

    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) {
        connection.execute_batch(INDICES)?;
    }
    Ok(Owner::Ours)
}

/// Returns a number as `SQLite` stores it. Versions, instants and amounts are far below the half of 64 bits.
fn int(number: u64) -> i64 {
    i64::try_from(number).expect("below 2^63")
}

/// Reads such a number back.
fn uint(number: i64) -> rusqlite::Result<u64> {
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(0, number))
}

#[cfg(test)]
mod tests;
