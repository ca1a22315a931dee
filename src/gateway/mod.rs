//! Payment gateways: one trait, and the meaning of its answers for the driver of a payment.
//!
//! ```text
//! the customer pays at the gateway's checkout ─▶ payment key ─▶ confirm ─┬─ Captured
//!                                                                        ├─ Declined
//!                                                                        └─ Unknown ─▶ find, with backoff, until it is final
//! money that has to go back ─▶ cancel ─┬─ Cancelled
//!                                      ├─ Refused ─▶ a person
//!                                      └─ Unknown ─▶ cancel again, with backoff
//! ```
//!
//! # What each answer means
//!
//! | answer | what is true | what follows |
//! | --- | --- | --- |
//! | [`CaptureOutcome::Captured`] | the gateway took exactly the amount asked, for the order asked | the seats are confirmed, or the money goes back |
//! | [`CaptureOutcome::Declined`] | this request captured nothing and never will | the payment failed, unless an earlier request for it had no answer: then [`Gateway::find`] has the last word |
//! | [`CaptureOutcome::Unknown`] | nothing | [`Gateway::find`] with backoff; [`Why::is_not_sent`] says that not even a request got there |
//! | [`Found::Captured`] | the money is there, but for `cancelled_amount` | as after a capture; the amount is whatever the gateway has, so compare it |
//! | [`Found::NotCaptured`] | nothing was captured up to now; for good where [`NotCaptured::is_final`] | final: the payment failed. [`NotCaptured::Open`]: ask again, or capture again under a new key |
//! | [`Found::NoSuchOrder`] | the gateway knows of no such payment at this moment | not final while a request may still be on its way to it: ask again for as long as a checkout lives ([`Terms::checkout_life`]) |
//! | [`Found::Unknown`] | nothing | ask again, with backoff |
//! | [`CancelOutcome::Cancelled`] | the amount went back, by this request or an earlier one | the payment is refunded |
//! | [`CancelOutcome::Differs`] | another amount went back in all: somebody gave money back at the gateway's own page | less: cancel the rest, saying how much is back; more: the payment is refunded, and a person is told |
//! | [`CancelOutcome::Refused`] | this request gave nothing back, and the same request never will | a person has to give the money back another way |
//! | [`CancelOutcome::Unknown`] | nothing | cancel again, with backoff and under a new key |
//!
//! Dropping the future of a call means `Unknown`: the request may be on its way.
//!
//! # Idempotency keys
//!
//! A key belongs to **one attempt**. Gateways repeat the first answer to a key for days, errors included and whatever
//! the body is: after a passing error, the same key would get that error for days. A repeat is safe by the gateway's
//! own rules, not by the key: a payment key is captured at most once, and no more is refunded than was captured. A part could be
//! refunded twice, so a refund of a part names how much the gateway must still have ([`Cancel::back`]).
//!
//! # Payment keys
//!
//! A customer can go through the checkout of one order several times, and gets a payment key each time. The caller
//! keeps the first key that it tried to capture until its outcome is final, and only then takes another: gateways
//! capture a *payment key* once, not an order.
//!
//! # Invariants
//!
//! `Captured` needs an answer that names the payment key, the order, the amount and the currency that were asked for.
//! An answer that can't be read for certain is `Unknown`. Every text of a gateway is bounded and printable ([`Said`]).
//! No payment key and no secret is in a log or in `Debug`.
//!
//! Absent on purpose: retries, timers and state (the caller keeps a durable record of its requests), and belief in notices: [`Gateway::read_notice`] only returns the order to ask about.

mod names;
mod set;
#[cfg(feature = "http")]
pub mod toss;

use core::pin::Pin;

pub use self::names::{
    IDEMPOTENCY_KEY_LEN_MAX, IdempotencyKey, InvalidName, ORDER_ID_LEN, OrderId, PAYMENT_KEY_LEN_MAX,
    PaymentKey, SAID_LEN_MAX, Said,
};
pub use self::set::{Codes, EXTERNAL, Gateways, Terms};
use crate::domain::money::{Currency, Money};
use crate::domain::time::Timestamp;

/// An answer that takes a while, usually seconds.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A payment gateway. Calls take seconds: no actor may wait for one.
pub trait Gateway: Send + Sync + 'static {
    /// Returns the terms that differ from one gateway to another.
    fn terms(&self) -> &'static Terms;

    /// Tells whether it takes this currency. A capture in another one is declined without being sent.
    fn takes(&self, currency: Currency) -> bool;

    /// Captures the amount to which the customer agreed at the checkout.
    fn confirm(&self, capture: Capture) -> Answer<'_, CaptureOutcome>;

    /// Asks what became of a payment.
    fn find(&self, find: Find) -> Answer<'_, Found>;

    /// Refunds a captured payment, or a part of it.
    fn cancel(&self, cancel: Cancel) -> Answer<'_, CancelOutcome>;

    /// Reads the order of a notice. Anyone can send one, so it is only a hint to ask: nothing else in it is believed.
    fn read_notice(&self, body: &[u8]) -> Option<OrderId>;
}

/// A capture to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// The key that the checkout gave the customer.
    pub payment_key: PaymentKey,
    /// The engine's name for the payment.
    pub order_id: OrderId,
    /// The exact amount to capture.
    pub amount: Money,
    /// The currency of the amount.
    pub currency: Currency,
    /// A new key for each attempt.
    pub idempotency_key: IdempotencyKey,
}

