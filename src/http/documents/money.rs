//! The documents of accounts and payments, in answers and in the journal's feed.
//!
//! Absent on purpose: the gateway's ids in the feed, and in answers to others than administrators. Only to a payment service that is asked
//! by the feed, the feed says its own.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::kinds::{self, EventDocument, object};
use super::words::{AnyMethodWord, At, MethodWord, OpaqueId, PaymentWord, TransactionWord};
use crate::domain::accounts::{self, Kind, Shard};
use crate::domain::ids::{PaymentId, PaymentNumber, ReservationId, ScheduleNumber, TransactionId};
use crate::domain::money::Money;
use crate::domain::payments::{self, AnyPayment, Failure, OrderPayment, Payment};
use crate::domain::schedule::ReservationRef;
use crate::domain::schedule::orders::Order;

/// Writes an event of an account.
pub(super) fn of_accounts(event: &accounts::Event, shard: Shard) -> EventDocument {
    let (kind, user, fields): (&'static kinds::Kind, _, _) = match event {
        accounts::Event::Moved { user, currency, number, nonce, kind, amount, balance_after } => {
            let id = TransactionId { shard: shard.0, number: *number, nonce: *nonce };
            let payment = match kind {
                Kind::Charge => None,
                Kind::Payment(payment) | Kind::Refund(payment) => Some(payment.to_string()),
            };
            let fields = json!({
                "userId": user.as_str(), "transactionId": id.to_string(), "type": kind.as_str(),
                "amount": amount.minor(), "currency": currency.as_str(), "balanceAfter": balance_after.minor(),
                "paymentId": payment,
            });
            (&kinds::MONEY_MOVED, user, fields)
        }
        accounts::Event::KeyKept { user } => {
            (&kinds::ACCOUNT_KEY_KEPT, user, json!({"userId": user.as_str()}))
        }
        accounts::Event::Archived { user, .. } => {
            (&kinds::TRANSACTIONS_ARCHIVED, user, json!({"userId": user.as_str()}))
        }
    };
    EventDocument::new(kind, format!("users/{user}/balance"), object(fields))
}

/// Writes an event of a payment, with what is known of it while it is kept.
pub(super) fn of_payments(
    event: &payments::Event,
    schedule: ScheduleNumber,
    payment: Option<&Payment>,
) -> EventDocument {
    use payments::Event;
    let number = event.number();

    // The feed may be a moment ahead of the published state, so the first event brings its own id.
    let id = if let Event::Started { nonce, .. } | Event::Unmatched { nonce, .. } = event {
        Some(PaymentId { schedule, number, nonce: *nonce })
    } else {
        payment.map(|payment| payment.id)
    };
    let id = id.map(|id| id.to_string());

    let (kind, fields): (&'static kinds::Kind, _) = match event {
        Event::Started { reservation, user, method, amount, currency, .. } => {
            let fields = json!({
                "reservationId": reservation_id(schedule, *reservation), "userId": user.as_str(), "method": method.as_str(),
                "amount": amount.minor(), "currency": currency.as_str(),
            });
            (&kinds::PAYMENT_STARTED, fields)
        }
        Event::Accepted { .. } => (&kinds::PAYMENT_ACCEPTED, json!({})),
        Event::CaptureBegun { .. } => (&kinds::CAPTURE_BEGUN, json!({})),
        Event::Declined { failure, .. } => {
            (&kinds::PAYMENT_DECLINED, json!({"failure": of_failure(failure)}))
        }
        Event::Captured { .. } | Event::CapturedOutside { .. } => (&kinds::PAYMENT_CAPTURED, json!({})),
        Event::Confirmed { .. } => (&kinds::PAYMENT_CONFIRMED, json!({})),
        Event::Completed { .. } => (&kinds::PAYMENT_COMPLETED, json!({})),
        Event::Failed { failure, .. } => {
            (&kinds::PAYMENT_FAILED, json!({"failure": failure.as_ref().map(of_failure)}))
        }
        Event::RefundBegun { failure, amount, .. } => {
            let mut owed = payment.map(|payment| Owed::of(payment, schedule)).unwrap_or_default();
            // The feed may be a moment ahead of the published state.
            owed.amount = amount.map(Money::minor).or(owed.paid_amount);
            (&kinds::REFUND_BEGUN, owed.because(failure))
        }
        Event::Unmatched { reservation, user, method, taken, failure, back: None, .. } => {
            let owed = Owed {
                reservation_id: Some(reservation_id(schedule, *reservation)),
                user_id: Some(user),
                method: Some((*method).into()),
                amount: Some(taken.amount.minor()),
                paid_amount: Some(taken.amount.minor()),
                currency: Some(taken.currency.as_str()),
                payment_key: Some(&taken.payment_key),
            };
            (&kinds::REFUND_BEGUN, owed.because(failure))
        }
        Event::Refunded { amount: Some(amount), .. } => {
            (&kinds::PAYMENT_REFUNDED, json!({"amount": amount.minor()}))
        }
        Event::Refunded { amount: None, .. } | Event::Unmatched { back: Some(_), .. } => {
            (&kinds::PAYMENT_REFUNDED, json!({}))
        }
        Event::KeyKept { .. } => (&kinds::PAYMENT_KEY_KEPT, json!({})),
    };

    let mut data = Map::new();
    data.insert("paymentNumber".into(), number.count().into());
    data.insert("paymentId".into(), id.clone().into());
    data.extend(object(fields));

    let subject = id.map_or_else(|| unnamed(schedule, number), |id| format!("payments/{id}"));
    EventDocument::new(kind, subject, data)
}

