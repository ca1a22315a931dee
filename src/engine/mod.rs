//! The engine: actors over a journal. kameo lives only here.
//!
//! ```text
//! write     Engine → actor: stamp → decide → apply → journal.append(reply) ⟶ flush + sync ⟶ published state → reply
//! read      Engine → published state: durable only, never behind a reply that was given
//! recovery  snapshot → replay → aggregates → bridge the outage → actors
//! ```
//!
//! Absent on purpose: HTTP, tokens, JSON. An embedder uses [`Engine`] as the HTTP layer does.

// The first methods that rustdoc shows.
mod calls;

mod accounts;
mod archive;
mod catalogue;
mod core;
mod directory;
mod error;
mod follow;
mod live;
mod numbers;
mod past;
mod payments;
mod room;
mod schedule;
mod seal;
mod start;
mod supervisor;
mod users;

use ::core::num::NonZeroU32;
use ::core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_lc_rs::hmac;
use kameo::actor::ActorRef;

pub use archive::{FoundReservation, Listed, Moved, Narrow};
pub use catalogue::{CatalogueChange, Changed, Import};
pub use error::{EngineError, Refusal};
pub use live::Done;
pub use past::{Changes, HistoryError, Moment, PointInTime, PointInTimeError};
pub use payments::Purchase;
pub use room::{Pass, RoomEntry};
pub use schedule::{DELTAS_MAX, Delta, MarkedMap, ScheduleEntry, SeatsMark};
pub use start::{ClockLimit, EngineOpenError, SnapshotFailed};
pub use users::new_user_id;

use catalogue::{CatalogueActor, TakeSnapshot};
use directory::Directory;
use live::{Act, Flush};
use room::standing;

use crate::clock::{Clock, SystemClock};
use crate::domain::catalogue::Catalogue;
use crate::domain::cause::{By, Cause};
use crate::domain::concert::Prices;
use crate::domain::ids::{PaymentId, ReservationId, ScheduleNumber, TransactionId, UserId};
use crate::domain::keys::KeyUse;
use crate::domain::schedule::{Limits, Reservation, ReservationRef};
use crate::domain::time::{Seconds, Timestamp};
use crate::domain::waiting_room::{self, Ticket, Tuning};
use crate::gateway::Gateways;
use crate::journal::{JournalConfig, Log, Medium, Membership, Position};

/// The settings of an engine.
#[derive(Clone)]
pub struct EngineConfig {
    /// The journal's settings; `journal.dir` is the data directory.
    pub journal: JournalConfig,
    /// How many messages may wait for one actor. Default: 4,096. Beyond it a request is refused at once.
    pub mailbox_len_max: usize,
    /// How long a caller waits for a reply before it is told that the outcome is unknown; without one, until
    /// the journal answers. Default: 10 s. A server whose requests have a deadline of their own needs none.
    pub reply_timeout: Option<Duration>,
    /// How long ended reservations are kept. Default: 7 days.
    pub ended_retention: Seconds,
    /// How many holds of one schedule a user may let end unpaid within an hour before the next is refused; any number if absent.
    pub unpaid_holds_max: Option<NonZeroU32>,
    /// How many idempotency keys each schedule keeps at most. Default: 1,000,000.
    pub keys_max: u32,
    /// After how many events a snapshot is taken. Default: 1,000,000.
    pub snapshot_every_events: u64,
    /// After how much time a snapshot is taken, if anything happened. Default: 10 minutes.
    pub snapshot_every: Duration,
    /// How long after its show a schedule moves to the archive, and from what age on movements of accounts do; nothing does
    /// where it is unset. Default: 30 days.
    pub archive_after: Option<Seconds>,
    /// The source of instants.
    pub clock: Arc<dyn Clock>,
    /// How far it may be ahead of the log at the start. Default: no limit.
    pub clock_limit: ClockLimit,
    /// Where the journal lives instead of the disk, in tests.
    pub medium: Option<Arc<dyn Medium>>,
    /// The process that this is among others which share the log, if it is one: the log is opened when it is its turn.
    pub node: Option<Membership>,
    /// The payment gateways. Default: none, and payments through one are refused.
    pub gateways: Gateways,
}

impl EngineConfig {
    /// Makes the default configuration for a data directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            journal: JournalConfig::new(dir),
            mailbox_len_max: 4_096,
            reply_timeout: Some(Duration::from_secs(10)),
            ended_retention: Seconds::new(7 * Seconds::DAY.get()),
            unpaid_holds_max: None,
            keys_max: 1_000_000,
            snapshot_every_events: 1_000_000,
            snapshot_every: Duration::from_mins(10),
            archive_after: Some(Seconds::new(30 * Seconds::DAY.get())),
            clock: Arc::new(SystemClock::new()),
            clock_limit: ClockLimit::default(),
            medium: None,
            node: None,
            gateways: Gateways::default(),
        }
    }

    fn limits(&self) -> Limits {
        Limits { ended_retention: self.ended_retention, keys_max: self.keys_max }
    }
}

