//! Codes and allotments as an administrator writes and reads them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checks::{Checks, NAME_LEN_MAX};
use super::schedule::check_grades;
use super::words::{
    At, CatalogueId, CodeText, GradeText, InstantText, NameText, PlaceText, ReasonText, SeatName,
};
use crate::domain::concert::PRICE_MAX;
use crate::domain::ids::{AllotmentId, PhaseId};
use crate::domain::money::Money;
use crate::domain::schedule::allotments::{AllotmentCounts, AllotmentTerms, AsidePlaces};
use crate::domain::schedule::codes::{AccessCode, CODE_NAMES_MAX, CodeTerms, Discount, Uses};
use crate::domain::venue::Layout;
use crate::http::problem::FieldError;

/// The highest amount that a code takes off a seat, in minor units.
const AMOUNT_MAX: u64 = 1_000_000_000_000;
const _: () = assert!(AMOUNT_MAX <= PRICE_MAX.minor());

/// What a code opens, what it takes off, and how often it can be used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CodePut, example = json!({"phases": ["fanclub"], "discount": {"percent": 10}, "maxUses": 500}))]
pub struct CodeBody {
    /// The phases that it opens. A code that names any is for these alone, and not for the general sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashSet<CatalogueId>>, max_items = 64)]
    pub phases: Option<Vec<String>>,
    /// The allotment that a hold with it takes from, and from nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CatalogueId>)]
    pub allotment_id: Option<String>,
    /// What it takes off each seat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<DiscountDocument>,
    /// The grades that it is for; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashSet<GradeText>>, min_items = 1, max_items = 64)]
    pub grades: Option<Vec<String>>,
    /// The price types that it is for; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<HashSet<CatalogueId>>, min_items = 1, max_items = 64)]
    pub price_types: Option<Vec<String>>,
    /// How many holds can use it; any number if absent, and one of a generated code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4_294_967_295_u64)]
    pub max_uses: Option<u64>,
    /// How many seats these holds can have together; any number if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4_294_967_295_u64)]
    pub max_seats: Option<u64>,
    /// From when on it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<InstantText>)]
    pub valid_from: Option<String>,
    /// From when on it no longer can.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<InstantText>)]
    pub valid_until: Option<String>,
}

/// What a code takes off each seat: a share of its price, or an amount, never more than it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Discount, min_properties = 1, max_properties = 1)]
pub struct DiscountDocument {
    /// So many hundredths of the price, rounded half up to the minor unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub percent: Option<u64>,
    /// An amount, in the currency's minor unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_u64)]
    pub amount_per_seat: Option<u64>,
}

/// A code as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessCode)]
pub struct CodeDocument {
    /// The code, in capital letters.
    #[schema(value_type = CodeText)]
    code: String,
    /// The phases that it opens. A code that names any is for these alone, and not for the general sale.
    #[serde(skip_serializing_if = "Option::is_none")]
    phases: Option<Vec<String>>,
    /// The allotment that a hold with it takes from, and from nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    allotment_id: Option<String>,
    /// What it takes off each seat.
    #[serde(skip_serializing_if = "Option::is_none")]
    discount: Option<DiscountDocument>,
    /// The grades that it is for; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    grades: Option<Vec<String>>,
    /// The price types that it is for; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    price_types: Option<Vec<String>>,
    /// How many holds can use it; any number if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u64>,
    /// How many seats these holds can have together; any number if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_seats: Option<u64>,
    /// From when on it can be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_from: Option<At>,
    /// From when on it no longer can.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<At>,
    /// How many holds have used it: those that live, and those that were paid for.
    used: u32,
    /// How many seats these have together.
    seats: u32,
}

