//! The tunes that plans are made of: short sequences that mean something together, mixed with each other and with noise.
//!
//! Most faults need two or three things to come together. Steps that are thrown one by one would rarely do so within a short run;
//! whole recipes for a fault would find nothing but that fault. So a motif says what belongs together (a purchase that is given
//! back, a clock that is wrong for a second, days that pass while a gateway refuses), leaves everything else to the dice, and is
//! woven into others.

use crate::dice::Dice;
use crate::disk::{Death, Trouble};
use crate::gateway::{Lie, Weather};
use crate::plan::{
    Ask, Basket, CodePick, DocChange, Fate, KeyUse, NAMED_CODES, PLAY, Restart, SCHEDULES, Setup, Step,
};
use crate::theatre;

pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: i64 = 365 * 24 * 3_600_000;

/// Makes the steps of a run.
pub(crate) fn steps(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let motifs = dice.between(6, 14);
    let mut threads: Vec<std::vec::IntoIter<Step>> =
        (0..motifs).map(|_| motif(dice, setup).into_iter()).collect();
    let mut steps = Vec::new();
    // Two or three go on at once, so that they meet.
    while !threads.is_empty() {
        let at_once = threads.len().min(usize::try_from(dice.between(1, 3)).expect("small"));
        let at = dice.pick() % at_once;
        match threads[at].next() {
            Some(step) => steps.push(step),
            None => drop(threads.remove(at)),
        }
        if dice.percent(22) {
            steps.push(noise(dice, setup));
        }
    }
    steps
}

pub(crate) fn user(dice: &mut Dice, setup: &Setup) -> usize {
    dice.pick() % setup.users
}

pub(crate) fn schedule(dice: &mut Dice) -> usize {
    *dice.one(&[0, 0, 0, 1, 1, 1, PLAY, SCHEDULES.len() - 1])
}

fn fate(dice: &mut Dice) -> Fate {
    match dice.below(100) {
        0..=54 => Fate::Waits,
        55..=76 => Fate::Polls(dice.between(1, 9)),
        77..=82 => Fate::Deadline(dice.between(0, 400)),
        83..=89 => Fate::ReplyLost,
        _ => Fate::Beside,
    }
}

fn key(dice: &mut Dice) -> KeyUse {
    if dice.percent(70) { KeyUse::New } else { KeyUse::None }
}

pub(crate) fn ask(dice: &mut Dice, ask: Ask) -> Step {
    Step::Ask { ask, key: key(dice), fate: fate(dice) }
}

/// A call whose answer is waited for, so that what follows can rest on it.
pub(crate) fn surely(ask: Ask) -> Step {
    Step::Ask { ask, key: KeyUse::New, fate: Fate::Waits }
}

fn restart(dice: &mut Dice) -> Restart {
    let down = match dice.below(10) {
        0..=2 => dice.below(2_000),
        3..=5 => dice.between(2_000, 4 * MINUTE),
        6..=8 => dice.between(4 * MINUTE, 3 * HOUR),
        _ => dice.between(3 * HOUR, 2 * DAY),
    };
    let skew = match dice.below(20) {
        0 => -i64::try_from(dice.below(HOUR)).expect("small"),
        1 => i64::try_from(dice.below(HOUR)).expect("small"),
        _ => 0,
    };
    let dies_at = dice.percent(25).then(|| (dice.between(1, 9), death(dice)));
    let trouble = dice.percent(6).then(|| trouble(dice));
    Restart { unsynced: *dice.one(&[0, 0, 50, 100]), down, skew, dies_at, trouble }
}

pub(crate) fn trouble(dice: &mut Dice) -> Trouble {
    match dice.below(3) {
        0 => Trouble::Write(dice.between(1, 8)),
        1 => Trouble::Sync(dice.between(1, 8)),
        _ => Trouble::Full(dice.between(1, 8)),
    }
}

fn death(dice: &mut Dice) -> Death {
    *dice.one(&[Death::Before, Death::Torn, Death::After, Death::After])
}

pub(crate) fn crash(dice: &mut Dice) -> Step {
    match dice.below(10) {
        0..=3 => Step::Crash(restart(dice)),
        4..=7 => Step::CrashAt { points: dice.between(1, 12), how: death(dice), then: restart(dice) },
        8 => Step::CrashAtFile { points: dice.between(1, 30), then: restart(dice) },
        _ => Step::Stop(restart(dice)),
    }
}

