//! The rules by example, and in a world of three nodes in which everything goes wrong.
//!
//! The world has a log and a bucket of its own, and knows what was acknowledged; of the rules it asks what a process asks. Its promise: who
//! may answer reads has everything that anyone acknowledged.

use core::cmp::Ordering;

use super::super::record::Boot;
use super::*;

fn at(millis: u64) -> Moment {
    Moment::of_millis(millis)
}

fn form(settings: &str) -> Form {
    Form { version: "1".to_owned(), formats: "1.1".to_owned(), settings: settings.to_owned() }
}

fn record(node: &str, boot: u128) -> NodeRecord {
    NodeRecord {
        node: node.to_owned(),
        boot: Boot(boot),
        address: format!("http://{node}"),
        form: form(""),
        draining: false,
        left: false,
        holds: BTreeMap::new(),
    }
}

fn hint(of: &NodeRecord, epoch: u64, stage: HintStage) -> Hint {
    Hint { lane: "all".to_owned(), node: of.node.clone(), boot: of.boot, epoch, stage, form: of.form.clone() }
}

fn holding(node: &str, boot: u128, epoch: u64) -> NodeRecord {
    NodeRecord { holds: BTreeMap::from([("all".to_owned(), epoch)]), ..record(node, boot) }
}

fn picture(millis: u64, nodes: &[(u64, NodeRecord)], hint: Option<(u64, Hint)>) -> Picture {
    Picture { sent: at(millis), came: at(millis), nodes: nodes.to_vec(), hint, clock_apart: Duration::ZERO }
}

/// A node, and what the bucket has: the records, and the hint.
type Known = (Rules, Vec<(u64, NodeRecord)>, Option<(u64, Hint)>);

/// A node that has heard of an owner `a` at each of these instants, and never again.
fn after_silence(me: &str, until: u64) -> Known {
    let owner = holding("a", 1, 4);
    let told = Some((9, hint(&owner, 4, HintStage::Serves)));
    let mut rules = Rules::new(record(me, 2), "all", false);
    for turn in 0..5 {
        rules.see(picture(turn * 300, &[(10 + turn, owner.clone())], told.clone()));
    }
    let last = vec![(14, owner)];
    for millis in (1_500..=until).step_by(300) {
        rules.see(picture(millis, &last, told.clone()));
    }
    (rules, last, told)
}

#[test]
fn an_owner_that_is_silent_is_followed_once_nothing_of_it_counts_and_not_before() {
    let (rules, ..) = after_silence("b", 2_700);
    assert_eq!(rules.turn(at(2_700)), Turn::From(at(1_200 + 1_650)));
    assert!(!rules.may_begin(&Tip::default(), at(2_600), at(2_849)));
    assert!(rules.may_begin(&Tip::default(), at(2_600), at(2_850)));
    assert!(!rules.may_begin(&Tip::default(), at(2_701), at(2_850)), "the picture is older than the tip");
    assert_eq!(
        rules.view(at(2_849)).owner,
        Owner::Peer { node: "a".to_owned(), address: "http://a".to_owned() }
    );
    assert_eq!(rules.view(at(2_850)).owner, Owner::Nobody);
}

#[test]
fn a_node_that_has_said_nothing_for_an_hour_is_forgotten_by_the_owner() {
    let hour = 3_600_000;
    let owner = holding("a", 1, 4);
    let told = Some((9, hint(&owner, 4, HintStage::Serves)));
    let mut rules = Rules::new(record("a", 1), "all", false);
    rules.see(picture(0, &[(10, owner.clone()), (11, record("gone", 2))], None));
    rules.claimed(4);
    let both = [(10, owner.clone()), (11, record("gone", 2))];
    for millis in (500..=hour).step_by(500) {
        rules.see(picture(millis, &both, told.clone()));
        assert_eq!(rules.outdated(at(hour)), None, "it doesn't serve yet");
    }
    rules.serve(at(hour));
    assert_eq!(rules.outdated(at(hour - 1)), None);
    assert_eq!(rules.outdated(at(hour)), Some(("gone", 11)));

    // As long as its record stands there, it is no news.
    rules.see(picture(hour + 500, &both, told.clone()));
    assert_eq!(rules.outdated(at(hour + 500)), Some(("gone", 11)));
    rules.see(picture(hour + 1_000, &[(10, owner)], told));
    assert!(rules.heard.is_empty());
}

