//! The directory of an export: its files appear only when all of them are whole.
//!
//! They are written into a directory inside of it, whose name can't be guessed, and are renamed once all are synced. Only
//! their owner can read them, even if others can read the directory.
//!
//! Invariant: `meta.csv` is removed first and put in place last. An export without it was interrupted.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use onsale::export::Table;
use onsale::{files, random};

use super::{csv_name, sqlite};
use crate::cli::output::{Failure, plain};

/// The beginning of the name of the directory that holds unfinished files.
const PARTIAL: &str = "onsale-export.partial-";

/// Where an export goes.
pub(super) struct ExportDir {
    dir: PathBuf,
    partial: PathBuf,
    /// Whether the directory is new.
    made: bool,
}

impl ExportDir {
    /// Makes room for an export.
    ///
    /// # Errors
    /// Wrong usage if the directory holds an export and `overwrite` isn't set.
    pub(super) fn prepare(dir: &Path, overwrite: bool) -> Result<Self, Failure> {
        let (dir, made) = (dir.to_owned(), !dir.exists());
        let partial = dir.join(random::name(PARTIAL));
        let failed = |error: io::Error| failed(&dir, &error);
        files::create_dir_all(&dir).map_err(failed)?;
        if !overwrite && let Some(name) = names().find(|name| dir.join(name).exists()) {
            let shown = plain(&dir.display().to_string());
            return Err(Failure::Usage(format!(
                "{shown} holds an export already ({name}): choose another directory, or replace it with --overwrite"
            )));
        }
        remove_unfinished(&dir).map_err(failed)?;
        files::create_dir(&partial).map_err(failed)?;
        Ok(Self { dir, partial, made })
    }

    /// Returns where the files are to be written.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Gives the files their names.
    pub(super) fn finish(self) -> Result<(), Failure> {
        let rename = || {
            File::open(&self.partial)?.sync_all()?;
            let meta = csv_name(Table::Meta);
            remove_if_there(fs::remove_file(self.dir.join(&meta)))?;
            File::open(&self.dir)?.sync_all()?;
            for name in names().filter(|name| *name != meta).chain([meta.clone()]) {
                fs::rename(self.partial.join(&name), self.dir.join(&name))?;
            }
            fs::remove_dir(&self.partial)?;
            File::open(&self.dir)?.sync_all()
        };
        rename().map_err(|error| failed(&self.dir, &error))
    }
}

impl Drop for ExportDir {
    fn drop(&mut self) {
        // After a success it is gone already. If it can't be removed, its name says what it is.
        let _ = fs::remove_dir_all(&self.partial);
        if self.made {
            // This removes only an empty directory.
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// Removes the directories of exports that were killed.
fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(PARTIAL) && entry.file_type()?.is_dir() {
            remove_if_there(fs::remove_dir_all(entry.path()))?;
        }
    }
    Ok(())
}

/// Returns the names of an export's files.
fn names() -> impl Iterator<Item = String> {
    Table::ALL.into_iter().map(csv_name).chain([sqlite::FILE_NAME.to_owned()])
}

fn remove_if_there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn failed(dir: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("{} can't be written: {error}", plain(&dir.display().to_string())))
}
