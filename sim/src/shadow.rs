//! The replay that never restarts: every durable record from the beginning, applied once, in one world.
//!
//! What the engine publishes, and what a snapshot with the records behind it comes to, is compared with it (R1), aggregate by
//! aggregate. Since it looks at the durable position alone, it is also a look at whether anything is shown that isn't durable (V1).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use onsale::books;
use onsale::domain::ids::{PaymentNumber, ScheduleNumber};
use onsale::domain::schedule::Image;
use onsale::domain::waiting_room::RoomImage;
use onsale::engine::Engine;
use onsale::journal::{Position, ReadError, snapshot};
use onsale::record;
use onsale::recovery::World;

use crate::book::Book;
use crate::dice::Trace;

/// The replay.
#[derive(Default)]
pub(crate) struct Shadow {
    world: World,
    at: Position,
    /// Of every record.
    pub(crate) trace: Trace,
    /// Records of the whole run, for comparisons with what snapshots come to: each with its position.
    records: Vec<(Position, Vec<u8>)>,
    /// Whether snapshots let records go before they were read here: two of them while the process wasn't scheduled for a day. What comes
    /// after them can't be compared any more.
    lost: bool,
}

impl Shadow {
    /// Takes in what has become durable since.
    pub(crate) fn follow(&mut self, engine: &Engine, book: &mut Book) {
        if self.lost {
            return;
        }
        let durable = engine.journal().durable();
        if durable < self.at {
            let text = format!("records up to {} were durable, and the journal ends at {durable}", self.at);
            return book.broken("S3 journal-short", text);
        }

        let after = self.at;
        let mut new = Vec::new();
        let read = engine.journal().for_each(after, |position, bytes| {
            new.push((position, bytes.to_vec()));
            Ok::<(), ReadError>(())
        });
        if let Err(ReadError::Gone { .. }) = read {
            self.lost = true;
            return;
        }

        if let Err(error) = read {
            return book.broken("R1 journal-unread", format!("the journal can't be read: {error}"));
        }
        for (position, bytes) in new {
            if let Err(text) = apply(&mut self.world, &bytes) {
                let text = format!("the replay from the beginning fails at {position}: {text}");
                return book.broken("R1 replay-fails", text);
            }
            self.trace.add(&bytes);
            self.at = position;
            self.records.push((position, bytes));
        }
    }

    /// Compares what is published with the replay.
    pub(crate) fn compare(&self, engine: &Engine, book: &mut Book) {
        if self.lost {
            return;
        }
        let world = &self.world;
        let catalogue = *engine.catalogue() == world.catalogue;
        book.check("R1 catalogue-differs", catalogue, || {
            "the catalogue isn't what the replay comes to".to_owned()
        });

        // One that moves to the archive is read here until the catalogue says that it is there; the journal may have failed before that.
        let mut live = engine.schedules();
        live.retain(|entry| entry.read().ended().is_none());
        let numbers: Vec<ScheduleNumber> = live.iter().map(|entry| entry.number()).collect();
        let mut replayed: Vec<ScheduleNumber> = world.schedules.keys().copied().collect();
        replayed.sort_unstable();
        book.check("R1 schedules-differ", numbers == replayed, || {
            format!("schedules {numbers:?} live, and the replay has {replayed:?}")
        });

        for entry in live {
            let Some(schedule) = world.schedules.get(&entry.number()) else { continue };
            let (published, replayed) = (Image::of(&entry.read()), Image::of(schedule));
            book.check("R1 schedule-differs", published == replayed, || {
                format!("schedule {} is {published:?}, and replay comes to {replayed:?}", entry.id())
            });
            if let Some(room) = world.rooms.get(&entry.number()) {
                let (published, replayed) = (RoomImage::of(&entry.room().read()), RoomImage::of(room));
                book.check("R1 room-differs", published == replayed, || {
                    format!("the room of {} is {published:?}, and replay comes to {replayed:?}", entry.id())
                });
            }
            let Some(payments) = world.payments.get(&entry.number()) else { continue };
            let last = payments.iter().next_back().map_or(0, |payment| payment.id.number.count());
            for number in 1..=last + 8 {
                let published = engine.payment_numbered(entry.number(), PaymentNumber(number));
                let replayed = payments.numbered(PaymentNumber(number)).cloned();
                book.check("R1 payment-differs", published == replayed, || {
                    format!(
                        "payment {number} of {} is {published:?}, and the replay has {replayed:?}",
                        entry.id()
                    )
                });
            }
        }

        for (user, account) in world.accounts.values().flat_map(onsale::domain::accounts::Accounts::iter) {
            let published = engine.balance(user).map(|(balance, currency, _)| (balance, currency));
            let replayed = Some((account.balance(), account.currency()));
            book.check("R1 account-differs", published == replayed, || {
                format!("{user} has {published:?}, by the replay {replayed:?}")
            });
        }

        for user in world.users.iter() {
            book.check("R1 user-differs", engine.user(&user.id).as_ref() == Some(user), || {
                format!("user {} differs", user.id)
            });
        }
    }

