//! What a waiting room should be, as plainly as it can be said: lists of people that are scanned.
//!
//! It shares the room's words and none of its code: the draw is made again from its description, and the pace is
//! computed from all that was ever spent.

use aws_lc_rs::digest::{SHA256, digest};

use super::*;

/// What one admission costs, in the unit in which a rate earns itself each millisecond.
const ADMISSION: i128 = 60_000;

/// One who waits.
#[derive(Debug, Clone)]
pub(super) struct Waiter {
    pub(super) user: UserId,
    pub(super) ticket: Ticket,
    pub(super) joined: Timestamp,
    /// Whether they were ever told a position.
    pub(super) placed: bool,
}

/// One who is at the seats.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) user: UserId,
    pub(super) ticket: Ticket,
    pub(super) joined: Timestamp,
    admitted: Timestamp,
    pub(super) ends: Timestamp,
    pub(super) claim_by: Option<Timestamp>,
}

impl Guest {
    fn over_at(&self) -> Timestamp {
        self.claim_by.into_iter().chain([self.ends]).min().unwrap()
    }
}

/// A key with its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) key: KeyUse,
    pub(super) version: u64,
    pub(super) at: Timestamp,
    pub(super) answer: Answer,
}

/// How many may be admitted by now, from all that was spent since the rate was set.
#[derive(Debug, Clone)]
struct Bucket {
    rate: Option<u32>,
    since: Timestamp,
    held_then: i128,
    spent: Vec<(Timestamp, i128)>,
}

impl Bucket {
    fn most(rate: Option<u32>) -> i128 {
        // A second's worth, and at least one admission.
        (i128::from(rate.unwrap_or(0)) * 1_000).max(ADMISSION)
    }

    /// Whatever it held at an instant was at most full just then. So it holds the least of what each instant at
    /// which something was spent would leave, had it been full: what was earned since, less what was spent since.
    fn holds(&self, now: Timestamp) -> i128 {
        let Some(rate) = self.rate else { return self.held_then };
        let since = |held: i128, from: Timestamp| {
            let millis = i128::from(now.as_millis()) - i128::from(from.as_millis());
            let spent: i128 = self.spent.iter().filter(|(at, _)| *at >= from).map(|(_, cost)| cost).sum();
            held + millis * i128::from(rate) - spent
        };
        let full = Self::most(self.rate);
        let spendings = self.spent.iter().map(|(at, _)| since(full, *at));
        spendings.chain([since(self.held_then, self.since), full]).min().unwrap()
    }

    fn set(&mut self, rate: Option<u32>, now: Timestamp) {
        let held_then = self.holds(now).min(Self::most(rate));
        *self = Self { rate, since: now, held_then, spent: Vec::new() };
    }

    fn spend(&mut self, count: usize, now: Timestamp) {
        self.spent.push((now, i128::try_from(count).unwrap() * ADMISSION));
    }

    fn allows(&self, now: Timestamp) -> usize {
        if self.rate.is_none() { usize::MAX } else { usize::try_from(self.holds(now) / ADMISSION).unwrap() }
    }

    /// The first instant from `now` on at which it allows one, by halving the minute in which it must.
    fn next(&self, now: Timestamp) -> Timestamp {
        let (mut low, mut high) = (now, after(now, MINUTE));
        while low < high {
            let middle = Timestamp::from_millis(u64::midpoint(low.as_millis(), high.as_millis()));
            if self.allows(middle) > 0 { high = middle } else { low = after(middle, 1) }
        }
        low
    }
}

/// What a room should be.
#[derive(Debug, Clone)]
pub(super) struct Naive {
    pub(super) settings: Option<Settings>,
    pub(super) configured: Option<Settings>,
    pub(super) paused: bool,
    pub(super) gate: Gate,
    bucket: Bucket,
    pub(super) seed: Option<Seed>,
    pub(super) drawn: Option<(Seed, u32)>,
    /// In the order in which they will be admitted.
    pub(super) line: Vec<Waiter>,
    pub(super) guests: Vec<Guest>,
    pub(super) gone: Vec<(Ticket, PlaceStatus)>,
    pub(super) tickets: u32,
    pub(super) admitted_total: u64,
    pub(super) keys: Vec<Kept>,
    keys_max: u32,
    pub(super) events: u64,
    pub(super) last: Timestamp,
}

