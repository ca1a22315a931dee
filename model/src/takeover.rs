//! The state of servers and nodes, and everything that can happen next.
//!
//! | here | in the code |
//! | --- | --- |
//! | [`Frame`], [`Lane::log`] | frames of one subject; a frame's place is its sequence there |
//! | [`Lane::sent`] | attempts of `Session::publish` that may still land: late, doubled, or never |
//! | [`Action::ReadTip`] | `Claiming::tip`, also by a leader that is behind |
//! | [`Action::Land`] | the servers' compare-and-append: behind the last frame, or error 10071 |
//! | [`Action::Ack`] | `Published::At`: an acknowledgement comes, however late |
//! | no step at all | `Published::Unknown`: no answer, or 10164; the same bytes are sent again, which changes nothing here |
//! | [`Action::Look`] | `Published::Behind`, then `Appender::look` (`Looked::{Ours, Anothers, Nothing}`) and `look_for_others`; a leader that is behind says either of them, too |
//! | [`Stage::Claiming`] | `Claiming::begin_life` |
//! | [`Stage::Recovering`] | `Claimed` until its replay has come to `until`, and the wait for reads of owners before it |
//! | [`Stage::Serving`], [`Stage::Deposed`] | a `NatsLane` whose `Appender::deposed` is empty, or set |
//! | [`Node::reads_left`], [`Entry::Renewed`], [`Entry::Hint`] | the bucket of leases (`stream/live`): `Rules::reads_until`, a `NodeRecord`, a `Hint`. A node there reads the whole bucket behind each own renewal, and takes its own hint in it for what was delivered |
//!
//! Sequences count from 0, and "behind L" is the frame at place L: `last` is a length.
//!
//! A node that is stopped and goes on is one whose steps come late: no step has to come, while clocks go on. So every state
//! is judged as if it answered reads in it. A node that dies forgets all but its name.

use stateright::{Model, Property};

use crate::rules::{Bounds, Rules};

/// How many nodes there are.
pub(crate) const NODES: u8 = 2;

/// A set of changes, one bit each.
type Changes = u8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Frame {
    /// The beginning of a life (`Life`); no two boots write the same.
    Life { epoch: u8, node: u8, boot: u8 },
    /// An entry with a change in it.
    Write { epoch: u8, change: u8 },
}

/// A frame that was sent, to stand behind the first `last` ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Attempt {
    pub(crate) last: u8,
    pub(crate) frame: Frame,
}

/// A lane, as the servers have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub(crate) struct Lane {
    pub(crate) log: Vec<Frame>,
    /// In order, each once. What is in it may land any number of times, or never.
    pub(crate) sent: Vec<Attempt>,
    /// The epoch that the bucket names for it (`lane.<lane>`).
    pub(crate) hint: u8,
    /// Hints that were sent and aren't there yet: epoch and node.
    pub(crate) hints: Vec<(u8, u8)>,
}

/// What a node is told by the bucket of leases, in the bucket's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Entry {
    Renewed { node: u8 },
    Hint { lane: u8, epoch: u8, node: u8 },
}

/// How a node holds a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    Elsewhere,
    Claiming {
        last: u8,
        epoch: u8,
    },
    Recovering {
        last: u8,
        epoch: u8,
        /// What the replay came to.
        world: Option<Changes>,
        /// Ticks until no owner before it answers; nothing until its hint was delivered back.
        wait: Option<u8>,
    },
    Serving {
        last: u8,
        epoch: u8,
        world: Changes,
        /// The change that is being appended.
        append: Option<u8>,
    },
    Deposed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) boot: u8,
    /// Ticks for which it still answers reads (`reads_until`).
    pub(crate) reads_left: u8,
    /// Ticks since its renewal landed, by its own clock; nothing while there is none that wasn't delivered back. It counts from when it
    /// was sent, which is before that: one that is sent and lands at once is the worst one.
    pub(crate) renewal: Option<u8>,
    /// Ticks since it was last told of a renewal of the other node.
    pub(crate) silence: u8,
    /// What it hasn't been told yet.
    pub(crate) inbox: Vec<Entry>,
    pub(crate) stages: Vec<Stage>,
}

