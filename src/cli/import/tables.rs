//! CSV of the SQL tables that home-made ticketing systems have: `concerts`, `schedules` (or a date and a time of the concert), `seats`.
//!
//! A seat belongs to a schedule or to a concert, and has a number, perhaps a section, a row and a grade, and a price. Seats that are equal
//! in all shows of a house become one venue; where no grade is named, seats of one price are one.
//!
//! Shows are brought along that are still to be sold. What is sold already stays where it is: a show with a seat that isn't available is
//! refused, so that no seat is sold twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use onsale::domain::ids::{ConcertId, InvalidId, ScheduleId};

use super::document::{
    Concert, Documents, DrawnRow, DrawnSeat, Grade, MAIN, NO_LABEL, Names, Schedule, Section, Venue, color,
    is_label, number, rows_of,
};
use super::table::{Cell, File, Line, Place, Table};
use super::wrong::Wrong;

/// The lines of seats in rows of a section: by the row's place and name.
type RowsOf<'a> = BTreeMap<(usize, &'a str), Vec<&'a SeatLine>>;

/// The most seats of a venue.
const SEATS_MAX: usize = 250_000;
/// The longest id that is made of a venue's name.
const VENUE_ID_LEN_MAX: usize = 100;

/// The tables.
#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) concerts: File,
    pub(super) schedules: Option<File>,
    pub(super) seats: File,
}

/// What the tables don't say.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Of the houses, and of instants without an offset.
    pub(super) zone: TimeZone,
    pub(super) zone_name: String,
    pub(super) currency: String,
    /// How long a show is that has no end.
    pub(super) show_minutes: Option<u32>,
    /// How many decimal digits of a price make the minor unit. Without it, prices are whole minor units.
    pub(super) price_digits: Option<usize>,
}

/// Reads the tables. The documents are complete only if nothing is wrong. The notes say what isn't brought along.
pub(super) fn read(
    files: &Files,
    settings: &Settings,
    wrong: &mut Wrong<Cell>,
) -> (Documents, Lines, Vec<String>) {
    let mut reader = Reader { settings, wrong, notes: Vec::new(), lines: Lines::default() };
    let concerts = reader.concerts(&files.concerts, files.schedules.is_some());
    let shows = match &files.schedules {
        Some(schedules) => reader.schedules(schedules, &concerts),
        None => concerts.iter().filter_map(|concert| concert.show.clone()).collect(),
    };
    let seats = reader.seats(&files.seats);
    let documents = reader.documents(&concerts, &shows, &seats);
    (documents, reader.lines, reader.notes)
}

/// The lines that the parts of a document were made of, in the order of these.
#[derive(Debug, Default)]
pub(super) struct Lines {
    venues: Vec<Cell>,
    concerts: Vec<Cell>,
    schedules: Vec<Cell>,
}

impl Lines {
    /// Says where a field of the document comes from: its line and the rest of its path, or a flag.
    pub(super) fn place(&self, field: &str) -> String {
        let found = [("venues", &self.venues), ("concerts", &self.concerts), ("schedules", &self.schedules)]
            .into_iter()
            .find_map(|(list, lines)| {
                let (index, rest) = field.strip_prefix(list)?.strip_prefix('[')?.split_once(']')?;
                Some((lines.get(index.parse::<usize>().ok()?)?, rest.trim_start_matches('.')))
            });
        match found {
            Some((_, "currency")) => "--currency".to_owned(),
            Some((_, "timeZone")) => "--time-zone".to_owned(),
            Some((line, "")) => line.to_string(),
            Some((line, rest)) => format!("{line}: {rest}"),
            None => field.to_owned(),
        }
    }
}

struct ConcertLine {
    at: Cell,
    id: String,
    title: String,
    artist: String,
    description: Option<String>,
    poster_url: Option<String>,
    venue: Option<String>,
    /// The show that the concert itself is, where there is no table of schedules.
    show: Option<Show>,
}

#[derive(Clone)]
struct Show {
    at: Cell,
    id: String,
    concert: String,
    starts_at: String,
    ends_at: String,
    venue: Option<String>,
    total: Option<usize>,
}

struct SeatLine {
    at: Cell,
    price_at: Cell,
    id: String,
    section: (String, String),
    row: String,
    number: String,
    grade: String,
    price: u64,
    /// What it is instead of available.
    taken: Option<(Cell, String)>,
}

/// The seats, by the schedule or else the concert that they belong to.
struct Seats {
    by_schedule: HashMap<String, Vec<SeatLine>>,
    by_concert: HashMap<String, Vec<SeatLine>>,
    /// The sections in the order of their first seats.
    sections: Vec<(String, String)>,
}

struct Reader<'r> {
    settings: &'r Settings,
    wrong: &'r mut Wrong<Cell>,
    notes: Vec<String>,
    lines: Lines,
}

/// The columns that say when a show is.
struct When {
    start: Option<Place>,
    date: Option<Place>,
    time: Option<Place>,
    end: Option<Place>,
}

impl When {
    fn of(table: &mut Table) -> Self {
        Self {
            start: table.column(&["startsat", "startat", "starttime", "startdatetime", "start"]),
            date: table.column(&["date", "concertdate", "showdate"]),
            time: table.column(&["time", "concerttime", "showtime"]),
            end: table.column(&["endsat", "endat", "endtime", "enddatetime", "end"]),
        }
    }
}

