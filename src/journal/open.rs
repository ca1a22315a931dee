//! Opening a log: finds the durable records, checks them against the mark, and cuts nothing but a torn tail.
//!
//! Owns the recovery rules. Two steps: [`open`] gives a [`Recovering`], which the caller reads from; [`Recovering::start`]
//! gives the [`Journal`] with its writer running.
//!
//! Absent on purpose: repair. Damage where a record may have been acknowledged is refused, with words that say
//! what is wrong, where, and what to do; the directory is then as it was, or can be put back by the next opening.
//!
//! Invariants: nothing at or below the mark is ever cut; nothing is cut that a valid frame stands behind, since each frame
//! was synced before the next was written; an opening never panics.

use std::collections::VecDeque;
use std::sync::Arc;

use thiserror::Error;
use tokio::sync::mpsc;

use super::config::{Driver, Hooks, JournalConfig};
use super::frame::Defect;
use super::generations::{Generation, Generations};
use super::handle::{Journal, Parts};
use super::identity::{self, Identity, OtherFormat};
use super::keeper::{self, DiskKeeper, Keeper};
use super::lane::{CLEAN, Lane, LocalLane, LocalParts};
use super::mark::{self, Mark};
use super::position::{Ordinal, Position};
use super::read::{Reader, Runs, for_each};
use super::read_error::ReadError;
use super::reserve;
use super::scan::{Sequence, Walk, Walked};
use super::snapshot::{self, Snapshot, SnapshotError};
use super::store::{DataDir, Key, Medium, Store, StoreError, caught};
#[cfg(feature = "cluster")]
use super::stream::{self, Claimed, StreamConfig, StreamPen};
use super::stream::{LogRefused, Membership, is_of_a_stream};
use super::writer::{self, Progress, Writer, WriterParts};