/// What a client was told of its change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Told {
    /// Nothing yet; it was asked for in a lane.
    Nothing { lane: u8 },
    /// That it is done.
    Done { lane: u8 },
    /// The same, by a look at the log, since the answer was lost.
    Adopted { lane: u8 },
    /// That it wasn't done (`Deposed`).
    NotDone { lane: u8 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) nodes: Vec<Node>,
    /// By change.
    pub(crate) told: Vec<Told>,
    pub(crate) crashes: u8,
    pub(crate) lost_ticks: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Time passes for all, but for one clock that stands still.
    Tick {
        but: Option<u8>,
    },
    Crash {
        node: u8,
    },
    Renew {
        node: u8,
    },
    LandHint {
        lane: u8,
        epoch: u8,
        node: u8,
    },
    /// A node is told the bucket's next entry.
    Deliver {
        node: u8,
    },
    /// The last frame is read, by a leader that is `behind` by so many.
    ReadTip {
        node: u8,
        lane: u8,
        behind: u8,
    },
    /// Only for attempts that the fence lets through, or where there is none.
    Land {
        lane: u8,
        attempt: u8,
    },
    Ack {
        node: u8,
        lane: u8,
    },
    /// A look behind the last frame, at a leader that has everything, or at one that is behind.
    Look {
        node: u8,
        lane: u8,
        stale: bool,
    },
    /// The log is read up to the own `Life`, or less where that rule is broken.
    Replay {
        node: u8,
        lane: u8,
        upto: u8,
    },
    Serve {
        node: u8,
        lane: u8,
    },
    Write {
        node: u8,
        lane: u8,
    },
    /// A deposed node lets the lane go.
    Drop {
        node: u8,
        lane: u8,
    },
}

/// The model, checked under some rules and within some bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takeover {
    pub(crate) rules: Rules,
    pub(crate) bounds: Bounds,
}

fn at(index: u8) -> usize {
    usize::from(index)
}

fn len<T>(items: &[T]) -> u8 {
    u8::try_from(items.len()).expect("everything is bounded")
}

impl Lane {
    fn send(&mut self, attempt: Attempt) {
        if let Err(place) = self.sent.binary_search(&attempt) {
            self.sent.insert(place, attempt);
        }
    }

    /// Returns the changes in the first frames.
    pub(crate) fn changes(&self, upto: u8) -> Changes {
        self.log[..at(upto)].iter().fold(0, |changes, frame| match frame {
            Frame::Life { .. } => changes,
            Frame::Write { change, .. } => changes | 1 << change,
        })
    }

    /// Returns who may still answer for the lane while a life begins: the authors of lives behind which nothing was written, and the
    /// one before. Whoever wrote something had waited for all before it.
    fn owners_before(&self, life: u8, all: bool) -> Vec<u8> {
        let mut owners = Vec::new();
        let mut was_written = false;
        for frame in self.log[..at(life)].iter().rev() {
            match frame {
                Frame::Write { .. } => was_written = true,
                Frame::Life { node, .. } => {
                    owners.push(*node);
                    if was_written || !all {
                        break;
                    }
                }
            }
        }
        owners
    }
}

impl Node {
    fn new(boot: u8, lanes: u8) -> Self {
        Self {
            boot,
            reads_left: 0,
            renewal: None,
            silence: 0,
            inbox: Vec::new(),
            stages: vec![Stage::Elsewhere; at(lanes)],
        }
    }