impl Naive {
    /// A room that is shut, in which so many had joined by `last`, who are all gone.
    pub(super) fn new(tickets: u32, events: u64, keys_max: u32, last: Timestamp) -> Self {
        let bucket = Bucket { rate: None, since: last, held_then: ADMISSION, spent: Vec::new() };
        Self {
            settings: None,
            configured: None,
            paused: false,
            gate: Gate::NotOnSale,
            bucket,
            seed: None,
            drawn: None,
            line: Vec::new(),
            guests: Vec::new(),
            gone: (1..=tickets).map(|ticket| (Ticket(ticket), PlaceStatus::Expired)).collect(),
            tickets,
            admitted_total: 0,
            keys: Vec::new(),
            keys_max,
            events,
            last,
        }
    }

    pub(super) fn order(&self) -> Vec<Ticket> {
        self.line.iter().map(|waiter| waiter.ticket).collect()
    }

    pub(super) fn active_max(&self) -> u32 {
        self.settings.as_ref().map_or(0, |settings| settings.policy.active_max)
    }

    pub(super) fn standing(&self, user: &UserId) -> Option<Ticket> {
        let waiting = self.line.iter().find(|waiter| waiter.user == *user).map(|waiter| waiter.ticket);
        let inside = self.guests.iter().find(|guest| guest.user == *user).map(|guest| guest.ticket);
        assert!(waiting.is_none() || inside.is_none(), "Q1: one place a user");
        waiting.or(inside)
    }

    /// Whether a draw is to come.
    fn undrawn(&self) -> bool {
        self.seed.is_some()
    }

    fn waits_until(&self, joined: Timestamp) -> Timestamp {
        let settings = self.settings.as_ref().unwrap();
        let from = settings.opens_at.filter(|opens_at| *opens_at > joined).unwrap_or(joined);
        after(from, 1_000 * u64::from(settings.policy.waiting.get()))
    }

    fn draws(&self, now: Timestamp) -> bool {
        let opens_at = self.settings.as_ref().and_then(|settings| settings.opens_at);
        let on_sale = match self.gate {
            Gate::Open | Gate::AllHeld | Gate::SoldOut => true,
            Gate::NotOnSale | Gate::Cancelled => false,
        };
        self.undrawn() && opens_at.map_or(on_sale, |opens_at| opens_at <= now)
    }

    /// Whether anyone is admitted now, as far as the administrator, the schedule and the time go.
    fn goes(&self, now: Timestamp) -> bool {
        let is_time = self
            .settings
            .as_ref()
            .is_some_and(|settings| settings.opens_at.is_none_or(|at| at <= now) && now < settings.closes_at);
        is_time && !self.paused && self.gate == Gate::Open
    }

    pub(super) fn is_moving(&self, now: Timestamp) -> bool {
        self.goes(now) && !self.line.is_empty()
    }

    /// How many more may be admitted now.
    fn admits(&self, now: Timestamp) -> usize {
        if !self.goes(now) || self.undrawn() {
            return 0;
        }
        let room = usize::try_from(self.active_max()).unwrap().saturating_sub(self.guests.len());
        room.min(self.bucket.allows(now))
    }

    /// The instants from `now` on at which something may change by itself, and some at which nothing should.
    pub(super) fn instants(&self, now: Timestamp) -> Vec<Timestamp> {
        let mut instants: Vec<Timestamp> = self.guests.iter().map(|guest| guest.ends).collect();
        instants.extend(self.guests.iter().filter_map(|guest| guest.claim_by));
        if let Some(settings) = &self.settings {
            instants.extend(self.line.iter().map(|waiter| self.waits_until(waiter.joined)));
            instants.extend(settings.opens_at);
            instants.extend([settings.closes_at, self.bucket.next(now)]);
        }
        instants.retain(|at| *at >= now);
        instants.sort_unstable();
        instants.dedup();
        instants
    }

