//! A simulated world, from its first life to its settling: the engine on a disk that fails, among clients who vanish.
//!
//! Each life of the engine has a runtime of its own. To kill the process is to drop the runtime: every task stops where it waits.
//! Disk, gateway, true time and the book outlive it.

use std::path::PathBuf;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use onsale::clock::Clock;
use onsale::domain::time::Seconds;
use onsale::engine::{CatalogueChange, Engine, EngineConfig};
use onsale::gateway::Gateways;
use onsale::journal::{Driver, JournalConfig, Retain};

use crate::book::{self, Violation};
use crate::calls::{self, Outcome};
use crate::clock::{LifeClock, TrueTime};
use crate::dice::Dice;
use crate::disk::{Disk, Life};
use crate::gateway::Desk;
use crate::plan::{Ask, Fate, Moment, PLAY, Plan, Restart, Step};
use crate::shadow::Shadow;
use crate::{checks, documents, panics, resolve, settle, shim, words};

/// How long a step waits for an answer before it goes on without it.
const WAITS: Duration = Duration::from_secs(15);
/// An instant that is further away than this isn't waited for, in milliseconds.
const NEAR: u64 = 3 * 3_600_000;
/// A restart that nobody planned: after a failure of the disk, and at the end.
const PLAIN: Restart = Restart { unsynced: 100, down: 3_000, skew: 0, dies_at: None, trouble: None };
/// How many steps a world goes on without a journal, until someone starts it again.
const PATIENCE: u32 = 2;

/// What a run came to.
#[derive(Debug, Default, Clone)]
pub(crate) struct Report {
    pub(crate) trace: u64,
    pub(crate) steps: u64,
    pub(crate) lives: u64,
    pub(crate) deaths_at_start: u64,
    pub(crate) refused_starts: u64,
    pub(crate) clock_steps: u64,
    pub(crate) simulated_millis: u64,
    pub(crate) calls: u64,
    pub(crate) vanished: u64,
    pub(crate) lost: u64,
    pub(crate) deaths: u64,
    pub(crate) torn: u64,
    pub(crate) failed: u64,
    pub(crate) full: u64,
    pub(crate) lies: u64,
    pub(crate) refused: u64,
    pub(crate) panics: u64,
    pub(crate) records: u64,
    pub(crate) deaths_in_files: u64,
    pub(crate) wrong_clocks: u64,
    pub(crate) story: Vec<String>,
    pub(crate) violation: Option<Violation>,
}

/// How a life ended.
enum End {
    /// The process died, or was stopped.
    Again(Restart),
    /// Nothing is left to do.
    Done,
}

/// One world.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) disk: Disk,
    pub(crate) desk: Desk,
    pub(crate) time: TrueTime,
    pub(crate) book: book::Shared,
    pub(crate) shadow: Shadow,
    pub(crate) dir: PathBuf,
    report: Report,
    /// The next step.
    at: usize,
    /// What follows a death that was set up.
    after_death: Restart,
    settled: u32,
}

/// What one life of the engine has.
pub(crate) struct Living {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<LifeClock>,
    pub(crate) life: Arc<Life>,
}

impl World {
    pub(crate) fn new(plan: Plan, dir: PathBuf, unchecked: Vec<String>) -> Self {
        let time = TrueTime::new();
        let book = book::Book { unchecked, setup: plan.setup, ..book::Book::default() };
        Self {
            disk: Disk::new(dir.clone()),
            desk: Desk::new(time.clone()),
            time,
            book: book::Shared::new(book.into()),
            shadow: Shadow::default(),
            dir,
            report: Report::default(),
            at: 0,
            after_death: PLAIN,
            settled: 0,
            plan,
        }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, book::Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&mut self, line: String) {
        self.report.story.push(line);
    }

    fn is_broken(&self) -> bool {
        self.book().broken.is_some()
    }

    /// Runs from the first life to the last.
    pub(crate) fn run(mut self) -> Report {
        let mut restart = Restart { down: 0, ..PLAIN };
        loop {
            self.report.lives += 1;
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let runtime = runtime.expect("a runtime without threads");
            let end = runtime.block_on(async {
                let end = self.live(restart).await;
                self.time.end();
                end
            });
            // Every task stops where it waits. What is dropped then has no effect on the disk: that life is over.
            drop(runtime);
            match end {
                End::Again(next) if !self.is_broken() && self.report.lives < 200 => {
                    self.time.pass(next.down);
                    restart = next;
                }
                End::Again(_) | End::Done => break,
            }
        }
        self.conclude()
    }