fn lie(dice: &mut Dice) -> Lie {
    match dice.below(12) {
        0..=1 => Lie::Slow(*dice.one(&[100, 2_000, 20_000, 90_000])),
        2..=3 => Lie::LostBefore,
        4..=6 => Lie::LostAfter,
        7..=8 => Lie::Late(dice.between(100, 8 * MINUTE)),
        9..=10 => Lie::Decline,
        _ => Lie::Panic,
    }
}

fn hold(dice: &mut Dice, user: usize, schedule: usize) -> Ask {
    Ask::Hold { user, schedule, basket: basket(dice) }
}

/// Seats, as a rule; places of an area beside them, or instead; sometimes with a code.
pub(crate) fn basket(dice: &mut Dice) -> Basket {
    let places = if dice.percent(25) { u32::try_from(dice.between(1, 2)).expect("small") } else { 0 };
    let seats = if places > 0 && dice.percent(50) { 0 } else { dice.between(1, 2) };
    let code = match dice.below(100) {
        0..=9 => CodePick::Named(dice.pick() % NAMED_CODES),
        10..=13 => CodePick::Generated(dice.pick()),
        _ => CodePick::None,
    };
    Basket {
        seats,
        first: dice.pick(),
        best: seats > 0 && dice.percent(30),
        places,
        area: dice.pick(),
        code,
        accessible: dice.percent(15),
        youths: youths(dice, 25),
        drops: false,
    }
}

/// Now and then some of the places are a youth's.
pub(crate) fn youths(dice: &mut Dice, percent: u64) -> u8 {
    if dice.percent(percent) { u8::try_from(dice.below(256)).expect("a byte") } else { 0 }
}

/// Something small, anywhere.
fn noise(dice: &mut Dice, setup: &Setup) -> Step {
    let (user, schedule) = (user(dice, setup), schedule(dice));
    match dice.below(44) {
        40 => Step::FailActor(schedule),
        41..=42 => {
            let asked = theatre::order(dice, setup, schedule);
            ask(dice, asked)
        }
        43 => {
            let asked = theatre::cancel_order(dice);
            ask(dice, asked)
        }
        0..=5 => Step::Pass(dice.between(1, 2_000)),
        6..=7 => Step::Pass(dice.between(2_000, 6 * MINUTE)),
        8 => Step::Jump(dice.between(1, HOUR)),
        9..=12 => crash(dice),
        13..=16 => ask(dice, Ask::Repeat { pick: 0 }),
        17..=18 => {
            let pick = dice.pick();
            ask(dice, Ask::Repeat { pick })
        }
        19 => ask(dice, Ask::Snapshot),
        20 => Step::Disk(trouble(dice)),
        21 => Step::Lie(lie(dice)),
        22 => {
            let number = dice.below(8);
            ask(dice, Ask::SignUp { number })
        }
        23 => {
            let back = dice.percent(50);
            ask(dice, Ask::Suspend { user, back })
        }
        24..=25 => {
            let (first, free) = (dice.pick(), dice.percent(50));
            ask(dice, Ask::Block { schedule, first, free })
        }
        26..=28 => {
            let pick = dice.pick();
            ask(dice, Ask::Release { user, pick, paid: false, admin: false })
        }
        29..=30 => {
            let (pick, basket) = (dice.pick(), basket(dice));
            // An exchange names what it wants, and keeps its code as a rule.
            let drops = dice.percent(20);
            let basket = Basket { best: false, code: CodePick::None, drops, ..basket };
            ask(dice, Ask::Exchange { user, pick, basket })
        }
        31 => ask(dice, Ask::Close { schedule }),
        32..=33 => ask(dice, Ask::Open { schedule }),
        34 => Step::ClockJumps(dice.between(1, 10 * MINUTE)),
        35 => Step::ClockStands(dice.between(1, 10 * MINUTE)),
        36 => Step::SnapshotRoom(dice.between(0, 600)),
        37 => {
            let pick = dice.pick();
            ask(dice, Ask::Hint { pick })
        }
        _ => {
            let wish = hold(dice, user, schedule);
            ask(dice, wish)
        }
    }
}

fn motif(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    match dice.below(58) {
        34..=57 => theatre::motif(dice, setup),
        0..=3 => balance_purchase(dice, setup),
        4..=8 => card_purchase(dice, setup),
        9..=10 => shop_without_money(dice, setup),
        11..=13 => import(dice),
        14..=15 => tuned_room(dice, setup),
        16..=17 => draw(dice, setup),
        18..=20 => queue(dice, setup),
        21 => gift(dice, setup),
        22..=23 => long_outage(dice, setup),
        24 => wrong_clock(dice, setup),
        25..=26 => refused_refund(dice, setup),
        27..=28 => key_after_a_day(dice, setup),
        29 => full_snapshot(dice),
        30 => cancelled_show(dice, setup),
        31 => archive(dice),
        32 => remade(dice),
        _ => late_capture(dice, setup),
    }
}

