//! A data directory of format 1, brought to format 2.
//!
//! ```text
//! DIR             format 1, of an engine that stopped cleanly      the new one
//! DIR.migrating   the new one, as it is made                       the old one, for a moment
//! DIR.v1-<date>                                                    the old one
//! ```
//!
//! The new directory has a snapshot of the state, and an empty journal of the same log that goes on behind the last position: ids,
//! secrets, idempotency keys, versions and positions keep their meaning, and what had been under way goes on. History and feed begin
//! anew: what happened before stands in the old directory alone. It is read back and compared with the state before anything is swapped.
//!
//! The two directories take each other's place at once. So whenever it is killed, `DIR` is wholly the old one or the new one; run again,
//! it begins anew or finishes.
//!
//! Absent on purpose: any format but the one before today's, and damage: a directory that isn't sound isn't migrated.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::archive::{self, Archive, ArchiveError};
use crate::domain::time::Timestamp;
use crate::files;
use crate::journal::snapshot::{self, SnapshotError, SnapshotWriter};
use crate::journal::{CODEC_V1, InspectError, Inspection, Position, create_successor};
use crate::record::{self, v1};
use crate::recovery::{RebuildError, ReplayError, World};

/// The files that the new directory gets by other ways than a copy, the archive aside.
const MADE_ANEW: [&str; 7] = ["lock", "identity", "mark", "clean", "reserve", "journal", "snapshots"];

