//! Who may claim a lane, who waits, and until when an owner may be read: the rules of leases, and nothing else.
//!
//! ```text
//! StandsBy ── the owner is silent or has let go, and it is this node's turn ──▶ (Life in the log) ──▶ Claims
//! Claims ── the hint was delivered back, no owner before answers any more ──▶ Serves ──▶ Released
//! Claims, Serves ── a hint of a later life, the name is another's, the bucket was lost ──▶ Over
//! ```
//!
//! What is delivered is a [`Picture`]: everything that the bucket has, read behind an own renewal, from one server. A renewal counts for
//! [`TTL`] from when it was sent, and for reads of a lane only if the picture behind it has this process's own hint: so no hint that
//! stands before the renewal can have been missed, whatever became of it.
//!
//! The wait before serving is for every node whose newest record says that it claims or holds the lane. Those are all whose reads may
//! go on, since a renewal counts for a lane's reads only if its record names the lane. The log can't tell more: who began a life there
//! and died has written a record, or answered nothing.
//!
//! Absent on purpose: I/O, and the clock: moments are given. The log alone says who may write.

use core::time::Duration;
use std::collections::BTreeMap;

use aws_lc_rs::digest;

use super::super::lost::Lost;
use super::record::{Form, Hint, HintStage, NodeRecord};
use crate::cluster::{Member, Moment, Owner, View};

/// How often a lease is renewed: four may be lost in a row, and the fifth is still in time.
pub(super) const RENEW_EVERY: Duration = Duration::from_millis(300);
/// How often it is while the owner is about to let go, so that nobody waits for the next turn.
pub(super) const HURRY_EVERY: Duration = Duration::from_millis(50);
/// How long a renewal counts, from when it was sent.
pub(super) const TTL: Duration = Duration::from_millis(1_500);
/// How long nothing may be heard of a node until nobody can be hearing anything from it. It is longer than [`TTL`] by a tenth: clocks
/// that nobody sets differ by less than a thousandth.
pub(super) const SILENCE: Duration = Duration::from_millis(1_650);
/// After how long without an own renewal the others' silence is counted anew: when the servers were away for all, everyone seems silent.
pub(super) const GAP: Duration = Duration::from_millis(750);
/// How much later the next one in line claims.
pub(super) const RANK_PAUSE: Duration = Duration::from_millis(200);
/// How far the clock may be from the servers' until this node takes nothing: deadlines of customers are instants of its clock.
pub(super) const CLOCK_APART_MAX: Duration = Duration::from_millis(500);
/// After how long a node that says nothing is no longer shown, and its record is deleted: machines that come and go may have a new name each.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// Everything that the bucket has, as it was read behind an own renewal.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    /// When the renewal was sent.
    pub(super) sent: Moment,
    /// When this was read.
    pub(super) came: Moment,
    /// The nodes' records, with their messages' sequences.
    pub(super) nodes: Vec<(u64, NodeRecord)>,
    /// The hint of the lane, with its message's sequence.
    pub(super) hint: Option<(u64, Hint)>,
    /// How far the clock is from the servers'.
    pub(super) clock_apart: Duration,
}

/// What is known of another node.
#[derive(Clone, Debug)]
struct Heard {
    sequence: u64,
    record: NodeRecord,
    /// When its newest record was first seen, or since when its silence is counted.
    at: Moment,
}

/// The lane's hint.
#[derive(Clone, Debug)]
struct Told {
    sequence: u64,
    hint: Hint,
    /// When it was first seen.
    at: Moment,
}

/// How far this process is with the lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is there to take over.
    StandsBy,
    /// Its life has begun in the log.
    Claims {
        epoch: u64,
        /// From when on no owner before it answers; nothing until its hint was delivered back.
        until: Option<Moment>,
        /// When the last renewal that counts for reads was sent.
        renewed: Option<Moment>,
        /// Whether somebody had served by this bucket, and so had waited for those whose leases were in the bucket before it.
        was_served: bool,
    },
    /// It answers.
    Serves { epoch: u64, renewed: Moment },
    /// It answers nothing any more, and says so.
    Released { epoch: Option<u64> },
    /// It has nothing, and gets nothing any more.
    Over(Lost),
}

/// Whether this process may claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// From a moment on, unless something is heard.
    From(Moment),
    /// As things are, not.
    No(NoTurn),
}