fn balance_purchase(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (user, schedule) = (user(dice, setup), schedule(dice));
    let mut steps = vec![ask(dice, Ask::Charge { user, thousands: 200, dollars: false })];
    let wish = hold(dice, user, schedule);
    steps.push(ask(dice, wish));
    steps.push(ask(dice, Ask::Pay { user, pick: 0, card: false }));
    if dice.percent(40) {
        steps.push(ask(dice, Ask::Repeat { pick: 0 }));
    }
    if dice.percent(60) {
        let admin = dice.percent(50);
        steps.push(ask(dice, Ask::Release { user, pick: 0, paid: true, admin }));
    }
    steps
}

fn card_purchase(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (user, schedule) = (user(dice, setup), schedule(dice));
    let wish = hold(dice, user, schedule);
    let mut steps = vec![ask(dice, wish), ask(dice, Ask::Pay { user, pick: 0, card: true })];
    for _ in 0..dice.below(3) {
        steps.push(Step::Lie(lie(dice)));
    }

    if dice.percent(20) {
        let (weather, millis) = (
            *dice.one(&[Weather::Silent, Weather::Forgetful, Weather::RefusesRefunds]),
            dice.between(1, 20 * MINUTE),
        );
        steps.push(Step::Weather(weather, millis));
    }

    let made_up = dice.percent(10);
    steps.push(ask(dice, Ask::Confirm { user, pick: 0, made_up }));
    if dice.percent(40) {
        steps.push(ask(dice, Ask::Confirm { user, pick: 0, made_up: false }));
    }

    if dice.percent(50) {
        steps.push(Step::Pass(dice.between(1, 3 * MINUTE)));
        steps.push(ask(dice, Ask::Release { user, pick: 0, paid: true, admin: true }));
    }

    steps
}

fn shop_without_money(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (user, schedule) = (user(dice, setup), *dice.one(&[0, 1]));
    let wish = hold(dice, user, schedule);
    let mut steps = vec![surely(wish), Step::Pass(dice.between(1, 290_000))];
    let card = dice.percent(50);
    steps.push(ask(dice, Ask::Pay { user, pick: 0, card }));
    if card {
        steps.push(ask(dice, Ask::Confirm { user, pick: 0, made_up: true }));
    }
    steps.push(Step::Pass(dice.between(1, MINUTE)));
    steps
}

fn import(dice: &mut Dice) -> Vec<Step> {
    let change = if dice.percent(80) {
        DocChange::Casting(u32::try_from(dice.below(1_000)).expect("small"))
    } else {
        DocChange::Same
    };
    let mut steps = Vec::new();
    if dice.percent(60) {
        steps.push(Step::CrashAt { points: dice.between(1, 9), how: death(dice), then: restart(dice) });
    }
    steps.push(Step::Ask { ask: Ask::Import { change }, key: KeyUse::New, fate: fate(dice) });
    steps.push(Step::Pass(dice.between(0, 300)));
    steps.push(surely(Ask::Repeat { pick: 0 }));
    steps
}

fn tuned_room(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = *dice.one(&[0, 1]);
    let active = u32::try_from(dice.between(1, 3)).expect("small");
    let per_minute = dice.percent(30).then_some(6);
    let mut steps = vec![
        surely(Ask::Put { schedule, change: DocChange::Room { active, shuffle: false, opens: None } }),
        ask(dice, Ask::Tune { schedule, active: active + 1, per_minute, paused: false }),
    ];
    let user = user(dice, setup);
    steps.push(ask(dice, Ask::Join { user, schedule }));
    steps.push(if dice.percent(50) {
        ask(dice, Ask::Import { change: DocChange::Same })
    } else {
        ask(dice, Ask::Put { schedule, change: DocChange::Same })
    });
    if dice.percent(30) {
        steps.push(crash(dice));
    }
    steps
}