#[test]
fn whoever_missed_renewals_of_its_own_counts_the_silence_anew() {
    let (mut rules, last, told) = after_silence("b", 1_800);
    rules.see(picture(2_600, &last, told));
    assert_eq!(rules.turn(at(2_600)), Turn::From(at(2_600 + 1_650)));
    assert_eq!(rules.turn(at(4_100)), Turn::No(NoTurn::NoLease), "its own lease is over");
}

#[test]
fn a_claim_that_is_not_told_of_yet_is_left_alone_while_its_author_is_heard() {
    let (mut rules, mut last, told) = after_silence("b", 2_700);
    let tip = |boot| Tip { epoch: 5, author: Some(("c".to_owned(), boot)) };
    assert!(rules.may_begin(&tip(3), at(2_700), at(2_900)), "nobody has heard of c");
    last.push((30, record("c", 3)));
    rules.see(picture(2_900, &last, told.clone()));
    let first = rules.turn(at(3_300)) == Turn::From(at(2_850));
    let pause = if first { 0 } else { 200 };
    assert!(!rules.may_begin(&tip(3), at(2_900), at(3_300 + pause)));
    assert!(rules.may_begin(&tip(4), at(2_900), at(3_300 + pause)), "another process of that name began it");
}

#[test]
fn the_first_in_line_claims_at_once_and_the_next_one_later() {
    let turns = ["b", "c", "d"].map(|me| {
        let (mut rules, mut last, told) = after_silence(me, 2_700);
        let others = ["b", "c", "d"].iter().filter(|other| **other != me);
        last.extend((40..).zip(others.map(|other| record(other, 7))));
        rules.see(picture(2_800, &last, told));
        match rules.turn(at(2_900)) {
            Turn::From(from) => from.since(at(2_850)).as_millis(),
            Turn::No(why) => panic!("{why:?}"),
        }
    });
    let mut sorted = turns;
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 200, 400]);
}

#[test]
fn who_differs_from_the_owner_waits_while_another_one_does_not() {
    let (mut rules, mut last, told) = after_silence("b", 2_700);
    rules.me.form = form("keys_max=7");
    assert_eq!(rules.turn(at(2_700)), Turn::From(at(2_850)), "there is nobody else");
    last.push((30, record("c", 3)));
    rules.see(picture(2_800, &last, told));
    assert!(matches!(rules.turn(at(2_900)), Turn::No(NoTurn::Differs(_))));
}

#[test]
fn a_clock_that_is_apart_takes_nothing() {
    let (mut rules, last, told) = after_silence("b", 2_700);
    let apart = Duration::from_millis(501);
    rules.see(Picture { clock_apart: apart, ..picture(2_850, &last, told) });
    assert_eq!(rules.turn(at(2_900)), Turn::No(NoTurn::Clock(apart)));
}

#[test]
fn a_lane_that_is_let_go_is_taken_at_once_and_without_a_wait() {
    let owner = NodeRecord { left: true, draining: true, ..record("a", 1) };
    let told = |stage| Some((9, hint(&owner, 4, stage)));
    let mut rules = Rules::new(record("b", 2), "all", false);
    rules.see(picture(0, &[(1, holding("a", 1, 4))], told(HintStage::Serves)));
    assert!(!rules.hurries());
    rules.see(picture(
        300,
        &[(2, NodeRecord { draining: true, ..holding("a", 1, 4) })],
        told(HintStage::Serves),
    ));
    assert!(rules.hurries());
    let released = Some((12, hint(&owner, 4, HintStage::Released)));
    rules.see(picture(350, &[(11, owner.clone())], released));
    assert_eq!(rules.turn(at(350)), Turn::From(at(350)));
    rules.claimed(5);
    assert_eq!(rules.wanted_hint().unwrap().0, 12);
    let own = Some((20, rules.wanted_hint().unwrap().1));
    rules.see(picture(360, &[(11, owner.clone())], own));
    assert!(rules.may_serve(at(360)));
    assert_eq!(rules.reads_until(), None);
    rules.serve(at(361));
    assert_eq!(rules.reads_until(), Some(at(360 + 1_500)));
}

