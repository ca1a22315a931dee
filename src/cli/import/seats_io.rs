//! A chart of seats.io, as its designer keeps it: the answer of `GET /charts/{key}/version/published`.
//!
//! The format has no public schema. What is read here is what the charts show that seats.io's own clients are tested with (versions 17 to
//! 22 of the format), and what its documentation says of labels and marks. What they don't show is left out, and told.

use core::ops::RangeInclusive;
use std::collections::HashMap;

use onsale::domain::venue::{OUTLINE_LEN_MAX, OUTLINE_LEN_MIN};

use super::chart::{Chart, House, Ids, label_of, point_of};
use super::document::{
    Area, DrawnRow, DrawnSeat, MAIN, NO_LABEL, Names, Outline, Point, Row, Section, Stage, Venue, is_label,
    number, rows_of,
};
use super::json::{Json, Node};
use super::wrong::Wrong;

/// The versions of the format that are known.
const VERSIONS: RangeInclusive<u32> = 17..=22;
/// The most places that an area can have.
const AREA_PLACES_MAX: u32 = 100_000;

/// Tells whether a JSON text can be nothing but such a chart.
pub(super) fn is_chart(root: &Node<'_>) -> bool {
    let drawn = root.member("subChart").is_some_and(Node::is_object)
        || root.member("subChartFloors").is_some_and(Node::is_list);
    drawn && root.member("categories").is_some_and(Node::is_object) && root.member("venueType").is_some()
}

/// Reads a chart. It is complete only if nothing is wrong.
pub(super) fn read(json: &Json<'_>, house: &House, wrong: &mut Wrong<usize>) -> Chart {
    let root = json.root();
    let mut reader = Reader {
        wrong,
        categories: HashMap::new(),
        zones: HashMap::new(),
        ids: Ids::default(),
        areas: Vec::new(),
        stage: None,
        left: Left::default(),
    };

    let version = root.member("version").and_then(|version| version.label(reader.wrong)).unwrap_or("unknown");
    let name = root.member("name").and_then(|name| name.label(reader.wrong));
    let categories = reader.categories(root);
    reader.zones(root);

    let mut sections = Vec::new();
    let mut upside_down = false;
    if let Some(drawing) = root.member("subChart") {
        (sections, upside_down) = reader.drawing(drawing, "");
    }
    for floor in root.list("subChartFloors", reader.wrong) {
        let name = ["floorDisplayName", "floorName"].iter().find_map(|name| floor.member(name));
        let name = name.and_then(|name| name.label(reader.wrong)).unwrap_or_default();
        let (more, turned) = reader.drawing(floor, name);
        sections.extend(more);
        upside_down |= turned;
    }
    if sections.is_empty() && reader.areas.is_empty() && reader.wrong.is_empty() {
        reader.wrong.note(root.at(), "has no seats and no areas");
    }

    let mut venue = Venue {
        venue_id: house.venue_id.clone(),
        name: house.name.clone().or(name.map(str::to_owned)).unwrap_or_default(),
        time_zone: house.time_zone.clone(),
        stage: reader.stage.take(),
        sections,
        areas: core::mem::take(&mut reader.areas),
    };
    if upside_down {
        venue.turn();
    }
    let mut notes = reader.left.told();
    if !version.parse().is_ok_and(|version: u32| VERSIONS.contains(&version)) {
        let (first, last) = (VERSIONS.start(), VERSIONS.end());
        notes.insert(0, format!("this version isn't known here; {first} to {last} are"));
    }
    Chart { kind: format!("a seats.io chart, version {version}"), venue, categories, notes }
}

struct Category {
    label: String,
    accessible: bool,
}

struct Reader<'w> {
    wrong: &'w mut Wrong<usize>,
    /// By their keys.
    categories: HashMap<String, Category>,
    /// The focal points of zones, by their keys.
    zones: HashMap<String, Point>,
    ids: Ids,
    areas: Vec<Area>,
    stage: Option<Stage>,
    left: Left,
}

