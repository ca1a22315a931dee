//! The wire format of phases, codes and allotments, which a schedule's plan, events and image have.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use super::super::fields::{More, Read, grade_name, instant_in, instant_out, money, seats_in, seats_out};
use crate::domain::ids::{AllotmentId, GradeName, PhaseId};
use crate::domain::schedule::allotments::{AllotmentTerms, AsidePlaces};
use crate::domain::schedule::codes::{
    AccessCode, BatchImage, CodePrefix, CodeTerms, Codes, Discount, NamedImage, Uses,
};
use crate::domain::schedule::policy::Phase;
use crate::domain::time::Timestamp;
use crate::domain::venue::Area;

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct PhaseWire {
    id: String,
    name: String,
    opens_at: u64,
    closes_at: u64,
    grades: Option<Vec<String>>,
    seats_per_user_max: Option<u32>,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct CodeTermsWire {
    phases: Vec<String>,
    allotment: Option<String>,
    discount: Option<DiscountWire>,
    grades: Option<Vec<String>>,
    price_types: Option<Vec<String>>,
    max_uses: Option<u32>,
    max_seats: Option<u32>,
    valid_from: Option<u64>,
    valid_until: Option<u64>,
    more: More,
}

#[derive(Serialize, Deserialize)]
enum DiscountWire {
    Percent(u8),
    AmountPerSeat(u64),
}

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct CodesWire {
    named: Vec<NamedWire>,
    batches: Vec<BatchWire>,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct NamedWire {
    code: String,
    terms: CodeTermsWire,
    uses: (u32, u32),
    ended: bool,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct BatchWire {
    prefix: String,
    terms: CodeTermsWire,
    drawn: Vec<u64>,
    /// By place: of those that were used.
    uses: Vec<(u32, u32, u32)>,
    gone: Vec<u32>,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct AllotmentWire {
    id: String,
    name: String,
    reason: Option<String>,
    seats: Vec<u32>,
    release_at: Option<u64>,
    more: More<AllotmentMore>,
}

#[derive(Serialize, Deserialize)]
enum AllotmentMore {
    /// The area, the count.
    Areas(Vec<(u16, u32)>),
    /// Which of those it is that had its id, where an earlier version didn't set it.
    Life(u64),
}

pub(in crate::record) fn aside_out(areas: &[AsidePlaces]) -> Vec<(u16, u32)> {
    areas.iter().map(|places| (places.area.0, places.count)).collect()
}

pub(in crate::record) fn aside_in(areas: Vec<(u16, u32)>) -> Read<Arc<[AsidePlaces]>> {
    if !areas.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(DecodeError::Value("the order of an allotment's areas"));
    }
    Ok(areas.into_iter().map(|(area, count)| AsidePlaces { area: Area(area), count }).collect())
}

pub(in crate::record) fn phase_id(text: &str) -> Read<PhaseId> {
    PhaseId::parse(text).map_err(|_| DecodeError::Value("a phase's id"))
}

pub(in crate::record) fn allotment_id(text: &str) -> Read<AllotmentId> {
    AllotmentId::parse(text).map_err(|_| DecodeError::Value("an allotment's id"))
}

pub(in crate::record) fn code_in(text: &str) -> Read<AccessCode> {
    let code = AccessCode::parse(text).ok().filter(|code| code.as_str() == text);
    code.ok_or(DecodeError::Value("a code"))
}

pub(in crate::record) fn prefix_in(text: &str) -> Read<CodePrefix> {
    let prefix = CodePrefix::parse(text).ok().filter(|prefix| prefix.as_str() == text);
    prefix.ok_or(DecodeError::Value("a prefix of codes"))
}

fn names_out(names: &[GradeName]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn names_in(names: &[String]) -> Read<Vec<GradeName>> {
    names.iter().map(|name| grade_name(name)).collect()
}

impl PhaseWire {
    pub(in crate::record) fn from_domain(phase: &Phase) -> Self {
        Self {
            id: phase.id.to_string(),
            name: phase.name.clone(),
            opens_at: phase.opens_at.as_millis(),
            closes_at: phase.closes_at.as_millis(),
            grades: phase.grades.as_deref().map(names_out),
            seats_per_user_max: phase.seats_per_user_max,
            more: More::default(),
        }
    }

    pub(in crate::record) fn into_domain(self) -> Read<Phase> {
        Ok(Phase {
            id: phase_id(&self.id)?,
            name: self.name,
            opens_at: Timestamp::from_millis(self.opens_at),
            closes_at: Timestamp::from_millis(self.closes_at),
            grades: self.grades.as_deref().map(names_in).transpose()?,
            seats_per_user_max: self.seats_per_user_max,
        })
    }
}

impl CodeTermsWire {
    pub(in crate::record) fn from_domain(terms: &CodeTerms) -> Self {
        Self {
            phases: terms.phases.iter().map(ToString::to_string).collect(),
            allotment: terms.allotment.as_ref().map(ToString::to_string),
            discount: terms.discount.map(|discount| match discount {
                Discount::Percent(percent) => DiscountWire::Percent(percent),
                Discount::AmountPerSeat(amount) => DiscountWire::AmountPerSeat(amount.minor()),
            }),
            grades: terms.grades.as_deref().map(names_out),
            price_types: terms
                .price_types
                .as_deref()
                .map(|types| types.iter().map(ToString::to_string).collect()),
            max_uses: terms.max_uses,
            max_seats: terms.max_seats,
            valid_from: instant_out(terms.valid_from),
            valid_until: instant_out(terms.valid_until),
            more: More::default(),
        }
    }

    pub(in crate::record) fn into_domain(self) -> Read<CodeTerms> {
        let discount = match self.discount {
            None => None,
            Some(DiscountWire::Percent(percent @ 1..=100)) => Some(Discount::Percent(percent)),
            Some(DiscountWire::Percent(_)) => return Err(DecodeError::Value("a discount")),
            Some(DiscountWire::AmountPerSeat(amount)) => Some(Discount::AmountPerSeat(money(amount)?)),
        };

        Ok(CodeTerms {
            phases: self.phases.iter().map(|id| phase_id(id)).collect::<Read<_>>()?,
            allotment: self.allotment.as_deref().map(allotment_id).transpose()?,
            discount,
            grades: self.grades.as_deref().map(names_in).transpose()?.map(Into::into),
            price_types: self.price_types.map(|types| types.into_iter().map(Arc::from).collect()),
            max_uses: self.max_uses,
            max_seats: self.max_seats,
            valid_from: instant_in(self.valid_from),
            valid_until: instant_in(self.valid_until),
        })
    }
}

impl CodesWire {
    pub(in crate::record) fn from_domain(codes: &Codes) -> Self {
        let (named, batches) = codes.image();
        let named = named.into_iter().map(|named| NamedWire {
            code: named.code.to_string(),
            terms: CodeTermsWire::from_domain(&named.terms),
            uses: (named.uses.used, named.uses.seats),
            ended: named.ended,
            more: More::default(),
        });
        let batches = batches.into_iter().map(|batch| BatchWire {
            prefix: batch.prefix.as_str().to_owned(),
            terms: CodeTermsWire::from_domain(&batch.terms),
            drawn: batch.drawn.to_vec(),
            uses: batch.uses.into_iter().map(|(place, uses)| (place, uses.used, uses.seats)).collect(),
            gone: batch.gone,
            more: More::default(),
        });
        Self { named: named.collect(), batches: batches.collect(), more: More::default() }
    }

    pub(in crate::record) fn into_domain(self) -> Read<Codes> {
        let named = |named: NamedWire| {
            let (used, seats) = named.uses;
            Ok(NamedImage {
                code: code_in(&named.code)?,
                terms: Arc::new(named.terms.into_domain()?),
                uses: Uses { used, seats },
                ended: named.ended,
            })
        };
        let batch = |batch: BatchWire| {
            Ok(BatchImage {
                prefix: prefix_in(&batch.prefix)?,
                terms: Arc::new(batch.terms.into_domain()?),
                drawn: batch.drawn.into(),
                uses: batch
                    .uses
                    .into_iter()
                    .map(|(place, used, seats)| (place, Uses { used, seats }))
                    .collect(),
                gone: batch.gone,
            })
        };

        let named = self.named.into_iter().map(named).collect::<Read<Vec<_>>>()?;
        let batches = self.batches.into_iter().map(batch).collect::<Read<Vec<_>>>()?;
        Codes::restore(named, batches).ok_or(DecodeError::Value("a schedule's codes"))
    }
}

impl AllotmentWire {
    pub(in crate::record) fn from_domain(terms: &AllotmentTerms) -> Self {
        let areas = (!terms.areas.is_empty()).then(|| AllotmentMore::Areas(aside_out(&terms.areas)));
        let life = (terms.life > 0).then_some(AllotmentMore::Life(terms.life));
        Self {
            id: terms.id.to_string(),
            name: terms.name.clone(),
            reason: terms.reason.clone(),
            seats: seats_out(&terms.seats),
            release_at: instant_out(terms.release_at),
            more: areas.into_iter().chain(life).collect(),
        }
    }

    pub(in crate::record) fn into_domain(self) -> Read<AllotmentTerms> {
        let seats = seats_in(self.seats);
        if !seats.is_sorted_by(|one, next| one < next) {
            return Err(DecodeError::Value("the order of an allotment's seats"));
        }

        let (mut areas, mut life) = (Arc::default(), 0);
        for field in self.more {
            match field {
                AllotmentMore::Areas(set) => areas = aside_in(set)?,
                AllotmentMore::Life(set) => life = set,
            }
        }
        Ok(AllotmentTerms {
            id: allotment_id(&self.id)?,
            name: self.name,
            reason: self.reason,
            seats,
            areas,
            release_at: instant_in(self.release_at),
            life,
        })
    }
}
