//! Takes a replicated log over: checks how everything is set up, and begins a life of the log.
//!
//! ```text
//! directory: lock, what was seen → servers: version, sync, size → streams: ours, safe, with the same secret, not less than was seen
//! → the last frame → Life behind it: from here on nobody else writes → Recovering reads up to that Life
//! ```
//!
//! Invariants: nothing is written before everything was checked; a life begins at most once for each start; the log is read up to its
//! own life's first frame, so that no server that is behind hides what was acknowledged.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::super::config::{CODEC, Clock};
use super::super::frame::{self, CRC_AT, Defect, u32_at};
use super::super::keeper::Keeper;
use super::super::lane::{Appender, End, Message, NatsLane, NatsParts};
use super::super::mark::Mark;
use super::super::position::{Ordinal, Position};
use super::super::store::StoreError;
use super::keeper::StreamKeeper;
use super::life::Life;
use super::lost::Lost;
use super::names::Names;
use super::pen::SessionPen;
use super::refused::LogRefused;
use super::runs::{Oldest, Servers, StreamReader};
use super::seen::{Seen, Sight};
use super::session::{NO_STREAM, NoAnswer, STREAM_NAME_IN_USE, Session, StreamInfo};
use super::settings::{StreamConfig, StreamLogin};
use super::snapshots::Shelf;
use crate::random;

/// The earliest version of the servers that is known to be safe, and was tested.
const VERSION_MIN: (&str, [u64; 3]) = ("2.15.1", [2, 15, 1]);
/// The least that a message may have to be able to have: a part of a snapshot in JetStream's JSON.
const PAYLOAD_MIN: usize = 1_000_000;
/// The format of the streams: what stands in them, and how they are named.
const FORMAT: &str = "2";
/// How often a life is tried to begin while others begin theirs.
const CLAIMS_MAX: u32 = 5;
/// How long the servers may be without a leader before a start gives up.
const PATIENCE: u32 = 60;
const PAUSE: Duration = Duration::from_millis(250);

/// Names the formats of the streams and of what stands in them.
pub(super) fn formats() -> String {
    format!("{FORMAT}.{CODEC}")
}

/// A log whose life has begun.
pub(in crate::journal) struct Claimed {
    pub(in crate::journal) keeper: Arc<dyn Keeper>,
    pub(in crate::journal) pen: StreamPen,
    pub(in crate::journal) log_id: u128,
    pub(in crate::journal) fingerprint_key: [u8; 32],
    /// Of the life before.
    pub(in crate::journal) mark: Mark,
    /// The last record: this life's first, which is no reader's.
    pub(in crate::journal) last: Ordinal,
    /// Where the last record stands that a reader is shown.
    pub(in crate::journal) last_position: Position,
    /// How far the log has to be read: to this life's first record.
    pub(in crate::journal) until: Position,
}

/// What the lane of a life is made of.
pub(in crate::journal) struct StreamPen {
    appender: Appender<SessionPen>,
    epoch: u64,
    sight: Sight,
    seen: Seen,
}

impl StreamPen {
    /// Makes the lane, and writes the first mark of this life. Blocks.
    pub(in crate::journal) fn lane(
        self,
        mark: Mark,
        clock: Clock,
        idle_mark_interval: Duration,
    ) -> Result<(NatsLane<SessionPen>, Mark), StoreError> {
        let Self { appender, epoch, sight, seen } = self;
        let SessionPen { session, names, boot, .. } = appender.pen.clone();
        let mark = Mark { epoch, ..mark };
        let parts = NatsParts { appender, mark, idle_mark_interval, clock, sight, seen };
        let mut lane = NatsLane::new(parts);
        let marking = Arc::clone(&session);
        session.block(async move {
            let mark = lane.mark_surely(mark.durable).await?;
            // Those of the lives before say nothing any more. What stays is deleted by the next start.
            if let Ok(info) = marking.info(&names.rest, Some(&names.marks())).await {
                let others = info.state.subjects.into_keys().filter(|subject| *subject != names.mark(boot));
                for subject in others {
                    drop(marking.purge(&names.rest, &subject, None).await);
                }
            }
            Ok((lane, mark))
        })
    }
}