    fn tick(&mut self, bounds: Bounds) {
        self.reads_left = self.reads_left.saturating_sub(1);
        self.silence = (self.silence + 1).min(bounds.silence());
        if let Some(age) = &mut self.renewal {
            *age = (*age + 1).min(bounds.ttl);
        }
        for stage in &mut self.stages {
            if let Stage::Recovering { wait: Some(wait), .. } = stage {
                *wait = wait.saturating_sub(1);
            }
        }
    }

    /// A renewal that nobody heard yet says no more than the one right behind it.
    fn put_in(&mut self, entry: Entry) {
        let repeats = matches!(entry, Entry::Renewed { .. }) && self.inbox.last() == Some(&entry);
        if !repeats {
            self.inbox.push(entry);
        }
    }
}

impl State {
    /// Tells whether a node answers reads of a lane, and from which world.
    pub(crate) fn answers(&self, rules: Rules, node: u8, lane: u8) -> Option<Changes> {
        let node = &self.nodes[at(node)];
        match node.stages[at(lane)] {
            Stage::Serving { world, .. } if node.reads_left > 0 || !rules.reads_end => Some(world),
            _ => None,
        }
    }

    /// Returns what was acknowledged in a lane.
    pub(crate) fn acknowledged(&self, lane: u8) -> Changes {
        self.of_told(
            |told| matches!(told, Told::Done { lane: of } | Told::Adopted { lane: of } if of == lane),
        )
    }

    /// Returns what was said not to be in a lane.
    pub(crate) fn denied(&self, lane: u8) -> Changes {
        self.of_told(|told| told == Told::NotDone { lane })
    }

    fn of_told(&self, is: impl Fn(Told) -> bool) -> Changes {
        let told = self.told.iter().enumerate().filter(|(_, told)| is(**told));
        told.fold(0, |changes, (change, _)| changes | 1 << change)
    }

    fn deliver(&mut self, Takeover { rules, bounds }: Takeover, to: u8) {
        let node = &mut self.nodes[at(to)];
        match node.inbox.remove(0) {
            Entry::Renewed { node: of } if of == to => {
                let age = node.renewal.take().expect("a boot is told of its own renewals");
                let age = if rules.counts_from_sent { age } else { 0 };
                node.reads_left = node.reads_left.max(bounds.ttl - age);
            }
            Entry::Renewed { .. } => node.silence = 0,
            Entry::Hint { lane, epoch, node: of } => {
                self.deliver_hint(Takeover { rules, bounds }, to, (lane, epoch, of));
            }
        }
    }

    fn deliver_hint(
        &mut self,
        Takeover { rules, bounds }: Takeover,
        to: u8,
        (lane, epoch, of): (u8, u8, u8),
    ) {
        let Node { silence, stages, .. } = &mut self.nodes[at(to)];
        let stage = &mut stages[at(lane)];
        let (Stage::Recovering { epoch: own, .. } | Stage::Serving { epoch: own, .. }) = *stage else {
            return;
        };
        if !rules.hint_first {
            return;
        }
        if of == to && own == epoch {
            if let Stage::Recovering { last, wait, .. } = stage {
                let others = |owner| owner != to;
                let owners = self.lanes[at(lane)].owners_before(*last - 1, rules.waits_for_all);
                let is_held = rules.waits && owners.into_iter().any(others);
                *wait = Some(if is_held { bounds.silence() - *silence } else { 0 });
            }
        } else if epoch > own {
            // An append that is under way is no longer followed: nobody is told anything.
            *stage = Stage::Elsewhere;
        }
    }

    /// Ends an append: it is in the log, and `last` frames are there with it.
    fn landed(&mut self, Takeover { rules, .. }: Takeover, node: u8, lane: u8, last: u8, adopted: bool) {
        let stage = &mut self.nodes[at(node)].stages[at(lane)];
        match *stage {
            Stage::Claiming { epoch, .. } => {
                // Where no hint is waited for, silence alone ends the reads of those before.
                let wait = (!rules.hint_first).then_some(0);
                *stage = Stage::Recovering { last, epoch, world: None, wait };
                self.lanes[at(lane)].hints.push((epoch, node));
            }
            Stage::Serving { epoch, world, append: Some(change), .. } => {
                *stage = Stage::Serving { last, epoch, world: world | 1 << change, append: None };
                self.told[at(change)] = if adopted { Told::Adopted { lane } } else { Told::Done { lane } };
            }
            _ => unreachable!("nothing was under way"),
        }
    }

