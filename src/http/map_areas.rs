//! The areas of a seat map: how many of their places have each status. The filter of a map, which is theirs, too.

use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::documents::{GradeText, NameText, PlaceText};
use super::json_writer::JsonWriter;
use crate::domain::concert::Prices;
use crate::domain::schedule::{AreaChange, Counts, SeatStatus};
use crate::domain::venue::{Grade, Layout, LayoutArea, Seating};
use crate::engine::{Engine, ScheduleEntry};

/// The filter of a map.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SeatFilter {
    pub(super) status: Option<SeatStatus>,
    pub(super) grade: Option<Grade>,
}

/// An area of a map.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MapArea)]
pub(super) struct MapAreaDocument<'a> {
    #[schema(value_type = PlaceText)]
    area_id: &'a str,
    #[schema(value_type = NameText)]
    name: &'a str,
    #[schema(value_type = GradeText)]
    grade: &'a str,
    /// The price of a place, in the currency's minor unit.
    price: u64,
    /// How many places it has.
    capacity: u32,
    /// Places that can be held.
    available: u32,
    /// Places that are held or being paid.
    held: u32,
    /// Places that are sold.
    reserved: u32,
    /// Places that are off sale.
    blocked: u32,
}

/// The areas of a map, to be written.
#[derive(Debug)]
pub(super) struct MapAreas<'a> {
    pub(super) layout: &'a Layout,
    /// What the venue calls them; of a venue that is being removed only the ids are known.
    pub(super) seating: Option<&'a Seating>,
    pub(super) prices: &'a Prices,
    /// By the area's index.
    pub(super) counts: &'a [Counts],
}

impl<'a> MapAreas<'a> {
    /// Returns the areas that a filter chooses: those of its grade, and those that have a place of its status.
    pub(super) fn documents(&self, narrow: SeatFilter) -> Vec<MapAreaDocument<'a>> {
        let names = self.seating.map_or(&[][..], Seating::area_names);
        let areas = self.layout.areas().iter().zip(self.counts).enumerate();
        let is_chosen = |grade, counts: &Counts| {
            narrow.grade.is_none_or(|wanted| wanted == grade)
                && narrow.status.is_none_or(|status| counts.of(status) > 0)
        };

        let chosen = areas.filter(|(_, (area, counts))| is_chosen(area.grade, counts));
        let document = |(index, (area, counts)): (usize, (&'a LayoutArea, &Counts))| MapAreaDocument {
            area_id: &area.id,
            name: names.get(index).map_or(&*area.id, |name| name),
            grade: &self.layout.grades()[area.grade.index()],
            price: self.prices.by_grade[area.grade.index()].minor(),
            capacity: area.capacity,
            available: counts.available,
            held: counts.held,
            reserved: counts.reserved,
            blocked: counts.blocked,
        };
        chosen.map(document).collect()
    }

    /// Writes the member `areas` behind another one; nothing where the venue has no areas.
    pub(super) fn member(&self, narrow: SeatFilter) -> String {
        if self.layout.areas().is_empty() {
            return String::new();
        }
        let mut json = JsonWriter::default();
        json.raw(",\"areas\":").document(&self.documents(narrow));
        String::from_utf8(json.into_bytes()).expect("JSON is UTF-8")
    }
}

/// Returns what a schedule's venue calls its areas, where it has any.
pub(super) fn seating_of(engine: &Engine, entry: &ScheduleEntry) -> Option<Arc<Seating>> {
    if entry.layout().areas().is_empty() {
        return None;
    }
    let catalogue = engine.catalogue();
    Some(Arc::clone(&catalogue.venue(entry.read().venue())?.seating))
}

/// Writes the member `areas` of a delta behind another one: of each area the counts that changed. Nothing where none did.
pub(super) fn write_changes(json: &mut JsonWriter, layout: &Layout, changes: &[AreaChange]) {
    if changes.is_empty() {
        return;
    }
    json.raw(",\"areas\":{");
    for (index, AreaChange { area, before, after }) in changes.iter().enumerate() {
        json.raw(if index == 0 { "" } else { "," });
        json.string(&layout.areas()[area.index()].id).raw(":{");
        let moved = SeatStatus::ALL.into_iter().filter(|status| before.of(*status) != after.of(*status));
        for (index, status) in moved.enumerate() {
            json.raw(if index == 0 { "\"" } else { ",\"" });
            json.raw(status.as_str()).raw("\":").display(after.of(status));
        }
        json.raw("}");
    }
    json.raw("}");
}