/// Why a directory isn't migrated. It is as it was, unless the message says otherwise.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum MigrateError {
    /// It can't be looked at: it is in use, damaged, or of another format.
    #[error("{0}")]
    Inspect(#[from] InspectError),
    /// The engine didn't stop cleanly there.
    #[error(
        "the engine that ran on {0} did not stop cleanly: start the version that wrote it once, stop it with SIGTERM, and migrate then"
    )]
    NotClean(String),
    /// A snapshot can't be read or written.
    #[error("{0}")]
    Snapshot(#[from] SnapshotError),
    /// A record can't be read, or doesn't follow.
    #[error("{0}")]
    Rebuild(#[from] RebuildError),
    /// The state contradicts itself.
    #[error("{0}")]
    Replay(#[from] ReplayError),
    /// The archive can't be read or written.
    #[error("{0}")]
    Archive(#[from] ArchiveError),
    /// The journal ends early.
    #[error(
        "records up to position {durable} were durable, and the journal ends at position {last}: run `onsale verify` of the version that wrote it"
    )]
    Lost {
        /// The last durable position, as the mark says.
        durable: Position,
        /// The last position that is there.
        last: Position,
    },
    /// The new directory's state isn't the old one's.
    #[error("what was written to {0} isn't the state that was read: nothing was swapped, and this is a bug")]
    Differs(String),
    /// The directories can't be swapped where they are.
    #[error("{0}")]
    Place(String),
    /// The system says no.
    #[error("{action} {path}: {source}")]
    Io { action: &'static str, path: String, source: io::Error },
}

/// A migration that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// The last position of the journal: the next records stand behind it.
    pub position: Position,
    /// Where the old directory is.
    pub old: PathBuf,
}

/// Migrates a data directory; `now` names the old one.
///
/// # Errors
/// When it can't be done; the directory is as it was then, or the message says where the old one is.
pub fn migrate(dir: &Path, now: Timestamp) -> Result<Migrated, MigrateError> {
    let dir = fs::canonicalize(dir).map_err(|source| io_error("find", dir, source))?;
    let place = Place::of(&dir, now)?;

    // A run that was killed between the two renames left the old directory where the new one was made.
    if let Ok(new) = Inspection::open(&dir, None)
        && let Ok(old) = Inspection::open_v1(&place.making, None)
    {
        if old.log_id().is_none() || old.log_id() != new.log_id() {
            return Err(place.in_the_way(&place.making));
        }
        place.check_name()?;
        let position = new.mark().map_or(Position::START, |(position, _)| position);
        drop((old, new));
        place.keep_old()?;
        return Ok(Migrated { position, old: place.old });
    }

    // The lock is held until the old directory has its new name.
    let inspection = Inspection::open_v1(&dir, Some(&place.parent))?;
    if !inspection.was_clean() {
        return Err(MigrateError::NotClean(dir.display().to_string()));
    }
    place.check_name()?;
    place.clear()?;

    let (world, position) = read(&inspection, &dir)?;
    write(&inspection, &dir, &place.making, &world, position)?;

    // Nothing is swapped before the new directory was read back: until then the old one is whole.
    check(&place.making, &world, position)?;
    place.swap()?;

    place.keep_old()?;
    Ok(Migrated { position, old: place.old })
}

/// Where everything is.
struct Place {
    dir: PathBuf,
    parent: PathBuf,
    /// Where the new directory is made.
    making: PathBuf,
    /// Where the old one stays.
    old: PathBuf,
}

impl Place {
    fn of(dir: &Path, now: Timestamp) -> Result<Self, MigrateError> {
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return Err(MigrateError::Place(format!("{} has no directory above it", dir.display())));
        };
        let beside = |suffix: &str| {
            let mut name = name.to_owned();
            name.push(suffix);
            parent.join(name)
        };

        let now = now.to_string();
        let date = now.split('T').next().unwrap_or_default();
        let (making, old) = (beside(".migrating"), beside(&format!(".v1-{date}")));
        let place = Self { dir: dir.to_owned(), parent: parent.to_owned(), making, old };

        // Only within one file system do two directories take each other's place at once.
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev());
        let devices = device(dir).and_then(|own| Ok((own, device(parent)?)));
        let (own, above) = devices.map_err(|source| io_error("look at", dir, source))?;
        if own != above {
            return Err(MigrateError::Place(format!(
                "{} is a mount point, which can't take another name: copy what is in it to a directory of its own (cp -a), migrate that, \
                 and copy the result back",
                dir.display()
            )));
        }
        Ok(place)
    }

    /// Checks that the old directory's name is free.
    fn check_name(&self) -> Result<(), MigrateError> {
        if fs::symlink_metadata(&self.old).is_ok() { Err(self.in_the_way(&self.old)) } else { Ok(()) }
    }

    fn in_the_way(&self, path: &Path) -> MigrateError {
        let (path, dir) = (path.display(), self.dir.display());
        MigrateError::Place(format!("{path} is in the way of a migration of {dir}: move it elsewhere"))
    }

    /// Removes the directory that an unfinished run has left; one that holds a journal of its own isn't removed.
    fn clear(&self) -> Result<(), MigrateError> {
        if Inspection::open_v1(&self.making, None).is_ok_and(|found| found.log_id().is_some()) {
            return Err(self.in_the_way(&self.making));
        }
        match fs::remove_dir_all(&self.making) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_error("remove", &self.making, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn swap(&self) -> Result<(), MigrateError> {
        let swapped = files::exchange(&self.dir, &self.making).and_then(|()| self.sync());
        swapped.map_err(|source| io_error("put the new directory in the place of", &self.dir, source))
    }

    fn keep_old(&self) -> Result<(), MigrateError> {
        let renamed = fs::rename(&self.making, &self.old).and_then(|()| self.sync());
        renamed.map_err(|source| io_error("rename the old directory, which is", &self.making, source))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.parent)?.sync_all()
    }
}

fn io_error(action: &'static str, path: &Path, source: io::Error) -> MigrateError {
    MigrateError::Io { action, path: path.display().to_string(), source }
}

