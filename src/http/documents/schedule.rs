//! A schedule's times, policy and casting as its administrator writes them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::checks::{Checks, NAME_LEN_MAX, NAMES_MAX};
use super::concert::check_role;
use super::words::{
    At, CatalogueId, GradeText, InstantText, NameText, PlanName, SaleWord, by_role, one_name_or_several,
};
use crate::domain::ids::{ConcertId, GradeName, PhaseId, ScheduleId};
use crate::domain::schedule::policy::{
    ACTIVE_MAX, CANCEL_SECONDS_MAX, Casting, PAYMENT_SECONDS_MAX, Phase, Policy, QueueOrder, QueuePolicy,
    RESERVATION_SEATS_MAX, USER_SEATS_MAX, WAITING_SECONDS_MAX,
};
use crate::domain::schedule::{Counts, Plan};
use crate::domain::time::Seconds;
use crate::http::problem::FieldError;

/// The longest hold, pass and grace: a day.
const DAY: u32 = Seconds::DAY.get();
/// The shortest idle time: an open stream shows a sign of life in each half of it.
const IDLE_SECONDS_MIN: u32 = 5;

/// A performance of a concert.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SchedulePut, example = json!({
    "concertId": "perf-kinky-1", "startsAt": "2027-02-09T10:30:00.000Z", "endsAt": "2027-02-09T13:10:00.000Z",
    "salesOpenAt": "2026-11-20T11:00:00.000Z", "casting": {"lola": "강홍석"},
    "policy": {"holdSeconds": 300, "maxSeatsPerReservation": 4}
}))]
pub struct ScheduleDocument {
    /// Its id: 1–128 letters of any script, digits, `-_.:`. In a `PUT` it is the path's and may be left out.
    #[schema(value_type = Option<CatalogueId>)]
    pub schedule_id: Option<String>,
    /// The concert that is performed. It can't change.
    #[schema(value_type = CatalogueId)]
    pub concert_id: String,
    /// When the performance begins.
    #[schema(value_type = InstantText)]
    pub starts_at: String,
    /// When the performance ends, after `startsAt`.
    #[schema(value_type = InstantText)]
    pub ends_at: String,
    /// When its sale opens by itself, before it closes; if absent, an administrator opens it.
    #[schema(value_type = Option<InstantText>)]
    pub sales_open_at: Option<String>,
    /// When its sale closes by itself, at the latest when the performance ends; at `startsAt` if absent.
    #[schema(value_type = Option<InstantText>)]
    pub sales_close_at: Option<String>,
    /// Who plays which role in this performance.
    #[serde(default)]
    #[schema(schema_with = by_role::<CastingDocument>)]
    pub casting: BTreeMap<String, CastingDocument>,
    /// The rules of the sale. An absent rule has its default.
    #[serde(default)]
    pub policy: PolicyDocument,
    /// Read only, as the following fields. It is accepted if it is as in the answer of `GET`.
    #[schema(read_only)]
    pub venue_id: Option<String>,
    /// Read only.
    #[schema(read_only)]
    pub plan_id: Option<String>,
    /// Read only.
    #[schema(read_only)]
    pub status: Option<SaleWord>,
    /// Read only: the phase that is open.
    #[serde(default, deserialize_with = "given")]
    #[schema(read_only, value_type = Option<CatalogueId>)]
    pub phase: Option<Option<String>>,
    /// Read only.
    #[schema(read_only)]
    pub takes_codes: Option<bool>,
    /// Read only.
    #[schema(read_only)]
    pub currency: Option<String>,
    /// Read only.
    #[schema(read_only)]
    pub seats: Option<SeatCounts>,
    /// Read only.
    #[schema(read_only)]
    pub version: Option<u64>,
}

/// Reads a field so that null differs from an absent field.
///
/// # Errors
/// When it is neither text nor null.
#[expect(clippy::option_option, reason = "an absent field isn't read at all")]
pub(crate) fn given<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// The state of a schedule beside its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleState {
    /// The venue of its concert.
    pub venue_id: String,
    /// The venue's present plan, for `GET /plans/{planId}`. It is absent only while the schedule is being removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PlanName>)]
    pub plan_id: Option<String>,
    /// The status of its sale: in a phase `open`, for those who bring a code of it, and between phases `upcoming`.
    pub status: SaleWord,
    /// The phase that is open; null in the general sale, and while none is. It is absent if the sale has no phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CatalogueId>)]
    pub phase: Option<Option<String>>,
    /// True if codes were made for it: a page that sells it has a field for them. It is absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub takes_codes: Option<bool>,
    /// The currency of its prices.
    pub currency: String,
    /// How many of its seats have each status.
    pub seats: SeatCounts,
    /// The version of its seat map.
    pub version: u64,
}