impl CodeBody {
    /// Checks the document.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn into_domain(self) -> Result<CodeTerms, Vec<FieldError>> {
        let mut checks = Checks::default();
        let terms = self.check(&mut checks);
        checks.finish(Some(terms))
    }

    fn check(self, checks: &mut Checks) -> CodeTerms {
        let mut phases: Vec<PhaseId> = Vec::new();
        let named = self.phases.unwrap_or_default();
        check_count(checks, "phases", named.len(), 0);
        for (index, phase) in named.iter().take(CODE_NAMES_MAX).enumerate() {
            let phase = checks.parsed(format_args!("phases[{index}]"), phase, PhaseId::parse);
            if phase.as_ref().is_some_and(|phase| phases.contains(phase)) {
                checks.wrong(format_args!("phases[{index}]"), "comes twice");
            }
            phases.extend(phase);
        }

        check_count(checks, "grades", self.grades.as_ref().map_or(1, Vec::len), 1);
        check_count(checks, "priceTypes", self.price_types.as_ref().map_or(1, Vec::len), 1);
        let types: Option<Box<[Arc<str>]>> =
            self.price_types.map(|types| types.into_iter().map(Arc::from).collect());

        let mut number = |field: &str, number: Option<u64>| {
            number.map(|number| checks.number(format_args!("{field}"), number, 1..=u32::MAX))
        };
        let (max_uses, max_seats) = (number("maxUses", self.max_uses), number("maxSeats", self.max_seats));
        let valid_from = checks.instant_or_none(format_args!("validFrom"), self.valid_from.as_deref());
        let valid_until = checks.instant_or_none(format_args!("validUntil"), self.valid_until.as_deref());
        if valid_from.zip(valid_until).is_some_and(|(from, until)| until <= from) {
            checks.wrong(format_args!("validUntil"), "must be later than validFrom");
        }

        let allotment = self.allotment_id.as_deref();
        CodeTerms {
            phases: phases.into(),
            allotment: allotment
                .and_then(|id| checks.parsed(format_args!("allotmentId"), id, AllotmentId::parse)),
            discount: self.discount.and_then(|discount| discount.check(checks)),
            grades: check_grades(checks, self.grades).map(Into::into),
            price_types: types,
            max_uses,
            max_seats,
            valid_from,
            valid_until,
        }
    }
}

fn check_count(checks: &mut Checks, field: &str, count: usize, least: usize) {
    if !(least..=CODE_NAMES_MAX).contains(&count) {
        checks.wrong(format_args!("{field}"), format!("must have {least} to {CODE_NAMES_MAX} items"));
    }
}

impl DiscountDocument {
    fn check(self, checks: &mut Checks) -> Option<Discount> {
        match (self.percent, self.amount_per_seat) {
            (Some(percent), None) => {
                let percent = checks.number(format_args!("discount.percent"), percent, 1..=100);
                u8::try_from(percent).ok().map(Discount::Percent)
            }
            (None, Some(amount)) if (1..=AMOUNT_MAX).contains(&amount) => {
                Money::new(amount).map(Discount::AmountPerSeat)
            }
            (None, Some(_)) => {
                checks
                    .wrong(format_args!("discount.amountPerSeat"), format!("must be from 1 to {AMOUNT_MAX}"));
                None
            }
            (Some(_), Some(_)) | (None, None) => {
                checks.wrong(format_args!("discount"), "must have either percent or amountPerSeat");
                None
            }
        }
    }
}

impl From<&CodeTerms> for CodeBody {
    fn from(terms: &CodeTerms) -> Self {
        let phases = || terms.phases.iter().map(ToString::to_string).collect();
        Self {
            phases: (!terms.phases.is_empty()).then(phases),
            allotment_id: terms.allotment.as_ref().map(ToString::to_string),
            discount: terms.discount.map(|discount| match discount {
                Discount::Percent(percent) => {
                    DiscountDocument { percent: Some(percent.into()), amount_per_seat: None }
                }
                Discount::AmountPerSeat(amount) => {
                    DiscountDocument { percent: None, amount_per_seat: Some(amount.minor()) }
                }
            }),
            grades: terms.grades.as_deref().map(|grades| grades.iter().map(ToString::to_string).collect()),
            price_types: terms
                .price_types
                .as_deref()
                .map(|types| types.iter().map(ToString::to_string).collect()),
            max_uses: terms.max_uses.map(u64::from),
            max_seats: terms.max_seats.map(u64::from),
            valid_from: terms.valid_from.map(|at| at.to_string()),
            valid_until: terms.valid_until.map(|at| at.to_string()),
        }
    }
}

impl CodeDocument {
    /// Shows a code.
    pub fn of(code: &AccessCode, terms: &CodeTerms, uses: Uses) -> Self {
        let CodeBody { phases, allotment_id, discount, grades, price_types, max_uses, max_seats, .. } =
            CodeBody::from(terms);
        Self {
            code: code.as_str().to_owned(),
            phases,
            allotment_id,
            discount,
            grades,
            price_types,
            max_uses,
            max_seats,
            valid_from: terms.valid_from.map(At),
            valid_until: terms.valid_until.map(At),
            used: uses.used,
            seats: uses.seats,
        }
    }
}