/// The money that a refund is to give back, as far as it is known.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Owed<'a> {
    reservation_id: Option<OpaqueId>,
    user_id: Option<&'a str>,
    method: Option<MethodWord>,
    /// What goes back.
    amount: Option<u64>,
    paid_amount: Option<u64>,
    currency: Option<&'a str>,
    /// Only that of a payment service which is asked by the feed.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_key: Option<&'a str>,
}

impl<'a> Owed<'a> {
    fn of(payment: &'a Payment, schedule: ScheduleNumber) -> Self {
        Self {
            reservation_id: Some(reservation_id(schedule, payment.reservation)),
            user_id: Some(&payment.user),
            method: Some(payment.method.into()),
            amount: Some(payment.refund_amount().minor()),
            paid_amount: Some(payment.amount.minor()),
            currency: Some(payment.currency.as_str()),
            payment_key: payment.payment_key.as_deref().filter(|_| payment.is_reported()),
        }
    }

    /// Returns the fields of an event that says why it is to go back.
    fn because(&self, failure: &Failure) -> Value {
        let mut fields = object(serde_json::to_value(self).expect("texts and numbers"));
        fields.insert("failure".into(), of_failure(failure));
        Value::Object(fields)
    }
}

fn reservation_id(schedule: ScheduleNumber, reservation: ReservationRef) -> OpaqueId {
    ReservationId { schedule, number: reservation.number, nonce: reservation.nonce }.into()
}

fn unnamed(schedule: ScheduleNumber, number: PaymentNumber) -> String {
    format!("payments/#{}-{}", schedule.0, number.count())
}

/// Why a payment failed or was refunded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PaymentFailure)]
pub struct FailureDocument<'a> {
    code: FailureWord,
    /// With `payment_declined`: the gateway's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway_code: Option<&'a str>,
    /// With `payment_declined`: the gateway's reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// With `insufficient_balance`: the balance at that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    current_balance: Option<u64>,
}

/// The code of why a payment failed or was refunded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PaymentFailureCode)]
enum FailureWord {
    ReservationNotHeld,
    ReservationExpired,
    AmountChanged,
    InsufficientBalance,
    CurrencyMismatch,
    PaymentDeclined,
    SeatsLost,
    ReservationCancelled,
    Superseded,
    AlreadyPaid,
}

impl From<&Failure> for FailureWord {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::NotHeld => Self::ReservationNotHeld,
            Failure::TooLate => Self::ReservationExpired,
            Failure::OtherAmount => Self::AmountChanged,
            Failure::Insufficient { .. } => Self::InsufficientBalance,
            Failure::OtherCurrency => Self::CurrencyMismatch,
            Failure::Declined { .. } => Self::PaymentDeclined,
            Failure::SeatsLost => Self::SeatsLost,
            Failure::Cancelled => Self::ReservationCancelled,
            Failure::Superseded => Self::Superseded,
            Failure::AlreadyPaid => Self::AlreadyPaid,
        }
    }
}