/// Why it may not claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTurn {
    /// It claims or serves, or is about to end.
    NotStandingBy,
    /// Its own renewals don't count.
    NoLease,
    /// Its clock is too far from the servers'.
    Clock(Duration),
    /// It isn't like the owner, and another one is; what differs.
    Differs(&'static str),
}

/// The last frame of the log, as a claim needs it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tip {
    pub(super) epoch: u64,
    /// Whose life begins in it, if one does: the node's name, and the process's number.
    pub(super) author: Option<(String, u128)>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    me: NodeRecord,
    lane: String,
    /// Whether the former process of this node surely answers nothing any more.
    is_former_over: bool,
    /// Since when silence is counted: the first picture of this bucket, or the first after an own gap.
    counted_from: Option<Moment>,
    /// When the last picture's renewal was sent, and when it came.
    looked: Option<(Moment, Moment)>,
    heard: BTreeMap<String, Heard>,
    told: Option<Told>,
    stage: Stage,
    is_draining: bool,
    clock_apart: Duration,
    not_before: Option<Moment>,
}

impl Rules {
    pub(super) fn new(me: NodeRecord, lane: &str, is_former_over: bool) -> Self {
        Self {
            me,
            lane: lane.to_owned(),
            is_former_over,
            counted_from: None,
            looked: None,
            heard: BTreeMap::new(),
            told: None,
            stage: Stage::StandsBy,
            is_draining: false,
            clock_apart: Duration::ZERO,
            not_before: None,
        }
    }

    pub(super) const fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Returns why this process has nothing any more, if it hasn't.
    pub(super) const fn lost(&self) -> Option<&Lost> {
        if let Stage::Over(lost) = &self.stage { Some(lost) } else { None }
    }

    pub(super) const fn clock_apart(&self) -> Duration {
        self.clock_apart
    }

    /// Returns the record of the next renewal.
    pub(super) fn record(&self) -> NodeRecord {
        let (holds, left) = match self.stage {
            Stage::Claims { epoch, .. } | Stage::Serves { epoch, .. } => {
                (BTreeMap::from([(self.lane.clone(), epoch)]), false)
            }
            Stage::StandsBy => (BTreeMap::new(), false),
            Stage::Released { .. } | Stage::Over(_) => (BTreeMap::new(), true),
        };
        NodeRecord { draining: self.is_draining || left, left, holds, ..self.me.clone() }
    }

    /// Returns the hint that is to be put in the place of the one with a sequence.
    pub(super) fn wanted_hint(&self) -> Option<(u64, Hint)> {
        let (epoch, stage) = match self.stage {
            Stage::Claims { epoch, .. } => (epoch, HintStage::Claims),
            Stage::Serves { epoch, .. } => (epoch, HintStage::Serves),
            Stage::Released { epoch: Some(epoch) } => (epoch, HintStage::Released),
            Stage::StandsBy | Stage::Released { epoch: None } | Stage::Over(_) => return None,
        };
        let NodeRecord { node, boot, form, .. } = self.me.clone();
        let hint = Hint { lane: self.lane.clone(), node, boot, epoch, stage, form };
        match &self.told {
            None => Some((0, hint)),
            Some(told) if told.hint.epoch <= epoch && told.hint != hint => Some((told.sequence, hint)),
            Some(_) => None,
        }
    }

    /// Is told what the bucket has.
    pub(super) fn see(&mut self, picture: Picture) {
        let Picture { sent, came, nodes, hint, clock_apart } = picture;
        self.clock_apart = clock_apart;
        if self.looked.is_some_and(|(_, before)| came.since(before) > GAP) {
            self.counted_from = Some(came);
            self.heard.values_mut().for_each(|heard| heard.at = came);
        }
        self.counted_from.get_or_insert(came);
        self.looked = Some((sent, came));

        self.heard.retain(|node, heard| {
            nodes.iter().any(|(_, record)| record.node == *node) || came < heard.at + FORGET_AFTER
        });
        for (sequence, record) in nodes.into_iter().filter(|(_, record)| record.node != self.me.node) {
            let known = self.heard.get(&record.node);
            if known.is_none_or(|known| known.sequence != sequence) {
                self.heard.insert(record.node.clone(), Heard { sequence, record, at: came });
            }
        }

        let is_known =
            |(sequence, _): &(u64, Hint)| self.told.as_ref().is_some_and(|told| told.sequence == *sequence);
        if !hint.as_ref().is_some_and(is_known) {
            self.told = hint.map(|(sequence, hint)| Told { sequence, hint, at: came });
        }
        self.follow(sent);
    }