impl Reader<'_> {
    fn concerts(&mut self, file: &File, has_schedules: bool) -> Vec<ConcertLine> {
        let mut table = Table::read(file, self.wrong);
        let id = table.needed(&["id", "concertid"], self.wrong);
        let title = table.needed(&["title", "name"], self.wrong);
        let artist = table.column(&["artist", "performer"]);
        let description = table.column(&["description"]);
        let poster = table.column(&["thumbnail", "thumbnailurl", "poster", "posterurl"]);
        let venue = table.column(&["venue", "venuename"]);
        let total = table.column(&["totalseats"]);
        let when = When::of(&mut table);
        self.tell_unread(file, &table);

        let mut ids = HashSet::new();
        let mut concerts = Vec::new();
        for line in table.lines() {
            let found = self.id(line, id, &mut ids, |text| ConcertId::parse(text).map(drop));
            let title = line.needed(title, self.wrong);
            let show_id = found.clone().unwrap_or_default();
            let show = if has_schedules {
                None
            } else {
                let total = self.total(line, total);
                self.show(line, &when, show_id.clone(), show_id, None, total)
            };
            let (Some(id), Some(title)) = (found, title) else { continue };
            let text = |place| line.text(place).map(str::to_owned);
            concerts.push(ConcertLine {
                at: line.cell(None),
                id,
                title: title.to_owned(),
                artist: text(artist).unwrap_or_default(),
                description: text(description),
                poster_url: text(poster),
                venue: text(venue),
                show,
            });
        }
        concerts
    }

    fn schedules(&mut self, file: &File, concerts: &[ConcertLine]) -> Vec<Show> {
        let mut table = Table::read(file, self.wrong);
        let id = table.needed(&["id", "scheduleid"], self.wrong);
        let concert = table.needed(&["concertid"], self.wrong);
        let venue = table.column(&["venue", "venuename"]);
        let total = table.column(&["totalseats"]);
        let status = table.column(&["status"]);
        let when = When::of(&mut table);
        // It follows from the seats.
        let _ = table.column(&["availableseats"]);
        self.tell_unread(file, &table);

        let known: HashSet<&str> = concerts.iter().map(|concert| concert.id.as_str()).collect();
        let mut ids = HashSet::new();
        let mut shows = Vec::new();
        let mut over = 0;
        for line in table.lines() {
            let found = self.id(line, id, &mut ids, |text| ScheduleId::parse(text).map(drop));
            match line.text(status).map(str::to_uppercase).as_deref() {
                None | Some("UPCOMING" | "OPEN" | "AVAILABLE" | "SCHEDULED") => {}
                Some("CLOSED" | "CANCELLED" | "CANCELED" | "SOLDOUT" | "SOLD_OUT") => {
                    over += 1;
                    continue;
                }
                Some(_) => self.wrong.note(
                    line.cell(status),
                    "must be UPCOMING, OPEN or AVAILABLE, or, for one that stays where it is, CLOSED, CANCELLED or SOLDOUT",
                ),
            }
            let of = line.needed(concert, self.wrong);
            if let Some(of) = of.filter(|of| !known.contains(of)) {
                self.wrong.note(line.cell(concert), format!("no concert has the id {of:?}"));
            }
            let total = self.total(line, total);
            let venue = line.text(venue).map(str::to_owned);
            let (id, of) = (found.unwrap_or_default(), of.unwrap_or_default().to_owned());
            shows.extend(self.show(line, &when, id, of, venue, total));
        }
        self.tell(over, "schedules are closed, sold out or cancelled, and stay where they are");
        shows
    }

    fn show(
        &mut self,
        line: Line<'_>,
        when: &When,
        id: String,
        concert: String,
        venue: Option<String>,
        total: Option<usize>,
    ) -> Option<Show> {
        let (start_cell, start) = match (line.text(when.start), line.text(when.date)) {
            (Some(start), _) => (when.start, start.to_owned()),
            (None, Some(date)) => {
                let Some(time) = line.needed(when.time, self.wrong) else {
                    self.wrong.note(line.cell(None), "has a date without a time");
                    return None;
                };
                if date.parse::<Date>().is_err() {
                    self.wrong.note(line.cell(when.date), "must be a date, as in 2026-06-01");
                    return None;
                }
                (when.time, format!("{date} {time}"))
            }
            (None, None) => {
                self.wrong.note(line.cell(None), "needs a start, in a column starts_at, or date and time");
                return None;
            }
        };
        let start = self.instant(&start, line.cell(start_cell));
        let end = match (line.text(when.end), self.settings.show_minutes) {
            (Some(end), _) => self.instant(end, line.cell(when.end)),
            (None, Some(minutes)) => start.map(|start| start + SignedDuration::from_mins(i64::from(minutes))),
            (None, None) => {
                self.wrong
                    .note(line.cell(when.end), "has no end: say how long a show is with --show-minutes");
                None
            }
        };
        let (start, end) = (start?, end?);
        if end <= start {
            self.wrong.note(line.cell(when.end), "must be after the start");
        }
        let (starts_at, ends_at) = (start.to_string(), end.to_string());
        Some(Show { at: line.cell(None), id, concert, starts_at, ends_at, venue, total })
    }

    /// Reads an instant: with an offset as it is, without one at the clocks of the house.
    fn instant(&mut self, text: &str, at: Cell) -> Option<Timestamp> {
        // Spreadsheets write hours of one digit.
        let padded = text.split_once([' ', 'T']).filter(|(_, time)| time.as_bytes().get(1) == Some(&b':'));
        let padded = padded.map(|(date, time)| format!("{date}T0{time}"));
        let text = padded.as_deref().unwrap_or(text);
        if let Ok(with_offset) = text.parse::<Timestamp>() {
            return Some(with_offset);
        }

        // A date alone would be its midnight, and a leap second the one before.
        let says_when = text.contains([' ', 'T', 't']) && !text.ends_with(":60");
        let Some(local) = text.parse::<DateTime>().ok().filter(|_| says_when) else {
            self.wrong.note(at, "must be a date and a time, as in 2026-06-01 19:00 or 2026-06-01T10:00:00Z");
            return None;
        };
        // Nobody means an instant that isn't, and which of two is meant nobody can tell.
        let zone = &self.settings.zone_name;
        let by_the_clock = self.settings.zone.to_ambiguous_zoned(local);
        match by_the_clock.offset() {
            AmbiguousOffset::Gap { .. } => {
                self.wrong.note(at, format!("is a time that the clocks of {zone} leave out that day"));
                None
            }
            AmbiguousOffset::Fold { .. } => {
                self.wrong.note(
                    at,
                    format!(
                        "is a time that the clocks of {zone} show twice that day: write it with its offset, as in \
                         2026-10-25T02:30:00+02:00"
                    ),
                );
                None
            }
            AmbiguousOffset::Unambiguous { .. } => {
                let instant = by_the_clock.unambiguous().ok().map(|zoned| zoned.timestamp());
                if instant.is_none() {
                    self.wrong.note(at, "is out of range");
                }
                instant
            }
        }
    }

    fn seats(&mut self, file: &File) -> Seats {
        let mut table = Table::read(file, self.wrong);
        let schedule = table.column(&["scheduleid", "concertscheduleid"]);
        let concert = if schedule.is_some() { None } else { table.needed(&["concertid"], self.wrong) };
        let number = table.needed(&["number", "seatnumber"], self.wrong);
        let price = table.needed(&["price"], self.wrong);
        let [floor, section, row, grade, status] = [
            &["floor"][..],
            &["section", "sectionid", "sectionname"],
            &["row", "rownumber", "rowname", "seatrow"],
            &["grade", "seatgrade"],
            &["status"],
        ]
        .map(|keys| table.column(keys));
        // They follow from it, or belong to who holds it.
        for keys in [&["id", "seatid"][..], &["version"], &["assigneduserid", "assigneduser", "userid"]] {
            let _ = table.column(keys);
        }
        self.tell_unread(file, &table);

        let mut seats =
            Seats { by_schedule: HashMap::new(), by_concert: HashMap::new(), sections: Vec::new() };
        let mut known = HashSet::new();
        for line in table.lines() {
            let owner = line.needed(schedule.or(concert), self.wrong);
            let number = line.needed(number, self.wrong);
            let price_text = line.needed(price, self.wrong);
            let amount = price_text.and_then(|text| self.price(text, line.cell(price)));
            let place = |place| line.text(place).unwrap_or_default().to_owned();
            let section = (place(floor), place(section));
            let (Some(owner), Some(number), Some(amount)) = (owner, number, amount) else { continue };

            let row = place(row);
            let parts = [section.0.as_str(), &section.1, &row, number];
            let id = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
            let grade = line.text(grade).map_or_else(|| format!("P{amount}"), str::to_owned);
            if !is_label(&id) || !is_label(&grade) {
                self.wrong.note(line.cell(None), format!("its place and its grade {NO_LABEL}"));
            }
            if known.insert(section.clone()) {
                seats.sections.push(section.clone());
            }
            let word = line.text(status).filter(|word| !word.eq_ignore_ascii_case("AVAILABLE"));
            let seat = SeatLine {
                at: line.cell(None),
                price_at: line.cell(price),
                id,
                section,
                row,
                number: number.to_owned(),
                grade,
                price: amount,
                taken: word.map(|word| (line.cell(status), word.to_owned())),
            };
            let of = if schedule.is_some() { &mut seats.by_schedule } else { &mut seats.by_concert };
            of.entry(owner.to_owned()).or_default().push(seat);
        }
        seats
    }

    /// Reads a price: whole minor units, or with as many decimal digits as were said.
    fn price(&mut self, text: &str, at: Cell) -> Option<u64> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = self.settings.price_digits;
        let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
            self.wrong.note(at, "must be a price, as in 50000");
            return None;
        }
        if digits.is_none() && text.contains('.') {
            self.wrong.note(
                at,
                "has a decimal point: say with --price-digits how many digits make the minor unit, 0 for won, 2 for euros",
            );
            return None;
        }
        let digits = digits.unwrap_or_default();
        let (kept, rest) = fraction.split_at(fraction.len().min(digits));
        if rest.bytes().any(|digit| digit != b'0') {
            self.wrong.note(at, format!("has more than {digits} decimal digits"));
            return None;
        }
        let price = format!("{whole}{kept:0<digits$}").parse().ok();
        if price.is_none() {
            self.wrong.note(at, "is too much");
        }
        price
    }

    fn documents(&mut self, concerts: &[ConcertLine], shows: &[Show], seats: &Seats) -> Documents {
        let mut houses = Houses::default();
        let mut documents = Documents::default();
        let mut without_shows = 0;
        for concert in concerts {
            let own: Vec<&Show> = shows.iter().filter(|show| show.concert == concert.id).collect();
            let Some(first) = own.first() else {
                without_shows += 1;
                continue;
            };
            let lines: Vec<&[SeatLine]> = own.iter().map(|show| self.seats_of(show, seats)).collect();
            let Some(plan) = self.plan(lines[0], &seats.sections) else { continue };
            for (show, more) in own.iter().zip(&lines).skip(1) {
                // The shows of a concert have one list where seats belong to the concert.
                let is_other = !core::ptr::eq(*more, lines[0]);
                if is_other && self.plan(more, &seats.sections).is_some_and(|other| other != plan) {
                    self.wrong.note(
                        show.at.clone(),
                        format!(
                            "has other seats or prices than schedule {}; give it a concert of its own",
                            first.id
                        ),
                    );
                }
                if show.venue != first.venue {
                    self.wrong.note(
                        show.at.clone(),
                        format!(
                            "is at another venue than schedule {}; give it a concert of its own",
                            first.id
                        ),
                    );
                }
            }

            let Some(name) = first.venue.clone().or(concert.venue.clone()) else {
                self.wrong.note(concert.at.clone(), "has no venue, nor has its schedule");
                continue;
            };
            let venue_id = houses.id(&name, plan.sections, self.settings);
            if houses.venues.len() > self.lines.venues.len() {
                self.lines.venues.push(first.at.clone());
            }
            self.lines.concerts.push(concert.at.clone());
            self.lines.schedules.extend(own.iter().map(|show| show.at.clone()));
            documents.concerts.push(Concert {
                concert_id: concert.id.clone(),
                title: concert.title.clone(),
                artist: concert.artist.clone(),
                description: concert.description.clone(),
                poster_url: concert.poster_url.clone(),
                venue_id,
                currency: self.settings.currency.clone(),
                grades: plan.grades,
            });
            documents.schedules.extend(own.iter().map(|show| Schedule {
                schedule_id: show.id.clone(),
                concert_id: concert.id.clone(),
                starts_at: show.starts_at.clone(),
                ends_at: show.ends_at.clone(),
            }));
        }
        let sold: HashSet<&str> = shows.iter().map(|show| show.id.as_str()).collect();
        let others = seats.by_schedule.iter().filter(|(owner, _)| !sold.contains(owner.as_str()));
        self.tell(
            others.map(|(_, seats)| seats.len()).sum(),
            "seats are of other shows, and stay where they are",
        );
        self.tell(without_shows, "concerts have no show that is still to be sold, and stay where they are");
        documents.venues = houses.venues;
        documents
    }

    /// Finds the seats of a show, and checks that they are all there and that none is sold.
    fn seats_of<'s>(&mut self, show: &Show, seats: &'s Seats) -> &'s [SeatLine] {
        let own = seats.by_schedule.get(&show.id).or_else(|| seats.by_concert.get(&show.concert));
        let own = own.map_or(&[][..], Vec::as_slice);
        if own.is_empty() {
            self.wrong.note(show.at.clone(), "has no seats in seats.csv");
        } else if let Some(total) = show.total.filter(|total| *total != own.len()) {
            let count = own.len();
            self.wrong.note(show.at.clone(), format!("says {total} seats, but seats.csv has {count} of it"));
        }
        if let Some((at, word)) = own.iter().find_map(|seat| seat.taken.as_ref()) {
            let taken = own.iter().filter(|seat| seat.taken.is_some()).count();
            self.wrong.note(
                at.clone(),
                format!(
                    "is {word:?}, and {taken} of the show's {} seats aren't available: what is sold stays where it is, \
                     so leave the show out, or export it before its sale begins",
                    own.len()
                ),
            );
        }
        own
    }

    /// Makes the sections and the grades of a show's seats.
    fn plan(&mut self, seats: &[SeatLine], order: &[(String, String)]) -> Option<HallPlan> {
        if seats.len() > SEATS_MAX {
            self.wrong.note(seats[SEATS_MAX].at.clone(), format!("a venue has at most {SEATS_MAX} seats"));
            return None;
        }
        let mut ids = HashSet::new();
        let mut prices: BTreeMap<&str, (u64, &Cell)> = BTreeMap::new();
        let mut rows: HashMap<&(String, String), RowsOf<'_>> = HashMap::new();
        for seat in seats {
            if !ids.insert(seat.id.as_str()) {
                self.wrong.note(seat.at.clone(), format!("is the second seat {:?} of its show", seat.id));
            }
            let (price, first) = *prices.entry(&seat.grade).or_insert((seat.price, &seat.price_at));
            if price != seat.price {
                self.wrong.note(
                    seat.price_at.clone(),
                    format!("grade {:?} costs {price} in {first}, and a grade has one price", seat.grade),
                );
            }
            let row = (seat.row.chars().count(), seat.row.as_str());
            rows.entry(&seat.section).or_default().entry(row).or_default().push(seat);
        }

        let mut sections = Vec::new();
        for key in order {
            let Some(rows) = rows.remove(key) else { continue };
            let or_main = |text: &str| if text.is_empty() { MAIN } else { text }.to_owned();
            let mut names = Names::default();
            let rows = rows.into_iter().flat_map(|((_, label), mut seats)| {
                seats.sort_by_key(|seat| (seat.number.trim_start_matches('0').chars().count(), &seat.number));
                let drawn = seats.into_iter().map(|seat| {
                    DrawnSeat::new(seat.id.clone(), seat.number.clone(), seat.grade.clone(), None)
                });
                let mut row = DrawnRow { label: or_main(label), seats: drawn.collect() };
                number(&mut row);
                rows_of(row, &mut names)
            });
            let rows = rows.collect();
            let (floor, section) = key;
            sections.push(Section {
                section_id: or_main(section),
                floor: floor.clone(),
                outline: None,
                rows,
            });
        }

        let mut prices: Vec<(&str, u64)> =
            prices.into_iter().map(|(grade, (price, _))| (grade, price)).collect();
        prices.sort_by_key(|(_, price)| core::cmp::Reverse(*price));
        let grade = |(place, (grade, price)): (usize, (&str, u64))| Grade {
            grade: grade.to_owned(),
            price,
            color: color(place),
        };
        let grades = prices.into_iter().enumerate().map(grade).collect();
        (!seats.is_empty()).then_some(HallPlan { sections, grades })
    }

    fn id(
        &mut self,
        line: Line<'_>,
        place: Option<Place>,
        used: &mut HashSet<String>,
        parse: impl Fn(&str) -> Result<(), InvalidId>,
    ) -> Option<String> {
        let id = line.needed(place, self.wrong)?;
        if let Err(invalid) = parse(id) {
            self.wrong.note(line.cell(place), invalid.to_string());
            return None;
        }
        if !used.insert(id.to_owned()) {
            self.wrong.note(line.cell(place), format!("{id:?} is the id of another line, too"));
            return None;
        }
        Some(id.to_owned())
    }

    fn total(&mut self, line: Line<'_>, place: Option<Place>) -> Option<usize> {
        let text = line.text(place)?;
        let total = text.parse().ok();
        if total.is_none() {
            self.wrong.note(line.cell(place), "must be a number of seats");
        }
        total
    }

    fn tell(&mut self, count: usize, what: &str) {
        if count > 0 {
            self.notes.push(format!("{count} {what}"));
        }
    }

    fn tell_unread(&mut self, file: &File, table: &Table) {
        let unread = table.unread();
        if !unread.is_empty() {
            self.notes.push(format!("columns of {} that aren't read: {}", file.name, unread.join(", ")));
        }
    }
}