    /// The first instant from `now` on at which something changes by itself.
    pub(super) fn next_due(&self, now: Timestamp) -> Option<Timestamp> {
        let is_due = |at: &Timestamp| {
            let late = self.guests.iter().any(|guest| guest.over_at() <= *at);
            let long = self.line.iter().any(|waiter| self.waits_until(waiter.joined) <= *at);
            late || long || self.draws(*at) || (self.admits(*at) > 0 && !self.line.is_empty())
        };
        self.instants(now).into_iter().find(is_due)
    }

    /// Does the next thing that time and free places have brought.
    pub(super) fn come(
        &mut self,
        now: Timestamp,
        last_seen: impl Fn(Ticket) -> Option<Timestamp>,
    ) -> Option<Event> {
        let event = self.next_come(now, last_seen)?;
        self.happened(now);
        Some(event)
    }

    /// How long a pass stays without another sign of life.
    fn idle(&self) -> Option<u64> {
        self.settings.as_ref()?.policy.idle.map(|idle| 1_000 * u64::from(idle.get()))
    }

    fn next_come(
        &mut self,
        now: Timestamp,
        last_seen: impl Fn(Ticket) -> Option<Timestamp>,
    ) -> Option<Event> {
        self.settings.as_ref()?;
        let mut late: Vec<Guest> =
            self.guests.iter().filter(|guest| guest.over_at() <= now).cloned().collect();
        late.sort_unstable_by_key(|guest| (guest.over_at(), guest.ticket));
        let idle = self.idle();
        // Until when each stays who has shown something: for good, where one sign is enough.
        let stays = |guest: &Guest| {
            let awaited = guest.claim_by.is_some() && guest.ends > now;
            let until = |seen| idle.map(|idle| after(seen, idle));
            let until = last_seen(guest.ticket).filter(|_| awaited).map(until)?;
            until.is_none_or(|until| until > now).then_some((guest.ticket, until))
        };
        let stayed: Vec<(Ticket, Option<Timestamp>)> = late.iter().filter_map(stays).collect();
        for (ticket, until) in &stayed {
            self.guests.iter_mut().find(|guest| guest.ticket == *ticket).unwrap().claim_by = *until;
        }
        if !stayed.is_empty() {
            let untils = stayed.iter().filter_map(|(ticket, until)| Some((*ticket, (*until)?)));
            return Some(match idle {
                Some(_) => Event::Stayed { until: untils.collect() },
                None => Event::Claimed { tickets: stayed.iter().map(|(ticket, _)| *ticket).collect() },
            });
        }
        if !late.is_empty() {
            let tickets: Box<[Ticket]> = late.iter().map(|guest| guest.ticket).collect();
            for ticket in &tickets {
                self.end(*ticket, PlaceStatus::Expired);
            }
            return Some(Event::PassesExpired { tickets });
        }
        let long = |waiter: &&Waiter| self.waits_until(waiter.joined) <= now;
        let long: Vec<Ticket> = self.line.iter().filter(long).map(|waiter| waiter.ticket).collect();
        if let Some(last) = long.iter().max().copied() {
            for ticket in long {
                self.end(ticket, PlaceStatus::Expired);
            }
            return Some(Event::PlacesExpired { last });
        }
        if self.draws(now) {
            let seed = self.seed.take().unwrap();
            // Who was told a position stands in front, and stays there.
            let placed = self.line.iter().take_while(|waiter| waiter.placed).count();
            assert!(self.line[placed..].iter().all(|waiter| !waiter.placed));
            draw(&seed, &mut self.line[placed..]);
            self.drawn = Some((seed, u32::try_from(self.line.len() - placed).unwrap()));
            self.line.iter_mut().for_each(|waiter| waiter.placed = true);
            return Some(Event::Drawn { seed });
        }
        let count = self.admits(now).min(self.line.len());
        if count == 0 {
            return None;
        }
        self.bucket.spend(count, now);
        let admitted: Vec<Waiter> = self.line.drain(..count).collect();
        let tickets = admitted.iter().map(|waiter| waiter.ticket).collect();
        for waiter in admitted {
            self.activate(waiter, now);
        }
        Some(Event::Admitted { tickets })
    }

