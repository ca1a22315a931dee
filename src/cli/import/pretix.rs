//! A seating plan of pretix: version 0.0.1 of `seating-plan.schema.json` in pretix's sources, as `seats.pretix.eu` writes it and
//! `GET /organizers/{organizer}/seatingplans/` answers it (in `layout`).
//!
//! A zone becomes a section, a category a grade; a seat keeps its `seat_guid`. An area of such a plan is a drawing without places: pretix
//! sells standing room by a quota, which isn't part of the plan.

use std::collections::HashSet;

use super::chart::{Chart, House, Ids, label_of, point_of};
use super::document::{
    DrawnRow, DrawnSeat, MAIN, NO_LABEL, Names, Point, Section, Venue, is_label, number, rows_of,
};
use super::json::{Json, Node};
use super::wrong::Wrong;

/// The members that a plan may have, by the schema.
const MEMBERS: [&str; 4] = ["name", "zones", "categories", "size"];

/// Tells whether a JSON text can be nothing but such a plan.
pub(super) fn is_plan(root: &Node<'_>) -> bool {
    let lists = ["zones", "categories"].iter().all(|name| root.member(name).is_some_and(Node::is_list));
    lists && root.member("name").is_some() && root.names().all(|name| MEMBERS.contains(&name))
}

/// Reads a plan. It is complete only if nothing is wrong.
pub(super) fn read(json: &Json<'_>, house: &House, wrong: &mut Wrong<usize>) -> Chart {
    let root = json.root();
    let mut reader =
        Reader { wrong, categories: HashSet::new(), ids: Ids::default(), unnumbered: 0, drawings: 0 };
    let name = root.needed("name", reader.wrong).and_then(|name| name.label(reader.wrong));
    let categories = reader.categories(root);

    let mut names = Names::default();
    let zones = root.needed("zones", reader.wrong).map(|_| root.list("zones", reader.wrong));
    let sections: Vec<Section> =
        zones.unwrap_or_default().iter().filter_map(|zone| reader.zone(zone, &mut names)).collect();
    if sections.is_empty() && reader.wrong.is_empty() {
        reader.wrong.note(root.at(), "has no seats");
    }

    let counted = [
        (
            reader.unnumbered,
            "rows have seat numbers that aren't numbers: their seats are numbered by their places",
        ),
        (reader.drawings, "areas are left out: they are drawings without a number of places"),
    ];
    let notes = counted.into_iter().filter(|(count, _)| *count > 0);
    Chart {
        kind: "a pretix seating plan".to_owned(),
        venue: Venue {
            venue_id: house.venue_id.clone(),
            name: house.name.clone().or(name.map(str::to_owned)).unwrap_or_default(),
            time_zone: house.time_zone.clone(),
            stage: None,
            sections,
            areas: Vec::new(),
        },
        categories,
        notes: notes.map(|(count, what)| format!("{count} {what}")).collect(),
    }
}

struct Reader<'w> {
    wrong: &'w mut Wrong<usize>,
    /// The names of the categories.
    categories: HashSet<String>,
    ids: Ids,
    unnumbered: usize,
    drawings: usize,
}

