//! The tunes of a theatre: areas that fill up, codes that are used up and given back, seats that are set aside, a sale in phases,
//! accessible seats, the box office. What must come together at one instant stands together; the rest is the dice's, as in [`crate::motifs`].

use crate::dice::Dice;
use crate::motifs::{HOUR, MINUTE, ask, basket, crash, schedule, surely, trouble, user, youths};
use crate::plan::{
    ALLOTMENTS, Ask, Basket, Canceller, CodePick, CodePlan, DocChange, Fate, KeyUse, Moment, NAMED_CODES,
    PHASES, PLAY, SalePlan, Setup, Step,
};

pub(crate) fn motif(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    match dice.below(26) {
        18..=21 => box_office(dice, setup),
        22..=23 => price_types(dice, setup),
        24..=25 => repriced(dice, setup),
        0..=3 => full_area(dice, setup),
        4..=7 => code_rush(dice, setup),
        8..=9 => generated_codes(dice, setup),
        10..=12 => allotment(dice, setup),
        13..=15 => phases(dice, setup),
        _ => accessible_seats(dice, setup),
    }
}

/// A hold of this.
fn hold(user: usize, schedule: usize, basket: Basket) -> Ask {
    Ask::Hold { user, schedule, basket }
}

/// What a code is to be.
fn code(dice: &mut Dice) -> CodePlan {
    let small = |dice: &mut Dice, max| u32::try_from(dice.between(1, max)).expect("small");
    CodePlan {
        percent: dice.percent(50).then(|| *dice.one(&[10, 15, 33, 50, 100])),
        off: if dice.percent(50) { *dice.one(&[1, 5_000, 40_000]) } else { 0 },
        grade: dice.percent(20).then(|| dice.pick()),
        youths: dice.percent(10).then(|| dice.percent(60)),
        max_uses: dice.percent(70).then(|| small(dice, 3)),
        max_seats: dice.percent(20).then(|| small(dice, 6)),
        from: dice.percent(10).then(|| small(dice, 120)),
        until: dice.percent(15).then(|| small(dice, 900)),
        ..CodePlan::default()
    }
}

/// Time passes up to an instant: exactly there, or a moment before it and then on to it, with something asked at each.
fn around(dice: &mut Dice, schedule: usize, moment: Moment, asks: &[Ask]) -> Vec<Step> {
    let (steps, early) = (dice.percent(30), dice.percent(50));
    let mut around = vec![Step::PassTo { schedule, moment, early: u64::from(early), steps }];
    if early {
        around.extend(asks.iter().map(|ask| surely(*ask)));
        around.push(Step::PassTo { schedule, moment, early: 0, steps });
    }
    around.extend(asks.iter().map(|ask| surely(*ask)));
    around
}

/// More people than places, at once; now and then on a disk that fails.
fn full_area(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (schedule, area) = (*dice.one(&[0, 1]), dice.pick());
    let wish = |dice: &mut Dice| {
        let places = u32::try_from(dice.between(1, 4)).expect("small");
        Basket { places, area, seats: u64::from(dice.percent(20)), first: dice.pick(), ..Basket::default() }
    };

    let mut steps = Vec::new();
    if dice.percent(40) {
        steps.push(Step::Disk(trouble(dice)));
    }
    for _ in 0..dice.between(3, 6) {
        let asked = hold(user(dice, setup), schedule, wish(dice));
        let fate = if dice.percent(70) { Fate::Beside } else { Fate::Waits };
        steps.push(Step::Ask { ask: asked, key: KeyUse::New, fate });
    }

    for _ in 0..dice.between(1, 4) {
        let user = user(dice, setup);
        let asked = match dice.below(5) {
            0 => Ask::Release { user, pick: 0, paid: false, admin: false },
            1 => Ask::Exchange { user, pick: 0, basket: wish(dice) },
            2 => Ask::Pay { user, pick: 0, card: dice.percent(30) },
            3 => Ask::Charge { user, thousands: 200, dollars: false },
            _ => hold(user, schedule, wish(dice)),
        };
        steps.push(ask(dice, asked));
    }
    if dice.percent(30) {
        let asked = hold(user(dice, setup), schedule, wish(dice));
        steps.extend(around(dice, schedule, Moment::HoldEnd, &[asked]));
    }
    steps
}