/// The booking engine. Clones share one.
#[derive(Clone)]
pub struct Engine {
    directory: Arc<Directory>,
    catalogue: ActorRef<CatalogueActor>,
    /// The tasks that take snapshots, and move schedules to the archive, now and then.
    tasks: Arc<[tokio::task::JoinHandle<()>]>,
}

impl Engine {
    /// Returns the present instant of the engine's clock.
    pub fn now(&self) -> Timestamp {
        self.directory.core.clock.now()
    }

    /// Returns the catalogue as it is durable.
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.directory.core.catalogue()
    }

    /// Finds a schedule by its id.
    pub fn schedule(&self, id: &str) -> Option<Arc<ScheduleEntry>> {
        self.directory.schedule(id)
    }

    /// Finds a schedule by its number, as a reservation's id carries it.
    pub fn schedule_by_number(&self, number: ScheduleNumber) -> Option<Arc<ScheduleEntry>> {
        self.directory.schedule_by_number(number)
    }

    /// Returns every schedule, in order of their numbers.
    pub fn schedules(&self) -> Vec<Arc<ScheduleEntry>> {
        self.directory.schedules()
    }

    /// Returns the schedules in which a user may have a reservation.
    pub fn schedules_of_user(&self, user: &str) -> Vec<Arc<ScheduleEntry>> {
        self.directory.schedules_of_user(user)
    }

    /// Reads the text of a reservation's id; nothing where it can't be one.
    pub fn reservation_id(&self, text: &str) -> Option<ReservationId> {
        ReservationId::parse(text).ok().map(|id| self.directory.core.seal.open_reservation(id))
    }

    /// Reads the text of a payment's id; nothing where it can't be one.
    pub fn payment_id(&self, text: &str) -> Option<PaymentId> {
        PaymentId::parse(text).ok().map(|id| self.directory.core.seal.open_payment(id))
    }

    /// Reads the text of a movement's id; nothing where it can't be one.
    pub fn transaction_id(&self, text: &str) -> Option<TransactionId> {
        TransactionId::parse(text).ok().map(|id| self.directory.core.seal.open_transaction(id))
    }

    /// Finds a reservation of a live schedule as it is durable.
    pub fn reservation(&self, id: ReservationId) -> Option<(Arc<ScheduleEntry>, Reservation)> {
        let entry = self.schedule_by_number(id.schedule)?;
        let reference = ReservationRef { number: id.number, nonce: id.nonce };
        let reservation = entry.read().reservation(reference)?.clone();
        Some((entry, reservation))
    }

    /// Reads a reservation as it is durable. A hold whose time is over has ended by then.
    ///
    /// The clock alone isn't told: an end that isn't kept yet would be undone by an outage, which gives holds their time back. So
    /// the schedule first applies everything due; where it can't, as on a failed journal, the hold is shown as it is kept.
    pub async fn read_reservation(&self, entry: &ScheduleEntry, id: ReservationRef) -> Option<Reservation> {
        let now = self.now();
        let kept = entry.read().reservation(id)?.clone();
        if kept.status_at(now) == kept.status {
            return Some(kept);
        }
        self.catch_up(::core::iter::once(entry)).await;
        entry.read().reservation(id).cloned()
    }

    /// Has schedules apply everything due, and waits until that is durable.
    async fn catch_up<'a>(&self, entries: impl Iterator<Item = &'a ScheduleEntry>) {
        if self.directory.core.journal.failure().is_some() {
            return;
        }

        let mut asked = false;
        for entry in entries {
            let Some(actor) = entry.live().actor() else { continue };
            asked |= actor.ask(Flush).try_send().await.is_ok();
        }
        if asked {
            let _ = self.directory.core.journal.barrier().await;
        }
    }

    /// Returns how many events stand behind the newest snapshot: the next start replays them.
    pub fn events_since_snapshot(&self) -> u64 {
        let counted = self.directory.snapshot_records.load(Ordering::Relaxed);
        self.journal().records().wrapping_sub(counted)
    }

    /// Returns the prices that a schedule sells at, or would if its sale opened now.
    pub fn prices(&self, entry: &ScheduleEntry) -> Arc<Prices> {
        let set = entry.read().prices().cloned();
        // A schedule that never opened, and went to the archive before schedules kept their prices, has none.
        let of_concert = || {
            let prices = self.catalogue().prices(entry.concert(), entry.layout());
            Arc::new(prices.expect("a listed schedule's concert has a price for each of its grades"))
        };
        set.unwrap_or_else(of_concert)
    }

    /// Takes a place in a schedule's waiting room, or finds the one that the user has. Without a key, the
    /// latter asks nobody.
    ///
    /// # Errors
    /// As [`Engine::act`]; [`Refusal::Room`] where there is no room.
    pub async fn join(
        &self,
        entry: &ScheduleEntry,
        user: &UserId,
        key: Option<KeyUse>,
    ) -> Result<Done<waiting_room::Answer>, EngineError> {
        if key.is_none()
            && let Some(place) = standing(&entry.room().read(), user, self.now())
        {
            return Ok(Done { answer: waiting_room::Answer::Standing(place), replayed: false });
        }
        let join = waiting_room::Command::Join { user: user.clone() };
        self.directory.act_in_room(entry, join, Cause { by: By::User, key }).await
    }

    /// Gives a user's place up, waiting or active; durable when the answer comes. Another's place stays.
    ///
    /// # Errors
    /// As [`Engine::join`].
    pub async fn leave(
        &self,
        entry: &ScheduleEntry,
        user: &UserId,
        ticket: Ticket,
        key: Option<KeyUse>,
    ) -> Result<Done<waiting_room::Answer>, EngineError> {
        let leave = waiting_room::Command::Leave { user: user.clone(), ticket };
        self.directory.act_in_room(entry, leave, Cause { by: By::User, key }).await
    }

    /// Changes how a waiting room is run while it runs; durable when the answer comes.
    ///
    /// # Errors
    /// As [`Engine::join`].
    pub async fn tune(
        &self,
        entry: &ScheduleEntry,
        tuning: Tuning,
        cause: impl Into<Cause>,
    ) -> Result<Done<waiting_room::Answer>, EngineError> {
        if !tuning.is_in_range() {
            return Err(waiting_room::Refusal::OutOfRange.into());
        }
        self.directory.act_in_room(entry, waiting_room::Command::Tune(tuning), cause.into()).await
    }

    /// Signs the pass of a place: the user shows it as the queue token.
    pub fn sign_pass(&self, entry: &ScheduleEntry, user: &str, pass: Pass) -> String {
        self.directory.passes.sign(entry.number(), user, pass)
    }

    /// Reads a pass; nothing, unless it was signed for this user and this schedule (Q2). A place that is active has
    /// shown a sign of life with it.
    pub fn read_pass(&self, entry: &ScheduleEntry, user: &str, text: &str) -> Option<Pass> {
        let now = self.now();
        let pass = self.directory.passes.read(entry.number(), user, text, now)?;
        if entry.room().admits(pass, now) {
            self.show_life(entry, pass.ticket);
        }
        Some(pass)
    }

    /// Notes that the holder of a place is there. The first sign of life of an active place goes to the actor; one that
    /// finds its mailbox full is found when the time to show up is over.
    pub fn show_life(&self, entry: &ScheduleEntry, ticket: Ticket) {
        if entry.room().show_life(ticket, self.now())
            && let Some(actor) = entry.room().live().actor()
        {
            let command = waiting_room::Command::Claim { ticket };
            let claim = Act::new(command, Cause { by: By::User, key: None });
            drop(actor.tell(claim).try_send());
        }
    }

    /// Makes the digests by which an idempotency key and its body are known, under the log's own secret.
    pub fn key(&self, caller: &str, route: &str, key: &str, body: &[u8]) -> KeyUse {
        let digest = |parts: &[&[u8]]| {
            let mut context = hmac::Context::with_key(&self.directory.fingerprint_key);
            for part in parts {
                // The lengths keep ("ab", "c") and ("a", "bc") apart.
                context.update(&part.len().to_le_bytes());
                context.update(part);
            }
            let tag = context.sign();
            let (half, _) = tag.as_ref().split_first_chunk().expect("SHA-256 has 32 bytes");
            u128::from_le_bytes(*half)
        };

        let made = KeyUse {
            digest: digest(&[caller.as_bytes(), route.as_bytes(), key.as_bytes()]),
            fingerprint: digest(&[body]),
        };

        let owner = u32::try_from(digest(&[caller.as_bytes()]) >> 96).expect("shifted");
        // 0 is nobody's.
        made.owned_by(owner.max(1))
    }

    /// Returns a secret of the log's for one purpose, which stays the same for as long as the log is there.
    pub fn secret(&self, purpose: &str) -> [u8; 32] {
        directory::secret_for(&self.directory.fingerprint_key, purpose)
    }

    /// Returns the data directory.
    pub fn data_dir(&self) -> &std::path::Path {
        &self.directory.data_dir
    }

    /// Returns the log, to read its durable records and to follow them.
    pub fn journal(&self) -> &Log {
        &self.directory.core.journal
    }

    /// Takes a snapshot now, and returns the position that it stands for.
    ///
    /// # Errors
    /// When the journal has failed or the file can't be written.
    pub async fn snapshot(&self) -> Result<Position, SnapshotFailed> {
        use kameo::error::SendError;
        match self.catalogue.ask(TakeSnapshot).send().await {
            Ok(position) => Ok(position),
            Err(SendError::HandlerError(error)) => Err(error),
            Err(
                SendError::ActorNotRunning(_)
                | SendError::ActorStopped
                | SendError::ActorRestarting(_)
                | SendError::MailboxFull(_)
                | SendError::Timeout(_),
            ) => Err(SnapshotFailed::Stopping),
        }
    }

    /// Makes a schedule's actor panic, as a bug would: for the tests of supervision.
    #[doc(hidden)]
    pub async fn fail_actor(&self, entry: &ScheduleEntry) {
        entry.live().fail().await;
    }
}