/// How many seats, and places of areas, have each status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatCounts {
    /// Seats that can be held.
    pub available: u64,
    /// Seats that are held or being paid.
    pub held: u64,
    /// Seats that are sold.
    pub reserved: u64,
    /// Seats that are off sale.
    pub blocked: u64,
    /// All seats.
    pub total: u64,
}

impl SeatCounts {
    /// Adds a schedule's counts.
    pub fn add(&mut self, counts: Counts) {
        self.available += u64::from(counts.available);
        self.held += u64::from(counts.held);
        self.reserved += u64::from(counts.reserved);
        self.blocked += u64::from(counts.blocked);
        self.total += u64::from(counts.total());
    }
}

impl From<Counts> for SeatCounts {
    fn from(counts: Counts) -> Self {
        let mut sum = Self::default();
        sum.add(counts);
        sum
    }
}

/// A schedule's times, casting and policy.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Plan)]
pub struct PlanDocument {
    /// When the performance begins.
    pub starts_at: At,
    /// When it ends.
    pub ends_at: At,
    /// When its sale opens by itself; null if an administrator opens it.
    #[schema(required)]
    pub sales_open_at: Option<At>,
    /// When its sale closes by itself; at `startsAt` if null.
    #[schema(required)]
    pub sales_close_at: Option<At>,
    /// Who plays which role in this performance.
    pub casting: BTreeMap<String, CastingDocument>,
    /// The rules of the sale.
    pub policy: PolicyDocument,
}

/// Who plays a role: one name, or several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CastingDocument {
    /// One name.
    One(String),
    /// Several names.
    Many(Vec<String>),
}

impl utoipa::PartialSchema for CastingDocument {
    fn schema() -> RefOr<Schema> {
        one_name_or_several()
    }
}

impl ToSchema for CastingDocument {}

/// The rules of a sale.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = Policy)]
pub struct PolicyDocument {
    /// How long a hold lasts.
    #[schema(minimum = 1, maximum = 86_400)]
    pub hold_seconds: u64,
    /// How many seats one reservation may have.
    #[schema(minimum = 1, maximum = 100)]
    pub max_seats_per_reservation: u64,
    /// How many seats a user's live reservations of the schedule may have together.
    #[schema(minimum = 1, maximum = 10_000)]
    pub max_seats_per_user: u64,
    /// How long a payment may take after the client has confirmed it.
    #[schema(minimum = 1, maximum = 3_600)]
    pub payment_seconds: u64,
    /// How long before the start a user may still cancel.
    #[schema(maximum = 31_622_400)]
    pub cancel_until_seconds_before_start: u64,
    /// Whether a hold that leaves a single free seat alone is refused.
    pub prevent_orphan_seats: bool,
    /// How long a hold lasts after an outage in which it would have ended.
    #[schema(maximum = 86_400)]
    pub recovery_grace_seconds: u64,
    /// The waiting room, if the sale has one.
    pub queue: Option<QueuePolicyDocument>,
    /// From when on accessible seats and those of companions are sold like all others; never if absent. Until then they are given only
    /// to a request with `accessible`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<InstantText>)]
    pub accessible_release_at: Option<String>,
    /// The phases before the general sale: no two overlap, and all close at `salesOpenAt` or before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub phases: Vec<PhaseDocument>,
}

/// A part of a sale before it is general, for those who bring a code of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Phase, example = json!({"phaseId": "fanclub", "name": "팬클럽 선예매",
    "opensAt": "2026-11-19T11:00:00.000Z", "closesAt": "2026-11-19T14:00:00.000Z", "maxSeatsPerUser": 2}))]
pub struct PhaseDocument {
    /// Its id, unique in the sale: 1–128 letters of any script, digits, `-_.:`.
    #[schema(value_type = CatalogueId)]
    pub phase_id: String,
    /// Its name.
    #[schema(value_type = NameText)]
    pub name: String,
    /// From when on it sells.
    #[schema(value_type = InstantText)]
    pub opens_at: String,
    /// From when on it no longer does.
    #[schema(value_type = InstantText)]
    pub closes_at: String,
    /// The grades that it sells; all if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashSet<GradeText>>, min_items = 1, max_items = 64)]
    pub grades: Option<Vec<String>>,
    /// How many seats a user's live reservations of the schedule may have together in it; as in the general sale if
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10_000)]
    pub max_seats_per_user: Option<u64>,
}

