//! `onsale import`: venues, concerts and schedules from one file, all or nothing; or a plan or tables of another system, made into such
//! a document.
//!
//! ```text
//! file → text → json, table (values with their places) → seats_io, pretix, tables (pure) → documents → the route that every import takes
//! ```

#[cfg(test)]
mod accepted;
mod chart;
mod document;
mod file;
mod json;
mod pretix;
mod seats_io;
mod summary;
mod table;
mod tables;
mod wrong;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use jiff::tz::TimeZone;
use onsale::domain::venue::{Layout, Seating, Venue};
use onsale::http::documents::ImportDocument;
use onsale::http::problem::{FieldError, Problem};
use serde_json::Value;

use self::chart::{Chart, House};
use self::document::{Documents, Terms};
use self::json::Json;
use self::table::File;
use self::tables::{Files, Settings};
use self::wrong::Wrong;
use super::answer::{Answer, success};
use super::engine_at;
use super::offline::IfMissing;
use super::output::{Failure, count, plain, print};

/// The largest value of `limits.large_body_bytes_max`. The engine refuses a smaller file that is over its limit.
const FILE_LEN_MAX: u64 = 1 << 30;
/// The longest plan of another system, which takes some twenty times as much memory while it is read.
const PLAN_LEN_MAX: usize = 64 << 20;
/// The longest table of another system.
const TABLE_LEN_MAX: u64 = 256 << 20;

/// The flags that say what a plan doesn't.
const OF_PLANS: [&str; 7] = ["venue", "venue-name", "concert", "title", "artist", "price", "currency"];
/// The flags that say what tables don't.
const OF_TABLES: [&str; 3] = ["show-minutes", "price-digits", "currency"];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Own,
    SeatsIo,
    Pretix,
    Tables,
}

/// A document that is ready to be imported.
struct Prepared {
    body: Vec<u8>,
    /// What it has, for people; nothing where the file is the document.
    told: String,
}

pub(super) fn command() -> Command {
    let file = Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf)).help(
        "The document: {\"venues\": [...], \"concerts\": [...], \"schedules\": [...]}; a plan or a directory of tables of another system; - reads standard input",
    );
    let from = Arg::new("from")
        .long("from")
        .value_name("SYSTEM")
        .value_parser(["onsale", "seats-io", "pretix", "csv"])
        .help("Where the file comes from. Without it a file that can be nothing else is known by what it has, and a directory is csv");
    let dry_run = Arg::new("dry_run")
        .long("dry-run")
        .action(ArgAction::SetTrue)
        .help("Tell what would be imported, check it, and import nothing");
    let print = Arg::new("print")
        .long("print")
        .action(ArgAction::SetTrue)
        .conflicts_with("dry_run")
        .help("Print the document that would be imported, and import nothing");
    let text = |id: &'static str, value: &'static str, help: &'static str| {
        Arg::new(id).long(id).value_name(value).help(help)
    };

    Command::new("import")
        .about("Import venues, concerts and schedules, all or nothing")
        .arg(file)
        .args([from, dry_run, print])
        .args(engine_at::flags())
        .next_help_heading("Plans and tables of other systems")
        .args([
            text("venue", "ID", "The id of a plan's venue"),
            text("venue-name", "NAME", "The venue's name, instead of the plan's"),
            text("time-zone", "ZONE", "The venue's time zone, such as Europe/Vienna"),
            text("currency", "CODE", "The currency of the prices, such as EUR"),
            text("concert", "ID", "Make a concert at a plan's venue, too; with --title, --currency, --price"),
            text("title", "TITLE", "The concert's title"),
            text("artist", "NAME", "Who performs"),
            text("price", "GRADE=AMOUNT", "The price of a grade (there: a category), in minor units")
                .action(ArgAction::Append),
            text("show-minutes", "MINUTES", "How long a show of a table is that has no end")
                .value_parser(value_parser!(u32).range(1..=1440)),
            text("price-digits", "DIGITS", "How many decimal digits of a table's prices make the minor unit")
                .value_parser(["0", "1", "2", "3", "4"]),
        ])
        .after_help(
            "EXAMPLES\n  onsale import season.json --url http://127.0.0.1:8080 \\\n    \
             --admin-token \"$ONSALE_ADMIN_TOKEN\"\n  \
             onsale import season.json --data-dir ./data\n  \
             onsale import season.json --dry-run\n\n\
             PRINTS\n  of another system's file: what is made of it, and what isn't;\n  \
             how many venues, concerts and schedules the document names. Those that exist unchanged are left alone\n\n\
             EXIT CODES\n  0  imported\n  1  not imported: the reason is on standard error, field by field\n  \
             2  wrong usage or settings",
        )
}

