//! `onsale replay`: the state as it was, from the journal of a stopped engine.
//!
//! It shows what the journal has: a hold past its deadline counts as held until the event of its end. A schedule that
//! was in the archive by then is read from there if it is asked for by its id.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use onsale::archive::Archive;
use onsale::domain::accounts::Accounts;
use onsale::domain::ids::ScheduleId;
use onsale::domain::schedule::{Reservation, Schedule, SeatStatus};
use onsale::domain::time::Timestamp;
use onsale::domain::users::{UserStatus, Users};
use onsale::domain::waiting_room::{Ticket, WaitingRoom};
use onsale::http::documents::money::PaymentDocument;
use onsale::journal::{Inspection, Position};
use onsale::recovery::{InArchive, Rebuilt, Until, World};
use serde_json::{Value, json};

use super::draw;
use super::map::{self, Map};
use super::output::{Failure, complain, print};
use super::rebuild;
use super::{load, quiet_logs, settings};

/// How many schedules an error lists.
const LISTED_MAX: usize = 10;

pub(super) fn command() -> Command {
    let at = Arg::new("at")
        .long("at")
        .value_name("INSTANT")
        .value_parser(|text: &str| Timestamp::parse(text))
        .help("Show the state at this instant, such as 2026-11-20T12:00:00Z");
    let position = Arg::new("position")
        .long("position")
        .value_name("P")
        .value_parser(value_parser!(u64))
        .help("Show the state after this position of the journal");
    let schedule = Arg::new("schedule")
        .long("schedule")
        .value_name("ID")
        .value_parser(|text: &str| ScheduleId::parse(text))
        .help("Show only this schedule");
    let format = Arg::new("format")
        .long("format")
        .value_name("FORMAT")
        .value_parser(PossibleValuesParser::new(["json", "map"]))
        .default_value("json")
        .help("Print JSON, or the seats of one schedule as a map");
    let audit = Arg::new("draw").long("draw").action(ArgAction::SetTrue).conflicts_with("format").help(
        "Repeat the draw of the schedule's waiting room from the journal, and say whether its result is the order that was used",
    );

    Command::new("replay")
        .about("Show the state as it was, from a stopped engine's journal, without changing anything")
        .args([at, position, schedule, format, audit, scratch()])
        .group(ArgGroup::new("until").args(["at", "position"]))
        .args(settings(&["data_dir"]))
        .after_help(
            "EXAMPLES\n  onsale replay --data-dir ./data --schedule evening-1 --format map\n  \
             onsale replay --data-dir ./data --at 2026-11-20T12:00:00Z\n  \
             onsale replay --data-dir ./data --schedule evening-1 --draw\n\n\
             PRINTS\n  the catalogue's counts, and each schedule with its status, seats and reservations. Without --at and \
             --position, the last state. In a map . is available, h held, # reserved, x blocked\n\n\
             EXIT CODES\n  0  shown\n  1  the journal is damaged, or doesn't reach back so far: standard error says where it begins\n  \
             2  wrong usage, or an engine runs on the directory",
        )
}

/// Returns the flag for the directory of copies.
pub(super) fn scratch() -> Arg {
    Arg::new("scratch").long("scratch").value_name("DIR").value_parser(value_parser!(PathBuf)).help(
        "The directory to which each generation is copied while it is read [default: the system's temporary directory]",
    )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let config = load(matches)?;
    quiet_logs(&config)?;
    rebuild::catch_panics();
    let dir = &config.server.data_dir;
    let inspection = rebuild::inspect(dir, matches.get_one::<PathBuf>("scratch").map(PathBuf::as_path))?;

    let until = match (matches.get_one::<Timestamp>("at"), matches.get_one::<u64>("position")) {
        (Some(at), _) => Until::Instant(*at),
        (None, Some(position)) => Until::Position(Position::new(*position)),
        (None, None) => Until::End,
    };
    let (rebuilt, notes) = rebuild::run(&inspection, dir, until)?;
    for note in &notes {
        complain(&format!("note: {note}\n"));
    }

    let wanted = matches.get_one::<ScheduleId>("schedule");
    if matches.get_flag("draw") {
        let wanted = wanted
            .ok_or_else(|| Failure::Usage("--draw needs --schedule: a draw is of one schedule".into()))?;
        return draw::run(&inspection, dir, &rebuilt, wanted);
    }

    // The world doesn't hold archived schedules, and a list of all leaves them out.
    let archived = wanted.map(|wanted| from_archive(&inspection, dir, &rebuilt.world, wanted)).transpose()?;
    let archived = archived.flatten();
    let schedules = match &archived {
        Some(schedule) => vec![schedule],
        None => select(&rebuilt.world, wanted)?,
    };

    if matches.get_one::<String>("format").is_some_and(|format| format == "map") {
        return print(&map_of(&rebuilt, one(&schedules)?));
    }

    let text =
        serde_json::to_string_pretty(&describe(&rebuilt, until, &schedules)).map_err(Failure::failed)?;
    print(&format!("{text}\n"))
}