/// The rules of a waiting room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = QueuePolicy)]
pub struct QueuePolicyDocument {
    /// How many users may be active at once.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub max_active: u64,
    /// How many users may be admitted per minute; null for no limit.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub admit_per_minute: Option<u64>,
    /// How long a pass is active.
    #[schema(minimum = 1, maximum = 86_400)]
    pub active_seconds: u64,
    /// How soon after its admission a pass must show a sign of life: a request with it, or an open stream.
    #[schema(minimum = 1, maximum = 86_400)]
    pub claim_seconds: u64,
    /// How long a pass lasts without another sign of life; null: as long as it is active.
    #[schema(minimum = 5, maximum = 86_400)]
    pub idle_seconds: Option<u64>,
    /// How long a place lasts while it waits.
    #[schema(minimum = 1, maximum = 604_800)]
    pub waiting_seconds: u64,
    /// The order in which people are admitted.
    pub order: OrderDocument,
    /// When the first people are admitted; when the sale opens if absent.
    #[schema(value_type = Option<InstantText>)]
    pub opens_at: Option<String>,
}

/// The order of a waiting room: `fifo` is first come, first served; `shuffle` draws among all who came before it
/// opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = QueueOrder)]
pub enum OrderDocument {
    /// First come, first served.
    Fifo,
    /// A draw.
    Shuffle,
}

impl ScheduleDocument {
    /// Checks the document; `id` is the path's, or `None` where the document itself must have one, and `standing` what is true of
    /// the schedule, where it is there.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn into_domain(
        self,
        id: Option<&str>,
        standing: Option<&ScheduleState>,
    ) -> Result<(ScheduleId, ConcertId, Plan), Vec<FieldError>> {
        let mut checks = Checks::default();
        let schedule = self.check(id, standing, &mut checks);
        checks.finish(schedule)
    }

    /// Tells whether it says what only the engine can.
    pub fn has_read_only(&self) -> bool {
        self.venue_id.is_some()
            || self.plan_id.is_some()
            || self.status.is_some()
            || self.phase.is_some()
            || self.takes_codes.is_some()
            || self.currency.is_some()
            || self.seats.is_some()
            || self.version.is_some()
    }

    pub(super) fn check(
        self,
        id: Option<&str>,
        standing: Option<&ScheduleState>,
        checks: &mut Checks,
    ) -> Option<(ScheduleId, ConcertId, Plan)> {
        self.check_read_only(standing, checks);
        let id = checks.own_id("scheduleId", id, self.schedule_id.as_deref(), ScheduleId::parse);
        let concert = checks.parsed(format_args!("concertId"), &self.concert_id, ConcertId::parse);
        let plan = Plan {
            starts_at: checks.instant(format_args!("startsAt"), &self.starts_at),
            ends_at: checks.instant(format_args!("endsAt"), &self.ends_at),
            sales_open_at: checks.instant_or_none(format_args!("salesOpenAt"), self.sales_open_at.as_deref()),
            sales_close_at: checks
                .instant_or_none(format_args!("salesCloseAt"), self.sales_close_at.as_deref()),
            casting: check_casting(checks, self.casting),
            policy: checks.within(format_args!("policy"), |checks| self.policy.check(checks)),
        };
        Some((id?, concert?, plan))
    }

    fn check_read_only(&self, standing: Option<&ScheduleState>, checks: &mut Checks) {
        let mut check = |field: &str, is_same: bool| {
            if !is_same {
                let detail = "is read only: leave it out, or send what GET gives now";
                checks.wrong(format_args!("{field}"), detail);
            }
        };
        let text = |given: &Option<String>, is: fn(&ScheduleState) -> &str| {
            given.is_none() || given.as_deref() == standing.map(is)
        };
        check("venueId", text(&self.venue_id, |standing| &standing.venue_id));
        check(
            "planId",
            self.plan_id.is_none()
                || self.plan_id.as_ref() == standing.and_then(|standing| standing.plan_id.as_ref()),
        );
        check("status", self.status.is_none() || self.status == standing.map(|standing| standing.status));
        check(
            "phase",
            self.phase.is_none() || self.phase == standing.and_then(|standing| standing.phase.clone()),
        );
        check(
            "takesCodes",
            self.takes_codes.is_none()
                || self.takes_codes == standing.and_then(|standing| standing.takes_codes),
        );
        check("currency", text(&self.currency, |standing| &standing.currency));
        check("seats", self.seats.is_none() || self.seats == standing.map(|standing| standing.seats));
        check("version", self.version.is_none() || self.version == standing.map(|standing| standing.version));
    }
}

