//! The directory of an export: nothing in it looks like one before all of it is there.
//!
//! The files are written into a directory of their own inside of it, whose name nobody can foretell, and get their names once each is
//! whole and synced. They are their owner's alone, whoever may look into the directory.
//! Invariant: `meta.csv` is removed first and put there last, so that a stop of the machine in between is seen.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use onsale::export::Table;
use onsale::files;

use super::{csv_name, sqlite};
use crate::cli::output::{Failure, plain};
use onsale::random;

/// How the name of the directory begins that holds what isn't whole yet.
const PARTIAL: &str = "onsale-export.partial-";

/// Where an export goes.
pub(super) struct Place {
    dir: PathBuf,
    partial: PathBuf,
    /// Whether the directory is new.
    made: bool,
}

impl Place {
    /// Makes room for an export.
    ///
    /// # Errors
    /// Wrong usage when the directory holds one that isn't to be replaced.
    pub(super) fn prepare(dir: &Path, overwrite: bool) -> Result<Self, Failure> {
        let (dir, made) = (dir.to_owned(), !dir.exists());
        let partial = dir.join(random::name(PARTIAL));
        let failed = |error: io::Error| failed(&dir, &error);
        files::create_dir_all(&dir).map_err(failed)?;
        if !overwrite && let Some(name) = names().find(|name| dir.join(name).exists()) {
            let shown = plain(&dir.display().to_string());
            return Err(Failure::Usage(format!(
                "{shown} holds an export already ({name}): take another directory, or replace it with --overwrite"
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

impl Drop for Place {
    fn drop(&mut self) {
        // Gone where it went well; what can't be removed has a name that says what it is.
        let _ = fs::remove_dir_all(&self.partial);
        if self.made {
            // Only where it is empty.
            let _ = fs::remove_dir(&self.dir);
        }
    }
}

/// Removes what an export left that was killed.
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
