//! Whether the engine's own user could open what `verify` reads. Root reads everything, and a start as another user doesn't.
//!
//! Absent on purpose: access lists and groups that a user was added to, which the file system doesn't tell. So this warns, and decides
//! nothing.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cli::output::plain;

/// What the engine opens in its directory; other files there are its operator's.
const OPENED: [&str; 9] = [
    "identity",
    "mark",
    "clean",
    "lock",
    "reserve",
    "journal",
    "snapshots",
    "archive.sqlite",
    "archive.sqlite-journal",
];
/// A generation is a directory with a store's files.
const DEPTH_MAX: u32 = 4;
const ROOT: u32 = 0;

/// A user of the system, by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct User {
    uid: u32,
    gid: u32,
}

impl User {
    /// Tells whether this user may do with a file all that the engine does: read and write it, and go through a directory.
    fn may_use(self, found: &Metadata) -> bool {
        let wanted = if found.is_dir() { 0o7 } else { 0o6 };
        self.has(wanted, (found.uid(), found.gid()), found.mode())
    }

    /// The rule of POSIX: only the first of owner, group and others counts.
    fn has(self, wanted: u32, (uid, gid): (u32, u32), mode: u32) -> bool {
        let granted = if self.uid == uid {
            mode >> 6
        } else if self.gid == gid {
            mode >> 3
        } else {
            mode
        };
        self.uid == ROOT || granted & wanted == wanted
    }
}

/// Returns a sentence where a file or directory of the data directory isn't for who made `identity`, which the engine's first start did.
pub(super) fn warning(dir: &Path) -> Option<String> {
    let identity = fs::metadata(dir.join("identity")).ok()?;
    let engine = User { uid: identity.uid(), gid: identity.gid() };
    let mut closed = Vec::new();
    note_closed(engine, dir, &mut closed);
    for name in OPENED {
        walk(engine, &dir.join(name), 0, &mut closed);
    }

    let (first, found) = closed.first()?;
    let others = match closed.len() - 1 {
        0 => String::new(),
        others => format!(" (nor {others} more)"),
    };
    Some(format!(
        "{} has mode {:03o}, owner {} and group {}: an engine that runs as user {}, whose `identity` is, can't open it{others}. \
         A copy made by root has to be given back (`chown -R`)",
        plain(&first.display().to_string()),
        found.mode() & 0o777,
        found.uid(),
        found.gid(),
        engine.uid,
    ))
}

fn walk(engine: User, path: &Path, depth: u32, closed: &mut Vec<(PathBuf, Metadata)>) {
    note_closed(engine, path, closed);
    // What can't be listed here is damage, which the other checks name.
    let Ok(entries) = fs::read_dir(path) else { return };
    if depth < DEPTH_MAX {
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in &paths {
            walk(engine, path, depth + 1, closed);
        }
    }
}

fn note_closed(engine: User, path: &Path, closed: &mut Vec<(PathBuf, Metadata)>) {
    if let Ok(found) = fs::metadata(path)
        && !engine.may_use(&found)
    {
        closed.push((path.to_owned(), found));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const ENGINE: User = User { uid: 10, gid: 20 };

    #[test]
    fn only_the_first_of_owner_group_and_others_counts() {
        for (mode, owner, may) in [
            (0o600, (10, 20), true),
            (0o400, (10, 20), false),
            (0o066, (10, 20), false),
            (0o060, (0, 20), true),
            (0o606, (0, 20), false),
            (0o600, (0, 0), false),
            (0o606, (0, 0), true),
        ] {
            assert_eq!(ENGINE.has(0o6, owner, mode), may, "{mode:o} {owner:?}");
        }
        assert!(User { uid: ROOT, gid: 0 }.has(0o6, (10, 20), 0));
    }

    #[test]
    fn what_its_user_cannot_open_is_named_and_what_is_the_operators_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("journal/gen-1")).unwrap();
        for name in ["identity", "journal/gen-1/commits", "notes.txt"] {
            fs::write(at(name), "").unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(warning(dir.path()), None);
        fs::set_permissions(at("notes.txt"), fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(warning(dir.path()), None);

        // Only root can give files away; anybody can lock himself out.
        if fs::metadata(dir.path()).unwrap().uid() == ROOT {
            std::os::unix::fs::chown(dir.path(), Some(10), Some(20)).unwrap();
            for name in ["identity", "journal", "journal/gen-1"] {
                std::os::unix::fs::chown(at(name), Some(10), Some(20)).unwrap();
            }
        } else {
            fs::set_permissions(at("journal/gen-1/commits"), fs::Permissions::from_mode(0o400)).unwrap();
        }
        let told = warning(dir.path()).unwrap();
        assert!(told.contains("journal/gen-1/commits has mode") && !told.contains("more"), "{told}");
        assert!(told.contains("as user"), "{told}");
    }
}