fn check_casting(
    checks: &mut Checks,
    casting: BTreeMap<String, CastingDocument>,
) -> BTreeMap<String, Casting> {
    if casting.len() > NAMES_MAX {
        checks.wrong(format_args!("casting"), format!("must have at most {NAMES_MAX} roles"));
        return BTreeMap::new();
    }
    let role = |(role, casting): (String, CastingDocument)| {
        let names = match &casting {
            CastingDocument::One(name) => core::slice::from_ref(name),
            CastingDocument::Many(names) => names,
        };
        check_role(checks, "casting", &role, names);
        let casting = match casting {
            CastingDocument::One(name) => Casting::One(name),
            CastingDocument::Many(names) => Casting::Many(names),
        };
        (role, casting)
    };
    casting.into_iter().map(role).collect()
}

impl PolicyDocument {
    fn check(self, checks: &mut Checks) -> Policy {
        let mut number = |field: &str, number, range| checks.number(format_args!("{field}"), number, range);
        let hold = number("holdSeconds", self.hold_seconds, 1..=DAY);
        let seats_per_reservation_max =
            number("maxSeatsPerReservation", self.max_seats_per_reservation, 1..=RESERVATION_SEATS_MAX);
        let seats_per_user_max = number("maxSeatsPerUser", self.max_seats_per_user, 1..=USER_SEATS_MAX);
        let payment = number("paymentSeconds", self.payment_seconds, 1..=PAYMENT_SECONDS_MAX);
        let cancel = number(
            "cancelUntilSecondsBeforeStart",
            self.cancel_until_seconds_before_start,
            0..=CANCEL_SECONDS_MAX,
        );
        let recovery_grace = number("recoveryGraceSeconds", self.recovery_grace_seconds, 0..=DAY);
        let queue =
            self.queue.map(|queue| checks.within(format_args!("queue"), |checks| queue.check(checks)));
        // The catalogue refuses more than there may be.
        let phase = |(index, phase): (usize, PhaseDocument)| {
            checks.within(format_args!("phases[{index}]"), |checks| phase.check(checks))
        };
        let phases = self.phases.into_iter().enumerate().filter_map(phase).collect();

        Policy {
            hold: Seconds::new(hold),
            seats_per_reservation_max,
            seats_per_user_max,
            payment: Seconds::new(payment),
            cancel_until_before_start: Seconds::new(cancel),
            prevent_orphan_seats: self.prevent_orphan_seats,
            recovery_grace: Seconds::new(recovery_grace),
            queue,
            accessible_release_at: checks
                .instant_or_none(format_args!("accessibleReleaseAt"), self.accessible_release_at.as_deref()),
            phases,
        }
    }
}

impl PhaseDocument {
    fn check(self, checks: &mut Checks) -> Option<Phase> {
        checks.text(format_args!("name"), &self.name, 1..=NAME_LEN_MAX);
        let id = checks.parsed(format_args!("phaseId"), &self.phase_id, PhaseId::parse);
        let opens_at = checks.instant(format_args!("opensAt"), &self.opens_at);
        let closes_at = checks.instant(format_args!("closesAt"), &self.closes_at);
        let grades = check_grades(checks, self.grades);
        let max = self.max_seats_per_user;
        let seats_per_user_max =
            max.map(|max| checks.number(format_args!("maxSeatsPerUser"), max, 1..=USER_SEATS_MAX));
        Some(Phase { id: id?, name: self.name, opens_at, closes_at, grades, seats_per_user_max })
    }
}

/// Checks a list of grades that something is for: each once.
pub(super) fn check_grades(checks: &mut Checks, grades: Option<Vec<String>>) -> Option<Vec<GradeName>> {
    let mut known = Vec::new();
    for (index, grade) in grades?.iter().enumerate() {
        let grade = checks.parsed(format_args!("grades[{index}]"), grade, GradeName::parse);
        if grade.as_ref().is_some_and(|grade| known.contains(grade)) {
            checks.wrong(format_args!("grades[{index}]"), "comes twice");
        }
        known.extend(grade);
    }
    Some(known)
}

