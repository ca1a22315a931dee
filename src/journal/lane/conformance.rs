//! What every lane is held to, by one suite: the writer over a lane, and what is there after each way to end.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use super::super::config::{Hooks, JournalConfig, Retain};
use super::super::frame::PAYLOAD_LEN_MAX;
use super::super::mark::Mark;
use super::super::position::{Ordinal, Position};
use super::super::records::Records;
use super::super::store::{MemoryDisk, StoreError};
use super::super::writer::{self, CommitError, Committed, Entry, Message, Progress, Writer, WriterParts};
use super::super::{Journal, Recovering};
use super::memory::{MemoryLane, MemoryLog};
#[cfg(feature = "cluster")]
use super::{
    super::stream::{Claimed, SessionPen, StreamConfig, StreamLogin, claim_unchecked, servers},
    NatsLane,
};
use super::{Appended, Lane, LocalLane, Rotated, Sealed};

/// A log that a lane writes, and how it is opened again.
trait Rig {
    type Lane: Lane;

    fn new() -> Self;
    /// Begins a life of the log, whatever became of the one before.
    fn open(&mut self) -> (Self::Lane, Last);
    /// Reads every record of the log. No life of it is under way.
    fn read(&mut self) -> Vec<(Position, Vec<u8>)>;
    /// Tells whether the life before ended well, with so many records.
    fn ended_with(&mut self, records: u64) -> bool;
}

/// How far a log is when a life of it begins.
struct Last {
    log_id: u128,
    epoch: u64,
    ordinal: Ordinal,
    position: Position,
}

/// In memory, with gaps between the positions.
struct InMemory(MemoryLog);

impl Rig for InMemory {
    type Lane = MemoryLane;

    fn new() -> Self {
        Self(MemoryLog::default())
    }

    fn open(&mut self) -> (MemoryLane, Last) {
        let lane = self.0.open();
        let (read, ordinal, epoch) = self.0.read(7);
        let position = read.last().map_or(Position::START, |(position, _)| *position);
        (lane, Last { log_id: 7, epoch: epoch + 1, ordinal, position })
    }

    fn read(&mut self) -> Vec<(Position, Vec<u8>)> {
        drop(self.0.open());
        self.0.read(7).0
    }

    fn ended_with(&mut self, records: u64) -> bool {
        self.0.closed_at() == Some(Ordinal::new(records))
            && self.0.last_tick().is_none_or(|tick| tick.get() <= records)
    }
}

fn hooks() -> Hooks {
    Hooks::with_clock(Arc::new(|| 1))
}

/// Opens a log on this machine's disk as a start does, up to its lane.
fn begin(recovering: &Recovering) -> (LocalLane, Last) {
    let mark = Mark { epoch: recovering.mark().epoch + 1, ..recovering.mark() };
    let position = recovering.last();
    let last = Last { log_id: mark.log_id, epoch: mark.epoch, ordinal: position.ordinal(), position };
    (recovering.lane(mark, &hooks()), last)
}

fn read(recovering: &Recovering) -> Vec<(Position, Vec<u8>)> {
    recovering
        .read(Position::START)
        .map(|record| record.unwrap())
        .map(|(at, bytes)| (at, bytes.to_vec()))
        .collect()
}

/// On a disk in memory, of which a crash leaves what was synced.
struct OnMemoryDisk(MemoryDisk);

impl OnMemoryDisk {
    fn recover(&mut self) -> Recovering {
        self.0 = self.0.crashed();
        let config = JournalConfig { reserve_bytes: 0, ..JournalConfig::new("/nonexistent") };
        Journal::open_in(config, Arc::new(self.0.clone())).unwrap()
    }
}

impl Rig for OnMemoryDisk {
    type Lane = LocalLane;

    fn new() -> Self {
        Self(MemoryDisk::new())
    }

    fn open(&mut self) -> (LocalLane, Last) {
        begin(&self.recover())
    }

    fn read(&mut self) -> Vec<(Position, Vec<u8>)> {
        read(&self.recover())
    }

