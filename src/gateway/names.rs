//! The names that the engine and a gateway exchange, and the gateway's texts, as types that are checked when parsed.
//! The lengths are the engine's; a gateway with shorter ones has them in its own folder.

use core::fmt;
use std::sync::Arc;

/// The longest payment key, in characters.
pub const PAYMENT_KEY_LEN_MAX: usize = 200;
/// The shortest and the longest order id, in characters.
pub const ORDER_ID_LEN: core::ops::RangeInclusive<usize> = 6..=64;
/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 300;
/// The longest text of a gateway that is kept, in characters.
pub const SAID_LEN_MAX: usize = 200;

/// A text that isn't a valid name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// It is too short or too long.
    #[error("has a length that is not allowed here")]
    Length,
    /// It has a character that isn't allowed.
    #[error("has a character that is not allowed here")]
    Character,
}

fn check(
    text: &str,
    lengths: core::ops::RangeInclusive<usize>,
    allowed: impl Fn(u8) -> bool,
) -> Result<(), InvalidName> {
    // Allowed characters are ASCII, so bytes count characters.
    if !lengths.contains(&text.len()) {
        return Err(InvalidName::Length);
    }
    if text.bytes().all(allowed) { Ok(()) } else { Err(InvalidName::Character) }
}

/// The gateway's name for the customer's agreement at the checkout. It comes from the customer and stands in a URL:
/// 1–200 letters, digits and `-_.~`, not only dots. With it and the gateway's secret one can move money, so it is never
/// logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PaymentKey(Arc<str>);

impl PaymentKey {
    /// Checks and takes a key.
    ///
    /// # Errors
    /// When its length or a character isn't allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
        check(text, 1..=PAYMENT_KEY_LEN_MAX, unreserved)?;
        // In a URL's path, `.` and `..` lead to another path.
        if text.bytes().all(|byte| byte == b'.') {
            Err(InvalidName::Character)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PaymentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentKey(..)")
    }
}

/// Our name for a payment, as the checkout got it: 6–64 letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderId(Arc<str>);

impl OrderId {
    /// Checks and takes an id.
    ///
    /// # Errors
    /// When its length or a character isn't allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        check(text, ORDER_ID_LEN, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))?;
        Ok(Self(text.into()))
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// What tells the gateway that two requests are one: 1–300 visible ASCII characters, for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(Arc<str>);

impl IdempotencyKey {
    /// Checks and takes a key.
    ///
    /// # Errors
    /// When its length or a character isn't allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        check(text, 1..=IDEMPOTENCY_KEY_LEN_MAX, |byte| byte.is_ascii_graphic())?;
        Ok(Self(text.into()))
    }

    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A gateway's text: at most [`SAID_LEN_MAX`] characters, without control characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Said(Box<str>);

impl Said {
    /// Keeps the beginning of a text; a control character becomes a space.
    pub fn new(text: &str) -> Self {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self(text.chars().take(SAID_LEN_MAX).map(printable).collect::<String>().into())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_key_cannot_lead_a_path_elsewhere() {
        for right in
            ["5zJ4xY7m0kODnyRpQWGrN2xqGlNvLrKwv1M9ENjbeoPaZdL6", "tviva-2024_02.13~x", &"k".repeat(200)]
        {
            assert!(PaymentKey::parse(right).is_ok(), "{right}");
        }
        for wrong in ["..", ".", "a/b", "a?b", "a#b", "%2e%2e", "a b", "키", "a\n"] {
            assert_eq!(PaymentKey::parse(wrong), Err(InvalidName::Character), "{wrong}");
        }
        assert_eq!(PaymentKey::parse(""), Err(InvalidName::Length));
        assert_eq!(PaymentKey::parse(&"k".repeat(201)), Err(InvalidName::Length));
    }

    #[test]
    fn a_payment_key_is_not_shown() {
        let key = PaymentKey::parse("very-secret").unwrap();
        assert!(!format!("{key:?}").contains("very-secret"));
    }

    #[test]
    fn an_order_id_is_what_the_gateway_takes() {
        assert!(OrderId::parse("gnodh3azvbdamtxgaqhrlv3bny").is_ok());
        assert_eq!(OrderId::parse("short"), Err(InvalidName::Length));
        assert_eq!(OrderId::parse(&"x".repeat(65)), Err(InvalidName::Length));
        assert_eq!(OrderId::parse("order/1"), Err(InvalidName::Character));
    }

    #[test]
    fn an_idempotency_key_has_at_most_three_hundred_visible_characters() {
        assert!(IdempotencyKey::parse(&"k".repeat(300)).is_ok());
        assert_eq!(IdempotencyKey::parse(&"k".repeat(301)), Err(InvalidName::Length));
        assert_eq!(IdempotencyKey::parse("a b"), Err(InvalidName::Character));
    }

    #[test]
    fn what_a_gateway_said_is_short_and_printable() {
        assert_eq!(Said::new("카드\u{1b}[31m\n").as_str(), "카드 [31m ");
        assert_eq!(Said::new(&"한".repeat(500)).as_str().chars().count(), SAID_LEN_MAX);
    }
}
