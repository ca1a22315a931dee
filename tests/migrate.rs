//! A data directory of format 1 on its way to format 2: told of, migrated, killed on the way, and refused.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/directory.rs"]
mod directory;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use directory::copy;
use onsale::engine::{Engine, EngineOpenError};
use onsale::journal::{InspectError, Inspection, OpenError, OtherFormat, Position};
use onsale::migrate::{MigrateError, migrate};
use tempfile::TempDir;

/// A directory of format 1, within one of its own.
fn of_format_1() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/v1-archive/data"), &data);
    (dir, data)
}

fn beside(data: &Path, suffix: &str) -> PathBuf {
    data.with_file_name(format!("data{suffix}"))
}

/// What the program says, and its exit code.
fn onsale(arguments: &[&str], data: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
    command.args(arguments).arg("--data-dir").arg(data).env_clear().stdin(Stdio::null());
    let out = command.output().unwrap();
    (out.status.code(), String::from_utf8([out.stdout, out.stderr].concat()).unwrap())
}

/// The names in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

#[test]
fn every_command_on_a_directory_of_format_1_names_the_one_that_migrates_it() {
    let (dir, data) = of_format_1();
    let migrate_it = format!("onsale migrate --data-dir {}", data.display());
    let secret = "0123456789abcdef0123456789abcdef";
    for (arguments, code) in [
        (&["verify"][..], 2),
        (&["replay"], 2),
        (&["snapshot"], 1),
        (&["serve", "--listen", "127.0.0.1:0", "--jwt-secret", secret], 1),
    ] {
        let (found, told) = onsale(arguments, &data);
        assert_eq!(found, Some(code), "{arguments:?}: {told}");
        assert!(told.contains("format 1") && told.contains(&migrate_it), "{arguments:?}: {told}");
    }
    let (code, told) = onsale(&["migrate"], &data);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("migrated: the journal goes on behind position"), "{told}");
    let (code, told) = onsale(&["verify"], &data);
    assert!(code == Some(0) && told.ends_with("sound\n"), "{told}");
    let (code, told) = onsale(&["migrate"], &data);
    assert!(code == Some(2) && told.contains("format 2 already"), "{told}");
    let [new, old] = &names(dir.path())[..] else { panic!("the two directories") };
    assert!(new == "data" && old.starts_with("data.v1-2"), "{old}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_of_format_2_does_not_open_format_1_and_leaves_it_as_it_was() {
    let (_dir, data) = of_format_1();
    let before = names(&data);
    let refused = Engine::open(support::config(&data)).await.map(drop).unwrap_err();
    let EngineOpenError::Journal(OpenError::Format(OtherFormat::Before(dir))) = refused else {
        panic!("{refused}")
    };
    assert_eq!(dir, data.display().to_string());
    let after: Vec<_> = names(&data).into_iter().filter(|name| name != "lock").collect();
    assert_eq!(after, before);
    migrate(&data, support::NOW).unwrap();
}

#[test]
fn a_migration_that_was_killed_begins_anew_or_is_finished() {
    let (_dir, data) = of_format_1();
    // Killed while the new directory was made.
    let making = beside(&data, ".migrating");
    fs::create_dir_all(making.join("journal")).unwrap();
    fs::write(making.join("identity"), "half").unwrap();
    let first = migrate(&data, support::NOW).unwrap();
    assert!(!making.exists() && first.position > Position::START);
    assert_eq!(first.old, beside(&data, ".v1-2027-01-15"));

    // Killed after the swap: the old directory stands where the new one was made.
    fs::rename(&first.old, &making).unwrap();
    assert_eq!(migrate(&data, support::NOW).unwrap(), first);
    assert!(!making.exists());
    Inspection::open(&data, None).unwrap();
    Inspection::open_v1(&first.old, None).unwrap();
}

#[test]
fn what_is_in_the_way_is_never_removed() {
    let (_dir, data) = of_format_1();
    for suffix in [".migrating", ".v1-2027-01-15"] {
        let other = beside(&data, suffix);
        copy(&data, &other);
        let refused = migrate(&data, support::NOW).unwrap_err();
        assert!(matches!(&refused, MigrateError::Place(told) if told.contains("is in the way")), "{refused}");
        assert_eq!(names(&other), names(&data), "{suffix}");
        fs::remove_dir_all(other).unwrap();
    }
    Inspection::open_v1(&data, None).unwrap();
}

#[test]
fn what_is_not_sound_is_left_as_it_is() {
    let refused = |harm: fn(&Path)| {
        let (dir, data) = of_format_1();
        harm(&data);
        let refused = migrate(&data, support::NOW).unwrap_err();
        let is_there = |name: &String| name == "data" || name == "data.migrating";
        assert!(names(dir.path()).iter().all(is_there), "{refused}");
        refused
    };
    let unclean = refused(|data| fs::remove_file(data.join("clean")).unwrap());
    assert!(matches!(unclean, MigrateError::NotClean(_)), "{unclean}");
    let lost = refused(|data| fs::remove_file(data.join("identity")).unwrap());
    assert!(!matches!(lost, MigrateError::NotClean(_)), "{lost}");
    let no_archive = refused(|data| fs::remove_file(data.join("archive.sqlite")).unwrap());
    assert!(matches!(no_archive, MigrateError::Archive(_)), "{no_archive}");
    let nothing = refused(|data| fs::remove_dir_all(data.join("journal")).unwrap());
    assert!(matches!(nothing, MigrateError::Inspect(InspectError::Nothing(_))), "{nothing}");
}

#[test]
fn files_of_the_operator_come_along() {
    let (_dir, data) = of_format_1();
    fs::write(data.join("demo-secrets.toml"), "secret").unwrap();
    migrate(&data, support::NOW).unwrap();
    assert_eq!(fs::read_to_string(data.join("demo-secrets.toml")).unwrap(), "secret");
}