    fn ended_with(&mut self, records: u64) -> bool {
        let recovering = self.recover();
        recovering.was_clean() && recovering.last().get() == records
    }
}

/// On sled, in a directory.
struct OnSled(tempfile::TempDir);

impl OnSled {
    fn recover(&self) -> Recovering {
        Journal::open(config(self.0.path())).unwrap()
    }
}

fn config(dir: &Path) -> JournalConfig {
    JournalConfig { reserve_bytes: 0, retain: Retain::Forever, ..JournalConfig::new(dir) }
}

impl Rig for OnSled {
    type Lane = LocalLane;

    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&mut self) -> (LocalLane, Last) {
        begin(&self.recover())
    }

    fn read(&mut self) -> Vec<(Position, Vec<u8>)> {
        read(&self.recover())
    }

    fn ended_with(&mut self, records: u64) -> bool {
        let recovering = self.recover();
        recovering.was_clean() && recovering.last().get() == records
    }
}

/// On a log of so many servers.
#[cfg(feature = "cluster")]
struct OnNats<const SERVERS: usize> {
    servers: servers::Servers,
    dir: tempfile::TempDir,
}

#[cfg(feature = "cluster")]
impl<const SERVERS: usize> OnNats<SERVERS> {
    fn claim(&self) -> Claimed {
        let (user, password) = servers::LOGIN;
        let config = StreamConfig {
            servers: self.servers.urls(),
            cluster: "conformance".to_owned(),
            replicas: u8::try_from(SERVERS).unwrap(),
            node: "rig".to_owned(),
            secret: Box::from(&b"the rig's secret"[..]),
            login: Some(StreamLogin::Password { user: user.to_owned(), password: password.to_owned() }),
            system: None,
            ca_file: None,
        };
        claim_unchecked(self.dir.path(), &config).unwrap()
    }

    fn all(claimed: &Claimed) -> Vec<(Position, Vec<u8>)> {
        let runs = claimed.keeper.runs(Position::START, claimed.until);
        let records = runs.flat_map(|run| {
            let run = run.unwrap();
            run.records(Position::START).map(|(at, record)| (at, record.to_vec())).collect::<Vec<_>>()
        });
        records.collect()
    }
}

#[cfg(feature = "cluster")]
impl<const SERVERS: usize> Rig for OnNats<SERVERS> {
    type Lane = NatsLane<SessionPen>;

    fn new() -> Self {
        Self { servers: servers::Servers::start(SERVERS).unwrap(), dir: tempfile::tempdir().unwrap() }
    }

    fn open(&mut self) -> (Self::Lane, Last) {
        let claimed = self.claim();
        let position = Self::all(&claimed).last().map_or(Position::START, |(position, _)| *position);
        let Claimed { pen, mark, last, .. } = claimed;
        let mark = Mark { durable: last, bridging: false, ..mark };
        let (lane, mark) = pen.lane(mark, Arc::new(|| 1), core::time::Duration::from_secs(1)).unwrap();
        (lane, Last { log_id: mark.log_id, epoch: mark.epoch, ordinal: last, position })
    }

    fn read(&mut self) -> Vec<(Position, Vec<u8>)> {
        Self::all(&self.claim())
    }

    fn ended_with(&mut self, records: u64) -> bool {
        let claimed = self.claim();
        let found = u64::try_from(Self::all(&claimed).len()).unwrap();
        claimed.mark.durable == claimed.last.previous() && found == records
    }
}

/// A lane that fails from its n-th append on, as if the process had died there.
struct Dying<L> {
    lane: L,
    appends_left: u32,
}

impl<L: Lane> Lane for Dying<L> {
    async fn append(&mut self, frame: Sealed<'_>) -> Result<Appended, StoreError> {
        self.appends_left = self.appends_left.checked_sub(1).ok_or(StoreError::Injected("died"))?;
        self.lane.append(frame).await
    }

    async fn tick(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.lane.tick(durable).await
    }

    async fn bridged(&mut self, durable: Ordinal) -> Result<(), StoreError> {
        self.lane.bridged(durable).await
    }