    /// Ends an append: another's frame stands where it would.
    fn deposed(&mut self, node: u8, lane: u8) {
        let stage = &mut self.nodes[at(node)].stages[at(lane)];
        if let Stage::Serving { append: Some(change), .. } = *stage {
            self.told[at(change)] = Told::NotDone { lane };
            *stage = Stage::Deposed;
        } else {
            // A claim is tried again behind the frame that came first.
            *stage = Stage::Elsewhere;
        }
    }

    /// Returns the frame that a node waits for, and where it is to stand.
    fn waits_for(&self, node: u8, lane: u8) -> Option<Attempt> {
        let Node { boot, stages, .. } = &self.nodes[at(node)];
        match stages[at(lane)] {
            Stage::Claiming { last, epoch, .. } => {
                Some(Attempt { last, frame: Frame::Life { epoch, node, boot: *boot } })
            }
            Stage::Serving { last, epoch, append: Some(change), .. } => {
                Some(Attempt { last, frame: Frame::Write { epoch, change } })
            }
            _ => None,
        }
    }

    fn look(&mut self, model: Takeover, node: u8, lane: u8, stale: bool) -> Option<()> {
        let Attempt { last, frame } = self.waits_for(node, lane)?;
        let log = &self.lanes[at(lane)].log;
        let behind = if stale { None } else { log.get(at(last)) };
        match behind.copied() {
            Some(found) if found == frame => {
                let others = log.len() > at(last) + 1;
                self.landed(model, node, lane, last + 1, true);
                if others {
                    let stage = &mut self.nodes[at(node)].stages[at(lane)];
                    *stage = if matches!(stage, Stage::Serving { .. }) {
                        Stage::Deposed
                    } else {
                        Stage::Elsewhere
                    };
                }
                Some(())
            }
            Some(_) => {
                self.deposed(node, lane);
                Some(())
            }
            None if model.rules.nothing_is_a_verdict => {
                let stage = &mut self.nodes[at(node)].stages[at(lane)];
                let Stage::Serving { append, .. } = stage else { return None };
                self.told[at(append.take()?)] = Told::NotDone { lane };
                Some(())
            }
            // Nothing was learnt: it is asked again.
            None => None,
        }
    }
}

impl Takeover {
    fn of_node(&self, state: &State, node: u8, actions: &mut Vec<Action>) {
        let Node { renewal, inbox, .. } = &state.nodes[at(node)];
        if renewal.is_none() {
            actions.push(Action::Renew { node });
        }
        if !inbox.is_empty() {
            actions.push(Action::Deliver { node });
        }
        if state.crashes < self.bounds.crashes {
            actions.push(Action::Crash { node });
        }
        for lane in 0..self.bounds.lanes {
            self.of_stage(state, node, lane, actions);
        }
    }

