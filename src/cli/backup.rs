//! `onsale backup`: a copy of a data directory, made while its engine runs.
//!
//! ```text
//! running engine ─┐
//!                 ├─ parts ─▶ DIR.partial ─▶ checked, on disk ─▶ DIR
//! data directory ─┘
//! ```

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Command, value_parser};
use onsale::backup::{Taken, Taker};
use onsale::domain::time::Timestamp;
use onsale::files;

use super::engine_at;
use super::output::{Failure, complain, count, plain, print};

pub(super) fn command() -> Command {
    let to = Arg::new("to").long("to").value_name("DIR").required(true).value_parser(value_parser!(PathBuf));
    Command::new("backup")
        .about("Copy the data directory of a running engine, consistently, while it sells")
        .arg(to.help("The directory to make. It must not exist"))
        .args(engine_at::flags())
        .after_help(
            "EXAMPLE\n  onsale backup --to ./backup --url http://127.0.0.1:8080 \\\n    \
             --admin-token \"$ONSALE_ADMIN_TOKEN\"\n\n\
             PRINTS\n  the position and the instant at which the copy ends. The copy is the data directory of an engine that stopped \
             there: `onsale verify` checks it, `onsale serve` goes on with it\n\n\
             FILES\n  DIR.partial, until everything is there, checked and on disk; then DIR. A copy holds the secret of the log and \
             what people bought: only its owner can read it\n\n\
             EXIT CODES\n  0  backed up\n  1  not backed up: the reason is on standard error, and DIR doesn't exist\n  2  wrong usage or \
             settings, or DIR exists",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let dir = matches
        .get_one::<PathBuf>("to")
        .ok_or_else(|| Failure::Usage("a directory is needed: --to DIR".to_owned()))?;
    let place = Place::of(dir)?;

    let mut taker = Taker::new(&place.partial);
    let came = engine_at::download(matches, "/api/v1/admin/backup", &mut |bytes| {
        taker.push(bytes).map_err(Failure::failed)
    });
    // Whatever became of it, nothing has the directory open any more when it is removed or named.
    let backed_up = match came {
        Ok(()) => taker.finish().map_err(Failure::failed),
        Err(failure) => {
            drop(taker);
            Err(failure)
        }
    };
    let backed_up = backed_up.inspect_err(|_| place.clear())?;
    place.finish()?;
    tell(&backed_up, dir)
}

fn tell(taken: &Taken, dir: &Path) -> Result<(), Failure> {
    for error in &taken.skipped {
        complain(&format!("left out: {}\n", plain(&error.to_string())));
    }
    let snapshots = u64::try_from(taken.snapshots).unwrap_or(u64::MAX);
    print(&format!(
        "backed up to position {}, {}, with {}, to {}\n",
        taken.position,
        Timestamp::from_millis(taken.instant),
        count(snapshots, "snapshot"),
        plain(&dir.display().to_string()),
    ))
}

fn no_place(partial: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("a copy can't be made in {}: {error}", plain(&partial.display().to_string())))
}

/// Where a copy is made.
struct Place {
    dir: PathBuf,
    /// The name that it has until it is whole.
    partial: PathBuf,
    /// Locks the directory of that name, so that a second run leaves it alone.
    _lock: File,
}

impl Place {
    /// Refuses what is there already or is being made, and removes what an interrupted run has left.
    fn of(dir: &Path) -> Result<Self, Failure> {
        let shown = plain(&dir.display().to_string());
        if fs::symlink_metadata(dir).is_ok() {
            return Err(Failure::Usage(format!("{shown} exists: name a directory that doesn't")));
        }
        let Some(name) = dir.file_name() else {
            return Err(Failure::Usage(format!("{shown} can't be made: name a directory")));
        };
        let mut partial = name.to_owned();
        partial.push(".partial");
        let partial = dir.with_file_name(partial);

        if partial.is_dir() {
            // The lock goes with its process, so what is left of one that was killed has none.
            let left = File::open(&partial).map_err(|error| no_place(&partial, &error))?;
            if let Err(TryLockError::WouldBlock) = left.try_lock() {
                let partial = plain(&partial.display().to_string());
                return Err(Failure::Failed(format!("another backup is being made in {partial}")));
            }
            fs::remove_dir_all(&partial).map_err(|error| no_place(&partial, &error))?;
        }

        let made = dir.parent().map_or(Ok(()), files::create_dir_all);
        let made = made.and_then(|()| files::create_dir(&partial)).and_then(|()| File::open(&partial));
        let lock = made.map_err(|error| no_place(&partial, &error))?;
        lock.try_lock().map_err(|error| no_place(&partial, &error.into()))?;
        Ok(Self { dir: dir.to_owned(), partial, _lock: lock })
    }

    /// Removes what isn't a copy.
    fn clear(&self) {
        if let Err(error) = fs::remove_dir_all(&self.partial)
            && error.kind() != io::ErrorKind::NotFound
        {
            complain(&format!("{} can't be removed: {error}\n", plain(&self.partial.display().to_string())));
        }
    }

    /// Gives the copy its name, durably.
    fn finish(&self) -> Result<(), Failure> {
        let parent = self.dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        let named = fs::rename(&self.partial, &self.dir).and_then(|()| File::open(parent)?.sync_all());
        named.map_err(|error| Failure::Failed(format!("the copy can't be given its name: {error}")))
    }
}