/// A code that is used up, and free again when a hold with it ends.
fn code_rush(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (schedule, number) = (schedule(dice), dice.pick() % NAMED_CODES);
    let terms = CodePlan { max_uses: Some(if dice.percent(70) { 1 } else { 2 }), ..code(dice) };
    let terms = CodePlan { from: None, until: None, ..terms };
    let code = CodePick::Named(number);
    let wish = |dice: &mut Dice| Basket { code, ..basket(dice) };

    let mut steps = vec![surely(Ask::PutCode { schedule, code: number, terms })];
    for _ in 0..dice.between(2, 3) {
        let asked = hold(user(dice, setup), schedule, wish(dice));
        steps.push(ask(dice, asked));
    }
    match dice.below(6) {
        0 => {
            let user = user(dice, setup);
            steps.push(surely(Ask::Charge { user, thousands: 200, dollars: false }));
            steps.push(ask(dice, Ask::Pay { user, pick: 0, card: false }));
            let admin = dice.percent(50);
            steps.push(ask(dice, Ask::Release { user, pick: 0, paid: true, admin }));
        }
        1 => {
            let user = user(dice, setup);
            steps.push(ask(dice, Ask::Release { user, pick: 0, paid: false, admin: false }));
        }
        2 => {
            // With another code, or with this one instead of none.
            let (user, basket) = (user(dice, setup), Basket { best: false, ..wish(dice) });
            steps.push(ask(dice, Ask::Exchange { user, pick: 0, basket }));
        }
        3 => steps.push(ask(dice, Ask::EndCode { schedule, code })),
        4 => {
            let terms = self::code(dice);
            steps.push(ask(dice, Ask::PutCode { schedule, code: number, terms }));
        }
        _ => steps.push(crash(dice)),
    }

    let asked = hold(user(dice, setup), schedule, wish(dice));
    if dice.percent(70) {
        steps.extend(around(dice, schedule, Moment::HoldEnd, &[asked]));
    } else {
        steps.push(ask(dice, asked));
    }
    steps
}

fn generated_codes(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = schedule(dice);
    let terms = CodePlan { max_uses: dice.percent(70).then_some(1), ..code(dice) };
    let count = dice.pick() % 4 + 1;
    let made = Ask::MakeCodes { schedule, count, terms };
    let mut steps = vec![if dice.percent(60) { surely(made) } else { ask(dice, made) }];
    if dice.percent(50) {
        steps.push(surely(Ask::Repeat { pick: 0 }));
    }

    let pick = dice.pick();
    for _ in 0..dice.between(1, 3) {
        // The same one twice, as a rule.
        let code = CodePick::Generated(if dice.percent(60) { pick } else { dice.pick() });
        let asked = hold(user(dice, setup), schedule, Basket { code, ..basket(dice) });
        steps.push(ask(dice, asked));
    }
    if dice.percent(30) {
        steps.push(ask(dice, Ask::EndCode { schedule, code: CodePick::Generated(pick) }));
        let asked =
            hold(user(dice, setup), schedule, Basket { code: CodePick::Generated(pick), ..basket(dice) });
        steps.push(ask(dice, asked));
    }
    steps
}

