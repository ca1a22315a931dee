//! From format 1: the same tables, whose sections are written anew.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use rusqlite::{OpenFlags, params};

use super::write::checksum;
use super::{Archive, ArchiveError, FILE, SCHEMA_V1, SCHEMA_VERSION};
use crate::domain::ids::ScheduleNumber;
use crate::record::{self, v1};

/// A row of a schedule: its number, its head, its image, its payments, and the sum of the last two.
type Row = (u32, Vec<u8>, Vec<u8>, Option<Vec<u8>>, u32);

impl Archive {
    /// Copies the archive of a data directory of format 1 to another directory, and writes its sections anew there; where there is
    /// none, nothing happens.
    ///
    /// # Errors
    /// When it can't be copied, read or written.
    pub fn migrate_v1(from: &Path, to: &Path, log_id: u128) -> Result<(), ArchiveError> {
        let archive = Self::at(to, log_id, SCHEMA_V1);
        if !from.join(FILE).exists() {
            return Ok(());
        }
        copy(from, to).map_err(|source| archive.io(source))?;
        *archive.lock() = Some(archive.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?);

        let numbers = archive.read(|connection| {
            let mut select = connection.prepare("SELECT number FROM schedules ORDER BY number")?;
            select.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<u32>>>()
        })?;
        for number in numbers.unwrap_or_default() {
            archive.migrate_schedule(number)?;
        }

        // Last: a copy that was interrupted is still of format 1, and is made anew.
        archive.write(|rows| rows.pragma_update(None, "user_version", SCHEMA_VERSION))
    }

    fn migrate_schedule(&self, number: u32) -> Result<(), ArchiveError> {
        let row = self.read(|connection| {
            let select = "SELECT number, head, image, payments, checksum FROM schedules WHERE number = ?1";
            connection.query_row(select, [number], |row| {
                Ok::<Row, _>((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })
        })?;
        let (number, head, image, payments, sum) = row.ok_or_else(|| self.missing("the file"))?;
        if checksum(&image, payments.as_deref()) != sum {
            return Err(self.damaged(format!("the checksum of schedule number {number} is wrong")));
        }

        let failed = |source| self.decode_error(ScheduleNumber(number), source);

        // Format 1's sections are read and written anew; the columns beside them stay.
        let schedule = |bytes: &[u8]| v1::decode_schedule(bytes).map(|image| record::encode_schedule(&image));
        let (head, image) = (schedule(&head).map_err(failed)?, schedule(&image).map_err(failed)?);

        let payments = payments.map(|bytes| v1::decode_payments(&bytes)).transpose().map_err(failed)?;
        let payments = payments.map(|image| record::encode_payments(&image));

        let sum = checksum(&image, payments.as_deref());

        self.write(|rows| {
            let update =
                "UPDATE schedules SET head = ?2, image = ?3, payments = ?4, checksum = ?5 WHERE number = ?1";
            rows.execute(update, params![number, head, image, payments, sum]).map(drop)
        })
    }
}

/// Copies the file, and the journal of a write that was interrupted, which the next opening finishes or undoes.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for name in [FILE.to_owned(), format!("{FILE}-journal")] {
        if from.join(&name).exists() {
            fs::copy(from.join(&name), to.join(&name))?;
            File::open(to.join(&name))?.sync_all()?;
        }
    }
    Ok(())
}