    async fn rotate(&mut self, first: Ordinal) -> Result<Rotated, StoreError> {
        self.lane.rotate(first).await
    }

    async fn close(self, durable: Ordinal) -> Result<(), StoreError> {
        self.lane.close(durable).await
    }

    fn abandon(self) {
        self.lane.abandon();
    }
}

fn writer<L: Lane>((lane, last): (L, Last)) -> (Writer<L>, Arc<Progress>) {
    let progress = Arc::new(Progress::new(last.position));
    let writer = Writer::new(WriterParts {
        lane,
        progress: Arc::clone(&progress),
        observer: hooks().observer,
        log_id: last.log_id,
        epoch: last.epoch,
        last: last.ordinal,
    });
    (writer, progress)
}

type Told = Arc<Mutex<Vec<Result<Committed, CommitError>>>>;

fn entry(records: &[Vec<u8>], told: &Told) -> Entry {
    let mut encoded = Records::new();
    for record in records {
        encoded.push(record).unwrap();
    }
    let told = Arc::clone(told);
    Entry { records: encoded, done: Box::new(move |committed| told.lock().unwrap().push(committed)) }
}

fn record(number: u32) -> Vec<u8> {
    number.to_le_bytes().to_vec()
}

/// An entry that needs three frames.
fn large(number: u8) -> Vec<Vec<u8>> {
    (0..24).map(|_| vec![number; PAYLOAD_LEN_MAX / 10]).collect()
}

/// Commits each list of entries at once; returns what was told of all of them.
async fn commit<L: Lane>(
    writer: &mut Writer<L>,
    batches: &[Vec<Vec<Vec<u8>>>],
) -> Vec<Result<Committed, CommitError>> {
    let told = Told::default();
    for batch in batches {
        let mut entries = batch.iter().map(|records| entry(records, &told)).collect();
        writer.commit(&mut entries).await;
    }
    core::mem::take(&mut *told.lock().unwrap())
}

/// Checks that what was told is what is read: each entry's records, at consecutive positions that grow from entry to entry.
fn check(read: &[(Position, Vec<u8>)], entries: &[Vec<Vec<u8>>], told: &[Result<Committed, CommitError>]) {
    let mut rest = read;
    let mut last = Position::START;
    for (records, told) in entries.iter().zip(told) {
        let told = told.expect("it was acknowledged");
        if records.is_empty() {
            assert_eq!((told.first, told.last), (last, last), "a barrier says what stands before it");
            continue;
        }
        let (of_entry, behind) = rest.split_at(records.len());
        rest = behind;
        assert!(told.first > last, "positions grow");
        let count = u32::try_from(records.len()).unwrap();
        let expected: Vec<_> =
            (0..count).map(|index| told.first.plus(index)).zip(records.iter().cloned()).collect();
        assert!(of_entry == expected, "an entry's records follow each other where it was said");
        last = told.last;
        assert_eq!(last, told.first.plus(count - 1));
    }
    assert!(rest.is_empty(), "nothing else is there");
}

async fn what_was_acknowledged_is_there_in_order_over_lives<R: Rig>() {
    let mut rig = R::new();
    let (mut entries, mut told): (Vec<Vec<Vec<u8>>>, Vec<_>) = (Vec::new(), Vec::new());
    for life in 0..3 {
        let batches = vec![
            vec![vec![], vec![record(life)], vec![record(life + 10), record(life + 20)], vec![]],
            vec![large(7), vec![record(life + 30)], vec![]],
        ];
        let (mut writer, progress) = writer(rig.open());
        told.extend(commit(&mut writer, &batches).await);
        entries.extend(batches.into_iter().flatten());
        assert_eq!(Ok(progress.durable()), told.last().unwrap().map(|committed| committed.last));
        assert_eq!(progress.records(), 28);
        // It ends here without a word.
        drop(writer);
    }
    check(&rig.read(), &entries, &told);
}

