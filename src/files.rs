//! Files and directories that are their owner's alone.
//!
//! This program's files say who sits where and what they paid, or are secrets. So they are made here: nobody else may read them,
//! with any umask, and nothing is written through a link, since the link's owner would choose the file that is overwritten.
//!
//! Absent on purpose: the rights of other people's files, such as a data directory that an operator shares with a group.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The rights of those who are neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// Makes a directory; where anything is there already, a link included, that is an error.
pub fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(DIR_MODE).create(path)
}

/// Makes a directory and those above it, as far as they aren't there.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path)
}

/// Makes a file to write; where anything is there already, a link included, that is an error.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Makes a file to write in the place of another. A link goes, and its target stays.
pub fn replace(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    create_new(path)
}

/// Opens a file to write, and makes it where it isn't there; a link is refused.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().write(true).create(true).truncate(false).mode(FILE_MODE), path)
}

/// Opens a file to write; a link is refused.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().write(true), path)
}

#[cfg(target_os = "linux")]
fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).map_err(io::Error::other)?;
    let opened = options.custom_flags(no_follow).open(path);
    opened.map_err(|error| {
        let is_link = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        if is_link { io::Error::other("a link stands in its place") } else { error }
    })
}

#[cfg(not(target_os = "linux"))]
fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        return Err(io::Error::other("a link stands in its place"));
    }
    options.open(path)
}

/// Has two files or directories take each other's place, at once: there is no moment at which one of the names is free.
#[cfg(target_os = "linux")]
pub fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// Has two files or directories take each other's place, at once: there is no moment at which one of the names is free.
#[cfg(not(target_os = "linux"))]
pub fn exchange(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Tells whether others than its owner and its group may read or write a file; one that can't be looked at isn't theirs.
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.mode() & OTHERS != 0)
}

/// Makes every file of this process its owner's alone: SQLite and sled make files of their own.
#[cfg(target_os = "linux")]
pub fn keep_to_the_owner() {
    use rustix::fs::Mode;
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Makes every file of this process its owner's alone: SQLite and sled make files of their own.
#[cfg(not(target_os = "linux"))]
pub fn keep_to_the_owner() {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_link_is_never_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let (other, link) = (dir.path().join("other"), dir.path().join("link"));
        fs::write(&other, "another's").unwrap();
        let there = || fs::read_to_string(&other).unwrap();
        symlink(&other, &link).unwrap();
        for opened in [open(&link), open_or_create(&link), create_new(&link)] {
            assert!(opened.is_err());
        }
        assert!(create_dir(&link).is_err());
        io::Write::write_all(&mut replace(&link).unwrap(), b"mine").unwrap();
        assert_eq!((there(), fs::read_to_string(&link).unwrap()), ("another's".into(), "mine".into()));
        // Nor is what isn't there yet made through one.
        let missing = dir.path().join("missing");
        fs::remove_file(&link).unwrap();
        symlink(&missing, &link).unwrap();
        assert!(open_or_create(&link).is_err() && create_new(&link).is_err());
        assert!(!missing.exists());
    }

    #[test]
    fn what_is_made_is_its_owners_alone() {
        type Make = fn(&Path) -> io::Result<File>;
        let dir = tempfile::tempdir().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let inner = dir.path().join("a/b");
        create_dir_all(&inner).unwrap();
        assert_eq!([mode(&dir.path().join("a")), mode(&inner)], [0o700; 2]);
        let makers: [(&str, Make); 3] = [("1", create_new), ("2", replace), ("3", open_or_create)];
        for (name, make) in makers {
            let path = inner.join(name);
            make(&path).unwrap();
            assert_eq!(mode(&path), 0o600, "{name}");
            assert!(!is_open_to_others(&path));
        }
        fs::set_permissions(inner.join("1"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::set_permissions(inner.join("2"), fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(["1", "2", "9"].map(|name| is_open_to_others(&inner.join(name))), [false, true, false]);
    }

    #[test]
    fn names_differ() {
        assert_ne!(crate::random::name("a-"), crate::random::name("a-"));
    }
}
