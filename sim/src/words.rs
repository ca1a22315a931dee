//! A run in words, one line a step.

use std::fmt::Write;

use onsale::domain::schedule::{Caller, Pick, Plan, Wish};
use onsale::domain::time::Timestamp;

use crate::calls::Call;
use crate::disk::{Death, Trouble};
use crate::gateway::{Lie, Weather};
use crate::plan::{Fate, Moment, Restart};

pub(crate) fn time(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{:.1} s", seconds(millis)),
        120_000..7_200_000 => format!("{:.1} min", seconds(millis) / 60.0),
        7_200_000..172_800_000 => format!("{:.1} h", seconds(millis) / 3_600.0),
        _ => format!("{:.1} days", seconds(millis) / 86_400.0),
    }
}

fn seconds(millis: u64) -> f64 {
    f64::from(u32::try_from(millis / 100).unwrap_or(u32::MAX)) / 10.0
}

const fn death_word(how: Death) -> &'static str {
    match how {
        Death::Before => "before",
        Death::Torn => "in the middle of",
        Death::After => "right after",
    }
}

pub(crate) fn dies(at: Option<(u64, Death)>) -> String {
    at.map_or_else(
        || "in the middle of a file".to_owned(),
        |(points, how)| format!("{} operation {points} of the disk from then", death_word(how)),
    )
}

pub(crate) fn restart(restart: &Restart) -> String {
    let mut text = format!("after {} it is started again", time(restart.down));
    if restart.unsynced > 0 {
        let _ = write!(text, ", with {} % of what wasn't synced", restart.unsynced);
    }
    if restart.skew != 0 {
        let side = if restart.skew > 0 { "ahead" } else { "behind" };
        let _ = write!(text, ", with a clock that is {} {side}", time(restart.skew.unsigned_abs()));
    }
    if let Some(trouble) = restart.trouble {
        let _ = write!(text, "; meanwhile {}", self::trouble(trouble));
    }
    if restart.dies_at.is_some() {
        let _ = write!(text, "; that start is to be killed {}", dies(restart.dies_at));
    }
    text
}

pub(crate) fn trouble(trouble: Trouble) -> String {
    match trouble {
        Trouble::Write(n) => format!("write {n} of the disk from now is going to fail"),
        Trouble::Sync(n) => format!("sync {n} of the disk from now is going to fail"),
        Trouble::Full(n) => format!("from write {n} on the disk is going to be full"),
    }
}

pub(crate) fn lie(lie: Lie) -> String {
    let what = match lie {
        Lie::Slow(millis) => format!("answers after {}", time(millis)),
        Lie::LostBefore => "does nothing, and doesn't answer".to_owned(),
        Lie::LostAfter => "does it, and doesn't answer".to_owned(),
        Lie::Late(millis) => format!("doesn't answer, and does it {} later", time(millis)),
        Lie::Decline => "declines".to_owned(),
        Lie::Panic => "is called by a client that panics".to_owned(),
    };
    format!("the gateway's next call: it {what}")
}

pub(crate) fn weather(weather: Weather, millis: u64) -> String {
    let what = match weather {
        Weather::Silent => "doesn't answer",
        Weather::RefusesRefunds => "refuses to give money back",
        Weather::Forgetful => "knows nothing of what isn't captured",
    };
    format!("for {} the gateway {what}", time(millis))
}

fn fate(fate: Fate) -> String {
    match fate {
        Fate::Waits => "waits for the answer".to_owned(),
        Fate::Beside => "doesn't wait for the answer".to_owned(),
        Fate::Polls(polls) => format!("is gone after {polls} polls"),
        Fate::Deadline(millis) => format!("is gone after {}", time(millis)),
        Fate::ReplyLost => "loses the answer".to_owned(),
    }
}

fn wish(wish: &Wish) -> String {
    let mut text = match &wish.pick {
        Pick::None => String::from("no seat"),
        Pick::Seats(seats) => format!("{seats:?}"),
        Pick::Best(best) => format!("the best {}", best.count),
    };
    for area in &wish.areas {
        let _ = write!(text, ", {} places of area {}", area.count, area.area.0);
    }
    if wish.price_types.iter().any(|of| of.0 > 0) || wish.areas.iter().any(|area| area.price_type.0 > 0) {
        let _ = write!(text, ", youths {:?}", wish.price_types);
    }
    if wish.drops_code {
        text.push_str(", without its code");
    }
    if wish.accessible {
        text.push_str(", accessible");
    }
    if let Some(code) = &wish.code {
        let _ = write!(text, ", with code {code}");
    }
    text
}