/// The seats of a show with their prices.
#[derive(PartialEq)]
struct HallPlan {
    sections: Vec<Section>,
    grades: Vec<Grade>,
}

/// The venues. A name with several plans is several of them.
#[derive(Default)]
struct Houses {
    venues: Vec<Venue>,
}

impl Houses {
    /// Returns the id of the venue with this name and these seats.
    fn id(&mut self, name: &str, sections: Vec<Section>, settings: &Settings) -> String {
        let same = self.venues.iter().find(|venue| venue.name == name && venue.sections == sections);
        if let Some(venue) = same {
            return venue.venue_id.clone();
        }
        let numbered = (2_u32..).map(|number| format!("{}-{number}", slug(name)));
        let mut ids = core::iter::once(slug(name)).chain(numbered);
        let is_new = |id: &String| self.venues.iter().all(|venue| venue.venue_id != *id);
        let venue_id = ids.find(is_new).expect("numbers don't end");
        self.venues.push(Venue {
            venue_id: venue_id.clone(),
            name: name.to_owned(),
            time_zone: settings.zone_name.clone(),
            stage: None,
            sections,
            areas: Vec::new(),
        });
        venue_id
    }
}

/// Makes an id of a name: its letters and digits, and a dash for what stands between.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | ':')));
    let id: String = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").to_lowercase();
    let id: String = id.chars().take(VENUE_ID_LEN_MAX).collect();
    if id.is_empty() { "venue".to_owned() } else { id }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::super::accepted;
    use super::*;

    fn settings() -> Settings {
        Settings {
            zone: TimeZone::get("Asia/Seoul").unwrap(),
            zone_name: "Asia/Seoul".into(),
            currency: "KRW".into(),
            show_minutes: Some(120),
            price_digits: None,
        }
    }

    fn read_with(
        settings: &Settings,
        concerts: &str,
        schedules: Option<&str>,
        seats: &str,
    ) -> (Documents, Vec<String>, String) {
        let file = |name: &str, text: &str| File { name: name.into(), text: text.into() };
        let files = Files {
            concerts: file("concerts.csv", concerts),
            schedules: schedules.map(|text| file("schedules.csv", text)),
            seats: file("seats.csv", seats),
        };
        let mut wrong = Wrong::default();
        let (documents, lines, notes) = read(&files, settings, &mut wrong);
        assert_eq!(lines.concerts.len(), documents.concerts.len());
        assert_eq!(lines.schedules.len(), documents.schedules.len());
        assert_eq!(lines.venues.len(), documents.venues.len());
        (documents, notes, wrong.tell(ToString::to_string))
    }

    #[track_caller]
    fn good(concerts: &str, schedules: Option<&str>, seats: &str) -> (Documents, Vec<String>) {
        let (documents, notes, wrong) = read_with(&settings(), concerts, schedules, seats);
        assert_eq!(wrong, "");
        (documents, notes)
    }

    #[test]
    fn a_concert_with_a_date_and_numbered_seats_becomes_a_venue_a_concert_and_a_schedule() {
        let mut seats = "concert_id,number,price,status,assigned_user\n".to_owned();
        for number in (1..=12).rev() {
            let price = if number <= 4 { 90_000 } else { 50_000 };
            writeln!(seats, "7,{number},{price},AVAILABLE,NULL").unwrap();
        }
        let concerts = "id,title,artist,venue,date,time,total_seats,created_at\n7,Winter,Ann,Town Hall,2099-05-01,19:00,12,x\n";
        let (documents, notes) = good(concerts, None, &seats);
        assert_eq!(notes, ["columns of concerts.csv that aren't read: created_at"]);
        let (concert, show) = (&documents.concerts[0], &documents.schedules[0]);
        assert_eq!((concert.venue_id.as_str(), concert.currency.as_str()), ("town-hall", "KRW"));
        let grades: Vec<(&str, u64)> =
            concert.grades.iter().map(|grade| (grade.grade.as_str(), grade.price)).collect();
        assert_eq!(grades, [("P90000", 90_000), ("P50000", 50_000)]);
        assert_eq!(
            (show.schedule_id.as_str(), show.starts_at.as_str(), show.ends_at.as_str()),
            ("7", "2099-05-01T10:00:00Z", "2099-05-01T12:00:00Z")
        );
        let seats = accepted::seats(&documents);
        let rows: Vec<(&str, &str, u32)> =
            seats.iter().map(|seat| (seat.id.as_str(), seat.row.as_str(), seat.number)).collect();
        assert_eq!(
            (rows[0], rows[4], rows[11]),
            (("1", "Main P90000", 1), ("5", "Main P50000", 5), ("12", "Main P50000", 12))
        );
    }

    /// Two shows of one hall, one of another, one cancelled.
    const CONCERTS: &str = "id,name,artist,description,thumbnail\n1,Hamlet,Company,\"To be, or not\",https://example.org/h.png\n2,Lear,Company,,\n3,Over,Company,,\n";
    const SCHEDULES: &str = "id,concert_id,start_time,end_time,venue,total_seats,available_seats,status\n\
        11,1,2099-05-01 19:00:00,2099-05-01 22:00:00,Globe,3,3,OPEN\n\
        12,1,2099-05-02T10:00:00Z,2099-05-02T13:00:00Z,Globe,3,3,UPCOMING\n\
        21,2,2099-06-01 19:00:00,2099-06-01 22:00:00,Globe,3,3,UPCOMING\n\
        31,3,2099-06-01 19:00:00,2099-06-01 22:00:00,Globe,3,0,CANCELLED\n";

    fn seats_of(schedules: &[u32], taken: &str) -> String {
        let mut seats = "id,scheduleId,section,rowNumber,seatNumber,grade,price,status,version\n".to_owned();
        for schedule in schedules {
            for (row, number, grade, price) in [("10", 1, "R", 5), ("2", 2, "VIP", 9), ("2", 1, "VIP", 9)] {
                let status = if *schedule == 31 { "RESERVED" } else { taken };
                writeln!(seats, "{row}{number},{schedule},A,{row},{number},{grade},{price},{status},0")
                    .unwrap();
            }
        }
        seats
    }

    #[test]
    fn shows_of_one_hall_share_a_venue_and_what_is_over_stays() {
        let (documents, notes) = good(CONCERTS, Some(SCHEDULES), &seats_of(&[11, 12, 21, 31], "AVAILABLE"));
        assert_eq!((documents.venues.len(), documents.concerts.len(), documents.schedules.len()), (1, 2, 3));
        assert_eq!(documents.schedules[1].starts_at, "2099-05-02T10:00:00Z", "an offset counts");
        assert_eq!(documents.concerts[0].poster_url.as_deref(), Some("https://example.org/h.png"));
        assert_eq!(
            notes,
            [
                "1 schedules are closed, sold out or cancelled, and stay where they are",
                "3 seats are of other shows, and stay where they are",
                "1 concerts have no show that is still to be sold, and stay where they are",
            ]
        );
        let ids: Vec<String> = accepted::seats(&documents).into_iter().map(|seat| seat.id).collect();
        assert_eq!(ids, ["A-2-1", "A-2-2", "A-10-1"], "rows and numbers in their order");
    }

    #[test]
    fn a_show_with_a_seat_that_is_taken_is_refused() {
        let (_, _, wrong) =
            read_with(&settings(), CONCERTS, Some(SCHEDULES), &seats_of(&[11, 12, 21], "HOLDING"));
        let lines: Vec<&str> = wrong.lines().collect();
        assert_eq!(lines.len(), 3, "once a show: {wrong}");
        assert!(
            lines[0].starts_with(
                "seats.csv:2: status: is \"HOLDING\", and 3 of the show's 3 seats aren't available"
            ),
            "{wrong}"
        );
    }

    #[test]
    fn a_time_that_the_clocks_leave_out_or_show_twice_is_refused_with_its_cell() {
        let berlin = Settings {
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            zone_name: "Europe/Berlin".into(),
            ..settings()
        };
        let seats = "concert_id,number,price\n1,1,10\n2,1,10\n3,1,10\n4,1,10\n5,1,10\n";
        let concerts = "id,title,venue,date,time\n1,A,G,2026-03-29,02:30\n2,B,G,2026-10-25,2:30\n3,C,G,2026-03-29,3:00\n\
            4,D,G,29/03/2026,20:00\n5,E,G,2026-03-29,8pm\n";
        let (_, _, wrong) = read_with(&berlin, concerts, None, seats);
        assert_eq!(
            wrong,
            "concerts.csv:2: time: is a time that the clocks of Europe/Berlin leave out that day\n\
             concerts.csv:3: time: is a time that the clocks of Europe/Berlin show twice that day: write it with its offset, as in 2026-10-25T02:30:00+02:00\n\
             concerts.csv:5: date: must be a date, as in 2026-06-01\n\
             concerts.csv:6: time: must be a date and a time, as in 2026-06-01 19:00 or 2026-06-01T10:00:00Z"
        );
        let concerts =
            "id,title,venue,starts_at\n1,A,G,2026-10-25T02:30:00+02:00\n2,B,G,2026-10-25 9:05:00\n";
        let (documents, _, wrong) =
            read_with(&berlin, concerts, None, "concert_id,number,price\n1,1,10\n2,1,10\n");
        assert_eq!(wrong, "");
        let starts: Vec<&str> = documents.schedules.iter().map(|show| show.starts_at.as_str()).collect();
        assert_eq!(starts, ["2026-10-25T00:30:00Z", "2026-10-25T08:05:00Z"]);
    }

    #[test]
    fn a_field_of_the_document_leads_to_its_line_or_to_a_flag() {
        let (concerts, seats) = (
            "id,title,venue,date,time\n1,A,G,2099-05-01,19:00\n\n2,B,H,2099-05-01,19:00\n",
            "concert_id,number,price\n1,1,10\n2,1,10\n",
        );
        let file = |name: &str, text: &str| File { name: name.into(), text: text.into() };
        let files = Files { concerts: file("c.csv", concerts), schedules: None, seats: file("s.csv", seats) };
        let (_, lines, _) = read(&files, &settings(), &mut Wrong::default());
        for (field, place) in [
            ("concerts[1].title", "c.csv:4: title"),
            ("schedules[0].endsAt", "c.csv:2: endsAt"),
            ("venues[1].sections[0].rows[2]", "c.csv:4: sections[0].rows[2]"),
            ("concerts[0].currency", "--currency"),
            ("venues[0].timeZone", "--time-zone"),
            ("concerts[7].title", "concerts[7].title"),
            ("venues", "venues"),
        ] {
            assert_eq!(lines.place(field), place);
        }
    }

    #[test]
    fn every_error_of_the_tables_is_told_at_once_with_its_line_and_column() {
        let concerts = "id,title,venue\n1,Hamlet,Globe\n1,Lear,Globe\na b,X,Globe\n4,,Globe\n";
        let schedules = "id,concert_id,date,time,status,total_seats\n\
            s1,1,2099-05-01,19:00,OPEN,4\n\
            s2,9,2099-05-01,25:00,OPEN,\n\
            s3,1,2099-05-01,,GONE,x\n\
            s4,1,2099-05-01,19:00,OPEN,\n";
        let seats = "schedule_id,number,grade,price\ns1,1,R,10\ns1,1,R,10\ns1,3,R,11\ns1,4,R,1.5\ns1,,R,10\n";
        let (_, _, wrong) = read_with(&settings(), concerts, Some(schedules), seats);
        assert_eq!(
            wrong,
            "concerts.csv:3: id: \"1\" is the id of another line, too\n\
             concerts.csv:4: id: has a character that is not allowed here\n\
             concerts.csv:5: title: is empty\n\
             schedules.csv:3: concert_id: no concert has the id \"9\"\n\
             schedules.csv:3: time: must be a date and a time, as in 2026-06-01 19:00 or 2026-06-01T10:00:00Z\n\
             schedules.csv:4: status: must be UPCOMING, OPEN or AVAILABLE, or, for one that stays where it is, CLOSED, CANCELLED or SOLDOUT\n\
             schedules.csv:4: total_seats: must be a number of seats\n\
             schedules.csv:4: time: is empty\n\
             schedules.csv:4: has a date without a time\n\
             seats.csv:5: price: has a decimal point: say with --price-digits how many digits make the minor unit, 0 for won, 2 for euros\n\
             seats.csv:6: number: is empty\n\
             schedules.csv:2: says 4 seats, but seats.csv has 3 of it\n\
             schedules.csv:5: has no seats in seats.csv\n\
             seats.csv:3: is the second seat \"1\" of its show\n\
             seats.csv:4: price: grade \"R\" costs 10 in seats.csv:2: price, and a grade has one price"
        );
    }

    #[test]
    fn shows_of_a_concert_that_differ_want_a_concert_of_their_own() {
        let seats =
            seats_of(&[11], "AVAILABLE") + "x,12,A,1,1,R,5,AVAILABLE,0\n" + "x,21,A,1,1,R,5,AVAILABLE,0\n";
        let schedules = SCHEDULES.replace(",3,3,", ",,,");
        let (_, _, wrong) = read_with(&settings(), CONCERTS, Some(&schedules), &seats);
        assert_eq!(
            wrong,
            "schedules.csv:3: has other seats or prices than schedule 11; give it a concert of its own"
        );
        let (documents, _) = good(
            "id,title,venue,date,time\n1,A,Globe,2099-05-01,19:00\n2,B,Globe,2099-05-02,19:00\n3,C,★,2099-05-02,19:00\n",
            None,
            "concert_id,number,price\n1,1,5\n2,1,5\n2,2,5\n3,1,5\n",
        );
        let ids: Vec<&str> = documents.venues.iter().map(|venue| venue.venue_id.as_str()).collect();
        assert_eq!(ids, ["globe", "globe-2", "venue"], "a name with two plans is two venues");
    }

    #[test]
    fn a_price_is_in_minor_units_or_as_was_said() {
        let price = |digits: Option<usize>, text: &str| {
            let settings = Settings { price_digits: digits, ..settings() };
            let seats = format!("concert_id,number,price\n1,1,{text}\n");
            let (documents, _, wrong) =
                read_with(&settings, "id,title,venue,date,time\n1,A,G,2099-05-01,19:00\n", None, &seats);
            let grade = documents.concerts.first().and_then(|concert| concert.grades.first());
            if wrong.is_empty() {
                Ok(grade.unwrap().price)
            } else {
                Err(wrong.contains("seats.csv:2: price: "))
            }
        };
        assert_eq!(price(None, "50000"), Ok(50_000));
        assert_eq!(price(Some(0), "50000.00"), Ok(50_000));
        assert_eq!(price(Some(2), "12.5"), Ok(1250));
        assert_eq!(price(Some(2), "12"), Ok(1200));
        assert_eq!(price(Some(2), "12.990"), Ok(1299));
        for (digits, text) in [
            (None, "12.00"),
            (Some(0), "12.5"),
            (Some(2), "12.995"),
            (None, "-1"),
            (None, "1e3"),
            (None, ".5"),
            (Some(2), "99999999999999999999"),
        ] {
            assert_eq!(price(digits, text), Err(true), "{text}");
        }
    }

    #[test]
    fn a_show_is_as_long_as_was_said_or_as_its_end_says() {
        let show = |minutes, end: &str| {
            let settings = Settings { show_minutes: minutes, ..settings() };
            let concerts = format!("id,title,venue,starts_at,ends_at\n1,A,G,2099-05-01 19:00,{end}\n");
            let (documents, _, wrong) =
                read_with(&settings, &concerts, None, "concert_id,number,price\n1,1,5\n");
            documents.schedules.first().map(|show| show.ends_at.clone()).ok_or(wrong)
        };
        assert_eq!(show(Some(90), "").unwrap(), "2099-05-01T11:30:00Z");
        assert_eq!(show(Some(90), "2099-05-01 20:00").unwrap(), "2099-05-01T11:00:00Z");
        assert!(show(None, "\\N").unwrap_err().contains("concerts.csv:2: ends_at: has no end"));
        let (_, _, wrong) = read_with(
            &settings(),
            "id,title,venue,starts_at,ends_at\n1,A,G,2099-05-01 19:00,2099-05-01 19:00\n",
            None,
            "concert_id,number,price\n1,1,5\n",
        );
        assert!(wrong.contains("must be after the start"), "{wrong}");
    }

    proptest! {
        #[test]
        fn the_engine_takes_every_hall_and_every_seat_arrives_once(
            seats in prop::collection::btree_map((0_u8..3, 0_u8..12, 1_u16..200), 0_u8..4, 1..60),
            shuffle in any::<u64>(),
        ) {
            let mut lines: Vec<String> = seats
                .iter()
                .map(|((section, row, number), grade)| format!("1,S{section},{row},{number},G{grade},{}", 100 + u32::from(*grade)))
                .collect();
            // Databases give them in any order.
            lines.sort_by_key(|line| line.bytes().fold(shuffle, |hash, byte| hash.rotate_left(5) ^ u64::from(byte)));
            let text = format!("schedule_id,section,row,number,grade,price\n{}\n", lines.join("\n"));
            let schedules = format!("id,concert_id,starts_at,venue,total_seats\n1,1,2099-05-01 19:00,G,{}\n", seats.len());
            let (documents, _) = good("id,title\n1,A\n", Some(&schedules), &text);
            let arrived = accepted::seats(&documents);
            prop_assert_eq!(arrived.len(), seats.len());
            for ((section, row, number), grade) in &seats {
                let id = format!("S{section}-{row}-{number}");
                let seat = arrived.iter().find(|seat| seat.id == id).unwrap();
                prop_assert_eq!((seat.number, seat.grade.clone()), (u32::from(*number), format!("G{grade}")));
            }
            // Neighbours in a row stand in the order of their numbers.
            for pair in arrived.windows(2).filter(|pair| pair[0].row == pair[1].row && pair[0].section == pair[1].section) {
                prop_assert!(pair[0].number < pair[1].number);
            }
        }
    }
}