    /// Draws the consequences of a picture for what this process has.
    fn follow(&mut self, sent: Moment) {
        let own = match self.stage {
            Stage::Claims { epoch, .. } | Stage::Serves { epoch, .. } => epoch,
            Stage::StandsBy | Stage::Released { .. } | Stage::Over(_) => return,
        };
        let hint = self.told.as_ref().map(|told| &told.hint);
        if !hint.is_some_and(|hint| hint.is_by(&self.me) && hint.epoch == own) {
            // Without its own hint nothing counts: one of a later life may have stood there.
            let later = hint.filter(|hint| hint.epoch >= own);
            let was_delivered = !matches!(self.stage, Stage::Claims { until: None, .. });
            if let Some(Hint { node, epoch, .. }) = later {
                let (node, epoch) = (node.clone(), *epoch);
                self.stage = Stage::Over(Lost::TakenOver { node, epoch });
            } else if was_delivered {
                self.stage = Stage::Over(Lost::Forgotten);
            }
            return;
        }

        let is_waiting = matches!(self.stage, Stage::Claims { until: None, .. });
        let wait = is_waiting.then(|| self.wait_until());
        match &mut self.stage {
            Stage::Claims { until, renewed, .. } => {
                *until = until.or(wait);
                *renewed = Some(sent);
            }
            Stage::Serves { renewed, .. } => *renewed = sent,
            Stage::StandsBy | Stage::Released { .. } | Stage::Over(_) => {}
        }
    }

    /// Returns from when on nobody answers the lane's reads who did before the hint that was just delivered back.
    fn wait_until(&self) -> Moment {
        let holds = |heard: &&Heard| !heard.record.left && heard.record.holds.contains_key(&self.lane);
        let of_owners = self.heard.values().filter(holds).map(|heard| heard.at + SILENCE).max();
        let was_served = matches!(self.stage, Stage::Claims { was_served: true, .. });
        // Leases may have been in a bucket that was lost before this one.
        let of_before = self.counted_from.filter(|_| !was_served).map(|from| from + SILENCE);
        let looked = self.looked.map(|(_, came)| came);
        of_owners.max(of_before).or(looked).expect("a picture was just seen")
    }

    /// Is told that the bucket isn't what it was.
    pub(super) fn forgotten(&mut self) {
        (self.counted_from, self.looked, self.told) = (None, None, None);
        self.heard.clear();
        self.is_former_over = false;
        if matches!(self.stage, Stage::Claims { .. } | Stage::Serves { .. }) {
            self.stage = Stage::Over(Lost::Forgotten);
        }
    }

    /// Is told that another process has this node's name.
    pub(super) fn name_taken(&mut self, address: String) {
        if !matches!(self.stage, Stage::Over(_) | Stage::Released { .. }) {
            self.stage = Stage::Over(Lost::NameTaken { address });
        }
    }

    /// Is told that this process will end.
    pub(super) const fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Is told that this process has begun a life in the log.
    pub(super) fn claimed(&mut self, epoch: u64) {
        // One that ends meanwhile has begun a life that nobody lives.
        if self.stage != Stage::StandsBy {
            return;
        }
        let was_served = self.told.as_ref().is_some_and(|told| told.hint.stage != HintStage::Claims);
        self.stage = Stage::Claims { epoch, until: None, renewed: None, was_served };
    }

    /// Is told that it was too late: another life had begun.
    pub(super) fn was_late(&mut self, now: Moment) {
        self.not_before = Some(now + RANK_PAUSE);
    }

    /// Tells whether what was claimed may be served.
    pub(super) fn may_serve(&self, now: Moment) -> bool {
        let Stage::Claims { until: Some(until), renewed: Some(renewed), .. } = self.stage else {
            return false;
        };
        now >= until && now < renewed + TTL
    }

