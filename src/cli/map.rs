//! A seat map in the terminal: one character a seat, rows as they stand in the venue.

use std::io::IsTerminal;

use onsale::domain::schedule::{Schedule, SeatStatus};
use onsale::domain::venue::{Layout, Seat};

use super::output::plain;

/// Tells whether standard output is a terminal whose owner wants colour (<https://no-color.org>).
pub(super) fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::io::stdout().is_terminal()
}

/// The character of a status, and its colour as SGR has it.
const fn look(status: SeatStatus) -> (char, &'static str) {
    match status {
        SeatStatus::Available => ('.', "32"),
        SeatStatus::Held => ('h', "33"),
        SeatStatus::Reserved => ('#', "31"),
        SeatStatus::Blocked => ('x', "90"),
    }
}

/// Draws the seats of a schedule.
pub(super) fn draw(schedule: &Schedule, colour: bool) -> String {
    let layout = schedule.layout();
    let mut text = String::new();
    let mut section = None;
    let label_width = layout.rows().iter().map(|row| row.id.chars().count()).max().unwrap_or_default();
    for row in layout.rows() {
        if section != Some(row.section) {
            section = Some(row.section);
            text += &heading(layout, row.section);
        }
        let id = plain(&row.id);
        text += &format!("  {id:>label_width$}  ");
        let statuses = row.range().map(|seat| schedule.statuses()[seat]);
        paint(&mut text, statuses, colour);
        let first = layout.seat_number(row.first);
        let grade = plain(layout.grades()[row.grade.index()].as_str());
        let last = layout.seat_number(Seat(row.first.0 + row.len.saturating_sub(1)));
        text += &format!("  {grade} {first}-{last}\n");
    }
    text += &legend(schedule, colour);
    text
}

fn heading(layout: &Layout, section: u16) -> String {
    let section = &layout.sections()[usize::from(section)];
    format!("\n{} {}\n", plain(&section.floor), plain(&section.id))
}

/// Writes characters, with a change of colour where the status changes.
fn paint(text: &mut String, statuses: impl Iterator<Item = SeatStatus>, colour: bool) {
    let mut standing = None;
    for status in statuses {
        let (character, sgr) = look(status);
        if colour && standing != Some(status) {
            *text += &format!("\u{1b}[{sgr}m");
            standing = Some(status);
        }
        text.push(character);
    }
    if standing.is_some() {
        *text += "\u{1b}[0m";
    }
}

fn legend(schedule: &Schedule, colour: bool) -> String {
    let counts = schedule.counts();
    let mut text = "\n".to_owned();
    for status in SeatStatus::ALL {
        paint(&mut text, core::iter::once(status), colour);
        text += &format!(" {} {}   ", status.as_str(), counts.of(status));
    }
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(colour: bool) -> String {
        let mut text = String::new();
        let statuses = [SeatStatus::Available, SeatStatus::Available, SeatStatus::Held, SeatStatus::Reserved];
        paint(&mut text, statuses.into_iter(), colour);
        text
    }

    #[test]
    fn without_colour_a_row_is_its_characters() {
        assert_eq!(painted(false), "..h#");
    }

    #[test]
    fn a_colour_is_set_where_the_status_changes_and_given_back_at_the_end() {
        assert_eq!(painted(true), "\u{1b}[32m..\u{1b}[33mh\u{1b}[31m#\u{1b}[0m");
    }
}