impl QueuePolicyDocument {
    fn check(self, checks: &mut Checks) -> QueuePolicy {
        let mut number = |field: &str, number, range| checks.number(format_args!("{field}"), number, range);
        QueuePolicy {
            active_max: number("maxActive", self.max_active, 1..=ACTIVE_MAX),
            admit_per_minute: self
                .admit_per_minute
                .map(|count| number("admitPerMinute", count, 1..=ACTIVE_MAX)),
            active: Seconds::new(number("activeSeconds", self.active_seconds, 1..=DAY)),
            claim: Seconds::new(number("claimSeconds", self.claim_seconds, 1..=DAY)),
            idle: self
                .idle_seconds
                .map(|idle| Seconds::new(number("idleSeconds", idle, IDLE_SECONDS_MIN..=DAY))),
            waiting: Seconds::new(number("waitingSeconds", self.waiting_seconds, 1..=WAITING_SECONDS_MAX)),
            order: match self.order {
                OrderDocument::Fifo => QueueOrder::Fifo,
                OrderDocument::Shuffle => QueueOrder::Shuffle,
            },
            opens_at: checks.instant_or_none(format_args!("opensAt"), self.opens_at.as_deref()),
        }
    }
}

fn seconds(duration: Seconds) -> u64 {
    u64::from(duration.get())
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        let casting = |(role, casting): (&String, &Casting)| {
            let casting = match casting {
                Casting::One(name) => CastingDocument::One(name.clone()),
                Casting::Many(names) => CastingDocument::Many(names.clone()),
            };
            (role.clone(), casting)
        };
        Self {
            starts_at: At(plan.starts_at),
            ends_at: At(plan.ends_at),
            sales_open_at: plan.sales_open_at.map(At),
            sales_close_at: plan.sales_close_at.map(At),
            casting: plan.casting.iter().map(casting).collect(),
            policy: PolicyDocument::from(&plan.policy),
        }
    }
}

impl From<&Policy> for PolicyDocument {
    fn from(policy: &Policy) -> Self {
        Self {
            hold_seconds: seconds(policy.hold),
            max_seats_per_reservation: u64::from(policy.seats_per_reservation_max),
            max_seats_per_user: u64::from(policy.seats_per_user_max),
            payment_seconds: seconds(policy.payment),
            cancel_until_seconds_before_start: seconds(policy.cancel_until_before_start),
            prevent_orphan_seats: policy.prevent_orphan_seats,
            recovery_grace_seconds: seconds(policy.recovery_grace),
            queue: policy.queue.as_ref().map(QueuePolicyDocument::from),
            accessible_release_at: policy.accessible_release_at.map(|at| at.to_string()),
            phases: policy.phases.iter().map(PhaseDocument::from).collect(),
        }
    }
}

impl From<&Phase> for PhaseDocument {
    fn from(phase: &Phase) -> Self {
        let names = |grades: &Vec<GradeName>| grades.iter().map(ToString::to_string).collect();
        Self {
            phase_id: phase.id.to_string(),
            name: phase.name.clone(),
            opens_at: phase.opens_at.to_string(),
            closes_at: phase.closes_at.to_string(),
            grades: phase.grades.as_ref().map(names),
            max_seats_per_user: phase.seats_per_user_max.map(u64::from),
        }
    }
}

impl From<&QueuePolicy> for QueuePolicyDocument {
    fn from(queue: &QueuePolicy) -> Self {
        Self {
            max_active: u64::from(queue.active_max),
            admit_per_minute: queue.admit_per_minute.map(u64::from),
            active_seconds: seconds(queue.active),
            claim_seconds: seconds(queue.claim),
            idle_seconds: queue.idle.map(seconds),
            waiting_seconds: seconds(queue.waiting),
            order: match queue.order {
                QueueOrder::Fifo => OrderDocument::Fifo,
                QueueOrder::Shuffle => OrderDocument::Shuffle,
            },
            opens_at: queue.opens_at.map(|at| at.to_string()),
        }
    }
}

/// An absent field has the domain's default.
impl Default for PolicyDocument {
    fn default() -> Self {
        Self::from(&Policy::default())
    }
}