fn draw(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = *dice.one(&[0, 1]);
    let opens = if dice.percent(50) { -60 } else { i64::try_from(dice.between(5, 600)).expect("small") };
    let mut steps = vec![surely(Ask::Put {
        schedule,
        change: DocChange::Room { active: 1, shuffle: true, opens: Some(opens) },
    })];
    steps.push(Step::Pass(dice.between(1, 2_000)));
    if dice.percent(70) {
        let opens = i64::try_from(dice.between(60, 900)).expect("small");
        steps.push(surely(Ask::Put { schedule, change: DocChange::Opens(opens) }));
    }
    for _ in 0..3 {
        let user = user(dice, setup);
        steps.push(ask(dice, Ask::Join { user, schedule }));
    }
    if dice.percent(50) {
        steps.push(crash(dice));
    }
    steps.push(Step::Pass(dice.between(1_000, 16 * MINUTE)));
    steps
}

fn queue(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = *dice.one(&[0, 1]);
    let mut steps = Vec::new();
    if dice.percent(60) {
        let active = u32::try_from(dice.between(1, 2)).expect("small");
        let change = DocChange::Room { active, shuffle: dice.percent(20), opens: None };
        steps.push(surely(Ask::Put { schedule, change }));
    }

    for _ in 0..dice.between(2, 5) {
        let user = user(dice, setup);
        steps.push(match dice.below(6) {
            0..=2 => ask(dice, Ask::Join { user, schedule }),
            3 => ask(dice, Ask::Leave { user, schedule }),
            4 => ask(dice, Ask::ShowLife { user, schedule }),
            _ => Step::Pass(dice.between(1, 3 * MINUTE)),
        });
    }

    if dice.percent(40) {
        steps.push(crash(dice));
    }
    if dice.percent(15) {
        steps.push(ask(dice, Ask::Put { schedule, change: DocChange::NoRoom }));
    }

    steps
}

/// A free ticket, in dollars, and then won.
fn gift(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let user = user(dice, setup);
    let wish = hold(dice, user, SCHEDULES.len() - 1);
    vec![
        ask(dice, wish),
        ask(dice, Ask::Pay { user, pick: 0, card: false }),
        ask(dice, Ask::Charge { user, thousands: 50, dollars: false }),
    ]
}

/// Holds that an outage outlives, and a start that dies on the way.
fn long_outage(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (user, schedule) = (user(dice, setup), schedule(dice));
    let wish = hold(dice, user, schedule);
    let down = dice.between(2 * MINUTE, 2 * HOUR);
    let dies_at = dice.percent(70).then(|| (dice.between(1, 7), death(dice)));
    let then = Restart { unsynced: *dice.one(&[0, 100]), down, skew: 0, dies_at, trouble: None };
    vec![
        surely(wish),
        Step::Pass(dice.between(1, 2 * MINUTE)),
        if dice.percent(80) { Step::Crash(then) } else { Step::Stop(then) },
        Step::Pass(dice.between(1, 10 * MINUTE)),
    ]
}

/// A start whose clock is a year ahead for a second, and then right again.
fn wrong_clock(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (user, schedule) = (user(dice, setup), schedule(dice));
    let wish = hold(dice, user, schedule);
    let ahead =
        if dice.percent(30) { YEAR } else { i64::try_from(dice.between(HOUR, 3 * DAY)).expect("small") };
    let down = dice.between(1, MINUTE);
    let wrong = Restart { unsynced: 0, down, skew: ahead, dies_at: None, trouble: None };
    let right = Restart { skew: 0, down: dice.between(1, 2_000), ..wrong };
    vec![surely(wish), Step::Crash(wrong), Step::Pass(dice.between(1, 1_000)), Step::Crash(right)]
}

fn pass_days(steps: &mut Vec<Step>, hours: u64) {
    let mut left = hours;
    while left > 0 {
        let now = left.min(24);
        steps.push(Step::Jump(now * HOUR));
        steps.push(Step::Pass(1_500));
        left -= now;
    }
}

/// A refund that the gateway refuses for days, beside a payment that comes to nothing.
fn refused_refund(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (one, other) = (user(dice, setup), user(dice, setup));
    // Sold for long enough that a hold can still be paid for then.
    let schedule = 1;
    let wish = hold(dice, one, schedule);
    let mut steps = vec![
        surely(wish),
        surely(Ask::Pay { user: one, pick: 0, card: true }),
        surely(Ask::Confirm { user: one, pick: 0, made_up: false }),
    ];
    let wish = hold(dice, other, schedule);
    steps.push(surely(wish));
    steps.push(surely(Ask::Pay { user: other, pick: 0, card: true }));
    if dice.percent(50) {
        steps.push(surely(Ask::Confirm { user: other, pick: 0, made_up: true }));
        steps.push(Step::Pass(2_000));
    }

    steps.push(Step::Weather(Weather::RefusesRefunds, dice.between(1, 10) * DAY));
    steps.push(ask(dice, Ask::Release { user: one, pick: 0, paid: true, admin: true }));
    steps.push(Step::Pass(dice.between(1, 2_000)));
    if dice.percent(70) {
        steps.push(surely(Ask::Snapshot));
    }

    steps.push(if dice.percent(50) { Step::Crash(restart(dice)) } else { Step::Stop(restart(dice)) });
    pass_days(&mut steps, 24 * dice.between(7, 9));
    steps.push(ask(dice, Ask::Confirm { user: other, pick: 0, made_up: false }));
    let wish = hold(dice, other, schedule);
    steps.push(ask(dice, wish));
    steps.push(ask(dice, Ask::Pay { user: other, pick: 0, card: true }));
    steps
}

