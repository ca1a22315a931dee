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
    /// They look at the number of the last message alone, and not at whose it is.
    Counting,
    /// They look for a message's id before they look at what it expects.
    Deduplicating,
}

#[derive(Default)]
struct Log {
    messages: Vec<Message>,
    late: Vec<(End, String, Vec<Bytes>)>,
}

impl Log {
    fn end(&self) -> End {
        let last = self.messages.last();
        last.map_or(End::default(), |last| End { sequence: last.sequence, subject: last.subject.clone() })
    }
}

/// A log with its servers; clones share it.
#[derive(Clone)]
struct ToyPen {
    log: Arc<Mutex<Log>>,
    /// Whose it is.
    subject: String,
    servers: Servers,
    fates: VecDeque<Fate>,
    /// What the servers say of the messages behind one, once, instead of what there is.
    looks_empty: u32,
}

impl ToyPen {
    fn new(servers: Servers) -> Self {
        let subject = "nobody's".to_owned();
        Self { log: Arc::default(), subject, servers, fates: VecDeque::new(), looks_empty: 0 }
    }

    fn of(&self, epoch: u64) -> Self {
        Self { subject: format!("life-{epoch}"), fates: VecDeque::new(), ..self.clone() }
    }

    fn take(&self, end: &End, subject: &str, frames: &[Bytes]) -> Published {
        let mut log = self.log.lock().unwrap();
        if self.servers == Servers::Deduplicating
            && let Some(found) = log.messages.iter().find(|message| message.bytes == frames[0])
        {
            return Published::At(found.sequence);
        }
        let is_expected = match self.servers {
            Servers::Unfenced => true,
            Servers::Counting => log.end().sequence == end.sequence,
            Servers::Right | Servers::Deduplicating => log.end() == *end,
        };
        if !is_expected {
            return Published::Behind;
        }
        for frame in frames {
            let sequence = log.end().sequence + 1;
            log.messages.push(Message { sequence, subject: subject.to_owned(), bytes: frame.clone() });
        }
        Published::At(log.end().sequence)
    }

    fn messages(&self) -> Vec<Bytes> {
        self.log.lock().unwrap().messages.iter().map(|message| message.bytes.clone()).collect()
    }

    /// Has the servers forget all but the first messages, and what was on its way to them; returns what they forgot.
    fn forget(&self, left: usize) -> Vec<Message> {
        let mut log = self.log.lock().unwrap();
        log.late.clear();
        log.messages.split_off(left)
    }
}

impl Pen for ToyPen {
    fn subject(&self) -> String {
        self.subject.clone()
    }

    async fn publish(&mut self, end: &End, frames: &[Bytes]) -> Published {
        let late = core::mem::take(&mut self.log.lock().unwrap().late);
        for (end, subject, frames) in late {
            drop(self.take(&end, &subject, &frames));
        }
        let no_answer = || Published::Unknown("no answer".to_owned());
        match self.fates.pop_front().unwrap_or(Fate::Answered) {
            Fate::Answered => self.take(end, &self.subject, frames),
            Fate::AnswerLost => {
                drop(self.take(end, &self.subject, frames));
                no_answer()
            }
            Fate::Lost => no_answer(),
            Fate::Late => {
                let late = (end.clone(), self.subject.clone(), frames.to_vec());
                self.log.lock().unwrap().late.push(late);
                no_answer()
            }
            Fate::Behind => {
                self.looks_empty = 1;
                Published::Behind
            }
        }
    }

    async fn from(&mut self, sequence: u64) -> Result<Option<Message>, String> {
        if self.looks_empty > 0 {
            self.looks_empty -= 1;
            return Ok(None);
        }
        Ok(self.log.lock().unwrap().messages.iter().find(|message| message.sequence >= sequence).cloned())
    }

    async fn state(&mut self) -> Result<Option<LogState>, String> {
        let log = self.log.lock().unwrap();
        let first = log.messages.first().map_or(1, |first| first.sequence);
        Ok(Some(LogState { made_anew: None, first, last: log.end().sequence }))
    }

    async fn mark(&mut self, _: u64, _: Bytes) -> Published {
        Published::Unknown("not asked here".to_owned())
    }

    async fn marked(&mut self) -> Result<u64, String> {
        Ok(0)
    }

    async fn has_rest(&mut self) -> Result<bool, String> {
        Ok(true)
    }

