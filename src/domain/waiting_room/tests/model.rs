//! The rules against an independent model, at random: every event and every decision agrees, everyone's place agrees,
//! nobody is passed (Q1), one key has one answer (I1), and replay agrees, from the beginning or on top of any image (R1).

use proptest::prelude::*;
use proptest::sample::Index;

use super::inside::inside;
use super::naive::{Kept, Naive, sha256};
use super::*;
use crate::domain::inside::reread;
use crate::record::Section;

const USERS: [&str; 9] = ["ann", "bob", "cat", "dan", "eve", "fay", "gus", "hal", "ida"];

/// How much time goes by before a step.
#[derive(Debug, Clone)]
enum Pause {
    None,
    Millis(u64),
    /// To one of the next instants at which something may change, or a millisecond before or after it.
    Due(Index, i64),
}

/// How a room is to be run.
#[derive(Debug, Clone)]
struct Shape {
    order: QueueOrder,
    /// Milliseconds from now; it may have opened, or closed, already.
    opens: Option<i64>,
    closes: i64,
    active_max: u32,
    admit_per_minute: Option<u32>,
    active: u32,
    claim: u32,
    idle: Option<u32>,
    waiting: u32,
    keys_max: u32,
    seed: u8,
}

/// What is asked, before it is known who has which place.
#[derive(Debug, Clone)]
enum Ask {
    Configure(Shape),
    /// What it was configured with last.
    ConfigureAgain,
    Shut,
    Tune(Tuning),
    Follow(Gate),
    /// Someone who has no place, or whoever it is.
    Join(Index, bool),
    /// Someone who has a place, or whoever it is; seldom a place that isn't theirs.
    Leave(Index, bool),
    Claim(Index),
    /// Someone who is at the seats, or whoever it is.
    Finish(Index, bool),
    /// No timer fires for a while, then the engine is down.
    Outage {
        late: Pause,
        down: Pause,
    },
}

#[derive(Debug, Clone)]
struct Step {
    pause: Pause,
    /// Whose last sign of life the room isn't told of until it asks, and how many milliseconds ago it came.
    seen: Vec<(usize, u64)>,
    ask: Ask,
    key: Option<KeyUse>,
    /// Whether the follower forgets all but an image after this step.
    restart: bool,
    /// Whether the copy that was left behind catches up.
    catch_up: bool,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let order = prop_oneof![Just(QueueOrder::Fifo), Just(QueueOrder::Shuffle)];
    let opens = prop::option::weighted(0.6, prop_oneof![1 => -20_000..0_i64, 4 => 0..60_000_i64]);
    let closes = prop_oneof![12 => Just(36_000_000_i64), 1 => -5_000..300_000_i64];
    let idle = prop::option::weighted(0.6, 1..40_u32);
    let times = (5..120_u32, 1..40_u32, idle, prop_oneof![1 => 1..60_u32, 2 => 60..3_600_u32]);
    let active_max = prop_oneof![6 => 1..=3_u32, 1 => Just(0), 1 => 4..=9_u32];
    let rest = (active_max, rates(), 0..6_u32, any::<u8>());
    (order, opens, closes, times, rest).prop_map(|(order, opens, closes, times, rest)| {
        let (active, claim, idle, waiting) = times;
        let (active_max, admit_per_minute, keys_max, seed) = rest;
        Shape {
            order,
            opens,
            closes,
            active_max,
            admit_per_minute,
            active,
            claim,
            idle,
            waiting,
            keys_max,
            seed,
        }
    })
}

fn rates() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![4 => Just(None), 3 => (1..60_u32).prop_map(Some), 3 => (60..400_u32).prop_map(Some)]
}

fn gates() -> impl Strategy<Value = Gate> {
    prop_oneof![
        24 => Just(Gate::Open),
        4 => Just(Gate::AllHeld),
        2 => Just(Gate::SoldOut),
        4 => Just(Gate::NotOnSale),
        1 => Just(Gate::Cancelled),
    ]
}