    fn activate(&mut self, Waiter { user, ticket, joined, .. }: Waiter, now: Timestamp) {
        let policy = &self.settings.as_ref().unwrap().policy;
        let ends = after(now, 1_000 * u64::from(policy.active.get()));
        let claim_by = Some(after(now, 1_000 * u64::from(policy.claim.get())));
        self.guests.push(Guest { user, ticket, joined, admitted: now, ends, claim_by });
        self.admitted_total += 1;
    }

    fn end(&mut self, ticket: Ticket, status: PlaceStatus) {
        self.line.retain(|waiter| waiter.ticket != ticket);
        self.guests.retain(|guest| guest.ticket != ticket);
        self.gone.push((ticket, status));
    }

    fn end_all(&mut self) {
        let guests = self.guests.iter().map(|guest| guest.ticket);
        let all: Vec<Ticket> = self.order().into_iter().chain(guests).collect();
        for ticket in all {
            self.end(ticket, PlaceStatus::Expired);
        }
    }

    /// What any event at `now` counts and forgets.
    fn happened(&mut self, now: Timestamp) {
        self.events += 1;
        self.last = now;
        self.keys.retain(|kept| after(kept.at, 24 * HOUR) > now);
        self.shrink();
    }

    fn shrink(&mut self) {
        let surplus = self.keys.len().saturating_sub(usize::try_from(self.keys_max).unwrap());
        self.keys.drain(..surplus);
    }

    /// Does a command, and says what happened or why not.
    pub(super) fn run(&mut self, command: &Command, now: Timestamp, key: Option<KeyUse>) -> Outcome {
        let left = self.leaving(command);
        let kept = Event::KeyKept { ticket: self.named(command) };
        let happened = self.decide(command, now)?.or_else(|| key.map(|_| kept));
        let Some(event) = happened else { return Ok(None) };
        self.happened(now);
        if let Some(key) = key {
            let answer = self.answer(&event, left, now);
            self.keys.push(Kept { key, version: self.events, at: now, answer });
            self.shrink();
        }
        Ok(Some(event))
    }

    /// What is answered to who asked for what just happened; `left` is who left.
    fn answer(&self, event: &Event, left: Option<(Ticket, Timestamp)>, now: Timestamp) -> Answer {
        if let Some((ticket, issued_at)) = left {
            let (status, position, activated_at) = (PlaceStatus::Done, None, None);
            return Answer::Place(Place {
                ticket,
                status,
                position,
                issued_at,
                activated_at,
                expires_at: now,
            });
        }
        if let Event::Joined { ticket, .. } = event {
            return Answer::Place(self.place(*ticket, now).unwrap());
        }
        if let Event::KeyKept { ticket: Some(ticket) } = event
            && let Some(place) = self.place(*ticket, now)
        {
            return Answer::Standing(place);
        }
        Answer::Room(self.overview())
    }

    /// The place that a command is about, if it has one in mind.
    pub(super) fn named(&self, command: &Command) -> Option<Ticket> {
        match command {
            Command::Join { user } | Command::Finish { user } => self.standing(user),
            Command::Leave { ticket, .. } | Command::Claim { ticket } => Some(*ticket),
            Command::Configure { .. }
            | Command::Tune(_)
            | Command::Follow(_)
            | Command::BridgeOutage { .. } => None,
        }
    }

    /// Whose place a command ends, and when they joined.
    fn leaving(&self, command: &Command) -> Option<(Ticket, Timestamp)> {
        let guest = |user: &UserId| self.guests.iter().find(|guest| guest.user == *user);
        match command {
            Command::Leave { user, ticket } => {
                let waiter = self.line.iter().find(|waiter| waiter.user == *user);
                let waiting = waiter.map(|waiter| (waiter.ticket, waiter.joined));
                let inside = guest(user).map(|guest| (guest.ticket, guest.joined));
                waiting.or(inside).filter(|(own, _)| own == ticket)
            }
            Command::Finish { user } => guest(user).map(|guest| (guest.ticket, guest.joined)),
            Command::Join { .. }
            | Command::Claim { .. }
            | Command::Configure { .. }
            | Command::Tune(_)
            | Command::Follow(_)
            | Command::BridgeOutage { .. } => None,
        }
    }

