//! What happened to a schedule, as the journal keeps it: written, read, and applied again.

use super::*;
use crate::domain::cause::Cause;
use crate::record::{self, Fact, FactRef};

/// The events of a schedule, and an image of it from among them.
#[derive(Default)]
pub(super) struct Journal {
    events: Vec<(Vec<u8>, Timestamp)>,
    /// The image, as a snapshot keeps it, and behind how many events it was taken.
    image: Option<(Vec<u8>, usize)>,
}

impl Journal {
    /// Keeps an event that was applied.
    pub(super) fn push(&mut self, schedule: &Schedule, event: &Event, at: Timestamp) {
        let (fact, mut bytes) = (FactRef::Schedule(schedule.number(), event), Vec::new());
        record::encode_fact(&mut bytes, schedule.version(), at, Cause::default(), fact);
        self.events.push((bytes, at));
    }

    /// Brings what is due, and keeps it.
    pub(super) fn tick(&mut self, sale: &mut Sale) {
        while let Some(event) = sale.schedule.due(sale.now) {
            sale.apply(&event, None);
            self.push(&sale.schedule, &event, sale.now);
        }
    }

    /// Returns how many events it has.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Tells whether an image was taken.
    pub(super) fn has_image(&self) -> bool {
        self.image.is_some()
    }

    /// Takes an image, in place of one of before.
    pub(super) fn take_image(&mut self, schedule: &Schedule) {
        self.image = Some((record::encode_schedule(&Image::of(schedule)), self.events.len()));
    }

    /// Checks that all of it makes the same schedule (R1): from the beginning, on top of the image, and by an image of the end.
    pub(super) fn check(&self, schedule: &Schedule, creation: Creation, layout: &Arc<Layout>) {
        let mut replayed = Schedule::create(creation, Arc::clone(layout), START);
        self.apply_from(0, &mut replayed);
        assert!(replayed == *schedule, "R1: replay");
        assert_eq!(inside::inside(&replayed), inside::inside(schedule), "R1: every field");

        let end = (record::encode_schedule(&Image::of(schedule)), self.events.len());
        for (image, from) in self.image.iter().chain([&end]) {
            let mut restored = record::decode_schedule(image).unwrap().restore(Arc::clone(layout));
            restored.check_invariants();
            self.apply_from(*from, &mut restored);
            assert!(restored == *schedule, "R1: replay on top of an image");
            assert_eq!(restored.seats_sum(), schedule.seats_sum());
        }
    }

    fn apply_from(&self, from: usize, schedule: &mut Schedule) {
        for (bytes, at) in &self.events[from..] {
            let Fact::Schedule(_, event) = record::decode(bytes).unwrap().fact else {
                panic!("a schedule's")
            };
            schedule.apply(&event, *at, None);
        }
    }
}
