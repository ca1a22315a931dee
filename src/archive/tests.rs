//! The file: made once, its owner's alone, exact under repetition, and never half of a write.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::domain::accounts::{Carried, Kind, Shard, Transaction};
use crate::domain::ids::{PaymentId, TransactionId, UserId};
use crate::domain::money::Money;
use crate::domain::time::Timestamp;

const LOG: u128 = 7;

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// A movement of kim's that brings the balance to its own number.
fn moved(number: u32) -> Transaction {
    let money = |minor: u32| Money::new(u64::from(minor)).unwrap();
    Transaction {
        id: TransactionId { shard: Shard::of("kim").0, number, nonce: u64::MAX - u64::from(number) },
        kind: match number % 3 {
            0 => Kind::Charge,
            1 => Kind::Payment(PaymentId::from_bits(u128::MAX - 1)),
            _ => Kind::Refund(PaymentId::from_bits(u128::from(number))),
        },
        amount: money(number),
        balance_after: money(number),
        at: Timestamp::from_millis(u64::from(number)),
    }
}

fn carried(through: u32, count: u64) -> Carried {
    Carried { through, count, balance: Money::new(u64::from(through)).unwrap() }
}

fn numbers(archive: &Archive, carried: Carried, before: Option<u32>, limit: usize) -> Vec<u32> {
    let found = archive.transactions("kim", carried, before, limit).unwrap();
    for transaction in &found {
        assert_eq!(*transaction, moved(transaction.id.number));
    }
    found.into_iter().map(|transaction| transaction.id.number).collect()
}

fn put(archive: &Archive, after: u32, count: u64, list: &[u32]) {
    let list: Vec<Transaction> = list.iter().copied().map(moved).collect();
    archive.put_transactions(&user("kim"), after, count, &list).unwrap();
}

#[test]
fn the_first_write_makes_the_file_and_only_its_owner_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), LOG).unwrap();
    assert!(numbers(&archive, carried(9, 9), None, 9).is_empty());
    assert!(!archive.path().exists());
    put(&archive, 0, 0, &[1, 2]);
    let mode = fs::metadata(archive.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(archive);
    let archive = Archive::open(dir.path(), LOG).unwrap();
    assert_eq!(numbers(&archive, carried(2, 2), None, 9), [2, 1]);
    assert!(matches!(Archive::open(dir.path(), LOG + 1), Err(ArchiveError::OtherLog { .. })));
}

#[test]
fn an_empty_file_that_a_crash_left_is_as_good_as_none() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "").unwrap();
    let archive = Archive::open(dir.path(), LOG).unwrap();
    put(&archive, 0, 0, &[1]);
    assert_eq!(numbers(&archive, carried(1, 1), None, 9), [1]);
}

#[test]
fn a_file_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), LOG).unwrap();
    put(&archive, 0, 0, &[1]);
    drop(archive);
    let of_version = |version: i64| {
        let connection = Connection::open(dir.path().join(FILE)).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        Archive::open(dir.path(), LOG)
    };
    assert!(matches!(of_version(3), Err(ArchiveError::Newer { found: 3, .. })));
    assert!(matches!(of_version(1), Err(ArchiveError::Before { .. })));
}

#[test]
fn movements_are_read_before_a_number_and_never_beyond_what_the_account_says() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), LOG).unwrap();
    put(&archive, 0, 0, &[1, 2, 5]);
    put(&archive, 5, 3, &[6, 9]);
    assert_eq!(numbers(&archive, carried(9, 5), None, 9), [9, 6, 5, 2, 1]);
    assert_eq!(numbers(&archive, carried(9, 5), Some(6), 2), [5, 2]);
    assert_eq!(numbers(&archive, carried(5, 3), None, 9), [5, 2, 1], "the event of the others isn't durable");
    assert_eq!(numbers(&archive, carried(5, 3), Some(9), 1), [5]);
    assert!(numbers(&archive, carried(9, 5), Some(1), 9).is_empty());
    assert!(archive.transactions("lee", carried(9, 5), None, 9).unwrap().is_empty());
}