/// Says why a log was not opened.
#[derive(Debug, Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message says what each field is")]
pub enum OpenError {
    /// The directory cannot be used: locked, or an error of the operating system.
    #[error("the journal in {dir} cannot be opened: {source}")]
    Store { dir: String, source: StoreError },
    /// There is no room left on the disk, and no reserve to give up.
    #[error(
        "the journal in {dir} cannot be opened: {source}. What was acknowledged is kept, but the disk is full: free at least \
         twice the size of the newest directory in {dir}/journal and 4 MiB, and start again"
    )]
    Full { dir: String, source: StoreError },
    /// Something that was durable is damaged or gone.
    #[error(
        "the journal in {dir} is damaged: {what}. Nothing was changed on purpose; do not delete anything, keep a copy of the \
         directory, and run `onsale verify --data-dir {dir}` to see all of it"
    )]
    Damaged {
        dir: String,
        /// What is wrong, and where.
        what: String,
    },
    /// It is of another format.
    #[error(transparent)]
    Format(#[from] OtherFormat),
    /// The log is not on this machine's disk, and is set up wrongly, or isn't what this node has seen.
    #[error(transparent)]
    Refused(#[from] LogRefused),
    /// The writer's thread cannot be started.
    #[error("the journal's writer cannot be started: {0}")]
    Driver(std::io::Error),
}

/// Holds a log that has been opened and checked, and is not written yet.
pub struct Recovering {
    keeper: Arc<dyn Keeper>,
    pen: Pen,
    log_id: u128,
    fingerprint_key: [u8; 32],
    mark: Mark,
    config: JournalConfig,
    last: Ordinal,
    last_position: Position,
    /// How far the log is read: further than its last record where what follows is no reader's.
    until: Position,
    was_clean: bool,
    notes: Vec<String>,
}

/// What the lane is made of.
enum Pen {
    Disk {
        generations: Arc<Generations>,
        store: Arc<dyn Store>,
    },
    #[cfg(feature = "cluster")]
    Stream(Box<StreamPen>),
}

impl Journal {
    /// Opens the log in `config.dir`, or the one that `config.stream` names, or creates it. Blocks while it checks the newest generation.
    ///
    /// A log that `config.stream` names is this process's from then on: whoever wrote it before writes nothing more.
    pub fn open(config: JournalConfig) -> Result<Recovering, OpenError> {
        match config.stream.clone() {
            None => open(config),
            #[cfg(feature = "cluster")]
            Some(stream) => open_stream(config, &stream),
            #[cfg(not(feature = "cluster"))]
            Some(_) => Err(LogRefused::NotBuiltIn.into()),
        }
    }

    /// Opens the log that a process shares with others, if it is its turn. Blocks.
    ///
    /// # Errors
    /// [`LogRefused::Late`] when another one was first: nothing was changed then.
    pub fn open_as(config: JournalConfig, node: &Membership) -> Result<Recovering, OpenError> {
        #[cfg(feature = "cluster")]
        return Ok(claimed(config, node.claim()?));
        #[cfg(not(feature = "cluster"))]
        {
            drop(config);
            match *node {}
        }
    }

    /// Opens a log on another medium: a [`super::MemoryDisk`] in tests. There is no reserve file.
    pub fn open_in(config: JournalConfig, medium: Arc<dyn Medium>) -> Result<Recovering, OpenError> {
        open_in(config, medium)
    }
}

/// Claims and opens a log that isn't on this machine's disk.
#[cfg(feature = "cluster")]
fn open_stream(config: JournalConfig, stream: &StreamConfig) -> Result<Recovering, OpenError> {
    let claimed = stream::claim(&config.dir, stream)?;
    Ok(self::claimed(config, claimed))
}

/// Makes the log to read of one whose life has begun.
#[cfg(feature = "cluster")]
fn claimed(config: JournalConfig, claimed: Claimed) -> Recovering {
    let Claimed { keeper, pen, log_id, fingerprint_key, mark, last, last_position, until } = claimed;
    Recovering {
        keeper,
        pen: Pen::Stream(Box::new(pen)),
        log_id,
        fingerprint_key,
        mark,
        config,
        last,
        last_position,
        until,
        was_clean: true,
        notes: Vec::new(),
    }
}

/// Opens the log in `config.dir`, or creates it. Blocks: it reads everything in the newest generation.
fn open(config: JournalConfig) -> Result<Recovering, OpenError> {
    let dir = config.dir.clone();
    if is_of_a_stream(&dir) {
        return Err(LogRefused::DirectoryOfAStream(dir.display().to_string()).into());
    }
    let failed = |source| store_error(dir.display().to_string(), source);
    let medium = DataDir::open(&dir);

    // sled writes in order to open. Where that has no room, the reserve is given up, once.
    let medium = match medium {
        Err(error) if error.is_full() && give_up_reserve(&config) => DataDir::open(&dir),
        Ok(_) | Err(_) => medium,
    };

    let medium: Arc<dyn Medium> = Arc::new(medium.map_err(failed)?);

    let opened = match open_in(config.clone(), Arc::clone(&medium)) {
        Err(OpenError::Full { .. }) if give_up_reserve(&config) => return open_in(config, medium),
        opened => opened?,
    };

    // Last, so that making it anew takes no room that the opening needs.
    reserve::ensure(&dir, opened.config.reserve_bytes).map_err(failed)?;
    Ok(opened)
}

/// Gives up the reserve so that opening can be tried again; tells whether there was one.
fn give_up_reserve(config: &JournalConfig) -> bool {
    let dir = config.dir.display();
    match reserve::give_up(&config.dir) {
        Ok(true) => {
            tracing::error!(
                %dir,
                "the disk is full: the journal's reserve file was given up so that it can be opened; free space now, and the \
                 reserve is made again at a later start"
            );
            true
        }
        Ok(false) => false,
        Err(error) => {
            tracing::error!(%dir, %error, "the disk is full and the journal's reserve file cannot be removed");
            false
        }
    }
}

/// Opens the log on any medium, without a reserve file.
fn open_in(config: JournalConfig, medium: Arc<dyn Medium>) -> Result<Recovering, OpenError> {
    let opening = Opening { dir: medium.place().display().to_string(), medium, notes: Vec::new() };
    // Snapshots are files, whatever the log is on.
    snapshot::remove_unfinished(&config.dir).map_err(|error| opening.failed(error))?;
    opening.open(config)
}

fn store_error(dir: String, source: StoreError) -> OpenError {
    if source.is_full() {
        return OpenError::Full { dir, source };
    }
    match source {
        StoreError::Damaged(_) | StoreError::Panicked(_) => {
            OpenError::Damaged { dir, what: source.to_string() }
        }
        StoreError::Io { .. }
        | StoreError::Locked(_)
        | StoreError::Replaced(_)
        | StoreError::Deposed { .. }
        | StoreError::Log(_)
        | StoreError::Injected(_) => OpenError::Store { dir, source },
    }
}

struct Opening {
    dir: String,
    medium: Arc<dyn Medium>,
    notes: Vec<String>,
}

impl Opening {
    fn failed(&self, source: StoreError) -> OpenError {
        store_error(self.dir.clone(), source)
    }

    fn damaged(&self, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { dir: self.dir.clone(), what: what.into() }
    }

    fn note(&mut self, text: String) {
        tracing::warn!(dir = %self.dir, note = %text, "journal recovery");
        self.notes.push(text);
    }

    fn open(mut self, config: JournalConfig) -> Result<Recovering, OpenError> {
        let medium = Arc::clone(&self.medium);
        let numbers = medium.generations().map_err(|error| self.failed(error))?;
        let identity = self.identity(&numbers)?;
        let mark = self.mark(&numbers, identity.log_id)?;
        let was_clean = medium.read(CLEAN).map_err(|error| self.failed(error))?.is_some();
        let list = self.generations(&numbers, identity.log_id)?;

        let Some(newest) = list.back().copied() else {
            return self.create(config, identity, mark);
        };

        // sled may change a store by opening it, so that the copy comes first.
        if !was_clean {
            medium.preserve(newest.number).map_err(|error| self.failed(error))?;
        }

        // From here on the store may have been written to. A start that dies now leaves no clean stop behind.
        medium.remove(CLEAN).map_err(|error| self.failed(error))?;
        let store = self.open_newest(newest, was_clean)?;
        let recovered = self.check_newest(&*store, newest, &mark)?;

        // Only a checked store ends the recovery: until then the next start begins from the copy again.
        if !was_clean {
            medium.keep_preserved(newest.number).map_err(|error| self.failed(error))?;
        }

        // A torn slot of the mark brings back the one before it, and maybe an epoch before the frames'.
        let mark = Mark { epoch: mark.epoch.max(recovered.epoch), ..mark };

        let generations = Generations::new(medium, list, Arc::clone(&store));
        let recovering = Recovering::on_disk(generations, store, identity, mark, config);
        Ok(Recovering { was_clean, notes: self.notes, ..recovering.ends_at(recovered.last) })
    }

    fn identity(&self, numbers: &[u64]) -> Result<Identity, OpenError> {
        match self.medium.read(identity::FILE).map_err(|error| self.failed(error))? {
            Some(file) => {
                let identity =
                    Identity::parse(&file).ok_or_else(|| self.damaged("the file `identity` is damaged"))?;
                OtherFormat::of(&self.dir, identity.codec).map_or(Ok(identity), |format| Err(format.into()))
            }
            None if numbers.is_empty() => Identity::create(&*self.medium).map_err(|error| self.failed(error)),
            None => Err(self.damaged("there are generations, and the file `identity` is missing")),
        }
    }

    fn mark(&self, numbers: &[u64], log_id: u128) -> Result<Mark, OpenError> {
        match self.medium.read(mark::FILE).map_err(|error| self.failed(error))? {
            Some(file) => {
                let mark = Mark::parse(&file);
                let mark = mark.ok_or_else(|| {
                    self.damaged("the file `mark`, which says what has to be there, is damaged")
                })?;
                if mark.log_id != log_id {
                    return Err(self.damaged("the file `mark` belongs to another log than `identity`"));
                }
                Ok(mark)
            }
            None if numbers.is_empty() => {
                Mark::create(&*self.medium, log_id).map_err(|error| self.failed(error))
            }
            None => Err(self.damaged(
                "there are generations, and the file `mark`, which says what has to be there, is missing",
            )),
        }
    }

    /// Reads the generations' headers; an unfinished newest one is put aside.
    fn generations(&mut self, numbers: &[u64], log_id: u128) -> Result<VecDeque<Generation>, OpenError> {
        let mut list: VecDeque<Generation> = VecDeque::new();
        for (at, &number) in numbers.iter().enumerate() {
            let header = self.medium.generation_header(number).map_err(|error| self.failed(error))?;

            // A generation is sealed before anything is written to it. So only the newest can be without a
            // whole header, and it holds nothing.
            let Some(header) = header.filter(|header| !Generation::is_cut_short(header)) else {
                if at + 1 < numbers.len() {
                    return Err(self.damaged(format!("generation {number} has no header")));
                }
                self.medium.set_aside(number).map_err(|error| self.failed(error))?;
                self.note(format!(
                    "generation {number} was not finished when the process stopped; it was put aside"
                ));
                continue;
            };

            let generation = Generation::decode(&header)
                .filter(|generation| generation.number == number && generation.log_id == log_id)
                .ok_or_else(|| {
                    self.damaged(format!("the header of generation {number} is damaged or of another log"))
                })?;

            if let Some(former) = list.back()
                && (former.number + 1 != number || generation.first < former.first)
            {
                return Err(
                    self.damaged(format!("generation {number} does not follow generation {}", former.number))
                );
            }

            list.push_back(generation);
        }

        Ok(list)
    }

    /// Creates the first generation of a log that has none.
    fn create(self, config: JournalConfig, identity: Identity, mark: Mark) -> Result<Recovering, OpenError> {
        // A directory whose generations were lost looks like a new one. The mark tells them apart.
        if mark.durable > Ordinal::START {
            let position = mark.durable;
            return Err(self.damaged(format!(
                "records up to position {position} were durable, and no generation is left"
            )));
        }

        let first = Ordinal::START.next();
        let generation =
            Generation { log_id: identity.log_id, number: 1, first, epoch: mark.epoch, created: 0 };
        let store = caught(|| generation.create(&*self.medium)).map_err(|error| self.failed(error))?;
        self.medium.remove(CLEAN).map_err(|error| self.failed(error))?;

        let generations = Generations::new(self.medium, VecDeque::from([generation]), Arc::clone(&store));
        let recovering = Recovering::on_disk(generations, store, identity, mark, config);
        Ok(Recovering { notes: self.notes, ..recovering })
    }

    fn open_newest(&mut self, newest: Generation, was_clean: bool) -> Result<Arc<dyn Store>, OpenError> {
        let number = newest.number;
        let opened = match self.medium.open_generation(number) {
            Err(error @ (StoreError::Damaged(_) | StoreError::Panicked(_)))
                if !was_clean && !error.is_full() =>
            {
                self.note(format!(
                    "generation {number} could not be opened ({error}); trying again on a fresh copy without the store's snapshot"
                ));
                self.medium.retry_preserved(number).and_then(|()| self.medium.open_generation(number))
            }
            opened => opened,
        };

        let store = opened.map_err(|error| self.failed(error))?;
        if newest.is_in(&*store).map_err(|error| self.failed(error))? {
            Ok(store)
        } else {
            Err(self.damaged(format!(
                "the store of generation {number} has lost its header record, and with it probably everything from position {} on",
                newest.first
            )))
        }
    }

    /// Checks every frame of the newest generation, and cuts a torn tail above the mark.
    fn check_newest(
        &mut self,
        store: &dyn Store,
        newest: Generation,
        mark: &Mark,
    ) -> Result<Recovered, OpenError> {
        let mut sequence = Sequence::new(newest.log_id, newest.first, newest.epoch);
        let mut tail: Option<Tail> = None;
        for walked in Walk::new(store.scan(Key::FIRST, Key::META)) {
            let walked = walked.map_err(|error| self.failed(error))?;

            // Behind the first defect the frames only tell whether it is a torn write.
            if let Some(tail) = &mut tail {
                self.extend_tail(tail, &walked, newest.number)?;
                continue;
            }

            let (key, bytes, defect) = match walked {
                Walked::Bad(bad) => (bad.key, bad.bytes, bad.defect),
                Walked::Frame(frame) => {
                    let key = Key { ordinal: frame.header.first, chunk: frame.header.chunk };
                    let bytes = frame.bytes.len();
                    match sequence.accept(frame) {
                        Ok(_) => continue,
                        Err(defect) => (key, bytes, defect),
                    }
                }
            };

            if !defect.can_be_torn() {
                return Err(self.damaged(at(newest.number, key.ordinal, defect)));
            }
            tail = Some(Tail { key, bytes, defect });
        }

        if let Some(bytes) = sequence.unfinished() {
            // The frames before the torn one of a large entry go with it.
            let key = Key { ordinal: sequence.next(), chunk: 0 };
            let torn = tail.take();
            let bytes = bytes + torn.as_ref().map_or(0, |torn| torn.bytes);
            tail = Some(Tail { key, bytes, defect: torn.map_or(Defect::Unfinished, |torn| torn.defect) });
        }

        if let Some(tail) = tail {
            self.cut(store, &tail, newest, mark)?;
        }

        // A store that lost its end is whole as far as it goes: the mark alone knows of more.
        let last = sequence.next().previous();
        if last < mark.durable {
            return Err(self.damaged(format!(
                "records up to position {} were durable, and generation {} ends at position {last}",
                mark.durable, newest.number
            )));
        }

        assert!(last >= newest.first.previous(), "a log doesn't end before its newest generation begins");
        Ok(Recovered { last, epoch: sequence.epoch() })
    }

    /// Takes the bytes behind damage into the tail, unless they prove that the damage is no torn write.
    fn extend_tail(&self, tail: &mut Tail, walked: &Walked, generation: u64) -> Result<(), OpenError> {
        let (position, bytes, whole) = match walked {
            Walked::Bad(bad) => (bad.key.ordinal, bad.bytes, false),
            Walked::Frame(frame) => (frame.header.first, frame.bytes.len(), true),
        };
        if whole || position != tail.key.ordinal {
            let what = at(generation, tail.key.ordinal, tail.defect);
            return Err(self.damaged(format!(
                "{what}; a frame at position {position} was written later, so that this one had been durable"
            )));
        }
        tail.bytes += bytes;
        Ok(())
    }

    fn cut(
        &mut self,
        store: &dyn Store,
        tail: &Tail,
        newest: Generation,
        mark: &Mark,
    ) -> Result<(), OpenError> {
        if tail.key.ordinal <= mark.durable {
            let what = at(newest.number, tail.key.ordinal, tail.defect);
            return Err(
                self.damaged(format!("{what}; records up to position {} had been durable", mark.durable))
            );
        }

        // A start that dies in between is followed by one that begins from the preserved copy again.
        let cut = caught(|| {
            let keys: Result<Vec<Key>, StoreError> =
                store.scan(tail.key, Key::META).map(|chunk| chunk.map(|(key, _)| key)).collect();
            for key in keys? {
                store.remove(key)?;
            }
            store.flush()?;
            store.sync()
        });

        cut.map_err(|error| self.failed(error))?;
        self.note(format!(
            "cut {} bytes of an unfinished write from position {} on in generation {}: {}; none of it had been acknowledged as \
             far as the mark (position {}) says",
            tail.bytes, tail.key.ordinal, newest.number, tail.defect, mark.durable
        ));
        Ok(())
    }
}

fn at(generation: u64, position: Ordinal, defect: Defect) -> String {
    format!("generation {generation}, position {position}: {defect}")
}

struct Recovered {
    last: Ordinal,
    epoch: u64,
}

/// Bytes at the end that are no whole frame.
struct Tail {
    key: Key,
    bytes: usize,
    defect: Defect,
}

impl Recovering {
    /// Makes an empty log on a disk.
    fn on_disk(
        generations: Generations,
        store: Arc<dyn Store>,
        identity: Identity,
        mark: Mark,
        config: JournalConfig,
    ) -> Self {
        assert!(mark.log_id == identity.log_id, "the mark is this log's");
        let Identity { log_id, fingerprint_key, .. } = identity;
        let generations = Arc::new(generations);
        let (dir, reserve_bytes) = (config.dir.clone(), config.reserve_bytes);
        let keeper = DiskKeeper { generations: Arc::clone(&generations), dir, log_id, reserve_bytes };
        Self {
            keeper: Arc::new(keeper),
            pen: Pen::Disk { generations, store },
            log_id,
            fingerprint_key,
            mark,
            config,
            last: Ordinal::START,
            last_position: Position::START,
            until: Position::START,
            was_clean: true,
            notes: Vec::new(),
        }
    }

    fn ends_at(self, last: Ordinal) -> Self {
        Self { last, last_position: last.position(), until: last.position(), ..self }
    }

    /// Returns the last record's position.
    pub const fn last(&self) -> Position {
        self.last_position
    }

    /// Returns the oldest position that is retained.
    pub fn oldest(&self) -> Position {
        self.keeper.oldest()
    }

    /// Returns the last instant at which the engine was known to be alive, in its own milliseconds.
    pub const fn last_alive_instant(&self) -> Option<u64> {
        if self.mark.sequence == 0 { None } else { Some(self.mark.instant) }
    }

    /// Returns since when the engine was down, where a former start died before it had crossed that outage.
    ///
    /// Records may then stand behind that instant: those with which the start that died began to cross it.
    pub const fn unbridged_since(&self) -> Option<u64> {
        if self.mark.bridging { Some(self.mark.instant) } else { None }
    }

    /// Tells whether the former life ended with [`Journal::close`]; a new log counts as clean.
    pub const fn was_clean(&self) -> bool {
        self.was_clean
    }

    /// Returns the log's random id.
    pub const fn log_id(&self) -> u128 {
        self.log_id
    }

    /// Returns the log's secret, for keyed fingerprints; never to be printed.
    pub const fn fingerprint_key(&self) -> [u8; 32] {
        self.fingerprint_key
    }

    /// Returns the steps of recovery that an operator should know of; each has been logged.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Walks the records behind `after`.
    pub fn read(&self, after: Position) -> Reader {
        Reader::new(self.runs(after), after)
    }

    /// Walks runs of records behind `after`; the first may begin before it.
    pub fn runs(&self, after: Position) -> Runs {
        self.keeper.runs(after, self.until)
    }

    /// Reads the newest snapshot of the log that is whole; nothing where there is none.
    pub fn newest_snapshot(&self) -> Result<Option<Snapshot>, SnapshotError> {
        keeper::newest_snapshot(&*self.keeper)
    }

    /// Returns how many bytes the snapshot at a position has; none where there is none.
    pub fn snapshot_len(&self, position: Position) -> u64 {
        self.keeper.snapshot_len(position)
    }

    /// Shows every record behind `after` to `visit`, in order and without copying it: the path for replay.
    pub fn for_each<E: From<ReadError>>(
        &self,
        after: Position,
        visit: impl FnMut(Position, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        for_each(self.runs(after), after, visit)
    }

    /// Begins a new life of the log and starts its writer; must be called within a tokio runtime with time enabled.
    pub fn start(self, hooks: Hooks) -> Result<Journal, OpenError> {
        let instant = (hooks.clock)();
        let mark = Mark { instant, bridging: false, ..self.mark };
        self.start_with(hooks, mark)
    }

    /// The same for an engine that has been down since `instant` and has an outage to cross: until [`Journal::bridged`], the
    /// mark says so.
    pub fn start_down_since(self, hooks: Hooks, instant: u64) -> Result<Journal, OpenError> {
        let mark = Mark { instant, bridging: true, ..self.mark };
        self.start_with(hooks, mark)
    }

    #[cfg(test)]
    pub(super) const fn mark(&self) -> Mark {
        self.mark
    }

    /// Makes the lane of a log on a disk.
    fn local_lane(
        config: &JournalConfig,
        hooks: &Hooks,
        mark: Mark,
        generations: Arc<Generations>,
        store: Arc<dyn Store>,
    ) -> LocalLane {
        LocalLane::new(LocalParts {
            generations,
            store,
            mark,
            idle_mark_interval: config.idle_mark_interval,
            clock: Arc::clone(&hooks.clock),
            driver: config.driver,
        })
    }

    #[cfg(test)]
    pub(super) fn lane(&self, mark: Mark, hooks: &Hooks) -> LocalLane {
        match &self.pen {
            Pen::Disk { generations, store } => {
                Self::local_lane(&self.config, hooks, mark, Arc::clone(generations), Arc::clone(store))
            }
            #[cfg(feature = "cluster")]
            Pen::Stream(_) => panic!("the log is on this machine's disk"),
        }
    }

    fn start_with(self, hooks: Hooks, mark: Mark) -> Result<Journal, OpenError> {
        assert!(self.last >= self.mark.durable, "a log that lost durable records isn't opened");
        let mark = Mark { durable: self.last, ..mark };
        let Self { keeper, pen, config, .. } = self;
        let life = Life { keeper, hooks, config, last: self.last, last_position: self.last_position };

        match pen {
            Pen::Disk { generations, store } => {
                let mut mark = Mark { epoch: mark.epoch + 1, ..mark };

                // Durable before the first frame carries it: no two lives of a log share an epoch.
                let medium = generations.medium();
                let failed = |error| store_error(medium.place().display().to_string(), error);
                mark.write(&**medium).map_err(failed)?;

                let lane = Self::local_lane(&life.config, &life.hooks, mark, Arc::clone(&generations), store);
                life.start(lane, mark)
            }
            #[cfg(feature = "cluster")]
            Pen::Stream(pen) => {
                let interval = life.config.idle_mark_interval;
                let dir = life.config.dir.display().to_string();
                let (lane, mark) = pen
                    .lane(mark, Arc::clone(&life.hooks.clock), interval)
                    .map_err(|error| store_error(dir, error))?;
                life.start(lane, mark)
            }
        }
    }
}

/// A life of the log that begins.
struct Life {
    keeper: Arc<dyn Keeper>,
    hooks: Hooks,
    config: JournalConfig,
    last: Ordinal,
    last_position: Position,
}

impl Life {
    /// Starts the writer.
    fn start<L: Lane>(self, lane: L, mark: Mark) -> Result<Journal, OpenError> {
        let Self { keeper, hooks, config, last, last_position } = self;
        let progress = Arc::new(Progress::new(last_position));
        let writer = Writer::new(WriterParts {
            lane,
            progress: Arc::clone(&progress),
            observer: hooks.observer,
            log_id: mark.log_id,
            epoch: mark.epoch,
            last,
        });

        let (queue, received) = mpsc::channel(config.queue_len_max.max(1));
        let work = writer::run(writer, received, config.mark_interval);

        match config.driver {
            Driver::Task | Driver::Alone => drop(tokio::spawn(work)),
            Driver::Thread => {
                let runtime = tokio::runtime::Handle::current();
                let thread = std::thread::Builder::new().name("journal".to_owned());
                drop(thread.spawn(move || runtime.block_on(work)).map_err(OpenError::Driver)?);
            }
        }

        Ok(Journal::new(Parts {
            queue,
            progress,
            keeper,
            clock: hooks.clock,
            retain: config.retain,
            reserve_bytes: config.reserve_bytes,
            driver: config.driver,
            log_id: mark.log_id,
        }))
    }
}