/// Where a part of the chart stands.
#[derive(Clone, Copy)]
struct Within<'n> {
    floor: &'n str,
    /// The section's label, which goes before the labels of its rows.
    section: Option<&'n str>,
    /// The corner that its coordinates are counted from.
    corner: Point,
    /// The category of what names none.
    category: Option<&'n Node<'n>>,
}

/// A section with the middle of its seats.
struct Placed {
    section: Section,
    middle: f64,
}

impl Reader<'_> {
    fn categories(&mut self, root: &Node<'_>) -> Vec<(String, Option<String>)> {
        let list = root.needed("categories", self.wrong).map(|all| all.list("list", self.wrong));
        let mut found = Vec::new();
        for category in list.unwrap_or_default() {
            let key = category.needed("key", self.wrong).and_then(|key| key.label(self.wrong));
            let label = category.needed("label", self.wrong).and_then(|label| label.label(self.wrong));
            let color = category.member("color").and_then(|color| color.label(self.wrong));
            let accessible = category.flag("accessible", self.wrong);
            let (Some(key), Some(label)) = (key, label) else { continue };
            if !is_label(label) {
                self.wrong.note(category.at(), NO_LABEL);
            }
            if found.iter().any(|(other, _)| other == label) {
                self.wrong
                    .note(category.at(), "has the label of another category, but a grade is known by it");
            }
            found.push((label.to_owned(), color.map(str::to_owned)));
            self.categories.insert(key.to_owned(), Category { label: label.to_owned(), accessible });
        }
        found
    }

    fn zones(&mut self, root: &Node<'_>) {
        let zones = root.member("zones").map(|zones| zones.list("list", self.wrong));
        for zone in zones.unwrap_or_default() {
            let key = zone.member("key").and_then(|key| key.label(self.wrong));
            let focal = zone
                .member("focalPoint")
                .and_then(|point| point_of(point, Point { x: 0.0, y: 0.0 }, self.wrong));
            if let (Some(key), Some(focal)) = (key, focal) {
                self.zones.insert(key.to_owned(), focal);
            }
        }
    }

    /// Reads a drawing: the whole chart, or a floor of it. Tells whether its stage is below its seats, too.
    fn drawing(&mut self, drawing: &Node<'_>, floor: &str) -> (Vec<Section>, bool) {
        let nowhere = Point { x: 0.0, y: 0.0 };
        let focal = drawing.member("focalPoint").and_then(|point| point_of(point, nowhere, self.wrong));
        let within = Within { floor, section: None, corner: nowhere, category: None };
        let mut names = Names::default();
        let mut placed = Vec::new();

        for section in drawing.list("sections", self.wrong) {
            placed.extend(self.section(section, within, focal, &mut names));
        }
        let rows = self.rows(drawing, within, focal);
        if !rows.is_empty() {
            let section_id = names.new_name(MAIN);
            placed.push(place(Section { section_id, floor: floor.to_owned(), outline: None, rows }));
        }
        self.stage(drawing);

        // The engine takes the order of the document for the way from one side of the house to the other.
        if focal.is_some() {
            placed.sort_by(|a, b| a.middle.total_cmp(&b.middle));
        }
        let sections: Vec<Section> = placed.into_iter().map(|placed| placed.section).collect();
        let upside_down = focal.is_some_and(|focal| is_below(focal, &sections));
        (sections, upside_down)
    }

    fn section(
        &mut self,
        section: &Node<'_>,
        within: Within<'_>,
        focal: Option<Point>,
        names: &mut Names,
    ) -> Option<Placed> {
        let label = section.needed("label", self.wrong)?;
        let label = label_of(label, self.wrong)?;
        let zone = section.member("zone").and_then(|zone| zone.label(self.wrong));
        let focal = zone.and_then(|zone| self.zones.get(zone).copied()).or(focal);
        let corner = match section.member("topLeft") {
            Some(corner) => point_of(corner, within.corner, self.wrong)?,
            None => within.corner,
        };
        let outline = self.outline(section, within.corner);

        let drawing = section.needed("subChart", self.wrong)?;
        let inside =
            Within { section: Some(label), corner, category: section.member("categoryKey"), ..within };
        let rows = self.rows(drawing, inside, focal);
        // One without seats is drawn there to be seen, or has areas alone.
        (!rows.is_empty()).then(|| {
            place(Section {
                section_id: names.new_name(label),
                floor: within.floor.to_owned(),
                outline,
                rows,
            })
        })
    }

    /// Reads the rows and the tables of a drawing, and its areas beside them. The rows stand from the focal point on.
    fn rows(&mut self, drawing: &Node<'_>, within: Within<'_>, focal: Option<Point>) -> Vec<Row> {
        let mut drawn: Vec<DrawnRow> = Vec::new();
        for list in ["rows", "tables"] {
            for row in drawing.list(list, self.wrong) {
                if row.flag("bookAsAWhole", self.wrong) {
                    self.left.whole_tables += 1;
                }
                drawn.extend(self.row(row, within));
            }
        }
        for area in drawing.list("generalAdmissionAreas", self.wrong) {
            let area = self.area(area, within);
            self.areas.extend(area);
        }
        self.left.booths += drawing.list("booths", self.wrong).len();
        let drawings = ["texts", "icons", "imageObjects"];
        self.left.drawings += drawings.iter().map(|list| drawing.list(list, self.wrong).len()).sum::<usize>();

        if let Some(focal) = focal {
            let distance = |row: &DrawnRow| {
                let points = row.seats.iter().filter_map(|seat| seat.seat.at);
                points.map(|point| point.distance(focal)).fold(f64::INFINITY, f64::min)
            };
            drawn.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        }
        self.left.companions_alone += accompany(&mut drawn);
        let mut names = Names::default();
        let mut rows = Vec::new();
        for mut row in drawn {
            if !number(&mut row) {
                self.left.unnumbered += 1;
            }
            rows.extend(rows_of(row, &mut names));
        }
        rows
    }

    fn row(&mut self, row: &Node<'_>, within: Within<'_>) -> Option<DrawnRow> {
        let label = row.needed("label", self.wrong)?;
        let label = label_of(label, self.wrong)?;
        let before = within.section.map_or_else(String::new, |section| format!("{section}-"));
        let seats: Vec<DrawnSeat> = row
            .list("seats", self.wrong)
            .iter()
            .filter_map(|seat| self.seat(seat, &format!("{before}{label}-"), within))
            .collect();
        let shown = row.member("displayLabel").and_then(|shown| label_of(shown, self.wrong)).unwrap_or(label);
        Some(DrawnRow { label: shown.to_owned(), seats })
    }

    fn seat(&mut self, seat: &Node<'_>, before: &str, within: Within<'_>) -> Option<DrawnSeat> {
        let label = seat.needed("label", self.wrong)?;
        let label = label_of(label, self.wrong)?;
        let id = self.ids.seat(&format!("{before}{label}"), seat.at(), self.wrong);
        let grade = self.category(seat, within.category);
        let at = point_of(seat, within.corner, self.wrong);
        let marks = ["accessible", "companionSeat", "restrictedView", "categoryAccessible"];
        let [accessible, companion, restricted_view, by_category] =
            marks.map(|mark| seat.flag(mark, self.wrong));

        let shown =
            seat.member("displayLabel").and_then(|shown| label_of(shown, self.wrong)).unwrap_or(label);
        let (grade, of_accessible_category) = grade?;
        let mut drawn = DrawnSeat::new(id?, shown.to_owned(), grade, Some(at?));
        drawn.seat.accessible = accessible || by_category || of_accessible_category;
        drawn.is_companion = companion && !drawn.seat.accessible;
        drawn.seat.restricted_view = restricted_view;
        Some(drawn)
    }

    fn area(&mut self, area: &Node<'_>, within: Within<'_>) -> Option<Area> {
        let label = area.needed("label", self.wrong)?;
        let label = label_of(label, self.wrong)?;
        let before = within.section.map_or_else(String::new, |section| format!("{section}-"));
        let area_id = self.ids.area(&format!("{before}{label}"), area.at(), self.wrong);
        let grade = self.category(area, within.category);
        let capacity = area.needed("capacity", self.wrong)?;
        let places =
            capacity.label(self.wrong)?.parse().ok().filter(|places| (1..=AREA_PLACES_MAX).contains(places));
        if places.is_none() {
            self.wrong.note(capacity.at(), format!("must be 1 to {AREA_PLACES_MAX}"));
        }
        if area.flag("bookAsAWhole", self.wrong) {
            self.left.whole_areas += 1;
        }
        let shown =
            area.member("displayLabel").and_then(|shown| label_of(shown, self.wrong)).unwrap_or(label);
        let outline = self.shape(area, within.corner);
        if outline.is_none() {
            self.left.shapeless += 1;
        }
        Some(Area {
            area_id: area_id?,
            floor: within.floor.to_owned(),
            name: shown.to_owned(),
            grade: grade?.0,
            capacity: places?,
            outline,
        })
    }

    /// Returns the label of a seat's or an area's category, its own or the section's, and whether it is one of accessible seats.
    fn category(&mut self, of: &Node<'_>, outer: Option<&Node<'_>>) -> Option<(String, bool)> {
        let Some(key) = of.member("categoryKey").or(outer) else {
            self.wrong.note(of.at(), "has no category, nor has its section");
            return None;
        };
        let text = key.label(self.wrong)?;
        let category = self.categories.get(text);
        if category.is_none() {
            self.wrong.note(key.at(), "is the key of no category of this chart");
        }
        category.map(|category| (category.label.clone(), category.accessible))
    }

    /// Takes the first shape that is a stage.
    fn stage(&mut self, drawing: &Node<'_>) {
        for shape in drawing.list("shapes", self.wrong) {
            let is_stage = shape
                .member("smartType")
                .and_then(|kind| kind.label(self.wrong))
                .is_some_and(|kind| kind.eq_ignore_ascii_case("stage"));
            let outline = (is_stage && self.stage.is_none())
                .then(|| self.shape(shape, Point { x: 0.0, y: 0.0 }))
                .flatten();
            match outline {
                Some(outline) => self.stage = Some(Stage { outline }),
                None => self.left.drawings += 1,
            }
        }
    }

    /// Reads the outline of a shape or an area.
    fn shape(&mut self, shape: &Node<'_>, corner: Point) -> Option<Outline> {
        if shape.member("points").is_some() {
            return self.outline(shape, corner);
        }
        let kind = shape.member("type").and_then(|kind| kind.label(self.wrong))?;
        let middle = shape.member("center").and_then(|middle| point_of(middle, corner, self.wrong))?;
        let mut size = |name: &str| shape.member(name).and_then(|size| size.number(self.wrong));
        let degrees = size("rotationAngle").unwrap_or_default();
        match kind {
            "rectangle" => Outline::rectangle(middle, size("width")?, size("height")?, degrees),
            "circle" => {
                let (across, down) = (size("radius1")? * 2.0, size("radius2")? * 2.0);
                Outline::ellipse(middle, across, down, degrees)
            }
            _ => None,
        }
    }

    fn outline(&mut self, of: &Node<'_>, corner: Point) -> Option<Outline> {
        let list = of.list("points", self.wrong);
        let points: Option<Vec<Point>> =
            list.iter().map(|point| point_of(point, corner, self.wrong)).collect();
        let outline = Outline::new(&points?);
        (OUTLINE_LEN_MIN..=OUTLINE_LEN_MAX).contains(&outline.len()).then_some(outline)
    }
}