    fn decide(&mut self, command: &Command, now: Timestamp) -> Outcome {
        match command {
            Command::Configure { settings, seed } => Ok(self.configure(settings.as_deref(), *seed, now)),
            Command::Tune(tuning) => self.tune(*tuning, now),
            Command::Follow(gate) => {
                if self.gate == *gate {
                    return Ok(None);
                }
                self.gate = *gate;
                if self.gate == Gate::Cancelled {
                    self.end_all();
                }
                Ok(Some(Event::GateMoved { gate: *gate }))
            }
            Command::Join { user } => self.join(user, now),
            Command::Leave { user, ticket } => {
                if self.standing(user) != Some(*ticket) {
                    return Ok(None);
                }
                self.end(*ticket, PlaceStatus::Done);
                Ok(Some(Event::Left { ticket: *ticket }))
            }
            Command::Claim { ticket } => {
                let idle = self.idle();
                let guest = self.guests.iter_mut().find(|guest| guest.ticket == *ticket);
                let Some(guest) = guest.filter(|guest| guest.claim_by.is_some()) else { return Ok(None) };
                guest.claim_by = idle.map(|idle| after(now, idle));
                Ok(Some(Event::Claimed { tickets: [*ticket].into() }))
            }
            Command::Finish { user } => {
                let guest = self.guests.iter().find(|guest| guest.user == *user);
                let Some(ticket) = guest.map(|guest| guest.ticket) else { return Ok(None) };
                self.end(ticket, PlaceStatus::Done);
                Ok(Some(Event::Finished { ticket }))
            }
            Command::BridgeOutage { down_since } => {
                let down = now.as_millis() - down_since.as_millis();
                let mut event = None;
                for claim_by in self.guests.iter_mut().filter_map(|guest| guest.claim_by.as_mut()) {
                    if *claim_by > *down_since {
                        *claim_by = after(*claim_by, down);
                        event = Some(Event::OutageBridged { down_since: *down_since });
                    }
                }
                Ok(event)
            }
        }
    }

    fn configure(&mut self, settings: Option<&Settings>, seed: Seed, now: Timestamp) -> Option<Event> {
        let Some(settings) = settings else {
            self.settings.as_ref()?;
            self.end_all();
            (self.settings, self.configured, self.paused) = (None, None, false);
            (self.seed, self.drawn) = (None, None);
            return Some(Event::Configured { settings: None, seed: None });
        };
        let mut settings = settings.clone();
        if let Some(standing) = &self.settings
            && (self.drawn.is_none() || self.seed.is_some())
            && !self.line.is_empty()
        {
            settings.policy.order = standing.policy.order;
        }
        let settings = &settings;
        let shuffles = settings.policy.order == QueueOrder::Shuffle;
        if self.settings.is_some() && self.configured.as_ref() == Some(settings) {
            return None;
        }
        let was = self.settings.as_ref().and_then(|standing| standing.opens_at);
        let is_ahead = match settings.opens_at {
            Some(at) => at > now,
            None => matches!(self.gate, Gate::NotOnSale | Gate::Cancelled),
        };
        let anew = self.drawn.is_none() || (was != settings.opens_at && is_ahead);
        let seed = Some(seed).filter(|_| shuffles && self.seed.is_none() && anew);
        if seed.is_some() {
            self.drawn = None;
        }
        self.seed = if shuffles { self.seed.or(seed) } else { None };
        self.bucket.set(settings.policy.admit_per_minute, now);
        self.keys_max = settings.keys_max;
        (self.settings, self.configured) = (Some(settings.clone()), Some(settings.clone()));
        Some(Event::Configured { settings: Some(Box::new(settings.clone())), seed })
    }