/// Checks everything and begins a life of the log. Blocks.
pub(in crate::journal) fn claim(dir: &Path, config: &StreamConfig) -> Result<Claimed, LogRefused> {
    Claiming::prepare(dir, config)?.claim()
}

/// As [`claim`], without asking the system account whether the servers sync: for tests that have none.
#[cfg(test)]
pub(in crate::journal) fn claim_unchecked(dir: &Path, config: &StreamConfig) -> Result<Claimed, LogRefused> {
    Claiming::prepare_unchecked(dir, config)?.claim()
}

/// Who begins a life: it is asked right before, and told right behind it.
pub(super) trait Claimer {
    /// Returns the number that tells its process from others of the same name.
    fn boot(&self) -> u128;

    /// Tells whether it may begin a life behind the last frame: its life's number, and who began that life, if it begins in this
    /// frame. Blocks.
    fn may_begin(&self, epoch: u64, author: Option<(&str, u128)>) -> bool;

    /// Is told which life has begun; says whether it is still its own. Blocks.
    fn has_begun(&self, epoch: u64) -> Result<(), Lost>;

    /// Tells whether it tries again when another one was first.
    fn insists(&self) -> bool;
}

/// A process that takes the log from whoever has it.
struct Anyone(u128);

impl Claimer for Anyone {
    fn boot(&self) -> u128 {
        self.0
    }

    fn may_begin(&self, _: u64, _: Option<(&str, u128)>) -> bool {
        true
    }

    fn has_begun(&self, _: u64) -> Result<(), Lost> {
        Ok(())
    }

    fn insists(&self) -> bool {
        true
    }
}

fn open_directory(dir: &Path) -> Result<Seen, LogRefused> {
    let name = || dir.display().to_string();
    if dir.join("journal").is_dir() || dir.join(super::super::identity::FILE).is_file() {
        return Err(LogRefused::DirectoryOfADisk(name()));
    }
    Seen::open(dir).map_err(|source| LogRefused::Directory { dir: name(), source })
}

fn connect(config: &StreamConfig) -> Result<Arc<Session>, LogRefused> {
    let session = session(config, config.login.as_ref())
        .map_err(|what| LogRefused::Unreachable { servers: config.servers.join(", "), what })?;

    let (server, version, max) = session.server();
    check_version(&server, &version)?;
    if max < PAYLOAD_MIN {
        return Err(LogRefused::Payload { max });
    }
    Ok(session)
}

fn session(config: &StreamConfig, login: Option<&StreamLogin>) -> Result<Arc<Session>, String> {
    let name = format!("onsale {}", config.node);
    Session::connect(&config.servers, login, config.ca_file.clone(), &name)
}

fn check_version(server: &str, version: &str) -> Result<(), LogRefused> {
    let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u64>().ok());
    let found = [(); 3].map(|()| numbers.next().unwrap_or(0));
    if found >= VERSION_MIN.1 {
        return Ok(());
    }
    let (server, version) = (server.to_owned(), version.to_owned());
    Err(LogRefused::Version { server, version, wanted: VERSION_MIN.0 })
}

/// Asks every server that answers how it is set up.
fn check_servers(session: &Arc<Session>, config: &StreamConfig) -> Result<(), LogRefused> {
    let login = config.system.as_ref().ok_or(LogRefused::NoSystemLogin)?;
    let system = self::session(config, Some(login)).map_err(LogRefused::System)?;
    let asking = Arc::clone(&system);
    let (connected, ..) = session.server();
    let expected = connected.clone();
    let servers = system.block(async move { asking.servers(&expected).await });
    let servers = servers.map_err(|error| LogRefused::System(error.what))?;

    for server in &servers {
        check_version(&server.name, &server.version)?;
        if !server.syncs {
            return Err(LogRefused::NotSynced(server.name.clone()));
        }
    }
    if !servers.iter().any(|server| server.name == connected) {
        let what =
            format!("the server {connected} isn't among those that answer it, or has JetStream turned off");
        return Err(LogRefused::System(what));
    }
    Ok(())
}