fn place(section: Section) -> Placed {
    let seats = section.rows.iter().flat_map(|row| &row.seats);
    let (sum, count) =
        seats.filter_map(|seat| seat.at).fold((0.0, 0.0_f64), |(sum, count), at| (sum + at.x, count + 1.0));
    Placed { section, middle: sum / count.max(1.0) }
}

/// Tells whether a focal point is below the middle of the seats, so that `y` grows towards the stage.
fn is_below(focal: Point, sections: &[Section]) -> bool {
    let seats = sections.iter().flat_map(|section| &section.rows).flat_map(|row| &row.seats);
    let (sum, count) =
        seats.filter_map(|seat| seat.at).fold((0.0, 0.0_f64), |(sum, count), at| (sum + at.y, count + 1.0));
    count > 0.0 && focal.y > sum / count
}

/// Gives each companion's seat the accessible seat that it is for: the nearest of its section. There a companion's seat is only marked as
/// one. Returns how many have none.
fn accompany(rows: &mut [DrawnRow]) -> usize {
    let seats = || rows.iter().flat_map(|row| &row.seats);
    let accessible: Vec<(Point, String)> = seats()
        .filter(|seat| seat.seat.accessible)
        .filter_map(|seat| Some((seat.seat.at?, seat.seat.seat_id.clone())))
        .collect();
    let mut alone = 0;
    for seat in rows.iter_mut().flat_map(|row| &mut row.seats).filter(|seat| seat.is_companion) {
        let Some(at) = seat.seat.at else { continue };
        let nearest = accessible.iter().min_by(|(a, _), (b, _)| a.distance(at).total_cmp(&b.distance(at)));
        seat.seat.companion_of = nearest.map(|(_, id)| id.clone());
        alone += usize::from(nearest.is_none());
    }
    alone
}