/// Tells from when to when a plan sells to whom.
pub(crate) fn phases(plan: &Plan) -> String {
    let millis =
        |at: Option<Timestamp>| at.map_or_else(|| "never".to_owned(), |at| at.as_millis().to_string());
    let mut text = String::new();
    for phase in &plan.policy.phases {
        let (opens, closes) = (phase.opens_at.as_millis(), phase.closes_at.as_millis());
        let _ = write!(
            text,
            "phase {} from {opens} to {closes} of {:?}, {:?} a user, ",
            phase.id, phase.grades, phase.seats_per_user_max
        );
    }
    let accessible = millis(plan.policy.accessible_release_at);
    let _ =
        write!(text, "general sale {}, accessible seats released {accessible}", millis(plan.sales_open_at));
    text
}

pub(crate) fn moment(moment: Moment) -> &'static str {
    match moment {
        Moment::Release => "the release of an allotment",
        Moment::Phase => "a phase",
        Moment::Accessible => "the release of accessible seats",
        Moment::HoldEnd => "the end of a hold",
    }
}

pub(crate) fn call(op: usize, call: &Call, keyed: bool, again: bool, how: Fate) -> String {
    let who = call.user().map_or_else(|| "the administrator".to_owned(), ToString::to_string);
    let what = match call {
        Call::Hold { schedule, wish, .. } => format!("holds {} of {schedule}", self::wish(wish)),
        Call::Exchange { schedule, reservation, wish, .. } => {
            format!("exchanges hold {} of {schedule} for {}", reservation.number.0, self::wish(wish))
        }
        Call::Order { schedule, wish, sale } => format!(
            "sells {} of {schedule} for {:?} ({:?}, {:?}; from {:?})",
            self::wish(wish),
            sale.user,
            sale.order.method,
            sale.amount,
            sale.allotment
        ),
        Call::Release { schedule, reservation, caller } => {
            let by = if let Caller::Clerk = caller { ", as a clerk" } else { "" };
            format!("gives reservation {} of {schedule} back{by}", reservation.number.0)
        }
        Call::Pay { schedule, reservation, card, .. } => {
            let from = if *card { "by card" } else { "from the balance" };
            format!("pays for hold {} of {schedule} {from}", reservation.number.0)
        }
        Call::Confirm { payment, payment_key, .. } => format!(
            "confirms payment {} of schedule number {} with {}",
            payment.number.0,
            payment.schedule.0,
            if payment_key.as_str().starts_with("made-up") { "a made-up key" } else { "the checkout's key" }
        ),
        Call::Charge { amount, currency, .. } => format!("charges {} {}", amount.minor(), currency.as_str()),
        Call::Join { schedule, .. } => format!("joins the room of {schedule}"),
        Call::Leave { schedule, ticket, .. } => {
            format!("leaves place {} in the room of {schedule}", ticket.0)
        }
        Call::Tune { schedule, tuning } => format!("tunes the room of {schedule}: {tuning:?}"),
        Call::Put { schedule, plan, .. } => format!(
            "puts {schedule}: casting {:?}, room {:?}; {}",
            plan.casting,
            plan.policy.queue,
            phases(plan)
        ),
        Call::Import { schedules } => {
            let ids: Vec<_> =
                schedules.iter().map(|(id, _, plan)| format!("{id} {:?}", plan.casting)).collect();
            format!("imports {}", ids.join(", "))
        }
        Call::Reprice { concert } => {
            let types: Vec<_> = concert.price_types.iter().map(|known| known.id.to_string()).collect();
            format!("puts {} with the price types {}", concert.id, types.join(", "))
        }
        Call::Open { schedule } => format!("opens {schedule}"),
        Call::Close { schedule } => format!("closes {schedule}"),
        Call::Cancel { schedule } => format!("cancels {schedule}"),
        Call::Remove { schedule } => format!("removes {schedule}"),
        Call::Block { schedule, seats, free } => {
            format!("{} {seats:?} of {schedule}", if *free { "unblocks" } else { "blocks" })
        }
        Call::PutCode { schedule, code, terms } => format!("defines code {code} of {schedule} as {terms:?}"),
        Call::MakeCodes { schedule, prefix, count, terms } => {
            format!("generates {count} codes {prefix} of {schedule} as {terms:?}")
        }
        Call::EndCode { schedule, code } => format!("ends code {code} of {schedule}"),
        Call::SetAside { schedule, terms } => format!(
            "sets {:?} and {:?} of {schedule} aside as {}, to be released at {:?}",
            terms.seats,
            terms.areas,
            terms.id,
            terms.release_at.map(Timestamp::as_millis)
        ),
        Call::GiveBack { schedule, id } => format!("releases {id} of {schedule}"),
        Call::SignUp { profile } => format!("signs {} up", profile.email.as_str()),
        Call::SetStatus { user, status } => format!("makes {user} {status:?}"),
        Call::Snapshot => "takes a snapshot".to_owned(),
        Call::Archive => "archives what is over".to_owned(),
    };
    let key = if keyed { format!(", key {op}") } else { String::new() };
    let again = if again { "again: " } else { "" };
    format!("{again}{who} {what}{key}; {}", fate(how))
}