    fn of_stage(&self, state: &State, node: u8, lane: u8, actions: &mut Vec<Action>) {
        let Lane { log, .. } = &state.lanes[at(lane)];
        let Node { stages, silence, reads_left, .. } = &state.nodes[at(node)];
        match stages[at(lane)] {
            Stage::Elsewhere => {
                let lives = log.iter().filter(|frame| matches!(frame, Frame::Life { .. })).count();
                // Both nodes are alike: the first to come is node 0.
                let is_first = log.is_empty()
                    && (0..node).all(|other| state.nodes[at(other)].stages[at(lane)] == Stage::Elsewhere);
                if lives < at(self.bounds.lives) && !(is_first && node > 0 && lane == 0) {
                    actions.push(Action::ReadTip { node, lane, behind: 0 });
                    if !log.is_empty() {
                        actions.push(Action::ReadTip { node, lane, behind: 1 });
                    }
                }
            }
            Stage::Claiming { .. } | Stage::Serving { append: Some(_), .. } => {
                Self::of_append(node, lane, actions);
            }
            Stage::Recovering { last, world, wait, .. } => {
                if world.is_none() {
                    let from = if self.rules.replays_to_own_life { last } else { 0 };
                    actions.extend((from..=last).map(|upto| Action::Replay { node, lane, upto }));
                }
                // By silence alone: while the own lease counts, and as long as nothing is heard of the other node.
                let is_silent = silence == &self.bounds.silence() && *reads_left > 0;
                let may = self.rules.hint_first || !self.rules.waits || is_silent;
                if world.is_some() && wait == Some(0) && may {
                    actions.push(Action::Serve { node, lane });
                }
            }
            Stage::Serving { append: None, .. } => {
                if len(&state.told) < self.bounds.changes {
                    actions.push(Action::Write { node, lane });
                }
            }
            Stage::Deposed => actions.push(Action::Drop { node, lane }),
        }
    }

    fn of_append(node: u8, lane: u8, actions: &mut Vec<Action>) {
        actions.push(Action::Ack { node, lane });
        actions.extend([false, true].map(|stale| Action::Look { node, lane, stale }));
    }

    fn land(&self, state: &mut State, lane: u8, attempt: u8) -> Option<()> {
        let lane = &mut state.lanes[at(lane)];
        let Attempt { last, frame } = lane.sent[at(attempt)];
        let is_known = self.rules.deduplicates_first && log_has(&lane.log, last);
        if is_known || (self.rules.fence && last != len(&lane.log)) {
            return None;
        }
        lane.log.push(frame);
        Some(())
    }

    fn ack(&self, state: &mut State, node: u8, lane: u8) -> Option<()> {
        let Attempt { last, frame } = state.waits_for(node, lane)?;
        let log = &state.lanes[at(lane)].log;
        let stands = if self.rules.deduplicates_first {
            // Whoever wrote it, the servers say where the ordinal stands.
            log_has(log, last).then_some(last)
        } else {
            log.iter().rposition(|found| *found == frame).and_then(|place| u8::try_from(place).ok())
        };
        state.landed(*self, node, lane, stands? + 1, false);
        Some(())
    }