/// What of a chart has no place here, counted.
#[derive(Default)]
struct Left {
    booths: usize,
    whole_tables: usize,
    whole_areas: usize,
    companions_alone: usize,
    unnumbered: usize,
    shapeless: usize,
    drawings: usize,
}

impl Left {
    fn told(&self) -> Vec<String> {
        let all = [
            (self.booths, "booths are left out: what is sold here are seats, and places of areas"),
            (self.whole_tables, "tables are sold as a whole there; here their seats are sold one by one"),
            (self.whole_areas, "areas are sold as a whole there; here their places are sold one by one"),
            (
                self.companions_alone,
                "companion seats have no accessible seat in their section, and are seats like others here",
            ),
            (
                self.unnumbered,
                "rows have labels that aren't numbers: their seats are numbered by their places",
            ),
            (self.shapeless, "areas have a shape that isn't known here, and no outline"),
            (self.drawings, "texts, icons, pictures and shapes are left out"),
        ];
        all.into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::accepted::{self, Seat};
    use super::super::document::Documents;
    use super::*;

    fn house() -> House {
        House { venue_id: "hall".into(), time_zone: "Europe/Vienna".into(), name: None }
    }

    fn read_text(text: &str) -> (Chart, String) {
        let json = Json::parse(text).unwrap();
        let mut wrong = Wrong::default();
        let chart = read(&json, &house(), &mut wrong);
        let place = |at: &usize| {
            let place = json.place(*at);
            format!("{}:{}: {}", place.line, place.column, place.path)
        };
        (chart, wrong.tell(place))
    }

    #[track_caller]
    fn good(chart: &Value) -> Chart {
        let (chart, wrong) = read_text(&chart.to_string());
        assert_eq!(wrong, "");
        chart
    }

    /// The seats as the engine has them. It doesn't know areas.
    fn seats(mut chart: Chart) -> Vec<Seat> {
        chart.venue.areas.clear();
        accepted::seats(&chart.documents(None).unwrap())
    }

    fn seat(label: &str, x: f64, y: f64, key: &Value) -> Value {
        json!({"label": label, "x": x, "y": y, "categoryKey": key, "categoryLabel": "…", "uuid": "uuid1",
               "accessible": false, "companionSeat": false, "restrictedView": false, "published": true})
    }

    /// A chart like those of a small house: two rows before a stage, with a standing area.
    fn chart() -> Value {
        let key = |key: i32| json!(key);
        json!({
            "name": "Small house", "version": 19, "venueType": "ROWS_WITHOUT_SECTIONS", "sectionScaleFactor": 100,
            "categories": {"maxCategoryKey": 10, "list": [
                {"label": "Stalls", "color": "#87A9CD", "accessible": false, "key": 9},
                {"label": "Wheelchair", "color": "#5E42ED", "accessible": true, "key": "10"}]},
            "subChart": {
                "width": 400, "height": 180, "focalPoint": {"x": 200, "y": 10}, "sections": [], "tables": [], "booths": [],
                "texts": [], "icons": [], "imageObjects": [], "backgroundImage": null,
                "shapes": [{"label": "Stage", "smartType": "stage", "type": "rectangle", "center": {"x": 200, "y": 10},
                            "width": 100, "height": 20, "rotationAngle": 0}],
                "rows": [
                    {"label": "B", "displayLabel": null, "seats": [seat("1", 180.0, 80.0, &key(9)), seat("2", 200.0, 80.0, &key(9))]},
                    {"label": "A", "displayLabel": "Front", "seats": [
                        seat("1", 180.0, 60.0, &key(10)), seat("2", 200.0, 60.0, &key(9)), seat("3", 220.0, 60.0, &key(9))]}],
                "generalAdmissionAreas": [{"label": "GA1", "capacity": 100, "categoryKey": 9, "type": "circle",
                    "center": {"x": 50, "y": 140}, "radius1": 50, "radius2": 40, "rotationAngle": 0, "bookAsAWhole": false}],
            },
        })
    }

    #[test]
    fn a_chart_becomes_a_venue_with_its_labels_grades_and_coordinates() {
        let chart = good(&chart());
        assert_eq!(chart.kind, "a seats.io chart, version 19");
        assert!(chart.notes.is_empty(), "{:?}", chart.notes);
        assert_eq!(chart.venue.name, "Small house");
        let area = &chart.venue.areas[0];
        assert_eq!((area.area_id.as_str(), area.capacity, area.grade.as_str()), ("GA1", 100, "Stalls"));
        assert_eq!(area.outline.as_ref().unwrap().len(), 32);
        assert_eq!(chart.venue.stage.as_ref().unwrap().outline.len(), 4);

        let told: Vec<String> = seats(chart)
            .into_iter()
            .map(|seat| {
                let mark = if seat.accessible { " accessible" } else { "" };
                format!(
                    "{} {}/{} {} {} at {},{}{mark}",
                    seat.id, seat.section, seat.row, seat.number, seat.grade, seat.at.0, seat.at.1
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "A-1 Main/Front Wheelchair 1 Wheelchair at 180,60 accessible",
                "A-2 Main/Front Stalls 2 Stalls at 200,60",
                "A-3 Main/Front Stalls 3 Stalls at 220,60",
                "B-1 Main/B 1 Stalls at 180,80",
                "B-2 Main/B 2 Stalls at 200,80",
            ]
        );
    }

    #[test]
    fn the_seats_of_sections_and_floors_have_the_sections_corner_and_category() {
        let section = |label: &str, x: f64, floor_rows: Value| {
            json!({"label": label, "categoryKey": 9, "topLeft": {"x": x, "y": 5}, "points": [
                       {"x": x, "y": 5}, {"x": x + 50.0, "y": 5}, {"x": x + 50.0, "y": 65}],
                   "subChart": {"rows": floor_rows, "tables": [], "booths": [], "generalAdmissionAreas": []}})
        };
        let rows = json!([{"label": "A", "seats": [seat("1", 10.0, 20.0, &Value::Null)]}]);
        let mut chart = chart();
        chart["subChart"] = Value::Null;
        chart["subChartFloors"] = json!([
            {"floorName": "1", "floorDisplayName": "Parkett", "sections": [section("Right", 100.0, rows.clone()), section("Left", 0.0, rows.clone())],
             "focalPoint": {"x": 0, "y": 0}},
            {"floorName": "2", "sections": [section("Left", 0.5, json!([{"label": "B", "seats": [seat("7", 1.0, 1.0, &json!(10))]}]))], "focalPoint": null},
        ]);
        let chart = good(&chart);
        assert_eq!(chart.venue.sections[1].outline.as_ref().unwrap().len(), 3);
        let told: Vec<String> = seats(chart)
            .into_iter()
            .map(|seat| {
                format!(
                    "{} {}/{} {} at {},{}",
                    seat.id, seat.floor, seat.section, seat.grade, seat.at.0, seat.at.1
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "Left-A-1 Parkett/Left Stalls at 10,25",
                "Right-A-1 Parkett/Right Stalls at 110,25",
                "Left-B-7 2/Left Wheelchair at 1.5,6",
            ]
        );
    }

    #[test]
    fn a_stage_below_the_seats_comes_to_stand_above_them() {
        let mut chart = chart();
        chart["subChart"]["focalPoint"]["y"] = json!(200);
        let seats = seats(good(&chart));
        assert_eq!(
            (seats[0].id.as_str(), seats[0].at.1.as_str()),
            ("B-1", "-80"),
            "the nearest row is the first"
        );
    }

    #[test]
    fn a_companions_seat_is_for_the_nearest_accessible_one_of_its_section() {
        let mut chart = chart();
        let row = &mut chart["subChart"]["rows"][0]["seats"];
        row[0]["companionSeat"] = json!(true);
        row[1]["restrictedView"] = json!(true);
        let seats = seats(good(&chart));
        let companion = seats.iter().find(|seat| seat.id == "B-1").unwrap();
        assert_eq!(companion.companion_of.as_deref(), Some("A-1"));
        assert!(seats.iter().find(|seat| seat.id == "B-2").unwrap().restricted_view);

        chart["categories"]["list"][1]["accessible"] = json!(false);
        let alone = good(&chart);
        assert!(alone.notes[0].starts_with("1 companion seats have no accessible seat"), "{:?}", alone.notes);
        assert!(alone.venue.seats().all(|(_, seat)| seat.companion_of.is_none()));
    }

    #[test]
    fn what_has_no_place_here_is_told() {
        let mut changed = chart();
        let drawing = &mut changed["subChart"];
        drawing["booths"] = json!([{"label": "Booth"}]);
        drawing["texts"] = json!([{"text": "Bar"}]);
        drawing["tables"] = json!([{"label": "T1", "bookAsAWhole": true, "seats": [seat("1", 1.0, 1.0, &json!(9)), seat("x", 2.0, 1.0, &json!(9))]}]);
        drawing["generalAdmissionAreas"][0]["bookAsAWhole"] = json!(true);
        drawing["generalAdmissionAreas"][0]["type"] = json!("blob");
        changed["version"] = json!(99);
        let chart = good(&changed);
        let firsts: Vec<String> =
            chart.notes.iter().map(|note| note.split(' ').take(3).collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            firsts,
            [
                "this version isn't",
                "1 booths are",
                "1 tables are",
                "1 areas are",
                "1 rows have",
                "1 areas have",
                "1 texts, icons,",
            ]
        );
        let seats = seats(chart);
        let table: Vec<(&str, u32)> = seats
            .iter()
            .filter(|seat| seat.row == "T1")
            .map(|seat| (seat.id.as_str(), seat.number))
            .collect();
        assert_eq!(table, [("T1-1", 1), ("T1-x", 2)]);
    }

    #[test]
    fn every_error_of_a_chart_is_told_at_once_with_its_place() {
        let text = r#"{"name": "x", "version": 19, "venueType": "SIMPLE",
 "categories": {"list": [{"key": 1, "label": "A"}, {"key": 2, "label": "A"}]},
 "subChart": {"rows": [{"label": "A", "seats": [
  {"label": "1", "x": 1, "y": 2, "categoryKey": 3},
  {"label": "2", "x": "1", "y": 2, "categoryKey": 1},
  {"label": "2", "x": 1, "y": 2000000},
  {"label": "\u0007", "x": 1, "y": 2, "categoryKey": 1}]}],
  "generalAdmissionAreas": [{"label": "G", "capacity": 0, "categoryKey": 1}]}}"#;
        let (_, wrong) = read_text(text);
        assert_eq!(
            wrong,
            "2:52: categories.list[1]: has the label of another category, but a grade is known by it\n\
             4:49: subChart.rows[0].seats[0].categoryKey: is the key of no category of this chart\n\
             5:23: subChart.rows[0].seats[1].x: must be a number\n\
             6:3: subChart.rows[0].seats[2]: is the second seat with the id \"A-2\"\n\
             6:3: subChart.rows[0].seats[2]: has no category, nor has its section\n\
             6:3: subChart.rows[0].seats[2]: lies off the plan, which goes from -1000000 to 1000000\n\
             7:13: subChart.rows[0].seats[3].label: must have 1 to 128 characters, none of them a control character\n\
             8:56: subChart.generalAdmissionAreas[0].capacity: must be 1 to 100000"
        );
    }

    #[test]
    fn only_a_chart_is_taken_for_one() {
        let is = |value: Value| is_chart(Json::parse(&value.to_string()).unwrap().root());
        assert!(is(chart()));
        assert!(!is(json!({"venues": [], "concerts": []})));
        assert!(!is(json!({"subChart": {}, "categories": []})));
        assert!(!is(json!([])));
    }

    /// A seat of the model: what is drawn, told in the words of the engine.
    type Model = BTreeMap<String, (String, bool, (String, String))>;

    fn any_chart() -> impl Strategy<Value = (Value, Model)> {
        let row = prop::collection::vec(
            (0_usize..3, any::<bool>(), any::<bool>(), -500_i32..500, -500_i32..500),
            1..8,
        );
        let section = (prop::collection::vec(row, 1..5), -900_i32..900, -900_i32..900);
        let focal = prop::option::of((-500_i32..500, -900_i32..-600));
        (prop::collection::vec(section, 1..4), any::<bool>(), focal).prop_map(|(sections, floors, focal)| {
            let mut model = Model::new();
            let mut drawn = Vec::new();
            for (index, (rows, left, top)) in sections.iter().enumerate() {
                let label = format!("S{index}");
                let mut drawn_rows = Vec::new();
                for (depth, row) in rows.iter().enumerate() {
                    let mut seats = Vec::new();
                    for (place, (category, accessible, companion, x, y)) in row.iter().enumerate() {
                        let id = format!("{label}-R{depth}-{}", place + 1);
                        let is_accessible = *accessible || *category == 2;
                        let at = ((left + x).to_string(), (top + y).to_string());
                        model.insert(id, (format!("C{category}"), is_accessible, at));
                        seats.push(json!({"label": (place + 1).to_string(), "x": x, "y": y, "categoryKey": category,
                                          "accessible": accessible, "companionSeat": companion}));
                    }
                    drawn_rows.push(json!({"label": format!("R{depth}"), "seats": seats}));
                }
                drawn.push(json!({"label": label, "topLeft": {"x": left, "y": top}, "points": [],
                                  "subChart": {"rows": drawn_rows}}));
            }
            // Rows lie anywhere between, so the focal point is above all of them.
            let focal = focal.map(|(x, y)| json!({"x": x, "y": y * 10}));
            let categories: Vec<Value> = (0..3)
                .map(|key| json!({"key": key, "label": format!("C{key}"), "accessible": key == 2}))
                .collect();
            let mut chart = json!({"name": "n", "version": 22, "venueType": "MIXED", "categories": {"list": categories}});
            if floors {
                let floors: Vec<Value> = drawn.into_iter().enumerate()
                    .map(|(index, section)| json!({"floorName": index.to_string(), "sections": [section], "focalPoint": focal}))
                    .collect();
                chart["subChartFloors"] = floors.into();
            } else {
                chart["subChart"] = json!({"sections": drawn, "focalPoint": focal});
            }
            (chart, model)
        })
    }

    proptest! {
        #[test]
        fn the_engine_takes_every_chart_and_every_seat_arrives_once((chart, model) in any_chart()) {
            let chart = good(&chart);
            let documents: Documents = chart.documents(None).unwrap();
            let seats = accepted::seats(&documents);
            let arrived: Model = seats
                .iter()
                .map(|seat| (seat.id.clone(), (seat.grade.clone(), seat.accessible, seat.at.clone())))
                .collect();
            prop_assert_eq!(seats.len(), model.len());
            prop_assert_eq!(arrived, model);
            for seat in &seats {
                let of = seat.companion_of.as_ref();
                prop_assert!(of.is_none_or(|of| seats.iter().any(|other| other.id == *of && other.accessible && other.section == seat.section)));
            }
        }
    }
}
