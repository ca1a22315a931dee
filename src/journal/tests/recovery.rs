//! Recovery: torn tails, damage, what the mark catches, and lives.

use super::*;
use crate::journal::frame::PAYLOAD_LEN_MAX;

/// A crashed disk with the numbers 1 to `last`, whose mark stands at `marked`.
async fn crashed(last: u64, marked: u64) -> MemoryDisk {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    append_numbered(&journal, 1, last).await;
    drop(journal);
    let disk = disk.crashed();
    let mut mark = mark::Mark::parse(&disk.read(mark::FILE).unwrap().unwrap()).unwrap();
    mark.durable = Ordinal::new(marked);
    mark.write(&disk).unwrap();
    disk
}

fn key(position: u64) -> Key {
    Key { ordinal: Ordinal::new(position), chunk: 0 }
}

fn refusal(disk: &MemoryDisk) -> String {
    match recover(disk) {
        Ok(recovered) => panic!("opened up to {} with {:?}", recovered.last(), recovered.notes()),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("onsale verify --data-dir memory"), "{text}");
            text
        }
    }
}

#[tokio::test]
async fn a_torn_tail_above_the_mark_is_cut_with_a_note() {
    let disk = crashed(3, 2).await;
    disk.damage(1, key(3), |bytes| bytes.truncate(40));
    let recovered = recover(&disk).unwrap();
    assert_eq!(recovered.last(), Position::new(2));
    assert!(recovered.notes()[0].contains("position 3"), "{:?}", recovered.notes());
    assert_eq!(all(recovered.read(Position::START)), numbered(2));
    let journal = recovered.start(TestClock::default().hooks()).unwrap();
    append_numbered(&journal, 3, 4).await;
    drop(journal);
    let again = recover(&disk.crashed()).unwrap();
    assert_eq!(all(again.read(Position::START)), numbered(4));
    assert!(again.notes().is_empty());
}

#[tokio::test]
async fn a_torn_tail_at_the_mark_is_refused() {
    let disk = crashed(3, 3).await;
    disk.damage(1, key(3), |bytes| bytes.truncate(40));
    assert!(refusal(&disk).contains("position 3"));
    assert_eq!(disk.chunks(1), [key(1), key(2), key(3)], "nothing was cut");
}

#[tokio::test]
async fn a_flipped_byte_below_the_mark_is_refused_and_at_the_end_above_it_is_cut() {
    let length = 56 + 5;
    for at in 0..length {
        let disk = crashed(3, 3).await;
        disk.damage(1, key(2), |bytes| bytes[at] ^= 0x10);
        refusal(&disk);
        let disk = crashed(3, 2).await;
        disk.damage(1, key(3), |bytes| bytes[at] ^= 0x10);
        if at == 4 {
            // It reads as a newer format, which is nobody's torn write.
            assert!(refusal(&disk).contains("format"));
        } else {
            assert_eq!(recover(&disk).unwrap().last(), Position::new(2), "byte {at}");
        }
    }
}

#[tokio::test]
async fn damage_above_the_mark_with_a_frame_behind_it_is_refused() {
    let disk = crashed(5, 1).await;
    disk.damage(1, key(3), |bytes| bytes[57] ^= 1);
    assert!(refusal(&disk).contains("written later"));
}

#[tokio::test]
async fn a_missing_frame_is_refused_even_above_the_mark() {
    let disk = crashed(5, 1).await;
    disk.damage(1, key(3), Vec::clear);
    assert!(refusal(&disk).contains("a gap: position 3 was expected"));
}

#[tokio::test]
async fn frames_that_are_gone_below_the_mark_are_refused() {
    let disk = crashed(3, 3).await;
    disk.damage(1, key(3), Vec::clear);
    assert!(refusal(&disk).contains("ends at position 2"));
}

#[tokio::test]
async fn the_loss_of_everything_is_refused() {
    let disk = crashed(2, 2).await;
    for position in 1..=2 {
        disk.damage(1, key(position), Vec::clear);
    }
    refusal(&disk);
    disk.damage(1, Key::META, Vec::clear);
    assert!(refusal(&disk).contains("lost its header"));
    disk.remove_generation(1).unwrap();
    assert!(refusal(&disk).contains("no generation is left"));
}