#[test]
fn what_is_written_again_replaces_all_that_is_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), LOG).unwrap();
    put(&archive, 0, 0, &[1, 2, 5]);
    put(&archive, 0, 0, &[1, 2, 5]);
    put(&archive, 5, 3, &[6, 9]);
    // The journal was given up for a backup from before, and other things have happened since.
    put(&archive, 2, 2, &[7, 8]);
    let (mut ordinals, mut seen) = (Vec::new(), Vec::new());
    let visit = |ordinal, transaction: &Transaction| {
        ordinals.push(ordinal);
        seen.push(transaction.id.number);
    };
    archive.for_each_transaction(&user("kim"), carried(99, 4), visit).unwrap();
    assert_eq!((ordinals, seen), (vec![1, 2, 3, 4], vec![1, 2, 7, 8]));
}

#[test]
fn a_write_that_was_interrupted_is_undone_and_looking_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path(), LOG).unwrap();
    put(&archive, 0, 0, &[1, 2]);
    drop(archive);
    // A writer whose cache holds nothing puts pages in the file before it commits.
    let mut connection = Connection::open(dir.path().join(FILE)).unwrap();
    connection.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1;").unwrap();
    let writer = connection.transaction().unwrap();
    writer.execute("DELETE FROM transactions", []).unwrap();
    for number in 0..2_000 {
        let insert = "INSERT INTO transactions VALUES ('kim', ?1, ?1, 0, 'charge', NULL, 0, 0, 0)";
        writer.execute(insert, [number]).unwrap();
    }
    let killed = tempfile::tempdir().unwrap();
    let names = [FILE.to_owned(), format!("{FILE}-journal")];
    for name in &names {
        fs::copy(dir.path().join(name), killed.path().join(name)).unwrap();
    }
    drop(writer);
    let bytes = || names.clone().map(|name| fs::read(killed.path().join(name)).ok());
    let before = bytes();
    assert!(before.iter().all(|file| file.as_ref().is_some_and(|file| file.len() > 1_000)));
    let scratch = tempfile::tempdir().unwrap();
    let looked = Archive::open_read_only(killed.path(), LOG, scratch.path()).unwrap();
    assert_eq!(numbers(&looked, carried(9, 9), None, 9), [2, 1]);
    drop(looked);
    assert!(bytes() == before);
    let archive = Archive::open(killed.path(), LOG).unwrap();
    assert_eq!(numbers(&archive, carried(9, 9), None, 9), [2, 1]);
    assert!(matches!(&bytes(), [Some(_), None]), "the start has undone it");
}

#[test]
fn the_rows_that_one_archive_shows_make_another_the_same() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let archive = Archive::open(one.path(), LOG).unwrap();
    let batches = |archive: &Archive| {
        let mut batches = Vec::new();
        let shown = archive.for_each_batch(|batch| {
            batches.push(batch.to_vec());
            Ok::<_, ArchiveError>(())
        });
        shown.unwrap();
        batches
    };
    assert!(batches(&archive).is_empty(), "where there is no file, there is no row");

    // More than one batch has.
    let numbers: Vec<u32> = (1..=4_500).collect();
    put(&archive, 0, 0, &numbers);
    let shown = batches(&archive);
    assert_eq!(shown.len(), 3);
    let copy = Archive::open(other.path(), LOG).unwrap();
    for batch in &shown {
        copy.put_batch(batch).unwrap();
    }
    assert_eq!(batches(&copy), shown);
    let newest = |archive: &Archive| self::numbers(archive, carried(4_500, 4_500), None, 4_500);
    assert_eq!(newest(&copy), newest(&archive));

    let mut half = shown[0].clone();
    half.pop();
    for wrong in [&[][..], &[9], &half, &[0, 7]] {
        assert!(matches!(copy.put_batch(wrong), Err(ArchiveError::Damaged { .. })));
    }
    assert_eq!(batches(&copy), shown, "and nothing was written");
}