/// An absent field has the domain's default.
impl Default for QueuePolicyDocument {
    fn default() -> Self {
        Self::from(&QueuePolicy::default())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::json::parse;

    fn document() -> Value {
        json!({
            "concertId": "c", "startsAt": "2027-02-09T19:30:00+09:00", "endsAt": "2027-02-09T13:10:00Z",
            "casting": {"lola": "강홍석", "charlie": ["김호영", "신재범"]},
        })
    }

    fn read(value: &Value) -> Result<Plan, Vec<String>> {
        let document: ScheduleDocument = parse(value.to_string().as_bytes()).unwrap();
        let fields = |errors: Vec<FieldError>| errors.into_iter().map(|error| error.field).collect();
        document.into_domain(Some("s"), None).map(|(_, _, plan)| plan).map_err(fields)
    }

    #[test]
    fn what_a_policy_leaves_out_has_the_defaults_of_the_contract() {
        let plan = read(&document()).unwrap();
        let written = serde_json::to_value(PlanDocument::from(&plan)).unwrap();
        let policy = json!({
            "holdSeconds": 300, "maxSeatsPerReservation": 4, "maxSeatsPerUser": 4, "paymentSeconds": 60,
            "cancelUntilSecondsBeforeStart": 86_400, "preventOrphanSeats": false, "recoveryGraceSeconds": 900,
            "queue": null,
        });
        assert_eq!(written["policy"], policy);
        let mut some = document();
        some["policy"] = json!({"holdSeconds": 60, "queue": {"maxActive": 7}});
        let written = serde_json::to_value(PlanDocument::from(&read(&some).unwrap())).unwrap();
        let queue = json!({
            "maxActive": 7, "admitPerMinute": null, "activeSeconds": 1800, "claimSeconds": 120,
            "idleSeconds": 120, "waitingSeconds": 3600, "order": "fifo", "opensAt": null,
        });
        assert_eq!((&written["policy"]["holdSeconds"], &written["policy"]["queue"]), (&json!(60), &queue));
        assert_eq!(written["policy"]["maxSeatsPerUser"], 4);
        some["policy"] = json!({"accessibleReleaseAt": "2027-02-09T09:00:00+09:00"});
        let written = serde_json::to_value(PlanDocument::from(&read(&some).unwrap())).unwrap();
        assert_eq!(written["policy"]["accessibleReleaseAt"], "2027-02-09T00:00:00.000Z");
    }

    #[test]
    fn a_plan_is_given_back_as_it_was_written_with_its_instants_in_utc() {
        let written = serde_json::to_value(PlanDocument::from(&read(&document()).unwrap())).unwrap();
        assert_eq!(written["casting"], document()["casting"]);
        assert_eq!(written["startsAt"], "2027-02-09T10:30:00.000Z");
        assert_eq!(written["salesOpenAt"], Value::Null);
        let mut again = written;
        again["concertId"] = "c".into();
        assert_eq!(read(&again), read(&document()));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let wrong = json!({
            "scheduleId": "other", "concertId": "", "startsAt": "tomorrow", "endsAt": "2027-02-09",
            "salesOpenAt": "2027-02-09T10:30Z", "casting": {"": "x"},
            "policy": {
                "holdSeconds": 0, "maxSeatsPerReservation": 101, "maxSeatsPerUser": 0, "paymentSeconds": 3_601,
                "cancelUntilSecondsBeforeStart": 99_999_999, "recoveryGraceSeconds": 86_401,
                "queue": {"maxActive": 0, "admitPerMinute": 0, "claimSeconds": 0, "idleSeconds": 86_401, "opensAt": "x"},
                "accessibleReleaseAt": "2027-02-09",
            },
        });
        assert_eq!(
            read(&wrong).unwrap_err(),
            [
                "scheduleId",
                "concertId",
                "startsAt",
                "endsAt",
                "salesOpenAt",
                "casting",
                "policy.holdSeconds",
                "policy.maxSeatsPerReservation",
                "policy.maxSeatsPerUser",
                "policy.paymentSeconds",
                "policy.cancelUntilSecondsBeforeStart",
                "policy.recoveryGraceSeconds",
                "policy.queue.maxActive",
                "policy.queue.admitPerMinute",
                "policy.queue.claimSeconds",
                "policy.queue.idleSeconds",
                "policy.queue.opensAt",
                "policy.accessibleReleaseAt",
            ]
        );
    }

    #[test]
    fn an_unknown_field_is_refused_at_every_depth() {
        for policy in [json!({"holdSecond": 1}), json!({"queue": {"active": 1}}), json!(null)] {
            let mut value = document();
            value["policy"] = policy;
            assert!(parse::<ScheduleDocument>(value.to_string().as_bytes()).is_err(), "{value}");
        }
        for casting in [json!({"a": 1}), json!({"a": null}), json!({"a": [1]})] {
            let mut value = document();
            value["casting"] = casting;
            assert!(parse::<ScheduleDocument>(value.to_string().as_bytes()).is_err(), "{value}");
        }
    }
}
