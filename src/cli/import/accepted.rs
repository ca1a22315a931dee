//! For tests: what the engine makes of a document.

use std::collections::HashMap;

use onsale::domain::venue::{Layout, Seating, places};
use onsale::http::documents::ImportDocument;
use onsale::http::json::parse;

use super::document::Documents;

/// A seat as the engine has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seat {
    pub(super) id: String,
    pub(super) floor: String,
    pub(super) section: String,
    pub(super) row: String,
    pub(super) number: u32,
    pub(super) grade: String,
    pub(super) at: (String, String),
    pub(super) accessible: bool,
    pub(super) companion_of: Option<String>,
    pub(super) restricted_view: bool,
}

/// Has the engine read a document with one venue, and returns the venue's seats in the engine's order.
pub(super) fn seats(documents: &Documents) -> Vec<Seat> {
    let body = serde_json::to_vec(documents).unwrap();
    let document: ImportDocument = parse(&body).unwrap();
    let import = document.into_domain(&HashMap::new()).unwrap();
    let [venue] = import.venues.as_slice() else { panic!("one venue") };
    let layout = Layout::new(&venue.sections).unwrap();
    let seating = Seating::new(venue, &layout).unwrap();
    let at = places(&venue.sections, &layout).unwrap();
    let seat = |seat| {
        let row = layout.row(seat);
        let section = &layout.sections()[usize::from(row.section)];
        let marks = seating.marks(seat);
        let at = at[seat.index()];
        Seat {
            id: layout.seat_id(seat).to_owned(),
            floor: section.floor.to_string(),
            section: section.id.to_string(),
            row: row.id.to_string(),
            number: layout.seat_number(seat),
            grade: layout.grades()[row.grade.index()].to_string(),
            at: (at.x.to_string(), at.y.to_string()),
            accessible: marks.accessible,
            companion_of: marks.companion_of.map(|of| layout.seat_id(of).to_owned()),
            restricted_view: marks.restricted_view,
        }
    };
    layout.seats().map(seat).collect()
}