/// What a claim needs, checked.
pub(super) struct Claiming {
    pub(super) session: Arc<Session>,
    pub(super) names: Names,
    config: StreamConfig,
    seen: Seen,
}

/// What makes a log this cluster's.
pub(super) struct LogIdentity {
    pub(super) log_id: u128,
    created: u64,
    key: [u8; 32],
}

/// A life that has begun.
pub(super) struct Begun {
    identity: LogIdentity,
    appender: Appender<SessionPen>,
    life: Life,
    frame: bytes::Bytes,
    /// Its one record.
    record: Ordinal,
    /// The mark of the life before.
    mark: Mark,
}

/// The last frame of the log; zeros where there is none.
struct Tip {
    end: End,
    /// What the life that wrote it noted last.
    mark: Mark,
    epoch: u64,
    next: Ordinal,
    /// Where the last record stands that a reader is shown.
    last: Position,
    /// The life that begins in it, if one does.
    life: Option<Life>,
}

impl Claiming {
    /// Checks the directory and the servers, and connects. Blocks.
    pub(super) fn prepare(dir: &Path, config: &StreamConfig) -> Result<Self, LogRefused> {
        let claiming = Self::prepare_unchecked(dir, config)?;
        check_servers(&claiming.session, config)?;
        Ok(claiming)
    }

    /// The same without asking the system account.
    fn prepare_unchecked(dir: &Path, config: &StreamConfig) -> Result<Self, LogRefused> {
        let seen = open_directory(dir)?;
        let session = connect(config)?;
        Ok(Self { session, names: Names::of(&config.cluster), config: config.clone(), seen })
    }

    /// Connects once more, beside the connection that the log's frames go over.
    pub(super) fn connect_beside(&self) -> Result<Arc<Session>, LogRefused> {
        connect(&self.config)
    }

    fn claim(self) -> Result<Claimed, LogRefused> {
        let begun = self.begin(&Anyone(u128::from_le_bytes(random::bytes())))?;
        self.finish(begun)
    }

    /// Begins a life of the log, unless it isn't the claimer's turn. Blocks.
    pub(super) fn begin(&self, claimer: &dyn Claimer) -> Result<Begun, LogRefused> {
        let identity = self.identity()?;
        let begun = self.begin_life(identity, claimer)?;
        claimer
            .has_begun(begun.life.epoch)
            .map_err(|lost| LogRefused::LostAtOnce { stream: self.names.log.clone(), lost })?;
        Ok(begun)
    }

    /// Makes what reads and writes the log. Blocks.
    pub(super) fn finish(self, begun: Begun) -> Result<Claimed, LogRefused> {
        let Begun { identity, appender, life, frame, record, mark } = begun;
        let LogIdentity { log_id, created, key } = identity;
        let sequence = appender.last();
        let crc = u32_at(&frame, CRC_AT).expect("a frame has a header");
        let sight = Sight { log_id, created, sequence, ordinal: record, crc };

        let found =
            self.ask(|session, names| async move { session.first_from(&names.log, &names.lane, 1).await })?;
        let Message { sequence: oldest, bytes, .. } =
            found.ok_or_else(|| self.damaged("its first message is gone again"))?;
        let header = frame::open(&bytes, CODEC).map_err(|defect| self.defect(oldest, defect))?;
        let oldest = Oldest { sequence: oldest, ordinal: header.first };

        let Self { session, names, seen, .. } = self;
        let servers = Servers { session: Arc::clone(&session), names: names.clone() };
        let reader = StreamReader { source: Box::new(servers), log_id, oldest: Mutex::new(oldest) };
        let vitals = appender.vitals.clone();
        vitals.keep_from(oldest.sequence);
        let subject = names.frames(life.boot);
        let snapshots = Arc::new(Shelf { session, names, log_id, subject, vitals });
        let Life { epoch, last: last_position, .. } = life;
        Ok(Claimed {
            keeper: Arc::new(StreamKeeper { reader: Arc::new(reader), shelf: snapshots }),
            pen: StreamPen { appender, epoch, sight, seen },
            log_id,
            fingerprint_key: key,
            mark,
            last: record,
            last_position,
            until: Position::in_stream(sequence),
        })
    }