#[tokio::test]
async fn a_log_without_its_mark_or_identity_is_refused() {
    let disk = crashed(2, 2).await;
    disk.remove(mark::FILE).unwrap();
    assert!(refusal(&disk).contains("`mark`"));
    let disk = crashed(2, 2).await;
    disk.remove(identity::FILE).unwrap();
    assert!(refusal(&disk).contains("`identity`"));
    let disk = crashed(2, 2).await;
    disk.replace(mark::FILE, b"nonsense").unwrap();
    assert!(refusal(&disk).contains("`mark`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_entry_counts_only_when_its_last_frame_is_there() {
    let large = vec![9; 2 * PAYLOAD_LEN_MAX];
    for syncs in 0..=3 {
        let disk = MemoryDisk::new();
        let journal = start(&disk);
        append_numbered(&journal, 1, 2).await;
        disk.freeze_after_syncs(syncs);
        append(&journal, &[&large, b"4"]).await;
        append_numbered(&journal, 5, 5).await;
        drop(journal);
        let recovered = recover(&disk.crashed()).unwrap();
        let expected = if syncs < 3 { 2 } else { 4 };
        assert_eq!(recovered.last(), Position::new(expected), "{syncs} syncs");
        assert_eq!(recovered.notes().len(), usize::from(syncs == 1 || syncs == 2), "{:?}", recovered.notes());
        let journal = recovered.start(TestClock::default().hooks()).unwrap();
        let first = append(&journal, &[b"after"]).await.first;
        assert_eq!(first, Position::new(expected + 1));
        let read = all(journal.read(Position::START));
        assert_eq!(read.len(), usize::try_from(expected + 1).unwrap());
        assert_eq!(read.last().unwrap().1, b"after");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_after_any_write_leaves_all_that_was_acknowledged() {
    let entry = vec![5; PAYLOAD_LEN_MAX + 9000];
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    append_numbered(&journal, 1, 3).await;
    disk.hold_syncs();
    let answer = queue(&journal, records(&[&entry])).await;
    let waited = disk.clone();
    tokio::task::spawn_blocking(move || waited.wait_for_held_sync()).await.unwrap();
    for writes in 0..=disk.unsynced() {
        let recovered = recover(&disk.crashed_after_writes(writes)).unwrap();
        assert_eq!(all(recovered.read(Position::START)), numbered(3), "after {writes} writes");
    }
    disk.release_syncs();
    answer.await.unwrap().unwrap();
    assert_eq!(recover(&disk.crashed()).unwrap().last(), Position::new(4));
}

#[tokio::test]
async fn each_life_has_a_higher_epoch_and_frames_of_another_log_are_refused() {
    let disk = crashed(1, 1).await;
    let epoch =
        |disk: &MemoryDisk| mark::Mark::parse(&disk.read(mark::FILE).unwrap().unwrap()).unwrap().epoch;
    let first = epoch(&disk);
    let journal = start(&disk);
    append_numbered(&journal, 2, 2).await;
    assert_eq!(epoch(&disk), first + 1);
    let other = crashed(3, 3).await;
    for (position, what) in [(2, "belongs to another log"), (3, "stands in the wrong place")] {
        let mut foreign = None;
        other.damage(1, key(position), |bytes| foreign = Some(bytes.clone()));
        disk.damage(1, key(2), |bytes| *bytes = foreign.take().unwrap());
        let text = refusal(&disk.crashed());
        assert!(text.contains(what), "{text}");
    }
}

#[tokio::test]
async fn reading_goes_across_generations_and_stops_at_damage_in_an_old_one() {
    let disk = MemoryDisk::new();
    let journal = start(&disk);
    append_numbered(&journal, 1, 3).await;
    assert_eq!(journal.rotate().await, Ok(Rotated { generation: 2, first: Position::new(4) }));
    append_numbered(&journal, 4, 5).await;
    journal.rotate().await.unwrap();
    journal.rotate().await.unwrap();
    append_numbered(&journal, 6, 7).await;
    for after in 0..=7 {
        let expected: Vec<_> = numbered(7).into_iter().filter(|(position, _)| *position > after).collect();
        assert_eq!(all(journal.read(Position::new(after))), expected);
    }
    drop(journal);
    let disk = disk.crashed();
    assert_eq!(all(recover(&disk).unwrap().read(Position::START)), numbered(7));
    disk.damage(1, key(3), Vec::clear);
    let recovered = recover(&disk).unwrap();
    assert_eq!(all(recovered.read(Position::new(3))).len(), 4);
    let damage = recovered.read(Position::START).last().unwrap().unwrap_err();
    assert!(matches!(damage, ReadError::Damaged { generation: 1, .. }), "{damage}");
}