/// Seats that are set aside, those with a code of theirs and those without, and the instant at which they are everyone's.
fn allotment(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = *dice.one(&[0, 1]);
    let (number, first) = (dice.pick() % ALLOTMENTS, dice.pick());
    let release = dice.percent(80).then(|| dice.between(1, 4 * MINUTE));
    let code_number = dice.pick() % NAMED_CODES;
    let terms = CodePlan { allotment: Some(number), grade: None, from: None, until: None, ..code(dice) };
    let (code, seats) = (CodePick::Named(code_number), dice.between(1, 3));
    let accessible = setup.special;
    let places = if dice.percent(50) { u32::try_from(dice.between(1, 3)).expect("small") } else { 0 };
    let its = Basket { seats: 1, first, accessible, ..Basket::default() };
    // As many as are set aside, so that they are had only while they are.
    let its_places = Basket { places, area: first, ..Basket::default() };

    let mut steps = vec![
        surely(Ask::SetAside { schedule, number, first, seats, places, release }),
        surely(Ask::PutCode { schedule, code: code_number, terms }),
    ];
    for _ in 0..dice.between(1, 3) {
        let who = user(dice, setup);
        let code = if dice.percent(50) { code } else { CodePick::None };
        let best = dice.percent(30);
        let wanted = if places > 0 && dice.percent(50) { its_places } else { Basket { best, ..its } };
        let asked = if dice.percent(25) {
            let sale = SalePlan { method: dice.pick(), allotment: Some(number), ..SalePlan::default() };
            Ask::Order { user: dice.percent(50).then_some(who), schedule, basket: wanted, sale }
        } else {
            hold(who, schedule, Basket { code, ..wanted })
        };
        steps.push(ask(dice, asked));
    }

    match dice.below(9) {
        8 => {
            let asked = cancel_order(dice);
            steps.push(ask(dice, asked));
        }
        0 => steps.push(ask(dice, Ask::GiveBack { schedule, number })),
        1 => {
            let (seats, release) = (dice.between(1, 4), dice.percent(50).then(|| dice.between(1, HOUR)));
            let places = if dice.percent(50) { places } else { 4 - places };
            steps.push(surely(Ask::SetAside { schedule, number, first, seats, places, release }));
        }
        2 => steps.push(crash(dice)),
        3 => {
            let (who, pick) = (user(dice, setup), dice.pick());
            steps.push(ask(dice, Ask::Release { user: who, pick, paid: false, admin: false }));
        }
        4 => {
            let (who, code) = (user(dice, setup), if dice.percent(50) { code } else { CodePick::None });
            steps.push(ask(dice, Ask::Exchange { user: who, pick: 0, basket: Basket { code, ..its } }));
        }
        _ => {}
    }

    // One of them, perhaps one that a hold had: so each is asked for.
    let who = user(dice, setup);
    let mut asks: Vec<Ask> = (0..usize::try_from(seats).expect("small"))
        .map(|next| hold(who, schedule, Basket { first: first + next, ..its }))
        .collect();
    if places > 0 {
        asks.push(hold(who, schedule, its_places));
    }
    steps.extend(around(dice, schedule, Moment::Release, &asks));
    steps
}

/// A sale in phases: with a code of it, with another one, with none; around the instants at which they open and close.
fn phases(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = PLAY;
    let small = |dice: &mut Dice, low, high| u32::try_from(dice.between(low, high)).expect("small");
    let mut steps = Vec::new();
    if dice.percent(70) {
        let change = DocChange::Phases {
            opens: i64::from(small(dice, 0, 600)) - 60,
            lasts: small(dice, 5, 600),
            general: dice.percent(60).then(|| small(dice, 0, 300)),
            narrow: dice.percent(30),
            limit: dice.percent(60).then(|| small(dice, 1, 3)),
        };
        steps.push(surely(Ask::Put { schedule, change }));
    }

    let number = dice.pick() % NAMED_CODES;
    let phase = dice.percent(85).then(|| dice.pick() % (PHASES.len() + 1));
    let terms = CodePlan { phase, grade: None, max_uses: None, max_seats: None, ..code(dice) };
    steps.push(surely(Ask::PutCode { schedule, code: number, terms }));

    let asks = |dice: &mut Dice| -> Vec<Ask> {
        let (one, other) = (user(dice, setup), user(dice, setup));
        let with = Basket { code: CodePick::Named(number), ..basket(dice) };
        let without = Basket { code: CodePick::None, ..basket(dice) };
        // Once more, up to what one user may have.
        let more = Basket { code: with.code, ..basket(dice) };
        vec![hold(one, schedule, with), hold(other, schedule, without), hold(one, schedule, more)]
    };
    for asked in asks(dice) {
        steps.push(ask(dice, asked));
    }
    for _ in 0..dice.between(1, 3) {
        let asked = asks(dice);
        steps.extend(around(dice, schedule, Moment::Phase, &asked));
        if dice.percent(20) {
            steps.push(crash(dice));
        }
    }
    steps
}