    /// Begins a life behind the last frame, whoever wrote that, unless it isn't the claimer's turn.
    fn begin_life(&self, identity: LogIdentity, claimer: &dyn Claimer) -> Result<Begun, LogRefused> {
        let LogIdentity { log_id, created, .. } = identity;
        let late = || LogRefused::Late(self.names.log.clone());
        let rest = Arc::new(self.rest_settings(log_id));
        for _ in 0..CLAIMS_MAX {
            let tip = self.tip(log_id)?;
            let author = tip.life.as_ref().map(|life| (life.node.as_str(), life.boot));
            if !claimer.may_begin(tip.epoch, author) {
                return Err(late());
            }
            let life = Life {
                epoch: tip.epoch + 1,
                instant: now(),
                boot: claimer.boot(),
                last: tip.last,
                node: self.config.node.clone(),
            };
            let frame = life.frame(log_id, tip.next);

            let (session, names) = (Arc::clone(&self.session), self.names.clone());
            let pen = SessionPen { session, names, boot: life.boot, created, rest: Arc::clone(&rest) };
            let mut appender = Appender::new(pen, tip.end.clone());
            let message = frame.clone();
            let (appender, outcome) = self.session.block(async move {
                let outcome = appender.append(&[message]).await;
                (appender, outcome)
            });
            match outcome {
                Ok(_) => {
                    let Tip { next: record, mark, .. } = tip;
                    return Ok(Begun { identity, appender, life, frame, record, mark });
                }
                // The one before has appended once more, or another takes it over, too.
                Err(StoreError::Deposed { .. }) if claimer.insists() => {}
                Err(StoreError::Deposed { .. }) => return Err(late()),
                Err(error) => {
                    let stream = self.names.log.clone();
                    return Err(LogRefused::Stream { stream, what: error.to_string() });
                }
            }
        }
        Err(LogRefused::Contended(self.names.log.clone()))
    }

    /// Finds the last frame, and checks that it isn't before what was seen.
    fn tip(&self, log_id: u128) -> Result<Tip, LogRefused> {
        // Read first: the log only grows meanwhile.
        let marks = self.marks(log_id)?;
        let found = self.ask(|session, names| async move { session.last(&names.log, &names.lane).await })?;
        let Some(Message { sequence, subject, bytes }) = found else {
            let mark = newest(&marks).unwrap_or(Mark::empty(log_id));
            if mark.durable > Ordinal::START {
                return Err(self.lost(format!("it is empty, and record {} had been durable", mark.durable)));
            }
            if let Some(seen) = self.seen.last {
                return Err(self.lost(format!("it is empty, and message {} had been there", seen.sequence)));
            }
            let (end, next, last) = (End::default(), Ordinal::START.next(), Position::START);
            return Ok(Tip { end, mark, epoch: 0, next, last, life: None });
        };

        let header = frame::open(&bytes, CODEC).map_err(|defect| self.defect(sequence, defect))?;
        if header.log_id != log_id {
            return Err(self.defect(sequence, Defect::ForeignLog));
        }
        if header.more {
            return Err(self.defect(sequence, Defect::Unfinished));
        }
        self.check_seen(sequence)?;
        let next = header.first.advance(header.count);
        // A life that ended before its first mark left that of the one before.
        let own = Names::boot(&subject).and_then(|boot| marks.get(&boot).copied());
        let mark = own.or_else(|| newest(&marks)).unwrap_or(Mark::empty(log_id));
        if mark.durable >= next {
            let (durable, last) = (mark.durable, next.previous());
            return Err(
                self.lost(format!("record {durable} had been durable, and it ends with record {last}"))
            );
        }
        let life = Life::read(&bytes);
        let last = match &life {
            Some(life) => life.last,
            None => Position::in_stream(self.entry_of(sequence, header)?).plus(header.count - 1),
        };
        Ok(Tip { end: End { sequence, subject }, mark, epoch: header.epoch, next, last, life })
    }

