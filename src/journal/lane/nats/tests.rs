//! The append machine, over a log in memory whose servers lose answers, answer late, and are behind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::*;

/// What becomes of the next request to append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is carried out, and the answer comes.
    Answered,
    /// It is carried out, and the answer is lost.
    AnswerLost,
    /// It is lost.
    Lost,
    /// It is carried out just before the next one.
    Late,
    /// A leader that is behind says that the last message is another one.
    Behind,
}

/// What the servers do wrong, in the controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Servers {
    Right,
    /// They take an append whatever it expects.
    Unfenced,
    /// They look for a message's id before they look at what it expects.
    Deduplicating,
}

#[derive(Default)]
struct Log {
    /// Each with its sequence; other subjects' messages stand between.
    messages: Vec<(u64, Bytes)>,
    late: Vec<(u64, Vec<Bytes>)>,
}

/// A log with its servers; clones share it.
#[derive(Clone)]
struct ToyPen {
    log: Arc<Mutex<Log>>,
    servers: Servers,
    fates: VecDeque<Fate>,
    /// What the servers say of the messages behind one, once, instead of what there is.
    looks_empty: u32,
}

impl ToyPen {
    fn new(servers: Servers) -> Self {
        Self { log: Arc::default(), servers, fates: VecDeque::new(), looks_empty: 0 }
    }

    fn with(&self, fates: &[Fate]) -> Self {
        Self { fates: fates.iter().copied().collect(), ..self.clone() }
    }

    fn take(&self, last: u64, frames: &[Bytes]) -> Published {
        let mut log = self.log.lock().unwrap();
        if self.servers == Servers::Deduplicating
            && let Some((sequence, _)) = log.messages.iter().find(|(_, message)| *message == frames[0])
        {
            return Published::At(*sequence);
        }
        let newest = log.messages.last().map_or(0, |(sequence, _)| *sequence);
        if self.servers != Servers::Unfenced && newest != last {
            return Published::Behind;
        }
        for (index, frame) in frames.iter().enumerate() {
            // Consecutive within an entry, and not between entries.
            let sequence = newest + if index == 0 { 3 } else { 3 + u64::try_from(index).unwrap() };
            log.messages.push((sequence, frame.clone()));
        }
        Published::At(log.messages.last().unwrap().0)
    }

    fn messages(&self) -> Vec<Bytes> {
        self.log.lock().unwrap().messages.iter().map(|(_, message)| message.clone()).collect()
    }
}

impl Pen for ToyPen {
    async fn publish(&mut self, last: u64, frames: &[Bytes]) -> Published {
        let late = core::mem::take(&mut self.log.lock().unwrap().late);
        for (last, frames) in late {
            drop(self.take(last, &frames));
        }
        let no_answer = || Published::Unknown("no answer".to_owned());
        match self.fates.pop_front().unwrap_or(Fate::Answered) {
            Fate::Answered => self.take(last, frames),
            Fate::AnswerLost => {
                drop(self.take(last, frames));
                no_answer()
            }
            Fate::Lost => no_answer(),
            Fate::Late => {
                self.log.lock().unwrap().late.push((last, frames.to_vec()));
                no_answer()
            }
            Fate::Behind => {
                self.looks_empty = 1;
                Published::Behind
            }
        }
    }

    async fn behind(&mut self, sequence: u64) -> Result<Option<(u64, Bytes)>, String> {
        if self.looks_empty > 0 {
            self.looks_empty -= 1;
            return Ok(None);
        }
        Ok(self.log.lock().unwrap().messages.iter().find(|(at, _)| *at > sequence).cloned())
    }

    async fn lost_of(&mut self, last: u64) -> Result<Option<String>, String> {
        let newest = self.log.lock().unwrap().messages.last().map_or(0, |(sequence, _)| *sequence);
        Ok((newest < last).then(|| format!("it ends at message {newest}")))
    }

    async fn mark(&mut self, _: u64, _: Bytes) -> Published {
        Published::Unknown("not asked here".to_owned())
    }

    async fn marked(&mut self) -> Result<Option<(u64, Bytes)>, String> {
        Ok(None)
    }
}

fn life(epoch: u64, first: u64) -> Bytes {
    Life { epoch, instant: 1, boot: u128::from(epoch), last: Position::START, node: format!("node-{epoch}") }
        .frame(7, Ordinal::new(first))
}

fn frame(number: u8) -> Bytes {
    Bytes::from(vec![number; 8])
}