/// Seats that are kept for those who ask for them, until they are everyone's.
fn accessible_seats(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = *dice.one(&[0, 1]);
    let seconds = i64::try_from(dice.between(1, 600)).expect("small");
    let change = DocChange::Accessible(dice.percent(85).then_some(seconds));
    let mut steps = vec![surely(Ask::Put { schedule, change })];

    // Those of the last row's beginning.
    let last_row = usize::try_from(setup.row * (setup.rows - 1)).expect("small");
    let wish = |dice: &mut Dice, accessible: bool| Basket {
        seats: dice.between(1, 2),
        first: last_row + dice.pick() % 2,
        best: accessible && dice.percent(40),
        accessible,
        ..Basket::default()
    };
    for _ in 0..dice.between(1, 3) {
        let who = user(dice, setup);
        let accessible = dice.percent(40);
        let asked = hold(who, schedule, wish(dice, accessible));
        steps.push(ask(dice, asked));
        if dice.percent(30) {
            steps.push(ask(dice, Ask::Release { user: who, pick: 0, paid: false, admin: false }));
        }
    }

    let asked = hold(user(dice, setup), schedule, wish(dice, false));
    steps.extend(around(dice, schedule, Moment::Accessible, &[asked]));
    steps
}

/// An order of the box office, of anything.
pub(crate) fn order(dice: &mut Dice, setup: &Setup, schedule: usize) -> Ask {
    let sale = SalePlan {
        method: dice.pick(),
        allotment: dice.percent(10).then(|| dice.pick()),
        amount: dice.percent(25).then(|| *dice.one(&[0, 1, 9_999, 300_000])),
        reason: dice.percent(80),
    };
    // More than users may have, now and then.
    let seats = if dice.percent(20) { dice.between(3, 9) } else { dice.below(3) };
    let basket = Basket { seats, ..basket(dice) };
    Ask::Order { user: dice.percent(60).then(|| user(dice, setup)), schedule, basket, sale }
}

/// By whoever may, and now and then by who may not.
pub(crate) fn cancel_order(dice: &mut Dice) -> Ask {
    let by = *dice.one(&[Canceller::Clerk, Canceller::Clerk, Canceller::Admin, Canceller::Owner]);
    Ask::CancelOrder { pick: if dice.percent(70) { 0 } else { dice.pick() }, by, any: dice.percent(20) }
}

