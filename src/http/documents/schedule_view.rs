//! A schedule as it is answered: live, after a change, or from the archive.

use serde::Serialize;
use utoipa::ToSchema;

use super::schedule::{PlanDocument, ScheduleState, SeatCounts};
use crate::archive::Head;
use crate::domain::catalogue::Catalogue;
use crate::domain::ids::{ConcertId, ScheduleId, VenueId};
use crate::domain::money::Currency;
use crate::domain::schedule::Summary;
use crate::domain::time::Timestamp;
use crate::engine::ScheduleEntry;

/// A schedule with the counts of its seats by status.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Schedule)]
pub struct ScheduleView {
    schedule_id: String,
    concert_id: String,
    #[serde(flatten)]
    state: ScheduleState,
    #[serde(flatten)]
    plan: PlanDocument,
}

impl ScheduleView {
    /// Shows a schedule as it is durable, with its sale as it is at `now`.
    pub fn now(entry: &ScheduleEntry, catalogue: &Catalogue, now: Timestamp) -> Self {
        let summary = {
            let schedule = entry.read();
            let phase = schedule.phase_at(now).map(|phase| phase.id.clone());
            Summary { status: schedule.sale_at(now), phase, ..schedule.summary() }
        };
        let mut view = Self::of(entry, catalogue, &summary);
        // What an administrator changed since, while the room runs.
        if let (Some(queue), Some(room)) = (&mut view.plan.policy.queue, entry.room().read().settings()) {
            queue.max_active = u64::from(room.policy.active_max);
            queue.admit_per_minute = room.policy.admit_per_minute.map(u64::from);
        }
        view
    }

    /// Shows a schedule as a change left it.
    pub(in crate::http) fn of(entry: &ScheduleEntry, catalogue: &Catalogue, summary: &Summary) -> Self {
        let schedule = entry.read();
        let (id, concert, venue) = (entry.id(), entry.concert(), schedule.venue());
        let mut view = Self::with(id, concert, venue, schedule.currency(), catalogue, summary);
        view.state.takes_codes = schedule.codes().is_some_and(|codes| !codes.is_empty()).then_some(true);
        view
    }

    /// Shows a schedule that is in the archive.
    pub fn archived(Head { image, summary }: &Head, catalogue: &Catalogue) -> Self {
        Self::with(&image.id, &image.concert, &image.venue, image.currency, catalogue, summary)
    }

    /// Returns what is read only in it.
    pub(in crate::http) fn into_state(self) -> ScheduleState {
        self.state
    }

    fn with(
        id: &ScheduleId,
        concert: &ConcertId,
        venue: &VenueId,
        currency: Currency,
        catalogue: &Catalogue,
        summary: &Summary,
    ) -> Self {
        let Summary { status, phase, counts, plan, seats_version } = summary;
        let has_phases = !plan.policy.phases.is_empty();
        Self {
            schedule_id: id.to_string(),
            concert_id: concert.to_string(),
            state: ScheduleState {
                venue_id: venue.to_string(),
                plan_id: catalogue.venue(venue).map(|built| built.seating.id().to_string()),
                status: (*status).into(),
                phase: has_phases.then(|| phase.as_ref().map(ToString::to_string)),
                takes_codes: None,
                currency: currency.as_str().to_owned(),
                seats: SeatCounts::from(*counts),
                version: *seats_version,
            },
            plan: PlanDocument::from(&**plan),
        }
    }
}