    /// Is told that it serves from now on.
    pub(super) fn serve(&mut self, now: Moment) {
        if let Stage::Claims { epoch, until: Some(until), renewed: Some(renewed), .. } = self.stage {
            assert!(now >= until, "nobody serves before the wait is over");
            self.stage = Stage::Serves { epoch, renewed };
        }
    }

    /// Is told that this process answers nothing any more, and that nothing of it is under way.
    pub(super) fn release(&mut self) {
        self.is_draining = true;
        match self.stage {
            Stage::Serves { epoch, .. } => self.stage = Stage::Released { epoch: Some(epoch) },
            // A hint that says "released" says that somebody had waited for all before it.
            Stage::StandsBy | Stage::Claims { .. } => self.stage = Stage::Released { epoch: None },
            Stage::Released { .. } | Stage::Over(_) => {}
        }
    }

    /// Returns until when the lane's reads may be answered.
    pub(super) fn reads_until(&self) -> Option<Moment> {
        let Stage::Serves { renewed, .. } = self.stage else { return None };
        Some(renewed + TTL)
    }

    /// Returns when the last renewal that counts was sent.
    pub(super) fn renewed(&self) -> Option<Moment> {
        self.looked.map(|(sent, _)| sent)
    }

    /// Tells whether the owner is about to let go, or the next one to serve, so that the bucket is looked at more often.
    pub(super) fn hurries(&self) -> bool {
        let is_changing = |Told { hint, .. }: &Told| {
            let owner = self.heard.get(&hint.node).filter(|owner| owner.record.boot == hint.boot);
            match hint.stage {
                HintStage::Claims => owner.is_some_and(|owner| !owner.record.left),
                HintStage::Serves => owner.is_some_and(|owner| owner.record.draining && !owner.record.left),
                HintStage::Released => false,
            }
        };
        self.stage == Stage::StandsBy && self.told.as_ref().is_some_and(is_changing)
    }

    /// Returns a node that has said nothing for so long that its record is to be deleted, with the record's sequence. That is the owner's.
    pub(super) fn outdated(&self, now: Moment) -> Option<(&str, u64)> {
        let mut old = self.heard.values().filter(|heard| now >= heard.at + FORGET_AFTER);
        let serves = matches!(self.stage, Stage::Serves { .. });
        old.find(|_| serves).map(|heard| (heard.record.node.as_str(), heard.sequence))
    }

    /// Says when this process may claim.
    pub(super) fn turn(&self, now: Moment) -> Turn {
        if self.stage != Stage::StandsBy || self.is_draining {
            return Turn::No(NoTurn::NotStandingBy);
        }
        let (Some((sent, _)), Some(counted_from)) = (self.looked, self.counted_from) else {
            return Turn::No(NoTurn::NoLease);
        };
        if now >= sent + TTL {
            return Turn::No(NoTurn::NoLease);
        }
        if self.clock_apart > CLOCK_APART_MAX {
            return Turn::No(NoTurn::Clock(self.clock_apart));
        }

        let form = self.told.as_ref().map(|told| &told.hint.form);
        let is_alike = |of: &Form| form.is_none_or(|form| form == of);
        let open = self.open_from(counted_from);
        let others: Vec<&NodeRecord> = self.takers(now).collect();
        let am_alike = is_alike(&self.me.form);
        if !am_alike && others.iter().any(|other| is_alike(&other.form)) {
            let differs = form.map_or("", |form| self.me.form.differs_from(form));
            return Turn::No(NoTurn::Differs(differs));
        }

        let own = rank(&self.lane, &self.me.node);
        let before = others
            .iter()
            .filter(|other| is_alike(&other.form) == am_alike && rank(&self.lane, &other.node) > own);
        let pause = RANK_PAUSE * u32::try_from(before.count()).unwrap_or(u32::MAX);
        Turn::From(open.max(self.not_before.unwrap_or(open)) + pause)
    }

    /// Returns the other nodes that might take over at a moment, if nothing more is heard of the owner.
    fn takers(&self, at: Moment) -> impl Iterator<Item = &NodeRecord> {
        let owner = self.told.as_ref().map(|told| (&told.hint.node, told.hint.boot));
        let takes = move |heard: &&Heard| {
            let NodeRecord { node, boot, draining, left, .. } = &heard.record;
            at < heard.at + SILENCE && !draining && !left && owner != Some((node, *boot))
        };
        self.heard.values().filter(takes).map(|heard| &heard.record)
    }