impl<'a> From<&'a Failure> for FailureDocument<'a> {
    fn from(failure: &'a Failure) -> Self {
        let mut document =
            Self { code: failure.into(), gateway_code: None, reason: None, current_balance: None };
        match failure {
            Failure::Declined { code, reason } => {
                document.gateway_code = Some(code);
                document.reason = Some(reason);
            }
            Failure::Insufficient { balance } => document.current_balance = Some(balance.minor()),
            Failure::NotHeld
            | Failure::TooLate
            | Failure::OtherAmount
            | Failure::OtherCurrency
            | Failure::SeatsLost
            | Failure::Cancelled
            | Failure::Superseded
            | Failure::AlreadyPaid => {}
        }
        document
    }
}

/// The gateway's ids of a payment, and its answer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GatewayDocument<'a> {
    /// The gateway's id of the payment, from its checkout; null before.
    #[schema(required)]
    payment_key: Option<&'a str>,
    /// The gateway's id of the capture, if it gave one.
    #[schema(required)]
    transaction_id: Option<&'a str>,
    /// When the gateway captured the money, by its own clock.
    #[schema(required)]
    approved_at: Option<At>,
    /// The gateway's id of the refund, if it gave one.
    #[schema(required)]
    refund_id: Option<&'a str>,
    /// The gateway's code, if it declined.
    #[schema(required)]
    code: Option<&'a str>,
    /// The gateway's reason, if it declined.
    #[schema(required)]
    reason: Option<&'a str>,
}

impl<'a> GatewayDocument<'a> {
    fn of(payment: &'a Payment) -> Option<Self> {
        let (code, reason) = match &payment.failure {
            Some(Failure::Declined { code, reason }) => (Some(&**code), Some(&**reason)),
            _ => (None, None),
        };
        let answer = payment.answer.as_deref();
        payment.needs_gateway().then(|| Self {
            payment_key: payment.payment_key.as_deref(),
            transaction_id: answer.and_then(|answer| answer.transaction.as_deref()),
            approved_at: answer.and_then(|answer| answer.approved_at).map(At),
            refund_id: answer.and_then(|answer| answer.refund.as_deref()),
            code,
            reason,
        })
    }
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Payment)]
pub struct PaymentDocument<'a> {
    payment_id: OpaqueId,
    reservation_id: OpaqueId,
    /// Null where it is an order that belongs to nobody.
    #[schema(required)]
    user_id: Option<&'a str>,
    method: AnyMethodWord,
    /// An order's is `completed`, once it is cancelled `refunding`: nobody tells the engine when the money was given back; or `refunded`
    /// where there is none to give back.
    status: PaymentWord,
    /// In the currency's minor unit.
    amount: u64,
    currency: &'a str,
    /// The id of the gateway's order, if the payment goes through a gateway.
    #[schema(required)]
    order_id: Option<OpaqueId>,
    created_at: At,
    updated_at: At,
    #[schema(required)]
    completed_at: Option<At>,
    #[schema(required)]
    refunded_at: Option<At>,
    /// How much goes or went back, where that isn't the whole `amount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_amount: Option<u64>,
    /// Why the payment failed or was refunded.
    #[schema(required)]
    failure: Option<FailureDocument<'a>>,
    /// `by_hand` where an order of the box office was cancelled: whoever took the money gives it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<RefundWord>,
    /// For administrators, if the payment goes through a gateway: its ids and its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<GatewayDocument<'a>>,
    /// For administrators and the box office, if it is an order's: who sold it, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderNotes<'a>>,
}

/// What the box office notes of an order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OrderNotes<'a> {
    /// Who sold it.
    clerk_id: &'a str,
    /// The till's name for the payment.
    #[schema(required)]
    reference: Option<&'a str>,
    /// Why it cost what it did.
    #[schema(required)]
    reason: Option<&'a str>,
}

impl<'a> From<&'a Order> for OrderNotes<'a> {
    fn from(order: &'a Order) -> Self {
        Self {
            clerk_id: &order.clerk,
            reference: order.reference.as_deref(),
            reason: order.reason.as_deref(),
        }
    }
}

/// How money goes back that the engine doesn't give back itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RefundWay)]
pub enum RefundWord {
    /// By hand.
    ByHand,
}

impl<'a> PaymentDocument<'a> {
    /// Shows a payment as its user sees it, or (`for_staff`) as those who run the sale do.
    pub fn of_any(payment: &'a AnyPayment, for_staff: bool) -> Self {
        match payment {
            AnyPayment::Saga(payment) => Self::of(payment, for_staff),
            AnyPayment::OfOrder(payment) => Self::of_order(payment, for_staff),
        }
    }