    fn conclude(mut self) -> Report {
        if let Some(text) = panics::first_unasked() {
            self.book().broken("B1 panic", format!("a panic: {text}"));
        }
        let (disk, gateway) = (self.disk.counts(), self.desk.counts());
        let mut report = std::mem::take(&mut self.report);
        {
            let book = self.book();
            report.violation.clone_from(&book.broken);
            report.calls = book.asked.values().sum();
            (report.vanished, report.lost) = (book.vanished, book.lost);
        }
        (report.deaths, report.torn) = (report.deaths + disk.deaths, disk.torn);
        (report.failed, report.full) = (disk.failed, disk.full + shim::full_count());
        (report.lies, report.refused, report.panics) = (gateway.lies, gateway.refused, gateway.panics);
        report.deaths_in_files += u64::from(shim::is_dead());
        report.records = self.shadow.count();
        report.simulated_millis = self.time.now() - crate::clock::BEGIN;

        let mut trace = self.shadow.trace;
        for line in &report.story {
            trace.add(line.as_bytes());
        }

        report.trace = trace.digest();
        report
    }

    fn config(&self, clock: &Arc<LifeClock>, life: &Arc<Life>) -> EngineConfig {
        let setup = &self.plan.setup;
        let journal = JournalConfig {
            reserve_bytes: 0,
            retain: match setup.retain {
                None => Retain::Forever,
                Some(0) => Retain::Snapshot,
                Some(days) => Retain::For(Duration::from_hours(24 * days)),
            },
            mark_interval: Duration::from_millis(setup.mark),
            idle_mark_interval: Duration::from_millis(10 * setup.mark),
            driver: Driver::Alone,
            ..JournalConfig::new(&self.dir)
        };
        let clock: Arc<dyn Clock> = Arc::<LifeClock>::clone(clock);

        EngineConfig {
            journal,
            ended_retention: Seconds::new(setup.ended_retention_days * 86_400),
            snapshot_every_events: setup.snapshot_every,
            snapshot_every: Duration::from_hours(6),
            archive_after: Some(Seconds::new(3 * 86_400)),
            clock,
            medium: Some(Arc::new(self.disk.clone())),
            gateways: Gateways::new([self.desk.connect(Arc::clone(life))]),
            ..EngineConfig::new(&self.dir)
        }
    }

    /// One life: from the start to the death, or to the end of the run.
    async fn live(&mut self, restart: Restart) -> End {
        self.time.begin();
        self.report.deaths_in_files += u64::from(shim::is_dead());
        self.report.wrong_clocks += u64::from(restart.skew != 0);
        shim::alive();
        let unsynced = self.disk.unsynced();
        let share = usize::try_from(restart.unsynced).expect("a percentage");
        let life = self.disk.begin_life(unsynced * share / 100);
        let wall = self.time.now().saturating_add_signed(restart.skew);
        let clock = Arc::new(LifeClock::new(wall));
        if let Some((points, how)) = restart.dies_at {
            self.disk.die_at(points, how);
        }

        if let Some(trouble) = restart.trouble {
            self.disk.trouble(trouble);
        }
        let failed = self.disk.counts().failures();
        let opened = Engine::open(self.config(&clock, &life)).await;

        if life.is_over() {
            self.report.deaths_at_start += 1;
            self.book().start_died();
            self.tell(format!("  … and is killed during the start, {}", words::dies(restart.dies_at)));
            return End::Again(Restart { dies_at: None, trouble: None, ..restart });
        }

        self.disk.mend();
        if opened.is_err() && self.disk.counts().failures() > failed {
            self.report.refused_starts += 1;
            self.tell(
                "  … and the start is refused: the disk fails; it is mended, and started again".to_owned(),
            );
            return End::Again(Restart { dies_at: None, trouble: None, ..restart });
        }

        let engine = match opened {
            Ok(engine) => engine,
            Err(error) => {
                let told = panics::first_unasked().map(|text| format!(" ({text})")).unwrap_or_default();
                self.book().broken("S3 start-refused", format!("a start was refused: {error}{told}"));
                return End::Done;
            }
        };
        let living = Living { engine, clock, life };
        if self.report.lives == 1 {
            self.set_up(&living.engine).await;
        }

        self.book().check_outage(&living.engine);
        self.look(&living, true).await;
        let end = self.go_on(&living).await;
        self.note_end(&living, &end);
        end
    }

    /// Notes what lived when the life ended.
    fn note_end(&mut self, living: &Living, end: &End) {
        if let End::Again(_) = end {
            let now = living.clock.now().as_millis();
            self.book().died(now);
        }
    }