/// Seats, and places of areas, to set aside; at least one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = AllotmentPut, example = json!({"name": "후원사", "reason": "계약 12조",
    "seats": ["1층-B-7-14", "1층-B-7-15"], "areas": [{"areaId": "standing", "count": 50}], "releaseAt": "2027-02-01T00:00:00.000Z"}))]
pub struct AllotmentBody {
    /// Its name.
    #[schema(value_type = NameText)]
    pub name: String,
    /// Why they are set aside.
    #[schema(value_type = Option<ReasonText>)]
    pub reason: Option<String>,
    /// The ids of the seats, each once.
    #[schema(value_type = Option<HashSet<SeatName>>)]
    pub seats: Option<Vec<String>>,
    /// Places of areas, each area once.
    #[schema(max_items = 1_000)]
    pub areas: Option<Vec<AsidePlacesDocument>>,
    /// When what is left becomes available to everyone; if absent, when an administrator says so.
    #[schema(value_type = Option<InstantText>)]
    pub release_at: Option<String>,
}

/// Places of an area that are set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = AsidePlaces)]
pub struct AsidePlacesDocument {
    /// The area's id.
    #[schema(value_type = PlaceText)]
    pub area_id: String,
    /// How many, those that are held and sold among them.
    #[schema(minimum = 1, maximum = 100_000)]
    pub count: u32,
}

impl AsidePlacesDocument {
    /// Shows places of an area.
    pub fn of(places: AsidePlaces, layout: &Layout) -> Self {
        Self { area_id: layout.areas()[places.area.index()].id.to_string(), count: places.count }
    }
}

/// How many places of an area an allotment has, and where they are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AsideCounts)]
struct AsideCountsDocument {
    /// The area's id.
    #[schema(value_type = PlaceText)]
    area_id: String,
    /// How many it has.
    total: u32,
    /// How many are held, or being paid.
    held: u32,
    /// How many are sold.
    sold: u32,
    /// How many are left to those who bring a code of it.
    left: u32,
}

/// An allotment as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Allotment)]
pub struct AllotmentDocument {
    /// Its id.
    #[schema(value_type = CatalogueId)]
    allotment_id: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The ids of its seats: those that are left, held and sold.
    #[schema(value_type = Vec<SeatName>)]
    seats: Vec<String>,
    /// Its places of areas: those that are left, held and sold; absent if it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    areas: Vec<AsidePlacesDocument>,
    /// Where its places of each area are, as the map shows them; absent if it has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    area_counts: Vec<AsideCountsDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_at: Option<At>,
    /// How many places it has, seats and places of areas together.
    total: u32,
    /// How many are held, or being paid.
    held: u32,
    /// How many are sold.
    sold: u32,
    /// How many are left to those who bring a code of it.
    left: u32,
}

impl AllotmentBody {
    /// Checks the parts that need no venue: the name, the reason, and the release.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn check(&self) -> Result<Option<crate::domain::time::Timestamp>, Vec<FieldError>> {
        let mut checks = Checks::default();
        checks.text(format_args!("name"), &self.name, 1..=NAME_LEN_MAX);
        if let Some(reason) = &self.reason {
            checks.reason(format_args!("reason"), reason);
        }
        let release = checks.instant_or_none(format_args!("releaseAt"), self.release_at.as_deref());
        checks.finish(Some(release))
    }
}

impl AllotmentDocument {
    /// Shows an allotment; `of_areas` are the counts of its places of areas, as its terms list these.
    pub fn of(
        terms: &AllotmentTerms,
        counts: AllotmentCounts,
        of_areas: &[AllotmentCounts],
        layout: &Layout,
    ) -> Self {
        let of_area = |(places, counts): (&AsidePlaces, &AllotmentCounts)| AsideCountsDocument {
            area_id: layout.areas()[places.area.index()].id.to_string(),
            total: counts.total,
            held: counts.held,
            sold: counts.sold,
            left: counts.left,
        };
        Self {
            allotment_id: terms.id.to_string(),
            name: terms.name.clone(),
            reason: terms.reason.clone(),
            seats: terms.seats.iter().map(|seat| layout.seat_id(*seat).to_owned()).collect(),
            areas: terms.areas.iter().map(|places| AsidePlacesDocument::of(*places, layout)).collect(),
            area_counts: terms.areas.iter().zip(of_areas).map(of_area).collect(),
            release_at: terms.release_at.map(At),
            total: counts.total,
            held: counts.held,
            sold: counts.sold,
            left: counts.left,
        }
    }
}