/// The outcome of a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum CaptureOutcome {
    /// The gateway took the amount.
    Captured {
        /// The key that was asked for.
        payment_key: PaymentKey,
        /// The gateway's name for this movement of money.
        transaction: Option<Said>,
        /// When it was captured, by the gateway's clock.
        approved_at: Option<Timestamp>,
    },
    /// This request took nothing and never will.
    Declined {
        /// The gateway's code, or one of ours.
        code: Said,
        /// The gateway's sentence for the customer.
        reason: Said,
    },
    /// The gateway may have taken the amount, or may still take it.
    Unknown {
        /// Why the outcome is unknown.
        why: Why,
    },
}

/// The payment to ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// The engine's name for the payment.
    pub order_id: OrderId,
    /// The payment key of the capture whose answer is missing: exactly that capture is looked up. Without it the gateway
    /// chooses among the order's checkouts, and a customer may have gone through several.
    pub payment_key: Option<PaymentKey>,
}

/// A payment as the gateway has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Found {
    /// The gateway took money for this order.
    Captured {
        /// The key by which it is refunded.
        payment_key: PaymentKey,
        /// The captured amount.
        amount: Money,
        /// The part of it that was refunded.
        cancelled_amount: Money,
        /// When it was captured, by the gateway's clock.
        approved_at: Option<Timestamp>,
    },
    /// The gateway has taken no money up to now.
    NotCaptured(NotCaptured),
    /// The gateway knows no such payment now.
    NoSuchOrder,
    /// The gateway didn't answer the question.
    Unknown {
        /// Why the answer is unknown.
        why: Why,
    },
}

/// Why a payment that the gateway knows of isn't captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCaptured {
    /// The customer is at the checkout, or has agreed and nobody captured it, or a capture is under way.
    Open,
    /// A capture failed, or the customer gave up.
    Declined {
        /// The gateway's code, or one of ours.
        code: Said,
        /// The gateway's sentence for the customer.
        reason: Said,
    },
    /// The payment wasn't captured in time.
    Expired,
}

impl NotCaptured {
    /// Tells whether none of the requests that were sent can still capture anything.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Open => false,
            Self::Declined { .. } | Self::Expired => true,
        }
    }
}

/// A refund to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The key of the capture.
    pub payment_key: PaymentKey,
    /// How much is to have gone back in the end.
    pub amount: Money,
    /// The whole of what was captured.
    pub captured: Money,
    /// How much of it is back already, as far as the gateway has told. Where that is some, or only a part is to go back, the gateway must
    /// still have just the rest of what was captured, so that nothing goes back twice.
    pub back: Money,
    /// Why; the customer may see it. Cut where the gateway takes less.
    pub reason: String,
    /// A new one for each attempt.
    pub idempotency_key: IdempotencyKey,
}

/// What came of giving money back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum CancelOutcome {
    /// The amount went back, now or before.
    Cancelled {
        /// The gateway's name for this movement of money.
        transaction: Option<Said>,
    },
    /// Another amount than was asked for has gone back in all, and not by these requests alone. Less: this request gave nothing back.
    Differs {
        /// How much.
        back: Money,
        /// The gateway's name for the last movement of it.
        transaction: Option<Said>,
    },
    /// Nothing went back, and asking again won't help.
    Refused {
        /// The gateway's code.
        code: Said,
        /// The gateway's sentence.
        reason: Said,
    },
    /// It may have gone back, or may go back yet.
    Unknown {
        /// What happened instead of an answer.
        why: Why,
    },
}

/// Why nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// No connection could be made: nothing was sent.
    NotSent,
    /// No answer came in time.
    TimedOut,
    /// The connection broke before the whole answer was there.
    Broken,
    /// The gateway, or who is behind it, says that it failed or has too much to do.
    Failed,
    /// The gateway is still at it.
    UnderWay,
    /// The gateway says that the payment was dealt with before.
    AlreadyProcessed,
    /// The gateway doesn't take our secret, or isn't where the settings say: an operator has to act.
    Misconfigured,
    /// The answer can't be read for certain.
    NotUnderstood,
}

impl Why {
    /// Tells whether surely nothing was sent.
    pub const fn is_not_sent(self) -> bool {
        match self {
            Self::NotSent => true,
            Self::TimedOut
            | Self::Broken
            | Self::Failed
            | Self::UnderWay
            | Self::AlreadyProcessed
            | Self::Misconfigured
            | Self::NotUnderstood => false,
        }
    }

    /// Returns the label of a metric and the field of a log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
            Self::Failed => "failed",
            Self::UnderWay => "under_way",
            Self::AlreadyProcessed => "already_processed",
            Self::Misconfigured => "misconfigured",
            Self::NotUnderstood => "not_understood",
        }
    }
}

impl CaptureOutcome {
    /// Returns the label of a metric.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Captured { .. } => "captured",
            Self::Declined { .. } => "declined",
            Self::Unknown { why } => why.as_str(),
        }
    }
}

impl Found {
    /// Returns the label of a metric.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Captured { .. } => "captured",
            Self::NotCaptured(NotCaptured::Open) => "open",
            Self::NotCaptured(NotCaptured::Declined { .. }) => "declined",
            Self::NotCaptured(NotCaptured::Expired) => "expired",
            Self::NoSuchOrder => "no_such_order",
            Self::Unknown { why } => why.as_str(),
        }
    }
}

impl CancelOutcome {
    /// Returns the label of a metric.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Cancelled { .. } => "cancelled",
            Self::Differs { .. } => "differs",
            Self::Refused { .. } => "refused",
            Self::Unknown { why } => why.as_str(),
        }
    }
}