/// Reads a schedule from the archive, if it had moved there by then.
fn from_archive(
    inspection: &Inspection,
    dir: &Path,
    world: &World,
    wanted: &ScheduleId,
) -> Result<Option<Schedule>, Failure> {
    let found = world.archived().into_iter().find(|found| found.id == wanted);
    let (Some(InArchive { number, archived, layout: Some(layout), .. }), Some(log_id)) =
        (found, inspection.log_id())
    else {
        return Ok(None);
    };
    let archive = Archive::open_read_only(dir, log_id, inspection.scratch()).map_err(Failure::failed)?;
    let restored = archive.schedule(number, archived, Arc::clone(layout)).map_err(Failure::failed)?;
    Ok(Some(restored.schedule))
}

/// Returns the schedules in the order of their numbers, or only the one that is asked for.
fn select<'w>(world: &'w World, wanted: Option<&ScheduleId>) -> Result<Vec<&'w Schedule>, Failure> {
    let mut schedules: Vec<&Schedule> = world.schedules.values().collect();
    schedules.sort_unstable_by_key(|schedule| schedule.number());
    let Some(wanted) = wanted else { return Ok(schedules) };
    schedules.retain(|schedule| schedule.id() == wanted);
    if schedules.is_empty() {
        return Err(Failure::Failed(format!("there was no schedule {wanted} then")));
    }
    Ok(schedules)
}

fn one<'w>(schedules: &[&'w Schedule]) -> Result<&'w Schedule, Failure> {
    if let [only] = schedules {
        return Ok(only);
    }
    let mut ids: Vec<&str> =
        schedules.iter().take(LISTED_MAX).map(|schedule| schedule.id().as_str()).collect();
    if schedules.len() > LISTED_MAX {
        ids.push("…");
    }
    Err(Failure::Usage(format!("a map shows one schedule: choose it with --schedule ({})", ids.join(", "))))
}

fn map_of(rebuilt: &Rebuilt, schedule: &Schedule) -> String {
    format!(
        "{}, {} at position {}, {}\n{}",
        schedule.id(),
        schedule.summary().status.as_str(),
        rebuilt.position,
        rebuilt.world.last_instant(),
        Map { schedule, colour: map::wants_colour() }
    )
}

fn describe(rebuilt: &Rebuilt, until: Until, schedules: &[&Schedule]) -> Value {
    let Rebuilt { world, position, snapshot, applied } = rebuilt;
    let at = match until {
        Until::Instant(at) => at,
        Until::End | Until::Position(_) => world.last_instant(),
    };

    let described: Vec<Value> = schedules
        .iter()
        .map(|schedule| {
            let mut described = describe_schedule(schedule);
            if let Some(payments) = world.payments.get(&schedule.number()) {
                let of_payment = |payment| json!(PaymentDocument::of(payment, true));
                described["payments"] = payments.iter().map(of_payment).collect();
            }
            if let Some(room) = world.rooms.get(&schedule.number()) {
                described["queue"] = describe_room(room, at);
            }
            described
        })
        .collect();

    json!({
        "position": position.get(),
        "at": at.to_string(),
        "lastEventAt": world.last_instant().to_string(),
        "replayed": {"fromSnapshot": snapshot.map(Position::get), "events": applied},
        "catalogue": {
            "venues": world.catalogue.venues().count(),
            "concerts": world.catalogue.concerts().count(),
            "schedules": world.catalogue.schedules().count(),
            "archivedSchedules": world.archived().len(),
        },
        "accounts": describe_accounts(world),
        "users": describe_users(&world.users),
        "schedules": described,
    })
}

/// Describes all accounts together: how many there are, and their balances by currency.
fn describe_accounts(world: &World) -> Value {
    let mut balances = std::collections::BTreeMap::<String, u64>::new();
    let (mut accounts, mut transactions) = (0_u64, 0_usize);
    for (_, account) in world.accounts.values().flat_map(Accounts::iter) {
        accounts += 1;
        transactions += account.transactions().count();
        let sum = balances.entry(account.currency().as_str().to_owned()).or_default();
        *sum = sum.saturating_add(account.balance().minor());
    }
    json!({"accounts": accounts, "balances": balances, "transactions": transactions})
}