    /// Compares every snapshot, with the records behind it, with the replay.
    pub(crate) fn compare_snapshots(&self, dir: &Path, log_id: u128, book: &mut Book) {
        if self.lost {
            return;
        }
        let listed = match snapshot::list(dir) {
            Ok(listed) => listed,
            Err(error) => {
                return book.broken("R1 snapshots-unread", format!("the snapshots can't be listed: {error}"));
            }
        };

        for (position, path) in listed {
            if position > self.at {
                book.broken(
                    "R1 snapshot-ahead",
                    format!("a snapshot stands for {position}, and {} is durable", self.at),
                );
            }
            match self.restored_from(&path, position, log_id) {
                Ok(world) if world == self.world => {}
                Ok(world) => {
                    let what = self.difference(&world);
                    book.broken("R1 snapshot-differs", format!("the snapshot of {position} and the records behind it differ from the replay: {what}"));
                }
                Err(error) => {
                    book.broken("R1 snapshot-unread", format!("the snapshot of {position}: {error}"));
                }
            }
        }
    }

    fn restored_from(&self, path: &Path, position: Position, log_id: u128) -> Result<World, String> {
        let snapshot = snapshot::read(path).map_err(|error| error.to_string())?;
        if snapshot.header.log_id != log_id || snapshot.header.position != position {
            return Err("it is another log's".to_owned());
        }
        let mut world = World::default();
        for section in record::decode_sections(&snapshot.sections) {
            let section = section.map_err(|error| error.to_string())?;
            world.restore(section).map_err(|error| error.to_string())?;
        }
        for (_, bytes) in self.records.iter().filter(|(at, _)| *at > position) {
            apply(&mut world, bytes)?;
        }
        Ok(world)
    }

    fn difference(&self, other: &World) -> String {
        let mut parts = Vec::new();
        let mine = &self.world;
        if mine.catalogue != other.catalogue {
            parts.push("the catalogue".to_owned());
        }

        for (number, schedule) in &mine.schedules {
            if other.schedules.get(number) != Some(schedule) {
                parts.push(format!("schedule {}", schedule.id()));
            }
        }

        for (number, room) in &mine.rooms {
            if other.rooms.get(number) != Some(room) {
                parts.push(format!("the room of schedule {}", number.0));
            }
        }

        for (number, payments) in &mine.payments {
            let theirs = other.payments.get(number);
            if theirs != Some(payments) {
                let of = |payments: &onsale::domain::payments::Payments| {
                    payments.iter().map(|payment| (payment.id.number.0, payment.state)).collect::<Vec<_>>()
                };
                parts.push(format!(
                    "the payments of schedule {}: {:?} and {:?}",
                    number.0,
                    theirs.map(of),
                    of(payments)
                ));
            }
        }

        if mine.accounts != other.accounts {
            parts.push("accounts".to_owned());
        }
        if mine.users != other.users {
            parts.push("users".to_owned());
        }

        parts.join(", ")
    }

    /// Checks every aggregate's own invariants, and the books, as `onsale verify` does.
    pub(crate) fn verify(&self, book: &mut Book) {
        if self.lost {
            return;
        }
        match guarded(|| self.world.check()) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => book.broken("R1 world-check", error.to_string()),
            Err(text) => book.broken("S2 invariant", format!("an invariant doesn't hold: {text}")),
        }
        if let Err(error) = books::check(&self.world) {
            book.broken("M2 books", error.to_string());
        }
    }

    /// Returns how many records there were.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.records.len()).expect("a length fits")
    }
}

fn apply(world: &mut World, bytes: &[u8]) -> Result<(), String> {
    let record = record::decode(bytes).map_err(|error| error.to_string())?;
    match guarded(|| world.apply(&record)) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(text) => Err(format!("{text}, at {:?}", record.fact)),
    }
}

/// Runs what may panic where an assertion doesn't hold.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let before = crate::panics::count();
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| crate::panics::take_from(before))
}
