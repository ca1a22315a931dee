//! A seat map for the terminal: one character for each seat, rows in the venue's order.

use core::fmt::{self, Display, Formatter, Write};
use std::io::IsTerminal;

use onsale::domain::schedule::{Schedule, SeatStatus};
use onsale::domain::venue::Seat;

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

/// Displays the seats of a schedule.
pub(super) struct Map<'a> {
    pub(super) schedule: &'a Schedule,
    /// Whether to write escape sequences of colours.
    pub(super) colour: bool,
}

impl Display for Map<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let layout = self.schedule.layout();
        let label_width = layout.rows().iter().map(|row| row.id.chars().count()).max().unwrap_or_default();
        let mut section = None;
        for row in layout.rows() {
            if section != Some(row.section) {
                section = Some(row.section);
                let section = &layout.sections()[usize::from(row.section)];
                writeln!(f, "\n{} {}", plain(&section.floor), plain(&section.id))?;
            }
            write!(f, "  {:>label_width$}  ", plain(&row.id))?;
            let statuses = row.range().map(|seat| self.schedule.statuses()[seat]);
            paint(f, statuses, self.colour)?;
            let grade = plain(layout.grades()[row.grade.index()].as_str());
            let last = Seat(row.first.0 + row.len.saturating_sub(1));
            writeln!(f, "  {grade} {}-{}", layout.seat_number(row.first), layout.seat_number(last))?;
        }
        self.write_areas(f)?;
        self.write_legend(f)
    }
}

impl Map<'_> {
    /// Writes a line for each area: how many of its places have each status.
    fn write_areas(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let layout = self.schedule.layout();
        for (index, (area, counts)) in layout.areas().iter().zip(self.schedule.area_counts()).enumerate() {
            let gap = if index == 0 { "\n" } else { "" };
            write!(f, "{gap}{} {}  {}", plain(&area.floor), plain(&area.id), area.capacity)?;
            for status in SeatStatus::ALL {
                f.write_str("  ")?;
                paint(f, core::iter::once(status), self.colour)?;
                write!(f, " {}", counts.of(status))?;
            }
            writeln!(f, "  {}", plain(layout.grades()[area.grade.index()].as_str()))?;
        }
        Ok(())
    }

    fn write_legend(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counts = self.schedule.counts();
        writeln!(f)?;
        for status in SeatStatus::ALL {
            paint(f, core::iter::once(status), self.colour)?;
            writeln!(f, " {} {}", status.as_str(), counts.of(status))?;
        }
        Ok(())
    }
}

/// Writes the characters of the statuses. The colour changes only where the status does.
fn paint(f: &mut impl Write, statuses: impl Iterator<Item = SeatStatus>, colour: bool) -> fmt::Result {
    let mut standing = None;
    for status in statuses {
        let (character, sgr) = look(status);
        if colour && standing != Some(status) {
            write!(f, "\u{1b}[{sgr}m")?;
            standing = Some(status);
        }
        f.write_char(character)?;
    }
    if standing.is_some() { f.write_str("\u{1b}[0m") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(colour: bool) -> String {
        let mut text = String::new();
        let statuses = [SeatStatus::Available, SeatStatus::Available, SeatStatus::Held, SeatStatus::Reserved];
        paint(&mut text, statuses.into_iter(), colour).unwrap();
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