pub(super) fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let path =
        matches.get_one::<PathBuf>("file").ok_or_else(|| Failure::Usage("a file is needed".to_owned()))?;
    let Prepared { body, told } = prepare(path, matches)?;

    if matches.get_flag("print") {
        let text = String::from_utf8(body).map_err(Failure::failed)?;
        return print(&format!("{}\n", text.trim_end()));
    }
    print(&told)?;
    if matches.get_flag("dry_run") {
        return print(&format!("would import {}\n", check(&body)?));
    }
    let counts = engine_at::post(matches, "/api/v1/import", body, IfMissing::Create)?;
    let number = |name: &str| counts.get(name).and_then(Value::as_u64).unwrap_or_default();
    print(&format!("imported {}\n", tell_counts(number("venues"), number("concerts"), number("schedules"))))
}

fn tell_counts(venues: u64, concerts: u64, schedules: u64) -> String {
    format!("{}, {}, {}", count(venues, "venue"), count(concerts, "concert"), count(schedules, "schedule"))
}

/// Reads the file, and makes the engine's document of it.
fn prepare(path: &Path, matches: &ArgMatches) -> Result<Prepared, Failure> {
    let said = matches.get_one::<String>("from").map(String::as_str);
    if said == Some("csv") || (said.is_none() && path.is_dir()) {
        refuse_flags(matches, Format::Tables)?;
        return of_tables(path, matches);
    }

    let text = file::read(path, FILE_LEN_MAX)?;
    let name = plain(&path.display().to_string());
    let no_json = |error: serde_json::Error| Failure::Failed(format!("{name} isn't JSON: {error}"));
    // A document of our own may be longer than a plan of another system, and needs no places.
    if said == Some("onsale") || text.len() > PLAN_LEN_MAX {
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(no_json)?;
        if said.is_some_and(|said| said != "onsale") {
            return Err(Failure::Failed(format!("{name} is longer than {PLAN_LEN_MAX} bytes")));
        }
        refuse_flags(matches, Format::Own)?;
        return Ok(Prepared { body: text.into_bytes(), told: String::new() });
    }

    let json = Json::parse(&text).map_err(no_json)?;
    let format = match said {
        Some("seats-io") => Format::SeatsIo,
        Some("pretix") => Format::Pretix,
        Some(_) | None if seats_io::is_chart(json.root()) => Format::SeatsIo,
        Some(_) | None if pretix::is_plan(json.root()) => Format::Pretix,
        Some(_) | None => Format::Own,
    };
    refuse_flags(matches, format)?;
    match format {
        Format::SeatsIo => of_plan(&json, &name, matches, seats_io::read),
        Format::Pretix => of_plan(&json, &name, matches, pretix::read),
        Format::Own | Format::Tables => {
            drop(json);
            Ok(Prepared { body: text.into_bytes(), told: String::new() })
        }
    }
}

/// Refuses flags that say nothing about such a file.
fn refuse_flags(matches: &ArgMatches, format: Format) -> Result<(), Failure> {
    let (kind, taken): (_, Vec<&str>) = match format {
        Format::Own => ("a document of onsale's own", Vec::new()),
        Format::SeatsIo | Format::Pretix => ("a plan", [&OF_PLANS[..], &["time-zone"]].concat()),
        Format::Tables => ("tables", [&OF_TABLES[..], &["time-zone"]].concat()),
    };
    let all = OF_PLANS.iter().chain(&OF_TABLES).chain(&["time-zone"]);
    let given = all.filter(|flag| matches.contains_id(flag));
    match given.into_iter().find(|flag| !taken.contains(flag)) {
        Some(flag) => Err(Failure::Usage(format!("--{flag} isn't for {kind}"))),
        None => Ok(()),
    }
}

