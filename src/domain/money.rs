//! Amounts of money: integers in the currency's minor unit, and the currency beside them.

use core::fmt;

/// An amount in the minor unit of its currency, never negative, never rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(u64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount that every JSON reader keeps exactly (2^53 − 1).
    pub const MAX: Self = Self((1 << 53) - 1);

    /// Makes an amount, unless it exceeds [`Money::MAX`].
    pub const fn new(minor: u64) -> Option<Self> {
        if minor > Self::MAX.0 { None } else { Some(Self(minor)) }
    }

    /// Returns the amount in minor units.
    pub const fn minor(self) -> u64 {
        self.0
    }

    /// Adds two amounts, unless the sum exceeds [`Money::MAX`].
    #[must_use]
    pub const fn plus(self, other: Self) -> Option<Self> {
        // Both are below 2^53, so the sum fits in 64 bits.
        Self::new(self.0 + other.0)
    }

    /// Subtracts, unless the result would be negative.
    #[must_use]
    pub const fn minus(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(minor) => Some(Self(minor)),
            None => None,
        }
    }
}

/// An ISO 4217 currency code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Parses three capital letters.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidCurrency> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            Ok(_) | Err(_) => Err(InvalidCurrency),
        }
    }

    /// Returns the code's three letters.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).expect("a currency is three ASCII letters by construction")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that isn't an ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an ISO 4217 currency code")]
pub struct InvalidCurrency;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_that_a_json_reader_would_round_is_refused() {
        assert_eq!(Money::new(1 << 53), None);
        assert_eq!(Money::MAX.plus(Money::new(1).unwrap()), None);
        assert_eq!(Money::ZERO.minus(Money::new(1).unwrap()), None);
    }

    #[test]
    fn a_currency_is_three_capital_letters() {
        assert_eq!(Currency::parse("KRW").unwrap().as_str(), "KRW");
        for wrong in ["krw", "KR", "KRWX", "원원원", ""] {
            assert_eq!(Currency::parse(wrong), Err(InvalidCurrency));
        }
    }
}