    fn tune(&mut self, tuning: Tuning, now: Timestamp) -> Outcome {
        let policy = &mut self.settings.as_mut().ok_or(Refusal::NoRoom)?.policy;
        let standing = (policy.active_max, policy.admit_per_minute, self.paused);
        policy.active_max = tuning.active_max.unwrap_or(standing.0);
        policy.admit_per_minute = tuning.admit_per_minute.unwrap_or(standing.1);
        self.paused = tuning.paused.unwrap_or(standing.2);
        let (active_max, admit_per_minute, paused) =
            (policy.active_max, policy.admit_per_minute, self.paused);
        if (active_max, admit_per_minute, paused) == standing {
            return Ok(None);
        }
        self.bucket.set(admit_per_minute, now);
        Ok(Some(Event::Tuned { active_max, admit_per_minute, paused }))
    }

    fn join(&mut self, user: &UserId, now: Timestamp) -> Outcome {
        let closes_at = self.settings.as_ref().ok_or(Refusal::NoRoom)?.closes_at;
        if self.standing(user).is_some() {
            return Ok(None);
        }
        if self.gate == Gate::Cancelled || now >= closes_at {
            return Err(Refusal::NotOnSale);
        }
        let admitted = self.line.is_empty() && self.admits(now) > 0;
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let waiter = Waiter { user: user.clone(), ticket, joined: now, placed: !self.undrawn() };
        if admitted {
            self.bucket.spend(1, now);
            self.activate(waiter, now);
        } else {
            self.line.push(waiter);
        }
        Ok(Some(Event::Joined { ticket, user: user.clone(), admitted }))
    }

    pub(super) fn place(&self, ticket: Ticket, at: Timestamp) -> Option<Place> {
        if let Some(guest) = self.guests.iter().find(|guest| guest.ticket == ticket) {
            let over = guest.over_at() <= at;
            return Some(Place {
                ticket,
                status: if over { PlaceStatus::Expired } else { PlaceStatus::Active },
                position: None,
                issued_at: guest.joined,
                activated_at: Some(guest.admitted),
                expires_at: guest.ends,
            });
        }
        let index = self.line.iter().position(|waiter| waiter.ticket == ticket)?;
        let joined = self.line[index].joined;
        let expires_at = self.waits_until(joined);
        let over = expires_at <= at;
        let position = u32::try_from(index + 1).unwrap();
        Some(Place {
            ticket,
            status: if over { PlaceStatus::Expired } else { PlaceStatus::Waiting },
            position: Some(position).filter(|_| !over && self.line[index].placed),
            issued_at: joined,
            activated_at: None,
            expires_at,
        })
    }

    pub(super) fn overview(&self) -> Overview {
        let policy = self.settings.as_ref().map(|settings| &settings.policy);
        Overview {
            waiting: u32::try_from(self.line.len()).unwrap(),
            active: u32::try_from(self.guests.len()).unwrap(),
            active_max: self.active_max(),
            admit_per_minute: policy.and_then(|policy| policy.admit_per_minute),
            paused: self.paused,
            admitted_total: self.admitted_total,
            gate: self.gate,
        }
    }
}

/// SHA-256, which the room uses too.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

/// Makes the draw as anyone could who read how it is made and knows the seed.
pub(super) fn draw<T>(seed: &Seed, people: &mut [T]) {
    let mut stream = (0_u64..).flat_map(|block| {
        let bytes = sha256(&[&seed.0[..], &block.to_be_bytes()].concat());
        let numbers: Vec<u128> = bytes
            .chunks(8)
            .map(|bytes| bytes.iter().fold(0, |number, byte| number * 256 + u128::from(*byte)))
            .collect();
        numbers
    });
    let mut at = people.len();
    while at > 1 {
        let n = u128::try_from(at).unwrap();
        let multiple = (1_u128 << 64) / n * n;
        let number = stream.find(|number| *number < multiple).unwrap() % n;
        at -= 1;
        people.swap(at, usize::try_from(number).unwrap());
    }
}