fn of_plan(
    json: &Json<'_>,
    name: &str,
    matches: &ArgMatches,
    read: fn(&Json<'_>, &House, &mut Wrong<usize>) -> Chart,
) -> Result<Prepared, Failure> {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    let (Some(venue_id), Some(time_zone)) = (text("venue"), text("time-zone")) else {
        return Err(Failure::Usage(
            "a plan doesn't say which venue it is of: add --venue ID and --time-zone ZONE".to_owned(),
        ));
    };
    zone(&time_zone)?;
    let house = House { venue_id, time_zone, name: text("venue-name") };
    let terms = terms(matches)?;

    let mut wrong = Wrong::default();
    let chart = read(json, &house, &mut wrong);
    if !wrong.is_empty() {
        let place = |at: &usize| {
            let place = json.place(*at);
            let path = if place.path.is_empty() { "(the whole)" } else { &place.path };
            format!("{name}:{}:{}: {}", place.line, place.column, plain(path))
        };
        return Err(Failure::Failed(format!("{name} can't be imported\n{}", wrong.tell(place))));
    }
    let (kind, notes) = (format!("{name} is {}", chart.kind), chart.notes.clone());
    let documents = chart.documents(terms.as_ref()).map_err(Failure::Usage)?;
    prepared(&kind, &documents, &notes)
}

/// Reads the flags of the concert at a plan's venue.
fn terms(matches: &ArgMatches) -> Result<Option<Terms>, Failure> {
    let text = |id: &str| matches.get_one::<String>(id).cloned();
    let Some(concert_id) = text("concert") else {
        let alone =
            ["title", "artist", "price", "currency"].into_iter().find(|flag| matches.contains_id(flag));
        return alone.map_or(Ok(None), |flag| {
            Err(Failure::Usage(format!("--{flag} is of a concert: add --concert ID")))
        });
    };
    let needed =
        |id: &str| text(id).ok_or_else(|| Failure::Usage(format!("a concert has a {id}: add --{id}")));
    let mut prices = BTreeMap::new();
    for price in matches.get_many::<String>("price").into_iter().flatten() {
        // A grade's name may have an equals sign; an amount has none.
        let (grade, amount) = price.rsplit_once('=').unwrap_or((price, ""));
        let amount = amount.parse().map_err(|_| {
            Failure::Usage(format!("--price {price}: must be GRADE=AMOUNT, the amount in minor units"))
        })?;
        if prices.insert(grade.to_owned(), amount).is_some() {
            return Err(Failure::Usage(format!("--price {grade} stands twice")));
        }
    }
    Ok(Some(Terms {
        concert_id,
        title: needed("title")?,
        artist: text("artist").unwrap_or_default(),
        currency: needed("currency")?,
        prices,
    }))
}

fn of_tables(dir: &Path, matches: &ArgMatches) -> Result<Prepared, Failure> {
    let text = |id: &str| matches.get_one::<String>(id);
    let (Some(zone_name), Some(currency)) = (text("time-zone"), text("currency")) else {
        return Err(Failure::Usage(
            "tables don't say where the clocks and the prices are from: add --time-zone ZONE and --currency CODE"
                .to_owned(),
        ));
    };
    let settings = Settings {
        zone: zone(zone_name)?,
        zone_name: zone_name.clone(),
        currency: currency.clone(),
        show_minutes: matches.get_one::<u32>("show-minutes").copied(),
        price_digits: text("price-digits").and_then(|digits| digits.parse().ok()),
    };
    let read = |name: &str| {
        let path = dir.join(name);
        let name = plain(&path.display().to_string());
        file::read(&path, TABLE_LEN_MAX).map(|text| File { name, text })
    };
    let schedules =
        ["schedules.csv", "concert_schedules.csv"].into_iter().find(|name| dir.join(name).exists());
    let files = Files {
        concerts: read("concerts.csv")?,
        schedules: schedules.map(read).transpose()?,
        seats: read("seats.csv")?,
    };

    let mut wrong = Wrong::default();
    let (documents, lines, notes) = tables::read(&files, &settings, &mut wrong);
    let name = plain(&dir.display().to_string());
    if !wrong.is_empty() {
        let told = wrong.tell(|cell| plain(&cell.to_string()));
        return Err(Failure::Failed(format!("{name} can't be imported\n{told}")));
    }
    let ready = prepared(&format!("{name} has CSV of SQL tables"), &documents, &notes)?;
    // What the engine would refuse is told with the line that it comes from.
    let Err(problem) = checked(&ready.body) else { return Ok(ready) };
    let error = |error: &Value| {
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
        format!("{}: {}", plain(&lines.place(text("field"))), plain(text("detail")))
    };
    let problem: Value = serde_json::from_slice(&problem.to_json()).map_err(Failure::failed)?;
    let told: Vec<String> = problem["errors"].as_array().into_iter().flatten().map(error).collect();
    Err(Failure::Failed(format!("{name} can't be imported\n{}", told.join("\n"))))
}

fn zone(name: &str) -> Result<TimeZone, Failure> {
    TimeZone::get(name).map_err(|_| {
        Failure::Usage(format!(
            "--time-zone {}: must be a name of the IANA's, as in Europe/Vienna",
            plain(name)
        ))
    })
}

fn prepared(kind: &str, documents: &Documents, notes: &[String]) -> Result<Prepared, Failure> {
    let body = serde_json::to_vec_pretty(documents).map_err(Failure::failed)?;
    Ok(Prepared { body, told: summary::tell(kind, documents, notes) })
}

/// Checks a document as the engine does before it looks at what it has already, and tells how much it has.
fn check(body: &[u8]) -> Result<String, Failure> {
    checked(body).map_err(|problem| {
        let answer = Answer { status: problem.code().status().as_u16(), body: problem.to_json() };
        success(&answer).err().unwrap_or_else(|| Failure::failed(problem.detail()))
    })
}

/// The same, for its caller to tell what is wrong.
fn checked(body: &[u8]) -> Result<String, Problem> {
    let document: ImportDocument = onsale::http::json::parse(body)?;
    let import = document.into_domain(&HashMap::new()).map_err(Problem::invalid)?;

    let venue = |(index, venue): (usize, &Venue)| {
        let seating = Layout::new(&venue.sections).and_then(|layout| Seating::new(venue, &layout));
        seating.err().map(|invalid| FieldError {
            field: format!("venues[{index}].{}", invalid.path),
            detail: invalid.what.to_owned(),
        })
    };
    let errors: Vec<FieldError> = import.venues.iter().enumerate().filter_map(venue).collect();
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    let number = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    Ok(tell_counts(
        number(import.venues.len()),
        number(import.concerts.len()),
        number(import.schedules.len()),
    ))
}