    fn of_order(payment: &'a OrderPayment, for_staff: bool) -> Self {
        let (order, state) = (payment.order(), payment.state());
        let part = Some(payment.refund()).filter(|part| *part != payment.amount());
        Self {
            payment_id: payment.id.into(),
            reservation_id: reservation_id(payment.id.schedule, payment.reservation),
            user_id: payment.user.as_deref(),
            method: AnyMethodWord::Order(order.method.into()),
            status: state.into(),
            amount: payment.amount().minor(),
            currency: payment.currency.as_str(),
            order_id: None,
            created_at: At(payment.created_at),
            updated_at: At(payment.cancelled_at.unwrap_or(payment.created_at)),
            completed_at: Some(At(payment.created_at)),
            refunded_at: payment.refunded_at().map(At),
            refund_amount: payment.cancelled_at.and(part).map(Money::minor),
            failure: payment.cancelled_at.map(|_| FailureDocument::from(&Failure::Cancelled)),
            refund: payment.cancelled_at.map(|_| RefundWord::ByHand),
            gateway: None,
            order: for_staff.then(|| order.into()),
        }
    }

    /// Shows a payment of a user's as they see it, or (`for_staff`) as those who run the sale do.
    pub fn of(payment: &'a Payment, for_staff: bool) -> Self {
        Self {
            payment_id: payment.id.into(),
            reservation_id: reservation_id(payment.id.schedule, payment.reservation),
            user_id: Some(&payment.user),
            method: AnyMethodWord::Users(payment.method.into()),
            status: payment.state.into(),
            amount: payment.amount.minor(),
            currency: payment.currency.as_str(),
            order_id: payment.needs_gateway().then(|| payment.id.into()),
            created_at: At(payment.created_at),
            updated_at: At(payment.updated_at),
            completed_at: payment.completed_at.map(At),
            refunded_at: payment.refunded_at.map(At),
            refund_amount: Some(payment.back()).filter(|back| *back != payment.amount).map(Money::minor),
            failure: payment.failure.as_ref().map(FailureDocument::from),
            refund: None,
            gateway: if for_staff { GatewayDocument::of(payment) } else { None },
            order: None,
        }
    }
}

/// A balance.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Balance)]
pub struct BalanceDocument<'a> {
    /// The user of the account.
    pub user_id: &'a str,
    /// The balance, in the currency's minor unit.
    pub balance: u64,
    /// ISO 4217.
    pub currency: &'a str,
    /// When money last moved; null if it never did.
    #[schema(required)]
    pub updated_at: Option<At>,
}

/// One movement of an account.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Transaction)]
pub struct TransactionDocument {
    transaction_id: OpaqueId,
    #[serde(rename = "type")]
    kind: TransactionWord,
    amount: u64,
    balance_after: u64,
    /// A description for a person.
    description: String,
    /// The payment of the movement, if it has one.
    #[schema(required)]
    payment_id: Option<OpaqueId>,
    created_at: At,
}

impl From<&accounts::Transaction> for TransactionDocument {
    fn from(transaction: &accounts::Transaction) -> Self {
        let (description, payment) = match transaction.kind {
            Kind::Charge => ("Charged".to_owned(), None),
            Kind::Payment(payment) => (format!("Payment {payment}"), Some(payment)),
            Kind::Refund(payment) => (format!("Refund of payment {payment}"), Some(payment)),
        };
        Self {
            transaction_id: transaction.id.into(),
            kind: transaction.kind.into(),
            amount: transaction.amount.minor(),
            balance_after: transaction.balance_after.minor(),
            description,
            payment_id: payment.map(OpaqueId::from),
            created_at: At(transaction.at),
        }
    }
}

fn of_failure(failure: &Failure) -> Value {
    serde_json::to_value(FailureDocument::from(failure)).expect("texts and numbers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    #[test]
    fn the_words_for_failures_are_the_domains_own() {
        let all = [
            Failure::NotHeld,
            Failure::TooLate,
            Failure::OtherAmount,
            Failure::Insufficient { balance: Money::ZERO },
            Failure::OtherCurrency,
            Failure::declined("c", "r"),
            Failure::SeatsLost,
            Failure::Cancelled,
            Failure::Superseded,
            Failure::AlreadyPaid,
        ];
        for failure in all {
            assert_eq!(of_failure(&failure)["code"], failure.as_str());
        }
    }
}
