//! The wire format of prices: those of grades, and a tariff of price types and fees.

use serde::{Deserialize, Serialize};

use super::super::DecodeError;
use super::super::fields::{More, Read, fee_id, money, price_type_id};
use crate::domain::concert::{Fee, FeePer, PricedType, Prices, Tariff};
use crate::domain::money::Money;

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct PricesWire {
    by_grade: Vec<u64>,
    best_first: Vec<u16>,
    more: More<PricesMore>,
}

#[derive(Serialize, Deserialize)]
pub(in crate::record) enum PricesMore {
    /// The price types and the fees.
    Tariff(Vec<PricedTypeWire>, Vec<FeeWire>),
}

/// A price type with its prices, by the grades of the layout.
#[derive(Serialize, Deserialize)]
pub(in crate::record) struct PricedTypeWire {
    id: String,
    name: String,
    by_grade: Vec<Option<u64>>,
    more: More,
}

#[derive(Serialize, Deserialize)]
pub(in crate::record) struct FeeWire {
    id: String,
    name: String,
    amount: u64,
    per: u8,
    refundable: bool,
    more: More,
}

impl PricesWire {
    pub(in crate::record) fn from_domain(prices: &Prices) -> Self {
        Self {
            by_grade: prices.by_grade.iter().map(|price| price.minor()).collect(),
            best_first: prices.best_first.to_vec(),
            more: prices.tariff.iter().map(|tariff| tariff_out(tariff)).collect(),
        }
    }

    pub(in crate::record) fn into_domain(self) -> Read<Prices> {
        let by_grade = self.by_grade.into_iter().map(money).collect::<Read<_>>()?;
        let mut tariff = None;
        for field in self.more {
            match field {
                PricesMore::Tariff(types, fees) => tariff = Some(Box::new(tariff_in(types, fees)?)),
            }
        }
        Ok(Prices { by_grade, best_first: self.best_first.into(), tariff })
    }
}

fn tariff_out(tariff: &Tariff) -> PricesMore {
    let priced = |priced: &PricedType| {
        let by_grade = priced.by_grade.iter().map(|price| price.map(Money::minor)).collect();
        let (id, name) = (priced.id.to_string(), priced.name.to_string());
        PricedTypeWire { id, name, by_grade, more: More::default() }
    };
    PricesMore::Tariff(
        tariff.types.iter().map(priced).collect(),
        tariff.fees.iter().map(FeeWire::from_domain).collect(),
    )
}

fn tariff_in(types: Vec<PricedTypeWire>, fees: Vec<FeeWire>) -> Read<Tariff> {
    let priced = |PricedTypeWire { id, name, by_grade, more: _ }| {
        let price = |price: Option<u64>| price.map(money).transpose();
        let by_grade = by_grade.into_iter().map(price).collect::<Read<_>>()?;
        Ok(PricedType { id: price_type_id(&id)?, name: name.into(), by_grade })
    };
    Ok(Tariff {
        types: types.into_iter().map(priced).collect::<Read<_>>()?,
        fees: fees.into_iter().map(FeeWire::into_domain).collect::<Read<_>>()?,
    })
}

impl FeeWire {
    pub(in crate::record) fn from_domain(fee: &Fee) -> Self {
        Self {
            id: fee.id.to_string(),
            name: fee.name.to_string(),
            amount: fee.amount.minor(),
            per: match fee.per {
                FeePer::Seat => 0,
                FeePer::Reservation => 1,
            },
            refundable: fee.refundable,
            more: More::default(),
        }
    }

    pub(in crate::record) fn into_domain(self) -> Read<Fee> {
        Ok(Fee {
            id: fee_id(&self.id)?,
            name: self.name.into(),
            amount: money(self.amount)?,
            per: match self.per {
                0 => FeePer::Seat,
                1 => FeePer::Reservation,
                _ => return Err(DecodeError::Value("how often a fee counts")),
            },
            refundable: self.refundable,
        })
    }
}