fn pauses(longest: u64) -> impl Strategy<Value = Pause> {
    prop_oneof![
        8 => Just(Pause::None),
        8 => (0..longest).prop_map(Pause::Millis),
        8 => (any::<Index>(), -1..=1_i64).prop_map(|(which, off)| Pause::Due(which, off)),
    ]
}

fn asks() -> impl Strategy<Value = Ask> {
    let mostly = || prop::bool::weighted(0.9);
    let tuning = (
        prop::option::weighted(0.4, 0..=5_u32),
        prop::option::weighted(0.3, rates()),
        prop::option::weighted(0.4, prop::bool::weighted(0.3)),
    );
    let tuning = tuning.prop_map(|(active_max, admit_per_minute, paused)| Tuning {
        active_max,
        admit_per_minute,
        paused,
    });
    prop_oneof![
        120 => (any::<Index>(), mostly()).prop_map(|(who, absent)| Ask::Join(who, absent)),
        24 => (any::<Index>(), mostly()).prop_map(|(who, own)| Ask::Leave(who, own)),
        24 => any::<Index>().prop_map(Ask::Claim),
        12 => (any::<Index>(), mostly()).prop_map(|(who, inside)| Ask::Finish(who, inside)),
        6 => shapes().prop_map(Ask::Configure),
        4 => Just(Ask::ConfigureAgain),
        1 => Just(Ask::Shut),
        12 => tuning.prop_map(Ask::Tune),
        12 => gates().prop_map(Ask::Follow),
        6 => (pauses(2_000), pauses(20_000)).prop_map(|(late, down)| Ask::Outage { late, down }),
    ]
}