impl Reader<'_> {
    fn categories(&mut self, root: &Node<'_>) -> Vec<(String, Option<String>)> {
        let list = root.needed("categories", self.wrong).map(|_| root.list("categories", self.wrong));
        let mut found = Vec::new();
        for category in list.unwrap_or_default() {
            let name = category.needed("name", self.wrong).and_then(|name| label_of(name, self.wrong));
            let color = category.member("color").and_then(|color| color.label(self.wrong));
            let Some(name) = name else { continue };
            if !self.categories.insert(name.to_owned()) {
                self.wrong.note(category.at(), "has the name of another category");
                continue;
            }
            found.push((name.to_owned(), color.map(str::to_owned)));
        }
        found
    }

    fn zone(&mut self, zone: &Node<'_>, names: &mut Names) -> Option<Section> {
        let corner = self.position(zone, Point { x: 0.0, y: 0.0 });
        self.drawings += zone.list("areas", self.wrong).len();
        let name = ["name", "zone_id"].iter().find_map(|name| zone.member(name));
        let name = name.and_then(|name| name.label(self.wrong)).filter(|name| !name.is_empty());
        let name = name.unwrap_or(MAIN);
        if !is_label(name) {
            self.wrong.note(zone.at(), format!("its name {NO_LABEL}"));
        }

        let mut row_names = Names::default();
        let mut rows = Vec::new();
        for row in zone.list("rows", self.wrong) {
            let Some(mut row) = self.row(row, corner.unwrap_or(Point { x: 0.0, y: 0.0 })) else { continue };
            if !number(&mut row) {
                self.unnumbered += 1;
            }
            rows.extend(rows_of(row, &mut row_names));
        }
        // One without seats holds drawings.
        (!rows.is_empty()).then(|| Section {
            section_id: names.new_name(name),
            floor: String::new(),
            outline: None,
            rows,
        })
    }

    fn row(&mut self, row: &Node<'_>, corner: Point) -> Option<DrawnRow> {
        let corner = match row.member("position") {
            Some(_) => self.position(row, corner)?,
            None => corner,
        };
        let label = row.needed("row_number", self.wrong)?.label(self.wrong)?;
        // A row may have no number where it is the only one.
        let label = if label.is_empty() { MAIN } else { label };
        if !is_label(label) {
            self.wrong.note(row.at(), format!("its row_number {NO_LABEL}"));
        }
        let seats = row.list("seats", self.wrong);
        let seats = seats.iter().filter_map(|seat| self.seat(seat, corner)).collect();
        Some(DrawnRow { label: label.to_owned(), seats })
    }

    fn seat(&mut self, seat: &Node<'_>, corner: Point) -> Option<DrawnSeat> {
        let guid = seat.needed("seat_guid", self.wrong).and_then(|guid| guid.label(self.wrong));
        let id = guid.and_then(|guid| self.ids.seat(guid, seat.at(), self.wrong));
        let number = seat.needed("seat_number", self.wrong).and_then(|number| number.label(self.wrong));
        let category = seat.needed("category", self.wrong);
        let at = self.position(seat, corner);
        let grade = category.and_then(|node| {
            let category = node.label(self.wrong)?;
            if self.categories.contains(category) {
                return Some(category.to_owned());
            }
            self.wrong.note(node.at(), "is the name of no category of this plan");
            None
        });
        Some(DrawnSeat::new(id?, number?.to_owned(), grade?, Some(at?)))
    }

    /// Returns where something is, whose position is counted from a corner.
    fn position(&mut self, of: &Node<'_>, corner: Point) -> Option<Point> {
        let position = of.needed("position", self.wrong)?;
        point_of(position, corner, self.wrong)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::accepted::{self, Seat};
    use super::*;

    fn read_text(text: &str) -> (Chart, String) {
        let json = Json::parse(text).unwrap();
        let house = House { venue_id: "hall".into(), time_zone: "Europe/Berlin".into(), name: None };
        let mut wrong = Wrong::default();
        let chart = read(&json, &house, &mut wrong);
        let place = |at: &usize| {
            let place = json.place(*at);
            format!("{}:{}: {}", place.line, place.column, place.path)
        };
        (chart, wrong.tell(place))
    }

    #[track_caller]
    fn good(plan: &Value) -> Chart {
        let (chart, wrong) = read_text(&plan.to_string());
        assert_eq!(wrong, "");
        chart
    }

    fn seats(chart: Chart) -> Vec<Seat> {
        accepted::seats(&chart.documents(None).unwrap())
    }

    fn seat(guid: &str, number: &str, x: f64, category: &str) -> Value {
        json!({"seat_guid": guid, "seat_number": number, "position": {"x": x, "y": 0}, "category": category,
               "uuid": format!("u-{guid}"), "radius": 10, "start_direction": null})
    }

    /// A plan by the schema.
    fn plan() -> Value {
        json!({
            "name": "Kleiner Saal", "size": {"width": 800, "height": 600},
            "categories": [{"name": "Parkett", "color": "#7fbfff"}, {"name": "Loge", "color": "red"}],
            "zones": [
                {"name": "Parkett", "zone_id": "p", "uuid": "z1", "position": {"x": 50, "y": 100}, "areas": [
                    {"shape": "rectangle", "position": {"x": 0, "y": -80}, "rectangle": {"width": 300, "height": 40}, "color": "#ccc",
                     "text": {"text": "Bühne", "position": {"x": 10, "y": 10}}, "rotation": 0}],
                 "rows": [
                    {"row_number": "1", "row_label": "Reihe %s", "seat_label": null, "row_number_position": "both", "position": {"x": 10, "y": 0},
                     "seats": [seat("p-1-1", "1", 0.0, "Loge"), seat("p-1-2", "2", 33.5, "Parkett"), seat("p-1-3", "3", 66.0, "Parkett")]},
                    {"row_number": "2", "position": {"x": 10, "y": 30}, "seats": [seat("p-2-1", "1a", 0.0, "Parkett")]}]},
                {"position": {"x": 0, "y": 0}, "rows": []},
            ],
        })
    }

    #[test]
    fn a_plan_becomes_a_venue_whose_seats_keep_their_guids() {
        let chart = good(&plan());
        assert_eq!(
            (chart.kind.as_str(), chart.venue.name.as_str()),
            ("a pretix seating plan", "Kleiner Saal")
        );
        assert_eq!(chart.notes.len(), 2, "a row without numbers, and a drawing: {:?}", chart.notes);
        assert_eq!(chart.categories[1], ("Loge".to_owned(), Some("red".to_owned())));
        let told: Vec<String> = seats(chart)
            .into_iter()
            .map(|seat| {
                format!(
                    "{} {}/{} {} {} at {},{}",
                    seat.id, seat.section, seat.row, seat.number, seat.grade, seat.at.0, seat.at.1
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "p-1-1 Parkett/1 Loge 1 Loge at 60,100",
                "p-1-2 Parkett/1 Parkett 2 Parkett at 93.5,100",
                "p-1-3 Parkett/1 Parkett 3 Parkett at 126,100",
                "p-2-1 Parkett/2 1 Parkett at 60,130",
            ]
        );
    }

    #[test]
    fn every_error_of_a_plan_is_told_at_once_with_its_place() {
        let text = r#"{"name": "x", "size": {"width": 1, "height": 1},
 "categories": [{"name": "A"}, {"name": "A"}, {"color": "red"}],
 "zones": [{"name": "Z", "position": {"x": 0, "y": 0}, "rows": [{"row_number": "1", "seats": [
  {"seat_guid": "a", "seat_number": "1", "position": {"x": 0, "y": 0}, "category": "B"},
  {"seat_guid": "a", "seat_number": "2", "position": {"x": 0}, "category": "A"}]}]}, {"rows": 3}]}"#;
        let (_, wrong) = read_text(text);
        assert_eq!(
            wrong,
            "2:32: categories[1]: has the name of another category\n\
             2:47: categories[2]: needs name\n\
             4:84: zones[0].rows[0].seats[0].category: is the name of no category of this plan\n\
             5:3: zones[0].rows[0].seats[1]: is the second seat with the id \"a\"\n\
             5:54: zones[0].rows[0].seats[1].position: needs y\n\
             5:86: zones[1]: needs position\n\
             5:95: zones[1].rows: must be a list"
        );
    }

    #[test]
    fn only_a_plan_is_taken_for_one() {
        let is = |value: Value| is_plan(Json::parse(&value.to_string()).unwrap().root());
        assert!(is(plan()));
        let mut more = plan();
        more["venues"] = json!([]);
        assert!(!is(more), "a member that no plan has");
        assert!(!is(json!({"name": "x", "zones": {"list": []}, "categories": {"list": []}})));
    }

    type Model = BTreeMap<String, (String, u32, (String, String))>;

    fn any_plan() -> impl Strategy<Value = (Value, Model)> {
        let row = prop::collection::vec((0_usize..3, -99_i32..99, -99_i32..99), 1..8);
        let zone =
            (prop::collection::vec(row, 1..5), -999_i32..999, prop::sample::select(vec!["Saal", "Rang", ""]));
        prop::collection::vec(zone, 1..4).prop_map(|zones| {
            let mut model = Model::new();
            let mut written = Vec::new();
            for (index, (rows, corner, name)) in zones.iter().enumerate() {
                let mut written_rows = Vec::new();
                for (depth, row) in rows.iter().enumerate() {
                    let down = i32::try_from(depth).unwrap() * 30;
                    let mut seats = Vec::new();
                    for (number, (category, x, y)) in (1_u32..).zip(row) {
                        let guid = format!("{index}/{depth}/{number}");
                        let at = ((corner + 7 + x).to_string(), (corner + down + y).to_string());
                        model.insert(guid.clone(), (format!("c{category}"), number, at));
                        seats.push(json!({"seat_guid": guid, "seat_number": number.to_string(), "category": format!("c{category}"),
                                          "position": {"x": x, "y": y}}));
                    }
                    // Rows of one label come again.
                    written_rows.push(json!({"row_number": (depth % 2).to_string(), "position": {"x": 7, "y": down}, "seats": seats}));
                }
                written.push(json!({"name": name, "position": {"x": corner, "y": corner}, "rows": written_rows}));
            }
            let categories: Vec<Value> = (0..3).map(|number| json!({"name": format!("c{number}")})).collect();
            let plan = json!({"name": "n", "zones": written, "categories": categories, "size": {"width": 1, "height": 1}});
            (plan, model)
        })
    }

    proptest! {
        #[test]
        fn the_engine_takes_every_plan_and_every_seat_arrives_once((plan, model) in any_plan()) {
            let seats = seats(good(&plan));
            let arrived: Model =
                seats.iter().map(|seat| (seat.id.clone(), (seat.grade.clone(), seat.number, seat.at.clone()))).collect();
            prop_assert_eq!(seats.len(), model.len());
            prop_assert_eq!(arrived, model);
        }
    }
}
