//! What a power cut leaves of the journal: ext4 on a loop device, whose backing file is copied after an acknowledgement.
//!
//! The backing file holds what the file system has sent to its device, and not what is still in the page cache of the
//! mounted file system: the copy is what a cut at that moment leaves. The negative control leaves the sync of each
//! commit out, and no other, and must lose records; if it does not, the rig proves nothing.

#![expect(clippy::unwrap_used, reason = "helpers of a test")]

#[path = "support/device.rs"]
#[allow(unreachable_pub, reason = "other tests share it")]
mod device;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use device::Mounted;
use onsale::journal::{
    DataDir, Driver, Entry, Hooks, Journal, JournalConfig, OpenError, Position, Records, Recovering,
};

const DEVICE_BYTES: u64 = 48 << 20;
const ROUNDS: u64 = 4;

/// What is expected at a position: recognisable, and of many lengths.
fn record(position: u64, round: u64) -> Vec<u8> {
    let length = 8 + usize::try_from(position * 131 % (400 * (round + 1))).unwrap();
    position.to_le_bytes().into_iter().cycle().take(length).collect()
}

fn config(dir: &Path) -> JournalConfig {
    // The mark's own sync would have the file system commit other files too, and so hide what the journal's sync does.
    let mark_interval = Duration::from_mins(10);
    JournalConfig { reserve_bytes: 0, driver: Driver::Thread, mark_interval, ..JournalConfig::new(dir) }
}

fn open(dir: &Path, synced: bool) -> Result<Recovering, OpenError> {
    let config = config(dir);
    if synced {
        Journal::open(config)
    } else {
        let medium = DataDir::open(dir).expect("a data directory").without_commit_syncs();
        Journal::open_in(config, Arc::new(medium))
    }
}

/// Appends until the power is cut; returns the last position that was acknowledged.
async fn life(data: &Path, round: u64, synced: bool, cut: impl FnOnce()) -> u64 {
    let opened = open(data, synced).expect("opens");
    let journal = opened.start(Hooks::with_clock(Arc::new(|| 0))).expect("starts");
    let mut acknowledged = 0;
    for batch in 0..40 + 25 * round {
        let mut answers = Vec::new();
        for entry in 0..=(batch % 7) * 5 {
            let large = (batch % 20 == 19 && entry == 0).then_some(200_000);
            let position = acknowledged + u64::try_from(answers.len()).unwrap() + 1;
            let mut records = Records::new();
            let mut bytes = record(position, round);
            bytes.resize(large.unwrap_or(bytes.len()), 1);
            records.push(&bytes).unwrap();
            let (reply, answer) = tokio::sync::oneshot::channel();
            let done = Box::new(move |result| {
                let _ = reply.send(result);
            });
            journal.reserve().await.unwrap().send(Entry { records, done });
            answers.push(answer);
        }
        for answer in answers {
            acknowledged = answer.await.unwrap().unwrap().last.get();
        }
        if batch == 30 {
            journal.rotate().await.unwrap();
        }
    }
    cut();
    journal.close().await.expect("what comes after the cut is not looked at");
    acknowledged
}

/// Cuts the power after the last acknowledgement; returns how many records of how many are there afterwards.
fn round(round: u64, synced: bool) -> Result<Result<(u64, u64), String>, String> {
    let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
    let image = scratch.path().join("device");
    let after = scratch.path().join("after");
    let (at, again) = (scratch.path().join("mount"), scratch.path().join("again"));
    fs::create_dir(&at).and_then(|()| fs::create_dir(&again)).map_err(|error| error.to_string())?;
    device::make(&image, DEVICE_BYTES)?;
    let mounted = Mounted::new(&image, &at)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let data = at.join("data");
    let acknowledged = runtime.block_on(life(&data, round, synced, || {
        fs::copy(&image, &after).expect("the device is copied");
    }));
    drop(runtime);
    drop(mounted);

    let _mounted = Mounted::new(&after, &again)?;
    let data = again.join("data");
    if !data.is_dir() {
        return Ok(Ok((0, acknowledged)));
    }
    let opened = match open(&data, true) {
        Ok(opened) => opened,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut found = 0;
    for read in opened.read(Position::START) {
        let (position, bytes) = match read {
            Ok(read) => read,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let expected = record(position.get(), round);
        assert!(
            bytes.starts_with(&expected) || expected.starts_with(&bytes),
            "position {position} is changed"
        );
        found += 1;
        assert_eq!(position.get(), found);
    }
    Ok(Ok((found, acknowledged)))
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_and_without_syncs_it_does_not() {
    let first = match round(0, true) {
        Ok(first) => first,
        Err(why) => {
            eprintln!("SKIPPED power cut: no loop device to be had here ({why})");
            return;
        }
    };
    let rest = (1..ROUNDS).map(|number| round(number, true).expect("the rig works"));
    for outcome in std::iter::once(first).chain(rest) {
        let (found, acknowledged) = outcome.expect("opens after the cut");
        assert!(acknowledged > 100 && found >= acknowledged, "{found} of {acknowledged} are there");
    }
    let lost = (0..ROUNDS)
        .map(|number| round(number, false).expect("the rig works"))
        .inspect(|outcome| eprintln!("without the sync of each commit: {outcome:?}"))
        .filter(|outcome| !matches!(outcome, Ok((found, acknowledged)) if found >= acknowledged))
        .count();
    eprintln!("power cut: {ROUNDS} rounds lost nothing; without syncs {lost} of {ROUNDS} lost records");
    assert!(lost > 0, "the negative control lost nothing: the rig proves nothing");
}