    /// Finds the first message of the entry that ends with a message.
    fn entry_of(&self, mut sequence: u64, mut header: frame::Header) -> Result<u64, LogRefused> {
        while header.chunk > 0 {
            sequence -= 1;
            let at = sequence;
            let found = self.ask(move |session, names| async move {
                session.first_from(&names.log, &names.lane, at).await
            })?;
            let Message { bytes, .. } = found
                .filter(|found| found.sequence == at)
                .ok_or_else(|| self.defect(at, Defect::Gap(header.first)))?;
            header = frame::open(&bytes, CODEC).map_err(|defect| self.defect(at, defect))?;
        }
        Ok(sequence)
    }

    /// Reads the marks of all lives that left one.
    fn marks(&self, log_id: u128) -> Result<BTreeMap<u128, Mark>, LogRefused> {
        let info =
            self.ask(|session, names| async move { session.info(&names.rest, Some(&names.marks())).await })?;
        let mut marks = BTreeMap::new();
        for subject in info.state.subjects.into_keys() {
            let at = subject.clone();
            let found = self.ask(move |session, names| {
                let at = at.clone();
                async move { session.last(&names.rest, &at).await }
            })?;
            // The life that has begun meanwhile has deleted it.
            let Some(found) = found else { continue };
            let mark =
                Mark::decode(&found.bytes).filter(|mark| mark.log_id == log_id).zip(Names::boot(&subject));
            let (mark, boot) = mark.ok_or_else(|| self.damaged("a mark is damaged, or another log's"))?;
            marks.insert(boot, mark);
        }
        Ok(marks)
    }