/// A payment that comes to nothing a day after its key was used for another one.
fn key_after_a_day(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (user, schedule) = (user(dice, setup), *dice.one(&[0, 1]));
    let wish = hold(dice, user, schedule);
    let mut steps = vec![
        surely(Ask::Charge { user, thousands: 200, dollars: false }),
        surely(wish),
        surely(Ask::Pay { user, pick: 0, card: true }),
    ];
    pass_days(&mut steps, 24);
    steps.push(Step::Jump(dice.between(1, 5) * MINUTE));
    let wish = hold(dice, user, schedule);
    steps.push(surely(wish));
    let card = dice.percent(50);
    steps.push(Step::Ask { ask: Ask::Pay { user, pick: 0, card }, key: KeyUse::Again(0), fate: Fate::Waits });
    // The newest is ready, too, where it is for a card.
    steps.push(ask(dice, Ask::Confirm { user, pick: usize::from(card), made_up: false }));
    steps.push(Step::Pass(dice.between(1, 2_000)));
    steps.push(surely(Ask::Repeat { pick: 0 }));
    steps
}

fn full_snapshot(dice: &mut Dice) -> Vec<Step> {
    vec![Step::SnapshotRoom(dice.between(0, 2_000)), ask(dice, Ask::Snapshot), Step::Pass(100)]
}

fn cancelled_show(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = *dice.one(&[0, 1]);
    let mut steps = Vec::new();
    for _ in 0..dice.between(1, 3) {
        let user = user(dice, setup);
        let wish = hold(dice, user, schedule);
        let card = dice.percent(50);
        steps.push(surely(Ask::Charge { user, thousands: 200, dollars: false }));
        steps.push(surely(wish));
        steps.push(surely(Ask::Pay { user, pick: 0, card }));
        if card {
            steps.push(surely(Ask::Confirm { user, pick: 0, made_up: false }));
        }
    }
    steps.push(ask(dice, Ask::Cancel { schedule }));
    steps
}

fn archive(dice: &mut Dice) -> Vec<Step> {
    let mut steps = Vec::new();
    pass_days(&mut steps, 24 * dice.between(1, 12));
    if dice.percent(40) {
        steps.push(Step::CrashAtFile { points: dice.between(1, 30), then: restart(dice) });
    }
    steps.push(ask(dice, Ask::Archive));
    if dice.percent(40) {
        steps.push(crash(dice));
    }
    steps
}

/// A schedule that is removed and made again under its id.
fn remade(dice: &mut Dice) -> Vec<Step> {
    let schedule = SCHEDULES.len() - 1;
    vec![
        ask(dice, Ask::Remove { schedule }),
        ask(dice, Ask::Put { schedule, change: DocChange::Same }),
        ask(dice, Ask::Open { schedule }),
    ]
}

/// Money that arrives when the seats are another's.
fn late_capture(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (one, other) = (user(dice, setup), user(dice, setup));
    let schedule = *dice.one(&[0, 1]);
    let first = dice.pick();
    let wish = |user| Ask::Hold { user, schedule, basket: Basket { seats: 1, first, ..Basket::default() } };
    let late = Lie::Late(dice.between(MINUTE, 9 * MINUTE));
    let mut steps = vec![
        surely(wish(one)),
        surely(Ask::Pay { user: one, pick: 0, card: true }),
        Step::Lie(late),
        Step::Weather(Weather::Silent, dice.between(4 * MINUTE, 20 * MINUTE)),
        ask(dice, Ask::Confirm { user: one, pick: 0, made_up: false }),
        Step::Pass(dice.between(3 * MINUTE, 8 * MINUTE)),
    ];
    if dice.percent(60) {
        steps.push(ask(dice, wish(other)));
    }
    steps.push(Step::Pass(dice.between(1, 20 * MINUTE)));
    steps
}