fn step(pause: impl Strategy<Value = Pause>, ask: impl Strategy<Value = Ask>) -> impl Strategy<Value = Step> {
    let key = (0..8_u128, prop_oneof![4 => Just(7_u128), 1 => Just(8_u128)])
        .prop_map(|(digest, fingerprint)| KeyUse { digest, fingerprint });
    let ago = prop_oneof![2 => Just(0), 1 => 0..60_000_u64];
    let seen = prop_oneof![
        3 => Just(Vec::new()),
        1 => prop::collection::vec((0..USERS.len(), ago), 0..=USERS.len()),
    ];
    let copies = (any::<bool>(), prop::bool::weighted(0.1));
    (pause, seen, ask, prop::option::weighted(0.3, key), copies).prop_map(
        |(pause, seen, ask, key, (restart, catch_up))| Step { pause, seen, ask, key, restart, catch_up },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![
        300 => pauses(3_000),
        2 => (0..1_800_000_u64).prop_map(Pause::Millis),
        // Past the day for which keys are kept; rarely, since nobody waits or is active for so long.
        1 => (24 * HOUR - 10..24 * HOUR + 10).prop_map(Pause::Millis),
    ];
    // Most rooms are run and on sale before anyone comes.
    let first = step(Just(Pause::None), shapes().prop_map(Ask::Configure));
    let second = step(pauses(5_000), gates().prop_map(Ask::Follow));
    let rest = prop::collection::vec(step(pause, asks()), 1..=80);
    (prop::option::weighted(0.9, first), prop::option::weighted(0.8, second), rest)
        .prop_map(|(first, second, rest)| first.into_iter().chain(second).chain(rest).collect())
}

/// One of the users of whom `wanted` is true; of all, where it is true of none.
fn someone(which: Index, wanted: impl Fn(&UserId) -> bool) -> UserId {
    let users: Vec<UserId> = USERS.iter().map(|name| user(name)).collect();
    let chosen: Vec<UserId> = users.iter().filter(|user| wanted(user)).cloned().collect();
    which.get(if chosen.is_empty() { &users } else { &chosen }).clone()
}

/// The room, its model, and who follow it by what the journal would hold.
struct World {
    foyer: Foyer,
    model: Naive,
    /// Applies every event.
    replayed: WaitingRoom,
    /// Applies every event too, but often starts again from an image.
    follower: WaitingRoom,
    /// A copy from some time ago.
    behind: WaitingRoom,
}

impl World {
    /// Given a room in which `earlier` people joined, who are all gone: blocks end at other tickets.
    fn new(earlier: u32) -> Self {
        let mut foyer = Foyer::new();
        if earlier > 0 {
            foyer = Foyer::shut_with(|settings| settings.keys_max = 3);
            for number in 1..=earlier {
                foyer.join(&format!("early {number}"));
            }
            foyer.configure(None).unwrap();
        }
        let room = foyer.room.clone();
        let keys_max = if earlier > 0 { 3 } else { 0 };
        let model = Naive::new(earlier, room.version(), keys_max, room.last_instant());
        Self { foyer, model, replayed: room.clone(), follower: room.clone(), behind: room }
    }

    /// The instant at which a pause from `now` ends.
    fn end_of(&self, pause: &Pause, now: Timestamp) -> Timestamp {
        match pause {
            Pause::None => now,
            Pause::Millis(millis) => after(now, *millis),
            Pause::Due(which, off) => {
                let mut instants = self.model.instants(now);
                instants.retain(|at| *at < after(now, 2 * MINUTE));
                instants.truncate(4);
                let at = if instants.is_empty() { now } else { *which.get(&instants) };
                Timestamp::from_millis(at.as_millis().saturating_add_signed(*off)).max(now)
            }
        }
    }

    fn command(&self, ask: &Ask) -> Command {
        let now = self.foyer.now;
        let from_now =
            |millis: i64| Timestamp::from_millis(now.as_millis().checked_add_signed(millis).unwrap());
        match ask {
            Ask::Configure(shape) => {
                let policy = QueuePolicy {
                    active_max: shape.active_max,
                    admit_per_minute: shape.admit_per_minute,
                    active: Seconds::new(shape.active),
                    claim: Seconds::new(shape.claim),
                    idle: shape.idle.map(Seconds::new),
                    waiting: Seconds::new(shape.waiting),
                    order: shape.order,
                    // What the policy says of it became the settings' own.
                    opens_at: None,
                };
                let (opens_at, closes_at) = (shape.opens.map(from_now), from_now(shape.closes));
                let settings = Settings { policy, opens_at, closes_at, keys_max: shape.keys_max };
                Command::Configure { settings: Some(Box::new(settings)), seed: seed(shape.seed) }
            }
            Ask::ConfigureAgain => {
                let settings = self.model.configured.clone().map(Box::new);
                Command::Configure { settings, seed: seed(99) }
            }
            Ask::Shut => Command::Configure { settings: None, seed: seed(98) },
            Ask::Tune(tuning) => Command::Tune(*tuning),
            Ask::Follow(gate) => Command::Follow(*gate),
            Ask::Join(who, absent) => {
                Command::Join { user: someone(*who, |user| !absent || self.model.standing(user).is_none()) }
            }
            Ask::Leave(who, own) => {
                let user = someone(*who, |user| !own || self.model.standing(user).is_some());
                let standing = self.model.standing(&user).unwrap_or(Ticket(self.model.tickets + 1));
                Command::Leave { user, ticket: if *own { standing } else { Ticket(standing.0 + 1) } }
            }
            Ask::Claim(which) => {
                // Now and then one who waits, or a place that was never given.
                let inside = self.model.guests.iter().map(|guest| guest.ticket);
                let next = self.model.line.first().map(|waiter| waiter.ticket);
                let tickets: Vec<Ticket> = inside.chain(next).chain([Ticket(9_999)]).collect();
                Command::Claim { ticket: *which.get(&tickets) }
            }
            Ask::Finish(who, inside) => {
                let is_inside = |user: &UserId| self.model.guests.iter().any(|guest| guest.user == *user);
                Command::Finish { user: someone(*who, |user| !inside || is_inside(user)) }
            }
            Ask::Outage { late, .. } => Command::BridgeOutage { down_since: self.end_of(late, now) },
        }
    }

    fn step(&mut self, step: &Step) {
        self.foyer.at(self.end_of(&step.pause, self.foyer.now));
        let command = self.command(&step.ask);
        if let (Ask::Outage { down, .. }, Command::BridgeOutage { down_since }) = (&step.ask, &command) {
            // Nothing fires while the engine is down, nor did what was due shortly before.
            self.foyer.at(self.end_of(down, *down_since));
        } else {
            self.tick(&step.seen);
        }
        // Nobody asks for an outage.
        let key = step.key.filter(|_| !matches!(command, Command::BridgeOutage { .. }));
        if !self.answered_before(key) {
            self.decide(&command, key);
        }
        self.tick(&step.seen);
        let inside_of = inside(&self.foyer.room);
        assert_eq!(inside(&self.follower), inside_of, "R1: an image and replay are what happened");
        if step.catch_up {
            self.behind = self.foyer.room.clone();
        }
        if step.restart {
            self.restart();
        }
        self.share();
    }

    /// Brings what is due, one event at a time.
    fn tick(&mut self, seen: &[(usize, u64)]) {
        let now = self.foyer.now;
        for count in 0.. {
            assert!(count < 50, "what is due ends");
            let model = self.model.clone();
            let seen = |ticket| {
                let guest = model.guests.iter().find(|guest| guest.ticket == ticket).unwrap();
                let (_, ago) = seen.iter().find(|(who, _)| *guest.user == *USERS[*who])?;
                Some(before(now, *ago))
            };
            let due = self.foyer.room.due(now, seen);
            assert_eq!(due, self.model.come(now, seen), "what time and free places bring");
            assert_eq!(due, self.follower.due(now, seen), "R1: a copy goes on as the room does");
            assert_eq!(due, self.replayed.due(now, seen), "R1: a copy goes on as the room does");
            let Some(event) = due else { break };
            self.happen(&event, None, &model.order());
        }
        self.check();
    }

    /// Tells whether the key has its effect already, after checking that the model thinks so too.
    fn answered_before(&self, key: Option<KeyUse>) -> bool {
        let Some(key) = key else { return false };
        let now = self.foyer.now;
        let kept = self.model.keys.iter().filter(|kept| after(kept.at, 24 * HOUR) > now);
        let expected = kept.clone().find(|kept| kept.key.digest == key.digest).map(|kept| {
            let Kept { answer, version, .. } = kept;
            let same = kept.key.fingerprint == key.fingerprint;
            if same { KeyFound::Answered { answer, version: *version } } else { KeyFound::Reused }
        });
        for room in [&self.foyer.room, &self.follower, &self.replayed] {
            assert_eq!(room.find_key(key, now), expected, "I1: one key, one answer");
        }
        expected.is_some()
    }

    fn decide(&mut self, command: &Command, key: Option<KeyUse>) {
        let now = self.foyer.now;
        let mut decided = self.foyer.room.decide(command, now);
        assert_eq!(decided, self.follower.decide(command, now), "R1: a copy decides as the room does");
        assert_eq!(decided, self.replayed.decide(command, now), "R1: a copy decides as the room does");
        if decided == Ok(None) && key.is_some() {
            decided = Ok(Some(Event::KeyKept { ticket: self.model.named(command) }));
        }
        let order = self.model.order();
        assert_eq!(decided, self.model.run(command, now, key), "{command:?}");
        if let Ok(Some(event)) = decided {
            self.happen(&event, key, &order);
        }
    }

    /// Brings an event to the room and to everyone who follows; the model's line was `order` before.
    fn happen(&mut self, event: &Event, key: Option<KeyUse>, order: &[Ticket]) {
        let positions: Vec<_> =
            order.iter().map(|ticket| (*ticket, self.foyer.room.position(*ticket))).collect();
        self.replayed.apply(event, self.foyer.now, key);
        self.follower.apply(event, self.foyer.now, key);
        self.foyer.apply(event, key);
        let room = &self.foyer.room;
        let enters = matches!(event, Event::Joined { admitted: true, .. });
        assert!(!enters || order.is_empty(), "Q1: nobody is passed");
        if let Event::Admitted { tickets } = event {
            assert!(
                !tickets.is_empty() && order.starts_with(tickets),
                "Q1: who is admitted was first in line"
            );
        }
        if enters || matches!(event, Event::Admitted { .. }) {
            assert!(room.active() <= self.model.active_max(), "Q1: no more than may be active");
        }
        for (ticket, position) in positions {
            if !self.model.order().contains(&ticket) {
                continue;
            }
            match (position, room.position(ticket)) {
                (Some(before), Some(now)) => assert!(now <= before, "Q1: a position never grows"),
                (None, Some(_)) => assert!(matches!(event, Event::Drawn { .. }), "{event:?}"),
                (_, None) => assert_eq!(position, None, "a position is never lost"),
            }
        }
        assert!(self.replayed == *room, "R1: replay is what happened");
        assert!(self.follower == *room, "R1: an image and replay are what happened");
    }

    /// Forgets everything but what an image keeps.
    fn restart(&mut self) {
        let image = RoomImage::of(&self.follower);
        let mut read = reread(&Section::WaitingRoom(Box::new(image.clone())));
        self.follower = read.rooms.remove(&ScheduleNumber(7)).unwrap();
        self.follower.check_invariants();
        assert_eq!(RoomImage::of(&self.follower), image, "R1: an image is the state");
        assert_eq!(inside(&self.follower), inside(&self.foyer.room), "R1: an image is the state");
    }

    /// Lets the copies have the same bytes, which changes none of them.
    fn share(&mut self) {
        let (room, behind) = (RoomImage::of(&self.foyer.room), RoomImage::of(&self.behind));
        self.follower.share_with(&self.foyer.room);
        self.follower.share_with(&self.behind);
        self.behind.share_with(&self.foyer.room);
        self.follower.check_invariants();
        assert_eq!(RoomImage::of(&self.follower), room, "who shares stays as they are");
        assert_eq!(RoomImage::of(&self.behind), behind, "who shares stays as they are");
    }

    fn check(&self) {
        let (room, model) = (&self.foyer.room, &self.model);
        assert!(room.in_line().eq(model.order()), "Q1: the line is the model's");
        assert_eq!(room.overview(), model.overview());
        assert_eq!(room.is_moving(self.foyer.now), model.is_moving(self.foyer.now));
        assert_eq!(
            (room.settings(), room.configured()),
            (model.settings.as_ref(), model.configured.as_ref())
        );
        assert_eq!(room.joined_total(), model.tickets);
        assert_eq!((room.version(), room.last_instant()), (model.events, model.last));
        let seed = model.seed.or(model.drawn.map(|(seed, _)| seed));
        assert_eq!(room.commitment(), seed.map(|seed| sha256(&seed.0)));
        assert_eq!(room.drawing(), model.drawn);
        let kept = |(key, version, at, answer): (_, _, _, &Answer)| (key, version, at, *answer);
        let keys = model.keys.iter().map(|kept| (kept.key, kept.version, kept.at, kept.answer));
        assert!(
            room.keys().list().iter().map(kept).eq(keys),
            "I1: as many keys as there is room and time for"
        );
        self.check_places();
        self.check_due();
    }

    fn check_places(&self) {
        let (room, model, now) = (&self.foyer.room, &self.model, self.foyer.now);
        let mut actives: Vec<_> = room.actives().collect();
        actives.sort_unstable();
        let mut guests: Vec<_> =
            model.guests.iter().map(|guest| (guest.ticket, guest.ends, guest.claim_by)).collect();
        guests.sort_unstable();
        assert_eq!(actives, guests);
        for name in USERS {
            assert_eq!(room.standing(name), model.standing(&user(name)));
        }
        let waiting = model.line.iter().map(|waiter| (&waiter.user, waiter.ticket, waiter.joined));
        let inside = model.guests.iter().map(|guest| (&guest.user, guest.ticket, guest.joined));
        // A place is told as it stands at any instant, whether or not what ends it has been brought.
        let instants: Vec<Timestamp> =
            model.instants(now).into_iter().chain([now, after(now, 700)]).collect();
        for (user, ticket, joined) in waiting.chain(inside) {
            assert!(room.has(ticket));
            let pass = guests.iter().find(|(guest, ..)| *guest == ticket);
            assert_eq!(room.pass(ticket), pass.map(|(_, ends, claim_by)| (*ends, *claim_by)));
            assert_eq!((room.user(ticket), room.joined_at(ticket)), (Some(&**user), Some(joined)));
            for at in instants.iter().flat_map(|at| [*at, before(*at, 1)]) {
                assert_eq!(room.place(ticket, at), model.place(ticket, at), "{at}");
            }
            let position = model.place(ticket, now).and_then(|place| place.position);
            assert_eq!(room.position(ticket), position, "Q1: a position is exact");
        }
        // Of those who came before the test, only the last ones are looked at every time.
        for (ticket, status) in model.gone.iter().rev().take(60) {
            assert_eq!(room.ending(*ticket), *status);
            assert_eq!((room.has(*ticket), room.user(*ticket), room.pass(*ticket)), (false, None, None));
            assert_eq!((room.place(*ticket, now), room.position(*ticket)), (None, None));
        }
        for never in [Ticket(0), Ticket(model.tickets + 1), Ticket(u32::MAX)] {
            assert_eq!((room.has(never), room.place(never, now), room.position(never)), (false, None, None));
        }
    }

    /// The next instant at which something is due is exact.
    fn check_due(&self) {
        let (room, now) = (&self.foyer.room, self.foyer.now);
        let next = room.next_due(now);
        assert_eq!(next, self.model.next_due(now));
        assert!(next.is_none_or(|next| next > now), "what is due has come");
        let due = |room: &WaitingRoom, at: Timestamp| room.due(at, |_| None);
        let instants = self.model.instants(now).into_iter().flat_map(|at| [before(at, 1), at, after(at, 1)]);
        let last = next.map_or(Timestamp::MAX, |next| before(next, 1));
        for at in instants.chain([now, last]).filter(|at| (now..=last).contains(at)) {
            assert_eq!(due(room, at), None, "nothing is due at {at}, before {next:?}");
        }
        for copy in [&self.follower, &self.replayed] {
            assert_eq!(copy.next_due(now), next, "R1: a copy goes on as the room does");
        }
        if let Some(next) = next {
            let event = due(room, next);
            assert!(event.is_some(), "something is due at {next}");
            assert_eq!(due(&self.follower, next), event, "R1: a copy goes on as the room does");
        }
    }
}

proptest! {
    // A few seconds where nothing is optimised.
    #![proptest_config(ProptestConfig::with_cases(320))]

    #[test]
    fn a_room_does_what_its_model_does_and_replay_does_what_it_did(
        earlier in prop_oneof![3 => Just(0_u32), 1 => 990..1_024_u32],
        steps in steps(),
    ) {
        let mut world = World::new(earlier);
        for step in &steps {
            world.step(step);
        }
        let again = world.foyer.replay(WaitingRoom::new(ScheduleNumber(7)), 0);
        assert!(again == world.foyer.room, "R1: replay from the beginning is what happened");
    }
}