/// A clerk sells while others hold, pay and block, takes orders back, and what an order had is had again.
fn box_office(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = schedule(dice);
    let mut steps = Vec::new();
    if dice.percent(30) {
        steps.push(Step::Disk(trouble(dice)));
    }
    let first = dice.pick();
    let its = Basket { seats: dice.between(1, 2), first, accessible: true, ..Basket::default() };
    for _ in 0..dice.between(2, 4) {
        let asked = match (order(dice, setup, schedule), dice.percent(50)) {
            (Ask::Order { user, schedule, sale, .. }, true) => {
                Ask::Order { user, schedule, basket: its, sale }
            }
            (other, _) => other,
        };
        let fate = if dice.percent(40) { Fate::Beside } else { Fate::Waits };
        steps.push(Step::Ask { ask: asked, key: KeyUse::New, fate });
        if dice.percent(40) {
            let asked = hold(user(dice, setup), schedule, its);
            steps.push(ask(dice, asked));
        }
        if dice.percent(20) {
            steps.push(surely(Ask::Repeat { pick: 0 }));
        }
    }
    match dice.below(6) {
        0 => steps.push(crash(dice)),
        1 => steps.push(ask(dice, Ask::Close { schedule })),
        2 => {
            let who = user(dice, setup);
            steps.push(ask(dice, Ask::Pay { user: who, pick: 0, card: false }));
        }
        _ => {}
    }

    for _ in 0..dice.between(1, 3) {
        let cancelled = cancel_order(dice);
        steps.push(ask(dice, cancelled));
        let asked = hold(user(dice, setup), schedule, its);
        steps.push(ask(dice, asked));
    }
    steps
}

/// A code for one price type, brought for others; and holds that change theirs.
fn price_types(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let (schedule, number, first) = (0, dice.pick() % NAMED_CODES, dice.pick());
    let youths_only = dice.percent(60);
    let terms = CodePlan { youths: Some(youths_only), max_uses: None, max_seats: None, ..code(dice) };
    let terms = CodePlan { from: None, until: None, grade: None, ..terms };
    let code = CodePick::Named(number);
    let wish = |dice: &mut Dice| Basket {
        seats: dice.between(1, 2),
        // The first row's, which are sold to both.
        first: first % usize::try_from(setup.row).expect("small"),
        places: u32::from(dice.percent(30)),
        youths: *dice.one(&[0, 0xff, if youths_only { 0xff } else { 0 }]) ^ youths(dice, 15),
        accessible: true,
        ..Basket::default()
    };

    let mut steps = vec![surely(Ask::PutCode { schedule, code: number, terms })];
    for _ in 0..dice.between(2, 4) {
        let (who, code) = (user(dice, setup), if dice.percent(75) { code } else { CodePick::None });
        let asked = if dice.percent(50) {
            hold(who, schedule, Basket { code, ..wish(dice) })
        } else {
            Ask::Exchange {
                user: who,
                pick: 0,
                basket: Basket { code, drops: dice.percent(30), ..wish(dice) },
            }
        };
        steps.push(ask(dice, asked));
        if dice.percent(20) {
            steps.push(ask(dice, Ask::Charge { user: who, thousands: 200, dollars: false }));
            steps.push(ask(dice, Ask::Pay { user: who, pick: 0, card: false }));
        }
    }
    steps
}

/// Price types that come and go in the middle of the list, up to the first order: both at once, and a death between them.
fn repriced(dice: &mut Dice, setup: &Setup) -> Vec<Step> {
    let schedule = PLAY;
    let sold = |dice: &mut Dice| {
        let basket = Basket { seats: 1, youths: 0xff, ..basket(dice) };
        let sale = SalePlan { method: dice.pick(), ..SalePlan::default() };
        Ask::Order { user: dice.percent(50).then(|| user(dice, setup)), schedule, basket, sale }
    };
    let mut steps = Vec::new();
    for _ in 0..dice.between(1, 3) {
        let children = dice.percent(60);
        if dice.percent(30) {
            steps.push(crash(dice));
        }
        let fate = if dice.percent(60) { Fate::Beside } else { Fate::Polls(dice.between(1, 9)) };
        steps.push(Step::Ask { ask: Ask::Reprice { children }, key: KeyUse::New, fate });
        for _ in 0..dice.between(1, 2) {
            let asked = sold(dice);
            let fate = if dice.percent(50) { Fate::Beside } else { Fate::Waits };
            steps.push(Step::Ask { ask: asked, key: KeyUse::New, fate });
        }
    }
    let asked = cancel_order(dice);
    steps.push(ask(dice, asked));
    steps
}
