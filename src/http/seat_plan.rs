//! The plan of a venue as it is sent: written and compressed once, and shared by all who ask for it.
//!
//! What a plan's id names never changes, so a text that was written is right for as long as it is kept.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::answer::written;
use super::background;
use super::documents::{
    FloorText, GradeText, NameText, Number, OutlineDocument, PlaceText, PlanName, SeatName, StageDocument,
};
use crate::domain::venue::{BuiltVenue, Marks, PlanId, places};

/// The most bytes of plans that are kept. A seat takes some 150, and a tenth of it compressed.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Where everything is: what never changes under this id.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SeatPlan)]
pub(super) struct SeatPlanDocument<'a> {
    /// Names this content.
    #[schema(value_type = PlanName)]
    plan_id: String,
    /// The stage, if the venue says where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<StageDocument>,
    /// The sections in the order of the plan.
    sections: Vec<PlannedSection<'a>>,
    /// The seats in the order of the plan, which is that of a map's seats and of a vector's statuses.
    seats: Vec<PlannedSeat<'a>>,
    /// The areas without numbered seats in the order of the plan, which is that of a map's areas; absent if the venue has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    areas: Vec<PlannedArea<'a>>,
}

/// An area of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlannedArea<'a> {
    #[schema(value_type = PlaceText)]
    area_id: &'a str,
    #[schema(value_type = FloorText)]
    floor: &'a str,
    #[schema(value_type = NameText)]
    name: &'a str,
    #[schema(value_type = GradeText)]
    grade: &'a str,
    /// How many places it has.
    #[schema(minimum = 1, maximum = 100_000)]
    capacity: u32,
    /// Its outline, if the venue says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outline: Option<OutlineDocument>,
}

/// A section of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlannedSection<'a> {
    /// Its id, unique on its floor.
    #[schema(value_type = PlaceText)]
    section_id: &'a str,
    #[schema(value_type = FloorText)]
    floor: &'a str,
    /// Its outline, if the venue says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    outline: Option<OutlineDocument>,
}

/// A seat of a plan.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PlannedSeat<'a> {
    #[schema(value_type = SeatName)]
    seat_id: &'a str,
    #[schema(value_type = PlaceText)]
    section_id: &'a str,
    #[schema(value_type = FloorText)]
    floor: &'a str,
    #[schema(value_type = PlaceText)]
    row_id: &'a str,
    /// Its number in the row.
    seat_number: u32,
    #[schema(value_type = GradeText)]
    grade: &'a str,
    /// To the right, with the stage at the top. Coordinates are of one unit; without any from the venue the seats are laid out by
    /// their order, a unit apart.
    x: Number,
    /// Away from the stage.
    y: Number,
    /// Present if it is meant for a visitor with a disability.
    #[serde(skip_serializing_if = "Option::is_none")]
    accessible: Option<bool>,
    /// The accessible seat whose visitor's companion it is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<SeatName>)]
    companion_of: Option<&'a str>,
    /// Present if something stands between it and the stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    restricted_view: Option<bool>,
}

impl<'a> SeatPlanDocument<'a> {
    fn of(BuiltVenue { venue, layout, seating }: &'a BuiltVenue) -> Self {
        let sections = venue.sections.iter().map(|section| PlannedSection {
            section_id: &section.id,
            floor: &section.floor,
            outline: section.outline.as_ref().map(OutlineDocument::from),
        });

        let places = places(&venue.sections, layout).expect("a venue was checked when it was put");
        let mut seats = Vec::with_capacity(places.len());
        for row in layout.rows() {
            let section = &layout.sections()[usize::from(row.section)];
            for seat in row.seats() {
                let Marks { accessible, companion_of, restricted_view } = seating.marks(seat);
                let place = places[seat.index()];
                seats.push(PlannedSeat {
                    seat_id: layout.seat_id(seat),
                    section_id: &section.id,
                    floor: &section.floor,
                    row_id: &row.id,
                    seat_number: layout.seat_number(seat),
                    grade: &layout.grades()[row.grade.index()],
                    x: place.x.into(),
                    y: place.y.into(),
                    accessible: accessible.then_some(true),
                    companion_of: companion_of.map(|of| layout.seat_id(of)),
                    restricted_view: restricted_view.then_some(true),
                });
            }
        }

        let areas = venue.areas.iter().map(|area| PlannedArea {
            area_id: &area.id,
            floor: &area.floor,
            name: &area.name,
            grade: &area.grade,
            capacity: area.capacity,
            outline: area.outline.as_ref().map(OutlineDocument::from),
        });

        let stage = venue.stage.as_ref().map(|stage| StageDocument { outline: stage.into() });
        let (plan_id, sections) = (seating.id().to_string(), sections.collect());
        Self { plan_id, stage, sections, seats, areas: areas.collect() }
    }
}