    async fn set_up(&mut self, engine: &Engine) {
        let setup = self.plan.setup;
        let mut changes = vec![CatalogueChange::PutVenue(documents::venue(&setup))];
        changes.extend(documents::concerts().map(CatalogueChange::PutConcert));
        for index in 0..crate::plan::SCHEDULES.len() {
            let (id, concert) = (documents::schedule_id(index), documents::concert_of(index));
            let plan = documents::first_plan(&setup, index);
            self.book().begin_plan(&id, &plan);
            changes.push(CatalogueChange::PutSchedule(id.clone(), concert, plan));
            if index != PLAY {
                changes.push(CatalogueChange::OpenSchedule(id));
            }
        }
        for change in changes {
            engine.change(change, None).await.expect("an empty world takes its first documents");
        }
    }

    async fn go_on(&mut self, living: &Living) -> End {
        let mut without_journal = 0;
        while self.at < self.plan.steps.len() && !self.is_broken() {
            let (number, step) = self.plan.steps[self.at];
            self.at += 1;
            self.report.steps += 1;
            if let Some(end) = self.step(living, number, step).await {
                return end;
            }
            if living.life.is_over() {
                self.tell("  … and the process dies".to_owned());
                return End::Again(std::mem::replace(&mut self.after_death, PLAIN));
            }
            self.look(living, number.is_multiple_of(8)).await;
            if living.engine.journal().failure().is_some() {
                without_journal += 1;
                if without_journal > PATIENCE {
                    self.tell("  … the journal has failed: it is started again".to_owned());
                    return End::Again(PLAIN);
                }
            }
        }
        if self.is_broken() { End::Done } else { self.settle(living).await }
    }

    /// Looks at what is published, and now and then compares it with the replay.
    pub(crate) async fn look(&mut self, living: &Living, closely: bool) {
        let accounts = checks::accounts(&living.engine).await;
        if living.life.is_over() {
            return;
        }
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        checks::observe(&living.engine, accounts, &mut book);
        checks::check_files(&self.dir, &mut book);
        // Each time, before a snapshot lets old records go.
        self.shadow.follow(&living.engine, &mut book);
        if closely && book.broken.is_none() {
            self.shadow.compare(&living.engine, &mut book);
        }
        drop(book);
        if let Some(text) = panics::first_unasked() {
            self.book().broken("B1 panic", format!("a panic: {text}"));
        }
    }

    /// Takes one step; returns how the life ended, if it did.
    async fn step(&mut self, living: &Living, number: usize, step: Step) -> Option<End> {
        let mut dice = Dice::of(self.plan.seed, 1 + u64::try_from(number).expect("a length fits"));
        match step {
            Step::Ask { ask, key, fate } => self.ask(living, &mut dice, ask, key, fate).await,
            Step::Pass(millis) => {
                self.tell(format!("{} pass", words::time(millis)));
                self.pass(living, millis).await;
            }
            Step::PassTo { schedule, moment, early, steps } => {
                self.pass_to(living, schedule, moment, early, steps).await;
            }
            Step::Jump(millis) => {
                self.tell(format!("the process isn't scheduled for {}", words::time(millis)));
                tokio::time::advance(Duration::from_millis(millis)).await;
                self.pass(living, 20).await;
            }
            Step::Crash(restart) => {
                self.tell(format!("the process dies; {}", words::restart(&restart)));
                self.report.deaths += 1;
                living.life.end();
                return Some(End::Again(restart));
            }
            Step::CrashAt { points, how, then } => {
                let when = words::dies(Some((points, how)));
                self.tell(format!("the process is going to die {when}; {}", words::restart(&then)));
                self.disk.die_at(points, how);
                self.after_death = then;
            }
            Step::CrashAtFile { points, then } => {
                self.tell(format!(
                    "the process is going to die at operation {points} on a snapshot or the archive; {}",
                    words::restart(&then)
                ));
                shim::die_at(points);
                self.after_death = then;
            }
            Step::Stop(restart) => {
                self.tell(format!("it is stopped; {}", words::restart(&restart)));
                self.shadow
                    .follow(&living.engine, &mut self.book.lock().unwrap_or_else(PoisonError::into_inner));
                let closed = living.engine.clone().close();
                let _ = tokio::time::timeout(Duration::from_mins(2), closed).await;
                living.life.end();
                return Some(End::Again(restart));
            }
            Step::FailActor(schedule) => {
                let id = documents::schedule_id(schedule);
                self.tell(format!("the actor of {id} panics"));
                if let Some(entry) = living.engine.schedule(&id) {
                    living.engine.fail_actor(&entry).await;
                }
                self.pass(living, 1).await;
            }
            Step::Disk(trouble) => {
                self.tell(words::trouble(trouble));
                self.disk.trouble(trouble);
            }
            Step::SnapshotRoom(bytes) => {
                self.tell(format!("the disk has room for {bytes} bytes of a snapshot"));
                shim::snapshot_room(Some(bytes));
            }
            Step::Lie(lie) => {
                self.tell(words::lie(lie));
                self.desk.lie(lie);
            }
            Step::Weather(weather, millis) => {
                self.tell(words::weather(weather, millis));
                self.desk.weather(weather, millis);
            }
            Step::ClockJumps(millis) => {
                self.tell(format!("the clock steps forward by {}", words::time(millis)));
                self.report.clock_steps += 1;
                living.clock.step(millis);
                self.pass(living, 20).await;
            }
            Step::ClockStands(millis) => {
                self.tell(format!("the clock stands still for {}", words::time(millis)));
                self.report.clock_steps += 1;
                living.clock.stand();
                self.pass(living, millis).await;
                living.clock.go_on();
            }
        }

        None
    }