async fn a_large_entry_is_there_whole_or_not_at_all<R: Rig>() {
    for appends in 0..=5 {
        let mut rig = R::new();
        let (lane, last) = rig.open();
        let (mut writer, progress) = writer((Dying { lane, appends_left: appends }, last));
        let entries = [vec![record(1)], large(2), vec![record(3)]];
        let told =
            commit(&mut writer, &entries.iter().map(|entry| vec![entry.clone()]).collect::<Vec<_>>()).await;
        drop(writer);

        let acknowledged = told.iter().filter(|told| told.is_ok()).count();
        assert_eq!(
            acknowledged,
            [0, 1, 1, 1, 2, 3][usize::try_from(appends).unwrap()],
            "one frame, three, one"
        );
        check(&rig.read(), &entries[..acknowledged], &told);
        let expected = if acknowledged < 3 { Some(Err(CommitError::OutcomeUnknown)) } else { None };
        assert_eq!(told.get(acknowledged).copied(), expected);
        assert!(told.iter().skip(acknowledged + 1).all(|told| *told == Err(CommitError::Unavailable)));
        assert_eq!(progress.failure.get().is_some(), acknowledged < 3);

        // The next life goes on behind what is there.
        let mut entries = entries[..acknowledged].to_vec();
        let (mut writer, _) = self::writer(rig.open());
        let again = commit(&mut writer, &[vec![vec![record(9)]]]).await;
        drop(writer);
        entries.push(vec![record(9)]);
        let told: Vec<_> = told.into_iter().take(acknowledged).chain(again).collect();
        check(&rig.read(), &entries, &told);
    }
}

async fn what_is_closed_or_rotated_is_there_too<R: Rig>() {
    let mut rig = R::new();
    let (writer, progress) = writer(rig.open());
    let (queue, received) = tokio::sync::mpsc::channel(16);
    let run = tokio::spawn(writer::run(writer, received, core::time::Duration::from_millis(1)));

    let told = Told::default();
    let (rotated, was_rotated) = oneshot::channel();
    let (bridged, was_bridged) = oneshot::channel();
    let (closed, was_closed) = oneshot::channel();
    let entries = vec![vec![record(1)], vec![record(2)]];
    assert!(queue.send(Message::Entry(entry(&entries[0], &told))).await.is_ok());
    assert!(queue.send(Message::Rotate(rotated)).await.is_ok());
    assert!(queue.send(Message::Bridged(bridged)).await.is_ok());
    assert!(queue.send(Message::Entry(entry(&entries[1], &told))).await.is_ok());
    assert!(queue.send(Message::Close(closed)).await.is_ok());

    let rotated = was_rotated.await.unwrap().unwrap();
    assert_eq!(was_bridged.await.unwrap(), Ok(()));
    assert_eq!(was_closed.await.unwrap(), Ok(progress.durable()));
    run.await.unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(rotated.first, told[1].unwrap().first, "a rotation stands before what comes next");
    assert!(rig.ended_with(2));
    check(&rig.read(), &entries, &told);
}

macro_rules! conform {
    ($($rig:ty: $name:ident if $there:expr;)*) => {$(
        mod $name {
            use super::*;

            #[tokio::test]
            async fn what_was_acknowledged_is_there_in_order_over_lives() {
                if $there {
                    super::what_was_acknowledged_is_there_in_order_over_lives::<$rig>().await;
                }
            }

            #[tokio::test]
            async fn a_large_entry_is_there_whole_or_not_at_all() {
                if $there {
                    super::a_large_entry_is_there_whole_or_not_at_all::<$rig>().await;
                }
            }

            #[tokio::test]
            async fn what_is_closed_or_rotated_is_there_too() {
                if $there {
                    super::what_is_closed_or_rotated_is_there_too::<$rig>().await;
                }
            }
        }
    )*};
}

conform! {
    InMemory: in_memory if true;
    OnMemoryDisk: on_a_memory_disk if true;
    OnSled: on_sled if true;
}

#[cfg(feature = "cluster")]
conform! {
    OnNats<1>: on_nats if servers::program().is_some();
    OnNats<3>: on_three_nats_servers if servers::program().is_some();
}