/// A writer whose life has begun.
async fn begun(pen: ToyPen, epoch: u64) -> Appender<ToyPen> {
    loop {
        let (last, first) = {
            let log = pen.log.lock().unwrap();
            (log.messages.last().map_or(0, |(sequence, _)| *sequence), log.messages.len())
        };
        let mut appender = Appender::new(pen.clone(), last);
        // The one before may have appended once more.
        if appender.append(&[life(epoch, u64::try_from(first).unwrap() + 1)]).await.is_ok() {
            return appender;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_requests_each_frame_is_there_once_and_in_order() {
    let fates = [Fate::Answered, Fate::AnswerLost, Fate::Lost, Fate::Late, Fate::Behind];
    // Every two fates in a row, for one message and for entries of three.
    for (one, other) in fates.iter().flat_map(|one| fates.iter().map(move |other| (*one, *other))) {
        for len in [1, 3] {
            let pen = ToyPen::new(Servers::Right);
            let mut appender = begun(pen.with(&[]), 1).await;
            appender.pen.fates = [one, other, other, one].into();
            let entries: Vec<Vec<Bytes>> =
                (0..5).map(|entry| (0..len).map(|part| frame(entry * 3 + part)).collect()).collect();
            let mut firsts = Vec::new();
            for entry in &entries {
                firsts.push(appender.append(entry).await.unwrap());
            }
            assert!(firsts.is_sorted(), "{one:?} {other:?}");
            assert_eq!(pen.messages()[1..], entries.concat(), "{one:?} {other:?} {len}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_behind_deposes_nobody() {
    let pen = ToyPen::new(Servers::Right);
    let mut appender = begun(pen.with(&[]), 1).await;
    appender.pen.fates = [Fate::Behind, Fate::Behind, Fate::Lost].into();
    appender.append(&[frame(1)]).await.unwrap();
    assert_eq!(pen.messages().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_forgot_is_told_of_and_the_append_waits_until_it_is_whole_again() {
    let pen = ToyPen::new(Servers::Right);
    let mut appender = begun(pen.with(&[]), 1).await;
    appender.append(&[frame(1)]).await.unwrap();
    let vitals = appender.vitals.clone();
    let forgotten = pen.log.lock().unwrap().messages.pop().unwrap();
    let waiting = tokio::spawn(async move { appender.append(&[frame(2)]).await });

    // An election may take as long.
    tokio::time::sleep(DOUBT_AFTER / 4 * 3).await;
    let health = vitals.show(true);
    assert!(health.lost.is_none() && health.unknown_answers > 10 && health.unknown_for > DOUBT_AFTER / 2);
    tokio::time::sleep(DOUBT_AFTER / 2).await;
    assert_eq!(vitals.show(true).lost.as_deref(), Some("it ends at message 3"));

    pen.log.lock().unwrap().messages.push(forgotten);
    waiting.await.unwrap().unwrap();
    let health = vitals.show(true);
    assert!(health.lost.is_none() && health.unknown_for.is_zero());
    assert_eq!(pen.messages()[1..], [frame(1), frame(2)]);
}

/// Two writers: the second takes over while the first's append has one of these fates. Says what is wrong with what follows.
async fn takes_over(servers: Servers, fate: Fate) -> Result<(), String> {
    let pen = ToyPen::new(servers);
    let mut first = begun(pen.with(&[]), 1).await;
    first.append(&[frame(1)]).await.unwrap();

    // Its answer is lost, or it lands late; meanwhile the other begins its life, and says something.
    let last = first.last;
    first.pen.fates = [fate].into();
    let told = first.pen.publish(last, &[frame(2)]).await;
    assert!(matches!(told, Published::Unknown(_)));
    let landed = fate != Fate::Lost;
    let mut second = begun(pen.with(&[]), 2).await;
    second.append(&[frame(20)]).await.unwrap();

    let told = first.append(&[frame(2)]).await;
    if told.is_ok() != landed {
        return Err(format!("a frame that is there: {landed}; its writer was told {told:?}"));
    }
    match first.append(&[frame(3)]).await {
        Err(StoreError::Deposed { epoch: 2, by }) if by == "node-2" => {}
        told => return Err(format!("who was deposed was told {told:?}")),
    }
    second.append(&[frame(21)]).await.unwrap();

    let own = |number| frame(number);
    let mut expected = vec![life(1, 1), own(1)];
    expected.extend(landed.then(|| own(2)));
    let count = u64::try_from(expected.len()).unwrap();
    expected.extend([life(2, count + 1), own(20), own(21)]);
    if pen.messages() == expected {
        Ok(())
    } else {
        Err("what a deposed writer appended is there".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_writer_deposes_the_first_and_nothing_of_it_comes_later() {
    for fate in [Fate::AnswerLost, Fate::Lost, Fate::Late] {
        assert_eq!(takes_over(Servers::Right, fate).await, Ok(()), "{fate:?}");
    }
}

/// A writer whose answer was lost, and who was deposed meanwhile, must learn it when it asks again.
async fn learns_it(servers: Servers) -> bool {
    let pen = ToyPen::new(servers);
    let mut first = begun(pen.with(&[]), 1).await;
    let last = first.last;
    first.pen.fates = [Fate::AnswerLost].into();
    drop(first.pen.publish(last, &[frame(2)]).await);
    let _second = begun(pen.with(&[]), 2).await;
    first.append(&[frame(2)]).await.unwrap();
    first.deposed.is_some()
}

#[tokio::test(start_paused = true)]
async fn the_controls_are_red() {
    let unfenced = takes_over(Servers::Unfenced, Fate::Lost).await;
    assert!(unfenced.is_err(), "without the fence two write");
    assert!(learns_it(Servers::Right).await);
    assert!(!learns_it(Servers::Deduplicating).await, "ids for deduplication answer before the fence");
}