    /// Returns from when on the lane is nobody's, as far as is known.
    fn open_from(&self, counted_from: Moment) -> Moment {
        let Some(Told { hint, at, .. }) = &self.told else { return counted_from + SILENCE };
        if hint.stage == HintStage::Released {
            return *at;
        }
        match self.heard.get(&hint.node).filter(|owner| owner.record.boot == hint.boot) {
            Some(owner) if owner.record.left => owner.at,
            Some(owner) => owner.at + SILENCE,
            // Its process is gone, and this one has its name.
            None if hint.node == self.me.node && self.is_former_over => *at,
            None => counted_from.max(*at) + SILENCE,
        }
    }

    /// Tells whether a life may begin behind the log's last frame, which was read at `asked`.
    pub(super) fn may_begin(&self, tip: &Tip, asked: Moment, now: Moment) -> bool {
        let is_fresh = self.looked.is_some_and(|(sent, _)| sent >= asked);
        let is_turn = matches!(self.turn(now), Turn::From(from) if from <= now);
        let known = self.told.as_ref().map_or(0, |told| told.hint.epoch);
        // A claim that isn't told of yet is under way, or its process has died.
        let is_claimed = tip.epoch > known
            && tip.author.as_ref().is_some_and(|(node, boot)| {
                let owner = self.heard.get(node).filter(|owner| owner.record.boot.0 == *boot);
                owner.is_some_and(|owner| !owner.record.left && now < owner.at + SILENCE)
            });
        is_fresh && is_turn && !is_claimed
    }

    /// Returns when something may change though nothing is heard.
    pub(super) fn wakes_at(&self, now: Moment) -> Option<Moment> {
        match (&self.stage, self.turn(now)) {
            (Stage::Claims { until: Some(until), .. }, _) => Some(*until),
            (Stage::StandsBy, Turn::From(from)) => Some(from),
            _ => None,
        }
        .filter(|at| *at > now)
    }

    /// Shows the cluster as it is known.
    pub(super) fn view(&self, now: Moment) -> View {
        // While nothing is learnt, nobody falls silent.
        let now = self.looked.map_or(now, |(_, came)| now.min(came + GAP));
        let is_alive = |heard: &Heard| !heard.record.left && now < heard.at + SILENCE;
        let member = |record: &NodeRecord, is_alive| Member {
            node: record.node.clone(),
            address: record.address.clone(),
            version: record.form.version.clone(),
            boot: record.boot.0,
            is_alive,
            is_draining: record.draining,
        };
        let known = self.heard.values().filter(|heard| now < heard.at + FORGET_AFTER);
        let mut members: Vec<Member> = known.map(|heard| member(&heard.record, is_alive(heard))).collect();
        let me = self.record();
        members.push(member(&me, !me.left));
        members.sort_unstable_by(|one, other| one.node.cmp(&other.node));

        let owner = match (&self.stage, &self.told) {
            (Stage::Serves { .. }, _) => Owner::Me,
            (Stage::StandsBy, Some(Told { hint, .. })) if hint.stage == HintStage::Serves => {
                let owner = self.heard.get(&hint.node);
                match owner.filter(|owner| owner.record.boot == hint.boot && is_alive(owner)) {
                    Some(owner) => {
                        Owner::Peer { node: hint.node.clone(), address: owner.record.address.clone() }
                    }
                    None => Owner::Nobody,
                }
            }
            _ => Owner::Nobody,
        };
        let epoch = match self.stage {
            Stage::Claims { epoch, .. } | Stage::Serves { epoch, .. } => epoch,
            Stage::StandsBy | Stage::Released { .. } | Stage::Over(_) => {
                self.told.as_ref().map_or(0, |told| told.hint.epoch)
            }
        };
        View { me: self.me.node.clone(), owner, epoch, members }
    }
}

/// Says who comes first for a lane: the highest (rendezvous hashing), so that each lane has an order of its own that all agree on.
fn rank(lane: &str, node: &str) -> ([u8; 8], String) {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(lane.as_bytes());
    context.update(&[0]);
    context.update(node.as_bytes());
    let digest = context.finish();
    (*digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes"), node.to_owned())
}

#[cfg(test)]
mod tests;