/// A plan's text, plain and compressed.
#[derive(Debug)]
pub(super) struct PlanText {
    json: Vec<u8>,
    gzip: Vec<u8>,
}

/// A plan's text as the body of an answer, which keeps the whole.
struct Shared {
    text: Arc<PlanText>,
    gzip: bool,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        if self.gzip { &self.text.gzip } else { &self.text.json }
    }
}

impl PlanText {
    fn of(built: &BuiltVenue) -> Self {
        let json = written(&SeatPlanDocument::of(built));
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&json).expect("writing to memory doesn't fail");
        let gzip = encoder.finish().expect("writing to memory doesn't fail");
        Self { json, gzip }
    }

    /// Returns the body of an answer.
    pub(super) fn body(self: &Arc<Self>, gzip: bool) -> Bytes {
        Bytes::from_owner(Shared { text: Arc::clone(self), gzip })
    }

    fn len(&self) -> usize {
        self.json.len() + self.gzip.len()
    }
}

/// The plans that were asked for last.
#[derive(Debug)]
pub struct SeatPlans {
    texts: Arc<Mutex<Texts>>,
    /// One plan is written at a time, of all: those who wait for it share it.
    turn: Arc<Semaphore>,
}

/// The written plans. There is one text of a plan at a time, however many read it, and however slowly.
#[derive(Debug, Default)]
struct Texts {
    /// Those that are kept. The one that was asked for last is the last.
    kept: VecDeque<(PlanId, Arc<PlanText>)>,
    /// Those that gave way while somebody still read them.
    read: Vec<(PlanId, Weak<PlanText>)>,
}

impl Default for SeatPlans {
    fn default() -> Self {
        Self { texts: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl SeatPlans {
    /// Returns a venue's plan; nothing if the process can't start a thread that writes it.
    pub(super) async fn get(&self, built: &BuiltVenue) -> Option<Arc<PlanText>> {
        let id = built.seating.id();
        if let Some(text) = lock(&self.texts).find(id) {
            return Some(text);
        }

        let turn = Arc::clone(&self.turn).acquire_owned().await.ok()?;
        if let Some(text) = lock(&self.texts).find(id) {
            return Some(text);
        }
        let (built, texts) = (built.clone(), Arc::clone(&self.texts));
        background::run("onsale-plan", move || {
            // The turn ends with the work, and the text is kept, whether or not anyone still waits for it.
            let _turn = turn;
            let text = Arc::new(PlanText::of(&built));
            lock(&texts).keep(id, &text);
            text
        })
        .await
    }
}

fn lock(texts: &Mutex<Texts>) -> MutexGuard<'_, Texts> {
    texts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Texts {
    fn find(&mut self, id: PlanId) -> Option<Arc<PlanText>> {
        if let Some(place) = self.kept.iter().position(|(of, _)| *of == id) {
            let found = self.kept.remove(place)?;
            let text = Arc::clone(&found.1);
            self.kept.push_back(found);
            return Some(text);
        }

        let text = self.read.iter().find(|(of, _)| *of == id)?.1.upgrade()?;
        self.keep(id, &text);
        Some(text)
    }

    fn keep(&mut self, id: PlanId, text: &Arc<PlanText>) {
        self.kept.push_back((id, Arc::clone(text)));
        self.read.retain(|(of, text)| *of != id && text.strong_count() > 0);

        let mut bytes: usize = self.kept.iter().map(|(_, text)| text.len()).sum();
        // The newest stays, however large it is.
        while bytes > KEPT_BYTES_MAX && self.kept.len() > 1 {
            let Some((of, text)) = self.kept.pop_front() else { return };
            bytes -= text.len();
            self.read.push((of, Arc::downgrade(&text)));
        }
    }
}
