//! The wire format of what a reservation has beside numbered seats at their grades' prices: places of areas, price types, lines, a code,
//! an allotment, and what makes it an order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use super::super::fields::{More, Read, user_id};
use crate::domain::money::Money;
use crate::domain::schedule::orders::{Order, OrderMethod};
use crate::domain::schedule::terms::{self, AreaPlaces, Line, LineKind, PriceType, TakenFrom, Terms};
use crate::domain::venue::Area;

/// What a reservation has beside seats, in an event as in an image.
#[derive(Serialize, Deserialize)]
pub(in crate::record) enum HeldMore {
    Terms(Box<TermsWire>),
}

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct TermsWire {
    /// The area, the price type, the count.
    areas: Vec<(u16, u8, u32)>,
    price_types: Vec<u8>,
    lines: Vec<LineWire>,
    code: Option<String>,
    allotment: Option<String>,
    more: More<TermsMore>,
}

#[derive(Serialize, Deserialize)]
enum TermsMore {
    Order(OrderWire),
    /// Of the allotment, where an earlier version didn't set it.
    AllotmentLife(u64),
}

#[derive(Serialize, Deserialize)]
struct OrderWire {
    clerk: String,
    method: u8,
    reference: Option<String>,
    name: Option<String>,
    reason: Option<String>,
    more: More,
}

#[derive(Serialize, Deserialize)]
struct LineWire {
    kind: u8,
    name: String,
    count: u32,
    unit_amount: i64,
    amount: i64,
    refundable: bool,
}

pub(in crate::record) fn order_in(more: More<HeldMore>) -> Read<Arc<Terms>> {
    let terms = terms_in(more)?.filter(|terms| terms.order.is_some());
    terms.ok_or(DecodeError::Value("an order's terms"))
}

pub(in crate::record) fn terms_out(terms: Option<&Terms>) -> More<HeldMore> {
    terms.map(|terms| HeldMore::Terms(Box::new(TermsWire::from_domain(terms)))).into_iter().collect()
}

pub(in crate::record) fn terms_in(more: More<HeldMore>) -> Read<Option<Arc<Terms>>> {
    let mut terms = None;
    for field in more {
        match field {
            HeldMore::Terms(set) => terms = Some(Arc::new(set.into_domain()?)),
        }
    }
    Ok(terms)
}

impl TermsWire {
    fn from_domain(terms: &Terms) -> Self {
        let area = |places: &AreaPlaces| (places.area.0, places.price_type.0, places.count);
        let order = terms.order().map(|order| TermsMore::Order(OrderWire::from_domain(order)));
        let life = terms.allotment.as_ref().map(|from| from.life).filter(|life| *life > 0);
        let life = life.map(TermsMore::AllotmentLife);
        Self {
            areas: terms.areas.iter().map(area).collect(),
            price_types: terms.price_types.iter().map(|price_type| price_type.0).collect(),
            lines: terms.lines.iter().map(LineWire::from_domain).collect(),
            code: terms.code.as_deref().map(str::to_owned),
            allotment: terms.allotment.as_ref().map(|from| from.id.to_string()),
            more: order.into_iter().chain(life).collect(),
        }
    }

    fn into_domain(self) -> Read<Terms> {
        let area = |(area, price_type, count)| AreaPlaces {
            area: Area(area),
            price_type: PriceType(price_type),
            count,
        };
        let (mut order, mut life) = (None, 0);
        for field in self.more {
            match field {
                TermsMore::Order(set) => order = Some(Box::new(set.into_domain()?)),
                TermsMore::AllotmentLife(set) => life = set,
            }
        }
        let terms = Terms {
            order,
            areas: self.areas.into_iter().map(area).collect(),
            price_types: self.price_types.into_iter().map(PriceType).collect(),
            lines: self.lines.into_iter().map(LineWire::into_domain).collect::<Read<_>>()?,
            code: self.code.map(Into::into),
            allotment: self.allotment.map(|id| TakenFrom { id: id.into(), life }),
        };

        // Whoever adds them up later takes it for granted that they have a sum.
        let bounded = i64::try_from(Money::MAX.minor()).expect("2^53 fits");
        let sum = terms.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount));
        let within = terms.lines.iter().all(|line| (-bounded..=bounded).contains(&line.amount));
        if !within || sum.and_then(terms::money).is_none() {
            return Err(DecodeError::Value("a reservation's lines"));
        }
        Ok(terms)
    }
}

impl OrderWire {
    fn from_domain(order: &Order) -> Self {
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        Self {
            clerk: order.clerk.to_string(),
            method: match order.method {
                OrderMethod::Cash => 0,
                OrderMethod::CardTerminal => 1,
                OrderMethod::Invoice => 2,
                OrderMethod::Complimentary => 3,
            },
            reference: text(&order.reference),
            name: text(&order.name),
            reason: text(&order.reason),
            more: More::default(),
        }
    }

    fn into_domain(self) -> Read<Order> {
        Ok(Order {
            clerk: user_id(&self.clerk)?,
            method: match self.method {
                0 => OrderMethod::Cash,
                1 => OrderMethod::CardTerminal,
                2 => OrderMethod::Invoice,
                3 => OrderMethod::Complimentary,
                _ => return Err(DecodeError::Value("how an order was paid")),
            },
            reference: self.reference.map(Into::into),
            name: self.name.map(Into::into),
            reason: self.reason.map(Into::into),
        })
    }
}

impl LineWire {
    fn from_domain(line: &Line) -> Self {
        Self {
            kind: match line.kind {
                LineKind::Seat => 0,
                LineKind::Area => 1,
                LineKind::Fee => 2,
                LineKind::Discount => 3,
            },
            name: line.name.to_string(),
            count: line.count,
            unit_amount: line.unit_amount,
            amount: line.amount,
            refundable: line.refundable,
        }
    }

    fn into_domain(self) -> Read<Line> {
        Ok(Line {
            kind: match self.kind {
                0 => LineKind::Seat,
                1 => LineKind::Area,
                2 => LineKind::Fee,
                3 => LineKind::Discount,
                _ => return Err(DecodeError::Value("a line's kind")),
            },
            name: self.name.into(),
            count: self.count,
            unit_amount: self.unit_amount,
            amount: self.amount,
            refundable: self.refundable,
        })
    }
}