    fn apply(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Tick { but } => {
                state.lost_ticks += u8::from(but.is_some());
                let others = (0..NODES).filter(|node| Some(*node) != but);
                others.for_each(|node| state.nodes[at(node)].tick(self.bounds));
            }
            Action::Crash { node } => {
                state.crashes += 1;
                state.nodes[at(node)] = Node::new(state.nodes[at(node)].boot + 1, self.bounds.lanes);
            }
            Action::Renew { node } => {
                state.nodes[at(node)].renewal = Some(0);
                state.nodes.iter_mut().for_each(|told| told.put_in(Entry::Renewed { node }));
            }
            Action::LandHint { lane, epoch, node } => {
                let of = &mut state.lanes[at(lane)];
                of.hints.retain(|hint| *hint != (epoch, node));
                // By compare-and-set: one that comes late doesn't hide a later one.
                if epoch > of.hint {
                    of.hint = epoch;
                    let entry = Entry::Hint { lane, epoch, node };
                    state.nodes.iter_mut().for_each(|told| told.put_in(entry));
                }
            }
            Action::Deliver { node } => state.deliver(*self, node),
            Action::ReadTip { node, lane, behind } => {
                let Lane { log, .. } = &state.lanes[at(lane)];
                let last = len(log).checked_sub(behind)?;
                let epoch = match log[..at(last)].last() {
                    Some(Frame::Life { epoch, .. } | Frame::Write { epoch, .. }) => epoch + 1,
                    None => 1,
                };
                state.nodes[at(node)].stages[at(lane)] = Stage::Claiming { last, epoch };
                let attempt = state.waits_for(node, lane)?;
                state.lanes[at(lane)].send(attempt);
            }
            Action::Land { lane, attempt } => self.land(state, lane, attempt)?,
            Action::Ack { node, lane } => self.ack(state, node, lane)?,
            Action::Look { node, lane, stale } => state.look(*self, node, lane, stale)?,
            Action::Replay { node, lane, upto } => {
                let replayed = state.lanes[at(lane)].changes(upto);
                if let Stage::Recovering { world, .. } = &mut state.nodes[at(node)].stages[at(lane)] {
                    *world = Some(replayed);
                }
            }
            Action::Serve { node, lane } => {
                let stage = &mut state.nodes[at(node)].stages[at(lane)];
                if let Stage::Recovering { last, epoch, world: Some(world), .. } = *stage {
                    *stage = Stage::Serving { last, epoch, world, append: None };
                }
            }
            Action::Write { node, lane } => {
                let change = len(&state.told);
                state.told.push(Told::Nothing { lane });
                if let Stage::Serving { append, .. } = &mut state.nodes[at(node)].stages[at(lane)] {
                    *append = Some(change);
                }
                let attempt = state.waits_for(node, lane)?;
                state.lanes[at(lane)].send(attempt);
            }
            Action::Drop { node, lane } => state.nodes[at(node)].stages[at(lane)] = Stage::Elsewhere,
        }
        Some(())
    }

    /// Forgets what can't matter any more, so that equal states are one.
    fn forget(&self, state: &mut State) {
        for lane in &mut state.lanes {
            let last = len(&lane.log);
            if self.rules.fence {
                lane.sent.retain(|attempt| attempt.last >= last);
            }
            let hint = lane.hint;
            lane.hints.retain(|(epoch, _)| *epoch > hint);
            lane.hints.sort_unstable();
        }
        if self.rules.hint_first {
            return;
        }
        for lane in &mut state.lanes {
            lane.hints.clear();
        }
    }
}

/// Tells whether an ordinal is in a log.
fn log_has(log: &[Frame], ordinal: u8) -> bool {
    log.len() > at(ordinal)
}

impl Model for Takeover {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Bounds { lanes, ttl, begun, .. } = self.bounds;
        let mut state = State {
            lanes: vec![Lane::default(); at(lanes)],
            nodes: vec![Node::new(0, lanes); at(NODES)],
            told: Vec::new(),
            crashes: 0,
            lost_ticks: 0,
        };
        if begun {
            state.lanes[0].log.push(Frame::Life { epoch: 1, node: 0, boot: 0 });
            state.lanes[0].hint = 1;
            state.nodes[0].stages[0] = Stage::Serving { last: 1, epoch: 1, world: 0, append: None };
            state.nodes[0].reads_left = ttl;
        }
        vec![state]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick { but: None });
        if state.lost_ticks < self.bounds.lost_ticks {
            actions.extend((0..NODES).map(|node| Action::Tick { but: Some(node) }));
        }
        for node in 0..NODES {
            self.of_node(state, node, actions);
        }
        for (lane, of) in (0..).zip(&state.lanes) {
            actions.extend((0..len(&of.sent)).map(|attempt| Action::Land { lane, attempt }));
            let land = |&(epoch, node): &(u8, u8)| Action::LandHint { lane, epoch, node };
            actions.extend(of.hints.iter().map(land));
        }
    }

    fn next_state(&self, last_state: &State, action: Action) -> Option<State> {
        let mut state = last_state.clone();
        self.apply(&mut state, action)?;
        self.forget(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::promises::all()
    }

    fn within_boundary(&self, state: &State) -> bool {
        // Without a fence frames are doubled without end.
        let most = at(self.bounds.lives + self.bounds.changes + 1);
        state.lanes.iter().all(|lane| lane.log.len() <= most)
    }
}