    /// Checks that the frame that was seen last is there, the same, unless it is no longer retained.
    fn check_seen(&self, last: u64) -> Result<(), LogRefused> {
        let Some(seen) = self.seen.last else { return Ok(()) };
        if last < seen.sequence {
            return Err(
                self.lost(format!("it ends at message {last}, and message {} had been there", seen.sequence))
            );
        }
        let at = seen.sequence;
        let found =
            self.ask(
                move |session, names| async move { session.first_from(&names.log, &names.lane, at).await },
            )?;
        match found {
            Some(found) if found.sequence == at && u32_at(&found.bytes, CRC_AT) != Some(seen.crc) => {
                Err(self.lost(format!("message {at} is another than the one that was there")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Finds the log, or makes it, and checks that it is this cluster's and safe.
    pub(super) fn identity(&self) -> Result<LogIdentity, LogRefused> {
        let names = &self.names;
        let info = match self.info(&names.log)? {
            Some(info) => info,
            None if let Some(seen) = self.seen.last => {
                return Err(self.lost(format!("it isn't there, and message {} had been", seen.sequence)));
            }
            None => {
                let log_id = u128::from_le_bytes(random::bytes());
                self.create(&names.log, self.log_settings(log_id))?
            }
        };

        let stream = names.log.clone();
        let of_metadata = |name: &str| info.config["metadata"][name].as_str().map(str::to_owned);
        let format = of_metadata("onsale_format").ok_or_else(|| LogRefused::Foreign(stream.clone()))?;
        let own = formats();
        if format != own {
            return Err(LogRefused::Format { stream, found: format, own });
        }
        let log_id = of_metadata("onsale_log_id").and_then(|text| u128::from_str_radix(&text, 16).ok());
        let log_id = log_id.ok_or_else(|| LogRefused::Foreign(stream.clone()))?;
        if of_metadata("onsale_secret_tag") != Some(self.secret_tag(log_id)) {
            return Err(LogRefused::Secret(stream));
        }
        Self::check_settings(&names.log, &info.config, &self.log_settings(log_id))?;

        let created = info.made_at();
        if let Some(seen) = self.seen.last
            && (seen.log_id, seen.created) != (log_id, created)
        {
            return Err(self.lost(format!("it was made anew at {}", info.created)));
        }

        // Its second stream comes second: a log that was begun and has none gets it now.
        let rest = match self.info(&names.rest)? {
            Some(info) => info,
            None => self.create(&names.rest, self.rest_settings(log_id))?,
        };
        Self::check_settings(&names.rest, &rest.config, &self.rest_settings(log_id))?;
        Ok(LogIdentity { log_id, created, key: self.key("onsale: the log's secret", log_id) })
    }

    fn log_settings(&self, log_id: u128) -> Value {
        let mut settings = self.settings(&self.names.log, &self.names.log_subjects(), log_id);
        settings["discard"] = json!("new");
        settings["deny_delete"] = json!(true);
        settings["allow_atomic"] = json!(true);
        settings
    }

    fn rest_settings(&self, log_id: u128) -> Value {
        let mut settings = self.settings(&self.names.rest, &self.names.rest_subjects(), log_id);
        settings["max_msgs_per_subject"] = json!(1);
        settings
    }

    /// Finds the stream of leases, or makes it, and checks that it is this log's; returns its settings.
    pub(super) fn leases(&self, log_id: u128) -> Result<Value, LogRefused> {
        let stream = &self.names.live;
        let mut settings = self.settings(stream, &[self.names.leases()], log_id);
        settings["storage"] = json!("memory");
        settings["max_msgs_per_subject"] = json!(1);
        let info = match self.info(stream)? {
            Some(info) => info,
            None => self.create(stream, settings.clone())?,
        };
        Self::check_settings(stream, &info.config, &settings)?;
        if info.config["metadata"]["onsale_log_id"] != settings["metadata"]["onsale_log_id"] {
            let what = format!(
                "it has the leases of another log: delete it (nats stream rm {stream}) and start again"
            );
            return Err(LogRefused::Settings { stream: stream.clone(), what });
        }
        Ok(settings)
    }

    fn settings(&self, name: &str, subjects: &[String], log_id: u128) -> Value {
        json!({
            "name": name, "subjects": subjects, "storage": "file", "retention": "limits",
            "num_replicas": self.config.replicas, "max_msgs": -1, "max_bytes": -1, "max_age": 0, "max_consumers": -1,
            "max_msg_size": -1, "allow_direct": true,
            "metadata": {
                "onsale_format": formats(),
                "onsale_log_id": format!("{log_id:032x}"),
                "onsale_secret_tag": self.secret_tag(log_id),
            },
        })
    }

    /// Checks what the log's safety rests on, as the stream has it.
    fn check_settings(stream: &str, found: &Value, wanted: &Value) -> Result<(), LogRefused> {
        let failed = |what| Err(LogRefused::Settings { stream: stream.to_owned(), what });
        for (name, wanted) in wanted.as_object().expect("settings have names") {
            let found = &found[name];
            match name.as_str() {
                "metadata" => {}
                "num_replicas" => {
                    let (has, wants) = (found.as_u64().unwrap_or(0), wanted.as_u64().unwrap_or(0));
                    if has < wants {
                        return failed(format!(
                            "it has {has} replicas, and cluster.replicas says {wants}: raise them \
                             (nats stream edit {stream} --replicas {wants}), or change the setting"
                        ));
                    }
                }
                // What is left out is what is off.
                _ if found == wanted
                    || (found.is_null() && (*wanted == json!(0) || *wanted == json!(false))) => {}
                _ => return failed(format!("`{name}` is {found}, and has to be {wanted}; put it back")),
            }
        }
        if found["sealed"] == json!(true) {
            return failed("it is sealed, so that nothing can be appended any more".to_owned());
        }
        Ok(())
    }

    /// Makes a key of the cluster's secret for one log and one purpose.
    fn key(&self, purpose: &str, log_id: u128) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.config.secret));
        context.update(purpose.as_bytes());
        context.update(&log_id.to_le_bytes());
        *context.sign().as_ref().first_chunk().expect("SHA-256 has 32 bytes")
    }

    /// Returns what tells everyone whether a node has the same secret, and nobody what it is.
    fn secret_tag(&self, log_id: u128) -> String {
        let tag = self.key("onsale: which secret", log_id);
        tag[..16].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn info(&self, stream: &str) -> Result<Option<StreamInfo>, LogRefused> {
        let name = stream.to_owned();
        let info = self.try_ask(move |session, _| {
            let name = name.clone();
            async move { session.info(&name, None).await }
        });
        match info {
            Ok(info) => Ok(Some(info)),
            Err(NoAnswer { code: Some(NO_STREAM), .. }) => Ok(None),
            Err(NoAnswer { what, .. }) => Err(LogRefused::Stream { stream: stream.to_owned(), what }),
        }
    }

    /// Makes a stream, or finds that another node just did.
    fn create(&self, stream: &str, settings: Value) -> Result<StreamInfo, LogRefused> {
        let api = format!("STREAM.CREATE.{stream}");
        let created = self.try_ask(move |session, _| {
            let (api, settings) = (api.clone(), settings.clone());
            async move { session.call::<StreamInfo>(&api, &settings).await }
        });
        let failed = |what| LogRefused::Stream { stream: stream.to_owned(), what };
        match created {
            Ok(info) => Ok(info),
            Err(NoAnswer { code: Some(STREAM_NAME_IN_USE), .. }) => {
                self.info(stream)?.ok_or_else(|| failed("it comes and goes".to_owned()))
            }
            Err(NoAnswer { what, .. }) => Err(failed(what)),
        }
    }

    fn ask<T: Send + 'static, F: Future<Output = Result<T, NoAnswer>> + Send + 'static>(
        &self,
        ask: impl Fn(Arc<Session>, Names) -> F + Send + 'static,
    ) -> Result<T, LogRefused> {
        let failed = |NoAnswer { what, .. }| LogRefused::Stream { stream: self.names.log.clone(), what };
        self.try_ask(ask).map_err(failed)
    }

    /// Asks until there is an answer, for as long as an election may take.
    fn try_ask<T: Send + 'static, F: Future<Output = Result<T, NoAnswer>> + Send + 'static>(
        &self,
        ask: impl Fn(Arc<Session>, Names) -> F + Send + 'static,
    ) -> Result<T, NoAnswer> {
        let (session, names) = (Arc::clone(&self.session), self.names.clone());
        self.session.block(async move {
            for _ in 1..PATIENCE {
                match ask(Arc::clone(&session), names.clone()).await {
                    Err(NoAnswer { code: None, .. }) => tokio::time::sleep(PAUSE).await,
                    done => return done,
                }
            }
            ask(session, names).await
        })
    }

    fn lost(&self, what: String) -> LogRefused {
        LogRefused::Lost {
            stream: self.names.log.clone(),
            seen: self.seen.path().display().to_string(),
            what,
        }
    }

    fn damaged(&self, what: impl Into<String>) -> LogRefused {
        LogRefused::Damaged { stream: self.names.log.clone(), what: what.into() }
    }

    fn defect(&self, sequence: u64, defect: Defect) -> LogRefused {
        self.damaged(format!("message {sequence}: {defect}"))
    }
}

/// Returns the newest of some lives' marks.
fn newest(marks: &BTreeMap<u128, Mark>) -> Option<Mark> {
    marks.values().copied().max_by_key(|mark| (mark.epoch, mark.sequence))
}

/// Reads the system's clock, for people: no decision rests on it.
#[expect(clippy::disallowed_methods, reason = "shown to people; no decision rests on it")]
fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