/// Rebuilds the state of a directory of format 1, from its newest snapshot that can be read.
fn read(inspection: &Inspection, dir: &Path) -> Result<(World, Position), MigrateError> {
    let (mut world, mut last) = (World::default(), Position::START);
    for (position, path) in snapshot::list(dir)? {
        let Ok(found) = snapshot::read_as(&path, CODEC_V1) else { continue };
        if Some(found.header.log_id) != inspection.log_id() || found.header.position != position {
            continue;
        }
        let sections = v1::decode_sections(found.sections);
        for section in sections.map_err(|source| RebuildError::Decode { position, source })? {
            world.restore(section)?;
        }
        last = position;
        break;
    }

    // The records behind the snapshot, up to the end: a clean stop has synced them all.
    let from = last;
    inspection.for_each(from, Position::END, |position, bytes| {
        let record = v1::decode(bytes).map_err(|source| RebuildError::Decode { position, source })?;
        world.follow(position, &record)?;
        last = position;
        Ok::<(), MigrateError>(())
    })?;

    let durable = inspection.mark().map_or(Position::START, |(position, _)| position);

    // The mark knows how far the journal was durable: a journal that ends before has lost something.
    if last < durable {
        return Err(MigrateError::Lost { durable, last });
    }
    world.check()?;
    Ok((world, last))
}

/// Makes the new directory.
fn write(
    inspection: &Inspection,
    dir: &Path,
    making: &Path,
    world: &World,
    position: Position,
) -> Result<(), MigrateError> {
    create_successor(inspection, making, position)?;
    let log_id = inspection.log_id().unwrap_or_default();
    if position > Position::START {
        let alive = inspection.mark().map_or(0, |(_, instant)| instant);
        let instant = alive.max(world.last_instant().as_millis());
        let mut writer = SnapshotWriter::create(making, log_id, position, instant, 0)?;
        for section in world.sections() {
            section.encode().try_for_each(|part| writer.section(&part))?;
        }
        writer.finish()?;
    }

    Archive::migrate_v1(dir, making, log_id)?;

    copy_rest(dir, making).map_err(|source| io_error("copy what is in", dir, source))?;
    let same = fs::metadata(dir).and_then(|old| {
        fs::set_permissions(making, old.permissions())?;
        File::open(making)?.sync_all()?;
        Ok(old.uid() == fs::metadata(making)?.uid())
    });
    if !same.map_err(|source| io_error("set the rights of", making, source))? {
        let dir = dir.display();
        return Err(MigrateError::Place(format!(
            "{dir} belongs to another user: migrate as the user that the engine runs as"
        )));
    }
    Ok(())
}

/// Copies the files that aren't the engine's: secrets of a demonstration, and an operator's own.
fn copy_rest(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let (entry, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        let known = name.to_string_lossy();
        let is_made_anew = MADE_ANEW.contains(&&*known) || known.starts_with(archive::FILE);
        if !is_made_anew && entry.is_file() {
            fs::copy(&entry, to.join(&name))?;
            File::open(to.join(&name))?.sync_all()?;
        }
    }
    Ok(())
}

/// Reads the state of a directory of today's format at the position of its snapshot.
fn restored(dir: &Path, position: Position) -> Result<World, MigrateError> {
    let mut world = World::default();
    let at = |(at, path): (Position, PathBuf)| (at == position).then_some(path);
    let Some(path) = snapshot::list(dir)?.into_iter().find_map(at) else { return Ok(world) };
    for section in record::decode_sections(snapshot::read(&path)?.sections) {
        let section = section.map_err(|source| RebuildError::Decode { position, source })?;
        world.restore(section)?;
    }
    Ok(world)
}

/// Reads the new directory, and compares it with the state that it was made of.
fn check(making: &Path, world: &World, position: Position) -> Result<(), MigrateError> {
    let inspection = Inspection::open(making, None)?;
    let mut follows = false;
    inspection.for_each(Position::START, Position::new(u64::MAX), |_, _| {
        follows = true;
        Ok::<_, InspectError>(())
    })?;
    let read = restored(making, position)?;
    if follows || read != *world || inspection.mark().map(|(position, _)| position) != Some(position) {
        return Err(MigrateError::Differs(making.display().to_string()));
    }
    read.check()?;
    let log_id = inspection.log_id().unwrap_or_default();
    Archive::open_read_only(making, log_id, inspection.scratch())?.verify(&read)?;
    Ok(())
}