#[test]
fn a_claim_waits_for_every_owner_that_may_still_answer() {
    let (mut rules, mut last, _) = after_silence("b", 2_700);
    // One that claimed and died, and one that was stopped before it: both say that they hold the lane.
    last.push((31, holding("c", 3, 3)));
    let of_dead = Some((32, hint(&holding("a", 1, 4), 4, HintStage::Serves)));
    rules.see(picture(2_900, &last, of_dead));
    rules.claimed(6);
    let own = Some((40, rules.wanted_hint().unwrap().1));
    rules.see(picture(3_000, &last, own.clone()));
    assert!(!rules.may_serve(at(3_001)));
    for millis in [3_300, 3_600, 3_900, 4_200, 4_500] {
        rules.see(picture(millis, &last, own.clone()));
    }
    assert!(!rules.may_serve(at(2_900 + 1_649)));
    assert!(rules.may_serve(at(2_900 + 1_650)));
}

#[test]
fn reads_rest_on_the_own_hint_and_end_with_that_of_a_later_life() {
    let (mut rules, last, told) = after_silence("b", 2_700);
    rules.see(picture(2_850, &last, told.clone()));
    rules.claimed(5);
    let own = (40, rules.wanted_hint().unwrap().1);
    rules.see(picture(2_900, &last, Some(own.clone())));
    rules.serve(at(2_900));
    assert_eq!(rules.reads_until(), Some(at(4_400)));

    let mut later = rules.clone();
    later.see(picture(3_200, &last, Some((41, hint(&record("c", 3), 6, HintStage::Claims)))));
    let over = Stage::Over(Lost::TakenOver { node: "c".to_owned(), epoch: 6 });
    assert_eq!((later.stage(), later.reads_until()), (&over, None));
    assert!(later.record().left);

    for gone in [None, told] {
        let mut rules = rules.clone();
        rules.see(picture(3_200, &last, gone));
        assert_eq!(
            rules.stage(),
            &Stage::Over(Lost::Forgotten),
            "a bucket that forgot the hint may forget a later one"
        );
    }
}

#[test]
fn a_bucket_that_forgot_ends_an_owner_and_makes_the_others_wait() {
    let (mut rules, last, told) = after_silence("b", 2_700);
    rules.see(picture(2_850, &last, told));
    let mut owner = rules.clone();
    rules.forgotten();
    assert_eq!(rules.turn(at(2_860)), Turn::No(NoTurn::NoLease));
    rules.see(picture(2_900, &[], None));
    assert_eq!(rules.turn(at(2_900)), Turn::From(at(2_900 + 1_650)));

    owner.claimed(5);
    owner.forgotten();
    assert_eq!(owner.stage(), &Stage::Over(Lost::Forgotten));
}

#[test]
fn a_claim_that_was_given_up_says_nothing_of_leases_in_a_bucket_before() {
    let gone = NodeRecord { left: true, draining: true, ..record("c", 3) };
    let mut rules = Rules::new(record("b", 2), "all", false);
    rules.see(picture(2_900, &[(5, gone.clone())], Some((6, hint(&gone, 4, HintStage::Claims)))));
    assert_eq!(rules.turn(at(2_900)), Turn::From(at(2_900)));
    rules.claimed(5);
    let own = Some((7, rules.wanted_hint().unwrap().1));
    rules.see(picture(2_910, &[(5, gone)], own));
    assert!(!rules.may_serve(at(2_920)));
    rules.release();
    assert_eq!(rules.wanted_hint(), None, "a hint that says released says that somebody had waited");
    assert!(rules.record().left);
}

/// A process of the world.
struct Process {
    rules: Rules,
    /// The sequence of its record.
    own: u64,
    renewal: Renewal,
    claim: Claim,
    /// How many acknowledged changes it has.
    world: usize,
    /// Until when nothing of it happens.
    stands_still_until: u64,
}