    async fn make_rest(&mut self) -> Result<(), String> {
        Ok(())
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
async fn begun(pen: &ToyPen, epoch: u64) -> Appender<ToyPen> {
    loop {
        let (end, first) = {
            let log = pen.log.lock().unwrap();
            (log.end(), log.messages.len())
        };
        let mut appender = Appender::new(pen.of(epoch), end);
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
            let mut appender = begun(&pen, 1).await;
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
    let mut appender = begun(&pen, 1).await;
    appender.pen.fates = [Fate::Behind, Fate::Behind, Fate::Lost].into();
    appender.append(&[frame(1)]).await.unwrap();
    assert_eq!(pen.messages().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_forgot_is_told_of_and_the_append_waits_until_it_is_whole_again() {
    let pen = ToyPen::new(Servers::Right);
    let mut appender = begun(&pen, 1).await;
    appender.append(&[frame(1)]).await.unwrap();
    let vitals = appender.vitals.clone();
    let forgotten = pen.log.lock().unwrap().messages.pop().unwrap();
    let waiting = tokio::spawn(async move { appender.append(&[frame(2)]).await });

    // An election may take as long.
    tokio::time::sleep(DOUBT_AFTER / 4 * 3).await;
    let health = vitals.show(true);
    assert!(health.lost.is_none() && health.unknown_answers > 10 && health.unknown_for > DOUBT_AFTER / 2);
    tokio::time::sleep(DOUBT_AFTER / 2).await;
    assert_eq!(
        vitals.show(true).lost.as_deref(),
        Some("it ends at message 1, and message 2 had been acknowledged")
    );
    assert!(vitals.show(true).is_silent());

    pen.log.lock().unwrap().messages.push(forgotten);
    waiting.await.unwrap().unwrap();
    let health = vitals.show(true);
    assert!(health.lost.is_none() && health.unknown_for.is_zero() && !health.is_silent());
    assert_eq!(pen.messages()[1..], [frame(1), frame(2)]);
}

/// Two writers: the second takes over while the first's append has one of these fates. Says what is wrong with what follows.
async fn takes_over(servers: Servers, fate: Fate) -> Result<(), String> {
    let pen = ToyPen::new(servers);
    let mut first = begun(&pen, 1).await;
    first.append(&[frame(1)]).await.unwrap();

    // Its answer is lost, or it lands late; meanwhile the other begins its life, and says something.
    let end = first.end.clone();
    first.pen.fates = [fate].into();
    let told = first.pen.publish(&end, &[frame(2)]).await;
    assert!(matches!(told, Published::Unknown(_)));
    let landed = fate != Fate::Lost;
    let mut second = begun(&pen, 2).await;
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
    let mut first = begun(&pen, 1).await;
    let end = first.end.clone();
    first.pen.fates = [Fate::AnswerLost].into();
    drop(first.pen.publish(&end, &[frame(2)]).await);
    let _second = begun(&pen, 2).await;
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

/// What one writer is told whose servers forgot.
#[derive(Debug)]
enum Told {
    Acknowledged,
    Deposed,
    Nothing,
}

/// A writer has a log of some messages, and one append under way that had this fate. Then the servers forget all but the first `left`
/// messages, and another life begins there and writes up to `grown` more. After each of its messages the first one asks again, for as long
/// as it likes. Says what is wrong with what follows.
async fn forgets(servers: Servers, fate: Option<Fate>, left: usize, grown: u8) -> Result<(), String> {
    let pen = ToyPen::new(servers);
    let mut first = begun(&pen, 1).await;
    for number in 1..=3 {
        first.append(&[frame(number)]).await.unwrap();
    }
    let end = first.end.clone();
    if let Some(fate) = fate {
        first.pen.fates = [fate].into();
        drop(first.pen.publish(&end, &[frame(4)]).await);
    }
    let forgotten = pen.forget(left);

    let vitals = first.vitals.clone();
    let asking = tokio::spawn(async move {
        let told = first.append(&[frame(4)]).await;
        (told, first)
    });
    let mut others = Vec::new();
    let mut second = begun(&pen, 2).await;
    for number in 0..grown {
        if asking.is_finished() {
            break;
        }
        // It asks many times meanwhile.
        tokio::time::sleep(DOUBT_AFTER * 2).await;
        let told = second.append(&[frame(100 + number)]).await;
        if let Err(error) = told {
            return Err(format!("the one that is well was told {error}"));
        }
        others.push(frame(100 + number));
    }
    tokio::time::sleep(DOUBT_AFTER * 4).await;
    let told = match asking.is_finished().then_some(asking) {
        None => Told::Nothing,
        Some(asking) => match asking.await.unwrap().0 {
            Ok(_) => Told::Acknowledged,
            Err(_) => Told::Deposed,
        },
    };

    // All that the first one had is there, and only then may it learn that it was deposed in order.
    let is_whole = left >= 4;
    match (is_whole, &told) {
        (true, Told::Deposed) | (false, Told::Nothing) => {}
        _ => return Err(format!("{told:?}")),
    }
    if !is_whole && vitals.show(true).lost.is_none() {
        return Err("nobody was told that something is lost".to_owned());
    }
    drop(forgotten);
    second.append(&[frame(200)]).await.map_err(|error| format!("the one that is well was told {error}"))?;
    others.push(frame(200));
    let found = pen.messages();
    if found[left + 1..] == others {
        Ok(())
    } else {
        Err("a frame of the one that forgot is there".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_forgot_take_nothing_of_a_life_that_they_forgot_however_far_another_one_writes() {
    // Of four messages each is forgotten; the other's life and its frames count up to the first one's number, and past it.
    for left in 0..=4 {
        for grown in 0..=8 {
            for fate in [None, Some(Fate::AnswerLost), Some(Fate::Lost), Some(Fate::Late)] {
                let told = forgets(Servers::Right, fate, left, grown).await;
                assert_eq!(told, Ok(()), "{left} left, {grown} written since, {fate:?}");
            }
        }
    }
    // The control: by numbers alone they take it as soon as the other one has written so many.
    let mut red = 0;
    for left in 0..4 {
        for grown in 0..=8 {
            red += u32::from(forgets(Servers::Counting, None, left, grown).await.is_err());
        }
    }
    assert!(red > 0, "the control shows nothing");
}

#[tokio::test(start_paused = true)]
async fn what_lands_late_on_a_log_that_was_put_back_is_what_stood_there() {
    let pen = ToyPen::new(Servers::Right);
    let mut first = begun(&pen, 1).await;
    let end = first.end.clone();
    first.pen.fates = [Fate::Late].into();
    drop(first.pen.publish(&end, &[frame(1)]).await);
    let late = core::mem::take(&mut pen.log.lock().unwrap().late);
    first.append(&[frame(1)]).await.unwrap();
    first.append(&[frame(2)]).await.unwrap();
    let newest = pen.messages();
    drop(pen.forget(1));
    pen.log.lock().unwrap().late = late;

    let vitals = first.vitals.clone();
    let waiting = tokio::spawn(async move { first.append(&[frame(3)]).await });
    tokio::time::sleep(DOUBT_AFTER * 2).await;
    assert!(vitals.is_lost() && !waiting.is_finished());
    assert_eq!(pen.messages(), newest[..2], "the late one, and nothing else");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_purged_or_has_another_history_is_told_of_though_it_is_as_long() {
    let begun_with_three = async |pen: &ToyPen| {
        let mut appender = begun(pen, 1).await;
        for number in 1..=3 {
            appender.append(&[frame(number)]).await.unwrap();
        }
        appender.vitals.keep_from(1);
        appender
    };
    let told = async |appender: &mut Appender<ToyPen>| {
        for _ in 0..DOUBTS {
            assert!(appender.check().await);
        }
        let lost = appender.vitals.show(true).lost;
        lost.map(|lost| lost.to_string())
    };

    let pen = ToyPen::new(Servers::Right);
    let mut appender = begun_with_three(&pen).await;
    assert_eq!(told(&mut appender).await, None);

    // All but the last message: nothing is wrong with the log's end, but snapshots may rest on what is gone.
    let all = pen.log.lock().unwrap().messages.clone();
    pen.log.lock().unwrap().messages.drain(..3);
    assert_eq!(told(&mut appender).await, None);
    assert_eq!(appender.vitals.oldest(), 4);
    assert!(appender.vitals.show(true).is_without_snapshots);
    // All of them, and one behind them.
    pen.log.lock().unwrap().messages =
        vec![Message { sequence: 5, subject: "life-2".to_owned(), bytes: life(2, 5) }];
    appender.vitals.keep_from(0);
    assert!(told(&mut appender).await.unwrap().contains("message 4, which had been acknowledged, is gone"));
    // Another history that is longer.
    let other = |sequence| Message { sequence, subject: "life-2".to_owned(), bytes: life(2, sequence) };
    pen.log.lock().unwrap().messages = (1..=6).map(other).collect();
    assert!(told(&mut appender).await.unwrap().contains("message 4 is another"));
    appender.still_writes().expect("who has lost something wasn't deposed");
    // It is whole again.
    pen.log.lock().unwrap().messages = all;
    assert_eq!(told(&mut appender).await, None);
    appender.append(&[frame(4)]).await.unwrap();
}
