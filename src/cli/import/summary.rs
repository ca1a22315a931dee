//! What is to be imported, for people.

use std::fmt::Write;

use super::document::{Documents, Venue};
use crate::cli::output::{count, plain};

/// The most venues that are told one by one.
const VENUES_TOLD: usize = 10;

/// Tells what the documents have, and what isn't as it was.
pub(super) fn tell(kind: &str, documents: &Documents, notes: &[String]) -> String {
    let mut told = format!("{}\n", plain(kind));
    for venue in documents.venues.iter().take(VENUES_TOLD) {
        told.push_str(&of_venue(venue));
    }
    if documents.venues.len() > VENUES_TOLD {
        let _ = writeln!(told, "  and {} more venues", documents.venues.len() - VENUES_TOLD);
    }
    for concert in documents.concerts.iter().take(VENUES_TOLD) {
        let grades = concert.grades.iter().map(|grade| format!("{} {}", grade.grade, grade.price));
        let grades = grades.collect::<Vec<_>>().join(", ");
        let shows = documents.schedules.iter().filter(|show| show.concert_id == concert.concert_id).count();
        let (id, title) = (&concert.concert_id, &concert.title);
        let line = format!(
            "concert {id}, {title:?}: {} ({grades} {})",
            counted(shows, "schedule"),
            concert.currency
        );
        let _ = writeln!(told, "  {}", plain(&line));
    }
    if documents.concerts.len() > VENUES_TOLD {
        let _ = writeln!(told, "  and {} more concerts", documents.concerts.len() - VENUES_TOLD);
    }
    for note in notes {
        let _ = writeln!(told, "  note: {}", plain(note));
    }
    told
}

fn of_venue(venue: &Venue) -> String {
    let seats: Vec<_> = venue.seats().map(|(_, seat)| seat).collect();
    let rows = venue.sections.iter().map(|section| section.rows.len()).sum();
    let mut parts =
        vec![counted(venue.sections.len(), "section"), counted(rows, "row"), counted(seats.len(), "seat")];
    if !venue.areas.is_empty() {
        let places: u64 = venue.areas.iter().map(|area| u64::from(area.capacity)).sum();
        parts.push(format!("{} with {}", counted(venue.areas.len(), "area"), count(places, "place")));
    }
    let line = format!("venue {}, {:?}: {}", venue.venue_id, venue.name, parts.join(", "));
    let mut told = format!("  {}\n", plain(&line));

    for (grade, seats, places) in venue.grades() {
        let of_seats = (seats > 0).then(|| count(seats, "seat"));
        let of_places = (places > 0).then(|| count(places, "place"));
        let line = [of_seats, of_places].into_iter().flatten().collect::<Vec<_>>().join(", ");
        let _ = writeln!(told, "    grade {}: {line}", plain(grade));
    }
    let marked = |is: fn(&super::document::Seat) -> bool| seats.iter().filter(|seat| is(seat)).count();
    let marks = [
        (marked(|seat| seat.accessible), "accessible"),
        (marked(|seat| seat.companion_of.is_some()), "for companions"),
        (marked(|seat| seat.restricted_view), "with a restricted view"),
    ];
    let marks: Vec<String> = marks
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !marks.is_empty() {
        let _ = writeln!(told, "    of the seats: {}", marks.join(", "));
    }
    told
}

fn counted(number: usize, word: &str) -> String {
    count(u64::try_from(number).unwrap_or(u64::MAX), word)
}