/// How far a renewal is.
enum Renewal {
    No,
    /// It was sent, and may not be there yet.
    Sent(Moment, NodeRecord),
    Landed(Moment),
    /// The bucket was read.
    Looked(Box<Picture>),
    HintSent(u64, Hint),
}

/// How far a claim is.
enum Claim {
    No,
    /// The log's end was read: its length then, and when.
    TipRead(usize, Tip, Moment),
    /// A life was sent, to stand behind so many frames.
    LifeSent(usize, u64),
}

#[derive(Clone, Debug)]
enum Frame {
    Life(u64, usize, u128),
    Change,
}

struct World {
    millis: u64,
    dice: u64,
    log: Vec<Frame>,
    sequence: u64,
    records: BTreeMap<String, (u64, NodeRecord)>,
    hint: Option<(u64, Hint)>,
    boots: u128,
    processes: Vec<Process>,
    served: usize,
    overlaps: usize,
}

const NAMES: [&str; 3] = ["a", "b", "c"];

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            millis: 10_000,
            dice: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1,
            log: Vec::new(),
            sequence: 0,
            records: BTreeMap::new(),
            hint: None,
            boots: 0,
            processes: Vec::new(),
            served: 0,
            overlaps: 0,
        };
        for node in 0..NAMES.len() {
            let process = world.started(node, false);
            world.processes.push(process);
        }
        world
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % sides
    }

    fn started(&mut self, node: usize, is_former_over: bool) -> Process {
        self.boots += 1;
        let rules = Rules::new(record(NAMES[node], self.boots), "all", is_former_over);
        let own = self.records.get(NAMES[node]).map_or(0, |(sequence, _)| *sequence);
        Process { rules, own, renewal: Renewal::No, claim: Claim::No, world: 0, stands_still_until: 0 }
    }

    fn changes(&self) -> usize {
        self.log.iter().filter(|frame| matches!(frame, Frame::Change)).count()
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Whatever a node does next of its renewals.
    fn renew(&mut self, node: usize) {
        let now = at(self.millis);
        let is_lost = self.roll(12) == 0;
        let own = self.processes[node].own;
        match core::mem::replace(&mut self.processes[node].renewal, Renewal::No) {
            Renewal::No => {
                let record = self.processes[node].rules.record();
                self.processes[node].renewal = Renewal::Sent(now, record);
            }
            Renewal::Sent(sent, record) => {
                let there = self.records.get(NAMES[node]).map_or(0, |(sequence, _)| *sequence);
                match there.cmp(&own) {
                    Ordering::Equal => {
                        let sequence = self.next_sequence();
                        self.records.insert(NAMES[node].to_owned(), (sequence, record));
                        if !is_lost {
                            self.processes[node].own = sequence;
                            self.processes[node].renewal = Renewal::Landed(sent);
                        }
                    }
                    // An answer was lost.
                    Ordering::Greater => self.processes[node].own = there,
                    Ordering::Less => {
                        self.processes[node].own = there;
                        self.processes[node].rules.forgotten();
                    }
                }
            }
            Renewal::Landed(sent) => {
                // A server that is behind isn't believed: it hasn't the own record.
                let own_is_there =
                    self.records.get(NAMES[node]).is_some_and(|(sequence, _)| *sequence == own);
                if own_is_there && !is_lost {
                    let nodes = self.records.values().cloned().collect();
                    let hint = self.hint.clone();
                    let picture = Picture { sent, came: now, nodes, hint, clock_apart: Duration::ZERO };
                    self.processes[node].renewal = Renewal::Looked(Box::new(picture));
                }
            }
            Renewal::Looked(picture) => {
                let process = &mut self.processes[node];
                process.rules.see(Picture { came: now, ..*picture });
                if let Some((last, hint)) = process.rules.wanted_hint() {
                    process.renewal = Renewal::HintSent(last, hint);
                }
            }
            Renewal::HintSent(last, hint) => {
                let there = self.hint.as_ref().map_or(0, |(sequence, _)| *sequence);
                if there == last && !is_lost {
                    self.hint = Some((self.next_sequence(), hint));
                }
            }
        }
    }

    /// Whatever a node does next of its claim, or as an owner.
    fn act(&mut self, node: usize) {
        let now = at(self.millis);
        let (len, changes) = (self.log.len(), self.changes());
        let last_life = self.log.iter().rev().find_map(|frame| match frame {
            Frame::Life(epoch, node, boot) => Some((*epoch, *node, *boot)),
            Frame::Change => None,
        });
        let process = &mut self.processes[node];
        let boot = process.rules.me.boot.0;
        match core::mem::replace(&mut process.claim, Claim::No) {
            Claim::No if matches!(process.rules.turn(now), Turn::From(from) if from <= now) => {
                let author = match self.log.last() {
                    Some(Frame::Life(_, node, boot)) => Some((NAMES[*node].to_owned(), *boot)),
                    Some(Frame::Change) | None => None,
                };
                let tip = Tip { epoch: last_life.map_or(0, |(epoch, ..)| epoch), author };
                process.claim = Claim::TipRead(len, tip, now);
            }
            Claim::No => {}
            Claim::TipRead(len, tip, asked) => {
                if process.rules.may_begin(&tip, asked, now) {
                    process.claim = Claim::LifeSent(len, tip.epoch + 1);
                }
            }
            Claim::LifeSent(behind, epoch) => {
                // The fence.
                if behind == len {
                    self.log.push(Frame::Life(epoch, node, boot));
                    process.rules.claimed(epoch);
                } else {
                    process.rules.was_late(now);
                }
            }
        }

        if process.rules.may_serve(now) {
            process.world = changes;
            process.rules.serve(now);
            self.served += 1;
        }
        let is_fenced_in = last_life.is_some_and(|(_, of, by)| (of, by) == (node, boot));
        if matches!(process.rules.stage(), Stage::Serves { .. }) && is_fenced_in && self.log.len() == len {
            self.log.push(Frame::Change);
            process.world += 1;
        }
    }

    /// Looks at who may answer, and what.
    fn check(&mut self) {
        let (now, changes) = (at(self.millis), self.changes());
        for (node, process) in self.processes.iter().enumerate() {
            if process.rules.reads_until().is_some_and(|until| now < until) {
                assert_eq!(
                    process.world, changes,
                    "{node} answers without what was acknowledged, at {}",
                    self.millis
                );
            } else if matches!(process.rules.stage(), Stage::Serves { .. }) && process.world < changes {
                self.overlaps += 1;
            }
        }
    }

    fn step(&mut self) {
        self.millis += match self.roll(60) {
            0 => 10 * self.roll(60),
            of => [0, 1, 2, 5, 10, 25][usize::try_from(of % 6).unwrap()],
        };
        self.check();
        let node = usize::try_from(self.roll(3)).unwrap();
        let does = self.roll(400);
        if self.millis < self.processes[node].stands_still_until {
            return;
        }
        match does {
            0 => self.processes[node].stands_still_until = self.millis + 400 * self.roll(10),
            // A process that died is started again once nobody can hear anything from it.
            1 => {
                let process = self.started(node, true);
                self.processes[node] = process;
                self.processes[node].stands_still_until = self.millis + 1_651;
            }
            2 if self.roll(4) == 0 => {
                (self.sequence, self.hint) = (0, None);
                self.records.clear();
            }
            3 => self.processes[node].rules.release(),
            // One that has nothing any more is started again.
            4..10
                if matches!(self.processes[node].rules.stage(), Stage::Over(_) | Stage::Released { .. }) =>
            {
                let process = self.started(node, true);
                self.processes[node] = process;
                self.processes[node].stands_still_until = self.millis + 1_651;
            }
            _ if does.is_multiple_of(3) => self.act(node),
            _ => self.renew(node),
        }
        self.check();
    }
}

#[test]
fn who_may_answer_has_everything_that_was_acknowledged() {
    let (mut served, mut overlaps, mut changes) = (0, 0, 0);
    for seed in 0..600 {
        let mut world = World::new(seed);
        for _ in 0..4_000 {
            world.step();
        }
        served += world.served;
        overlaps += world.overlaps;
        changes += world.changes();
    }
    // It isn't an empty promise: there were takeovers, and owners that would have answered what is no longer so.
    assert!(served > 1_500 && overlaps > 1_500 && changes > 50_000, "{served} {overlaps} {changes}");
}