    /// Lets time pass, until the process dies.
    pub(crate) async fn pass(&self, living: &Living, millis: u64) {
        tokio::select! {
            biased;
            () = living.life.ended.notified() => {}
            () = tokio::time::sleep(Duration::from_millis(millis)) => {}
        }
    }

    /// Goes to an instant of a schedule at which something changes, if one is near: by waiting, or by a step of the clock.
    async fn pass_to(&mut self, living: &Living, schedule: usize, moment: Moment, early: u64, steps: bool) {
        let id = documents::schedule_id(schedule);
        let now = living.engine.now().as_millis();
        let number = living.engine.schedule(&id).map(|entry| entry.number().0).unwrap_or_default();
        let next = self.book().next_moment(&id, number, moment, now);
        let Some(target) = next.map(|at| at - early).filter(|at| (now + 1..now + NEAR).contains(at)) else {
            return self.tell(format!("({} of {id} isn't near)", words::moment(moment)));
        };

        let how = if steps { "the clock steps" } else { "time passes" };
        let before = if early > 0 { format!("{early} ms before ") } else { String::new() };
        self.tell(format!("{how} to {before}{} of {id}, at {target}", words::moment(moment)));
        if steps {
            self.report.clock_steps += 1;
            return living.clock.step(target - now);
        }
        // A timer rounds up to a millisecond.
        let mut left = target - now;
        while left > 0 && !living.life.is_over() {
            self.pass(living, left).await;
            left = target.saturating_sub(living.engine.now().as_millis());
        }
    }

    async fn ask(
        &mut self,
        living: &Living,
        dice: &mut Dice,
        ask: Ask,
        key: crate::plan::KeyUse,
        fate: Fate,
    ) {
        let resolved = resolve::resolve(self, living, dice, ask, key);
        let Some(op) = resolved else { return self.tell(format!("(nothing to ask: {ask:?})")) };
        let nonce = dice.next();
        let (call, key) = {
            let now = living.engine.now().as_millis();
            let mut book = self.book();
            book.send(op, nonce, now);
            (book.ops[op].call.clone(), book.ops[op].key)
        };

        self.tell(words::call(op, &call, key.is_some(), matches!(ask, Ask::Repeat { .. }), fate));
        let (engine, book, life) = (living.engine.clone(), Arc::clone(&self.book), Arc::clone(&living.life));
        let task = tokio::spawn(async move {
            let answered = calls::with_fate(fate, calls::make(&engine, &call, key, nonce)).await;
            // Who speaks with a dead process hears nothing.
            if life.is_over() {
                return;
            }
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = answered.map_or(Outcome::Unknown, Outcome::Answered);
            if fate == Fate::ReplyLost {
                book.lost += 1;
            }
            book.learn(&engine, op, &outcome);
        });
        let wait = match fate {
            Fate::Waits | Fate::Deadline(_) | Fate::ReplyLost => WAITS,
            Fate::Polls(_) => Duration::from_millis(dice.below(3)),
            Fate::Beside => Duration::ZERO,
        };

        tokio::select! {
            biased;
            () = living.life.ended.notified() => {}
            _ = tokio::time::timeout(wait, task) => {}
        }
    }

    /// Nothing goes wrong any more: everything comes to rest, without a restart and then with one.
    async fn settle(&mut self, living: &Living) -> End {
        self.disk.mend();
        self.desk.mend();
        shim::alive();
        if living.engine.journal().failure().is_some() {
            return End::Again(PLAIN);
        }
        self.settled += 1;
        self.tell("all faults stop, and time passes".to_owned());
        settle::wait(self, living).await;
        self.look(living, true).await;
        settle::check(self, living);
        if self.settled == 1 && !self.is_broken() {
            self.tell("it is started again".to_owned());
            living.life.end();
            return End::Again(Restart { unsynced: 0, ..PLAIN });
        }
        End::Done
    }
}