/// Counts the users by status, without naming them.
fn describe_users(users: &Users) -> Value {
    let counts = UserStatus::ALL.map(|status| (status.as_str().to_owned(), users.counts().of(status).into()));
    let mut described: serde_json::Map<String, Value> = counts.into_iter().collect();
    described.insert("events".to_owned(), users.version().into());
    described.into()
}

fn describe_schedule(schedule: &Schedule) -> Value {
    let (plan, counts) = (schedule.plan(), schedule.counts());
    let counts: serde_json::Map<String, Value> = SeatStatus::ALL
        .iter()
        .map(|status| (status.as_str().to_owned(), counts.of(*status).into()))
        .collect();
    let areas: serde_json::Map<String, Value> = schedule
        .layout()
        .areas()
        .iter()
        .zip(schedule.area_counts())
        .map(|(area, counts)| {
            let counts = SeatStatus::ALL.iter().map(|of| (of.as_str().to_owned(), counts.of(*of).into()));
            (area.id.to_string(), Value::Object(counts.collect()))
        })
        .collect();
    let mut reservations: Vec<&Reservation> = schedule.reservations().collect();
    reservations.sort_unstable_by_key(|reservation| reservation.number);
    let reservations: Vec<Value> =
        reservations.iter().map(|reservation| describe_reservation(schedule, reservation)).collect();
    json!({
        "scheduleId": schedule.id().as_str(),
        "concertId": schedule.concert().as_str(),
        "venueId": schedule.venue().as_str(),
        "startsAt": plan.starts_at.to_string(),
        "salesOpenAt": plan.sales_open_at.map(|at| at.to_string()),
        "status": schedule.summary().status.as_str(),
        "events": schedule.version(),
        "seatsVersion": schedule.seats_version(),
        "lastEventAt": schedule.last_instant().to_string(),
        "seats": counts,
        "areas": areas,
        "reservations": reservations,
    })
}

/// Describes a waiting room: those who wait, in order, and those who are at the seats.
fn describe_room(room: &WaitingRoom, at: Timestamp) -> Value {
    let place = |ticket: Ticket| {
        let place = room.place(ticket, at);
        json!({
            "ticket": ticket.0,
            "userId": room.user(ticket),
            "position": place.and_then(|place| place.position),
            "issuedAt": place.map(|place| place.issued_at.to_string()),
            "activatedAt": place.and_then(|place| place.activated_at).map(|at| at.to_string()),
            "expiresAt": place.map(|place| place.expires_at.to_string()),
        })
    };
    let mut active: Vec<Ticket> = room.actives().map(|(ticket, ..)| ticket).collect();
    active.sort_unstable();

    let overview = room.overview();
    json!({
        "maxActive": overview.active_max,
        "admitPerMinute": overview.admit_per_minute,
        "paused": overview.paused,
        "gate": overview.gate.as_str(),
        "admittedTotal": overview.admitted_total,
        "joinedTotal": room.joined_total(),
        "events": room.version(),
        "active": active.into_iter().map(place).collect::<Vec<_>>(),
        "waiting": room.in_line().map(place).collect::<Vec<_>>(),
    })
}

fn describe_reservation(schedule: &Schedule, reservation: &Reservation) -> Value {
    let layout = schedule.layout();
    let instant = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let places = reservation.terms.iter().flat_map(|terms| &*terms.areas);
    let areas: Vec<Value> = places
        .map(|places| json!({"areaId": *layout.areas()[places.area.index()].id, "count": places.count}))
        .collect();
    json!({
        "reservationId": schedule.full_id(reservation).to_string(),
        "userId": reservation.user.as_deref(),
        "status": reservation.status.as_str(),
        "seats": reservation.seats.iter().map(|seat| layout.seat_id(*seat)).collect::<Vec<_>>(),
        "areas": areas,
        "amount": schedule.amount_of(reservation).minor(),
        "currency": schedule.currency().as_str(),
        "createdAt": reservation.created_at.to_string(),
        "expiresAt": reservation.expires_at.to_string(),
        "confirmedAt": instant(reservation.confirmed_at),
        "cancelledAt": instant(reservation.cancelled_at),
        "paymentId": reservation.payment.map(|id| id.to_string()),
        "recovered": reservation.recovered,
    })
}
